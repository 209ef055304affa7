//! The weights of one collation.
//!
//! The weight of a character on a level is a sequence of units; an empty one means that the level ignores it. What
//! the million code points have in common is kept by page, so that a collation takes a few megabytes.

use std::collections::HashMap;
use std::fmt;
use std::str::Chars;

use super::Collation;

/// Characters in the longest contraction that a server has.
pub const MAX_CONTRACTION: usize = 6;

/// Characters in a page.
const PAGE: u32 = 256;

/// Units from here on are of characters that the character set does not have.
const ABSENT: u32 = 0x1000_0000;

/// How many bytes of the server's answer make a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnitWidth {
    /// So many, always.
    Fixed(u8),
    /// Those of a character's weight, whose length differs between characters, see
    /// [`unit_of_bytes`](CollationWeights::unit_of_bytes).
    Character,
}

/// The weights of 256 neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// All have this one.
    Same(Box<[u32]>),
    /// The first has this one; from one to the next the last unit rises by one.
    Rising(Box<[u32]>),
    /// Each its own.
    Each {
        /// Where the weight of each begins in `units`, and where the last one ends.
        offsets: Box<[u32; PAGE as usize + 1]>,
        /// The weights, one after the other.
        units: Box<[u32]>,
    },
}

impl Page {
    /// The page of these 256 weights, as short as it can be said.
    pub fn of(weights: &[Vec<u32>]) -> Self {
        let Some(first) = weights.first() else { return Self::Same(Box::default()) };
        if weights.iter().all(|weight| weight == first) {
            return Self::Same(first.as_slice().into());
        }
        let rising = Self::Rising(first.as_slice().into());
        let mut own = Vec::new();
        let is_rising = !first.is_empty()
            && (0..).zip(weights).all(|(at, weight)| {
                own.clear();
                rising.push(at, &mut own);
                own == *weight
            });
        if is_rising {
            return rising;
        }
        let mut offsets = Box::new([0; PAGE as usize + 1]);
        let mut units = Vec::new();
        for (at, end) in offsets.iter_mut().skip(1).enumerate() {
            units.extend(weights.get(at).into_iter().flatten());
            *end = units.len() as u32;
        }
        Self::Each { offsets, units: units.into() }
    }

    /// Appends the weight of the character at `place`.
    pub fn push(&self, place: u32, out: &mut Vec<u32>) {
        match self {
            Self::Same(weight) => out.extend_from_slice(weight),
            Self::Rising(weight) => {
                out.extend_from_slice(weight);
                if let Some(last) = out.last_mut() {
                    *last += place;
                }
            }
            Self::Each { offsets, units } => {
                let at = place as usize;
                out.extend_from_slice(&units[offsets[at] as usize..offsets[at + 1] as usize]);
            }
        }
    }
}

/// The weights of all characters on one level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelWeights {
    pages: Vec<Page>,
}

impl LevelWeights {
    /// Of pages from the first on. The character set has no character past them.
    pub fn new(pages: Vec<Page>) -> Self {
        Self { pages }
    }

    /// Of the first `count` characters; the character set has no others.
    pub fn of_characters(count: u32, weight: impl Fn(char) -> Vec<u32>) -> Self {
        let weight = |code| {
            char::from_u32(code)
                .filter(|_| code < count)
                .map_or_else(|| CollationWeights::absent(code), &weight)
        };
        let page = |page: u32| Page::of(&(0..PAGE).map(|at| weight(page * PAGE + at)).collect::<Vec<_>>());
        Self::new((0..count.div_ceil(PAGE)).map(page).collect())
    }

    /// Its pages.
    pub fn pages(&self) -> &[Page] {
        &self.pages
    }

    fn page(&self, character: char) -> Option<&Page> {
        self.pages.get((character as u32 / PAGE) as usize)
    }

    /// Appends the weight of a character.
    pub fn push(&self, character: char, out: &mut Vec<u32>) {
        match self.page(character) {
            Some(page) => page.push(character as u32 % PAGE, out),
            None => out.push(ABSENT + character as u32),
        }
    }

    /// The weight of a character.
    pub fn weight(&self, character: char) -> Vec<u32> {
        let mut weight = Vec::new();
        self.push(character, &mut weight);
        weight
    }

    /// The first unit of the space's weight, which fills up the shorter of two texts.
    pub fn space(&self) -> Option<u32> {
        self.weight(' ').first().copied()
    }

    /// Whether it says of the character more than of all its page.
    pub fn distinguishes(&self, character: char) -> bool {
        match self.page(character) {
            Some(Page::Same(weight)) => weight.is_empty(),
            Some(_) => true,
            None => false,
        }
    }
}

