//! Which column a name means.

use datafusion::sql::sqlparser::ast::{Expr, Ident};

use super::fields::{RelationColumn, value};
use super::place;
use super::scope::{Relation, Scope, alike, exact, fold};
use crate::catalog::nearest;
use crate::query::{QueryError, QueryErrorKind, Reason};

/// What a name without a relation means.
pub(super) enum Meaning {
    /// A column, as it is spelled.
    Column(Ident),
    /// `value`, which is called `name`: a column that the planner does not find by its name. Of its relations, it would take
    /// those for others whose first names are `misleading`.
    Value { name: String, value: Box<Expr>, misleading: Vec<String> },
}

/// What `ident` means; `None` to leave it as it is, where its relation's columns are not known.
/// `by_alias` is whether names that the SELECT gives come before columns, as in ORDER BY.
pub(super) fn bare(ident: &Ident, scope: &Scope<'_>, by_alias: bool) -> Result<Option<Meaning>, QueryError> {
    for (outwards, level) in scope.chain().enumerate() {
        let is_alike = |name: &&str| alike(name, &ident.value);
        let found: Vec<&str> = level.fields.names().filter(is_alike).collect();
        let given: Vec<&str> = level.aliases.iter().map(String::as_str).filter(is_alike).collect();
        if !given.is_empty() && (by_alias || found.is_empty()) {
            let alias = choose(ident, given)?;
            let listed = level.listed.get(&alias.value).filter(|_| by_alias);
            return Ok(Some(match listed {
                Some(column) => Meaning::Value {
                    name: alias.value,
                    value: Box::new(column.clone()),
                    misleading: Vec::new(),
                },
                None => Meaning::Column(alias),
            }));
        }
        if !found.is_empty() {
            let column = choose(ident, found)?;
            return Ok(Some(match level.fields.merged(&column.value) {
                Some(of) => Meaning::Value {
                    value: Box::new(value(of, &level.relations)),
                    misleading: taken_for_others(of, level, scope.chain().take(outwards)),
                    name: column.value,
                },
                None => Meaning::Column(column),
            }));
        }
        if !level.fields.are_known() {
            return Ok(None);
        }
    }
    Err(unknown(ident, scope))
}

/// The first names of the relations `of`, which are of `level`, where the planner would find a column or another relation of
/// that name in one of the queries that are `nearer`.
fn taken_for_others<'s>(
    of: &[RelationColumn],
    level: &Scope<'_>,
    nearer: impl Iterator<Item = &'s Scope<'s>>,
) -> Vec<String> {
    let nearer: Vec<&Relation> = nearer.flat_map(|scope| &scope.relations).collect();
    let planned = of.iter().map(|(relation, _)| &level.relations[*relation].planned);
    let taken = planned.filter(|planned| {
        let named = |relation: &&Relation| {
            relation.planned == **planned
                || planned.first().is_some_and(|first| relation.columns.names.contains(first))
        };
        nearer.iter().any(named)
    });
    taken.filter_map(|planned| planned.first().cloned()).collect()
}

/// The full name of the column `parts`, whose last is the column and whose others name a relation.
pub(super) fn qualified(parts: &[Ident], scope: &Scope<'_>) -> Result<Option<Vec<Ident>>, QueryError> {
    let Some((column, qualifier)) = parts.split_last() else { return Ok(None) };
    let qualifier: Vec<&Ident> = strip_database(qualifier).iter().collect();
    let relation = relation(&qualifier, scope)?.relation;
    let spelled: Vec<&str> =
        relation.columns.names.iter().map(String::as_str).filter(|name| alike(name, &column.value)).collect();
    let column = match (spelled.is_empty(), relation.columns.open) {
        (false, _) => choose(column, spelled)?,
        (true, true) => column.clone(),
        (true, false) => {
            let of = relation.qualifier.join(".");
            let message = format!("column {} is not in {of}", column.value);
            let error =
                QueryError::new(QueryErrorKind::Name, message).because(Reason::UnknownColumn).at(place(column));
            let names = relation.columns.names.iter().map(String::as_str);
            return Err(match nearest(&column.value, names) {
                Some(name) => error.with_hint(format!("Did you mean {name}?")),
                None => error.with_hint(format!("DESCRIBE {of} lists its columns")),
            });
        }
    };
    Ok(Some(relation.planned.iter().map(exact).chain([column]).collect()))
}

/// The full name of the relation that `qualifier` means.
pub(super) fn relation_name(qualifier: &[Ident], scope: &Scope<'_>) -> Result<Vec<Ident>, QueryError> {
    let qualifier: Vec<&Ident> = strip_database(qualifier).iter().collect();
    Ok(relation(&qualifier, scope)?.relation.planned.iter().map(exact).collect())
}

