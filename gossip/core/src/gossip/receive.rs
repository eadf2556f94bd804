//! What happens to a received packet, step by step. Whatever is wrong is counted and ends it.

use core::net::SocketAddr;

use super::{Gossip, MemberState, Output, UNKNOWN_KEY_PERIOD};
use crate::{
    identity::NodeId,
    link::Kind,
    membership,
    packet::{self, DropReason, Frames, Opened},
    time::Now,
};

impl Gossip {
    pub(super) fn receive(&mut self, now: Now, from: SocketAddr, bytes: &mut [u8]) {
        let len = bytes.len() as u64;
        let me = self.membership.me().id;
        let checked = packet::open(bytes, self.cluster, me, &self.keyring)
            .and_then(|opened| self.admit(now, from, &opened).map(|()| opened));
        match checked {
            Ok(opened) => {
                self.stats.packets_received += 1;
                self.stats.bytes_received += len;
                self.take(now, from, &opened);
            }
            Err(reason) => {
                self.stats.drops.count(reason);
                if reason == DropReason::UnknownKey {
                    self.tell_unknown_key(now, from);
                }
            }
        }
    }

    /// Everything about an opened packet that can be wrong as a whole.
    fn admit(&mut self, now: Now, from: SocketAddr, opened: &Opened) -> Result<(), DropReason> {
        let (id, generation) = (opened.sender, opened.generation);
        if id == self.membership.me().id {
            self.membership.own_name(generation);
            return Err(DropReason::OwnName);
        }
        if !opened.addressed && !all_announces(opened.frames.clone()) {
            return Err(DropReason::Unaddressed);
        }
        let known = self.membership.view().get(id).map(|known| known.member.generation);
        if known.is_some_and(|known| known > generation) {
            // Its life is over; it may be a restored snapshot that has to be told.
            self.membership.answer_outcast(now.mono, (id, generation), from);
            return Err(DropReason::StaleGeneration);
        }
        self.links.accept(now.mono, (id, generation, opened.number), from)
    }

    fn take(&mut self, now: Now, from: SocketAddr, opened: &Opened) {
        let id = opened.sender;
        let mut membership = false;
        for frame in opened.frames.clone().filter(|frame| frame.kind == Kind::Membership as u8) {
            membership = true;
            self.membership.handle_frame(now.mono, id, opened.generation, frame.body);
        }
        self.membership.heard(id);
        let state = self.membership.view().get(id).map(|known| known.state);
        if state == Some(MemberState::Down) {
            self.stats.from_down += 1;
            if !membership {
                self.membership.answer_outcast(now.mono, (id, opened.generation), from);
            }
            return;
        }
        self.links.took(id, opened.number);
        self.take_frames(now, id, opened.frames.clone());
    }

    fn take_frames(&mut self, now: Now, id: NodeId, frames: Frames) {
        for frame in frames {
            match Kind::of(frame.kind) {
                Some(Kind::Membership) => {}
                Some(kind @ (Kind::Ack | Kind::TimeProbe | Kind::TimeReply)) => {
                    let me = *self.membership.me();
                    if self.links.handle(now, &me, id, kind, frame.body).is_none() {
                        self.stats.frames_ignored += 1;
                    }
                }
                Some(kind @ (Kind::Acked | Kind::Plain)) => {
                    if kind == Kind::Acked {
                        self.links.acknowledge(now.mono, id);
                    }
                    self.outputs.push_back(Output::Received { from: id, frame: frame.body.into() });
                }
                None => self.stats.frames_ignored += 1,
            }
        }
    }

    fn tell_unknown_key(&mut self, now: Now, from: SocketAddr) {
        let due = self.unknown_key_at.is_none_or(|last| now.mono >= last + UNKNOWN_KEY_PERIOD);
        if due {
            self.unknown_key_at = Some(now.mono);
            self.outputs.push_back(Output::UnknownKey { from });
        }
    }
}

/// The only thing that may come in a packet for nobody in particular.
fn all_announces(mut frames: Frames) -> bool {
    frames.all(|frame| frame.kind == Kind::Membership as u8 && membership::is_announce(frame.body))
}
