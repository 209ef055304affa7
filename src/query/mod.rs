//! One query's life: parse, resolve names, plan, pin, run.
//!
//! Frontends use a [`Session`]; GraphQL, which makes logical plans itself, uses [`Engine::pin`] and
//! [`Engine::run`]. A query's routes are settled once, when it is pinned: from then on every scan of a service,
//! in every plan of that query, reads the same snapshot or the same live view (I1).
//!
//! | module | what it holds |
//! | --- | --- |
//! | `statement` | text → a statement of a kind that is served; what is refused, and bounds on size and depth |
//! | `names` | tables and columns found whatever their case, within the scopes of a statement |
//! | `plan`, `types` | a resolved statement → a logical plan over tables without routes |
//! | `placeholders` | of which types the values for `$1`, `$2`, … are |
//! | `pin` | routes, snapshots and live views, settled once per query |
//! | `run`, `explain` | binding, optimising, running on the engine's own threads |
//! | `outflow`, `memory` | rows between a plan and its client, bounded and counted; what queries are lent |
//! | `session`, `settings` | prepared statements, parameters, transactions |
//! | `engine`, `state`, `system`, `counters` | what all queries share |
//! | `failure`, `wording`, `error` | why a query failed, split by who can act |

mod counters;
mod engine;
mod error;
mod explain;
mod failure;
mod labels;
mod memory;
mod names;
mod opening;
mod outflow;
mod pin;
mod placeholders;
mod plan;
mod projections;
mod requirements;
mod route;
mod run;
mod session;
mod settings;
mod state;
mod statement;
mod stream;
mod system;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod types;
mod wording;

pub use crate::federation::bytes_of_rows;
pub use counters::{Counters, DURATION_BUCKETS};
pub use engine::{Engine, EngineOptions, EngineParts};
pub use error::{Place, QueryError, QueryErrorKind, Reason};
pub use pin::Pinned;
pub use route::{RouteChoice, RouteSettings, RouteTaken, ServiceRead};
pub use session::{Answer, Prepared, Session};
pub use settings::{SERVER_VERSION, default_parameters};
pub use statement::{MAX_STATEMENT, split};
pub use stream::RowStream;
pub use system::{DATABASE, NoSystemSchemas, SystemSchemas};