fn bit_of(character: char) -> (usize, u64) {
    (character as usize / 64, 1 << (character as u32 % 64))
}

/// Characters that have a weight together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contraction {
    /// Two at least.
    pub characters: Box<[char]>,
    /// Their weight on each level.
    pub weights: Vec<Vec<u32>>,
}

/// Which characters LIKE takes for the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LikeRule {
    /// Those of the same weight.
    Weights,
    /// Those of the same weight that the server knows one by one, not by a rule for many.
    ListedWeights,
    /// Those of the same weight among characters of one byte; of the others each only itself.
    SingleBytes,
    /// The server has another rule than these.
    Unknown,
}

/// The weights of a collation that [is weighted](Collation::is_weighted), as the server gave them.
#[derive(Clone, PartialEq, Eq)]
pub struct CollationWeights {
    collation: Collation,
    width: UnitWidth,
    levels: Vec<LevelWeights>,
    contractions: Vec<Contraction>,
    /// Contractions by their first character, longer ones before shorter ones.
    heads: HashMap<char, Vec<usize>>,
    /// A bit for each character up to the last one that begins contractions.
    is_head: Vec<u64>,
    like: LikeRule,
    /// Characters that LIKE tells apart from others of their weight: of one weight those with one number are the same.
    apart: HashMap<char, u32>,
}

impl fmt::Debug for CollationWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { collation, levels, contractions, .. } = self;
        let (levels, contractions) = (levels.len(), contractions.len());
        write!(f, "CollationWeights({}: {levels} levels, {contractions} contractions)", collation.name)
    }
}

impl CollationWeights {
    /// Of characters only; contractions may be [added](Self::contract).
    pub fn new(collation: Collation, width: UnitWidth, levels: Vec<LevelWeights>) -> Self {
        let like = if !collation.is_single_byte() && width == UnitWidth::Character {
            LikeRule::SingleBytes
        } else if collation.is_single_byte() || collation.name.contains("_general") {
            LikeRule::Weights
        } else {
            LikeRule::ListedWeights
        };
        Self {
            collation,
            width,
            levels,
            contractions: Vec::new(),
            heads: HashMap::new(),
            is_head: Vec::new(),
            like,
            apart: HashMap::new(),
        }
    }

    /// The weight of a character that the character set does not have: higher than all others, and its own. It occurs
    /// in no column, and a literal with it equals nothing but itself.
    pub fn absent(code: u32) -> Vec<u32> {
        vec![ABSENT + code]
    }

    /// The unit of [`UnitWidth::Character`] that one to three bytes make: the bytes as a fraction, then how many they are.
    pub fn unit_of_bytes(weight: &[u8]) -> u32 {
        let number = weight.iter().fold(0, |number, &byte| number << 8 | u32::from(byte));
        number << (8 * (3 - weight.len())) << 2 | weight.len() as u32
    }

    /// Whether the character set has the character.
    pub fn has(&self, character: char) -> bool {
        self.levels.first().is_some_and(|level| {
            let mut weight = Vec::new();
            level.push(character, &mut weight);
            weight.first().is_none_or(|&unit| unit < ABSENT)
        })
    }

    /// Adds a contraction, unless it is known.
    pub fn contract(&mut self, contraction: Contraction) {
        let Some(&head) = contraction.characters.first() else { return };
        let (word, bit) = bit_of(head);
        if self.is_head.len() <= word {
            self.is_head.resize(word + 1, 0);
        }
        self.is_head[word] |= bit;
        let of_head = self.heads.entry(head).or_default();
        let known = &self.contractions;
        if of_head.iter().any(|&at| known[at].characters == contraction.characters) {
            return;
        }
        let length = contraction.characters.len();
        let place = of_head.partition_point(|&at| known[at].characters.len() >= length);
        of_head.insert(place, self.contractions.len());
        self.contractions.push(contraction);
    }

    /// Says that LIKE of the server goes by another rule.
    pub fn doubt_like(&mut self) {
        self.like = LikeRule::Unknown;
    }

    /// Says that LIKE takes the character for the same as those alone of its weight that have the same number, which is not 0.
    pub fn tell_apart(&mut self, character: char, number: u32) {
        self.apart.insert(character, number);
    }

