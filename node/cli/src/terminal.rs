//! What is known of the terminal: is there one, how wide, and may it be coloured.

use std::{
    env,
    io::{self, IsTerminal},
};

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The terminal that a command line runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminal {
    /// Columns of the terminal that results go to; `None` if they go elsewhere.
    pub width: Option<usize>,
    /// Whether results are coloured.
    pub color: bool,
    /// Whether errors are coloured.
    pub err_color: bool,
    /// Whether somebody can be asked.
    pub interactive: bool,
}

/// Terminals that don't tell their width.
const USUAL_WIDTH: usize = 80;

impl Terminal {
    /// Looks at the process's own standard streams.
    pub fn detect() -> Self {
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        let told = terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
        let chosen = env::var("COLUMNS").ok().and_then(|text| text.parse().ok());
        let width = chosen.or(told).filter(|width| *width > 0).unwrap_or(USUAL_WIDTH);
        // https://no-color.org: any value but the empty one.
        let plain = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            width: out.then_some(width),
            color: out && !plain,
            err_color: err && !plain,
            interactive: io::stdin().is_terminal() && err,
        }
    }

    /// The same as somebody chose on the command line.
    #[must_use]
    pub fn with_color(mut self, choice: ColorChoice) -> Self {
        match choice {
            ColorChoice::Auto => {}
            ColorChoice::Always => (self.color, self.err_color) = (true, true),
            ColorChoice::Never => (self.color, self.err_color) = (false, false),
        }
        self
    }
}

/// What a piece of text is, so that it looks the same everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    Plain,
    Heading,
    Good,
    Doubtful,
    Bad,
    Aside,
}

impl Look {
    pub(crate) fn style(self) -> Style {
        match self {
            Self::Plain => Style::new(),
            Self::Heading => Style::new().bold(),
            Self::Good => AnsiColor::Green.on_default(),
            Self::Doubtful => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default().bold(),
            Self::Aside => Style::new().dimmed(),
        }
    }

    /// `text` in this look, if there is colour.
    pub(crate) fn paint(self, text: &str, color: bool) -> String {
        let style = self.style();
        if color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }
}
