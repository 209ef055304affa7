//! The values of an operation's variables.
//!
//! What is absent and optional is an absent argument or input field, as if it had not been written. What is
//! required has to be there: a missing key must never turn a condition into "everything".

use async_graphql::parser::types::{OperationDefinition, VariableDefinition};
use async_graphql::{Name, Positioned, ServerError, Value as ConstValue, Variables};
use async_graphql_value::Value;

use super::bounds::error;

/// Variables as defined by an operation and given with a request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    definitions: &'a [Positioned<VariableDefinition>],
    given: &'a Variables,
}

impl<'a> Values<'a> {
    /// The variables of `operation`.
    ///
    /// # Errors
    ///
    /// If one that may not be null is null, or is absent and has no default.
    pub(super) fn new(operation: &'a OperationDefinition, given: &'a Variables) -> Result<Self, ServerError> {
        let definitions = &operation.variable_definitions;
        for definition in definitions.iter().filter(|definition| !definition.node.var_type.node.nullable) {
            let name = &definition.node.name.node;
            let found = match given.get(name) {
                Some(ConstValue::Null) => "null",
                None if definition.node.default_value.is_none() => "nothing",
                _ => continue,
            };
            let var_type = &definition.node.var_type.node;
            let message = format!("variable ${name} of type {var_type} is required, found {found}");
            return Err(error(message, definition.pos));
        }
        Ok(Self { definitions, given })
    }

    /// `value` with its variables put in; `None` for a variable that was not given.
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
        if let Some(value) = self.given.get(name) {
            return Some(value.clone());
        }
        let definition = self.definitions.iter().find(|definition| definition.node.name.node == *name)?;
        definition.node.default_value.as_ref().map(|default| default.node.clone())
    }
}
