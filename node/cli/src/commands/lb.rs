//! Who gets what is for a virtual address.

use netnode_api::{
    client::Client,
    lb::{BackendShare, VirtualAddress},
    rows::RowState,
};

use super::{called, heading, print_items, print_json};
use crate::{
    Io,
    args::lb::Lb,
    failure::Failure,
    layout::{Cell, Column},
    terminal::Look,
};

const BACKENDS: [Column; 7] = [
    Column::new("TASK", 8),
    Column::new("ADDRESS", 12),
    Column::new("NODE", 6),
    Column::new("IS", 5),
    Column::new("WEIGHT", 4).right(),
    Column::new("SHARE", 6).right(),
    Column::new("WHY NOT", 12),
];

pub(super) async fn run(command: Lb, client: &Client, io: &mut Io<'_>) -> Result<(), Failure> {
    let Lb::Show { service, endpoint, json } = command;
    let shown = client.lb(endpoint.as_deref(), service.as_deref()).await?;
    if json.json {
        return print_json(io, &shown);
    }
    shown.iter().try_for_each(|address| show(io, address))
}

fn show(io: &mut Io<'_>, of: &VirtualAddress) -> Result<(), Failure> {
    let network = of.network.as_deref().unwrap_or("a network that is gone");
    let how = if !of.balanced {
        ": no container of this host is on it"
    } else if of.backends.is_empty() {
        ": nobody serves it, it is refused"
    } else if of.backends.iter().all(|backend| backend.why.is_some()) {
        ": nobody takes anything new, it is refused"
    } else {
        ""
    };
    heading(io, &format!("{} at {} on {network}{how}", of.service, of.vip))?;
    if of.backends.is_empty() {
        return Ok(());
    }
    print_items(io, &BACKENDS, false, &of.backends, cells)
}

fn cells(backend: &BackendShare) -> Vec<Cell> {
    let look = match backend.node_state {
        RowState::Failed => Look::Bad,
        RowState::Alive => Look::Good,
        _ => Look::Doubtful,
    };
    vec![
        Cell::new(&*backend.task),
        Cell::new(backend.address.as_deref().unwrap_or("-")),
        Cell::new(called(&backend.node)),
        Cell::new(backend.node_state.as_str()).look(look),
        Cell::new(backend.weight.to_string()),
        Cell::new(format!("{:.1} %", backend.share_percent)),
        Cell::new(backend.why.as_deref().unwrap_or_default()).look(Look::Doubtful),
    ]
}
