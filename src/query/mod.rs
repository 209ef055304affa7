//! One query's life: parse, resolve names, plan, pin, run.
//!
//! Frontends use a [`Session`]; GraphQL, which makes logical plans itself, uses [`Engine::pin`] and
//! [`Engine::run`]. A query's routes are settled once, when it is pinned: from then on every scan of a service,
//! in every plan of that query, reads the same snapshot or the same live view (I1).

mod error;
mod route;

pub use error::{QueryError, QueryErrorKind};
pub use route::{RouteChoice, RouteSettings, RouteTaken, ServiceRead};
