//! Names in SQL text. Everything else that varies in a statement is bound, never rendered.

use std::fmt;

use crossweave_contract::TableDef;

/// `name` as an identifier: in backticks, those inside doubled. The only way a name gets into a statement.
///
/// In MariaDB no character but the backtick ends a quoted identifier, whatever `sql_mode` says, and no escape
/// exists besides doubling it.
pub(crate) fn quote(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('`');
    for c in name.chars() {
        if c == '`' {
            quoted.push('`');
        }
        quoted.push(c);
    }
    quoted.push('`');
    quoted
}

/// A table as statements name it; displays as `` `database`.`table` ``.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableRef<'a> {
    /// The database.
    pub(crate) database: &'a str,
    /// The table.
    pub(crate) table: &'a str,
}

impl<'a> TableRef<'a> {
    /// The table that `table` defines.
    pub(crate) fn of(table: &'a TableDef) -> Self {
        Self { database: &table.database, table: &table.id.table }
    }
}

impl fmt::Display for TableRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", quote(self.database), quote(self.table))
    }
}

#[cfg(test)]
mod tests {
    use mysql_async::prelude::Queryable;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;
    use crate::testing::server;

    /// What the server's own lexer makes of a quoted identifier.
    fn unquote(text: &str) -> Option<String> {
        let inner = text.strip_prefix('`')?.strip_suffix('`')?;
        let mut name = String::new();
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            if c == '`' && chars.next() != Some('`') {
                return None;
            }
            name.push(c);
        }
        Some(name)
    }

    fn hostile(random: &mut StdRng) -> String {
        const PIECES: &[&str] = &[
            "`",
            "``",
            "\\",
            "'",
            "\"",
            ";",
            "--",
            "/*",
            "*/",
            "#",
            "?",
            "$1",
            " ",
            "\n",
            "`.`",
            "` OR 1=1 -- ",
            "é",
            "日本",
            "ß",
            "%",
            "_",
            "a",
            "DROP TABLE",
            "(",
            ")",
            ",",
            "\t",
            "\u{feff}",
        ];
        let length = random.random_range(1..6);
        (0..length).map(|_| PIECES[random.random_range(0..PIECES.len())]).collect()
    }

    #[test]
    fn a_quoted_name_reads_back_as_itself() {
        let mut random = StdRng::seed_from_u64(1);
        for _ in 0..2_000 {
            let name = hostile(&mut random);
            assert_eq!(unquote(&quote(&name)).as_deref(), Some(name.as_str()));
        }
    }

    #[tokio::test]
    async fn the_server_takes_hostile_names_for_names() {
        let database = server().database(&[]).await;
        let mut conn = server().connect(Some(&database)).await;
        let mut random = StdRng::seed_from_u64(2);
        for sql_mode in ["", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ORACLE"] {
            conn.exec_drop("SET sql_mode = ?", (sql_mode,)).await.unwrap();
            for _ in 0..25 {
                // The server allows no space at the end of a name, and none beyond the basic plane.
                let name = format!("{}x", hostile(&mut random));
                let table = TableRef { database: &database, table: &name };
                let column = quote(&name);
                let create = format!("CREATE OR REPLACE TABLE {table} ({column} INT)");
                conn.query_drop(create).await.unwrap_or_else(|error| panic!("{name:?}: {error}"));
                conn.exec_drop(format!("INSERT INTO {table} ({column}) VALUES (?)"), (7,)).await.unwrap();
                let read: Option<i32> = conn
                    .exec_first(format!("SELECT {column} FROM {table} WHERE {column} = ?"), (7,))
                    .await
                    .unwrap();
                assert_eq!(read, Some(7), "{name:?}");
                let found: Option<String> = conn
                    .exec_first(
                        "SELECT COLUMN_NAME FROM information_schema.COLUMNS \
                         WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?",
                        (&database, &name),
                    )
                    .await
                    .unwrap();
                assert_eq!(found.as_ref(), Some(&name));
            }
        }
    }
}
