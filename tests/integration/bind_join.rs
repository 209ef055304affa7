//! Joins of tables on two sources: the other side is asked for the rows with a partner, in as many statements as help, and
//! the answer is that of two whole tables.

use serde_json::{Value, json};

use crate::support::{self, Client, Statement, TestResult};

const USERS: &str = "CREATE TABLE users (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(40) NOT NULL, born DATE NULL, \
     code VARCHAR(10) CHARACTER SET latin1) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci;
     INSERT INTO users SELECT seq, CONCAT(ELT(seq % 3 + 1, 'user', 'USER', 'Üser'), seq), '2000-01-01' + INTERVAL seq DAY, \
     CONCAT('c', seq) FROM seq_1_to_12000;
     INSERT INTO users VALUES (18446744073709551615, 'last ', '0000-00-00', NULL);
     CREATE TABLE names (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(40) NOT NULL) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci;
     INSERT INTO names (name) SELECT CONCAT('USER', seq * 20) FROM seq_1_to_600 UNION ALL SELECT CONCAT('user', seq * 20, ' ') \
     FROM seq_1_to_600;
     ANALYZE TABLE users, names";

const ORDERS: &str = "CREATE TABLE orders (id INT PRIMARY KEY, user_id BIGINT NULL, who VARCHAR(40) NULL, day DATE NULL, \
     plain INT, code VARCHAR(10) CHARACTER SET latin1, KEY (user_id), KEY (who), KEY (day)) \
     DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci;
     INSERT INTO orders SELECT seq, IF(seq % 11 = 0, NULL, seq % 15000), CONCAT('User', seq % 15000, IF(seq % 2, ' ', '')), \
     '2000-01-01' + INTERVAL seq % 15000 DAY, seq % 15000, CONCAT('C', seq % 15000) FROM seq_1_to_30000;
     INSERT INTO orders VALUES (40000, -1, 'LAST', '0000-00-00', -1, NULL);
     ANALYZE TABLE orders";

/// A join, how many keys go to the orders, and in how many statements.
const ASKED: &[(&str, u64, u64)] = &[
    ("SELECT u.id, o.id FROM u.users u JOIN o.orders o ON o.user_id = u.id WHERE u.id BETWEEN 5 AND 9", 5, 1),
    // By a text, under its collation.
    ("SELECT u.name, o.id FROM u.users u JOIN o.orders o ON o.who = u.name WHERE u.id < 40", 39, 1),
    ("SELECT u.name, o.id FROM u.users u JOIN o.orders o ON o.code = u.code WHERE u.id < 4", 3, 1),
    ("SELECT u.id, o.id FROM u.users u JOIN o.orders o ON o.day = u.born WHERE u.id > 11990", 10, 1),
    // By two columns.
    ("SELECT o.id FROM u.users u JOIN o.orders o ON o.user_id = u.id AND o.day = u.born WHERE u.id < 7", 12, 1),
    ("SELECT u.id, o.id FROM u.users u LEFT JOIN o.orders o ON o.user_id = u.id WHERE u.id > 11998", 3, 1),
    (
        "SELECT u.id FROM u.users u WHERE u.id < 9 AND EXISTS (SELECT 1 FROM o.orders o WHERE o.user_id = u.id)",
        8,
        1,
    ),
    (
        "SELECT u.id FROM u.users u WHERE u.id < 9 AND NOT EXISTS (SELECT 1 FROM o.orders o WHERE o.who = u.name)",
        8,
        1,
    ),
    // So many lists as an index serves.
    ("SELECT count(*) FROM u.users u JOIN o.orders o ON o.user_id = u.id WHERE u.id < 1200", 1_199, 3),
    // Of texts that are equal under the collation one is asked for: those of two lists would find a row twice.
    ("SELECT n.name, o.id FROM u.names n JOIN o.orders o ON o.who = n.name", 600, 2),
    ("SELECT o.id FROM o.orders o WHERE o.who IN (SELECT n.name FROM u.names n)", 600, 2),
    // By two columns: the keys of one are looked up, those of the other go along.
    (
        "SELECT count(*) FROM u.users u JOIN o.orders o ON o.user_id = u.id AND o.day = u.born WHERE u.id < 1200",
        2_398,
        3,
    ),
    // Without an index the table is read once.
    ("SELECT count(*) FROM u.users u JOIN o.orders o ON o.plain = u.id WHERE u.id < 1200", 1_199, 1),
    // By the one value of a subquery that depends on nothing.
    ("SELECT o.id FROM o.orders o WHERE o.user_id = (SELECT max(id) - 1 FROM u.users WHERE id < 50)", 1, 1),
    ("SELECT o.id FROM o.orders o WHERE o.who = (SELECT name FROM u.users WHERE id = 7) AND o.id > 5", 1, 1),
    // More keys than are gathered.
    ("SELECT count(*) FROM u.users u JOIN o.orders o ON o.user_id = u.id", 0, 1),
    ("SELECT count(*) FROM u.users u JOIN o.orders o ON o.user_id = u.id WHERE u.id < 0", 0, 0),
];

