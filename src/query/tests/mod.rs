//! What the query API promises, asked of the small shop.

mod answers;
mod bounds;
mod constants;
mod join_order;
mod joins;
mod many_tables;
mod membership;
mod merged_columns;
mod names;
mod nesting;
mod only_values;
mod parameters;
mod regexes;
mod routes;
mod statements;
mod transactions;
