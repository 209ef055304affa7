//! Bytes ↔ plans. Frontends share how values, routes and reads are written (`cells`, `routes`); they never call
//! each other.

pub mod cells;
pub mod graphql;
pub mod http;
pub mod postgres;
pub mod routes;
