//! Asking: each statement in every way, and in the one MariaDB; what comes of it; and the smallest query that shows a
//! difference.

use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::answers::{Cell, Rows, Weights, cell, equal, same_row, texts};
use super::ast::{Query, Type};
use super::case::Case;
use super::shrink;
use crate::support::{Failure, TestResult};

/// The routes, as what is set for them. Tables of `far` are on another server, and one of them has no cache, so that
/// nothing but `auto` reads all that is cached.
const ROUTES: &[(&str, &[&str])] = &[
    ("live", &["SET crossweave.route = 'live'"]),
    ("cached", &["SET crossweave.route = 'auto'"]),
    ("mixed, left live", &["SET crossweave.route = 'auto'", "SET crossweave.route.left = 'live'"]),
    ("mixed, left cached", &["SET crossweave.route = 'live'", "SET crossweave.route.left = 'auto'"]),
];

/// How much is pushed down: a name, and what is set for it. Every route that reads live runs under each of these.
const PUSHDOWN: &[(&str, Option<&str>)] = &[
    ("all", None),
    ("none", Some("SET crossweave.pushdown = 'none'")),
    ("filters alone", Some("SET crossweave.pushdown = 'filter'")),
    ("joins alone", Some("SET crossweave.pushdown = 'join'")),
    ("aggregates alone", Some("SET crossweave.pushdown = 'aggregate,projection'")),
    ("unions, groups and limits", Some("SET crossweave.pushdown = 'union,aggregate,limit'")),
    ("sorts and limits alone", Some("SET crossweave.pushdown = 'sort,limit'")),
    ("bind joins alone", Some("SET crossweave.pushdown = 'bind'")),
    ("all but joins", Some("SET crossweave.pushdown = 'filter,projection,aggregate,sort,limit'")),
];

/// Answers with more rows are not compared: a query too wide takes the time of a hundred others.
const MOST_ROWS: usize = 3_000;

/// How many candidates are tried for one difference.
const MOST_TRIES: usize = 600;

/// A session of Crossweave's under one route and one setting.
struct Way {
    name: String,
    /// Of [`ROUTES`].
    route: usize,
    /// Of [`PUSHDOWN`].
    pushdown: usize,
    settings: Vec<&'static str>,
    client: tokio_postgres::Client,
}

pub(super) struct Asker {
    port: u16,
    ways: Vec<Way>,
    oracle: Conn,
    weights: Weights,
}

#[derive(Clone, Debug)]
enum Outcome {
    Rows(Rows),
    Refused { code: String, message: String },
}

/// What a difference is between: a way, and another one or, if that is none, the oracle.
#[derive(Clone, Copy)]
struct Between {
    way: usize,
    other: Option<usize>,
}

pub(super) enum Verdict {
    Agreed,
    /// Agreed, but MariaDB had nothing to say: why.
    Unjudged(String),
    /// In words, on every route.
    Refused(String),
    /// A description.
    Different(String),
}

enum Judgement {
    Settled(Verdict),
    Different(Between, String),
}

impl Asker {
    /// `database` is the one that has all tables.
    ///
    /// MariaDB is told to do as it is asked. Else it sorts long texts by their beginning, gives a value where an outer
    /// join has no row (`x IS TRUE` of a derived table), and does not find the NULL in what IN compares with.
    pub(super) async fn connect(port: u16, mut oracle: Conn, database: &str) -> TestResult<Self> {
        let settings = "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci, time_zone = '+00:00', max_statement_time = 5, \
            sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES', group_concat_max_len = 1000000, max_sort_length = 100000, \
            optimizer_switch = 'derived_merge=off,materialization=off,subquery_cache=off'";
        oracle.query_drop(settings).await?;
        oracle.query_drop(format!("USE {database}")).await?;
        let mut ways = Vec::new();
        for (at, (route, settings)) in ROUTES.iter().enumerate() {
            for (index, (pushdown, setting)) in PUSHDOWN.iter().enumerate() {
                if *route == "cached" && index > 0 {
                    continue;
                }
                let settings: Vec<_> = settings.iter().copied().chain(*setting).collect();
                let client = session(port, &settings).await?;
                let name = format!("{route}, push-down {pushdown}");
                ways.push(Way { name, route: at, pushdown: index, settings, client });
            }
        }
        Ok(Self { port, ways, oracle, weights: Weights::new() })
    }

