//! Conditions, and what they compare: from DataFusion's expressions to [`RemoteExpr`], or why not.
//!
//! DataFusion widens both sides of a comparison to one type (`BIGINT UNSIGNED = BIGINT` becomes a comparison of
//! DECIMAL(20,0)). Where a widening loses nothing it is seen through: the bare column is compared, for which
//! the source can use an index.

use std::borrow::Cow;

use arrow::datatypes::DataType;
use crossweave_contract::{CollationFamily, ColumnType, CompareOp, PadAttribute, RemoteColumn, RemoteExpr};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{Column, DFSchema};
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::{
    Between, BinaryExpr, Cast, Expr, ExprSchemable, Operator, TryCast, binary_expr,
};
use datafusion::scalar::ScalarValue;

use super::computed::check_small;
use super::fragment::{Output, Picked};
use super::literals::{compare_alike, literal, may_hold, within_range};
use super::shown::of_function;
use super::steps::as_ranges;
use super::texts::{TextSide, text_side};
use super::whitelist::{Family, Operation};
use super::widening::widens;
use crate::federation::collation::CollationLike;
use crate::federation::narrowing::kept;

/// What a source may compute, or why not, in words for whoever reads a plan.
pub(super) type Taken<T> = Result<T, String>;

/// A statement with more literals is not asked: it may have 65,535 parameters, of which joins take some for keys.
const MOST_LITERALS: usize = 50_000;

/// Fails if one statement would have more than `literals` may be.
pub(super) fn check_literals(literals: usize) -> Taken<()> {
    if literals > MOST_LITERALS {
        return refuse(format!("one statement would have more than {MOST_LITERALS} values"));
    }
    Ok(())
}

pub(super) fn refuse<T>(why: impl Into<String>) -> Taken<T> {
    Err(why.into())
}

/// What columns of an expression are at the source.
pub(super) struct Scope<'a> {
    /// As the plan names them.
    pub(super) schema: &'a DFSchema,
    /// What each is made of.
    pub(super) outputs: &'a [Output],
    /// The source's columns.
    pub(super) columns: &'a [RemoteColumn],
    /// See [`Fragment::picked`](super::fragment::Fragment::picked).
    pub(super) picked: &'a Picked,
}

/// One side of a comparison.
enum Side<'e> {
    Literal(&'e ScalarValue, Option<&'e FieldMetadata>),
    Text(TextSide),
    Value(RemoteExpr, Family),
}

