//! The columns that were promised when a statement was prepared, kept when it is executed.
//!
//! A client reads rows by what it was told of them before it gave values for the placeholders, and a value may
//! make another type of an expression than was expected. Then the column is cast, where that loses nothing; else
//! the statement fails, and says so.

use std::sync::Arc;

use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};

use crate::query::{QueryError, QueryErrorKind};

/// `plan`, whose types are settled, with columns of the types of `promised`.
pub(super) fn keep(plan: LogicalPlan, promised: &SchemaRef) -> Result<LogicalPlan, QueryError> {
    let columns = plan.schema().iter().zip(promised.fields());
    let casts: Vec<Option<DataType>> = columns
        .map(|((_, now), then)| {
            mend(now.data_type(), then.data_type())
                .map_err(|()| broken(then.name(), now.data_type(), then.data_type()))
        })
        .collect::<Result<_, _>>()?;
    if casts.iter().all(Option::is_none) {
        return Ok(plan);
    }
    let columns = plan.schema().iter().zip(casts);
    let columns: Vec<Expr> = columns
        .map(|((qualifier, field), target)| {
            let column = Expr::from((qualifier, field));
            match target {
                Some(target) => cast(column, target).alias_qualified(qualifier.cloned(), field.name()),
                None => column,
            }
        })
        .collect();
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}

/// To what a column of type `now` is cast so that a client can read it as `then`; an error if that could lose
/// something. Clients take decimals of any precision, and unsigned numbers that no signed one holds, alike.
fn mend(now: &DataType, then: &DataType) -> Result<Option<DataType>, ()> {
    use DataType::*;
    let exact = |data_type: &DataType| matches!(data_type, UInt64 | Decimal128(..) | Decimal256(..));
    match (now, then) {
        _ if now == then => Ok(None),
        _ if (is_text(now) && is_text(then)) || (exact(now) && exact(then)) => Ok(None),
        (Null, Null) => Ok(None),
        (List(now), List(then)) => {
            let item = mend(now.data_type(), then.data_type())?;
            Ok(item.map(|item| List(Arc::new(now.as_ref().clone().with_data_type(item)))))
        }
        // What has no type is text to a client.
        (_, Null) if is_text(now) => Ok(None),
        (_, Null) => Ok(Some(Utf8)),
        (Null, _) => Ok(Some(then.clone())),
        (_, _) if is_text(then) => Ok(Some(Utf8)),
        (_, _) if now.is_integer() && exact(then) => Ok(Some(Decimal128(20, 0))),
        // Fails for a number out of range, and only then.
        (_, _) if now.is_integer() && then.is_integer() => Ok(Some(then.clone())),
        (Float32, Float64) => Ok(Some(Float64)),
        (_, Float64) if now.is_numeric() => Ok(Some(Float64)),
        (Date32, Timestamp(TimeUnit::Microsecond, _)) => Ok(Some(then.clone())),
        (Timestamp(_, now), Timestamp(_, zone)) if now.is_some() == zone.is_some() => Ok(Some(then.clone())),
        (Binary | BinaryView | LargeBinary, Binary | BinaryView | LargeBinary) => Ok(None),
        _ => Err(()),
    }
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, value) => is_text(value),
        other => other.is_string(),
    }
}

fn broken(name: &str, now: &DataType, then: &DataType) -> QueryError {
    let message = format!(
        "column {name} was described as {then}, but with these parameters it is {now}, which does not fit"
    );
    QueryError::new(QueryErrorKind::Invalid, message)
        .with_hint("Declare the types of the parameters, or cast them: $1::numeric")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn casts_only_where_nothing_is_lost() {
        use DataType::*;
        let decimal = Decimal128(5, 3);
        let list = |item| DataType::new_list(item, true);
        for (now, then, expect) in [
            (Int64, Int64, Ok(None)),
            (Int64, Int32, Ok(Some(Int32))),
            (list(decimal.clone()), list(Decimal128(38, 10)), Ok(None)),
            (list(Int64), list(Int16), Ok(Some(list(Int16)))),
            (list(Int64), Int64, Err(())),
            (Int64, UInt64, Ok(Some(Decimal128(20, 0)))),
            (decimal.clone(), UInt64, Ok(None)),
            (decimal.clone(), Decimal128(38, 10), Ok(None)),
            (decimal.clone(), Int64, Err(())),
            (Float64, Int64, Err(())),
            (decimal, Float64, Ok(Some(Float64))),
            (Int64, Null, Ok(Some(Utf8))),
            (Utf8View, Utf8, Ok(None)),
            (Date32, Int64, Err(())),
        ] {
            assert_eq!(mend(&now, &then), expect, "{now} as {then}");
        }
    }
}
