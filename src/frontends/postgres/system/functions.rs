//! The functions that clients call about the server.
//!
//! Those that ask for an object read the catalog's objects, which are made when one is first asked for.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;

use super::super::forms;
use super::function::{Takes, always, by_name, by_oid, function, strings};
use super::objects::{parts, type_name};
use super::tables::{OWNER, OWNER_NAME, parameters};
use super::{Own, lists};
use crate::query::SERVER_VERSION;

use Takes::{Any, Bool, Int, Text};

/// PostgreSQL's numbers of its own tables that clients name, in `pg_description` for the most part.
const SYSTEM_TABLES: &[(&str, i32)] = &[
    ("pg_type", 1247),
    ("pg_attribute", 1249),
    ("pg_proc", 1255),
    ("pg_class", 1259),
    ("pg_authid", 1260),
    ("pg_database", 1262),
    ("pg_attrdef", 2604),
    ("pg_constraint", 2606),
    ("pg_description", 2609),
    ("pg_index", 2610),
    ("pg_namespace", 2615),
    ("pg_trigger", 2620),
    ("pg_extension", 3079),
];

/// Other names of types than those that `pg_type` has.
const TYPE_NAMES: &[(&str, Type)] = &[
    ("bigint", Type::INT8),
    ("boolean", Type::BOOL),
    ("character varying", Type::VARCHAR),
    ("decimal", Type::NUMERIC),
    ("double precision", Type::FLOAT8),
    ("int", Type::INT4),
    ("integer", Type::INT4),
    ("real", Type::FLOAT4),
    ("smallint", Type::INT2),
    ("time without time zone", Type::TIME),
    ("timestamp without time zone", Type::TIMESTAMP),
    ("timestamp with time zone", Type::TIMESTAMPTZ),
];

/// All of them; `own` answers about objects.
pub(super) fn all(own: &Arc<Own>) -> Vec<Arc<ScalarUDF>> {
    let mut all = constants();
    all.extend(privileges());
    all.extend(about_objects(own));
    all.extend(by_values());
    all.extend([lists::generate_subscripts(), lists::expand_array()]);
    all
}

fn constants() -> Vec<Arc<ScalarUDF>> {
    let no_text = || ScalarValue::Utf8(None);
    let name = || ScalarValue::from(OWNER_NAME);
    let yes = || ScalarValue::from(true);
    let started = chrono::Utc::now().timestamp_micros();
    vec![
        always("version", &[], 0, ScalarValue::from(format!("PostgreSQL {SERVER_VERSION}"))),
        always("session_user", &[], 0, name()),
        always("pg_get_userbyid", &[Int], 1, name()),
        always("pg_is_in_recovery", &[], 0, ScalarValue::from(false)),
        always("pg_postmaster_start_time", &[], 0, moment(started)),
        always("pg_conf_load_time", &[], 0, moment(started)),
        always("pg_advisory_unlock_all", &[], 0, no_text()),
        always("inet_server_addr", &[], 0, no_text()),
        always("inet_server_port", &[], 0, ScalarValue::Int32(None)),
        always("pg_tablespace_location", &[Int], 1, ScalarValue::from("")),
        always("pg_get_serial_sequence", &[Text, Text], 2, no_text()),
        always("obj_description", &[Int, Text], 1, no_text()),
        always("col_description", &[Int, Int], 2, no_text()),
        always("shobj_description", &[Int, Text], 2, no_text()),
        always("pg_get_viewdef", &[Any, Bool], 1, no_text()),
        always("pg_get_triggerdef", &[Int, Bool], 1, no_text()),
        always("pg_get_ruledef", &[Int, Bool], 1, no_text()),
        always("pg_get_function_result", &[Int], 1, ScalarValue::from("")),
        always("pg_get_function_arguments", &[Int], 1, ScalarValue::from("")),
        always("pg_get_function_identity_arguments", &[Int], 1, ScalarValue::from("")),
        always("pg_get_functiondef", &[Int], 1, no_text()),
        always("pg_relation_is_publishable", &[Int], 1, yes()),
        always("pg_get_expr", &[Any, Int, Bool], 2, no_text()),
        always("pg_get_partkeydef", &[Int], 1, no_text()),
        always("pg_relation_size", &[Int, Text], 1, ScalarValue::from(0_i64)),
        always("pg_total_relation_size", &[Int], 1, ScalarValue::from(0_i64)),
        always("pg_table_size", &[Int], 1, ScalarValue::from(0_i64)),
        always("pg_indexes_size", &[Int], 1, ScalarValue::from(0_i64)),
        always("pg_database_size", &[Any], 1, ScalarValue::from(0_i64)),
        always("pg_table_is_visible", &[Int], 1, yes()),
        always("pg_type_is_visible", &[Int], 1, yes()),
        always("pg_function_is_visible", &[Int], 1, yes()),
        always("pg_collation_is_visible", &[Int], 1, yes()),
        always("pg_conversion_is_visible", &[Int], 1, yes()),
        always("pg_operator_is_visible", &[Int], 1, yes()),
        always("pg_opclass_is_visible", &[Int], 1, yes()),
        always("pg_opfamily_is_visible", &[Int], 1, yes()),
        always("pg_statistics_obj_is_visible", &[Int], 1, yes()),
        always("pg_ts_config_is_visible", &[Int], 1, yes()),
        always("pg_ts_dict_is_visible", &[Int], 1, yes()),
        always("pg_ts_parser_is_visible", &[Int], 1, yes()),
        always("pg_ts_template_is_visible", &[Int], 1, yes()),
    ]
}

