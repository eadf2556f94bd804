//! Packets: what opens, what does not and why, the limits, and the laws of the packer.

use alloc::{vec, vec::Vec};

use chacha20poly1305::{
    XChaCha20Poly1305, XNonce,
    aead::{AeadInOut, KeyInit},
};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::{
    identity::{ClusterId, Generation, NodeId},
    keyring::{Key, Keyring},
};

const ME: NodeId = NodeId([1; 16]);
const PEER: NodeId = NodeId([2; 16]);
const GENERATION: Generation = Generation(1_700_000_000);

fn tag() -> ClusterTag {
    ClusterTag::of(ClusterId([7; 16]))
}

fn entropy(seed: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([seed; 32])
}

fn keyring() -> Keyring {
    Keyring::generate(&mut entropy(1))
}

fn draft(mtu: usize) -> Draft {
    Draft::new(mtu, PEER, GENERATION, 300)
}

fn seal(draft: Draft, to: Option<NodeId>) -> Vec<u8> {
    draft.seal(keyring().primary(), tag(), to, &mut entropy(2))
}

fn reason(mut packet: Vec<u8>) -> Option<DropReason> {
    open(&mut packet, tag(), ME, &keyring()).err()
}

/// A packet whose sealed body is `body`, well formed or not.
fn sealed_body(body: &[u8]) -> Vec<u8> {
    let keyring = keyring();
    let key = keyring.primary();
    let header = header::Header { addressed: false, cluster: tag(), key: key.id(), nonce: [5; 24] };
    let header = header.to_bytes();
    let mut sealed = body.to_vec();
    let cipher = XChaCha20Poly1305::new(key.secret().into());
    let authenticator = cipher
        .encrypt_inout_detached(&XNonce::from([5; 24]), &header, sealed.as_mut_slice().into())
        .unwrap();
    [&header, sealed.as_slice(), &authenticator].concat()
}

#[test]
fn a_packet_opens_to_what_went_in() {
    let mut draft = draft(1400);
    assert!(draft.is_empty());
    assert!(draft.push(3, b"hello") && draft.push_parts(200, &[b"wo", b"", b"rld"]));
    assert!(draft.push(0, b""));
    let mut packet = seal(draft, Some(ME));
    let opened = open(&mut packet, tag(), ME, &keyring()).unwrap();
    assert_eq!((opened.sender, opened.generation, opened.number), (PEER, GENERATION, 300));
    assert!(opened.addressed);
    assert_eq!(opened.key, keyring().primary().id());
    let frames: Vec<_> = opened.frames.map(|frame| (frame.kind, frame.body)).collect();
    assert_eq!(frames, [(3, &b"hello"[..]), (200, b"world"), (0, b"")]);
}

/// The bytes of the protocol's version 1, as `docs/protocol.md` describes them (worked out by another program).
#[test]
fn the_bytes_of_a_packet_stay_as_they_are() {
    let mut draft = Draft::new(1400, PEER, Generation(1), 2);
    assert!(draft.push(3, b"hello"));
    let key = Key::from_secret(1, zeroize::Zeroizing::new([9; 32]));
    let packet = draft.seal(&key, tag(), Some(ME), &mut Fixed);
    let expected = concat!(
        "0101cf86c023",     // version, ADDRESSED, cluster tag
        "b98a1e8467319e04", // key id
        "2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a2a",
        "72be61445b3997a3e49ac7dee0d62d1a60346a47f9d2e0c5f7", // body
        "87ee4ee14224027516ca8d1009b31de6",                   // tag
    );
    assert_eq!(data_encoding::HEXLOWER.encode(&packet), expected);
}

/// Hands out 0x2a and nothing else.
struct Fixed;

impl rand::TryRng for Fixed {
    type Error = core::convert::Infallible;
    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(0x2a2a_2a2a)
    }
    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(0x2a2a_2a2a_2a2a_2a2a)
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.fill(0x2a);
        Ok(())
    }
}

impl rand::TryCryptoRng for Fixed {}

