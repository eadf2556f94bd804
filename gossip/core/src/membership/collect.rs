//! What one call into foca left behind: messages to send and members that may have changed.
//!
//! foca's timers are not kept: probing, suspicion and announcing are scheduled by this crate (see the
//! [module](super)), so that they can be stretched, jittered and refused when late.

use alloc::{collections::BTreeSet, vec::Vec};
use core::time::Duration;

use foca::{Incarnation, Notification, Timer};

use super::Member;
use crate::identity::NodeId;

#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// Messages, as foca encoded them.
    pub(crate) messages: Vec<(Member, Vec<u8>)>,
    /// Nodes whose state may have changed.
    pub(crate) touched: BTreeSet<NodeId>,
    /// The incarnation that the last message was sent with.
    pub(crate) incarnation: Option<Incarnation>,
    /// foca gave up its identity: it left, or was told that it is down.
    pub(crate) defunct: bool,
}

impl foca::Runtime<Member> for Collected {
    fn notify(&mut self, notification: Notification<'_, Member>) {
        match notification {
            Notification::MemberUp(member)
            | Notification::MemberDown(member)
            | Notification::ProbeFailed(_, member)
            | Notification::Rename(_, member) => {
                self.touched.insert(member.id);
            }
            Notification::Defunct => self.defunct = true,
            Notification::DataSent(header) => self.incarnation = Some(header.src_incarnation),
            Notification::DataReceived(_)
            | Notification::Rejoin(_)
            | Notification::Active
            | Notification::Idle => {}
        }
    }

    fn send_to(&mut self, to: Member, data: &[u8]) {
        self.messages.push((to, data.to_vec()));
    }

    fn submit_after(&mut self, _: Timer<Member>, _: Duration) {}
}
