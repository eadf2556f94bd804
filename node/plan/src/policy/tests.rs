//! A plan, carried out, leaves nothing to do.

use super::*;
use crate::{
    host::{Action, Mark, Model, Place},
    records::NetworkId,
};

fn name(text: &str) -> LinkName {
    LinkName::new(text).unwrap()
}

fn policy() -> Policy {
    Policy { link: name("mesh0"), families: Family::BOTH.into() }
}

/// A host with the link.
fn model() -> Model {
    let mark = Some(Mark::network(NetworkId([1; 16])));
    let link = SeenLink { mark, up: true, ..SeenLink::default() };
    let mut model = Model::default();
    model.seen.insert(Place::Host, [(name("mesh0"), link)].into());
    model
}

/// Carries out what has to be done, and checks that nothing is left to do.
fn settle(model: &mut Model, wanted: Option<&Policy>) -> Vec<Change> {
    let changes = plan(wanted, &model.policy, &model.seen[&Place::Host]);
    for change in &changes {
        model.apply(&Action::Policy(change.clone())).unwrap();
    }
    assert_eq!(plan(wanted, &model.policy, &model.seen[&Place::Host]), []);
    changes
}

#[test]
fn it_comes_stays_and_goes() {
    let mut model = model();
    assert_eq!(settle(&mut model, Some(&policy())).len(), 6);
    assert_eq!(settle(&mut model, Some(&policy())), []);
    let v4 = Policy { families: [Family::V4].into(), ..policy() };
    assert_eq!(settle(&mut model, Some(&v4)).len(), 2);
    assert_eq!(settle(&mut model, None).len(), 4);
    assert_eq!(model.policy, Seen::default());
}

#[test]
fn a_rule_leads_to_what_is_there() {
    let mut model = model();
    let changes = settle(&mut model, Some(&policy()));
    let rules = changes.iter().skip_while(|change| matches!(change, Change::PutWay(_)));
    assert_eq!(rules.count(), 4);
    let changes = settle(&mut model, None);
    let ways = changes.iter().skip_while(|change| matches!(change, Change::RemoveRule(_)));
    assert_eq!(ways.count(), 2);
}

#[test]
fn whatever_is_lost_or_too_much_is_mended() {
    let mut whole = model();
    settle(&mut whole, Some(&policy()));
    for nth in 0..whole.policy.rules.len() {
        let mut model = whole.clone();
        let lost = model.policy.rules.remove(nth);
        assert_eq!(settle(&mut model, Some(&policy())), [Change::AddRule(lost.clone())]);
        model.policy.rules.push(lost.clone());
        assert_eq!(settle(&mut model, Some(&policy())), [Change::RemoveRule(lost.clone())]);
        let old = Rule { priority: 7, ..lost };
        model.policy.rules.push(old.clone());
        assert_eq!(settle(&mut model, Some(&policy())), [Change::RemoveRule(old)]);
    }
    let mut model = whole.clone();
    let lost = model.policy.ways.pop_first().unwrap();
    assert_eq!(settle(&mut model, Some(&policy())), [Change::PutWay(lost.clone())]);
    model.policy.ways.insert(Way { table: 7, ..lost });
    assert_eq!(settle(&mut model, Some(&policy())).len(), 1);
    assert_eq!(model.policy.ways, whole.policy.ways);
}

#[test]
fn it_waits_for_its_link_and_goes_with_it() {
    let mut model = model();
    let link = |model: &mut Model, change: fn(&mut SeenLink)| {
        change(model.seen.get_mut(&Place::Host).unwrap().get_mut(&name("mesh0")).unwrap());
    };
    for harm in [|link: &mut SeenLink| link.up = false, |link: &mut SeenLink| link.mark = None] {
        link(&mut model, harm);
        assert_eq!(settle(&mut model, Some(&policy())), []);
        link(&mut model, |link| {
            link.up = true;
            link.mark = Some(Mark::UNFINISHED);
        });
    }
    settle(&mut model, Some(&policy()));
    let gone = Action::RemoveLink { at: Place::Host, name: name("mesh0") };
    model.apply(&gone).unwrap();
    assert_eq!(settle(&mut model, Some(&policy())).len(), 4, "rules alone are left");
}

#[test]
fn the_link_knows_whom_routes_lead_to() {
    let neighbours = policy().neighbours();
    for way in policy().ways() {
        assert!(neighbours[&way.route.via.unwrap()].is_an_interfaces());
    }
}
