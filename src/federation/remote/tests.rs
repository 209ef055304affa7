//! What is pushed down, and that it means the same there.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit, i256};
use crossweave_contract::{Collation, Column, ColumnType, Relation, RemoteExpr, TableDef, Value};
use datafusion::common::ToDFSchema;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, Operator, binary_expr, cast, col, lit};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::prelude::SessionContext;
use datafusion::scalar::ScalarValue;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::expressions::Scope;
use super::fragment::{Output, Picked};
use crate::query::testing::{column, def, passes, rows};

fn table() -> TableDef {
    let columns = vec![
        ("tiny", ColumnType::TinyInt { unsigned: false }),
        ("id", ColumnType::BigInt { unsigned: true }),
        ("big", ColumnType::BigInt { unsigned: false }),
        ("price", ColumnType::Decimal { precision: 10, scale: 2 }),
        ("wide", ColumnType::Decimal { precision: 50, scale: 10 }),
        ("ratio", ColumnType::Double),
        ("rough", ColumnType::Float),
        ("born", ColumnType::Date),
        ("made", ColumnType::DateTime { fsp: 6 }),
        ("seen", ColumnType::Timestamp { fsp: 6 }),
        ("vintage", ColumnType::Year),
        ("name", ColumnType::Text { collation: Collation::new("utf8mb4", "utf8mb4_bin") }),
        (
            "kind",
            ColumnType::Enum { values: vec!["a".into()], collation: Collation::new("utf8mb4", "utf8mb4_bin") },
        ),
        ("raw", ColumnType::Binary { fixed: None }),
    ];
    let columns: Vec<Column> =
        columns.into_iter().map(|(name, column_type)| column(name, column_type)).collect();
    TableDef { key: Vec::new(), ..def("shop", "things", columns) }
}

fn to_remote(expr: &Expr, table: &TableDef) -> Option<RemoteExpr> {
    let relation =
        Relation::Table { table: Arc::new(table.clone()), columns: (0..table.columns.len()).collect() };
    let schema = table.schema().to_dfschema().unwrap();
    let outputs: Vec<Output> = (0..table.columns.len()).map(Output::Column).collect();
    let (columns, picked) = (relation.columns(), Picked::new());
    Scope { schema: &schema, outputs: &outputs, columns: &columns, picked: &picked }.condition(expr).ok()
}

/// As the optimiser offers it: types settled, constants computed.
fn settled(table: &TableDef, expr: Expr) -> Option<Expr> {
    let schema = table.schema().to_dfschema_ref().unwrap();
    let simplifier = ExprSimplifier::new(SimplifyContext::builder().with_schema(Arc::clone(&schema)).build());
    simplifier.coerce(expr, &schema).and_then(|expr| simplifier.simplify(expr)).ok()
}

#[test]
fn only_the_whitelist_is_pushed() {
    let table = table();
    let pushed =
        |expr: Expr| to_remote(&settled(&table, expr).expect("a condition that fits"), &table).is_some();
    let moment = |micros| lit(ScalarValue::TimestampMicrosecond(Some(micros), None));
    for expr in [
        col("id").eq(lit(7)),
        lit(7).gt(col("tiny")),
        col("id").eq(col("big")),
        col("price").lt(lit(ScalarValue::Decimal128(Some(105), 3, 1))),
        col("wide").gt_eq(lit(1)),
        col("ratio").eq(lit(0.5)),
        col("rough").gt(lit(0.1)),
        col("born").eq(lit("2024-02-29")),
        col("made").between(moment(0), moment(1)),
        col("vintage").in_list(vec![lit(1999), lit(2024)], false),
        col("price").is_null().or(col("id").not_eq(lit(0))),
        col("seen").is_not_null(),
        col("born").lt(moment(3_600_000_000)),
        col("name").is_null(),
        col("raw").is_not_null(),
    ] {
        assert!(pushed(expr.clone()), "{expr}");
    }
    for expr in [
        col("name").eq(lit("x")),
        col("kind").eq(lit("a")),
        col("id").eq(lit(7)).or(col("name").eq(lit("x"))),
        col("rough").eq(lit(0.5)),
        col("rough").in_list(vec![lit(0.5), lit(0.25)], false),
        col("ratio").lt(lit(0.0)),
        col("ratio").eq(col("ratio") + lit(1.0)),
        col("vintage").eq(lit(24)),
        // A server finds 2 for 2.1 by an index of whole numbers.
        col("id").eq(lit(ScalarValue::Decimal128(Some(21), 2, 1))),
        col("price").eq(lit(ScalarValue::Decimal128(Some(2_005), 4, 3))),
        col("price").eq(col("id")),
        col("price").lt(col("wide")),
        col("id").in_list((0..50_001).map(lit).collect(), false),
        cast(col("seen"), DataType::Timestamp(TimeUnit::Second, Some("+00:00".into())))
            .eq(lit(ScalarValue::TimestampSecond(Some(1), Some("+00:00".into())))),
    ] {
        assert!(!pushed(expr.clone()), "{expr}");
    }
}

