//! Queries over the three services: how long each system takes, whether the answers are equal, and what Crossweave fetches
//! for it.

use std::time::Duration;

use mysql_async::prelude::Queryable;

use super::answers::{Rows, difference};
use super::measure::{Counter, Sent, forget_peak, geometric_mean, median, peak};
use super::queries::Query;
use super::report::{Report, one_line, progress, ratio, seconds};
use super::stage::Stage;
use super::systems::{Asked, Crossweave, Outcome};
use super::{Arguments, Result};

/// Seconds; what takes longer is asked three times only.
const SLOW: f64 = 10.0;

/// What takes longer by FEDERATED tables is asked once.
const SLOW_FEDERATED: f64 = 5.0;

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    Live,
    Cached,
    One,
    Federated,
}

impl System {
    fn title(self) -> &'static str {
        match self {
            Self::Live => "Crossweave",
            Self::Cached => "cached",
            Self::One => "one MariaDB",
            Self::Federated => "FEDERATED",
        }
    }
}

/// What one system has made of one query so far.
struct Tried {
    system: System,
    times: Vec<f64>,
    rows: Option<Rows>,
    late: Option<Duration>,
    failure: Option<String>,
    /// What the three servers have sent for it, each time.
    sent: Vec<Sent>,
}

impl Tried {
    fn new(system: System) -> Self {
        Self { system, times: Vec::new(), rows: None, late: None, failure: None, sent: Vec::new() }
    }

    /// Seconds, where it has answered each time.
    fn median(&self) -> Option<f64> {
        let answered = self.late.is_none() && self.failure.is_none();
        answered.then(|| median(self.times.clone())).flatten()
    }

    /// Whether it is asked once more.
    fn goes_on(&self, runs: usize) -> bool {
        let slowest = self.times.iter().copied().fold(0.0, f64::max);
        let most = match self.system {
            System::Federated if slowest > SLOW_FEDERATED => 1,
            _ if slowest > SLOW => runs.min(3),
            _ => runs,
        };
        self.late.is_none() && self.failure.is_none() && self.times.len() < most
    }

    /// Rows and bytes that the servers have sent, in the median.
    fn sent(&self) -> (Option<f64>, Option<f64>) {
        let of = |value: fn(&Sent) -> u64| median(self.sent.iter().map(|sent| value(sent) as f64).collect());
        (of(|sent| sent.rows), of(|sent| sent.bytes))
    }

    /// The cell of a table.
    fn time(&self, runs: usize) -> String {
        match (self.late, self.median()) {
            (Some(limit), _) => format!("> {} s", limit.as_secs()),
            (None, Some(median)) if self.times.len() < runs => {
                format!("{} ({}×)", seconds(median), self.times.len())
            }
            (None, Some(median)) => seconds(median),
            (None, None) => "failed".to_owned(),
        }
    }
}

/// The systems, ready to be asked.
pub(super) struct Comparison {
    crossweave: Crossweave,
    one: Asked,
    federated: Asked,
    services: Counter,
    systems: Vec<System>,
    runs: usize,
    limit: Duration,
    federated_limit: Duration,
}

impl Comparison {
    pub(super) async fn open(stage: &Stage, arguments: &Arguments) -> Result<Self> {
        let limit = Duration::from_secs(arguments.limit);
        let mut systems = vec![System::Live, System::One];
        if arguments.cached {
            progress("Crossweave loads its caches");
            systems.insert(1, System::Cached);
        }
        if stage.federated.is_some() {
            systems.push(System::Federated);
        }
        Ok(Self {
            crossweave: Crossweave::start(stage, limit, arguments.cached).await?,
            one: Asked::new(),
            federated: Asked::new(),
            services: Counter::of(&stage.servers.each_ref()).await?,
            systems,
            runs: arguments.runs,
            limit,
            federated_limit: Duration::from_secs(arguments.federated_limit).min(limit),
        })
    }

