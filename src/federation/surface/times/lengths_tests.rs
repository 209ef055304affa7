//! Intervals are compared as PostgreSQL compares them, wherever they meet.

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::{ParamValues, ScalarValue};

use crate::federation::surface::tests::{answer_of, check_of, context, read, run};

/// Intervals of some lengths, two of which are equal.
const SOME: &str = "(VALUES (1, INTERVAL '25 hours'), (2, INTERVAL '1 day'), (3, INTERVAL '24 hours'), (4, INTERVAL '1 month'), \
     (5, INTERVAL '-1 month 29 days'), (6, NULL)) AS some(id, x)";

#[tokio::test]
async fn intervals_are_compared_by_their_lengths() {
    check_of(&context(), &[
        (
            "SELECT INTERVAL '25 hours' > INTERVAL '1 day', INTERVAL '40 days' > INTERVAL '1 month', \
             INTERVAL '3 days' = INTERVAL '72 hours', \
             TIMESTAMP '2024-01-04' - TIMESTAMP '2024-01-01' = INTERVAL '3 days'",
            "true|true|true|true",
        ),
        ("SELECT INTERVAL '1 month' = INTERVAL '30 days', INTERVAL '1 year' < INTERVAL '365 days'", "true|true"),
        ("SELECT INTERVAL '-1 day' < INTERVAL '-23 hours', INTERVAL '1 day -24 hours' = INTERVAL '0 days'", "true|true"),
        ("SELECT id FROM n WHERE tm > INTERVAL '1 day' ORDER BY id", "1"),
        ("SELECT id FROM n WHERE INTERVAL '1 day 10 hours' = tm", "1"),
        ("SELECT id FROM n WHERE tm < INTERVAL '-34 days'", "2"),
        ("SELECT id FROM n WHERE ts - TIMESTAMP '2024-01-01' > INTERVAL '1 day'", "1"),
        ("SELECT a.id, b.id FROM n a JOIN n b ON a.dtm - b.dtm > INTERVAL '8999 years'", "1|2"),
        ("SELECT id FROM n WHERE ts - TIMESTAMP '2024-01-01' BETWEEN INTERVAL '6 months 1 day' AND INTERVAL '1 year'", "1"),
        ("SELECT id FROM n WHERE ts - TIMESTAMP '2024-01-01' NOT BETWEEN INTERVAL '1 hour' AND INTERVAL '1 year'", "2"),
        ("SELECT id FROM n WHERE tm IN (INTERVAL '1 day 10 hours', INTERVAL '1 day')", "1"),
        ("SELECT id FROM n WHERE tm NOT IN (INTERVAL '34 hours') ORDER BY id", "2"),
        ("SELECT id FROM n WHERE tm > INTERVAL '33 hours' AND tm < '34:00:01'", "1"),
        ("SELECT id FROM n WHERE tm BETWEEN '00:00:00' AND INTERVAL '2 days'", "1"),
        ("SELECT INTERVAL '1 day' IS DISTINCT FROM INTERVAL '24 hours', INTERVAL '1 day' IS DISTINCT FROM NULL", "false|true"),
        ("SELECT INTERVAL '1 day' > NULL, INTERVAL '1 day' > '5 hours', '1 month' = INTERVAL '30 days'", "-|true|true"),
        (
            "SELECT id, CASE WHEN tm > INTERVAL '1 day' THEN 'long' WHEN tm > INTERVAL '0 days' THEN 'short' ELSE 'none' END FROM n ORDER BY id",
            "1|long\n2|none\n3|none",
        ),
        ("SELECT CASE INTERVAL '24 hours' WHEN INTERVAL '1 day' THEN 'same' ELSE 'other' END", "same"),
        ("SELECT nullif(INTERVAL '24 hours', INTERVAL '1 day'), nullif(INTERVAL '25 hours', INTERVAL '1 day')::text", "-|25 hours"),
        ("SELECT id FROM n WHERE coalesce(tm, INTERVAL '0 days') > INTERVAL '1 day'", "1"),
        (
            "SELECT id, ts - lag(ts) OVER (ORDER BY id DESC) > INTERVAL '30 days' FROM n WHERE id < 3 ORDER BY id",
            "1|true\n2|-",
        ),
        ("SELECT a.id, b.id FROM n a JOIN n b ON a.ts - b.ts > INTERVAL '1 month'", "1|2"),
        (
            "SELECT a.id, b.id FROM n a JOIN (VALUES (1, INTERVAL '34 hours'), (2, INTERVAL '33 hours')) AS b(id, x) ON a.tm = b.x",
            "1|1",
        ),
        ("SELECT id FROM n WHERE tm IN (SELECT INTERVAL '1 day 10 hours')", "1"),
        ("SELECT id FROM n WHERE tm > ALL (SELECT INTERVAL '1 day')", "1"),
        ("SELECT id FROM n WHERE EXISTS (SELECT 1 FROM (SELECT INTERVAL '34 hours' AS x) AS i WHERE i.x = n.tm)", "1"),
    ])
    .await;
}

