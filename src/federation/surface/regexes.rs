//! Regular expressions, computed here so that they end once nobody waits for them ([`with_stoppable_regexes`]).
//!
//! A batch may have 65,536 rows, each with a pattern of its own that takes milliseconds to be read: so `~` asks [`Stop`] as it
//! goes ([`Matches`]), and DataFusion's functions are handed few rows at once ([`InSlices`]). Arrow keeps what it has made of every
//! pattern that it is handed, which may be gigabytes: patterns of the row are small, and only some are kept. What is a constant
//! once the plan is optimised is read once, and may be as large as DataFusion allows.

use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::tree_node::{Transformed, TransformedResult as _};
use datafusion::common::{Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    BinaryExpr, ColumnarValue, Expr, LogicalPlan, Operator, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility,
};
use regex::{Regex, RegexBuilder};
use tokio::task::block_in_place;

use super::bounds::check_batch;
use super::times::moments::on_values;
use crate::federation::collation::{is_text, views};
use crate::federation::guard::Stop;
use crate::federation::walk::{has, with_parts};

/// Bytes of what is made of a pattern of the row.
const MOST_BYTES: usize = 256 * 1024;

/// Bytes of what is made of a constant pattern: those that DataFusion allows.
const MOST_BYTES_OF_CONSTANT: usize = 10 * (1 << 20);

/// Patterns of which that is kept.
const MOST_KEPT: usize = 64;

/// Bytes of texts between two looks at whether anybody still waits; a row counts as some of them.
const LOOK_AFTER: usize = 1_024;
const ROW: usize = 16;

/// The most rows, and different patterns of them, that a function of DataFusion is handed at once, and the time that reading
/// these patterns may take.
const SLICE: usize = 8_192;
const SLICE_PATTERNS: usize = 500;
const SLICE_TIME: Duration = Duration::from_millis(50);

/// DataFusion's functions of regular expressions, with the place of the argument that holds the flags.
const FUNCTIONS: &[(&str, usize)] =
    &[("regexp_like", 2), ("regexp_match", 2), ("regexp_count", 3), ("regexp_replace", 3), ("regexp_instr", 4)];

/// `plan`, which is optimised, with its regular expressions ended when `stop` says so.
///
/// # Errors
/// Those of DataFusion for a plan that is none.
pub fn with_stoppable_regexes(plan: LogicalPlan, stop: &Arc<Stop>) -> Result<LogicalPlan> {
    plan.transform_down_with_subqueries(|plan| match has(&plan, is_regex)? {
        true => with_parts(plan, |expr| {
            Ok(stoppable(&expr, stop).map_or_else(|| Transformed::no(expr), Transformed::yes))
        }),
        false => Ok(Transformed::no(plan)),
    })
    .data()
}

/// The name of `op` if it matches a regular expression, whether in any case, and whether it asks for what does not match.
fn matching(op: Operator) -> Option<(&'static str, bool, bool)> {
    match op {
        Operator::RegexMatch => Some(("~", false, false)),
        Operator::RegexNotMatch => Some(("!~", false, true)),
        Operator::RegexIMatch => Some(("~*", true, false)),
        Operator::RegexNotIMatch => Some(("!~*", true, true)),
        _ => None,
    }
}

/// Which argument of `function`, of DataFusion's, has the flags of a regular expression, if it is of one.
fn flags_of(function: &ScalarUDF) -> Option<usize> {
    let (_, flags) = FUNCTIONS.iter().find(|(name, _)| *name == function.name())?;
    function.inner().downcast_ref::<InSlices>().is_none().then_some(*flags)
}

/// Whether something stands for `expr` ([`stoppable`]).
fn is_regex(expr: &Expr) -> bool {
    match expr {
        Expr::BinaryExpr(binary) => matching(binary.op).is_some(),
        Expr::ScalarFunction(call) => flags_of(&call.func).is_some(),
        _ => false,
    }
}

/// What stands for `expr`, if it is of a regular expression.
fn stoppable(expr: &Expr, stop: &Arc<Stop>) -> Option<Expr> {
    let stop = Asked(Arc::clone(stop));
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (name, any_case, negated) = matching(*op)?;
            let signature = Signature::any(2, Volatility::Immutable);
            let matches = Matches { name, any_case, negated, stop, signature };
            let args = vec![(**left).clone(), (**right).clone()];
            let function = Arc::new(ScalarUDF::new_from_impl(matches));
            Some(Expr::ScalarFunction(ScalarFunction::new_udf(function, args)))
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) => {
            let slices = InSlices { inner: Arc::clone(func), flags: flags_of(func)?, stop };
            let function = Arc::new(ScalarUDF::new_from_impl(slices));
            Some(Expr::ScalarFunction(ScalarFunction::new_udf(function, args.clone())))
        }
        _ => None,
    }
}

