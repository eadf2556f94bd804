//! An upstream for tests, on real sockets of the loopback: what it says to each query is told to it.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use hickory_proto::{
    op::{Message, OpCode},
    rr::{RData, Record, rdata::A},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
    task::JoinSet,
};

use crate::wire::Via;

/// A query as the upstream sees it.
pub(super) struct Heard {
    pub(super) via: Via,
    pub(super) message: Message,
    /// Where it came from.
    pub(super) from: SocketAddr,
    /// Its number among all that were heard, from 0.
    pub(super) number: usize,
}

impl Heard {
    pub(super) fn name(&self) -> String {
        self.message.queries[0].name.to_ascii()
    }

    /// An empty answer to it.
    pub(super) fn empty(&self) -> Message {
        let mut answer = Message::response(self.message.metadata.id, OpCode::Query);
        answer.add_query(self.message.queries[0].clone());
        answer
    }

    /// An honest answer with so many addresses.
    pub(super) fn addresses(&self, count: u8) -> Message {
        let mut answer = self.empty();
        let name = &self.message.queries[0].name;
        let record = |n| Record::from_rdata(name.clone(), 60, RData::A(A::new(192, 0, 2, n)));
        answer.answers = (1..=count).map(record).collect();
        answer
    }
}

/// What it sends for a query, message by message.
type Answers = Arc<dyn Fn(&Heard) -> Vec<Vec<u8>> + Send + Sync>;

/// It ends when it is dropped.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _tasks: JoinSet<()>,
}

#[derive(Default)]
struct Seen {
    count: usize,
    ids: BTreeSet<u16>,
    ports: BTreeSet<u16>,
}

impl Upstream {
    /// Starts one that sends, for each query, each of these messages.
    pub(super) async fn start(
        answers: impl Fn(&Heard) -> Vec<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        // The port must be free for both.
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()).await {
                break (udp, tcp);
            }
        };
        let address = udp.local_addr().unwrap();
        let seen: Arc<Mutex<Seen>> = Arc::default();
        let answers: Answers = Arc::new(answers);
        let mut tasks = JoinSet::new();
        tasks.spawn(over_udp(udp, Arc::clone(&seen), Arc::clone(&answers)));
        tasks.spawn(over_tcp(tcp, Arc::clone(&seen), answers));
        Self { address, seen, _tasks: tasks }
    }

    /// One that answers every query with one address.
    pub(super) async fn honest() -> Self {
        Self::start(|heard| vec![heard.addresses(1).to_vec().unwrap()]).await
    }

    /// One that never says anything.
    pub(super) async fn silent() -> Self {
        Self::start(|_| Vec::new()).await
    }

    /// How many queries it has seen.
    pub(super) fn count(&self) -> usize {
        self.seen.lock().unwrap().count
    }

    /// How many different numbers and ports these had.
    pub(super) fn variety(&self) -> (usize, usize) {
        let seen = self.seen.lock().unwrap();
        (seen.ids.len(), seen.ports.len())
    }
}

fn hear(seen: &Mutex<Seen>, via: Via, bytes: &[u8], from: SocketAddr) -> Heard {
    let message = Message::from_vec(bytes).unwrap();
    let mut seen = seen.lock().unwrap();
    let number = seen.count;
    seen.count += 1;
    seen.ids.insert(message.metadata.id);
    seen.ports.insert(from.port());
    Heard { via, message, from, number }
}

async fn over_udp(socket: UdpSocket, seen: Arc<Mutex<Seen>>, answers: Answers) {
    let mut buffer = [0; 4_096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let heard = hear(&seen, Via::Udp, &buffer[..length], from);
        for answer in answers(&heard) {
            let _ = socket.send_to(&answer, from).await;
        }
    }
}

async fn over_tcp(listener: TcpListener, seen: Arc<Mutex<Seen>>, answers: Answers) {
    loop {
        let Ok((mut stream, from)) = listener.accept().await else { continue };
        let Ok(length) = stream.read_u16().await else { continue };
        let mut bytes = vec![0; usize::from(length)];
        if stream.read_exact(&mut bytes).await.is_err() {
            continue;
        }
        let heard = hear(&seen, Via::Tcp, &bytes, from);
        for answer in answers(&heard) {
            let length = u16::try_from(answer.len()).unwrap().to_be_bytes();
            let _ = stream.write_all(&[&length, &answer[..]].concat()).await;
        }
    }
}
