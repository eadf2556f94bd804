//! Who serves on a network: from the rows of its endpoints, and as a node that holds these tells one that
//! does not.

use alloc::{collections::BTreeMap, vec::Vec};

use ipnet::IpNet;
use netdb_core::{records, view::OwnerState};
use netdb_gossip_core::{
    codec::Malformed,
    identity::{Name, NodeId},
};
use serde::{Deserialize, Serialize};

use crate::{
    records::{Backend, EndpointId, EndpointRecord, MAX_WEIGHT, NetworkId},
    services::Tally,
};

/// The most bytes of backends in an answer: with what is around them it fits a request between nodes.
pub const MAX_TOLD: usize = 48 * 1024;

/// An endpoint that serves, and where it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Serving {
    /// Its endpoint.
    pub id: EndpointId,
    /// The node that it is on.
    pub node: NodeId,
    /// How that is doing.
    pub standing: Standing,
    /// How often it moved from one node to another.
    pub moves: u32,
    /// What its endpoint is called.
    pub name: Name,
    /// Its addresses, each with the length of its subnet's prefix.
    pub addresses: Vec<IpNet>,
    /// What it is to its service.
    pub backend: Backend,
}

/// How a node is doing that has a backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// It answers.
    Alive,
    /// It may have failed.
    Suspect,
    /// It said that it restarts.
    Restarting,
    /// It failed.
    Failed,
}

impl From<OwnerState> for Standing {
    fn from(state: OwnerState) -> Self {
        match state {
            OwnerState::Alive => Self::Alive,
            OwnerState::Suspect => Self::Suspect,
            OwnerState::Restarting => Self::Restarting,
            OwnerState::Failed => Self::Failed,
        }
    }
}

impl Serving {
    /// An endpoint's row, if it serves something.
    pub fn new(
        id: EndpointId,
        node: NodeId,
        state: OwnerState,
        record: EndpointRecord,
    ) -> Option<Self> {
        let EndpointRecord { name, addresses, moves, backend, .. } = record;
        Some(Self { id, node, standing: state.into(), moves, name, addresses, backend: backend? })
    }
}

/// Of an endpoint that moves there are two rows for a while: the later place counts.
pub fn settle(all: impl IntoIterator<Item = Serving>) -> Vec<Serving> {
    let mut places: BTreeMap<EndpointId, Serving> = BTreeMap::new();
    for serving in all {
        let age = |serving: &Serving| (serving.moves, serving.node);
        match places.get(&serving.id) {
            Some(other) if age(other) > age(&serving) => {}
            _ => drop(places.insert(serving.id, serving)),
        }
    }
    places.into_values().collect()
}

/// How many of these take something new.
pub fn tally<'a>(all: impl IntoIterator<Item = &'a Serving>) -> Tally {
    let mut tally = Tally::default();
    for serving in all {
        tally.add(&serving.backend, serving.standing != Standing::Failed);
    }
    tally
}

/// What a node is asked: who serves on a network; of one service, or of all.
pub fn question(network: NetworkId, service: Option<&Name>) -> Vec<u8> {
    records::encode(&(network, service))
}

/// What a question asks for.
///
/// # Errors
/// It is none.
pub fn asked(question: &[u8]) -> Result<(NetworkId, Option<Name>), Malformed> {
    records::decode(question)
}

/// What it answers: as many as [`MAX_TOLD`] bytes hold.
pub fn answer(all: &[Serving]) -> Vec<u8> {
    let mut size = 0;
    let fit = all.iter().take_while(|serving| {
        size += records::encode(serving).len();
        size <= MAX_TOLD
    });
    let told: Vec<&Serving> = fit.collect();
    records::encode(&(told.len() == all.len(), told))
}

/// The backends of an answer, and whether these are all.
///
/// # Errors
/// It is none.
pub fn answered(answer: &[u8]) -> Result<(bool, Vec<Serving>), Malformed> {
    let (whole, all): (bool, Vec<Serving>) = records::decode(answer)?;
    let sound = all.iter().all(|serving| serving.backend.weight <= MAX_WEIGHT);
    if sound { Ok((whole, all)) } else { Err(Malformed) }
}

#[cfg(test)]
mod tests {
    use alloc::{format, vec};

    use super::*;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    fn serving(n: u16, moves: u32, node: u8) -> Serving {
        let [high, low] = n.to_be_bytes();
        let mut id = [0; 16];
        id[..2].copy_from_slice(&[high, low]);
        Serving {
            id: EndpointId(id),
            node: NodeId([node; 16]),
            standing: Standing::Alive,
            moves,
            name: name("e"),
            addresses: vec![format!("10.0.{high}.{low}/16").parse().unwrap()],
            backend: Backend::new(name("web"), name("web.1")),
        }
    }

    #[test]
    fn who_moves_serves_at_the_later_place() {
        let (old, new, twin) = (serving(1, 0, 9), serving(1, 1, 1), serving(1, 1, 2));
        let other = serving(2, 0, 1);
        assert_eq!(settle([new.clone(), old, other.clone()]), [new.clone(), other.clone()]);
        assert_eq!(settle([twin.clone(), new]), [twin]);
        let failed = Serving { standing: Standing::Failed, ..serving(3, 0, 1) };
        assert_eq!(tally(&[other, failed]), Tally { ready: 1, all: 2 });
    }

    #[test]
    fn a_question_survives_its_bytes() {
        let network = NetworkId([7; 16]);
        for service in [None, Some(name("web"))] {
            let bytes = question(network, service.as_ref());
            assert_eq!(asked(&bytes), Ok((network, service)));
        }
        assert_eq!(asked(&[1, 2, 3]), Err(Malformed));
        assert_eq!(answered(&[]), Err(Malformed));
    }

    #[test]
    fn an_answer_is_whole_as_long_as_it_fits() {
        let one = records::encode(&serving(300, 0, 1)).len();
        let fit = MAX_TOLD / one;
        let all: Vec<Serving> = (0..).map(|n| serving(300 + n, 0, 1)).take(fit).collect();
        assert_eq!(answered(&answer(&all)), Ok((true, all.clone())));
        let more: Vec<Serving> = (0..).map(|n| serving(300 + n, 0, 1)).take(fit + 1).collect();
        assert_eq!(answered(&answer(&more)), Ok((false, all)));
        let heavy = Backend { weight: MAX_WEIGHT + 1, ..Backend::new(name("a"), name("b")) };
        let heavy = Serving { backend: heavy, ..serving(1, 0, 1) };
        assert_eq!(answered(&answer(&[heavy])), Err(Malformed));
    }
}
