//! How full a space is: put together from what each node says of its own part, and when that is worth a
//! warning.
//!
//! Only who is attached to a network sees its endpoints, so nobody knows all of it without asking.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use netdb_core::records;
use netdb_gossip_core::{codec::Malformed, identity::NodeId};
use serde::{Deserialize, Serialize};

use crate::{ring::Usage, spaces::SpaceId};

/// The most spaces that a node is asked about at once: the answer fits a request between nodes.
pub const MAX_ASKED: usize = 1024;

/// Percent of a space in use from which people are warned.
const FILLING: u8 = 75;
/// From here on they are warned again.
const SCARCE: u8 = 90;
/// So far it has to fall below a level until reaching that again is news.
const SLACK: u8 = 5;

/// What one node says of its own part in a space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Numbers that it uses, of those that may be given unasked.
    pub used: u128,
    /// What it could give now.
    pub free: u128,
}

/// A space as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Numbers that may be given unasked.
    pub size: u128,
    /// Those of them in use.
    pub used: u128,
    /// What the nodes that answered could give now.
    pub free: u128,
    /// In how many ranges it lies.
    pub ranges: u64,
    /// Who holds some of it, or uses some.
    pub nodes: BTreeMap<NodeId, Part>,
}

/// One node's part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Numbers that it uses: as it says, or else as the tables here do.
    pub used: u128,
    /// Numbers that it decides about.
    pub holds: u128,
    /// In how many ranges.
    pub ranges: u64,
    /// What it could give now, if it answered.
    pub free: Option<u128>,
}

impl Standing {
    /// From what the tables here say, and what nodes answered.
    pub fn new(known: &Usage, reports: &BTreeMap<NodeId, Report>) -> Self {
        let mut all = Self { size: known.total.size, ..Self::default() };
        let nodes: BTreeSet<NodeId> =
            known.holders.keys().chain(known.users.keys()).chain(reports.keys()).copied().collect();
        for node in nodes {
            let share = known.holders.get(&node).copied().unwrap_or_default();
            let report = reports.get(&node);
            let named = known.users.get(&node).copied().unwrap_or(0);
            let part = Part {
                used: report.map_or(named, |report| report.used),
                holds: share.numbers,
                ranges: share.ranges,
                free: report.map(|report| report.free),
            };
            all.used += part.used;
            all.free += part.free.unwrap_or(0);
            all.ranges += part.ranges;
            if part.used > 0 || part.holds > 0 {
                all.nodes.insert(node, part);
            }
        }
        all
    }

    /// How much of it is in use, rounded down.
    pub fn percent(&self) -> u8 {
        percent(self.used, self.size)
    }
}

/// How much of a space is in use, rounded down.
pub fn percent(used: u128, size: u128) -> u8 {
    let part = match used.checked_mul(100) {
        Some(hundredfold) => hundredfold.checked_div(size),
        None => used.checked_div(size / 100),
    };
    u8::try_from(part.unwrap_or(100)).unwrap_or(100).min(100)
}

/// How scarce numbers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Nobody has to do anything.
    #[default]
    Enough,
    /// Three quarters are in use: time to plan.
    Filling,
    /// Nine tenths are in use: time to act.
    Scarce,
}

impl Level {
    /// The level of so many percent in use.
    pub fn of(percent: u8) -> Self {
        match percent {
            SCARCE.. => Self::Scarce,
            FILLING.. => Self::Filling,
            _ => Self::Enough,
        }
    }
}

/// Tells when a level is reached, once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alarm(Level);

impl Alarm {
    /// So much is in use now. The level, if that is news worth a warning.
    pub fn see(&mut self, used: u128, size: u128) -> Option<Level> {
        let percent = percent(used, size);
        let level = Level::of(percent);
        if level > self.0 {
            self.0 = level;
            return Some(level);
        }
        // Around a limit it would be told again and again.
        self.0 = self.0.min(Level::of(percent.saturating_add(SLACK)));
        None
    }
}

/// What a node is asked: these spaces, [`MAX_ASKED`] at most.
pub fn question(spaces: &[SpaceId]) -> Vec<u8> {
    let spaces: Vec<Vec<u8>> = spaces.iter().map(|space| space.to_bytes()).collect();
    records::encode(&spaces)
}

