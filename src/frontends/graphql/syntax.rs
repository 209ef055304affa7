//! From text to a parsed document.
//!
//! Why can a document not overflow the parser's stack? The parser recurses with brackets and cannot be stopped, so
//! how deep they nest is looked at before it runs. What it reports is cut down to what was expected and where: it
//! would draw the line at fault, which may be the whole document.

use std::borrow::Cow;
use std::ops::Range;

use async_graphql::ServerError;
use async_graphql::parser::types::ExecutableDocument;
use async_graphql::parser::{Error, parse_query};

use super::bounds::MAX_DEPTH;

/// Brackets that a document may open within each other.
const MAX_BRACKETS: usize = 4 * MAX_DEPTH;

/// Parses `text`.
///
/// # Errors
///
/// The position, and what was expected there; past [`MAX_BRACKETS`] it is refused unparsed.
pub(super) fn parse(text: &str) -> Result<ExecutableDocument, ServerError> {
    if brackets(text) > MAX_BRACKETS {
        let message = format!("the document is nested deeper than {MAX_BRACKETS} brackets");
        return Err(ServerError::new(message, None));
    }
    parse_query(join_surrogates(text)).map_err(|error| {
        let message = match &error {
            Error::Syntax { message, .. } => {
                let expected = message.rsplit_once(" = ").map_or(message.as_str(), |(_, expected)| expected);
                format!("syntax error: {expected}")
            }
            other => other.to_string(),
        };
        ServerError { message, ..ServerError::from(error) }
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece {
    Comment,
    Text,
    BlockText,
    /// One byte of anything else.
    Byte(u8),
}

/// The pieces of a document, each with where it stands.
fn pieces(document: &str) -> impl Iterator<Item = (Piece, Range<usize>)> {
    let bytes = document.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at;
        let rest = &bytes[at..];
        let (piece, length) = match *rest.first()? {
            b'#' => (Piece::Comment, rest.iter().position(|byte| b"\r\n".contains(byte)).unwrap_or(rest.len())),
            b'"' if rest.starts_with(b"\"\"\"") => (Piece::BlockText, block_length(rest)),
            b'"' => (Piece::Text, text_length(rest)),
            byte => (Piece::Byte(byte), 1),
        };
        at += length;
        Some((piece, start..at))
    })
}

fn block_length(bytes: &[u8]) -> usize {
    let mut at = 3;
    while at < bytes.len() {
        match &bytes[at..] {
            [b'\\', b'"', b'"', b'"', ..] => at += 4,
            [b'"', b'"', b'"', ..] => return at + 3,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn text_length(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' | b'\n' | b'\r' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// How deep brackets are nested, outside of texts and comments.
fn brackets(document: &str) -> usize {
    let (mut depth, mut deepest) = (0usize, 0usize);
    for (piece, _) in pieces(document) {
        match piece {
            Piece::Byte(b'{' | b'[' | b'(') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            Piece::Byte(b'}' | b']' | b')') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Characters beyond U+FFFF may be written as two escapes, `"\uD83D\uDE00"`, which the parser does not know: each
/// such pair is replaced by its character.
fn join_surrogates(document: &str) -> Cow<'_, str> {
    if !document.contains("\\u") {
        return Cow::Borrowed(document);
    }
    let mut joined = String::with_capacity(document.len());
    let mut copied = 0;
    for (_, range) in pieces(document).filter(|(piece, _)| *piece == Piece::Text) {
        let mut at = range.start;
        while let Some(found) = document[at..range.end].find('\\') {
            at += found;
            match surrogate_pair(&document[at..range.end]) {
                Some(character) => {
                    joined.push_str(&document[copied..at]);
                    joined.push(character);
                    at += 12;
                    copied = at;
                }
                None => at += 1 + document[at + 1..].chars().next().map_or(0, char::len_utf8),
            }
            at = at.min(range.end);
        }
    }
    joined.push_str(&document[copied..]);
    Cow::Owned(joined)
}

/// The character that the two escapes at the start of `text` stand for.
fn surrogate_pair(text: &str) -> Option<char> {
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?, 16).ok();
    let units = [unit(text.get(..6)?)?, unit(text.get(6..12)?)?];
    let mut characters = char::decode_utf16(units);
    let first = characters.next()?.ok()?;
    characters.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_brackets_outside_of_strings_and_comments() {
        assert_eq!(brackets("{ a(b: [1]) { c } }"), 3);
        assert_eq!(brackets("{ a(b: \"{{{\\\"{{{\") # {{{{\n { c } }"), 2);
        assert_eq!(brackets("{ a(b: \"\"\"{{{\"{{{\\\"\"\"{{{\"\"\") { c } }"), 2);
        assert_eq!(brackets("# a comment ends at a carriage return \r{{{"), 3);
        assert_eq!(brackets(&"{a".repeat(50_000)), 50_000);
        for unended in ["\"\\", "\"\"\"\\", "#", "\"😀"] {
            assert_eq!(brackets(unended), 0, "{unended}");
        }
    }

    #[test]
    fn joins_pairs_of_escapes_within_texts_only() {
        for (document, joined) in [
            (r#"{a(b:"\uD83E\uDD16é\uD83D\uDE00")}"#, r#"{a(b:"🤖é😀")}"#),
            (r#"{a(b:"\\uD83E\\uDD16\u00e9")}"#, r#"{a(b:"\\uD83E\\uDD16\u00e9")}"#),
            (r#"{a(b:"\uD83E\u0041" c:"\uD83E")}"#, r#"{a(b:"\uD83E\u0041" c:"\uD83E")}"#),
            (r#"{a(b:"""\uD83E\uDD16""")} # \uD83E\uDD16"#, r#"{a(b:"""\uD83E\uDD16""")} # \uD83E\uDD16"#),
            (r#"{a(b:"\uD83E\uDD1"#, r#"{a(b:"\uD83E\uDD1"#),
            ("{a(b:\"\\u\\é", "{a(b:\"\\u\\é"),
        ] {
            assert_eq!(join_surrogates(document), joined);
        }
    }

    #[test]
    fn says_what_was_expected_and_where_without_the_line() {
        let long = format!("{{ users(where: {{}} {} }}", "x ".repeat(10_000));
        let error = parse(&long).unwrap_err();
        assert!(error.message.starts_with("syntax error: expected "), "{}", error.message);
        assert!(error.message.len() < 200 && error.locations.len() == 1, "{error:?}");
    }
}
