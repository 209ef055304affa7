//! The message that executes a prepared statement with its parameters.

use mysql_async::Value;
use mysql_async::consts::{ColumnType, Command};
use mysql_common::io::BufMutExt as _;

/// Bytes of such a message that is sent before the server has answered that the statement is prepared: so many are
/// taken from us though nobody reads there.
pub(super) const LONGEST_AHEAD: usize = 8 << 10;

/// The second byte of the type of a number without a sign.
const UNSIGNED: u8 = 0x80;

/// The message that executes statement `id` with `params`.
pub(super) fn message(id: u32, params: &[Value]) -> Vec<u8> {
    let mut message = vec![Command::COM_STMT_EXECUTE as u8];
    message.extend_from_slice(&id.to_le_bytes());
    // No cursor, once.
    message.push(0);
    message.extend_from_slice(&1u32.to_le_bytes());
    if params.is_empty() {
        return message;
    }
    let nulls = message.len();
    message.resize(nulls + params.len().div_ceil(8), 0);
    for (at, _) in params.iter().enumerate().filter(|(_, param)| **param == Value::NULL) {
        message[nulls + at / 8] |= 1 << (at % 8);
    }
    // The types follow.
    message.push(1);
    message.extend(params.iter().flat_map(column_type));
    params.iter().for_each(|param| put(&mut message, param));
    message
}

fn column_type(param: &Value) -> [u8; 2] {
    let (column_type, flags) = match param {
        Value::NULL => (ColumnType::MYSQL_TYPE_NULL, 0),
        Value::Bytes(_) => (ColumnType::MYSQL_TYPE_VAR_STRING, 0),
        Value::Int(_) => (ColumnType::MYSQL_TYPE_LONGLONG, 0),
        Value::UInt(_) => (ColumnType::MYSQL_TYPE_LONGLONG, UNSIGNED),
        Value::Float(_) => (ColumnType::MYSQL_TYPE_FLOAT, 0),
        Value::Double(_) => (ColumnType::MYSQL_TYPE_DOUBLE, 0),
        Value::Date(..) => (ColumnType::MYSQL_TYPE_DATETIME, 0),
        Value::Time(..) => (ColumnType::MYSQL_TYPE_TIME, 0),
    };
    [column_type as u8, flags]
}

fn put(message: &mut Vec<u8>, param: &Value) {
    match param {
        Value::NULL => {}
        Value::Bytes(bytes) => {
            message.put_lenenc_int(bytes.len() as u64);
            message.extend_from_slice(bytes);
        }
        Value::Int(number) => message.extend_from_slice(&number.to_le_bytes()),
        Value::UInt(number) => message.extend_from_slice(&number.to_le_bytes()),
        Value::Float(number) => message.extend_from_slice(&number.to_le_bytes()),
        Value::Double(number) => message.extend_from_slice(&number.to_le_bytes()),
        Value::Date(year, month, day, hour, minute, second, micros) => {
            message.push(11);
            message.extend_from_slice(&year.to_le_bytes());
            message.extend_from_slice(&[*month, *day, *hour, *minute, *second]);
            message.extend_from_slice(&micros.to_le_bytes());
        }
        Value::Time(negative, days, hours, minutes, seconds, micros) => {
            message.extend_from_slice(&[12, u8::from(*negative)]);
            message.extend_from_slice(&days.to_le_bytes());
            message.extend_from_slice(&[*hours, *minutes, *seconds]);
            message.extend_from_slice(&micros.to_le_bytes());
        }
    }
}
