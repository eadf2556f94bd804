//! What a process must not gather over time: memory, descriptors, lines in its log.

use anyhow::{Context, Result, ensure};
use netdb_tests::{cluster::Cluster, node::Node};

use super::trouble::Troubles;
use crate::process;

/// How much more memory than before is no growth, in percent and in bytes: allocators keep what they had.
const MEMORY_PERCENT: u64 = 20;
const MEMORY_BYTES: u64 = 2 << 20;
/// Descriptors that happen to be open, beside one stream with each other node: an unused one is kept for
/// half a minute.
const DESCRIPTORS: usize = 16;
/// Lines that a node may say at its starts, and of each trouble: who failed, came back, restarted.
const LINES_AT_FIRST: usize = 60;
const LINES_PER_TROUBLE: usize = 5;

/// Figures over all processes that run.
pub(crate) struct Vitals {
    /// Bytes, of the one in the middle and of the largest.
    memory: [u64; 2],
    descriptors: usize,
    /// How many nodes were looked at.
    nodes: usize,
}

impl Vitals {
    /// Those of the nodes that nothing ails.
    pub(crate) fn of(cluster: &Cluster, troubles: &Troubles) -> Result<Self> {
        let well = cluster.nodes.iter().enumerate().filter(|(place, _)| !troubles.ails(*place));
        let (mut memory, mut descriptors) = (Vec::new(), 0);
        for pid in well.filter_map(|(_, node)| node.pid()) {
            memory.push(process::resident(pid)?);
            descriptors = descriptors.max(process::descriptors(pid)?);
        }
        let nodes = memory.len();
        memory.sort_unstable();
        let middle = memory.get(memory.len() / 2).context("nobody runs")?;
        let largest = memory.last().context("nobody runs")?;
        Ok(Self { memory: [*middle, *largest], descriptors, nodes })
    }

    /// Both, to be shown.
    pub(crate) fn beside(&self, after: &Self) -> [(&'static str, String, String); 3] {
        let ([middle, largest], [middle_now, largest_now]) = (self.memory, after.memory);
        [
            ("memory, median node", mib(middle), mib(middle_now)),
            ("memory, largest node", mib(largest), mib(largest_now)),
            ("descriptors, most", self.descriptors.to_string(), after.descriptors.to_string()),
        ]
    }

    /// Nothing has grown.
    pub(crate) fn check(&self, after: &Self) -> Result<()> {
        for (was, is) in self.memory.into_iter().zip(after.memory) {
            let most = was + was * MEMORY_PERCENT / 100 + MEMORY_BYTES;
            ensure!(is <= most, "memory has grown from {} to {}", mib(was), mib(is));
        }
        let (was, is) = (self.descriptors, after.descriptors);
        let most = was + after.nodes + DESCRIPTORS;
        ensure!(is <= most, "there were {was} descriptors, and are {is}, more than {most}");
        Ok(())
    }
}

/// Lines in all logs.
pub(crate) fn log_lines(cluster: &Cluster) -> usize {
    cluster.nodes.iter().map(Node::log).map(|log| log.lines().count()).sum()
}

/// How many there may be.
pub(crate) fn lines_allowed(nodes: usize, troubles: usize) -> usize {
    nodes * (LINES_AT_FIRST + troubles * LINES_PER_TROUBLE)
}

fn mib(bytes: u64) -> String {
    let tenths = (bytes * 10) >> 20;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_told() {
        let vitals = |mib: u64, descriptors| Vitals {
            memory: [mib << 20, (mib + 1) << 20],
            descriptors,
            nodes: 10,
        };
        assert!(vitals(10, 20).check(&vitals(13, 46)).is_ok());
        let grown = vitals(10, 20).check(&vitals(15, 20)).unwrap_err().to_string();
        assert!(grown.contains("from 10.0 MiB to 15.0 MiB"), "{grown}");
        assert!(vitals(10, 20).check(&vitals(10, 47)).is_err());
    }
}
