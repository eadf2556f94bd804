//! The examples run to their end.

use std::{path::PathBuf, process::Command};

/// Where cargo puts examples: it builds them with the tests, one directory above these.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.parent().unwrap().parent().unwrap().join("examples").join(name)
}

fn run(name: &str, expected: &[&str]) {
    let output = Command::new(example(name)).output().expect("built by `cargo test`");
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}\n{errors}");
    for line in expected {
        assert!(text.contains(line), "{line:?} is missing in:\n{text}");
    }
}

#[test]
fn service_registry() {
    run("service_registry", &["web/1 is gone: Deleted", "web/2 is gone: OwnerFailed"]);
}

#[test]
fn presence() {
    run("presence", &["ben is writing", "ben is singing", "ben is gone"]);
}

#[test]
fn config_distribution() {
    run(
        "config_distribution",
        &["set already", "is info now", "after the restart: log/level = warn"],
    );
}

#[test]
fn leader_hint() {
    run("leader_hint", &["three workers", "two workers"]);
}

#[test]
fn custom_transport() {
    let expected = ["shop/apple: 0.40 after 0 us", "ten minutes later both are alive: 2"];
    run("custom_transport", &expected);
}
