//! The weights of characters.
//!
//! How are a million code points asked in so short a time? Most pages of 256 hold nothing but characters whose
//! weights are all the same, or rise by one from each to the next. Of each page two characters are asked first; what
//! that lets expect is then compared with the weight of the page as one text (where nothing is assigned, of one page in
//! eight); and only the pages where that does not hold are asked one by one.

use crossweave_contract::{CollationWeights, LevelWeights, Page, Result, UnitWidth};

use super::ask::Asked;
use super::refused;

/// Characters in a page.
const PAGE: u32 = 256;

/// Pages in one statement where characters are asked one by one.
const PAGES_AT_ONCE: usize = 128;

/// Pages that are compared as one text.
const PAGES_AS_ONE: usize = 32;

/// Code points in one row of the answer; the client's work goes by rows.
const RUN: u32 = 16;

/// Character sets with all of Unicode, and with its basic plane. The others have some of the basic plane.
const WHOLE: [&str; 4] = ["utf8mb4", "utf16", "utf16le", "utf32"];
const BASIC: [&str; 3] = ["utf8mb3", "utf8", "ucs2"];

/// Pages of the basic plane, and of all of Unicode.
const BASIC_PAGES: u32 = 0x100;
const ALL_PAGES: u32 = 0x1100;

/// What stands for the weight of a character that the character set does not have.
const ABSENT: &str = "-";

/// The weights of a page's characters; `None` for what is no character of the set.
type Raw = Vec<Option<Vec<u8>>>;

/// Loads the weights of all characters on all levels.
pub(super) async fn load(asked: &mut Asked<'_>) -> Result<CollationWeights> {
    let charset = asked.collation.charset.as_str();
    let (pages, complete) =
        if WHOLE.contains(&charset) { (ALL_PAGES, true) } else { (BASIC_PAGES, BASIC.contains(&charset)) };
    let mut levels = Vec::new();
    for level in 0..asked.level_count() {
        levels.push(if complete {
            of_unicode(asked, level, pages).await?
        } else {
            one_by_one(asked, level, &(0..pages).collect::<Vec<_>>()).await?
        });
    }
    let width = width(asked, &levels);
    let mut done = Vec::new();
    for level in levels {
        let mut all = vec![None; pages as usize];
        for (page, found) in level {
            all[page as usize] = Some(match found {
                Found::Same(weight) => Page::Same(asked.units(width, &weight)?.into()),
                Found::Rising(weight) => Page::Rising(asked.units(width, &weight)?.into()),
                Found::Each(weights) => Page::of(&units(asked, width, page, &weights)?),
            });
        }
        let pages = (0..).zip(all).map(|(page, found)| found.unwrap_or_else(|| absent(page)));
        done.push(LevelWeights::new(pages.collect()));
    }
    Ok(CollationWeights::new(asked.collation.clone(), width, done))
}

/// What was found of a page.
enum Found {
    Same(Vec<u8>),
    Rising(Vec<u8>),
    Each(Raw),
}

impl Found {
    /// The weight of the page as one text.
    fn weight(&self) -> Vec<u8> {
        match self {
            Self::Same(weight) => weight.repeat(PAGE as usize),
            Self::Rising(weight) => {
                let mut page = weight.repeat(PAGE as usize);
                let weights = page.chunks_exact_mut(weight.len().max(1));
                (0..).zip(weights).for_each(|(at, weight)| rise(weight, at));
                page
            }
            Self::Each(weights) => weights.iter().flatten().flatten().copied().collect(),
        }
    }
}

fn units(asked: &Asked<'_>, width: UnitWidth, page: u32, weights: &Raw) -> Result<Vec<Vec<u32>>> {
    let unit = |(code, weight): (u32, &Option<Vec<u8>>)| match weight {
        Some(weight) => asked.units(width, weight),
        None => Ok(CollationWeights::absent(code)),
    };
    (page * PAGE..).zip(weights).map(unit).collect()
}

/// The page of what are no characters: surrogates.
fn absent(page: u32) -> Page {
    Page::of(&(page * PAGE..(page + 1) * PAGE).map(CollationWeights::absent).collect::<Vec<_>>())
}

/// The width of the units.
fn width(asked: &Asked<'_>, levels: &[Vec<(u32, Found)>]) -> UnitWidth {
    if asked.collation.is_single_byte() {
        return UnitWidth::Fixed(1);
    }
    let all = || {
        levels.iter().flatten().flat_map(|(_, found)| match found {
            Found::Same(weight) | Found::Rising(weight) => std::slice::from_ref(weight).iter().collect(),
            Found::Each(weights) => weights.iter().flatten().collect::<Vec<_>>(),
        })
    };
    if all().all(|weight| weight.len().is_multiple_of(2)) {
        UnitWidth::Fixed(2)
    } else if all().all(|weight| weight.len() == 3) {
        UnitWidth::Fixed(3)
    } else {
        UnitWidth::Character
    }
}