#[test]
fn sealing_draws_a_fresh_nonce_and_needs_no_more_memory() {
    let (keyring, mut entropy) = (keyring(), entropy(2));
    let mut once = |mtu| {
        let draft = draft(mtu);
        let (at, capacity) = (draft.buffer().as_ptr(), draft.buffer().capacity());
        let packet = draft.seal(keyring.primary(), tag(), Some(ME), &mut entropy);
        assert_eq!((packet.as_ptr(), packet.capacity()), (at, capacity));
        packet
    };
    assert_ne!(once(1400)[14..38], once(1400)[14..38]);
}

#[test]
fn every_drop_has_its_reason() {
    let mut full = draft(1400);
    assert!(full.push(1, b"x"));
    let good = seal(full, Some(ME));
    let changed = |at: usize, to: u8| {
        let mut packet = good.clone();
        packet[at] = to;
        reason(packet)
    };
    assert_eq!(reason(good.clone()), None);
    assert_eq!(reason(vec![]), Some(DropReason::Truncated));
    assert_eq!(reason(good[..MIN_PACKET - 1].to_vec()), Some(DropReason::Truncated));
    assert_eq!(reason(good[..MIN_PACKET].to_vec()), Some(DropReason::NotOpened));
    assert_eq!(changed(0, 0), Some(DropReason::Malformed));
    assert_eq!(changed(0, 2), Some(DropReason::FutureVersion));
    assert_eq!(reason(vec![2]), Some(DropReason::FutureVersion));
    assert_eq!(changed(1, 2), Some(DropReason::Malformed));
    assert_eq!(changed(1, 0), Some(DropReason::NotOpened));
    assert_eq!(changed(2, !good[2]), Some(DropReason::OtherCluster));
    assert_eq!(changed(6, !good[6]), Some(DropReason::UnknownKey));
    assert_eq!(changed(14, !good[14]), Some(DropReason::NotOpened));
    assert_eq!(reason(seal(draft(1400), Some(PEER))), Some(DropReason::NotOpened));
    assert_eq!(reason(seal(draft(1400), None)), None);
    let zeros = sealed_body(&[0; 18]);
    assert_eq!((zeros.len(), reason(zeros)), (MIN_PACKET, None));
    assert_eq!(reason(sealed_body(&[0; 19])), Some(DropReason::Malformed));
}

#[test]
fn each_bit_and_each_byte_of_a_packet_counts() {
    let mut full = draft(1400);
    assert!(full.push(1, b"some content"));
    let good = seal(full, Some(ME));
    for bit in 0..good.len() * 8 {
        let mut packet = good.clone();
        packet[bit / 8] ^= 1 << (bit % 8);
        assert!(reason(packet).is_some(), "bit {bit}");
    }
    for len in 0..good.len() {
        assert!(reason(good[..len].to_vec()).is_some(), "cut to {len}");
    }
    assert_eq!(reason([&good[..], &[0]].concat()), Some(DropReason::NotOpened));
}

#[test]
fn the_largest_packet_opens_and_one_more_byte_does_not() {
    let mut largest = draft(usize::MAX);
    let room = largest.room();
    assert!(largest.push(1, &vec![9; room - 3]));
    assert_eq!(largest.room(), 0);
    assert!(!largest.push(1, b""));
    let mut packet = seal(largest, Some(ME));
    assert_eq!(packet.len(), MAX_MTU);
    assert_eq!(reason(packet.clone()), None);
    packet.push(0);
    assert_eq!(reason(packet), Some(DropReason::Oversized));
}

#[test]
fn the_largest_frame_fits_an_empty_packet_whatever_its_numbers() {
    for mtu in [0, MIN_MTU, 1400, MAX_MTU, usize::MAX] {
        let empty = || Draft::new(mtu, PEER, Generation(u64::MAX), u64::MAX);
        let overhead = mtu.clamp(MIN_MTU, MAX_MTU) - empty().room();
        assert_eq!(overhead, MAX_OVERHEAD);
        assert!(empty().push(1, &vec![0; max_frame(mtu)]));
        assert!(!empty().push(1, &vec![0; max_frame(mtu) + 1]));
    }
}

