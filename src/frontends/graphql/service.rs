//! One request: check, compile, pin, run, write.

use std::sync::Arc;
use std::time::Duration;

use async_graphql::dynamic::Schema;
use async_graphql::parser::parse_query;
use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationDefinition};
use async_graphql::{Request, ServerError, Value};
use futures::future::try_join_all;
use parking_lot::Mutex;
use serde_json::json;

use super::document::{MAX_DEPTH, Reader, Root};
use super::execute::{Executor, Run};
use super::model::Model;
use super::plan::Planner;
use super::response::write_data;
use super::schema;
use crate::catalog::Catalog;
use crate::policy::Identity;
use crate::query::{Engine, QueryError, QueryErrorKind, RouteSettings, RouteTaken, ServiceRead};

/// Brackets that a document may open within each other. The parser recurses, so this is looked at before it.
const MAX_BRACKETS: usize = 4 * MAX_DEPTH;

/// Answers requests; keeps the schema of the catalog's epoch.
pub(super) struct Service {
    engine: Engine,
    current: Mutex<Option<Arc<Served>>>,
}

/// A catalog with its schema.
pub(super) struct Served {
    catalog: Arc<Catalog>,
    model: Model,
    pub(super) schema: Schema,
}

/// An answer, as the transport sends it.
pub(super) struct Answer {
    /// The body.
    pub(super) json: String,
    /// Whether the request itself was at fault: it was not run.
    pub(super) request_error: bool,
}

impl Service {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, current: Mutex::new(None) }
    }

    /// The current catalog.
    pub(super) fn catalog(&self) -> Arc<Catalog> {
        self.engine.catalog()
    }

    /// The schema of the current catalog.
    pub(super) fn served(&self) -> Result<Arc<Served>, QueryError> {
        let catalog = self.engine.catalog();
        let mut current = self.current.lock();
        if let Some(served) = current.as_ref().filter(|served| served.catalog.epoch == catalog.epoch) {
            return Ok(Arc::clone(served));
        }
        let model = Model::new(&catalog);
        let schema = schema::build(&model).map_err(|error| {
            QueryError::new(QueryErrorKind::Internal, format!("the GraphQL schema cannot be built: {error}"))
        })?;
        let served = Arc::new(Served { catalog, model, schema });
        *current = Some(Arc::clone(&served));
        Ok(served)
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request, identity: &Identity, routes: &RouteSettings) -> Answer {
        let served = match self.served() {
            Ok(served) => served,
            Err(error) => return Answer::failed(&[query_error(&error)]),
        };
        let (document, introspection, request) = match served.validate(request).await {
            Ok(parts) => parts,
            Err(errors) => return Answer::refused(&errors),
        };
        let operation = match operation(&document, request.operation.as_deref()) {
            Ok(operation) => operation,
            Err(error) => return Answer::refused(&[error]),
        };
        let read = Reader::new(&served.model, &document, &request.variables).read(operation);
        let read = match read {
            Ok(read) => read,
            Err(error) => return Answer::refused(&[error]),
        };
        match self.run(&served, &read, &introspection, identity, routes).await {
            Ok((data, reads)) => Answer::data(&data, &reads),
            Err(error) => Answer::failed(&[query_error(&error)]),
        }
    }

    async fn run(
        &self,
        served: &Served,
        document: &super::document::Document<'_>,
        introspection: &Value,
        identity: &Identity,
        routes: &RouteSettings,
    ) -> Result<(String, Vec<ServiceRead>), QueryError> {
        let mut out = String::new();
        let tables = document.tables();
        if tables.is_empty() {
            write_data(document, &[], introspection, &mut out);
            return Ok((out, Vec::new()));
        }
        let pinned = self.engine.pin(identity, &tables, routes).await?;
        let planner = Planner::new(&self.engine, &served.catalog, &served.model);
        let executor = Executor { engine: &self.engine, pinned: &pinned, planner: Mutex::new(planner) };
        let roots = document.roots.iter().filter_map(|root| match root {
            Root::Rows { node, .. } => Some(executor.root(node)),
            _ => None,
        });
        let levels = try_join_all(roots).await?;
        write_data(document, &levels, introspection, &mut out);
        Ok((out, pinned.reads()))
    }
}

/// What is left of a request once its document is taken out.
struct Rest {
    operation: Option<String>,
    variables: async_graphql::Variables,
}

impl Served {
    /// Parses and validates, and runs what is introspection.
    async fn validate(
        &self,
        mut request: Request,
    ) -> Result<(ExecutableDocument, Value, Rest), Vec<ServerError>> {
        if brackets(&request.query) > MAX_BRACKETS {
            let message = format!("the document is nested deeper than {MAX_BRACKETS} brackets");
            return Err(vec![ServerError::new(message, None)]);
        }
        let document = parse_query(&request.query).map_err(|error| vec![ServerError::from(error)])?;
        request.set_parsed_query(document.clone());
        let rest = Rest { operation: request.operation_name.clone(), variables: request.variables.clone() };
        let run = if introspects(&document) { Run::Introspection } else { Run::ValidationOnly };
        let response = self.schema.execute(request.data(run)).await;
        if response.errors.is_empty() { Ok((document, response.data, rest)) } else { Err(response.errors) }
    }
}

