//! What FROM gives to names without a table, and to `*`.
//!
//! `JOIN … USING (x)` and NATURAL JOIN make one column of two: that of the left side, for RIGHT JOIN that of the right
//! side, for FULL JOIN the first of both that is not NULL. It comes first in `*`, and it is what `x` means; the two are known
//! by their tables. The planner takes the left one for each kind of join. So such joins are written with ON, and
//! their merged columns, and `*` over them, as what they stand for.

use std::collections::HashMap;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, ExcludeSelectItem, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, ObjectName, SelectItem, SelectItemQualifiedWildcardKind, Value,
    WildcardAdditionalOptions,
};

use super::columns::choose;
use super::place;
use super::scope::{Columns, Relation, Scope, exact, fold};
use super::walk::idents;
use crate::catalog::nearest;
use crate::federation::check_waited_for;
use crate::query::statement::check_listed;
use crate::query::{QueryError, QueryErrorKind, Reason};

/// A column of a relation: the relation's place in its scope, and the column's name.
pub(super) type RelationColumn = (usize, String);

#[derive(Debug, Clone)]
enum Field {
    /// A column: the first of `of` that is not NULL. Merged ones are those of joins.
    Column { name: String, of: Vec<RelationColumn>, merged: bool },
    /// The columns of a relation whose columns are not all known, but for `without`.
    All { relation: usize, known: Vec<String>, without: Vec<String> },
}

/// The columns of FROM, or of a join in it, in the order of `*`.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    list: Vec<Field>,
    /// There is a join whose columns could not be told: the planner merges them.
    unsettled: bool,
}

/// Names in lower case, with each name that is one of them but for its case, and what is called so.
type ByName<'f> = HashMap<String, Vec<(&'f str, &'f Field)>>;

/// A column that is found on one side of a join.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SideColumn {
    name: String,
    of: Vec<RelationColumn>,
}

/// What a join merges: a column of its left side, and one of its right side.
pub(super) type Pair = (SideColumn, SideColumn);

/// Which of two merged columns is the one that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Left,
    Right,
    Either,
}

impl Fields {
    pub(super) fn of_relation(index: usize, relation: &Relation) -> Self {
        let Columns { names, open } = &relation.columns;
        let list = match open {
            true => vec![Field::All { relation: index, known: names.clone(), without: Vec::new() }],
            false => {
                let column = |name: &String| {
                    let (name, of) = (name.clone(), vec![(index, name.clone())]);
                    Field::Column { name, of, merged: false }
                };
                names.iter().map(column).collect()
            }
        };
        Self { list, unsettled: false }
    }

    /// These, and those of `right`.
    pub(super) fn and(mut self, right: Self) -> Self {
        self.append(right);
        self
    }

    pub(super) fn append(&mut self, right: Self) {
        self.list.extend(right.list);
        self.unsettled |= right.unsettled;
    }

    /// These, of a join that the planner has to make sense of.
    pub(super) fn unsettled(self) -> Self {
        Self { unsettled: true, ..self }
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// The first `count` of these, and the others.
    pub(super) fn split(mut self, count: usize) -> (Self, Self) {
        let others = self.list.split_off(count.min(self.list.len()));
        let others = Self { list: others, unsettled: self.unsettled };
        (self, others)
    }

    /// What `*` stands for.
    pub(super) fn columns(&self) -> Columns {
        Columns { names: self.names().map(str::to_owned).collect(), open: !self.are_known() }
    }

    /// Whether all columns are known.
    pub(super) fn are_known(&self) -> bool {
        self.list.iter().all(|field| matches!(field, Field::Column { .. }))
    }

    /// The names that are known.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.list.iter().flat_map(Field::names)
    }

