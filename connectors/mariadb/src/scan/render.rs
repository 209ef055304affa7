//! From [`RemoteQuery`] to a statement whose literals are all bound.
//!
//! Why do zero dates not come back from a comparison? MariaDB compares `0000-00-00` and `2018-02-00` like any
//! date, while here they are NULL. So a comparison with a column that may hold them says as well that
//! `column + INTERVAL 0 DAY` is not NULL, which holds exactly for the dates that are dates here (see
//! [`crate::values`]). That leaves the bare comparison to the index. There is no NOT in the algebra, so it is
//! enough that each condition is true for the right rows; false and NULL need not be told apart.

use crossweave_contract::{CompareOp, ConnectorError, ErrorKind, RemoteExpr, RemoteQuery, Result};
use mysql_async::Value;

use super::literal::{self, Literal};
use crate::identifiers::{TableRef, quote};

/// More parameters than this a prepared statement cannot have.
const MOST_PARAMETERS: usize = u16::MAX as usize;

/// A statement with `?` for each of its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Statement {
    /// What is prepared.
    pub(crate) sql: String,
    /// What is bound, in order.
    pub(crate) params: Vec<Value>,
}

/// The statement that answers `query`.
pub(crate) fn statement(query: &RemoteQuery) -> Result<Statement> {
    let mut renderer = Renderer { query, sql: String::from("SELECT "), params: Vec::new() };
    renderer.columns()?;
    renderer.sql.push_str(&format!(" FROM {}", TableRef::of(&query.table)));
    if let Some(filter) = &query.filter {
        renderer.sql.push_str(" WHERE ");
        renderer.condition(filter)?;
    }
    if let Some(limit) = query.limit {
        renderer.sql.push_str(" LIMIT ?");
        renderer.params.push(Value::UInt(limit));
    }
    if renderer.params.len() > MOST_PARAMETERS {
        let message = format!(
            "{}: the statement would have {} parameters, at most {MOST_PARAMETERS} are possible",
            query.table.id,
            renderer.params.len()
        );
        return Err(ConnectorError::new(ErrorKind::Limit, message).with_table(query.table.id.clone()));
    }
    Ok(Statement { sql: renderer.sql, params: renderer.params })
}

struct Renderer<'q> {
    query: &'q RemoteQuery,
    sql: String,
    params: Vec<Value>,
}

