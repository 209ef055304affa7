//! Events that are damaged, unknown or of forms that the test server does not write. No server is needed: the
//! bytes are made here.

use std::io::Write as _;

use crossweave_contract::{ChangeOp, ErrorKind};

use super::super::assemble::Assembler;
use super::super::charset::Charsets;
use super::super::definitions::Definitions;
use super::super::events::{RawEvent, kind};
use super::*;

const TABLE: u64 = 9;

fn definitions(database: &str, tables: &[TableDef]) -> Definitions {
    Definitions { tables: capture_tables(database, tables), charsets: Charsets::default() }
}

fn assembler(tables: &[TableDef], limit: usize) -> Assembler {
    let (_sender, receiver) = watch::channel(definitions("d", tables));
    Assembler::new("src".into(), Position::origin(), receiver, false, limit)
}

fn event(kind: u8, body: &[u8]) -> RawEvent<'_> {
    RawEvent { kind, timestamp: 1_700_000_000, server: 7, flags: 0, body }
}

fn gtid(sequence: u64, flags: u8) -> Vec<u8> {
    let mut body = sequence.to_le_bytes().to_vec();
    body.extend([0, 0, 0, 0, flags]);
    body.extend([0; 6]);
    body
}

/// `d.t (id INT, a VARCHAR(20))`.
fn table_map() -> Vec<u8> {
    let mut body = TABLE.to_le_bytes()[..6].to_vec();
    body.extend([1, 0, 1, b'd', 0, 1, b't', 0]);
    body.extend([2, 3, 15, 2, 20, 0, 0b10]);
    body
}

fn definition() -> TableDef {
    table("d", "t", &[("id", INT), ("a", ColumnType::Binary { fixed: None })])
}

/// What comes before the rows: the header, the extra data of the second form, and the bitmaps.
fn rows_header(second_form: bool, bitmaps: &[u8]) -> Vec<u8> {
    let mut body = TABLE.to_le_bytes()[..6].to_vec();
    body.extend([1, 0]);
    if second_form {
        body.extend([5, 0, 1, 2, 3]);
    }
    body.push(2);
    body.extend(bitmaps);
    body
}

fn image(id: i32, text: Option<&str>) -> Vec<u8> {
    let mut image = vec![if text.is_some() { 0 } else { 0b10 }];
    image.extend(id.to_le_bytes());
    if let Some(text) = text {
        image.push(text.len() as u8);
        image.extend(text.as_bytes());
    }
    image
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x82];
    packed.extend((bytes.len() as u16).to_be_bytes());
    let mut encoder = flate2::write::ZlibEncoder::new(packed, flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn query(text: &str) -> Vec<u8> {
    let mut body = vec![0; 8];
    body.extend([1, 0, 0, 7, 0]);
    body.extend([4, 45, 0, 45, 0, 45, 0]);
    body.extend(b"d\0");
    body.extend(text.as_bytes());
    body
}

/// A transaction of all kinds of events, each body with its type.
fn transaction() -> Vec<(u8, Vec<u8>)> {
    let body = |second, bitmaps: &[u8], rows: &[u8]| [rows_header(second, bitmaps), rows.to_vec()].concat();
    let (one, two) = (image(1, Some("one")), image(1, None));
    let both = [one.clone(), two.clone()].concat();
    vec![
        (kind::GTID, gtid(1, 0)),
        (kind::TABLE_MAP, table_map()),
        (kind::WRITE_ROWS_V1, body(false, &[3], &one)),
        (kind::UPDATE_ROWS_V1, body(false, &[3, 3], &both)),
        (kind::DELETE_ROWS_V1, body(false, &[3], &two)),
        (kind::WRITE_ROWS, body(true, &[3], &one)),
        (kind::UPDATE_ROWS, body(true, &[3, 3], &both)),
        (kind::DELETE_ROWS, body(true, &[3], &two)),
        (kind::WRITE_ROWS_COMPRESSED_V1, body(false, &[3], &compressed(&one))),
        (kind::UPDATE_ROWS_COMPRESSED_V1, body(false, &[3, 3], &compressed(&both))),
        (kind::DELETE_ROWS_COMPRESSED_V1, body(false, &[3], &compressed(&two))),
        (kind::WRITE_ROWS_COMPRESSED, body(true, &[3], &compressed(&one))),
        (kind::UPDATE_ROWS_COMPRESSED, body(true, &[3, 3], &compressed(&both))),
        (kind::DELETE_ROWS_COMPRESSED, body(true, &[3], &compressed(&two))),
        (kind::QUERY, query("SAVEPOINT `s`")),
        (kind::XID, vec![0; 8]),
    ]
}

fn feed(assembler: &mut Assembler, events: &[(u8, Vec<u8>)]) -> Result<Option<Arc<Transaction>>> {
    let mut last = None;
    for (kind, body) in events {
        last = assembler.event(&event(*kind, body))?;
    }
    Ok(last.map(|assembled| match assembled.event {
        CaptureEvent::Transaction(transaction) => transaction,
        CaptureEvent::Heartbeat(position) => panic!("a heartbeat at {position}"),
    }))
}

#[test]
fn all_forms_of_row_events_give_the_same_changes() {
    let transaction = feed(&mut assembler(&[definition()], 1 << 20), &transaction()).unwrap().unwrap();
    assert_eq!(transaction.committed_at, 1_700_000_000_000_000);
    let one: Row = [Value::Int(1), Value::Bytes(b"one".as_slice().into())].into();
    let two: Row = [Value::Int(1), Value::Null].into();
    let ops = [
        ChangeOp::Insert { after: one.clone() },
        ChangeOp::Update { before: one, after: two.clone() },
        ChangeOp::Delete { before: two },
    ];
    let found: Vec<&ChangeOp> = transaction.changes.iter().map(|change| &change.op).collect();
    assert_eq!(found, ops.iter().cycle().take(12).collect::<Vec<_>>());
}

#[test]
fn an_event_that_ends_too_early_is_an_error_or_a_fault() {
    let events = transaction();
    for (at, (kind, body)) in events.iter().enumerate() {
        // XID's number and a statement's text may be of any length, and a whole row may be missing at the end.
        if matches!(*kind, kind::XID | kind::QUERY) {
            continue;
        }
        for length in 0..body.len() {
            let mut cut = events.clone();
            cut[at].1.truncate(length);
            let outcome = feed(&mut assembler(&[definition()], 1 << 20), &cut);
            let whole = outcome.as_ref().is_ok_and(|transaction| {
                transaction.as_ref().is_some_and(|transaction| transaction.changes.len() == 12)
            });
            let padding = *kind == kind::GTID && length >= 13;
            assert!(!whole || padding, "type {kind} cut to {length} of {}", body.len());
        }
    }
    for length in 0..query("").len() {
        let events = [(kind::GTID, gtid(1, 0)), (kind::QUERY, query("")[..length].to_vec())];
        let error = feed(&mut assembler(&[], 1 << 20), &events).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Protocol);
        assert!(error.to_string().contains("type 2") && error.to_string().contains("too early"), "{error}");
    }
}

