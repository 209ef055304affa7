//! One record batch as an Arrow IPC file, and back without copying.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::{FileDecoder, read_footer_length};
use arrow::ipc::root_as_footer;
use arrow::ipc::writer::FileWriter;

const TRAILER: usize = 10;

/// The file's bytes.
pub(crate) fn encode(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = Vec::with_capacity(batch.get_array_memory_size());
    let mut writer = FileWriter::try_new(&mut bytes, batch.schema_ref())?;
    writer.write(batch)?;
    writer.finish()?;
    drop(writer);
    Ok(bytes)
}

/// The one batch of a file, which must have the types of `schema`. Its arrays share the memory of `bytes`.
pub(crate) fn decode(bytes: Vec<u8>, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let short = || ArrowError::IpcError("the file is too short".to_owned());
    let buffer = Buffer::from_vec(bytes);
    let trailer = buffer.len().checked_sub(TRAILER).ok_or_else(short)?;
    let mut end = [0; TRAILER];
    end.copy_from_slice(&buffer[trailer..]);
    let footer_at = trailer.checked_sub(read_footer_length(end)?).ok_or_else(short)?;
    let footer = root_as_footer(&buffer[footer_at..trailer])
        .map_err(|error| ArrowError::IpcError(format!("the footer cannot be read: {error}")))?;
    // Its dictionaries are told apart by numbers that only the file has.
    let written = footer.schema().ok_or_else(|| ArrowError::IpcError("the footer has no schema".to_owned()))?;
    let mut decoder = FileDecoder::new(Arc::new(fb_to_schema(written)), footer.version());
    let block_of = |block: &arrow::ipc::Block| {
        let length = block.bodyLength() as usize + block.metaDataLength() as usize;
        let start = block.offset() as usize;
        let fits = start.checked_add(length).is_some_and(|end| end <= buffer.len());
        fits.then(|| buffer.slice_with_length(start, length)).ok_or_else(short)
    };
    for block in footer.dictionaries().iter().flatten() {
        decoder.read_dictionary(block, &block_of(block)?)?;
    }
    let blocks = footer.recordBatches().filter(|blocks| blocks.len() == 1);
    let block = blocks.ok_or_else(|| ArrowError::IpcError("expected one record batch".to_owned()))?.get(0);
    let batch = decoder.read_record_batch(block, &block_of(block)?)?;
    let batch = batch.ok_or_else(|| ArrowError::IpcError("expected a record batch".to_owned()))?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(Arc::clone(schema), batch.columns().to_vec(), &options)
}

#[cfg(test)]
mod tests {
    use crossweave_contract::{Collation, ColumnType, RowsBuilder, Value};

    use super::*;
    use crate::testing::{column, table};

    #[test]
    fn every_type_comes_back() {
        use Value::*;
        let collation = Collation::new("utf8mb4", "utf8mb4_general_ci");
        let members = vec!["a".to_owned(), "b".to_owned()];
        let long: Value = Text("a text that does not fit into a view, and more of it".into());
        let columns: Vec<(ColumnType, Vec<Value>)> = vec![
            (ColumnType::BigInt { unsigned: true }, vec![UInt(u64::MAX), Null, UInt(0)]),
            (ColumnType::Bit { width: 1 }, vec![Bool(true), Null, Bool(false)]),
            (
                ColumnType::Decimal { precision: 12, scale: 2 },
                vec![Decimal(-7), Null, Decimal(i64::MAX.into())],
            ),
            (ColumnType::Decimal { precision: 60, scale: 2 }, vec![WideDecimal([7; 32]), Null, Decimal(3)]),
            (ColumnType::Text { collation: collation.clone() }, vec![long, Null, Text("".into())]),
            (
                ColumnType::Enum { values: members.clone(), collation: collation.clone() },
                vec![Enum(2), Null, Enum(0)],
            ),
            (
                ColumnType::Enum { values: vec!["c".to_owned()], collation: collation.clone() },
                vec![Null, Enum(1), Enum(0)],
            ),
            (ColumnType::Set { values: members, collation }, vec![Set(3), Null, Set(0)]),
            (ColumnType::Binary { fixed: None }, vec![Bytes([0; 40].into()), Null, Bytes([].into())]),
            (
                ColumnType::Vector { dimensions: 1 },
                vec![Bytes([0, 0, 128, 63].into()), Null, Bytes([0; 4].into())],
            ),
            (ColumnType::Timestamp { fsp: 6 }, vec![Micros(1), Null, Micros(-1)]),
            (ColumnType::Time { fsp: 6 }, vec![Micros(1), Null, Micros(-1)]),
            (ColumnType::Double, vec![Double(0.5), Null, Double(-0.0)]),
        ];
        let (types, values): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
        let def = table("t", types.into_iter().map(|t| column("c", t)).collect(), &[0]);
        let mut builder = RowsBuilder::new(&def, &(0..def.columns.len()).collect::<Vec<_>>(), 3);
        for row in 0..3 {
            builder.append_row(&values.iter().map(|column| column[row].clone()).collect::<Vec<_>>()).unwrap();
        }
        let batch = builder.finish().unwrap();
        assert_eq!(decode(encode(&batch).unwrap(), &def.schema()).unwrap(), batch);
        let part = batch.slice(1, 2);
        assert_eq!(decode(encode(&part).unwrap(), &def.schema()).unwrap(), part);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let def = table("t", vec![column("c", ColumnType::Double)], &[0]);
        for bytes in [vec![], vec![0; 9], vec![0xff; 300]] {
            assert!(decode(bytes, &def.schema()).is_err());
        }
    }
}
