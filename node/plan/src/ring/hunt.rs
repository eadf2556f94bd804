//! Looking for more when this node's own share is used up: whom to ask, and what their answers mean.

use alloc::{collections::BTreeMap, vec::Vec};

use netdb_gossip_core::{identity::NodeId, time::Time};

use super::{Ask, Output, Refusal, Reply, Ring, State, TICK, Wish, moves::Word};

/// Holders that seem to have nothing are asked so many at a time.
const AT_ONCE: usize = 8;

/// Why something was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Free numbers, for the hunt.
    Share,
    /// One number, for this request.
    Exact(u64),
    /// The other side is to take a range.
    Take(u128),
}

/// A search for free numbers, over all who hold some.
#[derive(Clone, Debug, Default)]
pub(super) struct Hunt {
    /// What was learnt is of no use any more then.
    until: Time,
    asked: BTreeMap<NodeId, Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Open,
    Nothing,
    Later,
    Silent,
    /// It promised something, which is on its way.
    Word,
}

impl Hunt {
    fn count(&self, outcome: Outcome) -> usize {
        self.asked.values().filter(|known| **known == outcome).count()
    }
}

impl Ring {
    pub(super) fn begin_hunt(&mut self, now: Time) {
        if self.hunt.is_none() {
            let until = now + self.config.patience;
            self.hunt = Some(Hunt { until, ..Hunt::default() });
        }
    }

    /// The answer to a question, or none.
    pub fn handle_answer(&mut self, now: Time, id: u64, answer: Option<&[u8]>) {
        let Some((from, purpose)) = self.asks.remove(&id) else { return };
        // Who answers nonsense is as good as silent.
        let reply = answer.and_then(|bytes| Reply::decode(bytes).ok());
        if let Some(Reply::Word { start, version }) = reply
            && !matches!(purpose, Purpose::Take(_))
        {
            self.hear_word(start, Word { from, version, rests: false });
        }
        match purpose {
            Purpose::Share => {
                let outcome = match reply {
                    None => Outcome::Silent,
                    Some(Reply::Word { .. }) => Outcome::Word,
                    Some(Reply::Later) => Outcome::Later,
                    Some(_) => Outcome::Nothing,
                };
                if let Some(hunt) = &mut self.hunt {
                    hunt.asked.insert(from, outcome);
                }
            }
            Purpose::Exact(request) => match reply {
                None => self.refuse_waiting(request, Refusal::HolderSilent(from)),
                Some(Reply::Taken(by)) => self.refuse_waiting(request, Refusal::Taken(by)),
                Some(_) => {
                    if let Some(request) = self.requests.get_mut(&request) {
                        request.ask_at = Some(now + TICK);
                    }
                }
            },
            Purpose::Take(_) => {}
        }
        self.tend(now);
    }

    fn refuse_waiting(&mut self, request: u64, why: Refusal) {
        if self.requests.contains_key(&request) {
            self.refuse(request, why);
        }
    }

    pub(super) fn ask(&mut self, to: NodeId, ask: Ask, purpose: Purpose) {
        let id = self.number();
        self.asks.insert(id, (to, purpose));
        self.outputs.push_back(Output::Ask { id, to, bytes: ask.encode() });
    }

    /// Goes on with everything that is looked for.
    pub(super) fn pursue(&mut self, now: Time) {
        if !self.synced {
            return;
        }
        self.pursue_exact(now);
        let wanted = self.requests.values().any(|request| request.wish == Wish::Any);
        if self.hunt.is_some() && !wanted && self.free() > 0 {
            self.hunt = None;
        }
        self.pursue_any();
    }

    fn pursue_exact(&mut self, now: Time) {
        let due: Vec<(u64, u128)> = self
            .requests
            .iter()
            .filter(|(_, request)| request.ask_at.is_some_and(|at| at <= now))
            .filter_map(|(id, request)| match request.wish {
                Wish::Exact(n) => Some((*id, n)),
                Wish::Any => None,
            })
            .collect();
        for (id, n) in due {
            let Some((_, row)) = self.ranges.of(n) else { continue };
            let (holder, moves) = (row.holder, row.state != State::Held);
            if holder == self.me || moves {
                continue;
            }
            if self.is_alive(holder) {
                if let Some(request) = self.requests.get_mut(&id) {
                    request.ask_at = None;
                }
                self.ask(holder, Ask::Exact(n), Purpose::Exact(id));
            } else {
                self.refuse(id, Refusal::HolderSilent(holder));
            }
        }
    }

