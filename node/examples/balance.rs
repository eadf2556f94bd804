//! What it costs to balance so many services of ten backends in one sandbox, as JSON: to load all of them, to change
//! one backend, and to connect to one of them for the first time; and what the kernel needs for them. Needs root;
//! it takes namespaces of its own. `cargo xtask bench services` runs it.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement that can't do what it needs has failed"
)]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

use netdb_tests::namespaces::{Namespaces, by_hand, inside, set_apart};
use netnode::{
    drivers::reconcile::{Comparer, Report},
    kernel::Linux,
};
use netnode_plan::{
    desired::Desired,
    firewall::Firewall,
    host::Place,
    lb::{Balance, Spread},
    records::NetworkId,
};

/// Services that are there.
const COUNTS: [u16; 3] = [100, 1_000, 10_000];
/// How often all of them are loaded, into a sandbox each.
const LOADS: u32 = 5;
/// How often one backend goes and comes back.
const CHANGES: u16 = 100;
/// Connections, to a virtual address and to its backend in turn.
const CONNECTIONS: u32 = 1_000;

fn main() {
    set_apart().unwrap();
    let namespaces = Namespaces::new().unwrap();
    let mut told = BTreeMap::new();
    for count in COUNTS {
        let (mut load, mut memory) = (Vec::new(), Vec::new());
        let mut last = None;
        for nth in 0..LOADS {
            let sandbox = namespaces.make(&format!("s{count}-{nth}")).unwrap();
            let mut rules = Rules::new(&sandbox, many(count));
            let before = slab();
            load.push(rules.time(Comparer::compare));
            memory.push(slab().saturating_sub(before));
            last = Some((sandbox, rules));
        }
        let (sandbox, mut rules) = last.unwrap();
        let mut change = Vec::new();
        for nth in 0..CHANGES {
            let [high, low] = (count - 1 - nth % 50).to_be_bytes();
            for backends in [9, 10] {
                rules.serve([10, 1, high, low].into(), backends);
                change.push(rules.time(Comparer::follow));
            }
        }
        rules.lead_here();
        let connections = connections(&sandbox);
        memory.sort_unstable();
        let of = serde_json::json!({
            "load_us": load, "change_us": change, "memory_bytes": memory[memory.len() / 2],
            "direct_us": connections[0], "balanced_us": connections[1],
        });
        told.insert(count.to_string(), of);
    }
    serde_json::to_writer(io::stdout(), &told).unwrap();
}

/// One sandbox, and what is wanted of it.
struct Rules {
    kernel: Linux,
    comparer: Comparer,
    place: Place,
    balance: Balance,
}

impl Rules {
    fn new(sandbox: &Path, balance: Balance) -> Self {
        let own = File::open("/proc/thread-self/ns/net").unwrap();
        let kernel = Linux::within(own, "/nonexistent".into()).unwrap();
        let place = Place::Sandbox(sandbox.to_str().unwrap().to_owned());
        Self { kernel, comparer: Comparer::default(), place, balance }
    }

    /// How long it takes to make the kernel so, in microseconds.
    fn time<E: std::fmt::Debug>(
        &mut self,
        bring: impl Fn(&mut Comparer, &mut Linux, &Desired) -> Result<Report, E>,
    ) -> f64 {
        let balances = [(NetworkId([1; 16]), self.balance.clone())].into();
        let firewall = Firewall { balances, ..Firewall::default() };
        let desired = Desired {
            links: [(self.place.clone(), BTreeMap::new())].into(),
            firewalls: [(self.place.clone(), firewall)].into(),
            ..Desired::default()
        };
        let began = Instant::now();
        let report = bring(&mut self.comparer, &mut self.kernel, &desired).unwrap();
        let took = began.elapsed();
        // Its steps may be thousands of elements long.
        let failed: Vec<String> = report.failures.iter().map(ToString::to_string).collect();
        assert!(report.is_settled(), "{failed:?}");
        micros(took)
    }

    fn serve(&mut self, vip: IpAddr, backends: u8) {
        let before = self.balance.get(vip).unwrap().clone();
        let spread = Spread::new(Some(&before), &weights(vip, backends), BTreeMap::new());
        self.balance.put(vip, Some(spread));
    }

    /// The first service leads to the sandbox itself.
    fn lead_here(&mut self) {
        let weights = [(BACKEND, 1)].into();
        self.balance.put(VIP, Some(Spread::new(None, &weights, BTreeMap::new())));
        self.time(Comparer::follow);
    }
}

/// A virtual address, and an address of the sandbox.
const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 1, 0, 0));
const BACKEND: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 2, 0, 1));

fn many(services: u16) -> Balance {
    let mut balance = Balance::default();
    for number in 0..services {
        let [high, low] = number.to_be_bytes();
        let vip = [10, 1, high, low].into();
        // Each number of slots is in use, as where there are many services.
        let backends = if high == 0 { low.clamp(1, 10) } else { 10 };
        balance.put(vip, Some(Spread::new(None, &weights(vip, backends), BTreeMap::new())));
    }
    balance
}

fn weights(vip: IpAddr, backends: u8) -> BTreeMap<IpAddr, u16> {
    let IpAddr::V4(vip) = vip else { return BTreeMap::new() };
    let [.., high, low] = vip.octets();
    (1..=backends).map(|nth| ([10, 128 + nth, high, low].into(), 1)).collect()
}

/// What the first packets take until a connection is there: straight to the backend, and by its virtual address.
fn connections(sandbox: &Path) -> [Vec<f64>; 2] {
    for words in [
        "ip link set lo up",
        "ip address add 10.2.0.1/32 dev lo",
        "ip route add 10.1.0.0/16 dev lo",
    ] {
        by_hand(sandbox, words).unwrap();
    }
    inside(sandbox, || {
        let listener = TcpListener::bind((BACKEND, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..CONNECTIONS {
            for (of, to) in times.iter_mut().zip([BACKEND, VIP]) {
                let began = Instant::now();
                let stream = TcpStream::connect(SocketAddr::new(to, port)).unwrap();
                of.push(micros(began.elapsed()));
                drop((stream, listener.accept().unwrap()));
            }
        }
        times
    })
    .unwrap()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

/// Bytes that the kernel holds in small pieces.
fn slab() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find(|line| line.starts_with("Slab:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}
