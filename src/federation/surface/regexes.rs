//! Regular expressions that are of the row. Arrow keeps what it has made of every pattern of a batch, which may be gigabytes:
//! `text ~ pattern` keeps some of the last ones, none of them large ([`REGEX_MATCHES`]), and to `regexp_like` and its like few
//! come ([`FEW_PATTERNS`]).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{Array as _, ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, exec_err, internal_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use regex::{Regex, RegexBuilder};

use crate::federation::collation::views;

/// The functions that stand in a read query; the second one ignores case.
pub(crate) const REGEX_MATCHES: &str = "regex_matches";
pub(crate) const REGEX_MATCHES_ANY_CASE: &str = "regex_matches_any_case";

/// `few_patterns(pattern)`: the pattern, if neither it is large nor there are many.
pub(super) const FEW_PATTERNS: &str = "few_patterns";

/// Different patterns of a batch.
const MOST_PATTERNS: usize = 500;

/// Bytes of what is made of a pattern.
const MOST_BYTES: usize = 256 * 1024;

/// Patterns of which that is kept.
const MOST_KEPT: usize = 64;

/// The functions, to be registered.
pub(super) fn functions() -> [Arc<ScalarUDF>; 3] {
    let matches = |any_case| {
        let signature = Signature::string(2, Volatility::Immutable);
        Arc::new(ScalarUDF::new_from_impl(RegexMatches { any_case, signature }))
    };
    let signature = Signature::string(1, Volatility::Immutable);
    [matches(false), matches(true), Arc::new(ScalarUDF::new_from_impl(FewPatterns { signature }))]
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct RegexMatches {
    any_case: bool,
    signature: Signature,
}

impl ScalarUDFImpl for RegexMatches {
    fn name(&self) -> &str {
        if self.any_case { REGEX_MATCHES_ANY_CASE } else { REGEX_MATCHES }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [texts, patterns] = &ColumnarValue::values_to_arrays(&args.args)?[..] else {
            return internal_err!("{} takes a text and a pattern", self.name());
        };
        let (texts, patterns) = (views(texts)?, views(patterns)?);
        let mut kept: HashMap<&str, Regex> = HashMap::new();
        let mut found = BooleanArray::builder(texts.len());
        for (text, pattern) in texts.iter().zip(&patterns) {
            let Some((text, pattern)) = text.zip(pattern) else {
                found.append_null();
                continue;
            };
            if !kept.contains_key(pattern) {
                if kept.len() == MOST_KEPT {
                    kept.clear();
                }
                kept.insert(pattern, read(pattern, self.any_case)?);
            }
            found.append_option(kept.get(pattern).map(|regex| regex.is_match(text)));
        }
        Ok(ColumnarValue::Array(Arc::new(found.finish()) as ArrayRef))
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct FewPatterns {
    signature: Signature,
}

impl ScalarUDFImpl for FewPatterns {
    fn name(&self) -> &str {
        FEW_PATTERNS
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        if let Some(ColumnarValue::Array(patterns)) = args.args.first() {
            let patterns = views(patterns)?;
            let different: HashSet<&str> = patterns.iter().flatten().collect();
            if different.len() > MOST_PATTERNS {
                return exec_err!(
                    "regular expressions: {} different patterns in {} rows: expected {MOST_PATTERNS} at most; use ~ or LIKE",
                    different.len(),
                    patterns.len()
                );
            }
            different.into_iter().try_for_each(|pattern| read(pattern, false).map(|_| ()))?;
        }
        Ok(args.args.swap_remove(0))
    }
}

fn read(pattern: &str, any_case: bool) -> Result<Regex> {
    match RegexBuilder::new(pattern).case_insensitive(any_case).size_limit(MOST_BYTES).build() {
        Ok(regex) => Ok(regex),
        Err(regex::Error::CompiledTooBig(_)) => exec_err!(
            "the pattern '{pattern}' repeats too much: what is made of one in a column may have {MOST_BYTES} bytes"
        ),
        Err(error) => exec_err!("the pattern '{pattern}' cannot be read: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array as _, AsArray as _, StringArray};
    use arrow::datatypes::{DataType, Field};
    use datafusion::common::config::ConfigOptions;

    use super::*;

    fn matches(any_case: bool, rows: &[(Option<&str>, Option<&str>)]) -> Result<Vec<Option<bool>>> {
        let (texts, patterns): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
        let columns = [texts, patterns].map(|column| Arc::new(StringArray::from(column)) as ArrayRef);
        let field = Arc::new(Field::new("", DataType::Utf8, true));
        let args = ScalarFunctionArgs {
            args: columns.into_iter().map(ColumnarValue::Array).collect(),
            arg_fields: vec![field; 2],
            number_rows: rows.len(),
            return_field: Arc::new(Field::new("", DataType::Boolean, true)),
            config_options: Arc::new(ConfigOptions::default()),
        };
        let found = functions()[usize::from(any_case)].invoke_with_args(args)?.into_array(rows.len())?;
        let found = found.as_boolean();
        Ok((0..rows.len()).map(|row| found.is_valid(row).then(|| found.value(row))).collect())
    }

    #[test]
    fn each_row_has_a_pattern_of_its_own() {
        let rows = [("abc", "^a"), ("abc", "B"), ("ABC", "b"), ("", ""), ("x", "^$")]
            .map(|(text, pattern)| (Some(text), Some(pattern)));
        let found = [true, false, false, true, false].map(Some);
        assert_eq!(matches(false, &rows).unwrap(), found);
        assert_eq!(matches(true, &rows).unwrap(), [true, true, true, true, false].map(Some));
        assert_eq!(matches(false, &[(None, Some("a")), (Some("a"), None)]).unwrap(), [None, None]);
        let error = matches(false, &[(Some("a"), Some("("))]).unwrap_err().to_string();
        assert!(error.contains("the pattern '(' cannot be read: "), "{error}");
    }

    #[test]
    fn many_patterns_take_little_memory_and_large_ones_are_refused() {
        let patterns: Vec<String> = (0..2_000).map(|number| format!("^{number}(a{{20}}){{10}}$")).collect();
        let rows: Vec<_> = patterns.iter().map(|pattern| (Some("1a"), Some(pattern.as_str()))).collect();
        assert!(matches(false, &rows).unwrap().iter().all(|found| *found == Some(false)));
        let error = matches(false, &[(Some("a"), Some("((a{100}){100}){9}"))]).unwrap_err().to_string();
        assert!(error.contains("repeats too much"), "{error}");
    }
}
