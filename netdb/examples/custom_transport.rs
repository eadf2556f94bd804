//! A transport of your own, for tests: the core below `netdb` is a state machine that owns no socket, no
//! clock and no disk. Here two nodes exchange packets through a queue, in a time that this program makes
//! up: a minute of the cluster's life takes a moment, and each run is like the other.
//!
//! The contract: after every call that changes a node, drain `poll_output`; call `handle_timeout` when
//! `poll_timeout` says so.
//!
//! Run it with `cargo run -p netdb --example custom_transport`.

use std::{
    collections::{BTreeMap, VecDeque},
    error::Error,
    net::SocketAddr,
};

use netdb_core::{
    config::Config,
    entry::Lifetime,
    node::{Node, Operation, Output, Setup, Write},
    view::Filter,
};
use netdb_gossip_core::{
    identity::{ClusterId, Identity, Name, NodeId},
    time::{Now, Time, Wall},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

/// Microseconds.
const MINUTE: u64 = 60_000_000;
const EPOCH: u64 = 1_800_000_000_000_000;

/// Where a node's packets and messages go: to whoever has the address, at once and without loss.
#[derive(Default)]
struct Wire {
    now: u64,
    nodes: BTreeMap<SocketAddr, Node>,
    flying: VecDeque<(SocketAddr, Arrival)>,
}

enum Arrival {
    Packet { from: SocketAddr, bytes: Vec<u8> },
    Message { from: NodeId, bytes: Vec<u8> },
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut wire = Wire::default();
    let mut entropy = ChaCha20Rng::seed_from_u64(1);
    let addresses: [SocketAddr; 2] = [([10, 0, 0, 1], 7946).into(), ([10, 0, 0, 2], 7946).into()];
    let names = [Name::new("one")?, Name::new("two")?];
    let network = Name::new("shop")?;

    // The first founds the cluster, and admits the second.
    let one = Identity::generate(&mut entropy);
    let wall = wire.now().wall;
    let ops = Node::found(ClusterId([7; 16]), &mut entropy, &one.public(), &names[0], wall);
    wire.start(one, &names[0], addresses[0], ops)?;
    let two = Identity::generate(&mut entropy);
    let request = Node::join_request(&names[1], addresses[1], wall);
    let now = wire.now();
    let first = wire.nodes.get_mut(&addresses[0]).ok_or("it was started")?;
    let welcome = first.admit(now, &two.public(), &request)?;
    wire.drain(addresses[0]);
    let adopted = Node::adopt(&welcome, wall)?;
    wire.start(two, &names[1], addresses[1], adopted.ops)?;

    for address in addresses {
        wire.call(address, |node, now| node.attach(now, &network))??;
    }
    wire.run(MINUTE / 10);
    let write = Write {
        network: network.clone(),
        table: Name::new("prices")?,
        lifetime: Lifetime::Owner,
        key: b"apple".to_vec(),
        operation: Operation::Create,
        value: b"0.40".as_slice().into(),
    };
    let written = wire.now;
    wire.call(addresses[0], |node, now| node.write(now, &write))??;

    let filter = Filter { network: Some(network), ..Filter::default() };
    let rows = wire.call(addresses[1], |node, _| node.rows(&filter))?;
    for (network, row) in &rows {
        let (key, value) = (&row.entry.row.key, row.entry.value.as_deref().unwrap_or_default());
        println!(
            "the other node sees {network}/{}: {} after {} us",
            String::from_utf8_lossy(key),
            String::from_utf8_lossy(value),
            wire.now - written
        );
    }
    assert_eq!(rows.len(), 1);

    wire.run(10 * MINUTE);
    println!(
        "ten minutes later both are alive: {}",
        wire.call(addresses[1], |n, _| n.members().len())?
    );
    Ok(())
}

impl Wire {
    fn now(&self) -> Now {
        Now { mono: Time(self.now), wall: Wall(EPOCH + self.now) }
    }

    fn start(
        &mut self,
        identity: Identity,
        name: &Name,
        addr: SocketAddr,
        ops: Vec<netdb_core::node::DiskOp>,
    ) -> Result<(), Box<dyn Error>> {
        let setup = Setup {
            config: Config::lan(),
            identity,
            name: name.clone(),
            addr,
            seed: 1,
            entropy: Box::new(ChaCha20Rng::seed_from_u64(addr.port().into())),
            disk: ops.into_iter().filter_map(|op| Some((op.key, op.value?))).collect(),
        };
        self.nodes.insert(addr, Node::start(setup, self.now())?);
        self.settle(addr);
        Ok(())
    }

    /// Calls a node and delivers all that follows from it.
    fn call<T>(
        &mut self,
        at: SocketAddr,
        call: impl FnOnce(&mut Node, Now) -> T,
    ) -> Result<T, Box<dyn Error>> {
        let now = self.now();
        let result = call(self.nodes.get_mut(&at).ok_or("nobody is there")?, now);
        self.settle(at);
        Ok(result)
    }

    fn settle(&mut self, at: SocketAddr) {
        self.drain(at);
        while let Some((to, arrival)) = self.flying.pop_front() {
            let now = self.now();
            let Some(node) = self.nodes.get_mut(&to) else { continue };
            match arrival {
                Arrival::Packet { from, mut bytes } => node.handle_packet(now, from, &mut bytes),
                Arrival::Message { from, bytes } => node.handle_stream(now, from, &bytes),
            }
            self.drain(to);
        }
    }

    /// Takes what a node wants done. Its disk is memory that never fails: every commit is durable at once.
    fn drain(&mut self, at: SocketAddr) {
        let now = self.now();
        let Some(node) = self.nodes.get_mut(&at) else { return };
        let id = node.info().member.id;
        while let Some(output) = node.poll_output(now) {
            match output {
                Output::Commit { id, .. } => node.handle_committed(now, id),
                Output::Packet { to, bytes } => {
                    self.flying.push_back((to, Arrival::Packet { from: at, bytes }));
                }
                Output::Stream { addr, message, .. } => {
                    self.flying.push_back((addr, Arrival::Message { from: id, bytes: message }));
                }
                _ => {}
            }
        }
    }

    /// Lets time pass, from one deadline to the next.
    fn run(&mut self, micros: u64) {
        let end = self.now + micros;
        while self.now < end {
            let due = |node: &Node| node.poll_timeout().map_or(end, |at| at.0);
            let next = self.nodes.iter().map(|(at, node)| (due(node), *at)).min();
            let Some((due, at)) = next else { return };
            self.now = due.clamp(self.now, end);
            if due <= self.now && due < end {
                let now = self.now();
                if let Some(node) = self.nodes.get_mut(&at) {
                    node.handle_timeout(now);
                }
                self.settle(at);
            }
        }
    }
}
