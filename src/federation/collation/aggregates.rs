//! Aggregates over texts under a collation: MIN and MAX, and any one of a group's equal texts.
//!
//! Among texts that the collation holds equal, the one with the least bytes is taken, so that an answer does
//! not depend on the order of rows, and with it on the route.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, StringViewBuilder};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::expr::AggregateFunction;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, Expr, GroupsAccumulator, ReversedUDAF, Signature,
    Volatility,
};

use super::functions::{Key, views};

/// Which text of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Pick {
    /// The least under the collation.
    Min,
    /// The greatest under the collation.
    Max,
    /// Any of those that are all equal under the collation.
    Any,
}

/// How texts are weighed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Choice {
    pick: Pick,
    /// `None` for [`Pick::Any`].
    key: Option<Key>,
}

/// `collation_min(text)`, `collation_max(text)` and `collation_any(text)`.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct CollationPick {
    choice: Choice,
    signature: Signature,
}

impl CollationPick {
    fn function(pick: Pick, key: Option<Key>) -> AggregateUDF {
        let signature = Signature::user_defined(Volatility::Immutable);
        AggregateUDF::new_from_impl(Self { choice: Choice { pick, key }, signature })
    }

    /// The function for MIN or MAX.
    pub(crate) fn extreme(greatest: bool, key: Key) -> Arc<AggregateUDF> {
        Arc::new(Self::function(if greatest { Pick::Max } else { Pick::Min }, Some(key)))
    }

    /// Which text of a group, and by what texts are weighed.
    pub(crate) fn pick(&self) -> (Pick, Option<&Key>) {
        (self.choice.pick, self.choice.key.as_ref())
    }

    /// Whether `function` is one of these.
    pub(crate) fn is(function: &AggregateUDF) -> bool {
        function.inner().downcast_ref::<Self>().is_some()
    }

    /// Any one of equal texts.
    pub(crate) fn any(text: Expr) -> Expr {
        let function = Arc::new(Self::function(Pick::Any, None));
        Expr::AggregateFunction(AggregateFunction::new_udf(function, vec![text], false, None, vec![], None))
    }
}

impl AggregateUDFImpl for CollationPick {
    fn name(&self) -> &str {
        match self.choice.pick {
            Pick::Min => "collation_min",
            Pick::Max => "collation_max",
            Pick::Any => "collation_any",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        Ok(arg_types
            .iter()
            .map(|arg| match arg {
                DataType::Utf8 | DataType::LargeUtf8 => arg.clone(),
                _ => DataType::Utf8View,
            })
            .collect())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        Ok(arg_types[0].clone())
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(PickAccumulator {
            choice: self.choice.clone(),
            data_type: args.return_field.data_type().clone(),
            held: None,
            scratch: Vec::new(),
        }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(SlidingAccumulator {
            choice: self.choice.clone(),
            data_type: args.return_field.data_type().clone(),
            candidates: VecDeque::new(),
            seen: 0,
            gone: 0,
        }))
    }

    fn groups_accumulator_supported(&self, _args: AccumulatorArgs) -> bool {
        true
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(Box::new(PickGroups {
            choice: self.choice.clone(),
            data_type: args.return_field.data_type().clone(),
            groups: Vec::new(),
            bytes: 0,
            scratch: Vec::new(),
        }))
    }
}

/// The best text so far.
#[derive(Debug, Clone)]
struct Held {
    key: Box<[u8]>,
    text: Box<str>,
}

impl Held {
    fn size(&self) -> usize {
        self.key.len() + self.text.len()
    }
}

impl Choice {
    /// Writes the key of `text`; false if it has none and is passed over.
    fn key(&self, text: &str, out: &mut Vec<u8>) -> bool {
        out.clear();
        self.key.as_ref().is_none_or(|key| key.write(text, out))
    }

    /// Whether a text is to be taken in place of the one held.
    fn better(&self, key: &[u8], text: &str, held: &Held) -> bool {
        let order = match self.pick {
            Pick::Min => key.cmp(&held.key),
            Pick::Max => held.key.as_ref().cmp(key),
            Pick::Any => Ordering::Equal,
        };
        order.then_with(|| text.cmp(&held.text)) == Ordering::Less
    }

