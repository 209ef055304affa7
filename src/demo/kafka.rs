//! A Kafka broker of our own: broker and controller in one process (KRaft), on free loopback ports.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use tokio::net::TcpStream;

use super::error::{DemoError, Result};
use super::parts::KafkaParts;
use super::process::{Process, Sandbox, free_port};

/// How long the broker may take until it accepts connections; 2 to 3 s on an idle machine.
const START_LIMIT: Duration = Duration::from_secs(90);

/// How long the broker may take to end by itself.
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A small heap, and the quick compiler alone: the broker shares two cores with everything else.
const JAVA: [&str; 5] =
    ["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"];

/// One broker. Dropping it kills it; its data goes with the sandbox.
pub struct Kafka {
    parts: KafkaParts,
    sandbox: Sandbox,
    dir: PathBuf,
    port: u16,
    process: Option<Process>,
}

impl Kafka {
    /// Formats a fresh log folder, starts the broker and waits until it accepts connections. `properties` are
    /// lines for `server.properties` after ours, so that they win.
    ///
    /// # Errors
    /// When Java or Kafka is missing, or the broker does not start; the error shows the end of its log.
    pub async fn start(sandbox: &Sandbox, name: &str, properties: &[&str]) -> Result<Self> {
        let parts = KafkaParts::find()?;
        let dir = sandbox.subfolder(name)?;
        let port = free_port()?;
        let mut kafka = Self { parts, sandbox: sandbox.clone(), dir, port, process: None };
        kafka.configure(free_port()?, properties)?;
        kafka.format().await?;
        kafka.resume().await?;
        Ok(kafka)
    }

    /// Starts the broker again on the same port and data, after [`Kafka::kill`] or [`Kafka::stop`].
    ///
    /// # Errors
    /// When it does not start; the error shows the end of its log.
    pub async fn resume(&mut self) -> Result<()> {
        self.kill();
        let mut command = self.java();
        command.arg("kafka.Kafka").arg(self.properties_file());
        let process = self.sandbox.spawn("Kafka", command, &self.log())?;
        let process = self.process.insert(process);
        let address = ("127.0.0.1", self.port);
        process
            .until(START_LIMIT, async || {
                TcpStream::connect(address).await.map(drop).map_err(|error| error.to_string())
            })
            .await
    }

    /// Kills the broker as `kill -9` does. Its data stays for [`Kafka::resume`].
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Ends the broker in good order. Its data stays for [`Kafka::resume`].
    ///
    /// # Errors
    /// When it does not end in time; it is killed then.
    pub async fn stop(&mut self) -> Result<()> {
        match self.process.take() {
            Some(mut process) => process.terminate(STOP_LIMIT).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Where clients connect: `127.0.0.1:<port>`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The process id while it runs.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// The broker's log file.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    fn properties_file(&self) -> PathBuf {
        self.dir.join("server.properties")
    }

    fn configure(&self, controller: u16, properties: &[&str]) -> Result<()> {
        let port = self.port;
        let data = self.dir.join("data");
        let mut text = format!(
            "process.roles=broker,controller\n\
             node.id=1\n\
             controller.quorum.voters=1@127.0.0.1:{controller}\n\
             controller.listener.names=CONTROLLER\n\
             inter.broker.listener.name=PLAINTEXT\n\
             listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
             advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
             log.dirs={}\n\
             num.partitions=1\n\
             offsets.topic.num.partitions=1\n\
             offsets.topic.replication.factor=1\n\
             transaction.state.log.num.partitions=1\n\
             transaction.state.log.replication.factor=1\n\
             transaction.state.log.min.isr=1\n\
             share.coordinator.state.topic.replication.factor=1\n\
             share.coordinator.state.topic.min.isr=1\n\
             group.initial.rebalance.delay.ms=0\n",
            data.display()
        );
        for line in properties {
            text.push_str(line);
            text.push('\n');
        }
        let file = self.properties_file();
        fs::write(&file, text).map_err(|e| DemoError::io(format!("write {}", file.display()), e))
    }

    async fn format(&self) -> Result<()> {
        // Kafka's cluster id: 16 bytes in unpadded URL-safe base64, whose last character holds two bits.
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut bits = rand::random::<u128>();
        let mut cluster = String::from("c");
        for _ in 0..20 {
            cluster.push(char::from(DIGITS[(bits % 64) as usize]));
            bits /= 64;
        }
        cluster.push('A');
        let mut command = self.java();
        command.args(["kafka.tools.StorageTool", "format", "-t", &cluster, "-c"]).arg(self.properties_file());
        let mut process = self.sandbox.spawn("Kafka's StorageTool", command, &self.log())?;
        let status = process.wait(START_LIMIT).await?;
        if status.success() { Ok(()) } else { Err(process.died(status)) }
    }

    fn java(&self) -> Command {
        let mut command = Command::new(&self.parts.java);
        command
            .args(JAVA)
            .args(["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", &self.parts.class_path])
            .current_dir(&self.dir);
        command
    }
}
