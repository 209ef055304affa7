//! What names mean at one place of a statement.

use std::collections::HashMap;

use datafusion::sql::sqlparser::ast::{Expr, Ident};

use super::fields::Fields;
use super::reads::Tables;

/// The columns of a relation, as they are spelled.
#[derive(Debug, Clone, Default)]
pub(super) struct Columns {
    pub(super) names: Vec<String>,
    /// There may be others, whose names are not known here: those of functions and of nameless expressions.
    pub(super) open: bool,
}

/// Something in FROM.
#[derive(Debug, Clone)]
pub(super) struct Relation {
    /// Its alias, else its schema and table; empty if it has no name.
    pub(super) qualifier: Vec<String>,
    /// What the planner calls it: the same, unless that would be taken for a column, or is not known to it.
    pub(super) planned: Vec<String>,
    pub(super) columns: Columns,
}

/// The names of CTEs, as they are folded, with their columns and what each reads.
#[derive(Debug, Clone, Default)]
pub(super) struct Ctes(HashMap<String, (Columns, Tables)>);

impl Ctes {
    pub(super) fn get(&self, name: &Ident) -> Option<&(Columns, Tables)> {
        self.0.get(&fold(name))
    }

    pub(super) fn insert(&mut self, name: &Ident, columns: Columns, reads: Tables) {
        self.0.insert(fold(name), (columns, reads));
    }
}

/// One SELECT, and those around it.
#[derive(Debug)]
pub(super) struct Scope<'p> {
    pub(super) relations: Vec<Relation>,
    /// What names without a relation mean, and `*`.
    pub(super) fields: Fields,
    /// Whether a join of FROM merges columns: they are known by their relations, so that each needs a name.
    pub(super) merges: bool,
    /// Names that the SELECT gives to its expressions.
    pub(super) aliases: Vec<String>,
    /// What those are of them that the planner does not find by their names alone.
    pub(super) listed: HashMap<String, Expr>,
    pub(super) parent: Option<&'p Scope<'p>>,
}

impl<'p> Scope<'p> {
    pub(super) fn new(parent: Option<&'p Scope<'p>>) -> Self {
        Self {
            relations: Vec::new(),
            fields: Fields::default(),
            merges: false,
            aliases: Vec::new(),
            listed: HashMap::new(),
            parent,
        }
    }

    /// Adds `relation`, beside all that is there.
    pub(super) fn push(&mut self, relation: Relation) {
        self.fields.append(Fields::of_relation(self.relations.len(), &relation));
        self.relations.push(relation);
    }

    /// This scope and those around it, from the inside out.
    pub(super) fn chain(&self) -> impl Iterator<Item = &Scope<'_>> {
        let mut next: Option<&Scope<'_>> = Some(self);
        std::iter::from_fn(move || {
            let scope = next?;
            next = scope.parent;
            Some(scope)
        })
    }
}

/// The name as PostgreSQL and the planner read it: ASCII's letters small unless quoted.
pub(super) fn fold(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_ascii_lowercase(),
    }
}

/// `name`, quoted, so that it is taken as it is.
pub(super) fn exact(name: impl Into<String>) -> Ident {
    Ident::with_quote('"', name)
}

/// Whether two names are one in MariaDB.
pub(super) fn alike(a: &str, b: &str) -> bool {
    match a.is_ascii() && b.is_ascii() {
        true => a.eq_ignore_ascii_case(b),
        false => a == b || a.to_lowercase() == b.to_lowercase(),
    }
}
