//! Names as the file writes them: columns of a relationship, patterns of tables, sources.

use crossweave_contract::SourceId;

/// The parts of `service.table.column`; a part may be back-quoted, two back-quotes standing for one. The error
/// says what is wrong.
pub(crate) fn split_column(text: &str) -> Result<[String; 3], String> {
    let mut parts = Vec::new();
    let mut rest = text.trim();
    loop {
        let (part, after) = if let Some(quoted) = rest.strip_prefix('`') {
            quoted_part(quoted).ok_or_else(|| format!("{text:?} has a back-quote without its partner"))?
        } else {
            let end = rest.find('.').unwrap_or(rest.len());
            (rest[..end].to_owned(), &rest[end..])
        };
        if part.is_empty() {
            return Err(format!("{text:?} has an empty part"));
        }
        parts.push(part);
        match after.strip_prefix('.') {
            Some(next) => rest = next,
            None if after.is_empty() => break,
            None => return Err(format!("{text:?} goes on after a back-quoted part without a dot")),
        }
    }
    let count = parts.len();
    parts.try_into().map_err(|_| format!("{text:?} has {count} {}", if count == 1 { "part" } else { "parts" }))
}

/// What is between back-quotes, and what follows; `text` starts after the first.
fn quoted_part(text: &str) -> Option<(String, &str)> {
    let mut part = String::new();
    let mut rest = text;
    loop {
        let at = rest.find('`')?;
        part.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        match rest.strip_prefix('`') {
            Some(next) => {
                part.push('`');
                rest = next;
            }
            None => return Some((part, rest)),
        }
    }
}

/// Whether the table `name` fits `pattern`, in which `*` stands for any characters.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(last)
}

/// The identity of the server at `host`:`port` with the account `user`: `host-port-user`, in lower case but for
/// the user, made of characters that a Kafka topic may have. Others are written as `_` and two hexadecimal
/// digits a byte (`__` for `_` itself), so two accounts or servers never share an identity.
pub(crate) fn source_id(host: &str, port: u16, user: &str) -> SourceId {
    let host = escape(&host.to_lowercase(), "-.");
    SourceId::new(format!("{host}-{port}-{}", escape(user, ".")))
}

fn escape(text: &str, kept: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if character.is_ascii_alphanumeric() || kept.contains(character) {
            out.push(character);
        } else if character == '_' {
            out.push_str("__");
        } else {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("_{byte:02x}"));
            }
        }
    }
    out
}

/// Whether `name` can be a field in GraphQL.
pub(crate) fn is_graphql_name(name: &str) -> bool {
    let mut characters = name.chars();
    let first = characters.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    first && characters.all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with("__")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_columns_with_back_quoted_parts() {
        let split = |text| split_column(text).map(|parts| parts.join("|"));
        assert_eq!(split("orders.orders.user_id").unwrap(), "orders|orders|user_id");
        assert_eq!(split("`a.b`.`c``d`.e").unwrap(), "a.b|c`d|e");
        for wrong in ["orders.user_id", "a..b", "", "a.b.c.d", "`a.b.c", "`a`b.c.d"] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_star_stands_for_any_characters() {
        let yes = [("*", "a"), ("log_*", "log_"), ("*_log", "a_log"), ("a*b*c", "a1b2b3c"), ("a", "a")];
        let no = [("a", "ab"), ("log_*", "lo"), ("a*b", "ab1"), ("a*a", "a")];
        assert!(yes.iter().all(|(pattern, name)| fits(pattern, name)));
        assert!(no.iter().all(|(pattern, name)| !fits(pattern, name)));
    }

    #[test]
    fn different_accounts_and_servers_have_different_identities() {
        assert_eq!(source_id("DB1.local", 3306, "cross_weave").as_str(), "db1.local-3306-cross__weave");
        assert_eq!(source_id("::1", 3306, "a@b").as_str(), "_3a_3a1-3306-a_40b");
        assert_ne!(source_id("a", 33, "3306-b"), source_id("a-33", 3306, "b"));
    }
}
