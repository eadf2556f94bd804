//! Virtual addresses with real clients: who gets a connection, and what becomes of it.

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use netnode::{
    drivers::reconcile::{Comparer, reconcile},
    kernel::Kernel,
};
use netnode_api::{
    endpoints::{AttachEndpoint, ChangeBackend, Endpoint},
    networks::CreateNetwork,
    services::{CreateService, UpdateService},
};
use netnode_plan::{
    desired::Desired,
    firewall::Firewall,
    host::{Action, Place},
    lb::{Balance, Spread},
    records::NetworkId,
};

use crate::{
    daemon::{Daemon, addresses, cluster, serving, until},
    lab::{Lab, by_hand},
    ping::answers,
    talk::{Call, Flow, serve_as},
};

/// Where backends listen.
const PORT: u16 = 80;
/// Whoever is refused knows at once.
const AT_ONCE: Duration = Duration::from_millis(500);

/// A cluster with an overlay `web`, a client on its last host and a service `api`.
struct Site {
    lab: Lab,
    daemons: Vec<Daemon>,
    client: PathBuf,
    client_at: Vec<IpAddr>,
    vips: Vec<SocketAddr>,
}

impl Site {
    fn new(test: &str, hosts: u8) -> Option<Self> {
        let lab = Lab::new(test, hosts)?;
        let daemons = cluster(&lab, lab.hosts.len());
        let client = lab.namespace("client");
        let attached = daemons[usize::from(hosts) - 1].attach("web", "client", &client);
        let vips = create(&daemons[0], "web", false);
        Some(Self { lab, daemons, client, client_at: addresses(&attached), vips })
    }

    /// One more that serves `api`, which answers with its name.
    fn serve(&self, host: usize, name: &str, weight: u16) -> (PathBuf, Endpoint) {
        let sandbox = self.lab.namespace(name);
        let endpoint = attach(&self.daemons[host], "web", name, &sandbox, weight);
        (sandbox, endpoint)
    }

    fn change(&self, host: usize, name: &str, change: &ChangeBackend) {
        let daemon = &self.daemons[host];
        daemon.ask(daemon.client.change_backend(name, change)).unwrap();
    }

    fn until_served_by(&self, names: &[&str]) {
        for vip in &self.vips {
            until("exactly they serve", || {
                let met = meet(&self.client, *vip, 20 * names.len());
                met.keys().map(String::as_str).eq(names.iter().copied())
            });
        }
    }
}

fn create(daemon: &Daemon, network: &str, prefer_local: bool) -> Vec<SocketAddr> {
    let (name, network) = ("api".to_owned(), network.to_owned());
    let wanted = CreateService { name, network, prefer_local, ..CreateService::default() };
    let created = daemon.ask(daemon.client.create_service(&wanted)).unwrap();
    created.vips.iter().map(|vip| SocketAddr::new(vip.parse().unwrap(), PORT)).collect()
}

fn attach(daemon: &Daemon, network: &str, name: &str, sandbox: &Path, weight: u16) -> Endpoint {
    serve_as(sandbox, &format!("[::]:{PORT}"), name);
    let wanted = AttachEndpoint { weight: Some(weight), ..serving(network, name, sandbox) };
    daemon.ask(daemon.client.attach_endpoint(&wanted)).unwrap()
}

/// Who answers so many new connections, and how often.
fn meet(from: &Path, to: SocketAddr, times: usize) -> BTreeMap<String, usize> {
    let mut met = BTreeMap::new();
    for _ in 0..times {
        let who =
            Call::to(from, to).map_or_else(|error| error.to_string(), |call| name(&call.hello));
        *met.entry(who).or_default() += 1;
    }
    met
}

fn name(said: &str) -> String {
    said.split(' ').next().unwrap_or_default().to_owned()
}

/// Whom a backend saw, as an address of its own kind.
fn seen(said: &str) -> IpAddr {
    let address: IpAddr = said.split(' ').nth(1).unwrap().parse().unwrap();
    address.to_canonical()
}

