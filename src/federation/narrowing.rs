//! Keeps the optimiser from seeing through what it makes too much of, by a function that gives back its argument. The rule
//! runs when types are settled.
//!
//! DataFusion 55 turns `CAST(price AS BIGINT) = 1` into `price = 1.00`, which leaves out 1.20: the function stands around a
//! cast that loses digits. And it turns `x IN (1, 2) AND x IN (3, 4)` into false, also of an x that is
//! NULL: of several such lists that it would intersect, each but the first asks for a function of x and a number of its own.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, Result};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{
    BinaryExpr, Cast, ColumnarValue, Expr, ExprSchemable, LogicalPlan, Operator, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, TryCast, TypeSignature, Volatility, lit,
};
use datafusion::optimizer::AnalyzerRule;

use super::walk::with_parts;

const KEPT: &str = "kept";

/// The analyzer rule; it comes after those that settle types.
#[derive(Debug, Default)]
pub struct KeepNarrowingCasts;

impl AnalyzerRule for KeepNarrowingCasts {
    fn analyze(&self, plan: LogicalPlan, _config: &ConfigOptions) -> Result<LogicalPlan> {
        plan.transform_up_with_subqueries(|node| {
            let mut schema = merge_schema(&node.inputs());
            if let LogicalPlan::TableScan(scan) = &node {
                schema.merge(&scan.projected_schema);
            }
            with_parts(node, |expr| Ok(keep(expr, &schema)))
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "keep_narrowing_casts"
    }
}

/// Marks `expr` if it is a narrowing cast: also where nothing is compared, for conditions go down to where a column is made.
fn keep(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { op: Operator::And | Operator::Or, .. }) => kept_apart(expr),
        // As which it is simplified right, also below a subquery.
        Expr::InList(InList { expr, mut list, negated }) if list.len() == 1 && list[0] == *expr => {
            let op = if negated { Operator::NotEq } else { Operator::Eq };
            Transformed::yes(Expr::BinaryExpr(BinaryExpr::new(expr, op, Box::new(list.remove(0)))))
        }
        cast if narrows(&cast, schema) => Transformed::yes(marked(cast)),
        other => Transformed::no(other),
    }
}

/// `expr`, an AND or OR, with the lists of one expression that would be intersected, or cut, kept apart.
fn kept_apart(expr: Expr) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr { op, .. }) = &expr else { return Transformed::no(expr) };
    let op = *op;
    let mut parts = Vec::new();
    split(&expr, op, &mut parts);
    let lists: Vec<Option<(Expr, bool)>> = parts.iter().map(|part| list_of(part)).collect();
    // NOT IN and NOT IN by AND are joined to one list, as are IN and IN by OR, which is right.
    let united = op == Operator::Or;
    let mut counted: HashMap<&Expr, (usize, bool)> = HashMap::new();
    for (base, is_in) in lists.iter().flatten() {
        let (count, clashes) = counted.entry(base).or_default();
        *count += 1;
        *clashes |= *is_in != united;
    }
    counted.retain(|_, (count, clashes)| *count > 1 && *clashes);
    if counted.is_empty() {
        return Transformed::no(expr);
    }
    let mut before: HashMap<&Expr, i64> = HashMap::new();
    let mut apart = Vec::new();
    for (part, list) in parts.iter().zip(&lists) {
        let part = (*part).clone();
        apart.push(match list {
            Some((base, _)) if counted.contains_key(base) => {
                let number = before.entry(base).or_default();
                *number += 1;
                numbered(part, base, *number - 1)
            }
            _ => part,
        });
    }
    let mut apart = apart.into_iter();
    let first = apart.next().unwrap_or(expr);
    let join = |left, right| Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)));
    Transformed::yes(apart.fold(first, join))
}

fn split<'e>(expr: &'e Expr, by: Operator, parts: &mut Vec<&'e Expr>) {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == by => {
            split(left, by, parts);
            split(right, by, parts);
        }
        part => parts.push(part),
    }
}

/// What `expr` is a list of values of, without the function, and whether it is to be among them. What is to equal one of
/// several, or none, is a list as well.
fn list_of(expr: &Expr) -> Option<(Expr, bool)> {
    match expr {
        Expr::InList(InList { expr, negated, .. }) => Some((bare(expr).clone(), !negated)),
        Expr::Not(inner) => list_of(inner).map(|(base, is_in)| (base, !is_in)),
        Expr::BinaryExpr(BinaryExpr { op: op @ (Operator::And | Operator::Or), .. }) => {
            let (equal, is_in) = match op {
                Operator::Or => (Operator::Eq, true),
                _ => (Operator::NotEq, false),
            };
            let mut parts = Vec::new();
            split(expr, *op, &mut parts);
            let base = |part: &Expr| match part {
                Expr::BinaryExpr(BinaryExpr { left, op, right }) if *op == equal => match (&**left, &**right) {
                    (Expr::Literal(..), of) | (of, Expr::Literal(..)) => Some(bare(of).clone()),
                    _ => None,
                },
                part => list_of(part).filter(|(_, among)| *among == is_in).map(|(base, _)| base),
            };
            let first = base(parts.first()?)?;
            parts.iter().all(|part| base(part).as_ref() == Some(&first)).then_some((first, is_in))
        }
        _ => None,
    }
}

fn bare(expr: &Expr) -> &Expr {
    match expr {
        Expr::ScalarFunction(call) => kept(call).map_or(expr, bare),
        expr => expr,
    }
}

/// The argument of the function, if that is what is called.
pub(super) fn kept(call: &ScalarFunction) -> Option<&Expr> {
    if call.name() == KEPT { call.args.first() } else { None }
}

/// `part` with the function around each `base`, told apart by `number`; the first, 0, stays bare.
fn numbered(part: Expr, base: &Expr, number: i64) -> Expr {
    let replaced = part.clone().transform_down(|expr| {
        Ok(match bare(&expr) == base {
            true if number == 0 => Transformed::new(base.clone(), true, TreeNodeRecursion::Jump),
            true => {
                let kept = FUNCTION.call(vec![base.clone(), lit(number)]);
                Transformed::new(kept, true, TreeNodeRecursion::Jump)
            }
            false => Transformed::no(expr),
        })
    });
    replaced.map_or(part, |replaced| replaced.data)
}

fn narrows(expr: &Expr, schema: &DFSchema) -> bool {
    let (Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field })) = expr else {
        return false;
    };
    let Ok(DataType::Decimal128(digits, from) | DataType::Decimal256(digits, from)) = expr.get_type(schema)
    else {
        return false;
    };
    match field.data_type() {
        DataType::Decimal128(_, to) | DataType::Decimal256(_, to) => *to < from,
        // With more digits than a BIGINT has for certain the cast may fail, which must not be left out either.
        to => to.is_integer() && (from > 0 || digits > 18),
    }
}

static FUNCTION: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| Arc::new(ScalarUDF::from(Kept::new())));

fn marked(expr: Expr) -> Expr {
    FUNCTION.call(vec![expr])
}

/// Gives back its first argument.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Kept {
    signature: Signature,
}

impl Kept {
    fn new() -> Self {
        Self {
            signature: Signature::one_of(
                vec![TypeSignature::Any(1), TypeSignature::Any(2)],
                Volatility::Immutable,
            ),
        }
    }
}

impl ScalarUDFImpl for Kept {
    fn name(&self) -> &'static str {
        KEPT
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(args.args.swap_remove(0))
    }
}
