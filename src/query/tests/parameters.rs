//! Placeholders: what a value does in one, and which columns a client is promised before it gives any.

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::scalar::ScalarValue;

use crate::query::testing::{Shop, lines};
use crate::query::{QueryErrorKind, Reason, Session};

async fn answer(session: &mut Session, sql: &str, params: Vec<ScalarValue>) -> String {
    let answered = async {
        let answer = session.query(sql, params).await?;
        answer.rows.collect().await
    };
    match answered.await {
        Ok(batches) => lines(&batches).join(" "),
        Err(error) => format!("{:?}", error.kind),
    }
}

#[tokio::test]
async fn what_execute_is_given_is_computed_within_bounds() {
    let shop = Shop::new();
    let mut session = shop.session();
    for (sql, expected) in [
        ("PREPARE p AS SELECT $1 * 2", ""),
        ("EXECUTE p(1.5 * 3)", "9.0"),
        ("EXECUTE p(CASE WHEN 1 = 1 THEN 0.5 ELSE 1 END + 1)", "3.0"),
        ("EXECUTE p(arrow_cast(NULL, 'FixedSizeList(1000000, FixedSizeBinary(1000000000))'))", "Limit"),
        ("EXECUTE p(length(repeat('x', 16000000) || repeat('x', 16000000)))", "Invalid"),
        ("EXECUTE p(id)", "Name"),
    ] {
        assert_eq!(answer(&mut session, sql, vec![]).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn a_value_does_what_a_literal_in_its_place_does() {
    let shop = Shop::new();
    let mut session = shop.session();
    let decimal = |value, precision, scale| ScalarValue::Decimal128(Some(value), precision, scale);
    let int = |value| ScalarValue::Int64(Some(value));
    let cases = [
        ("SELECT id FROM users WHERE id > ?", int(-1), "-1"),
        ("SELECT id FROM users WHERE id = ?", decimal(14, 2, 1), "1.4"),
        ("SELECT id FROM users WHERE id < ?", decimal(14, 2, 1), "1.4"),
        ("SELECT id FROM users WHERE id < ?", decimal(1 << 65, 20, 0), "36893488147419103232"),
        ("SELECT id FROM users WHERE id < ?", ScalarValue::Float64(Some(1.4)), "1.4"),
        ("SELECT id FROM users WHERE balance = ?", decimal(10504, 5, 3), "10.504"),
        ("SELECT id FROM users WHERE balance < ?", decimal(10504, 5, 3), "10.504"),
        ("SELECT id FROM users WHERE balance <= ?", int(7), "7"),
        (
            "SELECT id FROM users WHERE balance < ?",
            decimal(10_i128.pow(28), 29, 0),
            "10000000000000000000000000000",
        ),
        ("SELECT id FROM users WHERE balance = ?", ScalarValue::Float64(Some(10.5)), "10.5"),
        ("SELECT id FROM users WHERE name = ?", ScalarValue::from("Ada"), "'Ada'"),
        ("SELECT id FROM users WHERE createdAt < ?", ScalarValue::from("2022-01-09"), "'2022-01-09'"),
        ("SELECT id FROM users WHERE createdAt < ?", ScalarValue::Date32(Some(19_001)), "DATE '2022-01-09'"),
        ("SELECT CAST(? AS SMALLINT) * 1000", int(30), "30"),
        ("SELECT id * ? FROM users", int(1 << 40), "1099511627776"),
        ("SELECT id + ? FROM users", decimal(15, 2, 1), "1.5"),
        ("SELECT id / ? FROM users", int(2), "2"),
        ("SELECT id FROM users ORDER BY id LIMIT ?", int(1), "1"),
        ("SELECT id FROM users ORDER BY id LIMIT ?", ScalarValue::from("1"), "1"),
        ("SELECT id FROM users ORDER BY id OFFSET ? LIMIT 1", ScalarValue::from("1"), "1"),
        ("SELECT id FROM users ORDER BY id LIMIT 1 + ?", ScalarValue::from("1"), "1"),
        ("SELECT id FROM users WHERE id = ?", ScalarValue::Null, "NULL"),
        (
            "SELECT id FROM users WHERE id = ANY(?) ORDER BY id",
            ScalarValue::from("{1,NULL,3}"),
            "ARRAY[1, NULL, 3]",
        ),
        ("SELECT id FROM users WHERE id <> ALL(?) ORDER BY id", ScalarValue::from("{1,3}"), "ARRAY[1, 3]"),
        ("SELECT id FROM users WHERE id <> ALL(?)", ScalarValue::from("{1,NULL}"), "ARRAY[1, NULL]"),
        ("SELECT id FROM users WHERE name = ANY(?)", ScalarValue::from("{\"Ada\"}"), "ARRAY['Ada']"),
        ("SELECT id FROM users WHERE name = ANY(?::text[])", ScalarValue::from("{Ada}"), "'{Ada}'"),
        ("SELECT id FROM users WHERE id = ANY(?::int[])", ScalarValue::from("{2}"), "ARRAY[2]"),
        ("SELECT id FROM users WHERE balance = ANY(?)", ScalarValue::from("{10.50}"), "'{10.50}'"),
        (
            "SELECT id FROM users WHERE createdAt = ANY(?)",
            ScalarValue::from("{2022-01-09}"),
            "ARRAY['2022-01-09']",
        ),
        ("SELECT left(name, ?) FROM users WHERE id = 1", ScalarValue::from("2"), "2"),
        ("SELECT round(balance, ?) FROM users WHERE id = 1", ScalarValue::from("1"), "1"),
    ];
    for (sql, value, literal) in cases {
        let expect = answer(&mut session, &sql.replace('?', literal), vec![]).await;
        assert_eq!(answer(&mut session, &sql.replace('?', "$1"), vec![value]).await, expect, "{sql} {literal}");
    }
}

#[tokio::test]
async fn the_columns_of_a_prepared_statement_are_those_of_its_answer() {
    let shop = Shop::new();
    let mut session = shop.session();
    let five = || ScalarValue::Int64(Some(-5));
    let int = || Some(DataType::Int32);
    for (sql, declared, value, promised) in [
        ("SELECT abs($1)", int(), five(), DataType::Int64),
        ("SELECT $1", int(), five(), DataType::Int64),
        ("SELECT $1", int(), ScalarValue::Null, DataType::Int64),
        ("SELECT max(x) FROM (VALUES ($1)) v (x)", int(), five(), DataType::Int64),
        ("SELECT user_id + $1 FROM orders", int(), five(), DataType::Int64),
        ("SELECT $1 + 1", None, five(), DataType::Int64),
        ("SELECT sum(user_id * $1) FROM orders", int(), five(), DataType::Decimal128(30, 0)),
    ] {
        let prepared = session.prepare_declared(sql, vec![declared]).await.unwrap();
        assert_eq!(prepared.schema.field(0).data_type(), &promised, "{sql}");
        let rows = session.execute(&prepared, vec![value]).await.unwrap().rows;
        assert_eq!(rows.schema.field(0).data_type(), &promised, "{sql}");
        rows.collect().await.unwrap();
    }
    let untyped = session.prepare("SELECT $1").await.unwrap();
    let rows = session.execute(&untyped, vec![five()]).await.unwrap().rows;
    assert_eq!(rows.schema.field(0).data_type(), &DataType::Utf8, "what has no type is promised as text");
    assert_eq!(lines(&rows.collect().await.unwrap()), ["-5"]);

    let prepared = session.prepare("SELECT $1 + 1").await.unwrap();
    let error = session.execute(&prepared, vec![ScalarValue::Decimal128(Some(15), 2, 1)]).await.unwrap_err();
    assert_eq!(error.kind, QueryErrorKind::Invalid);
    assert!(error.hint.is_some_and(|hint| hint.contains("$1::numeric")), "nothing is rounded unasked");
}

#[tokio::test]
async fn drivers_that_declare_no_types_are_told_them() {
    let shop = Shop::new();
    let mut session = shop.session();
    let list = |item| DataType::new_list(item, true);
    for (sql, expect) in [
        ("SELECT id FROM users LIMIT $1 OFFSET $2", vec![DataType::Int64, DataType::Int64]),
        ("SELECT id FROM users LIMIT ($1 - 1)", vec![DataType::Int64]),
        ("SELECT id FROM (SELECT id FROM users ORDER BY id LIMIT $1) x", vec![DataType::Int64]),
        ("SELECT id FROM users WHERE id = ANY($1)", vec![list(DataType::UInt64)]),
        ("SELECT id FROM orders WHERE user_id <> ALL($1)", vec![list(DataType::Int64)]),
        ("SELECT id FROM users WHERE name = ANY($1)", vec![list(DataType::Utf8)]),
        (
            "SELECT id FROM users WHERE id IN (SELECT user_id FROM orders WHERE total = ANY($1))",
            vec![list(DataType::Decimal128(10, 2))],
        ),
        ("SELECT substr(name, $1, $2) FROM users", vec![DataType::Int64, DataType::Int64]),
        ("SELECT left(name, $1) FROM users", vec![DataType::Int64]),
    ] {
        let prepared = session.prepare(sql).await.unwrap();
        let types: Vec<_> = prepared.parameter_types.into_iter().flatten().collect();
        assert_eq!(types, expect, "{sql}");
    }
    let error =
        session.query("SELECT id FROM users LIMIT $1", vec![ScalarValue::from("many")]).await.unwrap_err();
    assert_eq!((error.kind, error.reason), (QueryErrorKind::Invalid, Some(Reason::Value)));
}

#[tokio::test]
async fn what_has_no_type_without_its_parameters_takes_the_declared_ones() {
    let shop = Shop::new();
    let mut session = shop.session();
    let day = DataType::Interval(IntervalUnit::MonthDayNano);
    for (sql, declared, value, expect) in [
        ("SELECT sum($1) FROM users", DataType::Int16, ScalarValue::Int64(Some(2)), "6"),
        (
            "SELECT createdAt + $1 FROM users WHERE id = 1",
            day,
            ScalarValue::new_interval_mdn(0, 1, 0),
            "2022-01-09T00:00:00",
        ),
    ] {
        let prepared = session.prepare_declared(sql, vec![Some(declared)]).await.unwrap();
        let rows = session.execute(&prepared, vec![value]).await.unwrap().rows;
        assert_eq!(lines(&rows.collect().await.unwrap()), [expect], "{sql}");
    }
    let nope = session.prepare_declared("SELECT nope($1)", vec![Some(DataType::Int16)]).await.unwrap_err();
    assert_eq!(nope.reason, Some(Reason::UnknownFunction));
}

#[tokio::test]
async fn one_value_may_be_held_against_several_columns() {
    let shop = Shop::new();
    let mut session = shop.session();
    let either = "SELECT o.id FROM orders o JOIN users u ON u.id = o.user_id WHERE o.id = $1 OR u.balance = $1 OR o.user_id = $1 \
                  ORDER BY 1";
    for (value, expected) in [
        (ScalarValue::Int64(Some(11)), "11"),
        (ScalarValue::Int64(Some(1)), "10 11"),
        (ScalarValue::from("10.50"), "10 11"),
        (ScalarValue::Int64(Some(1 << 40)), ""),
    ] {
        assert_eq!(answer(&mut session, either, vec![value.clone()]).await, expected, "{value}");
    }
    let text = "SELECT id FROM users WHERE name = $1 OR id::text = $1 ORDER BY 1";
    assert_eq!(answer(&mut session, text, vec![ScalarValue::from("2")]).await, "2");
    let counted = "SELECT id FROM users WHERE id >= $1 ORDER BY id LIMIT $1";
    assert_eq!(answer(&mut session, counted, vec![ScalarValue::Int64(Some(2))]).await, "2 3");
}
