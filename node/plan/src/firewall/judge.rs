//! What a chain would make of a packet of which only a part is known.
//!
//! Every way that it could go is followed. So what is said here to be dropped is dropped, whatever else the
//! packet has; what might pass is not spoken of.

use alloc::{string::String, vec, vec::Vec};

use super::{Ct, Expr, Family, LINK_NAME, Meta, Register, Rule, Set, Table, Verdict};
use crate::records::LinkName;

/// Jumps into each other, as many as the kernel has room for (`NFT_JUMP_STACK_SIZE`).
const DEPTH: usize = 16;
/// Bytes that expressions work on.
const ROOM: usize = 64;

/// What is known of a packet; of the rest, everything is possible.
#[derive(Clone, Debug)]
pub(super) struct Packet<'a> {
    pub(super) family: Family,
    /// The link that it comes by.
    pub(super) from: Option<&'a LinkName>,
    /// The link that it goes by.
    pub(super) to: Option<&'a LinkName>,
    /// Bits of `Ct::State`.
    pub(super) state: u32,
    /// Bits of `Ct::Status` that are set.
    pub(super) status: u32,
}

/// How a packet may leave a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ends {
    accepted: bool,
    dropped: bool,
    /// Nothing decided.
    open: bool,
}

/// Whether a base chain drops a packet for sure.
pub(super) fn drops(table: &Table, chain: &str, packet: &Packet<'_>) -> bool {
    let ends = run(table, chain, packet, DEPTH);
    let policy = table.chains.get(chain).and_then(|chain| chain.base.as_ref());
    let passes = ends.open && policy.is_none_or(|base| !base.drops);
    !ends.accepted && !passes
}

fn run(table: &Table, chain: &str, packet: &Packet<'_>, depth: usize) -> Ends {
    let unknown = Ends { accepted: true, dropped: true, open: true };
    let (Some(chain), Some(depth)) = (table.chains.get(chain), depth.checked_sub(1)) else {
        return unknown;
    };
    let mut ends = Ends::default();
    for rule in &chain.rules {
        let Some(Decision { certain, verdicts }) = decide(table, rule, packet) else { continue };
        let mut goes_on = !certain;
        for verdict in verdicts {
            match verdict {
                Verdict::Accept => ends.accepted = true,
                Verdict::Drop => ends.dropped = true,
                Verdict::Return => ends.open = true,
                Verdict::Continue => goes_on = true,
                Verdict::Jump(to) => {
                    let there = run(table, &to, packet, depth);
                    ends.accepted |= there.accepted;
                    ends.dropped |= there.dropped;
                    goes_on |= there.open;
                }
                Verdict::Goto(to) => {
                    let there = run(table, &to, packet, depth);
                    ends.accepted |= there.accepted;
                    ends.dropped |= there.dropped;
                    ends.open |= there.open;
                }
                Verdict::Other => return unknown,
            }
        }
        if !goes_on {
            return ends;
        }
    }
    ends.open = true;
    ends
}

/// What a rule decides that may match.
struct Decision {
    /// It does match, and one of these is what comes of it.
    certain: bool,
    verdicts: Vec<Verdict>,
}

/// Whether something is so.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Match {
    No,
    Maybe,
    Yes,
}

/// `None` if the packet goes on to the next rule for sure.
fn decide(table: &Table, rule: &Rule, packet: &Packet<'_>) -> Option<Decision> {
    let mut registers = Registers::default();
    let mut certain = true;
    for expression in rule {
        let matches = match expression {
            Expr::Verdict(verdict) => {
                return Some(Decision { certain, verdicts: vec![verdict.clone()] });
            }
            Expr::Reject(_) => return Some(Decision { certain, verdicts: vec![Verdict::Drop] }),
            Expr::Decide { map, key } => {
                let Some(map) = table.sets.get(map) else {
                    return Some(Decision { certain: false, verdicts: vec![Verdict::Other] });
                };
                let fits = map.verdicts.iter().map(|(value, v)| (registers.is(*key, value), v));
                let fits: Vec<_> = fits.filter(|(fits, _)| *fits != Match::No).collect();
                let sure = fits.iter().any(|(fits, _)| *fits == Match::Yes);
                let verdicts: Vec<Verdict> = fits.into_iter().map(|(_, v)| v.clone()).collect();
                if verdicts.is_empty() {
                    return None;
                }
                return Some(Decision { certain: certain && sure, verdicts });
            }
            Expr::Compare { from, equal, value } => match (registers.is(*from, value), equal) {
                (Match::Yes, false) => Match::No,
                (Match::No, false) => Match::Yes,
                (matches, _) => matches,
            },
            Expr::Lookup { set, key, into: None } => {
                table.sets.get(set).map_or(Match::Maybe, |set| registers.is_in(*key, set))
            }
            Expr::Other(name) if name == "queue" => {
                return Some(Decision { certain: false, verdicts: vec![Verdict::Other] });
            }
            Expr::Lookup { into: Some(_), .. }
            | Expr::RouteSegment(_)
            | Expr::ToNetwork(_)
            | Expr::Other(_) => {
                registers = Registers::default();
                Match::Maybe
            }
            Expr::States(states) if packet.state & states == 0 => Match::No,
            Expr::WriteSegment(_) => Match::Maybe,
            Expr::States(_)
            | Expr::Aside(_)
            | Expr::Put(..)
            | Expr::Write { .. }
            | Expr::Untracked
            | Expr::Masquerade
            | Expr::Dnat { .. } => Match::Yes,
            load => {
                registers.load(load, packet);
                Match::Yes
            }
        };
        match matches {
            Match::No => return None,
            Match::Maybe => certain = false,
            Match::Yes => {}
        }
    }
    None
}

