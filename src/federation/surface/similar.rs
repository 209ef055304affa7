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
            let regexes: StringViewArray =
                patterns.iter().map(|pattern| pattern.map(|pattern| regex(pattern, escape))).collect();
            Ok(Arc::new(regexes) as ArrayRef)
        })
    }
}

/// The regular expression of `pattern`: `%` and `_` stand for any text and any character, a point, `^` and `$` for themselves, and
/// the whole has to match.
fn regex(pattern: &str, escape: Option<char>) -> String {
    let mut regex = "(?s)^(?:".to_owned();
    let mut chars = pattern.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => chars.next().into_iter().for_each(|c| literal(&mut regex, c)),
            '[' => class(&mut regex, &mut chars, escape),
            '%' => regex.push_str(".*"),
            '_' => regex.push('.'),
            '|' | '*' | '+' | '?' | '(' | ')' | '{' | '}' => regex.push(c),
            c => literal(&mut regex, c),
        }
    }
    regex.push_str(")$");
    regex
}

/// What follows `[`, to the `]` that ends it: characters, ranges of them, and classes with a name.
fn class(regex: &mut String, chars: &mut std::iter::Peekable<std::str::Chars<'_>>, escape: Option<char>) {
    regex.push('[');
    if chars.next_if_eq(&'^').is_some() {
        regex.push('^');
    }
    // The first stands for itself.
    if chars.next_if_eq(&']').is_some() {
        literal(regex, ']');
    }
    while let Some(c) = chars.next() {
        match c {
            c if Some(c) == escape => chars.next().into_iter().for_each(|c| literal(regex, c)),
            '[' if chars.next_if_eq(&':').is_some() => {
                regex.push_str("[:");
                for c in chars.by_ref() {
                    regex.push(c);
                    if c == ']' {
                        break;
                    }
                }
            }
            ']' => {
                regex.push(']');
                return;
            }
            '-' | '^' => regex.push(c),
            c => literal(regex, c),
        }
    }
}

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

    fn is_match(regex: &str, text: &str) -> bool {
        let found = regexp_is_match_scalar(&StringArray::from(vec![text]), regex, None);
        found.unwrap_or_else(|error| panic!("{regex}: {error}")).value(0)
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
            ("a#b", "a#b", '\\', true),
        ] {
            let regex = super::regex(pattern, Some(escape));
            let found = is_match(&regex, text);
            assert_eq!(found, matches, "{text} SIMILAR TO {pattern}: {regex}");
        }
        assert!(is_match(&super::regex("a\\b", None), "a\\b"));
    }
}
