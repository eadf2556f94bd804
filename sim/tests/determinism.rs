//! One seed, two processes, one trace: nothing in the cores or here depends on addresses, hash order, threads
//! or clocks.
// Helpers of tests may stop a test; clippy only knows functions marked as tests.
#![allow(clippy::expect_used)]

use std::{env, process::Command, sync::Mutex, thread};

use netdb_sim::scenario;

/// These take their time whatever the size, so they are left to long runs.
const SLOW: [&str; 4] = ["steady", "pauses", "forged-flood", "large"];

fn run(arguments: &[&str]) -> (bool, serde_json::Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_netdb-sim"))
        .args(["run", "--json"])
        .args(arguments)
        .output()
        .expect("the simulator starts");
    let text = String::from_utf8(output.stdout).expect("its output is text");
    (output.status.success(), serde_json::from_str(&text).expect("its output is JSON"))
}

#[test]
fn two_processes_with_one_seed_have_one_trace() {
    for scenario in ["create", "kill", "rotation-asleep", "churn"] {
        let arguments = ["--scenario", scenario, "--nodes", "5", "--seed", "11", "--loss", "2"];
        let (one, other) = (run(&arguments).1, run(&arguments).1);
        assert!(one["events"].as_u64().is_some_and(|events| events > 1_000), "{scenario}");
        assert_eq!(one["trace"], other["trace"], "{scenario}");
        assert_eq!(one, other, "{scenario}");
    }
}

#[test]
fn every_scenario_has_one_trace_in_two_processes() {
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
                    let arguments = ["--scenario", name, "--nodes", "4", "--seed", "5"];
                    let (one, other) = (run(&arguments).1, run(&arguments).1);
                    assert!(one["events"].as_u64().is_some_and(|events| events > 1_000), "{name}");
                    assert_eq!(one, other, "{name}");
                }
            });
        }
    });
}

fn next<'a>(waiting: &Mutex<Vec<&'a str>>) -> Option<&'a str> {
    waiting.lock().ok()?.pop()
}

#[test]
fn another_seed_has_another_trace() {
    let run = |seed| run(&["--scenario", "create", "--nodes", "4", "--seed", seed]).1;
    assert_ne!(run("1")["trace"], run("2")["trace"]);
}

#[test]
fn a_trace_that_is_printed_is_the_same_run() {
    let arguments = ["run", "--scenario", "leave", "--nodes", "4"];
    let silent = run(&arguments[1..]).1;
    let output = Command::new(env!("CARGO_BIN_EXE_netdb-sim"))
        .args(arguments)
        .arg("--trace")
        .output()
        .expect("the simulator starts");
    let text = String::from_utf8(output.stdout).expect("its output is text");
    let report = String::from_utf8(output.stderr).expect("its report is text");
    let hash = silent["trace"].as_str().expect("a hash");
    assert!(report.lines().any(|line| line == format!("trace {hash}")), "{hash} is not: {report}");
    assert_eq!(text.lines().count() as u64, silent["events"].as_u64().expect("a number"));
}

#[test]
fn an_unknown_scenario_is_named_as_such() {
    let output = Command::new(env!("CARGO_BIN_EXE_netdb-sim"))
        .args(["run", "--scenario", "nonsense"])
        .output()
        .expect("the simulator starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("churn"), "it names what there is");
}
