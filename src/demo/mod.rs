//! The demo: three services with a MariaDB each, Crossweave beside them, and questions that join across all.
//!
//! The integration tests use its servers and its data, so what the tests show is what the demo shows.

pub mod client;
pub mod database;
pub mod error;
pub mod federated;
pub mod kafka;
pub mod mariadb;
pub mod parts;
mod print;
pub mod process;
pub mod questions;
pub mod random;
mod run;
pub mod seed;
pub mod server;
pub mod shop;
mod show;
mod stage;
mod words;
pub mod writer;

pub use error::{DemoError, Result};
pub use run::{DemoOptions, LogKind, run};
