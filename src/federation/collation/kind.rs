//! How an expression's text is compared: what is known of it, and what comes of two meeting.
//!
//! The collation of a column travels through plans in the metadata of fields. Where texts meet, MariaDB's rule
//! of coercibility holds: what `COLLATE` chose wins over columns, columns win over literals; of two columns the
//! binary one wins, or the one with the wider character set; else nothing does, and comparing is an error,
//! while selecting is not.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use crossweave_contract::{
    COLUMN_TYPE_METADATA, Collation, CollationFamily, CollationWeights, ColumnType, column_type_of,
};
use datafusion::common::metadata::FieldMetadata;
use datafusion::common::{Result, plan_err};

use super::functions::Key;
use super::keys::KeyEncoder;
use crate::catalog::{Catalog, CatalogHandle};

/// The encoders of all collations in use, at one epoch of the catalog.
#[derive(Debug, Default)]
pub struct Collations {
    weighted: HashMap<String, Arc<KeyEncoder>>,
    missing: HashMap<String, String>,
    /// Who is told which others are chosen.
    catalog: Option<CatalogHandle>,
}

impl Collations {
    /// Those of `catalog`.
    pub fn of(catalog: &Catalog) -> Self {
        Self::default().renewed(catalog)
    }

    /// These; those that a query chooses beside them are asked for by `catalog`.
    #[must_use]
    pub fn asking(self, catalog: CatalogHandle) -> Self {
        Self { catalog: Some(catalog), ..self }
    }

    /// Has the weights of `collation` asked for, which no column has and somebody spelled; whether they will be.
    pub(super) fn ask_for(&self, collation: &Collation) -> bool {
        let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let may_be_one = is_name(&collation.name) && is_name(&collation.charset) && collation.name.len() <= 64;
        let asks = self.catalog.as_ref().filter(|_| may_be_one && !self.missing.contains_key(&collation.name));
        asks.is_some_and(|catalog| catalog.want(collation))
    }

    /// Those of `catalog`, a later epoch: what these have for the same weights is taken over.
    #[must_use]
    pub fn renewed(&self, catalog: &Catalog) -> Self {
        let encoder = |weights: &Arc<CollationWeights>| {
            let known = self.weighted.get(&weights.collation().name);
            match known.filter(|known| known.is_of(weights)) {
                Some(known) => Arc::clone(known),
                None => Arc::new(KeyEncoder::weighted(Arc::clone(weights))),
            }
        };
        let weighted = catalog.weights.values().map(|w| (w.collation().name.clone(), encoder(w))).collect();
        let missing = catalog.missing_weights.iter().map(|(name, why)| (name.clone(), why.clone())).collect();
        Self { weighted, missing, catalog: self.catalog.clone() }
    }

    /// Those whose weights are given; `missing` gives reasons for others, by name.
    pub fn new(
        weights: impl IntoIterator<Item = Arc<CollationWeights>>,
        missing: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let weighted = weights
            .into_iter()
            .map(|weights| (weights.collation().name.clone(), Arc::new(KeyEncoder::weighted(weights))))
            .collect();
        Self { weighted, missing: missing.into_iter().collect(), catalog: None }
    }

    /// The encoder of `collation`, or why there is none.
    pub fn encoder(&self, collation: &Collation) -> std::result::Result<Arc<KeyEncoder>, String> {
        if let Some(encoder) = self.weighted.get(&collation.name) {
            return Ok(Arc::clone(encoder));
        }
        if let Some(encoder) = KeyEncoder::binary(collation) {
            return Ok(Arc::new(encoder));
        }
        Err(match self.missing.get(&collation.name) {
            Some(reason) => reason.clone(),
            None => {
                "no column of a service has it, so that its weights were not asked for, or it is no collation"
                    .to_owned()
            }
        })
    }
}

/// How values of a text expression are compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Comparison {
    /// By a collation.
    Text(Collation),
    /// By its text, or ordered by its place among the declared values.
    Enum { values: Arc<[String]>, collation: Collation },
    /// By its text, or ordered by its bits.
    Set { values: Arc<[String]>, collation: Collation },
    /// By value.
    Uuid,
    /// By value.
    Inet4,
    /// By value.
    Inet6,
    /// Texts of these two collations met, and neither wins.
    Mixed(String),
}

