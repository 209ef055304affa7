//! What a document asks for, counted before anything works on it.
//!
//! Why can a short document not keep the server busy? With fragments that spread fragments, some hundred bytes
//! select millions of fields, and validation walks all of them. Here each fragment is counted once, and where it is
//! spread its count is added. A chain of fragments is as deep as it is long; walking stops at the limit.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql::{Name, Pos, Positioned, ServerError};

/// Levels of nested fields that a document may select.
pub(super) const MAX_DEPTH: usize = 15;
/// Fields that a document may select after fragments are expanded, and selections that it may be written with.
pub(super) const MAX_FIELDS: usize = 2_000;
/// Tables that a document may read, each counted as often as it is read: for each list or object that is
/// selected, and for each relationship in a condition or an order.
pub(super) const MAX_READS: usize = 200;
/// Comparisons that a document may hold, in all of its conditions, variables included.
pub(super) const MAX_CONDITIONS: usize = 1_000;
/// Levels of nested conditions, variables included.
pub(super) const MAX_CONDITION_DEPTH: usize = 20;
/// Levels below `__schema` and `__type`: clients' own introspection goes 15 deep.
const MAX_INTROSPECTION_DEPTH: usize = 25;
/// How often lists of introspection may nest: each level multiplies the answer by the size of the schema.
const MAX_INTROSPECTION_LISTS: usize = 2;
/// Introspection's fields and large lists that a document may ask for: a client's own introspection has 6.
const MAX_INTROSPECTION_FIELDS: usize = 20;
/// Selection sets within each other after fragments are expanded; async-graphql walks no deeper.
const MAX_SETS: usize = 32;

/// Refuses a document that asks for too much.
///
/// # Errors
///
/// Names the bound, at the operation or fragment that passes it.
pub(super) fn check(document: &ExecutableDocument) -> Result<(), ServerError> {
    let mut counter = Counter { document, fragments: HashMap::new(), written: 0 };
    for name in document.fragments.keys() {
        counter.fragment(name, Pos::default(), 1)?;
    }
    let mut fields = 0usize;
    for (_, operation) in document.operations.iter() {
        let set = &operation.node.selection_set;
        let size = counter.set(&set.node, 1)?;
        fields = fields.saturating_add(size.fields);
        if fields > MAX_FIELDS {
            return Err(error(format!("the document selects more than {MAX_FIELDS} fields"), set.pos));
        }
        if size.depth > MAX_DEPTH {
            return Err(error(format!("the document is nested deeper than {MAX_DEPTH} levels"), set.pos));
        }
        if size.sets > MAX_SETS {
            return Err(too_many_sets(set.pos));
        }
        if size.introspected > MAX_INTROSPECTION_FIELDS {
            let message =
                format!("the document asks for more than {MAX_INTROSPECTION_FIELDS} lists of introspection");
            return Err(error(message, set.pos));
        }
    }
    Ok(())
}

/// What a selection set comes to.
#[derive(Debug, Default, Clone, Copy)]
struct Size {
    fields: usize,
    depth: usize,
    sets: usize,
    /// Lists of introspection within each other, and in all, should this be within `__schema` or `__type`.
    introspection_lists: usize,
    lists: usize,
    /// What is within `__schema` or `__type`, with these.
    introspected: usize,
}

impl Size {
    fn add(&mut self, other: Self) {
        self.fields = self.fields.saturating_add(other.fields);
        self.depth = self.depth.max(other.depth);
        self.sets = self.sets.max(other.sets);
        self.introspection_lists = self.introspection_lists.max(other.introspection_lists);
        self.lists = self.lists.saturating_add(other.lists);
        self.introspected = self.introspected.saturating_add(other.introspected);
    }
}

struct Counter<'a> {
    document: &'a ExecutableDocument,
    /// `None` while a fragment is being counted: to meet it then is a cycle.
    fragments: HashMap<&'a Name, Option<Size>>,
    written: usize,
}

impl<'a> Counter<'a> {
    fn set(&mut self, set: &'a SelectionSet, level: usize) -> Result<Size, ServerError> {
        let mut size = Size::default();
        for selection in &set.items {
            self.written += 1;
            if self.written > MAX_FIELDS {
                let message = format!("the document is written with more than {MAX_FIELDS} selections");
                return Err(error(message, selection.pos));
            }
            if level > MAX_SETS {
                return Err(too_many_sets(selection.pos));
            }
            size.add(match &selection.node {
                Selection::Field(field) => self.field(field, level)?,
                Selection::InlineFragment(fragment) => {
                    self.set(&fragment.node.selection_set.node, level + 1)?
                }
                Selection::FragmentSpread(spread) => {
                    self.fragment(&spread.node.fragment_name.node, selection.pos, level + 1)?
                }
            });
        }
        size.sets += 1;
        Ok(size)
    }

