//! What an answer's cells come to, so that two answers can be compared.
//!
//! Everything is compared exactly, but floats, which depend on the order of sums, by a relative bound, and texts that
//! stand for a group, by the weights that the server gives them.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::ast::{Output, Type};

pub(super) type Rows = Vec<Vec<Cell>>;

/// The weights of texts under collations.
pub(super) type Weights = HashMap<(String, &'static str), String>;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Exact(String),
    Number(f64),
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("NULL"),
            Self::Exact(text) if text.len() > 60 => write!(f, "{:?}… ({} bytes)", &text[..20], text.len()),
            Self::Exact(text) => write!(f, "{text:?}"),
            Self::Number(number) => write!(f, "{number:?}"),
        }
    }
}

/// A cell as either side writes it. Bytes are in hex by then, BIT(1) a number or a truth.
pub(super) fn cell(text: Option<&str>, ty: Type) -> Cell {
    let Some(text) = text else { return Cell::Null };
    let exact = |text: &str| Cell::Exact(text.to_owned());
    match ty {
        Type::Bool => exact(match text {
            "t" | "true" => "1",
            "f" | "false" => "0",
            other => other,
        }),
        Type::Int | Type::Big | Type::Year | Type::Dec | Type::Wide | Type::Quotient => exact(&plain(text)),
        // MariaDB shows six digits of it; ours are the shortest that read back.
        Type::Single => text.parse::<f32>().map_or_else(|_| exact(text), |number| Cell::Number(number.into())),
        Type::Double | Type::Inexact => text.parse().map_or_else(|_| exact(text), Cell::Number),
        Type::Moment | Type::Stamp | Type::Time => exact(&moment(text)),
        Type::Bytes => exact(text.strip_prefix("\\x").unwrap_or(text)),
        _ => exact(text),
    }
}

/// A number without the zeros that do not count.
fn plain(text: &str) -> String {
    let short = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    };
    if short == "-0" { "0".to_owned() } else { short.to_owned() }
}

/// Without T, zone and the zeros that end a fraction.
fn moment(text: &str) -> String {
    let text = text.trim_end_matches("+00").trim_end_matches('Z').replacen('T', " ", 1);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// How far two numbers of a type may be apart, relative to their size.
fn bound(ty: Type) -> f64 {
    match ty {
        Type::Single => 1e-5,
        Type::Double => 1e-13,
        _ => 1e-9,
    }
}

/// Less than any number of the tables, and their differences, squared.
const NOTHING: f64 = 1e-9;

fn same(a: &Cell, b: &Cell, ty: Type) -> bool {
    match (a, b) {
        (Cell::Number(a), Cell::Number(b)) => {
            let size = a.abs().max(b.abs());
            // What is left of a sum that should be zero has no size of its own.
            (a - b).abs() <= size * bound(ty) || (ty == Type::Inexact && size < NOTHING)
        }
        (Cell::Exact(a), Cell::Exact(b)) if ty == Type::Quotient => {
            a == b || is_cut_off(a, b) || is_cut_off(b, a)
        }
        (a, b) => a == b,
    }
}

/// Whether `short` is `long` as far as MariaDB computes: a quotient of a number that has no places by chance, as a 0 that came of a
/// quotient, ends with a word of nine digits, whatever it is shown with.
fn is_cut_off(short: &str, long: &str) -> bool {
    let places = |text: &str| text.split_once('.').map_or(0, |(_, after)| after.len());
    short.len() < long.len() && long.starts_with(short) && matches!(places(short), 9 | 18)
}

fn order(a: &[Cell], b: &[Cell]) -> Ordering {
    // Numbers come last, for they may differ a little, be it by a zero's sign.
    let key = |cell: &Cell| match cell {
        Cell::Null => (0, String::new()),
        Cell::Exact(text) => (1, text.clone()),
        Cell::Number(_) => (2, String::new()),
    };
    let number = |cell: &Cell| if let Cell::Number(number) = cell { *number + 0.0 } else { 0.0 };
    a.iter().map(key).cmp(b.iter().map(key)).then_with(|| {
        let pairs = a.iter().zip(b).map(|(a, b)| number(a).total_cmp(&number(b)));
        pairs.fold(Ordering::Equal, Ordering::then)
    })
}

/// Whether two rows are equal, as exactly as their types are.
pub(super) fn same_row(a: &[Cell], b: &[Cell], outputs: &[Output]) -> bool {
    a.iter().zip(b).zip(outputs).all(|((a, b), output)| same(a, b, output.ty))
}

fn rows_match(a: &Rows, b: &Rows, outputs: &[Output]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_row(a, b, outputs))
}

/// Rows of which each is compared with each.
const MOST_PAIRED: usize = 2_000;

