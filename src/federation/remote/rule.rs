//! The walk over a plan.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{Column, DFSchemaRef, DataFusionError, Result};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, Filter, LogicalPlan, UserDefinedLogicalNodeCore};

use super::expressions::Taken;
use super::fragment::Fragment;
use super::node::RemoteNode;
use super::shown::{all_shown, shown};
use super::{PushDown, PushDownKind, aggregates, joins, relations, unions};
use crate::federation::check_waited_for;
use crate::federation::live::LiveTable;

/// An operator over a live table that is computed here, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptHere {
    /// The operator, as plans show it.
    pub operator: String,
    /// Why, in words.
    pub why: String,
}

/// `plan`, optimised, with all that its sources compute cut out of it, and what is computed here although it is over
/// nothing but tables of one source.
///
/// # Errors
///
/// Those of [`LiveTable`]s whose definition is another one than the plan was made with.
pub fn push_down(plan: LogicalPlan, allowed: &PushDown) -> Result<(LogicalPlan, Vec<KeptHere>)> {
    let mut walk = Walk { allowed, kept: Vec::new() };
    let plan = walk.visit(plan)?.finished()?;
    Ok((plan, walk.kept))
}

/// The walk over a plan.
pub(super) struct Walk<'a> {
    pub(super) allowed: &'a PushDown,
    kept: Vec<KeptHere>,
}

/// A part of the plan, done.
pub(super) enum Piece {
    Plan(LogicalPlan),
    Taken(Box<Fragment>),
}

impl Piece {
    pub(super) fn schema(&self) -> &DFSchemaRef {
        match self {
            Self::Plan(plan) => plan.schema(),
            Self::Taken(fragment) => &fragment.schema,
        }
    }

    pub(super) fn fragment(&self) -> Option<&Fragment> {
        match self {
            Self::Plan(_) => None,
            Self::Taken(fragment) => Some(fragment),
        }
    }

    pub(super) fn finished(self) -> Result<LogicalPlan> {
        match self {
            Self::Plan(plan) => Ok(plan),
            Self::Taken(fragment) => fragment.finished(),
        }
    }
}

impl Walk<'_> {
    #[recursive::recursive]
    pub(super) fn visit(&mut self, plan: LogicalPlan) -> Result<Piece> {
        check_waited_for()?;
        let plan = plan.map_subqueries(|plan| Ok(Transformed::yes(self.visit(plan)?.finished()?))).data()?;
        if let LogicalPlan::TableScan(scan) = &plan {
            return match LiveTable::of(scan) {
                Some(table) => Ok(Piece::Taken(Box::new(relations::table(
                    scan,
                    table,
                    self.allowed.allows(PushDownKind::Limit),
                )?))),
                None => Ok(Piece::Plan(plan)),
            };
        }
        if let Some(piece) = self.region(&plan)? {
            return Ok(piece);
        }
        let mut pieces = Vec::new();
        for input in plan.inputs() {
            pieces.push(self.visit(input.clone())?);
        }
        match <[Piece; 1]>::try_from(pieces) {
            Ok([Piece::Taken(fragment)]) => self.over_one(plan, *fragment),
            Ok([piece]) => rebuilt(plan, vec![piece]),
            Err(pieces) => self.over_several(plan, pieces),
        }
    }

    fn over_one(&mut self, plan: LogicalPlan, fragment: Fragment) -> Result<Piece> {
        // EXPLAIN ANALYZE is not of the question, and a subquery no operator.
        if matches!(plan, LogicalPlan::Analyze(_) | LogicalPlan::Subquery(_)) {
            return rebuilt(plan, vec![Piece::Taken(Box::new(fragment))]);
        }
        let switched_off = || Err("push-down of such operators is switched off".to_owned());
        let allows = |kind| self.allowed.allows(kind);
        let taken: Taken<Fragment> = match &plan {
            LogicalPlan::Filter(filter) if allows(PushDownKind::Filter) => {
                return self.filter(filter, fragment);
            }
            LogicalPlan::Projection(projection) => {
                relations::projection(projection, &fragment, allows(PushDownKind::Projection))
            }
            LogicalPlan::Aggregate(aggregate) if allows(PushDownKind::Aggregate) => {
                aggregates::aggregate(aggregate, &fragment)
            }
            LogicalPlan::Sort(sort) if allows(PushDownKind::Sort) => relations::sort(sort, &fragment),
            LogicalPlan::Limit(limit) if allows(PushDownKind::Limit) => relations::limit(limit, &fragment),
            LogicalPlan::SubqueryAlias(alias) => {
                let schema = Arc::clone(&alias.schema);
                Ok(Fragment { schema, ..fragment.clone() })
            }
            LogicalPlan::Filter(_)
            | LogicalPlan::Aggregate(_)
            | LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_) => switched_off(),
            _ => Err("such operators are computed here".to_owned()),
        };
        match taken {
            Ok(taken) => Ok(Piece::Taken(Box::new(taken.over(fragment.apart.as_deref(), &plan)?))),
            Err(why) => {
                self.keep(&plan, why);
                rebuilt(plan, vec![Piece::Taken(Box::new(fragment))])
            }
        }
    }

    /// What of a filter the source does not compute stays above it.
    fn filter(&mut self, filter: &Filter, fragment: Fragment) -> Result<Piece> {
        let (fragment, left) = relations::filter(filter, fragment)?;
        if left.is_empty() {
            return Ok(Piece::Taken(Box::new(fragment)));
        }
        let (conditions, reasons): (Vec<_>, Vec<_>) = left.into_iter().unzip();
        for (condition, why) in conditions.iter().zip(reasons) {
            self.kept.push(KeptHere {
                operator: format!("Filter: {}", shown(condition.clone(), &[&filter.input])),
                why,
            });
        }
        let below = Arc::new(fragment.finished()?);
        match conjunction(conditions) {
            Some(condition) => Ok(Piece::Plan(LogicalPlan::Filter(Filter::try_new(condition, below)?))),
            None => Err(DataFusionError::Internal("a filter has no condition".to_owned())),
        }
    }

    fn over_several(&mut self, plan: LogicalPlan, pieces: Vec<Piece>) -> Result<Piece> {
        if let (LogicalPlan::Join(join), [Piece::Taken(left), Piece::Taken(right)]) = (&plan, pieces.as_slice())
        {
            let taken = match self.allowed.allows(PushDownKind::Join) {
                true => joins::join(join, left, right)?,
                false => Err("push-down of joins is switched off".to_owned()),
            };
            match taken {
                Ok(fragment) => return Ok(Piece::Taken(Box::new(fragment))),
                Err(why) => self.keep(&plan, why),
            }
        }
        if let LogicalPlan::Union(union) = &plan
            && let Some(inputs) = pieces.iter().map(Piece::fragment).collect::<Option<Vec<_>>>()
        {
            let taken = match self.allowed.allows(PushDownKind::Union) {
                true => unions::union(union, &inputs)?,
                false => Err("push-down of unions is switched off".to_owned()),
            };
            match taken {
                Ok(fragment) => return Ok(Piece::Taken(Box::new(fragment))),
                Err(why) => self.keep(&plan, why),
            }
        }
        rebuilt(plan, pieces)
    }

    pub(super) fn keep(&mut self, plan: &LogicalPlan, why: String) {
        self.kept.push(KeptHere { operator: format!("{}: {}", named(plan), all_shown(plan)), why });
    }
}

