//! Random transactions against a naive model of the server: `BTreeMap`s, cascades by looking at every row.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossweave_contract::ReferentialAction::{Cascade, SetNull};
use crossweave_contract::{ChangeOp, Row, TableDef, Transaction, Value};

use crate::testing::{
    Random, delete, insert, install, number, publish, refers, rows_of, table, text, transaction, update,
};
use crate::{ServiceCache, ServiceSnapshot, ServiceWriter, StateDir};

type Key = Vec<Option<i64>>;

/// The server's tables, and the transactions it has logged.
#[derive(Clone)]
struct Server {
    defs: Vec<Arc<TableDef>>,
    rows: Vec<BTreeMap<Key, Row>>,
    next_id: i64,
}

const PARENT: usize = 0;
const LINE: usize = 1;
const NOTE: usize = 2;
const TREE: usize = 3;

/// `parent` ← `line` (its key has the parent's) ← `note`, and a `tree` that refers to itself.
fn defs() -> Vec<Arc<TableDef>> {
    let parent = table("parent", vec![number("id"), number("code"), text("name")], &[0]);
    let line = table("line", vec![number("pid"), number("n"), number("code"), text("name")], &[0, 1]);
    let line = refers(line, &["pid"], ("parent", &["id"]), Cascade, Cascade);
    let line = refers(line, &["code"], ("parent", &["code"]), SetNull, Cascade);
    let note = table("note", vec![number("id"), number("pid"), number("n")], &[0]);
    let note = refers(note, &["pid", "n"], ("line", &["pid", "n"]), SetNull, Cascade);
    let tree = table("tree", vec![number("id"), number("up")], &[0]);
    let tree = refers(tree, &["up"], ("tree", &["id"]), Cascade, SetNull);
    [parent, line, note, tree].map(Arc::new).into()
}

fn key(def: &TableDef, row: &Row) -> Key {
    let number = |i: &usize| match row[*i] {
        Value::Int(v) => Some(v),
        _ => None,
    };
    def.key.iter().map(number).collect()
}

impl Server {
    fn new() -> Self {
        let defs = defs();
        Self { rows: defs.iter().map(|_| BTreeMap::new()).collect(), defs, next_id: 1 }
    }

    /// Changes a row, and what refers to it.
    fn change(&mut self, table: usize, op: &ChangeOp) {
        let def = Arc::clone(&self.defs[table]);
        if let Some(before) = op.before() {
            assert_eq!(self.rows[table].remove(&key(&def, before)).as_ref(), Some(before));
        }
        if let Some(after) = op.after() {
            assert!(self.rows[table].insert(key(&def, after), after.clone()).is_none());
        }
        let Some(before) = op.before() else { return };
        for child in 0..self.defs.len() {
            for foreign_key in &self.defs[child].clone().foreign_keys {
                if foreign_key.referenced_table != *def.id.table {
                    continue;
                }
                let index = |def: &TableDef, names: &[String]| -> Vec<usize> {
                    names.iter().map(|name| def.column_index(name).unwrap()).collect()
                };
                let from = index(&self.defs[child], &foreign_key.columns);
                let to = index(&def, &foreign_key.referenced_columns);
                let values = |row: &Row, at: &[usize]| at.iter().map(|i| row[*i].clone()).collect::<Vec<_>>();
                let (old, new) = (values(before, &to), op.after().map(|row| values(row, &to)));
                if old.contains(&Value::Null) || new.as_ref() == Some(&old) {
                    continue;
                }
                let hit = self.rows[child].values().filter(|row| values(row, &from) == old);
                for row in hit.cloned().collect::<Vec<_>>() {
                    let mut after = row.clone();
                    let action = if new.is_some() { foreign_key.on_update } else { foreign_key.on_delete };
                    for (at, column) in from.iter().enumerate() {
                        after[*column] = match (action, &new) {
                            (Cascade, Some(new)) => new[at].clone(),
                            _ => Value::Null,
                        };
                    }
                    let deletes = new.is_none() && action == Cascade;
                    self.change(child, &if deletes { delete(row) } else { update(row, after) });
                }
            }
        }
    }

    fn fresh(&mut self) -> i64 {
        self.next_id += 1;
        self.next_id
    }

