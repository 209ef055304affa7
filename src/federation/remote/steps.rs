//! The beginning of the unit of time that a moment is in, compared with a literal, is a range of moments: the column
//! is compared itself, for which an index serves.

use chrono::{DateTime, Datelike, Months, NaiveDate};
use crossweave_contract::{
    ColumnType, CompareOp, MICROS_OF_A_DAY, RemoteColumn, RemoteExpr, RemoteFunction, TimeUnit, Value,
};

const SECOND: i64 = 1_000_000;

/// A longer list is looked through as it is.
const MOST_RANGES: usize = 16;

/// `condition`, with ranges of a column in place of comparisons of the beginnings that its moments have.
pub(super) fn as_ranges(condition: RemoteExpr, columns: &[RemoteColumn]) -> RemoteExpr {
    let of_ranges = match &condition {
        RemoteExpr::Compare { op, left, right } => {
            ranges(*op, left, right, columns).or_else(|| ranges(op.turned(), right, left, columns))
        }
        RemoteExpr::Between { expr, low, high, negated: false } => {
            let sides =
                [ranges(CompareOp::GtEq, expr, low, columns), ranges(CompareOp::LtEq, expr, high, columns)];
            sides.into_iter().collect::<Option<_>>().map(RemoteExpr::And)
        }
        RemoteExpr::Between { expr, low, high, negated: true } => {
            let sides = [ranges(CompareOp::Lt, expr, low, columns), ranges(CompareOp::Gt, expr, high, columns)];
            sides.into_iter().collect::<Option<_>>().map(RemoteExpr::Or)
        }
        RemoteExpr::In { expr, list, negated } if list.len() <= MOST_RANGES => {
            let op = if *negated { CompareOp::NotEq } else { CompareOp::Eq };
            let parts = list.iter().map(|item| ranges(op, expr, item, columns)).collect::<Option<_>>();
            parts.map(if *negated { RemoteExpr::And } else { RemoteExpr::Or })
        }
        _ => None,
    };
    of_ranges.unwrap_or(condition)
}

/// `value op literal` as ranges of the column that `value` is computed of; `None` where it is not computed so.
fn ranges(
    op: CompareOp,
    value: &RemoteExpr,
    literal: &RemoteExpr,
    columns: &[RemoteColumn],
) -> Option<RemoteExpr> {
    let (place, unit) = match value {
        RemoteExpr::Call { function: RemoteFunction::Truncate(unit), args } => match args.as_slice() {
            [RemoteExpr::Column(place)] => (*place, *unit),
            _ => return None,
        },
        RemoteExpr::Cast { expr, to: ColumnType::Date } => match **expr {
            RemoteExpr::Column(place) => (place, TimeUnit::Day),
            _ => return None,
        },
        _ => return None,
    };
    let moment = match literal {
        RemoteExpr::Literal(Value::Date(day), _) => i64::from(*day) * MICROS_OF_A_DAY,
        RemoteExpr::Literal(Value::Micros(micros), _) => *micros,
        _ => return None,
    };
    let (begin, next) = around(unit, moment)?;
    let column_type = &columns[place].column_type;
    let compare = |op, moment| {
        Some(RemoteExpr::Compare {
            op,
            left: Box::new(RemoteExpr::Column(place)),
            right: Box::new(bound(moment, column_type)?),
        })
    };
    // The first beginning that is not before the literal.
    let reached = if begin == moment { begin } else { next };
    match op {
        CompareOp::Lt => compare(CompareOp::Lt, reached),
        CompareOp::GtEq => compare(CompareOp::GtEq, reached),
        CompareOp::LtEq => compare(CompareOp::Lt, next),
        CompareOp::Gt => compare(CompareOp::GtEq, next),
        CompareOp::Eq | CompareOp::NotEq if begin != moment => None,
        CompareOp::Eq => {
            Some(RemoteExpr::And(vec![compare(CompareOp::GtEq, begin)?, compare(CompareOp::Lt, next)?]))
        }
        CompareOp::NotEq => {
            Some(RemoteExpr::Or(vec![compare(CompareOp::Lt, begin)?, compare(CompareOp::GtEq, next)?]))
        }
    }
}

