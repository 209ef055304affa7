//! What `check` finds on servers that lack one thing each.

use crossweave_contract::{Finding, FindingLevel, Source, TableId};

use crate::testing::{TestServer, server};
use crate::{MariaDbSource, SourceOptions};

fn ids(tables: &[&str]) -> Vec<TableId> {
    tables.iter().map(|table| TableId::new("shop", *table)).collect()
}

async fn findings(options: SourceOptions, database: &str, cached: &[&str]) -> Vec<Finding> {
    let cached = (!cached.is_empty()).then(|| ids(cached));
    MariaDbSource::new(options).check(database, cached.as_deref()).await
}

fn about<'a>(findings: &'a [Finding], subject: &str) -> &'a Finding {
    let found = findings.iter().find(|finding| finding.subject.starts_with(subject));
    found.unwrap_or_else(|| panic!("nothing about {subject} in {findings:#?}"))
}

#[tokio::test]
async fn select_and_replication_slave_are_all_that_is_needed() {
    let database = server().database(&["CREATE TABLE a (id INT PRIMARY KEY)"]).await;
    let select = format!("SELECT ON {database}.*");
    let options = server().user("needed", &[&select, "REPLICATION SLAVE ON *.*"]).await;
    let found = findings(options, &database, &["a"]).await;
    assert!(found.iter().all(|finding| finding.level < FindingLevel::Error), "{found:#?}");
    for subject in ["version", "grant SELECT", "grant REPLICATION SLAVE", "log_bin", "binlog_format"] {
        assert_eq!(about(&found, subject).level, FindingLevel::Good, "{subject}");
    }
}

#[tokio::test]
async fn missing_grants_come_with_the_statements_that_give_them() {
    let database = server().database(&["CREATE TABLE a (id INT PRIMARY KEY)"]).await;
    let options = server().user("o'half", &[]).await;
    let found = findings(options, &database, &["a"]).await;
    let replication = about(&found, "grant REPLICATION SLAVE");
    assert_eq!(replication.level, FindingLevel::Error);
    assert_eq!(replication.fix.as_deref(), Some("GRANT REPLICATION SLAVE ON *.* TO 'o''half'@'127.0.0.1'"));
    let select = about(&found, "grant SELECT");
    let fix = select.fix.clone().unwrap();
    let exactly = database.replace('_', "\\_");
    assert_eq!(
        (select.level, fix.contains(&format!("GRANT SELECT ON `{exactly}`.*"))),
        (FindingLevel::Error, true),
        "{fix}"
    );
    server().run("mysql", &[&fix, replication.fix.as_deref().unwrap()]).await;
    let options = server().account("o'half", crate::testing::PASSWORD);
    let found = findings(options, &database, &["a"]).await;
    assert!(found.iter().all(|finding| finding.level < FindingLevel::Error), "{found:#?}");
}

#[tokio::test]
async fn an_account_needs_as_many_connections_as_are_opened() {
    let database = server().database(&["CREATE TABLE a (id INT PRIMARY KEY)"]).await;
    let options = server().user("few", &[&format!("SELECT ON {database}.*")]).await;
    let warned = |found: &[Finding]| found.iter().any(|finding| finding.subject == "max_user_connections");
    // A capture has one more.
    for (tables, allowed, is_warned) in
        [(&[][..], 10, true), (&[], 11, false), (&[], 0, false), (&["a"], 11, true), (&["a"], 12, false)]
    {
        let limit = format!("ALTER USER 'few'@'127.0.0.1' WITH MAX_USER_CONNECTIONS {allowed}");
        server().run("mysql", &[&limit]).await;
        let found = findings(options.clone(), &database, tables).await;
        assert_eq!(warned(&found), is_warned, "{allowed} for {tables:?}");
    }
}

#[tokio::test]
async fn a_table_that_may_only_be_written_is_not_readable() {
    let database = server().database(&["CREATE TABLE a (id INT PRIMARY KEY)"]).await;
    let options = server().user("writer", &[&format!("INSERT ON {database}.*")]).await;
    let found = findings(options, &database, &[]).await;
    assert_eq!(about(&found, "grant SELECT").level, FindingLevel::Error);
}