/// Whether a field of introspection occurs anywhere in the document.
fn introspects(document: &ExecutableDocument) -> bool {
    use async_graphql::parser::types::{Selection, SelectionSet};
    fn within(set: &SelectionSet) -> bool {
        set.items.iter().any(|selection| match &selection.node {
            Selection::Field(field) => matches!(field.node.name.node.as_str(), "__schema" | "__type"),
            Selection::InlineFragment(fragment) => within(&fragment.node.selection_set.node),
            Selection::FragmentSpread(_) => false,
        })
    }
    document.operations.iter().any(|(_, operation)| within(&operation.node.selection_set.node))
        || document.fragments.values().any(|fragment| within(&fragment.node.selection_set.node))
}

fn operation<'a>(
    document: &'a ExecutableDocument,
    name: Option<&str>,
) -> Result<&'a OperationDefinition, ServerError> {
    let operation = match (&document.operations, name) {
        (DocumentOperations::Single(operation), _) => Some(operation),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name),
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => operations.values().next(),
        (DocumentOperations::Multiple(_), None) => None,
    };
    operation.map(|operation| &operation.node).ok_or_else(|| {
        let message = "operationName has to name one of the document's operations".to_owned();
        ServerError::new(message, None)
    })
}

/// How deep brackets are nested in `query`, outside of strings and comments.
fn brackets(query: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    let mut rest = query.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'{' | b'[' | b'(' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            b'#' => rest = after(rest, |bytes| bytes.starts_with(b"\n"), 1),
            b'"' if rest.starts_with(b"\"\"") => {
                rest = after(&rest[2..], |bytes| bytes.starts_with(b"\"\"\""), 3)
            }
            b'"' => rest = after_string(rest),
            _ => {}
        }
    }
    deepest
}

fn after(bytes: &[u8], end: impl Fn(&[u8]) -> bool, length: usize) -> &[u8] {
    (0..bytes.len()).find(|&at| end(&bytes[at..])).map_or(&[], |at| &bytes[at + length..])
}

fn after_string(mut bytes: &[u8]) -> &[u8] {
    while let Some((&byte, tail)) = bytes.split_first() {
        match byte {
            b'\\' => bytes = tail.get(1..).unwrap_or_default(),
            b'"' | b'\n' => return tail,
            _ => bytes = tail,
        }
    }
    bytes
}

impl Answer {
    fn data(data: &str, reads: &[ServiceRead]) -> Self {
        let reads: Vec<_> = reads
            .iter()
            .map(|read| {
                json!({
                    "service": read.service.as_str(),
                    "route": match read.route { RouteTaken::Live => "live", RouteTaken::Cached => "cached" },
                    "position": read.position.as_ref().map(ToString::to_string),
                    "age_ms": read.age.map(|age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
                })
            })
            .collect();
        let extensions = json!({ "crossweave": { "reads": reads } });
        Self { json: format!("{{\"data\":{data},\"extensions\":{extensions}}}"), request_error: false }
    }

    /// The request is at fault: there is no `data`.
    fn refused(errors: &[ServerError]) -> Self {
        Self { json: json!({ "errors": errors }).to_string(), request_error: true }
    }

    /// The request was fine, running it was not.
    fn failed(errors: &[ServerError]) -> Self {
        Self { json: json!({ "data": null, "errors": errors }).to_string(), request_error: false }
    }
}

fn query_error(error: &QueryError) -> ServerError {
    let mut extensions = async_graphql::ErrorExtensionValues::default();
    extensions.set("code", format!("{:?}", error.kind).to_uppercase());
    if let Some(hint) = &error.hint {
        extensions.set("hint", hint.as_str());
    }
    ServerError { extensions: Some(extensions), ..ServerError::new(error.message.clone(), None) }
}

/// The schema definition of `catalog`, as `/schema.graphql` serves it.
pub fn sdl(catalog: &Catalog) -> Result<String, String> {
    let schema = schema::build(&Model::new(catalog)).map_err(|error| error.to_string())?;
    Ok(schema.sdl())
}

#[cfg(test)]
mod tests {
    use super::brackets;

    #[test]
    fn counts_brackets_outside_of_strings_and_comments() {
        assert_eq!(brackets("{ a(b: [1]) { c } }"), 3);
        assert_eq!(brackets("{ a(b: \"{{{\\\"{{{\") # {{{{\n { c } }"), 2);
        assert_eq!(brackets("{ a(b: \"\"\"{{{\"{{{\"\"\") { c } }"), 2);
        assert_eq!(brackets(&"{a".repeat(50_000)), 50_000);
        assert_eq!(brackets("\"\\"), 0);
    }
}
