//! Keys against a direct comparison, unit by unit.

use std::cmp::Ordering;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;
use crossweave_contract::{Contraction, LevelWeights, Page, UnitWidth};

/// Weights as `general_ci` has them, near enough: capitals, without accents on Latin letters.
pub(crate) fn general_like(name: &str) -> Arc<CollationWeights> {
    weights_of(name, vec![level_of(general_unit)])
}

fn general_unit(character: char) -> Vec<u32> {
    let plain = match character {
        'À'..='Å' | 'à'..='å' => 'A',
        'È'..='Ë' | 'è'..='ë' => 'E',
        'ß' => 'S',
        other => other,
    };
    let mut upper = plain.to_uppercase();
    let upper = upper.next().filter(|_| upper.next().is_none()).unwrap_or(plain);
    vec![upper as u32]
}

/// Weights as `unicode_ci` has them, near enough: two bytes even for ASCII, controls ignored, expansions,
/// the tab below the space, and a character that contains a space.
fn unicode_like(name: &str) -> Arc<CollationWeights> {
    weights_of(name, vec![level_of(unicode_unit)])
}

fn unicode_unit(character: char) -> Vec<u32> {
    match character {
        '\t' => vec![0x201],
        '\u{0}'..'\u{20}' | '\u{300}'..'\u{370}' => vec![],
        ' ' | '\u{a0}' => vec![0x209],
        '\u{a8}' => vec![0x209, 0x300],
        'ß' => vec![0xFEA, 0xFEA],
        's' | 'S' => vec![0xFEA],
        other => vec![0xE00 + (other.to_lowercase().next().unwrap_or(other) as u32 % 0x100)],
    }
}

/// Weights as those of a language in `uca1400_as_cs`, near enough: accents and case on levels of their own, and
/// contractions: one in ASCII, a longer one, and one on a mark.
fn language_like(name: &str) -> Arc<CollationWeights> {
    let second = |character| match character {
        '\u{0}'..'\t' => vec![],
        '\u{300}'..'\u{370}' => vec![0x24],
        'é' => vec![0x20, 0x24],
        'ß' => vec![0x20, 0x118, 0x20],
        _ => vec![0x20],
    };
    let third = |character: char| match character {
        '\u{0}'..'\t' => vec![],
        '\u{300}'..'\u{370}' => vec![2],
        'é' => vec![2, 2],
        'ß' => vec![4, 4, 4],
        other if other.is_uppercase() => vec![8],
        _ => vec![2],
    };
    let mut weights =
        (*weights_of(name, vec![level_of(unicode_unit), level_of(second), level_of(third)])).clone();
    for (characters, units) in [
        (vec!['a', 'b'], vec![vec![0xE62, 0xE63], vec![0x20], vec![2]]),
        (vec!['a', 'b', 'é'], vec![vec![0xE64], vec![0x20, 0x30], vec![2, 3]]),
        (vec!['€', '\u{301}'], vec![vec![0x209, 0xF00], vec![0x20], vec![2]]),
    ] {
        weights.contract(Contraction { characters: characters.into(), weights: units });
    }
    Arc::new(weights)
}

fn level_of(weight: impl Fn(char) -> Vec<u32>) -> LevelWeights {
    let listed = LevelWeights::of_characters(0x600, weight);
    let beyond = std::iter::repeat_n(Page::Same([0xFFFD].into()), 0x10FA);
    LevelWeights::new(listed.pages().iter().cloned().chain(beyond).collect())
}

fn weights_of(name: &str, levels: Vec<LevelWeights>) -> Arc<CollationWeights> {
    Arc::new(CollationWeights::new(Collation::new("utf8mb4", name), UnitWidth::Fixed(2), levels))
}

fn compare(encoder: &KeyEncoder, left: &str, right: &str) -> Ordering {
    match &encoder.form {
        Form::Weighted { source, .. } => source.compare(left, right),
        Form::Bytes => left.cmp(right),
        Form::PaddedBytes => {
            let length = left.len().max(right.len());
            format!("{left:length$}").as_bytes().cmp(format!("{right:length$}").as_bytes())
        }
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
    all.push(KeyEncoder::weighted(language_like("utf8mb4_uca1400_as_cs")));
    all.push(KeyEncoder::weighted(language_like("utf8mb4_uca1400_nopad_as_cs")));
    all
}

#[test]
fn keys_compare_as_the_texts_do() {
    let alphabet: Vec<char> = "  \t\u{1}aAbBé€ß\u{301}\u{a8}\u{a0}中😀".chars().collect();
    let mut random = StdRng::seed_from_u64(7);
    let mut text = || -> String {
        let length = random.random_range(0..7);
        (0..length).map(|_| alphabet[random.random_range(0..alphabet.len())]).collect()
    };
    for encoder in encoders() {
        for _ in 0..20_000 {
            let (left, right) = (text(), text());
            let expected = compare(&encoder, &left, &right);
            let found = encoder.key(&left).cmp(&encoder.key(&right));
            assert_eq!(found, expected, "{left:?} and {right:?} under {}", encoder.collation.name);
        }
    }
}

#[test]
fn long_runs_of_spaces_keep_their_order() {
    let spaces = |n: usize| " ".repeat(n);
    for encoder in encoders().into_iter().filter(|e| e.collation.pad() == PadAttribute::PadSpace) {
        for (left, right) in [(59, 60), (60, 61), (61, 62), (10, 1000), (1000, 1001)] {
            for tail in ["\t", "a", ""] {
                let (left, right) = (format!("x{}{tail}", spaces(left)), format!("x{}{tail}", spaces(right)));
                let expected = compare(&encoder, &left, &right);
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
fn later_levels_are_short() {
    let encoder = KeyEncoder::weighted(language_like("utf8mb4_uca1400_as_cs"));
    let base = KeyEncoder::weighted(unicode_like("utf8mb4_unicode_ci"));
    let long = "a rather long text without capitals".to_owned();
    assert_eq!(encoder.key(&long).len(), base.key(&long).len() + 4);
}

#[test]
fn an_8_bit_character_set_has_no_byte_order_of_ours() {
    assert!(KeyEncoder::binary(&Collation::new("latin1", "latin1_bin")).is_none());
    assert!(KeyEncoder::binary(&Collation::new("utf8mb4", "utf8mb4_general_ci")).is_none());
}
