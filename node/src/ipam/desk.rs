//! The task that owns this node's part of all rings: what the table, the peers and the clock say goes in,
//! what they want done goes out.

mod moving;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use netdb::{
    CLUSTER_NETWORK, Event, Events, EventsError, Lifetime, MemberState, NetDb, NodeEvent, NodeId,
    Request, Requests, Stopped, Table, Watch,
};
use netnode_plan::{
    ring::{Config, Figures, Output, Ring, Row, Space, Time},
    spaces::SpaceId,
    usage::{Alarm, percent},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use super::{
    Command, RANGES, Source, StartError, TOPIC, TakeError,
    errands::{Done, Errands, open_envelope, place_of, row_of},
    lost::{self, Lost},
};

/// Questions of others that wait for an answer of a ring; who asks beyond that asks again.
const MAX_HANDLES: usize = 1024;

/// The rows of spaces, by the first number of each range.
type Rows = BTreeMap<SpaceId, BTreeMap<u128, Row>>;
type Waiting = oneshot::Sender<Result<u128, TakeError>>;

/// One space that this node takes part in.
struct Open {
    ring: Ring,
    /// What people call it.
    called: String,
    alarm: Alarm,
    /// What is in use may have changed.
    changed: bool,
    waiting: BTreeMap<u64, Waiting>,
    users: BTreeMap<Source, BTreeMap<u128, NodeId>>,
    /// It is new, and all of it is to be this node's.
    found: bool,
    /// Who waits until that is on disk.
    founded: Option<oneshot::Sender<()>>,
    /// No other node knows it.
    alone: bool,
    /// Given to somebody who was gone by then.
    unwanted: Vec<u128>,
}

pub(super) struct Desk {
    db: NetDb,
    config: Config,
    commands: mpsc::Receiver<Command>,
    lost: watch::Receiver<Lost>,
    watch: Watch,
    events: Events,
    requests: Requests,
    errands: Errands,
    started: Instant,
    open: BTreeMap<SpaceId, Open>,
    /// All nodes that have not left, and whether each is alive.
    members: BTreeMap<NodeId, bool>,
    /// The rows of all spaces, also of those that are not open.
    rows: Rows,
    /// Whether the tables hold what the peers hold.
    synced: bool,
    /// Numbers in use from before the start, of spaces that are not open yet.
    kept: BTreeMap<SpaceId, Vec<u128>>,
    handles: BTreeMap<u64, Request>,
    next_handle: u64,
}

impl Desk {
    pub(super) async fn open(
        db: NetDb,
        config: Config,
        commands: mpsc::Receiver<Command>,
        lost: watch::Receiver<Lost>,
    ) -> Result<Self, StartError> {
        // Every node is attached to it, from its first moment to its last.
        let network = db.network(CLUSTER_NETWORK).await?.ok_or(Stopped)?;
        let table = network.table(RANGES, Lifetime::Cluster)?;
        let events = db.events().await?;
        let (watch, requests) = (table.watch().await?, db.serve(TOPIC).await?);
        let rows = rows_of(&table).await?;
        let errands = Errands::new(db.clone(), table);
        Ok(Self {
            db,
            config,
            commands,
            lost,
            watch,
            events,
            requests,
            errands,
            started: Instant::now(),
            open: BTreeMap::new(),
            members: BTreeMap::new(),
            rows,
            synced: false,
            kept: BTreeMap::new(),
            handles: BTreeMap::new(),
            next_handle: 0,
        })
    }

    /// Works until the last handle or the node is gone.
    pub(super) async fn run(mut self) {
        if self.look_around().await.is_err() {
            return;
        }
        loop {
            let due = self.started + Duration::from_micros(self.next_timeout().0);
            let went = tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => { self.obey(command); Ok(()) }
                    None => Err(Stopped),
                },
                event = self.watch.next() => match event {
                    Some(event) => { self.row_event(&event); Ok(()) }
                    None => Err(Stopped),
                },
                event = self.events.next() => self.node_event(event).await,
                changed = self.lost.changed() => match changed {
                    Ok(()) => self.look_at_members().await,
                    Err(_) => Err(Stopped),
                },
                request = self.requests.next() => match request {
                    Some(request) => { self.asked(request); Ok(()) }
                    None => Err(Stopped),
                },
                done = self.errands.next() => {
                    if let Some(done) = done {
                        self.done(done);
                    }
                    Ok(())
                }
                () = sleep_until(due) => {
                    let now = self.now();
                    self.each(|ring| ring.handle_timeout(now));
                    Ok(())
                }
            };
            self.drain();
            if went.is_err() {
                return;
            }
        }
    }

    /// Microseconds since the desk was opened.
    fn now(&self) -> Time {
        Time(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    fn next_timeout(&self) -> Time {
        let hour = self.now() + Duration::from_hours(1);
        self.open.values().map(|open| open.ring.poll_timeout()).min().unwrap_or(hour)
    }

    fn each(&mut self, mut call: impl FnMut(&mut Ring)) {
        self.open.values_mut().for_each(|open| call(&mut open.ring));
    }

    fn obey(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Open { id, called, space, found, founded } => {
                self.open_space(id, called, space, found, founded);
            }
            Command::OpenAlone { id, called, space } => self.open_alone(id, called, space),
            Command::Close { id, erase } => {
                self.open.remove(&id);
                if let Some(rows) = self.rows.get(&id).filter(|_| erase) {
                    self.errands.erase(id, rows.keys().copied().collect());
                }
            }
            Command::Take { id, wish, reply } => match self.open.get_mut(&id) {
                Some(open) => {
                    let request = open.ring.take(now, wish);
                    open.waiting.insert(request, reply);
                }
                // Whoever asked may be gone.
                None => drop(reply.send(Err(TakeError::UnknownSpace))),
            },
            Command::Release { id, number } => {
                if let Some(open) = self.open.get_mut(&id) {
                    open.ring.release(now, number);
                    open.changed = true;
                }
            }
            Command::Keep { id, numbers } => match self.open.get_mut(&id) {
                Some(open) => numbers.iter().for_each(|number| open.ring.keep(*number)),
                None => self.kept.entry(id).or_default().extend(numbers),
            },
            Command::Users { id, by, users } => {
                if let Some(open) = self.open.get_mut(&id) {
                    open.set_users(now, by, users);
                }
            }
            // Whoever asked may be gone.
            Command::Lost { down, reply } => drop(reply.send(self.lost_with(&down))),
            Command::Reclaim { down, heir, reply } => drop(reply.send(self.reclaim(&down, heir))),
            Command::Inherited { reply } => drop(reply.send(self.inherited())),
            Command::Leave { reply } => drop(reply.send(self.leave())),
            Command::Usage { ids, reply } => drop(reply.send(self.of_rings(&ids, Ring::usage))),
            Command::Report { ids, reply } => drop(reply.send(self.of_rings(&ids, Ring::report))),
        }
    }

    /// What the rings of some spaces say; `None` for a space that is not open.
    fn of_rings<T>(&self, ids: &[SpaceId], say: impl Fn(&Ring) -> T) -> Vec<Option<T>> {
        ids.iter().map(|id| self.open.get(id).map(|open| say(&open.ring))).collect()
    }

    fn open_space(
        &mut self,
        id: SpaceId,
        called: String,
        space: Space,
        found: bool,
        founded: Option<oneshot::Sender<()>>,
    ) {
        if self.open.contains_key(&id) {
            return;
        }
        let (me, now) = (self.db.id(), self.now());
        let rows = self.rows.get(&id).cloned().unwrap_or_default();
        let mut ring = Ring::new(me, space, self.config, now, rows);
        ring.handle_members(now, self.members.iter().map(|(node, alive)| (*node, *alive)));
        let open = self.insert(id, called, ring, false);
        (open.found, open.founded) = (found, founded);
        self.sync_rings();
    }

    /// All of it is this node's, and there is nobody to listen to first.
    fn open_alone(&mut self, id: SpaceId, called: String, space: Space) {
        if self.open.contains_key(&id) {
            return;
        }
        let now = self.now();
        let mut ring = Ring::new(self.db.id(), space, Config::default(), now, []);
        ring.handle_synced(now);
        ring.found();
        self.insert(id, called, ring, true);
    }

    fn insert(&mut self, id: SpaceId, called: String, mut ring: Ring, alone: bool) -> &mut Open {
        for number in self.kept.remove(&id).unwrap_or_default() {
            ring.keep(number);
        }
        let open = Open {
            ring,
            called,
            alarm: Alarm::default(),
            changed: true,
            waiting: BTreeMap::new(),
            users: BTreeMap::new(),
            found: false,
            founded: None,
            alone,
            unwanted: Vec::new(),
        };
        self.open.entry(id).insert_entry(open).into_mut()
    }

    /// The spaces that other nodes take part in.
    fn shared(&mut self) -> impl Iterator<Item = &mut Open> {
        self.open.values_mut().filter(|open| !open.alone)
    }

    fn row_event(&mut self, event: &Event) {
        let Some((id, start)) = event.kind.entry().and_then(|entry| place_of(entry)) else {
            return;
        };
        let row = event.kind.standing().and_then(|standing| row_of(standing));
        let rows = self.rows.entry(id).or_default();
        match &row {
            Some(row) => rows.insert(start, row.clone()),
            None => rows.remove(&start),
        };
        if rows.is_empty() {
            self.rows.remove(&id);
        }
        let now = self.now();
        if let Some(open) = self.open.get_mut(&id) {
            open.ring.handle_row(now, start, row);
        }
    }

    async fn node_event(&mut self, event: Result<NodeEvent, EventsError>) -> Result<(), Stopped> {
        match event {
            Ok(NodeEvent::Member { .. }) => self.look_at_members().await,
            Ok(NodeEvent::Synced(network)) if network.as_str() == CLUSTER_NETWORK => {
                self.synced = true;
                self.sync_rings();
                Ok(())
            }
            Ok(NodeEvent::Reborn(_)) => {
                self.synced = false;
                self.shared().for_each(|open| open.ring.handle_reborn());
                self.look_around().await
            }
            Ok(_) => Ok(()),
            Err(EventsError::Missed(_)) => self.look_around().await,
            Err(EventsError::Stopped(stopped)) => Err(stopped),
        }
    }

    /// What events would have told.
    async fn look_around(&mut self) -> Result<(), Stopped> {
        let networks = self.db.networks().await?;
        let cluster = networks.iter().find(|info| info.name.as_str() == CLUSTER_NETWORK);
        self.synced = cluster.is_some_and(|info| info.synced);
        self.look_at_members().await
    }

    async fn look_at_members(&mut self) -> Result<(), Stopped> {
        let members = self.db.members().await?;
        let lost = self.lost.borrow_and_update().clone();
        let states = members.iter().map(|info| (info.member.id, lost::state(&lost, info)));
        let here = states.filter(|(_, state)| *state != MemberState::Left);
        self.members = here.map(|(id, state)| (id, state == MemberState::Alive)).collect();
        let now = self.now();
        for open in self.open.values_mut().filter(|open| !open.alone) {
            open.ring.handle_members(now, self.members.iter().map(|(node, up)| (*node, *up)));
        }
        self.sync_rings();
        Ok(())
    }

    /// Before the rows are as new as those of the peers nothing is given, and nothing is made: somebody may
    /// have done so.
    fn sync_rings(&mut self) {
        let now = self.now();
        if !(self.synced && self.has_heard_a_peer()) {
            return;
        }
        for open in self.shared() {
            open.ring.handle_synced(now);
            if core::mem::take(&mut open.found) {
                open.ring.found();
            }
        }
    }

    /// A node that is cut off finds itself in sync as well; what it holds may be an old copy of its disk.
    fn has_heard_a_peer(&self) -> bool {
        let me = self.db.id();
        let mut others = self.members.iter().filter(|(node, _)| **node != me).peekable();
        others.peek().is_none() || others.any(|(_, alive)| *alive)
    }

    fn asked(&mut self, request: Request) {
        let (now, handle) = (self.now(), self.next_handle);
        let Some((id, question)) = open_envelope(request.body()) else { return };
        let Some(open) = self.open.get_mut(&id).filter(|open| !open.alone) else { return };
        if self.handles.len() >= MAX_HANDLES {
            self.handles.pop_first();
        }
        open.ring.handle_ask(now, request.from(), question, handle);
        self.next_handle += 1;
        self.handles.insert(handle, request);
    }

    fn done(&mut self, done: Done) {
        let now = self.now();
        match done {
            Done::Written { id, write, refused, shown } => {
                let Some(open) = self.open.get_mut(&id) else { return };
                if let Some(founded) = open.founded.take() {
                    // Whoever waited may be gone.
                    let _ = founded.send(());
                }
                if refused {
                    open.ring.handle_refused(now, write, shown);
                } else {
                    open.ring.handle_written(now, write, shown);
                }
            }
            Done::Answered { id, ask, answer } => {
                if let Some(open) = self.open.get_mut(&id) {
                    open.ring.handle_answer(now, ask, answer.as_deref());
                }
            }
        }
    }

    /// Does what the rings want.
    fn drain(&mut self) {
        let now = self.now();
        for (id, open) in &mut self.open {
            while let Some(output) = open.ring.poll_output() {
                match output {
                    // What nobody else reads needs no row.
                    Output::Write { id: write, row, .. } if open.alone => {
                        open.ring.handle_written(now, write, row);
                    }
                    Output::Write { id: write, start, row } => {
                        self.errands.write(*id, write, start, row);
                    }
                    Output::Ask { id: ask, to, bytes } => self.errands.ask(*id, ask, to, &bytes),
                    Output::Reply { handle, bytes } => {
                        if let Some(request) = self.handles.remove(&handle) {
                            self.errands.answer(request, bytes);
                        }
                    }
                    Output::Given { request, number } => {
                        open.changed = true;
                        open.answer(request, Ok(number));
                    }
                    Output::Refused { request, why } => open.answer(request, Err(why.into())),
                }
            }
            for number in core::mem::take(&mut open.unwanted) {
                open.ring.release(now, number);
            }
            open.warn();
        }
    }
}