#[tokio::test]
async fn intervals_are_read_and_multiplied_as_in_postgresql() {
    check_of(
        &context(),
        &[
            ("SELECT INTERVAL '01:30:00' = INTERVAL '90 minutes', INTERVAL '-1:30' = INTERVAL '-90 minutes'", "true|true"),
            ("SELECT INTERVAL '1 day 12:00:01.5' = INTERVAL '36 hours 1500 milliseconds'", "true"),
            ("SELECT TIMESTAMP '2024-01-01' + INTERVAL '01:30:00.5'", "2024-01-01T01:30:00.500"),
            ("SELECT id FROM n WHERE tm > INTERVAL '33:59:59' AND INTERVAL '34:00:01' > tm", "1"),
            ("SELECT 3 * INTERVAL '1 day' = INTERVAL '72 hours', INTERVAL '1 month' * -2 = INTERVAL '-60 days'", "true|true"),
            ("SELECT id, DATE '2024-01-31' + id * INTERVAL '1 month' FROM n ORDER BY id", "1|2024-02-29\n2|2024-03-31\n3|2024-04-30"),
            ("SELECT tu * INTERVAL '1 day' > INTERVAL '254 days' FROM n ORDER BY id", "true\nfalse\n-"),
            ("SELECT id FROM n WHERE ts > TIMESTAMP '2024-01-01' + 100 * INTERVAL '1 day'", "1"),
            ("SELECT NULL * INTERVAL '1 day' IS NULL, (i - i) * INTERVAL '1 day' = INTERVAL '0 days' FROM n WHERE id = 1", "true|true"),
        ],
    )
    .await;
    let error = answer_of(&context(), "SELECT b * INTERVAL '1 day' FROM n").await;
    assert!(error.contains("a multiple of an interval is out of range"), "{error}");
    for text in ["1:60", "1:2:3:4", "1:2:61", "x:1", "1:"] {
        let error = answer_of(&context(), &format!("SELECT INTERVAL '{text}'")).await;
        assert!(error.contains("nterval"), "{text}: {error}");
    }
}

#[tokio::test]
async fn a_parameter_that_meets_an_interval_is_one() {
    let context = context();
    let sql = "SELECT id FROM n WHERE coalesce(tm, INTERVAL '0 days') > $1";
    let plan = read(&context, sql).await.unwrap();
    assert_eq!(plan.get_parameter_types().unwrap()["$1"], Some(DataType::Interval(IntervalUnit::MonthDayNano)));
    let day = ScalarValue::new_interval_mdn(0, 1, 0);
    let plan = plan.replace_params_with_values(&ParamValues::from(vec![day])).unwrap();
    assert_eq!(run(&context, plan).await.unwrap(), "1");
}

