//! Hosts as network namespaces with addresses of their own, connected by a switch.

use std::{net::Ipv4Addr, path::PathBuf};

use anyhow::Result;

use crate::namespaces::{Namespaces, by_hand};

/// The hosts, and the namespaces of all that runs on them.
#[derive(Debug)]
pub struct Hosts {
    /// Where more of them are made: sandboxes, for one.
    pub namespaces: Namespaces,
    /// The hosts.
    pub hosts: Vec<Host>,
}

/// One host.
#[derive(Clone, Debug)]
pub struct Host {
    /// The path that leads to its namespace.
    pub namespace: PathBuf,
    /// Its address, of RFC 5737's 192.0.2.0/24.
    pub address: Ipv4Addr,
}

impl Hosts {
    /// So many, each with `eth0` on the switch.
    pub fn new(count: u8) -> Result<Self> {
        let namespaces = Namespaces::new()?;
        let switch = namespaces.make("switch")?;
        by_hand(&switch, "ip link add switch type bridge")?;
        by_hand(&switch, "ip link set switch up")?;
        let mut hosts = Vec::new();
        for number in 1..=count {
            let namespace = namespaces.make(&format!("host{number}"))?;
            let address = Ipv4Addr::new(192, 0, 2, number);
            let own = namespace.display();
            by_hand(
                &switch,
                &format!("ip link add host{number} type veth peer name there{number}"),
            )?;
            by_hand(&switch, &format!("ip link set host{number} master switch up"))?;
            by_hand(&switch, &format!("ip link set there{number} netns {own} name eth0"))?;
            by_hand(&namespace, &format!("ip address add {address}/24 dev eth0"))?;
            by_hand(&namespace, "ip link set eth0 up")?;
            by_hand(&namespace, "ip link set lo up")?;
            hosts.push(Host { namespace, address });
        }
        Ok(Self { namespaces, hosts })
    }
}
