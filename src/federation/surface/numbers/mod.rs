//! Numbers as MariaDB computes, compares and rounds them.
//!
//! An operator is marked while a query is read (`operation`), and computed by `arithmetic` when types are known: in BIGINT, in
//! doubles (`doubles`), or in decimals as wide as the result may be (`decimals`), by divisors that are not 0 (`divisor`), with
//! quotients (`quotient`) that have more digits within an expression than are shown (`finer`). `whole` and `exact` are for casts,
//! `math` for functions, `sums` and `totals` for sums and averages, `ranks` for numbers of rows; `zeros` makes one of 0 and -0.

pub(super) mod arithmetic;
pub(super) mod carried;
pub(super) mod decimals;
#[cfg(test)]
mod decimals_tests;
pub(super) mod divisor;
pub(super) mod doubles;
pub(super) mod exact;
pub(super) mod finer;
pub(super) mod math;
pub(super) mod operation;
pub(super) mod quotient;
pub(super) mod ranks;
pub(super) mod sums;
pub(super) mod totals;
pub(super) mod whole;
pub(super) mod zeros;
