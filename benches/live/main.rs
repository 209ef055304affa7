//! Live tables beside their floors and beside what others do: TPC-H over three MariaDB servers, the same in one, and by
//! FEDERATED tables. `make bench-live`, or `cargo bench --bench live -- --help`.
//!
//! Why can the figures be compared? All of it is one run on one machine: those that are compared take turns, the medians
//! are shown, each beside its floor. What differs in its answer, fails, or is not there to be measured is shown as that.
//!
//! Everything runs in a folder that goes with this process, however it ends, and so do the servers (`demo::process`).

use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

mod answers;
mod joins;
mod measure;
mod peers;
mod queries;
mod reading;
mod report;
mod stage;
mod systems;
mod tables;

use report::{Report, progress};
use stage::Stage;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// TPC-H over three MariaDB servers, read live: beside the client library, ConnectorX, one MariaDB and FEDERATED tables.
#[derive(Debug, Parser)]
#[command(name = "bench-live")]
struct Arguments {
    /// The scale: 1 are 6 million rows of `lineitem`.
    #[arg(default_value_t = 1.0, value_parser = scale)]
    scale: f64,
    /// How often each is measured; the medians are shown.
    #[arg(long, default_value_t = 5, value_parser = runs)]
    runs: usize,
    /// Seconds that a query may take.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=100))]
    limit: u64,
    /// Seconds that a query may take by FEDERATED tables, or twice as many as by Crossweave.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=100))]
    federated_limit: u64,
    /// Only some parts.
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<Section>,
    /// Only some queries, by name: Q1,"by key".
    #[arg(long, value_delimiter = ',')]
    query: Vec<String>,
    /// Have Crossweave cache all tables as well, and show what it answers from there.
    #[arg(long)]
    cached: bool,
    /// Leave FEDERATED tables out.
    #[arg(long)]
    without_federated: bool,
    /// Write what is found to `benches/RESULTS.md`.
    #[arg(long)]
    write: bool,
    /// Cargo adds it.
    #[arg(long, hide = true)]
    bench: bool,
}

/// A part of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Section {
    /// A table into Arrow.
    Reading,
    /// The joins over three services.
    Joins,
    /// The 22 queries.
    Tpch,
}

fn runs(text: &str) -> std::result::Result<usize, String> {
    match text.parse::<usize>() {
        Ok(runs) if (1..=1000).contains(&runs) => Ok(runs),
        _ => Err("expected a number from 1 to 1000".to_owned()),
    }
}

fn scale(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(scale) if (0.001..=100.0).contains(&scale) => Ok(scale),
        _ => Err("expected a number from 0.001 to 100".to_owned()),
    }
}

impl Arguments {
    fn has(&self, section: Section) -> bool {
        self.only.is_empty() || self.only.contains(&section)
    }

    /// Those that were asked for.
    fn chosen(&self, queries: Vec<queries::Query>) -> Vec<queries::Query> {
        let chosen = |query: &queries::Query| {
            self.query.is_empty() || self.query.iter().any(|name| name.eq_ignore_ascii_case(query.name))
        };
        queries.into_iter().filter(chosen).collect()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &Arguments) -> Result {
    let mut stage = Stage::open(arguments.scale, !arguments.without_federated).await?;
    let mut report = Report::default();
    report.header(arguments.scale, &stage.one).await?;
    let measured = measure(arguments, &mut stage, &mut report).await;
    if let Err(error) = &measured {
        report.line(&format!("Ended early: {}", report::one_line(&error.to_string())));
    }
    if arguments.write {
        report.write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/RESULTS.md"))?;
    }
    measured
}

async fn measure(arguments: &Arguments, stage: &mut Stage, report: &mut Report) -> Result {
    if arguments.has(Section::Reading)
        && let Err(error) = reading::compare(stage, arguments.runs, report).await
    {
        // The joins may be measured all the same.
        report.line(&format!("Not measured: {}", report::one_line(&error.to_string())));
        report.line("");
    }
    if !arguments.has(Section::Joins) && !arguments.has(Section::Tpch) {
        return Ok(());
    }
    progress("starting Crossweave");
    let mut comparison = joins::Comparison::open(stage, arguments).await?;
    let queries = arguments.chosen(queries::joins());
    if arguments.has(Section::Joins) && !queries.is_empty() {
        report.line("### P10: joins over three services");
        report.line("");
        report.line(
            "Seconds, medians of runs in turns, of statements over HTTP. Rows fetched are those of tables, as EXPLAIN \
             ANALYZE counts them; sent is all that left the three servers, by their own counters, what planning asks \
             included. The minimum is of the semi-joins in `benches/live/joins.sql`. Goals: rows ≤ 1.2 of the minimum, \
             never slower than FEDERATED, by key within 5 of one MariaDB.",
        );
        report.line("");
        comparison.compare(stage, &queries, report).await;
    }
    let queries = arguments.chosen(queries::tpch(arguments.scale));
    if arguments.has(Section::Tpch) && !queries.is_empty() {
        report.line("### P10: the 22 queries of TPC-H");
        report.line("");
        comparison.compare(stage, &queries, report).await;
    }
    Ok(())
}
