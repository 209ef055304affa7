//! Statements for functions, whose values stand wherever a value may.

use crossweave::federation::Family;

use super::Column;

const PARTS: &[&str] =
    &["year", "isoyear", "quarter", "month", "week", "day", "doy", "dow", "isodow", "hour", "minute", "second"];

/// Those of a TIME.
const PARTS_OF_TIME: &[&str] = &["hour", "minute", "second"];

const UNITS: &[&str] = &["year", "quarter", "month", "week", "day", "hour", "minute", "second"];

/// Of so many places where a value may stand each value is asked for in.
const PLACES: usize = 3;

/// How far apart those of one value and of the next begin: prime to how many there are.
const APART: usize = 5;

/// `values`, which are computed of columns of `table`, and may be compared with `literals`: each is shown, and stands in some of
/// the places where it may, so that all of them together stand in each.
fn everywhere(table: &str, values: &[String], literals: [&str; 3]) -> Vec<String> {
    let [one, two, three] = literals;
    let places = |value: &str| {
        let found = |condition: String| format!("SELECT id FROM s.{table} WHERE {condition}");
        vec![
            format!("SELECT {value}, count(*), max(id) FROM s.{table} GROUP BY {value}"),
            found(format!("{value} = {one}")),
            format!(
                "SELECT count({value}), count(DISTINCT {value}), min({value}), max({value}) FROM s.{table}"
            ),
            found(format!("{value} >= {one}")),
            format!("SELECT id FROM s.{table} ORDER BY {value} DESC NULLS LAST, id LIMIT 9"),
            found(format!("NOT ({value} < {two})")),
            format!("SELECT sum(CASE WHEN {value} > {two} THEN id ELSE 0 END) FROM s.{table}"),
            found(format!("{value} NOT IN ({two}, {one})")),
            format!("SELECT {value} FROM s.{table} GROUP BY {value} ORDER BY {value} LIMIT 100"),
            found(format!("{value} BETWEEN {three} AND {one}")),
            format!(
                "SELECT max(n) FROM (SELECT {value}, count(*) AS n FROM s.{table} GROUP BY {value} HAVING {value} IS NOT NULL) x"
            ),
            found(format!("({value} <> {three}) IS NOT TRUE")),
        ]
    };
    let of = |(at, value): (usize, &String)| {
        let shown = format!("SELECT id, {value} FROM s.{table}");
        let some: Vec<_> = places(value).into_iter().cycle().skip(at * APART).take(PLACES).collect();
        std::iter::once(shown).chain(some)
    };
    values.iter().enumerate().flat_map(of).collect()
}

/// `extract` and `date_part`.
pub(super) fn parts(column: &Column, table: &str) -> Vec<String> {
    let name = column.name;
    let is_time = column.family == Family::Time;
    let parts = if is_time { PARTS_OF_TIME } else { PARTS };
    let values: Vec<String> = parts.iter().map(|part| format!("extract({part} FROM {name})")).collect();
    let mut all = everywhere(table, &values, ["2", "24", "2024"]);
    let seconds = format!("extract(epoch FROM {name})");
    all.extend(everywhere(table, &[seconds.clone(), seconds.clone(), seconds], ["1709164800", "-1", "1e-6"]));
    if is_time {
        all.extend([
            format!("SELECT sum(extract(second FROM {name}) - 3), avg(extract(minute FROM {name})) FROM s.{table}"),
            format!(
                "SELECT id, CASE WHEN extract(hour FROM {name}) > 1 THEN extract(hour FROM {name}) END FROM s.{table}"
            ),
            format!("SELECT id FROM s.{table} WHERE date_part('HOURS', {name}) * 60 + extract(minute FROM {name}) < 9"),
        ]);
        return all;
    }
    all.extend([
        format!("SELECT id FROM s.{table} WHERE extract(year FROM {name}) * 100 + date_part('MONTHS', {name}) >= 202402"),
        format!("SELECT id FROM s.{table} WHERE extract(year FROM {name}) = 2024"),
        format!("SELECT id FROM s.{table} WHERE extract(year FROM {name}) IN (1, 9999)"),
        format!("SELECT sum(extract(second FROM {name}) - 3), avg(extract(day FROM {name})) FROM s.{table}"),
        format!(
            "SELECT a.id, b.id FROM s.{table} a JOIN s.{table} b ON a.id = b.id AND extract(month FROM a.{name}) <> \
             extract(day FROM b.{name})"
        ),
        format!(
            "SELECT id, CASE WHEN extract(hour FROM {name}) > 1 THEN extract(hour FROM {name}) END FROM s.{table}"
        ),
    ]);
    all
}

