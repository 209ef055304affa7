//! Row events into changes: a table's definition and its TABLE_MAP make a [`RowPlan`], which decodes row images.
//!
//! Why is a row never decoded by the wrong definition? The plan is made anew for each TABLE_MAP that differs from
//! the last one, and each column's layout in it must fit the type in the definition; if one does not, the
//! table's changes are a fault. What the layout cannot show (two columns of one type that swapped names, under
//! `binlog_row_metadata=NO_LOG`) is in the definition that the transaction carries: who applies it compares.
//!
//! System-versioned tables: their history is in the same table, so that an UPDATE is logged with an INSERT of the
//! old row, and a DELETE as an UPDATE of ROW END. A row is current while its ROW END is the maximum, and only
//! changes between current rows are let through, as what `SELECT *` would show of them.

use std::sync::Arc;

use crossweave_contract::{ChangeOp, ColumnType, Row, TableDef, Value};

use super::bytes::{Bytes, bit};
use super::charset::Charsets;
use super::column::{Decoder, Extent, is_row_end_of_current};
use super::events::{RowsEvent, RowsKind};
use super::table_map::ColumnLayout;

/// Bytes that one value of a row takes in memory, text and bytes aside.
const VALUE_BYTES: usize = size_of::<Value>();
/// Bytes that a change takes in memory besides its rows.
const CHANGE_BYTES: usize = size_of::<crossweave_contract::Change>();

/// How to read a table's row images.
#[derive(Debug, Clone)]
pub(super) struct RowPlan {
    /// The definition that the rows are decoded by.
    pub(super) table: Arc<TableDef>,
    columns: Vec<PlannedColumn>,
}

#[derive(Debug, Clone)]
struct PlannedColumn {
    extent: Extent,
    /// Index in the definition's columns; `None` for a hidden column, which is passed over.
    target: Option<(usize, Decoder)>,
    row_end: bool,
}

/// Which columns the images of a row event have.
struct Present<'a> {
    bitmap: &'a [u8],
    count: usize,
    whole: bool,
}

impl<'a> Present<'a> {
    fn new(bitmap: &'a [u8], width: usize) -> Self {
        let count = (0..width).filter(|index| bit(bitmap, *index)).count();
        Self { bitmap, count, whole: count == width }
    }
}

/// A row image, decoded.
struct Image {
    row: Row,
    /// Whether the row is one that `SELECT *` shows.
    current: bool,
}

impl RowPlan {
    /// A plan for rows of `table` that are laid out as `columns`. Fails, saying what does not fit.
    pub(super) fn new(
        table: Arc<TableDef>,
        layouts: &[ColumnLayout],
        charsets: &Charsets,
    ) -> Result<Self, String> {
        if layouts.len() != table.binlog_columns {
            return Err(format!(
                "its definition has {} columns, hidden ones included, and the binlog {}",
                table.binlog_columns,
                layouts.len()
            ));
        }
        if table.row_end.is_some_and(|at| at >= layouts.len()) {
            return Err("its ROW END column is not in the binlog".to_owned());
        }
        let mut targets: Vec<Option<usize>> = vec![None; layouts.len()];
        for (index, column) in table.columns.iter().enumerate() {
            let Some(slot) = column.binlog_index.and_then(|at| targets.get_mut(at)) else {
                return Err(format!("its column {} is not in the binlog", column.name));
            };
            *slot = Some(index);
        }
        let columns = layouts
            .iter()
            .zip(targets)
            .enumerate()
            .map(|(at, (layout, target))| PlannedColumn::new(&table, at, layout, target, charsets))
            .collect::<Result<_, _>>()?;
        Ok(Self { columns, table })
    }

    /// Decodes the rows of `event` and hands each change with its size in memory to `sink`, until that says
    /// stop by `Err`. The inner error is a fault of the table, in words.
    pub(super) fn decode<E>(
        &self,
        event: &RowsEvent<'_>,
        mut sink: impl FnMut(ChangeOp, usize) -> Result<(), E>,
    ) -> Result<Result<(), String>, E> {
        let images = match self.images(event) {
            Ok(images) => images,
            Err(reason) => return Ok(Err(reason)),
        };
        let mut rows = Bytes::new(&event.rows);
        while !rows.is_empty() {
            let start = rows.rest().len();
            let op = match self.change(event.kind, &images, &mut rows) {
                Ok(op) => op,
                Err(reason) => return Ok(Err(reason)),
            };
            let count = if event.kind == RowsKind::Update { 2 } else { 1 };
            let size =
                CHANGE_BYTES + count * self.table.columns.len() * VALUE_BYTES + start - rows.rest().len();
            if let Some(op) = op {
                sink(op, size)?;
            }
        }
        Ok(Ok(()))
    }

