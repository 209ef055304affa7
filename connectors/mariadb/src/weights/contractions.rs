//! The weights of neighbours that are not those of each, one after the other.
//!
//! No statement lists a collation's contractions, and to ask for each pair of characters there is would take hours. But
//! a contraction's characters are of one script, or a letter with its marks: pairs within each script are a million or
//! two. For each character one text is made that has it before and after each other one of its script; only where
//! such a text does not weigh what its characters weigh are pairs asked one by one. Longer contractions have a shorter
//! one in them, so those are what each found one makes with one more character.
//!
//! The first level is asked: what makes no difference there is no contraction in any language (the judge would find it).

use std::collections::BTreeSet;

use crossweave_contract::{CollationWeights, Contraction, MAX_CONTRACTION, Result};

use super::ask::Asked;
use super::refused;

/// The largest collation known has a thousand contractions. What has more has another order than that of weights.
const MOST: usize = 4_000;

/// Bytes of text that are compared as one.
const BYTES_AS_ONE: usize = 32 << 10;

/// Characters that are tried with another one at once, before they are tried one by one.
const PART: usize = 8;

/// First units that a weight of two has from here on are made by a rule of Unicode's for what is not listed.
const BY_RULE: u32 = 0xFB00;

/// What keeps neighbours apart: no contraction has it.
const APART: char = '\n';

/// Combining marks.
const MARKS: (u32, u32) = (0x300, 0x345);

/// Scripts whose letters make contractions with each other or with marks; all others are taken by [`BLOCK`].
const SCRIPTS: &[&[(u32, u32)]] = &[
    // Latin, with the dot of Catalan.
    &[(0x41, 0x5A), (0x61, 0x7A), (0xB7, 0xB7), (0xC0, 0x233), (0x387, 0x387), MARKS],
    &[(0x370, 0x3FF), MARKS],
    &[(0x400, 0x52F), MARKS],
    &[(0x600, 0x6FF)],
    &[(0xF00, 0xFFF)],
    &[(0x1000, 0x109F), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F)],
];

/// Where scripts have a block, or a part of one, each.
const BLOCKS: &[(u32, u32)] = &[(0x580, 0x5FF), (0x700, 0x1CFF), (0xA800, 0xABFF), (0x1_1000, 0x1_1AFF)];
const BLOCK: usize = 0x80;

fn scripts() -> Vec<Vec<char>> {
    let characters = |ranges: &[(u32, u32)]| {
        ranges.iter().flat_map(|(from, to)| *from..=*to).filter_map(char::from_u32).collect()
    };
    let blocks = BLOCKS.iter().flat_map(|(from, to)| (*from..=*to).step_by(BLOCK));
    let block = |from: u32| characters(&[(from, from + BLOCK as u32 - 1)]);
    SCRIPTS.iter().map(|ranges| characters(ranges)).chain(blocks.map(block)).collect()
}

/// Adds the contractions that the server has.
pub(super) async fn find(asked: &mut Asked<'_>, weights: &mut CollationWeights) -> Result<()> {
    let listed = |script: Vec<char>| script.into_iter().filter(|c| is_listed(weights, *c)).collect();
    let scripts: Vec<Vec<char>> = scripts().into_iter().map(listed).collect();
    let mut rows = Vec::new();
    for script in &scripts {
        rows.extend(suspects(asked, weights, Row::all(script)).await?);
    }
    let parts: Vec<Row> = rows.iter().flat_map(Row::parts).collect();
    let texts: Vec<String> = parts.iter().map(Row::text).collect();
    let suspect = unlike(asked, weights, &texts).await?;
    let candidates: BTreeSet<String> = suspect.into_iter().flat_map(|at| parts[at].pairs()).collect();
    let mut longest = add(asked, weights, candidates.into_iter().collect()).await?;
    for _ in 2..MAX_CONTRACTION {
        if longest.is_empty() {
            break;
        }
        longest = longer(asked, weights, &longest, &scripts).await?;
    }
    Ok(())
}

/// Whether the server knows the character by itself, and not by a rule for all that it does not list.
fn is_listed(weights: &CollationWeights, character: char) -> bool {
    let level = &weights.levels()[0];
    let by_rule = matches!(level.weight(character).as_slice(), [first, _] if *first >= BY_RULE);
    weights.has(character) && level.distinguishes(character) && !by_rule
}

/// A character, and others that are tried before and after it.
struct Row {
    character: char,
    others: Vec<char>,
}

impl Row {
    /// Each of a script, with those that come after it.
    fn all(script: &[char]) -> Vec<Self> {
        (0..script.len()).map(|at| Self { character: script[at], others: script[at..].to_vec() }).collect()
    }

