//! Conditions, numbers and aggregates at random.

use crossweave_contract::{
    AggregateFunction, ArithmeticOp, ColumnType, CompareOp, MICROS_OF_A_DAY, Relation, RemoteAggregate,
    RemoteColumn, RemoteExpr, RemoteOutput, Value,
};
use rand::Rng;
use rand::seq::IndexedRandom as _;

use super::super::evaluate::{Datum, value};
use super::generate::{Generator, Taken, are_compared, compare, is_number, is_text};

const BIGINT: ColumnType = ColumnType::BigInt { unsigned: false };
const OPERATORS: [CompareOp; 6] =
    [CompareOp::Eq, CompareOp::NotEq, CompareOp::Lt, CompareOp::LtEq, CompareOp::Gt, CompareOp::GtEq];
/// Patterns, and texts that no row holds.
const TEXTS: [&str; 10] =
    ["", "a%", "%", "_", "%b", "\\%", "100\\%", "' OR 1=1 -- ", "/* ` \" \\ ? */ #", "😀; DROP TABLE t"];
/// More digits than this no number is to have, nor more places after the point.
const MOST_DIGITS: u8 = 60;
const MOST_PLACES: u8 = 14;
const DAY: i64 = MICROS_OF_A_DAY;

impl Generator<'_> {
    pub(super) fn condition(&mut self, input: &Taken, depth: u32) -> Option<RemoteExpr> {
        if depth > 0 && self.random.random_bool(0.3) {
            let mut parts = Vec::new();
            for _ in 0..self.random.random_range(2..4) {
                parts.push(self.condition(input, depth - 1)?);
            }
            return Some(if self.random.random() { RemoteExpr::And(parts) } else { RemoteExpr::Or(parts) });
        }
        if self.random.random_bool(0.1) {
            let place = self.random.random_range(0..input.columns.len());
            let expr = Box::new(RemoteExpr::Column(place));
            return Some(RemoteExpr::IsNull { expr, negated: self.random.random() });
        }
        if depth > 0 && self.random.random_bool(0.2) {
            return self.of_computed(input);
        }
        let place = *input.places(|_| true).choose(&mut self.random)?;
        let others: Vec<usize> = input.places(|other| are_compared(&input.columns[place], other));
        if self.random.random_bool(0.2)
            && let Some(other) = others.choose(&mut self.random)
        {
            let op = *OPERATORS.choose(&mut self.random)?;
            return Some(compare(op, RemoteExpr::Column(place), RemoteExpr::Column(*other)));
        }
        self.of_column(input, place)
    }

    /// What is said of a column and literals.
    fn of_column(&mut self, input: &Taken, place: usize) -> Option<RemoteExpr> {
        let expr = Box::new(RemoteExpr::Column(place));
        let mut literal = || self.literal(input, place).map(Box::new);
        let (first, second) = (literal()?, literal()?);
        let negated = self.random.random();
        Some(match self.random.random_range(0..7) {
            0 => RemoteExpr::In { expr, list: vec![*first, *second], negated },
            1 => RemoteExpr::Between { expr, low: first, high: second, negated },
            2 | 3 if is_text(&input.columns[place]) && !input.answer.loose[place] => {
                let pattern = Value::Text((*TEXTS.choose(&mut self.random)?).into());
                let pattern = Box::new(RemoteExpr::Literal(pattern, input.columns[place].column_type.clone()));
                RemoteExpr::Like { expr, pattern, negated }
            }
            4 => compare(*OPERATORS.choose(&mut self.random)?, *first, *expr),
            _ => compare(*OPERATORS.choose(&mut self.random)?, *expr, *first),
        })
    }

    /// What is said of a number that is computed.
    fn of_computed(&mut self, input: &Taken) -> Option<RemoteExpr> {
        let (expr, _) = self.number(input, 1)?;
        if self.random.random_bool(0.2) {
            return Some(RemoteExpr::IsNull { expr: Box::new(expr), negated: self.random.random() });
        }
        let row = input.answer.rows.choose(&mut self.random)?;
        let literal = number_literal(&value(&expr, row))?;
        // Two literals are compared before anybody is asked.
        if expr.places().is_empty() {
            return None;
        }
        let op = *OPERATORS.choose(&mut self.random)?;
        Some(if self.random.random() { compare(op, expr, literal) } else { compare(op, literal, expr) })
    }

    /// A literal that is compared with a column: most often one of its values.
    fn literal(&mut self, input: &Taken, place: usize) -> Option<RemoteExpr> {
        let column_type = input.columns[place].column_type.clone();
        let rows: Vec<&Datum> =
            input.answer.rows.iter().map(|row| &row[place]).filter(|value| !value.is_null()).collect();
        let found = rows.choose(&mut self.random).copied();
        Some(match (&column_type, found) {
            (ColumnType::Text { .. }, found) => {
                let text = match found {
                    Some(found) if self.random.random_bool(0.8) => found.exact_text(),
                    _ => (*TEXTS.choose(&mut self.random)?).into(),
                };
                RemoteExpr::Literal(Value::Text(text), column_type)
            }
            (ColumnType::Date, found) => {
                let day = match found {
                    Some(Datum::Moment(micros)) if self.random.random_bool(0.9) => (micros / DAY) as i32,
                    _ => *[-800_000, 3_000_000, 17_000].choose(&mut self.random)?,
                };
                RemoteExpr::Literal(Value::Date(day), column_type)
            }
            (ColumnType::DateTime { .. }, found) => {
                let micros = match found {
                    Some(Datum::Moment(micros)) if self.random.random_bool(0.9) => *micros,
                    _ => *[i64::MIN, i64::MAX, 0].choose(&mut self.random)?,
                };
                RemoteExpr::Literal(Value::Micros(micros), ColumnType::DateTime { fsp: 6 })
            }
            (_, Some(found)) => number_literal(found)?,
            (_, None) => RemoteExpr::Literal(Value::Int(1), BIGINT),
        })
    }

    /// A number that is computed, with the type that it is read as.
    pub(super) fn number(&mut self, input: &Taken, depth: u32) -> Option<(RemoteExpr, ColumnType)> {
        if depth == 0 || self.random.random_bool(0.2) {
            return self.plain_number(input);
        }
        if self.random.random_bool(0.3) {
            return self.case(input, depth);
        }
        let (left, of_left) = self.number(input, depth - 1)?;
        let (right, of_right) = self.number(input, depth - 1)?;
        // What is made of literals alone is made before anybody is asked.
        if [&left, &right].iter().all(|side| side.places().is_empty()) {
            return None;
        }
        let (left, right, column_type) = alike(left, of_left, right, of_right)?;
        let ops = [ArithmeticOp::Add, ArithmeticOp::Subtract, ArithmeticOp::Multiply];
        let op = *ops.choose(&mut self.random)?;
        let column_type = match (&column_type, op) {
            (
                (ColumnType::Decimal { precision: p, scale: s }, ColumnType::Decimal { precision, scale }),
                op,
            ) => {
                if op == ArithmeticOp::Multiply {
                    decimal(p + precision + 1, s + scale)?
                } else {
                    let scale_of_both = *s.max(scale);
                    decimal((p - s).max(precision - scale) + scale_of_both + 1, scale_of_both)?
                }
            }
            _ => BIGINT,
        };
        Some((RemoteExpr::Arithmetic { op, left: Box::new(left), right: Box::new(right) }, column_type))
    }

    fn plain_number(&mut self, input: &Taken) -> Option<(RemoteExpr, ColumnType)> {
        if self.random.random_bool(0.3) {
            let small = self.random.random_range(-3..10);
            return Some(match self.random.random() {
                true => (RemoteExpr::Literal(Value::Int(small), BIGINT), BIGINT),
                // 3.00, which is written as a whole number.
                false if self.random.random_bool(0.3) => {
                    (RemoteExpr::Literal(Value::Int(small), BIGINT), decimal(4, 2)?)
                }
                false => {
                    let column_type = decimal(4, 2)?;
                    let value = Value::Decimal(i128::from(small) * 25 + 1);
                    (RemoteExpr::Literal(value, column_type.clone()), column_type)
                }
            });
        }
        let place = *input.places(is_number).choose(&mut self.random)?;
        let expr = RemoteExpr::Column(place);
        let column_type = input.columns[place].column_type.clone();
        Some(match column_type {
            // Widened to what is computed with.
            ColumnType::BigInt { unsigned: true } => cast(expr, decimal(20, 0)?),
            ColumnType::Int { .. } => cast(expr, BIGINT),
            column_type => (expr, column_type),
        })
    }

    fn case(&mut self, input: &Taken, depth: u32) -> Option<(RemoteExpr, ColumnType)> {
        let condition = self.condition(input, depth - 1)?;
        let (first, of_first) = self.number(input, depth - 1)?;
        let (second, of_second) = self.number(input, depth - 1)?;
        let (mut first, mut second, types) = alike(first, of_first, second, of_second)?;
        let column_type = match &types {
            (ColumnType::Decimal { precision: p, scale: s }, ColumnType::Decimal { precision, scale }) => {
                let scale_of_both = *s.max(scale);
                let both = decimal((p - s).max(precision - scale) + scale_of_both, scale_of_both)?;
                if types.0 != both {
                    first = cast(first, both.clone()).0;
                }
                if types.1 != both {
                    second = cast(second, both.clone()).0;
                }
                both
            }
            _ => BIGINT,
        };
        let mut branches = vec![(condition, first)];
        let mut otherwise = None;
        match self.random.random_range(0..3) {
            0 => branches.push((self.condition(input, depth - 1)?, second)),
            1 => otherwise = Some(Box::new(second)),
            _ => {}
        }
        Some((RemoteExpr::Case { branches, otherwise }, column_type))
    }

    pub(super) fn aggregate(&mut self, input: &Taken) -> Option<Taken> {
        let mut places = self.groupable(input);
        places.truncate(self.random.random_range(0..4));
        let mut groups: Vec<RemoteOutput> = places
            .iter()
            .map(|&place| RemoteOutput {
                expr: RemoteExpr::Column(place),
                column: input.columns[place].clone(),
            })
            .collect();
        if self.random.random_bool(0.2) {
            let (expr, column_type) = self.number(input, 2)?;
            groups.push(RemoteOutput { expr, column: RemoteColumn::computed(column_type, true) });
        }
        let (mut aggregates, mut picked) = (Vec::new(), vec![None; groups.len()]);
        for (at, &place) in places.iter().enumerate() {
            if is_text(&input.columns[place]) && self.random.random_bool(0.8) {
                picked.push(Some(at));
                aggregates.push(RemoteAggregate {
                    function: AggregateFunction::Any,
                    argument: Some(RemoteExpr::Column(place)),
                    distinct: false,
                    filter: None,
                    column: RemoteColumn::computed(input.columns[place].column_type.clone(), true),
                });
            }
        }
        let least = usize::from(groups.is_empty());
        for _ in 0..self.random.random_range(least..4) {
            aggregates.push(self.said(input)?);
            picked.push(None);
        }
        let relation = Relation::Aggregate { input: Box::new(input.relation.clone()), groups, aggregates };
        let columns = relation.columns();
        self.taken(relation, columns, picked)
    }

    fn said(&mut self, input: &Taken) -> Option<RemoteAggregate> {
        use AggregateFunction::{Average, Count, Max, Min, Sum};
        let mut distinct = self.random.random_bool(0.3);
        let function = *[Count, Count, Sum, Average, Min, Max].choose(&mut self.random)?;
        let place = self.groupable(input).first().copied();
        let (argument, column_type) = match (function, place) {
            (Count, _) if self.random.random_bool(0.3) => {
                distinct = false;
                (None, BIGINT)
            }
            (Count, Some(place)) if self.random.random_bool(0.7) => (Some(RemoteExpr::Column(place)), BIGINT),
            (Min | Max, Some(place)) if self.random.random_bool(0.7) => {
                (Some(RemoteExpr::Column(place)), input.columns[place].column_type.clone())
            }
            (function, _) => {
                let (argument, column_type) = self.number(input, 1)?;
                let column_type = match (function, column_type) {
                    (Count, _) => BIGINT,
                    (Sum, ColumnType::Decimal { precision, scale }) => decimal(precision + 10, scale)?,
                    (Sum, _) => decimal(30, 0)?,
                    (Average, ColumnType::Decimal { precision, scale }) => decimal(precision + 4, scale + 4)?,
                    (Average, _) => decimal(23, 4)?,
                    (_, column_type) => column_type,
                };
                (Some(argument), column_type)
            }
        };
        let filter = match self.random.random_bool(0.3) {
            true => Some(self.condition(input, 1)?),
            false => None,
        };
        let column = RemoteColumn::computed(column_type, function != Count);
        Some(RemoteAggregate { function, argument, distinct, filter, column })
    }
}

