//! What sources are asked for: the statements that questions become, and that their answers are those of the cache and
//! of push-down switched off. Whether they are MariaDB's is for `parity` to say.

use serde_json::{Value, json};

use crate::support::{self, Client, Statement, TestResult};

const TABLES: &[&str] = &[
    "CREATE TABLE users (id BIGINT UNSIGNED PRIMARY KEY, name VARCHAR(40) NOT NULL, nick VARCHAR(40) \
     COLLATE utf8mb4_unicode_ci NULL, born DATE NULL, balance DECIMAL(12,2) NULL, score DOUBLE NULL, \
     kind ENUM('basic', 'Gold', 'trial'), KEY (name)) DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci",
    "CREATE TABLE orders (id INT PRIMARY KEY, user_id BIGINT UNSIGNED NULL, placed DATETIME(6) NOT NULL, \
     total DECIMAL(12,2) NOT NULL, state VARCHAR(12) NULL, KEY (user_id), KEY (placed)) \
     DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci",
    "CREATE TABLE tags (user_id BIGINT UNSIGNED NOT NULL, tag VARCHAR(20) NOT NULL, PRIMARY KEY (user_id, tag)) \
     DEFAULT CHARSET utf8mb4 COLLATE utf8mb4_general_ci",
    "INSERT INTO users VALUES (1, 'Ada', 'ß', '1815-12-10', 10.50, 1.5, 'Gold'), (2, 'ada ', 'ss', NULL, -0.01, -0.0, 'basic'), \
     (3, 'Grace', NULL, '1906-12-09', NULL, 2.25, 'trial'), (4, 'É', 'e', '2018-01-31', 10.50, NULL, NULL), \
     (18446744073709551615, 'Linus', 'LINUS', '1969-12-28', 99999999.99, 1e10, 'Gold')",
    "INSERT INTO orders SELECT seq, CASE seq % 7 WHEN 0 THEN NULL WHEN 6 THEN 18446744073709551615 ELSE seq % 7 END, \
     '2024-01-01' + INTERVAL seq * 37 HOUR + INTERVAL seq MICROSECOND, seq * 1.25, \
     ELT(seq % 5, 'open', 'Open', 'OPEN ', 'paid') FROM seq_1_to_200",
    // A date that is none is NULL.
    "SET sql_mode = ''; INSERT INTO users (id, name, born) VALUES (5, 'zero', '0000-00-00'), (6, 'part', '1990-02-00')",
    "INSERT INTO tags VALUES (1, 'a'), (1, 'B'), (2, 'b'), (3, 'A'), (9, 'c')",
    "CREATE VIEW bought AS SELECT id, total FROM orders",
];

