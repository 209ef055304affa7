//! One column: how many bytes its value takes in a row image, and what value they are.

use std::borrow::Cow;
use std::collections::HashMap;

use crossweave_contract::{Collation, ColumnType, Value};

use super::bytes::{Bytes, Truncated, big_endian, little_endian};
use super::charset::{Charset, Charsets};
use super::events::inflate;
use super::table_map::{ColumnLayout, wire};
use super::{decimal, temporal};
use crate::values;

/// How long a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    /// Always this many bytes.
    Fixed(usize),
    /// As many as the number says that comes first, in this many bytes.
    Counted(usize),
}

impl Extent {
    /// The bytes of the next value.
    pub(super) fn take<'a>(self, row: &mut Bytes<'a>) -> Result<&'a [u8], Truncated> {
        match self {
            Self::Fixed(length) => row.take(length),
            Self::Counted(width) => {
                let length = usize::try_from(row.uint(width)?).map_err(|_| Truncated)?;
                row.take(length)
            }
        }
    }

    /// The extent of a column laid out as `layout`. `old_fsp` gives the digits after the second of the old
    /// temporal types, which the binlog does not tell; `None` if it is one of these and not known.
    pub(super) fn of(layout: &ColumnLayout, old_fsp: Option<u8>) -> Option<Self> {
        let [low, high] = layout.meta;
        Some(match layout.wire {
            wire::TINY | wire::YEAR => Self::Fixed(1),
            wire::SHORT => Self::Fixed(2),
            wire::INT24 | wire::DATE | wire::NEWDATE => Self::Fixed(3),
            wire::LONG | wire::FLOAT => Self::Fixed(4),
            wire::LONGLONG | wire::DOUBLE => Self::Fixed(8),
            wire::NEWDECIMAL => Self::Fixed(decimal::width(low, high)),
            wire::BIT => Self::Fixed(usize::from(high) + usize::from(low > 0)),
            wire::ENUM | wire::SET => Self::Fixed(low.into()),
            wire::TIMESTAMP2 => Self::Fixed(4 + temporal::fraction_width(low)),
            wire::DATETIME2 => Self::Fixed(5 + temporal::fraction_width(low)),
            wire::TIME2 => Self::Fixed(3 + temporal::fraction_width(low)),
            wire::TIMESTAMP => Self::Fixed(temporal::old_timestamp_width(old_fsp?)?),
            wire::DATETIME => Self::Fixed(temporal::old_datetime_width(old_fsp?)?),
            wire::TIME => Self::Fixed(temporal::old_time_width(old_fsp?)?),
            wire::STRING | wire::VARCHAR | wire::VARCHAR_COMPRESSED => {
                Self::Counted(if high > 0 { 2 } else { 1 })
            }
            _ => Self::Counted(low.into()),
        })
    }
}

/// How a column's bytes become a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Decoder {
    form: Form,
    /// The value is in a COMPRESSED column's form.
    compressed: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Boolean,
    Signed,
    Unsigned,
    BitFlag,
    BitField,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Float,
    Double,
    /// For each index the one that is read for it.
    Enum {
        indexes: Box<[u16]>,
    },
    Set {
        members: usize,
    },
    /// CHAR has its trailing spaces cut off when it is read.
    Text {
        charset: Charset,
        name: Box<str>,
        trim: bool,
    },
    /// Filled up with zero bytes to `fixed`.
    Bytes {
        fixed: usize,
    },
    Year,
    Date,
    DateTime,
    Timestamp,
    Time,
    OldDateTime {
        fsp: u8,
    },
    OldTimestamp {
        fsp: u8,
    },
    OldTime {
        fsp: u8,
    },
    Uuid,
    Inet4,
    Inet6,
    Geometry,
    Vector {
        bytes: usize,
    },
}

