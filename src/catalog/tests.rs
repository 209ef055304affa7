//! What a config and what servers have make together.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use crossweave_contract::{
    BinlogEnd, BooleanColumns, Collation, CollationWeights, Column, ColumnType, ConnectorError, Consistency,
    ErrorKind, Finding, ForeignKey, LevelWeights, LiveOnlyReason, Position, ReferentialAction, RemoteQuery,
    Rendered, Resets, Result, RowBudget, ServiceName, ServiceTables, Source, SourceId, SourceView, TableDef,
    TableId, TableKind, TableProblem, UnitWidth,
};
use parking_lot::Mutex;

use super::*;
use crate::config::Config;

/// A server whose tables a test sets; databases without tables fail.
#[derive(Debug, Default)]
struct FakeSource {
    id: Option<SourceId>,
    databases: Mutex<HashMap<String, ServiceTables>>,
    weights_asked: Mutex<Vec<String>>,
    /// What is asked for weights waits while this is held.
    stalled: tokio::sync::Mutex<()>,
    /// Whether it is told at once that there is no answer.
    silent: AtomicBool,
    /// Databases whose tables were asked for.
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl Source for FakeSource {
    fn id(&self) -> &SourceId {
        self.id.as_ref().unwrap()
    }

    async fn tables(&self, _: &ServiceName, database: &str, _: &BooleanColumns) -> Result<ServiceTables> {
        self.asked.lock().push(database.to_owned());
        let found = self.databases.lock().get(database).cloned();
        found.ok_or_else(|| ConnectorError::new(ErrorKind::Unreachable, "connection refused"))
    }

    async fn check(&self, _: &str, _: Option<&[TableId]>) -> Vec<Finding> {
        Vec::new()
    }

    async fn sample_booleans(&self, _: &str) -> Result<Vec<(String, String, i64)>> {
        Ok(Vec::new())
    }

    async fn weights(&self, collation: &Collation) -> Result<CollationWeights> {
        self.weights_asked.lock().push(collation.name.clone());
        if self.silent.load(Ordering::SeqCst) {
            return Err(ConnectorError::new(ErrorKind::Unreachable, "not in time"));
        }
        drop(self.stalled.lock().await);
        if collation.name == "utf8mb4_czech_ci" {
            return Err(ConnectorError::new(ErrorKind::Settings, "it failed its sample"));
        }
        Ok(CollationWeights::new(collation.clone(), UnitWidth::Fixed(2), vec![LevelWeights::new(Vec::new())]))
    }

    async fn open_view_of(&self, _: Consistency, _: Duration, _: RowBudget) -> Result<Arc<dyn SourceView>> {
        Err(ConnectorError::new(ErrorKind::Unreachable, "no views here"))
    }

    async fn binlog_end(&self) -> Result<BinlogEnd> {
        Ok(BinlogEnd { position: Position::origin(), resets: Resets { server: 1, count: 0 } })
    }

    fn render(&self, _: &RemoteQuery) -> Rendered {
        Rendered::default()
    }
}

fn text(collation: &str) -> ColumnType {
    ColumnType::Text { collation: Collation::new("utf8mb4", collation) }
}

const NUMBER: ColumnType = ColumnType::BigInt { unsigned: true };

fn table(service: &str, name: &str, columns: &[(&str, ColumnType)]) -> TableDef {
    let columns: Vec<Column> = columns
        .iter()
        .enumerate()
        .map(|(index, (name, column_type))| Column {
            name: (*name).to_owned(),
            column_type: column_type.clone(),
            nullable: false,
            binlog_index: Some(index),
            max_chars: None,
        })
        .collect();
    TableDef {
        id: TableId::new(service, name),
        database: format!("{service}_db"),
        kind: TableKind::Base,
        binlog_columns: columns.len(),
        columns,
        key: vec![0],
        foreign_keys: Vec::new(),
        row_end: None,
        live_only: Vec::new(),
    }
}

fn references(from: &str, table: &str, column: &str, on_delete: ReferentialAction) -> ForeignKey {
    ForeignKey {
        name: format!("{from}_fk"),
        columns: vec![from.to_owned()],
        referenced_database: "shop_db".to_owned(),
        referenced_table: table.to_owned(),
        referenced_columns: vec![column.to_owned()],
        on_delete,
        on_update: ReferentialAction::Restrict,
    }
}

/// A shop of two tables, and services that refer to it.
fn shop() -> ServiceTables {
    let mut orders = table(
        "shop",
        "orders",
        &[("id", NUMBER), ("buyerId", NUMBER), ("seller_id", NUMBER), ("code", text("utf8mb4_general_ci"))],
    );
    orders.foreign_keys = vec![
        references("buyerId", "people", "id", ReferentialAction::Cascade),
        references("seller_id", "people", "id", ReferentialAction::Restrict),
    ];
    let people = table("shop", "people", &[("id", NUMBER), ("name", text("utf8mb4_unicode_ci"))]);
    ServiceTables { tables: vec![people, orders], ..ServiceTables::default() }
}

struct Setup {
    config: Arc<Config>,
    source: Arc<FakeSource>,
}

impl Setup {
    /// A config with the services shop and mail on one source, `more` after them, and the shop's tables.
    fn new(more: &str) -> Self {
        let mut config = String::new();
        for service in ["shop", "mail"] {
            writeln!(config, "[services.{service}]\nurl = \"mysql://u@h/{service}_db\"\nmode = \"cached\"")
                .unwrap();
        }
        let config = Config::parse(&(config + more), Path::new("c.toml"), &|_| None).unwrap();
        let source = FakeSource { id: config.sources().keys().next().cloned(), ..FakeSource::default() };
        let setup = Self { config: Arc::new(config), source: Arc::new(source) };
        setup.put("shop", shop());
        setup
    }

