//! The settings of the running node.

use netnode_api::{
    client::Client,
    settings::{Origin, Setting},
};

use super::print_list;
use crate::{
    Io,
    args::Format,
    failure::Failure,
    layout::{Cell, Column},
    terminal::Look,
    text,
};

const COLUMNS: [Column; 6] = [
    Column::new("SETTING", 20),
    Column::new("VALUE", 10).cut_at_start(),
    Column::new("DEFAULT", 7),
    Column::new("UNIT", 5).first_to_go(),
    Column::new("LIVE", 4),
    Column::new("FROM", 7).cut_at_start(),
];

pub(super) async fn show(
    client: &Client,
    io: &mut Io<'_>,
    said: bool,
    format: Format,
) -> Result<(), Failure> {
    let mut settings = client.settings().await?;
    if said {
        settings.retain(|setting| setting.origin != Origin::Default);
    }
    print_list(io, format, &COLUMNS, &settings, |setting| {
        let Setting { value, default, origin, .. } = setting;
        let shown = |text: &Option<String>| match text {
            Some(text) => Cell::new(text::escaped(text)),
            None => Cell::new("-").look(Look::Aside),
        };
        let same = value == default;
        vec![
            Cell::new(&*setting.name),
            if same { shown(value) } else { shown(value).look(Look::Doubtful) },
            shown(default),
            Cell::new(&*setting.unit),
            Cell::new(if setting.live { "yes" } else { "no" }),
            Cell::new(text::escaped(&origin.to_string())),
        ]
    })
}