    /// Asks the next holders: those that seem to have most first, one at a time; then the others, whose
    /// rows may be behind, before it is said that there is nothing.
    fn pursue_any(&mut self) {
        let Some(mut hunt) = self.hunt.take() else { return };
        let (mut left, mut ask) = (false, Vec::new());
        let mut open = hunt.count(Outcome::Open) + hunt.count(Outcome::Word);
        for (node, free) in self.ranges.holders() {
            // Answers come one by one, and holders may be a thousand.
            if open >= AT_ONCE {
                left = true;
                break;
            }
            if node == self.me || hunt.asked.contains_key(&node) {
                continue;
            }
            if !self.is_alive(node) {
                hunt.asked.insert(node, Outcome::Silent);
            } else if open == 0 || free == 0 {
                hunt.asked.insert(node, Outcome::Open);
                ask.push(node);
                open += 1;
            } else {
                left = true;
            }
        }
        for node in ask {
            self.ask(node, Ask::Share(self.fair_share()), Purpose::Share);
        }
        let over = !left && open == 0;
        self.hunt = Some(hunt);
        if over {
            self.conclude();
        }
    }

    /// What a node that joins may expect.
    pub(super) fn fair_share(&self) -> u128 {
        let nodes = u128::try_from(self.members.len() + 1).unwrap_or(1);
        (self.space.dynamic() / nodes).max(1)
    }

    /// Everyone was asked. What may change soon is waited for, else who waits is told how it stands.
    fn conclude(&mut self) {
        if self.is_unsettled() {
            return;
        }
        let why = self.why_dry();
        self.hunt = None;
        let waiting: Vec<u64> = self
            .requests
            .iter()
            .filter(|(_, request)| request.wish == Wish::Any)
            .map(|(id, _)| *id)
            .collect();
        for id in waiting {
            self.refuse(id, why.clone());
        }
    }

    /// Why there is nothing to give.
    pub(super) fn why_dry(&self) -> Refusal {
        let figures = self.figures();
        let none = Hunt::default();
        let hunt = self.hunt.as_ref().unwrap_or(&none);
        let silent = hunt.asked.iter().filter(|(_, outcome)| **outcome == Outcome::Silent);
        let silent: Vec<NodeId> = silent.map(|(node, _)| *node).collect();
        if !silent.is_empty() {
            Refusal::Silent { silent, figures }
        } else if self.is_unsettled() {
            Refusal::Unsettled(figures)
        } else {
            Refusal::Full(figures)
        }
    }

    /// Whether there may be something to give soon.
    fn is_unsettled(&self) -> bool {
        let rests = || self.usable().any(|(_, span)| self.numbers.rests_in(&self.in_window(&span)));
        let open = |hunt: &Hunt| {
            hunt.asked.len() > hunt.count(Outcome::Nothing) + hunt.count(Outcome::Silent)
        };
        self.hunt.as_ref().is_some_and(open)
            || self.ranges.is_moving()
            || !self.unsettled.is_empty()
            || !self.unripe.is_empty()
            || !self.doubtful.is_empty()
            || rests()
            || !self.ranges.holes(self.space.size()).is_empty()
    }

    /// Something free came to a holder, perhaps after it said that it had nothing.
    pub(super) fn hunt_anew(&mut self, holder: NodeId) {
        if let Some(hunt) = &mut self.hunt
            && hunt.asked.get(&holder) == Some(&Outcome::Nothing)
        {
            hunt.asked.remove(&holder);
        }
    }

    /// What was promised is here: its holder may be asked again.
    pub(super) fn hunt_on(&mut self) {
        if let Some(hunt) = &mut self.hunt {
            hunt.asked.retain(|_, outcome| *outcome != Outcome::Word);
        }
    }

    /// Those who could not say are asked again.
    pub(super) fn hunt_again(&mut self, now: Time) {
        self.hunt = self.hunt.take().filter(|hunt| hunt.until > now);
        let Some(hunt) = &mut self.hunt else { return };
        if hunt.count(Outcome::Open) == 0 {
            hunt.asked.retain(|_, outcome| matches!(outcome, Outcome::Nothing | Outcome::Silent));
        }
    }
}
