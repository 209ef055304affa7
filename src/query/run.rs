//! Runs a plan: analysis, binding, optimisation, operators, rows.
//!
//! Rows go from the engine's runtime to the client's through a bounded channel (`outflow`): a slow client holds up at
//! most its own plan, until its deadline. Dropping the receiving stream aborts the task, which drops the
//! operators and with them the statements on sources.
//!
//! Why does a query end at its deadline although an operator may work for seconds before it looks up? The deadline
//! is kept on the receiving side as well, on the runtime that asks: it answers at once, and the task ends when it
//! can.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use crossweave_contract::Consistency;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::OptimizerRule;
use datafusion::optimizer::common_subexpr_eliminate::CommonSubexprEliminate;
use datafusion::physical_plan::{ExecutionPlan, execute_stream};
use futures::{FutureExt, Stream, StreamExt};
use tokio::sync::oneshot;
use tokio::task::JoinError;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::engine::{Engine, stopped};
use super::outflow::{Inflow, Outflow, outflow};
use super::pin::{self, timed_out};
use super::{Pinned, QueryError, QueryErrorKind, RowStream};
use crate::federation::collation::{Collations, check_compares_no_text_by_bytes};
use crate::federation::surface::{
    check_constants, check_digits, with_few_constants, with_one_zero, with_stoppable_regexes,
};
use crate::federation::{
    KeptHere, Ordered, Stop, StoredBuffers, bind, check_waited_for, compact_for_sorts, estimated, guarded,
    has_unread_pages, ordered, planned_until, push_down, told,
};

/// What is to be done with a plan.
pub(super) enum Job {
    /// Run it. `analysed` is whether rules about types and collations have been applied to it; `alone` that no other
    /// plan is run over what was pinned for it.
    Rows { plan: LogicalPlan, analysed: bool, alone: bool },
    /// Show it.
    Explain { plan: LogicalPlan, analysed: bool, verbose: bool },
}

pub(super) async fn run(engine: &Engine, pinned: &Pinned, job: Job) -> Result<RowStream, QueryError> {
    let handle = engine.inner.plans.handle().ok_or_else(stopped)?;
    let (schema_sender, schema) = oneshot::channel();
    let stored = Arc::new(StoredBuffers::default());
    let (sender, batches) = outflow(engine.memory(), Arc::clone(&stored));
    let asked = pinned.clone();
    let (engine, pinned) = (engine.clone(), pinned.clone());
    let stop = Stop::at(pinned.inner.deadline.into_std());
    let waiting = Waiting(Arc::clone(&stop));
    let task = handle.spawn(async move {
        let (deadline, timeout) = (pinned.inner.deadline, pinned.inner.timeout);
        let work = Box::pin(drive(&engine, &pinned, job, &stop, schema_sender, sender, stored));
        let work = planned_until(Arc::clone(&stop), work);
        let ended = match timeout_at(deadline, work).await {
            // Operators that end at the deadline say less than what is said here.
            Ok(Err(_)) | Err(_) if Instant::now() >= deadline => Err(timed_out(timeout)),
            Ok(ended) => ended,
            Err(_) => Err(timed_out(timeout)),
        };
        if ended.is_err() {
            pinned.failed();
        }
        ended.map_err(|error| pin::or_cached(&engine, pinned.inner.defs.keys(), error))
    });
    let task = AbortOnDropHandle::new(task);
    match timeout_at(asked.inner.deadline, schema).await {
        Ok(Ok(schema)) => Ok(RowStream::new(schema, Batches::new(batches, task, &asked, waiting))),
        // The task ended before it had a schema: it failed.
        Ok(Err(_)) => match joined(task.await) {
            Err(error) => Err(error),
            Ok(()) => Err(QueryError::new(QueryErrorKind::Internal, "a plan ended without a schema")),
        },
        Err(_) => {
            asked.failed();
            Err(timed_out(asked.inner.timeout))
        }
    }
}

