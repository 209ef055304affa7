//! Batches for sorts: few rows, in buffers of their own.
//!
//! A sort counts each batch that it holds, or makes, with all buffers that it touches. A cached scan hands out a whole
//! segment, and each of the batches that are sorted out of it shares the texts of all: 18 MB would be counted 14 times,
//! which no bound allows, and which nothing is gained by putting on disk. So what goes into a sort, and what sorts hand
//! to the operator that merges them, is cut into batches that have their texts for themselves.
//!
//! A sort makes batches of so many rows, however large these are, and some of them have to fit into memory for each run
//! that it merges from disk. How large they are is guessed by the first that come: then it is told to make smaller ones.
//! What merges sorts is told how large rows were found to be by then, for the first in an order may be the smallest.
//!
//! What keeps the first few rows only cannot go on on disk, and counts the batches that its rows are from with all that
//! they hold: large ones are cut as well, and where the few are large, all are sorted.
//!
//! Sorts take all memory that they are lent before they go on on disk. What merges several of them holds two batches of
//! each, and borrows these elsewhere.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{Array, ArrayRef, AsArray, MutableArrayData, RecordBatch, RecordBatchOptions, make_array};
use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::utils::memory::get_record_batch_memory_size;
use datafusion::common::{Result, internal_err};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool};
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::execution_plan::replace_children_if_necessary;
use datafusion::physical_plan::limit::LocalLimitExec;
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion::physical_plan::stream::{RecordBatchReceiverStreamBuilder, RecordBatchStreamAdapter};
use datafusion::physical_plan::{ExecutionPlan, ExecutionPlanProperties};
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;

use super::hands_through::hands_through;
use super::sizes::bytes_of_rows;

/// The values of one batch have about so many bytes at most, unless one row has more.
const BYTES: usize = 2 << 20;
/// Rows of a batch where there are texts: later ones may be longer than the first.
const ROWS_WITH_TEXTS: usize = 2048;
/// A larger batch is cut for what keeps the first few rows.
const CUT: usize = 16 << 20;
/// Larger are the first few rows that are not worth being kept, rather than all sorted.
const LARGE_FEW: usize = 16 << 20;
/// What is held in vain of a batch that small is not worth a copy.
const SMALL: usize = 64 << 10;

/// `plan`, whose sorts are handed compact batches, and merged with memory lent by `lender`. To be run once.
///
/// # Errors
///
/// If an operator cannot be rebuilt, which is a fault in this program.
pub fn compact_for_sorts(
    plan: Arc<dyn ExecutionPlan>,
    lender: &Arc<dyn MemoryPool>,
) -> Result<Arc<dyn ExecutionPlan>> {
    plan.transform_up(|node| {
        let sorts = node.downcast_ref::<SortExec>().is_some();
        let merges = node.downcast_ref::<SortPreservingMergeExec>().is_some();
        if !sorts && !merges {
            return Ok(Transformed::no(node));
        }
        let lender = merges.then(|| Arc::clone(lender));
        let below = node.children().first().and_then(|child| child.downcast_ref::<HandedCompact>());
        let widest = below.map(|sort| Arc::clone(&sort.widest)).unwrap_or_default();
        Ok(Transformed::yes(Arc::new(HandedCompact { input: node, lender, widest })))
    })
    .data()
}

/// A sort or a merge, which is handed its rows in compact batches.
#[derive(Debug)]
struct HandedCompact {
    input: Arc<dyn ExecutionPlan>,
    /// Of what a merge holds.
    lender: Option<Arc<dyn MemoryPool>>,
    /// Bytes of a row, by the batch in which rows are largest that was seen so far. What merges sorts has theirs.
    widest: Arc<AtomicUsize>,
}

