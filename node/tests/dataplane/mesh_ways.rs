//! A port that every node has, with its backend on one of them: clients come by two others, and the backend sees them
//! as they are.

use std::{
    fs,
    io::{self, ErrorKind, Read},
    net::{IpAddr, SocketAddr, TcpStream, UdpSocket},
    path::{Path, PathBuf},
    time::Duration,
};

use netnode::kernel::has_v6;
use netnode_plan::{
    desired::Desired,
    firewall::{Backs, Bind, Bridge, Firewall, Front, Mesh, Protocol, WayOut},
    host::{Place, Setting},
    records::Mac,
};
use nix::sys::socket::{getsockopt, sockopt};
use socket2::{Domain, Socket, Type};

use crate::{
    daemon::until,
    firewall::plug,
    lab::{Lab, Net, by_hand, inside, link, settle_one},
    mesh::{lab, policy},
    talk::{ask, ask_udp, is_shut, serve},
};

/// Hosts: two that clients come to, the one with the backend, and the clients.
const INGRESS: [usize; 2] = [0, 1];
const BACKEND: usize = 2;
const CLIENT: usize = 3;
const PORT: u16 = 8080;
/// A port that the backend's host answers itself.
const OWN: u16 = 9090;
/// MTU of the mesh's links: what an overlay leaves of 1500.
const MESH_MTU: u32 = 1450;
/// How long an answer takes at most.
const AT_ONCE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(3);

struct Site {
    lab: Lab,
    net: Net,
    wanted: Vec<Desired>,
    sandbox: PathBuf,
}

fn mesh_mac(host: usize) -> Mac {
    Mac([2, 0, 0, 0, 9, u8::try_from(host + 1).unwrap()])
}

impl Site {
    /// `None`, and told, where that can't be.
    fn new(test: &str) -> Option<Self> {
        let lab = lab(test, 4)?;
        let sandbox = lab.namespace("backend");
        let mut net = Net::new(9, &["10.9.0.0/24", "fd09::/64"]);
        for (host, nth) in [0, 1, 2].into_iter().zip(1..) {
            let id = net.attach(&lab, host, &lab.hosts[host].namespace, nth);
            let (_, at, name, record) = net.endpoints.get_mut(&id).unwrap();
            (*at, *name) = ("host".into(), link("mesh0"));
            (record.mac, record.sandbox) = (mesh_mac(host), "host".into());
        }
        let mut site = Self { lab, net, wanted: Vec::new(), sandbox };
        for host in 0..3 {
            forwards(&site.lab.hosts[host].namespace);
            let wanted = site.desired(host);
            site.wanted.push(wanted);
        }
        serve(&site.sandbox, "[::]:80");
        serve(&site.lab.hosts[BACKEND].namespace, &format!("[::]:{OWN}"));
        site.settle();
        // Whoever has no address of the link itself yet asks nobody there for a hardware address.
        until("no address is doubted", || {
            let mut places = (0..4).map(|host| site.host(host)).chain([site.sandbox.as_path()]);
            places.all(|place| by_hand(place, "ip -6 address show tentative").is_empty())
        });
        Some(site)
    }

    fn desired(&self, host: usize) -> Desired {
        let outcome = self.net.desired(&self.lab, host);
        assert!(outcome.faults.is_empty() && outcome.clashes.is_empty());
        let mut wanted = outcome.wanted;
        let made = wanted.links.get_mut(&Place::Host).unwrap().get_mut(&link("mesh0")).unwrap();
        made.neighbours.extend(policy().neighbours());
        made.settings.extend([(Setting::RpFilter, 0), (Setting::SrcValidMark, 1)]);
        made.settings.extend([(Setting::Forwarding, 1), (Setting::ForwardingV6, 1)]);
        let mut firewall = wanted.firewalls.remove(&Place::Host).unwrap_or_default();
        let nodes = (0..3).filter(|other| *other != host);
        let nodes = nodes.map(|other| (mesh_mac(other), u32::try_from(other + 1).unwrap()));
        let (link_name, nodes) = (link("mesh0"), nodes.collect());
        firewall.mesh = Some(Mesh { link: link_name, nodes, masquerades: false });
        if host == BACKEND {
            plug(&mut wanted, 1, &self.sandbox);
            let subnets = ["10.1.0.0/24", "fd01::/64"].map(|subnet| subnet.parse().unwrap());
            let bridge = Bridge { subnets: subnets.into(), way_out: WayOut::Masqueraded };
            firewall.bridges.insert(link("br1"), bridge);
            publish(&mut firewall, PORT, "10.1.0.2:80", "[fd01::2]:80");
        } else {
            for port in [PORT, OWN] {
                let (v4, v6) = (format!("10.9.0.3:{port}"), format!("[fd09::3]:{port}"));
                publish(&mut firewall, port, &v4, &v6);
            }
        }
        wanted.firewalls.insert(Place::Host, firewall);
        wanted.policy = Some(policy());
        wanted
    }

