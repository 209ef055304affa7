//! A table of wrong configurations with the errors they must give, and what a right one means.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crossweave_contract::ServiceName;

use super::*;

fn env(name: &str) -> Option<String> {
    match name {
        "PASSWORD" => Some("p@ss/w:rd#%".to_owned()),
        "HOST" => Some("db.example".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("crossweave.toml"), &env)
}

/// The smallest service, for cases that are about something else.
const SERVICE: &str = "[services.users]\nurl = \"mysql://u@h/d\"\n";

/// `text` must be refused with exactly the errors `expected`, a line each.
#[track_caller]
fn refuses(text: &str, expected: &[&str]) {
    let error = parse(text).expect_err("accepted").to_string();
    let error = error.replace("crossweave.toml: ", "1: ").replace("crossweave.toml:", "");
    assert_eq!(error.lines().collect::<Vec<_>>(), expected, "\n{text}");
}

#[test]
fn reads_every_kind_of_setting() {
    let config = parse(
        r#"
        [listen]
        http = "localhost:0"
        postgres = "[::1]:5433"
        cors = ["https://app.example.com"]
        drain_delay = "1.5s"
        [change_log]
        kind = "kafka"
        brokers = ["127.0.0.1:9092"]
        prefix = "shop"
        [services.users]
        url = "mysql://cross%20weave:${PASSWORD}@${HOST}:3307/users"
        mode = "cached"
        exclude = ["log_*"]
        booleans = true
        [services.users.tables.addresses]
        mode = "live"
        booleans = { Level = false }
        [services.orders]
        host = "${HOST}"
        database = "orders"
        user = "crossweave"
        password = "$${x}"
        limits = { connections = 3 }
        [[relationships]]
        from = ["orders.`order lines`.a", "orders.`order lines`.b"]
        to = ["users.users.a", "users.users.b"]
        field = "user"
        "#,
    )
    .unwrap();
    assert_eq!(config.listen.http.to_string(), "127.0.0.1:0");
    assert_eq!(config.listen.drain_delay, Duration::from_millis(1500));
    assert_eq!(config.queries, Queries { timeout: Duration::from_secs(60), memory: 2 << 30 });
    assert_eq!(config.listen.cors, Cors::Origins(vec!["https://app.example.com".to_owned()]));
    let users = &config.services[&ServiceName::from("users")];
    assert_eq!((users.user.as_str(), users.host.as_str(), users.port), ("cross weave", "db.example", 3307));
    assert_eq!((users.password.reveal(), users.database.as_str()), ("p@ss/w:rd#%", "users"));
    assert_eq!(users.source.as_str(), "db.example-3307-cross_20weave");
    assert_eq!((users.mode_of("addresses"), users.mode_of("users")), (Mode::Live, Mode::Cached));
    assert!(users.includes("users") && !users.includes("log_1"));
    assert!(!users.boolean_columns().columns[&("addresses".to_owned(), "level".to_owned())]);
    let orders = &config.services[&ServiceName::from("orders")];
    assert_eq!((orders.password.reveal(), orders.port, orders.limits.connections), ("${x}", 3306, 3));
    let relationship = &config.relationships[0];
    assert_eq!(
        (relationship.from.table.as_str(), &*relationship.from.columns),
        ("order lines", &["a", "b"].map(String::from)[..])
    );
    assert_eq!(relationship.place.line, Some(25));
    assert!(!format!("{config:?}").contains("p@ss"), "a secret is shown");
}

#[test]
fn reads_limits_and_encryption() {
    let more = "[services.orders]\nurl = \"mysql://u@h/d\"\ntls = { server_name = \"orders.db\" }\n\
                [services.orders.limits]\nconnections = 3\nconnections_per_query = 2\nqueue = 0\nqueue_wait = \"250ms\"\n\
                statements_per_second = 50\nrows = 1000\nbytes = \"64MiB\"\nseconds = 5\nrows_examined = 20000\n";
    let config = parse(&(SERVICE.replace("u@h", "v@h") + more)).unwrap();
    let (users, orders) = (&config.services[0], &config.services[1]);
    let limits = LimitSettings {
        connections: 3,
        connections_per_query: 2,
        queue: 0,
        queue_wait: Duration::from_millis(250),
        statements_per_second: Some(50),
        rows: Some(1_000),
        bytes: Some(64 << 20),
        time: Duration::from_secs(5),
        rows_examined: 20_000,
    };
    assert_eq!(orders.limits, limits);
    let (least, most) = (users.limits.connections, users.limits.rows_examined);
    assert_eq!((least, most, users.limits.time), (8, 10_000_000, Duration::from_secs(60)));
    let tls = orders.tls.as_ref().unwrap();
    assert_eq!((tls.server_name.as_deref(), &users.tls), (Some("orders.db"), &None));
}

#[test]
fn services_with_one_account_on_one_server_share_a_source_and_the_smallest_budget() {
    let service = |name: &str, url: &str, more: &str| format!("[services.{name}]\nurl = \"{url}\"\n{more}\n");
    let text = service("a", "mysql://u:p@h/a", "limits = { connections = 5, rows = 10 }")
        + &service("b", "mysql://u:p@H:3306/b", "limits = { connections = 2, seconds = 5 }")
        + &service("c", "mysql://v:p@h/c", "");
    let config = parse(&text).unwrap();
    let sources = config.sources();
    assert_eq!(sources.keys().map(|id| id.as_str()).collect::<Vec<_>>(), ["h-3306-u", "h-3306-v"]);
    for limits in sources[0].iter().map(|service| service.limits) {
        assert_eq!((limits.connections, limits.rows, limits.time), (2, Some(10), Duration::from_secs(5)));
    }
    refuses(
        &text.replace("rows = 10 }", "rows = 10 }\ntls = {}"),
        &["5: the services `a` and `b` use one account on one server, but differ in `tls`"],
    );
    let other_password = text.replace("u:p@H", "u:q@H");
    refuses(
        &other_password,
        &["4: the services `a` and `b` use one account on one server, but different passwords"],
    );
}

#[test]
fn replicas_have_addresses_and_a_bound_on_their_lag() {
    let service = "[services.a]\nurl = \"mysql://u@h/d\"\n";
    let text = format!(
        "{service}replicas = [\"r1\", \"[::1]:3307\", {{ host = \"r3\", port = 3308, server_name = \"x\" }}]\n\
         replica_lag = \"500ms\"\ntls = {{}}\n"
    );
    let config = parse(&text).unwrap();
    let replicas = &config.services[0].replicas;
    let found: Vec<_> = replicas.iter().map(|r| (r.host.as_str(), r.port, r.server_name.as_deref())).collect();
    assert_eq!(found, [("r1", 3306, None), ("::1", 3307, None), ("r3", 3308, Some("x"))]);
    assert_eq!(config.services[0].replica_lag, Duration::from_millis(500));
    refuses(
        &format!(
            "{service}replicas = [\"r:0\", \"mysql://u@r/d\", \"H:3306\", \"r\", {{ host = \"R\" }}, 7]\n\
             replica_lag = \"0s\"\n"
        ),
        &["3: `services.a.replicas.5`: expected a text in quotes or a table of settings, found the number 7"],
    );
    refuses(
        &format!(
            "{service}replicas = [\"r:0\", \"mysql://u@r/d\", \"H:3306\", \"r\", {{ host = \"R\" }}, \
             {{ host = \"s\", server_name = \"x\" }}]\nreplica_lag = \"0s\"\n"
        ),
        &[
            "3: `services.a.replicas.0`: expected \"host\" or \"host:port\", found \"r:0\"",
            "  hint: a replica is read with the account and the database of the service",
            "3: `services.a.replicas.1`: expected \"host\" or \"host:port\", found \"mysql://u@r/d\"",
            "  hint: a replica is read with the account and the database of the service",
            "3: `services.a.replicas`: H:3306 is the service's own server",
            "3: `services.a.replicas` has R:3306 twice: expected each server once",
            "3: `services.a.replicas`: s:3306 has a `server_name`, but the service no `tls`",
            "  hint: add `[services.a.tls]`, or leave `server_name` out",
            "4: `services.a.replica_lag`: expected 200ms to 10m, found \"0s\"",
        ],
    );
    refuses(
        &format!("{service}replica_lag = \"5s\"\n"),
        &[
            "3: `services.a.replica_lag` bounds nothing: there are no replicas",
            "  hint: add `replicas = [\"host:port\"]`, or leave it out",
        ],
    );
    refuses(
        &format!("{service}replicas = [\"r\"]\n[services.b]\nurl = \"mysql://u@h/e\"\n"),
        &["4: the services `a` and `b` use one account on one server, but differ in `replicas`"],
    );
}

#[test]
fn tells_unknown_settings_with_the_nearest_right_word() {
    refuses(
        "[services.users]\nurl = \"mysql://u@h/d\"\nmdoe = \"live\"\n[listn]\n",
        &[
            "3: unknown setting `mdoe` in `services.users`",
            "  hint: did you mean `mode`?",
            "4: unknown setting `listn`",
            "  hint: did you mean `listen`?",
        ],
    );
    refuses(
        &format!("{SERVICE}[log]\ncolour = true\n"),
        &["4: unknown setting `colour` in `log`", "  hint: there are format, level"],
    );
}

#[test]
fn tells_limits_and_encryption_that_cannot_be() {
    refuses(
        "[services.users]\nurl = \"mysql://u@h/d\"\nmax_connections = 4\n[services.users.limits]\nrow = 1\n\
         queue_wait = \"10\"\nbytes = \"1MB\"\nseconds = 0\n[services.users.tls]\nca_file = \"nowhere.pem\"\n\
         client_key_file = \"nowhere.key\"\nverify = false\n",
        &[
            "3: unknown setting `max_connections` in `services.users`",
            "  hint: it is `connections` in `[services.users.limits]`",
            "5: unknown setting `row` in `services.users.limits`",
            "  hint: did you mean `rows`?",
            "8: `services.users.limits.seconds`: expected a number from 1 to 86400, found 0",
            "12: unknown setting `verify` in `services.users.tls`",
            "  hint: there are ca_file, client_cert_file, client_key_file, server_name",
        ],
    );
    refuses(
        "[services.users]\nurl = \"mysql://u@h/d\"\n[services.users.limits]\nqueue_wait = \"10\"\n\
         bytes = \"1MB\"\n[services.users.tls]\nca_file = \"nowhere.pem\"\nclient_key_file = \"nowhere.key\"\n",
        &[
            "4: `services.users.limits.queue_wait`: expected a duration with its unit, as \"500ms\", \"5s\", \"2m\", \"1h\" or \"7d\", found \"10\"",
            "5: `services.users.limits.bytes`: expected a size with its unit, as \"512MiB\" or \"2GiB\", found \"1MB\"",
            "6: `services.users.tls` lacks `client_cert_file`: expected both or none",
            "7: `services.users.tls.ca_file`: cannot read nowhere.pem: No such file or directory (os error 2)",
            "8: `services.users.tls.client_key_file`: cannot read nowhere.key: No such file or directory (os error 2)",
        ],
    );
}

#[test]
fn tells_wrong_types_and_values_with_what_was_expected_and_found() {
    refuses(
        "[listen]\nhttp = 8080\ncors = \"x\"\n[services.users]\nurl = \"mysql://u@h/d\"\nmode = \"cache\"\nbooleans = 1\n\
         port = 70000\nlimits = { connections = 0 }\n[[relationships]]\nto = 1\n",
        &[
            "2: `listen.http`: expected a text in quotes, found the number 8080",
            "3: `listen.cors`: expected a list, found a text",
            "6: `services.users.mode`: expected \"live\" or \"cached\", found \"cache\"",
            "  hint: did you mean `cached`?",
            "7: `services.users.booleans`: expected true or false, found the number 1",
            "8: `services.users.port`: expected a number from 0 to 65535, found 70000",
            "9: `services.users.limits.connections`: expected a number from 1 to 1000, found 0",
            "10: `relationships.0` lacks `from`: expected a text in quotes or a list",
            "11: `relationships.0.to`: expected a text in quotes or a list, found the number 1",
        ],
    );
    refuses(
        &format!("{SERVICE}[services]\nusers = 1979-05-27\n").replace(SERVICE, ""),
        &["2: `services.users`: no setting is a date or a time"],
    );
}

#[test]
fn tells_a_service_that_is_named_twice_and_text_that_is_not_toml() {
    refuses(
        &format!("{SERVICE}{SERVICE}"),
        &["3: `users` is declared twice; expected each name once", "  hint: merge the two, or rename one"],
    );
    refuses(
        &format!("{SERVICE}{}", SERVICE.replace("users", "Users")),
        &["3: the services `users` and `Users` differ only in case: expected each name once"],
    );
    let error = parse("[services.users\nurl = 1").unwrap_err().to_string();
    assert!(error.starts_with("crossweave.toml:1: not valid TOML: "), "{error}");
}

#[test]
fn tells_where_a_database_is_not_said_or_said_twice() {
    refuses(
        "[services.a]\nmode = \"live\"\n[services.b]\nhost = \"h\"\n[services.c]\nurl = \"mysql://u:x@h/d\"\nuser = \"u\"\n\
         password = \"y\"\n",
        &[
            "1: `services.a` does not say where its database is",
            "  hint: expected `url = \"mysql://user:password@host:port/database\"`, or `host`, `database`, `user` and `password_file`",
            "3: `services.b` lacks `database` and `user`",
            "6: `services.c` has a password in `url` and another one: expected one",
            "7: `services.c` has both `url` and `user`: expected one",
        ],
    );
    let hint = "  hint: expected mysql://user:password@host:port/database, special characters percent-encoded";
    refuses(
        "[services.a]\nurl = \"postgres://u:hunter2@h/d?ssl=1\"\n[services.b]\nurl = \"mysql://h\"\n",
        &[
            "2: `services.a.url`: the scheme is \"postgres\"",
            hint,
            "2: `services.a.url`: it has parameters, which are not read",
            hint,
            "4: `services.b.url`: it has no database",
            hint,
            "4: `services.b.url`: it has no user",
            hint,
        ],
    );
    refuses(
        "",
        &[
            "1: no service is declared: expected at least one",
            "  hint: add `[services.NAME]` with `url = \"mysql://user:password@host/database\"`",
        ],
    );
}

#[test]
fn tells_missing_variables_and_secrets_that_cannot_be_read() {
    refuses(
        "[services.a]\nurl = \"mysql://u:${NO_SUCH}@h/d\"\n[services.b]\nhost = \"h\"\ndatabase = \"d\"\nuser = \"${u\"\n\
         password_file = \"/no/such/file\"\n",
        &[
            "2: `services.a.url`: the environment variable NO_SUCH is not set, or is not valid text",
            "  hint: set NO_SUCH before Crossweave is started; `$${` stands for `${`",
            "3: `services.b` lacks `user`",
            "6: `services.b.user`: a `${` without its `}`",
            "7: `services.b.password_file`: cannot read /no/such/file: No such file or directory (os error 2)",
            "  hint: expected a text file that this account may read, with the secret in its first line",
        ],
    );
}

#[test]
fn refuses_to_listen_beyond_loopback_without_a_token() {
    let text = format!("{SERVICE}[listen]\nhttp = \"0.0.0.0:8080\"\npostgres = \"127.0.0.1:5433\"\n");
    refuses(
        &text,
        &[
            "4: `listen.http`: 0.0.0.0:8080 can be reached from other machines, which needs `listen.token_file`",
            "  hint: set `token_file` to a file with a secret, or listen on 127.0.0.1",
        ],
    );
    let folder = tempfile::tempdir().unwrap();
    let token = |content: &str| {
        fs::write(folder.path().join("token"), content).unwrap();
        Config::parse(&format!("{text}token_file = \"token\"\n"), &folder.path().join("crossweave.toml"), &env)
    };
    let config = token("s3cret\r\n").unwrap();
    assert_eq!(config.listen.token.unwrap().reveal(), "s3cret");
    let error = token("two words\n").unwrap_err().to_string();
    assert!(error.contains(":6: `listen.token_file`: the token is empty or has characters"), "{error}");
}

#[test]
fn tells_addresses_durations_origins_and_levels_that_cannot_be() {
    refuses(
        &format!(
            "{SERVICE}[listen]\nhttp = \"8080\"\npostgres = \"db:1\"\ncors = [\"app.example.com\"]\ndrain_delay = \"5\"\n\
             [queries]\ntimeout = \"0s\"\nmemory = \"2GB\"\n[log]\nlevel = \"a=b=c\"\n[state]\ndir = \"\"\n"
        ),
        &[
            "4: `listen.http`: expected an address and a port, as \"127.0.0.1:8080\", found \"8080\"",
            "5: `listen.postgres`: expected an address and a port, as \"127.0.0.1:8080\", found \"db:1\"",
            "6: `listen.cors`: expected an origin, as \"https://app.example.com\", without a path, found \"app.example.com\"",
            "7: `listen.drain_delay`: expected a duration with its unit, as \"500ms\", \"5s\", \"2m\", \"1h\" or \"7d\", found \"5\"",
            "9: `queries.timeout`: expected a duration above zero with its unit, as \"500ms\", \"5s\", \"2m\", \"1h\" or \"7d\", found \"0s\"",
            "10: `queries.memory`: expected a size with its unit, as \"512MiB\" or \"2GiB\", found \"2GB\"",
            "12: `log.level`: expected off, error, warn, info, debug, trace, or a list by module as \"info,crossweave::ingest=debug\", found \"a=b=c\": error parsing level filter: expected one of \"off\", \"error\", \"warn\", \"info\", \"debug\", \"trace\", or a number 0-5",
            "14: `state.dir` is empty: expected a folder",
        ],
    );
    refuses(
        &format!("{SERVICE}[listen]\nhttp = \"127.0.0.1:1\"\npostgres = \"127.0.0.1:1\"\n"),
        &["5: `listen.postgres`: 127.0.0.1:1 is also `listen.http`: expected another port"],
    );
}

#[test]
fn tells_a_change_log_that_cannot_be() {
    refuses(
        &format!("{SERVICE}[change_log]\nbrokers = [\"h:1\"]\n"),
        &[
            "4: `change_log.brokers`: the direct change log has no broker",
            "  hint: set `kind = \"kafka\"`, or leave `brokers` out",
        ],
    );
    refuses(
        &format!("{SERVICE}[change_log]\nkind = \"kafka\"\nprefix = \"a b\"\n"),
        &[
            "3: `change_log` lacks `brokers`: expected Kafka's addresses, as [\"127.0.0.1:9092\"]",
            "5: `change_log.prefix`: expected 1 to 80 letters, digits, `.`, `_` or `-`, found \"a b\"",
        ],
    );
    refuses(
        &format!("{SERVICE}[change_log]\nkind = \"kafka\"\nbrokers = [\"h:1\",\n\"kafka\"]\n"),
        &["6: `change_log.brokers`: expected \"host:port\", found \"kafka\""],
    );
    let topics = "[change_log.topics]\nfeeds.partitions = 0\ntransactions.retention = \"a week\"\n";
    refuses(
        &format!("{SERVICE}[change_log]\nkind = \"kafka\"\nbrokers = [\"h:1\"]\n{topics}"),
        &[
            "7: `change_log.topics.feeds.partitions`: expected 1 or more, found 0",
            "8: `change_log.topics.transactions.retention`: expected \"forever\" or a duration of 1h or more, as \"12h\" or \"7d\", found \"a week\"",
        ],
    );
    refuses(
        &format!("{SERVICE}{topics}").replace(" 0\n", " 1\n").replace("a week", "7d"),
        &[
            "3: `change_log.topics`: the direct change log has no topics",
            "  hint: set `kind = \"kafka\"`, or leave `topics` out",
        ],
    );
    refuses(
        &format!("{SERVICE}[log]\nlevel = \"loud\"\n"),
        &[
            "4: `log.level`: expected off, error, warn, info, debug, trace, or a list by module as \"info,crossweave::ingest=debug\", found \"loud\" in \"loud\"",
        ],
    );
    refuses(
        &format!("{SERVICE}[change_log]\nmax_transaction = \"512 mega\"\n"),
        &[
            "4: `change_log.max_transaction`: expected a size with its unit, as \"512MiB\" or \"2GiB\", found \"512 mega\"",
        ],
    );
}

#[test]
fn tells_relationships_that_cannot_be() {
    let relationship = |text: &str| format!("{SERVICE}[[relationships]]\n{text}\n");
    refuses(
        &relationship("from = \"users.a\"\nto = \"user.users.id\"\nfield = \"1st\""),
        &[
            "4: expected \"service.table.column\", but \"users.a\" has 2 parts",
            "5: \"user.users.id\": there is no service `user`",
            "  hint: did you mean `users`?",
            "6: \"1st\" cannot be a field: expected letters, digits and `_`, beginning with no digit and no `__`",
        ],
    );
    refuses(
        &relationship("from = [\"users.a.x\", \"users.b.x\"]\nto = []"),
        &[
            "4: \"users.b.x\" is of another table than users.a: expected columns of one table",
            "5: the list is empty: expected at least one column, as \"service.table.column\"",
        ],
    );
    refuses(
        &relationship("from = [\"users.a.x\", \"users.a.y\"]\nto = \"users.b.id\""),
        &["3: a relationship from 2 columns to 1 column: expected as many columns on both sides"],
    );
    let twice = relationship("from = \"users.a.x\"\nto = \"users.b.id\"\nfield = \"b\"\ninverse = \"list\"")
        + "[[relationships]]\nfrom = \"users.a.y\"\nto = \"users.c.id\"\nfield = \"b\"\ninverse = \"list\"\n";
    refuses(
        &twice,
        &[
            "11: two relationships have the field `b` on users.a; the other one is at 6",
            "  hint: give one of them another `field` or `inverse`",
        ],
    );
}

#[test]
fn the_published_schema_is_current() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/crossweave.schema.json");
    let current = format!("{}\n", serde_json::to_string_pretty(&json_schema()).unwrap());
    if std::env::var_os("CROSSWEAVE_BLESS").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &current).unwrap();
    }
    let published = fs::read_to_string(&file).unwrap_or_default();
    assert!(published == current, "{} is not current: run this test with CROSSWEAVE_BLESS=1", file.display());
}
