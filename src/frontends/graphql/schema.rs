//! The GraphQL schema of a [`Model`], for validation, introspection and the SDL.
//!
//! async-graphql parses, validates and answers introspection; it never resolves a field of ours. A resolver per
//! field and row is what makes generated GraphQL slow, so documents are compiled to plans instead (`plan`), and the
//! resolvers here only have a shape that introspection queries can run beside.
//!
//! Nor does it judge the values of scalars. Clients declare a key's variable as `ID!`, `String!` or `Int!` whatever
//! the column is, and send `"7"` for 7; a value is judged where it meets its column (`literal`). Of built-in scalars
//! async-graphql insists on its own checks, so there are two schemas of one shape: one is shown, the other, in
//! which inputs have scalars of ours in their place, is what documents are held against.

use async_graphql::dynamic::{
    Enum, EnumItem, Field, FieldFuture, InputObject, InputValue, Object, Scalar, Schema, SchemaBuilder,
    SchemaError, TypeRef,
};
use async_graphql::{ValidationMode, Value};

use super::describe;
use super::execute::NothingRuns;
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

/// Types that no table brings.
const FIXED: &[&str] = &["ID", "order_by", "query_root", "mutation_root", "subscription_root", NO_TABLES];
const NO_TABLES: &str = "no_tables";

/// Orders of `order_by`, as Hasura names them, with what they mean.
pub(super) const ORDERS: &[(&str, &str)] = &[
    ("asc", "Ascending, NULLs last."),
    ("asc_nulls_first", "Ascending, NULLs first."),
    ("asc_nulls_last", "Ascending, NULLs last."),
    ("desc", "Descending, NULLs first."),
    ("desc_nulls_first", "Descending, NULLs first."),
    ("desc_nulls_last", "Descending, NULLs last."),
];

/// Operators that each scalar's comparison has, with what they mean.
const COMPARISONS: &[(&str, &str)] = &[
    ("_eq", "Equal; text by the column's collation."),
    ("_neq", "Not equal."),
    ("_gt", "Greater."),
    ("_gte", "Greater or equal."),
    ("_lt", "Less."),
    ("_lte", "Less or equal."),
    ("_in", "Equal to one of these; false if there are none."),
    ("_nin", "Equal to none of these; true if there are none."),
];
const TEXT_COMPARISONS: &[(&str, &str)] = &[
    (
        "_like",
        "Like a pattern: % stands for any characters, _ for one; the column's collation says what is equal.",
    ),
    ("_nlike", "Not like a pattern."),
    ("_ilike", "Like a pattern, whatever the case."),
    ("_nilike", "Not like a pattern, whatever the case."),
];
const IS_NULL: &str = "_is_null";

/// Scalars of which only is known whether a value is there.
const NOT_COMPARED: &[&str] = &["geometry", "vector"];

/// Whether values of the scalar can be given and compared.
pub(super) fn compares(scalar: &str) -> bool {
    !NOT_COMPARED.contains(&scalar)
}

/// The operators on columns of the scalar, with what they mean.
pub(super) fn operators(scalar: &str) -> Vec<(&'static str, &'static str)> {
    let (all, text): (&[_], &[_]) = match scalar {
        "String" => (COMPARISONS, TEXT_COMPARISONS),
        scalar if compares(scalar) => (COMPARISONS, &[]),
        _ => (&[], &[]),
    };
    all.iter()
        .chain(text)
        .copied()
        .chain([(IS_NULL, "Whether it is NULL. A comparison with null is an error.")])
        .collect()
}

/// The names that are taken whatever the tables are.
pub(super) fn fixed_names() -> impl Iterator<Item = String> {
    let scalars = || BUILT_IN.iter().chain(SCALARS);
    let fixed = scalars().chain(FIXED).map(|name| (*name).to_owned());
    let unjudged = BUILT_IN.iter().map(|scalar| unjudged(scalar));
    fixed.chain(unjudged).chain(scalars().map(|scalar| comparison_name(scalar)))
}

/// The two schemas of a model.
pub(super) struct Schemas {
    /// Answers introspection, and is the SDL.
    pub(super) shown: Schema,
    /// Validates documents, and runs nothing.
    pub(super) checking: Schema,
}

impl Schemas {
    pub(super) fn new(model: &Model) -> Result<Self, SchemaError> {
        Ok(Self { shown: build(model, Inputs::Shown)?, checking: build(model, Inputs::Checking)? })
    }
}

/// Which scalars inputs have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inputs {
    Shown,
    Checking,
}

impl Inputs {
    fn scalar(self, name: &str) -> String {
        match self {
            Self::Checking if BUILT_IN.contains(&name) => unjudged(name),
            _ => name.to_owned(),
        }
    }
}

/// The scalar that stands for a built-in one among the inputs that documents are held against.
fn unjudged(built_in: &str) -> String {
    format!("unjudged_{built_in}")
}

/// What the checking schema says, in the names that are shown.
pub(super) fn as_shown(message: &str) -> String {
    BUILT_IN.iter().fold(message.to_owned(), |message, name| message.replace(&unjudged(name), name))
}

