//! Collation keys: bytes that compare as MariaDB compares the texts they stand for.
//!
//! How can trailing spaces be ignored while `'a' > 'a\t'` still holds? Under PAD SPACE the shorter text counts
//! as if it went on with spaces for ever. So every run of spaces is followed by a byte that says how the run
//! ends: before a smaller unit, never (the end of the text), or before a greater one; and how long it was,
//! rising in the first case and falling in the last. An end is always written, so `'a'` and `'a  '` give one key.
//!
//! Units are the 16-bit weights of the server, written in one to three bytes such that shorter forms are smaller
//! and none is the beginning of another; ASCII text under `general_ci` costs one byte a character. Binary
//! collations compare code points, which UTF-8's bytes already do, so their units are bytes.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crossweave_contract::{Collation, CollationFamily, CollationWeights, PadAttribute};

/// How a run of spaces ends. Runs up to [`SHORT`] take one byte, longer ones five.
const END: u8 = 0x80;
const SHORT: u32 = 0x3C;
const LONG_BEFORE_SMALLER: u8 = 0x3D;
const LONG_BEFORE_GREATER: u8 = 0xC2;

/// Makes the keys of one collation. Equal if the collations are.
#[derive(Debug)]
pub struct KeyEncoder {
    collation: Collation,
    form: Form,
}

#[derive(Debug)]
enum Form {
    /// The text's own bytes.
    Bytes,
    /// The text's bytes, with spaces as the header says.
    PaddedBytes,
    /// Weights of characters.
    Weighted { weights: Box<Weighted>, padded: bool },
}

#[derive(Debug)]
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

