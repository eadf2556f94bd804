//! Keys change: under load, with a node asleep through it, and on two sides of a partition.

use std::time::Duration;

use netdb_core::node::RotationStep;

use super::{Scenario, untuned, value};
use crate::{
    broken::Outcome,
    world::{Options, Table, World},
};

pub(super) const LOAD: Scenario = Scenario {
    name: "rotation",
    about: "the key is rotated twice under load: nothing is lost, nobody is locked out",
    nodes: 10,
    tune: untuned,
    run: load,
};

pub(super) const ASLEEP: Scenario = Scenario {
    name: "rotation-asleep",
    about: "a node sleeps through two rotations: it reads the cluster again soon after it wakes",
    nodes: 10,
    tune: short,
    run: asleep,
};

pub(super) const APART: Scenario = Scenario {
    name: "rotation-apart",
    about: "two halves rotate on their own: they find together again",
    nodes: 10,
    tune: short,
    run: apart,
};

/// Retired keys are dropped soon, so that a node can miss one.
const RETIRE: Duration = Duration::from_secs(5);
const ROTATED: Duration = Duration::from_mins(1);

fn short(options: &mut Options) {
    options.config.key_retire_after = RETIRE;
}

fn prepare(world: &mut World) -> Outcome<Table> {
    let table = Table::owner("net", "endpoints");
    world.start()?;
    world.attach_all("net")?;
    for host in world.running() {
        world.put(host, &table, "endpoint-0", &value(host))?;
    }
    world.settle(Duration::from_secs(30))?;
    Ok(table)
}

fn load(world: &mut World) -> Outcome {
    let table = prepare(world)?;
    for _ in 0..2 {
        let before = world.now();
        rotate(world, 0)?;
        let mut n = 0;
        while let Some(what) = rotating(world, &[]) {
            let hosts = world.running();
            let host = world.draws.pick(&hosts).copied().unwrap_or(0);
            world.timed_put(host, &table, &format!("endpoint-{}", n % 50), &value(n))?;
            world.await_timed("a write seen by all meanwhile", Duration::from_secs(10))?;
            world.run_for(Duration::from_millis(10))?;
            n += 1;
            if world.now().since(before) > ROTATED * 4 {
                return Err(world.broken("keyring", format!("the rotation does not end: {what}")));
            }
        }
        let took = world.now().since(before);
        world.figures.time("rotated on all", took);
    }
    Ok(())
}

fn asleep(world: &mut World) -> Outcome {
    let table = prepare(world)?;
    let sleeper = world.hosts().len() - 1;
    let wakes = world.now() + ROTATED * 3;
    world.pause(sleeper, ROTATED * 3);
    world.run_for(Duration::from_secs(10))?;
    for _ in 0..2 {
        rotate(world, 0)?;
        world.await_until("keyring", ROTATED, |world| rotating(world, &[sleeper]))?;
    }
    world.run_until(wakes)?;
    world.timed_put(0, &table, "endpoint-1", "read this")?;
    world.await_timed("awake, a write read", Duration::from_secs(30))
}

fn apart(world: &mut World) -> Outcome {
    prepare(world)?;
    let [near, far] = world.halves();
    world.partition(core::slice::from_ref(&near));
    world.run_for(Duration::from_secs(15))?;
    for (side, other) in [(&near, &far), (&far, &near)] {
        let Some(&host) = side.first() else { return Ok(()) };
        rotate(world, host)?;
        world.await_until("keyring", ROTATED, |world| rotating(world, other))?;
    }
    world.run_for(RETIRE * 3)?;
    world.heal();
    let healed = world.now();
    world.settle(Duration::from_mins(2))?;
    let took = world.now().since(healed);
    world.figures.time("healed, one key on all", took);
    Ok(())
}

fn rotate(world: &mut World, host: usize) -> Outcome {
    let done = world.on(host, netdb_core::node::Node::rotate)?;
    done.map_err(|what| world.broken("keyring", format!("n{host}: {what}")))?;
    // The step shows on the others once its record has reached them.
    world.run_for(Duration::from_millis(200))
}

/// What the rotation still waits for on any running node but these.
fn rotating(world: &World, except: &[usize]) -> Option<String> {
    let hosts = world.running().into_iter().filter(|host| !except.contains(host));
    hosts.into_iter().find_map(|host| match world.node(host)?.keys().rotation {
        RotationStep::Idle => None,
        step => Some(format!("n{host} is at {step:?}")),
    })
}