#[test]
fn connections_are_spread_by_weight_and_the_clients_address_is_kept() {
    let test = "connections_are_spread_by_weight_and_the_clients_address_is_kept";
    let Some(site) = Site::new(test, 3) else { return };
    site.serve(0, "api-1", 1);
    site.serve(1, "api-2", 3);
    site.until_served_by(&["api-1", "api-2"]);
    for vip in &site.vips {
        let met = meet(&site.client, *vip, 400);
        assert_eq!(met.values().sum::<usize>(), 400);
        // A quarter of 400, and five times what chance makes of it.
        assert!((57..=143).contains(&met["api-1"]), "{met:?}");
        let own = site.client_at.iter().find(|at| at.is_ipv4() == vip.is_ipv4());
        let call = Call::to(&site.client, *vip).unwrap();
        assert_eq!(Some(&seen(&call.hello)), own);
        let mut udp = BTreeMap::<String, usize>::new();
        for _ in 0..200 {
            let said = Flow::to(&site.client, *vip).ask().unwrap();
            assert_eq!(Some(&seen(&said)), own);
            *udp.entry(name(&said)).or_default() += 1;
        }
        assert!((20..=80).contains(&udp["api-1"]), "{udp:?}");
        assert!(answers(&site.client, vip.ip(), 56), "{vip}");
    }
    // Why it is so, by the rows.
    let here = &site.daemons[2];
    for of in here.ask(here.client.lb(Some("client"), Some("api"))).unwrap() {
        let shares: Vec<_> = of.backends.iter().map(|of| of.share_percent.round()).collect();
        assert!(of.balanced && shares == [25.0, 75.0], "{of:?}");
    }
    // As people read it.
    let shown = by_hand(&site.client, "nft list ruleset");
    for part in ["set services-v4-4", "map backends-v6", "numgen random mod 4", "dnat ip6 to"] {
        assert!(shown.contains(part), "no {part} in {shown}");
    }
    // Whatever others do to it is mended.
    by_hand(&site.client, "nft flush ruleset");
    site.until_served_by(&["api-1", "api-2"]);
    // It goes with the endpoint; what is somebody else's stays.
    by_hand(&site.client, "nft add table inet mine");
    site.daemons[2].ask(site.daemons[2].client.detach_endpoint("web", "client")).unwrap();
    assert_eq!(by_hand(&site.client, "nft list tables"), "table inet mine\n");
}

#[test]
fn a_backend_reaches_itself_by_its_own_service() {
    let test = "a_backend_reaches_itself_by_its_own_service";
    let Some(site) = Site::new(test, 1) else { return };
    let (sandbox, endpoint) = site.serve(0, "api-1", 1);
    site.until_served_by(&["api-1"]);
    for vip in &site.vips {
        let own = addresses(&endpoint).into_iter().find(|at| at.is_ipv4() == vip.is_ipv4());
        for _ in 0..1000 {
            let call = Call::to(&sandbox, *vip).unwrap();
            assert_eq!((name(&call.hello).as_str(), Some(seen(&call.hello))), ("api-1", own));
            let said = Flow::to(&sandbox, *vip).ask().unwrap();
            assert_eq!((name(&said).as_str(), Some(seen(&said))), ("api-1", own));
        }
    }
}

#[test]
fn what_nobody_serves_is_refused_at_once() {
    let Some(site) = Site::new("what_nobody_serves_is_refused_at_once", 2) else { return };
    let refused = |when: &str| {
        for vip in &site.vips {
            until("it is refused", || {
                let began = Instant::now();
                let call = Call::to(&site.client, *vip).map(drop).map_err(|error| error.kind());
                call == Err(io::ErrorKind::ConnectionRefused) && began.elapsed() < AT_ONCE
            });
            let flow = Flow::to(&site.client, *vip).ask().map_err(|error| error.kind());
            // What is refused on its way out of its own host, the system call itself says.
            let refused = [io::ErrorKind::ConnectionRefused, io::ErrorKind::PermissionDenied];
            assert!(flow.is_err_and(|kind| refused.contains(&kind)), "{vip} {when}");
            assert!(!answers(&site.client, vip.ip(), 56), "{vip} {when}");
        }
    };
    refused("before somebody serves");
    site.serve(0, "api-1", 1);
    site.until_served_by(&["api-1"]);
    let unhealthy = ChangeBackend { health: Some("unhealthy".into()), ..ChangeBackend::default() };
    site.change(0, "api-1", &unhealthy);
    refused("while the only one is not well");
    let healthy = ChangeBackend { health: Some("healthy".into()), ..ChangeBackend::default() };
    site.change(0, "api-1", &healthy);
    site.until_served_by(&["api-1"]);
}

