//! Founding a cluster, letting nodes in, and what a joiner brings home.

use alloc::{collections::BTreeMap, string::ToString, vec::Vec};
use core::{net::SocketAddr, time::Duration};

use netdb_gossip_core::{
    codec,
    gossip::{Member, MemberState as Seen},
    identity::{ClusterId, Generation, Name, NodeId, PublicIdentity},
    keyring::Keyring,
    time::{Now, Time, Wall, micros},
    token::{Token, TokenId},
};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};

use super::{
    DiskOp, Node, Refusal, TokenAnswer, TokenInfo,
    disk::{ClusterRecord, Disk},
    io::CLUSTER_NETWORK,
};
use crate::{
    clock::MAX_AHEAD,
    entry::{Dot, Entry, Lifetime, MAX_GENERATION, RowKey, Writer},
    records::{self, AdmittedRecord, KeyRecord, KeyStage, TokenRecord},
    replica::{Change, Replica},
    wire::Batch,
};

/// The most peers that a welcome names; the gossip tells of the rest.
const MAX_WELCOME_PEERS: usize = 2048;

/// What a joiner says.
#[derive(Debug, Serialize, Deserialize)]
struct JoinRequest {
    name: Name,
    addr: SocketAddr,
    wall: Wall,
}

/// What a joiner is given.
#[derive(Debug, Serialize, Deserialize)]
struct Welcome {
    cluster: ClusterId,
    you: NodeId,
    keyring: Keyring,
    admitted: Batch,
    peers: Vec<Member>,
    /// Cluster time.
    wall: Wall,
    /// The highest generation that is known of the joiner.
    generation: Generation,
    /// A live node has the joiner's name.
    name_taken: bool,
}

/// A welcome, ready for the disk.
#[derive(Debug)]
pub struct Adopted {
    /// What to put on disk before the first start.
    pub ops: Vec<DiskOp>,
    /// The cluster.
    pub cluster: ClusterId,
    /// How far the joiner's clock is ahead of cluster time, microseconds, if by more than a minute.
    pub clock_off: Option<i64>,
    /// A live node has the joiner's name already; both keep working, and the clash is shown.
    pub name_taken: bool,
}

impl Adopted {
    /// Without the peers that the welcome names: the node starts alone, and calls nobody.
    #[must_use]
    pub fn alone(mut self) -> Self {
        let mut disk = Disk::default();
        disk.put_peers(&[]);
        self.ops.extend(disk.take().into_iter().flat_map(|(_, ops)| ops));
        self
    }
}

/// Why a welcome is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer to the join request is malformed: do both sides run the same version?")]
pub struct JoinRejected;

impl Node {
    /// A new cluster with one node: what goes on its disk before the first start.
    pub fn found(
        cluster: ClusterId,
        entropy: &mut dyn CryptoRng,
        identity: &PublicIdentity,
        name: &Name,
        now: Wall,
    ) -> Vec<DiskOp> {
        let keyring = Keyring::generate(entropy);
        let token = Token::generate(cluster, entropy);
        let id = identity.node_id();
        let admitted = AdmittedRecord { identity: *identity, name: name.clone(), admitted: true };
        let key = KeyRecord {
            epoch: keyring.primary().epoch(),
            stage: KeyStage::RemoveOlder,
            made_at: now.0,
        };
        let token = TokenRecord { secret: *token.secret(), expires: None };
        let rows = [
            (records::ADMITTED, id.0.to_vec(), records::encode(&admitted)),
            (records::KEYS, keyring.primary().id().0.to_vec(), records::encode(&key)),
            (records::TOKENS, records::CURRENT_TOKEN.to_vec(), records::encode(&token)),
        ];
        let mut disk = first_disk(ClusterRecord { cluster, node: id }, &keyring, &[]);
        let generation = Generation(now.unix_secs());
        disk.put_generation(generation);
        let writer = Writer { node: id, lifetime: Lifetime::Cluster, generation, attachment: 1 };
        let mut replica = Replica::new(Duration::MAX, usize::MAX);
        if let Ok(network) = Name::new(CLUSTER_NETWORK) {
            for (sequence, (table, key, value)) in (1..).zip(rows) {
                let row = RowKey::shared(table, &key);
                let at = now.0 + sequence;
                let entry = Entry::new(row, Dot { writer, sequence }, at, Some(value.into()));
                disk.put_row(&network, &entry, Duration::ZERO, now);
                replica.apply(Time(0), now, entry, Duration::ZERO);
            }
            disk.put_writer(&network, &writer, replica.digest().contiguous(&writer), 0, false);
        }
        disk.take().map(|(_, ops)| ops).unwrap_or_default()
    }

