//! Functions whose result may be many times what they are given: a value and a batch of them may have so many bytes,
//! which is asked before they are made.
//!
//! Memory that expressions take is not reserved from the pool of `[queries] memory`, which holds for operators. Without
//! a bound here, one `repeat('x', 500000000)` or a `||` of itself, forty times over, would take what there is.

mod constants;
mod elements;
mod rewriting;
mod sizes;
mod string_agg;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewBuilder, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use crossweave_contract::{ConnectorError, ErrorKind};
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, internal_err};
use datafusion::functions::all_default_functions;
use datafusion::functions_nested::all_default_nested_functions;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, Cast, ColumnarValue, Documentation, Expr, ExprSchemable, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, StructFieldMapping, TryCast, Volatility,
};

use sizes::{Texts, not_below_zero, sizes};

use crate::federation::collation::is_text;

pub(crate) use constants::{check_constants, with_few_constants};
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
    /// What an expression's groups match, each a text; groups may hold each other.
    Captures,
    /// The text with another one put into it.
    Overlay,
    /// The text in capitals or without: some letters become three.
    Case,
    /// The text with some characters replaced, each by one that may take more bytes.
    Translate,
    /// Bytes as text.
    Encode,
    /// A moment, as often as the format says.
    Format,
    /// The text with an escape before some characters.
    Escape,
    /// All values as the text of an object.
    Object,
    /// The text in parts.
    Split,
    /// All texts, or binaries, one after the other.
    Concat,
    /// The same, the first one between each two others.
    Join,
    /// The value, so many times; the count is the second argument.
    RepeatElement,
    /// So many elements, of which what is missing is the third argument.
    Resize,
    /// Numbers, days or moments up to a last one, which belongs to them if it is `true`.
    Range,
    /// All lists, elements or fields together.
    Lists,
    /// All lists side by side, each as long as the longest.
    Zip,
    /// The list, with the third argument in place of one element that is the second one.
    ReplaceElement,
    /// The same, of so many elements as the fourth argument says, or of all.
    ReplaceElements,
    /// The elements as texts, the second argument between each two, the third one for NULL.
    ListText,
}

/// The functions that may make much of little, by name. What none of them is gives a value of a size of its own, or no
/// more than it is given; a test holds that of all that there are.
const GROWTHS: &[(&str, Growth)] = &[
    ("repeat", Growth::Repeat),
    ("lpad", Growth::Pad),
    ("rpad", Growth::Pad),
    ("replace", Growth::Replace),
    ("regexp_replace", Growth::Rewrite),
    ("regexp_match", Growth::Captures),
    ("overlay", Growth::Overlay),
    ("upper", Growth::Case),
    ("lower", Growth::Case),
    ("initcap", Growth::Case),
    ("translate", Growth::Translate),
    ("encode", Growth::Encode),
    ("to_char", Growth::Format),
    ("like_pattern", Growth::Escape),
    ("quote_ident", Growth::Escape),
    ("json_build_object", Growth::Object),
    ("string_to_array", Growth::Split),
    ("concat", Growth::Concat),
    ("concat_ws", Growth::Join),
    ("array_repeat", Growth::RepeatElement),
    ("array_resize", Growth::Resize),
    ("range", Growth::Range),
    ("generate_series", Growth::Range),
    ("array_append", Growth::Lists),
    ("array_prepend", Growth::Lists),
    ("array_concat", Growth::Lists),
    ("array_union", Growth::Lists),
    ("map", Growth::Lists),
    ("arrays_zip", Growth::Zip),
    ("array_replace", Growth::ReplaceElement),
    ("array_replace_n", Growth::ReplaceElements),
    ("array_replace_all", Growth::ReplaceElements),
    ("array_to_string", Growth::ListText),
    ("make_array", Growth::Lists),
    ("struct", Growth::Lists),
    ("named_struct", Growth::Lists),
];

/// What DataFusion looks for by what it is, so that it is planned as that first.
const KEPT: &str = "make_array";

