//! Conditions and whole questions find the same rows on a server as an evaluation here.

mod evaluate;
mod nesting;
mod predicates;
mod relations;
mod rendering;
mod types;
