//! Conditions find the same rows on a server as a three-valued evaluation here.

mod nesting;
mod predicates;
mod rendering;
mod types;
