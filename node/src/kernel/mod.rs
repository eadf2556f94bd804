//! The only code that touches the host: namespaces, links, their entries and settings, the packet filter, rules of
//! routing.
//!
//! Drivers say what they want in the words of [`netnode_plan::host`]; behind this trait it is read back and
//! changed. The real one is [`Linux`], the one for tests [`Fake`].

mod fake;
mod linux;

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
};

use netnode_plan::{
    firewall::{Family, SeenFirewall},
    host::{Action, Place, Seen, SeenLink},
    policy,
    records::LinkName,
};

pub use fake::Fake;
pub use linux::{
    EGRESS, Lack, Linux, NamespaceId, Uplinks, has_v6, holders, host_routes, lacks, listen,
    namespace_id, uplinks,
};

/// A host's kernel. Calls block for as long as the kernel takes: never call them on a thread that serves
/// others.
pub trait Kernel: Send {
    /// What is there: the host's namespace, each of ours, and these sandboxes (paths to namespaces).
    ///
    /// # Errors
    /// The host's own or one of our namespaces can't be read. A sandbox that can't is left out.
    fn look(&mut self, sandboxes: &BTreeSet<String>) -> Result<Seen, KernelError>;

    /// What is in the packet filter of a namespace.
    ///
    /// # Errors
    /// It can't be read, or the namespace is not there.
    fn firewall(&mut self, at: &Place) -> Result<SeenFirewall, KernelError>;

    /// What is of ours in the policy routing of the host, which has these links.
    ///
    /// # Errors
    /// It can't be read.
    fn policy(&mut self, links: &BTreeMap<LinkName, SeenLink>)
    -> Result<policy::Seen, KernelError>;

    /// Whether the packet filter of a sandbox is as it was seen or left at this generation, and the sandbox is still
    /// the same. False if that can't be told.
    fn is_unchanged(&mut self, at: &Place, generation: u32) -> bool;

    /// Makes the host's own links forward what comes in by them, where they lead somewhere and don't yet.
    ///
    /// # Errors
    /// They can't be asked, or not be changed.
    fn forward(&mut self, families: &BTreeSet<Family>, seen: &Seen) -> Result<(), KernelError>;

    /// Waits until somebody may have changed what is ours, after the last look. What can't be told in time
    /// is only seen by looking.
    fn disturbed(&mut self) -> impl Future<Output = ()> + Send;

    /// Takes these steps in their order, goes on after one that fails, and tells those.
    fn act(&mut self, actions: &[Action]) -> Vec<Failure>;
}

/// How packets get somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// The address that they come from.
    pub from: IpAddr,
    /// Bytes that an IP packet may have: the route's MTU if it says one, else its link's.
    pub mtu: u32,
}

/// The kernel could not be asked or did not answer as it should.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {error}")]
pub struct KernelError {
    /// What was asked of it.
    pub what: String,
    /// What it said.
    pub error: io::Error,
}

impl KernelError {
    fn new(what: impl Into<String>, error: impl Into<io::Error>) -> Self {
        Self { what: what.into(), error: error.into() }
    }
}

/// A step that was not taken. The next comparison plans it again.
#[derive(Debug, thiserror::Error)]
#[error("{action}: {error}")]
pub struct Failure {
    /// The step.
    pub action: Action,
    /// What the kernel said.
    pub error: io::Error,
}
