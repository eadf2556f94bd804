//! Settings of links in `/proc/sys/net`, which shows those of the namespace that the thread is in.

use std::{collections::BTreeMap, fs, io};

use netnode_plan::{
    host::{Kind, Setting},
    records::LinkName,
};

const OF_LINKS: [Setting; 8] = [
    Setting::DisableV6,
    Setting::AcceptRa,
    Setting::AddrGenMode,
    Setting::Forwarding,
    Setting::ForwardingV6,
    Setting::RpFilter,
    Setting::SrcValidMark,
    Setting::RouteLocalnet,
];

/// Those of a namespace's bridges all together.
const OF_BRIDGES: [Setting; 3] =
    [Setting::BridgeFilter, Setting::BridgeFilterV6, Setting::BridgeFilterArp];

/// Those of the end of a cable in a sandbox.
const OF_ENDS: [Setting; 4] =
    [Setting::AskAgain, Setting::AskAgainV6, Setting::Asks, Setting::AsksV6];

fn path(link: &LinkName, setting: Setting) -> String {
    let of_bridges = |what| format!("/proc/sys/net/bridge/bridge-nf-call-{what}");
    let of_neighbours = |family, name| format!("/proc/sys/net/{family}/neigh/{link}/{name}");
    let (family, name) = match setting {
        Setting::BridgeFilter => return of_bridges("iptables"),
        Setting::BridgeFilterV6 => return of_bridges("ip6tables"),
        Setting::BridgeFilterArp => return of_bridges("arptables"),
        Setting::AskAgain => return of_neighbours("ipv4", "retrans_time_ms"),
        Setting::AskAgainV6 => return of_neighbours("ipv6", "retrans_time_ms"),
        Setting::Asks => return of_neighbours("ipv4", "mcast_solicit"),
        Setting::AsksV6 => return of_neighbours("ipv6", "mcast_solicit"),
        Setting::DisableV6 => ("ipv6", "disable_ipv6"),
        Setting::AcceptRa => ("ipv6", "accept_ra"),
        Setting::AddrGenMode => ("ipv6", "addr_gen_mode"),
        Setting::Forwarding => ("ipv4", "forwarding"),
        Setting::ForwardingV6 => ("ipv6", "force_forwarding"),
        Setting::RpFilter => ("ipv4", "rp_filter"),
        Setting::SrcValidMark => ("ipv4", "src_valid_mark"),
        Setting::RouteLocalnet => ("ipv4", "route_localnet"),
    };
    format!("/proc/sys/net/{family}/conf/{link}/{name}")
}

/// Those that this kernel has: without IPv6 (`ipv6.disable=1`), half of them.
pub(super) fn read(link: &LinkName, kind: Option<&Kind>) -> BTreeMap<Setting, u32> {
    let of_kind: &[Setting] = match kind {
        Some(Kind::Bridge) => &OF_BRIDGES,
        Some(Kind::VethEnd) => &OF_ENDS,
        _ => &[],
    };
    let value = |setting| {
        let text = fs::read_to_string(path(link, setting)).ok()?;
        Some((setting, text.trim().parse().ok()?))
    };
    OF_LINKS.iter().chain(of_kind).copied().filter_map(value).collect()
}

/// Sets one. What the kernel does not have need not be set.
pub(super) fn write(link: &LinkName, setting: Setting, value: u32) -> io::Result<()> {
    match fs::write(path(link, setting), value.to_string()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