/// One flow of UDP and one call for each address, all of which `name` answers.
fn begin(site: &Site, with: &str) -> (Vec<Call>, Vec<Flow>) {
    let (mut calls, mut flows) = (Vec::new(), Vec::new());
    for vip in &site.vips {
        calls.push(loop {
            let call = Call::to(&site.client, *vip).unwrap();
            if name(&call.hello) == with {
                break call;
            }
        });
        flows.push(loop {
            let flow = Flow::to(&site.client, *vip);
            if name(&flow.ask().unwrap()) == with {
                break flow;
            }
        });
    }
    (calls, flows)
}

/// The calls end with a reset, and the flows are somebody else's.
fn ended(calls: &mut [Call], flows: &[Flow], by: &str) {
    for call in calls {
        until("it is cut off", || call.goes_on().is_err());
        let error = call.goes_on().unwrap_err();
        assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
    }
    for flow in flows {
        until("it is with another", || flow.ask().is_ok_and(|said| name(&said) == by));
    }
}

#[test]
fn who_drains_keeps_what_it_has_begun_until_its_time_is_over() {
    let test = "who_drains_keeps_what_it_has_begun_until_its_time_is_over";
    let Some(site) = Site::new(test, 3) else { return };
    site.serve(0, "api-1", 1);
    site.serve(1, "api-2", 1);
    site.until_served_by(&["api-1", "api-2"]);
    let (mut calls, flows) = begin(&site, "api-1");
    let state = Some("draining".to_owned());
    site.change(0, "api-1", &ChangeBackend { state, health: None, grace_s: Some(6) });
    site.until_served_by(&["api-2"]);
    assert!(calls.iter_mut().all(|call| call.goes_on().is_ok()));
    assert!(flows.iter().all(|flow| flow.ask().is_ok_and(|said| name(&said) == "api-1")));
    thread::sleep(Duration::from_secs(5));
    ended(&mut calls, &flows, "api-2");
    site.change(0, "api-1", &ChangeBackend { state: Some("ready".into()), ..Default::default() });
    site.until_served_by(&["api-1", "api-2"]);
}

#[test]
fn who_is_detached_leaves_no_client_behind() {
    let Some(site) = Site::new("who_is_detached_leaves_no_client_behind", 3) else { return };
    site.serve(0, "api-1", 1);
    site.serve(1, "api-2", 1);
    site.until_served_by(&["api-1", "api-2"]);
    let (mut calls, flows) = begin(&site, "api-1");
    let (mut others, _) = begin(&site, "api-2");
    site.daemons[0].ask(site.daemons[0].client.detach_endpoint("web", "api-1")).unwrap();
    ended(&mut calls, &flows, "api-2");
    assert!(others.iter_mut().all(|call| call.goes_on().is_ok()));
    for vip in &site.vips {
        assert_eq!(meet(&site.client, *vip, 50), [("api-2".to_owned(), 50)].into());
    }
}

