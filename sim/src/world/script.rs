//! What scenarios are written in: founding, joining, attaching, writing, planning.

use std::{sync::Arc, time::Duration};

use netdb_core::{
    entry::{Dot, Lifetime, RowKey},
    node::{Adopted, CLUSTER_NETWORK, DiskOp, Node, Operation, Receipt, TokenAnswer, Write},
    view::Filter,
};
use netdb_gossip_core::{
    identity::{ClusterId, Name},
    time::{Now, Time},
    token::Token,
};

use super::World;
use crate::{broken::Outcome, check::replay::View, ledger::Issued};

/// The name under which a scenario's own mistakes are reported.
pub const SCRIPT: &str = "script";

/// A table of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The network.
    pub network: String,
    /// The table.
    pub table: String,
    /// Its lifetime.
    pub lifetime: Lifetime,
}

impl Table {
    /// A table whose rows belong to their writers.
    pub fn owner(network: &str, table: &str) -> Self {
        Self { network: network.into(), table: table.into(), lifetime: Lifetime::Owner }
    }

    /// A table whose rows belong to the cluster.
    pub fn cluster(network: &str, table: &str) -> Self {
        Self { network: network.into(), table: table.into(), lifetime: Lifetime::Cluster }
    }
}

impl World {
    /// Founds a cluster on host 0, lets all others in, and waits until everybody sees everybody.
    pub fn start(&mut self) -> Outcome {
        let hosts = self.hosts.len();
        self.start_some(hosts)
    }

    /// The same with the first `hosts` hosts only.
    pub fn start_some(&mut self, hosts: usize) -> Outcome {
        self.found(0)?;
        self.await_ready(0)?;
        for host in 1..hosts {
            self.join(host, 0)?;
            self.run_for(Duration::from_millis(1))?;
        }
        self.settle(Duration::from_mins(2)).map(|_| ())
    }

    /// Makes a cluster of one host.
    pub fn found(&mut self, host: usize) -> Outcome {
        let wall = self.fabric.clocks(host).wall;
        let mut entropy = self.options.seed.stream("found", host as u64).into_rng();
        let cluster = ClusterId::generate(&mut entropy);
        let Some(entry) = self.hosts.get_mut(host) else { return Ok(()) };
        let ops = Node::found(cluster, &mut entropy, &entry.public, &entry.name, wall);
        entry.member = true;
        self.fabric.write_disk(host, ops);
        self.boot(host)
    }

    /// Lets a host in by way of another one, and starts it.
    pub fn join(&mut self, host: usize, via: usize) -> Outcome {
        let joined = self.try_join(host, via)?;
        joined.map_err(|what| self.broken("join", format!("n{host} by n{via}: {what}")))
    }

    /// The same; the inner error is the refusal.
    pub fn try_join(&mut self, host: usize, via: usize) -> Outcome<Result<(), String>> {
        let adopted = match self.let_in(host, via)? {
            Ok(adopted) => adopted,
            Err(what) => return Ok(Err(what)),
        };
        self.note(format_args!("join      n{host} by n{via}"));
        self.become_member(host, adopted.ops)?;
        Ok(Ok(()))
    }

    /// What a host is given that another one lets in; the inner error is the refusal.
    pub(super) fn let_in(&mut self, host: usize, via: usize) -> Outcome<Result<Adopted, String>> {
        let (wall, now) = (self.fabric.clocks(host).wall, self.fabric.clocks(via));
        let Some((name, addr, public)) =
            self.hosts.get(host).map(|host| (host.name.clone(), host.addr, host.public))
        else {
            return Ok(Err("there is no such host".into()));
        };
        let request = Node::join_request(&name, addr, wall);
        let token = self.node(via).and_then(Node::token).map(|info| info.text);
        let Some(token) = token.and_then(|text| text.parse::<Token>().ok()) else {
            return Ok(Err("it has no join token".into()));
        };
        let welcome = self.on(via, |node, _| match node.token_answer(token.id(), now.wall) {
            TokenAnswer::Psk(psk) if psk == *token.psk() => {
                node.admit(now, &public, &request).map_err(|refusal| refusal.to_string())
            }
            answer => Err(format!("the token was answered with {answer:?}")),
        })?;
        let adopt = |welcome: Vec<u8>| Node::adopt(&welcome, wall).map_err(|what| what.to_string());
        Ok(welcome.and_then(adopt))
    }

    /// A host starts for the first time, with this on its disk.
    pub(super) fn become_member(&mut self, host: usize, disk: Vec<DiskOp>) -> Outcome {
        self.fabric.write_disk(host, disk);
        if let Some(entry) = self.hosts.get_mut(host) {
            entry.member = true;
        }
        self.boot(host)
    }

