//! Which of the served kinds a parsed statement is.

use std::fmt;

use datafusion::sql::sqlparser::ast::{
    CloseCursor, DataType as SqlType, DiscardObject, Expr, Ident, ObjectName, Reset, Set, ShowStatementFilter,
    ShowStatementFilterPosition, ShowStatementOptions, Statement, TransactionIsolationLevel, TransactionMode,
    UtilityOption, Value,
};

use super::refused::{error, part};
use super::{guard, refused};
use crate::query::{QueryError, QueryErrorKind};

/// A statement of a kind that is served.
#[derive(Debug, Clone)]
pub(in crate::query) enum Classified {
    /// Reads tables.
    Read(Statement),
    /// Shows how a statement that reads would be run; runs it if `analyze`.
    Explain {
        statement: Statement,
        analyze: bool,
        verbose: bool,
    },
    /// Sets parameters, `None` to their defaults; within the transaction only if `local`.
    Set {
        parameters: Vec<(String, Option<String>)>,
        local: bool,
    },
    /// Sets one parameter, or all, to their defaults.
    Reset(Option<String>),
    /// Shows one parameter, or all.
    Show(Option<String>),
    /// Shows something of the catalog.
    ShowCatalog(Shown),
    Begin {
        start: bool,
    },
    Commit,
    Rollback,
    Savepoint(Savepoint),
    /// There is nothing that it could do; the text is its tag.
    Ignored(&'static str),
    Prepare {
        name: String,
        types: Vec<SqlType>,
        statement: Box<Classified>,
    },
    Execute {
        name: String,
        arguments: Vec<Expr>,
    },
    /// `None`: all.
    Deallocate(Option<String>),
    Discard {
        all: bool,
    },
}

/// What is done with a savepoint, by its name.
#[derive(Debug, Clone)]
pub(in crate::query) enum Savepoint {
    Set(String),
    Release(String),
    RollbackTo(String),
}

impl Savepoint {
    /// What clients are told was done.
    pub(in crate::query) fn tag(&self) -> &'static str {
        match self {
            Self::Set(_) => "SAVEPOINT",
            Self::Release(_) => "RELEASE",
            Self::RollbackTo(_) => "ROLLBACK",
        }
    }
}

impl fmt::Display for Savepoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Set(_) => "SAVEPOINT",
            Self::Release(_) => "RELEASE SAVEPOINT",
            Self::RollbackTo(_) => "ROLLBACK TO SAVEPOINT",
        })
    }
}

impl Classified {
    /// Whether it is answered in a transaction of which a statement failed.
    pub(in crate::query) fn ends_a_failed_transaction(&self) -> bool {
        matches!(self, Self::Commit | Self::Rollback | Self::Savepoint(Savepoint::RollbackTo(_)))
    }
}

/// What SHOW shows of the catalog.
#[derive(Debug, Clone)]
pub(in crate::query) enum Shown {
    /// SHOW SCHEMAS, SHOW DATABASES.
    Schemas { like: Option<String> },
    /// SHOW TABLES [FROM schema].
    Tables { schema: Option<String>, like: Option<String> },
    /// SHOW COLUMNS FROM table, DESCRIBE table.
    Columns(ObjectName),
}

