//! Hand-made messages for tests of other rooms.

use alloc::vec::Vec;

use foca::{Header, Message, State};

use super::{
    Member,
    codec::{Update, compose},
};

/// A message of that kind (see the codec) about `src` where it needs somebody.
pub(crate) fn message(src: Member, dst: Member, kind: u8, updates: &[Update]) -> Vec<u8> {
    let (target, origin, probe_number) = (src, src, 1);
    let message = match kind {
        0 => Message::Ping(probe_number),
        1 => Message::Ack(probe_number),
        2 => Message::PingReq { target, probe_number },
        3 => Message::IndirectPing { origin, probe_number },
        4 => Message::IndirectAck { target, probe_number },
        5 => Message::ForwardedAck { origin, probe_number },
        6 => Message::Announce,
        7 => Message::Feed,
        8 => Message::Gossip,
        9 => Message::TurnUndead,
        _ => Message::Broadcast,
    };
    compose(&Header { src, src_incarnation: 0, dst, message }, 0, updates)
}

pub(crate) fn update_of(member: Member, incarnation: u16, state: u8) -> Update {
    let state = [State::Alive, State::Suspect, State::Down][usize::from(state)];
    Update::new(member, incarnation, state)
}
