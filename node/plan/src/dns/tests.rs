//! What a sandbox is answered, whatever the order in which the rows came.

use alloc::{
    format,
    string::{String, ToString},
    vec,
    vec::Vec,
};

use netdb_gossip_core::identity::{Name, NodeId};
use proptest::prelude::*;

use super::*;
use crate::records::{
    Backend, BackendState, EndpointId, EndpointRecord, Health, Mac, NetworkId, ServiceId,
    ServiceMode, ServiceRecord,
};

const A: NodeId = NodeId([1; 16]);
const B: NodeId = NodeId([2; 16]);

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn endpoint(called: &str, addresses: &[&str]) -> EndpointRecord {
    EndpointRecord {
        network: NetworkId([7; 16]),
        name: name(called),
        aliases: Vec::new(),
        addresses: addresses.iter().map(|net| net.parse().unwrap()).collect(),
        mac: Mac([2, 0, 0, 0, 0, 1]),
        sandbox: "/run/netns/x".into(),
        tunnels: Vec::new(),
        moves: 0,
        mtu: 1450,
        backend: None,
    }
}

fn backend(task: &str, address: &str) -> EndpointRecord {
    let backend = Some(Backend::new(name("Web"), name(task)));
    EndpointRecord { backend, ..endpoint(task, &[address]) }
}

fn service(mode: ServiceMode, vips: &[&str], created_us: u64) -> ServiceRecord {
    ServiceRecord {
        vips: vips.iter().map(|vip| vip.parse().unwrap()).collect(),
        labels: alloc::collections::BTreeMap::new(),
        created_us,
        ..ServiceRecord::new(name("Web"), NetworkId([7; 16]), mode)
    }
}

fn put(zone: &mut Zone, node: NodeId, id: u8, record: &EndpointRecord, standing: Standing) {
    zone.put_endpoint(node, EndpointId([id; 16]), Some((record, standing)));
}

struct Site {
    zone: Zone,
    synced: bool,
}

impl Site {
    fn new() -> Self {
        Self { zone: Zone::default(), synced: true }
    }

