//! Opening a view at an exact position.
//!
//! `START TRANSACTION WITH CONSISTENT SNAPSHOT` fixes a point between two commits, and the status variables
//! `binlog_snapshot_*` tell its place in the binlog; `BINLOG_GTID_POS` turns that into GTIDs. No lock is taken. That is of
//! a replica as true as of the primary where its binlog has what it applies; where not, see [`Told`].

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crossweave_contract::{ConnectorError, Consistency, ErrorKind, Position, Result, RowBudget, Turn};

use super::View;
use super::bounds::Bounds;
use super::buffer::Budget;
use super::giving_way::Watch;
use super::joining::Shared;
use super::lanes::Lanes;
use super::snapshot::Snapshot;
use super::task::Task;
use mysql_async::Row;

use crate::connection::{Session, describe};
use crate::replicas::{Server, Stand, Told, position_by_table};

/// How often in turn a place has to be told to be believed.
const SURE: usize = 3;

/// After so many it is not asked for again.
const MOST_TOLD: usize = 30;

/// How long the others are waited for that ask for theirs.
const PLACE_TURN: Duration = Duration::from_millis(200);

/// The last place in the binlog whose position was asked for: the server reads a whole file to answer, and on an
/// idle server the answer stays the same. A binlog that was reset comes to the same places with other numbers, so
/// it counts only while it is where the server says that it is.
#[derive(Debug, Default)]
pub(crate) struct LastPlace(Mutex<Option<(Place, Position)>>);

impl LastPlace {
    fn position(&self, place: &Place) -> Option<Position> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(last, _)| last == place).map(|(_, position)| position.clone())
    }

    fn keep(&self, place: &Place, position: &Position) {
        let last = Some((place.clone(), position.clone()));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = last;
    }
}

/// A transaction with a consistent snapshot, in which nothing was read yet.
pub(crate) struct Begun {
    pub(super) server: Server,
    pub(super) session: Session,
    pub(super) position: Option<Position>,
    /// Where it is in the binlog, if that tells the position.
    pub(super) place: Option<Place>,
    stand: Option<Stand>,
    /// How long it took, on a connection that was there.
    took: Duration,
}

/// Makes a view of what has `begun` and starts its task.
pub(crate) fn open(begun: Begun, consistency: Consistency, bounds: Bounds, budget: RowBudget) -> View {
    let server = begun.server.clone();
    server.opened();
    let (pool, read) = (server.pool().clone(), server.read(begun.stand.as_ref().map(|stand| stand.age)));
    let took = begun.took;
    let (session, snapshot) = Snapshot::of(begun, consistency);
    let shared = Shared::new(bounds, Watch::start(pool), snapshot.again(), took);
    // Nobody has ended it yet.
    if let Some(lane) = shared.queue.enter(true) {
        Task::first(session, snapshot, shared.clone()).start(lane);
    }
    let lanes = Lanes::new(shared, Budget::new(budget));
    View { lanes, server, read }
}

/// Begins a view on `server`, whose statements may take `limit`. `turn` is given back once it has its connection.
pub(crate) async fn begin(server: &Server, limit: Duration, turn: Option<Turn>) -> Result<Begun> {
    let session = server.pool().acquire().await?;
    drop(turn);
    match begin_on(session, server, limit).await {
        // One that has lain idle may have died meanwhile. Nothing was shown to anybody yet.
        Err(error) if error.kind == ErrorKind::Unreachable => {
            begin_on(server.pool().acquire().await?, server, limit).await
        }
        outcome => outcome,
    }
}

