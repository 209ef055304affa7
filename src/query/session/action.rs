//! What each kind of statement does.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use crossweave_contract::TableId;
use datafusion::scalar::ScalarValue;
use tokio::time::Instant;

use super::known::Asked;
use super::read::{ReadPlan, prepare_read, run_read};
use super::transaction::failed;
use super::{Answer, Prepared, Session, catalog_rows, no_columns, parameters};
use crate::policy::Identity;
use crate::query::engine::Engine;
use crate::query::settings::Settings;
use crate::query::statement::{Classified, Savepoint, Shown, parse};
use crate::query::{QueryError, QueryErrorKind, Reason, RouteSettings, RowStream, ServiceRead};

/// What is left to do with a prepared statement.
#[derive(Debug, Clone)]
pub(super) enum Action {
    Nothing,
    Read(Arc<ReadPlan>),
    /// Rows that are known; shown as they were when the statement was prepared.
    Rows(RecordBatch),
    Set {
        parameters: Vec<(String, Option<String>)>,
        local: bool,
    },
    Reset(Option<String>),
    Show(Option<String>),
    Begin,
    Commit,
    Rollback,
    Savepoint(Savepoint),
    Prepare {
        name: String,
        statement: Box<Prepared>,
    },
    Execute {
        name: String,
        arguments: Vec<ScalarValue>,
    },
    Deallocate(Option<String>),
    Discard {
        all: bool,
    },
}

impl Action {
    fn ends_a_failed_transaction(&self) -> bool {
        let rolls_back = matches!(self, Self::Savepoint(Savepoint::RollbackTo(_)));
        rolls_back || matches!(self, Self::Nothing | Self::Commit | Self::Rollback)
    }
}

fn without_rows(tag: &'static str, action: Action) -> Prepared {
    Prepared { schema: no_columns(), parameter_types: Vec::new(), tag, action }
}

fn rows(tag: &'static str, rows: RecordBatch) -> Prepared {
    Prepared { schema: rows.schema(), parameter_types: Vec::new(), tag, action: Action::Rows(rows) }
}

/// What preparing a statement takes of a session.
#[derive(Clone)]
pub(super) struct Preparing {
    pub(super) engine: Engine,
    pub(super) identity: Identity,
    pub(super) routes: RouteSettings,
    pub(super) settings: Settings,
    /// The types that the client gives for placeholders.
    pub(super) declared: Vec<Option<DataType>>,
    /// Whether only the end of the transaction is answered.
    failed: bool,
}

pub(super) async fn prepare(
    session: &mut Session,
    sql: &str,
    declared: Vec<Option<DataType>>,
) -> Result<Prepared, QueryError> {
    let preparing = Preparing {
        engine: session.engine.clone(),
        identity: session.identity.clone(),
        routes: session.routes.clone(),
        settings: session.settings.clone(),
        declared,
        failed: session.has_failed(),
    };
    let asked = Asked::fits(sql).then(|| Asked {
        text: sql.to_owned(),
        declared: preparing.declared.clone(),
        path: preparing.settings.search_path(),
        routes: preparing.routes.clone(),
        identity: preparing.identity.clone(),
        epoch: session.engine.catalog().epoch,
    });
    let known = &session.engine.inner.known;
    if let Some(asked) = asked.as_ref().filter(|_| !preparing.failed)
        && let Some(prepared) = known.get(asked)
    {
        return Ok(prepared);
    }
    let text = session.engine.inner.parts.system.replace(sql).unwrap_or_else(|| sql.to_owned());
    // A statement is a tree as deep as it is long, so it never leaves the threads whose stack is deep enough.
    let work = Box::pin(async move {
        match parse(&text)? {
            // Not planned first: what it names may be the reason for the failure.
            Some(classified) if preparing.failed && !classified.ends_a_failed_transaction() => Err(failed()),
            Some(classified) => prepare_classified(&preparing, classified).await,
            None => Ok(without_rows("", Action::Nothing)),
        }
    });
    let timeout = session.timeout();
    let mut prepared = session.engine.plan_until(Instant::now() + timeout, timeout, work).await?;
    if let (Action::Read(plan), Some(asked)) = (&prepared.action, asked)
        && plan.is_lasting()
    {
        known.keep(asked, &prepared);
    }
    if let Action::Execute { name, .. } = &prepared.action {
        let kept = session.kept(name)?;
        (prepared.schema, prepared.tag) = (Arc::clone(&kept.schema), kept.tag);
    }
    Ok(prepared)
}

