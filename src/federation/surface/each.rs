//! Functions that make a value of each value of one argument.

use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

/// What such a function does.
pub(super) trait Each: fmt::Debug + Hash + Eq + Send + Sync + 'static {
    const NAME: &'static str;
    /// Whether a column of it is named after it, rather than as its argument is.
    const IS_NAMED: bool = false;

    /// The type of what is made of values of type `from`.
    fn makes(&self, from: &DataType) -> DataType;

    /// What is made of `values`, in their order, NULL of NULL.
    ///
    /// # Errors
    /// Where nothing can be made of one of them.
    fn of(&self, values: &ArrayRef) -> Result<ArrayRef>;
}

/// What `function` makes of `expr`.
pub(super) fn each(function: impl Each, expr: Expr) -> Expr {
    let function = OfEach { function, signature: Signature::any(1, Volatility::Immutable) };
    let function = Arc::new(ScalarUDF::new_from_impl(function));
    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![expr]))
}

/// The function of this kind that `call` is of, if it is.
pub(super) fn of_each<F: Each>(call: &ScalarFunction) -> Option<&F> {
    call.func.inner().downcast_ref::<OfEach<F>>().map(|of| &of.function)
}

#[derive(PartialEq, Eq, Hash)]
struct OfEach<F> {
    function: F,
    signature: Signature,
}

impl<F: Each> fmt::Debug for OfEach<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(F::NAME)
    }
}

impl<F: Each> ScalarUDFImpl for OfEach<F> {
    fn name(&self) -> &str {
        F::NAME
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [arg] = args else { return internal_err!("{} takes one value", F::NAME) };
        let name = arg.schema_name();
        Ok(if F::IS_NAMED { format!("{}({name})", F::NAME) } else { name.to_string() })
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [from] => Ok(self.function.makes(from)),
            _ => internal_err!("{} takes one value", F::NAME),
        }
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match &args.args[..] {
            // What DataFusion asks with, to find out what becomes of NULL, has no type.
            [values] if values.data_type().is_null() => {
                Ok(ColumnarValue::Scalar(ScalarValue::try_new_null(args.return_type())?))
            }
            [ColumnarValue::Array(values)] => Ok(ColumnarValue::Array(self.function.of(values)?)),
            [ColumnarValue::Scalar(value)] => {
                let made = self.function.of(&value.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&made, 0)?))
            }
            _ => internal_err!("{} takes one value", F::NAME),
        }
    }
}
