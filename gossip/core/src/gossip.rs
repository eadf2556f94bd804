//! The gossip core as a whole: packets in, packets and events out.
//!
//! [`Gossip`] puts the rooms of this crate together (keyring and packets, membership, links) and adds
//! nothing but their order. Upper layers see peers, events and small frames; shells see datagrams.

use alloc::{boxed::Box, collections::VecDeque, sync::Arc, vec::Vec};
use core::{net::SocketAddr, time::Duration};

use rand::CryptoRng;

use crate::{
    config::Config,
    identity::{ClusterId, Generation, NodeId},
    keyring::Keyring,
    link::{Kind, Links, Lost, Verdict},
    membership::Membership,
    nodes::Seed,
    packet::{self, ClusterTag},
    stats::Stats,
    time::{Now, Time},
};
pub use crate::{
    link::LinkInfo,
    membership::{Member, MemberEvent, MemberState},
};

#[cfg(test)]
mod figures;
#[cfg(test)]
mod hostile;
#[cfg(test)]
pub(crate) mod net;
mod receive;
#[cfg(test)]
mod tests;

/// How often packets with an unknown key are told of.
pub const UNKNOWN_KEY_PERIOD: Duration = Duration::from_secs(1);

/// What a [`Gossip`] is made from.
pub struct Setup {
    /// Its knobs; pulled into their legal ranges (see [`Config::validate`] to find out beforehand).
    pub config: Config,
    /// The cluster whose packets are taken.
    pub cluster: ClusterId,
    /// This node.
    pub member: Member,
    /// The keys.
    pub keyring: Keyring,
    /// Seeds every decision.
    pub seed: u64,
    /// Where nonces come from: the operating system's generator (see [`packet`]).
    pub entropy: Box<dyn CryptoRng + Send + Sync>,
}

/// What a [`Gossip`] wants done or tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send this datagram.
    Packet {
        /// Where to.
        to: SocketAddr,
        /// The sealed bytes.
        bytes: Vec<u8>,
    },
    /// The membership changed.
    Event(MemberEvent),
    /// A frame of a peer's upper layer came. Frames come in any order and may come twice. The sender
    /// may not be a member yet: a frame can overtake the news of its sender.
    Received {
        /// Who sent it.
        from: NodeId,
        /// The frame.
        frame: Vec<u8>,
    },
    /// An acknowledged frame was repeated and is still not confirmed, or goes to a peer that has left others
    /// so. It goes on being repeated; whoever depends on it may take another way meanwhile. Told once
    /// per frame.
    Late {
        /// Whom it is for.
        to: NodeId,
        /// The sender's own mark.
        token: u64,
        /// The frame.
        frame: Arc<[u8]>,
    },
    /// An acknowledged frame was given up: the peer did not confirm it, is down, or began a new
    /// generation. It may have arrived all the same. Frames that are confirmed are not told of.
    Lost {
        /// Whom it was for.
        to: NodeId,
        /// The sender's own mark.
        token: u64,
        /// The frame.
        frame: Arc<[u8]>,
        /// Whether it was told to be late before.
        was_late: bool,
    },
    /// A packet of this cluster was sealed with a key that this node lacks: it may have missed a
    /// rotation. At most once in [`UNKNOWN_KEY_PERIOD`].
    UnknownKey {
        /// Where it came from (unauthenticated).
        from: SocketAddr,
    },
}

/// Why a frame was not taken. Nothing was queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Not a member, or this node itself.
    #[error("the node is no member")]
    Unknown,
    /// The member is down.
    #[error("the member is down")]
    Down,
    /// Larger than [`Gossip::max_frame`].
    #[error("the frame has {len} bytes, a packet carries {max}")]
    TooLarge {
        /// What it has.
        len: usize,
        /// What fits.
        max: usize,
    },
    /// As many bytes as may wait for this peer are waiting.
    #[error("the queue to the peer is full")]
    Full,
}

