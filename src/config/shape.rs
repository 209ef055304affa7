//! The shape of the file: its JSON Schema, and what in a document does not fit it.
//!
//! The schema is made from the types in `file.rs`, and the document is held against that same schema, so the
//! published schema and the errors cannot disagree, and every misfit is told at once, with its line.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::document::{Document, Path};
use super::file::ConfigFile;
use super::problem::Problem;

/// Settings that are looked for in a wrong place: the name there, the table that has it, the name in that.
const MOVED: [(&str, &str, &str); 1] = [("max_connections", "limits", "connections")];

/// The JSON Schema of the configuration file.
pub fn json_schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<ConfigFile>();
    schema.insert("title".to_owned(), "Crossweave configuration (crossweave.toml)".into());
    schema.to_value()
}

/// What in `document` does not fit the schema.
pub(crate) fn misfits(document: &Document) -> Vec<Problem> {
    let mut walk = Walk { document, problems: Vec::new() };
    walk.value(&json_schema(), &document.value, &Path::default());
    walk.problems
}

struct Walk<'a> {
    document: &'a Document,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn problem(&self, path: &Path, message: String) -> Problem {
        Problem::new(self.document.lines.place(path), message)
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &Path) {
        if value.is_null() {
            return; // What could not be read was told when it was read.
        }
        let alternatives = alternatives(schema);
        let words: Vec<&str> = alternatives.iter().flat_map(|schema| words(schema)).collect();
        if let (Value::String(found), false) = (value, words.is_empty()) {
            if !words.contains(&found.as_str()) {
                let message = format!(
                    "`{}`: expected {}, found {found:?}",
                    path.name(),
                    words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" or ")
                );
                let problem = self.problem(path, message).with_nearest(found, words.iter().copied());
                self.problems.push(problem);
            }
            return;
        }
        match alternatives.iter().find(|schema| accepts(schema, value)) {
            None => {
                let expected: Vec<&str> = alternatives.iter().flat_map(|schema| types(schema)).collect();
                let message = format!(
                    "`{}`: expected {}, found {}",
                    path.name(),
                    describe(&expected, &words),
                    found(value)
                );
                self.problems.push(self.problem(path, message));
            }
            Some(schema) => match value {
                Value::Object(members) => self.object(schema, members, path),
                Value::Array(elements) => {
                    let items = schema.get("items").unwrap_or(&Value::Null);
                    for (index, element) in elements.iter().enumerate() {
                        self.value(items, element, &path.join(index));
                    }
                }
                Value::Number(number) => self.number(schema, number.as_i64(), path),
                _ => {}
            },
        }
    }

    fn object(&mut self, schema: &Value, members: &Map<String, Value>, path: &Path) {
        let none = Map::new();
        let properties = schema.get("properties").and_then(Value::as_object).unwrap_or(&none);
        let others = schema.get("additionalProperties").filter(|others| others.is_object());
        for (key, value) in members {
            match properties.get(key).or(others) {
                Some(schema) => self.value(schema, value, &path.join(key)),
                None => {
                    let place =
                        if path == &Path::default() { String::new() } else { format!(" in `{}`", path.name()) };
                    let unknown = self.problem(&path.join(key), format!("unknown setting `{key}`{place}"));
                    let moved =
                        MOVED.iter().find(|(old, place, _)| old == key && properties.contains_key(*place));
                    self.problems.push(match moved {
                        Some((_, place, new)) => {
                            unknown.with_hint(format!("it is `{new}` in `[{}.{place}]`", path.name()))
                        }
                        None => unknown.with_nearest(key, properties.keys().map(String::as_str)),
                    });
                }
            }
        }
        let required = schema.get("required").and_then(Value::as_array);
        for key in required.into_iter().flatten().filter_map(Value::as_str) {
            if !members.contains_key(key) {
                let kind = properties.get(key).map(|schema| {
                    let alternatives = alternatives(schema);
                    describe(&alternatives.iter().flat_map(|schema| types(schema)).collect::<Vec<_>>(), &[])
                });
                let message = format!("`{}` lacks `{key}`: expected {}", path.name(), kind.unwrap_or_default());
                self.problems.push(self.problem(path, message));
            }
        }
    }

    fn number(&mut self, schema: &Value, number: Option<i64>, path: &Path) {
        let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
        let (least, most) = (bound("minimum"), bound("maximum"));
        let Some(number) = number else { return };
        let message = match (least, most) {
            (Some(least), Some(most)) if !(least..=most).contains(&number) => {
                format!("a number from {least} to {most}")
            }
            (Some(least), None) if number < least => format!("a number of at least {least}"),
            _ => return,
        };
        let message = format!("`{}`: expected {message}, found {number}", path.name());
        self.problems.push(self.problem(path, message));
    }
}

/// The schemas of which a value must fit one; absence (`null`), which TOML cannot write, left out.
fn alternatives(schema: &Value) -> Vec<&Value> {
    let nested = schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Value::as_array);
    match nested {
        Some(nested) => {
            nested.iter().flat_map(alternatives).filter(|schema| !types(schema).is_empty()).collect()
        }
        None => vec![schema],
    }
}

/// The types of values that `schema` itself accepts.
fn types(schema: &Value) -> Vec<&str> {
    let types = match schema.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    types.into_iter().filter(|name| *name != "null").collect()
}

/// The words that `schema` accepts, where it accepts only some.
fn words(schema: &Value) -> Vec<&str> {
    let listed = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
    listed.chain(schema.get("const")).filter_map(Value::as_str).collect()
}

fn accepts(schema: &Value, value: &Value) -> bool {
    types(schema).iter().any(|name| match value {
        Value::String(_) => *name == "string",
        Value::Bool(_) => *name == "boolean",
        Value::Number(number) => *name == "number" || (*name == "integer" && number.is_i64()),
        Value::Array(_) => *name == "array",
        Value::Object(_) => *name == "object",
        Value::Null => false,
    })
}

fn describe(types: &[&str], words: &[&str]) -> String {
    if !words.is_empty() {
        return words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(" or ");
    }
    let mut names: Vec<&str> = types
        .iter()
        .map(|name| match *name {
            "string" => "a text in quotes",
            "boolean" => "true or false",
            "integer" => "a whole number",
            "number" => "a number",
            "array" => "a list",
            _ => "a table of settings",
        })
        .collect();
    names.dedup();
    names.join(" or ")
}

fn found(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => format!("the number {number}"),
        Value::String(_) => "a text".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a table of settings".to_owned(),
    }
}