fn build(model: &Model, inputs: Inputs) -> Result<Schema, SchemaError> {
    let mut query = Object::new("query_root");
    let builder = Schema::build("query_root", None, None);
    let mut builder = match inputs {
        Inputs::Shown => builder.validation_mode(ValidationMode::Fast),
        Inputs::Checking => builder.extension(NothingRuns),
    };
    for name in SCALARS {
        builder = builder.register(Scalar::new(*name).description(describe::scalar(name)));
    }
    if inputs == Inputs::Checking {
        for name in BUILT_IN {
            builder = builder.register(Scalar::new(unjudged(name)));
        }
    }
    for name in BUILT_IN.iter().chain(SCALARS) {
        builder = builder.register(comparison(name, inputs));
    }
    let mut order = Enum::new("order_by").description("How a column orders rows.");
    for (item, meaning) in ORDERS {
        order = order.item(EnumItem::new(*item).description(*meaning));
    }
    builder = builder.register(order);
    for table in model.types.values() {
        builder = register_table(builder, model, table, inputs);
        query = query.field(list_field(&table.name, table, describe::list(table), "in all", inputs));
        if let Some(field) = by_key_field(table, inputs) {
            query = query.field(field);
        }
    }
    if model.types.is_empty() {
        let nothing =
            Field::new(NO_TABLES, TypeRef::named(TypeRef::BOOLEAN), |_| FieldFuture::from_value(None));
        query = query.field(nothing.description("No service has a table yet."));
    }
    builder.register(query).finish()
}

fn register_table(builder: SchemaBuilder, model: &Model, table: &TableType, inputs: Inputs) -> SchemaBuilder {
    let mut object = Object::new(&table.name).description(describe::table(table));
    let (bool_exp, order_by) = (bool_exp(table), order_by(table));
    let mut filter = InputObject::new(&bool_exp)
        .description(format!("A condition on rows of {}: all of its members hold.", table.id))
        .field(described(
            "_and",
            TypeRef::named_nn_list(&bool_exp),
            "All of these hold; true if there are none.",
        ))
        .field(described(
            "_or",
            TypeRef::named_nn_list(&bool_exp),
            "One of these holds; false if there are none.",
        ))
        .field(described("_not", TypeRef::named(&bool_exp), "This does not hold."));
    let mut order =
        InputObject::new(&order_by).description("Several members order in the order they are sent.");
    let mut columns = Enum::new(select_column(table)).description(format!("Columns of {}.", table.id));
    for (name, field) in &table.fields {
        match field {
            TypeField::Column(index) => {
                let column = &table.def.columns[*index];
                let scalar = scalar(&column.column_type);
                let nullable = column.nullable || column.column_type.may_hold_zero_date();
                let field_type = if nullable { TypeRef::named(scalar) } else { TypeRef::named_nn(scalar) };
                object = object.field(nothing(name, field_type).description(describe::column(column)));
                filter = filter.field(InputValue::new(name, TypeRef::named(comparison_name(scalar))));
                order = order.field(InputValue::new(name, TypeRef::named("order_by")));
                columns = columns.item(name.as_str());
            }
            TypeField::Relationship(edge) => {
                let Some(target) = model.of(&edge.target) else { continue };
                object = object.field(edge_field(name, table, edge, target, inputs));
                let exists = format!("A related row of {} passes.", target.id);
                filter = filter.field(described(name, TypeRef::named(self::bool_exp(target)), &exists));
                if edge.orders() {
                    order = order.field(InputValue::new(name, TypeRef::named(self::order_by(target))));
                }
            }
        }
    }
    builder.register(object).register(filter).register(order).register(columns)
}

fn edge_field(name: &str, table: &TableType, edge: &Edge, target: &TableType, inputs: Inputs) -> Field {
    let text = describe::edge(table, edge, target);
    if edge.many {
        list_field(name, target, text, "for each row above", inputs)
    } else {
        nothing(name, TypeRef::named(&target.name)).description(text)
    }
}

fn list_field(name: &str, table: &TableType, text: String, each: &str, inputs: Inputs) -> Field {
    let count = TypeRef::named(inputs.scalar(TypeRef::INT));
    let distinct_on = TypeRef::named_nn_list(select_column(table));
    Field::new(name, TypeRef::named_nn_list_nn(&table.name), |_| {
        FieldFuture::from_value(Some(Value::List(Vec::new())))
    })
    .description(text)
    .argument(described(
        "distinct_on",
        distinct_on,
        &format!("Of rows equal in these columns, the first {each}."),
    ))
    .argument(described("limit", count.clone(), &format!("So many rows at most, {each}.")))
    .argument(described("offset", count, &format!("So many rows are left out, {each}.")))
    .argument(described("order_by", TypeRef::named_nn_list(order_by(table)), describe::ORDER_BY))
    .argument(described("where", TypeRef::named(bool_exp(table)), "Only rows that pass."))
}

fn by_key_field(table: &TableType, inputs: Inputs) -> Option<Field> {
    let key = table.key();
    if key.is_empty() {
        return None;
    }
    let mut field = nothing(&format!("{}_by_pk", table.name), TypeRef::named(&table.name))
        .description(format!("The row of {} with this key; null if there is none.", table.id));
    for (name, index) in key {
        let column = &table.def.columns[index];
        let scalar = TypeRef::named_nn(inputs.scalar(scalar(&column.column_type)));
        field = field.argument(described(name, scalar, &describe::column(column)));
    }
    Some(field)
}

fn nothing(name: &str, field_type: TypeRef) -> Field {
    Field::new(name, field_type, |_| FieldFuture::from_value(None))
}

fn described(name: &str, value_type: TypeRef, text: &str) -> InputValue {
    InputValue::new(name, value_type).description(text)
}

fn comparison(scalar: &str, inputs: Inputs) -> InputObject {
    let mut object = InputObject::new(comparison_name(scalar)).description("All of the members hold.");
    for (operator, meaning) in operators(scalar) {
        let value_type = match operator {
            IS_NULL => TypeRef::named(inputs.scalar(TypeRef::BOOLEAN)),
            "_in" | "_nin" => TypeRef::named_nn_list(inputs.scalar(scalar)),
            _ => TypeRef::named(inputs.scalar(scalar)),
        };
        object = object.field(described(operator, value_type, meaning));
    }
    object
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
