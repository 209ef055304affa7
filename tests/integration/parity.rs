//! One answer (I3): each statement on the live, the cached and the mixed routes gives what MariaDB gives.
//!
//! Two services, `left` and `right`, own a database each. Both databases are on one server, which can therefore
//! run the same statements itself: its answer is the expected one. Statements name databases by service; the
//! reference gets the databases' real names in their place. Where SQL leaves an answer open (which of several
//! equal texts stands for a group) the statements do not ask for it.

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Value as MyValue};
use serde_json::{Value, json};

use super::support::{self, Client, ServiceDatabase, Statement, TestResult};

const LEFT: &str = r"
CREATE TABLE texts (
  id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  g VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
  u VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
  b VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  n VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_nopad_ci,
  c CHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
  e ENUM('low', 'High', 'mid') CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
  s SET('x', 'y', 'z') CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci
);
CREATE TABLE numbers (
  id INT NOT NULL PRIMARY KEY,
  big BIGINT UNSIGNED NOT NULL,
  small TINYINT NULL,
  amount DECIMAL(30,6) NULL,
  ratio DOUBLE NULL,
  day DATE NULL,
  at DATETIME(6) NULL,
  stamp TIMESTAMP(6) NULL,
  pause TIME(6) NULL,
  ok TINYINT(1) NULL,
  flag BIT(1) NULL,
  camelCase INT NULL
);
INSERT INTO numbers VALUES
  (1, 18446744073709551615, 127, 123456789012345678901234.567890, 1.5, '2024-02-29', '2024-02-29 23:59:59.999999', '2024-01-01 00:00:00.000001', '10:00:00', 1, b'1', 1),
  (2, 9223372036854775808, -128, -0.000001, -0.5, '1000-01-01', '1000-01-01 00:00:00', '1970-01-01 00:00:01', '-838:59:59', 0, b'0', 2),
  (3, 9223372036854775807, 0, 0, 0, '0000-00-00', '0000-00-00 00:00:00', NULL, '838:59:59', 2, b'1', 3),
  (4, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (5, 7, 7, 7.5, 7.25, '2024-12-31', '2024-12-31 12:00:00', '2037-12-31 12:00:00', '00:00:00.000001', 1, b'0', 5),
  (6, 7, 2, 7.5, 7.25, '2018-02-00', '2018-02-00 00:00:00', '2024-06-01 12:00:00', '23:59:59', 0, NULL, 6);
CREATE TABLE parents (id INT NOT NULL PRIMARY KEY, name VARCHAR(20));
CREATE TABLE children (
  id INT NOT NULL PRIMARY KEY, parent_id INT NULL,
  FOREIGN KEY (parent_id) REFERENCES parents (id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE notes (
  id INT NOT NULL PRIMARY KEY, child_id INT NULL,
  FOREIGN KEY (child_id) REFERENCES children (id) ON DELETE SET NULL
);
INSERT INTO parents VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd');
INSERT INTO children VALUES (10, 1), (11, 1), (20, 2), (30, 3), (99, NULL);
INSERT INTO notes VALUES (100, 10), (101, 11), (200, 20), (300, 30);
";

const RIGHT: &str = r"
CREATE TABLE words (
  id INT NOT NULL PRIMARY KEY,
  g VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
  u VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
  b VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  big BIGINT UNSIGNED NULL
);
INSERT INTO words VALUES
  (1, 'a', 'STRASSE', 'a', 18446744073709551615),
  (2, 'A ', 'oeuf', 'A', 9223372036854775808),
  (3, 'É', 'é', 'É', 7),
  (4, '', '', '', 0),
  (5, NULL, NULL, NULL, NULL),
  (6, 'я', 'Я', 'я', 12345),
  (7, '😀', '😁', '😀', 9223372036854775807),
  (8, 'ab', 'AB', 'ab ', 7);
";

/// Changes that the binlog carries only in part: cascades, a key change, a truncation and a refill.
const CHANGES: &str = r"
DELETE FROM parents WHERE id = 1;
UPDATE parents SET id = 22 WHERE id = 2;
DELETE FROM children WHERE id = 30;
UPDATE numbers SET id = 60, amount = 8.5 WHERE id = 6;
INSERT INTO numbers (id, big) VALUES (7, 18446744073709551614);
UPDATE texts SET g = UPPER(g) WHERE id % 5 = 0;
";

const TEXTS: &[&str] = &[
    "a",
    "A",
    "a ",
    "A  ",
    "ä",
    "Ä",
    "á",
    "ab",
    "AB",
    "aB ",
    "a b",
    "a\tb",
    "a\t",
    "b",
    "é",
    "É",
    "e",
    "ß",
    "ss",
    "SS",
    "s",
    "Straße",
    "STRASSE",
    "œuf",
    "OEUF",
    "æ",
    "ae",
    "",
    " ",
    "  ",
    "%",
    "_",
    "100%",
    "\\",
    "'",
    "\"",
    "Ω",
    "ω",
    "я",
    "Я",
    "ё",
    "е",
    "İ",
    "i",
    "ı",
    "I",
    "😀",
    "😁",
    "日本",
    "にほん",
    "ﬀ",
    "ff",
    "naïve",
    "NAIVE",
    "e\u{301}",
];

/// Each runs on every route and in MariaDB. The order of rows counts only where the statement orders them.
const STATEMENTS: &[&str] = &[
    // Equality, under each collation
    "SELECT id FROM left.texts WHERE g = 'a'",
    "SELECT id FROM left.texts WHERE g = 'A  '",
    "SELECT id FROM left.texts WHERE n = 'a'",
    "SELECT id FROM left.texts WHERE n = 'a '",
    "SELECT id FROM left.texts WHERE b = 'a'",
    "SELECT id FROM left.texts WHERE b = 'a  '",
    "SELECT id FROM left.texts WHERE u = 'strasse'",
    "SELECT id FROM left.texts WHERE u = 'ss'",
    "SELECT id FROM left.texts WHERE g = 'ss'",
    "SELECT id FROM left.texts WHERE u = 'é'",
    "SELECT id FROM left.texts WHERE u = 'oeuf'",
    "SELECT id FROM left.texts WHERE g = ''",
    "SELECT id FROM left.texts WHERE n = ''",
    "SELECT id FROM left.texts WHERE g = '😀'",
    "SELECT id FROM left.texts WHERE u = '😀'",
    "SELECT id FROM left.texts WHERE c = 'AB'",
    "SELECT id FROM left.texts WHERE g <> 'a'",
    "SELECT id FROM left.texts WHERE g IN ('A', 'É', 'я')",
    "SELECT id FROM left.texts WHERE g NOT IN ('A', 'É')",
    "SELECT id FROM left.texts WHERE u NOT IN ('a', NULL)",
    "SELECT id FROM left.texts WHERE g = b AND u = 'b'",
    // Order
    "SELECT id FROM left.texts WHERE g < 'b'",
    "SELECT id FROM left.texts WHERE g > 'a'",
    "SELECT id FROM left.texts WHERE u <= 'ab'",
    "SELECT id FROM left.texts WHERE b >= 'a' AND b < 'b'",
    "SELECT id FROM left.texts WHERE g BETWEEN 'A' AND 'B'",
    "SELECT id FROM left.texts WHERE u NOT BETWEEN 'A' AND 'Z'",
    "SELECT id FROM left.texts ORDER BY g IS NULL, g, id",
    "SELECT id FROM left.texts ORDER BY u IS NULL, u DESC, id",
    "SELECT id FROM left.texts ORDER BY b IS NULL, b, id",
    "SELECT id FROM left.texts ORDER BY n IS NULL, n, id LIMIT 20",
    "SELECT id FROM left.texts WHERE e IS NOT NULL ORDER BY e, id",
    "SELECT id FROM left.texts WHERE s IS NOT NULL ORDER BY s DESC, id",
    "SELECT id FROM left.texts WHERE e = 'HIGH'",
    "SELECT id FROM left.texts WHERE s = 'X,y'",
    // Patterns
    "SELECT id FROM left.texts WHERE g LIKE 'a%'",
    "SELECT id FROM left.texts WHERE g LIKE 'A'",
    "SELECT id FROM left.texts WHERE b LIKE 'a%'",
    "SELECT id FROM left.texts WHERE u LIKE 'stra_e'",
    "SELECT id FROM left.texts WHERE u LIKE '%E%'",
    "SELECT id FROM left.texts WHERE g NOT LIKE '%a%'",
    "SELECT id FROM left.texts WHERE g LIKE '100!%' ESCAPE '!'",
    "SELECT id FROM left.texts WHERE g LIKE '_'",
    // Groups
    "SELECT COUNT(*) FROM left.texts GROUP BY g",
    "SELECT COUNT(*), MIN(id) FROM left.texts GROUP BY u",
    "SELECT COUNT(*), MAX(id) FROM left.texts GROUP BY b",
    "SELECT COUNT(DISTINCT g), COUNT(DISTINCT u), COUNT(DISTINCT b), COUNT(DISTINCT n) FROM left.texts",
    "SELECT COUNT(*) FROM (SELECT DISTINCT g FROM left.texts) AS d",
    "SELECT COUNT(*) FROM (SELECT g FROM left.texts UNION SELECT g FROM right.words) AS d",
    "SELECT MIN(b), MAX(b) FROM left.texts",
    "SELECT COUNT(*) FROM left.texts WHERE g = (SELECT MIN(g) FROM left.texts WHERE g > '')",
    "SELECT e, COUNT(*) FROM left.texts GROUP BY e",
    "SELECT id, ROW_NUMBER() OVER (PARTITION BY g ORDER BY id) FROM left.texts",
    "SELECT id, RANK() OVER (ORDER BY g) FROM left.texts WHERE g IS NOT NULL",
    "SELECT id, CASE g WHEN 'A' THEN 1 WHEN 'É' THEN 2 ELSE 3 END FROM left.texts",
    // Joins between services
    "SELECT t.id, w.id FROM left.texts t JOIN right.words w ON t.g = w.g",
    "SELECT t.id, w.id FROM left.texts t JOIN right.words w ON t.u = w.u",
    "SELECT t.id, w.id FROM left.texts t JOIN right.words w ON t.b = w.b",
    "SELECT t.id, w.id FROM left.texts t LEFT JOIN right.words w ON t.g = w.g AND w.id < 4",
    "SELECT id FROM left.texts t WHERE EXISTS (SELECT 1 FROM right.words w WHERE w.g = t.g)",
    "SELECT id FROM left.texts t WHERE NOT EXISTS (SELECT 1 FROM right.words w WHERE w.u = t.u)",
    "SELECT id FROM left.texts WHERE g IN (SELECT g FROM right.words WHERE g IS NOT NULL)",
    "SELECT id FROM left.texts WHERE g NOT IN (SELECT g FROM right.words)",
    "SELECT n.id, w.id FROM left.numbers n JOIN right.words w ON n.big = w.big",
    "SELECT n.id, w.id, p.id FROM left.numbers n JOIN right.words w ON n.big = w.big JOIN left.parents p ON p.id = w.id",
    // Numbers
    "SELECT id FROM left.numbers WHERE big = 18446744073709551615",
    "SELECT id FROM left.numbers WHERE big > 9223372036854775807",
    "SELECT id FROM left.numbers WHERE big >= 9223372036854775808 AND big < 18446744073709551615",
    "SELECT id FROM left.numbers WHERE big IN (7, 9223372036854775808)",
    "SELECT id, big FROM left.numbers ORDER BY big DESC, id LIMIT 3",
    "SELECT id FROM left.numbers WHERE small = -128 OR small IS NULL",
    "SELECT id FROM left.numbers WHERE small < 5 AND NOT small = 0",
    "SELECT id FROM left.numbers WHERE amount = 7.5",
    "SELECT id, amount FROM left.numbers WHERE amount > 0.5",
    "SELECT SUM(amount), MIN(amount), MAX(amount), COUNT(amount) FROM left.numbers",
    "SELECT SUM(big), SUM(small), COUNT(*) FROM left.numbers",
    "SELECT id FROM left.numbers WHERE ratio = 7.25 OR ratio < 0",
    "SELECT id FROM left.numbers WHERE ok",
    "SELECT id FROM left.numbers WHERE NOT ok",
    "SELECT id FROM left.numbers WHERE ok = 1",
    "SELECT id FROM left.numbers WHERE ok = true",
    "SELECT id FROM left.numbers WHERE flag",
    "SELECT SUM(ok), SUM(flag), COUNT(flag) FROM left.numbers",
    "SELECT id, CAMELCASE FROM left.numbers WHERE camelcase > 1",
    // NULLs
    "SELECT id FROM left.numbers WHERE small IS NULL",
    "SELECT id FROM left.numbers WHERE small NOT IN (7, NULL)",
    "SELECT COUNT(*), COUNT(small), COUNT(DISTINCT small) FROM left.numbers",
    "SELECT COALESCE(small, 99) FROM left.numbers",
    "SELECT id FROM left.numbers WHERE small BETWEEN 0 AND 7",
    "SELECT id FROM left.numbers WHERE (small > 0 OR ok) AND big < 10",
    "SELECT id FROM left.numbers LIMIT 0",
    // Cascades
    "SELECT id, name FROM left.parents",
    "SELECT id, parent_id FROM left.children",
    "SELECT id, child_id FROM left.notes",
    "SELECT p.id, c.id FROM left.parents p LEFT JOIN left.children c ON c.parent_id = p.id",
];

/// Zero dates are NULL here and a date in MariaDB, so the reference has its own wording.
const WITH_ZERO_DATES: &[(&str, &str)] = &[
    (
        "SELECT id FROM left.numbers WHERE day IS NULL",
        "SELECT id FROM left.numbers WHERE day IS NULL OR DAYOFMONTH(day) = 0",
    ),
    (
        "SELECT id FROM left.numbers WHERE at IS NOT NULL",
        "SELECT id FROM left.numbers WHERE at IS NOT NULL AND DAYOFMONTH(at) > 0",
    ),
    (
        "SELECT id FROM left.numbers WHERE day < '2020-01-01'",
        "SELECT id FROM left.numbers WHERE day < '2020-01-01' AND DAYOFMONTH(day) > 0",
    ),
    (
        "SELECT id FROM left.numbers WHERE day <> '2024-02-29'",
        "SELECT id FROM left.numbers WHERE day <> '2024-02-29' AND DAYOFMONTH(day) > 0",
    ),
    (
        "SELECT id FROM left.numbers WHERE day NOT IN ('2024-02-29')",
        "SELECT id FROM left.numbers WHERE day <> '2024-02-29' AND DAYOFMONTH(day) > 0",
    ),
    (
        "SELECT id FROM left.numbers WHERE at = '2024-02-29 23:59:59.999999'",
        "SELECT id FROM left.numbers WHERE at = '2024-02-29 23:59:59.999999'",
    ),
    (
        "SELECT id FROM left.numbers WHERE at BETWEEN '1000-01-01' AND '2024-03-01'",
        "SELECT id FROM left.numbers WHERE at BETWEEN '1000-01-01' AND '2024-03-01' AND DAYOFMONTH(at) > 0",
    ),
    (
        "SELECT id FROM left.numbers WHERE stamp >= '2024-01-01 00:00:00.000001'",
        "SELECT id FROM left.numbers WHERE stamp >= '2024-01-01 00:00:00.000001'",
    ),
    (
        "SELECT id FROM left.numbers WHERE stamp < '1971-01-01'",
        "SELECT id FROM left.numbers WHERE stamp < '1971-01-01'",
    ),
    (
        "SELECT COUNT(day), COUNT(at), COUNT(stamp) FROM left.numbers",
        "SELECT SUM(DAYOFMONTH(day) > 0), SUM(DAYOFMONTH(at) > 0), COUNT(stamp) FROM left.numbers",
    ),
    (
        "SELECT id FROM left.numbers WHERE pause > '10:00:00'",
        "SELECT id FROM left.numbers WHERE pause > '10:00:00'",
    ),
    (
        "SELECT id FROM left.numbers WHERE pause = '-838:59:59'",
        "SELECT id FROM left.numbers WHERE pause = '-838:59:59'",
    ),
];

struct Databases {
    left: ServiceDatabase,
    right: ServiceDatabase,
}

impl Databases {
    async fn create() -> TestResult<Self> {
        let databases =
            Self { left: support::database("left").await?, right: support::database("right").await? };
        databases.left.execute("SET SESSION sql_mode = ''").await.ok();
        let mut connection = databases.left.connect().await?;
        connection.query_drop("SET NAMES utf8mb4 COLLATE utf8mb4_general_ci, sql_mode = ''").await?;
        for statement in LEFT.split(";\n").filter(|statement| !statement.trim().is_empty()) {
            connection.query_drop(statement).await?;
        }
        let insert = "INSERT INTO texts VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
        for (index, text) in TEXTS.iter().enumerate() {
            let e = ["low", "High", "mid"][index % 3];
            let s = ["", "x", "x,y", "z", "y,z"][index % 5];
            connection
                .exec_drop(insert, (index, text, text, text, text, text.get(..8).unwrap_or(text), e, s))
                .await?;
        }
        connection.query_drop("INSERT INTO texts (id) VALUES (1000), (18446744073709551615)").await?;
        databases.right.execute(RIGHT).await?;
        Ok(databases)
    }

    /// A connection that answers as a MariaDB that holds both services would.
    async fn reference(&self) -> TestResult<Conn> {
        let mut connection = support::mariadb().await?.connect(None).await?;
        let settings = "SET NAMES utf8mb4 COLLATE utf8mb4_general_ci, time_zone = '+00:00', \
            sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'";
        connection.query_drop(settings).await?;
        Ok(connection)
    }

    fn expected(&self, statement: &str) -> String {
        statement
            .replace("left.", &format!("`{}`.", self.left.database))
            .replace("right.", &format!("`{}`.", self.right.database))
    }
}

/// Rows as text, sorted unless the statement orders them.
pub(super) fn rows(statement: &str, mut rows: Vec<Vec<String>>) -> Vec<Vec<String>> {
    if !statement.contains("ORDER BY") || statement.contains("OVER (") {
        rows.sort();
    }
    rows
}

/// A number without the zeros that do not count, or the text itself.
fn plain(text: &str) -> String {
    let number = text.strip_prefix('-').unwrap_or(text);
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return text.to_owned();
    }
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    }
}

async fn ask_mariadb(
    connection: &mut Conn,
    statement: &str,
    databases: &Databases,
) -> TestResult<Vec<Vec<String>>> {
    let found: Vec<mysql_async::Row> = connection.query(databases.expected(statement)).await?;
    Ok(found.into_iter().map(plain_row).collect())
}

/// What MariaDB gave, as text.
pub(super) fn plain_row(row: mysql_async::Row) -> Vec<String> {
    let text = |value: MyValue| match value {
        MyValue::NULL => "NULL".to_owned(),
        MyValue::Bytes(bytes) => plain(&String::from_utf8_lossy(&bytes)),
        other => plain(&other.as_sql(true)),
    };
    row.unwrap().into_iter().map(text).collect()
}

pub(super) async fn ask(client: &Client, statement: &str, route: &Value) -> Result<Vec<Vec<String>>, String> {
    let request = Statement::new(statement).on(route.clone());
    let answer = client.sql(&request).await.map_err(|error| error.to_string())?;
    let text = |value: Value| match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(truth) => u8::from(truth).to_string(),
        Value::String(text) => plain(&text),
        other => plain(&other.to_string()),
    };
    Ok(answer.rows.into_iter().map(|row| row.into_iter().map(text).collect()).collect())
}

