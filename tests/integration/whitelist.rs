//! What is pushed down, entry by entry of the whitelist: that a source computes over hard values what is computed here.
//!
//! Each entry must have statements here that are pushed down as a whole, and whose answers are those of reading the rows
//! and computing here: with and without an index to serve them.

mod functions;

use std::collections::BTreeMap;

use crossweave::federation::{Family, Operation, whitelist};
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};

use crate::support::{self, Client, Statement, TestResult};

/// A column: its family, name, definition, and values, which are literals there and here. NULL comes to them.
struct Column {
    family: Family,
    name: &'static str,
    definition: &'static str,
    values: &'static [&'static str],
}

const fn column(
    family: Family,
    name: &'static str,
    definition: &'static str,
    values: &'static [&'static str],
) -> Column {
    Column { family, name, definition, values }
}

const COLUMNS: &[Column] = &[
    column(Family::Exact, "tiny", "TINYINT", &["-128", "0", "127", "7"]),
    column(Family::Exact, "tiny_u", "TINYINT UNSIGNED", &["0", "255", "7"]),
    column(Family::Exact, "small", "SMALLINT", &["-32768", "0", "32767", "7"]),
    column(Family::Exact, "medium", "MEDIUMINT UNSIGNED", &["0", "16777215", "7"]),
    column(Family::Exact, "plain", "INT", &["-2147483648", "0", "2147483647", "7"]),
    column(Family::Exact, "plain_u", "INT UNSIGNED", &["0", "4294967295", "7"]),
    column(Family::Exact, "big", "BIGINT", &["-9223372036854775808", "0", "9223372036854775807", "7"]),
    column(
        Family::Exact,
        "big_u",
        "BIGINT UNSIGNED",
        &["0", "9223372036854775808", "18446744073709551615", "7"],
    ),
    column(Family::Exact, "price", "DECIMAL(12,2)", &["-0.01", "0.00", "9999999999.99", "7.50"]),
    column(
        Family::Exact,
        "wide",
        "DECIMAL(50,10)",
        &["-1234567890123456789012345678901234567890.0123456789", "0", "0.0000000001", "7.5"],
    ),
    column(Family::Float, "rough", "FLOAT", &["-1.5", "0.25", "3e38", "16777216"]),
    column(Family::Double, "ratio", "DOUBLE", &["-1.5", "0.1", "1e308", "9007199254740993", "5e-324"]),
    column(Family::Year, "vintage", "YEAR", &["1901", "2024", "2155"]),
    column(
        Family::Date,
        "day",
        "DATE",
        &[
            "'0001-01-01'",
            "'0099-12-31'",
            "'1582-10-10'",
            "'2021-01-03'",
            "'2024-02-29'",
            "'2024-12-30'",
            "'9999-12-31'",
        ],
    ),
    column(
        Family::DateTime,
        "made",
        "DATETIME(6)",
        &[
            "'0001-01-01 00:00:00'",
            "'1000-01-01 00:00:00'",
            "'1969-12-31 23:59:59.5'",
            "'2024-02-29 23:59:59.999999'",
            "'2024-12-30 10:11:12'",
            "'9999-12-31 23:59:59.999999'",
        ],
    ),
    column(Family::DateTime, "made_s", "DATETIME", &["'1000-01-01 00:00:00'", "'2024-03-31 02:30:00'"]),
    column(
        Family::Timestamp,
        "seen",
        "TIMESTAMP(6) NULL",
        &["'1970-01-01 00:00:01'", "'2024-03-31 02:30:00.000001'", "'2038-01-19 03:14:07.999999'"],
    ),
    column(
        Family::Time,
        "pause",
        "TIME(6)",
        &[
            "'-838:59:59'",
            "'00:00:00.000001'",
            "'838:59:59'",
            "'-00:59:59.999999'",
            "'100:01:02.5'",
            "'-00:00:01'",
        ],
    ),
    column(
        Family::Text,
        "general",
        "VARCHAR(40) COLLATE utf8mb4_general_ci",
        &["''", "'a'", "'A '", "'É'", "'ß'", "'ss'", "'100%'", "'a_b'", "'a😀e\u{301}b'", "'😀'"],
    ),
    column(
        Family::Text,
        "unicode",
        "VARCHAR(40) COLLATE utf8mb4_unicode_ci",
        &["'a'", "'A '", "'É'", "'ß'", "'ss'", "'ﬀ'", "'e\u{301} ß'", "'e'"],
    ),
    column(
        Family::Text,
        "uca",
        "VARCHAR(40) COLLATE utf8mb4_uca1400_as_cs",
        &["'a'", "'A'", "'É'", "'é'", "'ss'", "'ß'", "'a '"],
    ),
    column(
        Family::Text,
        "accents",
        "VARCHAR(40) COLLATE utf8mb4_uca1400_danish_ai_cs",
        &["'a'", "'A'", "'é'", "'è'", "'É'", "'ä'", "'æ'", "'a '"],
    ),
    column(
        Family::Text,
        "nopad",
        "VARCHAR(40) COLLATE utf8mb4_general_nopad_ci",
        &["'a'", "'A '", "'a  '", "''"],
    ),
    column(Family::Text, "bytes", "VARCHAR(40) COLLATE utf8mb4_bin", &["'a'", "'A '", "'É'", "'a '"]),
    column(
        Family::Text,
        "latin",
        "VARCHAR(40) CHARSET latin1 COLLATE latin1_swedish_ci",
        &["'a'", "'A '", "'ue'", "'z'"],
    ),
    column(
        Family::Text,
        "ascii",
        "VARCHAR(40) CHARSET ascii COLLATE ascii_general_ci",
        &["'a'", "'A '", "'@[`{az'", "'Zy~'", "''", "'S'"],
    ),
    column(Family::Text, "fixed", "CHAR(10) COLLATE utf8mb4_general_ci", &["'a'", "'A '", "'b  '"]),
    column(
        Family::Enum,
        "kind",
        "ENUM('low', 'High', 'mid') COLLATE utf8mb4_general_ci",
        &["'low'", "'HIGH'", "'mid'"],
    ),
    column(
        Family::Set,
        "flags",
        "SET('x', 'Y', 'z') COLLATE utf8mb4_general_ci",
        &["''", "'x'", "'x,z'", "'Y'"],
    ),
    column(
        Family::Address,
        "uuid",
        "UUID",
        &["'00000000-0000-0000-0000-000000000001'", "'123e4567-e89b-12d3-a456-426655440000'"],
    ),
    column(Family::Address, "inet4", "INET4", &["'0.0.0.0'", "'192.168.0.1'"]),
    column(Family::Address, "inet6", "INET6", &["'::'", "'2001:db8::ff00:42:8329'", "'::ffff:192.0.2.1'"]),
    column(Family::Other, "raw", "VARBINARY(20)", &["''", "'a'"]),
    column(Family::Other, "bits", "BIT(5)", &["0", "31"]),
    column(Family::Other, "doc", "JSON", &["'{}'", "'[1, 2]'"]),
];