/// A condition with a subquery's value that is not looked up, and how many rows of the orders are fetched.
const COMPARED: &[(&str, u64)] = &[
    ("SELECT id, plain FROM o.orders WHERE id > (SELECT max(id) - 20 FROM o.orders WHERE id <= 30000)", 21),
    // Of a number with more places than the column, the next one without.
    ("SELECT id FROM o.orders WHERE plain < (SELECT avg(id) FROM u.users WHERE id < 10)", 11),
    ("SELECT id FROM o.orders WHERE plain <= (SELECT avg(id) FROM u.users WHERE id < 9)", 13),
    ("SELECT id FROM o.orders WHERE (SELECT avg(id) + 29989 FROM u.users WHERE id < 9) < id", 9),
    (
        "SELECT id FROM o.orders WHERE user_id > (SELECT max(-id / 2) FROM u.users WHERE id = 5) AND user_id < 2",
        5,
    ),
    (
        "SELECT id, day FROM o.orders WHERE day BETWEEN (SELECT min(born) FROM u.users WHERE id > 3) AND \
         (SELECT max(born) FROM u.users WHERE id < 6)",
        4,
    ),
    ("SELECT id FROM o.orders WHERE day >= (SELECT max(day) - INTERVAL '1 day' FROM o.orders)", 4),
    ("SELECT id FROM o.orders WHERE plain = (SELECT min(id) FROM u.users) AND id > 5", 1),
    // Of no row, and of none that is not NULL.
    ("SELECT id FROM o.orders WHERE id > (SELECT id FROM u.users WHERE id = 0)", 0),
    ("SELECT id FROM o.orders WHERE id <= (SELECT max(user_id) FROM o.orders WHERE id = 11)", 0),
    // Below joins and groups.
    (
        "SELECT o.id, u.name FROM o.orders o LEFT JOIN u.users u ON u.id = o.user_id \
         WHERE o.id < (SELECT avg(id) FROM u.users WHERE id < 30)",
        15,
    ),
    (
        "SELECT q.user_id, q.n FROM (SELECT user_id, count(*) AS n FROM o.orders GROUP BY user_id) q \
         WHERE q.user_id < (SELECT min(id) + 3 FROM u.users)",
        9,
    ),
    (
        "SELECT count(*) FROM u.users u, LATERAL (SELECT o.id FROM o.orders o WHERE o.user_id = u.id AND o.id < \
         (SELECT min(id) + 2 FROM u.users)) q",
        2,
    ),
    // Of the first rows in pages, and in each round anew what is the same in all.
    (
        "SELECT o.id, u.name FROM o.orders o LEFT JOIN u.users u ON u.id = o.user_id \
         WHERE o.id >= (SELECT max(id) - 100 FROM o.orders WHERE id <= 30000) ORDER BY o.id LIMIT 3",
        102,
    ),
    (
        "WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT r.n + 1 FROM r JOIN o.orders o ON o.plain = r.n OR o.id = -r.n \
         WHERE o.id <= (SELECT min(id) + 9 FROM u.users) AND r.n < 6) SELECT n FROM r",
        10,
    ),
    // Beside OR all are read, as they are where the value is not known before.
    ("SELECT count(*) FROM o.orders WHERE plain < (SELECT min(id) FROM u.users) OR id = 7", 30_001),
    ("SELECT count(*) FROM o.orders WHERE plain <> (SELECT min(id) FROM u.users)", 30_001),
];

