//! Transactions of which a statement failed, and savepoints.

use crate::query::Reason;
use crate::query::testing::{Shop, show};

#[tokio::test]
async fn a_failed_transaction_answers_nothing_but_its_end() {
    let shop = Shop::new();
    let mut session = shop.session();
    let failed = "Invalid: an earlier statement of this transaction failed: only its end is answered \
                  (ROLLBACK, or ROLLBACK TO a savepoint)";
    let mut check = async |sql: &str, expect: &str| assert_eq!(show(&mut session, sql).await, expect, "{sql}");
    check("BEGIN", "").await;
    check("SET application_name = a", "").await;
    check("SAVEPOINT one", "").await;
    check("SET application_name = b", "").await;
    check("EXECUTE nope", "Name: there is no prepared statement nope").await;
    check("SELECT 1", failed).await;
    check("SELECT * FROM nope", failed).await;
    check("ROLLBACK TO two", "Name: savepoint two is not there").await;
    check("ROLLBACK TO ONE", "").await;
    check("SHOW application_name", "a").await;
    check("EXECUTE nope", "Name: there is no prepared statement nope").await;
    check("COMMIT", "").await;
    check("SHOW application_name", "").await;
    check("BEGIN", "").await;
    check("SAVEPOINT one", "").await;
    check("RELEASE one", "").await;
    check("ROLLBACK TO one", "Name: savepoint one is not there").await;
    check("ABORT", "").await;
    check("SAVEPOINT one", "Invalid: SAVEPOINT needs a transaction (BEGIN one)").await;
}

#[tokio::test]
async fn the_answer_says_whether_a_commit_was_one() {
    let shop = Shop::new();
    let mut session = shop.session();
    for (fails, tag) in [("SELECT 1", "COMMIT"), ("SELECT nope", "ROLLBACK")] {
        session.query("BEGIN", vec![]).await.unwrap();
        let _ = session.query(fails, vec![]).await;
        assert_eq!(session.query("COMMIT", vec![]).await.unwrap().tag, tag);
        assert!(!session.in_transaction());
    }
    // Where only the frontend saw the failure, in the rows.
    session.fail_transaction();
    session.query("BEGIN", vec![]).await.unwrap();
    let prepared = session.prepare("SELECT 1").await.unwrap();
    session.fail_transaction();
    let error = session.execute(&prepared, vec![]).await.unwrap_err();
    assert_eq!(error.reason, Some(Reason::FailedTransaction));
    session.query("ROLLBACK", vec![]).await.unwrap();
    session.execute(&prepared, vec![]).await.unwrap();
}