/// Dates that are none: they are NULL here.
const NO_DATES: &str = "SET sql_mode = ''; INSERT INTO plain (id, day, made, made_s) VALUES \
    (1000, '0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00'), \
    (1001, '2018-02-00', '2018-02-00 00:00:00', '2018-00-00 00:00:00'); INSERT INTO indexed SELECT * FROM plain WHERE id >= 1000";

/// The tables `plain` and `indexed`, with the same rows: each value of each column, all of them NULL, and values twice.
fn tables() -> Vec<String> {
    let definitions: Vec<String> =
        COLUMNS.iter().map(|column| format!("{} {}", column.name, column.definition)).collect();
    let indexes: Vec<String> = COLUMNS
        .iter()
        .filter(|column| column.name != "doc")
        .map(|column| format!("KEY ({})", column.name))
        .collect();
    let create = |table: &str, more: String| {
        let columns = definitions.join(", ");
        format!("CREATE TABLE {table} (id INT PRIMARY KEY, {columns}{more}) DEFAULT CHARSET utf8mb4")
    };
    let most = COLUMNS.iter().map(|column| column.values.len()).max().unwrap_or(0);
    let rows = (0..=2 * most).map(|row| {
        let value = |column: &Column| {
            let values = column.values;
            // The second time they come in another order beside each other.
            let place = if row < most { row } else { (row - most) * 3 + values.len() };
            if row == 2 * most || (row < most && row >= values.len()) {
                "NULL".to_owned()
            } else {
                values[place % values.len()].to_owned()
            }
        };
        let values: Vec<String> = COLUMNS.iter().map(value).collect();
        format!("({row}, {})", values.join(", "))
    });
    let fill = format!("INSERT INTO plain VALUES {}", rows.collect::<Vec<_>>().join(", "));
    vec![
        create("plain", String::new()),
        create("indexed", format!(", {}", indexes.join(", "))),
        fill,
        "INSERT INTO indexed SELECT * FROM plain".to_owned(),
        NO_DATES.to_owned(),
        "ANALYZE TABLE plain, indexed".to_owned(),
    ]
}

