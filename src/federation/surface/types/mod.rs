//! Which type values have where they meet, and how one is made another.
//!
//! `coercions` for operands, `choices` for what functions choose among, `agreed` for the columns of a union; `conversions` for casts;
//! `spelling` for what becomes a text.

pub(super) mod agreed;
pub(super) mod choices;
pub(super) mod coercions;
pub(super) mod conversions;
pub(super) mod spelling;
