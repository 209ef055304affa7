//! From MariaDB's forms of a value to the contract's: what the binary protocol and the binlog have in common.
//!
//! Why can a live row and a captured one not differ? Both decoders hand the same parts (digits, year and month,
//! sixteen bytes) to the functions here, and what these return goes through one
//! [`ColumnBuilder`](crossweave_contract::ColumnBuilder).
//!
//! Dates: a date is a value if its year is 1 to 9999 and its month and day exist in that year. Every other one
//! that MariaDB can store (`0000-00-00`, `2018-02-00`, `2018-02-31`, all of year 0) is read as NULL and counted
//! ([`zero_dates_read`]). This is exactly the set for which the server gives NULL for `d + INTERVAL 0 DAY`, so
//! that a statement can ask for it.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::datatypes::i256;
use crossweave_contract::{MICROS_OF_A_DAY, ValueRef};

static ZERO_DATES: AtomicU64 = AtomicU64::new(0);

/// How many zero, partial and impossible dates this process has read as NULL since it started.
pub fn zero_dates_read() -> u64 {
    ZERO_DATES.load(Ordering::Relaxed)
}

/// Days since 1970-01-01; `None`, counted, for what is no date.
pub(crate) fn date_days(year: u16, month: u8, day: u8) -> Option<i32> {
    let days = valid_date(year, month, day).then(|| days_from_civil(year.into(), month.into(), day.into()));
    if days.is_none() {
        ZERO_DATES.fetch_add(1, Ordering::Relaxed);
    }
    days
}

/// µs since 1970-01-01 00:00:00 of a date and time of day; `None`, counted, if the date is none.
pub(crate) fn datetime_micros(
    (year, month, day): (u16, u8, u8),
    (hour, minute, second, micros): (u8, u8, u8, u32),
) -> Option<i64> {
    let days = i64::from(date_days(year, month, day)?);
    let seconds = days * 86_400 + i64::from(hour) * 3_600 + i64::from(minute) * 60 + i64::from(second);
    Some(seconds * 1_000_000 + i64::from(micros))
}

/// µs since the epoch of a TIMESTAMP as it is stored; `None`, counted, for the zero date, which is stored as 0.
pub(crate) fn timestamp_micros(seconds: i64, micros: u32) -> Option<i64> {
    if seconds == 0 && micros == 0 {
        ZERO_DATES.fetch_add(1, Ordering::Relaxed);
        return None;
    }
    Some(seconds * 1_000_000 + i64::from(micros))
}

/// Signed µs of a TIME.
pub(crate) fn time_micros(
    negative: bool,
    (days, hours, minutes, seconds, micros): (u32, u8, u8, u8, u32),
) -> i64 {
    let whole =
        i64::from(days) * 86_400 + i64::from(hours) * 3_600 + i64::from(minutes) * 60 + i64::from(seconds);
    let micros = whole * 1_000_000 + i64::from(micros);
    if negative { -micros } else { micros }
}

fn valid_date(year: u16, month: u8, day: u8) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    (1..=9999).contains(&year) && (1..=last).contains(&day)
}

