//! Who can't reach whom: partitions and one-way cuts.

use std::collections::BTreeSet;

/// The cuts in force.
#[derive(Clone, Debug, Default)]
pub struct Cuts {
    /// The side of each host; hosts not listed are on side 0.
    sides: Vec<u8>,
    one_way: BTreeSet<(usize, usize)>,
}

impl Cuts {
    /// Whether what `from` sends reaches `to`.
    pub fn passes(&self, from: usize, to: usize) -> bool {
        let side = |host: usize| self.sides.get(host).copied().unwrap_or(0);
        side(from) == side(to) && (self.one_way.is_empty() || !self.one_way.contains(&(from, to)))
    }

    /// Splits the hosts: each listed group is a side of its own, everybody else one more. Replaces the
    /// partition in force.
    pub fn partition(&mut self, groups: &[Vec<usize>]) {
        self.sides.clear();
        for (side, group) in (1..=u8::MAX).zip(groups) {
            for host in group {
                if self.sides.len() <= *host {
                    self.sides.resize(*host + 1, 0);
                }
                if let Some(entry) = self.sides.get_mut(*host) {
                    *entry = side;
                }
            }
        }
    }

    /// Nothing that `from` sends reaches `to` any more; the other way stays.
    pub fn cut(&mut self, from: usize, to: usize) {
        self.one_way.insert((from, to));
    }

    /// Mends one way that was cut.
    pub fn mend(&mut self, from: usize, to: usize) {
        self.one_way.remove(&(from, to));
    }

    /// Mends everything.
    pub fn heal(&mut self) {
        self.sides.clear();
        self.one_way.clear();
    }

    /// Whether anything is cut.
    pub fn any(&self) -> bool {
        !self.one_way.is_empty() || self.sides.iter().any(|side| *side != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_and_one_way_cuts() {
        let mut cuts = Cuts::default();
        assert!(cuts.passes(0, 9));
        cuts.partition(&[vec![2, 3]]);
        assert!(cuts.passes(2, 3) && cuts.passes(0, 1));
        assert!(!cuts.passes(0, 2) && !cuts.passes(3, 1));
        cuts.cut(0, 1);
        assert!(!cuts.passes(0, 1) && cuts.passes(1, 0));
        cuts.mend(0, 1);
        assert!(cuts.passes(0, 1) && !cuts.passes(0, 2), "the partition is still there");
        cuts.heal();
        assert!(!cuts.any() && cuts.passes(0, 1) && cuts.passes(0, 2));
    }
}