impl Decoder {
    /// A decoder for a column of `column_type` that is laid out as `layout`. Fails, with what was expected and
    /// found, where one does not fit the other.
    pub(super) fn new(
        column_type: &ColumnType,
        layout: &ColumnLayout,
        charsets: &Charsets,
    ) -> Result<Self, String> {
        if let (Some(unsigned), Some(expected)) = (layout.unsigned, unsigned(column_type))
            && unsigned != expected
        {
            let sign = |unsigned| if unsigned { "unsigned" } else { "signed" };
            return Err(format!("{} in its definition, {} in the binlog", sign(expected), sign(unsigned)));
        }
        let compressed = matches!(layout.wire, wire::BLOB_COMPRESSED | wire::VARCHAR_COMPRESSED);
        match form(column_type, layout, charsets)? {
            Some(form) => Ok(Self { form, compressed }),
            None => Err(format!(
                "{column_type:?} in its definition, type {} with metadata {:?} in the binlog",
                layout.wire, layout.meta
            )),
        }
    }

    /// The value of `raw`. Fails, saying why, if it is none.
    pub(super) fn decode(&self, raw: &[u8]) -> Result<Value, String> {
        if self.compressed {
            return self.form.decode(&decompress(raw).ok_or("a compressed value that does not inflate")?);
        }
        self.form.decode(raw)
    }
}

/// Whether `column_type` is unsigned, for types of which the binlog tells it.
fn unsigned(column_type: &ColumnType) -> Option<bool> {
    match column_type {
        ColumnType::TinyInt { unsigned }
        | ColumnType::SmallInt { unsigned }
        | ColumnType::MediumInt { unsigned }
        | ColumnType::Int { unsigned }
        | ColumnType::BigInt { unsigned } => Some(*unsigned),
        _ => None,
    }
}

/// The form of a column; `None` if the layout is of another type.
fn form(column_type: &ColumnType, layout: &ColumnLayout, charsets: &Charsets) -> Result<Option<Form>, String> {
    let [low, high] = layout.meta;
    let integer = |wire: u8, unsigned: bool| {
        (layout.wire == wire).then_some(if unsigned { Form::Unsigned } else { Form::Signed })
    };
    let on = |wire: u8, form: Form| (layout.wire == wire).then_some(form);
    Ok(match *column_type {
        ColumnType::Boolean => on(wire::TINY, Form::Boolean),
        ColumnType::TinyInt { unsigned } => integer(wire::TINY, unsigned),
        ColumnType::SmallInt { unsigned } => integer(wire::SHORT, unsigned),
        ColumnType::MediumInt { unsigned } => integer(wire::INT24, unsigned),
        ColumnType::Int { unsigned } => integer(wire::LONG, unsigned),
        ColumnType::BigInt { unsigned } => integer(wire::LONGLONG, unsigned),
        ColumnType::Bit { width } => {
            let form = if width == 1 { Form::BitFlag } else { Form::BitField };
            on(wire::BIT, form).filter(|_| u16::from(high) * 8 + u16::from(low) == u16::from(width))
        }
        ColumnType::Decimal { precision, scale } => {
            let form = Form::Decimal { precision, scale };
            on(wire::NEWDECIMAL, form).filter(|_| layout.meta == [precision, scale])
        }
        ColumnType::Float => on(wire::FLOAT, Form::Float),
        ColumnType::Double => on(wire::DOUBLE, Form::Double),
        ColumnType::Enum { ref values, .. } => {
            let form = on(wire::ENUM, Form::Enum { indexes: indexes_by_text(values) });
            form.filter(|_| layout.values.is_none_or(|count| count == values.len()))
        }
        ColumnType::Set { ref values, .. } => {
            let form = on(wire::SET, Form::Set { members: values.len() });
            form.filter(|_| layout.values.is_none_or(|count| count == values.len()))
        }
        ColumnType::Text { ref collation } | ColumnType::Json { ref collation } => {
            if is_character(layout.wire) { Some(text(collation, layout, charsets)?) } else { None }
        }
        ColumnType::Binary { fixed: Some(length) } => {
            let fixed = length as usize;
            on(wire::STRING, Form::Bytes { fixed })
                .filter(|_| u32::from(u16::from_le_bytes(layout.meta)) == length)
        }
        ColumnType::Binary { fixed: None } => {
            (is_character(layout.wire) && layout.wire != wire::STRING).then_some(Form::Bytes { fixed: 0 })
        }
        ColumnType::Year => on(wire::YEAR, Form::Year),
        ColumnType::Date => on(wire::DATE, Form::Date).or(on(wire::NEWDATE, Form::Date)),
        ColumnType::DateTime { fsp } => on(wire::DATETIME2, Form::DateTime)
            .filter(|_| low == fsp)
            .or(on(wire::DATETIME, Form::OldDateTime { fsp })),
        ColumnType::Timestamp { fsp } => on(wire::TIMESTAMP2, Form::Timestamp)
            .filter(|_| low == fsp)
            .or(on(wire::TIMESTAMP, Form::OldTimestamp { fsp })),
        ColumnType::Time { fsp } => {
            on(wire::TIME2, Form::Time).filter(|_| low == fsp).or(on(wire::TIME, Form::OldTime { fsp }))
        }
        ColumnType::Uuid => on(wire::STRING, Form::Uuid).filter(|_| layout.meta == [16, 0]),
        ColumnType::Inet4 => on(wire::STRING, Form::Inet4).filter(|_| layout.meta == [4, 0]),
        ColumnType::Inet6 => on(wire::STRING, Form::Inet6).filter(|_| layout.meta == [16, 0]),
        ColumnType::Geometry => on(wire::GEOMETRY, Form::Geometry),
        ColumnType::Vector { dimensions } => {
            let bytes = dimensions as usize * 4;
            (layout.wire == wire::VARCHAR || layout.wire == wire::BLOB).then_some(Form::Vector { bytes })
        }
    })
}

