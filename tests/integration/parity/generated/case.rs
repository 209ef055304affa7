//! A statement with what is needed to judge its answers: made from a query, or read from `regressions.sql`.
//!
//! There each case is two lines of SQL, for Crossweave and for the one MariaDB (`-` where that has nothing that means
//! the same), under comments: why it is there, and `-- columns:` with the type of each column. `loose` texts stand for
//! those that their collation holds equal; `-- rows:` says `ordered` and `limited` where they are.

use super::ast::{Output, Query, Type};
use super::data::{BIN, BIN_NOPAD, GENERAL, GENERAL_NOPAD, LATIN, UNICODE, UNICODE_NOPAD};
use super::render;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Case {
    pub(super) ours: String,
    pub(super) theirs: Option<String>,
    pub(super) outputs: Vec<Output>,
    pub(super) ordered: bool,
    pub(super) limited: bool,
}

const TYPES: &[(&str, Type)] = &[
    ("bool", Type::Bool),
    ("int", Type::Int),
    ("big", Type::Big),
    ("year", Type::Year),
    ("dec", Type::Dec),
    ("wide", Type::Wide),
    ("quotient", Type::Quotient),
    ("single", Type::Single),
    ("double", Type::Double),
    ("inexact", Type::Inexact),
    ("enum", Type::Enum),
    ("set", Type::Set),
    ("shown", Type::Shown),
    ("uuid", Type::Uuid),
    ("inet6", Type::Inet6),
    ("json", Type::Json),
    ("bytes", Type::Bytes),
    ("date", Type::Date),
    ("moment", Type::Moment),
    ("stamp", Type::Stamp),
    ("time", Type::Time),
    (GENERAL, Type::Text(GENERAL)),
    (UNICODE, Type::Text(UNICODE)),
    (BIN, Type::Text(BIN)),
    (GENERAL_NOPAD, Type::Text(GENERAL_NOPAD)),
    (UNICODE_NOPAD, Type::Text(UNICODE_NOPAD)),
    (BIN_NOPAD, Type::Text(BIN_NOPAD)),
    (LATIN, Type::Text(LATIN)),
];

impl Case {
    pub(super) fn of(query: &Query) -> Self {
        Self {
            ours: render::ours(query),
            theirs: render::theirs(query),
            outputs: query.outputs(),
            ordered: !query.order.is_empty(),
            limited: query.limit.is_some() || query.offset.is_some(),
        }
    }

    /// All cases of a file.
    pub(super) fn read(text: &str) -> Vec<Self> {
        let mut cases = Vec::new();
        let (mut outputs, mut rows, mut ours) = (Vec::new(), "", None);
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(columns) = line.strip_prefix("-- columns:") {
                outputs = columns.split(',').map(|column| output(column.trim())).collect();
            } else if let Some(said) = line.strip_prefix("-- rows:") {
                rows = said;
            } else if line.starts_with("--") {
            } else {
                let sql = line.trim_end_matches(';').to_owned();
                let Some(ours) = ours.take() else {
                    ours = Some(sql);
                    continue;
                };
                assert!(!outputs.is_empty(), "{ours} has no `-- columns:`");
                let (ordered, limited) = (rows.contains("ordered"), rows.contains("limited"));
                let theirs = Some(sql).filter(|sql| sql != "-");
                cases.push(Self { ours, theirs, outputs: std::mem::take(&mut outputs), ordered, limited });
                rows = "";
            }
        }
        assert_eq!(ours, None, "a statement of a case is missing: each has two lines");
        cases
    }
}

fn output(text: &str) -> Output {
    let (name, loose) = match text.strip_suffix(" loose") {
        Some(name) => (name, true),
        None => (text, false),
    };
    let found = TYPES.iter().find(|(known, _)| *known == name);
    Output { ty: found.unwrap_or_else(|| panic!("{name} is no type of a column")).1, loose }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let column = |output: &Output| {
            let name = TYPES.iter().find(|(_, ty)| *ty == output.ty).expect("every type has a name").0;
            if output.loose && output.ty.is_text() { format!("{name} loose") } else { name.to_owned() }
        };
        let columns: Vec<_> = self.outputs.iter().map(column).collect();
        writeln!(f, "-- columns: {}", columns.join(", "))?;
        match (self.ordered, self.limited) {
            (false, _) => {}
            (true, false) => writeln!(f, "-- rows: ordered")?,
            (true, true) => writeln!(f, "-- rows: ordered limited")?,
        }
        writeln!(f, "{};", self.ours)?;
        write!(f, "{};", self.theirs.as_deref().unwrap_or("-"))
    }
}

#[test]
fn a_case_reads_back_as_it_is_written() {
    for seed in 0..500 {
        let case = Case::of(&super::generate::query(seed));
        let read = Case::read(&case.to_string());
        assert_eq!(read.len(), 1, "{case}");
        let shown = |case: &Case| case.to_string();
        assert_eq!(shown(&read[0]), shown(&case));
    }
}
