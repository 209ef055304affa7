//! DataFusion over caches and sources.
//!
//! A statement is planned against [`UnboundTable`]s: names, columns and types, but no rows. When its routes are
//! settled, [`bind()`] puts in their place the providers of those routes: [`CachedTable`] over a pinned snapshot,
//! [`LiveTable`] over a pinned view. That happens after analysis, so that rules about types and collations have
//! rewritten every comparison, and before optimisation. What is then left of the plan is offered to the sources as a whole:
//! [`push_down()`] cuts out what they compute.

mod bind;
mod cached;
pub mod collation;
mod compact;
mod dependencies;
mod distinct_limit;
mod filtered_totals;
mod group_columns;
mod guard;
mod hands_through;
mod in_order;
mod live;
mod narrowing;
mod offset;
mod planning;
mod remote;
mod shape;
mod sizes;
mod snapshots;
mod stored;
pub mod surface;
mod unbound;
mod values;
mod walk;

pub use bind::bind;
pub use cached::CachedTable;
pub use compact::{compact_for_sorts, pieces};
pub use dependencies::SettledRelations;
pub use distinct_limit::DistinctLimits;
pub use guard::{Stop, guarded};
pub(crate) use hands_through::hands_through;
pub use in_order::InOrder;
pub use live::{LiveSource, LiveTable, StatementCounter};
pub use narrowing::KeepNarrowingCasts;
pub use planning::{asking, check_waited_for, planned_until};
pub use remote::{
    BindJoins, Family, KeepRounds, KeptHere, Operation, Ordered, PagePlans, PushDown, PushDownKind,
    RemotePlanner, estimated, has_unread_pages, ordered, push_down, told, whitelist,
};
pub use sizes::bytes_of_rows;
pub use snapshots::{NoSnapshots, Snapshots};
pub use stored::StoredBuffers;
pub use unbound::UnboundTable;
pub(crate) use values::{entry_places, list_elements, taken_types};
