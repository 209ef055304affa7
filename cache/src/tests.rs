//! A service's tables at one position: what is visible when, and what stops a table.

use std::sync::Arc;
use std::time::SystemTime;

use crossweave_contract::ReferentialAction::{Cascade, Restrict, SetNull};
use crossweave_contract::{ColumnType, Row, SchemaChange, TableDef, TableFault, TableId, Transaction, Value};

use crate::testing::*;
use crate::{ApplyError, InstallError, Published, ServiceCache, ServiceWriter, TableHealth};

fn users() -> Arc<TableDef> {
    Arc::new(table("users", vec![number("id"), number("balance")], &[0]))
}

fn addresses() -> Arc<TableDef> {
    let def = table("addresses", vec![number("id"), number("user_id")], &[0]);
    Arc::new(refers(def, &["user_id"], ("users", &["id"]), Cascade, Cascade))
}

fn health(writer: &ServiceWriter, name: &str) -> TableHealth {
    writer.tables().find(|(def, _)| &*def.id.table == name).map(|(_, health)| health).unwrap()
}

fn with(transaction: Arc<Transaction>, change: impl FnOnce(&mut Transaction)) -> Arc<Transaction> {
    let mut transaction = Arc::unwrap_or_clone(transaction);
    change(&mut transaction);
    Arc::new(transaction)
}

#[test]
fn nothing_is_visible_before_it_is_published_and_then_all_tables_are() {
    let (users, other) = (users(), Arc::new(table("other", vec![number("id")], &[0])));
    let (cache, mut writer) = shop(&[(&users, vec![numbers([1, 10])]), (&other, vec![])]);
    let before = cache.snapshot().unwrap();
    let changes = vec![(&users, update(numbers([1, 10]), numbers([1, 5]))), (&other, insert(numbers([7])))];
    let applied = writer.apply(&transaction(2, changes), None).unwrap();
    assert_eq!((applied.changes, applied.cascaded), (2, 0));
    assert_eq!(rows(&cache.snapshot().unwrap(), "users"), [numbers([1, 10])]);
    publish(&mut writer);
    let after = cache.snapshot().unwrap();
    assert_eq!(after.position(), &at(2));
    assert_eq!(rows(&after, "users"), [numbers([1, 5])]);
    assert_eq!(rows(&after, "other"), [numbers([7])]);
    assert_eq!((before.position(), rows(&before, "users")), (&at(1), vec![numbers([1, 10])]));
}

#[test]
fn what_the_position_contains_is_skipped_and_a_gap_is_refused() {
    let users = users();
    let (_, mut writer) = shop(&[(&users, vec![])]);
    let second = transaction(2, vec![(&users, insert(numbers([1, 1])))]);
    assert!(!writer.apply(&second, None).unwrap().skipped);
    assert!(writer.apply(&second, None).unwrap().skipped);
    let fourth = transaction(4, vec![(&users, insert(numbers([4, 4])))]);
    assert!(matches!(writer.apply(&fourth, None), Err(ApplyError::Gap { .. })));
    // A number that the source passed over is no gap: the transaction says what it follows.
    let fourth = with(fourth, |transaction| transaction.previous = at(2));
    writer.apply(&fourth, None).unwrap();
    assert_eq!(rows(&publish(&mut writer), "users"), [numbers([1, 1]), numbers([4, 4])]);
    let (_, mut empty) = ServiceCache::new("shop".into());
    assert!(matches!(empty.apply(&fourth, None), Err(ApplyError::NotInstalled(_))));
}

