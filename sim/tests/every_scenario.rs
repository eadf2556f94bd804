//! Every scenario, small, in two processes with one seed: both have one trace.
// Helpers of tests may stop a test; clippy only knows functions marked as tests.
#![allow(clippy::expect_used)]

use std::{
    env,
    process::{Command, Stdio},
    sync::Mutex,
    thread,
};

use netdb_sim::scenario;

/// These take their time whatever the size, so they are left to long runs.
const SLOW: [&str; 3] = ["steady", "pauses", "forged-flood"];

#[test]
fn two_processes_with_one_seed_have_one_trace() {
    let long = env::var_os("NETDB_LONG").is_some();
    let mut names: Vec<&str> = scenario::all().iter().map(|scenario| scenario.name).collect();
    assert!(SLOW.iter().all(|slow| names.contains(slow)), "each is still there");
    names.retain(|name| long || !SLOW.contains(name));
    let waiting = Mutex::new(names);
    let workers = thread::available_parallelism().map_or(1, usize::from).clamp(1, 4);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some(name) = next(&waiting) {
                    let [one, other] = [trace(name), trace(name)];
                    assert_eq!(one, other, "{name}");
                }
            });
        }
    });
}

fn next<'a>(waiting: &Mutex<Vec<&'a str>>) -> Option<&'a str> {
    waiting.lock().ok()?.pop()
}

/// What a process of its own shows of a run: its trace, and everything that was measured.
fn trace(scenario: &str) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_netdb-sim"))
        .args(["run", "--json", "--scenario", scenario, "--nodes", "4", "--seed", "5"])
        .stderr(Stdio::null())
        .output()
        .expect("the simulator starts");
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("its output is JSON");
    let events =
        report.get("events").and_then(serde_json::Value::as_u64).expect("events are counted");
    assert!(events > 1_000, "{scenario} has {events} events");
    report
}