    /// The heading of a table of what [`Comparison::compare`] reports.
    fn report_heading(&self, with_minimum: bool, report: &mut Report) {
        let mut cells = vec!["query"];
        cells.extend(self.systems.iter().map(|system| system.title()));
        cells.extend(["against one MariaDB", "answers"]);
        cells.extend(with_minimum.then_some(["rows fetched", "minimum", "against it"]).into_iter().flatten());
        cells.extend(["rows sent", "KiB sent"]);
        cells.extend(with_minimum.then_some("minimum"));
        cells.push("peak MiB");
        report.line(&format!("| {} |", cells.join(" | ")));
        let rule = |cell: &&str| if matches!(*cell, "query" | "answers") { "---" } else { "--:" };
        report.line(&format!("| {} |", cells.iter().map(rule).collect::<Vec<_>>().join(" | ")));
    }

    /// Asks all queries and reports each once it is done, then what differs or failed, then the means. A query that cannot
    /// be asked leaves the others as they are.
    pub(super) async fn compare(&mut self, stage: &mut Stage, queries: &[Query], report: &mut Report) {
        self.report_heading(queries.iter().any(|query| !query.minimum.is_empty()), report);
        let (mut notes, mut against_one, mut against_federated) = (Vec::new(), Vec::new(), Vec::new());
        for query in queries {
            progress(query.name);
            let tried = match self.one_query(stage, query, &mut notes, report).await {
                Ok(tried) => tried,
                Err(error) => {
                    notes.push(format!("{}: not measured: {}", query.name, one_line(&error.to_string())));
                    continue;
                }
            };
            let median = |system| tried.iter().find(|tried| tried.system == system).and_then(Tried::median);
            let live = median(System::Live);
            against_one.extend(live.zip(median(System::One)).map(|(live, one)| live / one));
            against_federated.extend(live.zip(median(System::Federated)).map(|(live, other)| live / other));
        }
        report.line("");
        for note in &notes {
            report.line(&format!("- {note}"));
        }
        if !notes.is_empty() {
            report.line("");
        }
        for (other, ratios) in [("one MariaDB's", against_one), ("FEDERATED's", against_federated)] {
            if let Some(mean) = geometric_mean(&ratios) {
                let count = ratios.len();
                report.line(&format!(
                    "Geometric mean of Crossweave's time against {other}, of the {count} that both answer: {mean:.2}."
                ));
            }
        }
        report.line("");
    }

    /// Asks one query and reports it.
    async fn one_query(
        &mut self,
        stage: &mut Stage,
        query: &Query,
        notes: &mut Vec<String>,
        report: &mut Report,
    ) -> Result<Vec<Tried>> {
        let (tried, peak) = self.ask(stage, query).await?;
        let mut cells = vec![query.name.to_owned()];
        cells.extend(tried.iter().map(|tried| tried.time(self.runs)));
        let one = tried.iter().find(|tried| tried.system == System::One).and_then(Tried::median);
        cells.extend([ratio(tried[0].median(), one), verdict(query, &tried, notes)]);
        let least = match query.minimum.is_empty() {
            true => None,
            false => Some(minimum(stage, query).await?),
        };
        if let Some(least) = least {
            let fetched = self.crossweave.fetched(&query.sql).await;
            let rows = Some(least.rows as f64);
            cells.extend([whole(fetched), whole(rows), ratio(fetched, rows)]);
        }
        let (rows, bytes) = tried[0].sent();
        cells.extend([whole(rows), kibibytes(bytes)]);
        cells.extend(least.map(|least| kibibytes(Some(least.bytes as f64))));
        cells.push(peak.map_or_else(|| "–".to_owned(), |peak| peak.to_string()));
        report.line(&format!("| {} |", cells.join(" | ")));
        Ok(tried)
    }

