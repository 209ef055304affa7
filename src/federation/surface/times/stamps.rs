//! `to_timestamp(x)` in microseconds. DataFusion's counts nanoseconds, which end in the year 2262.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, TimestampMicrosecondArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Decimal128Type, Field, Float64Type, Int64Type};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{DataFusionError, Result, exec_datafusion_err};
use datafusion::functions::datetime;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::moments::{micros, on_values};
use crate::federation::collation::is_text;

const MICROS_OF_A_SECOND: i64 = 1_000_000;

/// The function, to be registered over DataFusion's.
pub(in crate::federation::surface) fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::new_from_impl(ToTimestamp::new(&ConfigOptions::default())))
}

/// Of a number, the moment so many seconds after 1970 began; of a text, the one that it spells.
#[derive(Debug, PartialEq, Eq, Hash)]
struct ToTimestamp {
    /// Reads texts of other forms.
    inner: Arc<ScalarUDF>,
    zone: Option<Arc<str>>,
    signature: Signature,
}

impl ToTimestamp {
    fn new(config: &ConfigOptions) -> Self {
        Self {
            inner: datetime::to_timestamp_micros(config),
            zone: config.execution.time_zone.as_deref().map(Arc::from),
            signature: Signature::variadic_any(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for ToTimestamp {
    fn name(&self) -> &str {
        "to_timestamp"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(micros(self.zone.clone()))
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        Some(ScalarUDF::new_from_impl(Self::new(config)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let to = micros(self.zone.clone());
        match &args.args[..] {
            [number] if number.data_type().is_numeric() => on_values(number, |numbers| {
                let moments = of_seconds(numbers)?;
                Ok(Arc::new(moments.with_data_type(to)))
            }),
            [value]
                if is_text(&value.data_type())
                    || matches!(
                        value.data_type(),
                        DataType::Timestamp(..) | DataType::Date32 | DataType::Null
                    ) =>
            {
                value.cast_to(&to, None)
            }
            _ => {
                let return_field = Arc::new(Field::new(self.name(), to.clone(), true));
                self.inner.invoke_with_args(ScalarFunctionArgs { return_field, ..args })?.cast_to(&to, None)
            }
        }
    }
}

fn of_seconds(numbers: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    let out_of_range = || exec_datafusion_err!("to_timestamp: a number of seconds is out of range");
    let as_type = |to: &DataType| {
        let strict = CastOptions { safe: false, ..CastOptions::default() };
        cast_with_options(numbers, to, &strict).map_err(|_| out_of_range())
    };
    match numbers.data_type() {
        whole if whole.is_integer() => as_type(&DataType::Int64)?
            .as_primitive::<Int64Type>()
            .try_unary(|seconds| seconds.checked_mul(MICROS_OF_A_SECOND).ok_or_else(out_of_range)),
        float if float.is_floating() => {
            as_type(&DataType::Float64)?.as_primitive::<Float64Type>().try_unary(|seconds| {
                let micros = (seconds * MICROS_OF_A_SECOND as f64).round();
                let has_room = micros > i64::MIN as f64 && micros < i64::MAX as f64;
                if has_room { Ok::<_, DataFusionError>(micros as i64) } else { Err(out_of_range()) }
            })
        }
        _ => as_type(&DataType::Decimal128(38, 6))?
            .as_primitive::<Decimal128Type>()
            .try_unary(|micros| i64::try_from(micros).map_err(|_| out_of_range())),
    }
}