/// Days since 1970-01-01 of a date of the Gregorian calendar, counted in eras of 400 years from March on.
fn days_from_civil(year: i32, month: i32, day: i32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of the day `days` after 1970-01-01: the inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// `YYYY-MM-DD`.
pub(crate) fn date_text(days: i32) -> String {
    let (year, month, day) = civil_from_days(days.into());
    format!("{year:04}-{month:02}-{day:02}")
}

/// `YYYY-MM-DD HH:MM:SS.ffffff`.
pub(crate) fn datetime_text(micros: i64) -> String {
    let (year, month, day) = civil_from_days(micros.div_euclid(MICROS_OF_A_DAY));
    let of_day = micros.rem_euclid(MICROS_OF_A_DAY);
    format!("{year:04}-{month:02}-{day:02} {}", clock_text(of_day.unsigned_abs()))
}

/// `[-]HHH:MM:SS.ffffff`.
pub(crate) fn time_text(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    format!("{sign}{}", clock_text(micros.unsigned_abs()))
}

fn clock_text(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    let (hours, minutes, rest) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{hours:02}:{minutes:02}:{rest:02}.{:06}", micros % 1_000_000)
}

/// A DECIMAL(precision, scale) out of the server's text (`-12.50`), as the variant that its precision asks for.
pub(crate) fn decimal(text: &[u8], precision: u8, scale: u8) -> Option<ValueRef<'static>> {
    let (negative, text) = sign(text)?;
    let point = text.iter().position(|&c| c == b'.');
    let (whole, fraction) = point.map_or((text, &[][..]), |at| (&text[..at], &text[at + 1..]));
    if fraction.len() > usize::from(scale) || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let zeros = std::iter::repeat_n(b'0', usize::from(scale) - fraction.len());
    let digits = whole.iter().chain(fraction).copied().chain(zeros);
    Some(if precision <= 38 {
        let unscaled = narrow(digits)?;
        ValueRef::Decimal(if negative { -unscaled } else { unscaled })
    } else {
        let unscaled = wide(digits)?;
        ValueRef::WideDecimal(if negative { unscaled.checked_neg()? } else { unscaled })
    })
}

/// As [`decimal`], of as many digits as a `u64` holds, with as many after the point as the column has: most are like this,
/// and read in a quarter of the time. `None` says nothing of the text.
#[inline]
pub(crate) fn short_decimal(text: &[u8], scale: u8) -> Option<i64> {
    /// With more characters its digits may be more than 18.
    const LONGEST: usize = 18;
    let (negative, text) = sign(text)?;
    let scale = usize::from(scale);
    let whole = match scale {
        0 => text.len(),
        scale => text.len().checked_sub(scale + 1)?,
    };
    if whole == 0 || text.len() > LONGEST || (scale > 0 && text[whole] != b'.') {
        return None;
    }
    let digits = |digits: &[u8], before: i64| {
        digits.iter().try_fold(before, |number, digit| {
            let digit = digit.wrapping_sub(b'0');
            (digit < 10).then(|| number * 10 + i64::from(digit))
        })
    };
    let number = digits(&text[..whole], 0)?;
    let number = if scale > 0 { digits(&text[whole + 1..], number)? } else { number };
    Some(if negative { -number } else { number })
}

fn sign(text: &[u8]) -> Option<(bool, &[u8])> {
    Some(match text.split_first()? {
        (b'-', rest) => (true, rest),
        (b'+', rest) => (false, rest),
        _ => (false, text),
    })
}

fn narrow(digits: impl Iterator<Item = u8>) -> Option<i128> {
    let mut unscaled = 0i128;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|d| *d < 10)?;
        unscaled = unscaled.checked_mul(10)?.checked_add(digit.into())?;
    }
    Some(unscaled)
}

/// Digits in groups of 18, so that there are four multiplications of 256 bits at most.
fn wide(digits: impl Iterator<Item = u8>) -> Option<i256> {
    let (mut unscaled, mut group, mut power) = (i256::ZERO, 0i64, 1i64);
    let fold = |unscaled: i256, group: i64, power: i64| {
        unscaled.checked_mul(i256::from_i128(power.into()))?.checked_add(i256::from_i128(group.into()))
    };
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|d| *d < 10)?;
        (group, power) = (group * 10 + i64::from(digit), power * 10);
        if power == 1_000_000_000_000_000_000 {
            unscaled = fold(unscaled, group, power)?;
            (group, power) = (0, 1);
        }
    }
    fold(unscaled, group, power)
}

/// The text of an unscaled decimal with `scale` digits after the point.
pub(crate) fn decimal_text(unscaled: i256, scale: u8) -> String {
    let digits = unscaled.to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |rest| ("-", rest));
    let scale = usize::from(scale);
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    format!("{sign}{whole}.{fraction}")
}