    /// Takes `text` if it is better; how much larger (or smaller) what is held has become.
    fn offer(&self, text: &str, held: &mut Option<Held>, scratch: &mut Vec<u8>) -> isize {
        if !self.key(text, scratch) || held.as_ref().is_some_and(|held| !self.better(scratch, text, held)) {
            return 0;
        }
        let next = Held { key: scratch.as_slice().into(), text: text.into() };
        let change = next.size() as isize - held.as_ref().map_or(0, Held::size) as isize;
        *held = Some(next);
        change
    }
}

fn scalar(text: Option<&str>, data_type: &DataType) -> ScalarValue {
    let text = text.map(str::to_owned);
    match data_type {
        DataType::Utf8 => ScalarValue::Utf8(text),
        DataType::LargeUtf8 => ScalarValue::LargeUtf8(text),
        _ => ScalarValue::Utf8View(text),
    }
}

#[derive(Debug)]
struct PickAccumulator {
    choice: Choice,
    data_type: DataType,
    held: Option<Held>,
    scratch: Vec<u8>,
}

impl Accumulator for PickAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        for text in views(&values[0])?.iter().flatten() {
            self.choice.offer(text, &mut self.held, &mut self.scratch);
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(scalar(self.held.as_ref().map(|held| &*held.text), &self.data_type))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.scratch.capacity() + self.held.as_ref().map_or(0, Held::size)
    }
}

/// For windows whose beginning moves: candidates, each better than those after it.
#[derive(Debug)]
struct SlidingAccumulator {
    choice: Choice,
    data_type: DataType,
    candidates: VecDeque<(u64, Held)>,
    /// How many texts were seen, and how many of these have left the window.
    seen: u64,
    gone: u64,
}

impl Accumulator for SlidingAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let mut key = Vec::new();
        for text in views(&values[0])?.iter().flatten() {
            let number = self.seen;
            self.seen += 1;
            if !self.choice.key(text, &mut key) {
                continue;
            }
            while self.candidates.back().is_some_and(|(_, held)| self.choice.better(&key, text, held)) {
                self.candidates.pop_back();
            }
            self.candidates.push_back((number, Held { key: key.as_slice().into(), text: text.into() }));
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.gone += (values[0].len() - values[0].logical_null_count()) as u64;
        while self.candidates.front().is_some_and(|(number, _)| *number < self.gone) {
            self.candidates.pop_front();
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(scalar(self.candidates.front().map(|(_, held)| &*held.text), &self.data_type))
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.candidates.iter().map(|(_, held)| held.size() + 48).sum::<usize>()
    }
}

#[derive(Debug)]
struct PickGroups {
    choice: Choice,
    data_type: DataType,
    groups: Vec<Option<Held>>,
    /// Bytes of what is held.
    bytes: isize,
    scratch: Vec<u8>,
}

impl GroupsAccumulator for PickGroups {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.groups.resize(total_num_groups, None);
        for (row, (text, &group)) in views(&values[0])?.iter().zip(group_indices).enumerate() {
            let passes = filter.is_none_or(|filter| filter.is_valid(row) && filter.value(row));
            if let Some(text) = text.filter(|_| passes) {
                self.bytes += self.choice.offer(text, &mut self.groups[group], &mut self.scratch);
            }
        }
        Ok(())
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.update_batch(values, group_indices, None, total_num_groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let groups = emit_to.take_needed(&mut self.groups);
        let mut texts = StringViewBuilder::with_capacity(groups.len());
        for held in &groups {
            self.bytes -= held.as_ref().map_or(0, Held::size) as isize;
            texts.append_option(held.as_ref().map(|held| &*held.text));
        }
        let texts: ArrayRef = Arc::new(texts.finish());
        Ok(if self.data_type == DataType::Utf8View { texts } else { cast(&texts, &self.data_type)? })
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit_to)?])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let Some(filter) = filter else { return Ok(values.to_vec()) };
        // What does not pass is NULL in the state, which is passed over.
        let hidden = arrow::compute::not(&arrow::compute::prep_null_mask_filter(filter))?;
        Ok(vec![arrow::compute::nullif(&values[0], &hidden)?])
    }

    fn size(&self) -> usize {
        size_of_val(self)
            + self.groups.capacity() * size_of::<Option<Held>>()
            + self.bytes.unsigned_abs()
            + self.scratch.capacity()
    }
}
