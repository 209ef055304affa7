//! A query as the generator makes it: typed, and of no dialect.
//!
//! Expressions carry their text as templates, one for each dialect, in which `{0}` stands for an argument, `{*}` for
//! all of them and `{q}` for a subquery. So a function is said once, where the generator chooses it, and neither
//! rendering nor shrinking knows functions.

/// What an expression gives, as far as the generator has to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Bool,
    /// Integers so small that arithmetic on a few of them stays within BIGINT.
    Int,
    /// Integers up to 2^64: compared, not calculated with.
    Big,
    Year,
    /// Decimals of few digits.
    Dec,
    /// Decimals of up to 65 digits.
    Wide,
    /// Decimals that were divided. MariaDB calculates on with more digits than it shows: only shown.
    Quotient,
    /// FLOAT.
    Single,
    /// DOUBLE that depends on no order.
    Double,
    /// Sums and moments of floats: only shown, and compared with a bound.
    Inexact,
    /// Text under a collation.
    Text(&'static str),
    Enum,
    Set,
    /// What a value looks like: only shown.
    Shown,
    Uuid,
    Inet6,
    Json,
    Bytes,
    Date,
    /// DATETIME.
    Moment,
    /// TIMESTAMP.
    Stamp,
    Time,
}

impl Type {
    /// Whether values can be compared, grouped and sorted, with the same outcome everywhere.
    pub(super) fn is_comparable(self) -> bool {
        !matches!(self, Self::Quotient | Self::Inexact | Self::Shown | Self::Json)
    }

    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Text(_))
    }
}

/// The text of one operator or function in both dialects. `theirs` is missing where MariaDB has nothing that means the
/// same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Template {
    pub(super) ours: &'static str,
    pub(super) theirs: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub(super) node: Node,
    pub(super) ty: Type,
    /// Whether a text stands for others that its collation holds equal, so that which one it is, is open.
    pub(super) loose: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    Column {
        table: String,
        column: String,
        /// A BIT, which MariaDB gives as bytes.
        bits: bool,
    },
    Literal(String),
    Call {
        template: Template,
        args: Vec<Expr>,
    },
    Window {
        call: Box<Expr>,
        partition: Vec<Expr>,
        order: Vec<(Expr, bool)>,
        frame: &'static str,
    },
    Subquery {
        template: Template,
        args: Vec<Expr>,
        query: Box<Query>,
    },
}

#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) ctes: Vec<(String, Query)>,
    pub(super) body: Body,
    pub(super) order: Vec<Order>,
    pub(super) limit: Option<u64>,
    pub(super) offset: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Order {
    /// The name of an item.
    pub(super) column: String,
    pub(super) descending: bool,
    /// `NULLS FIRST` or `NULLS LAST`, where it is said.
    pub(super) nulls_first: Option<bool>,
}

#[derive(Clone, Debug)]
pub(super) enum Body {
    Select(Box<Select>),
    Set { operator: &'static str, left: Box<Body>, right: Box<Body> },
}

#[derive(Clone, Debug)]
pub(super) struct Select {
    pub(super) distinct: bool,
    pub(super) items: Vec<Item>,
    pub(super) from: Vec<Join>,
    pub(super) filter: Option<Expr>,
    pub(super) group: Vec<Expr>,
    pub(super) having: Option<Expr>,
}

#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) name: String,
    pub(super) expr: Expr,
}

/// A source, and how it is joined to those before it.
#[derive(Clone, Debug)]
pub(super) struct Join {
    pub(super) kind: &'static str,
    pub(super) source: Source,
    pub(super) alias: String,
    pub(super) on: Option<Expr>,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    Table { service: &'static str, table: &'static str },
    Derived(Box<Query>),
    Cte(String),
}

/// A column of an answer: what is compared, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) ty: Type,
    pub(super) loose: bool,
}

impl Query {
    pub(super) fn of(select: Select) -> Self {
        let body = Body::Select(Box::new(select));
        Self { ctes: Vec::new(), body, order: Vec::new(), limit: None, offset: None }
    }

    pub(super) fn outputs(&self) -> Vec<Output> {
        let mut outputs = self.body.outputs();
        if self.limit.is_some() || self.offset.is_some() {
            outputs.iter_mut().for_each(|output| output.loose = true);
        }
        outputs
    }
}

impl Body {
    /// The first SELECT, which names the columns.
    pub(super) fn first(&self) -> &Select {
        match self {
            Self::Select(select) => select,
            Self::Set { left, .. } => left.first(),
        }
    }

    pub(super) fn selects(&self) -> Box<dyn Iterator<Item = &Select> + '_> {
        match self {
            Self::Select(select) => Box::new(std::iter::once(&**select)),
            Self::Set { left, right, .. } => Box::new(left.selects().chain(right.selects())),
        }
    }

    fn outputs(&self) -> Vec<Output> {
        match self {
            Self::Select(select) => {
                let output =
                    |item: &Item| Output { ty: item.expr.ty, loose: item.expr.loose || select.distinct };
                select.items.iter().map(output).collect()
            }
            Self::Set { operator, left, right } => {
                // Which of several equal rows is left, is open but for UNION ALL.
                let all = *operator == "UNION ALL";
                let both = left.outputs().into_iter().zip(right.outputs());
                both.map(|(l, r)| Output { ty: l.ty, loose: l.loose || r.loose || !all }).collect()
            }
        }
    }
}

impl Expr {
    pub(super) fn literal(ty: Type, text: impl Into<String>) -> Self {
        Self { node: Node::Literal(text.into()), ty, loose: false }
    }

    pub(super) fn call(ty: Type, template: Template, args: Vec<Expr>) -> Self {
        let loose = ty.is_text() && args.iter().any(|arg| arg.loose);
        Self { node: Node::Call { template, args }, ty, loose }
    }

    /// The same text in both dialects.
    pub(super) fn same(ty: Type, text: &'static str, args: Vec<Expr>) -> Self {
        Self::call(ty, Template { ours: text, theirs: Some(text) }, args)
    }

    pub(super) fn is_column(&self) -> bool {
        matches!(self.node, Node::Column { .. })
    }

    pub(super) fn is_literal(&self) -> bool {
        matches!(self.node, Node::Literal(_))
    }
}
