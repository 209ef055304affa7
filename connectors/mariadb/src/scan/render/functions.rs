//! Functions, as MariaDB has them.
//!
//! What begins a unit of time is put together as a text where that takes but one function: MAKEDATE would take the year 99
//! for 1999.

use crossweave_contract::{RemoteExpr, RemoteFunction, Result, TimePart, TimeUnit};

use super::blocks::{Cell, Renderer};
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
            (RemoteFunction::Truncate(unit), 1) => truncated(unit, &args[0]),
            (RemoteFunction::Magnitude, 1) => listed("ABS"),
            (RemoteFunction::Quotient, 2) => between(" DIV "),
            (RemoteFunction::Remainder, 2) => between(" % "),
            (RemoteFunction::Substring, 2 | 3) => listed("SUBSTRING"),
            (RemoteFunction::Ending, 2) => listed("RIGHT"),
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
    let format = match unit {
        TimeUnit::Year => "%Y-01-01",
        TimeUnit::Month | TimeUnit::Quarter => "%Y-%m-01",
        TimeUnit::Hour => "%Y-%m-%d %H:00:00",
        TimeUnit::Minute => "%Y-%m-%d %H:%i:00",
        TimeUnit::Second => "%Y-%m-%d %H:%i:%s",
        TimeUnit::Day => return Sql::around("CAST(CAST(", moment, " AS DATE) AS DATETIME)"),
        TimeUnit::Week => {
            let mut sql = Sql::around("CAST(CAST(", moment, " AS DATE) - INTERVAL WEEKDAY(");
            sql.add(moment);
            sql.push(") DAY AS DATETIME)");
            return sql;
        }
    };
    let mut sql = Sql::around("CAST(DATE_FORMAT(", moment, &format!(", '{format}') AS DATETIME)"));
    if unit == TimeUnit::Quarter {
        let months = Sql::around(" - INTERVAL (MONTH(", moment, ") - 1) % 3 MONTH)");
        sql = Sql::around("(", &sql, "");
        sql.add(&months);
    }
    sql
}
