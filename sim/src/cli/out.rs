//! Printing that does not mind a closed pipe.

use std::{
    collections::BTreeMap,
    fmt::Arguments,
    io::{self, Write},
    time::Duration,
};

use netdb_sim::{figures::Summary, report::Report};

/// One line on standard output.
pub(super) fn line(text: Arguments<'_>) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// One line on standard error.
pub(super) fn error(text: Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Text on standard error that the next one overwrites.
pub(super) fn progress(text: Arguments<'_>) {
    let mut stderr = io::stderr().lock();
    let _ = write!(stderr, "\r\x1b[K{text}");
    let _ = stderr.flush();
}

/// A report for people.
pub(super) fn report(report: &Report, took: Duration) {
    line(format_args!(
        "{} · {} nodes · seed {} · {:.1} s virtual in {:.1} s · {} events · {} datagrams · {} MB",
        report.scenario,
        report.nodes,
        report.seed,
        seconds(report.virtual_us),
        took.as_secs_f64(),
        report.events,
        report.datagrams,
        report.bytes / 1_000_000,
    ));
    figures(&report.times, &report.numbers);
    line(format_args!("trace {}", report.trace));
    match &report.broken {
        None => line(format_args!("every invariant held")),
        Some(what) => {
            for host in &report.hosts {
                line(format_args!("  {host}"));
            }
            line(format_args!("BROKEN: {what}"));
            line(format_args!("replay: {}", report.replay));
        }
    }
}

/// The measured times and numbers.
pub(super) fn figures(times: &BTreeMap<String, Summary>, numbers: &BTreeMap<String, u64>) {
    for (name, times) in times {
        line(format_args!(
            "  {name:<46} n {:<5} p50 {:>10} p90 {:>10} p99 {:>10} max {:>10}",
            times.count,
            millis(times.p50_us),
            millis(times.p90_us),
            millis(times.p99_us),
            millis(times.max_us),
        ));
    }
    for (name, number) in numbers {
        line(format_args!("  {name:<46} {number}"));
    }
}

/// Microseconds as milliseconds.
fn millis(us: u64) -> String {
    format!("{}.{:02} ms", us / 1000, us % 1000 / 10)
}

fn seconds(us: u64) -> f64 {
    Duration::from_micros(us).as_secs_f64()
}
