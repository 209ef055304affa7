//! How many rows a statement examines, as the server's EXPLAIN has it.
//!
//! A join is a nested loop: for each row that passes the tables before it, a table is read as often as it says. Selects
//! that depend on the one around them are run for each of its rows.
//!
//! What other selects gave is kept by the server in a table of its own (`<derived3>`): its rows were examined once for that,
//! and reading them once more counts nothing. Each further time counts like that of any table. Of an index that the server
//! makes on it EXPLAIN has a guess only, the same whatever is in it (10 rows, or a tenth of all): a lookup there counts as
//! one row.

use super::ahead::LARGE;

/// One line of EXPLAIN EXTENDED.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Step {
    /// The number of its select.
    pub(super) select: String,
    pub(super) select_type: String,
    pub(super) table: String,
    /// How the table is read: `ALL`, `ref`, `const`.
    pub(super) access: String,
    pub(super) key: Option<String>,
    /// Rows that are read each time; `None` where nothing is.
    pub(super) rows: Option<f64>,
    /// Percent of them that pass.
    pub(super) filtered: f64,
    /// Rows are kept until all are there, to be sorted or grouped.
    pub(super) waits: bool,
    /// The index has all that is read.
    pub(super) covered: bool,
}

impl Step {
    fn is_in_order(&self) -> bool {
        match self.access.as_str() {
            "ALL" => true,
            // Another index may have all that is asked for, and be far smaller than the table.
            "index" | "range" => self.key.as_deref() == Some("PRIMARY"),
            _ => false,
        }
    }

    /// How many rows are examined where it is read `times`. The selects `laterals` are run anew for each of them.
    fn examined(&self, times: f64, laterals: &[&str]) -> f64 {
        let rows = self.rows.unwrap_or(0.0);
        if !self.is_kept() {
            return times * rows;
        }
        let derived = self.table.strip_prefix("<derived").and_then(|rest| rest.strip_suffix('>'));
        match (derived, self.access.as_str()) {
            // Filled for each row, and that is counted.
            (Some(number), _) if laterals.contains(&number) => 0.0,
            (_, "ALL") => (times - 1.0).max(0.0) * rows,
            (Some(_), _) => times * rows.min(1.0),
            // A value is looked for among those of a subquery.
            (None, _) => 0.0,
        }
    }

    /// Whether it reads what other selects gave.
    fn is_kept(&self) -> bool {
        self.table.starts_with('<')
    }

    /// Whether all of a large table is read in the order of an index that leads from row to row of it.
    fn leaps(&self) -> bool {
        let many = self.rows.is_some_and(|rows| rows >= LARGE as f64);
        many && self.access == "index" && self.key.as_deref() != Some("PRIMARY") && !self.covered
    }
}

/// What one statement examines.
#[derive(Debug)]
pub(super) struct Estimate {
    /// For the outermost select.
    outer: f64,
    /// Rows that it gives if nothing ends it early.
    given: f64,
    /// For all others.
    others: f64,
    single_rows: bool,
    /// One table is read, row after row.
    in_order: bool,
    /// The outermost select gives its first row after it has read all.
    waits: bool,
    leaps: bool,
    /// The least number of rows of an index that a select reads from its beginning.
    from_beginning: Option<f64>,
    /// Where most is examined.
    largest: Option<(f64, Step)>,
}

