//! Bounds are kept: queues, tombstones, writes kept aside, datagram sizes; and nobody talks endlessly when
//! nothing happens.

use netdb_core::replica::MAX_ASIDE;

use super::{Check, Verdict};
use crate::{
    seed::MILLION,
    world::{Options, World},
};

/// Bytes per second that a node may send, on average, once everything is at rest and nothing is lost.
pub const QUIET_BYTES_PER_SECOND: u64 = 2_500;

/// The same with the loss that these settings have. What is lost is sent again and asked for again, so it
/// costs several times its share: a fifth lost doubles the limit.
pub fn quiet_limit(options: &Options) -> u64 {
    let loss = u64::from(options.link.loss.min(MILLION));
    QUIET_BYTES_PER_SECOND + QUIET_BYTES_PER_SECOND * 5 * loss / u64::from(MILLION)
}

/// Looks at one host each second, and at all in turn.
#[derive(Default)]
pub struct Bounds {
    next: usize,
}

impl Check for Bounds {
    fn name(&self) -> &'static str {
        "bounds"
    }

    fn tick(&mut self, world: &World) -> Verdict {
        let running = world.running();
        self.next = self.next.wrapping_add(1);
        let Some(host) = running.get(self.next % running.len().max(1)) else { return Ok(()) };
        one_host(world, *host)
    }

    fn at_rest(&mut self, world: &World) -> Verdict {
        world.running().into_iter().try_for_each(|host| one_host(world, host))
    }
}

fn one_host(world: &World, index: usize) -> Verdict {
    let Some(node) = world.host(index).and_then(|host| host.node()) else { return Ok(()) };
    let config = &world.options().config;
    let limit = config.gossip.queue_bytes;
    for (member, _) in node.gossip().members() {
        let queued = node.gossip().queued(member.id);
        if queued > limit {
            return Err(format!(
                "n{index} queues {queued} bytes for {:?}, limit {limit}",
                member.id
            ));
        }
    }
    for network in node.networks() {
        if network.aside > MAX_ASIDE {
            return Err(format!(
                "n{index} keeps {} writes aside in {}, limit {MAX_ASIDE}",
                network.aside, network.name
            ));
        }
        // Limits are for local writes: together they are what all nodes may have written.
        let rows = config.max_entries.saturating_mul(world.hosts().len());
        let bytes = config.max_bytes.saturating_mul(world.hosts().len());
        if network.entries > rows || network.bytes > bytes {
            let (rows, bytes, name) = (network.entries, network.bytes, &network.name);
            return Err(format!("n{index} holds {rows} rows of {bytes} bytes in {name}"));
        }
        if network.tombstones > config.max_tombstones {
            let (count, limit) = (network.tombstones, config.max_tombstones);
            return Err(format!(
                "n{index} keeps {count} tombstones in {}, limit {limit}",
                network.name
            ));
        }
    }
    Ok(())
}
