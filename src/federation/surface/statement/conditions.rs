//! The pass over a parsed statement: conditions that need not be boolean, and what DataFusion has no hook for:
//! EXISTS as a value, COLLATE, AT TIME ZONE, `= ANY (array)`, a minus before what may be unsigned, and numbers
//! with an exponent.
//!
//! Names of results do not change: `truth(x)` is called what `x` is called.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, CastKind, DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, GroupByExpr, Ident, Interval, JoinConstraint, JoinOperator, ObjectName, Select,
    Statement, TableFactor, TableWithJoins, UnaryOperator, Value, VisitMut, VisitorMut,
};

use super::among;
use super::exists;
use super::rows;
use super::texts;
use super::{any_of_subquery, precedence};
use crate::federation::collation::COLLATE_FUNCTION;
use crate::federation::surface::functions::{EQUALS_ANY, TRUTH};
use crate::federation::surface::numbers::arithmetic::NEGATION;
use crate::federation::surface::numbers::doubles::DOUBLE_LITERAL;
use crate::federation::surface::times::lengths::with_units;
use crate::federation::surface::times::moments::AT_TIME_ZONE;

/// Wraps what `statement` uses as a condition, unless it is boolean by its form, in `truth(…)`, and turns
/// `x COLLATE name` and its like into calls.
pub fn rewrite_conditions(statement: &mut Statement) {
    precedence::settle(statement);
    any_of_subquery::settle(statement);
    let _ = VisitMut::visit(statement, &mut Conditions);
}

struct Conditions;

impl VisitorMut for Conditions {
    type Break = ();

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        [&mut select.selection, &mut select.having].into_iter().flatten().for_each(among::found);
        ControlFlow::Continue(())
    }

    fn post_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        for condition in [&mut select.selection, &mut select.having, &mut select.qualify].into_iter().flatten()
        {
            condition_of(condition);
        }
        select.from.iter_mut().for_each(joins);
        select.projection.iter_mut().for_each(exists::as_value);
        if let GroupByExpr::Expressions(groups, _) = &mut select.group_by {
            groups.iter_mut().filter(|group| is_calculated(group)).for_each(no_place);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        if let TableFactor::NestedJoin { table_with_joins, .. } = factor {
            joins(table_with_joins);
        }
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::BinaryOp { left, op: BinaryOperator::And | BinaryOperator::Or, right } => {
                condition_of(left);
                condition_of(right);
            }
            Expr::UnaryOp { op: UnaryOperator::Not, expr }
            | Expr::IsTrue(expr)
            | Expr::IsNotTrue(expr)
            | Expr::IsFalse(expr)
            | Expr::IsNotFalse(expr)
            | Expr::IsUnknown(expr)
            | Expr::IsNotUnknown(expr) => condition_of(expr),
            Expr::Case { operand: None, conditions, .. } => {
                conditions.iter_mut().for_each(|when| condition_of(&mut when.condition));
            }
            Expr::Function(Function { filter: Some(filter), .. }) => condition_of(filter),
            Expr::Exists { subquery, .. } => exists::unnamed(subquery),
            Expr::Collate { expr: text, collation } => {
                let name = collation.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone());
                let name = Expr::Value(Value::SingleQuotedString(name.unwrap_or_default()).with_empty_span());
                let text = std::mem::replace(text.as_mut(), null());
                *expr = call(COLLATE_FUNCTION, vec![text, name]);
            }
            other => stand_in(other),
        }
        ControlFlow::Continue(())
    }
}

