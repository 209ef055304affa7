//! Values for placeholders, as they come on the wire.
//!
//! A value is decoded by its type on the wire alone: the one that the client declared when it prepared the
//! statement, else the one that it was told, else text. What the placeholder stands for has no part in it, so that
//! nothing is rounded or cut before the session sees it.

mod array;
mod binary;
mod decimal;
mod text;

use bytes::Bytes;
use datafusion::arrow::datatypes::{DataType, Field, IntervalUnit, TimeUnit};
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;
use pgwire::api::portal::{Format, Portal};
use pgwire::error::PgWireResult;
use postgres_types::Kind;
use std::sync::Arc;

use super::conversation::Statement;
use super::error::{protocol_violation, wire_error};
use super::forms;
use crate::query::{QueryError, QueryErrorKind, Reason};

/// Why bytes are no value of a type.
type Decoded = Result<ScalarValue, String>;

/// The values that `portal` was bound to.
pub(super) fn values(portal: &Portal<Statement>) -> PgWireResult<Vec<ScalarValue>> {
    let given = portal.parameters.len();
    if let Format::Individual(codes) = &portal.parameter_format
        && codes.len() != given
    {
        let message = format!("{} parameter formats were given for {given} parameters", codes.len());
        return Err(protocol_violation(message));
    }
    let value = |(index, raw): (usize, &Option<Bytes>)| {
        let declared = portal.statement.parameter_types.get(index).and_then(Option::as_ref);
        let inferred = portal.statement.statement.parameter_types.get(index).and_then(Option::as_ref);
        decode(declared, inferred, portal.parameter_format.is_binary(index), raw.as_deref()).map_err(|reason| {
            let message = format!("parameter ${}: {reason}", index + 1);
            wire_error(QueryError::new(QueryErrorKind::Invalid, message).because(Reason::Value))
        })
    };
    portal.parameters.iter().enumerate().map(value).collect()
}

fn decode(declared: Option<&Type>, inferred: Option<&DataType>, binary: bool, raw: Option<&[u8]>) -> Decoded {
    let wire = declared.cloned().unwrap_or_else(|| announced(inferred));
    let Some(raw) = raw else {
        return match declared.and_then(arrow_type) {
            Some(data_type) => ScalarValue::try_from(&data_type).map_err(|error| error.to_string()),
            None => Ok(ScalarValue::Null),
        };
    };
    let value = if binary { binary::decode(&wire, raw)? } else { text::decode(&wire, utf8(raw)?)? };
    // Unsigned columns are announced as numeric, for want of unsigned types; a client that declares nothing means
    // no decimal by it.
    match inferred {
        Some(inferred) if declared.is_none() && inferred.is_integer() => Ok(decimal::whole(value)),
        Some(DataType::List(item)) if declared.is_none() && item.data_type().is_integer() => {
            array::each(&announced(Some(item.data_type())), value, decimal::whole)
        }
        _ => Ok(value),
    }
}

fn utf8(raw: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(raw).map_err(|error| format!("it is not UTF-8: {error}"))
}

/// The type that a client is told for a placeholder which is meant for `inferred`.
pub(super) fn announced(inferred: Option<&DataType>) -> Type {
    inferred.map_or(Type::TEXT, forms::announced)
}

/// The type of values that a client declares as `wire`, as far as it can be told without them.
pub(super) fn arrow_type(wire: &Type) -> Option<DataType> {
    let microseconds = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    Some(match *wire {
        Type::BOOL => DataType::Boolean,
        Type::INT2 => DataType::Int16,
        Type::INT4 => DataType::Int32,
        Type::INT8 | Type::OID => DataType::Int64,
        Type::FLOAT4 => DataType::Float32,
        Type::FLOAT8 => DataType::Float64,
        // Each value has a precision of its own; this is what NUMERIC means where there is no value.
        Type::NUMERIC => DataType::Decimal128(38, 10),
        Type::BYTEA => DataType::Binary,
        Type::DATE => DataType::Date32,
        Type::TIME => DataType::Time64(TimeUnit::Microsecond),
        Type::TIMESTAMP => microseconds(None),
        Type::TIMESTAMPTZ => microseconds(Some("+00:00")),
        Type::INTERVAL => DataType::Interval(IntervalUnit::MonthDayNano),
        Type::UNKNOWN => return None,
        _ => match wire.kind() {
            Kind::Array(element) => DataType::List(Arc::new(Field::new_list_field(arrow_type(element)?, true))),
            Kind::Simple => DataType::Utf8,
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(declared: Option<Type>, inferred: Option<DataType>, value: &str) -> Decoded {
        decode(declared.as_ref(), inferred.as_ref(), false, Some(value.as_bytes()))
    }

    #[test]
    fn the_declared_type_counts_then_the_announced_one_then_text() {
        let five = || ScalarValue::Int64(Some(5));
        assert_eq!(text(Some(Type::INT4), Some(DataType::Utf8), "5"), Ok(five()));
        assert_eq!(text(None, Some(DataType::UInt64), "5"), Ok(five()));
        assert_eq!(text(None, Some(DataType::Int16), "5.4"), Ok(ScalarValue::Decimal128(Some(54), 2, 1)));
        assert_eq!(text(None, None, "5"), Ok(ScalarValue::from("5")));
        let list = |item| DataType::new_list(item, true);
        let both = |five| {
            Ok(ScalarValue::List(ScalarValue::new_list_nullable(
                &[five, ScalarValue::Int64(None)],
                &DataType::Int64,
            )))
        };
        assert_eq!(text(None, Some(list(DataType::UInt64)), "{5,NULL}"), both(five()));
        let numeric = ScalarValue::Decimal128(Some(5), 1, 0);
        assert_eq!(text(Some(Type::NUMERIC), Some(DataType::UInt64), "5"), Ok(numeric));
        let time = DataType::Duration(TimeUnit::Microsecond);
        assert_eq!(text(None, Some(time), "-838:59:59"), Ok(ScalarValue::from("-838:59:59")));
    }

    #[test]
    fn a_list_is_announced_as_the_array_of_what_its_elements_are() {
        for (item, expect) in [
            (DataType::Int64, Type::INT8_ARRAY),
            (DataType::UInt64, Type::NUMERIC_ARRAY),
            (DataType::Decimal256(65, 2), Type::NUMERIC_ARRAY),
            (DataType::Duration(TimeUnit::Microsecond), Type::TEXT_ARRAY),
            (DataType::Date32, Type::DATE_ARRAY),
            (DataType::Utf8, Type::TEXT_ARRAY),
        ] {
            assert_eq!(announced(Some(&DataType::new_list(item, true))), expect);
        }
    }

    #[test]
    fn null_is_a_value() {
        let null = |declared: Option<Type>| decode(declared.as_ref(), None, true, None).unwrap();
        assert_eq!(null(None), ScalarValue::Null);
        assert_eq!(null(Some(Type::UNKNOWN)), ScalarValue::Null);
        assert_eq!(null(Some(Type::INT4)), ScalarValue::Int32(None));
    }
}
