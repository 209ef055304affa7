//! The scalar functions that the rule puts into plans. No user's SQL can name them.
//!
//! Work on a dictionary is done once per entry, not once per row, as long as it has fewer entries than rows.

use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryViewBuilder, BooleanArray, StringViewArray, StringViewBuilder,
    UInt16Builder, UInt64Builder,
};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, FieldRef};
use crossweave_contract::Collation;
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::canonical::{inet4_key, inet6_key, uuid_key};
use super::keys::KeyEncoder;
use super::like::{CharacterRule, LikePattern};

/// What stands for a text where it is compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    /// Its collation key.
    Collation(Arc<KeyEncoder>),
    /// The value of a UUID.
    Uuid,
    /// The value of an INET4.
    Inet4,
    /// The value of an INET6.
    Inet6,
    /// The place of an ENUM's value among those declared.
    EnumIndex(Arc<[String]>),
    /// The bits of a SET's members.
    SetBits(Arc<[String]>),
}

/// The functions of what stands for a text under its collation, and of LIKE under it.
pub(crate) const COLLATION_KEY: &str = "collation_key";
pub(crate) const COLLATION_LIKE: &str = "collation_like";

impl Key {
    fn name(&self) -> &'static str {
        match self {
            Self::Collation(_) => COLLATION_KEY,
            Self::Uuid => "uuid_key",
            Self::Inet4 => "inet4_key",
            Self::Inet6 => "inet6_key",
            Self::EnumIndex(_) => "enum_index",
            Self::SetBits(_) => "set_bits",
        }
    }

    /// The type of keys.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Self::EnumIndex(_) => DataType::UInt16,
            Self::SetBits(_) => DataType::UInt64,
            _ => DataType::BinaryView,
        }
    }

    /// `expr`, a text, replaced by its key.
    pub(crate) fn of(&self, expr: Expr) -> Expr {
        Expr::ScalarFunction(ScalarFunction::new_udf(
            Arc::new(ScalarUDF::new_from_impl(ComparisonKey::new(self.clone()))),
            vec![expr],
        ))
    }

    /// Appends the key of `text`, for keys that are bytes; false if the text has none.
    pub(crate) fn write(&self, text: &str, out: &mut Vec<u8>) -> bool {
        let mut append = |bytes: Option<&[u8]>| bytes.map(|bytes| out.extend_from_slice(bytes)).is_some();
        match self {
            Self::Collation(encoder) => {
                encoder.encode(text, out);
                true
            }
            Self::Uuid => append(uuid_key(text).as_ref().map(<[u8; 16]>::as_slice)),
            Self::Inet4 => append(inet4_key(text).as_ref().map(<[u8; 4]>::as_slice)),
            Self::Inet6 => append(inet6_key(text).as_ref().map(<[u8; 16]>::as_slice)),
            Self::EnumIndex(_) | Self::SetBits(_) => false,
        }
    }

    /// The key of a constant.
    pub(crate) fn of_text(&self, text: Option<&str>) -> Result<ScalarValue> {
        let array: ArrayRef = Arc::new(StringViewArray::from_iter([text]));
        ScalarValue::try_from_array(&self.of_array(&array)?, 0)
    }

    /// The keys of an array of texts.
    pub(crate) fn of_array(&self, array: &ArrayRef) -> Result<ArrayRef> {
        if array.data_type().is_null() {
            return Ok(arrow::array::new_null_array(&self.data_type(), array.len()));
        }
        per_entry(array, &|array| self.of_views(&views(array)?))
    }

    fn of_views(&self, texts: &StringViewArray) -> Result<ArrayRef> {
        Ok(match self {
            Self::EnumIndex(values) => {
                let mut indices = UInt16Builder::with_capacity(texts.len());
                for text in texts {
                    let index = text.map(|text| values.iter().position(|value| value == text));
                    indices.append_option(index.map(|index| index.map_or(0, |index| index as u16 + 1)));
                }
                Arc::new(indices.finish())
            }
            Self::SetBits(values) => {
                let mut bits = UInt64Builder::with_capacity(texts.len());
                for text in texts {
                    bits.append_option(text.map(|text| set_bits(values, text)));
                }
                Arc::new(bits.finish())
            }
            _ => {
                let mut keys = BinaryViewBuilder::with_capacity(texts.len());
                let mut key = Vec::new();
                for text in texts {
                    key.clear();
                    match text {
                        Some(text) if self.write(text, &mut key) => keys.append_value(&key),
                        _ => keys.append_null(),
                    }
                }
                Arc::new(keys.finish())
            }
        })
    }
}

