//! Statements in the binlog: which captured tables they may concern, without parsing SQL.
//!
//! Why can no table be missed? A table counts as concerned if its name occurs in the text, whatever its case and
//! quoting and wherever it stands, and its database is the session's or occurs too. What does not name what it
//! changes is taken wide: a statement about a whole database, and a change of rows that was logged as a statement
//! (through a view, a trigger, a function or a cascade), concern all captured tables of the databases they
//! name. A false hit costs a load.

use std::collections::HashSet;

use crossweave_contract::{CaptureTables, SchemaChange, TableId};

use super::charset::latin1;
use super::events::QueryEvent;

/// How statements begin that are logged but change neither definitions nor rows.
const HARMLESS: [&str; 6] =
    ["analyze table", "analyze local table", "optimize table", "flush", "grant", "revoke"];
/// How statements begin that change definitions, also within a transaction (`CREATE TABLE … SELECT`).
const DEFINING: [&str; 5] = ["create", "drop", "alter", "rename", "truncate"];

/// What a statement is to the transaction around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// It opens the transaction, or marks a place in it.
    Nothing,
    /// It ends the transaction.
    Commit,
    /// It ends the transaction and undoes it, but for tables that know no transactions.
    Rollback,
    /// It undoes a part of the transaction, but for tables that know no transactions.
    RollbackTo,
    /// It ends a prepared transaction.
    XaCommit,
    /// It ends and undoes a prepared transaction.
    XaRollback,
    /// It changes something.
    Change,
}

/// A statement as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    /// The session's database.
    pub(super) database: String,
    /// The text.
    pub(super) text: String,
    /// Whether characters beyond ASCII in `text` may be wrong, its character set not being known here.
    uncertain: bool,
}

impl Statement {
    pub(super) fn new(event: QueryEvent) -> Self {
        let database = String::from_utf8_lossy(&event.database).into_owned();
        match String::from_utf8(event.text) {
            Ok(text) if is_utf8(event.charset) || text.is_ascii() => Self { database, text, uncertain: false },
            Ok(text) => Self { database, text, uncertain: true },
            Err(error) if is_latin1(event.charset) => {
                let text = error.as_bytes().iter().map(|byte| latin1(*byte)).collect();
                Self { database, text, uncertain: false }
            }
            Err(error) => {
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                Self { database, text, uncertain: true }
            }
        }
    }

    /// What it is to its transaction. The server writes these statements itself, in one form.
    pub(super) fn role(&self) -> Role {
        let is = |words: &str| self.text.trim().eq_ignore_ascii_case(words);
        if is("begin") || ["savepoint", "release savepoint"].iter().any(|words| self.begins(words)) {
            Role::Nothing
        } else if is("commit") {
            Role::Commit
        } else if is("rollback") {
            Role::Rollback
        } else if self.begins("rollback to") {
            Role::RollbackTo
        } else if self.begins("xa commit") {
            Role::XaCommit
        } else if self.begins("xa rollback") {
            Role::XaRollback
        } else if ["xa start", "xa end", "xa prepare"].iter().any(|words| self.begins(words)) {
            Role::Nothing
        } else {
            Role::Change
        }
    }

    /// Whether it begins with `words`, which are in lower case. A comment before them counts, so that none can
    /// make it look like another statement.
    fn begins(&self, words: &str) -> bool {
        let mut text = self.text.split_ascii_whitespace();
        words.split(' ').all(|word| text.next().is_some_and(|found| found.eq_ignore_ascii_case(word)))
    }

