//! `sum`, `avg` and `median` that take booleans too, as the numbers 0 and 1, and whose results have room for all digits.
//!
//! A sum of 64-bit integers is a decimal, as in MariaDB and in PostgreSQL, for it would wrap around; so is an average of
//! integers, which doubles would only come near to. Decimals are summed and averaged in 256 bits where 128 would not do,
//! and an average is rounded at its last place, not cut off, but where MariaDB cuts it off. The median of decimals may lie
//! between two of them: it has one more place.

use std::sync::Arc;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions_aggregate::{average::avg_udaf, median::median_udaf, sum::sum_udaf};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Documentation, GroupsAccumulator, ReversedUDAF,
    SetMonotonicity, Signature, Volatility,
};

use super::decimals::{as_decimal, decimal, is_decimal, is_wide};
use super::quotient::{is_cut_off, places};
use super::totals::{Shape, Total, Totals};
use crate::federation::collation::is_text;
use crate::federation::remote::digits;
use crate::federation::taken_types;

/// Digits that a sum has more than what is summed: room for so many rows.
const ROWS: i16 = 10;

/// The function `sum`.
pub(in crate::federation::surface) fn sum() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(OverWide::new(sum_udaf())))
}

/// The function `avg`.
pub(in crate::federation::surface) fn avg() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(OverWide::new(avg_udaf())))
}

/// The function `median`.
pub(in crate::federation::surface) fn median() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(OverWide::new(median_udaf())))
}

/// DataFusion's `sum`, `avg` or `median`, of wider numbers. What DataFusion makes of `sum(x + 1)` is left out: it counts the rows
/// in the type of the 1.
#[derive(Debug, PartialEq, Eq, Hash)]
struct OverWide {
    inner: Arc<AggregateUDF>,
    signature: Signature,
}

impl OverWide {
    fn new(inner: Arc<AggregateUDF>) -> Self {
        Self { inner, signature: Signature::user_defined(Volatility::Immutable) }
    }

    fn sums(&self) -> bool {
        self.inner.name() == "sum"
    }

    /// What becomes of values of `arg`.
    fn shape(&self, arg: &DataType) -> Result<Shape> {
        use DataType::{Boolean, Int8, Int16, Int32, Int64, Null, UInt8, UInt16, UInt32, UInt64};
        Ok(match arg {
            arg if self.inner.name() == "median" => {
                let middle = match digits(arg) {
                    Some((before, after)) if is_decimal(arg) => decimal(before, after + 1),
                    _ if arg.is_integer() => DataType::Float64,
                    _ => arg.clone(),
                };
                Shape::plain(middle.clone(), middle)
            }
            Null | Boolean | Int8 | Int16 | Int32 if self.sums() => Shape::plain(Int64, Int64),
            UInt8 | UInt16 | UInt32 if self.sums() => Shape::plain(UInt64, UInt64),
            Int64 | UInt64 if self.sums() => {
                Shape::plain(DataType::Decimal128(20, 0), DataType::Decimal128(20 + 10, 0))
            }
            other => match digits(other) {
                Some((before, after)) if is_decimal(other) => self.shape_of_decimals(other, before, after),
                Some((before, _)) if other.is_integer() => {
                    self.shape_of_decimals(&DataType::Decimal128(before as u8, 0), before, 0)
                }
                _ => Shape::plain(other.clone(), self.inner.return_type(std::slice::from_ref(other))?),
            },
        })
    }

    fn shape_of_decimals(&self, arg: &DataType, before: i16, after: i16) -> Shape {
        let (made, result) = if self.sums() {
            let sum = decimal(before + ROWS, after);
            (sum.clone(), sum)
        } else {
            let places = places(after);
            // DataFusion cuts off: by one more place it can be rounded.
            let made = if is_cut_off(after, 0) { places } else { places + 1 };
            (decimal(before, made), decimal(before, places))
        };
        // DataFusion's accumulators make of 128 bits 128, and of 256 bits 256.
        Shape { taken: as_decimal(arg, is_wide(&made)), made, result }
    }

