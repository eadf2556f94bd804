//! Streams spoken by hand: the handshake and the records of docs/protocol.md, with every part within reach
//! of a liar. A second implementation on purpose: what only one of the two takes shows.

use netdb_gossip::{Config, Inbox, Incoming, Limits, Refusal, TokenAnswer, Transport};
use netdb_gossip_core::{
    identity::{Identity, PublicIdentity},
    packet::ClusterTag,
    token::{Token, TokenId},
};
use snow::{HandshakeState, StatelessTransportState};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::Runtime,
};

use crate::cluster::{CLUSTER, entropy};

/// Bytes of a hello.
pub const HELLO: usize = 18;
/// Bytes of a reply.
pub const REPLY: usize = 6;
/// What a record's plain text starts with.
pub const START: u8 = 0;
/// See [`START`].
pub const CONTINUE: u8 = 1;
/// See [`START`].
pub const ACK: u8 = 2;
/// See [`START`].
pub const CLOSE: u8 = 3;

/// The side of a handshake.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// It connects.
    Initiator = b'i',
    /// It answers.
    Responder = b'r',
}

/// An identity with a number.
pub fn identity(number: u64) -> Identity {
    Identity::generate(&mut entropy(500 + number))
}

/// The token of the cluster.
pub fn token() -> Token {
    Token::new(CLUSTER, [9; 16])
}

/// The first bytes of a connection; a joiner names its token.
pub fn hello(joins: Option<TokenId>) -> [u8; HELLO] {
    let mut bytes = [0; HELLO];
    let mode = u8::from(joins.is_some());
    let parts =
        [b"NDBs".as_slice(), &[1, mode], &ClusterTag::of(CLUSTER).0, &joins.unwrap_or_default().0];
    bytes.copy_from_slice(&parts.concat());
    bytes
}

/// The answer that lets a handshake go on.
pub fn go_on() -> [u8; REPLY] {
    *b"NDBr\x01\0"
}

/// A handshake under way.
pub struct Handshake {
    noise: HandshakeState,
    identity: Identity,
    role: Role,
}

impl Handshake {
    /// Begins one, on one side or the other, after this hello.
    pub fn new(identity: Identity, role: Role, hello: &[u8], joins: bool) -> Self {
        let pattern = if joins { "Noise_XXpsk3" } else { "Noise_XX" };
        let pattern = format!("{pattern}_25519_ChaChaPoly_BLAKE2s").parse().expect("a pattern");
        let secret = identity.exchange_secret().to_bytes();
        let prologue = [hello, &CLUSTER.0].concat();
        let psk = token().psk();
        let mut builder = snow::Builder::new(pattern).local_private_key(&secret).expect("a key");
        builder = builder.prologue(&prologue).expect("a prologue");
        if joins {
            builder = builder.psk(3, &psk).expect("a pre-shared key");
        }
        let noise = match role {
            Role::Initiator => builder.build_initiator(),
            Role::Responder => builder.build_responder(),
        };
        Self { noise: noise.expect("complete"), identity, role }
    }

    /// The next message, its length first; `None` if it is not this side's turn or too long.
    pub fn write(&mut self, payload: &[u8]) -> Option<Vec<u8>> {
        let mut message = vec![0; 65_535];
        let length = self.noise.write_message(payload, &mut message).ok()?;
        let prefix = u16::try_from(length).ok()?.to_be_bytes();
        Some([prefix.as_slice(), &message[..length]].concat())
    }

    /// What the other side's message says; `None` if it does not open.
    pub fn read(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        let mut payload = vec![0; 65_535];
        let length = self.noise.read_message(message, &mut payload).ok()?;
        payload.truncate(length);
        Some(payload)
    }

    /// What shows in this side's message that both keys are its own.
    pub fn proof(&self) -> Vec<u8> {
        let public: PublicIdentity = self.identity.public();
        let hash = self.noise.get_handshake_hash();
        let signed = [b"netdb stream identity 1", &[self.role as u8][..], hash, &public.exchange];
        [public.sign.as_slice(), &self.identity.sign(&signed.concat())].concat()
    }

