//! The records of a source's topic of transactions.
//!
//! A record's value is one byte, the [`VERSION`], then the [`LogId`], a [`Header`] and, for a transaction, a part of
//! its body, all in postcard's encoding. A transaction's body is cut into numbered parts of at most [`PART_BYTES`], so
//! that no transaction is too large for a topic with Kafka's default `max.message.bytes`; most have one part.
//! All parts are in one Kafka transaction, so a reader of committed records finds them together and in order.
//!
//! The header repeats what the end of the log is found by, without a look at the body.
//!
//! Postcard writes fields by order and not by name: any change of [`Transaction`] or of what it holds changes
//! the bytes. A test holds the bytes of a sample; whoever changes them raises [`VERSION`].

use std::collections::HashMap;
use std::sync::Arc;

use crossweave_contract::{
    ConnectorError, ErrorKind, Gtid, KnownTransaction, LogId, Position, Result, SourceId, TableDef, TableId,
    Transaction,
};
use serde::{Deserialize, Serialize};

/// The first byte of each record.
pub(crate) const VERSION: u8 = 4;

/// The largest part of a transaction's body in one record.
pub(crate) const PART_BYTES: usize = 768 << 10;

/// What stands before a body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Header {
    /// A part of a transaction.
    Part(PartHeader),
    /// The source had nothing beyond `position` at `at` (ms since the epoch, the publisher's clock). `last` is the last
    /// transaction that is known.
    Heartbeat { position: Position, at: i64, last: Option<KnownTransaction> },
    /// The log goes on after `position`, to which what is before does not lead.
    StartsOver { position: Position, last: Option<KnownTransaction> },
}

/// Which part of which transaction.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PartHeader {
    pub(crate) of: KnownTransaction,
    /// Counted from 0.
    pub(crate) part: u32,
    pub(crate) parts: u32,
    /// The whole body's length.
    pub(crate) bytes: u64,
}

impl PartHeader {
    fn is_last(&self) -> bool {
        self.part + 1 == self.parts
    }
}

impl Header {
    /// The position after this record; `None` in the middle of a transaction.
    pub(crate) fn position(&self) -> Option<Position> {
        match self {
            Self::Heartbeat { position, .. } | Self::StartsOver { position, .. } => Some(position.clone()),
            Self::Part(part) if part.is_last() => {
                let mut position = part.of.previous.clone();
                position.advance(part.of.gtid);
                Some(position)
            }
            Self::Part(_) => None,
        }
    }

    /// The last transaction that is known at this record.
    pub(crate) fn last(&self) -> Option<&KnownTransaction> {
        match self {
            Self::Heartbeat { last, .. } | Self::StartsOver { last, .. } => last.as_ref(),
            Self::Part(part) => Some(&part.of),
        }
    }
}

/// The records of `transaction` in `log`. Fails with [`ErrorKind::Limit`] if its body is larger than `max_bytes`.
pub(crate) fn encode_transaction(
    log: LogId,
    transaction: &Transaction,
    max_bytes: usize,
) -> Result<Vec<Vec<u8>>> {
    let body = postcard::to_stdvec(transaction).map_err(|error| not_encoded(&error))?;
    if body.len() > max_bytes {
        let message = format!(
            "Transaction {} of source {} has {} bytes in {} changes; the change log takes at most {max_bytes}",
            transaction.gtid,
            transaction.source,
            body.len(),
            transaction.changes.len()
        );
        return Err(ConnectorError::new(ErrorKind::Limit, message)
            .with_fix("Raise max_transaction in [change_log]; every reader holds that much for a moment"));
    }
    let chunks = body.chunks(PART_BYTES);
    let parts = chunks.len() as u32;
    let part = |(part, chunk): (usize, &[u8])| {
        let header = Header::Part(PartHeader {
            of: transaction.into(),
            part: part as u32,
            parts,
            bytes: body.len() as u64,
        });
        encode(log, &header, chunk)
    };
    chunks.enumerate().map(part).collect()
}

/// The record of a heartbeat.
pub(crate) fn encode_heartbeat(
    log: LogId,
    position: &Position,
    at: i64,
    last: Option<&KnownTransaction>,
) -> Result<Vec<u8>> {
    encode(log, &Header::Heartbeat { position: position.clone(), at, last: last.cloned() }, &[])
}

/// The record that says that the log goes on after `position`.
pub(crate) fn encode_start(
    log: LogId,
    position: &Position,
    last: Option<&KnownTransaction>,
) -> Result<Vec<u8>> {
    encode(log, &Header::StartsOver { position: position.clone(), last: last.cloned() }, &[])
}

fn encode(log: LogId, header: &Header, body: &[u8]) -> Result<Vec<u8>> {
    let mut record = Vec::with_capacity(body.len() + 64);
    record.push(VERSION);
    let mut record = postcard::to_extend(&(log, header), record).map_err(|error| not_encoded(&error))?;
    record.extend_from_slice(body);
    Ok(record)
}

fn not_encoded(error: &postcard::Error) -> ConnectorError {
    ConnectorError::new(ErrorKind::Bug, format!("A transaction has no binary form: {error}"))
}

/// A record, read.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) log: LogId,
    pub(crate) header: Header,
    /// What follows the header.
    pub(crate) body: &'a [u8],
}