impl Renderer<'_> {
    fn columns(&mut self) -> Result<()> {
        if self.query.columns.is_empty() {
            self.sql.push('1');
        }
        for (place, column) in self.query.columns.iter().enumerate() {
            if place > 0 {
                self.sql.push_str(", ");
            }
            self.column(*column)?;
        }
        Ok(())
    }

    fn column(&mut self, index: usize) -> Result<()> {
        let column =
            self.query.table.columns.get(index).ok_or_else(|| self.bug("a column that is not there"))?;
        self.sql.push_str(&quote(&column.name));
        Ok(())
    }

    /// Something that is true or not.
    fn condition(&mut self, expr: &RemoteExpr) -> Result<()> {
        match expr {
            RemoteExpr::Compare { op, left, right } => self.compare(*op, left, right),
            RemoteExpr::In { expr, list, negated } => self.is_in(expr, list, *negated),
            RemoteExpr::Between { expr, low, high, negated } => self.between(expr, low, high, *negated),
            RemoteExpr::IsNull { expr, negated } => self.is_null(expr, *negated),
            RemoteExpr::And(parts) => self.joined(parts, " AND "),
            RemoteExpr::Or(parts) => self.joined(parts, " OR "),
            // A number used as a condition is true when not 0.
            RemoteExpr::Column(_) | RemoteExpr::Literal(..) => {
                self.operand(expr)?;
                self.sql.push_str(" <> 0");
                Ok(())
            }
        }
    }

    fn joined(&mut self, parts: &[RemoteExpr], by: &str) -> Result<()> {
        if parts.is_empty() {
            return Err(self.bug("an AND or OR of nothing"));
        }
        self.sql.push('(');
        for (place, part) in parts.iter().enumerate() {
            if place > 0 {
                self.sql.push_str(by);
            }
            self.condition(part)?;
        }
        self.sql.push(')');
        Ok(())
    }

    fn compare(&mut self, op: CompareOp, left: &RemoteExpr, right: &RemoteExpr) -> Result<()> {
        if let Some((column, holds)) = beyond(op, left, right) {
            // The literal lies outside what the server can hold: every value is on one side of it.
            return if holds { self.is_null(column, true) } else { self.never() };
        }
        let guarded: Vec<&RemoteExpr> = match (op, literal_of(left).or(literal_of(right))) {
            // No invalid date equals a valid one.
            (CompareOp::Eq, Some(_)) => Vec::new(),
            _ => [left, right].into_iter().filter(|side| self.may_be_zero_date(side)).collect(),
        };
        self.sql.push('(');
        self.operand(left)?;
        self.sql.push_str(symbol(op));
        self.operand(right)?;
        for column in guarded {
            self.sql.push_str(" AND ");
            self.is_null(column, true)?;
        }
        self.sql.push(')');
        Ok(())
    }

    fn is_in(&mut self, expr: &RemoteExpr, list: &[RemoteExpr], negated: bool) -> Result<()> {
        let op = if negated { CompareOp::NotEq } else { CompareOp::Eq };
        let plain = literal_of(expr).is_none() && list.iter().all(|item| literal_of(item).is_some());
        if !plain {
            // A column among the items may be NULL without harm to the others: one comparison each.
            let items = list.iter().map(|item| compare(op, expr, item)).collect();
            return self.condition(&if negated { RemoteExpr::And(items) } else { RemoteExpr::Or(items) });
        }
        let reachable = || list.iter().filter(|item| matches!(literal_of(item), Some(Literal::Bound { .. })));
        if reachable().next().is_none() {
            return if negated { self.is_null(expr, true) } else { self.never() };
        }
        self.sql.push('(');
        self.operand(expr)?;
        self.sql.push_str(if negated { " NOT IN (" } else { " IN (" });
        for (place, item) in reachable().enumerate() {
            if place > 0 {
                self.sql.push_str(", ");
            }
            self.operand(item)?;
        }
        self.sql.push(')');
        if negated && self.may_be_zero_date(expr) {
            self.sql.push_str(" AND ");
            self.is_null(expr, true)?;
        }
        self.sql.push(')');
        Ok(())
    }

    fn between(&mut self, expr: &RemoteExpr, low: &RemoteExpr, high: &RemoteExpr, negated: bool) -> Result<()> {
        let bound = |side| matches!(literal_of(side), Some(Literal::Bound { .. }));
        if !(bound(low) && bound(high)) {
            let parts = if negated {
                vec![compare(CompareOp::Lt, expr, low), compare(CompareOp::Gt, expr, high)]
            } else {
                vec![compare(CompareOp::GtEq, expr, low), compare(CompareOp::LtEq, expr, high)]
            };
            return self.condition(&if negated { RemoteExpr::Or(parts) } else { RemoteExpr::And(parts) });
        }
        self.sql.push('(');
        self.operand(expr)?;
        self.sql.push_str(if negated { " NOT BETWEEN " } else { " BETWEEN " });
        self.operand(low)?;
        self.sql.push_str(" AND ");
        self.operand(high)?;
        if self.may_be_zero_date(expr) {
            self.sql.push_str(" AND ");
            self.is_null(expr, true)?;
        }
        self.sql.push(')');
        Ok(())
    }

    fn is_null(&mut self, expr: &RemoteExpr, negated: bool) -> Result<()> {
        if self.may_be_zero_date(expr) {
            self.sql.push('(');
            self.operand(expr)?;
            self.sql.push_str(" + INTERVAL 0 DAY)");
        } else {
            self.operand(expr)?;
        }
        self.sql.push_str(if negated { " IS NOT NULL" } else { " IS NULL" });
        Ok(())
    }

    fn never(&mut self) -> Result<()> {
        self.sql.push_str("1 = 0");
        Ok(())
    }

    /// A column or a parameter.
    fn operand(&mut self, expr: &RemoteExpr) -> Result<()> {
        match expr {
            RemoteExpr::Column(index) => self.column(*index),
            RemoteExpr::Literal(value, column_type) => match literal::bind(value, column_type) {
                Some(Literal::Bound { placeholder, value }) => {
                    self.sql.push_str(&placeholder);
                    self.params.push(value);
                    Ok(())
                }
                _ => Err(self.bug(&format!("the literal {value:?} as {column_type:?}"))),
            },
            other => Err(self.bug(&format!("a condition in the place of a value: {other:?}"))),
        }
    }

    fn may_be_zero_date(&self, expr: &RemoteExpr) -> bool {
        let RemoteExpr::Column(index) = expr else { return false };
        self.query.table.columns.get(*index).is_some_and(|column| column.column_type.may_hold_zero_date())
    }

    fn bug(&self, what: &str) -> ConnectorError {
        let id = &self.query.table.id;
        let message = format!("{id}: {what} was pushed down, which the MariaDB connector does not render");
        ConnectorError::new(ErrorKind::Bug, message).with_table(id.clone())
    }
}

fn compare(op: CompareOp, left: &RemoteExpr, right: &RemoteExpr) -> RemoteExpr {
    RemoteExpr::Compare { op, left: Box::new(left.clone()), right: Box::new(right.clone()) }
}

fn literal_of(expr: &RemoteExpr) -> Option<Literal> {
    match expr {
        RemoteExpr::Literal(value, column_type) => literal::bind(value, column_type),
        _ => None,
    }
}

/// For a comparison with a literal that no value of the server reaches: the other side, and whether the
/// comparison holds for all its values.
fn beyond<'e>(op: CompareOp, left: &'e RemoteExpr, right: &'e RemoteExpr) -> Option<(&'e RemoteExpr, bool)> {
    use CompareOp::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    let (other, above) = match (literal_of(left), literal_of(right)) {
        (_, Some(Literal::Beyond { above })) => (left, above),
        (Some(Literal::Beyond { above }), _) => (right, !above),
        _ => return None,
    };
    let holds = match op {
        Eq => false,
        NotEq => true,
        Lt | LtEq => above,
        Gt | GtEq => !above,
    };
    Some((other, holds))
}

fn symbol(op: CompareOp) -> &'static str {
    match op {
        CompareOp::Eq => " = ",
        CompareOp::NotEq => " <> ",
        CompareOp::Lt => " < ",
        CompareOp::LtEq => " <= ",
        CompareOp::Gt => " > ",
        CompareOp::GtEq => " >= ",
    }
}
