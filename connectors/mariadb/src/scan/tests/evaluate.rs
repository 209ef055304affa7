//! Conditions and values by SQL's rules, without a server and without its text.

use std::cmp::Ordering;

use arrow::datatypes::i256;
use crossweave_contract::{
    ArithmeticOp, Collation, CollationFamily, ColumnType, CompareOp, MICROS_OF_A_DAY, PadAttribute, RemoteExpr,
    Value,
};

const DAY: i64 = MICROS_OF_A_DAY;

/// A value that is compared with no look at its column.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Datum {
    Null,
    /// So many units of so many places after the point.
    Number(i256, u8),
    Float(f64),
    Text(Box<str>, Collation),
    /// Dates and times, in µs.
    Moment(i64),
}

impl Datum {
    /// `value` of a column of `column_type`.
    pub(super) fn of(value: &Value, column_type: &ColumnType) -> Self {
        let scale = match column_type {
            ColumnType::Decimal { scale, .. } => *scale,
            _ => 0,
        };
        match value {
            Value::Null => Self::Null,
            Value::Bool(v) => Self::whole(i128::from(*v)),
            Value::Int(v) => Self::whole(i128::from(*v)),
            Value::UInt(v) => Self::whole(i128::from(*v)),
            Value::Decimal(v) => Self::Number(i256::from_i128(*v), scale),
            Value::WideDecimal(v) => Self::Number(i256::from_le_bytes(*v), scale),
            Value::Float(v) => Self::Float(f64::from(*v)),
            Value::Double(v) => Self::Float(*v),
            Value::Date(v) => Self::Moment(i64::from(*v) * DAY),
            Value::Micros(v) => Self::Moment(*v),
            Value::Text(v) => {
                let collation = column_type.collation().expect("a text has a collation");
                Self::Text(v.clone(), collation.clone())
            }
            other => panic!("{other:?} is not compared"),
        }
    }

    pub(super) fn whole(value: i128) -> Self {
        Self::Number(i256::from_i128(value), 0)
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// A text, as it is.
    pub(super) fn exact_text(&self) -> Box<str> {
        match self {
            Self::Text(text, _) => text.clone(),
            other => panic!("{other:?} is no text"),
        }
    }

    /// Its looks: the same for values that nobody can tell apart.
    pub(super) fn exact(&self) -> String {
        match self {
            Self::Number(value, scale) => {
                let (mut value, mut scale) = (*value, *scale);
                let ten = i256::from_i128(10);
                while scale > 0 && value.wrapping_rem(ten) == i256::ZERO {
                    value = value.wrapping_div(ten);
                    scale -= 1;
                }
                format!("{value}e-{scale}")
            }
            Self::Text(text, _) => format!("{text:?}"),
            other => format!("{other:?}"),
        }
    }

    /// The same for values that are equal.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Text(text, collation) => {
                let mut weights = weights(text, collation);
                while collation.pad() == PadAttribute::PadSpace && weights.last() == Some(&SPACE) {
                    weights.pop();
                }
                format!("{weights:?}")
            }
            other => other.exact(),
        }
    }
}

/// 10 to the power of `places`.
pub(super) fn unit(places: u8) -> i256 {
    i256::from_i128(10).checked_pow(places.into()).expect("room for the digits")
}

/// Two numbers with as many places.
fn aligned(left: (i256, u8), right: (i256, u8)) -> (i256, i256, u8) {
    let scale = left.1.max(right.1);
    let scaled = |(value, places): (i256, u8)| value.checked_mul(unit(scale - places)).expect("room");
    (scaled(left), scaled(right), scale)
}

/// How `a` and `b` compare; `None` where one is NULL.
pub(super) fn order(a: &Datum, b: &Datum) -> Option<Ordering> {
    match (a, b) {
        (Datum::Null, _) | (_, Datum::Null) => None,
        (Datum::Number(a, places), Datum::Number(b, other)) => {
            let (a, b, _) = aligned((*a, *places), (*b, *other));
            Some(a.cmp(&b))
        }
        (Datum::Float(a), Datum::Float(b)) => a.partial_cmp(b),
        (Datum::Moment(a), Datum::Moment(b)) => Some(a.cmp(b)),
        (Datum::Text(a, collation), Datum::Text(b, other)) if collation == other => {
            Some(order_of_texts(a, b, collation))
        }
        other => panic!("{other:?} are not of one type"),
    }
}

const SPACE: u32 = ' ' as u32;

/// Those of `general_ci`, as far as the tests' texts go, or the code points themselves.
fn weight(c: char, collation: &Collation) -> u32 {
    if collation.family() == CollationFamily::Binary {
        return c as u32;
    }
    assert!(collation.name.starts_with("utf8mb4_general"), "{} is not known here", collation.name);
    match c {
        'ä' | 'Ä' | 'á' => 'A' as u32,
        'ß' => 'S' as u32,
        '\u{10000}'.. => 0xFFFD,
        c => c.to_ascii_uppercase() as u32,
    }
}

fn weights(text: &str, collation: &Collation) -> Vec<u32> {
    text.chars().map(|c| weight(c, collation)).collect()
}

