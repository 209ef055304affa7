//! The weights of a collation, asked from the server.
//!
//! Why is an answer of these weights the server's? `WEIGHT_STRING` is what the server itself compares by; it is
//! asked for each code point there is. That the weight of a text is no more than those of its characters, one
//! after the other, is not taken on trust: random texts, made to meet contractions, must give the same on the
//! server, or the collation is refused ([`verify`]).

use crossweave_contract::{Collation, CollationWeights, ConnectorError, ErrorKind, Result};
use mysql_async::Value;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::connection::Session;

/// Code points in one statement: those of a plane.
const PLANE: u32 = 0x1_0000;

/// Code points there are.
const ALL: u32 = 0x11_0000;

/// Code points in one row of the answer; the client's work goes by rows.
const RUN: u32 = 16;

/// Texts that are compared with the server.
const SAMPLES: usize = 512;

/// Texts in one statement of the comparison.
const SAMPLES_AT_ONCE: usize = 64;

/// Loads and verifies the weights of `collation`.
pub(crate) async fn load(session: &mut Session, collation: &Collation) -> Result<CollationWeights> {
    if !collation.is_weighted() {
        return Err(refused(collation, "its weights are not those of its characters, one after the other"));
    }
    let names = [&collation.charset, &collation.name];
    if !names.iter().all(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')) {
        return Err(refused(collation, "that is no name of a collation"));
    }
    let mut table = vec![None; ALL as usize];
    let doing = format!("reading the weights of {}", collation.name);
    let statement = plane_statement(collation);
    for plane in 0..planes(&collation.charset) {
        let rows: Vec<(u32, String)> = session.rows(&doing, &statement, (plane * PLANE,)).await?;
        for (first, run) in rows {
            for (code, weight) in (first as usize..).zip(run.split(',')) {
                if let (Some(place), false) = (table.get_mut(code), weight == ABSENT) {
                    let bytes = unhex(weight);
                    *place = Some(bytes.ok_or_else(|| refused(collation, "the server's answer is not known"))?);
                }
            }
        }
    }
    let weights = flatten(collation, &table);
    verify(session, &weights).await?;
    Ok(weights)
}

/// What stands for the weight of a character that the character set does not have.
const ABSENT: &str = "-";

/// Character sets with all of Unicode, and with its basic plane. The others have some of the basic plane.
const WHOLE: [&str; 4] = ["utf8mb4", "utf16", "utf16le", "utf32"];
const BASIC: [&str; 3] = ["utf8mb3", "utf8", "ucs2"];

/// How many planes the characters of `charset` are in.
fn planes(charset: &str) -> u32 {
    if WHOLE.contains(&charset) { ALL / PLANE } else { 1 }
}

/// The weights of a plane's characters, in runs: the first code point, and the weights in hexadecimal.
///
/// The numbers are made from hexadecimal digits, so that neither the sequence engine nor a recursive query is
/// needed.
fn plane_statement(collation: &Collation) -> String {
    let Collation { charset, name } = collation;
    let digit = (0..16).map(|i| format!("SELECT {i} AS n")).collect::<Vec<_>>().join(" UNION ALL ");
    let weight = |i| {
        let c = format!("CHAR(code + {i} USING utf32)");
        let weight = format!("HEX(WEIGHT_STRING(CONVERT({c} USING {charset}) COLLATE {name}))");
        if WHOLE.contains(&charset.as_str()) || BASIC.contains(&charset.as_str()) {
            return weight;
        }
        let there_and_back = format!("CONVERT(CONVERT({c} USING {charset}) USING utf32)");
        format!("IF(HEX({there_and_back}) = HEX({c}), {weight}, '{ABSENT}')")
    };
    let run = (0..RUN).map(weight).collect::<Vec<_>>().join(", ");
    // Surrogates are no characters.
    format!(
        "SELECT code, CONCAT_WS(',', {run}) FROM \
         (SELECT CAST(? AS UNSIGNED) + h3.n * 4096 + h2.n * 256 + h1.n * {RUN} AS code FROM \
         ({digit}) AS h3 JOIN ({digit}) AS h2 JOIN ({digit}) AS h1) AS codes \
         WHERE code NOT BETWEEN 0xD800 AND 0xDFFF"
    )
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let digit = |c: u8| char::from(c).to_digit(16);
    let byte = |pair: &[u8; 2]| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}

/// The flat table, without the tail of code points that all have the same weight.
///
/// A character that the character set does not have gets a weight of its own, higher than all others: it occurs
/// in no column, and a literal with it equals nothing but itself.
fn flatten(collation: &Collation, table: &[Option<Vec<u8>>]) -> CollationWeights {
    let weight = |code: usize| match &table[code] {
        Some(weight) => weight.clone(),
        None => absent(code as u32),
    };
    let has_all = table.last().is_some_and(Option::is_some);
    let beyond = if has_all { weight(table.len() - 1) } else { absent(ALL) };
    let last = table.iter().rposition(|own| match own {
        Some(own) => !has_all || *own != beyond,
        None => false,
    });
    let length = last.map_or(0, |last| last + 1);
    let mut offsets = Vec::with_capacity(length + 1);
    let mut bytes = Vec::new();
    offsets.push(0);
    for code in 0..length {
        // Surrogates are no characters.
        if !(0xD800..0xE000).contains(&code) {
            bytes.extend(weight(code));
        }
        offsets.push(bytes.len() as u32);
    }
    CollationWeights { collation: collation.clone(), offsets, bytes, beyond }
}

