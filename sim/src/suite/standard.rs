//! The mix that every change has to survive: churn over sizes and losses, and each other scenario once.

use crate::scenario::{self, Scenario};

/// Seeds of churn unless told otherwise.
pub const SEEDS: u64 = 1_000;
/// The same in a quick run.
pub const QUICK_SEEDS: u64 = 90;
/// Hosts at churn.
pub const SIZES: [usize; 3] = [5, 10, 25];
/// Datagrams lost at churn, in percent.
pub const LOSSES: [u32; 3] = [0, 5, 20];
/// What takes its own share of a minute or more is left out of a quick run.
pub const QUICK_NODES: usize = 50;
const CHURN: &str = "churn";

/// One run.
#[derive(Clone, Copy)]
pub struct Run {
    /// The scenario.
    pub scenario: Scenario,
    /// Hosts.
    pub nodes: usize,
    /// Datagrams lost, in percent.
    pub loss: u32,
    /// The seed.
    pub seed: u64,
}

/// The runs: `seeds` of churn that take turns with sizes and losses, from seed `first` on; then the others,
/// of those with at most `largest` nodes.
pub fn runs(first: u64, seeds: u64, largest: usize) -> Vec<Run> {
    let mixes: Vec<(usize, u32)> =
        SIZES.iter().flat_map(|nodes| LOSSES.map(|loss| (*nodes, loss))).collect();
    let churn = scenario::named(CHURN).into_iter().flat_map(|scenario| {
        let seeds = first..first.saturating_add(seeds);
        let turns = seeds.zip(mixes.iter().cycle());
        turns.map(move |(seed, (nodes, loss))| Run { scenario, nodes: *nodes, loss: *loss, seed })
    });
    let others = scenario::all()
        .into_iter()
        .filter(|scenario| scenario.name != CHURN && scenario.nodes <= largest);
    let others =
        others.map(|scenario| Run { scenario, nodes: scenario.nodes, loss: 0, seed: first });
    churn.chain(others).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_mix_and_every_scenario_has_its_turn() {
        let all = runs(1, 18, usize::MAX);
        let churn: Vec<_> = all.iter().filter(|run| run.scenario.name == CHURN).collect();
        let seeds: BTreeSet<_> = churn.iter().map(|run| run.seed).collect();
        let mixes: BTreeSet<_> = churn.iter().map(|run| (run.nodes, run.loss)).collect();
        assert_eq!((churn.len(), seeds.len(), mixes.len()), (18, 18, 9));
        let names: BTreeSet<_> = all.iter().map(|run| run.scenario.name).collect();
        assert_eq!(names.len(), scenario::all().len());
        assert_eq!(all.len(), 18 + scenario::all().len() - 1);
    }

    #[test]
    fn a_quick_run_leaves_out_what_is_large() {
        let quick = runs(1, 9, QUICK_NODES);
        assert!(quick.iter().all(|run| run.nodes <= QUICK_NODES));
        assert!(quick.iter().any(|run| run.scenario.name != CHURN));
    }
}
