//! Plans and their answers over small tables; answers against MariaDB's are compared by an integration test.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray, StringViewArray, UInt16Array,
};
use arrow::datatypes::{DataType, Int32Type, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use crossweave_contract::{Collation, ColumnType};
use datafusion::common::{Constraint, Constraints, ParamValues, Result, ScalarValue};
use datafusion::datasource::MemTable;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement;

use super::keys::tests::general_like;
use super::{Collations, check_compares_no_text_by_bytes};
use crate::federation::surface::{register, rewrite_conditions};

fn text(name: &str) -> ColumnType {
    ColumnType::Text { collation: Collation::new("utf8mb4", name) }
}

/// `people`: id (the key), name, code (binary), mood (ENUM), tag (a dictionary of text), other (no weights).
fn people() -> Arc<MemTable> {
    let mood = ColumnType::Enum {
        values: vec!["sad".into(), "glad".into(), "Angry".into()],
        collation: Collation::new("utf8mb4", "utf8mb4_general_ci"),
    };
    let general = text("utf8mb4_general_ci");
    let mut tag = general.field("tag", true);
    tag.set_data_type(DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)));
    let schema = Arc::new(Schema::new(vec![
        ColumnType::Int { unsigned: false }.field("id", false),
        general.field("name", true),
        text("utf8mb4_bin").field("code", true),
        mood.field("mood", true),
        tag,
        text("utf8mb4_czech_ci").field("other", true),
    ]));
    let names = [Some("ann"), Some("ANN "), Some("Bob"), Some("bob"), None, Some("Änn")];
    let moods = UInt16Array::from(vec![Some(2), Some(1), Some(3), Some(2), None, Some(1)]);
    let mood_values = StringArray::from(vec!["", "sad", "glad", "Angry"]);
    let tags: DictionaryArray<Int32Type> =
        [Some("x"), Some("X"), Some("y"), Some("x "), None, Some("Y")].into_iter().collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int32Array::from(vec![1, 2, 3, 4, 5, 6])),
        Arc::new(StringViewArray::from_iter(names)),
        Arc::new(StringViewArray::from_iter(names)),
        Arc::new(DictionaryArray::new(moods, Arc::new(mood_values))),
        Arc::new(tags),
        Arc::new(StringViewArray::from_iter(names)),
    ];
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let parts = vec![vec![batch.slice(0, 2)], vec![batch.slice(2, 3)], vec![batch.slice(5, 1)]];
    let key = Constraints::new_unverified(vec![Constraint::PrimaryKey(vec![0])]);
    Arc::new(MemTable::try_new(schema, parts).unwrap().with_constraints(key))
}

/// `digits`: two ENUM columns, of numbers and of days, each with the '' that stands for a wrong value.
fn digits() -> Arc<MemTable> {
    let column = |name: &str, values: [&str; 2]| {
        let column_type = ColumnType::Enum {
            values: values.map(str::to_owned).to_vec(),
            collation: Collation::new("utf8mb4", "utf8mb4_general_ci"),
        };
        let entries = StringArray::from(vec!["", values[0], values[1]]);
        let array = DictionaryArray::new(UInt16Array::from(vec![1, 2]), Arc::new(entries));
        (column_type.field(name, true), Arc::new(array) as ArrayRef)
    };
    let (fields, columns): (Vec<_>, Vec<_>) =
        [column("digit", ["7", "9"]), column("day", ["2024-01-02", "2024-01-03"])].into_iter().unzip();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    Arc::new(MemTable::try_new(schema, vec![vec![batch]]).unwrap())
}

fn collations() -> Arc<Collations> {
    let missing = [("utf8mb4_czech_ci".to_owned(), "it has contractions".to_owned())];
    Arc::new(Collations::new([general_like("utf8mb4_general_ci")], missing))
}

