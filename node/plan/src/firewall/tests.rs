//! A plan, carried out, leaves nothing to do; a change is no larger than what changed.

use alloc::{vec, vec::Vec};

use super::*;
use crate::{
    host::{Action, Model},
    records::{Driver, NetworkOptions, NetworkRecord, Subnet},
};

fn name(text: &str) -> LinkName {
    LinkName::new(text).unwrap()
}

fn front(bind: Bind, port: u16) -> Front {
    Front { bind, protocol: Protocol::Tcp, port }
}

fn back(to: &str) -> Backs {
    Backs { v4: vec![to.parse().unwrap()], v6: vec![] }
}

fn firewall() -> Firewall {
    let subnets = |subnet: &str| BTreeSet::from([subnet.parse().unwrap()]);
    let out = Bridge { subnets: subnets("10.1.0.0/24"), way_out: WayOut::Masqueraded };
    let closed = Bridge { subnets: subnets("fd01::/64"), way_out: WayOut::Closed };
    let bridges = [(name("br1"), out), (name("br2"), closed)].into();
    let published = [
        (front(Bind::Any, 80), back("10.1.0.2:8080")),
        (front(Bind::Address("192.0.2.1".parse().unwrap()), 80), back("10.1.0.3:8080")),
        (front(Bind::Link(name("eth0")), 81), back("10.1.0.4:8080")),
    ]
    .into();
    Firewall { bridges, published, tunnels: [4789].into(), ..Firewall::default() }
}

fn model() -> Model {
    let mut model = Model::default();
    model.firewalls.insert(Place::Host, SeenFirewall::default());
    model.seen.insert(Place::Host, [].into());
    model
}

/// Carries out what has to be done, and checks that nothing is left to do.
fn settle(model: &mut Model, firewall: &Firewall) -> Vec<Edit> {
    let wanted = [(Place::Host, firewall.clone())].into();
    let actions = plan(&wanted, &model.firewalls, &model.seen);
    for action in &actions {
        model.apply(action).unwrap();
    }
    assert_eq!(plan(&wanted, &model.firewalls, &model.seen), []);
    assert_eq!(model.firewalls[&Place::Host].ours.get(&Layer::Packets), firewall.table().as_ref());
    let edits = actions.into_iter().flat_map(|action| match action {
        Action::Filter { edits, .. } => edits.into_values().flatten().collect(),
        _ => Vec::new(),
    });
    edits.collect()
}

#[test]
fn it_comes_stays_and_goes() {
    let mut model = model();
    assert!(!settle(&mut model, &firewall()).is_empty());
    assert_eq!(settle(&mut model, &firewall()), []);
    assert_eq!(settle(&mut model, &Firewall::default()), [Edit::RemoveTable]);
    assert_eq!(settle(&mut model, &Firewall::default()), []);
}

#[test]
fn tunnels_alone_need_no_table_and_are_in_two_chains_of_it() {
    let tunnels = [4789].into();
    assert_eq!(Firewall { tunnels, ..Firewall::default() }.table(), None);
    let rules = |firewall: &Firewall, chain| firewall.table().unwrap().chains[chain].rules.len();
    assert_eq!((rules(&firewall(), "guard"), rules(&firewall(), "leaving")), (2, 1));
    let none = Firewall { tunnels: [].into(), ..firewall() };
    assert_eq!((rules(&none, "guard"), rules(&none, "leaving")), (1, 0));
}

#[test]
fn a_port_is_an_element_and_one_for_its_slot() {
    let mut model = model();
    settle(&mut model, &firewall());
    let mut more = firewall();
    more.published.insert(front(Bind::Any, 443), back("10.1.0.2:8443"));
    let key = vec![6, 0, 0, 0, 1, 187, 0, 0];
    let slot = [key.clone(), 0_u32.to_ne_bytes().into()].concat();
    let value = vec![10, 1, 0, 2, 32, 251, 0, 0];
    let port: Elements = [(key, vec![])].into();
    let slot: Elements = [(slot, value)].into();
    let all = |edit: fn(alloc::string::String, Elements) -> Edit| {
        [edit("ports-v4".into(), slot.clone()), edit("ports-v4-1".into(), port.clone())]
    };
    assert_eq!(settle(&mut model, &more), all(Edit::AddElements));
    assert_eq!(settle(&mut model, &firewall()), all(Edit::RemoveElements));
}

