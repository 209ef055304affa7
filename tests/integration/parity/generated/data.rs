//! The tables: their columns with the values that are hard to get right, and their rows by chance.
//!
//! Three services. `left` and `right` are on one server, so that they can be joined there; `far` is on another, and
//! has a table without a key, and a view, which is a table to the oracle. The oracle has all tables in one database, with NULL for each zero date, as Crossweave
//! shows those.

use super::ast::Type;
use super::rng::Rng;

pub(super) const GENERAL: &str = "utf8mb4_general_ci";
pub(super) const UNICODE: &str = "utf8mb4_unicode_ci";
pub(super) const BIN: &str = "utf8mb4_bin";
pub(super) const GENERAL_NOPAD: &str = "utf8mb4_general_nopad_ci";
pub(super) const UNICODE_NOPAD: &str = "utf8mb4_unicode_nopad_ci";
pub(super) const BIN_NOPAD: &str = "utf8mb4_nopad_bin";
pub(super) const LATIN: &str = "latin1_swedish_ci";

pub(super) struct Table {
    pub(super) service: &'static str,
    pub(super) name: &'static str,
    pub(super) columns: &'static [Column],
    /// Columns that tell rows apart; none where the table has no key.
    pub(super) key: &'static [&'static str],
    /// The rest of its definition, after the columns.
    definition: &'static str,
    rows: usize,
    /// What it selects, if it is a view.
    view: Option<&'static str>,
}

pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) ty: Type,
    definition: &'static str,
    values: Values,
}

/// Where a column's values come from.
enum Values {
    /// 1, 2, 3, … by row.
    Serial,
    /// By row, each `.0` times.
    Repeated(usize),
    /// By row, from a list that is long enough.
    Each(&'static [&'static str]),
    /// By chance, and NULL in `.1` of a hundred.
    Of(&'static [&'static str], usize),
}

use Values::{Each, Of, Repeated, Serial};

const fn column(name: &'static str, ty: Type, definition: &'static str, values: Values) -> Column {
    Column { name, ty, definition, values }
}

/// Texts as SQL literals under NO_BACKSLASH_ESCAPES.
pub(super) const TEXTS: &[&str] = &[
    "''",
    "' '",
    "'a'",
    "'A'",
    "'a '",
    "'á'",
    "'Á  '",
    "'ab'",
    "'AB '",
    "'a b'",
    "'b'",
    "'B'",
    "'ß'",
    "'ss'",
    "'SS'",
    "'s'",
    "'é'",
    "'É'",
    "'e\u{301}'",
    "'e'",
    "'😀'",
    "'😁'",
    "'\\'",
    "'a\\b'",
    "''''",
    "'\"'",
    "'%'",
    "'_'",
    "'a_b'",
    "'100%'",
    "'Straße'",
    "'STRASSE'",
    "'я'",
    "'Я'",
    "'日本'",
    "'x\ty'",
    "'10'",
    "'9'",
];

/// What latin1 has of them.
pub(super) const LATIN_TEXTS: &[&str] = &[
    "''", "' '", "'a'", "'A'", "'a '", "'á'", "'ab'", "'b'", "'ß'", "'ss'", "'É'", "'e'", "'Ä'", "'å'", "'ü'",
    "'y'",
];

/// Texts no two of which are equal under any collation.
const CODES: &[&str] = &[
    "'a'", "'B '", "'é'", "'ss'", "''", "'😀'", "'ab'", "'a b'", "'100%'", "'a_b'", "'\\'", "''''", "'Я'",
    "'日本'", "'c'", "'D'", "'x\ty'", "'10'", "'9'", "'Öl'", "'zz'", "'\"'",
];

