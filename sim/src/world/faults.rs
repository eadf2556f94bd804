//! What goes wrong: kills, stops, cuts, pauses, clocks, disks.

use std::time::Duration;

use netdb_core::node::Farewell;
use netdb_gossip_core::{identity::Name, time::Time};

use super::{World, machine::Power, streams, weather::Bursts, wiretap::Wiretap};
use crate::broken::Outcome;

/// How a node ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `kill -9`: the host stays, its kernel refuses connections.
    Kill,
    /// The host goes dark: nothing answers.
    PowerOff,
    /// SIGTERM: it says that it restarts, and stops once that is heard, or after a second.
    Terminate,
    /// The host is shut down: its rows are withdrawn first.
    ShutDown,
    /// It leaves the cluster for good.
    Leave,
}

/// What a node finds on its disk when it starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disk {
    /// What was durable.
    Kept,
    /// Nothing: the host joins anew with its old identity.
    Wiped,
    /// The copy that [`World::copy_disk`] took.
    Older,
}

/// How long a node that says farewell is given.
const FAREWELL: Duration = Duration::from_secs(1);

impl World {
    /// Ends a host's node.
    pub fn stop(&mut self, host: usize, how: Stop) -> Outcome {
        let how_told = match how {
            Stop::Kill | Stop::PowerOff => None,
            Stop::Terminate => Some(Farewell::Restarting),
            Stop::ShutDown => Some(Farewell::ShuttingDown),
            Stop::Leave => Some(Farewell::Leaving),
        };
        self.note(format_args!("stop      n{host} {how:?}"));
        self.faulty = true;
        self.disturb(host, self.now() + FAREWELL);
        if let Some(farewell) = how_told {
            self.on(host, |node, now| node.farewell(now, farewell))?;
            let deadline = self.now() + FAREWELL;
            let drained =
                |world: &Self| world.node(host).is_none_or(netdb_core::node::Node::is_drained);
            if !drained(self) {
                self.run_while(deadline, |world| !drained(world))?;
            }
        }
        let power = if how == Stop::PowerOff { Power::Off } else { Power::Dead };
        let behind = self.fabric.disk_is_behind(host);
        self.fabric.stop(host, power, how_told.is_some());
        for probe in &mut self.probes {
            probe.missing.remove(&host);
        }
        if let Some(view) = self.views.get_mut(host) {
            *view = None;
        }
        let Some(entry) = self.hosts.get_mut(host) else { return Ok(()) };
        entry.note_generation();
        entry.node = None;
        entry.keeper = None;
        entry.watch = None;
        self.ledger.gone(host, entry.id);
        if behind {
            // Another disk may have been lost while this one only had in memory what that one held.
            self.excuse_all();
        }
        if how == Stop::Leave
            && let Some(entry) = self.hosts.get_mut(host)
        {
            entry.member = false;
            entry.attached.clear();
            self.fabric.replace_disk(host, super::disk::Content::new());
        }
        Ok(())
    }

    /// Starts a host's node again. Without a disk it must join anew; while nobody can let it in, it stays
    /// down.
    pub fn restart(&mut self, host: usize, disk: Disk) -> Outcome {
        let Some(entry) = self.hosts.get(host) else { return Ok(()) };
        let (member, copy) = (entry.member, entry.copy.clone());
        match (disk, copy) {
            (Disk::Older, Some(copy)) if member => {
                self.excuse_all();
                self.fabric.replace_disk(host, copy);
                self.boot(host)
            }
            (Disk::Kept, _) if member => self.boot(host),
            _ => self.join_anew(host),
        }
    }

    fn join_anew(&mut self, host: usize) -> Outcome {
        self.excuse_all();
        self.fabric.replace_disk(host, super::disk::Content::new());
        if let Some(entry) = self.hosts.get_mut(host) {
            entry.member = false;
            entry.attached.clear();
            entry.given.clear();
        }
        let now = self.now();
        if let Some(numbers) = &mut self.numbers {
            numbers.lost(host, now);
        }
        let mut vouchers = self.running();
        self.draws.shuffle(&mut vouchers);
        for via in vouchers {
            match self.try_join(host, via)? {
                Ok(()) => return Ok(()),
                Err(refusal) => self.note(format_args!("refused   n{host} by n{via}: {refusal}")),
            }
        }
        Ok(())
    }

    /// A disk is lost: what nobody who runs holds is no promise any more.
    fn excuse_all(&mut self) {
        for network in self.ledger.networks() {
            self.excuse(&network);
        }
    }

    /// The same for the rows of one network.
    pub(crate) fn excuse(&mut self, network: &Name) {
        let hosts = self.attached(network);
        let held: Vec<_> = hosts.iter().map(|host| self.held_rows(*host, network)).collect();
        self.ledger.excuse(network, |row, dot| {
            held.iter().any(|rows| rows.get(row).is_some_and(|entry| entry.dot == *dot))
        });
    }

    /// Keeps a copy of a host's disk as it is.
    pub fn copy_disk(&mut self, host: usize) {
        let copy = self.fabric.disk(host);
        if let Some(entry) = self.hosts.get_mut(host) {
            entry.copy = Some(copy);
        }
    }

    /// Splits the hosts; see [`Cuts::partition`](super::cuts::Cuts::partition).
    pub fn partition(&mut self, groups: &[Vec<usize>]) {
        self.faulty = true;
        self.all_disturbed = self.now();
        self.note(format_args!("partition {groups:?}"));
        self.fabric.cuts.partition(groups);
    }

