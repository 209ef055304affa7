//! Regular expressions over columns, without a server.

use std::time::{Duration, Instant};

use arrow::array::{Int64Array, StringArray};
use datafusion::common::config::ConfigOptions;
use datafusion::functions::regex::{regexp_count, regexp_like, regexp_replace};
use datafusion::logical_expr::{binary_expr, lit};

use super::*;

/// What `function` makes of arguments for so many rows, until `stop`.
fn called(function: &Expr, stop: &Arc<Stop>, args: Vec<ColumnarValue>, rows: usize) -> Result<ArrayRef> {
    let Some(Expr::ScalarFunction(call)) = stoppable(function, stop) else { panic!("{function} goes on") };
    let types: Vec<DataType> = args.iter().map(ColumnarValue::data_type).collect();
    let fields = types.iter().map(|of| Arc::new(Field::new("", of.clone(), true)));
    let args = ScalarFunctionArgs {
        args,
        arg_fields: fields.collect(),
        number_rows: rows,
        return_field: Arc::new(Field::new("", call.func.return_type(&types)?, true)),
        config_options: Arc::new(ConfigOptions::default()),
    };
    call.func.invoke_with_args(args)?.into_array(rows)
}

fn column(texts: impl IntoIterator<Item = impl Into<String>>) -> ColumnarValue {
    let texts: StringArray = texts.into_iter().map(|text| Some(text.into())).collect();
    ColumnarValue::Array(Arc::new(texts))
}

fn constant(text: &str) -> ColumnarValue {
    ColumnarValue::Scalar(text.into())
}

fn later() -> Arc<Stop> {
    Stop::at(Instant::now() + Duration::from_secs(3_600))
}

fn operator(op: Operator) -> Expr {
    binary_expr(lit(""), op, lit(""))
}

fn matches(op: Operator, texts: ColumnarValue, patterns: ColumnarValue, rows: usize) -> Result<Vec<bool>> {
    let found = called(&operator(op), &later(), vec![texts, patterns], rows)?;
    Ok(found.as_boolean().iter().map(|found| found.expect("no NULL")).collect())
}

fn call(function: Arc<ScalarUDF>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(function, Vec::new()))
}

fn numbers(array: &ArrayRef) -> i64 {
    array.as_any().downcast_ref::<Int64Array>().expect("numbers").iter().flatten().sum()
}

/// So many patterns, each of which takes milliseconds to be read.
fn slow_patterns(rows: usize) -> ColumnarValue {
    column((0..rows).map(|number| format!("^{number}((a{{30}}){{20}}){{4}}$")))
}

#[test]
fn each_row_has_a_pattern_of_its_own() {
    let texts = || column(["abc", "abc", "ABC", "", "x"]);
    let patterns = || column(["^a", "B", "b", "", "^$"]);
    for (op, expected) in [
        (Operator::RegexMatch, [true, false, false, true, false]),
        (Operator::RegexNotMatch, [false, true, true, false, true]),
        (Operator::RegexIMatch, [true, true, true, true, false]),
        (Operator::RegexNotIMatch, [false, false, false, false, true]),
    ] {
        assert_eq!(matches(op, texts(), patterns(), 5).unwrap(), expected, "{op}");
    }
    let of_one = matches(Operator::RegexMatch, constant("b"), column(["a|b", "c"]), 2).unwrap();
    assert_eq!(of_one, [true, false]);
    let null = ColumnarValue::Scalar(ScalarValue::Utf8(None));
    for args in [vec![null.clone(), column(["a"])], vec![column(["a"]), null]] {
        assert!(called(&operator(Operator::RegexMatch), &later(), args, 1).unwrap().is_null(0));
    }
    let error = matches(Operator::RegexMatch, column(["a"]), column(["("]), 1).unwrap_err().to_string();
    assert!(error.contains("the pattern '(' cannot be read: "), "{error}");
}

#[test]
fn a_pattern_of_the_row_is_small_and_a_constant_one_is_read_once() {
    let large = "^(((a{100}){100}){9})?$";
    let error = matches(Operator::RegexMatch, column(["a"]), column([large]), 1).unwrap_err().to_string();
    assert!(
        error.contains("repeats too much: what is made of one of the row may have 262144 bytes"),
        "{error}"
    );
    let texts = column((0..20_000).map(|row| if row == 7 { "" } else { "a" }));
    let found = matches(Operator::RegexMatch, texts, constant(large), 20_000).unwrap();
    assert_eq!(found.iter().filter(|found| **found).count(), 1);
    let counted =
        |pattern: ColumnarValue| called(&call(regexp_count()), &later(), vec![column(["", "a"]), pattern], 2);
    assert_eq!(numbers(&counted(constant(large)).unwrap()), 1);
    let error = counted(column([large, "a"])).unwrap_err().to_string();
    assert!(error.contains("repeats too much"), "{error}");
}

#[test]
fn functions_take_as_many_patterns_as_there_are_rows() {
    let rows = 20_000;
    let patterns = || column((0..rows).map(|row| format!("^{row}$")));
    let texts = || column((0..rows).map(|row| row.to_string()));
    let counted = called(&call(regexp_count()), &later(), vec![texts(), patterns()], rows).unwrap();
    assert_eq!(numbers(&counted), 20_000);
    let args = vec![texts(), patterns(), constant("x")];
    let replaced = called(&call(regexp_replace()), &later(), args, rows).unwrap();
    assert!(views(&replaced).unwrap().iter().all(|text| text == Some("x")));
}

#[test]
fn patterns_are_read_with_the_flags_of_the_call() {
    let like = |pattern: &str, flags: &str| {
        let args = vec![column(["ab"]), column([pattern]), constant(flags)];
        called(&call(regexp_like()), &later(), args, 1).map(|found| found.as_boolean().value(0))
    };
    assert!(like("a # (", "x").unwrap());
    assert!(!like("B", "s").unwrap());
    assert!(like("B", "i").unwrap());
    let error = like("a(", "i").unwrap_err().to_string();
    assert!(error.contains("did not compile"), "{error}");
    // In any case it has four times the bytes.
    assert!(like("k{2500}", "s").is_ok());
    let error = like("k{2500}", "i").unwrap_err().to_string();
    assert!(error.contains("repeats too much"), "{error}");
}

#[test]
fn nothing_goes_on_once_nobody_waits() {
    let rows = 50_000;
    let texts = || column((0..rows).map(|_| "a"));
    let stopped = |function: &Expr, patterns: ColumnarValue| {
        let stop = Stop::at(Instant::now() + Duration::from_millis(100));
        let began = Instant::now();
        let error = called(function, &stop, vec![texts(), patterns], rows).unwrap_err().to_string();
        assert!(error.contains("the query was ended"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    };
    stopped(&operator(Operator::RegexMatch), slow_patterns(rows));
    stopped(&call(regexp_count()), slow_patterns(rows));
    let told = later();
    told.tell();
    let args = vec![texts(), constant("a")];
    let error = called(&operator(Operator::RegexMatch), &told, args, rows).unwrap_err().to_string();
    assert!(error.contains("the query was ended"), "{error}");
}
