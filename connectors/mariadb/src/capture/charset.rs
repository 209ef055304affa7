//! Text as the binlog has it: in the column's own character set, which the client protocol would have converted.

use std::borrow::Cow;

/// A character set that is decoded here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Charset {
    /// utf8mb4, utf8mb3 and ascii.
    Utf8,
    /// MariaDB's latin1: Windows' code page 1252, whose five undefined bytes are the control characters of the
    /// same number.
    Latin1,
    /// ucs2 and utf16.
    Utf16BigEndian,
    /// utf16le.
    Utf16LittleEndian,
    /// utf32.
    Utf32,
}

/// The characters of the bytes 0x80 to 0x9f in MariaDB's latin1.
const LATIN1_HIGH: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}', '\u{2c6}',
    '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}', '\u{90}', '\u{2018}',
    '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}', '\u{2dc}', '\u{2122}', '\u{161}',
    '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}', '\u{178}',
];

impl Charset {
    /// The character set of MariaDB's name, if it is decoded here.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "utf8mb4" | "utf8mb3" | "utf8" | "ascii" => Self::Utf8,
            "latin1" => Self::Latin1,
            "ucs2" | "utf16" => Self::Utf16BigEndian,
            "utf16le" => Self::Utf16LittleEndian,
            "utf32" => Self::Utf32,
            _ => return None,
        })
    }

    /// `raw` as text; `None` if it is not of this character set.
    pub(super) fn decode(self, raw: &[u8]) -> Option<Cow<'_, str>> {
        match self {
            Self::Utf8 => std::str::from_utf8(raw).ok().map(Cow::Borrowed),
            Self::Latin1 if raw.is_ascii() => std::str::from_utf8(raw).ok().map(Cow::Borrowed),
            Self::Latin1 => Some(raw.iter().map(|byte| latin1(*byte)).collect()),
            Self::Utf16BigEndian => utf16(raw, u16::from_be_bytes),
            Self::Utf16LittleEndian => utf16(raw, u16::from_le_bytes),
            Self::Utf32 => {
                let (units, []) = raw.as_chunks::<4>() else { return None };
                units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit))).collect()
            }
        }
    }
}

/// Text of a statement in MariaDB's latin1.
pub(super) fn latin1(byte: u8) -> char {
    match byte {
        0x80..=0x9f => LATIN1_HIGH[usize::from(byte - 0x80)],
        _ => char::from(byte),
    }
}

fn utf16(raw: &[u8], unit: fn([u8; 2]) -> u16) -> Option<Cow<'_, str>> {
    let (units, []) = raw.as_chunks::<2>() else { return None };
    char::decode_utf16(units.iter().map(|bytes| unit(*bytes))).collect::<Result<_, _>>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_character_set_gives_the_same_text() {
        let check = |name: &str, raw: &[u8], text: Option<&str>| {
            let charset = Charset::named(name).expect("known");
            assert_eq!(charset.decode(raw).as_deref(), text, "{name} {raw:?}");
        };
        check("utf8mb4", "é😀".as_bytes(), Some("é😀"));
        check("utf8mb4", &[0xff], None);
        check("latin1", &[b'a', 0xe9, 0x80, 0x81], Some("aé€\u{81}"));
        check("ucs2", &[0, b'a', 0x20, 0xac], Some("a€"));
        check("utf16", &[0xd8, 0x3d, 0xde, 0x00], Some("😀"));
        check("utf16le", &[0x3d, 0xd8, 0x00, 0xde], Some("😀"));
        check("utf16", &[0xd8, 0x3d], None);
        check("utf16", &[0], None);
        check("utf32", &[0, 1, 0xf6, 0], Some("😀"));
        check("utf32", &[0, 0x11, 0, 0], None);
        assert_eq!(Charset::named("koi8r"), None);
    }
}