/// `moment` as it is compared with a column of `column_type`.
fn bound(moment: i64, column_type: &ColumnType) -> Option<RemoteExpr> {
    Some(match column_type {
        ColumnType::Date if moment.rem_euclid(MICROS_OF_A_DAY) == 0 => RemoteExpr::Literal(
            Value::Date(i32::try_from(moment.div_euclid(MICROS_OF_A_DAY)).ok()?),
            ColumnType::Date,
        ),
        ColumnType::Date | ColumnType::DateTime { .. } => {
            RemoteExpr::Literal(Value::Micros(moment), ColumnType::DateTime { fsp: 6 })
        }
        ColumnType::Timestamp { .. } => {
            RemoteExpr::Literal(Value::Micros(moment), ColumnType::Timestamp { fsp: 6 })
        }
        _ => return None,
    })
}

/// When the `unit` began that `moment` is in, and when the next one begins, in µs since 1970.
fn around(unit: TimeUnit, moment: i64) -> Option<(i64, i64)> {
    let of = |length: i64, first: i64| {
        let begin = moment.checked_sub(moment.checked_sub(first)?.rem_euclid(length))?;
        Some((begin, begin.checked_add(length)?))
    };
    let months = match unit {
        TimeUnit::Second => return of(SECOND, 0),
        TimeUnit::Minute => return of(60 * SECOND, 0),
        TimeUnit::Hour => return of(3_600 * SECOND, 0),
        TimeUnit::Day => return of(MICROS_OF_A_DAY, 0),
        // 1970-01-05 was a Monday.
        TimeUnit::Week => return of(7 * MICROS_OF_A_DAY, 4 * MICROS_OF_A_DAY),
        TimeUnit::Month => 1,
        TimeUnit::Quarter => 3,
        TimeUnit::Year => 12,
    };
    let date = DateTime::from_timestamp_micros(moment)?.date_naive();
    let begin = NaiveDate::from_ymd_opt(date.year(), date.month0() / months * months + 1, 1)?;
    let next = begin.checked_add_months(Months::new(months))?;
    let micros = |date: NaiveDate| Some(date.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros());
    Some((micros(begin)?, micros(next)?))
}

#[cfg(test)]
mod tests {
    use chrono::NaiveDateTime;

    use super::*;

    #[test]
    fn a_unit_is_from_its_beginning_to_the_next() {
        let at = |text: &str| text.parse::<NaiveDateTime>().unwrap().and_utc().timestamp_micros();
        for (unit, moment, begin, next) in [
            (TimeUnit::Year, "2024-02-29T10:11:12", "2024-01-01T00:00:00", "2025-01-01T00:00:00"),
            (TimeUnit::Quarter, "1969-12-31T23:59:59.9", "1969-10-01T00:00:00", "1970-01-01T00:00:00"),
            (TimeUnit::Month, "0001-01-01T00:00:00", "0001-01-01T00:00:00", "0001-02-01T00:00:00"),
            (TimeUnit::Week, "2024-03-03T10:11:12", "2024-02-26T00:00:00", "2024-03-04T00:00:00"),
            (TimeUnit::Week, "1969-12-29T00:00:00", "1969-12-29T00:00:00", "1970-01-05T00:00:00"),
            (TimeUnit::Day, "1969-12-31T23:59:59.999999", "1969-12-31T00:00:00", "1970-01-01T00:00:00"),
            (TimeUnit::Hour, "2024-02-29T10:11:12", "2024-02-29T10:00:00", "2024-02-29T11:00:00"),
            (TimeUnit::Second, "1969-12-31T23:59:59.5", "1969-12-31T23:59:59", "1970-01-01T00:00:00"),
        ] {
            assert_eq!(around(unit, at(moment)), Some((at(begin), at(next))), "{unit:?} of {moment}");
        }
    }
}
