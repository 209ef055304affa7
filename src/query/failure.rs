//! What DataFusion reports, as the query's own error: who can act, in readable words.

use crossweave_contract::ConnectorError;
use datafusion::arrow::error::ArrowError;
use datafusion::common::{DataFusionError, SchemaError};

use super::wording::{memory_is_short, plainly, reworded};
use super::{QueryError, QueryErrorKind, Reason};
use crate::catalog::nearest;

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        from_datafusion(&error)
    }
}

fn from_datafusion(error: &DataFusionError) -> QueryError {
    use QueryErrorKind::*;
    match error {
        DataFusionError::External(inner) => from_external(inner.as_ref()),
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => from_datafusion(inner),
        DataFusionError::Shared(inner) => from_datafusion(inner),
        DataFusionError::Collection(errors) => match errors.first() {
            Some(first) => from_datafusion(first),
            None => QueryError::new(Internal, "an empty list of errors"),
        },
        DataFusionError::ArrowError(inner, _) => from_arrow(inner),
        DataFusionError::SQL(parser, _) => QueryError::new(Syntax, parser.to_string()),
        DataFusionError::SchemaError(inner, _) => from_schema(inner),
        DataFusionError::NotImplemented(text) | DataFusionError::Plan(text) if is_misplaced_subquery(text) => {
            misplaced_subquery()
        }
        DataFusionError::NotImplemented(text) | DataFusionError::Plan(text)
            if let Some(told) = misplaced_function(text) =>
        {
            told
        }
        DataFusionError::NotImplemented(text)
        | DataFusionError::Plan(text)
        | DataFusionError::Internal(text)
        | DataFusionError::Execution(text)
            if let Some(told) = reworded(text) =>
        {
            told
        }
        DataFusionError::NotImplemented(text) => QueryError::new(Unsupported, clean(text)),
        DataFusionError::Plan(text) | DataFusionError::Execution(text) => QueryError::new(Invalid, clean(text)),
        DataFusionError::ResourcesExhausted(text) => QueryError::new(Limit, memory_is_short(text))
            .with_hint("The query needs more memory than the server lends: narrow it, or raise queries.memory in the config"),
        DataFusionError::IoError(inner) => from_io(&inner.to_string()),
        DataFusionError::ExecutionJoin(inner) if inner.is_cancelled() => {
            QueryError::new(Cancelled, "the query was cancelled")
        }
        DataFusionError::Configuration(text) => QueryError::new(Invalid, clean(text)),
        other => QueryError::new(Internal, clean(&other.to_string())),
    }
}