/// What a text expression's comparison is, and how strongly.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TextKind {
    /// How it compares.
    pub(crate) comparison: Comparison,
    /// Chosen with COLLATE.
    pub(crate) explicit: bool,
}

/// What is known of an expression's values as texts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// Not text, or text that came from no column.
    Plain,
    /// Text.
    Text(TextKind),
    /// A list or struct of such texts.
    Nested(TextKind),
}

/// A charset and a name that no server has: stands for [`Comparison::Mixed`] in metadata.
const MIXED: &str = "mixed";

impl Comparison {
    fn of(column: ColumnType) -> Option<Self> {
        Some(match column {
            ColumnType::Text { collation } | ColumnType::Json { collation } if collation.charset == MIXED => {
                Self::Mixed(collation.name)
            }
            ColumnType::Text { collation } | ColumnType::Json { collation } => Self::Text(collation),
            ColumnType::Enum { values, collation } => Self::Enum { values: values.into(), collation },
            ColumnType::Set { values, collation } => Self::Set { values: values.into(), collation },
            ColumnType::Uuid => Self::Uuid,
            ColumnType::Inet4 => Self::Inet4,
            ColumnType::Inet6 => Self::Inet6,
            _ => return None,
        })
    }

    fn column_type(&self) -> ColumnType {
        match self.clone() {
            Self::Text(collation) => ColumnType::Text { collation },
            Self::Enum { values, collation } => ColumnType::Enum { values: values.to_vec(), collation },
            Self::Set { values, collation } => ColumnType::Set { values: values.to_vec(), collation },
            Self::Uuid => ColumnType::Uuid,
            Self::Inet4 => ColumnType::Inet4,
            Self::Inet6 => ColumnType::Inet6,
            Self::Mixed(names) => ColumnType::Text { collation: Collation::new(MIXED, names) },
        }
    }

    /// As a text: what a function makes of an ENUM is not one any more.
    fn as_text(&self) -> Self {
        match self {
            Self::Enum { collation, .. } | Self::Set { collation, .. } => Self::Text(collation.clone()),
            other => other.clone(),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Text(collation) | Self::Enum { collation, .. } | Self::Set { collation, .. } => {
                &collation.name
            }
            Self::Uuid => "UUID",
            Self::Inet4 => "INET4",
            Self::Inet6 => "INET6",
            Self::Mixed(names) => names,
        }
    }

    /// What stands for the text under `=` and `<`; `None` where its own bytes do.
    pub(crate) fn key(&self, collations: &Collations, what: &str) -> Result<Option<Key>> {
        Ok(match self {
            Self::Text(_) | Self::Enum { .. } | Self::Set { .. } | Self::Mixed(_) => {
                let encoder = self.encoder(collations, what)?;
                if encoder.is_bytes() { None } else { Some(Key::Collation(encoder)) }
            }
            Self::Uuid => Some(Key::Uuid),
            Self::Inet4 => Some(Key::Inet4),
            Self::Inet6 => Some(Key::Inet6),
        })
    }

    /// What stands for the text in ORDER BY.
    pub(crate) fn order_key(&self, collations: &Collations, what: &str) -> Result<Option<Key>> {
        match self {
            Self::Enum { .. } | Self::Set { .. } => Ok(self.number()),
            other => other.key(collations, what),
        }
    }

    /// What the text is where it meets a number; `None` for the number that it spells.
    pub(crate) fn number(&self) -> Option<Key> {
        match self {
            Self::Enum { values, .. } => Some(Key::EnumIndex(Arc::clone(values))),
            Self::Set { values, .. } => Some(Key::SetBits(Arc::clone(values))),
            _ => None,
        }
    }

