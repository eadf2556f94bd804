//! Starts that can't be: each a clear error and an exit code.

use std::{fs, fs::OpenOptions, io::Write, net::UdpSocket, process::Command};

use crate::harness::{Host, text};

/// Starts netnode, which must refuse with this exit code; returns what it said.
fn refused(host: &Host, words: &[&str], code: i32) -> String {
    let done = host.netnode(words);
    let told = text(&done.stderr);
    assert_eq!(done.status.code(), Some(code), "{told}");
    told
}

#[test]
fn a_host_without_a_cluster_is_told_what_to_do() {
    let host = Host::bare("a");
    let told = refused(&host, &[], 1);
    assert!(told.contains("belongs to no cluster") && told.contains("netnode init"), "{told}");
    assert!(!host.socket().exists());
}

#[test]
fn a_live_socket_names_the_process_that_has_it() {
    let one = Host::running("one");
    let two = Host::bare("two");
    two.init();
    let socket = one.socket();
    let told = refused(&two, &["--socket", socket.to_str().unwrap()], 1);
    let expected = format!("{} is the control socket of process {}", socket.display(), one.pid());
    assert!(told.contains(&expected), "{told}");
    one.ok("status");
}

#[test]
fn a_state_directory_in_use_names_the_process_that_has_it() {
    let host = Host::running("a");
    let other = host.path("other");
    let told = refused(&host, &["--socket", other.to_str().unwrap()], 1);
    assert!(told.contains(&format!("is in use by process {}", host.pid())), "{told}");
    assert!(!other.exists());
}

#[test]
fn a_port_in_use_is_named() {
    let taken = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let host = Host::bare("a");
    host.init();
    let told = refused(&host, &["--listen", &address], 1);
    assert!(told.contains(&address) && told.contains("--listen"), "{told}");
    assert!(!host.socket().exists());
}

#[test]
fn wrong_settings_are_told_with_their_place() {
    let host = Host::bare("a");
    let told = refused(&host, &["--mtu", "1"], 2);
    assert!(told.contains("mtu = 1 (flag --mtu): must be 576 to 9000"), "{told}");
    let told = refused(&host, &["--mtuu", "1"], 2);
    assert!(told.contains("--mtu"), "{told}");
    let file = host.path("c.toml");
    fs::write(&file, "mtu = 1000\nfanuot = 4\n").unwrap();
    let config = file.to_str().unwrap();
    let told = refused(&host, &["config", "check", "--config", config], 2);
    assert!(told.contains("c.toml:2") && told.contains("did you mean fanout?"), "{told}");
    fs::write(&file, "mtu = 1000\n").unwrap();
    let good = host.netnode(&["config", "check", "--config", config]);
    assert!(good.status.success());
    let shown = host.command(&["config", "show"]).env("NETNODE_WINDOW", "7").output().unwrap();
    let line = text(&shown.stdout).lines().find(|l| l.starts_with("window")).unwrap().to_owned();
    assert!(
        line.contains("\"7\"") && line.ends_with("# N, environment NETNODE_WINDOW, by default 64"),
        "{line}"
    );
}

/// Makes the first argument read-only for the rest of the command line, in a mount namespace of its own.
const READ_ONLY: &str =
    r#"mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@""#;

#[test]
fn a_read_only_state_directory_is_named() {
    let host = Host::bare("a");
    host.init();
    let state = host.path("state");
    let read_only = |command: &Command| {
        let mut wrapped = Command::new("unshare");
        wrapped.args(["-rm", "--", "sh", "-c", READ_ONLY, "sh"]).arg(&state);
        wrapped.arg(command.get_program()).args(command.get_args());
        wrapped.output()
    };
    if !read_only(&Command::new("true")).is_ok_and(|done| done.status.success()) {
        skipped("a read-only state directory: mount namespaces can't be made");
        return;
    }
    let done = read_only(&host.command(&[])).unwrap();
    let told = text(&done.stderr);
    assert_eq!(done.status.code(), Some(1), "{told}");
    assert!(told.contains(&state.display().to_string()), "{told}");
    assert!(told.to_lowercase().contains("read-only"), "{told}");
    assert!(!host.socket().exists());
}

fn skipped(what: &str) {
    if let Some(path) = std::env::var_os("NETDB_SKIPS") {
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(file, "{what}").unwrap();
    }
}
