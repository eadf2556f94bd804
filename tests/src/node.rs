//! One node: its files, its process and its life.
//!
//! A node that is dropped is killed by its process id and waited for, so its files can go.

use std::{
    env,
    ffi::OsString,
    fs::{self, OpenOptions},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context, Result, bail, ensure};
use netnode_api::{
    client::Client,
    node::{MemberState, Status},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::{
    binaries::Binaries,
    command::{Ended, run},
    wait::until,
};

/// What the names of settings start with in the environment: the tester's own must not reach the nodes.
const SETTINGS: &str = "NETNODE_";
/// How a service manager around the tests would be talked to; the nodes are none of its services.
const SERVICE: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];
/// Lines of a log that are shown when something failed.
const TAIL: usize = 40;

/// One node, running or not.
#[derive(Debug)]
pub struct Node {
    binaries: Binaries,
    name: String,
    address: SocketAddr,
    state_dir: PathBuf,
    socket: PathBuf,
    log: PathBuf,
    flags: Vec<String>,
    /// The network namespace that it runs in, if not that of the tests.
    namespace: Option<PathBuf>,
    client: Client,
    process: Option<Child>,
}

impl Node {
    /// A node whose files are in `directory`. Nothing is done yet.
    pub fn new(
        binaries: Binaries,
        directory: &Path,
        name: &str,
        address: SocketAddr,
        flags: &[&str],
    ) -> Self {
        let socket = directory.join(format!("{name}.sock"));
        Self {
            binaries,
            name: name.to_owned(),
            address,
            state_dir: directory.join(name),
            client: Client::new(&socket),
            socket,
            log: directory.join(format!("{name}.log")),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            namespace: None,
            process: None,
        }
    }

    /// The same on a host that is a network namespace.
    #[must_use]
    pub fn within(mut self, namespace: PathBuf) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its state directory.
    pub fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Puts the state elsewhere, from the next start on.
    pub fn set_state_dir(&mut self, state_dir: PathBuf) {
        self.state_dir = state_dir;
    }

    /// A client of its control API.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Adds flags for the next start.
    pub fn add_flags(&mut self, flags: &[&str]) {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
    }

    /// Makes a cluster; returns the token that others join with.
    pub async fn init(&self) -> Result<String> {
        let ended = self.netnode(&["init"]).await?.succeeded()?;
        Ok(ended.stdout.trim().to_owned())
    }

    /// Asks to join; how that went is for the caller to judge.
    pub async fn try_join(&self, token: &str, peers: &[SocketAddr]) -> Result<Ended> {
        let peers: Vec<String> = peers.iter().map(ToString::to_string).collect();
        let mut words = vec!["join", token];
        words.extend(peers.iter().map(String::as_str));
        self.netnode(&words).await
    }

    /// Joins.
    pub async fn join(&self, token: &str, peers: &[SocketAddr]) -> Result<()> {
        self.try_join(token, peers).await?.succeeded().map(drop)
    }

    /// Runs a command of netnode that ends by itself.
    pub async fn netnode(&self, words: &[&str]) -> Result<Ended> {
        run(&mut self.command(words).into()).await
    }

    /// Runs netdbctl towards this node.
    pub async fn netdbctl(&self, words: &[&str]) -> Result<Ended> {
        run(&mut self.netdbctl_command(words).into()).await
    }

