//! The file that holds a node's secret keys: a few lines of text, for its owner only.
//!
//! ```text
//! netdb identity 1
//! node <node id, 32 hexadecimal digits>
//! keys <Ed25519 seed and X25519 secret, 128 hexadecimal digits>
//! ```
//!
//! The node id is the hash of the keys, so it shows whether they are whole. Must never overwrite an
//! identity, and never print one.

use std::{fmt::Write as _, fs, io::Write as _, path::Path};

use netdb_gossip_core::identity::{Identity, NodeId};
use zeroize::Zeroizing;

use crate::state_dir::{StateDir, StateDirError, check_file, create_private};

const HEADER: &str = "netdb identity 1";
/// Longer than any identity file; more is not read.
const MAX_LEN: u64 = 4096;

/// Reads the identity, or `None` if there is none yet.
pub(crate) fn load(dir: &StateDir) -> Result<Option<Identity>, StateDirError> {
    let path = dir.identity();
    if !path.try_exists().map_err(|error| StateDirError::io("look at", &path, &error))? {
        return Ok(None);
    }
    check_file(&path)?;
    let fail = |error| StateDirError::io("read", &path, &error);
    let damaged = |detail| StateDirError::IdentityDamaged { path: path.clone(), detail };
    if fs::metadata(&path).map_err(fail)?.len() > MAX_LEN {
        return Err(damaged("it is far too long"));
    }
    let bytes = Zeroizing::new(fs::read(&path).map_err(fail)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| damaged("it is not text"))?;
    parse(text).map(Some).map_err(damaged)
}

/// Writes the identity of a node that had none, under the directory's lock. All of it is on disk, or
/// nothing.
pub(crate) fn save(dir: &StateDir, identity: &Identity) -> Result<(), StateDirError> {
    let path = dir.identity();
    let part = path.with_extension("new");
    let text = render(identity);
    let write = |part: &Path| {
        // Left behind by a process that was killed in this very place; it was never an identity.
        match fs::remove_file(part) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = create_private(part)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        if path.try_exists()? {
            return Err(std::io::ErrorKind::AlreadyExists.into());
        }
        // Nobody makes one meanwhile: the caller holds the directory's lock.
        fs::rename(part, &path)
    };
    write(&part).map_err(|error| StateDirError::io("write", &path, &error))?;
    dir.sync()
}

fn render(identity: &Identity) -> Zeroizing<String> {
    let bytes = identity.to_bytes();
    let mut text = Zeroizing::new(String::with_capacity(256));
    text.push_str(HEADER);
    // Writing into a string that is large enough neither fails nor leaves copies of the keys behind.
    let _ = write!(text, "\nnode {}\nkeys ", identity.node_id());
    for byte in bytes.iter() {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('\n');
    text
}

fn parse(text: &str) -> Result<Identity, &'static str> {
    let mut lines = text.lines();
    match lines.next() {
        Some(HEADER) => {}
        Some(other) if other.starts_with("netdb identity ") => {
            return Err("it is of a later version of this program");
        }
        _ => return Err("it does not start as an identity file does"),
    }
    let node = lines.next().and_then(|line| line.strip_prefix("node "));
    let node: NodeId = node.and_then(|id| id.parse().ok()).ok_or("it has no node id")?;
    let keys = lines.next().and_then(|line| line.strip_prefix("keys ")).ok_or("it has no keys")?;
    let identity = Identity::from_bytes(&*unhex(keys).ok_or("its keys are not whole")?);
    if lines.next().is_some() {
        return Err("something follows the keys");
    }
    if identity.node_id() != node {
        return Err("its keys do not belong to its node id");
    }
    Ok(identity)
}

fn unhex(text: &str) -> Option<Zeroizing<[u8; Identity::LEN]>> {
    if text.len() != 2 * Identity::LEN {
        return None;
    }
    let mut bytes = Zeroizing::new([0; Identity::LEN]);
    for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digits = std::str::from_utf8(digits).ok()?;
        *byte = u8::from_str_radix(digits, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;
    use crate::entropy;

    fn with_identity() -> (tempfile::TempDir, StateDir, Identity) {
        let parent = tempfile::tempdir().unwrap();
        let dir = StateDir::create(&parent.path().join("state")).unwrap();
        let identity = Identity::generate(&mut entropy::system());
        save(&dir, &identity).unwrap();
        (parent, dir, identity)
    }

    #[test]
    fn an_identity_survives_its_file_and_is_never_overwritten() {
        let (_parent, dir, identity) = with_identity();
        assert_eq!(load(&dir).unwrap().unwrap().public(), identity.public());
        assert_eq!(fs::metadata(dir.identity()).unwrap().mode() & 0o777, 0o600);
        let other = Identity::generate(&mut entropy::system());
        assert!(matches!(save(&dir, &other), Err(StateDirError::Io { .. })));
        assert_eq!(load(&dir).unwrap().unwrap().public(), identity.public());
    }

    #[test]
    fn what_a_killed_process_left_is_no_obstacle() {
        let parent = tempfile::tempdir().unwrap();
        let dir = StateDir::create(&parent.path().join("state")).unwrap();
        fs::write(dir.identity().with_extension("new"), b"netdb ident").unwrap();
        assert!(load(&dir).unwrap().is_none());
        save(&dir, &Identity::generate(&mut entropy::system())).unwrap();
        assert!(load(&dir).unwrap().is_some());
    }

    #[test]
    fn every_damage_is_seen_and_names_the_file() {
        let (_parent, dir, identity) = with_identity();
        let path = dir.identity();
        let whole = fs::read(&path).unwrap();
        let mut damaged: Vec<Vec<u8>> =
            vec![Vec::new(), whole[..whole.len() / 2].to_vec(), [&whole[..], b"x\n"].concat()];
        // The last byte is a line's end, without which nothing is missing.
        damaged.extend((0..whole.len() - 1).map(|at| {
            let mut bytes = whole.clone();
            bytes[at] ^= 0x01;
            bytes
        }));
        damaged.push(vec![b'a'; usize::try_from(MAX_LEN).unwrap() + 1]);
        for bytes in damaged {
            fs::write(&path, &bytes).unwrap();
            match load(&dir) {
                Err(error @ StateDirError::IdentityDamaged { .. }) => {
                    let text = error.to_string();
                    assert!(text.contains(path.to_str().unwrap()), "{text}");
                }
                // Some bits of an X25519 secret have no meaning.
                Ok(Some(found)) => assert_eq!(found.public(), identity.public()),
                other => panic!("{other:?}"),
            }
            assert_eq!(fs::read(&path).unwrap(), bytes, "nothing is changed");
        }
    }

    #[test]
    fn one_that_others_may_read_is_refused() {
        let (_parent, dir, _) = with_identity();
        fs::set_permissions(dir.identity(), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load(&dir), Err(StateDirError::Permissions { wanted: 0o600, .. })));
    }
}
