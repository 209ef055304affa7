//! The state folder belongs to one process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::path::Path;

use super::StartError;

/// Held while this process uses the folder; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct StateLock {
    _file: File,
}

impl StateLock {
    /// Makes the folder `dir` if it is missing, sees that it can be written, and takes it.
    pub(super) fn take(dir: &Path) -> Result<Self, StartError> {
        let cannot = |what: &str, error: std::io::Error| StartError::State {
            dir: dir.to_owned(),
            reason: format!("{what}: {error}"),
            hint: "set `state.dir` to a folder that this account can write, on a disk with room".to_owned(),
        };
        std::fs::create_dir_all(dir).map_err(|error| cannot("it cannot be made", error))?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(dir.join("lock"))
            .map_err(|error| cannot("it cannot be written", error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let _ = file.read_to_string(&mut holder); // Only says who; the lock itself is what counts.
                return Err(StartError::State {
                    dir: dir.to_owned(),
                    reason: format!("another Crossweave uses it{}", process(holder.trim())),
                    hint: "stop that one, or give this one its own `state.dir`".to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(cannot("it cannot be locked", error)),
        }
        file.set_len(0)
            .and_then(|()| write!(file, "{}", std::process::id()))
            .and_then(|()| file.sync_all())
            .map_err(|error| cannot("it cannot be written", error))?;
        Ok(Self { _file: file })
    }
}

fn process(id: &str) -> String {
    if id.is_empty() { String::new() } else { format!(", process {id}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("a/b");
        let first = StateLock::take(&dir).unwrap();
        let error = StateLock::take(&dir).unwrap_err();
        let expected = format!("another Crossweave uses it, process {}", std::process::id());
        assert!(error.to_string().ends_with(&expected), "{error}");
        drop(first);
        StateLock::take(&dir).unwrap();
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let error = StateLock::take(&folder.path().join("file/state")).unwrap_err();
        assert!(error.to_string().contains("file/state: it cannot be made: "), "{error}");
    }
}