/// `statement` as what it is; `kind` names it in the error if it is not served.
pub(super) fn classify(statement: Statement, kind: &str) -> Result<Classified, QueryError> {
    match statement {
        Statement::Query(_) => {
            let mut statement = statement;
            guard::check(&statement)?;
            guard::normalise(&mut statement);
            Ok(Classified::Read(statement))
        }
        Statement::Explain { statement, analyze, verbose, format, options, query_plan, estimate, .. } => {
            if format.is_some() || query_plan || estimate {
                return Err(part("EXPLAIN with a format"));
            }
            explain(*statement, analyze, verbose, options.unwrap_or_default())
        }
        Statement::ExplainTable { table_name, .. } => Ok(Classified::ShowCatalog(Shown::Columns(table_name))),
        Statement::Set(set) => classify_set(set),
        Statement::Reset(reset) => Ok(Classified::Reset(match reset.reset {
            Reset::ALL => None,
            Reset::ConfigurationParameter(name) => Some(parameter(&name)),
        })),
        Statement::ShowVariable { variable } => {
            let name = variable.iter().map(|word| word.value.to_lowercase()).collect::<Vec<_>>();
            Ok(Classified::Show(match name.join(" ").as_str() {
                "all" => None,
                "transaction isolation level" => Some("transaction_isolation".to_owned()),
                "time zone" => Some("timezone".to_owned()),
                "session authorization" => Some("session_authorization".to_owned()),
                _ => Some(variable.iter().map(|word| word.value.as_str()).collect::<Vec<_>>().join(".")),
            }))
        }
        Statement::ShowTables { show_options, .. } => {
            let schema = show_options.show_in.as_ref().and_then(|place| place.parent_name.as_ref());
            Ok(Classified::ShowCatalog(Shown::Tables { schema: schema.map(last), like: like(&show_options)? }))
        }
        Statement::ShowSchemas { show_options, .. } | Statement::ShowDatabases { show_options, .. } => {
            Ok(Classified::ShowCatalog(Shown::Schemas { like: like(&show_options)? }))
        }
        Statement::ShowColumns { show_options, .. } => {
            match show_options.show_in.and_then(|place| place.parent_name) {
                Some(table) => Ok(Classified::ShowCatalog(Shown::Columns(table))),
                None => Err(QueryError::new(
                    QueryErrorKind::Syntax,
                    "SHOW COLUMNS needs a table: SHOW COLUMNS FROM users",
                )),
            }
        }
        Statement::StartTransaction { modes, begin, statements, .. } => {
            check_modes(&modes)?;
            if !statements.is_empty() {
                return Err(error("BEGIN with a block of statements"));
            }
            Ok(Classified::Begin { start: !begin })
        }
        Statement::Commit { chain: false, .. } => Ok(Classified::Commit),
        Statement::Rollback { chain: false, savepoint: None } => Ok(Classified::Rollback),
        Statement::Rollback { chain: false, savepoint: Some(to) } => Ok(savepoint(Savepoint::RollbackTo, &to)),
        Statement::Savepoint { name } => Ok(savepoint(Savepoint::Set, &name)),
        Statement::ReleaseSavepoint { name } => Ok(savepoint(Savepoint::Release, &name)),
        Statement::Close { cursor: CloseCursor::All } => Ok(Classified::Ignored("CLOSE CURSOR ALL")),
        Statement::UNLISTEN { .. } => Ok(Classified::Ignored("UNLISTEN")),
        Statement::Prepare { name, data_types, statement } => Ok(Classified::Prepare {
            name: name.value,
            types: data_types,
            statement: match classify_inner(*statement)? {
                read @ (Classified::Read(_) | Classified::Explain { .. }) => Box::new(read),
                _ => return Err(part("PREPARE of a statement that does not read tables")),
            },
        }),
        Statement::Execute { name: Some(name), parameters, immediate: false, using, into, .. }
            if using.is_empty() && into.is_empty() =>
        {
            Ok(Classified::Execute { name: last(&name), arguments: parameters })
        }
        Statement::Deallocate { name, .. } => Ok(deallocate(name)),
        Statement::Discard { object_type } => {
            Ok(Classified::Discard { all: matches!(object_type, DiscardObject::ALL | DiscardObject::PLANS) })
        }
        _ => Err(error(kind)),
    }
}

/// As [`classify`], of a statement in another.
fn classify_inner(statement: Statement) -> Result<Classified, QueryError> {
    let kind = refused::kind(&super::tokenize(&statement.to_string())?);
    classify(statement, &kind)
}

fn explain(
    statement: Statement,
    mut analyze: bool,
    mut verbose: bool,
    options: Vec<UtilityOption>,
) -> Result<Classified, QueryError> {
    for option in options {
        let on = match option.arg.as_ref().map(ToString::to_string) {
            None => true,
            Some(text) => ["true", "on", "1", "'true'", "'on'"].contains(&text.to_lowercase().as_str()),
        };
        match option.name.value.to_lowercase().as_str() {
            "analyze" => analyze = on,
            "verbose" => verbose = on,
            "costs" | "timing" | "summary" | "buffers" | "settings" | "wal" => {}
            "format" if option.arg.is_some_and(|text| text.to_string().eq_ignore_ascii_case("text")) => {}
            other => return Err(part(&format!("EXPLAIN with {}", other.to_uppercase()))),
        }
    }
    match classify_inner(statement)? {
        Classified::Read(statement) => Ok(Classified::Explain { statement, analyze, verbose }),
        _ => Err(part("EXPLAIN of a statement that does not read tables")),
    }
}

