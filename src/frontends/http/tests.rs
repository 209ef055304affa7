//! What is read from requests, and what answers look like, errors after the first row included.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Int64Array, ListArray, RecordBatch, StringArray, StringViewArray, StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::ipc::reader::StreamReader;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use datafusion::scalar::ScalarValue;
use futures::{StreamExt, stream};

use super::accept::Format;
use super::{HttpError, answer, request};
use crate::catalog::Catalog;
use crate::query::{QueryError, QueryErrorKind, RouteChoice, RowStream};

fn schema() -> SchemaRef {
    let field = |name, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        field("n", DataType::Int64),
        field("a\"b", DataType::Utf8),
        field("n", DataType::Int64),
    ]))
}

fn batch(numbers: Vec<i64>, texts: Vec<Option<&str>>) -> RecordBatch {
    let numbers: ArrayRef = Arc::new(Int64Array::from(numbers));
    let texts: ArrayRef = Arc::new(StringArray::from(texts));
    RecordBatch::try_new(schema(), vec![Arc::clone(&numbers), texts, numbers]).unwrap()
}

fn two() -> RecordBatch {
    batch(vec![1, 2], vec![Some("x, \"y\""), None])
}

fn failure() -> QueryError {
    QueryError::new(QueryErrorKind::Unavailable, "users went away").with_hint("Start it")
}

/// The body of an answer with `parts`: what could be read, and whether it was cut off.
async fn body(
    format: Format,
    parts: Vec<Result<RecordBatch, QueryError>>,
) -> Result<(Vec<u8>, bool), HttpError> {
    let rows = RowStream::new(schema(), stream::iter(parts));
    let mut data = answer::body(rows, format).await?.into_data_stream();
    let mut read = Vec::new();
    while let Some(piece) = data.next().await {
        match piece {
            Ok(piece) => read.extend_from_slice(&piece),
            Err(_) => return Ok((read, true)),
        }
    }
    Ok((read, false))
}

async fn text(format: Format, parts: Vec<Result<RecordBatch, QueryError>>) -> (String, bool) {
    let (read, cut) = body(format, parts).await.unwrap();
    (String::from_utf8(read).unwrap(), cut)
}

#[tokio::test]
async fn answers_in_each_form() {
    let parts = || vec![Ok(two()), Ok(batch(vec![], vec![])), Ok(batch(vec![3], vec![Some("")]))];
    let (json, cut) = text(Format::Json, parts()).await;
    assert!(!cut);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let expected = serde_json::json!({
        "columns": [
            { "name": "n", "type": "int64" }, { "name": "a\"b", "type": "text" }, { "name": "n", "type": "int64" },
        ],
        "rows": [[1, "x, \"y\"", 1], [2, null, 2], [3, "", 3]],
    });
    assert_eq!(json, expected);

    let lines = "{\"n\":1,\"a\\\"b\":\"x, \\\"y\\\"\",\"n_2\":1}\n{\"n\":2,\"a\\\"b\":null,\"n_2\":2}\n\
                 {\"n\":3,\"a\\\"b\":\"\",\"n_2\":3}\n";
    assert_eq!(text(Format::NdJson, parts()).await, (lines.to_owned(), false));

    let csv = "n,\"a\"\"b\",n\r\n1,\"x, \"\"y\"\"\",1\r\n2,,2\r\n3,\"\",3\r\n";
    assert_eq!(text(Format::Csv, parts()).await, (csv.to_owned(), false));

    let (arrow, cut) = body(Format::Arrow, parts()).await.unwrap();
    assert!(!cut);
    let batches: Vec<RecordBatch> = StreamReader::try_new(&*arrow, None).unwrap().map(Result::unwrap).collect();
    assert_eq!(batches, [two(), batch(vec![3], vec![Some("")])]);
}

