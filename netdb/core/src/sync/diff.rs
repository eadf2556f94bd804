//! In what two nodes differ, found out by asking both: networks whose hashes differ, writers in them whose
//! sums differ, and by ever smaller ranges of their sequences the rows.
//!
//! The cost follows what differs. Must never trust what is answered: every loop ends by itself.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use netdb_gossip_core::identity::Name;

use crate::{
    entry::Writer,
    wire::{
        Want,
        inspect::{
            Answer, HeldRow, MAX_LISTED, MAX_PLACES, MAX_RANGES, NetworkSum, Question, Rows,
            WriterSum,
        },
    },
};

/// The most differing rows that are told of one network.
pub const MAX_ROWS: usize = 1000;
/// The most questions about one network's rows.
const MAX_ROUNDS: usize = 500;
/// The most pages of one list.
const MAX_PAGES: usize = 64;
/// Into how many ranges one that differs is cut.
const CUT_INTO: u64 = 16;

/// One of the two nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one named first.
    Left,
    /// The other.
    Right,
}

/// Why there is no comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiffError<E> {
    /// A side could not be asked.
    Unanswered(E),
    /// A side is not attached to the network (any more).
    NotAttached(Side, Name),
    /// A side answered what was not asked.
    Nonsense(Side),
}

/// Who can be asked.
pub trait Ask {
    /// Why nobody answers.
    type Error;

    /// Asks one side.
    fn ask(
        &self,
        side: Side,
        question: Question,
    ) -> impl Future<Output = Result<Answer, Self::Error>> + Send;
}

/// What there is to be compared, and how.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Only this network.
    pub only: Option<Name>,
    /// What is stamped later is on its way.
    pub settled_before: u64,
}

/// What two nodes have in common and what not.
#[derive(Clone, Debug, Default)]
pub struct Diff {
    /// The networks that both are attached to.
    pub networks: Vec<NetworkDiff>,
    /// Those that only one is attached to.
    pub apart: Vec<(Name, Side)>,
}

/// One network in two copies.
#[derive(Clone, Debug)]
pub struct NetworkDiff {
    /// The copies in short.
    pub left: NetworkSum,
    /// The other one.
    pub right: NetworkSum,
    /// What to make of it.
    pub verdict: Verdict,
    /// The writers that one side knows more of, or holds other rows of.
    pub writers: Vec<WriterDiff>,
    /// The rows that differ, at most [`MAX_ROWS`].
    pub rows: Vec<RowDiff>,
    /// There are, or may be, further rows.
    pub more: bool,
}

/// What to make of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// There is none.
    Equal,
    /// All of it was written a moment ago.
    OnItsWay,
    /// Something that had the time to arrive did not.
    Different,
}

/// One writer in two copies; a side that does not know it (any more) has none.
#[derive(Clone, Copy, Debug)]
pub struct WriterDiff {
    /// On the left.
    pub left: Option<WriterSum>,
    /// On the right.
    pub right: Option<WriterSum>,
    /// What to make of what was received; rows speak for themselves.
    pub verdict: Verdict,
}

impl WriterDiff {
    /// Who.
    pub fn writer(&self) -> Option<Writer> {
        self.left.or(self.right).map(|sum| sum.writer)
    }
}

/// One row in two copies.
#[derive(Clone, Debug)]
pub struct RowDiff {
    /// On the left.
    pub left: Standing,
    /// On the right.
    pub right: Standing,
    /// The later of the stamps.
    pub at: u64,
    /// Whether it was written a moment ago.
    pub on_its_way: bool,
}

impl RowDiff {
    /// Which row, as one of the sides has it.
    pub fn row(&self) -> Option<&HeldRow> {
        match (&self.left, &self.right) {
            (Standing::Held(row) | Standing::Deleted(row), _)
            | (_, Standing::Held(row) | Standing::Deleted(row)) => Some(row),
            _ => None,
        }
    }
}

/// What stands for a row on one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A write.
    Held(HeldRow),
    /// A delete that is remembered.
    Deleted(HeldRow),
    /// Nothing: the other side's write was received and is gone.
    Gone,
    /// Nothing: the other side's write was not received.
    NotReceived,
}