/// The sans-IO gossip core of one node.
///
/// # Contract
///
/// The owner hands in time, packets and commands. After every call that takes `&mut self` it calls
/// [`poll_output`](Self::poll_output) until that returns `None`, doing what each output says, and then
/// asks [`poll_timeout`](Self::poll_timeout) when to call [`handle_timeout`](Self::handle_timeout) at
/// the latest. Packets are put together in `poll_output`: several frames sent before it share packets.
/// Time never runs backwards. Nothing a peer sends makes a call fail.
pub struct Gossip {
    config: Config,
    cluster: ClusterTag,
    keyring: Keyring,
    entropy: Box<dyn CryptoRng + Send + Sync>,
    membership: Membership,
    links: Links,
    outputs: VecDeque<Output>,
    stats: Stats,
    unknown_key_at: Option<Time>,
}

impl Gossip {
    /// A node that knows nobody yet.
    pub fn new(setup: Setup, now: Now) -> Self {
        let config = setup.config.clamped();
        Self {
            cluster: ClusterTag::of(setup.cluster),
            keyring: setup.keyring,
            entropy: setup.entropy,
            membership: Membership::new(&config, setup.member, setup.seed, now.mono),
            links: Links::new(&config, Seed(setup.seed)),
            outputs: VecDeque::new(),
            stats: Stats::default(),
            unknown_key_at: None,
            config,
        }
    }

    /// A datagram came. Never fails: what is wrong with it is counted in [`Gossip::stats`].
    pub fn handle_packet(&mut self, now: Now, from: SocketAddr, packet: &mut [u8]) {
        self.receive(now, from, packet);
        self.gather();
    }

    /// The time of [`Gossip::poll_timeout`] has come (calls at other times do no harm).
    pub fn handle_timeout(&mut self, now: Now) {
        self.membership.handle_timeout(now.mono);
        self.links.handle_timeout(now);
        self.gather();
    }

    /// When to call [`Gossip::handle_timeout`] at the latest.
    pub fn poll_timeout(&self) -> Option<Time> {
        [self.membership.next_at(), self.links.next_at()].into_iter().flatten().min()
    }

