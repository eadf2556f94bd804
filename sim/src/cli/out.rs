//! Printing that does not mind a closed pipe.

use std::{
    collections::BTreeMap,
    fmt::Arguments,
    io::{self, Write},
    time::Duration,
};

use netdb_sim::{figures::Summary, report::Report};

/// Where a line goes.
#[derive(Clone, Copy)]
pub(super) enum To {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

impl To {
    pub(super) fn line(self, text: Arguments<'_>) {
        match self {
            Self::Output => line(text),
            Self::Error => error(text),
        }
    }
}

/// One line on standard output.
pub(super) fn line(text: Arguments<'_>) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// One line on standard error.
pub(super) fn error(text: Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// A report for people.
pub(super) fn report(to: To, report: &Report, took: Duration) {
    to.line(format_args!(
        "{} · {} nodes · seed {} · {:.1} s virtual in {:.1} s · {} events · {} datagrams · {} MB",
        report.scenario,
        report.nodes,
        report.seed,
        Duration::from_micros(report.virtual_us).as_secs_f64(),
        took.as_secs_f64(),
        report.events,
        report.datagrams,
        report.bytes / 1_000_000,
    ));
    if report.settled {
        to.line(format_args!(
            "  the cluster was settled from the start: its nodes were told of each other by hand"
        ));
    }
    figures(to, &report.times, &report.numbers);
    to.line(format_args!("trace {}", report.trace));
    match &report.broken {
        None => to.line(format_args!("every invariant held")),
        Some(what) => {
            for host in &report.hosts {
                to.line(format_args!("  {host}"));
            }
            to.line(format_args!("BROKEN: {what}"));
            to.line(format_args!("replay: {}", report.replay));
        }
    }
}

/// The measured times and numbers.
pub(super) fn figures(to: To, times: &BTreeMap<String, Summary>, numbers: &BTreeMap<String, u64>) {
    for (name, times) in times {
        to.line(format_args!(
            "  {name:<46} n {:<5} p50 {:>10} p90 {:>10} p99 {:>10} max {:>10}",
            times.count,
            millis(times.p50_us),
            millis(times.p90_us),
            millis(times.p99_us),
            millis(times.max_us),
        ));
    }
    for (name, number) in numbers {
        to.line(format_args!("  {name:<46} {number}"));
    }
}

/// Microseconds as milliseconds.
fn millis(us: u64) -> String {
    format!("{}.{:02} ms", us / 1000, us % 1000 / 10)
}
