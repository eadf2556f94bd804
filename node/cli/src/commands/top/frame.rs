//! A frame as lines of text.

use netnode_api::node::MemberState;

use super::sample::{Frame, Sample};
use crate::{
    commands::sync_state,
    failure::Failure,
    layout::{Cell, Column, print_table},
    terminal::{Look, Terminal},
    text,
};

/// The frame, no line wider than the terminal.
pub(super) fn lines(
    frame: &Frame,
    now: &Sample,
    terminal: Terminal,
) -> Result<Vec<String>, Failure> {
    let color = terminal.color;
    let mut lines = vec![heading(now)];
    let members: Vec<String> = frame
        .members
        .iter()
        .map(|(state, count)| look(*state).paint(&format!("{count} {}", state.as_str()), color))
        .collect();
    lines.push(format!("members  {}", members.join(", ")));
    for warning in &now.status.warnings {
        lines.push(Look::Bad.paint(&cut(&text::escaped(warning), terminal), color));
    }
    lines.extend(rates(frame));
    lines.push(String::new());
    table(&mut lines, terminal, &PEERS, frame.slowest.iter().map(peer))?;
    lines.push(String::new());
    table(&mut lines, terminal, &NETWORKS, frame.networks.iter().map(network))?;
    lines.push(String::new());
    let waiting = frame.queues.iter().filter(|queue| queue.depth > 0);
    let waiting: Vec<String> =
        waiting.map(|queue| format!("{} {}", queue.depth, queue.name)).collect();
    let waiting = if waiting.is_empty() { "nothing".to_owned() } else { waiting.join(", ") };
    lines.push(cut(&format!("waiting  {waiting}"), terminal));
    Ok(lines)
}

fn cut(line: &str, terminal: Terminal) -> String {
    terminal.width.map_or_else(|| line.to_owned(), |width| text::fit(line, width, text::Cut::End))
}

fn heading(now: &Sample) -> String {
    let status = &now.status;
    let health = match status.local_health {
        0 => "well".to_owned(),
        late => format!("late ({late} of 8)"),
    };
    let cluster = text::short(&status.cluster);
    let (name, up) = (text::escaped(&status.name), text::span(status.uptime_ms));
    format!("node     {name} of cluster {cluster}, up {up}, {health}")
}

fn rates(frame: &Frame) -> [String; 3] {
    let rates = &frame.rates;
    [
        format!(
            "in       {} packets/s, {}/s; {} dropped/s",
            number(rates.packets_in),
            bytes(rates.bytes_in),
            number(rates.packets_dropped)
        ),
        format!("out      {} packets/s, {}/s", number(rates.packets_out), bytes(rates.bytes_out)),
        format!(
            "writes   {}/s here, {}/s received, {} commits/s, {} events/s",
            number(rates.writes_here),
            number(rates.writes_received),
            number(rates.commits),
            number(rates.watch_events)
        ),
    ]
}

/// Small rates with a digit behind the point.
fn number(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate of bytes is not negative, and far below what a usize holds"
)]
fn bytes(rate: f64) -> String {
    text::size(rate as usize)
}

/// Whatever is not alive stands out.
fn look(state: MemberState) -> Look {
    if state == MemberState::Alive { Look::Good } else { Look::Bad }
}

const PEERS: [Column; 6] = [
    Column::new("SLOWEST PEER", 12),
    Column::new("STATE", 7),
    Column::new("RTT", 8).right(),
    Column::new("IN FLIGHT", 4).right(),
    Column::new("LATE", 4).right(),
    Column::new("BYTES WAITING", 5).right(),
];

fn peer(peer: &super::sample::Peer) -> Vec<Cell> {
    let name = peer.name.as_deref().unwrap_or_else(|| text::short(&peer.id));
    vec![
        Cell::new(text::escaped(name)),
        Cell::new(peer.state.as_str()).look(look(peer.state)),
        Cell::new(peer.rtt_us.map_or_else(|| "-".to_owned(), text::millis)),
        Cell::new(peer.in_flight.to_string()),
        Cell::new(peer.late.to_string()),
        Cell::new(text::size(peer.bytes)),
    ]
}

const NETWORKS: [Column; 7] = [
    Column::new("NETWORK", 10),
    Column::new("STATE", 7),
    Column::new("ROWS", 4).right(),
    Column::new("SIZE", 4).right(),
    Column::new("TOMBSTONES", 4).right(),
    Column::new("ASIDE", 4).right(),
    Column::new("PEERS", 5).right(),
];

fn network(network: &netnode_api::node::Scope) -> Vec<Cell> {
    vec![
        Cell::new(&*network.name),
        sync_state(network.synced),
        Cell::new(network.entries.to_string()),
        Cell::new(text::size(network.bytes)),
        Cell::new(network.tombstones.to_string()),
        Cell::new(network.aside.to_string()),
        Cell::new(network.peers.to_string()),
    ]
}

fn table(
    lines: &mut Vec<String>,
    terminal: Terminal,
    columns: &[Column],
    rows: impl Iterator<Item = Vec<Cell>>,
) -> Result<(), Failure> {
    let mut bytes = Vec::new();
    print_table(&mut bytes, columns, terminal, false, rows)?;
    lines.extend(String::from_utf8_lossy(&bytes).lines().map(ToOwned::to_owned));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::top::sample::tests::sample;

    #[test]
    fn everything_is_in_a_frame_that_fits() {
        let now = sample(&[("packets_sent", 100)], 5);
        let frame = Frame::between(&sample(&[], 0), &now);
        let terminal = Terminal { width: Some(80), ..Terminal::default() };
        let lines = lines(&frame, &now, terminal).unwrap();
        for line in &lines {
            assert!(text::width(line) <= 80, "{line}");
        }
        let text = lines.join("\n");
        for part in
            ["node     me of", "2 alive, 2 failed", "look at this", "dead", "waiting  3 calls"]
        {
            assert!(text.contains(part), "no {part} in\n{text}");
        }
    }
}
