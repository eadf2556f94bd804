//! Names through the resolvers that containers have, led to netnode by the file that an attach writes.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Write},
    net::{IpAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
};

use netdb_tests::skips;
use netnode_api::{
    endpoints::{Endpoint, EndpointState},
    networks::CreateNetwork,
};

use crate::{
    daemon::{Daemon, addresses, until},
    lab::{Lab, inside},
    names::{short, site},
    resolver_files::{attach_with, host_says},
};

/// What the host's file says beside its resolvers.
const OF_HOST: &str = "nameserver 192.0.2.1\nsearch corp.example web.netnode.internal\n";
/// What a resolver of the host knows.
const UPSTREAM: [&str; 2] =
    ["--address=/box.corp.example/198.51.100.9", "--address=/plain.example/198.51.100.7"];

/// `dnsmasq` on the first host, which knows what it is told to know, and knows that there is nothing else.
pub(crate) struct Dnsmasq(Child);

impl Dnsmasq {
    pub(crate) fn on(first: &Path, known: &[&str]) -> Self {
        Self::at(first, "192.0.2.1", known)
    }

    /// The same on another host.
    pub(crate) fn at(host: &Path, address: &str, known: &[&str]) -> Self {
        let mut dnsmasq = Command::new("dnsmasq");
        dnsmasq.args(["--keep-in-foreground", "--no-resolv", "--no-hosts", "--port=53"]);
        dnsmasq.args(["--user=root", "--bind-interfaces", "--listen-address", address]);
        dnsmasq.args(["--pid-file=", "--address=/#/", "--local-ttl=60"]).args(known);
        dnsmasq.stdin(Stdio::null());
        Self(inside(host, || dnsmasq.spawn().unwrap()))
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A container: a sandbox, and the file that is its `/etc/resolv.conf`.
struct Container {
    sandbox: PathBuf,
    file: PathBuf,
    endpoint: Endpoint,
}

impl Container {
    fn new(lab: &Lab, folder: &Path, daemon: &Daemon, network: &str, name: &str) -> Self {
        let (sandbox, file) = (lab.namespace(name), folder.join(name));
        let endpoint = attach_with(daemon, network, name, &sandbox, &file).unwrap();
        assert_eq!(endpoint.state, EndpointState::Ready, "{endpoint:?}");
        Self { sandbox, file, endpoint }
    }

    /// Runs a program in it.
    fn run(&self, program: &str, words: &[&str]) -> Output {
        let mut unshare = Command::new("unshare");
        unshare.args(["--mount", "sh", "-c", r#"mount --bind "$0" /etc/resolv.conf && exec "$@""#]);
        unshare.arg(&self.file).arg(program).args(words);
        inside(&self.sandbox, || unshare.output().unwrap())
    }

    /// The first word of each line that a program prints in it.
    fn first_words(&self, program: &str, words: &[&str]) -> BTreeSet<String> {
        let text = String::from_utf8(self.run(program, words).stdout).unwrap();
        let first = text.lines().filter_map(|line| line.split_whitespace().next());
        first.map(str::to_owned).collect()
    }

    /// The addresses of a name of both families, as glibc has them.
    fn glibc(&self, name: &str) -> BTreeSet<String> {
        let [mut all, v6] =
            ["ahostsv4", "ahostsv6"].map(|which| self.first_words("getent", &[which, name]));
        // What has no address of IPv6 is told as a mapped one.
        all.extend(v6.into_iter().filter(|address| !address.starts_with("::ffff:")));
        all
    }

    fn own(&self) -> BTreeSet<String> {
        addresses(&self.endpoint).iter().map(IpAddr::to_string).collect()
    }
}

pub(crate) fn has(program: &str, package: &str, test: &str) -> bool {
    let has = Command::new(program).arg("--version").output().is_ok();
    if !has {
        let why = format!("`{program}` is missing: `apt-get install {package}` brings it");
        skips::left_out(test, &why);
    }
    has
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[test]
fn glibc_finds_names_by_the_file_that_attach_wrote() {
    let test = "glibc_finds_names_by_the_file_that_attach_wrote";
    let Some((lab, daemons)) = site(test, 2) else { return };
    let folder = tempfile::tempdir().unwrap();
    if !has("dnsmasq", "dnsmasq-base", test) {
        return;
    }
    let upstream = Dnsmasq::on(&lab.hosts[0].namespace, &UPSTREAM);
    host_says(folder.path(), OF_HOST);
    let client = Container::new(&lab, folder.path(), &daemons[0], "web", "client");
    let other = Container::new(&lab, folder.path(), &daemons[1], "web", "other");
    let written = fs::read_to_string(&client.file).unwrap();
    for line in ["nameserver 127.0.0.11", OF_HOST.lines().nth(1).unwrap(), "options ndots:0"] {
        assert!(written.lines().any(|is| is == line), "{line}: {written}");
    }
    until("its row has come", || !client.glibc("other").is_empty());
    for name in ["other", "OTHER", "other.web", "other.web.netnode.internal", "other."] {
        assert_eq!(client.glibc(name), other.own(), "{name}");
    }
    assert_eq!(client.glibc("client"), client.own());
    for address in other.own() {
        let told = client.run("getent", &["hosts", &address]);
        let told = String::from_utf8(told.stdout).unwrap();
        assert!(told.contains("other.web.netnode.internal"), "{address}: {told}");
    }
    // Searched, in the host's order; and one that is nowhere.
    until("the upstream is asked", || !client.glibc("plain.example").is_empty());
    assert_eq!(client.glibc("plain.example"), set(&["198.51.100.7"]));
    assert_eq!(client.glibc("box"), set(&["198.51.100.9"]));
    assert_eq!(client.glibc("nobody"), set(&[]));
    drop(upstream);
    // Names of ours need nobody outside.
    assert_eq!(client.glibc("other"), other.own());
}

#[test]
fn musl_finds_names_of_one_family_and_of_both() {
    let test = "musl_finds_names_of_one_family_and_of_both";
    if !has("musl-gcc", "musl-tools", test) {
        return;
    }
    let Some((lab, daemons)) = site(test, 1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let lookup = folder.path().join("lookup");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dataplane/musl_lookup.c");
    let mut compiler = Command::new("musl-gcc");
    let built = compiler.args(["-static", "-o"]).arg(&lookup).arg(source).output().unwrap();
    assert!(built.status.success(), "{built:?}");
    host_says(folder.path(), "search web.netnode.internal\n");
    let daemon = &daemons[0];
    let narrow = CreateNetwork {
        name: "narrow".to_owned(),
        driver: "overlay".to_owned(),
        ..CreateNetwork::default()
    };
    daemon.ask(daemon.client.create_network(&narrow)).unwrap();
    let both = Container::new(&lab, folder.path(), daemon, "web", "both");
    let one = Container::new(&lab, folder.path(), daemon, "narrow", "one");
    let lookup = lookup.to_str().unwrap();
    for name in ["both", "Both", "both.web", "both.web.netnode.internal"] {
        assert_eq!(both.first_words(lookup, &[name]), both.own(), "{name}");
    }
    // No address of IPv6 is no error, and nobody is asked a second time under another name.
    for name in ["one", "one.narrow"] {
        assert_eq!(one.first_words(lookup, &[name]), one.own(), "{name}");
    }
    let told = both.run(lookup, &["both"]).stdout;
    assert_eq!(String::from_utf8(told).unwrap().matches(" both.web.netnode.internal").count(), 2);
    assert_eq!(both.run(lookup, &["one"]).status.code(), Some(2));
    assert_eq!(both.run(lookup, &["nobody"]).status.code(), Some(2));
}

#[test]
fn curl_reaches_a_container_by_its_name() {
    let test = "curl_reaches_a_container_by_its_name";
    if !has("curl", "curl", test) {
        return;
    }
    let Some((lab, daemons)) = site(test, 2) else { return };
    let folder = tempfile::tempdir().unwrap();
    let client = Container::new(&lab, folder.path(), &daemons[0], "web", "client");
    let server = Container::new(&lab, folder.path(), &daemons[1], "web", "server");
    let listener = inside(&server.sandbox, || TcpListener::bind("[::]:80").unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 1_024];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET / "));
            let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
            stream.write_all(answer).unwrap();
        }
    });
    until("its row has come", || !client.glibc("server").is_empty());
    for family in ["-4", "-6"] {
        let words = ["--silent", "--show-error", "--max-time", "10", family, "http://server/"];
        let got = client.run("curl", &words);
        assert_eq!(String::from_utf8_lossy(&got.stdout), "hello", "{family}: {got:?}");
    }
    let words = ["--silent", "--max-time", "10", "http://nobody.netnode.internal/"];
    // 6: the name was not resolved (curl(1)).
    assert_eq!(client.run("curl", &words).status.code(), Some(6));
}

#[test]
fn names_over_tcp_are_asked_for_as_the_host_says() {
    let test = "names_over_tcp_are_asked_for_as_the_host_says";
    let Some((lab, daemons)) = site(test, 1) else { return };
    let folder = tempfile::tempdir().unwrap();
    let daemon = &daemons[0];
    host_says(folder.path(), "options use-vc\n");
    let client = Container::new(&lab, folder.path(), daemon, "web", "client");
    let (udp, tcp) = (daemon.events("udp_queries"), daemon.events("tcp_queries"));
    assert_eq!(client.glibc("client"), client.own());
    assert!(daemon.events("tcp_queries") >= tcp + 2);
    assert_eq!(daemon.events("udp_queries"), udp);
}

#[test]
fn names_are_the_same_on_a_macvlan_and_inside_an_internal_network() {
    let test = "names_are_the_same_on_a_macvlan_and_inside_an_internal_network";
    let Some((lab, daemons)) = site(test, 2) else { return };
    let folder = tempfile::tempdir().unwrap();
    if !has("dnsmasq", "dnsmasq-base", test) {
        return;
    }
    let upstream = Dnsmasq::on(&lab.hosts[0].namespace, &UPSTREAM);
    host_says(folder.path(), OF_HOST);
    let mac = CreateNetwork {
        name: "mac".to_owned(),
        driver: "macvlan".to_owned(),
        subnets: vec!["192.168.41.0/24".to_owned(), "fd41::/64".to_owned()],
        options: [("parent".to_owned(), "eth0".to_owned())].into(),
        ..CreateNetwork::default()
    };
    daemons[0].ask(daemons[0].client.create_network(&mac)).unwrap();
    daemons[0].create("overlay", "inner", true);
    for network in ["mac", "inner"] {
        until("both know it", || daemons[1].ask(daemons[1].client.network(network)).is_ok());
    }
    for (network, leads_out) in [("mac", true), ("inner", false)] {
        let names = [format!("{network}-here"), format!("{network}-there")];
        let [here, there] = [0, 1]
            .map(|nth| Container::new(&lab, folder.path(), &daemons[nth], network, &names[nth]));
        until("its row has come", || !here.glibc(&names[1]).is_empty());
        assert_eq!(here.glibc(&names[1]), there.own(), "{network}");
        assert_eq!(there.glibc(&names[0]), here.own(), "{network}");
        assert_eq!(here.own().len(), 2, "{network}");
        assert_eq!(short(&here.sandbox, &format!("{} A", names[1])).len(), 1, "{network}");
        if leads_out {
            until("the upstream is asked", || !here.glibc("plain.example").is_empty());
            assert_eq!(here.glibc("box"), set(&["198.51.100.9"]));
        } else {
            assert_eq!(here.glibc("plain.example"), set(&[]));
            assert_eq!(here.glibc("box"), set(&[]));
        }
    }
    drop(upstream);
}
