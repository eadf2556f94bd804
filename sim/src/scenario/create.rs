//! One write, seen by all: the latency of a push, and how often the payload is sent for it.

use std::time::Duration;

use super::{Scenario, calm, start_attached, value};
use crate::{
    broken::Outcome,
    world::{Table, World},
};

pub(super) const CREATE: Scenario = Scenario {
    name: "create",
    about: "single writes by random nodes: how long until every node sees one",
    nodes: 10,
    tune: calm,
    run: create,
};

pub(super) const UPDATE: Scenario = Scenario {
    name: "update",
    about: "single updates of rows that are there: how long until every node sees one",
    nodes: 10,
    tune: calm,
    run: update,
};

pub(super) const DELETE: Scenario = Scenario {
    name: "delete",
    about: "single deletes by random nodes: how long until no node shows the row any more",
    nodes: 10,
    tune: calm,
    run: delete,
};

const SAMPLES: usize = 200;
/// Rows that are updated in turn.
const UPDATED: usize = 20;
/// What every value written here begins with.
const MARKER: [u8; 90] = [b'0'; 90];

fn pause(world: &mut World) -> Outcome {
    world.run_for_between(1, 50_000)
}

fn create(world: &mut World) -> Outcome {
    let table = Table::owner("net", "endpoints");
    start_attached(world)?;
    world.tap(&MARKER);
    for n in 0..SAMPLES {
        let writer = world.draws.index(world.hosts().len());
        world.timed_put(writer, &table, &format!("endpoint-{n:07}"), &value(n))?;
        world.await_timed("one write seen by all", Duration::from_secs(10))?;
        pause(world)?;
    }
    // What is late is sent too.
    world.settle(Duration::from_secs(30))?;
    let needed = (SAMPLES * (world.hosts().len() - 1)).max(1) as u64;
    let copies = world.tapped() * 100 / needed;
    world.figures.number("payload copies sent per node, hundredths", copies);
    Ok(())
}

fn update(world: &mut World) -> Outcome {
    let table = Table::owner("net", "endpoints");
    start_attached(world)?;
    let hosts = world.hosts().len();
    for n in 0..UPDATED {
        world.put(n % hosts, &table, &format!("endpoint-{n:07}"), "before")?;
    }
    world.settle(Duration::from_secs(30))?;
    for n in 0..SAMPLES {
        let row = n % UPDATED;
        world.timed_put(row % hosts, &table, &format!("endpoint-{row:07}"), &value(n))?;
        world.await_timed("one update seen by all", Duration::from_secs(10))?;
        pause(world)?;
    }
    Ok(())
}

fn delete(world: &mut World) -> Outcome {
    let table = Table::owner("net", "endpoints");
    start_attached(world)?;
    let hosts = world.hosts().len();
    for n in 0..SAMPLES {
        world.put(n % hosts, &table, &format!("endpoint-{n:07}"), &value(n))?;
    }
    world.settle(Duration::from_secs(30))?;
    for n in 0..SAMPLES {
        let (writer, key) = (n % hosts, format!("endpoint-{n:07}"));
        let row = world.row_of(writer, &table, &key)?;
        world.delete(writer, &table, &key)?;
        world.time_gone_everywhere(&table, &row)?;
        world.await_timed("one delete seen by all", Duration::from_secs(10))?;
        pause(world)?;
    }
    Ok(())
}
