//! What is asked of expressions before they are planned any further: how deep casts nest, and how many parts they will have
//! once what is written several times is.
//!
//! `coalesce(x, y)` becomes a CASE that has `x` twice, `x BETWEEN 1 AND 2` two comparisons, and DataFusion asks several times of a
//! condition of CASE whether it may be NULL. Within each other these multiply with each level, so that a few lines would take what
//! memory there is (conditions of CASE as they are written: `query::statement`). What a column stands for counts in conditions, for
//! these are taken to where it is computed. In lists it does not: what is named twice is computed before.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{Column, DFSchema, DataFusionError, JoinType, Result};
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison};
use datafusion::logical_expr::utils::{grouping_set_to_exprlist, split_conjunction};
use datafusion::logical_expr::{BinaryExpr, Distinct, Expr, LogicalPlan, Operator};

use super::bounds::limit;

/// DataFusion asks what is cast twice at each level.
const DEEPEST_CAST: u64 = 24;

/// DataFusion asks twice at each level what such a value is.
const DEEPEST_CASE: u64 = 12;

/// More than a statement of any length has of its own.
const MOST_PARTS: u64 = 1_000_000;

/// Fails if casts nest too deeply in what `plan` computes.
pub(super) fn check_casts(plan: &LogicalPlan) -> Result<()> {
    measured(plan, &Measure { alone: 0, of: casts, beside: u64::max, check: few_casts, in_lists: true }, None)?;
    Ok(())
}

/// Fails if what `plan` computes would have too many parts, or has CASE too deep within functions of its own.
pub(super) fn check_parts(plan: &LogicalPlan) -> Result<()> {
    let sum = u64::saturating_add;
    measured(plan, &Measure { alone: 1, of: parts, beside: sum, check: few_parts, in_lists: false }, None)?;
    measured(plan, &Measure { alone: 0, of: cases, beside: u64::max, check: few_cases, in_lists: true }, None)?;
    Ok(())
}

/// How often it is asked of a condition of CASE whether it may be NULL.
const CONDITION: u64 = 4;

struct Measure {
    /// What a column has that is not computed by an expression.
    alone: u64,
    /// What an expression has, of which what is directly within it has so much.
    of: fn(&Expr, &[u64]) -> u64,
    /// What two have together of which a condition is asked: a column's in both inputs of a UNION.
    beside: fn(u64, u64) -> u64,
    check: fn(u64) -> Result<()>,
    /// What columns stand for counts in lists too.
    in_lists: bool,
}

fn casts(expr: &Expr, within: &[u64]) -> u64 {
    let deepest = within.iter().copied().max().unwrap_or(0);
    deepest + u64::from(matches!(expr, Expr::Cast(_) | Expr::TryCast(_)))
}

fn few_casts(deepest: u64) -> Result<()> {
    if deepest <= DEEPEST_CAST {
        return Ok(());
    }
    let message = format!("an expression has {deepest} casts within each other: {DEEPEST_CAST} are the most");
    Err(nested(message))
}

/// How many CASE are within each other, but for those that stand right behind THEN and ELSE.
fn cases(expr: &Expr, within: &[u64]) -> u64 {
    let deepest = within.iter().copied().max().unwrap_or(0);
    let Expr::Case(case) = expr else { return deepest };
    let (compared, conditions) = (usize::from(case.expr.is_some()), 2 * case.when_then_expr.len());
    let values = case.when_then_expr.iter().map(|(_, then)| then).chain(case.else_expr.as_ref());
    let places = (compared..compared + conditions).skip(1).step_by(2).chain([compared + conditions]);
    let direct = values.zip(places).filter(|(value, _)| matches!(***value, Expr::Case(_)));
    let direct: Vec<usize> = direct.map(|(_, place)| place).collect();
    let deeper = |(place, depth): (usize, &u64)| depth + u64::from(!direct.contains(&place));
    within.iter().enumerate().map(deeper).max().unwrap_or(1)
}