fn from_external(error: &(dyn std::error::Error + Send + Sync + 'static)) -> QueryError {
    if let Some(connector) = error.downcast_ref::<ConnectorError>() {
        return connector.clone().into();
    }
    if let Some(query) = error.downcast_ref::<QueryError>() {
        return query.clone();
    }
    match error.downcast_ref::<DataFusionError>() {
        Some(inner) => from_datafusion(inner),
        None => {
            let text = error.to_string();
            // What a pattern is read with has no error of its own here.
            let kind = match text.contains("regex parse error") {
                true => QueryErrorKind::Invalid,
                false => QueryErrorKind::Internal,
            };
            QueryError::new(kind, clean(&text))
        }
    }
}

fn from_arrow(error: &ArrowError) -> QueryError {
    use QueryErrorKind::*;
    match error {
        ArrowError::ExternalError(inner) => from_external(inner.as_ref()),
        ArrowError::IoError(text, _) => from_io(text),
        ArrowError::MemoryError(text) => QueryError::new(Limit, clean(text)),
        ArrowError::DivideByZero => {
            QueryError::new(Invalid, "division by zero").because(Reason::DivisionByZero)
        }
        ArrowError::ArithmeticOverflow(text) => {
            let text = match text.strip_prefix("Overflow happened on: ") {
                Some(operation) => format!("a number is out of range: {operation} has no room for its digits"),
                None => clean(text),
            };
            QueryError::new(Invalid, text).because(Reason::OutOfRange)
        }
        ArrowError::CastError(text) | ArrowError::ParseError(text) => {
            QueryError::new(Invalid, clean(text)).because(Reason::Value)
        }
        ArrowError::ComputeError(text) | ArrowError::InvalidArgumentError(text) => {
            QueryError::new(Invalid, clean(text))
        }
        ArrowError::NotYetImplemented(text) => QueryError::new(Unsupported, clean(text)),
        other => QueryError::new(Internal, clean(&other.to_string())),
    }
}

/// Of files that rows are kept in.
fn from_io(text: &str) -> QueryError {
    if text.contains("max_temp_directory_size") {
        let message =
            "the files that queries keep rows in have no room for more: 100 GB are the most for all together";
        return QueryError::new(QueryErrorKind::Limit, message).with_hint("Ask again later, or for less");
    }
    QueryError::new(QueryErrorKind::Internal, format!("rows could not be kept on disk: {text}"))
}

/// Whether nobody has written `name`: rewriting and DataFusion call so what they make of subqueries.
fn is_made_up(name: &str) -> bool {
    ["__rows", "__correlated", "__scalar_sq", "__always_true", "__aggregated_"]
        .iter()
        .any(|start| name.starts_with(start))
}

fn from_schema(error: &SchemaError) -> QueryError {
    let name = match error {
        SchemaError::FieldNotFound { field, .. } | SchemaError::AmbiguousReference { field } => {
            field.flat_name()
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            name.clone()
        }
    };
    if is_made_up(&name) {
        return misplaced_subquery();
    }
    let error_text = match error {
        // That the table is there was found before the statement was planned.
        SchemaError::FieldNotFound { field, valid_fields }
            if field.relation.is_some()
                && valid_fields.iter().all(|valid| valid.relation != field.relation) =>
        {
            let message = format!("{} is out of reach here", field.flat_name());
            return QueryError::new(QueryErrorKind::Name, message).because(Reason::UnknownColumn).with_hint(
                "A condition may refer to tables that are joined before it, a subquery besides to the query right \
                 around it",
            );
        }
        SchemaError::FieldNotFound { field, valid_fields } => {
            let names = valid_fields.iter().map(|valid| valid.name.as_str());
            let unknown =
                QueryError::new(QueryErrorKind::Name, format!("column {} is not there", field.flat_name()))
                    .because(Reason::UnknownColumn);
            return match nearest(&field.name, names) {
                Some(name) => unknown.with_hint(format!("Did you mean {name}?")),
                None => unknown,
            };
        }
        SchemaError::AmbiguousReference { field } => {
            format!("column {} is ambiguous: put its table or alias before it", field.name)
        }
        SchemaError::DuplicateQualifiedField { qualifier, name } => {
            format!("column {qualifier}.{name} occurs twice: give one an alias")
        }
        SchemaError::DuplicateUnqualifiedField { name } => {
            format!("column {name} occurs twice: give one an alias")
        }
    };
    QueryError::new(QueryErrorKind::Name, error_text).because(Reason::AmbiguousColumn)
}

/// Of functions that stand where there are none, which DataFusion says with a plan's inside.
fn misplaced_function(text: &str) -> Option<QueryError> {
    let rest = text.strip_prefix("Physical plan does not support logical expression ")?;
    let (what, hint) = if rest.starts_with("WindowFunction") {
        ("a window function", "Compute it in a subquery of FROM, and compare its column outside")
    } else if rest.starts_with("AggregateFunction") {
        ("an aggregate", "Compare it in HAVING, or compute it in a subquery of FROM")
    } else {
        return None;
    };
    let message = format!("{what} is not served in this place");
    Some(QueryError::new(QueryErrorKind::Unsupported, message).with_hint(hint))
}

fn misplaced_subquery() -> QueryError {
    let message = "a subquery is not served in this place, or not with what it refers to";
    QueryError::new(QueryErrorKind::Unsupported, message).with_hint(
        "Put it into WHERE or the list of a SELECT, with what is around it compared by = within; or join",
    )
}

/// What is said of it shows a plan's inside.
fn is_misplaced_subquery(text: &str) -> bool {
    let starts = [
        "Physical plan does not support logical expression InSubquery",
        "Physical plan does not support logical expression Exists",
        "Physical plan does not support logical expression ScalarSubquery",
        "Physical plan does not support logical expression OuterReferenceColumn",
        "In/Exist/SetComparison subquery can only be used in",
        "Correlated scalar subquery can only be used in",
    ];
    // What DataFusion calls a subquery that it joins with.
    starts.iter().any(|start| text.starts_with(start)) || text.contains("__correlated_sq_")
}

/// Without DataFusion's own prefixes, backtraces and invitations to report a bug.
fn clean(text: &str) -> String {
    let text = text.split("\n\nbacktrace:").next().unwrap_or(text);
    let text = text.split("\nThis issue was likely caused by a bug").next().unwrap_or(text);
    let prefixes =
        ["Error during planning: ", "Execution error: ", "Arrow error: ", "Compute error: ", "Cast error: "];
    let mut text = text.trim();
    while let Some(rest) = prefixes.iter().find_map(|prefix| text.strip_prefix(prefix)) {
        text = rest;
    }
    plainly(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crossweave_contract::ErrorKind;

    use super::*;

    #[test]
    fn finds_the_connectors_error_under_wrappers() {
        let connector = ConnectorError::new(ErrorKind::Unreachable, "server users at 127.0.0.1:1 refuses")
            .with_fix("Start it");
        let inner = DataFusionError::External(Box::new(connector));
        let arrow = ArrowError::ExternalError(Box::new(inner.context("while joining")));
        let wrapped = DataFusionError::Shared(Arc::new(DataFusionError::ArrowError(Box::new(arrow), None)));
        let error = QueryError::from(wrapped);
        assert_eq!(error.kind, QueryErrorKind::Unavailable);
        assert_eq!(error.message, "server users at 127.0.0.1:1 refuses");
        assert_eq!(error.hint.as_deref(), Some("Start it"));
    }

    #[test]
    fn a_subquery_in_a_wrong_place_is_told_in_words() {
        let text = "Physical plan does not support logical expression InSubquery(InSubquery { expr: … })";
        let error = QueryError::from(DataFusionError::NotImplemented(text.to_owned()).context("planning"));
        assert_eq!(error.kind, QueryErrorKind::Unsupported);
        assert!(!error.message.contains("expr"), "{error}");
    }

    #[test]
    fn tells_memory_bounds_from_faults() {
        let error =
            QueryError::from(DataFusionError::ResourcesExhausted("no more".to_owned()).context("sorting"));
        assert_eq!(error.kind, QueryErrorKind::Limit);
        let error = QueryError::from(DataFusionError::Plan("Error during planning: bad".to_owned()));
        assert_eq!((error.kind, error.message.as_str()), (QueryErrorKind::Invalid, "bad"));
    }
}
