//! Which MariaDB a test's server is: the installed one, or one that `tools/parts.sh mariadb-VERSION` has unpacked.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The version that is unpacked where none is installed.
const UNPACKED: &str = "11.4";

/// A server's programs.
pub(super) struct Programs {
    server: PathBuf,
    install: PathBuf,
    /// The folder of an unpacked server, which has to be told where its files are.
    base: Option<PathBuf>,
}

/// The versions in `$CROSSWEAVE_TEST_VERSIONS`, of which `make` sets the same default.
pub(super) fn other_versions() -> Vec<String> {
    let versions = std::env::var("CROSSWEAVE_TEST_VERSIONS").unwrap_or_else(|_| "11.4".to_owned());
    versions.split_whitespace().map(str::to_owned).collect()
}

impl Programs {
    /// Those of the version that `$CROSSWEAVE_MARIADB` names, else the installed ones, else the unpacked ones.
    pub(super) fn usual() -> Self {
        if let Some(version) = std::env::var("CROSSWEAVE_MARIADB").ok().filter(|version| !version.is_empty()) {
            return Self::of(&version);
        }
        let installed = installed("mariadbd").zip(installed("mariadb-install-db"));
        installed
            .map(|(server, install)| Self { server, install, base: None })
            .unwrap_or_else(|| Self::of(UNPACKED))
    }

    /// Those of an unpacked server.
    pub(super) fn of(version: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        // As `tools/parts.sh` takes it: from the root of the repository.
        let parts = std::env::var_os("CROSSWEAVE_PARTS").unwrap_or_else(|| ".parts".into());
        let base = root.join(parts).join(format!("mariadb-{version}"));
        let (server, install) = (base.join("bin/mariadbd"), base.join("scripts/mariadb-install-db"));
        assert!(
            server.is_file() && install.is_file(),
            "no MariaDB {version} in {}: run `tools/parts.sh mariadb-{version}`, which `make test` does for the \
             versions in $CROSSWEAVE_TEST_VERSIONS",
            base.display()
        );
        Self { server, install, base: Some(base) }
    }

    /// `mariadbd`.
    pub(super) fn server(&self) -> &Path {
        &self.server
    }

    /// Where an unpacked server's files are.
    pub(super) fn places(&self) -> Vec<String> {
        let Some(base) = &self.base else { return Vec::new() };
        let base = base.display();
        vec![format!("--basedir={base}"), format!("--lc-messages-dir={base}/share")]
    }

    /// Makes a data folder.
    pub(super) fn install(&self, data: &Path) {
        let mut command = Command::new(&self.install);
        command
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--user=root",
            ])
            .arg(format!("--datadir={}", data.display()))
            // The names of its temporary tables are its process's number only.
            .env("TMPDIR", data.parent().unwrap_or(data));
        if let Some(base) = &self.base {
            command.arg(format!("--basedir={}", base.display()));
        }
        let output = command.output().expect("mariadb-install-db runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", self.install.display());
    }
}

fn installed(program: &str) -> Option<PathBuf> {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&folders).chain(["/usr/sbin", "/usr/bin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}