    fn see<T>(&self, look: impl FnOnce(View<'_>) -> T) -> T {
        let subnets = ["10.0.0.0/24".parse().unwrap(), "fd00::/64".parse().unwrap()];
        let (zone, synced) = (&self.zone, self.synced);
        let seats = [Seat { network: "front", subnets: &subnets, zone, synced }];
        look(View { seats: &seats, domain: DEFAULT_DOMAIN })
    }

    fn ask(&self, name: &str, family: Family) -> (Verdict, Vec<String>) {
        let mut out = Vec::new();
        let verdict = self.see(|view| view.addresses(name, family, 7, &mut out));
        (verdict, out.iter().map(ToString::to_string).collect())
    }

    fn v4(&self, name: &str) -> Vec<String> {
        let (verdict, mut out) = self.ask(name, Family::V4);
        assert_eq!(verdict == Verdict::Found, !out.is_empty(), "{name}: {verdict:?}");
        out.sort();
        out
    }

    fn verdict(&self, name: &str) -> Verdict {
        self.ask(name, Family::V4).0
    }
}

#[test]
fn an_endpoint_is_known_by_its_names_however_they_are_written_out() {
    let mut site = Site::new();
    let mut record = endpoint("API-1", &["10.0.0.2/24", "fd00::2/64"]);
    record.aliases = vec![name("api")];
    put(&mut site.zone, A, 1, &record, Standing::Up);
    for short in ["api-1", "api"] {
        for end in ["", ".front", ".netnode.internal", ".front.netnode.internal"] {
            let asked = format!("{short}{end}");
            assert_eq!(site.v4(&asked), ["10.0.0.2"], "{asked}");
            assert_eq!(site.ask(&asked, Family::V6).1, ["fd00::2"], "{asked}");
        }
    }
    assert_eq!(site.verdict("api.back"), Verdict::NotOurs);
    assert_eq!(site.verdict("nobody"), Verdict::NotOurs);
    assert_eq!(site.verdict("nobody.netnode.internal"), Verdict::NoName);
    assert_eq!(site.verdict("netnode.internal"), Verdict::NoData);
    site.zone.put_endpoint(A, EndpointId([1; 16]), None);
    assert_eq!(site.zone, Zone::default());
}

#[test]
fn a_name_without_the_family_has_no_data() {
    let mut site = Site::new();
    put(&mut site.zone, A, 1, &endpoint("api", &["10.0.0.2/24"]), Standing::Up);
    assert_eq!(site.ask("api", Family::V6), (Verdict::NoData, vec![]));
}

#[test]
fn a_service_is_its_address_or_its_backends() {
    let mut site = Site::new();
    put(&mut site.zone, A, 1, &backend("web.1", "10.0.0.2/24"), Standing::Up);
    put(&mut site.zone, B, 2, &backend("web.2", "10.0.0.3/24"), Standing::Up);
    let both = ["10.0.0.2", "10.0.0.3"];
    // Without a row it is its backends.
    assert_eq!(site.v4("web"), both);
    let id = ServiceId([1; 16]);
    site.zone.put_service(id, Some(&service(ServiceMode::Vip, &["10.0.0.9"], 5)));
    assert_eq!(site.v4("web"), ["10.0.0.9"]);
    assert_eq!(site.ask("web", Family::V6).0, Verdict::NoData);
    assert_eq!(site.v4("tasks.web"), both);
    assert_eq!(site.v4("web.1.web"), ["10.0.0.2"]);
    assert_eq!(site.v4("web.2.web.front"), ["10.0.0.3"]);
    // A younger one of that name has it not.
    let other = ServiceId([0; 16]);
    site.zone.put_service(other, Some(&service(ServiceMode::Vip, &["10.0.0.8"], 6)));
    assert_eq!(site.v4("web"), ["10.0.0.9"]);
    site.zone.put_service(other, None);
    site.zone.put_service(id, Some(&service(ServiceMode::DnsRr, &[], 5)));
    assert_eq!(site.v4("web"), both);
    for id in [1, 2] {
        for node in [A, B] {
            site.zone.put_endpoint(node, EndpointId([id; 16]), None);
        }
    }
    assert_eq!(site.verdict("web"), Verdict::NoData);
    site.zone.put_service(id, None);
    assert_eq!(site.zone, Zone::default());
}

#[test]
fn only_backends_that_take_new_work_are_told_of_a_service() {
    let mut site = Site::new();
    for (id, state, health, weight) in [
        (2, BackendState::Draining, Health::Healthy, 1),
        (3, BackendState::Ready, Health::Unhealthy, 1),
        (4, BackendState::Ready, Health::Healthy, 0),
        (5, BackendState::Ready, Health::Healthy, 2),
    ] {
        let mut record = backend(&format!("web.{id}"), &format!("10.0.0.{id}/24"));
        record.backend = record.backend.map(|b| Backend { weight, health, state, ..b });
        put(&mut site.zone, A, id, &record, Standing::Up);
    }
    assert_eq!(site.v4("web"), ["10.0.0.5"]);
    assert_eq!(site.v4("tasks.web"), ["10.0.0.5"]);
    // Each of them is still there under its own names.
    assert_eq!(site.v4("web.2"), ["10.0.0.2"]);
    assert_eq!(site.v4("web.2.web"), ["10.0.0.2"]);
}

#[test]
fn suspected_come_last_and_failed_not_at_all() {
    let mut site = Site::new();
    for id in 2..10 {
        let record = backend(&format!("web.{id}"), &format!("10.0.0.{id}/24"));
        let standing = if id < 6 { Standing::Suspected } else { Standing::Up };
        put(&mut site.zone, A, id, &record, standing);
    }
    let (_, all) = site.ask("web", Family::V4);
    let suspected = |address: &String| address.as_str() < "10.0.0.6";
    assert_eq!((all.len(), all.iter().position(suspected)), (8, Some(4)));
    assert!(all[4..].iter().all(suspected));
    let record = backend("web.2", "10.0.0.2/24");
    put(&mut site.zone, A, 2, &record, Standing::Failed);
    assert_eq!(site.v4("web").len(), 7);
    // It is ours all the same: nobody else is asked for it.
    assert_eq!(site.verdict("web.2"), Verdict::NoData);
    put(&mut site.zone, A, 2, &record, Standing::Up);
    assert_eq!(site.v4("web.2"), ["10.0.0.2"]);
}

#[test]
fn what_is_told_is_what_the_parts_say() {
    let mut site = Site::new();
    for (id, standing) in [(2, Standing::Up), (3, Standing::Suspected), (4, Standing::Failed)] {
        let record = backend(&format!("web.{id}"), &format!("10.0.0.{id}/24"));
        put(&mut site.zone, A, id, &record, standing);
    }
    let mut resting = backend("web.5", "10.0.0.5/24");
    resting.backend = resting.backend.map(|b| Backend { state: BackendState::Draining, ..b });
    put(&mut site.zone, B, 5, &resting, Standing::Up);
    site.zone.put_service(ServiceId([1; 16]), Some(&service(ServiceMode::Vip, &["10.0.0.9"], 5)));
    site.zone.put_service(ServiceId([2; 16]), Some(&service(ServiceMode::Vip, &["10.0.0.8"], 6)));
    for asked in ["web", "tasks.web", "tasks.web.front", "web.2", "web.5.web", "nobody"] {
        let mut told: Vec<String> = Vec::new();
        for (network, part) in site.see(|view| view.parts(asked)) {
            assert_eq!(network, "front");
            match part {
                Part::Service { vips, has_name: true, .. } => {
                    told.extend(vips.iter().map(ToString::to_string));
                }
                Part::Endpoint { addresses, told: true, .. } => {
                    told.extend(addresses.iter().map(ToString::to_string));
                }
                _ => {}
            }
        }
        told.sort();
        assert_eq!(told, site.v4(asked), "{asked}");
    }
}

#[test]
fn the_order_is_another_one_each_time() {
    let mut site = Site::new();
    for id in 2..6 {
        let record = backend(&format!("web.{id}"), &format!("10.0.0.{id}/24"));
        put(&mut site.zone, A, id, &record, Standing::Up);
    }
    let mut first = alloc::collections::BTreeMap::new();
    for random in 0..4_000 {
        let mut out = Vec::new();
        site.see(|view| view.addresses("web", Family::V4, random, &mut out));
        *first.entry(out[0]).or_insert(0) += 1;
    }
    // A thousand each, give or take five standard deviations.
    assert!(
        first.len() == 4 && first.values().all(|count| (860..1_140).contains(count)),
        "{first:?}"
    );
}

#[test]
fn what_could_come_is_not_denied() {
    let mut site = Site::new();
    put(&mut site.zone, A, 1, &backend("web.1", "10.0.0.2/24"), Standing::Up);
    site.synced = false;
    for asked in ["db", "db.front", "tasks.db", "web.2.web", "db.netnode.internal"] {
        assert_eq!(site.verdict(asked), Verdict::Unsure, "{asked}");
    }
    assert_eq!(site.verdict("example.org"), Verdict::NotOurs);
    assert_eq!(site.v4("web"), ["10.0.0.2"]);
    let mut out = Vec::new();
    let outside = site.see(|view| view.pointers("10.0.0.77".parse().unwrap(), &mut out));
    assert_eq!(outside, Verdict::Unsure);
}

#[test]
fn addresses_of_our_networks_have_names_or_none() {
    let mut site = Site::new();
    put(&mut site.zone, A, 1, &endpoint("API", &["10.0.0.2/24"]), Standing::Up);
    put(&mut site.zone, A, 2, &endpoint("old", &["10.0.0.3/24"]), Standing::Failed);
    site.zone.put_service(ServiceId([1; 16]), Some(&service(ServiceMode::Vip, &["fd00::9"], 5)));
    let ask = |address: &str| {
        let mut out = Vec::new();
        (site.see(|view| view.pointers(address.parse().unwrap(), &mut out)), out)
    };
    assert_eq!(ask("10.0.0.2"), (Verdict::Found, vec!["api.front.netnode.internal".into()]));
    assert_eq!(ask("fd00::9"), (Verdict::Found, vec!["web.front.netnode.internal".into()]));
    assert_eq!(ask("10.0.0.3").0, Verdict::NoName);
    assert_eq!(ask("192.0.2.1").0, Verdict::NotOurs);
}

#[test]
fn a_service_is_in_the_zone_of_its_network_alone() {
    let (mut zones, id) = (Zones::default(), ServiceId([1; 16]));
    let (here, there) = (NetworkId([7; 16]), NetworkId([8; 16]));
    let record = service(ServiceMode::Vip, &["10.0.0.9"], 5);
    let moved = ServiceRecord { network: there, ..record.clone() };
    let full = |zones: &Zones| -> Vec<NetworkId> {
        let full = zones.iter().filter(|(_, zone)| **zone != Zone::default());
        full.map(|(network, _)| network).collect()
    };
    for (row, networks) in
        [(Some(&record), vec![here]), (Some(&moved), vec![there]), (None, vec![])]
    {
        zones.put_service(id, row);
        assert_eq!(full(&zones), networks);
    }
    zones.put_endpoint(here, A, EndpointId([1; 16]), None);
    zones.retain(|network| network == there);
    assert!(zones.get(here).is_none() && zones.get(there).is_some());
}

#[test]
fn of_an_endpoint_on_two_nodes_the_one_that_moved_counts() {
    let mut site = Site::new();
    put(&mut site.zone, B, 1, &endpoint("api", &["10.0.0.2/24"]), Standing::Up);
    let moved = EndpointRecord { moves: 1, ..endpoint("api", &["10.0.0.3/24"]) };
    put(&mut site.zone, A, 1, &moved, Standing::Up);
    assert_eq!(site.v4("api"), ["10.0.0.3"]);
    site.zone.put_endpoint(A, EndpointId([1; 16]), None);
    assert_eq!(site.v4("api"), ["10.0.0.2"]);
}

#[derive(Clone, Debug)]
enum Step {
    Endpoint(NodeId, u8, Option<(EndpointRecord, Standing)>),
    Service(u8, Option<ServiceRecord>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let standing = prop::sample::select(vec![Standing::Up, Standing::Suspected, Standing::Failed]);
    let record =
        (0_u8..4, 2_u8..6, any::<bool>(), 0_u32..3).prop_map(|(named, at, serves, moves)| {
            let (named, at) = (format!("e{named}"), format!("10.0.0.{at}/24"));
            let record = if serves { backend(&named, &at) } else { endpoint(&named, &[&at]) };
            EndpointRecord { moves, ..record }
        });
    let of_endpoint = (
        prop::sample::select(vec![A, B]),
        0_u8..4,
        prop::option::weighted(0.7, (record, standing)),
    );
    let mode = prop::sample::select(vec![ServiceMode::Vip, ServiceMode::DnsRr]);
    let of_service = (mode, 0_u64..4).prop_map(|(mode, created_us)| {
        let vips: &[&str] = if mode == ServiceMode::Vip { &["10.0.0.9"] } else { &[] };
        service(mode, vips, created_us)
    });
    let of_service = (0_u8..3, prop::option::weighted(0.7, of_service));
    let step = prop_oneof![
        3 => of_endpoint.prop_map(|(node, id, row)| Step::Endpoint(node, id, row)),
        1 => of_service.prop_map(|(id, row)| Step::Service(id, row)),
    ];
    prop::collection::vec(step, 0..40)
}

fn take(zone: &mut Zone, step: &Step) {
    match step {
        Step::Endpoint(node, id, row) => {
            let row = row.as_ref().map(|(record, standing)| (record, *standing));
            zone.put_endpoint(*node, EndpointId([*id; 16]), row);
        }
        Step::Service(id, row) => zone.put_service(ServiceId([*id; 16]), row.as_ref()),
    }
}

proptest! {
    /// Whatever came before, the zone is what the rows of now make of an empty one, in the opposite order.
    #[test]
    fn a_zone_follows_from_its_rows_alone(steps in steps()) {
        let mut zone = Zone::default();
        for step in &steps {
            take(&mut zone, step);
        }
        let mut last = Vec::new();
        for (at, step) in steps.iter().enumerate().rev() {
            let same = |other: &Step| match (step, other) {
                (Step::Endpoint(node, id, _), Step::Endpoint(n, i, _)) => (node, id) == (n, i),
                (Step::Service(id, _), Step::Service(i, _)) => id == i,
                _ => false,
            };
            if !steps[at + 1..].iter().any(same) {
                last.push(step.clone());
            }
        }
        let mut afresh = Zone::default();
        for step in &last {
            take(&mut afresh, step);
        }
        prop_assert_eq!(zone, afresh);
    }
}