#[test]
fn ports_with_as_many_slots_share_a_rule() {
    let mut model = model();
    settle(&mut model, &firewall());
    let rules = |more: &Firewall| more.table().unwrap().chains["publish"].rules.len();
    let one_slot_each = rules(&firewall());
    let mut more = firewall();
    let both = || Backs { v4: [back("10.1.0.2:1").v4, back("10.1.0.3:1").v4].concat(), v6: vec![] };
    more.published.insert(front(Bind::Any, 443), both());
    assert_eq!(rules(&more), one_slot_each + 1);
    settle(&mut model, &more);
    more.published.insert(front(Bind::Any, 444), both());
    assert_eq!(rules(&more), one_slot_each + 1);
    assert!(settle(&mut model, &more).iter().all(|edit| matches!(edit, Edit::AddElements(..))));
    // The set of those with two slots goes with the last of them.
    let edits = settle(&mut model, &firewall());
    assert!(edits.contains(&Edit::RemoveSet("ports-v4-2".into())), "{edits:?}");
}

#[test]
fn a_port_that_leads_elsewhere_is_replaced() {
    let mut model = model();
    settle(&mut model, &firewall());
    let mut moved = firewall();
    moved.published.insert(front(Bind::Any, 80), back("10.1.0.9:8080"));
    let edits = settle(&mut model, &moved);
    assert!(matches!(edits.as_slice(), [Edit::RemoveElements(..), Edit::AddElements(..)]));
}

#[test]
fn a_bridge_changes_its_sets_and_one_chain() {
    let mut model = model();
    settle(&mut model, &firewall());
    let mut more = firewall();
    let third = Bridge { subnets: [].into(), way_out: WayOut::Masqueraded };
    more.bridges.insert(name("br3"), third.clone());
    let sets = |edits: &[Edit]| -> Vec<_> {
        let name = |edit: &Edit| match edit {
            Edit::AddElements(name, _) | Edit::SetRules(name, _) => name.clone(),
            other => panic!("{other:?}"),
        };
        edits.iter().map(name).collect()
    };
    assert_eq!(sets(&settle(&mut model, &more)), ["bridges", "within"]);
    let subnets = [subnet("10.3.0.0/24")].into();
    more.bridges.insert(name("br3"), Bridge { subnets, ..third });
    assert_eq!(sets(&settle(&mut model, &more)), ["postrouting"]);
}

#[test]
fn an_administrators_rules_are_never_touched_and_asked_first() {
    let mut model = model();
    settle(&mut model, &firewall());
    let jump = Expr::Verdict(Verdict::Jump(USER.into()));
    assert_eq!(firewall().table().unwrap().chains["forward"].rules[0], [jump]);
    let theirs = vec![vec![Expr::Verdict(Verdict::Drop)]];
    let ours = |model: &mut Model| -> Table {
        let seen = model.firewalls.get_mut(&Place::Host).unwrap();
        seen.ours.get_mut(&Layer::Packets).unwrap().clone()
    };
    let seen = model.firewalls.get_mut(&Place::Host).unwrap();
    let table = seen.ours.get_mut(&Layer::Packets).unwrap();
    table.chains.get_mut(USER).unwrap().rules.clone_from(&theirs);
    let change = |model: &mut Model, to: &Firewall| {
        let wanted = [(Place::Host, to.clone())].into();
        for action in plan(&wanted, &model.firewalls, &model.seen) {
            model.apply(&action).unwrap();
        }
        assert_eq!(plan(&wanted, &model.firewalls, &model.seen), []);
    };
    // Chains come and go beside it.
    let mut balance = Balance::default();
    balance.put("10.1.0.9".parse().unwrap(), Some(crate::lb::Spread::default()));
    let balances = [(NetworkId([1; 16]), balance)].into();
    change(&mut model, &Firewall { balances, ..firewall() });
    assert_eq!(ours(&mut model).chains[USER].rules, theirs);
    assert!(ours(&mut model).chains.contains_key("balance-in"));
    change(&mut model, &firewall());
    assert!(!ours(&mut model).chains.contains_key("balance-in"));
    // When nothing else is wanted, it is what is left.
    change(&mut model, &Firewall::default());
    let left = ours(&mut model);
    assert_eq!((left.chains.len(), left.sets.len()), (1, 0));
    assert_eq!(left.chains[USER].rules, theirs);
}

