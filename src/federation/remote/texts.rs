//! Texts: a comparison of keys here is the bare comparison there, for the weights of keys are the server's own.
//!
//! That holds where the key is that of the column's own collation. Under another one, which COLLATE chose or which won
//! over the column's, the text is compared here.

use std::sync::Arc;

use crossweave_contract::{ColumnType, RemoteExpr, Value};
use datafusion::common::metadata::FieldMetadata;
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::scalar::ScalarValue;

use super::expressions::{Scope, Taken, refuse};
use super::fragment::Output;
use super::functions::is_text_function;
use super::whitelist::Family;
use crate::federation::collation::{ComparisonKey, Key, KeyEncoder, LITERAL_TEXT};

/// Characters of a text of which the connector has a server compare all where it orders and groups, whatever the
/// collation's weights.
const LONGEST_SORTED: u32 = 500;

/// Texts of a column, or parts of them, as they are compared.
#[derive(Debug, Clone)]
pub(super) struct TextSide {
    /// As the source has them.
    pub(super) value: RemoteExpr,
    /// What stands for its texts here; `None` where they themselves do.
    pub(super) key: Option<Key>,
    /// What it is compared as there.
    pub(super) column_type: ColumnType,
}

impl TextSide {
    /// What may be asked about it.
    pub(super) fn family(&self) -> Family {
        Family::of_column(&self.column_type)
    }

    /// Fails unless rows may be ordered and grouped by it there: a server looks at the beginning of a text alone.
    pub(super) fn check_short(&self, scope: &Scope<'_>) -> Taken<()> {
        match scope.most_chars(&self.value) {
            _ if self.family() != Family::Text => Ok(()),
            Some(chars) if chars <= LONGEST_SORTED => Ok(()),
            _ => refuse(format!("texts of more than {LONGEST_SORTED} characters are ordered and grouped here")),
        }
    }

    /// `literal`, which it is compared with.
    pub(super) fn literal(&self, value: &ScalarValue, metadata: Option<&FieldMetadata>) -> Taken<RemoteExpr> {
        let text = match &self.key {
            _ if value.is_null() => None,
            None => value.try_as_str().flatten(),
            Some(_) => metadata.and_then(|metadata| metadata.inner().get(LITERAL_TEXT)).map(String::as_str),
        };
        match text {
            Some(text) => text_literal(text, &self.column_type),
            None => refuse("a text is compared with what is no literal"),
        }
    }

    /// Whether it and `other` are compared there as they are here.
    pub(super) fn fits(&self, other: &Self) -> bool {
        let alike = match (&self.column_type, &other.column_type) {
            (ColumnType::Enum { .. }, _) | (_, ColumnType::Enum { .. }) => false,
            (left, right) => {
                left.collation() == right.collation() && (left.collation().is_some() || left == right)
            }
        };
        alike && self.key == other.key
    }
}

/// `text`, which is compared with a column of `column_type`.
pub(super) fn text_literal(text: &str, column_type: &ColumnType) -> Taken<RemoteExpr> {
    if let Some(collation) = column_type.collation()
        && !has(&collation.charset, text)
    {
        return refuse(format!(
            "a column of the character set {} is compared with {text:?}, which that may not have",
            collation.charset
        ));
    }
    let column_type = match column_type {
        ColumnType::Enum { collation, .. } => ColumnType::Text { collation: collation.clone() },
        other => other.clone(),
    };
    Ok(RemoteExpr::Literal(Value::Text(text.into()), column_type))
}

/// Whether `text` can surely be written in the character set `charset`: what cannot, the server does not compare.
fn has(charset: &str, text: &str) -> bool {
    match charset {
        "utf8mb4" => true,
        "utf8mb3" | "utf8" => text.chars().all(|char| char <= '\u{FFFF}'),
        // MariaDB's has other characters in the place of these controls.
        "latin1" => text.chars().all(|char| char <= '\u{FF}' && !('\u{80}'..='\u{9F}').contains(&char)),
        _ => text.is_ascii(),
    }
}