/// What is asked, and the statement it becomes: that after `statement=` in the plan. `None` where a part is computed
/// here.
const ASKED: &[(&str, Option<&str>)] = &[
    ("SELECT id FROM s.users WHERE name = 'ADA'", Some("SELECT `id` FROM {s}.`users` WHERE (`name` = ?)")),
    (
        "SELECT id FROM s.users WHERE name LIKE 'a%' AND nick IN ('SS', 'x')",
        Some("SELECT `id` FROM {s}.`users` WHERE ((`name` LIKE ?) AND (`nick` IN (?, ?)))"),
    ),
    ("SELECT id FROM s.users WHERE kind = 'gold'", Some("SELECT `id` FROM {s}.`users` WHERE (`kind` = ?)")),
    ("SELECT id FROM s.users WHERE kind < 'gold'", None),
    ("SELECT id FROM s.users WHERE score = 0", None),
    ("SELECT count(*) FROM s.users", Some("SELECT COUNT(*) FROM {s}.`users`")),
    // MariaDB has 8,000, though the two have 200 rows in common.
    (
        "SELECT count(*) FROM s.orders o JOIN s.bought b ON b.total = o.total WHERE NOT EXISTS (SELECT 1 FROM s.orders x \
         WHERE x.total = b.total AND x.state = o.state)",
        None,
    ),
    (
        "SELECT state, count(*), sum(total), avg(total), min(placed), max(total) FROM s.orders GROUP BY state",
        Some(
            "SELECT MIN(CONVERT(`state` USING utf8mb4) COLLATE utf8mb4_nopad_bin), COUNT(*), SUM(`total`), \
             CAST(AVG(`total`) AS DECIMAL(16,6)), MIN((`placed` + INTERVAL 0 DAY)), MAX(`total`) FROM {s}.`orders` \
             GROUP BY `state`",
        ),
    ),
    (
        "SELECT count(DISTINCT state), count(born) FROM s.users u JOIN s.orders o ON o.user_id = u.id",
        Some(
            "SELECT COUNT(DISTINCT t2.`state`), COUNT((t1.`born` + INTERVAL 0 DAY)) FROM {s}.`users` AS t1 JOIN \
             {s}.`orders` AS t2 ON (t1.`id` = t2.`user_id`)",
        ),
    ),
    (
        "SELECT state, count(*) FROM s.orders GROUP BY state HAVING count(*) > 10 AND state <> 'paid'",
        Some(
            "SELECT MIN(CONVERT(`state` USING utf8mb4) COLLATE utf8mb4_nopad_bin), COUNT(*) FROM {s}.`orders` WHERE \
 (`state` <> ?) GROUP BY `state` HAVING (COUNT(*) > ?)",
        ),
    ),
    // LIKE tells equal texts apart: below the group it would see others than that which stands for them.
    ("SELECT state, count(*) FROM s.orders GROUP BY state HAVING state LIKE 'open'", None),
    ("SELECT state, count(*) FROM s.orders GROUP BY state HAVING state NOT LIKE '% ' OR count(*) < 2", None),
    (
        "SELECT state, sum(total) / count(*) FROM s.orders WHERE total / 3 > 10 GROUP BY state HAVING sum(total) / 3 > 1",
        Some(
            "SELECT MIN(CONVERT(`state` USING utf8mb4) COLLATE utf8mb4_nopad_bin), CAST((CAST(SUM(`total`) AS DECIMAL(22,2)) / \
 CAST(COUNT(*) AS DECIMAL(19,0))) AS DECIMAL(26,6)) FROM {s}.`orders` WHERE (CAST((`total` / CAST(? AS DECIMAL(1,0))) AS \
 DECIMAL(16,6)) > ?) GROUP BY `state` HAVING (CAST((CAST(SUM(`total`) AS DECIMAL(22,2)) / CAST(? AS DECIMAL(1,0))) AS \
 DECIMAL(26,6)) > ?)",
        ),
    ),
    // A literal in the place of a column is no number of one.
    (
        "SELECT id, 1 AS c FROM s.orders ORDER BY c, id DESC LIMIT 3",
        Some("SELECT `id`, ? FROM {s}.`orders` ORDER BY `id` DESC LIMIT ?"),
    ),
    (
        "SELECT c, id FROM (SELECT id, 2 AS c, total FROM s.orders LIMIT 500) x ORDER BY c, total DESC LIMIT 3",
        Some(
            "SELECT t2.c2, t2.c0 FROM (SELECT t1.`id` AS c0, t1.`total` AS c1, ? AS c2 FROM {s}.`orders` AS t1 LIMIT ?) AS \
 t2 ORDER BY t2.c2, t2.c1 DESC LIMIT ?",
        ),
    ),
    (
        "SELECT c, count(*) FROM (SELECT 2 AS c, state FROM s.orders LIMIT 500) x GROUP BY c, state ORDER BY 2, 1 LIMIT 9",
        Some(
            "SELECT t2.c1, COUNT(*) FROM (SELECT t1.`state` AS c0, ? AS c1 FROM {s}.`orders` AS t1 LIMIT ?) AS t2 GROUP BY \
 t2.c1, t2.c0 ORDER BY COUNT(*), t2.c1 LIMIT ?",
        ),
    ),
    (
        "SELECT born, count(*) FROM s.users GROUP BY born HAVING born > '1900-01-01' OR count(*) > 1",
        Some(
            "SELECT t2.c0, t2.c1 FROM (SELECT (t1.`born` + INTERVAL 0 DAY) AS c0, COUNT(*) AS c1 FROM {s}.`users` AS t1 GROUP \
 BY (t1.`born` + INTERVAL 0 DAY)) AS t2 WHERE ((t2.c0 > CAST(? AS DATE)) OR (t2.c1 > ?))",
        ),
    ),
    (
        "SELECT * FROM (SELECT born, count(*) AS n FROM s.users GROUP BY born LIMIT 100) x WHERE born > '1900-01-01'",
        Some(
            "SELECT t2.c0, t2.c1 FROM (SELECT (t1.`born` + INTERVAL 0 DAY) AS c0, COUNT(*) AS c1 FROM {s}.`users` AS t1 GROUP \
 BY (t1.`born` + INTERVAL 0 DAY) LIMIT ?) AS t2 WHERE (t2.c0 > CAST(? AS DATE))",
        ),
    ),
    (
        "SELECT u.name, o.total FROM s.users u JOIN s.orders o ON o.user_id = u.id WHERE o.total > 200 ORDER BY o.total DESC LIMIT 3 OFFSET 1",
        Some(
            "SELECT t1.`name`, t2.`total` FROM {s}.`users` AS t1 JOIN {s}.`orders` AS t2 ON (t1.`id` = t2.`user_id`) \
             WHERE (t2.`total` > ?) ORDER BY t2.`total` DESC LIMIT ? OFFSET ?",
        ),
    ),
    (
        "SELECT u.id, o.id FROM s.users u LEFT JOIN s.orders o ON o.id = u.id AND o.state = 'open' WHERE u.id < 4",
        Some(
            "SELECT t1.`id`, t2.`id` FROM {s}.`users` AS t1 LEFT JOIN {s}.`orders` AS t2 ON (t1.`id` = t2.`id`) AND \
             (t2.`state` = ?) WHERE (t1.`id` < ?)",
        ),
    ),
    (
        "SELECT id FROM s.users u WHERE EXISTS (SELECT 1 FROM s.orders o WHERE o.user_id = u.id AND o.total > 240)",
        Some(
            "SELECT t1.`id` FROM {s}.`users` AS t1 WHERE t1.`id` IN (SELECT t2.`user_id` FROM {s}.`orders` AS t2 \
             WHERE (t2.`total` > ?))",
        ),
    ),
    (
        "SELECT id FROM s.users u WHERE NOT EXISTS (SELECT 1 FROM s.tags t WHERE t.user_id = u.id)",
        Some(
            "SELECT t1.`id` FROM {s}.`users` AS t1 WHERE t1.`id` NOT IN (SELECT t2.`user_id` FROM {s}.`tags` AS t2)",
        ),
    ),
    // By two columns; and where something else of both sides is asked.
    (
        "SELECT id FROM s.orders o WHERE EXISTS (SELECT 1 FROM s.orders p WHERE p.user_id = o.user_id AND p.id = o.id \
         AND p.total > 240)",
        Some(
            "SELECT t1.`id` FROM {s}.`orders` AS t1 WHERE (t1.`user_id`, t1.`id`) IN (SELECT t2.`user_id`, t2.`id` FROM \
             {s}.`orders` AS t2 WHERE (t2.`total` > ?))",
        ),
    ),
    (
        "SELECT id FROM s.orders o WHERE EXISTS (SELECT 1 FROM s.orders p WHERE p.user_id = o.user_id AND p.id > o.id)",
        Some(
            "SELECT t1.`id` FROM {s}.`orders` AS t1 WHERE EXISTS (SELECT 1 FROM {s}.`orders` AS t2 WHERE \
             ((t1.`user_id` = t2.`user_id`) AND (t2.`id` > t1.`id`)))",
        ),
    ),
    // More rows would come than both tables have.
    ("SELECT t.tag, o.id FROM s.tags t JOIN s.orders o ON o.user_id = t.user_id", None),
    (
        "SELECT count(*) FROM s.tags t JOIN s.orders o ON o.user_id = t.user_id",
        Some("SELECT COUNT(*) FROM {s}.`tags` AS t1 JOIN {s}.`orders` AS t2 ON (t1.`user_id` = t2.`user_id`)"),
    ),
    (
        "SELECT sum(total * (1 - 0.25)), sum(CASE WHEN state = 'paid' THEN 1 ELSE 0 END) FROM s.orders",
        Some(
            "SELECT SUM((`total` * CAST(? AS DECIMAL(4,2)))), SUM(CASE WHEN (`state` = ?) THEN ? ELSE ? END) FROM {s}.`orders`",
        ),
    ),
    (
        "SELECT DISTINCT kind FROM s.users ORDER BY kind LIMIT 2",
        Some("SELECT `kind` FROM {s}.`users` GROUP BY `kind` ORDER BY (`kind`) IS NULL, `kind` LIMIT ?"),
    ),
    (
        "SELECT id, name FROM s.users ORDER BY name, id LIMIT 3",
        Some("SELECT `id`, `name` FROM {s}.`users` ORDER BY `name`, `id` LIMIT ?"),
    ),
    (
        "SELECT id FROM s.users ORDER BY born DESC, id LIMIT 2",
        Some(
            "SELECT `id` FROM {s}.`users` ORDER BY ((`born` + INTERVAL 0 DAY)) IS NOT NULL, (`born` + INTERVAL 0 DAY) DESC, `id` LIMIT ?",
        ),
    ),
    // What is compared is no NULL and no date that is none: the index has the order.
    (
        "SELECT id FROM s.orders WHERE placed >= '2024-02-01' AND placed < '2024-02-08' ORDER BY placed DESC LIMIT 10",
        Some(
            "SELECT `id` FROM {s}.`orders` WHERE ((`placed` >= CAST(? AS DATETIME(6)) AND (`placed` + INTERVAL 0 DAY) IS NOT \
             NULL) AND (`placed` < CAST(? AS DATETIME(6)) AND (`placed` + INTERVAL 0 DAY) IS NOT NULL)) ORDER BY `placed` \
             DESC LIMIT ?",
        ),
    ),
    (
        "SELECT id FROM s.users WHERE born <> '2018-01-31' ORDER BY born DESC LIMIT 3",
        Some(
            "SELECT `id` FROM {s}.`users` WHERE (`born` <> CAST(? AS DATE) AND (`born` + INTERVAL 0 DAY) IS NOT NULL) ORDER \
             BY `born` DESC LIMIT ?",
        ),
    ),
    (
        "SELECT id FROM s.users WHERE born IS NOT NULL ORDER BY born LIMIT 2",
        Some(
            "SELECT `id` FROM {s}.`users` WHERE (`born` + INTERVAL 0 DAY) IS NOT NULL ORDER BY `born` LIMIT ?",
        ),
    ),
    (
        "SELECT born, count(*) FROM (SELECT born FROM s.users UNION ALL SELECT born FROM s.users WHERE id > 3) x GROUP BY born",
        Some(
            "SELECT (t3.c0 + INTERVAL 0 DAY), COUNT(*) FROM ((SELECT t1.`born` AS c0 FROM {s}.`users` AS t1) UNION ALL \
             (SELECT t2.`born` AS c0 FROM {s}.`users` AS t2 WHERE (t2.`id` > ?))) AS t3 GROUP BY (t3.c0 + INTERVAL 0 DAY)",
        ),
    ),
    ("SELECT id FROM s.orders UNION ALL SELECT user_id FROM s.tags", None),
    (
        "SELECT extract(year FROM born) AS y, count(*) FROM s.users GROUP BY y ORDER BY y LIMIT 3",
        Some(
            "SELECT YEAR((`born` + INTERVAL 0 DAY)), COUNT(*) FROM {s}.`users` GROUP BY YEAR((`born` + INTERVAL 0 DAY)) ORDER BY \
             (YEAR((`born` + INTERVAL 0 DAY))) IS NULL, YEAR((`born` + INTERVAL 0 DAY)) LIMIT ?",
        ),
    ),
    (
        "SELECT id FROM s.orders WHERE extract(month FROM placed) = 3 AND extract(hour FROM placed) IN (1, 13)",
        Some(
            "SELECT `id` FROM {s}.`orders` WHERE ((MONTH((`placed` + INTERVAL 0 DAY)) = ?) AND (HOUR((`placed` + INTERVAL 0 \
             DAY)) IN (?, ?)))",
        ),
    ),
    // The beginning of a unit of time is a range, for which an index serves.
    (
        "SELECT id FROM s.orders WHERE placed::date = '2024-01-10'",
        Some(
            "SELECT `id` FROM {s}.`orders` WHERE ((`placed` >= CAST(? AS DATETIME(6)) AND (`placed` + INTERVAL 0 DAY) IS NOT \
             NULL) AND (`placed` < CAST(? AS DATETIME(6)) AND (`placed` + INTERVAL 0 DAY) IS NOT NULL))",
        ),
    ),
    (
        "SELECT count(*) FROM s.users WHERE date_trunc('year', born) > '1900-01-01'",
        Some(
            "SELECT COUNT(*) FROM {s}.`users` WHERE (`born` >= CAST(? AS DATE) AND (`born` + INTERVAL 0 DAY) IS NOT NULL)",
        ),
    ),
    (
        "SELECT left(name, 1), count(*) FROM s.users GROUP BY 1",
        Some(
            "SELECT MIN(CONVERT(SUBSTRING(`name`, ?, ?) USING utf8mb4) COLLATE utf8mb4_nopad_bin), COUNT(*) FROM {s}.`users` \
             GROUP BY SUBSTRING(`name`, ?, ?)",
        ),
    ),
    (
        "SELECT id FROM s.users WHERE substring(nick, 1, 1) IN ('S', 'x') AND char_length(name) > 2",
        Some(
            "SELECT `id` FROM {s}.`users` WHERE ((SUBSTRING(`nick`, ?, ?) IN (?, ?)) AND (CHAR_LENGTH(`name`) > ?))",
        ),
    ),
    (
        "SELECT id FROM s.users WHERE (name > 'b' AND balance < 5) IS NOT TRUE",
        Some("SELECT `id` FROM {s}.`users` WHERE ((((`name` > ?) AND (`balance` < ?))) IS NOT TRUE)"),
    ),
    (
        "SELECT id FROM s.orders WHERE user_id = (SELECT min(id) FROM s.users)",
        Some(
            "SELECT t1.`id` FROM {s}.`orders` AS t1 WHERE t1.`user_id` IN (SELECT t3.c0 FROM (SELECT MIN(t2.`id`) AS c0 \
             FROM {s}.`users` AS t2) AS t3)",
        ),
    ),
    ("SELECT id FROM s.users WHERE substring(name, -1) = 'a'", None),
    ("SELECT id FROM s.users WHERE upper(name) = 'ADA'", None),
    ("SELECT name || '!', total / 2 FROM s.users u JOIN s.orders o ON o.user_id = u.id", None),
    (
        "SELECT name, count(*) FROM (SELECT name, born FROM s.users WHERE id < 4 UNION ALL SELECT name, born FROM s.users \
         WHERE id > 2) x WHERE born > '1900-01-01' GROUP BY name ORDER BY 2 DESC, 1 LIMIT 2",
        None,
    ),
    (
        "SELECT count(*), sum(n) FROM (SELECT total n FROM s.orders WHERE state = 'open' UNION ALL SELECT balance n FROM s.users) x",
        Some(
            "SELECT COUNT(*), SUM(t3.c0) FROM ((SELECT t1.`total` AS c0 FROM {s}.`orders` AS t1 WHERE (t1.`state` = ?)) \
             UNION ALL (SELECT t2.`balance` AS c0 FROM {s}.`users` AS t2)) AS t3",
        ),
    ),
    (
        "SELECT count(*) FROM (SELECT user_id FROM s.orders ORDER BY placed LIMIT 10) x WHERE user_id > 2",
        Some(
            "SELECT COUNT(*) FROM (SELECT t1.`user_id` AS c0, t1.`placed` AS c1 FROM {s}.`orders` AS t1 ORDER BY \
             ((t1.`placed` + INTERVAL 0 DAY)) IS NULL, (t1.`placed` + INTERVAL 0 DAY) LIMIT ?) AS t2 WHERE (t2.c0 > ?)",
        ),
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

#[tokio::test]
async fn questions_become_one_statement_where_the_whitelist_allows() -> TestResult {
    let database = support::database("s").await?;
    for statement in TABLES {
        database.execute(statement).await?;
    }
    let name = format!("`{}`", database.database);
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let mut server = support::crossweave(&database.config("cached"), environment)?;
    let client = server.start().await?;
    let mut wrong = Vec::new();
    for (question, expected) in ASKED {
        let explained = client.sql(&Statement::new(format!("EXPLAIN {question}")).on("live")).await?;
        let plan = explained.rows.iter().find(|row| row[0] == json!("physical_plan")).ok_or("a plan")?;
        let plan = plan[1].as_str().ok_or("a text")?.trim().to_owned();
        let operators: Vec<&str> =
            plan.lines().map(str::trim).filter(|line| *line != "CooperativeExec").collect();
        let statement = match operators.as_slice() {
            [line] => line.split_once("statement=").map(|(_, statement)| statement.replace(&name, "{s}")),
            _ => None,
        };
        if statement.as_deref() != *expected {
            wrong.push(format!("{question}\n  expected {expected:?}\n  found    {statement:?}\n{plan}"));
        }
        // A view has no cache.
        let route = if question.contains("s.bought") { "auto" } else { "cached" };
        let cached = rows(&client, Statement::new(*question).on(route)).await?;
        for kinds in
            ["all", "none", "filter", "filter,projection,aggregate", "filter,join", "filter,sort,limit"]
        {
            let live = rows(&client, Statement::new(*question).on("live").pushing_down(kinds)).await?;
            if live != cached {
                wrong.push(format!("{question} with {kinds}\n  cached {cached:?}\n  live   {live:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    server.terminate().await?;
    Ok(())
}
