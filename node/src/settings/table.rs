//! The table of settings. What stands here exists as a flag, a variable and a key of the file, is shown
//! by `config show`, and is compared at a reload.

use super::{Settings, VARIABLE_PREFIX, text::Text};

/// One setting.
pub struct Setting {
    /// Its name, as in the file.
    pub name: &'static str,
    /// What kind of value it takes, for the help.
    pub value: &'static str,
    /// Under which heading it stands.
    pub group: &'static str,
    /// Whether a reload can change it.
    pub live: bool,
    /// What it does.
    pub help: &'static str,
    /// Sets it; the error says what is expected.
    pub set: fn(&mut Settings, &str) -> Result<(), String>,
    /// What it is, if set.
    pub get: fn(&Settings) -> Option<String>,
}

impl Setting {
    /// Its flag.
    pub fn flag(&self) -> String {
        format!("--{}", self.name.replace('_', "-"))
    }

    /// Its environment variable.
    pub fn variable(&self) -> String {
        format!("{VARIABLE_PREFIX}{}", self.name.to_uppercase())
    }
}

/// The setting of this name.
pub fn find(name: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.name == name)
}

/// Heading of the settings that most people need.
pub const NODE: &str = "Node";
const LOG: &str = "Log";
const MEMBERS: &str = "Membership timings";
const PACKETS: &str = "Packets and links";
const TABLES: &str = "Tables";
const KEYS: &str = "Keys";
const ADDRESSES: &str = "Addresses";
const NAMES: &str = "Names";

/// One limit for both rooms that have it: who is admitted must also be kept as a member.
pub(super) fn set_max_members(node: &mut netdb::Settings, limit: usize) {
    node.max_members = limit;
    node.gossip.max_members = limit.max(2);
}

macro_rules! setting {
    ($group:ident $live:literal $name:literal $value:literal $($field:ident).+, $help:literal) => {
        Setting {
            name: $name,
            value: $value,
            group: $group,
            live: $live,
            help: $help,
            set: |settings, text| {
                settings.$($field).+ = Text::read(text)?;
                Ok(())
            },
            get: |settings| settings.$($field).+.show(),
        }
    };
}

const MAX_MEMBERS: Setting = Setting {
    name: "max_members",
    value: "N",
    group: MEMBERS,
    live: false,
    help: "The most nodes that may be admitted",
    set: |settings, text| {
        set_max_members(&mut settings.node, usize::read(text)?);
        Ok(())
    },
    get: |settings| settings.node.max_members.show(),
};

