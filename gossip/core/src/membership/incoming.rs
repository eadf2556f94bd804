//! What peers say: read, checked and cut down to what may be believed before foca gets it.

use alloc::{collections::BTreeSet, vec::Vec};
use core::net::SocketAddr;

use foca::{Message, State};
use rand::RngExt;

use super::{
    Member, MemberState, Membership, Timer,
    codec::{self, Datagram, Incoming, Update},
};
use crate::{
    identity::{Generation, NodeId},
    time::Time,
};

/// Updates that foca takes in one piece whatever the packet size: the smallest holds more.
const PIECE: usize = 6;

impl Membership {
    /// A membership frame in a packet of `sender`.
    pub(crate) fn handle_frame(
        &mut self,
        now: Time,
        sender: NodeId,
        generation: Generation,
        frame: &[u8],
    ) {
        if self.leaving.is_some() {
            return;
        }
        let me = *self.me();
        let Some(incoming) = codec::take_frame(frame, sender, generation, &me) else {
            self.stats.malformed += 1;
            return;
        };
        let Incoming { mut datagram, meant, view } = incoming;
        let src = datagram.header.src;
        if self.is_stale(&src) {
            self.correct(now, src);
            return;
        }
        if !self.has_room(src.id) {
            self.stats.members_refused += 1;
            return;
        }
        if !meant && datagram.header.message != Message::Announce {
            self.stats.misdirected += 1;
            if self.lives.may_nudge(now, src.id) {
                self.announce(now, src);
                self.settle(now, None);
            }
            return;
        }
        let announced = datagram.header.message == Message::Announce;
        self.note_answers(now, &datagram);
        self.screen(now, &mut datagram);
        self.feed(now, datagram);
        if announced {
            self.tell_down(src);
        }
        if let Some(theirs) = view {
            self.compare(now, src, theirs);
        }
        self.settle(now, Some(src));
    }

    /// Hands a message to foca, in pieces if the sender's packets are larger than ours: foca refuses
    /// what is longer than it would send itself.
    fn feed(&mut self, now: Time, mut datagram: Datagram) {
        if self.answers_itself(&datagram) {
            return;
        }
        loop {
            let mut bytes = codec::foca_bytes(&datagram);
            let mut rest = Vec::new();
            if bytes.len() > self.foca_config.max_packet_size.get() {
                rest = datagram.updates.split_off(PIECE.min(datagram.updates.len()));
                bytes = codec::foca_bytes(&datagram);
            }
            let news = datagram.updates.iter();
            let mut touched: BTreeSet<NodeId> = news.map(|update| update.id().id).collect();
            if self.is_news(&datagram) {
                touched.insert(datagram.header.src.id);
            }
            self.with_foca(now, touched, |foca, out| foca.handle_data(&bytes, out));
            if rest.is_empty() {
                return;
            }
            datagram.updates = rest;
            datagram.header.message = Message::Gossip;
        }
    }

    /// foca's answer to an announcement names who is not down. Who asks after a restart may believe in some
    /// that went down meanwhile: nobody gossips of them any longer, so it would learn of them only by
    /// probes of its own, which rarely go that way.
    fn tell_down(&mut self, to: Member) {
        if self.defunct || self.view.active() == self.view.len() {
            return;
        }
        let gone = self.view.iter().filter(|known| !known.is_active() && known.member.id != to.id);
        let mut gone: Vec<Update> = gone.map(super::view::Known::update).collect();
        let room = self.foca_config.max_packet_size.get();
        if codec::fitting(&gone, room) < gone.len() {
            // Some of them now, others at the next question.
            let first = self.rng.random_range(0..gone.len());
            gone.rotate_left(first);
            gone.truncate(codec::fitting(&gone, room));
        }
        if !gone.is_empty() {
            self.send(to, Message::Gossip, &gone);
        }
    }

    /// Most of what comes are pings and acks that tell nothing new, and foca would search all members for
    /// their mere sender. True if this was one, and is answered as foca would have.
    fn answers_itself(&mut self, datagram: &Datagram) -> bool {
        if self.defunct || !datagram.updates.is_empty() || self.is_news(datagram) {
            return false;
        }
        match datagram.header.message {
            Message::Ack(_) | Message::Gossip | Message::Feed => true,
            // With news to pass on, foca chooses what goes along.
            Message::Ping(number) if self.foca.updates_backlog() == 0 => {
                self.send(datagram.header.src, Message::Ack(number), &[]);
                true
            }
            _ => false,
        }
    }

