//! The laws of merging, whatever the course of events: three nodes write, are cut off, restart and get
//! hostile packets on a bad network; then it heals. In the end all agree, nothing deleted is alive, and no
//! write that was acknowledged is lost.
#![no_main]

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
    time::Duration,
};

use libfuzzer_sys::fuzz_target;
use netdb_core::{
    config::Config,
    entry::{Dot, Lifetime},
    node::{Node, Operation, Write},
    view::{Filter, Row},
    wire,
};
use netdb_fuzz::{
    cluster::{Cluster, Host, NETWORK, Weather, name},
    script::{self, Script},
    seeds,
};
use netdb_gossip_core::time::Time;

const NODES: u8 = 3;
/// How long tombstones live: short, so that they end while things happen.
const TOMBSTONE_LIFE: Duration = Duration::from_secs(4);
/// How long a healed cluster may take to agree.
const HEALING: Duration = Duration::from_mins(2);

/// What a step does; its bytes say to whom, with what and for how long.
const PUT: u8 = 0;
const DELETE: u8 = 1;
const OWN: u8 = 2;
const DISOWN: u8 = 3;
const CUT: u8 = 4;
const MEND: u8 = 5;
const WAIT: u8 = 6;
const RESTART: u8 = 7;
const WEATHER: u8 = 8;
const REPLAY: u8 = 9;
const GARBLE: u8 = 10;
const RAW: u8 = 11;
const STREAM: u8 = 12;
const KINDS: u8 = 13;

fuzz_target!(init: seeds::plant(seeds), |input: &[u8]| {
    let mut life = Life::begin();
    for (operation, about) in Script::new(input) {
        life.step(operation % KINDS, about);
    }
    life.heal();
    life.judge();
});

fn config() -> Config {
    Config { tombstone_life: TOMBSTONE_LIFE, ..Config::lan() }
}

/// What three nodes left that had met, made once.
fn past() -> &'static (Vec<Host>, Time) {
    static PAST: OnceLock<(Vec<Host>, Time)> = OnceLock::new();
    PAST.get_or_init(|| {
        let cluster = Cluster::formed(NODES, &config());
        (cluster.hosts, cluster.now)
    })
}

/// The nodes, and what they were told to do.
struct Life {
    cluster: Cluster,
    /// Every write of a shared row, and whether it is a value.
    writes: BTreeMap<u8, BTreeMap<Dot, bool>>,
    /// Writes that another one replaced knowingly.
    replaced: BTreeSet<Dot>,
    /// The rows that each node owns.
    owned: BTreeMap<(usize, u8), Vec<u8>>,
    written: u32,
}

impl Life {
    fn begin() -> Self {
        let (hosts, end) = past();
        let mut cluster = Cluster::of(hosts.clone(), &config(), *end + Duration::from_secs(2));
        for index in 0..hosts.len() {
            cluster.start(index);
        }
        Self {
            cluster,
            writes: BTreeMap::new(),
            replaced: BTreeSet::new(),
            owned: BTreeMap::new(),
            written: 0,
        }
    }

    fn step(&mut self, operation: u8, mut about: &[u8]) {
        let first = script::byte(&mut about);
        let node = usize::from(first % NODES);
        match operation {
            PUT => self.write(node, script::byte(&mut about) % 4, Operation::Upsert),
            DELETE => self.write(node, script::byte(&mut about) % 4, Operation::Delete),
            OWN => self.own(node, script::byte(&mut about) % 4, Operation::Upsert),
            DISOWN => self.own(node, script::byte(&mut about) % 4, Operation::Delete),
            CUT => {
                let others = (0..usize::from(NODES)).filter(|other| *other != node);
                self.cluster.cut.extend(others.flat_map(|other| [(node, other), (other, node)]));
            }
            MEND => self.cluster.cut.retain(|(one, other)| *one != node && *other != node),
            WAIT => {
                let ms = u64::from(first) << (script::byte(&mut about) % 9);
                self.cluster.run(Duration::from_millis(ms));
            }
            RESTART => self.restart(node),
            WEATHER => {
                let (twice, late) = (script::byte(&mut about), script::byte(&mut about));
                self.cluster.weather = Weather { loss: first / 2, twice, late };
            }
            _ => self.attack(operation, node, about),
        }
    }

