//! A whole table read live into Arrow, beside its floor: the same statement drained by the plain client library,
//! nothing decoded. Both through one connection, in turns, in one run.
//!
//! `cargo bench --bench live [ROWS]`. Prints, for each, wall time and this process's CPU time, as minimum and
//! median over the rounds, and the ratio of the medians.

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossweave::demo::database::ServiceDatabase;
use crossweave::demo::mariadb::{MariaDb, MariaDbOptions};
use crossweave::demo::process::Sandbox;
use crossweave_contract::{BooleanColumns, RemoteQuery, Secret, ServiceName, Source, SourceId, TableDef};
use crossweave_mariadb::{Limits, MariaDbSource, Password, SourceOptions};
use futures::TryStreamExt;
use mysql_async::prelude::Queryable;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error>>;

const ROUNDS: usize = 7;
const ROWS: u64 = 500_000;
/// Bytes that the view may keep for a slow reader; this one is not slow.
const BUFFER: usize = 256 << 20;

/// A line of an order, as TPC-H has it.
const LINES: &str = "CREATE TABLE order_lines (
  order_id BIGINT UNSIGNED NOT NULL, line INT NOT NULL, item_id BIGINT UNSIGNED NOT NULL,
  quantity DECIMAL(12,2) NOT NULL, price DECIMAL(12,2) NOT NULL, status CHAR(1) NOT NULL,
  shipped DATE NOT NULL, changed DATETIME(6) NOT NULL, note VARCHAR(44) NULL,
  PRIMARY KEY (order_id, line))";

fn fill(rows: u64) -> String {
    format!(
        "INSERT INTO order_lines SELECT seq DIV 4, seq % 4, seq * 7 % 10007, seq % 50 + 1, seq % 100000 / 100,
         ELT(seq % 3 + 1, 'N', 'R', 'A'), '2020-01-01' + INTERVAL seq % 2500 DAY,
         '2020-01-01' + INTERVAL seq * 1000003 MICROSECOND, IF(seq % 5 = 0, NULL, CONCAT('carefully packed ', seq))
         FROM seq_1_to_{rows}"
    )
}

/// Wall and CPU time of each round.
#[derive(Default)]
struct Times {
    wall: Vec<Duration>,
    cpu: Vec<Duration>,
}

impl Times {
    async fn round(&mut self, expected: u64, work: impl Future<Output = Result<u64>>) -> Result {
        let (wall, cpu) = (Instant::now(), cpu_time()?);
        let rows = work.await?;
        self.wall.push(wall.elapsed());
        self.cpu.push(cpu_time()? - cpu);
        if rows != expected {
            return Err(format!("expected {expected} rows, found {rows}").into());
        }
        Ok(())
    }

    fn line(&mut self, what: &str) -> String {
        let mut line = format!("{what:<44}");
        for (name, times) in [("wall", &mut self.wall), ("CPU", &mut self.cpu)] {
            times.sort();
            let (least, median) = (times[0].as_secs_f64(), times[times.len() / 2].as_secs_f64());
            let _ = write!(line, "  {name} {least:.3} s, median {median:.3} s");
        }
        line
    }
}

/// CPU time of this process so far, threads included: fields 14 and 15 of `/proc/self/stat`, in ticks of 10 ms.
fn cpu_time() -> Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(") ").ok_or("/proc/self/stat has no name")?.1;
    let ticks: u64 = after_name.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Ok(Duration::from_millis(ticks * 10))
}

async fn floor(database: &ServiceDatabase) -> Result<u64> {
    let mut connection = database.connect().await?;
    let mut rows = 0;
    let mut result = connection.exec_iter("SELECT * FROM order_lines", ()).await?;
    result.for_each(|_| rows += 1).await?;
    drop(result);
    connection.disconnect().await?;
    Ok(rows)
}

async fn into_arrow(source: &dyn Source, def: &Arc<TableDef>) -> Result<u64> {
    let view = source.open_view(Duration::from_secs(600), BUFFER.into()).await?;
    let mut rows = 0;
    let mut batches = view.scan(RemoteQuery::whole(Arc::clone(def)));
    while let Some(batch) = batches.try_next().await? {
        rows += batch.num_rows() as u64;
    }
    Ok(rows)
}

#[tokio::main]
async fn main() -> Result {
    // Cargo adds `--bench`.
    let rows = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(ROWS);
    let sandbox = Sandbox::temporary("crossweave-bench")?;
    let server = MariaDb::start(&sandbox, MariaDbOptions::new("orders", 1)).await?;
    let database = ServiceDatabase::create(&server, "orders", "orders").await?;
    database.execute(LINES).await?;
    database.execute(&fill(rows)).await?;

    let id = SourceId::from("orders");
    let source = MariaDbSource::new(SourceOptions {
        id,
        services: vec!["orders".into()],
        host: "127.0.0.1".to_owned(),
        port: server.port(),
        user: "owner".to_owned(),
        password: Password::Fixed(Secret::new(server.password())),
        tls: None,
        connect_timeout: Duration::from_secs(5),
        limits: Limits { connections: 2, ..Limits::default() },
        server_id: None,
        replicas: Vec::new(),
        replica_lag: Duration::from_secs(1),
    });
    let service = ServiceName::from("orders");
    let tables = source.tables(&service, "orders", &BooleanColumns::default()).await?.tables;
    let def = Arc::new(tables.into_iter().next().ok_or("the table is not there")?);

    let (mut plain, mut arrow) = (Times::default(), Times::default());
    for round in 0..=ROUNDS {
        if round == 1 {
            // The first one warms both up.
            (plain, arrow) = (Times::default(), Times::default());
        }
        plain.round(rows, floor(&database)).await?;
        arrow.round(rows, into_arrow(&source, &def)).await?;
    }
    let lines = [
        format!("{rows} rows of 9 columns, {ROUNDS} rounds in turns, MariaDB on this machine"),
        plain.line("floor: mysql_async drains, nothing decoded"),
        arrow.line("Crossweave: a view's scan, into Arrow"),
        format!(
            "rate of the floor that is reached: {:.2}; CPU against the floor's: {:.2}",
            plain.wall[ROUNDS / 2].as_secs_f64() / arrow.wall[ROUNDS / 2].as_secs_f64(),
            arrow.cpu[ROUNDS / 2].as_secs_f64() / plain.cpu[ROUNDS / 2].as_secs_f64().max(0.01)
        ),
    ];
    print(&lines);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what the benchmark is for")]
fn print(lines: &[String]) {
    for line in lines {
        println!("{line}");
    }
}
