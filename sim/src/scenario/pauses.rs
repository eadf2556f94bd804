//! A day of pauses: collectors of garbage and frozen machines. Short ones must not look like death.

use std::{collections::BTreeMap, time::Duration};

use super::{Scenario, value};
use crate::{
    broken::Outcome,
    world::{Options, Sightings, Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "pauses",
    about: "24 h with 1 % loss: 2 s pauses remove nobody, 10 s pauses once, and rows return soon",
    nodes: 100,
    tune,
    run,
};

const HOURS: u64 = 24;
const MINUTES: u64 = 60;
const SHORT: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(10);
/// One percent.
const LOSS: u32 = 10_000;
const KEY: &str = "endpoint-0000000";

fn tune(options: &mut Options) {
    options.link.loss = options.link.loss.max(LOSS);
}

#[derive(Default)]
struct Count {
    removed_by_short: u64,
    long: u64,
    removed_by_long: u64,
}

fn run(world: &mut World) -> Outcome {
    let table = Table::owner("net", "endpoints");
    world.start()?;
    world.attach_all("net")?;
    for host in world.running() {
        world.put(host, &table, KEY, &value(host))?;
    }
    world.settle(Duration::from_secs(30))?;
    let mut count = Count::default();
    for _ in 0..HOURS {
        for minute in 0..MINUTES {
            let minute_ends = world.now() + Duration::from_mins(1);
            if minute == MINUTES / 2 {
                long(world, &table, &mut count)?;
            } else {
                short(world, &mut count)?;
            }
            world.run_until(minute_ends)?;
        }
    }
    world.figures.number("removed by a short pause", count.removed_by_short);
    world.figures.number("long pauses", count.long);
    world.figures.number("removed by a long pause", count.removed_by_long);
    Ok(())
}

/// A short pause; whoever is called failed until shortly before the next one was removed by it.
fn short(world: &mut World, count: &mut Count) -> Outcome {
    let before = world.sightings().failed.clone();
    let host = world.draws.index(world.hosts().len());
    world.pause(host, SHORT);
    world.run_for(Duration::from_secs(50))?;
    count.removed_by_short += u64::from(world.sightings().failed != before);
    Ok(())
}

/// A long pause: counts if every other node calls the host failed once, and alive once afterwards, and
/// nobody else was called failed.
fn long(world: &mut World, table: &Table, count: &mut Count) -> Outcome {
    let before = world.sightings().clone();
    let host = world.draws.index(world.hosts().len());
    let row = world.row_of(host, table, KEY)?;
    world.pause(host, LONG);
    world.run_for(LONG)?;
    world.time_write_but(table, &row, &value(host), &[host])?;
    world.await_timed("awake, its rows visible again", Duration::from_secs(30))?;
    world.run_for(Duration::from_secs(20))?;
    count.long += 1;
    let observers: Vec<usize> = (0..world.hosts().len()).filter(|other| *other != host).collect();
    let once = |of: fn(&Sightings) -> &BTreeMap<(usize, usize), u64>| {
        let seen =
            |sightings, observer: usize| of(sightings).get(&(observer, host)).copied().unwrap_or(0);
        observers.iter().all(|o| seen(world.sightings(), *o) == seen(&before, *o) + 1)
    };
    let mistaken = |sightings: &Sightings| -> u64 {
        sightings.failed.iter().filter(|(pair, _)| pair.1 != host).map(|(_, times)| times).sum()
    };
    let others_stay = mistaken(world.sightings()) == mistaken(&before);
    count.removed_by_long += u64::from(others_stay && once(|s| &s.failed) && once(|s| &s.returned));
    Ok(())
}
