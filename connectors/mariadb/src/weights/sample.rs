//! The judge: random texts must weigh and compare as on the server.

use std::cmp::Ordering;

use crossweave_contract::{CollationWeights, Result};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{Rng, SeedableRng};

use super::ask::Asked;
use super::refused;

/// Pairs of texts that are compared with the server, and pairs of characters that LIKE is asked about.
pub(super) const PAIRS: usize = 1024;

pub(super) const SEED: u64 = 0x5EED;

/// Where random characters are taken from.
const SCRIPTS: &[(u32, u32)] = &[
    (0x20, 0x7E),
    (0x20, 0x7E),
    (0x41, 0x7A),
    (0xA0, 0x17F),
    (0x180, 0x24F),
    (0x300, 0x36F),
    (0x370, 0x3FF),
    (0x400, 0x52F),
    (0x590, 0x5FF),
    (0x600, 0x6FF),
    (0x900, 0x97F),
    (0xC80, 0xCFF),
    (0xD80, 0xDFF),
    (0xE00, 0xE7F),
    (0xE80, 0xEFF),
    (0xF00, 0xFFF),
    (0x1000, 0x109F),
    (0x1100, 0x11FF),
    (0x1E00, 0x1EFF),
    (0x2000, 0x206F),
    (0x3040, 0x30FF),
    (0x4E00, 0x4FFF),
    (0xAC00, 0xACFF),
    (0xFB00, 0xFB4F),
    (0xFF00, 0xFFEF),
    (0x1_0300, 0x1_034F),
    (0x1_F600, 0x1_F64F),
    (0x2_0000, 0x2_00FF),
];

/// Compares random texts with the server: by weight, by `=` and `<`.
pub(super) async fn verify(
    asked: &mut Asked<'_>,
    weights: &CollationWeights,
    seed: u64,
    pairs: usize,
) -> Result<()> {
    let mut sampler = Sampler { random: StdRng::seed_from_u64(seed), weights };
    let pairs: Vec<[String; 2]> = (0..pairs).map(|_| sampler.pair()).collect();
    let texts: Vec<String> = pairs.iter().flatten().cloned().collect();
    for (text, found) in texts.iter().zip(asked.weigh_whole(&texts).await?) {
        if weights.weight_string(text) != found {
            let reason = format!("the server gives {text:?} another weight than those of its characters");
            return Err(refused(asked.collation, &reason));
        }
    }
    for ([left, right], found) in pairs.iter().zip(asked.compare(["A = B", "A < B"], &pairs).await?) {
        let order = weights.compare(left, right);
        let ours = [order == Ordering::Equal, order == Ordering::Less];
        if ours != found {
            let reason = format!("the server compares {left:?} and {right:?} otherwise than by their weights");
            return Err(refused(asked.collation, &reason));
        }
    }
    Ok(())
}

/// Two characters that LIKE of the server does not compare as here, if random ones tell.
pub(super) async fn like_differs(
    asked: &mut Asked<'_>,
    weights: &CollationWeights,
    seed: u64,
    pairs: usize,
) -> Result<Option<[String; 2]>> {
    let mut sampler = Sampler { random: StdRng::seed_from_u64(seed), weights };
    let pairs: Vec<[String; 2]> = (0..pairs).map(|_| sampler.characters()).collect();
    for ([left, right], found) in pairs.iter().zip(asked.compare(["A LIKE B", "B LIKE A"], &pairs).await?) {
        let same = match (left.chars().next(), right.chars().next()) {
            (Some(left), Some(right)) => weights.same_character(left, right),
            _ => false,
        };
        if found != [same, same] {
            return Ok(Some([left.clone(), right.clone()]));
        }
    }
    Ok(None)
}

struct Sampler<'a> {
    random: StdRng,
    weights: &'a CollationWeights,
}

impl Sampler<'_> {
    /// Two texts that are alike.
    fn pair(&mut self) -> [String; 2] {
        let left = self.text();
        let mut right: Vec<char> = left.chars().collect();
        for _ in 0..self.random.random_range(0..3) {
            let at = self.random.random_range(0..=right.len());
            match (self.random.random_range(0..5), right.get(at).copied()) {
                (0, Some(character)) => right[at] = self.variant(character),
                (1, Some(character)) => right[at] = self.near(character),
                (2, Some(_)) => drop(right.remove(at)),
                (3, _) => right.push(' '),
                _ => right.insert(at, self.any()),
            }
        }
        [left, right.into_iter().collect()]
    }

    /// Two characters that LIKE may take for one.
    fn characters(&mut self) -> [String; 2] {
        // Those that mean something in patterns are left out.
        let plain = |c: &char| !matches!(c, '%' | '_' | '\\');
        let left = Some(self.any()).filter(plain).unwrap_or('a');
        let right = if self.random.random_bool(0.7) { self.variant(left) } else { self.near(left) };
        [left.to_string(), Some(right).filter(plain).unwrap_or('A').to_string()]
    }

    /// A short text of neighbours in one script, where contractions are, mixed with spaces, marks and contractions.
    fn text(&mut self) -> String {
        let mut script = *SCRIPTS.choose(&mut self.random).unwrap_or(&SCRIPTS[0]);
        let mut text = String::new();
        for _ in 0..self.random.random_range(1..10) {
            if self.random.random_bool(0.2) {
                script = *SCRIPTS.choose(&mut self.random).unwrap_or(&SCRIPTS[0]);
            }
            match self.weights.contractions().choose(&mut self.random) {
                Some(contraction) if self.random.random_bool(0.3) => {
                    // Sometimes but a part of it; what follows is of its script.
                    let block = contraction.characters[0] as u32 & !0x7F;
                    script = (block, block + 0x7F);
                    let length = self.random.random_range(1..=contraction.characters.len());
                    text.extend(&contraction.characters[..length]);
                }
                _ => text.push(self.of(script)),
            }
        }
        text
    }

    fn of(&mut self, script: (u32, u32)) -> char {
        let code = self.random.random_range(script.0..=script.1);
        self.known(code).unwrap_or(' ')
    }

    fn any(&mut self) -> char {
        let script = *SCRIPTS.choose(&mut self.random).unwrap_or(&SCRIPTS[0]);
        self.of(script)
    }

    fn known(&self, code: u32) -> Option<char> {
        char::from_u32(code).filter(|c| self.weights.has(*c))
    }

    /// The same letter in another case, or in another width.
    fn variant(&mut self, character: char) -> char {
        let mut variants: Vec<char> = character.to_lowercase().chain(character.to_uppercase()).collect();
        if let 0x21..=0x7E = character as u32 {
            variants.extend(char::from_u32(character as u32 + 0xFEE0));
        }
        if let Some(at) = PLAIN.find(character.to_ascii_lowercase()) {
            variants.extend(ACCENTED.chars().nth(at));
        }
        variants.retain(|variant| *variant != character && self.weights.has(*variant));
        variants.choose(&mut self.random).copied().unwrap_or(character)
    }

    fn near(&mut self, character: char) -> char {
        let code = (character as u32).saturating_add_signed(self.random.random_range(-2..=2));
        self.known(code).unwrap_or(character)
    }
}

/// Letters, and each with an accent.
const PLAIN: &str = "acdeghijklnorstuwyz";
const ACCENTED: &str = "áčďéğĥíĵķĺňóŕşťúŵýž";
