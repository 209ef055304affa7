//! How large values are, and the elements of lists: of each its own size, for among thousands of empty texts there may be
//! one of megabytes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, OffsetSizeTrait, Scalar, new_null_array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::cast;
use arrow::compute::kernels::cmp::not_distinct;
use arrow::datatypes::{DataType, Float64Type};
use datafusion::common::Result;
use datafusion::logical_expr::ColumnarValue;

use super::EASY;
use super::sizes::{ELEMENT, array_of};
use crate::federation::entry_places;

/// Bytes of each of an argument's values.
pub(super) struct Sizes {
    bytes: Vec<u64>,
    /// One for all rows.
    scalar: bool,
}

impl Sizes {
    pub(super) fn of(arg: &ColumnarValue) -> Result<Self> {
        let (array, scalar) = array_of(arg)?;
        Ok(Self { bytes: bytes_of(&array)?, scalar })
    }

    /// Of texts and binaries without what each takes besides.
    pub(super) fn of_contents(arg: &ColumnarValue) -> Result<Self> {
        let (array, scalar) = array_of(arg)?;
        if let DataType::Dictionary(_, value) = array.data_type() {
            return Self::of_contents(&ColumnarValue::Array(cast(&array, value)?))
                .map(|of| Self { scalar, ..of });
        }
        match lengths(&array) {
            Some((bytes, _)) => Ok(Self { bytes, scalar }),
            None => Self::of(arg),
        }
    }

    pub(super) fn at(&self, row: usize) -> u64 {
        self.bytes[if self.scalar { 0 } else { row }]
    }
}

/// Bytes of the first elements of each of an argument's lists.
pub(super) struct Prefixes {
    places: Vec<Option<(usize, usize)>>,
    /// Of all elements before one.
    before: Vec<u64>,
    /// Of an element that is NULL.
    null: u64,
    scalar: bool,
}

impl Prefixes {
    pub(super) fn of(arg: &ColumnarValue) -> Result<Self> {
        let (array, scalar) = array_of(arg)?;
        Ok(match Lists::of(&array) {
            Some(Lists { places, values, .. }) => {
                let null = bytes_of(&new_null_array(values.data_type(), 1))?[0];
                Self { places, before: before(&bytes_of(&values)?), null, scalar }
            }
            None => Self { places: vec![None; array.len()], before: Vec::new(), null: 0, scalar },
        })
    }

    fn place(&self, row: usize) -> Option<(usize, usize)> {
        self.places[if self.scalar { 0 } else { row }]
    }

    /// How many elements a list has.
    pub(super) fn length(&self, row: usize) -> u64 {
        self.place(row).map_or(0, |(start, end)| (end - start) as u64)
    }

    /// Bytes of a list with NULL for each element that it lacks of so many.
    pub(super) fn filled(&self, row: usize, length: u64) -> u64 {
        match self.place(row) {
            Some(_) => self.resized(row, length, self.null),
            None => length.saturating_mul(self.null),
        }
    }

    /// Bytes of a list that has so many elements, those that are missing of `fill` bytes.
    pub(super) fn resized(&self, row: usize, length: u64, fill: u64) -> u64 {
        let Some((start, end)) = self.place(row) else { return 0 };
        let kept = usize::try_from(length).map_or(end, |length| end.min(start.saturating_add(length)));
        let missing = length - (kept - start) as u64;
        (self.before[kept] - self.before[start]).saturating_add(missing.saturating_mul(fill))
    }
}

/// An argument's lists, in which elements that equal another argument are replaced by a third.
pub(super) struct Replaced {
    lists: Prefixes,
    values: Option<ArrayRef>,
    from: ArrayRef,
    to: Sizes,
    /// Whether there is one for all rows of what is replaced.
    scalar: bool,
}

impl Replaced {
    pub(super) fn of(list: &ColumnarValue, from: &ColumnarValue, to: &ColumnarValue) -> Result<Self> {
        let (array, _) = array_of(list)?;
        let (from, scalar) = array_of(from)?;
        let values = Lists::of(&array).map(|lists| lists.values);
        Ok(Self { lists: Prefixes::of(list)?, values, from, to: Sizes::of(to)?, scalar })
    }

