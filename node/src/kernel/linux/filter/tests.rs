//! What is written is read back as the same, without a kernel in between.

use std::collections::BTreeMap;

use netnode_plan::{
    firewall::{
        Backs, Bind, Bridge, Edit, Elements, Firewall, Front, Layer, Mesh, Protocol, Table, WayOut,
    },
    host::{Mark, SeenLink},
    lb::{Balance, Spread},
    records::{Mac, NetworkId},
};

use super::{
    body, decode, encode, family,
    numbers::{INET, NETDEV},
};
use crate::kernel::linux::attributes::Read;

fn firewall() -> Firewall {
    let name = |text: &str| text.parse().unwrap();
    let subnets = ["10.1.0.0/24".parse().unwrap(), "fd01::/64".parse().unwrap()].into();
    let bridge = Bridge { subnets, way_out: WayOut::Masqueraded };
    let to = Backs {
        v4: vec!["10.1.0.2:80".parse().unwrap()],
        v6: vec!["[fd01::2]:80".parse().unwrap()],
    };
    let binds =
        [Bind::Any, Bind::Link(name("eth0")), Bind::Address("2001:db8::1".parse().unwrap())];
    let front = |bind| Front { bind, protocol: Protocol::Udp, port: 53 };
    let published = binds.into_iter().map(|bind| (front(bind), to.clone())).collect();
    let tunnels = [4789].into();
    let mut balance = Balance::default();
    for (vip, to) in [("10.1.0.9", "10.1.0.2"), ("fd01::9", "fd01::2")] {
        let weights = [(to.parse().unwrap(), 1)].into();
        balance.put(vip.parse().unwrap(), Some(Spread::new(None, &weights, BTreeMap::new())));
    }
    balance.put("10.1.0.8".parse().unwrap(), Some(Spread::default()));
    let balances = [(NetworkId([1; 16]), balance)].into();
    let nodes = [(Mac([2, 0, 0, 0, 0, 1]), 1)].into();
    let mesh = Some(Mesh { link: name("mesh0"), nodes, masquerades: true });
    let bridges = [(name("br1"), bridge)].into();
    Firewall { bridges, published, tunnels, balances, mesh, ..Firewall::default() }
}

#[test]
fn rules_chains_and_sets_are_read_as_they_were_written() {
    let mark = Some(Mark::UNFINISHED);
    let links = [("mesh0".parse().unwrap(), SeenLink { mark, ..SeenLink::default() })].into();
    let tables = firewall().tables(&links);
    assert_eq!(tables.len(), 2);
    for (layer, table) in tables {
        is_read_as_written(layer, table);
    }
}

fn is_read_as_written(layer: Layer, table: Table) {
    for (name, chain) in table.chains {
        let edit = Edit::AddChain(name.clone(), chain.base.clone());
        let messages = encode::edit(layer, &edit);
        let read = body(&messages[0].body).and_then(|read| decode::chain(family(layer), read));
        assert_eq!(read, Some((name.clone(), chain.base)));
        let messages = encode::edit(layer, &Edit::SetRules(name.clone(), chain.rules.clone()));
        let read = messages
            .iter()
            .skip(1)
            .filter_map(|message| body(&message.body).and_then(decode::rule));
        let written: Vec<_> = chain.rules.into_iter().map(|rule| (name.clone(), rule)).collect();
        assert_eq!(read.collect::<Vec<_>>(), written);
    }
    for (name, mut set) in table.sets {
        let edit = Edit::AddElements(name.clone(), set.elements.clone());
        let messages = encode::edit(layer, &edit);
        let read = messages.iter().filter_map(|message| body(&message.body).map(decode::elements));
        assert_eq!(read.flatten().collect::<Elements>(), set.elements);
        set.elements.clear();
        let messages = encode::edit(layer, &Edit::AddSet(name.clone(), set.clone()));
        assert_eq!(body(&messages[0].body).and_then(decode::set), Some((name, set)));
    }
}

#[test]
fn no_message_is_longer_than_its_lengths_can_say() {
    let elements: Elements = (0_u32..2000).map(|n| (vec_of(n, 24), vec_of(n, 20))).collect();
    let edit = Edit::AddElements("ports-v6".into(), elements.clone());
    let messages = encode::edit(Layer::Packets, &edit);
    assert!(messages.len() > 1 && messages.iter().all(|m| m.body.len() < usize::from(u16::MAX)));
    let read = messages.iter().filter_map(|message| body(&message.body).map(decode::elements));
    assert_eq!(read.flatten().collect::<Elements>(), elements);
}

fn vec_of(number: u32, length: usize) -> Vec<u8> {
    let mut bytes = number.to_be_bytes().to_vec();
    bytes.resize(length, 0);
    bytes
}

#[test]
fn what_is_cut_off_does_no_harm() {
    let rules = firewall().table().unwrap().chains.remove("publish").unwrap().rules;
    for message in encode::edit(Layer::Packets, &Edit::SetRules("publish".into(), rules)) {
        for length in 0..message.body.len() {
            let read = Read(&message.body[..length]);
            let _ = (decode::rule(read), decode::set(read));
            let _ = [INET, NETDEV].map(|family| decode::chain(family, read));
            let _ = (decode::elements(read), decode::verdicts(read));
        }
    }
}