    /// What it is to the captured tables; `None` if it concerns no database of theirs. `rows` tells that it is
    /// not DDL: that rows were changed by it.
    pub(super) fn schema_change(&self, captured: &CaptureTables, rows: bool) -> Option<SchemaChange> {
        let text = self.text.to_lowercase();
        let session = self.database.to_lowercase();
        let databases: HashSet<String> = captured
            .databases
            .iter()
            .map(|(database, _)| database.as_str())
            .chain(captured.tables.iter().map(|table| table.database.as_str()))
            .map(str::to_lowercase)
            .filter(|database| *database == session || self.occurs(&text, database))
            .collect();
        if databases.is_empty() {
            return None;
        }
        let harmless = !rows && HARMLESS.iter().any(|words| self.begins(words));
        let defines = DEFINING.iter().any(|word| self.begins(word));
        let whole = (rows && !defines) || self.occurs(&text, "database") || self.occurs(&text, "schema");
        let mut tables: Vec<TableId> = Vec::new();
        for table in captured.tables.iter().filter(|_| !harmless) {
            let name = table.id.table.to_lowercase();
            if databases.contains(&table.database.to_lowercase())
                && (whole || self.occurs(&text, &name))
                && !tables.contains(&table.id)
            {
                tables.push(table.id.clone());
            }
        }
        Some(SchemaChange { database: self.database.clone(), statement: self.text.clone(), tables })
    }

    /// Whether `name` occurs in `text`, as it is or with its quotes doubled, and not within a longer name.
    /// Both are in lower case.
    fn occurs(&self, text: &str, name: &str) -> bool {
        if self.uncertain && !name.is_ascii() {
            return true;
        }
        let quoted = ['`', '"'].into_iter().filter(|quote| name.contains(*quote));
        occurs_whole(text, name)
            || quoted
                .map(|quote| name.replace(quote, &format!("{quote}{quote}")))
                .any(|name| text.contains(&name))
    }
}

fn occurs_whole(text: &str, name: &str) -> bool {
    let within = |outside: Option<char>, edge: Option<char>| {
        outside.is_some_and(is_part_of_name) && edge.is_some_and(is_part_of_name)
    };
    let mut from = 0;
    while let Some(found) = text.get(from..).and_then(|rest| rest.find(name)) {
        let at = from + found;
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        let first = name.chars().next();
        if !within(before.chars().next_back(), first) && !within(after.chars().next(), name.chars().next_back())
        {
            return true;
        }
        // Places may overlap.
        from = at + first.map_or(1, char::len_utf8);
    }
    false
}

fn is_part_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

/// Whether the collation of this id is of utf8mb3 or utf8mb4. Ids from 2048 on are those of UCA 14, 256 each for
/// utf8mb3, utf8mb4 and others.
fn is_utf8(collation: Option<u16>) -> bool {
    matches!(
        collation,
        Some(
            33
            | 45
            | 46
            | 83
            | 192..=215
            | 223..=247
            | 576..=578
            | 608..=610
            | 1057
            | 1069
            | 1070
            | 1107
            | 1216
            | 1238
            | 1248
            | 1270
            | 2048..=2559,
        )
    )
}