/// Who is asked whether to go on.
#[derive(Debug)]
struct Asked(Arc<Stop>);

impl PartialEq for Asked {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Asked {}

impl Hash for Asked {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// `text ~ pattern` and its like.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Matches {
    name: &'static str,
    any_case: bool,
    negated: bool,
    stop: Asked,
    signature: Signature,
}

impl ScalarUDFImpl for Matches {
    fn name(&self) -> &str {
        self.name
    }

    /// That of the operator, so that results keep their names.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [text, pattern] = args else { return internal_err!("{} has two operands", self.name) };
        Ok(format!("{} {} {}", text.schema_name(), self.name, pattern.schema_name()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let nullable = args.arg_fields.iter().any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(self.name, DataType::Boolean, nullable)))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [texts, patterns] = &args.args[..] else {
            return internal_err!("{} has two operands", self.name);
        };
        match patterns {
            ColumnarValue::Scalar(pattern) => match pattern.try_as_str().flatten() {
                Some(pattern) => {
                    let regex = read(pattern, self.any_case, MOST_BYTES_OF_CONSTANT)?;
                    on_values(texts, |texts| self.constant(texts, &regex))
                }
                None => Ok(ColumnarValue::Scalar(ScalarValue::Boolean(None))),
            },
            ColumnarValue::Array(patterns) => {
                let texts = texts.to_array(args.number_rows)?;
                // It may take long, and others are to be served meanwhile.
                Ok(ColumnarValue::Array(block_in_place(|| self.of_rows(&texts, patterns))?))
            }
        }
    }
}

impl Matches {
    fn constant(&self, texts: &ArrayRef, regex: &Regex) -> Result<ArrayRef> {
        let mut pace = Pace::new(&self.stop);
        let texts = views(texts)?;
        let found = texts.iter().map(|text| {
            let Some(text) = text else { return Ok(None) };
            pace.step(text)?;
            Ok(Some(regex.is_match(text) != self.negated))
        });
        Ok(Arc::new(found.collect::<Result<BooleanArray>>()?))
    }

    fn of_rows(&self, texts: &ArrayRef, patterns: &ArrayRef) -> Result<ArrayRef> {
        let (texts, patterns) = (views(texts)?, views(patterns)?);
        let mut kept: HashMap<&str, Regex> = HashMap::new();
        let mut pace = Pace::new(&self.stop);
        let mut found = BooleanArray::builder(texts.len());
        for (text, pattern) in texts.iter().zip(&patterns) {
            let Some((text, pattern)) = text.zip(pattern) else {
                found.append_null();
                continue;
            };
            if !kept.contains_key(pattern) {
                self.stop.0.check()?;
                if kept.len() == MOST_KEPT {
                    kept.clear();
                }
                kept.insert(pattern, read(pattern, self.any_case, MOST_BYTES)?);
            }
            pace.step(text)?;
            found.append_option(kept.get(pattern).map(|regex| regex.is_match(text) != self.negated));
        }
        Ok(Arc::new(found.finish()))
    }
}

/// When to ask whether to go on.
struct Pace<'s> {
    stop: &'s Stop,
    bytes: usize,
}

impl<'s> Pace<'s> {
    fn new(stop: &'s Asked) -> Self {
        Self { stop: &stop.0, bytes: LOOK_AFTER }
    }

    fn step(&mut self, text: &str) -> Result<()> {
        self.bytes += text.len() + ROW;
        if self.bytes < LOOK_AFTER {
            return Ok(());
        }
        self.bytes = 0;
        self.stop.check()
    }
}

/// A function of DataFusion that takes a text, a pattern, and flags: over few rows and patterns at once.
#[derive(Debug, PartialEq, Eq, Hash)]
struct InSlices {
    inner: Arc<ScalarUDF>,
    flags: usize,
    stop: Asked,
}

impl ScalarUDFImpl for InSlices {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        self.inner.schema_name(args)
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(arg_types)
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.inner.is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.stop.0.check()?;
        if args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_))) || args.number_rows == 0 {
            return self.inner.invoke_with_args(args);
        }
        match Patterns::of(&args, self.flags)? {
            Some(patterns) => block_in_place(|| self.slices(&args, |from| patterns.slice(from, &self.stop.0))),
            None => self.slices(&args, |from| Ok(from + SLICE)),
        }
    }
}

