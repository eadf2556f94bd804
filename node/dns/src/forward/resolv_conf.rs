//! The resolvers of the host, as `resolv.conf` names them.
//!
//! Sockets towards them are opened in this process's own network namespace, the host's, so an address of the
//! loopback is the host's and not the sandbox's: systemd-resolved's stub at 127.0.0.53 works as it stands.
//! Only what leads back to ourselves has to be left out.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::limits::MAX_UPSTREAMS;

/// The port of DNS (RFC 1035, 4.2).
const PORT: u16 = 53;

/// The name servers of a `resolv.conf` in their order, each once, without those that `is_ours`.
///
/// A line that can't be read is passed over, as the C library does. `scope` finds the number of an interface
/// by its name, for addresses such as `fe80::1%eth0`; one whose interface is not there is left out.
pub fn upstreams(
    text: &str,
    is_ours: impl Fn(IpAddr) -> bool,
    scope: impl Fn(&str) -> Option<u32>,
) -> Vec<SocketAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split_ascii_whitespace();
        if words.next() != Some("nameserver") {
            continue;
        }
        let Some(address) = words.next().and_then(|word| address(word, &scope)) else { continue };
        if !is_ours(address.ip()) && !found.contains(&address) && found.len() < MAX_UPSTREAMS {
            found.push(address);
        }
    }
    found
}

fn address(word: &str, scope: impl Fn(&str) -> Option<u32>) -> Option<SocketAddr> {
    let Some((address, interface)) = word.split_once('%') else {
        return Some(SocketAddr::new(word.parse().ok()?, PORT));
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let scope = interface.parse().ok().or_else(|| scope(interface))?;
    Some(SocketAddrV6::new(address, PORT, 0, scope).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let ours = |address: IpAddr| address.to_string() == "127.0.0.11";
        let scope = |name: &str| (name == "eth0").then_some(7);
        upstreams(text, ours, scope).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn name_servers_are_read_in_their_order() {
        let text = "\
# nameserver 1.1.1.1
domain example.org
nameserver\t127.0.0.53
nameserver 127.0.0.11
nameserver 2001:db8::1 # with words behind
options edns0
nameserver 127.0.0.53
nameserver fe80::1%eth0
nameserver fe80::1%gone
nameserver fe80::2%3
nameserver ten
nameserver
 nameserver 10.0.0.1
";
        assert_eq!(
            read(text),
            [
                "127.0.0.53:53",
                "[2001:db8::1]:53",
                "[fe80::1%7]:53",
                "[fe80::2%3]:53",
                "10.0.0.1:53"
            ]
        );
        assert!(read("").is_empty());
    }

    #[test]
    fn those_beyond_the_bound_are_left_out() {
        let line = |n| format!("nameserver 10.0.0.{n}");
        let lines: Vec<String> = (0..=MAX_UPSTREAMS).map(line).collect();
        assert_eq!(read(&lines[..MAX_UPSTREAMS].join("\n")).len(), MAX_UPSTREAMS);
        assert_eq!(read(&lines.join("\n")).len(), MAX_UPSTREAMS);
    }
}