fn few_cases(deepest: u64) -> Result<()> {
    if deepest <= DEEPEST_CASE {
        return Ok(());
    }
    let message = format!(
        "CASE nests {deepest} deep through functions and subqueries of FROM: {DEEPEST_CASE} levels are the most"
    );
    Err(limit(message, "Write one CASE with more WHENs, or fewer subqueries of FROM that compute by CASE"))
}

fn parts(expr: &Expr, within: &[u64]) -> u64 {
    // How often each part is written, or asked about.
    let times: &dyn Fn(usize) -> u64 = match expr {
        Expr::Case(case) if case.expr.is_none() => {
            let conditions = 2 * case.when_then_expr.len();
            &move |place| if place < conditions && place.is_multiple_of(2) { CONDITION } else { 1 }
        }
        Expr::Between(_) => &|place| if place == 0 { 2 } else { 1 },
        Expr::BinaryExpr(BinaryExpr { op: Operator::IsDistinctFrom | Operator::IsNotDistinctFrom, .. }) => {
            &|_| 2
        }
        Expr::ScalarFunction(call) => match call.name() {
            "coalesce" | "ifnull" | "nvl" => {
                let last = within.len().saturating_sub(1);
                &move |place| if place < last { CONDITION } else { 1 }
            }
            // A condition and a value.
            "nullif" => &|place| if place == 0 { CONDITION + 3 } else { CONDITION },
            "nvl2" => &|_| CONDITION,
            "date_part" | "floor" => &|_| 2,
            _ => &|_| 1,
        },
        _ => &|_| 1,
    };
    let written = within.iter().enumerate().map(|(place, parts)| parts.saturating_mul(times(place)));
    written.fold(1, u64::saturating_add)
}

fn few_parts(parts: u64) -> Result<()> {
    if parts <= MOST_PARTS {
        return Ok(());
    }
    Err(nested(format!("an expression would be written with more than {MOST_PARTS} parts")))
}

fn nested(message: String) -> DataFusionError {
    limit(message, "Nest fewer functions, and fewer subqueries of FROM that compute")
}

/// What the columns of a plan have, and columns around it that its conditions name beside its own, with what these have.
struct Measured {
    columns: Vec<u64>,
    beside: Vec<(Column, u64)>,
}