    fn field(&mut self, field: &'a Positioned<Field>, level: usize) -> Result<Size, ServerError> {
        let mut size = self.set(&field.node.selection_set.node, level + 1)?;
        match field.node.name.node.as_str() {
            "__schema" | "__type" => {
                if size.depth > MAX_INTROSPECTION_DEPTH || size.introspection_lists > MAX_INTROSPECTION_LISTS {
                    let message = format!(
                        "introspection is nested deeper than {MAX_INTROSPECTION_DEPTH} levels or \
                         {MAX_INTROSPECTION_LISTS} lists"
                    );
                    return Err(error(message, field.pos));
                }
                size.introspected = size.introspected.saturating_add(size.lists.saturating_add(1));
                size.depth = 0;
                (size.introspection_lists, size.lists) = (0, 0);
            }
            "types" => size.lists = size.lists.saturating_add(1),
            "fields" | "interfaces" | "possibleTypes" | "inputFields" => {
                size.introspection_lists += 1;
                size.lists = size.lists.saturating_add(1);
            }
            _ => {}
        }
        size.fields = size.fields.saturating_add(1);
        size.depth += 1;
        Ok(size)
    }

    fn fragment(&mut self, name: &'a Name, pos: Pos, level: usize) -> Result<Size, ServerError> {
        // One that is not there is validation's to report.
        let Some(fragment) = self.document.fragments.get(name) else { return Ok(Size::default()) };
        match self.fragments.get(name) {
            Some(Some(size)) => return Ok(*size),
            Some(None) => return Err(error(format!("fragment {:?} spreads itself", name.as_str()), pos)),
            None => {}
        }
        self.fragments.insert(name, None);
        let size = self.set(&fragment.node.selection_set.node, level)?;
        // Its parts may have been counted before, one by one, so the walk need not have met the limit.
        if size.sets > MAX_SETS {
            return Err(too_many_sets(fragment.pos));
        }
        self.fragments.insert(name, Some(size));
        Ok(size)
    }
}

fn too_many_sets(pos: Pos) -> ServerError {
    let message = format!("the document is nested deeper than {MAX_SETS} levels of fields and fragments");
    error(message, pos)
}

/// An error at `pos`.
pub(super) fn error(message: String, pos: Pos) -> ServerError {
    ServerError::new(message, Some(pos))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::syntax::parse;
    use super::*;

    fn message(document: &str) -> String {
        check(&parse(document).unwrap()).err().map(|error| error.message).unwrap_or_default()
    }

    fn bomb(levels: usize) -> String {
        let fragments = (0..levels).map(|level| {
            let next = level + 1;
            format!("fragment f{level} on users {{ ...f{next} ...f{next} }} ")
        });
        format!("{{ users {{ ...f0 }} }} {}fragment f{levels} on users {{ id }}", fragments.collect::<String>())
    }

    #[test]
    fn fragments_that_multiply_are_counted_without_being_walked() {
        let started = Instant::now();
        assert!(message(&bomb(22)).contains("more than 2000 fields"));
        assert!(message(&bomb(200)).contains("deeper than 32 levels"));
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
        assert_eq!(message(&bomb(8)), "");
    }

    #[test]
    fn cycles_and_chains_that_no_operation_spreads_are_refused() {
        assert!(message("{ a } fragment f on q { ...g } fragment g on q { ...f }").contains("spreads itself"));
        let chain = (0..1_500).map(|level| format!("fragment f{level} on q {{ ...f{} }} ", level + 1));
        assert!(message(&format!("{{ a }} {}", chain.collect::<String>())).contains("deeper than 32"));
        assert!(message(&format!("{{ {} }}", "a ".repeat(2_001))).contains("more than 2000"));
    }

    #[test]
    fn introspection_is_deep_but_does_not_multiply() {
        let types = "kind ofType { ".repeat(9) + "name" + &" }".repeat(9);
        let asked = format!("{{ __schema {{ types {{ fields {{ args {{ type {{ {types} }} }} }} }} }} }}");
        assert_eq!(message(&asked), "");
        let multiplies = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }";
        assert!(message(multiplies).contains("introspection is nested deeper"));
        let repeats = (0..10).map(|alias| format!("a{alias}: __schema {{ types {{ name }} }} "));
        assert_eq!(message(&format!("{{ {} }}", repeats.clone().collect::<String>())), "");
        let repeats =
            format!("{{ {} __typename b: __schema {{ types {{ name }} }} }}", repeats.collect::<String>());
        assert!(message(&repeats).contains("more than 20 lists of introspection"));
        let types = (0..30).map(|field| format!("t{field} {{ fields {{ types {{ id }} }} }} "));
        assert_eq!(message(&format!("{{ {} }}", types.collect::<String>())), "");
    }
}
