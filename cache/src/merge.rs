//! Keeping a table's runs few and its dead rows scarce.
//!
//! **Why is the work of one publish bounded?** Each call does at most one merge per size class, of four runs, and
//! moves at most a budget of rows out of segments with many dead ones. What is left is done by later calls, and a
//! call comes with every 65,536 appended rows at the latest, so the work keeps up with what makes it necessary.
//!
//! - Runs fall into size classes, each four times the one below: 256 rows, 1,024, … 1,048,576. Four of a class
//!   become one of the next. So a table has at most three runs a class plus one per million rows or more, and a
//!   row is copied about once per class up to 32,768 rows; larger segments are taken over as they are.
//! - A segment in which more than a fifth is dead is moved: its live rows go to a new segment. So segments take at
//!   most 1.25 times the memory of their live rows.
//! - A run whose index has more dead entries than live ones is indexed anew.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use crate::index::{Place, PlaceIndex};
use crate::run::{Layout, RUN_ROWS, Run, segment_view};
use crate::segment::{SEGMENT_ROWS, SegmentIds, SegmentView, gather};

const CLASSES: usize = 7;
const RUNS_A_CLASS: usize = 4;
/// Segments of this many rows and more are taken over by a merge as they are.
const LARGE_SEGMENT: usize = SEGMENT_ROWS / 2;
/// Below this, moving a segment for its dead rows is not worth a new run.
const WORTH_MOVING: usize = 256;

fn class(live: usize) -> Option<usize> {
    (0..CLASSES).find(|class| live < 256 << (2 * class))
}

fn is_sparse(view: &SegmentView) -> bool {
    let rows = view.segment.rows();
    rows >= WORTH_MOVING && (rows - view.live_rows()) * 5 > rows
}

/// Merges what is due, moving at most about `budget` rows out of sparse segments.
pub(crate) fn maintain(
    runs: &mut Vec<Arc<Run>>,
    layout: &Layout,
    ids: &SegmentIds,
    budget: usize,
) -> Result<(), ArrowError> {
    runs.retain(|run| run.live_rows() > 0);
    move_sparse(runs, layout, ids, budget)?;
    runs.retain(|run| run.live_rows() > 0);
    for size in 0..CLASSES {
        let of_class = |run: &Arc<Run>| class(run.live_rows()) == Some(size);
        if runs.iter().filter(|run| of_class(run)).count() >= RUNS_A_CLASS {
            let merged: Vec<Arc<Run>> = runs.extract_if(.., |run| of_class(run)).collect();
            runs.push(Arc::new(merge(&merged, layout, ids)?));
        }
    }
    for run in runs.iter_mut() {
        if run.key_index().len() > 2 * run.live_rows() && run.live_rows() >= WORTH_MOVING {
            *run = Arc::new(merge(std::slice::from_ref(run), layout, ids)?);
            break;
        }
    }
    // A key is most likely in the largest run: look there first.
    runs.sort_by_key(|run| std::cmp::Reverse(run.live_rows()));
    Ok(())
}

fn move_sparse(
    runs: &mut Vec<Arc<Run>>,
    layout: &Layout,
    ids: &SegmentIds,
    budget: usize,
) -> Result<(), ArrowError> {
    let mut taken = Vec::new();
    let mut moved = 0;
    for run in runs.iter_mut() {
        let sparse = run.segments().filter(|(_, view)| is_sparse(view)).map(|(number, _)| number);
        for number in sparse.collect::<Vec<_>>() {
            if moved >= budget {
                break;
            }
            if let Some(view) = Arc::make_mut(run).take(number) {
                moved += view.live_rows();
                taken.push(view);
            }
        }
    }
    let mut gathered = Gathered::default();
    for view in &taken {
        gathered.add(view.live_batch(None)?, layout, ids)?;
    }
    let segments = gathered.finish(layout, ids)?;
    runs.extend(into_runs(layout, segments));
    Ok(())
}

/// Indexes new segments, in runs of at most [`RUN_ROWS`] rows.
pub(crate) fn into_runs(layout: &Layout, segments: Vec<SegmentView>) -> Vec<Arc<Run>> {
    let chunks = segments.chunks(RUN_ROWS / SEGMENT_ROWS);
    chunks.map(|chunk| Arc::new(Run::of_segments(layout, chunk.to_vec()))).collect()
}

/// Collects batches into segments of at most [`SEGMENT_ROWS`] rows that share no memory with them.
#[derive(Default)]
pub(crate) struct Gathered {
    pending: Vec<RecordBatch>,
    pending_rows: usize,
    segments: Vec<SegmentView>,
}

