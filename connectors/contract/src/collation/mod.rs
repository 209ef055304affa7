//! Collations: by which rule text is compared.
//!
//! A text column is compared as MariaDB compares it, so each carries its collation. Weights are not compiled
//! in: they are asked from the server (`WEIGHT_STRING`), whose answer is by definition right.
//!
//! - `weights`: the weights of one collation, by character, with its levels and contractions
//! - `compare`: how the server compares by them

mod compare;
mod weights;

pub use weights::{CollationWeights, Contraction, LevelWeights, LikeRule, MAX_CONTRACTION, Page, UnitWidth};

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

/// What a collation compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CollationFamily {
    /// The character set's codes (`…_bin`) or bytes (`binary`): no two characters are equal. Weights are needed
    /// only where those codes do not come in the order of Unicode's, see [`Collation::is_weighted`].
    Binary,
    /// Weights: of characters, or of several that make one (contractions), on one level or on several.
    Weighted,
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

    /// What it compares.
    pub fn family(&self) -> CollationFamily {
        if self.name == "binary" || self.name.ends_with("_bin") {
            CollationFamily::Binary
        } else {
            CollationFamily::Weighted
        }
    }

    /// Whether texts are compared by weights, which a server has to tell: those of `…_ci` and `…_cs`, and of `…_bin`
    /// over a character set whose codes, which are the weights, are not in the order of Unicode's.
    pub fn is_weighted(&self) -> bool {
        !self.orders_by_code_point()
    }

    /// Whether its character set has a byte for each character.
    pub fn is_single_byte(&self) -> bool {
        SINGLE_BYTE.contains(&self.charset.as_str())
    }

    /// Whether texts come in the order of their bytes in UTF-8, which is that of Unicode's code points.
    pub fn orders_by_code_point(&self) -> bool {
        self.family() == CollationFamily::Binary && BY_CODE_POINT.contains(&self.charset.as_str())
    }
}

/// Character sets whose codes come in the order of Unicode's.
const BY_CODE_POINT: [&str; 9] =
    ["utf8mb4", "utf8mb3", "utf8", "ucs2", "utf16", "utf16le", "utf32", "ascii", "binary"];

/// MariaDB's character sets with a byte for each character.
const SINGLE_BYTE: [&str; 25] = [
    "armscii8", "ascii", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "dec8", "geostd8",
    "greek", "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7", "macce",
    "macroman", "swe7", "tis620",
];

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
        assert_eq!(check("utf8mb4", "utf8mb4_general_ci"), (Weighted, PadSpace));
        assert_eq!(check("utf8mb4", "utf8mb4_unicode_nopad_ci"), (Weighted, NoPad));
        assert_eq!(check("utf8mb4", "utf8mb4_bin"), (Binary, PadSpace));
        assert_eq!(check("utf8mb4", "utf8mb4_nopad_bin"), (Binary, NoPad));
        assert_eq!(check("utf8mb4", "utf8mb4_uca1400_ai_ci"), (Weighted, PadSpace));
        assert_eq!(check("utf8mb4", "utf8mb4_uca1400_czech_nopad_as_cs"), (Weighted, NoPad));
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
        assert_eq!(check("sjis", "sjis_bin"), (true, false));
        assert_eq!(check("latin1", "latin1_german2_ci"), (true, false));
    }
}