#[test]
fn a_port_that_leads_nowhere_goes_no_further() {
    let mut closed = firewall();
    closed
        .published
        .insert(front(Bind::Address("192.0.2.1".parse().unwrap()), 90), Backs::default());
    let table = closed.table().unwrap();
    assert_eq!(table.sets["address-ports-v4-0"].elements.len(), 1);
    assert!(!table.sets.contains_key("address-ports-v6-0"));
    let accept = Some(&Expr::Verdict(Verdict::Accept));
    let rules = &table.chains["publish"].rules;
    assert_eq!(rules.iter().filter(|rule| rule.last() == accept).count(), 1);
}

fn subnet(text: &str) -> IpNet {
    text.parse().unwrap()
}

#[test]
fn whatever_is_broken_is_mended() {
    let breaks: [fn(&mut Table); 7] = [
        |table| table.chains.clear(),
        |table| drop(table.chains.remove("forward")),
        |table| table.chains.get_mut("forward").unwrap().rules.clear(),
        |table| table.chains.get_mut("forward").unwrap().base.as_mut().unwrap().drops = true,
        |table| drop(table.sets.remove("bridges")),
        |table| table.sets.get_mut("ports-v4").unwrap().elements.clear(),
        |table| drop(table.chains.insert("theirs".into(), Chain::default())),
    ];
    for harm in breaks {
        let mut model = model();
        settle(&mut model, &firewall());
        let ours = &mut model.firewalls.get_mut(&Place::Host).unwrap().ours;
        harm(ours.get_mut(&Layer::Packets).unwrap());
        assert_ne!(settle(&mut model, &firewall()), []);
    }
}

#[test]
fn what_somebody_else_changed_in_between_is_looked_at_first() {
    let mut model = model();
    let wanted = [(Place::Host, firewall())].into();
    let planned = plan(&wanted, &model.firewalls, &model.seen);
    model.firewalls.get_mut(&Place::Host).unwrap().generation += 1;
    assert!(model.apply(&planned[0]).is_err());
}

#[test]
fn what_two_say_counts_as_the_first_said_it() {
    let mut all = firewall();
    let mut other = Firewall::default();
    other.published.insert(front(Bind::Any, 80), back("10.7.0.2:1"));
    other.published.insert(front(Bind::Any, 82), back("10.7.0.2:2"));
    other.bridges.insert(name("br1"), Bridge::default());
    all.absorb(other);
    assert_eq!(all.published[&front(Bind::Any, 80)], back("10.1.0.2:8080"));
    assert_eq!(all.published[&front(Bind::Any, 82)], back("10.7.0.2:2"));
    assert_eq!(all.bridges, firewall().bridges);
}

#[test]
fn a_port_of_one_family_is_in_no_map_of_the_other() {
    let table = firewall().table().unwrap();
    let count = |set: &str| table.sets[set].elements.len();
    let sets = ["address-ports-v4", "link-ports-v4", "ports-v4"];
    assert_eq!(sets.map(count), [1, 1, 1]);
    let sets = ["address-ports-v6", "link-ports-v6", "ports-v6"];
    assert_eq!(sets.map(count), [0, 0, 0]);
}

#[test]
fn keys_fit_what_their_sets_are_made_of() {
    for set in firewall().table().unwrap().sets.values() {
        for (key, value) in &set.elements {
            let bytes = (Field::width(&set.key), Field::width(&set.value));
            assert_eq!((key.len(), value.len()), bytes);
        }
    }
}

mod others {
    use super::*;
    use crate::host::SeenLink;
    use alloc::string::{String, ToString};

    const ONE: Register = Register(0);

    fn verdict(verdict: Verdict) -> Expr {
        Expr::Verdict(verdict)
    }

    fn from(name: &str, equal: bool) -> Vec<Expr> {
        vec![
            Expr::Meta(Meta::InLink, ONE),
            Expr::Compare { from: ONE, equal, value: name.bytes().collect() },
        ]
    }

