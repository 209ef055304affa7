//! A scalar function by its name, what it takes, and a closure.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Int32Type};
use datafusion::common::plan_err;
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use datafusion::scalar::ScalarValue;

/// What an argument is cast to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// `int4`, or the number of an object.
    Int,
    Text,
    Bool,
    /// It is taken as it is.
    Any,
}

/// From the arguments' types to that of the values.
type Gives = dyn Fn(&[DataType]) -> Result<DataType> + Send + Sync;
/// From the arguments and the number of rows to the values.
type Body = dyn Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync;

struct Function {
    name: &'static str,
    takes: &'static [Takes],
    gives: Box<Gives>,
    body: Box<Body>,
    signature: Signature,
    required: usize,
}

/// The function `name`, whose arguments after the first `required` may be left out.
pub(super) fn function(
    name: &'static str,
    takes: &'static [Takes],
    required: usize,
    gives: impl Fn(&[DataType]) -> Result<DataType> + Send + Sync + 'static,
    body: impl Fn(&[ArrayRef], usize) -> Result<ArrayRef> + Send + Sync + 'static,
) -> Arc<ScalarUDF> {
    let signature = match (required, takes.is_empty()) {
        (_, true) => TypeSignature::Nullary,
        (0, _) => TypeSignature::OneOf(vec![TypeSignature::Nullary, TypeSignature::UserDefined]),
        _ => TypeSignature::UserDefined,
    };
    let signature = Signature::new(signature, Volatility::Stable);
    let (gives, body) = (Box::new(gives), Box::new(body));
    Arc::new(ScalarUDF::new_from_impl(Function { name, takes, gives, body, signature, required }))
}

/// A function that always gives `value`.
pub(super) fn always(
    name: &'static str,
    takes: &'static [Takes],
    required: usize,
    value: ScalarValue,
) -> Arc<ScalarUDF> {
    let data_type = value.data_type();
    let gives = move |_: &[DataType]| Ok(data_type.clone());
    function(name, takes, required, gives, move |_, rows| value.to_array_of_size(rows))
}

/// A function from an object's number, the first argument, to a text. The second is a number as well, or 0.
pub(super) fn by_oid(
    name: &'static str,
    takes: &'static [Takes],
    text: impl Fn(i32, i32) -> Option<String> + Send + Sync + 'static,
) -> Arc<ScalarUDF> {
    function(
        name,
        takes,
        1,
        |_| Ok(DataType::Utf8),
        move |args, rows| {
            let oids = args[0].as_primitive::<Int32Type>();
            let second = args.get(1).and_then(|array| array.as_primitive_opt::<Int32Type>());
            let text = |row: usize| {
                let oid = oids.is_valid(row).then(|| oids.value(row))?;
                text(oid, second.map_or(0, |second| second.value(row)))
            };
            Ok(strings((0..rows).map(text)))
        },
    )
}

/// A function from a name to an object's number.
pub(super) fn by_name(
    name: &'static str,
    oid: impl Fn(&str) -> Option<i32> + Send + Sync + 'static,
) -> Arc<ScalarUDF> {
    function(
        name,
        &[Takes::Text],
        1,
        |_| Ok(DataType::Int32),
        move |args, _| {
            let names = args[0].as_string::<i32>();
            Ok(Arc::new(names.iter().map(|name| oid(name?)).collect::<Int32Array>()))
        },
    )
}

/// A column of texts.
pub(super) fn strings(texts: impl Iterator<Item = Option<String>>) -> ArrayRef {
    Arc::new(texts.collect::<StringArray>())
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        (self.gives)(arguments)
    }

    /// PostgreSQL's clients send an object's number as a number of any width, or as a text.
    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        if arguments.len() < self.required || arguments.len() > self.takes.len() {
            return plan_err!("{} does not take {} arguments", self.name, arguments.len());
        }
        let takes = self.takes.iter().zip(arguments);
        Ok(takes
            .map(|(takes, given)| match takes {
                Takes::Int => DataType::Int32,
                Takes::Text => DataType::Utf8,
                Takes::Bool => DataType::Boolean,
                Takes::Any => given.clone(),
            })
            .collect())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = arguments.number_rows;
        let arrays = arguments.args.iter().map(|value| value.to_array(rows)).collect::<Result<Vec<_>>>()?;
        Ok(ColumnarValue::Array((self.body)(&arrays, rows)?))
    }
}