/// The client protocol gives an ENUM's text: that of the error value 0 is the empty one, and values may be declared twice.
fn indexes_by_text(values: &[String]) -> Box<[u16]> {
    let mut first: HashMap<&str, u16> = HashMap::with_capacity(values.len());
    for (value, index) in values.iter().zip(1..=u16::MAX) {
        first.entry(value).or_insert(index);
    }
    let texts = std::iter::once("").chain(values.iter().map(String::as_str));
    texts.map(|text| first.get(text).copied().unwrap_or(0)).collect()
}

fn is_character(wire: u8) -> bool {
    matches!(
        wire,
        wire::STRING
            | wire::VARCHAR
            | wire::VARCHAR_COMPRESSED
            | wire::TINY_BLOB
            | wire::MEDIUM_BLOB
            | wire::LONG_BLOB
            | wire::BLOB
            | wire::BLOB_COMPRESSED
    )
}

fn text(collation: &Collation, layout: &ColumnLayout, charsets: &Charsets) -> Result<Form, String> {
    let charset = charsets.named(&collation.charset).ok_or_else(|| {
        format!(
            "text in the character set {}, of which the server does not tell the characters, or which has some of \
             more than three bytes",
            collation.charset
        )
    })?;
    let name = collation.charset.as_str().into();
    Ok(Form::Text { charset, name, trim: layout.wire == wire::STRING })
}

