//! `crossweave reload`.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use super::args::ReloadArguments;
use super::client::Client;
use super::failure::{Failure, print};
use crate::server::{ReloadRequest, ServerStatus, TableReport};

/// How often the server is asked how far it is.
const POLL: Duration = Duration::from_millis(200);

/// Has tables loaded anew, and waits for them.
pub(super) async fn run(arguments: &ReloadArguments) -> Result<ExitCode, Failure> {
    let client = Client::new(&arguments.server)?;
    let (up_before, before) = tables(&client).await?;
    client.post("/reload", &ReloadRequest { tables: arguments.tables.clone() }).await?;
    if arguments.no_wait {
        return Ok(ExitCode::SUCCESS);
    }
    let mut told: BTreeMap<&str, String> = BTreeMap::new();
    let mut waiting: Vec<&str> = arguments.tables.iter().map(String::as_str).collect();
    while !waiting.is_empty() {
        tokio::time::sleep(POLL).await;
        let (up, now) = tables(&client).await?;
        if up < up_before {
            let message = "the server was started anew meanwhile, and does not know what was asked for";
            return Err(Failure::new(message).with_hint(Some("ask again")));
        }
        let mut left = Vec::new();
        for name in waiting {
            let Some(table) = now.get(name) else {
                return Err(Failure::new(format!("table {name} is no longer there")));
            };
            if is_loaded_since(before.get(name), table) {
                print(&format!("{name}: loaded anew, {} rows\n", table.rows.unwrap_or(0)))?;
                continue;
            }
            if let Some(reason) = table.reason.as_ref().filter(|reason| told.get(name) != Some(reason)) {
                // Standard error may be gone; then nobody reads this.
                let _ = writeln!(std::io::stderr(), "{name}: {}: {reason}", table.state);
                told.insert(name, reason.clone());
            }
            left.push(name);
        }
        waiting = left;
    }
    Ok(ExitCode::SUCCESS)
}

/// How long the server has been up, in seconds, and its cached tables by service and name.
async fn tables(client: &Client) -> Result<(f64, BTreeMap<String, TableReport>), Failure> {
    let body = client.get("/status").await?;
    let status: ServerStatus = serde_json::from_str(&body).map_err(|error| {
        Failure::new(format!("the server's state cannot be read: {error}")).with_detail(&body)
    })?;
    let tables = status.services.into_iter().flat_map(|service| {
        let name = service.service;
        service.tables.into_iter().map(move |table| (format!("{name}.{}", table.table), table))
    });
    Ok((status.uptime_seconds, tables.filter(|(_, table)| table.mode == "cached").collect()))
}

/// Whether a load has ended since `before`, and queries see it.
fn is_loaded_since(before: Option<&TableReport>, now: &TableReport) -> bool {
    let loads = |table: &TableReport| table.loads.unwrap_or(0);
    now.state == "ready" && !now.asked && loads(now) > before.map_or(0, loads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_loaded_anew_once_a_load_has_ended_and_is_seen() {
        let table = |state: &str, loads| TableReport {
            table: "users".to_owned(),
            mode: "cached".to_owned(),
            state: state.to_owned(),
            reason: None,
            rows: None,
            bytes: None,
            loads: Some(loads),
            asked: false,
            hidden: Vec::new(),
        };
        let before = table("ready", 3);
        assert!(!is_loaded_since(Some(&before), &table("ready", 3)));
        assert!(!is_loaded_since(Some(&before), &table("reloading", 4)));
        assert!(is_loaded_since(Some(&before), &table("ready", 4)));
        assert!(is_loaded_since(None, &table("ready", 1)));
        let earlier = TableReport { asked: true, ..table("ready", 4) };
        assert!(!is_loaded_since(Some(&before), &earlier), "that was a load that ran already");
    }
}
