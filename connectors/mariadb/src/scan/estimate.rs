//! What the server's optimizer expects of a statement, by EXPLAIN.
//!
//! A join is counted as the nested loop that the server runs: for each row of one table, so many of the next.

use crossweave_contract::{Estimate, Result};
use mysql_async::{Params, Row};

use super::Statement;
use crate::connection::Session;

/// The server's `EXPLAIN/SHOW can not be issued; lacking privileges for underlying table`.
const NOT_ALLOWED: &str = "error 1345";

/// What is expected of `statement`, which gives `limit` rows at most; `None` where the account may not ask.
pub(crate) async fn estimate(
    session: &mut Session,
    statement: &Statement,
    limit: Option<u64>,
) -> Result<Option<Estimate>> {
    let params: Params =
        if statement.params.is_empty() { Params::Empty } else { statement.params.clone().into() };
    let asked = format!("EXPLAIN EXTENDED {}", statement.sql);
    let rows: Vec<Row> = match session.rows("asking for an estimate", &asked, params).await {
        Ok(rows) => rows,
        Err(error) if error.message.contains(NOT_ALLOWED) => return Ok(None),
        Err(error) => return Err(error),
    };
    let steps: Vec<(u64, f64, f64)> = rows.iter().filter_map(step).collect();
    Ok(Some(counted(&steps, limit)))
}

/// Which SELECT a step belongs to, how many rows it looks at each time, and which part of them it keeps.
fn step(row: &Row) -> Option<(u64, f64, f64)> {
    let id: Option<u64> = row.get_opt("id")?.ok()?;
    let rows: Option<String> = row.get_opt("rows")?.ok()?;
    let filtered: Option<f64> = row.get_opt("filtered")?.ok()?;
    Some((id?, rows?.parse().ok()?, filtered.unwrap_or(100.0) / 100.0))
}

fn counted(steps: &[(u64, f64, f64)], limit: Option<u64>) -> Estimate {
    let outermost = steps.iter().map(|(id, ..)| *id).min().unwrap_or(0);
    let (mut examined, mut rows) = (0.0, 1.0);
    let mut ids: Vec<u64> = steps.iter().map(|(id, ..)| *id).collect();
    ids.sort_unstable();
    ids.dedup();
    for id in ids {
        let mut kept = 1.0;
        for (_, each, part) in steps.iter().filter(|(of, ..)| *of == id) {
            examined += kept * each;
            kept *= each * part;
        }
        if id == outermost {
            rows = kept;
        }
    }
    let rows = limit.map_or(rows, |limit| rows.min(limit as f64));
    // Saturates.
    Estimate { examined: examined as u64, rows: rows.ceil() as u64 }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossweave_contract::{CompareOp, RemoteExpr, RemoteQuery, Source, Value};

    use super::*;
    use crate::MariaDbSource;
    use crate::testing::{definition, server};

    #[test]
    fn a_join_is_a_loop_in_a_loop() {
        assert_eq!(counted(&[(1, 10.0, 0.5), (1, 4.0, 1.0)], None), Estimate { examined: 30, rows: 20 });
        assert_eq!(counted(&[(1, 10.0, 1.0), (2, 7.0, 1.0)], Some(3)), Estimate { examined: 17, rows: 3 });
        assert_eq!(counted(&[], None), Estimate { examined: 0, rows: 1 });
    }

    #[tokio::test]
    async fn the_server_says_what_it_expects() {
        let database = server()
            .database(&[
                "CREATE TABLE t (id INT PRIMARY KEY, x INT)",
                "INSERT INTO t SELECT seq, seq % 10 FROM seq_1_to_5000",
                "ANALYZE TABLE t",
            ])
            .await;
        let table = definition(&database, "t").await;
        let source = MariaDbSource::new(server().root());
        let view = source.open_view(Duration::from_secs(20), (1 << 20).into()).await.unwrap();
        let all = view.estimate(&RemoteQuery::whole(table.clone())).await.unwrap().unwrap();
        assert!((4_000..6_000).contains(&all.rows) && all.examined == all.rows, "{all:?}");
        let id = RemoteExpr::Literal(Value::Int(7), table.columns[0].column_type.clone());
        let equal = RemoteExpr::Compare {
            op: CompareOp::Eq,
            left: Box::new(RemoteExpr::Column(0)),
            right: Box::new(id),
        };
        let one = view.estimate(&RemoteQuery::whole(table.clone()).filtered(equal)).await.unwrap().unwrap();
        assert_eq!(one, Estimate { examined: 1, rows: 1 });
        let some = view.estimate(&RemoteQuery::whole(table).limited(9)).await.unwrap().unwrap();
        assert_eq!(some.rows, 9);
    }
}