    /// The next thing to do. Drain it after every input: the queue behind it is bounded by what one
    /// input can cause.
    pub fn poll_output(&mut self, now: Now) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        let view = self.membership.view();
        let addr = |id| view.get(id).map(|known| known.member.addr);
        let (id, to, draft) = self.links.pack(now, self.membership.me(), addr)?;
        let key = self.keyring.primary();
        let bytes = draft.seal(key, self.cluster, Some(id), &mut *self.entropy);
        self.stats.packets_sent += 1;
        self.stats.bytes_sent += bytes.len() as u64;
        Some(Output::Packet { to, bytes })
    }

    /// The next thing that is told, leaving packets for [`poll_output`](Self::poll_output): so that what
    /// an owner sends in answer shares their packets.
    pub fn poll_told(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Takes in members learnt by other means: the answer to a join, or an exchange of everything known
    /// ([`Gossip::members`] and [`Gossip::me`] of the other side). A node that was alone announces
    /// itself to a few of them. `Suspect` counts as `Alive` here: suspicions spread by themselves.
    pub fn contact(&mut self, now: Now, members: &[(Member, MemberState)]) {
        self.membership.contact(now.mono, members);
        self.gather();
    }

    /// Leaves the cluster: says so to a few members now and in two more rounds (keep polling for about
    /// three gossip periods). From then on membership messages are neither answered nor believed, until
    /// [`Gossip::renew`].
    pub fn leave(&mut self, now: Now) {
        self.membership.leave(now.mono);
        self.gather();
    }

    /// Takes a new generation, which must be on disk already. Ignored unless it is higher than the
    /// present one.
    pub fn renew(&mut self, now: Now, generation: Generation) {
        self.membership.renew(now.mono, generation);
        self.gather();
    }

    /// This node is reached at another address from now on.
    pub fn change_address(&mut self, now: Now, addr: SocketAddr) {
        self.membership.change_address(now.mono, addr);
        self.gather();
    }

    /// Queues a small frame for a live member. With `acked` it is repeated until the peer confirms it or
    /// it comes back as [`Output::Lost`] with its `token`; without, it is sent once and forgotten.
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn send(
        &mut self,
        _now: Now,
        to: NodeId,
        frame: Arc<[u8]>,
        token: u64,
        acked: bool,
    ) -> Result<(), SendError> {
        let known = self.membership.view().get(to).ok_or(SendError::Unknown)?;
        if !known.is_active() {
            return Err(SendError::Down);
        }
        let (len, max) = (frame.len(), self.max_frame());
        if len > max {
            return Err(SendError::TooLarge { len, max });
        }
        let kind = if acked { Kind::Acked } else { Kind::Plain };
        let queued = self.links.send(to, kind, frame, token);
        self.tell_lost();
        if queued { Ok(()) } else { Err(SendError::Full) }
    }

    /// Whether a peer answered what was sent to it last (or nothing was): others may depend on it.
    pub fn is_responsive(&self, id: NodeId) -> bool {
        self.links.is_responsive(id)
    }

    /// The generator of nonces, for an owner that makes keys.
    pub fn entropy(&mut self) -> &mut dyn CryptoRng {
        &mut *self.entropy
    }

    /// The most bytes that a frame may have.
    pub fn max_frame(&self) -> usize {
        packet::max_frame(self.config.mtu)
    }

    /// Bytes of frames queued for `to` or in flight to it.
    pub fn queued(&self, to: NodeId) -> usize {
        self.links.queued(to)
    }

    /// Every other node known, in id order, the down ones included. This node is not among them.
    pub fn members(&self) -> impl Iterator<Item = (&Member, MemberState)> {
        self.membership.view().iter().map(|known| (&known.member, known.state))
    }

    /// One other node.
    pub fn member(&self, id: NodeId) -> Option<(&Member, MemberState)> {
        self.membership.view().get(id).map(|known| (&known.member, known.state))
    }

    /// This node. The revision grows by itself when peers take it for down.
    pub fn me(&self) -> &Member {
        self.membership.me()
    }

    /// The keys.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The keys, to change: what is primary afterwards seals the next packet.
    pub fn keyring_mut(&mut self) -> &mut Keyring {
        &mut self.keyring
    }

    /// The smoothed round trip to `id`, once it was measured.
    pub fn rtt(&self, id: NodeId) -> Option<Duration> {
        self.links.rtt(id)
    }

    /// How the link to `id` is doing, if there is one.
    pub fn link(&self, id: NodeId) -> Option<LinkInfo> {
        self.links.info(id)
    }

    /// Microseconds to add to the wall clock to get cluster time: the median over the live peers
    /// measured in the last quarter of an hour and this node's own zero.
    pub fn cluster_offset(&self) -> i64 {
        self.links.offset()
    }

    /// What was counted so far.
    pub fn stats(&self) -> Stats {
        Stats { membership: *self.membership.stats(), link: *self.links.stats(), ..self.stats }
    }

    /// How much this node doubts itself: 0 (not at all) to 8.
    pub fn local_health(&self) -> u8 {
        self.membership.health()
    }

    /// Carries what the rooms have to say from one to the other and out.
    fn gather(&mut self) {
        for (id, rtt) in self.membership.take_rtts() {
            self.links.sample(id, rtt);
        }
        while let Some(event) = self.membership.poll_event() {
            match &event {
                MemberEvent::Up(member) => self.links.member_up(member.id),
                MemberEvent::Down(member) => self.links.fail(member.id),
                _ => {}
            }
            self.outputs.push_back(Output::Event(event));
        }
        for id in self.membership.take_forgotten() {
            self.links.forget(id);
        }
        while let Some(message) = self.membership.poll_outgoing() {
            self.links.send_message(message);
        }
        self.tell_lost();
    }

    fn tell_lost(&mut self) {
        while let Some(Lost { to, token, frame, verdict }) = self.links.poll_lost() {
            self.outputs.push_back(match verdict {
                Verdict::Late => Output::Late { to, token, frame },
                Verdict::Lost { was_late } => Output::Lost { to, token, frame, was_late },
            });
        }
    }
}
