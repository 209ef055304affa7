//! Parts of what clients send that no rule can plan, with what is asked instead.
//!
//! A part is found token by token, whatever its spacing and the case of its words, anywhere in a statement. In a
//! part, `$1` stands for any one token, which takes the place of `$1` in its replacement.

use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};

/// Client, part, replacement.
const TEXTS: &[(&str, &str, &str)] = &[
    (
        "psql, \\d: roles of policies",
        "CASE WHEN pol.polroles = '{0}' THEN NULL ELSE pg_catalog.array_to_string(array(select rolname from \
         pg_catalog.pg_roles where oid = any (pol.polroles) order by 1),',') END",
        "NULL::text",
    ),
    ("psql, \\d: kinds of extended statistics", "$1 = any(stxkind)", "false"),
    (
        "psql, \\d: columns of publications",
        "(SELECT string_agg(attname, ', ') FROM pg_catalog.generate_series(0, \
         pg_catalog.array_upper(pr.prattrs::pg_catalog.int2[], 1)) s, pg_catalog.pg_attribute \
         WHERE attrelid = pr.prrelid AND attnum = prattrs[s])",
        "NULL::text",
    ),
    (
        "psql, \\d: foreign keys that refer to a partitioned table's parents",
        "confrelid IN (SELECT pg_catalog.pg_partition_ancestors($1) UNION ALL VALUES ($2::pg_catalog.regclass))",
        "confrelid = $1",
    ),
    (
        "psql, \\d+: options of tables",
        "pg_catalog.array_to_string(c.reloptions || \
         array(select 'toast.' || x from pg_catalog.unnest(tc.reloptions) x), ', ')",
        "NULL::text",
    ),
    (
        "psql, \\d: the table whose trigger a partition has",
        "CASE WHEN t.tgparentid != 0 THEN (SELECT u.tgrelid::pg_catalog.regclass FROM pg_catalog.pg_trigger AS u, \
         pg_catalog.pg_partition_ancestors(t.tgrelid) WITH ORDINALITY AS a(relid, depth) WHERE u.tgname = t.tgname \
         AND u.tgrelid = a.relid AND u.tgparentid = 0 ORDER BY a.depth LIMIT 1) END",
        "NULL::text",
    ),
    ("pgjdbc: keywords, which are a table here", "pg_get_keywords()", "pg_get_keywords"),
    (
        "Grafana: the schemas of search_path, which is empty",
        "SELECT CASE WHEN trim(s[i]) = '\"$user\"' THEN user ELSE trim(s[i]) END FROM generate_series( \
         array_lower(string_to_array(current_setting('search_path'),','),1), \
         array_upper(string_to_array(current_setting('search_path'),','),1)) as i, \
         string_to_array(current_setting('search_path'),',') s",
        "''",
    ),
    (
        "pgcli: foreign keys",
        "SELECT s_p.nspname AS parentschema, t_p.relname AS parenttable, unnest((select array_agg(attname ORDER BY i) \
         from (select unnest(confkey) as attnum, generate_subscripts(confkey, 1) as i) x \
         JOIN pg_catalog.pg_attribute c USING(attnum) WHERE c.attrelid = fk.confrelid)) AS parentcolumn, \
         s_c.nspname AS childschema, t_c.relname AS childtable, unnest((select array_agg(attname ORDER BY i) \
         from (select unnest(conkey) as attnum, generate_subscripts(conkey, 1) as i) x \
         JOIN pg_catalog.pg_attribute c USING(attnum) WHERE c.attrelid = fk.conrelid)) AS childcolumn \
         FROM pg_catalog.pg_constraint fk JOIN pg_catalog.pg_class t_p ON t_p.oid = fk.confrelid \
         JOIN pg_catalog.pg_namespace s_p ON s_p.oid = t_p.relnamespace \
         JOIN pg_catalog.pg_class t_c ON t_c.oid = fk.conrelid \
         JOIN pg_catalog.pg_namespace s_c ON s_c.oid = t_c.relnamespace WHERE fk.contype = 'f'",
        "SELECT p.table_schema AS parentschema, p.table_name AS parenttable, p.column_name AS parentcolumn, \
         c.table_schema AS childschema, c.table_name AS childtable, c.column_name AS childcolumn \
         FROM information_schema.key_column_usage c JOIN information_schema.referential_constraints r \
         ON c.constraint_schema = r.constraint_schema AND c.constraint_name = r.constraint_name \
         JOIN information_schema.key_column_usage p ON p.constraint_schema = r.unique_constraint_schema \
         AND p.constraint_name = r.unique_constraint_name AND p.ordinal_position = c.position_in_unique_constraint",
    ),
];

