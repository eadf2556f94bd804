//! A plan, carried out, leaves nothing to do; and what is not ours stays.

use alloc::{collections::BTreeMap, string::ToString, vec, vec::Vec};

use super::*;
use crate::records::EndpointId;

const NETWORK: NetworkId = NetworkId([7; 16]);

fn name(text: &str) -> LinkName {
    LinkName::new(text).unwrap()
}

fn sandbox() -> Place {
    Place::Sandbox("/run/x".into())
}

fn mac(last: u8) -> Mac {
    Mac([2, 0, 0, 0, 0, last])
}

fn wanted() -> Wanted {
    let mark = Mark::network(NETWORK);
    let local = "192.0.2.1".parse().unwrap();
    let bridge = Link::new(mark, Kind::Bridge, 1450).with(Setting::AcceptRa, 0);
    let mut vxlan = Link::new(mark, Kind::Vxlan { vni: 9, port: 4789, local }, 1450);
    vxlan.port_of = Some((name("br0"), Port::TOLD));
    vxlan.tunnels.insert(mac(9), "192.0.2.9".parse().unwrap());
    vxlan.stations.insert(mac(9));
    vxlan.neighbours.insert("10.0.0.9".parse().unwrap(), mac(9));
    let mark = Mark::endpoint(NETWORK, EndpointId([3; 16]));
    let mut port = Link::new(mark, Kind::Veth { peer_at: sandbox(), peer: name("eth0") }, 1450);
    port.port_of = Some((name("br0"), Port::TOLD));
    port.stations.insert(mac(3));
    let mut end = Link::new(mark, Kind::VethEnd, 1450).with(Setting::DisableV6, 1);
    end.mac = Some(mac(3));
    end.addresses.insert("10.0.0.3/24".parse().unwrap());
    end.routes.insert(Route {
        to: "0.0.0.0/0".parse().unwrap(),
        via: Some("10.0.0.1".parse().unwrap()),
        metric: 0,
    });
    let links = [(name("br0"), bridge), (name("vxlan0"), vxlan), (name("p3"), port)];
    let ends = [(name("eth0"), end)];
    [(Place::Network(NETWORK), links.into()), (sandbox(), ends.into())].into()
}

fn model() -> Model {
    let mut model = Model::default();
    model.seen.insert(Place::Host, [(name("eth0"), SeenLink::default())].into());
    model.seen.insert(sandbox(), [(name("lo"), SeenLink::default())].into());
    model
}

/// Carries out what has to be done, and checks that nothing is left to do.
fn settle(model: &mut Model, wanted: &Wanted) -> Vec<Action> {
    let plan = plan(wanted, &model.seen);
    assert_eq!(plan.obstacles, []);
    for action in &plan.actions {
        model.apply(action).unwrap();
    }
    assert_eq!(super::plan(wanted, &model.seen), Plan::default());
    plan.actions
}

#[test]
fn what_is_missing_comes_and_what_is_not_wanted_goes() {
    let mut model = model();
    settle(&mut model, &wanted());
    let mut left = wanted();
    left.remove(&Place::Network(NETWORK));
    left.insert(sandbox(), BTreeMap::new());
    settle(&mut model, &left);
    // Loopback stays up; nothing else of it is left.
    let mut empty = self::model();
    empty.seen.get_mut(&sandbox()).unwrap().get_mut(&name("lo")).unwrap().up = true;
    assert_eq!(model.seen, empty.seen);
}

#[test]
fn a_restart_changes_nothing() {
    let mut model = model();
    settle(&mut model, &wanted());
    assert_eq!(settle(&mut model, &wanted()), []);
}

