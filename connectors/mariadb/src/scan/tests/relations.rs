//! Each question finds on the server the rows that are made of the tables here: random ones over the whole algebra, nested
//! as the push-down rule nests them.
//!
//! - `generate`, `expressions`: questions from a seed
//! - `answers`: their rows, made here
//! - `parsed`: what another parser makes of the statement
//! - `smaller`: parts of a question that fails

mod answers;
mod expressions;
mod generate;
mod parsed;
mod smaller;

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{RemoteQuery, SourceView, TableDef};
use mysql_async::prelude::Queryable as _;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use self::answers::Contents;
use self::generate::Generator;
use super::evaluate::Datum;
use crate::MariaDbSource;
use crate::scan::statement;
use crate::testing::{definition, rows, server};
use crossweave_contract::Source as _;

/// Columns of the tables: name, type and what they may hold.
type Columns = &'static [(&'static str, &'static str, &'static [&'static str])];

const TEXTS: &[&str] = &[
    "NULL", "''", "'a'", "'A'", "'a  '", "'ä'", "'ab'", "'B'", "'s'", "'ß'", "'a\t'", "'a%'", "'100%'", "'😀'",
    "'\\\\'",
];

/// Without control characters: over an index of a binary collation with PAD SPACE the server does not find `a\t` by
/// `LIKE 'a%'`, as it does without that index.
const INDEXED: &[&str] = &[
    "NULL", "''", "'a'", "'A'", "'a  '", "'ä'", "'ab'", "'B'", "'s'", "'ß'", "'a%'", "'100%'", "'😀'", "'\\\\'",
];

const TABLES: [(&str, Columns); 3] = [
    (
        "one",
        &[
            ("i", "INT, KEY (%)", &["NULL", "-3", "0", "1", "1", "2", "7"]),
            ("Ç0", "BIGINT UNSIGNED", &["NULL", "0", "1", "2", "9223372036854775808", "18446744073709551615"]),
            ("n", "DECIMAL(10,2), KEY (%)", &["NULL", "0", "-0.01", "1.50", "1.50", "2.00", "-99999999.99"]),
            ("ci", "VARCHAR(20) COLLATE utf8mb4_general_ci, KEY (%)", TEXTS),
            ("nb", "VARCHAR(20) COLLATE utf8mb4_nopad_bin", TEXTS),
            ("d", "DATE, KEY (%)", &["NULL", "'0000-00-00'", "'2018-02-00'", "'2018-02-01'", "'2016-07-18'"]),
        ],
    ),
    (
        "two",
        &[
            ("i", "INT NOT NULL, KEY (%)", &["-3", "0", "1", "2", "8"]),
            ("c1", "BIGINT", &["NULL", "-1", "0", "1", "2", "1000000"]),
            ("n", "DECIMAL(10,2)", &["NULL", "0.01", "1.50", "2.00", "3.33"]),
            ("w", "DECIMAL(14,5) NOT NULL", &["0", "0.00001", "1.50000", "-2.5", "33.33333"]),
            (
                "ci",
                "VARCHAR(20) COLLATE utf8mb4_general_ci NOT NULL",
                &["'A'", "'b '", "''", "'ab'", "'SS'", "'Ä'"],
            ),
            ("np", "VARCHAR(20) COLLATE utf8mb4_general_nopad_ci", TEXTS),
            ("dt", "DATETIME(6)", &["NULL", "'0000-00-00'", "'2018-02-01 00:00:00.000001'", "'2018-02-31'"]),
        ],
    ),
    (
        "three",
        &[
            ("i", "INT", &["NULL", "1", "2", "2", "7"]),
            ("bn", "VARCHAR(20) COLLATE utf8mb4_bin, KEY (%)", INDEXED),
            ("ci", "VARCHAR(20) COLLATE utf8mb4_general_ci", TEXTS),
            ("d", "DATE NOT NULL", &["'0000-00-00'", "'2018-02-01'", "'2016-07-18'", "'2018-02-31'"]),
        ],
    ),
];

/// What statements are made of, each of which some question is to have.
const PARTS: [&str; 26] = [
    " JOIN ",
    " LEFT JOIN ",
    " JOIN (",
    " WHERE EXISTS (",
    "NOT EXISTS (",
    " IN (SELECT ",
    " NOT IN (SELECT ",
    ") IN (SELECT ",
    " UNION ALL ",
    " GROUP BY ",
    " HAVING ",
    " ORDER BY ",
    ") IS NULL, ",
    ") IS NOT NULL, ",
    " DESC",
    " LIMIT ? OFFSET ?",
    "(DISTINCT ",
    "(CASE WHEN ",
    " ELSE ",
    " BETWEEN ",
    " NOT IN (",
    " NOT LIKE ",
    "CAST(AVG(",
    "INTERVAL 0 DAY",
    "CONVERT(",
    "ccc0",
];

/// So many failures are enough to look at.
const MOST_FAILURES: usize = 3;

/// Tables on the server, and what they hold.
struct World {
    tables: Vec<Arc<TableDef>>,
    contents: Contents,
    view: Arc<dyn SourceView>,
}

impl World {
    /// Names come from `named`.
    async fn new(database: &str, named: impl Fn(&str) -> String) -> Self {
        let mut random = StdRng::seed_from_u64(30);
        let mut conn = server().connect(Some(database)).await;
        conn.query_drop("SET sql_mode = 'ALLOW_INVALID_DATES'").await.unwrap();
        let mut tables = Vec::new();
        for (table, columns) in TABLES {
            let (name, id) = (quote(&named(table)), quote(&named("id")));
            // One table has no key.
            let mut create = format!("CREATE TABLE {name} ({id} INT");
            create.push_str(if table == "three" { "" } else { " PRIMARY KEY" });
            let mut insert = format!("INSERT INTO {name} VALUES ");
            for (column, definition, _) in columns {
                let column = quote(&named(column));
                write!(create, ", {column} {}", definition.replace('%', &column)).unwrap();
            }
            for row in 0..9 {
                insert.push_str(if row == 0 { "" } else { ", " });
                let values = columns.iter().map(|(_, _, values)| *values.choose(&mut random).unwrap());
                let id = if table == "three" { "1".to_owned() } else { row.to_string() };
                let values: Vec<&str> = std::iter::once(id.as_str()).chain(values).collect();
                write!(insert, "({})", values.join(", ")).unwrap();
            }
            conn.query_drop(format!("{create})")).await.unwrap();
            conn.query_drop(insert).await.unwrap();
            tables.push(definition(database, &named(table)).await);
        }
        conn.disconnect().await.unwrap();
        let source = MariaDbSource::new(server().root());
        let view = source.open_view(Duration::from_secs(200), (1 << 20).into()).await.unwrap();
        let mut contents = Contents::default();
        for table in &tables {
            let query = RemoteQuery::whole(Arc::clone(table));
            let held = read(view.as_ref(), query).await.unwrap();
            assert_eq!((held.len(), held[0].len()), (9, table.columns.len()));
            contents.0.insert(table.id.table.to_string(), held);
        }
        Self { tables, contents, view }
    }

    /// Fails with why unless `query` finds on the server what it finds here; `Ok` too where that is left open.
    async fn check(&self, query: &RemoteQuery) -> Result<(), String> {
        let Ok(expected) = self.contents.answer(&query.relation) else { return Ok(()) };
        let statement = statement(query).map_err(|error| error.to_string())?;
        let about = |why: String| format!("{why}\n{}\n{:?}", statement.sql, statement.params);
        parsed::check(&statement, query).map_err(about)?;
        let found = read(self.view.as_ref(), query.clone()).await.map_err(|error| about(error.to_string()))?;
        let looks = |rows: &[Vec<Datum>]| {
            let mut looks: Vec<_> = rows.iter().map(|row| expected.looks(row)).collect();
            if !expected.ordered {
                looks.sort();
            }
            looks
        };
        let (there, here) = (looks(&found), looks(&expected.rows));
        if there == here { Ok(()) } else { Err(about(format!("there: {there:?}\nhere: {here:?}"))) }
    }

    /// Asks the questions of the seeds `rounds`; of the first that fail the smallest part that does.
    async fn ask(&self, rounds: std::ops::Range<u64>) {
        let (mut failures, mut statements, mut answered) = (Vec::new(), Vec::new(), 0);
        for seed in rounds.clone() {
            let query = Generator::new(seed, &self.tables, &self.contents).query();
            statements.push(statement(&query).map(|statement| statement.sql).unwrap_or_default());
            answered +=
                u64::from(self.contents.answer(&query.relation).is_ok_and(|answer| !answer.rows.is_empty()));
            let Err(why) = self.check(&query).await else { continue };
            failures.push(format!("the question of seed {seed}: {why}\n{}", self.smallest(query).await));
            if failures.len() == MOST_FAILURES {
                break;
            }
        }
        assert!(failures.is_empty(), "{}", failures.join("\n\n"));
        // Else little would be shown by that.
        assert!(answered * 4 > (rounds.end - rounds.start) * 3, "{answered} questions have rows");
        for part in PARTS {
            assert!(statements.iter().any(|sql| sql.contains(part)), "no question has {part}");
        }
    }

    /// Why the smallest part of `failing` fails.
    async fn smallest(&self, mut failing: RemoteQuery) -> String {
        let mut why = String::new();
        'smaller: loop {
            for part in smaller::smaller(&failing) {
                if let Err(found) = self.check(&part).await {
                    (failing, why) = (part, format!("made smaller: {found}"));
                    continue 'smaller;
                }
            }
            return why;
        }
    }
}

/// By itself, and not as statements have it.
fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

async fn read(view: &dyn SourceView, query: RemoteQuery) -> crossweave_contract::Result<Vec<Vec<Datum>>> {
    let types: Vec<_> = query.columns.iter().map(|column| column.column_type.clone()).collect();
    let found = rows(view, query).await?;
    Ok(found.iter().map(|row| row.iter().zip(&types).map(|(v, kind)| Datum::of(v, kind)).collect()).collect())
}

#[tokio::test]
async fn questions_find_the_same_rows_there_as_here() {
    let database = server().database(&[]).await;
    World::new(&database, str::to_owned).await.ask(0..700).await;
}

#[tokio::test]
async fn hostile_names_change_no_answer() {
    let database = "of test `.`' \\\" ; -- /*é☃*/ # ? %";
    let mut conn = server().connect(None).await;
    conn.query_drop(format!("CREATE DATABASE {} COLLATE utf8mb4_general_ci", quote(database))).await.unwrap();
    conn.disconnect().await.unwrap();
    let named = |name: &str| format!("` \\'.\"; ?--/*☃ {name} */#`");
    World::new(database, named).await.ask(1_000..1_300).await;
}
