//! The words that the connectors, the cache and the query engine share.
//!
//! Nothing here speaks to a server, and nothing knows the query engine: this crate has the identities
//! ([`SourceId`], [`ServiceName`], [`TableId`]), the positions ([`Gtid`], [`Position`]), the type mapping from
//! MariaDB to Arrow ([`ColumnType`], [`ColumnBuilder`]), what flows on the write path ([`Transaction`],
//! [`Change`]) and on the read path ([`RemoteQuery`]), and the traits that a connector implements
//! ([`Source`], [`SourceView`], [`Capture`], [`ChangeLog`]).
//!
//! There is **one** mapping from MariaDB values to Arrow arrays, [`ColumnBuilder`]: live scans, first
//! snapshots, the binlog and foreign events all go through it, which is why they cannot disagree.

mod builder;
mod collation;
mod error;
mod expr;
mod function;
mod ids;
mod log;
mod memory;
mod position;
mod protection;
mod query;
mod rows;
mod secret;
mod source;
mod table;
mod transaction;
mod types;
mod value;

pub use builder::{BuildError, ColumnBuilder};
pub use collation::{
    Collation, CollationFamily, CollationWeights, Contraction, LevelWeights, LikeRule, MAX_CONTRACTION,
    PadAttribute, Page, UnitWidth,
};
pub use error::{ConnectorError, ErrorKind, Result};
pub use expr::{ArithmeticOp, CompareOp, RemoteExpr};
pub use function::{RemoteFunction, TimePart, TimeUnit};
pub use ids::{ServiceName, SourceId, TableId};
pub use log::{
    ChangeLog, KnownTransaction, LogEnd, LogEntry, LogId, LogOffset, LogPlace, LogStart, LogStream, Publisher,
};
pub use memory::{Lender, RowBudget};
pub use position::{Gtid, Position, PositionParseError};
pub use protection::{Circuit, Protection, Refusal, ReplicaState};
pub use query::{
    AVERAGE_PLACES, AggregateFunction, JoinKind, Relation, RemoteAggregate, RemoteColumn, RemoteOutput,
    RemoteQuery, RemoteSort,
};
pub use rows::{RowsBuilder, row_values, value_at};
pub use secret::Secret;
pub use source::{
    BatchStream, BinlogEnd, BooleanColumns, Capture, CaptureEvent, CaptureStream, CaptureTables, Consistency,
    Estimate, Examined, Expectation, Finding, FindingLevel, Rendered, Resets, ScanWork, ServerRead,
    ServiceTables, Source, SourceView, TableProblem, TableWanted, Turn,
};
pub use table::{Column, ForeignKey, LiveOnlyReason, ReferentialAction, TableDef, TableKind};
pub use transaction::{Change, ChangeOp, Fingerprint, Ordinal, SchemaChange, TableFault, Transaction};
pub use types::{COLUMN_TYPE_METADATA, ColumnType, DECIMAL_DIGITS, DECIMAL_PLACES, column_type_of};
pub use value::{MICROS_OF_A_DAY, Row, Value, ValueRef, encode_key};