impl HandedCompact {
    fn again(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input, lender: self.lender.clone(), widest: Arc::clone(&self.widest) }
    }

    fn read(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let sort = Arc::clone(&self.input);
        let [rows] = sort.children()[..] else { return internal_err!("{} has one input", sort.name()) };
        let rows = Arc::clone(rows);
        let partitions = match self.lender {
            None => partition..partition + 1,
            Some(_) => 0..rows.output_partitioning().partition_count(),
        };
        let (schema, lender, widest) = (sort.schema(), self.lender.clone(), Arc::clone(&self.widest));
        let sorted = async move {
            let few = sort.downcast_ref::<SortExec>().and_then(SortExec::fetch);
            let bytes = lender.as_deref().map_or(BYTES, |lender| bytes_to_merge(lender, partitions.len()));
            let (handed, plan) = hand_compact(rows, partitions, bytes, few, &context, &widest).await?;
            let mut sort = replace_children_if_necessary(sort, vec![Arc::new(handed)])?;
            if let (Some(few), false, Some(of_few)) = (few, plan.keeps_few, sort.downcast_ref::<SortExec>()) {
                sort = Arc::new(LocalLimitExec::new(Arc::new(of_few.with_fetch(None)), few));
            }
            sort.execute(partition, context_of_sort(&context, plan.most, lender))
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream::once(sorted).try_flatten())))
    }
}

hands_through!(HandedCompact);

/// How a sort goes about its rows.
#[derive(Debug, Clone, Copy)]
struct SortPlan {
    /// Rows that a batch has at most.
    most: usize,
    /// It keeps the first few rows only.
    keeps_few: bool,
}

/// Bytes of a batch, so that several merges of so many partitions can borrow from `lender` at once: each holds two batches
/// of each partition, and what they are ordered by.
fn bytes_to_merge(lender: &dyn MemoryPool, partitions: usize) -> usize {
    match lender.memory_limit() {
        MemoryLimit::Finite(limit) => BYTES.min(limit / (8 * partitions.max(1))),
        _ => BYTES,
    }
}

/// Starts `partitions` of `input`, whose batches come compact and with about so many `bytes`, for a sort of which `few`
/// rows are asked for, or all.
async fn hand_compact(
    input: Arc<dyn ExecutionPlan>,
    partitions: Range<usize>,
    bytes: usize,
    few: Option<usize>,
    context: &Arc<TaskContext>,
    widest: &Arc<AtomicUsize>,
) -> Result<(Handed, SortPlan)> {
    let started = partitions.clone().map(|partition| {
        let rows = input.execute(partition, Arc::clone(context))?;
        // Several side by side: each may be a sort.
        Ok(if partitions.len() > 1 { spawned(rows) } else { rows })
    });
    let mut started: Vec<SendableRecordBatchStream> = started.collect::<Result<_>>()?;
    let firsts = try_join_all(started.iter_mut().map(|rows| rows.try_next())).await?;
    let note = |batch: &RecordBatch, widest: &AtomicUsize| {
        let rows = batch.num_rows();
        widest.fetch_max(bytes_of_rows(batch, 0..rows).div_ceil(rows.max(1)), Ordering::Relaxed);
    };
    firsts.iter().flatten().for_each(|first| note(first, widest));
    let has_texts = input.schema().fields().iter().any(|field| is_text(field.data_type()));
    let rows = context.session_config().batch_size();
    let rows = if has_texts { rows.min(ROWS_WITH_TEXTS) } else { rows };
    let width = widest.load(Ordering::Relaxed).max(1);
    let most = (bytes / width).clamp(1, rows);
    let keeps_few = few.is_some_and(|few| few.saturating_mul(width) <= LARGE_FEW);
    let all = started.into_iter().zip(firsts).map(|(rest, first)| {
        let (schema, widest) = (rest.schema(), Arc::clone(widest));
        let batches = stream::iter(first.map(Ok)).chain(rest);
        let compacted = batches.flat_map(move |batch| match batch {
            Ok(batch) => {
                note(&batch, &widest);
                let whole = keeps_few && get_record_batch_memory_size(&batch) <= CUT;
                match whole {
                    true => stream::iter([Ok(batch)]).right_stream(),
                    false => stream::iter(pieces(batch, most)).left_stream(),
                }
            }
            Err(error) => stream::iter([Err(error)]).right_stream(),
        });
        let compacted: SendableRecordBatchStream = Box::pin(RecordBatchStreamAdapter::new(schema, compacted));
        Some(compacted)
    });
    let rows = Arc::new(Mutex::new(all.collect()));
    Ok((Handed { input, first: partitions.start, rows }, SortPlan { most, keeps_few }))
}

fn is_text(data_type: &DataType) -> bool {
    data_type.is_string() || data_type.is_binary()
}

/// `rows`, on a task of their own.
fn spawned(mut rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
    let mut task = RecordBatchReceiverStreamBuilder::new(rows.schema(), 1);
    let batches = task.tx();
    task.spawn(async move {
        while let Some(batch) = rows.next().await {
            if batches.send(batch).await.is_err() {
                break;
            }
        }
        Ok(())
    });
    task.build()
}

