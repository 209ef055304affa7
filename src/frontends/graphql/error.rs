//! What goes wrong, as GraphQL clients see it: where in the document, of which service, and what mends it in terms
//! of what such a client can do.

use async_graphql::dynamic::Schema;
use async_graphql::registry::MetaType;
use async_graphql::{ErrorExtensionValues, PathSegment, ServerError};

use super::document::Place;
use super::schema::as_shown;
use crate::catalog::{Catalog, nearest};
use crate::frontends::routes::header_hint;
use crate::query::QueryError;

/// A failed query, with the field that failed where that is known.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: QueryError,
    pub(super) place: Option<Place>,
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        Self { error, place: None }
    }
}

impl From<Failure> for ServerError {
    fn from(Failure { error, place }: Failure) -> Self {
        let mut extensions = ErrorExtensionValues::default();
        extensions.set("code", format!("{:?}", error.kind).to_uppercase());
        if let Some(hint) = header_hint(&error).or_else(|| error.hint.clone()) {
            extensions.set("hint", hint);
        }
        if let Some(service) = &error.service {
            extensions.set("service", service.as_str());
        }
        let place = place.as_ref();
        let path = place.map(|place| place.path.iter().cloned().map(PathSegment::Field).collect());
        let answer = ServerError::new(error.message, place.map(|place| place.pos));
        ServerError { extensions: Some(extensions), path: path.unwrap_or_default(), ..answer }
    }
}

/// What validation reports, with the name that was probably meant, and with why a type may not be there.
pub(super) fn explained(errors: Vec<ServerError>, schema: &Schema, catalog: &Catalog) -> Vec<ServerError> {
    let mut errors = errors;
    for error in &mut errors {
        error.message = as_shown(&error.message);
        if let Some(meant) = meant(&error.message, schema) {
            error.message.push_str(&format!(". Did you mean {meant:?}?"));
        }
    }
    let unread = catalog.services.values().filter(|service| service.tables.is_empty());
    let reasons = unread.filter_map(|service| {
        let reason = service.unreachable.as_ref()?;
        Some(format!("Tables of the service {} are not known: {reason}", service.name))
    });
    let hint = reasons.collect::<Vec<_>>().join("; ");
    let unknown = |error: &&mut ServerError| error.message.to_lowercase().contains("unknown");
    if !hint.is_empty() {
        for error in errors.iter_mut().filter(unknown) {
            let extensions = error.extensions.get_or_insert_default();
            extensions.set("hint", hint.as_str());
        }
    }
    errors
}

/// The input field that was meant, where `message` says that there is none of its name. async-graphql names what
/// is there for fields of objects, but not for fields of inputs; of them it leaves us only its words.
fn meant<'s>(message: &str, schema: &'s Schema) -> Option<&'s str> {
    let (_, rest) = message.split_once("unknown field \"")?;
    let (name, rest) = rest.split_once("\" of type \"")?;
    let input = rest.strip_suffix('"')?;
    match schema.registry().types.get(input)? {
        MetaType::InputObject { input_fields, .. } => nearest(name, input_fields.keys().map(String::as_str)),
        _ => None,
    }
}
