//! Values of a row as the binary protocol has them, borrowed from its message.

use mysql_async::Value;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Column, Error};

use super::packets::unreadable;

/// A value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Cell<'a> {
    Null,
    Int(i64),
    UInt(u64),
    Float(f32),
    Double(f64),
    /// Texts, numbers as text, and bytes.
    Bytes(&'a [u8]),
    /// Year, month and day; hour, minute, second and µs.
    Moment((u16, u8, u8), (u8, u8, u8, u32)),
    /// Days, hours, minutes, seconds and µs.
    Time {
        negative: bool,
        parts: (u32, u8, u8, u8, u32),
    },
}

impl Cell<'_> {
    /// The same in the driver's form, which displays as SQL.
    pub(crate) fn to_value(self) -> Value {
        match self {
            Self::Null => Value::NULL,
            Self::Int(number) => Value::Int(number),
            Self::UInt(number) => Value::UInt(number),
            Self::Float(number) => Value::Float(number),
            Self::Double(number) => Value::Double(number),
            Self::Bytes(bytes) => Value::Bytes(bytes.to_vec()),
            Self::Moment((year, month, day), (hour, minute, second, micros)) => {
                Value::Date(year, month, day, hour, minute, second, micros)
            }
            Self::Time { negative, parts: (days, hours, minutes, seconds, micros) } => {
                Value::Time(negative, days, hours, minutes, seconds, micros)
            }
        }
    }
}

/// How a column's values lie in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    Null,
    Int8,
    UInt8,
    Int16,
    UInt16,
    Int32,
    UInt32,
    Int64,
    UInt64,
    Float,
    Double,
    Moment,
    Time,
    Bytes,
}

impl Layout {
    pub(super) fn of(column: &Column) -> Self {
        let unsigned = column.flags().contains(ColumnFlags::UNSIGNED_FLAG);
        let of = |signed, without_sign| if unsigned { without_sign } else { signed };
        match column.column_type() {
            ColumnType::MYSQL_TYPE_NULL => Self::Null,
            ColumnType::MYSQL_TYPE_TINY => of(Self::Int8, Self::UInt8),
            ColumnType::MYSQL_TYPE_SHORT | ColumnType::MYSQL_TYPE_YEAR => of(Self::Int16, Self::UInt16),
            ColumnType::MYSQL_TYPE_LONG | ColumnType::MYSQL_TYPE_INT24 => of(Self::Int32, Self::UInt32),
            ColumnType::MYSQL_TYPE_LONGLONG => of(Self::Int64, Self::UInt64),
            ColumnType::MYSQL_TYPE_FLOAT => Self::Float,
            ColumnType::MYSQL_TYPE_DOUBLE => Self::Double,
            ColumnType::MYSQL_TYPE_DATE
            | ColumnType::MYSQL_TYPE_NEWDATE
            | ColumnType::MYSQL_TYPE_DATETIME
            | ColumnType::MYSQL_TYPE_DATETIME2
            | ColumnType::MYSQL_TYPE_TIMESTAMP
            | ColumnType::MYSQL_TYPE_TIMESTAMP2 => Self::Moment,
            ColumnType::MYSQL_TYPE_TIME | ColumnType::MYSQL_TYPE_TIME2 => Self::Time,
            _ => Self::Bytes,
        }
    }
}

/// A row of the binary protocol.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BinaryRow<'a> {
    message: &'a [u8],
    layouts: &'a [Layout],
}

impl<'a> BinaryRow<'a> {
    pub(super) fn new(message: &'a [u8], layouts: &'a [Layout]) -> Self {
        Self { message, layouts }
    }

    /// How many bytes it took on the wire.
    pub(crate) fn bytes(&self) -> usize {
        self.message.len()
    }

    /// Its values, one after the other.
    pub(crate) fn cells(&self) -> Result<Cells<'a>, Error> {
        // A byte that says it is a row; two bits of the bitmap of NULLs are of no column.
        let bitmap = (self.layouts.len() + 9) / 8;
        match self.message.get(1..).and_then(|rest| rest.split_at_checked(bitmap)) {
            Some((nulls, rest)) => Ok(Cells { nulls, rest, layouts: self.layouts, at: 0 }),
            None => Err(ended()),
        }
    }
}

/// The values of a row.
pub(crate) struct Cells<'a> {
    nulls: &'a [u8],
    rest: &'a [u8],
    layouts: &'a [Layout],
    at: usize,
}