/// Statements on `table` that ask `operation` of `column`.
fn statements(operation: Operation, column: &Column, table: &str) -> Vec<String> {
    let (name, values) = (column.name, column.values);
    let find = |condition: String| format!("SELECT id FROM s.{table} WHERE {condition}");
    let with_each = |operators: &[&str]| {
        let each =
            values.iter().flat_map(|value| operators.iter().map(move |op| format!("{name} {op} {value}")));
        each.map(find).collect::<Vec<_>>()
    };
    let ends = (values[0], values[values.len() - 1]);
    match operation {
        Operation::Equality => {
            let mut all = with_each(&["=", "<>"]);
            let list = values.join(", ");
            all.push(find(format!("{name} IN ({list})")));
            all.push(find(format!("{name} NOT IN ({}, {})", ends.0, ends.1)));
            all.push(find(format!("({name} = {}) IS NOT TRUE", ends.0)));
            all.push(find(format!("({name} = {} OR {name} = {}) IS FALSE", ends.0, ends.1)));
            all
        }
        Operation::Order => {
            let mut all = with_each(&["<", ">="]);
            all.push(find(format!("{name} <= {}", ends.0)));
            all.push(find(format!("{name} > {}", ends.1)));
            all.push(find(format!("(id > 2 AND {name} > {}) IS NOT FALSE", ends.0)));
            for (low, high) in [ends, (ends.1, ends.0)] {
                all.push(find(format!("{name} BETWEEN {low} AND {high}")));
                all.push(find(format!("{name} NOT BETWEEN {low} AND {high}")));
            }
            all
        }
        Operation::Null => {
            vec![find(format!("{name} IS NULL")), find(format!("{name} IS NOT NULL"))]
        }
        Operation::Columns => {
            let others = COLUMNS.iter().filter(|other| compares(column, other));
            let pairs = others.flat_map(|other| {
                let operators: &[&str] = match column.family {
                    Family::Address => &["=", "<>"],
                    _ => &["=", "<>", "<", ">="],
                };
                operators.iter().map(|op| {
                    format!(
                        "SELECT a.id, b.id FROM s.{table} a JOIN s.{table} b ON a.id = b.id AND a.{name} {op} b.{}",
                        other.name
                    )
                })
            });
            pairs.collect()
        }
        Operation::Groups => vec![
            format!("SELECT {name}, count(*), min(id) FROM s.{table} GROUP BY {name}"),
            format!("SELECT count(DISTINCT {name}), count({name}) FROM s.{table}"),
            format!("SELECT count(*) FROM (SELECT DISTINCT {name} FROM s.{table}) x"),
        ],
        Operation::Sorts => ["ASC NULLS FIRST", "ASC NULLS LAST", "DESC NULLS FIRST", "DESC NULLS LAST"]
            .iter()
            .flat_map(|order| {
                let sorted = move |most: usize| {
                    format!("SELECT id FROM s.{table} ORDER BY {name} {order}, id LIMIT {most}")
                };
                [sorted(7), sorted(100)]
            })
            .collect(),
        Operation::Extremes => vec![format!("SELECT min({name}), max({name}) FROM s.{table}")],
        Operation::Sums => {
            // Sums of doubles depend on the order of rows, unless they are exact.
            let which =
                if column.family == Family::Double { format!("{name} < -1") } else { "id < 1000".to_owned() };
            vec![
                format!("SELECT sum({name}), avg({name}) FROM s.{table} WHERE {which}"),
                format!("SELECT sum({name}) FILTER (WHERE id > 2) FROM s.{table} WHERE id < 6 AND {which}"),
            ]
        }
        Operation::Like => ["'a%'", "'%'", "'_'", "'%S'", "'100\\%'", "'a\\_b'", "'É'", "''", "'ä'"]
            .iter()
            .flat_map(|pattern| ["LIKE", "NOT LIKE"].map(|like| find(format!("{name} {like} {pattern}"))))
            .collect(),
        Operation::Numbers => {
            let few = format!("FROM s.{table} WHERE tiny IS NOT NULL");
            vec![
                format!("SELECT sum(CASE WHEN {name} > 3 THEN 1 ELSE 0 END) {few}"),
                format!("SELECT sum(CASE WHEN id > 3 THEN {name} END) {few}"),
            ]
        }
        Operation::Parts => functions::parts(column, table),
        Operation::Truncations => functions::truncations(column, table),
        Operation::Choices => functions::choices(column, table),
        Operation::Magnitudes => functions::magnitudes(column, table),
        Operation::Divisions => functions::divisions(column, table),
        Operation::Ratios => functions::ratios(column, table),
        Operation::Substrings => functions::substrings(column, table),
        Operation::Cases => functions::cases(column, table),
        Operation::Lengths => functions::lengths(column, table),
    }
}

/// What is computed here of some columns of their family: quotients of unsigned numbers, and patterns over bytes.
const COMPUTED_HERE: &[&str] = &["Divisions of Exact, column big_u", "Like of Text, column bytes"];