#[test]
fn a_change_that_does_not_fit_stops_its_table_and_no_other() {
    let check = |op, expected: &str| {
        let (users, other) = (users(), Arc::new(table("other", vec![number("id")], &[0])));
        let (cache, mut writer) = shop(&[(&users, vec![numbers([1, 1])]), (&other, vec![])]);
        let changes = vec![(&users, op), (&other, insert(numbers([7])))];
        let applied = writer.apply(&transaction(2, changes), None).unwrap();
        assert_eq!(applied.to_load, [TableId::new("shop", "users")].into());
        publish(&mut writer);
        let snapshot = cache.snapshot().unwrap();
        assert!(snapshot.table("users").is_none());
        let reason = snapshot.why_absent("users").unwrap();
        assert!(reason.contains(expected) && reason.contains("0-1-2"), "{reason}");
        assert_eq!(rows(&snapshot, "other"), [numbers([7])]);
    };
    check(insert(numbers([1, 2])), "expected no row with the key (Int(1))");
    check(delete(numbers([2, 2])), "expected a row with the key (Int(2))");
    check(update(numbers([2, 2]), numbers([2, 3])), "expected a row with the key (Int(2))");
    check(insert(numbers([2])), "expected a row of 2 values, found 1");
}

#[test]
fn a_value_that_cannot_be_stored_stops_its_table_when_it_is_published() {
    let small = Arc::new(table("small", vec![column("id", ColumnType::TinyInt { unsigned: false })], &[0]));
    let (cache, mut writer) = shop(&[(&small, vec![])]);
    writer.apply(&transaction(2, vec![(&small, insert(numbers([1000])))]), None).unwrap();
    publish(&mut writer);
    let snapshot = cache.snapshot().unwrap();
    assert!(snapshot.why_absent("small").unwrap().contains("cannot be stored"));
}

#[test]
fn an_altered_table_holds_the_snapshot_until_the_stream_has_reached_its_load() {
    let old = users();
    let new = Arc::new(table("users", vec![number("id"), number("balance"), number("age")], &[0]));
    let other = Arc::new(table("other", vec![number("id")], &[0]));
    let (cache, mut writer) = shop(&[(&old, vec![numbers([1, 1])]), (&other, vec![])]);
    let altered = with(transaction(2, vec![]), |transaction| {
        transaction.schema_changes.push(SchemaChange {
            database: "shop".to_owned(),
            statement: "ALTER TABLE users ADD COLUMN age BIGINT".to_owned(),
            tables: vec![old.id.clone()],
        });
    });
    assert_eq!(writer.apply(&altered, None).unwrap().to_load, [old.id.clone()].into());
    writer.apply(&transaction(3, vec![(&other, insert(numbers([3])))]), None).unwrap();
    assert!(matches!(writer.publish(), Published::Held(tables) if tables == [old.id.clone()]));
    install(&mut writer, 5, &[(&new, vec![numbers([1, 1, 30]), numbers([4, 4, 40])])]);
    assert_eq!(health(&writer, "users"), TableHealth::Ahead(at(5)));
    // The load has this row already.
    writer.apply(&transaction(4, vec![(&new, insert(numbers([4, 4, 40])))]), None).unwrap();
    assert!(matches!(writer.publish(), Published::Held(_)));
    let seen = cache.snapshot().unwrap();
    assert_eq!(
        (seen.position(), rows(&seen, "users"), rows(&seen, "other")),
        (&at(1), vec![numbers([1, 1])], vec![])
    );
    writer.apply(&transaction(5, vec![(&other, insert(numbers([5])))]), None).unwrap();
    let seen = publish(&mut writer);
    assert_eq!(rows(&seen, "users"), [numbers([1, 1, 30]), numbers([4, 4, 40])]);
    assert_eq!(rows(&seen, "other"), [numbers([3]), numbers([5])]);
    writer.apply(&transaction(6, vec![(&new, delete(numbers([4, 4, 40])))]), None).unwrap();
    assert_eq!(rows(&publish(&mut writer), "users"), [numbers([1, 1, 30])]);
}

