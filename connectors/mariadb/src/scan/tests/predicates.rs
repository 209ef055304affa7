//! Each condition finds on the server the rows for which it is true here: random ones over hard values, against
//! an evaluation of our own with three truth values.

use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{CompareOp, RemoteExpr, RemoteQuery, Row, Source, TableDef, Value};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng, SeedableRng};

use super::evaluate::{Datum, truth};
use crate::MariaDbSource;
use crate::testing::{definition, rows, server};

const TABLE: &str = "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, \
     i BIGINT, i2 BIGINT, u BIGINT UNSIGNED, u2 BIGINT UNSIGNED, n DECIMAL(38,6), n2 DECIMAL(38,6), \
     w DECIMAL(65,30), w2 DECIMAL(65,30), f FLOAT, f2 FLOAT, x DOUBLE, x2 DOUBLE, d DATE, d2 DATE, \
     dt DATETIME(6), dt2 DATETIME(6), ts TIMESTAMP(6) NULL, ts2 TIMESTAMP(6) NULL, ti TIME(6), ti2 TIME(6), \
     b BIT(1), b2 BIT(1), m BIT(40), m2 BIT(40), y YEAR, y2 YEAR, \
     KEY (d), KEY (dt), KEY (u), KEY (n), KEY (ts))";

/// Pairs of columns of one type, and what they may hold.
const HARD: &[(&str, &[&str])] = &[
    ("i", &["NULL", "-9223372036854775808", "9223372036854775807", "0", "-1", "7"]),
    ("u", &["NULL", "18446744073709551615", "9223372036854775808", "9223372036854775807", "0", "7"]),
    (
        "n",
        &["NULL", "0", "-0.000001", "0.000001", "99999999999999999999999999999999.999999", "7.5", "7.500001"],
    ),
    ("w", &["NULL", "0", "-0.000000000000000000000000000001", "12345678901234567890123456789012345.5", "7.5"]),
    ("f", &["NULL", "1.1", "-0e0", "0", "16777217", "3.4028234e38"]),
    ("x", &["NULL", "1.1", "-0e0", "0", "0.1", "1e300", "-1e-300"]),
    (
        "d",
        &[
            "NULL",
            "'0000-00-00'",
            "'2018-02-00'",
            "'2018-02-31'",
            "'2018-02-01'",
            "'0001-01-01'",
            "'9999-12-31'",
            "'0000-03-01'",
        ],
    ),
    (
        "dt",
        &[
            "NULL",
            "'0000-00-00'",
            "'2018-02-00 01:02:03.000004'",
            "'2018-02-01 00:00:00.000001'",
            "'2018-02-01'",
            "'2018-02-31 05:00:00'",
            "'9999-12-31 23:59:59.999999'",
            "'0001-01-01'",
        ],
    ),
    (
        "ts",
        &[
            "NULL",
            "'0000-00-00'",
            "'1970-01-01 00:00:01'",
            "'2018-02-01 00:00:00.000001'",
            "'2038-01-19 03:14:07.999999'",
        ],
    ),
    ("ti", &["NULL", "'-838:59:59.999999'", "'838:59:59'", "'00:00:00.000001'", "'-00:00:00.000001'", "0"]),
    ("b", &["NULL", "b'0'", "b'1'"]),
    ("m", &["NULL", "0", "1099511627775", "b'10000000000'"]),
    ("y", &["NULL", "0", "1901", "2155", "2018"]),
];

async fn hard_table(random: &mut StdRng) -> Arc<TableDef> {
    let mut statements =
        vec!["SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'".to_owned(), TABLE.to_owned()];
    let columns: Vec<String> =
        HARD.iter().flat_map(|(name, _)| [(*name).to_owned(), format!("{name}2")]).collect();
    for _ in 0..60 {
        let values: Vec<&str> = HARD
            .iter()
            .flat_map(|(_, hard)| [*hard, *hard])
            .map(|hard| *hard.choose(random).unwrap())
            .collect();
        statements.push(format!("INSERT INTO t ({}) VALUES ({})", columns.join(", "), values.join(", ")));
    }
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    definition(&server().database(&statements).await, "t").await
}

/// A literal of column `column`'s type: one of the values that occur, or for dates and times one beyond.
fn literal(random: &mut StdRng, table: &TableDef, found: &[Row], column: usize) -> RemoteExpr {
    let column_type = table.columns[column].column_type.clone();
    let value = match found.choose(random).map(|row| row[column].clone()) {
        Some(Value::Date(_)) if random.random_bool(0.1) => {
            Value::Date([-800_000, 3_000_000][random.random_range(0..2)])
        }
        Some(Value::Micros(_)) if random.random_bool(0.1) => {
            Value::Micros([i64::MIN, i64::MAX][random.random_range(0..2)])
        }
        Some(value) => value,
        None => Value::Null,
    };
    RemoteExpr::Literal(value, column_type)
}

