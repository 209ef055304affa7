//! Definitions of every type, as a real server has them.

use std::sync::Arc;

use crossweave_contract::{
    BooleanColumns, Collation, Column, ColumnType, ErrorKind, LiveOnlyReason, ReferentialAction, ServiceTables,
    Source, TableDef, TableKind,
};
use mysql_async::prelude::Queryable;

use crate::MariaDbSource;
use crate::testing::{definition, server};

const ALL_TYPES: &str = r#"CREATE TABLE t (
  id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  t1 TINYINT, u1 TINYINT UNSIGNED, s2 SMALLINT, u2 SMALLINT UNSIGNED, m3 MEDIUMINT, um3 MEDIUMINT UNSIGNED,
  i4 INT, u4 INT(3) UNSIGNED ZEROFILL, b8 BIGINT, flag BOOLEAN,
  bit1 BIT, bit17 BIT(17), bit64 BIT(64), dec0 DECIMAL, dec38 DECIMAL(38,10) UNSIGNED, dec65 DECIMAL(65,38),
  f FLOAT, f2 FLOAT(7,3), d DOUBLE, d2 DOUBLE(10,2) UNSIGNED,
  c CHAR(3) CHARACTER SET latin1, v VARCHAR(20) COLLATE utf8mb4_bin, tt TINYTEXT, lt LONGTEXT COLLATE utf8mb4_unicode_ci,
  u3 VARCHAR(5) CHARACTER SET utf8mb3 COLLATE utf8mb3_general_ci, zip TEXT COMPRESSED,
  e ENUM('a','b''c','d\\e','f,g','','ü'), st SET('x','y z','q\''),
  bin BINARY(3), vb VARBINARY(7), bl LONGBLOB, bc CHAR(4) CHARACTER SET binary,
  y YEAR, da DATE NOT NULL, dt DATETIME(6), dt0 DATETIME, ts TIMESTAMP(3) NULL, ti TIME(2),
  j JSON, ju LONGTEXT CHECK (JSON_VALID(ju)), jn LONGTEXT,
  u UUID, i6 INET6, ip INET4, g GEOMETRY, pt POINT, pg MULTIPOLYGON
)"#;

fn column<'t>(table: &'t TableDef, name: &str) -> &'t Column {
    &table.columns[table.column_index(name).unwrap_or_else(|| panic!("no column {name}"))]
}

fn names(table: &TableDef) -> Vec<&str> {
    table.columns.iter().map(|column| column.name.as_str()).collect()
}

async fn all(database: &str, booleans: &BooleanColumns) -> ServiceTables {
    let source = MariaDbSource::new(server().root());
    source.tables(&"shop".into(), database, booleans).await.unwrap()
}

