//! Both sides of the handshake over a pipe, and liars on either.

use netdb_gossip_core::packet::ClusterTag;
use rand::SeedableRng;
use tokio::io::DuplexStream;

use super::*;

const CLUSTER: ClusterId = ClusterId([7; 16]);

fn keys(seed: u8) -> Keys {
    let identity = Identity::generate(&mut rand_chacha::ChaCha20Rng::from_seed([seed; 32]));
    Keys { identity, cluster: CLUSTER }
}

/// The signing half of one identity with the exchange half of another.
fn mixed(sign: u8, exchange: u8) -> Keys {
    let (sign, exchange) = (keys(sign).identity.to_bytes(), keys(exchange).identity.to_bytes());
    let bytes = [&sign[..32], &exchange[32..]].concat();
    Keys { identity: Identity::from_bytes(&bytes.try_into().unwrap()), cluster: CLUSTER }
}

fn hello() -> Hello {
    Hello { tag: ClusterTag::of(CLUSTER), mode: Mode::Member }
}

async fn read_hello(stream: &mut DuplexStream) {
    let mut bytes = [0; crate::hello::HELLO_LEN];
    stream.read_exact(&mut bytes).await.unwrap();
}

type Ends = (Result<Secured, HandshakeError>, Result<Secured, HandshakeError>);

/// Runs both sides; each end is dropped when its side gives up.
async fn run(
    one: &Keys,
    two: &Keys,
    hello: Hello,
    psks: [Option<Psk>; 2],
    expected: Option<NodeId>,
) -> Ends {
    let (mut left, mut right) = tokio::io::duplex(4096);
    let [first, second] = psks;
    let initiator = async move { initiate(&mut left, one, hello, first.as_ref(), expected).await };
    let responder = async move {
        read_hello(&mut right).await;
        respond(&mut right, two, hello, second.as_ref()).await
    };
    tokio::join!(initiator, responder)
}

#[tokio::test]
async fn both_sides_know_each_other_afterwards() {
    let (one, two) = (keys(1), keys(2));
    let (first, second) =
        run(&one, &two, hello(), [None, None], Some(two.identity.node_id())).await;
    assert_eq!(first.unwrap().peer, two.identity.public());
    assert_eq!(second.unwrap().peer, one.identity.public());
}

#[tokio::test]
async fn an_unexpected_peer_learns_nothing_of_us() {
    let (one, two) = (keys(1), keys(2));
    let wanted = keys(3).identity.node_id();
    let (first, second) = run(&one, &two, hello(), [None, None], Some(wanted)).await;
    assert!(matches!(first, Err(HandshakeError::WrongPeer(id)) if id == two.identity.node_id()));
    assert!(matches!(second, Err(HandshakeError::Io(_))));
}

#[tokio::test]
async fn an_equal_tag_of_another_cluster_does_not_get_through() {
    let (one, mut two) = (keys(1), keys(2));
    two.cluster = ClusterId([8; 16]);
    let (first, second) = run(&one, &two, hello(), [None, None], None).await;
    assert!(matches!(first, Err(HandshakeError::NotOpened)));
    assert!(second.is_err());
}

#[tokio::test]
async fn a_join_needs_the_same_pre_shared_key_on_both_sides() {
    let (one, two) = (keys(1), keys(2));
    let hello = Hello { mode: Mode::Join(netdb_gossip_core::token::TokenId([1; 8])), ..hello() };
    let psk = |n: u8| Some(Psk::new([n; 32]));
    let (first, second) = run(&one, &two, hello, [psk(1), psk(1)], None).await;
    assert!(first.is_ok() && second.is_ok());
    let (_, second) = run(&one, &two, hello, [psk(1), psk(2)], None).await;
    assert!(matches!(second, Err(HandshakeError::NotOpened)));
}