#[test]
fn bare_columns_are_compared_whatever_types_are_widened_to() {
    let table = table();
    let literal = |expr: Expr| match to_remote(&settled(&table, expr).unwrap(), &table) {
        Some(RemoteExpr::Compare { left, right, .. }) => match (*left, *right) {
            (RemoteExpr::Column(_), RemoteExpr::Literal(value, _)) => value,
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(literal(col("id").lt(lit(-1_i64))), Value::Int(-1));
    assert_eq!(literal(col("id").eq(lit(u64::MAX))), Value::UInt(u64::MAX));
    assert_eq!(literal(col("price").lt(lit(ScalarValue::Decimal128(Some(15), 2, 1)))), Value::Decimal(150));
    assert_eq!(literal(col("big").lt(lit(ScalarValue::Decimal128(Some(20), 2, 1)))), Value::Int(2));
    assert_eq!(literal(col("tiny").lt(lit(1_000_i64))), Value::Int(1_000));
}

struct Draw(StdRng);

impl Draw {
    fn literal(&mut self) -> Expr {
        let whole = *[0_i64, 1, -1, 2, 100, i64::MAX, i64::MIN].choose(&mut self.0).unwrap();
        let micros = *[0_i64, 1, 86_400_000_000, -86_400_000_000].choose(&mut self.0).unwrap();
        match self.0.random_range(0..9) {
            0 => lit(whole),
            1 => lit(u64::MAX - self.0.random_range(0..2)),
            2 => lit(self.0.random_range(-2_i8..3)),
            3 => lit(ScalarValue::Decimal128(Some(self.0.random_range(-200..200)), 5, 2)),
            4 => lit(ScalarValue::Decimal128(Some(self.0.random_range(-20..20)), 3, 1)),
            5 => lit(*[0.0, -0.0, 0.5, -1.5, 1.0].choose(&mut self.0).unwrap()),
            6 => lit(ScalarValue::Date32(Some(self.0.random_range(-1..2)))),
            7 => lit(ScalarValue::TimestampMicrosecond(Some(micros), None)),
            _ => lit(ScalarValue::TimestampNanosecond(Some(micros / 1000 * 1000), Some("+00:00".into()))),
        }
    }

    fn condition(&mut self, table: &TableDef, depth: usize) -> Expr {
        if depth > 0 && self.0.random_bool(0.4) {
            let (left, right) = (self.condition(table, depth - 1), self.condition(table, depth - 1));
            return if self.0.random_bool(0.5) { left.and(right) } else { left.or(right) };
        }
        if depth > 0 && self.0.random_bool(0.4) {
            let inner = self.condition(table, depth - 1);
            return match self.0.random_range(0..5) {
                0 => inner.is_true(),
                1 => inner.is_not_true(),
                2 => inner.is_false(),
                3 => inner.is_not_false(),
                _ => !inner,
            };
        }
        let name = &table.columns[self.0.random_range(0..11)].name;
        let column = || col(name.as_str());
        match self.0.random_range(0..8) {
            0 => column().is_null(),
            1 => column().is_not_null(),
            2 => column().between(self.literal(), self.literal()),
            3 => column().not_between(self.literal(), self.literal()),
            4 => column().in_list(
                vec![self.literal(), self.literal(), self.literal(), self.literal()],
                self.0.random_bool(0.5),
            ),
            5 => {
                let other = &table.columns[self.0.random_range(0..11)].name;
                binary_expr(column(), self.operator(), col(other.as_str()))
            }
            6 => binary_expr(self.literal(), self.operator(), column()),
            _ => binary_expr(column(), self.operator(), self.literal()),
        }
    }

    fn operator(&mut self) -> Operator {
        use Operator::*;
        *[Eq, NotEq, Lt, LtEq, Gt, GtEq].choose(&mut self.0).unwrap()
    }

    fn value(&mut self, column_type: &ColumnType) -> Value {
        if self.0.random_bool(0.2) {
            return Value::Null;
        }
        let signed = self.0.random_range(-2_i64..3);
        match column_type {
            ColumnType::TinyInt { .. } => Value::Int(signed),
            ColumnType::BigInt { unsigned: false } => {
                Value::Int(*[signed, i64::MAX, i64::MIN].choose(&mut self.0).unwrap())
            }
            ColumnType::BigInt { unsigned: true } => {
                Value::UInt(*[0, 1, 2, u64::MAX, 1 << 63].choose(&mut self.0).unwrap())
            }
            ColumnType::Decimal { precision: 50, .. } => {
                let unscaled = i256::from_i128(i128::from(signed) * 5_000_000_000);
                Value::WideDecimal(unscaled.to_le_bytes())
            }
            ColumnType::Decimal { .. } => Value::Decimal((signed * 50).into()),
            ColumnType::Double => Value::Double(*[0.0, 0.5, -1.5, 1.0].choose(&mut self.0).unwrap()),
            ColumnType::Float => Value::Float(*[0.0, 0.5, -1.5, 0.1].choose(&mut self.0).unwrap()),
            ColumnType::Date => Value::Date(i32::try_from(signed).unwrap()),
            ColumnType::DateTime { .. } | ColumnType::Timestamp { .. } => {
                Value::Micros(*[0, 1, 86_400_000_000, -86_400_000_000].choose(&mut self.0).unwrap())
            }
            ColumnType::Year => Value::UInt(*[1999, 2024].choose(&mut self.0).unwrap()),
            _ => Value::Null,
        }
    }
}

/// Rows for which `expr` is true here, as DataFusion computes it.
fn local(context: &SessionContext, table: &TableDef, batch: &RecordBatch, expr: &Expr) -> Option<Vec<bool>> {
    let schema = table.schema().to_dfschema().unwrap();
    let physical = context.create_physical_expr(expr.clone(), &schema).ok()?;
    let mask = physical.evaluate(batch).ok()?.into_array(batch.num_rows()).unwrap();
    Some(mask.as_boolean().iter().map(|passes| passes == Some(true)).collect())
}

#[test]
fn what_is_pushed_gives_the_rows_that_are_given_here() {
    let table = table();
    let context = SessionContext::new();
    let mut compared = 0;
    for seed in 0..3_000 {
        let mut draw = Draw(StdRng::seed_from_u64(seed));
        let values: Vec<Vec<Value>> = (0..12)
            .map(|_| table.columns.iter().map(|column| draw.value(&column.column_type)).collect())
            .collect();
        let batch = rows(&table, &values);
        let condition = draw.condition(&table, 3);
        // Some comparisons do not type-check: nothing to compare.
        let Some(offered) = settled(&table, condition.clone()) else { continue };
        let Some(remote) = to_remote(&offered, &table) else { continue };
        let Some(here) = local(&context, &table, &batch, &offered) else { continue };
        let there: Vec<bool> = (0..batch.num_rows()).map(|row| passes(&remote, &table, &batch, row)).collect();
        assert_eq!(here, there, "seed {seed}: {condition}\noffered as {offered}\npushed as {remote:?}");
        compared += 1;
    }
    assert!(compared > 300, "only {compared} conditions were pushed");
}
