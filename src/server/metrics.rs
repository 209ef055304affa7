//! `/metrics`, in Prometheus' text format: made of the state at the moment of asking, so nothing is counted twice.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use prometheus::proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{TEXT_FORMAT, TextEncoder};

use super::status::{ServerStatus, ServiceReport};
use super::{Shared, parts};
use crate::query::{Counters, DURATION_BUCKETS};

/// `GET /metrics`.
pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let families = families(&shared.status(), shared.engine.counters());
    match TextEncoder::new().encode_to_string(&families) {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

type Labels<'a> = [(&'a str, &'a str)];

/// One metric, with its values by labels.
struct Family(MetricFamily);

impl Family {
    fn new(name: &str, help: &str, kind: MetricType) -> Self {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        Self(family)
    }

    fn add(&mut self, labels: &Labels<'_>, set: impl FnOnce(&mut Metric)) {
        let label = |(name, value): &(&str, &str)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        };
        let mut metric = Metric::default();
        metric.set_label(labels.iter().map(label).collect());
        set(&mut metric);
        self.0.mut_metric().push(metric);
    }

    fn gauge(&mut self, labels: &Labels<'_>, value: f64) {
        self.add(labels, |metric| {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        });
    }

    fn counter(&mut self, labels: &Labels<'_>, value: u64) {
        self.add(labels, |metric| {
            let mut counter = Counter::default();
            counter.set_value(value as f64);
            metric.set_counter(counter);
        });
    }
}

fn families(status: &ServerStatus, counters: &Counters) -> Vec<MetricFamily> {
    let mut families = Vec::new();
    let mut info = Family::new("crossweave_info", "The running version; always 1.", MetricType::GAUGE);
    info.gauge(&[("version", &status.version)], 1.0);
    let mut ready = Family::new("crossweave_ready", "Whether /readyz succeeds.", MetricType::GAUGE);
    ready.gauge(&[], if status.state == "ready" { 1.0 } else { 0.0 });
    families.extend([info, ready]);
    families.extend(of_services(&status.services));
    families.extend(of_replicas(&status.services));
    families.extend(of_tables(&status.services));
    families.extend(of_queries(counters));
    // The encoder refuses a metric without values.
    families.into_iter().map(|family| family.0).filter(|family| !family.get_metric().is_empty()).collect()
}

fn of_services(services: &[ServiceReport]) -> Vec<Family> {
    let mut state = Family::new(
        "crossweave_service_state",
        "1 for the state that the service is in: ok, unreachable (never read), failing (changes are not followed).",
        MetricType::GAUGE,
    );
    let mut position = Family::new(
        "crossweave_service_position",
        "Sequence number of the last applied transaction, by replication domain.",
        MetricType::GAUGE,
    );
    let mut lag = Family::new(
        "crossweave_service_lag_seconds",
        "Time since the service's caches were known to be current.",
        MetricType::GAUGE,
    );
    let mut unstored = Family::new(
        "crossweave_service_checkpoint_failing",
        "1 while the service's caches cannot be stored on disk.",
        MetricType::GAUGE,
    );
    let mut circuit = Family::new(
        "crossweave_service_circuit_open",
        "1 while the service's server is not asked, for it does not answer.",
        MetricType::GAUGE,
    );
    let mut refusals = Family::new(
        "crossweave_service_refusals_total",
        "Queries and loads that a limit of the service refused, by limit.",
        MetricType::COUNTER,
    );
    for service in services {
        let name = ("service", service.service.as_str());
        circuit.gauge(&[name], if service.circuit_open { 1.0 } else { 0.0 });
        for (limit, count) in &service.refusals {
            refusals.counter(&[name, ("limit", limit)], *count);
        }
        for possible in ["ok", "unreachable", "failing"] {
            let value = if service.state == possible { 1.0 } else { 0.0 };
            state.gauge(&[name, ("state", possible)], value);
        }
        let at: Option<crossweave_contract::Position> =
            service.position.as_deref().and_then(|position| position.parse().ok());
        for gtid in at.iter().flat_map(|position| position.gtids()) {
            position.gauge(&[name, ("domain", &gtid.domain.to_string())], gtid.sequence as f64);
        }
        if let Some(age) = service.age_seconds {
            lag.gauge(&[name], age);
        }
        unstored.gauge(&[name], if service.checkpoint_failing.is_some() { 1.0 } else { 0.0 });
    }
    vec![state, position, lag, unstored, circuit, refusals]
}

