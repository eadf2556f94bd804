//! Narrowing a difference between two ordered sets of items down to the items, by hashes over ranges.
//!
//! Range-based set reconciliation (Meyer, "Range-Based Set Reconciliation", SRDS 2023): a range whose
//! hashes differ is cut into subranges of about equal count; small ranges are listed. Cost follows the
//! number of differing items and the logarithm of all.

use alloc::{collections::BTreeSet, vec::Vec};

use crate::wire::{Part, PartContent};

/// Ranges with at most this many items on the answering side are listed, not cut.
const LIST_AT_MOST: usize = 24;
/// Into how many subranges a range is cut.
const CUT_INTO: usize = 12;
/// The most items and hashes of one answer; what is left out is found by the next comparison.
pub const MAX_PARTS: usize = 4096;

/// An item of an ordered set that two nodes compare.
pub trait Item: Clone + PartialEq {
    /// Where it stands.
    fn place(&self) -> u64;
    /// What it adds to a range's hash.
    fn mark(&self) -> u64;
}

/// What an answer to parts found.
#[derive(Debug)]
pub struct Findings<T> {
    /// Items that only the other side has (for sure: they were listed and are not here).
    pub theirs: Vec<T>,
    /// Items that only this side has.
    pub ours: Vec<T>,
    /// What to send back; empty when there is nothing to say.
    pub answer: Vec<Part<T>>,
}

/// The one part with which a side begins.
pub fn whole<T: Item>(items: &[T]) -> Part<T> {
    Part { from: 0, through: u64::MAX, content: PartContent::Hash(sum(items)) }
}

/// Compares the other side's parts with `items`, sorted by place.
pub fn answer<T: Item>(items: &[T], parts: Vec<Part<T>>) -> Findings<T> {
    let mut findings = Findings { theirs: Vec::new(), ours: Vec::new(), answer: Vec::new() };
    let items = &Summed::new(items);
    let mut said = 0;
    for part in parts {
        said += 1;
        if said >= MAX_PARTS || part.from > part.through {
            break;
        }
        let mine = items.within(part.from, part.through);
        match part.content {
            PartContent::Hash(hash) if hash == mine.sum() => {}
            PartContent::Hash(_) if mine.items().len() <= LIST_AT_MOST => {
                said += mine.items().len();
                let content = PartContent::Items(mine.items().to_vec());
                findings.answer.push(Part { content, ..part });
            }
            PartContent::Hash(_) => {
                said += CUT_INTO;
                cut(&mut findings.answer, mine, part.from, part.through);
            }
            // They list few, here are many: listing all that they lack might be the whole table.
            PartContent::Items(_) if mine.items().len() > LIST_AT_MOST * 4 => {
                said += CUT_INTO;
                cut(&mut findings.answer, mine, part.from, part.through);
            }
            PartContent::Items(theirs) => {
                let (ours_only, theirs_only) = difference(mine.items(), &theirs);
                if !ours_only.is_empty() {
                    said += ours_only.len();
                    let content = PartContent::Differing(ours_only.clone());
                    findings.answer.push(Part { content, ..part });
                }
                findings.ours.extend(ours_only);
                findings.theirs.extend(theirs_only);
            }
            PartContent::Differing(theirs) => {
                findings.theirs.extend(difference(mine.items(), &theirs).1);
            }
        }
    }
    findings
}

fn sum<T: Item>(items: &[T]) -> u64 {
    items.iter().fold(0, |sum, item| sum.wrapping_add(item.mark()))
}

/// Items with the sums of their marks, so that the hash of any range is one subtraction.
struct Summed<'a, T> {
    items: &'a [T],
    /// The sum of the marks before each item, and at the end that of all.
    sums: Vec<u64>,
}

/// A range of summed items.
#[derive(Clone, Copy)]
struct Slice<'a, T> {
    all: &'a Summed<'a, T>,
    start: usize,
    end: usize,
}

impl<'a, T: Item> Summed<'a, T> {
    fn new(items: &'a [T]) -> Self {
        let mut sum = 0u64;
        let mut sums = Vec::with_capacity(items.len() + 1);
        sums.push(0);
        for item in items {
            sum = sum.wrapping_add(item.mark());
            sums.push(sum);
        }
        Self { items, sums }
    }

    fn within(&'a self, from: u64, through: u64) -> Slice<'a, T> {
        let start = self.items.partition_point(|item| item.place() < from);
        let end = self.items.partition_point(|item| item.place() <= through);
        Slice { all: self, start, end }
    }
}

impl<'a, T: Item> Slice<'a, T> {
    fn items(&self) -> &'a [T] {
        self.all.items.get(self.start..self.end).unwrap_or_default()
    }

    fn sum(&self) -> u64 {
        let at = |index: usize| self.all.sums.get(index).copied().unwrap_or_default();
        at(self.end).wrapping_sub(at(self.start))
    }

