//! `report`: a page with plots. Runs what it shows itself.

use std::{collections::BTreeMap, fs, path::PathBuf, process::ExitCode};

use clap::Args;
use netdb_sim::{
    figures::Figures,
    page::{Page, Section, spread, story::Story},
    plot::{Axis, Chart, Series, Style, chart::distribution},
    report::{self, Report},
    scenario::{self, Scenario},
    suite::value::Unit,
};

use super::{
    Network, named, out,
    pool::{self, Done, Job},
    progress::Progress,
    unknown,
};

/// Loss of the lossy plots, in percent.
const LOSSY: u32 = 20;
const CREATE: &str = "create";
const SEEN: &str = "one write seen by all";
const IDLE: &str = "idle";
const IDLE_RATE: &str = "idle bytes per second and node";
/// What `NetworkDB` sends per second and node when idle, by nodes.
const IDLE_NETWORKDB: [(f64, f64); 2] = [(50.0, 166.0), (200.0, 202.0)];

#[derive(Args)]
pub(super) struct Options {
    /// The page to write
    #[arg(long, value_name = "PAGE", default_value = "report.html")]
    out: PathBuf,
    /// The run whose timeline and traffic are shown
    #[arg(long, default_value = "churn")]
    scenario: String,
    /// Its seed, and the first one of the others
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Sizes that are compared, with commas
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "10,25,100")]
    nodes: Vec<usize>,
    /// Seeds of each size
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// Runs at a time [default: one per core]
    #[arg(long)]
    jobs: Option<usize>,
}

