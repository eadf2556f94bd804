//! Files as they are found, and as they are left.

use std::os::unix::fs::symlink;

use nix::{sys::stat::Mode, unistd::mkfifo};
use tempfile::TempDir;

use super::*;

const OURS: &str = "nameserver 127.0.0.11\noptions ndots:0\n";

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("resolv.conf");
    (folder, path)
}

async fn prepared(path: &Path) -> ResolvConf {
    ResolvConf::prepare(path.to_owned(), OURS.to_owned()).await.unwrap()
}

async fn refused(path: &Path) -> String {
    ResolvConf::prepare(path.to_owned(), OURS.to_owned()).await.unwrap_err().to_string()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn what_was_there_is_put_back_into_the_same_file() {
    let (_folder, path) = folder();
    // Longer than ours, and shorter: neither leaves a rest of the other.
    for before in ["nameserver 192.0.2.1\nsearch example.org a.rather.long.name.example\n", "", "#"]
    {
        fs::write(&path, before).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        let file = prepared(&path).await;
        assert_eq!(read(&path), before);
        file.write().await.unwrap();
        assert_eq!(read(&path), OURS);
        file.put_back().await.unwrap();
        assert_eq!(read(&path), before);
        assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
    }
}

#[tokio::test]
async fn one_that_was_not_there_goes_and_everybody_may_read_it() {
    let (_folder, path) = folder();
    let file = prepared(&path).await;
    assert!(!path.exists());
    file.write().await.unwrap();
    assert_eq!(read(&path), OURS);
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, MODE);
    file.put_back().await.unwrap();
    assert!(!path.exists());
    // Somebody was faster.
    file.put_back().await.unwrap();
}

#[tokio::test]
async fn what_somebody_has_changed_stays() {
    let (_folder, path) = folder();
    fs::write(&path, "nameserver 192.0.2.1\n").unwrap();
    let file = prepared(&path).await;
    file.write().await.unwrap();
    let changed = format!("{OURS}search example.org\n");
    fs::write(&path, &changed).unwrap();
    file.put_back().await.unwrap();
    assert_eq!(read(&path), changed);
}

#[tokio::test]
async fn what_can_not_be_written_is_named_and_left_alone() {
    let (folder, path) = folder();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("directory")).unwrap();
    symlink("/run/elsewhere", at("dangling")).unwrap();
    fs::write(&path, "").unwrap();
    symlink(&path, at("link")).unwrap();
    mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
    fs::write(at("locked"), "nameserver 192.0.2.1\n").unwrap();
    fs::set_permissions(at("locked"), Permissions::from_mode(0o444)).unwrap();
    fs::write(at("binary"), [0xff, 0xfe]).unwrap();
    for (name, told) in [
        ("directory", "a directory"),
        ("dangling", "no regular file"),
        ("link", "no regular file"),
        ("pipe", "no regular file"),
        ("locked", "read-only"),
        ("binary", "no text"),
        ("nowhere/resolv.conf", "its folder is not there"),
        ("locked/resolv.conf", "its folder is not there"),
    ] {
        let why = refused(&at(name)).await;
        assert!(why.contains(told) && why.contains(name), "{why}");
    }
    assert_eq!(read(&at("locked")), "nameserver 192.0.2.1\n");
    assert!(refused(Path::new("etc/resolv.conf")).await.contains("begin with /"));
    assert!(refused(Path::new("/")).await.contains("a directory"));
    if Path::new(OF_HOST).is_file() && !fs::symlink_metadata(OF_HOST).unwrap().is_symlink() {
        assert!(refused(Path::new(OF_HOST)).await.contains("the host's own"));
    }
}

#[tokio::test]
async fn a_large_file_is_not_overwritten() {
    let (_folder, path) = folder();
    let text = |bytes: u64| "#".repeat(usize::try_from(bytes).unwrap());
    fs::write(&path, text(MAX_BYTES)).unwrap();
    let file = prepared(&path).await;
    file.write().await.unwrap();
    file.put_back().await.unwrap();
    assert_eq!(read(&path), text(MAX_BYTES));
    fs::write(&path, text(MAX_BYTES + 1)).unwrap();
    assert!(refused(&path).await.contains("larger than 65536 bytes"));
}

#[tokio::test]
async fn what_became_a_link_meanwhile_is_not_followed() {
    let (folder, path) = folder();
    let other = folder.path().join("other");
    fs::write(&other, "kept").unwrap();
    let file = prepared(&path).await;
    symlink(&other, &path).unwrap();
    file.write().await.unwrap_err();
    assert_eq!(read(&path), "kept");
    assert_eq!(read(&other), "kept");
}

#[tokio::test]
async fn of_two_that_wrote_it_both_know_what_was_there_first() {
    let (_folder, path) = folder();
    fs::write(&path, "first").unwrap();
    let first = prepared(&path).await;
    first.write().await.unwrap();
    let second = prepared(&path).await.beside([first.clone()].into_iter());
    assert_eq!(second, first);
    second.put_back().await.unwrap();
    assert_eq!(read(&path), "first");
    // Written anew by somebody else, it is theirs.
    first.write().await.unwrap();
    fs::write(&path, "theirs").unwrap();
    let third = prepared(&path).await.beside([first].into_iter());
    third.write().await.unwrap();
    third.put_back().await.unwrap();
    assert_eq!(read(&path), "theirs");
}