/// Rows of `input`, which runs already.
struct Handed {
    input: Arc<dyn ExecutionPlan>,
    /// The partition that `rows` begin with.
    first: usize,
    rows: Arc<Mutex<Vec<Option<SendableRecordBatchStream>>>>,
}

impl fmt::Debug for Handed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handed").field("input", &self.input).finish_non_exhaustive()
    }
}

impl Handed {
    fn again(&self, input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input, first: self.first, rows: Arc::clone(&self.rows) }
    }

    fn read(&self, partition: usize, _: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let mut rows = self.rows.lock();
        let place = partition.checked_sub(self.first).and_then(|place| rows.get_mut(place));
        match place.and_then(Option::take) {
            Some(rows) => Ok(rows),
            None => internal_err!("partition {partition} was read already"),
        }
    }
}

hands_through!(Handed);

/// `context` for a sort that makes batches of `rows` rows, or a merge that borrows from `lender`.
fn context_of_sort(
    context: &TaskContext,
    rows: usize,
    lender: Option<Arc<dyn MemoryPool>>,
) -> Arc<TaskContext> {
    let runtime = match lender {
        None => context.runtime_env(),
        Some(memory_pool) => Arc::new(RuntimeEnv { memory_pool, ..(*context.runtime_env()).clone() }),
    };
    Arc::new(TaskContext::new(
        context.task_id(),
        context.session_id(),
        context.session_config().clone().with_batch_size(rows),
        context.scalar_functions().clone(),
        context.higher_order_functions().clone(),
        context.aggregate_functions().clone(),
        context.window_functions().clone(),
        runtime,
    ))
}

/// `batch` in pieces of at most `most` rows and about 2 MiB, each made when it is asked for, in buffers of its own but
/// for those of texts within lists and structs.
pub fn pieces(batch: RecordBatch, most: usize) -> impl Iterator<Item = Result<RecordBatch>> {
    let rows = batch.num_rows();
    let bytes = bytes_of_rows(&batch, 0..rows);
    let each = (rows * BYTES / bytes.max(1)).clamp(1, most.max(1));
    let is_compact = rows <= each && get_record_batch_memory_size(&batch) <= 2 * bytes + SMALL;
    (0..rows).step_by(each).map(move |start| {
        if is_compact {
            return Ok(batch.clone());
        }
        let piece = batch.slice(start, each.min(rows - start));
        let columns = piece.columns().iter().map(copied).collect::<Result<_>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(piece.num_rows()));
        Ok(RecordBatch::try_new_with_options(piece.schema(), columns, &options)?)
    })
}