    /// Any packet of a node proves that it lives.
    pub(crate) fn heard(&mut self, id: NodeId) {
        if self.probes.heard(id) {
            self.probe_answered(id);
        }
    }

    /// A packet from `addr` of a sender that is down or stale here and said nothing of membership: let it
    /// know, there and not where its id is known to be: a copy of its state may run elsewhere.
    pub(crate) fn answer_outcast(
        &mut self,
        now: Time,
        (id, generation): (NodeId, Generation),
        addr: SocketAddr,
    ) {
        let Some(known) = self.view.get(id).copied() else { return };
        if self.leaving.is_some() {
            return;
        }
        self.correct(now, Member { generation, addr, ..known.member });
    }

    /// Members learnt by other means: joins, and exchanges of everything.
    pub(crate) fn contact(&mut self, now: Time, members: &[(Member, MemberState)]) {
        if self.leaving.is_some() {
            return;
        }
        let joining = self.view.active() == 0;
        let mut updates = Vec::new();
        for (member, state) in members {
            // Their suspicions come with an incarnation, by gossip; without one they say nothing.
            let state = if *state == MemberState::Down { State::Down } else { State::Alive };
            updates.push(Update::new(*member, 0, state));
        }
        let updates = self.believable(now, updates);
        let touched = updates.iter().map(|update| update.id().id).collect();
        // Who joins learns what all others know already.
        self.with_foca(now, touched, |foca, out| {
            foca.apply_many(updates.into_iter(), !joining, out)
        });
        let mut announced = BTreeSet::new();
        let wanted = if joining { super::CONTACT_ANNOUNCES } else { 1 };
        while announced.len() < wanted {
            let Some(member) = self.random_active(&announced) else { break };
            announced.insert(member.id);
            self.announce(now, member);
        }
        self.settle(now, None);
    }

    /// Whether the mere sender of this may change something; else the search for it is spared.
    fn is_news(&self, datagram: &Datagram) -> bool {
        let header = &datagram.header;
        self.view.get(header.src.id).is_none_or(|known| {
            known.member != header.src
                || known.incarnation < header.src_incarnation
                || !known.is_active()
        })
    }

    /// Whether a later life of this sender is known.
    fn is_stale(&self, src: &Member) -> bool {
        self.view.get(src.id).is_some_and(|known| known.member.generation > src.generation)
    }

    /// Tells a life that is over here what is known of it; at most once a second.
    fn correct(&mut self, now: Time, to: Member) {
        if !self.lives.may_nudge(now, to.id) {
            return;
        }
        if let Some(update) = self.view.get(to.id).map(super::view::Known::update) {
            self.send(to, Message::Gossip, &[update]);
        }
    }

    fn has_room(&self, id: NodeId) -> bool {
        self.view.get(id).is_some() || self.view.len() < self.config.max_members
    }

    /// Acks of our own probes; foca knows nothing of them.
    fn note_answers(&mut self, now: Time, datagram: &Datagram) {
        match &datagram.header.message {
            Message::Ack(number) => {
                let from = datagram.header.src.id;
                if let Some(rtt) = self.probe_acked(now, from, *number) {
                    self.rtts.push((from, rtt));
                }
            }
            Message::ForwardedAck { origin, probe_number } => {
                self.probe_vouched(origin.id, *probe_number);
            }
            _ => {}
        }
    }

    fn screen(&mut self, now: Time, datagram: &mut Datagram) {
        let mut updates = core::mem::take(&mut datagram.updates);
        // What is known already changes nothing, and foca would search all members for it.
        updates.retain(|update| !self.view.holds(update));
        datagram.updates = self.believable(now, updates);
    }

    /// Drops what is said of other lives of this node (having drawn the consequences) and news of more
    /// members than there is room for.
    fn believable(&mut self, now: Time, mut updates: Vec<Update>) -> Vec<Update> {
        let me = *self.me();
        let mut room = self.config.max_members.saturating_sub(self.view.len());
        let mut fresh = BTreeSet::new();
        updates.retain(|update| {
            let member = update.id();
            if member.id == me.id {
                return self.about_me(now, update);
            }
            if self.view.get(member.id).is_some() || fresh.contains(&member.id) {
                return true;
            }
            if room == 0 {
                self.stats.members_refused += 1;
                return false;
            }
            room -= 1;
            fresh.insert(member.id);
            true
        });
        updates
    }

