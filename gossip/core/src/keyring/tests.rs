//! The laws of keyrings, and their behaviour at each limit.

use alloc::vec::Vec;

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::codec;

/// Key number `n` of a fixed supply in order of rank: two of each epoch, as when halves rotate apart.
fn key(n: u8) -> Key {
    let of = |n| Key::generate(1 + u64::from(n / 2), &mut ChaCha20Rng::from_seed([n; 32]));
    let (one, other) = (of(n), of(n ^ 1));
    // Of the pair, the even number is the lower one.
    if (one.rank() < other.rank()) == n.is_multiple_of(2) { one } else { other }
}

fn ring(keys: impl IntoIterator<Item = u8>) -> Keyring {
    let mut keys = keys.into_iter();
    let mut ring = Keyring::new(key(keys.next().unwrap()));
    keys.for_each(|n| assert_eq!(ring.install(key(n)), Ok(true)));
    ring
}

fn ids(ring: &Keyring) -> Vec<KeyId> {
    ring.iter().map(Key::id).collect()
}

fn merged(a: &Keyring, b: &Keyring) -> Keyring {
    let mut merged = a.clone();
    merged.merge(b);
    merged
}

#[test]
fn a_rotation_installs_uses_and_removes() {
    let mut ring = ring([0]);
    assert_eq!(ring.install(key(2)), Ok(true));
    assert_eq!(ring.install(key(2)), Ok(false));
    assert_eq!(ring.primary().id(), key(0).id());
    assert_eq!(ring.use_key(key(2).id()), Ok(true));
    assert_eq!(ring.use_key(key(2).id()), Ok(false));
    assert_eq!(ids(&ring), [key(2).id(), key(0).id()]);
    assert_eq!(ring.remove(key(0).id()), Ok(true));
    assert_eq!(ring.remove(key(0).id()), Ok(false));
    assert_eq!(ids(&ring), [key(2).id()]);
    assert_eq!(ring.removed().collect::<Vec<_>>(), [key(0).id()]);
    assert_eq!(ring.highest_epoch(), 2);
}

#[test]
fn what_cannot_be_done_says_why_and_changes_nothing() {
    let mut ring = ring([4, 0, 6]);
    ring.remove(key(6).id()).unwrap();
    let before = ring.clone();
    assert_eq!(ring.remove(key(4).id()), Err(KeyringError::Primary(key(4).id())));
    assert_eq!(ring.use_key(key(0).id()), Err(KeyringError::Superseded(key(0).id())));
    assert_eq!(ring.use_key(key(8).id()), Err(KeyringError::Unknown(key(8).id())));
    assert_eq!(ring.use_key(key(6).id()), Err(KeyringError::Unknown(key(6).id())));
    assert_eq!(ring.install(key(6)), Err(KeyringError::Removed(key(6).id())));
    assert_eq!(ring, before);
}

#[test]
fn a_full_keyring_gives_up_removed_keys_only() {
    let mut ring = ring(0..8);
    assert_eq!(ids(&ring).len(), MAX_KEYS);
    ring.use_key(key(7).id()).unwrap();
    assert_eq!(ring.install(key(8)), Err(KeyringError::Full));
    ring.remove(key(0).id()).unwrap();
    assert_eq!(ring.install(key(8)), Ok(true));
    assert_eq!(ring.install(key(0)), Err(KeyringError::TooOld(key(0).id())));
    assert_eq!(ids(&ring).len(), MAX_KEYS);
}

#[test]
fn the_primary_stays_below_any_number_of_higher_keys() {
    let mut ring = ring([0]);
    for n in 1..=20 {
        ring.install(key(n)).unwrap();
        ring.remove(key(n).id()).unwrap();
        assert_eq!(ids(&ring), [key(0).id()]);
    }
    assert_eq!(ring.removed().count(), MAX_KEYS);
    assert_eq!(ring.install(key(1)), Err(KeyringError::TooOld(key(1).id())));
    assert_eq!(codec::decode(&codec::encode(&ring)), Ok(ring.clone()));
    ring.install(key(21)).unwrap();
    ring.use_key(key(21).id()).unwrap();
    assert_eq!(ids(&ring), [key(21).id()]);
}

#[test]
fn halves_that_rotated_apart_agree_on_the_higher_primary() {
    let (mut left, mut right) = (ring([0, 2]), ring([0, 3, 4]));
    left.use_key(key(2).id()).unwrap();
    left.remove(key(0).id()).unwrap();
    right.use_key(key(4).id()).unwrap();
    assert!(left.merge(&right));
    assert!(right.merge(&left));
    assert_eq!(left, right);
    assert!(!left.merge(&right));
    assert_eq!(ids(&left), [key(4).id(), key(3).id(), key(2).id()]);
}

#[test]
fn a_key_removed_by_some_while_others_take_it_into_use_goes_once_superseded() {
    let (mut unaware, mut user) = (ring([0, 2]), ring([0, 2]));
    unaware.remove(key(2).id()).unwrap();
    user.use_key(key(2).id()).unwrap();
    user.remove(key(0).id()).unwrap();
    let mut both = merged(&unaware, &user);
    assert_eq!(ids(&both), [key(2).id()]);
    both.install(key(4)).unwrap();
    both.use_key(key(4).id()).unwrap();
    assert_eq!(ids(&both), [key(4).id()]);
    assert_eq!(both.removed().count(), 2);
}