/// An operator, as SQL calls it.
fn named(plan: &LogicalPlan) -> &'static str {
    match plan {
        LogicalPlan::Projection(_) => "Select list",
        LogicalPlan::Filter(_) => "Filter",
        LogicalPlan::Window(_) => "Window",
        LogicalPlan::Aggregate(_) => "Group by",
        LogicalPlan::Sort(_) => "Order by",
        LogicalPlan::Join(_) => "Join",
        LogicalPlan::Limit(_) => "Limit",
        LogicalPlan::Union(_) => "Union",
        _ => "Operator",
    }
}

/// `plan` over what its inputs have become.
fn rebuilt(plan: LogicalPlan, pieces: Vec<Piece>) -> Result<Piece> {
    let mut inputs = pieces.into_iter();
    let plan = plan.map_children(|input| match inputs.next() {
        Some(piece) => Ok(Transformed::yes(piece.finished()?)),
        None => Ok(Transformed::no(input)),
    });
    plan.data().and_then(pruned).map(Piece::Plan)
}

/// `plan` without columns that it reads only for conditions which a source computes. DataFusion has read them for a filter
/// of which nothing may be left here.
fn pruned(plan: LogicalPlan) -> Result<LogicalPlan> {
    let input = match &plan {
        LogicalPlan::Projection(projection) => &projection.input,
        LogicalPlan::Aggregate(aggregate) => &aggregate.input,
        _ => return Ok(plan),
    };
    let LogicalPlan::Filter(filter) = &**input else { return Ok(plan) };
    let Some(node) = RemoteNode::of(&filter.input) else { return Ok(plan) };
    let expressions = plan.expressions();
    let mut needed: HashSet<&Column> = filter.predicate.column_refs();
    needed.extend(expressions.iter().flat_map(Expr::column_refs));
    let schema = UserDefinedLogicalNodeCore::schema(node);
    let needed =
        needed.into_iter().map(|column| schema.index_of_column(column)).collect::<Result<BTreeSet<_>>>()?;
    if needed.len() == schema.fields().len() {
        return Ok(plan);
    }
    let node = node.keeping(&needed.into_iter().collect::<Vec<_>>())?;
    let filter = Filter::try_new(filter.predicate.clone(), Arc::new(node.into_plan()))?;
    plan.with_new_exprs(expressions, vec![LogicalPlan::Filter(filter)])
}
