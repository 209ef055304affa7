//! Programs of others that read a table: MariaDB's client library, which is the floor, and ConnectorX.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use crossweave::demo::mariadb::{MariaDb, OWNER};
use crossweave::demo::parts::parts_dir;
use crossweave::demo::process::Sandbox;
use tokio::process::Command;

use super::Result;
use super::measure::Sample;

/// How long one may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Drains statements with MariaDB's client library.
pub(super) struct Drain {
    program: PathBuf,
}

impl Drain {
    /// Compiles it; fails with the reason where the compiler or the library is missing.
    pub(super) async fn build(sandbox: &Sandbox) -> Result<Self> {
        let folder = sandbox.subfolder("drain")?;
        let (source, program) = (folder.join("drain.c"), folder.join("drain"));
        std::fs::write(&source, include_str!("drain.c"))?;
        let mut reason = String::new();
        // Debian has the library without the name that the linker looks for, unless its headers are installed.
        for library in ["-l:libmariadb.so.3", "-lmariadb"] {
            let mut command = Command::new("cc");
            command.arg("-O2").arg(&source).arg("-o").arg(&program).arg(library).arg("-pthread");
            match output(command).await {
                Ok(_) => return Ok(Self { program }),
                Err(error) => reason = error.to_string(),
            }
        }
        Err(reason.into())
    }

    /// Drains `statements` side by side, on a connection each.
    pub(super) async fn run(
        &self,
        server: &MariaDb,
        database: &str,
        statements: &[String],
    ) -> Result<(u64, Sample)> {
        let mut command = Command::new(&self.program);
        command.arg(server.port().to_string()).args([OWNER, database]).args(statements);
        command.env("DRAIN_PASSWORD", server.password());
        measured(&output(command).await?)
    }
}

/// Reads a table with ConnectorX.
pub(super) struct ConnectorX {
    python: PathBuf,
    pub(super) version: String,
}

impl ConnectorX {
    /// Finds what `tools/parts.sh bench` has installed; fails with the reason where it is not there.
    pub(super) async fn find() -> Result<Self> {
        let python = parts_dir().join("bench/bin/python");
        let mut command = Command::new(&python);
        command.args(["-c", include_str!("connectorx_read.py")]);
        let version =
            output(command).await.map_err(|error| format!("{error}; `tools/parts.sh bench` installs it"))?;
        Ok(Self { python, version: version.trim().to_owned() })
    }

    /// Reads `table` in `partitions` of its column `key`.
    pub(super) async fn run(
        &self,
        server: &MariaDb,
        database: &str,
        (table, key): (&str, &str),
        partitions: usize,
    ) -> Result<(u64, Sample)> {
        let mut command = Command::new(&self.python);
        command.args(["-c", include_str!("connectorx_read.py"), table, key, &partitions.to_string()]);
        let (password, port) = (server.password(), server.port());
        command.env("READ_URL", format!("mysql://{OWNER}:{password}@127.0.0.1:{port}/{database}"));
        measured(&output(command).await?)
    }
}

/// What a program printed; fails with what it complained about.
pub(super) async fn output(mut command: Command) -> Result<String> {
    let name: OsString = command.as_std().get_program().to_owned();
    let name = name.to_string_lossy();
    command.kill_on_drop(true).stdin(Stdio::null());
    let output = match tokio::time::timeout(LIMIT, command.output()).await {
        Ok(output) => output.map_err(|error| format!("{name}: {error}"))?,
        Err(_) => return Err(format!("{name} had not ended after {} s", LIMIT.as_secs()).into()),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim().lines().last().unwrap_or_default();
    Err(format!("{name} ended with {}: {last}", output.status).into())
}

/// Rows, seconds, seconds of CPU time, as both print them.
fn measured(printed: &str) -> Result<(u64, Sample)> {
    let mut words = printed.split_whitespace();
    let mut next = || words.next().ok_or_else(|| format!("expected rows and two times, found {printed:?}"));
    let rows = next()?.parse()?;
    let (wall, cpu) = (next()?.parse()?, next()?.parse()?);
    Ok((rows, Sample { wall: Duration::from_secs_f64(wall), cpu: Duration::from_secs_f64(cpu) }))
}
