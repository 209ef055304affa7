//! From the server's description of a column to its [`ColumnType`].

use crossweave_contract::{Collation, ColumnType};

use super::read::RawColumn;

/// How a column is to be understood beyond what its description says.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Reading {
    /// It has the check of a JSON column.
    pub(super) json: bool,
    /// The config declares it boolean, should it be a TINYINT(1).
    pub(super) boolean: bool,
}

/// Whether `column_type` is that of a BOOLEAN column, which MariaDB makes a TINYINT(1).
pub(crate) fn is_tinyint_1(column_type: &str) -> bool {
    column_type == "tinyint(1)"
}

/// The type of `column`; the reason if it has none.
pub(super) fn column_type(column: &RawColumn, reading: Reading) -> Result<ColumnType, String> {
    let unsigned = column.column_type.split_whitespace().any(|word| word == "unsigned");
    let fsp = column.fsp.and_then(|fsp| u8::try_from(fsp).ok()).unwrap_or(0);
    let mapped = match column.data_type.as_str() {
        "tinyint" if reading.boolean && is_tinyint_1(&column.column_type) => ColumnType::Boolean,
        "tinyint" => ColumnType::TinyInt { unsigned },
        "smallint" => ColumnType::SmallInt { unsigned },
        "mediumint" => ColumnType::MediumInt { unsigned },
        "int" => ColumnType::Int { unsigned },
        "bigint" => ColumnType::BigInt { unsigned },
        "bit" => ColumnType::Bit { width: number(column.precision, 1..=64, "bits")? },
        "decimal" => ColumnType::Decimal {
            precision: number(column.precision, 1..=65, "digits")?,
            scale: number(column.scale, 0..=38, "digits after the point")?,
        },
        "float" => ColumnType::Float,
        "double" => ColumnType::Double,
        "longtext" if reading.json => ColumnType::Json { collation: collation(column)? },
        "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" => {
            ColumnType::Text { collation: collation(column)? }
        }
        "json" => ColumnType::Json { collation: collation(column)? },
        "enum" => ColumnType::Enum { values: members_of(column)?, collation: collation(column)? },
        "set" => ColumnType::Set { values: members_of(column)?, collation: collation(column)? },
        "binary" => ColumnType::Binary { fixed: column.length.and_then(|length| u32::try_from(length).ok()) },
        "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => ColumnType::Binary { fixed: None },
        "year" if column.column_type.starts_with("year(2)") => {
            return Err("YEAR(2) does not say the century: change it to YEAR".into());
        }
        "year" => ColumnType::Year,
        "date" => ColumnType::Date,
        "datetime" => ColumnType::DateTime { fsp },
        "timestamp" => ColumnType::Timestamp { fsp },
        "time" => ColumnType::Time { fsp },
        "uuid" => ColumnType::Uuid,
        "inet4" => ColumnType::Inet4,
        "inet6" => ColumnType::Inet6,
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geometrycollection" => ColumnType::Geometry,
        "vector" => ColumnType::Vector { dimensions: dimensions(&column.column_type)? },
        other => return Err(format!("its type {other} is not known here")),
    };
    Ok(mapped)
}

fn number(found: Option<u64>, allowed: std::ops::RangeInclusive<u8>, what: &str) -> Result<u8, String> {
    let value = found.and_then(|value| u8::try_from(value).ok()).filter(|value| allowed.contains(value));
    value.ok_or_else(|| format!("it has {found:?} {what}, expected {} to {}", allowed.start(), allowed.end()))
}

fn collation(column: &RawColumn) -> Result<Collation, String> {
    match (&column.charset, &column.collation) {
        (Some(charset), Some(collation)) => Ok(Collation::new(charset.as_str(), collation.as_str())),
        _ => Err(format!("{} has no character set", column.column_type)),
    }
}

fn dimensions(column_type: &str) -> Result<u32, String> {
    let digits = column_type.strip_prefix("vector(").and_then(|rest| rest.split(')').next());
    let dimensions = digits.and_then(|digits| digits.parse().ok()).filter(|n| (1..=16_383).contains(n));
    dimensions.ok_or_else(|| format!("{column_type} does not say how many elements it has"))
}

fn members_of(column: &RawColumn) -> Result<Vec<String>, String> {
    column.members.clone().unwrap_or_else(|| members(&column.column_type))
}

/// The members of `enum('a','b''c')` or `set(…)`. Under the pinned `sql_mode` the server doubles quotes and
/// writes backslash, line ends and NUL with a backslash.
pub(super) fn members(column_type: &str) -> Result<Vec<String>, String> {
    let unexpected = || format!("its list of values is not known: {column_type}");
    let list = column_type.strip_prefix("enum(").or_else(|| column_type.strip_prefix("set("));
    let mut chars = list.ok_or_else(unexpected)?.chars().peekable();
    let mut members = Vec::new();
    loop {
        if chars.next() != Some('\'') {
            return Err(unexpected());
        }
        let mut member = String::new();
        loop {
            match chars.next().ok_or_else(unexpected)? {
                '\\' => member.push(match chars.next().ok_or_else(unexpected)? {
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    '0' => '\0',
                    other => other,
                }),
                '\'' if chars.peek() == Some(&'\'') => {
                    chars.next();
                    member.push('\'');
                }
                '\'' => break,
                other => member.push(other),
            }
        }
        members.push(member);
        match chars.next() {
            Some(',') => {}
            Some(')') => return Ok(members),
            _ => return Err(unexpected()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_quotes_commas_and_backslashes() {
        let read = members(r#"enum('a','b''c','d\\e','f,g','','x)','"q"','l\nm','ü','''')"#).unwrap();
        assert_eq!(read, ["a", "b'c", "d\\e", "f,g", "", "x)", "\"q\"", "l\nm", "ü", "'"]);
        assert_eq!(members("set('x') CHARACTER SET latin1").unwrap(), ["x"]);
        for bad in ["enum()", "enum('a'", "enum('a',)", "int(11)", "enum(a)", "enum('a\\"] {
            assert!(members(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_mapped_has_a_reason() {
        let column = |data_type: &str, column_type: &str| RawColumn {
            data_type: data_type.into(),
            column_type: column_type.into(),
            ..RawColumn::default()
        };
        let reason = |data_type, text| column_type(&column(data_type, text), Reading::default()).unwrap_err();
        assert!(reason("year", "year(2)").contains("century"));
        assert!(reason("xmltype", "xmltype").contains("xmltype"));
        assert!(reason("vector", "vector").contains("elements"));
        assert!(reason("decimal", "decimal(10,40)").contains("digits"));
        assert!(reason("varchar", "varchar(3)").contains("character set"));
    }
}
