//! What is down, taken or refused: everything else goes on, and what is wrong is said.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::{
    self, Client, MariaDb, MariaDbOptions, Seed, Server, ServiceDatabase, Statement, TestResult, database,
};

const SOON: Duration = Duration::from_secs(30);

fn environment(databases: &[&ServiceDatabase]) -> Vec<(String, String)> {
    databases.iter().map(|d| (d.password_variable(), d.reader_password.clone())).collect()
}

async fn count(client: &Client, table: &str) -> Result<Value, String> {
    let answer = client.sql(&Statement::new(format!("SELECT count(*) FROM {table}"))).await;
    answer.map(|answer| answer.rows[0][0].clone()).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_service_that_is_down_at_the_start_is_tried_again_and_the_others_answer() -> TestResult {
    let mut mariadb = MariaDb::start(support::sandbox(), MariaDbOptions::new("late", 3)).await?;
    let late = ServiceDatabase::create(&mariadb, "late", "late").await?;
    late.execute("CREATE TABLE t (id INT PRIMARY KEY); INSERT INTO t VALUES (1), (2)").await?;
    mariadb.stop().await?;
    let up = database("up").await?;
    up.execute("CREATE TABLE t (id INT PRIMARY KEY)").await?;

    let mut server =
        support::crossweave(&(late.config("live") + &up.config("live")), environment(&[&late, &up]))?;
    let client = server.start().await?;
    assert_eq!(count(&client, "up.t").await?, json!(0));
    let error = count(&client, "late.t").await.unwrap_err();
    assert!(error.contains("503") && error.contains("late"), "{error}");
    let (status, ready) = client.get("/readyz").await?;
    assert!(
        status == StatusCode::OK && ready.contains("\"unreachable\"") && ready.contains("reason"),
        "{ready}"
    );
    assert_eq!(client.get("/healthz").await?.0, StatusCode::OK);

    mariadb.resume().await?;
    support::eventually("late answers", SOON, async || match count(&client, "late.t").await? {
        rows if rows == json!(2) => Ok(()),
        other => Err(other.to_string()),
    })
    .await?;

    // It goes down later: the same, and it comes back by itself.
    mariadb.kill();
    let error = count(&client, "late.t").await.unwrap_err();
    assert!(error.contains("503"), "{error}");
    assert_eq!(count(&client, "up.t").await?, json!(0));
    mariadb.resume().await?;
    support::eventually("late answers again", SOON, async || count(&client, "late.t").await).await?;
    Ok(())
}

#[tokio::test]
async fn a_wrong_password_and_a_missing_grant_are_said_and_no_secret_with_them() -> TestResult {
    let (wrong, closed, good) = (database("wrong").await?, database("closed").await?, database("good").await?);
    closed.execute("CREATE TABLE t (id INT PRIMARY KEY)").await?;
    good.execute("CREATE TABLE t (id INT PRIMARY KEY)").await?;
    let mariadb = support::mariadb().await?;
    // An account of its own without a grant, for the shared one has them all.
    mariadb.execute(None, "CREATE OR REPLACE USER 'closed'@'127.0.0.1' IDENTIFIED BY 'pw'").await?;
    let config = format!(
        "{}{}[services.closed]\nurl = \"mysql://closed:pw@127.0.0.1:{}/{}\"\n",
        wrong.config("live").replace("crossweave:", "nobody:"),
        good.config("live"),
        closed.port,
        closed.database
    );
    let mut variables = environment(&[&good]);
    variables.push((wrong.password_variable(), "hunter2".to_owned()));
    let mut server = support::crossweave(&config, variables)?;
    let client = server.start().await?;
    assert_eq!(count(&client, "good.t").await?, json!(0));
    let (_, status) = client.get("/status").await?;
    let status: Value = serde_json::from_str(&status)?;
    for (service, word) in [(0, "nobody"), (2, "GRANT")] {
        let service = &status["services"][service];
        let reason = service["reason"].as_str().unwrap_or_default();
        assert!(service["state"] == "unreachable" && reason.contains(word), "{service}");
    }
    let log = std::fs::read_to_string(server.log())?;
    assert!(!log.contains("hunter2") && !status.to_string().contains("hunter2"), "{log}");
    Ok(())
}

#[tokio::test]
async fn a_state_folder_serves_one_process() -> TestResult {
    let up = database("up").await?;
    up.execute("CREATE TABLE t (id INT PRIMARY KEY)").await?;
    let mut server = support::crossweave(&up.config("live"), environment(&[&up]))?;
    server.start().await?;
    let second = support::output(server.command(&["serve"])).await?;
    let said = String::from_utf8(second.stderr)?;
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(
        said.contains("error: cannot use the state folder") && said.contains("another Crossweave uses it"),
        "{said}"
    );
    assert!(said.contains("hint: "), "{said}");
    // Killed, it lets go of the folder.
    server.kill();
    server.start().await?;
    Ok(())
}

#[tokio::test]
async fn a_state_folder_that_cannot_be_written_and_a_port_that_is_taken_are_named() -> TestResult {
    let up = database("up").await?;
    let server = support::crossweave(&up.config("live"), environment(&[&up]))?;
    let folder = server.state_dir();
    std::fs::write(&folder, "a file in its place")?;
    let output = support::output(server.command(&["serve"])).await?;
    let said = String::from_utf8(output.stderr)?;
    assert!(output.status.code() == Some(1) && said.contains("cannot use the state folder"), "{said}");
    assert!(said.contains("hint: set `state.dir`"), "{said}");
    std::fs::remove_file(&folder)?;

    let taken = std::net::TcpListener::bind(("127.0.0.1", server.http_port()))?;
    let output = support::output(server.command(&["serve"])).await?;
    let said = String::from_utf8(output.stderr)?;
    assert!(said.contains(&format!("cannot listen on 127.0.0.1:{}", server.http_port())), "{said}");
    assert!(said.contains("hint: set `listen.http`"), "{said}");
    drop(taken);
    Ok(())
}

#[tokio::test]
async fn told_to_end_it_fails_readyz_first_finishes_queries_and_ends_with_0() -> TestResult {
    let shop = support::shop(Seed::SMALL).await?;
    // Longer than the delay, so that it is still running when connections are no longer accepted.
    shop.users.execute("CREATE VIEW slow AS SELECT SLEEP(8) AS slept").await?;
    let mut server = support::crossweave(&shop.config("live"), shop.environment())?;
    let file = server.config_file();
    let text = std::fs::read_to_string(&file)?.replace("drain_delay = \"0s\"", "drain_delay = \"2s\"");
    std::fs::write(&file, text)?;
    let client = server.start().await?;
    let asked = tokio::spawn({
        let client = client.clone();
        let slow = Statement::new("SELECT slept FROM users.slow");
        async move { client.sql(&slow).await.map_err(|error| error.to_string()) }
    });
    support::eventually("the query runs", SOON, async || {
        let (_, text) = client.get("/metrics").await.map_err(|error| error.to_string())?;
        let sent =
            text.lines().any(|l| l.starts_with("crossweave_source_statements_total") && !l.ends_with(" 0"));
        if sent { Ok(()) } else { Err("no statement was sent".to_owned()) }
    })
    .await?;
    server.process().ok_or("it does not run")?.signal("TERM")?;
    support::eventually("/readyz fails", SOON, async || match client.get("/readyz").await {
        Ok((StatusCode::SERVICE_UNAVAILABLE, body)) if body.contains("stopping") => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await?;
    assert!(client.sql(&Statement::new("SELECT 1")).await.is_ok(), "queries are still accepted");
    let status = server.terminate().await?;
    assert_eq!(status.code(), Some(0));
    let answer = asked.await??;
    assert_eq!(answer.rows.len(), 1);
    Ok(())
}

/// The executable, started where the folder `state` is a file system of its own with room for `kib` KiB.
fn with_little_room(state: &Path, kib: u32) -> TestResult<PathBuf> {
    let script = support::sandbox().dir().join(support::unique("little-room"));
    std::fs::create_dir_all(state)?;
    let mount = format!("mount -t tmpfs -o size={kib}k none \"$0\" && exec \"$@\"");
    let text = format!(
        "#!/bin/sh\nexec unshare --user --map-root-user --mount sh -c '{mount}' '{}' '{}' \"$@\"\n",
        state.display(),
        support::executable().display()
    );
    std::fs::write(&script, text)?;
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755))?;
    Ok(script)
}

#[tokio::test]
async fn a_full_disk_is_told_and_the_caches_go_on_without_it() -> TestResult {
    let kept = database("kept").await?;
    kept.execute("CREATE TABLE t (id INT PRIMARY KEY, line VARCHAR(2000)); INSERT INTO t VALUES (1, 'a')")
        .await?;
    let folder = support::unique("full");
    let script = with_little_room(&support::sandbox().dir().join(&folder).join("state"), 256)?;
    let mut server =
        Server::prepare(&script, support::sandbox(), &folder, &kept.config("cached"), environment(&[&kept]))?;
    let client = server.start().await?;
    let failing = async || {
        let (_, status) = client.get("/status").await.map_err(|error| error.to_string())?;
        let status: Value = serde_json::from_str(&status).map_err(|error| error.to_string())?;
        Ok::<_, String>(status["services"][0]["checkpoint_failing"].clone())
    };
    assert_eq!(failing().await?, Value::Null);

    kept.execute("INSERT INTO t SELECT seq + 1, REPEAT('x', 2000) FROM seq_1_to_1000").await?;
    support::eventually("the full disk is told", SOON, async || match failing().await? {
        Value::String(reason) if reason.contains("No space left on device") && reason.contains("state") => {
            Ok(())
        }
        other => Err(other.to_string()),
    })
    .await?;
    assert_eq!(count(&client, "kept.t").await?, json!(1001));
    assert_eq!(client.get("/readyz").await?.0, StatusCode::OK);
    let (_, metrics) = client.get("/metrics").await?;
    assert!(metrics.contains("crossweave_service_checkpoint_failing{service=\"kept\"} 1"), "{metrics}");

    kept.execute("DELETE FROM t WHERE id > 1").await?;
    support::eventually("there is room again", SOON, async || match failing().await? {
        Value::Null => Ok(()),
        other => Err(other.to_string()),
    })
    .await?;
    assert_eq!(count(&client, "kept.t").await?, json!(1));
    assert_eq!(server.terminate().await?.code(), Some(0));
    Ok(())
}