/// Compares two nodes.
///
/// # Errors
/// See [`DiffError`].
pub async fn compare<A: Ask + Sync>(asked: &A, scope: &Scope) -> Result<Diff, DiffError<A::Error>> {
    let left = networks(asked, Side::Left, scope).await?;
    let mut right = networks(asked, Side::Right, scope).await?;
    if let Some(only) = &scope.only {
        for (side, found) in [(Side::Left, &left), (Side::Right, &right)] {
            if !found.contains_key(only) {
                return Err(DiffError::NotAttached(side, only.clone()));
            }
        }
    }
    let mut diff = Diff::default();
    for (name, left) in left {
        match right.remove(&name) {
            None => diff.apart.push((name, Side::Left)),
            Some(right) => match network(asked, scope, left, right).await {
                // It was left a moment ago.
                Err(DiffError::NotAttached(gone, name)) if scope.only.is_none() => {
                    let still = if gone == Side::Left { Side::Right } else { Side::Left };
                    diff.apart.push((name, still));
                }
                compared => diff.networks.push(compared?),
            },
        }
    }
    diff.apart.extend(right.into_keys().map(|name| (name, Side::Right)));
    Ok(diff)
}

/// Asks one side, about one network if one is named.
async fn ask<A: Ask + Sync>(
    asked: &A,
    side: Side,
    name: Option<&Name>,
    question: Question,
) -> Result<Answer, DiffError<A::Error>> {
    match (asked.ask(side, question).await.map_err(DiffError::Unanswered)?, name) {
        (Answer::NotAttached, Some(name)) => Err(DiffError::NotAttached(side, name.clone())),
        (answer, _) => Ok(answer),
    }
}

async fn networks<A: Ask + Sync>(
    asked: &A,
    side: Side,
    scope: &Scope,
) -> Result<BTreeMap<Name, NetworkSum>, DiffError<A::Error>> {
    let mut all = BTreeMap::new();
    for _ in 0..MAX_PAGES {
        let after = all.last_key_value().map(|(name, _): (&Name, _)| name.clone());
        let (only, cutoff) = (scope.only.clone(), scope.settled_before);
        match ask(asked, side, None, Question::Networks { only, cutoff, after }).await? {
            Answer::Networks { networks, more } if networks.len() <= MAX_LISTED => {
                all.extend(networks.into_iter().map(|sum| (sum.network.clone(), sum)));
                if !more {
                    return Ok(all);
                }
            }
            _ => break,
        }
    }
    Err(DiffError::Nonsense(side))
}

async fn network<A: Ask + Sync>(
    asked: &A,
    scope: &Scope,
    left: NetworkSum,
    right: NetworkSum,
) -> Result<NetworkDiff, DiffError<A::Error>> {
    let name = left.network.clone();
    let settled =
        (left.settled_held, left.settled_received) == (right.settled_held, right.settled_received);
    let same = settled && (left.held, left.received) == (right.held, right.received);
    let (writers, rows) = (Vec::new(), Vec::new());
    let verdict = Verdict::Equal;
    let mut diff = NetworkDiff { left, right, verdict, writers, rows, more: false };
    if same {
        return Ok(diff);
    }
    diff.writers = writers_of(asked, scope, &name).await?;
    let (places, more) = narrow(asked, &name, &diff.writers).await?;
    diff.more = more;
    diff.rows = rows_at(asked, scope, &name, &diff.writers, places).await?;
    let row = |row: &RowDiff| {
        if row.on_its_way { Verdict::OnItsWay } else { Verdict::Different }
    };
    let of_rows = diff.rows.iter().map(row);
    let found = of_rows.chain(diff.writers.iter().map(|writer| writer.verdict)).max();
    diff.verdict = found.unwrap_or(Verdict::Equal);
    if more && !settled {
        diff.verdict = Verdict::Different;
    }
    Ok(diff)
}

