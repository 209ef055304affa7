//! Values for placeholders.

use std::ops::ControlFlow;
use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::ParamValues;
use datafusion::execution::SessionState;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::scalar::ScalarValue;
use datafusion::sql::sqlparser::ast::{
    CastKind, DataType as SqlType, Expr as SqlExpr, ExprWithAlias, Statement, Value, VisitMut, VisitorMut,
};

use crate::query::{QueryError, QueryErrorKind};

/// Gives the placeholders of `statement` the types that PREPARE declares, as casts.
pub(super) fn declare(statement: &mut Statement, types: &[SqlType]) {
    if types.is_empty() {
        return;
    }
    struct Declare<'a>(&'a [SqlType]);
    impl VisitorMut for Declare<'_> {
        type Break = ();
        // After the expression's parts, so that the cast made here is not visited again.
        fn post_visit_expr(&mut self, expr: &mut SqlExpr) -> ControlFlow<()> {
            let SqlExpr::Value(value) = expr else { return ControlFlow::Continue(()) };
            let Value::Placeholder(name) = &value.value else { return ControlFlow::Continue(()) };
            let number = name.strip_prefix('$').and_then(|digits| digits.parse::<usize>().ok());
            let declared = number.and_then(|number| self.0.get(number.checked_sub(1)?));
            if let Some(data_type) = declared {
                *expr = SqlExpr::Cast {
                    kind: CastKind::Cast,
                    expr: Box::new(expr.clone()),
                    data_type: data_type.clone(),
                    array: false,
                    format: None,
                };
            }
            ControlFlow::Continue(())
        }
    }
    let _ = VisitMut::visit(statement, &mut Declare(types));
}

/// The values of EXECUTE's arguments, which are constants.
pub(super) fn evaluate(state: &SessionState, arguments: Vec<SqlExpr>) -> Result<Vec<ScalarValue>, QueryError> {
    let schema = DFSchema::empty();
    let context = SimplifyContext::builder().with_config_options(Arc::clone(state.config_options())).build();
    let simplifier = ExprSimplifier::new(context);
    let value = |argument: SqlExpr| {
        let text = argument.to_string();
        let expr = ExprWithAlias { expr: argument, alias: None };
        let expr = state.create_logical_expr_from_sql_expr(expr, &schema)?;
        match simplifier.simplify(simplifier.coerce(expr, &schema)?)? {
            Expr::Literal(value, _) => Ok(value),
            _ => Err(QueryError::new(
                QueryErrorKind::Invalid,
                format!("EXECUTE takes constants; {text} is none"),
            )),
        }
    };
    arguments.into_iter().map(value).collect()
}

/// `plan` with `params` in place of its placeholders, whose types are `types` as far as they are known.
pub(super) fn bind(
    plan: LogicalPlan,
    types: &[Option<DataType>],
    params: Vec<ScalarValue>,
) -> Result<LogicalPlan, QueryError> {
    if params.len() != types.len() {
        let message = format!("the statement has {} parameters; {} were given", types.len(), params.len());
        return Err(QueryError::new(QueryErrorKind::Invalid, message));
    }
    if params.is_empty() {
        return Ok(plan);
    }
    let values = params.into_iter().zip(types).enumerate();
    let values: Vec<ScalarValue> = values
        .map(|(index, (value, data_type))| match data_type {
            Some(data_type) => fit(value, data_type).map_err(|reason| {
                QueryError::new(QueryErrorKind::Invalid, format!("parameter ${}: {reason}", index + 1))
            }),
            None => Ok(value),
        })
        .collect::<Result<_, _>>()?;
    Ok(plan.replace_params_with_values(&ParamValues::from(values))?)
}

/// `value` as `data_type`. Text must be a text of that type. A number that it cannot hold stays what it is: the
/// comparison `unsigned = -1` is false, not an error.
fn fit(value: ScalarValue, data_type: &DataType) -> Result<ScalarValue, String> {
    let from = value.data_type();
    if from == *data_type {
        return Ok(value);
    }
    let cast = value.cast_to(data_type);
    let is_text = matches!(from, DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8);
    match cast {
        Ok(cast) if value.is_null() => Ok(cast),
        Ok(cast) if is_text && !cast.is_null() => Ok(cast),
        Ok(cast) if !is_text && cast.cast_to(&from).is_ok_and(|back| back == value) => Ok(cast),
        Err(_) | Ok(_) if is_text => Err(format!("{} is not a value of {data_type}", shown(&value))),
        _ => Ok(value),
    }
}

fn shown(value: &ScalarValue) -> String {
    let text: String = value.to_string().chars().take(100).collect();
    format!("{text:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fits_values_only_where_nothing_is_lost() {
        let text = |text: &str| ScalarValue::Utf8(Some(text.to_owned()));
        assert_eq!(fit(text("7"), &DataType::UInt64), Ok(ScalarValue::UInt64(Some(7))));
        assert!(fit(text("seven"), &DataType::UInt64).is_err());
        assert_eq!(fit(text("2024-05-06"), &DataType::Date32), Ok(ScalarValue::Date32(Some(19849))));
        let negative = ScalarValue::Int64(Some(-1));
        assert_eq!(fit(negative.clone(), &DataType::UInt64), Ok(negative));
        let precise = ScalarValue::Decimal128(Some(10999), 5, 3);
        assert_eq!(fit(precise.clone(), &DataType::Decimal128(10, 2)), Ok(precise));
        assert_eq!(fit(ScalarValue::Null, &DataType::Int8), Ok(ScalarValue::Int8(None)));
    }
}
