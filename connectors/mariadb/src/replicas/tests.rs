//! Real servers: a primary, and replicas that follow it by GTID, stop, fail, are written to, and come back.

mod silent;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossweave_contract::{
    BooleanColumns, Consistency, ErrorKind, FindingLevel, Position, RemoteQuery, ReplicaState, Result,
    ScanWork, ServiceTables, Source, SourceView, TableDef, TableId, Value,
};
use futures::TryStreamExt as _;
use mysql_async::prelude::Queryable;

use crate::testing::{TestServer, rows};
use crate::{MariaDbSource, ReplicaOptions, SourceOptions};

/// Long enough for a busy machine to look at its servers in time.
const BOUND: Duration = Duration::from_secs(3);
const LIMIT: Duration = Duration::from_secs(30);

/// A primary with the service `s`: `who` has the number of the server that is read, `t` one row for each transaction
/// after the first.
struct Group {
    primary: TestServer,
    replicas: Vec<TestServer>,
    database: String,
    options: SourceOptions,
}

impl Group {
    /// With a replica for each list of `settings`, and an account that may only SELECT.
    async fn new(settings: &[&[&str]]) -> Self {
        let primary = TestServer::start(&["--server-id=70"]);
        let mut replicas = Vec::new();
        for (at, settings) in settings.iter().enumerate() {
            let number = format!("--server-id={}", 71 + at);
            let replica = TestServer::start(&[&[number.as_str()], *settings].concat());
            follow(&replica, &primary).await;
            replicas.push(replica);
        }
        let tables = [
            "CREATE TABLE who (id INT PRIMARY KEY)",
            "CREATE TABLE t (id INT PRIMARY KEY)",
            "CREATE TABLE big (id INT PRIMARY KEY)",
            "CREATE VIEW slow AS SELECT SLEEP(1.5) AS s",
        ];
        let database = primary.database(&tables).await;
        let account = primary.user("reader", &[&format!("SELECT ON {database}.*")]).await;
        primary.run(&database, &["INSERT INTO who VALUES (70)"]).await;
        let at = |server: &TestServer| ReplicaOptions {
            host: "127.0.0.1".to_owned(),
            port: server.port,
            server_name: None,
        };
        let options =
            SourceOptions { replicas: replicas.iter().map(at).collect(), replica_lag: BOUND, ..account };
        let group = Self { primary, replicas, database, options };
        for (at, replica) in group.replicas.iter().enumerate() {
            group.caught_up(replica).await;
            let own = format!("UPDATE who SET id = {}", 71 + at);
            replica.run(&group.database, &["SET sql_log_bin = 0", &own]).await;
        }
        group
    }

    /// Waits until `replica` has what the primary has.
    async fn caught_up(&self, replica: &TestServer) {
        let end = position(&self.primary, "gtid_binlog_pos").await;
        eventually("the replica follows", async || position(replica, "gtid_slave_pos").await.covers(&end))
            .await;
    }

    /// Whose replicas have been looked at, and are all fit.
    async fn source(&self) -> MariaDbSource {
        let source = MariaDbSource::new(self.options.clone());
        self.tables(&source).await;
        eventually("all replicas are fit", async || states(&source).iter().all(|state| state.unfit.is_none()))
            .await;
        source
    }

    async fn tables(&self, source: &MariaDbSource) -> ServiceTables {
        source.tables(&"s".into(), &self.database, &BooleanColumns::default()).await.unwrap()
    }

    async fn defined(&self, view: &dyn SourceView, table: &str) -> Result<Arc<TableDef>> {
        let id = TableId::new("s", table);
        Ok(Arc::new(view.definition(&id, &self.database, &BooleanColumns::default()).await?))
    }

    /// The number of the server that `view` reads.
    async fn who(&self, view: &dyn SourceView) -> i64 {
        let who = self.defined(view, "who").await.unwrap();
        match rows(view, RemoteQuery::whole(who)).await.unwrap()[0][0] {
            Value::Int(number) => number,
            ref other => panic!("{other:?}"),
        }
    }

    async fn count(&self, view: &dyn SourceView) -> u64 {
        let t = self.defined(view, "t").await.unwrap();
        rows(view, RemoteQuery::whole(t)).await.unwrap().len() as u64
    }
}

async fn follow(replica: &TestServer, primary: &TestServer) {
    let follow = format!(
        "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, MASTER_USER = 'root', \
         MASTER_CONNECT_RETRY = 1, MASTER_USE_GTID = slave_pos",
        primary.port
    );
    replica.run("mysql", &[&follow, "START SLAVE"]).await;
}