    /// Runs a query in each way of its turn; a difference is made small first.
    pub(super) async fn query(&mut self, query: &Query, turn: u64) -> TestResult<Verdict> {
        let ways = self.of_turn(turn);
        match self.judge(&Case::of(query), &ways).await? {
            Judgement::Settled(verdict) => Ok(verdict),
            Judgement::Different(between, found) => {
                let (small, smaller) = self.smallest(query.clone(), between, found.clone()).await?;
                let (small, whole) = (Case::of(&small), Case::of(query).ours);
                // What is small may be another difference of the same kind.
                Ok(Verdict::Different(format!("{smaller}\n{small}\n-- made small from\n{found}\n{whole}")))
            }
        }
    }

    /// Runs a case in every way.
    pub(super) async fn case(&mut self, case: &Case) -> TestResult<Verdict> {
        let ways: Vec<usize> = (0..self.ways.len()).collect();
        Ok(match self.judge(case, &ways).await? {
            Judgement::Settled(verdict) => verdict,
            Judgement::Different(_, found) => Verdict::Different(format!("{found}\n{case}")),
        })
    }

    /// The ways of a query: live, cached and one of the mixed routes under the first setting of push-down, and one that
    /// reads live under one of the others, in turn; with `PARITY_WAYS=all`, all.
    fn of_turn(&self, turn: u64) -> Vec<usize> {
        let turn = usize::try_from(turn).unwrap_or_default();
        let mixed = 2 + turn % 2;
        let others = PUSHDOWN.len() - 1;
        let other = |way: &Way| {
            others > 0 && way.pushdown == 1 + turn / 4 % others && way.route == [0, mixed][turn / 2 % 2]
        };
        let all = std::env::var("PARITY_WAYS").is_ok_and(|ways| ways == "all");
        let fits =
            |way: &Way| all || (way.pushdown == 0 && (way.route < 2 || way.route == mixed)) || other(way);
        (0..self.ways.len()).filter(|way| fits(&self.ways[*way])).collect()
    }

    async fn judge(&mut self, case: &Case, ways: &[usize]) -> TestResult<Judgement> {
        let expected = match &case.theirs {
            Some(theirs) => self.theirs(theirs, case).await,
            None => Err("it has nothing that means the same".to_owned()),
        };
        if expected.as_ref().is_ok_and(|rows| rows.len() > MOST_ROWS)
            || expected.as_ref().is_err_and(|error| error.contains("max_statement_time"))
        {
            return Ok(Judgement::Settled(Verdict::Unjudged("too many rows".to_owned())));
        }
        let mut outcomes = Vec::new();
        for way in ways {
            outcomes.push((*way, self.ours(*way, case).await?));
        }
        let answers = outcomes.iter().filter_map(|(_, outcome)| outcome.rows());
        self.weigh(answers.chain(expected.as_ref().ok()), case).await?;
        let expected = expected.as_ref();
        if let Some((between, found)) = self.difference(case, &outcomes, expected.ok()) {
            return Ok(Judgement::Different(between, found));
        }
        Ok(Judgement::Settled(match (&outcomes[0].1, expected) {
            (Outcome::Refused { message, .. }, Err(_)) => {
                Verdict::Unjudged(format!("refused here as there: {message}"))
            }
            (Outcome::Refused { message, .. }, Ok(_)) => Verdict::Refused(message.clone()),
            (Outcome::Rows(_), Err(error)) => Verdict::Unjudged(error.clone()),
            (Outcome::Rows(_), Ok(_)) => Verdict::Agreed,
        }))
    }

