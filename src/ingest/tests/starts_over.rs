//! Numbers that go back while capture runs: the log starts over, whatever fails before it says so.

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
async fn a_reset_is_not_forgotten_while_the_new_numbers_come_past_the_old_ones() {
    // Meanwhile capture fails, for a reason that has nothing to do with it.
    check(Arc::new(DirectLog::new()), |server| server.miss_next_end(20)).await;
    check(Arc::new(DurableLog::new()), |server| server.miss_next_end(20)).await;
}
