//! The real transport keeps what every transport promises.

use super::*;
use crate::conformance::{Heard, Net, check};

/// Real nodes on loopback; waits in real time.
struct Loopback {
    runtime: tokio::runtime::Runtime,
    nodes: Vec<Option<Node>>,
    addrs: Vec<(NodeId, SocketAddr)>,
}

impl Loopback {
    fn new(count: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let guard = runtime.enter();
        let nodes: Vec<_> = (0..count)
            .map(|n| Some(Node::with(seed(n), own_host(100 + seed(n)), limits())))
            .collect();
        let addrs = nodes.iter().flatten().map(|node| (node.id, node.addr)).collect();
        drop(guard);
        Self { runtime, nodes, addrs }
    }

    fn number(&self, id: NodeId) -> usize {
        self.addrs.iter().position(|(node, _)| *node == id).unwrap()
    }

    fn node(&self, n: usize) -> &Node {
        self.nodes[n].as_ref().unwrap()
    }
}

fn seed(n: usize) -> u8 {
    u8::try_from(n + 1).unwrap()
}

impl Net for Loopback {
    fn send_packet(&mut self, from: usize, to: usize, bytes: &[u8]) {
        self.node(from).transport.send_packet(self.addrs[to].1, bytes);
    }

    fn send_stream(&mut self, from: usize, to: usize, message: Vec<u8>) -> bool {
        let _guard = self.runtime.enter();
        let (id, addr) = self.addrs[to];
        self.node(from).transport.send_stream(id, addr, message).is_ok()
    }

    fn stop(&mut self, node: usize) {
        drop(self.nodes[node].take());
    }

    fn start(&mut self, node: usize) {
        let (_, addr) = self.addrs[node];
        let started = self.runtime.block_on(async {
            // The one before may not have let go of the port yet.
            until(|| {
                let free = std::net::TcpListener::bind(addr).is_ok()
                    && std::net::UdpSocket::bind(addr).is_ok();
                free.then(|| Node::with(seed(node), addr, limits()))
            })
            .await
        });
        self.nodes[node] = Some(started);
    }

    fn hear(&mut self, nodes: &[usize]) -> Option<(usize, Heard)> {
        let Self { runtime, nodes: all, .. } = self;
        let mut listening: Vec<_> = all
            .iter_mut()
            .enumerate()
            .filter(|(n, _)| nodes.contains(n))
            .filter_map(|(n, node)| Some((n, node.as_mut()?)))
            .collect();
        let first = std::future::poll_fn(|context| {
            for (n, node) in &mut listening {
                if let std::task::Poll::Ready(Some(heard)) = node.heard.poll_recv(context) {
                    return std::task::Poll::Ready((*n, heard));
                }
            }
            std::task::Poll::Pending
        });
        let (n, heard) =
            runtime.block_on(async { tokio::time::timeout(DEADLINE, first).await.ok() })?;
        let heard = match heard {
            Incoming::Packet { bytes, .. } => Heard::Packet(bytes),
            Incoming::Stream { from, message } => Heard::Stream(self.number(from), message),
            Incoming::StreamFailed { to } => Heard::Failed(self.number(to)),
            other => panic!("{other:?}"),
        };
        Some((n, heard))
    }
}

#[test]
fn the_real_transport_keeps_its_promises() {
    check(Loopback::new).unwrap();
}