    /// What stands for the text where only equality matters and all texts come from one column: those of ENUM,
    /// SET, UUID and the network types are equal if their bytes are.
    pub(crate) fn group_key(&self, collations: &Collations, what: &str) -> Result<Option<Key>> {
        match self {
            Self::Text(_) | Self::Mixed(_) => self.key(collations, what),
            _ => Ok(None),
        }
    }

    /// The encoder of its collation; `None` for values that are no texts at heart.
    pub(crate) fn like_encoder(&self, collations: &Collations, what: &str) -> Result<Option<Arc<KeyEncoder>>> {
        match self {
            Self::Uuid | Self::Inet4 | Self::Inet6 => Ok(None),
            _ => {
                let encoder = self.encoder(collations, what)?;
                if encoder.knows_like() {
                    return Ok(Some(encoder));
                }
                plan_err!(
                    "LIKE on {what} is not computed under its collation {}: its server compares characters there by \
                     another rule than texts; choose another one: write COLLATE and its name after it",
                    self.name()
                )
            }
        }
    }

    fn encoder(&self, collations: &Collations, what: &str) -> Result<Arc<KeyEncoder>> {
        match self {
            Self::Mixed(names) => plan_err!(
                "{what} mixes texts of the collations {names}, of which neither wins; \
                 choose one: write COLLATE and its name after one of the texts"
            ),
            Self::Text(collation) | Self::Enum { collation, .. } | Self::Set { collation, .. } => {
                match collations.encoder(collation) {
                    Ok(encoder) => Ok(encoder),
                    Err(reason) => plan_err!(
                        "{what} cannot be compared under its collation {}: {reason}; it can be selected, or \
                         compared by its bytes by writing COLLATE \"C\" after it",
                        collation.name
                    ),
                }
            }
            Self::Uuid | Self::Inet4 | Self::Inet6 => plan_err!("{what} is a {}, not a text", self.name()),
        }
    }
}

impl TextKind {
    /// A text under `collation`, chosen by the query.
    pub(crate) fn explicit(collation: Collation) -> Self {
        Self { comparison: Comparison::Text(collation), explicit: true }
    }

    fn as_text(&self) -> Self {
        Self { comparison: self.comparison.as_text(), explicit: self.explicit }
    }

    /// Which of the two wins where they meet.
    fn meet(self, other: Self) -> Self {
        if self.comparison == other.comparison {
            return Self { explicit: self.explicit || other.explicit, comparison: self.comparison };
        }
        match (self.explicit, other.explicit) {
            (true, false) => self.chosen_over(other),
            (false, true) => other.chosen_over(self),
            // Of two that were chosen not even the binary one wins.
            (true, true) => {
                let names = format!("{} and {}", self.comparison.name(), other.comparison.name());
                Self { explicit: true, comparison: Comparison::Mixed(names) }
            }
            (false, false) => Self { explicit: false, comparison: meet(self.comparison, other.comparison) },
        }
    }

    /// What COLLATE chose wins, unless the other's texts cannot all be had in its character set.
    fn chosen_over(self, other: Self) -> Self {
        match (&self.comparison, other.comparison.as_text()) {
            (Comparison::Text(chosen), Comparison::Text(column))
                if !takes(&chosen.charset, &column.charset) =>
            {
                let comparison = Comparison::Mixed(format!("{} and {}", chosen.name, column.name));
                Self { comparison, explicit: true }
            }
            _ => self,
        }
    }
}

fn meet(left: Comparison, right: Comparison) -> Comparison {
    use Comparison::{Inet4, Inet6, Text, Uuid};
    match (left, right) {
        // Text is read as the value it is compared with.
        (value @ (Uuid | Inet4 | Inet6), Text(_) | Comparison::Enum { .. } | Comparison::Set { .. })
        | (Text(_) | Comparison::Enum { .. } | Comparison::Set { .. }, value @ (Uuid | Inet4 | Inet6)) => value,
        (left, right) => match (left.as_text(), right.as_text()) {
            (Text(left), Text(right)) => match stronger(&left, &right) {
                Some(wins) => Text(wins.clone()),
                None => Comparison::Mixed(format!("{} and {}", left.name, right.name)),
            },
            (mixed @ Comparison::Mixed(_), _) | (_, mixed @ Comparison::Mixed(_)) => mixed,
            (left, right) if left == right => left,
            (left, right) => Comparison::Mixed(format!("{} and {}", left.name(), right.name())),
        },
    }
}

