//! Accumulators that are given wider numbers than the column has, and whose results are checked.
//!
//! Why widen here and not by a cast in the plan? Types are coerced more than once, so what an aggregate coerces its
//! argument to has to stay as it is when coerced again; and a sum of INT, of BIGINT and of decimals are different
//! types, which then could not be told apart.

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{Accumulator, EmitTo, GroupsAccumulator};

use super::decimals::{as_type, check_digits, within};

/// Digits of the values that a sum in 256 bits takes: there is room for 10^10 of them, so it cannot wrap around.
const SUMMED: u8 = 66;

/// The types that an aggregate goes through.
#[derive(Debug, Clone)]
pub(in crate::federation::surface) struct Shape {
    /// What is added up.
    pub(in crate::federation::surface) taken: DataType,
    /// What DataFusion's accumulator makes of it.
    pub(in crate::federation::surface) made: DataType,
    pub(in crate::federation::surface) result: DataType,
}

impl Shape {
    /// That of an aggregate that needs nothing done.
    pub(in crate::federation::surface) fn plain(taken: DataType, result: DataType) -> Self {
        Self { taken, made: result.clone(), result }
    }

    fn take(&self, values: &[ArrayRef]) -> Result<Vec<ArrayRef>> {
        let taken = values.iter().map(|array| as_type(array, &self.taken)).collect::<Result<Vec<_>>>()?;
        if matches!(self.taken, DataType::Decimal256(SUMMED.., _)) {
            taken.iter().try_for_each(|array| within(array, SUMMED))?;
        }
        Ok(taken)
    }

    fn give(&self, made: &ArrayRef) -> Result<ArrayRef> {
        let result = as_type(made, &self.result)?;
        check_digits(&result)?;
        Ok(result)
    }
}

/// One group, or a window's frame.
#[derive(Debug)]
pub(in crate::federation::surface) struct Total {
    pub(in crate::federation::surface) inner: Box<dyn Accumulator>,
    pub(in crate::federation::surface) shape: Shape,
}

impl Accumulator for Total {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.update_batch(&self.shape.take(values)?)
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.inner.retract_batch(&self.shape.take(values)?)
    }

    fn supports_retract_batch(&self) -> bool {
        self.inner.supports_retract_batch()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let made = self.inner.evaluate()?.to_array()?;
        ScalarValue::try_from_array(&self.shape.give(&made)?, 0)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }
}

/// All groups.
pub(in crate::federation::surface) struct Totals {
    pub(in crate::federation::surface) inner: Box<dyn GroupsAccumulator>,
    pub(in crate::federation::surface) shape: Shape,
}

impl GroupsAccumulator for Totals {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        opt_filter: Option<&BooleanArray>,
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner.update_batch(&self.shape.take(values)?, group_indices, opt_filter, total_num_groups)
    }

    fn merge_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        total_num_groups: usize,
    ) -> Result<()> {
        self.inner.merge_batch(values, group_indices, total_num_groups)
    }

    fn convert_to_state(
        &self,
        values: &[ArrayRef],
        opt_filter: Option<&BooleanArray>,
    ) -> Result<Vec<ArrayRef>> {
        self.inner.convert_to_state(&self.shape.take(values)?, opt_filter)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        self.shape.give(&self.inner.evaluate(emit_to)?)
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.inner.size()
    }
}
