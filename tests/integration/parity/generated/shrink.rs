//! Smaller queries that may show the same difference.
//!
//! A candidate need not be a valid query: one that every route refuses shows no difference. But each has to be as
//! determined as the query that it was made from: a limit goes before its order does, the order of a window stays.

use super::ast::{Body, Expr, Join, Node, Query, Select, Source};

/// Candidates, those that leave out most first.
pub(super) fn queries(query: &Query) -> Vec<Query> {
    let mut all = promoted(query);
    let with = |change: &dyn Fn(&mut Query)| {
        let mut smaller = query.clone();
        change(&mut smaller);
        smaller
    };
    for at in 0..query.ctes.len() {
        all.push(with(&|q| drop(q.ctes.remove(at))));
    }
    if query.limit.is_some() && query.offset.is_some() {
        all.push(with(&|q| q.offset = None));
    }
    if query.limit.is_some() || query.offset.is_some() {
        all.push(with(&|q| (q.limit, q.offset) = (None, None)));
    } else if !query.order.is_empty() {
        all.push(with(&|q| q.order.clear()));
    }
    let count = query.body.first().items.len();
    for at in (0..count).filter(|_| count > 1) {
        all.push(with(&|q| {
            let name = q.body.first().items[at].name.clone();
            q.order.retain(|order| order.column != name);
            without_item(&mut q.body, at);
        }));
    }
    for (at, order) in query.order.iter().enumerate() {
        if order.nulls_first.is_some() {
            all.push(with(&|q| q.order[at].nulls_first = None));
        }
        if order.descending {
            all.push(with(&|q| q.order[at].descending = false));
        }
    }
    all.extend(bodies(&query.body).into_iter().map(|body| with(&|q| q.body = body.clone())));
    for (at, (_, cte)) in query.ctes.iter().enumerate() {
        all.extend(queries(cte).into_iter().map(|cte| with(&|q| q.ctes[at].1 = cte.clone())));
    }
    all
}

/// The queries that it consists of.
fn promoted(query: &Query) -> Vec<Query> {
    let mut all: Vec<Query> = query.ctes.iter().map(|(_, cte)| cte.clone()).collect();
    if let Body::Select(select) = &query.body {
        for join in &select.from {
            if let Source::Derived(derived) = &join.source {
                all.push(Query { ctes: query.ctes.clone(), ..(**derived).clone() });
            }
        }
    }
    all
}

fn without_item(body: &mut Body, at: usize) {
    match body {
        Body::Select(select) => drop(select.items.remove(at)),
        Body::Set { left, right, .. } => {
            without_item(left, at);
            without_item(right, at);
        }
    }
}

fn bodies(body: &Body) -> Vec<Body> {
    match body {
        Body::Select(select) => selects(select).into_iter().map(|s| Body::Select(Box::new(s))).collect(),
        Body::Set { operator, left, right } => {
            let set =
                |left: Body, right: Body| Body::Set { operator, left: Box::new(left), right: Box::new(right) };
            let mut all = vec![(**left).clone(), (**right).clone()];
            all.extend(bodies(left).into_iter().map(|left| set(left, (**right).clone())));
            all.extend(bodies(right).into_iter().map(|right| set((**left).clone(), right)));
            all
        }
    }
}

fn selects(select: &Select) -> Vec<Select> {
    let mut all = Vec::new();
    let with = |change: &dyn Fn(&mut Select)| {
        let mut smaller = select.clone();
        change(&mut smaller);
        smaller
    };
    for at in (0..select.from.len()).filter(|_| select.from.len() > 1) {
        all.push(with(&|s| drop(s.from.remove(at))));
    }
    if select.filter.is_some() {
        all.push(with(&|s| s.filter = None));
    }
    if select.having.is_some() {
        all.push(with(&|s| s.having = None));
    }
    if select.distinct {
        all.push(with(&|s| s.distinct = false));
    }
    for at in 0..select.group.len() {
        all.push(with(&|s| drop(s.group.remove(at))));
    }
    for (at, join) in select.from.iter().enumerate() {
        all.extend(joins(join, at).into_iter().map(|join| with(&|s| s.from[at] = join.clone())));
    }
    for expr in select.filter.iter().flat_map(exprs) {
        all.push(with(&|s| s.filter = Some(expr.clone())));
    }
    for expr in select.having.iter().flat_map(exprs) {
        all.push(with(&|s| s.having = Some(expr.clone())));
    }
    for (at, item) in select.items.iter().enumerate() {
        all.extend(exprs(&item.expr).into_iter().map(|expr| with(&|s| s.items[at].expr = expr.clone())));
    }
    all
}

fn joins(join: &Join, at: usize) -> Vec<Join> {
    let mut all = Vec::new();
    if at > 0 && join.kind != "JOIN" && join.on.is_some() {
        all.push(Join { kind: "JOIN", ..join.clone() });
    }
    if let Source::Derived(query) = &join.source {
        let smaller = queries(query).into_iter();
        all.extend(smaller.map(|query| Join { source: Source::Derived(Box::new(query)), ..join.clone() }));
    }
    if let Some(on) = join.on.as_ref().filter(|_| at > 0) {
        all.extend(exprs(on).into_iter().map(|on| Join { on: Some(on), ..join.clone() }));
    }
    all
}

fn exprs(expr: &Expr) -> Vec<Expr> {
    let with = |node: Node| Expr { node, ..expr.clone() };
    match &expr.node {
        Node::Column { .. } | Node::Literal(_) => Vec::new(),
        Node::Call { template, args } => {
            let mut all: Vec<Expr> = args.iter().filter(|arg| arg.ty == expr.ty).cloned().collect();
            if template.ours == "{*}" && args.len() > 1 {
                for at in 0..args.len() {
                    let mut args = args.clone();
                    args.remove(at);
                    all.push(with(Node::Call { template: *template, args }));
                }
            }
            let smaller = lists(args).into_iter();
            all.extend(smaller.map(|args| with(Node::Call { template: *template, args })));
            all
        }
        Node::Subquery { template, args, query } => {
            let of =
                |args: Vec<Expr>, query: Box<Query>| with(Node::Subquery { template: *template, args, query });
            let mut all: Vec<Expr> =
                queries(query).into_iter().map(|query| of(args.clone(), Box::new(query))).collect();
            all.extend(lists(args).into_iter().map(|args| of(args, query.clone())));
            all
        }
        Node::Window { call, partition, order, frame } => {
            let of = |call: Box<Expr>, partition: Vec<Expr>, frame| {
                with(Node::Window { call, partition, order: order.clone(), frame })
            };
            let mut all = Vec::new();
            if !partition.is_empty() {
                all.push(of(call.clone(), Vec::new(), frame));
            }
            if !frame.is_empty() {
                all.push(of(call.clone(), partition.clone(), ""));
            }
            if let Node::Call { template, args } = &call.node {
                for args in lists(args) {
                    let node = Node::Call { template: *template, args };
                    all.push(of(Box::new(Expr { node, ..(**call).clone() }), partition.clone(), frame));
                }
            }
            all
        }
    }
}

/// The same list with one of its expressions smaller.
fn lists(list: &[Expr]) -> Vec<Vec<Expr>> {
    let mut all = Vec::new();
    for (at, expr) in list.iter().enumerate() {
        for smaller in exprs(expr) {
            let mut list = list.to_vec();
            list[at] = smaller;
            all.push(list);
        }
    }
    all
}