fn condition(random: &mut StdRng, table: &TableDef, found: &[Row], depth: u32) -> RemoteExpr {
    if depth > 0 && random.random_bool(0.5) {
        let parts =
            (0..random.random_range(1..4)).map(|_| condition(random, table, found, depth - 1)).collect();
        return if random.random() { RemoteExpr::And(parts) } else { RemoteExpr::Or(parts) };
    }
    // Columns 1 and 2 are of one type, 3 and 4, and so on.
    let column = random.random_range(1..table.columns.len());
    let twin = if column % 2 == 1 { column + 1 } else { column - 1 };
    let mut operand = |literals: f64| match random.random_bool(literals) {
        true => literal(random, table, found, column),
        false => RemoteExpr::Column(twin),
    };
    let (first, second, third) = (operand(0.7), operand(0.7), operand(0.7));
    let expr = Box::new(RemoteExpr::Column(column));
    use CompareOp::*;
    match random.random_range(0..5) {
        0 => RemoteExpr::IsNull { expr, negated: random.random() },
        1 => RemoteExpr::In { expr, list: vec![first, second, third], negated: random.random() },
        2 => {
            RemoteExpr::Between { expr, low: Box::new(first), high: Box::new(second), negated: random.random() }
        }
        3 => {
            let op = *[Eq, NotEq, Lt, LtEq, Gt, GtEq].choose(random).unwrap();
            RemoteExpr::Compare { op, left: Box::new(first), right: expr }
        }
        _ => {
            let op = *[Eq, NotEq, Lt, LtEq, Gt, GtEq].choose(random).unwrap();
            RemoteExpr::Compare { op, left: expr, right: Box::new(first) }
        }
    }
}

#[tokio::test]
async fn conditions_find_the_same_rows_there_as_here() {
    let mut random = StdRng::seed_from_u64(20);
    let table = hard_table(&mut random).await;
    let source = MariaDbSource::new(server().root());
    let view = source.open_view(Duration::from_secs(60), (1 << 20).into()).await.unwrap();
    let found = rows(view.as_ref(), RemoteQuery::whole(Arc::clone(&table))).await.unwrap();
    assert_eq!(found.len(), 60);
    let data: Vec<Vec<Datum>> = found
        .iter()
        .map(|row| {
            row.iter().zip(&table.columns).map(|(v, column)| Datum::of(v, &column.column_type)).collect()
        })
        .collect();
    for round in 0..1_500 {
        let filter = condition(&mut random, &table, &found, 2);
        let holds = |data: &Vec<Datum>| truth(&filter, data) == Some(true);
        let expected: Vec<&Value> =
            found.iter().zip(&data).filter(|(_, data)| holds(data)).map(|(row, _)| &row[0]).collect();
        let query = RemoteQuery::whole(Arc::clone(&table)).filtered(filter.clone()).projected(&[0]);
        let sql = source.render(&query).statement;
        let mut there = rows(view.as_ref(), query).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        there.sort_by_key(|row| match row[0] {
            Value::Int(id) => id,
            _ => 0,
        });
        let there: Vec<&Value> = there.iter().map(|row| &row[0]).collect();
        assert_eq!(there, expected, "round {round}: {sql} of {filter:?}");
    }
}

#[tokio::test]
async fn a_comparison_with_a_date_uses_its_index() {
    let mut random = StdRng::seed_from_u64(21);
    let table = hard_table(&mut random).await;
    let d = table.column_index("d").unwrap();
    let day = RemoteExpr::Literal(Value::Date(17_563), table.columns[d].column_type.clone());
    let filter =
        RemoteExpr::Compare { op: CompareOp::Gt, left: Box::new(RemoteExpr::Column(d)), right: Box::new(day) };
    let query = RemoteQuery::whole(Arc::clone(&table)).filtered(filter).projected(&[d]);
    let statement = crate::scan::statement(&query).unwrap();
    let mut conn = server().connect(Some(&table.database)).await;
    let plan: Option<mysql_async::Row> = mysql_async::prelude::Queryable::exec_first(
        &mut conn,
        format!("EXPLAIN {}", statement.sql),
        statement.params,
    )
    .await
    .unwrap();
    let (kind, key): (Option<String>, Option<String>) =
        plan.map(|row| (row.get(3).unwrap(), row.get(5).unwrap())).unwrap();
    assert_eq!((kind.as_deref(), key.as_deref()), (Some("range"), Some("d")));
}
