//! Watches, from the first row to the end of the daemon.

use std::{
    io::{self, BufRead, BufReader, PipeReader, Read},
    thread,
};

use netnode_cli::{Io, terminal::Terminal};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Host, run_ctl};

/// A watch whose lines are read as they come.
struct Watch {
    lines: BufReader<PipeReader>,
    ended: thread::JoinHandle<(u8, String)>,
}

impl Watch {
    fn start(host: &Host, line: &str) -> Self {
        let (lines, mut out) = io::pipe().unwrap();
        let (socket, line) = (host.socket(), line.to_owned());
        let ended = thread::spawn(move || {
            let (mut err, mut input) = (Vec::new(), io::empty());
            let terminal = Terminal::default();
            let mut io = Io { out: &mut out, err: &mut err, input: &mut input, terminal };
            let code = run_ctl(&socket, &line, &mut io);
            (code, String::from_utf8(err).unwrap())
        });
        Self { lines: BufReader::new(lines), ended }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn event(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    /// Exit code, what was left to read, and what was told on standard error.
    fn ended(mut self) -> (u8, String, String) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        let (code, err) = self.ended.join().unwrap();
        (code, rest, err)
    }
}

#[test]
fn a_watch_tells_what_is_there_and_then_every_change() {
    let mut host = Host::attached("a");
    host.ok("table create blue t old 1");
    let mut watch = Watch::start(&host, "table watch --network blue --table t --jsonl");
    let event = watch.event();
    assert_eq!((&event["type"], &event["row"]["key"]["data"]), (&"created".into(), &"old".into()));
    assert_eq!(watch.event()["type"], "snapshot");
    host.ok("table create blue other x x");
    host.ok("table create blue t new 2");
    assert_eq!(watch.event()["row"]["key"]["data"], "new");
    host.ok("table update blue t new 3");
    let event = watch.event();
    assert_eq!(event["type"], "updated");
    assert_eq!(
        (&event["row"]["value"]["data"], &event["old"]["value"]["data"]),
        (&"3".into(), &"2".into())
    );
    host.ok("table delete blue t new");
    let event = watch.event();
    assert_eq!((&event["type"], &event["reason"]), (&"deleted".into(), &"deleted".into()));
    host.stop();
    let (code, rest, err) = watch.ended();
    assert_eq!((code, rest.as_str()), (4, ""));
    assert!(err.contains("netnode is stopping"), "{err}");
}

#[test]
fn lines_for_people_and_counted_ones_for_scripts() {
    let host = Host::attached("a");
    host.ok("table create blue t k 1 --lifetime owner");
    let mut watch = Watch::start(&host, "table watch --network blue --count 3");
    assert_eq!(watch.line(), "+ blue t k (a) = 1");
    assert_eq!(watch.line(), "= everything that was there has been told");
    host.ok("table update blue t k 2 --lifetime owner");
    assert_eq!(watch.line(), "~ blue t k (a) = 2 (was 1)");
    let (code, rest, err) = watch.ended();
    assert_eq!((code, rest.as_str(), err.as_str()), (0, "", ""));
}

#[test]
fn a_killed_daemon_is_no_good_end() {
    let mut host = Host::attached("a");
    let mut watch = Watch::start(&host, "table watch --network blue");
    assert!(watch.line().starts_with('='));
    host.signal(Signal::SIGKILL);
    host.ended();
    let (code, _, err) = watch.ended();
    assert_eq!(code, 4);
    assert!(err.contains("error:") && !err.contains("is stopping"), "{err}");
}
