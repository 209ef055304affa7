//! The part of a key that one level makes.

use std::str::Chars;
use std::sync::Arc;

use crossweave_contract::{CollationWeights, PadAttribute, Page};

use super::written::{END, encode_bytes, write_run, write_unit, written};

/// Code points below this are looked up in one table; the pages past it are rules, or rare.
const FLAT_PAGES: usize = 0x200;
const PAGE: usize = 0x100;

/// Makes the keys of one level.
pub(super) struct LevelKeys {
    source: Arc<CollationWeights>,
    level: usize,
    padded: bool,
    /// Start of each code point's units in `bytes`, as they are written.
    offsets: Vec<u32>,
    bytes: Vec<u8>,
    /// The space's unit, written.
    space: Vec<u8>,
    /// A bit for each character in the table whose weight has the space's unit and others.
    with_space: Vec<u64>,
    any_with_space: bool,
    ascii: Ascii,
    /// Bits of ASCII characters that begin contractions in ASCII, and of those that come second there.
    ascii_heads: u128,
    ascii_seconds: u128,
    /// The weight of each of the collation's contractions, written, and whether the space's unit is in it.
    contractions: Vec<(Vec<u8>, bool)>,
}

/// The short way of texts in ASCII.
enum Ascii {
    /// Each character has one unit of one byte, and only the space has the space's.
    One(Box<[u8; 128]>),
    /// Each has one unit of two bytes, or none.
    Two(Box<[u16; 128]>),
    /// Each has one unit of one byte, or none.
    OneOrNone(Box<[u8; 128]>),
    /// Each has the space's unit, or none.
    Blank,
    /// There is none.
    None,
}

impl LevelKeys {
    pub(super) fn new(source: &Arc<CollationWeights>, level: usize) -> Self {
        let weights = &source.levels()[level];
        let mut pages = weights.pages().iter().take(FLAT_PAGES);
        let flat = pages.rposition(|page| matches!(page, Page::Each { .. })).map_or(0, |last| last + 1);
        let space_unit = weights.space();
        let mut keys = Self {
            source: Arc::clone(source),
            level,
            padded: source.pad(level) == PadAttribute::PadSpace && space_unit.is_some(),
            offsets: Vec::with_capacity(flat * PAGE + 1),
            bytes: Vec::with_capacity(flat * PAGE * 2),
            space: written(space_unit.as_slice()),
            with_space: vec![0; flat * PAGE / 64],
            any_with_space: false,
            ascii: Ascii::None,
            ascii_heads: 0,
            ascii_seconds: 0,
            contractions: Vec::with_capacity(source.contractions().len()),
        };
        let mixed = |units: &[u32]| units.len() > 1 && space_unit.is_some_and(|space| units.contains(&space));
        keys.offsets.push(0);
        let mut units = Vec::new();
        for (page, weights) in (0..).zip(weights.pages().iter().take(flat)) {
            for place in 0..PAGE as u32 {
                units.clear();
                weights.push(place, &mut units);
                units.iter().for_each(|&unit| write_unit(unit, &mut keys.bytes));
                keys.offsets.push(keys.bytes.len() as u32);
                if mixed(&units) {
                    let code = page * PAGE + place as usize;
                    keys.with_space[code / 64] |= 1 << (code % 64);
                    keys.any_with_space = true;
                }
            }
        }
        for contraction in source.contractions() {
            let units = &contraction.weights[level];
            keys.contractions.push((written(units), mixed(units)));
            if let [head @ '\0'..='\x7f', second @ '\0'..='\x7f', ..] = *contraction.characters {
                keys.ascii_heads |= 1 << head as u32;
                keys.ascii_seconds |= 1 << second as u32;
            }
        }
        keys.ascii = keys.ascii_way();
        keys
    }

    fn ascii_way(&self) -> Ascii {
        let (mut one, mut two) = (Box::new([0; 128]), Box::new([0; 128]));
        let (mut one_each, mut one_or_none, mut all_two, mut blank) = (true, true, true, self.padded);
        let mut rare = Vec::new();
        for byte in 0..128u8 {
            let weight = self.weight(char::from(byte), &mut rare);
            let is_space = weight == self.space;
            match *weight {
                [] => {}
                [unit] => {
                    one[usize::from(byte)] = unit;
                    all_two = false;
                }
                [high, low] if high >= 0x80 => {
                    two[usize::from(byte)] = u16::from_be_bytes([high, low]);
                    one_or_none = false;
                }
                _ => (one_or_none, all_two) = (false, false),
            }
            one_each &= !weight.is_empty() && is_space == (byte == b' ');
            blank &= is_space || weight.is_empty();
        }
        match (one_or_none, all_two) {
            _ if blank => Ascii::Blank,
            (true, _) if one_each => Ascii::One(one),
            (true, _) => Ascii::OneOrNone(one),
            (_, true) => Ascii::Two(two),
            _ => Ascii::None,
        }
    }

    /// Whether trailing spaces do not count.
    pub(super) fn is_padded(&self) -> bool {
        self.padded
    }

    /// Whether the two characters weigh the same, or one of them is not in the table.
    pub(super) fn may_be_same(&self, left: char, right: char) -> bool {
        match (self.listed(left), self.listed(right)) {
            (Some(left), Some(right)) => left == right,
            _ => true,
        }
    }

    #[inline]
    fn listed(&self, character: char) -> Option<&[u8]> {
        let code = character as usize;
        match (self.offsets.get(code), self.offsets.get(code + 1)) {
            (Some(&start), Some(&end)) => Some(&self.bytes[start as usize..end as usize]),
            _ => None,
        }
    }

