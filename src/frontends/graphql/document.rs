//! A document → the tree of what it selects, checked against the [`Model`].
//!
//! Fragments are expanded and fields merged here; how much that may come to was seen to before (`bounds`). What
//! only the arguments tell is counted here: conditions, and how often a table is read.

use std::collections::BTreeSet;

use async_graphql::parser::types::{ExecutableDocument, Field, OperationDefinition, Selection, SelectionSet};
use async_graphql::{Pos, Positioned, ServerError, Value as ConstValue, Variables};
use crossweave_contract::{ServiceName, TableId};
use indexmap::IndexMap;

use super::arguments::{ListArguments, key_arguments, list_arguments};
use super::bounds::{MAX_CONDITIONS, MAX_READS, error};
use super::filter::Filter;
use super::model::{Edge, Model, TableType, TypeField, unknown};
use super::variables::Values;

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
    /// Where the field stands in the document and, by response keys, in the answer.
    pub(super) place: Place,
    pub(super) table: &'m TableType,
    pub(super) arguments: ListArguments<'m>,
    pub(super) outputs: Vec<Output<'m>>,
}

/// Where a field stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pub(super) pos: Pos,
    pub(super) path: Vec<String>,
}

impl Place {
    fn of(&self, key: &str, pos: Pos) -> Self {
        Self { pos, path: self.path.iter().cloned().chain([key.to_owned()]).collect() }
    }
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

    /// Where rows of `service` are asked for first.
    pub(super) fn first_read(&self, service: &ServiceName) -> Option<&Place> {
        self.roots.iter().find_map(|root| match root {
            Root::Rows { node, .. } => node.first_read(service),
            _ => None,
        })
    }
}

impl Node<'_> {
    /// The tables that the node's own plan reads.
    pub(super) fn own_tables(&self) -> BTreeSet<TableId> {
        let mut tables = BTreeSet::from([self.table.id.clone()]);
        self.arguments.add_tables(&mut tables);
        tables
    }

    fn first_read(&self, service: &ServiceName) -> Option<&Place> {
        if self.own_tables().iter().any(|table| table.service == *service) {
            return Some(&self.place);
        }
        self.outputs.iter().find_map(|output| match output {
            Output::Edge { node, .. } => node.first_read(service),
            _ => None,
        })
    }

    fn add_tables(&self, tables: &mut BTreeSet<TableId>) {
        tables.extend(self.own_tables());
        for output in &self.outputs {
            if let Output::Edge { node, .. } = output {
                node.add_tables(tables);
            }
        }
    }
}

/// Reads the operation of a validated document that is within `bounds`.
pub(super) struct Reader<'a, 'm> {
    pub(super) model: &'m Model,
    document: &'a ExecutableDocument,
    operation: &'a OperationDefinition,
    values: Values<'a>,
    conditions: usize,
    reads: usize,
}

impl<'a, 'm> Reader<'a, 'm> {
    pub(super) fn new(
        model: &'m Model,
        document: &'a ExecutableDocument,
        operation: &'a OperationDefinition,
        variables: &'a Variables,
    ) -> Result<Self, ServerError> {
        let values = Values::new(operation, variables)?;
        Ok(Self { model, document, operation, values, conditions: 0, reads: 0 })
    }

    /// What the operation selects.
    pub(super) fn read(mut self) -> Result<Document<'m>, ServerError> {
        let mut roots = Vec::new();
        for (key, fields) in self.merge(vec![&self.operation.selection_set.node], "query_root")? {
            let first = fields[0];
            match first.node.name.node.as_str() {
                "__typename" => roots.push(Root::Typename { key }),
                "__schema" | "__type" => roots.push(Root::Introspection { key }),
                name => {
                    let place = Place::default().of(&key, first.pos);
                    let (node, single) = self.root_node(place, name, &fields)?;
                    roots.push(Root::Rows { key, node, single });
                }
            }
        }
        Ok(Document { roots })
    }

    /// Counts one more comparison.
    pub(super) fn count_condition(&mut self) -> Result<(), String> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            return Err(format!(
                "the document holds more than {MAX_CONDITIONS} comparisons: use _in in place of many _eq"
            ));
        }
        Ok(())
    }

    /// Counts one more read of a table.
    pub(super) fn count_read(&mut self) -> Result<(), String> {
        self.reads += 1;
        if self.reads > MAX_READS {
            return Err(format!(
                "the document reads tables more than {MAX_READS} times: ask for less in one document"
            ));
        }
        Ok(())
    }

    fn root_node(
        &mut self,
        place: Place,
        name: &str,
        fields: &[&'a Positioned<Field>],
    ) -> Result<(Node<'m>, bool), ServerError> {
        if let Some(table) = self.model.types.get(name) {
            let arguments = list_arguments(self, table, fields[0])?;
            return Ok((self.node(place, table, arguments, fields)?, false));
        }
        let by_key = name.strip_suffix("_by_pk").and_then(|name| self.model.types.get(name));
        let Some(table) = by_key else {
            let roots = self.model.types.keys().map(String::as_str);
            return Err(error(unknown("field", name, "query_root", roots), place.pos));
        };
        let filter = Filter::And(key_arguments(self, table, fields[0])?);
        let arguments = ListArguments { filter: Some(filter), ..Default::default() };
        Ok((self.node(place, table, arguments, fields)?, true))
    }

    fn node(
        &mut self,
        place: Place,
        table: &'m TableType,
        arguments: ListArguments<'m>,
        fields: &[&'a Positioned<Field>],
    ) -> Result<Node<'m>, ServerError> {
        self.count_read().map_err(|message| error(message, place.pos))?;
        let sets = fields.iter().map(|field| &field.node.selection_set.node).collect();
        let mut outputs = Vec::new();
        for (key, fields) in self.merge(sets, &table.name)? {
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
                    let node = self.node(place.of(&key, first.pos), target, arguments, &fields)?;
                    outputs.push(Output::Edge { key, edge, node });
                }
                None => return Err(error(table.unknown_field(name), first.pos)),
            }
        }
        Ok(Node { place, table, arguments, outputs })
    }

    /// The fields of `sets` by response key, in the order of their first occurrence, fragments expanded.
    fn merge(
        &self,
        sets: Vec<&'a SelectionSet>,
        on: &str,
    ) -> Result<IndexMap<String, Vec<&'a Positioned<Field>>>, ServerError> {
        let mut merged = IndexMap::new();
        for set in sets {
            self.collect(set, on, &mut merged)?;
        }
        Ok(merged)
    }

    fn collect(
        &self,
        set: &'a SelectionSet,
        on: &str,
        merged: &mut IndexMap<String, Vec<&'a Positioned<Field>>>,
    ) -> Result<(), ServerError> {
        for selection in &set.items {
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
                        self.collect(&fragment.node.selection_set.node, on, merged)?;
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let Some(fragment) = self.document.fragments.get(name) else {
                        return Err(error(format!("unknown fragment {:?}", name.as_str()), selection.pos));
                    };
                    if fragment.node.type_condition.node.on.node == on {
                        self.collect(&fragment.node.selection_set.node, on, merged)?;
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

    /// A value with its variables put in, as [`Values::resolve`].
    pub(super) fn resolve(&self, value: &async_graphql_value::Value) -> Option<ConstValue> {
        self.values.resolve(value)
    }
}
