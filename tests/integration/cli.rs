//! The commands, as somebody in a terminal meets them.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::{self, MariaDb, MariaDbOptions, Seed, Server, ServiceDatabase, TestResult, shop};

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn run(server: &Server, arguments: &[&str]) -> TestResult<Output> {
    support::output(server.command(arguments)).await
}

/// Runs a command with `input` on its standard input.
async fn piped(mut command: Command, input: &'static str) -> TestResult<Output> {
    let run = move || -> std::io::Result<Output> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes())?;
        }
        child.wait_with_output()
    };
    Ok(tokio::task::spawn_blocking(run).await??)
}

#[tokio::test]
async fn sql_prints_tables_json_and_csv_and_runs_scripts() -> TestResult {
    let shop = shop(Seed::SMALL).await?;
    let mut server = support::crossweave(&shop.config("live"), shop.environment())?;
    server.start().await?;

    let sql = "SELECT id, NULL AS n FROM users.users WHERE id <= 2 ORDER BY id";
    let table = run(&server, &["sql", sql]).await?;
    assert!(table.status.success(), "{}", stderr(&table));
    let lines: Vec<String> = stdout(&table).lines().map(str::to_owned).collect();
    assert_eq!(
        lines[..6],
        ["+----+------+", "| id | n    |", "+----+------+", "| 1  | NULL |", "| 2  | NULL |", "+----+------+"]
    );
    assert!(lines[6].starts_with("2 rows, ") && lines[6].ends_with("; users live"), "{lines:?}");

    let json: Value = serde_json::from_str(&stdout(&run(&server, &["sql", "--output", "json", sql]).await?))?;
    assert_eq!(json["rows"], serde_json::json!([[1, null], [2, null]]));
    assert_eq!(stdout(&run(&server, &["sql", "--output", "csv", sql]).await?), "id,n\r\n1,\r\n2,\r\n");

    let script = "SELECT 1 AS a; -- the first; not two\nSELECT 'x;y' AS b;\n\n;";
    let output = piped(server.command(&["sql", "--output", "csv"]), script).await?;
    assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), ("a\r\n1\r\nb\r\nx;y\r\n", ""));

    let failed = run(&server, &["sql", "SELECT logginName FROM users.users"]).await?;
    assert_eq!((failed.status.code(), stdout(&failed).as_str()), (Some(1), ""));
    let said = stderr(&failed);
    assert!(said.starts_with("error: ") && said.contains("hint: ") && said.contains("loginName"), "{said}");
    let refused = run(&server, &["sql", "--route", "users=cached", sql]).await?;
    assert!(stderr(&refused).contains("users.users"), "{}", stderr(&refused));
    Ok(())
}

#[tokio::test]
async fn asking_needs_no_secret_of_a_database_and_tells_where_nobody_answers() -> TestResult {
    let config = "[services.users]\nurl = \"mysql://u:${NOT_SET_ANYWHERE}@127.0.0.1/d\"\n";
    let server = support::crossweave(config, vec![])?;
    let output = run(&server, &["sql", "SELECT 1"]).await?;
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.starts_with(&format!("error: no server answers at http://127.0.0.1:{}", server.http_port())),
        "{said}"
    );
    assert!(said.contains("hint: start it with `crossweave serve`"), "{said}");
    Ok(())
}

#[tokio::test]
async fn status_lists_services_and_tables_and_why_one_is_live_only() -> TestResult {
    let database = support::database("users").await?;
    database.execute("CREATE TABLE log (line TEXT); CREATE TABLE kept (id INT PRIMARY KEY)").await?;
    let config = database.config("cached") + "[services.users.tables.kept]\nmode = \"live\"\n";
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let mut server = support::crossweave(&config, environment)?;
    server.start().await?;
    let output = run(&server, &["status"]).await?;
    let text = stdout(&output);
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("| users.kept | live      | live") && text.contains("| users.log  | live only | live"),
        "{text}"
    );
    assert!(text.contains("users.log: live only: it has no primary key"), "{text}");
    let json: Value = serde_json::from_str(&stdout(&run(&server, &["status", "--json"]).await?))?;
    assert_eq!(json["services"][0]["service"], "users");
    Ok(())
}