/// The pages of a character set that has all characters of them.
async fn of_unicode(asked: &mut Asked<'_>, level: usize, pages: u32) -> Result<Vec<(u32, Found)>> {
    // Surrogates are no characters.
    let pages: Vec<u32> = (0..pages).filter(|page| !(0xD8..0xE0).contains(page)).collect();
    let characters = |page: u32| (page * PAGE..(page + 1) * PAGE).filter_map(char::from_u32);
    let mut expected: Vec<(u32, Found)> = Vec::new();
    let mut others = Vec::new();
    for (page, weights) in ask(asked, level, &pages, 2).await? {
        let [Some(first), Some(second)] = &weights[..2] else {
            others.push(page);
            continue;
        };
        if first == second {
            expected.push((page, Found::Same(first.clone())));
        } else if is_next(first, second) {
            expected.push((page, Found::Rising(first.clone())));
        } else {
            others.push(page);
        }
    }
    let (mut known, expected): (Vec<_>, Vec<_>) =
        expected.into_iter().partition(|(page, _)| is_passed_over(*page));
    let mut rest = expected.into_iter();
    loop {
        let part: Vec<(u32, Found)> = rest.by_ref().take(PAGES_AS_ONE).collect();
        if part.is_empty() {
            break;
        }
        let text: String = part.iter().flat_map(|(page, _)| characters(*page)).collect();
        let weight: Vec<u8> = part.iter().flat_map(|(_, expected)| expected.weight()).collect();
        if asked.weigh_one(level, &text).await? == weight {
            known.extend(part);
            continue;
        }
        let texts: Vec<String> = part.iter().map(|(page, _)| characters(*page).collect()).collect();
        for ((page, expected), found) in part.into_iter().zip(asked.weigh(level, &texts).await?) {
            if expected.weight() == found {
                known.push((page, expected));
            } else {
                others.push(page);
            }
        }
    }
    others.sort_unstable();
    known.extend(one_by_one(asked, level, &others).await?);
    Ok(known)
}

fn is_next(first: &[u8], second: &[u8]) -> bool {
    let mut next = first.to_vec();
    rise(&mut next, 1);
    next == second
}

/// Lets the last unit of a weight rise.
fn rise(weight: &mut [u8], by: u16) {
    if let Some((_, unit)) = weight.split_last_chunk_mut::<2>() {
        *unit = u16::from_be_bytes(*unit).wrapping_add(by).to_be_bytes();
    }
}

/// Whether a page is one that is asked for its first two characters only, because nothing is assigned there: most of
/// those in the planes from the fourth on, but for the fourteenth.
fn is_passed_over(page: u32) -> bool {
    let plane = page / BASIC_PAGES;
    plane > 3 && plane != 14 && !page.is_multiple_of(8)
}

/// The weights of each character of `pages`.
async fn one_by_one(asked: &mut Asked<'_>, level: usize, pages: &[u32]) -> Result<Vec<(u32, Found)>> {
    let mut found = Vec::new();
    for part in pages.chunks(PAGES_AT_ONCE) {
        let pages = ask(asked, level, part, PAGE).await?;
        found.extend(pages.into_iter().map(|(page, raw)| (page, Found::Each(raw))));
    }
    Ok(found)
}

/// The weights of the first `count` characters of `pages`, which rise.
async fn ask(asked: &mut Asked<'_>, level: usize, pages: &[u32], count: u32) -> Result<Vec<(u32, Raw)>> {
    let statement = statement(asked, level, count);
    let numbers = pages.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
    let rows: Vec<(u32, String)> = asked.rows(&statement, (format!("[{numbers}]"),)).await?;
    let mut found: Vec<(u32, Raw)> = pages.iter().map(|page| (*page, vec![None; PAGE as usize])).collect();
    for (first, run) in rows {
        let Ok(place) = pages.binary_search(&(first / PAGE)) else { continue };
        for (at, weight) in (first % PAGE..).zip(run.split(',')) {
            if let (Some(slot), false) = (found[place].1.get_mut(at as usize), weight == ABSENT) {
                let bytes = unhex(weight);
                *slot =
                    Some(bytes.ok_or_else(|| refused(asked.collation, "the server's answer is not known"))?);
            }
        }
    }
    Ok(found)
}

/// The weights of the first `count` characters of pages, in runs: the first code point, and the weights in
/// hexadecimal.
fn statement(asked: &Asked<'_>, level: usize, count: u32) -> String {
    let charset = &asked.collation.charset;
    let runs =
        (0..count.div_ceil(RUN)).map(|i| format!("SELECT {i} AS n")).collect::<Vec<_>>().join(" UNION ALL ");
    let weight = |i| {
        let c = format!("CHAR(code + {i} USING utf32)");
        let weight = format!("HEX(WEIGHT_STRING({}{}))", asked.text(&c), asked.level_clause(level));
        if WHOLE.contains(&charset.as_str()) || BASIC.contains(&charset.as_str()) {
            return weight;
        }
        let there_and_back = format!("CONVERT(CONVERT({c} USING {charset}) USING utf32)");
        format!("IF(HEX({there_and_back}) = HEX({c}), {weight}, '{ABSENT}')")
    };
    let run = (0..RUN.min(count)).map(weight).collect::<Vec<_>>().join(", ");
    // Surrogates are no characters.
    format!(
        "SELECT code, CONCAT_WS(',', {run}) FROM \
         (SELECT page * {PAGE} + n * {RUN} AS code \
         FROM JSON_TABLE(?, '$[*]' COLUMNS (page INT UNSIGNED PATH '$')) AS pages JOIN ({runs}) AS runs) AS codes \
         WHERE code NOT BETWEEN 0xD800 AND 0xDFFF"
    )
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
