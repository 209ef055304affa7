//! Bytes ↔ plans. Frontends share how values, routes and reads are written (`cells`, `routes`), and how connections
//! are bounded (`places`); they never call each other.

pub mod cells;
pub mod graphql;
pub mod http;
mod places;
pub mod postgres;
pub mod routes;

pub(crate) use places::Places;
