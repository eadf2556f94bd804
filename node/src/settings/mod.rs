//! What netnode may be told, and by whom: flags before environment before file before profile.
//!
//! One table, [`table::SETTINGS`], drives all of them: a setting `probe_period` is the flag
//! `--probe-period`, the variable `NETNODE_PROBE_PERIOD` and the key `probe_period` of the file.
//! Must never read anything but what [`Sources`] names.

mod error;
mod file;
mod labels;
mod names;
mod show;
pub mod table;
#[cfg(test)]
mod tests;
mod text;

use std::{
    collections::BTreeMap, fmt, net::SocketAddr, ops::RangeInclusive, path::PathBuf, time::Duration,
};

use netdb::{InvalidConfig, Name};
use netnode_plan::{dns::DEFAULT_DOMAIN, ring};

use crate::{dns, networks::Founding};
pub use error::{Problem, SettingsError};
pub use labels::Labels;
pub use names::{DnsAddress, Domain, Resolvers};
pub(crate) use show::list;
use table::{SETTINGS, Setting};
pub use text::{LogFormat, LogLevel, MetricsAddress, Pool4, Pool6, Profile, Switch};

/// What the names of environment variables start with.
pub const VARIABLE_PREFIX: &str = "NETNODE_";

/// Where netnode keeps its state unless told otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/netnode";

/// Everything that can be set.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the timings start from.
    pub profile: Profile,
    /// The directory of the node's keys and durable tables.
    pub state_dir: PathBuf,
    /// The control socket.
    pub socket: PathBuf,
    /// The group that may use the control socket.
    pub socket_group: Option<String>,
    /// Where metrics are served over TCP.
    pub metrics_listen: Option<MetricsAddress>,
    /// Where to listen, for UDP and TCP.
    pub listen: SocketAddr,
    /// What other nodes are told to send to.
    pub advertise: Option<SocketAddr>,
    /// What people call the node.
    pub name: Option<Name>,
    /// How logs look.
    pub log_format: LogFormat,
    /// What is logged.
    pub log_level: LogLevel,
    /// Subnets of IPv4 for networks that name none; read when the cluster is made.
    pub subnet_pool: Option<Pool4>,
    /// The same of IPv6.
    pub subnet_pool_v6: Option<Pool6>,
    /// How long heirs wait before they take over what a node held that is down for good.
    pub takeover_after: Duration,
    /// What its administrator notes about the node.
    pub labels: Labels,
    /// Where sandboxes are answered what names mean; nowhere if not said.
    pub dns_listen: Option<DnsAddress>,
    /// Whether sandboxes are answered at the addresses of their networks' gateways as well.
    pub dns_gateways: Switch,
    /// What our own names end with where they are written out.
    pub dns_domain: Domain,
    /// For how long an answer of ours may be kept.
    pub dns_ttl: Duration,
    /// Who is asked for what is not ours.
    pub dns_resolvers: Resolvers,
    /// Timings and limits of the node.
    pub node: netdb::Settings,
}

impl Settings {
    /// What holds if nothing is said but the profile.
    pub fn of_profile(profile: Profile) -> Self {
        let mut node = match profile {
            Profile::Local => netdb::Settings::local(),
            Profile::Lan => netdb::Settings::lan(),
            Profile::Wan => netdb::Settings::wan(),
        };
        let max_members = node.max_members;
        table::set_max_members(&mut node, max_members);
        Self {
            profile,
            state_dir: DEFAULT_STATE_DIR.into(),
            socket: netnode_api::DEFAULT_SOCKET.into(),
            socket_group: None,
            metrics_listen: None,
            listen: netdb::Config::new("").listen,
            advertise: None,
            name: None,
            log_format: LogFormat::Human,
            log_level: LogLevel::default(),
            subnet_pool: None,
            subnet_pool_v6: None,
            takeover_after: match profile {
                Profile::Local => Duration::from_secs(5),
                Profile::Lan => Duration::from_secs(30),
                Profile::Wan => Duration::from_mins(1),
            },
            labels: Labels::default(),
            dns_listen: Some(DnsAddress(dns::DEFAULT_ADDRESS)),
            dns_gateways: Switch::Off,
            dns_domain: Domain(DEFAULT_DOMAIN.to_owned()),
            dns_ttl: dns::DEFAULT_TTL,
            dns_resolvers: Resolvers::default(),
            node,
        }
    }

    /// What rings of numbers are told.
    pub(crate) fn to_ring_config(&self) -> ring::Config {
        ring::Config { settle: self.takeover_after, ..ring::Config::default() }
    }

    /// What answers names.
    pub(crate) fn to_dns(&self) -> dns::Settings {
        dns::Settings {
            listen: self.dns_listen.map(|address| address.0),
            at_gateways: self.dns_gateways == Switch::On,
            domain: self.dns_domain.0.clone(),
            ttl_s: u32::try_from(self.dns_ttl.as_secs()).unwrap_or(u32::MAX),
            upstreams: self.dns_resolvers.0.clone(),
        }
    }

    /// What this node says of the cluster's pools.
    pub(crate) fn to_founding(&self) -> Founding {
        let (v4, v6) = (self.subnet_pool, self.subnet_pool_v6);
        Founding { v4: v4.map(|pool| pool.0), v6: v6.map(|pool| pool.0) }
    }

    /// What the node itself is told.
    pub fn to_node_config(&self) -> netdb::Config {
        netdb::Config {
            state_dir: self.state_dir.clone(),
            listen: self.listen,
            advertise: self.advertise,
            name: self.name.clone(),
            settings: self.node.clone(),
        }
    }
}