    fn then(matches: Vec<Expr>, decision: Verdict) -> Rule {
        [matches, vec![verdict(decision)]].concat()
    }

    fn states(bits: u32) -> Vec<Expr> {
        let mask = Expr::Mask(ONE, bits.to_ne_bytes().into());
        let compare = Expr::Compare { from: ONE, equal: false, value: vec![0; 4] };
        vec![Expr::Ct(Ct::State, ONE), mask, compare]
    }

    /// What is told of a table of somebody else's with these rules in its chain for what is forwarded.
    fn judged(drops: bool, rules: Vec<Rule>, more: Vec<(&str, Vec<Rule>)>) -> Vec<String> {
        let base = Base { kind: Kind::Filter, hook: Hook::Forward, priority: 0, drops };
        let forward = Chain { base: Some(base), rules };
        let mut table = Table { chains: [("fwd".into(), forward)].into(), ..Table::default() };
        for (name, rules) in more {
            table.chains.insert(name.into(), Chain { base: None, rules });
        }
        let verdicts = [(state::ESTABLISHED.to_ne_bytes().into(), Verdict::Accept)].into();
        table.sets.insert("states".into(), Set { verdicts, ..Set::default() });
        let other = Other { scope: Scope::Inet, name: "filter".into(), table };
        let there = SeenFirewall { others: vec![other], ..SeenFirewall::default() };
        let mut firewall = firewall();
        firewall.published.clear();
        let (wanted, seen) = ([(Place::Host, firewall)].into(), [(Place::Host, there)].into());
        blocked(&wanted, &seen, &links()).iter().map(ToString::to_string).collect()
    }

    /// What leads away from the host.
    fn links() -> crate::host::Seen {
        let links = ["lo", "wan0"].map(|link| (name(link), SeenLink::default()));
        [(Place::Host, links.into())].into()
    }

    const BLOCKED: &str = "blocked by inet filter/fwd; to let it pass: nft insert rule inet filter \
                           fwd iifname \"br1\" accept";

    #[test]
    fn a_default_drop_blocks_unless_something_may_accept() {
        assert_eq!(judged(true, vec![], vec![]), [BLOCKED]);
        assert_eq!(judged(false, vec![], vec![]), [""; 0]);
        let accept = |matches| vec![then(matches, Verdict::Accept)];
        assert_eq!(judged(true, accept(from("br1\0", true)), vec![]), [""; 0]);
        assert_eq!(judged(true, accept(from("br", true)), vec![]), [""; 0], "a beginning of it");
        assert_eq!(judged(true, accept(from("eth0\0", true)), vec![]), [BLOCKED]);
        let only = |link: &str| {
            let mut to = from(link, true);
            to[0] = Expr::Meta(Meta::OutLink, ONE);
            accept(to)
        };
        assert_eq!(judged(true, only("wan0\0"), vec![]), [""; 0]);
        assert_eq!(judged(true, only("wan1\0"), vec![]), [BLOCKED], "there is no such link");
        assert_eq!(judged(true, accept(from("eth0\0", false)), vec![]), [""; 0]);
        let answers = states(state::ESTABLISHED | state::RELATED);
        assert_eq!(judged(true, accept(answers), vec![]), [BLOCKED]);
        assert_eq!(judged(true, accept(vec![Expr::States(6)]), vec![]), [BLOCKED]);
        assert_eq!(judged(true, accept(states(state::NEW)), vec![]), [""; 0]);
        let unknown = vec![Expr::Other("limit".into())];
        assert_eq!(judged(true, accept(unknown), vec![]), [""; 0], "it might");
        let by_map =
            vec![Expr::Ct(Ct::State, ONE), Expr::Decide { map: "states".into(), key: ONE }];
        assert_eq!(judged(true, vec![by_map], vec![]), [BLOCKED]);
    }

