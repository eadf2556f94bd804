//! What a name of ours costs to look up, as a sandbox sees it: one network of 10,000 endpoints and 1,000 services.

#![allow(missing_docs, reason = "criterion makes functions")]
#![allow(clippy::unwrap_used, reason = "a bench that can't be set up has failed")]

use std::{hint::black_box, net::Ipv4Addr};

use criterion::{Criterion, criterion_group, criterion_main};
use netdb_gossip_core::identity::{Name, NodeId};
use netnode_plan::{
    dns::{DEFAULT_DOMAIN, Family, Seat, Standing, View, Zone},
    records::{
        Backend, EndpointId, EndpointRecord, Mac, NetworkId, ServiceId, ServiceMode, ServiceRecord,
    },
};

const ENDPOINTS: u32 = 10_000;
const SERVICES: u32 = 1_000;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn wide(number: u32) -> [u8; 16] {
    u128::from(number).to_be_bytes()
}

fn endpoint(number: u32) -> EndpointRecord {
    let address = Ipv4Addr::from(0x0a00_0000 + number);
    EndpointRecord {
        network: NetworkId([7; 16]),
        name: name(&format!("name-{number}")),
        aliases: Vec::new(),
        addresses: vec![format!("{address}/8").parse().unwrap()],
        mac: Mac([2, 0, 0, 0, 0, 1]),
        sandbox: "/run/netns/x".into(),
        tunnels: Vec::new(),
        moves: 0,
        mtu: 1450,
        backend: Some(Backend::new(
            name(&format!("service-{}", number % SERVICES)),
            name(&format!("task-{number}")),
        )),
    }
}

fn service(number: u32) -> ServiceRecord {
    ServiceRecord {
        vips: vec![Ipv4Addr::from(0x0a10_0000 + number).into()],
        labels: std::collections::BTreeMap::new(),
        created_us: 1,
        ..ServiceRecord::new(
            name(&format!("service-{number}")),
            NetworkId([7; 16]),
            ServiceMode::Vip,
        )
    }
}

fn look(c: &mut Criterion) {
    let mut zone = Zone::default();
    for number in 0..ENDPOINTS {
        let row = Some((&endpoint(number), Standing::Up));
        zone.put_endpoint(NodeId([1; 16]), EndpointId(wide(number)), row);
    }
    for number in 0..SERVICES {
        zone.put_service(ServiceId(wide(number)), Some(&service(number)));
    }
    let subnets = ["10.0.0.0/8".parse().unwrap()];
    let seats = [Seat { network: "front", subnets: &subnets, zone: &zone, synced: true }];
    let view = View { seats: &seats, domain: DEFAULT_DOMAIN };
    let all = |form: fn(u32) -> String, count| (0..count).map(form).collect::<Vec<_>>();
    let asked = [
        ("an endpoint", all(|number| format!("name-{number}"), ENDPOINTS)),
        ("a service", all(|number| format!("service-{number}"), SERVICES)),
        ("ten backends", all(|number| format!("tasks.service-{number}"), SERVICES)),
        ("in full", all(|number| format!("name-{number}.front.netnode.internal"), ENDPOINTS)),
        ("nobody", all(|number| format!("nobody-{number}"), ENDPOINTS)),
    ];
    let mut group = c.benchmark_group("look up");
    for (what, names) in asked {
        let (mut next, mut out) = (names.iter().cycle(), Vec::new());
        group.bench_function(what, |bencher| {
            bencher.iter(|| {
                out.clear();
                let name = next.next().map_or("", String::as_str);
                black_box(view.addresses(black_box(name), Family::V4, 7, &mut out))
            });
        });
    }
    group.finish();
    c.bench_function("an endpoint comes and goes", |bencher| {
        let mut zone = zone.clone();
        let (id, record) = (EndpointId(wide(ENDPOINTS)), endpoint(ENDPOINTS));
        bencher.iter(|| {
            zone.put_endpoint(NodeId([1; 16]), id, Some((&record, Standing::Up)));
            zone.put_endpoint(NodeId([1; 16]), id, None);
        });
    });
}

criterion_group!(benches, look);
criterion_main!(benches);