#[test]
fn another_definition_in_the_log_makes_a_table_stale_and_a_fault_stops_it() {
    let old = users();
    let new = Arc::new(table("users", vec![number("id"), text("balance")], &[0]));
    let (_, mut writer) = shop(&[(&old, vec![])]);
    writer.apply(&transaction(2, vec![(&new, insert([Value::Int(1), Value::Null].into()))]), None).unwrap();
    assert!(matches!(health(&writer, "users"), TableHealth::Stale(reason) if reason.contains("definition")));
    assert!(matches!(writer.publish(), Published::Held(_)));

    let (_, mut writer) = shop(&[(&old, vec![])]);
    let fault = TableFault { table: old.id.clone(), reason: "expected 2 columns, found 3".to_owned() };
    writer.apply(&with(transaction(2, vec![]), |transaction| transaction.faults.push(fault)), None).unwrap();
    assert!(matches!(health(&writer, "users"), TableHealth::Stopped(reason) if reason.contains("found 3")));
    assert!(publish(&mut writer).table("users").is_none());
}

#[test]
fn a_failed_reload_lets_the_others_go_on() {
    let (users, other) = (users(), Arc::new(table("other", vec![number("id")], &[0])));
    let (cache, mut writer) = shop(&[(&users, vec![]), (&other, vec![])]);
    writer.expire(&users.id, "TRUNCATE");
    assert!(matches!(writer.publish(), Published::Held(_)));
    writer.stop(&users, "the load failed: no grant");
    writer.apply(&transaction(2, vec![(&other, insert(numbers([2])))]), None).unwrap();
    publish(&mut writer);
    let snapshot = cache.snapshot().unwrap();
    assert_eq!(rows(&snapshot, "other"), [numbers([2])]);
    assert_eq!(snapshot.why_absent("users"), Some("the load failed: no grant"));
    // It comes back, without anybody waiting, once the stream has reached its next load.
    install(&mut writer, 4, &[(&users, vec![numbers([9, 9])])]);
    assert!(publish(&mut writer).table("users").is_none());
    writer.caught_up(&at(4), SystemTime::now(), None);
    assert_eq!(rows(&publish(&mut writer), "users"), [numbers([9, 9])]);
    writer.remove(&users.id);
    let snapshot = publish(&mut writer);
    assert!(snapshot.table("users").is_none() && snapshot.why_absent("users").is_none());
}

#[test]
fn a_load_that_is_older_than_what_was_applied_is_refused() {
    let users = users();
    let (_, mut writer) = shop(&[(&users, vec![])]);
    writer.apply(&transaction(2, vec![]), None).unwrap();
    let load = writer.loader().table(users).unwrap();
    assert!(matches!(writer.install(vec![load], &at(1)), Err(InstallError::Behind { .. })));
}

#[test]
fn begins_anew_where_the_log_has_no_way_on_and_readers_go_on_meanwhile() {
    let users = users();
    let (cache, mut writer) = shop(&[(&users, vec![numbers([1, 1])])]);
    writer.begin_anew("its position is no longer in the binlog");
    assert!(matches!(writer.publish(), Published::Nothing));
    assert_eq!(rows(&cache.snapshot().unwrap(), "users"), [numbers([1, 1])]);
    install(&mut writer, 90, &[(&users, vec![numbers([2, 2])])]);
    let snapshot = publish(&mut writer);
    assert_eq!((snapshot.position(), rows(&snapshot, "users")), (&at(90), vec![numbers([2, 2])]));
}

#[test]
fn age_is_counted_from_when_the_position_was_known_to_be_current() {
    let users = users();
    let (cache, mut writer) = shop(&[(&users, vec![])]);
    let now = SystemTime::now();
    writer.caught_up(&at(1), now, None);
    publish(&mut writer);
    let snapshot = cache.snapshot().unwrap();
    assert_eq!(snapshot.current_at(), now);
    assert!(snapshot.age().as_secs() < 60);
}

