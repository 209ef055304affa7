//! Dates and times as the binlog has them: the packed big-endian forms (`mysql56_temporal_format=ON`), and both
//! older ones, MySQL's decimal numbers and MariaDB 5.3's with a fraction.

use crossweave_contract::Value;

use super::bytes::{big_endian, little_endian};
use crate::values;

/// Bytes of a fraction of `fsp` digits in the packed forms.
pub(super) fn fraction_width(fsp: u8) -> usize {
    usize::from(fsp.div_ceil(2))
}

/// Bytes of MariaDB 5.3's fractions, by digits after the second.
const OLD_FRACTION_WIDTH: [usize; 7] = [0, 1, 1, 2, 2, 3, 3];
const OLD_TIME_WIDTH: [usize; 7] = [3, 4, 4, 5, 5, 5, 6];
const OLD_DATETIME_WIDTH: [usize; 7] = [8, 6, 6, 7, 7, 7, 8];

/// Bytes of an old TIMESTAMP(fsp).
pub(super) fn old_timestamp_width(fsp: u8) -> Option<usize> {
    OLD_FRACTION_WIDTH.get(usize::from(fsp)).map(|fraction| 4 + fraction)
}

/// Bytes of an old TIME(fsp).
pub(super) fn old_time_width(fsp: u8) -> Option<usize> {
    OLD_TIME_WIDTH.get(usize::from(fsp)).copied()
}

/// Bytes of an old DATETIME(fsp).
pub(super) fn old_datetime_width(fsp: u8) -> Option<usize> {
    OLD_DATETIME_WIDTH.get(usize::from(fsp)).copied()
}

/// DATE: day, month and year in 5, 4 and 15 bits.
pub(super) fn date(raw: &[u8]) -> Value {
    let packed = little_endian(raw);
    let days = values::date_days((packed >> 9) as u16, (packed >> 5 & 15) as u8, (packed & 31) as u8);
    days.map_or(Value::Null, Value::Date)
}

/// YEAR: 0, or years since 1900.
pub(super) fn year(raw: &[u8]) -> Value {
    match little_endian(raw) {
        0 => Value::UInt(0),
        year => Value::UInt(1_900 + year),
    }
}

/// DATETIME(fsp): 40 bits of date and time, then the fraction.
pub(super) fn datetime(raw: &[u8]) -> Option<Value> {
    let (packed, fraction) = raw.split_at_checked(5)?;
    // The highest bit is the sign, and DATETIME has none.
    let packed = big_endian(packed) & 0x7f_ffff_ffff;
    let (date, time) = (packed >> 17, packed & 0x1_ffff);
    let month = date >> 5;
    Some(datetime_value(
        ((month / 13) as u16, (month % 13) as u8, (date & 31) as u8),
        ((time >> 12) as u8, (time >> 6 & 63) as u8, (time & 63) as u8, micros(fraction)),
    ))
}

/// TIMESTAMP(fsp): seconds since the epoch, then the fraction.
pub(super) fn timestamp(raw: &[u8]) -> Option<Value> {
    let (seconds, fraction) = raw.split_at_checked(4)?;
    let seconds = big_endian(seconds).cast_signed();
    Some(values::timestamp_micros(seconds, micros(fraction)).map_or(Value::Null, Value::Micros))
}

/// TIME(fsp): one signed number, hours, minutes and seconds in its upper 24 bits and the fraction below.
pub(super) fn time(raw: &[u8]) -> Option<Value> {
    let fraction_bits = 8 * raw.len().checked_sub(3)?;
    let signed = big_endian(raw).cast_signed() - (0x80_0000 << fraction_bits);
    let packed = signed.unsigned_abs();
    let (clock, fraction) = (packed >> fraction_bits, packed & ((1 << fraction_bits) - 1));
    let micros = match fraction_bits {
        0 => 0,
        8 => fraction * 10_000,
        16 => fraction * 100,
        _ => fraction,
    };
    let parts = ((clock >> 12) as u32, (clock >> 6 & 63) as u8, (clock & 63) as u8, micros as u32);
    Some(time_value(signed < 0, parts))
}

