//! Nodes attach, leave and write in bursts: in the end each attached node shows what the attached nodes
//! own, and nothing else.

use alloc::{collections::BTreeMap, vec};

use proptest::prelude::*;

use super::{super::net::lives, *};

const NODES: usize = 6;
const NETWORKS: [&str; 2] = ["net", "other"];

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Attaches a node to a network, or detaches it if it is attached.
    Turn { node: usize, network: usize },
    /// Writes a row of the node's own, if it is attached.
    Put { node: usize, network: usize, key: u8 },
    /// Deletes one.
    Delete { node: usize, network: usize, key: u8 },
    /// Lets some milliseconds pass.
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..NODES, 0..NETWORKS.len());
    prop_oneof![
        4 => place().prop_map(|(node, network)| Step::Turn { node, network }),
        5 => (place(), 0u8..3).prop_map(|((node, network), key)| Step::Put { node, network, key }),
        1 => (place(), 0u8..3).prop_map(|((node, network), key)| Step::Delete { node, network, key }),
        2 => (1u64..4).prop_map(Step::Wait),
        1 => (4u64..600).prop_map(Step::Wait),
    ]
}

/// The rows of each node in each network that it is attached to.
type Model = BTreeMap<(usize, usize), BTreeMap<String, String>>;

fn run(net: &mut Net, model: &mut Model, step: Step, count: usize) {
    match step {
        Step::Turn { node, network } => {
            if model.remove(&(network, node)).is_some() {
                detach(net, node, NETWORKS[network]);
            } else {
                model.insert((network, node), BTreeMap::new());
                attach(net, node, NETWORKS[network]);
            }
        }
        Step::Put { node, network, key } => {
            let Some(rows) = model.get_mut(&(network, node)) else { return };
            let (key, value) = (format!("{node}.{key}"), count.to_string());
            let write = write_of(NETWORKS[network], "t", Lifetime::Owner, &key, &value);
            net.call(node, |node, now| node.write(now, &write)).unwrap();
            rows.insert(key, value);
        }
        Step::Delete { node, network, key } => {
            let Some(rows) = model.get_mut(&(network, node)) else { return };
            let key = format!("{node}.{key}");
            if rows.remove(&key).is_some() {
                let write = write_of(NETWORKS[network], "t", Lifetime::Owner, &key, "");
                let write = Write { operation: Operation::Delete, ..write };
                net.call(node, |node, now| node.write(now, &write)).unwrap();
            }
        }
        Step::Wait(ms) => net.run(Duration::from_millis(ms)),
    }
}

/// Whether every attached node shows what the model says, and only that.
fn holds(net: &Net, model: &Model) -> bool {
    model.keys().all(|&(network, node)| {
        let of_network = model.iter().filter(|((other, _), _)| *other == network);
        let mut expected: Vec<String> =
            of_network.flat_map(|(_, rows)| rows.iter().map(|(k, v)| format!("{k}={v}"))).collect();
        let filter = Filter { network: Some(name(NETWORKS[network])), ..Filter::default() };
        let mut shown: Vec<String> =
            rows(net, node, &filter).into_iter().map(|(row, _)| row).collect();
        expected.sort();
        shown.sort();
        shown == expected
    })
}

fn check(steps: Vec<Step>) {
    let mut net = Net::new(NODES);
    let mut model = Model::new();
    for (count, step) in steps.into_iter().enumerate() {
        run(&mut net, &mut model, step, count);
    }
    net.until(secs(60), |net| holds(net, &model));
    net.run(secs(5));
    assert!(holds(&net, &model), "it lasts");
}

proptest! {
    #![proptest_config(lives())]

    #[test]
    fn rows_survive_bursts_of_joining_and_leaving(steps in prop::collection::vec(step(), 1..60)) {
        check(steps);
    }
}

/// Its owner left, came back and wrote in one instant; others come later, and it changes once more.
#[test]
fn a_row_from_after_leaving_and_rejoining_reaches_who_joins_later() {
    let put = |node, key| Step::Put { node, network: 0, key };
    let turn = |node| Step::Turn { node, network: 0 };
    let again = vec![turn(1), turn(2), turn(1), turn(3), turn(1), put(1, 0), turn(0)];
    let later = vec![Step::Wait(500), turn(3), Step::Wait(116), put(1, 0), turn(4), turn(5)];
    check([again, later].concat());
}

/// Its owner writes and leaves before anybody has heard of it.
#[test]
fn rows_of_a_node_that_left_at_once_stay_with_nobody() {
    let put = |node, key| Step::Put { node, network: 0, key };
    let turn = |node| Step::Turn { node, network: 0 };
    let brief = vec![turn(0), turn(3), put(3, 0), put(3, 1), put(3, 2), turn(3), turn(1)];
    let back = vec![put(0, 0), turn(3), put(3, 1), Step::Wait(2), turn(3), turn(2)];
    check([brief, back].concat());
}