/// The writers in which the two sides differ.
async fn writers_of<A: Ask + Sync>(
    asked: &A,
    scope: &Scope,
    name: &Name,
) -> Result<Vec<WriterDiff>, DiffError<A::Error>> {
    let left = writers(asked, Side::Left, scope, name).await?;
    let right = writers(asked, Side::Right, scope, name).await?;
    let all: BTreeSet<Writer> = left.keys().chain(right.keys()).copied().collect();
    let differing = |writer: Writer| {
        let (left, right) = (left.get(&writer).copied(), right.get(&writer).copied());
        let verdict = judge(left.as_ref(), right.as_ref());
        let held = |sum: Option<WriterSum>| sum.map_or((0, 0), |sum| (sum.rows, sum.hash));
        let differs = verdict > Verdict::Equal || held(left) != held(right);
        differs.then_some(WriterDiff { left, right, verdict })
    };
    Ok(all.into_iter().filter_map(differing).collect())
}

/// What to make of what two sides received of a writer.
fn judge(left: Option<&WriterSum>, right: Option<&WriterSum>) -> Verdict {
    match (left, right) {
        // How far a side was at the cutoff, only one that saw the later writes come knows for sure.
        (Some(left), Some(right)) if left.contiguous == right.contiguous => Verdict::Equal,
        (Some(left), Some(right)) if left.settled == right.settled => Verdict::OnItsWay,
        (Some(_), Some(_)) => Verdict::Different,
        // A side that knows nothing of a writer who owns nothing has forgotten it a little earlier.
        _ => Verdict::Equal,
    }
}

async fn writers<A: Ask + Sync>(
    asked: &A,
    side: Side,
    scope: &Scope,
    name: &Name,
) -> Result<BTreeMap<Writer, WriterSum>, DiffError<A::Error>> {
    let mut all = BTreeMap::new();
    for _ in 0..MAX_PAGES {
        let after = all.last_key_value().map(|(writer, _): (&Writer, _)| *writer);
        let (network, cutoff) = (name.clone(), scope.settled_before);
        match ask(asked, side, Some(name), Question::Writers { network, cutoff, after }).await? {
            Answer::Writers { writers, more } if writers.len() <= MAX_LISTED => {
                all.extend(writers.into_iter().map(|sum| (sum.writer, sum)));
                if !more {
                    return Ok(all);
                }
            }
            _ => break,
        }
    }
    Err(DiffError::Nonsense(side))
}

/// The places of the rows in which the two sides differ, and whether there may be further ones.
async fn narrow<A: Ask + Sync>(
    asked: &A,
    name: &Name,
    writers: &[WriterDiff],
) -> Result<(Vec<u64>, bool), DiffError<A::Error>> {
    let last = |sum: Option<WriterSum>| sum.map_or(0, |sum| sum.last);
    let whole = writers
        .iter()
        .filter_map(|diff| Some((diff.writer()?, 0, last(diff.left).max(last(diff.right)))));
    let mut open: BTreeSet<(Writer, u64, u64)> = whole.filter(|range| range.2 > 0).collect();
    let mut places = BTreeSet::new();
    for _ in 0..MAX_ROUNDS {
        if open.is_empty() || places.len() >= MAX_ROWS {
            break;
        }
        let mut ranges = Vec::new();
        while ranges.len() < MAX_RANGES
            && let Some((writer, after, through)) = open.pop_first()
        {
            ranges.push(Want { writer, after, through });
        }
        let left = held(asked, Side::Left, name, &ranges).await?;
        let right = held(asked, Side::Right, name, &ranges).await?;
        for ((left, right), range) in left.iter().zip(&right).zip(ranges) {
            match (left, right) {
                (Rows::List(left), Rows::List(right)) => {
                    let only = |rows: &[HeldRow], others: &[HeldRow]| -> Vec<u64> {
                        let alone = rows.iter().filter(|row| !others.contains(row));
                        alone.map(|row| row.row().place()).collect()
                    };
                    places.extend(only(left, right));
                    places.extend(only(right, left));
                }
                (Rows::Sum(..), Rows::Sum(..)) if left == right => {}
                _ => open.extend(cut(range)),
            }
        }
    }
    let more = !open.is_empty() || places.len() > MAX_ROWS;
    Ok((places.into_iter().take(MAX_ROWS).collect(), more))
}