#[tokio::test]
async fn check_prints_what_was_found_what_is_needed_and_the_statement_that_mends_it() -> TestResult {
    let mut options =
        MariaDbOptions::new("unfit", 7).arg("--binlog-format=STATEMENT").arg("--binlog-row-image=MINIMAL");
    options.log_bin = true;
    let mariadb = MariaDb::start(support::sandbox(), options).await?;
    let database = ServiceDatabase::create(&mariadb, "users", "users").await?;
    database
        .execute(
            "CREATE TABLE log (line TEXT);\
             CREATE TABLE kept (id INT PRIMARY KEY, good TINYINT(1), level TINYINT(1));\
             INSERT INTO kept VALUES (1, 1, 7)",
        )
        .await?;
    mariadb.execute(None, "REVOKE REPLICATION SLAVE ON *.* FROM 'crossweave'@'127.0.0.1'").await?;
    let config = database.config("cached").trim_end().to_owned() + "\nbooleans = true\n";
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let server = support::crossweave(&config, environment.clone())?;

    let output = run(&server, &["check"]).await?;
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in [
        "ERROR    binlog_format\n           found:  STATEMENT\n           needed: ROW\n           fix:    SET GLOBAL binlog_format = 'ROW'",
        "ERROR    binlog_row_image\n           found:  MINIMAL",
        "fix:    GRANT REPLICATION SLAVE ON *.* TO 'crossweave'@'127.0.0.1'",
        "found:  level holds 7",
        "[services.users.tables.kept]\n                   booleans = { level = false }",
        "users.log",
    ] {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }

    // What it says mends it does.
    mariadb
        .execute(
            None,
            "SET GLOBAL binlog_format = 'ROW'; SET GLOBAL binlog_row_image = 'FULL'; SET GLOBAL sync_binlog = 1;\
             GRANT REPLICATION SLAVE ON *.* TO 'crossweave'@'127.0.0.1'",
        )
        .await?;
    server.configure(&(config + "[services.users.tables.kept]\nbooleans = { level = false }\n"))?;
    let output = run(&server, &["check"]).await?;
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    Ok(())
}

#[tokio::test]
async fn a_relationship_to_what_is_not_unique_fails_the_check_and_is_left_out() -> TestResult {
    let database = support::database("beta").await?;
    database
        .execute(
            "CREATE TABLE big (id INT PRIMARY KEY, grp INT NULL, KEY (grp));\
             CREATE TABLE small (id INT PRIMARY KEY, grp INT NOT NULL); INSERT INTO small VALUES (1, 7)",
        )
        .await?;
    let config = database.config("live")
        + "[[relationships]]\nfrom = \"beta.small.grp\"\nto = \"beta.big.grp\"\nfield = \"group\"\n";
    let environment = vec![(database.password_variable(), database.reader_password.clone())];
    let mut server = support::crossweave(&config, environment)?;

    let output = run(&server, &["check"]).await?;
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    for part in
        ["beta.small (grp) to beta.big (grp)", "fix:    make it unique", "ADD UNIQUE (`grp`)", "1 error"]
    {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let client = server.start().await?;
    let schema = client.get("/schema.graphql").await?.1;
    assert!(schema.contains("grp") && !schema.contains("group"), "{schema}");
    let log = std::fs::read_to_string(server.log())?;
    assert!(log.contains("WARN") && log.contains("is left out: grp has no unique key in beta.big"), "{log}");
    server.terminate().await?;

    // What it says mends it does, though NULL may occur in the key.
    database.execute("ALTER TABLE `big` ADD UNIQUE (`grp`)").await?;
    let output = run(&server, &["check"]).await?;
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let schema = server.start().await?.get("/schema.graphql").await?.1;
    assert!(schema.contains("group: "), "{schema}");
    Ok(())
}

#[tokio::test]
async fn check_tells_servers_and_brokers_that_do_not_answer_and_wrong_passwords() -> TestResult {
    let database = support::database("users").await?;
    let config = "[change_log]\nkind = \"kafka\"\nbrokers = [\"127.0.0.1:1\"]\n\
                  [services.down]\nurl = \"mysql://u:p@127.0.0.1:1/d\"\n"
        .to_owned()
        + &database.config("live");
    let server = support::crossweave(&config, vec![(database.password_variable(), "wrong".to_owned())])?;
    let output = run(&server, &["check"]).await?;
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("down (127.0.0.1:1/d)\n  ERROR"), "{text}");
    assert!(text.to_lowercase().contains("password"), "{text}");
    assert!(text.contains("change log (127.0.0.1:1)\n  ERROR    Kafka"), "{text}");
    assert!(!text.contains("wrong"), "the password is shown: {text}");
    Ok(())
}

#[tokio::test]
async fn help_teaches_by_examples() -> TestResult {
    for command in ["serve", "check", "sql", "status"] {
        let mut help = Command::new(support::executable());
        help.args([command, "--help"]);
        let text = stdout(&support::output(help).await?);
        assert!(text.contains("Examples:") && text.contains(&format!("crossweave {command}")), "{text}");
    }
    let wrong = support::output({
        let mut command = Command::new(support::executable());
        command.arg("srve");
        command
    })
    .await?;
    assert_eq!(wrong.status.code(), Some(2));
    assert!(stderr(&wrong).contains("serve"), "{}", stderr(&wrong));
    Ok(())
}
