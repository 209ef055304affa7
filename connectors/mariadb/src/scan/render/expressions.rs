//! Conditions and values.
//!
//! Why do zero dates not come back from a comparison? MariaDB compares `0000-00-00` and `2018-02-00` like any
//! date, while here they are NULL. So a comparison with a column that may hold them says as well that
//! `column + INTERVAL 0 DAY` is not NULL, which holds exactly for the dates that are dates here (see
//! [`crate::values`]). That leaves the bare comparison to the index. The algebra asks of a condition
//! only whether it is true, so it is enough that each is true for the right rows; false and NULL need not be told apart.

use crossweave_contract::{ArithmeticOp, ColumnType, CompareOp, RemoteExpr, Result, Value};

use super::super::literal::{self, Literal};
use super::blocks::Renderer;
use super::cells::Cell;
use super::sql::Sql;

impl Renderer<'_> {
    /// Something that is true or not.
    pub(super) fn condition(&self, expr: &RemoteExpr, cells: &[Cell]) -> Result<Sql> {
        match expr {
            RemoteExpr::Compare { op, left, right } => self.compare(*op, left, right, cells),
            RemoteExpr::In { expr, list, negated } => self.is_in(expr, list, *negated, cells),
            RemoteExpr::Between { expr, low, high, negated } => self.between(expr, low, high, *negated, cells),
            RemoteExpr::Like { expr, pattern, negated } => {
                let mut sql = Sql::around("(", &self.value(expr, cells)?, if *negated { " NOT" } else { "" });
                sql.push(" LIKE ");
                sql.add(&self.value(pattern, cells)?);
                sql.push(")");
                Ok(sql)
            }
            RemoteExpr::IsNull { expr, negated } => self.is_null(expr, *negated, cells),
            RemoteExpr::NotTrue(condition) => {
                Ok(Sql::around("((", &self.condition(condition, cells)?, ") IS NOT TRUE)"))
            }
            RemoteExpr::And(parts) => self.joined(parts, " AND ", cells),
            RemoteExpr::Or(parts) => self.joined(parts, " OR ", cells),
            // A number used as a condition is true when not 0.
            RemoteExpr::Column(_) | RemoteExpr::Literal(..) => {
                Ok(Sql::around("", &self.value(expr, cells)?, " <> 0"))
            }
            other => Err(self.bug(&format!("a value in the place of a condition: {other:?}"))),
        }
    }

    /// A value; NULL for a date that is none.
    pub(super) fn value(&self, expr: &RemoteExpr, cells: &[Cell]) -> Result<Sql> {
        match expr {
            RemoteExpr::Column(index) => Ok(self.cell(*index, cells)?.clean()),
            RemoteExpr::Literal(Value::Null, _) => Ok(Sql::text("NULL")),
            RemoteExpr::Literal(..) => self.operand(expr, cells),
            RemoteExpr::Call { function, args } => self.call(*function, args, cells),
            RemoteExpr::Arithmetic { op, left, right } => {
                let mut sql = Sql::around("(", &self.value(left, cells)?, arithmetic_symbol(*op));
                sql.add(&self.value(right, cells)?);
                sql.push(")");
                Ok(sql)
            }
            RemoteExpr::Cast { expr, to } => {
                let to = match to {
                    ColumnType::Decimal { precision, scale } => format!(" AS DECIMAL({precision},{scale}))"),
                    ColumnType::BigInt { unsigned: false } => " AS SIGNED)".to_owned(),
                    ColumnType::BigInt { unsigned: true } => " AS UNSIGNED)".to_owned(),
                    ColumnType::Date => " AS DATE)".to_owned(),
                    ColumnType::DateTime { .. } => " AS DATETIME(6))".to_owned(),
                    other => return Err(self.bug(&format!("a cast to {other:?}"))),
                };
                Ok(Sql::around("CAST(", &self.value(expr, cells)?, &to))
            }
            RemoteExpr::Case { branches, otherwise } => {
                let mut sql = Sql::text("CASE");
                for (condition, value) in branches {
                    sql.push(" WHEN ");
                    sql.add(&self.condition(condition, cells)?);
                    sql.push(" THEN ");
                    sql.add(&self.value(value, cells)?);
                }
                if let Some(otherwise) = otherwise {
                    sql.push(" ELSE ");
                    sql.add(&self.value(otherwise, cells)?);
                }
                sql.push(" END");
                Ok(sql)
            }
            other => Err(self.bug(&format!("a condition in the place of a value: {other:?}"))),
        }
    }

    fn joined(&self, parts: &[RemoteExpr], by: &str, cells: &[Cell]) -> Result<Sql> {
        if parts.is_empty() {
            return Err(self.bug("an AND or OR of nothing"));
        }
        let parts = parts.iter().map(|part| self.condition(part, cells)).collect::<Result<Vec<_>>>()?;
        let mut sql = Sql::text("(");
        sql.add_all(&parts, by);
        sql.push(")");
        Ok(sql)
    }

    fn compare(&self, op: CompareOp, left: &RemoteExpr, right: &RemoteExpr, cells: &[Cell]) -> Result<Sql> {
        if let Some((column, holds)) = beyond(op, left, right) {
            // The literal lies outside what the server can hold: every value is on one side of it.
            return if holds { self.is_null(column, true, cells) } else { Ok(never()) };
        }
        let guarded: Vec<&RemoteExpr> = match (op, literal_of(left).or(literal_of(right))) {
            // No invalid date equals a valid one.
            (CompareOp::Eq, Some(_)) => Vec::new(),
            _ => [left, right].into_iter().filter(|side| may_be_zero_date(side, cells)).collect(),
        };
        let mut sql = Sql::around("(", &self.operand(left, cells)?, symbol(op));
        sql.add(&self.operand(right, cells)?);
        for column in guarded {
            sql.push(" AND ");
            sql.add(&self.is_null(column, true, cells)?);
        }
        sql.push(")");
        Ok(sql)
    }

    fn is_in(&self, expr: &RemoteExpr, list: &[RemoteExpr], negated: bool, cells: &[Cell]) -> Result<Sql> {
        let op = if negated { CompareOp::NotEq } else { CompareOp::Eq };
        let plain = literal_of(expr).is_none() && list.iter().all(|item| literal_of(item).is_some());
        if !plain {
            // A column among the items may be NULL without harm to the others: one comparison each.
            let items = list.iter().map(|item| compare(op, expr, item)).collect();
            return self
                .condition(&if negated { RemoteExpr::And(items) } else { RemoteExpr::Or(items) }, cells);
        }
        let reachable = |item: &&RemoteExpr| matches!(literal_of(item), Some(Literal::Bound { .. }));
        let reached = list.iter().filter(reachable).map(|item| self.operand(item, cells));
        let reached = reached.collect::<Result<Vec<_>>>()?;
        if reached.is_empty() {
            return if negated { self.is_null(expr, true, cells) } else { Ok(never()) };
        }
        let mut sql =
            Sql::around("(", &self.operand(expr, cells)?, if negated { " NOT IN (" } else { " IN (" });
        sql.add_all(&reached, ", ");
        sql.push(")");
        if negated && may_be_zero_date(expr, cells) {
            sql.push(" AND ");
            sql.add(&self.is_null(expr, true, cells)?);
        }
        sql.push(")");
        Ok(sql)
    }

    fn between(
        &self,
        expr: &RemoteExpr,
        low: &RemoteExpr,
        high: &RemoteExpr,
        negated: bool,
        cells: &[Cell],
    ) -> Result<Sql> {
        let bound = |side| matches!(literal_of(side), Some(Literal::Bound { .. }));
        // Over an index the server takes BETWEEN for `=` where the bounds are equal under the connection's collation,
        // whatever the column's is.
        let is_text = |side: &RemoteExpr| matches!(side, RemoteExpr::Literal(Value::Text(_), _));
        if !(bound(low) && bound(high)) || is_text(low) || is_text(high) {
            let condition = if negated {
                RemoteExpr::Or(vec![compare(CompareOp::Lt, expr, low), compare(CompareOp::Gt, expr, high)])
            } else {
                RemoteExpr::And(vec![compare(CompareOp::GtEq, expr, low), compare(CompareOp::LtEq, expr, high)])
            };
            return self.condition(&condition, cells);
        }
        let between = if negated { " NOT BETWEEN " } else { " BETWEEN " };
        let mut sql = Sql::around("(", &self.operand(expr, cells)?, between);
        sql.add(&self.operand(low, cells)?);
        sql.push(" AND ");
        sql.add(&self.operand(high, cells)?);
        if may_be_zero_date(expr, cells) {
            sql.push(" AND ");
            sql.add(&self.is_null(expr, true, cells)?);
        }
        sql.push(")");
        Ok(sql)
    }

    fn is_null(&self, expr: &RemoteExpr, negated: bool, cells: &[Cell]) -> Result<Sql> {
        Ok(Sql::around("", &self.value(expr, cells)?, if negated { " IS NOT NULL" } else { " IS NULL" }))
    }

    /// A side of a comparison, which is guarded where it may be a date that is none.
    pub(super) fn operand(&self, expr: &RemoteExpr, cells: &[Cell]) -> Result<Sql> {
        match expr {
            RemoteExpr::Column(index) => {
                let cell = self.cell(*index, cells)?;
                Ok(cell.compared.as_ref().unwrap_or(&cell.sql).clone())
            }
            RemoteExpr::Literal(value, column_type) => match literal::bind(value, column_type) {
                Some(Literal::Bound { placeholder, value }) => {
                    let mut sql = Sql::default();
                    sql.bind(&placeholder, value);
                    Ok(sql)
                }
                _ => Err(self.bug(&format!("the literal {value:?} as {column_type:?}"))),
            },
            other => self.value(other, cells),
        }
    }
}

fn never() -> Sql {
    Sql::text("1 = 0")
}

fn may_be_zero_date(expr: &RemoteExpr, cells: &[Cell]) -> bool {
    let RemoteExpr::Column(index) = expr else { return false };
    cells.get(*index).is_some_and(|cell| cell.raw_date)
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

fn arithmetic_symbol(op: ArithmeticOp) -> &'static str {
    match op {
        ArithmeticOp::Add => " + ",
        ArithmeticOp::Subtract => " - ",
        ArithmeticOp::Multiply => " * ",
    }
}
