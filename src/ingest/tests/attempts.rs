//! What fails again and again is tried ever more rarely, and said to fail throughout.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_commits_nothing_is_tried_ever_more_rarely_and_said_to_fail_throughout() {
    let log = Arc::new(DurableLog::new());
    let rig = Rig { log: Arc::clone(&log) as _, ..Rig::new() };
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    log.denies.store(true, Ordering::SeqCst);
    rig.server.insert(&users(), &[99, 1]);
    let failing = |running: &Running| running.ingest.status(&shop()).unwrap().failing;
    running.until("the log to fail", |running| failing(running).is_some()).await;
    let (before, began) = (log.publishers.load(Ordering::SeqCst), Instant::now());
    let mut id = 100;
    while began.elapsed() < Duration::from_secs(4) {
        rig.server.insert(&users(), &[id, 1]);
        id += 1;
        assert!(failing(&running).unwrap().contains("may not be written"));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // After 0.2, 0.4, 0.8 and 1.6 s, and what came before.
    let attempts = log.publishers.load(Ordering::SeqCst) - before;
    assert!((2..=6).contains(&attempts), "{attempts}");
    log.denies.store(false, Ordering::SeqCst);
    running.equals_the_server(&[&users(), &orders()]).await;
    running.until("nothing to fail", |running| failing(running).is_none()).await;
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_log_has_not_committed_is_published_again() {
    let log = Arc::new(DurableLog::new());
    log.denies.store(true, Ordering::SeqCst);
    let rig = Rig { log: Arc::clone(&log) as _, ..Rig::new() };
    let running = rig.start().await;
    running.until("the first load", |running| running.state(&users()) == TableState::Ready).await;
    (100..110).for_each(|id| rig.server.insert(&users(), &[id, 1]));
    let failing = |running: &Running| running.ingest.status(&shop()).unwrap().failing;
    running.until("the log to fail", |running| failing(running).is_some()).await;
    log.denies.store(false, Ordering::SeqCst);
    running.equals_the_server(&[&users(), &orders()]).await;
    assert_eq!(running.loads(&users()), 1);
    running.ingest.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_each_transaction_makes_out_of_date_is_not_read_without_end() {
    let rig = Rig::new();
    let running = rig.start().await;
    running.equals_the_server(&[&users(), &orders()]).await;
    let began = Instant::now();
    let mut id = 100;
    // Until the others no longer wait for it.
    while !matches!(running.state(&users()), TableState::Stopped(_)) {
        rig.server.truncate(&users());
        rig.server.insert(&orders(), &[id, 1]);
        id += 1;
        assert!(began.elapsed() < Duration::from_secs(20), "{:#?}", running.ingest.statuses());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let loads = running.loads(&users());
    assert!((4..=8).contains(&loads), "{loads} in {:?}", began.elapsed());
    let TableState::Stopped(reason) = running.state(&users()) else { panic!("it is loaded already") };
    assert!(reason.contains("left alone"), "{reason}");
    running.equals_the_server(&[&orders()]).await;
    assert_eq!(running.loads(&orders()), 1);
    running.equals_the_server(&[&users(), &orders()]).await;
    assert!(began.elapsed() > Duration::from_secs(5));
    running.ingest.stop().await;
}
