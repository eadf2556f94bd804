//! What goes on inside the node.

use netnode_api::{
    client::Client,
    debug::{Debug, NetworkDebug},
};

use super::{called, heading, print_items, print_json, sync_state};
use crate::{
    Io,
    failure::Failure,
    layout::{Cell, Column},
    terminal::Look,
    text,
};

/// Timers and links that are shown of all of them, unless everything is asked for.
const SHOWN: usize = 20;

/// Prints it, or only what concerns one network.
pub(super) async fn debug(
    client: &Client,
    io: &mut Io<'_>,
    network: Option<&str>,
    wide: bool,
    json: bool,
) -> Result<(), Failure> {
    let mut debug = client.debug().await?;
    if let Some(wanted) = network {
        debug.networks.retain(|network| network.name == wanted);
        debug.timers.retain(|timer| timer.network.as_deref() == Some(wanted));
        if debug.networks.is_empty() {
            let message = format!("this node is not attached to network {wanted}");
            return Err(Failure::NotFound(message));
        }
    }
    if json {
        return print_json(io, &debug);
    }
    let whole = network.is_none();
    if whole {
        queues(io, &debug, wide)?;
        drops(io, &debug, wide)?;
    }
    networks(io, &debug, wide)?;
    writers(io, &debug, wide, if whole { SHOWN } else { usize::MAX })?;
    aside(io, &debug, wide)?;
    children(io, &debug, wide)?;
    if whole {
        links(io, &debug, wide)?;
    }
    timers(io, &debug, wide)
}

/// Whether somebody was heard of lately.
fn voice(answers: bool) -> Cell {
    if answers {
        Cell::new("answers").look(Look::Good)
    } else {
        Cell::new("silent").look(Look::Bad)
    }
}

/// Says how many there are besides.
fn more(io: &mut Io<'_>, shown: usize, all: usize) -> Result<(), Failure> {
    if shown < all {
        writeln!(io.out, "and {} more (--json shows them, up to a limit)", all - shown)?;
    }
    Ok(())
}

fn queues(io: &mut Io<'_>, debug: &Debug, wide: bool) -> Result<(), Failure> {
    const COLUMNS: [Column; 3] = [
        Column::new("WAITING", 10),
        Column::new("NOW", 3).right(),
        Column::new("LIMIT", 5).right(),
    ];
    print_items(io, &COLUMNS, wide, &debug.queues, |queue| {
        let limit = queue.limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
        let busy = queue.limit.is_some_and(|limit| queue.depth > limit / 2);
        let look = if busy { Look::Bad } else { Look::Plain };
        let depth = Cell::new(queue.depth.to_string()).look(look);
        vec![Cell::new(&*queue.name), depth, Cell::new(limit)]
    })
}

fn drops(io: &mut Io<'_>, debug: &Debug, wide: bool) -> Result<(), Failure> {
    const COLUMNS: [Column; 2] = [Column::new("REASON", 10), Column::new("PACKETS", 5).right()];
    let some: Vec<_> = debug.drops.iter().filter(|(_, count)| **count > 0).collect();
    if some.is_empty() {
        return heading(io, "no packet was dropped");
    }
    heading(io, "packets dropped")?;
    print_items(io, &COLUMNS, wide, &some, |(reason, count)| {
        vec![Cell::new(reason.as_str()), Cell::new(count.to_string())]
    })
}

fn networks(io: &mut Io<'_>, debug: &Debug, wide: bool) -> Result<(), Failure> {
    const COLUMNS: [Column; 8] = [
        Column::new("NETWORK", 10),
        Column::new("STATE", 7),
        Column::new("WRITERS", 4).right(),
        Column::new("RETIRED", 4).right(),
        Column::new("ASIDE", 4).right(),
        Column::new("COMPARE IN", 5).right(),
        Column::new("EVERY", 5).right(),
        Column::new("FETCHES", 7),
    ];
    heading(io, "networks")?;
    print_items(io, &COLUMNS, wide, &debug.networks, |network| {
        let fetches = match (&network.pull, &network.gap) {
            (Some(pull), _) if pull.all => format!("all from {}", called(&pull.from)),
            (Some(pull), _) => format!("some from {}", called(&pull.from)),
            (None, Some(gap)) => format!("soon from {}", called(&gap.from)),
            (None, None) => "-".to_owned(),
        };
        vec![
            Cell::new(&*network.name),
            sync_state(network.synced),
            Cell::new(network.writer_count.to_string()),
            Cell::new(network.retired.to_string()),
            Cell::new(network.aside_count.to_string()),
            Cell::new(text::soon(network.next_compare_us)),
            Cell::new(text::soon(network.compare_interval_us)),
            Cell::new(fetches),
        ]
    })
}

/// What belongs to networks, each with the network's name.
fn of_networks<'d, T>(
    debug: &'d Debug,
    limit: usize,
    of: impl Fn(&'d NetworkDebug) -> &'d [T],
) -> Vec<(&'d str, &'d T)> {
    let networks = debug.networks.iter();
    let all = networks.flat_map(|n| of(n).iter().take(limit).map(|item| (n.name.as_str(), item)));
    all.collect()
}