const SMALL: &[&str] = &["-3", "-1", "0", "0", "1", "1", "2", "3", "5", "7", "10", "42"];
const BIG: &[&str] = &[
    "18446744073709551615",
    "18446744073709551614",
    "9223372036854775808",
    "9223372036854775807",
    "0",
    "1",
    "7",
    "7",
    "4294967296",
];
const AMOUNTS: &[&str] = &[
    "0",
    "0.0001",
    "-0.0001",
    "1",
    "1.5",
    "-1.5",
    "2.5",
    "99999.9999",
    "-99999.9999",
    "7.1250",
    "7.125",
    "3.3333",
];
const DOUBLES: &[&str] =
    &["0", "-0.0e0", "1.5", "-0.5", "0.1", "2.5", "3", "1e15", "-7.25", "1e-7", "0.30000000000000004"];
const SINGLES: &[&str] = &["0", "1.1", "0.5", "-2.5", "16777216", "0.1", "3"];
const DATES: &[&str] = &[
    "'0000-00-00'",
    "'2018-02-00'",
    "'1000-01-01'",
    "'9999-12-31'",
    "'2024-02-29'",
    "'2024-01-01'",
    "'2024-01-01'",
    "'1969-12-31'",
    "'2024-12-31'",
    "'2023-03-15'",
];
const MOMENTS: &[&str] = &[
    "'0000-00-00 00:00:00'",
    "'2018-02-00 00:00:00'",
    "'1000-01-01 00:00:00'",
    "'9999-12-31 23:59:59.999999'",
    "'2024-02-29 23:59:59.999999'",
    "'2024-01-01 00:00:00'",
    "'2024-01-01 00:00:00.000001'",
    "'1969-12-31 23:59:59.5'",
    "'2024-12-31 12:30:00'",
    "'2023-03-15 08:00:00.25'",
];
const STAMPS: &[&str] = &[
    "'1970-01-01 00:00:01'",
    "'2037-12-31 23:59:59.999999'",
    "'2024-01-01 00:00:00.000001'",
    "'2024-01-01 00:00:00'",
    "'2024-02-29 12:00:00'",
    "'2001-09-09 01:46:40.5'",
];
const TIMES: &[&str] = &[
    "'838:59:59'",
    "'-838:59:59'",
    "'00:00:00'",
    "'00:00:00.000001'",
    "'-00:00:00.5'",
    "'10:00:00'",
    "'23:59:59.999999'",
];
const LABELS: &[&str] = &["'low'", "'High'", "'mid'", "'é'"];
const SETS: &[&str] = &["''", "'x'", "'x,y'", "'z'", "'y,z'", "'x,y,z'"];
const UUIDS: &[&str] = &[
    "'6ccd780c-baba-1026-9564-5b8c656024db'",
    "'00000000-0000-4000-8000-0000000000ff'",
    "'ffffffff-0000-4000-8000-000000000001'",
    "'018f0000-0000-7000-8000-000000000001'",
    "'00000000-0000-0000-0000-000000000000'",
];
const ADDRESSES: &[&str] = &["'::1'", "'2001:db8::1'", "'::ffff:1.2.3.4'", "'fe80::1'", "'::'"];
const DOCUMENTS: &[&str] = &["'{\"a\": 1}'", "'[]'", "'\"x\"'", "'{\"b\": [1, 2.50, \"é\"]}'", "'null'"];
const BYTES: &[&str] = &["x''", "x'00'", "x'6100'", "x'61'", "x'ff00ff'", "x'20'", "x'4120'"];
const WIDE: &[&str] = &[
    "1234567890123456789012345678.1234567891",
    "-9999999999999999999999999999.9999999999",
    "0.0000000001",
    "-1",
    "0",
    "7.5",
    "7.5000000001",
];
const HUGE: &[&str] = &[
    "12345678901234567890123456789012345.123456789012345678901234567891",
    "0.000000000000000000000000000001",
    "-1.5",
    "0",
    "99999999999999999999999999999999999.999999999999999999999999999999",
];
const YEARS: &[&str] = &["2024", "1999", "1901", "2155", "2001"];
const FLAGS: &[&str] = &["0", "1", "1", "2"];
const BITS: &[&str] = &["b'0'", "b'1'"];
const TEN_BITS: &[&str] = &["b'0'", "b'1'", "b'1111111111'", "b'100'", "b'10000000'"];
const LONG: &[&str] =
    &["repeat('a', 9000)", "concat(repeat('A', 9000), ' ')", "concat(repeat('a', 8999), 'é')", "'short'"];

