//! A document → the tree of what it selects, checked against the [`Model`].
//!
//! Fragments are expanded and fields merged here, so every limit counts what the document really asks for: a
//! fragment that is spread twice counts twice, and depth is the depth after expansion.

use std::collections::BTreeSet;

use async_graphql::parser::types::{
    ExecutableDocument, Field, OperationDefinition, OperationType, Selection, SelectionSet,
};
use async_graphql::{Name, Pos, Positioned, ServerError, Value as ConstValue, Variables};
use async_graphql_value::Value;
use crossweave_contract::TableId;
use indexmap::IndexMap;

use super::arguments::{ListArguments, key_arguments, list_arguments};
use super::filter::Filter;
use super::model::{Edge, Model, TableType, TypeField};

/// Levels of nested fields that a document may select.
pub(super) const MAX_DEPTH: usize = 15;
/// Fields that a document may select after fragments are expanded.
pub(super) const MAX_FIELDS: usize = 2_000;

/// What a document selects at the root, in order.
#[derive(Debug)]
pub(super) struct Document<'m> {
    pub(super) roots: Vec<Root<'m>>,
}

/// A field at the root.
#[derive(Debug)]
pub(super) enum Root<'m> {
    Typename {
        key: String,
    },
    /// `__schema` or `__type`: answered by async-graphql.
    Introspection {
        key: String,
    },
    Rows {
        key: String,
        node: Node<'m>,
        single: bool,
    },
}

/// Rows of one table with what is selected of them.
#[derive(Debug)]
pub(super) struct Node<'m> {
    pub(super) table: &'m TableType,
    pub(super) arguments: ListArguments<'m>,
    pub(super) outputs: Vec<Output<'m>>,
}

/// A selected field, under its response key.
#[derive(Debug)]
pub(super) enum Output<'m> {
    Typename { key: String },
    Column { key: String, column: usize },
    Edge { key: String, edge: &'m Edge, node: Node<'m> },
}

impl Document<'_> {
    /// All tables that the document reads.
    pub(super) fn tables(&self) -> BTreeSet<TableId> {
        let mut tables = BTreeSet::new();
        for root in &self.roots {
            if let Root::Rows { node, .. } = root {
                node.add_tables(&mut tables);
            }
        }
        tables
    }
}

impl Node<'_> {
    fn add_tables(&self, tables: &mut BTreeSet<TableId>) {
        tables.insert(self.table.id.clone());
        self.arguments.add_tables(tables);
        for output in &self.outputs {
            if let Output::Edge { node, .. } = output {
                node.add_tables(tables);
            }
        }
    }
}

/// Reads a validated document.
pub(super) struct Reader<'a, 'm> {
    pub(super) model: &'m Model,
    pub(super) document: &'a ExecutableDocument,
    pub(super) variables: &'a Variables,
    fields: usize,
}

impl<'a, 'm> Reader<'a, 'm> {
    pub(super) fn new(model: &'m Model, document: &'a ExecutableDocument, variables: &'a Variables) -> Self {
        Self { model, document, variables, fields: 0 }
    }

