//! Joins.
//!
//! **Why IN rather than EXISTS?** The server makes a join of IN wherever it stands, of EXISTS only where that is not within
//! another one: a subquery that it runs for each row is up to hundreds of times slower. IN is the same where the keys are whole
//! numbers, and NOT IN where they are never NULL; other keys it may compare otherwise than `=` does. It takes all of them
//! that there are, and what is asked of partners alone: where something else of both sides were left in the subquery, the
//! server would run it for each row, and EXISTS is better.

use crossweave_contract::{ColumnType, CompareOp, JoinKind, Relation, RemoteColumn, RemoteExpr, Result};

use super::blocks::{Block, Renderer};
use super::cells::Cell;
use super::sql::Sql;

impl Renderer<'_> {
    /// A side of a join.
    pub(super) fn side(&mut self, relation: &Relation) -> Result<Block> {
        let block = self.block(relation)?;
        Ok(if block.is_plain() { block } else { self.derived(&block) })
    }

    pub(super) fn join(
        &mut self,
        left: &Relation,
        right: &Relation,
        kind: JoinKind,
        on: &RemoteExpr,
    ) -> Result<Block> {
        let mut block = self.side(left)?;
        let mut partners = self.side(right)?;
        if matches!(kind, JoinKind::Semi | JoinKind::Anti) {
            let keys = keys(left, right, kind, on);
            return self.having_partners(block, partners, kind, on, keys);
        }
        if kind == JoinKind::Left && !partners.cells.iter().all(|cell| cell.bare) {
            partners = self.derived(&partners);
        }
        block.cells.append(&mut partners.cells);
        let on = self.condition(on, &block.cells)?;
        block.from.push(if kind == JoinKind::Left { " LEFT JOIN " } else { " JOIN " });
        block.from.add(&if partners.joined { Sql::around("(", &partners.from, ")") } else { partners.from });
        block.from.push(" ON ");
        block.from.add(&on);
        if kind == JoinKind::Left {
            for filter in &partners.filters {
                block.from.push(" AND ");
                block.from.add(filter);
            }
        } else {
            block.filters.append(&mut partners.filters);
        }
        block.joined = true;
        block.depth = block.depth.max(partners.depth);
        block.order.clear();
        Ok(block)
    }

    /// The rows of `block` that have partners, or none, by `keys` where there are some.
    fn having_partners(
        &self,
        mut block: Block,
        mut partners: Block,
        kind: JoinKind,
        on: &RemoteExpr,
        keys: Option<Keys<'_>>,
    ) -> Result<Block> {
        let places = block.cells.len();
        block.cells.append(&mut partners.cells);
        let has_none = kind == JoinKind::Anti;
        let mut condition = match keys {
            None => {
                partners.filters.push(self.condition(on, &block.cells)?);
                Sql::text(if has_none { "NOT EXISTS (" } else { "EXISTS (" })
            }
            Some(Keys { pairs, rest }) => {
                for condition in rest {
                    partners.filters.push(self.condition(condition, &block.cells)?);
                }
                let operands = |side: Vec<&RemoteExpr>| {
                    side.into_iter().map(|expr| self.operand(expr, &block.cells)).collect::<Result<Vec<_>>>()
                };
                let (left, right) = pairs.iter().map(|pair| (pair.left, pair.right)).unzip();
                partners.cells = operands(right)?.into_iter().map(Cell::computed).collect();
                let mut looked_for = Sql::default();
                looked_for.add_all(&operands(left)?, ", ");
                if pairs.len() > 1 {
                    looked_for = Sql::around("(", &looked_for, ")");
                }
                Sql::around("", &looked_for, if has_none { " NOT IN (" } else { " IN (" })
            }
        };
        condition.add(&Sql::around("", &partners.select(None), ")"));
        block.cells.truncate(places);
        block.filters.push(condition);
        Ok(block)
    }
}

/// Columns of the two sides that are equal.
struct Pair<'e> {
    left: &'e RemoteExpr,
    right: &'e RemoteExpr,
}

/// What partners may be found by with IN.
struct Keys<'e> {
    pairs: Vec<Pair<'e>>,
    /// What is asked of partners besides, whatever they are partners of.
    rest: Vec<&'e RemoteExpr>,
}

/// See the module. `None` where `on` has something else.
fn keys<'e>(left: &Relation, right: &Relation, kind: JoinKind, on: &'e RemoteExpr) -> Option<Keys<'e>> {
    let parts = match on {
        RemoteExpr::And(parts) => parts.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut columns = left.columns();
    let places = columns.len();
    columns.append(&mut right.columns());
    let serves =
        |column: &RemoteColumn| is_whole(&column.column_type) && (kind == JoinKind::Semi || !column.nullable);
    let pair = |part: &'e RemoteExpr| {
        let RemoteExpr::Compare { op: CompareOp::Eq, left, right } = part else { return None };
        let (RemoteExpr::Column(one), RemoteExpr::Column(other)) = (&**left, &**right) else { return None };
        if ![one, other].into_iter().all(|place| columns.get(*place).is_some_and(serves)) {
            return None;
        }
        match (*one < places, *other < places) {
            (true, false) => Some(Pair { left, right }),
            (false, true) => Some(Pair { left: right, right: left }),
            _ => None,
        }
    };
    let (mut pairs, mut rest) = (Vec::new(), Vec::new());
    for part in parts {
        match pair(part) {
            Some(pair) => pairs.push(pair),
            None => rest.push(part),
        }
    }
    let is_of_partners = |part: &&RemoteExpr| part.places().into_iter().all(|place| place >= places);
    (!pairs.is_empty() && rest.iter().all(is_of_partners)).then_some(Keys { pairs, rest })
}

fn is_whole(column_type: &ColumnType) -> bool {
    use ColumnType::{BigInt, Int, MediumInt, SmallInt, TinyInt};
    matches!(column_type, TinyInt { .. } | SmallInt { .. } | MediumInt { .. } | Int { .. } | BigInt { .. })
}
