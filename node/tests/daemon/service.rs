//! What the service manager hears.

use std::{os::unix::net::UnixDatagram, time::Duration};

use nix::sys::signal::Signal;

use crate::harness::Host;

/// Reads messages until one has this line.
fn hear(manager: &UnixDatagram, line: &str) {
    let mut buffer = [0; 4096];
    let mut heard = Vec::new();
    loop {
        let read = manager.recv(&mut buffer);
        let length = read.unwrap_or_else(|error| panic!("{line} not among {heard:?}: {error}"));
        let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if message.lines().any(|other| other == line) {
            return;
        }
        heard.push(message);
    }
}

#[test]
fn readiness_watchdog_reload_and_stop_are_told() {
    let mut host = Host::bare("a");
    host.init();
    let path = host.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    let mut command = host.command(&[]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000").env_remove("WATCHDOG_PID");
    host.start_by(command);
    hear(&manager, "READY=1");
    hear(&manager, "WATCHDOG=1");
    host.signal(Signal::SIGHUP);
    hear(&manager, "RELOADING=1");
    hear(&manager, "READY=1");
    host.signal(Signal::SIGTERM);
    hear(&manager, "STOPPING=1");
    assert!(host.ended().success());
}

#[test]
fn logs_are_json_when_asked_for() {
    let mut host = Host::bare("a");
    host.init();
    host.start(&["--log-format", "json", "--log-level", "info"]);
    host.stop();
    let log = host.log();
    let lines: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["message"] == "running"), "{log}");
    assert!(lines.iter().any(|line| line["message"] == "stopped"), "{log}");
}
