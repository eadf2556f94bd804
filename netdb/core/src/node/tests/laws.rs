//! Whatever is written where, cut off from whom and for how long: in the end all agree, nothing that was
//! overwritten or deleted comes back, and nothing live is lost.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};
use core::time::Duration;

use proptest::prelude::*;

use super::net::{Net, name};
use crate::{
    entry::{Dot, Lifetime, RowKey},
    node::{NodeEvent, Operation},
};

const NODES: usize = 4;
const LIFE: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, Debug)]
enum Step {
    Put {
        node: usize,
        key: u8,
    },
    Delete {
        node: usize,
        key: u8,
    },
    /// Cuts the nodes below the bound off from the others.
    Cut(usize),
    Heal,
    Wait(u64),
    Restart(usize),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..NODES, 0u8..4).prop_map(|(node, key)| Step::Put { node, key }),
        4 => (0..NODES, 0u8..4).prop_map(|(node, key)| Step::Delete { node, key }),
        2 => (1..NODES).prop_map(Step::Cut),
        2 => Just(Step::Heal),
        3 => (1u64..2_000).prop_map(Step::Wait),
        1 => (6_000u64..60_000).prop_map(Step::Wait),
        1 => (0..NODES).prop_map(Step::Restart),
    ]
}

/// Every write of a row: what it replaced where it was made, and whether it is a value.
#[derive(Default)]
struct History {
    writes: BTreeMap<String, BTreeMap<Dot, bool>>,
    replaced: BTreeSet<Dot>,
}

impl History {
    /// The writes of a row that nobody replaced knowingly.
    fn heads(&self, key: &str) -> Vec<(Dot, bool)> {
        let writes = self.writes.get(key).into_iter().flatten();
        writes
            .filter(|(dot, _)| !self.replaced.contains(dot))
            .map(|(d, live)| (*d, *live))
            .collect()
    }
}

fn run(net: &mut Net, history: &mut History, step: Step) {
    match step {
        Step::Put { node, key } => write(net, history, node, key, Operation::Upsert),
        Step::Delete { node, key } => write(net, history, node, key, Operation::Delete),
        Step::Cut(bound) => {
            for a in 0..bound {
                for b in bound..NODES {
                    net.cut.extend([(a, b), (b, a)]);
                }
            }
        }
        Step::Heal => net.cut.clear(),
        Step::Wait(ms) => net.run(Duration::from_millis(ms)),
        Step::Restart(node) => {
            net.hosts[node].node = None;
            net.run(Duration::from_millis(1100));
            net.start(node);
        }
    }
}

fn write(net: &mut Net, history: &mut History, node: usize, key: u8, operation: Operation) {
    let key = format!("key{key}");
    let network = name("net");
    let row = RowKey::of(&name("t"), Lifetime::Cluster, key.as_bytes(), net.id(node));
    let before = net.node(node).networks.get(&network).and_then(|n| n.replica.get(&row)).cloned();
    let value = format!("{:?}", net.now);
    let written = net.write(node, Lifetime::Cluster, &key, operation, value.as_bytes());
    if let Ok(receipt) = written {
        history.replaced.extend(before.map(|entry| entry.dot));
        let writes = history.writes.entry(key).or_default();
        writes.insert(receipt.dot, operation != Operation::Delete);
    }
}

/// A case is a small cluster's life: a fifth of the usual number of cases.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases / 5, ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn all_agree_and_nothing_returns(steps in prop::collection::vec(step(), 1..40)) {
        let mut net = Net::with(NODES, |config| config.tombstone_life = LIFE);
        net.attach_all();
        let mut history = History::default();
        for step in steps {
            run(&mut net, &mut history, step);
        }
        net.cut.clear();
        net.until(Duration::from_mins(2), |net| {
            net.agree() && (0..NODES).all(|i| net.node(i).peers(&name("net")).len() == NODES)
        });
        net.run(Duration::from_secs(5));
        prop_assert!(net.agree(), "agreement lasts");
        let standing: BTreeMap<String, Dot> = net.dots(0);
        for key in history.writes.keys() {
            let heads = history.heads(key);
            match standing.get(key) {
                Some(dot) => prop_assert!(heads.contains(&(*dot, true)), "{} came back", key),
                None => prop_assert!(heads.iter().any(|(_, live)| !live), "{} was lost", key),
            }
        }
        let reborn = |event: &NodeEvent| matches!(event, NodeEvent::Reborn(_));
        prop_assert!(!net.hosts.iter().any(|host| host.events.iter().any(reborn)));
    }
}