pub(super) const TABLES: &[Table] = &[
    Table {
        service: "left",
        name: "people",
        key: &["id"],
        rows: 60,
        definition: "PRIMARY KEY (id), KEY (g), KEY (boss), KEY (born)",
        view: None,
        columns: &[
            column("id", Type::Int, "INT NOT NULL", Serial),
            column("g", Type::Text(GENERAL), "VARCHAR(40) COLLATE utf8mb4_general_ci", Of(TEXTS, 8)),
            column("u", Type::Text(UNICODE), "VARCHAR(40) COLLATE utf8mb4_unicode_ci", Of(TEXTS, 8)),
            column("b", Type::Text(BIN), "VARCHAR(40) COLLATE utf8mb4_bin", Of(TEXTS, 8)),
            column(
                "n",
                Type::Text(GENERAL_NOPAD),
                "VARCHAR(40) COLLATE utf8mb4_general_nopad_ci",
                Of(TEXTS, 8),
            ),
            column("c", Type::Text(GENERAL), "CHAR(10) COLLATE utf8mb4_general_ci", Of(TEXTS, 8)),
            column(
                "e",
                Type::Enum,
                "ENUM('low', 'High', 'mid', 'é') COLLATE utf8mb4_general_ci",
                Of(LABELS, 10),
            ),
            column("s", Type::Set, "SET('x', 'y', 'z') COLLATE utf8mb4_general_ci", Of(SETS, 10)),
            column("boss", Type::Int, "INT NULL", Of(SMALL, 15)),
            column("ok", Type::Int, "TINYINT(1) NULL", Of(FLAGS, 15)),
            column("bt", Type::Bool, "BIT(1) NULL", Of(BITS, 15)),
            column("born", Type::Date, "DATE NULL", Of(DATES, 10)),
            column("at", Type::Moment, "DATETIME(6) NULL", Of(MOMENTS, 10)),
            column("big", Type::Big, "BIGINT UNSIGNED NULL", Of(BIG, 10)),
        ],
    },
    Table {
        service: "left",
        name: "tags",
        key: &["code"],
        rows: 22,
        definition: "PRIMARY KEY (code), KEY (num)",
        view: None,
        columns: &[
            column("code", Type::Text(GENERAL), "VARCHAR(20) COLLATE utf8mb4_general_ci NOT NULL", Each(CODES)),
            column("num", Type::Int, "SMALLINT NULL", Of(SMALL, 10)),
            column("u", Type::Text(UNICODE), "VARCHAR(20) COLLATE utf8mb4_unicode_ci NOT NULL", Of(TEXTS, 0)),
            column("note", Type::Text(GENERAL), "TEXT COLLATE utf8mb4_general_ci NULL", Of(LONG, 20)),
            column("price", Type::Dec, "DECIMAL(9,2) NULL", Of(&["1.50", "1.05", "0", "-7", "1000000.99"], 10)),
        ],
    },
    Table {
        service: "right",
        name: "orders",
        key: &["person", "line"],
        rows: 110,
        definition: "PRIMARY KEY (person, line), KEY (g), KEY (day)",
        view: None,
        columns: &[
            column("person", Type::Int, "INT NOT NULL", Repeated(3)),
            column("line", Type::Int, "SMALLINT NOT NULL", Serial),
            column("g", Type::Text(GENERAL), "VARCHAR(40) COLLATE utf8mb4_general_ci NULL", Of(TEXTS, 8)),
            column("b", Type::Text(BIN), "VARCHAR(40) COLLATE utf8mb4_bin NOT NULL", Of(TEXTS, 0)),
            column("amount", Type::Dec, "DECIMAL(12,4) NULL", Of(AMOUNTS, 10)),
            column("ratio", Type::Double, "DOUBLE NULL", Of(DOUBLES, 10)),
            column("f", Type::Single, "FLOAT NULL", Of(SINGLES, 10)),
            column("day", Type::Date, "DATE NULL", Of(DATES, 10)),
            column("ts", Type::Stamp, "TIMESTAMP(6) NULL", Of(STAMPS, 10)),
            column("pause", Type::Time, "TIME(6) NULL", Of(TIMES, 10)),
            column("big", Type::Big, "BIGINT UNSIGNED NOT NULL", Of(BIG, 0)),
            column("bits", Type::Big, "BIT(10) NULL", Of(TEN_BITS, 10)),
            column("yr", Type::Year, "YEAR NULL", Of(YEARS, 10)),
            column(
                "e",
                Type::Enum,
                "ENUM('mid', 'é', 'low', 'High') COLLATE utf8mb4_general_ci",
                Of(LABELS, 10),
            ),
        ],
    },
    Table {
        service: "right",
        name: "words",
        key: &["k", "n"],
        rows: 38,
        definition: "PRIMARY KEY (k, n)",
        view: None,
        columns: &[
            column("k", Type::Text(BIN), "VARCHAR(20) COLLATE utf8mb4_bin NOT NULL", Each(TEXTS)),
            column("n", Type::Int, "INT NOT NULL", Serial),
            column("u", Type::Text(UNICODE), "VARCHAR(20) COLLATE utf8mb4_unicode_ci NULL", Of(TEXTS, 10)),
            column(
                "un",
                Type::Text(UNICODE_NOPAD),
                "VARCHAR(20) COLLATE utf8mb4_unicode_nopad_ci NULL",
                Of(TEXTS, 10),
            ),
            column("bn", Type::Text(BIN_NOPAD), "VARCHAR(20) COLLATE utf8mb4_nopad_bin NULL", Of(TEXTS, 10)),
            column("l", Type::Text(LATIN), "VARCHAR(20) CHARACTER SET latin1 NULL", Of(LATIN_TEXTS, 10)),
            column("at", Type::Moment, "DATETIME(6) NULL", Of(MOMENTS, 10)),
        ],
    },
    Table {
        service: "far",
        name: "items",
        key: &["id"],
        rows: 45,
        definition: "PRIMARY KEY (id), KEY (tag), KEY (num)",
        view: None,
        columns: &[
            column("id", Type::Big, "BIGINT UNSIGNED NOT NULL", Serial),
            column("tag", Type::Text(GENERAL), "VARCHAR(20) COLLATE utf8mb4_general_ci NULL", Of(CODES, 10)),
            column("u", Type::Text(UNICODE), "VARCHAR(40) COLLATE utf8mb4_unicode_ci NULL", Of(TEXTS, 10)),
            column("num", Type::Int, "MEDIUMINT NULL", Of(&["0", "1", "2", "3", "5", "7", "42", "16777"], 10)),
            column("mu", Type::Big, "MEDIUMINT UNSIGNED NULL", Of(&["0", "1", "3", "16777215"], 10)),
            column("price", Type::Dec, "DECIMAL(12,4) NOT NULL", Of(AMOUNTS, 0)),
            column("wide", Type::Wide, "DECIMAL(38,10) NULL", Of(WIDE, 10)),
            column("huge", Type::Wide, "DECIMAL(65,30) NULL", Of(HUGE, 10)),
            column("uu", Type::Uuid, "UUID NULL", Of(UUIDS, 10)),
            column("i6", Type::Inet6, "INET6 NULL", Of(ADDRESSES, 10)),
            column("doc", Type::Json, "JSON NULL", Of(DOCUMENTS, 10)),
            column("raw", Type::Bytes, "VARBINARY(20) NULL", Of(BYTES, 10)),
            column("ratio", Type::Double, "DOUBLE NULL", Of(DOUBLES, 10)),
            column(
                "made",
                Type::Moment,
                "DATETIME NOT NULL",
                Of(&["'2024-01-01 00:00:00'", "'2024-02-29 12:00:00'"], 0),
            ),
        ],
    },
    Table {
        service: "far",
        name: "loose",
        key: &[],
        rows: 50,
        definition: "KEY (num)",
        view: None,
        columns: &[
            column("num", Type::Int, "INT NULL", Of(SMALL, 10)),
            column("g", Type::Text(GENERAL), "VARCHAR(20) COLLATE utf8mb4_general_ci NULL", Of(TEXTS, 10)),
            column("b", Type::Text(BIN), "VARCHAR(20) COLLATE utf8mb4_bin NULL", Of(TEXTS, 10)),
            column("amount", Type::Dec, "DECIMAL(12,4) NULL", Of(AMOUNTS, 10)),
            column("day", Type::Date, "DATE NULL", Of(DATES, 10)),
            column("bt", Type::Bool, "BIT(1) NULL", Of(BITS, 10)),
        ],
    },
    Table {
        service: "far",
        name: "seen",
        key: &[],
        rows: 0,
        definition: "",
        view: Some("SELECT id, tag, u, num, price, ratio, made FROM items WHERE id % 5 <> 2"),
        columns: &[
            column("id", Type::Big, "", Serial),
            column("tag", Type::Text(GENERAL), "", Serial),
            column("u", Type::Text(UNICODE), "", Serial),
            column("num", Type::Int, "", Serial),
            column("price", Type::Dec, "", Serial),
            column("ratio", Type::Double, "", Serial),
            column("made", Type::Moment, "NOT NULL", Serial),
        ],
    },
];

