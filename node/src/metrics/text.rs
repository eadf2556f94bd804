//! Prometheus' text format 0.0.4:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

use std::fmt::{self, Write};

use super::{Figure, Metric, Read, Snapshot, table::METRICS};

/// What the text is, for the answer's header.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What every name starts with.
pub(super) const PREFIX: &str = "netnode_";

/// All metrics.
pub(crate) fn text(snapshot: &Snapshot) -> String {
    let mut text = String::new();
    for metric in METRICS {
        // Writing to a String can't fail.
        let _ = write(&mut text, metric, snapshot);
    }
    text
}

pub(super) fn write(out: &mut String, metric: &Metric, snapshot: &Snapshot) -> fmt::Result {
    let Metric { name, kind, labels, help, read } = metric;
    writeln!(out, "# HELP {PREFIX}{name} {}", escaped_help(help))?;
    writeln!(out, "# TYPE {PREFIX}{name} {}", kind.name())?;
    match read {
        Read::One(read) => writeln!(out, "{PREFIX}{name} {}", read(snapshot)),
        Read::Each(read) => read(snapshot).iter().try_for_each(|(values, figure)| {
            let pairs: Vec<String> = labels
                .iter()
                .zip(values)
                .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
                .collect();
            writeln!(out, "{PREFIX}{name}{{{}}} {figure}", pairs.join(","))
        }),
        Read::Times(read) => {
            let times = read(snapshot);
            for (bound, count) in times.within() {
                let bound = Figure::from(bound);
                writeln!(out, "{PREFIX}{name}_bucket{{le=\"{bound}\"}} {count}")?;
            }
            writeln!(out, "{PREFIX}{name}_bucket{{le=\"+Inf\"}} {}", times.count())?;
            writeln!(out, "{PREFIX}{name}_sum {}", Figure::from(times.sum()))?;
            writeln!(out, "{PREFIX}{name}_count {}", times.count())
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Micros(micros) => {
                let sign = if *micros < 0 { "-" } else { "" };
                let (whole, part) =
                    (micros.unsigned_abs() / 1_000_000, micros.unsigned_abs() % 1_000_000);
                let shown = format!("{sign}{whole}.{part:06}");
                f.write_str(shown.trim_end_matches('0').trim_end_matches('.'))
            }
        }
    }
}

/// The value of a label, as it stands between its quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn escaped_help(help: &str) -> String {
    help.replace('\\', "\\\\").replace('\n', "\\n")
}
