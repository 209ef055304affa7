//! `[services.*]`: names, addresses, accounts, tables.

use crossweave_contract::{Secret, ServiceName};
use indexmap::IndexMap;
use percent_encoding::percent_decode_str;
use url::Url;

use super::check::{Checker, same_but_for_case};
use super::document::Path;
use super::file::{ServiceOptions, TableOptions};
use super::names::source_id;
use super::problem::Problem;
use super::settings::{Named, ServiceSettings, TableSettings};
use super::{limits, replicas, tls};

pub(super) const DEFAULT_PORT: u16 = 3306;
/// Schemas that SQL clients expect to mean something else.
const RESERVED: [&str; 3] = ["information_schema", "pg_catalog", "crossweave"];

/// Checks all services.
pub(crate) fn check(
    checker: &mut Checker<'_>,
    services: &IndexMap<String, ServiceOptions>,
) -> IndexMap<ServiceName, ServiceSettings> {
    let all = Path::of(["services"]);
    if services.is_empty() {
        let problem = Problem::new(checker.place(&all), "no service is declared: expected at least one");
        checker.add(
            problem.with_hint("add `[services.NAME]` with `url = \"mysql://user:password@host/database\"`"),
        );
    }
    for (earlier, later) in same_but_for_case(services) {
        let message =
            format!("the services `{earlier}` and `{later}` differ only in case: expected each name once");
        checker.problem(&all.join(later), message);
    }
    let checked = services.iter().map(|(name, options)| {
        let path = all.join(name);
        if name.is_empty() || RESERVED.contains(&name.to_lowercase().as_str()) {
            checker.problem(&path, format!("a service cannot be named {name:?}: SQL clients use that name"));
        }
        (ServiceName::from(name.as_str()), service(checker, &path, name, options))
    });
    let mut checked: IndexMap<_, _> = checked.collect();
    share_sources(checker, &mut checked);
    checked
}

/// Services on one source agree on its password, encryption, server id and replicas and share the smallest limits.
fn share_sources(checker: &mut Checker<'_>, services: &mut IndexMap<ServiceName, ServiceSettings>) {
    for index in 0..services.len() {
        let (name, service) = (services[index].name.clone(), services[index].clone());
        for other in services.values_mut().take(index) {
            if other.source != service.source {
                continue;
            }
            let path = Path::of(["services"]).join(&name);
            if other.password != service.password || other.password_file != service.password_file {
                let message = format!(
                    "the services `{}` and `{name}` use one account on one server, but different passwords",
                    other.name
                );
                checker.problem(&path, message);
            }
            if other.server_id.is_some() && service.server_id.is_some() && other.server_id != service.server_id
            {
                let message = format!(
                    "the services `{}` and `{name}` are on one server, but have different `server_id`s",
                    other.name
                );
                checker.problem(&path.join("server_id"), message);
            }
            for (setting, differs) in [
                ("tls", other.tls != service.tls),
                ("replicas", other.replicas != service.replicas),
                ("replica_lag", other.replica_lag != service.replica_lag),
            ] {
                if differs {
                    let message = format!(
                        "the services `{}` and `{name}` use one account on one server, but differ in `{setting}`",
                        other.name
                    );
                    checker.problem(&path.join(setting), message);
                }
            }
            break;
        }
    }
    let all: Vec<ServiceSettings> = services.values().cloned().collect();
    for service in services.values_mut() {
        let fellows = || all.iter().filter(|other| other.source == service.source);
        service.limits = fellows().fold(service.limits, |least, other| least.smallest(&other.limits));
        service.server_id = fellows().find_map(|s| s.server_id);
    }
}

fn service(checker: &mut Checker<'_>, path: &Path, name: &str, options: &ServiceOptions) -> ServiceSettings {
    let account = account(checker, path, options);
    let named = |key: &str, names: &[String]| {
        let named = names.iter().enumerate().map(|(index, name)| Named {
            name: name.clone(),
            place: checker.place(&path.join(key).join(index)),
        });
        named.collect::<Vec<_>>()
    };
    let (include, exclude) = (named("include", &options.include), named("exclude", &options.exclude));
    let tables = options.tables.iter();
    let (replicas, replica_lag) = replicas::check(checker, path, options, &account.host, account.port);
    ServiceSettings {
        name: ServiceName::from(name),
        source: source_id(&account.host, account.port, &account.user),
        mode: options.mode,
        include,
        exclude,
        booleans: options.booleans,
        limits: limits::check(checker, &path.join("limits"), &options.limits),
        tls: options.tls.as_ref().map(|options| tls::check(checker, &path.join("tls"), options)),
        server_id: options.server_id,
        replicas,
        replica_lag,
        tables: tables
            .map(|(name, table)| self::table(checker, &path.join("tables").join(name), name, table))
            .collect(),
        place: checker.place(path),
        host: account.host,
        port: account.port,
        database: account.database,
        user: account.user,
        password: account.password,
        password_file: options.password_file.as_deref().map(|name| checker.file(name)),
    }
}