    /// The columns of rows as they were, and as they are. All that are needed have to be there, but for those of an
    /// update's row as it is which equal the row as it was (`binlog_row_image=FULL_NODUP`).
    fn images<'a>(&self, event: &'a RowsEvent<'_>) -> Result<[Present<'a>; 2], String> {
        let width = self.columns.len();
        if event.width != width {
            return Err(format!("a row event has {} columns, its table {width}", event.width));
        }
        let (before, after) = (Present::new(event.before, width), Present::new(event.after, width));
        let whole = match event.kind {
            RowsKind::Insert => &after,
            RowsKind::Update | RowsKind::Delete => &before,
        };
        let needed = |column: &PlannedColumn| column.row_end || column.target.is_some();
        let lacks = |at: &usize| !bit(whole.bitmap, *at) && needed(&self.columns[*at]);
        let lacking = if whole.whole { None } else { (0..width).find(lacks) };
        let Some(at) = lacking else { return Ok([before, after]) };
        let name = match &self.columns[at].target {
            Some((target, _)) => &self.table.columns[*target].name,
            None => "ROW END",
        };
        Err(format!(
            "rows in the binlog lack its column {name}: a session had binlog_row_image set to other than FULL, or the \
             column is generated, which some versions do not log; run SET GLOBAL binlog_row_image = 'FULL', and in \
             sessions that set it as well, or read the table live"
        ))
    }

    fn change(
        &self,
        kind: RowsKind,
        [before, after]: &[Present<'_>; 2],
        rows: &mut Bytes<'_>,
    ) -> Result<Option<ChangeOp>, String> {
        Ok(match kind {
            RowsKind::Insert => {
                let after = self.image(rows, after, None)?;
                after.current.then_some(ChangeOp::Insert { after: after.row })
            }
            RowsKind::Delete => {
                let before = self.image(rows, before, None)?;
                before.current.then_some(ChangeOp::Delete { before: before.row })
            }
            RowsKind::Update => {
                let before = self.image(rows, before, None)?;
                let after = self.image(rows, after, Some(&before))?;
                match (before.current, after.current) {
                    (true, true) => Some(ChangeOp::Update { before: before.row, after: after.row }),
                    (true, false) => Some(ChangeOp::Delete { before: before.row }),
                    (false, true) => Some(ChangeOp::Insert { after: after.row }),
                    (false, false) => None,
                }
            }
        })
    }

    /// Reads one image: a bitmap of NULLs among the columns that are present, and the values of the others.
    /// Columns that are not present are as in `base`.
    fn image(
        &self,
        rows: &mut Bytes<'_>,
        present: &Present<'_>,
        base: Option<&Image>,
    ) -> Result<Image, String> {
        let short = |_| "rows that end within a row".to_owned();
        let nulls = rows.take(present.count.div_ceil(8)).map_err(short)?;
        let mut row: Row = match base {
            Some(base) if !present.whole => base.row.clone(),
            _ => vec![Value::Null; self.table.columns.len()].into(),
        };
        let mut current = base.is_none_or(|base| base.current);
        let mut place = 0;
        for (index, column) in self.columns.iter().enumerate() {
            if !present.whole && !bit(present.bitmap, index) {
                continue;
            }
            let null = bit(nulls, place);
            place += 1;
            let raw = if null { None } else { Some(column.extent.take(rows).map_err(short)?) };
            if column.row_end {
                current = raw.is_some_and(is_row_end_of_current);
            }
            if let Some((target, decoder)) = &column.target {
                row[*target] = match raw {
                    None => Value::Null,
                    Some(raw) => decoder.decode(raw).map_err(|reason| self.about(*target, &reason))?,
                };
            }
        }
        Ok(Image { row, current })
    }

    fn about(&self, column: usize, reason: &str) -> String {
        format!("its column {} has {reason}", self.table.columns[column].name)
    }
}

impl PlannedColumn {
    fn new(
        table: &TableDef,
        at: usize,
        layout: &ColumnLayout,
        target: Option<usize>,
        charsets: &Charsets,
    ) -> Result<Self, String> {
        let row_end = table.row_end == Some(at);
        let Some(index) = target else {
            let extent = Extent::of(layout, None).ok_or_else(|| {
                format!("its column {} is hidden and of an old temporal type, whose size is not known", at + 1)
            })?;
            return Ok(Self { extent, target: None, row_end });
        };
        let column = &table.columns[index];
        if let Some(name) = &layout.name
            && name.to_lowercase() != column.name.to_lowercase()
        {
            return Err(format!("its column {} is called {name} in the binlog", column.name));
        }
        let misfit = |reason: String| format!("its column {} is {reason}", column.name);
        let decoder = Decoder::new(&column.column_type, layout, charsets).map_err(misfit)?;
        let extent = Extent::of(layout, fsp(&column.column_type))
            .ok_or_else(|| misfit("of a size that is not known".to_owned()))?;
        Ok(Self { extent, target: Some((index, decoder)), row_end })
    }
}

fn fsp(column_type: &ColumnType) -> Option<u8> {
    match column_type {
        ColumnType::DateTime { fsp } | ColumnType::Timestamp { fsp } | ColumnType::Time { fsp } => Some(*fsp),
        _ => None,
    }
}