impl KeyEncoder {
    /// The encoder of a binary collation, if its order is that of code points.
    pub fn binary(collation: &Collation) -> Option<Self> {
        if collation.family() != CollationFamily::Binary || !orders_by_code_point(&collation.charset) {
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

    /// Whether the text's own bytes already compare rightly, so that no key is needed.
    pub fn is_bytes(&self) -> bool {
        matches!(self.form, Form::Bytes)
    }

    /// Whether texts that differ in case only are different.
    pub fn is_binary(&self) -> bool {
        !matches!(self.form, Form::Weighted { .. })
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

/// Whether texts of this character set, compared by their own bytes, come in the order of UTF-8's bytes.
fn orders_by_code_point(charset: &str) -> bool {
    matches!(
        charset,
        "utf8mb4" | "utf8mb3" | "utf8" | "ucs2" | "utf16" | "utf16le" | "utf32" | "ascii" | "binary"
    )
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
pub(super) mod tests {
    use std::cmp::Ordering;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Weights as `general_ci` has them, near enough: capitals, without accents on Latin letters.
    pub(crate) fn general_like(name: &str) -> Arc<CollationWeights> {
        weights_of(name, |character| {
            let plain = match character {
                'À'..='Å' | 'à'..='å' => 'A',
                'È'..='Ë' | 'è'..='ë' => 'E',
                'ß' => 'S',
                other => other,
            };
            let mut upper = plain.to_uppercase();
            let upper = upper.next().filter(|_| upper.next().is_none()).unwrap_or(plain);
            vec![upper as u32 as u16]
        })
    }

    /// Weights as `unicode_ci` has them, near enough: two bytes even for ASCII, controls ignored, expansions,
    /// the tab below the space, and a character that contains a space.
    fn unicode_like(name: &str) -> Arc<CollationWeights> {
        weights_of(name, |character| match character {
            '\t' => vec![0x201],
            '\u{0}'..'\u{20}' | '\u{300}'..'\u{370}' => vec![],
            ' ' | '\u{a0}' => vec![0x209],
            '\u{a8}' => vec![0x209, 0x300],
            'ß' => vec![0xFEA, 0xFEA],
            's' | 'S' => vec![0xFEA],
            other => vec![0xE00 + (other.to_lowercase().next().unwrap_or(other) as u32 as u16 % 0x100)],
        })
    }

    fn weights_of(name: &str, weight: impl Fn(char) -> Vec<u16>) -> Arc<CollationWeights> {
        let mut offsets = vec![0];
        let mut bytes = Vec::new();
        for code in 0..0x600u32 {
            let units = weight(char::from_u32(code).unwrap());
            bytes.extend(units.iter().flat_map(|unit| unit.to_be_bytes()));
            offsets.push(bytes.len() as u32);
        }
        let collation = Collation::new("utf8mb4", name);
        Arc::new(CollationWeights { collation, offsets, bytes, beyond: vec![0xFF, 0xFD] })
    }

    /// Compares as MariaDB's code does: unit by unit, the shorter one filled up with spaces.
    fn direct(left: &[u16], right: &[u16], pad: Option<u16>) -> Ordering {
        match pad {
            None => left.cmp(right),
            Some(space) => (0..left.len().max(right.len()))
                .map(|i| left.get(i).unwrap_or(&space).cmp(right.get(i).unwrap_or(&space)))
                .find(|order| order.is_ne())
                .unwrap_or(Ordering::Equal),
        }
    }

    fn all_units(encoder: &KeyEncoder, text: &str) -> Vec<u16> {
        match &encoder.form {
            Form::Weighted { weights, .. } => {
                text.chars().flat_map(|c| units(weights.source.weight(c)).collect::<Vec<_>>()).collect()
            }
            _ => text.bytes().map(u16::from).collect(),
        }
    }

    fn encoders() -> Vec<KeyEncoder> {
        let mut all: Vec<_> = ["utf8mb4_bin", "utf8mb4_nopad_bin"]
            .iter()
            .map(|name| KeyEncoder::binary(&Collation::new("utf8mb4", *name)).unwrap())
            .collect();
        all.push(KeyEncoder::weighted(general_like("utf8mb4_general_ci")));
        all.push(KeyEncoder::weighted(general_like("utf8mb4_general_nopad_ci")));
        all.push(KeyEncoder::weighted(unicode_like("utf8mb4_unicode_ci")));
        all.push(KeyEncoder::weighted(unicode_like("utf8mb4_unicode_nopad_ci")));
        all
    }

    #[test]
    fn keys_compare_as_the_texts_do() {
        let alphabet: Vec<char> = "  \t\u{1}aAbé€ß\u{a8}\u{a0}中😀".chars().collect();
        let mut random = StdRng::seed_from_u64(7);
        let mut text = || -> String {
            let length = random.random_range(0..7);
            (0..length).map(|_| alphabet[random.random_range(0..alphabet.len())]).collect()
        };
        for encoder in encoders() {
            let pad = (encoder.collation.pad() == PadAttribute::PadSpace).then(|| all_units(&encoder, " ")[0]);
            for _ in 0..20_000 {
                let (left, right) = (text(), text());
                let expected = direct(&all_units(&encoder, &left), &all_units(&encoder, &right), pad);
                let found = encoder.key(&left).cmp(&encoder.key(&right));
                assert_eq!(found, expected, "{left:?} and {right:?} under {}", encoder.collation.name);
            }
        }
    }

    #[test]
    fn long_runs_of_spaces_keep_their_order() {
        let spaces = |n: usize| " ".repeat(n);
        for encoder in encoders().into_iter().filter(|e| e.collation.pad() == PadAttribute::PadSpace) {
            let space = all_units(&encoder, " ")[0];
            for (left, right) in [(59, 60), (60, 61), (61, 62), (10, 1000), (1000, 1001)] {
                for tail in ["\t", "a", ""] {
                    let (left, right) =
                        (format!("x{}{tail}", spaces(left)), format!("x{}{tail}", spaces(right)));
                    let expected =
                        direct(&all_units(&encoder, &left), &all_units(&encoder, &right), Some(space));
                    assert_eq!(encoder.key(&left).cmp(&encoder.key(&right)), expected, "{left:?} {right:?}");
                }
            }
        }
    }

    #[test]
    fn ascii_costs_a_byte_a_character() {
        let encoder = KeyEncoder::weighted(general_like("utf8mb4_general_ci"));
        assert_eq!(encoder.key("Smith"), b"SMITH \x80");
        assert_eq!(encoder.key("a b  "), b"A \xFEB \x80");
        assert_eq!(encoder.key(""), encoder.key("   "));
    }

    #[test]
    fn an_8_bit_character_set_has_no_byte_order_of_ours() {
        assert!(KeyEncoder::binary(&Collation::new("latin1", "latin1_bin")).is_none());
        assert!(KeyEncoder::binary(&Collation::new("utf8mb4", "utf8mb4_general_ci")).is_none());
    }
}
