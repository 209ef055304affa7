//! `crossweave status`.

use std::process::ExitCode;

use super::args::StatusArguments;
use super::client::Client;
use super::failure::{Failure, print};
use super::table;
use crate::server::{ReplicaReport, ServerStatus, ServiceReport, TableReport};

/// Prints the state of a running server.
pub(super) async fn run(arguments: &StatusArguments) -> Result<ExitCode, Failure> {
    let body = Client::new(&arguments.server)?.get("/status").await?;
    let status: ServerStatus = serde_json::from_str(&body).map_err(|error| {
        Failure::new(format!("the server's state cannot be read: {error}")).with_detail(&body)
    })?;
    print(&if arguments.json { body + "\n" } else { text(&status)? })?;
    Ok(if status.state == "ready" { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(status: &ServerStatus) -> Result<String, Failure> {
    let strings = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let mut text =
        format!("Crossweave {} is {}, up {:.0} s\n", status.version, status.state, status.uptime_seconds);
    let services = status.services.iter().map(|service| {
        let cells = [Some(service.service.clone()), Some(service.state.clone()), service.position.clone()];
        cells.into_iter().map(Option::unwrap_or_default).chain([age(service.age_seconds)]).collect()
    });
    text.push_str(&table::format(
        &strings(&["service", "state", "position", "age"]),
        &services.collect::<Vec<_>>(),
    )?);
    text.push_str(&replicas(status)?);
    let tables = status.services.iter().flat_map(|service| {
        service.tables.iter().map(|table| {
            vec![
                format!("{}.{}", service.service, table.table),
                table.mode.clone(),
                table.state.clone(),
                table.rows.map(|rows| rows.to_string()).unwrap_or_default(),
                table.bytes.map(size).unwrap_or_default(),
                if table.mode == "cached" { age(service.age_seconds) } else { String::new() },
            ]
        })
    });
    let columns = strings(&["table", "mode", "state", "rows", "memory", "age"]);
    text.push_str(&table::format(&columns, &tables.collect::<Vec<_>>())?);
    for service in &status.services {
        if let Some(reason) = &service.reason {
            text.push_str(&format!("{}: {}: {reason}\n", service.service, service.state));
        }
        if let Some(reason) = &service.checkpoint_failing {
            text.push_str(&format!("{}: caches are not stored: {reason}\n", service.service));
        }
        for (limit, count) in &service.refusals {
            text.push_str(&format!("{}: refused {count} times: {limit}\n", service.service));
        }
        for replica in service.replicas.iter() {
            if let Some(reason) = &replica.reason {
                text.push_str(&format!(
                    "{}: replica {} is not read: {reason}\n",
                    service.service, replica.server
                ));
            }
        }
        if service.fell_back > 0 {
            let count = service.fell_back;
            text.push_str(&format!(
                "{}: {count} queries read the primary, for no replica was fit\n",
                service.service
            ));
        }
        for table in &service.tables {
            notes(&service.service, table, &mut text);
        }
    }
    Ok(text)
}

/// The replicas of all services; nothing where there are none.
fn replicas(status: &ServerStatus) -> Result<String, Failure> {
    let of_service = |service: &ServiceReport| {
        let row = |replica: &ReplicaReport| {
            vec![
                format!("{}: {}", service.service, replica.server),
                (if replica.fit { "fit" } else { "not read" }).to_owned(),
                age(replica.lag_seconds),
                replica.queries.to_string(),
            ]
        };
        service.replicas.iter().map(row).collect::<Vec<_>>()
    };
    let rows: Vec<_> = status.services.iter().flat_map(of_service).collect();
    if rows.is_empty() {
        return Ok(String::new());
    }
    table::format(&["replica", "state", "lag", "queries"].map(str::to_owned), &rows)
}

fn notes(service: &str, table: &TableReport, text: &mut String) {
    if let Some(reason) = &table.reason {
        let what = if table.mode == "cached" { &table.state } else { &table.mode };
        text.push_str(&format!("{service}.{}: {what}: {reason}\n", table.table));
    }
    if table.asked {
        text.push_str(&format!(
            "{service}.{}: {}: it is to be loaded anew, as was asked for\n",
            table.table, table.state
        ));
    }
    for (column, reason) in &table.hidden {
        text.push_str(&format!("{service}.{}.{column}: hidden: {reason}\n", table.table));
    }
}

fn age(seconds: Option<f64>) -> String {
    seconds.map(|seconds| format!("{seconds:.1} s")).unwrap_or_default()
}

fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(server: &str, reason: Option<&str>, lag_seconds: Option<f64>) -> ReplicaReport {
        ReplicaReport {
            server: server.to_owned(),
            fit: reason.is_none(),
            reason: reason.map(str::to_owned),
            lag_seconds,
            connections: 0,
            queries: 7,
        }
    }

    #[test]
    fn lists_services_tables_and_what_is_wrong() {
        let table = |name: &str, mode: &str, state: &str, reason: Option<&str>, rows| TableReport {
            table: name.to_owned(),
            mode: mode.to_owned(),
            state: state.to_owned(),
            reason: reason.map(str::to_owned),
            rows,
            bytes: rows.map(|_| 2048),
            loads: None,
            asked: false,
            hidden: Vec::new(),
        };
        let mut odd = table("odd", "live only", "live", Some("it has no key"), None);
        odd.hidden = vec![("shape".to_owned(), "its type is new".to_owned())];
        let service = ServiceReport {
            service: "users".to_owned(),
            state: "failing".to_owned(),
            reason: Some("connection refused".to_owned()),
            position: Some("0-1-7".to_owned()),
            age_seconds: Some(12.34),
            checkpoint_failing: Some("the disk is full".to_owned()),
            circuit_open: false,
            refusals: [("rows_examined".to_owned(), 3)].into(),
            replicas: vec![
                replica("r1:3306", None, Some(0.25)),
                replica("r2:3306", Some("it does not answer"), None),
            ],
            fell_back: 2,
            tables: vec![table("users", "cached", "ready", None, Some(3)), odd],
        };
        let status = ServerStatus {
            version: "0.1.0".to_owned(),
            state: "ready".to_owned(),
            uptime_seconds: 61.0,
            services: vec![service],
        };
        let expected = "\
Crossweave 0.1.0 is ready, up 61 s
+---------+---------+----------+--------+
| service | state   | position | age    |
+---------+---------+----------+--------+
| users   | failing | 0-1-7    | 12.3 s |
+---------+---------+----------+--------+
+----------------+----------+-------+---------+
| replica        | state    | lag   | queries |
+----------------+----------+-------+---------+
| users: r1:3306 | fit      | 0.2 s | 7       |
| users: r2:3306 | not read |       | 7       |
+----------------+----------+-------+---------+
+-------------+-----------+-------+------+---------+--------+
| table       | mode      | state | rows | memory  | age    |
+-------------+-----------+-------+------+---------+--------+
| users.users | cached    | ready | 3    | 2.0 KiB | 12.3 s |
| users.odd   | live only | live  |      |         |        |
+-------------+-----------+-------+------+---------+--------+
users: failing: connection refused
users: caches are not stored: the disk is full
users: refused 3 times: rows_examined
users: replica r2:3306 is not read: it does not answer
users: 2 queries read the primary, for no replica was fit
users.odd: live only: it has no key
users.odd.shape: hidden: its type is new
";
        assert_eq!(text(&status).unwrap(), expected);
    }
}
