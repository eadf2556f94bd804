//! The one table at the end, and the same as JSON.

use std::{fmt::Write as _, thread};

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    anchors::{Anchor, NETWORKDB, nearest},
    cluster::Run,
    figure::{Aim, Figure},
    samples::Summary,
    simulated::DELAY_MS,
};

/// The size and the loss that the aims are of.
const AIMED_NODES: usize = 25;
/// Beyond this, real and simulated differ by more than can stay unexplained.
const AGREES_WITHIN: f64 = 2.0;
const HEAD: [&str; 6] = ["what", "real", "simulated", "ratio", "a peer", "aim"];

/// For people.
pub(super) fn table(nodes: usize, runs: &[Run]) -> String {
    let mut rows: Vec<[String; 6]> = vec![HEAD.map(str::to_owned)];
    for run in runs {
        let mut title = <[String; 6]>::default();
        title[0] = format!("-- {nodes} nodes, {} % loss", run.loss);
        rows.push(title);
        rows.extend(Figure::ALL.iter().filter_map(|figure| row(nodes, run, *figure)));
    }
    let mut text = aligned(&rows);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let _ = write!(
        text,
        "\nmedian / 99th percentile, or the largest of fewer than 100 samples; {cores} cores\n\
         simulated with {DELAY_MS} ms one-way delay, like the loopback's; * real and simulated differ by\n\
         more than 2x: docs/real-and-virtual.md says why\n\
         a peer: NetworkDB in virtual time with 1 ms, its cut 60 s long, or who is named (@N: of another\n\
         size); = Nx: N times what is real here\n"
    );
    for run in runs {
        for note in &run.measured.notes {
            let _ = writeln!(text, "{} % loss: {note}", run.loss);
        }
        for failed in run.measured.failed.iter().chain(&run.simulations.failed) {
            let _ = writeln!(text, "SKIPPED at {} % loss: {failed}", run.loss);
        }
    }
    text
}

fn row(nodes: usize, run: &Run, figure: Figure) -> Option<[String; 6]> {
    let real = Summary::of(run.measured.samples.get(&figure)?)?;
    let simulated = run.simulations.figures.get(&figure);
    let anchor = nearest(figure, nodes, run.loss).map(|anchor| peer(nodes, &real, &anchor));
    let aim = aimed(nodes, run.loss, figure).map(|aim| {
        let held = if real.median <= aim.at_most { "held" } else { "MISSED" };
        format!("{} {held}", aim.words)
    });
    Some([
        figure.words().to_owned(),
        shown(figure, &real),
        simulated.map_or_else(String::new, |simulated| shown(figure, simulated)),
        simulated.and_then(|simulated| ratio(&real, simulated)).map_or_else(String::new, marked),
        anchor.unwrap_or_default(),
        aim.unwrap_or_default(),
    ])
}

/// What a peer needs, and how often ours goes into that.
fn peer(nodes: usize, real: &Summary, anchor: &Anchor) -> String {
    let mut text = pair(anchor.figure, anchor.median, anchor.tail);
    if anchor.nodes != nodes {
        let _ = write!(text, " @{}", anchor.nodes);
    }
    if anchor.peer != NETWORKDB {
        let _ = write!(text, " {}", anchor.peer);
    }
    if let Some(ratio) = quotient(anchor.median, real.median) {
        let digits = usize::from(ratio < 10.0);
        let _ = write!(text, " = {ratio:.digits$}x");
    }
    text
}

fn aimed(nodes: usize, loss: u8, figure: Figure) -> Option<Aim> {
    figure.aim().filter(|_| nodes == AIMED_NODES && loss == 0)
}

fn shown(figure: Figure, summary: &Summary) -> String {
    pair(figure, summary.median, (summary.count > 1).then(|| summary.tail()))
}

fn pair(figure: Figure, median: u64, tail: Option<u64>) -> String {
    let median = figure.unit().shown(median);
    tail.map_or_else(|| median.clone(), |tail| format!("{median} / {}", figure.unit().shown(tail)))
}

fn ratio(real: &Summary, simulated: &Summary) -> Option<f64> {
    quotient(real.median, simulated.median)
}

#[expect(clippy::cast_precision_loss, reason = "for people: two digits are shown")]
fn quotient(of: u64, by: u64) -> Option<f64> {
    (by > 0).then(|| of as f64 / by as f64)
}

fn marked(ratio: f64) -> String {
    let near = (1.0 / AGREES_WITHIN..=AGREES_WITHIN).contains(&ratio);
    format!("{ratio:.2}{}", if near { "" } else { " *" })
}