    fn put(&self, service: &str, tables: ServiceTables) {
        self.source.databases.lock().insert(format!("{service}_db"), tables);
    }

    fn sources(&self) -> HashMap<SourceId, Arc<dyn Source>> {
        let source: Arc<dyn Source> = Arc::clone(&self.source) as _;
        HashMap::from([(source.id().clone(), source)])
    }

    async fn start(&self) -> std::result::Result<Discovery, crate::config::ConfigError> {
        Discovery::start(Arc::clone(&self.config), self.sources()).await
    }

    async fn start_within(
        &self,
        limit: Duration,
    ) -> std::result::Result<Discovery, crate::config::ConfigError> {
        Discovery::start_within(limit, Arc::clone(&self.config), self.sources()).await
    }

    async fn refused(&self) -> String {
        self.start().await.map(|_| ()).expect_err("accepted").to_string()
    }
}

fn mode(catalog: &Catalog, service: &str, name: &str) -> TableMode {
    catalog.table(&TableId::new(service, name)).expect(name).mode.clone()
}

fn described(catalog: &Catalog) -> Vec<String> {
    let describe = |r: &Relationship| {
        let (from, to) = (r.from_columns.join("+"), r.to_columns.join("+"));
        format!("{}.{from} → {}.{to}: {} / {}", r.from, r.to, r.field, r.inverse)
    };
    catalog.relationships.iter().map(describe).collect()
}

#[tokio::test]
async fn a_table_is_cached_only_if_its_changes_can_be_followed() {
    let setup = Setup::new("[services.mail.tables.live]\nmode = \"live\"\n");
    let columns = [("id", NUMBER), ("owner", text("utf8mb4_general_ci")), ("code", text("utf8mb4_bin"))];
    let mut view = table("mail", "view", &columns);
    view.live_only = vec![LiveOnlyReason::View];
    let mut keyless = table("mail", "keyless", &columns);
    keyless.live_only = vec![LiveOnlyReason::NoKey, LiveOnlyReason::Engine("MyISAM".to_owned())];
    let mut cascade = table("mail", "cascade", &columns);
    cascade.foreign_keys = vec![references("owner", "x", "y", ReferentialAction::SetNull)];
    let mut exact = table("mail", "exact", &columns);
    exact.foreign_keys = vec![references("code", "x", "y", ReferentialAction::Cascade)];
    let odd = table("mail", "odd", &columns);
    let problems = vec![TableProblem {
        table: odd.id.clone(),
        column: Some("extra".to_owned()),
        reason: "the charset is swe7".to_owned(),
    }];
    let tables = vec![view, keyless, cascade, exact, odd.clone(), table("mail", "live", &columns)];
    setup.put("mail", ServiceTables { tables, problems, ..ServiceTables::default() });
    let discovery = setup.start().await.unwrap();
    let catalog = discovery.catalog().current();
    let live_only = |name: &str| match mode(&catalog, "mail", name) {
        TableMode::LiveOnly(reason) => reason,
        other => panic!("{name} is {other:?}"),
    };
    assert!(live_only("view").starts_with("it is a view"));
    assert!(live_only("keyless").starts_with("it has no primary key"));
    assert!(
        live_only("cascade").contains("text column owner, whose collation utf8mb4_general_ci is not binary")
    );
    assert_eq!(mode(&catalog, "mail", "odd"), TableMode::Cached);
    assert_eq!(mode(&catalog, "mail", "live"), TableMode::Live);
    assert_eq!(mode(&catalog, "mail", "exact"), TableMode::Cached);
    assert_eq!(
        catalog.table(&odd.id).unwrap().hidden,
        [("extra".to_owned(), "the charset is swe7".to_owned())]
    );
}

#[tokio::test]
async fn foreign_keys_become_relationships_with_names_that_are_free() {
    let setup = Setup::new("");
    let discovery = setup.start().await.unwrap();
    assert_eq!(
        described(&discovery.catalog().current()),
        [
            "shop.orders.buyerId → shop.people.id: buyer / orders",
            "shop.orders.seller_id → shop.people.id: seller / orders_by_seller_id",
        ]
    );
}

#[tokio::test]
async fn a_declared_relationship_finds_columns_whatever_their_case_and_replaces_the_inferred_one() {
    let setup = Setup::new(
        "[[relationships]]\nfrom = \"shop.orders.BUYERID\"\nto = \"shop.people.ID\"\nfield = \"customer\"\n\
         [[relationships]]\nfrom = \"shop.orders.code\"\nto = \"mail.letters.code\"\n",
    );
    let code = text("utf8mb4_general_ci");
    setup.put(
        "mail",
        ServiceTables { tables: vec![table("mail", "letters", &[("code", code)])], ..ServiceTables::default() },
    );
    let discovery = setup.start().await.unwrap();
    assert_eq!(
        described(&discovery.catalog().current()),
        [
            "shop.orders.buyerId → shop.people.id: customer / orders",
            "shop.orders.code → mail.letters.code: letters / orders",
            "shop.orders.seller_id → shop.people.id: seller / orders_by_seller_id",
        ]
    );
}

#[tokio::test]
async fn what_a_relationship_refers_to_is_unique_or_it_is_left_out_until_it_is() {
    let setup = Setup::new(
        "[[relationships]]\nfrom = \"shop.orders.seller_id\"\nto = \"mail.big.grp\"\nfield = \"group\"\n\
         [[relationships]]\nfrom = [\"shop.orders.id\", \"shop.orders.buyerId\"]\nto = [\"mail.big.grp\", \"mail.big.id\"]\n\
         field = \"big\"\ninverse = \"ordersById\"\n",
    );
    let mut orders = table("mail", "letters", &[("id", NUMBER), ("grp", NUMBER)]);
    let mut key = references("grp", "big", "grp", ReferentialAction::Restrict);
    key.referenced_database = "mail_db".to_owned();
    orders.foreign_keys = vec![key];
    let big = table("mail", "big", &[("id", NUMBER), ("grp", NUMBER)]);
    let mut mail = ServiceTables { tables: vec![orders, big.clone()], ..ServiceTables::default() };
    setup.put("mail", mail.clone());
    let discovery = setup.start().await.unwrap();
    let catalog = discovery.catalog().current();
    let with_big = |catalog: &Catalog| -> Vec<String> {
        described(catalog).into_iter().filter(|relationship| relationship.contains("mail.big")).collect()
    };
    let both = "shop.orders.id+buyerId → mail.big.grp+id: big / ordersById";
    assert_eq!(with_big(&catalog), [both], "a list that holds the key is unique");
    let told: Vec<String> = catalog.left_out.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "c.toml:9: the relationship from shop.orders (seller_id) to mail.big (grp) is left out: grp has no unique key \
          in mail.big, so that a row may refer to several\n  hint: make it unique in the database of mail, with \
          ALTER TABLE `big` ADD UNIQUE (`grp`), or swap `from` and `to`"
        ]
    );

    mail.unique.insert(big.id.clone(), vec![vec!["id".to_owned()], vec!["GRP".to_owned()]]);
    setup.put("mail", mail);
    discovery.refresh(&ServiceName::from("mail")).await.unwrap();
    let catalog = discovery.catalog().current();
    let (declared, inferred) = (
        "shop.orders.seller_id → mail.big.grp: group / orders",
        "mail.letters.grp → mail.big.grp: big / letters",
    );
    assert_eq!(with_big(&catalog), [declared, both, inferred]);
    assert_eq!(catalog.left_out, []);
}

