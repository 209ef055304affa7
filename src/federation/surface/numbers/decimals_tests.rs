//! Sums of every kind of number, and decimals of more than 38 digits; MariaDB's own answers are compared by an
//! integration test.

use arrow::datatypes::{DataType, i256};
use crossweave_contract::{ColumnType, TableDef, Value};
use datafusion::execution::context::SessionContext;

use super::decimals::nearest;
use crate::federation::surface::tests::{answer_of, check_of, context, context_of, read};
use crate::query::testing::{column, def};

fn table() -> TableDef {
    let decimal = |precision, scale| ColumnType::Decimal { precision, scale };
    let columns = vec![
        ("id", ColumnType::Int { unsigned: false }),
        ("a", decimal(38, 0)),
        ("b", decimal(38, 10)),
        ("g", decimal(38, 38)),
        ("m", decimal(30, 20)),
        ("c", decimal(20, 10)),
        ("o", decimal(10, 4)),
        ("z", decimal(65, 0)),
        ("p", decimal(5, 2)),
    ];
    def("s", "n", columns.into_iter().map(|(name, column_type)| column(name, column_type)).collect())
}

fn unscaled(text: &str) -> Value {
    let value = i256::from_string(&text.replace('.', "")).unwrap();
    match text.len() {
        60.. => Value::WideDecimal(value.to_le_bytes()),
        _ => Value::Decimal(value.to_i128().unwrap()),
    }
}

#[test]
fn halves_go_away_from_zero() {
    for (value, unit, expected) in [
        (25, 10, 3),
        (-25, 10, -3),
        (24, 10, 2),
        (-24, 10, -2),
        (25, -10, -3),
        (-25, -10, 3),
        (5, 10, 1),
        (4, 10, 0),
        (-4, 10, 0),
        (7, 1, 7),
        (-50, 100, -1),
        (2, 3, 1),
        (1, 3, 0),
    ] {
        assert_eq!(nearest::<i128>(value, unit), expected, "{value} / {unit}");
        let wide = nearest(i256::from_i128(value), i256::from_i128(unit));
        assert_eq!(wide, i256::from_i128(expected), "{value} / {unit}");
    }
}

fn wide() -> SessionContext {
    let row = |id, decimals: [&str; 8]| [vec![Value::Int(id)], decimals.map(unscaled).to_vec()].concat();
    let (nines, z) = ("9".repeat(38), "9".repeat(65));
    let rows = vec![
        row(
            1,
            [
                &format!("9{}", "0".repeat(37)),
                "1234567890123456789012345678.1234567891",
                "0.50000000000000000000000000000000000000",
                "1234567890.12345678901234567890",
                "1234567890.1234567891",
                "123456.7891",
                &z,
                "2.00",
            ],
        ),
        row(
            2,
            [
                &format!("2{}", "0".repeat(37)),
                "9999999999999999999999999999.9999999999",
                &format!("0.{nines}"),
                "-9999999999.99999999999999999999",
                "9999999999.9999999999",
                "999999.9999",
                &format!("{}1", "0".repeat(64)),
                "3.00",
            ],
        ),
        [vec![Value::Int(3)], vec![Value::Null; 8]].concat(),
    ];
    context_of(&table(), &rows)
}