/// Whether `key` is that by which a column of `column_type` compares its own values.
pub(super) fn own_key(key: &Key, column_type: &ColumnType) -> bool {
    match (key, column_type) {
        (_, ColumnType::Set { .. }) => false,
        (Key::Collation(encoder), column_type) => column_type.collation() == Some(encoder.collation()),
        (Key::Uuid, ColumnType::Uuid) | (Key::Inet4, ColumnType::Inet4) | (Key::Inet6, ColumnType::Inet6) => {
            true
        }
        _ => false,
    }
}

/// `expr` as a column of texts that is compared; `None` if it is none.
pub(super) fn text_side(expr: &Expr, scope: &Scope<'_>) -> Taken<Option<TextSide>> {
    match expr {
        Expr::ScalarFunction(call) => {
            let Some(function) = call.func.inner().downcast_ref::<ComparisonKey>() else {
                return bare_text(call, scope);
            };
            match call.args.as_slice() {
                [Expr::Column(column)] => match scope.output(column)? {
                    Output::Column(place) => keyed(*place, function.key().clone(), scope).map(Some),
                    Output::Key(..) => refuse("a key of a key is asked for"),
                },
                [Expr::ScalarFunction(call)] if is_text_function(call.name()) => {
                    let (value, column_type) = scope.text_made(call)?;
                    own(value, function.key().clone(), column_type).map(Some)
                }
                [Expr::ScalarFunction(call)] => {
                    refuse(format!("a text that {} gives is compared here", call.name()))
                }
                _ => refuse("a text is compared that is computed"),
            }
        }
        Expr::Column(column) => match scope.output(column)? {
            Output::Key(key, place) => keyed(*place, key.clone(), scope).map(Some),
            Output::Column(place) => {
                let column_type = scope.columns[*place].column_type.clone();
                if !is_bytes(&column_type) {
                    return Ok(None);
                }
                let value = RemoteExpr::Column(scope.text_place(*place)?);
                Ok(Some(TextSide { value, key: None, column_type }))
            }
        },
        _ => Ok(None),
    }
}

/// Whether values are texts whose own bytes are compared.
pub(super) fn is_bytes(column_type: &ColumnType) -> bool {
    match column_type {
        ColumnType::Text { collation } | ColumnType::Json { collation } => {
            KeyEncoder::binary(collation).is_some_and(|encoder| encoder.is_bytes())
        }
        _ => false,
    }
}

fn keyed(place: usize, key: Key, scope: &Scope<'_>) -> Taken<TextSide> {
    let place = scope.text_place(place)?;
    own(RemoteExpr::Column(place), key, scope.columns[place].column_type.clone())
}

/// `value`, of texts of `column_type`, which are compared by `key`.
fn own(value: RemoteExpr, key: Key, column_type: ColumnType) -> Taken<TextSide> {
    if !own_key(&key, &column_type) {
        return refuse("a text is not compared as its column is");
    }
    Ok(TextSide { value, key: Some(key), column_type })
}

/// What `call` makes of a text, if that is one whose own bytes are compared.
fn bare_text(call: &ScalarFunction, scope: &Scope<'_>) -> Taken<Option<TextSide>> {
    if !is_text_function(call.name()) {
        return Ok(None);
    }
    let (value, column_type) = scope.text_made(call)?;
    Ok(is_bytes(&column_type).then_some(TextSide { value, key: None, column_type }))
}

/// The place of the ENUM or SET that `expr` orders by.
pub(super) fn declared_order(expr: &Expr, scope: &Scope<'_>) -> Option<usize> {
    let Expr::ScalarFunction(call) = expr else { return None };
    let key = call.func.inner().downcast_ref::<ComparisonKey>()?.key();
    let [Expr::Column(column)] = call.args.as_slice() else { return None };
    let Ok(Output::Column(place)) = scope.output(column) else { return None };
    let declared: (&Arc<[String]>, &Vec<String>) = match (key, &scope.columns[*place].column_type) {
        (Key::EnumIndex(of), ColumnType::Enum { values, .. })
        | (Key::SetBits(of), ColumnType::Set { values, .. }) => (of, values),
        _ => return None,
    };
    (declared.0[..] == declared.1[..]).then_some(*place)
}
