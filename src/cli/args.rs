//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::demo::DemoOptions;

/// SQL and GraphQL joins across services that own a MariaDB each.
#[derive(Debug, Parser)]
#[command(
    name = "crossweave",
    version,
    after_help = "\
Begin here:
  crossweave demo                       three databases, data and questions, to see it work
  crossweave check                      is everything as it has to be? says what mends what is not
  crossweave serve                      the server
  crossweave sql 'SELECT 1'             ask it
  crossweave status                     what it serves, and how old that is
  crossweave reload orders.orders       reads a cached table anew

Exit status: 0 all is well, 1 something failed or was found wrong, 2 the command line is wrong."
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Serve(ServeArguments),
    Check(CheckArguments),
    Sql(SqlArguments),
    Status(StatusArguments),
    Reload(ReloadArguments),
    Demo(DemoArguments),
}

const DEFAULT_CONFIG: &str = "crossweave.toml";

#[derive(Debug, Args)]
pub(super) struct ConfigArgument {
    /// The configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_CONFIG)]
    pub(super) config: PathBuf,
}

impl ConfigArgument {
    /// Whether nothing else was named.
    pub(super) fn is_default(&self) -> bool {
        self.config.as_os_str() == DEFAULT_CONFIG
    }
}

/// Start the server
///
/// Reads the configuration, looks at the databases, listens, and loads the tables that are cached. Ends on
/// SIGTERM or Ctrl-C: running queries may finish, caches are stored. A second Ctrl-C does not wait for load
/// balancers.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  crossweave serve
  crossweave serve --config /etc/crossweave.toml
  USERS_PASSWORD=… crossweave serve        for a url with ${USERS_PASSWORD}

A small configuration:
  [services.users]
  url = \"mysql://crossweave:${USERS_PASSWORD}@10.0.0.11/users\"
  [services.orders]
  url = \"mysql://crossweave:${ORDERS_PASSWORD}@10.0.0.12/orders\"
  mode = \"cached\"")]
pub(super) struct ServeArguments {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
}

/// Look whether the configuration and the databases are as they have to be
///
/// Holds the configuration against the real servers: can they be reached, has the account its grants, is the
/// binlog written as caches need it, have cached tables keys, do TINYINT(1) columns hold 0 and 1 only. For
/// everything that is not as needed it prints what was found, what is needed and what mends it. The exit status
/// is 1 if anything has to be mended.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  crossweave check
  crossweave check --config staging.toml")]
pub(super) struct CheckArguments {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
}

/// Ask a running server in SQL
///
/// Sends the statement to the server over HTTP and prints the answer. Without a statement it reads statements,
/// separated by `;`, from standard input; on a terminal it prompts for them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  crossweave sql 'SELECT count(*) FROM orders.orders'
  crossweave sql --route live 'SELECT * FROM users.users LIMIT 5'
  crossweave sql --route users=live,orders=cached --output csv < report.sql > report.csv
  crossweave sql 'EXPLAIN SELECT * FROM users.users WHERE id = 7'
  crossweave sql                           a prompt; \\q leaves it

Services are schemas: service.table. Names are found whatever their case; put double quotes around a name
with other than letters, digits and _.")]
pub(super) struct SqlArguments {
    /// The statement; without one, standard input is read
    pub(super) statement: Option<String>,
    #[command(flatten)]
    pub(super) server: ServerArguments,
    /// Where rows come from: live, cached or auto, or by service, as users=live,orders=cached
    #[arg(long, value_name = "ROUTE")]
    pub(super) route: Option<String>,
    /// How answers are printed
    #[arg(long, value_name = "FORM", default_value = "table")]
    pub(super) output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people
    Table,
    /// One object: columns and rows
    Json,
    /// With a header; NULL is nothing, the empty text is ""
    Csv,
}

/// Show what a running server serves, and how old that is
///
/// Lists services with their state and position, and tables with where their rows come from, their number of
/// rows and their age. The exit status is 1 while the server is not ready.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  crossweave status
  crossweave status --url http://10.0.0.5:8080 --token-file token
  crossweave status --json | jq .services")]
pub(super) struct StatusArguments {
    #[command(flatten)]
    pub(super) server: ServerArguments,
    /// Print JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// Have cached tables loaded anew by a running server
///
/// Their last rows are served until the load has ended, which it waits for. A table that was loaded several times of late is
/// not read again at once, so that its database is spared.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  crossweave reload orders.orders
  crossweave reload orders.orders orders.lines
  crossweave reload --no-wait orders.orders   crossweave status says when it is ready")]
pub(super) struct ReloadArguments {
    /// The tables, each as service.table
    #[arg(required = true, value_name = "TABLE")]
    pub(super) tables: Vec<String>,
    #[command(flatten)]
    pub(super) server: ServerArguments,
    /// Return once the server knows
    #[arg(long)]
    pub(super) no_wait: bool,
}

/// Which server, and how to log in.
#[derive(Debug, Args)]
pub(super) struct ServerArguments {
    #[command(flatten)]
    pub(super) config: ConfigArgument,
    /// The server's address, as http://127.0.0.1:8080; else `listen.http` of the configuration says it
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// File with the server's token; else `listen.token_file` of the configuration says it
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
}

/// See it work: three databases, data and questions
///
/// Starts three MariaDB servers on free ports of this machine, fills them, starts a server over them, asks
/// questions that join across all three and prints the answers with their times. Then it goes on changing the
/// data until Ctrl-C. Nothing is left running; what stays is an empty server's data in .parts, from which the next
/// start is quicker.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  crossweave demo
  crossweave demo --once                   ends after the questions
  crossweave demo --once --log kafka       with a real Kafka broker between the databases and the caches

MariaDB has to be installed, or fetched with Kafka by `tools/parts.sh`; `make demo` does that.")]
pub(super) struct DemoArguments {
    #[command(flatten)]
    pub(super) options: DemoOptions,
}
