//! Every type's text and JSON.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, DurationMicrosecondArray, Float32Array,
    Float64Array, Int64Array, IntervalYearMonthArray, ListArray, NullArray, StringViewArray, StructArray,
    TimestampMicrosecondArray, TimestampNanosecondArray, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Int32Type, UInt16Type};
use crossweave_contract::{Collation, ColumnBuilder, ColumnType, Value};

use super::{Cells, Style, type_name};

/// The texts and the JSON of `array`'s values.
fn written(field: &Field, array: &ArrayRef, style: &Style) -> (String, Vec<String>, Vec<String>) {
    let cells = Cells::new(array, style);
    let each = |write: &dyn Fn(usize, &mut String)| {
        let one = |row| {
            let mut out = String::new();
            write(row, &mut out);
            out
        };
        (0..array.len()).map(one).collect()
    };
    (
        type_name(field),
        each(&|row, out| cells.write_text(row, out)),
        each(&|row, out| cells.write_json(row, out)),
    )
}

#[track_caller]
fn check(array: impl Array + 'static, name: &str, texts: &[&str], jsons: &[&str]) {
    let array: ArrayRef = Arc::new(array);
    let field = Field::new("c", array.data_type().clone(), true);
    let (found_name, found_texts, found_jsons) = written(&field, &array, &Style::of(&field));
    assert_eq!((found_name.as_str(), found_texts, found_jsons), (name, strings(texts), strings(jsons)));
}

