//! What statements look like, and that nothing of a value is ever in their text.

use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{
    Collation, ColumnType, CompareOp, ErrorKind, RemoteExpr, RemoteQuery, Source, TableDef, Value,
};
use mysql_async::Value as Bound;

use crate::MariaDbSource;
use crate::scan::statement;
use crate::testing::{definition, rows, server};

fn literal(value: Value, column_type: ColumnType) -> RemoteExpr {
    RemoteExpr::Literal(value, column_type)
}

fn compare(op: CompareOp, column: usize, value: RemoteExpr) -> RemoteExpr {
    RemoteExpr::Compare { op, left: Box::new(RemoteExpr::Column(column)), right: Box::new(value) }
}

async fn table() -> Arc<TableDef> {
    let database = server()
        .database(&["CREATE TABLE `o``dd` (id INT PRIMARY KEY, `na``me` VARCHAR(20), d DATE, n DECIMAL(10,2))"])
        .await;
    let table = definition(&database, "o`dd").await;
    Arc::new(TableDef { database: "shop".into(), ..table.as_ref().clone() })
}

fn sql(table: &Arc<TableDef>, filter: RemoteExpr) -> String {
    let query = RemoteQuery::whole(Arc::clone(table)).filtered(filter).projected(&[0]);
    let text = statement(&query).unwrap().sql;
    text.strip_prefix("SELECT `id` FROM `shop`.`o``dd` WHERE ").unwrap().to_owned()
}

#[tokio::test]
async fn literals_are_bound_with_their_type() {
    let table = table().await;
    let decimal = literal(Value::Decimal(-1250), ColumnType::Decimal { precision: 12, scale: 3 });
    assert_eq!(sql(&table, compare(CompareOp::GtEq, 3, decimal)), "(`n` >= CAST(? AS DECIMAL(12,3)))");
    let day = || literal(Value::Date(17_000), ColumnType::Date);
    assert_eq!(sql(&table, compare(CompareOp::Eq, 2, day())), "(`d` = CAST(? AS DATE))");
    assert_eq!(
        sql(&table, compare(CompareOp::Lt, 2, day())),
        "(`d` < CAST(? AS DATE) AND (`d` + INTERVAL 0 DAY) IS NOT NULL)"
    );
    let micros = literal(Value::Micros(1), ColumnType::DateTime { fsp: 6 });
    assert_eq!(sql(&table, compare(CompareOp::Eq, 2, micros)), "(`d` = CAST(? AS DATETIME(6)))");
    let is_null = RemoteExpr::IsNull { expr: Box::new(RemoteExpr::Column(2)), negated: false };
    assert_eq!(sql(&table, is_null), "(`d` + INTERVAL 0 DAY) IS NULL");
    let beyond = literal(Value::Date(3_000_000), ColumnType::Date);
    assert_eq!(sql(&table, compare(CompareOp::Eq, 2, beyond.clone())), "1 = 0");
    assert_eq!(sql(&table, compare(CompareOp::Lt, 2, beyond)), "(`d` + INTERVAL 0 DAY) IS NOT NULL");

    let hostile = "x' OR 1=1 -- `";
    let collation = Collation::new("utf8mb4", "utf8mb4_general_ci");
    let text = literal(Value::Text(hostile.into()), ColumnType::Text { collation });
    let query = RemoteQuery::whole(Arc::clone(&table));
    let query = query.filtered(compare(CompareOp::Eq, 1, text)).projected(&[1, 0]).limited(5);
    let rendered = statement(&query).unwrap();
    assert_eq!(rendered.sql, "SELECT `na``me`, `id` FROM `shop`.`o``dd` WHERE (`na``me` = ?) LIMIT ?");
    assert_eq!(rendered.params, [Bound::from(hostile), Bound::UInt(5)]);
}

#[tokio::test]
async fn what_cannot_be_rendered_is_an_error_not_sql() {
    let table = table().await;
    let refused = |filter| {
        let query = RemoteQuery::whole(Arc::clone(&table)).filtered(filter);
        statement(&query).unwrap_err().kind
    };
    let geometry = literal(Value::Bytes([1].into()), ColumnType::Geometry);
    assert_eq!(refused(compare(CompareOp::Eq, 1, geometry)), ErrorKind::Bug);
    assert_eq!(
        refused(compare(CompareOp::Eq, 99, literal(Value::Int(1), ColumnType::Int { unsigned: false }))),
        ErrorKind::Bug
    );
    assert_eq!(refused(RemoteExpr::And(vec![])), ErrorKind::Bug);
    let nested = compare(CompareOp::Eq, 0, RemoteExpr::Or(vec![RemoteExpr::Column(0)]));
    assert_eq!(refused(nested), ErrorKind::Bug);
    let many = vec![literal(Value::Int(1), ColumnType::Int { unsigned: false }); 70_000];
    let many = RemoteExpr::In { expr: Box::new(RemoteExpr::Column(0)), list: many, negated: false };
    assert_eq!(refused(many), ErrorKind::Limit);
}