impl Scope<'_> {
    /// What `column` is made of.
    pub(super) fn output(&self, column: &Column) -> Taken<&Output> {
        match self.schema.index_of_column(column) {
            Ok(index) => Ok(&self.outputs[index]),
            Err(_) => refuse(format!("{column} is a column of another part of the plan")),
        }
    }

    /// The place of `column` at the source.
    pub(super) fn place(&self, column: &Column) -> Taken<usize> {
        match self.output(column)? {
            Output::Column(place) => Ok(*place),
            Output::Key(..) => refuse("the key of a text is computed here"),
        }
    }

    /// Where the text at `place` is compared.
    pub(super) fn text_place(&self, place: usize) -> Taken<usize> {
        match self.picked.get(&place) {
            None => Ok(place),
            Some(Some(group)) => Ok(*group),
            Some(None) => refuse("one of several texts is compared"),
        }
    }

    /// What is true where `expr` is; where that is false or NULL, it may be either.
    pub(super) fn condition(&self, expr: &Expr) -> Taken<RemoteExpr> {
        Ok(where_true(self.truth(&without_null(expr))?))
    }

    /// `expr`, which is true, false or NULL.
    fn truth(&self, expr: &Expr) -> Taken<RemoteExpr> {
        match expr {
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                Ok(RemoteExpr::And(self.flatten(left, right, |remote| match remote {
                    RemoteExpr::And(list) => list,
                    other => vec![other],
                })?))
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                Ok(RemoteExpr::Or(self.flatten(left, right, |remote| match remote {
                    RemoteExpr::Or(list) => list,
                    other => vec![other],
                })?))
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::IsNotDistinctFrom, right })
                if is_value(right) =>
            {
                check_small(left)?;
                let equal = self.comparison(Operator::Eq, left, right)?;
                Ok(RemoteExpr::And(vec![equal, self.null_test(left, true)?]))
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::IsDistinctFrom, right }) if is_value(right) => {
                check_small(left)?;
                let other = self.comparison(Operator::NotEq, left, right)?;
                Ok(RemoteExpr::Or(vec![other, self.null_test(left, false)?]))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => self.comparison(*op, left, right),
            Expr::InList(list) => self.in_list(list),
            Expr::Between(between) => self.between(between),
            Expr::IsNull(inner) => self.null_test(inner, false),
            Expr::IsNotNull(inner) => self.null_test(inner, true),
            Expr::ScalarFunction(call) => self.like(call),
            Expr::Not(inner) => opposite(self.truth(inner)?),
            Expr::IsTrue(inner) => Ok(not_true(not_true(self.truth(inner)?))),
            Expr::IsFalse(inner) => Ok(not_true(not_true(opposite(self.truth(inner)?)?))),
            Expr::IsNotTrue(inner) => Ok(not_true(self.truth(inner)?)),
            Expr::IsNotFalse(inner) => Ok(not_true(opposite(self.truth(inner)?)?)),
            other => refuse(format!("{} is no condition that a source is asked for", other.human_display())),
        }
    }

    fn flatten(
        &self,
        left: &Expr,
        right: &Expr,
        parts: impl Fn(RemoteExpr) -> Vec<RemoteExpr>,
    ) -> Taken<Vec<RemoteExpr>> {
        let mut list = Vec::new();
        for side in [left, right] {
            list.extend(parts(self.truth(side)?));
        }
        Ok(list)
    }

    fn side<'e>(&self, expr: &'e Expr) -> Taken<Side<'e>> {
        if let Expr::Literal(value, metadata) = expr {
            return Ok(Side::Literal(value, metadata.as_ref()));
        }
        if let Some(text) = text_side(expr, self)? {
            return Ok(Side::Text(text));
        }
        let (value, family) = self.compared(expr)?;
        Ok(Side::Value(value, family))
    }

    /// `expr` as it is compared: seen through casts that lose nothing.
    pub(super) fn compared(&self, expr: &Expr) -> Taken<(RemoteExpr, Family)> {
        let (value, column_type) = match expr {
            Expr::Cast(Cast { expr: inner, field }) | Expr::TryCast(TryCast { expr: inner, field }) => {
                if widens(&self.type_of(inner)?, field.data_type()) {
                    return self.compared(inner);
                }
                self.value(expr)?
            }
            Expr::ScalarFunction(call) if kept(call).is_some() => {
                return kept(call).map_or_else(|| refuse(""), |inner| self.compared(inner));
            }
            expr => self.value(expr)?,
        };
        match Family::of(&column_type) {
            Some(family) => Ok((value, family)),
            None => refuse(format!("{} is of a type that is compared here", expr.human_display())),
        }
    }

    pub(super) fn type_of(&self, expr: &Expr) -> Taken<DataType> {
        expr.get_type(self.schema).map_err(|error| error.strip_backtrace())
    }

    pub(super) fn comparison(&self, op: Operator, left: &Expr, right: &Expr) -> Taken<RemoteExpr> {
        let Some(op) = compare_op(op) else { return refuse(format!("the operator {op} is computed here")) };
        let (left, right) = match (self.operand(left)?, self.operand(right)?) {
            (Side::Value(value, family), Side::Literal(literal, _)) => {
                permitted(family, op)?;
                let literal = self.beside(&value, literal, family)?;
                (value, literal)
            }
            (Side::Literal(literal, _), Side::Value(value, family)) => {
                permitted(family, op)?;
                (self.beside(&value, literal, family)?, value)
            }
            (Side::Value(left, family), Side::Value(right, other)) => {
                if family != other || !family.allows(Operation::Columns) {
                    return refuse("two columns of these types are compared here");
                }
                if let (RemoteExpr::Column(one), RemoteExpr::Column(other)) = (&left, &right)
                    && !compare_alike(&self.columns[*one].column_type, &self.columns[*other].column_type)
                {
                    return refuse("numbers with more and with fewer places are compared here");
                }
                (left, right)
            }
            (Side::Text(text), Side::Literal(literal, metadata)) => {
                permitted(text.family(), op)?;
                let literal = text.literal(literal, metadata)?;
                (text.value, literal)
            }
            (Side::Literal(literal, metadata), Side::Text(text)) => {
                permitted(text.family(), op)?;
                let literal = text.literal(literal, metadata)?;
                (literal, text.value)
            }
            (Side::Text(left), Side::Text(right)) => {
                permitted(left.family(), op)?;
                if !left.fits(&right) || !left.family().allows(Operation::Columns) {
                    return refuse("texts of two kinds are compared");
                }
                (left.value, right.value)
            }
            _ => return refuse("two literals, or a text and another value, are compared here"),
        };
        let compared = RemoteExpr::Compare { op, left: Box::new(left), right: Box::new(right) };
        Ok(as_ranges(within_range(compared, self.columns), self.columns))
    }

    /// As [`side`](Self::side), of an operator.
    fn operand<'e>(&self, expr: &'e Expr) -> Taken<Side<'e>> {
        Ok(match self.side(expr)? {
            Side::Value(value, family) => Side::Value(self.rounded_by_operator(value), family),
            side => side,
        })
    }

    fn in_list(&self, InList { expr, list, negated }: &InList) -> Taken<RemoteExpr> {
        if !(1..=MOST_LITERALS).contains(&list.len()) {
            return refuse(format!("a list of {} values is looked through here", list.len()));
        }
        let literals = |of: &dyn Fn(&ScalarValue, Option<&FieldMetadata>) -> Taken<RemoteExpr>| {
            let item = |item: &Expr| match item {
                Expr::Literal(value, metadata) => of(value, metadata.as_ref()),
                _ => refuse("a list holds what is no literal"),
            };
            list.iter().map(item).collect::<Taken<Vec<_>>>()
        };
        let (expr, list) = match self.side(expr)? {
            Side::Text(text) => {
                permitted(text.family(), CompareOp::Eq)?;
                let list = literals(&|value, metadata| text.literal(value, metadata))?;
                (text.value, list)
            }
            Side::Value(expr, family) => {
                permitted(family, CompareOp::Eq)?;
                let list = literals(&|value, _| self.beside(&expr, value, family))?;
                (expr, list)
            }
            Side::Literal(..) => return refuse("a literal is looked for in a list"),
        };
        let listed = RemoteExpr::In { expr: Box::new(expr), list, negated: *negated };
        Ok(as_ranges(within_range(listed, self.columns), self.columns))
    }

    fn between(&self, Between { expr, negated, low, high }: &Between) -> Taken<RemoteExpr> {
        let (Expr::Literal(low, low_text), Expr::Literal(high, high_text)) = (&**low, &**high) else {
            return refuse("a bound of BETWEEN is no literal");
        };
        let (expr, low, high) = match self.side(expr)? {
            Side::Text(text) => {
                permitted(text.family(), CompareOp::Lt)?;
                let (low, high) =
                    (text.literal(low, low_text.as_ref())?, text.literal(high, high_text.as_ref())?);
                (text.value, low, high)
            }
            Side::Value(value, family) => {
                permitted(family, CompareOp::Lt)?;
                let (low, high) = (self.beside(&value, low, family)?, self.beside(&value, high, family)?);
                (value, low, high)
            }
            Side::Literal(..) => return refuse("a literal is looked for between others"),
        };
        let [expr, low, high] = [expr, low, high].map(Box::new);
        Ok(as_ranges(RemoteExpr::Between { expr, low, high, negated: *negated }, self.columns))
    }

    /// `literal`, which is compared with `value` of `family`.
    fn beside(&self, value: &RemoteExpr, literal: &ScalarValue, family: Family) -> Taken<RemoteExpr> {
        let found = of_family(literal, family)?;
        match value {
            RemoteExpr::Column(place)
                if family == Family::Exact && !may_hold(&self.columns[*place].column_type, &found) =>
            {
                refuse(format!("{literal} has more places than the column"))
            }
            _ => Ok(found),
        }
    }

    fn null_test(&self, expr: &Expr, negated: bool) -> Taken<RemoteExpr> {
        let of_column = |place: usize| {
            let family = Family::of_column(&self.columns[place].column_type);
            (RemoteExpr::Column(place), family)
        };
        let (value, family) = match expr {
            Expr::Column(column) => match self.output(column)? {
                Output::Column(place) | Output::Key(_, place) => of_column(*place),
            },
            expr => match text_side(expr, self)? {
                Some(text) => {
                    let family = text.family();
                    (text.value, family)
                }
                None => self.compared(expr)?,
            },
        };
        if !family.allows(Operation::Null) {
            return refuse(format!("whether {} is NULL is found here", expr.human_display()));
        }
        Ok(RemoteExpr::IsNull { expr: Box::new(value), negated })
    }

    fn like(&self, call: &ScalarFunction) -> Taken<RemoteExpr> {
        let Some(like) = call.func.inner().downcast_ref::<CollationLike>() else {
            return refuse(of_function(&Expr::ScalarFunction(call.clone()), call));
        };
        let [Expr::Column(column), Expr::Literal(pattern, _)] = call.args.as_slice() else {
            return refuse("LIKE is pushed down for a column and a literal pattern");
        };
        let place = self.place(column)?;
        if self.picked.contains_key(&place) {
            return refuse("LIKE tells texts apart that are equal: one of several is looked at here");
        }
        let ColumnType::Text { collation } = &self.columns[place].column_type else {
            return refuse("LIKE is pushed down for texts alone");
        };
        if !Family::Text.allows(Operation::Like) {
            return refuse("LIKE is computed here");
        }
        if collation.family() == CollationFamily::Binary && collation.pad() == PadAttribute::PadSpace {
            return refuse(
                "LIKE under a binary collation that pads is computed here: by an index the server misses some",
            );
        }
        if !like.is_of(collation) {
            return refuse(
                "LIKE with ESCAPE, ILIKE, or under another collation than the column's is computed here",
            );
        }
        let value = RemoteExpr::Column(place);
        let text = TextSide { value, key: None, column_type: self.columns[place].column_type.clone() };
        let pattern = Box::new(text.literal(pattern, None)?);
        Ok(RemoteExpr::Like { expr: Box::new(text.value), pattern, negated: false })
    }
}