#[test]
fn one_change_is_one_step() {
    let mut model = model();
    settle(&mut model, &wanted());
    let mut moved = wanted();
    let to = "192.0.2.8".parse().unwrap();
    let links = moved.get_mut(&Place::Network(NETWORK)).unwrap();
    links.get_mut(&name("vxlan0")).unwrap().tunnels.insert(mac(9), to);
    let change = Change::PutTunnel(mac(9), to);
    let (at, link) = (Place::Network(NETWORK), name("vxlan0"));
    assert_eq!(settle(&mut model, &moved), vec![Action::Change { at, name: link, change }]);
}

#[test]
fn whatever_is_lost_comes_back() {
    let whole = {
        let mut model = model();
        settle(&mut model, &wanted());
        model
    };
    let networks_end = [Action::RemoveNamespace(NETWORK)];
    let single = wanted().into_iter().flat_map(|(at, links)| {
        links.into_keys().map(move |name| Action::RemoveLink { at: at.clone(), name })
    });
    for loss in single.chain(networks_end) {
        let mut model = whole.clone();
        model.apply(&loss).unwrap();
        settle(&mut model, &wanted());
    }
}

#[test]
fn another_kind_is_another_link() {
    let mut model = model();
    settle(&mut model, &wanted());
    let mut other = wanted();
    let links = other.get_mut(&Place::Network(NETWORK)).unwrap();
    let local = "192.0.2.1".parse().unwrap();
    links.get_mut(&name("vxlan0")).unwrap().kind = Kind::Vxlan { vni: 10, port: 4789, local };
    let actions = settle(&mut model, &other);
    assert!(matches!(&actions[0], Action::RemoveLink { name, .. } if name.as_str() == "vxlan0"));
}

#[test]
fn what_is_not_ours_stays() {
    let mut model = model();
    settle(&mut model, &wanted());
    let place = Place::Network(NETWORK);
    let links = model.seen.get_mut(&place).unwrap();
    links.insert(name("theirs"), SeenLink { kind: Some(Kind::Bridge), ..SeenLink::default() });
    let vxlan = links.get_mut(&name("vxlan0")).unwrap();
    let elsewhere = "192.0.2.77".parse().unwrap();
    vxlan.tunnels.insert(mac(77), (elsewhere, false));
    vxlan.neighbours.insert(elsewhere, (mac(77), false));
    let end = model.seen.get_mut(&sandbox()).unwrap().get_mut(&name("eth0")).unwrap();
    end.addresses.insert("10.0.0.200/24".parse().unwrap(), false);
    let before = model.seen.clone();
    assert_eq!(settle(&mut model, &wanted()), []);
    assert_eq!(model.seen, before);
}

#[test]
fn a_foreign_link_in_the_way_is_told_and_the_rest_goes_on() {
    let mut model = model();
    let links = model.seen.get_mut(&sandbox()).unwrap();
    links.insert(name("eth0"), SeenLink { up: true, ..SeenLink::default() });
    let plan = plan(&wanted(), &model.seen);
    let at = sandbox();
    assert_eq!(plan.obstacles, [Obstacle::Foreign { at, name: name("eth0") }]);
    for action in &plan.actions {
        model.apply(action).unwrap();
    }
    assert!(model.seen[&Place::Network(NETWORK)].contains_key(&name("vxlan0")));
    assert!(!model.seen[&Place::Network(NETWORK)].contains_key(&name("p3")));
}

#[test]
fn a_sandbox_that_is_gone_is_told() {
    let mut model = model();
    model.seen.remove(&sandbox());
    let plan = plan(&wanted(), &model.seen);
    assert_eq!(plan.obstacles, [Obstacle::SandboxGone("/run/x".into())]);
}

#[test]
fn marks_are_read_back() {
    for endpoint in [None, Some(EndpointId([5; 16]))] {
        let mark = Mark { network: NETWORK, endpoint };
        assert_eq!(mark.to_string().parse(), Ok(mark));
        // IFALIASZ less one.
        assert!(mark.to_string().len() < 256);
    }
    for other in ["", "netnode:", "netnode:7", "eth0", "netnode:07:07"] {
        assert_eq!(other.parse::<Mark>(), Err(NotAMark));
    }
}
