//! A live view of the node: what was done since the last frame, and what is the matter now.
//!
//! | module | what it owns |
//! | --- | --- |
//! | `sample` | what a frame is made from: two looks at the node and the time between them |
//! | `frame` | the frame as text |
//! | `screen` | the terminal: taken, and given back whatever happens |

mod frame;
mod sample;
mod screen;

use std::time::Duration;

use netnode_api::client::Client;
use tokio::time::{Instant, sleep_until};

use super::print_json;
use crate::{Io, failure::Failure};
use sample::{Frame, Sample};
use screen::{End, Screen};

/// How to look.
pub(super) struct View {
    pub(super) interval: Duration,
    /// One frame only.
    pub(super) once: bool,
    pub(super) json: bool,
}

/// Shows frame after frame, until somebody has seen enough.
pub(super) async fn top(client: &Client, io: &mut Io<'_>, view: View) -> Result<(), Failure> {
    let live = io.terminal.width.is_some() && io.terminal.interactive && !view.once && !view.json;
    let mut before = Sample::take(client).await?;
    let mut screen = if live { Some(Screen::open(io.out)?) } else { None };
    if live {
        screen::show(io, &["gathering the first figures".to_owned()])?;
    }
    let mut end = End::listen()?;
    loop {
        let next = Instant::now() + view.interval;
        tokio::select! {
            () = sleep_until(next) => {}
            () = end.asked() => return Ok(()),
            () = quit(screen.as_mut()) => return Ok(()),
        }
        let now = Sample::take(client).await?;
        let frame = Frame::between(&before, &now);
        if view.json {
            print_json(io, &frame)?;
        } else if live {
            let lines = frame::lines(&frame, &now, io.terminal)?;
            screen::show(io, &lines)?;
        } else {
            for line in frame::lines(&frame, &now, io.terminal)? {
                writeln!(io.out, "{line}")?;
            }
        }
        io.out.flush()?;
        if view.once {
            return Ok(());
        }
        if !live && !view.json {
            writeln!(io.out)?;
        }
        before = now;
    }
}

/// Waits until somebody at the terminal wants to stop; for ever without one.
async fn quit(screen: Option<&mut Screen>) {
    match screen {
        Some(screen) => screen.quit().await,
        None => std::future::pending().await,
    }
}
