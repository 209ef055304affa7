//! A TOML text as a tree of plain values that remembers the line of each, with `${NAME}` put in.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Number, Value};
use toml::de::{DeArray, DeTable, DeValue};

use super::problem::{Place, Problem};

/// What stays as it is when a variable is put into a URL.
const URL_PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The path of a value in the tree: the keys and indices that lead to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Path(Vec<String>);

impl Path {
    /// The path of `parts`.
    pub(crate) fn of<const N: usize>(parts: [&str; N]) -> Self {
        Self(parts.iter().map(|part| (*part).to_owned()).collect())
    }

    /// The path of the member or element `part`.
    pub(crate) fn join(&self, part: impl ToString) -> Self {
        let mut parts = self.0.clone();
        parts.push(part.to_string());
        Self(parts)
    }

    /// As the file would name it: `services.users.mode`.
    pub(crate) fn name(&self) -> String {
        self.0.join(".")
    }
}

/// The lines of a document's values.
#[derive(Debug, Clone)]
pub(crate) struct Lines {
    file: Arc<PathBuf>,
    lines: HashMap<Path, usize>,
}

impl Lines {
    /// Where the value at `path` is, else where the nearest thing around it is.
    pub(crate) fn place(&self, path: &Path) -> Place {
        let mut path = path.clone();
        let line = loop {
            if let Some(line) = self.lines.get(&path) {
                break Some(*line);
            }
            if path.0.pop().is_none() {
                break None;
            }
        };
        Place { file: Arc::clone(&self.file), line }
    }
}

/// A document.
#[derive(Debug)]
pub(crate) struct Document {
    /// Its values.
    pub(crate) value: Value,
    /// Their lines.
    pub(crate) lines: Lines,
}

/// Reads `text`, taking variables from `env`. Also gives what is wrong with the text itself and with its
/// variables; what could be read is in the document all the same.
pub(crate) fn read(
    text: &str,
    file: Arc<PathBuf>,
    env: &dyn Fn(&str) -> Option<String>,
) -> (Document, Vec<Problem>) {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader {
        declared_twice: 0..0,
        starts: std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect(),
        lines: Lines { file, lines: HashMap::new() },
        problems: Vec::new(),
        env,
    };
    for error in &errors {
        reader.syntax_error(text, error);
    }
    let value = reader.table(tree.get_ref(), &Path::default());
    (Document { value, lines: reader.lines }, reader.problems)
}

struct Reader<'a> {
    /// Offset at which each line starts.
    starts: Vec<usize>,
    /// The lines of the last table that was there already.
    declared_twice: Range<usize>,
    lines: Lines,
    problems: Vec<Problem>,
    env: &'a dyn Fn(&str) -> Option<String>,
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    fn syntax_error(&mut self, text: &str, error: &toml::de::Error) {
        let line = error.span().map(|span| self.line(span.start));
        let place = Place { file: Arc::clone(&self.lines.file), line };
        let duplicate = error.message().contains("duplicate key");
        let name = error.span().and_then(|span| text.get(span)).unwrap_or_default().trim();
        if let (true, Some(line)) = (duplicate, line) {
            if self.declared_twice.contains(&line) {
                return; // Follows from the table's being there twice, which was told.
            }
            let is_header = |line: &str| line.trim_start().starts_with('[');
            let mut from_here = text.lines().skip(line - 1);
            if from_here.next().is_some_and(is_header) {
                self.declared_twice = line..line + 1 + from_here.take_while(|line| !is_header(line)).count();
            }
        }
        self.problems.push(if duplicate && !name.is_empty() {
            Problem::new(place, format!("`{name}` is declared twice; expected each name once"))
                .with_hint("merge the two, or rename one")
        } else {
            Problem::new(place, format!("not valid TOML: {}", error.message()))
        });
    }

    fn table(&mut self, table: &DeTable<'_>, path: &Path) -> Value {
        let mut members = Map::new();
        for (key, value) in table {
            let path = path.join(key.get_ref());
            self.lines.lines.insert(path.clone(), self.line(key.span().start));
            let value = self.value(value.get_ref(), &path);
            members.insert(key.get_ref().to_string(), value);
        }
        Value::Object(members)
    }

    fn array(&mut self, array: &DeArray<'_>, path: &Path) -> Value {
        let elements = array.iter().enumerate().map(|(index, value)| {
            let path = path.join(index);
            self.lines.lines.insert(path.clone(), self.line(value.span().start));
            self.value(value.get_ref(), &path)
        });
        Value::Array(elements.collect())
    }

    fn value(&mut self, value: &DeValue<'_>, path: &Path) -> Value {
        match value {
            DeValue::String(text) => Value::String(self.put_in(text, path)),
            DeValue::Integer(number) => {
                let digits = number.as_str().replace('_', "");
                i64::from_str_radix(&digits, number.radix()).map_or_else(
                    |_| self.refuse(path, format!("the number {number} is too large")),
                    |number| Value::Number(number.into()),
                )
            }
            DeValue::Float(number) => {
                let float = number.as_str().replace('_', "").parse().ok().and_then(Number::from_f64);
                float.map_or_else(
                    || self.refuse(path, format!("{} is not a finite number", number.as_str())),
                    Value::Number,
                )
            }
            DeValue::Boolean(flag) => Value::Bool(*flag),
            DeValue::Datetime(_) => self.refuse(path, "no setting is a date or a time".to_owned()),
            DeValue::Array(array) => self.array(array, path),
            DeValue::Table(table) => self.table(table, path),
        }
    }

    fn refuse(&mut self, path: &Path, message: String) -> Value {
        let message = format!("`{}`: {message}", path.name());
        self.problems.push(Problem::new(self.lines.place(path), message));
        Value::Null
    }

    /// `text` with each `${NAME}` replaced.
    fn put_in(&mut self, text: &str, path: &Path) -> String {
        let in_url = path.0.last().is_some_and(|key| key == "url");
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('$') {
                out.push_str(before);
                out.push_str("${");
                rest = &from[2..];
                continue;
            }
            out.push_str(before);
            let Some(end) = from.find('}') else {
                self.refuse(path, "a `${` without its `}`".to_owned());
                return out;
            };
            let name = &from[2..end];
            match (self.env)(name) {
                Some(value) if in_url => out.extend(utf8_percent_encode(&value, URL_PART)),
                Some(value) => out.push_str(&value),
                None => {
                    let message = format!(
                        "`{}`: the environment variable {name} is not set, or is not valid text",
                        path.name()
                    );
                    let problem = Problem::new(self.lines.place(path), message)
                        .with_hint(format!("set {name} before Crossweave is started; `$${{` stands for `${{`"));
                    self.problems.push(problem);
                }
            }
            rest = &from[end + 1..];
        }
        out.push_str(rest);
        out
    }
}
