//! What a node finds on its disk at its start: a real disk, with records changed, gone or added. It starts
//! or says what is damaged; once it started, it lives, and starts again from what it leaves.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use netdb_core::{
    entry::Lifetime,
    node::{Node, Operation, Write},
};
use netdb_fuzz::{
    cluster::{NETWORK, name},
    lone::{Lone, past},
    script::{self, Script},
    seeds,
};

/// Puts a record of this key (its length first) and value.
const PUT: u8 = 0;
/// Gives the record at this place another value.
const REPLACE: u8 = 1;
/// Changes one byte of the record at this place: where, and by what.
const FLIP: u8 = 2;
/// Removes the record at this place.
const REMOVE: u8 = 3;

fuzz_target!(init: seeds::plant(seeds), |input: &[u8]| {
    let mut host = past().host.clone();
    for (operation, mut about) in Script::new(input) {
        if operation % 4 == PUT {
            let length = script::byte(&mut about).into();
            let key = script::bytes(&mut about, length);
            host.disk.insert(key.to_vec(), about.to_vec());
            continue;
        }
        let place = usize::from(script::byte(&mut about)) % host.disk.len().max(1);
        let Some(key) = host.disk.keys().nth(place).cloned() else { continue };
        match operation % 4 {
            REPLACE => drop(host.disk.insert(key, about.to_vec())),
            FLIP => flip(host.disk.get_mut(&key), about),
            _ => drop(host.disk.remove(&key)),
        }
    }
    let Ok(mut lone) = Lone::start_from(host, past().end + Duration::from_secs(2)) else { return };
    live(&mut lone);
    lone.end();
});

fn flip(value: Option<&mut Vec<u8>>, mut about: &[u8]) {
    let at = usize::from(script::byte(&mut about));
    if let Some(byte) = value.and_then(|value| value.get_mut(at)) {
        *byte ^= script::byte(&mut about);
    }
}

/// Does a bit of everything that a node's numbers grow by.
fn live(lone: &mut Lone) {
    lone.wait(Duration::from_secs(3));
    for network in [NETWORK, "other"] {
        // Whether it may is for the node to say; that it says so is all that counts.
        let _ = lone.call(|node, now| node.attach(now, &name(network)));
        for lifetime in [Lifetime::Owner, Lifetime::Cluster] {
            let _ = lone.call(|node, now| node.write(now, &write(network, lifetime)));
        }
    }
    let _ = lone.call(Node::rotate);
    lone.wait(Duration::from_secs(3));
    let _ = lone.call(|node, now| node.detach(now, &name(NETWORK)));
}

fn write(network: &str, lifetime: Lifetime) -> Write {
    Write {
        network: name(network),
        table: name("t"),
        lifetime,
        key: b"here".to_vec(),
        operation: Operation::Upsert,
        value: b"new".as_slice().into(),
    }
}

/// Every record of a real disk, by itself and all together.
fn seeds() -> Vec<Vec<u8>> {
    let put = |key: &[u8], value: &[u8]| {
        let length = u8::try_from(key.len()).expect("a short key");
        (PUT, [&[length], key, value].concat())
    };
    let disk = &past().host.disk;
    let mut scripts: Vec<Vec<(u8, Vec<u8>)>> =
        disk.iter().map(|(key, value)| vec![put(key, value)]).collect();
    scripts.push(disk.iter().map(|(key, value)| put(key, value)).collect());
    scripts.push(vec![(FLIP, vec![0, 3, 1]), (REMOVE, vec![9])]);
    scripts.push(vec![(REPLACE, vec![3, 1, 2, 3])]);
    // Numbers as high as they get: generation, clock, and the number of an attachment.
    let highest = [[0xfd].as_slice(), &[0xff; 8]].concat();
    scripts.push(vec![put(b"g", &highest)]);
    scripts.push(vec![put(b"t", &highest)]);
    scripts.push(vec![put(b"aother", &[0xfc, 0xff, 0xff, 0xff, 0xff, 0])]);
    scripts.push(vec![put(b"anet", &[0xfc, 0xff, 0xff, 0xff, 0xff, 1])]);
    let write = |script: Vec<(u8, Vec<u8>)>| {
        script::write(script.iter().map(|(operation, about)| (*operation, about.as_slice())))
    };
    scripts.into_iter().map(write).collect()
}
