//! Scenarios: scripts of a few lines. Each file has one (or two that share their steps); [`all`] names them.
//!
//! To add one: copy a short file, give it a name and a line that says what must come true, and list it
//! in [`all`]. A scenario only does and waits; what must hold in every run is checked by itself.

mod addresses;
mod all_restart;
mod attach;
mod blind;
mod burst;
mod churn;
mod clock_skew;
mod cold_start;
mod concurrent;
mod create;
mod forged_future;
mod idle;
mod join_populated;
mod kill;
mod large;
mod leave;
mod long_partition;
mod lost_push;
mod moves;
mod names;
mod old_disk;
mod partition;
mod pauses;
mod relay;
mod restart;
mod rolling;
mod rotation;
mod steady;

use std::time::Duration;

use crate::{
    broken::Outcome,
    world::{Options, World},
};

/// One scenario.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// What it is called on the command line.
    pub name: &'static str,
    /// One line for `list`.
    pub about: &'static str,
    /// How many hosts it has unless told otherwise.
    pub nodes: usize,
    /// Changes the settings before the world is made.
    pub tune: fn(&mut Options),
    /// The script. Afterwards everything must come to rest by itself.
    pub run: fn(&mut World) -> Outcome,
}

impl Scenario {
    /// How few hosts any scenario can do with.
    pub fn fewest(&self) -> usize {
        FEWEST
    }
}

/// Scripts name hosts up to this one.
const FEWEST: usize = 4;

/// All scenarios, in the order in which they are listed.
pub fn all() -> Vec<Scenario> {
    vec![
        create::CREATE,
        create::UPDATE,
        create::DELETE,
        relay::SCENARIO,
        burst::BURST,
        burst::ALL_WRITE,
        attach::JOIN,
        attach::WRITE,
        attach::LEAVE,
        join_populated::JOIN,
        kill::SCENARIO,
        blind::KILL,
        blind::CUT,
        lost_push::SCENARIO,
        restart::SCENARIO,
        rolling::SCENARIO,
        all_restart::SCENARIO,
        cold_start::SCENARIO,
        leave::SCENARIO,
        partition::SCENARIO,
        long_partition::SCENARIO,
        concurrent::SCENARIO,
        forged_future::FEW,
        forged_future::MANY,
        clock_skew::SKEW,
        clock_skew::OFF,
        rotation::LOAD,
        rotation::ASLEEP,
        rotation::APART,
        old_disk::SCENARIO,
        idle::SCENARIO,
        join_populated::IDLE,
        steady::SCENARIO,
        large::SCENARIO,
        pauses::SCENARIO,
        addresses::CHURN,
        addresses::FULL,
        addresses::CROWD,
        moves::SCENARIO,
        names::SCENARIO,
        churn::SCENARIO,
    ]
}

/// The scenario of a name.
pub fn named(name: &str) -> Option<Scenario> {
    all().into_iter().find(|scenario| scenario.name == name)
}

/// Leaves the settings as they are.
fn untuned(_: &mut Options) {}

/// For scenarios in which nothing goes wrong: nobody may be suspected.
fn calm(options: &mut Options) {
    options.calm = true;
}

/// Starts every host and attaches it to `net`; returns when all is at rest.
fn start_attached(world: &mut World) -> Outcome {
    world.start()?;
    world.attach_all("net")?;
    world.settle(Duration::from_secs(30)).map(drop)
}

/// A value of 100 bytes that differs with `n`.
fn value(n: usize) -> String {
    format!("{n:0>100}")
}

/// A value that makes 100 bytes with a key of 16.
fn short_value(n: usize) -> String {
    format!("{n:0>84}")
}