impl InSlices {
    /// Of all rows, in slices; `end` says where the one that begins somewhere ends.
    fn slices(&self, args: &ScalarFunctionArgs, end: impl Fn(usize) -> Result<usize>) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let (mut made, mut bytes, mut from) = (Vec::<ArrayRef>::new(), 0, 0);
        while from < rows {
            self.stop.0.check()?;
            let number_rows = end(from)?.min(rows) - from;
            let slice = args.args.iter().map(|arg| match arg {
                ColumnarValue::Array(values) => ColumnarValue::Array(values.slice(from, number_rows)),
                ColumnarValue::Scalar(value) => ColumnarValue::Scalar(value.clone()),
            });
            let slice = ScalarFunctionArgs { args: slice.collect(), number_rows, ..args.clone() };
            let values = self.inner.invoke_with_args(slice)?.into_array(number_rows)?;
            bytes += bytes_of(&values)?;
            check_batch(self.name(), bytes, rows)?;
            made.push(values);
            from += number_rows;
        }
        let made: Vec<&dyn arrow::array::Array> = made.iter().map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(concat(&made)?))
    }
}

/// Bytes of texts, and of those in lists.
fn bytes_of(values: &ArrayRef) -> Result<u64> {
    Ok(match values.data_type() {
        DataType::List(_) => bytes_of(values.as_list::<i32>().values())?,
        text if is_text(text) => views(values)?.iter().flatten().map(|text| text.len() as u64).sum(),
        _ => 0,
    })
}

/// The patterns of rows, with their flags.
struct Patterns {
    patterns: arrow::array::StringViewArray,
    flags: Option<arrow::array::StringViewArray>,
}

impl Patterns {
    /// Unless they are the same for all rows.
    fn of(args: &ScalarFunctionArgs, flags: usize) -> Result<Option<Self>> {
        let (pattern, flags) = (args.args.get(1), args.args.get(flags));
        let is_array = |arg: Option<&ColumnarValue>| matches!(arg, Some(ColumnarValue::Array(_)));
        let texts = |arg: &ColumnarValue| views(&arg.to_array(args.number_rows)?);
        match pattern {
            Some(pattern) if is_array(Some(pattern)) || is_array(flags) => {
                Ok(Some(Self { patterns: texts(pattern)?, flags: flags.map(texts).transpose()? }))
            }
            _ => Ok(None),
        }
    }

    /// Where a slice ends that begins at the row `from`, and has few patterns, none of them large.
    fn slice(&self, from: usize, stop: &Stop) -> Result<usize> {
        let end = self.patterns.len().min(from + SLICE);
        let mut different = HashSet::new();
        let began = Instant::now();
        for row in from..end {
            if self.patterns.is_null(row) {
                continue;
            }
            let flags = self.flags.as_ref().filter(|flags| flags.is_valid(row));
            let pattern = (self.patterns.value(row), flags.map_or("", |flags| flags.value(row)));
            if different.contains(&pattern) {
                continue;
            }
            if different.len() == SLICE_PATTERNS || !different.is_empty() && began.elapsed() > SLICE_TIME {
                return Ok(row);
            }
            stop.check()?;
            check_size(pattern)?;
            different.insert(pattern);
        }
        Ok(end)
    }
}

/// Fails if what is made of a pattern with these flags is large; whether it can be read is for the function to say.
fn check_size((pattern, flags): (&str, &str)) -> Result<()> {
    // Of all matches rather than of the first: that is no matter of the pattern.
    let flags = flags.replace('g', "");
    let flagged = if flags.is_empty() { pattern.to_owned() } else { format!("(?{flags}){pattern}") };
    match RegexBuilder::new(&flagged).size_limit(MOST_BYTES).build() {
        Err(regex::Error::CompiledTooBig(_)) => too_big(pattern, MOST_BYTES),
        _ => Ok(()),
    }
}

fn read(pattern: &str, any_case: bool, most_bytes: usize) -> Result<Regex> {
    match RegexBuilder::new(pattern).case_insensitive(any_case).size_limit(most_bytes).build() {
        Ok(regex) => Ok(regex),
        Err(regex::Error::CompiledTooBig(_)) => too_big(pattern, most_bytes),
        Err(error) => exec_err!("the pattern '{pattern}' cannot be read: {error}"),
    }
}

fn too_big<T>(pattern: &str, most_bytes: usize) -> Result<T> {
    let which = if most_bytes == MOST_BYTES { "of the row" } else { "that is a constant" };
    exec_err!(
        "the pattern '{pattern}' repeats too much: what is made of one {which} may have {most_bytes} bytes"
    )
}

#[cfg(test)]
mod tests;