/// Every setting, in the order in which it is shown.
pub const SETTINGS: &[Setting] = &[
    setting!(NODE false "profile" "local|lan|wan" profile, "What the timings start from"),
    setting!(NODE false "state_dir" "PATH" state_dir, "Where the node's keys and durable tables are"),
    setting!(NODE false "socket" "PATH" socket, "The control socket, mode 0660"),
    setting!(NODE false "socket_group" "GROUP" socket_group, "The group (name or number) that may use the control socket"),
    setting!(NODE false "metrics_listen" "ADDRESS" metrics_listen, "Where to serve metrics over HTTP, a loopback address; nowhere by default"),
    setting!(NODE false "listen" "ADDRESS" listen, "Where to listen, for UDP and TCP"),
    setting!(NODE false "advertise" "ADDRESS" advertise, "What other nodes are told to send to, if it is not where this one listens"),
    setting!(NODE false "name" "NAME" name, "What people call the node; the host's name by default"),
    setting!(NODE false "labels" "LABELS" labels, "What you note about the node, as edge,zone=a: ports of services may be for nodes with a label alone"),
    setting!(LOG false "log_format" "human|json" log_format, "How logs look"),
    setting!(LOG true "log_level" "LEVEL" log_level, "What is logged: off, error, warn, info, debug, trace, or a list of target=level"),
    setting!(MEMBERS false "probe_period" "TIME" node.gossip.probe_period, "How often a neighbour is probed"),
    setting!(MEMBERS false "probe_timeout" "TIME" node.gossip.probe_timeout, "How long an answer may take before others are asked to probe"),
    setting!(MEMBERS false "indirect_probes" "N" node.gossip.indirect_probes, "How many others are asked"),
    setting!(MEMBERS false "random_probe_every" "N" node.gossip.random_probe_every, "Every how many periods a random member is probed as well"),
    setting!(MEMBERS false "suspicion" "TIME" node.gossip.suspicion, "How long a suspect may take to refute"),
    setting!(MEMBERS false "gossip_period" "TIME" node.gossip.gossip_period, "The least time between two rounds of membership gossip"),
    setting!(MEMBERS false "gossip_fanout" "N" node.gossip.gossip_fanout, "How many members get each round"),
    setting!(MEMBERS false "announce_period" "TIME" node.gossip.announce_period, "How often a random member is asked for the members it knows"),
    setting!(MEMBERS false "announce_down_min" "TIME" node.gossip.announce_down_min, "How soon a member that went down is called again"),
    setting!(MEMBERS false "announce_down_max" "TIME" node.gossip.announce_down_max, "How rarely it is called in the end"),
    setting!(MEMBERS false "forget_down_after" "TIME" node.gossip.forget_down_after, "When a down member is forgotten"),
    MAX_MEMBERS,
    setting!(PACKETS false "mtu" "BYTES" node.gossip.mtu, "The largest datagram, without IP and UDP headers"),
    setting!(PACKETS false "min_rto" "TIME" node.gossip.min_rto, "The shortest time after which an unacknowledged packet is repeated"),
    setting!(PACKETS false "initial_rto" "TIME" node.gossip.initial_rto, "The same before any round trip was measured"),
    setting!(PACKETS false "max_retries" "N" node.gossip.max_retries, "How often a frame is repeated before it is given up"),
    setting!(PACKETS false "window" "N" node.gossip.window, "The most packets in flight to one peer"),
    setting!(PACKETS false "queue_bytes" "BYTES" node.gossip.queue_bytes, "The most bytes queued for one peer"),
    setting!(TABLES true "fanout" "N" node.fanout, "How many copies of a write each node passes on"),
    setting!(TABLES true "compare_interval" "TIME" node.compare_interval, "How often each network is compared with a peer while things change"),
    setting!(TABLES true "compare_interval_max" "TIME" node.compare_interval_max, "The slowest comparison, while nothing differs"),
    setting!(TABLES true "tombstone_life" "TIME" node.tombstone_life, "How long deletes are remembered"),
    setting!(TABLES true "restart_hold" "TIME" node.restart_hold, "How long the rows of a restarting node stay in view without it"),
    setting!(TABLES true "replace_after" "TIME" node.replace_after, "How long a restarted node may take to publish its rows again"),
    setting!(TABLES true "purge_failed_after" "TIME" node.purge_failed_after, "How long a failed node's rows are remembered for its return"),
    setting!(TABLES true "max_entries" "N" node.max_entries, "Limit of rows per network for local writes"),
    setting!(TABLES true "max_bytes" "BYTES" node.max_bytes, "Limit of bytes per network for local writes"),
    setting!(TABLES true "max_tombstones" "N" node.max_tombstones, "Limit of remembered deletes per network"),
    setting!(ADDRESSES false "subnet_pool" "POOL" subnet_pool, "Subnets of IPv4 for networks that name none, as 10.0.0.0/8/20 (the default): all addresses, and the length of a subnet; said when the cluster is made, the same for ever on all nodes"),
    setting!(ADDRESSES false "subnet_pool_v6" "POOL" subnet_pool_v6, "The same of IPv6; a /48 of the cluster's own in subnets of /64 by default"),
    setting!(ADDRESSES false "takeover_after" "TIME" takeover_after, "How long all others must have been here before a node takes over what one held that is down for good"),
    setting!(NAMES false "dns_listen" "ADDRESS|off" dns_listen, "Where names are answered, inside each sandbox"),
    setting!(NAMES false "dns_gateways" "on|off" dns_gateways, "Whether they are answered at the gateways of overlays and bridges as well, which costs a sandbox some throughput"),
    setting!(NAMES false "dns_domain" "DOMAIN" dns_domain, "What our own names end with where they are written out in full"),
    setting!(NAMES false "dns_ttl" "TIME" dns_ttl, "For how long an answer about a name of ours may be kept"),
    setting!(NAMES false "dns_resolvers" "ADDRESSES" dns_resolvers, "Who is asked for all other names, with ',' between them; those of the host's /etc/resolv.conf by default"),
    setting!(KEYS true "key_rotation" "TIME|never" node.key_rotation, "How often the cluster changes its key by itself"),
    setting!(KEYS true "key_retire_after" "TIME" node.key_retire_after, "How long a retired key still opens packets"),
];