    /// The weight of a character, as it is written; `rare` keeps that of one past the table.
    fn weight<'a>(&'a self, character: char, rare: &'a mut Vec<u8>) -> &'a [u8] {
        match self.listed(character) {
            Some(weight) => weight,
            None => {
                *rare = written(&self.source.levels()[self.level].weight(character));
                rare
            }
        }
    }

    fn has_space(&self, character: char) -> bool {
        let code = character as usize;
        self.any_with_space && self.with_space.get(code / 64).is_some_and(|word| word >> (code % 64) & 1 != 0)
    }

    /// Appends the part of the key of `text`.
    pub(super) fn encode(&self, text: &str, out: &mut Vec<u8>) {
        if text.is_ascii() && self.encode_ascii(text.as_bytes(), out) {
            return;
        }
        match (self.padded, self.contractions.is_empty()) {
            (true, true) => self.encode_padded::<false>(text, out),
            (true, false) => self.encode_padded::<true>(text, out),
            (false, true) => self.encode_unpadded::<false>(text, out),
            (false, false) => self.encode_unpadded::<true>(text, out),
        }
    }

    /// The short way; false if there is none for this text.
    fn encode_ascii(&self, text: &[u8], out: &mut Vec<u8>) -> bool {
        let is_in = |bits: u128, byte: u8| bits >> (byte & 0x7F) & 1 != 0;
        let contracts = |pair: &[u8]| is_in(self.ascii_heads, pair[0]) && is_in(self.ascii_seconds, pair[1]);
        if self.ascii_heads != 0 && text.windows(2).any(contracts) {
            return false;
        }
        match (&self.ascii, self.padded) {
            (Ascii::One(table), true) => {
                encode_bytes(text, self.space[0], |byte| table[usize::from(byte & 0x7F)], out);
            }
            (Ascii::One(table), false) => {
                out.extend(text.iter().map(|&byte| table[usize::from(byte & 0x7F)]));
            }
            (Ascii::Two(table), _) => {
                let space = self.space.first_chunk().map_or(0, |space| u16::from_be_bytes(*space));
                self.encode_short(
                    text,
                    table,
                    space,
                    |unit, out| out.extend_from_slice(&unit.to_be_bytes()),
                    out,
                );
            }
            (Ascii::OneOrNone(table), _) => {
                let space = self.space.first().copied().unwrap_or(0);
                self.encode_short(text, table, space, |unit, out| out.push(unit), out);
            }
            (Ascii::Blank, _) => self.end(out),
            (Ascii::None, _) => return false,
        }
        true
    }

    /// The key of a text whose characters have one unit each, or none; that is 0 in the table.
    fn encode_short<U: Copy + PartialOrd + Default>(
        &self,
        text: &[u8],
        table: &[U; 128],
        space: U,
        write: impl Fn(U, &mut Vec<u8>),
        out: &mut Vec<u8>,
    ) {
        let mut run = 0;
        out.reserve(text.len() * size_of::<U>() + 3);
        for &byte in text {
            let unit = table[usize::from(byte & 0x7F)];
            if unit == U::default() {
                continue;
            }
            if unit == space && self.padded {
                run += 1;
                continue;
            }
            if run > 0 {
                write_run(&self.space, run, unit < space, out);
                run = 0;
            }
            write(unit, out);
        }
        if self.padded {
            self.end(out);
        }
    }

    fn end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.space);
        out.push(END);
    }

    /// The contraction that begins with `character` and goes on with what is next; that is passed over.
    fn contraction(&self, character: char, rest: &mut Chars<'_>) -> Option<usize> {
        let at = self.source.contraction(character, rest)?;
        rest.by_ref().take(self.source.contractions()[at].characters.len() - 1).for_each(drop);
        Some(at)
    }

    fn encode_unpadded<const CONTRACTIONS: bool>(&self, text: &str, out: &mut Vec<u8>) {
        let mut rare = Vec::new();
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            if CONTRACTIONS && let Some(at) = self.contraction(character, &mut rest) {
                out.extend_from_slice(&self.contractions[at].0);
            } else {
                out.extend_from_slice(self.weight(character, &mut rare));
            }
        }
    }

    fn encode_padded<const CONTRACTIONS: bool>(&self, text: &str, out: &mut Vec<u8>) {
        let mut run = 0;
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            if CONTRACTIONS && let Some(at) = self.contraction(character, &mut rest) {
                let (weight, mixed) = &self.contractions[at];
                if *mixed {
                    self.append_units(&self.source.contractions()[at].weights[self.level], &mut run, out);
                } else {
                    self.append(weight, &mut run, out);
                }
                continue;
            }
            match self.listed(character) {
                Some(weight) if !self.has_space(character) => self.append(weight, &mut run, out),
                _ => {
                    let units = self.source.levels()[self.level].weight(character);
                    self.append_units(&units, &mut run, out);
                }
            }
        }
        self.end(out);
    }

    /// Appends a weight that is the space's, or has no unit of it.
    #[inline]
    fn append(&self, weight: &[u8], run: &mut u32, out: &mut Vec<u8>) {
        if weight.is_empty() {
            return;
        }
        if weight == self.space {
            *run += 1;
            return;
        }
        if *run > 0 {
            write_run(&self.space, *run, weight < self.space.as_slice(), out);
            *run = 0;
        }
        out.extend_from_slice(weight);
    }

    #[cold]
    fn append_units(&self, units: &[u32], run: &mut u32, out: &mut Vec<u8>) {
        let mut bytes = Vec::with_capacity(5);
        for unit in units {
            bytes.clear();
            write_unit(*unit, &mut bytes);
            self.append(&bytes, run, out);
        }
    }
}
