//! Rewrites expressions so that texts are compared by key, and derives how their results compare.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchemaRef, Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{Alias, Between, Case, Exists, InSubquery, Like, SetComparison};
use datafusion::logical_expr::{BinaryExpr, Expr, ExprSchemable, Operator, SortExpr, Subquery, cast};

use super::functions::{ByBytes, CollationLike, Key};
use super::kind::{Collations, Kind, TextKind, is_text};
use super::like::CharacterRule;
use crate::federation::surface::{is_interval, length, text_number};

/// Metadata of a literal key: the text it was made of.
pub(crate) const LITERAL_TEXT: &str = "crossweave.text";

/// Rewrites one plan.
pub(super) struct Rewriter<'a> {
    pub(super) collations: &'a Collations,
    /// By key: the text under which a literal is known. One for all literals with that key, since the optimizer
    /// compares literals with their metadata and would else hold equal keys for different.
    literals: RefCell<HashMap<(Key, ScalarValue), String>>,
    names: Cell<usize>,
}

/// What names in an expression refer to.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// The columns of a plan's inputs.
    pub(super) schema: &'a DFSchemaRef,
    /// Those of the plans around it, innermost last.
    pub(super) outer: &'a [DFSchemaRef],
}

/// An expression, and how its values compare.
pub(super) type Rewritten = (Expr, Kind);

impl<'a> Rewriter<'a> {
    pub(super) fn new(collations: &'a Collations) -> Self {
        Self { collations, literals: RefCell::default(), names: Cell::new(0) }
    }

    /// A column name that no other column has.
    pub(super) fn fresh(&self, purpose: &str) -> String {
        self.names.set(self.names.get() + 1);
        format!("__{purpose}_{}", self.names.get())
    }

