//! The PostgreSQL wire: what analysts' clients speak.
//!
//! How does a cancel request reach a stream that is already being sent? Each connection has a [`cancel::Slot`];
//! a query puts a fresh token into it, and both the planning and the row stream end with that token. A cancel
//! request finds the slot by process id and secret key. Dropping the row stream then ends the plan and, for live
//! tables, the statement on the source. A client that goes away ends its query likewise: its socket is watched while
//! the slot is taken ([`server`]).

mod answer;
mod cancel;
mod connection;
mod conversation;
mod encode;
mod error;
mod forms;
mod numeric;
mod options;
mod parameters;
mod server;
mod startup;
mod system;
mod wire;

pub use server::serve;
pub use system::PostgresSchemas;
