//! A service on the MariaDB that the tests run with, whatever its version: `check`, and queries on both routes over
//! every type, over text of the server's own default collation, and over names that need quotes.

use std::process::Output;
use std::time::Duration;

use mysql_async::prelude::Queryable as _;
use serde_json::{Value, json};

use crate::support::{self, Client, Server, ServiceDatabase, Statement, TestResult};

/// Most types in one table. Its texts have the database's collation, which is the server's default.
const KINDS: &str = r#"
    CREATE TABLE kinds (id INT PRIMARY KEY, word VARCHAR(20), l VARCHAR(9) CHARACTER SET latin1,
        k VARCHAR(9) CHARACTER SET euckr, w VARCHAR(9) CHARACTER SET ucs2, e ENUM('b', '😀', 'a'), s SET('😀', 'y'),
        u BIGINT UNSIGNED, d DECIMAL(65,30), f FLOAT, bits BIT(9), yes BIT(1), y YEAR, da DATE, dt DATETIME(6),
        ts TIMESTAMP(6) NULL, ti TIME(3), j JSON, n UUID, i4 INET4, i6 INET6, g POINT, v VARBINARY(5));
    INSERT INTO kinds VALUES
        (1, 'Straße', 'é€', '한국', '日本', '😀', '😀,y', 18446744073709551615,
         -0.000000000000000000000000000001, 0.1, b'100000001', 1, 2155, '2024-02-29', '9999-12-31 23:59:59.999999',
         '2038-01-19 03:14:07.999999', '-838:59:59.999', '{"k": 1}', '00112233-4455-6677-8899-aabbccddeeff', '1.2.3.0',
         '::1.2.3.4', POINT(1, -2), x'00ff'),
        (2, 'strasse', '', '', '', 'a', '', 0, 0, -0e0, 0, 0, 1901, '1000-01-01', '1970-01-01', '1970-01-01 00:00:01', '0',
         '""', '00000000-0000-0000-0000-000000000000', '0.0.0.0', '::', POINT(0, 0), ''),
        (3, 'STRASSE  ', NULL, NULL, NULL, 'b', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL,
         NULL, NULL, NULL, NULL, NULL),
        (4, '日本', 'x', 'x', 'x', NULL, 'y', 9223372036854775808, 1, 16777217, 1, 1, 2000, '2000-01-01', '2000-01-01',
         '2000-01-01', '1', '[]', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '255.255.255.255', 'ffff::1', NULL, x'00')"#;

/// Names with everything in them that a name may have.
const NAMED: &str = r#"
    CREATE TABLE `we``ird "t".a b日` (`i``d` INT PRIMARY KEY, `sp ace.d"ot` VARCHAR(9));
    INSERT INTO `we``ird "t".a b日` VALUES (1, 'x'), (2, 'y');
    CREATE VIEW `v ``iew` AS SELECT `i``d` AS `id '"`, `sp ace.d"ot` FROM `we``ird "t".a b日`;
    CREATE TABLE kept (id INT PRIMARY KEY, a INT) WITH SYSTEM VERSIONING;
    INSERT INTO kept VALUES (1, 1); UPDATE kept SET a = 2"#;

async fn started() -> TestResult<(ServiceDatabase, Server, Client)> {
    let database = support::database("any").await?;
    let mut conn = database.connect().await?;
    conn.query_drop("SET NAMES utf8mb4").await?;
    for statement in [KINDS, NAMED] {
        conn.query_drop(statement).await?;
    }
    conn.disconnect().await?;
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let mut server = support::crossweave(&database.config("cached"), environment)?;
    let client = server.start().await?;
    Ok((database, server, client))
}