#[tokio::test]
async fn an_answer_without_rows_still_has_its_columns() {
    let (json, _) = text(Format::Json, vec![]).await;
    assert!(json.starts_with("{\"columns\":[{\"name\":\"n\"") && json.ends_with("\"rows\":[]}\n"), "{json}");
    assert_eq!(text(Format::NdJson, vec![]).await, (String::new(), false));
    assert_eq!(text(Format::Csv, vec![]).await.0, "n,\"a\"\"b\",n\r\n");
    let (arrow, _) = body(Format::Arrow, vec![]).await.unwrap();
    assert_eq!(StreamReader::try_new(&*arrow, None).unwrap().schema(), schema());
}

#[tokio::test]
async fn an_error_before_the_first_row_has_its_status() {
    for format in [Format::Json, Format::NdJson, Format::Csv, Format::Arrow] {
        let error = body(format, vec![Ok(batch(vec![], vec![])), Err(failure())]).await.unwrap_err();
        assert_eq!((error.status, error.kind), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    }
}

#[tokio::test]
async fn an_error_after_the_first_row_can_never_look_like_a_whole_answer() {
    let parts = || vec![Ok(batch(vec![1], vec![Some("x")])), Err(failure())];
    let error = serde_json::json!({ "kind": "unavailable", "message": "users went away", "hint": "Start it" });
    let (json, cut) = text(Format::Json, parts()).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert!(!cut);
    assert_eq!((&json["rows"], &json["error"]), (&serde_json::json!([[1, "x", 1]]), &error));

    let (lines, cut) = text(Format::NdJson, parts()).await;
    assert!(!cut);
    let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    assert_eq!((lines.lines().count(), &last["error"]), (2, &error));

    assert_eq!(text(Format::Csv, parts()).await, ("n,\"a\"\"b\",n\r\n1,x,1\r\n".to_owned(), true));
    assert!(body(Format::Arrow, parts()).await.unwrap().1);
}

#[tokio::test]
async fn large_batches_are_sent_in_pieces() {
    let pieces = async |batch| -> Vec<usize> {
        let rows = RowStream::new(schema(), stream::iter([Ok(batch)]));
        let data = answer::body(rows, Format::NdJson).await.unwrap().into_data_stream();
        data.map(|piece| piece.unwrap().len()).collect().await
    };
    let many = pieces(batch((0..5000).collect(), vec![None; 5000])).await;
    assert!(many.len() >= 5 && many.iter().all(|bytes| *bytes < 64 << 10), "{many:?}");
    let text = "x".repeat(20_000);
    let wide = pieces(batch((0..500).collect(), vec![Some(text.as_str()); 500])).await;
    assert!(wide.iter().all(|bytes| *bytes < 300_000), "{wide:?}");
    assert!(wide.iter().sum::<usize>() > 500 * 20_000);
    // Small rows before large ones.
    let texts = (0..2_000).map(|row| if row < 1_500 { None } else { Some(text.as_str()) }).collect();
    let mixed = pieces(batch((0..2_000).collect(), texts)).await;
    assert!(mixed.len() > 30 && mixed.iter().all(|bytes| *bytes < 300_000), "{mixed:?}");
}

async fn read(content_type: &str, body: &str) -> Result<request::Request, HttpError> {
    let mut headers = HeaderMap::new();
    if !content_type.is_empty() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_str(content_type).unwrap());
    }
    headers.insert("crossweave-route", HeaderValue::from_static("live"));
    request::read(&headers, Body::from(body.to_owned()), &Catalog::default()).await
}

#[tokio::test]
async fn reads_statements_as_text_and_as_json() {
    for content_type in
        ["", "text/plain; charset=utf-8", "application/sql", "application/x-www-form-urlencoded"]
    {
        let request = read(content_type, "SELECT 1 + 1").await.unwrap();
        assert_eq!((request.sql.as_str(), request.routes.default), ("SELECT 1 + 1", RouteChoice::Live));
    }
    let body = r#"{"sql":"SELECT $1","params":[null,true,-1,18446744073709551615,1.5,"x"],"route":"cached"}"#;
    let request = read("application/json; charset=utf-8", body).await.unwrap();
    assert_eq!((request.sql.as_str(), request.routes.default), ("SELECT $1", RouteChoice::Cached));
    assert_eq!(
        request.params,
        [
            ScalarValue::Null,
            ScalarValue::Boolean(Some(true)),
            ScalarValue::Int64(Some(-1)),
            ScalarValue::UInt64(Some(u64::MAX)),
            ScalarValue::Float64(Some(1.5)),
            ScalarValue::Utf8(Some("x".to_owned())),
        ]
    );
}

