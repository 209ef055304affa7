//! Parameters over the PostgreSQL wire: a value of each type, in both formats, against a column of each type, finds
//! the rows that the same value finds where it is written as a literal.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::Client;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};

use super::support::{self, Analyst, Seed, TestResult};

/// A value as it goes over the wire, whatever the type of its placeholder.
#[derive(Debug)]
enum Raw {
    Text(String),
    Binary(Vec<u8>),
}

impl ToSql for Raw {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Text(text) => out.put_slice(text.as_bytes()),
            Self::Binary(bytes) => out.put_slice(bytes),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        match self {
            Self::Text(_) => Format::Text,
            Self::Binary(_) => Format::Binary,
        }
    }

    fn to_sql_checked(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_sql(ty, out)
    }
}

struct Value {
    wire: Type,
    text: &'static str,
    binary: Vec<u8>,
    literal: &'static str,
}

fn value(wire: Type, text: &'static str, binary: impl Into<Vec<u8>>, literal: &'static str) -> Value {
    Value { wire, text, binary: binary.into(), literal }
}

/// Groups, weight, sign, scale, then the groups.
fn numeric(parts: &[i16]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.to_be_bytes()).collect()
}

/// Microseconds since 2000.
fn moment(seconds: i64) -> [u8; 8] {
    (seconds * 1_000_000).to_be_bytes()
}

fn values() -> Vec<Value> {
    vec![
        value(Type::INT2, "1", 1_i16.to_be_bytes(), "1"),
        value(Type::INT4, "-1", (-1_i32).to_be_bytes(), "-1"),
        value(Type::INT4, "7", 7_i32.to_be_bytes(), "7"),
        value(Type::INT8, "1048576", 1_048_576_i64.to_be_bytes(), "1048576"),
        value(Type::FLOAT4, "1.5", 1.5_f32.to_be_bytes(), "CAST(1.5 AS REAL)"),
        value(Type::FLOAT8, "5.4", 5.4_f64.to_be_bytes(), "CAST(5.4 AS DOUBLE PRECISION)"),
        value(Type::FLOAT8, "7", 7.0_f64.to_be_bytes(), "CAST(7 AS DOUBLE PRECISION)"),
        value(Type::NUMERIC, "5.4", numeric(&[2, 0, 0, 1, 5, 4000]), "5.4"),
        value(Type::NUMERIC, "64.434", numeric(&[2, 0, 0, 3, 64, 4340]), "64.434"),
        value(Type::NUMERIC, "-1.0", numeric(&[1, 0, 0x4000, 1, 1]), "-1.0"),
        value(
            Type::NUMERIC,
            "18446744073709551626",
            numeric(&[5, 4, 0, 0, 1844, 6744, 737, 955, 1626]),
            "18446744073709551626",
        ),
        value(Type::NUMERIC, "1E+28", numeric(&[1, 7, 0, 0, 1]), "10000000000000000000000000000"),
        value(Type::BOOL, "t", [1], "true"),
        value(Type::TEXT, "GOLD", *b"GOLD", "'GOLD'"),
        value(Type::VARCHAR, "7", *b"7", "'7'"),
        value(Type::DATE, "2023-01-02", 8_402_i32.to_be_bytes(), "DATE '2023-01-02'"),
        value(
            Type::TIMESTAMP,
            "2023-01-02 03:00:00",
            moment(8_402 * 86_400 + 10_800),
            "TIMESTAMP '2023-01-02 03:00:00'",
        ),
        value(
            Type::TIMESTAMPTZ,
            "2023-01-02 08:00:00+05",
            moment(8_402 * 86_400 + 10_800),
            "TIMESTAMPTZ '2023-01-02 03:00:00+00'",
        ),
        value(
            Type::UUID,
            "00000000-0000-0000-0000-000000000007",
            {
                let mut uuid = [0; 16];
                uuid[15] = 7;
                uuid
            },
            "'00000000-0000-0000-0000-000000000007'",
        ),
    ]
}