/// What is true where `condition` is false.
fn opposite(condition: RemoteExpr) -> Taken<RemoteExpr> {
    Ok(match condition {
        RemoteExpr::Compare { op, left, right } => RemoteExpr::Compare { op: op.opposite(), left, right },
        RemoteExpr::In { expr, list, negated } => RemoteExpr::In { expr, list, negated: !negated },
        RemoteExpr::Between { expr, low, high, negated } => {
            RemoteExpr::Between { expr, low, high, negated: !negated }
        }
        RemoteExpr::Like { expr, pattern, negated } => RemoteExpr::Like { expr, pattern, negated: !negated },
        RemoteExpr::IsNull { expr, negated } => RemoteExpr::IsNull { expr, negated: !negated },
        RemoteExpr::And(parts) => RemoteExpr::Or(parts.into_iter().map(opposite).collect::<Taken<_>>()?),
        RemoteExpr::Or(parts) => RemoteExpr::And(parts.into_iter().map(opposite).collect::<Taken<_>>()?),
        condition @ RemoteExpr::NotTrue(_) => not_true(condition),
        _ => return refuse("NOT of what is no condition of a source is computed here"),
    })
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.is_null())
}

fn is_value(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if !value.is_null())
}

/// `condition`, of which only matters where it is true, without what never makes it so: NULL in a list, or beside OR.
fn without_null(condition: &Expr) -> Cow<'_, Expr> {
    match condition {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) if is_null(left) => without_null(right),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) if is_null(right) => without_null(left),
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::And | Operator::Or), right }) => {
            let (one, other) = (without_null(left), without_null(right));
            let is_same = |now: &Cow<'_, Expr>, was: &Expr| std::ptr::eq(now.as_ref(), was);
            match is_same(&one, left) && is_same(&other, right) {
                true => Cow::Borrowed(condition),
                false => Cow::Owned(binary_expr(one.into_owned(), *op, other.into_owned())),
            }
        }
        Expr::InList(InList { expr, list, negated: false }) if list.iter().any(is_null) => {
            let list: Vec<Expr> = list.iter().filter(|item| !is_null(item)).cloned().collect();
            match list.is_empty() {
                true => Cow::Borrowed(condition),
                false => Cow::Owned(Expr::InList(InList::new(expr.clone(), list, false))),
            }
        }
        condition => Cow::Borrowed(condition),
    }
}

