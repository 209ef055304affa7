//! A whole table into Arrow, by one connection and by two, beside what only drains it and what others do.

use std::ops::AsyncFnMut;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossweave_contract::{
    BooleanColumns, RemoteQuery, ScanWork, Secret, ServiceName, Source, SourceId, TableDef,
};
use crossweave_mariadb::{Limits, MariaDbSource, Password, SourceOptions};
use futures::TryStreamExt;
use mysql_async::prelude::Queryable;

use super::Result;
use super::measure::{Sample, Samples, cpu_time};
use super::peers::{ConnectorX, Drain};
use super::report::{Report, one_line, progress, ratio, seconds};
use super::stage::Stage;

const DATABASE: &str = "orders";
const TABLE: &str = "lineitem";
const KEY: &str = "l_orderkey";
/// Bytes that a view may keep for a slow reader; this one is not slow.
const BUFFER: usize = 256 << 20;

/// One way to read the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Floor,
    Plain,
    Crossweave,
    ConnectorX,
}

/// All ways, with the connections of each, in the order in which they take turns.
const WAYS: [(Way, usize); 7] = [
    (Way::Floor, 1),
    (Way::Crossweave, 1),
    (Way::Plain, 1),
    (Way::ConnectorX, 1),
    (Way::Floor, 2),
    (Way::Crossweave, 2),
    (Way::ConnectorX, 2),
];

impl Way {
    fn title(self) -> &'static str {
        match self {
            Self::Floor => "F1: MariaDB's client library drains, nothing decoded",
            Self::Plain => "mysql_async drains, values decoded, no Arrow",
            Self::Crossweave => "Crossweave: a view's scan, into Arrow",
            Self::ConnectorX => "ConnectorX, into Arrow",
        }
    }
}

/// Whatever reads the table.
struct Readers<'a> {
    stage: &'a Stage,
    drain: Result<Drain>,
    connectorx: Result<ConnectorX>,
    rows: u64,
    /// About in the middle of the keys.
    middle: u64,
    /// By number of connections, from one on.
    sources: [(MariaDbSource, Arc<TableDef>); 2],
}

/// Measures all ways in turns, and reports them.
pub(super) async fn compare(stage: &Stage, runs: usize, report: &mut Report) -> Result {
    let readers = Readers::open(stage).await?;
    report.line("### P1: `lineitem` into Arrow");
    report.line("");
    report.line(&format!("{} rows, {runs} runs of each in turns; CPU is the reading process's.", readers.rows));
    if let Ok(connectorx) = &readers.connectorx {
        report.line(&format!("ConnectorX is {}.", connectorx.version));
    }
    report.line("");
    let mut measured = WAYS.map(|_| (Samples::default(), None::<String>));
    for run in 1..=runs {
        progress(&format!("{TABLE} into Arrow, run {run} of {runs}"));
        for ((way, connections), (samples, failure)) in WAYS.iter().zip(&mut measured) {
            // What has failed once is not there, or does not get better.
            if failure.is_none() {
                match readers.run(*way, *connections).await {
                    Ok(sample) => samples.push(sample),
                    Err(error) => *failure = Some(error.to_string()),
                }
            }
        }
    }
    report.line("| reader | connections | seconds, median | least to most | CPU seconds |");
    report.line("| --- | --: | --: | --: | --: |");
    for ((way, connections), (samples, failure)) in WAYS.iter().zip(&measured) {
        let title = way.title();
        report.line(&match (failure, samples.wall(), samples.cpu(), samples.range()) {
            (None, Some(wall), Some(cpu), Some((least, most))) => {
                let (wall, cpu, least, most) = (seconds(wall), seconds(cpu), seconds(least), seconds(most));
                format!("| {title} | {connections} | {wall} | {least} to {most} | {cpu} |")
            }
            (failure, ..) => {
                let why = one_line(failure.as_deref().unwrap_or("no runs"));
                format!("| {title} | {connections} | not measured: {why} | | |")
            }
        });
    }
    report.line("");
    report_ratios(&measured.map(|(samples, failure)| failure.is_none().then_some(samples)), report);
    Ok(())
}

/// The ratios for which there are goals.
fn report_ratios(measured: &[Option<Samples>], report: &mut Report) {
    let of = |way: Way, connections: usize| {
        let at = WAYS.iter().position(|known| *known == (way, connections))?;
        measured[at].as_ref()
    };
    let wall = |way, connections| of(way, connections)?.wall();
    let cpu = |way, connections| of(way, connections)?.cpu();
    let (ours, floor, other) = (Way::Crossweave, Way::Floor, Way::ConnectorX);
    report.line("| Crossweave | found | goal |");
    report.line("| --- | --: | --: |");
    for (what, above, below, goal) in [
        ("one connection: rate, of F1's", wall(floor, 1), wall(ours, 1), "≥ 0.95"),
        ("one connection: rate, of ConnectorX's", wall(other, 1), wall(ours, 1), "≥ 1.6"),
        ("two connections: rate, of two F1s'", wall(floor, 2), wall(ours, 2), "≥ 0.8"),
        ("two connections: rate, of ConnectorX's with two partitions", wall(other, 2), wall(ours, 2), "≥ 1.9"),
        ("one connection: CPU time, of F1's", cpu(ours, 1), cpu(floor, 1), "≤ 2.5"),
        ("one connection: CPU time, of ConnectorX's", cpu(ours, 1), cpu(other, 1), "≤ 0.33"),
        ("two connections: CPU time, of F1's", cpu(ours, 2), cpu(floor, 2), "≤ 2.5"),
        ("two connections: CPU time, of ConnectorX's", cpu(ours, 2), cpu(other, 2), "≤ 0.33"),
    ] {
        report.line(&format!("| {what} | {} | {goal} |", ratio(above, below)));
    }
    report.line("");
}

