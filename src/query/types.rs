//! SQL's names of types.
//!
//! A moment has microseconds, as in MariaDB and PostgreSQL: DataFusion's own nanoseconds end in the year 2262, and
//! `9999-12-31` is what people write for "no end". A TIME is MariaDB's, which has a sign and more than a day. And a decimal that there is not is refused: DataFusion would take
//! 300 digits for 44, and the places of DECIMAL(5,-2) for none.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef, TimeUnit};
use datafusion::common::Result;
use datafusion::logical_expr::planner::TypePlanner;
use datafusion::sql::sqlparser::ast::{DataType as SqlType, ExactNumberInfo, TimezoneInfo};

use crate::federation::surface::check_decimal;

/// Plans the types of system schemas, then moments and times; the rest is DataFusion's.
#[derive(Debug)]
pub(super) struct Types {
    pub(super) system: Option<Arc<dyn TypePlanner>>,
}

impl TypePlanner for Types {
    fn plan_type_field(&self, sql_type: &SqlType) -> Result<Option<FieldRef>> {
        if let Some(system) = &self.system
            && let Some(field) = system.plan_type_field(sql_type)?
        {
            return Ok(Some(field));
        }
        match sql_type {
            SqlType::Decimal(info) | SqlType::Numeric(info) | SqlType::Dec(info) => match info {
                ExactNumberInfo::None => {}
                ExactNumberInfo::Precision(digits) => check_decimal(*digits, 0)?,
                ExactNumberInfo::PrecisionAndScale(digits, places) => check_decimal(*digits, *places)?,
            },
            _ => {}
        }
        let zone = match sql_type {
            SqlType::Datetime(None | Some(6)) => None,
            SqlType::Timestamp(None | Some(6), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => None,
            SqlType::Timestamp(None | Some(6), _) => Some("+00:00".into()),
            SqlType::Time(None | Some(6), TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                let time = DataType::Duration(TimeUnit::Microsecond);
                return Ok(Some(Arc::new(Field::new("", time, true))));
            }
            _ => return Ok(None),
        };
        let data_type = DataType::Timestamp(TimeUnit::Microsecond, zone);
        Ok(Some(Arc::new(Field::new("", data_type, true))))
    }
}
