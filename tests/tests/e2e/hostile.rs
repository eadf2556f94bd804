//! Garbage, truncated, changed, foreign and replayed packets at full rate against a live node: it drops
//! and counts them, and goes on with its work.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, UdpSocket},
};

use netdb_tests::{
    address::Addresses, agreement::wait_agreed_on, cluster::Cluster, effort::few_or_many,
    rows::Table, wait::until,
};

use crate::{PATIENT, recorder::Recorder};

/// Packets of the flood: about a second, or a minute, of one sender without a pause.
const FLOOD: [usize; 2] = [40_000, 4_000_000];
/// Packets that are recorded before it, so that there is something to change and replay.
const RECORDED: usize = 20;
/// Rows written while it goes on.
const ROWS: usize = 40;
/// Lines that a node may log meanwhile: a line a second and reason, and a good deal of time.
const LINES: [usize; 2] = [600, 3_000];

/// What is larger than any packet does not get as far as the others.
const OVERSIZED: &str = "transport_packets_oversized";

/// What a forger makes of a recorded packet, and how the node counts it.
type Forge = fn(&[u8], &mut Noise) -> Vec<u8>;
const FORGERIES: &[(&str, Forge)] = &[
    ("packets_dropped_replayed", |packet, _| packet.to_vec()),
    ("packets_dropped_truncated", |packet, noise| packet[..noise.below(60)].to_vec()),
    ("packets_dropped_not_opened", |packet, noise| {
        with(packet, 40 + noise.below(packet.len() - 40), noise)
    }),
    ("packets_dropped_unknown_key", |packet, noise| with(packet, 6 + noise.below(8), noise)),
    ("packets_dropped_other_cluster", |packet, noise| with(packet, 2 + noise.below(4), noise)),
    ("packets_dropped_future_version", |packet, noise| {
        [&[2 + noise.byte() % 250], &packet[1..]].concat()
    }),
    ("packets_dropped_malformed", |packet, noise| {
        [&packet[..1], &[2 + noise.byte() % 250], &packet[2..]].concat()
    }),
    (OVERSIZED, |packet, noise| packet.repeat(9_001 / packet.len() + 1 + noise.below(3))),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_flooded_node_goes_on_with_its_work() {
    let mut cluster = Cluster::start(1, PATIENT).await.unwrap();
    // Everything for the second node passes somebody who listens in.
    let way = Addresses::apart().free().unwrap();
    let mut second = cluster.prepare().unwrap();
    let recorder = Recorder::start(way, second.address()).await.unwrap();
    second.add_flags(&["--advertise", &way.to_string()]);
    second.join(cluster.token(), &[cluster.nodes[0].address()]).await.unwrap();
    second.start().await.unwrap();
    cluster.nodes.push(second);
    cluster.wait_whole().await.unwrap();
    cluster.attach("web", &[0, 1]).await.unwrap();
    let table = Table::owner("web", "t");
    until("enough packets were recorded", async || {
        table.put(cluster.nodes[0].client(), "k", "again").await?;
        let packets = recorder.packets().len();
        anyhow::ensure!(packets >= RECORDED, "{packets}");
        Ok(())
    })
    .await
    .unwrap();

    let (target, packets) = (cluster.nodes[1].address(), recorder.packets());
    let flood = tokio::task::spawn_blocking(move || flood(target, &packets));
    let mut expected = BTreeMap::from([("k".to_owned(), "again".to_owned())]);
    for row in 0..ROWS {
        let (key, value) = (format!("row {row}"), "during the flood".to_owned());
        table.put(cluster.nodes[0].client(), &key, &value).await.unwrap();
        expected.insert(key, value);
        cluster.nodes[1].client().status().await.unwrap();
    }
    flood.await.unwrap();
    table.wait_for(cluster.nodes[1].client(), &expected).await.unwrap();
    wait_agreed_on(&[&cluster.nodes[0], &cluster.nodes[1]], "web", ROWS + 1).await.unwrap();
    cluster.wait_whole().await.unwrap();
    for (counter, _) in FORGERIES {
        let dropped = cluster.nodes[1].counter(counter).await.unwrap();
        assert!(dropped > 0, "{counter} counted none");
    }
    let status = cluster.nodes[1].client().status().await.unwrap();
    assert_eq!(status.warnings, Vec::<String>::new());
    let lines = cluster.nodes[1].log().lines().count();
    let [few, many] = LINES;
    assert!(lines < few_or_many(few, many), "{lines} lines were logged");
}

/// Sends as fast as one sender can: every forgery of every recorded packet, and noise.
fn flood(target: SocketAddr, packets: &[Vec<u8>]) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let mut noise = Noise(0x5eed);
    let [few, many] = FLOOD;
    for sent in 0..few_or_many(few, many) {
        let packet = &packets[sent % packets.len()];
        let forged = match FORGERIES.get(sent / packets.len() % (FORGERIES.len() + 1)) {
            Some((_, forge)) => forge(packet, &mut noise),
            None => (0..noise.below(2_000)).map(|_| noise.byte()).collect(),
        };
        // The system may have no room for it; the next one finds some.
        let _ = socket.send_to(&forged, target);
    }
}

/// The packet with another byte at `place`.
fn with(packet: &[u8], place: usize, noise: &mut Noise) -> Vec<u8> {
    let mut packet = packet.to_vec();
    packet[place] ^= 1 + noise.byte() % 255;
    packet
}

/// Bytes that are the same in every run (xorshift).
struct Noise(u64);

impl Noise {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.to_be_bytes()[0]
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()])) % limit
    }
}
