//! Checkpoints: what comes back, after a crash at any file operation and from damaged files too.

use std::cell::Cell;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crossweave_contract::{LogId, LogOffset, LogPlace, Row, SourceId, TableDef, Value};

use super::*;
use crate::testing::{
    at, column, delete, insert, number, numbers, publish, refers, rows, shop, table, text, transaction, update,
};
use crate::{ServiceCache, ServiceSnapshot, ServiceWriter};

fn open(dir: &Path) -> ServiceStore {
    StateDir::open(dir).unwrap().store(&"shop".into(), &"source".into()).unwrap()
}

fn restore(dir: &Path) -> Result<(Restored, ServiceWriter), PersistError> {
    let (_, mut writer) = ServiceCache::new("shop".into());
    Ok((open(dir).restore(&mut writer)?, writer))
}

fn users() -> Arc<TableDef> {
    Arc::new(table("users", vec![number("id"), text("name")], &[0]))
}

fn user(id: i64, name: &str) -> Row {
    [Value::Int(id), Value::Text(name.into())].into()
}

/// Enough rows for a segment file, and some in small segments.
fn many() -> Vec<Row> {
    (0..20_000).map(|id| user(id, "a name that is longer than a view")).collect()
}

fn file_names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join("services/shop")).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_restart_goes_on_where_the_checkpoint_was() {
    let dir = tempfile::tempdir().unwrap();
    let users = users();
    let (_, mut writer) = shop(&[(&users, many())]);
    let changes = vec![
        (&users, delete(user(5, "a name that is longer than a view"))),
        (&users, insert(user(90_000, "new"))),
    ];
    let place = LogPlace { log: LogId(7), offset: LogOffset(17) };
    writer.apply(&transaction(2, changes), Some(place)).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_007);
    writer.caught_up(&at(2), now, None);
    let snapshot = publish(&mut writer);
    assert_eq!(open(dir.path()).save(&snapshot).unwrap().files, 4);
    assert_eq!(file_names(dir.path()), ["deletes-1", "manifest", "segment-0.arrow", "small-1-0.arrow"]);

    let (restored, mut writer) = restore(dir.path()).unwrap();
    assert_eq!(restored, Restored::Tables(1));
    let again = publish(&mut writer);
    assert_eq!(rows(&again, "users"), rows(&snapshot, "users"));
    assert_eq!((again.position(), again.log_place()), (&at(2), Some(place)));
    assert_eq!(again.current_at(), now);
    let changed = update(user(90_000, "new"), user(90_000, "newer"));
    assert!(writer.apply(&transaction(3, vec![(&users, changed)]), None).unwrap().to_load.is_empty());
    assert_eq!(publish(&mut writer).table("users").unwrap().num_rows(), 20_000);
}

#[test]
fn a_checkpoint_that_is_forgotten_is_not_gone_on_from_and_the_next_one_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut writer) = shop(&[(&users(), many())]);
    let snapshot = publish(&mut writer);
    let mut store = open(dir.path());
    store.save(&snapshot).unwrap();
    store.forget().unwrap();
    assert!(file_names(dir.path()).is_empty());
    store.save(&snapshot).unwrap();
    drop(store);
    assert_eq!(restore(dir.path()).unwrap().0, Restored::Tables(1));
    open(dir.path()).forget().unwrap();
    assert_eq!(restore(dir.path()).unwrap().0, Restored::Nothing);
}

#[test]
fn a_file_about_a_source_stays_until_it_is_removed() {
    let dir = tempfile::tempdir().unwrap();
    let source = SourceId::from("h:3306");
    let files = || StateDir::open(dir.path()).unwrap().of_source(&source);
    let read = || {
        let files = files();
        (files.must_start_over.read().unwrap(), files.known_transactions.read().unwrap())
    };
    assert_eq!(read(), (None, None));
    let written = files();
    written.must_start_over.write(b"its numbers went back").unwrap();
    written.known_transactions.write(b"[1]").unwrap();
    written.known_transactions.write(b"[2]").unwrap();
    drop(written);
    assert_eq!(read(), (Some(b"its numbers went back".to_vec()), Some(b"[2]".to_vec())));
    files().must_start_over.remove().unwrap();
    assert_eq!(read(), (None, Some(b"[2]".to_vec())));
    files().known_transactions.remove().unwrap();
    files().known_transactions.remove().unwrap();
    assert_eq!(read(), (None, None));
}

