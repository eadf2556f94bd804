//! Stopping, starting again, reloading.

use std::{fs, os::unix::fs::PermissionsExt};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{Host, until};

#[test]
fn init_makes_one_cluster_and_shows_its_token() {
    let mut host = Host::bare("a");
    let token = host.init();
    assert!(token.starts_with("ndb1-"), "{token}");
    let again = host.netnode(&["init"]);
    assert_eq!(again.status.code(), Some(1));
    let told = crate::harness::text(&again.stderr);
    assert!(told.contains("belongs to a cluster already"), "{told}");
    host.start(&[]);
    assert_eq!(host.ok("token show").trim(), token);
    let join = host.ok("join");
    assert!(join.starts_with(&format!("netnode join {token} 127.0.0.1:")), "{join}");
    let new = host.ok("token rotate --expires 1h");
    assert!(new.starts_with("ndb1-") && new.trim() != token);
    assert_eq!(host.ok("token show"), new);
}

#[test]
fn status_shows_the_node_and_its_networks() {
    let host = Host::attached("a");
    let status: Value = serde_json::from_str(&host.ok("status --json")).unwrap();
    assert_eq!(status["name"], "a");
    assert_eq!(status["members"]["alive"], 1);
    assert_eq!(status["warnings"], Value::Array(vec![]));
    assert_eq!(status["keys"]["rotation"]["step"], "idle");
    let text = host.ok("status");
    assert!(text.contains("node       a (") && text.contains("2 attached, 2 in sync"), "{text}");
    let networks: Value = serde_json::from_str(&host.ok("scope --json")).unwrap();
    let names: Vec<_> =
        networks["attached"].as_array().unwrap().iter().map(|n| &n["name"]).collect();
    assert_eq!(names, ["_cluster", "blue"]);
    assert!(host.ok("scope peers blue").contains("a (this node)\talive"));
    assert!(host.ok("stats").contains("packets_dropped_unknown_key\t0"));
    host.ok("complete blue");
    host.ok("scope detach blue");
    assert_eq!(host.ctl("complete blue").code, 3);
}

#[test]
fn a_stop_keeps_what_lives_on_disk_and_cleans_up() {
    let mut host = Host::attached("a");
    host.ok("table create blue t shared 1");
    host.ok("table create blue t owned 1 --lifetime owner");
    let mode = fs::metadata(host.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    host.stop();
    assert!(!host.socket().exists());
    assert_eq!(host.ctl("status").code, 4);
    assert!(host.log().contains("how=Restarting"), "{}", host.log());
    host.start(&[]);
    assert_eq!(host.ok("table get blue t shared --value"), "1");
    assert_eq!(host.ctl("table get blue t owned").code, 3);
    host.signal(Signal::SIGINT);
    assert!(host.ended().success());
}

#[test]
fn a_killed_netnode_leaves_a_stale_socket_that_is_replaced() {
    let mut host = Host::attached("a");
    host.ok("table create blue t k 1");
    host.signal(Signal::SIGKILL);
    host.ended();
    assert!(host.socket().exists());
    let done = host.ctl("status");
    assert_eq!(done.code, 4, "{done:?}");
    host.start(&[]);
    assert_eq!(host.ok("table get blue t k --value"), "1");
}

#[test]
fn a_reload_takes_what_can_change_and_names_the_rest() {
    let mut host = Host::bare("a");
    host.init();
    let file = host.path("netnode.toml");
    fs::write(&file, "max_entries = 1\nmtu = 1000\n").unwrap();
    host.start(&["--config", file.to_str().unwrap()]);
    host.ok("scope attach blue");
    host.ok("table create blue t a 1");
    let full = host.ctl("table create blue t b 1");
    assert_eq!(full.code, 1, "{full:?}");
    assert!(full.err.contains("setting max_entries"), "{full:?}");
    fs::write(&file, "max_entries = 2\nmtu = 1200\nlog_level = \"debug\"\n").unwrap();
    let told = host.ok("reload");
    let expected = "in force: log_level info -> debug\nin force: max_entries 1 -> 2\n\
                    needs a restart: mtu 1000 -> 1200\n";
    assert_eq!(told, expected);
    host.ok("table create blue t b 1");
    // A broken file changes nothing, and the daemon lives.
    fs::write(&file, "max_entries = \"many\"\n").unwrap();
    let broken = host.ctl("reload");
    assert_eq!(broken.code, 2, "{broken:?}");
    assert!(broken.err.contains("netnode.toml:1") && broken.err.contains("config check"));
    assert_eq!(host.ctl("table create blue t c 1").code, 1);
    // A signal does the same.
    fs::write(&file, "max_entries = 3\n").unwrap();
    host.signal(Signal::SIGHUP);
    until("the limit is raised", || host.ctl("table create blue t c 1").code == 0);
    host.stop();
}

#[test]
fn keys_are_rotated_and_the_rotation_waited_for() {
    let mut host = Host::bare("a");
    host.init();
    host.start(&["--key-retire-after", "1s"]);
    let before = host.ok("keys list");
    assert!(before.lines().nth(1).unwrap().contains("\tseals\t1 of 1"), "{before}");
    let done = host.ok("keys rotate --wait");
    assert!(done.starts_with("every live node seals with key "), "{done}");
    let after = host.ok("keys list");
    assert_ne!(before.lines().nth(1), after.lines().nth(1));
}
