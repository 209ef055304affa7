//! Holds what `ARCHITECTURE.md` promises: the direction of dependencies, a header in each module, and sizes.
//!
//! The lists of exceptions only shrink: an entry that is no longer needed fails the test as well.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 70;

/// Files longer than [`MAX_FILE_LINES`], with the length they may have.
const LONG_FILES: &[(&str, usize)] = &[("cache/src/service.rs", 515)];

/// Files with functions longer than [`MAX_FUNCTION_LINES`], with the longest they may have.
const LONG_FUNCTIONS: &[(&str, usize)] = &[
    ("src/frontends/cells.rs", 73),
    ("src/query/statement/classify.rs", 81),
    ("src/query/tests/statements.rs", 71),
];

/// What each module of the root package may not name, as paths that would occur in its code.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "src/config",
        &[
            "crate::catalog::Catalog",
            "crate::federation",
            "crate::query",
            "crate::frontends",
            "crate::server",
            "crate::ingest",
            "crossweave_cache",
        ],
    ),
    (
        "src/catalog",
        &[
            "crate::federation",
            "crate::query",
            "crate::frontends",
            "crate::server",
            "crate::ingest",
            "crossweave_cache",
        ],
    ),
    (
        "src/policy",
        &["crate::federation", "crate::query", "crate::frontends", "crate::server", "crate::ingest"],
    ),
    ("src/ingest", &["datafusion", "crate::federation", "crate::query", "crate::frontends", "crate::server"]),
    ("src/federation", &["crate::query", "crate::frontends", "crate::server", "crate::ingest"]),
    ("src/query", &["crate::frontends", "crate::server"]),
    ("src/frontends", &["crate::server", "crate::cli"]),
    ("src/frontends/http", &["frontends::graphql", "frontends::postgres"]),
    ("src/frontends/graphql", &["frontends::http", "frontends::postgres"]),
    ("src/frontends/postgres", &["frontends::http", "frontends::graphql"]),
    ("cache/src", &["datafusion", "tokio", "crossweave_mariadb", "crossweave_kafka"]),
    ("connectors/contract/src", &["datafusion", "crossweave_"]),
    ("connectors/mariadb/src", &["datafusion", "crossweave_kafka", "crossweave_cache"]),
    ("connectors/kafka/src", &["datafusion", "crossweave_mariadb", "crossweave_cache"]),
];

/// The only code that may name a concrete connector.
const NAMES_CONNECTORS: &[&str] = &["src/server", "src/cli", "src/demo", "connectors", "tests", "benches"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources(folders: &[&str]) -> BTreeMap<String, String> {
    fn walk(folder: &Path, out: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(folder) else { return };
        for entry in entries.map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, out);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                out.push(path);
            }
        }
    }
    let mut paths = Vec::new();
    for folder in folders {
        walk(&root().join(folder), &mut paths);
    }
    assert!(!paths.is_empty(), "no sources found under {folders:?}");
    let name = |path: &Path| path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
    paths.into_iter().map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
}

fn all() -> BTreeMap<String, String> {
    sources(&["src", "cache/src", "connectors", "tests", "benches"])
}

/// The code without comments, in which a name counts as a dependency.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .enumerate()
        .map(|(index, line)| (index + 1, line))
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[test]
fn dependencies_point_one_way() {
    let mut wrong = Vec::new();
    for (file, text) in all() {
        if file.ends_with("tests.rs") || file.contains("/tests/") || file.contains("/testing/") {
            continue;
        }
        for (folder, names) in FORBIDDEN.iter().filter(|(folder, _)| file.starts_with(&format!("{folder}/"))) {
            for (line, code) in code(&text) {
                for name in names.iter().filter(|name| code.contains(*name)) {
                    wrong.push(format!("{file}:{line}: {folder} must not depend on {name}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn only_start_up_code_names_a_concrete_connector() {
    let mut wrong = Vec::new();
    for (file, text) in all() {
        if NAMES_CONNECTORS.iter().any(|folder| file.starts_with(&format!("{folder}/"))) {
            continue;
        }
        for (line, code) in code(&text) {
            if code.contains("crossweave_mariadb") || code.contains("crossweave_kafka") {
                wrong.push(format!("{file}:{line}: only {NAMES_CONNECTORS:?} may name a connector"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_module_has_a_header() {
    let without: Vec<_> =
        all().into_iter().filter(|(_, text)| !text.starts_with("//!")).map(|(file, _)| file).collect();
    assert!(without.is_empty(), "modules without a `//!` header: {without:?}");
}

#[test]
fn files_and_functions_keep_their_size() {
    let files = sources(&["src", "cache/src", "connectors"]);
    let lengths = files.iter().map(|(file, text)| (file.as_str(), text.lines().count()));
    ratchet("file", MAX_FILE_LINES, LONG_FILES, lengths.collect());
    let functions = files.iter().map(|(file, text)| (file.as_str(), longest_function(text)));
    ratchet("function", MAX_FUNCTION_LINES, LONG_FUNCTIONS, functions.collect());
}

fn ratchet(what: &str, limit: usize, exceptions: &[(&str, usize)], found: BTreeMap<&str, usize>) {
    let mut wrong = Vec::new();
    for (file, &length) in &found {
        let allowed = exceptions.iter().find(|(name, _)| name == file).map_or(limit, |(_, length)| *length);
        if length > allowed {
            wrong.push(format!("{file}: a {what} of {length} lines, {allowed} allowed"));
        }
    }
    for (file, allowed) in exceptions {
        match found.get(file) {
            Some(&length) if length > limit => {
                if length + 25 < *allowed {
                    wrong.push(format!("{file}: the exception of {allowed} lines can shrink to {length}"));
                }
            }
            _ => wrong.push(format!("{file}: the exception for a {what} is no longer needed")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Lines of the longest function: from a line with `fn` to the closing brace at the same indentation, which
/// rustfmt guarantees.
fn longest_function(text: &str) -> usize {
    let lines: Vec<&str> = text.lines().collect();
    let mut longest = 0;
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let is_fn = [
            "fn ",
            "pub fn ",
            "async fn ",
            "pub async fn ",
            "pub(crate) fn ",
            "pub(super) fn ",
            "pub(crate) async fn ",
            "pub(super) async fn ",
        ]
        .iter()
        .any(|prefix| trimmed.starts_with(prefix));
        if !is_fn {
            continue;
        }
        let indent = line.len() - trimmed.len();
        let close = format!("{}}}", " ".repeat(indent));
        if let Some(end) = lines[start..].iter().position(|line| *line == close) {
            longest = longest.max(end + 1);
        }
    }
    longest
}
