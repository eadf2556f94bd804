//! The kernel's numbers of links by their names, in one namespace, as far as they were needed.

use std::{collections::BTreeMap, io};

use netlink_packet_core::NLM_F_REQUEST;
use netlink_packet_route::{
    RouteNetlinkMessage,
    link::{LinkAttribute, LinkMessage},
};
use netnode_plan::records::LinkName;

use super::socket::Socket;

/// Numbers that were asked for.
#[derive(Debug, Default)]
pub(super) struct Indexes(BTreeMap<LinkName, u32>);

impl Indexes {
    pub(super) fn of(&mut self, socket: &mut Socket, name: &LinkName) -> io::Result<u32> {
        if let Some(index) = self.0.get(name) {
            return Ok(*index);
        }
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName(name.as_str().into()));
        match socket.ask(RouteNetlinkMessage::GetLink(message), NLM_F_REQUEST)? {
            Some(RouteNetlinkMessage::NewLink(link)) => {
                self.0.insert(name.clone(), link.header.index);
                Ok(link.header.index)
            }
            _ => Err(io::ErrorKind::NotFound.into()),
        }
    }

    /// After a link has come or gone.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}