/// Who said what a setting is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Nobody: the profile, or the built-in value.
    Default,
    /// A line of the configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    /// An environment variable.
    Variable(String),
    /// A flag on the command line.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// Where settings come from. Kept, so that a reload asks the same sources again.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// The configuration file, if any.
    pub config: Option<PathBuf>,
    /// Environment variables that start with [`VARIABLE_PREFIX`].
    pub variables: Vec<(String, String)>,
    /// Flags: the setting's name and the text.
    pub flags: Vec<(&'static str, String)>,
}

/// The settings that hold, and who said so.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What holds.
    pub settings: Settings,
    /// Who said it, for every setting that somebody spoke about.
    origins: BTreeMap<&'static str, Origin>,
    /// What was passed over, in plain words.
    pub warnings: Vec<String>,
}

impl Resolved {
    /// What holds from now on, where `wanted` changed the settings of these names.
    pub(crate) fn take(&mut self, settings: Settings, wanted: &Self, names: &[&'static str]) {
        self.settings = settings;
        for name in names {
            match wanted.origins.get(name) {
                Some(origin) => self.origins.insert(name, origin.clone()),
                None => self.origins.remove(name),
            };
        }
    }

    /// Who said what a setting is.
    pub fn origin(&self, name: &str) -> &Origin {
        self.origins.get(name).unwrap_or(&Origin::Default)
    }
}

/// One thing that somebody said.
struct Said {
    setting: &'static Setting,
    text: String,
    origin: Origin,
}

impl Sources {
    /// The sources of this process, with what its command line said.
    pub fn of_process(config: Option<PathBuf>, flags: Vec<(&'static str, String)>) -> Self {
        let ours = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            let name = name.into_string().ok().filter(|name| name.starts_with(VARIABLE_PREFIX))?;
            Some((name, value.to_string_lossy().into_owned()))
        };
        Self { config, variables: std::env::vars_os().filter_map(ours).collect(), flags }
    }

    /// Reads every source. All problems are told at once.
    pub fn resolve(&self) -> Result<Resolved, SettingsError> {
        let mut problems = Vec::new();
        let mut said = Vec::new();
        if let Some(path) = &self.config {
            said.extend(file::read(path, &mut problems)?);
        }
        let mut warnings = Vec::new();
        for (name, text) in &self.variables {
            match setting_of_variable(name) {
                Some(setting) => {
                    let (text, origin) = (text.clone(), Origin::Variable(name.clone()));
                    said.push(Said { setting, text, origin });
                }
                None if is_known_variable(name) => {}
                None => warnings.push(format!("environment variable {name} names no setting")),
            }
        }
        for (name, text) in &self.flags {
            if let Some(setting) = table::find(name) {
                let (text, origin) = (text.clone(), Origin::Flag(setting.flag()));
                said.push(Said { setting, text, origin });
            }
        }
        let resolved = apply(said, warnings, &mut problems);
        problems.extend(check(&resolved));
        if problems.is_empty() { Ok(resolved) } else { Err(SettingsError::Problems(problems)) }
    }
}

fn setting_of_variable(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.variable() == name)
}

fn is_known_variable(name: &str) -> bool {
    name == "NETNODE_CONFIG"
}

/// Later words override earlier ones; the profile is settled first, since the others build on it.
fn apply(said: Vec<Said>, warnings: Vec<String>, problems: &mut Vec<Problem>) -> Resolved {
    let mut settings = Settings::of_profile(Profile::default());
    let mut origins = BTreeMap::new();
    let (profile, others): (Vec<_>, Vec<_>) =
        said.into_iter().partition(|said| said.setting.name == "profile");
    let last = profile.len();
    for (i, said) in profile.into_iter().chain(others).enumerate() {
        if let Err(what) = (said.setting.set)(&mut settings, &said.text) {
            let Said { setting, text, origin } = said;
            problems.push(Problem { setting: setting.name.into(), text, origin, what });
            continue;
        }
        if i < last {
            settings = Settings::of_profile(settings.profile);
        }
        origins.insert(said.setting.name, said.origin);
    }
    Resolved { settings, origins, warnings }
}

/// How short and how long heirs may wait: longer than a partition stays unnoticed.
const TAKEOVER_AFTER: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_mins(10);

/// Whole seconds, and no longer than what a client should keep of a name that moves.
const DNS_TTL: RangeInclusive<Duration> = Duration::from_secs(0)..=Duration::from_hours(1);

/// What only shows when all settings are known.
fn check(resolved: &Resolved) -> Option<Problem> {
    let settings = &resolved.settings;
    let whole = settings.dns_ttl.subsec_nanos() == 0;
    let (name, what) = match settings.to_node_config().validate() {
        Ok(()) if !TAKEOVER_AFTER.contains(&settings.takeover_after) => {
            ("takeover_after", "must be 1s to 10m".to_owned())
        }
        Ok(()) if !whole || !DNS_TTL.contains(&settings.dns_ttl) => {
            ("dns_ttl", "must be 0s to 1h, in whole seconds".to_owned())
        }
        Ok(()) => return None,
        Err(netdb::ConfigError::Settings(InvalidConfig::Field { field, expected })) => {
            (field, format!("must be {expected}"))
        }
        Err(netdb::ConfigError::Settings(InvalidConfig::Gossip(error))) => {
            (error.field, format!("must be {}", error.range))
        }
        Err(error @ netdb::ConfigError::HostName { .. }) => ("name", error.to_string()),
        Err(error) => ("advertise", error.to_string()),
    };
    let text = table::find(name).and_then(|setting| (setting.get)(settings)).unwrap_or_default();
    Some(Problem { setting: name.into(), text, origin: resolved.origin(name).clone(), what })
}
