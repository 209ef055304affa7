//! How large tables are grouped on a real server.

use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{
    AggregateFunction, BooleanColumns, ColumnType, Relation, RemoteAggregate, RemoteColumn, RemoteExpr,
    RemoteOutput, RemoteQuery, Source,
};
use futures::TryStreamExt as _;
use mysql_async::prelude::Queryable;

use crate::MariaDbSource;
use crate::testing::TestServer;

#[tokio::test]
async fn an_index_that_leads_all_over_the_table_does_not_order_its_groups() {
    let server = TestServer::start(&["--general-log=1", "--log-output=TABLE"]);
    let create = "CREATE TABLE t (id INT PRIMARY KEY, a INT NOT NULL, b INT NOT NULL, KEY (a))";
    let fill = "INSERT INTO t SELECT seq, seq * 7919 % 300, seq % 1000 FROM seq_1_to_200000";
    let database = server.database(&[create, fill, "ANALYZE TABLE t"]).await;
    let source = MariaDbSource::new(server.root());
    let found = source.tables(&"s".into(), &database, &BooleanColumns::default()).await.unwrap();
    let all = RemoteQuery::whole(Arc::new(found.tables.into_iter().next().unwrap()));
    let least = |group: usize, of: usize| {
        let aggregate = RemoteAggregate {
            function: AggregateFunction::Min,
            argument: Some(RemoteExpr::Column(of)),
            distinct: false,
            filter: None,
            column: RemoteColumn::computed(ColumnType::Int { unsigned: false }, true),
        };
        let group = RemoteOutput { expr: RemoteExpr::Column(group), column: all.columns[group].clone() };
        let input = Box::new(all.relation.clone());
        RemoteQuery::new(Relation::Aggregate { input, groups: vec![group], aggregates: vec![aggregate] })
    };
    let view = source.open_view(Duration::from_secs(60), (16 << 20).into()).await.unwrap();
    let mut conn = server.connect(None).await;
    for (group, of, leads_all_over, groups) in [(1, 2, true, 300), (1, 0, false, 300), (0, 2, false, 200_000)] {
        let batches: Vec<_> = view.scan(least(group, of)).try_collect().await.unwrap();
        assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), groups);
        let sql = "SELECT argument LIKE '%USE INDEX FOR GROUP BY ()%' FROM mysql.general_log WHERE \
                   command_type = 'Execute' AND argument LIKE 'SELECT%GROUP BY%' ORDER BY event_time DESC LIMIT 1";
        let without_order: Option<bool> = conn.query_first(sql).await.unwrap();
        assert_eq!(without_order, Some(leads_all_over), "groups by {group} of {of}");
    }
}
