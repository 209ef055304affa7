//! Values of a row as the binary protocol has them, borrowed from its message.

use mysql_async::Value;
use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Column, Error};

use super::packets::unreadable;

/// Year, month and day.
pub(crate) type Date = (u16, u8, u8);

/// Hour, minute, second and µs.
pub(crate) type Clock = (u8, u8, u8, u32);

/// Days, hours, minutes, seconds and µs.
pub(crate) type Span = (u32, u8, u8, u8, u32);

/// Takes a value as it lies in a row. Numbers, texts and times come by ways of their own, so that no value takes the
/// detour through memory that one form for all of them would be.
pub(crate) trait Take<'a> {
    /// What becomes of it.
    type Taken;

    fn null(self) -> Self::Taken;
    fn int(self, number: i64) -> Self::Taken;
    fn uint(self, number: u64) -> Self::Taken;
    fn float(self, number: f32) -> Self::Taken;
    fn double(self, number: f64) -> Self::Taken;
    /// Texts, numbers as text, and bytes.
    fn bytes(self, bytes: &'a [u8]) -> Self::Taken;
    fn moment(self, date: Date, time: Clock) -> Self::Taken;
    fn time(self, negative: bool, parts: Span) -> Self::Taken;
}

/// Takes it in the driver's form, which displays as SQL.
struct AsValue;

impl<'a> Take<'a> for AsValue {
    type Taken = Value;

    fn null(self) -> Value {
        Value::NULL
    }

    fn int(self, number: i64) -> Value {
        Value::Int(number)
    }

    fn uint(self, number: u64) -> Value {
        Value::UInt(number)
    }

    fn float(self, number: f32) -> Value {
        Value::Float(number)
    }

    fn double(self, number: f64) -> Value {
        Value::Double(number)
    }

    fn bytes(self, bytes: &'a [u8]) -> Value {
        Value::Bytes(bytes.to_vec())
    }

    fn moment(self, (year, month, day): Date, (hour, minute, second, micros): Clock) -> Value {
        Value::Date(year, month, day, hour, minute, second, micros)
    }

    fn time(self, negative: bool, (days, hours, minutes, seconds, micros): Span) -> Value {
        Value::Time(negative, days, hours, minutes, seconds, micros)
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
        match self.message.split_first().and_then(|(first, rest)| Some((first, rest.split_at_checked(bitmap)?)))
        {
            Some((0, (nulls, rest))) => Ok(Cells { nulls, rest, layouts: self.layouts, at: 0 }),
            _ => Err(ended()),
        }
    }

    /// All of them in the driver's form.
    pub(crate) fn values(&self) -> Result<Vec<Value>, Error> {
        let mut cells = self.cells()?;
        self.layouts.iter().map(|_| cells.next(AsValue)).collect()
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
    /// Has the next one taken; an error where the row has none.
    #[inline]
    pub(crate) fn next<T: Take<'a>>(&mut self, taker: T) -> Result<T::Taken, Error> {
        self.read(taker).ok_or_else(ended)
    }

    /// Fails where the row has more than its values.
    #[inline]
    pub(crate) fn end(&self) -> Result<(), Error> {
        if self.rest.is_empty() { Ok(()) } else { Err(unreadable("a row that goes on behind its values")) }
    }

    #[inline]
    fn read<T: Take<'a>>(&mut self, taker: T) -> Option<T::Taken> {
        let layout = *self.layouts.get(self.at)?;
        let bit = self.at + 2;
        self.at += 1;
        if self.nulls.get(bit / 8)? >> (bit % 8) & 1 == 1 {
            return Some(taker.null());
        }
        Some(match layout {
            Layout::Null => taker.null(),
            Layout::Int8 => taker.int(i8::from_le_bytes(self.take()?).into()),
            Layout::UInt8 => taker.int(u8::from_le_bytes(self.take()?).into()),
            Layout::Int16 => taker.int(i16::from_le_bytes(self.take()?).into()),
            Layout::UInt16 => taker.int(u16::from_le_bytes(self.take()?).into()),
            Layout::Int32 => taker.int(i32::from_le_bytes(self.take()?).into()),
            Layout::UInt32 => taker.int(u32::from_le_bytes(self.take()?).into()),
            Layout::Int64 => taker.int(i64::from_le_bytes(self.take()?)),
            Layout::UInt64 => taker.uint(u64::from_le_bytes(self.take()?)),
            Layout::Float => taker.float(f32::from_le_bytes(self.take()?)),
            Layout::Double => taker.double(f64::from_le_bytes(self.take()?)),
            Layout::Moment => {
                let (date, time) = self.moment()?;
                taker.moment(date, time)
            }
            Layout::Time => {
                let (negative, parts) = self.time()?;
                taker.time(negative, parts)
            }
            Layout::Bytes => {
                let length = self.length()?;
                let (bytes, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                taker.bytes(bytes)
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
    fn moment(&mut self) -> Option<(Date, Clock)> {
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
        Some((date, time))
    }

    fn time(&mut self) -> Option<(bool, Span)> {
        let [length] = self.take()?;
        match length {
            0 => Some((false, (0, 0, 0, 0, 0))),
            8 | 12 => {
                let [negative] = self.take()?;
                let days = u32::from_le_bytes(self.take()?);
                // A TIME has 838 hours at most.
                if days > 34 {
                    return None;
                }
                let [hours, minutes, seconds] = self.take()?;
                let micros = if length == 12 { u32::from_le_bytes(self.take()?) } else { 0 };
                Some((negative != 0, (days, hours, minutes, seconds, micros)))
            }
            _ => None,
        }
    }
}

fn ended() -> Error {
    unreadable("a row that ends before its values do")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(message: &[u8], layouts: &[Layout]) -> Result<Vec<Value>, Error> {
        BinaryRow::new(message, layouts).values()
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
