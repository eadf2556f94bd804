//! What one held row costs in memory beyond its key and value, as the kernel counts it.
//!
//! Prints one line of JSON: `cargo bench --package netdb --bench memory -- 100000`. A process of its own
//! for each figure: what an allocator keeps for later would flatter the next.

#![allow(clippy::unwrap_used, reason = "a figure of what failed is none")]

use std::{fs, sync::Arc, time::Duration};

use netdb_core::{
    entry::{Dot, Entry, Lifetime, Writer},
    replica::Replica,
};
use netdb_gossip_core::{
    identity::{Generation, Name, NodeId},
    time::{Time, Wall},
};

const KEY: usize = 16;
const VALUE: usize = 100;
/// Writers that the rows are spread over, as over the nodes of a cluster.
const WRITERS: u64 = 100;
/// Between two writes: those of the last seconds are kept track of besides.
const BETWEEN_US: u64 = 10_000;

fn main() {
    // Cargo adds `--bench`.
    let rows = std::env::args().find_map(|word| word.parse().ok()).unwrap_or(100_000);
    let mut replica = Replica::new(Duration::from_mins(10), 1_000_000);
    let table = Name::new("endpoints").unwrap();
    // As when a message is unpacked.
    replica.intern(table.as_str());
    let before = resident();
    for number in 0..rows {
        let entry = entry(&replica, &table, number);
        replica.apply(Time(1), Wall(entry.at), entry, Duration::ZERO);
    }
    let grown = resident() - before;
    assert_eq!(replica.live() as u64, rows);
    let beyond = grown / rows - (KEY + VALUE) as u64;
    println!("{{\"rows\":{rows},\"bytes\":{grown},\"beyond_key_and_value\":{beyond}}}");
}

fn entry(replica: &Replica, table: &Name, number: u64) -> Entry {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(number % WRITERS).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    let node = NodeId(id);
    let writer =
        Writer { node, lifetime: Lifetime::Owner, generation: Generation(1), attachment: 1 };
    let dot = Dot { writer, sequence: number / WRITERS + 1 };
    let key = format!("endpoint-{number:07}").into_bytes();
    assert_eq!(key.len(), KEY);
    let value: Arc<[u8]> = [1; VALUE].into();
    let row = replica.row(table, Lifetime::Owner, &key, node);
    Entry::new(row, dot, number * BETWEEN_US, Some(value))
}

/// Bytes of this process in memory, `VmRSS` of `proc_pid_status(5)`.
fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().strip_suffix("kB").unwrap().trim().parse::<u64>().unwrap() * 1024
}
