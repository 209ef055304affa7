//! From a file to [`Config`].

use std::path::Path;
use std::sync::Arc;

use super::check::check;
use super::document;
use super::file::ConfigFile;
use super::problem::{ConfigError, Place, Problem};
use super::settings::Config;
use super::shape::misfits;

impl Config {
    /// Reads `path`, with variables of the process's environment.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let place = Place { file: Arc::new(path.to_owned()), line: None };
            let hint = "name the file with --config; README.md shows a small one";
            let message = format!("the configuration cannot be read: {error}");
            ConfigError::new(vec![Problem::new(place, message).with_hint(hint)])
        })?;
        Self::parse(&text, path, &|name| std::env::var(name).ok())
    }

    /// Reads `text`, which stands in the file `path`, with variables from `env`. Relative paths are taken from
    /// that file's folder.
    pub fn parse(text: &str, path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let (document, mut problems) = document::read(text, Arc::new(path.to_owned()), env);
        problems.extend(misfits(&document));
        let file: ConfigFile = match serde_json::from_value(document.value) {
            Ok(file) => file,
            // What does not fit the schema was told with its line; nothing is added to it here.
            Err(_) if !problems.is_empty() => return Err(ConfigError::new(problems)),
            Err(error) => {
                let place = Place { file: Arc::new(path.to_owned()), line: None };
                return Err(ConfigError::new(vec![Problem::new(place, error.to_string())]));
            }
        };
        check(&file, &document.lines, path, problems)
    }
}