#[test]
fn a_key_change_moves_the_row_and_a_swap_in_order_is_followed() {
    let users = users();
    let (_, mut writer) = shop(&[(&users, vec![numbers([1, 1]), numbers([2, 2])])]);
    let changes = vec![
        (&users, update(numbers([1, 1]), numbers([3, 1]))),
        (&users, update(numbers([2, 2]), numbers([1, 2]))),
        (&users, update(numbers([3, 1]), numbers([2, 1]))),
        (&users, insert(numbers([3, 3]))),
        (&users, delete(numbers([3, 3]))),
        (&users, insert(numbers([3, 4]))),
    ];
    assert_eq!(writer.apply(&transaction(2, changes), None).unwrap().to_load, [].into());
    assert_eq!(rows(&publish(&mut writer), "users"), [numbers([1, 2]), numbers([2, 1]), numbers([3, 4])]);
}

#[test]
fn cascades_reach_children_of_parents_that_are_not_cached() {
    let (users, addresses) = (users(), addresses());
    let (_, mut writer) = shop(&[(&addresses, vec![numbers([1, 10]), numbers([2, 11]), numbers([3, 10])])]);
    let applied = writer.apply(&transaction(2, vec![(&users, delete(numbers([10, 0])))]), None).unwrap();
    assert_eq!((applied.changes, applied.cascaded), (0, 2));
    assert_eq!(rows(&publish(&mut writer), "addresses"), [numbers([2, 11])]);
    let moved = update(numbers([11, 0]), numbers([12, 0]));
    writer.apply(&transaction(3, vec![(&users, moved)]), None).unwrap();
    assert_eq!(rows(&publish(&mut writer), "addresses"), [numbers([2, 12])]);
}

#[test]
fn cascades_follow_only_where_the_server_followed_them() {
    let (users, addresses) = (users(), addresses());
    let (_, mut writer) = shop(&[(&addresses, vec![numbers([1, 10])])]);
    let unchecked = with(transaction(2, vec![(&users, delete(numbers([10, 0])))]), |transaction| {
        transaction.changes[0].cascades = false;
    });
    assert_eq!(writer.apply(&unchecked, None).unwrap().cascaded, 0);
    assert_eq!(rows(&publish(&mut writer), "addresses"), [numbers([1, 10])]);
    // A change of other columns than those referred to moves nothing.
    let paid = update(numbers([10, 0]), numbers([10, 5]));
    assert_eq!(writer.apply(&transaction(3, vec![(&users, paid)]), None).unwrap().cascaded, 0);

    let def = table("restricted", vec![number("id"), number("user_id")], &[0]);
    let restricted = Arc::new(refers(def, &["user_id"], ("users", &["id"]), Restrict, Restrict));
    let (_, mut writer) = shop(&[(&restricted, vec![numbers([1, 10])])]);
    writer.apply(&transaction(2, vec![(&users, delete(numbers([10, 0])))]), None).unwrap();
    assert_eq!(rows(&publish(&mut writer), "restricted"), [numbers([1, 10])]);
}

#[test]
fn cascades_see_rows_of_their_own_transaction_and_run_down_cycles() {
    let left = table("left", vec![number("id"), number("right_id")], &[0]);
    let left = Arc::new(refers(left, &["right_id"], ("right", &["id"]), Cascade, Cascade));
    let right = table("right", vec![number("id"), number("left_id")], &[0]);
    let right = Arc::new(refers(right, &["left_id"], ("left", &["id"]), Cascade, Cascade));
    let (_, mut writer) = shop(&[(&left, vec![row(&[Some(1), None])]), (&right, vec![])]);
    let changes = vec![
        (&right, insert(numbers([2, 1]))),
        (&left, update(row(&[Some(1), None]), numbers([1, 2]))),
        (&left, insert(numbers([5, 2]))),
        (&left, delete(numbers([1, 2]))),
    ];
    let applied = writer.apply(&transaction(2, changes), None).unwrap();
    assert_eq!((applied.cascaded, applied.to_load.len()), (2, 0));
    let snapshot = publish(&mut writer);
    assert_eq!((rows(&snapshot, "left").len(), rows(&snapshot, "right").len()), (0, 0));
}

