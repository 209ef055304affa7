//! MariaDB's moments as text, and its TIME: a signed time of up to 838:59:59, held as a duration in microseconds.

use arrow::datatypes::Date32Type;

/// Microseconds.
pub(in crate::federation::surface) const DAY: i64 = 86_400_000_000;

/// The greatest TIME, in microseconds.
const LIMIT: i64 = ((838 * 60 + 59) * 60 + 59) * 1_000_000 + 999_999;

/// `[-]HH:MM:SS[.ffffff]`, as MariaDB shows a TIME; the fraction only where it is not zero.
pub fn format_time(micros: i64) -> String {
    show_time(micros, None)
}

/// The same with `digits` after the second, where a column says how many.
pub(in crate::federation::surface) fn show_time(micros: i64, digits: Option<u8>) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let magnitude = micros.unsigned_abs();
    let (seconds, fraction) = (magnitude / 1_000_000, magnitude % 1_000_000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let whole = format!("{sign}{hours:02}:{minutes:02}:{seconds:02}");
    match digits.map_or(if fraction == 0 { 0 } else { 6 }, |digits| usize::from(digits.min(6))) {
        0 => whole,
        digits => format!("{whole}.{}", &format!("{fraction:06}")[..digits]),
    }
}

/// `YYYY-MM-DD HH:MM:SS[.ffffff]`, as MariaDB shows the moment so many microseconds after 1970 began; the fraction with
/// `digits`, or only where it is not zero. `None` beyond the years that there are.
pub(in crate::federation::surface) fn show_moment(micros: i64, digits: Option<u8>) -> Option<String> {
    let day = i32::try_from(micros.div_euclid(DAY)).ok()?;
    let date = Date32Type::to_naive_date_opt(day)?;
    Some(format!("{date} {}", show_time(micros.rem_euclid(DAY), digits)))
}

/// `text` as a moment in full, if MariaDB takes it for one: numbers of one digit will do, and a time of day may end early, or
/// be left out.
pub(in crate::federation::surface) fn whole_moment(text: &str) -> Option<String> {
    let number = |digits: &str| {
        digits.parse::<u8>().ok().filter(|_| matches!(digits.len(), 1 | 2) && !digits.starts_with('+'))
    };
    let (date, clock) = text.trim().split_once([' ', 'T']).unwrap_or((text.trim(), "0"));
    let mut date = date.split('-');
    let year = date.next().filter(|year| year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit()))?;
    let (month, day) = (number(date.next()?)?, number(date.next()?)?);
    let (clock, fraction) = match clock.trim_start().split_once('.') {
        Some((clock, fraction)) if !fraction.is_empty() => (clock, Some(fraction)),
        Some(_) => return None,
        None => (clock.trim_start(), None),
    };
    let clock = clock.split(':').map(number).collect::<Option<Vec<u8>>>()?;
    let is_whole = match fraction {
        Some(fraction) => clock.len() == 3 && fraction.bytes().all(|byte| byte.is_ascii_digit()),
        None => matches!(clock.len(), 1..=3),
    };
    if date.next().is_some() || !is_whole {
        return None;
    }
    let part = |at: usize| clock.get(at).copied().unwrap_or(0);
    let (hour, minute, second, fraction) = (part(0), part(1), part(2), fraction.unwrap_or("0"));
    Some(format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{fraction}"))
}

/// Reads a TIME as MariaDB writes and takes it, into microseconds: `[-][D ]HH:MM[:SS[.f]]`, `HHMMSS[.f]`.
/// Digits past the microsecond are dropped.
///
/// # Errors
/// Says what was expected, if `text` is no time or past 838:59:59.
pub fn parse_time(text: &str) -> Result<i64, String> {
    let fault = || format!("{text:?} is no TIME: expected [-]HH:MM:SS[.ffffff], up to 838:59:59");
    let trimmed = text.trim();
    let (negative, rest) = match trimmed.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, trimmed.strip_prefix('+').unwrap_or(trimmed)),
    };
    let (days, rest) = match rest.split_once(' ') {
        Some((days, rest)) if rest.contains(':') => (number(days).ok_or_else(fault)?, rest),
        Some(_) => return Err(fault()),
        None => (0, rest),
    };
    let (clock, fraction) = match rest.split_once('.') {
        Some((clock, fraction)) => (clock, micros(fraction).ok_or_else(fault)?),
        None => (rest, 0),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let (hours, minutes, seconds) = match parts.as_slice() {
        [hours, minutes] => (number(hours), number(minutes), Some(0)),
        [hours, minutes, seconds] => (number(hours), number(minutes), number(seconds)),
        [digits] => {
            let digits = number(digits).ok_or_else(fault)?;
            (Some(digits / 10_000), Some(digits / 100 % 100), Some(digits % 100))
        }
        _ => return Err(fault()),
    };
    match (hours, minutes, seconds) {
        (Some(hours), Some(minutes @ 0..60), Some(seconds @ 0..60)) if days <= 34 && hours <= 838 => {
            let total = (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000_000 + fraction;
            if total > LIMIT {
                return Err(fault());
            }
            Ok(if negative { -total } else { total })
        }
        _ => Err(fault()),
    }
}

fn number(digits: &str) -> Option<i64> {
    let valid = !digits.is_empty() && digits.len() <= 9 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if valid { digits.parse().ok() } else { None }
}

fn micros(fraction: &str) -> Option<i64> {
    if fraction.is_empty() {
        return Some(0);
    }
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let kept = &fraction[..fraction.len().min(6)];
    let scale = 10_i64.pow(6 - kept.len() as u32);
    Some(number(kept)? * scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_times_as_mariadb_does() {
        assert_eq!(format_time(36_000_000_000), "10:00:00");
        assert_eq!(format_time(-1_800_000_000), "-00:30:00");
        assert_eq!(format_time(-1), "-00:00:00.000001");
        assert_eq!(format_time(LIMIT - 999_999), "838:59:59");
        assert_eq!(show_time(1_500_000, Some(3)), "00:00:01.500");
        assert_eq!(show_time(1_500_000, Some(0)), "00:00:01");
    }

    #[test]
    fn reads_times_as_mariadb_does() {
        for (text, expected) in [
            ("10:00:00", "10:00:00"),
            ("9:5", "09:05:00"),
            ("-00:30:00.5", "-00:30:00.500000"),
            ("1 10:00:00", "34:00:00"),
            ("100000", "10:00:00"),
            ("10", "00:00:10"),
            ("101112.5", "10:11:12.500000"),
            (" +10:00:00 ", "10:00:00"),
            ("10:00:00.1234567", "10:00:00.123456"),
            ("838:59:59", "838:59:59"),
        ] {
            assert_eq!(parse_time(text).map(format_time).as_deref(), Ok(expected), "{text:?}");
        }
        for text in ["", "abc", "10:61:00", "900:00:00", "10:00:00abc", "--1:00", "1:2:3:4", "999999999999:00"]
        {
            let error = parse_time(text).unwrap_err();
            assert!(error.contains("expected [-]HH:MM:SS"), "{error}");
        }
    }
}