fn table(checker: &Checker<'_>, path: &Path, name: &str, options: &TableOptions) -> TableSettings {
    let booleans = options.booleans.iter().map(|(column, flag)| {
        let place = checker.place(&path.join("booleans").join(column));
        (Named { name: column.clone(), place }, *flag)
    });
    TableSettings {
        name: name.to_owned(),
        mode: options.mode,
        booleans: booleans.collect(),
        place: checker.place(path),
    }
}

/// How to reach a service's database.
struct Account {
    host: String,
    port: u16,
    database: String,
    user: String,
    password: Secret,
}

fn account(checker: &mut Checker<'_>, path: &Path, options: &ServiceOptions) -> Account {
    let from_file = options.password_file.as_deref();
    let from_file = from_file.and_then(|name| checker.secret_file(&path.join("password_file"), name));
    if options.password.is_some() && options.password_file.is_some() {
        let message = format!("`{}` has both `password` and `password_file`: expected one", path.name());
        checker.problem(&path.join("password_file"), message);
    }
    let (mut account, url_password) = match &options.url {
        Some(url) => from_url(checker, path, options, url),
        None => (from_parts(checker, path, options), None),
    };
    if url_password.is_some() && (options.password.is_some() || options.password_file.is_some()) {
        let message = format!("`{}` has a password in `url` and another one: expected one", path.name());
        checker.problem(&path.join("url"), message);
    }
    let password = options.password.as_deref().map(Secret::new);
    account.password = from_file.or(password).or(url_password).unwrap_or_default();
    account
}

fn from_parts(checker: &mut Checker<'_>, path: &Path, options: &ServiceOptions) -> Account {
    let needed = [("host", &options.host), ("database", &options.database), ("user", &options.user)];
    let missing: Vec<_> = needed
        .iter()
        .filter(|(_, value)| value.as_deref().is_none_or(str::is_empty))
        .map(|(key, _)| *key)
        .collect();
    if missing.len() == needed.len() {
        let problem =
            Problem::new(checker.place(path), format!("`{}` does not say where its database is", path.name()));
        let hint = "expected `url = \"mysql://user:password@host:port/database\"`, or `host`, `database`, `user` and \
                    `password_file`";
        checker.add(problem.with_hint(hint));
    } else if !missing.is_empty() {
        let missing = missing.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(" and ");
        checker.problem(path, format!("`{}` lacks {missing}", path.name()));
    }
    Account {
        host: options.host.clone().unwrap_or_default(),
        port: options.port.unwrap_or(DEFAULT_PORT),
        database: options.database.clone().unwrap_or_default(),
        user: options.user.clone().unwrap_or_default(),
        password: Secret::default(),
    }
}

/// The account of a URL, and its password. The URL itself is never shown: it holds the password.
fn from_url(
    checker: &mut Checker<'_>,
    path: &Path,
    options: &ServiceOptions,
    text: &str,
) -> (Account, Option<Secret>) {
    let parts = [
        ("host", options.host.is_some()),
        ("port", options.port.is_some()),
        ("database", options.database.is_some()),
        ("user", options.user.is_some()),
    ];
    for (key, _) in parts.iter().filter(|(_, given)| *given) {
        let message = format!("`{}` has both `url` and `{key}`: expected one", path.name());
        checker.problem(&path.join(key), message);
    }
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut problem = |found: String| {
        let message = format!("`{}.url`: {found}", path.name());
        let hint = "expected mysql://user:password@host:port/database, special characters percent-encoded";
        checker.add(Problem::new(checker.place(&path.join("url")), message).with_hint(hint));
    };
    let empty = || Account {
        host: String::new(),
        port: DEFAULT_PORT,
        database: String::new(),
        user: String::new(),
        password: Secret::default(),
    };
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => {
            problem(format!("not a URL: {error}"));
            return (empty(), None);
        }
    };
    if !matches!(url.scheme(), "mysql" | "mariadb") {
        problem(format!("the scheme is {:?}", url.scheme()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        problem("it has parameters, which are not read".to_owned());
    }
    let account = Account {
        host: decode(url.host_str().unwrap_or_default()).trim_matches(['[', ']']).to_owned(),
        port: url.port().unwrap_or(DEFAULT_PORT),
        database: decode(url.path().trim_start_matches('/')),
        user: decode(url.username()),
        password: Secret::default(),
    };
    let needed = [("host", &account.host), ("database", &account.database), ("user", &account.user)];
    for (part, _) in needed.iter().filter(|(_, value)| value.is_empty()) {
        problem(format!("it has no {part}"));
    }
    (account, url.password().map(|password| Secret::new(decode(password))))
}