    /// What a joiner sends, for the transport's join.
    pub fn join_request(name: &Name, addr: SocketAddr, wall: Wall) -> Vec<u8> {
        codec::encode(&JoinRequest { name: name.clone(), addr, wall })
    }

    /// What a joiner makes of the welcome.
    ///
    /// # Errors
    /// The welcome does not decode.
    pub fn adopt(welcome: &[u8], wall: Wall) -> Result<Adopted, JoinRejected> {
        let welcome: Welcome = codec::decode(welcome).map_err(|_| JoinRejected)?;
        let record = ClusterRecord { cluster: welcome.cluster, node: welcome.you };
        let mut disk = first_disk(record, &welcome.keyring, &welcome.peers);
        // A generation that leaves no room for later ones is somebody's lie.
        let believed = Some(welcome.generation).filter(|seen| seen.0 < MAX_GENERATION.0 / 2);
        disk.put_generation(believed.unwrap_or_default());
        let network = Name::new(CLUSTER_NETWORK).map_err(|_| JoinRejected)?;
        let rows = welcome.admitted.unpack(|table| table.into()).map_err(|_| JoinRejected)?;
        for row in rows {
            disk.put_row(&network, &row.entry, row.age, welcome.wall);
        }
        let ahead = i128::from(wall.0) - i128::from(welcome.wall.0);
        let off = ahead.unsigned_abs() > u128::from(micros(MAX_AHEAD));
        let saturated = if ahead < 0 { i64::MIN } else { i64::MAX };
        Ok(Adopted {
            ops: disk.take().map(|(_, ops)| ops).unwrap_or_default(),
            cluster: welcome.cluster,
            clock_off: off.then(|| i64::try_from(ahead).unwrap_or(saturated)),
            name_taken: welcome.name_taken,
        })
    }

    /// Whether a node may speak. While this node has not yet heard who was admitted since it last
    /// looked, those it knew count.
    pub fn is_admitted(&self, identity: &PublicIdentity) -> bool {
        self.admission(identity.node_id()).is_some_and(|record| record.identity == *identity)
    }

    /// Whether this node has heard that another one may speak.
    pub(super) fn admits(&self, node: NodeId) -> bool {
        self.admission(node).is_some()
    }

    /// A row of the table of who may speak changed: whose.
    pub(super) fn admission_changed(&mut self, change: &Change) -> Option<NodeId> {
        let node = NodeId((&*change.entry()?.row.key).try_into().ok()?);
        if self.admits(node) {
            self.admitted.insert(node);
        } else {
            self.admitted.remove(&node);
        }
        Some(node)
    }

    pub(super) fn admission(&self, node: NodeId) -> Option<AdmittedRecord> {
        let row = RowKey::shared(records::ADMITTED, &node.0);
        let standing = self.networks.get(&*self.cluster_name)?.replica.get(&row)?;
        let record: AdmittedRecord = records::decode(standing.value.as_ref()?).ok()?;
        (record.admitted && record.identity.node_id() == node).then_some(record)
    }

    fn token_record(&self) -> Option<(Token, Option<Wall>)> {
        let rows = self.record_rows(records::TOKENS);
        let value = rows.iter().find(|e| *e.row.key == *records::CURRENT_TOKEN)?.value.clone()?;
        let record: TokenRecord = records::decode(&value).ok()?;
        Some((Token::new(self.cluster, record.secret), record.expires.map(Wall)))
    }

    /// The answer to a joiner that shows a token id.
    pub fn token_answer(&self, id: TokenId, wall: Wall) -> TokenAnswer {
        let now = wall.offset_by(self.gossip.cluster_offset());
        match self.token_record() {
            Some((token, expires)) if token.id() == id => {
                if expires.is_some_and(|at| at <= now) {
                    TokenAnswer::Expired
                } else {
                    TokenAnswer::Psk(*token.psk())
                }
            }
            _ => TokenAnswer::Unknown,
        }
    }

    /// The token with which nodes join; `None` until the cluster's tables are here.
    pub fn token(&self) -> Option<TokenInfo> {
        let (token, expires) = self.token_record()?;
        Some(TokenInfo { text: token.to_text().to_string(), id: token.id(), expires })
    }

