//! Whatever is written where, cut off from whom and for how long: in the end all agree, nothing that was
//! overwritten or deleted comes back, and nothing live is lost.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec,
    vec::Vec,
};
use core::{ops::Bound, time::Duration};

use proptest::prelude::*;

use super::net::{Net, lives, name};
use crate::{
    entry::{Dot, Lifetime, RowKey},
    node::{NodeEvent, Operation},
    view::{Filter, Row},
};

const NODES: usize = 4;
const LIFE: Duration = Duration::from_secs(4);

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Writes a row of the shared table.
    Put {
        node: usize,
        key: u8,
    },
    /// Deletes one.
    Delete {
        node: usize,
        key: u8,
    },
    /// Writes a row of the node's own.
    Own {
        node: usize,
        key: u8,
    },
    /// Deletes one.
    Disown {
        node: usize,
        key: u8,
    },
    /// Cuts the nodes below the bound off from the others.
    Cut(usize),
    /// Cuts one node off from all others, beside the cuts there are: parts heal at different times.
    Isolate(usize),
    /// Lets one node reach all others again.
    Reconnect(usize),
    Heal,
    Wait(u64),
    Restart(usize),
    /// Sets a node's wall clock: seconds off.
    Clock {
        node: usize,
        off: i8,
    },
    /// Leaves the network and takes part again after this many milliseconds.
    Reattach {
        node: usize,
        after: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let node = || 0..NODES;
    prop_oneof![
        6 => (node(), 0u8..4).prop_map(|(node, key)| Step::Put { node, key }),
        4 => (node(), 0u8..4).prop_map(|(node, key)| Step::Delete { node, key }),
        3 => (node(), 0u8..4).prop_map(|(node, key)| Step::Own { node, key }),
        2 => (node(), 0u8..4).prop_map(|(node, key)| Step::Disown { node, key }),
        2 => (1..NODES).prop_map(Step::Cut),
        2 => node().prop_map(Step::Isolate),
        2 => node().prop_map(Step::Reconnect),
        2 => Just(Step::Heal),
        3 => (1u64..2_000).prop_map(Step::Wait),
        1 => (6_000u64..60_000).prop_map(Step::Wait),
        1 => node().prop_map(Step::Restart),
        1 => (node(), -20i8..20).prop_map(|(node, off)| Step::Clock { node, off }),
        1 => (node(), 0u64..3_000).prop_map(|(node, after)| Step::Reattach { node, after }),
    ]
}

/// Every write of a shared row: what it replaced where it was made, and whether it is a value; and the
/// rows that each node owns.
#[derive(Default)]
struct History {
    writes: BTreeMap<String, BTreeMap<Dot, bool>>,
    replaced: BTreeSet<Dot>,
    owned: BTreeMap<(usize, String), Vec<u8>>,
    /// Shared rows whose last write was on one node alone when it left the network.
    dropped: BTreeSet<String>,
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
        Step::Own { node, key } => own(net, history, node, key, Operation::Upsert),
        Step::Disown { node, key } => own(net, history, node, key, Operation::Delete),
        Step::Cut(bound) => {
            for a in 0..bound {
                for b in bound..NODES {
                    net.cut.extend([(a, b), (b, a)]);
                }
            }
        }
        Step::Isolate(node) => {
            let others = (0..NODES).filter(|other| *other != node);
            net.cut.extend(others.flat_map(|other| [(node, other), (other, node)]));
        }
        Step::Reconnect(node) => net.cut.retain(|(a, b)| *a != node && *b != node),
        Step::Heal => net.cut.clear(),
        Step::Wait(ms) => net.run(Duration::from_millis(ms)),
        Step::Restart(node) => {
            net.hosts[node].node = None;
            net.run(Duration::from_millis(1100));
            net.start(node);
            history.owned.retain(|(owner, _), _| *owner != node);
        }
        Step::Clock { node, off } => net.hosts[node].skew = i64::from(off) * 1_000_000,
        Step::Reattach { node, after } => {
            let others = (0..NODES).filter(|other| *other != node);
            let elsewhere: BTreeSet<Dot> = others.flat_map(|other| received(net, other)).collect();
            for (key, writes) in &history.writes {
                if writes.keys().any(|dot| !elsewhere.contains(dot)) {
                    history.dropped.insert(key.clone());
                }
            }
            net.call(node, |node, now| node.detach(now, &name("net"))).unwrap();
            net.run(Duration::from_millis(after));
            net.call(node, |node, now| node.attach(now, &name("net"))).unwrap();
            history.owned.retain(|(owner, _), _| *owner != node);
        }
    }
}

/// The shared writes that a node holds, deletes included.
fn received(net: &Net, index: usize) -> BTreeSet<Dot> {
    let network = net.node(index).networks.get(&name("net"));
    let rows = network.into_iter().flat_map(|n| n.replica.rows_from(Bound::Unbounded));
    rows.map(|entry| entry.dot).collect()
}

fn own(net: &mut Net, history: &mut History, node: usize, key: u8, operation: Operation) {
    let key = format!("own{key}");
    let value = format!("{:?}", net.now).into_bytes();
    if net.write(node, Lifetime::Owner, &key, operation, &value).is_ok() {
        match operation {
            Operation::Delete => history.owned.remove(&(node, key)),
            _ => history.owned.insert((node, key), value),
        };
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

/// The `Owner` rows of all nodes, as one of them sees them.
fn owned(net: &Net, index: usize) -> BTreeMap<(usize, String), Vec<u8>> {
    let network = Some(name("net"));
    let filter = Filter { network, lifetime: Some(Lifetime::Owner), ..Filter::default() };
    let row = |row: &Row| {
        let owner = (0..NODES).find(|i| net.id(*i) == row.entry.row.owner)?;
        let key = String::from_utf8(row.entry.row.key.to_vec()).ok()?;
        Some(((owner, key), row.entry.value.as_ref()?.to_vec()))
    };
    net.node(index).rows(&filter).iter().filter_map(|(_, r)| row(r)).collect()
}

proptest! {
    #![proptest_config(lives())]

    #[test]
    fn all_agree_and_nothing_returns(steps in prop::collection::vec(step(), 1..40)) {
        let mut net = Net::with(NODES, |config| config.tombstone_life = LIFE);
        net.attach_all();
        let mut history = History::default();
        for step in steps {
            run(&mut net, &mut history, step);
        }
        net.cut.clear();
        for node in 0..NODES {
            net.call(node, |node, now| node.mark_complete(now, &name("net"))).unwrap();
        }
        net.until(Duration::from_mins(2), |net| {
            net.agree() && (0..NODES).all(|i| net.node(i).peers(&name("net")).len() == NODES)
        });
        net.run(Duration::from_secs(5));
        prop_assert!(net.agree(), "agreement lasts");
        for node in 0..NODES {
            prop_assert_eq!(owned(&net, node), history.owned.clone(), "own rows, as seen by {}", node);
        }
        let standing: BTreeMap<String, Dot> = net.dots(0);
        for key in history.writes.keys().filter(|key| !history.dropped.contains(*key)) {
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
