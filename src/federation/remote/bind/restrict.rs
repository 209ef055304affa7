//! Asking for the rows that have one of the gathered keys.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringViewArray};
use crossweave_contract::{ColumnType, RemoteExpr, RemoteQuery, Result, SourceView};
use datafusion::common::ScalarValue;

use super::Gathered;
use super::narrow::{Wanted, asked_for, narrowed};
use crate::federation::collation::Key;
use crate::federation::remote::fragment::has_the_same_rows;
use crate::federation::remote::literals::{is_in_range, literal, may_hold};
use crate::federation::remote::texts::{own_key, text_literal};
use crate::federation::remote::whitelist::{Family, Operation};

/// Keys in one statement where there are several: a source looks each up in its index, and plans such a list by what it
/// knows of each key.
const KEYS_PER_STATEMENT: usize = 500;

/// Keys of one column in one statement that reads the whole table anyhow; with more of them it is asked for all rows. So many too
/// of another column may be sent beside several lists, in all.
pub(in crate::federation::remote) const KEYS_IN_A_SCAN: usize = 10_000;

/// Literals in one statement, with those that are asked for otherwise: MariaDB's protocol has room for 65,535, and some are
/// written twice. Keys that have no room are left out.
const MOST_LITERALS: usize = 60_000;

/// A row that is looked up takes as long as so many that are read in order: a table is read that has no more times the rows
/// that several lists of keys look up.
const SAVED_BY_LOOKUPS: u64 = 4;

/// A column of a question that is compared with gathered keys.
#[derive(Debug, Clone)]
pub(in crate::federation::remote) struct Bound {
    gathered: Arc<Gathered>,
    /// The place among the question's columns.
    pub(super) place: usize,
    /// What stands for texts where they are compared; `None` for other values.
    key: Option<Key>,
    /// Of what is compared there.
    column_type: ColumnType,
}

/// The questions that a bound question becomes.
pub(in crate::federation::remote) struct Restriction {
    /// In turn.
    pub(in crate::federation::remote) queries: Vec<RemoteQuery>,
    /// How many keys were sent.
    pub(in crate::federation::remote) keys: usize,
}

impl Bound {
    /// Column `place` of `query` against `gathered`; `None` where it cannot be asked for by its values.
    pub(super) fn new(
        query: &RemoteQuery,
        place: usize,
        key: Option<Key>,
        gathered: Arc<Gathered>,
    ) -> Option<Self> {
        let column = asked_for(query, place)?;
        match &key {
            Some(key) => own_key(key, &column.column_type).then_some(())?,
            None => Family::of(&column.column_type)?.allows(Operation::Equality).then_some(())?,
        }
        Some(Self { gathered, place, key, column_type: column.column_type })
    }

    /// The same against other keys.
    pub(in crate::federation::remote) fn renewed(
        &self,
        anew: impl FnOnce(&Arc<Gathered>) -> Arc<Gathered>,
    ) -> Self {
        Self { gathered: anew(&self.gathered), ..self.clone() }
    }

    /// The name of the column in `query`.
    pub(in crate::federation::remote) fn name(&self, query: &RemoteQuery) -> Option<String> {
        asked_for(query, self.place)?.name().map(str::to_owned)
    }

    /// The gathered keys as literals; `None` if there are too many, or one that cannot be asked for.
    async fn literals(&self) -> Option<Vec<RemoteExpr>> {
        let column_type = &self.column_type;
        let keys = self.gathered.keys().await?;
        if let Some(key) = &self.key {
            let literal = |text: &str| text_literal(text, column_type).ok();
            return unlike(keys.iter().map(ScalarValue::try_as_str), key)?.into_iter().map(literal).collect();
        }
        let family = Family::of(column_type)?;
        let literals = keys.iter().map(|value| Some((value, literal(value, family)?)));
        let mut literals = literals.collect::<Option<Vec<_>>>()?;
        // What the column cannot hold has no partner.
        literals.retain(|(_, literal)| holds(column_type, literal));
        // Neighbours are in one list.
        literals.sort_by(|(left, _), (right, _)| left.partial_cmp(right).unwrap_or(std::cmp::Ordering::Equal));
        Some(literals.into_iter().map(|(_, literal)| literal).collect())
    }

    /// What `query`, bound by `bounds`, becomes once their keys are known.
    pub(in crate::federation::remote) async fn restrict(
        bounds: &[Self],
        query: RemoteQuery,
        view: &dyn SourceView,
    ) -> Result<Restriction> {
        let mut lists: Vec<List> = Vec::new();
        for bound in bounds {
            match bound.literals().await {
                Some(keys) if keys.is_empty() => return Ok(Restriction { queries: Vec::new(), keys: 0 }),
                Some(keys) => lists.push((bound.place, keys)),
                None => {}
            }
        }
        let keys: usize = lists.iter().map(|(_, keys)| keys.len()).sum();
        let (short, long): (Vec<_>, Vec<_>) =
            lists.into_iter().partition(|(_, keys)| keys.len() <= KEYS_PER_STATEMENT);
        let (mut query, mut unsent) = (query, 0);
        for (place, list) in &short {
            match list.len() <= room(&query) {
                true => query = narrowed(query, *place, Wanted::OneOf { list, by_reading: false }),
                false => unsent += list.len(),
            }
        }
        let (queries, of_long) = questions(query, long, view).await?;
        Ok(Restriction { queries, keys: keys - unsent - of_long })
    }
}

