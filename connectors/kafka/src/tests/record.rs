//! The binary form: it does not change unseen, and broken records are refused.

use crossweave_contract::{ErrorKind, LogId, SchemaChange, TableFault, TableId};

use super::fixtures::{delete, insert, line, lines, source, transaction, update, user, users};
use crate::record::{Assembler, Header, PART_BYTES, Record, Refused, VERSION, decode, encode_transaction};

/// One byte in the encoding.
const LOG: LogId = LogId(77);

fn sample() -> crossweave_contract::Transaction {
    let changes = vec![
        insert(0, user(1, "Ada")),
        update(1, line(1, u64::MAX, Some("a")), line(2, u64::MAX, None)),
        delete(0, user(2, "Bob")),
    ];
    let mut sample = transaction(7, vec![users(), lines()], changes);
    let table = TableId::new("users", "users");
    sample.schema_changes.push(SchemaChange {
        database: "users_db".to_owned(),
        statement: "ALTER TABLE users ADD COLUMN x INT".to_owned(),
        tables: vec![table.clone()],
    });
    sample.faults.push(TableFault { table, reason: "7 columns where 5 were expected".to_owned() });
    sample
}

fn assemble(
    assembler: &mut Assembler,
    record: &[u8],
) -> Result<Option<crossweave_contract::Transaction>, Refused> {
    let Record { header, body, .. } = decode(record)?;
    match header {
        Header::Part(part) => assembler.push(&part, body),
        header => panic!("{header:?}"),
    }
}

#[test]
fn the_format_is_what_its_version_says() {
    let records = encode_transaction(LOG, &sample(), usize::MAX).unwrap();
    // FNV-1a, so that the test does not hold the bytes themselves.
    let hash = records[0]
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, &byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    assert_eq!(
        (VERSION, records.len(), records[0].len(), format!("{hash:016x}").as_str()),
        (4, 1, 486, "77e8f0ebf0631743"),
        "the bytes of a transaction have changed: raise record::VERSION, so that logs of before are refused by name"
    );
}

#[test]
fn a_large_transaction_is_put_together_out_of_its_parts() {
    let name = "x".repeat(1000);
    let changes = (0..2000).map(|id| insert(0, user(id, &name))).collect();
    let large = transaction(3, vec![users()], changes);
    let records = encode_transaction(LOG, &large, usize::MAX).unwrap();
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|record| record.len() < PART_BYTES + 100));
    let mut assembler = Assembler::new(source(), usize::MAX, false);
    for record in &records[..2] {
        assert!(assemble(&mut assembler, record).unwrap().is_none());
    }
    assert_eq!(assemble(&mut assembler, &records[2]).unwrap().unwrap(), large);

    let refuse = |order: &[usize], expected: &str| {
        let mut assembler = Assembler::new(source(), usize::MAX, false);
        let last = order.iter().map(|&at| assemble(&mut assembler, &records[at])).last().unwrap();
        assert!(matches!(&last, Err(Refused::Broken(reason)) if reason.contains(expected)), "{last:?}");
    };
    refuse(&[1], "expected the beginning of a transaction, found part 2 of 3");
    refuse(&[0, 2], "expected part 2 of transaction 0-13301-3, found part 3 of 3");
    refuse(&[0, 0], "expected part 2");

    let mut from_oldest = Assembler::new(source(), usize::MAX, true);
    assert!(assemble(&mut from_oldest, &records[2]).unwrap().is_none());
    let mut small = Assembler::new(source(), 1000, false);
    assert!(matches!(assemble(&mut small, &records[0]), Err(Refused::TooLarge(_))));
}

#[test]
fn a_transaction_beyond_the_bound_is_refused_with_its_size() {
    let error = encode_transaction(LOG, &sample(), 100).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Limit);
    assert!(error.message.contains("0-13301-7") && error.message.contains("at most 100"), "{error}");
}

#[test]
fn transactions_share_the_definitions_that_did_not_change() {
    let mut assembler = Assembler::new(source(), usize::MAX, false);
    let mut read = || {
        let records = encode_transaction(LOG, &sample(), usize::MAX).unwrap();
        assemble(&mut assembler, &records[0]).unwrap().unwrap()
    };
    let (first, second) = (read(), read());
    assert!(std::sync::Arc::ptr_eq(&first.tables[0], &second.tables[0]));
}

#[test]
fn broken_records_are_refused() {
    let refuse = |record: &[u8], expected: &str| {
        let refused = assemble(&mut Assembler::new(source(), usize::MAX, false), record);
        assert!(matches!(&refused, Err(Refused::Broken(reason)) if reason.contains(expected)), "{refused:?}");
    };
    let good = encode_transaction(LOG, &sample(), usize::MAX).unwrap().remove(0);
    refuse(&[], "empty");
    refuse(&[9, 1, 2], "its format is 9 where this version knows 4");
    refuse(&good[..3], "header is broken");
    refuse(&good[..good.len() - 1], "0-13301-7 is broken");
    refuse(&[good.as_slice(), &[0]].concat(), "0-13301-7 is not what its header says");
    let mut wrong = sample();
    wrong.changes[0].table = 2;
    refuse(
        &encode_transaction(LOG, &wrong, usize::MAX).unwrap()[0],
        "change 0 of transaction 0-13301-7 names no table",
    );
    let mut wrong = sample();
    wrong.changes[2] = delete(0, line(1, 1, None));
    refuse(
        &encode_transaction(LOG, &wrong, usize::MAX).unwrap()[0],
        "has 3 values where users.users has 5 columns",
    );
    let mut wrong = sample();
    wrong.source = "other".into();
    refuse(&encode_transaction(LOG, &wrong, usize::MAX).unwrap()[0], "not what its header says");
}

#[test]
fn no_byte_of_a_record_can_make_the_reader_panic() {
    let good = encode_transaction(LOG, &sample(), usize::MAX).unwrap().remove(0);
    for at in 0..good.len() {
        for byte in [0, 1, 0x7f, 0x80, 0xff] {
            let mut record = good.clone();
            record[at] = byte;
            if let Ok(Record { header: Header::Part(part), body, .. }) = decode(&record) {
                let _ = Assembler::new(source(), 1 << 20, false).push(&part, body);
            }
        }
    }
}
