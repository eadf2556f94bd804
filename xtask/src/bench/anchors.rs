//! What the peers need for the same: figures that others measured, with their conditions.
//!
//! Nothing here was measured by this program.

use super::figure::Figure;

/// A figure of a peer, in the unit of the figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    pub(crate) peer: &'static str,
    pub(crate) figure: Figure,
    pub(crate) nodes: usize,
    pub(crate) loss: u8,
    pub(crate) median: u64,
    pub(crate) tail: Option<u64>,
}

/// Whose figures they are unless said otherwise.
pub(crate) const NETWORKDB: &str = "NetworkDB";

const fn anchor(figure: Figure, nodes: usize, loss: u8, median: u64, tail: Option<u64>) -> Anchor {
    Anchor { peer: NETWORKDB, figure, nodes, loss, median, tail }
}

/// Of three agents of serf 0.9 on the loopback (LAN profile, encrypted), in the same anchors.
const fn serf(figure: Figure, median: u64) -> Anchor {
    Anchor { peer: "serf", figure, nodes: 3, loss: 0, median, tail: None }
}

const MS: u64 = 1_000;

/// `NetworkDB` (moby master, August 2026) in virtual time with 1 ms one-way delay: section 1 of the
/// project's anchors (`shared/anchors.md`), which issue 4 quotes; median and p99 or max. Its partition
/// lasted 60 s. What it has no figure for is serf's.
const ANCHORS: &[Anchor] = &[
    anchor(Figure::Create, 5, 0, 159 * MS, Some(383 * MS)),
    anchor(Figure::Create, 10, 0, 304 * MS, Some(539 * MS)),
    anchor(Figure::Create, 25, 0, 457 * MS, Some(672 * MS)),
    anchor(Figure::Create, 50, 0, 556 * MS, Some(973 * MS)),
    anchor(Figure::Create, 100, 0, 671 * MS, Some(961 * MS)),
    anchor(Figure::Create, 25, 5, 468 * MS, Some(836 * MS)),
    anchor(Figure::Create, 100, 5, 692 * MS, Some(989 * MS)),
    anchor(Figure::Create, 25, 20, 566 * MS, Some(890 * MS)),
    anchor(Figure::Create, 100, 20, 842 * MS, Some(1_196 * MS)),
    anchor(Figure::Burst, 10, 0, 52_800 * MS, Some(62_000 * MS)),
    anchor(Figure::Burst, 25, 0, 86_800 * MS, Some(98_000 * MS)),
    anchor(Figure::BurstBytes, 25, 0, 163_000_000, None),
    anchor(Figure::Hidden, 10, 0, 5_600 * MS, Some(9_900 * MS)),
    anchor(Figure::Hidden, 25, 0, 7_400 * MS, Some(9_400 * MS)),
    anchor(Figure::Hidden, 50, 0, 8_600 * MS, Some(12_100 * MS)),
    anchor(Figure::BackStarted, 10, 0, 5_800 * MS, Some(6_800 * MS)),
    anchor(Figure::BackStarted, 25, 0, 6_100 * MS, Some(6_700 * MS)),
    anchor(Figure::Heal, 10, 0, 14_500 * MS, Some(35_000 * MS)),
    anchor(Figure::Heal, 25, 0, 16_400 * MS, Some(30_000 * MS)),
    anchor(Figure::IdleBytes, 50, 0, 166, None),
    anchor(Figure::IdleBytes, 200, 0, 202, None),
    // NetworkDB is a part of dockerd: of its memory and CPU alone there is no figure.
    serf(Figure::IdleCpu, 2_000),
    serf(Figure::IdleMemory, 15_518_924),
];

/// A peer's figure for a size and loss; of other sizes the nearest, none of another loss.
pub(crate) fn nearest(figure: Figure, nodes: usize, loss: u8) -> Option<Anchor> {
    let same = ANCHORS.iter().filter(|anchor| anchor.figure == figure && anchor.loss == loss);
    same.min_by_key(|anchor| anchor.nodes.abs_diff(nodes)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_size_is_taken_and_no_other_loss() {
        let found = nearest(Figure::Create, 24, 5).unwrap();
        assert_eq!((found.nodes, found.median), (25, 468_000));
        assert_eq!(nearest(Figure::IdleBytes, 25, 0).unwrap().nodes, 50);
        assert_eq!(nearest(Figure::Burst, 25, 5), None);
        assert_eq!(nearest(Figure::IdleMemory, 25, 0).unwrap().peer, "serf");
        assert_eq!(nearest(Figure::FullMemory, 25, 0), None);
    }
}