#[tokio::test]
async fn tables_without_a_key_or_a_snapshot_are_live_only() {
    let database = server()
        .database(&[
            "CREATE TABLE keyless (id INT NOT NULL, v INT)",
            "CREATE TABLE old (id INT PRIMARY KEY) ENGINE = MyISAM",
            "CREATE TABLE odd (id INT PRIMARY KEY, y YEAR(2))",
            "CREATE TABLE p (id INT PRIMARY KEY)",
            "CREATE TABLE rests (id INT PRIMARY KEY, a INT, CONSTRAINT up FOREIGN KEY (a) REFERENCES p (id) ON DELETE CASCADE)",
            "ALTER TABLE p DROP PRIMARY KEY, ADD nid INT NOT NULL AUTO_INCREMENT PRIMARY KEY",
        ])
        .await;
    let tables = ["keyless", "old", "odd", "absent", "rests"];
    let found = findings(server().root(), &database, &tables).await;
    let index = about(&found, "table shop.rests").fix.clone().unwrap();
    assert_eq!(index, format!("CREATE INDEX `up` ON `{database}`.`p` (`id`)"));
    server().run(&database, &[&index]).await;
    let mended = findings(server().root(), &database, &tables).await;
    assert!(!mended.iter().any(|finding| finding.subject == "table shop.rests"), "{mended:?}");
    let keyless = about(&found, "table shop.keyless");
    assert_eq!(keyless.level, FindingLevel::Warning);
    let fix = keyless.fix.clone().unwrap();
    let column = "row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY";
    assert_eq!(fix, format!("ALTER TABLE `{database}`.`keyless` ADD COLUMN {column}"));
    server().run(&database, &["INSERT INTO keyless VALUES (1, 1), (1, 1)", &fix]).await;
    assert!(about(&found, "table shop.old").fix.as_deref().unwrap().contains("ENGINE = InnoDB"));
    assert_eq!(about(&found, "column shop.odd.y").level, FindingLevel::Warning);
    assert_eq!(about(&found, "table shop.absent").level, FindingLevel::Error);
}

#[tokio::test]
async fn cascades_that_the_binlog_cannot_tell_are_errors() {
    let other = server().database(&["CREATE TABLE p (id INT PRIMARY KEY)"]).await;
    let foreign = format!(
        "CREATE TABLE far (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES {other}.p (id) ON DELETE CASCADE)"
    );
    let database = server()
        .database(&[
            "CREATE TABLE p (id INT PRIMARY KEY)",
            "CREATE TABLE near (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES p (id) ON DELETE CASCADE)",
            "CREATE TABLE made (id INT PRIMARY KEY, p INT, g INT AS (p + 1) VIRTUAL, \
             CONSTRAINT made_p FOREIGN KEY (p) REFERENCES p (id) ON DELETE SET NULL)",
            &foreign,
        ])
        .await;
    let found = findings(server().root(), &database, &["near", "made", "far", "p"]).await;
    let errors: Vec<&str> =
        found.iter().filter(|f| f.level == FindingLevel::Error).map(|f| f.subject.as_str()).collect();
    assert_eq!(errors, ["foreign key far_ibfk_1 of shop.far"], "{found:#?}");
    let made = about(&found, "table shop.made");
    assert!(made.level == FindingLevel::Warning && made.found.contains("g is generated from p"), "{made:?}");
}

#[tokio::test]
async fn settings_of_the_binlog_are_named_with_what_mends_them() {
    let server = TestServer::start(&["--skip-log-bin"]);
    let database = server.database(&["CREATE TABLE a (id INT PRIMARY KEY)"]).await;
    let found = findings(server.root(), &database, &["a"]).await;
    assert_eq!(about(&found, "log_bin").level, FindingLevel::Error);
    assert!(about(&found, "log_bin").fix.as_deref().unwrap().contains("log_bin"));
    let found = findings(server.root(), &database, &[]).await;
    assert_eq!(about(&found, "log_bin").level, FindingLevel::Warning);
    // That caches are wanted may be known before their tables are.
    let found = MariaDbSource::new(server.root()).check(&database, Some(&[])).await;
    assert_eq!(about(&found, "log_bin").level, FindingLevel::Error);

    let server = TestServer::start(&["--binlog-format=MIXED", "--binlog-row-image=MINIMAL"]);
    let database = server.database(&["CREATE TABLE a (id INT PRIMARY KEY)"]).await;
    let found = findings(server.root(), &database, &["a"]).await;
    let (format, image) = (about(&found, "binlog_format"), about(&found, "binlog_row_image"));
    assert_eq!((format.level, format.found.as_str()), (FindingLevel::Error, "MIXED"));
    assert_eq!((image.level, image.found.as_str()), (FindingLevel::Error, "MINIMAL"));
    for subject in ["binlog_format", "binlog_row_image", "sync_binlog"] {
        server.run(&database, &[about(&found, subject).fix.as_deref().unwrap()]).await;
    }
    let found = findings(server.root(), &database, &["a"]).await;
    assert!(found.iter().all(|finding| finding.level == FindingLevel::Good), "{found:#?}");
}

#[tokio::test]
async fn a_server_that_is_down_is_one_finding() {
    let options = SourceOptions { port: 1, ..server().root() };
    let found = findings(options, "shop", &[]).await;
    assert_eq!((found.len(), found[0].level), (1, FindingLevel::Error));
    assert!(found[0].subject.contains("127.0.0.1:1"), "{found:?}");
}

#[tokio::test]
async fn booleans_that_are_none_are_found_with_a_value() {
    let database = server()
        .database(&[
            "CREATE TABLE a (id INT PRIMARY KEY, ok BOOL, `le``vel` TINYINT(1), small TINYINT, u TINYINT(1) UNSIGNED)",
            "INSERT INTO a VALUES (1, 1, 0, 5, 5), (2, NULL, -3, 6, 6), (3, 0, 1, 7, 7)",
        ])
        .await;
    let found = MariaDbSource::new(server().root()).sample_booleans(&database).await.unwrap();
    assert_eq!(found, [("a".to_owned(), "le`vel".to_owned(), -3)]);
}
