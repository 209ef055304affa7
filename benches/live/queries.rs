//! What is asked, from the files beside this one.

/// A question to all of the systems.
#[derive(Debug, Clone)]
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) sql: String,
    /// Columns, from 0 on, in which systems may differ after the fourth digit: averages and quotients.
    pub(super) about: Vec<usize>,
    /// What each service has to give at least, as statements for a server that has all of them.
    pub(super) minimum: Vec<String>,
}

/// The joins over three services.
pub(super) fn joins() -> Vec<Query> {
    parse(include_str!("joins.sql"), "")
}

/// The 22 queries of TPC-H, for data of this scale.
pub(super) fn tpch(scale: f64) -> Vec<Query> {
    // Q11 is the one that depends on it.
    parse(include_str!("tpch.sql"), &format!("{:.10}", 0.0001 / scale))
}

fn parse(text: &'static str, fraction: &str) -> Vec<Query> {
    text.split("-- query: ")
        .skip(1)
        .filter_map(|query| {
            let (head, body) = query.split_once('\n')?;
            let (name, about) = head.split_once(" about: ").unwrap_or((head, ""));
            let mut statements =
                body.split("-- minimum\n").map(|sql| sql.trim().replace("{fraction}", fraction));
            Some(Query {
                name,
                sql: statements.next()?,
                about: about
                    .split_whitespace()
                    .filter_map(|column| Some(column.parse::<usize>().ok()? - 1))
                    .collect(),
                minimum: statements.collect(),
            })
        })
        .collect()
}
