//! From what the file says to [`Config`]: what the schema cannot express is checked here.

use std::net::SocketAddr;
use std::path::{Path as FilePath, PathBuf};
use std::time::Duration;

use crossweave_contract::Secret;
use indexmap::IndexMap;
use tracing_subscriber::EnvFilter;

use super::document::{Lines, Path};
use super::file::{ConfigFile, ListenOptions, LogOptions, QueryOptions};
use super::problem::{ConfigError, Place, Problem};
use super::settings::{Address, Config, Cors, Listen, Log, Queries};
use super::{relationships, services};

/// Checks `file`, whose values are at `lines`; `earlier` are the problems that reading it had.
pub(crate) fn check(
    file: &ConfigFile,
    lines: &Lines,
    path: &FilePath,
    earlier: Vec<Problem>,
) -> Result<Config, ConfigError> {
    let folder = path.parent().map(FilePath::to_owned).unwrap_or_default();
    let mut checker = Checker { lines, folder, problems: earlier };
    let config = Config {
        file: path.to_owned(),
        listen: checker.listen(&file.listen),
        state_dir: checker.folder.join(&file.state.dir),
        change_log: checker.change_log(&file.change_log),
        queries: checker.queries(&file.queries),
        log: checker.log(&file.log),
        services: services::check(&mut checker, &file.services),
        relationships: relationships::check(&mut checker, &file.relationships, &file.services),
    };
    if file.state.dir.is_empty() {
        checker.problem(&Path::of(["state", "dir"]), "`state.dir` is empty: expected a folder");
    }
    ConfigError::unless(checker.problems, config)
}

/// Checks the part of a file that says where clients connect.
pub(crate) fn check_listen(
    options: &ListenOptions,
    lines: &Lines,
    path: &FilePath,
    earlier: Vec<Problem>,
) -> Result<Listen, ConfigError> {
    let folder = path.parent().map(FilePath::to_owned).unwrap_or_default();
    let mut checker = Checker { lines, folder, problems: earlier };
    let listen = checker.listen(options);
    ConfigError::unless(checker.problems, listen)
}

