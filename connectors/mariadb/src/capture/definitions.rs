//! What capture decodes by: the tables' definitions, with the character sets that their texts are in.
//!
//! Why does a definition never meet a character set that is not known? Definitions go from their sender to the stream
//! through [`Forwarded`], which asks the server for what is missing before it lets them on.

use std::sync::Arc;

use crossweave_contract::{CaptureTables, Result};
use tokio::sync::watch;

use super::charset::Charsets;
use crate::SourceOptions;

/// Definitions, and what their texts are in.
#[derive(Debug, Clone, Default)]
pub(super) struct Definitions {
    pub(super) tables: Arc<CaptureTables>,
    pub(super) charsets: Charsets,
}

/// The way of definitions to the stream.
pub(super) struct Forwarded {
    options: SourceOptions,
    from: watch::Receiver<Arc<CaptureTables>>,
    to: watch::Sender<Definitions>,
}

impl Forwarded {
    /// Begins with the definitions in force; the other end sees those that [`refresh`](Self::refresh) lets on.
    pub(super) async fn start(
        options: SourceOptions,
        mut from: watch::Receiver<Arc<CaptureTables>>,
    ) -> Result<(Self, watch::Receiver<Definitions>)> {
        let tables = Arc::clone(&from.borrow_and_update());
        let mut charsets = Charsets::default();
        charsets.complete(&options, &tables).await?;
        let (to, receiver) = watch::channel(Definitions { tables, charsets });
        Ok((Self { options, from, to }, receiver))
    }

    /// Lets definitions on that were replaced.
    pub(super) async fn refresh(&mut self) -> Result<()> {
        // An error says that nobody will replace them any more: the last ones stay in force.
        if self.from.has_changed().unwrap_or(false) {
            let tables = Arc::clone(&self.from.borrow_and_update());
            let mut charsets = self.to.borrow().charsets.clone();
            charsets.complete(&self.options, &tables).await?;
            self.to.send_replace(Definitions { tables, charsets });
        }
        Ok(())
    }
}
