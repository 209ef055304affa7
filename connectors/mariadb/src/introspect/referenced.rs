//! Which foreign keys the server acts on.
//!
//! A foreign key stays when its referenced table loses the index that it went by (`ALTER TABLE … DROP PRIMARY KEY`,
//! or the table is made anew while `foreign_key_checks` is off). InnoDB then does nothing for it, neither check nor
//! cascade, until there is such an index again. `REFERENTIAL_CONSTRAINTS` has no `UNIQUE_CONSTRAINT_NAME` then, but
//! an account that may only read is shown none of its rows, so InnoDB's rule is followed here
//! (`dict_foreign_qualify_index`).

use std::collections::{BTreeSet, HashMap};

use crossweave_contract::{ForeignKey, Result};

use super::read::{RawIndex, RawTable, engine_of, indexes_of};
use crate::connection::Session;

const ENGINE: &str = "InnoDB";

/// The indexes of the tables to which acting foreign keys refer, by database and name.
#[derive(Debug, Default)]
pub(super) struct Referenced(HashMap<(String, String), Vec<RawIndex>>);

impl Referenced {
    /// Those that the foreign keys of `tables`, which are of `database`, refer to. Tables that are not among these
    /// take two statements each.
    pub(super) async fn read(session: &mut Session, database: &str, tables: &[RawTable]) -> Result<Self> {
        let keys = tables.iter().flat_map(|raw| &raw.create).flat_map(|create| &create.foreign_keys);
        let places: BTreeSet<(String, String)> = keys.filter(|key| key.acts()).map(place).collect();
        let mut referenced = Self::default();
        for (of, table) in places {
            let known = tables.iter().find(|raw| of == database && raw.name == table);
            let (engine, indexes) = match known {
                Some(raw) => (raw.engine.clone(), raw.indexes.clone()),
                None => (engine_of(session, &of, &table).await?, indexes_of(session, &of, &table).await?),
            };
            if engine.as_deref() == Some(ENGINE) {
                referenced.0.insert((of, table), indexes);
            }
        }
        Ok(referenced)
    }

    /// Whether the server acts on `key`.
    pub(super) fn lets_act(&self, key: &ForeignKey) -> bool {
        let indexes = self.0.get(&place(key)).map_or(&[][..], Vec::as_slice);
        let primary = indexes.iter().find(|index| index.name == "PRIMARY").map_or(&[][..], |i| &i.columns);
        indexes.iter().filter(|index| index.kind == "BTREE").any(|index| {
            // InnoDB ends each index with the other columns of the primary key.
            let rest = primary.iter().filter(|column| !index.columns.contains(column));
            let mut columns = index.columns.iter().chain(rest).take_while(|column| !column.beginning);
            key.referenced_columns.iter().all(|name| {
                columns.next().is_some_and(|column| column.name.to_lowercase() == name.to_lowercase())
            })
        })
    }
}

/// Where the table is that `key` refers to.
fn place(key: &ForeignKey) -> (String, String) {
    (key.referenced_database.clone(), key.referenced_table.clone())
}