#[track_caller]
fn check_column(column_type: &ColumnType, values: &[Value], name: &str, texts: &[&str], jsons: &[&str]) {
    let mut builder = ColumnBuilder::new(column_type, values.len());
    for value in values {
        builder.append(value.as_ref()).unwrap();
    }
    let field = column_type.field("c", true);
    let (found_name, found_texts, found_jsons) = written(&field, &builder.finish(), &Style::of(&field));
    assert_eq!((found_name.as_str(), found_texts, found_jsons), (name, strings(texts), strings(jsons)));
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn numbers_are_exact() {
    let big = 1i64 << 53;
    check(
        Int64Array::from(vec![Some(big), Some(-big - 1), None]),
        "int64",
        &["9007199254740992", "-9007199254740993", ""],
        &["9007199254740992", "\"-9007199254740993\"", "null"],
    );
    check(
        UInt64Array::from(vec![u64::MAX]),
        "uint64",
        &["18446744073709551615"],
        &["\"18446744073709551615\""],
    );
    check(Float32Array::from(vec![0.1, -0.0, 2.0]), "float32", &["0.1", "-0", "2"], &["0.1", "-0", "2"]);
    check(
        Float64Array::from(vec![1e300, 1e-7, f64::NAN, f64::NEG_INFINITY]),
        "float64",
        &["1e300", "1e-7", "NaN", "-Infinity"],
        &["1e300", "1e-7", "\"NaN\"", "\"-Infinity\""],
    );
    let decimals =
        Decimal128Array::from(vec![Some(-5), Some(120), None]).with_precision_and_scale(10, 2).unwrap();
    check(decimals, "decimal(10,2)", &["-0.05", "1.20", ""], &["\"-0.05\"", "\"1.20\"", "null"]);
    check(BooleanArray::from(vec![true, false]), "boolean", &["true", "false"], &["true", "false"]);
    check(NullArray::new(1), "null", &[""], &["null"]);
}

#[test]
fn big_numbers_may_be_asked_for_as_numbers() {
    let array: ArrayRef = Arc::new(UInt64Array::from(vec![u64::MAX]));
    let field = Field::new("c", DataType::UInt64, false);
    let style = Style::of(&field).big_numbers();
    assert_eq!(written(&field, &array, &style).2, ["18446744073709551615"]);
}

#[test]
fn text_is_escaped_and_binary_is_base64() {
    check(
        StringViewArray::from(vec!["a\"\\\n\u{1}é😀", "</script>"]),
        "text",
        &["a\"\\\n\u{1}é😀", "</script>"],
        &["\"a\\\"\\\\\\n\\u0001é😀\"", "\"</script>\""],
    );
    let bytes = |bytes: &[u8]| Value::Bytes(bytes.into());
    check_column(
        &ColumnType::Binary { fixed: None },
        &[bytes(b""), bytes(b"f"), bytes(b"fo"), bytes(b"foo"), bytes(&[0xff, 0xfe, 0xfd, 0])],
        "binary",
        &["", "Zg==", "Zm8=", "Zm9v", "//79AA=="],
        &["\"\"", "\"Zg==\"", "\"Zm8=\"", "\"Zm9v\"", "\"//79AA==\""],
    );
    let collation = Collation::new("utf8mb4", "utf8mb4_bin");
    let values = vec!["new".to_owned(), "paid".to_owned()];
    check_column(
        &ColumnType::Enum { values, collation: collation.clone() },
        &[Value::Enum(2), Value::Null],
        "text",
        &["paid", ""],
        &["\"paid\"", "null"],
    );
    let json = Value::Text("{\"a\": [1]}".into());
    check_column(
        &ColumnType::Json { collation },
        &[json],
        "json",
        &["{\"a\": [1]}"],
        &["\"{\\\"a\\\": [1]}\""],
    );
}

#[test]
fn json_values_may_stand_as_themselves() {
    let json = ColumnType::Json { collation: Collation::new("utf8mb4", "utf8mb4_bin") };
    let mut builder = ColumnBuilder::new(&json, 1);
    builder.append(Value::Text("{\"a\": [1]}".into()).as_ref()).unwrap();
    let field = json.field("c", true);
    let style = Style::of(&field).embed_json();
    assert_eq!(written(&field, &builder.finish(), &style).2, ["{\"a\": [1]}"]);
}

#[test]
fn dates_and_times_have_the_columns_digits() {
    let micros = |micros| Value::Micros(micros);
    check_column(
        &ColumnType::DateTime { fsp: 6 },
        &[micros(1_709_200_800_500_000), micros(-1)],
        "datetime",
        &["2024-02-29T10:00:00.500000", "1969-12-31T23:59:59.999999"],
        &["\"2024-02-29T10:00:00.500000\"", "\"1969-12-31T23:59:59.999999\""],
    );
    check_column(
        &ColumnType::Timestamp { fsp: 0 },
        &[micros(0)],
        "timestamp",
        &["1970-01-01T00:00:00Z"],
        &["\"1970-01-01T00:00:00Z\""],
    );
    check_column(
        &ColumnType::Time { fsp: 1 },
        &[micros(-3_020_399_000_000), micros(5_100_000)],
        "time",
        &["-838:59:59.0", "00:00:05.1"],
        &["\"-838:59:59.0\"", "\"00:00:05.1\""],
    );
    check_column(&ColumnType::Date, &[Value::Date(-719_162)], "date", &["0001-01-01"], &["\"0001-01-01\""]);
    check(
        TimestampMicrosecondArray::from(vec![1_500_000]),
        "datetime",
        &["1970-01-01T00:00:01.500"],
        &["\"1970-01-01T00:00:01.500\""],
    );
    let now = TimestampNanosecondArray::from(vec![1]).with_timezone("+00:00");
    check(now, "timestamp", &["1970-01-01T00:00:00.000000001Z"], &["\"1970-01-01T00:00:00.000000001Z\""]);
    check(DurationMicrosecondArray::from(vec![90_000_000]), "time", &["00:01:30"], &["\"00:01:30\""]);
}

#[test]
fn nested_and_rare_values_are_written_too() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1), None]), None]);
    check(list, "list(int32)", &["[1,null]", ""], &["[1,null]", "null"]);
    let member: (Arc<Field>, ArrayRef) =
        (Arc::new(Field::new("a\"b", DataType::Boolean, false)), Arc::new(BooleanArray::from(vec![true])));
    check(StructArray::from(vec![member]), "struct", &["{\"a\\\"b\":true}"], &["{\"a\\\"b\":true}"]);
    let vector = Value::Bytes([1.5f32, -2.0].iter().flat_map(|v| v.to_le_bytes()).collect());
    check_column(
        &ColumnType::Vector { dimensions: 2 },
        &[vector],
        "list(float32)",
        &["[1.5,-2]"],
        &["[1.5,-2]"],
    );
    let words: DictionaryArray<UInt16Type> = vec![Some("x"), None, Some("x")].into_iter().collect();
    check(words, "text", &["x", "", "x"], &["\"x\"", "null", "\"x\""]);
    check(IntervalYearMonthArray::from(vec![14]), "interval", &["1 years 2 mons"], &["\"1 years 2 mons\""]);
}

/// An ENUM's column as the connectors give it where there is no value to make an entry of.
#[test]
fn words_of_no_entries_are_none_or_null() {
    let no_rows: DictionaryArray<UInt16Type> = std::iter::empty::<Option<&str>>().collect();
    let no_values: DictionaryArray<UInt16Type> = vec![None::<&str>, None].into_iter().collect();
    assert!(no_rows.values().is_empty() && no_values.values().is_empty());
    check(no_rows, "text", &[], &[]);
    check(no_values, "text", &["", ""], &["null", "null"]);
}
