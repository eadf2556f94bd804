//! The settings as they are shown: each with its default, who said what it is, and how it can change.

use netnode_api::settings;

use super::{Origin, Resolved, Settings, table::SETTINGS};

/// Every setting, in the order of the table.
pub(crate) fn list(resolved: &Resolved) -> Vec<settings::Setting> {
    let defaults = Settings::of_profile(resolved.settings.profile);
    let shown = |setting: &super::table::Setting| settings::Setting {
        name: setting.name.to_owned(),
        group: setting.group.to_owned(),
        help: setting.help.to_owned(),
        unit: setting.value.to_owned(),
        value: (setting.get)(&resolved.settings),
        // What the profile itself is by default no profile says.
        default: if setting.name == "profile" {
            (setting.get)(&Settings::of_profile(super::Profile::default()))
        } else {
            (setting.get)(&defaults)
        },
        origin: origin(resolved.origin(setting.name)),
        live: setting.live,
    };
    SETTINGS.iter().map(shown).collect()
}

fn origin(origin: &Origin) -> settings::Origin {
    match origin {
        Origin::Default => settings::Origin::Default,
        Origin::File { path, line } => {
            settings::Origin::File { path: path.display().to_string(), line: *line }
        }
        Origin::Variable(name) => settings::Origin::Environment { variable: name.clone() },
        Origin::Flag(name) => settings::Origin::Flag { flag: name.clone() },
    }
}