#[tokio::test]
async fn refuses_what_is_not_a_request() {
    let refuse = async |content_type, body: &str, status: u16, message: &str| {
        let error = read(content_type, body).await.unwrap_err();
        assert_eq!(error.status.as_u16(), status, "{error:?}");
        assert!(error.message.contains(message), "{error:?}");
    };
    refuse("image/png", "x", 415, "found image/png").await;
    refuse("", "  ", 400, "there is no statement").await;
    refuse("application/json", "{", 400, "not JSON").await;
    refuse("application/json", "[]", 400, "expected an object").await;
    refuse("application/json", "{\"sgl\":1}", 400, "unknown member \"sgl\"").await;
    refuse("application/json", "{\"params\":[]}", 400, "sql is missing").await;
    refuse("application/json", "{\"sql\":1}", 400, "sql: expected a string").await;
    refuse("application/json", "{\"sql\":\"x\",\"params\":1}", 400, "params: expected a list").await;
    refuse("application/json", "{\"sql\":\"x\",\"params\":[[1]]}", 400, "$1 is [1]").await;
    refuse("application/json", "{\"sql\":\"x\",\"route\":\"fast\"}", 400, "not a route").await;
    refuse("application/json", "{\"sql\":\"x\",\"route\":{\"users\":\"live\"}}", 400, "no service users").await;
    refuse("", &"x".repeat(request::MAX_BODY + 1), 413, "larger than").await;
}

#[tokio::test]
async fn bodies_of_errors_have_one_form() {
    let response = axum::response::IntoResponse::into_response(HttpError::from(failure()));
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = to_bytes(response.into_body(), 1000).await.unwrap();
    assert_eq!(&*body, br#"{"error":{"kind":"unavailable","message":"users went away","hint":"Start it"}}"#);
}

#[tokio::test]
async fn an_arrow_stream_has_the_texts_of_its_own_rows_and_no_others() {
    let text = |row: usize| format!("the text of row {row}, too long to lie in its view");
    let all = StringViewArray::from_iter_values((0..1_000).map(text));
    let slice: ArrayRef = Arc::new(all.slice(500, 2));
    let list = ListArray::new(
        Arc::new(Field::new("item", DataType::Utf8View, true)),
        OffsetBuffer::from_lengths([1; 2]),
        Arc::clone(&slice),
        None,
    );
    let list: ArrayRef = Arc::new(list);
    let field = |name, of: &ArrayRef| Arc::new(Field::new(name, of.data_type().clone(), true));
    let parts = vec![(field("a", &slice), Arc::clone(&slice)), (field("b", &list), Arc::clone(&list))];
    let parts: ArrayRef = Arc::new(StructArray::from(parts));
    let columns = [("text", slice), ("list", list), ("parts", parts)];
    let schema: Vec<_> = columns.iter().map(|(name, column)| field(*name, column)).collect();
    let schema = Arc::new(Schema::new(schema));
    let columns = columns.into_iter().map(|(_, column)| column).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let rows = RowStream::new(schema, stream::iter([Ok(batch.clone())]));
    let answer = to_bytes(answer::body(rows, Format::Arrow).await.unwrap(), usize::MAX).await.unwrap();
    let read = StreamReader::try_new(&*answer, None).unwrap().next().unwrap().unwrap();
    assert_eq!(read, batch);
    let sent = String::from_utf8_lossy(&answer);
    assert!(sent.contains(&text(500)) && !sent.contains("row 499,") && !sent.contains("row 502,"));
    assert!(answer.len() < 4_096, "{} bytes", answer.len());
}