/// What the disk holds: a ring that starts with it knows its own ranges again, and does not doubt them.
async fn rows_of(table: &Table) -> Result<Rows, Stopped> {
    let mut rows = Rows::new();
    for row in table.list([]).await? {
        if let (Some((id, start)), Some(row)) = (place_of(&row.entry), row_of(&row.entry)) {
            rows.entry(id).or_default().insert(start, row);
        }
    }
    Ok(rows)
}

impl Open {
    /// Whoever asked may be gone: then what was given is given back.
    fn answer(&mut self, request: u64, answer: Result<u128, TakeError>) {
        let Some(reply) = self.waiting.remove(&request) else { return };
        if let Err(Ok(number)) = reply.send(answer) {
            self.unwanted.push(number);
        }
    }

    /// Says once that the space is filling up.
    fn warn(&mut self) {
        if !core::mem::take(&mut self.changed) {
            return;
        }
        let Figures { used, size, .. } = self.ring.figures();
        if self.alarm.see(used, size).is_some() {
            let percent = percent(used, size);
            tracing::warn!("{} is {percent} % full: {used} of {size} are in use", self.called);
        }
    }

    fn set_users(&mut self, now: Time, by: Source, users: BTreeMap<u128, NodeId>) {
        self.changed = true;
        let before = self.users.insert(by, users).unwrap_or_default();
        let of = |number: &u128| self.users.values().find_map(|users| users.get(number)).copied();
        let named = self.users.get(&by).into_iter().flat_map(BTreeMap::keys);
        let concerned: BTreeSet<u128> = before.into_keys().chain(named.copied()).collect();
        for number in concerned {
            self.ring.handle_user(now, number, of(&number));
        }
    }
}