fn of_replicas(services: &[ServiceReport]) -> Vec<Family> {
    let gauge = |name: &str, help: &str| Family::new(name, help, MetricType::GAUGE);
    let counter = |name: &str, help: &str| Family::new(name, help, MetricType::COUNTER);
    let mut fit = gauge("crossweave_replica_fit", "1 while queries read the replica.");
    let mut lag = gauge("crossweave_replica_lag_seconds", "How old at most what the replica shows is.");
    let mut connections =
        gauge("crossweave_replica_connections", "Connections of queries that are open or waited for.");
    let mut queries = counter("crossweave_replica_queries_total", "Queries that have read the replica.");
    let mut fell_back = counter(
        "crossweave_service_replica_fallbacks_total",
        "Queries that read the primary because no replica was fit.",
    );
    for service in services.iter().filter(|service| !service.replicas.is_empty()) {
        let name = ("service", service.service.as_str());
        fell_back.counter(&[name], service.fell_back);
        for replica in &service.replicas {
            let labels = [name, ("server", replica.server.as_str())];
            fit.gauge(&labels, if replica.fit { 1.0 } else { 0.0 });
            connections.gauge(&labels, replica.connections as f64);
            queries.counter(&labels, replica.queries);
            if let Some(seconds) = replica.lag_seconds {
                lag.gauge(&labels, seconds);
            }
        }
    }
    vec![fit, lag, connections, queries, fell_back]
}

fn of_tables(services: &[ServiceReport]) -> Vec<Family> {
    let gauge = |name: &str, help: &str| Family::new(name, help, MetricType::GAUGE);
    let mut rows = gauge("crossweave_table_rows", "Rows in the table's cache.");
    let mut bytes = gauge("crossweave_table_bytes", "Memory of the table's cache, in bytes.");
    let mut state = gauge("crossweave_table_state", "1 for the state that the cached table is in.");
    let mut lag = gauge(
        "crossweave_table_lag_seconds",
        "Time since the table's cache was known to be current, while queries can use it.",
    );
    let mut position = gauge(
        "crossweave_table_position",
        "Sequence number of the last transaction in the table's cache, by replication domain.",
    );
    let mut loads = Family::new("crossweave_table_loads_total", "Loads of the table.", MetricType::COUNTER);
    for service in services {
        let at: Option<crossweave_contract::Position> =
            service.position.as_deref().and_then(|position| position.parse().ok());
        for table in service.tables.iter().filter(|table| table.mode == "cached") {
            let labels = [("service", service.service.as_str()), ("table", table.table.as_str())];
            for possible in ["loading", "ready", "reloading", "stopped"] {
                let value = if table.state == possible { 1.0 } else { 0.0 };
                state.gauge(&[labels[0], labels[1], ("state", possible)], value);
            }
            rows.gauge(&labels, table.rows.unwrap_or_default() as f64);
            bytes.gauge(&labels, table.bytes.unwrap_or_default() as f64);
            loads.counter(&labels, table.loads.unwrap_or_default());
            // Of one that queries cannot see nothing is current.
            if !matches!(table.state.as_str(), "ready" | "reloading") {
                continue;
            }
            if let Some(age) = service.age_seconds {
                lag.gauge(&labels, age);
            }
            for gtid in at.iter().flat_map(|position| position.gtids()) {
                let domain = gtid.domain.to_string();
                position.gauge(&[labels[0], labels[1], ("domain", &domain)], gtid.sequence as f64);
            }
        }
    }
    vec![rows, bytes, state, lag, position, loads]
}

