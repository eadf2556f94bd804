//! What the members are called, as of one moment, for showing owners and for finding them by name.

use std::collections::BTreeMap;

use netdb::{MemberInfo, NetDb, NodeId, Stopped};
use netnode_api::{
    error::{Code, Problem},
    node::Who,
};

/// Names of members.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<NodeId, Option<String>>);

impl Names {
    pub(super) async fn ask(db: &NetDb) -> Result<Self, Stopped> {
        Ok(Self::from_members(&db.members().await?))
    }

    fn from_members(members: &[MemberInfo]) -> Self {
        let named =
            |info: &MemberInfo| (info.member.id, info.name.as_ref().map(ToString::to_string));
        Self(members.iter().map(named).collect())
    }

    pub(super) fn of(&self, node: NodeId) -> Option<&str> {
        self.0.get(&node)?.as_deref()
    }

    pub(super) fn who(&self, node: NodeId) -> Who {
        Who { id: node.to_string(), name: self.of(node).map(ToOwned::to_owned) }
    }

    /// The member with this name, this id, or the only one whose id starts so.
    pub(super) fn find(&self, text: &str) -> Result<NodeId, Problem> {
        if let Ok(id) = text.parse() {
            return Ok(id);
        }
        let named: Vec<NodeId> = self.select(|_, name| name == Some(text));
        let text_of_id = text.to_lowercase();
        let found = if named.is_empty() && !text.is_empty() {
            self.select(|id, _| id.to_string().starts_with(&text_of_id))
        } else {
            named
        };
        match found.as_slice() {
            [id] => Ok(*id),
            [] => Err(Problem::new(Code::NotFound, format!("no member is called {text}"))
                .with_hint("`netdbctl members` lists them")),
            several => {
                let message = format!("{text} may be any of {} members", several.len());
                Err(Problem::new(Code::Invalid, message).with_hint("give the whole id"))
            }
        }
    }

    fn select(&self, wanted: impl Fn(NodeId, Option<&str>) -> bool) -> Vec<NodeId> {
        let all = self.0.iter();
        all.filter(|(id, name)| wanted(**id, name.as_deref())).map(|(id, _)| *id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_found_by_name_by_id_and_by_its_start() {
        let id = |byte: u8| NodeId([byte; 16]);
        let called = |name: &str| Some(name.to_owned());
        let names = Names(BTreeMap::from([
            (id(0x11), called("a")),
            (id(0x12), called("twin")),
            (id(0x22), called("twin")),
            (id(0x33), None),
        ]));
        assert_eq!(names.find("a"), Ok(id(0x11)));
        assert_eq!(names.find("33"), Ok(id(0x33)));
        assert_eq!(names.find(&id(0x44).to_string()), Ok(id(0x44)));
        assert_eq!(names.find("twin").unwrap_err().code, Code::Invalid);
        assert_eq!(names.find("1").unwrap_err().code, Code::Invalid);
        assert_eq!(names.find("nobody").unwrap_err().code, Code::NotFound);
        assert_eq!(names.find("").unwrap_err().code, Code::NotFound);
    }
}
