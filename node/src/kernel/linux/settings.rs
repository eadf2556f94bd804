//! Settings of links in `/proc/sys/net`, which shows those of the namespace that the thread is in.

use std::{collections::BTreeMap, fs, io};

use netnode_plan::{host::Setting, records::LinkName};

const ALL: [Setting; 7] = [
    Setting::DisableV6,
    Setting::AcceptRa,
    Setting::AddrGenMode,
    Setting::Forwarding,
    Setting::ForwardingV6,
    Setting::RpFilter,
    Setting::RouteLocalnet,
];

fn path(link: &LinkName, setting: Setting) -> String {
    let (family, name) = match setting {
        Setting::DisableV6 => ("ipv6", "disable_ipv6"),
        Setting::AcceptRa => ("ipv6", "accept_ra"),
        Setting::AddrGenMode => ("ipv6", "addr_gen_mode"),
        Setting::Forwarding => ("ipv4", "forwarding"),
        Setting::ForwardingV6 => ("ipv6", "force_forwarding"),
        Setting::RpFilter => ("ipv4", "rp_filter"),
        Setting::RouteLocalnet => ("ipv4", "route_localnet"),
    };
    format!("/proc/sys/net/{family}/conf/{link}/{name}")
}

/// Those that this kernel has: without IPv6 (`ipv6.disable=1`), half of them.
pub(super) fn read(link: &LinkName) -> BTreeMap<Setting, u32> {
    let value = |setting| {
        let text = fs::read_to_string(path(link, setting)).ok()?;
        Some((setting, text.trim().parse().ok()?))
    };
    ALL.into_iter().filter_map(value).collect()
}

/// Sets one. What the kernel does not have need not be set.
pub(super) fn write(link: &LinkName, setting: Setting, value: u32) -> io::Result<()> {
    match fs::write(path(link, setting), value.to_string()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
