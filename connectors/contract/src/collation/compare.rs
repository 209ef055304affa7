//! Comparing two texts as the server does, unit by unit, one level after the other.

use std::cmp::Ordering;

use super::{CollationWeights, PadAttribute};

impl CollationWeights {
    /// Whether trailing spaces count on a level, counted from 0. That they do is said of the first one only: on the
    /// others the server always fills up the shorter text, since equal ones may have weights of different lengths.
    pub fn pad(&self, level: usize) -> PadAttribute {
        if level == 0 { self.collation().pad() } else { PadAttribute::PadSpace }
    }

    /// How two texts compare.
    pub fn compare(&self, left: &str, right: &str) -> Ordering {
        for (at, level) in self.levels().iter().enumerate() {
            let (left, right) = (self.units(at, left), self.units(at, right));
            let order = match (self.pad(at), level.space()) {
                (PadAttribute::PadSpace, Some(space)) => filled_up(&left, &right, space),
                _ => left.cmp(&right),
            };
            if order.is_ne() {
                return order;
            }
        }
        Ordering::Equal
    }
}

fn filled_up(left: &[u32], right: &[u32], space: u32) -> Ordering {
    (0..left.len().max(right.len()))
        .map(|at| left.get(at).unwrap_or(&space).cmp(right.get(at).unwrap_or(&space)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::super::{Collation, Contraction, LevelWeights, UnitWidth};
    use super::*;

    /// Letters with accents as they are in `uca1400_as_cs`, near enough, and `ch` after `c`.
    fn weights(name: &str) -> CollationWeights {
        let first = |c: char| match c {
            'á' | 'Á' => vec!['a' as u32 * 4],
            '-' => vec![],
            other => vec![other.to_ascii_lowercase() as u32 * 4],
        };
        let second = |c: char| match c {
            'á' | 'Á' => vec![0x20, 0x24],
            '-' => vec![],
            _ => vec![0x20],
        };
        let third = |c: char| match c {
            'á' => vec![2, 2],
            'Á' => vec![8, 2],
            '-' => vec![],
            other => vec![if other.is_uppercase() { 8 } else { 2 }],
        };
        let levels = vec![
            LevelWeights::of_characters(0x200, first),
            LevelWeights::of_characters(0x200, second),
            LevelWeights::of_characters(0x200, third),
        ];
        let mut weights = CollationWeights::new(Collation::new("utf8mb4", name), UnitWidth::Fixed(2), levels);
        weights.contract(Contraction {
            characters: ['c', 'h'].into(),
            weights: vec![vec!['c' as u32 * 4 + 1], vec![0x20], vec![2]],
        });
        weights
    }

    #[test]
    fn later_levels_count_where_earlier_ones_are_equal() {
        let weights = weights("utf8mb4_uca1400_as_cs");
        for pair in ["a", "A", "á", "Á", "áa", "ab", "AB", "b", "c", "cz", "ch", "chz", "d"].windows(2) {
            assert_eq!(weights.compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(weights.compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(weights.compare("a-b ", "ab"), Ordering::Equal);
    }

    #[test]
    fn trailing_spaces_count_on_the_first_level_only() {
        let weights = weights("utf8mb4_uca1400_nopad_as_cs");
        assert_eq!(weights.compare("a ", "a"), Ordering::Greater);
        assert_eq!(weights.compare("a", "a-"), Ordering::Equal);
        assert_eq!(weights.compare("", "-"), Ordering::Equal);
    }

    #[test]
    fn like_takes_characters_one_by_one() {
        let weights = weights("utf8mb4_uca1400_as_cs");
        assert!(weights.same_character('a', 'a') && !weights.same_character('a', 'A'));
        assert!(!weights.same_character('日', '本'));
    }

    #[test]
    fn the_longest_contraction_is_taken() {
        let mut weights = weights("utf8mb4_uca1400_as_cs");
        let longer =
            Contraction { characters: ['c', 'h', 'h'].into(), weights: vec![vec![1], vec![1], vec![1]] };
        weights.contract(longer.clone());
        weights.contract(longer);
        assert_eq!(weights.contractions().len(), 2);
        assert_eq!(weights.units(0, "chhch"), [1, 'c' as u32 * 4 + 1]);
        assert_eq!(weights.weight_string("ch"), [1, 0x8D, 0, 0x20, 0, 2]);
    }
}
