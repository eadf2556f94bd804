//! The rows that drivers live on, and what nodes tell each other of them, read from any bytes: what is
//! taken is sound, and stays the same when it is written again.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use netdb_core::view::OwnerState;
use netdb_fuzz::seeds;
use netdb_gossip_core::identity::{Name, NodeId};
use netnode_plan::{
    backends::{self, Serving},
    records::{
        self, Backend, Driver, EndpointId, EndpointRecord, Mac, NetworkId, NetworkOptions,
        NetworkRecord, Parent, PeerRecord, Protocol, PublishMode, PublishedPort, Record,
        RoutesRecord, ServiceMode, ServiceRecord, Subnet,
    },
    spaces::Pool,
};

fuzz_target!(init: seeds::plant(seeds), |input: &[u8]| {
    stable::<NetworkRecord>(input);
    stable::<EndpointRecord>(input);
    stable::<PeerRecord>(input);
    stable::<ServiceRecord>(input);
    stable::<RoutesRecord>(input);
    stable::<Pool>(input);
    if let Ok((_, all)) = backends::answered(input) {
        // Nodes tell each other who serves, as far as it fits.
        let (whole, told) = backends::answered(&backends::answer(&all)).expect("an answer");
        assert!(all.starts_with(&told) && whole == (told.len() == all.len()));
    }
    if let Ok(text) = std::str::from_utf8(input) {
        // Options of people come this way.
        if let Ok(parent) = Parent::new(text) {
            assert_eq!(parent.name.as_str(), text);
        }
        if let Ok(mac) = text.parse::<Mac>() {
            assert_eq!(mac.to_string().parse(), Ok(mac));
        }
    }
});

fn stable<T: Record + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(record) = records::decode::<T>(bytes) else { return };
    assert!(record.check().is_ok());
    assert_eq!(records::decode::<T>(&records::encode(&record)).as_ref(), Ok(&record));
}

fn seeds() -> Vec<Vec<u8>> {
    let name = |text| Name::new(text).expect("a name");
    let subnet = |text: &str| Subnet::of(text.parse().expect("a subnet"));
    let mut network = NetworkRecord {
        name: name("web"),
        driver: Driver::Overlay,
        subnets: vec![subnet("10.0.0.0/24"), subnet("fd00::/64")],
        options: NetworkOptions { mtu: Some(1450), vni: Some(4096), ..NetworkOptions::default() },
        created_us: 1_700_000_000_000_000,
    };
    let overlay = records::encode(&network);
    network.driver = Driver::Macvlan;
    network.options.vni = None;
    network.options.parent = Parent::new("eth0.41").ok();
    network.subnets.truncate(1);
    for subnet in &mut network.subnets {
        subnet.gateway = "10.0.0.1".parse().ok();
        subnet.range = "10.0.0.128/25".parse().ok();
        subnet.aux.extend("10.0.0.2".parse().ok().map(|address| (name("nas"), address)));
    }
    let tunnels = vec!["192.0.2.1".parse().expect("an address")];
    let endpoint = EndpointRecord {
        network: NetworkId([1; 16]),
        name: name("api-1"),
        aliases: vec![name("api")],
        addresses: vec!["10.0.0.3/24".parse().expect("an address")],
        mac: Mac::random([7; 6]),
        sandbox: "box".into(),
        tunnels: tunnels.clone(),
        moves: 1,
        mtu: 1450,
        backend: Some(Backend { weight: 7, ..Backend::new(name("api"), name("api.1")) }),
    };
    let (id, node) = (EndpointId([2; 16]), NodeId([3; 16]));
    let serving = Serving::new(id, node, OwnerState::Alive, endpoint.clone()).expect("a backend");
    let pool: Pool = "10.0.0.0/8/20".parse().expect("a pool");
    let routes = ["10.1.0.0/16", "10.2.0.0/24"].map(|route| route.parse().expect("a route"));
    vec![
        overlay,
        records::encode(&network),
        records::encode(&endpoint),
        records::encode(&PeerRecord { tunnels, mtu: 1450 }),
        records::encode(&service(ServiceMode::Vip, PublishMode::Ingress)),
        records::encode(&service(ServiceMode::DnsRr, PublishMode::Host)),
        records::encode(&RoutesRecord::new(routes, &[pool])),
        records::encode(&pool),
        backends::answer(&[serving.clone(), serving]),
        b"eth0.41".to_vec(),
        b"02:00:5e:10:00:ff".to_vec(),
    ]
}

fn service(mode: ServiceMode, publish: PublishMode) -> ServiceRecord {
    let vips = ["10.0.0.9", "fd00::9"].map(|vip| vip.parse().expect("an address"));
    let port = PublishedPort {
        protocol: Protocol::Udp,
        published: 8080,
        target: 80,
        mode: publish,
        bind: "192.0.2.1".parse().ok(),
    };
    ServiceRecord {
        vips: if mode == ServiceMode::Vip { vips.to_vec() } else { vec![] },
        ports: vec![port],
        labels: [("tier".into(), "front".into())].into(),
        created_us: 1_700_000_000_000_000,
        ..ServiceRecord::new(Name::new("web").expect("a name"), NetworkId([1; 16]), mode)
    }
}
