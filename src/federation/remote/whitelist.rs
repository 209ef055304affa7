//! What may be asked of a source about values of which types.
//!
//! An entry says that a source computes the same as is computed here, over all hard values: tests on a real server show
//! it, and one demands a proof for each entry. Text is told apart by its collation as well: see `texts`.

use crossweave_contract::ColumnType;

use Operation::{
    Cases, Choices, Columns, Divisions, Equality, Extremes, Groups, Lengths, Like, Magnitudes, Null, Numbers,
    Order, Parts, Ratios, Sorts, Substrings, Sums, Truncations,
};

/// Types that are compared alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Integers and decimals: compared as exact numbers, also with each other.
    Exact,
    /// FLOAT.
    Float,
    /// DOUBLE.
    Double,
    /// YEAR.
    Year,
    /// DATE.
    Date,
    /// DATETIME.
    DateTime,
    /// TIMESTAMP.
    Timestamp,
    /// TIME.
    Time,
    /// Text and JSON under their column's own collation.
    Text,
    /// ENUM.
    Enum,
    /// SET.
    Set,
    /// UUID, INET4 and INET6.
    Address,
    /// Everything else.
    Other,
}

/// What may be asked about values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// `=`, `<>`, `IN`, with literals.
    Equality,
    /// `<`, `<=`, `>`, `>=`, `BETWEEN`, with literals.
    Order,
    /// `IS NULL`, `IS NOT NULL`. A zero date is NULL: rendering sees to that.
    Null,
    /// The comparison of two columns, both of one family.
    Columns,
    /// GROUP BY, DISTINCT and `count(DISTINCT …)`: equal values look alike.
    Groups,
    /// ORDER BY.
    Sorts,
    /// `min` and `max`.
    Extremes,
    /// `sum` and `avg`.
    Sums,
    /// LIKE with a literal pattern.
    Like,
    /// `+`, `-`, `*`, and casts that lose no digits.
    Numbers,
    /// CASE, `coalesce`, `nullif`.
    Choices,
    /// `abs`.
    Magnitudes,
    /// `/` and `%` of signed whole numbers.
    Divisions,
    /// `/` of decimals.
    Ratios,
    /// `extract`, `date_part`: of a TIME the hour, the minute, the second and all seconds.
    Parts,
    /// `date_trunc`, and casts between dates and moments.
    Truncations,
    /// `substring`, `left` and `right` with literal places.
    Substrings,
    /// `upper` and `lower`.
    Cases,
    /// `char_length` and `octet_length`.
    Lengths,
}

/// Everything that is pushed down, by the type of the value.
const WHITELIST: &[(Family, &[Operation])] = &[
    (
        Family::Exact,
        &[
            Equality, Order, Null, Columns, Groups, Sorts, Extremes, Sums, Numbers, Choices, Magnitudes,
            Divisions, Ratios,
        ],
    ),
    // A decimal fraction has no exact FLOAT: what equals it depends on who rounds.
    (Family::Float, &[Order, Null, Sorts]),
    // Zero is not compared (see `literals`): the server takes -0 and 0 for equal, Arrow does not. So groups and extremes
    // of doubles are told here.
    (Family::Double, &[Equality, Order, Null, Sorts, Sums, Choices]),
    // Only with four-digit years in range (see `literals`): the server reads 24 as 2024.
    (Family::Year, &[Equality, Order, Null, Groups, Sorts, Extremes]),
    (Family::Date, &[Equality, Order, Null, Groups, Sorts, Extremes, Choices, Parts, Truncations]),
    (Family::DateTime, &[Equality, Order, Null, Groups, Sorts, Extremes, Choices, Parts, Truncations]),
    (Family::Timestamp, &[Equality, Order, Null, Groups, Sorts, Extremes, Choices, Parts, Truncations]),
    (Family::Time, &[Equality, Order, Null, Groups, Sorts, Extremes, Choices, Parts]),
    // Not of ordered and grouped texts that are longer than a server looks at (see `texts`).
    (
        Family::Text,
        &[Equality, Order, Null, Columns, Groups, Sorts, Extremes, Like, Substrings, Cases, Lengths],
    ),
    // Sorted as declared. Not grouped where an empty value is declared: the error value looks like it.
    (Family::Enum, &[Equality, Null, Groups, Sorts]),
    (Family::Set, &[Null, Sorts]),
    (Family::Address, &[Equality, Null, Columns, Groups]),
    (Family::Other, &[Null]),
];

/// What may be asked of a source, operation by operation.
pub fn whitelist() -> impl Iterator<Item = (Family, Operation)> {
    WHITELIST.iter().flat_map(|(family, operations)| operations.iter().map(|operation| (*family, *operation)))
}

impl Family {
    /// Whether `operation` may be asked about it.
    pub(super) fn allows(self, operation: Operation) -> bool {
        whitelist().any(|entry| entry == (self, operation))
    }

    /// That of values of `column_type` that are compared as they are; `None` for what is compared by keys or not at all.
    pub(super) fn of(column_type: &ColumnType) -> Option<Self> {
        match column_type {
            ColumnType::TinyInt { .. }
            | ColumnType::SmallInt { .. }
            | ColumnType::MediumInt { .. }
            | ColumnType::Int { .. }
            | ColumnType::BigInt { .. }
            | ColumnType::Decimal { .. } => Some(Self::Exact),
            ColumnType::Float => Some(Self::Float),
            ColumnType::Double => Some(Self::Double),
            ColumnType::Year => Some(Self::Year),
            ColumnType::Date => Some(Self::Date),
            ColumnType::DateTime { .. } => Some(Self::DateTime),
            ColumnType::Timestamp { .. } => Some(Self::Timestamp),
            ColumnType::Time { .. } => Some(Self::Time),
            _ => None,
        }
    }

    /// That of a column of `column_type`.
    pub(super) fn of_column(column_type: &ColumnType) -> Self {
        if let Some(family) = Self::of(column_type) {
            return family;
        }
        match column_type {
            ColumnType::Text { .. } | ColumnType::Json { .. } => Self::Text,
            ColumnType::Enum { .. } => Self::Enum,
            ColumnType::Set { .. } => Self::Set,
            ColumnType::Uuid | ColumnType::Inet4 | ColumnType::Inet6 => Self::Address,
            _ => Self::Other,
        }
    }
}
