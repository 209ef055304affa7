//! A small shop to ask: three services whose sources live in memory, and caches filled by hand.

mod remote;
mod shop;
mod source;

pub(crate) use remote::{Tables, answer, passes};
pub(crate) use shop::{Shop, TwoSchemas, column, def, int, lines, rows, rows_of, show, table_id};
pub(crate) use source::{FakeSource, Fault};
