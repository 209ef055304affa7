//! Functions that sources compute: which of DataFusion's they are.

use crossweave_contract::{ColumnType, RemoteColumn, RemoteExpr, RemoteFunction, TimePart, TimeUnit, Value};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{Expr, Operator};
use datafusion::scalar::ScalarValue;

use super::computed::{check_small, chosen_type, exact_type};
use super::expressions::{Scope, Taken, refuse};
use super::shown::of_function;
use super::whitelist::{Family, Operation};
use crate::federation::surface::ROUNDED;

impl Scope<'_> {
    /// What `call`, which is `expr`, gives, with its type there.
    pub(super) fn call(&self, expr: &Expr, call: &ScalarFunction) -> Taken<(RemoteExpr, ColumnType)> {
        match (call.name(), call.args.as_slice()) {
            ("date_part", [part, moment]) => self.part(part, moment),
            ("date_trunc", [unit, moment]) => self.truncated(expr, unit, moment),
            ("abs", [number]) => self.magnitude(expr, number),
            ("quotient", [left, right]) => self.ratio(expr, left, right),
            (ROUNDED, [number]) => self.rounded(expr, number),
            ("nullif", [value, other]) => self.without(expr, value, other),
            // What is divided by: there is no 0 among it.
            ("divisor", [value]) => {
                self.without(expr, value, &Expr::Literal(ScalarValue::Int64(Some(0)), None))
            }
            ("character_length", [text]) => self.counted(text, RemoteFunction::Characters),
            ("octet_length", [text]) => self.counted(text, RemoteFunction::Bytes),
            (name, _) if is_text_function(name) => self.text_made(call),
            _ => refuse(of_function(expr, call)),
        }
    }

    /// `expr` as a date or moment of which `operation` may be asked, and what it is.
    fn moment(&self, expr: &Expr, operation: Operation) -> Taken<(RemoteExpr, Family)> {
        let (value, family) = self.compared(expr)?;
        if family.allows(operation) {
            Ok((value, family))
        } else {
            let expr = expr.human_display();
            refuse(format!("{expr} is no DATE, DATETIME or TIMESTAMP, so that this is computed here"))
        }
    }

    fn part(&self, part: &Expr, moment: &Expr) -> Taken<(RemoteExpr, ColumnType)> {
        let (moment, family) = self.moment(moment, Operation::Parts)?;
        let name = named(part).unwrap_or_default();
        let (function, column_type) = match (family, name.as_str(), part_of(&name)) {
            (Family::Time, "epoch", _) => (RemoteFunction::Seconds, ColumnType::Double),
            (_, "epoch", _) => (RemoteFunction::Epoch, ColumnType::Double),
            (Family::Time, _, Some(part @ (TimePart::Hour | TimePart::Minute | TimePart::Second))) => {
                (RemoteFunction::PartOfTime(part), ColumnType::Int { unsigned: false })
            }
            (Family::Date | Family::DateTime | Family::Timestamp, _, Some(part)) => {
                (RemoteFunction::Part(part), ColumnType::Int { unsigned: false })
            }
            _ => return refuse(format!("the part {} is computed here", part.human_display())),
        };
        Ok((RemoteExpr::Call { function, args: vec![moment] }, column_type))
    }

    fn truncated(&self, expr: &Expr, unit: &Expr, moment: &Expr) -> Taken<(RemoteExpr, ColumnType)> {
        let Some(unit) = named(unit).and_then(|name| unit_of(&name)) else {
            return refuse(format!("date_trunc to {} is computed here", unit.human_display()));
        };
        let (moment, _) = self.moment(moment, Operation::Truncations)?;
        let call = RemoteExpr::Call { function: RemoteFunction::Truncate(unit), args: vec![moment] };
        Ok((call, chosen_type(&self.type_of(expr)?)?))
    }

    fn magnitude(&self, expr: &Expr, number: &Expr) -> Taken<(RemoteExpr, ColumnType)> {
        let column_type = exact_type(&self.type_of(expr)?)?;
        if !Family::Exact.allows(Operation::Magnitudes) {
            return refuse("abs is computed here");
        }
        let args = vec![self.number(number)?];
        Ok((RemoteExpr::Call { function: RemoteFunction::Magnitude, args }, column_type))
    }

    /// `expr` as texts of a column, or parts of them, under the collation of the column.
    fn text(&self, expr: &Expr) -> Taken<(RemoteExpr, ColumnType)> {
        match expr {
            Expr::Column(column) => {
                let place = self.place(column)?;
                let column_type = self.columns[place].column_type.clone();
                if self.picked.contains_key(&place) || !matches!(column_type, ColumnType::Text { .. }) {
                    return refuse(format!(
                        "functions of {column}, which is no column of texts, are computed here"
                    ));
                }
                Ok((RemoteExpr::Column(place), column_type))
            }
            Expr::ScalarFunction(call) if is_text_function(call.name()) => self.text_made(call),
            other => refuse(format!("functions of the text {} are computed here", other.human_display())),
        }
    }

    /// What `call` of a function that gives a text gives: one under the collation of what it is made of.
    pub(super) fn text_made(&self, call: &ScalarFunction) -> Taken<(RemoteExpr, ColumnType)> {
        match (call.name(), call.args.as_slice()) {
            ("upper", [text]) => self.in_case(text, RemoteFunction::Upper),
            ("lower", [text]) => self.in_case(text, RemoteFunction::Lower),
            _ => self.part_of_text(call),
        }
    }

    /// A server's letters in the other case are those of its collation, not Unicode's: of `ß` it has none.
    fn in_case(&self, text: &Expr, function: RemoteFunction) -> Taken<(RemoteExpr, ColumnType)> {
        let (text, column_type) = self.text(text)?;
        let charset = column_type.collation().map(|collation| collation.charset.as_str());
        if charset != Some("ascii") || !Family::Text.allows(Operation::Cases) {
            return refuse("letters of other character sets than ascii are brought into another case here");
        }
        Ok((RemoteExpr::Call { function, args: vec![text] }, column_type))
    }

    /// What `call` of `substr`, `left` or `right` gives.
    fn part_of_text(&self, call: &ScalarFunction) -> Taken<(RemoteExpr, ColumnType)> {
        if !Family::Text.allows(Operation::Substrings) {
            return refuse("parts of texts are computed here");
        }
        let (function, text, numbers) = match (call.name(), call.args.as_slice()) {
            ("substr", [text, from]) => (RemoteFunction::Substring, text, vec![count(from, 1)?]),
            ("substr", [text, from, most]) => {
                (RemoteFunction::Substring, text, vec![count(from, 1)?, count(most, 0)?])
            }
            ("left", [text, most]) => {
                let first = RemoteExpr::Literal(Value::Int(1), ColumnType::BigInt { unsigned: false });
                (RemoteFunction::Substring, text, vec![first, count(most, 0)?])
            }
            ("right", [text, most]) => (RemoteFunction::Ending, text, vec![count(most, 0)?]),
            _ => return refuse(of_function(&Expr::ScalarFunction(call.clone()), call)),
        };
        let (text, column_type) = self.text(text)?;
        let args = std::iter::once(text).chain(numbers).collect();
        Ok((RemoteExpr::Call { function, args }, column_type))
    }

    fn counted(&self, text: &Expr, function: RemoteFunction) -> Taken<(RemoteExpr, ColumnType)> {
        if !Family::Text.allows(Operation::Lengths) {
            return refuse("the length of a text is computed here");
        }
        let (text, column_type) = self.text(text)?;
        let charset = column_type.collation().map(|collation| collation.charset.as_str());
        if function == RemoteFunction::Bytes && !charset.is_some_and(|charset| charset.starts_with("utf8")) {
            return refuse("the bytes of a text that is not stored as UTF-8 are counted here");
        }
        Ok((RemoteExpr::Call { function, args: vec![text] }, ColumnType::Int { unsigned: false }))
    }

    /// How many characters `value`, a text, may have, where that is bounded.
    pub(super) fn most_chars(&self, value: &RemoteExpr) -> Option<u32> {
        let (of, most) = match value {
            RemoteExpr::Column(place) => return self.columns[*place].max_chars(),
            RemoteExpr::Call { function: RemoteFunction::Upper | RemoteFunction::Lower, args } => {
                return self.most_chars(args.first()?);
            }
            RemoteExpr::Call { function: RemoteFunction::Substring, args } => (args.first()?, args.get(2)),
            RemoteExpr::Call { function: RemoteFunction::Ending, args } => (args.first()?, args.get(1)),
            _ => return None,
        };
        let most = match most {
            Some(RemoteExpr::Literal(Value::Int(most), _)) => u32::try_from(*most).ok(),
            _ => None,
        };
        self.most_chars(of).into_iter().chain(most).min()
    }

    /// The column of `value`, which is computed and read as `column_type`.
    pub(super) fn computed(&self, value: &RemoteExpr, column_type: ColumnType, nullable: bool) -> RemoteColumn {
        RemoteColumn { chars: self.most_chars(value), ..RemoteColumn::computed(column_type, nullable) }
    }

    /// Whether `value` may be NULL.
    pub(super) fn may_be_null(&self, value: &RemoteExpr) -> bool {
        match value {
            RemoteExpr::Column(place) => self.columns[*place].nullable,
            _ => true,
        }
    }

    /// `value` where it is not `other`, else NULL.
    fn without(&self, expr: &Expr, value: &Expr, other: &Expr) -> Taken<(RemoteExpr, ColumnType)> {
        let column_type = chosen_type(&self.type_of(expr)?)?;
        check_small(value)?;
        let null = RemoteExpr::Literal(Value::Null, column_type.clone());
        let equal = self.comparison(Operator::Eq, value, other)?;
        let otherwise = Some(Box::new(self.choice(value, &column_type)?));
        Ok((RemoteExpr::Case { branches: vec![(equal, null)], otherwise }, column_type))
    }
}