fn aligned(rows: &[[String; 6]]) -> String {
    let mut text = String::new();
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            // A title may run into the columns beside it.
            cells.filter(|cell| !cell.starts_with("--")).map(String::len).max().unwrap_or(0)
        })
        .collect();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// For programs: values in microseconds, bytes, bytes per second and millionths of a core.
pub(super) fn json(nodes: usize, runs: &[Run]) -> Result<String> {
    let runs: Vec<Value> = runs
        .iter()
        .map(|run| {
            let figures: Vec<Value> =
                Figure::ALL.iter().filter_map(|figure| figure_json(nodes, run, *figure)).collect();
            json!({
                "loss_percent": run.loss,
                "figures": figures,
                "counters": run.measured.counters,
                "notes": run.measured.notes,
                "skipped": run.measured.failed.iter().chain(&run.simulations.failed)
                    .collect::<Vec<_>>(),
            })
        })
        .collect();
    let delay: Value = serde_json::from_str(DELAY_MS)?;
    let all = json!({ "nodes": nodes, "simulated_delay_ms": delay, "runs": runs });
    Ok(serde_json::to_string_pretty(&all)?)
}

fn figure_json(nodes: usize, run: &Run, figure: Figure) -> Option<Value> {
    let real = Summary::of(run.measured.samples.get(&figure)?)?;
    let simulated = run.simulations.figures.get(&figure);
    let anchor = nearest(figure, nodes, run.loss).map(|anchor| {
        let Anchor { peer, nodes, median, tail, .. } = anchor;
        json!({
            "peer": peer, "nodes": nodes, "median": median, "tail": tail,
            "ratio": quotient(median, real.median),
        })
    });
    let aim = aimed(nodes, run.loss, figure)
        .map(|aim| json!({ "at_most": aim.at_most, "held": real.median <= aim.at_most }));
    Some(json!({
        "figure": figure,
        "words": figure.words().trim(),
        "real": real,
        "simulated": simulated,
        "ratio": simulated.and_then(|simulated| ratio(&real, simulated)),
        "anchor": anchor,
        "aim": aim,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{ground::Measured, simulated::Simulations};

    fn runs() -> [Run; 1] {
        let mut measured = Measured::default();
        measured.samples.insert(Figure::Create, (0..200).map(|n| 2_000 + n).collect());
        measured.samples.insert(Figure::IdleMemory, vec![16 << 20]);
        measured.failed.push("heal: no nft".to_owned());
        let mut simulations = Simulations::default();
        let summary = Summary { count: 200, median: 700, p99: Some(900), max: 950 };
        simulations.figures.insert(Figure::Create, summary);
        [Run { loss: 0, measured, simulations }]
    }

    #[test]
    fn a_line_has_all_that_is_known() {
        let text = table(25, &runs());
        let line = |words: &str| {
            text.lines().find(|line| line.contains(words)).unwrap_or_default().to_owned()
        };
        let create = line("one write seen by all");
        for part in [
            "2.10 ms / 2.20 ms",
            "700 us / 900 us",
            "3.00 *",
            "457.0 ms / 672.0 ms = 218x",
            "<= 10 ms held",
        ] {
            assert!(create.contains(part), "{part}: {create}");
        }
        assert!(line("resident memory").contains("14.8 MiB @3 serf = 0.9x"), "{text}");
        assert!(line("resident memory").ends_with("<= 15 MiB MISSED"), "{text}");
        assert!(line("SKIPPED").contains("no nft"), "{text}");
        assert!(!table(5, &runs()).contains("MISSED"));
    }

    #[test]
    fn programs_get_numbers() {
        let value: Value = serde_json::from_str(&json(25, &runs()).unwrap()).unwrap();
        let create = &value["runs"][0]["figures"][0];
        assert_eq!(create["figure"], "create");
        assert_eq!(create["real"]["p99"], 2_197);
        assert_eq!(create["anchor"]["median"], 457_000);
        assert_eq!(create["aim"]["held"], true);
        assert_eq!(value["simulated_delay_ms"], 0.05);
        assert_eq!(value["runs"][0]["skipped"][0], "heal: no nft");
    }

    #[test]
    fn nothing_is_no_measure() {
        let of = |median| Summary { count: 1, median, p99: None, max: median };
        assert_eq!(ratio(&of(8), &of(0)), None);
        assert_eq!(ratio(&of(8), &of(4)), Some(2.0));
    }

    #[test]
    fn what_agrees_is_not_marked() {
        assert_eq!(marked(1.9), "1.90");
        assert_eq!(marked(0.4), "0.40 *");
    }
}