#[recursive::recursive]
fn measured(plan: &LogicalPlan, measure: &Measure, around: Option<&Scope>) -> Result<Measured> {
    let mut joined = Joined { nodes: Vec::new(), inputs: Vec::new() };
    joined.add(plan);
    let mut scope = Scope { inputs: Vec::new(), around };
    let mut beside = Vec::new();
    for (input, passed_on) in joined.inputs {
        let of = measured(input, measure, Some(&scope))?;
        scope.inputs.push(Input { schema: input.schema(), has: of.columns, passed_on });
        // What is lateral names what it is joined to.
        of.beside.iter().for_each(|(column, least)| scope.raise(column, *least));
        beside.extend(of.beside);
    }
    let mut conditions = Vec::new();
    for node in &joined.nodes {
        conditions.extend(Condition::all(node, &scope)?);
    }
    scope.equate(&conditions);
    for condition in &mut conditions {
        for subquery in &condition.subqueries {
            let of = measured(subquery, measure, Some(&scope))?;
            condition.least = of.columns.into_iter().fold(condition.least, u64::max);
            of.beside.iter().for_each(|(column, least)| scope.raise(column, *least));
            beside.extend(of.beside.into_iter().filter(|(column, _)| scope.place(column).is_none()));
        }
    }
    scope.equate(&conditions);
    for condition in conditions {
        let most = condition.most(&scope);
        beside.extend(condition.outer.into_iter().map(|column| (column, most)));
    }
    let mut found = Vec::new();
    for node in joined.nodes {
        let is_list = matches!(node, LogicalPlan::Projection(_));
        node.apply_expressions(|expr| {
            let has = expression(expr, Some(&scope), measure)?;
            let checked = match is_list && !measure.in_lists {
                true => expression(expr, None, measure)?,
                false => has,
            };
            (measure.check)(checked)?;
            found.push(has);
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    let columns = plan.schema().fields().len();
    let passed_on = passed_on(plan, &scope, found, measure)?;
    let columns = passed_on.into_iter().chain(std::iter::repeat(measure.alone)).take(columns).collect();
    Ok(Measured { columns, beside })
}

/// What the first columns of `plan` have, whose expressions have `found`; those behind them are alone.
fn passed_on(plan: &LogicalPlan, scope: &Scope, found: Vec<u64>, measure: &Measure) -> Result<Vec<u64>> {
    let below =
        || scope.inputs.iter().filter(|input| input.passed_on).flat_map(|input| input.has.iter().copied());
    Ok(match plan {
        LogicalPlan::Projection(_) => found,
        LogicalPlan::Aggregate(aggregate) => match aggregate.group_expr.first() {
            // No condition is taken through these.
            Some(Expr::GroupingSet(_)) => Vec::new(),
            _ => {
                let grouped = grouping_set_to_exprlist(&aggregate.group_expr)?.into_iter();
                grouped.map(|expr| expression(expr, Some(scope), measure)).collect::<Result<_>>()?
            }
        },
        // A condition is asked of each input.
        LogicalPlan::Union(_) => {
            let of = |place| scope.inputs.iter().filter_map(move |input| input.has.get(place).copied());
            let columns = 0..plan.schema().fields().len();
            columns.map_while(|place| of(place).reduce(measure.beside)).collect()
        }
        LogicalPlan::Unnest(unnest) => {
            let below: Vec<u64> = below().collect();
            let is_made = |place: &usize| {
                unnest.struct_type_columns.contains(place)
                    || unnest.list_type_columns.iter().any(|(list, _)| list == place)
            };
            let of = |place: &usize| below.get(*place).copied().filter(|_| !is_made(place));
            unnest.dependency_indices.iter().map(|place| of(place).unwrap_or(measure.alone)).collect()
        }
        LogicalPlan::Filter(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Repartition(_)
        | LogicalPlan::Distinct(Distinct::All(_))
        | LogicalPlan::Window(_) => below().collect(),
        // What is read, and what no condition is taken through: the first rows of DISTINCT ON, and recursion.
        _ => Vec::new(),
    })
}

/// Joins and filters right above each other, whose conditions are taken together; or another node alone.
struct Joined<'a> {
    nodes: Vec<&'a LogicalPlan>,
    /// What is joined, and whether its columns are passed on.
    inputs: Vec<(&'a LogicalPlan, bool)>,
}

impl<'a> Joined<'a> {
    fn add(&mut self, plan: &'a LogicalPlan) {
        use JoinType::{LeftAnti, LeftMark, LeftSemi, RightAnti, RightMark, RightSemi};
        let mut open = vec![(plan, true)];
        while let Some((plan, passed_on)) = open.pop() {
            match plan {
                LogicalPlan::Filter(filter) => open.push((&filter.input, passed_on)),
                LogicalPlan::Join(join) => {
                    let left = !matches!(join.join_type, RightSemi | RightAnti | RightMark);
                    let right = !matches!(join.join_type, LeftSemi | LeftAnti | LeftMark);
                    open.push((&join.right, passed_on && right));
                    open.push((&join.left, passed_on && left));
                }
                plan if self.nodes.is_empty() => {
                    self.inputs.extend(plan.inputs().into_iter().map(|input| (input, true)));
                }
                plan => {
                    self.inputs.push((plan, passed_on));
                    continue;
                }
            }
            self.nodes.push(plan);
        }
    }
}

/// The columns that expressions name.
struct Scope<'a> {
    inputs: Vec<Input<'a>>,
    around: Option<&'a Scope<'a>>,
}

struct Input<'a> {
    schema: &'a DFSchema,
    has: Vec<u64>,
    passed_on: bool,
}

impl Scope<'_> {
    fn place(&self, column: &Column) -> Option<(usize, usize)> {
        let mut inputs = self.inputs.iter().enumerate();
        inputs.find_map(|(input, of)| Some((input, of.schema.maybe_index_of_column(column)?)))
    }

    fn at(&self, (input, place): (usize, usize)) -> Option<u64> {
        self.inputs.get(input)?.has.get(place).copied()
    }

    fn of(&self, column: &Column) -> Option<u64> {
        self.place(column).and_then(|place| self.at(place))
    }

    /// What a column around a subquery has, whichever of its name it is.
    fn outer(&self, column: &Column) -> Option<u64> {
        std::iter::successors(self.around, |scope| scope.around).filter_map(|scope| scope.of(column)).max()
    }

    fn raise(&mut self, column: &Column, least: u64) {
        if let Some(place) = self.place(column) {
            self.raise_at(place, least);
        }
    }

    fn raise_at(&mut self, (input, place): (usize, usize), least: u64) -> bool {
        let has = self.inputs.get_mut(input).and_then(|input| input.has.get_mut(place));
        has.is_some_and(|has| std::mem::replace(has, least.max(*has)) < least)
    }

    /// Lets columns have as much as those that a condition names beside them: where it says that they are equal, what is asked of
    /// one is asked of the other.
    fn equate(&mut self, conditions: &[Condition]) {
        let mut changed = true;
        while std::mem::take(&mut changed) {
            for condition in conditions {
                let most = condition.most(self);
                for place in &condition.columns {
                    changed |= self.raise_at(*place, most);
                }
            }
        }
    }
}

/// What a condition names.
#[derive(Default)]
struct Condition {
    columns: Vec<(usize, usize)>,
    outer: Vec<Column>,
    subqueries: Vec<LogicalPlan>,
    /// What columns of its subqueries have.
    least: u64,
}

impl Condition {
    /// The conditions of `node`, or just the subqueries of what it computes.
    fn all(node: &LogicalPlan, scope: &Scope) -> Result<Vec<Self>> {
        let of = |exprs: &[&Expr]| {
            let mut condition = Self::default();
            exprs.iter().try_for_each(|expr| condition.add(expr, scope))?;
            Ok(condition)
        };
        match node {
            LogicalPlan::Filter(filter) => {
                split_conjunction(&filter.predicate).into_iter().map(|expr| of(&[expr])).collect()
            }
            LogicalPlan::Join(join) => {
                let equal = join.on.iter().map(|(left, right)| of(&[left, right]));
                let further = join.filter.iter().flat_map(split_conjunction);
                equal.chain(further.map(|expr| of(&[expr]))).collect()
            }
            node => {
                let mut computed = Self::default();
                node.apply_subqueries(|subquery| {
                    computed.subqueries.push(subquery.clone());
                    Ok(TreeNodeRecursion::Continue)
                })?;
                Ok(vec![computed])
            }
        }
    }

    fn add(&mut self, expr: &Expr, scope: &Scope) -> Result<()> {
        expr.apply(|expr| {
            match expr {
                Expr::Column(column) => self.columns.extend(scope.place(column)),
                Expr::OuterReferenceColumn(_, column) => {
                    self.least = self.least.max(scope.outer(column).unwrap_or(0));
                    self.outer.push(column.clone());
                }
                Expr::Exists(Exists { subquery, .. })
                | Expr::InSubquery(InSubquery { subquery, .. })
                | Expr::SetComparison(SetComparison { subquery, .. })
                | Expr::ScalarSubquery(subquery) => {
                    self.subqueries.push(LogicalPlan::Subquery(subquery.clone()));
                }
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(())
    }

    /// The most that anything has that it names.
    fn most(&self, scope: &Scope) -> u64 {
        self.columns.iter().filter_map(|place| scope.at(*place)).fold(self.least, u64::max)
    }
}

/// What `expr` has; without a scope, where columns are alone.
#[recursive::recursive]
fn expression(expr: &Expr, scope: Option<&Scope>, measure: &Measure) -> Result<u64> {
    match expr {
        Expr::Column(column) => return Ok(scope.and_then(|scope| scope.of(column)).unwrap_or(measure.alone)),
        Expr::OuterReferenceColumn(_, column) => {
            return Ok(scope.and_then(|scope| scope.outer(column)).unwrap_or(measure.alone));
        }
        _ => {}
    }
    let mut within = Vec::new();
    expr.apply_children(|child| {
        within.push(expression(child, scope, measure)?);
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok((measure.of)(expr, &within))
}
