//! A primary that does not say where it is: then that is why its replicas are not read.

use std::fmt::Debug;
use std::sync::Mutex;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::*;

/// What is logged, each as its fields.
#[derive(Default)]
struct Logged(Mutex<Vec<String>>);

impl Logged {
    /// How often something was that has all of `parts`.
    fn count(&self, parts: &[&str]) -> usize {
        let has_all = |line: &&String| parts.iter().all(|part| line.contains(part));
        self.0.lock().unwrap().iter().filter(has_all).count()
    }
}

/// Takes what this thread logs.
struct Taking(Arc<Logged>);

impl Subscriber for Taking {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.0.lock().unwrap().push(line.0);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

/// A source whose replica has replicated something.
async fn options(primary: &TestServer, database: &str, replica: &TestServer) -> SourceOptions {
    let account = primary.user("reader", &[&format!("SELECT ON {database}.*")]).await;
    replica.user("reader", &[]).await;
    replica.run("mysql", &["SET GLOBAL gtid_slave_pos = '5-1-1'"]).await;
    let replicas = vec![ReplicaOptions { host: "127.0.0.1".to_owned(), port: replica.port, server_name: None }];
    SourceOptions { replicas, replica_lag: Duration::from_millis(400), ..account }
}

#[tokio::test]
async fn why_the_primary_does_not_say_where_it_is_is_why_a_replica_is_not_read() {
    let logged = Arc::<Logged>::default();
    // Of two, each is asked whether it takes what another thread logs first; of one, that thread's own is, which is none.
    let takers = [(), ()].map(|()| tracing::Dispatch::new(Taking(Arc::clone(&logged))));
    let _taking = tracing::dispatcher::set_default(&takers[0]);
    let (primary, replica) = (TestServer::start(&["--skip-log-bin"]), TestServer::start(&["--server-id=71"]));
    let database = primary.database(&["CREATE TABLE t (id INT PRIMARY KEY)"]).await;
    let options = options(&primary, &database, &replica).await;
    let source = MariaDbSource::new(options.clone());
    let no_binlog = "the primary has no binlog (log_bin is OFF)";
    unfit(&source, 0, no_binlog).await;
    let not_read = ["queries do not read the replica", no_binlog];
    eventually("it is logged", async || logged.count(&not_read) > 0).await;
    let found = source.check(&database, None).await;
    let of_replica = found.iter().find(|f| f.subject == format!("replica 127.0.0.1:{}", replica.port));
    let of_replica = of_replica.unwrap_or_else(|| panic!("{found:?}"));
    assert_eq!(of_replica.level, FindingLevel::Error);
    assert!(of_replica.found.contains(no_binlog), "{of_replica:?}");
    let fix = of_replica.fix.as_deref().unwrap_or_default();
    assert!(fix.contains("the primary") && !fix.contains("SLAVES STATUS"), "{fix}");
    assert_eq!(logged.count(&not_read), 1, "once");

    // One that never answered.
    primary.kill();
    let source = MariaDbSource::new(options);
    unfit(&source, 0, "the server cannot be reached").await;
    let reason = states(&source)[0].unfit.clone().unwrap_or_default();
    assert!(reason.contains(&format!("127.0.0.1:{}", primary.port)), "{reason}");
}