    /// Rewrites `expr`, and tells how its values compare.
    #[recursive::recursive]
    pub(super) fn expr(&self, expr: Expr, scope: Scope<'_>) -> Result<Rewritten> {
        match expr {
            Expr::Column(column) => {
                let kind = kind_of_column(scope.schema, &column).unwrap_or(Kind::Plain);
                Ok((Expr::Column(column), kind))
            }
            Expr::OuterReferenceColumn(field, column) => Ok(outer_column(field, column, scope)),
            Expr::Alias(alias) => self.alias(alias, scope),
            Expr::BinaryExpr(binary) => self.binary(binary, scope),
            Expr::Like(like) => self.like(like, scope),
            Expr::SimilarTo(_) => self.by_bytes(expr, scope),
            Expr::Between(between) => self.between(between, scope),
            Expr::InList(list) => self.in_list(list, scope),
            Expr::Case(case) => self.case(case, scope),
            Expr::ScalarSubquery(subquery) => {
                let subquery = self.subquery(subquery, scope)?;
                let kind = Kind::of_field(subquery.subquery.schema().field(0)).into_text();
                Ok((Expr::ScalarSubquery(subquery), kind))
            }
            Expr::Exists(Exists { subquery, negated }) => {
                let subquery = self.subquery(subquery, scope)?;
                Ok((Expr::Exists(Exists { subquery, negated }), Kind::Plain))
            }
            Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
                let (expr, subquery) = self.against_subquery(*expr, subquery, scope)?;
                Ok((Expr::InSubquery(InSubquery::new(expr, subquery, negated)), Kind::Plain))
            }
            Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => {
                let (expr, subquery) = self.against_subquery(*expr, subquery, scope)?;
                Ok((Expr::SetComparison(SetComparison::new(expr, subquery, op, quantifier)), Kind::Plain))
            }
            Expr::ScalarFunction(function) => self.scalar_function(function, scope),
            Expr::AggregateFunction(function) => self.aggregate_function(function, scope),
            Expr::WindowFunction(function) => self.window_function(*function, scope),
            other => {
                let (expr, kinds) = self.children(other, scope)?;
                let kind = Kind::made_of(&kinds, data_type(&expr, scope).as_ref());
                Ok((expr, kind))
            }
        }
    }

    /// Rewrites each of `exprs`.
    pub(super) fn exprs(&self, exprs: Vec<Expr>, scope: Scope<'_>) -> Result<(Vec<Expr>, Vec<Kind>)> {
        exprs.into_iter().map(|expr| self.expr(expr, scope)).collect()
    }

    /// Rewrites what `expr` is made of, but not itself.
    pub(super) fn children(&self, expr: Expr, scope: Scope<'_>) -> Result<(Expr, Vec<Kind>)> {
        let mut kinds = Vec::new();
        let expr = expr.map_children(|child| {
            let (child, kind) = self.expr(child, scope)?;
            kinds.push(kind);
            Ok(Transformed::yes(child))
        })?;
        Ok((expr.data, kinds))
    }

    /// `exprs` as they are to be compared with each other.
    pub(super) fn comparable(&self, exprs: Vec<Expr>, kinds: &[Kind], scope: Scope<'_>) -> Result<Vec<Expr>> {
        let Some(met) = Kind::meet(kinds) else { return Ok(exprs) };
        if kinds.iter().any(|kind| matches!(kind, Kind::Nested(_))) {
            return self.comparable_structs(exprs, kinds, scope);
        }
        let types = exprs.iter().map(|expr| data_type(expr, scope)).collect();
        self.met(exprs, kinds, &met, types)
    }

    /// `exprs`, of `types` as far as they are known, of which at least one is a text.
    pub(super) fn met(
        &self,
        exprs: Vec<Expr>,
        kinds: &[Kind],
        met: &TextKind,
        types: Vec<Option<DataType>>,
    ) -> Result<Vec<Expr>> {
        // Text against a date or bytes is not compared as text; against a number it is taken for one.
        if types.iter().flatten().any(|t| !is_text(t) && !t.is_null()) {
            let number = |t: &DataType| is_text(t) || t.is_null() || t.is_numeric();
            return Ok(match types.iter().flatten().all(number) {
                true => {
                    let numbers = exprs.into_iter().zip(types.into_iter().zip(kinds));
                    numbers.map(|(expr, (t, kind))| as_number(expr, t, kind)).collect()
                }
                false => exprs,
            });
        }
        match met.comparison.key(self.collations, &describe(&exprs, kinds))? {
            Some(key) => exprs.into_iter().map(|expr| self.key(expr, &key)).collect(),
            None => Ok(chosen_bytes(exprs, kinds, met)),
        }
    }

    /// `(a, b) = (c, d)`, place by place.
    fn comparable_structs(&self, exprs: Vec<Expr>, kinds: &[Kind], scope: Scope<'_>) -> Result<Vec<Expr>> {
        let mut rows = Vec::with_capacity(exprs.len());
        for expr in &exprs {
            match expr {
                Expr::ScalarFunction(function) if function.name() == "struct" => rows.push(function.clone()),
                _ => {
                    kinds.iter().try_for_each(|kind| self.refuse_nested(expr, kind))?;
                    return Ok(exprs);
                }
            }
        }
        let places = rows.first().map_or(0, |row| row.args.len());
        if rows.iter().any(|row| row.args.len() != places) {
            return Ok(exprs);
        }
        for place in 0..places {
            let column: Vec<Expr> = rows.iter().map(|row| row.args[place].clone()).collect();
            let (column, kinds) = self.exprs(column, scope)?;
            for (row, expr) in rows.iter_mut().zip(self.comparable(column, &kinds, scope)?) {
                row.args[place] = expr;
            }
        }
        Ok(rows.into_iter().map(Expr::ScalarFunction).collect())
    }

    /// `expr` replaced by its key; a literal's is computed at once.
    pub(super) fn key(&self, expr: Expr, key: &Key) -> Result<Expr> {
        let Some(text) = literal_text(&expr) else { return Ok(key.of(expr)) };
        let value = key.of_text(text)?;
        let metadata = text.map(|text| {
            let mut literals = self.literals.borrow_mut();
            let known = literals.entry((key.clone(), value.clone())).or_insert_with(|| text.to_owned());
            FieldMetadata::from(HashMap::from([(LITERAL_TEXT.to_owned(), known.clone())]))
        });
        Ok(Expr::Literal(value, metadata))
    }

    /// What `expr` is ordered by.
    pub(super) fn order_key(&self, expr: Expr, kind: &Kind) -> Result<Expr> {
        match kind {
            Kind::Plain => Ok(expr),
            Kind::Nested(_) => {
                self.refuse_nested(&expr, kind)?;
                Ok(expr)
            }
            Kind::Text(text) => {
                let what = describe(std::slice::from_ref(&expr), std::slice::from_ref(kind));
                match text.comparison.order_key(self.collations, &what)? {
                    Some(key) => self.key(expr, &key),
                    None => Ok(expr),
                }
            }
        }
    }

    /// What `expr`, of any type, is ordered by: an interval by its length.
    pub(super) fn ordered_by(&self, expr: Expr, kind: &Kind, scope: Scope<'_>) -> Result<Expr> {
        if has_length(&expr, scope) { Ok(length(expr)) } else { self.order_key(expr, kind) }
    }

    /// By what `expr`, of any type, is told apart from others, where that is not itself.
    pub(super) fn told_apart_by(&self, expr: &Expr, kind: &Kind, scope: Scope<'_>) -> Result<Option<Expr>> {
        if has_length(expr, scope) { Ok(Some(length(expr.clone()))) } else { self.group_key(expr, kind) }
    }

    /// By what `expr` is grouped, where that is not itself.
    pub(super) fn group_key(&self, expr: &Expr, kind: &Kind) -> Result<Option<Expr>> {
        match kind {
            Kind::Plain => Ok(None),
            Kind::Nested(_) => {
                self.refuse_nested(expr, kind)?;
                Ok(None)
            }
            Kind::Text(text) => {
                let what = describe(std::slice::from_ref(expr), std::slice::from_ref(kind));
                let key = text.comparison.group_key(self.collations, &what)?;
                key.map(|key| self.key(expr.clone(), &key)).transpose()
            }
        }
    }

    /// Fails unless lists or structs of texts of `kind` may be compared as a whole.
    pub(super) fn refuse_nested(&self, what: &Expr, kind: &Kind) -> Result<()> {
        match kind.text() {
            Some(text) if !matches!(text.comparison.key(self.collations, ""), Ok(None)) => plan_err!(
                "{what}: lists and structs of texts under a collation are not compared as a whole; \
                 compare their elements, or write COLLATE \"C\" after the text they are made of"
            ),
            _ => Ok(()),
        }
    }

    /// Rewrites expressions of ORDER BY.
    pub(super) fn sorts(&self, sorts: Vec<SortExpr>, scope: Scope<'_>) -> Result<Vec<SortExpr>> {
        sorts
            .into_iter()
            .map(|sort| {
                let (expr, kind) = self.expr(sort.expr, scope)?;
                Ok(SortExpr { expr: self.ordered_by(expr, &kind, scope)?, ..sort })
            })
            .collect()
    }

    fn alias(&self, alias: Alias, scope: Scope<'_>) -> Result<Rewritten> {
        let (expr, kind) = self.expr(*alias.expr, scope)?;
        let given = alias.metadata.as_ref().map(|metadata| {
            let field = Field::new("", data_type(&expr, scope).unwrap_or(DataType::Null), true);
            Kind::of_field(&field.with_metadata(metadata.to_hashmap()))
        });
        let kind = given.filter(|given| *given != Kind::Plain).unwrap_or(kind);
        Ok((Expr::Alias(Alias { expr: Box::new(expr), ..alias }), kind))
    }

    fn binary(&self, binary: BinaryExpr, scope: Scope<'_>) -> Result<Rewritten> {
        use Operator::{
            Eq, Gt, GtEq, ILikeMatch, IsDistinctFrom, IsNotDistinctFrom, LikeMatch, Lt, LtEq, NotEq,
            NotILikeMatch, NotLikeMatch, RegexIMatch, RegexMatch, RegexNotIMatch, RegexNotMatch, StringConcat,
        };
        let BinaryExpr { left, op, right } = binary;
        match op {
            Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom => {
                let (sides, kinds) = self.exprs(vec![*left, *right], scope)?;
                let [left, right] = pair(self.comparable(sides, &kinds, scope)?)?;
                Ok((binary_expr(left, op, right), Kind::Plain))
            }
            LikeMatch | ILikeMatch | NotLikeMatch | NotILikeMatch => {
                let negated = matches!(op, NotLikeMatch | NotILikeMatch);
                let ignoring_case = matches!(op, ILikeMatch | NotILikeMatch);
                self.like(Like::new(negated, left, right, None, ignoring_case), scope)
            }
            RegexMatch | RegexIMatch | RegexNotMatch | RegexNotIMatch => {
                self.by_bytes(binary_expr(*left, op, *right), scope)
            }
            _ => {
                let (sides, kinds) = self.exprs(vec![*left, *right], scope)?;
                let [left, right] = pair(sides)?;
                let expr = binary_expr(left, op, right);
                let kind = match op {
                    StringConcat => Kind::made_of(&kinds, data_type(&expr, scope).as_ref()),
                    _ => Kind::Plain,
                };
                Ok((expr, kind))
            }
        }
    }

    fn like(&self, like: Like, scope: Scope<'_>) -> Result<Rewritten> {
        let (sides, kinds) = self.exprs(vec![*like.expr, *like.pattern], scope)?;
        let what = describe(&sides, &kinds);
        let [text, pattern] = pair(sides)?;
        let Some(met) = Kind::meet(&kinds) else {
            let like = Like { expr: Box::new(text), pattern: Box::new(pattern), ..like };
            return Ok((Expr::Like(like), Kind::Plain));
        };
        let encoder = met.comparison.like_encoder(self.collations, &what)?;
        let rule = match encoder {
            Some(encoder) if !like.case_insensitive => CharacterRule::Collation(encoder),
            encoder => CharacterRule::IgnoringCase(encoder),
        };
        let matches = CollationLike::call(rule, like.escape_char.or(Some('\\')), text, pattern);
        Ok((if like.negated { !matches } else { matches }, Kind::Plain))
    }

    fn between(&self, between: Between, scope: Scope<'_>) -> Result<Rewritten> {
        let (exprs, kinds) = self.exprs(vec![*between.expr, *between.low, *between.high], scope)?;
        let mut exprs = self.comparable(exprs, &kinds, scope)?.into_iter();
        match (exprs.next(), exprs.next(), exprs.next()) {
            (Some(expr), Some(low), Some(high)) => {
                let between = Between::new(Box::new(expr), between.negated, Box::new(low), Box::new(high));
                Ok((Expr::Between(between), Kind::Plain))
            }
            _ => plan_err!("BETWEEN lacks a bound"),
        }
    }

    fn case(&self, case: Case, scope: Scope<'_>) -> Result<Rewritten> {
        let base = case.expr.map(|expr| self.expr(*expr, scope)).transpose()?;
        let mut conditions = Vec::new();
        let mut results = Vec::new();
        let mut kinds = Vec::new();
        for (when, then) in case.when_then_expr {
            conditions.push(self.expr(*when, scope)?);
            let (then, kind) = self.expr(*then, scope)?;
            // A branch that is NULL has no say.
            kinds.extend((!is_null(&then)).then_some(kind));
            results.push(Box::new(then));
        }
        let otherwise = match case.else_expr {
            Some(expr) => {
                let (expr, kind) = self.expr(*expr, scope)?;
                kinds.extend((!is_null(&expr)).then_some(kind));
                Some(Box::new(expr))
            }
            None => None,
        };
        // Each WHEN meets the operand by itself, so each pair may have a key of its own.
        let collated = conditions.iter().chain(&base).any(|(_, kind)| *kind != Kind::Plain);
        let (operand, conditions) = match base {
            Some((base, base_kind)) if collated => {
                let mut tests = Vec::with_capacity(conditions.len());
                for (when, kind) in conditions {
                    let kinds = [base_kind.clone(), kind];
                    let [left, right] = pair(self.comparable(vec![base.clone(), when], &kinds, scope)?)?;
                    tests.push(Box::new(binary_expr(left, Operator::Eq, right)));
                }
                (None, tests)
            }
            base => (
                base.map(|(expr, _)| Box::new(expr)),
                conditions.into_iter().map(|(when, _)| Box::new(when)).collect(),
            ),
        };
        let expr = Expr::Case(Case::new(operand, conditions.into_iter().zip(results).collect(), otherwise));
        let kind = Kind::result(&kinds, data_type(&expr, scope).as_ref());
        Ok((expr, kind))
    }

    /// Rewrites the plan of a subquery in `scope`.
    pub(super) fn subquery(&self, subquery: Subquery, scope: Scope<'_>) -> Result<Subquery> {
        let mut outer = scope.outer.to_vec();
        outer.push(Arc::clone(scope.schema));
        let plan = self.plan(Arc::unwrap_or_clone(subquery.subquery), &outer)?;
        let outer_ref_columns = subquery
            .outer_ref_columns
            .into_iter()
            .map(|column| Ok(self.expr(column, scope)?.0))
            .collect::<Result<_>>()?;
        Ok(Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: subquery.spans })
    }

    /// An operation of the surface on the characters themselves.
    pub(super) fn by_bytes(&self, expr: Expr, scope: Scope<'_>) -> Result<Rewritten> {
        let expr = expr.map_children(|child| {
            let (child, kind) = self.expr(child, scope)?;
            Ok(Transformed::yes(if kind == Kind::Plain { child } else { ByBytes::call(child) }))
        })?;
        Ok((expr.data, Kind::Plain))
    }
}

