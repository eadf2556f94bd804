//! What a link is right after it was made.

use super::{Kind, Link, SeenLink};

/// What [`AddLink`](super::Action::AddLink) leaves: everything else is still to do, its alias too.
pub(super) fn fresh(link: &Link) -> SeenLink {
    // The other end of a pair has neither: it was made by naming it.
    let told = link.kind != Kind::VethEnd;
    SeenLink {
        kind: Some(link.kind.clone()),
        mac: link.mac.filter(|_| told),
        mtu: if told { link.mtu } else { 0 },
        ..SeenLink::default()
    }
}
