//! What a real server is found to expect.

use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{
    CompareOp, Expectation, JoinKind, Relation, RemoteExpr, RemoteOutput, RemoteQuery, Source, TableDef, Value,
};

use super::expecting::counted;
use crate::MariaDbSource;
use crate::testing::{definition, server};

async fn expected(query: &RemoteQuery) -> Expectation {
    let view =
        MariaDbSource::new(server().root()).open_view(Duration::from_secs(30), (1 << 20).into()).await.unwrap();
    view.expectation(query).await.unwrap().unwrap()
}

/// 60,000 rows with the key `key`: `a` has 100 values and an index, `b` 60,000 and none, `c` 300 and none.
async fn table(key: &str) -> Arc<TableDef> {
    let create = format!("CREATE TABLE t (id INT, n VARCHAR(12), a INT, b INT, c INT, {key} KEY (a))");
    let fill = "INSERT INTO t SELECT seq, CONCAT('k', LPAD(seq, 8, '0')), CRC32(seq) % 100, seq, CRC32(seq) % 300 FROM seq_1_to_60000";
    definition(&server().database(&[&create, fill, "ANALYZE TABLE t"]).await, "t").await
}

fn compare(table: &Arc<TableDef>, column: usize, op: CompareOp, value: i64) -> RemoteExpr {
    let literal = RemoteExpr::Literal(Value::Int(value), table.columns[column].column_type.clone());
    RemoteExpr::Compare { op, left: Box::new(RemoteExpr::Column(column)), right: Box::new(literal) }
}

#[tokio::test]
async fn what_a_condition_without_an_index_leaves_is_found_on_some_rows() {
    // By whatever key the rows are looked at, or none.
    for key in ["PRIMARY KEY (id),", "PRIMARY KEY (n),", "PRIMARY KEY (id, a),", ""] {
        let table = table(key).await;
        let of = |condition| RemoteQuery::whole(Arc::clone(&table)).filtered(condition);
        let all = expected(&RemoteQuery::whole(Arc::clone(&table))).await;
        assert!((50_000..70_000).contains(&all.rows), "{key}: {all:?}");
        let one_in_300 = expected(&of(compare(&table, 4, CompareOp::Eq, 7))).await;
        assert!((60..900).contains(&one_in_300.rows), "{key}: {one_in_300:?}");
        if !key.is_empty() {
            // The first rows alone would say that all pass.
            let sixth = expected(&of(compare(&table, 3, CompareOp::Lt, 10_001))).await;
            assert!((5_000..25_000).contains(&sixth.rows), "{key}: {sixth:?}");
        }
        let indexed = expected(&of(compare(&table, 2, CompareOp::Eq, 7))).await;
        assert!((300..1_200).contains(&indexed.rows), "{key}: {indexed:?}");
        let both =
            RemoteExpr::And(vec![compare(&table, 2, CompareOp::Lt, 50), compare(&table, 4, CompareOp::Lt, 30)]);
        let both = expected(&of(both)).await;
        assert!((3_000..12_000).contains(&both.rows), "{key}: {both:?}");
    }
}

#[tokio::test]
async fn values_are_counted_by_indexes() {
    let table = table("PRIMARY KEY (id),").await;
    let found = expected(&RemoteQuery::whole(Arc::clone(&table))).await;
    // InnoDB looks at some pages of an index.
    let near =
        |found: Option<u64>, values: u64| found.is_some_and(|found| (values / 3..=values * 3).contains(&found));
    assert!(near(found.distinct[0], 60_000) && near(found.distinct[2], 100), "{found:?}");
    assert_eq!((found.distinct[1], found.distinct[3]), (None, None));
}

#[tokio::test]
async fn groups_and_limits_bound_the_rows() {
    let table = table("PRIMARY KEY (id),").await;
    let all = RemoteQuery::whole(Arc::clone(&table));
    let grouped = |groups: &[usize]| {
        let group = |&place: &usize| RemoteOutput {
            expr: RemoteExpr::Column(place),
            column: all.columns[place].clone(),
        };
        RemoteQuery::new(counted(all.relation.clone(), groups.iter().map(group).collect()))
    };
    assert_eq!(expected(&grouped(&[])).await.rows, 1);
    let by_a = expected(&grouped(&[2])).await.rows;
    assert!((33..=300).contains(&by_a), "{by_a}");
    assert_eq!(expected(&all.clone().limited(12)).await.rows, 12);
}

#[tokio::test]
async fn a_join_has_the_rows_that_its_filters_leave() {
    let table = table("PRIMARY KEY (id),").await;
    let one = RemoteQuery::whole(Arc::clone(&table)).filtered(compare(&table, 4, CompareOp::Eq, 7)).relation;
    let width = table.columns.len();
    let on = RemoteExpr::Compare {
        op: CompareOp::Eq,
        left: Box::new(RemoteExpr::Column(3)),
        right: Box::new(RemoteExpr::Column(width)),
    };
    let right = Box::new(RemoteQuery::whole(Arc::clone(&table)).relation);
    let join = RemoteQuery::new(Relation::Join { left: Box::new(one), right, kind: JoinKind::Inner, on });
    let found = expected(&join).await;
    assert!((60..900).contains(&found.rows), "{found:?}");
}

#[tokio::test]
async fn what_a_condition_leaves_of_a_small_table_counts_for_its_partners() {
    let small = "CREATE TABLE few (id INT PRIMARY KEY, n VARCHAR(12))";
    let fill_small = "INSERT INTO few SELECT seq, CONCAT('k', seq) FROM seq_0_to_99";
    let large = "CREATE TABLE t (id INT PRIMARY KEY, a INT, KEY (a))";
    let fill = "INSERT INTO t SELECT seq, CRC32(seq) % 100 FROM seq_1_to_60000";
    let analyze = "ANALYZE TABLE few, t";
    let database = server().database(&[small, fill_small, large, fill, analyze]).await;
    let (few, many) = (definition(&database, "few").await, definition(&database, "t").await);
    let one = RemoteExpr::Compare {
        op: CompareOp::Eq,
        left: Box::new(RemoteExpr::Column(1)),
        right: Box::new(RemoteExpr::Literal(Value::Text("k7".into()), few.columns[1].column_type.clone())),
    };
    let on = RemoteExpr::Compare {
        op: CompareOp::Eq,
        left: Box::new(RemoteExpr::Column(0)),
        right: Box::new(RemoteExpr::Column(few.columns.len() + 1)),
    };
    let left = Box::new(RemoteQuery::whole(few).filtered(one).relation);
    let right = Box::new(RemoteQuery::whole(many).relation);
    let join = RemoteQuery::new(Relation::Join { left, right, kind: JoinKind::Inner, on });
    let found = expected(&join).await;
    assert!((200..1_800).contains(&found.rows), "{found:?}");
}

#[tokio::test]
async fn where_few_rows_pass_more_are_looked_at() {
    let table = table("PRIMARY KEY (id),").await;
    // One in 750: among as many as are looked at first, one or none.
    let few =
        RemoteExpr::And(vec![compare(&table, 4, CompareOp::Eq, 7), compare(&table, 3, CompareOp::Lt, 24_001)]);
    let found = expected(&RemoteQuery::whole(Arc::clone(&table)).filtered(few)).await;
    assert!((25..250).contains(&found.rows), "{found:?}");
}
