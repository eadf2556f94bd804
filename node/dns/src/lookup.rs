//! One question as a container would ask it, and the answer as text: for whoever wants to know what a container
//! gets.

use std::str::FromStr;

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query},
    rr::{Name, RecordType},
};

use crate::{Client, wire::Via};

/// A question that can't be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupError {
    /// Not a name of DNS.
    Name,
    /// Not a type of record.
    Kind,
}

/// What a container gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// How it ends, as `dig` says it: `NOERROR`, `NXDOMAIN`.
    pub status: String,
    /// Whether it is our own answer.
    pub authoritative: bool,
    /// Each record as in a zone file.
    pub records: Vec<String>,
}

impl Client {
    /// Asks for the records of a type (`A`, `AAAA`, `PTR`) that a name has; of an address by `PTR`, also as it is
    /// usually written.
    ///
    /// # Errors
    /// It is no question; nothing was asked.
    pub async fn look_up(&self, name: &str, kind: &str) -> Result<Answered, LookupError> {
        let kind = RecordType::from_str(&kind.to_ascii_uppercase());
        let kind = kind.map_err(|_| LookupError::Kind)?;
        let mut name = match name.parse::<std::net::IpAddr>() {
            Ok(address) if kind == RecordType::PTR => Name::from(address),
            _ => Name::from_ascii(name).map_err(|_| LookupError::Name)?,
        };
        name.set_fqdn(true);
        let mut message = Message::new(0, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(name, kind));
        let query = message.to_vec().map_err(|_| LookupError::Name)?;
        let answer = self.answer(&query, Via::Tcp).await.unwrap_or_default();
        let Ok(message) = Message::from_vec(&answer) else {
            let (status, records) = ("NO ANSWER".to_owned(), Vec::new());
            return Ok(Answered { status, authoritative: false, records });
        };
        Ok(Answered {
            status: status(u16::from(message.metadata.response_code)).to_owned(),
            authoritative: message.metadata.authoritative,
            records: message.answers.iter().map(ToString::to_string).collect(),
        })
    }
}

/// The mnemonics of IANA's registry.
fn status(code: u16) -> &'static str {
    match code {
        0 => "NOERROR",
        1 => "FORMERR",
        2 => "SERVFAIL",
        3 => "NXDOMAIN",
        4 => "NOTIMP",
        5 => "REFUSED",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Forwarder, Settings, names::fake::Fake};

    #[tokio::test]
    async fn a_name_is_looked_up_as_a_container_would() {
        let client = Client::new(Fake::forwarding(), Forwarder::new(Settings::default()));
        let found = client.look_up("WEB.", "aaaa").await.unwrap();
        assert_eq!((found.status.as_str(), found.authoritative), ("NOERROR", true));
        assert!(found.records[0].ends_with("AAAA 2001:db8::1"), "{found:?}");
        let unsure = client.look_up("unsure", "A").await.unwrap();
        assert_eq!((unsure.status.as_str(), unsure.records.len()), ("SERVFAIL", 0));
        let failed = client.look_up("two.labels", "A").await.unwrap();
        assert_eq!(failed.status, "SERVFAIL");
        assert_eq!(client.look_up("web", "nonsense").await, Err(LookupError::Kind));
        assert_eq!(client.look_up(&"a".repeat(64), "A").await, Err(LookupError::Name));
    }
}
