//! The course of the demo: starting, asking, and then writing until Ctrl-C.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use super::error::{DemoError, Result};
use super::print::{heading, line, time};
use super::show;
use super::stage::{Sources, Stage, TOPIC_PREFIX};
use super::writer::{Writer, WriterOptions};

/// What `crossweave demo` can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoOptions {
    /// End after the questions, with status 0 if all were answered
    #[arg(long)]
    pub once: bool,
    /// How changes get from the binlogs to the caches
    #[arg(long, value_enum, default_value_t = LogKind::Direct)]
    pub log: LogKind,
    /// Write the demo's configuration to this file too, which must not exist yet, to start your own from
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The change log of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogKind {
    /// In the process, without a broker
    Direct,
    /// Through a Kafka broker that the demo starts
    Kafka,
}

/// Shows Crossweave on three MariaDB servers of its own. Ends after the questions if `once`, else on Ctrl-C or
/// SIGTERM; either way nothing is left running.
///
/// # Errors
/// What has failed, with the end of the log of the part that has.
pub async fn run(options: DemoOptions) -> Result<()> {
    let start = Instant::now();
    let mut stage = tokio::select! {
        stage = set(&options, start) => stage?,
        ended = asked_to_end() => return ended,
    };
    let shown = tokio::select! {
        shown = play(&mut stage, &options, start) => shown,
        ended = asked_to_end() => ended,
    };
    line("\nEnding Crossweave and the servers …")?;
    let ended = tokio::select! {
        ended = stage.end() => ended,
        // Asked twice: no more patience. What still runs is killed.
        ended = asked_to_end() => ended,
    };
    shown.and(ended)
}

/// Returns on Ctrl-C and on SIGTERM.
async fn asked_to_end() -> Result<()> {
    let listening = |e| DemoError::io("listen for signals", e);
    let mut terminate = signal(SignalKind::terminate()).map_err(listening)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(listening)?;
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    Ok(())
}

async fn set(options: &DemoOptions, start: Instant) -> Result<Stage> {
    let broker = if options.log == LogKind::Kafka { " and Kafka" } else { "" };
    line(format!("Starting three MariaDB servers{broker} …"))?;
    let sources = Sources::start(options.log).await?;
    line(format!("Filling them ({}) …", time(start.elapsed())))?;
    let shop = sources.fill().await?;
    line(format!("Starting Crossweave ({}) …", time(start.elapsed())))?;
    let executable =
        std::env::current_exe().map_err(|e| DemoError::io("find the path of this executable", e))?;
    let stage = sources.open(shop, &executable).await?;
    if let Some(file) = &options.config {
        copy_new(&stage.server.config_file(), file)?;
    }
    line(format!("Ready after {}.", time(start.elapsed())))?;
    Ok(stage)
}

/// Copies a file to where there is none yet.
fn copy_new(from: &Path, to: &Path) -> Result<()> {
    let copied = File::create_new(to).and_then(|mut file| file.write_all(&fs::read(from)?));
    copied.map_err(|e| DemoError::io(format!("write the configuration to {}", to.display()), e))
}

async fn play(stage: &mut Stage, options: &DemoOptions, start: Instant) -> Result<()> {
    line(show::profile())?;
    show::questions(stage).await?;
    show::comparison(stage).await?;
    show::outage(stage).await?;
    show::change(stage).await?;
    if options.once {
        return line(format!("\nAll questions answered; {} from the start.", time(start.elapsed())));
    }
    where_to_connect(stage)?;
    write(stage).await
}

/// Goes on changing the data, with a line now and then, until the caller drops it.
async fn write(stage: &Stage) -> Result<()> {
    let pause = Duration::from_millis(50);
    let writer = Writer::start(&stage.shop, WriterOptions { seed: 1, pause });
    let mut tick = tokio::time::interval_at(
        tokio::time::Instant::now() + Duration::from_secs(10),
        Duration::from_secs(10),
    );
    loop {
        tick.tick().await;
        if writer.has_ended() {
            return writer.stop().await.map(|_| ());
        }
        let orders = show::count_of_orders(stage).await?;
        line(format!("{} changes so far; the cache holds {orders} orders. Ctrl-C ends all.", writer.steps()))?;
    }
}

fn where_to_connect(stage: &Stage) -> Result<()> {
    let executable = std::env::current_exe().map_or("crossweave".into(), |path| path.display().to_string());
    let (http, postgres) = (stage.client.url(""), stage.server.postgres_port());
    heading("A writer is changing the data now. Connect and ask")?;
    line("  The command line:")?;
    line(format!(
        "    {executable} sql --url {http} \\\n      'SELECT status, COUNT(*) FROM orders.orders GROUP BY status'"
    ))?;
    line(format!("    {executable} status --url {http}"))?;
    line("  curl:")?;
    line(format!("    curl -s {http}/sql -d 'SELECT COUNT(*) FROM users.users'"))?;
    line("  psql:")?;
    line(format!("    psql -h 127.0.0.1 -p {postgres} -c 'SELECT * FROM users.users LIMIT 3'"))?;
    line("  A browser, for GraphQL:")?;
    line(format!("    {http}/graphql"))?;
    if let Some(kafka) = &stage.kafka {
        line("  Kafka, for the feeds in Debezium's format:")?;
        line(format!(
            "    {}   topics {TOPIC_PREFIX}.users.users, {TOPIC_PREFIX}.orders.orders, …",
            kafka.bootstrap()
        ))?;
    }
    line("  The MariaDB servers themselves:")?;
    for server in &stage.databases {
        let (name, port, password) = (server.name(), server.port(), server.password());
        line(format!("    mariadb -h 127.0.0.1 -P {port} -u owner -p{password} {name}"))?;
    }
    line("  Ctrl-C ends all of it and leaves nothing running.")
}