#[test]
fn damaged_bytes_never_panic() {
    // xorshift, so that a failure comes again.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let events = transaction();
    for _ in 0..20_000 {
        let mut damaged = events.clone();
        for _ in 0..1 + random() % 3 {
            let body = &mut damaged[random() as usize % events.len()].1;
            let at = random() as usize % body.len();
            body[at] = random() as u8;
        }
        let _ = feed(&mut assembler(&[definition()], 1 << 20), &damaged);
    }
}

#[test]
fn what_is_not_known_is_never_passed_over() {
    let unknown = |kind: u8, flags: u16| {
        let mut assembler = assembler(&[], 1 << 20);
        assembler.event(&RawEvent { flags, ..event(kind, &[1, 2, 3]) })
    };
    for kind in [0, 1, 20, 33, 39, 40, 172, 255] {
        let error = unknown(kind, 0).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Protocol);
        assert!(error.to_string().contains(&format!("type {kind}")), "{error}");
        assert!(unknown(kind, 0x80).unwrap().is_none(), "marked as one that may be left out");
    }
    let rows = [(kind::GTID, gtid(1, 0)), (kind::WRITE_ROWS_V1, rows_header(false, &[3]))];
    let error = feed(&mut assembler(&[definition()], 1 << 20), &rows).unwrap_err();
    assert!(error.to_string().contains("number 9"), "{error}");

    let twice = [(kind::GTID, gtid(1, 0)), (kind::GTID, gtid(2, 0))];
    let error = feed(&mut assembler(&[], 1 << 20), &twice).unwrap_err();
    assert!(error.to_string().contains("0-7-2 begins before 0-7-1"), "{error}");
    for (kind, body) in [(kind::QUERY, query("COMMIT")), (kind::XID, vec![0; 8])] {
        assert_eq!(feed(&mut assembler(&[], 0), &[(kind, body)]).unwrap_err().kind, ErrorKind::Protocol);
    }
}

#[test]
fn two_services_of_one_database_both_get_its_changes() {
    let second = TableDef { id: TableId::new("other", "T"), ..definition() };
    let (sender, receiver) = watch::channel(definitions("D", &[definition(), second]));
    drop(sender);
    // The names differ in case, which this server ignores.
    let mut assembler = Assembler::new("src".into(), Position::origin(), receiver, true, 1 << 20);
    let transaction = feed(&mut assembler, &transaction()).unwrap().unwrap();
    assert_eq!(transaction.tables.len(), 2);
    assert_eq!(transaction.changes.len(), 24);
    let services: Vec<&str> = transaction
        .changes
        .iter()
        .take(2)
        .map(|change| transaction.table_of(change).id.service.as_str())
        .collect();
    assert_eq!(services, ["s", "other"]);
}