#[test]
fn a_failed_nodes_backends_get_nothing_and_keep_what_they_have() {
    let test = "a_failed_nodes_backends_get_nothing_and_keep_what_they_have";
    let Some(mut site) = Site::new(test, 3) else { return };
    site.serve(0, "api-1", 1);
    site.serve(1, "api-2", 1);
    site.until_served_by(&["api-1", "api-2"]);
    let (mut calls, flows) = begin(&site, "api-1");
    site.daemons[0].kill();
    site.until_served_by(&["api-2"]);
    for flow in &flows {
        until("it is with another", || flow.ask().is_ok_and(|said| name(&said) == "api-2"));
    }
    assert!(calls.iter_mut().all(|call| call.goes_on().is_ok()));
    site.daemons[0].start();
    site.until_served_by(&["api-1", "api-2"]);
    assert!(calls.iter_mut().all(|call| call.goes_on().is_ok()));
}

#[test]
fn a_client_gets_its_own_hosts_backends_where_the_service_wants_that() {
    let test = "a_client_gets_its_own_hosts_backends_where_the_service_wants_that";
    let Some(site) = Site::new(test, 2) else { return };
    site.serve(0, "api-1", 1);
    site.serve(1, "api-2", 1);
    site.until_served_by(&["api-1", "api-2"]);
    let prefer = |prefer| {
        let change = UpdateService { prefer_local: Some(prefer), ..Default::default() };
        site.daemons[0].ask(site.daemons[0].client.update_service("api", &change)).unwrap();
    };
    prefer(true);
    site.until_served_by(&["api-2"]);
    let state = Some("draining".to_owned());
    site.change(1, "api-2", &ChangeBackend { state, ..Default::default() });
    site.until_served_by(&["api-1"]);
    site.change(1, "api-2", &ChangeBackend { state: Some("ready".into()), ..Default::default() });
    site.until_served_by(&["api-2"]);
    prefer(false);
    site.until_served_by(&["api-1", "api-2"]);
}

/// Connects all the time while something is done; how many connections failed, of how many.
fn under_load(from: &Path, vips: &[SocketAddr], work: impl FnOnce()) -> (Vec<String>, usize) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let load = scope.spawn(|| {
            let (mut failed, mut all) = (Vec::new(), 0);
            let start = Instant::now();
            while !over.load(Ordering::Relaxed) {
                for vip in vips {
                    all += 1;
                    let began = Instant::now();
                    let call = Call::to(from, *vip).and_then(|mut call| call.goes_on());
                    failed.extend(call.err().map(|error| format!("{vip}: {error}")));
                    failed.extend((began.elapsed() > AT_ONCE).then(|| {
                        format!(
                            "{vip}: late, {:?} from {:?}",
                            began.elapsed(),
                            began.duration_since(start)
                        )
                    }));
                }
                thread::sleep(Duration::from_millis(5));
            }
            (failed, all)
        });
        work();
        over.store(true, Ordering::Relaxed);
        load.join().unwrap()
    })
}

#[test]
fn no_connection_fails_while_backends_are_replaced_and_netnode_restarts() {
    let test = "no_connection_fails_while_backends_are_replaced_and_netnode_restarts";
    let Some(mut site) = Site::new(test, 3) else { return };
    site.serve(0, "old-1", 1);
    site.serve(1, "old-2", 1);
    site.until_served_by(&["old-1", "old-2"]);
    let (client, vips) = (site.client.clone(), site.vips.clone());
    let (failed, all) = under_load(&client, &vips, || {
        for (host, old, new) in [(0, "old-1", "new-1"), (1, "old-2", "new-2")] {
            site.serve(host, new, 1);
            let state = Some("draining".to_owned());
            site.change(host, old, &ChangeBackend { state, ..ChangeBackend::default() });
            thread::sleep(Duration::from_millis(500));
            let daemon = &site.daemons[host];
            daemon.ask(daemon.client.detach_endpoint("web", old)).unwrap();
        }
        site.until_served_by(&["new-1", "new-2"]);
        // The client's own, and then one that has a backend.
        for host in [2, 1] {
            site.daemons[host].kill();
            thread::sleep(Duration::from_millis(200));
            site.daemons[host].start();
            thread::sleep(Duration::from_secs(1));
        }
        site.until_served_by(&["new-1", "new-2"]);
    });
    assert_eq!(failed, Vec::<String>::new(), "of {all}");
    assert!(all > 200, "{all}");
    println!("{all} connections");
}

