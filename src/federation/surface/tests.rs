//! Answers over one table of hard values; MariaDB's own are compared by an integration test.

use std::sync::Arc;

use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{NaiveDate, NaiveDateTime};
use crossweave_contract::{ColumnType, TableDef, Value};
use datafusion::common::{ParamValues, Result, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;

use super::{check_digits, parse_time, register, rewrite_conditions};
use crate::federation::collation::Collations;
use crate::query::testing::{column, def, rows};

fn at(text: &str) -> Value {
    Value::Micros(text.parse::<NaiveDateTime>().unwrap().and_utc().timestamp_micros())
}

fn day(text: &str) -> Value {
    let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
    let days = text.parse::<NaiveDate>().unwrap().signed_duration_since(epoch).num_days();
    Value::Date(i32::try_from(days).unwrap())
}

fn time(text: &str) -> Value {
    Value::Micros(parse_time(text).unwrap())
}

fn table() -> TableDef {
    let columns = vec![
        ("id", ColumnType::Int { unsigned: false }),
        ("t", ColumnType::TinyInt { unsigned: false }),
        ("tu", ColumnType::TinyInt { unsigned: true }),
        ("i", ColumnType::Int { unsigned: false }),
        ("b", ColumnType::BigInt { unsigned: false }),
        ("bu", ColumnType::BigInt { unsigned: true }),
        ("f", ColumnType::Float),
        ("d", ColumnType::Double),
        ("amount", ColumnType::Decimal { precision: 30, scale: 6 }),
        ("dt", ColumnType::Date),
        ("dtm", ColumnType::DateTime { fsp: 6 }),
        ("ts", ColumnType::Timestamp { fsp: 6 }),
        ("tm", ColumnType::Time { fsp: 0 }),
    ];
    def("s", "n", columns.into_iter().map(|(name, column_type)| column(name, column_type)).collect())
}

fn values() -> Vec<Vec<Value>> {
    use Value::{Decimal, Double, Float, Int, Null, UInt};
    vec![
        vec![
            Int(1),
            Int(127),
            UInt(255),
            Int(50_000),
            Int(i64::MAX),
            UInt(u64::MAX),
            Float(1.1),
            Double(1.1),
            Decimal(1_100_000),
            day("9999-12-31"),
            at("9999-12-31T23:59:59.999999"),
            at("2024-07-01T12:00:00"),
            time("34:00:00"),
        ],
        vec![
            Int(2),
            Int(-128),
            UInt(0),
            Int(i64::from(i32::MIN)),
            Int(i64::MIN),
            UInt(7),
            Float(16_777_216.0),
            Double(1e300),
            Decimal(16_777_217_000_000),
            day("1000-01-01"),
            at("1000-01-01T00:00:00"),
            at("2024-01-01T00:00:00.000001"),
            time("-838:59:59"),
        ],
        [vec![Int(3)], vec![Null; 12]].concat(),
    ]
}

pub(super) fn context() -> SessionContext {
    context_of(&table(), &values())
}

/// A session with one table, `n`.
pub(super) fn context_of(table: &TableDef, values: &[Vec<Value>]) -> SessionContext {
    let mut config = SessionConfig::new().with_target_partitions(2);
    config.options_mut().sql_parser.parse_float_as_decimal = true;
    config.options_mut().execution.time_zone = Some("+00:00".to_owned());
    let builder = SessionStateBuilder::new().with_config(config).with_default_features();
    let context = SessionContext::new_with_state(register(builder, Arc::new(Collations::new([], []))).build());
    let batch = rows(table, values);
    context
        .register_table("n", Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]]).unwrap()))
        .unwrap();
    context
}

pub(super) async fn read(context: &SessionContext, sql: &str) -> Result<LogicalPlan> {
    let state = context.state();
    let mut statement = state.sql_to_statement(sql, &datafusion::config::Dialect::PostgreSQL)?;
    if let Statement::Statement(statement) = &mut statement {
        rewrite_conditions(statement);
    }
    state.statement_to_plan(statement).await
}

