//! TABLE_MAP events: how a table's rows are laid out in the row events that follow.

use super::bytes::{Bytes, Truncated, bit};
use super::events::Malformed;

/// Column types, by MariaDB's numbers in the binlog.
pub(super) mod wire {
    pub(crate) const TINY: u8 = 1;
    pub(crate) const SHORT: u8 = 2;
    pub(crate) const LONG: u8 = 3;
    pub(crate) const FLOAT: u8 = 4;
    pub(crate) const DOUBLE: u8 = 5;
    pub(crate) const TIMESTAMP: u8 = 7;
    pub(crate) const LONGLONG: u8 = 8;
    pub(crate) const INT24: u8 = 9;
    pub(crate) const DATE: u8 = 10;
    pub(crate) const TIME: u8 = 11;
    pub(crate) const DATETIME: u8 = 12;
    pub(crate) const YEAR: u8 = 13;
    pub(crate) const NEWDATE: u8 = 14;
    pub(crate) const VARCHAR: u8 = 15;
    pub(crate) const BIT: u8 = 16;
    pub(crate) const TIMESTAMP2: u8 = 17;
    pub(crate) const DATETIME2: u8 = 18;
    pub(crate) const TIME2: u8 = 19;
    pub(crate) const BLOB_COMPRESSED: u8 = 140;
    pub(crate) const VARCHAR_COMPRESSED: u8 = 141;
    pub(crate) const NEWDECIMAL: u8 = 246;
    pub(crate) const ENUM: u8 = 247;
    pub(crate) const SET: u8 = 248;
    pub(crate) const TINY_BLOB: u8 = 249;
    pub(crate) const MEDIUM_BLOB: u8 = 250;
    pub(crate) const LONG_BLOB: u8 = 251;
    pub(crate) const BLOB: u8 = 252;
    pub(crate) const STRING: u8 = 254;
    pub(crate) const GEOMETRY: u8 = 255;
}

/// One column's layout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ColumnLayout {
    /// One of [`wire`]. ENUM and SET, which are sent as STRING, have their own type here.
    pub(super) wire: u8,
    /// The type's two bytes of metadata, the first one low; their meaning depends on the type.
    pub(super) meta: [u8; 2],
    /// UNSIGNED, where the event tells (`binlog_row_metadata` is MINIMAL or FULL).
    pub(super) unsigned: Option<bool>,
    /// The column's name, where the event tells (`binlog_row_metadata=FULL`).
    pub(super) name: Option<Box<str>>,
    /// How many values an ENUM or members a SET has, where the event tells (`binlog_row_metadata=FULL`).
    pub(super) values: Option<usize>,
}

/// A table as the rows that follow are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TableMap<'a> {
    /// Number by which row events refer to it.
    pub(super) table: u64,
    /// The database's name.
    pub(super) database: &'a [u8],
    /// The table's name.
    pub(super) name: &'a [u8],
    rest: &'a [u8],
}

impl<'a> TableMap<'a> {
    /// Reads the names; [`columns`](Self::columns) reads the rest, which only captured tables need.
    pub(super) fn parse(body: &'a [u8]) -> Result<Self, Malformed> {
        let mut bytes = Bytes::new(body);
        let table = bytes.uint(6)?;
        bytes.u16()?; // flags
        let (database, name) = (bytes.name()?, bytes.name()?);
        Ok(Self { table, database, name, rest: bytes.rest() })
    }

    /// The columns' layouts, hidden columns too.
    pub(super) fn columns(&self) -> Result<Vec<ColumnLayout>, Malformed> {
        let mut bytes = Bytes::new(self.rest);
        let count = bytes.length()?;
        let types = bytes.take(count)?;
        let length = bytes.length()?;
        let mut meta = Bytes::new(bytes.take(length)?);
        bytes.take(count.div_ceil(8))?; // which columns may be NULL
        let mut columns = types.iter().map(|wire| layout(*wire, &mut meta)).collect::<Result<Vec<_>, _>>()?;
        optional(bytes, &mut columns)?;
        Ok(columns)
    }
}

