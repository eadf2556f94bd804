//! How the settings of the names that sandboxes ask for are written.

use std::net::SocketAddr;

use super::text::{Text, address};

/// The port of DNS (RFC 1035, 4.2).
const PORT: u16 = 53;
/// The longest name that leaves room for what comes before it (RFC 1035, 2.3.4: 255 bytes in all).
const MAX_DOMAIN: usize = 120;
/// The longest label (RFC 1035, 2.3.4).
const MAX_LABEL: usize = 63;

/// Where sandboxes are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsAddress(pub(crate) SocketAddr);

/// What our own names end with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain(pub(crate) String);

/// Who is asked for what is not ours; nobody is named at first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolvers(pub(crate) Vec<SocketAddr>);

/// An address, or `off`.
impl Text for Option<DnsAddress> {
    fn read(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(None);
        }
        let fits = |at: &SocketAddr| !at.ip().is_unspecified() && !at.ip().is_multicast();
        let address = address(text, PORT).filter(|at| fits(at) && at.port() != 0);
        address.map(|address| Some(DnsAddress(address))).ok_or_else(|| {
            "expected one address inside sandboxes, as in 127.0.0.11 or 127.0.0.11:53, or off"
                .to_owned()
        })
    }
    fn show(&self) -> Option<String> {
        Some(self.map_or_else(|| "off".to_owned(), |DnsAddress(address)| address.to_string()))
    }
}

impl Text for Domain {
    fn read(text: &str) -> Result<Self, String> {
        let is_label = |label: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
            (1..=MAX_LABEL).contains(&label.len()) && label.bytes().all(allowed)
        };
        if text.len() > MAX_DOMAIN || !text.split('.').all(is_label) {
            return Err(format!(
                "expected a domain of at most {MAX_DOMAIN} bytes, as in netnode.internal"
            ));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
    fn show(&self) -> Option<String> {
        Some(self.0.clone())
    }
}

/// A list; of nobody, it is empty.
impl Text for Resolvers {
    fn read(text: &str) -> Result<Self, String> {
        let words = text.split([',', ' ']).filter(|word| !word.is_empty());
        let addresses: Option<Vec<_>> = words.map(|word| address(word, PORT)).collect();
        addresses.filter(|all| all.len() <= netnode_dns::limits::MAX_UPSTREAMS).map(Self).ok_or_else(
            || {
                format!(
                    "expected up to {} addresses with ',' between them, as in 192.0.2.1,[2001:db8::1]:53",
                    netnode_dns::limits::MAX_UPSTREAMS
                )
            },
        )
    }
    fn show(&self) -> Option<String> {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        (!all.is_empty()).then(|| all.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_the_port_of_dns_unless_they_say_another() {
        let read = |text| <Option<DnsAddress>>::read(text).map(|address| address.show());
        assert_eq!(read("127.0.0.53"), Ok(Some("127.0.0.53:53".into())));
        assert_eq!(read("127.0.0.11:5353"), Ok(Some("127.0.0.11:5353".into())));
        assert_eq!(read("off"), Ok(Some("off".into())));
        for bad in ["", "0.0.0.0", "on", "127.0.0.11:0", "ff02::1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
        let resolvers = Resolvers::read("192.0.2.1, [2001:db8::1]:5353").unwrap();
        assert_eq!(resolvers.show().as_deref(), Some("192.0.2.1:53,[2001:db8::1]:5353"));
        assert_eq!(Resolvers::read("").map(|none| none.show()), Ok(None));
        assert!(Resolvers::read("resolver.example").is_err());
    }

    #[test]
    fn a_domain_is_labels_in_lower_case() {
        assert_eq!(Domain::read("Cluster.Example"), Ok(Domain("cluster.example".into())));
        let long = "a".repeat(MAX_LABEL + 1);
        for bad in ["", ".", "a..b", "a.", "a b", long.as_str()] {
            assert!(Domain::read(bad).is_err(), "{bad}");
        }
    }
}