/// The same values in buffers of their own.
fn copied(array: &ArrayRef) -> Result<ArrayRef> {
    match array.data_type() {
        DataType::Utf8View => Ok(Arc::new(array.as_string_view().gc())),
        DataType::BinaryView => Ok(Arc::new(array.as_binary_view().gc())),
        _ => {
            let data = array.to_data();
            let mut copy = MutableArrayData::new(vec![&data], false, array.len());
            copy.try_extend(0, 0, array.len())?;
            Ok(make_array(copy.freeze()))
        }
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray, StringViewArray};
    use arrow::compute::concat_batches;
    use datafusion::datasource::MemTable;
    use datafusion::execution::memory_pool::{FairSpillPool, GreedyMemoryPool};
    use datafusion::execution::runtime_env::RuntimeEnvBuilder;
    use datafusion::prelude::{SessionConfig, SessionContext};

    use super::*;

    fn batch(rows: usize, text: usize) -> RecordBatch {
        let numbers: ArrayRef =
            Arc::new(Int64Array::from_iter((0..rows as i64).map(|n| (n % 3 > 0).then_some(n))));
        let views: ArrayRef = Arc::new(StringViewArray::from_iter(
            (0..rows).map(|n| (n % 5 > 0).then(|| n.to_string().repeat(text))),
        ));
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..rows).map(|n| n.to_string())));
        RecordBatch::try_from_iter_with_nullable([("n", numbers, true), ("v", views, true), ("t", texts, true)])
            .unwrap()
    }

    #[test]
    fn pieces_have_their_rows_for_themselves() {
        for (rows, text) in [(65_536, 50), (100, 1 << 20), (3, 1), (8192, 3)] {
            let whole = batch(rows, text);
            let cut: Vec<RecordBatch> = pieces(whole.clone(), 8192).map(Result::unwrap).collect();
            assert_eq!(concat_batches(&whole.schema(), &cut).unwrap(), whole);
            let held: usize = cut.iter().map(get_record_batch_memory_size).sum();
            let bytes = bytes_of_rows(&whole, 0..rows);
            assert!(held <= 2 * bytes + SMALL, "{held} of {bytes} in {} pieces", cut.len());
            let large = |piece: &&RecordBatch| bytes_of_rows(piece, 0..piece.num_rows()) > 2 * BYTES;
            assert!(cut.iter().all(|piece| piece.num_rows() <= 8192) && !cut.iter().any(|p| large(&p)));
        }
        // A few rows of many.
        let few: Vec<RecordBatch> = pieces(batch(8192, 100).slice(17, 2), 8192).map(Result::unwrap).collect();
        assert_eq!(few, [batch(8192, 100).slice(17, 2)]);
        assert!(get_record_batch_memory_size(&few[0]) < SMALL);
    }

    /// Sorts a segment in which each row has a text of so many bytes, with so many bytes of memory.
    async fn sorted(
        rows: usize,
        text: usize,
        memory: usize,
        few: Option<usize>,
        compact: bool,
    ) -> Result<Vec<RecordBatch>> {
        let runtime =
            RuntimeEnvBuilder::new().with_memory_pool(Arc::new(FairSpillPool::new(memory))).build_arc()?;
        let config = SessionConfig::new().with_target_partitions(2);
        let context = SessionContext::new_with_config_rt(config, runtime);
        // The first in order are the shortest.
        let place = |n: usize| n * 7919 % rows;
        let texts = (0..rows).map(|n| format!("{:05}{}", place(n), "x".repeat(2 * text * place(n) / rows)));
        let texts: ArrayRef = Arc::new(StringViewArray::from_iter_values(texts));
        let batch = RecordBatch::try_from_iter([("t", texts)])?;
        let halves = [batch.slice(0, rows / 2), batch.slice(rows / 2, rows - rows / 2)];
        let table = MemTable::try_new(batch.schema(), halves.into_iter().map(|half| vec![half]).collect())?;
        context.register_table("a", Arc::new(table))?;
        let limit = few.map_or(String::new(), |few| format!(" LIMIT {few}"));
        let plan =
            context.sql(&format!("SELECT t FROM a ORDER BY t{limit}")).await?.create_physical_plan().await?;
        let lender: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(16 << 20));
        let plan = if compact { compact_for_sorts(plan, &lender)? } else { plan };
        datafusion::physical_plan::collect(plan, context.task_ctx()).await
    }

    #[tokio::test]
    async fn sorts_take_little_more_than_their_rows_or_go_on_on_disk() {
        for (rows, text, memory) in
            [(65_536, 200, 70 << 20), (65_536, 200, 36 << 20), (800, 100_000, 100 << 20)]
        {
            let sorted = sorted(rows, text, memory, None, true).await.unwrap();
            let first = |batch: &RecordBatch| {
                batch.column(0).as_string_view().iter().flatten().map(|t| t[..5].to_owned()).collect::<Vec<_>>()
            };
            let texts: Vec<String> = sorted.iter().flat_map(first).collect();
            assert_eq!(texts, (0..rows).map(|n| format!("{n:05}")).collect::<Vec<_>>());
            assert!(sorted.iter().all(|batch| bytes_of_rows(batch, 0..batch.num_rows()) <= 3 * BYTES));
        }
        // When this does not fail any more, sorts count their rows as they should, and this module can go.
        assert!(sorted(65_536, 200, 70 << 20, None, false).await.is_err());
    }

    #[tokio::test]
    async fn the_first_few_of_wide_rows_take_little_memory() {
        for few in [1, 10, 3_000, 7_999] {
            let sorted = sorted(8_000, 10_000, 96 << 20, Some(few), true).await.unwrap();
            let found = sorted.iter().map(RecordBatch::num_rows).sum::<usize>();
            let last = sorted.last().unwrap().column(0).as_string_view().iter().flatten().last().unwrap()[..5]
                .to_owned();
            assert_eq!((found, last), (few, format!("{:05}", few - 1)));
        }
        assert!(sorted(8_000, 10_000, 96 << 20, Some(3_000), false).await.is_err());
    }
}
