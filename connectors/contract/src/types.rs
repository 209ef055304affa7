//! The type mapping: what each MariaDB type is in Arrow.
//!
//! | MariaDB | Arrow |
//! | --- | --- |
//! | TINYINT … BIGINT, UNSIGNED | Int8 … Int64, UInt8 … UInt64 (MEDIUMINT: 32 bits) |
//! | TINYINT(1) declared boolean, BIT(1) | Boolean |
//! | BIT(n) | UInt64 |
//! | DECIMAL(p,s) | Decimal128 to p = 38, else Decimal256 |
//! | FLOAT, DOUBLE | Float32, Float64 |
//! | CHAR, VARCHAR, TEXT, SET, JSON, UUID, INET4, INET6 | Utf8View |
//! | ENUM | Dictionary(UInt16, Utf8): entry 0 is `''`, entry i the i-th declared value |
//! | BINARY, VARBINARY, BLOB, geometry (WKB) | BinaryView |
//! | YEAR, DATE | UInt16, Date32 |
//! | DATETIME, TIMESTAMP | Timestamp(µs), without zone and with `+00:00` |
//! | TIME | Duration(µs) |
//! | VECTOR(n) | FixedSizeList(Float32, n) |

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};
use serde::{Deserialize, Serialize};

use crate::Collation;

/// Key of a field's metadata under which its [`ColumnType`] is kept, as JSON.
pub const COLUMN_TYPE_METADATA: &str = "crossweave.column_type";

const EXTENSION_NAME: &str = "ARROW:extension:name";

/// Digits that a DECIMAL has at most.
pub const DECIMAL_DIGITS: u8 = 65;

/// Digits that it has at most after its point.
pub const DECIMAL_PLACES: u8 = 38;

/// A column's type as MariaDB has it, as far as it changes values or comparisons.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// TINYINT(1) that the config declares boolean: a value other than 0 and 1 is an error.
    Boolean,
    /// TINYINT.
    TinyInt {
        /// UNSIGNED.
        unsigned: bool,
    },
    /// SMALLINT.
    SmallInt {
        /// UNSIGNED.
        unsigned: bool,
    },
    /// MEDIUMINT: 24 bits.
    MediumInt {
        /// UNSIGNED.
        unsigned: bool,
    },
    /// INT.
    Int {
        /// UNSIGNED.
        unsigned: bool,
    },
    /// BIGINT.
    BigInt {
        /// UNSIGNED.
        unsigned: bool,
    },
    /// BIT(n).
    Bit {
        /// 1 to 64.
        width: u8,
    },
    /// DECIMAL(p,s).
    Decimal {
        /// Digits, 1 to [`DECIMAL_DIGITS`].
        precision: u8,
        /// Digits after the point, 0 to [`DECIMAL_PLACES`].
        scale: u8,
    },
    /// FLOAT.
    Float,
    /// DOUBLE.
    Double,
    /// CHAR, VARCHAR and the TEXT family.
    Text {
        /// By which it is compared.
        collation: Collation,
    },
    /// ENUM: compared by text, ordered by index.
    Enum {
        /// The declared values, in order.
        values: Vec<String>,
        /// By which its text is compared.
        collation: Collation,
    },
    /// SET: compared by text, ordered by bits.
    Set {
        /// The declared members, in order of their bits.
        values: Vec<String>,
        /// By which its text is compared.
        collation: Collation,
    },
    /// BINARY, VARBINARY and the BLOB family.
    Binary {
        /// The length of BINARY(n), to which values are filled up with zero bytes.
        fixed: Option<u32>,
    },
    /// YEAR.
    Year,
    /// DATE.
    Date,
    /// DATETIME(f).
    DateTime {
        /// Digits after the second, 0 to 6.
        fsp: u8,
    },
    /// TIMESTAMP(f).
    Timestamp {
        /// Digits after the second, 0 to 6.
        fsp: u8,
    },
    /// TIME(f): −838:59:59 to 838:59:59.
    Time {
        /// Digits after the second, 0 to 6.
        fsp: u8,
    },
    /// JSON: MariaDB's LONGTEXT with a check.
    Json {
        /// By which it is compared as text.
        collation: Collation,
    },
    /// UUID, canonical text.
    Uuid,
    /// INET4, canonical text.
    Inet4,
    /// INET6, canonical text.
    Inet6,
    /// Any spatial type, as WKB without MariaDB's SRID prefix.
    Geometry,
    /// VECTOR(n).
    Vector {
        /// Number of elements.
        dimensions: u32,
    },
}