/// Puts the function that stands for it in the place of `expr`, where there is one.
fn stand_in(expr: &mut Expr) {
    let stands_for =
        rows::compared(expr).or_else(|| among::membership(expr)).or_else(|| texts::stands_for(expr));
    if let Some(other) = stands_for {
        *expr = other;
        return;
    }
    let take = |part: &mut Box<Expr>| std::mem::replace(part.as_mut(), null());
    *expr = match expr {
        Expr::AtTimeZone { timestamp, time_zone } => call(AT_TIME_ZONE, vec![take(timestamp), take(time_zone)]),
        Expr::AnyOp { left, compare_op: BinaryOperator::Eq, right, .. } => {
            call(EQUALS_ANY, vec![take(left), take(right)])
        }
        Expr::AllOp { left, compare_op: BinaryOperator::NotEq, right } if is_spelled_out(right) => {
            let equal = call(EQUALS_ANY, vec![take(left), take(right)]);
            Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(equal) }
        }
        Expr::UnaryOp { op: UnaryOperator::Minus, expr: operand } if may_be_unsigned(operand) => {
            call(NEGATION, vec![take(operand)])
        }
        Expr::Interval(interval) => return interval_in_units(interval),
        Expr::Function(function) => match remainder(function) {
            Some(remainder) => remainder,
            None => return,
        },
        Expr::Value(value) => match &value.value {
            Value::Number(digits, _) if digits.contains(['e', 'E']) && !digits.starts_with("0x") => call(
                DOUBLE_LITERAL,
                vec![Expr::Value(Value::SingleQuotedString(digits.clone()).with_empty_span())],
            ),
            _ => return,
        },
        _ => return,
    };
}

/// `INTERVAL '01:30:00'`, with the units that DataFusion asks for.
fn interval_in_units(interval: &mut Interval) {
    if let Expr::Value(value) = interval.value.as_mut()
        && let Value::SingleQuotedString(text) = &mut value.value
        && let Some(spelled) = with_units(text).filter(|_| interval.leading_field.is_none())
    {
        *text = spelled;
    }
}

/// `mod(a, b)` as `a % b`.
fn remainder(function: &mut Function) -> Option<Expr> {
    let plain = function.over.is_none()
        && function.filter.is_none()
        && function.null_treatment.is_none()
        && function.within_group.is_empty();
    let [name] = function.name.0.as_slice() else { return None };
    let name = name.as_ident().filter(|_| plain)?;
    let FunctionArguments::List(FunctionArgumentList { args, duplicate_treatment: None, clauses }) =
        &mut function.args
    else {
        return None;
    };
    if !clauses.is_empty() {
        return None;
    }
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(of)), FunctionArg::Unnamed(FunctionArgExpr::Expr(by))] =
        args.as_mut_slice()
    else {
        return None;
    };
    name.value.eq_ignore_ascii_case("mod").then(|| {
        let nested = |part: &mut Expr| Box::new(Expr::Nested(Box::new(std::mem::replace(part, null()))));
        let remainder = Expr::BinaryOp { left: nested(of), op: BinaryOperator::Modulo, right: nested(by) };
        Expr::Nested(Box::new(remainder))
    })
}

/// Whether `expr` is made of numbers alone, by operators.
fn is_calculated(expr: &Expr) -> bool {
    let number = |side: &Expr| match side {
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        side => is_calculated(side),
    };
    match expr {
        Expr::Nested(inner) => is_calculated(inner),
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => number(expr),
        Expr::BinaryOp { left, right, .. } => number(left) && number(right),
        _ => false,
    }
}

/// Keeps `expr`, of GROUP BY, from being taken for the place of a column once it is calculated.
fn no_place(expr: &mut Expr) {
    let calculated = Box::new(std::mem::replace(expr, null()));
    let data_type = DataType::BigInt(None);
    *expr = Expr::Cast { kind: CastKind::Cast, expr: calculated, data_type, array: false, format: None };
}

/// Whether the elements of `array` are known once its placeholders have values.
fn is_spelled_out(array: &Expr) -> bool {
    match array {
        Expr::Array(_) | Expr::Value(_) => true,
        Expr::Cast { expr, .. } | Expr::Nested(expr) => is_spelled_out(expr),
        _ => false,
    }
}

/// Literals with a minus are read as such, and a placeholder's type is not known.
fn may_be_unsigned(operand: &Expr) -> bool {
    match operand {
        Expr::Value(_) | Expr::Interval(_) => false,
        Expr::Nested(inner) => may_be_unsigned(inner),
        _ => true,
    }
}