fn not_true(condition: RemoteExpr) -> RemoteExpr {
    RemoteExpr::NotTrue(Box::new(condition))
}

/// `condition` without what but tells false from NULL, which would keep an index from being used.
fn where_true(condition: RemoteExpr) -> RemoteExpr {
    match condition {
        RemoteExpr::And(parts) => RemoteExpr::And(parts.into_iter().map(where_true).collect()),
        RemoteExpr::Or(parts) => RemoteExpr::Or(parts.into_iter().map(where_true).collect()),
        RemoteExpr::NotTrue(inner) => match *inner {
            RemoteExpr::NotTrue(condition) => where_true(*condition),
            inner => not_true(inner),
        },
        condition => condition,
    }
}

fn compare_op(op: Operator) -> Option<CompareOp> {
    Some(match op {
        Operator::Eq => CompareOp::Eq,
        Operator::NotEq => CompareOp::NotEq,
        Operator::Lt => CompareOp::Lt,
        Operator::LtEq => CompareOp::LtEq,
        Operator::Gt => CompareOp::Gt,
        Operator::GtEq => CompareOp::GtEq,
        _ => return None,
    })
}

fn of_family(value: &ScalarValue, family: Family) -> Taken<RemoteExpr> {
    literal(value, family)
        .map_or_else(|| refuse(format!("{value} is compared here with a column of that type")), Ok)
}

fn permitted(family: Family, op: CompareOp) -> Taken<()> {
    let operation = match op {
        CompareOp::Eq | CompareOp::NotEq => Operation::Equality,
        CompareOp::Lt | CompareOp::LtEq | CompareOp::Gt | CompareOp::GtEq => Operation::Order,
    };
    if family.allows(operation) {
        Ok(())
    } else {
        refuse("such comparisons of values of this type are made here")
    }
}