    /// A change that the server could make now.
    fn random_change(&mut self, random: &mut Random) -> (usize, ChangeOp) {
        let table = random.below(4) as usize;
        let rows: Vec<Row> = self.rows[table].values().cloned().collect();
        let old = random.pick(&rows).cloned();
        let int = |v: i64| Value::Int(v);
        match (random.below(10), old) {
            (0..=1, Some(before)) => (table, delete(before)),
            (2..=5, Some(before)) => {
                let mut after = before.clone();
                let last = after.len() - 1;
                match (table, random.below(4)) {
                    (PARENT, 0) => after[0] = int(self.fresh()),
                    (PARENT, 1) => after[1] = int(self.fresh()),
                    (LINE, 0) => after[1] = int(self.fresh()),
                    (NOTE, 0) => after[0] = int(self.fresh()),
                    (TREE, 0) => after[0] = int(self.fresh()),
                    (PARENT | LINE, _) => after[last] = Value::Text(format!("name {}", self.fresh()).into()),
                    (NOTE, _) => after[last] = Value::Null,
                    _ => after[1] = Value::Null,
                }
                (table, update(before, after))
            }
            _ => {
                let parents: Vec<Row> = self.rows[PARENT].values().cloned().collect();
                let lines: Vec<Row> = self.rows[LINE].values().cloned().collect();
                let id = int(self.fresh());
                let name = Value::Text(format!("a name long enough to be kept apart {}", self.next_id).into());
                let row: Option<Row> = match table {
                    LINE => random
                        .pick(&parents)
                        .map(|p| [p[0].clone(), id.clone(), p[1].clone(), name.clone()].into()),
                    NOTE => random.pick(&lines).map(|l| [id.clone(), l[0].clone(), l[1].clone()].into()),
                    TREE => {
                        let up = random.pick(&rows).map_or(Value::Null, |row| row[0].clone());
                        Some([id.clone(), up].into())
                    }
                    _ => None,
                };
                match row {
                    Some(row) => (table, insert(row)),
                    None => (PARENT, insert([id, int(self.fresh()), name].into())),
                }
            }
        }
    }

    fn random_transaction(&mut self, sequence: u64, random: &mut Random) -> Arc<Transaction> {
        let mut changes = Vec::new();
        for _ in 0..=random.below(12) {
            let (table, op) = self.random_change(random);
            self.change(table, &op);
            changes.push((table, op));
        }
        let defs = self.defs.clone();
        transaction(sequence, changes.into_iter().map(|(table, op)| (&defs[table], op)).collect())
    }

    /// Holds `snapshot` against the tables: rows, numbers and lookups.
    fn check(&self, snapshot: &ServiceSnapshot) {
        for (def, expected) in self.defs.iter().zip(&self.rows) {
            let table = snapshot.table(&def.id.table).unwrap();
            let found: BTreeMap<Key, Row> =
                rows_of(table).into_iter().map(|row| (key(def, &row), row)).collect();
            assert_eq!(&found, expected, "{}", def.id);
            assert_eq!(table.num_rows(), expected.len());
            for (key, row) in expected {
                let values: Vec<Value> = key.iter().map(|v| v.map_or(Value::Null, Value::Int)).collect();
                let id = table.lookup(values.iter().map(Value::as_ref)).unwrap();
                assert_eq!(table.values(id).as_ref(), Some(row));
            }
            let missing = Value::Int(self.next_id + 1);
            assert_eq!(table.lookup(def.key.iter().map(|_| missing.as_ref())), None);
        }
    }
}

fn start(server: &Server) -> (Arc<ServiceCache>, ServiceWriter) {
    let (cache, mut writer) = ServiceCache::new("shop".into());
    let tables: Vec<_> = server.defs.iter().map(|def| (def, Vec::new())).collect();
    install(&mut writer, 1, &tables);
    publish(&mut writer);
    (cache, writer)
}

/// Applies random transactions, publishing and restarting at random; snapshots kept by readers never change.
fn run(seed: u64, transactions: u64) {
    let mut random = Random(seed);
    let mut server = Server::new();
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    let mut store = state.store(&"shop".into(), &"source".into()).unwrap();
    let (_, mut writer) = start(&server);
    store.save(&writer.cache().snapshot().unwrap()).unwrap();
    let mut held: Vec<(Arc<ServiceSnapshot>, Server)> = Vec::new();
    let mut log: Vec<Arc<Transaction>> = Vec::new();
    for sequence in 2..transactions + 2 {
        let transaction = server.random_transaction(sequence, &mut random);
        log.push(Arc::clone(&transaction));
        let applied = writer.apply(&transaction, None).unwrap();
        assert!(applied.to_load.is_empty(), "{:?}", writer.tables().collect::<Vec<_>>());
        if random.below(4) == 0 {
            let snapshot = publish(&mut writer);
            if random.below(20) == 0 {
                server.check(&snapshot);
                held.push((Arc::clone(&snapshot), server.clone()));
            }
            if random.below(30) == 0 {
                store.save(&snapshot).unwrap();
            }
        }
        if random.below(100) == 0 {
            drop(store);
            store = state.store(&"shop".into(), &"source".into()).unwrap();
            let (_, mut restarted) = ServiceCache::new("shop".into());
            store.restore(&mut restarted).unwrap();
            // The log hands over again what the checkpoint has already.
            for transaction in &log {
                restarted.apply(transaction, None).unwrap();
            }
            writer = restarted;
            server.check(&publish(&mut writer));
        }
    }
    server.check(&publish(&mut writer));
    for (snapshot, server) in held {
        server.check(&snapshot);
    }
}

#[test]
fn random_transactions_give_what_the_server_has() {
    for seed in 0..12 {
        run(seed, 250);
    }
}

#[test]
fn a_long_run_of_transactions_gives_what_the_server_has() {
    run(99, 2500);
}
