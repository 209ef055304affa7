//! A source's task against a server, a binlog and a log in memory: whatever happens, the caches come to equal the
//! tables.

mod attempts;
mod starts_over;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crossweave_cache::{ServiceSnapshot, StateDir};
use crossweave_contract::{
    ChangeLog, ChangeOp, ConnectorError, ErrorKind, ForeignKey, LogStart, ReferentialAction, Row, ServiceName,
    Source, SourceId, TableDef, TableId, row_values,
};

use super::testing::{DurableLog, FakeCapture, FakeServer, row, table};
use super::*;
use crate::catalog::Discovery;
use crate::config::Config;

const SHOP: &str = "[services.shop]\nurl = \"mysql://u@h:3306/shop_db\"\nmode = \"cached\"\n";

/// A server with the tables `users` and `orders`, and what of a process outlives it.
struct Rig {
    server: Arc<FakeServer>,
    log: Arc<dyn ChangeLog>,
    dir: tempfile::TempDir,
    config: String,
}

fn users() -> TableId {
    TableId::new("shop", "users")
}

fn orders() -> TableId {
    TableId::new("shop", "orders")
}

fn shop() -> ServiceName {
    ServiceName::from("shop")
}

impl Rig {
    fn new() -> Self {
        let config = Config::parse(SHOP, Path::new("crossweave.toml"), &|_| None).unwrap();
        let source = config.services[&shop()].source.clone();
        let server = FakeServer::new(source);
        server.define(table("shop", "users", &["id", "balance"]), Row::clone);
        server.define(table("shop", "orders", &["id", "user_id"]), Row::clone);
        for id in 1..=3 {
            server.insert(&users(), &[id, 10 * id]);
        }
        let dir = tempfile::tempdir().unwrap();
        Self { server, log: Arc::new(DirectLog::new()), dir, config: SHOP.to_owned() }
    }

    async fn start(&self) -> Running {
        self.start_on(&self.dir.path().join("state")).await
    }

    async fn start_on(&self, state: &Path) -> Running {
        let config = Arc::new(Config::parse(&self.config, Path::new("crossweave.toml"), &|_| None).unwrap());
        let source: Arc<dyn Source> = Arc::clone(&self.server) as _;
        let id: SourceId = source.id().clone();
        let discovery =
            Discovery::start(Arc::clone(&config), [(id.clone(), Arc::clone(&source))].into()).await.unwrap();
        let capture = Arc::new(FakeCapture(Arc::clone(&self.server)));
        let parts = IngestParts {
            config,
            discovery: discovery.clone(),
            log: Arc::clone(&self.log),
            sources: BTreeMap::from([(id, (source, capture as _))]),
            state: StateDir::open(state).unwrap(),
            settings: IngestSettings::default(),
        };
        Running { ingest: IngestHandle::start(parts).unwrap(), discovery, server: Arc::clone(&self.server) }
    }
}

/// A process.
struct Running {
    ingest: IngestHandle,
    discovery: Discovery,
    server: Arc<FakeServer>,
}

fn rows(snapshot: &ServiceSnapshot, id: &TableId) -> Vec<Row> {
    let Some(table) = snapshot.table(&id.table) else { return Vec::new() };
    let batches = table.batches(None).map(Result::unwrap);
    let mut rows: Vec<Row> = batches
        .flat_map(|batch| (0..batch.num_rows()).map(|r| row_values(table.def(), &batch, r)).collect::<Vec<_>>())
        .collect();
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

impl Running {
    /// Waits until `condition` holds, looking again whenever something changed.
    async fn until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let mut changes = self.ingest.changes();
        let wait = async {
            while !condition(self) {
                changes.changed().await.unwrap();
            }
        };
        if tokio::time::timeout(Duration::from_secs(20), wait).await.is_err() {
            panic!("{what} did not happen: {:#?}", self.ingest.statuses());
        }
    }

    fn snapshot(&self) -> Option<Arc<ServiceSnapshot>> {
        self.ingest.snapshot(&shop())
    }

    fn state(&self, id: &TableId) -> TableState {
        let status = self.ingest.status(&shop()).unwrap();
        status.tables.get(&id.table).map_or(TableState::Loading { attempt_failed: None }, |t| t.state.clone())
    }

    fn loads(&self, id: &TableId) -> u64 {
        self.ingest.status(&shop()).unwrap().tables[&id.table].loads
    }

    /// Waits until the cache is where the server is, and holds all tables against the server's.
    async fn equals_the_server(&self, tables: &[&TableId]) {
        let at_end = |running: &Self| {
            running.snapshot().is_some_and(|snapshot| {
                let position = testing::numbered(running.server.sequence());
                let there = |id: &&TableId| snapshot.table(&id.table).is_some();
                // What is told of a table follows its snapshot.
                let told = |id: &&TableId| running.state(id) == TableState::Ready;
                *snapshot.position() == position && tables.iter().all(|id| there(id) && told(id))
            })
        };
        self.until("being where the server is", at_end).await;
        let snapshot = self.snapshot().unwrap();
        for id in tables {
            let mut expected = self.server.rows(id);
            expected.sort_by_key(|row| format!("{row:?}"));
            assert_eq!(rows(&snapshot, id), expected, "{id}");
        }
    }
}