fn context() -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(2);
    let builder = SessionStateBuilder::new().with_config(config).with_default_features();
    let context = SessionContext::new_with_state(register(builder, collations()).build());
    context.register_table("people", people()).unwrap();
    context.register_table("digits", digits()).unwrap();
    context
}

async fn read(context: &SessionContext, sql: &str) -> Result<LogicalPlan> {
    let state = context.state();
    let mut statement = state.sql_to_statement(sql, &datafusion::config::Dialect::PostgreSQL)?;
    if let Statement::Statement(statement) = &mut statement {
        rewrite_conditions(statement);
    }
    state.statement_to_plan(statement).await
}

async fn optimized(sql: &str) -> Result<LogicalPlan> {
    let context = context();
    let plan = read(&context, sql).await?;
    let plan = context.state().optimize(&plan)?;
    check_compares_no_text_by_bytes(&plan, &collations())?;
    Ok(plan)
}

async fn answer(sql: &str) -> Result<Vec<Vec<String>>> {
    run(&context(), optimized(sql).await?).await
}

async fn run(context: &SessionContext, plan: LogicalPlan) -> Result<Vec<Vec<String>>> {
    let physical = context.state().create_physical_plan(&plan).await?;
    let batches = datafusion::physical_plan::collect(physical, context.task_ctx()).await?;
    let options = FormatOptions::new().with_null("-");
    let mut rows = Vec::new();
    for batch in &batches {
        let columns: Vec<_> =
            batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
        rows.extend(
            (0..batch.num_rows()).map(|row| columns.iter().map(|c| c.value(row).to_string()).collect()),
        );
    }
    Ok(rows)
}

