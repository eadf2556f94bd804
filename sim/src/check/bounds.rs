//! Bounds are kept: queues, tombstones, writes kept aside, datagram sizes; and nobody talks endlessly when
//! nothing happens.

use super::{Check, Verdict};
use crate::world::World;

/// Bytes per second that a node may send, on average, once everything is at rest.
pub const QUIET_BYTES_PER_SECOND: u64 = 2_500;

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