fn classify_set(set: Set) -> Result<Classified, QueryError> {
    use datafusion::sql::sqlparser::ast::ContextModifier::Local;
    let (parameters, local) = match set {
        Set::SingleAssignment { scope, variable, values, .. } => {
            (vec![(parameter(&variable), setting(&values)?)], scope == Some(Local))
        }
        Set::MultipleAssignments { assignments } => {
            let each = assignments
                .iter()
                .map(|one| Ok((parameter(&one.name), setting(std::slice::from_ref(&one.value))?)))
                .collect::<Result<_, QueryError>>()?;
            (each, false)
        }
        Set::SetTimeZone { local, value } => (vec![("timezone".to_owned(), setting(&[value])?)], local),
        Set::SetNames { charset_name, .. } => {
            (vec![("client_encoding".to_owned(), Some(charset_name.value))], false)
        }
        Set::SetNamesDefault {} => (vec![("client_encoding".to_owned(), None)], false),
        Set::SetTransaction { modes, .. } => {
            check_modes(&modes)?;
            (Vec::new(), false)
        }
        Set::SetRole { .. } => return Err(error("SET ROLE")),
        Set::SetSessionAuthorization(_) => return Err(error("SET SESSION AUTHORIZATION")),
        Set::ParenthesizedAssignments { .. } | Set::SetSessionParam(_) => {
            return Err(error("this form of SET"));
        }
    };
    Ok(Classified::Set { parameters, local })
}

fn check_modes(modes: &[TransactionMode]) -> Result<(), QueryError> {
    use TransactionIsolationLevel::*;
    for mode in modes {
        if let TransactionMode::IsolationLevel(level @ (RepeatableRead | Serializable | Snapshot)) = mode {
            let message = format!("isolation level {level} is not served");
            return Err(QueryError::new(QueryErrorKind::Unsupported, message)
                .with_hint("Each statement sees one consistent view of each service: READ COMMITTED"));
        }
    }
    Ok(())
}

/// A parameter's name: its parts as they are written, for a service's name may be one of them.
fn parameter(name: &ObjectName) -> String {
    name.0
        .iter()
        .map(|part| part.as_ident().map_or_else(|| part.to_string(), |ident| ident.value.clone()))
        .collect::<Vec<_>>()
        .join(".")
}

/// Names are compared in lower case, unless they are quoted.
fn savepoint(done: fn(String) -> Savepoint, name: &Ident) -> Classified {
    let quoted = name.quote_style.is_some();
    Classified::Savepoint(done(if quoted { name.value.clone() } else { name.value.to_lowercase() }))
}

fn deallocate(name: Ident) -> Classified {
    let all = name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all");
    Classified::Deallocate((!all).then_some(name.value))
}

fn last(name: &ObjectName) -> String {
    name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone()).unwrap_or_default()
}

/// A parameter's value as text; `None` for DEFAULT.
fn setting(values: &[Expr]) -> Result<Option<String>, QueryError> {
    let text = |value: &Expr| match value {
        Expr::Identifier(ident) => Ok(ident.value.clone()),
        Expr::Value(value) => Ok(match &value.value {
            Value::SingleQuotedString(text)
            | Value::DoubleQuotedString(text)
            | Value::EscapedStringLiteral(text) => text.clone(),
            other => other.to_string(),
        }),
        Expr::UnaryOp { .. } | Expr::CompoundIdentifier(_) => Ok(value.to_string()),
        _ => Err(QueryError::new(
            QueryErrorKind::Unsupported,
            format!("SET takes a constant, a word or DEFAULT; found {value}"),
        )),
    };
    if let [Expr::Identifier(ident)] = values
        && ident.quote_style.is_none()
        && ident.value.eq_ignore_ascii_case("default")
    {
        return Ok(None);
    }
    Ok(Some(values.iter().map(text).collect::<Result<Vec<_>, _>>()?.join(", ")))
}

fn like(options: &ShowStatementOptions) -> Result<Option<String>, QueryError> {
    use ShowStatementFilterPosition::{Infix, Suffix};
    match &options.filter_position {
        None => Ok(None),
        Some(Infix(ShowStatementFilter::Like(pattern)) | Suffix(ShowStatementFilter::Like(pattern))) => {
            Ok(Some(pattern.clone()))
        }
        Some(_) => Err(part("SHOW with a filter other than LIKE")),
    }
}