    /// Asks all systems in turns; with the most memory that Crossweave held meanwhile.
    async fn ask(&mut self, stage: &mut Stage, query: &Query) -> Result<(Vec<Tried>, Option<u64>)> {
        let mut tried: Vec<Tried> = self.systems.iter().map(|system| Tried::new(*system)).collect();
        let process = self.crossweave.process();
        process.into_iter().for_each(forget_peak);
        for _ in 0..self.runs {
            for at in 0..tried.len() {
                if !tried[at].goes_on(self.runs) {
                    continue;
                }
                // Who is twice as slow has lost, however long it goes on.
                let slowest = tried[0].times.iter().copied().fold(0.0, f64::max);
                let federated_limit = self.federated_limit.max(Duration::from_secs_f64((2.0 * slowest).ceil()));
                let before = self.services.read().await?;
                let outcome = match tried[at].system {
                    System::Live => self.crossweave.ask(&query.sql, "live").await,
                    System::Cached => self.crossweave.ask(&query.sql, "cached").await,
                    System::One => self.one.ask(&mut stage.one, &query.sql, self.limit).await?,
                    System::Federated => match &mut stage.federated {
                        Some(federated) => {
                            self.federated.ask(federated.server(), &query.sql, federated_limit).await?
                        }
                        None => Outcome::Failed("it does not run".to_owned()),
                    },
                };
                let sent = self.services.since(before).await?;
                tried[at].take(outcome, sent);
            }
        }
        let peak = process.and_then(peak);
        self.crossweave.revive().await?;
        Ok((tried, peak))
    }
}

impl Tried {
    fn take(&mut self, outcome: Outcome, sent: Sent) {
        match outcome {
            Outcome::Answered(rows, took) => {
                self.times.push(took.as_secs_f64());
                self.sent.push(sent);
                // The first one stands for all: what changes between runs is found against the others.
                self.rows.get_or_insert(rows);
            }
            Outcome::Late(limit) => self.late = Some(limit),
            Outcome::Failed(reason) => self.failure = Some(reason),
        }
    }
}

/// Whether all that answer say the same as the one MariaDB; what not is added to `notes`.
fn verdict(query: &Query, tried: &[Tried], notes: &mut Vec<String>) -> String {
    let expected = tried.iter().find(|tried| tried.system == System::One).and_then(|one| one.rows.as_ref());
    let mut words = Vec::new();
    for tried in tried {
        let who = tried.system.title();
        if let Some(reason) = &tried.failure {
            words.push(format!("{who} fails"));
            notes.push(format!("{}: {who} fails: {}", query.name, one_line(reason)));
        }
        if let (Some(expected), Some(rows)) = (expected, &tried.rows)
            && let Some(difference) = difference(query, expected, rows)
        {
            words.push(format!("{who} DIFFERS"));
            notes.push(format!("{}: {who} differs: {}", query.name, one_line(&difference)));
        }
    }
    match (words.is_empty(), expected) {
        (false, _) => words.join(", "),
        (true, None) => "not compared".to_owned(),
        (true, Some(expected)) if tried[0].rows.is_some() => match expected.len() {
            1 => "equal, 1 row".to_owned(),
            rows => format!("equal, {rows} rows"),
        },
        (true, Some(_)) => "no answer".to_owned(),
    }
}

/// What the one MariaDB sends when it is asked for what each service has to give at least.
async fn minimum(stage: &Stage, query: &Query) -> Result<Sent> {
    let mut counter = Counter::of(&[&stage.one]).await?;
    let mut connection = stage.one.connect(None).await?;
    let before = counter.read().await?;
    for statement in &query.minimum {
        connection.exec_iter(statement, ()).await?.drop_result().await?;
    }
    let sent = counter.since(before).await?;
    connection.disconnect().await?;
    Ok(sent)
}

fn whole(number: Option<f64>) -> String {
    number.map_or_else(|| "–".to_owned(), |number| format!("{number:.0}"))
}

fn kibibytes(bytes: Option<f64>) -> String {
    whole(bytes.map(|bytes| (bytes / 1024.0).ceil()))
}
