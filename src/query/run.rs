//! Runs a plan: analysis, binding, optimisation, operators, rows.
//!
//! Rows go from the engine's runtime to the client's through a channel of two batches: a slow client holds up its
//! own plan and nothing else, until its deadline. Dropping the receiving stream aborts the task, which drops the
//! operators and with them the statements on sources.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{FutureExt, Stream, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinError;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::engine::{Engine, stopped};
use super::pin::timed_out;
use super::{Pinned, QueryError, QueryErrorKind, RowStream};
use crate::federation::collation::{Collations, check_compares_no_text_by_bytes};
use crate::federation::{Stop, bind, guarded};

/// Batches that wait for the client.
const CHANNEL: usize = 2;

/// What is to be done with a plan.
pub(super) enum Job {
    /// Run it. `analysed` is whether rules about types and collations have been applied to it.
    Rows { plan: LogicalPlan, analysed: bool },
    /// Show it.
    Explain { plan: LogicalPlan, analysed: bool, verbose: bool },
}

pub(super) async fn run(engine: &Engine, pinned: &Pinned, job: Job) -> Result<RowStream, QueryError> {
    let handle = engine.inner.plans.handle().ok_or_else(stopped)?;
    let (schema_sender, schema) = oneshot::channel();
    let (sender, batches) = mpsc::channel(CHANNEL);
    let (engine, pinned) = (engine.clone(), pinned.clone());
    let stop = Stop::at(pinned.inner.deadline.into_std());
    let waiting = Waiting(Arc::clone(&stop));
    let task = handle.spawn(async move {
        let (deadline, timeout) = (pinned.inner.deadline, pinned.inner.timeout);
        let work = drive(&engine, &pinned, job, &stop, schema_sender, sender);
        let ended = match timeout_at(deadline, work).await {
            // Operators that end at the deadline say less than what is said here.
            Ok(Err(_)) | Err(_) if Instant::now() >= deadline => Err(timed_out(timeout)),
            Ok(ended) => ended,
            Err(_) => Err(timed_out(timeout)),
        };
        if ended.is_err() {
            pinned.failed();
        }
        ended
    });
    let task = AbortOnDropHandle::new(task);
    match schema.await {
        Ok(schema) => {
            let batches = Batches { batches, task: Some(task), _waiting: waiting };
            Ok(RowStream::new(schema, batches))
        }
        // The task ended before it had a schema: it failed.
        Err(_) => match joined(task.await) {
            Err(error) => Err(error),
            Ok(()) => Err(QueryError::new(QueryErrorKind::Internal, "a plan ended without a schema")),
        },
    }
}

async fn drive(
    engine: &Engine,
    pinned: &Pinned,
    job: Job,
    stop: &Arc<Stop>,
    schema: oneshot::Sender<SchemaRef>,
    sender: mpsc::Sender<RecordBatch>,
) -> Result<(), QueryError> {
    let of_catalog = engine.state_of(&pinned.inner.catalog);
    let mut state = (*of_catalog.session).clone();
    state.mark_start_execution();
    let (plan, analysed) = match job {
        Job::Rows { plan, analysed } => (plan, analysed),
        Job::Explain { plan, analysed, verbose } => {
            let (plan, operators) =
                physical(engine, pinned, &of_catalog.collations, &state, plan, analysed).await?;
            let rows = super::explain::explain(pinned, &plan, &*operators, verbose)?;
            let _ = schema.send(rows.schema());
            let _ = sender.send(rows).await;
            return Ok(());
        }
    };
    let (_, operators) = physical(engine, pinned, &of_catalog.collations, &state, plan, analysed).await?;
    let mut rows = execute_stream(guarded(operators, stop)?, state.task_ctx())?;
    // An error is that the client left: nobody asks any more.
    let _ = schema.send(rows.schema());
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        if batch.num_rows() > 0 && sender.send(batch).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// The optimised plan and its operators, bound to the pinned routes.
async fn physical(
    engine: &Engine,
    pinned: &Pinned,
    collations: &Collations,
    state: &SessionState,
    plan: LogicalPlan,
    analysed: bool,
) -> Result<(LogicalPlan, Arc<dyn ExecutionPlan>), QueryError> {
    let plan = match analysed {
        true => plan,
        false => state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?,
    };
    let bound = bind(plan, &|table| pinned.provider(engine, table))?;
    let optimised = state.optimizer().optimize(bound, state, |_, _| {})?;
    check_compares_no_text_by_bytes(&optimised, collations)?;
    engine.inner.counters.planned();
    let operators = state.query_planner().create_physical_plan(&optimised, state).await?;
    Ok((optimised, operators))
}

/// What a task gave; a panic is a fault of this program, reported and not passed on.
pub(super) fn joined<T>(ended: Result<Result<T, QueryError>, JoinError>) -> Result<T, QueryError> {
    match ended {
        Ok(result) => result,
        Err(error) if error.is_cancelled() => {
            Err(QueryError::new(QueryErrorKind::Cancelled, "the query was cancelled"))
        }
        Err(error) => Err(QueryError::new(
            QueryErrorKind::Internal,
            format!("a fault while planning or running: {error}"),
        )),
    }
}

struct Batches {
    batches: mpsc::Receiver<RecordBatch>,
    task: Option<AbortOnDropHandle<Result<(), QueryError>>>,
    _waiting: Waiting,
}

/// Whoever waits for the rows. Dropped, it tells the operators to end, which a task that is dropped between two polls
/// cannot.
struct Waiting(Arc<Stop>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.tell();
    }
}

impl Stream for Batches {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(batch) = ready!(self.batches.poll_recv(context)) {
            return Poll::Ready(Some(Ok(batch)));
        }
        // All batches are out; how the task ended says whether they were all.
        let Some(task) = &mut self.task else { return Poll::Ready(None) };
        let ended = ready!(task.poll_unpin(context));
        self.task = None;
        Poll::Ready(joined(ended).err().map(Err))
    }
}