    /// News of this node's own id. True if foca should see it.
    fn about_me(&mut self, now: Time, update: &Update) -> bool {
        let (me, member) = (*self.me(), *update.id());
        if member == me {
            if update.state() == State::Suspect && update.incarnation() >= self.incarnation {
                self.health.worsen();
                self.stats.refutations += 1;
            }
            return true;
        }
        if member.generation > me.generation {
            self.lives.seen(member.generation, &mut self.view);
        } else if member.replaces(&me) {
            // A revision of this generation that we never took: a copy of us, or our own forgotten past.
            self.lives.surpass(member.revision);
            self.timers.set_by(now.max(self.lives.next_renewal()), Timer::Renew);
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use foca::Header;

    use super::*;
    use crate::{
        config::Config,
        membership::{Outgoing, testing},
    };

    fn member(n: u8) -> Member {
        let addr = SocketAddr::from(([10, 0, 0, n], 1));
        Member { id: NodeId([n; 16]), generation: Generation(1), revision: 0, addr }
    }

    /// What a node says to a message of a peer.
    fn tell(node: &mut Membership, at: u64, peer: Member, kind: u8) -> Vec<Outgoing> {
        let frame = testing::message(peer, *node.me(), kind, &[]);
        node.handle_frame(Time(at), peer.id, peer.generation, &frame);
        core::iter::from_fn(|| node.poll_outgoing()).collect()
    }

    #[test]
    fn who_asks_is_told_who_is_down_as_many_as_fit() {
        let (me, peer) = (member(1), member(2));
        let (announce, ping) = (6, 0);
        let mut node = Membership::new(&Config::lan(), me, 1, Time(0));
        let told = |node: &mut Membership, at, kind| {
            let mut told = BTreeSet::new();
            for Outgoing { frame, .. } in tell(node, at, peer, kind) {
                assert!(frame.len() <= node.foca_config.max_packet_size.get());
                let incoming = codec::take_frame(&frame, me.id, me.generation, &peer).unwrap();
                let updates = incoming.datagram.updates;
                let down = updates.iter().filter(|update| update.state() == State::Down);
                told.extend(down.map(|update| update.id().id));
            }
            told
        };
        let forget_news = |node: &mut Membership| while node.poll_outgoing().is_some() {};
        node.contact(Time(0), &[(peer, MemberState::Alive), (member(3), MemberState::Alive)]);
        assert_eq!(told(&mut node, 1, announce), [].into());
        node.contact(Time(2), &[(member(3), MemberState::Down)]);
        forget_news(&mut node);
        assert_eq!(told(&mut node, 3, announce), [member(3).id].into());
        let gone: Vec<_> = (3..=200).map(|n| (member(n), MemberState::Down)).collect();
        node.contact(Time(4), &gone);
        // The news itself goes along with other messages at first.
        (0..500).for_each(|_| drop(tell(&mut node, 5, peer, ping)));
        let first = told(&mut node, 6, announce);
        assert!(first.len() > 20 && first.len() < gone.len());
        let mut all = first;
        (7..107).for_each(|at| all.extend(told(&mut node, at, announce)));
        assert_eq!(all.len(), gone.len(), "who asks again learns of the others");
    }

    #[test]
    fn a_ping_without_news_is_answered_but_not_by_who_gave_up_its_life() {
        let (me, peer) = (member(1), member(2));
        let (ping, ack, gossip, turn_undead) = (0, 1, 8, 9);
        let mut node = Membership::new(&Config::lan(), me, 1, Time(0));
        node.contact(Time(0), &[(peer, MemberState::Alive)]);
        while node.poll_outgoing().is_some() {}
        let header = Header { src: me, src_incarnation: 0, dst: peer, message: Message::Ack(1) };
        let frame = codec::compose(&header, node.digest(), &[]);
        assert_eq!(tell(&mut node, 1, peer, ping), [Outgoing { to: peer, frame, asks: false }]);
        assert_eq!(tell(&mut node, 2, peer, ack), []);
        assert_eq!(tell(&mut node, 3, peer, gossip), []);
        tell(&mut node, 4, peer, turn_undead);
        assert!(node.me().replaces(&me) && !node.defunct, "it takes a new life");
        tell(&mut node, 5, peer, turn_undead);
        assert!(node.defunct, "the next has to wait");
        assert_eq!(tell(&mut node, 6, peer, ping), []);
    }
}
