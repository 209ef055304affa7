//! Asking for page after page.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::RecordBatch;
use crossweave_contract::{Relation, RemoteColumn, RemoteQuery, RemoteSort};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::common::{Result, internal_err};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, replace_children_if_necessary};
use datafusion::physical_plan::sorts::sort::SortExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, PlanProperties};
use futures::{Stream, StreamExt, TryStreamExt, stream};

use super::FIRST_PAGE;
use super::renew::renewed;
use crate::federation::remote::bind::{Compared, KEYS_IN_A_SCAN};
use crate::federation::remote::fragment::asked;
use crate::federation::remote::scan::LiveScanExec;

/// Each page is so many times as large as the one before, up to as many rows as others are asked for the keys of.
const GROWTH: u64 = 4;

/// After so many pages all the rest comes at once.
const MOST_PAGES: usize = 4;

/// A question that can be asked for pages.
#[derive(Debug, Clone)]
pub(in crate::federation::remote) struct Paged {
    /// All rows.
    pub(in crate::federation::remote) rows: Relation,
    /// In which order.
    pub(in crate::federation::remote) by: Vec<RemoteSort>,
    /// The columns of the rows.
    pub(in crate::federation::remote) columns: Vec<RemoteColumn>,
    /// Those that are asked for.
    pub(in crate::federation::remote) places: Vec<usize>,
}

impl PartialEq for Paged {
    fn eq(&self, other: &Self) -> bool {
        self.rows == other.rows && self.by == other.by && self.places == other.places
    }
}

impl Paged {
    /// The question for `page` of the rows that `compared` may be true for; `None` where there are none.
    pub(in crate::federation::remote) fn query(
        &self,
        page: &Page,
        compared: &[Compared],
    ) -> Option<RemoteQuery> {
        let all = RemoteQuery { relation: self.rows.clone(), columns: self.columns.clone() };
        let RemoteQuery { relation, .. } = Compared::narrowed(compared, all, |place| self.places[place])?;
        let input = Box::new(Relation::Sort { input: Box::new(relation), by: self.by.clone() });
        let relation = Relation::Limit { input, skip: page.skip, fetch: page.rows };
        Some(asked(relation, &self.columns, &self.places))
    }
}

/// Some of the rows of a question.
#[derive(Debug)]
pub(in crate::federation::remote) struct Page {
    pub(in crate::federation::remote) skip: u64,
    /// `None` for all the rest.
    pub(in crate::federation::remote) rows: Option<u64>,
    /// How many rows have come.
    pub(in crate::federation::remote) given: AtomicU64,
}

/// Puts [`PagesExec`] over what is ordered by a question's columns where only the first rows are wanted: a rule over
/// operators, after joins are bound.
#[derive(Debug, Default)]
pub struct PagePlans;

impl PhysicalOptimizerRule for PagePlans {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, _: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_up(|node| {
            let Some(sort) = node.downcast_ref::<SortExec>() else { return Ok(Transformed::no(node)) };
            match sort.fetch().filter(|_| is_pageable(sort.input())) {
                Some(wanted) => {
                    let pages = Arc::new(PagesExec::new(Arc::clone(sort.input()), wanted));
                    replace_children_if_necessary(Arc::clone(&node), vec![pages]).map(Transformed::yes)
                }
                None => Ok(Transformed::no(node)),
            }
        })
        .data()
    }

    fn name(&self) -> &'static str {
        "page_plans"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether one question of `plan` can be asked for pages, whatever its keys, and each other one is asked for keys.
fn is_pageable(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let (mut paged, mut whole) = (0, 0);
    let counted = plan.apply(|node| {
        // Its question is another one's.
        if node.is::<PagesExec>() {
            return Ok(TreeNodeRecursion::Jump);
        }
        if let Some(scan) = node.downcast_ref::<LiveScanExec>() {
            match (scan.is_paged(), scan.is_bound()) {
                (true, false) => paged += 1,
                (false, true) => {}
                _ => whole += 1,
            }
        }
        Ok(TreeNodeRecursion::Continue)
    });
    counted.is_ok() && (paged, whole) == (1, 0)
}