    /// What somebody without a key can do to a node, and what a member may say that means nothing.
    fn attack(&mut self, operation: u8, node: usize, mut about: &[u8]) {
        let nth = script::byte(&mut about).into();
        match operation {
            REPLAY | GARBLE => {
                let Some((from, mut bytes)) = self.cluster.past(nth) else { return };
                if operation == GARBLE {
                    garble(&mut bytes, about);
                }
                self.cluster.throw(node, from, bytes);
            }
            RAW => {
                let from = self.cluster.hosts[nth % usize::from(NODES)].addr;
                self.cluster.throw(node, from, about.to_vec());
            }
            STREAM if wire::decode(about).is_err() => {
                let from = self.cluster.id(nth % usize::from(NODES));
                self.cluster.call(node, |node, now| node.handle_stream(now, from, about));
            }
            _ => {}
        }
    }

    fn restart(&mut self, node: usize) {
        self.cluster.stop(node);
        // A second, after which the wall clock alone makes its generation a new one.
        self.cluster.run(Duration::from_millis(1100));
        self.cluster.start(node);
        self.owned.retain(|(owner, _), _| *owner != node);
    }

    fn ask(
        &mut self,
        node: usize,
        lifetime: Lifetime,
        key: u8,
        operation: Operation,
    ) -> Option<Dot> {
        self.written += 1;
        let write = Write {
            network: name(NETWORK),
            table: name("t"),
            lifetime,
            key: vec![key],
            operation,
            value: self.written.to_be_bytes().as_slice().into(),
        };
        Some(self.cluster.call(node, |node, now| node.write(now, &write))?.ok()?.dot)
    }

    fn write(&mut self, node: usize, key: u8, operation: Operation) {
        let known = self.cluster.node(node).map(|node| node.received(&name(NETWORK)));
        let known: BTreeMap<_, _> = known.unwrap_or_default().into_iter().collect();
        let Some(dot) = self.ask(node, Lifetime::Cluster, key, operation) else { return };
        let writes = self.writes.entry(key).or_default();
        let covered =
            |dot: &Dot| known.get(&dot.writer).is_some_and(|through| dot.sequence <= *through);
        self.replaced.extend(writes.keys().copied().filter(covered));
        writes.insert(dot, operation != Operation::Delete);
    }

    fn own(&mut self, node: usize, key: u8, operation: Operation) {
        if self.ask(node, Lifetime::Owner, key, operation).is_none() {
            return;
        }
        match operation {
            Operation::Delete => self.owned.remove(&(node, key)),
            _ => self.owned.insert((node, key), self.written.to_be_bytes().to_vec()),
        };
    }

    fn heal(&mut self) {
        self.cluster.cut.clear();
        self.cluster.weather = Weather::default();
        for index in 0..usize::from(NODES) {
            let whole =
                self.cluster.call(index, |node, now| node.mark_complete(now, &name(NETWORK)));
            whole.expect("all are on").expect("all are attached");
        }
        let healed = self.cluster.until(HEALING, |cluster| cluster.is_whole() && cluster.agree());
        assert!(healed, "they do not come to agree");
        self.cluster.run(Duration::from_secs(5));
    }

    fn judge(&self) {
        assert!(self.cluster.agree(), "agreement lasts");
        assert_eq!(self.cluster.reborn, 0, "nobody had another's past");
        let nodes = (0..usize::from(NODES)).filter_map(|index| self.cluster.node(index));
        for node in nodes {
            assert_eq!(
                self.owned_as_seen(node),
                self.owned,
                "each node's own rows are as it left them"
            );
            let standing = standing(node);
            for (key, writes) in &self.writes {
                let mut heads = writes.iter().filter(|(dot, _)| !self.replaced.contains(dot));
                match standing.get(key) {
                    Some(dot) => {
                        let is_head = heads.any(|(head, live)| head == dot && *live);
                        assert!(is_head, "row {key} came back: {dot:?}");
                    }
                    None => assert!(heads.any(|(_, live)| !live), "row {key} was lost"),
                }
            }
        }
    }

