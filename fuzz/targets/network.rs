//! The rows that drivers live on, read from any bytes: what is taken is sound, and stays the same when
//! it is written again.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use netdb_fuzz::seeds;
use netdb_gossip_core::identity::Name;
use netnode_plan::records::{
    self, Driver, EndpointRecord, Mac, NetworkId, NetworkOptions, NetworkRecord, Parent,
    PeerRecord, Record, Subnet,
};

fuzz_target!(init: seeds::plant(seeds), |input: &[u8]| {
    stable::<NetworkRecord>(input);
    stable::<EndpointRecord>(input);
    stable::<PeerRecord>(input);
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
        backend: None,
    };
    vec![
        overlay,
        records::encode(&network),
        records::encode(&endpoint),
        records::encode(&PeerRecord { tunnels, mtu: 1450 }),
        b"eth0.41".to_vec(),
        b"02:00:5e:10:00:ff".to_vec(),
    ]
}
