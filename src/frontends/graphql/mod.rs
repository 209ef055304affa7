//! GraphQL: a schema generated from the catalog in Hasura's conventions, documents compiled to plans.
//!
//! What keeps the number of statements independent of the number of rows? A document is read into a tree
//! (`document`), each node of which becomes one logical plan (`plan`) that fetches its rows for *all* rows above
//! it; the JSON is then put together from the nodes' batches (`response`). async-graphql parses, validates and
//! answers introspection (`schema`); it resolves nothing.

mod arguments;
mod document;
mod execute;
mod filter;
mod http;
mod model;
mod plan;
mod response;
mod schema;
mod service;

pub use http::router;
pub use service::sdl;

#[cfg(test)]
mod tests;