fn joins(table: &mut TableWithJoins) {
    use JoinOperator::{
        Anti, CrossJoin, FullOuter, Inner, Join, Left, LeftAnti, LeftOuter, LeftSemi, Right, RightAnti,
        RightOuter, RightSemi, Semi, StraightJoin,
    };
    for join in &mut table.joins {
        match &mut join.join_operator {
            Join(constraint)
            | Inner(constraint)
            | Left(constraint)
            | LeftOuter(constraint)
            | Right(constraint)
            | RightOuter(constraint)
            | FullOuter(constraint)
            | CrossJoin(constraint)
            | Semi(constraint)
            | LeftSemi(constraint)
            | RightSemi(constraint)
            | Anti(constraint)
            | LeftAnti(constraint)
            | RightAnti(constraint)
            | StraightJoin(constraint) => {
                if let JoinConstraint::On(condition) = constraint {
                    condition_of(condition);
                }
            }
            _ => {}
        }
    }
}

/// Makes a condition of `expr`, if it is none by its form.
fn condition_of(expr: &mut Expr) {
    if let Expr::Nested(inner) = expr {
        return condition_of(inner);
    }
    if !is_condition(expr) {
        let value = std::mem::replace(expr, null());
        *expr = call(TRUTH, vec![value]);
    }
}

fn is_condition(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryOp { op, .. } => !matches!(
            op,
            BinaryOperator::Plus
                | BinaryOperator::Minus
                | BinaryOperator::Multiply
                | BinaryOperator::Divide
                | BinaryOperator::Modulo
                | BinaryOperator::StringConcat
                | BinaryOperator::BitwiseAnd
                | BinaryOperator::BitwiseOr
                | BinaryOperator::BitwiseXor
                | BinaryOperator::PGBitwiseXor
                | BinaryOperator::PGBitwiseShiftLeft
                | BinaryOperator::PGBitwiseShiftRight
        ),
        Expr::UnaryOp { op, .. } => matches!(op, UnaryOperator::Not),
        Expr::Value(value) => {
            matches!(value.value, Value::Boolean(_) | Value::Null | Value::Placeholder(_))
        }
        Expr::Cast { data_type, .. } => matches!(data_type, DataType::Boolean | DataType::Bool),
        Expr::Function(function) => is_call_of(function, TRUTH) || is_call_of(function, EQUALS_ANY),
        Expr::Identifier(_)
        | Expr::CompoundIdentifier(_)
        | Expr::CompoundFieldAccess { .. }
        | Expr::Case { .. }
        | Expr::Subquery(_)
        | Expr::Extract { .. }
        | Expr::Ceil { .. }
        | Expr::Floor { .. }
        | Expr::Position { .. }
        | Expr::Substring { .. }
        | Expr::Trim { .. }
        | Expr::TypedString(_)
        | Expr::AtTimeZone { .. }
        | Expr::Collate { .. } => false,
        _ => true,
    }
}

fn is_call_of(function: &Function, name: &str) -> bool {
    function.name.0.last().and_then(|part| part.as_ident()).is_some_and(|ident| ident.value == name)
}

pub(in crate::federation::surface) fn null() -> Expr {
    Expr::Value(Value::Null.with_empty_span())
}