    fn difference(
        &self,
        case: &Case,
        outcomes: &[(usize, Outcome)],
        expected: Option<&Rows>,
    ) -> Option<(Between, String)> {
        for (way, outcome) in outcomes {
            if let Outcome::Refused { code, message } = outcome
                && is_fault(code, message)
            {
                let found = format!("{} fails with {code}: {message}", self.ways[*way].name);
                return Some((Between { way: *way, other: None }, found));
            }
        }
        let (first, first_outcome) = outcomes.first()?;
        for (way, outcome) in outcomes {
            let name = &self.ways[*way].name;
            match (outcome, first_outcome) {
                (Outcome::Rows(rows), _) => {
                    if let Some(expected) = expected.filter(|expected| !self.equal(rows, expected, case)) {
                        let found = format!(
                            "{name}: {}\nMariaDB: {}",
                            only(rows, expected, case),
                            only(expected, rows, case)
                        );
                        return Some((Between { way: *way, other: None }, found));
                    }
                    if let Outcome::Rows(others) = first_outcome
                        && !self.equal(rows, others, case)
                    {
                        let other = &self.ways[*first].name;
                        let found = format!(
                            "{name}: {}\n{other}: {}",
                            only(rows, others, case),
                            only(others, rows, case)
                        );
                        return Some((Between { way: *way, other: Some(*first) }, found));
                    }
                }
                (Outcome::Refused { message, .. }, Outcome::Rows(_)) => {
                    let found = format!("{name} refuses, {} does not: {message}", self.ways[*first].name);
                    return Some((Between { way: *way, other: Some(*first) }, found));
                }
                (Outcome::Refused { .. }, Outcome::Refused { .. }) => {}
            }
            if let (Outcome::Rows(_), Outcome::Refused { message, .. }) = (outcome, first_outcome) {
                let found = format!("{} refuses, {name} does not: {message}", self.ways[*first].name);
                return Some((Between { way: *way, other: Some(*first) }, found));
            }
        }
        None
    }

    fn equal(&self, a: &Rows, b: &Rows, case: &Case) -> bool {
        equal(a, b, &case.outputs, case.ordered, case.limited, &self.weights)
    }

    async fn smallest(
        &mut self,
        mut query: Query,
        between: Between,
        mut found: String,
    ) -> TestResult<(Query, String)> {
        let ways: Vec<usize> = between.other.into_iter().chain([between.way]).collect();
        let kind = kind(&found).to_owned();
        let mut tries = 0;
        'smaller: loop {
            for candidate in shrink::queries(&query) {
                tries += 1;
                if tries > MOST_TRIES {
                    break 'smaller;
                }
                if let Judgement::Different(_, now) = self.judge(&Case::of(&candidate), &ways).await?
                    && self::kind(&now) == kind
                {
                    (query, found) = (candidate, now);
                    continue 'smaller;
                }
            }
            break;
        }
        Ok((query, found))
    }

    async fn ours(&mut self, way: usize, case: &Case) -> TestResult<Outcome> {
        if self.ways[way].client.is_closed() {
            self.ways[way].client = session(self.port, &self.ways[way].settings).await?;
        }
        let messages = match self.ways[way].client.simple_query(&case.ours).await {
            Ok(messages) => messages,
            Err(error) => return Ok(refused(&error)),
        };
        let mut rows = Vec::new();
        for message in messages {
            if let SimpleQueryMessage::Row(row) = message {
                if row.len() != case.outputs.len() {
                    return Err(Failure::from(format!("{} columns instead of {case}", row.len())));
                }
                let cells = case.outputs.iter().enumerate().map(|(at, output)| cell(row.get(at), output.ty));
                rows.push(cells.collect());
            }
        }
        Ok(Outcome::Rows(rows))
    }

    async fn theirs(&mut self, sql: &str, case: &Case) -> Result<Rows, String> {
        let found: Vec<mysql_async::Row> = self.oracle.query(sql).await.map_err(|error| error.to_string())?;
        let text = |value: Value, ty| match value {
            Value::NULL => None,
            Value::Bytes(bytes) if ty == Type::Bytes => {
                Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
            }
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            other => Some(other.as_sql(true)),
        };
        let cells = |row: mysql_async::Row| {
            let values = row.unwrap().into_iter().zip(&case.outputs);
            values.map(|(value, output)| cell(text(value, output.ty).as_deref(), output.ty)).collect()
        };
        Ok(found.into_iter().map(cells).collect())
    }

    /// Learns the weights of the texts of some answers, where it matters.
    async fn weigh<'a>(&mut self, answers: impl Iterator<Item = &'a Rows>, case: &Case) -> TestResult {
        if !case.ordered && !case.outputs.iter().any(|output| output.loose) {
            return Ok(());
        }
        for (text, collation) in texts(answers, &case.outputs, &self.weights) {
            let charset = collation.split('_').next().unwrap_or_default();
            let padded = if collation.contains("nopad") { &text } else { text.trim_end_matches(' ') };
            let sql = format!("SELECT HEX(WEIGHT_STRING(CONVERT(? USING {charset}) COLLATE {collation}))");
            let weight: Option<Option<String>> = self.oracle.exec_first(sql, (padded,)).await?;
            self.weights.insert((text, collation), weight.flatten().unwrap_or_default());
        }
        Ok(())
    }
}