fn absent(code: u32) -> Vec<u8> {
    [&[0xFF, 0xFF][..], &code.to_be_bytes()].concat()
}

/// Compares the weights of random texts with the server's.
async fn verify(session: &mut Session, weights: &CollationWeights) -> Result<()> {
    let Collation { charset, name } = &weights.collation;
    let mut random = StdRng::seed_from_u64(0x5EED);
    let known = |c: char| {
        let absent = absent(c as u32);
        weights.weight(c) != absent && weights.weight(c) != self::absent(ALL)
    };
    let texts: Vec<String> = (0..SAMPLES).map(|_| sample(&mut random, known)).collect();
    for texts in texts.chunks(SAMPLES_AT_ONCE) {
        let each = format!("SELECT WEIGHT_STRING(CONVERT(? USING {charset}) COLLATE {name}) AS w");
        let statement = vec![each; texts.len()].join(" UNION ALL ");
        let params: Vec<Value> = texts.iter().map(|text| Value::from(text.as_str())).collect();
        let found: Vec<Option<Vec<u8>>> = session.rows("verifying weights", &statement, params).await?;
        if found.len() != texts.len() {
            return Err(refused(&weights.collation, "the server did not give a weight for each text"));
        }
        for (text, found) in texts.iter().zip(found) {
            let ours: Vec<u8> = text.chars().flat_map(|c| weights.weight(c)).copied().collect();
            if found.as_deref() != Some(ours.as_slice()) {
                let reason = format!("the server gives {text:?} another weight than those of its characters");
                return Err(refused(&weights.collation, &reason));
            }
        }
    }
    Ok(())
}

/// A short text of neighbours in one script, where contractions are, mixed with spaces and marks.
fn sample(random: &mut StdRng, known: impl Fn(char) -> bool) -> String {
    const SCRIPTS: &[(u32, u32)] = &[
        (0x20, 0x7E),
        (0x20, 0x7E),
        (0x41, 0x7A),
        (0xA0, 0x17F),
        (0x180, 0x24F),
        (0x300, 0x36F),
        (0x370, 0x3FF),
        (0x400, 0x52F),
        (0x590, 0x5FF),
        (0x600, 0x6FF),
        (0x900, 0x97F),
        (0xE00, 0xEFF),
        (0x1100, 0x11FF),
        (0x1E00, 0x1EFF),
        (0x2000, 0x206F),
        (0x3040, 0x30FF),
        (0x4E00, 0x4FFF),
        (0xAC00, 0xACFF),
        (0xFB00, 0xFB4F),
        (0xFF00, 0xFFEF),
        (0x1_0300, 0x1_034F),
        (0x1_F600, 0x1_F64F),
        (0x2_0000, 0x2_00FF),
    ];
    let length = random.random_range(1..10);
    let mut script = SCRIPTS[random.random_range(0..SCRIPTS.len())];
    let mut text = String::new();
    for _ in 0..length {
        if random.random_bool(0.2) {
            script = SCRIPTS[random.random_range(0..SCRIPTS.len())];
        }
        let c = char::from_u32(random.random_range(script.0..=script.1)).filter(|c| known(*c));
        text.push(c.unwrap_or(' '));
    }
    text
}

fn refused(collation: &Collation, reason: &str) -> ConnectorError {
    let message = format!("text under the collation {} is not compared here: {reason}", collation.name);
    ConnectorError::new(ErrorKind::Settings, message)
}

#[cfg(test)]
mod tests {
    use std::cmp::Ordering;

    use crossweave_contract::PadAttribute;

    use super::*;
    use crate::connection::Pool;
    use crate::testing::server;

    async fn loaded(charset: &str, name: &str) -> CollationWeights {
        let mut session = Pool::new(server().root()).acquire().await.unwrap();
        load(&mut session, &Collation::new(charset, name)).await.unwrap()
    }

    fn key(weights: &CollationWeights, text: &str) -> Vec<u8> {
        let text = match weights.collation.pad() {
            PadAttribute::PadSpace => text.trim_end_matches(' '),
            PadAttribute::NoPad => text,
        };
        text.chars().flat_map(|c| weights.weight(c)).copied().collect()
    }

