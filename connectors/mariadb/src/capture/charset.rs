//! Text as the binlog has it: in the column's own character set, which the client protocol would have converted.
//!
//! Why can a captured text not differ from the one that is read? Unicode's forms and latin1 are decoded here, and
//! refused where the client protocol's text is (a surrogate that stands alone). Of every other character set the server
//! is asked what it makes of each character ([`ask`]), what it shows as `?` included.

mod ask;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crossweave_contract::{CaptureTables, ColumnType, Result};

use crate::SourceOptions;

/// The character sets that were asked for, by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Charsets {
    asked: HashMap<Box<str>, Arc<Characters>>,
}

/// What the bytes of a character set are, where it is none of Unicode's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Characters {
    /// Of one byte each; `None` for one that begins more.
    singles: Vec<Option<char>>,
    /// Of two bytes each, by both as a number; empty where there are none.
    doubles: Vec<Option<char>>,
    /// Of three bytes each, by the last two as a number; the first is [`ask::FIRST_OF_THREE`].
    triples: Vec<Option<char>>,
}

/// A character set that can be decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Charset {
    /// utf8mb4, utf8mb3 and ascii.
    Utf8,
    /// MariaDB's latin1: Windows' code page 1252, whose five undefined bytes are the control characters of the
    /// same number.
    Latin1,
    /// ucs2, in which surrogates are no pairs.
    Ucs2,
    /// utf16.
    Utf16BigEndian,
    /// utf16le.
    Utf16LittleEndian,
    /// utf32.
    Utf32,
    /// One that the server was asked for.
    Asked(Arc<Characters>),
}

/// The characters of the bytes 0x80 to 0x9f in MariaDB's latin1.
const LATIN1_HIGH: [char; 32] = [
    '\u{20ac}', '\u{81}', '\u{201a}', '\u{192}', '\u{201e}', '\u{2026}', '\u{2020}', '\u{2021}', '\u{2c6}',
    '\u{2030}', '\u{160}', '\u{2039}', '\u{152}', '\u{8d}', '\u{17d}', '\u{8f}', '\u{90}', '\u{2018}',
    '\u{2019}', '\u{201c}', '\u{201d}', '\u{2022}', '\u{2013}', '\u{2014}', '\u{2dc}', '\u{2122}', '\u{161}',
    '\u{203a}', '\u{153}', '\u{9d}', '\u{17e}', '\u{178}',
];

impl Charsets {
    /// Asks the server at `options` for the character sets of `tables` that are not known yet.
    pub(super) async fn complete(&mut self, options: &SourceOptions, tables: &CaptureTables) -> Result<()> {
        let columns = tables.tables.iter().flat_map(|table| &table.columns);
        let names = columns.filter_map(|column| match &column.column_type {
            ColumnType::Text { collation } | ColumnType::Json { collation } => Some(collation.charset.as_str()),
            _ => None,
        });
        let unknown: HashSet<&str> = names.filter(|name| self.named(name).is_none()).collect();
        self.asked.extend(ask::characters(options, unknown).await?);
        Ok(())
    }

    /// The character set of MariaDB's name, if it is built in or was asked for.
    pub(super) fn named(&self, name: &str) -> Option<Charset> {
        Some(match name {
            "utf8mb4" | "utf8mb3" | "utf8" | "ascii" => Charset::Utf8,
            "latin1" => Charset::Latin1,
            "ucs2" => Charset::Ucs2,
            "utf16" => Charset::Utf16BigEndian,
            "utf16le" => Charset::Utf16LittleEndian,
            "utf32" => Charset::Utf32,
            _ => Charset::Asked(Arc::clone(self.asked.get(name)?)),
        })
    }
}

impl Characters {
    fn decode(&self, raw: &[u8]) -> Option<String> {
        let mut text = String::with_capacity(raw.len() * 2);
        let mut rest = raw;
        while let Some((first, after)) = rest.split_first() {
            let (c, after) = match (self.singles[usize::from(*first)], after) {
                (Some(c), after) => (c, after),
                (None, [second, third, after @ ..])
                    if *first == ask::FIRST_OF_THREE && !self.triples.is_empty() =>
                {
                    (self.triples[usize::from(u16::from_be_bytes([*second, *third]))]?, after)
                }
                (None, [second, after @ ..]) => {
                    let pair = usize::from(u16::from_be_bytes([*first, *second]));
                    ((*self.doubles.get(pair)?)?, after)
                }
                (None, []) => return None,
            };
            text.push(c);
            rest = after;
        }
        Some(text)
    }
}

impl Charset {
    /// `raw` as text; `None` if it is not of this character set.
    pub(super) fn decode<'a>(&self, raw: &'a [u8]) -> Option<Cow<'a, str>> {
        match self {
            Self::Utf8 => std::str::from_utf8(raw).ok().map(Cow::Borrowed),
            Self::Latin1 if raw.is_ascii() => std::str::from_utf8(raw).ok().map(Cow::Borrowed),
            Self::Latin1 => Some(raw.iter().map(|byte| latin1(*byte)).collect()),
            Self::Ucs2 => {
                let (units, []) = raw.as_chunks::<2>() else { return None };
                units.iter().map(|unit| char::from_u32(u16::from_be_bytes(*unit).into())).collect()
            }
            Self::Utf16BigEndian => utf16(raw, u16::from_be_bytes),
            Self::Utf16LittleEndian => utf16(raw, u16::from_le_bytes),
            Self::Utf32 => {
                let (units, []) = raw.as_chunks::<4>() else { return None };
                units.iter().map(|unit| char::from_u32(u32::from_be_bytes(*unit))).collect()
            }
            Self::Asked(characters) => characters.decode(raw).map(Cow::Owned),
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
            let charset = Charsets::default().named(name).expect("known");
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
        check("ucs2", &[0xd8, 0x3d, 0xde, 0x00], None);
        assert_eq!(Charsets::default().named("koi8r"), None);
    }
}
