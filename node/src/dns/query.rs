//! What a sandbox would be told of a name, and why.

use std::{net::SocketAddr, sync::Arc};

use netnode_dns::{Answered, Client, LookupError};
use netnode_plan::{dns::Part, records::NetworkId};

use super::{Dns, listed::Sandbox};

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
        let names = Arc::new(Sandbox::new(&self.listed, &self.settings, networks, 0));
        let client = Client::new(Arc::clone(&names) as _, self.forwarder.clone());
        let answered = client.look_up(name, kind).await?;
        let asked = name.trim_end_matches('.').to_ascii_lowercase();
        let parts = names.see(|view| view.parts(&asked));
        let may_forward = netnode_dns::Names::may_forward(&*names);
        let resolvers = if may_forward { self.forwarder.upstreams() } else { Vec::new() };
        Ok(Explained { answered, networks: names.seen(), parts, resolvers })
    }
}