fn writers(io: &mut Io<'_>, debug: &Debug, wide: bool, limit: usize) -> Result<(), Failure> {
    const COLUMNS: [Column; 7] = [
        Column::new("NETWORK", 8),
        Column::new("WRITER", 8),
        Column::new("WRITES", 7),
        Column::new("GENERATION", 4).first_to_go(),
        Column::new("RECEIVED", 4).right(),
        Column::new("MISSING", 7),
        Column::new("PURGED", 4).right(),
    ];
    let shown = of_networks(debug, limit, |network| &network.writers);
    heading(io, "how far each writer got here")?;
    print_items(io, &COLUMNS, wide, &shown, |(network, writer)| {
        let missing = match writer.missing {
            Some(missing) => {
                Cell::new(format!("{}-{}", missing.from, missing.through)).look(Look::Bad)
            }
            None => Cell::new("-"),
        };
        vec![
            Cell::new(*network),
            Cell::new(called(&writer.writer)),
            Cell::new(writer.lifetime.as_str()),
            Cell::new(writer.generation.to_string()),
            Cell::new(writer.contiguous.to_string()),
            missing,
            Cell::new(writer.purged.to_string()),
        ]
    })?;
    more(io, shown.len(), debug.networks.iter().map(|network| network.writer_count).sum())
}

fn aside(io: &mut Io<'_>, debug: &Debug, wide: bool) -> Result<(), Failure> {
    const COLUMNS: [Column; 5] = [
        Column::new("NETWORK", 8),
        Column::new("TABLE", 8),
        Column::new("KEY", 8),
        Column::new("WRITE", 12),
        Column::new("AHEAD", 5).right(),
    ];
    let shown = of_networks(debug, SHOWN, |network| &network.aside);
    if shown.is_empty() {
        return Ok(());
    }
    heading(io, "kept aside, stamped too far ahead")?;
    print_items(io, &COLUMNS, wide, &shown, |(network, aside)| {
        vec![
            Cell::new(*network),
            Cell::new(&*aside.table),
            Cell::new(text::payload(&aside.key)),
            Cell::new(aside.dot.to_string()),
            Cell::new(text::span(aside.ahead_ms)),
        ]
    })?;
    more(io, shown.len(), debug.networks.iter().map(|network| network.aside_count).sum())
}

fn children(io: &mut Io<'_>, debug: &Debug, wide: bool) -> Result<(), Failure> {
    const COLUMNS: [Column; 4] = [
        Column::new("NETWORK", 8),
        Column::new("SENT TO", 8),
        Column::new("PASSES ON TO", 6).right(),
        Column::new("STATE", 8),
    ];
    let shown = of_networks(debug, usize::MAX, |network| &network.children);
    heading(io, "where this node's writes go")?;
    print_items(io, &COLUMNS, wide, &shown, |(network, child)| {
        let others = Cell::new(child.passes_on_to.to_string());
        vec![Cell::new(*network), Cell::new(called(&child.node)), others, voice(child.trusted)]
    })
}

fn links(io: &mut Io<'_>, debug: &Debug, wide: bool) -> Result<(), Failure> {
    const COLUMNS: [Column; 8] = [
        Column::new("LINK TO", 8),
        Column::new("RTT", 6).right(),
        Column::new("QUEUED", 4).right(),
        Column::new("BYTES", 4).right(),
        Column::new("IN FLIGHT", 4).right(),
        Column::new("WINDOW", 4).right(),
        Column::new("LATE", 4).right(),
        Column::new("STATE", 7),
    ];
    let mut links: Vec<_> = debug.links.iter().collect();
    links.sort_by_key(|link| (std::cmp::Reverse((link.late, link.bytes)), link.rtt_us));
    let shown = links.get(..SHOWN).unwrap_or(&links);
    heading(io, "links, the busiest first")?;
    print_items(io, &COLUMNS, wide, shown, |link| {
        vec![
            Cell::new(called(&link.node)),
            Cell::new(link.rtt_us.map_or_else(|| "-".to_owned(), text::millis)),
            Cell::new(link.queued.to_string()),
            Cell::new(text::size(link.bytes)),
            Cell::new(link.in_flight.to_string()),
            Cell::new(link.window.to_string()),
            Cell::new(link.late.to_string()),
            voice(link.responsive),
        ]
    })?;
    more(io, shown.len(), links.len())
}

fn timers(io: &mut Io<'_>, debug: &Debug, wide: bool) -> Result<(), Failure> {
    const COLUMNS: [Column; 3] =
        [Column::new("IN", 6).right(), Column::new("DUE", 10), Column::new("NETWORK", 8)];
    let next = debug.next_deadline_us.map_or_else(|| "never".to_owned(), text::soon);
    heading(io, &format!("timers; the node acts by itself within {next}"))?;
    let shown = debug.timers.get(..SHOWN).unwrap_or(&debug.timers);
    print_items(io, &COLUMNS, wide, shown, |timer| {
        vec![
            Cell::new(text::soon(timer.within_us)),
            Cell::new(&*timer.what),
            Cell::new(timer.network.as_deref().unwrap_or("-")),
        ]
    })
}
