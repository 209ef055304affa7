//! Joins.
//!
//! **Why IN rather than EXISTS?** The server makes a join of IN wherever it stands, of EXISTS only where that is not within
//! another one: a subquery that it runs for each row is up to hundreds of times slower. IN is the same where the keys are whole
//! numbers, and NOT IN where they are never NULL; other keys it may compare otherwise than `=` does.

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
            let key = key(left, right, kind, on);
            return self.having_partners(block, partners, kind, on, key);
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

    /// The rows of `block` that have partners, or none, by `key` where there is one.
    fn having_partners(
        &self,
        mut block: Block,
        mut partners: Block,
        kind: JoinKind,
        on: &RemoteExpr,
        key: Option<Key<'_>>,
    ) -> Result<Block> {
        let places = block.cells.len();
        block.cells.append(&mut partners.cells);
        let has_none = kind == JoinKind::Anti;
        let mut condition = match key {
            None => {
                partners.filters.push(self.condition(on, &block.cells)?);
                Sql::text(if has_none { "NOT EXISTS (" } else { "EXISTS (" })
            }
            Some(Key { left, right, rest }) => {
                for condition in rest {
                    partners.filters.push(self.condition(condition, &block.cells)?);
                }
                partners.cells = vec![Cell::computed(self.operand(right, &block.cells)?)];
                let within = if has_none { " NOT IN (" } else { " IN (" };
                Sql::around("", &self.operand(left, &block.cells)?, within)
            }
        };
        condition.add(&Sql::around("", &partners.select(None), ")"));
        block.cells.truncate(places);
        block.filters.push(condition);
        Ok(block)
    }
}

/// The columns by which partners may be found with IN.
struct Key<'e> {
    /// Of the left side.
    left: &'e RemoteExpr,
    /// Of the right side.
    right: &'e RemoteExpr,
    /// What partners fulfil besides.
    rest: Vec<&'e RemoteExpr>,
}

/// See the module. `None` where nothing of `on` is such a comparison.
fn key<'e>(left: &Relation, right: &Relation, kind: JoinKind, on: &'e RemoteExpr) -> Option<Key<'e>> {
    let parts = match on {
        RemoteExpr::And(parts) => parts.as_slice(),
        one => std::slice::from_ref(one),
    };
    let mut columns = left.columns();
    let places = columns.len();
    columns.append(&mut right.columns());
    let serves =
        |column: &RemoteColumn| is_whole(&column.column_type) && (kind == JoinKind::Semi || !column.nullable);
    let sides = |part: &'e RemoteExpr| {
        let RemoteExpr::Compare { op: CompareOp::Eq, left, right } = part else { return None };
        let (RemoteExpr::Column(one), RemoteExpr::Column(other)) = (&**left, &**right) else { return None };
        if ![one, other].into_iter().all(|place| columns.get(*place).is_some_and(serves)) {
            return None;
        }
        match (*one < places, *other < places) {
            (true, false) => Some((&**left, &**right)),
            (false, true) => Some((&**right, &**left)),
            _ => None,
        }
    };
    let (at, (left, right)) = parts.iter().enumerate().find_map(|(at, part)| Some((at, sides(part)?)))?;
    let rest = parts.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, part)| part);
    Some(Key { left, right, rest: rest.collect() })
}

fn is_whole(column_type: &ColumnType) -> bool {
    use ColumnType::{BigInt, Int, MediumInt, SmallInt, TinyInt};
    matches!(column_type, TinyInt { .. } | SmallInt { .. } | MediumInt { .. } | Int { .. } | BigInt { .. })
}
