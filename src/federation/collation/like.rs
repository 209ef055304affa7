//! LIKE as MariaDB has it: character against character by weight, never padded.
//!
//! So `'ß' LIKE 'ss'` is false though `'ß' = 'ss'` may be true, and a trailing space counts. ILIKE, which
//! MariaDB lacks, takes characters that differ in case only for the same, whatever the collation.

use std::str::Chars;
use std::sync::Arc;

use super::keys::KeyEncoder;

/// How two characters are compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum CharacterRule {
    /// By the collation.
    Collation(Arc<KeyEncoder>),
    /// By the collation, and ignoring case.
    IgnoringCase(Option<Arc<KeyEncoder>>),
}

impl CharacterRule {
    fn same(&self, left: char, right: char) -> bool {
        if left == right {
            return true;
        }
        match self {
            Self::Collation(encoder) => encoder.same_character(left, right),
            Self::IgnoringCase(encoder) => {
                encoder.as_ref().is_some_and(|encoder| encoder.same_character(left, right))
                    || left.to_lowercase().eq(right.to_lowercase())
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Token {
    /// `%`
    Any,
    /// `_`
    One,
    /// Itself.
    Character(char),
}

/// A pattern, ready to be matched.
#[derive(Debug)]
pub(crate) struct LikePattern<'a> {
    tokens: Vec<Token>,
    rule: &'a CharacterRule,
}

impl<'a> LikePattern<'a> {
    /// Reads `pattern`. The escape character makes the next one stand for itself; at the end it stands for
    /// itself.
    pub(crate) fn new(pattern: &str, escape: Option<char>, rule: &'a CharacterRule) -> Self {
        let mut tokens = Vec::with_capacity(pattern.len());
        let mut characters = pattern.chars();
        while let Some(character) = characters.next() {
            let token = if Some(character) == escape {
                Token::Character(characters.next().unwrap_or(character))
            } else {
                match character {
                    '%' => Token::Any,
                    '_' => Token::One,
                    other => Token::Character(other),
                }
            };
            if !(token == Token::Any && tokens.last() == Some(&Token::Any)) {
                tokens.push(token);
            }
        }
        Self { tokens, rule }
    }

    /// Whether `text` matches. Takes time in the product of both lengths at worst.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let mut rest = text.chars();
        let mut at = 0;
        // Where to go on when what follows the last `%` does not fit: with that `%` taking one character more.
        let mut retry: Option<(usize, Chars<'_>)> = None;
        loop {
            match self.tokens.get(at) {
                None if rest.as_str().is_empty() => return true,
                Some(Token::Any) => {
                    at += 1;
                    if at == self.tokens.len() {
                        return true;
                    }
                    retry = Some((at, rest.clone()));
                    continue;
                }
                Some(token) => {
                    if let Some(character) = rest.next()
                        && self.fits(*token, character)
                    {
                        at += 1;
                        continue;
                    }
                }
                None => {}
            }
            let Some((after_any, start)) = &mut retry else { return false };
            if start.next().is_none() {
                return false;
            }
            at = *after_any;
            rest = start.clone();
        }
    }

    fn fits(&self, token: Token, character: char) -> bool {
        match token {
            Token::Any | Token::One => true,
            Token::Character(expected) => self.rule.same(expected, character),
        }
    }
}

#[cfg(test)]
mod tests {
    use crossweave_contract::Collation;

    use super::super::keys::tests::general_like;
    use super::*;

    fn bin() -> CharacterRule {
        let collation = Collation::new("utf8mb4", "utf8mb4_bin");
        CharacterRule::Collation(Arc::new(KeyEncoder::binary(&collation).unwrap()))
    }

    fn general() -> CharacterRule {
        CharacterRule::Collation(Arc::new(KeyEncoder::weighted(general_like("utf8mb4_general_ci"))))
    }

    fn like(rule: &CharacterRule, text: &str, pattern: &str) -> bool {
        LikePattern::new(pattern, Some('\\'), rule).matches(text)
    }

    #[test]
    fn matches_by_weight_and_never_pads() {
        for (text, pattern, expected) in [
            ("Émile", "emi%", true),
            ("abc", "ABC", true),
            ("abc ", "abc", false),
            ("abc", "abc ", false),
            ("abc", "%", true),
            ("", "%", true),
            ("", "_", false),
            ("aXbXc", "a%x_", true),
            ("aXbXcd", "a%x_", false),
            ("mississippi", "%ISS%PP_", true),
            ("a%", "a\\%", true),
            ("ab", "a\\%", false),
            ("ab", "a\\b", true),
            ("a\\", "a\\", true),
            ("😀", "_", true),
            ("ß", "ss", false),
            ("ß", "s", true),
        ] {
            assert_eq!(like(&general(), text, pattern), expected, "{text:?} LIKE {pattern:?}");
        }
    }

    #[test]
    fn a_binary_collation_minds_case_unless_told_otherwise() {
        assert!(!like(&bin(), "abc", "ABC"));
        let ignoring = CharacterRule::IgnoringCase(None);
        assert!(like(&ignoring, "Straße É", "STRAßE é"));
        assert!(!like(&ignoring, "é", "e"));
    }

    #[test]
    fn another_escape_character_or_none() {
        let rule = general();
        assert!(LikePattern::new("a!%", Some('!'), &rule).matches("a%"));
        assert!(LikePattern::new("a!", Some('!'), &rule).matches("a!"));
        assert!(LikePattern::new("a\\%", None, &rule).matches("a\\b"));
    }

    #[test]
    fn many_wildcards_end_in_time() {
        assert!(!like(&general(), &"a".repeat(2_000), &format!("{}b", "%a".repeat(100))));
    }
}
