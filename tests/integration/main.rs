//! All integration tests, in one binary: real MariaDB servers, a real Kafka, and the `crossweave` executable
//! as a process of its own. A missing server is a failure; `make test` gets what is missing.
//!
//! One concern a file. `support` says how to get at servers, databases and a running Crossweave.

mod bind_join;
mod cli;
mod clients;
mod collation;
mod commands;
mod config;
mod crashes;
mod demo_command;
mod demo_parts;
mod demo_writer;
mod faults;
mod graphql;
mod hostile;
mod http;
mod ingest;
mod ingest_resets;
mod large_tables;
mod parity;
mod parity_numbers;
mod postgres;
mod postgres_parameters;
mod protection;
mod pushdown;
mod replicas;
mod support;
mod tidy;
mod versions;
mod whitelist;
