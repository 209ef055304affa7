//! Text compared here gives MariaDB's answers: statements over case, padding and accents under each family of
//! collations, on the same rows, there and here. The weights come from the server.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use crossweave::federation::collation::{Collations, check_compares_no_text_by_bytes};
use crossweave::federation::surface::{format_time, register, rewrite_conditions};
use crossweave_contract::{BooleanColumns, RemoteQuery, Secret, ServiceName, Source, SourceId};
use crossweave_mariadb::{Limits, MariaDbSource, Password, SourceOptions};
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;
use futures::TryStreamExt;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Row, Value};
use tokio::sync::OnceCell;

mod statements;

use statements::{COLUMNS, DDL, LITERALS, OTHER_STATEMENTS, REFUSED, STATEMENTS, TEXTS};

use crate::support::{self, Failure, ServiceDatabase, TestResult};

/// An engine with the tables and weights of a server's database, filled once for all tests.
struct Here {
    engine: SessionContext,
    collations: Arc<Collations>,
    database: ServiceDatabase,
}

/// The same tables here and there.
struct Both {
    server: Conn,
    here: &'static Here,
}

async fn both() -> TestResult<Both> {
    static HERE: OnceCell<Here> = OnceCell::const_new();
    let here = HERE.get_or_try_init(here).await?;
    let mut server = here.database.connect().await?;
    // Backslashes are themselves in standard strings.
    server.query_drop("SET sql_mode = 'NO_BACKSLASH_ESCAPES', time_zone = '+00:00', NAMES utf8mb4").await?;
    server.query_drop("SET collation_connection = utf8mb4_general_ci, group_concat_max_len = 100000").await?;
    Ok(Both { server, here })
}

async fn here() -> TestResult<Here> {
    let database = support::database("texts").await?;
    database.execute(DDL).await?;
    fill(&mut database.connect().await?).await?;
    let source = MariaDbSource::new(SourceOptions {
        id: SourceId::new("texts"),
        services: vec!["texts".into()],
        host: "127.0.0.1".into(),
        port: database.port,
        user: crossweave::demo::database::READER.into(),
        password: Password::Fixed(Secret::new(database.reader_password.as_str())),
        tls: None,
        connect_timeout: Duration::from_secs(5),
        limits: Limits { connections: 4, ..Limits::default() },
        server_id: None,
        replicas: Vec::new(),
        replica_lag: Duration::from_secs(1),
    });
    let (engine, collations) = engine(&source, &database.database).await?;
    Ok(Here { engine, collations, database })
}

async fn fill(server: &mut Conn) -> TestResult {
    let row = |id: usize, text: Value| {
        let mut row = vec![Value::from(id), Value::from(id % 3)];
        row.extend(std::iter::repeat_n(text, COLUMNS.len()));
        row
    };
    let texts: Vec<_> = TEXTS
        .iter()
        .map(|text| Value::from(*text))
        .chain([Value::NULL, Value::NULL])
        .enumerate()
        .map(|(id, text)| row(id, text))
        .collect();
    let others: Vec<_> = texts.iter().step_by(2).cloned().collect();
    let places = vec!["?"; COLUMNS.len() + 2].join(", ");
    server.exec_batch(format!("INSERT INTO texts VALUES ({places})"), texts).await?;
    server.exec_batch(format!("INSERT INTO others VALUES ({places})"), others).await?;
    Ok(())
}