fn decimal(precision: u8, scale: u8) -> Option<ColumnType> {
    (precision <= MOST_DIGITS && scale <= MOST_PLACES).then_some(ColumnType::Decimal { precision, scale })
}

/// Literals are widened before anybody is asked.
fn cast(expr: RemoteExpr, to: ColumnType) -> (RemoteExpr, ColumnType) {
    if matches!(expr, RemoteExpr::Literal(..)) {
        return (expr, to);
    }
    (RemoteExpr::Cast { expr: Box::new(expr), to: to.clone() }, to)
}

/// Two numbers, both integers or both decimals.
fn alike(
    left: RemoteExpr,
    of_left: ColumnType,
    right: RemoteExpr,
    of_right: ColumnType,
) -> Option<(RemoteExpr, RemoteExpr, (ColumnType, ColumnType))> {
    let widened = |expr, column_type| match column_type {
        BIGINT => Some(cast(expr, decimal(20, 0)?)),
        column_type => Some((expr, column_type)),
    };
    if of_left == BIGINT && of_right == BIGINT {
        return Some((left, right, (of_left, of_right)));
    }
    let ((left, of_left), (right, of_right)) = (widened(left, of_left)?, widened(right, of_right)?);
    Some((left, right, (of_left, of_right)))
}

/// `value` as the rule writes it: whole numbers as integers.
fn number_literal(value: &Datum) -> Option<RemoteExpr> {
    let Datum::Number(unscaled, scale) = value else { return None };
    let digits = unscaled.to_string().trim_start_matches('-').len() as u8;
    let unit = super::super::evaluate::unit(*scale);
    if unscaled.wrapping_rem(unit).to_i128() == Some(0) {
        let whole = unscaled.wrapping_div(unit).to_i128()?;
        if let Ok(whole) = i64::try_from(whole) {
            return Some(RemoteExpr::Literal(Value::Int(whole), BIGINT));
        }
        if let Ok(whole) = u64::try_from(whole) {
            return Some(RemoteExpr::Literal(Value::UInt(whole), ColumnType::BigInt { unsigned: true }));
        }
    }
    let precision = digits.max(*scale);
    let column_type = ColumnType::Decimal { precision, scale: *scale };
    Some(match unscaled.to_i128() {
        Some(narrow) if precision <= 38 => RemoteExpr::Literal(Value::Decimal(narrow), column_type),
        _ => RemoteExpr::Literal(Value::WideDecimal(unscaled.to_le_bytes()), column_type),
    })
}
