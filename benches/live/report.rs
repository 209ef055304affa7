//! What is printed, as it comes, and kept in a file.

use std::fs;
use std::path::Path;
use std::process::Command;

use crossweave::demo::mariadb::MariaDb;
use mysql_async::prelude::Queryable;

use super::Result;

/// The heading of what is ours in the file.
const HEADING: &str = "## `make bench-live`";

/// What was found so far.
#[derive(Default)]
pub(super) struct Report {
    text: String,
}

impl Report {
    /// Adds a line.
    #[expect(clippy::print_stdout, reason = "this is what the benchmark is for")]
    pub(super) fn line(&mut self, line: &str) {
        println!("{line}");
        self.text.push_str(line);
        self.text.push('\n');
    }

    /// What runs here, on what, when, with which data.
    pub(super) async fn header(&mut self, scale: f64, server: &MariaDb) -> Result {
        let version: String =
            server.connect(None).await?.query_first("SELECT VERSION()").await?.unwrap_or_default();
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let value = |text: &str, name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'));
            line.map_or("unknown".to_owned(), |(_, value)| value.trim().to_owned())
        };
        let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
        let memory = value(&read("/proc/meminfo"), "MemTotal");
        let gigabytes = memory.trim_end_matches(" kB").parse::<f64>().unwrap_or_default() / f64::from(1 << 20);
        let profile = if cfg!(debug_assertions) {
            "dev profile, so times mean little"
        } else {
            "optimised crate by crate"
        };
        self.line(HEADING);
        self.line("");
        self.line(&format!(
            "TPC-H at scale {scale} over three MariaDB servers, {}. Crossweave {}{}, {profile}; MariaDB {version}; \
             {cores} cores of {}, {gigabytes:.0} GiB, Linux {}.",
            chrono::Utc::now().format("%Y-%m-%d %H:%M UTC"),
            env!("CARGO_PKG_VERSION"),
            revision().map_or_else(String::new, |revision| format!(" ({revision})")),
            value(&read("/proc/cpuinfo"), "model name"),
            read("/proc/sys/kernel/osrelease").trim(),
        ));
        self.line("");
        Ok(())
    }

    /// Puts what was found into a file in place of what was found there before; its other sections stay.
    pub(super) fn write(&self, file: &Path) -> Result {
        let before = fs::read_to_string(file).unwrap_or_else(|_| "# Results of the benchmarks\n\n".to_owned());
        let begin = before.find(HEADING).unwrap_or(before.len());
        let next = before[begin..].find("\n## ").map_or(before.len(), |at| begin + at);
        let text = format!("{}{}\n{}", &before[..begin], self.text.trim_end(), &before[next..]);
        fs::write(file, text).map_err(|error| format!("write {}: {error}", file.display()).into())
    }
}

/// The commit that is measured, where git knows it.
fn revision() -> Option<String> {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .ok()?;
    let revision = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !revision.is_empty()).then_some(revision)
}

/// Says on the terminal what goes on.
#[expect(clippy::print_stderr, reason = "who waits for minutes wants to see for what")]
pub(super) fn progress(line: &str) {
    eprintln!("bench-live: {line}");
}

/// Seconds with the digits that say something.
pub(super) fn seconds(seconds: f64) -> String {
    match seconds {
        less if less < 0.1 => format!("{less:.4}"),
        less if less < 10.0 => format!("{less:.2}"),
        more => format!("{more:.1}"),
    }
}

/// `above / below`, where both are known and the second is not nothing.
pub(super) fn ratio(above: Option<f64>, below: Option<f64>) -> String {
    match (above, below) {
        (Some(above), Some(below)) if below > 0.0 => format!("{:.2}", above / below),
        _ => "–".to_owned(),
    }
}

/// Text of others for a cell of a table, or an item of a list: one line, not endless.
pub(super) fn one_line(text: &str) -> String {
    const MOST: usize = 400;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
