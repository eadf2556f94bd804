//! One node of a cluster of two whose other half is the fuzzer: an insider that may say anything.
//!
//! Whatever it is told, it answers within its limits, can be looked at, and starts again from its disk.

use std::{sync::OnceLock, time::Duration};

use netdb_core::{
    config::Config,
    node::{MAX_STREAM_MESSAGE, Node, NodeInfo, Operation, Output, Write},
    view::Filter,
};
use netdb_gossip_core::{
    identity::{Generation, NodeId},
    packet::{ClusterTag, Draft, MAX_MTU},
    time::{Now, Time},
};

use crate::cluster::{CLUSTER, Cluster, Host, NETWORK, at, entropy, name};

/// How long a node is watched after the last thing that it was told.
const AFTERMATH: Duration = Duration::from_secs(5);
/// The kind of a frame that its receiver acknowledges.
const ACKED: u8 = 5;

/// What a cluster of two left on its disks, and when.
pub struct Past {
    /// The node.
    pub host: Host,
    /// Its peer, which the fuzzer plays.
    pub peer: Host,
    /// The end of their life together.
    pub end: Time,
    /// The generation of the peer then.
    pub generation: Generation,
}

/// The same past for every input, made once.
pub fn past() -> &'static Past {
    static PAST: OnceLock<Past> = OnceLock::new();
    PAST.get_or_init(|| {
        let mut cluster = Cluster::formed(2, &Config::lan());
        for (index, key) in [(0, "here"), (1, "there")] {
            for lifetime in
                [netdb_core::entry::Lifetime::Owner, netdb_core::entry::Lifetime::Cluster]
            {
                let write = Write {
                    network: name(NETWORK),
                    table: name("t"),
                    lifetime,
                    key: key.into(),
                    operation: Operation::Create,
                    value: key.as_bytes().into(),
                };
                let written = cluster.call(index, |node, now| node.write(now, &write));
                written.expect("running").expect("written");
            }
        }
        cluster.run(Duration::from_secs(20));
        let generation = cluster.node(1).expect("running").info().member.generation;
        let mut hosts = cluster.hosts.into_iter();
        let (host, peer) = (hosts.next().expect("one"), hosts.next().expect("two"));
        Past { host, peer, end: cluster.now, generation }
    })
}

/// The node, running, with its disk.
pub struct Lone {
    node: Node,
    host: Host,
    config: Config,
    now: Time,
    number: u64,
}

impl Lone {
    /// Starts the node from its past.
    pub fn start() -> Self {
        let past = past();
        Self::start_from(past.host.clone(), past.end + Duration::from_secs(2)).expect("a real disk")
    }

    /// Starts a node from what may not be a disk.
    ///
    /// # Errors
    /// What the node says of it.
    pub fn start_from(host: Host, now: Time) -> Result<Self, netdb_core::node::StartError> {
        let config = Config::lan();
        let node = Node::start(host.setup(&config, 0), at(now))?;
        let mut lone = Self { node, host, config, now, number: 1 };
        lone.drain();
        Ok(lone)
    }

    /// Calls the node and checks what it wants done.
    pub fn call<T>(&mut self, call: impl FnOnce(&mut Node, Now) -> T) -> T {
        let result = call(&mut self.node, at(self.now));
        self.drain();
        result
    }

    /// The peer says something on its stream.
    pub fn hear(&mut self, message: &[u8]) {
        self.call(|node, now| node.handle_stream(now, past().peer.identity.node_id(), message));
    }

    /// The peer says something in a packet, if it fits in one.
    pub fn hear_framed(&mut self, message: &[u8]) {
        let (me, peer) = (self.id(), past().peer.identity.node_id());
        let mut draft = Draft::new(MAX_MTU, peer, past().generation, self.number);
        self.number += 1;
        if draft.push(ACKED, message) {
            let key = self.node.gossip().keyring().primary().clone();
            let tag = ClusterTag::of(CLUSTER);
            let mut packet = draft.seal(&key, tag, Some(me), &mut entropy(self.number));
            self.call(|node, now| node.handle_packet(now, past().peer.addr, &mut packet));
        }
    }

    /// Time passes, with all that is due in it.
    pub fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let due = self.node.poll_timeout().unwrap_or(end);
            self.now = self.now.max(due.min(end));
            self.call(Node::handle_timeout);
        }
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// Its id.
    pub fn id(&self) -> NodeId {
        self.host.identity.node_id()
    }

    /// Looks at all that it shows, and starts it again: a later life, from the disk that is left.
    ///
    /// # Panics
    /// If it does not start from what it wrote itself.
    pub fn end(mut self) -> NodeInfo {
        self.wait(AFTERMATH);
        self.look();
        let Self { node, host, config, now, .. } = self;
        let before = node.info();
        drop(node);
        let start = at(now + Duration::from_secs(2));
        let again = Node::start(host.setup(&config, 1), start);
        let again = again.expect("it starts from what it wrote").info();
        assert!(again.member.generation > before.member.generation, "generations grow");
        before
    }

    fn look(&self) {
        let node = &self.node;
        let filter = Filter { include_failed: true, ..Filter::default() };
        let held = node.rows(&filter).len() + node.members().len() + node.keys().keys.len();
        let known = node.known_networks().len() + node.peers(&name(NETWORK)).len();
        let shown =
            format!("{:?} {:?} {:?}", node.networks(), node.stats(), node.token().is_some());
        assert!(held > 0 && known < usize::MAX && !shown.is_empty());
    }

    fn drain(&mut self) {
        while let Some(output) = self.node.poll_output(at(self.now)) {
            match output {
                Output::Commit { id, ops } => {
                    for op in ops {
                        match op.value {
                            Some(value) => self.host.disk.insert(op.key, value),
                            None => self.host.disk.remove(&op.key),
                        };
                    }
                    self.node.handle_committed(at(self.now), id);
                }
                Output::Packet { bytes, .. } => assert!(bytes.len() <= MAX_MTU),
                Output::Stream { message, .. } => assert!(message.len() <= MAX_STREAM_MESSAGE),
                Output::Event(_)
                | Output::Disconnect { .. }
                | Output::Answer { .. }
                | Output::Response { .. } => {}
                Output::Request { from, id, body, .. } => {
                    self.node.respond(at(self.now), from, id, Some(body));
                }
            }
        }
    }
}