#[tokio::test]
async fn what_the_config_says_of_tables_that_are_not_there_is_told_with_its_line() {
    let setup = Setup::new(
        "include = [\"peple\", \"orders\", \"people\", \"x*\"]\nbooleans = true\n\
         [services.mail.tables.orders]\nmode = \"live\"\nbooleans = { cod = true, id = true }\n\
         [[relationships]]\nfrom = \"shop.order.buyerId\"\nto = \"shop.people.idd\"\n\
         [[relationships]]\nfrom = \"shop.orders.code\"\nto = \"shop.people.name\"\n\
         [[relationships]]\nfrom = \"shop.orders.code\"\nto = \"shop.people.id\"\n\
         [[relationships]]\nfrom = \"shop.orders.buyerId\"\nto = \"shop.people.id\"\nfield = \"code\"\n",
    );
    let mut mail = shop();
    for table in &mut mail.tables {
        table.id = TableId::new("mail", Arc::clone(&table.id.table));
    }
    setup.put("mail", mail);
    let expected = "\
c.toml:7: service `mail` has no table `peple` in its database
  hint: did you mean `people`?
c.toml:7: `include`: no table of service `mail` fits `x*`
c.toml:11: table `mail.orders` has no column `cod`
  hint: did you mean `code`?
c.toml:11: `booleans`: column `id` of `mail.orders` is not a TINYINT(1)
c.toml:13: service `shop` has no table `order`, or it is left out
  hint: did you mean `orders`?
c.toml:14: table `shop.people` has no column `idd`
  hint: did you mean `id`?
c.toml:15: shop.orders.code and shop.people.name cannot be compared: their collations utf8mb4_general_ci and \
utf8mb4_unicode_ci differ, and neither is binary
c.toml:18: shop.orders.code and shop.people.id cannot be compared: one is a text, the other a number
c.toml:24: the field `code` is there already on shop.orders: a column, or another relationship's field
  hint: choose another `field`";
    assert_eq!(setup.refused().await, expected);
}