/// `exprs`, which are compared by their bytes: where COLLATE says so, those of another collation lose it.
pub(super) fn chosen_bytes(exprs: Vec<Expr>, kinds: &[Kind], met: &TextKind) -> Vec<Expr> {
    if !met.explicit {
        return exprs;
    }
    let other = |kind: &Kind| kind.text().is_some_and(|text| text.comparison != met.comparison);
    let chosen = |(expr, kind): (Expr, &Kind)| if other(kind) { ByBytes::call(expr) } else { expr };
    exprs.into_iter().zip(kinds).map(chosen).collect()
}

fn kind_of_column(schema: &DFSchemaRef, column: &Column) -> Option<Kind> {
    schema.maybe_index_of_column(column).map(|index| Kind::of_field(schema.field(index)))
}

/// A column of a plan around this one: its kind may be known now though it was not when the query was read.
fn outer_column(field: Arc<Field>, column: Column, scope: Scope<'_>) -> Rewritten {
    let found = scope.outer.iter().rev().find_map(|schema| kind_of_column(schema, &column));
    let kind = found.unwrap_or_else(|| Kind::of_field(&field));
    let field = match kind.metadata() {
        Some(metadata) => metadata.add_to_field_ref(field),
        None => field,
    };
    (Expr::OuterReferenceColumn(field, column), kind)
}

