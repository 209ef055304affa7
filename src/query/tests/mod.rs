//! What the query API promises, asked of the small shop.

mod answers;
mod bounds;
mod routes;
mod statements;
