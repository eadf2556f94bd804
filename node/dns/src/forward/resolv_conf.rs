//! The resolvers of the host, as `resolv.conf` names them, and the `resolv.conf` of a sandbox.
//!
//! Sockets towards them are opened in this process's own network namespace, the host's, so an address of the
//! loopback is the host's and not the sandbox's: systemd-resolved's stub at 127.0.0.53 works as it stands.
//! Only what leads back to ourselves has to be left out.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use crate::limits::{MAX_KEPT, MAX_UPSTREAMS};

/// The port of DNS (RFC 1035, 4.2).
const PORT: u16 = 53;
/// The option that says from how many dots on a name is asked for before anything is searched.
const NDOTS: &str = "ndots:";

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

/// The `resolv.conf` of a sandbox that is answered at `at`, on a host with this one.
///
/// What the host says of searching and of options holds in the sandbox as well, up to [`MAX_KEPT`] bytes; whole
/// lines beyond that are left out. A name with a single label is asked for as it is before anything is searched
/// (`ndots:0`, as Docker has it), unless the host says otherwise: it is most often one of ours.
pub fn of_sandbox(host: &str, at: IpAddr) -> String {
    let mut text =
        format!("# What was here before comes back when netnode lets go.\nnameserver {at}\n");
    let (mut left, mut has_ndots) = (MAX_KEPT, false);
    for line in host.lines() {
        let mut words = line.split_ascii_whitespace();
        // "domain" is a search list of one (resolv.conf(5)).
        let keep = matches!(words.next(), Some("search" | "domain" | "options"));
        if keep && line.len() < left {
            left -= line.len() + 1;
            has_ndots |= line.starts_with("options") && words.any(|word| word.starts_with(NDOTS));
            text.push_str(line.trim_ascii());
            text.push('\n');
        }
    }
    if !has_ndots {
        text.push_str("options ndots:0\n");
    }
    text
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

    fn sandboxs(host: &str) -> Vec<String> {
        let text = of_sandbox(host, [127, 0, 0, 11].into());
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    }

    #[test]
    fn a_sandbox_searches_as_its_host_does_and_asks_us_alone() {
        let host = "\
# search commented.example
nameserver 192.0.2.1
search example.org\tcorp.example
options edns0 timeout:3
sortlist 10.0.0.0
";
        let kept = ["search example.org\tcorp.example", "options edns0 timeout:3"];
        let expected = [["nameserver 127.0.0.11"].as_slice(), &kept, &["options ndots:0"]].concat();
        assert_eq!(sandboxs(host), expected);
        assert_eq!(sandboxs(""), ["nameserver 127.0.0.11", "options ndots:0"]);
        let own = ["nameserver 127.0.0.11", "domain example.org", "options edns0 ndots:2"];
        assert_eq!(sandboxs("domain example.org\noptions edns0 ndots:2"), own);
        // What it is given leads to us, and not to the host's own.
        let read = upstreams(&of_sandbox(host, [127, 0, 0, 11].into()), |_| false, |_| None);
        assert_eq!(read, ["127.0.0.11:53".parse().unwrap()]);
    }

    #[test]
    fn lines_beyond_the_bound_are_not_kept() {
        let line = |bytes: usize| format!("search {}", "x".repeat(bytes - "search \n".len()));
        let whole = line(MAX_KEPT);
        assert!(sandboxs(&whole).contains(&whole));
        assert!(!sandboxs(&line(MAX_KEPT + 1)).iter().any(|line| line.starts_with("search")));
        let two = format!("{}\n{}", line(MAX_KEPT - 20), line(40));
        assert_eq!(sandboxs(&two).len(), 3);
    }
}
