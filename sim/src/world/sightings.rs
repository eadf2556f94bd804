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
    /// By observer and subject: whether it was seen alive last, or failed.
    last: Vec<Vec<Option<bool>>>,
}

impl Sightings {
    /// A node said that a member changed its state.
    pub(crate) fn note(&mut self, observer: usize, subject: usize, state: MemberState) {
        let alive = match state {
            MemberState::Alive => true,
            MemberState::Failed => false,
            _ => return,
        };
        let changes = if alive { &mut self.returned } else { &mut self.failed };
        let seen = slot(&mut self.last, observer).and_then(|of| slot(of, subject));
        if seen.and_then(|seen| seen.replace(alive)) == Some(!alive) {
            *changes.entry((observer, subject)).or_default() += 1;
        }
    }
}

/// A place in a list that grows as far as needed.
fn slot<T: Clone + Default>(list: &mut Vec<T>, index: usize) -> Option<&mut T> {
    if list.len() <= index {
        list.resize(index + 1, T::default());
    }
    list.get_mut(index)
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
