//! Crossweave as a process of its own, started from a config file as anybody would start it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use super::client::Client;
use super::error::{DemoError, Result};
use super::process::{Process, Sandbox, free_port, log_tail};

/// How long it may take until every cached table is loaded, or has failed to load once.
const READY_LIMIT: Duration = Duration::from_secs(90);

/// How long it may take to end in good order.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// One Crossweave server. Dropping it kills it.
pub struct Server {
    executable: PathBuf,
    sandbox: Sandbox,
    dir: PathBuf,
    environment: Vec<(String, String)>,
    http: u16,
    postgres: u16,
    process: Option<Process>,
}

impl Server {
    /// Writes a config file into a folder of its own, without starting anything. `config` is put after
    /// `[listen]` with free ports and `[state]`; it may begin with more settings for the latter, and has to
    /// hold everything else. `environment` is what the config refers to.
    ///
    /// # Errors
    /// When the file cannot be written, or no port is free.
    pub fn prepare(
        executable: &Path,
        sandbox: &Sandbox,
        name: &str,
        config: &str,
        environment: Vec<(String, String)>,
    ) -> Result<Self> {
        let dir = sandbox.subfolder(name)?;
        let (http, postgres) = (free_port()?, free_port()?);
        let server = Self {
            executable: executable.to_owned(),
            sandbox: sandbox.clone(),
            dir,
            environment,
            http,
            postgres,
            process: None,
        };
        server.configure(config)?;
        Ok(server)
    }

    /// Writes the config file anew; it counts from the next start on.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self, config: &str) -> Result<()> {
        // Nobody balances load between servers that are started and ended by the dozen.
        self.configure_listening("drain_delay = \"0s\"", config)
    }

    /// The same with other lines in `[listen]` beside the addresses.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure_listening(&self, listen: &str, config: &str) -> Result<()> {
        let Self { http, postgres, .. } = self;
        let text = format!(
            "[listen]\n\
             http = \"127.0.0.1:{http}\"\n\
             postgres = \"127.0.0.1:{postgres}\"\n\
             {listen}\n\n\
             [state]\n\
             dir = \"{}\"\n\
             {config}",
            self.state_dir().display()
        );
        let file = self.config_file();
        fs::write(&file, text).map_err(|e| DemoError::io(format!("write {}", file.display()), e))
    }

    /// Starts the process without waiting for anything.
    ///
    /// # Errors
    /// When the executable cannot be started.
    pub fn launch(&mut self) -> Result<()> {
        let command = self.command(&["serve"]);
        self.process = Some(self.sandbox.spawn("Crossweave", command, &self.log())?);
        Ok(())
    }

    /// Starts the process and waits until it is ready.
    ///
    /// # Errors
    /// When it ends, or is not ready in time; the error shows the end of its log.
    pub async fn start(&mut self) -> Result<Client> {
        self.launch()?;
        self.ready().await
    }

    /// Waits until `/readyz` says so.
    ///
    /// # Errors
    /// When the process ends first, or is not ready in time; the error shows the end of its log.
    pub async fn ready(&mut self) -> Result<Client> {
        let client = self.client()?;
        let process = self.process.as_mut().ok_or_else(|| not_running("to be ready"))?;
        process
            .until(READY_LIMIT, async || match client.get("/readyz").await {
                Ok((status, _)) if status.is_success() => Ok(()),
                Ok((status, body)) => Err(format!("/readyz answers {status}: {body}")),
                Err(e) => Err(e.to_string()),
            })
            .await?;
        Ok(client)
    }

    /// Sends SIGTERM and waits for the end.
    ///
    /// # Errors
    /// When it does not run, or does not end in time; it is killed then.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        match self.process.take() {
            Some(mut process) => process.terminate(STOP_LIMIT).await,
            None => Err(not_running("to end")),
        }
    }

    /// The error for an end with a status that was not expected, with the end of the log.
    #[must_use]
    pub fn ended_with(&self, status: ExitStatus) -> DemoError {
        let (log, tail) = (self.log(), log_tail(&self.log(), 20));
        DemoError::Died { name: "Crossweave".to_owned(), status: status.to_string(), log, tail }
    }

    /// Kills it as `kill -9` does. State and config stay for the next start.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// The process, while it runs: for signals and for waiting.
    pub fn process(&mut self) -> Option<&mut Process> {
        self.process.as_mut()
    }

    /// A command of the same executable with this server's config and environment, say `check` or `sql`.
    #[must_use]
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.executable);
        command
            .args(arguments)
            .arg("--config")
            .arg(self.config_file())
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.dir);
        command
    }

    /// A client of this server.
    ///
    /// # Errors
    /// When the HTTP client cannot be set up.
    pub fn client(&self) -> Result<Client> {
        Client::new(self.http)
    }

    /// The HTTP port on 127.0.0.1; the same for the server's whole life.
    #[must_use]
    pub fn http_port(&self) -> u16 {
        self.http
    }

    /// The PostgreSQL port on 127.0.0.1; the same for the server's whole life.
    #[must_use]
    pub fn postgres_port(&self) -> u16 {
        self.postgres
    }

    /// The config file.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.dir.join("crossweave.toml")
    }

    /// The state directory.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// The file that holds what the process has printed.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }
}

fn not_running(action: &str) -> DemoError {
    DemoError::Answer {
        action: action.to_owned(),
        detail: "it has not been started, or has been stopped already".to_owned(),
    }
}