/// Everything that is listed may be read: what policy hides is not listed.
fn privileges() -> Vec<Arc<ScalarUDF>> {
    const NAMES: &[&str] = &[
        "has_any_column_privilege",
        "has_database_privilege",
        "has_function_privilege",
        "has_language_privilege",
        "has_schema_privilege",
        "has_sequence_privilege",
        "has_server_privilege",
        "has_table_privilege",
        "has_tablespace_privilege",
        "has_type_privilege",
        "pg_has_role",
    ];
    let yes = || ScalarValue::from(true);
    let mut all: Vec<_> = NAMES.iter().map(|name| always(name, &[Any, Any, Any], 2, yes())).collect();
    all.push(always("has_column_privilege", &[Any, Any, Any, Any], 3, yes()));
    all
}

fn about_objects(own: &Arc<Own>) -> Vec<Arc<ScalarUDF>> {
    let objects = || {
        let own = Arc::clone(own);
        move || Arc::clone(own.objects())
    };
    let (names, schemas, constraints, indexes) = (objects(), objects(), objects(), objects());
    let (relation, schema) = (objects(), objects());
    let namespace = |objects: &super::Objects, name: &str| {
        let name = parts(name)?.pop()?;
        objects.schemas.iter().find(|schema| schema.name == name).map(|schema| schema.oid)
    };
    vec![
        by_oid("regclass_name", &[Int], move |oid, _| {
            let system = SYSTEM_TABLES.iter().find(|(_, number)| *number == oid).map(|(name, _)| *name);
            Some(
                system.map_or_else(
                    || names().relation_name(oid).unwrap_or_else(|| shown_number(oid)),
                    str::to_owned,
                ),
            )
        }),
        by_oid("regnamespace_name", &[Int], move |oid, _| {
            let objects = schemas();
            let found = objects.schemas.iter().find(|schema| schema.oid == oid);
            Some(found.map_or_else(|| shown_number(oid), |schema| schema.name.clone()))
        }),
        by_oid("regtype_name", &[Int], |oid, _| {
            Some(Type::from_oid(oid as u32).map_or_else(|| shown_number(oid), |found| shown_type(&found)))
        }),
        by_oid("format_type", &[Int, Int], |oid, modifier| Some(formatted(oid, modifier))),
        by_oid("regrole_name", &[Int], |oid, _| {
            Some(if oid == OWNER { OWNER_NAME.to_owned() } else { shown_number(oid) })
        }),
        by_oid("pg_get_constraintdef", &[Int, Bool], move |oid, _| constraints().constraint(oid)),
        by_oid("pg_get_indexdef", &[Int, Int, Bool], move |oid, column| indexes().index(oid, column)),
        by_name("to_regclass", move |name| {
            let system =
                parts(name).filter(|parts| parts.len() == 1 || parts[0] == "pg_catalog").and_then(|parts| {
                    SYSTEM_TABLES.iter().find(|(table, _)| parts.last().is_some_and(|p| p == table))
                });
            given_number(name).or(system.map(|(_, oid)| *oid)).or_else(|| relation().relation(name))
        }),
        by_name("to_regnamespace", move |name| given_number(name).or_else(|| namespace(&schema(), name))),
        by_name("to_regtype", |name| given_number(name).or_else(|| type_number(name))),
        by_name("to_regrole", |name| given_number(name).or((name == OWNER_NAME).then_some(OWNER))),
    ]
}