/// The server's tables and weights in an engine of our own, in several partitions.
async fn engine(source: &MariaDbSource, database: &str) -> TestResult<(SessionContext, Arc<Collations>)> {
    let tables = source.tables(&ServiceName::new("texts"), database, &BooleanColumns::default()).await?.tables;
    let mut weights = std::collections::BTreeMap::new();
    let mut missing = Vec::new();
    for collation in tables.iter().flat_map(|t| &t.columns).filter_map(|c| c.column_type.collation()) {
        if !collation.is_weighted() || weights.contains_key(&collation.name) {
            continue;
        }
        match source.weights(collation).await {
            Ok(found) => drop(weights.insert(collation.name.clone(), Arc::new(found))),
            Err(error) => missing.push((collation.name.clone(), error.to_string())),
        }
    }
    let collations = Arc::new(Collations::new(weights.into_values(), missing));
    let config = SessionConfig::new().with_target_partitions(3).with_batch_size(16);
    let builder = SessionStateBuilder::new().with_config(config).with_default_features();
    let engine = SessionContext::new_with_state(register(builder, Arc::clone(&collations)).build());
    let view = source.open_view(Duration::from_secs(60), (1 << 24).into()).await?;
    for table in tables {
        let (name, schema) = (table.id.table.to_string(), table.schema());
        let batches: Vec<RecordBatch> = view.scan(RemoteQuery::whole(Arc::new(table))).try_collect().await?;
        let whole = arrow::compute::concat_batches(&schema, &batches)?;
        let part = whole.num_rows().div_ceil(3).max(1);
        let parts = (0..whole.num_rows())
            .step_by(part)
            .map(|from| vec![whole.slice(from, part.min(whole.num_rows() - from))])
            .collect();
        engine.register_table(name, Arc::new(MemTable::try_new(schema, parts)?))?;
    }
    Ok((engine, collations))
}

impl Both {
    async fn theirs(&mut self, sql: &str) -> TestResult<Vec<Vec<String>>> {
        let sql = sql
            .replace("IDS", "group_concat(id ORDER BY id)")
            .replace("EXCEPT", "EXCEPT DISTINCT")
            .replace("IS NOT DISTINCT FROM", "<=>");
        let rows: Vec<Row> = self.server.query(&sql).await.map_err(|e| format!("{sql}: {e}"))?;
        Ok(rows.into_iter().map(|row| row.unwrap().into_iter().map(shown).collect()).collect())
    }

    async fn ours(&self, sql: &str) -> TestResult<Vec<Vec<String>>> {
        let sql = sql.replace("IDS", "string_agg(CAST(id AS VARCHAR), ',' ORDER BY id)");
        let answer = self.answer(&sql).await;
        answer.map_err(|error| Failure::from(format!("{sql}: {error}")))
    }

    async fn answer(&self, sql: &str) -> datafusion::error::Result<Vec<Vec<String>>> {
        let state = self.here.engine.state();
        let mut statement = state.sql_to_statement(sql, &datafusion::config::Dialect::PostgreSQL)?;
        if let Statement::Statement(statement) = &mut statement {
            rewrite_conditions(statement);
        }
        let plan = state.statement_to_plan(statement).await?;
        let plan = state.optimize(&plan)?;
        check_compares_no_text_by_bytes(&plan, &self.here.collations)?;
        let names: Vec<_> = plan.schema().fields().iter().map(|f| f.name().clone()).collect();
        for name in &names {
            for internal in ["collation_", "__key", "__text", "truth(", "text_collate", "by_bytes"] {
                assert!(!name.contains(internal), "{sql}: a result is called {name:?}");
            }
        }
        let physical = state.create_physical_plan(&plan).await?;
        let batches = datafusion::physical_plan::collect(physical, self.here.engine.task_ctx()).await?;
        let mut rows = Vec::new();
        for batch in &batches {
            let options = FormatOptions::new().with_null("NULL").with_timestamp_format(Some("%F %T%.6f"));
            let columns = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
                .collect::<Result<Vec<_>, _>>()?;
            for row in 0..batch.num_rows() {
                rows.push(columns.iter().zip(batch.columns()).map(|(c, a)| cell(c, a, row)).collect());
            }
        }
        Ok(rows)
    }

    async fn compare(&mut self, sql: &str, differences: &mut Vec<String>) -> TestResult {
        let (ordered, sql) = match sql.strip_prefix("ORDERED ") {
            Some(sql) => (true, sql),
            None => (false, sql),
        };
        let mut theirs = self.theirs(sql).await?;
        match self.ours(sql).await {
            Ok(mut ours) => {
                if !ordered {
                    theirs.sort();
                    ours.sort();
                }
                if ours != theirs {
                    let only = |a: &[Vec<String>], b: &[Vec<String>]| {
                        a.iter().filter(|row| !b.contains(row)).take(5).cloned().collect::<Vec<_>>()
                    };
                    differences.push(format!(
                        "{sql}\n  {} rows here, {} there; only here: {:?}; only there: {:?}",
                        ours.len(),
                        theirs.len(),
                        only(&ours, &theirs),
                        only(&theirs, &ours)
                    ));
                }
            }
            Err(error) => differences.push(format!("{error:?}")),
        }
        Ok(())
    }
}

