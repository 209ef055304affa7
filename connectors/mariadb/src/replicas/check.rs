//! Whether each replica can be read in the place of the primary.

use std::time::Duration;

use crossweave_contract::{BooleanColumns, Finding, FindingLevel, Result, ServiceName, TableDef};
use tokio::time::Instant;

use super::look::Told;
use super::replica::{Replica, Unfit};
use super::{Servers, Stand};
use crate::check::{account, finding};
use crate::connection::Session;
use crate::introspect;

/// How long a replica may take beyond twice its bound to be found fit.
const PATIENCE: Duration = Duration::from_secs(3);

/// Looks at each replica, and at its tables of `database`.
pub(crate) async fn check(servers: &Servers, database: &str) -> Vec<Finding> {
    servers.watch();
    let mut findings = Vec::new();
    for (at, replica) in servers.0.replicas.iter().enumerate() {
        let subject = format!("replica {}", replica.server());
        match one(servers, at, replica, database, &subject).await {
            Ok(found) => findings.extend(found),
            Err(error) => {
                let needed = "to be read like the primary";
                findings.push(finding(FindingLevel::Error, &subject, &error.message, needed, error.fix));
            }
        }
    }
    findings
}

async fn one(
    servers: &Servers,
    at: usize,
    replica: &Replica,
    database: &str,
    subject: &str,
) -> Result<Vec<Finding>> {
    let mut session = replica.pool.acquire_for_ourselves().await?;
    let mut findings = Vec::new();
    if let Err(unfit) = until_fit(servers, replica).await {
        let fix = match unfit {
            Unfit::Primary(_) => "It is read once the primary answers, and has a binlog (log_bin)",
            Unfit::Replica(_) => {
                "SHOW ALL SLAVES STATUS there says how it replicates; queries read the primary meanwhile"
            }
        };
        let (fix, reason) = (fix.to_owned(), unfit.reason());
        let needed = format!("all that the primary had {:?} ago, and nothing else", servers.0.bound);
        return Ok(vec![finding(FindingLevel::Error, subject, &reason, &needed, Some(fix))]);
    }
    let mut primary = servers.pool().acquire_for_ourselves().await?;
    let odd = differing(&tables(&mut primary, database).await?, &tables(&mut session, database).await?);
    if !odd.is_empty() {
        let found = format!("other definitions than on the primary: {}", odd.join(", "));
        let fix =
            "Define them as on the primary, with the same grants; while they are queried, the primary is read";
        findings.push(finding(FindingLevel::Error, subject, &found, "the same tables", Some(fix.to_owned())));
    }
    let server = super::Server { servers: servers.clone(), replica: Some(at) };
    if let Some(Stand { told: Told::Not, .. }) = server.stand(&mut session).await? {
        let fix = format!("GRANT SELECT ON mysql.gtid_slave_pos TO {}", account(&mut session).await?);
        let needed =
            "log_slave_updates, or that the account may read where it is; or answers from it state no position";
        findings.push(finding(FindingLevel::Warning, subject, "it tells no position", needed, Some(fix)));
    }
    if findings.is_empty() {
        findings.push(finding(FindingLevel::Good, subject, "follows, with the same tables", "", None));
    }
    Ok(findings)
}

async fn until_fit(servers: &Servers, replica: &Replica) -> Result<(), Unfit> {
    let until = Instant::now() + 2 * servers.0.bound + PATIENCE;
    loop {
        let fitness = servers.fitness(&servers.primary_state(), replica, Instant::now());
        match fitness {
            Err(_) if Instant::now() < until => tokio::time::sleep(Duration::from_millis(50)).await,
            fitness => return fitness.map(|_| ()),
        }
    }
}

async fn tables(session: &mut Session, database: &str) -> Result<Vec<TableDef>> {
    let service = ServiceName::new(database);
    Ok(introspect::tables(session, &service, database, &BooleanColumns::default()).await?.tables)
}

/// The tables of `primary` that are not the same in `replica`.
fn differing(primary: &[TableDef], replica: &[TableDef]) -> Vec<String> {
    let is_there =
        |table: &&TableDef| replica.iter().any(|other| other.id == table.id && other.same_shape(table));
    primary.iter().filter(|table| !is_there(table)).map(|table| table.id.table.to_string()).collect()
}
