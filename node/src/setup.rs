//! The commands that end at once: `init`, `join`, `config check` and `config show`.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, ToSocketAddrs},
    path::Path,
};

use netdb::{DEFAULT_PORT, NetDb};
use netnode_api::settings::Setting;
use netnode_plan::spaces::{ParsePoolError, Pool};
use serde::{Deserialize, Serialize};

use crate::{
    Failure,
    ipam::replace,
    networks::Founding,
    settings::{self, Resolved, Settings},
};

/// The most bytes read as a token from standard input.
const MAX_TOKEN: u64 = 4096;

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(format!("the output can't be written: {error}"))
    }
}

pub(crate) fn config_check(resolved: &Resolved, out: &mut dyn Write) -> Result<(), Failure> {
    for warning in &resolved.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    Ok(writeln!(out, "the settings are good")?)
}

/// Prints every setting, as a line of the file with what else is to be said of it.
pub(crate) fn config_show(
    resolved: &Resolved,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let settings = settings::list(resolved);
    if json {
        let text = serde_json::to_string_pretty(&settings).map_err(Failure::new)?;
        return Ok(writeln!(out, "{text}")?);
    }
    let mut group = "";
    for setting in &settings {
        if group != setting.group {
            let blank = if group.is_empty() { "" } else { "\n" };
            writeln!(out, "{blank}# {}", setting.group)?;
            group = &setting.group;
        }
        let line = match &setting.value {
            Some(value) => format!("{} = {}", setting.name, toml::Value::String(value.clone())),
            None => format!("# {} =", setting.name),
        };
        writeln!(out, "{line:<36} # {}", remark(setting))?;
    }
    Ok(())
}

/// Unit, origin, default and whether it is live.
fn remark(setting: &Setting) -> String {
    let mut remark = format!("{}, {}", setting.unit, setting.origin);
    if setting.value != setting.default {
        let default = setting.default.as_deref().unwrap_or("not set");
        let _ = write!(remark, ", by default {default}");
    }
    if setting.live {
        remark.push_str(", live");
    }
    remark
}

pub(crate) async fn init(resolved: &Resolved, out: &mut dyn Write) -> Result<(), Failure> {
    warn(resolved);
    let config = resolved.settings.to_node_config();
    let token = NetDb::init(&config).await.map_err(Failure::new)?;
    mark_founder(&config.state_dir, &resolved.settings).map_err(|error| {
        Failure::new(format!("{} can't be written: {error}", config.state_dir.display()))
    })?;
    writeln!(out, "{}", token.text)?;
    out.flush()?;
    note(&format!(
        "made a cluster in {}. Start `netnode`; others join with `netnode join TOKEN ADDRESS`, where \
         TOKEN is the secret above.",
        config.state_dir.display()
    ));
    Ok(())
}

/// In the state directory of the node that made the cluster: at first all numbers are its own to give.
const FOUNDER: &str = "founder";

/// What the node that makes a cluster says for all.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Founder {
    subnet_pool: Option<String>,
    subnet_pool_v6: Option<String>,
}

fn mark_founder(state_dir: &Path, settings: &Settings) -> io::Result<()> {
    let Founding { v4, v6 } = settings.to_founding();
    let text = |pool: Pool| pool.to_setting();
    let founder = Founder { subnet_pool: v4.map(text), subnet_pool_v6: v6.map(text) };
    let mut file = fs::File::create(state_dir.join(FOUNDER))?;
    file.write_all(&serde_json::to_vec(&founder)?)?;
    file.sync_all()?;
    fs::File::open(state_dir)?.sync_all()
}

/// What the node with this state directory said when it made its cluster; `None` if it did not.
pub(crate) fn founding(state_dir: &Path) -> Result<Option<Founding>, Failure> {
    let path = state_dir.join(FOUNDER);
    let unusable = |what: &dyn std::fmt::Display| {
        Failure::new(format!("{} can't be used: {what}", path.display()))
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unusable(&error)),
    };
    // Of a release that left it empty.
    let text = if text.is_empty() { "{}" } else { text.as_str() };
    let founder: Founder = serde_json::from_str(text).map_err(|error| unusable(&error))?;
    let pool = |text: Option<String>| {
        text.map(|text| text.parse()).transpose().map_err(|error: ParsePoolError| unusable(&error))
    };
    let (v4, v6) = (pool(founder.subnet_pool)?, pool(founder.subnet_pool_v6)?);
    Ok(Some(Founding { v4, v6 }))
}

