//! How many bytes a function makes of its arguments, row by row, asked before it makes them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, TimeUnit};
use datafusion::common::{Result, ScalarValue, internal_err};
use datafusion::logical_expr::ColumnarValue;

use super::Growth;
use super::elements::{ListTexts, Prefixes, Replaced, Sizes};
use super::rewriting::{
    captured, cased, escaped, formatted, padded, quoted, replaced, rewritten, split, translated,
};
use crate::federation::collation::{is_text, views};

/// Bytes that come of each row.
type Size = Box<dyn Fn(usize) -> u64>;

/// For each of `rows`, how many bytes come of `args`, or a little more.
pub(super) fn sizes(growth: Growth, args: &[ColumnarValue], rows: usize) -> Result<Size> {
    Ok(match (growth, args) {
        (Growth::Repeat, [text, count]) => {
            let (text, count) = (Texts::of(text)?, Numbers::of(count)?);
            Box::new(move |row| text.bytes(row).saturating_mul(count.at(row)))
        }
        (Growth::Pad, [text, length, fill @ ..]) => {
            let (text, length) = (Texts::of(text)?, Numbers::of(length)?);
            let fill = fill.first().map(Texts::of).transpose()?;
            Box::new(move |row| {
                let length = length.at(row);
                let fill = fill.as_ref().map_or(Some(" "), |fill| fill.at(row)).unwrap_or_default();
                // Room for the characters is made even if there are none.
                text.at(row).map_or(0, |text| padded(text, length, fill)).max(length)
            })
        }
        (Growth::Overlay, [text, put, _, count @ ..]) => {
            let (text, put) = (Texts::of(text)?, Texts::of(put)?);
            let count = count.first().map(Numbers::of).transpose()?;
            Box::new(move |row| {
                // What stands before the place follows it again if the count is below 0.
                let again = count.as_ref().and_then(|count| count.value(row)).is_some_and(|count| count < 0);
                text.bytes(row).saturating_mul(1 + u64::from(again)).saturating_add(put.bytes(row))
            })
        }
        (Growth::Encode, [bytes, form]) => {
            let (bytes, form) = (Sizes::of_contents(bytes)?, Texts::of(form)?);
            Box::new(move |row| match form.at(row) {
                Some("hex") => bytes.at(row).saturating_mul(2),
                _ => bytes.at(row).div_ceil(3).saturating_mul(4),
            })
        }
        (Growth::Object, args) => {
            let values = args.iter().map(object_value).collect::<Result<Vec<_>>>()?;
            Box::new(move |row| values.iter().map(|value| value(row)).fold(0, u64::saturating_add))
        }
        (Growth::Concat, args) => concatenated(args)?,
        (Growth::Join, [between, args @ ..]) => {
            let (between, texts, places) = (Texts::of(between)?, concatenated(args)?, args.len() as u64);
            Box::new(move |row| between.bytes(row).saturating_mul(places).saturating_add(texts(row)))
        }
        (Growth::Rewrite, [text, from, to, flags @ ..]) => {
            known(rewritten([text, from, to], flags.first(), rows)?)
        }
        (Growth::Captures, [text, from, flags @ ..]) => known(captured(text, from, flags.first(), rows)?),
        (Growth::Replace, args) => of_texts(args, |[text, from, to]| Some(replaced(text?, from?, to?)))?,
        (Growth::Translate, args) => of_texts(args, |[text, from, to]| Some(translated(text?, from?, to?)))?,
        (Growth::Case, args) => of_texts(args, |[text]| Some(cased(text?)))?,
        (Growth::Escape, [text, ..]) => of_texts(std::slice::from_ref(text), |[text]| Some(escaped(text?)))?,
        (Growth::Format, [_, format]) => {
            of_texts(std::slice::from_ref(format), |[format]| Some(formatted(format?)))?
        }
        (Growth::Split, [text, between, ..]) => {
            let both = [text.clone(), between.clone()];
            of_texts(&both, |[text, between]| Some(split(text?, between)))?
        }
        _ => list_sizes(growth, args)?,
    })
}