/// A number in place of a name; `-` is that of nothing.
fn given_number(name: &str) -> Option<i32> {
    if name == "-" { Some(0) } else { name.parse().ok() }
}

fn shown_number(oid: i32) -> String {
    if oid == 0 { "-".to_owned() } else { oid.to_string() }
}

fn shown_type(data_type: &Type) -> String {
    match data_type.kind() {
        postgres_types::Kind::Array(element) => format!("{}[]", type_name(element)),
        _ => type_name(data_type).to_owned(),
    }
}

/// A type as it would be declared.
fn formatted(oid: i32, modifier: i32) -> String {
    match Type::from_oid(oid as u32) {
        Some(Type::NUMERIC) if modifier > 4 => {
            format!("numeric({},{})", (modifier - 4) >> 16, (modifier - 4) & 0x7ff)
        }
        Some(found) => shown_type(&found),
        None if oid == 0 => "-".to_owned(),
        None => "???".to_owned(),
    }
}

/// The number of the type `name`, by any of its names.
fn type_number(name: &str) -> Option<i32> {
    let mut parts = parts(name)?;
    let name = parts.pop().filter(|_| parts.is_empty() || parts == ["pg_catalog"])?;
    let (element, array) = name.strip_suffix("[]").map_or((&*name, false), |element| (element, true));
    let other = TYPE_NAMES.iter().find(|(other, _)| *other == element).map(|(_, found)| found.name());
    let element = other.unwrap_or(element);
    let wanted = if array { format!("_{element}") } else { element.to_owned() };
    // The numbers of PostgreSQL's own types are below those of users.
    (1..16_384)
        .find(|oid| Type::from_oid(*oid).is_some_and(|found| found.name() == wanted))
        .map(|oid| oid as i32)
}

fn by_values() -> Vec<Arc<ScalarUDF>> {
    let text = |_: &[DataType]| Ok(DataType::Utf8);
    vec![
        function("pg_encoding_to_char", &[Int], 1, text, |args, _| {
            let encodings = args[0].as_primitive::<Int32Type>();
            Ok(strings(
                encodings.iter().map(|encoding| Some(if encoding? == 6 { "UTF8" } else { "" }.to_owned())),
            ))
        }),
        function("current_setting", &[Text, Bool], 1, text, |args, _| {
            let value = |name: &str| parameters().find(|(known, _)| known.eq_ignore_ascii_case(name));
            let names = args[0].as_string::<i32>().iter();
            Ok(strings(names.map(|name| value(name?).map(|(_, value)| value.to_owned()))))
        }),
        function("pg_typeof", &[Any], 1, text, |args, rows| {
            let name = match args[0].data_type() {
                DataType::Null => "unknown".to_owned(),
                data_type => shown_type(&forms::announced(data_type)),
            };
            Ok(strings((0..rows).map(|_| Some(name.clone()))))
        }),
        function("pg_size_pretty", &[Any], 1, text, |args, _| {
            let sizes = cast(&args[0], &DataType::Int64)?;
            Ok(strings(sizes.as_primitive::<Int64Type>().iter().map(|size| size.map(pretty))))
        }),
        function("to_regproc", &[Text], 1, text, |args, _| {
            let names = args[0].as_string::<i32>().iter();
            Ok(strings(names.map(|name| parts(name?)?.pop())))
        }),
        function("json_build_object", ANY_NUMBER, 0, text, json_objects),
        function("like_pattern", &[Text, Text], 2, text, |args, _| {
            let (patterns, escapes) = (args[0].as_string::<i32>(), args[1].as_string::<i32>());
            Ok(strings(
                patterns.iter().zip(escapes).map(|(pattern, escape)| Some(like_pattern(pattern?, escape?))),
            ))
        }),
    ]
}

