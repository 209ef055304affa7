//! The feeds: changes as Debezium's MariaDB connector would write them, and the markers of transactions.
//!
//! A consumer that was written for Debezium (JSON without `schema`, default settings but
//! `bigint.unsigned.handling.mode=precise`) reads these events unchanged. `schemas/feed-event.schema.json` has
//! their shape, `schemas/samples` examples. What differs: `source.file` and `source.pos` are null, because an
//! event's place is told by `source.gtid` and by `source.row`, the change's number within its transaction from
//! 0; a POINT has no `x` and `y` beside its `wkb`; rows that a cascade deletes or changes are not in MariaDB's
//! binlog and so, as with Debezium, not in the feeds; a transaction without changes has no markers.

mod event;
mod markers;
mod value;

pub(crate) use event::{FeedRecord, for_each_record};
pub(crate) use markers::markers;
