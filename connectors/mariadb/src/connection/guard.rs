//! What the owner of a server allows: who is over it is refused, in words that name the limit, and counted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crossweave_contract::{ConnectorError, ErrorKind, Refusal, Result, ServiceName};
use tokio::time::Instant;

use crate::{Limits, SourceOptions};

/// A limit, as the config names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the config says it")]
pub(crate) enum Limit {
    Queue,
    QueueWait,
    StatementsPerSecond,
    Rows,
    Bytes,
    Seconds,
    RowsExamined,
}

impl Limit {
    fn name(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::QueueWait => "queue_wait",
            Self::StatementsPerSecond => "statements_per_second",
            Self::Rows => "rows",
            Self::Bytes => "bytes",
            Self::Seconds => "seconds",
            Self::RowsExamined => "rows_examined",
        }
    }

    /// Whether who is over the limit named so is told before a statement is sent, or after all of its rows.
    pub(crate) fn is_of_whole_statements(name: Option<&str>) -> bool {
        [Self::RowsExamined, Self::StatementsPerSecond].iter().any(|limit| Some(limit.name()) == name)
    }
}

/// The limits of one server, and how often each refused something.
pub(crate) struct Guard {
    limits: Limits,
    services: Vec<ServiceName>,
    refusals: Mutex<BTreeMap<(ServiceName, Limit), u64>>,
    /// When the next statement would have its turn if there were no slack.
    next_turn: Mutex<Option<Instant>>,
}

impl Guard {
    pub(crate) fn new(options: &SourceOptions) -> Self {
        Self {
            limits: options.limits,
            services: options.services.clone(),
            refusals: Mutex::default(),
            next_turn: Mutex::default(),
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The error of who is over `limit`, of which `found` says by what, and `fix` what helps beside raising it.
    /// `service` is whose query it is; all that share the server where that is not known.
    pub(crate) fn refuse(
        &self,
        limit: Limit,
        service: Option<&ServiceName>,
        found: impl fmt::Display,
        fix: &str,
    ) -> ConnectorError {
        let services = match service {
            Some(service) => std::slice::from_ref(service),
            None => self.services.as_slice(),
        };
        {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            for service in services {
                *refusals.entry((service.clone(), limit)).or_default() += 1;
            }
        }
        let message = match service {
            Some(service) => format!("service {service}: {found}"),
            // Who opened the connection says for which services.
            None => found.to_string(),
        };
        tracing::info!(limit = limit.name(), ?services, message, "refused");
        let sections = self.services.iter().map(|service| format!("[services.{service}.limits]"));
        let sections = sections.collect::<Vec<_>>().join(" and ");
        let section = if sections.is_empty() { "the service's limits" } else { &sections };
        ConnectorError::new(ErrorKind::Limit, message)
            .with_limit(limit.name())
            .with_fix(format!("{fix}, or raise {} in {section}", limit.name()))
    }

    /// How often each limit refused something.
    pub(crate) fn refusals(&self) -> Vec<Refusal> {
        let refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        let told = refusals.iter().map(|((service, limit), count)| Refusal {
            service: service.clone(),
            limit: limit.name(),
            count: *count,
        });
        told.collect()
    }

    /// How long a statement of `service` has to wait for its turn. A second's statements may come at once.
    pub(crate) fn turn(&self, service: &ServiceName) -> Result<Duration> {
        self.turn_at(Instant::now(), service)
    }

    fn turn_at(&self, now: Instant, service: &ServiceName) -> Result<Duration> {
        let Some(most) = self.limits.statements_per_second.filter(|most| *most > 0) else {
            return Ok(Duration::ZERO);
        };
        let apart = Duration::from_secs(1) / most;
        let mut next_turn = self.next_turn.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = next_turn.map_or(now, |next| next.max(now));
        let wait = (turn - now).saturating_sub(apart * (most - 1));
        if wait > self.limits.queue_wait {
            drop(next_turn);
            let found = format!(
                "its statement would have to wait {wait:.1?} for its turn at {most} statements a second, longer than \
                 the {:?} that one may wait",
                self.limits.queue_wait
            );
            let fix = "Run fewer queries at the same time";
            return Err(self.refuse(Limit::StatementsPerSecond, Some(service), found, fix));
        }
        *next_turn = Some(turn + apart);
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::offline;

    #[test]
    fn statements_beyond_a_seconds_worth_wait_and_then_are_refused() {
        let mut options = offline();
        options.limits.statements_per_second = Some(10);
        options.limits.queue_wait = Duration::from_millis(250);
        let guard = Guard::new(&options);
        let (service, now) = (ServiceName::from("s"), Instant::now());
        let waits: Vec<u128> = (0..12).map(|_| guard.turn_at(now, &service).unwrap().as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 100, 200]);
        let error = guard.turn_at(now, &service).unwrap_err();
        assert_eq!((error.kind, error.limit), (ErrorKind::Limit, Some("statements_per_second")));
        let text = error.to_string();
        assert!(text.starts_with("service s: ") && text.contains("[services.s.limits]"), "{text}");
        let (refused, limit) = (guard.refusals(), "statements_per_second");
        assert_eq!(refused, [Refusal { service: service.clone(), limit, count: 1 }]);
        // Time gives turns back.
        let later = now + Duration::from_millis(100);
        assert_eq!(guard.turn_at(later, &service).unwrap(), Duration::from_millis(200));
    }
}