#[test]
fn a_secret_is_not_printed() {
    assert_eq!(alloc::format!("{:?}", key(0)), alloc::format!("Key({} epoch 1)", key(0).id()));
    assert_eq!(alloc::format!("{:?}", ring([0])), alloc::format!("[{:?}]", key(0)));
    assert_eq!(alloc::format!("{}", key(0).id()).parse(), Ok(key(0).id()));
}

#[test]
fn only_canonical_bytes_are_a_keyring() {
    let stored = |live: Vec<Key>, removed: Vec<Rank>, struck| {
        let stored = Stored { primary: key(0), struck, live, removed };
        codec::decode::<Keyring>(&codec::encode(&stored)).is_ok()
    };
    let keys = |range: core::ops::Range<u8>| range.map(key).collect::<Vec<_>>();
    assert!(stored(keys(1..8), alloc::vec![], true));
    assert!(stored(keys(1..9), alloc::vec![], false));
    assert!(!stored(keys(1..9), alloc::vec![], true), "a strike on a primary below all records");
    assert!(!stored(keys(1..10), alloc::vec![], false), "too many");
    assert!(!stored(keys(0..3), alloc::vec![], false), "the primary twice");
    assert!(!stored(keys(1..3), alloc::vec![key(2).rank()], false), "live and removed");
    assert!(!stored(alloc::vec![key(1), key(1)], alloc::vec![], false), "a key twice");
}

#[derive(Clone, Debug)]
enum Step {
    Install(u8),
    Use(u8),
    Remove(u8),
    Merge(usize),
}

fn step() -> impl Strategy<Value = (usize, Step)> {
    let what = prop_oneof![
        4 => (0..30u8).prop_map(Step::Install),
        2 => (0..30u8).prop_map(Step::Use),
        3 => (0..30u8).prop_map(Step::Remove),
        1 => (0..3usize).prop_map(Step::Merge),
    ];
    (0..3usize, what)
}

/// Three keyrings after any history, with the removals that each has made or heard of.
fn rings() -> impl Strategy<Value = [Keyring; 3]> {
    (prop::array::uniform3(0..30u8), prop::collection::vec(step(), 0..120)).prop_map(
        |(first, steps)| {
            let mut rings = first.map(|n| Keyring::new(key(n)));
            for (at, what) in steps {
                let other =
                    if let Step::Merge(other) = what { rings[other].clone() } else { ring([0]) };
                let ring = &mut rings[at];
                // Refusals are part of a history.
                match what {
                    Step::Install(n) => drop(ring.install(key(n))),
                    Step::Use(n) => drop(ring.use_key(key(n).id())),
                    Step::Remove(n) => drop(ring.remove(key(n).id())),
                    Step::Merge(_) => drop(ring.merge(&other)),
                }
            }
            rings
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn merging_is_commutative_associative_and_idempotent([a, b, c] in rings()) {
        prop_assert_eq!(&merged(&a, &a), &a);
        let ab = merged(&a, &b);
        prop_assert_eq!(&ab, &merged(&b, &a));
        prop_assert_eq!(&merged(&ab, &b), &ab);
        prop_assert_eq!(merged(&ab, &c), merged(&a, &merged(&b, &c)));
    }

    #[test]
    fn merging_keeps_the_primary_the_removals_and_the_bounds([a, b, _] in rings()) {
        let both = merged(&a, &b);
        let highest = a.primary().rank().max(b.primary().rank());
        prop_assert_eq!(both.primary().rank(), highest);
        for gone in a.removed().chain(b.removed()).filter(|id| *id != both.primary().id()) {
            prop_assert_eq!(both.get(gone), None);
        }
        let accepted = ids(&both);
        prop_assert!(accepted.len() <= MAX_KEYS + 1);
        prop_assert!(accepted.len() + both.removed().count() <= MAX_KEYS + 1);
        prop_assert!(accepted.iter().all(|id| a.get(*id).or(b.get(*id)) == both.get(*id)));
    }

    #[test]
    fn a_removed_key_never_returns([a, b, c] in rings(), n in 0..30u8) {
        let mut a = a;
        if a.remove(key(n).id()) == Ok(true) {
            for other in [&b, &c] {
                a.merge(other);
                if a.primary().id() != key(n).id() {
                    prop_assert_eq!(a.get(key(n).id()), None);
                }
                prop_assert!(a.install(key(n)) != Ok(true));
            }
        }
    }

    #[test]
    fn a_keyring_survives_its_bytes([a, ..] in rings()) {
        prop_assert_eq!(codec::decode(&codec::encode(&a)), Ok(a));
    }

    #[test]
    fn decoding_any_bytes_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        if let Ok(ring) = codec::decode::<Keyring>(&bytes) {
            prop_assert!(ids(&ring).len() <= MAX_KEYS + 1);
        }
    }
}