/// `date_trunc`, and casts.
pub(super) fn truncations(column: &Column, table: &str) -> Vec<String> {
    let name = column.name;
    let mut values: Vec<String> = UNITS.iter().map(|unit| format!("date_trunc('{unit}', {name})")).collect();
    let cast = if column.definition == "DATE" { "TIMESTAMP" } else { "DATE" };
    values.push(format!("CAST({name} AS {cast})"));
    let mut all = everywhere(table, &values, ["'2024-02-01'", "'9999-01-01'", "'0001-01-01'"]);
    all.push(format!("SELECT id, extract(week FROM date_trunc('month', {name})) FROM s.{table}"));
    all.push(format!("SELECT id FROM s.{table} WHERE CAST({name} AS {cast}) < '2024-02-01'"));
    all
}

/// CASE, `coalesce` and `nullif`.
pub(super) fn choices(column: &Column, table: &str) -> Vec<String> {
    let (name, values) = (column.name, column.values);
    let (first, last) = (values[0], values[values.len() - 1]);
    let chosen = [
        format!("coalesce({name}, {last})"),
        format!("nullif({name}, {last})"),
        format!("CASE WHEN id > 3 THEN {name} WHEN id > 2 THEN NULL ELSE nullif({name}, {first}) END"),
        format!("CASE {name} WHEN {last} THEN NULL ELSE {name} END"),
    ];
    let mut all = everywhere(table, &chosen, [first, values[1], first]);
    all.extend([
        format!("SELECT id, CASE {name} WHEN {last} THEN 1 WHEN {first} THEN 2 END FROM s.{table}"),
        format!("SELECT sum(CASE {name} WHEN {last} THEN 1 WHEN {first} THEN 2 ELSE 4 END) FROM s.{table}"),
    ]);
    all
}

/// `abs`. That of the least BIGINT is none.
pub(super) fn magnitudes(column: &Column, table: &str) -> Vec<String> {
    let name = column.name;
    if name == "big" {
        let find = |what: &str| {
            format!("SELECT id, abs(big) FROM s.{table} WHERE big > -9223372036854775808 AND {what}")
        };
        return vec![find("id >= 0"), find("big <> 7")];
    }
    everywhere(table, &[format!("abs({name})"), format!("abs({name} - 7)")], ["7", "0", "128"])
}

/// `/` and `%`, also by 0.
pub(super) fn divisions(column: &Column, table: &str) -> Vec<String> {
    let name = column.name;
    let values = [
        format!("({name} / 7)"),
        format!("({name} % 7)"),
        format!("({name} % -3)"),
        format!("({name} / id)"),
        format!("(id % {name})"),
        format!("(1000 / {name})"),
    ];
    everywhere(table, &values, ["1", "0", "-2"])
}

/// `/` of decimals, also by 0, and where MariaDB has no digit to round by.
pub(super) fn ratios(column: &Column, table: &str) -> Vec<String> {
    let name = column.name;
    let values = [
        format!("({name} / 7.0)"),
        format!("({name} / 0.3)"),
        format!("(2.0 / {name})"),
        format!("({name} / price)"),
        format!("(price / {name})"),
        format!("(({name} + 0.00001) / id)"),
        format!("(1.50000 / {name})"),
        format!("({name} / -3.00)"),
        format!("(price / 7.0 / {name})"),
    ];
    everywhere(table, &values, ["1", "0.142857", "-2.5"])
}

/// `substring`, `left` and `right`.
pub(super) fn substrings(column: &Column, table: &str) -> Vec<String> {
    let name = column.name;
    let values = [
        format!("substring({name}, 1, 1)"),
        format!("substring({name}, 2)"),
        format!("substr({name}, 2, 3)"),
        format!("substring({name}, 1, 0)"),
        format!("substring({name}, 100, 7)"),
        format!("left({name}, 2)"),
        format!("right({name}, 1)"),
        format!("left(right({name}, 3), 2)"),
    ];
    let mut all = everywhere(table, &values, ["'a'", "'S'", "''"]);
    all.extend([
        format!("SELECT left({name}, 1), substring({name}, 2, 1), count(*) FROM s.{table} GROUP BY 1, 2"),
        format!(
            "SELECT a.id, b.id FROM s.{table} a JOIN s.{table} b ON a.id = b.id AND left(a.{name}, 1) = right(b.{name}, 1)"
        ),
    ]);
    all
}

/// `upper` and `lower`, which are pushed down for letters of ASCII alone.
pub(super) fn cases(column: &Column, table: &str) -> Vec<String> {
    if !column.definition.contains("CHARSET ascii") {
        return Vec::new();
    }
    let name = column.name;
    let values = [
        format!("upper({name})"),
        format!("lower({name})"),
        format!("upper(left({name}, 2))"),
        format!("substring(lower({name}), 2)"),
    ];
    everywhere(table, &values, ["'a'", "'S'", "''"])
}

/// `char_length` and `octet_length`.
pub(super) fn lengths(column: &Column, table: &str) -> Vec<String> {
    let values =
        ["char_length", "length", "octet_length"].map(|function| format!("{function}({})", column.name));
    everywhere(table, &values, ["1", "2", "0"])
}