impl Estimate {
    /// Of the lines of EXPLAIN, in their order.
    pub(super) fn of(steps: &[Step]) -> Self {
        // A table with one row (`system`) may have more soon.
        let single = |step: &Step| matches!(step.access.as_str(), "const" | "eq_ref");
        let outermost = steps.first().map(|step| step.select.as_str()).unwrap_or_default();
        let mut found = Self {
            outer: 0.0,
            given: 1.0,
            others: 0.0,
            waits: steps.iter().any(|step| step.select == outermost && step.waits),
            in_order: matches!(steps, [step] if step.is_in_order()),
            single_rows: !steps.is_empty() && steps.iter().all(single),
            leaps: steps.iter().any(Step::leaps),
            from_beginning: None,
            largest: None,
        };
        let of_index = steps.iter().filter(|step| step.access == "index" && !step.is_kept());
        found.from_beginning = of_index.filter_map(|step| step.rows).reduce(f64::min);
        let lateral = |step: &&Step| step.select_type.starts_with("LATERAL");
        let laterals: Vec<&str> = steps.iter().filter(lateral).map(|step| step.select.as_str()).collect();
        let mut at: Option<&str> = None;
        let (mut passing, mut times) = (1.0, 1.0);
        for step in steps {
            if at != Some(step.select.as_str()) {
                let dependent = ["DEPENDENT", "UNCACHEABLE", "LATERAL"];
                let is_dependent = dependent.iter().any(|word| step.select_type.starts_with(word));
                times = if is_dependent { found.given.max(1.0) } else { 1.0 };
                passing = 1.0;
                at = Some(&step.select);
            }
            let rows = step.rows.unwrap_or(0.0);
            let examined = step.examined(times * passing, &laterals);
            passing *= rows * step.filtered / 100.0;
            if step.select == outermost {
                found.outer += examined;
                found.given = passing;
            } else {
                found.others += examined;
            }
            if found.largest.as_ref().is_none_or(|(largest, _)| examined > *largest) {
                found.largest = Some((examined, step.clone()));
            }
        }
        found
    }

    /// Of a statement that was found to look up single rows.
    pub(super) fn of_single_row() -> Self {
        Self {
            outer: 1.0,
            given: 1.0,
            others: 0.0,
            single_rows: true,
            in_order: false,
            waits: false,
            leaps: false,
            from_beginning: None,
            largest: None,
        }
    }

    /// Whether a large table is read in the order of an index, each row of it from another place: reading it in its own order
    /// is many times as fast.
    pub(super) fn leaps(&self) -> bool {
        self.leaps
    }

    /// Whether each table is read by a whole unique key: whatever its values, one row is examined each time.
    pub(super) fn is_of_single_rows(&self) -> bool {
        self.single_rows
    }

    /// Whether one table is read, row after row: all of it, or from one of its primary keys to another.
    pub(super) fn is_of_one_table_in_order(&self) -> bool {
        self.in_order
    }

    /// How many rows are examined for the first `limit` rows, if there is one.
    pub(super) fn rows(&self, limit: Option<u64>) -> f64 {
        let part = match limit {
            Some(limit) if !self.waits && self.given > limit as f64 => limit as f64 / self.given,
            _ => 1.0,
        };
        self.outer * part + self.others
    }

    /// Whether rows come one after the other, and not when all have been read.
    pub(super) fn is_gradual(&self) -> bool {
        !self.waits
    }

    /// Whether what it says of an index is cut off by a limit of the statement's, where `all` are the rows of its tables, each with each of the
    /// others: to have rows in order, an index is read from its beginning until there are enough. EXPLAIN has as many as it
    /// guesses that to be, though all may have to be read.
    pub(super) fn is_cut(&self, all: Option<u64>) -> bool {
        self.from_beginning.is_some_and(|rows| all.is_none_or(|all| rows < all as f64 / 2.0))
    }

    /// How many rows it gives, `limit` at most.
    pub(super) fn given(&self, limit: Option<u64>) -> f64 {
        limit.map_or(self.given, |limit| self.given.min(limit as f64))
    }

    /// Which table of the statement `sql` is read how, where most is examined.
    pub(super) fn most_of_it(&self, sql: &str) -> String {
        let Some((rows, step)) = &self.largest else { return "no table is read".to_owned() };
        let key = step.key.as_deref().unwrap_or_default();
        let how = match step.access.as_str() {
            "ALL" => "is read whole, without an index".to_owned(),
            "index" => format!("is read whole, in the order of index {key}"),
            "range" => format!("is read in a range of index {key}"),
            "ref" | "ref_or_null" | "fulltext" => format!("is read by many rows of one value of index {key}"),
            _ => "is read by its keys".to_owned(),
        };
        if step.is_kept() {
            return format!("what a subquery gives {how}, once for each row of others ({rows:.0} rows)");
        }
        format!("table {} {how} ({rows:.0} rows)", table_of(sql, &step.table))
    }
}

