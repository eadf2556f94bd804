//! What was led to the endpoints behind bridges, or to other nodes, by ports of the host, and is to end: a client that
//! never stops talking, as of UDP, would stay with one that is gone, and never get to whoever has the port now.

use alloc::collections::{BTreeMap, BTreeSet};
use core::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::{Firewall, Protocol};
use crate::lb::Kept;

/// A protocol's number, a port of the host, and where it leads.
pub type Lead = (u8, u16, SocketAddr);

/// Other nodes that ports lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Away {
    /// Where they are.
    pub subnets: BTreeSet<IpNet>,
    /// What goes on there though it may get nothing new. Of what is not among them, connections go on as
    /// [`Firewall::endpoints`] says.
    pub leads: BTreeSet<Lead>,
}

/// What of what was led to endpoints goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Led {
    /// Where endpoints are, or were a moment ago.
    subnets: BTreeSet<IpNet>,
    endpoints: BTreeMap<IpAddr, Kept>,
    leads: BTreeSet<Lead>,
}

impl Led {
    /// As it is wanted of a host.
    pub fn of(wanted: &Firewall) -> Self {
        let subnets = wanted.bridges.values().flat_map(|bridge| bridge.subnets.iter().copied());
        let subnets = subnets.chain(wanted.away.subnets.iter().copied());
        let mut leads = wanted.away.leads.clone();
        for (front, backs) in &wanted.published {
            leads.extend(backs.iter().map(|to| (front.protocol.number(), front.port, to)));
        }
        Self { subnets: subnets.collect(), endpoints: wanted.endpoints.clone(), leads }
    }

    /// What has to end, if something that went on `before` may have to; where endpoints were counts as well.
    pub fn ends_of(&self, before: &Self) -> Option<Self> {
        let falls =
            |(at, kept): (&IpAddr, &Kept)| self.endpoints.get(at).is_none_or(|now| now < kept);
        let loses = |lead: &Lead| self.endpoints.get(&lead.2.ip()) != Some(&Kept::All);
        let ends =
            before.endpoints.iter().any(falls) || before.leads.difference(&self.leads).any(loses);
        ends.then(|| {
            let subnets = self.subnets.union(&before.subnets).copied().collect();
            Self { subnets, ..self.clone() }
        })
    }

    /// Whether something for an address of the host that was led `to` another goes on: as long as a port leads
    /// there, and as the endpoint has it. What was not led to an endpoint is nobody's business here.
    pub fn keeps(&self, protocol: u8, front: SocketAddr, to: SocketAddr) -> bool {
        let is_led = || self.leads.contains(&(protocol, front.port(), to));
        if !self.subnets.iter().any(|subnet| subnet.contains(&to.ip())) || is_led() {
            return true;
        }
        match self.endpoints.get(&to.ip()) {
            Some(Kept::All) => true,
            Some(Kept::Connections) => protocol == Protocol::Tcp.number(),
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::firewall::{Backs, Bind, Bridge, Front, WayOut};

    fn host(endpoints: &[(&str, Kept)], leads_to: &str) -> Led {
        let mut firewall = Firewall::default();
        let subnets = [IpNet::V4("10.1.0.0/24".parse().unwrap())].into();
        let bridge = Bridge { subnets, way_out: WayOut::Masqueraded };
        firewall.bridges.insert("br1".parse().unwrap(), bridge);
        let endpoints = endpoints.iter().map(|(at, kept)| (at.parse().unwrap(), *kept));
        firewall.endpoints = endpoints.collect();
        let front = Front { bind: Bind::Any, protocol: Protocol::Udp, port: 53 };
        let backs = Backs { v4: [leads_to.parse().unwrap()].into(), v6: [].into() };
        firewall.published.insert(front, backs);
        Led::of(&firewall)
    }

    #[test]
    fn what_was_led_to_one_that_is_gone_ends_and_nothing_else() {
        let (udp, tcp) = (Protocol::Udp.number(), Protocol::Tcp.number());
        let at = |text: &str| -> SocketAddr { text.parse().unwrap() };
        let (front, one, two) = (at("192.0.2.1:53"), at("10.1.0.2:5353"), at("10.1.0.3:5353"));
        let both = |kept| host(&[("10.1.0.2", kept), ("10.1.0.3", Kept::All)], "10.1.0.2:5353");
        let before = both(Kept::All);
        assert_eq!(before.ends_of(&before), None);
        let gone = host(&[("10.1.0.3", Kept::All)], "10.1.0.3:5353");
        assert_eq!(before.ends_of(&gone), None, "who comes ends nothing");
        let ends = gone.ends_of(&before).unwrap();
        assert!(!ends.keeps(udp, front, one) && !ends.keeps(tcp, front, one));
        assert!(ends.keeps(udp, front, two) && ends.keeps(udp, front, at("10.2.0.2:5353")));
        // Its bridge may be gone with it.
        let ends = Led::default().ends_of(&before).unwrap();
        assert!(!ends.keeps(udp, front, one) && ends.keeps(udp, front, at("10.2.0.2:5353")));
        // Who does not answer keeps connections, and what has a port.
        let silent = both(Kept::Connections);
        let ends = silent.ends_of(&before).unwrap();
        assert!(ends.keeps(tcp, front, one) && ends.keeps(udp, front, one));
        let endpoints = [("10.1.0.2", Kept::Connections), ("10.1.0.3", Kept::All)];
        let passed = host(&endpoints, "10.1.0.3:5353");
        let ends = passed.ends_of(&silent).unwrap();
        assert!(ends.keeps(tcp, front, one) && !ends.keeps(udp, front, one));
        // Who gets nothing new, and has the port no more, ends what it has begun.
        let drains = host(&[("10.1.0.2", Kept::All), ("10.1.0.3", Kept::All)], "10.1.0.3:5353");
        assert_eq!(drains.ends_of(&before), None);
    }
}