/// Whether the function makes a text of one.
pub(super) fn is_text_function(name: &str) -> bool {
    matches!(name, "substr" | "left" | "right" | "upper" | "lower")
}

/// How many characters, or from which one on: a literal that is `least` at least.
fn count(expr: &Expr, least: i64) -> Taken<RemoteExpr> {
    match expr {
        Expr::Literal(ScalarValue::Int64(Some(count)), _) if (least..=i64::from(u32::MAX)).contains(count) => {
            Ok(RemoteExpr::Literal(Value::Int(*count), ColumnType::BigInt { unsigned: false }))
        }
        _ => {
            let expr = expr.human_display();
            refuse(format!("a part of a text is computed here where {expr} is no number from {least} on"))
        }
    }
}

/// What `expr`, a literal, names.
fn named(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten().map(str::to_ascii_lowercase),
        _ => None,
    }
}

fn part_of(name: &str) -> Option<TimePart> {
    Some(match name {
        "year" | "years" => TimePart::Year,
        "isoyear" => TimePart::IsoYear,
        "quarter" | "qtr" => TimePart::Quarter,
        "month" | "months" => TimePart::Month,
        "week" | "weeks" => TimePart::Week,
        "day" | "days" => TimePart::Day,
        "doy" => TimePart::DayOfYear,
        "dow" => TimePart::DayOfWeek,
        "isodow" => TimePart::IsoDayOfWeek,
        "hour" | "hours" => TimePart::Hour,
        "minute" | "minutes" => TimePart::Minute,
        "second" | "seconds" => TimePart::Second,
        _ => return None,
    })
}

fn unit_of(name: &str) -> Option<TimeUnit> {
    Some(match name {
        "year" => TimeUnit::Year,
        "quarter" => TimeUnit::Quarter,
        "month" => TimeUnit::Month,
        "week" => TimeUnit::Week,
        "day" => TimeUnit::Day,
        "hour" => TimeUnit::Hour,
        "minute" => TimeUnit::Minute,
        "second" => TimeUnit::Second,
        _ => return None,
    })
}
