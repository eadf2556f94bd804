//! What this kernel lacks of what drivers need: found out by trying it, in a namespace that ends with the
//! attempt.

use std::{
    fs::File,
    io,
    net::{Ipv4Addr, Ipv6Addr, UdpSocket},
    path::PathBuf,
    thread,
};

use netnode_plan::{
    firewall::{Base, Edit, Hook, Kind as ChainKind, Layer},
    host::{Action, Kind, Link, Mark, Place},
    records::{LinkName, LinkNameError, MacvlanMode, NetworkId},
};
use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
};

use super::{
    act::Session,
    filter,
    namespace::{Namespaces, inside},
    notices::Watches,
    socket::Socket,
};

/// Something that this kernel does not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this kernel has no {what} ({option}): {without}")]
pub struct Lack {
    /// What it is.
    pub what: &'static str,
    /// How the kernel's configuration calls it.
    pub option: &'static str,
    /// What does not work.
    pub without: &'static str,
}

const BRIDGES: Lack = Lack {
    what: "bridges",
    option: "CONFIG_BRIDGE",
    without: "networks of the overlay and bridge drivers do not work",
};
const VETH: Lack = Lack { what: "pairs of links", option: "CONFIG_VETH", ..BRIDGES };
const VXLAN: Lack = Lack {
    what: "VXLAN",
    option: "CONFIG_VXLAN",
    without: "networks of the overlay driver do not work",
};
const MACVLAN: Lack = Lack {
    what: "macvlans",
    option: "CONFIG_MACVLAN",
    without: "networks of the macvlan driver do not work",
};
const VLAN: Lack = Lack {
    what: "802.1Q VLANs",
    option: "CONFIG_VLAN_8021Q",
    without: "a macvlan's parent can't be a VLAN such as eth0.41",
};
const FILTER: Lack = Lack {
    what: "packet filter",
    option: "CONFIG_NF_TABLES",
    without: "networks have no way out of the host and publish no ports",
};
/// Without it there can be no [`Mesh`](netnode_plan::firewall::Mesh) whose nodes are named.
pub const EGRESS: Lack = Lack {
    what: "packet filter for frames that leave",
    option: "CONFIG_NETFILTER_EGRESS",
    without: "what comes to another node's published port for a backend here can't be answered with the client's own \
              address in sight",
};
const V6: Lack = Lack {
    what: "IPv6",
    option: "CONFIG_IPV6",
    without: "sandboxes can't be attached to networks with subnets of it",
};

/// Whether this kernel speaks IPv6: it was built with it, and not started with `ipv6.disable=1`.
pub fn has_v6() -> bool {
    let tried = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0));
    tried.map_or_else(|error| error.raw_os_error() != Some(Errno::EAFNOSUPPORT as i32), |_| true)
}

/// Tries all of it. Nothing of the host is touched.
///
/// # Errors
/// There can be no attempt: this process may not make namespaces.
pub fn lacks() -> io::Result<Vec<Lack>> {
    thread::scope(|scope| {
        let tried = scope.spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            attempt(File::open("/proc/thread-self/ns/net")?)
        });
        tried.join().unwrap_or_else(|_| Err(io::Error::other("the attempt was lost")))
    })
}

fn attempt(own: File) -> io::Result<Vec<Lack>> {
    let filter = filter::look(&own, None).err().map(|_| FILTER);
    let namespaces = Namespaces::new(own, PathBuf::new());
    let name = |text: &str| {
        LinkName::new(text).map_err(|error: LinkNameError| io::Error::other(error.to_string()))
    };
    let (bridge, peer) = (name("bridge")?, name("peer")?);
    let local = Ipv4Addr::LOCALHOST.into();
    // The bridge comes first: others lie on it.
    let kinds = [
        (BRIDGES, bridge.clone(), Kind::Bridge),
        (VETH, name("veth")?, Kind::Veth { peer_at: Place::Host, peer }),
        (VXLAN, name("vxlan")?, Kind::Vxlan { vni: 1, port: 4789, local }),
        (
            MACVLAN,
            name("macvlan")?,
            Kind::Macvlan { parent: bridge.clone(), mode: MacvlanMode::Bridge },
        ),
        (VLAN, name("vlan")?, Kind::Vlan { parent: bridge, id: 2 }),
    ];
    let mut watches = Watches::new(&namespaces.open(&Place::Host)?)?;
    let mut lacks = Vec::new();
    for (lack, name, kind) in kinds {
        let link = Box::new(Link::new(Mark::network(NetworkId([0; 16])), kind, 1500));
        let made = [Action::AddLink { at: Place::Host, name, link }];
        let failures = Session::new(&namespaces, &mut watches).act(&made);
        let unknown = |error: &io::Error| error.raw_os_error() == Some(Errno::EOPNOTSUPP as i32);
        if failures.iter().any(|failure| unknown(&failure.error)) {
            lacks.push(lack);
        }
    }
    lacks.extend(filter);
    let lacks_egress = filter.is_none() && !has_egress(&namespaces, name("lo")?)?;
    lacks.extend(lacks_egress.then_some(EGRESS));
    lacks.extend((!has_v6()).then_some(V6));
    Ok(lacks)
}

/// Tries it on a link that every namespace has.
fn has_egress(namespaces: &Namespaces, link: LinkName) -> io::Result<bool> {
    let own = namespaces.open(&Place::Host)?;
    let base =
        Base { kind: ChainKind::Filter, hook: Hook::Egress(link), priority: 0, drops: false };
    let edits = vec![Edit::AddTable, Edit::AddChain("egress".into(), Some(base))];
    let mut socket = inside(&own, Socket::netfilter)??;
    let generation = filter::generation(&mut socket)?;
    let tried = filter::edit(&mut socket, generation, &[(Layer::Frames, edits)].into());
    // No such chains, or none of that family.
    let unknown = [Errno::EOPNOTSUPP, Errno::ENOENT].map(|code| Some(code as i32));
    Ok(!tried.is_err_and(|error| unknown.contains(&error.raw_os_error())))
}
