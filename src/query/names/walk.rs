//! Goes through a statement, scope by scope.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crossweave_contract::TableId;
use datafusion::sql::sqlparser::ast::{
    Cte, Expr, Ident, ObjectName, OrderBy, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, SetOperator, TableAlias, TableFactor, TableWithJoins,
};

use super::columns::Meaning;
use super::fields::{Fields, listed, outputs, spell_out};
use super::joins::{as_subquery, merges};
use super::reads::{Reads, Tables};
use super::scope::{Columns, Ctes, Relation, Scope, exact, fold};
use super::{Context, columns, tables};
use crate::federation::check_waited_for;
use crate::query::QueryError;

pub(super) struct Walk<'a> {
    context: &'a Context<'a>,
    /// The services' tables that were found.
    pub(super) tables: BTreeSet<TableId>,
    /// First names of relations that the planner would take for columns.
    pub(super) misleading: BTreeSet<String>,
    /// Those of them for which relations are given other names.
    avoided: BTreeSet<String>,
    /// How many were.
    renamed: usize,
    /// Columns that joins merge.
    pub(super) merged: usize,
    /// Columns that stand in the places of names of merged ones.
    pub(super) spelled: usize,
    reads: Reads,
}

pub(super) type Walked<T> = Result<T, QueryError>;

impl<'a> Walk<'a> {
    /// A walk that gives other names to relations whose first name is among `avoided`.
    pub(super) fn new(context: &'a Context<'a>, avoided: BTreeSet<String>) -> Self {
        let (tables, misleading) = (BTreeSet::new(), BTreeSet::new());
        Self {
            context,
            tables,
            misleading,
            avoided,
            renamed: 0,
            merged: 0,
            spelled: 0,
            reads: Reads::default(),
        }
    }

    /// Resolves `query`; gives its columns. `own` is the name by which it may name itself.
    pub(super) fn query(
        &mut self,
        query: &mut Query,
        ctes: &Ctes,
        parent: Option<&Scope<'_>>,
        own: Option<&TableAlias>,
    ) -> Walked<Columns> {
        check_waited_for()?;
        let mut ctes = Cow::Borrowed(ctes);
        if let Some(with) = &mut query.with {
            for cte in &mut with.cte_tables {
                self.cte(cte, with.recursive, ctes.to_mut(), parent)?;
            }
        }
        let columns = match &mut *query.body {
            SetExpr::Select(select) => self.select(select, query.order_by.as_mut(), &ctes, parent)?,
            body => {
                let columns = self.body(body, &ctes, parent, own)?;
                if let Some(order_by) = &mut query.order_by {
                    let mut scope = Scope::new(parent);
                    scope.aliases.clone_from(&columns.names);
                    let open = Columns { names: Vec::new(), open: columns.open };
                    scope.push(aliased(Vec::new(), open, None));
                    self.order_by(order_by, &ctes, &scope)?;
                }
                columns
            }
        };
        let scope = Scope::new(parent);
        if let Some(limit) = &mut query.limit_clause {
            self.expressions(limit, &ctes, &scope, false)?;
        }
        Ok(columns)
    }

    fn cte(
        &mut self,
        cte: &mut Cte,
        recursive: bool,
        ctes: &mut Ctes,
        parent: Option<&Scope<'_>>,
    ) -> Walked<()> {
        let before = self.reads.planned();
        let columns = self.query(&mut cte.query, ctes, parent, recursive.then_some(&cte.alias))?;
        let reads = self.reads.back_to(before);
        ctes.insert(&cte.alias.name, renamed(columns, &cte.alias), reads);
        Ok(())
    }

    fn body(
        &mut self,
        body: &mut SetExpr,
        ctes: &Ctes,
        parent: Option<&Scope<'_>>,
        own: Option<&TableAlias>,
    ) -> Walked<Columns> {
        match body {
            SetExpr::Select(select) => self.select(select, None, ctes, parent),
            SetExpr::Query(query) => self.query(query, ctes, parent, None),
            SetExpr::SetOperation { left, right, op, .. } => {
                let before = self.reads.planned();
                let columns = self.body(left, ctes, parent, None)?;
                let of_left = self.reads.planned();
                if matches!(op, SetOperator::Union) {
                    self.reads.beside(before);
                }
                let mut ctes = Cow::Borrowed(ctes);
                if let Some(own) = own {
                    // The first branch says what the columns are of what the second may name.
                    ctes.to_mut().insert(&own.name, renamed(columns.clone(), own), Tables::ONE);
                }
                self.body(right, &ctes, parent, None)?;
                self.reads.at_least(of_left);
                Ok(columns)
            }
            SetExpr::Values(values) => {
                let width = values.rows.first().map_or(0, |row| row.len());
                self.expressions(values, ctes, &Scope::new(parent), false)?;
                Ok(Columns {
                    names: (1..=width).map(|number| format!("column{number}")).collect(),
                    open: false,
                })
            }
            // Refused before.
            SetExpr::Insert(_)
            | SetExpr::Update(_)
            | SetExpr::Delete(_)
            | SetExpr::Merge(_)
            | SetExpr::Table(_) => Ok(Columns { names: Vec::new(), open: true }),
        }
    }

