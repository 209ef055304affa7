//! The connector to Kafka.
