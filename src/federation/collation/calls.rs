//! Rewrites calls of scalar functions: those that compare texts, and COLLATE.

use arrow::datatypes::DataType;
use crossweave_contract::Collation;
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::logical_expr::expr::{Case, InList, ScalarFunction};
use datafusion::logical_expr::{Expr, Operator, cast};

use super::expressions::{
    Rewriter, Rewritten, Scope, binary_expr, chosen_bytes, data_type, describe, literal_text, pair,
};
use super::functions::{ByBytes, CollationChoice};
use super::kind::{Comparison, Kind, TextKind, is_text, takes};
use crate::federation::list_elements;
use crate::federation::surface::{ABSENT, TEXT_NUMBER};

/// The function that stands for COLLATE in SQL: `text_collate(text, 'collation')`.
pub(crate) const COLLATE_FUNCTION: &str = "text_collate";

impl Rewriter<'_> {
    pub(super) fn scalar_function(&self, function: ScalarFunction, scope: Scope<'_>) -> Result<Rewritten> {
        let name = function.name().to_owned();
        match name.as_str() {
            COLLATE_FUNCTION => self.collate(function, scope),
            TEXT_NUMBER => self.text_number(function, scope),
            "starts_with" | "regexp_like" => self.by_bytes(Expr::ScalarFunction(function), scope),
            "nullif" => self.nullif(function, scope),
            "greatest" | "least" => self.choice(function, name == "greatest", scope),
            "array_has" => self.array_has(function, scope),
            _ => {
                let (expr, kinds) = self.children(Expr::ScalarFunction(function), scope)?;
                if COMPARING_ELEMENTS.contains(&name.as_str()) {
                    kinds.iter().try_for_each(|kind| self.refuse_nested(&expr, kind))?;
                }
                let data_type = data_type(&expr, scope);
                let kind = match name.as_str() {
                    "by_bytes" => Kind::Plain,
                    ABSENT => kinds.into_iter().next().unwrap_or(Kind::Plain),
                    "coalesce" | "nvl" | "ifnull" => Kind::result(&kinds, data_type.as_ref()),
                    "nvl2" => Kind::result(kinds.get(1..).unwrap_or_default(), data_type.as_ref()),
                    _ => Kind::made_of(&kinds, data_type.as_ref()),
                };
                Ok((expr, kind))
            }
        }
    }

    fn collate(&self, function: ScalarFunction, scope: Scope<'_>) -> Result<Rewritten> {
        let mut args = function.args.into_iter();
        let (Some(text), Some(Some(Some(name)))) = (
            args.next(),
            args.next().as_ref().map(|name| literal_text(name).map(|name| name.map(str::to_owned))),
        ) else {
            return plan_err!("COLLATE takes a text and the name of a collation");
        };
        let (text, kind) = self.expr(text, scope)?;
        match data_type(&text, scope) {
            Some(data_type) if !is_text(&data_type) && !data_type.is_null() => {
                return plan_err!("{text} is no text: it has no collation to choose");
            }
            _ => {}
        }
        if name == "default" {
            return Ok((text, kind));
        }
        if let Some(TextKind { comparison: Comparison::Uuid | Comparison::Inet4 | Comparison::Inet6, .. }) =
            kind.text()
        {
            return plan_err!("{text} compares by value, not under a collation; cast it to text first");
        }
        let collation = named_collation(&name);
        if let Some(TextKind { comparison: Comparison::Text(own), .. }) = kind.text()
            && !takes(&collation.charset, &own.charset)
        {
            return plan_err!(
                "COLLATE {name}: {text} is text of the character set {}, which that collation is not for; \
                 choose one of {} or of utf8mb4",
                own.charset,
                own.charset
            );
        }
        let text = match self.collations.encoder(&collation) {
            Ok(encoder) if encoder.is_bytes() => ByBytes::call(text),
            Ok(_) => text,
            Err(_) if self.collations.ask_for(&collation) => {
                return plan_err!(
                    "COLLATE {name}: no column has this collation; its weights are being asked for. Ask again in some seconds"
                );
            }
            Err(reason) => return plan_err!("COLLATE {name}: {reason}"),
        };
        Ok((text, Kind::Text(TextKind::explicit(collation))))
    }

    /// The number that a text is taken for: that of an ENUM and a SET is stored.
    fn text_number(&self, function: ScalarFunction, scope: Scope<'_>) -> Result<Rewritten> {
        let (args, kinds) = self.exprs(function.args.clone(), scope)?;
        let stored = kinds.first().and_then(Kind::text).and_then(|text| text.comparison.number());
        let number = match (stored, args.first()) {
            (Some(stored), Some(text)) => cast(stored.of(text.clone()), DataType::Float64),
            _ => Expr::ScalarFunction(ScalarFunction { args, ..function }),
        };
        Ok((number, Kind::Plain))
    }

    fn nullif(&self, function: ScalarFunction, scope: Scope<'_>) -> Result<Rewritten> {
        let (args, kinds) = self.exprs(function.args.clone(), scope)?;
        if Kind::meet(&kinds).is_none() || args.len() != 2 {
            return Ok((Expr::ScalarFunction(ScalarFunction { args, ..function }), Kind::Plain));
        }
        let [left, right] = pair(self.comparable(args.clone(), &kinds, scope)?)?;
        let [text, _] = pair(args)?;
        let equal = binary_expr(left, Operator::Eq, right);
        let null = Expr::Literal(ScalarValue::Null, None);
        let whens = vec![(Box::new(equal), Box::new(null))];
        let [kind, _] = kinds.try_into().unwrap_or([Kind::Plain, Kind::Plain]);
        Ok((Expr::Case(Case::new(None, whens, Some(Box::new(text)))), kind.into_text()))
    }

    fn choice(&self, function: ScalarFunction, greatest: bool, scope: Scope<'_>) -> Result<Rewritten> {
        let (args, kinds) = self.exprs(function.args.clone(), scope)?;
        let texts = args.iter().all(|a| data_type(a, scope).is_none_or(|t| is_text(&t) || t.is_null()));
        let met = Kind::meet(&kinds).filter(|_| texts);
        let key = match &met {
            Some(met) => met.comparison.key(self.collations, &describe(&args, &kinds))?,
            None => None,
        };
        let Some(key) = key else {
            let args = match &met {
                Some(met) => chosen_bytes(args, &kinds, met),
                None => args,
            };
            let expr = Expr::ScalarFunction(ScalarFunction { args, ..function });
            let kind = Kind::result(&kinds, data_type(&expr, scope).as_ref());
            return Ok((expr, kind));
        };
        let args = args.into_iter().map(|text| cast(text, DataType::Utf8View)).collect();
        let kind = Kind::result(&kinds, Some(&DataType::Utf8View));
        Ok((CollationChoice::call(greatest, key, args), kind))
    }

    /// `x = ANY(array)`: with a list that is spelled out it is `x IN (…)`.
    fn array_has(&self, function: ScalarFunction, scope: Scope<'_>) -> Result<Rewritten> {
        let (args, kinds) = self.exprs(function.args.clone(), scope)?;
        if Kind::meet(&kinds).is_none() || args.len() != 2 {
            return Ok((Expr::ScalarFunction(ScalarFunction { args, ..function }), Kind::Plain));
        }
        let [array, needle] = pair(args)?;
        let elements = match array {
            Expr::ScalarFunction(array) if array.name() == "make_array" => array.args,
            Expr::Literal(list @ (ScalarValue::List(_) | ScalarValue::LargeList(_)), _) => {
                list_elements(&list)?.into_iter().map(|value| Expr::Literal(value, None)).collect()
            }
            array => {
                kinds.iter().try_for_each(|kind| self.refuse_nested(&array, kind))?;
                let args = vec![array, needle];
                return Ok((Expr::ScalarFunction(ScalarFunction { args, ..function }), Kind::Plain));
            }
        };
        self.in_list(InList::new(Box::new(needle), elements, false), scope)
    }
}

/// Functions that compare elements of arrays with each other or with a value.
const COMPARING_ELEMENTS: &[&str] = &[
    "array_distinct",
    "array_except",
    "array_has_all",
    "array_has_any",
    "array_intersect",
    "array_max",
    "array_min",
    "array_position",
    "array_positions",
    "array_remove",
    "array_remove_all",
    "array_remove_n",
    "array_replace",
    "array_replace_all",
    "array_replace_n",
    "array_sort",
    "array_union",
];

/// The collation that a query names; `"C"` is MariaDB's for plain bytes.
fn named_collation(name: &str) -> Collation {
    match name {
        "C" | "POSIX" | "binary" => Collation::new("binary", "binary"),
        _ => {
            let name = name.to_ascii_lowercase();
            Collation::new(name.split('_').next().unwrap_or_default().to_owned(), name)
        }
    }
}