#[test]
fn drops_are_counted_by_reason_under_names_that_stay() {
    let mut drops = Drops::default();
    for (n, reason) in DropReason::ALL.into_iter().enumerate() {
        assert_eq!(reason as usize, n);
        for _ in 0..=n {
            drops.count(reason);
        }
    }
    let names: Vec<_> = drops.iter().map(|(reason, _)| reason.name()).collect();
    assert_eq!(
        names,
        [
            "truncated",
            "oversized",
            "future_version",
            "other_cluster",
            "unknown_key",
            "not_opened",
            "malformed",
            "replayed",
            "stale_generation",
            "own_name",
            "unaddressed",
        ]
    );
    assert!(drops.iter().map(|(_, count)| count).eq(1..=11));
    assert_eq!(drops.get(DropReason::Oversized), 2);
    assert_eq!(drops.total(), 66);
}

#[test]
fn numbers_have_one_encoding() {
    for (value, len) in [(0, 1), (127, 1), (128, 2), (16_383, 2), (16_384, 3), (u64::MAX, 10)] {
        let mut bytes = vec![];
        varint::put(value, &mut bytes);
        assert_eq!((bytes.len(), varint::len(value)), (len, len));
        assert_eq!(varint::take(&mut &bytes[..]), Some(value));
        assert_eq!(varint::take(&mut &bytes[..len - 1]), None);
    }
    let beyond = [&[0xff; 9][..], &[0x02]].concat();
    for bad in [&[0x80, 0x00][..], &[0xff, 0x80, 0x00], &beyond, &[0x80; 11]] {
        assert_eq!(varint::take(&mut &*bad), None, "{bad:x?}");
    }
}

/// A frame with an identity: the queue that it was put into, and which one it is.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Numbered {
    queue: usize,
    number: usize,
    body: Vec<u8>,
}

impl Framed for Numbered {
    fn kind(&self) -> u8 {
        u8::try_from(self.queue).unwrap()
    }
    fn body(&self) -> &[u8] {
        &self.body
    }
}

fn numbered(queue: usize, number: usize, len: usize) -> Numbered {
    Numbered { queue, number, body: vec![u8::try_from(number % 251).unwrap(); len] }
}

#[test]
fn a_queue_refuses_what_never_fits_and_what_is_too_much() {
    let largest = max_frame(MIN_MTU);
    let mut queue = FrameQueue::new(MIN_MTU, 2 * (largest + 3));
    let refused = queue.push(numbered(0, 0, largest + 1)).unwrap_err();
    assert_eq!((refused.why, refused.frame.body.len()), (Refusal::TooLarge, largest + 1));
    assert_eq!(queue.push(numbered(0, 1, largest)), Ok(()));
    assert_eq!(queue.push(numbered(0, 2, largest)), Ok(()));
    assert_eq!(queue.bytes(), queue.limit());
    let refused = queue.push(numbered(0, 3, 0)).unwrap_err();
    assert_eq!((refused.why, refused.frame.number), (Refusal::Full, 3));
    let first = queue.pop().unwrap();
    assert_eq!(queue.push(numbered(0, 4, 0)), Ok(()));
    queue.requeue(first);
    assert_eq!(queue.iter().map(|frame| frame.number).collect::<Vec<_>>(), [1, 2, 4]);
    assert!(queue.bytes() > queue.limit());
    while queue.pop().is_some() {}
    assert_eq!((queue.len(), queue.bytes()), (0, 0));
}

/// Packs until nothing is left, checks each packet, and returns what went out by queue.
fn drain(mtu: usize, queues: &mut [FrameQueue<Numbered>]) -> Vec<Vec<Numbered>> {
    let mut sent = vec![vec![]; queues.len()];
    let mut number = u64::MAX - 10_000;
    while queues.iter().any(|queue| !queue.is_empty()) {
        let mut draft = Draft::new(mtu, PEER, Generation(u64::MAX), number);
        number += 1;
        let mut taken = vec![];
        draft.fill(&mut queues.iter_mut().collect::<Vec<_>>(), |from, frame| {
            taken.push((from, frame));
        });
        assert!(!taken.is_empty(), "nothing moves");
        assert!(taken.is_sorted_by_key(|(from, _)| *from), "out of priority");
        for head in queues.iter().filter_map(|queue| queue.iter().next()) {
            assert!(!draft.fits(head.body.len()), "room left unused");
        }
        let mut packet = seal(draft, Some(ME));
        assert!(packet.len() <= mtu, "over budget");
        let opened = open(&mut packet, tag(), ME, &keyring()).unwrap();
        let inside = opened.frames.map(|frame| (usize::from(frame.kind), frame.body.to_vec()));
        assert!(inside.eq(taken.iter().map(|(from, frame)| (*from, frame.body.clone()))));
        for (from, frame) in taken {
            sent[from].push(frame);
        }
    }
    sent
}

