//! In what two members differ.

use netnode_api::{
    client::Client,
    diff::{Diff, DiffQuery, NetworkDiff, Standing, Verdict},
    rows::Dot,
};

use super::{called, heading, print_items, print_json};
use crate::{
    Io,
    failure::Failure,
    layout::{Cell, Column, Layout},
    terminal::Look,
    text,
};

/// Prints what differs; the exit code says whether anything does.
pub(super) async fn diff(
    client: &Client,
    io: &mut Io<'_>,
    query: &DiffQuery,
    wide: bool,
    json: bool,
) -> Result<(), Failure> {
    let trouble = |failure: Failure| Failure::Trouble(Box::new(failure));
    let diff = client.diff(query).await.map_err(|error| trouble(error.into()))?;
    let printed = if json { print_json(io, &diff) } else { print(io, &diff, wide) };
    match printed {
        // Who closes the output early still sees the exit code.
        Ok(()) | Err(Failure::Closed) if diff.verdict == Verdict::Different => {
            Err(Failure::Differs)
        }
        Err(Failure::Closed) => Err(Failure::Closed),
        other => other.map_err(trouble),
    }
}

fn print(io: &mut Io<'_>, diff: &Diff, wide: bool) -> Result<(), Failure> {
    for (label, who) in [("left ", &diff.left), ("right", &diff.right)] {
        let label = Look::Heading.paint(label, io.terminal.color);
        writeln!(io.out, "{label}  {} ({})", called(who), who.id)?;
    }
    writeln!(io.out)?;
    networks(io, diff, wide)?;
    for network in diff.networks.iter().filter(|network| network.verdict != Verdict::Equal) {
        if !network.writers.is_empty() {
            heading(io, &format!("writers of network {}", network.network))?;
            writers(io, network, wide)?;
        }
        if !network.rows.is_empty() {
            heading(io, &format!("rows of network {}", network.network))?;
            rows(io, diff, network, wide)?;
        }
        if network.more {
            writeln!(io.out, "There may be more: the first {} are shown.", network.rows.len())?;
        }
    }
    Ok(())
}

fn verdict(verdict: Verdict) -> Cell {
    let look = match verdict {
        Verdict::Equal => Look::Good,
        Verdict::OnItsWay => Look::Doubtful,
        Verdict::Different => Look::Bad,
    };
    Cell::new(verdict.as_str()).look(look)
}

fn networks(io: &mut Io<'_>, diff: &Diff, wide: bool) -> Result<(), Failure> {
    const COLUMNS: [Column; 6] = [
        Column::new("NETWORK", 10),
        Column::new("VERDICT", 10),
        Column::new("ROWS LEFT", 4).right(),
        Column::new("RIGHT", 4).right(),
        Column::new("HASH LEFT", 8),
        Column::new("RIGHT", 8),
    ];
    let mut layout = Layout::new(&COLUMNS, io.terminal, wide);
    for network in &diff.networks {
        let (left, right) = (&network.left, &network.right);
        let cells = vec![
            Cell::new(&*network.network),
            verdict(network.verdict),
            Cell::new(left.rows.to_string()),
            Cell::new(right.rows.to_string()),
            Cell::new(&*left.held),
            Cell::new(&*right.held),
        ];
        layout.row(io.out, cells)?;
    }
    for apart in &diff.apart {
        let only = format!("only {}", called(&apart.attached));
        let nothing = || Cell::new("-").look(Look::Aside);
        let only = Cell::new(only).look(Look::Aside);
        let network = Cell::new(&*apart.network);
        layout.row(io.out, vec![network, only, nothing(), nothing(), nothing(), nothing()])?;
    }
    Ok(layout.finish(io.out)?)
}

fn writers(io: &mut Io<'_>, network: &NetworkDiff, wide: bool) -> Result<(), Failure> {
    const COLUMNS: [Column; 8] = [
        Column::new("WRITER", 8),
        Column::new("WRITES", 7),
        Column::new("GENERATION", 4).first_to_go(),
        Column::new("RECEIVED LEFT", 4).right(),
        Column::new("RIGHT", 4).right(),
        Column::new("HELD LEFT", 4).right(),
        Column::new("RIGHT", 4).right(),
        Column::new("RECEIVED", 10),
    ];
    print_items(io, &COLUMNS, wide, &network.writers, |writer| {
        let number = |figure: Option<u64>| {
            Cell::new(figure.map_or_else(|| "-".to_owned(), |figure| figure.to_string()))
        };
        let (left, right) = (writer.left.as_ref(), writer.right.as_ref());
        vec![
            Cell::new(called(&writer.writer)),
            Cell::new(writer.lifetime.as_str()),
            Cell::new(writer.generation.to_string()),
            number(left.map(|side| side.contiguous)),
            number(right.map(|side| side.contiguous)),
            number(left.map(|side| side.rows)),
            number(right.map(|side| side.rows)),
            verdict(writer.verdict),
        ]
    })
}