async fn drive(
    engine: &Engine,
    pinned: &Pinned,
    job: Job,
    stop: &Arc<Stop>,
    schema: oneshot::Sender<SchemaRef>,
    mut sender: Outflow,
    stored: Arc<StoredBuffers>,
) -> Result<(), QueryError> {
    let of_catalog = engine.state_of(&pinned.inner.catalog);
    let mut state = (*of_catalog.session).clone();
    state.config_mut().set_extension(stored);
    state.mark_start_execution();
    let (plan, analysed, alone) = match job {
        Job::Rows { plan, analysed, alone } => (plan, analysed, alone),
        Job::Explain { plan, analysed, verbose } => {
            let planning =
                Planning { engine, pinned, collations: &of_catalog.collations, is_explained: true, stop };
            let planned = physical(planning, &mut state, plan, analysed).await?;
            let rows = super::explain::explain(pinned, &planned, verbose)?;
            let _ = schema.send(rows.schema());
            sender.send(rows).await?;
            return Ok(());
        }
    };
    let is_explained = matches!(plan, LogicalPlan::Analyze(_));
    let planning = Planning { engine, pinned, collations: &of_catalog.collations, is_explained, stop };
    let Planned { plan: _, operators, kept_here } = physical(planning, &mut state, plan, analysed).await?;
    let operators = compact_for_sorts(operators, engine.memory().merges())?;
    let mut rows = execute_stream(guarded(operators, stop)?, state.task_ctx())?;
    if alone {
        pinned.give_up_views();
    }
    sender.may_use_files(Arc::clone(state.runtime_env()), rows.schema(), pinned.is_live());
    // An error is that the client left: nobody asks any more.
    let _ = schema.send(rows.schema());
    while sender.has_room().await {
        let Some(batch) = rows.next().await.transpose()? else { break };
        batch.columns().iter().try_for_each(|column| check_digits(column))?;
        if batch.num_rows() > 0 && !sender.send(batch).await? {
            return Ok(());
        }
    }
    if is_explained && sender.has_room().await {
        sender.send(super::explain::notes(pinned, &kept_here, rows.schema())?).await?;
    }
    Ok(())
}

/// A plan that is ready.
pub(super) struct Planned {
    /// Optimised, with what its sources compute cut out.
    pub(super) plan: LogicalPlan,
    pub(super) operators: Arc<dyn ExecutionPlan>,
    /// What of it is over live tables of one source and yet computed here.
    pub(super) kept_here: Vec<KeptHere>,
}

/// What a plan is made with.
#[derive(Clone, Copy)]
struct Planning<'a> {
    engine: &'a Engine,
    pinned: &'a Pinned,
    collations: &'a Collations,
    /// Whether it is shown what sources expect, also where nothing is decided by it.
    is_explained: bool,
    /// Who waits for what is planned.
    stop: &'a Arc<Stop>,
}

/// The optimised plan and its operators, bound to the pinned routes.
async fn physical(
    planning: Planning<'_>,
    state: &mut SessionState,
    plan: LogicalPlan,
    analysed: bool,
) -> Result<Planned, QueryError> {
    let Planning { engine, pinned, collations, is_explained, stop } = planning;
    let plan = match analysed {
        true => plan,
        false => {
            with_few_constants(|| state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {}))?
        }
    };
    let bound = bind(plan, &|table| pinned.provider(table))?;
    let optimised = with_few_constants(|| state.optimizer().optimize(bound, state, |_, _| {}))?;
    check_constants(&optimised)?;
    check_compares_no_text_by_bytes(&optimised, collations)?;
    let (plan, kept_here) = push_down(optimised, &pinned.inner.push_down)?;
    // Questions are told by what their sources expect of them only where that may change the order of joins.
    let push_down = &pinned.inner.push_down;
    let estimated = estimated(plan, push_down).await?;
    engine.inner.counters.planned();
    let threads = state.config().target_partitions();
    let allow_threads = |planned: &Ordered, state: &mut SessionState| {
        let partitions = if planned.few_rows { 1 } else { threads };
        state.config_mut().options_mut().execution.target_partitions = partitions;
    };
    // Pages are to be of the same rows.
    let pages = pinned.inner.live_consistency == Consistency::Snapshot;
    let ordered = |plan: LogicalPlan, pages: bool, state: &SessionState| {
        let planned = ordered(plan, push_down, pages)?;
        check_waited_for()?;
        let plan = with_stoppable_regexes(with_one_zero(planned.plan)?, stop)?;
        let plan = CommonSubexprEliminate::new().rewrite(plan, state)?.data;
        Ok::<_, QueryError>(Ordered { plan, ..planned })
    };
    let mut planned = ordered(estimated.clone(), pages, state)?;
    allow_threads(&planned, state);
    let mut operators = operators_of(&planned.plan, state).await?;
    if has_unread_pages(&operators)? {
        planned = ordered(estimated, false, state)?;
        allow_threads(&planned, state);
        operators = operators_of(&planned.plan, state).await?;
    }
    if is_explained {
        planned.plan = told(planned.plan).await?;
        operators = operators_of(&planned.plan, state).await?;
    }
    Ok(Planned { plan: planned.plan, operators, kept_here })
}

