//! One host with its node: what the shell of a real node does, under virtual time.

use std::{collections::BTreeSet, net::SocketAddr};

use netdb_core::node::{Node, Setup, StartError, WatchId};
use netdb_gossip_core::{
    identity::{Generation, Identity, Name, NodeId, PublicIdentity},
    time::Now,
};

use super::{disk::Content, keeper::Keeper, options::Options, sabotage::Sabotage};

/// A host.
pub struct Host {
    /// Its index.
    pub index: usize,
    /// The node's name.
    pub name: Name,
    /// Its id.
    pub id: NodeId,
    /// Its public keys.
    pub public: PublicIdentity,
    /// Where it is reached.
    pub addr: SocketAddr,
    /// The networks that the script attached it to.
    pub attached: BTreeSet<Name>,
    /// Whether it belongs to the cluster, running or not.
    pub member: bool,
    /// The highest generation that its node lived in.
    pub generation: Generation,
    /// A copy of its disk, taken by the script.
    pub copy: Option<Content>,
    pub(crate) node: Option<Node>,
    pub(crate) watch: Option<WatchId>,
    /// The numbers in use here: on its disk.
    pub given: BTreeSet<u128>,
    pub(crate) keeper: Option<Box<Keeper>>,
    sees_failed: bool,
    pub(crate) sabotage: Option<Sabotage>,
    identity: Identity,
    starts: u64,
}

impl Host {
    pub(crate) fn new(options: &Options, index: usize, name: Name, addr: SocketAddr) -> Self {
        let mut entropy = options.seed.stream("identity", index as u64).into_rng();
        let identity = Identity::generate(&mut entropy);
        Self {
            index,
            name,
            id: identity.node_id(),
            public: identity.public(),
            addr,
            attached: BTreeSet::new(),
            member: false,
            generation: Generation(0),
            copy: None,
            node: None,
            watch: None,
            given: BTreeSet::new(),
            keeper: None,
            sees_failed: options.all_see_failed || index % 2 == 1,
            sabotage: None,
            identity,
            starts: 0,
        }
    }

    /// The running node.
    pub fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// Its part in giving numbers, while it runs.
    pub fn keeper(&self) -> Option<&Keeper> {
        self.keeper.as_deref()
    }

    /// Whether its watch asks for the rows of failed nodes too.
    pub fn sees_failed(&self) -> bool {
        self.sees_failed
    }

    /// Starts the node from what is on its disk.
    pub(crate) fn start(
        &mut self,
        options: &Options,
        disk: &Content,
        now: Now,
    ) -> Result<(), StartError> {
        let life = ((self.index as u64) << 32) | self.starts;
        self.starts += 1;
        let setup = Setup {
            config: options.config.clone(),
            identity: self.identity.clone(),
            name: self.name.clone(),
            addr: self.addr,
            seed: options.seed.stream("decisions", life).any(),
            entropy: Box::new(options.seed.stream("entropy", life).into_rng()),
            disk: disk.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        };
        self.node = Some(Node::start(setup, now)?);
        self.watch = None;
        self.note_generation();
        Ok(())
    }

    /// Takes note of the generation that the node lives in.
    pub(crate) fn note_generation(&mut self) {
        let now = self.node.as_ref().map(|node| node.info().member.generation);
        self.generation = self.generation.max(now.unwrap_or_default());
    }
}
