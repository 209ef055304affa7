//! `truth(x)`, `equals_any(x, array)` and `text_collate(x, name)`, which stand in a read query for what the rules
//! replace, and `text_number(x)`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::DataType;
use datafusion::common::{Result, internal_err, plan_err};
use datafusion::logical_expr::{ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility};

use super::each::{Each, each};
use crate::federation::collation::{COLLATE_FUNCTION, views};

/// The function that stands for "used as a condition".
pub(super) const TRUTH: &str = "truth";

/// `truth(x)`: whether x, a number, is not 0. The surface's rule replaces it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Truth {
    signature: Signature,
}

impl Default for Truth {
    fn default() -> Self {
        Self { signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Truth {
    fn name(&self) -> &str {
        TRUTH
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(Expr::to_string).unwrap_or_default())
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(|arg| arg.schema_name().to_string()).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("truth(…) was left in a plan")
    }
}

/// `text_collate(x, name)`: x, to be compared under that collation. The collation rule replaces it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Collate {
    signature: Signature,
}

impl Default for Collate {
    fn default() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Collate {
    fn name(&self) -> &str {
        COLLATE_FUNCTION
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(|arg| arg.schema_name().to_string()).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types.first() {
            Some(text) => Ok(text.clone()),
            None => plan_err!("COLLATE takes a text"),
        }
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("COLLATE was left in a plan")
    }
}

/// The function that stands for `= ANY (array)`.
pub(crate) const EQUALS_ANY: &str = "equals_any";

/// `equals_any(x, array)`: whether x is among the array's elements. The surface's rule replaces it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct EqualsAny {
    signature: Signature,
}

impl Default for EqualsAny {
    fn default() -> Self {
        Self { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for EqualsAny {
    fn name(&self) -> &str {
        EQUALS_ANY
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [needle, array] = args else { return internal_err!("= ANY has two operands") };
        Ok(format!("{} = ANY({})", needle.schema_name(), array.schema_name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        internal_err!("= ANY was left in a plan")
    }
}

/// The function that takes a text for a number.
pub(crate) const TEXT_NUMBER: &str = "text_number";

/// `text` as the number that MariaDB takes it for: as many characters at its beginning as make one, else 0.
pub(crate) fn text_number(text: Expr) -> Expr {
    each(TextNumber, text)
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct TextNumber;

impl Each for TextNumber {
    const NAME: &'static str = TEXT_NUMBER;
    const IS_NAMED: bool = true;

    fn makes(&self, _from: &DataType) -> DataType {
        DataType::Float64
    }

    fn of(&self, texts: &ArrayRef) -> Result<ArrayRef> {
        let numbers: Float64Array = views(texts)?.iter().map(|text| text.map(leading_number)).collect();
        Ok(Arc::new(numbers))
    }
}

fn leading_number(text: &str) -> f64 {
    let text = text.trim_start();
    let bytes = text.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let whole = digits(sign);
    let mut end = sign + whole;
    if bytes.get(end) == Some(&b'.') {
        let fraction = digits(end + 1);
        if whole + fraction == 0 {
            return 0.0;
        }
        end += 1 + fraction;
    } else if whole == 0 {
        return 0.0;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'-' | b'+')));
        let exponent = bytes.get(end + 1 + sign..).map_or(0, |_| digits(end + 1 + sign));
        if exponent > 0 {
            end += 1 + sign + exponent;
        }
    }
    text[..end].parse().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::leading_number;

    #[test]
    fn takes_the_number_at_the_beginning() {
        for (text, expected) in [
            ("5", 5.0),
            ("5abc", 5.0),
            ("abc", 0.0),
            ("", 0.0),
            (" -1.5e2x", -150.0),
            ("1e", 1.0),
            ("1e+", 1.0),
            (".5", 0.5),
            ("5.", 5.0),
            (".", 0.0),
            ("-", 0.0),
            ("１", 0.0),
        ] {
            assert_eq!(leading_number(text), expected, "{text:?}");
        }
    }
}
