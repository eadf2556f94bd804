//! The real binary: what only a process shows.
#![allow(clippy::unwrap_used)]

use std::{
    io,
    process::{Command, Stdio},
};

fn netdbctl(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_netdbctl"));
    command.args(words).env_remove("NETNODE_SOCKET").stdin(Stdio::null());
    command
}

#[test]
fn an_output_that_nobody_reads_is_no_failure_and_no_noise() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let done = netdbctl(&["--help"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((done.status.code(), done.stderr.as_slice()), (Some(0), b"".as_slice()));
}

#[test]
fn the_exit_code_reaches_the_shell() {
    let done = netdbctl(&["--socket", "/nonexistent/s", "status"]).output().unwrap();
    assert_eq!(done.status.code(), Some(4));
    let told = String::from_utf8(done.stderr).unwrap();
    assert!(told.starts_with("netdbctl: error: netnode can't be reached at /nonexistent/s"));
    assert_eq!(netdbctl(&["stauts"]).output().unwrap().status.code(), Some(2));
}