#[tokio::test]
async fn each_type_is_mapped() {
    let database = server().database(&[ALL_TYPES]).await;
    let table = definition(&database, "t").await;
    let general = || Collation::new("utf8mb4", "utf8mb4_general_ci");
    use ColumnType::*;
    let text = |charset: &str, name: &str| Text { collation: Collation::new(charset, name) };
    let strings = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
    let expected = [
        ("id", BigInt { unsigned: true }),
        ("t1", TinyInt { unsigned: false }),
        ("u1", TinyInt { unsigned: true }),
        ("s2", SmallInt { unsigned: false }),
        ("u2", SmallInt { unsigned: true }),
        ("m3", MediumInt { unsigned: false }),
        ("um3", MediumInt { unsigned: true }),
        ("i4", Int { unsigned: false }),
        ("u4", Int { unsigned: true }),
        ("b8", BigInt { unsigned: false }),
        ("flag", TinyInt { unsigned: false }),
        ("bit1", Bit { width: 1 }),
        ("bit17", Bit { width: 17 }),
        ("bit64", Bit { width: 64 }),
        ("dec0", Decimal { precision: 10, scale: 0 }),
        ("dec38", Decimal { precision: 38, scale: 10 }),
        ("dec65", Decimal { precision: 65, scale: 38 }),
        ("f", Float),
        ("f2", Float),
        ("d", Double),
        ("d2", Double),
        ("c", text("latin1", "latin1_swedish_ci")),
        ("v", text("utf8mb4", "utf8mb4_bin")),
        ("tt", text("utf8mb4", "utf8mb4_general_ci")),
        ("lt", text("utf8mb4", "utf8mb4_unicode_ci")),
        ("u3", text("utf8mb3", "utf8mb3_general_ci")),
        ("zip", text("utf8mb4", "utf8mb4_general_ci")),
        ("e", Enum { values: strings(&["a", "b'c", "d\\e", "f,g", "", "ü"]), collation: general() }),
        ("st", Set { values: strings(&["x", "y z", "q'"]), collation: general() }),
        ("bin", Binary { fixed: Some(3) }),
        ("vb", Binary { fixed: None }),
        ("bl", Binary { fixed: None }),
        ("bc", Binary { fixed: Some(4) }),
        ("y", Year),
        ("da", Date),
        ("dt", DateTime { fsp: 6 }),
        ("dt0", DateTime { fsp: 0 }),
        ("ts", Timestamp { fsp: 3 }),
        ("ti", Time { fsp: 2 }),
        ("j", Json { collation: Collation::new("utf8mb4", "utf8mb4_bin") }),
        ("ju", Json { collation: general() }),
        ("jn", text("utf8mb4", "utf8mb4_general_ci")),
        ("u", Uuid),
        ("i6", Inet6),
        ("ip", Inet4),
        ("g", Geometry),
        ("pt", Geometry),
        ("pg", Geometry),
    ];
    assert_eq!(names(&table), expected.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    for (place, (name, column_type)) in expected.iter().enumerate() {
        assert_eq!(&column(&table, name).column_type, column_type, "{name}");
        assert_eq!(column(&table, name).binlog_index, Some(place), "{name}");
    }
    assert!(!column(&table, "id").nullable && column(&table, "i4").nullable);
    assert!(column(&table, "da").nullable, "a zero date is NULL");
    assert_eq!((table.key.as_slice(), table.binlog_columns, table.row_end), (&[0][..], expected.len(), None));
}

#[tokio::test]
async fn unique_keys_are_told_with_those_that_may_hold_null() {
    let tables = [
        "CREATE TABLE a (id INT PRIMARY KEY, n INT NULL UNIQUE, x INT, y INT NULL, t VARCHAR(50), l LONGTEXT UNIQUE, \
         KEY (x), UNIQUE (y, x), UNIQUE (t(5)))",
        "CREATE TABLE v (id INT, PRIMARY KEY (id)) WITH SYSTEM VERSIONING",
        "CREATE VIEW w AS SELECT * FROM a",
    ];
    let database = server().database(&tables).await;
    let found = all(&database, &BooleanColumns::default()).await;
    let keys = |name: &str| {
        let mut keys: Vec<String> = found.unique[&crossweave_contract::TableId::new("shop", name)]
            .iter()
            .map(|key| key.join("+"))
            .collect();
        keys.sort();
        keys
    };
    assert_eq!(keys("a"), ["id", "l", "n", "t", "y+x"]);
    assert_eq!(keys("v"), ["id"]);
    assert!(keys("w").is_empty());
}

#[tokio::test]
async fn what_select_star_hides_is_hidden_and_counts_in_the_binlog() {
    let database = server()
        .database(&[
            "CREATE TABLE g (a INT PRIMARY KEY, v INT AS (a + 1) VIRTUAL, hid INT INVISIBLE, y2 YEAR(2), \
             s INT AS (a * 2) STORED, z INT)",
            "CREATE TABLE implicit (id INT PRIMARY KEY, x INT) WITH SYSTEM VERSIONING",
            "CREATE TABLE explicit (id INT PRIMARY KEY, rs TIMESTAMP(6) GENERATED ALWAYS AS ROW START, \
             re TIMESTAMP(6) GENERATED ALWAYS AS ROW END INVISIBLE, x INT, PERIOD FOR SYSTEM_TIME (rs, re)) \
             WITH SYSTEM VERSIONING",
            "CREATE TABLE hashed (id INT PRIMARY KEY, x TEXT UNIQUE)",
            "CREATE SEQUENCE sq",
        ])
        .await;
    let found = all(&database, &BooleanColumns::default()).await;
    let table = |name: &str| found.tables.iter().find(|table| &*table.id.table == name).unwrap();
    let g = table("g");
    assert_eq!(names(g), ["a", "v", "s", "z"]);
    let places: Vec<_> = g.columns.iter().map(|column| column.binlog_index).collect();
    assert_eq!((places, g.binlog_columns), (vec![Some(0), Some(1), Some(4), Some(5)], 6));
    let problems: Vec<_> = found.problems.iter().map(|p| (p.table.to_string(), p.column.as_deref())).collect();
    assert_eq!(problems, [("shop.g".to_owned(), Some("y2"))]);

    let implicit = table("implicit");
    assert_eq!((names(implicit), implicit.binlog_columns, implicit.row_end), (vec!["id", "x"], 4, Some(3)));
    assert_eq!(implicit.key, [0]);
    let explicit = table("explicit");
    assert_eq!(
        (names(explicit), explicit.binlog_columns, explicit.row_end),
        (vec!["id", "rs", "x"], 4, Some(2))
    );
    assert_eq!(table("hashed").binlog_columns, 3);
    assert!(!found.tables.iter().any(|table| &*table.id.table == "sq"), "a sequence is no table");
}

#[tokio::test]
async fn the_key_is_the_primary_one_else_the_first_without_null() {
    let database = server()
        .database(&[
            "CREATE TABLE two (b INT, a INT, x INT NOT NULL UNIQUE, PRIMARY KEY (a, b))",
            "CREATE TABLE uniq (n INT UNIQUE, p VARCHAR(9) NOT NULL, q INT NOT NULL, r INT NOT NULL, \
             UNIQUE (p(3)), UNIQUE (r, q), UNIQUE (n, r))",
            "CREATE TABLE none (n INT UNIQUE, m INT NOT NULL, KEY (m))",
            "CREATE TABLE hid (id YEAR(2) PRIMARY KEY, b INT)",
            "CREATE TABLE versioned (id INT, x INT, re TIMESTAMP(6) GENERATED ALWAYS AS ROW END, \
             rs TIMESTAMP(6) GENERATED ALWAYS AS ROW START, PERIOD FOR SYSTEM_TIME (rs, re), PRIMARY KEY (id)) \
             WITH SYSTEM VERSIONING",
        ])
        .await;
    let found = all(&database, &BooleanColumns::default()).await;
    let keys: Vec<(&str, &[usize])> =
        found.tables.iter().map(|table| (&*table.id.table, table.key.as_slice())).collect();
    assert_eq!(
        keys,
        [("hid", &[][..]), ("none", &[]), ("two", &[1, 0]), ("uniq", &[3, 2]), ("versioned", &[0])]
    );
    let keyless = ["hid", "none"].map(|name| (name.to_owned(), vec![LiveOnlyReason::NoKey]));
    assert_eq!(live_only(&found), keyless);
}

#[tokio::test]
async fn foreign_keys_are_seen_by_an_account_that_may_only_select() {
    let other = server().database(&["CREATE TABLE `t.t` (id INT PRIMARY KEY)"]).await;
    let far = format!("CREATE TABLE far (id INT PRIMARY KEY REFERENCES {other}.`t.t` (id) ON UPDATE CASCADE)");
    let database = server()
        .database(&[
            "CREATE TABLE p (a INT, b INT, PRIMARY KEY (a, b))",
            "CREATE TABLE `we``ird 'name\"` (`i``d` INT PRIMARY KEY, `sp ace` INT COMMENT 'REFERENCES `x` (`y`)', \
             x INT, y INT, CONSTRAINT `fk``1` FOREIGN KEY (`sp ace`) REFERENCES `we``ird 'name\"` (`i``d`) \
             ON DELETE CASCADE ON UPDATE SET NULL, FOREIGN KEY (x, y) REFERENCES p (a, b) ON DELETE SET NULL)",
            &far,
        ])
        .await;
    let options = server().user("reader", &[&format!("SELECT ON {database}.*")]).await;
    let source = MariaDbSource::new(options);
    let found = source.tables(&"s".into(), &database, &BooleanColumns::default()).await.unwrap();
    let table = |name: &str| found.tables.iter().find(|table| &*table.id.table == name).unwrap();
    let weird = table("we`ird 'name\"");
    let mut conn = server().connect(Some(&database)).await;
    let shown: Option<(String, String)> =
        conn.query_first("SHOW CREATE TABLE `we``ird 'name\"`").await.expect("a definition");
    conn.disconnect().await.expect("goodbye");
    if shown.is_some_and(|(_, text)| !text.contains("CONSTRAINT `fk``1`")) {
        // As 11.4.5 shows it, it cannot be read.
        let [LiveOnlyReason::Definition(reason)] = &weird.live_only[..] else { panic!("{weird:?}") };
        assert!(reason.contains("the constraint fk has a form"), "{reason}");
        return;
    }
    let keys = &weird.foreign_keys;
    assert_eq!((keys[0].name.as_str(), keys[0].columns[0].as_str()), ("fk`1", "sp ace"));
    assert_eq!((&keys[0].referenced_database, keys[0].referenced_columns[0].as_str()), (&database, "i`d"));
    assert_eq!(
        (keys[0].on_delete, keys[0].on_update),
        (ReferentialAction::Cascade, ReferentialAction::SetNull)
    );
    assert_eq!((keys[1].columns.len(), keys[1].on_delete), (2, ReferentialAction::SetNull));
    let far = &table("far").foreign_keys[0];
    assert_eq!((&far.referenced_database, far.referenced_table.as_str()), (&other, "t.t"));
}

#[tokio::test]
async fn what_is_generated_from_a_column_that_cascades_change_is_live_only() {
    let database = server()
        .database(&[
            "CREATE TABLE p (id INT PRIMARY KEY)",
            "CREATE TABLE nulled (id INT PRIMARY KEY, Up INT, twice INT AS (up * 2) VIRTUAL, \
             FOREIGN KEY (up) REFERENCES p (id) ON DELETE SET NULL)",
            "CREATE TABLE moved (id INT PRIMARY KEY, up INT, twice INT AS (up * 2) VIRTUAL, \
             FOREIGN KEY (up) REFERENCES p (id) ON UPDATE CASCADE)",
            "CREATE TABLE deleted (id INT PRIMARY KEY, up INT, twice INT AS (up * 2) VIRTUAL, \
             FOREIGN KEY (up) REFERENCES p (id) ON DELETE CASCADE)",
            "CREATE TABLE apart (id INT PRIMARY KEY, up INT, x INT, twice INT AS (x * 2) VIRTUAL, \
             FOREIGN KEY (up) REFERENCES p (id) ON DELETE SET NULL)",
        ])
        .await;
    let found = all(&database, &BooleanColumns::default()).await;
    let generated =
        |from: &str| LiveOnlyReason::Generated { column: "twice".to_owned(), from: from.to_owned() };
    let expected = [("moved".to_owned(), vec![generated("up")]), ("nulled".to_owned(), vec![generated("Up")])];
    let mut found = live_only(&found);
    // What later versions add is another matter.
    found.iter_mut().for_each(|(_, reasons)| {
        reasons.retain(|reason| !matches!(reason, LiveOnlyReason::GeneratedNotLogged { .. }));
    });
    found.retain(|(_, reasons)| !reasons.is_empty());
    assert_eq!(found, expected);
}

fn live_only(found: &ServiceTables) -> Vec<(String, Vec<LiveOnlyReason>)> {
    let tables = found.tables.iter().filter(|table| !table.live_only.is_empty());
    tables.map(|table| (table.id.table.to_string(), table.live_only.clone())).collect()
}

/// The tables of which InnoDB says that a foreign key does nothing.
async fn asleep(database: &str) -> Vec<String> {
    let statement = "SELECT TABLE_NAME FROM information_schema.REFERENTIAL_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = ? \
                     AND UNIQUE_CONSTRAINT_NAME IS NULL AND TABLE_NAME <> 'silent' ORDER BY TABLE_NAME";
    server().connect(None).await.exec(statement, (database,)).await.unwrap()
}

/// What InnoDB says of each foreign key is what is read from the indexes, for an account that may not ask InnoDB.
#[tokio::test]
async fn a_foreign_key_on_which_the_server_does_not_act_makes_its_table_live_only() {
    let far = server().database(&["CREATE TABLE p (id INT PRIMARY KEY, k INT)"]).await;
    let beyond = format!(
        "CREATE TABLE beyond (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES {far}.p (id) ON DELETE CASCADE)"
    );
    let database = server()
        .database(&[
            "CREATE TABLE p (id INT PRIMARY KEY, k INT, v INT AS (k + 1) VIRTUAL, `É` VARCHAR(20) COLLATE utf8mb4_bin, \
             KEY one (k), KEY two (v), KEY three (`É`), KEY four (k, v))",
            "CREATE TABLE by_key (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES p (id) ON DELETE CASCADE)",
            "CREATE TABLE by_index (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES p (k) ON UPDATE CASCADE)",
            "CREATE TABLE by_end (id INT PRIMARY KEY, a INT, b INT, \
             FOREIGN KEY (a, b) REFERENCES p (k, id) ON DELETE CASCADE)",
            "CREATE TABLE by_made (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES p (v) ON DELETE SET NULL)",
            "CREATE TABLE by_text (id INT PRIMARY KEY, a VARCHAR(20) COLLATE utf8mb4_bin, \
             FOREIGN KEY (a) REFERENCES p (`é`) ON DELETE CASCADE)",
            "CREATE TABLE by_two (id INT PRIMARY KEY, a INT, b INT, \
             FOREIGN KEY (a, b) REFERENCES p (k, v) ON DELETE CASCADE)",
            "CREATE TABLE silent (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES p (id))",
            "CREATE TABLE tree (id INT PRIMARY KEY, up INT, FOREIGN KEY (up) REFERENCES tree (id) ON DELETE CASCADE)",
            &beyond,
        ])
        .await;
    let reader =
        server().user("far", &[&format!("SELECT ON {database}.*"), &format!("SELECT ON {far}.*")]).await;
    let source = MariaDbSource::new(reader);
    let mut counts = Vec::new();
    for statements in [
        &[][..],
        &["ALTER TABLE p DROP PRIMARY KEY, ADD nid INT NOT NULL AUTO_INCREMENT PRIMARY KEY"],
        &["ALTER TABLE p ADD UNIQUE (id)"],
        &["SET foreign_key_checks = 0", "ALTER TABLE p DROP INDEX one, DROP INDEX four, ADD INDEX four (v, k)"],
        &[
            "SET foreign_key_checks = 0",
            "ALTER TABLE p DROP INDEX two, DROP INDEX four, ADD INDEX (k, v DESC, id)",
        ],
        &["SET foreign_key_checks = 0", "ALTER TABLE p DROP INDEX three", "CREATE INDEX three ON p (`É`(5))"],
        &["SET foreign_key_checks = 0", "DROP TABLE p", "CREATE TABLE p (k INT, id INT, KEY (k, id))"],
        &["SET foreign_key_checks = 0", "DROP TABLE p", "CREATE TABLE p (id INT PRIMARY KEY) ENGINE = MyISAM"],
        &[
            "SET foreign_key_checks = 0",
            "DROP TABLE p",
            "ALTER TABLE tree DROP PRIMARY KEY, ADD UNIQUE (id, up)",
        ],
        &["SET foreign_key_checks = 0", "ALTER TABLE tree DROP INDEX id"],
    ] {
        server().run(&database, statements).await;
        let asleep = asleep(&database).await;
        let found = source.tables(&"s".into(), &database, &BooleanColumns::default()).await.unwrap();
        let without = |table: &&TableDef| {
            table.live_only.iter().any(|reason| matches!(reason, LiveOnlyReason::NoReferencedIndex { .. }))
        };
        let told: Vec<String> =
            found.tables.iter().filter(without).map(|table| table.id.table.to_string()).collect();
        assert_eq!(told, asleep, "after {statements:?}");
        counts.push(told.len());
    }
    assert!(counts[0] == 0 && counts[1] > 0 && counts[2] < counts[1], "{counts:?}");

    // What is not to be seen may be anything.
    let reader = server().user("near", &[&format!("SELECT ON {database}.*")]).await;
    let found =
        MariaDbSource::new(reader).tables(&"s".into(), &database, &BooleanColumns::default()).await.unwrap();
    let beyond = found.tables.iter().find(|table| &*table.id.table == "beyond").unwrap();
    let reason = LiveOnlyReason::NoReferencedIndex {
        foreign_key: "beyond_ibfk_1".to_owned(),
        referenced: format!("{far}.p (id)"),
    };
    assert_eq!(beyond.live_only, [reason]);
}

#[tokio::test]
async fn tinyint_1_is_boolean_where_declared() {
    let database = server()
        .database(&["CREATE TABLE T1 (id INT PRIMARY KEY, Ok BOOL, level TINYINT(1), n TINYINT)"])
        .await;
    let of = |found: ServiceTables| {
        let types = found.tables[0].columns.iter().map(|column| column.column_type.clone());
        types.map(|column_type| column_type == ColumnType::Boolean).collect::<Vec<_>>()
    };
    assert_eq!(of(all(&database, &BooleanColumns::default()).await), [false; 4]);
    let by_default =
        BooleanColumns { by_default: true, columns: [(("t1".to_owned(), "level".to_owned()), false)].into() };
    assert_eq!(of(all(&database, &by_default).await), [false, true, false, false]);
    let single =
        BooleanColumns { by_default: false, columns: [(("t1".to_owned(), "ok".to_owned()), true)].into() };
    assert_eq!(of(all(&database, &single).await), [false, true, false, false]);
}

#[tokio::test]
async fn views_and_restrictions_are_told() {
    let database = server()
        .database(&[
            "CREATE TABLE t (id INT PRIMARY KEY, secret INT, shown INT)",
            "CREATE VIEW v AS SELECT id, id + 0.5 AS h, NOW(6) AS n FROM t",
            "CREATE TABLE gone (id INT)",
            "CREATE VIEW broken AS SELECT * FROM gone",
            "DROP TABLE gone",
            "CREATE TABLE m (id INT PRIMARY KEY) ENGINE = MyISAM",
        ])
        .await;
    let found = all(&database, &BooleanColumns::default()).await;
    let kinds: Vec<_> = found.tables.iter().map(|table| (&*table.id.table, table.kind)).collect();
    assert_eq!(kinds, [("m", TableKind::Base), ("t", TableKind::Base), ("v", TableKind::View)]);
    assert_eq!(found.tables[2].columns[0].binlog_index, None);
    let problems: Vec<_> = found.problems.iter().map(|p| (&*p.table.table, p.reason.as_str())).collect();
    assert!(problems.len() == 1 && problems[0].0 == "broken", "{problems:?}");
    let engine = LiveOnlyReason::Engine("MyISAM".to_owned());
    let expected = [("m".to_owned(), vec![engine]), ("v".to_owned(), vec![LiveOnlyReason::View])];
    assert_eq!(live_only(&found), expected);

    // An account with a grant on columns sees the others as hidden.
    let options = server().user("columns", &[&format!("SELECT (id, shown) ON {database}.t")]).await;
    let found = MariaDbSource::new(options).tables(&"s".into(), &database, &BooleanColumns::default()).await;
    let found = found.unwrap();
    assert_eq!(names(&found.tables[0]), ["id", "shown"]);
    assert_eq!(found.tables[0].columns[1].binlog_index, Some(2));
}

#[tokio::test]
async fn a_table_that_is_gone_is_a_changed_definition() {
    let database = server().database(&["CREATE TABLE a (id INT PRIMARY KEY)"]).await;
    let source = MariaDbSource::new(server().root());
    let view = source.open_view(std::time::Duration::from_secs(10), (1 << 20).into()).await.unwrap();
    let id = crossweave_contract::TableId::new("s", "nowhere");
    let error = view.definition(&id, &database, &BooleanColumns::default()).await.unwrap_err();
    assert_eq!((error.kind, error.table), (ErrorKind::DefinitionChanged, Some(id)));
    let id = crossweave_contract::TableId::new("s", "a");
    let table = Arc::new(view.definition(&id, &database, &BooleanColumns::default()).await.unwrap());
    assert!(table.same_shape(&TableDef { id, ..definition(&database, "a").await.as_ref().clone() }));
}