/// How many literals more `query` may have.
fn room(query: &RemoteQuery) -> usize {
    MOST_LITERALS.saturating_sub(query.relation.literals())
}

/// The values that a column, by its place, is to have one of.
type List = (usize, Vec<RemoteExpr>);

/// How the keys of long lists are best asked for.
enum Way {
    /// By lookups: of the list at this place some in each statement.
    InLists(usize),
    /// By one statement that reads a table; whether no index of the keys is to be used for it.
    InOne { by_reading: bool },
}

/// `query` for the rows that have one of the values of each of the `lists`, which are long, in as many questions as that is best
/// asked in; and how many keys were not sent for it.
async fn questions(
    query: RemoteQuery,
    mut lists: Vec<List>,
    view: &dyn SourceView,
) -> Result<(Vec<RemoteQuery>, usize)> {
    if lists.is_empty() {
        return Ok((vec![query], 0));
    }
    let way = best_way(&query, &lists, view).await?;
    let split = match way {
        Way::InLists(at) => Some(lists.remove(at)),
        Way::InOne { .. } => None,
    };
    let times = split.as_ref().map_or(1, |(_, keys)| keys.len().div_ceil(KEYS_PER_STATEMENT));
    let beside = split.as_ref().map_or(0, |_| KEYS_PER_STATEMENT);
    let by_reading = !matches!(way, Way::InOne { by_reading: false });
    let (mut query, mut unsent) = (query, 0);
    // The shortest leaves the fewest rows.
    lists.sort_by_key(|(_, list)| list.len());
    for (place, list) in &lists {
        match list.len() * times <= KEYS_IN_A_SCAN && list.len() + beside <= room(&query) {
            true => query = narrowed(query, *place, Wanted::OneOf { list, by_reading }),
            false => unsent += list.len(),
        }
    }
    let queries = match split {
        None => vec![query],
        Some((place, keys)) => {
            let part = |list| narrowed(query.clone(), place, Wanted::OneOf { list, by_reading: false });
            keys.chunks(KEYS_PER_STATEMENT).map(part).collect()
        }
    };
    Ok((queries, unsent))
}

async fn best_way(query: &RemoteQuery, lists: &[List], view: &dyn SourceView) -> Result<Way> {
    let most = view.statements().saturating_mul(KEYS_PER_STATEMENT);
    // Of any rows that will do, each statement may have others.
    if !has_the_same_rows(&query.relation) || lists.iter().all(|(_, keys)| keys.len() > most) {
        return Ok(Way::InOne { by_reading: false });
    }
    let examined =
        async |query: &RemoteQuery| Ok(view.estimate(query).await?.map(|estimate| estimate.examined));
    let all = examined(query).await?;
    let mut best: Option<(u64, usize)> = None;
    for (at, (place, keys)) in lists.iter().enumerate().filter(|(_, (_, keys))| keys.len() <= most) {
        let list = &keys[..KEYS_PER_STATEMENT.min(keys.len())];
        let part = narrowed(query.clone(), *place, Wanted::OneOf { list, by_reading: false });
        if let Some(each) = examined(&part).await? {
            let looked_up = each.rows.saturating_mul(keys.len().div_ceil(KEYS_PER_STATEMENT) as u64);
            best = best.filter(|(least, _)| *least <= looked_up).or(Some((looked_up, at)));
        }
    }
    Ok(match (all, best) {
        (Some(all), Some((least, at))) => {
            let may_be_read = all.rows <= all.allowed;
            match may_be_read && least.saturating_mul(SAVED_BY_LOOKUPS) > all.rows {
                true => Way::InOne { by_reading: true },
                false => Way::InLists(at),
            }
        }
        // As many as are looked up whatever that takes.
        _ => {
            let shortest = lists.iter().enumerate().min_by_key(|(_, (_, keys))| keys.len());
            match shortest.filter(|(_, (_, keys))| keys.len() <= KEYS_IN_A_SCAN.min(most)) {
                Some((at, _)) => Way::InLists(at),
                None => Way::InOne { by_reading: false },
            }
        }
    })
}

/// Of those of `texts` that `key` holds equal, one, for a row that equals one of them is to be in one list only; in the order
/// of the keys. `None` if a text is none.
fn unlike<'t>(texts: impl Iterator<Item = Option<Option<&'t str>>>, key: &Key) -> Option<Vec<&'t str>> {
    let texts: Vec<&str> = texts.map(Option::flatten).collect::<Option<_>>()?;
    let array: ArrayRef = Arc::new(StringViewArray::from_iter_values(&texts));
    let keys = key.of_array(&array).ok()?;
    let keys = keys.as_binary_view_opt()?;
    // What has no key has no partner.
    let mut unlike: Vec<(&[u8], &str)> =
        keys.iter().zip(texts).filter_map(|(key, text)| Some((key?, text))).collect();
    unlike.sort_unstable();
    unlike.dedup_by_key(|(key, _)| *key);
    Some(unlike.into_iter().map(|(_, text)| text).collect())
}

/// Whether a column of `column_type` may have the value `literal`. Of a view's column that is computed on in the view, MariaDB
/// computes with the literal in place of the column, and fails where that is out of range.
pub(super) fn holds(column_type: &ColumnType, literal: &RemoteExpr) -> bool {
    Family::of(column_type) != Some(Family::Exact)
        || (may_hold(column_type, literal) && is_in_range(column_type, literal))
}
