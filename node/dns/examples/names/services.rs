//! Names in a map, the simplest that there can be: the example serves them, the benchmark looks them up.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};

use netnode_dns::{Family, Names, Verdict};

/// One address for each name.
pub(crate) struct Services(pub(crate) BTreeMap<String, Ipv4Addr>);

impl Names for Services {
    fn addresses(&self, name: &str, family: Family, out: &mut Vec<IpAddr>) -> Verdict {
        match (self.0.get(name), family) {
            (Some(address), Family::V4) => out.push((*address).into()),
            (Some(_), Family::V6) => return Verdict::NoData,
            (None, _) => return Verdict::NoName,
        }
        Verdict::Found
    }

    fn pointers(&self, _: IpAddr, _: &mut Vec<String>) -> Verdict {
        Verdict::NotOurs
    }

    fn ttl(&self) -> u32 {
        5
    }

    fn may_forward(&self) -> bool {
        false
    }
}
