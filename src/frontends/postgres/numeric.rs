//! NUMERIC on the wire with as many digits as MariaDB's DECIMAL has, which is more than client libraries' own
//! decimal types hold.

use std::error::Error;

use bytes::{Buf, BufMut, BytesMut};
use pgwire::api::Type;
use pgwire::types::ToSqlText;
use pgwire::types::format::FormatOptions;
use postgres_types::{IsNull, ToSql, to_sql_checked};

/// Digits of a decimal as text, `-12.50`; `None` is NULL.
#[derive(Debug)]
pub(super) struct Numeric(pub(super) Option<String>);

const NEGATIVE: u16 = 0x4000;

impl ToSqlText for Numeric {
    fn to_sql_text(
        &self,
        _ty: &Type,
        out: &mut BytesMut,
        _options: &FormatOptions,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(text) = &self.0 else { return Ok(IsNull::Yes) };
        out.put_slice(text.as_bytes());
        Ok(IsNull::No)
    }
}

impl ToSql for Numeric {
    /// Base-10000 digits, as PostgreSQL's `numeric_send` writes them.
    fn to_sql(&self, _ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        let Some(text) = &self.0 else { return Ok(IsNull::Yes) };
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (NEGATIVE, digits),
            None => (0, text.as_str()),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let scale = u16::try_from(fraction.len())?;
        let whole = format!("{}{whole}", "0".repeat((4 - whole.len() % 4) % 4));
        let fraction = format!("{fraction}{}", "0".repeat((4 - fraction.len() % 4) % 4));
        let groups = [whole.as_bytes(), fraction.as_bytes()].concat();
        let mut groups: Vec<i16> = groups
            .chunks(4)
            .map(|group| Ok(std::str::from_utf8(group)?.parse()?))
            .collect::<Result<_, Box<dyn Error + Sync + Send>>>()?;
        let mut weight = i16::try_from(whole.len() / 4)? - 1;
        while groups.first() == Some(&0) {
            groups.remove(0);
            weight -= 1;
        }
        while groups.last() == Some(&0) {
            groups.pop();
        }
        if groups.is_empty() {
            weight = 0;
        }
        out.put_i16(i16::try_from(groups.len())?);
        out.put_i16(weight);
        out.put_u16(sign);
        out.put_u16(scale);
        groups.iter().for_each(|group| out.put_i16(*group));
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::NUMERIC
    }

    to_sql_checked!();
}

/// The text of what PostgreSQL's `numeric_recv` reads, the inverse of [`Numeric`]: `-12.50`, `NaN`, `Infinity`.
pub(super) fn text_of(mut raw: &[u8]) -> Result<String, String> {
    const HEADER: usize = 8;
    if raw.len() < HEADER {
        return Err(format!("a binary numeric has {HEADER} bytes and more; found {}", raw.len()));
    }
    let (count, weight, sign, scale) = (raw.get_u16(), raw.get_i16(), raw.get_u16(), raw.get_u16());
    match sign {
        0xC000 => return Ok("NaN".to_owned()),
        0xD000 => return Ok("Infinity".to_owned()),
        0xF000 => return Ok("-Infinity".to_owned()),
        0 | NEGATIVE => {}
        other => return Err(format!("{other:#06x} is not the sign of a binary numeric")),
    }
    if raw.len() != usize::from(count) * 2 {
        return Err(format!("a binary numeric of {count} digits has {} bytes of them", raw.len()));
    }
    let mut digits = Vec::with_capacity(usize::from(count));
    while raw.has_remaining() {
        match raw.get_u16() {
            digit @ 0..10_000 => digits.push(digit),
            other => return Err(format!("{other} is not a digit of a binary numeric, which are below 10000")),
        }
    }
    // The digit of 10000 to the power of `place`.
    let digit = |place: i32| {
        let index = usize::try_from(i32::from(weight) - place).ok();
        index.and_then(|index| digits.get(index)).copied().unwrap_or(0)
    };
    let mut text = String::new();
    if sign == NEGATIVE {
        text.push('-');
    }
    for place in (0..=i32::from(weight).max(0)).rev() {
        text.push_str(&format!("{:04}", digit(place)));
    }
    let scale = usize::from(scale);
    let groups = i32::try_from(scale.div_ceil(4)).unwrap_or(i32::MAX);
    let fraction: String = (1..=groups).map(|place| format!("{:04}", digit(-place))).collect();
    if scale > 0 {
        text.push('.');
        text.push_str(&fraction[..scale]);
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for (text, expect) in [
            ("0.00", "0000.00"),
            ("12345.6", "00012345.6"),
            ("-10000", "-00010000"),
            ("0.00012345", "0000.00012345"),
            ("99999999999999999999999999999999999999999999999999999999999999999", ""),
        ] {
            let mut out = BytesMut::new();
            Numeric(Some(text.to_owned())).to_sql(&Type::NUMERIC, &mut out).unwrap();
            let read = text_of(&out).unwrap();
            match expect {
                "" => assert_eq!(read.trim_start_matches('0'), text),
                _ => assert_eq!(read, expect),
            }
        }
        assert_eq!(text_of(&[0, 0, 0, 0, 0xC0, 0, 0, 0]).unwrap(), "NaN");
        assert!(text_of(&[0, 1, 0, 0, 0, 0, 0, 0]).is_err(), "a digit is announced and missing");
        assert!(text_of(&[0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff]).is_err());
    }

    fn binary(text: &str) -> Vec<i16> {
        let mut out = BytesMut::new();
        Numeric(Some(text.to_owned())).to_sql(&Type::NUMERIC, &mut out).unwrap();
        out.chunks(2).map(|pair| i16::from_be_bytes([pair[0], pair[1]])).collect()
    }

    #[test]
    fn writes_what_numeric_send_writes() {
        // digits, weight, sign, scale, then the digits
        assert_eq!(binary("0.00"), [0, 0, 0, 2]);
        assert_eq!(binary("12345.6"), [3, 1, 0, 1, 1, 2345, 6000]);
        assert_eq!(binary("-10000"), [1, 1, 0x4000, 0, 1]);
        assert_eq!(binary("0.00012345"), [2, -1, 0, 8, 1, 2345]);
    }
}
