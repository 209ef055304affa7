//! Collations: by which rule text is compared.
//!
//! A text column is compared as MariaDB compares it, so each carries its collation. Weights are not compiled
//! in: they are asked from the server (`WEIGHT_STRING`), whose answer is by definition right.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A collation by MariaDB's name, with its character set.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Collation {
    /// The character set, `utf8mb4`.
    pub charset: String,
    /// The collation, `utf8mb4_general_ci`.
    pub name: String,
}

/// Whether trailing spaces count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PadAttribute {
    /// The shorter text is compared as if it were filled up with spaces.
    PadSpace,
    /// Trailing spaces count.
    NoPad,
}

/// What is known of how a collation's weights are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CollationFamily {
    /// By the character set's codes (`…_bin`) or by byte (`binary`): no two characters are equal. Weights are needed
    /// only where those codes do not come in the order of Unicode's, see [`Collation::is_weighted`].
    Binary,
    /// The weight of a text is the concatenation of the weights of its characters (`…_general_ci`,
    /// `…_unicode_ci`, `…_unicode_520_ci` and their `nopad` forms; `latin1_swedish_ci`, long the server's default).
    PerCharacter,
    /// Contractions or several levels: not compared here.
    Other,
}

impl Collation {
    /// The collation `name`; its character set is the name's first part.
    pub fn new(charset: impl Into<String>, name: impl Into<String>) -> Self {
        Self { charset: charset.into(), name: name.into() }
    }

    /// PAD SPACE or NO PAD, which MariaDB tells by the name.
    pub fn pad(&self) -> PadAttribute {
        if self.name.contains("nopad") || self.name.contains("_0900_") || self.name == "binary" {
            PadAttribute::NoPad
        } else {
            PadAttribute::PadSpace
        }
    }

    /// How its weights are built.
    pub fn family(&self) -> CollationFamily {
        if self.name == "binary" || self.name.ends_with("_bin") {
            return CollationFamily::Binary;
        }
        let base = self.name.strip_prefix(self.charset.as_str()).unwrap_or(&self.name);
        let base = base.replace("_nopad", "");
        match base.as_str() {
            "_general_ci" | "_unicode_ci" | "_unicode_520_ci" => CollationFamily::PerCharacter,
            "_swedish_ci" if self.charset == "latin1" => CollationFamily::PerCharacter,
            _ => CollationFamily::Other,
        }
    }

    /// Whether texts are compared by weights of characters, which a server has to tell: those of `…_ci`, and of
    /// `…_bin` over a character set of one byte, whose weights are its codes.
    pub fn is_weighted(&self) -> bool {
        match self.family() {
            CollationFamily::PerCharacter => true,
            CollationFamily::Binary => SINGLE_BYTE.contains(&self.charset.as_str()),
            CollationFamily::Other => false,
        }
    }

    /// Whether texts come in the order of their bytes in UTF-8, which is that of Unicode's code points.
    pub fn orders_by_code_point(&self) -> bool {
        self.family() == CollationFamily::Binary && BY_CODE_POINT.contains(&self.charset.as_str())
    }
}

/// Character sets whose codes come in the order of Unicode's.
const BY_CODE_POINT: [&str; 9] =
    ["utf8mb4", "utf8mb3", "utf8", "ucs2", "utf16", "utf16le", "utf32", "ascii", "binary"];

/// MariaDB's other character sets with a byte for each character.
const SINGLE_BYTE: [&str; 23] = [
    "armscii8", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "dec8", "geostd8", "greek",
    "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7", "macce", "macroman",
    "tis620",
];

/// The weights of a collation that [is weighted](Collation::is_weighted), as the server gave them.
///
/// Stored flat: the weight of code point `c` is `bytes[offsets[c]..offsets[c + 1]]`, big-endian 16-bit units.
/// Code points past the table have the weight `beyond`. An empty weight means that the character is ignored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollationWeights {
    /// Whose weights.
    pub collation: Collation,
    /// Start of each code point's weight in `bytes`; one longer than the number of code points.
    pub offsets: Vec<u32>,
    /// All weights, one after the other.
    pub bytes: Vec<u8>,
    /// The weight of each code point past the table.
    pub beyond: Vec<u8>,
}

impl fmt::Debug for CollationWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { collation, offsets, bytes, beyond: _ } = self;
        let (characters, bytes) = (offsets.len().saturating_sub(1), bytes.len());
        write!(f, "CollationWeights({}: {characters} characters, {bytes} bytes)", collation.name)
    }
}

impl CollationWeights {
    /// The weight of one character.
    pub fn weight(&self, character: char) -> &[u8] {
        let code = character as usize;
        match (self.offsets.get(code), self.offsets.get(code + 1)) {
            (Some(&start), Some(&end)) => &self.bytes[start as usize..end as usize],
            _ => &self.beyond,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_families_and_padding_by_name() {
        let check = |charset: &str, name: &str| {
            let collation = Collation::new(charset, name);
            (collation.family(), collation.pad())
        };
        use CollationFamily::*;
        use PadAttribute::*;
        assert_eq!(check("utf8mb4", "utf8mb4_general_ci"), (PerCharacter, PadSpace));
        assert_eq!(check("utf8mb4", "utf8mb4_unicode_nopad_ci"), (PerCharacter, NoPad));
        assert_eq!(check("utf8mb3", "utf8mb3_unicode_520_ci"), (PerCharacter, PadSpace));
        assert_eq!(check("utf8mb4", "utf8mb4_bin"), (Binary, PadSpace));
        assert_eq!(check("utf8mb4", "utf8mb4_nopad_bin"), (Binary, NoPad));
        assert_eq!(check("latin1", "latin1_swedish_ci"), (PerCharacter, PadSpace));
        assert_eq!(check("utf8mb4", "utf8mb4_swedish_ci"), (Other, PadSpace));
        assert_eq!(check("utf8mb4", "utf8mb4_czech_ci"), (Other, PadSpace));
        assert_eq!(check("utf8mb4", "utf8mb4_uca1400_ai_ci"), (Other, PadSpace));
    }

    #[test]
    fn binary_collations_need_weights_where_codes_are_not_in_the_order_of_unicode() {
        let check = |charset: &str, name: &str| {
            let collation = Collation::new(charset, name);
            (collation.is_weighted(), collation.orders_by_code_point())
        };
        assert_eq!(check("latin1", "latin1_bin"), (true, false));
        assert_eq!(check("cp1251", "cp1251_nopad_bin"), (true, false));
        assert_eq!(check("latin1", "latin1_swedish_ci"), (true, false));
        assert_eq!(check("utf8mb4", "utf8mb4_bin"), (false, true));
        assert_eq!(check("ascii", "ascii_bin"), (false, true));
        assert_eq!(check("binary", "binary"), (false, true));
        assert_eq!(check("sjis", "sjis_bin"), (false, false));
        assert_eq!(check("latin1", "latin1_german2_ci"), (false, false));
    }
}
