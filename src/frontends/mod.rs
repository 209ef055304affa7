//! Bytes ↔ plans. Frontends share how values, routes and reads are written (`cells`, `routes`), and how connections
//! are bounded (`places`, `taken`); they never call each other.

pub mod cells;
pub mod graphql;
pub mod http;
mod places;
pub mod postgres;
pub mod routes;
mod taken;

pub(crate) use places::Places;
pub(crate) use taken::Taken;
