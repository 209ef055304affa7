//! The bind join: the keys of a join's small side go to the source of the other.
//!
//! A hash join reads its build side first. Where its probe side is a question to a source, and the join gives nothing for
//! probe rows without a partner, the build side's keys are gathered on their way into the hash table ([`gather`]) and the
//! question is asked for the rows that have one of them, in lists of a size that the source has an index for
//! ([`restrict`]). The question may be far below: keys go down through joins and groups to where they come from
//! ([`origin`]). The join itself stays as it is, so what comes too much does no harm.
//!
//! Why can it not wait for ever? A question waits for keys until the build side has ended, has failed or has more keys than
//! are gathered; the join reads that side first in any case, to its end. With too many keys all rows are asked for, and
//! nothing is read twice.
//!
//! What is compared with a subquery's value goes down the same way ([`values`]): that is known before the question is asked.

mod gather;
mod narrow;
mod origin;
mod plan;
mod restrict;
mod values;

pub(super) use gather::{GatherKeys, Gathered, MOST_KEYS};
pub use plan::BindJoins;
pub(super) use restrict::{Bound, KEYS_IN_A_SCAN};
pub(super) use values::Compared;