/// Of two columns' collations the one that wins.
fn stronger<'a>(left: &'a Collation, right: &'a Collation) -> Option<&'a Collation> {
    if left == right {
        return Some(left);
    }
    if left.charset != right.charset {
        return match (holds_all_of(&left.charset, &right.charset), holds_all_of(&right.charset, &left.charset))
        {
            (true, _) => Some(left),
            (_, true) => Some(right),
            _ => None,
        };
    }
    let binary = |collation: &Collation| collation.family() == CollationFamily::Binary;
    match (binary(left), binary(right)) {
        (true, false) => Some(left),
        (false, true) => Some(right),
        _ => None,
    }
}

/// Whether MariaDB turns texts of the second character set into the first where two columns meet.
fn holds_all_of(wide: &str, narrow: &str) -> bool {
    wide == "binary"
        || is_unicode(wide) && !is_unicode(narrow) && narrow != "binary"
        || matches!((wide, narrow), ("utf8mb4", "utf8mb3" | "utf8"))
        || narrow == "ascii"
}

/// Whether a collation over the first character set can be chosen for texts of the second.
pub(super) fn takes(chosen: &str, column: &str) -> bool {
    chosen == column || is_unicode(chosen) || holds_all_of(chosen, column) || column == "binary"
}

fn is_unicode(charset: &str) -> bool {
    matches!(charset, "utf8mb4" | "utf8mb3" | "utf8" | "ucs2" | "utf16" | "utf16le" | "utf32")
}

impl Kind {
    /// What `field` says of its values.
    pub(crate) fn of_field(field: &Field) -> Self {
        let Some(comparison) = column_type_of(field).and_then(Comparison::of) else { return Self::Plain };
        let kind = TextKind { comparison, explicit: false };
        if is_text(field.data_type()) {
            Self::Text(kind)
        } else if field.data_type().is_nested() {
            Self::Nested(kind)
        } else {
            Self::Plain
        }
    }

    /// The text's kind, also that of texts in a list.
    pub(crate) fn text(&self) -> Option<&TextKind> {
        match self {
            Self::Plain => None,
            Self::Text(kind) | Self::Nested(kind) => Some(kind),
        }
    }

    /// The kind of what `data_type` results from values of `kinds`: of ENUMs a text, even where all are of one.
    pub(crate) fn result<'a>(kinds: impl IntoIterator<Item = &'a Self>, data_type: Option<&DataType>) -> Self {
        let Some(met) = Self::meet(kinds).map(|met| met.as_text()) else { return Self::Plain };
        match data_type {
            Some(data_type) if is_text(data_type) => Self::Text(met),
            Some(data_type) if data_type.is_nested() => Self::Nested(met),
            Some(_) => Self::Plain,
            None => Self::Text(met),
        }
    }

    /// What a function makes of its arguments' texts: a text, and of a part of a UUID or an address a plain one.
    pub(crate) fn made_of(kinds: &[Self], data_type: Option<&DataType>) -> Self {
        let texts = kinds.iter().filter(|kind| match kind.text() {
            Some(text) => !matches!(text.comparison, Comparison::Uuid | Comparison::Inet4 | Comparison::Inet6),
            None => true,
        });
        Self::result(texts, data_type).into_text()
    }

    /// The same, but for an ENUM and a SET, of which it is their text.
    pub(crate) fn into_text(self) -> Self {
        match self {
            Self::Text(kind) => Self::Text(kind.as_text()),
            other => other,
        }
    }

    /// What wins where values of `kinds` meet; `None` if none of them has a collation.
    pub(crate) fn meet<'a>(kinds: impl IntoIterator<Item = &'a Self>) -> Option<TextKind> {
        kinds.into_iter().filter_map(Self::text).cloned().reduce(TextKind::meet)
    }

    /// The metadata that gives a field this kind; `None` for plain values.
    pub(crate) fn metadata(&self) -> Option<FieldMetadata> {
        let json = serde_json::to_string(&self.text()?.comparison.column_type()).ok()?;
        Some(FieldMetadata::from(HashMap::from([(COLUMN_TYPE_METADATA.to_owned(), json)])))
    }

    /// The same, but for what COLLATE chose: a result is a column like another.
    pub(crate) fn implicit(self) -> Self {
        let weaken = |kind: TextKind| TextKind { explicit: false, ..kind };
        match self {
            Self::Plain => Self::Plain,
            Self::Text(kind) => Self::Text(weaken(kind)),
            Self::Nested(kind) => Self::Nested(weaken(kind)),
        }
    }
}

