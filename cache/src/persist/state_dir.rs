//! The state directory: one process at a time, one subdirectory a service, one a source.

use std::collections::HashMap;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossweave_contract::{ServiceName, SourceId};

use super::disk::Disk;
use super::manifest::FileRef;

/// Why state could not be stored or read. The caches in memory are unaffected, and so is the last checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum PersistError {
    /// Another process uses the directory.
    #[error("the state directory {} is used by another process: stop that one, or set another [state] dir", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A file operation failed: the disk is full, or the directory cannot be written.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A checkpoint that is not as it was written: the service is to be loaded anew.
    #[error("the checkpoint file {} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        reason: String,
    },
    /// A checkpoint of a format that this version does not read: the service is to be loaded anew.
    #[error("the checkpoint {} has format {found}, this version reads format {supported}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// This version's.
        supported: u32,
    },
    /// A checkpoint of another server, whose positions mean nothing here: the service is to be loaded anew.
    #[error("the checkpoint {} is of the source {found}, the service is now at {expected}", path.display())]
    OtherSource {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        found: SourceId,
        /// The service's source.
        expected: SourceId,
    },
    /// Rows that could not be written as Arrow IPC.
    #[error("cannot encode {}: {error}", path.display())]
    Encode {
        /// The file that was to be written.
        path: PathBuf,
        /// What is wrong.
        error: String,
    },
}

impl PersistError {
    pub(crate) fn io(action: &'static str, path: &Path, error: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), error }
    }
}

/// The state directory, locked for this process until the last of what it gave out is dropped.
#[derive(Debug, Clone)]
pub struct StateDir {
    path: PathBuf,
    lock: Arc<File>,
}

impl StateDir {
    /// Opens `path`, which is created if it does not exist.
    pub fn open(path: &Path) -> Result<Self, PersistError> {
        fs::create_dir_all(path)
            .map_err(|error| PersistError::io("create the state directory", path, error))?;
        let lock_path = path.join("lock");
        let lock = File::options().create(true).write(true).truncate(false).open(&lock_path);
        let lock = lock.map_err(|error| PersistError::io("write", &lock_path, error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), lock: Arc::new(lock) }),
            Err(TryLockError::WouldBlock) => Err(PersistError::Locked { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => Err(PersistError::io("lock", &lock_path, error)),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is kept of `source`.
    pub fn of_source(&self, source: &SourceId) -> SourceFiles {
        let dir = self.path.join("sources").join(file_name(source.as_str()));
        let file = |name| SourceFile { dir: dir.clone(), name, _lock: Arc::clone(&self.lock) };
        SourceFiles { must_start_over: file("must-start-over"), known_transactions: file("known-transactions") }
    }

    /// The checkpoints of `service`, whose tables are on `source`. There must be one store a service.
    pub fn store(&self, service: &ServiceName, source: &SourceId) -> Result<ServiceStore, PersistError> {
        let dir = self.path.join("services").join(file_name(service.as_str()));
        Ok(ServiceStore {
            disk: Disk::open(dir)?,
            service: service.clone(),
            source: source.clone(),
            checkpoint: 0,
            written: HashMap::new(),
            _lock: Arc::clone(&self.lock),
        })
    }
}

/// What is kept of a source.
#[derive(Debug, Clone)]
pub struct SourceFiles {
    /// There while its change log is still to start over.
    pub must_start_over: SourceFile,
    /// Transactions by which its binlog is known again.
    pub known_transactions: SourceFile,
}

/// A small file about a source, with one writer: the next process finds it.
#[derive(Debug, Clone)]
pub struct SourceFile {
    dir: PathBuf,
    name: &'static str,
    _lock: Arc<File>,
}

impl SourceFile {
    /// What is in it; `None` if it is not there.
    pub fn read(&self) -> Result<Option<Vec<u8>>, PersistError> {
        Disk::open(self.dir.clone())?.read(self.name)
    }

    /// Puts `bytes` into it, all or nothing; durable when it returns.
    pub fn write(&self, bytes: &[u8]) -> Result<(), PersistError> {
        Disk::open(self.dir.clone())?.replace(self.name, bytes)
    }

    /// Removes it, if it is there.
    pub fn remove(&self) -> Result<(), PersistError> {
        let disk = Disk::open(self.dir.clone())?;
        disk.sweep(|name| name != self.name)?;
        disk.sync()
    }
}

/// One service's checkpoints.
#[derive(Debug)]
pub struct ServiceStore {
    pub(crate) disk: Disk,
    pub(crate) service: ServiceName,
    pub(crate) source: SourceId,
    /// The number of the last checkpoint.
    pub(crate) checkpoint: u64,
    /// Files of segments that the last checkpoint has, by segment.
    pub(crate) written: HashMap<u64, FileRef>,
    _lock: Arc<File>,
}

/// `name` with everything but ASCII letters, digits, `_` and `-` as `%` and two hex digits a byte.
fn file_name(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let part = |byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") };
    name.bytes().map(part).collect()
}
