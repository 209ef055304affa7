//! Turning push-down off, in whole or by kind: for finding faults.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// A kind of operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PushDownKind {
    /// WHERE, HAVING and conditions of joins that concern one side.
    Filter,
    /// Computed columns.
    Projection,
    /// Joins of tables of one source.
    Join,
    /// UNION ALL below what makes fewer rows of it.
    Union,
    /// GROUP BY, DISTINCT and aggregates.
    Aggregate,
    /// ORDER BY with LIMIT.
    Sort,
    /// LIMIT and OFFSET.
    Limit,
    /// Joins across sources that ask one for the rows with keys of the other.
    Bind,
}

impl PushDownKind {
    /// All of them, by name.
    const ALL: [(&'static str, Self); 8] = [
        ("filter", Self::Filter),
        ("projection", Self::Projection),
        ("join", Self::Join),
        ("union", Self::Union),
        ("aggregate", Self::Aggregate),
        ("sort", Self::Sort),
        ("limit", Self::Limit),
        ("bind", Self::Bind),
    ];
}

/// What sources may be asked to compute.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PushDown(BTreeSet<PushDownKind>);

impl Default for PushDown {
    fn default() -> Self {
        Self(PushDownKind::ALL.into_iter().map(|(_, kind)| kind).collect())
    }
}

impl PushDown {
    /// Whether operators of `kind` are.
    pub fn allows(&self, kind: PushDownKind) -> bool {
        self.0.contains(&kind)
    }
}

impl FromStr for PushDown {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().to_ascii_lowercase();
        match text.as_str() {
            "all" | "on" => return Ok(Self::default()),
            "none" | "off" | "" => return Ok(Self(BTreeSet::new())),
            _ => {}
        }
        let kind = |name: &str| {
            let found = PushDownKind::ALL.iter().find(|(known, _)| *known == name.trim());
            found.map(|(_, kind)| *kind).ok_or_else(|| {
                let known: Vec<&str> = PushDownKind::ALL.iter().map(|(known, _)| *known).collect();
                format!("{name:?} is no kind of push-down: expected all, none, or some of {}", known.join(", "))
            })
        };
        text.split(',').map(kind).collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for PushDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() == PushDownKind::ALL.len() {
            return f.write_str("all");
        }
        let names = PushDownKind::ALL.iter().filter(|(_, kind)| self.allows(*kind)).map(|(name, _)| *name);
        let names: Vec<&str> = names.collect();
        f.write_str(if names.is_empty() { "none".to_owned() } else { names.join(",") }.as_str())
    }
}