async fn begin_on(mut session: Session, server: &Server, limit: Duration) -> Result<Begun> {
    let since = Instant::now();
    let stand = server.stand(&mut session).await?;
    session.unsettle();
    let mut begun =
        Begun { server: server.clone(), session, position: None, place: None, stand, took: Duration::ZERO };
    let opening = [settings(limit), START.to_owned()];
    match begun.stand.as_ref().map_or(Told::ByBinlog, |stand| stand.told) {
        Told::ByBinlog => {
            // Without a binlog, what the view shows has no position.
            let (place, ends) = place_after(&mut begun.session, &opening, server.asked_of_its_own()).await?;
            server.has_none_of_its_own(ends.own.as_ref())?;
            if let Some(place) = place {
                let end = ends.position;
                let known = server.last_place().position(&place).filter(|known| end.as_ref() == Some(known));
                let position = match known {
                    Some(position) => position,
                    None => asked_position(&mut begun.session, &place, server.last_place()).await?,
                };
                begun.position = Some(begun.since(position));
                begun.place = Some(place);
            }
        }
        told => {
            let statements = [&[&*opening[0], &*opening[1]], server.asked_of_its_own()].concat();
            let opened = begun.session.rows_of_each("opening a view", &statements).await?;
            let endpoint = begun.session.pool().endpoint();
            let opened: std::result::Result<Vec<_>, _> = opened.into_iter().collect();
            let told_last = opened.map_err(|error| describe(endpoint, "opening a view", error))?.pop();
            server.has_none_of_its_own(told_last.as_ref().and_then(|rows| rows.first()))?;
            if told == Told::ByTable {
                begun.position = Some(position_by_table(&mut begun.session).await?);
            }
        }
    }
    begun.took = since.elapsed();
    Ok(begun)
}

impl Begun {
    /// What a replica had applied before: its binlog may begin after it.
    pub(super) fn before(&self) -> Position {
        self.stand.as_ref().map(|stand| stand.applied.clone()).unwrap_or_default()
    }

    fn since(&self, mut logged: Position) -> Position {
        logged.merge(&self.before());
        logged
    }
}

/// Settles what a view's connection is to be like.
pub(super) async fn make_ready(session: &mut Session, limit: Duration) -> Result<()> {
    session.unsettle();
    session.run("opening a view", &settings(limit)).await
}

/// As [`Server::has_none_of_its_own`], of the snapshot that `session` has open on `server`.
pub(super) async fn check_own(session: &mut Session, server: &Server) -> Result<()> {
    let asked = server.asked_of_its_own();
    if asked.is_empty() {
        return Ok(());
    }
    let told = session.rows_of_each("looking at the replica", asked).await?.pop();
    server.has_none_of_its_own(told.and_then(|rows| rows.ok()?.into_iter().next()).as_ref())
}

const START: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// Begins a transaction with a consistent snapshot, in the place of one that there is.
pub(super) async fn start(session: &mut Session) -> Result<()> {
    session.run("opening a view", START).await
}

/// Ends the transaction, and takes the settings of a view back from a connection that goes on to other work.
pub(super) async fn end(session: &mut Session) {
    let ends =
        ["ROLLBACK", "SET SESSION max_statement_time = 0, wait_timeout = 120, idle_transaction_timeout = 0"];
    if session.run_all("ending a view", &ends).await.is_ok() {
        session.settle();
    }
}

/// The server ends by itself what outlives `limit`, should this process not be able to: statements, results that
/// nobody takes, and transactions without statements.
fn settings(limit: Duration) -> String {
    let seconds = limit.as_secs().max(1) + 5;
    format!(
        "SET SESSION max_statement_time = {:.6}, net_write_timeout = {seconds}, wait_timeout = {seconds}, \
         idle_transaction_timeout = {seconds}",
        limit.as_secs_f64().clamp(0.001, 31_536_000.0)
    )
}

/// A place in the binlog: a file, and an offset in it.
pub(super) type Place = (String, u64);

/// Where in the binlog what the transaction of `session` shows is; `None` where the server has none.
pub(super) async fn place(session: &mut Session) -> Result<Option<Place>> {
    place_after(session, &[], &[]).await.map(|(place, _)| place)
}

/// What the server's binlog had once a transaction was begun.
struct Ends {
    position: Option<Position>,
    /// What it says of what was made on it, if that was [asked](Server::asked_of_its_own).
    own: Option<Row>,
}

/// The [`place`] once the statements `before` were run, which are sent along, and what the server's binlog had after that.
///
/// The server writes a place to where it writes that of any other connection that asks, and reads it from there: who asks at
/// the same time, also a monitor by SHOW STATUS, may have it tell the other's. So it is believed once it was told several
/// times in turn, and we ask for one connection at a time.
async fn place_after(session: &mut Session, before: &[String], own: &[&str]) -> Result<(Option<Place>, Ends)> {
    let pool = session.pool().clone();
    // Who waits too long asks all the same.
    let _turn = tokio::time::timeout(PLACE_TURN, pool.place_turn().lock()).await;
    let (mut told, mut times, mut before) = (None, 0, before);
    for _ in 0..MOST_TOLD / SURE {
        let (places, ends) = told_places(session, before, own).await?;
        before = &[];
        for again in places {
            times = if again == told { times + 1 } else { 1 };
            told = again;
            if told.is_none() || times == SURE {
                return Ok((told, ends));
            }
        }
    }
    let message = format!("{}: the server tells another place of one view each time", pool.endpoint());
    Err(ConnectorError::new(ErrorKind::Unreachable, message)
        .with_fix("Have others ask for SHOW STATUS less often"))
}

