//! Functions whose result may be many times what they are given: a value and a batch of them may have so many bytes,
//! which is asked before they are made.
//!
//! Memory that expressions take is not reserved from the pool of `[queries] memory`, which holds for operators. Without
//! a bound here, one `repeat('x', 500000000)` or a `||` of itself, forty times over, would take what there is.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Int64Type, IntervalMonthDayNanoType, TimeUnit};
use crossweave_contract::{ConnectorError, ErrorKind};
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DataFusionError, Result, ScalarValue, internal_err};
use datafusion::functions::{string, unicode};
use datafusion::functions_nested::{concat, range, repeat, resize};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Documentation, Expr, ExprSchemable, Operator, ReturnFieldArgs,
    ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::federation::collation::{is_text, views};

/// The most bytes of one value that a function makes: what MariaDB's `max_allowed_packet` is where nobody sets it.
const VALUE: u64 = 16 << 20;
/// The most bytes that a function makes for the rows of one batch.
const BATCH: u64 = 256 << 20;

/// How large a function's result is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Growth {
    /// The text, so many times.
    Repeat,
    /// So many characters.
    Pad,
    Replace,
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
    /// All lists, one after the other.
    Lists,
}

/// The functions, to be registered over DataFusion's.
pub(super) fn functions() -> impl Iterator<Item = Arc<ScalarUDF>> {
    [
        (string::repeat(), Growth::Repeat),
        (unicode::lpad(), Growth::Pad),
        (unicode::rpad(), Growth::Pad),
        (string::replace(), Growth::Replace),
        (string::concat(), Growth::Concat),
        (string::concat_ws(), Growth::Join),
        (repeat::array_repeat_udf(), Growth::RepeatElement),
        (resize::array_resize_udf(), Growth::Resize),
        (concat::array_concat_udf(), Growth::Lists),
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
    let size = sizes(growth, args)?;
    let mut total = 0_u64;
    for row in 0..rows {
        let bytes = size(row);
        if bytes > VALUE {
            return Err(too_large(format!("{name} would make a value of {bytes} bytes: {VALUE} are the most")));
        }
        total += bytes;
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

/// For each row, how many bytes come of `args`, or a little more.
fn sizes(growth: Growth, args: &[ColumnarValue]) -> Result<Box<dyn Fn(usize) -> u64>> {
    Ok(match (growth, args) {
        (Growth::Repeat, [text, count]) => {
            let (text, count) = (Texts::of(text)?, Numbers::of(count)?);
            Box::new(move |row| text.bytes(row).saturating_mul(count.at(row)))
        }
        (Growth::Pad, [text, length, fill @ ..]) => {
            let (text, length) = (Texts::of(text)?, Numbers::of(length)?);
            let fill = fill.first().map(Texts::of).transpose()?;
            Box::new(move |row| {
                let fill = fill.as_ref().and_then(|fill| fill.at(row)).unwrap_or(" ");
                let ascii = fill.is_ascii() && text.at(row).is_none_or(str::is_ascii);
                length.at(row).saturating_mul(if ascii { 1 } else { 4 })
            })
        }
        (Growth::Replace, [text, from, to]) => {
            let (text, from, to) = (Texts::of(text)?, Texts::of(from)?, Texts::of(to)?);
            Box::new(move |row| match (text.at(row), from.at(row), to.at(row)) {
                (Some(text), Some(from), Some(to)) => replaced(text, from, to),
                _ => 0,
            })
        }
        (Growth::RepeatElement, [element, count]) => {
            let (element, count) = (element_size(element)?, Numbers::of(count)?);
            Box::new(move |row| element.saturating_mul(count.at(row)))
        }
        (Growth::Resize, [_, length, fill @ ..]) => {
            let element = fill.first().map_or(Ok(ELEMENT), element_size)?;
            let length = Numbers::of(length)?;
            Box::new(move |row| element.saturating_mul(length.at(row)))
        }
        (Growth::Lists, args) => {
            let lists = args.iter().map(element_size).sum::<Result<u64>>()?;
            Box::new(move |_| lists)
        }
        (Growth::Range, args) => ranges(args)?,
        (Growth::Concat, args) => concatenated(args)?,
        (Growth::Join, [between, args @ ..]) => {
            let (between, texts, places) = (Texts::of(between)?, concatenated(args)?, args.len() as u64);
            Box::new(move |row| between.bytes(row).saturating_mul(places).saturating_add(texts(row)))
        }
        _ => Box::new(|_| 0),
    })
}

fn concatenated(args: &[ColumnarValue]) -> Result<Box<dyn Fn(usize) -> u64>> {
    let texts = args.iter().filter(|arg| is_text(&arg.data_type())).map(Texts::of);
    let texts = texts.collect::<Result<Vec<_>>>()?;
    Ok(Box::new(move |row| texts.iter().map(|text| text.bytes(row)).fold(0, u64::saturating_add)))
}

/// The texts that an argument has.
struct Texts {
    array: StringViewArray,
    /// One for all rows.
    scalar: bool,
}

impl Texts {
    fn of(arg: &ColumnarValue) -> Result<Self> {
        let (array, scalar) = array_of(arg)?;
        Ok(Self { array: views(&array)?, scalar })
    }

    fn at(&self, row: usize) -> Option<&str> {
        let row = if self.scalar { 0 } else { row };
        self.array.is_valid(row).then(|| self.array.value(row))
    }

    fn bytes(&self, row: usize) -> u64 {
        self.at(row).map_or(0, |text| text.len() as u64)
    }
}

/// The counts that an argument has; what is NULL or less than 0 makes nothing.
struct Numbers {
    array: Int64Array,
    scalar: bool,
}

impl Numbers {
    fn of(arg: &ColumnarValue) -> Result<Self> {
        let (array, scalar) = array_of(arg)?;
        Ok(Self { array: cast(&array, &DataType::Int64)?.as_primitive::<Int64Type>().clone(), scalar })
    }

    fn value(&self, row: usize) -> Option<i64> {
        let row = if self.scalar { 0 } else { row };
        self.array.is_valid(row).then(|| self.array.value(row))
    }

    fn at(&self, row: usize) -> u64 {
        self.value(row).and_then(|count| u64::try_from(count).ok()).unwrap_or(0)
    }
}

fn array_of(arg: &ColumnarValue) -> Result<(ArrayRef, bool)> {
    Ok(match arg {
        ColumnarValue::Array(array) => (Arc::clone(array), false),
        ColumnarValue::Scalar(value) => (value.to_array()?, true),
    })
}

/// Bytes of `text` with `to` in place of each `from`. They are only counted where it could matter.
fn replaced(text: &str, from: &str, to: &str) -> u64 {
    let (length, step, put) = (text.len() as u64, from.len() as u64, to.len() as u64);
    if put <= step {
        return length;
    }
    let size = |times: u64| length.saturating_add(times.saturating_mul(put - step));
    let most = size(length.checked_div(step).unwrap_or(length + 1));
    if most <= VALUE { most } else { size(text.matches(from).count() as u64) }
}

/// What an element of a list takes at least.
const ELEMENT: u64 = 8;

/// Bytes of one of `elements`: of several, what they have on average.
fn element_size(elements: &ColumnarValue) -> Result<u64> {
    let (array, _) = array_of(elements)?;
    let bytes = array.to_data().get_slice_memory_size()? / array.len().max(1);
    Ok(ELEMENT.max(bytes as u64))
}

fn ranges(args: &[ColumnarValue]) -> Result<Box<dyn Fn(usize) -> u64>> {
    let (start, stop, step) = match args {
        [stop] => (None, stop, None),
        [start, stop, step @ ..] => (Some(start), stop, step.first()),
        [] => return Ok(Box::new(|_| 0)),
    };
    let unit = nanos(&stop.data_type());
    let start = start.map(Numbers::of).transpose()?;
    let stop = Numbers::of(stop)?;
    let step: Box<dyn Fn(usize) -> Option<i128>> = match step {
        Some(step) if matches!(step.data_type(), DataType::Interval(_)) => steps(step, unit)?,
        Some(step) => {
            let step = Numbers::of(step)?;
            Box::new(move |row| step.value(row).map(i128::from))
        }
        None => Box::new(|_| Some(1)),
    };
    Ok(Box::new(move |row| {
        let first = start.as_ref().map_or(Some(0), |start| start.value(row));
        let (Some(first), Some(last), Some(step)) = (first, stop.value(row), step(row)) else { return 0 };
        let distance = i128::from(last) - i128::from(first);
        if step == 0 || (distance < 0) != (step < 0) {
            return 0;
        }
        u64::try_from(distance / step + 1).unwrap_or(u64::MAX).saturating_mul(ELEMENT)
    }))
}

/// Nanoseconds of the unit in which values of this type count.
fn nanos(data_type: &DataType) -> i128 {
    match data_type {
        DataType::Date32 => DAY,
        DataType::Date64 | DataType::Timestamp(TimeUnit::Millisecond, _) => 1_000_000,
        DataType::Timestamp(TimeUnit::Second, _) => 1_000_000_000,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1_000,
        _ => 1,
    }
}

const DAY: i128 = 86_400_000_000_000;

/// Intervals in units of `unit` nanoseconds, months as short as they may be.
fn steps(arg: &ColumnarValue, unit: i128) -> Result<Box<dyn Fn(usize) -> Option<i128>>> {
    let (array, scalar) = array_of(arg)?;
    let Some(array) = array.as_primitive_opt::<IntervalMonthDayNanoType>().cloned() else {
        return Ok(Box::new(|_| None));
    };
    Ok(Box::new(move |row| {
        let row = if scalar { 0 } else { row };
        let step = array.is_valid(row).then(|| array.value(row))?;
        let days = i128::from(step.months) * 28 + i128::from(step.days);
        let step = days * DAY + i128::from(step.nanoseconds);
        Some(if step.abs() < unit { step.signum() } else { step / unit })
    }))
}

/// `a || b`, as a function that is bounded.
pub(super) fn joined(mut expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    // Of lists it was planned as DataFusion's own function.
    if let Expr::ScalarFunction(call) = &mut expr
        && call.name() == "array_concat"
        && call.func.inner().downcast_ref::<Bounded>().is_none()
    {
        let bounded = Bounded { inner: Arc::clone(&call.func), growth: Growth::Lists };
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
