//! `crossweave demo` as a user runs it: it ends by itself or when it is told to, and leaves nothing behind.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crossweave::demo::process::{Process, log_tail};
use crossweave::demo::questions::QUESTIONS;

use crate::support::{self, Sandbox, TestResult};

/// Far more than it takes, since other tests run at the same time.
const LIMIT: Duration = Duration::from_secs(120);

/// Starts the demo with everything of its own under the sandbox, and its output in the file `log` there.
fn start(sandbox: &Sandbox, arguments: &[&str]) -> TestResult<Process> {
    let mut command = Command::new(support::executable());
    command
        .arg("demo")
        .args(arguments)
        .arg("--config")
        .arg(sandbox.dir().join("demo.toml"))
        .env("TMPDIR", sandbox.dir());
    Ok(sandbox.spawn("the demo", command, &sandbox.dir().join("log"))?)
}

/// Waits until no process and no folder of the demo is left.
async fn nothing_left(sandbox: &Sandbox) -> TestResult {
    support::eventually("nothing is left", Duration::from_secs(15), || async {
        let folder = std::fs::read_dir(sandbox.dir())
            .map_err(|e| e.to_string())?
            .filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().into_owned()))
            .find(|name| name.starts_with("crossweave-demo-"));
        match (folder, process_in(sandbox.dir())) {
            (None, None) => Ok(()),
            (folder, process) => Err(format!("folder {folder:?}, process {process:?}")),
        }
    })
    .await
}

/// The command line of some process that works in the demo's folder.
fn process_in(dir: &Path) -> Option<String> {
    let demo = dir.join("crossweave-demo-").to_string_lossy().into_owned();
    std::fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .find(|line| line.contains(&demo))
}

async fn answers_everything_and_ends(arguments: &[&str]) -> TestResult {
    let sandbox = Sandbox::temporary("crossweave-once")?;
    let mut demo = start(&sandbox, arguments)?;
    let status = demo.wait(LIMIT).await?;
    let log = std::fs::read_to_string(demo.log())?;
    assert!(status.success(), "{status}: {log}");
    for question in QUESTIONS {
        assert!(log.contains(&format!("── {}", question.title)), "{}: {log}", question.title);
    }
    assert_eq!(log.matches("  equal, ").count(), QUESTIONS.len(), "{log}");
    assert!(log.contains("as of "), "the age of the stopped database's data: {log}");
    assert!(std::fs::read_to_string(sandbox.dir().join("demo.toml"))?.contains("[services.users]"));
    nothing_left(&sandbox).await
}

#[tokio::test]
async fn once_answers_everything_and_ends() -> TestResult {
    answers_everything_and_ends(&["--once"]).await
}

#[tokio::test]
async fn once_through_kafka_answers_everything_and_ends() -> TestResult {
    answers_everything_and_ends(&["--once", "--log", "kafka"]).await
}

async fn until_it_writes(demo: &mut Process) -> TestResult {
    let log = demo.log().to_owned();
    support::eventually("the writer's first line", LIMIT, || async {
        let text = std::fs::read_to_string(&log).map_err(|e| e.to_string())?;
        if text.contains("changes so far") { Ok(()) } else { Err(log_tail(&log, 5)) }
    })
    .await
}

#[tokio::test]
async fn ctrl_c_ends_all_of_it() -> TestResult {
    let sandbox = Sandbox::temporary("crossweave-interrupt")?;
    let mut demo = start(&sandbox, &[])?;
    until_it_writes(&mut demo).await?;
    assert!(process_in(sandbox.dir()).is_some(), "the look for processes finds none though they run");
    demo.signal("INT")?;
    let status = demo.wait(LIMIT).await?;
    assert!(status.success(), "{status}: {}", demo.log_tail(10));
    nothing_left(&sandbox).await
}

#[tokio::test]
async fn a_killed_demo_leaves_nothing_either() -> TestResult {
    let sandbox = Sandbox::temporary("crossweave-kill")?;
    let mut demo = start(&sandbox, &[])?;
    until_it_writes(&mut demo).await?;
    demo.kill();
    nothing_left(&sandbox).await
}