    /// Bytes of a list of which at most so many elements are replaced.
    pub(super) fn size(&self, row: usize, times: u64) -> u64 {
        let length = self.lists.length(row);
        let (kept, put) = (self.lists.resized(row, length, 0), self.to.at(row));
        let size = |times: u64| kept.saturating_add(times.saturating_mul(put));
        let most = size(times.min(length));
        if most <= EASY { most } else { size(times.min(self.equal(row).unwrap_or(length))) }
    }

    /// How many elements equal what is replaced, where that can be told in short.
    fn equal(&self, row: usize) -> Option<u64> {
        let ((start, end), values) = (self.lists.place(row)?, self.values.as_ref()?);
        if values.data_type().is_nested() {
            return None;
        }
        let from = Scalar::new(self.from.slice(if self.scalar { 0 } else { row }, 1));
        let equal = not_distinct(&values.slice(start, end - start), &from).ok()?;
        Some(equal.true_count() as u64)
    }
}

/// The elements of each of an argument's lists, and of lists in them, as texts.
pub(super) struct ListTexts {
    texts: Vec<Leaves>,
    scalar: bool,
}

#[derive(Clone, Copy, Default)]
struct Leaves {
    bytes: u64,
    texts: u64,
    nulls: u64,
}

impl ListTexts {
    pub(super) fn of(arg: &ColumnarValue) -> Result<Self> {
        let (array, scalar) = array_of(arg)?;
        Ok(Self { texts: leaves(&array)?, scalar })
    }

    /// Bytes of the texts with `between` bytes between them, and `null` ones for NULL, which is left out without.
    pub(super) fn joined(&self, row: usize, between: u64, null: Option<u64>) -> u64 {
        let Leaves { bytes, texts, nulls } = self.texts[if self.scalar { 0 } else { row }];
        let places = texts + null.map_or(0, |_| nulls);
        let between = between.saturating_mul(places.saturating_sub(1));
        bytes.saturating_add(between).saturating_add(null.unwrap_or(0).saturating_mul(nulls))
    }
}

fn leaves(array: &ArrayRef) -> Result<Vec<Leaves>> {
    if let Some(Lists { places, values, .. }) = Lists::of(array) {
        let values = leaves(&values)?;
        let of = |part: fn(&Leaves) -> u64| before(&values.iter().map(part).collect::<Vec<_>>());
        let parts = [of(|all| all.bytes), of(|all| all.texts), of(|all| all.nulls)];
        let list = |place: Option<(usize, usize)>| match place {
            Some((start, end)) => {
                let [bytes, texts, nulls] = parts.each_ref().map(|part| part[end] - part[start]);
                Leaves { bytes, texts, nulls }
            }
            None => Leaves { nulls: 1, ..Leaves::default() },
        };
        return Ok(places.into_iter().map(list).collect());
    }
    if *array.data_type() == DataType::Null {
        return Ok(vec![Leaves::default(); array.len()]);
    }
    let leaf = |(row, bytes)| match array.is_valid(row) {
        true => Leaves { bytes, texts: 1, nulls: 0 },
        false => Leaves { nulls: 1, ..Leaves::default() },
    };
    Ok(printed(array)?.into_iter().enumerate().map(leaf).collect())
}

/// Bytes of each value as a text, or a few more.
fn printed(array: &ArrayRef) -> Result<Vec<u64>> {
    if let Some((bytes, _)) = lengths(array) {
        return Ok(bytes);
    }
    // DataFusion writes 1e300 with all its digits.
    let room = match array.data_type() {
        whole if whole.is_integer() => 2.0,
        DataType::Float32 | DataType::Float64 => 20.0,
        _ => return printed(&cast(array, &DataType::Utf8)?),
    };
    let numbers = cast(array, &DataType::Float64)?;
    let digits = |number: &f64| match number.abs().log10().abs() {
        digits if digits.is_finite() => (digits.ceil() + room) as u64,
        _ => room as u64,
    };
    Ok(numbers.as_primitive::<Float64Type>().values().iter().map(digits).collect())
}

