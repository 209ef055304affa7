//! Opens the live views of a query.
//!
//! Why can queries that wait for connections of the same sources not wait for each other for ever? Each waits for one
//! connection at a time, in the order of the sources' names. What a view takes beside its connection goes on side by side.

use std::sync::Arc;

use crossweave_contract::{
    ConnectorError, Consistency, ErrorKind, Lender, RowBudget, ServiceName, Source, SourceId, TableDef,
    TableId, TableWanted, Turn,
};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use super::engine::Engine;
use super::memory::LentForRows;
use super::{QueryError, QueryErrorKind};
use crate::catalog::Catalog;
use crate::federation::LiveSource;

/// A source, and the tables of its services that are read.
pub(super) struct Wanting {
    pub(super) source: SourceId,
    pub(super) services: Vec<(ServiceName, Vec<TableId>)>,
}

/// A view, and the definitions that it shows.
pub(super) type Opened = (Arc<LiveSource>, Vec<(TableId, Arc<TableDef>)>);

/// Opens a view of each of `sources`, which are in the order of their names, and asks it for the definitions of its tables. A
/// table that is altered just then, or a connection that is lost, makes a view useless; one more, younger than that, is
/// tried.
pub(super) async fn open(
    engine: &Engine,
    catalog: &Arc<Catalog>,
    sources: &[Wanting],
    consistency: Consistency,
    deadline: Instant,
) -> Result<Vec<Opened>, QueryError> {
    let openings = sources.iter().map(|of| Opening::of(engine, catalog, of, consistency, deadline));
    let openings = openings.collect::<Result<Vec<_>, _>>()?;
    if let [_, _, ..] = openings[..]
        && let Some(opened) = side_by_side(&openings).await?
    {
        return Ok(opened);
    }
    let mut opened = Vec::with_capacity(openings.len());
    for opening in &openings {
        opened.push(opening.alone().await?);
    }
    Ok(opened)
}

/// All views; `None` where one more try may do: none of them holds a connection then.
async fn side_by_side(openings: &[Opening<'_>]) -> Result<Option<Vec<Opened>>, QueryError> {
    let turns = Arc::new(Mutex::new(()));
    let mut begun = Vec::with_capacity(openings.len());
    for opening in openings {
        let turn = Arc::clone(&turns).lock_owned().await;
        begun.push(opening.begin(Some(turn)));
    }
    let mut opened = Vec::with_capacity(openings.len());
    for (begun, opening) in begun.into_iter().zip(openings) {
        match begun.await {
            Ok(Ok(view)) => opened.push(view),
            Ok(Err((true, _))) => return Ok(None),
            Ok(Err((false, error))) => return Err(opening.unread(error)),
            Err(_) => return Err(opening.lost()),
        }
    }
    Ok(Some(opened))
}

/// What opening a view of one source takes.
struct Opening<'a> {
    engine: &'a Engine,
    of: &'a Wanting,
    source: &'a Arc<dyn Source>,
    tables: Vec<TableWanted>,
    consistency: Consistency,
    deadline: Instant,
    lender: Arc<LentForRows>,
}

/// How it went; of an error whether one more try may do.
type Outcome = Result<Opened, (bool, ConnectorError)>;

impl<'a> Opening<'a> {
    fn of(
        engine: &'a Engine,
        catalog: &Arc<Catalog>,
        of: &'a Wanting,
        consistency: Consistency,
        deadline: Instant,
    ) -> Result<Self, QueryError> {
        let source = engine.inner.parts.sources.get(&of.source).ok_or_else(|| {
            QueryError::new(QueryErrorKind::Internal, format!("source {} has no connector", of.source))
        })?;
        let mut tables = Vec::new();
        for (service, ids) in &of.services {
            let database = &catalog.services[service].database;
            let booleans = engine.inner.parts.booleans.get(service).cloned().unwrap_or_default();
            tables.extend(ids.iter().map(|id| TableWanted {
                table: id.clone(),
                database: database.clone(),
                booleans: booleans.clone(),
            }));
        }
        let lender = Arc::new(engine.memory().for_rows("rows of sources that wait"));
        Ok(Self { engine, of, source, tables, consistency, deadline, lender })
    }

    /// Opens it on the runtime that serves its sockets.
    fn begin(&self, turn: Option<Turn>) -> AbortOnDropHandle<Outcome> {
        let (source, tables) = (Arc::clone(self.source), self.tables.clone());
        let (io, statements) = (self.engine.inner.io.clone(), self.engine.inner.counters.statements.clone());
        let lender = Arc::clone(&self.lender) as Arc<dyn Lender>;
        let budget = RowBudget::lent_by(lender, self.engine.inner.options.live_buffer);
        let (consistency, deadline) = (self.consistency, self.deadline);
        let work = self.engine.inner.io.spawn(async move {
            let time = deadline.saturating_duration_since(Instant::now());
            let view = match turn {
                Some(turn) => source.open_view_in_turn(consistency, time, budget, turn).await,
                None => source.open_view_of(consistency, time, budget).await,
            };
            let view = view.map_err(|error| (error.kind == ErrorKind::DefinitionChanged, error))?;
            let found = view.definitions(&tables).await;
            let found = found.map_err(|error| (error.kind.is_transient(), error))?;
            let defs = tables.into_iter().zip(found).map(|(wanted, def)| (wanted.table, Arc::new(def)));
            Ok((Arc::new(LiveSource::new(source, view, io, statements)), defs.collect()))
        });
        AbortOnDropHandle::new(work)
    }

    async fn alone(&self) -> Result<Opened, QueryError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.begin(None).await {
                Ok(Ok(opened)) => return Ok(opened),
                Ok(Err((true, _))) if tries == 1 => {}
                Ok(Err((_, error))) => return Err(self.unread(error)),
                Err(_) => return Err(self.lost()),
            }
        }
    }

    /// The failure of a source, which is known by its address, told by the services that it was to be read for.
    fn unread(&self, error: ConnectorError) -> QueryError {
        let names: Vec<&str> = self.of.services.iter().map(|(service, _)| service.as_str()).collect();
        let plural = if names.len() == 1 { "" } else { "s" };
        let mut error = QueryError::from(error);
        error.message = format!("service{plural} {}: {}", names.join(", "), error.message);
        match &self.of.services[..] {
            [(service, _)] => error.of_service(service.clone()),
            _ => error,
        }
    }

    fn lost(&self) -> QueryError {
        let message = format!("opening a view of source {} ended unexpectedly", self.of.source);
        QueryError::new(QueryErrorKind::Internal, message)
    }
}