fn list_sizes(growth: Growth, args: &[ColumnarValue]) -> Result<Size> {
    Ok(match (growth, args) {
        (Growth::RepeatElement, [element, count]) => {
            let (element, count) = (Sizes::of(element)?, Numbers::of(count)?);
            Box::new(move |row| element.at(row).max(ELEMENT).saturating_mul(count.at(row)))
        }
        (Growth::Resize, [list, length, fill @ ..]) => {
            let (list, length) = (Prefixes::of(list)?, Numbers::of(length)?);
            let fill = fill.first().map(Sizes::of).transpose()?;
            Box::new(move |row| {
                let fill = fill.as_ref().map_or(0, |fill| fill.at(row)).max(ELEMENT);
                list.resized(row, length.at(row), fill)
            })
        }
        (Growth::Lists, args) => {
            let lists = args.iter().map(Sizes::of).collect::<Result<Vec<_>>>()?;
            Box::new(move |row| lists.iter().map(|list| list.at(row)).fold(0, u64::saturating_add))
        }
        (Growth::Zip, args) => {
            let lists = args.iter().map(Prefixes::of).collect::<Result<Vec<_>>>()?;
            Box::new(move |row| {
                let longest = lists.iter().map(|list| list.length(row)).max().unwrap_or(0);
                lists.iter().map(|list| list.filled(row, longest)).fold(0, u64::saturating_add)
            })
        }
        (Growth::ReplaceElement, [list, from, to]) => {
            let list = Replaced::of(list, from, to)?;
            Box::new(move |row| list.size(row, 1))
        }
        (Growth::ReplaceElements, [list, from, to, count @ ..]) => {
            let (list, count) = (Replaced::of(list, from, to)?, count.first().map(Numbers::of).transpose()?);
            Box::new(move |row| list.size(row, count.as_ref().map_or(u64::MAX, |count| count.at(row))))
        }
        (Growth::ListText, [list, between, null @ ..]) => {
            let (list, between) = (ListTexts::of(list)?, Texts::of(between)?);
            let null = null.first().map(Texts::of).transpose()?;
            Box::new(move |row| {
                let null = null.as_ref().and_then(|null| null.at(row)).map(|null| null.len() as u64);
                list.joined(row, between.bytes(row), null)
            })
        }
        (Growth::Range, args) => ranges(args)?,
        _ => Box::new(|_| 0),
    })
}

fn known(sizes: Vec<u64>) -> Size {
    Box::new(move |row| sizes[row])
}

/// What `size` says of the texts of each row; nothing is made where it says nothing.
fn of_texts<const N: usize>(
    args: &[ColumnarValue],
    size: impl Fn([Option<&str>; N]) -> Option<u64> + 'static,
) -> Result<Size> {
    let texts = args.iter().map(Texts::of).collect::<Result<Vec<_>>>()?;
    let Ok(texts) = <[Texts; N]>::try_from(texts) else { return internal_err!("{N} texts were expected") };
    Ok(Box::new(move |row| size(texts.each_ref().map(|text| text.at(row))).unwrap_or(0)))
}

fn concatenated(args: &[ColumnarValue]) -> Result<Size> {
    let all = args.iter().map(Sizes::of_contents).collect::<Result<Vec<_>>>()?;
    Ok(Box::new(move |row| all.iter().map(|bytes| bytes.at(row)).fold(0, u64::saturating_add)))
}

/// Bytes of what an argument's values are within an object's text.
fn object_value(arg: &ColumnarValue) -> Result<Size> {
    if is_text(&arg.data_type()) {
        return of_texts(std::slice::from_ref(arg), |[text]| Some(quoted(text?)));
    }
    let bytes = Sizes::of(arg)?;
    Ok(Box::new(move |row| bytes.at(row).saturating_mul(PRINTED).saturating_add(NUMBER)))
}

/// The most characters in which a byte of a value is shown.
const PRINTED: u64 = 8;
/// Those of a number that is shown with all its digits.
const NUMBER: u64 = 400;

/// The texts that an argument has.
pub(super) struct Texts {
    array: StringViewArray,
    /// One for all rows.
    scalar: bool,
}

impl Texts {
    pub(super) fn of(arg: &ColumnarValue) -> Result<Self> {
        let (array, scalar) = array_of(arg)?;
        Ok(Self { array: views(&array)?, scalar })
    }

    pub(super) fn at(&self, row: usize) -> Option<&str> {
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

/// `lengths`, of which 0 is the least.
pub(super) fn not_below_zero(lengths: &ColumnarValue) -> Result<ColumnarValue> {
    let Numbers { array, scalar } = Numbers::of(lengths)?;
    let array: Int64Array = array.unary(|length| length.max(0));
    Ok(match scalar {
        true => ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?),
        false => ColumnarValue::Array(Arc::new(array)),
    })
}

pub(super) fn array_of(arg: &ColumnarValue) -> Result<(ArrayRef, bool)> {
    Ok(match arg {
        ColumnarValue::Array(array) => (Arc::clone(array), false),
        ColumnarValue::Scalar(value) => (value.to_array()?, true),
    })
}

/// What an element of a list takes at least.
pub(super) const ELEMENT: u64 = 8;

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
