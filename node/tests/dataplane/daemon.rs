//! The daemon itself: what an attach promises holds on the wire, through kills and changes.

use std::{
    fs::OpenOptions,
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use netnode_api::{
    client::{Client, ClientError},
    endpoints::{AttachEndpoint, Endpoint, EndpointState},
    networks::CreateNetwork,
};
use tokio::runtime::Runtime;

use crate::{
    lab::{Lab, by_hand, inside, links},
    ping::{HEADERS_V4, answers, is_silent, lost_during},
};

const PATIENCE: Duration = Duration::from_secs(30);
/// What a daemon says, in its folder.
const LOG: &str = "log";

/// A netnode in the namespace of one of the lab's hosts.
pub(crate) struct Daemon {
    namespace: PathBuf,
    address: String,
    folder: tempfile::TempDir,
    name: String,
    settings: Vec<(&'static str, &'static str)>,
    child: Option<Child>,
    pub(crate) client: Client,
    runtime: Runtime,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join(LOG));
            println!("{} said:\n{}", self.name, log.unwrap_or_default());
        }
    }
}

impl Daemon {
    fn new(lab: &Lab, host: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let client = Client::new(folder.path().join("s"));
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let namespace = lab.hosts[host].namespace.clone();
        let (address, name) = (lab.hosts[host].v4.clone(), format!("n{host}"));
        let settings = Vec::new();
        Self { namespace, address, folder, name, settings, child: None, client, runtime }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_netnode"));
        command.args(["--profile", "local", "--name", &self.name]);
        command.args(["--listen", &format!("{}:7117", self.address)]);
        command.arg("--state-dir").arg(self.folder.path().join("state"));
        command.arg("--socket").arg(self.folder.path().join("s"));
        let log = OpenOptions::new().create(true).append(true).open(self.folder.path().join(LOG));
        command.envs(self.settings.iter().copied());
        command.args(words).stdin(Stdio::null()).stderr(log.unwrap());
        command
    }