fn is_latin1(collation: Option<u16>) -> bool {
    matches!(collation, Some(5 | 8 | 15 | 31 | 47 | 48 | 49 | 94 | 1032 | 1071))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crossweave_contract::{ServiceName, TableDef, TableKind};

    use super::*;

    fn captured(tables: &[(&str, &str)]) -> CaptureTables {
        let define = |&(database, table): &(&str, &str)| {
            Arc::new(TableDef {
                id: TableId::new("s", table),
                database: database.into(),
                kind: TableKind::Base,
                columns: Vec::new(),
                key: Vec::new(),
                foreign_keys: Vec::new(),
                binlog_columns: 0,
                row_end: None,
                live_only: Vec::new(),
            })
        };
        CaptureTables {
            tables: tables.iter().map(define).collect(),
            databases: vec![("shop".into(), ServiceName::new("s"))],
        }
    }

    fn statement(database: &str, text: &str) -> Statement {
        let event = QueryEvent { database: database.into(), charset: Some(45), text: text.into() };
        Statement::new(event)
    }

    fn concerned(database: &str, text: &str, rows: bool) -> Option<Vec<String>> {
        let tables =
            [("shop", "Users"), ("shop", "user"), ("shop", "a`b c"), ("shop", "größe"), ("other", "x")];
        let change = statement(database, text).schema_change(&captured(&tables), rows)?;
        Some(change.tables.iter().map(|id| id.table.to_string()).collect())
    }

    #[test]
    fn names_are_found_in_any_case_and_quoting() {
        let check = |database: &str, text: &str, tables: Option<&[&str]>| {
            let expected = tables.map(|tables| tables.iter().map(ToString::to_string).collect::<Vec<_>>());
            assert_eq!(concerned(database, text, false), expected, "{text}");
        };
        check("shop", "ALTER TABLE users ADD x INT", Some(&["Users"]));
        check("shop", "alter table`USER`add x int", Some(&["user"]));
        check("shop", "TRUNCATE users_old", Some(&[]));
        check("shop", "RENAME TABLE users TO `user`", Some(&["Users", "user"]));
        check("shop", "TRUNCATE `a``b c`", Some(&["a`b c"]));
        check("shop", "ALTER TABLE GRÖSSE ADD x INT, COMMENT 'größe'", Some(&["größe"]));
        check("elsewhere", "DROP TABLE Shop . /* here */ users", Some(&["Users"]));
        check("elsewhere", "DROP TABLE users", None);
        check("elsewhere", "DROP TABLE workshop.users", None);
        check("", "DROP DATABASE `shop`", Some(&["Users", "user", "a`b c", "größe"]));
        check("other", "TRUNCATE x", Some(&["x"]));
        check("shop", "this is ( no SQL users", Some(&["Users"]));
        check("shop", "ANALYZE TABLE users", Some(&[]));
        check("shop", "/* analyze table */ ALTER TABLE users ADD y INT", Some(&["Users"]));
        check("shop", "SET STATEMENT lock_wait_timeout=1 FOR ALTER TABLE users ADD y INT", Some(&["Users"]));
    }

    #[test]
    fn rows_changed_by_a_statement_concern_the_whole_database() {
        let all = ["Users", "user", "a`b c", "größe"].map(String::from).to_vec();
        assert_eq!(concerned("shop", "UPDATE some_view SET a = 1", true), Some(all.clone()));
        assert_eq!(concerned("shop", "ANALYZE TABLE users", true), Some(all));
        assert_eq!(concerned("shop", "CREATE TABLE n AS SELECT 1", true), Some(Vec::new()));
        assert_eq!(concerned("elsewhere", "UPDATE users SET a = 1", true), None);
    }

    #[test]
    fn a_name_is_found_in_a_statement_of_another_character_set() {
        let concerned = |charset: u16, text: &[u8]| {
            let event = QueryEvent { database: "shop".into(), charset: Some(charset), text: text.into() };
            let change = Statement::new(event).schema_change(&captured(&[("shop", "größe")]), false);
            change.map(|change| change.tables.len())
        };
        assert_eq!(concerned(8, b"TRUNCATE gr\xf6\xdfe"), Some(1));
        assert_eq!(concerned(8, b"TRUNCATE gr\xf6\xdf"), Some(0));
        assert_eq!(concerned(28, b"TRUNCATE gr\xf6\xdfe"), Some(1), "gbk: cannot be told, so it counts");
        assert_eq!(concerned(28, b"TRUNCATE g"), Some(0));
    }

    #[test]
    fn roles_cannot_be_feigned() {
        let check = |text: &str, role: Role| assert_eq!(statement("shop", text).role(), role, "{text}");
        check("COMMIT", Role::Commit);
        check("BEGIN", Role::Nothing);
        check("ROLLBACK", Role::Rollback);
        check("ROLLBACK TO `s`", Role::RollbackTo);
        check("SAVEPOINT `s`", Role::Nothing);
        check("XA COMMIT X'61',X'',1", Role::XaCommit);
        check("XA ROLLBACK X'61',X'',1", Role::XaRollback);
        check("XA END X'61',X'',1", Role::Nothing);
        check("/* begin */ DROP TABLE users", Role::Change);
        check("/* XA END */ DROP TABLE users", Role::Change);
        check("INSERT INTO users VALUES (1)", Role::Change);
    }
}
