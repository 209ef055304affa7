//! Numbers of any size, exactly.

use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, i256};
use datafusion::scalar::ScalarValue;

use super::Decoded;

/// The most digits of a decimal.
const DIGITS: usize = DECIMAL256_MAX_PRECISION as usize;

/// A number as NUMERIC's text has it: `-12.50`, `1E+28`, `NaN`.
pub(super) fn decode(text: &str) -> Decoded {
    let trimmed = text.trim();
    match trimmed.to_ascii_lowercase().as_str() {
        "nan" => return Ok(ScalarValue::Float64(Some(f64::NAN))),
        "infinity" | "+infinity" | "inf" => return Ok(ScalarValue::Float64(Some(f64::INFINITY))),
        "-infinity" | "-inf" => return Ok(ScalarValue::Float64(Some(f64::NEG_INFINITY))),
        _ => {}
    }
    let wrong = || format!("{:?} is not a number", text.chars().take(100).collect::<String>());
    let (mantissa, exponent) = match trimmed.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
        None => (trimmed, 0),
    };
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(mantissa) => ("-", mantissa),
        None => ("", mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits = format!("{whole}{fraction}");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    digits = digits.trim_start_matches('0').to_owned();
    let mut scale = i32::try_from(fraction.len()).map_err(|_| wrong())?.saturating_sub(exponent);
    // Zeros at the end of a fraction are shown, but never needed.
    while scale > 0 && digits.len().max(scale.unsigned_abs() as usize) > DIGITS && digits.ends_with('0') {
        digits.pop();
        scale -= 1;
    }
    if digits.is_empty() {
        scale = scale.clamp(0, DIGITS as i32);
    }
    let zeros = if scale < 0 && !digits.is_empty() { scale.unsigned_abs() as usize } else { 0 };
    let scale = usize::try_from(scale).unwrap_or(0);
    let precision = digits.len().saturating_add(zeros).max(scale).max(1);
    if precision > DIGITS {
        return Err(format!("a number of {precision} digits; {DIGITS} are the most"));
    }
    let digits = format!("{sign}{:0>1}{}", digits, "0".repeat(zeros));
    // Cannot be cut: both are below the most digits.
    let (places, scale) = (precision as u8, scale as i8);
    if places <= DECIMAL128_MAX_PRECISION {
        return digits
            .parse()
            .map(|value| ScalarValue::Decimal128(Some(value), places, scale))
            .map_err(|_| wrong());
    }
    let value = i256::from_string(&digits).ok_or_else(wrong)?;
    Ok(ScalarValue::Decimal256(Some(value), places, scale))
}

/// `value` as an integer if it is a decimal without a fraction that an integer holds.
pub(super) fn whole(value: ScalarValue) -> ScalarValue {
    let ScalarValue::Decimal128(Some(number), _, 0) = value else { return value };
    match (i64::try_from(number), u64::try_from(number)) {
        (Ok(number), _) => ScalarValue::Int64(Some(number)),
        (_, Ok(number)) => ScalarValue::UInt64(Some(number)),
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_exactly() {
        let decimal = |value, precision, scale| Ok(ScalarValue::Decimal128(Some(value), precision, scale));
        assert_eq!(decode("64.434"), decimal(64434, 5, 3));
        assert_eq!(decode("-0001.50"), decimal(-150, 3, 2));
        assert_eq!(decode("0000.00012345"), decimal(12345, 8, 8));
        assert_eq!(decode("0"), decimal(0, 1, 0));
        assert_eq!(decode("0.00"), decimal(0, 2, 2));
        assert_eq!(decode("1E+28"), decimal(10_i128.pow(28), 29, 0));
        assert_eq!(decode("12.5e-1"), decimal(125, 3, 2));
        assert_eq!(decode("9223372036854775813"), decimal(9_223_372_036_854_775_813, 19, 0));
        let long = "9".repeat(65);
        assert_eq!(decode(&long), Ok(ScalarValue::Decimal256(i256::from_string(&long), 65, 0)));
        let zeros = format!("1.{}", "0".repeat(100));
        assert_eq!(
            decode(&zeros),
            Ok(ScalarValue::Decimal256(i256::from_string(&format!("1{}", "0".repeat(75))), 76, 75))
        );
        assert!(matches!(decode("NaN"), Ok(ScalarValue::Float64(Some(nan))) if nan.is_nan()));
        for wrong in ["", "-", ".", "1.2.3", "x", "1e", "1e99999999999", "--1"] {
            assert!(decode(wrong).is_err(), "{wrong}");
        }
        assert_eq!(decode("1e2000000000"), Err("a number of 2000000001 digits; 76 are the most".to_owned()));
    }

    #[test]
    fn whole_numbers_become_integers_where_one_holds_them() {
        assert_eq!(whole(decode("7").unwrap()), ScalarValue::Int64(Some(7)));
        assert_eq!(whole(decode("18446744073709551615").unwrap()), ScalarValue::UInt64(Some(u64::MAX)));
        for kept in ["18446744073709551616", "7.0", "-9223372036854775809"] {
            assert!(matches!(whole(decode(kept).unwrap()), ScalarValue::Decimal128(..)), "{kept}");
        }
    }
}
