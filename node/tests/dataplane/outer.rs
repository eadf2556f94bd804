//! The ports of a service with programs that others wrote: `HAProxy` in front of the hosts, and clients in containers.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use netdb_tests::web::{self, Answers, Load};
use netnode_api::{endpoints::ChangeBackend, services::CreateService};

use crate::{
    daemon::{serving, until},
    ingress::{create, local},
    lab::{by_hand, inside},
    resolvers::has,
    talk::serve_as,
    ways::Site,
};

const HOSTS: u8 = 3;
/// Where `HAProxy` listens, outside.
const FRONT: &str = "192.0.2.4:9000";
/// It asks each host at the service's health port, and sends to those that have backends.
const CONFIG: &str = "\
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
  option redispatch
  retries 3
  option httpchk GET /
  default-server check port 8081 inter 200ms fall 1 rise 1
frontend front
  bind 192.0.2.4:9000
  default_backend hosts
backend hosts
  balance roundrobin
  server n1 192.0.2.1:8080
  server n2 192.0.2.2:8080
  server n3 192.0.2.3:8080
";

/// A program that ends with the test.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn serve(site: &Site, host: usize) -> PathBuf {
    let name = format!("api-{}", host + 1);
    let sandbox = site.lab.namespace(&name);
    web::serve(&sandbox, 80, &name).unwrap();
    let daemon = &site.daemons[host];
    daemon.ask(daemon.client.attach_endpoint(&serving("web", &name, &sandbox))).unwrap();
    sandbox
}

/// By `HAProxy`, from outside; nothing if something failed.
fn by_front(site: &Site) -> Answers {
    web::curl(site.outside(), "front", FRONT.parse().unwrap(), 24).unwrap_or_default()
}

fn answering(answers: &Answers) -> Vec<&str> {
    answers.by.keys().map(String::as_str).collect()
}

#[test]
fn a_balancer_in_front_sends_to_the_hosts_that_have_backends() {
    let test = "a_balancer_in_front_sends_to_the_hosts_that_have_backends";
    if !has("haproxy", "haproxy", test) || !has("curl", "curl", test) {
        return;
    }
    let Some(site) = Site::new(test, HOSTS) else { return };
    create(&site, &["tcp"], local());
    serve(&site, 0);
    serve(&site, 1);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("haproxy.cfg");
    fs::write(&config, CONFIG).unwrap();
    let mut haproxy = Command::new("haproxy");
    haproxy.arg("-db").arg("-f").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
    let _haproxy = Program(inside(site.outside(), || haproxy.spawn().unwrap()));
    until("both hosts with backends are used", || {
        answering(&by_front(&site)) == ["api-1", "api-2"]
    });
    // A backend drains: the balancer hears of it, and nobody else notices.
    let load = Load::start(site.outside(), FRONT.parse().unwrap());
    thread::sleep(Duration::from_millis(300));
    let drain = ChangeBackend { state: Some("draining".into()), ..ChangeBackend::default() };
    site.daemons[0].ask(site.daemons[0].client.change_backend("api-1", &drain)).unwrap();
    until("the other host is left", || answering(&by_front(&site)) == ["api-2"]);
    let asked = load.end().unwrap();
    let failed: Vec<_> = asked.iter().filter_map(|asked| asked.answer.as_ref().err()).collect();
    assert!(
        failed.is_empty() && asked.len() > 20,
        "{} of {}: {failed:?}",
        failed.len(),
        asked.len()
    );
    // A backend comes on the host that had none.
    serve(&site, 2);
    until("it is used", || answering(&by_front(&site)) == ["api-2", "api-3"]);
    // A host dies, wire and all.
    by_hand(site.host(1), "ip link set eth0 down");
    until("the last one is left", || answering(&by_front(&site)) == ["api-3"]);
}

#[test]
fn curl_nc_and_iperf_reach_a_service_by_its_address() {
    let test = "curl_nc_and_iperf_reach_a_service_by_its_address";
    let tools = [("curl", "curl"), ("nc", "netcat-openbsd"), ("iperf3", "iperf3")];
    if !tools.into_iter().all(|(program, package)| has(program, package, test)) {
        return;
    }
    let Some(site) = Site::new(test, 2) else { return };
    let wanted = CreateService { name: "api".into(), network: "web".into(), ..Default::default() };
    let created = site.daemons[0].ask(site.daemons[0].client.create_service(&wanted)).unwrap();
    let vip: IpAddr = created.vips[0].parse().unwrap();
    let backend = serve(&site, 1);
    let client = site.lab.namespace("client");
    site.daemons[0].attach("web", "client", &client);
    let mut iperf = Command::new("iperf3");
    iperf.args(["--server", "--one-off"]).stdout(Stdio::null());
    let _iperf = Program(inside(&backend, || iperf.spawn().unwrap()));
    serve_as(&backend, "[::]:5000", "api-2");
    until("its name is behind the address", || {
        let answers = web::curl(&client, "api", SocketAddr::new(vip, 80), 8);
        answers.is_ok_and(|answers| answers.by.get("api-2") == Some(&8))
    });
    let nc = |words: &str| {
        let mut nc = Command::new("sh");
        nc.args(["-c", &format!("echo ? | nc {words} -w 1 {vip} 5000")]);
        String::from_utf8(inside(&client, || nc.output().unwrap()).stdout).unwrap()
    };
    assert!(nc("").starts_with("api-2 "), "{}", nc(""));
    assert!(nc("-u").starts_with("api-2 "), "{}", nc("-u"));
    let told = by_hand(&client, &format!("iperf3 --client {vip} --time 1 --connect-timeout 2000"));
    assert!(told.contains("iperf Done."), "{told}");
}

#[test]
fn nobody_notices_that_netnode_is_killed_and_started_again() {
    let test = "nobody_notices_that_netnode_is_killed_and_started_again";
    if !has("curl", "curl", test) {
        return;
    }
    let Some(mut site) = Site::new(test, HOSTS) else { return };
    create(&site, &["tcp"], CreateService::default());
    serve(&site, 1);
    serve(&site, 2);
    let at: SocketAddr = "192.0.2.1:8080".parse().unwrap();
    until("both are led to", || {
        web::curl(site.outside(), "api", at, 24).is_ok_and(|answers| answers.by.len() == 2)
    });
    let load = Load::start(site.outside(), at);
    for daemon in &mut site.daemons {
        thread::sleep(Duration::from_millis(300));
        daemon.kill();
        thread::sleep(Duration::from_millis(300));
        daemon.start();
    }
    thread::sleep(Duration::from_millis(500));
    let asked = load.end().unwrap();
    let failed: Vec<_> = asked.iter().filter_map(|asked| asked.answer.as_ref().err()).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:?}", failed.len(), asked.len());
}