    /// Starts a host's node from its disk.
    pub fn boot(&mut self, host: usize) -> Outcome {
        let now = self.fabric.clocks(host);
        let disk = self.fabric.disk(host);
        let Some(entry) = self.hosts.get_mut(host) else { return Ok(()) };
        let started = entry.start(&self.options, &disk, now);
        started.map_err(|what| self.broken("start", format!("n{host}: {what}")))?;
        self.fabric.start(host);
        for check in &mut self.checks {
            check.started(host);
        }
        if let Some(view) = self.views.get_mut(host) {
            *view = None;
        }
        self.disturb(host, self.now());
        self.note(format_args!("boot      n{host}"));
        // What it is attached to is what its disk says: an older copy may differ from the script.
        let names = self.node(host).map(Node::networks).unwrap_or_default().into_iter();
        let names = names.map(|info| info.name).filter(|name| name.as_str() != CLUSTER_NETWORK);
        let names = names.collect();
        if let Some(entry) = self.hosts.get_mut(host) {
            entry.attached = names;
        }
        if host < self.options.watched {
            self.watch(host)?;
        }
        self.keep_ring(host)?;
        self.drain(host)
    }

    fn watch(&mut self, host: usize) -> Outcome {
        let now = self.fabric.clocks(host);
        if let Some(view) = self.views.get_mut(host) {
            *view = Some(View::default());
        }
        let Some(entry) = self.hosts.get_mut(host) else { return Ok(()) };
        let filter = Filter { include_failed: entry.sees_failed(), ..Filter::default() };
        entry.watch = entry.node.as_mut().map(|node| node.watch(now, filter));
        self.poll_watch(host)
    }

    /// Calls a running node, and takes what it puts out.
    pub fn on<T>(&mut self, host: usize, call: impl FnOnce(&mut Node, Now) -> T) -> Outcome<T> {
        let now = self.fabric.clocks(host);
        let node = self.hosts.get_mut(host).and_then(|host| host.node.as_mut());
        let Some(node) = node else {
            return Err(self.broken(SCRIPT, format!("n{host} does not run")));
        };
        let result = call(node, now);
        self.drain(host)?;
        Ok(result)
    }

    /// Checks a name.
    pub fn name(&self, text: &str) -> Outcome<Name> {
        Name::new(text).map_err(|what| self.broken(SCRIPT, format!("{text:?}: {what}")))
    }

    /// Attaches a host to a network.
    pub fn attach(&mut self, host: usize, network: &str) -> Outcome {
        let name = self.name(network)?;
        let done = self.on(host, |node, now| node.attach(now, &name))?;
        done.map_err(|what| self.broken(SCRIPT, format!("n{host}: {what}")))?;
        self.attached_now(host, name);
        Ok(())
    }

    /// Attaches every running host to a network.
    pub fn attach_all(&mut self, network: &str) -> Outcome {
        self.running().into_iter().try_for_each(|host| self.attach(host, network))
    }

    /// Detaches a host from a network.
    pub fn detach(&mut self, host: usize, network: &str) -> Outcome {
        let name = self.name(network)?;
        let done = self.on(host, |node, now| node.detach(now, &name))?;
        done.map_err(|what| self.broken(SCRIPT, format!("n{host}: {what}")))?;
        self.detached_now(host, &name);
        Ok(())
    }

    /// A host says that it has published all its rows again.
    pub fn mark_complete(&mut self, host: usize, network: &str) -> Outcome {
        let name = self.name(network)?;
        let done = self.on(host, |node, now| node.mark_complete(now, &name))?;
        done.map_err(|what| self.broken(SCRIPT, format!("n{host}: {what}")))
    }

    /// Writes a row, whether it is there or not.
    pub fn put(&mut self, host: usize, table: &Table, key: &str, value: &str) -> Outcome<Receipt> {
        self.must_write(host, table, Operation::Upsert, key, value)
    }

    /// Deletes a row that the host sees.
    pub fn delete(&mut self, host: usize, table: &Table, key: &str) -> Outcome<Receipt> {
        self.must_write(host, table, Operation::Delete, key, "")
    }

    fn must_write(
        &mut self,
        host: usize,
        table: &Table,
        operation: Operation,
        key: &str,
        value: &str,
    ) -> Outcome<Receipt> {
        let written = self.write(host, table, operation, key, value)?;
        written.map_err(|what| {
            self.broken(SCRIPT, format!("n{host}: {operation:?} of {}/{key}: {what}", table.table))
        })
    }

