//! `crossweave check`: the configuration held against the real servers.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::process::ExitCode;
use std::sync::Arc;

use crossweave_contract::{Finding, FindingLevel, Source, TableId, TableKind};
use futures::future::join_all;

use super::args::CheckArguments;
use super::failure::{Failure, print};
use crate::catalog::{Discovery, Service, TableMode};
use crate::config::{ChangeLogForm, Config, Mode, Problem, ServiceSettings};
use crate::server::parts;

/// One thing that was looked at, with what was found of it.
struct Section {
    title: String,
    findings: Vec<Finding>,
}

/// Looks at everything and prints what it found.
pub(super) async fn run(arguments: &CheckArguments) -> Result<ExitCode, Failure> {
    let config = Arc::new(Config::load(&arguments.config.config)?);
    let sources = parts::sources(&config);
    let services = config.services.values().map(|settings| {
        let source = sources.get(&settings.source).cloned();
        async move {
            Section {
                title: format!("{} ({}:{}/{})", settings.name, settings.host, settings.port, settings.database),
                findings: match source {
                    Some(source) => of_service(settings, &*source).await,
                    None => Vec::new(),
                },
            }
        }
    });
    let (mut sections, discovered) =
        tokio::join!(join_all(services), Discovery::start(Arc::clone(&config), sources.clone()));
    sections.extend(of_change_log(&config).await);
    let config_section = Section {
        title: arguments.config.config.display().to_string(),
        findings: match &discovered {
            Ok(discovery) => of_catalog(discovery, &sections),
            Err(error) => of_problems(&error.problems),
        },
    };
    sections.insert(0, config_section);
    print(&report(&sections))?;
    let mended = sections.iter().all(|section| section.findings.iter().all(|f| f.level != FindingLevel::Error));
    Ok(if mended { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn finding(level: FindingLevel, subject: impl Into<String>, found: impl Into<String>) -> Finding {
    Finding { level, subject: subject.into(), found: found.into(), needed: String::new(), fix: None }
}

/// What in the configuration does not fit the databases.
fn of_problems(problems: &[Problem]) -> Vec<Finding> {
    let problems = problems.iter().map(|problem| Finding {
        fix: problem.hint.clone(),
        ..finding(FindingLevel::Error, problem.place.to_string(), &problem.message)
    });
    problems.collect()
}

/// Tables and columns that are not served as one may expect, where `others` do not say so with what mends it.
fn of_catalog(discovery: &Discovery, others: &[Section]) -> Vec<Finding> {
    let catalog = discovery.catalog().current();
    let down = catalog.services.values().filter(|service| service.unreachable.is_some());
    let down: Vec<&str> = down.map(|service| service.name.as_str()).collect();
    let fits = match down.as_slice() {
        [] => "it fits the databases".to_owned(),
        down => format!("it fits the databases that were reached, without those of {}", down.join(", ")),
    };
    let told = |subject: &str| {
        let findings = others.iter().flat_map(|section| &section.findings);
        findings.into_iter().any(|f| f.level != FindingLevel::Good && f.subject == subject)
    };
    let mut findings = of_problems(&catalog.left_out);
    if findings.is_empty() {
        findings.push(finding(FindingLevel::Good, "configuration", fits));
    }
    let wrong = others.iter().flat_map(|section| &section.findings).any(|f| f.level == FindingLevel::Error);
    let empty = |service: &&Service| !wrong && service.tables.is_empty() && service.unreachable.is_none();
    findings.extend(catalog.services.values().filter(empty).map(|service| Finding {
        needed: "a table to serve".to_owned(),
        fix: Some("look at include and exclude in the configuration".to_owned()),
        ..finding(
            FindingLevel::Warning,
            format!("service {}", service.name),
            format!("nothing of database {} is served", service.database),
        )
    }));
    for (_, table) in catalog.tables().filter(|(_, table)| !told(&format!("table {}", table.def.id))) {
        if let TableMode::LiveOnly(reason) = &table.mode {
            let subject = format!("table {} is live only", table.def.id);
            findings.push(finding(FindingLevel::Warning, subject, reason));
        }
        for (column, reason) in &table.hidden {
            let subject = format!("column {}.{column} is hidden", table.def.id);
            findings.push(finding(FindingLevel::Warning, subject, reason));
        }
    }
    for (collation, reason) in &catalog.missing_weights {
        let subject = format!("text under {collation} cannot be compared");
        findings.push(finding(FindingLevel::Warning, subject, reason));
    }
    findings
}

async fn of_service(settings: &ServiceSettings, source: &dyn Source) -> Vec<Finding> {
    let booleans = settings.boolean_columns();
    let tables = source.tables(&settings.name, &settings.database, &booleans).await;
    let cached: Vec<TableId> = match &tables {
        Ok(found) => found
            .tables
            .iter()
            .filter(|def| def.kind == TableKind::Base && settings.includes(&def.id.table))
            .filter(|def| settings.mode_of(&def.id.table) == Mode::Cached)
            .map(|def| def.id.clone())
            .collect(),
        Err(_) => Vec::new(),
    };
    // What the config wants counts: which tables there are may not be known yet.
    let wanted =
        settings.mode == Mode::Cached || settings.tables.iter().any(|table| table.mode == Some(Mode::Cached));
    let mut findings = source.check(&settings.database, wanted.then_some(&cached)).await;
    if let (Err(error), true) = (&tables, findings.iter().all(|f| f.level != FindingLevel::Error)) {
        findings.push(Finding {
            needed: "its tables can be read".to_owned(),
            fix: error.fix.clone(),
            ..finding(FindingLevel::Error, format!("database {}", settings.database), &error.message)
        });
    }
    match source.sample_booleans(&settings.database).await {
        Ok(samples) => findings.extend(of_samples(settings, samples)),
        // That it cannot be read was said.
        Err(_) if tables.is_err() => {}
        Err(error) => findings.push(finding(FindingLevel::Warning, "TINYINT(1) columns", error.to_string())),
    }
    findings
}

/// TINYINT(1) columns with values other than 0 and 1: wrong where they are declared boolean.
fn of_samples(settings: &ServiceSettings, samples: Vec<(String, String, i64)>) -> Vec<Finding> {
    let declared = settings.boolean_columns();
    let mut tables: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
    for (table, column, value) in samples.into_iter().filter(|(table, _, _)| settings.includes(table)) {
        // Declared a number by name: then it is meant to be one.
        let key = (table.to_lowercase(), column.to_lowercase());
        if declared.columns.get(&key) != Some(&false) {
            tables.entry(table).or_default().push((column, value));
        }
    }
    let findings = tables.into_iter().map(|(table, columns)| {
        let is_boolean = |column: &str| {
            let key = (table.to_lowercase(), column.to_lowercase());
            declared.columns.get(&key).copied().unwrap_or(declared.by_default)
        };
        let wrong = columns.iter().any(|(column, _)| is_boolean(column));
        let found = columns.iter().map(|(column, value)| format!("{column} holds {value}"));
        let members = columns.iter().map(|(column, _)| format!("{} = false", toml_key(column)));
        let service = toml_key(settings.name.as_str());
        let name = toml_key(&table);
        Finding {
            level: if wrong { FindingLevel::Error } else { FindingLevel::Warning },
            subject: format!("TINYINT(1) in {}.{table}", settings.name),
            found: found.collect::<Vec<_>>().join(", "),
            needed: "0 and 1 only, to be a boolean".to_owned(),
            fix: Some(format!(
                "{}:\n[services.{service}.tables.{name}]\nbooleans = {{ {} }}",
                if wrong {
                    "put into the configuration"
                } else {
                    "they are numbers; to say so whatever `booleans` says"
                },
                members.collect::<Vec<_>>().join(", ")
            )),
        }
    });
    findings.collect()
}

/// `name` as a key in TOML.
fn toml_key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { format!("{name:?}") }
}

async fn of_change_log(config: &Config) -> Option<Section> {
    let ChangeLogForm::Kafka { brokers, .. } = &config.change_log.form else { return None };
    let outcome = match parts::kafka(config)? {
        Ok(log) => log.check().await,
        Err(error) => Err(error),
    };
    let subject = "Kafka";
    let finding = match outcome {
        Ok(()) => finding(FindingLevel::Good, subject, "a broker answers"),
        Err(error) => Finding {
            needed: "a broker that answers".to_owned(),
            fix: error.fix,
            ..finding(FindingLevel::Error, subject, error.message)
        },
    };
    Some(Section { title: format!("change log ({})", brokers.join(", ")), findings: vec![finding] })
}

/// Everything that was found: what is good in a line each, the rest with what is needed and what mends it.
fn report(sections: &[Section]) -> String {
    let mut text = String::new();
    let (mut errors, mut warnings) = (0, 0);
    for section in sections {
        let _ = writeln!(text, "{}", section.title);
        for finding in &section.findings {
            let mark = match finding.level {
                FindingLevel::Good => "ok     ",
                FindingLevel::Warning => "warning",
                FindingLevel::Error => "ERROR  ",
            };
            if finding.level == FindingLevel::Good {
                let _ = writeln!(text, "  {mark}  {}: {}", finding.subject, finding.found);
                continue;
            }
            *(if finding.level == FindingLevel::Error { &mut errors } else { &mut warnings }) += 1;
            let _ = writeln!(text, "  {mark}  {}", finding.subject);
            let fix = finding.fix.as_deref().unwrap_or_default();
            for (label, value) in [("found: ", &*finding.found), ("needed:", &finding.needed), ("fix:   ", fix)]
            {
                if !value.is_empty() {
                    let _ =
                        writeln!(text, "           {label} {}", value.replace('\n', "\n                   "));
                }
            }
        }
    }
    let count = |number: usize, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let _ = match (errors, warnings) {
        (0, 0) => writeln!(text, "All is as needed."),
        _ => writeln!(text, "{}, {}.", count(errors, "error"), count(warnings, "warning")),
    };
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn prints_what_was_found_what_is_needed_and_what_mends_it() {
        let wrong = Finding {
            needed: "ROW".to_owned(),
            fix: Some("SET GLOBAL binlog_format = 'ROW'".to_owned()),
            ..finding(FindingLevel::Error, "binlog_format", "STATEMENT")
        };
        let odd = finding(FindingLevel::Warning, "table users.log is live only", "it has no primary key");
        let findings = vec![finding(FindingLevel::Good, "version", "10.11.8"), wrong, odd];
        let text = report(&[Section { title: "users (h:3306/users)".to_owned(), findings }]);
        assert_eq!(
            text,
            "\
users (h:3306/users)
  ok       version: 10.11.8
  ERROR    binlog_format
           found:  STATEMENT
           needed: ROW
           fix:    SET GLOBAL binlog_format = 'ROW'
  warning  table users.log is live only
           found:  it has no primary key
1 error, 1 warning.
"
        );
        let good = Section { title: "x".to_owned(), findings: vec![] };
        assert!(report(&[good]).ends_with("All is as needed.\n"));
    }

    #[test]
    fn the_override_of_columns_that_are_not_boolean_can_be_pasted() {
        let text = "[services.a]\nurl = \"mysql://u@h/d\"\nbooleans = true\n[services.a.tables.t]\nbooleans = { n = false }\n";
        let config = Config::parse(text, Path::new("c.toml"), &|_| None).unwrap();
        let sample = |column: &str| ("t".to_owned(), column.to_owned(), 7);
        let findings =
            |columns: &[&str]| of_samples(&config.services[0], columns.iter().map(|c| sample(c)).collect());
        let wrong = &findings(&["level", "odd name"])[0];
        assert_eq!(
            (wrong.level, wrong.found.as_str()),
            (FindingLevel::Error, "level holds 7, odd name holds 7")
        );
        let fix = wrong.fix.as_deref().unwrap();
        assert!(
            fix.ends_with("[services.a.tables.t]\nbooleans = { level = false, \"odd name\" = false }"),
            "{fix}"
        );
        assert_eq!(findings(&["n"]), [], "declared a number");
    }
}