#[tokio::test]
async fn sums_are_of_one_type_wherever_they_are_used() {
    check_of(
        &context(),
        &[
            ("SELECT sum(i) FROM n HAVING sum(i) > 10", ""),
            ("SELECT sum(tu) FROM n HAVING sum(tu) > 10", "255"),
            ("SELECT sum(id) / 2, sum(id) * 1.5, coalesce(sum(id), 0), -sum(t) FROM n", "3|9.0|6|1"),
            ("SELECT coalesce(sum(id), 0) FROM n WHERE id > 5", "0"),
            ("SELECT max(s) FROM (SELECT sum(id) s FROM n GROUP BY t) q", "3"),
            ("SELECT id FROM n WHERE id > (SELECT sum(t) FROM n) AND id < 2", "1"),
            ("SELECT (SELECT sum(id) FROM n)", "6"),
            ("SELECT * FROM (SELECT sum(id) FROM n UNION ALL SELECT 1) q ORDER BY 1", "1\n6"),
            ("SELECT CASE WHEN sum(id) > 5 THEN sum(id) ELSE 0 END FROM n", "6"),
            ("SELECT sum(sum(id)) OVER () FROM n", "6"),
            ("SELECT sum(sum(b)) OVER (), sum(sum(i)) OVER () FROM n", "-1|-2147433648"),
            ("SELECT sum(t > 0), sum(id = 1), sum(DISTINCT t > 0) FROM n", "1|1|1"),
            ("SELECT sum(b), sum(bu), sum(b) + 1 FROM n", "-1|18446744073709551622|0"),
            ("SELECT sum(i) + sum(b) FROM n", "-2147433649"),
            ("SELECT sum(DISTINCT t), sum(id) FROM n", "-1|6"),
            ("SELECT sum(DISTINCT b), sum(b), count(DISTINCT b) FROM n", "-1|-1|2"),
            ("SELECT tu, sum(DISTINCT id), sum(id) FROM n GROUP BY tu ORDER BY tu", "0|2|2\n255|1|1\n-|3|3"),
            ("SELECT sum(id) FILTER (WHERE t > 0), sum(id + 1), sum(id + 2), sum(id + 3) FROM n", "1|9|12|15"),
            (
                "SELECT sum(t) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM n ORDER BY id",
                "127\n-1\n-128",
            ),
            (
                "SELECT sum(b) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM n ORDER BY id",
                "9223372036854775807\n-1\n-9223372036854775808",
            ),
            (
                "SELECT sum(DISTINCT t) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM n ORDER BY id",
                "127\n-1\n-128",
            ),
            ("SELECT sum(id) FILTER (WHERE id > 1) OVER (ORDER BY id) FROM n ORDER BY id", "-\n2\n5"),
            ("SELECT avg(t), avg(t > 0), avg(amount) FROM n", "-0.5000|0.5000|8388609.0500000000"),
        ],
    )
    .await;
    let context = context();
    let read =
        read(&context, "SELECT sum(t), sum(tu), sum(t > 0), sum(b), sum(bu), sum(f), sum(amount) FROM n");
    let plan = read.await.unwrap();
    let types: Vec<DataType> = plan.schema().fields().iter().map(|field| field.data_type().clone()).collect();
    let long = DataType::Decimal128(30, 0);
    assert_eq!(
        types,
        [
            DataType::Int64,
            DataType::UInt64,
            DataType::Int64,
            long.clone(),
            long,
            DataType::Float64,
            DataType::Decimal256(40, 6)
        ]
    );
}