impl<'a> Cells<'a> {
    /// The next one; an error where the row has none.
    #[inline]
    pub(crate) fn next(&mut self) -> Result<Cell<'a>, Error> {
        self.read().ok_or_else(ended)
    }

    #[inline]
    fn read(&mut self) -> Option<Cell<'a>> {
        let layout = *self.layouts.get(self.at)?;
        let bit = self.at + 2;
        self.at += 1;
        if self.nulls.get(bit / 8)? >> (bit % 8) & 1 == 1 {
            return Some(Cell::Null);
        }
        Some(match layout {
            Layout::Null => Cell::Null,
            Layout::Int8 => Cell::Int(i8::from_le_bytes(self.take()?).into()),
            Layout::UInt8 => Cell::Int(u8::from_le_bytes(self.take()?).into()),
            Layout::Int16 => Cell::Int(i16::from_le_bytes(self.take()?).into()),
            Layout::UInt16 => Cell::Int(u16::from_le_bytes(self.take()?).into()),
            Layout::Int32 => Cell::Int(i32::from_le_bytes(self.take()?).into()),
            Layout::UInt32 => Cell::Int(u32::from_le_bytes(self.take()?).into()),
            Layout::Int64 => Cell::Int(i64::from_le_bytes(self.take()?)),
            Layout::UInt64 => Cell::UInt(u64::from_le_bytes(self.take()?)),
            Layout::Float => Cell::Float(f32::from_le_bytes(self.take()?)),
            Layout::Double => Cell::Double(f64::from_le_bytes(self.take()?)),
            Layout::Moment => self.moment()?,
            Layout::Time => self.time()?,
            Layout::Bytes => {
                let length = self.length()?;
                let (bytes, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                Cell::Bytes(bytes)
            }
        })
    }

    #[inline]
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    /// A length in one byte, or after one that says in how many.
    #[inline]
    fn length(&mut self) -> Option<usize> {
        let [first] = self.take()?;
        match first {
            0xfc => Some(u16::from_le_bytes(self.take()?).into()),
            0xfd => {
                let [a, b, c] = self.take()?;
                Some(u32::from_le_bytes([a, b, c, 0]) as usize)
            }
            0xfe => usize::try_from(u64::from_le_bytes(self.take()?)).ok(),
            0xfb | 0xff => None,
            length => Some(length.into()),
        }
    }

    /// What is zero at the end is left away.
    #[inline]
    fn moment(&mut self) -> Option<Cell<'a>> {
        let [length] = self.take()?;
        let date = match length {
            0 => (0, 0, 0),
            _ => {
                let [low, high, month, day] = self.take()?;
                (u16::from_le_bytes([low, high]), month, day)
            }
        };
        let time = match length {
            0 | 4 => (0, 0, 0, 0),
            7 | 11 => {
                let [hour, minute, second] = self.take()?;
                let micros = if length == 11 { u32::from_le_bytes(self.take()?) } else { 0 };
                (hour, minute, second, micros)
            }
            _ => return None,
        };
        Some(Cell::Moment(date, time))
    }

    fn time(&mut self) -> Option<Cell<'a>> {
        let [length] = self.take()?;
        let (negative, parts) = match length {
            0 => (false, (0, 0, 0, 0, 0)),
            8 | 12 => {
                let [negative] = self.take()?;
                let days = u32::from_le_bytes(self.take()?);
                let [hours, minutes, seconds] = self.take()?;
                let micros = if length == 12 { u32::from_le_bytes(self.take()?) } else { 0 };
                (negative != 0, (days, hours, minutes, seconds, micros))
            }
            _ => return None,
        };
        Some(Cell::Time { negative, parts })
    }
}

fn ended() -> Error {
    unreadable("a row that ends before its values do")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(message: &[u8], layouts: &[Layout]) -> Result<Vec<Value>, Error> {
        let mut cells = BinaryRow::new(message, layouts).cells()?;
        layouts.iter().map(|_| cells.next().map(Cell::to_value)).collect()
    }

    #[test]
    fn values_of_each_layout_are_read_up_to_the_last_byte() {
        let mut message = vec![0, 0b0000_1000, 0];
        let mut layouts = Vec::new();
        let mut expected = Vec::new();
        let mut add = |layout, bytes: &[u8], value: Value| {
            layouts.push(layout);
            message.extend_from_slice(bytes);
            expected.push(value);
        };
        add(Layout::Int8, &[0xff], Value::Int(-1));
        add(Layout::Int64, &[], Value::NULL);
        add(Layout::UInt64, &[0xff; 8], Value::UInt(u64::MAX));
        add(Layout::UInt32, &[0xff; 4], Value::Int(0xffff_ffff));
        add(Layout::Moment, &[0], Value::Date(0, 0, 0, 0, 0, 0, 0));
        add(
            Layout::Moment,
            &[11, 0xe8, 7, 2, 29, 23, 59, 58, 64, 66, 15, 0],
            Value::Date(2024, 2, 29, 23, 59, 58, 1_000_000),
        );
        add(Layout::Time, &[8, 1, 34, 0, 0, 0, 22, 59, 58], Value::Time(true, 34, 22, 59, 58, 0));
        add(Layout::Bytes, &[0xfc, 3, 0, b'a', b'b', b'c'], Value::Bytes(b"abc".to_vec()));
        add(Layout::Double, &1.5f64.to_le_bytes(), Value::Double(1.5));
        // The bitmap of nine columns has two bytes.
        assert_eq!(row(&message, &layouts).unwrap(), expected);
        for end in 0..message.len() {
            assert!(row(&message[..end], &layouts).is_err(), "{end}");
        }
    }
}
