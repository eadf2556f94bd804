//! Reading the settings again: what can change live does, what can't is named.

use netdb::NetDb;
use netnode_api::{
    error::{Code, Problem},
    node::{Change, Reloaded},
};

use crate::{
    logging::Logging,
    settings::{
        Resolved, Settings, Sources,
        table::{SETTINGS, Setting},
    },
};

/// What is in force, and what it takes to change it.
pub(super) struct Live {
    pub(super) sources: Sources,
    pub(super) resolved: Resolved,
    pub(super) logging: Logging,
    pub(super) db: NetDb,
}

impl Live {
    /// Asks the same sources as at the start. On an error nothing changes.
    pub(super) async fn reload(&mut self) -> Result<Reloaded, Problem> {
        let wanted = self.sources.resolve().map_err(|error| {
            tracing::error!("the settings stay as they are: {error}");
            Problem::new(Code::Invalid, error).with_hint("`netnode config check` checks them")
        })?;
        for warning in &wanted.warnings {
            tracing::warn!("{warning}");
        }
        let Plan { settings, reloaded } = plan(&self.resolved.settings, &wanted.settings)?;
        let failed = |error: &dyn std::fmt::Display| Problem::new(Code::Invalid, error);
        self.db.reload(settings.node.clone()).await.map_err(|error| failed(&error))?;
        let before = &self.resolved.settings;
        if settings.log_level != before.log_level {
            self.logging.set_level(&settings.log_level);
        }
        let live = SETTINGS.iter().filter(|setting| setting.live).map(|setting| setting.name);
        self.resolved.take(settings, &wanted, &live.collect::<Vec<_>>());
        for Change { setting, from, to } in &reloaded.changed {
            tracing::info!(setting, from, to, "a setting changed");
        }
        for Change { setting, from, to } in &reloaded.needs_restart {
            tracing::warn!(setting, from, to, "a changed setting needs a restart");
        }
        Ok(reloaded)
    }
}

/// What will be in force, and what is said about it.
#[derive(Debug)]
struct Plan {
    settings: Settings,
    reloaded: Reloaded,
}

fn plan(now: &Settings, wanted: &Settings) -> Result<Plan, Problem> {
    let (mut settings, mut reloaded) = (now.clone(), Reloaded::default());
    for setting in SETTINGS {
        let Some(change) = change(setting, now, wanted) else { continue };
        if setting.live {
            let text = change.to.as_deref().unwrap_or_default();
            let internal = |what| Problem::new(Code::Internal, format!("{}: {what}", setting.name));
            (setting.set)(&mut settings, text).map_err(internal)?;
            reloaded.changed.push(change);
        } else {
            reloaded.needs_restart.push(change);
        }
    }
    Ok(Plan { settings, reloaded })
}

fn change(setting: &Setting, now: &Settings, wanted: &Settings) -> Option<Change> {
    let (from, to) = ((setting.get)(now), (setting.get)(wanted));
    (from != to).then(|| Change { setting: setting.name.to_owned(), from, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(flags: &[(&'static str, &str)]) -> Settings {
        let flags = flags.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
        Sources { flags, ..Sources::default() }.resolve().unwrap().settings
    }

    #[test]
    fn live_settings_change_and_the_others_are_named() {
        let now = settings(&[("max_entries", "10"), ("mtu", "1000")]);
        let wanted = settings(&[("max_entries", "20"), ("mtu", "1200"), ("log_level", "debug")]);
        let Plan { settings, reloaded } = plan(&now, &wanted).unwrap();
        assert_eq!(settings.node.max_entries, 20);
        assert_eq!(settings.node.gossip.mtu, 1000);
        let names = |changes: &[Change]| -> Vec<String> {
            changes.iter().map(|change| change.setting.clone()).collect()
        };
        assert_eq!(names(&reloaded.changed), ["log_level", "max_entries"]);
        assert_eq!(names(&reloaded.needs_restart), ["mtu"]);
        let mtu = &reloaded.needs_restart[0];
        assert_eq!((mtu.from.as_deref(), mtu.to.as_deref()), (Some("1000"), Some("1200")));
        // What waits for a restart is told again next time.
        assert_eq!(plan(&settings, &wanted).unwrap().reloaded.needs_restart.len(), 1);
    }

    #[test]
    fn every_live_setting_can_be_changed_back_and_forth() {
        let lan = settings(&[]);
        for setting in SETTINGS.iter().filter(|setting| setting.live) {
            let text = (setting.get)(&lan).unwrap_or_default();
            let mut copy = lan.clone();
            assert_eq!((setting.set)(&mut copy, &text), Ok(()), "{}", setting.name);
        }
    }
}
