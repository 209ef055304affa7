//! Collation keys: bytes that compare as MariaDB compares the texts they stand for.
//!
//! How can trailing spaces be ignored while `'a' > 'a\t'` still holds? Under PAD SPACE the shorter text counts
//! as if it went on with spaces for ever. So every run of spaces is followed by a byte that says how the run
//! ends: before a smaller unit, never (the end of the text), or before a greater one; and how long it was,
//! rising in the first case and falling in the last. An end is always written, so `'a'` and `'a  '` give one key.
//!
//! Units are the 16-bit weights of the server, written in one to three bytes such that shorter forms are smaller
//! and none is the beginning of another; ASCII text under `general_ci` costs one byte a character. Most binary
//! collations compare code points, which UTF-8's bytes already do, so their units are bytes; those of other codes have
//! the codes for weights.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crossweave_contract::{Collation, CollationFamily, CollationWeights, PadAttribute};

/// How a run of spaces ends. Runs up to [`SHORT`] take one byte, longer ones five.
const END: u8 = 0x80;
const SHORT: u32 = 0x3C;
const LONG_BEFORE_SMALLER: u8 = 0x3D;
const LONG_BEFORE_GREATER: u8 = 0xC2;

/// Makes the keys of one collation. Equal if the collations are.
pub struct KeyEncoder {
    collation: Collation,
    form: Form,
}

enum Form {
    /// The text's own bytes.
    Bytes,
    /// The text's bytes, with spaces as the header says.
    PaddedBytes,
    /// Weights of characters.
    Weighted { weights: Box<Weighted>, padded: bool },
}

struct Weighted {
    source: Arc<CollationWeights>,
    /// Start of each code point's units in `bytes`, as they are written.
    offsets: Vec<u32>,
    bytes: Vec<u8>,
    beyond: Vec<u8>,
    space: Vec<u8>,
    /// Characters other than the space whose weight has the space's unit in it.
    with_space: Vec<char>,
    /// For each ASCII character its one byte, if each has just one and only the space has the space's.
    ascii: Option<Box<[u8; 128]>>,
    /// Whether characters past the table are equal to LIKE as they are to `=`.
    beyond_alike: bool,
}

/// Plans and their errors show it: the name says all, and the weights would be megabytes.
impl fmt::Debug for KeyEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyEncoder").field(&self.collation.name).finish()
    }
}

impl KeyEncoder {
    /// The encoder of a binary collation, if its order is that of code points.
    pub fn binary(collation: &Collation) -> Option<Self> {
        if !collation.orders_by_code_point() {
            return None;
        }
        let form = match collation.pad() {
            PadAttribute::NoPad => Form::Bytes,
            PadAttribute::PadSpace => Form::PaddedBytes,
        };
        Some(Self { collation: collation.clone(), form })
    }

    /// The encoder of a collation whose weights the server gave.
    pub fn weighted(weights: Arc<CollationWeights>) -> Self {
        let collation = weights.collation.clone();
        let padded = collation.pad() == PadAttribute::PadSpace;
        Self { form: Form::Weighted { weights: Box::new(Weighted::new(weights)), padded }, collation }
    }

    /// Whose keys.
    pub fn collation(&self) -> &Collation {
        &self.collation
    }

    /// Whether it was made of these very weights.
    pub(super) fn is_of(&self, weights: &Arc<CollationWeights>) -> bool {
        matches!(&self.form, Form::Weighted { weights: own, .. } if Arc::ptr_eq(&own.source, weights))
    }

    /// Whether the text's own bytes already compare rightly, so that no key is needed.
    pub fn is_bytes(&self) -> bool {
        matches!(self.form, Form::Bytes)
    }

    /// Whether texts that differ in case only are different.
    pub fn is_binary(&self) -> bool {
        self.collation.family() == CollationFamily::Binary
    }

    /// Appends the key of `text`.
    pub fn encode(&self, text: &str, out: &mut Vec<u8>) {
        match &self.form {
            Form::Bytes => out.extend_from_slice(text.as_bytes()),
            Form::PaddedBytes => encode_ascii(text.as_bytes(), b' ', |byte| byte, out),
            Form::Weighted { weights, padded: true } => match &weights.ascii {
                Some(table) if text.is_ascii() => {
                    encode_ascii(
                        text.as_bytes(),
                        weights.space[0],
                        |byte| table[usize::from(byte & 0x7F)],
                        out,
                    );
                }
                _ => weights.encode_padded(text, out),
            },
            Form::Weighted { weights, padded: false } => weights.encode_unpadded(text, out),
        }
    }

    /// The key of `text`.
    pub fn key(&self, text: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 4);
        self.encode(text, &mut out);
        out
    }

    /// Whether LIKE takes the two characters for the same.
    pub fn same_character(&self, left: char, right: char) -> bool {
        left == right
            || match &self.form {
                Form::Weighted { weights, .. } => weights.same_character(left, right),
                Form::Bytes | Form::PaddedBytes => false,
            }
    }
}

impl PartialEq for KeyEncoder {
    fn eq(&self, other: &Self) -> bool {
        self.collation == other.collation
    }
}

impl Eq for KeyEncoder {}

impl Hash for KeyEncoder {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.collation.hash(state);
    }
}

