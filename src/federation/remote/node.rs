//! What stands in a plan for the part that a source is asked for.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use crossweave_contract::{Expectation, RemoteQuery};
use datafusion::catalog::Session;
use datafusion::common::{Column, DFSchema, DFSchemaRef, Result, internal_err};
use datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, SortExpr, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};

use super::fragment::Question;
use super::pages::Paged;
use super::scan::LiveScanExec;
use crate::federation::check_waited_for;

/// A question to a source, whose answer has the columns of `schema`.
#[derive(Debug, Clone)]
pub(super) struct RemoteNode {
    question: Arc<Question>,
    query: RemoteQuery,
    schema: DFSchemaRef,
    /// As sent, with placeholders: safe to show.
    statement: String,
    expected: Option<Expectation>,
    /// Whether it may be asked for the rows with keys or values alone that are known once the plan runs.
    bindable: bool,
    /// How it is asked for pages, where that may be for the better.
    paged: Option<Arc<Paged>>,
}

impl RemoteNode {
    pub(super) fn new(question: Question, schema: DFSchemaRef) -> Self {
        let query = question.query();
        Self {
            statement: question.source.render(&query).statement,
            query,
            schema,
            question: Arc::new(question),
            expected: None,
            bindable: false,
            paged: None,
        }
    }

    /// The question that `plan` is, if it is one.
    pub(super) fn of(plan: &LogicalPlan) -> Option<&Self> {
        match plan {
            LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref::<Self>(),
            _ => None,
        }
    }

    /// The same rows with the columns at `places` alone.
    pub(super) fn keeping(&self, places: &[usize]) -> Result<Self> {
        let fields = places.iter().map(|&place| {
            let (qualifier, field) = self.schema.qualified_field(place);
            (qualifier.cloned(), Arc::clone(field))
        });
        let schema = DFSchema::new_with_metadata(fields.collect(), self.schema.metadata().clone())?;
        Ok(Self::new(self.question.keeping(places), Arc::new(schema)))
    }

    /// The same for pages in the order of `by`; `None` where the source does not have it.
    pub(super) fn in_pages(&self, by: &[SortExpr]) -> Option<Self> {
        let paged = self.question.in_pages(by, &self.schema)?;
        Some(Self { paged: Some(Arc::new(paged)), ..self.clone() })
    }

    pub(super) fn is_paged(&self) -> bool {
        self.paged.is_some()
    }

    /// What the source expects of the answer.
    pub(super) async fn ask(&self) -> crossweave_contract::Result<Option<Expectation>> {
        self.question.source.view.expectation(&self.query).await
    }

    /// Has the source make ready what reading the answer takes.
    pub(super) async fn prepare(&self) {
        self.question.source.view.prepare(&self.query).await;
    }

    /// The same, which may be asked for less once the plan runs.
    pub(super) fn bindable(self) -> Self {
        Self { bindable: true, ..self }
    }

    /// The same with what the source expects.
    pub(super) fn expecting(self, expected: Option<Expectation>) -> Self {
        Self { expected, ..self }
    }

    /// How many rows the source expects.
    pub(super) fn rows(&self) -> Option<f64> {
        self.expected.as_ref().map(|expected| expected.rows as f64)
    }

    /// How many different values the tables have in its columns, where that is known.
    pub(super) fn values(&self) -> HashMap<Column, f64> {
        let values = self.expected.iter().flat_map(|expected| &expected.distinct);
        let columns = self.schema.columns().into_iter().zip(values);
        columns
            .filter_map(|(column, values)| Some((column, values.as_ref().map(|&values| values as f64)?)))
            .collect()
    }

    /// As a plan.
    pub(super) fn into_plan(self) -> LogicalPlan {
        LogicalPlan::Extension(Extension { node: Arc::new(self) })
    }

    fn identity(&self) -> (&str, usize) {
        (&self.statement, Arc::as_ptr(&self.question.source).addr())
    }
}

/// Two questions are one if what is asked, and of whom, is the same.
impl PartialEq for RemoteNode {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
            && self.query == other.query
            && self.schema == other.schema
            && self.paged == other.paged
    }
}

impl Eq for RemoteNode {}

impl PartialOrd for RemoteNode {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.identity().cmp(&other.identity()) {
            Ordering::Equal if self != other => None,
            order => Some(order),
        }
    }
}

impl Hash for RemoteNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl UserDefinedLogicalNodeCore for RemoteNode {
    fn name(&self) -> &'static str {
        "LiveScan"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LiveScan: {}", self.statement)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        if exprs.is_empty() && inputs.is_empty() {
            Ok(self.clone())
        } else {
            internal_err!("a live scan has no inputs")
        }
    }
}

/// Plans questions to sources.
#[derive(Debug, Default)]
pub struct RemotePlanner;

#[async_trait]
impl ExtensionPlanner for RemotePlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        _physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        check_waited_for()?;
        let Some(node) = node.as_any().downcast_ref::<RemoteNode>() else { return Ok(None) };
        let schema = Arc::clone(node.schema.inner());
        Ok(Some(Arc::new(LiveScanExec::new(
            node.query.clone(),
            schema,
            Arc::clone(&node.question.source),
            node.expected.clone(),
            node.bindable,
            node.paged.clone(),
        ))))
    }
}