fn update(before: &[i64], after: &[i64]) -> ChangeOp {
    ChangeOp::Update { before: row(before), after: row(after) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_load_is_followed_by_what_changes() {
    let rig = Rig::new();
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    rig.server.commit(&[
        (&users(), update(&[1, 10], &[1, 5])),
        (&orders(), ChangeOp::Insert { after: row(&[7, 1]) }),
    ]);
    rig.server.commit(&[(&users(), ChangeOp::Delete { before: row(&[2, 20]) })]);
    rig.server.commit(&[(&users(), update(&[3, 30], &[4, 30]))]);
    running.equals_the_server(&[&users(), &orders()]).await;
    let status = running.ingest.status(&shop()).unwrap();
    assert_eq!(
        (status.failing, running.state(&users()), running.loads(&users())),
        (None, TableState::Ready, 1)
    );
    assert!(running.ingest.why_absent(&users()).is_none());
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_while_a_load_runs_is_neither_lost_nor_counted_twice() {
    let rig = Rig::new();
    rig.server.scans_wait.send_replace(true);
    let running = rig.start().await;
    let views = || rig.server.views();
    while views() < 2 {
        tokio::task::yield_now().await;
    }
    for id in 100..200 {
        rig.server.insert(&users(), &[id, 0]);
        rig.server.commit(&[(&users(), update(&[id, 0], &[id, 1]))]);
    }
    assert!(running.snapshot().is_none());
    rig.server.scans_wait.send_replace(false);
    running.equals_the_server(&[&users(), &orders()]).await;
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_from_the_checkpoint() {
    let rig = Rig::new();
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    running.ingest.stop().await;
    drop(running);
    rig.server.insert(&users(), &[50, 1]);
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    assert_eq!(running.loads(&users()), 0);
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_that_is_gone_from_the_binlog_means_a_load_anew() {
    let rig = Rig::new();
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    running.ingest.stop().await;
    drop(running);
    rig.server.insert(&users(), &[50, 1]);
    rig.server.purge();
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    assert_eq!(running.loads(&users()), 1);
    rig.server.insert(&users(), &[51, 1]);
    running.equals_the_server(&[&users(), &orders()]).await;
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_transaction_that_is_too_large_the_direct_log_goes_on_with_caches_loaded_anew() {
    let rig = Rig::new();
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    rig.server.next_is_too_large(true);
    rig.server.insert(&users(), &[50, 1]);
    rig.server.insert(&users(), &[51, 1]);
    running.equals_the_server(&[&users(), &orders()]).await;
    assert_eq!(running.loads(&users()), 2);
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn before_a_transaction_that_is_too_large_a_log_that_others_read_stands_and_says_so() {
    let rig = Rig { log: Arc::new(DurableLog::new()), ..Rig::new() };
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    rig.server.next_is_too_large(true);
    rig.server.insert(&users(), &[50, 1]);
    running
        .until("the trouble is told", |running| {
            let status = running.ingest.status(&shop()).unwrap();
            format!("{status:?}").contains("the transaction is too large")
        })
        .await;
    assert_eq!(rows(&running.snapshot().unwrap(), &users()).len(), 3);
    rig.server.next_is_too_large(false);
    running.equals_the_server(&[&users(), &orders()]).await;
    assert_eq!(running.loads(&users()), 1, "nothing was left out, so nothing was loaded anew");
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_told_and_then_gone_on_from() {
    let rig = Rig::new();
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    rig.server.set_down(true);
    let failing = |running: &Running| running.ingest.status(&shop()).unwrap().failing;
    running.until("failing", |running| failing(running).is_some()).await;
    assert_eq!(failing(&running).unwrap(), "connection refused");
    assert_eq!(rows(&running.snapshot().unwrap(), &users()).len(), 3, "readers go on");
    rig.server.insert(&users(), &[60, 0]);
    rig.server.set_down(false);
    running.equals_the_server(&[&users(), &orders()]).await;
    running.until("health", |running| failing(running).is_none()).await;
    assert_eq!(running.loads(&users()), 1);
    // The binlog is purged while the connection is away: the log goes on after a gap.
    rig.server.set_down(true);
    running.until("failing", |running| failing(running).is_some()).await;
    rig.server.insert(&users(), &[61, 0]);
    rig.server.purge();
    rig.server.set_down(false);
    running.equals_the_server(&[&users(), &orders()]).await;
    assert_eq!(running.loads(&users()), 2);
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_down_at_the_start_is_tried_again() {
    let rig = Rig::new();
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    running.ingest.stop().await;
    drop(running);
    // With a checkpoint readers have the old rows meanwhile.
    rig.server.set_down(true);
    let running = rig.start().await;
    running.until("restoring", |running| running.snapshot().is_some()).await;
    assert_eq!(rows(&running.snapshot().unwrap(), &users()).len(), 3);
    rig.server.set_down(false);
    rig.server.insert(&users(), &[70, 0]);
    running.discovery.refresh(&shop()).await.unwrap();
    running.equals_the_server(&[&users(), &orders()]).await;
    assert_eq!(running.loads(&users()), 0);
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_altered_table_comes_back_with_its_new_definition() {
    let rig = Rig::new();
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    rig.server.scans_wait.send_replace(true);
    rig.server.define(table("shop", "users", &["id", "balance", "age"]), |row| {
        row.iter().cloned().chain([crossweave_contract::Value::Int(18)]).collect()
    });
    rig.server.insert(&orders(), &[8, 1]);
    rig.server.insert(&users(), &[80, 0, 21]);
    let reloading = |running: &Running| matches!(running.state(&users()), TableState::Reloading(_));
    running.until("reloading", reloading).await;
    // Readers see what was before, of all tables.
    let before = running.snapshot().unwrap();
    assert_eq!((rows(&before, &orders()).len(), rows(&before, &users())[0].len()), (0, 2));
    rig.server.insert(&users(), &[81, 0, 21]);
    rig.server.scans_wait.send_replace(false);
    running.equals_the_server(&[&users(), &orders()]).await;
    let columns = |def: &TableDef| def.columns.len();
    let catalog = running.discovery.catalog().current();
    assert_eq!(columns(&catalog.table(&users()).unwrap().def), 3);
    rig.server.truncate(&users());
    rig.server.insert(&users(), &[82, 0, 22]);
    running.equals_the_server(&[&users(), &orders()]).await;
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_altered_while_nobody_watched_is_loaded_anew() {
    let rig = Rig::new();
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    running.ingest.stop().await;
    drop(running);
    rig.server.insert(&users(), &[90, 0]);
    rig.server.define(table("shop", "users", &["id", "balance", "age"]), |row| {
        row.iter().cloned().chain([crossweave_contract::Value::Int(18)]).collect()
    });
    rig.server.insert(&orders(), &[9, 1]);
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    assert_eq!(running.loads(&orders()), 0);
    assert_eq!(running.discovery.catalog().current().table(&users()).unwrap().def.columns.len(), 3);
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_come_and_go() {
    let rig = Rig::new();
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    let notes = TableId::new("shop", "notes");
    rig.server.define(table("shop", "notes", &["id"]), Row::clone);
    rig.server.insert(&notes, &[1]);
    running.equals_the_server(&[&users(), &orders(), &notes]).await;
    rig.server.insert(&notes, &[2]);
    rig.server.drop_table(&orders());
    rig.server.insert(&users(), &[11, 0]);
    let gone = |running: &Running| running.snapshot().is_some_and(|s| s.table("orders").is_none());
    running.until("leaving", gone).await;
    running.equals_the_server(&[&users(), &notes]).await;
    let forgotten = |running: &Running| running.ingest.status(&shop()).unwrap().tables.len() == 2;
    running.until("forgetting", forgotten).await;
    assert!(running.discovery.catalog().current().table(&orders()).is_none());
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_cannot_be_loaded_keeps_its_place_and_comes_back() {
    let rig = Rig::new();
    let refused = ConnectorError::new(ErrorKind::Value, "users.balance holds 2, which is not boolean");
    rig.server.fail_scans(&users(), Some(refused.clone()));
    let running = rig.start().await;
    let failed = TableState::Loading { attempt_failed: Some(refused.message.clone()) };
    running.until("failing", |running| running.state(&users()) == failed).await;
    rig.server.insert(&orders(), &[5, 5]);
    running.equals_the_server(&[&orders()]).await;
    assert!(running.ingest.why_absent(&users()).unwrap().contains("not boolean"));
    rig.server.fail_scans(&users(), None);
    running.equals_the_server(&[&users(), &orders()]).await;
    // A table that was there before leaves, and the others go on.
    rig.server.fail_scans(&users(), Some(refused));
    rig.server.truncate(&users());
    rig.server.insert(&orders(), &[6, 5]);
    running.until("stopping", |running| matches!(running.state(&users()), TableState::Stopped(_))).await;
    running.equals_the_server(&[&orders()]).await;
    assert!(running.snapshot().unwrap().why_absent("users").unwrap().contains("not boolean"));
    rig.server.fail_scans(&users(), None);
    running.equals_the_server(&[&users(), &orders()]).await;
    running.ingest.stop().await;
}

fn refers(mut def: TableDef, column: &str, to: &str) -> TableDef {
    def.foreign_keys.push(ForeignKey {
        name: format!("{}_fk", def.id.table),
        columns: vec![column.to_owned()],
        referenced_database: "shop_db".to_owned(),
        referenced_table: to.to_owned(),
        referenced_columns: vec!["id".to_owned()],
        on_delete: ReferentialAction::Cascade,
        on_update: ReferentialAction::Restrict,
    });
    def
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cascades_come_through_tables_that_are_not_cached() {
    let mut rig = Rig::new();
    // Neither of the tables above `lines` is cached.
    rig.config.push_str("[services.shop.tables.users]\nmode = \"live\"\n");
    rig.config.push_str("[services.shop.tables.orders]\nmode = \"live\"\n");
    let lines = TableId::new("shop", "lines");
    rig.server.define(refers(table("shop", "orders", &["id", "user_id"]), "user_id", "users"), Row::clone);
    rig.server.define(refers(table("shop", "lines", &["id", "order_id"]), "order_id", "orders"), Row::clone);
    rig.server.insert(&orders(), &[5, 1]);
    rig.server.insert(&orders(), &[6, 2]);
    rig.server.insert(&lines, &[100, 5]);
    rig.server.insert(&lines, &[101, 6]);
    let running = rig.start().await;
    running.equals_the_server(&[&lines]).await;
    assert!(running.snapshot().unwrap().table("orders").is_none());
    let delete = |values: &[i64]| ChangeOp::Delete { before: row(values) };
    rig.server.silently(&lines, &delete(&[100, 5]));
    rig.server.silently(&orders(), &delete(&[5, 1]));
    rig.server.commit(&[(&users(), delete(&[1, 10]))]);
    running.equals_the_server(&[&lines]).await;
    running.ingest.stop().await;
    drop(running);
    // A restart keeps what it needs for them.
    rig.server.silently(&lines, &delete(&[101, 6]));
    rig.server.silently(&orders(), &delete(&[6, 2]));
    rig.server.commit(&[(&users(), delete(&[2, 20]))]);
    let running = rig.start().await;
    running.equals_the_server(&[&lines]).await;
    assert_eq!(running.loads(&lines), 0);
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_durable_log_is_read_on_from_the_checkpoints_offset() {
    let mut rig = Rig::new();
    let log = Arc::new(DurableLog::new());
    rig.log = Arc::clone(&log) as _;
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    rig.server.insert(&users(), &[20, 0]);
    running.equals_the_server(&[&users(), &orders()]).await;
    running.ingest.stop().await;
    drop(running);
    rig.server.insert(&users(), &[21, 0]);
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    assert_eq!(running.loads(&users()), 0);
    assert!(matches!(log.starts.lock().last(), Some(LogStart::After(_))));
    running.ingest.stop().await;
    drop(running);
    // Another node, which has no checkpoint, loads and goes on in the same log.
    let other = rig.start_on(&rig.dir.path().join("other")).await;
    // Two, so that the place after the first node's is gone with or without a heartbeat between.
    rig.server.insert(&users(), &[22, 0]);
    rig.server.insert(&users(), &[24, 0]);
    other.equals_the_server(&[&users(), &orders()]).await;
    assert_eq!(other.loads(&users()), 1);
    other.until("both to be in the log", |_| log.holds(rig.server.sequence())).await;
    other.ingest.stop().await;
    drop(other);
    // The first one finds its place gone from the log.
    rig.server.insert(&users(), &[23, 0]);
    log.forget();
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    assert_eq!(running.loads(&users()), 1, "{:#?}", running.ingest.statuses());
    running.ingest.stop().await;
}