#[test]
fn what_depends_on_a_stopped_table_by_cascades_stops_with_it() {
    let users = users();
    let addresses = addresses();
    let notes = table("notes", vec![number("id"), number("address_id")], &[0]);
    let notes = Arc::new(refers(notes, &["address_id"], ("addresses", &["id"]), SetNull, Cascade));
    let (_, mut writer) = shop(&[
        (&users, vec![numbers([10, 0])]),
        (&addresses, vec![numbers([1, 10])]),
        (&notes, vec![numbers([7, 1])]),
    ]);
    let bad = transaction(2, vec![(&addresses, delete(numbers([99, 10])))]);
    let to_load = writer.apply(&bad, None).unwrap().to_load;
    assert_eq!(to_load, [addresses.id.clone(), notes.id.clone()].into());
    assert!(
        matches!(health(&writer, "notes"), TableHealth::Stopped(reason) if reason.contains("shop.addresses"))
    );
    assert_eq!(health(&writer, "users"), TableHealth::Ready);
    // The parent's own failure concerns nobody: its changes are in the log.
    assert_eq!(writer.with_dependents(&[users.id.clone()].into()), [users.id.clone()].into());
    let together = writer.with_dependents(&[addresses.id.clone()].into());
    assert_eq!(together, [addresses.id.clone(), notes.id.clone()].into());
}

#[test]
fn what_the_log_does_not_say_of_a_parent_makes_its_children_stale_or_stops_them() {
    let (users, addresses) = (users(), addresses());
    let change = SchemaChange {
        database: "shop".to_owned(),
        statement: "DELETE FROM users".to_owned(),
        tables: vec![users.id.clone()],
    };
    let (_, mut writer) = shop(&[(&addresses, vec![numbers([1, 10])])]);
    writer.apply(&with(transaction(2, vec![]), |t| t.schema_changes.push(change)), None).unwrap();
    assert!(
        matches!(health(&writer, "addresses"), TableHealth::Stale(reason) if reason.contains("shop.users"))
    );
    let fault = TableFault { table: users.id.clone(), reason: "expected 2 columns, found 3".to_owned() };
    let (_, mut writer) = shop(&[(&users, vec![]), (&addresses, vec![numbers([1, 10])])]);
    writer.apply(&with(transaction(2, vec![]), |t| t.faults.push(fault)), None).unwrap();
    assert!(matches!(health(&writer, "users"), TableHealth::Stopped(_)));
    assert!(matches!(health(&writer, "addresses"), TableHealth::Stopped(_)));
}

#[test]
fn what_depends_on_a_table_is_loaded_with_it_or_is_stale() {
    let notes = table("notes", vec![number("id"), number("address_id")], &[0]);
    let notes = Arc::new(refers(notes, &["address_id"], ("addresses", &["id"]), SetNull, Cascade));
    let addresses = addresses();
    let (_, mut writer) = shop(&[(&notes, vec![numbers([7, 1])])]);
    install(&mut writer, 3, &[(&addresses, vec![numbers([1, 10])])]);
    assert!(matches!(health(&writer, "notes"), TableHealth::Stale(reason) if reason.contains("addresses")));
    install(&mut writer, 4, &[(&notes, vec![numbers([7, 1])])]);
    writer.caught_up(&at(4), SystemTime::now(), None);
    assert_eq!(rows(&publish(&mut writer), "notes"), [numbers([7, 1])]);
}

#[test]
fn a_table_kept_for_its_cascades_alone_is_not_seen() {
    let mut middle = (*addresses()).clone();
    middle.id = TableId::new("elsewhere", "addresses");
    let middle = Arc::new(middle);
    let notes = table("notes", vec![number("id"), number("address_id")], &[0]);
    let notes = Arc::new(refers(notes, &["address_id"], ("addresses", &["id"]), SetNull, Cascade));
    let (_, mut writer) = shop(&[(&middle, vec![numbers([1, 10])]), (&notes, vec![numbers([7, 1])])]);
    writer.apply(&transaction(2, vec![(&users(), delete(numbers([10, 0])))]), None).unwrap();
    let snapshot = publish(&mut writer);
    assert_eq!(rows(&snapshot, "notes"), [row(&[Some(7), None])]);
    assert!(snapshot.table("addresses").is_none());
}