const COLUMNS: &[(&str, &str)] = &[
    ("users.users", "id"),
    ("users.users", "loginName"),
    ("users.users", "displayName"),
    ("users.users", "tier"),
    ("users.users", "balance"),
    ("users.users", "isActive"),
    ("users.users", "birthDate"),
    ("users.users", "createdAt"),
    ("users.users", "updatedAt"),
    ("users.addresses", "id"),
    ("users.addresses", "latitude"),
    ("items.stock", "quantity"),
    ("orders.order_items", "lineNo"),
    ("orders.order_items", "discount"),
];

/// The count that `sql` gives, or that it gives none.
async fn count(client: &Client, sql: &str, parameter: Option<(&Type, &Raw)>) -> Result<i64, String> {
    let rows = match parameter {
        None => client.query(sql, &[]).await,
        Some((wire, raw)) => match client.prepare_typed(sql, std::slice::from_ref(wire)).await {
            Ok(statement) => client.query(&statement, &[raw]).await,
            Err(error) => Err(error),
        },
    };
    let shown =
        |error: tokio_postgres::Error| error.as_db_error().map_or(error.to_string(), |db| db.to_string());
    rows.map_err(shown).map(|rows| rows[0].get(0))
}

#[tokio::test]
async fn a_parameter_finds_the_rows_that_a_literal_finds() -> TestResult {
    let analyst = Analyst::of(support::shop(Seed::SMALL).await?).await?;
    let client = &analyst.client;
    let mut wrong = Vec::new();
    let mut answered = 0;
    for route in ["cached", "live"] {
        client.batch_execute(&format!("SET crossweave.route = {route}")).await?;
        for (table, column) in COLUMNS {
            for Value { wire, text, binary, literal } in values() {
                for operator in ["=", "<"] {
                    let sql =
                        |value: &str| format!("SELECT count(*) FROM {table} WHERE {column} {operator} {value}");
                    let expect = count(client, &sql(literal), None).await;
                    answered += usize::from(expect.is_ok());
                    for raw in [Raw::Text(text.to_owned()), Raw::Binary(binary.clone())] {
                        let found = count(client, &sql("$1"), Some((&wire, &raw))).await;
                        if found.as_ref().ok() != expect.as_ref().ok() {
                            wrong.push(format!("{route}: {column} {operator} {literal}: {expect:?}, as {wire} {raw:?}: {found:?}"));
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(answered > 500, "only {answered} of the literals have an answer");
    analyst.leave().await
}

#[tokio::test]
async fn results_are_of_the_types_that_were_announced() -> TestResult {
    let analyst = Analyst::of(support::shop(Seed::SMALL).await?).await?;
    let client = &analyst.client;
    let minus_five = Raw::Binary((-5_i32).to_be_bytes().into());
    // The client reads each column by the type that it was told when it prepared the statement.
    for (sql, declared, expect) in [
        ("SELECT abs($1)", Type::INT4, 5),
        ("SELECT $1", Type::INT4, -5),
        ("SELECT $1 + 1", Type::INT4, -4),
        ("SELECT CASE WHEN id = 1 THEN $1 ELSE 0 END FROM users.users ORDER BY id LIMIT 1", Type::INT4, -5),
        ("SELECT lineNo * 0 + $1 FROM orders.order_items LIMIT 1", Type::INT4, -5),
        ("SELECT max(x) FROM (VALUES ($1)) v (x)", Type::INT4, -5),
    ] {
        let statement = client.prepare_typed(sql, &[declared]).await?;
        let row = client.query_one(&statement, &[&minus_five]).await?;
        let found: i64 = match *statement.columns()[0].type_() {
            Type::INT4 => row.get::<_, i32>(0).into(),
            _ => row.get(0),
        };
        assert_eq!(found, expect, "{sql}");
    }
    let nothing: Option<&str> = None;
    for sql in ["SELECT $1", "SELECT coalesce($1, NULL)", "SELECT NULL"] {
        let statement = client.prepare(sql).await?;
        assert_eq!(statement.columns()[0].type_(), &Type::TEXT, "{sql}");
        let parameters: &[&(dyn ToSql + Sync)] = if statement.params().is_empty() { &[] } else { &[&nothing] };
        assert_eq!(client.query_one(&statement, parameters).await?.get::<_, Option<&str>>(0), None, "{sql}");
    }
    let sql = "SELECT isActive, ARRAY[isActive], isActive::int AS wide FROM users.users ORDER BY id LIMIT 20";
    for row in client.query(sql, &[]).await? {
        let expect = i16::try_from(row.get::<_, i32>(2))?;
        assert_eq!((row.get::<_, i16>(0), row.get::<_, Vec<i16>>(1)), (expect, vec![expect]));
    }
    // An exact number in, the same exact number out.
    let digits = numeric(&[5, 4, 0, 0, 922, 3372, 368, 5477, 5813]);
    let statement = client.prepare_typed("SELECT CAST($1 AS TEXT)", &[Type::NUMERIC]).await?;
    let row = client.query_one(&statement, &[&Raw::Binary(digits)]).await?;
    assert_eq!(row.get::<_, &str>(0), "9223372036854775813");
    let interval = [&0_i64.to_be_bytes()[..], &1_i32.to_be_bytes(), &0_i32.to_be_bytes()].concat();
    let sql = "SELECT count(*) FROM users.users WHERE createdAt + $1 > createdAt";
    let statement = client.prepare_typed(sql, &[Type::INTERVAL]).await?;
    let found: i64 = client.query_one(&statement, &[&Raw::Binary(interval)]).await?.get(0);
    assert!(found > 0, "an interval is added to a moment");
    analyst.leave().await
}

#[tokio::test]
async fn a_driver_that_declares_nothing_is_told_what_to_send() -> TestResult {
    let analyst = Analyst::of(support::shop(Seed::SMALL).await?).await?;
    let client = &analyst.client;
    let name = client.query_one("SELECT displayName FROM users.users WHERE id = 1", &[]).await?;
    let name = name.get::<_, &str>(0).to_ascii_uppercase().replace('\\', "\\\\").replace('"', "\\\"");
    let name = format!("{{\"{name}\", nobody}}");
    for route in ["cached", "live"] {
        client.batch_execute(&format!("SET crossweave.route = {route}")).await?;
        for (sql, told, values, expect) in [
            (
                "SELECT count(*) FROM (SELECT id FROM users.users LIMIT $1 OFFSET $2) x",
                vec![Type::INT8, Type::INT8],
                vec!["2", "1"],
                "SELECT 2",
            ),
            (
                "SELECT count(*) FROM users.users WHERE id = ANY($1)",
                vec![Type::NUMERIC_ARRAY],
                vec!["{1,NULL,3}"],
                "SELECT count(*) FROM users.users WHERE id IN (1, 3)",
            ),
            (
                "SELECT count(*) FROM users.users WHERE id <> ALL($1)",
                vec![Type::NUMERIC_ARRAY],
                vec!["{1,3}"],
                "SELECT count(*) FROM users.users WHERE id NOT IN (1, 3)",
            ),
            (
                "SELECT count(*) FROM users.users WHERE displayName = ANY($1)",
                vec![Type::TEXT_ARRAY],
                vec![&*name],
                "SELECT count(*) FROM users.users WHERE displayName = (SELECT displayName FROM users.users WHERE id = 1)",
            ),
            (
                "SELECT length(left(displayName, $1)) FROM users.users WHERE id = 1",
                vec![Type::INT8],
                vec!["2"],
                "SELECT 2",
            ),
        ] {
            let statement = client.prepare(sql).await?;
            assert_eq!(statement.params(), told, "{sql}");
            let values: Vec<Raw> = values.into_iter().map(|text| Raw::Text(text.to_owned())).collect();
            let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|raw| raw as _).collect();
            let number = |row: tokio_postgres::Row| match *row.columns()[0].type_() {
                Type::INT4 => row.get::<_, i32>(0).into(),
                _ => row.get::<_, i64>(0),
            };
            let found = number(client.query_one(&statement, &values).await?);
            assert_eq!(found, number(client.query_one(expect, &[]).await?), "{sql} on {route}");
            assert!(found > 0, "{sql}");
        }
    }
    analyst.leave().await
}
