//! Tests against a real broker, and of the formats that others rely on.

mod broker;
mod faults;
mod feeds;
mod fixtures;
mod log;
mod record;
mod schema;
mod topics;
