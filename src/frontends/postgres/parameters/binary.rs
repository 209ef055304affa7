//! Values in the binary format.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use datafusion::scalar::ScalarValue;
use pgwire::api::Type;
use postgres_types::Kind;

use super::{Decoded, array, decimal, utf8};
use crate::frontends::postgres::numeric;

/// Days and microseconds from 1970 to 2000, where PostgreSQL counts from.
const EPOCH_DAYS: i32 = 10_957;
const EPOCH_MICROS: i64 = 946_684_800_000_000;

/// `raw` as a value of the type `wire`.
pub(super) fn decode(wire: &Type, raw: &[u8]) -> Decoded {
    Ok(match *wire {
        Type::BOOL => ScalarValue::Boolean(Some(fixed::<1>(wire, raw)? != [0])),
        Type::INT2 => ScalarValue::Int64(Some(i16::from_be_bytes(fixed(wire, raw)?).into())),
        Type::INT4 => ScalarValue::Int64(Some(i32::from_be_bytes(fixed(wire, raw)?).into())),
        Type::INT8 => ScalarValue::Int64(Some(i64::from_be_bytes(fixed(wire, raw)?))),
        Type::OID => ScalarValue::Int64(Some(u32::from_be_bytes(fixed(wire, raw)?).into())),
        Type::FLOAT4 => ScalarValue::Float32(Some(f32::from_be_bytes(fixed(wire, raw)?))),
        Type::FLOAT8 => ScalarValue::Float64(Some(f64::from_be_bytes(fixed(wire, raw)?))),
        Type::NUMERIC => decimal::decode(&numeric::text_of(raw)?)?,
        Type::BYTEA => ScalarValue::Binary(Some(raw.to_vec())),
        Type::DATE => {
            let days = i32::from_be_bytes(fixed(wire, raw)?).checked_add(EPOCH_DAYS);
            ScalarValue::Date32(Some(days.ok_or_else(|| infinite(wire))?))
        }
        Type::TIME => ScalarValue::Time64Microsecond(Some(i64::from_be_bytes(fixed(wire, raw)?))),
        Type::TIMESTAMP => ScalarValue::TimestampMicrosecond(Some(moment(wire, raw)?), None),
        Type::TIMESTAMPTZ => ScalarValue::TimestampMicrosecond(Some(moment(wire, raw)?), Some("+00:00".into())),
        Type::INTERVAL => interval(wire, raw)?,
        Type::UUID => ScalarValue::from(uuid(fixed(wire, raw)?)),
        Type::INET | Type::CIDR => ScalarValue::from(address(raw).ok_or_else(|| unknown(wire))?),
        Type::JSONB => match raw {
            [1, text @ ..] => ScalarValue::from(utf8(text)?),
            _ => return Err(unknown(wire)),
        },
        Type::TEXT
        | Type::VARCHAR
        | Type::BPCHAR
        | Type::NAME
        | Type::UNKNOWN
        | Type::JSON
        | Type::XML
        | Type::CHAR => ScalarValue::from(utf8(raw)?),
        _ => match wire.kind() {
            Kind::Array(_) => array::from_binary(raw)?,
            _ => return Err(unknown(wire)),
        },
    })
}

fn unknown(wire: &Type) -> String {
    format!("type {} is not understood in the binary format: send it as text", wire.name())
}

fn infinite(wire: &Type) -> String {
    format!("it is past the last {}: MariaDB has no infinity", wire.name())
}

fn fixed<const N: usize>(wire: &Type, raw: &[u8]) -> Result<[u8; N], String> {
    raw.try_into().map_err(|_| format!("a binary {} has {N} bytes; found {}", wire.name(), raw.len()))
}

fn moment(wire: &Type, raw: &[u8]) -> Result<i64, String> {
    i64::from_be_bytes(fixed(wire, raw)?).checked_add(EPOCH_MICROS).ok_or_else(|| infinite(wire))
}