    /// The session, once all messages went.
    pub fn finish(self) -> Option<Session> {
        Some(Session { noise: self.noise.into_stateless_transport_mode().ok()?, sent: 0, taken: 0 })
    }
}

/// Sealed records, both ways.
pub struct Session {
    noise: StatelessTransportState,
    sent: u64,
    taken: u64,
}

impl Session {
    /// A record with this plain text, its length first.
    ///
    /// # Panics
    /// If it is too long for one.
    pub fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut sealed = vec![0; plain.len() + 16];
        self.noise.write_message(self.sent, plain, &mut sealed).expect("it fits");
        self.sent += 1;
        let prefix = u16::try_from(sealed.len()).expect("it fits").to_be_bytes();
        [prefix.as_slice(), &sealed].concat()
    }

    /// Reads the next record.
    pub async fn open(&mut self, stream: &mut TcpStream) -> Option<Vec<u8>> {
        let sealed = message(stream).await?;
        let mut plain = vec![0; sealed.len()];
        let length = self.noise.read_message(self.taken, &sealed, &mut plain).ok()?;
        self.taken += 1;
        plain.truncate(length);
        Some(plain)
    }
}

/// Reads a length and so many bytes.
pub async fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let length = stream.read_u16().await.ok()?;
    let mut message = vec![0; length.into()];
    stream.read_exact(&mut message).await.ok()?;
    Some(message)
}

/// Says that nothing follows, and waits until the other side has nothing more to say either.
pub async fn hang_up(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let mut scrap = [0; 4096];
    while matches!(stream.read(&mut scrap).await, Ok(1..)) {}
}

/// A real transport on the loopback, whose owner takes everybody with a proven identity or a good token.
pub struct Victim {
    runtime: Runtime,
    transport: Transport,
    inbox: Inbox,
}

impl Default for Victim {
    fn default() -> Self {
        Self::new()
    }
}

impl Victim {
    /// One on a free port.
    ///
    /// # Panics
    /// If this host has no loopback.
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let limits = Limits {
            handshakes_per_source: 64,
            handshake_rate: u32::MAX,
            handshake_burst: u32::MAX,
            ..Limits::default()
        };
        let listen = ([127, 0, 0, 1], 0).into();
        let config = Config { listen, identity: identity(0), cluster: CLUSTER, limits };
        let bound = {
            let _entered = runtime.enter();
            Transport::bind(config).expect("a port")
        };
        Self { runtime, transport: bound.0, inbox: bound.1 }
    }

    /// Runs a guest that connects to the victim until it is done; what it had to say, and the messages
    /// that reached the victim's owner.
    pub fn meet<T>(&mut self, guest: impl AsyncFnOnce(TcpStream) -> T) -> (T, Vec<Vec<u8>>) {
        let Self { runtime, transport, inbox } = self;
        let addr = transport.local_addr();
        runtime.block_on(async {
            let guest = async { guest(TcpStream::connect(addr).await.expect("it listens")).await };
            let mut guest = std::pin::pin!(guest);
            let mut heard = Vec::new();
            let result = loop {
                tokio::select! {
                    biased;
                    result = &mut guest => break result,
                    Some(incoming) = inbox.recv() => heard.extend(answer(incoming)),
                }
            };
            heard.extend(std::iter::from_fn(|| inbox.try_recv()).filter_map(answer));
            (result, heard)
        })
    }
}

/// The owner: answers what is asked; a message is what it hears. A join is answered with its request.
fn answer(incoming: Incoming) -> Option<Vec<u8>> {
    match incoming {
        Incoming::Stream { message, .. } => return Some(message),
        Incoming::Admission { reply, .. } => drop(reply.send(true)),
        Incoming::Token { token_id, reply } => drop(reply.send(if token_id == token().id() {
            TokenAnswer::Good(token().psk())
        } else {
            TokenAnswer::Refused(Refusal::TokenUnknown)
        })),
        Incoming::Join { request, reply, .. } => {
            let _ = reply.send(Ok(request.clone()));
            return Some(request);
        }
        Incoming::Packet { .. } | Incoming::StreamFailed { .. } => {}
    }
    None
}
