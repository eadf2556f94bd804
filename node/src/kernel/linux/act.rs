//! Takes steps in their order, as many in one send as the order allows.

use std::{collections::BTreeMap, fs::File, io};

use netlink_packet_core::NLM_F_REQUEST;
use netnode_plan::{
    host::{Action, Change, Kind, Link, Place},
    policy,
    records::LinkName,
};
use nix::errno::Errno;

use super::{
    super::Failure,
    filter,
    flows::{self, Flow},
    index::Indexes,
    namespace::{Namespaces, inside},
    notices::Watches,
    policy as rules, settings,
    socket::{BATCH, Request, Socket},
    write::{self, Making},
};

/// What a link that goes elsewhere is called until it is there.
const INTERIM: &str = "nn-interim";

/// One namespace, entered for as long as steps are taken.
struct Entered {
    file: File,
    socket: Socket,
    indexes: Indexes,
}

/// The steps of one comparison.
pub(super) struct Session<'a> {
    namespaces: &'a Namespaces,
    watches: &'a mut Watches,
    entered: BTreeMap<Place, Entered>,
    failures: Vec<Failure>,
}

impl<'a> Session<'a> {
    pub(super) fn new(namespaces: &'a Namespaces, watches: &'a mut Watches) -> Self {
        Self { namespaces, watches, entered: BTreeMap::new(), failures: Vec::new() }
    }

    /// Takes all steps; what failed is told.
    pub(super) fn act(mut self, actions: &[Action]) -> Vec<Failure> {
        let mut rest = actions;
        while let Some(action) = rest.first() {
            let run = changes_at(rest);
            if let (false, Action::Change { at, .. }) = (run.is_empty(), action) {
                self.change(at, run);
                rest = rest.get(run.len()..).unwrap_or_default();
                continue;
            }
            if let Err(error) = self.step(action)
                && !is_done(action, &error)
            {
                self.failures.push(Failure { action: action.clone(), error });
            }
            rest = rest.get(1..).unwrap_or_default();
        }
        self.failures
    }

    fn step(&mut self, action: &Action) -> io::Result<()> {
        match action {
            Action::AddNamespace(network) => self.namespaces.add(*network),
            Action::RemoveNamespace(network) => {
                // Whatever still holds the namespace would hold the VNI with its VXLAN device.
                self.entered.remove(&Place::Network(*network));
                self.namespaces.remove(*network)
            }
            Action::AddLink { at, name, link } => self.add(at, name, link),
            Action::RemoveLink { at, name } => {
                let entered = self.enter(at)?;
                let index = entered.indexes.of(&mut entered.socket, name)?;
                entered.one(write::remove(index))?;
                self.forget();
                Ok(())
            }
            Action::Change { .. } => Ok(()),
            Action::Filter { at, generation, edits } => {
                let there = self.namespaces.open(at)?;
                if let Some(socket) = self.watches.socket(at, &there) {
                    return filter::edit(socket, *generation, edits);
                }
                filter::edit(&mut inside(&there, Socket::netfilter)??, *generation, edits)
            }
            Action::Policy(change) => {
                let entered = self.enter(&Place::Host)?;
                let index = match change {
                    policy::Change::PutWay(way) | policy::Change::RemoveWay(way) => {
                        entered.indexes.of(&mut entered.socket, &way.link)?
                    }
                    policy::Change::AddRule(_) | policy::Change::RemoveRule(_) => 0,
                };
                entered.one(rules::request(change, index))
            }
            Action::EndFlows { at, balances } => {
                flows::end(&self.namespaces.open(at)?, |flow| !flow.is_kept_by(balances))
            }
            Action::EndLed { at, led } => {
                let ends = |flow: &Flow| !led.keeps(flow.protocol, flow.front, flow.to);
                flows::end(&self.namespaces.open(at)?, ends)
            }
        }
    }

