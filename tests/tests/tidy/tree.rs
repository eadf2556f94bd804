//! The files of the working tree, as the other checks see them: without build output and dot folders.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A text file and its path from the root, with `/` between the parts.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl File {
    /// The last part of the path, without what follows its last dot.
    pub(crate) fn stem(&self) -> &str {
        self.name().0
    }

    /// What follows the last dot of the path.
    pub(crate) fn extension(&self) -> &str {
        self.name().1
    }

    fn name(&self) -> (&str, &str) {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        name.rsplit_once('.').unwrap_or((name, ""))
    }

    /// Whether all of the file is tests: a sibling `tests.rs` or something in a `tests` folder.
    pub(crate) fn is_test(&self) -> bool {
        self.stem() == "tests" || self.path.split('/').any(|part| part == "tests")
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every file with one of these extensions, in the order of their paths.
pub(crate) fn files(extensions: &[&str]) -> Vec<File> {
    let mut paths = Vec::new();
    walk(root(), &mut paths);
    paths.sort();
    paths
        .into_iter()
        .filter(|path| {
            let extension = path.extension().and_then(|extension| extension.to_str());
            extension.is_some_and(|extension| extensions.contains(&extension))
        })
        .filter_map(|path| {
            let name = path.strip_prefix(root()).unwrap().to_str()?.to_owned();
            // Somebody may be moving it at this moment; the next run sees it.
            Some(File { path: name, text: fs::read_to_string(&path).ok()? })
        })
        .collect()
}

/// The names of what lies directly in the root, build output and dot folders left out.
pub(crate) fn top_folders() -> Vec<String> {
    let mut names: Vec<String> = entries(root())
        .into_iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    names
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in entries(folder) {
        if path.is_dir() {
            walk(&path, found);
        } else {
            found.push(path);
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let hidden = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with('.') || name == "target"
    };
    entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| !hidden(path)).collect()
}

/// Fails the test that found `offences`, naming all of them.
pub(crate) fn none(offences: &[String]) {
    assert!(offences.is_empty(), "\n{}\n", offences.join("\n"));
}
