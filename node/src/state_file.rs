//! What this host alone knows, on disk: a small file of JSON in the state directory that is replaced as a
//! whole, so that it is always one state or the next.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

const VERSION: u32 = 1;

/// The file could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {error}", path = path.display())]
pub(crate) struct StateFileError {
    path: PathBuf,
    error: io::Error,
}

/// The file.
#[derive(Debug)]
pub(crate) struct StateFile {
    path: PathBuf,
}

#[derive(Serialize)]
struct Written<'a, T> {
    version: u32,
    #[serde(flatten)]
    content: &'a T,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

impl StateFile {
    pub(crate) fn new(state_dir: &Path, name: &str) -> Self {
        Self { path: state_dir.join(name) }
    }

    /// What was saved last; nothing if nothing ever was.
    pub(crate) fn load<T: DeserializeOwned + Default>(&self) -> Result<T, StateFileError> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
            Err(error) => return Err(self.failed(error)),
        };
        let unreadable = |error: serde_json::Error| self.failed(error.into());
        let Version { version } = serde_json::from_slice(&bytes).map_err(unreadable)?;
        if version != VERSION {
            let told = format!("version {version} is not known here");
            return Err(self.failed(io::Error::new(io::ErrorKind::InvalidData, told)));
        }
        serde_json::from_slice(&bytes).map_err(unreadable)
    }

    /// Replaces it; durable when this returns.
    pub(crate) fn save<T: Serialize>(&self, content: &T) -> Result<(), StateFileError> {
        let write = || -> io::Result<()> {
            let unfinished = self.path.with_extension("json.new");
            let mut file = File::create(&unfinished)?;
            let written = Written { version: VERSION, content };
            file.write_all(&serde_json::to_vec_pretty(&written)?)?;
            file.sync_all()?;
            fs::rename(&unfinished, &self.path)?;
            let folder = self.path.parent().unwrap_or(Path::new("."));
            File::open(folder)?.sync_all()
        };
        write().map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> StateFileError {
        StateFileError { path: self.path.clone(), error }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Content {
        names: Vec<String>,
    }

    #[test]
    fn what_is_saved_is_loaded_and_what_is_not_understood_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = StateFile::new(folder.path(), "names.json");
        assert_eq!(file.load::<Content>().unwrap(), Content::default());
        let content = Content { names: vec!["web".into()] };
        file.save(&content).unwrap();
        assert_eq!(file.load::<Content>().unwrap(), content);
        for (text, told) in [("{", "names.json"), ("{\"version\": 2}", "version 2 is not known")] {
            fs::write(&file.path, text).unwrap();
            assert!(file.load::<Content>().unwrap_err().to_string().contains(told));
        }
    }
}