/// Answers of one column, sorted.
async fn check(sql: &str, expected: &[&str]) {
    let rows = answer(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    let mut found: Vec<String> = rows.into_iter().map(|row| row.join(",")).collect();
    if !sql.contains("ORDER BY") {
        found.sort();
    }
    assert_eq!(found, expected, "{sql}");
}

async fn refused(sql: &str, expected: &str) {
    let error = answer(sql).await.expect_err(sql).to_string();
    assert!(error.contains(expected), "{sql}: {error}");
}

#[tokio::test]
async fn results_keep_their_names() {
    let plain = SessionContext::new();
    plain.register_table("people", people()).unwrap();
    for sql in [
        "SELECT name, max(name), min(code), count(DISTINCT name), name = 'a' FROM people GROUP BY name, name = 'a'",
        "SELECT DISTINCT name, lower(name) FROM people",
        "SELECT rank() OVER (PARTITION BY name ORDER BY code), max(name) OVER (ORDER BY id) FROM people",
        "SELECT name FROM people UNION SELECT code FROM people",
        "SELECT a.name, b.name FROM people a JOIN people b USING (name)",
        "SELECT name LIKE 'a', CASE name WHEN 'a' THEN 1 END, nullif(name, 'a'), greatest(name, 'b') FROM people",
        "SELECT DISTINCT ON (name) name, id FROM people ORDER BY name, id",
        "SELECT name, count(*) FROM people GROUP BY ROLLUP (name)",
        "SELECT string_agg(DISTINCT name, ','), (SELECT max(name) FROM people) FROM people",
        "SELECT name IN ('a') FROM people",
        "SELECT * FROM people",
    ] {
        let names = |plan: &LogicalPlan| {
            plan.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
        };
        let expected = names(&read(&plain, sql).await.unwrap());
        assert_eq!(names(&optimized(sql).await.unwrap()), expected, "{sql}");
    }
}

#[tokio::test]
async fn a_key_of_the_table_needs_no_key_of_texts() {
    // DataFusion groups by every column that the primary key determines.
    let plan = optimized("SELECT id, count(*) FROM people GROUP BY id").await.unwrap();
    let shown = plan.display_indent().to_string();
    assert!(!shown.contains("collation_key") && !shown.contains("collation_any"), "{shown}");
    let plan = optimized("SELECT id, name FROM people GROUP BY id").await.unwrap();
    let shown = plan.display_indent().to_string();
    assert!(!shown.contains("collation_key"), "{shown}");
    check("SELECT id, name FROM people GROUP BY id", &["1,ann", "2,ANN ", "3,Bob", "4,bob", "5,-", "6,Änn"])
        .await;
}

#[tokio::test]
async fn groups_by_what_is_equal() {
    check("SELECT upper(trim(name)), count(*) FROM people GROUP BY name", &["-,1", "ANN,3", "BOB,2"]).await;
    check("SELECT tag, count(*) FROM people GROUP BY tag", &["-,1", "X,3", "Y,2"]).await;
    check("SELECT mood, count(*) FROM people GROUP BY mood", &["-,1", "Angry,1", "glad,2", "sad,2"]).await;
    check(
        "SELECT count(*) FROM people GROUP BY ROLLUP (name, code)",
        &["1", "1", "1", "1", "1", "1", "1", "2", "3", "6"],
    )
    .await;
    check(
        "SELECT grouping(name), name, count(*) FROM people GROUP BY GROUPING SETS ((name), ())",
        &["0,-,1", "0,ANN ,3", "0,Bob,2", "1,-,6"],
    )
    .await;
    check("SELECT count(*) FROM people GROUP BY CUBE (name, mood) HAVING grouping(name) = 1 AND grouping(mood) = 1", &["6"])
        .await;
}

#[tokio::test]
async fn an_enum_is_cast_by_its_text_row_by_row() {
    let glad = "CAST(replace(replace(mood, 'glad', '1'), 'sad', '2') AS INT)";
    check(&format!("SELECT {glad} FROM people WHERE id < 3"), &["1", "2"]).await;
    for (sql, expected) in [
        ("SELECT CAST(digit AS INT), digit::bigint + 1 FROM digits", &["7,8", "9,10"][..]),
        ("SELECT TRY_CAST(digit AS DOUBLE) FROM digits", &["7.0", "9.0"]),
        ("SELECT to_date(day) FROM digits", &["2024-01-02", "2024-01-03"]),
        ("SELECT to_timestamp(day) FROM digits", &["2024-01-02T00:00:00", "2024-01-03T00:00:00"]),
        ("SELECT CAST(day AS DATE) FROM digits WHERE CAST(digit AS INT) = 7", &["2024-01-02"]),
        ("SELECT digit::text FROM digits", &["7", "9"]),
        ("SELECT digit FROM digits WHERE digit > 1", &["9"]),
        ("SELECT digit FROM digits WHERE day = DATE '2024-01-03'", &["9"]),
    ] {
        check(sql, expected).await;
    }
    refused("SELECT CAST(mood AS INT) FROM people", "Cannot cast string 'glad'").await;
}

#[tokio::test]
async fn what_was_taken_for_a_number_before_a_text_came_is_refused() {
    for sql in [
        "SELECT id FROM people UNION SELECT name FROM people",
        "SELECT name FROM people UNION ALL SELECT id FROM people",
        "SELECT CASE WHEN id > 1 THEN id ELSE name END FROM people",
        "SELECT id FROM people INTERSECT SELECT name FROM people",
        "SELECT name FROM people EXCEPT SELECT id FROM people",
    ] {
        refused(sql, "write CAST(x AS VARCHAR)").await;
    }
}

#[tokio::test]
async fn orders_an_enum_by_its_values_and_compares_it_by_text() {
    check("SELECT mood FROM people ORDER BY mood, id", &["sad", "sad", "glad", "glad", "Angry", "-"]).await;
    check("SELECT id FROM people WHERE mood < 'glad'", &["3"]).await;
    check("SELECT min(mood), max(mood) FROM people", &["Angry,sad"]).await;
    check(
        "SELECT DISTINCT ON (mood) mood, id FROM people ORDER BY mood, id",
        &["sad,2", "glad,1", "Angry,3", "-,5"],
    )
    .await;
    // What several queries give of it is a text.
    check("SELECT m FROM (SELECT mood AS m FROM people UNION ALL SELECT mood FROM people) AS x ORDER BY m LIMIT 3",
        &["Angry", "Angry", "glad"]).await;
}

#[tokio::test]
async fn distinct_aggregates_take_one_of_the_equal() {
    check("SELECT string_agg(DISTINCT name, '|' ORDER BY name DESC) FROM people WHERE id <= 3", &["Bob|ann"])
        .await;
    check("SELECT cardinality(array_agg(DISTINCT name)) FROM people", &["3"]).await;
    check(
        "SELECT code = 'Bob', cardinality(array_agg(DISTINCT name)) FROM people GROUP BY code = 'Bob'",
        &["-,1", "false,2", "true,1"],
    )
    .await;
    check("SELECT count(DISTINCT name), count(DISTINCT code), count(DISTINCT tag) FROM people", &["2,5,2"])
        .await;
    check("SELECT string_agg(name, '|' ORDER BY name, id) FROM people", &["ann|ANN |Änn|Bob|bob"]).await;
    refused("SELECT string_agg(DISTINCT name, ',' ORDER BY id) FROM people", "ordered by one of its arguments")
        .await;
}

#[tokio::test]
async fn the_least_and_the_greatest_are_texts() {
    check("SELECT min(name) FILTER (WHERE id > 2), max(code), min(tag) FROM people", &["Änn,Änn,X"]).await;
    check(
        "SELECT id > 3, min(name), max(name) FROM people GROUP BY id > 3",
        &["false,ANN ,Bob", "true,Änn,bob"],
    )
    .await;
    check(
        "SELECT max(name) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM people ORDER BY id",
        &["ann", "ANN ", "Bob", "Bob", "bob", "Änn"],
    )
    .await;
    check("SELECT id FROM people WHERE tag LIKE 'X%' OR tag IN ('Y')", &["1", "2", "3", "4", "6"]).await;
}

#[tokio::test]
async fn arrays_are_compared_by_their_elements() {
    for array in ["ARRAY['ANN', 'x']", "ARRAY['ANN', NULL]::text[]", "'{ANN,x}'", "'{\"ann  \"}'::varchar[]"] {
        check(&format!("SELECT id FROM people WHERE name = ANY({array})"), &["1", "2", "6"]).await;
    }
    check("SELECT id FROM people WHERE name <> ALL('{ANN,x}')", &["3", "4"]).await;
    check("SELECT id FROM people WHERE name <> ALL(ARRAY['ANN', NULL])", &[]).await;
    check("SELECT id FROM people WHERE mood = ANY('{SAD}') OR id = ANY('{4}')", &["2", "4", "6"]).await;
    check("SELECT id FROM people WHERE code = ANY(ARRAY['ANN' COLLATE utf8mb4_general_ci])", &["1", "2", "6"])
        .await;
    refused("SELECT id FROM people WHERE id = ANY('{one}')", "is not a value of Int32").await;
    refused("SELECT id FROM people WHERE id = ANY('1,2')", "not an array").await;
    check(
        "SELECT n FROM (SELECT unnest(array_agg(name)) AS n FROM people) AS x WHERE n = 'BOB'",
        &["Bob", "bob"],
    )
    .await;
    refused("SELECT array_agg(name) = array_agg(code) FROM people", "lists and structs").await;
    refused(
        "SELECT DISTINCT x FROM (SELECT array_agg(name) AS x FROM people GROUP BY id) AS y",
        "lists and structs",
    )
    .await;
    refused("SELECT array_sort(array_agg(name)) FROM people", "lists and structs").await;
    check(
        "SELECT array_to_string(array_sort(array_agg(name COLLATE \"C\")), '|') FROM people WHERE id < 4",
        &["ANN |Bob|ann"],
    )
    .await;
    check("SELECT id FROM people WHERE (name, id) = ('BOB', 3)", &["3"]).await;
}

#[tokio::test]
async fn recursion_keeps_collations() {
    check(
        "WITH RECURSIVE r AS (SELECT id, upper(name) AS n FROM people WHERE id = 1 UNION ALL \
         SELECT people.id, upper(people.name) FROM people JOIN r ON r.n = people.name AND people.id = r.id + 1) \
         SELECT id FROM r WHERE n = 'ann'",
        &["1", "2"],
    )
    .await;
    refused(
        "WITH RECURSIVE r AS (SELECT name AS n FROM people UNION SELECT n FROM r) SELECT n FROM r",
        "use UNION ALL",
    )
    .await;
}

#[tokio::test]
async fn functions_of_the_surface_work_on_characters() {
    check("SELECT id FROM people WHERE starts_with(name, 'an')", &["1"]).await;
    check("SELECT id FROM people WHERE name ~ '^ann$'", &["1"]).await;
    check("SELECT id FROM people WHERE name ~* '^ANN'", &["1", "2"]).await;
    check("SELECT id FROM people WHERE regexp_like(name, '^ann$')", &["1"]).await;
    check("SELECT id FROM people WHERE code ILIKE 'ANN%'", &["1", "2"]).await;
}

#[tokio::test]
async fn membership_is_a_value_under_the_columns_collation() {
    check(
        "SELECT name IN (SELECT tag FROM people), name IN (SELECT 'BOB' AS n) FROM people WHERE id < 5",
        &["-,false", "-,false", "-,true", "-,true"],
    )
    .await;
    check(
        "SELECT id, name NOT IN (SELECT name FROM people WHERE id = 1) FROM people ORDER BY id",
        &["1,false", "2,false", "3,true", "4,true", "5,-", "6,false"],
    )
    .await;
    check(
        "SELECT name COLLATE \"C\" IN (SELECT name FROM people WHERE id = 1) FROM people WHERE id < 3",
        &["false", "true"],
    )
    .await;
    check("SELECT mood IN (SELECT 'GLAD' AS m) FROM people WHERE id < 3", &["false", "true"]).await;
    check(
        "SELECT id IN (SELECT digit FROM digits), id IN (SELECT code FROM people) FROM people WHERE id = 1",
        &["true,-"],
    )
    .await;
    for groups in ["1", "name IN (SELECT 'ANN')"] {
        check(
            &format!("SELECT name IN (SELECT 'ANN') AS x, count(*), max(id) FROM people GROUP BY {groups}"),
            &["-,1,5", "false,2,4", "true,3,6"],
        )
        .await;
    }
    check(
        "SELECT sum(CASE WHEN name IN (SELECT name FROM people WHERE id = 1) THEN 1 ELSE 0 END) FROM people",
        &["3"],
    )
    .await;
    check(
        "SELECT id FROM people p WHERE id > 9 OR name NOT IN (SELECT name FROM people q WHERE q.id = p.id + 1)",
        &["2", "6"],
    )
    .await;
}

#[tokio::test]
async fn a_query_chooses_a_collation() {
    check("SELECT id FROM people WHERE name COLLATE \"C\" = 'ann'", &["1"]).await;
    check("SELECT id FROM people WHERE name = 'ANN' COLLATE utf8mb4_bin", &["2"]).await;
    check("SELECT id FROM people WHERE name = 'ann' COLLATE \"C\"", &["1"]).await;
    check("SELECT id FROM people WHERE name IN ('Bob' COLLATE \"C\", 'ANN')", &["3"]).await;
    check("SELECT id FROM people WHERE 'Bob' COLLATE \"C\" BETWEEN name AND name", &["3"]).await;
    check("SELECT id FROM people WHERE tag = 'x' COLLATE \"C\" OR mood = 'SAD' COLLATE \"C\"", &["1"]).await;
    check("SELECT id FROM people WHERE name IN (SELECT 'ann' COLLATE \"C\")", &["1"]).await;
    check(
        "SELECT id FROM people p WHERE 'Bob' COLLATE \"C\" IN (SELECT name FROM people q WHERE q.id = p.id)",
        &["3"],
    )
    .await;
    check("SELECT greatest(name, 'Z' COLLATE \"C\") FROM people WHERE id IN (1, 3)", &["Z", "ann"]).await;
    check(
        "SELECT a.id FROM people a JOIN people b ON a.name COLLATE \"C\" = b.name AND b.id < 4",
        &["1", "2", "3"],
    )
    .await;
    check("SELECT count(*) FROM (SELECT DISTINCT name COLLATE \"C\" FROM people) AS x", &["6"]).await;
    check("SELECT max(code COLLATE utf8mb4_general_ci) = 'BOB' FROM people", &["true"]).await;
    check("SELECT id FROM people WHERE name COLLATE \"default\" = 'ANN'", &["1", "2", "6"]).await;
    refused("SELECT id FROM people WHERE name COLLATE utf8mb4_swedish_ci = 'x'", "utf8mb4_swedish_ci").await;
    refused("SELECT id FROM people WHERE id COLLATE \"C\" = 1", "no text").await;
    refused("SELECT id FROM people WHERE other = 'x'", "column people.other cannot be compared").await;
}

#[tokio::test]
async fn parameters_take_the_columns_collation() {
    let context = context();
    let plan = read(&context, "SELECT id FROM people WHERE name = $1 OR tag IN ($2)").await.unwrap();
    let values = ["BOB", "y"].map(|text| ScalarValue::Utf8(Some(text.to_owned())));
    let plan = plan.with_param_values(ParamValues::from(values.to_vec())).unwrap();
    let plan = context.state().optimize(&plan).unwrap();
    let mut rows = run(&context, plan).await.unwrap();
    rows.sort();
    assert_eq!(rows, [["3"], ["4"], ["6"]]);
}

#[tokio::test]
async fn a_plan_that_was_not_rewritten_is_found() {
    let plain = SessionContext::new();
    plain.register_table("people", people()).unwrap();
    for sql in [
        "SELECT id FROM people WHERE name = 'a'",
        "SELECT id FROM people WHERE 'a' < name",
        "SELECT id FROM people WHERE name IN ('a', 'b', 'c', 'd')",
        "SELECT id FROM people WHERE name LIKE 'a%'",
        "SELECT id FROM people WHERE other LIKE 'a%'",
        "SELECT id FROM people ORDER BY name",
        "SELECT id FROM people ORDER BY mood LIMIT 3",
        "SELECT DISTINCT name FROM people",
        "SELECT count(DISTINCT name) FROM people",
        "SELECT max(lower(name)) FROM people",
        "SELECT count(*) FROM people GROUP BY code",
        "SELECT a.id FROM people a JOIN people b ON a.name = b.name",
        "SELECT a.id FROM people a WHERE name IN (SELECT name FROM people)",
        "SELECT rank() OVER (ORDER BY name) FROM people",
        "SELECT count(*) OVER (PARTITION BY name) FROM people",
        "SELECT CASE name WHEN 'a' THEN 1 ELSE id END FROM people",
        "SELECT greatest(name, 'x') FROM people",
        "SELECT name FROM people EXCEPT SELECT name FROM people",
        "SELECT array_agg(id ORDER BY name) FROM people",
        "SELECT (SELECT count(*) FROM people b WHERE b.name = a.name) FROM people a",
    ] {
        let state = plain.state();
        let plan = state.optimize(&read(&plain, sql).await.unwrap()).unwrap();
        let error = check_compares_no_text_by_bytes(&plan, &collations()).expect_err(sql).to_string();
        assert!(error.contains("I8"), "{sql}: {error}");
    }
}