    fn select(
        &mut self,
        select: &mut Select,
        order_by: Option<&mut OrderBy>,
        ctes: &Ctes,
        parent: Option<&Scope<'_>>,
    ) -> Walked<Columns> {
        let mut scope = Scope::new(parent);
        let mut from = std::mem::take(&mut select.from);
        scope.merges = from.iter_mut().any(merges);
        for tables in &mut from {
            self.tables_with_joins(tables, ctes, &mut scope)?;
        }
        let (mut seen, mut fields) = (0, Fields::default());
        for tables in &mut from {
            fields = fields.and(self.constraints(tables, ctes, &mut scope, &mut seen)?);
        }
        scope.fields = fields;
        scope.aliases = select.projection.iter().filter_map(alias).map(fold).collect();
        for item in &mut select.projection {
            keep_name(item, &scope)?;
            if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item
                && let Some(idents) = idents(name)
            {
                *name = ObjectName::from(columns::relation_name(&idents, &scope)?);
            }
        }
        // What is left of it are expressions in its own scope.
        self.expressions(select, ctes, &scope, false)?;
        select.from = from;
        spell_out(&mut select.projection, &scope)?;
        if let Some(order_by) = order_by {
            // There a name means a column of the list before one of FROM.
            scope.aliases = select.projection.iter().filter_map(alias).map(fold).collect();
            scope.listed = listed(&select.projection, &scope);
            scope.aliases.extend(scope.listed.keys().cloned());
            self.order_by(order_by, ctes, &scope)?;
        }
        Ok(outputs(&select.projection, &scope))
    }

    fn order_by(&mut self, order_by: &mut OrderBy, ctes: &Ctes, scope: &Scope<'_>) -> Walked<()> {
        if let OrderByKind::Expressions(expressions) = &mut order_by.kind {
            for expression in expressions {
                self.expressions(&mut expression.expr, ctes, scope, true)?;
            }
        }
        Ok(())
    }

    fn tables_with_joins(
        &mut self,
        tables: &mut TableWithJoins,
        ctes: &Ctes,
        scope: &mut Scope<'_>,
    ) -> Walked<()> {
        self.factor(&mut tables.relation, ctes, scope)?;
        for join in &mut tables.joins {
            self.factor(&mut join.relation, ctes, scope)?;
        }
        Ok(())
    }

    fn factor(&mut self, factor: &mut TableFactor, ctes: &Ctes, scope: &mut Scope<'_>) -> Walked<()> {
        as_subquery(factor);
        let mut relation = match &mut *factor {
            TableFactor::Table { name, alias, args: None, .. } => self.table(name, alias.as_ref(), ctes)?,
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let before = self.reads.planned();
                let columns = if *lateral {
                    let (relations, fields) = (scope.relations.clone(), scope.fields.clone());
                    let around = Scope { relations, fields, ..Scope::new(scope.parent) };
                    self.query(subquery, ctes, Some(&around), None)?
                } else {
                    self.query(subquery, ctes, scope.parent, None)?
                };
                self.reads.within(before)?;
                aliased(Vec::new(), columns, alias.as_ref())
            }
            TableFactor::NestedJoin { table_with_joins, alias } => {
                let Some(alias) = alias else {
                    return self.tables_with_joins(table_with_joins, ctes, scope);
                };
                let mut inner = Scope::new(scope.parent);
                self.tables_with_joins(table_with_joins, ctes, &mut inner)?;
                let fields = self.constraints(table_with_joins, ctes, &mut inner, &mut 0)?;
                aliased(Vec::new(), fields.columns(), Some(alias))
            }
            // Functions: their arguments may name what stands before them; their columns are not known here.
            other => {
                self.reads.add(Tables::ONE)?;
                self.expressions(other, ctes, scope, false)?;
                let unknown = Columns { names: Vec::new(), open: true };
                match other {
                    TableFactor::Table { name, alias, .. } => {
                        let mut relation = aliased(last_name(name), unknown, alias.as_ref());
                        if alias.is_none() {
                            relation.planned.iter_mut().for_each(|name| name.push_str("()"));
                        }
                        relation
                    }
                    TableFactor::Function { name, alias, .. } => {
                        aliased(last_name(name), unknown, alias.as_ref())
                    }
                    TableFactor::UNNEST { alias, .. } | TableFactor::TableFunction { alias, .. } => {
                        aliased(Vec::new(), unknown, alias.as_ref())
                    }
                    _ => aliased(Vec::new(), unknown, None),
                }
            }
        };
        let other_name = match relation.planned.as_slice() {
            // A column that is merged with another is known by its relation.
            _ if scope.merges && is_nameless(factor) => Some("join".to_owned()),
            [first, ..] if self.avoided.contains(first) => Some(relation.planned.join("_")),
            _ => None,
        };
        if let Some(name) = other_name {
            self.renamed += 1;
            relation.planned = vec![format!("__{name}_{}", self.renamed)];
            call(factor, &relation.planned[0]);
        }
        scope.push(relation);
        Ok(())
    }

    fn table(&mut self, name: &mut ObjectName, alias: Option<&TableAlias>, ctes: &Ctes) -> Walked<Relation> {
        if let Some([single]) = idents(name).as_deref()
            && let Some((columns, reads)) = ctes.get(single)
        {
            self.reads.add(*reads)?;
            return Ok(aliased(vec![fold(single)], columns.clone(), alias));
        }
        self.reads.add(Tables::ONE)?;
        let (qualifier, names) = match tables::find(name, self.context)? {
            tables::Named::Table(id) => {
                let def = self.context.definitions.definition(self.context.catalog, &id)?;
                let names = def.columns.iter().map(|column| column.name.clone()).collect();
                let qualifier = vec![id.service.to_string(), id.table.to_string()];
                self.tables.insert(id);
                (qualifier, names)
            }
            tables::Named::System { schema, table } => {
                let provider = self.context.system.get(&schema, &table);
                let columns = provider.map(|provider| provider.schema());
                let names = columns.iter().flat_map(|schema| schema.fields()).map(|field| field.name().clone());
                (vec![schema, table], names.collect())
            }
        };
        *name = ObjectName::from(qualifier.iter().map(exact).collect::<Vec<_>>());
        Ok(aliased(qualifier, Columns { names, open: false }, alias))
    }
}