/// The rows, once both routes give the same.
async fn ask(client: &Client, sql: &str) -> TestResult<Vec<Vec<Value>>> {
    support::eventually(sql, Duration::from_secs(20), || async {
        let on = async |route: &str| {
            client.sql(&Statement::new(sql).on(route)).await.map_err(|error| error.to_string())
        };
        let (live, cached) = (on("live").await?, on("cached").await?);
        if live.rows == cached.rows && live.columns == cached.columns {
            Ok(live.rows)
        } else {
            Err(format!("live {:?}, cached {:?}", live.rows, cached.rows))
        }
    })
    .await
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[tokio::test]
async fn check_finds_the_server_fit() -> TestResult {
    let (_database, server, _client) = started().await?;
    let output = support::output(server.command(&["check"])).await?;
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert!(!text.contains("ERROR") && text.contains("binlog_row_image"), "{text}");
    Ok(())
}

#[tokio::test]
async fn all_types_are_the_same_on_both_routes() -> TestResult {
    let (database, mut server, client) = started().await?;
    let all = ask(&client, "SELECT * FROM any.kinds ORDER BY id").await?;
    assert_eq!(all.len(), 4);
    assert_eq!(
        all[0][1..9],
        [
            json!("Straße"),
            json!("é€"),
            json!("한국"),
            json!("日本"),
            json!("😀"),
            json!("😀,y"),
            json!("18446744073709551615"),
            json!("-0.000000000000000000000000000001"),
        ]
    );
    let changes = "UPDATE kinds SET id = id + 10, e = '😀', k = CONCAT(k, '국'), w = NULL WHERE id IN (1, 2);
                   DELETE FROM kinds WHERE id = 4; UPDATE kept SET a = a + 1";
    let mut conn = database.connect().await?;
    conn.query_drop("SET NAMES utf8mb4").await?;
    conn.query_drop(changes).await?;
    conn.disconnect().await?;
    let keys = ask(&client, "SELECT id, k, e FROM any.kinds ORDER BY id").await?;
    assert_eq!(json!(keys), json!([[3, null, "b"], [11, "한국국", "😀"], [12, "국", "😀"]]));
    ask(&client, "SELECT * FROM any.kinds ORDER BY id").await?;
    assert_eq!(json!(ask(&client, "SELECT * FROM any.kept").await?), json!([[1, 3]]));
    server.terminate().await?;
    Ok(())
}

/// What MariaDB says of its default collation is what both routes say.
#[tokio::test]
async fn text_of_the_default_collation_is_compared_as_there() -> TestResult {
    let (database, mut server, client) = started().await?;
    let mut conn = database.connect().await?;
    conn.query_drop("SET NAMES utf8mb4").await?;
    for condition in
        ["word = 'STRASSE'", "word = 'straße'", "word LIKE 'stra%'", "word < 'strb'", "word IN ('日本')"]
    {
        let there: Vec<i64> = conn.query(format!("SELECT id FROM kinds WHERE {condition} ORDER BY id")).await?;
        let here = ask(&client, &format!("SELECT id FROM any.kinds WHERE {condition} ORDER BY id")).await?;
        assert_eq!(here, there.iter().map(|id| vec![json!(id)]).collect::<Vec<_>>(), "{condition}");
    }
    let there: Vec<(i64, i64)> =
        conn.query("SELECT COUNT(*), MIN(id) FROM kinds GROUP BY word ORDER BY 2").await?;
    let here = ask(&client, "SELECT COUNT(*), MIN(id) FROM any.kinds GROUP BY word ORDER BY 2").await?;
    assert_eq!(here, there.iter().map(|(n, id)| vec![json!(n), json!(id)]).collect::<Vec<_>>());
    let ordered = ask(&client, "SELECT e FROM any.kinds WHERE e IS NOT NULL ORDER BY e").await?;
    assert_eq!(json!(ordered), json!([["b"], ["😀"], ["a"]]), "an ENUM is ordered by its place");
    conn.disconnect().await?;
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn names_that_need_quotes_are_found() -> TestResult {
    let (_database, mut server, client) = started().await?;
    let sql = r#"SELECT "i`d", "sp ace.d""ot" FROM any."we`ird ""t"".a b日" ORDER BY 1"#;
    assert_eq!(json!(ask(&client, sql).await?), json!([[1, "x"], [2, "y"]]));
    let of_view =
        client.sql(&Statement::new(r#"SELECT "id '""" FROM any."v `iew" ORDER BY 1"#).on("live")).await?;
    assert_eq!((json!(of_view.rows), of_view.columns[0].name.as_str()), (json!([[1], [2]]), "id '\""));
    let unknown = client.sql(&Statement::new("SELECT * FROM any.\"😀\"")).await;
    let error = unknown.err().ok_or("no such table")?.to_string();
    assert!(error.contains("😀") && error.contains("any"), "{error}");
    server.terminate().await?;
    Ok(())
}

/// 11.7 and later have vectors; 11.5 and later do not log generated columns, which `check` says.
#[tokio::test]
async fn what_later_versions_have_is_read_or_said() -> TestResult {
    let database = support::database("later").await?;
    database.execute("CREATE TABLE g (id INT PRIMARY KEY, a INT, b INT AS (a + 1) STORED); INSERT INTO g (id, a) VALUES (1, 1)").await?;
    let vectors = database
        .execute("CREATE TABLE v (id INT PRIMARY KEY, v VECTOR(2)); INSERT INTO v VALUES (1, VEC_FROMTEXT('[1,-0.5]')), (2, NULL)")
        .await;
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let mut server = support::crossweave(&database.config("cached"), environment)?;
    let client = server.start().await?;
    let mut conn = database.connect().await?;
    let version: String = conn.query_first("SELECT VERSION()").await?.ok_or("a version")?;
    conn.disconnect().await?;
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    let version = (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    assert_eq!(vectors.is_ok(), version >= (11, 7), "{version:?}");
    if vectors.is_ok() {
        let rows = ask(&client, "SELECT * FROM later.v ORDER BY id").await?;
        assert_eq!(json!(rows), json!([[1, [1, -0.5]], [2, null]]));
    }
    let text = said(&support::output(server.command(&["check"])).await?);
    let says = text.contains("live only: its column b is generated");
    assert_eq!(says, version >= (11, 5), "{version:?}: {text}");
    let rows = client.sql(&Statement::new("SELECT * FROM later.g").on("auto")).await?.rows;
    assert_eq!(json!(rows), json!([[1, 1, 2]]));
    server.terminate().await?;
    Ok(())
}
