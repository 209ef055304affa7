//! What the server says of a view's statements before they run.
//!
//! The planner asks what it expects, and before the statement runs it is asked whether its owner allows it: the answer
//! to the first is kept for the second. For a moment it is kept for other views as well.

use std::collections::VecDeque;
use std::sync::Arc;

use crossweave_contract::{Examined, Result};
use mysql_async::{Params, Row, Value};

use super::admission::LONGEST_KNOWN;
use super::estimate::{Estimate, Step};
use crate::connection::{Session, describe, heard, server_code};
use crate::scan::Statement;

/// Of how many statements the answer is kept; of more, the oldest is asked for again.
const MOST_KEPT: usize = 32;

/// Of statements with more parameters nothing is kept.
const MOST_PARAMETERS: usize = 1_000;

/// With more, nothing is kept for other views: they will hardly have the same.
const MOST_SHARED: usize = 100;

/// The statement was ended, or took too long: what it says of itself.
const ENDED: [u16; 2] = [1317, 1969];

/// The server's answers for one view.
#[derive(Debug, Default)]
pub(super) struct Explained(VecDeque<(Statement, Option<Arc<Estimate>>)>);

impl Explained {
    /// What the server expects of `statement`; `None` where it does not tell.
    pub(super) async fn of(
        &mut self,
        session: &mut Session,
        statement: &Statement,
    ) -> Result<Option<Arc<Estimate>>> {
        if let Some((_, kept)) = self.0.iter().find(|(kept, _)| kept == statement) {
            return Ok(kept.clone());
        }
        let pool = session.pool().clone();
        if pool.known().is_of_single_rows(statement) {
            return Ok(Some(Arc::new(Estimate::of_single_row())));
        }
        if let Some(known) = shared_text(statement).and_then(|text| pool.known().explained.get(&text)) {
            self.keep(statement, &known);
            return Ok(known);
        }
        self.anew(session, statement).await
    }

    /// As [`of`](Self::of), whatever was known.
    pub(super) async fn anew(
        &mut self,
        session: &mut Session,
        statement: &Statement,
    ) -> Result<Option<Arc<Estimate>>> {
        let estimate = explain(session, statement).await?.map(|steps| Arc::new(Estimate::of(&steps)));
        self.keep(statement, &estimate);
        let pool = session.pool();
        if estimate.as_ref().is_some_and(|estimate| estimate.is_of_single_rows()) {
            pool.known().note_single_rows(statement);
        } else if let Some(text) = shared_text(statement) {
            pool.known().explained.put(text, estimate.clone());
        }
        Ok(estimate)
    }

    fn keep(&mut self, statement: &Statement, estimate: &Option<Arc<Estimate>>) {
        self.0.retain(|(kept, _)| kept != statement);
        if statement.params.len() <= MOST_PARAMETERS {
            if self.0.len() == MOST_KEPT {
                self.0.pop_front();
            }
            self.0.push_back((statement.clone(), estimate.clone()));
        }
    }

    /// The same in the planner's words.
    pub(super) async fn estimate(
        &mut self,
        session: &mut Session,
        statement: &Statement,
    ) -> Result<Option<crossweave_contract::Estimate>> {
        let Some(estimate) = self.of(session, statement).await? else { return Ok(None) };
        let limit = statement.limit.early();
        let allowed = session.pool().guard().limits().rows_examined;
        // Both saturate.
        let (examined, rows) = (estimate.rows(limit).ceil() as u64, estimate.given(limit).ceil() as u64);
        Ok(Some(crossweave_contract::Estimate { examined: Examined { rows: examined, allowed }, rows }))
    }
}

/// `statement` with its parameters, where other views may ask the same.
pub(super) fn shared_text(statement: &Statement) -> Option<String> {
    let bytes = |value: &Value| if let Value::Bytes(bytes) = value { bytes.len() } else { 0 };
    let long = statement.sql.len() + statement.params.iter().map(bytes).sum::<usize>();
    let may_be_asked = statement.params.len() <= MOST_SHARED && long <= LONGEST_KNOWN;
    let text = may_be_asked.then(|| with_values(statement))?;
    (text.len() <= LONGEST_KNOWN).then_some(text)
}

/// The text of `statement` and all of each of its values. What `Debug` shows of one is its beginning.
pub(super) fn with_values(statement: &Statement) -> String {
    let mut text = statement.sql.clone();
    for value in &statement.params {
        text.push(' ');
        text.push_str(&value.as_sql(true));
    }
    text
}

/// What the server would do for `statement`; `None` where it does not tell.
async fn explain(session: &mut Session, statement: &Statement) -> Result<Option<Vec<Step>>> {
    let sql = format!("EXPLAIN EXTENDED {}", statement.sql);
    let params = if statement.params.is_empty() { Params::Empty } else { statement.params.clone().into() };
    match heard(session.exec::<Row>(&sql, params)).await {
        Ok(rows) => Ok(Some(rows.iter().map(step).collect())),
        Err(error) if server_code(&error).is_some_and(|code| !ENDED.contains(&code)) => Ok(None),
        Err(error) => Err(describe(session.pool().endpoint(), "estimating a statement", error)),
    }
}

fn step(row: &Row) -> Step {
    let text = |name: &str| {
        let place = row.columns_ref().iter().position(|column| column.name_str() == name)?;
        match row.as_ref(place)? {
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Value::Int(number) => Some(number.to_string()),
            Value::UInt(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Double(number) => Some(number.to_string()),
            _ => None,
        }
    };
    let extra = text("Extra").unwrap_or_default();
    let number = |name: &str| text(name).and_then(|text| text.parse::<f64>().ok());
    Step {
        select: text("id").unwrap_or_default(),
        select_type: text("select_type").unwrap_or_default(),
        table: text("table").unwrap_or_default(),
        access: text("type").unwrap_or_default(),
        key: text("key"),
        rows: number("rows"),
        filtered: number("filtered").unwrap_or(100.0),
        waits: extra.contains("filesort") || extra.contains("temporary"),
        covered: extra
            .split(';')
            .any(|part| part.trim().starts_with("Using index") && !part.contains("condition")),
    }
}
