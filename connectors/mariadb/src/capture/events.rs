//! The binlog's events, as far as capture needs them, parsed from their bytes.
//!
//! Why not the client library's own types? It does not know MariaDB's events (160 to 171): compressed row events
//! would vanish without a word. Here every event type is either read, or known to carry no data, or an error.

use std::io::Read as _;

use super::bytes::{Bytes, Truncated, big_endian};

/// Event types, by MariaDB's numbers.
pub(super) mod kind {
    pub(crate) const QUERY: u8 = 2;
    pub(crate) const STOP: u8 = 3;
    pub(crate) const ROTATE: u8 = 4;
    pub(crate) const INTVAR: u8 = 5;
    pub(crate) const APPEND_BLOCK: u8 = 9;
    pub(crate) const DELETE_FILE: u8 = 11;
    pub(crate) const RAND: u8 = 13;
    pub(crate) const USER_VAR: u8 = 14;
    pub(crate) const FORMAT_DESCRIPTION: u8 = 15;
    pub(crate) const XID: u8 = 16;
    pub(crate) const BEGIN_LOAD_QUERY: u8 = 17;
    pub(crate) const EXECUTE_LOAD_QUERY: u8 = 18;
    pub(crate) const TABLE_MAP: u8 = 19;
    pub(crate) const WRITE_ROWS_V1: u8 = 23;
    pub(crate) const UPDATE_ROWS_V1: u8 = 24;
    pub(crate) const DELETE_ROWS_V1: u8 = 25;
    pub(crate) const INCIDENT: u8 = 26;
    pub(crate) const HEARTBEAT: u8 = 27;
    pub(crate) const IGNORABLE: u8 = 28;
    pub(crate) const ROWS_QUERY: u8 = 29;
    pub(crate) const WRITE_ROWS: u8 = 30;
    pub(crate) const UPDATE_ROWS: u8 = 31;
    pub(crate) const DELETE_ROWS: u8 = 32;
    pub(crate) const XA_PREPARE: u8 = 38;
    pub(crate) const ANNOTATE_ROWS: u8 = 160;
    pub(crate) const BINLOG_CHECKPOINT: u8 = 161;
    pub(crate) const GTID: u8 = 162;
    pub(crate) const GTID_LIST: u8 = 163;
    pub(crate) const START_ENCRYPTION: u8 = 164;
    pub(crate) const QUERY_COMPRESSED: u8 = 165;
    pub(crate) const WRITE_ROWS_COMPRESSED_V1: u8 = 166;
    pub(crate) const UPDATE_ROWS_COMPRESSED_V1: u8 = 167;
    pub(crate) const DELETE_ROWS_COMPRESSED_V1: u8 = 168;
    pub(crate) const WRITE_ROWS_COMPRESSED: u8 = 169;
    pub(crate) const UPDATE_ROWS_COMPRESSED: u8 = 170;
    pub(crate) const DELETE_ROWS_COMPRESSED: u8 = 171;
}

/// Header flag of events that a reader which does not know them may leave out.
pub(super) const IGNORABLE_FLAG: u16 = 0x80;

/// An event without its header's lengths and its checksum.
#[derive(Debug, Clone, Copy)]
pub(super) struct RawEvent<'a> {
    /// One of [`kind`], or a type that this version does not know.
    pub(super) kind: u8,
    /// Seconds since the epoch; 0 in events that the server makes up for the stream.
    pub(super) timestamp: u32,
    /// The server that wrote it first.
    pub(super) server: u32,
    /// The header's flags.
    pub(super) flags: u16,
    /// What comes after the header.
    pub(super) body: &'a [u8],
}

/// Why an event's bytes cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Malformed {
    /// It ends too early.
    Truncated,
    /// It breaks the format in another way.
    Invalid(String),
    /// Its inflated size in bytes is over the bound on a transaction.
    TooLarge(usize),
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Truncated => f.write_str("it ends too early"),
            Self::Invalid(reason) => write!(f, "it {reason}"),
            Self::TooLarge(bytes) => write!(f, "it inflates to {bytes} bytes"),
        }
    }
}

impl From<Truncated> for Malformed {
    fn from(_: Truncated) -> Self {
        Self::Truncated
    }
}

/// A global transaction's identity within its resource managers: format, and both parts of its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct XaName(Box<[u8]>);

impl XaName {
    fn new(format: u32, global_length: u8, name: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(5 + name.len());
        bytes.extend_from_slice(&format.to_le_bytes());
        bytes.push(global_length);
        bytes.extend_from_slice(name);
        Self(bytes.into())
    }
}