    /// The columns that are known, by names that are [`alike`](super::scope::alike).
    fn by_name(&self) -> ByName<'_> {
        let mut found = ByName::new();
        for field in &self.list {
            for name in field.names() {
                found.entry(name.to_lowercase()).or_default().push((name, field));
            }
        }
        found
    }

    /// What the merged column `name` is of; `None` if there is none, or several are called so.
    pub(super) fn merged(&self, name: &str) -> Option<&[RelationColumn]> {
        let mut called = self.list.iter().filter(|field| field.found(name).is_some());
        match (called.next(), called.next()) {
            (Some(Field::Column { of, merged: true, .. }), None) => Some(of),
            _ => None,
        }
    }

    /// The column `ident`, of those `by_name`; `None` if it cannot be told where it is.
    fn find(&self, ident: &Ident, by_name: &ByName<'_>, side: &str) -> Result<Option<SideColumn>, QueryError> {
        Ok(Some(match by_name.get(&ident.value.to_lowercase()) {
            None => {
                let mut unknown = self.list.iter().filter_map(|field| match field {
                    Field::All { relation, .. } => Some(*relation),
                    Field::Column { .. } => None,
                });
                match (unknown.next(), unknown.next()) {
                    (None, _) => return Err(self.missing(ident, side)),
                    (Some(relation), None) => {
                        SideColumn { name: fold(ident), of: vec![(relation, fold(ident))] }
                    }
                    (Some(_), Some(_)) => return Ok(None),
                }
            }
            Some(spelled) => {
                let name = choose(ident, spelled.iter().map(|(name, _)| *name).collect())?.value;
                let mut called = spelled.iter().filter_map(|(_, field)| field.found(&name));
                match (called.next(), called.next()) {
                    (Some(found), None) => found,
                    _ => return Err(several(&ident.value, side).at(place(ident))),
                }
            }
        }))
    }

    fn missing(&self, ident: &Ident, side: &str) -> QueryError {
        let message = format!("column {} of USING is not on the {side} side of the join", ident.value);
        let error =
            QueryError::new(QueryErrorKind::Name, message).because(Reason::UnknownColumn).at(place(ident));
        match nearest(&ident.value, self.names()) {
            Some(name) => error.with_hint(format!("Did you mean {name}?")),
            None => error,
        }
    }

    /// Takes out what is merged with others.
    fn take<'f>(&mut self, taken: impl Iterator<Item = &'f SideColumn>) {
        let taken: HashMap<&str, &[RelationColumn]> =
            taken.map(|found| (found.name.as_str(), found.of.as_slice())).collect();
        self.list.retain_mut(|field| match field {
            Field::Column { name, of, .. } => {
                taken.get(name.as_str()).is_none_or(|found| *found != of.as_slice())
            }
            Field::All { relation, known, without } => {
                let of_it = taken.values().filter_map(|of| match of {
                    [(place, name)] if place == relation => Some(name.clone()),
                    _ => None,
                });
                without.extend(of_it);
                without.sort_unstable();
                known.retain(|name| !without.contains(name));
                true
            }
        });
    }

    /// Those of a join of both sides that makes one column of each of `pairs`.
    pub(super) fn join(mut self, mut right: Self, pairs: Vec<Pair>, kept: Kept) -> Self {
        self.take(pairs.iter().map(|(found, _)| found));
        right.take(pairs.iter().map(|(_, found)| found));
        let mut list = Vec::new();
        for (left_one, right_one) in pairs {
            let SideColumn { name, of } = match kept {
                Kept::Left => left_one,
                Kept::Right => right_one,
                Kept::Either => SideColumn { of: [left_one.of, right_one.of].concat(), ..left_one },
            };
            list.push(Field::Column { name, of, merged: true });
        }
        Self { list, unsettled: false }.and(self).and(right)
    }

    /// `*`, spelled out; `None` where the planner knows what it stands for.
    fn spelled_out(&self, relations: &[Relation]) -> Result<Option<Vec<SelectItem>>, QueryError> {
        if !self.list.iter().any(|field| matches!(field, Field::Column { merged: true, .. })) {
            return Ok(None);
        }
        if self.unsettled {
            let message = "SELECT *: the columns of a side of JOIN … USING are not known";
            return Err(QueryError::new(QueryErrorKind::Unsupported, message)
                .with_hint("Name the columns that you want"));
        }
        let item = |field: &Field| match field {
            Field::Column { name, of, .. } => {
                let expr = value(of, relations);
                match of.len() {
                    1 => SelectItem::UnnamedExpr(expr),
                    _ => SelectItem::ExprWithAlias { expr, alias: exact(name) },
                }
            }
            Field::All { relation, without, .. } => {
                let planned = &relations[*relation].planned;
                let of = ObjectName::from(planned.iter().map(exact).collect::<Vec<_>>());
                let left_out = without.iter().map(|name| ObjectName::from(vec![exact(name)])).collect();
                let options = WildcardAdditionalOptions {
                    opt_exclude: (!without.is_empty()).then_some(ExcludeSelectItem::Multiple(left_out)),
                    ..WildcardAdditionalOptions::default()
                };
                let of = SelectItemQualifiedWildcardKind::ObjectName(of);
                SelectItem::QualifiedWildcard(of, options)
            }
        };
        Ok(Some(self.list.iter().map(item).collect()))
    }
}