#[tokio::test]
async fn hostile_names_and_values_are_read_as_they_are() {
    let name = "a`b'c\"d;--\\é日";
    let quoted = name.replace('`', "``");
    let create =
        format!("CREATE TABLE `{quoted}` (`id` INT PRIMARY KEY, `{quoted}` VARCHAR(40), b VARBINARY(9))");
    let database = server().database(&[&create]).await;
    let values = ["'", "\\", "\"", "`", "\0", "\u{1a}", "%_", "' OR ''='", "😀", "a\u{feff}"];
    let mut conn = server().connect(Some(&database)).await;
    for (id, value) in values.iter().enumerate() {
        let insert = format!("INSERT INTO `{quoted}` VALUES (?, ?, ?)");
        mysql_async::prelude::Queryable::exec_drop(&mut conn, insert, (id, value, &[0xFFu8, 0, id as u8][..]))
            .await
            .unwrap();
    }
    let table = definition(&database, name).await;
    let source = MariaDbSource::new(server().root());
    let view = source.open_view(Duration::from_secs(20), (1 << 20).into()).await.unwrap();
    for (id, value) in values.iter().enumerate() {
        let text = literal(Value::Text((*value).into()), table.columns[1].column_type.clone());
        let bytes = literal(Value::Bytes([0xFF, 0, id as u8].into()), ColumnType::Binary { fixed: None });
        for filter in [compare(CompareOp::Eq, 1, text), compare(CompareOp::Eq, 2, bytes)] {
            let query = RemoteQuery::whole(Arc::clone(&table)).filtered(filter);
            let found = rows(view.as_ref(), query).await.unwrap();
            assert_eq!(found.len(), 1, "{value:?}");
            assert_eq!((&found[0][0], &found[0][1]), (&Value::Int(id as i64), &Value::Text((*value).into())));
        }
    }
}

#[tokio::test]
async fn no_columns_count_rows_and_a_limit_holds() {
    let database = server()
        .database(&["CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t SELECT seq FROM seq_1_to_20000"])
        .await;
    let table = definition(&database, "t").await;
    let source = MariaDbSource::new(server().root());
    let view = source.open_view(Duration::from_secs(20), (1 << 20).into()).await.unwrap();
    let none = RemoteQuery::of(Arc::clone(&table), []);
    assert_eq!(rows(view.as_ref(), none.clone()).await.unwrap().len(), 20_000);
    let limited = none.limited(9_000);
    assert_eq!(rows(view.as_ref(), limited).await.unwrap().len(), 9_000);
}

/// `ä` is `a` under the connection's collation, but not under the column's.
#[tokio::test]
async fn a_range_of_texts_is_one_under_their_own_collation_over_an_index_too() {
    let create = "CREATE TABLE t (v VARCHAR(9) COLLATE utf8mb4_bin NOT NULL, KEY (v))";
    let insert = "INSERT INTO t VALUES ('A'), ('a'), ('b'), ('c'), ('ä'), ('ö')";
    let table = definition(&server().database(&[create, insert]).await, "t").await;
    let source = MariaDbSource::new(server().root());
    let view = source.open_view(Duration::from_secs(20), (1 << 20).into()).await.unwrap();
    let bound = |text: &str| Box::new(literal(Value::Text(text.into()), table.columns[0].column_type.clone()));
    for (negated, expected) in [(false, ["a", "b", "c", "ä"].as_slice()), (true, &["A", "ö"])] {
        let expr = Box::new(RemoteExpr::Column(0));
        let filter = RemoteExpr::Between { expr, low: bound("a"), high: bound("ä"), negated };
        let mut found =
            rows(view.as_ref(), RemoteQuery::whole(Arc::clone(&table)).filtered(filter)).await.unwrap();
        found.sort_by_key(|row| format!("{row:?}"));
        let expected: Vec<Box<[Value]>> =
            expected.iter().map(|text| [Value::Text((*text).into())].into()).collect();
        assert_eq!(found, expected);
    }
}
