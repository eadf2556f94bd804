//! Waiting for a state, with a deadline; never for a time to pass.

use std::{cell::Cell, collections::BTreeSet, time::Duration};

use netdb_core::entry::RowKey;
use netdb_gossip_core::identity::Name;

use super::{Host, Probe, Table, Want, World};
use crate::{broken::Outcome, check::convergence::difference};

/// How often a state is looked at that no event tells of.
const EVERY: Duration = Duration::from_millis(5);
/// The same in worlds where looking is expensive.
const EVERY_LARGE: Duration = Duration::from_millis(100);
const LARGE: usize = 100;

impl World {
    /// Waits until `pending` has nothing to say; returns how long that took.
    pub fn await_until(
        &mut self,
        invariant: &'static str,
        within: Duration,
        mut pending: impl FnMut(&Self) -> Option<String>,
    ) -> Outcome<Duration> {
        let since = self.now();
        let every = if self.hosts.len() >= LARGE { EVERY_LARGE } else { EVERY };
        while let Some(what) = pending(self) {
            if self.now().since(since) >= within {
                return Err(self.broken(invariant, format!("after {within:?}: {what}")));
            }
            self.run_for(every)?;
        }
        Ok(self.now().since(since))
    }

    /// Waits until all live attached nodes hold and show the same rows.
    pub fn await_converged(&mut self, within: Duration) -> Outcome<Duration> {
        self.await_until("convergence", within, difference)
    }

    /// Waits until all live hosts attached to a network are in sync and hold the same in it; looks after
    /// every event, so what is returned is exact.
    pub fn await_agreement(&mut self, network: &str, within: Duration) -> Outcome<Duration> {
        let name = self.name(network)?;
        let since = self.now();
        // Most of the time the two that differed last still do.
        let last = Cell::new((0, 0));
        let apart = |world: &Self| {
            if differ(world, &name, last.get()) {
                return true;
            }
            let hosts = world.attached(&name);
            let Some((one, others)) = hosts.split_first() else { return false };
            let pairs = hosts.iter().map(|host| (*host, *host));
            let mut pairs = pairs.chain(others.iter().map(|other| (*one, *other)));
            let found = pairs.find(|pair| differ(world, &name, *pair));
            found.inspect(|pair| last.set(*pair)).is_some()
        };
        if apart(self) && !self.run_while(since + within, apart)? {
            let what = difference(self).unwrap_or_default();
            return Err(self.broken("convergence", format!("after {within:?}: {what}")));
        }
        Ok(self.now().since(since))
    }

    /// Waits until nothing is pending by any invariant, then asks them all; returns how long it took.
    pub fn settle(&mut self, within: Duration) -> Outcome<Duration> {
        let since = self.now();
        let every = if self.hosts.len() >= LARGE { EVERY_LARGE } else { EVERY * 4 };
        while let Some((name, what)) = self.pending() {
            if self.now().since(since) >= within {
                return Err(self.broken(name, format!("after {within:?}: {what}")));
            }
            self.run_for(every)?;
        }
        let took = self.now().since(since);
        self.ask(|check, world| check.at_rest(world))?;
        Ok(took)
    }

    fn pending(&self) -> Option<(&'static str, String)> {
        self.checks.iter().find_map(|check| Some((check.name(), check.pending(self)?)))
    }

    /// Waits until a node that was just started takes commands.
    pub fn await_ready(&mut self, host: usize) -> Outcome {
        let ready = |world: &Self| {
            let (node, entry) = world.node(host).zip(world.host(host))?;
            let sees_itself =
                node.members().iter().any(|info| info.member.id == entry.id && info.name.is_some());
            (!sees_itself).then(|| format!("n{host} is not ready"))
        };
        self.await_until("start", Duration::from_secs(5), ready).map(|_| ())
    }

    /// Begins to time when every running attached host sees this write.
    pub fn time_write(&mut self, table: &Table, row: &RowKey, value: &str) -> Outcome {
        let network = self.name(&table.network)?;
        self.time(network, row.clone(), Want::Value(value.as_bytes().into()), |_| true);
        Ok(())
    }

    /// Begins to time when the row is out of every view; failed nodes' rows are out of ordinary views.
    pub fn time_gone(&mut self, table: &Table, row: &RowKey) -> Outcome {
        let network = self.name(&table.network)?;
        self.time(network, row.clone(), Want::Gone, |host| !host.sees_failed());
        Ok(())
    }

    /// Begins to time when the row is out of every view of a running attached host, failed nodes' rows
    /// included.
    pub fn time_gone_everywhere(&mut self, table: &Table, row: &RowKey) -> Outcome {
        let network = self.name(&table.network)?;
        self.time(network, row.clone(), Want::Gone, |_| true);
        Ok(())
    }

    /// Begins to time when every running attached host but these sees this write.
    pub fn time_write_but(
        &mut self,
        table: &Table,
        row: &RowKey,
        value: &str,
        except: &[usize],
    ) -> Outcome {
        let network = self.name(&table.network)?;
        self.time(network, row.clone(), Want::Value(value.as_bytes().into()), |host| {
            !except.contains(&host.index)
        });
        Ok(())
    }

    fn time(&mut self, network: Name, row: RowKey, want: Want, counts: impl Fn(&Host) -> bool) {
        let shared = std::sync::Arc::new(network.clone());
        let hosts = self.attached(&network).into_iter();
        let missing: BTreeSet<usize> = hosts
            .filter(|host| self.host(*host).is_some_and(&counts))
            .filter(|host| {
                self.view(*host).is_some_and(|view| !want.is_met(view.standing(&shared, &row)))
            })
            .collect();
        let since = self.now();
        let done = missing.is_empty().then_some(since);
        self.probes.push(Probe { network, row, want, since, missing, done });
    }

    /// Waits for everything that is timed; one figure per stopwatch.
    pub fn await_timed(&mut self, figure: &str, within: Duration) -> Outcome {
        let deadline = self.now() + within;
        let running = |world: &Self| world.probes.iter().any(|probe| !probe.missing.is_empty());
        if running(self) {
            self.run_while(deadline, running)?;
        }
        let now = self.now();
        for probe in std::mem::take(&mut self.probes) {
            if let Some(host) = probe.missing.first() {
                let key = crate::check::replay::key_words(&probe.row.key);
                let (count, want) = (probe.missing.len(), &probe.want);
                let what = format!(
                    "after {within:?} {count} hosts don't see {key} as {want:?}, n{host} first"
                );
                return Err(self.broken("convergence", what));
            }
            self.figures.time(figure, probe.done.unwrap_or(now).since(probe.since));
        }
        Ok(())
    }

    /// Writes a row and times when all running attached hosts see it.
    pub fn timed_put(&mut self, host: usize, table: &Table, key: &str, value: &str) -> Outcome {
        let row = self.row_of(host, table, key)?;
        self.put(host, table, key, value)?;
        self.time_write(table, &row, value)
    }
}

/// Whether one of two hosts is not in sync in a network, or they hold different rows.
fn differ(world: &World, network: &Name, (one, other): (usize, usize)) -> bool {
    let held = |host| {
        let info = world.network_info(host, network).filter(|info| info.synced);
        info.map(|info| info.hash)
    };
    let here = held(one);
    here.is_none() || (one != other && held(other) != here)
}
