//! Functions that a source may compute of values.
//!
//! Each is NULL where one of its arguments is. A date or moment is a DATE, DATETIME or TIMESTAMP, the latter in UTC.

/// A function, which says what its arguments are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RemoteFunction {
    /// Of a date or moment: a part of it, as a whole number.
    Part(TimePart),
    /// Of a TIME: its hours, all of them, the minutes of the hour or the seconds of the minute, as a whole number with the
    /// sign of the TIME.
    PartOfTime(TimePart),
    /// Of a date or moment: the seconds since 1970 began, as a DOUBLE.
    Epoch,
    /// Of a TIME: its seconds, all of them, as a DOUBLE.
    Seconds,
    /// Of a date or moment: the moment at which the unit that it is in began.
    Truncate(TimeUnit),
    /// Of a number: that without its sign.
    Magnitude,
    /// Of two whole numbers: the quotient, without what is after its point. NULL by 0.
    Quotient,
    /// Of two whole numbers: what is left of the first, with its sign. NULL by 0.
    Remainder,
    /// Of two decimals: the quotient, with at least [`AVERAGE_PLACES`](crate::AVERAGE_PLACES) more places than the first. NULL
    /// by 0.
    Ratio,
    /// Of a text, a number from 1 on and, where there is a third argument, one from 0 on: the characters from that
    /// place on, as many at most.
    Substring,
    /// Of a text and a number from 0 on: as many characters at its end.
    Ending,
    /// Of a text of the character set `ascii`: its letters as capitals.
    Upper,
    /// Of a text of the character set `ascii`: its letters as small ones.
    Lower,
    /// Of a text: how many characters it has.
    Characters,
    /// Of a text: how many bytes it has in its character set.
    Bytes,
}

/// A part of a date or moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimePart {
    /// The year.
    Year,
    /// The year that the ISO week belongs to.
    IsoYear,
    /// 1 to 4.
    Quarter,
    /// 1 to 12.
    Month,
    /// The ISO week: 1 to 53.
    Week,
    /// The day of the month.
    Day,
    /// The day of the year.
    DayOfYear,
    /// The day of the week, from Sunday, which is 0.
    DayOfWeek,
    /// The day of the week, from Monday, which is 1.
    IsoDayOfWeek,
    /// 0 to 23.
    Hour,
    /// 0 to 59.
    Minute,
    /// 0 to 59, without what is after the point.
    Second,
}

/// A unit of time that has a beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants say it")]
pub enum TimeUnit {
    Year,
    Quarter,
    Month,
    /// From Monday on.
    Week,
    Day,
    Hour,
    Minute,
    Second,
}