/// The event that opens each transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GtidEvent {
    /// Number within the domain.
    pub(super) sequence: u64,
    /// The domain.
    pub(super) domain: u32,
    /// The transaction is one statement, with no event that ends it.
    pub(super) standalone: bool,
    /// The transaction is DDL.
    pub(super) ddl: bool,
    /// The transaction prepares this one, which a later one commits or rolls back.
    pub(super) prepares: Option<XaName>,
    /// The transaction ends this one, which an earlier one prepared.
    pub(super) completes: Option<XaName>,
}

impl GtidEvent {
    const STANDALONE: u8 = 0x01;
    const GROUP_COMMIT: u8 = 0x02;
    const DDL: u8 = 0x20;
    const PREPARED_XA: u8 = 0x40;
    const COMPLETED_XA: u8 = 0x80;

    pub(super) fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new(body);
        let (sequence, domain, flags) = (bytes.u64()?, bytes.u32()?, bytes.u8()?);
        if flags & Self::GROUP_COMMIT != 0 {
            bytes.u64()?;
        }
        let mut event = Self {
            sequence,
            domain,
            standalone: flags & Self::STANDALONE != 0,
            ddl: flags & Self::DDL != 0,
            prepares: None,
            completes: None,
        };
        if flags & (Self::PREPARED_XA | Self::COMPLETED_XA) != 0 {
            let (format, global, branch) = (bytes.u32()?, bytes.u8()?, bytes.u8()?);
            let name = bytes.take(usize::from(global) + usize::from(branch))?;
            let name = Some(XaName::new(format, global, name));
            if flags & Self::PREPARED_XA != 0 {
                event.prepares = name;
            } else {
                event.completes = name;
            }
        }
        Ok(event)
    }
}

/// A statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct QueryEvent {
    /// The session's database.
    pub(super) database: Vec<u8>,
    /// The id of the session's default collation (`character_set_client`), where the event has it.
    pub(super) charset: Option<u16>,
    /// The statement in that character set.
    pub(super) text: Vec<u8>,
}

impl QueryEvent {
    /// Reads a QUERY event, a compressed one (which inflates to at most `limit` bytes), or LOAD DATA as a
    /// statement.
    pub(super) fn parse(kind: u8, body: &[u8], limit: usize) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new(body);
        bytes.take(8)?; // thread and seconds of execution
        let database_length = bytes.u8()?;
        bytes.u16()?; // error code
        let status_length = bytes.u16()?;
        if kind == kind::EXECUTE_LOAD_QUERY {
            bytes.take(13)?; // file, place of its name in the text, handling of duplicates
        }
        let charset = client_charset(bytes.take(status_length.into())?);
        let database = bytes.take(database_length.into())?.to_vec();
        bytes.take(1)?;
        let text = match kind {
            kind::QUERY_COMPRESSED => inflate_event(bytes.rest(), limit)?,
            _ => bytes.rest().to_vec(),
        };
        Ok(Self { database, charset, text })
    }
}

/// The client's collation id among a QUERY event's status variables. They are in the order of their numbers up
/// to it; the search ends at the first one of unknown size.
fn client_charset(status: &[u8]) -> Option<u16> {
    let mut bytes = Bytes::new(status);
    let mut next = || -> Result<Option<u16>, Truncated> {
        loop {
            let size = match bytes.u8()? {
                0 => 4,
                1 => 8,
                2 => usize::from(bytes.u8()?) + 1,
                3 => 4,
                4 => return bytes.u16().map(Some),
                5 | 6 => bytes.u8()?.into(),
                7 | 8 => 2,
                9 => 8,
                _ => return Ok(None),
            };
            bytes.take(size)?;
        }
    };
    next().ok().flatten()
}

/// The end of the first phase of an XA transaction.
pub(super) fn prepares_in_one_phase(body: &[u8]) -> Result<bool, Malformed> {
    Ok(Bytes::new(body).u8()? != 0)
}

/// What a row event does to its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowsKind {
    Insert,
    Update,
    Delete,
}

/// Rows of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowsEvent<'a> {
    /// What happened to them.
    pub(super) kind: RowsKind,
    /// Refers to the TABLE_MAP event of this number.
    pub(super) table: u64,
    /// Whether `foreign_key_checks` was off.
    pub(super) without_foreign_keys: bool,
    /// Number of columns.
    pub(super) width: usize,
    /// Which columns the rows as they were have; empty for inserts.
    pub(super) before: &'a [u8],
    /// Which columns the rows as they are have; empty for deletes.
    pub(super) after: &'a [u8],
    /// The rows, one after the other.
    pub(super) rows: std::borrow::Cow<'a, [u8]>,
}