impl Field {
    /// The names that are known.
    fn names(&self) -> impl Iterator<Item = &str> {
        let names = match self {
            Self::Column { name, .. } => std::slice::from_ref(name),
            Self::All { known, .. } => known,
        };
        names.iter().map(String::as_str)
    }

    fn found(&self, called: &str) -> Option<SideColumn> {
        match self {
            Self::Column { name, of, .. } if name == called => {
                Some(SideColumn { name: name.clone(), of: of.clone() })
            }
            Self::All { relation, known, .. } if known.iter().any(|name| name == called) => {
                Some(SideColumn { name: called.to_owned(), of: vec![(*relation, called.to_owned())] })
            }
            _ => None,
        }
    }
}

/// The columns `names` of both sides; `None` if it cannot be told where one is.
pub(super) fn pairs_of_using(
    names: &[ObjectName],
    left: &Fields,
    right: &Fields,
) -> Result<Option<Vec<Pair>>, QueryError> {
    let (of_left, of_right) = (left.by_name(), right.by_name());
    let mut pairs = Vec::new();
    for name in names {
        check_waited_for()?;
        let [column] = name.0.as_slice() else { return Ok(None) };
        let Some(column) = column.as_ident() else { return Ok(None) };
        let left = left.find(column, &of_left, "left")?;
        let right = right.find(column, &of_right, "right")?;
        let (Some(left), Some(right)) = (left, right) else { return Ok(None) };
        if !pairs.contains(&(left.clone(), right.clone())) {
            pairs.push((left, right));
        }
    }
    Ok(Some(pairs))
}

/// The columns that both sides have, of which all are known.
pub(super) fn pairs_of_natural(left: &Fields, right: &Fields) -> Result<Vec<Pair>, QueryError> {
    let (of_left, of_right) = (left.by_name(), right.by_name());
    let mut pairs = Vec::new();
    for field in &left.list {
        let Field::Column { name, .. } = field else { continue };
        let key = name.to_lowercase();
        let Some(others) = of_right.get(&key) else { continue };
        let [(other_name, other)] = others.as_slice() else { return Err(several(name, "right")) };
        if of_left.get(&key).is_some_and(|alike| alike.len() > 1) {
            return Err(several(name, "left"));
        }
        pairs.extend(field.found(name).zip(other.found(other_name)));
    }
    Ok(pairs)
}

fn several(name: &str, side: &str) -> QueryError {
    let message = format!("column {name} is ambiguous: there are several on the {side} side of the join");
    QueryError::new(QueryErrorKind::Name, message)
        .because(Reason::AmbiguousColumn)
        .with_hint("Write JOIN … ON a.id = b.id")
}

/// The condition of a join by `pairs`: true where there is none.
pub(super) fn condition(pairs: &[Pair], relations: &[Relation]) -> Expr {
    let equal = |(left, right): &Pair| Expr::BinaryOp {
        left: Box::new(value(&left.of, relations)),
        op: BinaryOperator::Eq,
        right: Box::new(value(&right.of, relations)),
    };
    let always = || Expr::Value(Value::Boolean(true).with_empty_span());
    all_of(pairs.iter().map(equal).collect()).unwrap_or_else(always)
}

/// AND of `conditions`, by halves: a tree that is as deep as they are many would be too deep.
fn all_of(mut conditions: Vec<Expr>) -> Option<Expr> {
    if conditions.len() < 2 {
        return conditions.pop();
    }
    let others = conditions.split_off(conditions.len().div_ceil(2));
    let (left, right) = (all_of(conditions)?, all_of(others)?);
    Some(Expr::BinaryOp { left: Box::new(left), op: BinaryOperator::And, right: Box::new(right) })
}