    /// What `operation` selects.
    pub(super) fn read(&mut self, operation: &'a OperationDefinition) -> Result<Document<'m>, ServerError> {
        if operation.ty != OperationType::Query {
            let message = "only queries are served here: Crossweave writes nothing to a source";
            return Err(error(message.to_owned(), operation.selection_set.pos));
        }
        let mut roots = Vec::new();
        for (key, fields) in self.merge(vec![&operation.selection_set.node], "query_root", 1)? {
            let first = fields[0];
            match first.node.name.node.as_str() {
                "__typename" => roots.push(Root::Typename { key }),
                "__schema" | "__type" => roots.push(Root::Introspection { key }),
                name => {
                    let (node, single) = self.root_node(name, &fields)?;
                    roots.push(Root::Rows { key, node, single });
                }
            }
        }
        Ok(Document { roots })
    }

    fn root_node(
        &mut self,
        name: &str,
        fields: &[&'a Positioned<Field>],
    ) -> Result<(Node<'m>, bool), ServerError> {
        if let Some(table) = self.model.types.get(name) {
            let arguments = list_arguments(self, table, fields[0])?;
            return Ok((self.node(table, arguments, fields, 2)?, false));
        }
        let by_key = name.strip_suffix("_by_pk").and_then(|name| self.model.types.get(name));
        let Some(table) = by_key else {
            return Err(error(format!("unknown field {name:?} on query_root"), fields[0].pos));
        };
        let filter = Filter::And(key_arguments(self, table, fields[0])?);
        let arguments = ListArguments { filter: Some(filter), limit: Some(1), ..Default::default() };
        Ok((self.node(table, arguments, fields, 2)?, true))
    }

    fn node(
        &mut self,
        table: &'m TableType,
        arguments: ListArguments<'m>,
        fields: &[&'a Positioned<Field>],
        depth: usize,
    ) -> Result<Node<'m>, ServerError> {
        let sets = fields.iter().map(|field| &field.node.selection_set.node).collect();
        let mut outputs = Vec::new();
        for (key, fields) in self.merge(sets, &table.name, depth)? {
            let first = fields[0];
            let name = first.node.name.node.as_str();
            if name == "__typename" {
                outputs.push(Output::Typename { key });
                continue;
            }
            match table.fields.get(name) {
                Some(TypeField::Column(column)) => outputs.push(Output::Column { key, column: *column }),
                Some(TypeField::Relationship(edge)) => {
                    let Some(target) = self.model.of(&edge.target) else { continue };
                    let arguments =
                        if edge.many { list_arguments(self, target, first)? } else { ListArguments::default() };
                    let node = self.node(target, arguments, &fields, depth + 1)?;
                    outputs.push(Output::Edge { key, edge, node });
                }
                None => return Err(error(format!("unknown field {name:?} on {}", table.name), first.pos)),
            }
        }
        Ok(Node { table, arguments, outputs })
    }

    /// The fields of `sets` by response key, in the order of their first occurrence, fragments expanded.
    fn merge(
        &mut self,
        sets: Vec<&'a SelectionSet>,
        on: &str,
        depth: usize,
    ) -> Result<IndexMap<String, Vec<&'a Positioned<Field>>>, ServerError> {
        let mut merged = IndexMap::new();
        for set in sets {
            self.collect(set, on, depth, &mut merged, 0)?;
        }
        Ok(merged)
    }

    fn collect(
        &mut self,
        set: &'a SelectionSet,
        on: &str,
        depth: usize,
        merged: &mut IndexMap<String, Vec<&'a Positioned<Field>>>,
        spreads: usize,
    ) -> Result<(), ServerError> {
        for selection in &set.items {
            self.fields += 1;
            let pos = selection.pos;
            if self.fields > MAX_FIELDS {
                return Err(error(format!("the document selects more than {MAX_FIELDS} fields"), pos));
            }
            if depth > MAX_DEPTH || spreads > MAX_DEPTH {
                return Err(error(format!("the document is nested deeper than {MAX_DEPTH} levels"), pos));
            }
            if self.skipped(&selection.node)? {
                continue;
            }
            match &selection.node {
                Selection::Field(field) => {
                    let key = field.node.response_key().node.to_string();
                    merged.entry(key).or_default().push(field);
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref();
                    if condition.is_none_or(|condition| condition.node.on.node == on) {
                        self.collect(&fragment.node.selection_set.node, on, depth, merged, spreads + 1)?;
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let Some(fragment) = self.document.fragments.get(name) else {
                        return Err(error(format!("unknown fragment {name:?}"), pos));
                    };
                    if fragment.node.type_condition.node.on.node == on {
                        self.collect(&fragment.node.selection_set.node, on, depth, merged, spreads + 1)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn skipped(&self, selection: &Selection) -> Result<bool, ServerError> {
        for directive in selection.directives() {
            let skip = match directive.node.name.node.as_str() {
                "skip" => true,
                "include" => false,
                _ => continue,
            };
            let argument = directive.node.get_argument("if");
            match argument.and_then(|value| self.resolve(&value.node)) {
                Some(ConstValue::Boolean(condition)) if condition == skip => return Ok(true),
                Some(ConstValue::Boolean(_)) => {}
                _ => return Err(error("the argument \"if\" has to be a Boolean".to_owned(), directive.pos)),
            }
        }
        Ok(false)
    }

    /// A value with its variables put in; `None` for a variable that was not given. An absent variable is an
    /// absent argument or input field, not a null.
    pub(super) fn resolve(&self, value: &Value) -> Option<ConstValue> {
        Some(match value {
            Value::Variable(name) => return self.variable(name),
            Value::List(items) => ConstValue::List(
                items.iter().map(|item| self.resolve(item).unwrap_or(ConstValue::Null)).collect(),
            ),
            Value::Object(members) => ConstValue::Object(
                members.iter().filter_map(|(key, value)| Some((key.clone(), self.resolve(value)?))).collect(),
            ),
            other => other.clone().into_const()?,
        })
    }

    fn variable(&self, name: &Name) -> Option<ConstValue> {
        if let Some(value) = self.variables.get(name) {
            return Some(value.clone());
        }
        self.document
            .operations
            .iter()
            .flat_map(|(_, operation)| &operation.node.variable_definitions)
            .find(|definition| definition.node.name.node == *name)
            .and_then(|definition| definition.node.default_value.as_ref())
            .map(|default| default.node.clone())
    }
}

/// An error at `pos`.
pub(super) fn error(message: String, pos: Pos) -> ServerError {
    ServerError::new(message, Some(pos))
}