    fn enter(&mut self, at: &Place) -> io::Result<&mut Entered> {
        if !self.entered.contains_key(at) {
            let file = self.namespaces.open(at)?;
            let socket = inside(&file, Socket::route)??;
            let indexes = Indexes::default();
            self.entered.insert(at.clone(), Entered { file, socket, indexes });
        }
        self.entered.get_mut(at).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn add(&mut self, at: &Place, name: &LinkName, link: &Link) -> io::Result<()> {
        // A tunnel's underlay and what a macvlan lies on are the host's, wherever the link goes.
        let (from, into, below) = match &link.kind {
            Kind::Vxlan { .. } => (Place::Host, Some(at), None),
            Kind::Macvlan { parent, .. } => (Place::Host, Some(at), Some(parent)),
            Kind::Veth { peer_at, .. } => (at.clone(), Some(peer_at), None),
            Kind::Vlan { parent, .. } => (at.clone(), None, Some(parent)),
            Kind::Bridge | Kind::VethEnd => (at.clone(), None, None),
        };
        let into = into.map(|into| self.namespaces.open(into)).transpose()?;
        let entered = self.enter(&from)?;
        let parent = below.map(|name| entered.indexes.of(&mut entered.socket, name)).transpose()?;
        let making = Making { into: into.as_ref(), parent };
        if from == *at {
            if let Some(request) = write::add(name, link, &making) {
                entered.one(request)?;
            }
            self.forget();
            return Ok(());
        }
        // Before Linux 6.14 a name must be free here, too, where it is asked for (`__rtnl_newlink`), and a
        // host has an `eth0` as its sandboxes do.
        let interim = LinkName::new(INTERIM).map_err(io::Error::other)?;
        if let Some(request) = write::add(&interim, link, &making) {
            entered.one(request)?;
        }
        self.forget();
        self.rename(at, &interim, name)
    }

    /// Gives a new link its name, or takes it away again.
    fn rename(&mut self, at: &Place, interim: &LinkName, name: &LinkName) -> io::Result<()> {
        let entered = self.enter(at)?;
        let index = entered.indexes.of(&mut entered.socket, interim)?;
        let renamed = entered.one(write::rename(index, name));
        if renamed.is_err() {
            // What stays all the same is marked as ours and unfinished: the next comparison removes it.
            let _ = entered.one(write::remove(index));
        }
        self.forget();
        renamed
    }

    /// Links that came or went may have done so in other namespaces, too.
    fn forget(&mut self) {
        for entered in self.entered.values_mut() {
            entered.indexes.forget();
        }
    }

    fn change(&mut self, at: &Place, run: &[Action]) {
        let failed = match self.enter(at) {
            Ok(entered) => entered.change(run),
            Err(error) => run.iter().map(|action| (action, same(&error))).collect(),
        };
        let failed = failed.into_iter().filter(|(action, error)| !is_done(action, error));
        let failed: Vec<Failure> =
            failed.map(|(action, error)| Failure { action: action.clone(), error }).collect();
        self.failures.extend(failed);
    }
}

impl Entered {
    fn one(&mut self, (message, flags): Request) -> io::Result<()> {
        let flags = flags | NLM_F_REQUEST | netlink_packet_core::NLM_F_ACK;
        self.socket.ask(message, flags).map(drop)
    }

    /// Changes in one namespace: settings first, since they only need their link and must come before it
    /// is up.
    fn change<'a>(&mut self, run: &'a [Action]) -> Vec<(&'a Action, io::Error)> {
        let mut failed = self.set(run);
        let (mut requests, mut meant) = (Vec::new(), Vec::new());
        for action in run {
            match self.request(action) {
                Ok(Some(request)) => {
                    requests.push(request);
                    meant.push(action);
                }
                Ok(None) => {}
                Err(error) => failed.push((action, error)),
            }
        }
        let mut meant = meant.as_slice();
        while !requests.is_empty() {
            let after = requests.split_off(BATCH.min(requests.len()));
            let (now, later) = meant.split_at_checked(requests.len()).unwrap_or_default();
            match self.socket.batch(requests) {
                Ok(errors) => {
                    let named = |(place, error)| Some((*now.get::<usize>(place)?, error));
                    failed.extend(errors.into_iter().filter_map(named));
                }
                Err(error) => failed.extend(now.iter().map(|action| (*action, same(&error)))),
            }
            (requests, meant) = (after, later);
        }
        failed
    }

    fn request(&mut self, action: &Action) -> io::Result<Option<Request>> {
        let Action::Change { name, change, .. } = action else { return Ok(None) };
        if matches!(change, Change::Setting(..)) {
            return Ok(None);
        }
        let index = self.indexes.of(&mut self.socket, name)?;
        let bridge = match change {
            Change::PortOf(Some(bridge)) => Some(self.indexes.of(&mut self.socket, bridge)?),
            _ => None,
        };
        Ok(write::change(index, change, bridge))
    }

    fn set<'a>(&self, run: &'a [Action]) -> Vec<(&'a Action, io::Error)> {
        let settings = run.iter().filter_map(|action| match action {
            Action::Change { name, change: Change::Setting(setting, value), .. } => {
                Some((action, name, *setting, *value))
            }
            _ => None,
        });
        let settings: Vec<_> = settings.collect();
        if settings.is_empty() {
            return Vec::new();
        }
        let done = inside(&self.file, || {
            settings
                .iter()
                .filter_map(|(action, name, setting, value)| {
                    Some((*action, settings::write(name, *setting, *value).err()?))
                })
                .collect()
        });
        match done {
            Ok(failed) => failed,
            Err(error) => settings.iter().map(|(action, ..)| (*action, same(&error))).collect(),
        }
    }
}

/// The changes at the front that are in one namespace.
fn changes_at(actions: &[Action]) -> &[Action] {
    let Some(Action::Change { at, .. }) = actions.first() else { return &[] };
    let there =
        |action: &&Action| matches!(action, Action::Change { at: place, .. } if place == at);
    let count = actions.iter().take_while(there).count();
    actions.get(..count).unwrap_or_default()
}

/// Whether it failed because it is done already: links, entries and namespaces go by themselves, too.
fn is_done(action: &Action, error: &io::Error) -> bool {
    let gone = [Errno::ENODEV, Errno::ENOENT, Errno::ESRCH, Errno::EADDRNOTAVAIL];
    let goes = match action {
        Action::RemoveNamespace(_) | Action::RemoveLink { .. } => true,
        Action::Policy(change) => {
            matches!(change, policy::Change::RemoveRule(_) | policy::Change::RemoveWay(_))
        }
        Action::Change { change, .. } => matches!(
            change,
            Change::RemoveAddress(_)
                | Change::RemoveRoute(_)
                | Change::RemoveTunnel(_)
                | Change::RemoveStation(_)
                | Change::RemoveNeighbour(_)
        ),
        _ => false,
    };
    goes && error.raw_os_error().is_some_and(|code| gone.contains(&Errno::from_raw(code)))
}

/// One error told about many steps.
fn same(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
