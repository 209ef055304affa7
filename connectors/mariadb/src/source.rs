//! [`MariaDbSource`]: one server, or a primary with its replicas, read as it is now.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use crossweave_contract::{
    BinlogEnd, BooleanColumns, Collation, CollationWeights, ConnectorError, Consistency, ErrorKind, Finding,
    Protection, RemoteQuery, Rendered, Resets, Result, RowBudget, ServiceName, ServiceTables, Source, SourceId,
    SourceView, TableId, Turn,
};

use crate::connection::Pool;
use crate::replicas::Servers;
use crate::view::{self, Bounds};
use crate::{SourceOptions, check, introspect, replicas, scan, weights};

/// Every user may read the status.
const BINLOG_END: &str = "SELECT @@GLOBAL.log_bin, @@GLOBAL.gtid_binlog_pos, @@GLOBAL.server_id, \
    (SELECT CAST(variable_value AS UNSIGNED) FROM information_schema.global_status WHERE variable_name = 'COM_RESET')";

/// A MariaDB server with one account, and its replicas. Opens no connection until it is asked something.
pub struct MariaDbSource {
    id: SourceId,
    servers: Servers,
}

impl MariaDbSource {
    /// The server that `options` lead to.
    pub fn new(options: SourceOptions) -> Self {
        Self { id: options.id.clone(), servers: Servers::new(options) }
    }

    /// The connections to the primary.
    fn pool(&self) -> &Pool {
        self.servers.pool()
    }

    async fn open_query(
        &self,
        consistency: Consistency,
        time_limit: Duration,
        budget: RowBudget,
        turn: Option<Turn>,
    ) -> Result<Arc<dyn SourceView>> {
        let bounds = Bounds::of_query(self.pool().guard(), time_limit);
        let begun = self.servers.begin(bounds.limit(), turn).await?;
        Ok(Arc::new(view::open(begun, consistency, bounds, budget)))
    }
}

impl fmt::Debug for MariaDbSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MariaDbSource({} at {})", self.id, self.pool().endpoint())
    }
}

#[async_trait]
impl Source for MariaDbSource {
    fn id(&self) -> &SourceId {
        &self.id
    }

    async fn tables(
        &self,
        service: &ServiceName,
        database: &str,
        booleans: &BooleanColumns,
    ) -> Result<ServiceTables> {
        let found =
            introspect::tables(&mut self.pool().acquire_for_ourselves().await?, service, database, booleans)
                .await?;
        self.servers.defined(&found.tables);
        Ok(found)
    }

    async fn check(&self, database: &str, cached: Option<&[TableId]>) -> Vec<Finding> {
        let mut findings = check::check(self.pool(), database, cached).await;
        findings.extend(replicas::check(&self.servers, database).await);
        findings
    }

    async fn sample_booleans(&self, database: &str) -> Result<Vec<(String, String, i64)>> {
        check::sample_booleans(&mut self.pool().acquire_for_ourselves().await?, database).await
    }

    async fn weights(&self, collation: &Collation) -> Result<CollationWeights> {
        weights::load(&mut self.pool().acquire_for_ourselves().await?, collation).await
    }

    async fn open_view_of(
        &self,
        consistency: Consistency,
        time_limit: Duration,
        budget: RowBudget,
    ) -> Result<Arc<dyn SourceView>> {
        self.open_query(consistency, time_limit, budget, None).await
    }

    async fn open_view_in_turn(
        &self,
        consistency: Consistency,
        time_limit: Duration,
        budget: RowBudget,
        turn: Turn,
    ) -> Result<Arc<dyn SourceView>> {
        self.open_query(consistency, time_limit, budget, Some(turn)).await
    }

    async fn open_load(&self, time_limit: Duration, budget: RowBudget) -> Result<Arc<dyn SourceView>> {
        // What a load begins with goes on by the binlog of the primary.
        let begun = view::begin(&self.servers.primary(), time_limit, None).await?;
        let bounds = Bounds::of_load(time_limit);
        Ok(Arc::new(view::open(begun, Consistency::Snapshot, bounds, budget)))
    }

    fn protection(&self) -> Protection {
        self.servers.protection()
    }

    async fn binlog_end(&self) -> Result<BinlogEnd> {
        // Whether caches are current must not wait for queries.
        let rows: Vec<(bool, String, u32, u64)> =
            self.pool().rows_aside("reading the position", BINLOG_END).await?;
        let endpoint = self.pool().endpoint();
        match rows.into_iter().next() {
            Some((true, gtids, server, count)) => {
                let position = gtids.parse().map_err(|error| {
                    ConnectorError::new(ErrorKind::Protocol, format!("{endpoint}: {error}"))
                })?;
                Ok(BinlogEnd { position, resets: Resets { server, count } })
            }
            _ => Err(ConnectorError::new(
                ErrorKind::Settings,
                format!("{endpoint}: the server has no position, for log_bin is OFF"),
            )
            .with_fix(check::LOG_BIN_FIX)),
        }
    }

    fn render(&self, query: &RemoteQuery) -> Rendered {
        match scan::statement(query) {
            Ok(statement) => Rendered { parameters: statement.parameter_types(), statement: statement.sql },
            Err(error) => Rendered { statement: error.to_string(), parameters: Vec::new() },
        }
    }
}

#[cfg(test)]
mod tests {
    use crossweave_contract::Position;

    use super::*;
    use crate::Limits;
    use crate::testing::{TestServer, server};

    #[tokio::test]
    async fn the_position_is_told_while_queries_have_all_connections() {
        let source = MariaDbSource::new(server().limited(Limits { connections: 1, ..Limits::default() }));
        let _all = source.pool().acquire().await.unwrap();
        // A connection of the pool would be waited for for 10 s.
        let asked = tokio::time::timeout(Duration::from_secs(5), source.position()).await;
        let first = asked.expect("an answer").unwrap();
        server().database(&[]).await;
        assert!(source.position().await.unwrap().covers(&first), "asked again on the same connection");
    }

    #[tokio::test]
    async fn a_reset_is_counted() {
        let server = TestServer::start(&["--log-bin"]);
        let source = MariaDbSource::new(server.root());
        let before = source.binlog_end().await.unwrap().resets;
        server.database(&[]).await;
        let after = source.binlog_end().await.unwrap().resets;
        assert!(!after.may_have_reset_since(&before), "{before:?} {after:?}");
        server.run("mysql", &["RESET MASTER"]).await;
        let after = source.binlog_end().await.unwrap();
        assert!(
            after.resets.may_have_reset_since(&before) && after.position == Position::origin(),
            "{after:?}"
        );
        let elsewhere = Resets { server: before.server + 1, ..before };
        assert!(!after.resets.may_have_reset_since(&elsewhere));
    }
}