/// Collects what is wrong.
pub(crate) struct Checker<'a> {
    lines: &'a Lines,
    folder: PathBuf,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    /// Where the value at `path` is.
    pub(crate) fn place(&self, path: &Path) -> Place {
        self.lines.place(path)
    }

    /// Tells a problem with the value at `path`.
    pub(crate) fn problem(&mut self, path: &Path, message: impl Into<String>) {
        self.add(Problem::new(self.place(path), message));
    }

    /// How many problems there are so far.
    pub(crate) fn problems(&self) -> usize {
        self.problems.len()
    }

    /// Tells a problem.
    pub(crate) fn add(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// The secret in the file that the setting at `path` names.
    pub(crate) fn secret_file(&mut self, path: &Path, name: &str) -> Option<Secret> {
        let file = self.folder.join(name);
        match std::fs::read_to_string(&file) {
            Ok(text) => Some(Secret::new(text.trim_end_matches(['\r', '\n']))),
            Err(error) => {
                let message = format!("`{}`: cannot read {}: {error}", path.name(), file.display());
                let hint = "expected a text file that this account may read, with the secret in its first line";
                self.add(Problem::new(self.place(path), message).with_hint(hint));
                None
            }
        }
    }

    /// The file that the setting at `path` names, which can be read.
    pub(crate) fn readable_file(&mut self, path: &Path, name: &str) -> PathBuf {
        let file = self.folder.join(name);
        if let Err(error) = std::fs::read(&file) {
            let message = format!("`{}`: cannot read {}: {error}", path.name(), file.display());
            self.problem(path, message);
        }
        file
    }

    /// The file that `name` stands for.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The duration that the setting at `path` states.
    pub(crate) fn duration(&mut self, path: &Path, text: &str, zero_allowed: bool) -> Duration {
        let parsed = parse_duration(text).filter(|duration| zero_allowed || !duration.is_zero());
        parsed.unwrap_or_else(|| {
            let above = if zero_allowed { "" } else { " above zero" };
            let message = format!(
                "`{}`: expected a duration{above} with its unit, as \"500ms\", \"5s\", \"2m\", \"1h\" or \"7d\", found {text:?}",
                path.name()
            );
            self.problem(path, message);
            Duration::ZERO
        })
    }

    fn queries(&mut self, options: &QueryOptions) -> Queries {
        let timeout = self.duration(&Path::of(["queries", "timeout"]), &options.timeout, false);
        let memory = self.size(&Path::of(["queries", "memory"]), &options.memory);
        Queries { timeout, memory }
    }

    /// The bytes that the setting at `path` states.
    pub(crate) fn size(&mut self, path: &Path, text: &str) -> usize {
        parse_size(text).unwrap_or_else(|| {
            let message = format!(
                "`{}`: expected a size with its unit, as \"512MiB\" or \"2GiB\", found {text:?}",
                path.name()
            );
            self.problem(path, message);
            0
        })
    }

    fn listen(&mut self, options: &ListenOptions) -> Listen {
        let http_path = Path::of(["listen", "http"]);
        let postgres_path = Path::of(["listen", "postgres"]);
        let token_path = Path::of(["listen", "token_file"]);
        let http = self.address(&http_path, "listen.http", &options.http);
        let postgres = options.postgres.as_deref();
        let postgres = postgres.map(|text| self.address(&postgres_path, "listen.postgres", text));
        let token = options.token_file.as_deref().and_then(|name| self.secret_file(&token_path, name));
        if token.as_ref().is_some_and(|token| !is_token(token.reveal())) {
            let message = "`listen.token_file`: the token is empty or has characters that a header cannot carry: \
                           expected one line of printable ASCII without spaces";
            self.problem(&token_path, message);
        }
        if options.token_file.is_none() {
            for (address, path) in [(Some(&http), &http_path), (postgres.as_ref(), &postgres_path)] {
                if let Some(address) = address.filter(|address| !address.socket.ip().is_loopback()) {
                    let message = format!(
                        "`{}`: {address} can be reached from other machines, which needs `listen.token_file`",
                        address.setting
                    );
                    let hint = "set `token_file` to a file with a secret, or listen on 127.0.0.1";
                    self.add(Problem::new(self.place(path), message).with_hint(hint));
                }
            }
        }
        if let Some(postgres) = &postgres
            && postgres.socket == http.socket
            && http.socket.port() != 0
        {
            let message = format!("`listen.postgres`: {postgres} is also `listen.http`: expected another port");
            self.problem(&postgres_path, message);
        }
        Listen {
            http,
            postgres,
            token,
            cors: self.cors(options.cors.as_deref()),
            drain_delay: self.duration(&Path::of(["listen", "drain_delay"]), &options.drain_delay, true),
        }
    }

    fn address(&mut self, path: &Path, setting: &'static str, text: &str) -> Address {
        let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        let parsed = numeric.as_deref().unwrap_or(text).parse::<SocketAddr>();
        let socket = parsed.unwrap_or_else(|_| {
            let message =
                format!("`{setting}`: expected an address and a port, as \"127.0.0.1:8080\", found {text:?}");
            self.problem(path, message);
            SocketAddr::from(([127, 0, 0, 1], 0))
        });
        Address { socket, setting }
    }

    fn cors(&mut self, origins: Option<&[String]>) -> Cors {
        let Some(origins) = origins else { return Cors::Localhost };
        if origins.iter().any(|origin| origin == "*") {
            return Cors::Any;
        }
        let path = Path::of(["listen", "cors"]);
        for (index, origin) in origins.iter().enumerate() {
            let parsed = url::Url::parse(origin).map(|url| url.origin().ascii_serialization());
            if parsed.as_deref() != Ok(origin) {
                let message = format!(
                    "`listen.cors`: expected an origin, as \"https://app.example.com\", without a path, \
                     found {origin:?}"
                );
                self.problem(&path.join(index), message);
            }
        }
        Cors::Origins(origins.to_vec())
    }

    fn log(&mut self, options: &LogOptions) -> Log {
        // The filter takes any word alone for the name of a module, and would then log nothing at all.
        let word = options.level.split(',').map(str::trim).find(|part| {
            let known = LEVELS.iter().any(|level| level.eq_ignore_ascii_case(part));
            !known && !part.contains(['=', '[']) && !part.is_empty()
        });
        let wrong = match (word, EnvFilter::try_new(&options.level)) {
            (Some(word), _) => Some(format!("{word:?} in {:?}", options.level)),
            (None, Err(error)) => Some(format!("{:?}: {error}", options.level)),
            (None, Ok(_)) => None,
        };
        if let Some(wrong) = wrong {
            let message = format!(
                "`log.level`: expected {}, or a list by module as \"info,crossweave::ingest=debug\", found {wrong}",
                LEVELS.join(", ")
            );
            self.problem(&Path::of(["log", "level"]), message);
        }
        Log { format: options.format, level: options.level.clone() }
    }
}

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_graphic())
}

/// The duration that `text` states, as `1.5s`.
pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number: f64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number * unit).ok()
}

/// The number of bytes, not 0, that `text` states, as `512MiB`.
fn parse_size(text: &str) -> Option<usize> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: usize = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit).filter(|size| *size > 0)
}

/// Keeps names that differ only in case apart: gives the earlier of two that are the same to MariaDB and SQL.
pub(crate) fn same_but_for_case<V>(names: &IndexMap<String, V>) -> Vec<(&str, &str)> {
    let mut seen: IndexMap<String, &str> = IndexMap::new();
    let mut pairs = Vec::new();
    for name in names.keys() {
        match seen.get(&name.to_lowercase()) {
            Some(earlier) => pairs.push((*earlier, name.as_str())),
            None => {
                seen.insert(name.to_lowercase(), name);
            }
        }
    }
    pairs
}