    /// Replaces the token: the old one lets nobody in any more, wherever that is known. The second value
    /// is the commit that makes it durable.
    pub fn rotate_token(&mut self, now: Now, lasts: Option<Duration>) -> (TokenInfo, u64) {
        let token = Token::generate(self.cluster, self.gossip.entropy());
        let expires = lasts.map(|lasts| self.cluster_time(now) + lasts);
        let record = TokenRecord { secret: *token.secret(), expires: expires.map(|at| at.0) };
        let value = records::encode(&record);
        self.write_record(now, records::TOKENS, records::CURRENT_TOKEN, Some(value));
        let info = TokenInfo { text: token.to_text().to_string(), id: token.id(), expires };
        (info, self.disk.next_commit())
    }

    /// Lets a node in that proved to hold the token. Returns the welcome, to be sent to it alone.
    ///
    /// # Errors
    /// See [`Refusal`]; nothing changed then.
    pub fn admit(
        &mut self,
        now: Now,
        identity: &PublicIdentity,
        request: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        if self.is_starting() {
            return Err(Refusal::Starting);
        }
        let request: JoinRequest = codec::decode(request).map_err(|_| Refusal::Malformed)?;
        let id = identity.node_id();
        let others = self.admitted.iter().filter(|node| **node != id).count();
        if others >= self.config.max_members {
            return Err(Refusal::Full(self.config.max_members));
        }
        let record =
            AdmittedRecord { identity: *identity, name: request.name.clone(), admitted: true };
        if self.admission(id).is_none_or(|known| known != record) {
            let value = records::encode(&record);
            self.write_record(now, records::ADMITTED, &id.0, Some(value));
        }
        let generation = self.presences.get(id).map_or(Generation(0), |p| p.member.generation);
        let welcome = Welcome {
            cluster: self.cluster,
            you: id,
            keyring: self.gossip.keyring().clone(),
            admitted: self.admitted_batch(),
            peers: self.welcome_peers(id),
            wall: self.cluster_time(now),
            generation,
            name_taken: self.name_is_taken(&request.name, id),
        };
        Ok(codec::encode(&welcome))
    }

    fn welcome_peers(&self, joiner: NodeId) -> Vec<Member> {
        let me = *self.gossip.me();
        let others = self
            .gossip
            .members()
            .filter(|(m, state)| m.id != joiner && m.id != me.id && *state == Seen::Alive);
        core::iter::once(me).chain(others.map(|(m, _)| *m)).take(MAX_WELCOME_PEERS).collect()
    }

    fn name_is_taken(&self, name: &Name, joiner: NodeId) -> bool {
        let mut names: BTreeMap<NodeId, &Name> = BTreeMap::new();
        for (node, presence) in self.presences.iter().filter(|(_, p)| p.is_up()) {
            if let Some((_, record)) = &presence.record {
                names.insert(*node, &record.name);
            }
        }
        names.into_iter().any(|(node, taken)| node != joiner && taken == name)
    }
}

fn first_disk(cluster: ClusterRecord, keyring: &Keyring, peers: &[Member]) -> Disk {
    let mut disk = Disk::default();
    disk.put_cluster(cluster);
    disk.put_generation(Generation(0));
    disk.put_clock(0);
    disk.put_keyring(keyring);
    disk.put_peers(peers);
    disk
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    fn adopted(generation: u64) -> Generation {
        let welcome = Welcome {
            cluster: ClusterId([7; 16]),
            you: NodeId([1; 16]),
            keyring: Keyring::generate(&mut ChaCha20Rng::seed_from_u64(1)),
            admitted: Batch::default(),
            peers: Vec::new(),
            wall: Wall(0),
            generation: Generation(generation),
            name_taken: false,
        };
        let ops = Node::adopt(&codec::encode(&welcome), Wall(0)).unwrap().ops;
        let stored = ops.into_iter().find(|op| op.key == b"g").unwrap();
        codec::decode(&stored.value.unwrap()).unwrap()
    }

    #[test]
    fn a_joiner_believes_no_generation_without_a_next() {
        assert_eq!(adopted(5), Generation(5));
        assert_eq!(adopted(u64::MAX), Generation(0));
        assert_eq!(adopted(MAX_GENERATION.0), Generation(0));
    }
}