impl<'a> RowsEvent<'a> {
    const NO_FOREIGN_KEYS: u16 = 0x2;
    /// Stands for "no table": the event only ends a statement.
    pub(super) const NO_TABLE: u64 = 0x00ff_ffff;

    /// What `kind` does to rows, if it is a row event: the operation, whether it is of the second form (with
    /// extra data), and whether its rows are compressed.
    pub(super) fn classify(kind: u8) -> Option<(RowsKind, bool, bool)> {
        use RowsKind::{Delete, Insert, Update};
        Some(match kind {
            kind::WRITE_ROWS_V1 => (Insert, false, false),
            kind::UPDATE_ROWS_V1 => (Update, false, false),
            kind::DELETE_ROWS_V1 => (Delete, false, false),
            kind::WRITE_ROWS => (Insert, true, false),
            kind::UPDATE_ROWS => (Update, true, false),
            kind::DELETE_ROWS => (Delete, true, false),
            kind::WRITE_ROWS_COMPRESSED_V1 => (Insert, false, true),
            kind::UPDATE_ROWS_COMPRESSED_V1 => (Update, false, true),
            kind::DELETE_ROWS_COMPRESSED_V1 => (Delete, false, true),
            kind::WRITE_ROWS_COMPRESSED => (Insert, true, true),
            kind::UPDATE_ROWS_COMPRESSED => (Update, true, true),
            kind::DELETE_ROWS_COMPRESSED => (Delete, true, true),
            _ => return None,
        })
    }

    /// The table that a row event is about, without reading the rest.
    pub(super) fn table_of(body: &[u8]) -> Result<u64, Malformed> {
        Ok(Bytes::new(body).uint(6)?)
    }

    /// Reads a row event of the kind that [`classify`](Self::classify) gave; compressed rows may inflate to
    /// `limit` bytes.
    pub(super) fn parse(
        (kind, second_form, compressed): (RowsKind, bool, bool),
        body: &'a [u8],
        limit: usize,
    ) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new(body);
        let table = bytes.uint(6)?;
        let flags = bytes.u16()?;
        if second_form {
            let extra = bytes.u16()?.checked_sub(2).ok_or(Malformed::Truncated)?;
            bytes.take(extra.into())?;
        }
        let width = bytes.length()?;
        let bitmap = width.div_ceil(8);
        let before = if kind == RowsKind::Insert { &[] } else { bytes.take(bitmap)? };
        let after = if kind == RowsKind::Delete { &[] } else { bytes.take(bitmap)? };
        let rows = if compressed { inflate_event(bytes.rest(), limit)?.into() } else { bytes.rest().into() };
        let without_foreign_keys = flags & Self::NO_FOREIGN_KEYS != 0;
        Ok(Self { kind, table, without_foreign_keys, width, before, after, rows })
    }
}

/// Inflates the body of a compressed event: a byte with the algorithm and the width of the length, the length
/// (big-endian), and the compressed bytes.
fn inflate_event(bytes: &[u8], limit: usize) -> Result<Vec<u8>, Malformed> {
    let mut bytes = Bytes::new(bytes);
    let header = bytes.u8()?;
    let (algorithm, width) = (header >> 4 & 0x7, usize::from(header & 0x7));
    if algorithm != 0 {
        return Err(Malformed::Invalid(format!("compressed by algorithm {algorithm}, expected 0 (zlib)")));
    }
    let length = usize::try_from(big_endian(bytes.take(width)?)).map_err(|_| Malformed::Truncated)?;
    if length > limit {
        return Err(Malformed::TooLarge(length));
    }
    inflate(bytes.rest(), length, true)
        .ok_or_else(|| Malformed::Invalid(format!("does not inflate to the {length} bytes it announces")))
}

/// Inflates `bytes` to exactly `length` bytes; `wrapped` in zlib's header and checksum, or raw.
pub(super) fn inflate(bytes: &[u8], length: usize, wrapped: bool) -> Option<Vec<u8>> {
    // The announced length is not trusted with memory before the bytes are there.
    let mut inflated = Vec::with_capacity(length.min(bytes.len().saturating_mul(8)));
    let bound = u64::try_from(length).ok()?.checked_add(1)?;
    if wrapped {
        flate2::read::ZlibDecoder::new(bytes).take(bound).read_to_end(&mut inflated).ok()?;
    } else {
        flate2::read::DeflateDecoder::new(bytes).take(bound).read_to_end(&mut inflated).ok()?;
    }
    (inflated.len() == length).then_some(inflated)
}
