//! What each kind of statement does.

use std::sync::Arc;

use arrow::array::RecordBatch;
use crossweave_contract::TableId;
use datafusion::scalar::ScalarValue;

use super::read::{ReadPlan, prepare_read, run_read};
use super::{Answer, Prepared, Session, Transaction, catalog_rows, no_columns, parameters};
use crate::policy::Identity;
use crate::query::engine::Engine;
use crate::query::settings::Settings;
use crate::query::statement::{Classified, Shown, parse};
use crate::query::{QueryError, QueryErrorKind, RouteSettings, RowStream};

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
}

pub(super) async fn prepare(session: &mut Session, sql: &str) -> Result<Prepared, QueryError> {
    let preparing = Preparing {
        engine: session.engine.clone(),
        identity: session.identity.clone(),
        routes: session.routes.clone(),
        settings: session.settings.clone(),
    };
    let text = session.engine.inner.parts.system.replace(sql).unwrap_or_else(|| sql.to_owned());
    // A statement is a tree as deep as it is long, so it never leaves the threads whose stack is deep enough.
    let work = async move {
        match parse(&text)? {
            Some(classified) => prepare_classified(&preparing, classified).await,
            None => Ok(without_rows("", Action::Nothing)),
        }
    };
    let mut prepared = session.engine.on_plans(work).await?;
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
        Classified::Savepoint(tag) => without_rows(tag, Action::Nothing),
        Classified::Prepare { name, types, mut statement } => {
            if let Classified::Read(statement) | Classified::Explain { statement, .. } = &mut *statement {
                parameters::declare(statement, &types);
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
    match &prepared.action {
        Action::Read(plan) => return run_read(session, plan, params, tag, fixed).await,
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
            let shown = show(&session.engine, &session.settings, &session.routes, name.as_deref())?;
            let rows = RowStream::once(shown);
            return Ok(Answer { tag, rows, reads: Vec::new() });
        }
        Action::Set { parameters, local } => set(session, parameters, *local)?,
        Action::Reset(Some(name)) => set(session, &[(name.clone(), None)], false)?,
        Action::Reset(None) => session.settings.reset(&mut session.routes),
        Action::Begin => begin(session),
        Action::Commit => end(session, true),
        Action::Rollback => end(session, false),
        Action::Prepare { name, statement } => session.keep(name.clone(), (**statement).clone())?,
        Action::Deallocate(Some(name)) => {
            session.kept(name)?;
            session.prepared.remove(name);
        }
        Action::Deallocate(None) => session.prepared.clear(),
        Action::Discard { all } => {
            if *all {
                session.prepared.clear();
                session.settings.reset(&mut session.routes);
                session.transaction = None;
            }
        }
    }
    Ok(Answer::done(tag))
}

fn set(session: &mut Session, parameters: &[(String, Option<String>)], local: bool) -> Result<(), QueryError> {
    let before = (session.settings.clone(), session.routes.clone());
    let catalog = session.engine.catalog();
    for (name, value) in parameters {
        let done = session.settings.set(&mut session.routes, &catalog, name, value.as_deref());
        if let Err(error) = done {
            (session.settings, session.routes) = before;
            return Err(error);
        }
    }
    match (&mut session.transaction, local) {
        (Some(transaction), true) => {
            transaction.lasting.get_or_insert(before);
        }
        // A SET that lasts also lasts where a local one hides it.
        (Some(Transaction { lasting: Some((settings, routes)), .. }), false) => {
            for (name, value) in parameters {
                settings.set(routes, &catalog, name, value.as_deref())?;
            }
        }
        // Without a transaction, a local one ends with its own statement.
        (None, true) => (session.settings, session.routes) = before,
        (_, false) => {}
    }
    Ok(())
}

fn begin(session: &mut Session) {
    if session.transaction.is_none() {
        let before = (session.settings.clone(), session.routes.clone());
        session.transaction = Some(Transaction { before, lasting: None });
    }
}

fn end(session: &mut Session, commit: bool) {
    let Some(transaction) = session.transaction.take() else { return };
    let restored = if commit { transaction.lasting } else { Some(transaction.before) };
    if let Some((settings, routes)) = restored {
        session.settings = settings;
        session.routes = routes;
    }
}

fn shown(preparing: &Preparing, name: Option<&str>) -> Result<RecordBatch, QueryError> {
    show(&preparing.engine, &preparing.settings, &preparing.routes, name)
}

fn show(
    engine: &Engine,
    settings: &Settings,
    routes: &RouteSettings,
    name: Option<&str>,
) -> Result<RecordBatch, QueryError> {
    let catalog = engine.catalog();
    match name {
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
