//! Arrays as PostgreSQL writes them: `{1,NULL,"a \"b\""}`.

/// The items of `text`, an array of one dimension; `None` within it is NULL, in its place that `text` is none.
pub fn array_items(text: &str) -> Option<Vec<Option<String>>> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let mut items = Vec::new();
    while !rest.is_empty() {
        let (text, quoted, after) = item(rest)?;
        items.push(if !quoted && text.eq_ignore_ascii_case("null") { None } else { Some(text) });
        rest = match after.trim_start().strip_prefix(',') {
            Some(after) if !after.trim().is_empty() => after.trim_start(),
            None if after.trim().is_empty() => "",
            _ => return None,
        };
    }
    Some(items)
}

/// The first item of `text`, whether it was quoted, and what follows it.
fn item(text: &str) -> Option<(String, bool, &str)> {
    let quoted = text.starts_with('"');
    let mut item = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => item.push(chars.next()?.1),
            '"' if quoted => return Some((item, true, &text[at + 1..])),
            '"' | '{' | '}' if !quoted => return None,
            ',' if !quoted => {
                return Some((item.trim_end().to_owned(), false, &text[at..]))
                    .filter(|(item, ..)| !item.is_empty());
            }
            other => item.push(other),
        }
    }
    (!quoted && !item.is_empty()).then(|| (item.trim_end().to_owned(), false, ""))
}

#[cfg(test)]
mod tests {
    use super::array_items;

    #[test]
    fn reads_items_and_nulls() {
        let text = |text: &str| Some(text.to_owned());
        let read = array_items(r#" { a , "b,\"c\"","null",NULL,""} "#);
        assert_eq!(read, Some(vec![text("a"), text("b,\"c\""), text("null"), None, text("")]));
        assert_eq!(array_items("{}"), Some(vec![]));
        for wrong in ["1,2", "{1,}", "{1 2", "{{1},{2}}", "{a\"b}", "{,1}", "{\"a}"] {
            assert_eq!(array_items(wrong), None, "{wrong}");
        }
    }
}