fn layout(wire: u8, meta: &mut Bytes<'_>) -> Result<ColumnLayout, Malformed> {
    let (wire, meta) = match wire {
        wire::FLOAT
        | wire::DOUBLE
        | wire::TINY_BLOB
        | wire::MEDIUM_BLOB
        | wire::LONG_BLOB
        | wire::BLOB
        | wire::BLOB_COMPRESSED
        | wire::GEOMETRY
        | wire::TIMESTAMP2
        | wire::DATETIME2
        | wire::TIME2 => (wire, [meta.u8()?, 0]),
        wire::VARCHAR | wire::VARCHAR_COMPRESSED | wire::BIT | wire::NEWDECIMAL => (wire, meta.array()?),
        wire::ENUM | wire::SET | wire::STRING => string_layout(meta.array()?),
        wire::TINY
        | wire::SHORT
        | wire::INT24
        | wire::LONG
        | wire::LONGLONG
        | wire::TIMESTAMP
        | wire::DATE
        | wire::TIME
        | wire::DATETIME
        | wire::YEAR
        | wire::NEWDATE => (wire, [0, 0]),
        unknown => return Err(Malformed::Invalid(format!("has a column of the unknown type {unknown}"))),
    };
    Ok(ColumnLayout { wire, meta, unsigned: None, name: None, values: None })
}

/// STRING's metadata holds the real type (CHAR, ENUM or SET); lengths over 255 have their high bits, inverted,
/// in the type's byte. What comes back is the length, low byte first.
fn string_layout([real, length]: [u8; 2]) -> (u8, [u8; 2]) {
    if real & 0x30 == 0x30 { (real, [length, 0]) } else { (real | 0x30, [length, (real & 0x30 ^ 0x30) >> 4]) }
}

/// What `binlog_row_metadata` adds: fields of a type, a length and content.
fn optional(mut bytes: Bytes<'_>, columns: &mut [ColumnLayout]) -> Result<(), Truncated> {
    const SIGNEDNESS: u8 = 1;
    const NAMES: u8 = 4;
    const SET_VALUES: u8 = 5;
    const ENUM_VALUES: u8 = 6;

    while !bytes.is_empty() {
        let field = bytes.u8()?;
        let length = bytes.length()?;
        let mut content = Bytes::new(bytes.take(length)?);
        match field {
            SIGNEDNESS => {
                let numeric = columns.iter_mut().filter(|column| is_numeric(column.wire));
                for (index, column) in numeric.enumerate() {
                    // Counted from the highest bit.
                    column.unsigned = Some(bit(content.rest(), index / 8 * 8 + 7 - index % 8));
                }
            }
            NAMES => {
                for column in columns.iter_mut() {
                    let length = content.length()?;
                    column.name = Some(String::from_utf8_lossy(content.take(length)?).into());
                }
            }
            SET_VALUES => count_values(content, columns, wire::SET)?,
            ENUM_VALUES => count_values(content, columns, wire::ENUM)?,
            _ => {}
        }
    }
    Ok(())
}

fn is_numeric(wire: u8) -> bool {
    matches!(
        wire,
        wire::TINY
            | wire::SHORT
            | wire::INT24
            | wire::LONG
            | wire::LONGLONG
            | wire::NEWDECIMAL
            | wire::FLOAT
            | wire::DOUBLE
            | wire::YEAR
    )
}

fn count_values(mut content: Bytes<'_>, columns: &mut [ColumnLayout], wire: u8) -> Result<(), Truncated> {
    for column in columns.iter_mut().filter(|column| column.wire == wire) {
        let count = content.length()?;
        for _ in 0..count {
            let length = content.length()?;
            content.take(length)?;
        }
        column.values = Some(count);
    }
    Ok(())
}
