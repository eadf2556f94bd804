//! What is refused about records, and that any bytes are read without harm.

use alloc::{string::ToString, vec, vec::Vec};

use ipnet::IpNet;
use netdb_gossip_core::identity::Name;
use proptest::{collection::vec as many, prelude::*};

use super::*;

fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn network(driver: Driver, prefixes: &[&str]) -> NetworkRecord {
    let subnets = prefixes.iter().map(|prefix| Subnet::of(net(prefix))).collect();
    let options = NetworkOptions::default();
    NetworkRecord { name: name("web"), driver, subnets, options, created_us: 7 }
}

fn endpoint() -> EndpointRecord {
    EndpointRecord {
        network: NetworkId([1; 16]),
        name: name("api-1"),
        aliases: vec![name("api")],
        addresses: vec![net("10.0.0.2/24"), net("fd00::2/64")],
        mac: Mac::random([0xff; 6]),
        sandbox: "box".into(),
        tunnels: vec!["192.0.2.1".parse().unwrap()],
        moves: 3,
        mtu: 1450,
        backend: Some(Backend::new(name("api"), name("api.1"))),
    }
}

#[test]
fn dockers_macvlan_example_is_a_network() {
    let mut record = network(Driver::Macvlan, &["192.168.0.0/16"]);
    record.options.parent = Some(Parent::new("eth0.41").unwrap());
    let subnet = &mut record.subnets[0];
    subnet.range = Some(net("192.168.41.0/24"));
    subnet.gateway = Some("192.168.41.1".parse().unwrap());
    subnet.aux = [(name("favorite_ip_ever"), "192.168.41.2".parse().unwrap())].into();
    assert_eq!(decode::<NetworkRecord>(&encode(&record)), Ok(record));
}

#[test]
fn a_parent_is_an_interface_or_a_vlan_on_one() {
    assert_eq!(Parent::new("eth0").unwrap().vlan, None);
    let vlan = Parent::new("eth0.41").unwrap().vlan;
    assert_eq!(vlan, Some((LinkName::new("eth0").unwrap(), 41)));
    for bad in ["", "eth0.0", "eth0.4095", "eth0.x", ".7", "a/b", "a b", "sixteen-letters-"] {
        assert_eq!(Parent::new(bad), Err(NetworkError::Parent(bad.into())));
    }
}

#[test]
fn subnets_must_fit_together() {
    let check = |record: &NetworkRecord| record.check().unwrap_err().to_string();
    let overlay = |prefixes: &[&str]| network(Driver::Overlay, prefixes);
    assert_eq!(overlay(&["10.0.0.0/24", "fd00::/64"]).check(), Ok(()));
    assert_eq!(
        check(&overlay(&["10.0.0.0/16", "10.0.1.0/24"])),
        "10.0.0.0/16 and 10.0.1.0/24 overlap"
    );
    assert!(check(&overlay(&["10.0.0.1/24"])).contains("10.0.0.0/24 is meant?"));
    assert!(check(&overlay(&[])).contains("needs a subnet"));
    assert!(check(&overlay(&["224.0.0.0/24"])).contains("not a subnet"));
    assert!(check(&overlay(&["0.0.0.0/0"])).contains("not a subnet"));
    assert!(check(&overlay(&["10.0.0.1/32"])).contains("too small"));
    assert!(check(&network(Driver::Host, &["10.0.0.0/24"])).contains("no subnets"));
    let mut record = overlay(&["10.0.0.0/24"]);
    record.subnets[0].gateway = Some("10.0.1.1".parse().unwrap());
    assert_eq!(check(&record), "gateway 10.0.1.1 is not in 10.0.0.0/24");
    record.subnets[0].gateway = Some("10.0.0.255".parse().unwrap());
    assert!(check(&record).contains("broadcast"));
    record.subnets[0].gateway = None;
    record.subnets[0].range = Some(net("10.0.0.0/23"));
    assert_eq!(check(&record), "ip-range 10.0.0.0/23 is not in 10.0.0.0/24");
    record.subnets[0].range = None;
    record.subnets[0].aux = [(name("nas"), "10.1.0.1".parse().unwrap())].into();
    assert_eq!(check(&record), "aux-address nas=10.1.0.1 is not in 10.0.0.0/24");
    let many: Vec<_> = (0..=MAX_SUBNETS).map(|n| alloc::format!("10.0.{n}.0/24")).collect();
    let many: Vec<&str> = many.iter().map(alloc::string::String::as_str).collect();
    assert_eq!(check(&overlay(&many)), "17 subnets, 16 at most");
    assert_eq!(overlay(&many[..MAX_SUBNETS]).check(), Ok(()));
}