    /// The characters that the server knows one by one, by those of one weight; not those that have theirs to themselves.
    pub fn alike(&self) -> Vec<Vec<char>> {
        let Some(first) = self.levels.first() else { return Vec::new() };
        let mut by_weight: HashMap<Vec<Vec<u32>>, Vec<char>> = HashMap::new();
        for (page, weights) in (0..).zip(first.pages()) {
            if !matches!(weights, Page::Each { .. }) {
                continue;
            }
            for character in
                (page * PAGE..(page + 1) * PAGE).filter_map(char::from_u32).filter(|c| self.has(*c))
            {
                let weight = self.levels.iter().map(|level| level.weight(character)).collect();
                by_weight.entry(weight).or_default().push(character);
            }
        }
        by_weight.into_values().filter(|alike| alike.len() > 1).collect()
    }

    /// Which characters LIKE takes for the same.
    pub fn like(&self) -> LikeRule {
        self.like
    }

    /// Whose weights.
    pub fn collation(&self) -> &Collation {
        &self.collation
    }

    /// The width of its units.
    pub fn width(&self) -> UnitWidth {
        self.width
    }

    /// Its levels, in the order in which they are compared.
    pub fn levels(&self) -> &[LevelWeights] {
        &self.levels
    }

    /// Its contractions.
    pub fn contractions(&self) -> &[Contraction] {
        &self.contractions
    }

    /// Whether contractions begin with the character.
    pub fn is_head(&self, character: char) -> bool {
        let (word, bit) = bit_of(character);
        self.is_head.get(word).is_some_and(|word| word & bit != 0)
    }

    /// The place among the contractions of the longest one that `head` begins, and `rest` goes on with.
    pub fn contraction(&self, head: char, rest: &Chars<'_>) -> Option<usize> {
        if !self.is_head(head) {
            return None;
        }
        let begins = |&&at: &&usize| {
            let mut rest = rest.clone();
            self.contractions[at].characters[1..].iter().all(|own| rest.next() == Some(*own))
        };
        self.heads.get(&head)?.iter().find(begins).copied()
    }

    /// The weight of a text on a level, counted from 0.
    pub fn units(&self, level: usize, text: &str) -> Vec<u32> {
        let mut units = Vec::with_capacity(text.len());
        self.weigh(level, text, |weight| units.extend_from_slice(weight));
        units
    }

    /// Hands on the weights on a level of a text's characters and contractions, one after the other.
    fn weigh(&self, level: usize, text: &str, mut each: impl FnMut(&[u32])) {
        let mut weight = Vec::new();
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            match self.contraction(character, &rest) {
                Some(at) => {
                    let contraction = &self.contractions[at];
                    each(&contraction.weights[level]);
                    rest.by_ref().take(contraction.characters.len() - 1).for_each(drop);
                }
                None => {
                    weight.clear();
                    self.levels[level].push(character, &mut weight);
                    each(&weight);
                }
            }
        }
    }

    /// The weight of a text as `WEIGHT_STRING` gives it: its levels, one after the other.
    pub fn weight_string(&self, text: &str) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(text.len() * 2);
        for level in 0..self.levels.len() {
            self.write_weight(level, text, &mut bytes);
        }
        bytes
    }

    /// Appends the weight of a text on a level, counted from 0, as `WEIGHT_STRING` gives it.
    pub fn write_weight(&self, level: usize, text: &str, out: &mut Vec<u8>) {
        match self.width {
            UnitWidth::Fixed(width) => {
                let skipped = 4 - usize::from(width);
                self.weigh(level, text, |weight| {
                    weight.iter().for_each(|unit| out.extend_from_slice(&unit.to_be_bytes()[skipped..]));
                });
            }
            UnitWidth::Character => self.weigh(level, text, |weight| {
                for unit in weight {
                    let length = (unit & 3) as usize;
                    out.extend_from_slice(&(unit >> 2).to_be_bytes()[1..=length]);
                }
            }),
        }
    }

    /// Whether LIKE takes the two characters for the same.
    pub fn same_character(&self, left: char, right: char) -> bool {
        if left == right {
            return true;
        }
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let mut same = |level: &LevelWeights| {
            ours.clear();
            theirs.clear();
            level.push(left, &mut ours);
            level.push(right, &mut theirs);
            ours == theirs
        };
        if !self.levels.iter().all(&mut same) || self.apart.get(&left) != self.apart.get(&right) {
            return false;
        }
        match self.like {
            LikeRule::Weights => true,
            LikeRule::Unknown => false,
            LikeRule::ListedWeights => {
                self.levels[0].distinguishes(left) && self.levels[0].distinguishes(right)
            }
            LikeRule::SingleBytes => ours.iter().all(|unit| unit & 3 == 1),
        }
    }
}