    /// What one host sends another no longer arrives.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.faulty = true;
        self.note(format_args!("cut       n{from} to n{to}"));
        self.fabric.cuts.cut(from, to);
    }

    /// Mends all partitions and cuts, and ends flapping, bursts of loss, stalls and translators.
    pub fn heal(&mut self) {
        self.note(format_args!("heal"));
        self.all_disturbed = self.now();
        self.heals += 1;
        self.fabric.cuts.heal();
        self.fabric.weather.clear();
    }

    /// Whether a host may not have heard by now what another one said, loss apart.
    pub fn is_torn(&self) -> bool {
        self.fabric.cuts.any() || self.fabric.weather.any() || self.fabric.any_slow()
    }

    /// The link between two hosts goes down and comes back, some times, each state for `span`.
    pub fn flap(&mut self, one: usize, other: usize, span: Duration, times: u32) {
        self.faulty = true;
        self.note(format_args!("flap      n{one} n{other} {times} times {span:?}"));
        let heals = self.heals;
        for n in 0..times {
            let down = self.now() + span * 2 * n;
            self.at(down, move |world| {
                if world.heals == heals {
                    world.cut(one, other);
                    world.cut(other, one);
                }
                Ok(())
            });
            self.at(down + span, move |world| {
                world.note(format_args!("mend      n{one} n{other}"));
                world.all_disturbed = world.now();
                world.fabric.cuts.mend(one, other);
                world.fabric.cuts.mend(other, one);
                Ok(())
            });
        }
    }

    /// What one host sends another is held up for a while, and comes all at once.
    pub fn clog(&mut self, from: usize, to: usize, span: Duration) {
        self.faulty = true;
        self.note(format_args!("clog      n{from} to n{to} {span:?}"));
        let until = self.now() + span;
        self.all_disturbed = self.all_disturbed.max(until);
        self.fabric.weather.clog(from, to, until);
    }

    /// From now on links lose datagrams in bursts, or no longer.
    pub fn set_bursts(&mut self, bursts: Option<Bursts>) {
        self.faulty |= bursts.is_some();
        self.all_disturbed = self.now();
        self.note(format_args!("bursts    {bursts:?}"));
        self.fabric.weather.set_bursts(bursts);
    }

    /// From now on a host only hears whom it spoke to lately, or everybody again.
    pub fn set_nat(&mut self, host: usize, behind: bool) {
        self.faulty |= behind;
        self.all_disturbed = self.now();
        self.note(format_args!("nat       n{host} {behind}"));
        self.fabric.weather.set_nat(host, behind);
    }

    /// Whatever a host's process does takes so long from now on; zero is at once.
    pub fn slow_down(&mut self, host: usize, each: Duration) {
        self.faulty |= !each.is_zero();
        self.all_disturbed = self.now();
        self.note(format_args!("slow      n{host} {each:?}"));
        self.fabric.slow_down(host, each);
    }

    /// Something is wrong with a host until then.
    pub(crate) fn disturb(&mut self, host: usize, until: Time) {
        if let Some(disturbed) = self.disturbed.get_mut(host) {
            *disturbed = until.max(*disturbed);
        }
    }

    /// A host's process does not run for a while.
    pub fn pause(&mut self, host: usize, span: Duration) {
        self.faulty = true;
        self.disturb(host, self.now() + span);
        self.note(format_args!("pause     n{host} {span:?}"));
        self.fabric.pause(host, span);
    }

    /// A host's wall clock is set forward or back.
    pub fn jump_clock(&mut self, host: usize, by: Duration, back: bool) {
        self.note(format_args!("clock     n{host} {}{by:?}", if back { '-' } else { '+' }));
        self.fabric.jump_clock(host, by, back);
    }

    /// A host's clocks run fast or slow from now on.
    pub fn drift_clock(&mut self, host: usize, ppm: i32) -> Outcome {
        self.note(format_args!("drift     n{host} {ppm} ppm"));
        self.fabric.drift_clock(host, ppm);
        self.drain(host)
    }

    /// A host's disk takes no writes, or takes them again.
    pub fn stall_disk(&mut self, host: usize, stalled: bool) {
        self.note(format_args!("disk      n{host} {}", if stalled { "full" } else { "has room" }));
        self.fabric.stall_disk(host, stalled);
    }

    /// Datagrams lost from now on, of a million.
    pub fn set_loss(&mut self, per_million: u32) {
        self.faulty |= per_million > 0;
        self.all_disturbed = self.now();
        self.note(format_args!("loss      {per_million} of a million"));
        let topology = &mut self.fabric.topology;
        topology.link.loss = per_million;
        topology.between.values_mut().for_each(|link| link.loss = per_million);
    }

    /// From now on counts how often a payload is sent, in datagrams and on streams.
    pub fn tap(&mut self, payload: &[u8]) {
        self.wiretap = Wiretap::new(payload, false);
    }

    /// The same, and every datagram that pushes it is lost; what answers a comparison gets through.
    pub fn tap_and_lose_pushes(&mut self, payload: &[u8]) {
        self.faulty = true;
        self.wiretap = Wiretap::new(payload, true);
    }

    /// Breaks a host on purpose.
    pub fn sabotage(&mut self, host: usize, how: super::Sabotage) {
        if let Some(entry) = self.hosts.get_mut(host) {
            entry.sabotage = Some(how);
        }
    }

    /// When a stream that nothing answers is given up at the latest.
    pub fn streams_give_up(&self) -> Time {
        self.now() + streams::GIVE_UP
    }
}
