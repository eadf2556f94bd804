//! Numbers given without a quorum: how full their spaces are.

mod reclaim;

use netnode_api::{
    client::Client,
    ipam::{NodeUsage, SpaceUsage, Usage},
    node::Who,
};

use super::{called, print_items, print_json, print_list};
use crate::{
    Io,
    args::{Format, ipam::Ipam},
    failure::Failure,
    layout::{Cell, Column},
    terminal::Look,
    text,
};

const SPACES: [Column; 8] = [
    Column::new("NETWORK", 8),
    Column::new("SPACE", 16),
    Column::new("SIZE", 4).right(),
    Column::new("IN USE", 6).right(),
    Column::new("FREE", 4).right(),
    Column::new("FULL", 4).right(),
    Column::new("RANGES", 6).right(),
    Column::new("NODES", 5).right(),
];

const NODES: [Column; 7] = [
    Column::new("NETWORK", 8),
    Column::new("SPACE", 16),
    Column::new("NODE", 8),
    Column::new("IN USE", 6).right(),
    Column::new("HOLDS", 5).right(),
    Column::new("FREE", 4).right(),
    Column::new("RANGES", 6).right(),
];

pub(super) async fn run(command: Ipam, client: &Client, io: &mut Io<'_>) -> Result<(), Failure> {
    match command {
        Ipam::Usage { network, nodes, format } => {
            let usage = client.ipam_usage(network.as_deref()).await?;
            if format.json {
                return print_json(io, &usage);
            }
            show(io, &usage, nodes, format)
        }
        Ipam::Reclaim { nodes, yes, no_wait, json } => {
            let how = reclaim::How { yes, wait: !no_wait, json: json.json };
            reclaim::reclaim(client, io, nodes, how).await
        }
    }
}

fn show(io: &mut Io<'_>, usage: &Usage, nodes: bool, format: Format) -> Result<(), Failure> {
    if nodes {
        print_nodes(io, &usage.spaces, format.wide)?;
    } else {
        print_list(io, format, &SPACES, &usage.spaces, |space| cells(space, format.wide))?;
    }
    tell_warnings(io, &usage.spaces, &usage.silent)
}

/// What somebody should look at goes to standard error, so that the table stays a table.
pub(super) fn tell_warnings(
    io: &mut Io<'_>,
    spaces: &[SpaceUsage],
    silent: &[Who],
) -> Result<(), Failure> {
    let label = Look::Bad.paint("warning:", io.terminal.err_color);
    for warning in spaces.iter().filter_map(|space| space.warning.as_ref()) {
        writeln!(io.err, "{label} {}", text::escaped(warning))?;
    }
    if !silent.is_empty() {
        let silent: Vec<String> = silent.iter().map(called).collect();
        let silent = silent.join(", ");
        writeln!(io.err, "{label} not answered: {silent}; theirs is counted as far as known here")?;
    }
    Ok(())
}

/// Who holds and uses how much, space after space.
pub(super) fn print_nodes(
    io: &mut Io<'_>,
    spaces: &[SpaceUsage],
    wide: bool,
) -> Result<(), Failure> {
    let lines: Vec<(&SpaceUsage, &NodeUsage)> =
        spaces.iter().flat_map(|space| space.nodes.iter().map(move |node| (space, node))).collect();
    print_items(io, &NODES, wide, &lines, |(space, node)| {
        let count = |number: &str| Cell::new(count(number, wide));
        vec![
            Cell::new(space.network.as_deref().unwrap_or("-")),
            Cell::new(&*space.space),
            Cell::new(called(&node.node)),
            count(&node.used),
            count(&node.holds),
            count(node.free.as_deref().unwrap_or("?")),
            Cell::new(node.ranges.to_string()),
        ]
    })
}

fn cells(space: &SpaceUsage, wide: bool) -> Vec<Cell> {
    let count = |number: &str| Cell::new(count(number, wide));
    vec![
        Cell::new(space.network.as_deref().unwrap_or("-")),
        Cell::new(&*space.space),
        count(&space.size),
        count(&space.used),
        count(&space.free),
        Cell::new(format!("{}%", space.percent)).look(look(space.percent)),
        Cell::new(space.ranges.to_string()),
        Cell::new(space.nodes.len().to_string()),
    ]
}

fn count(number: &str, wide: bool) -> String {
    if wide { number.to_owned() } else { text::count(number) }
}

fn look(percent: u8) -> Look {
    match percent {
        90.. => Look::Bad,
        75.. => Look::Doubtful,
        _ => Look::Good,
    }
}

#[cfg(test)]
mod tests {
    use netnode_api::ipam::SpaceKind;

    use super::*;
    use crate::terminal::Terminal;

    fn printed(usage: &Usage, nodes: bool, width: Option<usize>) -> (String, String) {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let terminal = Terminal { width, ..Terminal::default() };
        let mut io = Io { out: &mut out, err: &mut err, input: &mut std::io::empty(), terminal };
        show(&mut io, usage, nodes, Format::default()).unwrap();
        (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
    }

    fn usage() -> Usage {
        let who = |name: &str| Who { id: "ab".repeat(16), name: Some(name.to_owned()) };
        let node = NodeUsage {
            node: who("host-1"),
            used: "3".to_owned(),
            holds: "18446744073709551615".to_owned(),
            free: None,
            ranges: 1,
        };
        let space = SpaceUsage {
            kind: SpaceKind::Subnet,
            space: "fd12:3456:789a:1::/64".to_owned(),
            network: Some("web".to_owned()),
            network_id: Some("cd".repeat(16)),
            size: "18446744073709551615".to_owned(),
            used: "3".to_owned(),
            free: "0".to_owned(),
            percent: 75,
            ranges: 1,
            warning: Some("subnet fd12:3456:789a:1::/64 of network web is 75 % full".to_owned()),
            nodes: vec![node],
        };
        Usage { spaces: vec![space], silent: vec![who("host-1")] }
    }

    #[test]
    fn tables_fit_a_terminal_and_warnings_stay_out_of_them() {
        for nodes in [false, true] {
            let (out, err) = printed(&usage(), nodes, Some(80));
            assert!(out.lines().all(|line| text::width(line) <= 80), "{out}");
            assert!(out.contains("web") && out.contains("fd12:3456:789a:1::/64"), "{out}");
            assert!(out.contains("1.8e19") && out.contains("host-1") == nodes, "{out}");
            assert!(err.contains("web is 75 % full") && err.contains("not answered: host-1"));
        }
    }
}