fn set_bits(values: &[String], text: &str) -> u64 {
    text.split(',')
        .filter_map(|member| values.iter().position(|value| value == member))
        .fold(0, |bits, index| bits | 1u64.checked_shl(index as u32).unwrap_or(0))
}

/// Applies `f` to the entries of a dictionary, or to the rows of any other array.
fn per_entry(array: &ArrayRef, f: &dyn Fn(&ArrayRef) -> Result<ArrayRef>) -> Result<ArrayRef> {
    match array.as_any_dictionary_opt() {
        Some(dictionary) if dictionary.values().len() <= array.len() => {
            Ok(take(&f(dictionary.values())?, dictionary.keys(), None)?)
        }
        _ => f(array),
    }
}

/// Texts of any Arrow type as views.
pub(crate) fn views(array: &ArrayRef) -> Result<StringViewArray> {
    match array.data_type() {
        DataType::Utf8View => Ok(array.as_string_view().clone()),
        _ => Ok(cast(array, &DataType::Utf8View)?.as_string_view().clone()),
    }
}

/// `collation_key(text)` and its like.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ComparisonKey {
    key: Key,
    signature: Signature,
}

impl ComparisonKey {
    fn new(key: Key) -> Self {
        Self { key, signature: Signature::any(1, Volatility::Immutable) }
    }

    /// What stands for the text.
    pub(crate) fn key(&self) -> &Key {
        &self.key
    }

    fn call(&self, argument: &impl std::fmt::Display) -> String {
        match &self.key {
            Key::Collation(encoder) => {
                format!("{}({argument}, '{}')", self.key.name(), encoder.collation().name)
            }
            _ => format!("{}({argument})", self.key.name()),
        }
    }
}

impl ScalarUDFImpl for ComparisonKey {
    fn name(&self) -> &str {
        self.key.name()
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.call(&args[0]))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.call(&args[0].schema_name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.key.data_type())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let always = matches!(self.key, Key::Collation(_) | Key::EnumIndex(_) | Key::SetBits(_));
        let nullable = !always || args.arg_fields[0].is_nullable();
        Ok(Arc::new(Field::new(self.name(), self.key.data_type(), nullable)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match &args.args[0] {
            ColumnarValue::Array(array) => Ok(ColumnarValue::Array(self.key.of_array(array)?)),
            ColumnarValue::Scalar(value) => {
                let keys = self.key.of_array(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&keys, 0)?))
            }
        }
    }
}

/// `collation_like(text, pattern)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct CollationLike {
    rule: CharacterRule,
    escape: Option<char>,
    signature: Signature,
}

impl CollationLike {
    /// `text LIKE pattern ESCAPE escape`.
    pub(crate) fn call(rule: CharacterRule, escape: Option<char>, text: Expr, pattern: Expr) -> Expr {
        let function = Self { rule, escape, signature: Signature::any(2, Volatility::Immutable) };
        Expr::ScalarFunction(ScalarFunction::new_udf(
            Arc::new(ScalarUDF::new_from_impl(function)),
            vec![text, pattern],
        ))
    }

    /// Whether it is MariaDB's LIKE of a column under `collation`.
    pub(crate) fn is_of(&self, collation: &Collation) -> bool {
        let rule = matches!(&self.rule, CharacterRule::Collation(encoder) if encoder.collation() == collation);
        rule && self.escape == Some('\\')
    }

    fn written(&self, text: &impl std::fmt::Display, pattern: &impl std::fmt::Display) -> String {
        match &self.rule {
            CharacterRule::Collation(encoder) => {
                format!("{}({text}, {pattern}, '{}')", self.name(), encoder.collation().name)
            }
            CharacterRule::IgnoringCase(_) => format!("{}({text}, {pattern}, ignoring case)", self.name()),
        }
    }

