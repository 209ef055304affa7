//! GraphQL: a schema generated from the catalog in Hasura's conventions, documents compiled to plans.
//!
//! What keeps the number of statements independent of the number of rows? A document is read into a tree
//! (`document`), each node of which becomes one logical plan (`plan`) that fetches its rows for *all* rows above
//! it; the JSON is then put together from the nodes' batches (`response`). async-graphql parses, validates and
//! answers introspection (`schema`); it resolves nothing.
//!
//! Whatever a client sends is counted before it is worked on: brackets before parsing (`syntax`), fields and
//! fragments before validation (`bounds`), conditions and reads before planning (`document`), rows while they come
//! (`execute`), objects and bytes before and while they are written (`response`).

mod arguments;
mod bounds;
mod describe;
mod document;
mod error;
mod execute;
mod filter;
mod http;
mod literal;
mod model;
mod page;
mod plan;
mod response;
mod schema;
mod service;
mod syntax;
mod variables;

pub use http::router;
pub use page::is_page;
pub use service::sdl;

#[cfg(test)]
mod tests;
