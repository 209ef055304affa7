//! From a file to [`Config`].

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::check::{check, check_listen};
use super::document;
use super::file::ConfigFile;
use super::problem::{ConfigError, Place, Problem};
use super::settings::{Config, Listen};
use super::shape::misfits;

impl Config {
    /// Reads `path`, with variables of the process's environment.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        Self::parse(&read(path)?, path, &environment)
    }

    /// Reads `text`, which stands in the file `path`, with variables from `env`. Relative paths are taken from
    /// that file's folder.
    pub fn parse(text: &str, path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let (document, mut problems) = document::read(text, Arc::new(path.to_owned()), env);
        problems.extend(misfits(&document));
        let file = options(document.value, path, &problems)?;
        check(&file, &document.lines, path, problems)
    }
}

/// Where clients connect, as `path` says it; what it says of databases is not looked at, nor the variables that
/// only those need.
pub fn listen_of(path: &Path) -> Result<Listen, ConfigError> {
    let (mut document, _) = document::read(&read(path)?, Arc::new(path.to_owned()), &environment);
    if let Some(members) = document.value.as_object_mut() {
        members.retain(|key, _| key == "listen");
    }
    let problems = misfits(&document);
    let file = options(document.value, path, &problems)?;
    check_listen(&file.listen, &document.lines, path, problems)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| {
        let place = Place { file: Arc::new(path.to_owned()), line: None };
        let hint = "name the file with --config; README.md shows a small one";
        let message = format!("the configuration cannot be read: {error}");
        ConfigError::new(vec![Problem::new(place, message).with_hint(hint)])
    })
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The options of a document in which `problems` were found.
fn options(value: Value, path: &Path, problems: &[Problem]) -> Result<ConfigFile, ConfigError> {
    serde_json::from_value(value).map_err(|error| {
        // What does not fit the schema was told with its line; nothing is added to it here.
        let mut problems = problems.to_vec();
        if problems.is_empty() {
            let place = Place { file: Arc::new(path.to_owned()), line: None };
            problems.push(Problem::new(place, error.to_string()));
        }
        ConfigError::new(problems)
    })
}
