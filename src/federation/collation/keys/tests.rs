//! Keys against a direct comparison, unit by unit.

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
                let (left, right) = (format!("x{}{tail}", spaces(left)), format!("x{}{tail}", spaces(right)));
                let expected = direct(&all_units(&encoder, &left), &all_units(&encoder, &right), Some(space));
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
