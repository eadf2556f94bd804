//! No live admitted node is locked out: in the end all seal with one key and hold the same ones; and where
//! nothing goes wrong, nobody ever gets a packet that it has no key for.

use netdb_gossip_core::{
    keyring::{Key, KeyId},
    packet::DropReason,
};

use super::{Check, Verdict};
use crate::world::World;

/// Compares keyrings.
pub struct Keyring;

impl Check for Keyring {
    fn name(&self) -> &'static str {
        "keyring"
    }

    fn tick(&mut self, world: &World) -> Verdict {
        if !world.is_undisturbed() {
            return Ok(());
        }
        for host in world.running() {
            let Some(node) = world.node(host) else { continue };
            let locked_out = node.gossip().stats().drops.get(DropReason::UnknownKey);
            if locked_out > 0 {
                return Err(format!("n{host} got {locked_out} packets that it has no key for"));
            }
        }
        Ok(())
    }

    fn pending(&self, world: &World) -> Option<String> {
        let mut first: Option<(usize, KeyId, Vec<KeyId>)> = None;
        for host in world.running() {
            let keyring = world.host(host)?.node()?.gossip().keyring();
            let primary = keyring.primary().id();
            let mut keys: Vec<KeyId> = keyring.iter().map(Key::id).collect();
            keys.sort_unstable();
            let (one, sealing, held) = first.get_or_insert_with(|| (host, primary, keys.clone()));
            if *sealing != primary {
                return Some(format!("n{one} seals with {sealing}, n{host} with {primary}"));
            }
            if *held != keys {
                return Some(format!("n{one} holds keys {held:?}, n{host} {keys:?}"));
            }
        }
        None
    }
}