/// Compares all statements on all routes, and returns what differs.
async fn differences(client: &Client, databases: &Databases) -> TestResult<Vec<String>> {
    let routes = [
        json!("live"),
        json!("cached"),
        json!({"left": "live", "right": "cached"}),
        json!({"left": "cached", "right": "live"}),
    ];
    let mut reference = databases.reference().await?;
    let mut different = Vec::new();
    let same = STATEMENTS.iter().map(|statement| (*statement, *statement));
    for (statement, in_mariadb) in same.chain(WITH_ZERO_DATES.iter().copied()) {
        let expected = rows(statement, ask_mariadb(&mut reference, in_mariadb, databases).await?);
        for route in &routes {
            match ask(client, statement, route).await {
                Ok(found) if rows(statement, found.clone()) == expected => {}
                Ok(found) => different.push(format!(
                    "{statement} on {route}\n  expected {expected:?}\n  found    {:?}",
                    rows(statement, found)
                )),
                Err(error) => different.push(format!("{statement} on {route}\n  {error}")),
            }
        }
    }
    Ok(different)
}

#[tokio::test]
async fn every_route_gives_what_one_mariadb_gives() -> TestResult {
    let databases = Databases::create().await?;
    let config = databases.left.config("cached") + &databases.right.config("cached");
    let environment = [&databases.left, &databases.right]
        .map(|database| (database.password_variable(), database.reader_password.clone()));
    let mut server = support::crossweave(&config, environment.into())?;
    let client = server.start().await?;

    let loaded = differences(&client, &databases).await?;
    assert!(loaded.is_empty(), "after the first load, {} differ:\n{}", loaded.len(), loaded.join("\n"));

    databases.left.execute(CHANGES).await?;
    let expected = vec![vec!["18446744073709551614".to_owned()]];
    support::eventually("the last change is in the cache", std::time::Duration::from_secs(20), || async {
        let found = ask(&client, "SELECT big FROM left.numbers WHERE id = 7", &json!("cached")).await?;
        let texts = ask(&client, "SELECT id FROM left.texts WHERE b = 'b'", &json!("cached")).await?;
        if found == expected && !texts.is_empty() { Ok(()) } else { Err(format!("found {found:?}")) }
    })
    .await?;
    let changed = differences(&client, &databases).await?;
    assert!(changed.is_empty(), "after changes, {} differ:\n{}", changed.len(), changed.join("\n"));

    server.terminate().await?;
    Ok(())
}
