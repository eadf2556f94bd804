//! Following a table: one line per event.

use netnode_api::{
    client::Client,
    rows::{Row, WatchEvent},
};

use super::{
    print_line,
    rows::{owner, value},
};
use crate::{Io, args::Select, failure::Failure, terminal::Look, text};

/// What is shown of a watch, and for how long.
#[derive(Clone, Copy)]
pub(super) struct View {
    pub(super) jsonl: bool,
    pub(super) raw: bool,
    /// Leave out what was there at the start.
    pub(super) changes: bool,
    pub(super) count: Option<u64>,
}

pub(super) async fn watch(
    client: &Client,
    io: &mut Io<'_>,
    select: Select,
    view: View,
) -> Result<(), Failure> {
    let mut events = client.watch(&select.into()).await?;
    let mut left = view.count;
    let mut quiet = view.changes;
    while left != Some(0) {
        let Some(event) = events.next().await? else { return Err(Failure::Stopped) };
        if quiet {
            quiet = event != WatchEvent::Snapshot;
            continue;
        }
        if view.jsonl {
            print_line(io.out, &event)?;
        } else {
            writeln!(io.out, "{}", line(&event, view.raw, io.terminal.color))?;
        }
        // Whoever reads this in a pipe waits for each line.
        io.out.flush()?;
        left = left.map(|left| left - 1);
    }
    Ok(())
}

fn line(event: &WatchEvent, raw: bool, color: bool) -> String {
    let of = |row: &Row| {
        let (table, key) = (text::escaped(&row.table), text::payload(&row.key));
        format!("{} {table} {key} ({})", row.network, owner(row))
    };
    match event {
        WatchEvent::Created { row } => {
            let text = format!("+ {} = {}", of(row), value(row, raw));
            Look::Good.paint(&text, color)
        }
        WatchEvent::Updated { row, old } if old.dot == row.dot => {
            let text = format!("~ {} owner is {}", of(row), row.state.as_str());
            Look::Doubtful.paint(&text, color)
        }
        WatchEvent::Updated { row, old } => {
            let was = text::payload(&old.value);
            let text = format!("~ {} = {} (was {was})", of(row), value(row, raw));
            Look::Doubtful.paint(&text, color)
        }
        WatchEvent::Deleted { row, reason } => {
            let text = format!("- {} {}", of(row), reason.as_str());
            Look::Bad.paint(&text, color)
        }
        WatchEvent::Snapshot => {
            Look::Aside.paint("= everything that was there has been told", color)
        }
        WatchEvent::End => Look::Aside.paint("= netnode stops", color),
    }
}