/// Whether a question of `plan` was to be asked for pages, and is not.
///
/// # Errors
///
/// None.
pub fn has_unread_pages(plan: &Arc<dyn ExecutionPlan>) -> Result<bool> {
    let mut found = false;
    plan.apply(|node| {
        if node.is::<PagesExec>() {
            return Ok(TreeNodeRecursion::Jump);
        }
        found |= node.downcast_ref::<LiveScanExec>().is_some_and(LiveScanExec::is_paged);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

/// Gives the rows of its input for one page after the other, until there are as many as are wanted.
#[derive(Debug)]
pub(super) struct PagesExec {
    input: Arc<dyn ExecutionPlan>,
    wanted: usize,
    properties: Arc<PlanProperties>,
}

impl PagesExec {
    fn new(input: Arc<dyn ExecutionPlan>, wanted: usize) -> Self {
        // Whatever order one page has, the pages together have none.
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(1),
            EmissionType::Incremental,
            Boundedness::Bounded,
        );
        Self { input, wanted, properties: Arc::new(properties) }
    }
}

/// Where reading pages stands.
struct Reading {
    input: Arc<dyn ExecutionPlan>,
    wanted: u64,
    context: Arc<TaskContext>,
    skip: u64,
    pages: usize,
    /// Rows that were given.
    given: u64,
}

impl Reading {
    /// The rows of the next page, and the page.
    fn next(&mut self) -> Result<(SendableRecordBatchStream, Arc<Page>)> {
        // Of each, one statement can be asked for all keys.
        let largest = KEYS_IN_A_SCAN as u64;
        let growth = GROWTH.pow(u32::try_from(self.pages).unwrap_or(u32::MAX));
        let rows = (self.pages < MOST_PAGES).then(|| (FIRST_PAGE * growth).min(largest));
        let page = Arc::new(Page { skip: self.skip, rows, given: AtomicU64::new(0) });
        self.pages += 1;
        self.skip += rows.unwrap_or_default();
        let rows = renewed(&self.input, &page)?.execute(0, Arc::clone(&self.context))?;
        Ok((rows, page))
    }

    fn is_done(&self, page: &Page) -> bool {
        let was_last = page.rows.is_none_or(|rows| page.given.load(Ordering::Relaxed) < rows);
        was_last || self.given >= self.wanted
    }

    fn rows(self) -> impl Stream<Item = Result<RecordBatch>> + Send {
        type Open = Option<(SendableRecordBatchStream, Arc<Page>)>;
        stream::try_unfold((self, None), |(mut reading, mut open): (Self, Open)| async move {
            loop {
                let (mut rows, page) = match open.take() {
                    Some(open) => open,
                    None => reading.next()?,
                };
                if let Some(batch) = rows.try_next().await? {
                    reading.given += batch.num_rows() as u64;
                    return Ok(Some((batch, (reading, Some((rows, page))))));
                }
                if reading.is_done(&page) {
                    return Ok(None);
                }
            }
        })
    }
}

impl DisplayAs for PagesExec {
    fn fmt_as(&self, format: DisplayFormatType, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match format {
            DisplayFormatType::TreeRender => write!(f, "rows={}", self.wanted),
            _ => write!(f, "Pages: until {} rows are found", self.wanted),
        }
    }
}

impl ExecutionPlan for PagesExec {
    fn name(&self) -> &'static str {
        "Pages"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn required_input_distribution(&self) -> Vec<Distribution> {
        vec![Distribution::SinglePartition]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn with_new_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match (children.pop(), children.len()) {
            (Some(input), 0) => Ok(Arc::new(Self::new(input, self.wanted))),
            _ => internal_err!("pages have one input"),
        }
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        if partition != 0 {
            return internal_err!("pages have one partition");
        }
        let reading = Reading {
            input: Arc::clone(&self.input),
            wanted: self.wanted as u64,
            context,
            skip: 0,
            pages: 0,
            given: 0,
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), reading.rows().boxed())))
    }
}
