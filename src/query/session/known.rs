//! The statements that were prepared a moment ago, of all sessions: who asks one again with the same text gets the plan
//! that is there, as if it had kept the statement. Planning anew takes longer than many answers.
//!
//! Why is the answer the same? What a plan is made of is asked for with it ([`Asked`]): a catalog that changed makes it
//! another one. Definitions that are newer than the catalog's are found when a statement is executed, whoever keeps it;
//! then it is planned again, and [forgotten](Known::forget) here.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::DataType;
use parking_lot::Mutex;

use super::Prepared;
use super::action::Action;
use super::read::ReadPlan;
use crate::policy::Identity;
use crate::query::RouteSettings;

/// So many statements are kept; of more, those go that were asked longest ago.
const MOST: usize = 256;

/// Bytes of a statement that is kept at most.
const LONGEST: usize = 4_096;

/// All that the plan of a statement depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    pub(super) text: String,
    pub(super) declared: Vec<Option<DataType>>,
    pub(super) path: Vec<String>,
    pub(super) routes: RouteSettings,
    pub(super) identity: Identity,
    /// The catalog's.
    pub(super) epoch: u64,
}

impl Asked {
    /// Whether a plan of `text` may be kept.
    pub(super) fn fits(text: &str) -> bool {
        text.len() <= LONGEST
    }
}

#[derive(Debug)]
struct Kept {
    prepared: Prepared,
    /// When it was asked last, in questions.
    at: u64,
}

/// Statements, by what they are made of. Clones of what is kept share its plan.
#[derive(Debug, Default)]
pub(in crate::query) struct Known(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    kept: HashMap<Asked, Kept>,
    /// The latest catalog that one was made with.
    epoch: u64,
    questions: u64,
}

impl Known {
    /// What `asked` was prepared as.
    pub(super) fn get(&self, asked: &Asked) -> Option<Prepared> {
        let mut state = self.0.lock();
        state.questions += 1;
        let now = state.questions;
        let kept = state.kept.get_mut(asked)?;
        kept.at = now;
        Some(kept.prepared.clone())
    }

    /// Keeps what `asked` was prepared as.
    pub(super) fn keep(&self, asked: Asked, prepared: &Prepared) {
        let mut state = self.0.lock();
        // Those of a catalog of before are asked for by nobody any more.
        if state.epoch < asked.epoch {
            state.kept.clear();
            state.epoch = asked.epoch;
        }
        if asked.epoch < state.epoch {
            return;
        }
        if state.kept.len() >= MOST
            && !state.kept.contains_key(&asked)
            && let Some((oldest, _)) = state.kept.iter().min_by_key(|(_, kept)| kept.at)
        {
            let oldest = oldest.clone();
            state.kept.remove(&oldest);
        }
        let at = state.questions;
        state.kept.insert(asked, Kept { prepared: prepared.clone(), at });
    }

    /// Forgets whatever has `plan`, which is of definitions that are no longer.
    pub(super) fn forget(&self, plan: &Arc<ReadPlan>) {
        let is_of = |prepared: &Prepared| matches!(&prepared.action, Action::Read(of) if Arc::ptr_eq(of, plan));
        self.0.lock().kept.retain(|_, kept| !is_of(&kept.prepared));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::testing::{Shop, column, rows, show, table_id};

    async fn plan(session: &mut super::super::Session, sql: &str) -> Arc<ReadPlan> {
        let prepared = session.prepare(sql).await.unwrap();
        match &prepared.action {
            Action::Read(plan) => Arc::clone(plan),
            other => panic!("{sql} is {other:?}"),
        }
    }

    #[tokio::test]
    async fn the_same_question_has_the_same_plan_until_something_else_is_meant_by_it() {
        let shop = Shop::new();
        let (mut one, mut other) = (shop.session(), shop.session());
        let sql = "SELECT name FROM users WHERE id = $1";
        let first = plan(&mut one, sql).await;
        assert!(Arc::ptr_eq(&first, &plan(&mut other, sql).await), "of another session too");
        other.set("search_path", "orders").unwrap();
        assert!(!Arc::ptr_eq(&first, &plan(&mut other, sql).await), "another path");
        assert!(Arc::ptr_eq(&first, &plan(&mut one, sql).await), "each has its own");
        one.set("crossweave.route", "live").unwrap();
        assert!(!Arc::ptr_eq(&first, &plan(&mut one, sql).await), "another route");
        let of_route = plan(&mut one, sql).await;
        shop.catalog.update(Clone::clone);
        let kept = || shop.engine.inner.known.0.lock().kept.len();
        assert_eq!(kept(), 3);
        assert!(!Arc::ptr_eq(&of_route, &plan(&mut one, sql).await), "another catalog");
        assert_eq!(kept(), 1, "those of before are gone");
        let explained = "EXPLAIN SELECT name FROM users";
        assert!(!Arc::ptr_eq(&plan(&mut one, explained).await, &plan(&mut one, explained).await));
        let long = format!("SELECT name FROM users WHERE name <> '{}'", "x".repeat(LONGEST));
        assert!(!Arc::ptr_eq(&plan(&mut one, &long).await, &plan(&mut one, &long).await));
        let of_many: Vec<String> = (1..80).map(|n| format!("CROSS JOIN users u{n}")).collect();
        let wide = format!("SELECT 1 FROM users u0 {} LIMIT 1", of_many.join(" "));
        assert!(!Arc::ptr_eq(&plan(&mut one, &wide).await, &plan(&mut one, &wide).await));
    }

    #[tokio::test]
    async fn a_plan_of_a_definition_that_has_gone_is_not_kept() {
        let shop = Shop::new();
        let mut session = shop.session();
        session.set("crossweave.route", "live").unwrap();
        let sql = "SELECT * FROM users ORDER BY id LIMIT 1";
        let before = plan(&mut session, sql).await;
        let old = shop.def(&table_id("users", "users"));
        let mut new = (*old).clone();
        new.columns.push(column("extra", crossweave_contract::ColumnType::BigInt { unsigned: false }));
        // The catalog does not know of it yet.
        let none = rows(&new, &[]);
        shop.sources["users"].put(Arc::new(new), none);
        show(&mut session, sql).await;
        assert!(!Arc::ptr_eq(&before, &plan(&mut session, sql).await));
    }

    #[tokio::test]
    async fn of_too_many_statements_those_go_that_were_asked_longest_ago() {
        let shop = Shop::new();
        let mut session = shop.session();
        let sql = |n: usize| format!("SELECT {n} FROM users");
        let (first, second) = (plan(&mut session, &sql(0)).await, plan(&mut session, &sql(1)).await);
        for n in 2..MOST {
            plan(&mut session, &sql(n)).await;
        }
        assert!(Arc::ptr_eq(&first, &plan(&mut session, &sql(0)).await));
        plan(&mut session, &sql(MOST)).await;
        assert!(Arc::ptr_eq(&first, &plan(&mut session, &sql(0)).await), "it was asked just now");
        assert!(!Arc::ptr_eq(&second, &plan(&mut session, &sql(1)).await));
    }
}
