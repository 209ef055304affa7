//! Ending a statement that nobody waits for any more.
//!
//! Why can a cancel never wait for the pool it is to free? It has a connection of its own, which is opened when
//! first needed and does not count against `max_connections`.

use crossweave_contract::Result;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::sync::Mutex;

use super::{Endpoint, connect, describe, server_code};
use crate::SourceOptions;

/// What to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kill {
    /// The statement that the connection runs; its transaction goes on.
    Query,
    /// The connection with all that it has open.
    Connection,
}

/// The server's `no such thread`: it has ended by itself.
const NO_SUCH_THREAD: u16 = 1094;

/// Sends KILL to one server, one after the other.
pub(crate) struct Killer {
    options: SourceOptions,
    conn: Mutex<Option<Conn>>,
}

impl Killer {
    pub(super) fn new(options: SourceOptions) -> Self {
        Self { options, conn: Mutex::new(None) }
    }

    /// Ends what connection `id` does. When this returns, the server has marked it, and the marked one notices
    /// within its next rows.
    pub(crate) async fn kill(&self, what: Kill, id: u32) -> Result<()> {
        let mut kept = self.conn.lock().await;
        let statement = match what {
            Kill::Query => format!("KILL QUERY {id}"),
            Kill::Connection => format!("KILL CONNECTION {id}"),
        };
        // The server may have closed an idle connection meanwhile; a new one tells for certain.
        let fresh = kept.is_none();
        let mut conn = match kept.take() {
            Some(conn) => conn,
            None => connect(&self.options).await?,
        };
        let mut outcome = conn.query_drop(&statement).await;
        if !fresh && outcome.as_ref().is_err_and(mysql_async::Error::is_fatal) {
            conn = connect(&self.options).await?;
            outcome = conn.query_drop(&statement).await;
        }
        match outcome {
            Err(error) if server_code(&error) != Some(NO_SUCH_THREAD) => {
                Err(describe(&Endpoint::of(&self.options), "ending a statement", error))
            }
            _ => {
                *kept = Some(conn);
                Ok(())
            }
        }
    }
}