    fn split_at(&self, middle: usize) -> (Self, Self) {
        let middle = self.start + middle;
        (Self { end: middle, ..*self }, Self { start: middle, ..*self })
    }
}

/// Cuts a range so that subranges hold about equally many items and together cover all of it.
fn cut<T: Item>(parts: &mut Vec<Part<T>>, range: Slice<T>, from: u64, through: u64) {
    let mut start = from;
    let mut left = range;
    for cuts_left in (1..=CUT_INTO).rev() {
        let items = left.items();
        let mut middle = items.len().div_ceil(cuts_left);
        let (group, others) = items.split_at(middle);
        // Items that share a place stay together.
        if let (Some(last), Some(next)) = (group.last(), others.first())
            && last.place() == next.place()
        {
            middle = items.partition_point(|item| item.place() <= last.place());
        }
        let (group, others) = left.split_at(middle);
        let end = match (group.items().last(), others.items().is_empty() || cuts_left == 1) {
            (Some(last), false) => last.place(),
            _ => through,
        };
        parts.push(Part { from: start, through: end, content: PartContent::Hash(group.sum()) });
        left = others;
        if end == through {
            break;
        }
        start = end + 1;
    }
}

fn difference<T: Item>(mine: &[T], theirs: &[T]) -> (Vec<T>, Vec<T>) {
    let keys = |items: &[T]| -> BTreeSet<(u64, u64)> {
        items.iter().map(|item| (item.place(), item.mark())).collect()
    };
    let (here, there) = (keys(mine), keys(theirs));
    let lacking = |items: &[T], keys: &BTreeSet<(u64, u64)>| {
        items.iter().filter(|item| !keys.contains(&(item.place(), item.mark()))).cloned().collect()
    };
    (lacking(mine, &there), lacking(theirs, &here))
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Number(u64);

    impl Item for Number {
        fn place(&self) -> u64 {
            self.0 << 40
        }
        fn mark(&self) -> u64 {
            self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0xabcd
        }
    }

    /// Both sides talk until there is nothing to say; returns what each learnt it lacks, and the sum of
    /// items and hashes that travelled.
    fn talk(one: &[Number], two: &[Number]) -> (BTreeSet<Number>, BTreeSet<Number>, usize) {
        let (mut lacks, mut cost) = ([BTreeSet::new(), BTreeSet::new()], 0);
        let sides = [one, two];
        let mut parts = alloc::vec![whole(one)];
        let mut turn = 1;
        while !parts.is_empty() {
            cost += parts.len();
            let findings = answer(sides[turn], parts);
            lacks[turn].extend(findings.theirs);
            parts = findings.answer;
            turn = 1 - turn;
        }
        let [one_lacks, two_lacks] = lacks;
        (one_lacks, two_lacks, cost)
    }

    proptest! {
        #[test]
        fn finds_every_difference_and_nothing_else(
            both in prop::collection::btree_set(0u64..5000, 0..400),
            left in prop::collection::btree_set(5000u64..9000, 0..40),
            right in prop::collection::btree_set(9000u64..12000, 0..40),
            scatter in any::<bool>(),
        ) {
            let spread = |n: &u64| Number(if scatter { n.wrapping_mul(7919) % 0xff_ffff } else { *n });
            let shared: BTreeSet<Number> = both.iter().map(spread).collect();
            let only_left: BTreeSet<Number> =
                left.iter().map(spread).filter(|n| !shared.contains(n)).collect();
            let only_right: BTreeSet<Number> = right
                .iter()
                .map(spread)
                .filter(|n| !shared.contains(n) && !only_left.contains(n))
                .collect();
            let one: Vec<Number> = shared.union(&only_left).copied().collect();
            let two: Vec<Number> = shared.union(&only_right).copied().collect();
            let (one_lacks, two_lacks, _) = talk(&one, &two);
            prop_assert_eq!(one_lacks, only_right);
            prop_assert_eq!(two_lacks, only_left);
        }
    }

    #[test]
    fn cost_follows_the_difference() {
        let all: Vec<Number> = (0..100_000).map(Number).collect();
        let mut fewer = all.clone();
        fewer.remove(61_803);
        let (lacks, _, cost) = talk(&fewer, &all);
        assert_eq!(lacks, [Number(61_803)].into());
        assert!(cost < 100, "{cost} parts for one difference in 100,000 items");
    }

    #[test]
    fn hostile_parts_are_bounded() {
        let items: Vec<Number> = (0..10_000).map(Number).collect();
        let part = |from, through| Part { from, through, content: PartContent::Hash(1) };
        let parts = (0..10_000).map(|_| part(0, u64::MAX)).collect();
        assert!(answer(&items, parts).answer.len() <= MAX_PARTS + CUT_INTO);
        assert!(answer(&items, alloc::vec![part(9, 3)]).answer.is_empty());
    }
}
