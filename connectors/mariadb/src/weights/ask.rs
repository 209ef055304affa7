//! Questions to the server about many texts at once.

use std::time::Duration;

use crossweave_contract::{Collation, CollationWeights, Result, UnitWidth};
use mysql_async::prelude::FromRow;
use tokio::time::timeout;

use super::refused;
use crate::connection::Session;

/// Texts in one statement.
const AT_ONCE: usize = 4096;

/// Bytes of text in one statement: what it takes as a parameter must fit in a packet.
const BYTES_AT_ONCE: usize = 256 << 10;

/// How long the server may take for one statement. It is done in milliseconds, and who starts waits for it.
const ANSWER: Duration = Duration::from_secs(5);

/// Levels that a collation may have.
const LEVELS: u8 = 6;

/// Who is asked, and about what.
pub(super) struct Asked<'a> {
    session: &'a mut Session,
    pub(super) collation: &'a Collation,
    /// The levels as `WEIGHT_STRING` counts them; none where there is only one.
    levels: Vec<u8>,
}

impl<'a> Asked<'a> {
    /// Finds out which levels there are.
    pub(super) async fn new(session: &'a mut Session, collation: &'a Collation) -> Result<Self> {
        let mut asked = Self { session, collation, levels: Vec::new() };
        // A digit, letters of both cases.
        let probe = ["1aB".to_owned()];
        let mut all = Vec::new();
        for level in std::iter::once(None).chain((1..=LEVELS).map(Some)) {
            all.push(asked.weigh_on(level, &probe).await?.swap_remove(0));
        }
        let (whole, levels) = (&all[0], &all[1..]);
        // A collation without levels gives the whole for any of them.
        if levels.iter().any(|level| level != whole) {
            let mut rest = whole.as_slice();
            for (number, level) in (1..).zip(levels) {
                if let Some(after) = rest.strip_prefix(level.as_slice())
                    && after.len() < rest.len()
                {
                    asked.levels.push(number);
                    rest = after;
                }
            }
            if !rest.is_empty() || asked.levels.is_empty() {
                return Err(refused(collation, "its weight is not that of its levels, one after the other"));
            }
        }
        Ok(asked)
    }

    /// Whether a level is passed over, as that of accents is in `…_ai_cs`.
    pub(super) fn passes_over_a_level(&self) -> bool {
        self.levels.iter().zip(1..).any(|(level, number)| *level != number)
    }

    /// How many levels there are.
    pub(super) fn level_count(&self) -> usize {
        self.levels.len().max(1)
    }

    /// The level as `WEIGHT_STRING` counts, of one counted from 0.
    pub(super) fn level_clause(&self, level: usize) -> String {
        self.levels.get(level).map_or_else(String::new, |level| format!(" LEVEL {level}"))
    }

    /// The weights of `texts` on a level, counted from 0.
    pub(super) async fn weigh(&mut self, level: usize, texts: &[String]) -> Result<Vec<Vec<u8>>> {
        self.weigh_on(self.levels.get(level).copied(), texts).await
    }

    /// The weight of a long text on a level, counted from 0.
    pub(super) async fn weigh_one(&mut self, level: usize, text: &str) -> Result<Vec<u8>> {
        let level = self.level_clause(level);
        let statement = format!("SELECT WEIGHT_STRING({}{level})", self.text("?"));
        let rows: Vec<Option<Vec<u8>>> = self.rows(&statement, (text,)).await?;
        let weight = rows.into_iter().next().flatten();
        weight.ok_or_else(|| refused(self.collation, "the server gives no weight for some texts"))
    }

    /// The weights of `texts`, all levels one after the other.
    pub(super) async fn weigh_whole(&mut self, texts: &[String]) -> Result<Vec<Vec<u8>>> {
        self.weigh_on(None, texts).await
    }

    async fn weigh_on(&mut self, level: Option<u8>, texts: &[String]) -> Result<Vec<Vec<u8>>> {
        let level = level.map_or_else(String::new, |level| format!(" LEVEL {level}"));
        let weight = format!("WEIGHT_STRING({}{level})", self.text("t"));
        let statement = format!(
            "SELECT {weight} FROM JSON_TABLE(?, '$[*]' COLUMNS \
             (i FOR ORDINALITY, t TEXT CHARACTER SET utf8mb4 PATH '$')) AS texts ORDER BY i"
        );
        let mut weights = Vec::with_capacity(texts.len());
        for part in parts(texts, String::len) {
            let rows: Vec<Option<Vec<u8>>> = self.rows(&statement, (json(part),)).await?;
            if rows.len() != part.len() {
                return Err(refused(self.collation, "the server did not give a weight for each text"));
            }
            for row in rows {
                weights.push(
                    row.ok_or_else(|| refused(self.collation, "the server gives no weight for some texts"))?,
                );
            }
        }
        Ok(weights)
    }