#[tokio::test]
async fn results_of_decimals_have_all_their_digits() {
    check_of(
        &wide(),
        &[
            (
                "SELECT m * o FROM n WHERE id < 3 ORDER BY id",
                "152415787640603.577764060357776253619990\n-9999999998999999.999999999999990000000001",
            ),
            (
                "SELECT c * c FROM n WHERE id < 3 ORDER BY id",
                "1524157875323883675.26596557677488187881\n99999999999999999998.00000000000000000001",
            ),
            ("SELECT m * m FROM n WHERE id < 3 ORDER BY id", "1524157875323883675.04953515625361987875019051998750190521\n99999999999999999999.99999999980000000000000000000000000000"),
            (
                "SELECT c * c * c FROM n WHERE id = 2",
                "999999999999999999970000000000.000000000299999999999999999999",
            ),
            ("SELECT 0.00000000000000000007 * 0.00000000000000000007, 0.00000000000000000008 * 0.00000000000000000008", "0.00000000000000000000000000000000000000|0.00000000000000000000000000000000000001"),
            (
                "SELECT g + g FROM n WHERE id < 3 ORDER BY id",
                "1.00000000000000000000000000000000000000\n1.99999999999999999999999999999999999998",
            ),
            ("SELECT a + 1 FROM n WHERE id = 1", "90000000000000000000000000000000000001"),
            ("SELECT b + 1, 1 + b FROM n WHERE id = 2", "10000000000000000000000000000.9999999999|10000000000000000000000000000.9999999999"),
            ("SELECT a + b FROM n WHERE id = 1", "90000000001234567890123456789012345678.1234567891"),
            ("SELECT m - a FROM n WHERE id = 1", "-89999999999999999999999999998765432109.87654321098765432110"),
            ("SELECT m - id FROM n WHERE id = 1", "1234567889.12345678901234567890"),
            ("SELECT m % o, b % o, b % 3 FROM n WHERE id = 1", "123455.91255678901234567890|123386.4494567891|0.1234567891"),
            ("SELECT -a, -g, - -a FROM n WHERE id = 2", "-20000000000000000000000000000000000000|-0.99999999999999999999999999999999999999|20000000000000000000000000000000000000"),
            ("SELECT z + z, z * 10 FROM n WHERE id = 2", "2|10"),
            ("SELECT z + z FROM n WHERE id = 1", &format!("1{}8", "9".repeat(64))),
            ("SELECT m / o, a / b, a / 3, p / 3, p / 7 FROM n WHERE id = 1", "9999.999992899999932140999437|72900000656.1000|30000000000000000000000000000000000000.0000|0.666667|0.285714"),
            ("SELECT g / 3, z / 3 FROM n WHERE id = 1", &format!("0.16666666666666666666666666666666666667|{}.0000", "3".repeat(65))),
            ("SELECT 2.00 / 3.00, -2.00 / 3.00, 1 / p FROM n WHERE id = 2", "0.666667|-0.666667|0.3333"),
            ("SELECT id FROM n WHERE c * c > 1 AND m * o > 0", "1"),
            ("SELECT id FROM n WHERE p * 2 = 4 AND p * o * m * c > 1.5", "1"),
            ("SELECT m * o, count(*) FROM n GROUP BY m * o HAVING m * o > 0", "152415787640603.577764060357776253619990|1"),
            ("SELECT id FROM n WHERE a > g AND a <> g AND coalesce(g, a) < 1 ORDER BY id", "1\n2"),
            ("SELECT coalesce(a, g) FROM n WHERE id = 1", &format!("9{}.{}", "0".repeat(37), "0".repeat(38))),
            ("SELECT x FROM (SELECT a x FROM n UNION ALL SELECT g FROM n) q WHERE x < 1 ORDER BY x LIMIT 1", "0.50000000000000000000000000000000000000"),
        ],
    )
    .await;
}