/// A range in smaller ones; none if it has but one sequence.
fn cut(Want { writer, after, through }: Want) -> impl Iterator<Item = (Writer, u64, u64)> {
    let width = through.saturating_sub(after);
    let step = width.div_ceil(CUT_INTO).max(1);
    let parts = if width > 1 { CUT_INTO } else { 0 };
    (0..parts).filter_map(move |part| {
        let from = after.checked_add(part.checked_mul(step)?)?;
        (from < through).then(|| (writer, from, from.saturating_add(step).min(through)))
    })
}

async fn held<A: Ask + Sync>(
    asked: &A,
    side: Side,
    name: &Name,
    ranges: &[Want],
) -> Result<Vec<Rows>, DiffError<A::Error>> {
    let question = Question::Held { network: name.clone(), ranges: ranges.to_vec() };
    match ask(asked, side, Some(name), question).await? {
        Answer::Held(rows) if rows.len() == ranges.len() => Ok(rows),
        _ => Err(DiffError::Nonsense(side)),
    }
}

/// What stands in these places on both sides, as far as it is not the same by now.
async fn rows_at<A: Ask + Sync>(
    asked: &A,
    scope: &Scope,
    name: &Name,
    writers: &[WriterDiff],
    places: Vec<u64>,
) -> Result<Vec<RowDiff>, DiffError<A::Error>> {
    let mut rows = Vec::new();
    for places in places.chunks(MAX_PLACES) {
        let left = standing(asked, Side::Left, name, places).await?;
        let right = standing(asked, Side::Right, name, places).await?;
        let both = left.into_iter().zip(right);
        rows.extend(
            both.filter_map(|(left, right)| row(scope, writers, left.as_ref(), right.as_ref())),
        );
    }
    rows.sort_by(|a, b| order(a).cmp(&order(b)));
    Ok(rows)
}

/// The order in which rows are told.
fn order(diff: &RowDiff) -> Option<(&Name, &[u8])> {
    diff.row().map(|row| (&row.table, &*row.key))
}

async fn standing<A: Ask + Sync>(
    asked: &A,
    side: Side,
    name: &Name,
    places: &[u64],
) -> Result<Vec<Option<HeldRow>>, DiffError<A::Error>> {
    let question = Question::Standing { network: name.clone(), places: places.to_vec() };
    match ask(asked, side, Some(name), question).await? {
        Answer::Standing(rows) if rows.len() == places.len() => Ok(rows),
        _ => Err(DiffError::Nonsense(side)),
    }
}

fn row(
    scope: &Scope,
    writers: &[WriterDiff],
    left: Option<&HeldRow>,
    right: Option<&HeldRow>,
) -> Option<RowDiff> {
    let is_live = |row: &HeldRow| !row.deleted;
    if left == right || !(left.is_some_and(is_live) || right.is_some_and(is_live)) {
        return None;
    }
    let at = left.into_iter().chain(right).map(|row| row.at).max()?;
    let received = |dot: &crate::entry::Dot, by: fn(&WriterDiff) -> Option<WriterSum>| {
        let of = writers.iter().find(|diff| diff.writer() == Some(dot.writer));
        // Of a writer that is not listed both sides received the same.
        of.is_none_or(|diff| by(diff).is_some_and(|sum| dot.sequence <= sum.contiguous))
    };
    let nothing = |other: Option<&HeldRow>, by: fn(&WriterDiff) -> Option<WriterSum>| match other {
        Some(row) if received(&row.dot, by) => Standing::Gone,
        _ => Standing::NotReceived,
    };
    let side = |own: Option<&HeldRow>, other: Option<&HeldRow>, by| match own {
        Some(row) if row.deleted => Standing::Deleted(row.clone()),
        Some(row) => Standing::Held(row.clone()),
        None => nothing(other, by),
    };
    Some(RowDiff {
        left: side(left, right, |diff| diff.left),
        right: side(right, left, |diff| diff.right),
        at,
        on_its_way: at > scope.settled_before,
    })
}