    /// `args` as DataFusion's aggregate takes them, to `make` an accumulator of, and the types it goes through.
    fn widened<T>(
        &self,
        args: AccumulatorArgs,
        make: impl FnOnce(&AggregateUDF, AccumulatorArgs) -> Result<T>,
    ) -> Result<(T, Shape)> {
        let shape = self.shape(args.expr_fields[0].data_type())?;
        let fields = retyped(args.expr_fields, &shape);
        let return_field = with_type(&args.return_field, &shape.made);
        let inner = make(&self.inner, AccumulatorArgs { return_field, expr_fields: &fields, ..args })?;
        Ok((inner, shape))
    }
}

fn with_type(field: &FieldRef, data_type: &DataType) -> FieldRef {
    Arc::new(field.as_ref().clone().with_data_type(data_type.clone()))
}

fn retyped(fields: &[FieldRef], shape: &Shape) -> Vec<FieldRef> {
    fields.iter().map(|field| with_type(field, &shape.taken)).collect()
}

impl AggregateUDFImpl for OverWide {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    /// What is widened stays as it is, however often it is asked for; the accumulators do it.
    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let number = |arg: &DataType| if *arg == DataType::Boolean { DataType::Int64 } else { arg.clone() };
        match arg_types {
            [arg] if self.sums() && (number(arg).is_integer() || arg.is_null()) => {
                return Ok(arg_types.to_vec());
            }
            [arg] if number(arg).is_integer() => return Ok(vec![number(arg)]),
            _ => {}
        }
        let name = self.name();
        match arg_types {
            [arg]
                if arg.is_numeric()
                    || arg.is_null()
                    || matches!(arg, DataType::Duration(_) | DataType::Interval(_)) =>
            {
                taken_types([arg.clone()], self.inner.as_ref())
            }
            [arg] if is_text(arg) => plan_err!("{name} takes numbers, not texts: {name}(CAST(x AS DOUBLE))"),
            [arg] => plan_err!("{name} takes numbers, not values of type {arg}"),
            _ => plan_err!("{name} takes 1 argument, {} were given", arg_types.len()),
        }
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        match arg_types {
            [arg] => Ok(self.shape(arg)?.result),
            _ => self.inner.return_type(arg_types),
        }
    }

    fn is_nullable(&self) -> bool {
        self.inner.is_nullable()
    }

    fn accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let (inner, shape) = self.widened(args, AggregateUDF::accumulator)?;
        Ok(Box::new(Total { inner, shape }))
    }

    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        let shape = self.shape(args.input_fields[0].data_type())?;
        let fields = retyped(args.input_fields, &shape);
        let return_field = with_type(&args.return_field, &shape.made);
        self.inner.state_fields(StateFieldsArgs { return_field, input_fields: &fields, ..args })
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        let supported =
            |inner: &AggregateUDF, args: AccumulatorArgs| Ok(inner.groups_accumulator_supported(args));
        self.widened(args, supported).is_ok_and(|(supported, _)| supported)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        let (inner, shape) = self.widened(args, AggregateUDF::create_groups_accumulator)?;
        Ok(Box::new(Totals { inner, shape }))
    }

    fn create_sliding_accumulator(&self, args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let (inner, shape) = self.widened(args, AggregateUDF::create_sliding_accumulator)?;
        Ok(Box::new(Total { inner, shape }))
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.inner.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        match self.inner.reverse_udf() {
            ReversedUDAF::Identical => ReversedUDAF::Identical,
            _ => ReversedUDAF::NotSupported,
        }
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        self.inner.default_value(data_type)
    }

    fn set_monotonicity(&self, data_type: &DataType) -> SetMonotonicity {
        self.inner.inner().set_monotonicity(data_type)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.inner.documentation()
    }
}
