//! The nearest right word, for errors about unknown names.

/// The candidate nearest to `word`, if it is near enough to be what was meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.chars().count() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_the_word_that_was_meant_or_none() {
        assert_eq!(nearest("oders", ["users", "orders", "items"]), Some("orders"));
        assert_eq!(nearest("USERS", ["users", "orders"]), Some("users"));
        assert_eq!(nearest("invoice", ["users", "orders"]), None);
    }
}
