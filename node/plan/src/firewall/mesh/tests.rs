//! The table of frames is there as long as its link is; a node more is an element more.

use alloc::vec;

use super::*;
use crate::{
    firewall::{Bridge, Edit, Firewall, Layer, SeenFirewall, Tables, WayOut, plan, rebalance},
    host::{Action, Mark, Model, Place},
    records::NetworkId,
};

fn name(text: &str) -> LinkName {
    LinkName::new(text).unwrap()
}

fn firewall(nodes: &[u8]) -> Firewall {
    let nodes = nodes.iter().map(|n| (Mac([2, 0, 0, 0, 0, *n]), u32::from(*n)));
    let mesh = Mesh { link: name("mesh0"), nodes: nodes.collect(), masquerades: false };
    Firewall { mesh: Some(mesh), ..Firewall::default() }
}

/// A host with the link, or without.
fn model(link: bool) -> Model {
    let mut model = Model::default();
    model.firewalls.insert(Place::Host, SeenFirewall::default());
    model.seen.insert(Place::Host, BTreeMap::new());
    if link {
        add_link(&mut model, true);
    }
    model
}

fn add_link(model: &mut Model, ours: bool) {
    let mark = ours.then_some(Mark::network(NetworkId([1; 16])));
    let link = SeenLink { mark, ..SeenLink::default() };
    model.seen.get_mut(&Place::Host).unwrap().insert(name("mesh0"), link);
}

/// Carries out what has to be done, and checks that nothing is left to do.
fn settle(model: &mut Model, firewall: &Firewall) -> Vec<(Layer, Edit)> {
    let wanted = [(Place::Host, firewall.clone())].into();
    let actions = plan(&wanted, &model.firewalls, &model.seen);
    for action in &actions {
        model.apply(action).unwrap();
    }
    assert_eq!(plan(&wanted, &model.firewalls, &model.seen), []);
    let edits = actions.into_iter().flat_map(|action| match action {
        Action::Filter { edits, .. } => edits,
        other => panic!("{other}"),
    });
    edits.flat_map(|(layer, edits)| edits.into_iter().map(move |edit| (layer, edit))).collect()
}

fn ours(model: &Model) -> &Tables {
    &model.firewalls[&Place::Host].ours
}

#[test]
fn frames_have_a_table_while_the_link_is_there() {
    let wanted = firewall(&[1]);
    let mut model = model(false);
    settle(&mut model, &wanted);
    assert!(ours(&model).keys().eq([&Layer::Packets]));
    add_link(&mut model, true);
    assert!(settle(&mut model, &wanted).iter().all(|(layer, _)| *layer == Layer::Frames));
    assert!(ours(&model).keys().eq([&Layer::Packets, &Layer::Frames]));
    let gone = Action::RemoveLink { at: Place::Host, name: name("mesh0") };
    model.apply(&gone).unwrap();
    assert_eq!(settle(&mut model, &wanted), [(Layer::Frames, Edit::RemoveTable)]);
    // A link that is somebody else's is left alone.
    add_link(&mut model, false);
    assert_eq!(settle(&mut model, &wanted), []);
}

#[test]
fn a_chain_that_went_with_its_link_comes_back() {
    let wanted = firewall(&[1]);
    let mut model = model(true);
    settle(&mut model, &wanted);
    let whole = ours(&model).clone();
    let gone = Action::RemoveLink { at: Place::Host, name: name("mesh0") };
    model.apply(&gone).unwrap();
    add_link(&mut model, true);
    assert_ne!(settle(&mut model, &wanted), []);
    assert_eq!(*ours(&model), whole);
}

#[test]
fn it_comes_and_goes_with_what_is_wanted() {
    let mut model = model(true);
    settle(&mut model, &firewall(&[1]));
    assert_eq!(settle(&mut model, &firewall(&[1])), []);
    let gone = [Layer::Packets, Layer::Frames].map(|layer| (layer, Edit::RemoveTable));
    assert_eq!(settle(&mut model, &Firewall::default()), gone);
}

#[test]
fn a_node_more_is_one_element_of_each_map() {
    let mut model = model(true);
    settle(&mut model, &firewall(&[1]));
    let mac = vec![2, 0, 0, 0, 0, 7];
    let add = |name: &str, key: &[u8], value: &[u8]| {
        Edit::AddElements(name.into(), [(key.to_vec(), value.to_vec())].into())
    };
    let mark = 0x4d00_0007_u32.to_ne_bytes();
    let zone = [7_u16.to_ne_bytes(), [0; 2]].concat();
    let expected = [
        (Layer::Packets, add("mesh-marks", &mac, &mark)),
        (Layer::Packets, add("mesh-zones", &mac, &zone)),
        (Layer::Frames, add("mesh-macs", &mark, &mac)),
    ];
    assert_eq!(settle(&mut model, &firewall(&[1, 7])), expected);
}

#[test]
fn keys_fit_what_their_maps_are_made_of() {
    let links = [(name("mesh0"), SeenLink { mark: Some(Mark::UNFINISHED), ..SeenLink::default() })];
    let tables = firewall(&[1, 2]).tables(&links.into());
    for set in tables.values().flat_map(|table| table.sets.values()) {
        for (key, value) in &set.elements {
            let bytes = (Field::width(&set.key), Field::width(&set.value));
            assert_eq!((key.len(), value.len()), bytes);
        }
    }
}

#[test]
fn without_nodes_nothing_is_marked() {
    let mut model = model(true);
    let mut wanted = firewall(&[]);
    wanted.mesh.as_mut().unwrap().masquerades = true;
    settle(&mut model, &wanted);
    let table = &ours(&model)[&Layer::Packets];
    assert!(!ours(&model).contains_key(&Layer::Frames));
    assert!(!table.chains.contains_key("mesh-in") && !table.sets.contains_key("mesh-marks"));
    let masquerades = table.chains["postrouting"].rules.iter();
    assert_eq!(masquerades.filter(|rule| rule.contains(&Expr::Masquerade)).count(), 3);
}

#[test]
fn bridges_beside_it_keep_what_they_have() {
    let bridge = Bridge { subnets: [].into(), way_out: WayOut::Masqueraded };
    let bridges: BTreeMap<_, _> = [(name("br1"), bridge)].into();
    let alone = Firewall { bridges: bridges.clone(), ..Firewall::default() };
    let mut both = Firewall { bridges, ..firewall(&[1]) };
    let (alone, table) = (alone.table().unwrap(), both.table().unwrap());
    for (name, chain) in &alone.chains {
        assert!(chain.rules.iter().all(|rule| table.chains[name].rules.contains(rule)), "{name}");
    }
    assert_eq!(rebalance(&firewall(&[1]), &both), None);
    // Of two that want it, the first counts.
    both.absorb(firewall(&[1, 2]));
    assert_eq!(both.mesh, firewall(&[1]).mesh);
}
