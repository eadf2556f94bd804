//! The live view on a terminal: it takes the screen, goes on by itself, and gives everything back.

use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
    process::Stdio,
    sync::{Arc, Mutex},
    thread,
};

use anyhow::ensure;
use netdb_tests::{cluster::Cluster, wait::until};
use nix::{
    pty::{Winsize, openpty},
    sys::termios::{LocalFlags, tcgetattr},
};

const HOME: &str = "\x1b[H";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
const SIZE: Winsize = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };

/// What was written to a terminal so far.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Written {
    /// Follows the other end of a terminal until that is closed.
    fn of(mut master: File) -> Self {
        let written = Self::default();
        let Self(kept) = written.clone();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = master.read(&mut piece) {
                kept.lock().unwrap().extend_from_slice(&piece[..length]);
            }
        });
        written
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// Text without what sets colours and moves the cursor.
fn plain(text: &str) -> String {
    let mut pieces = text.trim_end().split("\x1b[");
    let first = pieces.next().unwrap_or_default().to_owned();
    let rest = pieces.map(|piece| piece.split_once(|c: char| c.is_ascii_alphabetic()));
    rest.flatten().fold(first, |shown, (_, more)| shown + more)
}

fn keys_come_at_once(terminal: &OwnedFd) -> bool {
    let flags = tcgetattr(terminal).unwrap().local_flags;
    !flags.intersects(LocalFlags::ICANON | LocalFlags::ECHO)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_live_view_takes_the_terminal_and_gives_it_back() {
    let cluster = Cluster::start(2, &[]).await.unwrap();
    let ends = openpty(&SIZE, None).unwrap();
    let end = || Stdio::from(ends.slave.try_clone().unwrap());
    let mut command = cluster.nodes[0].netdbctl_command(&["top", "--interval", "1"]);
    let mut view = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    let mut keyboard = File::from(ends.master.try_clone().unwrap());
    let written = Written::of(File::from(ends.master));
    until("two frames were shown", async || {
        let text = written.text();
        // The first says that figures are being gathered.
        ensure!(text.matches(HOME).count() >= 3, "{text:?}");
        Ok(())
    })
    .await
    .unwrap();
    let text = written.text();
    assert!(plain(&text).contains("members  2 alive"), "{text:?}");
    assert!(text.contains(cluster.nodes[1].name()), "the other is among the peers: {text:?}");
    let mut lines = text.split(HOME).flat_map(str::lines);
    let fits = |line: &str| plain(line).chars().count() <= usize::from(SIZE.ws_col);
    assert!(lines.all(fits), "lines fit the terminal: {text:?}");
    assert!(keys_come_at_once(&ends.slave));
    keyboard.write_all(b"xq").unwrap();
    let ended = until("q ends it", async || {
        let ended = view.try_wait()?;
        ended.ok_or_else(|| anyhow::anyhow!("it goes on"))
    });
    assert_eq!(ended.await.unwrap().code(), Some(0));
    assert!(!keys_come_at_once(&ends.slave), "the terminal is as it was");
    until("the other screen is left", async || {
        let text = written.text();
        ensure!(text.ends_with(LEAVE), "{text:?}");
        Ok(())
    })
    .await
    .unwrap();
}