impl Form {
    fn decode(&self, raw: &[u8]) -> Result<Value, String> {
        let damaged = || format!("{} bytes that are no value of its type", raw.len());
        Ok(match self {
            Self::Boolean => match little_endian(raw) {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                _ => {
                    return Err(format!(
                        "the value {}, expected 0 or 1 in a column declared boolean; declare it a number",
                        signed(raw)
                    ));
                }
            },
            Self::Signed => Value::Int(signed(raw)),
            Self::Unsigned => Value::UInt(little_endian(raw)),
            Self::BitFlag => Value::Bool(big_endian(raw) != 0),
            Self::BitField => Value::UInt(big_endian(raw)),
            Self::Decimal { precision, scale } => {
                decimal::value(raw, *precision, *scale).ok_or_else(damaged)?
            }
            Self::Float => Value::Float(f32::from_le_bytes(raw.try_into().map_err(|_| damaged())?)),
            Self::Double => Value::Double(f64::from_le_bytes(raw.try_into().map_err(|_| damaged())?)),
            Self::Enum { indexes } => {
                let index = little_endian(raw) as u16;
                let most = indexes.len() - 1;
                let known = indexes.get(usize::from(index));
                Value::Enum(*known.ok_or_else(|| format!("the ENUM index {index}, expected at most {most}"))?)
            }
            Self::Set { members } => match little_endian(raw) {
                bits if *members >= 64 || bits >> members == 0 => Value::Set(bits),
                bits => return Err(format!("the SET bits {bits:#x}, expected {members} members")),
            },
            Self::Text { charset, name, trim } => {
                let text = charset.decode(raw).ok_or_else(|| format!("text that is not {name}"))?;
                Value::Text(if *trim { text.trim_end_matches(' ').into() } else { text.into() })
            }
            Self::Bytes { fixed } if raw.len() < *fixed => {
                let mut bytes = Vec::with_capacity(*fixed);
                bytes.extend_from_slice(raw);
                bytes.resize(*fixed, 0);
                Value::Bytes(bytes.into())
            }
            Self::Bytes { .. } => Value::Bytes(raw.into()),
            Self::Vector { bytes } if raw.len() == *bytes => Value::Bytes(raw.into()),
            Self::Vector { .. } => return Err(damaged()),
            Self::Geometry => Value::Bytes(values::wkb(raw).ok_or_else(damaged)?.into()),
            Self::Uuid => text_of(values::uuid_text(raw)).ok_or_else(damaged)?,
            Self::Inet4 => text_of(values::inet4_text(raw)).ok_or_else(damaged)?,
            Self::Inet6 => text_of(values::inet6_text(raw)).ok_or_else(damaged)?,
            _ => self.decode_temporal(raw).ok_or_else(damaged)?,
        })
    }

    fn decode_temporal(&self, raw: &[u8]) -> Option<Value> {
        match self {
            Self::Year => Some(temporal::year(raw)),
            Self::Date => Some(temporal::date(raw)),
            Self::DateTime => temporal::datetime(raw),
            Self::Timestamp => temporal::timestamp(raw),
            Self::Time => temporal::time(raw),
            Self::OldDateTime { fsp } => temporal::old_datetime(raw, *fsp),
            Self::OldTimestamp { fsp } => temporal::old_timestamp(raw, *fsp),
            Self::OldTime { fsp } => temporal::old_time(raw, *fsp),
            _ => None,
        }
    }
}

fn text_of(text: Option<String>) -> Option<Value> {
    text.map(|text| Value::Text(text.into()))
}

fn signed(raw: &[u8]) -> i64 {
    let unused = 64 - 8 * raw.len().clamp(1, 8);
    (little_endian(raw) << unused).cast_signed() >> unused
}

/// A COMPRESSED column's value: nothing for the empty one, else a byte with the method (0: none, 8: zlib), the
/// bit 8 for bytes without zlib's header, and the width of the length that follows, big-endian.
fn decompress(raw: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some((header, rest)) = raw.split_first() else { return Some(Cow::Borrowed(raw)) };
    match header >> 4 {
        0 => Some(Cow::Borrowed(rest)),
        8 => {
            let (length, rest) = rest.split_at_checked(usize::from(header & 7))?;
            let length = usize::try_from(big_endian(length)).ok()?;
            inflate(rest, length, header & 8 == 0).map(Cow::Owned)
        }
        _ => None,
    }
}

/// Whether `raw` is the ROW END of a current row: the maximum of BIGINT UNSIGNED, or of TIMESTAMP(6) before and
/// after it was extended to 2106 (in either form of storage).
pub(super) fn is_row_end_of_current(raw: &[u8]) -> bool {
    const LAST_MICRO: u64 = 999_999;
    match raw.len() {
        8 => little_endian(raw) == u64::MAX,
        7 => {
            let (seconds, fraction) = raw.split_at(4);
            matches!(big_endian(seconds), 0x7fff_ffff | 0xffff_ffff) && big_endian(fraction) == LAST_MICRO
        }
        _ => false,
    }
}
