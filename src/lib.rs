//! Crossweave: SQL and GraphQL joins across services that own a MariaDB each.
//!
//! `ARCHITECTURE.md` says how the modules hang together and in which order to read them.

pub mod catalog;
pub mod cli;
pub mod config;
pub mod demo;
pub mod federation;
pub mod frontends;
pub mod ingest;
pub mod policy;
pub mod query;
pub mod server;
