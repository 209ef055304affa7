//! Functions whose result may be many times what they are given: a value and a batch of them may have so many bytes,
//! which is asked before they are made.
//!
//! Memory that expressions take is not reserved from the pool of `[queries] memory`, which holds for operators. Without
//! a bound here, one `repeat('x', 500000000)` or a `||` of itself, forty times over, would take what there is.

mod elements;
mod sizes;
mod string_agg;

use std::sync::Arc;

use arrow::array::StringViewBuilder;
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use crossweave_contract::{ConnectorError, ErrorKind};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, internal_err};
use datafusion::functions::{regex, string, unicode};
use datafusion::functions_nested::{concat, range, repeat, resize, string as texts};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Documentation, Expr, ExprSchemable, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use sizes::{Texts, sizes};

pub(super) use string_agg::string_agg;

/// The most bytes of one value that a function makes: what MariaDB's `max_allowed_packet` is where nobody sets it.
const VALUE: u64 = 16 << 20;
/// The most bytes that a function makes for the rows of one batch.
const BATCH: u64 = 256 << 20;
/// So many bytes fit for each row of a batch: what is bounded by them need not be counted exactly.
const EASY: u64 = BATCH / 8192;

/// How large a function's result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// The text, so many times.
    Repeat,
    /// So many characters.
    Pad,
    Replace,
    /// The same, of what an expression matches: of all matches if there is the flag `g`.
    Rewrite,
    /// The value, so many times; the count is the second argument.
    RepeatElement,
    /// So many elements, of which what is missing is the third argument.
    Resize,
    /// Numbers, days or moments up to a last one, which belongs to them if it is `true`.
    Range,
    /// All texts, one after the other.
    Concat,
    /// The same, the first one between each two others.
    Join,
    /// All lists, or elements, one after the other.
    Lists,
    /// The elements as texts, the second argument between each two, the third one for NULL.
    ListText,
}

/// The functions, to be registered over DataFusion's.
pub(super) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    [
        (string::repeat(), Growth::Repeat),
        (unicode::lpad(), Growth::Pad),
        (unicode::rpad(), Growth::Pad),
        (string::replace(), Growth::Replace),
        (regex::regexp_replace(), Growth::Rewrite),
        (string::concat(), Growth::Concat),
        (string::concat_ws(), Growth::Join),
        (repeat::array_repeat_udf(), Growth::RepeatElement),
        (resize::array_resize_udf(), Growth::Resize),
        (concat::array_concat_udf(), Growth::Lists),
        (texts::array_to_string_udf(), Growth::ListText),
        (range::range_udf(), Growth::Range),
        (range::gen_series_udf(), Growth::Range),
    ]
    .into_iter()
    .map(|(inner, growth)| Arc::new(ScalarUDF::new_from_impl(Bounded { inner, growth })))
}

/// DataFusion's function of the same name, asked for no more than fits.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Bounded {
    inner: Arc<ScalarUDF>,
    growth: Growth,
}

impl ScalarUDFImpl for Bounded {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check(self.name(), self.growth, &args.args, args.number_rows)?;
        self.inner.invoke_with_args(args)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// Fails unless what `name` makes of `args` fits.
fn check(name: &str, growth: Growth, args: &[ColumnarValue], rows: usize) -> Result<()> {
    let rows = if args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) { 1 } else { rows };
    let size = sizes(growth, args, rows)?;
    let mut total = 0_u64;
    for row in 0..rows {
        let bytes = size(row);
        if bytes > VALUE {
            return Err(too_large(format!("{name} would make a value of {bytes} bytes: {VALUE} are the most")));
        }
        total = total.saturating_add(bytes);
    }
    if total > BATCH {
        let message = format!("{name} would make {total} bytes for {rows} rows at once: {BATCH} are the most");
        return Err(too_large(message));
    }
    Ok(())
}

fn too_large(message: String) -> DataFusionError {
    let error =
        ConnectorError::new(ErrorKind::Limit, message).with_fix("Make shorter values, or of fewer rows");
    DataFusionError::External(Box::new(error))
}

/// How large a list is that `call` makes, where DataFusion planned it as a function of its own: `a || b`, `[a, b]`.
/// Left alone is what its statement's length bounds; DataFusion knows it in `array_has`.
fn list(call: &ScalarFunction, schema: &DFSchema) -> Result<Option<Growth>> {
    if call.func.inner().downcast_ref::<Bounded>().is_some() {
        return Ok(None);
    }
    Ok(match call.name() {
        "array_concat" | "array_append" | "array_prepend" => Some(Growth::Lists),
        "make_array" => {
            for arg in &call.args {
                if !matches!(arg, Expr::Literal(..)) && arg.get_type(schema)?.primitive_width().is_none() {
                    return Ok(Some(Growth::Lists));
                }
            }
            None
        }
        _ => None,
    })
}

/// `a || b`, and what makes a list, as functions that are bounded.
pub(super) fn joined(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if let Expr::ScalarFunction(call) = &mut expr
        && let Some(growth) = list(call, schema)?
    {
        let bounded = Bounded { inner: Arc::clone(&call.func), growth };
        call.func = Arc::new(ScalarUDF::new_from_impl(bounded));
        return Ok(Transformed::yes(expr));
    }
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) = &expr else {
        return Ok(Transformed::no(expr));
    };
    let to = expr.get_type(schema)?;
    if !matches!(to, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) {
        return Ok(Transformed::no(expr));
    }
    let function = Joined { to, signature: Signature::any(2, Volatility::Immutable) };
    let args = vec![(**left).clone(), (**right).clone()];
    let function = ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(function)), args);
    Ok(Transformed::yes(Expr::ScalarFunction(function)))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Joined {
    to: DataType,
    signature: Signature,
}

impl ScalarUDFImpl for Joined {
    fn name(&self) -> &str {
        "||"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check(self.name(), Growth::Concat, &args.args, args.number_rows)?;
        let [left, right] = &args.args[..] else { return internal_err!("|| has two operands") };
        let scalar = matches!((left, right), (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let (left, right) = (Texts::of(left)?, Texts::of(right)?);
        let mut texts = StringViewBuilder::with_capacity(rows);
        let mut text = String::new();
        for row in 0..rows {
            match (left.at(row), right.at(row)) {
                (Some(left), Some(right)) => {
                    text.clear();
                    text.push_str(left);
                    text.push_str(right);
                    texts.append_value(&text);
                }
                _ => texts.append_null(),
            }
        }
        let texts = cast(&texts.finish(), &self.to)?;
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&texts, 0)?),
            false => ColumnarValue::Array(texts),
        })
    }
}
