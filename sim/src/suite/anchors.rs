//! The figures to reach, beside those of others.
//!
//! All in virtual time, one way 1 ms ± 0.2 ms. The others' values were measured the same way; where they are
//! given as "median / longest", each row has the one that belongs to its statistic.

use super::{
    Aim, Bench, Peer, Row, SAMPLES,
    Statistic::{self, Max, Number, P50, P99},
    value::Unit,
};

const MS: u64 = 1_000;
const S: u64 = 1_000_000;
const MB: u64 = 1_000_000;

const fn bench(
    scenario: &'static str,
    nodes: usize,
    loss: u32,
    seeds: u64,
    quick: u64,
    cost: u32,
) -> Bench {
    Bench { cost, scenario, nodes, loss, seeds, quick }
}

const fn row(
    what: (&'static str, &'static str),
    bench: Bench,
    (figure, statistic): (&'static str, Statistic),
    aim: Aim,
    networkdb: Peer,
    chitchat: Peer,
) -> Row {
    let least = match statistic {
        Number(_) => 1,
        _ => SAMPLES,
    };
    let (section, label) = what;
    Row { section, label, bench, figure, statistic, aim, least, networkdb, chitchat }
}

const fn most(value: u64) -> Aim {
    Aim::AtMost(value)
}

const fn is(value: u64) -> Peer {
    Peer::Measured(value)
}

const NONE: Peer = Peer::Unknown;

const CREATE_10: Bench = bench("create", 10, 0, 5, 1, 1);
const CREATE_25: Bench = bench("create", 25, 0, 5, 1, 1);
const CREATE_100: Bench = bench("create", 100, 0, 5, 1, 5);
const CREATE_1000: Bench = bench("create", 1_000, 0, 1, 0, 900);
/// So many whole nodes, each of which knows all others, don't fit into memory.
const RELAY_10000: Bench = bench("relay", 10_000, 0, 1, 0, 30);
const LOSSY_25: Bench = bench("create", 25, 20, 10, 2, 1);
const LOSSY_100: Bench = bench("create", 100, 20, 5, 1, 8);
const BURST: Bench = bench("burst", 25, 0, 200, 1, 4);
const ALL_WRITE: Bench = bench("all-write", 25, 0, 200, 1, 4);
const JOIN: Bench = bench("join-populated", 25, 0, 200, 1, 9);
const KILL: Bench = bench("kill", 25, 0, 70, 4, 1);
const KILL_WRITES: Bench = bench("kill-writes", 100, 0, 3, 1, 7);
const ONE_WAY_CUT: Bench = bench("one-way-cut", 100, 0, 3, 1, 6);
const LOST_PUSH: Bench = bench("lost-push", 1_000, 0, 2, 0, 300);
const RESTART: Bench = bench("restart", 10, 0, 10, 1, 1);
const PARTITION: Bench = bench("partition", 25, 0, 200, 12, 1);
const CONCURRENT: Bench = bench("concurrent", 10, 0, 10, 1, 1);
const LONG_PARTITION: Bench = bench("long-partition", 10, 0, 10, 1, 1);
const FORGED: Bench = bench("forged-future", 10, 0, 10, 1, 1);
const ASLEEP: Bench = bench("rotation-asleep", 10, 0, 200, 10, 1);
const IDLE: Bench = bench("idle", 50, 0, 3, 1, 2);
const IDLE_POPULATED: Bench = bench("idle-populated", 25, 0, 3, 1, 9);
const STEADY: Bench = bench("steady", 1_000, 0, 1, 0, 1_800);
const PAUSES: Bench = bench("pauses", 100, 0, 1, 0, 1_200);

const SEEN: (&str, Statistic) = ("one write seen by all", P99);
const SEEN_P50: (&str, Statistic) = ("one write seen by all", P50);
const COPIES: (&str, Statistic) =
    ("payload copies sent per node, hundredths", Number(Unit::Hundredths));
const BYTES: (&str, Statistic) = ("bytes sent in all", Number(Unit::Bytes));
const HELD: (&str, Statistic) = ("all rows held by all", Max);
const IDLE_RATE: (&str, Statistic) = ("idle bytes per second and node", Number(Unit::Rate));

const WRITE: &str = "One write seen by all";
const PAYLOAD: &str = "Copies of one write's payload sent, per node";
const ONE_WRITER: &str = "10,000 entries of 100 bytes from one node, 25 nodes";
const ALL_WRITERS: &str = "25 nodes × 400 entries at once";
const FRESH: &str = "Fresh node attaches to 10,000 entries, 25 nodes";
const SILENT: &str = "Silent kill, 25 nodes";
const UNNOTICED: &str = "Writes under a fault nobody has noticed, 100 nodes";
const LOST: &str = "3 nodes among 1,000, a push lost everywhere";
const APART: &str = "60 s half/half partition, 25 nodes, all agree";
const RIGHT: &str = "What must never happen";
const QUIET: &str = "Bytes sent per node";
const DAY: &str = "24 hours of pauses, 100 nodes, 1 % loss";

/// The rows in the order in which they are shown.
pub const ROWS: &[Row] = &[
    row((WRITE, "10 nodes, p99"), CREATE_10, SEEN, most(4 * MS), is(539 * MS), is(300 * MS)),
    row((WRITE, "25 nodes, p99"), CREATE_25, SEEN, most(5 * MS), is(672 * MS), is(391 * MS)),
    row((WRITE, "100 nodes, p99"), CREATE_100, SEEN, most(7 * MS), is(961 * MS), is(470 * MS)),
    row((WRITE, "1,000 nodes, p99"), CREATE_1000, SEEN, most(12 * MS), NONE, NONE),
    row((WRITE, "10,000, relay alone, p99"), RELAY_10000, SEEN, most(20 * MS), NONE, NONE),
    row((WRITE, "25, 20 % loss, p50"), LOSSY_25, SEEN_P50, most(15 * MS), is(566 * MS), NONE),
    row((WRITE, "25, 20 % loss, p99"), LOSSY_25, SEEN, most(150 * MS), is(890 * MS), NONE),
    row((WRITE, "100, 20 % loss, p50"), LOSSY_100, SEEN_P50, most(25 * MS), is(842 * MS), NONE),
    row((WRITE, "100, 20 % loss, p99"), LOSSY_100, SEEN, most(200 * MS), is(1_196 * MS), NONE),
    row((PAYLOAD, "25 nodes"), CREATE_25, COPIES, most(150), is(2_400), NONE),
    row((PAYLOAD, "100 nodes"), CREATE_100, COPIES, most(150), is(3_600), NONE),
    row((PAYLOAD, "25, 20 % loss"), LOSSY_25, COPIES, most(250), NONE, NONE),
    row((PAYLOAD, "100, 20 % loss"), LOSSY_100, COPIES, most(250), NONE, NONE),
    row((ONE_WRITER, "held by all, max"), BURST, HELD, most(S / 2), is(98 * S), is(2_100 * MS)),
    row((ONE_WRITER, "bytes in all"), BURST, BYTES, most(30 * MB), is(163 * MB), is(29 * MB)),
    row((ALL_WRITERS, "held by all, max"), ALL_WRITE, HELD, most(S / 2), is(86 * S), is(800 * MS)),
    row((ALL_WRITERS, "bytes in all"), ALL_WRITE, BYTES, most(30 * MB), is(199 * MB), is(24 * MB)),
    row(
        (FRESH, "in sync, max"),
        JOIN,
        ("fresh node in sync", Max),
        most(S / 10),
        is(600 * MS),
        is(1_100 * MS),
    ),
    row((FRESH, "bytes in all"), JOIN, BYTES, most(1_200_000), is(88 * MB), is(2_800_000)),
    row(
        (SILENT, "suspected on all, p50"),
        KILL,
        ("killed, suspected on all", P50),
        most(1_500 * MS),
        NONE,
        NONE,
    ),
    row(
        (SILENT, "suspected on all, max"),
        KILL,
        ("killed, suspected on all", Max),
        most(2_500 * MS),
        NONE,
        NONE,
    ),
    row(
        (SILENT, "hidden on all, p50"),
        KILL,
        ("killed, hidden on all", P50),
        most(3 * S),
        is(7_400 * MS),
        is(1_550 * MS),
    ),
    row(
        (SILENT, "hidden on all, max"),
        KILL,
        ("killed, hidden on all", Max),
        most(5 * S),
        is(9_400 * MS),
        is(1_630 * MS),
    ),
    row(
        (SILENT, "back, visible, p50"),
        KILL,
        ("back, a row visible on all", P50),
        most(S / 5),
        is(6_100 * MS),
        NONE,
    ),
    row(
        (SILENT, "back, visible, max"),
        KILL,
        ("back, a row visible on all", Max),
        most(S),
        is(6_700 * MS),
        NONE,
    ),
    row(
        (UNNOTICED, "5 nodes dead, p99"),
        KILL_WRITES,
        ("written after a kill, seen by all survivors", P99),
        most(S / 10),
        NONE,
        NONE,
    ),
    row(
        (UNNOTICED, "one-way cut, p99"),
        ONE_WAY_CUT,
        ("written under a one-way cut, seen by all", P99),
        most(S / 10),
        NONE,
        NONE,
    ),
    row(
        (LOST, "repaired, p50"),
        LOST_PUSH,
        ("a push lost everywhere, repaired", P50),
        most(2 * S),
        NONE,
        NONE,
    ),
    row(
        (LOST, "repaired, max"),
        LOST_PUSH,
        ("a push lost everywhere, repaired", Max),
        most(5 * S),
        NONE,
        NONE,
    ),
    row((APART, "p50"), PARTITION, ("healed, all agree", P50), most(2 * S), is(16_400 * MS), NONE),
    row((APART, "max"), PARTITION, ("healed, all agree", Max), most(5 * S), is(30 * S), NONE),
    row(
        (RIGHT, "quick restart: events"),
        RESTART,
        ("events elsewhere", Number(Unit::Count)),
        most(0),
        Peer::Words("all"),
        NONE,
    ),
    row(
        (RIGHT, "concurrent writes apart"),
        CONCURRENT,
        ("keys that never agree", Number(Unit::Count)),
        most(0),
        is(64),
        NONE,
    ),
    row(
        (RIGHT, "deleted, alive again"),
        LONG_PARTITION,
        ("deleted rows alive again", Number(Unit::Count)),
        most(0),
        Peer::Words("3 of 5"),
        NONE,
    ),
    row(
        (RIGHT, "updates after a forgery"),
        FORGED,
        ("later updates seen, of 100", Number(Unit::Count)),
        Aim::AtLeast(100),
        Peer::Words("19 to 64"),
        NONE,
    ),
    row(
        (RIGHT, "asleep for 2 keys, max"),
        ASLEEP,
        ("awake, a write read", Max),
        most(2 * S),
        is(87 * S),
        NONE,
    ),
    row((QUIET, "idle, 50 nodes"), IDLE, IDLE_RATE, most(400), is(166), is(72_700)),
    row(
        (QUIET, "idle, 10,000 entries, 25"),
        IDLE_POPULATED,
        IDLE_RATE,
        most(450),
        is(111_000),
        is(36_700),
    ),
    row(
        (QUIET, "1,000: × payload + idle"),
        STEADY,
        ("bytes sent per node over payload and idle, hundredths", Number(Unit::Hundredths)),
        most(200),
        NONE,
        NONE,
    ),
    row(
        (DAY, "removed by a 2 s pause"),
        PAUSES,
        ("removed by a short pause", Number(Unit::Count)),
        most(0),
        NONE,
        NONE,
    ),
    row(
        (DAY, "once by a 10 s pause"),
        PAUSES,
        ("removed by a long pause", Number(Unit::Count)),
        Aim::AsManyAs("long pauses"),
        NONE,
        NONE,
    ),
    // One pause an hour: a day has no more of them.
    Row {
        least: 24,
        ..row(
            (DAY, "awake, visible, max"),
            PAUSES,
            ("awake, its rows visible again", Max),
            most(S),
            NONE,
            NONE,
        )
    },
];

/// Every bench of some rows once, cheap ones first.
pub fn benches<'a>(rows: impl IntoIterator<Item = &'a Row>) -> Vec<Bench> {
    let mut benches: Vec<Bench> = rows.into_iter().map(|row| row.bench).collect();
    benches.sort_unstable();
    benches.dedup();
    benches
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::suite::table::{INDENT, LABEL};

    #[test]
    fn rows_are_told_apart_and_fit_their_column() {
        let names: BTreeSet<_> = ROWS.iter().map(|row| (row.section, row.label)).collect();
        assert_eq!(names.len(), ROWS.len());
        for row in ROWS {
            assert!(row.label.chars().count() <= LABEL - INDENT, "{}", row.label);
            assert!(!row.section.contains('|') && !row.label.contains('|'), "{}", row.label);
        }
    }

    #[test]
    fn sections_are_not_torn_apart() {
        let mut sections: Vec<_> = ROWS.iter().map(|row| row.section).collect();
        sections.dedup();
        let different: BTreeSet<_> = sections.iter().collect();
        assert_eq!(different.len(), sections.len());
    }

    #[test]
    fn a_world_that_several_rows_look_at_runs_once() {
        let benches = benches(ROWS);
        let worlds: BTreeSet<_> =
            benches.iter().map(|bench| (bench.scenario, bench.nodes, bench.loss)).collect();
        assert_eq!(worlds.len(), benches.len());
        assert!(benches.windows(2).all(|pair| pair[0].cost <= pair[1].cost), "cheap ones first");
        assert!(benches.iter().all(|bench| bench.seeds > 0 && bench.quick <= bench.seeds));
    }

    #[test]
    fn a_quick_run_is_bounded() {
        let cost: u64 = benches(ROWS).iter().map(|bench| u64::from(bench.cost) * bench.quick).sum();
        assert!((30..=90).contains(&cost), "{cost} s");
    }
}