/// A join of which the first rows are wanted, how many rows of the orders come at most, and of the users.
const FIRST: &[(&str, u64, u64)] = &[
    (
        "SELECT o.id, u.name FROM o.orders o JOIN u.users u ON u.id = o.user_id ORDER BY o.id DESC LIMIT 5",
        5_000,
        5_000,
    ),
    (
        "SELECT o.id, o.day, u.name FROM o.orders o JOIN u.users u ON u.id = o.user_id ORDER BY o.day, o.id LIMIT 20 \
         OFFSET 30",
        1_000,
        1_000,
    ),
    (
        "SELECT o.id, u.name FROM u.users u JOIN o.orders o ON u.id = o.user_id ORDER BY o.plain DESC, o.id LIMIT 3",
        15_000,
        15_000,
    ),
    // By a text, under its collation; and a side that keeps its rows.
    (
        "SELECT o.id FROM o.orders o LEFT JOIN u.users u ON u.id = o.user_id ORDER BY o.who, o.id LIMIT 15",
        1_000,
        1_000,
    ),
    // Its key is not among what is read of it.
    (
        "SELECT o.day FROM o.orders o LEFT JOIN u.users u ON u.id = o.user_id ORDER BY o.day LIMIT 1500",
        5_000,
        5_000,
    ),
    (
        "SELECT o.id FROM o.orders o WHERE NOT EXISTS (SELECT 1 FROM u.users u WHERE u.id = o.user_id) ORDER BY o.id \
         LIMIT 7",
        1_000,
        1_000,
    ),
    // A condition on the other side, which three pages in four do not meet.
    (
        "SELECT o.id, u.id FROM o.orders o JOIN u.users u ON u.id = o.user_id WHERE u.name LIKE '%9' OR o.id < 0 \
         ORDER BY o.day DESC, o.id LIMIT 4",
        30_001,
        12_001,
    ),
    // Hardly any row passes: all are asked for in the end.
    (
        "SELECT o.id, u.id FROM o.orders o JOIN u.users u ON u.id = o.user_id AND u.id + o.id = 12 ORDER BY o.id \
         LIMIT 9",
        30_001,
        30_000,
    ),
];

async fn rows(client: &Client, statement: Statement) -> TestResult<Vec<String>> {
    let answer = client.sql(&statement).await.map_err(|error| format!("{}: {error}", statement.sql))?;
    let line = |row: Vec<Value>| row.iter().map(Value::to_string).collect::<Vec<_>>().join("|");
    let mut rows: Vec<String> = answer.rows.into_iter().map(line).collect();
    if !statement.sql.contains("ORDER BY") {
        rows.sort();
    }
    Ok(rows)
}

/// A number that EXPLAIN ANALYZE shows of the scan of `table`.
fn metric(plan: &str, table: &str, name: &str) -> Option<u64> {
    let line = plan.lines().find(|line| line.contains(&format!("LiveScan: {table}")))?;
    // The first of them comes after a bracket.
    let line = line.replace('[', " ");
    let value = line.split_once(&format!(" {name}="))?.1;
    let value: String = value.chars().take_while(|c| *c != ',' && *c != ']').collect();
    // 1.20 K is what DataFusion makes of 1,199.
    match value.split_once(' ') {
        Some((number, _)) => Some((number.parse::<f64>().ok()? * 1_000.0) as u64),
        None => value.parse().ok(),
    }
}

