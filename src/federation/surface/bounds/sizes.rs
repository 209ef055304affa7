//! How many bytes a function makes of its arguments, row by row, asked before it makes them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, TimeUnit};
use datafusion::common::Result;
use datafusion::functions::regex;
use datafusion::logical_expr::ColumnarValue;

use super::elements::{ListTexts, Prefixes, Sizes};
use super::{EASY, Growth};
use crate::federation::collation::{is_text, views};

/// For each of `rows`, how many bytes come of `args`, or a little more.
pub(super) fn sizes(growth: Growth, args: &[ColumnarValue], rows: usize) -> Result<Box<dyn Fn(usize) -> u64>> {
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
        (Growth::Replace, [text, from, to]) => {
            let (text, from, to) = (Texts::of(text)?, Texts::of(from)?, Texts::of(to)?);
            Box::new(move |row| match (text.at(row), from.at(row), to.at(row)) {
                (Some(text), Some(from), Some(to)) => replaced(text, from, to),
                _ => 0,
            })
        }
        (Growth::Rewrite, [text, from, to, flags @ ..]) => {
            let sizes = rewritten([text, from, to], flags.first(), rows)?;
            Box::new(move |row| sizes[row])
        }
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
        (Growth::ListText, [list, between, null @ ..]) => {
            let (list, between) = (ListTexts::of(list)?, Texts::of(between)?);
            let null = null.first().map(Texts::of).transpose()?;
            Box::new(move |row| {
                let null = null.as_ref().and_then(|null| null.at(row)).map(|null| null.len() as u64);
                list.joined(row, between.bytes(row), null)
            })
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

pub(super) fn array_of(arg: &ColumnarValue) -> Result<(ArrayRef, bool)> {
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
    if most <= EASY { most } else { size(text.matches(from).count() as u64) }
}

/// Bytes of `text` with so many characters, those that are missing taken from `fill`, again and again.
fn padded(text: &str, length: u64, fill: &str) -> u64 {
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let bytes =
        |text: &str, chars: usize| text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at) as u64;
    let (missing, run) = (length.saturating_sub(text.chars().count()), fill.chars().count());
    let (times, rest) = (missing.checked_div(run).unwrap_or(0), missing.checked_rem(run).unwrap_or(0));
    let whole = (fill.len() as u64).saturating_mul(times as u64);
    bytes(text, length).saturating_add(whole).saturating_add(bytes(fill, rest))
}

/// Bytes of texts in which `to` stands for what `from` matches. Matches are only looked for where it could matter.
fn rewritten(
    [text, from, to]: [&ColumnarValue; 3],
    flags: Option<&ColumnarValue>,
    rows: usize,
) -> Result<Vec<u64>> {
    let (text, from, to) = (Texts::of(text)?, Texts::of(from)?, Texts::of(to)?);
    let flags = flags.map(Texts::of).transpose()?;
    let flags = |row| flags.as_ref().map_or(Some(""), |flags| flags.at(row));
    let others: Vec<String> = (0..rows).map(|row| flags(row).unwrap_or_default().replace('g', "")).collect();
    let mut known = HashMap::new();
    let mut size = |row: usize| {
        let (text, from, to) = (text.at(row)?, from.at(row)?, to.at(row)?);
        let all = flags(row)?.contains('g');
        // `\1` and `$name` are what a group matched, which is no more than the match.
        let groups = to.bytes().filter(|byte| matches!(byte, b'\\' | b'$')).count() as u64;
        let size = |matches: u64, matched: u64| {
            let put = matches.saturating_mul(to.len() as u64);
            put.saturating_add(groups.saturating_mul(matched)).saturating_add(text.len() as u64)
        };
        let most = size(if all { text.len() as u64 + 1 } else { 1 }, text.len() as u64);
        if most <= EASY {
            return Some(most);
        }
        // What is no expression makes nothing.
        let expression = regex::compile_and_cache_regex(from, Some(&others[row]), &mut known).ok()?;
        let found = expression.find_iter(text).take(if all { usize::MAX } else { 1 });
        let (matches, matched) =
            found.fold((0, 0), |(matches, matched), found| (matches + 1, matched + found.len() as u64));
        Some(size(matches, matched) - matched)
    };
    Ok((0..rows).map(|row| size(row).unwrap_or(0)).collect())
}

/// What an element of a list takes at least.
const ELEMENT: u64 = 8;

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