    fn settle(&mut self) {
        for (host, wanted) in self.lab.hosts.iter_mut().zip(&self.wanted) {
            settle_one(&mut host.kernel, wanted);
        }
    }

    fn host(&self, number: usize) -> &Path {
        &self.lab.hosts[number].namespace
    }

    fn client(&self) -> &Path {
        self.host(CLIENT)
    }

    /// Where a port is on the hosts that clients come to, of one version of IP.
    fn fronts(&self, v6: bool, port: u16) -> [SocketAddr; 2] {
        let at = |host: usize| if v6 { &self.lab.hosts[host].v6 } else { &self.lab.hosts[host].v4 };
        INGRESS.map(|host| SocketAddr::new(at(host).parse().unwrap(), port))
    }
}

fn publish(firewall: &mut Firewall, port: u16, v4: &str, v6: &str) {
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        let (v4, v6) = (v4.parse().ok(), v6.parse().ok());
        let backs = Backs { v4: v4.into_iter().collect(), v6: v6.into_iter().collect() };
        firewall.published.insert(Front { bind: Bind::Any, protocol, port }, backs);
    }
}

fn forwards(host: &Path) {
    inside(host, || {
        for setting in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
            // Without IPv6 there is no second one.
            drop(fs::write(format!("/proc/sys/net/{setting}"), "1"));
        }
    });
}

/// Who asks both from one port at once, by UDP: whom the other side saw, by whom was asked.
fn both_by_udp(from: &Path, fronts: [SocketAddr; 2]) -> [String; 2] {
    let any = if fronts[0].is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = inside(from, || UdpSocket::bind(any).unwrap());
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    for front in fronts {
        socket.send_to(b"?", front).unwrap();
    }
    let mut said = [String::new(), String::new()];
    for _ in fronts {
        let mut buffer = [0; 64];
        let (length, by) = socket.recv_from(&mut buffer).unwrap();
        let nth = fronts.iter().position(|front| *front == by).unwrap();
        said[nth] = String::from_utf8_lossy(&buffer[..length]).into_owned();
    }
    said
}

/// The same by TCP: both connections are there before something is read.
fn both_by_tcp(from: &Path, fronts: [SocketAddr; 2]) -> [String; 2] {
    let mut port = 0;
    let streams = fronts.map(|front| {
        let socket = connected(from, front, port).unwrap();
        port = socket.local_addr().unwrap().as_socket().unwrap().port();
        socket
    });
    streams.map(|mut stream| {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        said
    })
}

/// A connection of TCP, from this port unless that is 0.
fn connected(from: &Path, to: SocketAddr, port: u16) -> io::Result<Socket> {
    inside(from, || {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None).unwrap();
        socket.set_reuse_address(true).unwrap();
        let any: IpAddr = if to.is_ipv4() { [0; 4].into() } else { [0; 16].into() };
        socket.bind(&SocketAddr::new(any, port).into()).unwrap();
        let connected = socket.connect_timeout(&to.into(), PATIENCE);
        connected.map_err(|error| io::Error::new(error.kind(), format!("{to}: {error}")))?;
        Ok(socket)
    })
}

fn versions() -> &'static [bool] {
    if has_v6() { &[false, true] } else { &[false] }
}

/// A client as a listener of both versions of IP sees it.
fn seen(v6: bool) -> &'static str {
    if v6 { "2001:db8::4" } else { "::ffff:192.0.2.4" }
}

#[test]
fn backends_see_their_clients_and_answers_go_back_the_way_they_came() {
    let test = "backends_see_their_clients_and_answers_go_back_the_way_they_came";
    let Some(mut site) = Site::new(test) else { return };
    // Whether the backend's host minds where packets come from or not.
    for strict in ["0", "1"] {
        inside(site.host(BACKEND), || {
            fs::write("/proc/sys/net/ipv4/conf/all/rp_filter", strict).unwrap();
        });
        for v6 in versions() {
            let fronts = site.fronts(*v6, PORT);
            for front in fronts.map(|front| front.to_string()) {
                assert_eq!(
                    ask(site.client(), &front).as_deref(),
                    Some(seen(*v6)),
                    "{front} {strict}"
                );
                assert_eq!(
                    ask_udp(site.client(), &front).as_deref(),
                    Some(seen(*v6)),
                    "{front} {strict}"
                );
            }
            for _ in 0..5 {
                assert_eq!(both_by_udp(site.client(), fronts), [seen(*v6); 2]);
                assert_eq!(both_by_tcp(site.client(), fronts), [seen(*v6); 2]);
            }
            // A host itself.
            assert!(ask(site.host(0), &fronts[0].to_string()).is_some());
            // What the backend's host listens on itself is nobody's by the mesh, and refused to the one who asks.
            let own = site.fronts(*v6, OWN)[0];
            let refused = inside(site.client(), || TcpStream::connect(own).unwrap_err());
            assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        }
    }
    // But for zones, the second connection would be taken for the first.
    by_hand(site.host(BACKEND), "nft flush chain inet netnode guard");
    let [first, second] = site.fronts(false, PORT);
    let stream = connected(site.client(), first, 0).unwrap();
    let port = stream.local_addr().unwrap().as_socket().unwrap().port();
    assert!(connected(site.client(), second, port).is_err());
    // But for the rule, answers would go by the host's own routes.
    by_hand(site.host(BACKEND), "ip rule del fwmark 0x4d000000/0xff000000");
    assert!(is_shut(site.client(), &site.fronts(false, PORT)[0].to_string()));
    site.settle();
    assert!(ask(site.client(), &site.fronts(false, PORT)[0].to_string()).is_some());
    // But for the other, what comes from elsewhere would be refused.
    by_hand(site.host(BACKEND), "ip rule del pref 30079");
    assert!(is_shut(site.client(), &site.fronts(false, PORT)[0].to_string()));
}

