//! The sandboxes that are answered.
//!
//! Sockets keep the namespace that they were opened in alive: so that one which was deleted behind our back
//! goes, the path to it is looked at every second, and its sockets are closed when it leads elsewhere.

use std::{collections::BTreeMap, io, net::SocketAddr, sync::Arc};

use netnode_dns::{Client, Forwarder};
use netnode_plan::records::NetworkId;
use tokio::{
    sync::watch,
    task::{self, AbortHandle},
};

use super::{
    Settings, Standings,
    listed::{Listed, Sandbox},
    worker::Worker,
};
use crate::kernel::{NamespaceId, listen, namespace_id};

/// Which networks each sandbox is on, by the path to its namespace.
pub(super) type Sandboxes = BTreeMap<String, Vec<NetworkId>>;

/// One sandbox.
#[derive(Debug)]
struct Server {
    namespace: NamespaceId,
    names: Arc<Sandbox>,
    task: AbortHandle,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Served {
    settings: Arc<Settings>,
    listed: Arc<Listed>,
    forwarder: Forwarder,
    worker: Worker,
    servers: BTreeMap<String, Server>,
    tell: watch::Sender<Standings>,
}

impl Served {
    pub(super) fn new(
        settings: &Arc<Settings>,
        listed: &Arc<Listed>,
        forwarder: Forwarder,
        worker: Worker,
        tell: watch::Sender<Standings>,
    ) -> Self {
        Self {
            settings: Arc::clone(settings),
            listed: Arc::clone(listed),
            forwarder,
            worker,
            servers: BTreeMap::new(),
            tell,
        }
    }

    /// Makes it so that these are answered, and tells how that went.
    pub(super) async fn settle(&mut self, sandboxes: &Sandboxes) {
        let Some(at) = self.settings.listen else { return };
        self.servers.retain(|path, _| sandboxes.contains_key(path));
        let mut standings = Standings::new();
        for (path, networks) in sandboxes {
            let stands = self.settle_one(path, networks, at).await;
            standings.insert(path.clone(), stands.map_err(|error| fault(at, &error)));
        }
        self.tell.send_if_modified(|told| {
            let news = *told != standings;
            if news {
                for (path, stands) in &standings {
                    if let Err(why) = stands
                        && told.get(path) != Some(stands)
                    {
                        tracing::warn!(sandbox = path, "{why}");
                    }
                }
                *told = standings;
            }
            news
        });
    }

    async fn settle_one(
        &mut self,
        path: &str,
        networks: &[NetworkId],
        at: SocketAddr,
    ) -> io::Result<()> {
        let namespace = namespace_id(path).inspect_err(|_| drop(self.servers.remove(path)))?;
        if let Some(server) = self.servers.get(path) {
            if server.namespace == namespace && !server.task.is_finished() {
                server.names.move_to(networks.to_vec());
                return Ok(());
            }
            self.servers.remove(path);
        }
        let opened = path.to_owned();
        let opened = task::spawn_blocking(move || listen(&opened, at)).await;
        let (udp, tcp) = opened.map_err(io::Error::other)??;
        // Hosts and sandboxes begin anywhere: they don't all begin with one backend.
        let order = namespace.seed();
        let names = Sandbox::new(&self.listed, &self.settings, networks.to_vec(), order);
        let names = Arc::new(names);
        let client = Client::new(Arc::clone(&names) as _, self.forwarder.clone());
        let task = self.worker.runtime().spawn(async move {
            if let Err(error) = client.serve(udp, tcp).await {
                tracing::warn!("a sandbox is not answered any more: {error}");
            }
        });
        let server = Server { namespace, names, task: task.abort_handle() };
        self.servers.insert(path.to_owned(), server);
        Ok(())
    }
}

fn fault(at: SocketAddr, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => format!(
            "no names: another process has {at} in the sandbox; stop that, or start netnode with \
             --dns-listen at another address"
        ),
        io::ErrorKind::NotFound => "no names: the sandbox is gone".to_owned(),
        _ => format!("no names: {at} can't be had in the sandbox: {error}"),
    }
}
