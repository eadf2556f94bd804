//! Lays out rows of cells: aligned and cut to fit on a terminal, separated by tabs elsewhere.
//!
//! Memory stays bounded: widths are chosen from the first [`LOOK_AHEAD`] rows and then kept.

use std::io::{self, Write};

use crate::{
    terminal::{Look, Terminal},
    text::{Cut, fit, width},
};

/// Rows that are held back to choose widths.
pub(crate) const LOOK_AHEAD: usize = 1000;

/// Columns between two columns.
const GAP: usize = 2;

/// One column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    name: &'static str,
    /// It is never cut below this.
    min: usize,
    cut: Cut,
    right: bool,
    /// It gives way before all others.
    first_to_go: bool,
}

impl Column {
    pub(crate) const fn new(name: &'static str, min: usize) -> Self {
        Self { name, min, cut: Cut::End, right: false, first_to_go: false }
    }

    /// Its end matters more than its start.
    pub(crate) const fn cut_at_start(mut self) -> Self {
        self.cut = Cut::Start;
        self
    }

    /// It matters less than the others.
    pub(crate) const fn first_to_go(mut self) -> Self {
        self.first_to_go = true;
        self
    }

    /// Numbers.
    pub(crate) const fn right(mut self) -> Self {
        self.right = true;
        self
    }
}

/// The text of one cell and what it is.
#[derive(Clone, Debug)]
pub(crate) struct Cell {
    text: String,
    look: Look,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), look: Look::Plain }
    }

    pub(crate) fn look(mut self, look: Look) -> Self {
        self.look = look;
        self
    }
}

/// Prints rows as they come.
pub(crate) struct Layout<'c> {
    columns: &'c [Column],
    /// Where to cut; `None` for the full width of everything.
    limit: Option<usize>,
    aligned: bool,
    color: bool,
    held: Vec<Vec<Cell>>,
    widths: Option<Vec<usize>>,
}

impl<'c> Layout<'c> {
    /// For this terminal; `wide` cuts nothing.
    pub(crate) fn new(columns: &'c [Column], terminal: Terminal, wide: bool) -> Self {
        Self {
            columns,
            limit: terminal.width.filter(|_| !wide),
            aligned: terminal.width.is_some(),
            color: terminal.color,
            held: Vec::new(),
            widths: None,
        }
    }

    /// Adds a row; it may be written later.
    pub(crate) fn row(&mut self, out: &mut dyn Write, cells: Vec<Cell>) -> io::Result<()> {
        if self.widths.is_some() {
            return self.write_row(out, &cells);
        }
        self.held.push(cells);
        let enough = if self.aligned { LOOK_AHEAD } else { 1 };
        if self.held.len() < enough { Ok(()) } else { self.settle(out) }
    }

    /// Writes what is still held back. A table without rows still has its heading.
    pub(crate) fn finish(mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.widths.is_none() { self.settle(out) } else { Ok(()) }
    }

    fn settle(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let held = std::mem::take(&mut self.held);
        let natural: Vec<usize> = self
            .columns
            .iter()
            .enumerate()
            .map(|(i, column)| {
                let cells = held.iter().filter_map(|row| row.get(i));
                cells.map(|cell| width(&cell.text)).max().unwrap_or(0).max(width(column.name))
            })
            .collect();
        self.widths = Some(match self.limit {
            Some(limit) => widths_within(limit, natural, self.columns),
            None => natural,
        });
        let heading = |column: &Column| Cell::new(column.name).look(Look::Heading);
        self.write_row(out, &self.columns.iter().map(heading).collect::<Vec<_>>())?;
        held.iter().try_for_each(|row| self.write_row(out, row))
    }

    fn write_row(&self, out: &mut dyn Write, cells: &[Cell]) -> io::Result<()> {
        let widths = self.widths.as_deref().unwrap_or_default();
        let last = self.columns.len().saturating_sub(1);
        let mut line = String::new();
        for (i, ((cell, column), room)) in cells.iter().zip(self.columns).zip(widths).enumerate() {
            if !self.aligned {
                line.push_str(&cell.look.paint(&cell.text, self.color));
                line.push_str(if i == last { "" } else { "\t" });
                continue;
            }
            // Later rows may be wider than those that the widths were chosen from.
            let text = if self.limit.is_some() {
                fit(&cell.text, *room, column.cut)
            } else {
                cell.text.clone()
            };
            let padding = " ".repeat(room.saturating_sub(width(&text)));
            let painted = cell.look.paint(&text, self.color);
            if column.right {
                line.push_str(&padding);
            }
            line.push_str(&painted);
            if !column.right && i != last {
                line.push_str(&padding);
            }
            line.push_str(if i == last { "" } else { "  " });
        }
        writeln!(out, "{line}")
    }
}

