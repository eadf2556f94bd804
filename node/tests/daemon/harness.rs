//! One host: a directory, a netnode process on it, and netdbctl.

use std::{
    ffi::OsString,
    fs,
    io::{self, BufRead, Write},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use netnode_cli::{Io, terminal::Terminal};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// How long anything may take before the test gives up.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a command line did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// One host. Its netnode is killed with it.
pub(crate) struct Host {
    dir: tempfile::TempDir,
    name: String,
    child: Option<Child>,
}

impl Host {
    /// A host without a cluster.
    pub(crate) fn bare(name: &str) -> Self {
        Self { dir: tempfile::tempdir().unwrap(), name: name.to_owned(), child: None }
    }

    /// A host that runs the only node of a new cluster.
    pub(crate) fn running(name: &str) -> Self {
        let mut host = Self::bare(name);
        host.init();
        host.start(&[]);
        host
    }

    /// A host that runs a node of another one's cluster.
    pub(crate) fn joined(name: &str, member: &Self) -> Self {
        let mut host = Self::bare(name);
        let line = member.ok("join");
        let words: Vec<&str> = line.split_whitespace().skip(1).collect();
        let joined = host.netnode(&words);
        assert!(joined.status.success(), "{joined:?}");
        host.start(&[]);
        host
    }

    /// A running host that is attached to network `blue`.
    pub(crate) fn attached(name: &str) -> Self {
        let host = Self::running(name);
        host.ok("scope attach blue --wait");
        host
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("s")
    }

    /// Makes a cluster; returns its token.
    pub(crate) fn init(&self) -> String {
        let done = self.netnode(&["init"]);
        assert!(done.status.success(), "{done:?}");
        text(&done.stdout).trim().to_owned()
    }

    /// A netnode command line with this host's directories, and none of this process's settings.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netnode"));
        let ours = |name: &OsString| name.to_string_lossy().starts_with("NETNODE_");
        for (name, _) in std::env::vars_os().filter(|(name, _)| ours(name)) {
            command.env_remove(name);
        }
        command
            .args(["--profile", "local", "--listen", "127.0.0.1:0", "--name", &self.name])
            .arg("--state-dir")
            .arg(self.path("state"))
            .arg("--socket")
            .arg(self.socket())
            .args(words)
            .stdin(Stdio::null());
        command
    }

    /// Runs a netnode command line to its end.
    pub(crate) fn netnode(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// Starts netnode and waits until it answers.
    pub(crate) fn start(&mut self, words: &[&str]) {
        self.start_by(self.command(words));
    }

    /// Starts netnode by a command of the test's own.
    pub(crate) fn start_by(&mut self, mut command: Command) {
        let log = fs::File::create(self.path("log")).unwrap();
        let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        until("netnode answers", || {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("netnode ended with {status}: {}", self.log());
            }
            self.ctl("status").code == 0
        });
        self.child = Some(child);
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).unwrap();
        kill(Pid::from_raw(pid), signal).unwrap();
    }

    /// Waits for the process to end by itself.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let mut status = None;
        until("netnode ends", || {
            status = child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Stops it as a service manager does.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        let status = self.ended();
        assert!(status.success(), "{status}: {}", self.log());
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Runs a netdbctl command line, words separated by blanks.
    pub(crate) fn ctl(&self, line: &str) -> Done {
        self.ctl_with(line, &mut io::empty(), None)
    }

    /// The same with something on standard input and perhaps somebody who closes the output early.
    pub(crate) fn ctl_with(
        &self,
        line: &str,
        input: &mut dyn BufRead,
        closes_after: Option<usize>,
    ) -> Done {
        let mut out = Pipe { bytes: Vec::new(), room: closes_after };
        let mut err = Vec::new();
        let code = {
            let terminal = Terminal::default();
            let mut io = Io { out: &mut out, err: &mut err, input, terminal };
            run_ctl(&self.socket(), line, &mut io)
        };
        Done { code, out: text(&out.bytes), err: text(&err) }
    }

    /// Runs a netdbctl command line that must succeed; returns what it printed.
    pub(crate) fn ok(&self, line: &str) -> String {
        let done = self.ctl(line);
        assert_eq!(done.code, 0, "{line}: {done:?}");
        done.out
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs a netdbctl command line on streams of the test's own.
pub(crate) fn run_ctl(socket: &Path, line: &str, io: &mut Io<'_>) -> u8 {
    let mut words = vec![OsString::from("netdbctl"), "--socket".into(), socket.into()];
    words.extend(line.split(' ').map(OsString::from));
    // The connection lives on a worker of its own, as in the binary.
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    runtime.unwrap().block_on(netnode_cli::run(words, io))
}

/// Standard output that somebody may close.
struct Pipe {
    bytes: Vec<u8>,
    room: Option<usize>,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room.is_some_and(|room| self.bytes.len() >= room) {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits for a state; panics when it does not come.
pub(crate) fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// The lines of a JSON-lines output.
pub(crate) fn json_lines(text: &str) -> Vec<serde_json::Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// This many lines, one after the other.
pub(crate) fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect::<Vec<_>>().concat()
}
