//! Apart for longer than deletes are remembered: nothing deleted comes back, nothing live is lost.

use std::{collections::BTreeSet, time::Duration};

use super::{Scenario, value};
use crate::{
    broken::Outcome,
    world::{Options, Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "long-partition",
    about: "apart longer than tombstones live: deletes, overwrites, creates of the same keys on both sides",
    nodes: 10,
    tune,
    run,
};

/// How long deletes are remembered here, and for how long the halves are apart.
const LIFE: Duration = Duration::from_secs(20);
const APART: Duration = Duration::from_secs(90);
/// Keys per case.
const KEYS: usize = 5;

fn tune(options: &mut Options) {
    options.config.tombstone_life = LIFE;
}

fn run(world: &mut World) -> Outcome {
    let table = Table::cluster("net", "services");
    world.forgets_tombstones = true;
    world.start()?;
    world.attach_all("net")?;
    let key = |case: &str, n: usize| format!("{case}-{n}");
    let cases =
        ["deleted-here", "deleted-both", "deleted-overwritten", "overwritten-deleted", "renewed"];
    for n in 0..KEYS {
        for case in cases {
            world.put(0, &table, &key(case, n), "before")?;
        }
    }
    world.settle(Duration::from_secs(30))?;

    let [near, far] = world.halves();
    let (Some(&here), Some(&there)) = (near.first(), far.first()) else { return Ok(()) };
    world.partition(&[near]);
    world.run_for(Duration::from_secs(5))?;
    for n in 0..KEYS {
        world.delete(here, &table, &key("deleted-here", n))?;
        world.delete(here, &table, &key("deleted-both", n))?;
        world.delete(there, &table, &key("deleted-both", n))?;
        world.delete(here, &table, &key("deleted-overwritten", n))?;
        world.put(there, &table, &key("deleted-overwritten", n), "there")?;
        world.put(here, &table, &key("overwritten-deleted", n), "here")?;
        world.delete(there, &table, &key("overwritten-deleted", n))?;
        world.delete(here, &table, &key("renewed", n))?;
        world.put(here, &table, &key("created-both", n), "here")?;
        world.put(there, &table, &key("created-both", n), "there")?;
        world.put(there, &table, &key("passing", n), "there")?;
        world.run_for(Duration::from_millis(200))?;
        world.put(here, &table, &key("renewed", n), &value(n))?;
        world.delete(there, &table, &key("passing", n))?;
    }
    world.run_for(APART)?;
    world.heal();
    let healed = world.now();
    world.await_converged(Duration::from_mins(1))?;
    let took = world.now().since(healed);
    world.figures.time("healed, all agree", took);

    let gone = ["deleted-here", "deleted-both", "passing"];
    let revived = revived(world, &table, &gone)?;
    world.figures.number("deleted rows alive again", revived);
    for case in gone {
        (0..KEYS).try_for_each(|n| world.expect_row(there, &table, &key(case, n), false))?;
    }
    for case in ["renewed", "created-both", "deleted-overwritten", "overwritten-deleted"] {
        (0..KEYS).try_for_each(|n| world.expect_row(there, &table, &key(case, n), true))?;
    }
    Ok(())
}

/// Rows of these cases that any host shows.
fn revived(world: &World, table: &Table, cases: &[&str]) -> Outcome<u64> {
    let network = world.name("net")?;
    let mut alive = BTreeSet::new();
    for host in world.running() {
        let rows = world.rows_of(host, &network);
        for (case, n) in cases.iter().flat_map(|case| (0..KEYS).map(move |n| (case, n))) {
            let row = world.row_of(host, table, &format!("{case}-{n}"))?;
            if rows.contains_key(&row) {
                alive.insert(row);
            }
        }
    }
    Ok(alive.len() as u64)
}
