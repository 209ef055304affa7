//! A real Kafka broker for the tests, one per test process.
//!
//! **Why can none be left running?** The broker's parent is a shell that reads from a pipe whose other end only
//! the test process has. However the process ends, the pipe closes; the shell then ends the broker by its
//! process id and removes its folder.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

/// Names the folder with the broker's jars, where it is not `.parts/kafka/libs` at the repository's root.
const LIBS_ENV: &str = "CROSSWEAVE_KAFKA_LIBS";

const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// $1: the jars, $2: the broker's folder, $3: whether to remove it at the end.
const SUPERVISOR: &str = r#"
set -u
java -Xmx512m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -cp "$1/*" kafka.Kafka "$2/server.properties" >"$2/broker.log" 2>&1 &
broker=$!
echo started
cat >/dev/null
kill -9 "$broker"
wait "$broker" 2>/dev/null
if [ "$3" = remove ]; then rm -rf "$2"; fi
"#;

static SHARED: LazyLock<Broker> = LazyLock::new(|| {
    let folder = tempfile::Builder::new().prefix("crossweave-kafka-").tempdir().unwrap().keep();
    Broker::start(&folder, true)
});

/// The address of the broker that the tests of this process share.
pub(super) fn shared() -> &'static str {
    &SHARED.address
}

/// A running broker.
pub(super) struct Broker {
    /// `host:port`.
    pub(super) address: String,
    /// `None` once it was told to stop.
    lifeline: Option<ChildStdin>,
    supervisor: Child,
}

impl Broker {
    /// Starts a broker in `folder`, which is set up unless it is a broker's already.
    pub(super) fn start(folder: &Path, remove: bool) -> Self {
        let libs = libs();
        let properties = folder.join("server.properties");
        if !properties.exists() {
            set_up(folder, &libs);
        }
        let text = std::fs::read_to_string(&properties).unwrap();
        let address =
            text.lines().find_map(|line| line.strip_prefix("advertised.listeners=PLAINTEXT://")).unwrap();
        let mut supervisor = Command::new("sh")
            .args(["-c", SUPERVISOR, "sh"])
            .args([&libs, folder])
            .arg(if remove { "remove" } else { "keep" })
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(supervisor.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "started\n");
        let lifeline = supervisor.stdin.take();
        let broker = Self { address: address.to_owned(), lifeline, supervisor };
        let client: BaseConsumer = ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
        if let Err(error) = client.fetch_metadata(None, STARTS_WITHIN) {
            let log = std::fs::read_to_string(folder.join("broker.log")).unwrap_or_default();
            panic!("the broker at {address} does not answer: {error}\n{log}");
        }
        broker
    }

    /// Kills it.
    pub(super) fn kill(&mut self) {
        drop(self.lifeline.take());
        self.supervisor.wait().unwrap();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn libs() -> PathBuf {
    if let Some(libs) = std::env::var_os(LIBS_ENV) {
        return libs.into();
    }
    // As `tools/parts.sh` takes it: from the root of the repository.
    let parts = std::env::var_os("CROSSWEAVE_PARTS").unwrap_or_else(|| ".parts".into());
    let libs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(parts).join("kafka/libs");
    assert!(
        libs.is_dir(),
        "no Kafka in {}: run `tools/parts.sh kafka`, or set {LIBS_ENV} to a folder with the dependencies of \
         org.apache.kafka:kafka_2.13:4.1.0",
        libs.display()
    );
    libs
}

fn set_up(folder: &Path, libs: &Path) {
    let sockets = [0, 0].map(|port: u16| TcpListener::bind(("127.0.0.1", port)).unwrap());
    let [port, controller_port] = sockets.each_ref().map(|socket| socket.local_addr().unwrap().port());
    let data = folder.join("data");
    let text = format!(
        "process.roles=broker,controller\n\
         node.id=1\n\
         controller.quorum.voters=1@127.0.0.1:{controller_port}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n\
         controller.listener.names=CONTROLLER\n\
         log.dirs={}\n\
         auto.create.topics.enable=false\n\
         offsets.topic.num.partitions=1\n\
         offsets.topic.replication.factor=1\n\
         transaction.state.log.num.partitions=4\n\
         transaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\n",
        data.display()
    );
    let properties = folder.join("server.properties");
    std::fs::write(&properties, text).unwrap();
    let formatted = Command::new("java")
        .args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "-cp"])
        .arg(format!("{}/*", libs.display()))
        .args(["kafka.tools.StorageTool", "format", "-t", "Q3Jvc3N3ZWF2ZVRlc3RzMQ", "-c"])
        .arg(&properties)
        .output()
        .unwrap();
    assert!(formatted.status.success(), "{}", String::from_utf8_lossy(&formatted.stderr));
}