impl Weighted {
    fn new(source: Arc<CollationWeights>) -> Self {
        let count = source.offsets.len().saturating_sub(1);
        let space_unit = units(source.weight(' ')).next();
        let mut table = Self {
            offsets: Vec::with_capacity(count + 1),
            bytes: Vec::with_capacity(source.bytes.len()),
            beyond: written(&source.beyond),
            space: written(source.weight(' ')),
            with_space: Vec::new(),
            ascii: None,
            beyond_alike: source.collation.name.contains("_general_"),
            source,
        };
        table.offsets.push(0);
        for code in 0..count {
            let (from, to) = (table.source.offsets[code] as usize, table.source.offsets[code + 1] as usize);
            let weight = &table.source.bytes[from..to];
            for unit in units(weight) {
                write_unit(unit, &mut table.bytes);
            }
            table.offsets.push(table.bytes.len() as u32);
            let character = u32::try_from(code).ok().and_then(char::from_u32);
            if let Some(character) = character.filter(|c| *c != ' ')
                && space_unit.is_some_and(|space| units(weight).any(|unit| unit == space))
            {
                table.with_space.push(character);
            }
        }
        table.ascii = table.ascii_table();
        table
    }

    fn ascii_table(&self) -> Option<Box<[u8; 128]>> {
        let mut ascii = Box::new([0u8; 128]);
        for (byte, slot) in (0u8..).zip(ascii.iter_mut()) {
            let character = char::from(byte);
            match self.weight(character) {
                [one] if !self.with_space.contains(&character) => *slot = *one,
                _ => return None,
            }
        }
        Some(ascii)
    }

    fn weight(&self, character: char) -> &[u8] {
        let code = character as usize;
        match (self.offsets.get(code), self.offsets.get(code + 1)) {
            (Some(&start), Some(&end)) => &self.bytes[start as usize..end as usize],
            _ => &self.beyond,
        }
    }

    fn in_table(&self, character: char) -> bool {
        (character as usize) + 1 < self.offsets.len()
    }

    fn same_character(&self, left: char, right: char) -> bool {
        (self.beyond_alike || (self.in_table(left) && self.in_table(right)))
            && self.weight(left) == self.weight(right)
    }

    fn encode_unpadded(&self, text: &str, out: &mut Vec<u8>) {
        match &self.ascii {
            Some(table) if text.is_ascii() => {
                out.extend(text.bytes().map(|byte| table[usize::from(byte & 0x7F)]));
            }
            _ => text.chars().for_each(|character| out.extend_from_slice(self.weight(character))),
        }
    }

    fn encode_padded(&self, text: &str, out: &mut Vec<u8>) {
        let mut run = 0u32;
        let mut append = |unit: &[u8], out: &mut Vec<u8>| {
            if unit == self.space {
                run += 1;
                return;
            }
            if run > 0 {
                write_run(&self.space, run, unit < self.space.as_slice(), out);
                run = 0;
            }
            out.extend_from_slice(unit);
        };
        for character in text.chars() {
            let weight = self.weight(character);
            if weight.is_empty() {
                continue;
            }
            if !self.with_space.is_empty() && self.with_space.binary_search(&character).is_ok() {
                for unit in units(self.source.weight(character)) {
                    let mut bytes = Vec::with_capacity(3);
                    write_unit(unit, &mut bytes);
                    append(&bytes, out);
                }
            } else {
                append(weight, out);
            }
        }
        out.extend_from_slice(&self.space);
        out.push(END);
    }
}

/// The key of a text whose units are one byte each.
fn encode_ascii(text: &[u8], space: u8, unit: impl Fn(u8) -> u8, out: &mut Vec<u8>) {
    let length = text.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
    let text = &text[..length];
    let mut at = 0;
    while at < text.len() {
        let word = text[at..].iter().position(|&byte| byte == b' ').map_or(text.len(), |n| at + n);
        out.extend(text[at..word].iter().map(|&byte| unit(byte)));
        at = word;
        let run = text[at..].iter().take_while(|&&byte| byte == b' ').count();
        if run > 0 {
            at += run;
            write_run(&[space], run as u32, unit(text[at]) < space, out);
        }
    }
    out.push(space);
    out.push(END);
}

fn write_run(space: &[u8], run: u32, before_smaller: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(space);
    match (before_smaller, run <= SHORT) {
        (true, true) => out.push(run as u8),
        (true, false) => {
            out.push(LONG_BEFORE_SMALLER);
            out.extend_from_slice(&run.to_be_bytes());
        }
        (false, true) => out.push(0xFF - run as u8),
        (false, false) => {
            out.push(LONG_BEFORE_GREATER);
            out.extend_from_slice(&(!run).to_be_bytes());
        }
    }
}

/// The units of a weight: 16 bits each; a weight of an odd number of bytes comes from an 8-bit character set.
fn units(weight: &[u8]) -> impl Iterator<Item = u16> {
    let width = if weight.len().is_multiple_of(2) { 2 } else { 1 };
    weight.chunks_exact(width).map(|unit| match *unit {
        [high, low] => u16::from_be_bytes([high, low]),
        [byte] => u16::from(byte),
        _ => 0,
    })
}

fn written(weight: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    units(weight).for_each(|unit| write_unit(unit, &mut out));
    out
}

fn write_unit(unit: u16, out: &mut Vec<u8>) {
    match unit {
        0..0x80 => out.push(unit as u8),
        0x80..0x6080 => {
            let [high, low] = (unit - 0x80).to_be_bytes();
            out.extend([0x80 + high, low]);
        }
        _ => {
            let [high, low] = (unit - 0x6080).to_be_bytes();
            out.extend([0xE0, high, low]);
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