impl Outcome {
    fn rows(&self) -> Option<&Rows> {
        match self {
            Self::Rows(rows) => Some(rows),
            Self::Refused { .. } => None,
        }
    }
}

async fn session(port: u16, settings: &[&'static str]) -> TestResult<tokio_postgres::Client> {
    let parameters = format!("host=127.0.0.1 port={port} user=analyst dbname=crossweave");
    let (client, connection) = tokio_postgres::connect(&parameters, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("SET statement_timeout = '30s'").await?;
    for setting in settings {
        client.batch_execute(setting).await?;
    }
    Ok(client)
}

fn refused(error: &tokio_postgres::Error) -> Outcome {
    match error.as_db_error() {
        Some(error) => {
            Outcome::Refused { code: error.code().code().to_owned(), message: error.message().to_owned() }
        }
        None => Outcome::Refused { code: "connection".to_owned(), message: error.to_string() },
    }
}

/// Whether an error is a fault of ours, whatever its words: something internal, or an end without an answer.
fn is_fault(code: &str, message: &str) -> bool {
    let internal =
        ["Plan: [", "Invalid comparison operation", "Internal error", "does not support logical expression"];
    ["XX000", "57014", "connection"].contains(&code) || internal.iter().any(|words| message.contains(words))
}

/// What kind of difference a description tells of.
fn kind(found: &str) -> &str {
    ["refuses", "fails with"].into_iter().find(|kind| found.contains(kind)).unwrap_or("rows")
}

/// Rows that the other answer does not have, or has in another place.
fn only(rows: &Rows, others: &Rows, case: &Case) -> String {
    let mut left = others.clone();
    let mut taken = |row: &[Cell]| {
        let place = left.iter().position(|other| same_row(row, other, &case.outputs))?;
        Some(left.swap_remove(place))
    };
    let missing: Vec<_> = rows.iter().filter(|row| taken(row).is_none()).collect();
    let shown = if missing.is_empty() { rows.iter().take(6).collect() } else { missing };
    let row =
        |row: &&Vec<Cell>| format!("({})", row.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    let shown: Vec<_> = shown.iter().take(6).map(row).collect();
    format!("{} rows, among them {}", rows.len(), shown.join(" "))
}

/// How long all may take, by the number of queries: far beyond what they need.
pub(super) fn limit(queries: u64) -> Duration {
    Duration::from_secs(120 + queries)
}