    /// Runs a command to its end; what it printed.
    fn once(&self, words: &[&str]) -> String {
        let done = inside(&self.namespace, || self.command(words).output().unwrap());
        assert!(done.status.success(), "{words:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    pub(crate) fn start(&mut self) {
        let child =
            inside(&self.namespace, || self.command(&[]).stdout(Stdio::null()).spawn().unwrap());
        self.child = Some(child);
        until("it answers", || self.ask(self.client.status()).is_ok());
    }

    /// A variable of its environment, from its next start on.
    pub(crate) fn set(&mut self, name: &'static str, value: &'static str) {
        self.settings.push((name, value));
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Those of its networks.
    pub(crate) fn namespaces(&self) -> Vec<PathBuf> {
        let all = std::fs::read_dir(self.folder.path().join("state/namespaces"));
        all.into_iter().flatten().map(|entry| entry.unwrap().path()).collect()
    }

    /// The kernel's entries that lead to other hosts.
    pub(crate) fn tunnels(&self) -> Vec<String> {
        let all = self.namespaces();
        let entries = all.iter().map(|place| by_hand(place, "bridge fdb show dev vxlan0"));
        let entries: Vec<String> = entries.collect();
        let lines = entries.iter().flat_map(|text| text.lines());
        lines.filter(|line| line.contains(" dst ")).map(str::to_owned).collect()
    }

    pub(crate) fn ask<T>(
        &self,
        question: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        self.runtime.block_on(question)
    }

    /// Creates a network with a subnet of each family.
    pub(crate) fn create(&self, driver: &str, name: &str, internal: bool) {
        let (name, driver) = (name.to_owned(), driver.to_owned());
        let wanted =
            CreateNetwork { name, driver, internal, ipv6: true, ..CreateNetwork::default() };
        self.ask(self.client.create_network(&wanted)).unwrap();
    }

    pub(crate) fn attach(&self, network: &str, name: &str, sandbox: &Path) -> Endpoint {
        let endpoint = self.publish(network, name, sandbox, &[]).unwrap();
        assert_eq!(endpoint.state, EndpointState::Ready, "{endpoint:?}");
        endpoint
    }

    /// The same where the kernel may take longer than an attach waits for it.
    pub(crate) fn attach_slowly(&self, network: &str, name: &str, sandbox: &Path) -> Endpoint {
        let endpoint = self.publish(network, name, sandbox, &[]).unwrap();
        self.until_ready(&endpoint);
        endpoint
    }

    /// As [`Self::attach`], with ports of the host.
    pub(crate) fn publish(
        &self,
        network: &str,
        name: &str,
        sandbox: &Path,
        ports: &[&str],
    ) -> Result<Endpoint, ClientError> {
        let netns = sandbox.to_str().unwrap().to_owned();
        let (network, name) = (network.to_owned(), name.to_owned());
        let published = ports.iter().map(|port| (*port).to_owned()).collect();
        let wanted =
            AttachEndpoint { network, name, netns, published, ..AttachEndpoint::default() };
        self.ask(self.client.attach_endpoint(&wanted))
    }

    /// All that it said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(LOG)).unwrap()
    }

    /// How often something happened to its names, as its metrics say.
    pub(crate) fn events(&self, event: &str) -> u64 {
        let metrics = self.ask(self.client.metrics()).unwrap();
        let named = format!("netnode_dns_events_total{{event=\"{event}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&named));
        line.unwrap_or_else(|| panic!("no {named} in {metrics}")).parse().unwrap()
    }

    pub(crate) fn until_ready(&self, endpoint: &Endpoint) {
        until("it is taken up", || {
            let all = self.ask(self.client.endpoints()).unwrap();
            all.iter().any(|e| e.id == endpoint.id && e.state == EndpointState::Ready)
        });
    }
}

pub(crate) fn until(what: &str, mut reached: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !reached() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A cluster with an overlay `web`, one daemon on each of the first hosts.
pub(crate) fn cluster(lab: &Lab, hosts: usize) -> Vec<Daemon> {
    let daemons = members(lab, hosts);
    daemons[0].create("overlay", "web", false);
    until_known(&daemons, "web");
    daemons
}

/// A cluster without a network.
pub(crate) fn members(lab: &Lab, hosts: usize) -> Vec<Daemon> {
    let mut daemons: Vec<Daemon> = (0..hosts).map(|host| Daemon::new(lab, host)).collect();
    let token = daemons[0].once(&["init"]);
    let first = format!("{}:7117", daemons[0].address);
    for (nth, daemon) in daemons.iter_mut().enumerate() {
        if nth > 0 {
            daemon.once(&["join", &token, &first]);
        }
        daemon.start();
    }
    for daemon in &daemons {
        until("all know all", || daemon.ask(daemon.client.members()).unwrap().len() == hosts);
    }
    daemons
}

pub(crate) fn until_known(daemons: &[Daemon], network: &str) {
    for daemon in daemons {
        until("all know the network", || daemon.ask(daemon.client.network(network)).is_ok());
    }
}

/// An overlay `small` of five addresses for endpoints, which the first two know.
pub(crate) fn create_small(daemons: &[Daemon]) {
    let small = CreateNetwork {
        name: "small".into(),
        driver: "overlay".into(),
        subnets: vec!["10.9.0.0/29".into()],
        ..CreateNetwork::default()
    };
    daemons[0].ask(daemons[0].client.create_network(&small)).unwrap();
    until("both know it", || daemons[1].ask(daemons[1].client.network("small")).is_ok());
}

/// An endpoint that is to serve `api`.
pub(crate) fn serving(network: &str, name: &str, at: &Path) -> AttachEndpoint {
    AttachEndpoint {
        network: network.to_owned(),
        name: name.to_owned(),
        netns: at.to_str().unwrap().to_owned(),
        service: Some("api".to_owned()),
        ..AttachEndpoint::default()
    }
}

pub(crate) fn addresses(endpoint: &Endpoint) -> Vec<IpAddr> {
    let of = |text: &String| text.split('/').next().unwrap().parse().unwrap();
    endpoint.addresses.iter().map(of).collect()
}

#[test]
fn what_is_attached_is_reached_from_everywhere_and_what_is_not_is_not() {
    let test = "what_is_attached_is_reached_from_everywhere_and_what_is_not_is_not";
    let Some(lab) = Lab::new(test, 3) else { return };
    let daemons = cluster(&lab, 3);
    let mut plugged = Vec::new();
    for (host, daemon) in daemons.iter().enumerate() {
        for nth in 0..2 {
            let name = format!("e{host}{nth}");
            let sandbox = lab.namespace(&name);
            plugged.push((sandbox.clone(), daemon.attach("web", &name, &sandbox)));
        }
    }
    for (sandbox, _) in &plugged {
        for (_, endpoint) in &plugged {
            for address in addresses(endpoint) {
                assert!(answers(sandbox, address, 56), "{} to {address}", sandbox.display());
            }
        }
    }
    // In use: it can't be removed under them.
    assert!(daemons[1].ask(daemons[1].client.remove_network("web")).is_err());
    let (sandbox, endpoint) = &plugged[5];
    daemons[2].ask(daemons[2].client.detach_endpoint("web", &endpoint.name)).unwrap();
    assert_eq!(links(sandbox), ["lo"]);
    assert!(is_silent(&plugged[0].0, addresses(endpoint)[0]));
}

#[test]
fn killing_and_restarting_netnode_never_interrupts_traffic() {
    let test = "killing_and_restarting_netnode_never_interrupts_traffic";
    let Some(lab) = Lab::new(test, 2) else { return };
    let mut daemons = cluster(&lab, 2);
    let (here, there) = (lab.namespace("here"), lab.namespace("there"));
    let endpoint = daemons[0].attach("web", "here", &here);
    let other = daemons[1].attach("web", "there", &there);
    let to = addresses(&other)[0];
    assert!(answers(&here, to, 56));
    let (lost, sent) = lost_during(&here, to, || {
        for _ in 0..2 {
            daemons[0].kill();
            thread::sleep(Duration::from_millis(500));
            daemons[0].start();
            daemons[0].until_ready(&endpoint);
        }
    });
    assert_eq!(lost, 0, "of {sent}");
    assert!(sent > 40, "{sent}");
    // Its address is not given again; nor is one that was given back just before another end.
    let third = lab.namespace("third");
    let third = daemons[0].attach("web", "third", &third);
    daemons[0].ask(daemons[0].client.detach_endpoint("web", "third")).unwrap();
    daemons[0].kill();
    daemons[0].start();
    let fourth = daemons[0].attach("web", "fourth", &lab.namespace("fourth"));
    let taken = [addresses(&endpoint), addresses(&third)].concat();
    assert!(addresses(&fourth).iter().all(|address| !taken.contains(address)), "{fourth:?}");
}

#[test]
fn a_node_that_starts_alone_keeps_the_ways_to_the_others() {
    let test = "a_node_that_starts_alone_keeps_the_ways_to_the_others";
    let Some(lab) = Lab::new(test, 2) else { return };
    let mut daemons = cluster(&lab, lab.hosts.len());
    let (here, there) = (lab.namespace("here"), lab.namespace("there"));
    let endpoint = daemons[0].attach("web", "here", &here);
    let other = daemons[1].attach("web", "there", &there);
    let to = addresses(&other)[0];
    assert!(answers(&here, to, 56));
    let (lost, sent) = lost_during(&here, to, || {
        daemons[0].kill();
        daemons[1].kill();
        daemons[0].start();
        daemons[0].until_ready(&endpoint);
        // Several comparisons of what is wanted with the kernel.
        thread::sleep(Duration::from_secs(1));
    });
    assert_eq!(lost, 0, "of {sent}");
    // Nobody says that the other endpoint went, and its host is there all the same.
    daemons[1].start();
    daemons[1].ask(daemons[1].client.detach_endpoint("web", "there")).unwrap();
    until("the way to what went is gone", || daemons[0].tunnels() == Vec::<String>::new());
    assert!(addresses(&endpoint).iter().all(|address| answers(&here, *address, 56)));
}

#[test]
fn a_smaller_underlay_is_everybodys_mtu() {
    let test = "a_smaller_underlay_is_everybodys_mtu";
    let Some(lab) = Lab::new(test, 2) else { return };
    let daemons = cluster(&lab, lab.hosts.len());
    let (here, there) = (lab.namespace("here"), lab.namespace("there"));
    daemons[0].attach("web", "here", &here);
    let other = daemons[1].attach("web", "there", &there);
    assert_eq!(other.mtu, Some(1450));
    by_hand(&lab.hosts[1].namespace, "ip link set dev eth0 mtu 1400");
    until("every interface is smaller", || {
        [&here, &there].iter().all(|at| by_hand(at, "ip link show dev eth0").contains("mtu 1350"))
    });
    assert!(answers(&here, addresses(&other)[0], 1350 - HEADERS_V4));
}

#[test]
fn an_endpoint_moves_and_is_reached_where_it_went() {
    let test = "an_endpoint_moves_and_is_reached_where_it_went";
    let Some(lab) = Lab::new(test, 3) else { return };
    let mut daemons = cluster(&lab, lab.hosts.len());
    let (old, new, watcher) =
        (lab.namespace("old"), lab.namespace("new"), lab.namespace("watcher"));
    let before = daemons[0].attach("web", "api", &old);
    daemons[2].attach("web", "watcher", &watcher);
    let to = addresses(&before)[0];
    assert!(answers(&watcher, to, 56));
    let moved = AttachEndpoint {
        network: "web".to_owned(),
        name: "api".to_owned(),
        netns: new.to_str().unwrap().to_owned(),
        move_here: true,
        ..AttachEndpoint::default()
    };
    // It is here already.
    assert!(daemons[0].ask(daemons[0].client.attach_endpoint(&moved)).is_err());
    let after = daemons[1].ask(daemons[1].client.attach_endpoint(&moved)).unwrap();
    assert_eq!(
        (&after.id, &after.addresses, &after.mac),
        (&before.id, &before.addresses, &before.mac)
    );
    until("its old host has given it up", || {
        let all = daemons[0].ask(daemons[0].client.endpoints()).unwrap();
        all.is_empty() && links(&old) == ["lo"]
    });
    assert!(answers(&watcher, to, 56));
    // The host that it was on does not give its address to another.
    let third = lab.namespace("third");
    assert!(!addresses(&daemons[0].attach("web", "third", &third)).contains(&to));
    // Back again, while the host that it went to is down: that one gives it up when it is back.
    daemons[1].kill();
    let moved = AttachEndpoint { netns: old.to_str().unwrap().to_owned(), ..moved };
    daemons[0].ask(daemons[0].client.attach_endpoint(&moved)).unwrap();
    assert!(answers(&watcher, to, 56));
    daemons[1].start();
    until("it is given up there", || links(&new) == ["lo"]);
    assert!(answers(&watcher, to, 56));
    assert!(daemons[1].ask(daemons[1].client.endpoints()).unwrap().is_empty());
}

#[test]
fn a_full_subnet_refuses_the_endpoint_that_asked_and_was_warned_of() {
    let test = "a_full_subnet_refuses_the_endpoint_that_asked_and_was_warned_of";
    let Some(lab) = Lab::new(test, 2) else { return };
    let daemons = cluster(&lab, lab.hosts.len());
    create_small(&daemons);
    // Eight addresses, less its own, the broadcast address and the gateway.
    for nth in 0..5 {
        let name = format!("e{nth}");
        daemons[nth % 2].attach("small", &name, &lab.namespace(&name));
    }
    let usage = |nth: usize| {
        let usage = daemons[nth].ask(daemons[nth].client.ipam_usage(Some("small"))).unwrap();
        usage.spaces[0].clone()
    };
    assert_eq!((&*usage(1).used, usage(1).percent), ("5", 100));
    assert!(
        usage(0).warning.is_some_and(|warning| warning.contains("network small is 100 % full"))
    );
    let parts: Vec<_> = usage(1).nodes.iter().map(|node| node.used.clone()).collect();
    assert_eq!(parts.iter().map(|used| used.parse::<u32>().unwrap()).sum::<u32>(), 5, "{parts:?}");
    let netns = lab.namespace("e5").to_str().unwrap().to_owned();
    let (network, name) = ("small".to_owned(), "e5".to_owned());
    let sixth = AttachEndpoint { network, name, netns, ..AttachEndpoint::default() };
    let refused = daemons[1].ask(daemons[1].client.attach_endpoint(&sixth)).unwrap_err();
    let told = refused.to_string();
    let expected = "subnet 10.9.0.0/29 of network small: all of it is given: 5 of 5 in use";
    assert!(told.contains(expected), "{told}");
    assert!(refused.hint().unwrap().contains("larger --subnet"), "{refused:?}");
    let log = daemons[0].log();
    for percent in ["80 % full: 4 of 5", "100 % full: 5 of 5"] {
        assert_eq!(log.matches(percent).count(), 1, "{percent}: {log}");
    }
}

#[test]
fn subnets_keep_clear_of_the_routes_of_all_hosts() {
    let test = "subnets_keep_clear_of_the_routes_of_all_hosts";
    let Some(lab) = Lab::new(test, 2) else { return };
    let route = |host: usize, to: &str| {
        by_hand(&lab.hosts[host].namespace, &format!("ip route add {to} dev eth0"));
    };
    route(0, "10.0.0.0/18");
    route(1, "10.0.64.0/20");
    let daemons = cluster(&lab, lab.hosts.len());
    let subnet = |daemon: &Daemon, name: &str| {
        daemon.ask(daemon.client.network(name)).unwrap().network.subnets[0].subnet.clone()
    };
    until("the other's route is known", || {
        let usage = daemons[0].ask(daemons[0].client.ipam_usage(None)).unwrap();
        // Four of its own, one of the other's, and one for `web`.
        usage
            .spaces
            .iter()
            .any(|space| space.space == "10.0.0.0/8 in /20" && matches!(&*space.used, "5" | "6"))
    });
    assert!(["10.0.64.0/20", "10.0.80.0/20"].contains(&&*subnet(&daemons[0], "web")));
    // One that came a moment ago is seen as well.
    route(0, "10.0.96.0/19");
    daemons[0].create("overlay", "db", false);
    let db = subnet(&daemons[0], "db");
    assert!(["10.0.80.0/20", "10.0.128.0/20"].contains(&&*db), "{db}");
}

#[test]
fn an_address_that_somebody_on_the_wire_has_is_given_to_nobody() {
    let test = "an_address_that_somebody_on_the_wire_has_is_given_to_nobody";
    let Some(lab) = Lab::new(test, 2) else { return };
    let daemons = cluster(&lab, 1);
    let daemon = &daemons[0];
    // The other host is in no cluster, and on the same wire.
    for address in ["10.9.0.2/24", "fd09::2/64"] {
        by_hand(&lab.hosts[1].namespace, &format!("ip address add {address} dev eth0 nodad"));
    }
    let wanted = CreateNetwork {
        name: "wire".to_owned(),
        driver: "macvlan".to_owned(),
        subnets: ["10.9.0.0/24", "fd09::/64"].map(str::to_owned).into(),
        gateways: ["10.9.0.1", "fd09::1"].map(str::to_owned).into(),
        options: [("parent".to_owned(), "eth0".to_owned())].into(),
        ..CreateNetwork::default()
    };
    daemon.ask(daemon.client.create_network(&wanted)).unwrap();
    let sandbox = lab.namespace("sandbox");
    let endpoint = daemon.attach("wire", "one", &sandbox);
    let given = addresses(&endpoint).iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(given, ["10.9.0.3", "fd09::3"]);
    assert!(answers(&sandbox, "10.9.0.2".parse().unwrap(), 56));
    for taken in ["10.9.0.2", "fd09::2"] {
        let wanted = AttachEndpoint {
            network: "wire".to_owned(),
            name: "two".to_owned(),
            addresses: vec![taken.to_owned()],
            netns: lab.namespace(&format!("two{}", taken.len())).to_str().unwrap().to_owned(),
            ..AttachEndpoint::default()
        };
        let refused = daemon.ask(daemon.client.attach_endpoint(&wanted)).unwrap_err().to_string();
        let expected = format!("address {taken} is in use on the wire of eth0");
        assert!(refused.contains(&expected), "{refused}");
    }
    // Nothing of the asking is left, and nobody's own is disturbed.
    assert_eq!(links(&lab.hosts[0].namespace), ["lo", "eth0"]);
    assert_eq!(daemon.attach("wire", "three", &lab.namespace("three")).addresses.len(), 2);
}
