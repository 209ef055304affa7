//! A query in either dialect.

use std::fmt::Write as _;

use super::ast::{Body, Expr, Join, Node, Order, Query, Select, Source, Template, Type};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Ours,
    Theirs,
}

/// The query as Crossweave is asked.
pub(super) fn ours(query: &Query) -> String {
    render(query, Dialect::Ours).expect("every template has a text of ours")
}

/// The query as the MariaDB is asked that holds all tables, where it has something that means the same.
pub(super) fn theirs(query: &Query) -> Option<String> {
    render(query, Dialect::Theirs)
}

fn render(query: &Query, dialect: Dialect) -> Option<String> {
    let mut out = String::new();
    let mut renderer = Renderer { dialect, out: &mut out, calculates_on_quotients: false };
    renderer.query(query)?;
    // Merged, as by default, they have more digits. What has no partner it then joins with each row.
    Some(match dialect == Dialect::Theirs && renderer.calculates_on_quotients {
        true => format!("SET STATEMENT optimizer_switch = 'derived_merge=on,exists_to_in=off' FOR {out}"),
        false => out,
    })
}

struct Renderer<'a> {
    dialect: Dialect,
    out: &'a mut String,
    /// Whether a quotient of a derived table is calculated on.
    calculates_on_quotients: bool,
}

