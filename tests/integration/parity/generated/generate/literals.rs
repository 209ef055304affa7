//! Constants of each type, as SQL that both dialects read alike.

use super::super::ast::{Expr, Type};
use super::super::data::{LATIN, LATIN_TEXTS, TEXTS};
use super::Generator;

const PATTERNS: &[&str] = &[
    "'a%'", "'A'", "'%'", "'_'", "''", "'%b'", "'s_'", "'%ss%'", "'%ß%'", "'É'", "'%e%'", "'a '", "'😀'",
    "'1%0!%'", "'a!_%'", "'_%_'", "'%''%'", "'%\"'", "'st%'", "'日_'",
];

impl Generator {
    /// A constant of a type, where the type has constants.
    pub(super) fn literal(&mut self, ty: Type) -> Option<Expr> {
        let texts: &[&str] = match ty {
            Type::Bool => &["true", "false"],
            Type::Int => &["-1", "0", "1", "2", "3", "5", "7", "10", "42"],
            Type::Big => &["0", "1", "7", "9223372036854775807", "9223372036854775808", "18446744073709551615"],
            Type::Year => &["1999", "2024", "2155", "1901"],
            Type::Dec => &["0.5", "1.5", "-1.5", "7.125", "0.0001", "99999.9999", "2.0", "-0.25"],
            Type::Wide => &["7.5", "0.0000000001", "-1.5", "1234567890123456789012345678.1234567891"],
            Type::Single => &["0.5", "1.0", "-2.5", "16777216"],
            Type::Double => &["0.5e0", "1.5e0", "-0.5e0", "1e15", "0e0", "0.1e0"],
            // What latin1 does not have, MariaDB does not compare with it.
            Type::Text(LATIN) => LATIN_TEXTS,
            Type::Text(_) => TEXTS,
            Type::Enum => &["'low'", "'HIGH'", "'mid '", "'e'", "'none'"],
            Type::Set => &["'x'", "'X,y'", "''", "'x,y,z'"],
            Type::Uuid => &["'6CCD780C-baba-1026-9564-5b8c656024db'", "'018f0000-0000-7000-8000-000000000001'"],
            Type::Inet6 => &["'::1'", "'2001:0db8::1'", "'::ffff:1.2.3.4'"],
            Type::Bytes => &["x'61'", "x'6100'", "x'00'", "x''"],
            Type::Date => &["DATE '2024-01-01'", "DATE '2024-02-29'", "DATE '1000-01-01'", "DATE '2023-12-31'"],
            Type::Moment => &[
                "TIMESTAMP '2024-01-01 00:00:00'",
                "TIMESTAMP '2024-01-01 00:00:00.000001'",
                "TIMESTAMP '2024-02-29 23:59:59.999999'",
                "TIMESTAMP '1969-12-31 23:59:59.5'",
            ],
            Type::Stamp => &["TIMESTAMP '2024-01-01 00:00:00'", "TIMESTAMP '2037-12-31 23:59:59.999999'"],
            Type::Time => &["'10:00:00'", "'-00:00:00.5'", "'838:59:59'", "'00:00:00'"],
            Type::Quotient | Type::Inexact | Type::Shown | Type::Json => return None,
        };
        Some(Expr::literal(ty, *self.rng.pick(texts)))
    }

    pub(super) fn pattern(&mut self) -> Expr {
        Expr::literal(Type::Shown, *self.rng.pick(PATTERNS))
    }
}
