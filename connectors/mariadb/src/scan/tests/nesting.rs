//! Small questions in which what one block computes is used by another.

use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{
    AggregateFunction, ArithmeticOp, ColumnType, CompareOp, Relation, RemoteAggregate, RemoteColumn,
    RemoteExpr, RemoteOutput, RemoteQuery, Source as _, TableDef, Value,
};

use crate::MariaDbSource;
use crate::testing::{definition, rows, server};

const BIGINT: ColumnType = ColumnType::BigInt { unsigned: false };

fn decimal(precision: u8, scale: u8) -> ColumnType {
    ColumnType::Decimal { precision, scale }
}

/// Rows of `c0` and `v`: (1, 1.00), (2, 1.00), (2, 0.00).
async fn table() -> Arc<TableDef> {
    let create = "CREATE TABLE t (c0 BIGINT NOT NULL, v DECIMAL(10,2) NOT NULL)";
    let database = server().database(&[create, "INSERT INTO t VALUES (1, 1), (2, 1), (2, 0)"]).await;
    definition(&database, "t").await
}

/// The first two columns of `table`.
fn whole(table: &Arc<TableDef>) -> Box<Relation> {
    Box::new(Relation::Table { table: Arc::clone(table), columns: vec![0, 1] })
}

fn computed(expr: RemoteExpr, column_type: ColumnType) -> RemoteOutput {
    RemoteOutput { expr, column: RemoteColumn::computed(column_type, true) }
}

fn of(function: AggregateFunction, argument: RemoteExpr, column_type: ColumnType) -> RemoteAggregate {
    let column = RemoteColumn::computed(column_type, true);
    RemoteAggregate { function, argument: Some(argument), distinct: false, filter: None, column }
}

fn arithmetic(op: ArithmeticOp, left: RemoteExpr, right: RemoteExpr) -> RemoteExpr {
    RemoteExpr::Arithmetic { op, left: Box::new(left), right: Box::new(right) }
}

fn whole_number(value: i64) -> RemoteExpr {
    RemoteExpr::Literal(Value::Int(value), BIGINT)
}

async fn check(relation: Relation, expected: &[&[Value]]) {
    let source = MariaDbSource::new(server().root());
    let view = source.open_view(Duration::from_secs(20), (1 << 20).into()).await.unwrap();
    let query = RemoteQuery::new(relation);
    let sql = source.render(&query).statement;
    let found = rows(view.as_ref(), query).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    assert_eq!(found.iter().map(|row| &row[..]).collect::<Vec<_>>(), expected, "{sql}");
}

#[tokio::test]
async fn what_is_made_of_an_average_is_made_of_the_places_that_it_is_read_with() {
    let average = of(AggregateFunction::Average, RemoteExpr::Column(1), decimal(14, 6));
    let input = whole(&table().await);
    let averages = Relation::Aggregate { input, groups: Vec::new(), aggregates: vec![average] };
    let thrice = arithmetic(ArithmeticOp::Multiply, RemoteExpr::Column(0), whole_number(3));
    let outputs = vec![computed(thrice, decimal(20, 6))];
    // 0.666667, and not 0.66666666666….
    let found = Value::Decimal(2_000_001);
    check(Relation::Project { input: Box::new(averages), outputs }, &[&[found]]).await;
}

#[tokio::test]
async fn an_average_of_literals_has_the_places_of_their_type() {
    let one = RemoteExpr::Compare {
        op: CompareOp::Eq,
        left: Box::new(RemoteExpr::Column(0)),
        right: Box::new(whole_number(1)),
    };
    // 1.00 and 0.00.
    let branches = vec![(one, whole_number(1))];
    let case = RemoteExpr::Case { branches, otherwise: Some(Box::new(whole_number(0))) };
    let input = whole(&table().await);
    let aggregates = vec![of(AggregateFunction::Average, case, decimal(7, 6))];
    let averages = Relation::Aggregate { input, groups: Vec::new(), aggregates };
    check(averages, &[&[Value::Decimal(333_333)]]).await;
}

#[tokio::test]
async fn one_group_is_one_row_though_nothing_is_read_of_it() {
    let input = whole(&table().await);
    let aggregates = vec![of(AggregateFunction::Sum, RemoteExpr::Column(1), decimal(20, 2))];
    let sums = Relation::Aggregate { input, groups: Vec::new(), aggregates };
    let none = Relation::Project { input: Box::new(sums.clone()), outputs: Vec::new() };
    check(none, &[&[]]).await;
    let outputs = vec![computed(whole_number(7), BIGINT)];
    check(Relation::Project { input: Box::new(sums), outputs }, &[&[Value::Int(7)]]).await;
}

/// The server takes the condition into the derived table, where it finds columns by their names alone.
#[tokio::test]
async fn a_column_of_a_derived_table_is_told_from_one_within() {
    let input = whole(&table().await);
    let sum = arithmetic(ArithmeticOp::Add, RemoteExpr::Column(0), RemoteExpr::Column(1));
    let groups = vec![computed(sum, decimal(23, 2)), computed(RemoteExpr::Column(0), BIGINT)];
    let aggregates = vec![of(AggregateFunction::Min, RemoteExpr::Column(0), BIGINT)];
    let groups = Relation::Aggregate { input, groups, aggregates };
    let condition = RemoteExpr::Compare {
        op: CompareOp::Gt,
        left: Box::new(RemoteExpr::Column(0)),
        right: Box::new(RemoteExpr::Column(2)),
    };
    let greater = Relation::Filter { input: Box::new(groups), condition };
    let expected: &[&[Value]] = &[
        &[Value::Decimal(200), Value::Int(1), Value::Int(1)],
        &[Value::Decimal(300), Value::Int(2), Value::Int(2)],
    ];
    check(greater, expected).await;
}

/// HAVING finds no columns but those that are read and grouped by.
#[tokio::test]
async fn a_condition_on_what_is_made_of_a_group_finds_its_columns() {
    let sum = arithmetic(ArithmeticOp::Add, RemoteExpr::Column(0), RemoteExpr::Column(1));
    let groups = vec![computed(sum, decimal(23, 2))];
    let aggregates = vec![of(AggregateFunction::Max, RemoteExpr::Column(0), BIGINT)];
    let groups = Box::new(Relation::Aggregate { input: whole(&table().await), groups, aggregates });
    for (other, least) in [(whole_number(2), 3), (RemoteExpr::Column(1), 4)] {
        let made = arithmetic(ArithmeticOp::Multiply, RemoteExpr::Column(0), other);
        let outputs = vec![computed(made, decimal(43, 2))];
        let input = Box::new(Relation::Project { input: groups.clone(), outputs });
        let (left, right) = (Box::new(RemoteExpr::Column(0)), Box::new(whole_number(least)));
        let condition = RemoteExpr::Compare { op: CompareOp::Gt, left, right };
        let wide = |value: i128| Value::WideDecimal(arrow::datatypes::i256::from_i128(value).to_le_bytes());
        let expected: &[&[Value]] = if least == 3 { &[&[wide(400)], &[wide(600)]] } else { &[&[wide(600)]] };
        check(Relation::Filter { input, condition }, expected).await;
    }
}
