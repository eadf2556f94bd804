//! What a sandbox would be told of a name, and why.

use std::{
    net::SocketAddr,
    sync::{Arc, RwLock, atomic::AtomicU64},
};

use netnode_dns::{Answered, Client, LookupError};
use netnode_plan::{dns::Part, records::NetworkId};

use super::{
    Dns,
    listed::{Network, Sandbox},
};

/// A network that a sandbox is on.
#[derive(Clone, Debug)]
pub(crate) struct SeenNetwork {
    pub(crate) name: String,
    pub(crate) synced: bool,
    pub(crate) internal: bool,
}

/// An answer, and what it came of.
#[derive(Clone, Debug)]
pub(crate) struct Explained {
    pub(crate) answered: Answered,
    pub(crate) networks: Vec<SeenNetwork>,
    /// What is called so, with the network where it is.
    pub(crate) parts: Vec<(String, Part)>,
    /// Who is asked for what is not ours.
    pub(crate) resolvers: Vec<SocketAddr>,
}

impl Dns {
    /// Asks as a sandbox would that is on these networks.
    pub(crate) async fn explain(
        &self,
        networks: Vec<NetworkId>,
        name: &str,
        kind: &str,
    ) -> Result<Explained, LookupError> {
        let seen = {
            let all = self.listed.read();
            let known = networks.iter().filter_map(|network| all.get(network));
            known.map(Network::seen).collect()
        };
        let names = Arc::new(Sandbox {
            listed: Arc::clone(&self.listed),
            networks: RwLock::new(networks),
            domain: self.settings.domain.clone(),
            ttl_s: self.settings.ttl_s,
            order: AtomicU64::new(0),
        });
        let client = Client::new(Arc::clone(&names) as _, self.forwarder.clone());
        let answered = client.look_up(name, kind).await?;
        let asked = name.trim_end_matches('.').to_ascii_lowercase();
        let parts = names.see(|view| view.parts(&asked));
        let may_forward = netnode_dns::Names::may_forward(&*names);
        let resolvers = if may_forward { self.forwarder.upstreams() } else { Vec::new() };
        Ok(Explained { answered, networks: seen, parts, resolvers })
    }
}
