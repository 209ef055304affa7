//! Taking a UNION ALL of fragments of one source.

use std::sync::Arc;

use crossweave_contract::{ColumnType, Relation, RemoteColumn};
use datafusion::common::Result;
use datafusion::logical_expr::{LogicalPlan, Union};

use super::expressions::{Taken, check_literals, refuse};
use super::fragment::{Fragment, Output, Picked, asked};
use super::whitelist::Family;

/// `union` of what `inputs` are asked for. By itself it is computed here, for all rows come anyhow; there, if what is
/// taken above makes fewer of them.
pub(super) fn union(union: &Union, inputs: &[&Fragment]) -> Result<Taken<Fragment>> {
    let fragment = match taken(union, inputs) {
        Ok(fragment) => fragment,
        Err(why) => return Ok(Err(why)),
    };
    let mut here = union.clone();
    here.inputs =
        inputs.iter().map(|input| (*input).clone().finished().map(Arc::new)).collect::<Result<_>>()?;
    Ok(Ok(Fragment { apart: Some(Box::new(LogicalPlan::Union(here))), ..fragment }))
}

fn taken(union: &Union, inputs: &[&Fragment]) -> Taken<Fragment> {
    let [first, others @ ..] = inputs else { return refuse("it has no inputs") };
    if !others.iter().all(|other| Arc::ptr_eq(&first.source, &other.source)) {
        return refuse("its inputs are on several sources");
    }
    let mut outputs = Vec::with_capacity(first.outputs.len());
    let mut columns = Vec::with_capacity(first.outputs.len());
    for index in 0..first.outputs.len() {
        outputs.push(first.outputs[index].moved(|_| index));
        let of_inputs = inputs.iter().map(|input| column(input, index)).collect::<Taken<Vec<_>>>()?;
        let same = |other: &&Fragment| other.outputs[index].moved(|_| index) == outputs[index];
        let column_type = &of_inputs[0].column_type;
        if !others.iter().all(same) || !of_inputs.iter().all(|other| other.column_type == *column_type) {
            return refuse("its inputs have columns of different types or collations");
        }
        if Family::of(column_type).is_none() && !matches!(column_type, ColumnType::Text { .. }) {
            return refuse("columns of such types are put together here");
        }
        columns.push(RemoteColumn::computed(column_type.clone(), of_inputs.iter().any(|other| other.nullable)));
    }
    check_literals(inputs.iter().map(|input| input.relation.literals()).sum())?;
    let relations = inputs.iter().map(|input| selected(input)).collect();
    Ok(Fragment {
        relation: Relation::Union { inputs: relations },
        columns,
        outputs,
        schema: Arc::clone(&union.schema),
        source: Arc::clone(&first.source),
        picked: Picked::new(),
        keys: Vec::new(),
        apart: None,
    })
}

/// What column `index` of the plan over `input` is there.
fn column(input: &Fragment, index: usize) -> Taken<&RemoteColumn> {
    let place = input.outputs[index].place();
    if input.picked.contains_key(&place) {
        return refuse("one of several texts is put together with others");
    }
    Ok(&input.columns[place])
}

/// The columns of the plan over `input`, in its order.
fn selected(input: &Fragment) -> Relation {
    let places: Vec<usize> = input.outputs.iter().map(Output::place).collect();
    asked(input.relation.clone(), &input.columns, &places).relation
}