/// The first name of the relation of `parts`, a column of a query around, if a column that is nearer has that name: the
/// planner would look for a field of that column.
pub(super) fn taken_for_a_column(parts: &[Ident], scope: &Scope<'_>) -> Result<Option<String>, QueryError> {
    let Some((_, qualifier)) = parts.split_last() else { return Ok(None) };
    let qualifier: Vec<&Ident> = strip_database(qualifier).iter().collect();
    let found = relation(&qualifier, scope)?;
    let Some(first) = found.relation.planned.first() else { return Ok(None) };
    let mut nearer = scope.chain().take(found.level).flat_map(|level| &level.relations);
    Ok(nearer.any(|relation| relation.columns.names.contains(first)).then(|| first.clone()))
}

fn strip_database(qualifier: &[Ident]) -> &[Ident] {
    match qualifier {
        [database, rest @ ..]
            if rest.len() == 2 && database.value.eq_ignore_ascii_case(crate::query::DATABASE) =>
        {
            rest
        }
        _ => qualifier,
    }
}

/// A relation, and how many queries around the place where it is named it stands.
struct Reached<'s> {
    relation: &'s Relation,
    level: usize,
}

fn relation<'s>(qualifier: &[&Ident], scope: &'s Scope<'_>) -> Result<Reached<'s>, QueryError> {
    let begin = qualifier.first().and_then(|first| place(first));
    let shown = || qualifier.iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
    for (outwards, level) in scope.chain().enumerate() {
        let same = |equal: &dyn Fn(&str, &Ident) -> bool| {
            let ends_with = |relation: &&Relation| {
                relation.qualifier.len() >= qualifier.len()
                    && relation.qualifier.iter().rev().zip(qualifier.iter().rev()).all(|(a, b)| equal(a, b))
            };
            level.relations.iter().filter(ends_with).collect::<Vec<_>>()
        };
        let mut found = same(&|name, ident| name == fold(ident));
        if found.is_empty() {
            found = same(&|name, ident| alike(name, &ident.value));
        }
        match found.as_slice() {
            [] => {}
            [one] => return Ok(Reached { relation: one, level: outwards }),
            several => {
                let names: Vec<String> = several.iter().map(|relation| relation.qualifier.join(".")).collect();
                let message = format!("{} is ambiguous: {}", shown(), names.join(", "));
                return Err(QueryError::new(QueryErrorKind::Name, message)
                    .with_hint("Give each an alias of its own")
                    .at(begin));
            }
        }
    }
    let message = format!("{} is neither a table of this statement nor an alias", shown());
    let error = QueryError::new(QueryErrorKind::Name, message).at(begin);
    let names =
        scope.chain().flat_map(|level| &level.relations).filter_map(|relation| relation.qualifier.last());
    Err(match nearest(&shown(), names.map(String::as_str)) {
        Some(name) => error.with_hint(format!("Did you mean {name}?")),
        None => error,
    })
}

/// One of `spellings`, all alike: the one that was written, else the only one.
pub(super) fn choose(ident: &Ident, mut spellings: Vec<&str>) -> Result<Ident, QueryError> {
    spellings.sort_unstable();
    spellings.dedup();
    let folded = fold(ident);
    let written = spellings
        .iter()
        .find(|name| **name == ident.value)
        .or_else(|| spellings.iter().find(|name| **name == folded));
    match (written, spellings.as_slice()) {
        (Some(name), _) | (None, [name]) => Ok(exact(*name)),
        (None, several) => {
            let message = format!("column {} is ambiguous: {}", ident.value, several.join(", "));
            Err(QueryError::new(QueryErrorKind::Name, message)
                .because(Reason::AmbiguousColumn)
                .with_hint("Write one of them in double quotes")
                .at(place(ident)))
        }
    }
}

fn unknown(ident: &Ident, scope: &Scope<'_>) -> QueryError {
    let error = QueryError::new(QueryErrorKind::Name, format!("column {} is not there", ident.value))
        .because(Reason::UnknownColumn)
        .at(place(ident));
    let names =
        scope.chain().flat_map(|level| level.fields.names().chain(level.aliases.iter().map(String::as_str)));
    match nearest(&ident.value, names) {
        Some(name) => error.with_hint(format!("Did you mean {name}?")),
        None if ident.quote_style == Some('"') => {
            error.with_hint("Double quotes are for names; a text stands in single quotes")
        }
        None => error,
    }
}
