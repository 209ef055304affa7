//! The text protocol's values, read by means of their own: nothing here is what the connector reads by.

use arrow::datatypes::i256;
use crossweave_contract::{ColumnType, Row, TableDef, Value};
use mysql_async::prelude::Queryable as _;

use crate::identifiers::{TableRef, quote};
use crate::testing::TestServer;

/// The rows of `table` in the order of its first column, asked for and answered as text.
pub(super) async fn rows(server: &TestServer, table: &TableDef) -> Vec<Row> {
    let mut conn = server.connect(Some(&table.database)).await;
    for statement in ["SET NAMES utf8mb4", "SET time_zone = '+00:00', sql_mode = ''"] {
        conn.query_drop(statement).await.expect("a setting");
    }
    let columns: Vec<String> = table.columns.iter().map(|c| shown(&c.column_type, &quote(&c.name))).collect();
    let statement = format!("SELECT {} FROM {} ORDER BY 1", columns.join(", "), TableRef::of(table));
    let rows: Vec<mysql_async::Row> = conn.query(statement).await.expect("rows");
    conn.disconnect().await.expect("goodbye");
    let value = |row: &mysql_async::Row, at: usize| match row.as_ref(at).expect("a cell") {
        mysql_async::Value::NULL => Value::Null,
        mysql_async::Value::Bytes(bytes) => read(&table.columns[at].column_type, bytes),
        other => panic!("the text protocol sends text, not {other:?}"),
    };
    rows.iter().map(|row| (0..table.columns.len()).map(|at| value(row, at)).collect()).collect()
}

/// What to ask for to be shown a column whole: a FLOAT is shown with six digits, the double that equals it with all.
fn shown(column_type: &ColumnType, column: &str) -> String {
    match column_type {
        ColumnType::Float => format!("{column} * 1e0"),
        // The error value and an empty member have one text.
        ColumnType::Enum { .. } => format!("CONCAT({column} + 0, ':', {column})"),
        _ => column.to_owned(),
    }
}

fn read(column_type: &ColumnType, bytes: &[u8]) -> Value {
    let text = || std::str::from_utf8(bytes).expect("text");
    let owned = || Value::Text(text().into());
    match column_type {
        ColumnType::Boolean => Value::Bool(text() == "1"),
        ColumnType::TinyInt { unsigned }
        | ColumnType::SmallInt { unsigned }
        | ColumnType::MediumInt { unsigned }
        | ColumnType::Int { unsigned }
        | ColumnType::BigInt { unsigned } => {
            if *unsigned {
                Value::UInt(text().parse().expect("a number"))
            } else {
                Value::Int(text().parse().expect("a number"))
            }
        }
        ColumnType::Bit { width: 1 } => Value::Bool(bytes == [1]),
        ColumnType::Bit { .. } => Value::UInt(bytes.iter().fold(0, |bits, byte| bits * 256 + u64::from(*byte))),
        ColumnType::Decimal { precision, .. } => decimal(text(), *precision),
        ColumnType::Float => Value::Float(text().parse::<f64>().expect("a number") as f32),
        ColumnType::Double => Value::Double(text().parse().expect("a number")),
        ColumnType::Year => Value::UInt(text().parse().expect("a year")),
        ColumnType::Date => days(text()).map_or(Value::Null, |days| Value::Date(days as i32)),
        ColumnType::DateTime { .. } | ColumnType::Timestamp { .. } => {
            let (date, time) = text().split_once(' ').expect("a date and a time");
            days(date).map_or(Value::Null, |days| Value::Micros(days * 86_400_000_000 + micros(time)))
        }
        ColumnType::Time { .. } => match text().strip_prefix('-') {
            Some(time) => Value::Micros(-micros(time)),
            None => Value::Micros(micros(text())),
        },
        ColumnType::Enum { values, .. } => {
            let (index, member) = text().split_once(':').expect("an index and a text");
            let index: usize = index.parse().expect("an index");
            assert_eq!(index.checked_sub(1).map_or("", |at| &values[at]), member);
            Value::Enum(index as u16)
        }
        ColumnType::Set { values, .. } => {
            let members = text().split(',').filter(|member| !member.is_empty());
            let bit = |member: &str| 1 << values.iter().position(|value| value == member).expect("a member");
            Value::Set(members.map(bit).sum())
        }
        ColumnType::Text { .. } | ColumnType::Json { .. } => owned(),
        ColumnType::Uuid | ColumnType::Inet4 | ColumnType::Inet6 => owned(),
        ColumnType::Binary { .. } | ColumnType::Vector { .. } => Value::Bytes(bytes.into()),
        ColumnType::Geometry => Value::Bytes(bytes[4..].into()),
    }
}

fn decimal(text: &str, precision: u8) -> Value {
    let digits = text.replace('.', "");
    match precision {
        ..=38 => Value::Decimal(digits.parse().expect("digits")),
        _ => Value::WideDecimal(i256::from_string(&digits).expect("digits").to_le_bytes()),
    }
}

/// Days since 1970-01-01 of a date that exists, counted year by year and month by month.
fn days(date: &str) -> Option<i64> {
    let parts: Vec<i64> = date.split('-').map(|part| part.parse().expect("a number")).collect();
    let [year, month, day] = parts[..] else { panic!("{date} is no date") };
    let leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let months = [31, 28 + i64::from(leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *months.get(usize::try_from(month - 1).ok()?)?;
    if year < 1 || day < 1 || day > length {
        return None;
    }
    let in_year = |year| 365 + i64::from(leap(year));
    let years: i64 =
        if year < 1970 { -(year..1970).map(in_year).sum::<i64>() } else { (1970..year).map(in_year).sum() };
    Some(years + months[..month as usize - 1].iter().sum::<i64>() + day - 1)
}

/// µs of `HHH:MM:SS[.ffffff]`.
fn micros(time: &str) -> i64 {
    let (clock, fraction) = time.split_once('.').unwrap_or((time, ""));
    let seconds = clock.split(':').fold(0, |sum, part| sum * 60 + part.parse::<i64>().expect("a number"));
    seconds * 1_000_000 + format!("{fraction:0<6}").parse::<i64>().expect("digits")
}
