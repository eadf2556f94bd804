//! No live admitted node is locked out: in the end all seal with one key and hold the same ones.

use netdb_gossip_core::keyring::{Key, KeyId};

use super::Check;
use crate::world::World;

/// Compares keyrings.
pub struct Keyring;

impl Check for Keyring {
    fn name(&self) -> &'static str {
        "keyring"
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
