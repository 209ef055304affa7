//! Binlog → transactions.
//!
//! What makes the stream complete: it starts at an exact position that the server must know, every event type is
//! read or known to carry no data (else the stream ends with an error), and what cannot be decoded of one table
//! is a fault in its transaction, never a row left out.
//!
//! From the server inwards: `connect` asks for the binlog, `stream` reads it in a task of its own, `events` and
//! `table_map` parse the bytes, `assemble` puts transactions together with `statement` for what is logged as
//! text, `tables` knows what is captured, `rows` and `column` decode.

mod assemble;
mod bytes;
mod charset;
mod column;
mod connect;
mod decimal;
mod definitions;
mod events;
mod rows;
mod statement;
mod stream;
mod table_map;
mod tables;
mod temporal;
#[cfg(test)]
mod tests;
mod transaction;

pub(crate) use connect::has_whole_rows;
pub use stream::{CaptureLimits, MariaDbCapture};