#[tokio::test]
async fn sums_and_averages_of_decimals_have_all_their_digits() {
    check_of(
        &wide(),
        &[
            ("SELECT sum(a), sum(b) FROM n", "110000000000000000000000000000000000000|11234567890123456789012345678.1234567890"),
            ("SELECT sum(z), avg(z) FROM n", &format!("1{}|5{}.0000", "0".repeat(65), "0".repeat(64))),
            ("SELECT avg(a), avg(p) FROM n", "55000000000000000000000000000000000000.0000|2.500000"),
            ("SELECT avg(b), avg(m) FROM n", "5617283945061728394506172839.06172839450000|-4382716054.938271605493827160545000"),
            (
                "SELECT id % 2, avg(a), sum(a), avg(p) FROM n GROUP BY id % 2 ORDER BY 1",
                "0|20000000000000000000000000000000000000.0000|20000000000000000000000000000000000000|3.000000\n1|90000000000000000000000000000000000000.0000|90000000000000000000000000000000000000|2.000000",
            ),
            ("SELECT avg(g) FROM n", "0.75000000000000000000000000000000000000"),
            ("SELECT avg(x), avg(DISTINCT x), avg(-x) FROM (VALUES (1.00), (1.00), (0.00)) AS v (x)", "0.666667|0.500000|-0.666667"),
            ("SELECT sum(m * o), max(m * o) FROM n", "-9847584211359396.422235939642213746380011|152415787640603.577764060357776253619990"),
            ("SELECT avg(c * c) FROM n", "50762078937661941836.632982788387440939410000"),
            ("SELECT sum(DISTINCT a), sum(a), avg(DISTINCT a) FROM n", "110000000000000000000000000000000000000|110000000000000000000000000000000000000|55000000000000000000000000000000000000.0000"),
            ("SELECT sum(a) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM n WHERE id = 3", "-"),
            (
                "SELECT sum(a) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), avg(p) OVER (ORDER BY id ROWS 1 PRECEDING) FROM n ORDER BY id",
                "90000000000000000000000000000000000000|2.000000\n110000000000000000000000000000000000000|2.500000\n20000000000000000000000000000000000000|3.000000",
            ),
            ("SELECT sum(sum(a)) OVER () FROM n", "110000000000000000000000000000000000000"),
            ("SELECT id, sum(b + 1), sum(b + 2) FROM n GROUP BY id HAVING sum(b) > 1e10 ORDER BY id LIMIT 1", "1|1234567890123456789012345679.1234567891|1234567890123456789012345680.1234567891"),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_whole_number_next_to_a_decimal_may_be_longer() {
    check_of(
        &wide(),
        &[
            ("SELECT floor(-0.5), ceil(99.5), ceil(999.99), floor(-999.99), ceil(-0.5)", "-1|100|1000|-1000|0"),
            ("SELECT floor(p), ceil(p - 0.5), ceil(p + 997.5) FROM n WHERE id = 1", "2|2|1000"),
            ("SELECT floor(-g), ceil(g), floor(b), ceil(b), ceil(a), floor(z) FROM n WHERE id = 2", "-1|1|9999999999999999999999999999|10000000000000000000000000000|20000000000000000000000000000000000000|1"),
            ("SELECT ceil(p) FROM n WHERE ceil(p) = 3", "3"),
            ("SELECT sum(ceil(p)), ceil(sum(p) / 2), floor(NULL) FROM n", "5|3|-"),
            ("SELECT round(99.95, 1), round(g), round(-0.5) FROM n WHERE id = 2", "100.0|1|-1"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_has_too_many_digits_is_an_error() {
    let context = wide();
    for sql in [
        "SELECT z * z FROM n",
        "SELECT id FROM n WHERE z * z > 1",
        "SELECT z * z * z FROM n",
        "SELECT m * m * m FROM n",
        "SELECT sum(z * 1000) FROM n",
        "SELECT z * a / 3 FROM n",
        "SELECT z * 1000000000 / g FROM n",
        "SELECT a - g FROM n WHERE id = 1 AND z > 5 UNION ALL SELECT z * 99999999999.5 FROM n",
    ] {
        let answer = answer_of(&context, sql).await;
        assert!(answer.contains("out of range") || answer.contains("verflow"), "{sql}: {answer}");
    }
}

#[tokio::test]
async fn wide_decimals_become_integers_only_where_they_fit() {
    let context = wide();
    let fit = "SELECT CAST(m * o AS BIGINT) AS x, CAST(-(m * o) AS BIGINT) AS y FROM n WHERE id = 2";
    check_of(
        &context,
        &[
            (fit, "-9999999999000000|9999999999000000"),
            ("SELECT id FROM n WHERE CAST(m * o AS BIGINT) = 152415787640604", "1"),
            ("SELECT sum(NULL), m * NULL, NULL / p FROM n WHERE id = 1 GROUP BY m, p", "-|-|-"),
        ],
    )
    .await;
    for sql in ["SELECT CAST(a + 1 AS BIGINT) FROM n", "SELECT CAST(z AS BIGINT) FROM n"] {
        let answer = answer_of(&context, sql).await;
        assert!(answer.contains("out of range"), "{sql}: {answer}");
    }
}

#[tokio::test]
async fn quotients_are_carried_with_all_digits_where_mariadb_merges() {
    let t = "(VALUES (1, 10.00, 3.00), (2, 7.00, 6.00), (3, 1.00, 7.00)) t (id, a, b)";
    let ratios = format!("(SELECT id, a / b AS r FROM {t})");
    let cases = [
        ("SELECT r * 3 FROM RATIOS s WHERE id = 1", "10.000000"),
        ("SELECT r * 3, count(*) FROM RATIOS s WHERE id = 1 GROUP BY r * 3", "10.000000|1"),
        ("SELECT r, r * 3 FROM (SELECT r FROM RATIOS x WHERE id = 1 ORDER BY r) s", "3.333333|10.000000"),
        (
            "WITH c AS RATIOS SELECT x.r * 3, y.r * 100 FROM c x JOIN c y ON x.id = y.id WHERE x.id = 3",
            "0.428571|14.285714",
        ),
        (
            "SELECT l.id, s.r * 3 FROM RATIOS l LEFT JOIN (SELECT * FROM RATIOS z WHERE id < 2) s ON l.id = s.id ORDER BY 1",
            "1|10.000000\n2|-\n3|-",
        ),
        (
            "SELECT CASE WHEN r > 1 THEN r ELSE 0 END * 3 FROM RATIOS s ORDER BY id",
            "10.000000\n3.500000\n0.000000",
        ),
        ("SELECT id FROM RATIOS s WHERE r = 3.333333 OR r * 3 = 3.5 ORDER BY id", "1\n2"),
        ("SELECT count(*) FROM RATIOS s WHERE r BETWEEN 3.333333 AND 3.3333331", "0"),
        (
            "SELECT sum(a / 3), sum(a / b) * 100, max(a / b) * 3, avg(a / b) FROM T",
            "6.000000|464.285714|10.000000|1.5476190476",
        ),
        ("SELECT sum(r), sum(r) * 100, avg(r) * 1000 FROM RATIOS s", "4.642857|464.285714|1547.6190476190"),
        ("SELECT sum(r * 3), sum(r) FILTER (WHERE id < 3) * 3 FROM RATIOS s", "13.928571|13.500000"),
        ("SELECT (SELECT a / b FROM T WHERE id = 1) * 3", "10.000000"),
        (
            "SELECT x * 3, x FROM (SELECT o.id, (SELECT max(a / b) FROM T WHERE t.id = o.id) AS x FROM RATIOS o) q ORDER BY id",
            "10.000000|3.333333\n3.500000|1.166667\n0.428571|0.142857",
        ),
        (
            "SELECT avg(x) FROM (SELECT o.id, (SELECT avg(a / b) FROM T WHERE t.id = o.id) AS x FROM RATIOS o) q",
            "1.54761904761905",
        ),
        (
            "SELECT o.id, (SELECT count(*) FROM T WHERE t.id = o.r * 3 / 10) FROM RATIOS o ORDER BY 1",
            "1|1\n2|0\n3|0",
        ),
        // What is put into a table of its own has the digits that are shown.
        ("SELECT r * 3 FROM (SELECT DISTINCT r FROM RATIOS x WHERE id = 1) s", "9.999999"),
        ("SELECT r * 3 FROM (SELECT r FROM RATIOS x ORDER BY id LIMIT 1) s", "9.999999"),
        (
            "SELECT r * 3 FROM (SELECT r FROM RATIOS x WHERE id = 1 UNION ALL SELECT 1.0) s ORDER BY 1 DESC",
            "9.999999\n3.000000",
        ),
        ("SELECT r * 3 FROM (SELECT sum(a) / sum(b) AS r FROM T WHERE id = 1) s", "9.999999"),
        (
            "SELECT r * 3 FROM (SELECT r, row_number() OVER (ORDER BY id) n FROM RATIOS x) s WHERE n = 1",
            "9.999999",
        ),
        ("SELECT x * 3 FROM (SELECT 1 / 3.0 AS x) s", "0.9999"),
        ("SELECT sum(r) OVER () * 3 FROM RATIOS s WHERE id = 1", "9.999999"),
        ("SELECT id, sum(a / b) * 3 FROM T GROUP BY id ORDER BY id", "1|9.999999\n2|3.500001\n3|0.428571"),
        ("SELECT sum(DISTINCT a / b) * 3 FROM T WHERE id = 1", "9.999999"),
    ];
    let cases: Vec<(String, &str)> = cases
        .iter()
        .map(|(sql, expected)| {
            (sql.replace("RATIOS", &ratios).replace("FROM T", &format!("FROM {t}")), *expected)
        })
        .collect();
    let cases: Vec<(&str, &str)> = cases.iter().map(|(sql, expected)| (sql.as_str(), *expected)).collect();
    check_of(&context(), &cases).await;
}
