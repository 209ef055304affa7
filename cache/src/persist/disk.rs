//! The file operations of checkpoints, each durable when it returns. Errors name the path.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::PersistError;

/// One service's directory.
#[derive(Debug)]
pub(crate) struct Disk {
    dir: PathBuf,
    /// In tests: how many more operations succeed before everything fails, as in a crash.
    #[cfg(test)]
    pub(crate) fuse: Option<std::cell::Cell<usize>>,
}

impl Disk {
    pub(crate) fn open(dir: PathBuf) -> Result<Self, PersistError> {
        fs::create_dir_all(&dir).map_err(|error| PersistError::io("create the directory", &dir, error))?;
        Ok(Self {
            dir,
            #[cfg(test)]
            fuse: None,
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Writes a new file. What was written of it is removed if that fails.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), PersistError> {
        let path = self.path(name);
        let result = self.step(&path, bytes).and_then(|()| {
            let mut file = File::create(&path)?;
            file.write_all(bytes)?;
            file.sync_data()
        });
        result.map_err(|error| {
            if !cfg!(test) {
                let _ = fs::remove_file(&path);
            }
            PersistError::io("write", &path, error)
        })
    }

    /// Puts `bytes` in the place of the file `name`, all or nothing, after everything written before.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), PersistError> {
        let temporary = format!("{name}.new");
        self.write(&temporary, bytes)?;
        self.sync()?;
        let (from, to) = (self.path(&temporary), self.path(name));
        let renamed = self.step(&to, &[]).and_then(|()| fs::rename(from, &to));
        renamed.map_err(|error| PersistError::io("replace", &to, error))?;
        self.sync()
    }

    pub(crate) fn sync(&self) -> Result<(), PersistError> {
        let synced = self.step(&self.dir, &[]).and_then(|()| File::open(&self.dir)?.sync_all());
        synced.map_err(|error| PersistError::io("make durable", &self.dir, error))
    }

    /// The bytes of `name`; `None` if there is no such file.
    pub(crate) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, PersistError> {
        let path = self.path(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(PersistError::io("read", &path, error)),
        }
    }

    /// Removes every file for which `keep` is false.
    pub(crate) fn sweep(&self, keep: impl Fn(&str) -> bool) -> Result<(), PersistError> {
        let fail = |error| PersistError::io("list", &self.dir, error);
        for entry in fs::read_dir(&self.dir).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            let name = path.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
            if !keep(&name) {
                let removed = self.step(&path, &[]).and_then(|()| fs::remove_file(&path));
                removed.map_err(|error| PersistError::io("remove", &path, error))?;
            }
        }
        Ok(())
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "tests fail here")]
    fn step(&self, _path: &Path, _bytes: &[u8]) -> io::Result<()> {
        Ok(())
    }

    /// Fails once the fuse has burnt, leaving half of what was to be written.
    #[cfg(test)]
    fn step(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let Some(fuse) = &self.fuse else { return Ok(()) };
        if fuse.get() == 0 {
            if !bytes.is_empty() {
                let _ = fs::write(path, &bytes[..bytes.len() / 2]);
            }
            return Err(io::Error::other("the process was killed"));
        }
        fuse.set(fuse.get() - 1);
        Ok(())
    }
}
