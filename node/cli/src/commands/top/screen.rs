//! The terminal while a live view is on it: another screen without a cursor, and keys that come at once.
//!
//! Must give the terminal back as it was, also after a panic and after a signal that ends the view.

use std::{
    fs::File,
    io::{self, BufReader, IsTerminal, Read, Write},
    os::fd::AsFd,
    panic, thread,
};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
};

use crate::Io;

const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";

/// Terminals that don't tell their height.
const USUAL_HEIGHT: usize = 24;

/// The terminal, taken. Dropping it gives it back.
pub(super) struct Screen {
    before: Option<Termios>,
    keys: mpsc::Receiver<u8>,
}

impl Screen {
    /// Takes the terminal of standard input and output.
    pub(super) fn open(out: &mut dyn Write) -> io::Result<Self> {
        let stdin = io::stdin();
        let before = if stdin.is_terminal() { Some(tcgetattr(stdin.as_fd())?) } else { None };
        if let Some(before) = &before {
            let mut now = before.clone();
            // Signals from keys stay: Ctrl-C ends the view.
            now.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO);
            tcsetattr(stdin.as_fd(), SetArg::TCSANOW, &now)?;
        }
        let screen = Self { before, keys: keys(File::from(stdin.as_fd().try_clone_to_owned()?)) };
        give_back_on_panic(screen.before.clone());
        out.write_all(ENTER.as_bytes())?;
        out.flush()?;
        Ok(screen)
    }

    /// Waits until somebody presses q.
    pub(super) async fn quit(&mut self) {
        loop {
            match self.keys.recv().await {
                Some(b'q' | b'Q') => return,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back(self.before.as_ref());
    }
}

fn give_back(before: Option<&Termios>) {
    // If the terminal is gone, there is nothing to be given back.
    let mut out = io::stdout();
    let _ = out.write_all(LEAVE.as_bytes());
    let _ = out.flush();
    if let Some(before) = before {
        let _ = tcsetattr(io::stdin().as_fd(), SetArg::TCSANOW, before);
    }
}

/// What a panic says would be lost with the other screen: give the terminal back first.
fn give_back_on_panic(before: Option<Termios>) {
    let usual = panic::take_hook();
    // A terminal's settings hold a cell, which a hook may not share: keep it behind a lock.
    let before = std::sync::Mutex::new(before);
    panic::set_hook(Box::new(move |what| {
        if let Ok(before) = before.lock() {
            give_back(before.as_ref());
        }
        usual(what);
    }));
}

/// Keys as they are pressed; standard input itself is locked for as long as a command runs. The thread that
/// waits for them ends with the process.
fn keys(terminal: File) -> mpsc::Receiver<u8> {
    let (pressed, keys) = mpsc::channel(16);
    thread::spawn(move || {
        for key in BufReader::new(terminal).bytes() {
            let Ok(key) = key else { return };
            if pressed.blocking_send(key).is_err() {
                return;
            }
        }
    });
    keys
}

/// Shows lines from the top, as many as there is room for.
pub(super) fn show(io: &mut Io<'_>, lines: &[String]) -> io::Result<()> {
    let told = terminal_size::terminal_size().map(|(_, height)| usize::from(height.0));
    let room = told.filter(|height| *height > 1).unwrap_or(USUAL_HEIGHT);
    let shown = lines.iter().take(room).map(|line| format!("{line}{REST_OF_LINE}"));
    let text = shown.collect::<Vec<_>>().join("\r\n");
    write!(io.out, "{HOME}{text}{REST_OF_SCREEN}")?;
    io.out.flush()
}

/// Signals that end a view in good order.
pub(super) struct End([Signal; 3]);

impl End {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self([
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
            signal(SignalKind::hangup())?,
        ]))
    }

    /// Waits for one.
    pub(super) async fn asked(&mut self) {
        let Self([interrupt, terminate, hangup]) = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    }
}
