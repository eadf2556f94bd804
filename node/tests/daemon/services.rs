//! Services: what `docker service` users know, on every node of the cluster, and their virtual addresses.

use netnode_plan::records::{
    self, Backend, BackendState, EndpointRecord, Mac, Record, ServiceMode, ServiceRecord,
};
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    harness::{Host, until},
    ipam::{cluster, state},
};

fn json(host: &Host, line: &str) -> Value {
    serde_json::from_str(&host.ok(&format!("{line} --json"))).unwrap()
}

fn service(host: &Host, name: &str) -> Value {
    json(host, &format!("service inspect {name}"))["service"].clone()
}

fn vip(host: &Host, name: &str) -> String {
    service(host, name)["vips"][0].as_str().unwrap().to_owned()
}

/// What is in use of a network's first subnet.
fn used(host: &Host, network: &str) -> String {
    let detail = json(host, &format!("network inspect {network}"));
    detail["usage"][0]["used"].as_str().unwrap().to_owned()
}

const DIGITS: [char; 16] =
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| DIGITS[usize::from(digit)])
        .collect()
}

fn two_hosts() -> (Host, Host) {
    let one = Host::running("one");
    let two = Host::joined("two", &one);
    until("two knows one", || two.ok("members").matches("\talive\t").count() == 2);
    (one, two)
}

/// Writes a row as somebody would who serves, or creates, on another side of a cut.
fn write(host: &Host, place: &str, lifetime: &str, record: &impl Record) {
    let value = hex(&records::encode(record));
    host.ok(&format!("table upsert {place} {value} --hex --lifetime {lifetime}"));
}

fn endpoint(network: &str, name: &str, number: u8, state: BackendState) -> EndpointRecord {
    let named = |text: &str| text.parse().unwrap();
    EndpointRecord {
        network: network.parse().unwrap(),
        name: named(name),
        aliases: vec![],
        addresses: vec![format!("10.9.0.{number}/24").parse().unwrap()],
        mac: Mac([2, 0, 0, 0, 0, number]),
        sandbox: "box".into(),
        tunnels: vec![],
        moves: 0,
        mtu: 1450,
        backend: Some(Backend { state, ..Backend::new(named("web"), named(name)) }),
    }
}

#[test]
fn a_service_is_everywhere_and_its_name_and_ports_are_given_once() {
    let (one, two) = two_hosts();
    one.ok("network create --ipv6 shop");
    let web = one.ok("service create --network shop -p 8080:80 --label tier=front web");
    until("the other has it", || two.ctl("service inspect web").code == 0);
    let shown = service(&two, "web");
    assert_eq!(
        (shown["id"].as_str(), shown["network_name"].as_str()),
        (Some(web.trim()), Some("shop"))
    );
    assert_eq!(shown["vips"].as_array().unwrap().len(), 2, "{shown}");
    assert_eq!(shown["labels"]["tier"], "front");
    for host in [&one, &two] {
        let refused = host.ctl("service create --network shop web");
        assert!(refused.err.contains(&format!("exists already: {}", web.trim())), "{refused:?}");
        let refused = host.ctl("service create --network shop -p 192.0.2.1:8080:80 db");
        let told = "port 192.0.2.1:8080:80/tcp is taken by service web";
        assert!(refused.err.contains(told), "{refused:?}");
    }
    // A port of single hosts, and the other protocol, are something else.
    two.ok("service create --network shop -p mode=host,published=8080,target=80 db");
    two.ok("service create --network shop -p 8080:80/udp dns");
    let refused = two.ctl("network rm shop");
    assert!(refused.err.contains("services are on network shop: "), "{refused:?}");
    for name in ["web", "db", "dns"] {
        assert!(refused.err.contains(name), "{refused:?}");
    }
    assert_eq!(two.ok("service rm web db dns"), "web\ndb\ndns\n");
    until("all are gone", || one.ok("service ls --jsonl").is_empty());
    two.ok("network rm shop");
}

