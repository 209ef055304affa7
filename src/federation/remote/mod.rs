//! Push-down: what of a plan its sources compute.
//!
//! [`push_down`] runs after all of DataFusion's own rules. From the leaves up it takes each operator over tables of one
//! source into a [`RemoteQuery`](crossweave_contract::RemoteQuery), as long as the whitelist allows all that the operator
//! computes; what it does not allow is computed here, over what the source answers. So each source is asked for the
//! largest part of the plan that gives the same there and here.
//!
//! - `whitelist`: what may be computed there, of values of which types
//! - `literals`, `widening`, `texts`, `expressions`, `computed`, `functions`, `steps`: conditions and values, from DataFusion's to the
//!   contract's
//! - `fragment`: the part of a plan that is taken so far; `relations`, `joins`, `unions`, `aggregates`: taking one more
//!   operator
//! - `region`: joins that may be done in any order; `regions`: taking them in the order in which one source does most
//! - `rule`: the walk over the plan; `switches`: what of all this is turned off
//! - `node`, `scan`: what stands in the plan for a part that was taken, and reads it
//! - `estimates`: what sources expect of what they are asked; `order`: the order of joins by that; `pages`: the first rows of joins; `bind`: joins that ask for the rows with partners alone

mod aggregates;
mod bind;
mod computed;
mod estimates;
mod expressions;
mod fragment;
mod functions;
mod joins;
mod literals;
mod node;
mod order;
mod pages;
mod recursion;
mod region;
mod regions;
mod relations;
mod rule;
mod scan;
mod shown;
mod steps;
mod switches;
#[cfg(test)]
mod tests;
mod texts;
mod unions;
mod whitelist;
mod widening;

pub use bind::BindJoins;
pub use estimates::{estimated, told};
pub use node::RemotePlanner;
pub use order::{Ordered, ordered};
pub use pages::{PagePlans, has_unread_pages};
pub use recursion::KeepRounds;
pub use rule::{KeptHere, push_down};
pub use switches::{PushDown, PushDownKind};
pub use whitelist::{Family, Operation, whitelist};
pub(super) use widening::digits;
