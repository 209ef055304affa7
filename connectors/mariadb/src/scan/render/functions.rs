//! Functions, as MariaDB has them.
//!
//! Each argument is written once: of one that is written twice, nested calls would make a statement without end. And
//! years are never written as numbers: MAKEDATE takes 99 for 1999.

use crossweave_contract::{RemoteExpr, RemoteFunction, Result, TimePart, TimeUnit};

use super::blocks::Renderer;
use super::cells::Cell;
use super::sql::Sql;

impl Renderer<'_> {
    /// What `function` makes of `args`.
    pub(super) fn call(&self, function: RemoteFunction, args: &[RemoteExpr], cells: &[Cell]) -> Result<Sql> {
        let args = args.iter().map(|arg| self.value(arg, cells)).collect::<Result<Vec<_>>>()?;
        let around = |before: &str, after: &str| Sql::around(before, &args[0], after);
        let listed = |name: &str| {
            let mut list = Sql::default();
            list.add_all(&args, ", ");
            Sql::around(&format!("{name}("), &list, ")")
        };
        let between = |operator: &str| {
            let mut both = Sql::default();
            both.add_all(&args, operator);
            Sql::around("(", &both, ")")
        };
        Ok(match (function, args.len()) {
            (RemoteFunction::Part(part), 1) => {
                let (before, after) = part_of(part);
                around(before, after)
            }
            (RemoteFunction::PartOfTime(TimePart::Hour), 1) => around("(TIME_TO_SEC(", ") DIV 3600)"),
            // Those have no sign: MINUTE and SECOND.
            (RemoteFunction::PartOfTime(TimePart::Minute), 1) => around("EXTRACT(MINUTE FROM ", ")"),
            (RemoteFunction::PartOfTime(TimePart::Second), 1) => around("EXTRACT(SECOND FROM ", ")"),
            (RemoteFunction::Epoch, 1) => around("(TIMESTAMPDIFF(MICROSECOND, DATE'1970-01-01', ", ") / 1e6)"),
            (RemoteFunction::Seconds, 1) => around("(TIME_TO_SEC(", ") + 0e0)"),
            (RemoteFunction::Truncate(unit), 1) => truncated(unit, &args[0]),
            (RemoteFunction::Magnitude, 1) => listed("ABS"),
            (RemoteFunction::Quotient, 2) => between(" DIV "),
            (RemoteFunction::Ratio, 2) => between(" / "),
            (RemoteFunction::Remainder, 2) => between(" % "),
            (RemoteFunction::Substring, 2 | 3) => listed("SUBSTRING"),
            (RemoteFunction::Ending, 2) => listed("RIGHT"),
            (RemoteFunction::Upper, 1) => listed("UPPER"),
            (RemoteFunction::Lower, 1) => listed("LOWER"),
            (RemoteFunction::Characters, 1) => listed("CHAR_LENGTH"),
            (RemoteFunction::Bytes, 1) => listed("LENGTH"),
            (function, count) => return Err(self.bug(&format!("{function:?} of {count} values"))),
        })
    }
}

/// What stands before and after a date or moment for a part of it. Week 3 is the ISO one.
fn part_of(part: TimePart) -> (&'static str, &'static str) {
    match part {
        TimePart::Year => ("YEAR(", ")"),
        TimePart::IsoYear => ("(YEARWEEK(", ", 3) DIV 100)"),
        TimePart::Quarter => ("QUARTER(", ")"),
        TimePart::Month => ("MONTH(", ")"),
        TimePart::Week => ("WEEK(", ", 3)"),
        TimePart::Day => ("DAYOFMONTH(", ")"),
        TimePart::DayOfYear => ("DAYOFYEAR(", ")"),
        TimePart::DayOfWeek => ("(DAYOFWEEK(", ") - 1)"),
        TimePart::IsoDayOfWeek => ("(WEEKDAY(", ") + 1)"),
        TimePart::Hour => ("HOUR(", ")"),
        TimePart::Minute => ("MINUTE(", ")"),
        TimePart::Second => ("SECOND(", ")"),
    }
}

/// When the `unit` began that `moment` is in.
fn truncated(unit: TimeUnit, moment: &Sql) -> Sql {
    let (before, after) = match unit {
        TimeUnit::Year => ("DATE_FORMAT(", ", '%Y-01-01')"),
        TimeUnit::Quarter => {
            ("TIMESTAMPADD(QUARTER, TIMESTAMPDIFF(QUARTER, DATE'0001-01-01', ", "), DATE'0001-01-01')")
        }
        TimeUnit::Month => ("DATE_FORMAT(", ", '%Y-%m-01')"),
        // Day 2 is a Monday.
        TimeUnit::Week => ("FROM_DAYS((TO_DAYS(", ") - 2) DIV 7 * 7 + 2)"),
        TimeUnit::Day => ("CAST(", " AS DATE)"),
        TimeUnit::Hour => ("DATE_FORMAT(", ", '%Y-%m-%d %H:00:00')"),
        TimeUnit::Minute => ("DATE_FORMAT(", ", '%Y-%m-%d %H:%i:00')"),
        TimeUnit::Second => ("DATE_FORMAT(", ", '%Y-%m-%d %H:%i:%s')"),
    };
    Sql::around(&format!("CAST({before}"), moment, &format!("{after} AS DATETIME)"))
}