pub(super) async fn run(context: &SessionContext, plan: LogicalPlan) -> Result<String> {
    let physical = context.state().create_physical_plan(&plan).await?;
    let batches = datafusion::physical_plan::collect(physical, context.task_ctx()).await?;
    let options = FormatOptions::new().with_null("-");
    let mut lines = Vec::new();
    for batch in &batches {
        batch.columns().iter().try_for_each(|column| check_digits(column))?;
        let columns: Vec<_> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
        let line = |row| columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|");
        lines.extend((0..batch.num_rows()).map(line));
    }
    Ok(lines.join("\n"))
}

/// Rows, or the error.
async fn answer(sql: &str) -> String {
    answer_of(&context(), sql).await
}

pub(super) async fn answer_of(context: &SessionContext, sql: &str) -> String {
    let answered = async { run(context, read(context, sql).await?).await };
    answered.await.unwrap_or_else(|error| error.to_string())
}

async fn check(cases: &[(&str, &str)]) {
    check_of(&context(), cases).await;
}

pub(super) async fn check_of(context: &SessionContext, cases: &[(&str, &str)]) {
    let mut wrong = Vec::new();
    for (sql, expected) in cases {
        let found = answer_of(context, sql).await;
        if found != *expected {
            wrong.push(format!("{sql}\n  expected {expected:?}\n  found    {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn whole_numbers_are_computed_on_as_bigints() {
    check(&[
        ("SELECT i*i, t*t, tu+tu FROM n WHERE id < 3 ORDER BY id", "2500000000|16129|510\n4611686018427387904|16384|0"),
        ("SELECT count(*) FROM n WHERE i*i < 0 OR t*t < 0", "0"),
        ("SELECT sum(i*i) FROM n", "4611686020927387904"),
        ("SELECT -t, -i, -tu, abs(t), abs(i) FROM n WHERE id = 2", "128|2147483648|0|128|2147483648"),
        ("SELECT -tu, t - tu, tu - 256 FROM n WHERE id = 1", "-255|-128|-1"),
        ("SELECT -tu, -tu AS n FROM n WHERE id = 1", "-255|-255"),
        ("SELECT i*i, i*i AS n, i*i+1 FROM n WHERE id = 1", "2500000000|2500000000|2500000001"),
        ("SELECT b-i, b-i AS n FROM n WHERE id = 1", "9223372036854725807|9223372036854725807"),
        ("SELECT sum(b-i), max(b-i) FROM n WHERE id = 1", "9223372036854725807|9223372036854725807"),
        ("SELECT t / -1, t % 100 FROM n WHERE id = 2", "128|-28"),
        ("SELECT bu - 10, bu * t, bu + bu FROM n WHERE id = 2", "-3|-896|14"),
        ("SELECT i + 1 FROM n WHERE id = 3", "-"),
        ("SELECT bu + 1, -bu FROM n WHERE id = 1", "18446744073709551616|-18446744073709551615"),
        ("SELECT tu + true FROM n WHERE id = 1", "256"),
        ("SELECT i+1, count(*) FROM n WHERE id < 3 GROUP BY i+1 ORDER BY i+1", "-2147483647|1\n50001|1"),
        ("SELECT x FROM (SELECT i*i AS x FROM n) AS a WHERE EXISTS (SELECT 1 FROM n WHERE t*t*0 + 2500000000 = a.x)", "2500000000"),
        ("SELECT 2 + 3 * 4, -(2 + 3)", "14|-5"),
        (
            "SELECT q.id, l.t FROM (SELECT id, CASE WHEN id = 3 THEN 0 ELSE 0.4 END AS x FROM n) AS q \
             CROSS JOIN LATERAL (SELECT o.t FROM n AS o WHERE o.id = q.id AND 0.7 < q.x * 2) AS l ORDER BY q.id",
            "1|127\n2|-128",
        ),
        (
            "SELECT q.id FROM (SELECT id, CASE WHEN id = 3 THEN 0 ELSE 0.4 END AS x FROM n) AS q \
             WHERE EXISTS (SELECT 1 FROM n AS o WHERE o.id = q.id AND q.x * 2 = 0.8) ORDER BY q.id",
            "1\n2",
        ),
        ("SELECT DISTINCT ON (tu) tu, id FROM n WHERE id < 3 ORDER BY tu, id, id DESC", "0|2\n255|1"),
        ("SELECT array_agg(id ORDER BY id DESC, id), first_value(id ORDER BY id DESC, id) FROM n", "[3, 2, 1]|3"),
        ("SELECT 'äbc'::varchar(2), CAST('abc' AS CHAR(5)), CAST(12345 AS CHAR(3)), 'abc'::varchar", "äb|abc|123|abc"),
        (
            "SELECT x SIMILAR TO p, x NOT SIMILAR TO p, x SIMILAR TO 'B' || '%', x SIMILAR TO ('_\\_%') FROM (VALUES ('Bo', 'B%'), ('o_', 'o')) q (x, p)",
            "true|false|true|false\nfalse|true|false|true",
        ),
        ("SELECT 'a%' SIMILAR TO 'a!%' ESCAPE '!', 'ab' SIMILAR TO 'a!%' ESCAPE '!', 'a' SIMILAR TO NULL", "true|false|-"),
        ("SELECT 'abc' SIMILAR TO 'a%', 'abc' SIMILAR TO 'b', 'a.c' SIMILAR TO 'a.c', 'abc' SIMILAR TO 'a.c', 'abc' NOT SIMILAR TO '(x|a)_c'", "true|false|true|false|false"),
        (
            "SELECT 3 / (row_number() OVER w * 2), 3 / (rank() OVER w + 1), dense_rank() OVER w - 2, -ntile(2) OVER w FROM n WINDOW w AS (ORDER BY id)",
            "1|1|-1|-1\n0|1|0|-1\n0|0|1|-2",
        ),
        ("SELECT i * 2 + 1, i * 2 - t * 3 % 5 FROM n WHERE id = 1 GROUP BY i * 2, t", "100001|99999"),
    ])
    .await;
    let context = context();
    let schema = read(&context, "SELECT t + t, -tu, bu + 1, f * 2 FROM n").await.unwrap();
    let types: Vec<DataType> = schema.schema().fields().iter().map(|field| field.data_type().clone()).collect();
    assert_eq!(
        types,
        [DataType::Int64, DataType::Int64, DataType::Decimal128(21, 0), DataType::Float64],
        "known while the query is read"
    );
    let names: Vec<&str> = schema.schema().fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["n.t + n.t", "(- n.tu)", "n.bu + Int64(1)", "n.f * Int64(2)"]);
}

#[tokio::test]
async fn totals_of_totals_count_what_they_filter() {
    check(&[
        ("SELECT count(*) FILTER (WHERE c > 5), count(*) FILTER (WHERE c > 2) FROM (SELECT count(*) AS c FROM n) q", "0|1"),
        ("SELECT count(*), (SELECT count(*) FILTER (WHERE id > 1) FROM n) FROM n", "3|2"),
    ])
    .await;
}

#[tokio::test]
async fn what_is_no_pattern_of_similar_to_is_an_error() {
    for (pattern, why) in
        [("'a)|(b'", "no ( is before a )"), ("'(' || id", "no ) is behind a ("), ("'+'", "missing expression")]
    {
        let error = answer(&format!("SELECT 'ax' SIMILAR TO {pattern} FROM n")).await;
        assert!(error.contains(why), "{pattern}: {error}");
    }
}

#[tokio::test]
async fn what_leaves_64_bits_is_an_error() {
    for sql in [
        "SELECT b - 1 FROM n",
        "SELECT b * 2 FROM n",
        "SELECT b + 1 FROM n",
        "SELECT -b FROM n",
        "SELECT 9223372036854775807 + 1",
    ] {
        let error = answer(sql).await;
        assert!(error.contains("out of range"), "{sql}: {error}");
    }
    for sql in ["SELECT d * d FROM n", "SELECT d * 1e10 FROM n", "SELECT 1e0 / (d * d) FROM n"] {
        let error = answer(sql).await;
        assert!(error.contains("DOUBLE value is out of range"), "{sql}: {error}");
    }
    let error = answer("SELECT 1e400").await;
    assert!(error.contains("1e400 is not a double"), "{error}");
}

#[tokio::test]
async fn by_zero_there_is_no_quotient_and_no_remainder() {
    check(&[
        ("SELECT sum(d / 0), sum(d / (d - d)), sum(d % 0), sum(f / (f - f)) FROM n", "-|-|-|-"),
        ("SELECT 1 / 0, 1 % 0, 1.5 / 0, 1.5 % 0, 1 / 0.0, 1 % 0.0, 1e0 / 0, 1e0 % -0e0", "-|-|-|-|-|-|-|-"),
        ("SELECT i / (i - i), i % (t - t), i / 0, b % 0 FROM n", "-|-|-|-\n-|-|-|-\n-|-|-|-"),
        ("SELECT bu / (bu - bu), bu % (tu - tu), bu / (b - b), i / (bu - bu), 7 / (bu * 0) FROM n WHERE id = 2", "-|-|-|-|-"),
        ("SELECT bu / tu, bu % tu FROM n WHERE id < 3 ORDER BY id", "72340172838076673|0\n-|-"),
        ("SELECT amount / (amount - amount), amount % (i - i), 7 / (amount * 0), amount / 0 FROM n WHERE id = 1", "-|-|-|-"),
        (
            "SELECT amount * amount * amount / (amount * 0), (amount * amount * amount) % (amount * 0.000000) FROM n WHERE id = 1",
            "-|-",
        ),
        ("SELECT id FROM n WHERE tu <> 0 AND 255 / tu = 1 ORDER BY id", "1"),
        ("SELECT id FROM n WHERE 255.0 / tu > 0.5 OR 7 % tu = 7 ORDER BY id", "1"),
        ("SELECT count(*) FROM n WHERE NOT 255 / tu = 1", "0"),
        ("SELECT id, 255 / tu FROM n GROUP BY id, 255 / tu ORDER BY id", "1|1\n2|-\n3|-"),
    ])
    .await;
}

#[tokio::test]
async fn try_cast_gives_null_where_a_decimal_has_no_room() {
    let wide = "123456789012345678901234567890123456789012.5";
    check(&[
        (&format!("SELECT TRY_CAST({wide} AS BIGINT), TRY_CAST(-{wide} AS INT)"), "-|-"),
        ("SELECT TRY_CAST(00000000000000000000000000000000000000012.5 AS BIGINT)", "13"),
        (
            "SELECT CAST(2.5 AS INT), CAST(-2.5 AS INT), CAST(7431.64 AS BIGINT), CAST(2.5e0 AS INT), CAST(3.5e0 AS INT), TRY_CAST(1e30 AS INT)",
            "3|-3|7432|2|4|-",
        ),
        (
            "SELECT CAST(0.1e0 AS DECIMAL(30,25)), CAST(1e10 AS DECIMAL(30,15)), CAST(1.005e0 AS DECIMAL(10,2)), TRY_CAST(1e30 AS DECIMAL(10,2))",
            "0.1000000000000000000000000|10000000000.000000000000000|1.01|-",
        ),
        ("SELECT CAST(7723492447231358.617 AS DOUBLE) = 7723492447231358.617 + 0e0", "true"),
        ("SELECT TRY_CAST(amount * amount * amount AS BIGINT) FROM n ORDER BY id", "1\n-\n-"),
    ])
    .await;
    for (sql, kind) in [
        ("SELECT CAST(dt AS INT) FROM n", "a date"),
        ("SELECT dtm::bigint FROM n", "a moment"),
        ("SELECT CAST(tm AS DOUBLE) FROM n", "a time"),
        ("SELECT CAST(INTERVAL '1 day' AS BIGINT) FROM n", "an interval"),
    ] {
        let error = answer(sql).await;
        assert!(
            error.contains(&format!(", {kind}, is cast to")) && error.contains("extract(epoch FROM"),
            "{sql}: {error}"
        );
    }
    let error = answer(&format!("SELECT CAST({wide} AS BIGINT)")).await;
    assert!(error.contains("BIGINT value is out of range"), "{error}");
}

#[tokio::test]
async fn floats_meet_other_numbers_as_doubles() {
    check(&[
        ("SELECT id FROM n WHERE f > 1.0 ORDER BY id", "1\n2"),
        ("SELECT id FROM n WHERE f = 1.1", ""),
        ("SELECT id FROM n WHERE d = 1.1", "1"),
        ("SELECT id FROM n WHERE f = 16777217", ""),
        ("SELECT id FROM n WHERE f = 16777216", "2"),
        ("SELECT id FROM n WHERE f IN (1.1, 16777216)", "2"),
        ("SELECT id FROM n WHERE f BETWEEN 1.0 AND 1.2", "1"),
        ("SELECT id FROM n WHERE d > 1e299 AND d < 1e308", "2"),
        ("SELECT id FROM n WHERE d = 5e-324 OR d > 1.5", "2"),
        ("SELECT id FROM n WHERE d = amount", "1"),
        ("SELECT a.id, b.id FROM n a JOIN n b ON a.d = b.amount", "1|1"),
        ("SELECT a.id, b.id FROM n a JOIN n b ON a.f = b.amount", ""),
        ("SELECT id FROM n WHERE round(f, 1) = 1.1", "1"),
        ("SELECT CASE f WHEN 1.1 THEN 'same' ELSE 'other' END FROM n WHERE id = 1", "other"),
        ("SELECT id FROM n WHERE d IN (SELECT amount FROM n)", "1"),
        ("SELECT f * 1.5 FROM n WHERE id = 2", "25165824.0"),
        ("SELECT coalesce(d, 0.5) FROM n ORDER BY id", "1.1\n1e300\n0.5"),
        ("SELECT CASE WHEN id = 3 THEN 0.5 ELSE d END FROM n ORDER BY id", "1.1\n1e300\n0.5"),
        ("SELECT d FROM n WHERE id = 2 UNION ALL SELECT 0.5 ORDER BY 1", "0.5\n1e300"),
        ("SELECT 1.5e3, -1e-3", "1500.0|-0.001"),
    ])
    .await;
}

#[tokio::test]
async fn days_and_moments_meet_in_any_year() {
    check(&[
        ("SELECT id FROM n WHERE dt > now()", "1"),
        ("SELECT id FROM n WHERE dtm > now() OR dtm < now() - INTERVAL '500 years' ORDER BY id", "1\n2"),
        ("SELECT id FROM n WHERE dt >= TIMESTAMP '2024-01-01 00:00:00'", "1"),
        ("SELECT id FROM n WHERE dt = dtm", "2"),
        ("SELECT id FROM n WHERE dt < dtm", "1"),
        ("SELECT id FROM n WHERE dt > ts", "1"),
        ("SELECT id FROM n WHERE dtm < DATE '9999-12-31'", "2"),
        ("SELECT id FROM n WHERE dtm BETWEEN dt AND '9999-12-31 23:59:59.999999' ORDER BY id", "1\n2"),
        ("SELECT id FROM n WHERE dtm IN (dt, dt)", "2"),
        ("SELECT id FROM n WHERE dtm IN (SELECT dt FROM n)", "2"),
        ("SELECT a.id FROM n a JOIN n b ON a.dt = b.dtm", "2"),
        (
            "SELECT date_trunc('month', dt), date_trunc('year', dtm) FROM n WHERE id < 3 ORDER BY id",
            "9999-12-01T00:00:00|9999-01-01T00:00:00\n1000-01-01T00:00:00|1000-01-01T00:00:00",
        ),
        (
            "SELECT coalesce(dt, dtm), greatest(dt, dtm) FROM n WHERE id = 1",
            "9999-12-31T00:00:00|9999-12-31T23:59:59.999999",
        ),
        (
            "SELECT CASE WHEN id = 1 THEN dt ELSE dtm END FROM n WHERE id < 3 ORDER BY id",
            "9999-12-31T00:00:00\n1000-01-01T00:00:00",
        ),
        (
            "SELECT dt FROM n WHERE id = 1 UNION ALL SELECT dtm FROM n WHERE id = 2 ORDER BY 1",
            "1000-01-01T00:00:00\n9999-12-31T00:00:00",
        ),
        ("SELECT count(*) FROM (SELECT dt FROM n WHERE id = 2 UNION SELECT dtm FROM n WHERE id = 2) AS u", "1"),
        (
            "SELECT coalesce(dt, '2000-01-01'), coalesce(dtm, '1600-01-01'), nvl(ts, '2000-01-01 10:00:00') FROM n WHERE id = 3",
            "2000-01-01|1600-01-01T00:00:00|2000-01-01T10:00:00Z",
        ),
        ("SELECT id FROM n WHERE coalesce(dt, '2000-01-01') = '2000-01-01'", "3"),
        ("SELECT coalesce('2000-01-01', dt), greatest(dt, '1999-01-01') FROM n WHERE id = 2", "2000-01-01|1999-01-01"),
        ("SELECT CASE dtm WHEN dt THEN 'same' ELSE 'other' END FROM n WHERE id = 2", "same"),
    ])
    .await;
}

#[tokio::test]
async fn moments_may_be_written_in_short() {
    check(&[
        ("SELECT id FROM n WHERE dtm > '2024-1-5'", "1"),
        ("SELECT id FROM n WHERE dtm = '1000-1-1 0:0'", "2"),
        ("SELECT id FROM n WHERE ts > '2024-07-01 11:59'", "1"),
        ("SELECT id FROM n WHERE ts BETWEEN '2024-1-1' AND '2024-1-1 0:0:0.000002'", "2"),
        ("SELECT id FROM n WHERE ts IN ('2024-7-1 12', '2024-7-1 13:00')", "1"),
        ("SELECT id FROM n WHERE dt = '1000-1-1 00:00'", "2"),
        (
            "SELECT TIMESTAMP '2024-12-31 10:00', CAST(' 2024-1-5 ' AS TIMESTAMP)",
            "2024-12-31T10:00:00|2024-01-05T00:00:00",
        ),
        (
            "SELECT TRY_CAST('2024-1-5 1:2' AS TIMESTAMP), TRY_CAST('2024-13-5 1:2' AS TIMESTAMP)",
            "2024-01-05T01:02:00|-",
        ),
        ("SELECT coalesce(dtm, '1600-1-1') FROM n WHERE id = 3", "1600-01-01T00:00:00"),
        ("SELECT CASE WHEN ts >= TIMESTAMP '2024-7-1 12:00' THEN 1 ELSE 0 END FROM n WHERE id = 1", "1"),
    ])
    .await;
    for text in [
        "2024-12-31 24:00",
        "2024-12-31 10:60",
        "2024-13-1",
        "2024-2-30",
        "24-1-5",
        "2024-1-5 1:2.5",
        "2024-1-5 +1:2",
        "soon",
    ] {
        let error = answer(&format!("SELECT id FROM n WHERE dtm > '{text}'")).await;
        assert!(error.contains("is not a date and time"), "{text}: {error}");
    }
}

#[tokio::test]
async fn moments_of_any_year_are_binned_and_made() {
    check(&[
        (
            "SELECT date_bin(INTERVAL '1 day', dtm), date_bin(INTERVAL '3 months', dt), date_bin(INTERVAL '12 hours', ts) FROM n ORDER BY id",
            "9999-12-31T00:00:00|9999-10-01T00:00:00|2024-07-01T12:00:00Z\n\
             1000-01-01T00:00:00|1000-01-01T00:00:00|2024-01-01T00:00:00Z\n-|-|-",
        ),
        ("SELECT date_bin(INTERVAL '7 days', ts, TIMESTAMP '2024-06-30 06:00:00') FROM n WHERE id = 1", "2024-06-30T06:00:00Z"),
        ("SELECT date_bin('1 hour', TIMESTAMP '2024-06-30 06:07:00'), date_bin(NULL, dtm) FROM n WHERE id = 1", "2024-06-30T06:00:00|-"),
        ("SELECT date_bin(INTERVAL '1 day', dtm) AS day, count(*) FROM n GROUP BY day ORDER BY day", "1000-01-01T00:00:00|1\n9999-12-31T00:00:00|1\n-|1"),
        ("SELECT to_timestamp(253402300799), to_timestamp(-30610224000)", "9999-12-31T23:59:59Z|1000-01-01T00:00:00Z"),
        ("SELECT to_timestamp(1.5), to_timestamp(253402300799.5e0), to_timestamp(NULL)", "1970-01-01T00:00:01.500Z|9999-12-31T23:59:59.500Z|-"),
        ("SELECT to_timestamp('9999-12-31 23:59:59'), to_timestamp('31/12/2024', '%d/%m/%Y')", "9999-12-31T23:59:59Z|2024-12-31T00:00:00Z"),
        ("SELECT to_timestamp(dtm), to_timestamp(i) FROM n WHERE id = 1", "9999-12-31T23:59:59.999999Z|1970-01-01T13:53:20Z"),
    ])
    .await;
    for (sql, named) in [
        ("SELECT to_timestamp(9223372036854775807)", "to_timestamp"),
        ("SELECT to_timestamp(d) FROM n", "to_timestamp"),
        ("SELECT date_bin(INTERVAL '1 month 1 day', dtm) FROM n", "date_bin"),
        ("SELECT date_bin(INTERVAL '-1 day', dtm) FROM n", "date_bin"),
        ("SELECT date_bin(id, dtm) FROM n", "date_bin"),
    ] {
        let error = answer(sql).await;
        assert!(error.contains(named), "{sql}: {error}");
    }
}

#[tokio::test]
async fn times_and_zones_are_shown_as_clocks_do() {
    check(&[
        (
            "SELECT tm::text, concat(tm, ''), tm || '!' FROM n WHERE id < 3 ORDER BY id",
            "34:00:00|34:00:00|34:00:00!\n-838:59:59|-838:59:59|-838:59:59!",
        ),
        ("SELECT tm::text FROM n WHERE id = 3", "-"),
        ("SELECT id FROM n WHERE coalesce(tm, '00:00:00') = '00:00:00'", "3"),
        ("SELECT coalesce(tm, 'none') FROM n ORDER BY id", "34:00:00\n-838:59:59\nnone"),
        (
            "SELECT ts AT TIME ZONE 'Europe/Berlin' FROM n WHERE id < 3 ORDER BY id",
            "2024-07-01T14:00:00\n2024-01-01T01:00:00.000001",
        ),
        (
            "SELECT (ts AT TIME ZONE 'Europe/Berlin') AT TIME ZONE 'Europe/Berlin' = ts FROM n WHERE id = 1",
            "true",
        ),
        ("SELECT dtm AT TIME ZONE '+02:00' FROM n WHERE id = 2", "0999-12-31T22:00:00Z"),
    ])
    .await;
    let error = answer("SELECT ts AT TIME ZONE 'Mars/Olympus' FROM n").await;
    assert!(error.contains("there is no time zone \"Mars/Olympus\""), "{error}");
}

#[tokio::test]
async fn any_of_a_list_is_in() {
    check(&[
        ("SELECT id FROM n WHERE bu = ANY(ARRAY[7, 8])", "2"),
        ("SELECT id FROM n WHERE tu = ANY(ARRAY[255, 0]) ORDER BY id", "1\n2"),
        ("SELECT id FROM n WHERE NOT bu = ANY(ARRAY[7, NULL])", ""),
        ("SELECT id FROM n WHERE f = ANY(ARRAY[1.1, 16777216])", "2"),
    ])
    .await;
    let context = context();
    let plan = read(&context, "SELECT id FROM n WHERE bu = ANY($1)").await.unwrap();
    let with = async |values: Vec<Option<i64>>| {
        let values: Vec<ScalarValue> = values.into_iter().map(ScalarValue::Int64).collect();
        let list = ScalarValue::List(ScalarValue::new_list(&values, &DataType::Int64, true));
        let plan = plan.clone().replace_params_with_values(&ParamValues::from(vec![list])).unwrap();
        run(&context, plan).await.unwrap()
    };
    assert_eq!(with(vec![Some(7), None]).await, "2");
    assert_eq!(with(vec![]).await, "");
}

#[tokio::test]
async fn parameters_are_as_wide_as_what_is_computed() {
    let context = context();
    let plan = read(&context, "SELECT id FROM n WHERE f > $1 AND i * $2 > 0").await.unwrap();
    let types = plan.get_parameter_types().unwrap();
    assert_eq!(types["$1"], Some(DataType::Float64));
    assert_eq!(types["$2"], Some(DataType::Int64));
    let values = vec![ScalarValue::Float64(Some(1.0)), ScalarValue::Int64(Some(50_000))];
    let plan = plan.replace_params_with_values(&ParamValues::from(values)).unwrap();
    assert_eq!(run(&context, plan).await.unwrap(), "1");
}
