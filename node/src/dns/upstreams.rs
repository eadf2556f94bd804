//! Who is asked for what is not ours: those that the settings name, or the host's own resolvers.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
    time::Duration,
};

use netnode_dns::{Forwarder, resolv_conf};
use tokio::{task, time::sleep};

use super::Settings;

/// Where the host says which resolvers it uses (resolv.conf(5)).
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// How often that is read again: DHCP and network managers change it.
const PERIOD: Duration = Duration::from_secs(5);

/// A forwarder that asks them, and those that the host names later.
pub(super) fn forwarder(settings: &Settings) -> Forwarder {
    let named = settings.upstreams.clone();
    let follow = named.is_empty();
    let ours = settings.listen;
    let upstreams = if follow { of_host(ours) } else { named };
    let forwarder =
        Forwarder::new(netnode_dns::Settings { upstreams, ..netnode_dns::Settings::default() });
    if follow {
        let forwarder = forwarder.clone();
        tokio::spawn(async move {
            loop {
                sleep(PERIOD).await;
                if let Ok(upstreams) = task::spawn_blocking(move || of_host(ours)).await {
                    forwarder.set_upstreams(upstreams);
                }
            }
        });
    }
    forwarder
}

/// Those that the host names; none if it names none.
fn of_host(ours: Option<SocketAddr>) -> Vec<SocketAddr> {
    let text = text_of_host();
    let is_ours = |address: IpAddr| ours.is_some_and(|ours| ours.ip() == address);
    resolv_conf::upstreams(&text, is_ours, scope)
}

/// What the host says of its resolvers; nothing if it says nothing.
pub(super) fn text_of_host() -> String {
    fs::read_to_string(RESOLV_CONF).unwrap_or_default()
}

/// The number of a link of this host.
fn scope(link: &str) -> Option<u32> {
    let index = Path::new("/sys/class/net").join(link).join("ifindex");
    fs::read_to_string(index).ok()?.trim().parse().ok()
}
