//! How many bytes a text has once it is rewritten. They are only counted where it could matter.

use std::collections::HashMap;

use datafusion::common::Result;
use datafusion::functions::regex;
use datafusion::logical_expr::ColumnarValue;

use super::EASY;
use super::sizes::Texts;

/// What an element of a list of texts takes besides its bytes.
const PART: u64 = 16;
/// The most bytes that one place of a format becomes.
const PLACE: u64 = 64;

/// Bytes of `text` with `to` in place of each `from`.
pub(super) fn replaced(text: &str, from: &str, to: &str) -> u64 {
    let (length, step, put) = (text.len() as u64, from.len() as u64, to.len() as u64);
    if put <= step {
        return length;
    }
    let size = |times: u64| length.saturating_add(times.saturating_mul(put - step));
    let most = size(length.checked_div(step).unwrap_or(length + 1));
    if most <= EASY { most } else { size(text.matches(from).count() as u64) }
}

/// Bytes of `text` with so many characters, those that are missing taken from `fill`, again and again.
pub(super) fn padded(text: &str, length: u64, fill: &str) -> u64 {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let bytes =
        |text: &str, chars: usize| text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at) as u64;
    let (missing, run) = (length.saturating_sub(text.chars().count()), fill.chars().count());
    let (times, rest) = (missing.checked_div(run).unwrap_or(0), missing.checked_rem(run).unwrap_or(0));
    let whole = (fill.len() as u64).saturating_mul(times as u64);
    bytes(text, length).saturating_add(whole).saturating_add(bytes(fill, rest))
}

/// Bytes of texts in which `to` stands for what `from` matches.
pub(super) fn rewritten(
    [text, from, to]: [&ColumnarValue; 3],
    flags: Option<&ColumnarValue>,
    rows: usize,
) -> Result<Vec<u64>> {
    let (text, from, to) = (Texts::of(text)?, Texts::of(from)?, Texts::of(to)?);
    let flags = flags.map(Texts::of).transpose()?;
    let flags = |row| flags.as_ref().map_or(Some(""), |flags| flags.at(row));
    let others: Vec<String> = (0..rows).map(|row| flags(row).unwrap_or_default().replace('g', "")).collect();
    let mut known = HashMap::new();
    let mut size = |row: usize| {
        let (text, from, to) = (text.at(row)?, from.at(row)?, to.at(row)?);
        let all = flags(row)?.contains('g');
        // `\1` and `$name` are what a group matched, which is no more than the match.
        let groups = to.bytes().filter(|byte| matches!(byte, b'\\' | b'$')).count() as u64;
        let size = |matches: u64, matched: u64| {
            let put = matches.saturating_mul(to.len() as u64);
            put.saturating_add(groups.saturating_mul(matched)).saturating_add(text.len() as u64)
        };
        let most = size(if all { text.len() as u64 + 1 } else { 1 }, text.len() as u64);
        if most <= EASY {
            return Some(most);
        }
        // What is no expression makes nothing.
        let expression = regex::compile_and_cache_regex(from, Some(&others[row]), &mut known).ok()?;
        let found = expression.find_iter(text).take(if all { usize::MAX } else { 1 });
        let (matches, matched) =
            found.fold((0, 0), |(matches, matched), found| (matches + 1, matched + found.len() as u64));
        Some(size(matches, matched) - matched)
    };
    Ok((0..rows).map(|row| size(row).unwrap_or(0)).collect())
}

/// Bytes of the texts that the groups of `from` match, of the first match.
pub(super) fn captured(
    text: &ColumnarValue,
    from: &ColumnarValue,
    flags: Option<&ColumnarValue>,
    rows: usize,
) -> Result<Vec<u64>> {
    let (text, from) = (Texts::of(text)?, Texts::of(from)?);
    let flags = flags.map(Texts::of).transpose()?;
    let flags = |row| flags.as_ref().map_or(Some(""), |flags| flags.at(row));
    let mut known = HashMap::new();
    let mut size = |row: usize| {
        let (text, from, flags) = (text.at(row)?, from.at(row)?, flags(row)?);
        let groups = from.matches('(').count().max(1) as u64;
        let most = groups.saturating_mul(text.len() as u64 + PART);
        if most <= EASY {
            return Some(most);
        }
        let expression = regex::compile_and_cache_regex(from, Some(flags), &mut known).ok()?;
        let groups = expression.captures(text)?;
        // Without groups it is the whole match.
        let groups = groups.iter().skip(usize::from(groups.len() > 1)).flatten();
        Some(groups.map(|group| group.len() as u64 + PART).sum())
    };
    Ok((0..rows).map(|row| size(row).unwrap_or(0)).collect())
}

/// Bytes of `text` in the longer case of each of its letters.
pub(super) fn cased(text: &str) -> u64 {
    let length = text.len() as u64;
    if text.is_ascii() || length * 3 <= EASY {
        return if text.is_ascii() { length } else { length * 3 };
    }
    let bytes = |letter: char| match letter.is_ascii() {
        true => 1,
        false => {
            let upper: usize = letter.to_uppercase().map(char::len_utf8).sum();
            upper.max(letter.to_lowercase().map(char::len_utf8).sum())
        }
    };
    text.chars().map(|letter| bytes(letter) as u64).sum()
}

/// Bytes of `text` with each character that is in `from` replaced by the one in the same place of `to`.
pub(super) fn translated(text: &str, from: &str, to: &str) -> u64 {
    let length = text.len() as u64;
    if to.is_ascii() {
        return length;
    }
    if length * 4 <= EASY {
        return length * 4;
    }
    let mut bytes = HashMap::new();
    let mut put = to.chars();
    for character in from.chars() {
        let replaced = put.next().map_or(0, char::len_utf8);
        bytes.entry(character).or_insert(replaced);
    }
    text.chars().map(|character| bytes.get(&character).copied().unwrap_or(character.len_utf8()) as u64).sum()
}

/// Bytes of `text` with an escape before some characters, and in quotes.
pub(super) fn escaped(text: &str) -> u64 {
    text.len() as u64 * 2 + 2
}

/// Bytes of a moment in `format`, or a few more.
pub(super) fn formatted(format: &str) -> u64 {
    format.len() as u64 + PLACE * format.bytes().filter(|byte| *byte == b'%').count() as u64
}

/// Bytes of the parts of `text` between each two of which there was `between`: its characters if that is NULL.
pub(super) fn split(text: &str, between: Option<&str>) -> u64 {
    let size = |parts: usize| text.len() as u64 + PART * parts as u64;
    let most = size(text.len() + 1);
    if most <= EASY {
        return most;
    }
    size(match between {
        None => text.chars().count(),
        Some("") => 1,
        Some(between) => text.matches(between).count() + 1,
    })
}

/// Bytes of `text` within a text of JSON.
pub(super) fn quoted(text: &str) -> u64 {
    let length = text.len() as u64 + 4;
    if length * 6 <= EASY {
        return length * 6;
    }
    let more = text.bytes().map(|byte| match byte {
        b'"' | b'\\' => 1,
        0..0x20 => 5,
        _ => 0,
    });
    length + more.sum::<u64>()
}