    /// The character before and after each other one.
    fn text(&self) -> String {
        self.others.iter().flat_map(|other| [self.character, *other]).chain([self.character, APART]).collect()
    }

    fn parts(&self) -> impl Iterator<Item = Self> {
        self.others.chunks(PART).map(|others| Self { character: self.character, others: others.to_vec() })
    }

    fn pairs(&self) -> Vec<String> {
        let pairs = |other: &char| [[self.character, *other], [*other, self.character]].map(String::from_iter);
        self.others.iter().flat_map(pairs).collect()
    }
}

/// Which of the rows do not weigh what their characters weigh.
async fn suspects(asked: &mut Asked<'_>, weights: &CollationWeights, rows: Vec<Row>) -> Result<Vec<Row>> {
    let mut suspects = Vec::new();
    let mut rest = rows.into_iter().peekable();
    while rest.peek().is_some() {
        let (mut part, mut texts, mut length) = (Vec::new(), Vec::new(), 0);
        while length < BYTES_AS_ONE
            && let Some(row) = rest.next()
        {
            let text = row.text();
            length += text.len();
            texts.push(text);
            part.push(row);
        }
        if as_expected(asked, weights, &texts.concat()).await? {
            continue;
        }
        let unlike = unlike(asked, weights, &texts).await?;
        suspects.extend(part.into_iter().enumerate().filter(|(at, _)| unlike.contains(at)).map(|(_, row)| row));
    }
    Ok(suspects)
}

async fn as_expected(asked: &mut Asked<'_>, weights: &CollationWeights, text: &str) -> Result<bool> {
    let mut expected = Vec::new();
    weights.write_weight(0, text, &mut expected);
    Ok(asked.weigh_one(0, text).await? == expected)
}

/// Adds contractions that are one of `shorter` with one more character of its script before or after it; they are given
/// back.
async fn longer(
    asked: &mut Asked<'_>,
    weights: &mut CollationWeights,
    shorter: &[String],
    scripts: &[Vec<char>],
) -> Result<Vec<String>> {
    let script = |text: &String| scripts.iter().find(|script| text.chars().all(|own| script.contains(&own)));
    let of: Vec<(&String, &Vec<char>)> =
        shorter.iter().filter_map(|text| Some((text, script(text)?))).collect();
    let row = |(text, script): &(&String, &Vec<char>)| {
        script.iter().flat_map(|part| std::iter::once(*part).chain(text.chars())).collect::<String>()
    };
    let rows: Vec<String> = of.iter().map(row).collect();
    let suspect = unlike(asked, weights, &rows).await?;
    let candidates = |at: usize| {
        let (text, script) = of[at];
        script.iter().flat_map(move |part| [format!("{text}{part}"), format!("{part}{text}")])
    };
    let candidates: BTreeSet<String> = suspect.into_iter().flat_map(candidates).collect();
    add(asked, weights, candidates.into_iter().collect()).await
}

/// Which of `texts` do not weigh what is known of them.
async fn unlike(asked: &mut Asked<'_>, weights: &CollationWeights, texts: &[String]) -> Result<Vec<usize>> {
    let found = asked.weigh(0, texts).await?;
    let mut unlike = Vec::new();
    let mut expected = Vec::new();
    for (at, (text, found)) in texts.iter().zip(found).enumerate() {
        expected.clear();
        weights.write_weight(0, text, &mut expected);
        if expected != found {
            unlike.push(at);
        }
    }
    Ok(unlike)
}

/// Adds those of `candidates` that weigh something else than what is known of them; they are given back.
async fn add(
    asked: &mut Asked<'_>,
    weights: &mut CollationWeights,
    candidates: Vec<String>,
) -> Result<Vec<String>> {
    let unlike = unlike(asked, weights, &candidates).await?;
    let texts: Vec<String> = unlike.into_iter().map(|at| candidates[at].clone()).collect();
    if weights.contractions().len() + texts.len() > MOST {
        return Err(refused(asked.collation, "too many neighbours have another weight than their characters"));
    }
    let mut levels = Vec::new();
    for level in 0..asked.level_count() {
        levels.push(asked.weigh(level, &texts).await?);
    }
    for (at, text) in texts.iter().enumerate() {
        let weight = |level: &Vec<Vec<u8>>| asked.units(weights.width(), &level[at]);
        let weights_of = levels.iter().map(weight).collect::<Result<_>>()?;
        weights.contract(Contraction { characters: text.chars().collect(), weights: weights_of });
    }
    Ok(texts)
}
