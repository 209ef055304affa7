//! The protocol between a MariaDB server and its clients, as far as reading needs it.
//!
//! Why not by the driver? It makes of each row a vector of values, and of each text another one: for a table that is
//! read whole that is more work than all the rest. Here a row is borrowed from the buffer that it was received in
//! ([`BinaryRow`]). What needs no speed (the login's messages, the definitions of columns, the rows of short
//! statements) is read by the crate that the driver itself reads it with.
//!
//! Why is nothing that was left unread taken for the answer to the next statement? A connection knows which answers
//! are to come, and where within one it stands ([`answers`]). Whoever asks next reads what is left first, also where
//! the one before was dropped in the middle. A connection on which a message was sent or received in part only is of
//! no use any more.
//!
//! How often does a statement that was not prepared yet cross the network? Once: preparing it and executing it are sent
//! together. The server counts statements up, so that the number of the next one is known; were it another one, no
//! statement has it, and the statement is executed after all.

mod answers;
mod binlog;
mod cell;
mod conn;
mod execute;
mod login;
mod packets;
mod prepared;
#[cfg(test)]
mod tests;
mod tls;

pub(crate) use binlog::{Binlog, BinlogRequest};
pub(crate) use cell::{BinaryRow, Clock, Date, Span, Take};
pub(crate) use conn::Conn;
pub(crate) use login::{Login, log_in};