    /// Asks a node for a write; the inner error is the node's refusal.
    pub fn write(
        &mut self,
        host: usize,
        table: &Table,
        operation: Operation,
        key: &str,
        value: &str,
    ) -> Outcome<Result<Receipt, String>> {
        let write = Write {
            network: self.name(&table.network)?,
            table: self.name(&table.table)?,
            lifetime: table.lifetime,
            key: key.as_bytes().to_vec(),
            operation,
            value: Arc::from(value.as_bytes()),
        };
        let row = self.row_of(host, table, key)?;
        let over = self.dot_of(host, &write.network, &row);
        // What the node puts out is taken only after the ledger knows the write: checks look there.
        let now = self.fabric.clocks(host);
        let node = self.hosts.get_mut(host).and_then(|host| host.node.as_mut());
        let Some(node) = node else { return Ok(Err("the node does not run".into())) };
        let receipt = match node.write(now, &write) {
            Ok(receipt) => receipt,
            Err(refusal) => return Ok(Err(refusal.to_string())),
        };
        let value = (operation != Operation::Delete).then(|| Arc::clone(&write.value));
        let issued = Issued { dot: receipt.dot, at: receipt.at, value, over, acknowledged: false };
        self.ledger.issued(host, write.network, row, issued, receipt.commit);
        self.note(format_args!(
            "write     n{host} {operation:?} {}/{}/{key} {:?}",
            table.network, table.table, receipt.dot
        ));
        self.drain(host)?;
        Ok(Ok(receipt))
    }

    /// The write that a node holds in a `Cluster` row.
    fn dot_of(&self, host: usize, network: &Name, row: &RowKey) -> Option<Dot> {
        if row.lifetime != Lifetime::Cluster {
            return None;
        }
        let filter = Filter {
            network: Some(network.clone()),
            table: row.table_name(),
            lifetime: Some(Lifetime::Cluster),
            prefix: row.key.to_vec(),
            ..Filter::default()
        };
        let rows = self.list(host, &filter).into_iter();
        rows.map(|(_, listed)| listed.entry).find(|entry| entry.row == *row).map(|entry| entry.dot)
    }

    /// The full key of a row that `host` writes.
    pub fn row_of(&self, host: usize, table: &Table, key: &str) -> Outcome<RowKey> {
        let name = self.name(&table.table)?;
        let node = self.hosts.get(host).map(|host| host.id).unwrap_or_default();
        Ok(RowKey::of(&name, table.lifetime, key.as_bytes(), node))
    }

    /// Writes a row if the node takes it (it may be starting, or not attached).
    pub fn try_put(&mut self, host: usize, table: &Table, key: &str, value: &str) -> Outcome {
        self.write(host, table, Operation::Upsert, key, value).map(drop)
    }

    /// Deletes a row if the node sees it.
    pub fn try_delete(&mut self, host: usize, table: &Table, key: &str) -> Outcome {
        self.write(host, table, Operation::Delete, key, "").map(drop)
    }

    /// Attaches a host if it can be.
    pub fn try_attach(&mut self, host: usize, network: &str) -> Outcome {
        let name = self.name(network)?;
        if self.on(host, |node, now| node.attach(now, &name).is_ok())? {
            self.attached_now(host, name);
        }
        Ok(())
    }

    /// Detaches a host if it can be.
    pub fn try_detach(&mut self, host: usize, network: &str) -> Outcome {
        let name = self.name(network)?;
        if self.on(host, |node, now| node.detach(now, &name).is_ok())? {
            self.detached_now(host, &name);
        }
        Ok(())
    }

    fn attached_now(&mut self, host: usize, name: Name) {
        self.note(format_args!("attach    n{host} {name}"));
        for check in &mut self.checks {
            check.attached(host, &name);
        }
        if let Some(entry) = self.hosts.get_mut(host) {
            entry.attached.insert(name);
        }
    }

    fn detached_now(&mut self, host: usize, name: &Name) {
        self.note(format_args!("detach    n{host} {name}"));
        if let Some(entry) = self.hosts.get_mut(host) {
            entry.attached.remove(name);
            self.ledger.detached(host, name, entry.id);
        }
        // It may have been the only one to hold a shared row.
        self.excuse(name);
    }

    /// The hosts in two random halves.
    pub fn halves(&mut self) -> [Vec<usize>; 2] {
        let mut hosts: Vec<usize> = (0..self.hosts.len()).collect();
        self.draws.shuffle(&mut hosts);
        let other = hosts.split_off(hosts.len() / 2);
        [hosts, other]
    }

    /// Insists that a host shows a row, or that it does not.
    pub fn expect_row(&self, host: usize, table: &Table, key: &str, shown: bool) -> Outcome {
        let (name, row) = (self.name(&table.network)?, self.row_of(host, table, key)?);
        let standing = self.rows_of(host, &name).remove(&row);
        match (standing, shown) {
            (Some(_), true) | (None, false) => Ok(()),
            (Some(entry), false) => Err(self.broken(
                "nothing deleted returns",
                format!("n{host} shows {}", crate::check::replay::show(&entry)),
            )),
            (None, true) => {
                Err(self
                    .broken("no acknowledged write lost", format!("n{host} does not show {key}")))
            }
        }
    }

    /// Plans something for later.
    pub fn at(&mut self, at: Time, action: impl FnOnce(&mut Self) -> Outcome + 'static) {
        self.next_action += 1;
        self.actions.insert(self.next_action, Box::new(action));
        self.fabric.plan(at, self.next_action);
    }

    /// Writes a line into the trace.
    pub fn note(&mut self, text: std::fmt::Arguments<'_>) {
        let now = self.fabric.now();
        self.fabric.trace.note(now, text);
    }
}
