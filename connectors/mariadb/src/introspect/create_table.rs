//! What only `SHOW CREATE TABLE` tells: foreign keys, which columns are JSON, and how many columns there are.
//!
//! The text is cut into tokens by MariaDB's rules of quoting, so that a name, a default or a comment that looks
//! like SQL is never taken for it.

use crossweave_contract::{ForeignKey, ReferentialAction};

/// What was read out of a definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CreateTable {
    /// All columns, invisible ones too, in order.
    pub(super) columns: Vec<String>,
    /// Those with the check that MariaDB gives a JSON column.
    pub(super) json: Vec<String>,
    /// In order. The referenced database is empty where it is the table's own.
    pub(super) foreign_keys: Vec<ForeignKey>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// In backticks.
    Name(String),
    /// A keyword, function or number.
    Word(String),
    /// A literal; what it says is of no interest.
    Text,
    Mark(char),
}

/// Reads the text of a `CREATE TABLE` statement.
pub(super) fn parse(text: &str) -> Result<CreateTable, String> {
    let tokens = tokens(text)?;
    let mut create = CreateTable::default();
    for entry in entries(&tokens)? {
        match entry {
            [Token::Name(column), ..] => {
                if has_json_check(entry, column) {
                    create.json.push(column.clone());
                }
                create.columns.push(column.clone());
            }
            [Token::Word(word), Token::Name(name), rest @ ..] if is(word, "CONSTRAINT") => {
                create.foreign_keys.extend(foreign_key(name, rest)?);
            }
            _ => {}
        }
    }
    Ok(create)
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after = &rest[c.len_utf8()..];
        rest = match c {
            '`' => {
                let (name, after) = quoted_name(after)?;
                tokens.push(Token::Name(name));
                after
            }
            '\'' | '"' => {
                tokens.push(Token::Text);
                after_text(after, c)?
            }
            '/' if after.starts_with('*') => after.split_once("*/").map_or("", |(_, after)| after),
            c if c.is_alphanumeric() || c == '_' || c == '@' || c == '$' => {
                let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '@' | '$')));
                let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
                tokens.push(Token::Word(word.to_owned()));
                after
            }
            c if c.is_whitespace() => after,
            c => {
                tokens.push(Token::Mark(c));
                after
            }
        };
    }
    Ok(tokens)
}

/// The name up to its closing backtick, and what follows.
fn quoted_name(text: &str) -> Result<(String, &str), String> {
    let mut name = String::new();
    let mut rest = text;
    loop {
        let (piece, after) = rest.split_once('`').ok_or("a name in backticks does not end")?;
        name.push_str(piece);
        match after.strip_prefix('`') {
            Some(after) => {
                name.push('`');
                rest = after;
            }
            None => return Ok((name, after)),
        }
    }
}

/// What follows the literal whose opening `quote` is behind us.
fn after_text(text: &str, quote: char) -> Result<&str, String> {
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            // A doubled quote is part of the literal.
            if chars.next_if(|(_, next)| *next == quote).is_none() {
                return Ok(&text[at + 1..]);
            }
        }
    }
    Err("a literal does not end".into())
}

/// The definitions within the outermost parentheses, each without the comma.
fn entries(tokens: &[Token]) -> Result<Vec<&[Token]>, String> {
    let open = tokens.iter().position(|token| *token == Token::Mark('(')).ok_or("it has no list of columns")?;
    let (mut depth, mut start) = (0usize, open + 1);
    let mut entries = Vec::new();
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token {
            Token::Mark('(') => depth += 1,
            Token::Mark(')') => depth -= 1,
            Token::Mark(',') if depth == 1 => {
                entries.push(&tokens[start..at]);
                start = at + 1;
            }
            _ => {}
        }
        if depth == 0 {
            entries.push(&tokens[start..at]);
            return Ok(entries);
        }
    }
    Err("its list of columns does not end".into())
}

fn is(word: &str, keyword: &str) -> bool {
    word.eq_ignore_ascii_case(keyword)
}

fn word(token: Option<&Token>, keyword: &str) -> bool {
    matches!(token, Some(Token::Word(word)) if is(word, keyword))
}

/// `CHECK (json_valid(`column`))`.
fn has_json_check(entry: &[Token], column: &str) -> bool {
    entry.windows(7).any(|window| {
        word(window.first(), "CHECK")
            && window[1] == Token::Mark('(')
            && word(window.get(2), "json_valid")
            && window[3] == Token::Mark('(')
            && window[4] == Token::Name(column.to_owned())
            && window[5..] == [Token::Mark(')'), Token::Mark(')')]
    })
}

/// What follows `CONSTRAINT name`, if it is a foreign key. Nothing else but a check may follow: 11.4.5 does not double
/// the backticks in a foreign key's name and columns, so that what comes after the first of them cannot be read.
fn foreign_key(name: &str, tokens: &[Token]) -> Result<Option<ForeignKey>, String> {
    if word(tokens.first(), "CHECK") {
        return Ok(None);
    }
    let unexpected = || format!("the constraint {name} has a form that is not known");
    if !(word(tokens.first(), "FOREIGN") && word(tokens.get(1), "KEY")) {
        return Err(unexpected());
    }
    let (columns, rest) = names(&tokens[2..]).ok_or_else(unexpected)?;
    if !word(rest.first(), "REFERENCES") {
        return Err(unexpected());
    }
    let (database, table, rest) = match &rest[1..] {
        [Token::Name(database), Token::Mark('.'), Token::Name(table), rest @ ..] => {
            (database.clone(), table.clone(), rest)
        }
        [Token::Name(table), rest @ ..] => (String::new(), table.clone(), rest),
        _ => return Err(unexpected()),
    };
    let (referenced, rest) = names(rest).ok_or_else(unexpected)?;
    Ok(Some(ForeignKey {
        name: name.to_owned(),
        columns,
        referenced_database: database,
        referenced_table: table,
        referenced_columns: referenced,
        on_delete: action(rest, "DELETE").ok_or_else(unexpected)?,
        on_update: action(rest, "UPDATE").ok_or_else(unexpected)?,
    }))
}