fn of_queries(counters: &Counters) -> Vec<Family> {
    let counter = |name: &str, help: &str| Family::new(name, help, MetricType::COUNTER);
    let mut queries = counter("crossweave_queries_total", "Queries that have ended, by result.");
    queries.counter(&[("result", "ok")], counters.succeeded());
    queries.counter(&[("result", "error")], counters.failed());
    let mut duration = Family::new(
        "crossweave_query_duration_seconds",
        "Time that queries took, from settling their routes to their last row.",
        MetricType::HISTOGRAM,
    );
    let buckets = counters.buckets();
    duration.add(&[], |metric| {
        let bucket = |(bound, count): (&f64, &u64)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(*count);
            bucket
        };
        let mut histogram = Histogram::default();
        histogram.set_bucket(DURATION_BUCKETS.iter().zip(&buckets).map(bucket).collect());
        histogram.set_sample_sum(counters.duration().as_secs_f64());
        histogram.set_sample_count(counters.timed());
        metric.set_histogram(histogram);
    });
    let mut plans = counter("crossweave_plans_total", "Physical plans made.");
    plans.counter(&[], counters.plans());
    let mut statements =
        counter("crossweave_source_statements_total", "Statements sent to sources to read rows.");
    statements.counter(&[], counters.statements());
    let mut dates = counter("crossweave_zero_dates_total", "Zero and partial dates that were read as NULL.");
    dates.counter(&[], parts::zero_dates_read());
    vec![queries, duration, plans, statements, dates]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::status::{ReplicaReport, TableReport};

    #[test]
    fn tells_tables_services_and_queries_in_the_text_format() {
        let table = TableReport {
            table: "odd \"name\"".to_owned(),
            mode: "cached".to_owned(),
            state: "ready".to_owned(),
            reason: None,
            rows: Some(7),
            bytes: Some(1024),
            loads: Some(2),
            asked: false,
            hidden: Vec::new(),
        };
        let replica = ReplicaReport {
            server: "r:3306".to_owned(),
            fit: true,
            reason: None,
            lag_seconds: Some(0.25),
            connections: 2,
            queries: 9,
        };
        let service = ServiceReport {
            service: "users".to_owned(),
            state: "ok".to_owned(),
            reason: None,
            position: Some("0-1-42,3-1-7".to_owned()),
            age_seconds: Some(0.5),
            checkpoint_failing: None,
            circuit_open: true,
            refusals: [("rows_examined".to_owned(), 3)].into(),
            replicas: vec![replica],
            fell_back: 4,
            tables: vec![table],
        };
        let status = ServerStatus {
            version: "1.2.3".to_owned(),
            state: "ready".to_owned(),
            uptime_seconds: 1.0,
            services: vec![service],
        };
        let text = TextEncoder::new().encode_to_string(&families(&status, &Counters::default())).unwrap();
        for line in [
            "crossweave_info{version=\"1.2.3\"} 1",
            "crossweave_ready 1",
            "crossweave_service_state{service=\"users\",state=\"ok\"} 1",
            "crossweave_service_state{service=\"users\",state=\"failing\"} 0",
            "crossweave_service_position{service=\"users\",domain=\"3\"} 7",
            "crossweave_service_checkpoint_failing{service=\"users\"} 0",
            "crossweave_service_circuit_open{service=\"users\"} 1",
            "crossweave_service_refusals_total{service=\"users\",limit=\"rows_examined\"} 3",
            "crossweave_service_replica_fallbacks_total{service=\"users\"} 4",
            "crossweave_replica_fit{service=\"users\",server=\"r:3306\"} 1",
            "crossweave_replica_lag_seconds{service=\"users\",server=\"r:3306\"} 0.25",
            "crossweave_replica_queries_total{service=\"users\",server=\"r:3306\"} 9",
            "crossweave_table_rows{service=\"users\",table=\"odd \\\"name\\\"\"} 7",
            "crossweave_table_lag_seconds{service=\"users\",table=\"odd \\\"name\\\"\"} 0.5",
            "crossweave_table_loads_total{service=\"users\",table=\"odd \\\"name\\\"\"} 2",
            "crossweave_queries_total{result=\"ok\"} 0",
            "crossweave_query_duration_seconds_bucket{le=\"+Inf\"} 0",
            "crossweave_query_duration_seconds_count 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    }
}