#[test]
fn segments_are_written_once_and_removed_when_unused() {
    let dir = tempfile::tempdir().unwrap();
    let users = users();
    let (_, mut writer) = shop(&[(&users, many())]);
    let mut store = open(dir.path());
    store.save(&publish(&mut writer)).unwrap();
    let path = dir.path().join("services/shop/segment-0.arrow");
    let written = fs::metadata(&path).unwrap().modified().unwrap();
    writer.apply(&transaction(2, vec![(&users, insert(user(90_000, "new")))]), None).unwrap();
    let saved = store.save(&publish(&mut writer)).unwrap();
    assert_eq!((saved.files, fs::metadata(&path).unwrap().modified().unwrap()), (2, written));
    writer.remove(&users.id);
    store.save(&publish(&mut writer)).unwrap();
    assert_eq!(file_names(dir.path()), ["manifest"]);
}

#[test]
fn a_first_start_finds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (restored, writer) = restore(dir.path()).unwrap();
    assert_eq!((restored, writer.position()), (Restored::Nothing, None));
}

/// Saves `after` over a checkpoint of `before` with a crash after `operations`; what is found then.
fn crash(before: &ServiceSnapshot, after: &ServiceSnapshot, operations: usize) -> (bool, ServiceWriter) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = open(dir.path());
    store.save(before).unwrap();
    store.disk.fuse = Some(Cell::new(operations));
    let done = store.save(after).is_ok() && store.disk.fuse.as_ref().is_some_and(|fuse| fuse.get() > 0);
    drop(store);
    let (restored, writer) = restore(dir.path()).unwrap();
    assert_ne!(restored, Restored::Nothing);
    // The next checkpoint works on what the crash has left.
    let mut writer = writer;
    let snapshot = publish(&mut writer);
    open(dir.path()).save(&snapshot).unwrap();
    let (_, writer) = restore(dir.path()).unwrap();
    (done, writer)
}

#[test]
fn a_crash_between_any_two_operations_leaves_the_old_or_the_new_checkpoint() {
    let (users, small) = (users(), Arc::new(table("small", vec![number("id")], &[0])));
    let (_, mut writer) = shop(&[(&users, many()), (&small, vec![numbers([1])])]);
    let before = publish(&mut writer);
    let more = (20_000..60_000).map(|id| (&users, insert(user(id, "new"))));
    let changes = more.chain([(&small, update(numbers([1]), numbers([2])))]).collect();
    writer.apply(&transaction(2, changes), None).unwrap();
    let after = publish(&mut writer);
    let (mut old, mut new) = (0, 0);
    for operations in 0.. {
        let (done, mut writer) = crash(&before, &after, operations);
        let found = publish(&mut writer);
        let expected = if found.position() == &at(2) { &after } else { &before };
        old += usize::from(found.position() == &at(1));
        new += usize::from(found.position() == &at(2));
        for name in ["users", "small"] {
            assert!(rows(&found, name) == rows(expected, name), "{name} after {operations} operations");
        }
        if done {
            break;
        }
    }
    assert!(old >= 5 && new >= 3, "{old} crashes before and {new} after the new checkpoint was valid");
}

#[test]
fn damage_is_told_and_never_gives_rows() {
    let users = users();
    let (_, mut writer) = shop(&[(&users, many())]);
    writer.apply(&transaction(2, vec![(&users, insert(user(90_000, "new")))]), None).unwrap();
    let gone = delete(user(7, "a name that is longer than a view"));
    writer.apply(&transaction(3, vec![(&users, gone)]), None).unwrap();
    let snapshot = publish(&mut writer);
    for name in ["manifest", "segment-0.arrow", "small-1-0.arrow", "deletes-1"] {
        let check = |damage: fn(Vec<u8>) -> Vec<u8>| {
            let dir = tempfile::tempdir().unwrap();
            open(dir.path()).save(&snapshot).unwrap();
            let path = dir.path().join("services/shop").join(name);
            fs::write(&path, damage(fs::read(&path).unwrap())).unwrap();
            let error = restore(dir.path()).unwrap_err();
            assert!(matches!(error, PersistError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains(name), "{error}");
            // A load anew makes it good.
            open(dir.path()).save(&snapshot).unwrap();
            restore(dir.path()).unwrap();
        };
        check(|mut bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            bytes
        });
        check(|bytes| bytes[..bytes.len() / 2].to_vec());
        check(|_| Vec::new());
    }
    let dir = tempfile::tempdir().unwrap();
    open(dir.path()).save(&snapshot).unwrap();
    fs::remove_file(dir.path().join("services/shop/segment-0.arrow")).unwrap();
    assert!(restore(dir.path()).unwrap_err().to_string().contains("it is missing"));
}

