//! `sweep --suite anchors`: measures the table of figures to reach.

use std::{collections::BTreeMap, fs, path::Path, process::ExitCode};

use netdb_sim::{
    scenario,
    suite::{
        Bench, Evidence, Finding, Row,
        anchors::{ROWS, benches},
        table,
    },
};
use serde::Serialize;

use super::{
    Network, out,
    pool::{self, Done, Job},
    progress::Progress,
    sweep::Options,
};

/// A row as JSON.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    row: &'a Row,
    #[serde(flatten)]
    found: &'a Finding,
}

pub(super) fn main(options: &Options) -> ExitCode {
    let chosen: Vec<&Row> = ROWS.iter().filter(|row| is_chosen(options, row)).collect();
    if chosen.is_empty() {
        out::error(format_args!("no row is like that"));
        return ExitCode::from(2);
    }
    let benches = benches(chosen.iter().copied());
    let (jobs, of): (Vec<Job>, Vec<Bench>) =
        benches.iter().flat_map(|bench| jobs(options, bench)).unzip();
    // A bench that this build can't run has evidence too: none.
    let mut evidence: BTreeMap<Bench, Evidence> =
        benches.iter().map(|bench| (*bench, Evidence::default())).collect();
    let mut progress = Progress::of(jobs.len());
    pool::run(&jobs, options.jobs, |Done { index, report, .. }| {
        if let Some(evidence) = of.get(index).and_then(|bench| evidence.get_mut(bench)) {
            evidence.runs += 1;
            evidence.broken += u64::from(!report.ok);
            evidence.figures.merge(&report.figures);
        }
        progress.done(&report);
    });
    progress.clear();
    let judge = |row: &'static Row| {
        let evidence = evidence.get(&row.bench).filter(|_| is_chosen(options, row));
        (row, row.judge(evidence, options.of_suites.quick))
    };
    let findings: Vec<(&Row, Finding)> = ROWS.iter().map(judge).collect();
    print(options, &findings);
    progress.finish();
    if let Some(page) = &options.of_suites.markdown
        && let Err(what) = write(page, &findings)
    {
        out::error(format_args!("{}: {what}", page.display()));
        return ExitCode::from(2);
    }
    let fails = findings.iter().any(|(_, found)| found.verdict.is_failure());
    if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn is_chosen(options: &Options, row: &Row) -> bool {
    let of_suites = &options.of_suites;
    let places = [row.section, row.label, row.bench.scenario].map(str::to_lowercase);
    let asked = |text: &String| places.iter().any(|place| place.contains(&text.to_lowercase()));
    (of_suites.rows.is_empty() || of_suites.rows.iter().any(asked))
        && of_suites.largest.is_none_or(|most| row.bench.nodes <= most)
        && (!of_suites.quick || row.bench.quick > 0)
}

/// The runs of a bench; none if this build lacks its scenario.
fn jobs(options: &Options, bench: &Bench) -> Vec<(Job, Bench)> {
    let Some(scenario) = scenario::named(bench.scenario) else { return Vec::new() };
    let seeds = if options.of_suites.quick { bench.quick } else { bench.seeds };
    let seeds = options.seeds.map_or(seeds, |most| seeds.min(most));
    let network = Network { loss: bench.loss.into(), ..Network::default() };
    let job = |seed| {
        let (nodes, network, twice) = (bench.nodes, network.clone(), options.twice);
        (Job { scenario, nodes, seed, network, twice }, *bench)
    };
    (options.first..options.first.saturating_add(seeds)).map(job).collect()
}

fn print(options: &Options, findings: &[(&Row, Finding)]) {
    if options.json {
        for (row, found) in findings {
            let text = serde_json::to_string(&Line { row, found }).unwrap_or_default();
            out::line(format_args!("{text}"));
        }
        return;
    }
    for line in table::lines(findings) {
        out::line(format_args!("{line}"));
    }
    out::line(format_args!("{}", table::summary(findings)));
}

fn write(page: &Path, findings: &[(&Row, Finding)]) -> Result<(), String> {
    let text = fs::read_to_string(page).map_err(|what| what.to_string())?;
    fs::write(page, table::update(&text, findings)?).map_err(|what| what.to_string())
}