/// Canonical text of a UUID as it is stored: its bytes in the order of the text, zero bytes cut off at the end.
pub(crate) fn uuid_text(stored: &[u8]) -> Option<String> {
    let bytes: [u8; 16] = padded(stored)?;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

/// Dotted text of an INET4 as it is stored, zero bytes cut off at the end.
pub(crate) fn inet4_text(stored: &[u8]) -> Option<String> {
    let [a, b, c, d] = padded(stored)?;
    Some(format!("{a}.{b}.{c}.{d}"))
}

/// Text of an INET6 as MariaDB writes it, out of what is stored, zero bytes cut off at the end.
///
/// MariaDB shortens the first longest run of zero groups, also one of a single group (which RFC 5952 does not),
/// and writes the last two groups dotted if the six before are zero or end in `ffff`.
pub(crate) fn inet6_text(stored: &[u8]) -> Option<String> {
    let bytes: [u8; 16] = padded(stored)?;
    let groups: [u16; 8] = std::array::from_fn(|i| u16::from_be_bytes([bytes[2 * i], bytes[2 * i + 1]]));
    let (gap, length) = longest_zeros(&groups);
    let dotted = length == 6 && gap == 0 || length == 5 && gap == 0 && groups[5] == 0xffff;
    let mut text = String::with_capacity(39);
    let mut index = 0;
    while index < 8 {
        if length > 0 && index == gap {
            text.push_str(if index == 0 { "::" } else { ":" });
            index += length;
        } else if index == 6 && dotted {
            let _ = write!(text, "{}.{}.{}.{}", bytes[12], bytes[13], bytes[14], bytes[15]);
            break;
        } else {
            let _ = write!(text, "{:x}", groups[index]);
            index += 1;
            if index < 8 {
                text.push(':');
            }
        }
    }
    Some(text)
}

/// Start and length of the first longest run of zero groups.
fn longest_zeros(groups: &[u16; 8]) -> (usize, usize) {
    let mut longest = (0, 0);
    for start in 0..8 {
        let length = groups[start..].iter().take_while(|group| **group == 0).count();
        if length > longest.1 {
            longest = (start, length);
        }
    }
    longest
}

/// `stored` filled up with the zero bytes that storage cut off.
fn padded<const N: usize>(stored: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    bytes.get_mut(..stored.len())?.copy_from_slice(stored);
    Some(bytes)
}

/// The WKB of a geometry as MariaDB stores and sends it: without the four bytes of the SRID before it.
pub(crate) fn wkb(stored: &[u8]) -> Option<&[u8]> {
    stored.get(4..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_count_from_1970_and_come_back() {
        for (parts, days, text) in [
            ((1970, 1, 1), 0, "1970-01-01"),
            ((1, 1, 1), -719_162, "0001-01-01"),
            ((9999, 12, 31), 2_932_896, "9999-12-31"),
            ((2000, 2, 29), 11_016, "2000-02-29"),
            ((1969, 12, 31), -1, "1969-12-31"),
        ] {
            assert_eq!(date_days(parts.0, parts.1, parts.2), Some(days));
            assert_eq!(date_text(days), text);
        }
    }

    #[test]
    fn what_is_no_date_is_null_and_counted() {
        let before = zero_dates_read();
        for (year, month, day) in
            [(0, 0, 0), (2018, 2, 0), (2018, 0, 5), (2018, 2, 31), (0, 1, 1), (1900, 2, 29), (2018, 13, 1)]
        {
            assert_eq!(date_days(year, month, day), None, "{year}-{month}-{day}");
        }
        assert!(zero_dates_read() >= before + 7);
        assert_eq!(timestamp_micros(0, 0), None);
    }

    #[test]
    fn times_have_signs_and_microseconds() {
        assert_eq!(
            datetime_micros((2024, 2, 29), (23, 59, 59, 999_999)).map(datetime_text).as_deref(),
            Some("2024-02-29 23:59:59.999999")
        );
        assert_eq!(datetime_text(-1), "1969-12-31 23:59:59.999999");
        assert_eq!(time_micros(true, (34, 22, 59, 59, 0)), -3_020_399_000_000);
        assert_eq!(time_text(-3_020_399_000_001), "-838:59:59.000001");
        assert_eq!(time_text(5), "00:00:00.000005");
    }

    #[test]
    fn decimals_keep_every_digit() {
        let nines = "9".repeat(65);
        let wide_nines = i256::from_string(&nines).unwrap();
        let fraction = format!("-{}.{}", &nines[..35], &nines[..30]);
        assert_eq!(decimal(b"-12.50", 10, 2), Some(ValueRef::Decimal(-1250)));
        assert_eq!(decimal(b"0.00", 10, 2), Some(ValueRef::Decimal(0)));
        assert_eq!(decimal(b"7", 10, 3), Some(ValueRef::Decimal(7000)));
        assert_eq!(decimal(nines.as_bytes(), 65, 0), Some(ValueRef::WideDecimal(wide_nines)));
        assert_eq!(decimal(fraction.as_bytes(), 65, 30), Some(ValueRef::WideDecimal(-wide_nines)));
        // At the edge of what is read the short way, and what is not.
        for (text, scale, unscaled, is_short) in [
            ("999999999999999999", 0, 999_999_999_999_999_999, true),
            ("9999999999999999999", 0, 9_999_999_999_999_999_999, false),
            ("-9999999999999999.9", 1, -99_999_999_999_999_999, true),
            ("-99999999999999999.9", 1, -999_999_999_999_999_999, false),
            ("-0.05", 2, -5, true),
            ("0.5", 2, 50, false),
            (".50", 2, 50, false),
            ("5.", 2, 500, false),
            ("1", 18, 1_000_000_000_000_000_000, false),
        ] {
            assert_eq!(
                decimal(text.as_bytes(), 38, scale),
                Some(ValueRef::Decimal(unscaled)),
                "{text} {scale}"
            );
            let short = short_decimal(text.as_bytes(), scale).map(i128::from);
            assert_eq!(short, is_short.then_some(unscaled), "{text} {scale}");
        }
        for bad in ["", "-", ".", "1.234", "12a", "1e5", "1-2", "1..2", "1:.00"] {
            assert_eq!(decimal(bad.as_bytes(), 10, 2), None, "{bad}");
            assert_eq!(short_decimal(bad.as_bytes(), 2), None, "{bad}");
        }
        assert_eq!(decimal_text(-wide_nines, 30), fraction);
        assert_eq!(decimal_text(i256::from_i128(-5), 3), "-0.005");
        assert_eq!(decimal_text(i256::from_i128(120), 0), "120");
    }

    #[test]
    fn addresses_read_as_the_server_writes_them() {
        let six = |groups: [u16; 8]| {
            let bytes: Vec<u8> = groups.iter().flat_map(|group| group.to_be_bytes()).collect();
            inet6_text(&bytes).unwrap()
        };
        assert_eq!(six([0, 0, 0, 0, 0, 0, 0, 1]), "::1");
        assert_eq!(six([0, 0, 0, 0, 0, 0, 0x102, 0x304]), "::1.2.3.4");
        assert_eq!(six([0, 0, 0, 0, 0, 0xffff, 0x102, 0x304]), "::ffff:1.2.3.4");
        assert_eq!(six([0, 1, 2, 3, 4, 5, 6, 7]), "::1:2:3:4:5:6:7");
        assert_eq!(six([1, 0, 0, 2, 0, 0, 0, 3]), "1:0:0:2::3");
        assert_eq!(six([1, 2, 3, 4, 5, 6, 0, 0]), "1:2:3:4:5:6::");
        assert_eq!(inet6_text(&[]).unwrap(), "::");
        assert_eq!(inet4_text(&[1]).unwrap(), "1.0.0.0");
        assert_eq!(inet4_text(&[1, 2, 3, 4, 5]), None);
        assert_eq!(uuid_text(&[0, 0x11, 0x22]).unwrap(), "00112200-0000-0000-0000-000000000000");
    }
}
