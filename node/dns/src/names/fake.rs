//! Names for tests: a few of each kind. Whatever has two labels is somebody else's.

use std::{
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use super::{Family, Names, Verdict};

/// Seconds that what is ours may be kept.
pub(crate) const TTL: u32 = 5;

pub(crate) struct Fake {
    pub(crate) may_forward: bool,
}

impl Fake {
    pub(crate) fn forwarding() -> Arc<Self> {
        Arc::new(Self { may_forward: true })
    }
}

pub(crate) fn four(n: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, n).into()
}

pub(crate) fn six() -> IpAddr {
    "2001:db8::1".parse().unwrap()
}

impl Names for Fake {
    fn addresses(&self, name: &str, family: Family, out: &mut Vec<IpAddr>) -> Verdict {
        assert!(out.is_empty() && !name.bytes().any(|byte| byte.is_ascii_uppercase()));
        match (name, family) {
            ("web", Family::V4) => out.extend([four(1), four(2)]),
            ("web", Family::V6) => out.push(six()),
            ("four", Family::V4) => out.push(four(4)),
            ("many", Family::V4) => out.extend((0..100).map(four)),
            ("four" | "many", Family::V6) => return Verdict::NoData,
            ("unsure", _) => return Verdict::Unsure,
            _ if name.contains('.') => return Verdict::NotOurs,
            _ => return Verdict::NoName,
        }
        Verdict::Found
    }

    fn pointers(&self, address: IpAddr, out: &mut Vec<String>) -> Verdict {
        if address == four(1) || address == six() {
            out.extend(["web.blue".to_owned(), "not a..name".to_owned(), "web".to_owned()]);
            return Verdict::Found;
        }
        if address == four(9) { Verdict::NoName } else { Verdict::NotOurs }
    }

    fn ttl(&self) -> u32 {
        TTL
    }

    fn may_forward(&self) -> bool {
        self.may_forward
    }
}