/// The spaces of a question.
///
/// # Errors
/// It is none, or asks about too many.
pub fn asked(question: &[u8]) -> Result<Vec<SpaceId>, Malformed> {
    let spaces: Vec<Vec<u8>> = records::decode(question)?;
    if spaces.len() > MAX_ASKED {
        return Err(Malformed);
    }
    spaces.iter().map(|bytes| SpaceId::from_bytes(bytes).ok_or(Malformed)).collect()
}

/// What it answers, in the order of the question; `None` for a space that it does not know.
pub fn answer(reports: &[Option<Report>]) -> Vec<u8> {
    records::encode(&reports)
}

/// The reports of an answer.
///
/// # Errors
/// It is none.
pub fn answered(answer: &[u8]) -> Result<Vec<Option<Report>>, Malformed> {
    records::decode(answer)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::{
        records::NetworkId,
        ring::{Figures, Share},
    };

    fn node(n: u8) -> NodeId {
        NodeId([n; 16])
    }

    #[test]
    fn who_answers_knows_best_and_for_the_others_the_tables_speak() {
        let share = |numbers| Share { numbers, ranges: 1 };
        let known = Usage {
            total: Figures { size: 100, ..Figures::default() },
            holders: [(node(1), share(60)), (node(2), share(40))].into(),
            users: [(node(2), 7), (node(3), 2)].into(),
            holes: 0,
        };
        let reports = [
            (node(1), Report { used: 50, free: 10 }),
            (node(3), Report { used: 3, free: 0 }),
            (node(4), Report::default()),
        ];
        let all = Standing::new(&known, &reports.into());
        assert_eq!((all.used, all.free, all.ranges, all.percent()), (60, 10, 2, 60));
        let parts: Vec<_> =
            all.nodes.iter().map(|(n, p)| (n.0[0], p.used, p.holds, p.free)).collect();
        let expected = [(1, 50, 60, Some(10)), (2, 7, 40, None), (3, 3, 0, Some(0))];
        assert_eq!(parts, expected);
    }

    #[test]
    fn a_level_is_told_once_and_again_after_it_was_well_below() {
        let mut alarm = Alarm::default();
        let mut see = |used| alarm.see(used, 100);
        assert_eq!(see(74), None);
        assert_eq!(see(75), Some(Level::Filling));
        assert_eq!(see(76), None);
        assert_eq!(see(74), None);
        assert_eq!(see(75), None, "it only swayed");
        assert_eq!(see(90), Some(Level::Scarce));
        assert_eq!(see(100), None);
        assert_eq!(see(84), None);
        assert_eq!(see(90), Some(Level::Scarce));
        assert_eq!(see(3), None);
        assert_eq!(see(95), Some(Level::Scarce), "the lower level is part of it");
    }

    #[test]
    fn percents_are_rounded_down_and_bounded() {
        assert_eq!(percent(3, 4), 75);
        assert_eq!(percent(899, 1000), 89);
        assert_eq!(percent(0, 0), 100);
        assert_eq!(percent(7, 6), 100);
        assert_eq!(percent(u128::MAX, u128::MAX), 100);
        assert_eq!(percent(u128::MAX / 2, u128::MAX), 50);
    }

    #[test]
    fn questions_and_answers_survive_their_bytes() {
        let spaces = vec![SpaceId::Vni, SpaceId::Subnet(NetworkId([7; 16]), 1)];
        assert_eq!(asked(&question(&spaces)), Ok(spaces));
        let most = vec![SpaceId::Subnet(NetworkId([7; 16]), 1); MAX_ASKED];
        assert!(question(&most).len() <= netdb_core::node::MAX_REQUEST);
        assert_eq!(asked(&question(&[most, vec![SpaceId::Vni]].concat())), Err(Malformed));
        let full = Report { used: u128::MAX, free: u128::MAX };
        let reports = vec![Some(full); MAX_ASKED];
        assert!(answer(&reports).len() <= netdb_core::node::MAX_REQUEST);
        assert_eq!(answered(&answer(&reports)), Ok(reports));
        assert_eq!(asked(&[0xff; 9]), Err(Malformed));
    }
}
