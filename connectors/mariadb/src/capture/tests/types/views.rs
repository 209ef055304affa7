//! Views, whose columns have types that no table's column may have been declared with, and tables of other engines.

use super::{assert_same, live, plain, servers};
use crate::testing::TestServer;

const TABLE: &str = "CREATE TABLE t (id INT PRIMARY KEY, i INT, u BIGINT UNSIGNED, d DECIMAL(65,30), f FLOAT, x VARCHAR(9), \
     l VARCHAR(9) CHARACTER SET latin1, da DATE, dt DATETIME(3), ts TIMESTAMP(6) NULL, ti TIME(2), y YEAR, b BIT(9), \
     e ENUM('a', 'b'), s SET('p', 'q'), v VARBINARY(4), c BINARY(4), j JSON, n UUID, a INET6, g POINT)";
const ROWS: [&str; 3] = [
    "INSERT INTO t VALUES (1, -2147483648, 18446744073709551615, -0.000000000000000000000000000001, 0.1, 'Ä😀', 'é', \
     '2024-02-29', '2024-02-29 23:59:59.999', '2024-02-29 23:59:59.999999', '-838:59:59.99', 2155, b'100000001', 'b', \
     'p,q', x'00ff', x'01', '{\"k\": [1, null]}', '00112233-4455-6677-8899-aabbccddeeff', '::1.2.3.4', POINT(1, -2))",
    "INSERT INTO t (id) VALUES (2)",
    "INSERT INTO t VALUES (3, 0, 0, 0, -0e0, '', ' ', '0000-00-00', '0000-00-00 00:00:00', '0000-00-00', '0', 0, 0, '', \
     '', '', '', '\"\"', '00000000-0000-0000-0000-000000000000', '::', POINT(0, 0))",
];

/// What views show: constants, and what is computed of each type.
#[rustfmt::skip]
const SHOWN: [&str; 58] = [
    "1", "'x'", "''", "NULL", "1.50", "-1e300", "TRUE", "x'00ff'", "b'101'", "_latin1'\u{e9}'", "N'n'",
    "18446744073709551615", "-9223372036854775808",
    "99999999999999999999999999999999999999999999999999999999999999999", "DATE'2024-02-29'", "TIME'10:00:00.5'",
    "TIMESTAMP'2024-02-29 10:00:00.123456'", "i + 1", "i / 7", "u + 0", "-i", "u - 1.5", "d * 2", "f + 1",
    "i = 0", "i IS NULL", "CONCAT(x, l)", "CONCAT(x, i)", "UPPER(l)", "LENGTH(x)", "COALESCE(x, v)", "HEX(v)",
    "REPEAT(x, 3)", "IF(i, x, l)", "CASE WHEN i THEN da ELSE dt END", "da + INTERVAL 1 DAY",
    "dt + INTERVAL 1 MICROSECOND", "ADDTIME(ti, '00:00:01')", "TIMEDIFF(dt, dt)", "SEC_TO_TIME(1.5)",
    "FROM_UNIXTIME(1.5)", "COALESCE(ts, dt)", "YEAR(da)", "y + 0", "b + 0", "b", "e", "CONCAT(e, '')", "s",
    "s + 0", "CAST(x AS BINARY(3))", "CAST(i AS CHAR)", "CAST(i AS DECIMAL(65,38))", "JSON_OBJECT('k', i)",
    "JSON_VALUE(j, '$.k')", "CAST(a AS CHAR)", "ST_X(g)", "ST_Buffer(g, 0)",
];

/// What views show of many rows at once.
#[rustfmt::skip]
const GATHERED: [&str; 16] = [
    "COUNT(*)", "COUNT(DISTINCT x)", "SUM(i)", "SUM(f)", "SUM(d)", "AVG(i)", "AVG(f)", "MIN(ts)", "MAX(da)",
    "MIN(ti)", "MIN(e)", "MAX(n)", "GROUP_CONCAT(x)", "BIT_OR(u)", "STDDEV(i)", "JSON_ARRAYAGG(i)",
];

async fn check_view(server: &TestServer, database: &str, definition: &str) {
    server.run(database, &["SET NAMES utf8mb4", &format!("CREATE OR REPLACE VIEW seen AS {definition}")]).await;
    let (view, expected) = live(server, database, "seen").await;
    let shown = plain::rows(server, &view).await;
    assert_same(&view, &shown.iter().map(|row| &**row).collect::<Vec<_>>(), &expected);
}

#[tokio::test]
async fn whatever_a_view_computes() {
    for server in servers() {
        let statements = [&["SET sql_mode = 'ALLOW_INVALID_DATES', NAMES utf8mb4", TABLE][..], &ROWS].concat();
        let database = server.database(&statements).await;
        let columns = |expressions: &[&str]| {
            let column = |(at, text): (usize, &&str)| format!("{text} AS c{at}");
            expressions.iter().enumerate().map(column).collect::<Vec<_>>().join(", ")
        };
        let shown = format!("SELECT id, {} FROM t ORDER BY id", columns(&SHOWN));
        check_view(server, &database, &shown).await;
        check_view(server, &database, &format!("SELECT 1 AS id, {} FROM t", columns(&GATHERED))).await;
        for union in
            ["i, u", "i, d", "f, d", "x, l", "da, dt", "e, s", "v, x", "n, x", "ti, dt", "b, i", "y, i", "j, x"]
        {
            let (first, second) = union.split_once(", ").expect("two columns");
            let rows =
                format!("SELECT id, {first} AS v FROM t UNION ALL SELECT id + 10, {second} FROM t ORDER BY 1");
            check_view(server, &database, &rows).await;
        }
    }
}

#[tokio::test]
async fn tables_of_other_engines_and_in_partitions() {
    for server in servers() {
        for engine in
            ["MyISAM", "Aria", "Aria TRANSACTIONAL=0", "MEMORY", "CSV", "InnoDB ROW_FORMAT=COMPRESSED"]
        {
            let not_null = if engine == "CSV" { "NOT NULL" } else { "" };
            let create = format!(
                "CREATE TABLE o (id INT NOT NULL, b BIT(9) {not_null}, d DATE {not_null}, x CHAR(5) {not_null}, \
                 f DECIMAL(9,2) {not_null}, ti TIME(3) {not_null}, ts DATETIME(6) {not_null}) ENGINE={engine}"
            );
            let insert = "INSERT INTO o VALUES (1, 511, '2024-02-29', 'a ', -1.5, '-00:00:00.5', '2024-01-01 00:00:00.000001')";
            let database = server.database(&[&create, insert]).await;
            let (table, expected) = live(server, &database, "o").await;
            let shown = plain::rows(server, &table).await;
            assert_same(&table, &shown.iter().map(|row| &**row).collect::<Vec<_>>(), &expected);
        }
    }
}
