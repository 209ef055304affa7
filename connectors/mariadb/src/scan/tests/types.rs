//! Values that went in by SQL text come out of the binary protocol as the contract has them.

use std::sync::Arc;
use std::time::Duration;

use arrow::datatypes::i256;
use crossweave_contract::{BooleanColumns, ColumnType, ErrorKind, RemoteQuery, Source, Value};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::testing::{definition, rows, server};
use crate::{MariaDbSource, values};

/// What `definition` columns hold after `INSERT … VALUES (literal)`, one row each, in order.
async fn check(definition_text: &str, cases: &[(&str, Value)]) {
    let create = format!("CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v {definition_text})");
    let mut statements = vec!["SET sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'".to_owned(), create];
    statements.extend(cases.iter().map(|(literal, _)| format!("INSERT INTO t (v) VALUES ({literal})")));
    let statements: Vec<&str> = statements.iter().map(String::as_str).collect();
    let database = server().database(&statements).await;
    let table = definition(&database, "t").await;
    let source = MariaDbSource::new(server().root());
    let view = source.open_view(Duration::from_secs(20), (1 << 20).into()).await.unwrap();
    let query = RemoteQuery::of(table, [1]);
    let found = rows(view.as_ref(), query).await.unwrap();
    let expected: Vec<_> = cases.iter().map(|(_, value)| vec![value.clone()].into_boxed_slice()).collect();
    assert_eq!(found, expected, "{definition_text}");
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn bytes(bytes: &[u8]) -> Value {
    Value::Bytes(bytes.into())
}

#[tokio::test]
async fn numbers() {
    use Value::*;
    check("TINYINT", &[("-128", Int(-128)), ("127", Int(127)), ("NULL", Null)]).await;
    check("TINYINT UNSIGNED", &[("255", UInt(255)), ("0", UInt(0))]).await;
    check("SMALLINT UNSIGNED", &[("65535", UInt(65_535))]).await;
    check("MEDIUMINT", &[("-8388608", Int(-8_388_608)), ("8388607", Int(8_388_607))]).await;
    check("MEDIUMINT UNSIGNED", &[("16777215", UInt(16_777_215))]).await;
    check("INT UNSIGNED", &[("4294967295", UInt(4_294_967_295))]).await;
    check("BIGINT", &[("-9223372036854775808", Int(i64::MIN)), ("9223372036854775807", Int(i64::MAX))]).await;
    check(
        "BIGINT UNSIGNED",
        &[("18446744073709551615", UInt(u64::MAX)), ("9223372036854775808", UInt(1 << 63))],
    )
    .await;
    check("BIT(1)", &[("b'1'", Bool(true)), ("b'0'", Bool(false)), ("NULL", Null)]).await;
    check("BIT(17)", &[("b'10000000000000001'", UInt(65_537))]).await;
    check("BIT(64)", &[("0xFFFFFFFFFFFFFFFF", UInt(u64::MAX))]).await;
    check("FLOAT", &[("1.1", Float(1.1)), ("-0e0", Float(-0.0)), ("3.4028234e38", Float(f32::MAX))]).await;
    check(
        "DOUBLE",
        &[("0.1", Double(0.1)), ("5e-324", Double(5e-324)), ("-1.7976931348623157e308", Double(f64::MIN))],
    )
    .await;
    check("YEAR", &[("2155", UInt(2155)), ("1901", UInt(1901)), ("0", UInt(0))]).await;
}

#[tokio::test]
async fn decimals() {
    use Value::*;
    let wide = |text: &str| WideDecimal(i256::from_string(text).unwrap().to_le_bytes());
    let nines = "9".repeat(65);
    check(
        "DECIMAL(10,2)",
        &[("-0.01", Decimal(-1)), ("99999999.99", Decimal(9_999_999_999)), ("0", Decimal(0))],
    )
    .await;
    check("DECIMAL(38,38)", &[("0.00000000000000000000000000000000000001", Decimal(1))]).await;
    check(
        "DECIMAL(38,0)",
        &[(
            "-99999999999999999999999999999999999999",
            Decimal(-99_999_999_999_999_999_999_999_999_999_999_999_999),
        )],
    )
    .await;
    check("DECIMAL(65,0)", &[(&nines, wide(&nines)), ("0", wide("0")), ("NULL", Null)]).await;
    let fraction = format!("-{}.{}", &nines[..35], &nines[..30]);
    check("DECIMAL(65,30)", &[(&fraction, wide(&format!("-{nines}")))]).await;
}

#[tokio::test]
async fn texts() {
    check(
        "VARCHAR(40)",
        &[("''", text("")), ("'a  '", text("a  ")), ("'日本😀'", text("日本😀")), (r"'\\'''", text("\\'"))],
    )
    .await;
    check("CHAR(5)", &[("'ab  '", text("ab")), ("''", text(""))]).await;
    check("VARCHAR(9) CHARACTER SET latin1", &[("'ÄÖ€ß'", text("ÄÖ€ß"))]).await;
    check("VARCHAR(9) CHARACTER SET utf16", &[("'😀ü'", text("😀ü"))]).await;
    check("VARCHAR(9) CHARACTER SET sjis", &[("'日本'", text("日本"))]).await;
    check("TEXT COMPRESSED", &[("REPEAT('xy', 500)", text(&"xy".repeat(500)))]).await;
    let long = "ü".repeat(3_000_000);
    check("LONGTEXT", &[("REPEAT('ü', 3000000)", text(&long))]).await;
    check("JSON", &[(r#"'{"a": [1, null]}'"#, text(r#"{"a": [1, null]}"#)), ("NULL", Value::Null)]).await;
    let members = r"ENUM('a','b''c','d\\e','f,g','ü')";
    check(
        members,
        &[
            ("'ü'", Value::Enum(5)),
            (r"'d\\e'", Value::Enum(3)),
            ("'f,g'", Value::Enum(4)),
            ("'no'", Value::Enum(0)),
        ],
    )
    .await;
    check("SET('x','y z','q')", &[("'q,x'", Value::Set(5)), ("''", Value::Set(0)), ("'y z'", Value::Set(2))])
        .await;
    let most = (0..64).map(|i| format!("'m{i}'")).collect::<Vec<_>>().join(",");
    check(&format!("SET({most})"), &[("'m0,m63'", Value::Set(1 | 1 << 63))]).await;
}

#[tokio::test]
async fn bytes_and_addresses() {
    check("BINARY(4)", &[("0x61", bytes(&[0x61, 0, 0, 0])), ("0x00FF00FF", bytes(&[0, 0xFF, 0, 0xFF]))]).await;
    check("VARBINARY(4)", &[("''", bytes(&[])), ("0xFF00", bytes(&[0xFF, 0]))]).await;
    check("LONGBLOB", &[("REPEAT(0xFE, 70000)", bytes(&[0xFE; 70_000]))]).await;
    let point: Vec<u8> =
        [vec![1, 1, 0, 0, 0], 1.5f64.to_le_bytes().into(), (-2f64).to_le_bytes().into()].concat();
    check("POINT", &[("ST_GeomFromText('POINT(1.5 -2)', 4326)", bytes(&point)), ("NULL", Value::Null)]).await;
    check("UUID", &[("'00112233-4455-1677-8899-AABBCCDDEEFF'", text("00112233-4455-1677-8899-aabbccddeeff"))])
        .await;
    check("INET4", &[("'1.2.3.0'", text("1.2.3.0"))]).await;
}

#[tokio::test]
async fn inet6_reads_as_our_own_text_of_its_bytes() {
    let mut random = StdRng::seed_from_u64(6);
    let cases: Vec<(String, Value)> = (0..200)
        .map(|_| {
            let mut groups = [0u16; 8];
            for group in &mut groups {
                *group = if random.random_bool(0.4) { random.random() } else { 0 };
            }
            if random.random_bool(0.1) {
                groups = [0, 0, 0, 0, 0, random.random_range(0..2) * 0xFFFF, random.random(), random.random()];
            }
            let stored: Vec<u8> = groups.iter().flat_map(|group| group.to_be_bytes()).collect();
            let literal = groups.map(|group| format!("{group:x}")).join(":");
            (format!("'{literal}'"), text(&values::inet6_text(&stored).unwrap()))
        })
        .collect();
    let cases: Vec<(&str, Value)> =
        cases.iter().map(|(literal, value)| (literal.as_str(), value.clone())).collect();
    check("INET6", &cases).await;
}

#[tokio::test]
async fn dates_and_times() {
    use Value::*;
    let before = values::zero_dates_read();
    let dates = [
        ("'1970-01-02'", Date(1)),
        ("'9999-12-31'", Date(2_932_896)),
        ("'0001-01-01'", Date(-719_162)),
        ("'0000-00-00'", Null),
        ("'2018-02-00'", Null),
        ("'2018-00-05'", Null),
        ("'2018-02-31'", Null),
        ("'0000-01-01'", Null),
        ("NULL", Null),
    ];
    check("DATE", &dates).await;
    assert!(values::zero_dates_read() >= before + 5);
    let day = 86_400_000_000;
    let times = [
        ("'1970-01-02 00:00:00.000001'", Micros(day + 1)),
        ("'1969-12-31 23:59:59.999999'", Micros(-1)),
        ("'9999-12-31 23:59:59.999999'", Micros(2_932_897 * day - 1)),
        ("'0000-00-00 00:00:00'", Null),
        ("'2018-02-00 10:11:12.123456'", Null),
        ("'2018-02-31 10:11:12'", Null),
    ];
    check("DATETIME(6)", &times).await;
    check("DATETIME", &[("'1970-01-01 00:00:01'", Micros(1_000_000))]).await;
    let stamps = [
        ("'1970-01-01 00:00:01.5'", Micros(1_500_000)),
        ("'2038-01-19 03:14:07.999999'", Micros(2_147_483_647_999_999)),
        ("'0000-00-00'", Null),
        ("NULL", Null),
    ];
    check("TIMESTAMP(6) NULL", &stamps).await;
    let durations = [
        ("'838:59:59.999999'", Micros(3_020_399_999_999)),
        ("'-838:59:59.000001'", Micros(-3_020_399_000_001)),
        ("'-00:00:00.5'", Micros(-500_000)),
        ("'00:00:00'", Micros(0)),
    ];
    check("TIME(6)", &durations).await;
}

#[tokio::test]
async fn a_boolean_that_is_none_names_row_column_and_setting() {
    let database = server()
        .database(&["CREATE TABLE t (id INT PRIMARY KEY, ok BOOL)", "INSERT INTO t VALUES (1, 1), (7, 2)"])
        .await;
    let source = MariaDbSource::new(server().root());
    let booleans = BooleanColumns { by_default: true, ..BooleanColumns::default() };
    let found = source.tables(&"shop".into(), &database, &booleans).await.unwrap();
    let table = Arc::new(found.tables[0].clone());
    assert_eq!(table.columns[1].column_type, ColumnType::Boolean);
    let view = source.open_view(Duration::from_secs(20), (1 << 20).into()).await.unwrap();
    let error = rows(view.as_ref(), RemoteQuery::whole(Arc::clone(&table))).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Value);
    let message = error.to_string();
    for part in ["shop.t.ok holds 2", "id = 7", "[services.shop.tables.t] booleans = { ok = false }"] {
        assert!(message.contains(part), "{message}");
    }
    // The view goes on.
    let query = RemoteQuery::of(table, [0]);
    assert_eq!(rows(view.as_ref(), query).await.unwrap().len(), 2);
}