/// A fraction of the packed forms: hundredths, ten-thousandths or millionths, by its width.
fn micros(fraction: &[u8]) -> u32 {
    let number = big_endian(fraction) as u32;
    match fraction.len() {
        0 => 0,
        1 => number * 10_000,
        2 => number * 100,
        _ => number,
    }
}

/// An old TIMESTAMP(fsp): seconds, little-endian without a fraction, big-endian with one.
pub(super) fn old_timestamp(raw: &[u8], fsp: u8) -> Option<Value> {
    let (seconds, fraction) = raw.split_at_checked(4)?;
    let seconds = if fsp == 0 { little_endian(seconds) } else { big_endian(seconds) };
    let micros = (big_endian(fraction) * scale(fsp)?) as u32;
    Some(values::timestamp_micros(seconds.cast_signed(), micros).map_or(Value::Null, Value::Micros))
}

/// An old DATETIME(fsp): the digits YYYYMMDDhhmmss as a number, or with a fraction MariaDB 5.3's mixed radix.
pub(super) fn old_datetime(raw: &[u8], fsp: u8) -> Option<Value> {
    if fsp == 0 {
        let digits = little_endian(raw);
        let (date, time) = (digits / 1_000_000, digits % 1_000_000);
        return Some(datetime_value(
            ((date / 10_000) as u16, (date / 100 % 100) as u8, (date % 100) as u8),
            ((time / 10_000) as u8, (time / 100 % 100) as u8, (time % 100) as u8, 0),
        ));
    }
    let (seconds, micros) = split_seconds(big_endian(raw), fsp)?;
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    let (days, months) = (hours / 24, hours / 24 / 32);
    Some(datetime_value(
        ((months / 13) as u16, (months % 13) as u8, (days % 32) as u8),
        ((hours % 24) as u8, (minutes % 60) as u8, (seconds % 60) as u8, micros),
    ))
}

/// An old TIME(fsp): the digits hhmmss as a signed number, or with a fraction one counted from the smallest.
pub(super) fn old_time(raw: &[u8], fsp: u8) -> Option<Value> {
    const MOST_SECONDS: u64 = 838 * 3_600 + 59 * 60 + 59;
    if fsp == 0 {
        let signed = (little_endian(raw) << 40).cast_signed() >> 40;
        let digits = signed.unsigned_abs();
        let parts = ((digits / 10_000) as u32, (digits / 100 % 100) as u8, (digits % 100) as u8, 0);
        return Some(time_value(signed < 0, parts));
    }
    let zero = (MOST_SECONDS + 1) * 1_000_000 / scale(fsp)?;
    let packed = big_endian(raw);
    let (seconds, micros) = split_seconds(packed.abs_diff(zero), fsp)?;
    let parts = ((seconds / 3_600) as u32, (seconds / 60 % 60) as u8, (seconds % 60) as u8, micros);
    Some(time_value(packed < zero, parts))
}

/// µs of one unit of the last of `fsp` digits.
fn scale(fsp: u8) -> Option<u64> {
    10u64.checked_pow(6u32.checked_sub(fsp.into())?)
}

fn split_seconds(number: u64, fsp: u8) -> Option<(u64, u32)> {
    let scale = scale(fsp)?;
    let per_second = 1_000_000 / scale;
    Some((number / per_second, (number % per_second * scale) as u32))
}

fn datetime_value(date: (u16, u8, u8), time: (u8, u8, u8, u32)) -> Value {
    values::datetime_micros(date, time).map_or(Value::Null, Value::Micros)
}

/// A TIME has up to 838 hours: more than the shared function's byte, but it takes days as well.
fn time_value(negative: bool, (hours, minutes, seconds, micros): (u32, u8, u8, u32)) -> Value {
    let parts = (hours / 24, (hours % 24) as u8, minutes, seconds, micros);
    Value::Micros(values::time_micros(negative, parts))
}