#[test]
fn a_newer_format_and_another_source_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut writer) = shop(&[(&users(), vec![])]);
    open(dir.path()).save(&publish(&mut writer)).unwrap();
    let mut other = StateDir::open(dir.path()).unwrap().store(&"shop".into(), &"elsewhere".into()).unwrap();
    let (_, mut target) = ServiceCache::new("shop".into());
    assert!(matches!(other.restore(&mut target), Err(PersistError::OtherSource { .. })));
    assert!(target.position().is_none());
    drop(other);
    let path = dir.path().join("services/shop/manifest");
    let manifest = fs::read_to_string(&path).unwrap().replacen("checkpoint 2 ", "checkpoint 3 ", 1);
    fs::write(&path, manifest).unwrap();
    assert!(matches!(restore(dir.path()), Err(PersistError::Format { found: 3, supported: 2, .. })));
}

#[test]
fn a_second_user_of_the_directory_is_refused_until_the_first_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    let first = open(dir.path());
    let error = StateDir::open(dir.path()).unwrap_err();
    assert!(matches!(error, PersistError::Locked { .. }));
    assert!(error.to_string().contains(&dir.path().display().to_string()), "{error}");
    drop(first);
    StateDir::open(dir.path()).unwrap();
}

#[test]
fn a_disk_that_fails_is_told_by_path_and_harms_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let users = users();
    let (_, mut writer) = shop(&[(&users, vec![user(1, "one")])]);
    let mut store = open(dir.path());
    store.save(&publish(&mut writer)).unwrap();
    writer.apply(&transaction(2, vec![(&users, insert(user(2, "two")))]), None).unwrap();
    let snapshot = publish(&mut writer);
    store.disk.fuse = Some(Cell::new(0));
    let error = store.save(&snapshot).unwrap_err().to_string();
    assert!(error.contains("small-2-0.arrow"), "{error}");
    assert_eq!(rows(&snapshot, "users").len(), 2);
    store.disk.fuse = None;
    drop(store);
    assert_eq!(restore(dir.path()).unwrap().1.position(), Some(&at(1)));
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = StateDir::open(&file.join("state")).unwrap_err().to_string();
    assert!(error.contains("create the state directory") && error.contains("file/state"), "{error}");
}

#[test]
fn enum_values_keep_their_numbers_through_merges_and_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let values = vec!["new".to_owned(), "paid".to_owned(), "sent".to_owned()];
    let collation = crossweave_contract::Collation::new("utf8mb4", "utf8mb4_general_ci");
    let state = column("state", crossweave_contract::ColumnType::Enum { values, collation });
    let orders = Arc::new(table("orders", vec![number("id"), state], &[0]));
    let order = |id: i64| -> Row { [Value::Int(id), Value::Enum((id % 4) as u16)].into() };
    let (_, mut writer) = shop(&[(&orders, (0..10).map(order).collect())]);
    for id in 10..60 {
        writer.apply(&transaction(id as u64, vec![(&orders, insert(order(id)))]), None).unwrap_err();
        let transaction = transaction(id as u64 - 8, vec![(&orders, insert(order(id)))]);
        writer.apply(&transaction, None).unwrap();
        let snapshot = publish(&mut writer);
        if id % 10 == 0 {
            open(dir.path()).save(&snapshot).unwrap();
            let (_, restored) = restore(dir.path()).unwrap();
            writer = restored;
        }
    }
    let mut expected: Vec<Row> = (0..60).map(order).collect();
    expected.sort_by_key(|row| format!("{row:?}"));
    assert_eq!(rows(&publish(&mut writer), "orders"), expected);
}

#[test]
fn cascades_go_on_after_a_restart() {
    use crossweave_contract::ReferentialAction::Cascade;
    let dir = tempfile::tempdir().unwrap();
    let def = table("addresses", vec![number("id"), number("user_id")], &[0]);
    let addresses = Arc::new(refers(def, &["user_id"], ("users", &["id"]), Cascade, Cascade));
    let (_, mut writer) = shop(&[(&addresses, vec![numbers([1, 10])])]);
    open(dir.path()).save(&publish(&mut writer)).unwrap();
    let (_, mut writer) = restore(dir.path()).unwrap();
    let gone = transaction(2, vec![(&users(), delete(user(10, "ten")))]);
    assert_eq!(writer.apply(&gone, None).unwrap().cascaded, 1);
    assert!(rows(&publish(&mut writer), "addresses").is_empty());
}
