//! Memory that rows take while they wait for whoever reads them.

use std::fmt;
use std::sync::Arc;

/// Lends memory, of which others are lent as well.
pub trait Lender: Send + Sync + fmt::Debug {
    /// Lends `bytes`; false if there is not so much left.
    fn try_lend(&self, bytes: usize) -> bool;

    /// Lends `bytes`, whatever is left: of what is there already and cannot be put elsewhere.
    fn lend(&self, bytes: usize);

    /// Takes `bytes` back.
    fn take_back(&self, bytes: usize);
}

/// How many bytes of rows one view may keep for its readers, and who lends them.
#[derive(Debug, Clone)]
pub struct RowBudget {
    bytes: usize,
    lender: Arc<dyn Lender>,
}

impl RowBudget {
    /// At most `bytes`, lent by `lender`.
    pub fn lent_by(lender: Arc<dyn Lender>, bytes: usize) -> Self {
        Self { bytes, lender }
    }

    /// At most `bytes`, which nobody else is lent.
    pub fn own(bytes: usize) -> Self {
        Self { bytes, lender: Arc::new(Own) }
    }

    /// The most that may be kept.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Who lends them.
    pub fn lender(&self) -> &Arc<dyn Lender> {
        &self.lender
    }
}

impl From<usize> for RowBudget {
    /// [`RowBudget::own`].
    fn from(bytes: usize) -> Self {
        Self::own(bytes)
    }
}

/// Lends whatever is asked for.
#[derive(Debug)]
struct Own;

impl Lender for Own {
    fn try_lend(&self, _: usize) -> bool {
        true
    }

    fn lend(&self, _: usize) {}

    fn take_back(&self, _: usize) {}
}