#[tokio::test]
async fn a_service_that_is_down_is_left_for_later_and_its_relationships_with_it() {
    let setup = Setup::new(
        "[[relationships]]\nfrom = \"mail.letters.id\"\nto = \"shop.people.id\"\nfield = \"person\"\n",
    );
    let discovery = setup.start().await.unwrap();
    let mail = ServiceName::from("mail");
    assert_eq!(
        discovery.catalog().current().services[&mail].unreachable.as_deref(),
        Some("connection refused")
    );
    assert!(discovery.refresh(&mail).await.is_err());

    let letters = table("mail", "letters", &[("id", NUMBER)]);
    setup.put("mail", ServiceTables { tables: vec![letters], ..ServiceTables::default() });
    discovery.refresh(&mail).await.unwrap();
    let catalog = discovery.catalog().current();
    assert_eq!(catalog.services[&mail].unreachable, None);
    assert_eq!(mode(&catalog, "mail", "letters"), TableMode::Cached);
    assert!(described(&catalog)[0].starts_with("mail.letters.id → shop.people.id: person"));
}

#[tokio::test]
async fn asking_again_follows_live_tables_and_leaves_cached_ones_to_ingest() {
    let setup = Setup::new("[services.shop.tables.people]\nmode = \"live\"\n");
    let discovery = setup.start().await.unwrap();
    let shop_name = ServiceName::from("shop");
    discovery.refresh(&shop_name).await.unwrap();
    assert_eq!(discovery.catalog().current().epoch, 0, "nothing changed");

    let mut wider = shop();
    for table in &mut wider.tables {
        let mut column = table.columns[0].clone();
        column.name = "extra".to_owned();
        table.columns.push(column);
    }
    wider.tables.push(table("shop", "late", &[("id", NUMBER)]));
    let orders = Arc::new(wider.tables[1].clone());
    setup.put("shop", wider);
    discovery.refresh(&shop_name).await.unwrap();
    let catalog = discovery.catalog().current();
    let has_extra = |catalog: &Catalog, name: &str| {
        catalog.table(&TableId::new("shop", name)).unwrap().def.column_index("extra").is_some()
    };
    assert!(has_extra(&catalog, "people") && !has_extra(&catalog, "orders"));
    assert_eq!(mode(&catalog, "shop", "late"), TableMode::Cached);

    discovery.replace_table(&orders);
    assert!(has_extra(&discovery.catalog().current(), "orders"));
    discovery.refresh(&shop_name).await.unwrap();
    assert!(has_extra(&discovery.catalog().current(), "orders"));

    setup.put("shop", ServiceTables { tables: vec![shop().tables[0].clone()], ..ServiceTables::default() });
    discovery.refresh(&shop_name).await.unwrap();
    let orders = TableId::new("shop", "orders");
    assert!(discovery.catalog().current().table(&orders).is_some(), "ingest has not come there");
    discovery.remove_table(&orders);
    discovery.refresh(&shop_name).await.unwrap();
    assert!(discovery.catalog().current().table(&orders).is_none());
}