#[test]
fn a_host_that_masquerades_is_what_the_backend_sees() {
    let test = "a_host_that_masquerades_is_what_the_backend_sees";
    let Some(mut site) = Site::new(test) else { return };
    let firewall = site.wanted[0].firewalls.get_mut(&Place::Host).unwrap();
    firewall.mesh.as_mut().unwrap().masquerades = true;
    site.settle();
    for v6 in versions() {
        let [first, second] = site.fronts(*v6, PORT).map(|front| front.to_string());
        let own = if *v6 { "fd09::1" } else { "::ffff:10.9.0.1" };
        assert_eq!(ask(site.client(), &first).as_deref(), Some(own));
        assert_eq!(ask(site.client(), &second).as_deref(), Some(seen(*v6)));
    }
}

#[test]
fn nothing_gets_by_the_mesh_that_was_not_published() {
    let test = "nothing_gets_by_the_mesh_that_was_not_published";
    let Some(site) = Site::new(test) else { return };
    by_hand(site.client(), "ip route add 10.9.0.0/24 via 192.0.2.1");
    assert!(is_shut(site.client(), &format!("10.9.0.3:{OWN}")));
    let to = format!("10.9.0.3:{OWN}");
    by_hand(site.host(0), "nft flush chain inet netnode forward");
    assert!(is_shut(site.client(), &to));
    by_hand(site.host(BACKEND), "nft flush chain inet netnode mesh-own");
    assert!(ask(site.client(), &to).is_some(), "but for two filters, it would be open");
}

#[test]
fn as_much_fits_a_segment_as_the_mesh_has_room_for() {
    let test = "as_much_fits_a_segment_as_the_mesh_has_room_for";
    let Some(site) = Site::new(test) else { return };
    for (v6, headers) in versions().iter().zip([40, 60]) {
        for front in site.fronts(*v6, PORT) {
            let stream = connected(site.client(), front, 0).unwrap();
            let longest = stream.tcp_mss().unwrap();
            assert!((1300..=MESH_MTU - headers).contains(&longest), "{front}: {longest}");
        }
    }
    for host in 0..3 {
        by_hand(site.host(host), "nft flush chain inet netnode forward");
    }
    let [front, _] = site.fronts(false, PORT);
    let longest = connected(site.client(), front, 0).unwrap().tcp_mss().unwrap();
    assert!(longest > MESH_MTU - 40, "but for the filter, it would be {longest}");
}

#[test]
fn who_sends_more_than_the_mesh_has_room_for_is_told() {
    let test = "who_sends_more_than_the_mesh_has_room_for_is_told";
    let Some(site) = Site::new(test) else { return };
    for (v6, headers) in versions().iter().zip([28, 48]) {
        let (any, full) = (if *v6 { "[::]:0" } else { "0.0.0.0:0" }, vec![0; 1500 - headers]);
        for front in site.fronts(*v6, PORT) {
            let socket = inside(site.client(), || UdpSocket::bind(any).unwrap());
            socket.connect(front).unwrap();
            socket.set_read_timeout(Some(AT_ONCE)).unwrap();
            // What is too long is dropped and told; what is sent after that comes in pieces.
            until("it is answered", || {
                let mut buffer = [0; 64];
                let sent = socket.send(&full).is_ok();
                let length = socket.recv(&mut buffer).unwrap_or_default();
                sent && buffer[..length] == *seen(*v6).as_bytes()
            });
            if !v6 {
                let known = getsockopt(&socket, sockopt::IpMtu).unwrap();
                assert_eq!(u32::try_from(known), Ok(MESH_MTU));
            }
        }
    }
}