    fn matching(&self, texts: &ArrayRef, pattern: &str) -> Result<ArrayRef> {
        let pattern = LikePattern::new(pattern, self.escape, &self.rule);
        per_entry(texts, &|texts| {
            let texts = views(texts)?;
            let matches = texts.iter().map(|text| text.map(|text| pattern.matches(text)));
            Ok(Arc::new(matches.collect::<BooleanArray>()))
        })
    }
}

impl ScalarUDFImpl for CollationLike {
    fn name(&self) -> &str {
        COLLATION_LIKE
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.written(&args[0], &args[1]))
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(self.written(&args[0].schema_name(), &args[1].schema_name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, pattern] = &args.args[..] else {
            return internal_err!("collation_like takes a text and a pattern");
        };
        let rows = if let (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)) = (text, pattern) {
            1
        } else {
            args.number_rows
        };
        let matches = match pattern {
            ColumnarValue::Scalar(pattern) => match pattern.try_as_str().flatten() {
                Some(pattern) => self.matching(&text.to_array(rows)?, pattern)?,
                None => return Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None))),
            },
            ColumnarValue::Array(patterns) => {
                let (texts, patterns) = (views(&text.to_array(rows)?)?, views(patterns)?);
                let matches = texts.iter().zip(&patterns).map(|(text, pattern)| {
                    Some(LikePattern::new(pattern?, self.escape, &self.rule).matches(text?))
                });
                Arc::new(matches.collect::<BooleanArray>())
            }
        };
        if let (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)) = (text, pattern) {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&matches, 0)?));
        }
        Ok(ColumnarValue::Array(matches))
    }
}

/// `by_bytes(text)`: the text itself, which from here on has no collation. It stands where a function of the
/// surface works on the characters themselves (`starts_with`, `~`), so that what the optimizer makes of that
/// function is not taken for a comparison under the collation.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ByBytes {
    signature: Signature,
}

impl ByBytes {
    /// `by_bytes(text)`.
    pub(crate) fn call(text: Expr) -> Expr {
        let function = Self { signature: Signature::any(1, Volatility::Immutable) };
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), vec![text]))
    }
}

impl ScalarUDFImpl for ByBytes {
    fn name(&self) -> &str {
        "by_bytes"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match args.args.pop() {
            Some(text) => Ok(text),
            None => exec_err!("by_bytes takes a text"),
        }
    }
}

/// The text of which `call` makes what is compared, or which is compared by its bytes.
pub(crate) fn compared(call: &ScalarFunction) -> Option<&Expr> {
    let function = call.func.inner();
    let is_of_text =
        function.downcast_ref::<ComparisonKey>().is_some() || function.downcast_ref::<ByBytes>().is_some();
    call.args.first().filter(|_| is_of_text)
}

/// `greatest` and `least` of texts; NULLs are passed over, as the surface's functions do.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct CollationChoice {
    greatest: bool,
    key: Key,
    signature: Signature,
}

impl CollationChoice {
    /// The greatest (or least) of `texts`, all of type Utf8View.
    pub(crate) fn call(greatest: bool, key: Key, texts: Vec<Expr>) -> Expr {
        let function = Self { greatest, key, signature: Signature::variadic_any(Volatility::Immutable) };
        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), texts))
    }
}

impl ScalarUDFImpl for CollationChoice {
    fn name(&self) -> &str {
        if self.greatest { "collation_greatest" } else { "collation_least" }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts: Vec<StringViewArray> =
            args.args.iter().map(|text| views(&text.to_array(args.number_rows)?)).collect::<Result<_>>()?;
        let mut chosen = StringViewBuilder::with_capacity(args.number_rows);
        let (mut best, mut key) = (Vec::new(), Vec::new());
        for row in 0..args.number_rows {
            let mut choice: Option<&str> = None;
            for text in texts.iter().filter(|text| text.is_valid(row)).map(|text| text.value(row)) {
                key.clear();
                if !self.key.write(text, &mut key) {
                    continue;
                }
                if choice.is_none() || (if self.greatest { key > best } else { key < best }) {
                    choice = Some(text);
                    std::mem::swap(&mut best, &mut key);
                }
            }
            chosen.append_option(choice);
        }
        Ok(ColumnarValue::Array(Arc::new(chosen.finish())))
    }
}
