//! A host goes dark: suspected, hidden; it returns and so do its rows.

use std::time::Duration;

use netdb_core::node::MemberState;

use super::{Scenario, untuned, value};
use crate::{
    broken::Outcome,
    world::{Disk, Stop, Table, World},
};

pub(super) const SCENARIO: Scenario = Scenario {
    name: "kill",
    about: "a host goes dark: suspected and hidden on all others; it returns and its rows are visible again",
    nodes: 25,
    tune: untuned,
    run,
};

const ROWS: usize = 20;

fn run(world: &mut World) -> Outcome {
    let table = Table::owner("net", "endpoints");
    world.start()?;
    world.attach_all("net")?;
    for host in world.running() {
        for n in 0..ROWS {
            world.put(host, &table, &format!("{host}-{n}"), &value(n))?;
        }
    }
    world.settle(Duration::from_secs(30))?;
    for _ in 0..3 {
        let victim = world.draws.index(world.hosts().len());
        world.run_for_between(0, 1_000_000)?;
        once(world, &table, victim)?;
    }
    Ok(())
}

fn once(world: &mut World, table: &Table, victim: usize) -> Outcome {
    let row = world.row_of(victim, table, &format!("{victim}-0"))?;
    let Some(id) = world.host(victim).map(|host| host.id) else { return Ok(()) };
    world.stop(victim, Stop::PowerOff)?;
    let killed = world.now();
    world.time_gone(table, &row)?;
    let unsuspecting = |world: &World, host: usize| {
        let members = world.node(host).map(netdb_core::node::Node::members).unwrap_or_default();
        members.iter().any(|info| info.member.id == id && info.state == MemberState::Alive)
    };
    world.await_until("membership", Duration::from_mins(1), |world| {
        let host = world.running().into_iter().find(|host| unsuspecting(world, *host))?;
        Some(format!("n{host} still takes n{victim} for alive"))
    })?;
    let suspected = world.now().since(killed);
    world.figures.time("killed, suspected on all", suspected);
    world.await_timed("killed, hidden on all", Duration::from_mins(1))?;
    world.settle(Duration::from_mins(1))?;

    world.restart(victim, Disk::Kept)?;
    world.await_ready(victim)?;
    for n in 0..ROWS {
        // New values: those of before, which the others kept, would be back before it says a word.
        world.timed_put(victim, table, &format!("{victim}-{n}"), &value(ROWS + n))?;
    }
    world.mark_complete(victim, "net")?;
    world.await_timed("back, a row visible on all", Duration::from_mins(1))?;
    world.settle(Duration::from_mins(1)).map(|_| ())
}