impl Column {
    /// Whether MariaDB gives it as bytes, though it is a number.
    pub(super) fn is_bits(&self) -> bool {
        self.definition.starts_with("BIT")
    }
}

impl Table {
    pub(super) fn create(&self) -> String {
        if let Some(select) = self.view {
            return format!("CREATE VIEW {} AS {select}", self.name);
        }
        format!("CREATE TABLE {} ({}, {})", self.name, self.definitions(), self.definition)
    }

    /// The same for the oracle: without keys. Over one, MariaDB finds 2 where a SMALLINT is compared with 2.1, and does
    /// not find the NULL in what IN compares with, where the value on the left does not fit the type on the right.
    pub(super) fn create_for_oracle(&self) -> String {
        if let Some(select) = self.view {
            return format!("CREATE TABLE {} AS {select}", self.name);
        }
        format!("CREATE TABLE {} ({})", self.name, self.definitions())
    }

    fn definitions(&self) -> String {
        let columns = self.columns.iter().map(|column| format!("{} {}", column.name, column.definition));
        columns.collect::<Vec<_>>().join(", ")
    }

    /// All rows, in one statement, of what is no view. They are the same each time.
    pub(super) fn insert(&self) -> Option<String> {
        if self.view.is_some() {
            return None;
        }
        let mut rng = Rng::new(self.name.bytes().fold(7, |seed, byte| seed * 31 + u64::from(byte)));
        let rows = (0..self.rows).map(|row| {
            let values = self.columns.iter().map(|column| column.values.at(row, &mut rng));
            format!("({})", values.collect::<Vec<_>>().join(", "))
        });
        Some(format!("INSERT INTO {} VALUES {}", self.name, rows.collect::<Vec<_>>().join(", ")))
    }

    /// Statements after which zero dates are NULL.
    pub(super) fn without_zero_dates(&self) -> Vec<String> {
        let dates = self.columns.iter().filter(|column| matches!(column.ty, Type::Date | Type::Moment));
        let update = |column: &Column| {
            let (table, name) = (self.name, column.name);
            format!("UPDATE {table} SET {name} = NULL WHERE DAYOFMONTH({name}) = 0")
        };
        dates.filter(|column| !column.definition.contains("NOT NULL")).map(update).collect()
    }
}

impl Values {
    fn at(&self, row: usize, rng: &mut Rng) -> String {
        match self {
            Serial => (row + 1).to_string(),
            Repeated(times) => (row / times + 1).to_string(),
            Each(values) => values[row].to_owned(),
            Of(_, nulls) if rng.chance(*nulls) => "NULL".to_owned(),
            Of(values, _) => (*rng.pick(values)).to_owned(),
        }
    }
}
