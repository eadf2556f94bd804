//! Reading rows: sums, dumps, single keys.

use netnode_api::{
    Payload,
    client::{Client, RowStream},
    payload::Encoding,
    rows::{Row, RowQuery, RowState},
};

use super::{print_line, print_list};
use crate::{
    Io,
    args::{Format, LifetimeArg, Place, Select},
    failure::Failure,
    layout::{Cell, Column, Layout},
    terminal::Look,
    text,
};

/// Every column that there is. The minimums and the gaps add up to 80.
const COLUMNS: [Column; 10] = [
    Column::new("NETWORK", 5),
    Column::new("TABLE", 5),
    Column::new("LIFE", 5),
    Column::new("KEY", 6),
    Column::new("VALUE", 10),
    Column::new("OWNER", 6),
    Column::new("DOT", 7).cut_at_start().first_to_go(),
    Column::new("STAMP", 8),
    Column::new("AGE", 4).right(),
    Column::new("STATE", 6),
];

const SUMS: [Column; 6] = [
    Column::new("NETWORK", 8),
    Column::new("TABLE", 8),
    Column::new("LIFE", 7),
    Column::new("ROWS", 4).right(),
    Column::new("SIZE", 4).right(),
    Column::new("OWNERS", 6).right(),
];

impl From<Select> for RowQuery {
    fn from(select: Select) -> Self {
        let Select { network, table, prefix, owner, lifetime, failed } = select;
        let (lifetime, encoding) = (lifetime.map(Into::into), Encoding::Text);
        Self { network, table, lifetime, prefix, key: None, encoding, owner, failed }
    }
}

pub(super) async fn ls(
    client: &Client,
    io: &mut Io<'_>,
    network: Option<String>,
    format: Format,
) -> Result<(), Failure> {
    let tables = client.tables(&RowQuery { network, ..RowQuery::default() }).await?;
    print_list(io, format, &SUMS, &tables, |table| {
        vec![
            Cell::new(&*table.network),
            Cell::new(&*table.table),
            Cell::new(table.lifetime.as_str()),
            Cell::new(table.rows.to_string()),
            Cell::new(text::size(table.bytes)),
            Cell::new(if table.owners == 0 { "-".to_owned() } else { table.owners.to_string() }),
        ]
    })
}

pub(super) async fn dump(
    client: &Client,
    io: &mut Io<'_>,
    select: Select,
    format: Format,
    raw: bool,
) -> Result<(), Failure> {
    print_rows(client.rows(&select.into()).await?, io, format, raw).await.map(|_| ())
}

pub(super) async fn get(
    client: &Client,
    io: &mut Io<'_>,
    place: &Place,
    lifetime: Option<LifetimeArg>,
    format: Format,
    value: bool,
) -> Result<(), Failure> {
    let key = bytes(&place.key, place.hex, "key")?;
    let query = RowQuery {
        network: Some(place.network.clone()),
        table: Some(place.table.clone()),
        lifetime: lifetime.map(Into::into),
        ..RowQuery::default()
    };
    let rows = client.rows(&query.with_key(&key)).await?;
    let missing = || {
        let (key, table, network) = (text::payload(&key), &place.table, &place.network);
        Failure::NotFound(format!("there is no key {key} in table {table} of network {network}"))
    };
    if !value {
        let count = print_rows(rows, io, format, false).await?;
        return if count == 0 { Err(missing()) } else { Ok(()) };
    }
    let rows = rows.collect().await?;
    match rows.as_slice() {
        [] => Err(missing()),
        [row] => Ok(io.out.write_all(&row.value.0)?),
        several => Err(Failure::Failed(format!(
            "{} nodes have a row with this key: without --value all are shown",
            several.len()
        ))),
    }
}

/// What somebody wrote on the command line as bytes.
pub(super) fn bytes(text: &str, hex: bool, what: &str) -> Result<Payload, Failure> {
    let encoding = if hex { Encoding::Hex } else { Encoding::Text };
    let usage = |error| Failure::Usage(format!("{what} {}: {error}", text::escaped(text)));
    encoding.decode(text).map(Payload).map_err(usage)
}

/// Prints rows as they come and counts them.
async fn print_rows(
    mut rows: RowStream,
    io: &mut Io<'_>,
    format: Format,
    raw: bool,
) -> Result<u64, Failure> {
    let view = RowView { full: format.wide || io.terminal.width.is_none(), raw };
    let mut layout = Layout::new(&COLUMNS, io.terminal, format.wide);
    let mut count = 0;
    if format.json {
        write!(io.out, "[")?;
    }
    while let Some(mut row) = rows.next().await? {
        if raw {
            row.decoded = None;
        }
        if format.json {
            write!(io.out, "{}", if count == 0 { "\n" } else { ",\n" })?;
            serde_json::to_writer(&mut *io.out, &row)?;
        } else if format.jsonl {
            print_line(io.out, &row)?;
        } else {
            layout.row(io.out, view.cells(&row))?;
        }
        count += 1;
    }
    if format.json {
        writeln!(io.out, "\n]")?;
    } else if !format.jsonl {
        layout.finish(io.out)?;
    }
    Ok(count)
}

/// How the cells of a row are written.
#[derive(Clone, Copy)]
struct RowView {
    /// Ids and moments in full.
    full: bool,
    raw: bool,
}

impl RowView {
    fn cells(self, row: &Row) -> Vec<Cell> {
        let stamp = if self.full {
            text::moment(row.stamp_us)
        } else {
            text::short_moment(row.stamp_us, row.age_ms)
        };
        vec![
            Cell::new(&*row.network),
            Cell::new(&*row.table),
            Cell::new(row.lifetime.as_str()),
            Cell::new(text::payload(&row.key)),
            Cell::new(value(row, self.raw)),
            Cell::new(owner(row)),
            Cell::new(row.dot.to_string()).look(Look::Aside),
            Cell::new(stamp).look(Look::Aside),
            Cell::new(text::age(row.age_ms)),
            Cell::new(row.state.as_str()).look(look(row.state)),
        ]
    }
}

/// A row's value: field by field where the daemon knows how, else as it is.
pub(super) fn value(row: &Row, raw: bool) -> String {
    match &row.decoded {
        Some(fields) if !raw => {
            let shown = |(name, value): (&String, &String)| format!("{name}={value}");
            text::escaped(&fields.iter().map(shown).collect::<Vec<_>>().join(" "))
        }
        _ => text::payload(&row.value),
    }
}

/// The owner's name, else the start of its id, else a dash.
pub(super) fn owner(row: &Row) -> String {
    match (&row.owner_name, &row.owner) {
        (Some(name), _) => text::escaped(name),
        (None, Some(id)) => text::short(id).to_owned(),
        (None, None) => "-".to_owned(),
    }
}

fn look(state: RowState) -> Look {
    match state {
        RowState::Alive => Look::Good,
        RowState::Suspect | RowState::Restarting => Look::Doubtful,
        RowState::Failed => Look::Bad,
        RowState::Unknown => Look::Aside,
    }
}

#[cfg(test)]
mod tests;