/// Fields that a value has at most, those of its fields included. DataFusion goes through all of them again and again:
/// were they unbounded, `struct(x, x)` of itself would double what planning takes.
const FIELDS: usize = 1_000;

fn growth(name: &str) -> Option<Growth> {
    GROWTHS.iter().find(|(known, _)| *known == name).map(|(_, growth)| *growth)
}

/// Whether what the function makes is counted before it does.
#[cfg(test)]
pub(crate) fn is_bounded(function: &ScalarUDF) -> bool {
    growth(function.name()).is_some()
}

/// The functions, to be registered over DataFusion's.
pub(super) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    let all = all_default_functions().into_iter().chain(all_default_nested_functions());
    all.filter(|function| function.name() != KEPT).filter_map(bounded_function)
}

fn bounded_function(inner: Arc<ScalarUDF>) -> Option<Arc<ScalarUDF>> {
    let growth = growth(inner.name())?;
    Some(Arc::new(ScalarUDF::new_from_impl(Bounded { inner, growth })))
}

/// A call of `function`, bounded if it makes much.
pub(super) fn call(function: Arc<ScalarUDF>, args: Vec<Expr>) -> Expr {
    let function = bounded_function(Arc::clone(&function)).unwrap_or(function);
    Expr::ScalarFunction(ScalarFunction::new_udf(function, args))
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
        let to = self.inner.return_type(arg_types)?;
        check_fields(self.name(), &to)?;
        Ok(to)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let field = self.inner.return_field_from_args(args)?;
        check_fields(self.name(), field.data_type())?;
        Ok(field)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        check(self.name(), self.growth, &args.args, args.number_rows)?;
        if let (Growth::Pad, [_, length, ..]) = (self.growth, &mut args.args[..]) {
            // DataFusion makes room for the sum of all lengths, in which one below 0 is as large as can be.
            *length = not_below_zero(length)?;
        }
        self.inner.invoke_with_args(args)
    }

    fn struct_field_mapping(&self, literals: &[Option<ScalarValue>]) -> Option<StructFieldMapping> {
        self.inner.struct_field_mapping(literals)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// Fails unless what `name` makes of `args` fits.
fn check(name: &str, growth: Growth, args: &[ColumnarValue], rows: usize) -> Result<()> {
    let constant = args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
    let rows = if constant { 1 } else { rows };
    let size = sizes(growth, args, rows)?;
    let mut total = 0_u64;
    for row in 0..rows {
        let bytes = size(row);
        if bytes > VALUE {
            return Err(too_large(format!("{name} would make a value of {bytes} bytes: {VALUE} are the most")));
        }
        total = total.saturating_add(bytes);
    }
    check_batch(name, total, rows)?;
    if constant { constants::count(name, total) } else { Ok(()) }
}

/// Fails unless so many bytes fit for the rows of one batch.
pub(super) fn check_batch(name: &str, bytes: u64, rows: usize) -> Result<()> {
    match bytes > BATCH {
        true => Err(too_large(format!(
            "{name} would make {bytes} bytes for {rows} rows at once: {BATCH} are the most"
        ))),
        false => Ok(()),
    }
}

/// Fails if a value that `name` makes would have more fields than are served.
fn check_fields(name: &str, data_type: &DataType) -> Result<()> {
    fn count(data_type: &DataType) -> usize {
        match data_type {
            DataType::Struct(fields) => fields.iter().map(|field| 1 + count(field.data_type())).sum(),
            DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
                count(item.data_type())
            }
            DataType::Map(entries, _) => count(entries.data_type()),
            _ => 0,
        }
    }
    match count(data_type) {
        0..=FIELDS => Ok(()),
        found => Err(too_large(format!("{name} would make a value of {found} fields: {FIELDS} are the most"))),
    }
}

fn too_large(message: String) -> DataFusionError {
    limit(message, "Make shorter values, or of fewer rows")
}