    /// Each pair of texts compares by its keys as the server compares it.
    async fn agrees(charset: &str, name: &str, texts: &[&str]) {
        let weights = loaded(charset, name).await;
        let mut session = Pool::new(server().root()).acquire().await.unwrap();
        let convert = format!("CONVERT(? USING {charset}) COLLATE {name}");
        let statement = format!("SELECT {convert} = {convert}, {convert} < {convert}");
        for a in texts {
            for b in texts {
                let (equal, less): (bool, bool) =
                    session.rows("a test", &statement, (a, b, a, b)).await.unwrap()[0];
                let ours = key(&weights, a).cmp(&key(&weights, b));
                assert_eq!(ours == Ordering::Equal, equal, "{name}: {a:?} = {b:?}");
                assert_eq!(ours == Ordering::Less, less, "{name}: {a:?} < {b:?}");
            }
        }
    }

    #[tokio::test]
    async fn the_common_collations_compare_as_on_the_server() {
        let texts = [
            "", " ", "a", "A", "a ", "ä", "Á", "æ", "ae", "b", "ß", "ss", "s", "ñ", "n", "Я", "я", "日本",
            "日", "😀", "😁", "e\u{301}", "é", "I", "İ", "ı", "i", "Å", "\u{212B}", "10", "9", "_", "-",
        ];
        for name in
            ["utf8mb4_general_ci", "utf8mb4_unicode_ci", "utf8mb4_unicode_520_ci", "utf8mb4_unicode_nopad_ci"]
        {
            agrees("utf8mb4", name, &texts).await;
        }
        agrees(
            "utf8mb3",
            "utf8mb3_general_ci",
            &texts[..28].iter().filter(|t| t.chars().all(|c| c as u32 <= 0xFFFF)).copied().collect::<Vec<_>>(),
        )
        .await;
    }

    #[tokio::test]
    async fn a_single_byte_character_set_has_weights_by_code_point() {
        for name in ["latin1_general_ci", "latin1_swedish_ci"] {
            let texts = ["a", "A", "ä", "Ä", "å", "y", "ü", "ö", "o", "ß", "s", "z", "€", "", "é", "É"];
            agrees("latin1", name, &texts).await;
            let weights = loaded("latin1", name).await;
            assert_ne!(weights.weight('日'), weights.weight('?'));
            assert_ne!(weights.weight('ā'), weights.weight('a'));
        }
    }

    #[tokio::test]
    async fn a_binary_collation_of_one_byte_orders_by_its_codes() {
        let latin = ["", " ", "a", "A", "a ", "b", "ä", "Ä", "ß", "ss", "é", "€", "ÿ", "~", "\u{a0}", "œ"];
        // In Unicode the Cyrillic letters come in another order, and after each other's marks.
        let cyrillic = ["", " ", "a", "A", "a ", "б", "Б", "б ", "ё", "Ё", "я", "Я", "№", "є", "«", "—"];
        for name in ["latin1_bin", "latin1_nopad_bin"] {
            agrees("latin1", name, &latin).await;
        }
        for (charset, name) in [("cp1251", "cp1251_bin"), ("cp1251", "cp1251_nopad_bin")] {
            agrees(charset, name, &cyrillic).await;
        }
        agrees("koi8r", "koi8r_bin", &["", "a", "A", "б", "Б", "ё", "Ё", "я", "Я", "ю", "а"]).await;
        let weights = loaded("latin1", "latin1_bin").await;
        assert_ne!(weights.weight('日'), weights.weight('?'));
    }

    #[tokio::test]
    async fn each_binary_collation_of_one_byte_passes() {
        let mut session = Pool::new(server().root()).acquire().await.unwrap();
        let all: Vec<(String, String)> = session
            .rows(
                "a test",
                "SELECT CHARACTER_SET_NAME, COLLATION_NAME FROM information_schema.COLLATION_CHARACTER_SET_APPLICABILITY \
                 JOIN information_schema.CHARACTER_SETS USING (CHARACTER_SET_NAME) \
                 WHERE COLLATION_NAME LIKE '%bin' AND MAXLEN = 1 AND CHARACTER_SET_NAME NOT IN ('binary', 'ascii', 'swe7')",
                (),
            )
            .await
            .unwrap();
        assert!(all.len() > 40, "{all:?}");
        for (charset, name) in all {
            load(&mut session, &Collation::new(charset, name)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_not_by_character_is_refused_with_the_reason() {
        let mut session = Pool::new(server().root()).acquire().await.unwrap();
        for name in ["utf8mb4_czech_ci", "utf8mb4_uca1400_ai_ci", "utf8mb4_general_ci; DROP TABLE x"] {
            let error = load(&mut session, &Collation::new("utf8mb4", name)).await.unwrap_err();
            assert_eq!(error.kind, ErrorKind::Settings);
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[tokio::test]
    async fn wrong_weights_do_not_pass() {
        let mut weights = loaded("utf8mb4", "utf8mb4_general_ci").await;
        let mut session = Pool::new(server().root()).acquire().await.unwrap();
        verify(&mut session, &weights).await.unwrap();
        let e = weights.offsets['e' as usize] as usize;
        weights.bytes[e] ^= 1;
        let error = verify(&mut session, &weights).await.unwrap_err();
        assert!(error.to_string().contains("another weight"), "{error}");
    }
}
