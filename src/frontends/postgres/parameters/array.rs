//! Arrays of one dimension.

use bytes::Buf;
use datafusion::arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType};
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;
use postgres_types::Kind;

use super::{Decoded, arrow_type, binary, text};
use crate::federation::list_elements;
use crate::federation::surface::array_items;

/// As `array_recv` reads it.
pub(super) fn from_binary(mut raw: &[u8]) -> Decoded {
    let cut = |_| "a binary array that ends early".to_owned();
    let dimensions = raw.try_get_i32().map_err(cut)?;
    let _has_nulls = raw.try_get_i32().map_err(cut)?;
    let oid = raw.try_get_u32().map_err(cut)?;
    let element = Type::from_oid(oid).ok_or_else(|| format!("an array of the unknown type {oid}"))?;
    // The client chooses it: an array in an array in an array would be as deep as it likes.
    if matches!(element.kind(), Kind::Array(_)) {
        return Err("an array of arrays; one of single values is served".to_owned());
    }
    let length = match dimensions {
        0 => 0,
        1 => raw.try_get_i32().map_err(cut)?,
        _ => return Err(format!("an array of {dimensions} dimensions; 1 is served")),
    };
    if dimensions == 1 {
        let _lower_bound = raw.try_get_i32().map_err(cut)?;
    }
    let mut values = Vec::new();
    for _ in 0..length {
        let Ok(length) = usize::try_from(raw.try_get_i32().map_err(cut)?) else {
            values.push(None);
            continue;
        };
        let (value, rest) = raw.split_at_checked(length).ok_or("a binary array that ends early")?;
        values.push(Some(binary::decode(&element, value)?));
        raw = rest;
    }
    list(&element, values)
}

/// As `array_in` reads it: `{1,NULL,"a \"b\""}`.
pub(super) fn from_text(element: &Type, text: &str) -> Decoded {
    let wrong = || format!("{:?} is not an array of one dimension", text.chars().take(100).collect::<String>());
    let decode = |item: Option<String>| item.map(|item| text::decode(element, &item)).transpose();
    let values = array_items(text).ok_or_else(wrong)?.into_iter().map(decode).collect::<Result<_, _>>()?;
    list(element, values)
}

/// `value`, each of whose elements is as `f` makes it.
pub(super) fn each(element: &Type, value: ScalarValue, f: impl Fn(ScalarValue) -> ScalarValue) -> Decoded {
    let ScalarValue::List(_) = &value else { return Ok(value) };
    let elements = list_elements(&value).map_err(|error| error.to_string())?;
    list(element, elements.into_iter().map(|value| (!value.is_null()).then(|| f(value))).collect())
}

fn list(element: &Type, values: Vec<Option<ScalarValue>>) -> Decoded {
    let data_type = common(element, values.iter().flatten())?;
    let cast = |value: Option<ScalarValue>| match value {
        Some(value) => value.cast_to(&data_type),
        None => ScalarValue::try_from(&data_type),
    };
    let values =
        values.into_iter().map(cast).collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&values, &data_type)))
}

/// The type that holds all of `values`: numbers may each have another.
fn common<'a>(element: &Type, values: impl Iterator<Item = &'a ScalarValue>) -> Result<DataType, String> {
    let mut common: Option<DataType> = None;
    for value in values {
        let data_type = value.data_type();
        common = Some(match common {
            None => data_type,
            Some(common) if common == data_type => common,
            Some(common) => wider(&common, &data_type)
                .ok_or_else(|| format!("an array of {common} and {data_type}, which have no type in common"))?,
        });
    }
    Ok(common.or_else(|| arrow_type(element)).unwrap_or(DataType::Utf8))
}

fn wider(one: &DataType, other: &DataType) -> Option<DataType> {
    let size = |data_type: &DataType| match data_type {
        DataType::Int64 | DataType::UInt64 => Some((20, 0)),
        DataType::Decimal128(precision, scale) | DataType::Decimal256(precision, scale) => {
            Some((precision.checked_sub(u8::try_from(*scale).ok()?)?, *scale))
        }
        _ => None,
    };
    let ((whole, scale), (other_whole, other_scale)) = (size(one)?, size(other)?);
    let scale = scale.max(other_scale);
    let precision = whole.max(other_whole).checked_add(u8::try_from(scale).ok()?)?;
    if precision <= DECIMAL128_MAX_PRECISION {
        return Some(DataType::Decimal128(precision, scale));
    }
    (precision <= DECIMAL256_MAX_PRECISION).then_some(DataType::Decimal256(precision, scale))
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use postgres_types::ToSql;

    use super::*;

    fn items(list: Decoded) -> Vec<String> {
        let Ok(ScalarValue::List(list)) = list else { panic!("no list: {list:?}") };
        let list = list.value(0);
        let shown = |row| ScalarValue::try_from_array(&list, row).unwrap().to_string();
        (0..list.len()).map(shown).collect()
    }

    #[test]
    fn reads_both_formats() {
        let mut out = BytesMut::new();
        vec![Some(1_i64), None, Some(-3)].to_sql(&Type::INT8_ARRAY, &mut out).unwrap();
        assert_eq!(items(binary::decode(&Type::INT8_ARRAY, &out)), ["1", "NULL", "-3"]);
        assert!(from_binary(&out[..out.len() - 1]).is_err());

        let text = |element: &Type, text: &str| items(from_text(element, text));
        assert_eq!(text(&Type::INT4, "{1, 2,NULL}"), ["1", "2", "NULL"]);
        assert_eq!(
            text(&Type::TEXT, r#"{a, "b,\"c\"", "null", NULL, ""}"#),
            ["a", "b,\"c\"", "null", "NULL", ""]
        );
        assert_eq!(text(&Type::NUMERIC, "{1.5,20}").len(), 2);
        assert!(text(&Type::INT4, "{}").is_empty());
        for wrong in ["1,2", "{1,}", "{1 2", "{{1},{2}}", "{a\"b}", "{,1}"] {
            assert!(from_text(&Type::TEXT, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn arrays_in_arrays_are_refused_however_deep() {
        let mut raw = Vec::new();
        for _ in 0..100_000 {
            let mut outer = Vec::new();
            for word in [1_i32, 0, i32::try_from(Type::INT4_ARRAY.oid()).unwrap(), 1, 1] {
                outer.extend(word.to_be_bytes());
            }
            raw.splice(0..0, outer);
            if raw.len() > 200_000 {
                break;
            }
        }
        assert!(from_binary(&raw).unwrap_err().contains("array of arrays"));
    }
}
