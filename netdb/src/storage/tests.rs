//! Stores written, read, damaged and refused.

use std::path::PathBuf;

use super::*;

const CLUSTER_ID: ClusterId = ClusterId([7; 16]);

struct Place {
    _dir: tempfile::TempDir,
    path: PathBuf,
    part: PathBuf,
}

fn place() -> Place {
    let dir = tempfile::tempdir().unwrap();
    let (path, part) = (dir.path().join("netdb.redb"), dir.path().join("netdb.redb.new"));
    Place { _dir: dir, path, part }
}

fn op(key: &[u8], value: &[u8]) -> DiskOp {
    DiskOp { key: key.to_vec(), value: Some(value.to_vec()) }
}

/// A store of so many pairs, closed.
fn store(pairs: u32) -> Place {
    let place = place();
    let ops = (0..pairs).map(|n| op(&n.to_be_bytes(), &[7; 100])).collect();
    Storage::create(&place.path, &place.part, CLUSTER_ID, ops).unwrap();
    place
}

#[test]
fn what_was_applied_is_there_after_opening_again() {
    let place = store(3);
    let (mut storage, contents) = Storage::open(&place.path).unwrap();
    assert_eq!(contents.cluster, CLUSTER_ID);
    assert_eq!(contents.pairs.len(), 3);
    let batch = [
        (0u32.to_be_bytes().to_vec(), None),
        (1u32.to_be_bytes().to_vec(), Some(b"changed".to_vec())),
        (b"new".to_vec(), Some(Vec::new())),
    ];
    storage.apply(&Batch::from(batch)).unwrap();
    drop(storage);
    let (_storage, contents) = Storage::open(&place.path).unwrap();
    let expected: Vec<(Vec<u8>, Vec<u8>)> = vec![
        (1u32.to_be_bytes().to_vec(), b"changed".to_vec()),
        (2u32.to_be_bytes().to_vec(), vec![7; 100]),
        (b"new".to_vec(), Vec::new()),
    ];
    assert_eq!(contents.pairs, expected);
}

#[test]
fn a_part_that_a_killed_process_left_is_no_obstacle() {
    let place = place();
    fs::write(&place.part, b"half a store").unwrap();
    Storage::create(&place.path, &place.part, CLUSTER_ID, vec![op(b"a", b"b")]).unwrap();
    assert_eq!(Storage::open(&place.path).unwrap().1.pairs.len(), 1);
    assert!(!place.part.exists());
}

#[test]
fn a_store_is_open_once() {
    let place = store(1);
    let _open = Storage::open(&place.path).unwrap();
    assert_eq!(Storage::open(&place.path).unwrap_err(), StorageError::InUse(place.path.clone()));
}

#[test]
fn a_later_format_is_refused_and_left_alone() {
    let place = store(1);
    let (storage, _) = Storage::open(&place.path).unwrap();
    write(storage.database.as_ref().unwrap(), &Batch::new(), &[(FORMAT, &[9])]).unwrap();
    drop(storage);
    let error = Storage::open(&place.path).unwrap_err();
    assert_eq!(error, StorageError::Later { path: place.path.clone(), version: 9 });
}

#[test]
fn files_that_are_no_store_are_damaged_ones() {
    for bytes in [Vec::new(), b"hello".to_vec(), vec![0; 5000], vec![0xff; 1 << 20]] {
        let place = place();
        fs::write(&place.path, &bytes).unwrap();
        let error = Storage::open(&place.path).unwrap_err();
        assert!(matches!(error, StorageError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains(place.path.to_str().unwrap()), "{error}");
        assert_eq!(fs::read(&place.path).unwrap(), bytes, "it is left as it was");
    }
}

#[test]
fn a_store_cut_short_is_damaged() {
    let place = store(500);
    let whole = fs::read(&place.path).unwrap();
    for length in [1, 100, 4096, 10_000, whole.len() / 2, whole.len() - 1] {
        fs::write(&place.path, &whole[..length]).unwrap();
        let error = Storage::open(&place.path).unwrap_err();
        assert!(matches!(error, StorageError::Damaged { .. }), "{length}: {error:?}");
    }
}

/// Damage anywhere is refused, or it hit what is not in use and all pairs are whole.
#[test]
fn overwritten_pages_are_never_read_as_something_else() {
    let place = store(500);
    let whole = fs::read(&place.path).unwrap();
    let before = Storage::open(&place.path).unwrap().1.pairs;
    let mut refused = 0;
    for page in 0..whole.len() / 4096 {
        let mut bytes = whole.clone();
        bytes[page * 4096 + 200..][..50].fill(0xa5);
        fs::write(&place.path, &bytes).unwrap();
        match Storage::open(&place.path) {
            Ok((_, contents)) => assert_eq!(contents.pairs, before, "page {page}"),
            Err(StorageError::Damaged { .. }) => refused += 1,
            Err(other) => panic!("page {page}: {other:?}"),
        }
    }
    assert!(refused > 5, "only {refused} pages mattered");
}

#[test]
fn errors_of_the_system_are_told_apart() {
    let path = Path::new("/x");
    let of = |kind: ErrorKind| explain_io(path, &io::Error::from(kind));
    assert_eq!(of(ErrorKind::StorageFull), StorageError::DiskFull(path.to_owned()));
    assert_eq!(of(ErrorKind::QuotaExceeded), StorageError::DiskFull(path.to_owned()));
    assert_eq!(of(ErrorKind::ReadOnlyFilesystem), StorageError::ReadOnly(path.to_owned()));
    assert_eq!(of(ErrorKind::PermissionDenied), StorageError::NotPermitted(path.to_owned()));
    assert!(matches!(of(ErrorKind::TimedOut), StorageError::Io { .. }));
}
