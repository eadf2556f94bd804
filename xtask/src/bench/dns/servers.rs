//! The servers that are measured: ours and two that many use, each with the same names.
//!
//! Must never outlive the measurement: a server ends with its handle.

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use netdb_tests::dns::question;

use crate::shell::target_dir;

pub(super) const OURS: &str = "netnode-dns";
pub(super) const NAMES: [&str; 3] = [OURS, "unbound", "dnsmasq"];

/// Where tools of administrators are, which are in the path of few others.
const SYSTEM_TOOLS: &str = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin";
/// What a server may take to read its names.
const START: Duration = Duration::from_secs(20);
/// Seconds that an answer may be kept, of all servers.
const TTL: u32 = 5;
/// As in the example.
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 0);

/// The files that the servers and the load read.
pub(super) struct Work {
    names: u32,
    pub(super) queries: PathBuf,
    unbound: PathBuf,
    hosts: PathBuf,
}

/// A running server.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
}

/// What this machine lacks.
pub(super) fn missing() -> Option<String> {
    let lacks = |name: &&&str| {
        let found = SYSTEM_TOOLS.split(':').any(|folder| Path::new(folder).join(**name).exists());
        !found
    };
    let lacking: Vec<&str> =
        ["dnsperf", "unbound", "dnsmasq"].iter().filter(lacks).copied().collect();
    let told = "on Debian `apt-get install dnsperf unbound dnsmasq-base` brings what is missing";
    (!lacking.is_empty()).then(|| format!("{}: {told}", lacking.join(", ")))
}

/// A command of an administrator's.
pub(super) fn tool(name: &str) -> Command {
    let mut command = Command::new(name);
    command.env("PATH", SYSTEM_TOOLS).stdin(Stdio::null());
    command
}

fn name(n: u32) -> String {
    format!("service-{n}.blue.example")
}

impl Work {
    /// Writes the files into a folder.
    pub(super) fn new(folder: &Path, names: u32) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        let (mut queries, mut hosts) = (String::new(), String::new());
        let mut unbound = "local-zone: \"blue.example.\" static\n".to_owned();
        for n in 0..names {
            let (name, address) = (name(n), Ipv4Addr::from_bits(FIRST.to_bits() + n));
            // Writing to a String can't fail.
            let _ = writeln!(unbound, "local-data: \"{name}. {TTL} IN A {address}\"");
            let _ = writeln!(hosts, "{address} {name}");
            // In an order that is no order: a multiple without a common divisor visits each once.
            let _ = writeln!(queries, "{} A", self::name(step(n, names)));
        }
        let write = |file: &str, text: &str| {
            let path = folder.join(file);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            Ok::<_, anyhow::Error>(path)
        };
        let (queries, hosts) = (write("queries", &queries)?, write("hosts", &hosts)?);
        Ok(Self { names, queries, unbound: write("unbound-names", &unbound)?, hosts })
    }
}

fn step(n: u32, names: u32) -> u32 {
    const STRIDE: u64 = 7_919;
    u32::try_from(u64::from(n) * STRIDE % u64::from(names)).unwrap_or(0)
}

impl Server {
    /// Starts a server and waits until it answers.
    pub(super) fn start(which: &str, work: &Work, address: SocketAddr) -> Result<Self> {
        let mut command = match which {
            OURS => ours(work, address),
            "unbound" => unbound(work, address)?,
            _ => dnsmasq(work, address),
        };
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = quiet.spawn().context("running it")?;
        let mut server = Self { child, address };
        server.wait()?;
        Ok(server)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait(&mut self) -> Result<()> {
        let probe = Probe::new(self.address)?;
        let limit = Instant::now() + START;
        while Instant::now() < limit {
            if let Some(ended) = self.child.try_wait()? {
                bail!("it ended at once: {ended}");
            }
            if probe.round_trip(0).is_some() {
                return Ok(());
            }
        }
        bail!("it does not answer at {}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ours(work: &Work, address: SocketAddr) -> Command {
    let mut command = Command::new(target_dir().join("release/examples/names"));
    command.args([address.to_string(), work.names.to_string()]);
    command
}

fn unbound(work: &Work, address: SocketAddr) -> Result<Command> {
    let path = work.unbound.with_file_name("unbound.conf");
    let text = format!(
        "server:\n  interface: {}@{}\n  do-daemonize: no\n  chroot: \"\"\n  username: \"\"\n  pidfile: \"\"\n  \
         use-syslog: no\n  module-config: \"iterator\"\n  num-threads: 1\n  access-control: 127.0.0.0/8 allow\n  \
         include: \"{}\"\nremote-control:\n  control-enable: no\n",
        address.ip(),
        address.port(),
        work.unbound.display()
    );
    fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
    let mut command = tool("unbound");
    command.arg("-d").arg("-c").arg(path);
    Ok(command)
}

fn dnsmasq(work: &Work, address: SocketAddr) -> Command {
    let mut command = tool("dnsmasq");
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts"]);
    command.args(["--bind-interfaces", "--local=/blue.example/", "--pid-file=", "--user=root"]);
    command.arg(format!("--listen-address={}", address.ip()));
    command.arg(format!("--port={}", address.port())).arg(format!("--local-ttl={TTL}"));
    command.arg(format!("--addn-hosts={}", work.hosts.display()));
    command
}

/// One client that asks a question and waits.
pub(super) struct Probe(UdpSocket);

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

impl Probe {
    pub(super) fn new(server: SocketAddr) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").context("opening a socket")?;
        socket.connect(server)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(socket))
    }

    /// How long the answer to one query took; `None` if there is none, or it has no address.
    pub(super) fn round_trip(&self, id: u16) -> Option<Duration> {
        let began = Instant::now();
        if self.0.send(&question(id, &name(0))).is_err() {
            // A port that nobody has opened yet refuses at once.
            std::thread::sleep(Duration::from_millis(20));
            return None;
        }
        let mut answer = [0; 512];
        let length = self.0.recv(&mut answer).ok()?;
        let expected = [id.to_be_bytes(), 1_u16.to_be_bytes()];
        let told =
            answer.get(..length).and_then(|answer| Some([answer.get(..2)?, answer.get(6..8)?]))?;
        (told == expected.each_ref().map(|part| &part[..])).then(|| began.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_is_asked_for_once() {
        for names in [1, 2, 10_000, 60_000] {
            let asked: BTreeSet<u32> = (0..names).map(|n| step(n, names)).collect();
            assert_eq!(asked.len(), usize::try_from(names).unwrap());
        }
    }
}
