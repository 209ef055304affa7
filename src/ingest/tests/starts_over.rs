//! Numbers that go back while capture runs: the log starts over, whatever fails before it says so.

use std::time::SystemTime;

use super::*;

async fn check(log: Arc<dyn ChangeLog>, disturb: impl Fn(&FakeServer)) {
    let rig = Rig { log, ..Rig::new() };
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    disturb(&rig.server);
    rig.server.reset();
    // Under a number that the cache has already.
    rig.server.insert(&users(), &[50, 1]);
    running.equals_the_server(&[&users(), &orders()]).await;
    assert_eq!(running.loads(&users()), 2);
    rig.server.insert(&users(), &[51, 1]);
    running.equals_the_server(&[&users(), &orders()]).await;
    assert_eq!(running.loads(&users()), 2, "the log leads on from there");
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_reset_while_it_is_captured_caches_are_loaded_anew() {
    check(Arc::new(DirectLog::new()), |_| {}).await;
    check(Arc::new(DurableLog::new()), |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_seen_though_the_numbers_are_where_they_were() {
    for log in [Arc::new(DirectLog::new()) as Arc<dyn ChangeLog>, Arc::new(DurableLog::new())] {
        let rig = Rig { log, ..Rig::new() };
        rig.server.hold_the_clock();
        let running = rig.start().await;
        running.equals_the_server(&[&users(), &orders()]).await;
        rig.server.insert(&users(), &[49, 1]);
        running.equals_the_server(&[&users(), &orders()]).await;
        rig.server.silently(&users(), &ChangeOp::Insert { after: row(&[50, 1]) });
        rig.server.reset_to(rig.server.sequence());
        running.until("a load anew", |running| running.loads(&users()) == 2).await;
        running.equals_the_server(&[&users(), &orders()]).await;
        running.ingest.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_not_forgotten_while_the_new_numbers_come_past_the_old_ones() {
    // Meanwhile capture fails, for a reason that has nothing to do with it.
    check(Arc::new(DirectLog::new()), |server| server.miss_ends(1, 20)).await;
    check(Arc::new(DurableLog::new()), |server| server.miss_ends(1, 20)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_seen_though_the_new_numbers_passed_the_old_ones_while_capture_was_away() {
    for log in [Arc::new(DirectLog::new()) as Arc<dyn ChangeLog>, Arc::new(DurableLog::new())] {
        let rig = Rig { log, ..Rig::new() };
        let running = rig.start().await;
        rig.server.insert(&users(), &[49, 1]);
        running.equals_the_server(&[&users(), &orders()]).await;
        let failing = |running: &Running| running.ingest.status(&shop()).unwrap().failing.is_some();
        rig.server.set_down(true);
        running.until("capture to be away", failing).await;
        // Nothing was reset: it goes on.
        rig.server.set_down(false);
        rig.server.insert(&users(), &[50, 1]);
        running.equals_the_server(&[&users(), &orders()]).await;
        assert_eq!(running.loads(&users()), 1);
        rig.server.set_down(true);
        running.until("capture to be away", failing).await;
        rig.server.reset();
        rig.server.insert(&users(), &[51, 1]);
        (0..50).for_each(|_| rig.server.commit(&[]));
        rig.server.set_down(false);
        running.equals_the_server(&[&users(), &orders()]).await;
        assert_eq!(running.loads(&users()), 2);
        running.ingest.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_is_not_forgotten_by_a_restart_before_the_log_says_so() {
    for log in [Arc::new(DirectLog::new()) as Arc<dyn ChangeLog>, Arc::new(DurableLog::new())] {
        let mut rig = Rig { log, ..Rig::new() };
        let running = rig.start().await;
        running.equals_the_server(&[&users(), &orders()]).await;
        rig.server.miss_ends(u64::MAX, 20);
        rig.server.reset();
        rig.server.insert(&users(), &[50, 1]);
        let failing = |running: &Running| running.ingest.status(&shop()).unwrap().failing;
        let missed = |running: &Running| failing(running).is_some_and(|reason| reason == "connection refused");
        running.until("failing to start over", missed).await;
        restart(&mut rig, running).await;
        rig.server.miss_ends(0, 0);
        let running = rig.start().await;
        running.equals_the_server(&[&users(), &orders()]).await;
        running.ingest.stop().await;
        // Done once, it is not done again.
        drop(running);
        let running = rig.start().await;
        running.equals_the_server(&[&users(), &orders()]).await;
        assert_eq!(running.loads(&users()), 0);
        running.ingest.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_while_caches_are_loaded_anew_does_not_go_on_from_what_was_before() {
    for log in [Arc::new(DirectLog::new()) as Arc<dyn ChangeLog>, Arc::new(DurableLog::new())] {
        let mut rig = Rig { log, ..Rig::new() };
        let running = rig.start().await;
        running.equals_the_server(&[&users(), &orders()]).await;
        running.ingest.stop().await;
        drop(running);
        let running = rig.start().await;
        running.equals_the_server(&[&users(), &orders()]).await;
        rig.server.scans_wait.send_replace(true);
        rig.server.reset();
        rig.server.insert(&users(), &[50, 1]);
        running.until("loading anew", |running| running.state(&users()) != TableState::Ready).await;
        (0..20).for_each(|_| rig.server.commit(&[]));
        restart(&mut rig, running).await;
        rig.server.scans_wait.send_replace(false);
        let running = rig.start().await;
        running.equals_the_server(&[&users(), &orders()]).await;
        running.ingest.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_while_no_process_runs_is_seen_though_the_new_numbers_passed_the_old_ones() {
    for log in [Arc::new(DirectLog::new()) as Arc<dyn ChangeLog>, Arc::new(DurableLog::new())] {
        let mut rig = Rig { log, ..Rig::new() };
        let running = rig.start().await;
        for id in 40..50 {
            rig.server.insert(&users(), &[id, 1]);
        }
        running.equals_the_server(&[&users(), &orders()]).await;
        restart(&mut rig, running).await;
        // Nothing was reset: it goes on.
        rig.server.insert(&users(), &[50, 1]);
        let running = rig.start().await;
        running.equals_the_server(&[&users(), &orders()]).await;
        assert_eq!(running.loads(&users()), 0);
        restart(&mut rig, running).await;
        for (reset, id) in [51, 52].into_iter().enumerate() {
            rig.server.insert(&users(), &[60 + id, 1]);
            let running = rig.start().await;
            running.equals_the_server(&[&users(), &orders()]).await;
            restart(&mut rig, running).await;
            rig.server.reset();
            rig.server.insert(&users(), &[id, 1]);
            (0..50 * (reset + 1)).for_each(|_| rig.server.commit(&[]));
            let running = rig.start().await;
            running.equals_the_server(&[&users(), &orders()]).await;
            assert_eq!(running.loads(&users()), 1, "reset {reset}");
            restart(&mut rig, running).await;
        }
        // Where the binlog does not go back to what is known, nothing speaks against it.
        rig.server.purge();
        (0..5).for_each(|_| rig.server.commit(&[]));
        let running = rig.start().await;
        running.equals_the_server(&[&users(), &orders()]).await;
        assert_eq!(running.loads(&users()), 0);
        running.ingest.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_while_no_process_runs_is_seen_though_nothing_was_committed_while_one_ran() {
    for log in [Arc::new(DirectLog::new()) as Arc<dyn ChangeLog>, Arc::new(DurableLog::new())] {
        let mut rig = Rig { log, ..Rig::new() };
        // The second time, a load anew has left what was known.
        for id in [50, 51] {
            let running = rig.start().await;
            running.equals_the_server(&[&users(), &orders()]).await;
            let failing = |running: &Running| running.ingest.status(&shop()).unwrap().failing.is_some();
            running.until("to be captured", |running| !failing(running)).await;
            restart(&mut rig, running).await;
            rig.server.reset();
            rig.server.insert(&users(), &[id, 1]);
            (0..100 * id).for_each(|_| rig.server.commit(&[]));
        }
        let running = rig.start().await;
        running.equals_the_server(&[&users(), &orders()]).await;
        assert_eq!(running.loads(&users()), 1);
        running.ingest.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_node_said_is_not_said_again() {
    let log = Arc::new(DurableLog::new());
    let rig = Rig { log: Arc::clone(&log) as _, ..Rig::new() };
    let (all, other) = ([&users(), &orders()], rig.dir.path().join("other"));
    let running = rig.start().await;
    (40..60).for_each(|id| rig.server.insert(&users(), &[id, 1]));
    running.equals_the_server(&all).await;
    running.ingest.stop().await;
    drop(running);
    let running = rig.start_on(&other).await;
    running.equals_the_server(&all).await;
    rig.server.reset();
    rig.server.insert(&users(), &[60, 1]);
    running.equals_the_server(&all).await;
    (100..140).for_each(|id| rig.server.insert(&users(), &[id, 1]));
    running.until("all to be in the log", |_| log.holds(41)).await;
    running.equals_the_server(&all).await;
    running.ingest.stop().await;
    drop(running);
    // What is committed meanwhile is in the log as well, for the first one goes on in it.
    (140..150).for_each(|id| rig.server.insert(&users(), &[id, 1]));
    let running = rig.start().await;
    running.equals_the_server(&all).await;
    running.until("what came meanwhile to be in the log", |_| (42..=51).all(|n| log.holds(n))).await;
    assert_eq!((running.loads(&users()), log.starts_over()), (1, 1));
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_that_went_back_are_loaded_anew_once() {
    let mut rig = Rig::new();
    let all = [&users(), &orders()];
    let running = rig.start().await;
    (40..60).for_each(|id| rig.server.insert(&users(), &[id, 1]));
    running.equals_the_server(&all).await;
    restart(&mut rig, running).await;
    rig.server.reset();
    rig.server.insert(&users(), &[60, 1]);
    let running = rig.start().await;
    running.equals_the_server(&all).await;
    // The new numbers come past those that were known.
    (100..140).for_each(|id| rig.server.insert(&users(), &[id, 1]));
    running.equals_the_server(&all).await;
    restart(&mut rig, running).await;
    let running = rig.start().await;
    running.equals_the_server(&all).await;
    assert_eq!(running.loads(&users()), 0);
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_older_than_all_that_is_known_goes_on_up_to_it() {
    let rig = Rig::new();
    rig.server.reset();
    let (all, state) = ([&users(), &orders()], rig.dir.path().join("state"));
    let running = rig.start().await;
    running.equals_the_server(&all).await;
    running.ingest.stop().await;
    drop(running);
    // As it is after a kill: what was published is known, and not stored.
    let id = Source::id(&*rig.server).clone();
    let mut known: crossweave_contract::KnownTransaction = (&*testing::transaction(2, Vec::new())).into();
    known.committed_at = 77;
    let mark = serde_json::json!([{ "number": 0, "transaction": known }]);
    let files = StateDir::open(&state).unwrap().of_source(&id);
    files.known_transactions.write(mark.to_string().as_bytes()).unwrap();
    drop(files);
    (70..73).for_each(|id| rig.server.insert(&users(), &[id, 1]));
    let running = rig.start().await;
    running.equals_the_server(&all).await;
    running.until("loading anew", |running| running.loads(&users()) == 1).await;
    running.equals_the_server(&all).await;
    running.ingest.stop().await;
}

/// Ends the process, and with it what it had in memory: the direct log.
async fn restart(rig: &mut Rig, running: Running) {
    running.ingest.stop().await;
    if !rig.log.stays() {
        rig.log = Arc::new(DirectLog::new());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_log_under_the_name_of_the_one_that_was_read_leads_on_from_nowhere() {
    for is_empty in [true, false] {
        let mut rig = Rig { log: Arc::new(DurableLog::new()), ..Rig::new() };
        let running = rig.start().await;
        running.equals_the_server(&[&users(), &orders()]).await;
        (0..5).for_each(|n| rig.server.insert(&users(), &[50 + n, 1]));
        running.equals_the_server(&[&users(), &orders()]).await;
        running.ingest.stop().await;
        drop(running);
        // The topic is deleted, and somebody else goes on in a new one, past the place that was read.
        rig.log = Arc::new(DurableLog::new());
        if !is_empty {
            elsewhere(&rig, 60..80).await;
        }
        rig.server.insert(&orders(), &[90, 1]);
        let running = rig.start().await;
        running.equals_the_server(&[&users(), &orders()]).await;
        assert_eq!(running.loads(&users()), 1, "{is_empty}");
        rig.server.insert(&users(), &[99, 1]);
        running.equals_the_server(&[&users(), &orders()]).await;
        assert_eq!(running.loads(&users()), 1, "the new one leads on: {is_empty}");
        running.ingest.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn caches_of_a_direct_log_load_anew_where_a_log_that_stays_is_further_on() {
    let mut rig = Rig::new();
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    running.ingest.stop().await;
    drop(running);
    let log = Arc::new(DurableLog::new());
    rig.log = Arc::clone(&log) as _;
    elsewhere(&rig, 60..63).await;
    // What led there is no longer in it: a heartbeat alone says that all was handed over.
    let mut publisher = log.publisher(Source::id(&*rig.server)).await.unwrap();
    publisher.heartbeat(testing::numbered(rig.server.sequence()), SystemTime::now()).await.unwrap();
    log.forget();
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    assert_eq!(running.loads(&users()), 1);
    running.ingest.stop().await;
}

/// Another process with the same log inserts `users`, publishes them, and ends.
async fn elsewhere(rig: &Rig, users_of: std::ops::Range<i64>) {
    let other = rig.start_on(&rig.dir.path().join("other")).await;
    users_of.for_each(|id| rig.server.insert(&users(), &[id, 1]));
    other.equals_the_server(&[&users(), &orders()]).await;
    other.ingest.stop().await;
}
