//! Bytes ↔ plans. Frontends share how values, routes and reads are written; they never call each other.

pub mod cells;