#[test]
fn services_of_a_macvlan_are_balanced_alike() {
    let Some(lab) = Lab::new("services_of_a_macvlan_are_balanced_alike", 2) else { return };
    let daemons = cluster(&lab, lab.hosts.len());
    let wanted = CreateNetwork {
        name: "wire".into(),
        driver: "macvlan".into(),
        subnets: vec!["10.7.0.0/24".into(), "fd07::/64".into()],
        options: [("parent".to_owned(), "eth0".to_owned())].into(),
        ..CreateNetwork::default()
    };
    daemons[0].ask(daemons[0].client.create_network(&wanted)).unwrap();
    until("both know it", || daemons[1].ask(daemons[1].client.network("wire")).is_ok());
    let vips = create(&daemons[0], "wire", false);
    let client = lab.namespace("client");
    daemons[1].attach("wire", "client", &client);
    let sandboxes = ["api-1", "api-2"].map(|name| lab.namespace(name));
    for (host, sandbox) in sandboxes.iter().enumerate() {
        attach(&daemons[host], "wire", &format!("api-{}", host + 1), sandbox, 1);
    }
    for vip in vips {
        for from in sandboxes.iter().chain([&client]) {
            until("both serve", || meet(from, vip, 40).keys().eq(["api-1", "api-2"]));
        }
    }
}

/// So many services, with ten backends each but for a few: each number of slots is in use.
fn many(services: u16) -> Balance {
    let mut balance = Balance::default();
    for number in 0..services {
        let [high, low] = number.to_be_bytes();
        let backends = if high == 0 { low.clamp(1, 10) } else { 10 };
        let weights = (1..=backends).map(|n| ([10, 128 + n, high, low].into(), 1)).collect();
        let spread = Spread::new(None, &weights, BTreeMap::new());
        balance.put([10, 1, high, low].into(), Some(spread));
    }
    balance
}

#[test]
fn five_thousand_services_are_loaded_and_one_backend_is_one_change() {
    let test = "five_thousand_services_are_loaded_and_one_backend_is_one_change";
    let Some(mut lab) = Lab::new(test, 1) else { return };
    let place = Place::Sandbox(lab.namespace("client").to_str().unwrap().to_owned());
    let network = NetworkId([1; 16]);
    let mut balance = many(5000);
    let wanted = |balance: &Balance| {
        let balances = [(network, balance.clone())].into();
        let firewalls = [(place.clone(), Firewall { balances, ..Firewall::default() })].into();
        let links = [(place.clone(), BTreeMap::new())].into();
        Desired { links, firewalls, ..Desired::default() }
    };
    let (kernel, mut comparer) = (&mut lab.hosts[0].kernel, Comparer::default());
    let began = Instant::now();
    let report = comparer.compare(kernel, &wanted(&balance)).unwrap();
    assert!(report.is_settled(), "{report:?}");
    println!("5,000 services loaded and compared in {:?}", began.elapsed());
    let vip = IpAddr::from([10, 1, 7, 7]);
    for nth in 1..=10 {
        let before = balance.get(vip).unwrap().clone();
        let left = (nth + 1..=10).map(|n| ([10, 128 + n, 7, 7].into(), 1)).collect();
        balance.put(vip, Some(Spread::new(Some(&before), &left, BTreeMap::new())));
        let began = Instant::now();
        let report = comparer.follow(kernel, &wanted(&balance)).unwrap();
        println!("{nth} backends less: {:?}", began.elapsed());
        assert_eq!((report.steps, report.is_settled()), (1, true));
    }
    // What was followed is what a look at all of it finds.
    let report = reconcile(kernel, &wanted(&balance)).unwrap();
    let filters = |action: &Action| matches!(action, Action::Filter { .. });
    assert!(report.is_settled() && !report.pending.iter().any(filters));
    let seen = kernel.firewall(&place).unwrap();
    assert_eq!(seen.ours, wanted(&balance).firewalls[&place].tables(&BTreeMap::new()));
}
