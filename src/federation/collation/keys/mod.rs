//! Collation keys: bytes that compare as MariaDB compares the texts they stand for.
//!
//! How can trailing spaces be ignored while `'a' > 'a\t'` still holds? Under PAD SPACE the shorter text counts
//! as if it went on with spaces for ever. So every run of spaces is followed by a byte that says how the run
//! ends: before a smaller unit, never (the end of the text), or before a greater one; and how long it was,
//! rising in the first case and falling in the last. An end is always written, so `'a'` and `'a  '` give one key.
//!
//! Units are those of the server's weights, written in one to five bytes such that shorter forms are smaller and none
//! is the beginning of another; ASCII text under `general_ci` costs one byte a character. Most binary collations compare
//! code points, which UTF-8's bytes already do, so their units are bytes; those of other codes have the codes for weights.
//!
//! A collation of several levels has one such key for each, one after the other. As each ends with what is less than
//! all that could follow there, a later one counts only where those before it are equal. Nearly all units of the later
//! levels are the space's, so these parts are short.
//!
//! - `level`: the key on one level; `written`: units and runs as bytes

mod level;
mod written;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crossweave_contract::{Collation, CollationFamily, CollationWeights, LikeRule, PadAttribute};

use self::level::LevelKeys;
use self::written::{LEAST, encode_bytes};

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
    /// Weights.
    Weighted { source: Arc<CollationWeights>, levels: Box<[LevelKeys]> },
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
    pub fn weighted(source: Arc<CollationWeights>) -> Self {
        let collation = source.collation().clone();
        let levels = (0..source.levels().len()).map(|level| LevelKeys::new(&source, level)).collect();
        Self { form: Form::Weighted { source, levels }, collation }
    }

    /// Whose keys.
    pub fn collation(&self) -> &Collation {
        &self.collation
    }

    /// Whether it was made of these very weights.
    pub(super) fn is_of(&self, weights: &Arc<CollationWeights>) -> bool {
        matches!(&self.form, Form::Weighted { source, .. } if Arc::ptr_eq(source, weights))
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
            Form::PaddedBytes => encode_bytes(text.as_bytes(), b' ', |byte| byte, out),
            Form::Weighted { levels, .. } => match &levels[..] {
                [only] => only.encode(text, out),
                several => {
                    for level in several {
                        level.encode(text, out);
                        if !level.is_padded() {
                            out.push(LEAST);
                        }
                    }
                }
            },
        }
    }

    /// The key of `text`.
    pub fn key(&self, text: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(text.len() + 4);
        self.encode(text, &mut out);
        out
    }

    /// Whether LIKE is known to be computed here as on the server.
    pub fn knows_like(&self) -> bool {
        !matches!(&self.form, Form::Weighted { source, .. } if source.like() == LikeRule::Unknown)
    }

    /// Whether LIKE takes the two characters for the same.
    pub fn same_character(&self, left: char, right: char) -> bool {
        left == right
            || match &self.form {
                Form::Weighted { source, levels } => {
                    levels.iter().all(|level| level.may_be_same(left, right))
                        && source.same_character(left, right)
                }
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

#[cfg(test)]
pub(super) mod tests;
