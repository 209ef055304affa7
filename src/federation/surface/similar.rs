//! `similar_regex(pattern, escape)`: the regular expression of a pattern of SIMILAR TO, which is one of SQL's. DataFusion takes the pattern
//! for a regular expression, of which a part of the text may be found.

use std::sync::Arc;

use arrow::array::{ArrayRef, StringViewArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::times::moments::on_values;
use crate::federation::collation::views;

/// The function that stands in a read query.
pub(super) const SIMILAR_REGEX: &str = "similar_regex";

/// Bytes of a pattern.
const MAX_PATTERN: usize = 64 * 1024;

/// The function, to be registered.
pub(super) fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(SimilarRegex::default()))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SimilarRegex {
    signature: Signature,
}

impl Default for SimilarRegex {
    fn default() -> Self {
        Self { signature: Signature::string(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for SimilarRegex {
    fn name(&self) -> &str {
        SIMILAR_REGEX
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [patterns, ColumnarValue::Scalar(escape)] = &args.args[..] else {
            return internal_err!("{SIMILAR_REGEX} takes patterns and one character");
        };
        let Some(escape) = escape.try_as_str().flatten() else {
            return Ok(ColumnarValue::Scalar(ScalarValue::Utf8View(None)));
        };
        let mut chars = escape.chars();
        let (escape, None) = (chars.next(), chars.next()) else {
            return exec_err!("SIMILAR TO … ESCAPE '{escape}': expected one character, or none");
        };
        on_values(patterns, |patterns| {
            let patterns = views(patterns)?;
            if let Some(long) = patterns.iter().flatten().map(str::len).find(|length| *length > MAX_PATTERN) {
                return exec_err!("a pattern of SIMILAR TO has {long} bytes: expected {MAX_PATTERN} at most");
            }
            let regexes =
                patterns.iter().map(|pattern| pattern.map(|pattern| regex(pattern, escape)).transpose());
            Ok(Arc::new(regexes.collect::<Result<StringViewArray>>()?) as ArrayRef)
        })
    }
}

/// The regular expression of `pattern`: `%` and `_` stand for any text and any character, a point, `^` and `$` for themselves, and
/// the whole has to match. Parentheses group, and do nothing else.
fn regex(pattern: &str, escape: Option<char>) -> Result<String> {
    let mut regex = "(?s)^(?:".to_owned();
    let mut open: usize = 0;
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => chars.next().into_iter().for_each(|c| literal(&mut regex, c)),
            '[' => class(&mut regex, &mut chars, escape).or_else(|why| refused(pattern, why))?,
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            '(' => {
                open += 1;
                regex.push_str("(?:");
            }
            ')' if open == 0 => return refused(pattern, "no ( is before a )"),
            ')' => {
                open -= 1;
                regex.push(')');
            }
            '|' | '*' | '+' | '?' => regex.push(c),
            '{' => {
                regex.push('{');
                times(&mut regex, &mut chars).or_else(|why| refused(pattern, why))?;
            }
            c => literal(&mut regex, c),
        }
    }
    if open > 0 {
        return refused(pattern, "no ) is behind a (");
    }
    regex.push_str(")$");
    Ok(regex)
}

fn refused<T>(pattern: &str, why: &str) -> Result<T> {
    exec_err!("the pattern '{pattern}' of SIMILAR TO cannot be read: {why}")
}

type Chars<'p> = std::iter::Peekable<std::str::Chars<'p>>;

/// What follows `[`, to the `]` that ends it: characters, ranges of them, and classes with a name. An error says what is wrong.
fn class(regex: &mut String, chars: &mut Chars<'_>, escape: Option<char>) -> Result<(), &'static str> {
    regex.push('[');
    if chars.next_if_eq(&'^').is_some() {
        regex.push('^');
    }
    let escapes = |c: char| Some(c) == escape;
    let mut is_first = true;
    loop {
        let c = chars.next().ok_or(UNENDED)?;
        match c {
            // The first stands for itself.
            ']' if !is_first && !escapes(c) => {
                regex.push(']');
                return Ok(());
            }
            '[' if !escapes(c) && chars.next_if_eq(&':').is_some() => named(regex, chars)?,
            c => {
                literal(regex, itself(c, chars, escape)?);
                if !escapes('-') && is_range(chars) {
                    chars.next();
                    regex.push('-');
                    let end = chars.next().ok_or(UNENDED)?;
                    if end == '[' && !escapes(end) && chars.peek() == Some(&':') {
                        return Err("a range in [ ] ends with a class");
                    }
                    literal(regex, itself(end, chars, escape)?);
                }
            }
        }
        is_first = false;
    }
}

/// What follows `{`: how often what is before it stands there.
fn times(regex: &mut String, chars: &mut Chars<'_>) -> Result<(), &'static str> {
    let digits = |regex: &mut String, chars: &mut Chars<'_>| {
        let mut any = false;
        while let Some(c) = chars.next_if(char::is_ascii_digit) {
            regex.push(c);
            any = true;
        }
        any
    };
    let least = digits(regex, chars);
    if least && chars.next_if_eq(&',').is_some() {
        regex.push(',');
        digits(regex, chars);
    }
    match chars.next() {
        Some('}') if least => {
            regex.push('}');
            Ok(())
        }
        _ => Err("{ } takes a number, or two with a comma between them, of which the second may be left out"),
    }
}

const UNENDED: &str = "no ] is behind a [";

/// Whether what comes is the `-` of a range: the last one of a class stands for itself.
fn is_range(chars: &Chars<'_>) -> bool {
    let mut ahead = chars.clone();
    ahead.next() == Some('-') && ahead.next() != Some(']')
}

/// The character that `c` stands for, which is the next one if it escapes that.
fn itself(c: char, chars: &mut Chars<'_>, escape: Option<char>) -> Result<char, &'static str> {
    if Some(c) == escape { chars.next().ok_or(UNENDED) } else { Ok(c) }
}

/// A class with a name, of which `[:` was read.
fn named(regex: &mut String, chars: &mut Chars<'_>) -> Result<(), &'static str> {
    let mut name = String::new();
    while let Some(c) = chars.next_if(char::is_ascii_alphabetic) {
        name.push(c);
    }
    let is_ended = chars.next() == Some(':') && chars.next() == Some(']');
    if !is_ended || !CLASSES.contains(&name.as_str()) {
        return Err("there is no such class as is named by [: :]");
    }
    regex.push_str(&format!("[:{name}:]"));
    Ok(())
}

const CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper",
    "word", "xdigit",
];

/// `c` as itself.
fn literal(regex: &mut String, c: char) {
    if c.is_ascii_punctuation() && !matches!(c, '<' | '>') {
        regex.push('\\');
    }
    regex.push(c);
}

#[cfg(test)]
mod tests {
    use arrow::array::StringArray;
    use arrow::compute::regexp_is_match_scalar;

    fn is_match(text: &str, pattern: &str, escape: Option<char>) -> Result<bool, String> {
        let regex = super::regex(pattern, escape).map_err(|error| error.to_string())?;
        let found = regexp_is_match_scalar(&StringArray::from(vec![text]), &regex, None);
        Ok(found.map_err(|error| format!("{regex}: {error}"))?.value(0))
    }

    #[test]
    fn patterns_of_sql_are_no_regular_expressions() {
        for (text, pattern, escape, matches) in [
            ("abc", "a%", '\\', true),
            ("abc", "b", '\\', false),
            ("abc", "_b_", '\\', true),
            ("a\nc", "a_c", '\\', true),
            ("abd", "a(bc|d)", '\\', false),
            ("abc", "a(bc|d)", '\\', true),
            ("axc", "a.c", '\\', false),
            ("a.c", "a.c", '\\', true),
            ("%", "\\%", '\\', true),
            ("x", "\\%", '\\', false),
            ("a%\\", "a!%\\", '!', true),
            ("a_b", "a[[:alpha:]_]b", '\\', true),
            ("a1b", "a[[:alpha:]_]b", '\\', false),
            ("a<b", "a\\<b", '\\', true),
            ("€", "\\€", '\\', true),
            ("&", "[a&&b]", '\\', true),
            ("5", "[\\d]", '!', false),
            ("d", "[\\d]", '!', true),
            ("]", "[]a]", '\\', true),
            ("b", "[^]a]", '\\', true),
            ("b", "[a-c]", '\\', true),
            ("-", "[ac-]", '\\', true),
            ("[", "[[]", '\\', true),
            ("a~~b", "a~~b", '\\', true),
            ("^a$", "^a$", '\\', true),
            ("aaa", "a{3}", '\\', true),
            ("aa", "a{1,2}", '\\', true),
            ("aaa", "a{1,2}", '\\', false),
            ("aaa", "a{2,}", '\\', true),
            ("a", "(a){2,}", '\\', false),
            ("a{}", "a\\{\\}", '\\', true),
            ("a#b", "a#b", '\\', true),
            ("ab", "a()b", '\\', true),
            ("a)(b", "a\\)\\(b", '\\', true),
            ("a)(b", "a[)][(]b", '\\', true),
            // One `-` may end a range.
            ("-", "[+--]", '\\', true),
            (",", "[+--]", '\\', true),
            ("a", "[--a]", '\\', true),
            ("A", "[--a]", '\\', true),
            ("b", "[--a]", '\\', false),
            ("-", "[a-]", '\\', true),
            ("-", "[-a]", '\\', true),
            ("-", "[^-a]", '\\', false),
            ("-", "[-]", '\\', true),
            ("-", "[a\\-c]", '\\', true),
            ("b", "[a\\-c]", '\\', false),
            ("]", "[[-\\]]", '\\', true),
            ("^", "[a^]", '\\', true),
            ("~", "[a~~b]", '\\', true),
            ("5", "[^[:alpha:]]", '\\', true),
            ("b", "[a--b]", '-', true),
        ] {
            assert_eq!(is_match(text, pattern, Some(escape)), Ok(matches), "{text} SIMILAR TO {pattern}");
        }
        assert_eq!(is_match("a\\b", "a\\b", None), Ok(true));
    }

    #[test]
    fn patterns_that_sql_does_not_have_are_refused() {
        for pattern in [
            "a)|(b",
            "a)",
            "(a",
            "a(b",
            "(?i)abc",
            "(?:a)",
            "(?<n>a)",
            "(*)",
            "+a",
            "[a--b]",
            "[a--]",
            "[c-a]",
            "[a",
            "[",
            "[]",
            "[a-[:digit:]]",
            "[[:nothing:]]",
            "[[:alpha]",
            "[[:a&&b:]]",
            "a{",
            "a{x}",
            "a{,2}",
            "a{1,2",
            "a{1;2}",
            "{1}",
        ] {
            let found = is_match("", pattern, Some('\\'));
            assert!(found.is_err(), "{pattern}: {found:?}");
        }
    }
}
