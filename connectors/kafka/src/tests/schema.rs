//! A validator for as much of JSON Schema as the feeds' schemas use. A keyword it does not know is an error, so
//! that a schema cannot demand what nobody checks.

use std::path::PathBuf;

use serde_json::{Map, Value};

pub(super) fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", "..", "schemas"].iter().collect()
}

pub(super) struct Schema(Value);

impl Schema {
    pub(super) fn read(file: &str) -> Self {
        let text = std::fs::read_to_string(folder().join(file)).unwrap();
        Self(serde_json::from_str(&text).unwrap())
    }

    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        self.matches(&self.0, value, "$")
    }

    fn matches(&self, schema: &Value, value: &Value, path: &str) -> Result<(), String> {
        for (keyword, rule) in schema.as_object().unwrap() {
            let holds = match keyword.as_str() {
                "$schema" | "$id" | "$defs" | "title" | "description" => true,
                "$ref" => {
                    let pointer = rule.as_str().unwrap().strip_prefix('#').unwrap();
                    self.matches(self.0.pointer(pointer).unwrap(), value, path)?;
                    true
                }
                "type" => match rule {
                    Value::Array(types) => types.iter().any(|rule| is_type(rule, value)),
                    rule => is_type(rule, value),
                },
                "const" => rule == value,
                "enum" => rule.as_array().unwrap().contains(value),
                "oneOf" => {
                    let fits = |rule: &&Value| self.matches(rule, value, path).is_ok();
                    rule.as_array().unwrap().iter().filter(fits).count() == 1
                }
                "required" => {
                    let missing =
                        |name: &Value| value.is_object() && value.get(name.as_str().unwrap()).is_none();
                    !rule.as_array().unwrap().iter().any(missing)
                }
                "items" => {
                    let items = value.as_array().into_iter().flatten();
                    items
                        .enumerate()
                        .try_for_each(|(at, item)| self.matches(rule, item, &format!("{path}[{at}]")))?;
                    true
                }
                "properties" => {
                    for (name, rule) in rule.as_object().unwrap() {
                        if let Some(value) = value.get(name) {
                            self.matches(rule, value, &format!("{path}.{name}"))?;
                        }
                    }
                    true
                }
                "additionalProperties" => self.additional(schema.get("properties"), rule, value, path)?,
                unknown => panic!("the validator does not know {unknown}"),
            };
            if !holds {
                return Err(format!("{path}: {value} breaks {keyword} {rule}"));
            }
        }
        Ok(())
    }

    fn additional(
        &self,
        known: Option<&Value>,
        rule: &Value,
        value: &Value,
        path: &str,
    ) -> Result<bool, String> {
        let known = |name: &str| known.is_some_and(|known| known.get(name).is_some());
        let empty = Map::new();
        let fields = value.as_object().unwrap_or(&empty);
        for (name, value) in fields.iter().filter(|(name, _)| !known(name)) {
            match rule {
                Value::Bool(allowed) => {
                    if !allowed {
                        return Err(format!("{path}: {name} is not expected"));
                    }
                }
                rule => self.matches(rule, value, &format!("{path}.{name}"))?,
            }
        }
        Ok(true)
    }
}

fn is_type(rule: &Value, value: &Value) -> bool {
    match rule.as_str().unwrap() {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        unknown => panic!("{unknown} is no type"),
    }
}

#[test]
fn the_schema_refuses_what_is_no_event() {
    let schema = Schema::read("feed-event.schema.json");
    let text = std::fs::read_to_string(folder().join("samples/feed-insert.json")).unwrap();
    let good = serde_json::from_str::<Value>(&text).unwrap()["value"].clone();
    assert_eq!(schema.check(&good), Ok(()));
    let refuse = |change: &dyn Fn(&mut Value)| {
        let mut wrong = good.clone();
        change(&mut wrong);
        assert!(schema.check(&wrong).is_err(), "{wrong}");
    };
    refuse(&|event| event["op"] = "r".into());
    refuse(&|event| event["op"] = "d".into());
    refuse(&|event| event["after"] = Value::Null);
    refuse(&|event| event["after"]["name"] = serde_json::json!({"x": 1}));
    refuse(&|event| event["source"]["gtid"] = Value::Null);
    refuse(&|event| event["extra"] = 1.into());
    refuse(&|event| drop(event.as_object_mut().unwrap().remove("ts_ms")));
}
