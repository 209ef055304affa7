//! One answer (I3), for queries that nobody thought of.
//!
//! `data` has tables with hard values in three services, and `generate` makes typed queries over them from a seed.
//! `render` says each in Crossweave's words and, where something means the same there, in MariaDB's; `run` asks for it
//! on every route and under every setting of push-down, and in one MariaDB that has all tables. All have to give the
//! same rows (`answers`). What differs is made small (`shrink`) and printed as `regressions.sql` has it (`case`), which
//! is asked first, always.
//!
//! `PARITY_SEED` and `PARITY_QUERIES` choose; the query of number n has the seed `PARITY_SEED` + n, so that one query
//! is asked again by its own seed. `make parity` asks 20,000.

#![expect(clippy::print_stdout, reason = "a long run says how far it is, and what it asked")]

mod answers;
mod ast;
mod case;
mod data;
mod generate;
mod render;
mod rng;
mod run;
mod shrink;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use mysql_async::prelude::Queryable;

use self::case::Case;
use self::data::TABLES;
use self::run::{Asker, Verdict};
use crate::support::{self, MariaDb, MariaDbOptions, Server, ServiceDatabase, TestResult};

const REGRESSIONS: &str = include_str!("regressions.sql");

/// What `make test` asks.
const SEED: u64 = 20_240_229;
const QUERIES: u64 = 500;

/// How many ask at the same time.
const ASKERS: usize = 3;

/// After so many differences there is nothing new to learn.
const MOST_DIFFERENCES: usize = 40;

/// Of a hundred queries, so many may be refused in words.
const MOST_REFUSED: usize = 5;

/// The services, the MariaDB that has all tables, and Crossweave.
struct World {
    server: Server,
    oracle: ServiceDatabase,
    _far: MariaDb,
}

impl World {
    async fn create() -> TestResult<Self> {
        let far = MariaDb::start(support::sandbox(), MariaDbOptions::new(&support::unique("far"), 2)).await?;
        let services = [
            support::database("left").await?,
            support::database("right").await?,
            ServiceDatabase::create(&far, "far", "far").await?,
        ];
        let oracle = support::database("oracle").await?;
        for database in services.iter().chain([&oracle]) {
            let mut owner = database.connect().await?;
            let settings = "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = 'NO_BACKSLASH_ESCAPES'";
            owner.query_drop(settings).await?;
            for table in TABLES.iter().filter(|table| [table.service, "oracle"].contains(&&*database.service)) {
                let create =
                    if database.service == "oracle" { table.create_for_oracle() } else { table.create() };
                owner.query_drop(create).await?;
                if let Some(insert) = table.insert() {
                    owner.query_drop(insert).await?;
                }
                let updates =
                    if database.service == "oracle" { table.without_zero_dates() } else { Vec::new() };
                for update in updates {
                    owner.query_drop(update).await?;
                }
            }
            owner.disconnect().await?;
        }
        let config: String = services.iter().map(|service| service.config("cached")).collect();
        let passwords =
            services.iter().map(|service| (service.password_variable(), service.reader_password.clone()));
        let mut server = support::crossweave(&config, passwords.collect())?;
        let client = server.start().await?;
        for table in TABLES {
            let sql = format!("SELECT count(*) FROM {}.{}", table.service, table.name);
            let answer = client.sql(&support::Statement::new(sql).on("auto")).await?;
            let expected = if table.key.is_empty() { "live" } else { "cached" };
            assert_eq!(answer.reads[table.service].route, expected, "{}", table.name);
        }
        Ok(Self { server, oracle, _far: far })
    }

    async fn asker(&self) -> TestResult<Asker> {
        let oracle = self.oracle.connect().await?;
        Asker::connect(self.server.postgres_port(), oracle, &self.oracle.database).await
    }
}

/// What came of the queries.
#[derive(Default)]
struct Tally {
    agreed: u64,
    unjudged: BTreeMap<String, (u64, String)>,
    refused: BTreeMap<String, (u64, String)>,
    differences: Vec<String>,
}

