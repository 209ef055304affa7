mod predicates;
mod rendering;
mod types;