#[tokio::test]
async fn the_other_source_is_asked_for_rows_with_a_partner() -> TestResult {
    let users = support::database("u").await?;
    let orders = support::database("o").await?;
    for (database, statements) in [(&users, USERS), (&orders, ORDERS)] {
        database.execute(&format!("SET sql_mode = '';\n{statements}")).await?;
    }
    let environment = [&users, &orders].map(|d| (d.password_variable(), d.reader_password.clone()));
    // Another name for the address is another source.
    let config = users.config("cached") + &orders.config("cached").replace("127.0.0.1", "localhost");
    assert!(config.contains("localhost"), "{config}");
    let mut server = support::crossweave(&config, environment.into())?;
    let client = server.start().await?;
    let mut wrong = Vec::new();
    for (question, keys, statements) in ASKED {
        let whole = rows(&client, Statement::new(*question).on("live").pushing_down("none")).await?;
        let mixed = json!({"u": "cached", "o": "live"});
        for route in [json!("live"), json!("cached"), mixed] {
            let found = rows(&client, Statement::new(*question).on(route.clone())).await?;
            if found != whole {
                wrong.push(format!("{question} on {route}: {} rows, not {}", found.len(), whole.len()));
            }
        }
        let explained = client.sql(&Statement::new(format!("EXPLAIN ANALYZE {question}")).on("live")).await?;
        let plan: Vec<&str> = explained.rows.iter().filter_map(|row| row[1].as_str()).collect();
        let plan = plan.join("\n");
        let shown = (metric(&plan, "o.orders", "keys"), metric(&plan, "o.orders", "statements"));
        let as_expected = |found: Option<u64>, expected: u64| found.is_some_and(|n| n.abs_diff(expected) <= 5);
        if !as_expected(shown.0, *keys) || shown.1 != Some(*statements) {
            wrong.push(format!("{question}: {shown:?}, not {keys} keys in {statements} statements\n{plan}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn rows_that_are_compared_with_a_subquerys_value_are_asked_for_once_it_is_known() -> TestResult {
    let users = support::database("u").await?;
    let orders = support::database("o").await?;
    for (database, statements) in [(&users, USERS), (&orders, ORDERS)] {
        database.execute(&format!("SET sql_mode = '';\n{statements}")).await?;
    }
    let environment = [&users, &orders].map(|d| (d.password_variable(), d.reader_password.clone()));
    let config = users.config("cached") + &orders.config("cached").replace("127.0.0.1", "localhost");
    let mut server = support::crossweave(&config, environment.into())?;
    let client = server.start().await?;
    let mut wrong = Vec::new();
    for (question, of_orders) in COMPARED {
        let whole = rows(&client, Statement::new(*question).on("live").pushing_down("none")).await?;
        let mixed = json!({"u": "cached", "o": "live"});
        for route in [json!("live"), json!("cached"), mixed.clone()] {
            let found = rows(&client, Statement::new(*question).on(route.clone())).await?;
            if found != whole {
                wrong.push(format!("{question} on {route}: {found:?}, not {whole:?}"));
            }
        }
        let explained = client.sql(&Statement::new(format!("EXPLAIN ANALYZE {question}")).on(mixed)).await?;
        let plan: Vec<&str> = explained.rows.iter().filter_map(|row| row[1].as_str()).collect();
        let plan = plan.join("\n");
        // The scan of the rows comes before those of the values.
        let fetched = metric(&plan, "o.orders", "output_rows");
        if fetched.is_none_or(|fetched| fetched > *of_orders || fetched * 2 < *of_orders) {
            wrong.push(format!("{question}: {fetched:?} rows, not {of_orders}\n{plan}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn of_the_first_rows_of_a_join_pages_are_asked_for() -> TestResult {
    let users = support::database("u").await?;
    let orders = support::database("o").await?;
    for (database, statements) in [(&users, USERS), (&orders, ORDERS)] {
        database.execute(&format!("SET sql_mode = '';\n{statements}")).await?;
    }
    let environment = [&users, &orders].map(|d| (d.password_variable(), d.reader_password.clone()));
    let config = users.config("live") + &orders.config("live").replace("127.0.0.1", "localhost");
    let mut server = support::crossweave(&config, environment.into())?;
    let client = server.start().await?;
    let mut wrong = Vec::new();
    for (question, of_orders, of_users) in FIRST {
        let whole = rows(&client, Statement::new(*question).pushing_down("none")).await?;
        for pushed in ["all", "bind", "bind,sort,limit"] {
            let found = rows(&client, Statement::new(*question).pushing_down(pushed)).await?;
            if found != whole {
                wrong.push(format!("{question} pushing down {pushed}: {found:?}, not {whole:?}"));
            }
        }
        let explained = client.sql(&Statement::new(format!("EXPLAIN ANALYZE {question}"))).await?;
        let plan: Vec<&str> = explained.rows.iter().filter_map(|row| row[1].as_str()).collect();
        let plan = plan.join("\n");
        let fetched =
            ["o.orders", "u.users"].map(|table| metric(&plan, table, "output_rows").unwrap_or(u64::MAX));
        if fetched[0] > *of_orders || fetched[1] > *of_users {
            wrong.push(format!("{question}: {fetched:?} rows, not {of_orders} and {of_users}\n{plan}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    server.terminate().await?;
    Ok(())
}

#[tokio::test]
async fn lists_are_sent_as_far_as_a_statement_has_room_and_its_owner_allows() -> TestResult {
    let users = support::database("u").await?;
    let orders = support::database("o").await?;
    users.execute(&format!("SET sql_mode = '';\n{USERS}")).await?;
    let columns: Vec<String> = (1..=7).map(|number| format!("c{number}")).collect();
    orders
        .execute(&format!(
            "CREATE TABLE facts (id INT PRIMARY KEY, {} INT, KEY (c1));
             INSERT INTO facts SELECT seq, {} FROM seq_1_to_20000;
             ANALYZE TABLE facts",
            columns.join(" INT, "),
            vec!["seq"; columns.len()].join(", "),
        ))
        .await?;
    let environment = [&users, &orders].map(|d| (d.password_variable(), d.reader_password.clone()));
    let live = orders.config("live");
    let narrow = live.replace("[services.o]", "[services.narrow]");
    let limits = "[services.narrow.limits]\nrows_examined = 15000\n";
    let mut server =
        support::crossweave(&(users.config("cached") + &live + &narrow + limits), environment.into())?;
    let client = server.start().await?;
    let joins: Vec<String> = columns
        .iter()
        .enumerate()
        .map(|(at, name)| {
            format!("JOIN u.users u{at} ON u{at}.id = f.{name} AND u{at}.id BETWEEN {at} AND {}", 9_500 + at)
        })
        .collect();
    let statement = Statement::new(format!("SELECT count(*) FROM o.facts f {}", joins.join(" ")));
    // Of all seven 66,506 values would be sent.
    let route = json!({"u": "cached", "o": "live"});
    assert_eq!(rows(&client, statement.on(route)).await?, ["9495"]);
    // All rows may not be read, though that would be faster.
    let few = "SELECT count(*) FROM narrow.facts f JOIN u.users u ON u.id = f.c1 WHERE u.id < 7000";
    let route = json!({"u": "cached", "narrow": "live"});
    assert_eq!(rows(&client, Statement::new(few).on(route)).await?, ["6999"]);
    server.terminate().await?;
    Ok(())
}