/// Whether both are compared with each other there: numbers of as many places, texts of one collation.
fn compares(one: &Column, other: &Column) -> bool {
    let whole = |column: &Column| !column.definition.starts_with("DECIMAL");
    match one.family {
        Family::Exact => {
            other.family == Family::Exact && (one.name == other.name || (whole(one) && whole(other)))
        }
        _ => one.name == other.name,
    }
}

async fn rows(client: &Client, sql: &str, pushdown: &str) -> TestResult<Vec<String>> {
    let statement = Statement::new(sql).on("live").pushing_down(pushdown);
    let answer = client.sql(&statement).await.map_err(|error| format!("{sql}: {error}"))?;
    let mut rows: Vec<String> = answer.rows.iter().map(|row| Value::from(row.clone()).to_string()).collect();
    if sql.contains("min(") {
        // Which of equal texts stands for them is free.
        rows.iter_mut()
            .for_each(|row| *row = row.to_lowercase().replace('ß', "ss").replace('é', "e").replace(' ', ""));
    }
    if !sql.contains("ORDER BY") {
        rows.sort();
    }
    Ok(rows)
}

/// Whether all of `sql` becomes one statement.
async fn is_pushed(client: &Client, sql: &str) -> TestResult<bool> {
    let explained = client.sql(&Statement::new(format!("EXPLAIN {sql}")).on("live")).await?;
    let plan = explained.rows.iter().find(|row| row[0] == json!("physical_plan")).ok_or("a plan")?;
    let plan = plan[1].as_str().ok_or("a text")?;
    let operators: Vec<&str> = plan.lines().map(str::trim).filter(|line| *line != "CooperativeExec").collect();
    Ok(operators.len() == 1 && operators[0].starts_with("LiveScan"))
}

#[tokio::test]
async fn each_entry_of_the_whitelist_is_proven_over_hard_values() -> TestResult {
    let database = support::database("s").await?;
    for statement in tables() {
        database.execute(&statement).await?;
    }
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let mut server = support::crossweave(&database.config("live"), environment)?;
    let client = server.start().await?;
    let mut asked = Vec::new();
    for (family, operation) in whitelist() {
        for column in COLUMNS.iter().filter(|column| column.family == family) {
            let tables = ["plain", "indexed"].map(|table| statements(operation, column, table));
            let [plain, indexed] = tables.map(Vec::into_iter);
            asked.extend(plain.zip(indexed).map(|(plain, indexed)| (column, operation, plain, indexed)));
        }
    }
    let client = &client;
    let mut answers = stream::iter(asked)
        .map(|(column, operation, plain, indexed)| async move {
            let answer = async {
                let there = [rows(client, &plain, "all").await?, rows(client, &indexed, "all").await?];
                // Both tables have the same rows.
                let here = rows(client, &plain, "none").await?;
                Ok::<_, support::Failure>((is_pushed(client, &plain).await?, there, here))
            };
            let answer = answer.await;
            (column, operation, plain, answer)
        })
        .buffer_unordered(4);
    let (mut proven, mut wrong, mut asked) = (BTreeMap::new(), Vec::new(), 0);
    while let Some((column, operation, sql, answer)) = answers.next().await {
        asked += 1;
        let (pushed, there, here) = match answer {
            Ok(answer) => answer,
            Err(error) => {
                wrong.push(format!("{error:?}"));
                continue;
            }
        };
        let of_column = format!("{operation:?} of {:?}, column {}", column.family, column.name);
        for entry in [format!("{operation:?} of {:?}", column.family), of_column] {
            let (count, of) = proven.entry(entry).or_insert((0, 0));
            (*count, *of) = (*count + usize::from(pushed), *of + 1);
        }
        for (there, table) in there.iter().zip(["plain", "indexed"]) {
            if *there != here {
                wrong.push(format!("{sql} on {table}\n  there {there:?}\n  here  {here:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked} differ:\n{}", wrong.len(), wrong.join("\n"));
    let asked_of =
        whitelist().filter(|(family, operation)| !proven.contains_key(&format!("{operation:?} of {family:?}")));
    assert_eq!(asked_of.count(), 0, "{proven:#?}");
    let few = proven.iter().filter(|(_, (count, of))| count * 2 < *of);
    let few = few.filter(|(entry, _)| !COMPUTED_HERE.contains(&entry.as_str()));
    let unproven: Vec<&String> = few.map(|(entry, _)| entry).collect();
    assert!(unproven.is_empty(), "not pushed down by most of the statements for it: {unproven:?}\n{proven:#?}");
    server.terminate().await?;
    Ok(())
}
