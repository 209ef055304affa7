//! Transactions: nothing but parameters can change, so nothing else goes back.
//!
//! A transaction of which a statement failed answers nothing but its end, and COMMIT then rolls it back: a client
//! that does not look at each answer must not take the rest for the whole.

use super::{Answer, Session};
use crate::query::settings::Settings;
use crate::query::statement::Savepoint;
use crate::query::{QueryError, QueryErrorKind, Reason, RouteSettings};

/// The values of the parameters.
pub(super) type Values = (Settings, RouteSettings);

/// The most savepoints of one transaction.
const MAX_SAVEPOINTS: usize = 1_000;

/// What a transaction goes back to.
#[derive(Debug)]
pub(super) struct Transaction {
    /// As they were at BEGIN, for ROLLBACK.
    before: Values,
    /// As they are without SET LOCAL, for COMMIT.
    lasting: Option<Values>,
    /// In the order in which they were set.
    savepoints: Vec<Kept>,
    /// Whether a statement failed, and no ROLLBACK TO went back before it.
    pub(super) failed: bool,
}

#[derive(Debug)]
struct Kept {
    name: String,
    now: Values,
    lasting: Option<Values>,
}

/// The error for a statement in a transaction that failed.
pub(super) fn failed() -> QueryError {
    let message = "an earlier statement of this transaction failed: only its end is answered";
    QueryError::new(QueryErrorKind::Invalid, message)
        .because(Reason::FailedTransaction)
        .with_hint("ROLLBACK, or ROLLBACK TO a savepoint")
}

impl Session {
    /// Whether only the end of the transaction is answered.
    pub(super) fn has_failed(&self) -> bool {
        self.transaction.as_ref().is_some_and(|transaction| transaction.failed)
    }

    fn values(&self) -> Values {
        (self.settings.clone(), self.routes.clone())
    }

    fn restore(&mut self, values: Values) {
        (self.settings, self.routes) = values;
    }

    /// Sets everything to what came with the connection.
    pub(super) fn reset(&mut self) {
        self.restore(self.defaults.clone());
        // What a local SET hid is reset with it.
        if let Some(transaction) = &mut self.transaction {
            transaction.lasting = None;
        }
    }

    pub(super) fn begin(&mut self) {
        if self.transaction.is_none() {
            let transaction =
                Transaction { before: self.values(), lasting: None, savepoints: Vec::new(), failed: false };
            self.transaction = Some(transaction);
        }
    }

    /// COMMIT; the answer says whether it was one.
    pub(super) fn commit(&mut self) -> Answer {
        match self.transaction.take() {
            Some(transaction) if transaction.failed => {
                self.restore(transaction.before);
                return Answer::done("ROLLBACK");
            }
            Some(Transaction { lasting: Some(lasting), .. }) => self.restore(lasting),
            _ => {}
        }
        Answer::done("COMMIT")
    }

    pub(super) fn rollback(&mut self) {
        if let Some(transaction) = self.transaction.take() {
            self.restore(transaction.before);
        }
    }

    pub(super) fn savepoint(&mut self, savepoint: &Savepoint) -> Result<(), QueryError> {
        let now = self.values();
        let Some(transaction) = &mut self.transaction else {
            let message = format!("{savepoint} needs a transaction");
            return Err(QueryError::new(QueryErrorKind::Invalid, message)
                .because(Reason::NoTransaction)
                .with_hint("BEGIN one"));
        };
        let find = |name: &str| {
            let found = transaction.savepoints.iter().rposition(|kept| kept.name == name);
            found.ok_or_else(|| {
                QueryError::new(QueryErrorKind::Name, format!("savepoint {name} is not there"))
                    .because(Reason::UnknownSavepoint)
            })
        };
        match savepoint {
            Savepoint::Set(_) if transaction.savepoints.len() >= MAX_SAVEPOINTS => {
                let message = format!("{MAX_SAVEPOINTS} savepoints are set, the most for one transaction");
                return Err(QueryError::new(QueryErrorKind::Limit, message).with_hint("RELEASE some"));
            }
            Savepoint::Set(name) => {
                let lasting = transaction.lasting.clone();
                transaction.savepoints.push(Kept { name: name.clone(), now, lasting });
            }
            Savepoint::Release(name) => {
                let index = find(name)?;
                transaction.savepoints.truncate(index);
            }
            Savepoint::RollbackTo(name) => {
                let index = find(name)?;
                transaction.savepoints.truncate(index + 1);
                transaction.failed = false;
                let kept = &transaction.savepoints[index];
                let now = kept.now.clone();
                transaction.lasting = kept.lasting.clone();
                self.restore(now);
            }
        }
        Ok(())
    }

    /// SET, or RESET where there is no value; `local` for the transaction only.
    pub(super) fn set_all(
        &mut self,
        parameters: &[(String, Option<String>)],
        local: bool,
    ) -> Result<(), QueryError> {
        let before = self.values();
        let catalog = self.engine.catalog();
        for (name, value) in parameters {
            let value = value.as_deref();
            let done = self.settings.set(&mut self.routes, &self.defaults, &catalog, name, value);
            if let Err(error) = done {
                self.restore(before);
                return Err(error);
            }
        }
        match (&mut self.transaction, local) {
            (Some(transaction), true) => {
                transaction.lasting.get_or_insert(before);
            }
            // A SET that lasts also lasts where a local one hides it.
            (Some(Transaction { lasting: Some((settings, routes)), .. }), false) => {
                for (name, value) in parameters {
                    settings.set(routes, &self.defaults, &catalog, name, value.as_deref())?;
                }
            }
            // Without a transaction, a local one ends with its own statement.
            (None, true) => self.restore(before),
            (_, false) => {}
        }
        Ok(())
    }
}