async fn operators_of(plan: &LogicalPlan, state: &SessionState) -> Result<Arc<dyn ExecutionPlan>, QueryError> {
    let mut planned = state.query_planner().create_physical_plan(plan, state);
    // What VALUES holds is made here.
    Ok(poll_fn(|context| with_few_constants(|| planned.poll_unpin(context))).await?)
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

/// Batches as they come out of a task, until all are out or its deadline has passed.
struct Batches(Option<Running>);

struct Running {
    batches: Inflow,
    task: AbortOnDropHandle<Result<(), QueryError>>,
    ended: Option<Result<(), QueryError>>,
    /// Made where rows are asked for first: a timer of the runtime of plans does not go off while its threads are
    /// busy.
    deadline: Option<Pin<Box<Sleep>>>,
    at: Instant,
    timeout: Duration,
    /// Not held: views and the query's place are free when its task has ended, whenever the client reads on.
    pinned: Weak<pin::Inner>,
    _waiting: Waiting,
}

/// Whoever waits for the rows. Dropped, it tells the operators to end, which a task that is dropped between two polls
/// cannot.
pub(super) struct Waiting(pub(super) Arc<Stop>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.tell();
    }
}

impl Batches {
    fn new(
        batches: Inflow,
        task: AbortOnDropHandle<Result<(), QueryError>>,
        pinned: &Pinned,
        waiting: Waiting,
    ) -> Self {
        let (at, timeout) = (pinned.inner.deadline, pinned.inner.timeout);
        let pinned = Arc::downgrade(&pinned.inner);
        Self(Some(Running {
            batches,
            task,
            ended: None,
            deadline: None,
            at,
            timeout,
            pinned,
            _waiting: waiting,
        }))
    }
}

impl Running {
    /// How the task ended.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<Result<(), QueryError>> {
        if let Some(ended) = &self.ended {
            return Poll::Ready(ended.clone());
        }
        let ended = joined(ready!(self.task.poll_unpin(context)));
        self.ended = Some(ended.clone());
        Poll::Ready(ended)
    }

    fn poll_batch(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<RecordBatch>, QueryError>> {
        match self.batches.poll_batch(context) {
            Poll::Ready(Some(batch)) => return Poll::Ready(batch.map(Some).map_err(QueryError::from)),
            // All batches are out; how the task ended says whether they were all.
            Poll::Ready(None) => {
                if let Poll::Ready(ended) = self.poll_end(context) {
                    return Poll::Ready(ended.map(|()| None));
                }
            }
            // A task that failed may have left files that nobody goes on writing.
            Poll::Pending => {
                if let Poll::Ready(Err(error)) = self.poll_end(context) {
                    return Poll::Ready(Err(error));
                }
            }
        }
        let at = self.at;
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep_until(at)));
        ready!(deadline.as_mut().poll(context));
        if let Some(inner) = self.pinned.upgrade() {
            Pinned { inner }.failed();
        }
        Poll::Ready(Err(timed_out(self.timeout)))
    }
}

impl Stream for Batches {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(running) = &mut self.0 else { return Poll::Ready(None) };
        let batch = ready!(running.poll_batch(context)).transpose();
        if !matches!(batch, Some(Ok(_))) {
            self.0 = None;
        }
        Poll::Ready(batch)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::policy::Identity;
    use crate::query::testing::Shop;
    use crate::query::{Reason, RouteSettings};

    #[tokio::test]
    async fn busy_operators_do_not_hold_up_the_deadline() {
        let shop = Shop::new();
        let (routes, timeout) = (RouteSettings::default(), Duration::from_millis(50));
        let pinned =
            shop.engine.pin_for(&Identity::default(), &BTreeSet::new(), &routes, timeout).await.unwrap();
        let (sender, batches) = outflow(shop.engine.memory(), Arc::default());
        // Made among the plans, as it is when they are run.
        let work = async move {
            let task = tokio::spawn(async move {
                let _kept = sender;
                std::future::pending().await
            });
            let waiting = Waiting(Stop::at(Instant::now()));
            Ok(Batches::new(batches, AbortOnDropHandle::new(task), &pinned, waiting))
        };
        let mut rows = shop.engine.on_plans(work).await.unwrap();
        // Then each of their threads works without looking up.
        let plans = shop.engine.inner.plans.handle().unwrap();
        let threads = crate::query::engine::worker_threads(&shop.engine.inner.options);
        let (busy, is_busy) = std::sync::mpsc::sync_channel::<()>(threads);
        let ends: Vec<_> = (0..threads)
            .map(|_| {
                let (end, until_end) = std::sync::mpsc::sync_channel::<()>(1);
                let busy = busy.clone();
                plans.spawn(async move {
                    let _ = busy.send(());
                    let _ = until_end.recv_timeout(Duration::from_secs(30));
                });
                end
            })
            .collect();
        ends.iter().for_each(|_| is_busy.recv().unwrap());
        let start = Instant::now();
        let error = rows.next().await.unwrap().unwrap_err();
        assert_eq!(error.reason, Some(Reason::Timeout));
        assert!(rows.next().await.is_none());
        assert!(start.elapsed() < Duration::from_secs(20), "the deadline is kept on the receiving side");
        drop(ends);
    }
}