/// A value as MariaDB's text protocol gives it.
fn shown(value: Value) -> String {
    match value {
        Value::NULL => "NULL".to_owned(),
        Value::Bytes(bytes) => plain(&String::from_utf8_lossy(&bytes)),
        other => other.as_sql(true),
    }
}

fn cell(column: &ArrayFormatter<'_>, array: &arrow::array::ArrayRef, row: usize) -> String {
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{DataType, DurationMicrosecondType, TimeUnit};
    if array.is_valid(row) && *array.data_type() == DataType::Duration(TimeUnit::Microsecond) {
        return plain(&format_time(array.as_primitive::<DurationMicrosecondType>().value(row)));
    }
    match column.value(row).to_string().as_str() {
        "true" => "1".to_owned(),
        "false" => "0".to_owned(),
        text => plain(text),
    }
}

/// Without the zeros that end a fraction.
fn plain(text: &str) -> String {
    match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|b| b.is_ascii_digit()) => {
            let fraction = fraction.trim_end_matches('0');
            if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
        }
        _ => text.to_owned(),
    }
}

fn verdict(asked: usize, differences: &[String]) -> TestResult {
    if differences.is_empty() {
        return Ok(());
    }
    Err(format!("{} of {asked} statements differ:\n{}", differences.len(), differences.join("\n")).into())
}

#[tokio::test]
async fn text_compares_as_on_mariadb() -> TestResult {
    let mut both = both().await?;
    let mut differences = Vec::new();
    let mut asked = 0;
    for column in COLUMNS {
        for statement in STATEMENTS {
            both.compare(&statement.replace("{c}", column), &mut differences).await?;
            asked += 1;
        }
        for literal in LITERALS {
            for op in ["=", "<>", "<", "<=", ">", ">="] {
                let sql = format!("SELECT id FROM texts WHERE {column} {op} '{literal}'");
                both.compare(&sql, &mut differences).await?;
                asked += 1;
            }
        }
    }
    verdict(asked, &differences)
}

#[tokio::test]
async fn other_types_compare_as_on_mariadb() -> TestResult {
    let mut both = both().await?;
    let mut differences = Vec::new();
    for statement in OTHER_STATEMENTS {
        both.compare(statement, &mut differences).await?;
    }
    verdict(OTHER_STATEMENTS.len(), &differences)
}

#[tokio::test]
async fn a_mix_of_collations_is_refused_as_on_mariadb() -> TestResult {
    let mut both = both().await?;
    for (sql, expected) in REFUSED {
        assert!(both.theirs(sql).await.is_err(), "MariaDB answers {sql}");
        let error = both.answer(sql).await.expect_err(sql).to_string();
        assert!(error.contains(expected), "{sql}: {error}");
    }
    // Selecting is fine, as there.
    assert_eq!(both.ours("SELECT concat(g, u) FROM texts WHERE id = 3").await?, [["aa"]]);
    Ok(())
}

#[tokio::test]
async fn a_collation_without_weights_is_selected_but_not_compared() -> TestResult {
    let both = both().await?;
    assert_eq!(both.ours("SELECT th FROM kinds WHERE id = 3").await?, [["ch"]]);
    for sql in [
        "SELECT id FROM kinds WHERE th = 'a'",
        "SELECT DISTINCT th FROM kinds",
        "SELECT id FROM kinds ORDER BY th",
        "SELECT max(th) FROM kinds",
        "SELECT id FROM kinds WHERE th LIKE 'a%'",
    ] {
        let error = both.answer(sql).await.expect_err(sql).to_string();
        for expected in ["th", "tis620_thai_ci", "too many neighbours", "COLLATE \"C\""] {
            assert!(error.contains(expected), "{sql}: {error}");
        }
    }
    assert_eq!(both.ours("SELECT id FROM kinds WHERE th COLLATE \"C\" = 'ch'").await?, [["3"]]);
    Ok(())
}