pub(in crate::federation::surface) fn call(name: &str, args: Vec<Expr>) -> Expr {
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new(name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into_iter().map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).collect(),
            clauses: vec![],
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn check(sql: &str, expected: &str) {
        let mut statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
        rewrite_conditions(&mut statements[0]);
        assert_eq!(statements[0].to_string(), expected);
    }

    #[test]
    fn puts_functions_where_there_is_no_hook() {
        check("SELECT ts AT TIME ZONE 'UTC' FROM t", "SELECT at_time_zone(ts, 'UTC') FROM t");
        check(
            "SELECT 1 FROM t WHERE a = ANY(ARRAY[1, 2]) OR a = ANY($1)",
            "SELECT 1 FROM t WHERE equals_any(a, ARRAY[1, 2]) OR equals_any(a, $1)",
        );
        check(
            "SELECT 1 FROM t WHERE a <> ALL($1::int[]) AND a <> ALL(b)",
            "SELECT 1 FROM t WHERE NOT equals_any(a, $1::INT[]) AND a <> ALL(b)",
        );
        check("SELECT 1 FROM t WHERE a = ANY(SELECT b FROM u)", "SELECT 1 FROM t WHERE a IN (SELECT b FROM u)");
        check(
            "SELECT -a, -(b), -1, -$1, -(2) FROM t",
            "SELECT negation(a), negation((b)), -1, -$1, -(2) FROM t",
        );
        check("SELECT mod(a, b + 1) * 2, MOD(a) FROM t", "SELECT ((a) % (b + 1)) * 2, MOD(a) FROM t");
        let others = "SELECT s.mod(a, b), mod(DISTINCT a, b), mod(a, b) OVER () FROM t";
        check(others, others);
        check(
            "SELECT 1e3, -5E-3, 1.5 FROM t",
            "SELECT double_literal('1e3'), negation(double_literal('5E-3')), 1.5 FROM t",
        );
    }

    #[test]
    fn compares_rows_part_by_part() {
        check(
            "SELECT (a, b) = (1, c), (a, b) <> (1, c)",
            "SELECT ((a = 1) AND (b = c)), ((a <> 1) OR (b <> c))",
        );
        check(
            "SELECT 1 FROM t WHERE (a, b) <= (1, 2)",
            "SELECT 1 FROM t WHERE ((a < 1) OR ((a = 1) AND (b <= 2)))",
        );
        check(
            "SELECT 1 FROM t WHERE (a, b) NOT IN ((1, 2), (3, 4))",
            "SELECT 1 FROM t WHERE NOT (((a = 1) AND (b = 2)) OR ((a = 3) AND (b = 4)))",
        );
    }

    #[test]
    fn wraps_what_is_used_as_a_condition() {
        check("SELECT a FROM t WHERE ok", "SELECT a FROM t WHERE truth(ok)");
        check(
            "SELECT a FROM t WHERE NOT ok AND (b OR c > 1)",
            "SELECT a FROM t WHERE NOT truth(ok) AND (truth(b) OR c > 1)",
        );
        check(
            "SELECT CASE WHEN ok THEN 1 END, NOT b FROM t",
            "SELECT CASE WHEN truth(ok) THEN 1 END, NOT truth(b) FROM t",
        );
        check(
            "SELECT sum(a) FILTER (WHERE ok) FROM t HAVING max(b)",
            "SELECT sum(a) FILTER (WHERE truth(ok)) FROM t HAVING truth(max(b))",
        );
        check(
            "SELECT 1 FROM a JOIN (b LEFT JOIN c ON ok) ON a.x AND a.y = b.y",
            "SELECT 1 FROM a JOIN (b LEFT JOIN c ON truth(ok)) ON truth(a.x) AND a.y = b.y",
        );
        check(
            "SELECT 1 UNION SELECT 2 FROM t WHERE a + 1",
            "SELECT 1 UNION SELECT 2 FROM t WHERE truth(a + 1)",
        );
        check(
            "SELECT 1 FROM t WHERE a IN (SELECT b FROM u WHERE ok)",
            "SELECT 1 FROM t WHERE a IN (SELECT b FROM u WHERE truth(ok))",
        );
    }

    #[test]
    fn leaves_what_is_a_condition() {
        for sql in [
            "SELECT a FROM t WHERE a = 1 AND b IS NULL AND c LIKE 'x' AND EXISTS (SELECT 1)",
            "SELECT a FROM t WHERE true OR $1 OR a BETWEEN 1 AND 2",
            "SELECT a, b AND a = 1 FROM t WHERE NOT (a < 1)",
        ] {
            let expected = sql.replace("b AND a", "truth(b) AND a");
            check(sql, &expected);
        }
    }

    #[test]
    fn collate_becomes_a_call() {
        check(
            "SELECT a COLLATE \"C\" FROM t ORDER BY b COLLATE utf8mb4_bin",
            "SELECT text_collate(a, 'C') FROM t ORDER BY text_collate(b, 'utf8mb4_bin')",
        );
    }
}
