//! Asking a server for the characters of a character set: one statement, in which each byte, pair and triple of bytes
//! that may be one is followed by a line end. What comes back with one character in its line is one.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crossweave_contract::{ConnectorError, ErrorKind, Result};

use super::Characters;
use crate::SourceOptions;
use crate::capture::connect::describe;
use crate::connection;
use crate::wire::Conn;

/// With which characters of three bytes begin, in the sets that have some (ujis, eucjpms).
pub(super) const FIRST_OF_THREE: u8 = 0x8f;

/// Control characters, the line end among them, are the same in every character set that a column may have here.
const CONTROLS: usize = 0x20;

/// Bound on all the questions together. Each takes a few milliseconds.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// The character sets of the given `names`. Of one that has characters of more than three bytes nothing is known.
pub(super) async fn characters(
    options: &SourceOptions,
    names: HashSet<&str>,
) -> Result<Vec<(Box<str>, Arc<Characters>)>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let asked = async {
        let mut conn = connection::connect(options).await?;
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            let characters = ask(&mut conn, name).await.map_err(|error| describe(options, error))?;
            found.extend(characters.map(|characters| (name.into(), Arc::new(characters))));
        }
        Ok(found)
    };
    tokio::time::timeout(TIME_LIMIT, asked).await.map_err(|_| {
        let message = format!("source {}: no character sets within {TIME_LIMIT:?}", options.id);
        ConnectorError::new(ErrorKind::Unreachable, message)
    })?
}

async fn ask(conn: &mut Conn, name: &str) -> mysql_async::Result<Option<Characters>> {
    let statement = "SELECT MAXLEN FROM information_schema.CHARACTER_SETS WHERE CHARACTER_SET_NAME = ?";
    let longest: Option<u64> = conn.exec_first(statement, (name,)).await?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let Some(longest @ 1..=3) = longest.filter(|_| is_name) else { return Ok(None) };
    let mut characters = Characters { singles: vec![None; 256], doubles: Vec::new(), triples: Vec::new() };
    for (byte, single) in (0..=u8::MAX).zip(&mut characters.singles).take(CONTROLS) {
        *single = Some(char::from(byte));
    }
    let singles: Vec<[u8; 1]> = (0..=u8::MAX).skip(CONTROLS).map(|byte| [byte]).collect();
    for ([byte], c) in shown(conn, name, &singles).await? {
        characters.singles[usize::from(byte)] = Some(c);
    }
    if longest > 1 {
        let pairs = (0x81..=0xfe).flat_map(|first| (0x40..=0xfe).map(move |second| [first, second]));
        characters.doubles = vec![None; 1 << 16];
        for (pair, c) in shown(conn, name, &pairs.collect::<Vec<_>>()).await? {
            characters.doubles[usize::from(u16::from_be_bytes(pair))] = Some(c);
            // By itself it is damage, which is shown as a question mark.
            characters.singles[usize::from(pair[0])] = None;
        }
    }
    if longest > 2 {
        let last = || 0xa1..=0xfe;
        let triples = last().flat_map(|second| last().map(move |third| [FIRST_OF_THREE, second, third]));
        characters.triples = vec![None; 1 << 16];
        for ([_, second, third], c) in shown(conn, name, &triples.collect::<Vec<_>>()).await? {
            characters.triples[usize::from(u16::from_be_bytes([second, third]))] = Some(c);
        }
        characters.singles[usize::from(FIRST_OF_THREE)] = None;
    }
    Ok(Some(characters))
}

/// Those of `sequences` that are one character each, with it.
async fn shown<const N: usize>(
    conn: &mut Conn,
    name: &str,
    sequences: &[[u8; N]],
) -> mysql_async::Result<Vec<([u8; N], char)>> {
    use std::fmt::Write as _;
    let mut digits = String::with_capacity(sequences.len() * (2 * N + 2));
    for sequence in sequences {
        for byte in sequence {
            let _ = write!(digits, "{byte:02x}");
        }
        digits.push_str("0a");
    }
    let statement = format!("SELECT CONVERT(CONVERT(UNHEX(?) USING {name}) USING utf8mb4)");
    let text: Option<String> = conn.exec_first(&statement, (digits,)).await?;
    let text = text.unwrap_or_default();
    let one = |line: &str| {
        let mut characters = line.chars();
        characters.next().filter(|_| characters.next().is_none())
    };
    Ok(sequences.iter().zip(text.split('\n')).filter_map(|(bytes, line)| Some((*bytes, one(line)?))).collect())
}