#[tokio::test]
async fn weights_are_asked_once_by_name_and_refused_ones_are_named_as_missing() {
    let setup = Setup::new("");
    let columns =
        [("id", text("utf8mb4_czech_ci")), ("b", text("utf8mb4_bin")), ("c", text("utf8mb4_general_ci"))];
    setup.put("mail", ServiceTables { tables: vec![table("mail", "t", &columns)], ..ServiceTables::default() });
    let discovery = setup.start().await.unwrap();
    let catalog = discovery.catalog().current();
    let asked = ["utf8mb4_unicode_ci", "utf8mb4_general_ci", "utf8mb4_czech_ci"];
    assert_eq!(*setup.source.weights_asked.lock(), asked);
    assert_eq!(catalog.weights.keys().collect::<Vec<_>>(), ["utf8mb4_unicode_ci", "utf8mb4_general_ci"]);
    assert_eq!(catalog.missing_weights.keys().collect::<Vec<_>>(), ["utf8mb4_czech_ci"]);
    assert!(catalog.missing_weights["utf8mb4_czech_ci"].contains("it failed its sample"));
    discovery.refresh(&ServiceName::from("mail")).await.unwrap();
    assert_eq!(setup.source.weights_asked.lock().len(), 3);
}

/// Once what `source` is asked for goes well, `discovery` soon has these weights.
async fn weights_come(discovery: Discovery, collations: [&str; 2]) {
    let mut changes = discovery.catalog().watch();
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(discovery.run(stop.clone()));
    let complete = changes.wait_for(|catalog| catalog.missing_weights.is_empty());
    let catalog = tokio::time::timeout(Duration::from_secs(8), complete).await.expect("soon").unwrap().clone();
    assert_eq!(catalog.weights.keys().collect::<Vec<_>>(), collations);
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_source_that_stalls_while_weights_are_read_is_waited_for_once_and_asked_later() {
    let setup = Setup::new("");
    setup.put("mail", ServiceTables::default());
    let collations = ["utf8mb4_unicode_ci", "utf8mb4_general_ci"];
    for (silent, told) in [(false, "within 1s"), (true, "not in time")] {
        setup.source.weights_asked.lock().clear();
        let stalled = setup.source.stalled.lock().await;
        setup.source.silent.store(silent, Ordering::SeqCst);
        let started = tokio::time::timeout(Duration::from_secs(8), setup.start_within(Duration::from_secs(1)));
        let discovery = started.await.expect("it starts").unwrap();
        let catalog = discovery.catalog().current();
        assert_eq!(catalog.missing_weights.keys().collect::<Vec<_>>(), collations);
        for reason in catalog.missing_weights.values() {
            assert!(reason.starts_with("not loaded yet: ") && reason.contains(told), "{reason}");
        }
        assert_eq!(*setup.source.weights_asked.lock(), collations[..1], "it is not waited for again");
        drop(stalled);
        setup.source.silent.store(false, Ordering::SeqCst);
        weights_come(discovery, collations).await;
    }
}

#[tokio::test]
async fn a_service_that_is_doubted_is_asked_soon_and_less_often_while_nothing_is_new() {
    let setup = Setup::new("");
    setup.put("mail", ServiceTables::default());
    let discovery = setup.start().await.unwrap();
    let catalog = discovery.catalog().clone();
    let stop = tokio_util::sync::CancellationToken::new();
    let running = tokio::spawn(discovery.run(stop.clone()));
    setup.source.asked.lock().clear();
    let mail = setup.config.services.keys().find(|service| service.as_str() == "mail").unwrap();
    for _ in 0..40 {
        catalog.doubt([mail]);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // After two seconds and after four more; nobody spoke of the other service.
    assert_eq!(*setup.source.asked.lock(), ["mail_db", "mail_db"]);
    stop.cancel();
    running.await.unwrap();
}