#[tokio::test]
async fn intervals_are_ordered_and_told_apart_by_their_lengths() {
    let context = context();
    let over = |sql: &str| sql.replace("SOME", SOME);
    for (sql, expected) in [
        ("SELECT id FROM SOME ORDER BY x, id", "5\n2\n3\n1\n4\n6"),
        ("SELECT id FROM SOME ORDER BY x DESC, id LIMIT 3", "6\n4\n1"),
        ("SELECT max(x)::text, min(x)::text FROM SOME", "1 mons|-1 mons 29 days"),
        ("SELECT max(x)::text, count(*) FROM SOME WHERE id < 4", "25 hours|3"),
        (
            "SELECT max(x) FILTER (WHERE id = 2) = INTERVAL '1 day', max(x) FILTER (WHERE id > 7) FROM SOME",
            "true|-",
        ),
        ("SELECT id % 2, max(x) = INTERVAL '30 days' FROM SOME GROUP BY id % 2 ORDER BY 1", "0|true\n1|false"),
        ("SELECT count(DISTINCT x), count(x) FROM SOME", "4|5"),
        ("SELECT count(*) FROM (SELECT DISTINCT x FROM SOME) AS d", "5"),
        ("SELECT count(*), min(id) FROM SOME GROUP BY x ORDER BY x", "1|5\n2|2\n1|1\n1|4\n1|6"),
        (
            "SELECT x::text AS shown, count(*) FROM SOME WHERE id IN (1, 4) GROUP BY x ORDER BY x",
            "25 hours|1\n1 mons|1",
        ),
        (
            "SELECT x::text AS shown, count(*) FROM SOME WHERE id < 4 GROUP BY ROLLUP (x) ORDER BY 2, 1",
            "25 hours|1\n24 hours|2\n-|3",
        ),
        (
            "SELECT DATE '2024-02-01' + x FROM (SELECT DISTINCT x FROM SOME WHERE id = 4) AS d",
            "2024-03-01T00:00:00",
        ),
        ("SELECT id, rank() OVER (ORDER BY x) FROM SOME WHERE id < 4 ORDER BY id", "1|3\n2|1\n3|1"),
        ("SELECT id, count(*) OVER (PARTITION BY x) FROM SOME WHERE id < 4 ORDER BY id", "1|1\n2|2\n3|2"),
        ("SELECT string_agg(id::text, ',' ORDER BY x, id) FROM SOME WHERE id < 6", "5,2,3,1,4"),
        ("SELECT count(*) FROM (SELECT DISTINCT ON (x) id FROM SOME WHERE id < 4 ORDER BY x, id) AS d", "2"),
        (
            "SELECT count(*) FROM (SELECT INTERVAL '1 day' AS x) AS a JOIN (SELECT INTERVAL '24 hours' AS x) AS b USING (x)",
            "1",
        ),
        (
            "SELECT id % 2, max(x) = INTERVAL '1 month' FROM SOME GROUP BY 1 HAVING max(x) > INTERVAL '26 hours'",
            "0|true",
        ),
        ("SELECT count(*) FROM (SELECT INTERVAL '1 day' AS x UNION SELECT INTERVAL '24 hours') AS u", "1"),
        ("SELECT count(*) FROM (SELECT INTERVAL '1 day' AS x INTERSECT SELECT INTERVAL '24 hours') AS u", "1"),
        ("SELECT count(*) FROM (SELECT INTERVAL '1 day' AS x EXCEPT SELECT INTERVAL '24 hours') AS u", "0"),
        (
            "SELECT coalesce(tm, INTERVAL '34 hours') AS x, count(*) FROM n GROUP BY x ORDER BY x LIMIT 1 OFFSET 1",
            "34 hours|2",
        ),
    ] {
        let found = answer_of(&context, &over(sql)).await;
        assert_eq!(found, expected, "{sql}");
    }
    for sql in [
        "SELECT greatest(x, INTERVAL '1 day') FROM SOME",
        "SELECT max(x) OVER (ORDER BY id) FROM SOME",
        "SELECT array_agg(DISTINCT x) FROM SOME",
        "SELECT x = ANY (array_agg(x)) FROM SOME GROUP BY x",
    ] {
        let error = answer_of(&context, &over(sql)).await;
        assert!(error.contains("extract(epoch FROM …)"), "{sql}: {error}");
    }
    for sql in ["SELECT x = 5 FROM SOME", "SELECT x = 'soon' FROM SOME", "SELECT x > id FROM SOME"] {
        let error = answer_of(&context, &over(sql)).await;
        assert!(error.contains("interval"), "{sql}: {error}");
    }
}

#[tokio::test]
async fn a_day_and_hours_are_a_moment() {
    let days = "(VALUES (DATE '2020-01-01', 3)) AS days(d, k)";
    check_of(
        &context(),
        &[
            (
                "SELECT DATE '2020-01-01' + INTERVAL '10 hours', DATE '2020-01-01' + INTERVAL '1 month', \
                 INTERVAL '36 hours' + DATE '2020-01-01', DATE '2020-01-01' - INTERVAL '1 second'",
                "2020-01-01T10:00:00|2020-02-01|2020-01-02T12:00:00|2019-12-31T23:59:59",
            ),
            (
                &format!(
                    "SELECT d + k * INTERVAL '1 hour', d - k * INTERVAL '1 day', d + (INTERVAL '1 day' + INTERVAL '1 minute') FROM {days}"
                ),
                "2020-01-01T03:00:00|2019-12-29|2020-01-02T00:01:00",
            ),
            (
                &format!("SELECT count(*) FROM {days} WHERE d + INTERVAL '10 hours' > TIMESTAMP '2020-01-01 09:00:00'"),
                "1",
            ),
            (&format!("SELECT d + INTERVAL '1 day' + INTERVAL '1 hour' + INTERVAL '1 day' FROM {days}"), "2020-01-03T01:00:00"),
        ],
    )
    .await;
}