async fn position(server: &TestServer, variable: &str) -> Position {
    let found: Option<String> =
        server.connect(None).await.query_first(format!("SELECT @@GLOBAL.{variable}")).await.unwrap();
    found.unwrap().parse().unwrap()
}

async fn eventually(what: &str, check: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if check().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not within 30 s: {what}");
}

async fn eventually_found(conn: &mut mysql_async::Conn, sql: &str) {
    for _ in 0..600 {
        if conn.query_first::<u64, _>(sql).await.unwrap().is_some() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nothing found by {sql}");
}

fn states(source: &MariaDbSource) -> Vec<ReplicaState> {
    source.protection().replicas
}

async fn opened(source: &MariaDbSource) -> Arc<dyn SourceView> {
    source.open_view(LIMIT, (4 << 20).into()).await.unwrap()
}

/// The reason why the replica at `at` is not read, once there is one that has `part`.
async fn unfit(source: &MariaDbSource, at: usize, part: &str) {
    eventually(part, async || states(source)[at].unfit.as_ref().is_some_and(|reason| reason.contains(part)))
        .await;
}

#[tokio::test]
async fn views_are_spread_over_the_replicas_and_each_stays_on_one() {
    let group = Group::new(&[&["--log-slave-updates"], &["--log-slave-updates"]]).await;
    let source = group.source().await;
    let end = position(&group.primary, "gtid_binlog_pos").await;
    let mut views = Vec::new();
    for _ in 0..6 {
        let view = opened(&source).await;
        let who = group.who(&*view).await;
        // Each scan of a view, in whatever order.
        for _ in 0..3 {
            assert_eq!(group.who(&*view).await, who);
        }
        assert_eq!(view.position(), Some(end.clone()));
        let read = view.server().unwrap();
        assert_eq!(read.server, format!("127.0.0.1:{}", group.replicas[who as usize - 71].port));
        assert!(read.age.is_some_and(|age| age <= BOUND), "{read:?}");
        views.push((who, view));
    }
    let on = |number: i64| views.iter().filter(|(who, _)| *who == number).count();
    assert_eq!((on(71), on(72)), (3, 3), "by the connections in use");
    let counted: Vec<(u64, u64)> = states(&source).iter().map(|s| (s.connections, s.views)).collect();
    assert_eq!((counted, source.protection().fell_back), (vec![(3, 3), (3, 3)], 0));
    // The busier one is left alone until both are as busy.
    views.retain(|(who, _)| *who == 71);
    eventually("connections are given back", async || states(&source)[1].connections == 0).await;
    for _ in 0..3 {
        let view = opened(&source).await;
        assert_eq!(group.who(&*view).await, 72);
        views.push((72, view));
    }
    drop(views);
    eventually("connections are given back", async || states(&source).iter().all(|s| s.connections == 0)).await;
    // One after the other, in turns; a connection is given back a moment after its view is gone.
    let mut turns = Vec::new();
    for _ in 0..4 {
        eventually("connections are given back", async || states(&source).iter().all(|s| s.connections == 0))
            .await;
        turns.push(group.who(&*opened(&source).await).await);
    }
    assert!(turns == [71, 72, 71, 72] || turns == [72, 71, 72, 71], "{turns:?}");
    // What a cache begins with is the primary's.
    let load = source.open_load(LIMIT, (4 << 20).into()).await.unwrap();
    assert_eq!((group.who(&*load).await, load.server().unwrap().age), (70, None));
}

#[tokio::test]
async fn a_replica_that_stops_or_fails_is_not_read_and_the_primary_is_where_none_is_fit() {
    let group = Group::new(&[&["--log-slave-updates"], &["--log-slave-updates"]]).await;
    let source = group.source().await;
    group.replicas[0].run("mysql", &["STOP SLAVE SQL_THREAD"]).await;
    group.primary.run(&group.database, &["INSERT INTO t VALUES (1)"]).await;
    group.caught_up(&group.replicas[1]).await;
    unfit(&source, 0, "beyond the 3s of replica_lag").await;
    for _ in 0..4 {
        let view = opened(&source).await;
        assert_eq!((group.who(&*view).await, group.count(&*view).await), (72, 1));
    }
    assert!(states(&source)[0].lag.is_some_and(|lag| lag > BOUND), "{:?}", states(&source));
    // One that fails in the middle of a query, before it gave a row: the primary stands where the query began.
    let view = opened(&source).await;
    let slow = group.defined(&*view, "slow").await.unwrap();
    let reading = tokio::spawn({
        let view = Arc::clone(&view);
        async move { rows(&*view, RemoteQuery::whole(slow)).await }
    });
    let mut owner = group.replicas[1].connect(None).await;
    let running = "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE '%SELECT %`slow`%' AND ID <> CONNECTION_ID()";
    eventually_found(&mut owner, running).await;
    // One that fails before it was noticed: whoever asks does not notice.
    group.replicas[1].kill();
    assert_eq!(reading.await.unwrap().unwrap().len(), 1);
    let view = opened(&source).await;
    assert_eq!((group.who(&*view).await, group.count(&*view).await), (70, 1));
    assert_eq!(view.server().unwrap().server, format!("127.0.0.1:{}", group.primary.port));
    assert_eq!(source.protection().fell_back, 1);
    unfit(&source, 1, "cannot be reached").await;
    // It comes back.
    group.replicas[0].run("mysql", &["START SLAVE SQL_THREAD"]).await;
    eventually("it is fit", async || states(&source)[0].unfit.is_none()).await;
    let view = opened(&source).await;
    assert_eq!((group.who(&*view).await, group.count(&*view).await), (71, 1));
    // Where the primary does not say where it is, nobody knows what a replica lacks.
    group.primary.kill();
    unfit(&source, 0, "where the primary is was not told").await;
    let error = source.open_view(LIMIT, (4 << 20).into()).await.err().expect("none can be read");
    assert_eq!(error.kind, ErrorKind::Unreachable, "{error}");
}

#[tokio::test]
async fn the_position_is_exact_or_there_is_none() {
    let (logs, silent): (&[&str], &[&str]) = (
        &["--log-slave-updates", "--slave-parallel-threads=4"],
        &["--skip-log-bin", "--slave-parallel-threads=4"],
    );
    let group = Group::new(&[logs, silent, silent]).await;
    // Of two replicas without a binlog, one lets the account read where it is.
    let grant = "GRANT SELECT ON mysql.gtid_slave_pos TO reader@'127.0.0.1'";
    group.replicas[1].run("mysql", &["SET sql_log_bin = 0", grant]).await;
    let source = group.source().await;
    let start = position(&group.primary, "gtid_binlog_pos").await;
    let start = start.gtids().next().unwrap().sequence;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (1..4)
        .map(|writer: u32| {
            let (stop, primary, database) = (Arc::clone(&stop), group.primary.port, group.database.clone());
            tokio::spawn(async move {
                let options = mysql_async::OptsBuilder::default()
                    .ip_or_hostname("127.0.0.1")
                    .tcp_port(primary)
                    .user(Some("root"))
                    .prefer_socket(false)
                    .db_name(Some(database));
                let mut conn = mysql_async::Conn::new(options).await.unwrap();
                let mut next = writer * 10_000_000;
                while !stop.load(Ordering::Relaxed) {
                    next += 1;
                    conn.query_drop(format!("INSERT INTO t VALUES ({next})")).await.unwrap();
                }
            })
        })
        .collect();
    let mut told = [0; 4];
    for _ in 0..60 {
        let view = opened(&source).await;
        let (who, count) = (group.who(&*view).await as usize - 70, group.count(&*view).await);
        assert_eq!(view.position().is_some(), who != 3, "of server {who}");
        if let Some(position) = view.position() {
            assert_eq!(position.gtids().next().unwrap().sequence - start, count, "of server {who}");
        }
        told[who] += 1;
    }
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(told[1..].iter().all(|views| *views >= 10), "{told:?}");
    joined_by_connections(&group, &source).await;
    // An open view does not keep the owner from changing what says where the replica is.
    let views = [opened(&source).await, opened(&source).await, opened(&source).await];
    let on_second = format!("127.0.0.1:{}", group.replicas[1].port);
    assert!(views.iter().any(|view| view.server().unwrap().server == on_second));
    let alter = ["SET lock_wait_timeout = 1", "ALTER TABLE mysql.gtid_slave_pos COMMENT 'x'"];
    group.replicas[1].run("mysql", &alter).await;
}

/// Only where places in a binlog tell that snapshots are the same do connections join a view.
async fn joined_by_connections(group: &Group, source: &MariaDbSource) {
    group
        .primary
        .run(&group.database, &["INSERT INTO big SELECT seq FROM seq_1_to_200000", "ANALYZE TABLE big"])
        .await;
    let end = position(&group.primary, "gtid_binlog_pos").await;
    for replica in &group.replicas {
        group.caught_up(replica).await;
    }
    for _ in 0..3 {
        let view = opened(source).await;
        let who = group.who(&*view).await;
        let big = RemoteQuery::whole(group.defined(&*view, "big").await.unwrap());
        view.prepare(&big).await;
        let work = Arc::<ScanWork>::default();
        let batches: Vec<_> = view.scan_counted(big, Arc::clone(&work)).try_collect().await.unwrap();
        assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 200_000);
        assert_eq!(view.position(), (who != 73).then(|| end.clone()));
        assert_eq!(work.connections.load(Ordering::Relaxed) > 1, who == 71, "of server {who}: {work:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_the_primarys_equal_is_not_read() {
    let group = Group::new(&[&["--log-slave-updates"], &["--replicate-wild-ignore-table=other.%"]]).await;
    let stranger = TestServer::start(&["--server-id=79"]);
    for number in 0..20 {
        stranger.run("mysql", &[&format!("CREATE DATABASE d{number}")]).await;
    }
    let database = stranger.user("reader", &["SELECT ON d1.*"]).await;
    let mut options = group.options.clone();
    options.replicas.push(ReplicaOptions { host: database.host, port: stranger.port, server_name: None });
    let source = MariaDbSource::new(options);
    group.tables(&source).await;
    unfit(&source, 1, "replicates only a part of the primary: replicate_wild_ignore_table = other.%").await;
    unfit(&source, 2, "it has replicated nothing").await;
    let found = source.check(&group.database, None).await;
    let of = |at: usize| {
        let port = source_port(&group, &stranger, at);
        found
            .iter()
            .find(|f| f.subject == format!("replica 127.0.0.1:{port}"))
            .unwrap_or_else(|| panic!("{found:?}"))
    };
    // It was found fit; its row of `who` is no matter of definitions.
    assert_eq!(of(0).level, FindingLevel::Good, "{:?}", of(0));
    assert_eq!((of(1).level, of(2).level), (FindingLevel::Error, FindingLevel::Error));
    // It was written to.
    let write = format!("INSERT INTO {}.t VALUES (-1)", group.database);
    group.replicas[0].run("mysql", &[&write]).await;
    unfit(&source, 0, "it was written to").await;
    // The primary comes further than that was.
    for _ in 0..3 {
        group.primary.run(&group.database, &["INSERT INTO t VALUES (7)", "DELETE FROM t"]).await;
    }
    let end = position(&group.primary, "gtid_binlog_pos").await;
    eventually("it is looked at once more", async || {
        position(&group.replicas[0], "gtid_slave_pos").await.covers(&end)
    })
    .await;
    // It is looked at several times in this.
    for _ in 0..20 {
        let reason = states(&source)[0].unfit.clone().expect("it stays unfit");
        assert!(reason.contains("it was written to"), "{reason}");
        tokio::time::sleep(BOUND / 20).await;
    }
    let view = opened(&source).await;
    assert_eq!((group.who(&*view).await, group.count(&*view).await), (70, 0));
}

fn source_port(group: &Group, stranger: &TestServer, at: usize) -> u16 {
    group.replicas.get(at).map_or(stranger.port, |replica| replica.port)
}

/// Opens views for `time`, each of which must read one of `servers` and no row of another's own; how long until the first
/// that reads a replica.
async fn only(group: &Group, source: &MariaDbSource, servers: &[i64], time: Duration) -> Option<Duration> {
    let (since, mut first) = (Instant::now(), None);
    while since.elapsed() < time {
        let view = opened(source).await;
        let who = group.who(&*view).await;
        assert!(servers.contains(&who), "server {who} was read after {:?}", since.elapsed());
        assert_eq!(group.count(&*view).await, 0, "of server {who}");
        first = first.or((who > 70).then(|| since.elapsed()));
    }
    first
}

#[tokio::test]
async fn a_replica_is_not_read_before_it_was_held_against_the_primary() {
    let group = Group::new(&[&["--log-slave-updates"], &["--log-slave-updates"]]).await;
    group.replicas[0].run(&group.database, &["INSERT INTO t VALUES (-1)"]).await;
    let replica_lag = Duration::from_secs(20);
    let interval = replica_lag / 4;
    let source = MariaDbSource::new(SourceOptions { replica_lag, ..group.options.clone() });
    group.tables(&source).await;
    let first = only(&group, &source, &[70, 72], interval + Duration::from_secs(1)).await;
    assert!(first.is_some_and(|first| first < interval), "the other is read after {first:?}");
    unfit(&source, 0, "it was written to").await;
}

#[tokio::test]
async fn what_is_written_to_a_replica_is_in_no_view_that_is_opened_after() {
    let group = Group::new(&[&["--log-slave-updates"], &[], &["--log-slave-updates"]]).await;
    let source = group.source().await;
    let (first, second) = (&group.replicas[0], &group.replicas[1]);
    let write = ["INSERT INTO t VALUES (-1)"];
    tokio::join!(first.run(&group.database, &write), second.run(&group.database, &write));
    only(&group, &source, &[70, 73], BOUND).await;
    for at in [0, 1] {
        unfit(&source, at, "it was written to").await;
    }
}

#[tokio::test]
async fn what_is_written_to_a_replica_is_in_no_connection_that_joins_a_view_after() {
    let group = Group::new(&[&["--log-slave-updates"]]).await;
    group
        .primary
        .run(&group.database, &["INSERT INTO big SELECT seq FROM seq_1_to_200000", "ANALYZE TABLE big"])
        .await;
    group.caught_up(&group.replicas[0]).await;
    let source = group.source().await;
    let view = source.open_view_of(Consistency::Statement, LIMIT, (4 << 20).into()).await.unwrap();
    assert_eq!(group.who(&*view).await, 71);
    let [slow, t, big] = ["slow", "t", "big"].map(|table| group.defined(&*view, table));
    let (slow, t, big) = futures::try_join!(slow, t, big).unwrap();
    // Others join it.
    let work = Arc::<ScanWork>::default();
    let read = view.scan_counted(RemoteQuery::whole(Arc::clone(&big)), Arc::clone(&work));
    let read = read.try_fold(0, async |sum, batch| Ok(sum + batch.num_rows())).await.unwrap();
    assert!(read == 200_000 && work.connections.load(Ordering::Relaxed) > 1, "{work:?}");
    drop(view);

    let view = source.open_view_of(Consistency::Statement, LIMIT, (4 << 20).into()).await.unwrap();
    assert_eq!(group.who(&*view).await, 71);
    group.replicas[0].run(&group.database, &["INSERT INTO t VALUES (-1)"]).await;
    // While it reads, and ahead of reading.
    let (one, own) =
        futures::join!(rows(&*view, RemoteQuery::whole(slow)), rows(&*view, RemoteQuery::whole(t)));
    assert_eq!((one.unwrap().len(), own.unwrap().len()), (1, 0));
    view.prepare(&RemoteQuery::whole(Arc::clone(&big))).await;
    let work = Arc::<ScanWork>::default();
    let read = view.scan_counted(RemoteQuery::whole(big), Arc::clone(&work));
    let read = read.try_fold(0, async |sum, batch| Ok(sum + batch.num_rows())).await.unwrap();
    assert_eq!((read, work.connections.load(Ordering::Relaxed)), (200_000, 1));
}

#[tokio::test]
async fn a_replica_with_another_definition_of_a_table_is_not_read_for_it() {
    let group = Group::new(&[&["--log-slave-updates"], &["--log-slave-updates"]]).await;
    let source = group.source().await;
    for replica in &group.replicas {
        replica.run(&group.database, &["SET sql_log_bin = 0", "ALTER TABLE t ADD COLUMN own INT"]).await;
    }
    let view = opened(&source).await;
    let error = group.defined(&*view, "t").await.unwrap_err();
    assert!(error.kind == ErrorKind::DefinitionChanged && error.kind.is_transient(), "{error}");
    assert!(error.to_string().contains("table s.t is defined otherwise there"), "{error}");
    // Who asks again reads the primary, though the other replica is not known to differ yet.
    let view = opened(&source).await;
    assert_eq!((group.who(&*view).await, group.count(&*view).await), (70, 0));
    let named = states(&source).into_iter().filter_map(|state| state.unfit).collect::<Vec<_>>();
    assert!(named.len() == 1 && named[0].contains("table s.t"), "{named:?}");
    let found = source.check(&group.database, None).await;
    assert!(found.iter().any(|f| f.found.contains("other definitions than on the primary: t")), "{found:?}");
    // The primary's is taken up from where it is told next.
    group.primary.run(&group.database, &["ALTER TABLE who ADD COLUMN more INT"]).await;
    for replica in &group.replicas {
        group.caught_up(replica).await;
    }
    group.tables(&source).await;
    eventually("they are read again", async || {
        let view = opened(&source).await;
        view.server().is_some_and(|read| read.age.is_some()) && group.who(&*view).await > 70
    })
    .await;
}