fn interval(wire: &Type, raw: &[u8]) -> Decoded {
    let raw: [u8; 16] = fixed(wire, raw)?;
    let whole = i128::from_be_bytes(raw);
    // Microseconds, days, months, from the front.
    let (micros, days, months) = ((whole >> 64) as i64, (whole >> 32) as i32, whole as i32);
    let nanos = micros.checked_mul(1_000).ok_or("an interval of more than 292 years of microseconds")?;
    Ok(ScalarValue::new_interval_mdn(months, days, nanos))
}

fn uuid(raw: [u8; 16]) -> String {
    let digits = format!("{:032x}", u128::from_be_bytes(raw));
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

fn address(raw: &[u8]) -> Option<String> {
    let [_family, bits, _is_network, _length, address @ ..] = raw else { return None };
    let address = match address.len() {
        4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(address).ok()?)),
        16 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(address).ok()?)),
        _ => return None,
    };
    let whole = if address.is_ipv4() { 32 } else { 128 };
    Some(if *bits == whole { address.to_string() } else { format!("{address}/{bits}") })
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use postgres_types::ToSql;

    use super::*;
    use crate::frontends::postgres::numeric::Numeric;

    fn sent(wire: &Type, value: &dyn ToSql) -> Decoded {
        let mut out = BytesMut::new();
        value.to_sql_checked(wire, &mut out).unwrap();
        decode(wire, &out)
    }

    #[test]
    fn reads_what_drivers_send() {
        assert_eq!(sent(&Type::INT2, &-5_i16), Ok(ScalarValue::Int64(Some(-5))));
        assert_eq!(sent(&Type::INT8, &i64::MIN), Ok(ScalarValue::Int64(Some(i64::MIN))));
        assert_eq!(sent(&Type::BOOL, &true), Ok(ScalarValue::Boolean(Some(true))));
        assert_eq!(sent(&Type::FLOAT8, &0.1), Ok(ScalarValue::Float64(Some(0.1))));
        assert_eq!(sent(&Type::TEXT, &"é"), Ok(ScalarValue::from("é")));
        let numeric = sent(&Type::NUMERIC, &Numeric(Some("-64.434".to_owned())));
        assert_eq!(numeric, Ok(ScalarValue::Decimal128(Some(-64434), 5, 3)));
        assert_eq!(decode(&Type::DATE, &0_i32.to_be_bytes()), Ok(ScalarValue::Date32(Some(EPOCH_DAYS))));
        let moment = ScalarValue::TimestampMicrosecond(Some(EPOCH_MICROS + 1), None);
        assert_eq!(decode(&Type::TIMESTAMP, &1_i64.to_be_bytes()), Ok(moment));
        let raw = [&7_i64.to_be_bytes()[..], &2_i32.to_be_bytes(), &(-1_i32).to_be_bytes()].concat();
        assert_eq!(decode(&Type::INTERVAL, &raw), Ok(ScalarValue::new_interval_mdn(-1, 2, 7_000)));
        let raw: Vec<u8> = (0..16).collect();
        assert_eq!(decode(&Type::UUID, &raw), Ok(ScalarValue::from("00010203-0405-0607-0809-0a0b0c0d0e0f")));
        assert_eq!(decode(&Type::INET, &[2, 32, 0, 4, 127, 0, 0, 1]), Ok(ScalarValue::from("127.0.0.1")));
        assert_eq!(decode(&Type::JSONB, b"\x01{}"), Ok(ScalarValue::from("{}")));
    }

    #[test]
    fn refuses_what_it_cannot_read() {
        assert_eq!(decode(&Type::INT4, &[0]), Err("a binary int4 has 4 bytes; found 1".to_owned()));
        assert!(decode(&Type::DATE, &i32::MAX.to_be_bytes()).is_err(), "infinity");
        assert!(decode(&Type::POINT, &[0; 16]).unwrap_err().contains("send it as text"));
        assert!(decode(&Type::TEXT, &[0xff]).is_err());
    }
}