/// The type of `expr`, if it can be told already.
pub(super) fn data_type(expr: &Expr, scope: Scope<'_>) -> Option<DataType> {
    expr.get_type(scope.schema.as_ref()).ok()
}

/// Whether values of `expr` are intervals.
pub(super) fn has_length(expr: &Expr, scope: Scope<'_>) -> bool {
    data_type(expr, scope).is_some_and(|of| is_interval(&of))
}

/// MariaDB compares a text and a number as doubles, of an ENUM and a SET the number that is stored.
fn as_number(expr: Expr, data_type: Option<DataType>, kind: &Kind) -> Expr {
    match data_type {
        Some(_) if let Some(number) = kind.text().and_then(|text| text.comparison.number()) => {
            cast(number.of(expr), DataType::Float64)
        }
        Some(data_type) if is_text(&data_type) => text_number(expr),
        _ => cast(expr, DataType::Float64),
    }
}

/// The text of a literal, `Some(None)` for NULL.
pub(super) fn literal_text(expr: &Expr) -> Option<Option<&str>> {
    match expr {
        Expr::Literal(ScalarValue::Null, _) => Some(None),
        Expr::Literal(value, _) => value.try_as_str(),
        _ => None,
    }
}

fn is_null(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(value, _) if value.is_null())
}

/// What is compared, in an error's words.
pub(super) fn describe(exprs: &[Expr], kinds: &[Kind]) -> String {
    let named = exprs.iter().zip(kinds).find(|(_, kind)| kind.text().is_some()).map(|(expr, _)| expr);
    match named.or(exprs.first()) {
        Some(Expr::Column(column) | Expr::OuterReferenceColumn(_, column)) => {
            format!("column {}", column.flat_name())
        }
        Some(expr) => expr.to_string(),
        None => "a text".to_owned(),
    }
}

pub(super) fn binary_expr(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

pub(super) fn pair(exprs: Vec<Expr>) -> Result<[Expr; 2]> {
    match <[Expr; 2]>::try_from(exprs) {
        Ok(pair) => Ok(pair),
        Err(exprs) => plan_err!("two operands were expected, {} were found", exprs.len()),
    }
}
