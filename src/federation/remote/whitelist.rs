//! What may be asked of a source about values of which types.
//!
//! An entry says that a source computes the same as is computed here, over all hard values: tests on a real server show
//! it. Text is told apart by its collation: see `texts`.

use crossweave_contract::ColumnType;

/// Types that are compared alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// Integers and decimals: compared as exact numbers, also with each other.
    Exact,
    Float,
    Double,
    Year,
    Date,
    DateTime,
    Timestamp,
    Time,
}

/// What may be asked of a source about values of one family.
pub(super) struct Allowed {
    family: Family,
    /// `=`, `<>`, `IN`.
    pub(super) equality: bool,
    /// `<`, `<=`, `>`, `>=`, `BETWEEN`.
    pub(super) order: bool,
    /// `IS NULL`, `IS NOT NULL`. A zero date is NULL: rendering sees to that.
    pub(super) null: bool,
    /// The comparison of two columns, both of this family.
    pub(super) columns: bool,
    /// GROUP BY, DISTINCT and `count(DISTINCT …)`: equal values look alike.
    pub(super) groups: bool,
    /// ORDER BY.
    pub(super) sorts: bool,
    /// `min` and `max`.
    pub(super) extremes: bool,
    /// `sum` and `avg`.
    pub(super) sums: bool,
}

/// Everything that is pushed down, by the type of the value.
const WHITELIST: &[Allowed] = &[
    Allowed {
        family: Family::Exact,
        equality: true,
        order: true,
        null: true,
        columns: true,
        groups: true,
        sorts: true,
        extremes: true,
        sums: true,
    },
    // A decimal fraction has no exact FLOAT: what equals it depends on who rounds.
    Allowed { sorts: true, ..nothing_but_order(Family::Float) },
    // Zero is not compared (see `literals`): the server takes -0 and 0 for equal, Arrow does not. So groups and extremes
    // of doubles are told here.
    Allowed { equality: true, sorts: true, sums: true, ..nothing_but_order(Family::Double) },
    // Only with four-digit years in range (see `literals`): the server reads 24 as 2024.
    Allowed { equality: true, groups: true, sorts: true, extremes: true, ..nothing_but_order(Family::Year) },
    Allowed { equality: true, groups: true, sorts: true, extremes: true, ..nothing_but_order(Family::Date) },
    Allowed {
        equality: true,
        groups: true,
        sorts: true,
        extremes: true,
        ..nothing_but_order(Family::DateTime)
    },
    Allowed {
        equality: true,
        groups: true,
        sorts: true,
        extremes: true,
        ..nothing_but_order(Family::Timestamp)
    },
    Allowed { equality: true, groups: true, sorts: true, extremes: true, ..nothing_but_order(Family::Time) },
];

/// Compared by `<` with literals, and found to be NULL.
const fn nothing_but_order(family: Family) -> Allowed {
    Allowed {
        family,
        equality: false,
        order: true,
        null: true,
        columns: false,
        groups: false,
        sorts: false,
        extremes: false,
        sums: false,
    }
}

impl Family {
    /// What may be asked about it.
    pub(super) fn allowed(self) -> Option<&'static Allowed> {
        WHITELIST.iter().find(|allowed| allowed.family == self)
    }

    /// That of values of `column_type`.
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
}
