//! DECIMAL's binary form: groups of nine digits in four bytes, big-endian, shorter groups at both ends; the
//! highest bit is flipped, and a negative number has all bits inverted.

use arrow::datatypes::i256;
use crossweave_contract::Value;

use super::bytes::big_endian;

/// Bytes of a group of 0 to 9 digits.
const WIDTH: [usize; 10] = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];
const POWERS: [u64; 10] =
    [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000];

/// Bytes of a DECIMAL(precision, scale).
pub(super) fn width(precision: u8, scale: u8) -> usize {
    groups(precision, scale).map(|digits| WIDTH[digits]).sum()
}

/// Number of digits in each group, from the left.
fn groups(precision: u8, scale: u8) -> impl Iterator<Item = usize> {
    let (whole, fraction) = (usize::from(precision.saturating_sub(scale)), usize::from(scale));
    std::iter::once(whole % 9)
        .chain(std::iter::repeat_n(9, whole / 9))
        .chain(std::iter::repeat_n(9, fraction / 9))
        .chain(std::iter::once(fraction % 9))
}

/// The value of `raw`, a DECIMAL(precision, scale); `None` if its length is another or a group has more digits
/// than it can.
pub(super) fn value(raw: &[u8], precision: u8, scale: u8) -> Option<Value> {
    if raw.len() != width(precision, scale) {
        return None;
    }
    let negative = raw.first()? & 0x80 == 0;
    let mut rest = raw;
    let mut next = |digits: usize| {
        let (group, after) = rest.split_at_checked(WIDTH[digits])?;
        let first = group.as_ptr() == raw.as_ptr() && !group.is_empty();
        rest = after;
        let bits = 8 * group.len();
        let mut number = big_endian(group);
        if negative {
            number ^= (1 << bits) - 1;
        }
        if first {
            number ^= 1 << (bits - 1);
        }
        (number < POWERS[digits] || digits == 0).then_some(number)
    };
    if precision <= 38 {
        let mut unscaled = 0i128;
        for digits in groups(precision, scale) {
            unscaled = unscaled * i128::from(POWERS[digits]) + i128::from(next(digits)?);
        }
        return Some(Value::Decimal(if negative { -unscaled } else { unscaled }));
    }
    let mut unscaled = i256::ZERO;
    for digits in groups(precision, scale) {
        let power = i256::from_i128(POWERS[digits].into());
        unscaled = unscaled.checked_mul(power)?.checked_add(i256::from_i128(next(digits)?.into()))?;
    }
    let unscaled = if negative { unscaled.wrapping_neg() } else { unscaled };
    Some(Value::WideDecimal(unscaled.to_le_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_have_the_servers_widths() {
        assert_eq!(width(10, 2), 5);
        assert_eq!(width(14, 4), 7);
        assert_eq!(width(65, 30), 30);
        assert_eq!(width(38, 38), 17);
        assert_eq!(width(1, 0), 1);
    }

    #[test]
    fn reads_the_manuals_example() {
        let positive = [0x81, 0x0d, 0xfb, 0x38, 0xd2, 0x04, 0xd2];
        assert_eq!(value(&positive, 14, 4), Some(Value::Decimal(12_345_678_901_234)));
        let negative = positive.map(|byte| !byte);
        assert_eq!(value(&negative, 14, 4), Some(Value::Decimal(-12_345_678_901_234)));
    }

    #[test]
    fn refuses_what_is_no_decimal() {
        assert_eq!(value(&[0x80], 10, 2), None);
        assert_eq!(value(&[], 10, 2), None);
        assert_eq!(value(&[0xff, 0xff, 0xff, 0xff, 0xff], 10, 2), None);
    }
}