impl Tally {
    fn count(&mut self, seed: u64, sql: &str, verdict: Verdict) {
        let example = || (0, format!("seed {seed}: {sql}"));
        match verdict {
            Verdict::Agreed => self.agreed += 1,
            Verdict::Unjudged(why) => self.unjudged.entry(masked(&why)).or_insert_with(example).0 += 1,
            Verdict::Refused(why) => self.refused.entry(masked(&why)).or_insert_with(example).0 += 1,
            Verdict::Different(what) => {
                let difference = format!("-- seed {seed}\n{what}");
                println!("DIFFERENT\n{difference}\n");
                self.differences.push(difference);
            }
        }
    }

    fn report(&self) {
        let sum = |of: &BTreeMap<String, (u64, String)>| of.values().map(|(count, _)| count).sum::<u64>();
        let (unjudged, refused, different) = (sum(&self.unjudged), sum(&self.refused), self.differences.len());
        println!(
            "{} agreed, {unjudged} agreed without MariaDB, {refused} refused, {different} differ",
            self.agreed
        );
        for (what, of) in [("without MariaDB", &self.unjudged), ("refused", &self.refused)] {
            let mut all: Vec<_> = of.iter().collect();
            all.sort_by_key(|(_, (count, _))| std::cmp::Reverse(*count));
            for (message, (count, example)) in all {
                println!("{what} {count}: {message}\n    {example}");
            }
        }
    }
}

/// A message without what differs between statements of one kind.
fn masked(message: &str) -> String {
    let mut masked = String::new();
    for c in message.chars().take(160) {
        let c = if c.is_ascii_digit() { '#' } else { c };
        if !(c == '#' && masked.ends_with('#')) {
            masked.push(c);
        }
    }
    masked
}

fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) if !text.is_empty() => {
            text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}"))
        }
        _ => default,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn generated_queries_have_one_answer() -> TestResult {
    let (seed, queries) = (number("PARITY_SEED", SEED), number("PARITY_QUERIES", QUERIES));
    println!("PARITY_SEED={seed} PARITY_QUERIES={queries}");
    let mut world = World::create().await?;
    let tally = Arc::new(Mutex::new(Tally::default()));

    let mut asker = world.asker().await?;
    for case in Case::read(REGRESSIONS) {
        match asker.case(&case).await? {
            Verdict::Agreed => {}
            Verdict::Unjudged(_) if case.theirs.is_none() => {}
            Verdict::Unjudged(why) | Verdict::Refused(why) => {
                tally.lock().unwrap().differences.push(format!("a regression: {why}\n{case}"));
            }
            Verdict::Different(what) => tally.lock().unwrap().differences.push(format!("a regression: {what}")),
        }
    }

    let begun = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for _ in 0..ASKERS {
        let (mut asker, next, tally) = (world.asker().await?, Arc::clone(&next), Arc::clone(&tally));
        tasks.push(tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let enough = tally.lock().unwrap().differences.len() >= MOST_DIFFERENCES;
                if number >= queries || enough {
                    return TestResult::Ok(());
                }
                let query = generate::query(seed + number);
                let verdict = asker.query(&query, seed + number).await?;
                tally.lock().unwrap().count(seed + number, &render::ours(&query), verdict);
                if number > 0 && number % 1_000 == 0 {
                    println!("{number} queries in {:.0?}", begun.elapsed());
                }
            }
        }));
    }
    for task in tasks {
        tokio::time::timeout(run::limit(queries), task).await???;
    }
    println!("{queries} queries in {:.1?}", begun.elapsed());
    world.server.terminate().await?;
    verdict(&tally.lock().unwrap(), queries, seed)
}

fn verdict(tally: &Tally, queries: u64, seed: u64) -> TestResult {
    tally.report();
    let refused: u64 = tally.refused.values().map(|(count, _)| count).sum();
    let differences = &tally.differences;
    assert!(
        differences.is_empty(),
        "PARITY_SEED={seed}: {} differ:\n{}",
        differences.len(),
        differences.join("\n\n")
    );
    assert!(
        refused * 100 <= queries.max(100) * MOST_REFUSED as u64,
        "{refused} of {queries} queries were refused: the generator has to ask what is answered"
    );
    Ok(())
}
