//! What the host is like apart from what we make: looked at when nodes come and go, and now and then, since
//! nobody tells of a route that changed.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use netdb::{EventsError, NodeEvent};
use netnode_plan::records::{LinkName, NetworkId};
use tokio::{
    sync::oneshot,
    task,
    time::{sleep, timeout},
};

use super::{ETHERNET_MTU, Endpoints, board::Command};
use crate::kernel::{KernelError, Uplinks, Way, uplinks};

/// How often it is looked at without being told.
const PERIOD: Duration = Duration::from_secs(10);
/// Nodes that come together are looked for together.
const DEBOUNCE: Duration = Duration::from_millis(100);

/// What the host is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Survey {
    /// Where this node tunnels from, and how much fits.
    pub(super) way: Way,
    /// Links of the host that are not ours.
    pub(super) foreign: BTreeSet<LinkName>,
    /// Tables of `iptables-legacy` that are in use.
    pub(super) legacy: BTreeSet<String>,
}

impl Endpoints {
    /// Looks until the node stops; what changed since the last look is said to the other nodes.
    pub(super) async fn keep_surveyed(self, mut before: Option<Survey>) {
        let Ok(mut events) = self.db.events().await else { return };
        let mut told = BTreeSet::new();
        loop {
            if let Some(Survey { legacy, .. }) = &before {
                tell_legacy(legacy.difference(&told));
                told.extend(legacy.iter().cloned());
            }
            match timeout(PERIOD, events.next()).await {
                Ok(Err(EventsError::Stopped(_))) => return,
                Ok(Ok(NodeEvent::Member { .. }) | Err(EventsError::Missed(_))) => {
                    sleep(DEBOUNCE).await;
                }
                Ok(Ok(_)) => continue,
                Err(_) => {}
            }
            if self.commands.is_closed() {
                return;
            }
            let now = self.survey().await;
            if let (Some(before), Some(now)) = (&before, &now)
                && before.way != now.way
            {
                self.say_again().await;
            }
            before = now.or(before);
        }
    }

    /// Looks, and tells the board; what follows from it is shown when this returns.
    pub(super) async fn survey(&self) -> Option<Survey> {
        let members = self.db.members().await.ok()?;
        let me = self.db.id();
        let own = members.iter().find(|info| info.member.id == me)?.member.addr.ip();
        let others = members.iter().filter(|info| info.member.id != me);
        let others: Vec<IpAddr> = others.map(|info| info.member.addr.ip()).collect();
        let looked = task::spawn_blocking(move || look(own, &others)).await.ok()?;
        let survey = match looked {
            Ok(survey) => survey,
            Err(error) => {
                tracing::debug!("the host can't be looked at: {error}");
                return None;
            }
        };
        let (shown, told) = oneshot::channel();
        self.commands.send(Command::Survey { survey: survey.clone(), shown }).await.ok()?;
        told.await.ok()?;
        Some(survey)
    }

    /// The rows of this host say where it is and how much fits.
    pub(super) async fn say_again(&self) {
        let _changing = self.changing.lock().await;
        let locals = self.shown.borrow().locals.clone();
        let networks: BTreeSet<NetworkId> = locals.values().map(|local| local.network).collect();
        for network in networks.into_iter().filter(|network| !self.is_own(*network)) {
            if let Err(error) = self.publish_again(network, &locals).await {
                tracing::warn!(%network, "its endpoints are not published again: {error}");
            }
        }
    }
}

/// Says once of each such table that there is one: what it drops looks like a fault of ours.
fn tell_legacy<'a>(tables: impl Iterator<Item = &'a String>) {
    for table in tables {
        tracing::warn!(
            "iptables-legacy is in use on this host (table {table}), which netnode can't read: if packets of \
             networks are dropped, see `iptables-legacy-save`, let them pass there (chain FORWARD), or change \
             to iptables-nft"
        );
    }
}

/// The way to other nodes, and the links that are not ours.
fn look(own: IpAddr, others: &[IpAddr]) -> Result<Survey, KernelError> {
    let others: Vec<IpAddr> =
        others.iter().copied().filter(|address| address.is_ipv4() == own.is_ipv4()).collect();
    let Uplinks { foreign, ways, legacy } = uplinks(&others)?;
    let mtu = ways.iter().map(|way| way.mtu).min().unwrap_or(ETHERNET_MTU);
    Ok(Survey { way: Way { from: own, mtu }, foreign, legacy })
}