pub(crate) async fn join(
    resolved: &Resolved,
    token: &str,
    peers: &[String],
    replaces: Option<&str>,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    warn(resolved);
    let config = resolved.settings.to_node_config();
    let token = if token == "-" { read_token(&mut io::stdin().lock())? } else { token.to_owned() };
    let mut addresses = Vec::new();
    for peer in peers {
        addresses.extend(resolve(peer)?);
    }
    let joined = NetDb::join(&config, &token, &addresses).await.map_err(Failure::new)?;
    if let Some(old) = replaces {
        let dir = &config.state_dir;
        replace::note(dir, old).map_err(|error| {
            let told = format!("joined, but {} can't be written: {error}", dir.display());
            Failure::new(told)
                .with_hint(format!("once it runs here: `netdbctl ipam reclaim {old}`"))
        })?;
    }
    writeln!(out, "joined cluster {} as node {}", joined.cluster, joined.node)?;
    out.flush()?;
    if let Some(off_us) = joined.clock_off {
        let (seconds, way) = (off_us.unsigned_abs() / 1_000_000, direction(off_us));
        note(&format!("warning: this host's clock is {seconds} s {way} the cluster's: set it."));
    }
    if joined.name_taken {
        note("warning: another live node has this node's name: give one of them another (--name).");
    }
    if let Some(old) = replaces {
        note(&format!(
            "What node {old} held is taken over once netnode runs and all others are there."
        ));
    }
    note("Start `netnode` now.");
    Ok(())
}

fn direction(off_us: i64) -> &'static str {
    if off_us > 0 { "ahead of" } else { "behind" }
}

fn warn(resolved: &Resolved) {
    for warning in &resolved.warnings {
        note(&format!("warning: {warning}"));
    }
}

/// Tells people something that is no result. If standard error is gone, nobody wants to know.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

fn read_token(input: &mut dyn Read) -> Result<String, Failure> {
    let mut text = String::new();
    let failed =
        |error| Failure::new(format!("the token can't be read from standard input: {error}"));
    input.take(MAX_TOKEN).read_to_string(&mut text).map_err(failed)?;
    Ok(text.trim().to_owned())
}

/// The addresses of a host, named or numbered, with or without a port.
fn resolve(text: &str) -> Result<Vec<SocketAddr>, Failure> {
    let numbered =
        text.parse().or_else(|_| text.parse().map(|ip| SocketAddr::new(ip, DEFAULT_PORT)));
    if let Ok(address) = numbered {
        return Ok(vec![address]);
    }
    let named = if text.contains(':') { text.to_owned() } else { format!("{text}:{DEFAULT_PORT}") };
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(format!("the address {text} can't be used: {error}"))
            .with_hint("an address or a host name, with or without a port: 10.0.0.1, host-1:7940")
    };
    let found: Vec<_> = named.to_socket_addrs().map_err(|error| failed(&error))?.collect();
    if found.is_empty() { Err(failed(&"the name has no address")) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Sources;

    #[test]
    fn what_is_shown_can_be_read_again() {
        let flags = vec![("profile", "wan".to_owned()), ("mtu", "1000".to_owned())];
        let resolved = Sources { flags, ..Sources::default() }.resolve().unwrap();
        let mut shown = Vec::new();
        config_show(&resolved, false, &mut shown).unwrap();
        let text = String::from_utf8(shown.clone()).unwrap();
        let line = text.lines().find(|line| line.starts_with("mtu")).unwrap();
        assert_eq!(
            line.split_whitespace().collect::<Vec<_>>().join(" "),
            "mtu = \"1000\" # BYTES, flag --mtu, by default 1400"
        );
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shown.toml");
        fs::write(&path, &shown).unwrap();
        let again = Sources { config: Some(path), ..Sources::default() }.resolve().unwrap();
        assert_eq!(format!("{:?}", again.settings), format!("{:?}", resolved.settings));
    }

    #[test]
    fn addresses_are_resolved_with_the_usual_port() {
        assert_eq!(resolve("10.0.0.1").unwrap(), [SocketAddr::from(([10, 0, 0, 1], DEFAULT_PORT))]);
        assert_eq!(resolve("[::1]:5").unwrap(), ["[::1]:5".parse().unwrap()]);
        let failure = resolve("10.0.0.1:99999").unwrap_err();
        assert!(failure.message.contains("10.0.0.1:99999") && failure.hint.is_some());
    }

    #[test]
    fn a_token_is_read_without_the_space_around_it() {
        assert_eq!(read_token(&mut "  ndb1-abc\n".as_bytes()).unwrap(), "ndb1-abc");
    }
}