/// Figures by scenario, nodes and loss in percent.
type Measured = BTreeMap<(&'static str, usize, u32), Figures>;

pub(super) fn main(options: &Options) -> ExitCode {
    let Some(scenario) = named(&options.scenario).and_then(|mut all| all.pop()) else {
        return unknown(&options.scenario);
    };
    let (measured, mut broken) = measure(options);
    let (story, run) = tell(&scenario, options.seed);
    broken.extend(run.broken.is_some().then_some(run.clone()));
    let mut sections = vec![
        convergence(options, &measured, 0),
        convergence(options, &measured, LOSSY),
        spreads(options),
        idle(options, &measured),
        traffic(&story, &run),
        timeline(&story, &run),
    ];
    sections.retain(|section| !section.picture.is_empty());
    let page = Page {
        title: "netdb: convergence in the simulator".into(),
        about: format!(
            "Measured in virtual time with netdb-sim {}: 1 ms ± 0.2 ms one way, gigabit ports, {} seeds from \
             {} on. The same seeds give the same page.",
            env!("CARGO_PKG_VERSION"),
            options.seeds,
            options.seed,
        ),
        sections,
    };
    if let Err(what) = fs::write(&options.out, page.html()) {
        out::error(format_args!("{}: {what}", options.out.display()));
        return ExitCode::from(2);
    }
    out::line(format_args!("{}", options.out.display()));
    for report in &broken {
        let what = report.broken.as_deref().unwrap_or_default();
        out::error(format_args!("BROKEN: {what}\nreplay: {}", report.replay));
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs everything that is compared by size.
fn measure(options: &Options) -> (Measured, Vec<Report>) {
    let mut jobs: Vec<(Job, u32)> = Vec::new();
    let mut add = |name: &str, nodes: usize, loss: u32, seeds: u64| {
        let Some(scenario) = scenario::named(name) else { return };
        let network = Network { loss: loss.into(), ..Network::default() };
        let nodes = nodes.max(scenario.fewest());
        for seed in options.seed..options.seed.saturating_add(seeds) {
            let network = network.clone();
            jobs.push((Job { scenario, nodes, seed, network, twice: false }, loss));
        }
    };
    for nodes in &options.nodes {
        add(CREATE, *nodes, 0, options.seeds);
        add(CREATE, *nodes, LOSSY, options.seeds);
        add(IDLE, *nodes, 0, 1);
    }
    let (jobs, losses): (Vec<Job>, Vec<u32>) = jobs.into_iter().unzip();
    let mut measured = Measured::new();
    let mut broken = Vec::new();
    let mut progress = Progress::of(jobs.len());
    pool::run(&jobs, options.jobs, |Done { index, report, .. }| {
        let loss = losses.get(index).copied().unwrap_or_default();
        let figures = measured.entry((report.scenario, report.nodes, loss)).or_default();
        figures.merge(&report.figures);
        progress.done(&report);
        if !report.ok {
            broken.push(report);
        }
    });
    progress.clear();
    (measured, broken)
}

/// One run with its story.
fn tell(scenario: &Scenario, seed: u64) -> (Story, Report) {
    let story = Story::default();
    let network = Network::default();
    let settings = network.options(seed, scenario.nodes);
    let command = network.replay(scenario, scenario.nodes, seed);
    let report = report::run(scenario, settings, Some(Box::new(story.clone())), command);
    (story, report)
}

fn convergence(options: &Options, measured: &Measured, loss: u32) -> Section {
    let (mut series, mut rows) = (Vec::new(), Vec::new());
    for nodes in &options.nodes {
        let Some(figures) = measured.get(&(CREATE, *nodes, loss)) else { continue };
        let samples: Vec<f64> = figures.samples(SEEN).iter().map(|us| millis(*us)).collect();
        let name = format!("{nodes} nodes");
        if let Some(all) = figures.summary(SEEN) {
            let times = [all.p50_us, all.p90_us, all.p99_us, all.max_us];
            let times = times.map(|us| Unit::Time.show(us));
            rows.push([name.clone(), all.count.to_string()].into_iter().chain(times).collect());
        }
        series.push(Series { name, style: Style::Steps, points: distribution(&samples) });
    }
    let all =
        || series.iter().flat_map(|series: &Series| series.points.iter().map(|point| point.0));
    let (title, x, words) = if loss == 0 {
        (
            "How long until every node sees a write".to_owned(),
            Axis::from_zero("milliseconds", all()),
            "Single writes by random nodes; the share of them that all nodes have seen after some time. \
             NetworkDB's median is 304 ms with 10 nodes, 457 ms with 25, 671 ms with 100.",
        )
    } else {
        (
            format!("The same while {loss} % of all datagrams are lost"),
            Axis::logarithmic("milliseconds, logarithmic", all()),
            "NetworkDB's median is 566 ms with 25 nodes, 842 ms with 100.",
        )
    };
    let y = Axis::from_zero("% of writes", [100.0]);
    let id = format!("convergence-{loss}");
    let chart = Chart { id, title: title.clone(), description: words.into(), x, y, series };
    let head = ["", "writes", "p50", "p90", "p99", "longest"].map(str::to_owned).to_vec();
    Section { title, words: words.into(), picture: chart.draw(), head, rows }
}

fn spreads(options: &Options) -> Section {
    let (mut series, mut rows) = (Vec::new(), Vec::new());
    let losses = options.nodes.iter().map(|nodes| (*nodes, 0));
    for (nodes, loss) in losses.chain(options.nodes.iter().max().map(|nodes| (*nodes, LOSSY))) {
        let network = Network { loss: loss.into(), ..Network::default() };
        let told = match spread::measure(network.options(options.seed, nodes)) {
            Ok(told) => told,
            Err(broken) => {
                out::error(format_args!("the spread of an update with {nodes} nodes: {broken}"));
                continue;
            }
        };
        let name = match loss {
            0 => format!("{nodes} nodes"),
            loss => format!("{nodes} nodes, {loss} % loss"),
        };
        let times: Vec<f64> = told.iter().map(|us| millis(*us)).collect();
        let at = |index: usize| told.get(index).map_or_else(String::new, |us| Unit::Time.show(*us));
        rows.push(vec![
            name.clone(),
            told.len().to_string(),
            at(told.len() / 2),
            at(told.len() - 1),
        ]);
        series.push(Series { name, style: Style::Steps, points: distribution(&times) });
    }
    let points = || series.iter().flat_map(|series: &Series| series.points.iter());
    let title = "How one update spreads".to_owned();
    let words = "The nodes that have seen one update after some time; of 21 updates the one of medium length.";
    let chart = Chart {
        id: "spread".into(),
        title: title.clone(),
        description: words.into(),
        x: Axis::from_zero("milliseconds", points().map(|point| point.0)),
        y: Axis::from_zero("% of nodes", [100.0]),
        series,
    };
    let head = ["", "nodes", "half of them", "all of them"].map(str::to_owned).to_vec();
    Section { title, words: words.into(), picture: chart.draw(), head, rows }
}

fn idle(options: &Options, measured: &Measured) -> Section {
    let mut points = Vec::new();
    for nodes in &options.nodes {
        let rate = measured.get(&(IDLE, *nodes, 0)).and_then(|figures| figures.lowest(IDLE_RATE));
        points.extend(rate.map(|rate| (float(*nodes as u64), float(rate))));
    }
    points.sort_unstable_by(|one, other| one.0.total_cmp(&other.0));
    let rows =
        points.iter().map(|(nodes, rate)| vec![format!("{nodes}"), format!("{rate:.0} B/s")]);
    let rows = rows.collect();
    let ours = Series { name: "here".into(), style: Style::Dots, points };
    let theirs =
        Series { name: "NetworkDB".into(), style: Style::Dots, points: IDLE_NETWORKDB.to_vec() };
    let series = vec![ours, theirs];
    let all = || series.iter().flat_map(|series| series.points.iter());
    let title = "What an idle node sends".to_owned();
    let words = "Bytes per second and node while nothing happens, with headers of IP and UDP.";
    let chart = Chart {
        id: "idle".into(),
        title: title.clone(),
        description: words.into(),
        x: Axis::logarithmic("nodes, logarithmic", all().map(|point| point.0)),
        y: Axis::from_zero("bytes per second and node", all().map(|point| point.1)),
        series,
    };
    let head = ["nodes", "here"].map(str::to_owned).to_vec();
    Section { title, words: words.into(), picture: chart.draw(), head, rows }
}

fn traffic(story: &Story, run: &Report) -> Section {
    let (bytes, hosts) = story.traffic();
    let hosts = float(hosts.max(1) as u64);
    let points: Vec<(f64, f64)> = (0_u64..)
        .zip(&bytes)
        .map(|(second, bytes)| (float(second), float(*bytes) / hosts))
        .collect();
    let title = format!("What reaches a node during {} with seed {}", run.scenario, run.seed);
    let words = format!(
        "Bytes per second that arrive at one of {} nodes on average, datagrams and streams.",
        run.nodes
    );
    let chart = Chart {
        id: "traffic".into(),
        title: title.clone(),
        description: words.clone(),
        x: Axis::from_zero("virtual seconds", points.iter().map(|point| point.0)),
        y: Axis::from_zero("bytes per second and node", points.iter().map(|point| point.1)),
        series: vec![Series { name: "bytes per second".into(), style: Style::Steps, points }],
    };
    Section { title, words, picture: chart.draw(), ..Section::default() }
}

fn timeline(story: &Story, run: &Report) -> Section {
    let title = format!("What happened in it: {}, {} nodes", run.scenario, run.nodes);
    let words = format!(
        "When each host ran, what others thought of it, and when not everybody reached everybody. \
         {} Point at a mark to read it; the trace has all of it: {}",
        if run.ok { "Every invariant held." } else { "An invariant broke." },
        run.replay
    );
    let timeline = story.timeline("timeline", &title, &words);
    let mut rows = Vec::new();
    for lane in &timeline.lanes {
        rows.extend(lane.marks.iter().map(|mark| vec![lane.name.clone(), mark.words.clone()]));
    }
    let head = ["host", "noticed"].map(str::to_owned).to_vec();
    Section { picture: timeline.draw(), title, words, head, rows }
}

fn millis(us: u64) -> f64 {
    float(us) / 1_000.0
}

#[expect(clippy::cast_precision_loss, reason = "positions in a picture")]
fn float(n: u64) -> f64 {
    n as f64
}