/// Widths that fit into `limit`: those that are first to go give way first, then the widest, none
/// below its minimum.
fn widths_within(limit: usize, mut natural: Vec<usize>, columns: &[Column]) -> Vec<usize> {
    let gaps = GAP * natural.len().saturating_sub(1);
    let mut missing = (natural.iter().sum::<usize>() + gaps).saturating_sub(limit);
    for (width, column) in natural.iter_mut().zip(columns).filter(|(_, c)| c.first_to_go) {
        let given = missing.min(width.saturating_sub(column.min));
        *width -= given;
        missing -= given;
    }
    let capped = |level: usize| -> Vec<usize> {
        natural.iter().zip(columns).map(|(n, column)| (*n).min(level.max(column.min))).collect()
    };
    let fits = |level: usize| capped(level).iter().sum::<usize>() + gaps <= limit;
    let highest = natural.iter().copied().max().unwrap_or(0);
    let level = (0..=highest).rev().find(|level| fits(*level)).unwrap_or(0);
    let mut widths = capped(level);
    // What one more column for all would have overrun is still free: it goes to the cut ones.
    let mut spare = limit.saturating_sub(widths.iter().sum::<usize>() + gaps);
    for (width, natural) in widths.iter_mut().zip(&natural) {
        if spare > 0 && *width < *natural {
            *width += 1;
            spare -= 1;
        }
    }
    widths
}

/// Prints a whole table.
pub(crate) fn print_table(
    out: &mut dyn Write,
    columns: &[Column],
    terminal: Terminal,
    wide: bool,
    rows: impl IntoIterator<Item = Vec<Cell>>,
) -> io::Result<()> {
    let mut layout = Layout::new(columns, terminal, wide);
    for row in rows {
        layout.row(out, row)?;
    }
    layout.finish(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_give_way_first() {
        let columns = [3, 3, 4].map(|min| Column::new("", min));
        assert_eq!(widths_within(80, vec![5, 10, 1], &columns), [5, 10, 1]);
        assert_eq!(widths_within(21, vec![5, 40, 1], &columns), [5, 11, 1]);
        assert_eq!(widths_within(21, vec![30, 40, 4], &columns), [7, 6, 4]);
        // Too narrow for all minimums: the terminal has to wrap.
        assert_eq!(widths_within(5, vec![30, 40, 4], &columns), [3, 3, 4]);
        let mut columns = columns;
        columns[1] = columns[1].first_to_go();
        assert_eq!(widths_within(30, vec![12, 20, 4], &columns), [12, 10, 4]);
        assert_eq!(widths_within(20, vec![12, 20, 4], &columns), [9, 3, 4]);
    }

    fn printed(terminal: Terminal, wide: bool, rows: &[[&str; 2]]) -> String {
        const COLUMNS: [Column; 2] = [Column::new("KEY", 4), Column::new("N", 1).right()];
        let mut out = Vec::new();
        let mut layout = Layout::new(&COLUMNS, terminal, wide);
        for row in rows {
            layout.row(&mut out, row.iter().map(|text| Cell::new(*text)).collect()).unwrap();
        }
        layout.finish(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_pipe_gets_tabs_and_a_terminal_gets_columns() {
        let rows = [["alpha", "1"], ["b", "20"]];
        assert_eq!(printed(Terminal::default(), false, &rows), "KEY\tN\nalpha\t1\nb\t20\n");
        let terminal = Terminal { width: Some(80), ..Terminal::default() };
        assert_eq!(printed(terminal, false, &rows), "KEY     N\nalpha   1\nb      20\n");
        let narrow = Terminal { width: Some(8), ..Terminal::default() };
        assert_eq!(printed(narrow, false, &rows), "KEY    N\nalp…   1\nb     20\n");
        assert_eq!(printed(narrow, true, &rows), printed(terminal, false, &rows));
    }

    #[test]
    fn colour_does_not_count_as_width() {
        let terminal = Terminal { width: Some(80), color: true, ..Terminal::default() };
        assert!(printed(terminal, false, &[["a", "1"]]).starts_with("\u{1b}[1mKEY\u{1b}[0m  "));
    }

    #[test]
    fn rows_beyond_the_look_ahead_keep_the_widths_chosen() {
        let terminal = Terminal { width: Some(12), ..Terminal::default() };
        let mut rows = vec![["key", "1"]; LOOK_AHEAD];
        rows.push(["a-much-longer-key", "2"]);
        let text = printed(terminal, false, &rows);
        assert_eq!(text.lines().count(), LOOK_AHEAD + 2);
        assert_eq!(text.lines().last(), Some("a-…  2"));
    }
}