/// The first of `of` that is not NULL.
pub(super) fn value(of: &[RelationColumn], relations: &[Relation]) -> Expr {
    let column = |(relation, name): &RelationColumn| {
        let planned = &relations[*relation].planned;
        Expr::CompoundIdentifier(planned.iter().chain([name]).map(exact).collect())
    };
    if let [one] = of {
        return column(one);
    }
    let args = of.iter().map(|one| FunctionArg::Unnamed(FunctionArgExpr::Expr(column(one)))).collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::new("coalesce")]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// How many columns the value of a merged column names, if they are several.
pub(super) fn columns_of(value: &Expr) -> usize {
    match value {
        Expr::Function(Function { args: FunctionArguments::List(list), .. }) => list.args.len(),
        _ => 0,
    }
}

/// Spells `*` out in `items` where joins merge columns.
pub(super) fn spell_out(items: &mut Vec<SelectItem>, scope: &Scope<'_>) -> Result<(), QueryError> {
    let mut spelled = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        match item {
            SelectItem::Wildcard(options) => match scope.fields.spelled_out(&scope.relations)? {
                Some(columns) => {
                    spelled.extend(columns);
                    check_listed(spelled.len())?;
                }
                None => spelled.push(SelectItem::Wildcard(options)),
            },
            other => spelled.push(other),
        }
    }
    *items = spelled;
    Ok(())
}

/// The columns of a list that are columns of FROM under their own names, which others have as well: the planner finds several
/// by such a name. One that means several things is the merged column, if that is among them.
pub(super) fn listed(projection: &[SelectItem], scope: &Scope<'_>) -> HashMap<String, Expr> {
    let named = |item: &SelectItem| match item {
        SelectItem::ExprWithAlias { expr, alias } => Some((fold(alias), expr.clone())),
        SelectItem::UnnamedExpr(expr @ Expr::CompoundIdentifier(parts)) => {
            parts.last().map(|name| (fold(name), expr.clone()))
        }
        _ => None,
    };
    let mut relations: HashMap<&str, usize> = HashMap::new();
    for name in scope.relations.iter().flat_map(|relation| &relation.columns.names) {
        *relations.entry(name).or_default() += 1;
    }
    let mut listed: HashMap<String, Vec<Expr>> = HashMap::new();
    for (name, expr) in projection.iter().filter_map(named) {
        let meanings = listed.entry(name).or_default();
        if !meanings.contains(&expr) {
            meanings.push(expr);
        }
    }
    let meaning = |(name, meanings): (String, Vec<Expr>)| {
        if let [Expr::CompoundIdentifier(parts)] = meanings.as_slice() {
            let is_own = parts.last().is_some_and(|own| own.value == name);
            let is_found = is_own && relations.get(name.as_str()).is_some_and(|count| *count > 1);
            return is_found.then(|| (name, Expr::CompoundIdentifier(parts.clone())));
        }
        let merged = value(scope.fields.merged(&name)?, &scope.relations);
        (meanings.len() > 1 && meanings.contains(&merged)).then_some((name, merged))
    };
    listed.into_iter().filter_map(meaning).collect()
}

/// The columns that a SELECT gives.
pub(super) fn outputs(projection: &[SelectItem], scope: &Scope<'_>) -> Columns {
    let mut outputs = Columns::default();
    for item in projection {
        match item {
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) => outputs.names.push(fold(ident)),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                outputs.names.extend(parts.last().map(fold))
            }
            SelectItem::ExprWithAlias { alias, .. } => outputs.names.push(fold(alias)),
            SelectItem::Wildcard(_) => {
                let all = scope.fields.columns();
                outputs.names.extend(all.names);
                outputs.open |= all.open;
            }
            SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), options) => {
                let qualifier: Vec<String> = idents(name).unwrap_or_default().iter().map(fold).collect();
                let without = match &options.opt_exclude {
                    Some(ExcludeSelectItem::Multiple(names)) => {
                        names.iter().filter_map(idents).flatten().map(|ident| fold(&ident)).collect()
                    }
                    _ => Vec::new(),
                };
                let named = scope.relations.iter().find(|relation| relation.planned == qualifier);
                match named {
                    Some(relation) => {
                        let names = relation.columns.names.iter().filter(|name| !without.contains(name));
                        outputs.names.extend(names.cloned());
                        outputs.open |= relation.columns.open;
                    }
                    None => outputs.open = true,
                }
            }
            // A name that only the planner makes.
            _ => outputs.open = true,
        }
    }
    outputs
}
