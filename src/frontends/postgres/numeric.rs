//! NUMERIC on the wire with as many digits as MariaDB's DECIMAL has, which is more than client libraries' own
//! decimal types hold.

use std::error::Error;

use bytes::{BufMut, BytesMut};
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

#[cfg(test)]
mod tests {
    use super::*;

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