/// Bytes that expressions have loaded, and for each which of its bits are known.
struct Registers(Vec<(u8, u8)>);

impl Default for Registers {
    fn default() -> Self {
        Self(vec![(0, 0); ROOM])
    }
}

impl Registers {
    fn load(&mut self, expression: &Expr, packet: &Packet<'_>) {
        match expression {
            Expr::Meta(Meta::InLink, into) => self.put(*into, &link(packet.from)),
            Expr::Meta(Meta::OutLink, into) => self.put(*into, &link(packet.to)),
            Expr::Meta(Meta::Family, into) => self.put(*into, &[(packet.family.number(), 0xff)]),
            Expr::Meta(Meta::Protocol, into) | Expr::Ct(Ct::Direction, into) => {
                self.put(*into, &[(0, 0)]);
            }
            Expr::Meta(Meta::InType, into) => self.put(*into, &[(0, 0); 2]),
            Expr::Immediate(bytes, into) => {
                let bytes: Vec<_> = bytes.iter().map(|byte| (*byte, 0xff)).collect();
                self.put(*into, &bytes);
            }
            Expr::Ct(Ct::State, into) => {
                self.put(*into, &packet.state.to_ne_bytes().map(|b| (b, 0xff)));
            }
            // Of the bits that are not set nothing is known.
            Expr::Ct(Ct::Status, into) => {
                self.put(*into, &packet.status.to_ne_bytes().map(|b| (b, b)));
            }
            Expr::Meta(Meta::Mark, into)
            | Expr::Ct(Ct::Mark, into)
            | Expr::DestinationType(into)
            | Expr::Random { into, .. } => {
                self.put(*into, &[(0, 0); 4]);
            }
            Expr::Payload { length, into, .. } => {
                let length = usize::try_from(*length).unwrap_or(ROOM);
                self.put(*into, &vec![(0, 0); length.min(ROOM)]);
            }
            Expr::Mask(at, mask) => {
                for ((value, known), mask) in self.at(*at).zip(mask) {
                    *value &= mask;
                    *known |= !mask;
                }
            }
            _ => {}
        }
    }

    fn at(&mut self, Register(word): Register) -> impl Iterator<Item = &mut (u8, u8)> {
        self.0.iter_mut().skip(usize::from(word) * 4)
    }

    fn put(&mut self, into: Register, bytes: &[(u8, u8)]) {
        // What is shorter than its words is filled up with zeros.
        let filled = bytes.len().next_multiple_of(4) - bytes.len();
        let bytes = bytes.iter().copied().chain(core::iter::repeat_n((0, 0xff), filled));
        for (slot, byte) in self.at(into).zip(bytes) {
            *slot = byte;
        }
    }

    /// Whether it begins with these bytes.
    fn is(&self, Register(word): Register, value: &[u8]) -> Match {
        let there = self.0.iter().skip(usize::from(word) * 4).zip(value);
        let mut whole = Match::Yes;
        for ((there, known), wanted) in there {
            if (there ^ wanted) & known != 0 {
                return Match::No;
            }
            if *known != 0xff {
                whole = Match::Maybe;
            }
        }
        whole
    }

    fn is_in(&self, key: Register, set: &Set) -> Match {
        let each = set.elements.keys().map(|value| self.is(key, value));
        each.fold(Match::No, |all, one| match (all, one) {
            (Match::Yes, _) | (_, Match::Yes) => Match::Yes,
            (Match::Maybe, _) | (_, Match::Maybe) => Match::Maybe,
            (Match::No, Match::No) => Match::No,
        })
    }
}

fn link(name: Option<&LinkName>) -> Vec<(u8, u8)> {
    let known = name.map_or(0, |_| 0xff);
    let bytes = name.map(LinkName::as_str).unwrap_or_default().bytes();
    let mut bytes: Vec<(u8, u8)> = bytes.map(|byte| (byte, known)).collect();
    bytes.resize(LINK_NAME, (0, known));
    bytes
}

/// Names of the sets that rules of these chains look into, and of the chains that they lead to.
pub(super) fn reached(table: &Table, from: &str) -> Vec<String> {
    let (mut sets, mut seen, mut left) = (Vec::new(), Vec::new(), vec![String::from(from)]);
    while let Some(name) = left.pop() {
        if seen.contains(&name) {
            continue;
        }
        let rules = table.chains.get(&name).map(|chain| chain.rules.as_slice()).unwrap_or_default();
        for expression in rules.iter().flatten() {
            match expression {
                Expr::Verdict(Verdict::Jump(to) | Verdict::Goto(to)) => left.push(to.clone()),
                Expr::Lookup { set, .. } => sets.push(set.clone()),
                Expr::Decide { map, .. } => sets.push(map.clone()),
                _ => {}
            }
        }
        seen.push(name);
    }
    sets
}
