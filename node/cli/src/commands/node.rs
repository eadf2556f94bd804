//! The node itself: status, members, counters, reload, leave.

use netnode_api::{
    client::{Client, ClientError},
    keys::Rotation,
    metrics,
    node::{Change, Member, MemberState, Reloaded, Status},
};

use super::{confirm, print_facts, print_json, print_list};
use crate::{
    Io,
    args::Format,
    failure::Failure,
    layout::{Cell, Column},
    terminal::Look,
    text,
};

pub(super) async fn status(client: &Client, io: &mut Io<'_>, json: bool) -> Result<(), Failure> {
    let status = client.status().await?;
    if json {
        return print_json(io, &status);
    }
    let color = io.terminal.color;
    print_facts(io, 10, &summary(&status))?;
    for warning in &status.warnings {
        let label = Look::Bad.paint("warning   ", color);
        writeln!(io.out, "{label} {}", text::escaped(warning))?;
    }
    Ok(())
}

fn summary(status: &Status) -> Vec<(&'static str, String)> {
    let members: Vec<_> =
        status.members.iter().map(|(state, count)| format!("{count} {}", state.as_str())).collect();
    let synced = status.networks.iter().filter(|network| network.synced).count();
    let rows: usize = status.networks.iter().map(|network| network.entries).sum();
    let health = match status.local_health {
        0 => "well".to_owned(),
        late => format!("late with its work ({late} of 8)"),
    };
    vec![
        ("node", format!("{} ({})", status.name, status.node)),
        ("cluster", status.cluster.clone()),
        ("address", status.address.clone()),
        ("version", status.version.clone()),
        ("up", format!("{} in generation {}", text::span(status.uptime_ms), status.generation)),
        ("health", health),
        ("clock", clock(status.clock_offset_us)),
        ("members", members.join(", ")),
        ("networks", format!("{} attached, {synced} in sync, {rows} rows", status.networks.len())),
        ("keys", keys(status)),
    ]
}

fn clock(offset_us: i64) -> String {
    let size = text::millis(offset_us.unsigned_abs());
    match offset_us {
        0 => "equals cluster time".to_owned(),
        1.. => format!("{size} behind cluster time"),
        _ => format!("{size} ahead of cluster time"),
    }
}

fn keys(status: &Status) -> String {
    let keys = &status.keys;
    let primary = keys.keys.iter().find(|key| key.primary);
    let sealing = primary.map_or_else(
        || "no key".to_owned(),
        |key| format!("epoch {}, key {}", key.epoch, text::short(&key.id)),
    );
    let rotation = match &keys.rotation {
        Rotation::Idle => "",
        Rotation::Installing(_) => ", rotating: installing",
        Rotation::Using(_) => ", rotating: changing over",
        Rotation::Removing(_) => ", rotating: removing old keys",
    };
    format!("{sealing}, {} held{rotation}", keys.keys.len())
}

const MEMBERS: [Column; 6] = [
    Column::new("NAME", 8),
    Column::new("STATE", 5),
    Column::new("ADDRESS", 15),
    Column::new("ID", 8),
    Column::new("GENERATION", 10).right(),
    Column::new("RTT", 6).right(),
];

pub(super) async fn members(
    client: &Client,
    io: &mut Io<'_>,
    format: Format,
) -> Result<(), Failure> {
    let members = client.members().await?;
    print_members(io, format, &members)
}

pub(super) fn print_members(
    io: &mut Io<'_>,
    format: Format,
    members: &[Member],
) -> Result<(), Failure> {
    print_list(io, format, &MEMBERS, members, |member| {
        let name = member.name.as_deref().unwrap_or("-");
        let mark = if member.is_self { " (this node)" } else { "" };
        let state = if member.conflict { " (conflict)" } else { "" };
        vec![
            Cell::new(format!("{}{mark}", text::escaped(name))),
            Cell::new(format!("{}{state}", member.state.as_str())).look(look(member.state)),
            Cell::new(&*member.address),
            Cell::new(&*member.id),
            Cell::new(member.generation.to_string()),
            Cell::new(member.rtt_us.map_or_else(|| "-".to_owned(), text::millis)),
        ]
    })
}

fn look(state: MemberState) -> Look {
    match state {
        MemberState::Alive => Look::Good,
        MemberState::Suspect | MemberState::Restarting => Look::Doubtful,
        MemberState::Failed => Look::Bad,
        MemberState::Left | MemberState::Unknown => Look::Aside,
    }
}

pub(super) async fn stats(client: &Client, io: &mut Io<'_>, json: bool) -> Result<(), Failure> {
    const COLUMNS: [Column; 2] = [Column::new("COUNTER", 10), Column::new("COUNT", 5).right()];
    let stats = client.stats().await?;
    if json {
        return print_json(io, &stats);
    }
    let counters: Vec<_> = stats.counters.iter().collect();
    print_list(io, Format::default(), &COLUMNS, &counters, |(name, count)| {
        vec![Cell::new(name.as_str()), Cell::new(count.to_string())]
    })
}

pub(super) async fn metrics(client: &Client, io: &mut Io<'_>, json: bool) -> Result<(), Failure> {
    let text = client.metrics().await?;
    if json {
        let metrics = metrics::parse(&text);
        let metrics = metrics.map_err(|error| ClientError::NotUnderstood(error.to_string()))?;
        return print_json(io, &metrics);
    }
    Ok(io.out.write_all(text.as_bytes())?)
}

pub(super) async fn reload(client: &Client, io: &mut Io<'_>, json: bool) -> Result<(), Failure> {
    let reloaded = client.reload().await?;
    if json {
        return print_json(io, &reloaded);
    }
    let Reloaded { changed, needs_restart } = &reloaded;
    if changed.is_empty() && needs_restart.is_empty() {
        return Ok(writeln!(io.out, "no setting changed")?);
    }
    for change in changed {
        writeln!(io.out, "in force: {}", shown(change))?;
    }
    for change in needs_restart {
        let label = Look::Doubtful.paint("needs a restart:", io.terminal.color);
        writeln!(io.out, "{label} {}", shown(change))?;
    }
    Ok(())
}

fn shown(change: &Change) -> String {
    let or_unset = |text: &Option<String>| text.clone().unwrap_or_else(|| "(not set)".to_owned());
    let (from, to) = (or_unset(&change.from), or_unset(&change.to));
    text::escaped(&format!("{} {from} -> {to}", change.setting))
}

pub(super) async fn leave(
    client: &Client,
    io: &mut Io<'_>,
    yes: bool,
    json: bool,
) -> Result<(), Failure> {
    if !yes {
        confirm_leave(client, io).await?;
    }
    let left = client.leave().await?;
    if json {
        return print_json(io, &left);
    }
    let label = Look::Bad.paint("warning:", io.terminal.err_color);
    for warning in &left.warnings {
        writeln!(io.err, "{label} {}", text::escaped(warning))?;
    }
    Ok(writeln!(io.out, "left the cluster; netnode stops")?)
}

async fn confirm_leave(client: &Client, io: &mut Io<'_>) -> Result<(), Failure> {
    if !io.terminal.interactive {
        let refused = "nobody can be asked here: say --yes to leave the cluster for good";
        return Err(Failure::Usage(refused.to_owned()));
    }
    let status = client.status().await?;
    let question = format!("{} leaves cluster {} for good. Go on?", status.name, status.cluster);
    confirm(io, &question)
}