/// A bound was reached; `fix` says what to do.
pub(super) fn limit(message: String, fix: &str) -> DataFusionError {
    DataFusionError::External(Box::new(ConnectorError::new(ErrorKind::Limit, message).with_fix(fix)))
}

/// Fails if all values of a type have more bytes than fit for each row: room is made for them even if they are NULL.
fn check_width(data_type: &DataType) -> Result<()> {
    fn width(data_type: &DataType) -> u64 {
        let count = |length: i32| u64::try_from(length).unwrap_or(0);
        match data_type {
            DataType::FixedSizeBinary(length) => count(*length),
            DataType::FixedSizeList(item, length) => width(item.data_type()).saturating_mul(count(*length)),
            DataType::Struct(fields) => {
                fields.iter().map(|field| width(field.data_type())).fold(0, u64::saturating_add)
            }
            DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => {
                width(item.data_type())
            }
            other => other.primitive_width().unwrap_or(1) as u64,
        }
    }
    match width(data_type) {
        0..=EASY => Ok(()),
        bytes => Err(too_large(format!("a cast would make values of {bytes} bytes each: {EASY} are the most"))),
    }
}

/// `expr`, which refers to columns of `schema` and whose types are settled, asked for no more than fits.
pub(crate) fn bounded(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    expr.transform_up(|expr| joined(expr, schema)).data()
}

/// Whether `call` is to be bounded still: DataFusion plans some as functions of its own, such as `[a, b]`.
fn is_free(call: &ScalarFunction, schema: &DFSchema) -> Result<bool> {
    if call.func.inner().downcast_ref::<Bounded>().is_some() {
        return Ok(false);
    }
    if call.name() != KEPT {
        return Ok(true);
    }
    // What the statement's length bounds is left alone.
    for arg in &call.args {
        if !matches!(arg, Expr::Literal(..)) && arg.get_type(schema)?.primitive_width().is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `a || b`, and functions that make much, as functions that are bounded. Casts are to types that are not too wide.
pub(super) fn joined(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if let Expr::Cast(Cast { field, .. }) | Expr::TryCast(TryCast { field, .. }) = &expr {
        check_width(field.data_type())?;
        return Ok(Transformed::no(expr));
    }
    if let Expr::ScalarFunction(call) = &mut expr {
        if matches!(call.name(), "arrow_cast" | "arrow_try_cast") {
            check_width(&expr.get_type(schema)?)?;
            return Ok(Transformed::no(expr));
        }
        return match bounded_function(Arc::clone(&call.func)) {
            Some(function) if is_free(call, schema)? => {
                call.func = function;
                Ok(Transformed::yes(expr))
            }
            _ => Ok(Transformed::no(expr)),
        };
    }
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) = &expr else {
        return Ok(Transformed::no(expr));
    };
    let to = expr.get_type(schema)?;
    if !is_text(&to) && !to.is_binary() {
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
        let both = match self.to.is_binary() {
            true => joined_binaries(&left.to_array(rows)?, &right.to_array(rows)?)?,
            false => joined_texts(&Texts::of(left)?, &Texts::of(right)?, rows),
        };
        let both = cast(&both, &self.to)?;
        Ok(match scalar {
            true => ColumnarValue::Scalar(ScalarValue::try_from_array(&both, 0)?),
            false => ColumnarValue::Array(both),
        })
    }
}

fn joined_texts(left: &Texts, right: &Texts, rows: usize) -> ArrayRef {
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
    Arc::new(texts.finish())
}

fn joined_binaries(left: &ArrayRef, right: &ArrayRef) -> Result<ArrayRef> {
    let (left, right) = (cast(left, &DataType::BinaryView)?, cast(right, &DataType::BinaryView)?);
    let mut binaries = BinaryViewBuilder::with_capacity(left.len());
    for (left, right) in left.as_binary_view().iter().zip(right.as_binary_view()) {
        binaries.append_option(left.zip(right).map(|(left, right)| [left, right].concat()));
    }
    Ok(Arc::new(binaries.finish()))
}