    fn owned_as_seen(&self, node: &Node) -> BTreeMap<(usize, u8), Vec<u8>> {
        let row = |row: &Row| {
            let mut owners = 0..usize::from(NODES);
            let owner = owners.find(|index| self.cluster.id(*index) == row.entry.row.owner)?;
            Some(((owner, *row.entry.row.key.first()?), row.entry.value.as_ref()?.to_vec()))
        };
        rows(node, Lifetime::Owner).iter().filter_map(row).collect()
    }
}

/// The write that stands for each shared row.
fn standing(node: &Node) -> BTreeMap<u8, Dot> {
    let row = |row: &Row| Some((*row.entry.row.key.first()?, row.entry.dot));
    rows(node, Lifetime::Cluster).iter().filter_map(row).collect()
}

fn rows(node: &Node, lifetime: Lifetime) -> Vec<Row> {
    let network = Some(name(NETWORK));
    let filter = Filter { network, lifetime: Some(lifetime), ..Filter::default() };
    node.rows(&filter).into_iter().map(|(_, row)| row).collect()
}

/// Changes, cuts off or adds bytes.
fn garble(bytes: &mut Vec<u8>, mut about: &[u8]) {
    let at = usize::from(script::byte(&mut about));
    match bytes.get_mut(at) {
        Some(byte) if about.first().is_some_and(|by| *by != 0) => *byte ^= about[0],
        Some(_) => bytes.truncate(at),
        None => bytes.extend(about),
    }
}

/// Courses of events as they went wrong elsewhere.
fn seeds() -> Vec<Vec<u8>> {
    let courses: [&[(u8, &[u8])]; 8] = [
        // Written, deleted and written again, everywhere.
        &[(PUT, &[0, 1]), (WAIT, &[200, 0]), (DELETE, &[1, 1]), (WAIT, &[200, 0]), (PUT, &[2, 1])],
        // Written on both sides of a cut.
        &[
            (CUT, &[0]),
            (PUT, &[0, 1]),
            (PUT, &[1, 1]),
            (DELETE, &[1, 1]),
            (WAIT, &[250, 5]),
            (MEND, &[0]),
        ],
        // Deleted behind a cut that outlasts the tombstone.
        &[(PUT, &[0, 1]), (WAIT, &[200, 2]), (CUT, &[2]), (DELETE, &[0, 1]), (WAIT, &[250, 7])],
        // Restarted with rows of its own, and cut off meanwhile.
        &[
            (OWN, &[0, 1]),
            (OWN, &[0, 2]),
            (WAIT, &[100, 1]),
            (RESTART, &[0]),
            (OWN, &[0, 1]),
            (CUT, &[0]),
        ],
        // The writer is gone before anybody heard.
        &[
            (CUT, &[1]),
            (PUT, &[1, 3]),
            (RESTART, &[1]),
            (DELETE, &[0, 3]),
            (MEND, &[1]),
            (PUT, &[2, 3]),
        ],
        // A bad network.
        &[
            (WEATHER, &[120, 60, 200]),
            (PUT, &[0, 0]),
            (OWN, &[1, 0]),
            (DISOWN, &[1, 0]),
            (DELETE, &[2, 0]),
            (WAIT, &[250, 4]),
            (PUT, &[1, 0]),
        ],
        // Echoes of a life before.
        &[
            (PUT, &[0, 1]),
            (WAIT, &[50, 1]),
            (RESTART, &[0]),
            (REPLAY, &[1, 60]),
            (REPLAY, &[2, 50]),
        ],
        // Noise.
        &[
            (GARBLE, &[0, 40, 45, 9]),
            (GARBLE, &[1, 30, 200, 0]),
            (RAW, &[2, 0, 1, 1, 2, 3, 4]),
            (STREAM, &[1, 0, 1, 99, 0]),
            (OWN, &[2, 2]),
        ],
    ];
    courses.into_iter().map(|course| script::write(course.iter().copied())).collect()
}