/// An initiator that uses `noise_keys` in Noise and sends the proof of `proof_keys`.
async fn lie(noise_keys: &Keys, proof_keys: &Keys) -> Result<Secured, HandshakeError> {
    let two = keys(2);
    let (mut left, mut right) = tokio::io::duplex(4096);
    let liar = async move {
        let mut noise = build(noise_keys, hello(), None, INITIATOR).unwrap();
        let mut first = hello().to_bytes().to_vec();
        push_message(&mut noise, &[], &mut first).unwrap();
        left.write_all(&first).await.unwrap();
        left.read_exact(&mut [0; REPLY_LEN]).await.unwrap();
        read_message(&mut left, &mut noise).await.unwrap();
        let proof = prove(proof_keys, &noise, INITIATOR);
        let mut last = Vec::new();
        push_message(&mut noise, &proof, &mut last).unwrap();
        left.write_all(&last).await.unwrap();
    };
    let honest = async move {
        read_hello(&mut right).await;
        respond(&mut right, &two, hello(), None).await
    };
    tokio::join!(liar, honest).1
}

#[tokio::test]
async fn a_static_key_that_is_not_the_identitys_is_refused() {
    assert!(lie(&keys(1), &keys(1)).await.is_ok());
    // Three's proof over one's connection: three signed for its own exchange key.
    assert!(matches!(lie(&keys(1), &keys(3)).await, Err(HandshakeError::Identity)));
    // A stolen exchange key without the signing key that belongs to it makes another node.
    let thief = mixed(3, 1);
    let peer = lie(&thief, &thief).await.unwrap().peer;
    assert_ne!(peer.node_id(), keys(1).identity.node_id());
}

#[tokio::test]
async fn a_proof_of_another_connection_is_refused() {
    let (one, two) = (keys(1), keys(2));
    let public = one.identity.public();
    let stale = build(&one, hello(), None, INITIATOR).unwrap();
    let proof = prove(&one, &stale, INITIATOR);
    let (mut left, mut right) = tokio::io::duplex(4096);
    let replayer = async {
        let mut noise = build(&one, hello(), None, INITIATOR).unwrap();
        let mut first = hello().to_bytes().to_vec();
        push_message(&mut noise, &[], &mut first).unwrap();
        left.write_all(&first).await.unwrap();
        left.read_exact(&mut [0; REPLY_LEN]).await.unwrap();
        read_message(&mut left, &mut noise).await.unwrap();
        assert_eq!(proof[..32], public.sign);
        let mut last = Vec::new();
        push_message(&mut noise, &proof, &mut last).unwrap();
        left.write_all(&last).await.unwrap();
    };
    let honest = async {
        read_hello(&mut right).await;
        respond(&mut right, &two, hello(), None).await
    };
    let ((), refused) = tokio::join!(replayer, honest);
    assert!(matches!(refused, Err(HandshakeError::Identity)));
}

#[tokio::test]
async fn every_changed_byte_is_noticed() {
    let (one, two) = (keys(1), keys(2));
    // The first message has 34 bytes with its length; after it the bytes come from both sides.
    for changed in 0..34 {
        let (mut left, mut middle) = tokio::io::duplex(4096);
        let (mut relay, mut right) = tokio::io::duplex(4096);
        let initiator = async { initiate(&mut left, &one, hello(), None, None).await.is_ok() };
        let responder = async {
            read_hello(&mut right).await;
            let ok = respond(&mut right, &two, hello(), None).await.is_ok();
            drop(right);
            ok
        };
        let meddler = async {
            let mut first = [0; crate::hello::HELLO_LEN + 34];
            middle.read_exact(&mut first).await.unwrap();
            first[crate::hello::HELLO_LEN + changed] ^= 1;
            relay.write_all(&first).await.unwrap();
            relay.shutdown().await.unwrap();
            let mut answer = Vec::new();
            relay.read_to_end(&mut answer).await.unwrap();
            let _ = middle.write_all(&answer).await;
            drop(middle);
        };
        let (first, second, ()) = tokio::join!(initiator, responder, meddler);
        assert!(!first && !second, "byte {changed}");
    }
}