#[test]
fn virtual_addresses_are_in_use_until_the_service_is_gone() {
    let (mut one, two) = two_hosts();
    one.ok("network create --subnet 10.9.0.0/29 shop");
    until("the other has it", || two.ctl("network inspect shop").code == 0);
    let refused = one.ctl("service create --network shop --vip 10.8.0.1 web");
    assert!(refused.err.contains("10.8.0.1 is in none of the network's subnets"), "{refused:?}");
    one.ok("service create --network shop --vip 10.9.0.4 web");
    until("the other has it", || two.ctl("service inspect web").code == 0);
    assert_eq!(vip(&two, "web"), "10.9.0.4");
    for host in [&one, &two] {
        let refused = host.ctl("service create --network shop --vip 10.9.0.4 db");
        assert!(refused.err.contains("is in use at node"), "{refused:?}");
        until("it counts", || used(host, "shop") == "1");
    }
    one.stop();
    one.start(&[]);
    until("it counts after a restart", || {
        two.ok("members").matches("\talive\t").count() == 2 && used(&one, "shop") == "1"
    });
    let refused = one.ctl("service create --network shop --vip 10.9.0.4 db");
    assert!(refused.err.contains("is in use at node"), "{refused:?}");
    // Of five addresses one is taken; four more services fit, wherever they are created.
    for (n, host) in [&one, &two, &one, &two].into_iter().enumerate() {
        host.ok(&format!("service create --network shop s{n}"));
    }
    let mut all: Vec<String> = (0..4).map(|n| format!("s{n}")).chain(["web".into()]).collect();
    until("all are known", || {
        all.iter().all(|name| one.ctl(&format!("service inspect {name}")).code == 0)
    });
    all = all.iter().map(|name| vip(&one, name)).collect();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 5, "{all:?}");
    let refused = one.ctl("service create --network shop s5");
    assert!(refused.err.contains("all of it is given: 5 of 5 in use"), "{refused:?}");
    // By another node than the one that gave it. What is given back rests.
    two.ok("service rm web");
    until("it is given back", || used(&one, "shop") == "4" && used(&two, "shop") == "4");
    let refused = one.ctl("service create --network shop s5");
    assert!(refused.err.contains("rests a while"), "{refused:?}");
    one.ok("service create --network shop --vip 10.9.0.4 s5");
}

#[test]
fn virtual_addresses_outlive_the_hosts_that_gave_them() {
    let mut hosts = cluster(&["one", "two", "three"]);
    hosts[0].ok("network create --subnet 10.9.0.0/28 shop");
    let mut names: Vec<String> = ["a", "b", "c"].map(str::to_owned).to_vec();
    for (host, name) in hosts.iter().zip(&names) {
        until("it knows the network", || host.ctl("network inspect shop").code == 0);
        host.ok(&format!("service create --network shop {name}"));
    }
    until("one knows all", || hosts[0].ok("service ls --jsonl").lines().count() == 3);
    // One hands over what it holds, and one is lost.
    hosts[2].ok("leave --yes");
    assert!(hosts[2].ended().success());
    hosts[1].signal(Signal::SIGKILL);
    hosts[1].ended();
    until("two is down", || state(&hosts[0], "two") == "failed");
    let one = &hosts[0];
    let done = one.ctl("ipam reclaim --yes two");
    assert_eq!(done.code, 0, "{done:?}");
    // Of sixteen addresses three are no endpoints', and three are taken.
    for n in 0..10 {
        let name = format!("s{n}");
        let line = format!("service create --network shop {name}");
        until("its range is no longer on its way", || one.ctl(&line).code == 0);
        names.push(name);
    }
    let mut vips: Vec<String> = names.iter().map(|name| vip(one, name)).collect();
    vips.sort();
    vips.dedup();
    assert_eq!(vips.len(), 13, "{vips:?}");
    let refused = one.ctl("service create --network shop more");
    assert!(refused.err.contains("13 of 13 in use"), "{refused:?}");
    assert_eq!(used(one, "shop"), "13");
}