impl Renderer<'_> {
    fn push(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn list<T>(&mut self, items: &[T], each: impl Fn(&mut Self, &T) -> Option<()>) -> Option<()> {
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.push(", ");
            }
            each(self, item)?;
        }
        Some(())
    }

    fn query(&mut self, query: &Query) -> Option<()> {
        if !query.ctes.is_empty() {
            self.push("WITH ");
            self.list(&query.ctes, |this, (name, query)| {
                this.push(&format!("{name} AS ("));
                this.query(query)?;
                this.push(")");
                Some(())
            })?;
            self.push(" ");
        }
        if query.order.is_empty() && query.limit.is_none() && query.offset.is_none() {
            return self.body(&query.body);
        }
        // MariaDB knows no alias of an aggregate within ORDER BY's expressions, so they stand outside there.
        match self.dialect {
            Dialect::Ours => self.body(&query.body)?,
            Dialect::Theirs => {
                self.push("SELECT * FROM (");
                self.body(&query.body)?;
                self.push(") AS o");
            }
        }
        if !query.order.is_empty() {
            self.push(" ORDER BY ");
            self.list(&query.order, |this, order| {
                this.order(order);
                Some(())
            })?;
        }
        match (self.dialect, query.limit, query.offset) {
            // MariaDB has no OFFSET alone.
            (Dialect::Theirs, None, Some(offset)) => self.push(&format!(" LIMIT 1000000 OFFSET {offset}")),
            (_, limit, offset) => {
                limit.iter().for_each(|limit| self.push(&format!(" LIMIT {limit}")));
                offset.iter().for_each(|offset| self.push(&format!(" OFFSET {offset}")));
            }
        }
        Some(())
    }

    fn order(&mut self, order: &Order) {
        let Order { column, descending, nulls_first } = order;
        let direction = if *descending { " DESC" } else { "" };
        match self.dialect {
            Dialect::Ours => {
                self.push(&format!("{column}{direction}"));
                match nulls_first {
                    None => {}
                    Some(true) => self.push(" NULLS FIRST"),
                    Some(false) => self.push(" NULLS LAST"),
                }
            }
            Dialect::Theirs => {
                let first = nulls_first.unwrap_or(*descending);
                let nulls = if first { " DESC" } else { "" };
                self.push(&format!("{column} IS NULL{nulls}, {column}{direction}"));
            }
        }
    }

    fn body(&mut self, body: &Body) -> Option<()> {
        match body {
            Body::Select(select) => self.select(select),
            Body::Set { operator, left, right } => {
                self.side(left)?;
                self.push(&format!(" {operator} "));
                self.side(right)
            }
        }
    }

    /// Within another set, MariaDB takes INTERSECT ALL for INTERSECT.
    fn side(&mut self, body: &Body) -> Option<()> {
        let apart = self.dialect == Dialect::Theirs && matches!(body, Body::Set { .. });
        self.push(if apart { "(SELECT * FROM (" } else { "(" });
        self.body(body)?;
        self.push(if apart { ") AS s)" } else { ")" });
        Some(())
    }

    fn select(&mut self, select: &Select) -> Option<()> {
        self.push(if select.distinct { "SELECT DISTINCT " } else { "SELECT " });
        self.list(&select.items, |this, item| {
            this.expr(&item.expr)?;
            this.push(&format!(" AS {}", item.name));
            Some(())
        })?;
        self.push(" FROM ");
        for (index, join) in select.from.iter().enumerate() {
            self.join(index, join)?;
        }
        if let Some(filter) = &select.filter {
            self.push(" WHERE ");
            self.expr(filter)?;
        }
        if !select.group.is_empty() {
            self.push(" GROUP BY ");
            self.list(&select.group, Self::expr)?;
        }
        if let Some(having) = &select.having {
            self.push(" HAVING ");
            self.expr(having)?;
        }
        Some(())
    }

    fn join(&mut self, index: usize, join: &Join) -> Option<()> {
        if index > 0 {
            if self.dialect == Dialect::Theirs && join.kind == "FULL JOIN" {
                return None;
            }
            self.push(&format!(" {} ", join.kind));
        }
        match (&join.source, self.dialect) {
            (Source::Table { service, table }, Dialect::Ours) => self.push(&format!("{service}.{table}")),
            (Source::Table { table, .. }, Dialect::Theirs) => self.push(table),
            (Source::Cte(name), _) => self.push(name),
            (Source::Derived(query), _) => {
                self.push("(");
                self.query(query)?;
                self.push(")");
            }
        }
        self.push(&format!(" AS {}", join.alias));
        if let (Some(on), true) = (&join.on, index > 0) {
            self.push(" ON ");
            self.expr(on)?;
        }
        Some(())
    }

    fn expr(&mut self, expr: &Expr) -> Option<()> {
        match &expr.node {
            Node::Column { table, column, bits } => {
                let bits = *bits && self.dialect == Dialect::Theirs;
                let text = if bits { format!("({table}.{column} + 0)") } else { format!("{table}.{column}") };
                self.push(&text);
                Some(())
            }
            Node::Literal(text) => {
                self.push(text);
                Some(())
            }
            Node::Call { template, args } => {
                let is_quotient = |arg: &Expr| arg.is_column() && arg.ty == Type::Quotient;
                self.calculates_on_quotients |= args.iter().any(is_quotient);
                self.template(*template, args, None)
            }
            Node::Subquery { template, args, query } => self.template(*template, args, Some(query)),
            Node::Window { call, partition, order, frame } => self.window(call, partition, order, frame),
        }
    }

    fn template(&mut self, template: Template, args: &[Expr], query: Option<&Query>) -> Option<()> {
        let mut rest = match self.dialect {
            Dialect::Ours => template.ours,
            Dialect::Theirs => template.theirs?,
        };
        while let Some((before, after)) = rest.split_once('{') {
            self.push(before);
            let (place, after) = after.split_once('}').expect("a place ends");
            match place {
                "*" => self.list(args, Self::expr)?,
                "q" => self.query(query.expect("a template with {q} has a query"))?,
                index => self.expr(&args[index.parse::<usize>().expect("a place is a number")])?,
            }
            rest = after;
        }
        self.push(rest);
        Some(())
    }

    fn window(&mut self, call: &Expr, partition: &[Expr], order: &[(Expr, bool)], frame: &str) -> Option<()> {
        self.expr(call)?;
        self.push(" OVER (");
        if !partition.is_empty() {
            self.push("PARTITION BY ");
            self.list(partition, Self::expr)?;
            self.push(" ");
        }
        if !order.is_empty() {
            self.push("ORDER BY ");
            self.list(order, |this, (expr, descending)| {
                let direction = if *descending { " DESC" } else { "" };
                if this.dialect == Dialect::Theirs {
                    this.expr(expr)?;
                    let _ = write!(this.out, " IS NULL{direction}, ");
                }
                this.expr(expr)?;
                this.push(direction);
                Some(())
            })?;
        }
        self.push(frame);
        self.push(")");
        Some(())
    }
}
