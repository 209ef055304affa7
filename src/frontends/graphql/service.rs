//! One request: check, compile, pin, run, write.
//!
//! All of it is done on the engine's own threads: plans are made here, and rows are put together and written, all
//! of which takes time and a deep stack, and none of which may hold up the threads that serve sockets.

use crossweave_contract::Consistency;
use std::sync::Arc;
use std::time::Duration;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, OperationType,
};
use async_graphql::{Request, ServerError, Value, Variables};
use futures::future::try_join_all;
use parking_lot::Mutex;
use serde_json::json;

use super::bounds;
use super::document::{Document, Reader, Root};
use super::error::{Failure, explained};
use super::execute::Executor;
use super::model::Model;
use super::plan::Planner;
use super::response::write_data;
use super::schema::Schemas;
use super::syntax;
use crate::catalog::Catalog;
use crate::policy::Identity;
use crate::query::{Engine, QueryError, QueryErrorKind, RouteSettings, ServiceRead};

/// Answers requests; keeps the schema of the catalog's epoch.
pub(super) struct Service {
    engine: Engine,
    current: Mutex<Option<Arc<Served>>>,
}

/// A catalog with its schema.
pub(super) struct Served {
    catalog: Arc<Catalog>,
    model: Model,
    schemas: Schemas,
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
        let schemas = Schemas::new(&model).map_err(|error| {
            QueryError::new(QueryErrorKind::Internal, format!("the GraphQL schema cannot be built: {error}"))
        })?;
        let served = Arc::new(Served { catalog, model, schemas });
        *current = Some(Arc::clone(&served));
        Ok(served)
    }

    /// Answers one request.
    pub(super) async fn answer(
        self: &Arc<Self>,
        request: Request,
        identity: Identity,
        routes: RouteSettings,
    ) -> Answer {
        let service = Arc::clone(self);
        let work = async move { Ok(service.work(request, &identity, &routes).await) };
        self.engine.on_plans(work).await.unwrap_or_else(|error| Answer::failed(Failure::from(error)))
    }

    async fn work(&self, request: Request, identity: &Identity, routes: &RouteSettings) -> Answer {
        let served = match self.served() {
            Ok(served) => served,
            Err(error) => return Answer::failed(Failure::from(error)),
        };
        let checked = match served.check(request).await {
            Ok(checked) => checked,
            Err(errors) => return Answer::refused(&errors),
        };
        let document = match checked.read(&served.model) {
            Ok(document) => document,
            Err(error) => return Answer::refused(&[error]),
        };
        match self.run(&served, &document, &checked.introspection, identity, routes).await {
            Ok((data, reads)) => Answer::data(&data, &reads),
            Err(failure) => Answer::failed(failure),
        }
    }

    async fn run(
        &self,
        served: &Served,
        document: &Document<'_>,
        introspection: &Value,
        identity: &Identity,
        routes: &RouteSettings,
    ) -> Result<(String, Vec<ServiceRead>), Failure> {
        let tables = document.tables();
        if tables.is_empty() {
            return Ok((write_data(document, &[], introspection, None)?, Vec::new()));
        }
        let pinned = self.engine.pin(identity, &tables, routes).await.map_err(|error| {
            let place = error.service.as_ref().and_then(|service| document.first_read(service));
            Failure { place: place.cloned(), error }
        })?;
        let planner = Planner::new(&self.engine, &served.catalog, &served.model);
        let executor = Executor::new(&self.engine, &pinned, planner);
        let roots = document.roots.iter().filter_map(|root| match root {
            Root::Rows { node, .. } => Some(executor.root(node)),
            _ => None,
        });
        let levels = try_join_all(roots).await?;
        let data = write_data(document, &levels, introspection, Some(pinned.deadline()))?;
        Ok((data, pinned.reads()))
    }
}

/// A request that is within bounds and valid.
struct Checked {
    document: ExecutableDocument,
    operation: Option<String>,
    variables: Variables,
    /// The answer to what is introspection.
    introspection: Value,
}

impl Checked {
    fn read<'m>(&self, model: &'m Model) -> Result<Document<'m>, ServerError> {
        let operation = operation(&self.document, self.operation.as_deref())?;
        Reader::new(model, &self.document, operation, &self.variables)?.read()
    }
}

impl Served {
    /// Parses, counts and validates, and runs what is introspection.
    async fn check(&self, mut request: Request) -> Result<Checked, Vec<ServerError>> {
        let document = syntax::parse(&request.query).map_err(|error| vec![error])?;
        let one = |error| vec![error];
        operation(&document, request.operation_name.as_deref()).map_err(one)?;
        bounds::check(&document).map_err(one)?;
        let (operation, variables) = (request.operation_name.clone(), request.variables.clone());
        let mut asked = Request::new("").variables(variables.clone());
        asked.operation_name = operation.clone();
        asked.set_parsed_query(document.clone());
        let response = self.schemas.checking.execute(asked).await;
        if !response.errors.is_empty() {
            return Err(explained(response.errors, &self.schemas.checking, &self.catalog));
        }
        let mut introspection = Value::Null;
        if introspects(&document) {
            request.set_parsed_query(document.clone());
            let response = self.schemas.shown.execute(request).await;
            if !response.errors.is_empty() {
                return Err(response.errors);
            }
            introspection = response.data;
        }
        Ok(Checked { document, operation, variables, introspection })
    }

    /// The schema's definition.
    pub(super) fn sdl(&self) -> String {
        self.schemas.shown.sdl()
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

/// The operation to run: a query, of that name if there are several.
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
    let operation = operation.ok_or_else(|| {
        let message = "operationName has to name one of the document's operations".to_owned();
        ServerError::new(message, None)
    })?;
    match operation.node.ty {
        OperationType::Query => Ok(&operation.node),
        other => {
            let message = format!(
                "a {other} is not served: only queries are, for Crossweave writes nothing to a source and pushes \
                 nothing to a client"
            );
            Err(bounds::error(message, operation.pos))
        }
    }
}

impl Answer {
    fn data(data: &str, reads: &[ServiceRead]) -> Self {
        let reads: Vec<_> = reads
            .iter()
            .map(|read| {
                let mut said = json!({
                    "service": read.service.as_str(),
                    "route": read.route.name(),
                    "position": read.position.as_ref().map(ToString::to_string),
                    "age_ms": read.age.map(|age: Duration| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
                });
                if read.consistency == Consistency::Statement {
                    said["consistency"] = json!("statement");
                }
                if let (Some(server), Some(members)) = (&read.server, said.as_object_mut()) {
                    members.insert("server".to_owned(), json!(server));
                }
                said
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
    fn failed(failure: Failure) -> Self {
        let errors = [ServerError::from(failure)];
        Self { json: json!({ "data": null, "errors": errors }).to_string(), request_error: false }
    }
}

/// The schema definition of `catalog`, as `/schema.graphql` serves it.
pub fn sdl(catalog: &Catalog) -> Result<String, String> {
    let schemas = Schemas::new(&Model::new(catalog)).map_err(|error| error.to_string())?;
    Ok(schemas.shown.sdl())
}