fn lengths(mtu: usize) -> impl Strategy<Value = Vec<Vec<usize>>> {
    let largest = max_frame(mtu);
    let len = prop_oneof![0..40usize, 100..200usize, 0..=largest + 2, Just(largest)];
    prop::collection::vec(prop::collection::vec(len, 0..40), 1..4)
}

fn packing() -> impl Strategy<Value = (usize, Vec<Vec<usize>>)> {
    (MIN_MTU..2000).prop_flat_map(|mtu| (Just(mtu), lengths(mtu)))
}

proptest! {
    #[test]
    fn packing_loses_nothing_keeps_order_and_budget((mtu, lengths) in packing()) {
        let mut accepted = vec![vec![]; lengths.len()];
        let mut queues = vec![];
        for (at, lengths) in lengths.iter().enumerate() {
            let mut queue = FrameQueue::new(mtu, 16 * 1024);
            for (number, len) in lengths.iter().enumerate() {
                let frame = numbered(at, number, *len);
                match queue.push(frame.clone()) {
                    Ok(()) => accepted[at].push(frame),
                    Err(refused) => {
                        prop_assert_eq!(&refused.frame, &frame);
                        let fits = *len <= max_frame(mtu);
                        let why = if fits { Refusal::Full } else { Refusal::TooLarge };
                        prop_assert_eq!(refused.why, why);
                    }
                }
            }
            queues.push(queue);
        }
        prop_assert_eq!(drain(mtu, &mut queues), accepted);
    }

    #[test]
    fn packets_survive_their_bytes(
        sender: [u8; 16],
        generation: u64,
        number: u64,
        to in proptest::option::of(Just(ME)),
        frames in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..300)), 0..12),
    ) {
        let mut draft = Draft::new(1400, NodeId(sender), Generation(generation), number);
        let kept: Vec<_> = frames.iter().filter(|(kind, body)| draft.push(*kind, body)).collect();
        let mut packet = seal(draft, to);
        prop_assert!(packet.len() <= 1400);
        let opened = open(&mut packet, tag(), ME, &keyring()).unwrap();
        prop_assert_eq!(opened.sender, NodeId(sender));
        prop_assert_eq!((opened.generation.0, opened.number), (generation, number));
        prop_assert_eq!(opened.addressed, to.is_some());
        let frames = opened.frames.map(|frame| (frame.kind, frame.body.to_vec()));
        prop_assert!(frames.eq(kept.into_iter().cloned()));
    }

    #[test]
    fn opening_any_bytes_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(open(&mut bytes, tag(), ME, &keyring()).is_err());
    }

    #[test]
    fn opening_anything_behind_a_good_header_never_panics(
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let header = &sealed_body(&[])[..header::LEN];
        let result = reason([header, &rest].concat());
        prop_assert!(matches!(result, Some(DropReason::Truncated | DropReason::NotOpened)));
    }

    #[test]
    fn opening_any_authentic_body_never_panics(
        mut body in prop::collection::vec(any::<u8>(), 0..300),
        tame: bool,
    ) {
        if tame {
            for byte in &mut body {
                *byte %= 8;
            }
        }
        let mut packet = sealed_body(&body);
        if let Ok(opened) = open(&mut packet, tag(), ME, &keyring()) {
            let frames: usize = opened.frames.map(|frame| frame::cost(frame.body.len())).sum();
            prop_assert!(frames <= body.len() - 18);
        }
    }

    #[test]
    fn numbers_survive_their_bytes(value: u64, bytes in prop::collection::vec(any::<u8>(), 0..12)) {
        let mut encoded = vec![];
        varint::put(value, &mut encoded);
        prop_assert_eq!(encoded.len(), varint::len(value));
        prop_assert_eq!(varint::take(&mut &encoded[..]), Some(value));
        let mut rest = &bytes[..];
        if let Some(value) = varint::take(&mut rest) {
            encoded.clear();
            varint::put(value, &mut encoded);
            prop_assert_eq!(&encoded[..], &bytes[..bytes.len() - rest.len()]);
        }
    }
}
