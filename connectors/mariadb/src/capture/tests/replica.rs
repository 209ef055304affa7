//! A replica that has been promoted: its binlog has the transactions of the server before it.

use crossweave_contract::KnownTransaction;

use super::*;

#[tokio::test]
async fn a_replica_keeps_what_tells_a_transaction_from_others() {
    let primary = TestServer::start(&["--server-id=71"]);
    let replica = TestServer::start(&["--server-id=72", "--log-slave-updates"]);
    let follow = format!(
        "CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = {}, MASTER_USER = 'root', \
         MASTER_USE_GTID = slave_pos, MASTER_SSL = 0",
        primary.port
    );
    replica.run("mysql", &[&follow, "START SLAVE"]).await;
    let database = primary.database(&["CREATE TABLE a (id INT PRIMARY KEY, a INT)"]).await;
    primary
        .run(
            &database,
            &[
                "BEGIN",
                "INSERT INTO a VALUES (1, 1)",
                // Longer than the binlog's clock takes for one step.
                "DO SLEEP(2.1)",
                "COMMIT",
                "ALTER TABLE a COMMENT 'x'",
                "XA START 'x'",
                "INSERT INTO a VALUES (2, 2)",
                "XA END 'x'",
                "XA PREPARE 'x'",
                "DO SLEEP(1.1)",
                "XA COMMIT 'x'",
                "UPDATE a SET a = a + 1",
            ],
        )
        .await;
    let end = position(&primary).await;
    let known = async |server: &TestServer| {
        let mut captured =
            Captured::start_at(server, &database, &[pair(&database, "a")], Position::origin()).await.unwrap();
        let mut known: Vec<KnownTransaction> = Vec::new();
        while known.last().is_none_or(|last| !end.gtids().all(|gtid| *gtid == last.gtid)) {
            known.push((&*captured.any().await).into());
        }
        known
    };
    for _ in 0..200 {
        if position(&replica).await == end {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(position(&replica).await, end, "the replica follows");
    let (there, here) = (known(&replica).await, known(&primary).await);
    assert!(here.len() >= 6, "{here:?}");
    assert_eq!(there, here);
}