impl<'a> Readers<'a> {
    async fn open(stage: &'a Stage) -> Result<Self> {
        let mut connection = stage.databases[1].connect().await?;
        let count = format!("SELECT COUNT(*), MAX({KEY}) DIV 2 FROM {TABLE}");
        let (rows, middle) = connection.query_first(count).await?.ok_or("no answer to a count")?;
        connection.disconnect().await?;
        Ok(Self {
            stage,
            drain: Drain::build(&stage.sandbox).await,
            connectorx: ConnectorX::find().await,
            rows,
            middle,
            sources: [source(stage, 1).await?, source(stage, 2).await?],
        })
    }

    async fn run(&self, way: Way, connections: usize) -> Result<Sample> {
        let server = &self.stage.servers[1];
        let whole = format!("SELECT * FROM {TABLE}");
        let middle = self.middle;
        let (rows, sample) = match way {
            Way::Floor => {
                let statements = match connections {
                    1 => vec![whole],
                    _ => ["<", ">="].map(|side| format!("{whole} WHERE {KEY} {side} {middle}")).into(),
                };
                let drain = self.drain.as_ref().map_err(ToString::to_string)?;
                drain.run(server, DATABASE, &statements).await?
            }
            Way::Plain => timed(async || self.plain(&whole).await).await?,
            Way::Crossweave => timed(async || self.read_to_arrow(connections).await).await?,
            Way::ConnectorX => {
                let connectorx = self.connectorx.as_ref().map_err(ToString::to_string)?;
                connectorx.run(server, DATABASE, (TABLE, KEY), connections).await?
            }
        };
        match rows == self.rows {
            true => Ok(sample),
            false => Err(format!("expected {} rows, found {rows}", self.rows).into()),
        }
    }

    async fn plain(&self, statement: &str) -> Result<u64> {
        let mut connection = self.stage.databases[1].connect().await?;
        let mut rows = 0;
        let mut result = connection.exec_iter(statement, ()).await?;
        result.for_each(|_| rows += 1).await?;
        drop(result);
        connection.disconnect().await?;
        Ok(rows)
    }

    async fn read_to_arrow(&self, connections: usize) -> Result<u64> {
        let (source, def) = &self.sources[connections - 1];
        let view = source.open_view(Duration::from_secs(600), BUFFER.into()).await?;
        let (query, work) = (RemoteQuery::whole(Arc::clone(def)), Arc::new(ScanWork::default()));
        view.prepare(&query).await;
        let mut rows = 0;
        let mut batches = view.scan_counted(query, Arc::clone(&work));
        while let Some(batch) = batches.try_next().await? {
            rows += batch.num_rows() as u64;
        }
        // Small tables are not split, and a split that was not made must not be shown as one.
        match work.connections.load(Ordering::Relaxed) {
            taken if taken == connections as u64 => Ok(rows),
            taken => {
                Err(format!("{taken} connection(s) read it, not {connections}; small tables are not split")
                    .into())
            }
        }
    }
}

async fn timed(mut work: impl AsyncFnMut() -> Result<u64>) -> Result<(u64, Sample)> {
    let (wall, cpu) = (Instant::now(), cpu_time()?);
    let rows = work().await?;
    Ok((rows, Sample { wall: wall.elapsed(), cpu: cpu_time()? - cpu }))
}

/// The orders' server for queries that may read over so many connections, and its largest table.
async fn source(stage: &Stage, connections: usize) -> Result<(MariaDbSource, Arc<TableDef>)> {
    let server = &stage.servers[1];
    let source = MariaDbSource::new(SourceOptions {
        id: SourceId::from(DATABASE),
        services: vec![DATABASE.into()],
        host: "127.0.0.1".to_owned(),
        port: server.port(),
        user: crossweave::demo::mariadb::OWNER.to_owned(),
        password: Password::Fixed(Secret::new(server.password())),
        tls: None,
        connect_timeout: Duration::from_secs(5),
        limits: Limits {
            connections_per_query: connections,
            rows_examined: u64::MAX,
            time: Duration::from_secs(600),
            ..Limits::default()
        },
        server_id: None,
        replicas: Vec::new(),
        replica_lag: Duration::from_secs(1),
    });
    let tables =
        source.tables(&ServiceName::from(DATABASE), DATABASE, &BooleanColumns::default()).await?.tables;
    let def = tables.into_iter().find(|def| &*def.id.table == TABLE).ok_or("the table is not there")?;
    Ok((source, Arc::new(def)))
}
