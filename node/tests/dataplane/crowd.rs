//! Many endpoints on one host, endpoints that come and go, and hosts and sandboxes that are cut off or gone.

use std::path::{Path, PathBuf};

use netdb_tests::effort::few_or_many;
use netnode_api::endpoints::{AttachEndpoint, EndpointState};

use crate::{
    daemon::{addresses, cluster, until},
    lab::{Lab, by_hand, links},
    ping::{answers, is_silent},
};

/// Endpoints of one host at a time.
const MANY: (usize, usize) = (100, 500);
/// Times that an endpoint comes and goes.
const CYCLES: (usize, usize) = (50, 1_000);

#[test]
fn many_endpoints_on_one_host() {
    let Some(lab) = Lab::new("many_endpoints_on_one_host", 2) else { return };
    let daemons = cluster(&lab, 2);
    let elsewhere = lab.namespace("elsewhere");
    daemons[1].attach("web", "elsewhere", &elsewhere);
    let count = few_or_many(MANY.0, MANY.1);
    let plugged: Vec<_> = (0..count)
        .map(|nth| {
            let sandbox = lab.namespace(&format!("box{nth}"));
            let endpoint = daemons[0].attach("web", &format!("e{nth}"), &sandbox);
            (sandbox, endpoint)
        })
        .collect();
    for (sandbox, endpoint) in &plugged {
        for address in addresses(endpoint) {
            assert!(answers(&elsewhere, address, 56), "{} at {address}", sandbox.display());
        }
    }
    // Each has a subnet's addresses for itself.
    let mut all: Vec<_> = plugged.iter().flat_map(|(_, endpoint)| addresses(endpoint)).collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 2 * count);
}

/// Everything that a host and a namespace have that something could be left of.
fn traces(at: &Path) -> Vec<String> {
    let commands = [
        "ip -o link show",
        "ip -o address show",
        "ip route show table all",
        "ip -6 route show table all",
        "ip neigh show nud permanent",
        "bridge fdb show",
    ];
    // The kernel gives a link its own address a while after it came.
    let by_itself = |line: &&str| line.contains(" fe80::");
    let lines = commands.map(|command| by_hand(at, command));
    let lines = lines.iter().flat_map(|text| text.lines().map(str::trim));
    lines.filter(|line| !by_itself(line)).map(str::to_owned).collect()
}

#[test]
fn endpoints_that_come_and_go_leave_nothing() {
    let Some(lab) = Lab::new("endpoints_that_come_and_go_leave_nothing", 2) else { return };
    let daemons = cluster(&lab, 2);
    let (first, other, box0) =
        (lab.namespace("first"), lab.namespace("other"), lab.namespace("box"));
    // What stays: a network that is there all the time, on both hosts.
    daemons[0].attach("web", "first", &first);
    daemons[1].attach("web", "other", &other);
    let namespaces = |nth: usize| daemons[nth].namespaces();
    let places = || -> Vec<PathBuf> {
        let hosts = lab.hosts.iter().map(|host| host.namespace.clone());
        hosts.chain(namespaces(0)).chain(namespaces(1)).chain([box0.clone()]).collect()
    };
    let look = || places().iter().map(|place| traces(place)).collect::<Vec<_>>();
    let cycle = |nth: usize| {
        let endpoint = daemons[nth % 2].attach("web", &format!("e{nth}"), &box0);
        daemons[nth % 2]
            .ask(daemons[nth % 2].client.detach_endpoint("web", &endpoint.name))
            .unwrap();
    };
    // The first on each host leave what the kernel makes once.
    (0..2).for_each(cycle);
    let before = look();
    (2..few_or_many(CYCLES.0, CYCLES.1)).for_each(cycle);
    let left = || -> Vec<String> {
        let pairs = look().into_iter().zip(&before);
        pairs.flat_map(|(now, before)| now.into_iter().filter(|n| !before.contains(n))).collect()
    };
    until("all is as it was", || left().is_empty());
}

#[test]
fn a_host_that_is_cut_off_still_plugs_sandboxes_in() {
    let Some(lab) = Lab::new("a_host_that_is_cut_off_still_plugs_sandboxes_in", 3) else { return };
    let daemons = cluster(&lab, 3);
    let boxes: Vec<PathBuf> = (0..3).map(|nth| lab.namespace(&format!("box{nth}"))).collect();
    let plugged: Vec<_> =
        (0..3).map(|nth| daemons[nth].attach("web", &format!("e{nth}"), &boxes[nth])).collect();
    let host = &lab.hosts[2].namespace;
    by_hand(host, "ip link set dev eth0 down");
    until("it is cut off", || {
        let members = daemons[2].ask(daemons[2].client.members()).unwrap();
        members.iter().filter(|m| m.state == netnode_api::node::MemberState::Failed).count() == 2
    });
    // Of its own share, without asking anybody.
    let late = lab.namespace("late");
    let endpoint = daemons[2].attach("web", "late", &late);
    assert!(answers(&boxes[2], addresses(&endpoint)[0], 56));
    assert!(is_silent(&boxes[0], addresses(&endpoint)[0]));
    by_hand(host, "ip link set dev eth0 up");
    until("it is reached from the others", || answers(&boxes[0], addresses(&endpoint)[0], 56));
    for other in &plugged {
        assert!(answers(&late, addresses(other)[0], 56));
    }
}

#[test]
fn a_sandbox_that_is_gone_is_told_and_let_go() {
    let Some(lab) = Lab::new("a_sandbox_that_is_gone_is_told_and_let_go", 2) else { return };
    let daemons = cluster(&lab, 2);
    let (gone, other) = (lab.namespace("gone"), lab.namespace("other"));
    let endpoint = daemons[0].attach("web", "gone", &gone);
    daemons[1].attach("web", "other", &other);
    lab.remove_namespace(&gone);
    until("it is told", || {
        let all = daemons[0].ask(daemons[0].client.endpoints()).unwrap();
        matches!(&all[0].state, EndpointState::Error(why) if why.contains("is gone"))
    });
    // The kernel takes a namespace down a moment after the last who held it.
    until("nobody answers there", || is_silent(&other, addresses(&endpoint)[0]));
    daemons[0].ask(daemons[0].client.detach_endpoint("web", "gone")).unwrap();
    until("nothing leads there", || {
        daemons[1].ask(daemons[1].client.network("web")).is_ok() && daemons[1].tunnels().is_empty()
    });
    assert!(!links(&lab.hosts[0].namespace).iter().any(|name| name.starts_with('p')));
    // Its name can be had again.
    let again = lab.namespace("again");
    let netns = again.to_str().unwrap().to_owned();
    let (network, name) = ("web".to_owned(), "gone".to_owned());
    let wanted = AttachEndpoint { network, name, netns, ..AttachEndpoint::default() };
    daemons[0].ask(daemons[0].client.attach_endpoint(&wanted)).unwrap();
}