fn rows(io: &mut Io<'_>, diff: &Diff, network: &NetworkDiff, wide: bool) -> Result<(), Failure> {
    const COLUMNS: [Column; 6] = [
        Column::new("TABLE", 8),
        Column::new("KEY", 8),
        Column::new("LEFT", 12),
        Column::new("RIGHT", 12),
        Column::new("AGE", 3).right(),
        Column::new("VERDICT", 10),
    ];
    print_items(io, &COLUMNS, wide, &network.rows, |row| {
        let of = if row.on_its_way { Verdict::OnItsWay } else { Verdict::Different };
        let key = match &row.owner {
            Some(owner) => format!("{} of {}", text::payload(&row.key), called(owner)),
            None => text::payload(&row.key),
        };
        let shown = |standing| Cell::new(standing_of(standing, diff, network, wide));
        vec![
            Cell::new(&*row.table),
            Cell::new(key),
            shown(&row.left),
            shown(&row.right),
            Cell::new(text::age(row.age_ms)),
            verdict(of),
        ]
    })
}

fn standing_of(standing: &Standing, diff: &Diff, network: &NetworkDiff, wide: bool) -> String {
    let dot = |dot: &Dot| {
        if wide {
            dot.to_string()
        } else {
            format!("{}#{}", writer_of(dot, diff, network), dot.sequence)
        }
    };
    match standing {
        Standing::Held { dot: write } => dot(write),
        Standing::Deleted { dot: write } => format!("deleted {}", dot(write)),
        Standing::Gone => "gone".to_owned(),
        Standing::NotReceived => "not received".to_owned(),
    }
}

/// What people call the writer of a dot, if the answer says so.
fn writer_of(dot: &Dot, diff: &Diff, network: &NetworkDiff) -> String {
    let known = network.writers.iter().map(|writer| &writer.writer);
    let mut known = known.chain([&diff.left, &diff.right]);
    let found = known.find(|who| who.id == dot.node);
    found.map_or_else(|| text::short(&dot.node).to_owned(), called)
}

#[cfg(test)]
mod tests {
    use netnode_api::{
        Payload,
        diff::{NetworkCopy, Progress, RowDiff, WriterDiff},
        node::Who,
        rows::Lifetime,
    };

    use super::*;
    use crate::terminal::Terminal;

    fn who(byte: &str, name: &str) -> Who {
        Who { id: byte.repeat(16), name: Some(name.to_owned()) }
    }

    fn example() -> Diff {
        let (left, right) = (who("1a", "host-1.example.org"), who("2b", "host-2.example.org"));
        let dot = |sequence| Dot { node: left.id.clone(), generation: 9, attachment: 1, sequence };
        let copy = || NetworkCopy {
            synced: true,
            rows: 1_000_000,
            held: "0123456789abcdef".to_owned(),
            received: "0123456789abcdef".to_owned(),
        };
        let writer = WriterDiff {
            writer: left.clone(),
            lifetime: Lifetime::Cluster,
            generation: 1_764_000_000,
            attachment: 1,
            verdict: Verdict::Different,
            left: Some(Progress { contiguous: 7, rows: 3 }),
            right: None,
        };
        let row = RowDiff {
            table: "services".to_owned(),
            lifetime: Lifetime::Owner,
            key: Payload::from("a-key-that-is-longer-than-its-column-would-like"),
            owner: Some(left.clone()),
            left: Standing::Deleted { dot: dot(8) },
            right: Standing::NotReceived,
            age_ms: 120_000,
            on_its_way: false,
        };
        let network = NetworkDiff {
            network: "blue".to_owned(),
            verdict: Verdict::Different,
            left: copy(),
            right: copy(),
            writers: vec![writer],
            rows: vec![row],
            more: false,
        };
        let (networks, apart) = (vec![network], Vec::new());
        Diff { left, right, verdict: Verdict::Different, networks, apart }
    }

    fn printed(width: Option<usize>, wide: bool) -> String {
        let (mut out, mut err, mut input) = (Vec::new(), Vec::new(), std::io::empty());
        let terminal = Terminal { width, ..Terminal::default() };
        let mut io = Io { out: &mut out, err: &mut err, input: &mut input, terminal };
        print(&mut io, &example(), wide).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn it_fits_a_usual_terminal() {
        let text = printed(Some(80), false);
        for line in text.lines() {
            assert!(text::width(line) <= 80, "{line}");
        }
        for part in ["not received", "different", "2m"] {
            assert!(text.contains(part), "{part} is cut from\n{text}");
        }
    }

    #[test]
    fn dots_are_whole_where_there_is_room() {
        assert!(printed(Some(80), true).contains("deleted 1a1a1a1a.9.1#8"));
        assert!(printed(None, false).contains("deleted host-1.example.org#8\tnot received\t2m"));
    }
}
