//! How often each node called another one failed, and alive again after that.

use std::collections::BTreeMap;

use netdb_core::node::MemberState;

/// Counts by (observer, subject).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sightings {
    /// Called failed after it was taken for alive or suspected.
    pub failed: BTreeMap<(usize, usize), u64>,
    /// Alive after it was called failed.
    pub returned: BTreeMap<(usize, usize), u64>,
    last: BTreeMap<(usize, usize), bool>,
}

impl Sightings {
    /// A node said that a member changed its state.
    pub(crate) fn note(&mut self, observer: usize, subject: usize, state: MemberState) {
        let pair = (observer, subject);
        match state {
            MemberState::Alive if self.last.insert(pair, true) == Some(false) => {
                *self.returned.entry(pair).or_default() += 1;
            }
            MemberState::Failed if self.last.insert(pair, false) == Some(true) => {
                *self.failed.entry(pair).or_default() += 1;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removal_and_a_return_count_once_each() {
        let mut sightings = Sightings::default();
        let states = [
            MemberState::Failed,
            MemberState::Alive,
            MemberState::Suspect,
            MemberState::Failed,
            MemberState::Failed,
            MemberState::Alive,
        ];
        for state in states {
            sightings.note(1, 2, state);
        }
        let one = BTreeMap::from([((1, 2), 1)]);
        assert_eq!(sightings.failed, one, "who was never met can't be removed");
        assert_eq!(sightings.returned, BTreeMap::from([((1, 2), 2)]));
    }
}