/// The places that the server tells, one after the other, behind the statements `before`, and what its binlog has then.
async fn told_places(
    session: &mut Session,
    before: &[String],
    own: &[&str],
) -> Result<(Vec<Option<Place>>, Ends)> {
    let doing = "reading the view's position";
    let mut statements: Vec<&str> = before.iter().map(String::as_str).collect();
    statements.extend(["SHOW STATUS LIKE 'binlog_snapshot_%'"; SURE]);
    statements.push(END);
    statements.extend(own);
    let mut told = session.rows_of_each(doing, &statements).await?.into_iter();
    let endpoint = session.pool().endpoint();
    for done in told.by_ref().take(before.len()) {
        done.map_err(|error| describe(endpoint, "opening a view", error))?;
    }
    let mut places = Vec::with_capacity(SURE);
    for status in told.by_ref().take(SURE) {
        let status = status.map_err(|error| describe(endpoint, doing, error))?;
        places.push(told_place(session, &status)?);
    }
    let mut first = || told.next().and_then(|rows| rows.ok()?.into_iter().next());
    let position = first().and_then(|row| row.get_opt::<String, usize>(0)?.ok()?.parse().ok());
    Ok((places, Ends { position, own: first() }))
}

fn told_place(session: &Session, status: &[Row]) -> Result<Option<Place>> {
    let text = |row: &Row, at| row.get_opt::<String, usize>(at).and_then(|text| text.ok());
    let value = |name: &str| {
        let found = status.iter().find(|row| text(row, 0).is_some_and(|key| key.eq_ignore_ascii_case(name)));
        found.and_then(|row| text(row, 1)).filter(|value| !value.is_empty())
    };
    let (Some(file), Some(offset)) = (value("binlog_snapshot_file"), value("binlog_snapshot_position")) else {
        return Ok(None);
    };
    let offset = offset.parse().map_err(|_| {
        let endpoint = session.pool().endpoint();
        let message = format!("{endpoint}: the view's place in the binlog is {file} {offset}");
        ConnectorError::new(ErrorKind::Protocol, message)
    })?;
    Ok(Some((file, offset)))
}

/// The position of `place`, where the transaction of `session` is.
pub(super) async fn position_at(session: &mut Session, place: &Place, last: &LastPlace) -> Result<Position> {
    if let Some(position) = last.position(place)
        && position == end_of_binlog(session).await?
    {
        return Ok(position);
    }
    asked_position(session, place, last).await
}

async fn asked_position(session: &mut Session, place: &Place, last: &LastPlace) -> Result<Position> {
    let doing = "reading the view's position";
    let (file, offset) = place;
    let gtids: Vec<Option<String>> =
        session.rows(doing, "SELECT BINLOG_GTID_POS(?, ?)", (file, offset)).await?;
    let gtids = gtids.into_iter().next().flatten().ok_or_else(|| {
        let message = format!(
            "{}: the server does not tell the GTIDs of its binlog at {file} {offset}",
            session.pool().endpoint()
        );
        ConnectorError::new(ErrorKind::PositionGone, message)
            .with_fix("The file may just have been purged; try again")
    })?;
    let position: Position = gtids.parse().map_err(|error| {
        let message = format!("{}: {error}", session.pool().endpoint());
        ConnectorError::new(ErrorKind::Protocol, message)
    })?;
    last.keep(place, &position);
    Ok(position)
}

/// Tells where the server's binlog ends now.
const END: &str = "SELECT @@GLOBAL.gtid_binlog_pos";

async fn end_of_binlog(session: &mut Session) -> Result<Position> {
    let gtids: Vec<String> = session.rows("reading the server's position", END, ()).await?;
    gtids.into_iter().next().unwrap_or_default().parse().map_err(|error| {
        ConnectorError::new(ErrorKind::Protocol, format!("{}: {error}", session.pool().endpoint()))
    })
}
