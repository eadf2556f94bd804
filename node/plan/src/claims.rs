//! Things that one at most can have, and several claim: who has each, and who claims in vain. And whom people
//! mean who say a name or the start of an id.
//!
//! Every node comes to the same verdict from the same rows, without asking anybody: claimants are heard one
//! after the other, the older creation first, and each has what nobody has who was heard before it. Nothing
//! of the others is lost; each is told who has what it claims.

use alloc::{
    collections::BTreeMap,
    string::{String, ToString},
    vec::Vec,
};
use core::fmt;

/// The fewest digits by which an id may be told.
pub const MIN_ID_DIGITS: usize = 4;

/// What somebody wants to have alone.
pub trait Claim: Clone {
    /// What two claims share if they clash.
    type Place: Ord;

    /// Where claims are that may clash with it.
    fn place(&self) -> Self::Place;

    /// Whether one at most can have both of two claims of one place; the same in either order.
    fn clashes(&self, other: &Self) -> bool;
}

/// Somebody older has what another claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict<C, I> {
    /// What is claimed in vain.
    pub claim: C,
    /// Who has it, or what clashes with it.
    pub with: I,
}

/// Who has what.
#[derive(Clone, Debug)]
pub struct Holders<C: Claim, I>(BTreeMap<C::Place, Vec<(C, I)>>);

impl<C: Claim, I> Default for Holders<C, I> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<C: Claim, I: Copy + Ord> Holders<C, I> {
    /// Hears claimants with their age and claims, in any order: who comes first by age, and of one age by id,
    /// is heard first. Those that claim in vain, with what.
    pub fn settle<A: Ord>(
        claimants: impl IntoIterator<Item = (A, I, Vec<C>)>,
    ) -> (Self, BTreeMap<I, Vec<Conflict<C, I>>>) {
        let mut in_turn: Vec<(A, I, Vec<C>)> = claimants.into_iter().collect();
        in_turn.sort_unstable_by(|(a, one, _), (b, other, _)| (a, one).cmp(&(b, other)));
        let (mut holders, mut lost) = (Self::default(), BTreeMap::new());
        for (_, id, claims) in in_turn {
            let in_vain = claims.into_iter().filter_map(|claim| holders.hear(claim, id));
            let in_vain: Vec<Conflict<C, I>> = in_vain.collect();
            if !in_vain.is_empty() {
                lost.insert(id, in_vain);
            }
        }
        (holders, lost)
    }

    fn hear(&mut self, claim: C, id: I) -> Option<Conflict<C, I>> {
        // Two of one claimant are no conflict.
        if let Some(with) = self.holder(&claim).filter(|with| *with != id) {
            return Some(Conflict { claim, with });
        }
        self.0.entry(claim.place()).or_default().push((claim, id));
        None
    }

    /// Who has something, or what clashes with it: the oldest of several.
    pub fn holder(&self, claim: &C) -> Option<I> {
        let there = self.0.get(&claim.place())?;
        there.iter().find(|(held, _)| held.clashes(claim)).map(|(_, id)| *id)
    }
}

/// Nobody, or more than one, is meant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FindError {
    /// Nothing is called so.
    #[error("no {kind} has the name or id {text}")]
    Unknown {
        /// What was looked for: a network, a service.
        kind: &'static str,
        /// By what.
        text: String,
    },
    /// The start of several ids.
    #[error("{text} is the start of {count} ids; a longer start is needed")]
    Ambiguous {
        /// What was looked for: a network, a service.
        kind: &'static str,
        /// By what.
        text: String,
        /// How many there are.
        count: usize,
    },
}

impl FindError {
    /// What was looked for.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unknown { kind, .. } | Self::Ambiguous { kind, .. } => kind,
        }
    }
}

/// The one of these ids that starts so, with [`MIN_ID_DIGITS`] at least.
///
/// # Errors
/// None does, or more than one.
pub fn find_id<I: Copy + fmt::Display>(
    kind: &'static str,
    ids: impl IntoIterator<Item = I>,
    text: &str,
) -> Result<I, FindError> {
    let is_start = |id: &I| text.len() >= MIN_ID_DIGITS && id.to_string().starts_with(text);
    let mut meant = ids.into_iter().filter(is_start);
    let text = text.to_string();
    match (meant.next(), meant.count()) {
        (Some(id), 0) => Ok(id),
        (None, _) => Err(FindError::Unknown { kind, text }),
        (Some(_), others) => Err(FindError::Ambiguous { kind, text, count: others + 1 }),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Numbers up to this one; 0 is all of them.
    #[derive(Clone, Debug, PartialEq, Eq)]
    struct Of(u8, u8);

    impl Claim for Of {
        type Place = u8;

        fn place(&self) -> u8 {
            self.0
        }

        fn clashes(&self, other: &Self) -> bool {
            self.1 == other.1 || self.1 == 0 || other.1 == 0
        }
    }

    #[test]
    fn who_lost_holds_nothing_against_others() {
        // The second clashes with both, and the third with the second alone.
        let claimants = [(1, 'a', Of(7, 1)), (2, 'b', Of(7, 0)), (3, 'c', Of(7, 2))];
        let claimants = claimants.map(|(age, id, claim)| (age, id, alloc::vec![claim]));
        let (holders, lost) = Holders::settle(claimants);
        let conflict = Conflict { claim: Of(7, 0), with: 'a' };
        assert_eq!(lost, [('b', alloc::vec![conflict])].into());
        assert_eq!(holders.holder(&Of(7, 2)), Some('c'));
        assert_eq!((holders.holder(&Of(7, 3)), holders.holder(&Of(8, 0))), (None, None));
    }

    proptest! {
        #[test]
        fn the_verdict_does_not_depend_on_the_order(
            rows in proptest::collection::vec((0_u8..4, 0_u8..2, 0_u8..3), 1..12),
            turn in 0_usize..12,
        ) {
            let rows: Vec<(u8, u8, Vec<Of>)> = (0..)
                .zip(&rows)
                .map(|(id, (age, place, of))| (*age, id, alloc::vec![Of(*place, *of)]))
                .collect();
            let mut turned = rows.clone();
            turned.rotate_left(turn % rows.len());
            let ((one, lost), (other, lost_too)) = (Holders::settle(rows.clone()), Holders::settle(turned));
            prop_assert_eq!(&one.0, &other.0);
            prop_assert_eq!(&lost, &lost_too);
            for (age, id, claims) in &rows {
                let conflict = lost.get(id).and_then(|lost| lost.first());
                if let Some(Conflict { claim, with }) = conflict {
                    let (older, _, held) = rows.iter().find(|(_, id, _)| id == with).unwrap();
                    prop_assert!((older, with) < (age, id));
                    prop_assert!(!lost.contains_key(with) && held[0].clashes(claim));
                }
                // Of all that have what they claim, no two clash.
                let has = |id: &u8| !lost.contains_key(id);
                for (_, other, there) in rows.iter().filter(|(_, other, _)| has(other) && has(id)) {
                    let clash = there[0].0 == claims[0].0 && there[0].clashes(&claims[0]);
                    prop_assert!(other == id || !clash);
                }
            }
        }
    }
}
