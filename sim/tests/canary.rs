//! Worlds in which something is broken on purpose: the checks must say so, and say what.
// Helpers of tests may stop a test; clippy only knows functions marked as tests.
#![allow(clippy::expect_used)]

use std::time::Duration;

use netdb_sim::{
    broken::Outcome,
    records::written,
    world::{Disk, Options, Sabotage, Stop, Table, World},
};
use netnode_plan::{
    records::{EndpointRecord, Mac, NetworkId},
    ring::{Space, Wish},
};

const REST: Duration = Duration::from_secs(20);

/// A small cluster with a few rows of both lifetimes.
fn cluster(seed: u64) -> Outcome<World> {
    let mut world = World::new(Options::lan(seed, 5));
    world.start()?;
    world.attach_all("net")?;
    for host in world.running() {
        world.put(host, &services(), &format!("service-{host}"), "here")?;
        world.put(host, &Table::owner("net", "endpoints"), &format!("endpoint-{host}"), "here")?;
    }
    world.settle(REST)?;
    Ok(world)
}

fn services() -> Table {
    Table::cluster("net", "services")
}

/// The invariant that `script` breaks.
fn broken(script: impl FnOnce(&mut World) -> Outcome) -> &'static str {
    let mut world = cluster(1).expect("nothing is wrong yet");
    script(&mut world).expect_err("a check must notice").invariant
}

#[test]
fn a_world_without_sabotage_holds() {
    let mut world = cluster(1).expect("nothing is wrong");
    world.put(1, &services(), "one-more", "row").expect("a live node takes a write");
    world.settle(REST).expect("nothing is wrong");
}

#[test]
fn a_node_that_hears_nothing_is_noticed() {
    let invariant = broken(|world| {
        world.sabotage(2, Sabotage::Deaf);
        world.put(1, &services(), "unheard", "row")?;
        world.settle(REST).map(drop)
    });
    assert!(["convergence", "membership"].contains(&invariant), "{invariant}");
}

#[test]
fn a_name_that_one_node_never_learns_is_noticed() {
    let invariant = broken(|world| {
        let network = NetworkId([7; 16]);
        world.attach_all(&network.to_string())?;
        world.sabotage(3, Sabotage::DropsRow(b"000".to_vec()));
        let record = EndpointRecord {
            network,
            name: world.name("api")?,
            aliases: Vec::new(),
            addresses: "10.0.0.1/24".parse().into_iter().collect(),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            sandbox: String::new(),
            tunnels: Vec::new(),
            moves: 0,
            mtu: 1450,
            backend: None,
        };
        let table = Table::owner(&network.to_string(), "endpoints");
        world.put(1, &table, "0000000000000001", &written(&record))?;
        world.run_for(REST * 4)
    });
    assert_eq!(invariant, "names");
}

#[test]
fn a_row_that_one_node_drops_is_noticed() {
    let invariant = broken(|world| {
        world.sabotage(3, Sabotage::DropsRow(b"dropped".to_vec()));
        world.put(1, &services(), "dropped", "row")?;
        world.settle(REST).map(drop)
    });
    assert_eq!(invariant, "agreement of views");
}

#[test]
fn a_row_that_all_nodes_drop_is_noticed() {
    let invariant = broken(|world| {
        for host in world.running() {
            world.sabotage(host, Sabotage::DropsRow(b"dropped".to_vec()));
        }
        world.put(1, &services(), "dropped", "row")?;
        world.settle(REST).map(drop)
    });
    assert_eq!(invariant, "no acknowledged write lost");
}

#[test]
fn an_event_told_twice_is_noticed() {
    let invariant = broken(|world| {
        world.sabotage(0, Sabotage::RepeatsEvents);
        world.put(1, &services(), "twice", "row")?;
        world.settle(REST).map(drop)
    });
    assert_eq!(invariant, "event order");
}

#[test]
fn a_deleted_row_that_returns_is_noticed() {
    let invariant = broken(|world| {
        world.sabotage(0, Sabotage::Revives);
        world.delete(1, &services(), "service-1")?;
        world.settle(REST).map(drop)
    });
    assert_eq!(invariant, "nothing deleted returns");
}

#[test]
fn disks_that_write_nothing_are_noticed() {
    let invariant = broken(|world| {
        for host in world.running() {
            world.sabotage(host, Sabotage::ForgetsCommits);
        }
        world.put(1, &services(), "forgotten", "row")?;
        world.settle(REST)?;
        for host in world.running() {
            world.stop(host, Stop::PowerOff)?;
        }
        for host in 0..world.hosts().len() {
            world.restart(host, Disk::Kept)?;
        }
        world.settle(Duration::from_mins(1)).map(drop)
    });
    assert_eq!(invariant, "no acknowledged write lost");
}

#[test]
fn a_number_that_is_given_twice_is_noticed() {
    let invariant = broken(|world| {
        world.found_space(0, Space::plain(64).expect("there are numbers"))?;
        world.run_for(Duration::from_secs(21))?;
        world.take_number(1, Wish::Any)?;
        world.run_for(Duration::from_secs(1))?;
        world.sabotage(1, Sabotage::ForgetsGiven);
        world.stop(1, Stop::Kill)?;
        world.restart(1, Disk::Kept)?;
        // What it gave is shown no more, and has rested.
        world.run_for(Duration::from_mins(3))?;
        world.take_number(1, Wish::Any)?;
        world.run_for(Duration::from_secs(6))
    });
    assert_eq!(invariant, "one user per number");
}
