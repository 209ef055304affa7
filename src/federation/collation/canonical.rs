//! UUID, INET4 and INET6: values with one canonical text each, compared by what they stand for.
//!
//! A literal may be written in any form that MariaDB takes; one that cannot be read compares as NULL, as there.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The key of a UUID: its bytes as MariaDB stores and orders them. Versions 1 to 5 are stored with their groups
/// in reverse order, so that their times come first.
pub(super) fn uuid_key(text: &str) -> Option<[u8; 16]> {
    let bytes = parse_uuid(text)?;
    let reordered = (0x01..0x60).contains(&bytes[6]) && bytes[8] & 0x80 != 0;
    if !reordered {
        return Some(bytes);
    }
    let mut key = [0; 16];
    key[..6].copy_from_slice(&bytes[10..]);
    key[6..8].copy_from_slice(&bytes[8..10]);
    key[8..10].copy_from_slice(&bytes[6..8]);
    key[10..12].copy_from_slice(&bytes[4..6]);
    key[12..].copy_from_slice(&bytes[..4]);
    Some(key)
}

/// 32 hexadecimal digits, with or without hyphens between them.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let mut digits = text.trim_end_matches(' ').bytes().filter(|&byte| byte != b'-');
    let mut bytes = [0u8; 16];
    for byte in &mut bytes {
        let high = char::from(digits.next()?).to_digit(16)?;
        let low = char::from(digits.next()?).to_digit(16)?;
        *byte = (high << 4 | low) as u8;
    }
    digits.next().is_none().then_some(bytes)
}

/// The key of an INET4: its four bytes.
pub(super) fn inet4_key(text: &str) -> Option<[u8; 4]> {
    text.trim_end_matches(' ').parse::<Ipv4Addr>().ok().map(|address| address.octets())
}

/// The key of an INET6: its sixteen bytes.
pub(super) fn inet6_key(text: &str) -> Option<[u8; 16]> {
    text.trim_end_matches(' ').parse::<Ipv6Addr>().ok().map(|address| address.octets())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_come_in_mariadbs_order() {
        let ascending = [
            "00000000-0000-0000-0000-000000000000",
            "00000000-0000-4000-0000-000000000002",
            "ffffffff-0000-4000-8000-000000000001",
            "ffffffff-0000-4000-c000-000000000001",
            "00000000-0000-4000-8000-0000000000ff",
            "00000000-0000-5000-8000-00000000aaaa",
            "018f0000-0000-6000-8000-ff0000000000",
            "018f0000-0000-7000-8000-000000000000",
            "018f0000-0000-7000-8000-000000000001",
            "6ccd780c-baba-1026-9564-5b8c656024db",
            "ffffffff-ffff-ffff-ffff-ffffffffffff",
        ];
        for pair in ascending.windows(2) {
            assert!(uuid_key(pair[0]).unwrap() < uuid_key(pair[1]).unwrap(), "{pair:?}");
        }
    }

    #[test]
    fn other_spellings_are_the_same_value() {
        assert_eq!(
            uuid_key("6CCD780CBABA102695645B8C656024DB"),
            uuid_key("6ccd780c-baba-1026-9564-5b8c656024db")
        );
        assert_eq!(inet6_key("2001:0DB8:0:0:0:0:0:1"), inet6_key("2001:db8::1"));
        assert_eq!(inet6_key("::ffff:1.2.3.4"), inet6_key("::FFFF:102:304"));
        assert!(inet4_key("9.0.0.1") < inet4_key("10.0.0.1"));
        assert_eq!((uuid_key("garbage"), inet4_key("1.2.3"), inet6_key("1.2.3.4")), (None, None, None));
    }
}