    /// What the server says to `expression` over each pair of texts, called `a` and `b`.
    pub(super) async fn compare(
        &mut self,
        expressions: [&str; 2],
        pairs: &[[String; 2]],
    ) -> Result<Vec<[bool; 2]>> {
        let [first, second] = expressions
            .map(|expression| expression.replace('A', &self.text("ta")).replace('B', &self.text("tb")));
        let column = |name, path| format!("{name} TEXT CHARACTER SET utf8mb4 PATH '$[{path}]'");
        let statement = format!(
            "SELECT {first}, {second} FROM JSON_TABLE(?, '$[*]' COLUMNS (i FOR ORDINALITY, {}, {})) AS pairs \
             ORDER BY i",
            column("ta", 0),
            column("tb", 1)
        );
        let mut answers = Vec::with_capacity(pairs.len());
        for part in parts(pairs, |[a, b]| a.len() + b.len()) {
            let json = part.iter().map(|pair| json(pair)).collect::<Vec<_>>().join(",");
            let rows: Vec<(bool, bool)> = self.rows(&statement, (format!("[{json}]"),)).await?;
            if rows.len() != part.len() {
                return Err(refused(self.collation, "the server did not compare each pair of texts"));
            }
            answers.extend(rows.into_iter().map(|(first, second)| [first, second]));
        }
        Ok(answers)
    }

    /// The rows of a statement.
    pub(super) async fn rows<R: FromRow + Send + 'static>(
        &mut self,
        statement: &str,
        params: impl Into<mysql_async::Params> + Send,
    ) -> Result<Vec<R>> {
        let doing = format!("reading the weights of {}", self.collation.name);
        match timeout(ANSWER, self.session.rows(&doing, statement, params)).await {
            Ok(told) => told,
            Err(_) => Err(self.session.pool().note_silence(&doing, ANSWER)),
        }
    }

    /// `column`, a text in `utf8mb4`, under the collation.
    pub(super) fn text(&self, column: &str) -> String {
        let Collation { charset, name } = self.collation;
        format!("CONVERT({column} USING {charset}) COLLATE {name}")
    }

    /// The units in a weight of one character, or of texts where units have one width.
    pub(super) fn units(&self, width: UnitWidth, weight: &[u8]) -> Result<Vec<u32>> {
        let unit = |bytes: &[u8]| bytes.iter().fold(0, |unit, &byte| unit << 8 | u32::from(byte));
        match width {
            UnitWidth::Fixed(width) if weight.len().is_multiple_of(usize::from(width)) => {
                Ok(weight.chunks(usize::from(width)).map(unit).collect())
            }
            UnitWidth::Character if weight.len() <= 3 => {
                Ok(if weight.is_empty() { Vec::new() } else { vec![CollationWeights::unit_of_bytes(weight)] })
            }
            _ => Err(refused(self.collation, "its weights are not of a known form")),
        }
    }
}

/// In parts that fit in a statement each.
fn parts<T>(all: &[T], size: impl Fn(&T) -> usize) -> Vec<&[T]> {
    let mut parts = Vec::new();
    let (mut from, mut bytes) = (0, 0);
    for (at, one) in all.iter().enumerate() {
        bytes += size(one);
        if at > from && (at - from == AT_ONCE || bytes > BYTES_AT_ONCE) {
            parts.push(&all[from..at]);
            (from, bytes) = (at, size(one));
        }
    }
    if from < all.len() {
        parts.push(&all[from..]);
    }
    parts
}

/// Texts as a list in JSON.
fn json(texts: &[String]) -> String {
    let mut json = String::from("[");
    for (at, text) in texts.iter().enumerate() {
        json.push_str(if at > 0 { ",\"" } else { "\"" });
        for character in text.chars() {
            match character {
                '"' | '\\' => json.extend(['\\', character]),
                '\0'..' ' => json.push_str(&format!("\\u{:04x}", character as u32)),
                other => json.push(other),
            }
        }
        json.push('"');
    }
    json.push(']');
    json
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_whole_and_bounded() {
        let texts: Vec<String> = (0..10_000).map(|n| "x".repeat(n % 500)).collect();
        let parts = parts(&texts, String::len);
        assert_eq!(parts.concat(), texts);
        for part in parts {
            assert!(part.len() <= AT_ONCE && part.iter().map(String::len).sum::<usize>() <= BYTES_AT_ONCE);
        }
    }

    #[test]
    fn texts_are_quoted() {
        let texts = ["a\"b\\".to_owned(), "\0\n€".to_owned()];
        assert_eq!(json(&texts), "[\"a\\\"b\\\\\",\"\\u0000\\u000a€\"]");
    }
}
