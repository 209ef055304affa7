//! Conditions find the same rows on a server as a three-valued evaluation here.

mod predicates;
mod rendering;
mod types;