impl ColumnType {
    /// The Arrow type.
    pub fn data_type(&self) -> DataType {
        match self {
            Self::Boolean | Self::Bit { width: 1 } => DataType::Boolean,
            Self::TinyInt { unsigned: false } => DataType::Int8,
            Self::TinyInt { unsigned: true } => DataType::UInt8,
            Self::SmallInt { unsigned: false } => DataType::Int16,
            Self::SmallInt { unsigned: true } | Self::Year => DataType::UInt16,
            Self::MediumInt { unsigned: false } | Self::Int { unsigned: false } => DataType::Int32,
            Self::MediumInt { unsigned: true } | Self::Int { unsigned: true } => DataType::UInt32,
            Self::BigInt { unsigned: false } => DataType::Int64,
            Self::BigInt { unsigned: true } | Self::Bit { .. } => DataType::UInt64,
            Self::Decimal { precision, scale } if *precision <= 38 => {
                DataType::Decimal128(*precision, scale.cast_signed())
            }
            Self::Decimal { precision, scale } => DataType::Decimal256(*precision, scale.cast_signed()),
            Self::Float => DataType::Float32,
            Self::Double => DataType::Float64,
            Self::Enum { .. } => DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8)),
            Self::Text { .. }
            | Self::Set { .. }
            | Self::Json { .. }
            | Self::Uuid
            | Self::Inet4
            | Self::Inet6 => DataType::Utf8View,
            Self::Binary { .. } | Self::Geometry => DataType::BinaryView,
            Self::Date => DataType::Date32,
            Self::DateTime { .. } => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Timestamp { .. } => DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into())),
            Self::Time { .. } => DataType::Duration(TimeUnit::Microsecond),
            Self::Vector { dimensions } => DataType::FixedSizeList(
                Arc::new(Field::new("item", DataType::Float32, false)),
                i32::try_from(*dimensions).unwrap_or(i32::MAX),
            ),
        }
    }

    /// An Arrow field of this type: `nullable` is widened where a zero date may stand for NULL, and the type
    /// itself goes into the metadata under [`COLUMN_TYPE_METADATA`].
    pub fn field(&self, name: &str, nullable: bool) -> Field {
        let json = serde_json::to_string(self).unwrap_or_default();
        let mut metadata = HashMap::from([(COLUMN_TYPE_METADATA.to_owned(), json)]);
        if matches!(self, Self::Json { .. }) {
            metadata.insert(EXTENSION_NAME.to_owned(), "arrow.json".to_owned());
        }
        Field::new(name, self.data_type(), nullable || self.may_hold_zero_date()).with_metadata(metadata)
    }

    /// The collation by which values are compared, where they are text.
    pub fn collation(&self) -> Option<&Collation> {
        match self {
            Self::Text { collation }
            | Self::Enum { collation, .. }
            | Self::Set { collation, .. }
            | Self::Json { collation } => Some(collation),
            _ => None,
        }
    }

    /// Whether the server may hold a zero date here, which is read as NULL.
    pub fn may_hold_zero_date(&self) -> bool {
        matches!(self, Self::Date | Self::DateTime { .. } | Self::Timestamp { .. })
    }
}

/// The [`ColumnType`] that `field` carries, if it is a source's column.
pub fn column_type_of(field: &Field) -> Option<ColumnType> {
    field.metadata().get(COLUMN_TYPE_METADATA).and_then(|json| serde_json::from_str(json).ok())
}