#[test]
fn an_update_changes_what_it_names_and_takes_or_gives_the_address() {
    let host = Host::running("a");
    host.ok("network create --subnet 10.9.0.0/24 shop");
    host.ok("service create --network shop -p 8080:80 -p 8443:443 --label old=1 web");
    let before = service(&host, "web");
    host.ok(
        "service update web --publish-rm 80 --publish-add 80:80 --label-rm old --label-add new",
    );
    let after = service(&host, "web");
    let ports = |of: &Value| {
        of["ports"].as_array().unwrap().iter().map(|p| p["published"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        (ports(&before), ports(&after)),
        (vec![8080.into(), 8443.into()], vec![8443.into(), 80.into()])
    );
    assert_eq!(after["labels"], serde_json::json!({ "new": "" }));
    assert_eq!((&after["vips"], &after["id"]), (&before["vips"], &before["id"]));
    let refused = host.ctl("service update web --publish-rm 80/udp");
    assert!(refused.err.contains("no port that leads to 80/udp"), "{refused:?}");
    let refused = host.ctl("service update web --endpoint-mode dnsrr");
    assert!(refused.err.contains("publishes ports in the mode host only"), "{refused:?}");
    host.ok("service update web --publish-rm 80 --publish-rm 443 --endpoint-mode dnsrr");
    assert_eq!(service(&host, "web")["vips"], serde_json::json!([]));
    until("it is given back", || used(&host, "shop") == "0");
    host.ok("service update web --endpoint-mode vip --vip 10.9.0.77");
    assert_eq!(vip(&host, "web"), "10.9.0.77");
    host.ok("service update web --vip 10.9.0.78");
    assert_eq!(vip(&host, "web"), "10.9.0.78");
    until("one is in use", || used(&host, "shop") == "1");
    assert_eq!(host.ctl("service update db --label-add x").code, host.ctl("service rm db").code);
}

#[test]
fn networks_without_endpoints_of_all_nodes_have_no_services() {
    let host = Host::running("a");
    host.ok("network create -d bridge box");
    host.ok("network create -d host plain");
    let refused = host.ctl("service create --network box web");
    assert!(refused.err.contains("network box is this host's alone"), "{refused:?}");
    let refused = host.ctl("service create --network plain web");
    assert!(refused.err.contains("the host driver has no endpoints"), "{refused:?}");
    let refused = host.ctl("service create --network nothing web");
    assert!(refused.err.contains("no network has the name or id nothing"), "{refused:?}");
    host.ok("network create shop");
    host.ok("service create --network shop web");
}

#[test]
fn the_younger_of_two_shows_the_conflict_everywhere() {
    let (one, two) = two_hosts();
    one.ok("network create --subnet 10.9.0.0/24 shop");
    one.ok("service create --network shop -p 8080:80 web");
    let network = service(&one, "web")["network"].as_str().unwrap().to_owned();
    // As it comes when two sides of a cut meet again.
    let record = |name: &str, port: u16, last: u8| ServiceRecord {
        vips: vec![[10, 9, 0, last].into()],
        ports: vec![records::PublishedPort {
            protocol: records::Protocol::Tcp,
            published: port,
            target: 80,
            mode: records::PublishMode::Ingress,
            bind: None,
        }],
        created_us: u64::MAX,
        ..ServiceRecord::new(name.parse().unwrap(), network.parse().unwrap(), ServiceMode::Vip)
    };
    for (key, record) in [("11", record("web", 9000, 200)), ("22", record("db", 8080, 201))] {
        write(&one, &format!("_cluster services {}", key.repeat(16)), "cluster", &record);
    }
    until("the other has them", || two.ok("service ls --jsonl").lines().count() == 3);
    for host in [&one, &two] {
        let listed = host.ok("service ls");
        assert!(listed.contains("conflict: web has port 8080:80/tcp"), "{listed}");
        assert_eq!(listed.matches("has the name web").count(), 1, "{listed}");
        assert_eq!(service(host, "web")["conflicts"], serde_json::json!([]));
    }
    assert!(two.ok("service inspect 1111").contains("has the name web"));
    two.ok("service rm 1111");
    until("one is gone", || one.ok("service ls --jsonl").lines().count() == 2);
}

#[test]
fn who_serves_is_counted_by_every_node() {
    let (one, two) = two_hosts();
    one.ok("network create --subnet 10.9.0.0/24 shop");
    one.ok("service create --network shop web");
    let network = service(&one, "web")["network"].as_str().unwrap().to_owned();
    until("the other has it", || two.ctl("service inspect web").code == 0);
    one.ok(&format!("scope attach {network} --wait"));
    for host in [&one, &two] {
        assert_eq!(
            service(host, "web")["state"],
            serde_json::json!({ "state": "pending", "why": "it has no backend" })
        );
    }
    let put = |host: &Host, name: &str, number: u8, state| {
        let key = format!("{number:02x}").repeat(16);
        let record = endpoint(&network, name, number, state);
        write(host, &format!("{network} endpoints {key}"), "owner", &record);
    };
    put(&one, "web-1", 11, BackendState::Ready);
    // Who does not hold the rows asks somebody who does.
    assert_eq!(service(&two, "web")["backends"], serde_json::json!({ "ready": 1, "all": 1 }));
    assert!(two.ok("service ls").contains("\t1/1\tready"));
    let scopes = json(&two, "scope ls");
    assert!(!scopes["attached"].to_string().contains(&network), "and takes no part itself");
    two.ok(&format!("scope attach {network} --wait"));
    put(&two, "web-2", 12, BackendState::Ready);
    put(&two, "web-3", 13, BackendState::Draining);
    for host in [&one, &two] {
        until("all are counted", || {
            service(host, "web")["backends"] == serde_json::json!({ "ready": 2, "all": 3 })
        });
        assert_eq!(service(host, "web")["state"]["state"], "ready");
    }
    let shown = one.ok("service inspect web");
    for line in [
        "web-1\t10.9.0.11/24\tone\talive\t1\thealthy\tready",
        "web-3\t10.9.0.13/24\ttwo\talive\t1\thealthy\tdraining",
    ] {
        assert!(shown.contains(line), "{line} in {shown}");
    }
    drop(two);
    until("the other's are no longer ready", || {
        service(&one, "web")["backends"] == serde_json::json!({ "ready": 1, "all": 3 })
    });
    assert!(one.ok("service inspect web").contains("\ttwo\tfailed\t"));
    put(&one, "web-1", 11, BackendState::Disabled);
    assert_eq!(service(&one, "web")["state"]["why"], "no backend is ready");
}