impl Gathered {
    /// Appends the rows of `batch`, which has the table's schema.
    pub(crate) fn add(
        &mut self,
        batch: RecordBatch,
        layout: &Layout,
        ids: &SegmentIds,
    ) -> Result<(), ArrowError> {
        let mut from = 0;
        while from < batch.num_rows() {
            let rows = (batch.num_rows() - from).min(SEGMENT_ROWS - self.pending_rows);
            self.pending.push(batch.slice(from, rows));
            self.pending_rows += rows;
            from += rows;
            if self.pending_rows == SEGMENT_ROWS {
                self.flush(layout, ids)?;
            }
        }
        Ok(())
    }

    fn flush(&mut self, layout: &Layout, ids: &SegmentIds) -> Result<(), ArrowError> {
        if self.pending_rows > 0 {
            self.segments.push(segment_view(ids.next(), gather(&layout.schema, &self.pending)?));
        }
        self.pending.clear();
        self.pending_rows = 0;
        Ok(())
    }

    /// The segments.
    pub(crate) fn finish(mut self, layout: &Layout, ids: &SegmentIds) -> Result<Vec<SegmentView>, ArrowError> {
        self.flush(layout, ids)?;
        Ok(self.segments)
    }
}

/// Where the rows of a segment went.
enum Moved {
    /// The whole segment is this one of the new run.
    Whole(usize),
    /// Each row by itself; `None` for dead ones.
    Rows(Vec<Option<Place>>),
}

/// One run of the live rows of `runs`. Large segments are taken over, small ones are gathered; hashes are not
/// computed again.
fn merge(runs: &[Arc<Run>], layout: &Layout, ids: &SegmentIds) -> Result<Run, ArrowError> {
    let (segments, moves) = merge_segments(runs, layout, ids)?;
    let live: usize = segments.iter().map(SegmentView::live_rows).sum();
    let key = merge_index(runs.iter().map(|run| run.key_index()), &moves, &segments, live);
    let references = (0..layout.references.len()).map(|number| {
        let built: Option<Vec<&PlaceIndex>> = runs.iter().map(|run| run.built_reference(number)).collect();
        built.map(|built| merge_index(built.into_iter(), &moves, &segments, live))
    });
    let references = references.collect();
    Ok(Run::new(segments, key, references))
}

type Moves = Vec<Vec<Option<Moved>>>;

fn merge_segments(
    runs: &[Arc<Run>],
    layout: &Layout,
    ids: &SegmentIds,
) -> Result<(Vec<SegmentView>, Moves), ArrowError> {
    let mut moves: Moves = runs.iter().map(|run| (0..run.slots()).map(|_| None).collect()).collect();
    let mut segments = Vec::new();
    let mut small = Vec::new();
    for (at, run) in runs.iter().enumerate() {
        for (number, view) in run.segments() {
            if view.segment.rows() >= LARGE_SEGMENT {
                moves[at][number] = Some(Moved::Whole(segments.len()));
                segments.push(view.clone());
            } else {
                small.push((at, number, view));
            }
        }
    }
    let mut gathered = Gathered::default();
    let mut next = 0;
    let first = segments.len();
    for (at, number, view) in small {
        let places = (0..view.segment.rows()).map(|row| {
            view.is_live(row).then(|| {
                next += 1;
                Place::new(first + (next - 1) / SEGMENT_ROWS, (next - 1) % SEGMENT_ROWS)
            })
        });
        moves[at][number] = Some(Moved::Rows(places.collect()));
        gathered.add(view.live_batch(None)?, layout, ids)?;
    }
    segments.extend(gathered.finish(layout, ids)?);
    Ok((segments, moves))
}

fn merge_index<'a>(
    indexes: impl Iterator<Item = &'a PlaceIndex>,
    moves: &Moves,
    segments: &[SegmentView],
    live: usize,
) -> PlaceIndex {
    let entries = indexes.zip(moves).flat_map(|(index, moves)| {
        index.entries().filter_map(move |(hash, place)| match moves[place.segment()].as_ref()? {
            Moved::Whole(number) if segments[*number].is_live(place.row()) => {
                Some((hash, Place::new(*number, place.row())))
            }
            Moved::Whole(_) => None,
            Moved::Rows(places) => Some((hash, places[place.row()]?)),
        })
    });
    PlaceIndex::build(entries, live)
}
