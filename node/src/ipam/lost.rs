//! Nodes that are down for good, because an administrator says so: as long as they don't answer they count as nodes that
//! left, and nobody waits for them.
//!
//! Must never count one so that answers; and one that is back takes back itself what was said.

use std::collections::BTreeMap;

use netdb::{
    CLUSTER_NETWORK, Lifetime, MemberInfo, MemberState, NetDb, NodeId, Row, Stopped, Table, Watch,
};
use netnode_plan::records::LOST;
use tokio::sync::watch;

use super::{Ipam, StartError};

/// Those that are known, by id, and what people called them.
pub(super) type Lost = BTreeMap<NodeId, String>;

/// They, now and whenever they change, until the node ends.
pub(super) async fn follow(db: &NetDb) -> Result<watch::Receiver<Lost>, StartError> {
    let table = table(db).await?;
    let (rows, (show, lost)) = (table.watch().await?, watch::channel(read(&table).await?));
    tokio::spawn(keep_up(table, rows, db.id(), show));
    Ok(lost)
}

impl Ipam {
    /// All members. Those that are down for good have left.
    pub(crate) async fn members(&self) -> Result<Vec<MemberInfo>, Stopped> {
        let mut members = self.db.members().await?;
        let lost = self.lost.borrow();
        for info in &mut members {
            info.state = state(&lost, info);
        }
        Ok(members)
    }

    /// Says that these are down for good.
    pub(super) async fn call_lost(&self, nodes: &[NodeId]) -> Result<(), Stopped> {
        let table = table(&self.db).await?;
        for MemberInfo { member, name, state, .. } in self.members().await? {
            // Of one that left there is nothing to wait for.
            if state != MemberState::Failed || !nodes.contains(&member.id) {
                continue;
            }
            let name = name.map_or_else(String::new, |name| name.to_string());
            if let Err(error) = table.upsert(member.id.0, name.into_bytes()).await {
                tracing::warn!(node = %member.id, "it still counts as failed: {error}");
            }
        }
        Ok(())
    }
}

/// How a member is doing, when these are down for good.
pub(super) fn state(lost: &Lost, info: &MemberInfo) -> MemberState {
    match info.state {
        MemberState::Failed if lost.contains_key(&info.member.id) => MemberState::Left,
        state => state,
    }
}

async fn table(db: &NetDb) -> Result<Table, Stopped> {
    let network = db.network(CLUSTER_NETWORK).await?.ok_or(Stopped)?;
    // Its name is one.
    network.table(LOST, Lifetime::Cluster).map_err(|_| Stopped)
}

async fn read(table: &Table) -> Result<Lost, Stopped> {
    let of_row = |Row { entry, .. }: Row| {
        let node = NodeId((*entry.row.key).try_into().ok()?);
        let name = entry.value.as_ref().map(|value| String::from_utf8_lossy(value).into_owned());
        Some((node, name?))
    };
    Ok(table.list(b"").await?.into_iter().filter_map(of_row).collect())
}

async fn keep_up(table: Table, mut rows: Watch, me: NodeId, show: watch::Sender<Lost>) {
    loop {
        let Ok(lost) = read(&table).await else { return };
        if lost.contains_key(&me) {
            // It is back, and not to count as gone when it fails another time. What refuses it now is met again.
            let _ = table.delete(me.0).await;
        }
        show.send_if_modified(|shown| {
            let news = *shown != lost;
            *shown = lost;
            news
        });
        if rows.next().await.is_none() {
            return;
        }
    }
}