/// Whether values of this type are texts.
pub(crate) fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, value) => is_text(value),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str) -> Kind {
        let charset = name.split('_').next().unwrap();
        Kind::Text(TextKind { comparison: Comparison::Text(Collation::new(charset, name)), explicit: false })
    }

    fn met(kinds: &[Kind]) -> String {
        Kind::meet(kinds).map_or("none".to_owned(), |kind| kind.comparison.name().to_owned())
    }

    #[test]
    fn meets_as_mariadb_does() {
        let (general, unicode, bin) =
            (text("utf8mb4_general_ci"), text("utf8mb4_unicode_ci"), text("utf8mb4_bin"));
        assert_eq!(met(&[Kind::Plain, Kind::Plain]), "none");
        assert_eq!(met(&[Kind::Plain, general.clone()]), "utf8mb4_general_ci");
        assert_eq!(met(&[general.clone(), bin.clone()]), "utf8mb4_bin");
        assert_eq!(met(&[general.clone(), unicode.clone()]), "utf8mb4_general_ci and utf8mb4_unicode_ci");
        assert_eq!(met(&[bin, text("utf8mb4_nopad_bin")]), "utf8mb4_bin and utf8mb4_nopad_bin");
        assert_eq!(met(&[general.clone(), text("latin1_swedish_ci")]), "utf8mb4_general_ci");
        assert_eq!(met(&[text("utf8mb3_unicode_ci"), general.clone()]), "utf8mb4_general_ci");
        let chosen = Kind::Text(TextKind::explicit(Collation::new("utf8mb4", "utf8mb4_unicode_ci")));
        assert_eq!(met(&[general.clone(), chosen.clone()]), "utf8mb4_unicode_ci");
        assert_eq!(met(&[chosen, general.clone()]), "utf8mb4_unicode_ci");
        let german = Kind::Text(TextKind::explicit(Collation::new("latin1", "latin1_german2_ci")));
        assert_eq!(met(&[text("latin1_swedish_ci"), german.clone()]), "latin1_german2_ci");
        assert_eq!(met(&[general.clone(), german]), "latin1_german2_ci and utf8mb4_general_ci");
        // Neither of Unicode's forms but the two of UTF-8 is turned into another, nor any other set but ASCII.
        for names in [
            ["ucs2_general_ci", "utf8mb4_general_ci"],
            ["utf16_general_ci", "ucs2_general_ci"],
            ["utf32_general_ci", "utf8mb3_general_ci"],
            ["latin1_swedish_ci", "koi8r_general_ci"],
        ] {
            assert_eq!(met(&names.map(text)), names.join(" and "));
        }
        assert_eq!(met(&[text("ascii_general_ci"), text("latin1_swedish_ci")]), "latin1_swedish_ci");
        assert_eq!(met(&[text("latin1_swedish_ci"), text("utf32_general_ci")]), "utf32_general_ci");
    }

    #[test]
    fn metadata_says_the_same_again() {
        let mixed = Kind::Text(TextKind { comparison: Comparison::Mixed("a and b".into()), explicit: false });
        for kind in [mixed, text("utf8mb4_bin")] {
            let metadata = kind.metadata().unwrap().to_hashmap();
            let field = Field::new("x", DataType::Utf8View, true).with_metadata(metadata);
            assert_eq!(Kind::of_field(&field), kind);
        }
    }
}