#[test]
fn a_large_table_stays_small_and_exact_under_updates() {
    const ROWS: i64 = 150_000;
    let users = users();
    let all: Vec<Row> = (0..ROWS).map(|id| numbers([id, 0])).collect();
    let (_, mut writer) = shop(&[(&users, all)]);
    let mut balance = vec![0; ROWS as usize];
    let mut random = Random(7);
    for sequence in 2..102 {
        let mut changes = Vec::new();
        for _ in 0..2500 {
            let id = random.below(ROWS as u64) as usize;
            let before = numbers([id as i64, balance[id]]);
            balance[id] += 1;
            changes.push((&users, update(before, numbers([id as i64, balance[id]]))));
        }
        assert_eq!(writer.apply(&transaction(sequence, changes), None).unwrap().to_load, [].into());
        publish(&mut writer);
    }
    let snapshot = publish(&mut writer);
    let table = snapshot.table("users").unwrap();
    let mut found = rows_of(table);
    found.sort_by_key(|row| match row[0] {
        Value::Int(id) => id,
        _ => panic!("{row:?}"),
    });
    let expected: Vec<Row> = balance.iter().enumerate().map(|(id, b)| numbers([id as i64, *b])).collect();
    assert!(found == expected);
    assert!(table.num_segments() < 30, "{} segments", table.num_segments());
    // 16 bytes a row of values, at most 16 of index; validity bitmaps and delete bits besides.
    let bytes = table.bytes() as f64 / ROWS as f64;
    assert!(bytes < 16.0 * 1.3 + 16.0, "{bytes} bytes a row");
}

#[test]
fn a_scan_is_split_into_all_rows_and_can_be_projected() {
    let users = users();
    let all: Vec<Row> = (0..200_000).map(|id| numbers([id, -id])).collect();
    let (_, mut writer) = shop(&[(&users, all)]);
    writer.apply(&transaction(2, vec![(&users, delete(numbers([70_000, -70_000])))]), None).unwrap();
    let snapshot = publish(&mut writer);
    let table = snapshot.table("users").unwrap();
    for count in [1, 2, 3, 100] {
        let parts = table.partitions(count);
        assert!(parts.len() <= count);
        let counted = parts.into_iter().flat_map(|part| table.batches_of(part, Some(&[])));
        assert_eq!(counted.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 199_999);
    }
    let batch = table.batches(Some(&[1])).next().unwrap().unwrap();
    assert_eq!((batch.num_columns(), batch.schema().field(0).name().as_str()), (1, "balance"));
    let ids: Vec<_> = [5, 199_999, 6].map(|id| table.lookup([Value::Int(id).as_ref()]).unwrap()).into();
    let batch = table.rows(&ids, Some(&[1, 0])).unwrap();
    let found = crossweave_contract::value_at(&users.columns[0].column_type, batch.column(0), 1);
    assert_eq!((batch.num_rows(), found), (3, Value::Int(-199_999)));
    assert_eq!(table.lookup([Value::Int(70_000).as_ref()]), None);
}

#[test]
fn a_table_without_a_key_or_with_other_columns_is_refused() {
    let (_, writer) = ServiceCache::new("shop".into());
    let keyless = Arc::new(table("log", vec![number("at")], &[]));
    assert!(writer.loader().table(keyless).unwrap_err().to_string().contains("expected a primary key"));
    let mut load = writer.loader().table(users()).unwrap();
    let other = table("other", vec![text("a"), text("b")], &[0]);
    let mut builder = crossweave_contract::RowsBuilder::new(&other, &[0, 1], 0);
    assert!(load.push(&builder.finish().unwrap()).is_err());
}
