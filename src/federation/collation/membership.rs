//! IN, with a list or a subquery.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::{Column, Result};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, Subquery, lit};

use super::expressions::{Rewriter, Rewritten, Scope, data_type, pair};
use super::kind::{Kind, is_text};

impl Rewriter<'_> {
    pub(super) fn in_list(&self, list: InList, scope: Scope<'_>) -> Result<Rewritten> {
        let mut exprs = list.list;
        exprs.insert(0, *list.expr);
        let (exprs, kinds) = self.exprs(exprs, scope)?;
        let is_number = |expr: &Expr| data_type(expr, scope).is_some_and(|t| t.is_numeric());
        let (numbers, texts): (Vec<_>, Vec<_>) = (1..exprs.len()).partition(|&place| is_number(&exprs[place]));
        // A text is among numbers as a number and among texts as a text.
        let parts = match kinds[0].text().is_some() && !numbers.is_empty() && !texts.is_empty() {
            true => vec![numbers, texts],
            false => vec![(1..exprs.len()).collect()],
        };
        let mut tests = Vec::with_capacity(parts.len());
        for part in parts {
            let places = || std::iter::once(0).chain(part.iter().copied());
            let (operands, kinds): (Vec<Expr>, Vec<Kind>) =
                places().map(|place| (exprs[place].clone(), kinds[place].clone())).unzip();
            let mut operands = self.comparable(operands, &kinds, scope)?;
            let expr = operands.remove(0);
            tests.push(Expr::InList(InList::new(Box::new(expr), operands, list.negated)));
        }
        let both = if list.negated { Expr::and } else { Expr::or };
        Ok((tests.into_iter().reduce(both).unwrap_or(lit(list.negated)), Kind::Plain))
    }

    /// `expr IN (subquery)`: both sides by key, if they are texts, or as numbers, if one is.
    pub(super) fn against_subquery(
        &self,
        expr: Expr,
        subquery: Subquery,
        scope: Scope<'_>,
    ) -> Result<(Box<Expr>, Subquery)> {
        let (expr, kind) = self.expr(expr, scope)?;
        let mut subquery = self.subquery(subquery, scope)?;
        let schema = subquery.subquery.schema();
        let column = Expr::Column(Column::from(schema.qualified_field(0)));
        let kinds = [kind, Kind::of_field(schema.field(0))];
        let inner = Scope { schema, outer: scope.outer };
        let sides = [data_type(&expr, scope), data_type(&column, inner)];
        let fits = |t: &DataType| is_text(t) || t.is_null() || t.is_numeric();
        let met = Kind::meet(&kinds).filter(|_| sides.iter().flatten().all(fits));
        let Some(met) = met else { return Ok((Box::new(expr), subquery)) };
        let [expr, compared] = pair(self.met(vec![expr, column], &kinds, &met, sides.to_vec())?)?;
        if !matches!(compared, Expr::Column(_)) {
            let projected = compared.alias(self.fresh("key"));
            let plan = LogicalPlanBuilder::from(subquery.subquery).project([projected])?.build()?;
            subquery.subquery = Arc::new(plan);
        }
        Ok((Box::new(expr), subquery))
    }
}