    /// netdbctl towards this node, to be run by the caller.
    pub fn netdbctl_command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.binaries.netdbctl);
        command.arg("--socket").arg(&self.socket).args(words);
        undisturbed(&mut command);
        command
    }

    /// Starts the process and waits until it answers.
    pub async fn start(&mut self) -> Result<Status> {
        self.spawn()?;
        let what = format!("{} answers", self.name);
        let started = until(&what, async || {
            if let Some(status) = self.ended()? {
                // Nothing more to wait for.
                return Ok(Err(status));
            }
            Ok(Ok(self.client.status().await?))
        });
        match started.await {
            Ok(Ok(status)) => Ok(status),
            Ok(Err(status)) => bail!("{} ended at its start: {status}\n{}", self.name, self.tail()),
            Err(error) => Err(error.context(self.tail())),
        }
    }

    /// Starts the process and waits for nothing.
    pub fn spawn(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "{} runs already", self.name);
        let log = OpenOptions::new().append(true).create(true).open(&self.log)?;
        let mut command = self.command(&[]);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = command.spawn().with_context(|| format!("starting {}", self.name))?;
        self.process = Some(child);
        Ok(())
    }

    /// Waits until the process has ended by itself.
    pub async fn wait_end(&mut self) -> Result<ExitStatus> {
        let what = format!("{} ended", self.name);
        let ended = until(&what, async || self.ended()?.context("it runs"));
        let status = ended.await.map_err(|error| error.context(self.tail()))?;
        self.process = None;
        Ok(status)
    }

    /// Stops the node in good order.
    pub async fn terminate(&mut self) -> Result<()> {
        self.signal(Signal::SIGTERM)?;
        let status = self.wait_end().await?;
        ensure!(status.success(), "{} ended with {status} when told to stop", self.name);
        Ok(())
    }

    /// `kill -9`: no chance to say anything. The process is gone when this returns.
    pub fn kill(&mut self) -> Result<()> {
        let Some(mut child) = self.process.take() else { bail!("{} does not run", self.name) };
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let child = self.process.as_ref().with_context(|| format!("{} does not run", self.name))?;
        Ok(kill(Pid::from_raw(i32::try_from(child.id())?), signal)?)
    }

    /// The id of its process, if that runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// How it ended, if it did.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let child = self.process.as_mut().with_context(|| format!("{} does not run", self.name))?;
        Ok(child.try_wait()?)
    }

    /// Waits until it knows exactly `count` members, all alive, itself among them.
    pub async fn wait_alive(&self, count: usize) -> Result<()> {
        let what = format!("{} sees {count} live members and no others", self.name);
        until(&what, async || {
            let members = self.client.members().await?;
            let states = members.iter().filter(|m| m.state != MemberState::Left);
            let states: Vec<_> =
                states.map(|m| (m.name.as_deref().unwrap_or("?"), m.state)).collect();
            let alive = states
                .iter()
                .all(|(name, state)| *name != "?" && matches!(state, MemberState::Alive));
            ensure!(alive && states.len() == count, "it sees {states:?}");
            Ok(())
        })
        .await
    }

    /// How this node sees another; none if it does not know it.
    pub async fn state_of(&self, other: &str) -> Result<Option<MemberState>> {
        let members = self.client.members().await?;
        let found = members.iter().find(|member| member.name.as_deref() == Some(other));
        Ok(found.map(|member| member.state))
    }

    /// A counter since its start.
    pub async fn counter(&self, name: &str) -> Result<u64> {
        let stats = self.client.stats().await?;
        stats.counters.get(name).copied().with_context(|| format!("there is no counter {name}"))
    }

    /// Everything that it logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The end of its log, for messages.
    pub fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default();
        format!("--- the end of {}'s log ---\n{}", self.name, tail.join("\n"))
    }

    /// netnode where it is to run; it becomes the process that is started, so that signals reach it.
    fn entering(&self) -> Command {
        let Some(namespace) = &self.namespace else { return Command::new(&self.binaries.netnode) };
        let mut command = Command::new("nsenter");
        let mut net = OsString::from("--net=");
        net.push(namespace);
        command.arg(net).arg("--").arg(&self.binaries.netnode);
        command
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.entering();
        command.args(words).args(["--profile", "local", "--name", &self.name, "--listen"]);
        command.arg(self.address.to_string()).arg("--state-dir").arg(&self.state_dir);
        command.arg("--socket").arg(&self.socket).args(&self.flags);
        undisturbed(&mut command);
        command
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            // Errors mean that it has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Keeps what the tester's environment says from the programs under test.
fn undisturbed(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let ours = name.to_string_lossy();
        if ours.starts_with(SETTINGS) || SERVICE.contains(&ours.as_ref()) {
            command.env_remove(&name);
        }
    }
}
