//! `string_agg`, whose texts are bounded as those of other functions are.
//!
//! What it collects is reserved from the pool of `[queries] memory` once a batch of rows is taken, so what a batch has
//! is bounded; and what stands between the texts, which may be put in at the end for all of them, is short.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::string_agg::string_agg_udaf;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, EmitTo, GroupsAccumulator, ReversedUDAF,
    Signature,
};
use datafusion::physical_expr::expressions::Literal;

use super::{BATCH, VALUE, too_large};
use crate::federation::collation::views;

/// The most bytes of a delimiter: what is collected has more, with what it takes to keep it.
const DELIMITER: usize = 256;

/// The function, to be registered over DataFusion's.
pub(in crate::federation::surface) fn string_agg() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(StringAgg { inner: string_agg_udaf() }))
}

/// DataFusion's function of the same name.
#[derive(Debug, PartialEq, Eq, Hash)]
struct StringAgg {
    inner: Arc<AggregateUDF>,
}

impl AggregateUDFImpl for StringAgg {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    /// Of which many rows can have one and the same text, as a join gives them.
    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8View)
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        self.inner.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        check_delimiter(&args)?;
        let return_field = large(&args.return_field);
        let inner = self.inner.accumulator(AccumulatorArgs { return_field, ..args })?;
        Ok(Box::new(Bounded { inner, made: 0 }))
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        self.inner.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        check_delimiter(&args)?;
        let return_field = large(&args.return_field);
        let inner = self.inner.create_groups_accumulator(AccumulatorArgs { return_field, ..args })?;
        Ok(Box::new(Bounded { inner, made: 0 }))
    }

    /// What is collected is sorted here: rows come in one order at most, and others may be asked of other aggregates.
    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::SoftRequirement
    }

    fn with_beneficial_ordering(self: Arc<Self>, _: bool) -> Result<Option<Arc<dyn AggregateUDFImpl>>> {
        Ok(Some(self))
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::NotSupported
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}

/// What DataFusion's function makes.
fn large(field: &FieldRef) -> FieldRef {
    Arc::new(field.as_ref().clone().with_data_type(DataType::LargeUtf8))
}

fn check_delimiter(args: &AccumulatorArgs) -> Result<()> {
    // What is no literal, DataFusion refuses.
    let delimiter = args.exprs.get(1).and_then(|expr| expr.downcast_ref::<Literal>());
    let bytes = delimiter.and_then(|literal| literal.value().try_as_str().flatten()).map_or(0, str::len);
    if bytes > DELIMITER {
        let message = format!("string_agg has a delimiter of {bytes} bytes: {DELIMITER} are the most");
        return Err(too_large(message));
    }
    Ok(())
}

/// An accumulator that makes texts.
#[derive(Debug)]
struct Bounded<A: ?Sized> {
    /// Bytes of the texts that it made: a window asks for one text a row.
    made: u64,
    inner: Box<A>,
}

impl<A: ?Sized> Bounded<A> {
    fn check(&mut self, bytes: u64) -> Result<()> {
        if bytes > VALUE {
            let message = format!("string_agg would make a value of {bytes} bytes: {VALUE} are the most");
            return Err(too_large(message));
        }
        self.made += bytes;
        if self.made > BATCH {
            let message = format!("string_agg would make more than {BATCH} bytes for the rows of one window");
            return Err(too_large(message));
        }
        Ok(())
    }
}

/// Fails unless the texts of a batch fit, of which many may be one and the same in memory.
fn check_batch(texts: &ArrayRef, filter: Option<&BooleanArray>) -> Result<()> {
    let texts = views(texts)?;
    let counts = |row: &usize| texts.is_valid(*row) && filter.is_none_or(|filter| filter.value(*row));
    let lengths = (0..texts.len()).filter(counts).map(|row| texts.value(row).len() as u64);
    let bytes: u64 = lengths.sum();
    if bytes > BATCH {
        let message =
            format!("string_agg would take {bytes} bytes of so many rows at once: {BATCH} are the most");
        return Err(too_large(message));
    }
    Ok(())
}

impl Accumulator for Bounded<dyn Accumulator> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        check_batch(&values[0], None)?;
        self.inner.update_batch(values)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let text = self.inner.evaluate()?;
        let text = text.try_as_str().flatten();
        self.check(text.map_or(0, |text| text.len() as u64))?;
        Ok(ScalarValue::Utf8View(text.map(str::to_owned)))
    }

    fn size(&self) -> usize {
        self.inner.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.inner.state()
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.inner.merge_batch(states)
    }
}

impl GroupsAccumulator for Bounded<dyn GroupsAccumulator> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        group_indices: &[usize],
        filter: Option<&BooleanArray>,
        groups: usize,
    ) -> Result<()> {
        check_batch(&values[0], filter)?;
        self.inner.update_batch(values, group_indices, filter, groups)
    }

    fn evaluate(&mut self, emit_to: EmitTo) -> Result<ArrayRef> {
        let texts = self.inner.evaluate(emit_to)?;
        for text in texts.as_string::<i64>().iter().flatten() {
            // Groups are emitted once, and counted as they are collected.
            self.made = 0;
            self.check(text.len() as u64)?;
        }
        Ok(cast(&texts, &DataType::Utf8View)?)
    }

    fn state(&mut self, emit_to: EmitTo) -> Result<Vec<ArrayRef>> {
        self.inner.state(emit_to)
    }

    fn merge_batch(&mut self, values: &[ArrayRef], group_indices: &[usize], groups: usize) -> Result<()> {
        self.inner.merge_batch(values, group_indices, groups)
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        check_batch(&values[0], filter)?;
        self.inner.convert_to_state(values, filter)
    }

    fn size(&self) -> usize {
        self.inner.size()
    }
}