/// Reads a record. Errors say what is wrong with it.
pub(crate) fn decode(record: &[u8]) -> Result<Record<'_>, String> {
    match record.split_first() {
        None => Err("it is empty".to_owned()),
        Some((&VERSION, rest)) => {
            let ((log, header), body) =
                postcard::take_from_bytes(rest).map_err(|error| format!("its header is broken: {error}"))?;
            Ok(Record { log, header, body })
        }
        Some((version, _)) => Err(format!("its format is {version} where this version knows {VERSION}")),
    }
}

/// Puts a source's transactions together again out of their records.
#[derive(Debug)]
pub(crate) struct Assembler {
    source: SourceId,
    max_bytes: usize,
    /// Parts without their beginning are passed over: the log's retention may have cut into a transaction.
    may_begin_inside: bool,
    partial: Option<Partial>,
    /// The last definition of each table: transactions share it as long as it stays the same.
    definitions: HashMap<TableId, Arc<TableDef>>,
}

#[derive(Debug)]
struct Partial {
    gtid: Gtid,
    next: u32,
    body: Vec<u8>,
}

/// Why a record cannot be taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is not what it should be.
    Broken(String),
    /// It belongs to a transaction that is too large.
    TooLarge(u64),
}

impl From<String> for Refused {
    fn from(reason: String) -> Self {
        Self::Broken(reason)
    }
}

impl Assembler {
    /// For the records of `source`'s topic, beginning at its oldest or after a whole transaction.
    pub(crate) fn new(source: SourceId, max_bytes: usize, at_oldest: bool) -> Self {
        Self { source, max_bytes, may_begin_inside: at_oldest, partial: None, definitions: HashMap::new() }
    }

    /// Takes the next part; gives the transaction that it completes.
    pub(crate) fn push(&mut self, header: &PartHeader, body: &[u8]) -> Result<Option<Transaction>, Refused> {
        if header.bytes > self.max_bytes as u64 {
            return Err(Refused::TooLarge(header.bytes));
        }
        if header.part >= header.parts {
            return Err(Refused::Broken(format!("it is part {} of {}", header.part, header.parts)));
        }
        if header.part > 0 && self.partial.is_none() && self.may_begin_inside {
            tracing::info!(source = %self.source, gtid = %header.of.gtid, "the log begins inside a transaction, passed over");
            return Ok(None);
        }
        self.may_begin_inside = false;
        if header.part == 0 && header.parts == 1 && self.partial.is_none() {
            return self.finish(header, body).map(Some);
        }
        let partial = match self.partial.take() {
            None if header.part == 0 => Partial { gtid: header.of.gtid, next: 0, body: Vec::new() },
            Some(partial) if partial.gtid == header.of.gtid && partial.next == header.part => partial,
            found => return Err(Refused::Broken(out_of_order(header, found.as_ref()))),
        };
        self.extend(partial, header, body)
    }

    fn extend(
        &mut self,
        mut partial: Partial,
        header: &PartHeader,
        body: &[u8],
    ) -> Result<Option<Transaction>, Refused> {
        partial.body.extend_from_slice(body);
        partial.next += 1;
        if partial.body.len() as u64 > header.bytes {
            return Err(Refused::Broken(format!("transaction {} is longer than it says", header.of.gtid)));
        }
        if header.is_last() {
            return self.finish(header, &partial.body).map(Some);
        }
        self.partial = Some(partial);
        Ok(None)
    }

    fn finish(&mut self, header: &PartHeader, body: &[u8]) -> Result<Transaction, Refused> {
        let (mut transaction, rest) = postcard::take_from_bytes::<Transaction>(body)
            .map_err(|error| format!("transaction {} is broken: {error}", header.of.gtid))?;
        let said = (body.len() as u64, &header.of, &self.source);
        let found = (header.bytes, &KnownTransaction::from(&transaction), &transaction.source);
        if said != found || !rest.is_empty() {
            return Err(Refused::Broken(format!("transaction {} is not what its header says", header.of.gtid)));
        }
        check_rows(&transaction)?;
        for table in &mut transaction.tables {
            match self.definitions.get(&table.id) {
                Some(known) if known == table => *table = Arc::clone(known),
                _ => {
                    self.definitions.insert(table.id.clone(), Arc::clone(table));
                }
            }
        }
        Ok(transaction)
    }
}

fn out_of_order(header: &PartHeader, partial: Option<&Partial>) -> String {
    let found = format!("found part {} of {} of transaction {}", header.part + 1, header.parts, header.of.gtid);
    match partial {
        Some(partial) => format!("expected part {} of transaction {}, {found}", partial.next + 1, partial.gtid),
        None => format!("expected the beginning of a transaction, {found}"),
    }
}

/// What whoever applies a transaction relies on: each change names a table, each row has that table's columns.
fn check_rows(transaction: &Transaction) -> Result<(), String> {
    for (ordinal, change) in transaction.changes.iter().enumerate() {
        let Some(table) = transaction.tables.get(change.table as usize) else {
            return Err(format!("change {ordinal} of transaction {} names no table", transaction.gtid));
        };
        let rows = [change.op.before(), change.op.after()];
        if let Some(row) = rows.into_iter().flatten().find(|row| row.len() != table.columns.len()) {
            return Err(format!(
                "change {ordinal} of transaction {} has {} values where {} has {} columns",
                transaction.gtid,
                row.len(),
                table.id,
                table.columns.len()
            ));
        }
    }
    Ok(())
}