    #[test]
    fn a_drop_that_is_certain_blocks_whatever_the_policy() {
        let drop = |matches| vec![then(matches, Verdict::Drop)];
        assert_eq!(judged(false, drop(vec![]), vec![]), [BLOCKED]);
        assert_eq!(judged(false, drop(from("br1\0", true)), vec![]), [BLOCKED]);
        assert_eq!(judged(false, drop(from("eth0\0", true)), vec![]), [""; 0]);
        assert_eq!(judged(false, drop(states(1)), vec![]), [""; 0], "invalid ones only");
        let marked = vec![
            Expr::Meta(Meta::Mark, ONE),
            Expr::Compare { from: ONE, equal: true, value: vec![1, 0, 0, 0] },
        ];
        assert_eq!(judged(false, drop(marked), vec![]), [""; 0], "marked ones only");
        let written = vec![Expr::Immediate(vec![1; 4], ONE), Expr::Put(Target::Mark, ONE)];
        assert_eq!(judged(false, drop(written), vec![]), [BLOCKED], "whatever is marked");
        assert_eq!(judged(false, vec![vec![Expr::Reject(Refusal::Other)]], vec![]), [BLOCKED]);
    }

    #[test]
    fn jumps_are_followed_and_end() {
        let jump = |to: &str| vec![vec![verdict(Verdict::Jump(to.into()))]];
        assert_eq!(judged(true, jump("user"), vec![("user", vec![])]), [BLOCKED]);
        let accepts = vec![then(vec![], Verdict::Accept)];
        assert_eq!(judged(true, jump("user"), vec![("user", accepts)]), [""; 0]);
        assert_eq!(judged(true, jump("user"), vec![("user", jump("user"))]), [""; 0]);
        let returns = vec![then(vec![], Verdict::Return), then(vec![], Verdict::Accept)];
        assert_eq!(judged(true, jump("user"), vec![("user", returns)]), [BLOCKED]);
    }

    #[test]
    fn a_published_port_needs_its_way_in() {
        let base = Base { kind: Kind::Filter, hook: Hook::Forward, priority: 0, drops: true };
        let rules = vec![then(from("br1\0", true), Verdict::Accept)];
        let chains = [("FORWARD".into(), Chain { base: Some(base), rules })].into();
        let table = Table { chains, ..Table::default() };
        let told = |scope| {
            let other = Other { scope, name: "filter".into(), table: table.clone() };
            let there = SeenFirewall { others: vec![other], ..SeenFirewall::default() };
            let (wanted, seen) =
                ([(Place::Host, firewall())].into(), [(Place::Host, there)].into());
            let rule = |blocked: &Blocked| blocked.rule.clone();
            blocked(&wanted, &seen, &links()).iter().map(rule).collect::<Vec<_>>()
        };
        assert_eq!(told(Scope::Ip), ["oifname \"br1\" ct status dnat accept"]);
        assert_eq!(told(Scope::Ip6), [""; 0]);
    }
}

#[test]
fn routers_are_asked_for_names_where_they_are_ours() {
    let at: SocketAddr = "127.0.0.11:53".parse().unwrap();
    let mut record = NetworkRecord {
        name: "web".parse().unwrap(),
        driver: Driver::Overlay,
        subnets: ["10.1.0.0/24", "fd01::/64"].map(|net| Subnet::of(net.parse().unwrap())).into(),
        options: NetworkOptions::default(),
        created_us: 1,
    };
    record.subnets[0].gateway = Some("10.1.0.1".parse().unwrap());
    record.subnets[1].gateway = Some("fd01::1".parse().unwrap());
    // Nothing leads from IPv6 to an address of IPv4.
    let names = routers(&record, at);
    assert_eq!(names, [("10.1.0.1".parse().unwrap(), at)].into());
    record.driver = Driver::Macvlan;
    assert_eq!(routers(&record, at), [].into());
    let firewall = Firewall { names, ..Firewall::default() };
    let mut model = model();
    settle(&mut model, &firewall);
    let table = firewall.table().unwrap();
    let to: Elements = [17, 6]
        .map(|protocol| {
            let key = vec![10, 1, 0, 1, protocol, 0, 0, 0, 0, 53, 0, 0];
            (key, vec![127, 0, 0, 11, 0, 53, 0, 0])
        })
        .into();
    assert_eq!((&table.sets["names-v4"].elements, table.sets["names-v6"].elements.len()), (&to, 0));
    assert!(firewall.is_extra() && !firewall.is_empty());
    assert_eq!(settle(&mut model, &Firewall::default()), [Edit::RemoveTable]);
}