pub(super) fn idents(name: &ObjectName) -> Option<Vec<Ident>> {
    name.0.iter().map(|part| part.as_ident().cloned()).collect()
}

fn last_name(name: &ObjectName) -> Vec<String> {
    idents(name).and_then(|idents| idents.last().map(fold)).into_iter().collect()
}

fn alias(item: &SelectItem) -> Option<&Ident> {
    match item {
        SelectItem::ExprWithAlias { alias, .. } => Some(alias),
        _ => None,
    }
}

/// Gives a column of a list that will be an expression the name that it has.
fn keep_name(item: &mut SelectItem, scope: &Scope<'_>) -> Walked<()> {
    if let SelectItem::UnnamedExpr(Expr::Identifier(ident)) = item
        && let Some(Meaning::Value { name, value, .. }) = columns::bare(ident, scope, false)?
        && matches!(*value, Expr::Function(_))
    {
        *item = SelectItem::ExprWithAlias { expr: Expr::Identifier(ident.clone()), alias: exact(name) };
    }
    Ok(())
}

/// A relation under its alias, if it has one, with the alias's names for its columns.
fn aliased(qualifier: Vec<String>, columns: Columns, alias: Option<&TableAlias>) -> Relation {
    let (qualifier, columns) = match alias {
        Some(alias) => (vec![fold(&alias.name)], renamed(columns, alias)),
        None => (qualifier, columns),
    };
    Relation { planned: qualifier.clone(), qualifier, columns }
}

/// Gives `factor` the alias `name`, in place of the one that it has.
fn call(factor: &mut TableFactor, name: &str) {
    match alias_of(factor) {
        Some(Some(alias)) => alias.name = exact(name),
        Some(alias @ None) => {
            *alias = Some(TableAlias { explicit: true, name: exact(name), columns: Vec::new(), at: None });
        }
        None => {}
    }
}

/// Whether `factor` has no name of its own: that of a function may be the name of several.
fn is_nameless(factor: &mut TableFactor) -> bool {
    !matches!(factor, TableFactor::Table { args: None, .. }) && matches!(alias_of(factor), Some(None))
}

fn alias_of(factor: &mut TableFactor) -> Option<&mut Option<TableAlias>> {
    match factor {
        TableFactor::Table { alias, .. }
        | TableFactor::Derived { alias, .. }
        | TableFactor::NestedJoin { alias, .. }
        | TableFactor::Function { alias, .. }
        | TableFactor::UNNEST { alias, .. }
        | TableFactor::TableFunction { alias, .. } => Some(alias),
        _ => None,
    }
}

fn renamed(mut columns: Columns, alias: &TableAlias) -> Columns {
    // It has to name all of them.
    columns.open &= alias.columns.is_empty();
    for (index, column) in alias.columns.iter().enumerate() {
        let name = fold(&column.name);
        match columns.names.get_mut(index) {
            Some(old) => *old = name,
            None => columns.names.push(name),
        }
    }
    columns
}
