//! The GraphQL schema of a [`Model`], for validation, introspection and the SDL.
//!
//! async-graphql parses, validates and answers introspection; it never resolves a field of ours. A resolver per
//! field and row is what makes generated GraphQL slow, so documents are compiled to plans instead (`compile`),
//! and the resolvers here only have a shape that introspection queries can run beside.

use async_graphql::Value;
use async_graphql::dynamic::{
    Enum, Field, FieldFuture, InputObject, InputValue, Object, Scalar, Schema, SchemaBuilder, SchemaError,
    TypeRef,
};

use super::execute::OnlyIntrospection;
use super::model::{Edge, Model, TableType, TypeField, scalar};

/// Scalars that are declared whether a column has them or not: clients name them in their variables.
const SCALARS: &[&str] = &[
    "bigint",
    "numeric",
    "date",
    "timestamp",
    "timestamptz",
    "time",
    "uuid",
    "jsonb",
    "bytea",
    "inet",
    "geometry",
    "vector",
];

const BUILT_IN: &[&str] = &["Int", "Float", "String", "Boolean"];

/// Orders of `order_by`, as Hasura names them.
pub(super) const ORDERS: &[&str] =
    &["asc", "asc_nulls_first", "asc_nulls_last", "desc", "desc_nulls_first", "desc_nulls_last"];

/// Operators that each scalar's comparison has; those on text are added for `String`.
const COMPARISONS: &[&str] = &["_eq", "_neq", "_gt", "_gte", "_lt", "_lte"];
const TEXT_COMPARISONS: &[&str] = &["_like", "_nlike", "_ilike", "_nilike"];

/// Builds the schema.
pub(super) fn build(model: &Model) -> Result<Schema, SchemaError> {
    let mut query = Object::new("query_root");
    let mut builder = Schema::build("query_root", None, None).extension(OnlyIntrospection);
    for name in SCALARS {
        builder = builder.register(Scalar::new(*name));
    }
    for name in BUILT_IN.iter().chain(SCALARS) {
        builder = builder.register(comparison(name));
    }
    let mut order = Enum::new("order_by");
    for item in ORDERS {
        order = order.item(*item);
    }
    builder = builder.register(order);
    for table in model.types.values() {
        builder = register_table(builder, model, table);
        query = query.field(list_field(&table.name, table));
        if let Some(field) = by_key_field(table) {
            query = query.field(field);
        }
    }
    if model.types.is_empty() {
        let nothing =
            Field::new("no_tables", TypeRef::named(TypeRef::BOOLEAN), |_| FieldFuture::from_value(None));
        query = query.field(nothing.description("No service has a table yet."));
    }
    builder.register(query).finish()
}

fn register_table(builder: SchemaBuilder, model: &Model, table: &TableType) -> SchemaBuilder {
    let mut object = Object::new(&table.name).description(format!("Rows of {}.", table.id));
    let (bool_exp, order_by) = (bool_exp(table), order_by(table));
    let mut filter = InputObject::new(&bool_exp)
        .field(InputValue::new("_and", TypeRef::named_nn_list(&bool_exp)))
        .field(InputValue::new("_or", TypeRef::named_nn_list(&bool_exp)))
        .field(InputValue::new("_not", TypeRef::named(&bool_exp)));
    let mut order = InputObject::new(&order_by);
    let mut columns = Enum::new(select_column(table));
    for (name, field) in &table.fields {
        match field {
            TypeField::Column(index) => {
                let column = &table.def.columns[*index];
                let scalar = scalar(&column.column_type);
                let nullable = column.nullable || column.column_type.may_hold_zero_date();
                let field_type = if nullable { TypeRef::named(scalar) } else { TypeRef::named_nn(scalar) };
                object = object.field(nothing(name, field_type));
                filter = filter.field(InputValue::new(name, TypeRef::named(comparison_name(scalar))));
                order = order.field(InputValue::new(name, TypeRef::named("order_by")));
                columns = columns.item(name.as_str());
            }
            TypeField::Relationship(edge) => {
                let Some(target) = model.of(&edge.target) else { continue };
                object = object.field(edge_field(name, edge, target));
                filter = filter.field(InputValue::new(name, TypeRef::named(self::bool_exp(target))));
                if !edge.many {
                    order = order.field(InputValue::new(name, TypeRef::named(self::order_by(target))));
                }
            }
        }
    }
    builder.register(object).register(filter).register(order).register(columns)
}

fn edge_field(name: &str, edge: &Edge, target: &TableType) -> Field {
    if edge.many { list_field(name, target) } else { nothing(name, TypeRef::named(&target.name)) }
}

fn list_field(name: &str, table: &TableType) -> Field {
    Field::new(name, TypeRef::named_nn_list_nn(&table.name), |_| {
        FieldFuture::from_value(Some(Value::List(Vec::new())))
    })
    .argument(InputValue::new("distinct_on", TypeRef::named_nn_list(select_column(table))))
    .argument(InputValue::new("limit", TypeRef::named(TypeRef::INT)))
    .argument(InputValue::new("offset", TypeRef::named(TypeRef::INT)))
    .argument(InputValue::new("order_by", TypeRef::named_nn_list(order_by(table))))
    .argument(InputValue::new("where", TypeRef::named(bool_exp(table))))
}

fn by_key_field(table: &TableType) -> Option<Field> {
    let key = table.key();
    if key.is_empty() {
        return None;
    }
    let mut field = nothing(&format!("{}_by_pk", table.name), TypeRef::named(&table.name));
    for (name, index) in key {
        let scalar = scalar(&table.def.columns[index].column_type);
        field = field.argument(InputValue::new(name, TypeRef::named_nn(scalar)));
    }
    Some(field)
}

fn nothing(name: &str, field_type: TypeRef) -> Field {
    Field::new(name, field_type, |_| FieldFuture::from_value(None))
}

fn comparison(scalar: &str) -> InputObject {
    let mut object = InputObject::new(comparison_name(scalar));
    for operator in COMPARISONS {
        object = object.field(InputValue::new(*operator, TypeRef::named(scalar)));
    }
    for operator in ["_in", "_nin"] {
        object = object.field(InputValue::new(operator, TypeRef::named_nn_list(scalar)));
    }
    if scalar == "String" {
        for operator in TEXT_COMPARISONS {
            object = object.field(InputValue::new(*operator, TypeRef::named(scalar)));
        }
    }
    object.field(InputValue::new("_is_null", TypeRef::named(TypeRef::BOOLEAN)))
}

fn comparison_name(scalar: &str) -> String {
    format!("{scalar}_comparison_exp")
}

fn bool_exp(table: &TableType) -> String {
    format!("{}_bool_exp", table.name)
}

fn order_by(table: &TableType) -> String {
    format!("{}_order_by", table.name)
}

fn select_column(table: &TableType) -> String {
    format!("{}_select_column", table.name)
}