fn order_of_texts(a: &str, b: &str, collation: &Collation) -> Ordering {
    let (mut a, mut b) = (weights(a, collation), weights(b, collation));
    if collation.pad() == PadAttribute::PadSpace {
        let longest = a.len().max(b.len());
        a.resize(longest, SPACE);
        b.resize(longest, SPACE);
    }
    a.cmp(&b)
}

fn is_like(text: &[char], pattern: &[char], collation: &Collation) -> bool {
    let same = |a: char, b: char| weight(a, collation) == weight(b, collation);
    match (pattern, text) {
        ([], rest) => rest.is_empty(),
        (['%', pattern @ ..], _) => (0..=text.len()).any(|from| is_like(&text[from..], pattern, collation)),
        (['\\', c, pattern @ ..], [first, rest @ ..]) => same(*c, *first) && is_like(rest, pattern, collation),
        (['_', pattern @ ..], [_, rest @ ..]) => is_like(rest, pattern, collation),
        ([c, pattern @ ..], [first, rest @ ..]) => same(*c, *first) && is_like(rest, pattern, collation),
        (_, []) => false,
    }
}

fn holds(op: CompareOp, a: &Datum, b: &Datum) -> Option<bool> {
    let order = order(a, b)?;
    Some(match op {
        CompareOp::Eq => order.is_eq(),
        CompareOp::NotEq => order.is_ne(),
        CompareOp::Lt => order.is_lt(),
        CompareOp::LtEq => order.is_le(),
        CompareOp::Gt => order.is_gt(),
        CompareOp::GtEq => order.is_ge(),
    })
}

fn and(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn not(a: Option<bool>) -> Option<bool> {
    a.map(|a| !a)
}

/// The condition's truth for `row` by SQL's rules.
pub(super) fn truth(expr: &RemoteExpr, row: &[Datum]) -> Option<bool> {
    let negate = |negated, truth| if negated { not(truth) } else { truth };
    match expr {
        RemoteExpr::Compare { op, left, right } => holds(*op, &value(left, row), &value(right, row)),
        RemoteExpr::In { expr, list, negated } => {
            let expr = value(expr, row);
            let none = list.iter().map(|item| holds(CompareOp::NotEq, &expr, &value(item, row)));
            negate(!negated, none.fold(Some(true), and))
        }
        RemoteExpr::Between { expr, low, high, negated } => {
            let (expr, low, high) = (value(expr, row), value(low, row), value(high, row));
            negate(*negated, and(holds(CompareOp::GtEq, &expr, &low), holds(CompareOp::LtEq, &expr, &high)))
        }
        RemoteExpr::Like { expr, pattern, negated } => match (value(expr, row), value(pattern, row)) {
            (Datum::Text(text, collation), Datum::Text(pattern, _)) => {
                let (text, pattern): (Vec<char>, Vec<char>) =
                    (text.chars().collect(), pattern.chars().collect());
                negate(*negated, Some(is_like(&text, &pattern, &collation)))
            }
            _ => None,
        },
        RemoteExpr::IsNull { expr, negated } => Some(value(expr, row).is_null() != *negated),
        RemoteExpr::And(parts) => parts.iter().map(|part| truth(part, row)).fold(Some(true), and),
        RemoteExpr::Or(parts) => not(parts.iter().map(|part| not(truth(part, row))).fold(Some(true), and)),
        other => panic!("{other:?} is no condition"),
    }
}

/// The value for `row`.
pub(super) fn value(expr: &RemoteExpr, row: &[Datum]) -> Datum {
    match expr {
        RemoteExpr::Column(place) => row[*place].clone(),
        RemoteExpr::Literal(value, column_type) => Datum::of(value, column_type),
        RemoteExpr::Arithmetic { op, left, right } => match (value(left, row), value(right, row)) {
            (Datum::Number(left, places), Datum::Number(right, other)) => {
                let (a, b, scale) = aligned((left, places), (right, other));
                match op {
                    ArithmeticOp::Add => Datum::Number(a.checked_add(b).expect("room"), scale),
                    ArithmeticOp::Subtract => Datum::Number(a.checked_sub(b).expect("room"), scale),
                    ArithmeticOp::Multiply => {
                        Datum::Number(left.checked_mul(right).expect("room"), places + other)
                    }
                }
            }
            _ => Datum::Null,
        },
        RemoteExpr::Cast { expr, to } => match (value(expr, row), to) {
            (Datum::Number(value, places), ColumnType::Decimal { scale, .. }) => {
                let (value, _, scale) = aligned((value, places), (i256::ZERO, *scale));
                Datum::Number(value, scale)
            }
            (value, _) => value,
        },
        RemoteExpr::Case { branches, otherwise } => {
            let taken = branches.iter().find(|(condition, _)| truth(condition, row) == Some(true));
            match (taken, otherwise) {
                (Some((_, taken)), _) => value(taken, row),
                (None, Some(otherwise)) => value(otherwise, row),
                (None, None) => Datum::Null,
            }
        }
        other => panic!("{other:?} is no value"),
    }
}
