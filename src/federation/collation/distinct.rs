//! `string_agg(DISTINCT x, …)`, `array_agg(DISTINCT x)` and their like: of texts that the collation holds
//! equal the first one counts, then the plain aggregate runs over those.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, ReversedUDAF, Signature, Volatility,
};
use datafusion::physical_expr::PhysicalExprRef;

use super::functions::Key;
use crate::federation::taken_types;

/// `inner(DISTINCT …)` where arguments are compared by key.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct CollationDistinct {
    name: String,
    inner: Arc<AggregateUDF>,
    /// By argument: what stands for it where it is compared; `None` for the value itself.
    keys: Vec<Option<Key>>,
    order: Option<ArgumentOrder>,
    signature: Signature,
}

/// `ORDER BY` an argument, which is all that DISTINCT allows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ArgumentOrder {
    /// Which argument.
    pub(crate) argument: usize,
    /// By what it is ordered.
    pub(crate) key: Option<Key>,
    /// Ascending.
    pub(crate) ascending: bool,
    /// NULLs first.
    pub(crate) nulls_first: bool,
}

impl CollationDistinct {
    /// `inner` over distinct arguments.
    pub(crate) fn over(
        inner: Arc<AggregateUDF>,
        keys: Vec<Option<Key>>,
        order: Option<ArgumentOrder>,
    ) -> Arc<AggregateUDF> {
        Arc::new(AggregateUDF::new_from_impl(Self {
            name: format!("collation_distinct_{}", inner.name()),
            inner,
            keys,
            order,
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    }
}

impl AggregateUDFImpl for CollationDistinct {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        taken_types(arg_types.iter().cloned(), self.inner.as_ref())
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field(&self, arg_fields: &[FieldRef]) -> Result<FieldRef> {
        self.inner.return_field(arg_fields)
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        AggregateOrderSensitivity::Insensitive
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::NotSupported
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok((0..)
            .zip(args.input_fields)
            .map(|(number, field)| {
                let item = Field::new_list_field(field.data_type().clone(), true);
                Arc::new(Field::new(format!("{}[{number}]", args.name), DataType::List(Arc::new(item)), true))
            })
            .collect())
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let types = args.expr_fields.iter().map(|field| field.data_type().clone()).collect();
        let inner = Inner {
            function: Arc::clone(&self.inner),
            return_field: args.return_field,
            schema: args.schema.clone(),
            ignore_nulls: args.ignore_nulls,
            is_reversed: args.is_reversed,
            name: args.name.to_owned(),
            exprs: args.exprs.to_vec(),
            expr_fields: args.expr_fields.to_vec(),
        };
        inner.accumulator()?;
        Ok(Box::new(DistinctAccumulator {
            keys: self.keys.clone(),
            order: self.order.clone(),
            types,
            inner,
            rows: HashMap::new(),
            bytes: 0,
        }))
    }
}

/// What the plain aggregate's accumulators are made of.
struct Inner {
    function: Arc<AggregateUDF>,
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    is_reversed: bool,
    name: String,
    exprs: Vec<PhysicalExprRef>,
    expr_fields: Vec<FieldRef>,
}

impl Inner {
    fn accumulator(&self) -> Result<Box<dyn Accumulator>> {
        self.function.accumulator(AccumulatorArgs {
            return_field: Arc::clone(&self.return_field),
            schema: &self.schema,
            ignore_nulls: self.ignore_nulls,
            order_bys: &[],
            is_reversed: self.is_reversed,
            name: &self.name,
            is_distinct: false,
            exprs: &self.exprs,
            expr_fields: &self.expr_fields,
        })
    }
}

struct DistinctAccumulator {
    keys: Vec<Option<Key>>,
    order: Option<ArgumentOrder>,
    types: Vec<DataType>,
    inner: Inner,
    /// By what the arguments are compared: when they came first, and as what.
    rows: HashMap<Vec<ScalarValue>, (usize, Vec<ScalarValue>)>,
    bytes: usize,
}

impl fmt::Debug for DistinctAccumulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DistinctAccumulator").field("rows", &self.rows.len()).finish_non_exhaustive()
    }
}

impl DistinctAccumulator {
    /// What was kept, in order, by argument.
    fn columns(&self) -> Result<Vec<ArrayRef>> {
        if self.rows.is_empty() {
            return Ok(self.types.iter().map(arrow::array::new_empty_array).collect());
        }
        let mut rows: Vec<_> = self.rows.values().collect();
        rows.sort_by_key(|(number, _)| *number);
        if let Some(order) = &self.order {
            let values = rows.iter().map(|(_, row)| row[order.argument].clone());
            let values = ScalarValue::iter_to_array(values)?;
            let keys = match &order.key {
                Some(key) => key.of_array(&values)?,
                None => values,
            };
            let keys: Vec<_> =
                (0..rows.len()).map(|row| ScalarValue::try_from_array(&keys, row)).collect::<Result<_>>()?;
            let mut places: Vec<usize> = (0..rows.len()).collect();
            places.sort_by(|&left, &right| order.compare(&keys[left], &keys[right]));
            rows = places.into_iter().map(|place| rows[place]).collect();
        }
        (0..self.types.len())
            .map(|argument| ScalarValue::iter_to_array(rows.iter().map(|(_, row)| row[argument].clone())))
            .collect()
    }
}

impl ArgumentOrder {
    fn compare(&self, left: &ScalarValue, right: &ScalarValue) -> Ordering {
        match (left.is_null(), right.is_null()) {
            (true, true) => Ordering::Equal,
            (true, false) if self.nulls_first => Ordering::Less,
            (true, false) => Ordering::Greater,
            (false, true) if self.nulls_first => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => {
                let order = left.partial_cmp(right).unwrap_or(Ordering::Equal);
                if self.ascending { order } else { order.reverse() }
            }
        }
    }
}

impl Accumulator for DistinctAccumulator {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let compared: Vec<ArrayRef> = values
            .iter()
            .enumerate()
            .map(|(argument, array)| match self.keys.get(argument).and_then(Option::as_ref) {
                Some(key) => key.of_array(array),
                None => Ok(Arc::clone(array)),
            })
            .collect::<Result<_>>()?;
        for row in 0..values.first().map_or(0, |array| array.len()) {
            let at = |array: &ArrayRef| ScalarValue::try_from_array(array, row);
            let number = self.rows.len();
            if let Entry::Vacant(place) = self.rows.entry(compared.iter().map(at).collect::<Result<_>>()?) {
                let kept = values.iter().map(at).collect::<Result<Vec<_>>>()?;
                self.bytes += place.key().iter().chain(&kept).map(ScalarValue::size).sum::<usize>();
                place.insert((number, kept));
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        for row in 0..states.first().map_or(0, |array| array.len()) {
            let columns: Vec<ArrayRef> = states
                .iter()
                .map(|state| match state.as_list_opt::<i32>() {
                    Some(lists) => Ok(lists.value(row)),
                    None => exec_err!("state of a distinct aggregate is {}, not a list", state.data_type()),
                })
                .collect::<Result<_>>()?;
            self.update_batch(&columns)?;
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        // A window asks after each of its rows.
        let mut inner = self.inner.accumulator()?;
        inner.update_batch(&self.columns()?)?;
        inner.evaluate()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let columns = self.columns()?;
        Ok(columns
            .into_iter()
            .map(|array| {
                let item = Arc::new(Field::new_list_field(array.data_type().clone(), true));
                let offsets = arrow::buffer::OffsetBuffer::from_lengths([array.len()]);
                ScalarValue::List(Arc::new(arrow::array::ListArray::new(item, offsets, array, None)))
            })
            .collect())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.bytes
    }
}