async fn prepare_classified(preparing: &Preparing, classified: Classified) -> Result<Prepared, QueryError> {
    Ok(match classified {
        Classified::Read(statement) => prepare_read(preparing, statement, None).await?,
        Classified::Explain { statement, analyze, verbose } => {
            prepare_read(preparing, statement, Some((analyze, verbose))).await?
        }
        Classified::Set { parameters, local } => without_rows("SET", Action::Set { parameters, local }),
        Classified::Reset(name) => without_rows("RESET", Action::Reset(name)),
        Classified::Show(name) => {
            let schema = shown(preparing, name.as_deref())?.schema();
            Prepared { schema, parameter_types: Vec::new(), tag: "SHOW", action: Action::Show(name) }
        }
        Classified::ShowCatalog(what) => rows("SHOW", show_catalog(preparing, what)?),
        Classified::Begin { start: false } => without_rows("BEGIN", Action::Begin),
        Classified::Begin { start: true } => without_rows("START TRANSACTION", Action::Begin),
        Classified::Commit => without_rows("COMMIT", Action::Commit),
        Classified::Rollback => without_rows("ROLLBACK", Action::Rollback),
        Classified::Savepoint(savepoint) => without_rows(savepoint.tag(), Action::Savepoint(savepoint)),
        Classified::Ignored(tag) => without_rows(tag, Action::Nothing),
        Classified::Prepare { name, types, mut statement } => {
            if let Classified::Read(statement) | Classified::Explain { statement, .. } = &mut *statement {
                parameters::declare(statement, &types.into_iter().map(Some).collect::<Vec<_>>());
            }
            let statement = Box::pin(prepare_classified(preparing, *statement)).await?;
            without_rows("PREPARE", Action::Prepare { name, statement: Box::new(statement) })
        }
        Classified::Execute { name, arguments } => {
            let state = preparing.engine.state(&preparing.engine.catalog());
            let arguments = parameters::evaluate(&state, arguments)?;
            without_rows("EXECUTE", Action::Execute { name, arguments })
        }
        Classified::Deallocate(name) => without_rows("DEALLOCATE", Action::Deallocate(name)),
        Classified::Discard { all } => without_rows("DISCARD ALL", Action::Discard { all }),
    })
}

/// `fixed` is whether the columns must be those that were promised when `prepared` was made.
pub(super) async fn execute(
    session: &mut Session,
    prepared: &Prepared,
    params: Vec<ScalarValue>,
    fixed: bool,
) -> Result<Answer, QueryError> {
    let tag = prepared.tag;
    if session.has_failed() && !prepared.action.ends_a_failed_transaction() {
        return Err(failed());
    }
    match &prepared.action {
        Action::Read(plan) => {
            let answer = run_read(session, plan, params, tag, fixed).await?;
            session.reads.clone_from(&answer.reads);
            return Ok(answer);
        }
        Action::Execute { name, arguments } => {
            let statement = session.kept(name)?.clone();
            // What is kept by name reads or explains: it executes nothing by name itself.
            return Box::pin(execute(session, &statement, arguments.clone(), fixed)).await;
        }
        _ if !params.is_empty() => {
            let message = format!("{tag} takes no parameters; {} were given", params.len());
            return Err(QueryError::new(QueryErrorKind::Invalid, message));
        }
        Action::Nothing => {}
        Action::Rows(rows) => {
            return Ok(Answer { tag, rows: RowStream::once(rows.clone()), reads: Vec::new() });
        }
        Action::Show(name) => {
            let (settings, reads) = (&session.settings, &session.reads[..]);
            let shown = show(&session.engine, settings, &session.routes, reads, name.as_deref())?;
            let rows = RowStream::once(shown);
            return Ok(Answer { tag, rows, reads: Vec::new() });
        }
        Action::Set { parameters, local } => session.set_all(parameters, *local)?,
        Action::Reset(Some(name)) => session.set_all(&[(name.clone(), None)], false)?,
        Action::Reset(None) => session.reset(),
        Action::Begin => session.begin(),
        Action::Commit => return Ok(session.commit()),
        Action::Rollback => session.rollback(),
        Action::Savepoint(savepoint) => session.savepoint(savepoint)?,
        Action::Prepare { name, statement } => session.keep(name.clone(), (**statement).clone())?,
        Action::Deallocate(Some(name)) => {
            session.kept(name)?;
            session.prepared.remove(name);
        }
        Action::Deallocate(None) => session.prepared.clear(),
        Action::Discard { all: true } if session.in_transaction() => {
            let message = "DISCARD ALL does not end a transaction, and cannot be part of one";
            return Err(QueryError::new(QueryErrorKind::Invalid, message)
                .because(Reason::InTransaction)
                .with_hint("COMMIT or ROLLBACK before it"));
        }
        Action::Discard { all: true } => {
            session.prepared.clear();
            session.reset();
        }
        Action::Discard { all: false } => {}
    }
    Ok(Answer::done(tag))
}

fn shown(preparing: &Preparing, name: Option<&str>) -> Result<RecordBatch, QueryError> {
    show(&preparing.engine, &preparing.settings, &preparing.routes, &[], name)
}

/// What SHOW tells of the statement before.
const READS: &str = "crossweave.reads";

fn show(
    engine: &Engine,
    settings: &Settings,
    routes: &RouteSettings,
    reads: &[ServiceRead],
    name: Option<&str>,
) -> Result<RecordBatch, QueryError> {
    let catalog = engine.catalog();
    match name {
        Some(name) if name.eq_ignore_ascii_case(READS) => catalog_rows::reads(reads),
        Some(name) => {
            let (name, value) = settings.show(routes, &catalog, name)?;
            catalog_rows::text_rows(&[&name], vec![vec![value]])
        }
        None => {
            let all = settings.show_all(routes, &catalog);
            let all = all.into_iter().map(|(name, value)| vec![name, value]).collect();
            catalog_rows::text_rows(&["name", "setting"], all)
        }
    }
}

fn show_catalog(preparing: &Preparing, what: Shown) -> Result<RecordBatch, QueryError> {
    let catalog = preparing.engine.catalog();
    match what {
        Shown::Schemas { like } => catalog_rows::schemas(&catalog, like.as_deref()),
        Shown::Tables { schema, like } => catalog_rows::tables(&catalog, schema.as_deref(), like.as_deref()),
        Shown::Columns(name) => {
            let path = preparing.settings.search_path();
            let table: TableId = crate::query::names::service_table(&catalog, &path, &name)?;
            catalog_rows::columns(&catalog, &table)
        }
    }
}