/// The events of a transaction that XA prepares as `name`, and of one that commits it.
fn xa(name: &[u8]) -> [Vec<(u8, Vec<u8>)>; 2] {
    const PREPARES: u8 = 0x40;
    const COMPLETES: u8 = 0x81;
    let named = |flags: u8| {
        let mut body = gtid(1, flags);
        body.truncate(13);
        body.extend([1, 0, 0, 0, name.len() as u8, 0]);
        body.extend(name);
        (kind::GTID, body)
    };
    let mut prepare = transaction();
    prepare[0] = named(PREPARES);
    prepare.truncate(14);
    prepare.push((kind::XA_PREPARE, vec![0]));
    [prepare, vec![named(COMPLETES), (kind::QUERY, query("XA COMMIT X'61'"))]]
}

/// Gives a transaction its number.
fn numbered(sequence: u64, mut events: Vec<(u8, Vec<u8>)>) -> Vec<(u8, Vec<u8>)> {
    events[0].1[..8].copy_from_slice(&sequence.to_le_bytes());
    events
}

#[test]
fn prepared_transactions_past_the_bound_load_everything_anew_when_they_are_committed() {
    let mut assembler = assembler(&[definition()], 3_000);
    let ([prepare_a, commit_a], [prepare_b, commit_b]) = (xa(b"a"), xa(b"b"));
    let first = feed(&mut assembler, &numbered(1, prepare_a)).unwrap().unwrap();
    assert!(first.changes.is_empty());
    feed(&mut assembler, &numbered(2, prepare_b)).unwrap().unwrap();
    let kept = feed(&mut assembler, &numbered(3, commit_a)).unwrap().unwrap();
    assert_eq!((kept.changes.len(), kept.schema_changes.len()), (12, 0));
    let forgotten = feed(&mut assembler, &numbered(4, commit_b)).unwrap().unwrap();
    assert!(forgotten.changes.is_empty());
    assert_eq!(forgotten.schema_changes[0].tables, [TableId::new("s", "t")]);
    assert_eq!(assembler.position().to_string(), "0-7-4");
}

#[test]
fn what_was_prepared_under_other_definitions_loads_everything_anew_when_it_is_committed() {
    let (sender, receiver) = watch::channel(definitions("d", &[]));
    let mut assembler = Assembler::new("src".into(), Position::origin(), receiver, false, 1 << 20);
    let [prepare, commit] = xa(b"a");
    feed(&mut assembler, &numbered(1, prepare)).unwrap().unwrap();
    sender.send(definitions("d", &[definition()])).unwrap();
    let committed = feed(&mut assembler, &numbered(2, commit)).unwrap().unwrap();
    assert_eq!(committed.schema_changes[0].tables, [TableId::new("s", "t")]);
}

#[test]
fn lost_events_are_told() {
    let mut body = vec![1, 0, 4];
    body.extend(b"lost");
    let error = assembler(&[], 0).event(&event(kind::INCIDENT, &body)).unwrap_err();
    assert_eq!(error.kind, ErrorKind::PositionGone);
    assert!(error.to_string().contains("lost"), "{error}");
}

#[test]
fn a_transaction_that_a_crash_cut_off_is_left_out() {
    let mut assembler = assembler(&[definition()], 1 << 20);
    let mut started = vec![0; 57];
    started[52..56].copy_from_slice(&1u32.to_le_bytes());
    let cut = &transaction()[..4];
    assert!(feed(&mut assembler, cut).unwrap().is_none());
    assert!(feed(&mut assembler, &[(kind::FORMAT_DESCRIPTION, started)]).unwrap().is_none());
    let next = [(kind::GTID, gtid(1, 0)), (kind::XID, vec![0; 8])];
    let transaction = feed(&mut assembler, &next).unwrap().unwrap();
    assert!(transaction.changes.is_empty());
}

#[test]
fn rows_that_inflate_past_the_bound_are_refused_before_they_do() {
    let long = image(1, Some(&"x".repeat(200)));
    let body = [rows_header(false, &[3]), compressed(&long)].concat();
    let events =
        [(kind::GTID, gtid(1, 0)), (kind::TABLE_MAP, table_map()), (kind::WRITE_ROWS_COMPRESSED_V1, body)];
    let error = feed(&mut assembler(&[definition()], 100), &events).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limit);
    assert!(error.to_string().contains("0-7-1"), "{error}");
}

#[test]
fn columns_that_did_not_change_may_be_left_out_of_the_row_as_it_is() {
    // binlog_row_image=FULL_NODUP: only `a` is in the row as it is.
    let after = [&[0][..], &[3], b"two"].concat();
    let body = [rows_header(false, &[3, 0b10]), image(5, Some("one")), after].concat();
    let events = [
        (kind::GTID, gtid(1, 0)),
        (kind::TABLE_MAP, table_map()),
        (kind::UPDATE_ROWS_V1, body),
        (kind::XID, vec![0; 8]),
    ];
    let transaction = feed(&mut assembler(&[definition()], 1 << 20), &events).unwrap().unwrap();
    let row = |text: &str| -> Row { [Value::Int(5), Value::Bytes(text.as_bytes().into())].into() };
    assert_eq!(transaction.changes[0].op, ChangeOp::Update { before: row("one"), after: row("two") });
}
