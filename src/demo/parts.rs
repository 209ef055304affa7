//! Where the real parts are: the installed ones first, then the folder that `tools/parts.sh` fills.

use std::path::{Path, PathBuf};

use super::error::{DemoError, Result};

/// The folder that `tools/parts.sh` fills: `$CROSSWEAVE_PARTS`, else `.parts` in the working directory.
#[must_use]
pub fn parts_dir() -> PathBuf {
    std::env::var_os("CROSSWEAVE_PARTS").map_or_else(|| PathBuf::from(".parts"), PathBuf::from)
}

/// The version that is unpacked where none is installed.
const UNPACKED: &str = "11.4";

/// A MariaDB server's programs.
#[derive(Clone, Debug)]
pub struct MariaDbParts {
    /// `mariadbd`.
    pub server: PathBuf,
    /// `mariadb-install-db`.
    pub install: PathBuf,
    /// The folder of an unpacked server, which has to be told where its files are; `None` for an installed one.
    pub base: Option<PathBuf>,
    /// The plugin of the FEDERATED engine, where there is one.
    pub federated: Option<PathBuf>,
}

impl MariaDbParts {
    /// Finds the server of the version that `$CROSSWEAVE_MARIADB` names (`11.8`), else the installed one, else the
    /// unpacked one.
    ///
    /// # Errors
    /// [`DemoError::MissingPart`] when there is none.
    pub fn find() -> Result<Self> {
        match std::env::var("CROSSWEAVE_MARIADB") {
            Ok(version) if !version.is_empty() => Self::unpacked(&version),
            _ => Self::installed().map_or_else(|| Self::unpacked(UNPACKED), Ok),
        }
    }

    fn installed() -> Option<Self> {
        let (server, install) = (on_path("mariadbd")?, on_path("mariadb-install-db")?);
        Some(Self { server, install, base: None, federated: installed_federated() })
    }

    fn unpacked(version: &str) -> Result<Self> {
        let base = parts_dir().join(format!("mariadb-{version}"));
        if let Ok(base) = base.canonicalize()
            && base.join("bin/mariadbd").is_file()
        {
            return Ok(Self {
                server: base.join("bin/mariadbd"),
                install: base.join("scripts/mariadb-install-db"),
                federated: Some(base.join("lib/plugin/ha_federatedx.so")).filter(|file| file.is_file()),
                base: Some(base),
            });
        }
        Err(DemoError::MissingPart {
            part: "mariadbd",
            looked: format!("$PATH, /usr/sbin, {}", base.display()),
            fix: "Install MariaDB (Debian: apt-get install mariadb-server), or run `tools/parts.sh mariadb`, which \
                  `make demo` does for you. The version that $CROSSWEAVE_MARIADB names comes from \
                  `tools/parts.sh mariadb-11.4` or `tools/parts.sh mariadb-11.8`.",
        })
    }
}

/// What is needed to run Kafka.
#[derive(Clone, Debug)]
pub struct KafkaParts {
    /// `java`.
    pub java: PathBuf,
    /// The class path with Kafka's jars.
    pub class_path: String,
}

impl KafkaParts {
    /// Finds Java and the fetched jars.
    ///
    /// # Errors
    /// [`DemoError::MissingPart`] when one is missing.
    pub fn find() -> Result<Self> {
        let java = on_path("java").ok_or(DemoError::MissingPart {
            part: "java",
            looked: "$PATH".to_owned(),
            fix: "Install Java 17 or later (Debian: apt-get install openjdk-17-jre-headless).",
        })?;
        let libs = parts_dir().join("kafka/libs");
        match libs.canonicalize() {
            Ok(libs) => Ok(Self { java, class_path: format!("{}/*", libs.display()) }),
            Err(_) => Err(DemoError::MissingPart {
                part: "Kafka",
                looked: libs.display().to_string(),
                fix: "Run `tools/parts.sh kafka`, which `make demo ARGS=\"--log kafka\"` does for you.",
            }),
        }
    }
}

/// The program's path, looked up in `$PATH` and where servers are installed but a user's `$PATH` may not lead.
fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from))
        .map(|dir| dir.join(program))
        .find(|file| file.is_file())
}

fn installed_federated() -> Option<PathBuf> {
    ["/usr/lib/mysql/plugin", "/usr/lib64/mysql/plugin", "/usr/lib/mariadb/plugin"]
        .iter()
        .map(|dir| Path::new(dir).join("ha_federatedx.so"))
        .find(|file| file.is_file())
}