/// Whether each row of `a`, sorted, has one of `b`, sorted, that is equal. Of two numbers that differ a little the first alone says
/// which row comes first, so that a row may have its equal in another place.
fn sets_match(a: &Rows, b: &Rows, outputs: &[Output]) -> bool {
    if rows_match(a, b, outputs) {
        return true;
    }
    let numbers = |row: &Vec<Cell>| row.iter().filter(|cell| matches!(cell, Cell::Number(_))).count();
    if a.len() != b.len() || a.len() > MOST_PAIRED || a.iter().all(|row| numbers(row) < 2) {
        return false;
    }
    let mut left: Vec<&Vec<Cell>> = b.iter().collect();
    a.iter().all(|row| match left.iter().position(|other| same_row(row, other, outputs)) {
        Some(place) => {
            left.swap_remove(place);
            true
        }
        None => false,
    })
}

/// Each text of the given columns by its weight.
fn folded(rows: &Rows, outputs: &[Output], weights: &Weights, all: bool) -> Rows {
    let fold = |cell: &Cell, output: &Output| match (cell, output.ty) {
        (Cell::Exact(text), Type::Text(collation)) if output.loose || all => {
            Cell::Exact(weights.get(&(text.clone(), collation)).unwrap_or(text).clone())
        }
        _ => cell.clone(),
    };
    let row = |row: &Vec<Cell>| row.iter().zip(outputs).map(|(cell, output)| fold(cell, output)).collect();
    rows.iter().map(row).collect()
}

fn sorted(mut rows: Rows) -> Rows {
    rows.sort_by(|a, b| order(a, b));
    rows
}

/// Whether two answers are equal. In an ordered one, any of several equal texts may come first.
pub(super) fn equal(
    a: &Rows,
    b: &Rows,
    outputs: &[Output],
    ordered: bool,
    limited: bool,
    weights: &Weights,
) -> bool {
    let of_groups = |rows| sorted(folded(rows, outputs, weights, limited));
    let as_sets = sets_match(&of_groups(a), &of_groups(b), outputs);
    let in_order = |rows| folded(rows, outputs, weights, true);
    as_sets && (!ordered || rows_match(&in_order(a), &in_order(b), outputs))
}

/// The texts whose weights are needed to compare answers.
pub(super) fn texts<'a>(
    rows: impl Iterator<Item = &'a Rows>,
    outputs: &[Output],
    known: &Weights,
) -> Vec<(String, &'static str)> {
    let mut wanted = Vec::new();
    for row in rows.flatten() {
        for (cell, output) in row.iter().zip(outputs) {
            if let (Cell::Exact(text), Type::Text(collation)) = (cell, output.ty) {
                let key = (text.clone(), collation);
                if !known.contains_key(&key) && !wanted.contains(&key) {
                    wanted.push(key);
                }
            }
        }
    }
    wanted
}

#[test]
fn floats_have_a_bound_and_texts_of_groups_their_weight() {
    let output = |ty, loose| Output { ty, loose };
    let number = |number| vec![vec![Cell::Number(number)]];
    let inexact = [output(Type::Inexact, false)];
    let none = Weights::new();
    assert!(equal(&number(1.0), &number(1.0 + 1e-12), &inexact, false, false, &none));
    assert!(!equal(&number(1.0), &number(1.0001), &inexact, false, false, &none));
    let text = |text: &str| vec![vec![Cell::Exact(text.to_owned())]];
    let weights = ["a", "A"].map(|text| ((text.to_owned(), "ci"), "0041".to_owned())).into();
    let ci = |loose| [output(Type::Text("ci"), loose)];
    assert!(equal(&text("a"), &text("A"), &ci(true), false, false, &weights));
    assert!(!equal(&text("a"), &text("A"), &ci(false), false, false, &weights));
    assert!(!equal(&text("a"), &text("b"), &ci(true), false, false, &weights));
    let rows = |texts: &[&str]| texts.iter().map(|one| text(one).remove(0)).collect::<Rows>();
    let plain = [output(Type::Shown, false)];
    assert!(equal(&rows(&["x", "y"]), &rows(&["y", "x"]), &plain, false, false, &none));
    assert!(!equal(&rows(&["x", "y"]), &rows(&["y", "x"]), &plain, true, false, &none));
    assert!(!equal(&rows(&["x", "x"]), &rows(&["x"]), &plain, false, false, &none));
    let pair = |one, other| vec![one, other];
    let (left, right) = (pair(Cell::Null, Cell::Number(0.0)), pair(Cell::Number(-0.0), Cell::Null));
    let numbers = [output(Type::Inexact, false), output(Type::Inexact, false)];
    let (there, back) = (vec![left.clone(), right.clone()], vec![right, left]);
    assert!(equal(&there, &back, &numbers, false, false, &none));
    let ends = |first: f64, second: f64| {
        vec![pair(Cell::Number(first), Cell::Number(8.0)), pair(Cell::Number(second), Cell::Number(9.0))]
    };
    let (one, next) = (1.0, 1.0 + f64::EPSILON);
    assert!(equal(&ends(one, next), &ends(next, one), &numbers, false, false, &none));
    assert!(!equal(&ends(one, 3.0), &ends(3.0, one), &numbers, false, false, &none));
}