#[test]
fn options_must_mean_something() {
    let with = |driver, prefix: &str, set: &dyn Fn(&mut NetworkOptions)| {
        let mut record = network(driver, &[prefix]);
        set(&mut record.options);
        record.check().map_err(|error| error.to_string())
    };
    let v4 = |set: &dyn Fn(&mut NetworkOptions)| with(Driver::Overlay, "10.0.0.0/24", set);
    assert_eq!(v4(&|o| o.mtu = Some(MIN_MTU)), Ok(()));
    assert_eq!(v4(&|o| o.mtu = Some(67)), Err("MTU 67 is not in 68..=65535".into()));
    let v6 = with(Driver::Overlay, "fd00::/64", &|o| o.mtu = Some(1279));
    assert_eq!(v6, Err("MTU 1279 is not in 1280..=65535, as IPv6 needs".into()));
    assert_eq!(v4(&|o| o.vni = Some(MAX_VNI)), Ok(()));
    assert_eq!(
        v4(&|o| o.vni = Some(MAX_VNI + 1)),
        Err("VNI 16777216 is not in 1..=16777215".into())
    );
    assert_eq!(v4(&|o| o.vni = Some(0)), Err("VNI 0 is not in 1..=16777215".into()));
    let bridge = with(Driver::Bridge, "10.0.0.0/24", &|o| o.vni = Some(5));
    assert_eq!(bridge, Err("the option vni means nothing to the bridge driver".into()));
    assert!(v4(&|o| o.labels = [("k".repeat(MAX_LABEL + 1), "x".into())].into()).is_err());
    // A parent whose parts don't agree can only be made by hand.
    let forged = Parent { name: LinkName::new("eth0.5").unwrap(), vlan: None };
    assert!(with(Driver::Macvlan, "10.0.0.0/24", &|o| o.parent = Some(forged.clone())).is_err());
}

#[test]
fn endpoints_and_peers_are_checked() {
    assert_eq!(decode(&encode(&endpoint())), Ok(endpoint()));
    let bad = |change: &dyn Fn(&mut EndpointRecord)| {
        let mut record = endpoint();
        change(&mut record);
        record.check().is_err() && decode::<EndpointRecord>(&encode(&record)).is_err()
    };
    assert!(bad(&|e| e.addresses.clear()));
    assert!(bad(&|e| e.addresses = vec![net("10.0.0.1/24"); MAX_ADDRESSES + 1]));
    assert!(bad(&|e| e.addresses = vec![net("127.0.0.1/8")]));
    assert!(bad(&|e| e.mac = Mac([1; 6])));
    assert!(bad(&|e| e.mac = Mac([0; 6])));
    assert!(bad(&|e| e.aliases = vec![name("x"); MAX_ALIASES + 1]));
    assert!(bad(&|e| e.sandbox = "x".repeat(MAX_SANDBOX + 1)));
    assert!(bad(&|e| e.mtu = 67));
    let weigh = |weight| Backend { weight, ..Backend::new(name("api"), name("api.1")) };
    let heavy = EndpointRecord { backend: Some(weigh(MAX_WEIGHT)), ..endpoint() };
    assert_eq!(decode(&encode(&heavy)), Ok(heavy));
    assert!(bad(&|e| e.backend = Some(weigh(MAX_WEIGHT + 1))));
    assert!(bad(&|e| e.tunnels = vec!["::".parse().unwrap()]));
    let peer = PeerRecord { tunnels: endpoint().tunnels, mtu: 1450 };
    assert_eq!(decode(&encode(&peer)), Ok(peer.clone()));
    let many = vec!["192.0.2.1".parse().unwrap(); MAX_TUNNELS + 1];
    assert_eq!(PeerRecord { tunnels: many, ..peer }.check(), Err(PeerError::TooMany(5)));
}

#[test]
fn other_versions_are_told_apart_from_rubbish() {
    let mut bytes = encode(&endpoint());
    assert_eq!(decode::<EndpointRecord>(&bytes[..9]), Err(RecordError::Malformed));
    bytes[0] = 2;
    assert_eq!(decode::<EndpointRecord>(&bytes), Err(RecordError::Version(2)));
    assert_eq!(decode::<EndpointRecord>(&[]), Err(RecordError::Malformed));
}

#[test]
fn macs_are_read_and_shown() {
    let mac: Mac = "02:00:5e:10:00:ff".parse().unwrap();
    assert_eq!(mac.to_string(), "02:00:5e:10:00:ff");
    for bad in ["", "02:00:5e:10:00", "02:00:5e:10:00:ff:00", "2:0:5:1:0:f", "+2:00:5e:10:00:ff"] {
        assert_eq!(bad.parse::<Mac>(), Err(ParseMacError));
    }
}

/// What was read is written and read the same.
fn stable<T: Record + PartialEq + core::fmt::Debug>(bytes: &[u8]) {
    if let Ok(record) = decode::<T>(bytes) {
        assert!(record.check().is_ok());
        assert_eq!(decode::<T>(&encode(&record)).as_ref(), Ok(&record));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_harm(
        mut bytes in many(any::<u8>(), 0..200),
        place in 0usize..200,
        byte: u8,
    ) {
        if let Some(first) = bytes.first_mut() {
            *first = VERSION;
        }
        // Nearly right bytes get further than random ones.
        let mut near = encode(&endpoint());
        if let Some(at) = near.get_mut(place) {
            *at = byte;
        }
        for bytes in [&bytes, &near] {
            stable::<NetworkRecord>(bytes);
            stable::<EndpointRecord>(bytes);
            stable::<PeerRecord>(bytes);
            stable::<ServiceRecord>(bytes);
        }
    }

    #[test]
    fn a_random_mac_is_an_interfaces(bytes: [u8; 6]) {
        let mac = Mac::random(bytes);
        prop_assert!(mac.is_an_interfaces() && mac.0[0] & 2 == 2);
        prop_assert_eq!(mac.to_string().parse(), Ok(mac));
    }
}