/// The parts, as tokens.
#[derive(Debug)]
pub(super) struct Texts(Vec<(Vec<Token>, Vec<Token>)>);

impl Texts {
    pub(super) fn new() -> Self {
        let texts = TEXTS.iter().filter_map(|(_, part, instead)| Some((tokens(part)?, tokens(instead)?)));
        Self(texts.collect())
    }

    /// `sql` with replacements in place of all parts; `None` if it has none of them.
    pub(super) fn replace(&self, sql: &str) -> Option<String> {
        let mut rest: &[Token] = &tokens(sql)?;
        let mut made: Vec<String> = Vec::with_capacity(rest.len());
        let mut found = false;
        while let Some(first) = rest.first() {
            let matched =
                self.0.iter().find_map(|(part, instead)| Some((part, instead, captures(part, rest)?)));
            match matched {
                Some((part, instead, captures)) => {
                    found = true;
                    made.extend(instead.iter().map(|token| captures.get(token).unwrap_or(token).to_string()));
                    rest = &rest[part.len()..];
                }
                None => {
                    made.push(first.to_string());
                    rest = &rest[1..];
                }
            }
        }
        found.then(|| made.join(" "))
    }
}

fn tokens(sql: &str) -> Option<Vec<Token>> {
    // As they are written: what is put together again must not have lost its escapes.
    let tokens = Tokenizer::new(&PostgreSqlDialect {}, sql).with_unescape(false).tokenize().ok()?;
    Some(tokens.into_iter().filter(|token| !matches!(token, Token::Whitespace(_) | Token::EOF)).collect())
}

/// The tokens that stand for the placeholders of `part`, if `tokens` begin with it.
fn captures<'t>(part: &'t [Token], tokens: &'t [Token]) -> Option<Captures<'t>> {
    let mut captures = Captures(Vec::new());
    for (wanted, token) in part.iter().zip(tokens.get(..part.len())?) {
        match (wanted, token) {
            (Token::Placeholder(_), _) => captures.0.push((wanted, token)),
            (Token::Word(wanted), Token::Word(word))
                if wanted.quote_style == word.quote_style
                    && (wanted.value == word.value
                        || (word.quote_style.is_none() && wanted.value.eq_ignore_ascii_case(&word.value))) => {}
            _ if wanted == token => {}
            _ => return None,
        }
    }
    Some(captures)
}

struct Captures<'t>(Vec<(&'t Token, &'t Token)>);

impl Captures<'_> {
    fn get(&self, placeholder: &Token) -> Option<&Token> {
        self.0.iter().find(|(known, _)| *known == placeholder).map(|(_, token)| *token)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_whatever_their_case_and_spacing() {
        let texts = Texts::new();
        assert_eq!(texts.0.len(), TEXTS.len(), "each can be split into tokens");
        let made = texts.replace("SELECT oid, 'd' = ANY ( stxkind ) AS a, 'f' = any(stxkind)\nFROM t").unwrap();
        assert_eq!(made, "SELECT oid , false AS a , false FROM t");
        assert_eq!(texts.replace("SELECT 'd = any(stxkind)' FROM pg_catalog.pg_class"), None);
    }

    #[test]
    fn strings_keep_their_quotes() {
        let made = Texts::new().replace("SELECT 'it''s', 'd' = any(stxkind)").unwrap();
        assert_eq!(made, "SELECT 'it''s' , false");
    }

    #[test]
    fn what_stands_for_a_placeholder_is_kept() {
        let sql = "SELECT 1 FROM c WHERE confrelid IN (SELECT pg_catalog.pg_partition_ancestors('7') \
                   UNION ALL VALUES ('7'::pg_catalog.regclass)) AND contype = 'f';";
        let made = Texts::new().replace(sql).unwrap();
        assert_eq!(made, "SELECT 1 FROM c WHERE confrelid = '7' AND contype = 'f' ;");
    }
}