/// Bytes of each value in an array. An element of a list is counted as wide as one may become whose type changes.
fn bytes_of(array: &ArrayRef) -> Result<Vec<u64>> {
    if let Some(Lists { places, values, width }) = Lists::of(array) {
        let elements: Vec<u64> = bytes_of(&values)?.into_iter().map(|bytes| bytes.max(ELEMENT)).collect();
        let before = before(&elements);
        let bytes = |place: Option<(usize, usize)>| place.map_or(0, |(start, end)| before[end] - before[start]);
        return Ok(places.into_iter().map(|place| bytes(place) + width).collect());
    }
    if let Some((bytes, width)) = lengths(array) {
        return Ok(bytes.into_iter().map(|bytes| bytes + width).collect());
    }
    let width = match array.data_type() {
        DataType::Struct(_) => {
            let mut bytes = vec![0; array.len()];
            for column in array.as_struct().columns() {
                bytes.iter_mut().zip(bytes_of(column)?).for_each(|(bytes, more)| *bytes += more);
            }
            return Ok(bytes);
        }
        DataType::Dictionary(..) => {
            let entries = array.as_any_dictionary();
            let bytes = bytes_of(entries.values())?;
            let places = entry_places(entries);
            return Ok(places.into_iter().map(|place| 4 + bytes.get(place).copied().unwrap_or(0)).collect());
        }
        DataType::Boolean | DataType::Null => 1,
        DataType::FixedSizeBinary(width) => u64::try_from(*width).unwrap_or(0),
        other => match other.primitive_width() {
            Some(width) => width as u64,
            // Nothing that is queried has such a type.
            None => array.get_array_memory_size() as u64,
        },
    };
    Ok(vec![width; array.len()])
}

/// Bytes of texts or binaries, and how many each one takes besides.
fn lengths(array: &ArrayRef) -> Option<(Vec<u64>, u64)> {
    fn between<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>) -> (Vec<u64>, u64) {
        (offsets.lengths().map(|length| length as u64).collect(), size_of::<O>() as u64)
    }
    // The lowest 32 bits are the length.
    let viewed = |views: &[u128]| {
        let length = |view: &u128| u64::try_from(view & u128::from(u32::MAX)).unwrap_or(0);
        (views.iter().map(length).collect(), 16)
    };
    Some(match array.data_type() {
        DataType::Utf8 => between(array.as_string::<i32>().offsets()),
        DataType::LargeUtf8 => between(array.as_string::<i64>().offsets()),
        DataType::Binary => between(array.as_binary::<i32>().offsets()),
        DataType::LargeBinary => between(array.as_binary::<i64>().offsets()),
        DataType::Utf8View => viewed(array.as_string_view().views()),
        DataType::BinaryView => viewed(array.as_binary_view().views()),
        _ => return None,
    })
}

/// The lists of an array: where each one's elements are in `values`, nowhere if it is NULL.
struct Lists {
    places: Vec<Option<(usize, usize)>>,
    values: ArrayRef,
    /// What a list takes besides.
    width: u64,
}

impl Lists {
    fn of(array: &ArrayRef) -> Option<Self> {
        let mut lists = match array.data_type() {
            DataType::List(_) => {
                let lists = array.as_list::<i32>();
                Self::between(lists.offsets(), lists.values())
            }
            DataType::LargeList(_) => {
                let lists = array.as_list::<i64>();
                Self::between(lists.offsets(), lists.values())
            }
            DataType::Map(..) => {
                let maps = array.as_map();
                let entries: ArrayRef = Arc::new(maps.entries().clone());
                Self::between(maps.offsets(), &entries)
            }
            DataType::FixedSizeList(_, length) => {
                let length = usize::try_from(*length).unwrap_or(0);
                let places = (0..array.len()).map(|row| Some((row * length, (row + 1) * length))).collect();
                Self { places, values: Arc::clone(array.as_fixed_size_list().values()), width: 0 }
            }
            _ => return None,
        };
        for (row, place) in lists.places.iter_mut().enumerate() {
            *place = place.filter(|_| array.is_valid(row));
        }
        Some(lists)
    }

    fn between<O: OffsetSizeTrait>(offsets: &OffsetBuffer<O>, values: &ArrayRef) -> Self {
        let (first, last) = (offsets[0].as_usize(), offsets[offsets.len() - 1].as_usize());
        let place = |ends: &[O]| Some((ends[0].as_usize() - first, ends[1].as_usize() - first));
        let places = offsets.windows(2).map(place).collect();
        Self { places, values: values.slice(first, last - first), width: size_of::<O>() as u64 }
    }
}

/// The sum of all before each one, and of all.
fn before(bytes: &[u64]) -> Vec<u64> {
    let mut total = 0_u64;
    let sums = bytes.iter().map(|bytes| {
        total = total.saturating_add(*bytes);
        total
    });
    std::iter::once(0).chain(sums).collect()
}