/// The table that is called `alias` in `sql`, by its own name; `alias` where it is none.
fn table_of<'s>(sql: &'s str, alias: &'s str) -> &'s str {
    let marked = format!("` AS {alias} ");
    let end = sql.find(&marked).or_else(|| sql.strip_suffix(marked.trim_end()).map(str::len));
    let named = end.map(|end| &sql[..end]);
    // No name that is told has a backtick in it, which would be doubled.
    named.and_then(|named| named.rsplit_once('`')).map_or(alias, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(select: &str, select_type: &str, access: &str, rows: f64, filtered: f64) -> Step {
        Step {
            select: select.to_owned(),
            select_type: select_type.to_owned(),
            table: "t".to_owned(),
            access: access.to_owned(),
            key: Some("k".to_owned()),
            rows: Some(rows),
            filtered,
            waits: false,
            covered: false,
        }
    }

    #[test]
    fn multiplies_joins_by_what_passes_and_adds_selects() {
        let join = [step("1", "SIMPLE", "ALL", 1000.0, 10.0), step("1", "SIMPLE", "ref", 5.0, 100.0)];
        assert_eq!(Estimate::of(&join).rows(None), 1500.0);
        let derived = [step("1", "PRIMARY", "ALL", 300.0, 100.0), step("2", "DERIVED", "ALL", 200.0, 100.0)];
        assert_eq!(Estimate::of(&derived).rows(None), 500.0);
        let each =
            [step("1", "PRIMARY", "ALL", 300.0, 50.0), step("2", "DEPENDENT SUBQUERY", "ref", 20.0, 100.0)];
        assert_eq!(Estimate::of(&each).rows(None), 300.0 + 150.0 * 20.0);
        let nothing = Step { rows: None, access: String::new(), ..step("1", "SIMPLE", "", 0.0, 100.0) };
        assert_eq!(Estimate::of(&[nothing]).rows(None), 0.0);
    }

    #[test]
    fn a_limit_ends_the_outermost_select_early() {
        let scan = Estimate::of(&[step("1", "SIMPLE", "ALL", 1000.0, 10.0)]);
        assert_eq!((scan.rows(Some(10)), scan.rows(Some(100)), scan.rows(Some(500))), (100.0, 1000.0, 1000.0));
        let derived = [step("1", "PRIMARY", "ALL", 300.0, 100.0), step("2", "DERIVED", "ALL", 200.0, 100.0)];
        assert_eq!(Estimate::of(&derived).rows(Some(3)), 203.0);
        let sorted = Step { waits: true, ..step("1", "SIMPLE", "ALL", 1000.0, 100.0) };
        assert_eq!(Estimate::of(&[sorted]).rows(Some(3)), 1000.0);
    }

    #[test]
    fn says_where_most_is_examined() {
        let join = [step("1", "SIMPLE", "eq_ref", 1.0, 100.0), step("1", "SIMPLE", "ALL", 70.0, 100.0)];
        let estimate = Estimate::of(&join);
        assert_eq!(estimate.most_of_it("SELECT 1"), "table t is read whole, without an index (70 rows)");
        assert_eq!(
            table_of("SELECT t1.`a` FROM `d`.`x` AS t1 JOIN `d`.`y z` AS t2 ON (t1.`a` = ?)", "t2"),
            "y z"
        );
        assert_eq!(table_of("SELECT 1 FROM `d`.`x` AS t1 JOIN `d`.`y` AS t2", "t2"), "y");
        assert!(!estimate.is_of_single_rows());
        assert!(Estimate::of(&join[..1]).is_of_single_rows());
    }

    fn kept(select: &str, select_type: &str, table: &str, access: &str, rows: f64) -> Step {
        Step { table: table.to_owned(), ..step(select, select_type, access, rows, 100.0) }
    }

    #[test]
    fn counts_what_a_subquery_gives_each_time_that_it_is_read_again() {
        let filled = [step("3", "DERIVED", "index", 104_648.0, 100.0), step("4", "UNION", "ALL", 1e5, 100.0)];
        let examined = |first: &[Step]| Estimate::of(&[first, &filled].concat()).rows(None) - 204_648.0;
        let big = step("1", "PRIMARY", "ALL", 1e6, 100.0);
        let dependent = |access| kept("2", "DEPENDENT SUBQUERY", "<derived3>", access, 204_648.0);
        assert_eq!(examined(&[big.clone(), dependent("ALL")]), 1e6 + (1e6 - 1.0) * 204_648.0);
        assert_eq!(examined(&[big.clone(), dependent("ref")]), 1e6 + 1e6);
        // Read once, wherever that is.
        let first = kept("1", "PRIMARY", "<derived3>", "ALL", 204_648.0);
        assert_eq!(examined(std::slice::from_ref(&first)), 0.0);
        let single = step("1", "PRIMARY", "eq_ref", 1.0, 100.0);
        assert_eq!(examined(&[first.clone(), single]), 204_648.0);
        let looked_up = kept("1", "PRIMARY", "<subquery2>", "eq_ref", 1.0);
        let materialized = kept("2", "MATERIALIZED", "<derived3>", "ALL", 204_648.0);
        assert_eq!(examined(&[big.clone(), looked_up, materialized]), 1e6);
        // For each row of another table, and of itself.
        assert_eq!(examined(&[step("1", "PRIMARY", "ALL", 10.0, 50.0), first.clone()]), 10.0 + 4.0 * 204_648.0);
        let twice = Estimate::of(&[[first.clone(), first].as_slice(), &filled].concat());
        assert!(twice.rows(None) > 204_000.0 * 204_000.0, "{twice:?}");
        assert!(
            twice
                .most_of_it("SELECT 1")
                .starts_with("what a subquery gives is read whole, without an index, once")
        );
        let united = Step { rows: None, ..kept("NULL", "UNION RESULT", "<union1,2>", "ALL", 0.0) };
        assert_eq!(examined(&[big, united]), 1e6);
        // Where it is filled anew for each row, that is counted.
        let split = [
            step("1", "PRIMARY", "ALL", 100.0, 100.0),
            kept("1", "PRIMARY", "<derived2>", "ref", 2.0),
            step("2", "LATERAL DERIVED", "ref", 10.0, 100.0),
        ];
        assert_eq!(Estimate::of(&split).rows(None), 100.0 + 200.0 * 10.0);
    }

    #[test]
    fn tells_whether_a_limit_cuts_off_what_it_says() {
        let read = |access: &str, rows: f64| Estimate::of(&[step("1", "SIMPLE", access, rows, 100.0)]);
        // It is a guess that has more rows than the limit, where other conditions are met by another index.
        for rows in [10.0, 20.0, 1e5] {
            assert!(read("index", rows).is_cut(Some(1_000_000)) && read("index", rows).is_cut(None));
        }
        assert!(!read("index", 1e6).is_cut(Some(1_000_000)) && !read("index", 9e5).is_cut(Some(1_000_000)));
        assert!(!read("range", 10.0).is_cut(Some(1_000_000)) && !read("ALL", 10.0).is_cut(None));
    }

    #[test]
    fn tells_an_index_whose_rows_are_all_over_the_table() {
        let read = |access: &str, rows: f64| step("1", "SIMPLE", access, rows, 100.0);
        assert!(Estimate::of(&[read("index", 1e6)]).leaps());
        for step in [
            read("ALL", 1e6),
            read("index", 1e3),
            Step { covered: true, ..read("index", 1e6) },
            Step { key: Some("PRIMARY".to_owned()), ..read("index", 1e6) },
        ] {
            assert!(!Estimate::of(std::slice::from_ref(&step)).leaps(), "{step:?}");
        }
    }
}