const ANY_NUMBER: &[Takes] = &[Any; 40];

fn moment(micros: i64) -> ScalarValue {
    ScalarValue::TimestampMicrosecond(Some(micros), Some("+00:00".into()))
}

fn pretty(size: i64) -> String {
    const UNITS: &[&str] = &["bytes", "kB", "MB", "GB", "TB", "PB"];
    let (mut size, mut unit) = (size, 0);
    while size.abs() >= 10_240 && unit + 1 < UNITS.len() {
        size /= 1_024;
        unit += 1;
    }
    format!("{size} {}", UNITS[unit])
}

/// `pattern` with a backslash in place of its escape character.
fn like_pattern(pattern: &str, escape: &str) -> String {
    let escape = escape.chars().next();
    let mut made = String::with_capacity(pattern.len());
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let literal = if Some(character) == escape { characters.next() } else { None };
        match literal.or((character == '\\').then_some('\\')) {
            Some(literal) => made.extend(['\\', literal]),
            None => made.push(character),
        }
    }
    made
}

/// Names and values by turns, as one object a row.
fn json_objects(args: &[ArrayRef], rows: usize) -> Result<ArrayRef> {
    let value = |array: &ArrayRef, row: usize| -> Result<serde_json::Value> {
        let value = ScalarValue::try_from_array(array, row)?;
        Ok(match &value {
            value if value.is_null() => serde_json::Value::Null,
            ScalarValue::Boolean(Some(value)) => (*value).into(),
            value if value.data_type().is_integer() => match value.cast_to(&DataType::Int64)? {
                ScalarValue::Int64(Some(number)) => number.into(),
                _ => value.to_string().into(),
            },
            value => value.to_string().into(),
        })
    };
    let mut objects = Vec::with_capacity(rows);
    for row in 0..rows {
        let mut object = serde_json::Map::new();
        for pair in args.chunks_exact(2) {
            let name = ScalarValue::try_from_array(&pair[0], row)?.to_string();
            object.insert(name, value(&pair[1], row)?);
        }
        objects.push(Some(serde_json::Value::Object(object).to_string()));
    }
    Ok(strings(objects.into_iter()))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, StringArray};

    use super::*;

    #[test]
    fn types_are_found_by_all_their_names() {
        assert_eq!(type_number("int4"), Some(23));
        assert_eq!(type_number("INTEGER"), Some(23));
        assert_eq!(type_number("pg_catalog.text"), Some(25));
        assert_eq!(type_number("bigint[]"), Some(1016));
        assert_eq!(type_number("hstore"), None);
        assert_eq!(shown_type(&Type::INT8_ARRAY), "bigint[]");
    }

    #[test]
    fn another_escape_character_becomes_a_backslash() {
        assert_eq!(like_pattern("pg/_%", "/"), "pg\\_%");
        assert_eq!(like_pattern("a//b\\", "/"), "a\\/b\\\\");
    }

    #[test]
    fn objects_are_built_a_row() {
        let names: ArrayRef = Arc::new(StringArray::from(vec!["n", "n"]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let made = json_objects(&[names, numbers], 2).unwrap();
        let made: Vec<_> = made.as_string::<i32>().iter().flatten().collect();
        assert_eq!(made, [r#"{"n":1}"#, r#"{"n":null}"#]);
    }
}