/// A list of names in parentheses, and what follows.
fn names(tokens: &[Token]) -> Option<(Vec<String>, &[Token])> {
    let [Token::Mark('('), rest @ ..] = tokens else { return None };
    let end = rest.iter().position(|token| *token == Token::Mark(')'))?;
    let names = rest[..end].iter().filter(|token| **token != Token::Mark(','));
    let names: Option<Vec<String>> = names
        .map(|token| match token {
            Token::Name(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    Some((names?, &rest[end + 1..]))
}

/// The action after `ON event`; RESTRICT where nothing is said.
fn action(tokens: &[Token], event: &str) -> Option<ReferentialAction> {
    let Some(at) = tokens.windows(2).position(|w| word(w.first(), "ON") && word(w.get(1), event)) else {
        return Some(ReferentialAction::Restrict);
    };
    let (first, second) = (tokens.get(at + 2), tokens.get(at + 3));
    if word(first, "CASCADE") {
        Some(ReferentialAction::Cascade)
    } else if word(first, "RESTRICT") || word(first, "NO") {
        Some(ReferentialAction::Restrict)
    } else if word(first, "SET") && word(second, "NULL") {
        Some(ReferentialAction::SetNull)
    } else if word(first, "SET") && word(second, "DEFAULT") {
        Some(ReferentialAction::SetDefault)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &str = r#"CREATE TABLE `we``ird 'name"` (
  `i``d` int(11) NOT NULL DEFAULT 5 COMMENT 'CONSTRAINT `x` FOREIGN KEY (`y`) REFERENCES `z` (`q`), (',
  `it's` enum('a)','b''c,','d\\','\'','FOREIGN KEY (') /*M!100301 COMPRESSED*/ DEFAULT 'd\\',
  `doc` longtext CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL CHECK (json_valid(`doc`)),
  `not json` longtext DEFAULT NULL CHECK (json_valid(`doc`)),
  `g` int(11) GENERATED ALWAYS AS (if(`i``d` > 1,2,3)) VIRTUAL,
  PRIMARY KEY (`i``d`),
  KEY `CONSTRAINT FOREIGN KEY (` (`g`),
  CONSTRAINT `fk``1` FOREIGN KEY (`it's`,`g`) REFERENCES `o-ther`.`t.t` (`a,b`, `c)`) ON DELETE CASCADE ON UPDATE SET NULL,
  CONSTRAINT `plain` FOREIGN KEY (`g`) REFERENCES `p` (`id`),
  CONSTRAINT `CONSTRAINT_1` CHECK (`g` > '),(')
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COMMENT='CONSTRAINT `n` FOREIGN KEY (`a`) REFERENCES `b` (`c`)'
 PARTITION BY HASH (`i``d`)"#;

    #[test]
    fn quotes_and_comments_are_respected() {
        let create = parse(HOSTILE).unwrap();
        assert_eq!(create.columns, ["i`d", "it's", "doc", "not json", "g"]);
        assert_eq!(create.json, ["doc"]);
        assert_eq!(
            create.foreign_keys,
            [
                ForeignKey {
                    name: "fk`1".into(),
                    columns: vec!["it's".into(), "g".into()],
                    referenced_database: "o-ther".into(),
                    referenced_table: "t.t".into(),
                    referenced_columns: vec!["a,b".into(), "c)".into()],
                    on_delete: ReferentialAction::Cascade,
                    on_update: ReferentialAction::SetNull,
                },
                ForeignKey {
                    name: "plain".into(),
                    columns: vec!["g".into()],
                    referenced_database: String::new(),
                    referenced_table: "p".into(),
                    referenced_columns: vec!["id".into()],
                    on_delete: ReferentialAction::Restrict,
                    on_update: ReferentialAction::Restrict,
                },
            ]
        );
    }

    #[test]
    fn backticks_that_are_not_doubled_are_refused() {
        let create = |name: &str, column: &str, referenced: &str| {
            format!(
                "CREATE TABLE `t` (\n  `id` int(11) NOT NULL,\n  CONSTRAINT `{name}` FOREIGN KEY (`{column}`) \
                 REFERENCES `p` (`{referenced}`) ON DELETE CASCADE,\n  CONSTRAINT `{name}2` FOREIGN KEY (`id`) \
                 REFERENCES `p` (`{referenced}`)\n) ENGINE=InnoDB"
            )
        };
        assert_eq!(parse(&create("n", "c", "r")).unwrap().foreign_keys.len(), 2);
        for (name, column, referenced) in [
            ("n`m", "c", "r"),
            ("n", "c`d", "r"),
            ("n", "c", "r`s"),
            ("n`m", "c`d", "r"),
            ("n`", "c", "`r"),
            ("n` CHECK (`x", "c", "r"),
        ] {
            let parsed = parse(&create(name, column, referenced));
            assert!(parsed.is_err(), "{name} {column} {referenced}: {parsed:?}");
        }
    }

    #[test]
    fn a_text_cut_anywhere_is_refused_or_read_in_part_but_never_panics() {
        let boundaries = HOSTILE.char_indices().map(|(at, _)| at);
        let complete = boundaries.filter(|at| parse(&HOSTILE[..*at]).is_ok()).count();
        assert!(complete > 0 && complete < HOSTILE.len() / 2, "{complete}");
    }
}
