//! One run of one scenario, from its settings to what it showed.

use std::{
    collections::BTreeMap,
    panic::{self, AssertUnwindSafe},
    time::Duration,
};

use serde::Serialize;

use crate::{
    broken::{Broken, Outcome},
    check::bounds::quiet_limit,
    figures::{Figures, Summary},
    scenario::Scenario,
    trace::Reader,
    world::{Options, World},
};

/// How long everything may take to come to rest when a scenario is over.
const REST: Duration = Duration::from_mins(2);
/// How long nothing is done at the end, to see that nobody talks endlessly.
const QUIET: Duration = Duration::from_secs(40);
/// The last part of it, in which the bytes are counted.
const COUNTED: Duration = Duration::from_secs(20);

/// What one run showed.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The scenario.
    pub scenario: &'static str,
    /// Its hosts.
    pub nodes: usize,
    /// Its seed.
    pub seed: u64,
    /// Whether everything held.
    pub ok: bool,
    /// What broke, if anything did.
    pub broken: Option<String>,
    /// If something broke: every host at that moment.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// The command that runs it again.
    pub replay: String,
    /// Two runs of one seed have the same.
    pub trace: String,
    /// The nodes did not meet one by one: the cluster was settled from the start.
    pub settled: bool,
    /// Virtual time at the end, in microseconds.
    pub virtual_us: u64,
    /// Events in the trace.
    pub events: u64,
    /// Datagrams sent.
    pub datagrams: u64,
    /// Bytes sent, datagrams and streams.
    pub bytes: u64,
    /// Times, as percentiles.
    pub times: BTreeMap<String, Summary>,
    /// Other numbers.
    pub numbers: BTreeMap<String, u64>,
    /// The samples behind `times`.
    #[serde(skip)]
    pub figures: Figures,
}

/// Runs a scenario with these settings; `reader` is shown its trace, if there is one.
pub fn run(
    scenario: &Scenario,
    mut options: Options,
    reader: Option<Box<dyn Reader>>,
    replay: String,
) -> Report {
    (scenario.tune)(&mut options);
    let (seed, nodes) = (options.seed.0, options.nodes);
    let mut world = World::new(options);
    if let Some(reader) = reader {
        world.fabric.trace.show_to(reader);
    }
    // A panic in a core is a finding like any other, and must name its seed.
    let result = panic::catch_unwind(AssertUnwindSafe(|| whole(scenario, &mut world)));
    let broken = match result {
        Ok(Ok(())) => None,
        Ok(Err(broken)) => Some(broken),
        Err(panic) => Some(panicked(&world, panic.as_ref())),
    };
    if let Some(broken) = &broken {
        let text = broken.to_string();
        world.note(format_args!("BROKEN    {text}"));
    }
    let broken_now = broken.is_some();
    let traffic = (0..nodes).map(|host| world.fabric.traffic(host).datagrams);
    Report {
        scenario: scenario.name,
        nodes,
        seed,
        ok: broken.is_none(),
        broken: broken.map(|broken| broken.to_string()),
        hosts: if broken_now { world.describe() } else { Vec::new() },
        replay,
        trace: format!("{:016x}", world.fabric.trace.hash()),
        settled: world.settled,
        virtual_us: world.now().0,
        events: world.fabric.trace.events(),
        datagrams: traffic.sum(),
        bytes: world.bytes_sent(),
        times: world.figures.summaries(),
        numbers: world.figures.numbers().clone(),
        figures: world.figures,
    }
}

fn whole(scenario: &Scenario, world: &mut World) -> Outcome {
    (scenario.run)(world)?;
    world.settle(REST)?;
    world.run_for(QUIET.saturating_sub(COUNTED))?;
    let before = world.bytes_sent();
    world.run_for(COUNTED)?;
    let live = world.running().len().max(1) as u64;
    let rate = (world.bytes_sent() - before) / COUNTED.as_secs() / live;
    world.figures.number("at rest, bytes per second and node", rate);
    let limit = quiet_limit(world.options());
    if rate > limit {
        let what = format!("{rate} bytes per second and node at rest, limit {limit}");
        return Err(world.broken("bounds", what));
    }
    world.settle(Duration::from_secs(10)).map(|_| ())
}

fn panicked(world: &World, panic: &(dyn std::any::Any + Send)) -> Broken {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    world.broken("no panic", text.unwrap_or_default())
}
