//! The writer: what the shop's applications do all day.
//!
//! Each step is what one request would do: one transaction in each service that it touches. Money moves between
//! users in one transaction, and what a deleted user leaves goes to another, so **the sum of all balances never
//! changes**; tests rest on that. Rows are chosen by looking for the next one that is there, so a writer can be
//! started at any time on any state of the data. A server that is down is waited for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Params, TxOpts, Value};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::database::ServiceDatabase;
use super::error::{DemoError, Result};
use super::random::Random;
use super::seed::{decimal, user_name};
use super::shop::Shop;

/// How the writer is set up.
#[derive(Clone, Copy, Debug)]
pub struct WriterOptions {
    /// Decides what is done; the same seed on the same data does the same.
    pub seed: u64,
    /// The time from one step to the next; zero for as fast as it goes.
    pub pause: Duration,
}

/// A writer at work. Dropping it stops it after the current step.
pub struct Writer {
    stop: watch::Sender<bool>,
    steps: Arc<AtomicU64>,
    task: JoinHandle<Result<()>>,
}

impl Writer {
    /// Starts writing in the background.
    #[must_use]
    pub fn start(shop: &Shop, options: WriterOptions) -> Self {
        let (stop, stopped) = watch::channel(false);
        let steps = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(work(shop.clone(), options, stopped, Arc::clone(&steps)));
        Self { stop, steps, task }
    }

    /// How many steps have been done.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.steps.load(Ordering::Relaxed)
    }

    /// Whether it has ended by itself, which it does only for an error; [`Writer::stop`] gives that.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Stops after the current step, and gives the number of steps done. All of them are committed.
    ///
    /// # Errors
    /// What MariaDB refused, if the writer has ended for that.
    pub async fn stop(self) -> Result<u64> {
        // Nobody listens any more if it has ended by itself; its result says why.
        let _ = self.stop.send(true);
        match self.task.await {
            Ok(result) => result.map(|()| self.steps.load(Ordering::Relaxed)),
            Err(e) => Err(DemoError::Answer { action: "the writer to end".to_owned(), detail: e.to_string() }),
        }
    }
}

/// How long to wait for a server that is down before trying again.
const AGAIN: Duration = Duration::from_millis(200);

async fn work(
    shop: Shop,
    options: WriterOptions,
    mut stopped: watch::Receiver<bool>,
    steps: Arc<AtomicU64>,
) -> Result<()> {
    let mut desk = Desk { random: Random::new(options.seed), shop, users: None, items: None, orders: None };
    let mut tick = (!options.pause.is_zero()).then(|| tokio::time::interval(options.pause));
    loop {
        match &mut tick {
            Some(tick) => {
                tokio::select! { biased; _ = stopped.wait_for(|stop| *stop) => return Ok(()), _ = tick.tick() => {} }
            }
            None if *stopped.borrow() || stopped.has_changed().is_err() => return Ok(()),
            None => {}
        }
        match desk.step().await {
            Ok(()) => {
                steps.fetch_add(1, Ordering::Relaxed);
            }
            Err(e) if is_passing(&e) => {
                desk.hang_up();
                tokio::select! { _ = stopped.wait_for(|stop| *stop) => return Ok(()), () = tokio::time::sleep(AGAIN) => {} }
            }
            Err(e) => return Err(DemoError::sql("take one of the writer's steps", e)),
        }
    }
}

/// Whether the step may work when tried again: the connection is gone, which happens when a server is stopped
/// or killed, or another writer was in the way.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::Io(_) | Error::Driver(_) => true,
        // ER_SERVER_SHUTDOWN, ER_NEW_ABORTING_CONNECTION, ER_LOCK_WAIT_TIMEOUT, ER_LOCK_DEADLOCK,
        // ER_CONNECTION_KILLED
        Error::Server(e) => [1053, 1184, 1205, 1213, 1927].contains(&e.code),
        _ => false,
    }
}

type Done = std::result::Result<(), Error>;

/// What the writer has at hand.
struct Desk {
    random: Random,
    shop: Shop,
    users: Option<Conn>,
    items: Option<Conn>,
    orders: Option<Conn>,
}

/// The connection to a service, made anew where there is none.
async fn open<'a>(
    slot: &'a mut Option<Conn>,
    database: &ServiceDatabase,
) -> std::result::Result<&'a mut Conn, Error> {
    let conn = match slot.take() {
        Some(conn) => conn,
        None => Conn::new(database.owner_opts()).await?,
    };
    Ok(slot.insert(conn))
}

impl Desk {
    fn hang_up(&mut self) {
        (self.users, self.items, self.orders) = (None, None, None);
    }

    async fn step(&mut self) -> Done {
        match self.random.below(100) {
            0..40 => self.place_order().await,
            40..60 => self.move_money().await,
            60..72 => self.advance_order().await,
            72..80 => self.rename_user().await,
            80..87 => self.rename_item().await,
            87..92 => self.delete("orders").await,
            92..94 => self.delete("users").await,
            94..95 => self.delete("items").await,
            95..98 => self.register_user().await,
            98..99 => self.register_item().await,
            _ => self.move_stock().await,
        }
    }

    /// The key of some row of a table: the first at or after a random number, else the first of all.
    async fn some(&mut self, table: &'static str) -> std::result::Result<Option<u64>, Error> {
        let conn = match table {
            "users" => open(&mut self.users, &self.shop.users).await?,
            "items" => open(&mut self.items, &self.shop.items).await?,
            _ => open(&mut self.orders, &self.shop.orders).await?,
        };
        let last: Option<Option<u64>> = conn.query_first(format!("SELECT MAX(id) FROM {table}")).await?;
        let Some(last) = last.flatten() else { return Ok(None) };
        let from = 1 + self.random.below(last);
        conn.exec_first(format!("SELECT id FROM {table} WHERE id >= ? ORDER BY id LIMIT 1"), (from,)).await
    }

    /// The order with its lines in one transaction, then the stock of the items in another.
    async fn place_order(&mut self) -> Done {
        let Some(user) = self.some("users").await? else { return Ok(()) };
        let mut lines = Vec::new();
        for number in 1..=self.random.between(1, 4) {
            let Some(item) = self.some("items").await? else { return Ok(()) };
            let conn = open(&mut self.items, &self.shop.items).await?;
            let price: Option<String> =
                conn.exec_first("SELECT price FROM items WHERE id = ?", (item,)).await?;
            let Some(price) = price else { continue };
            lines.push((number, item, self.random.between(1, 3), price));
        }
        let conn = open(&mut self.orders, &self.shop.orders).await?;
        let mut work = conn.start_transaction(TxOpts::default()).await?;
        work.exec_drop(
            "INSERT INTO orders (user_id, total, placedAt) VALUES (?, 0, UTC_TIMESTAMP(6))",
            (user,),
        )
        .await?;
        let order = work.last_insert_id().unwrap_or_default();
        for (number, item, quantity, price) in &lines {
            let line = (order, number, item, quantity, price);
            let insert = "INSERT INTO order_items (order_id, lineNo, item_id, quantity, unitPrice) VALUES (?, ?, ?, ?, ?)";
            work.exec_drop(insert, line).await?;
        }
        let total = "UPDATE orders SET total = (SELECT COALESCE(SUM(quantity * unitPrice), 0) FROM order_items WHERE order_id = ?) WHERE id = ?";
        work.exec_drop(total, (order, order)).await?;
        work.commit().await?;

        let conn = open(&mut self.items, &self.shop.items).await?;
        let mut work = conn.start_transaction(TxOpts::default()).await?;
        for (_, item, quantity, _) in &lines {
            let take =
                "UPDATE stock SET quantity = quantity - ? WHERE item_id = ? ORDER BY quantity DESC LIMIT 1";
            work.exec_drop(take, (quantity, item)).await?;
        }
        work.commit().await
    }

    async fn move_money(&mut self) -> Done {
        let (Some(from), Some(to)) = (self.some("users").await?, self.some("users").await?) else {
            return Ok(());
        };
        let amount = decimal(self.random.between(1, 10_000), 2);
        let conn = open(&mut self.users, &self.shop.users).await?;
        let mut work = conn.start_transaction(TxOpts::default()).await?;
        work.exec_drop("UPDATE users SET balance = balance - ? WHERE id = ?", (&amount, from)).await?;
        work.exec_drop("UPDATE users SET balance = balance + ? WHERE id = ?", (&amount, to)).await?;
        work.commit().await
    }

    async fn advance_order(&mut self) -> Done {
        let Some(order) = self.some("orders").await? else { return Ok(()) };
        let status = *self.random.pick(&["paid", "shipped", "delivered", "returned", "cancelled"]);
        let conn = open(&mut self.orders, &self.shop.orders).await?;
        let advance = "UPDATE orders SET status = ?, shippedAt = IF(? = 'shipped', UTC_TIMESTAMP(), shippedAt), note = IF(? = 'returned', NULL, note) WHERE id = ?";
        conn.exec_drop(advance, (status, status, status, order)).await
    }

    async fn rename_user(&mut self) -> Done {
        let Some(user) = self.some("users").await? else { return Ok(()) };
        let name = user_name(&mut self.random);
        let conn = open(&mut self.users, &self.shop.users).await?;
        conn.exec_drop("UPDATE users SET displayName = ? WHERE id = ?", (name, user)).await
    }

    async fn rename_item(&mut self) -> Done {
        let Some(item) = self.some("items").await? else { return Ok(()) };
        let title = format!("Renamed №{} 🛠", self.random.below(10_000));
        let conn = open(&mut self.items, &self.shop.items).await?;
        conn.exec_drop("UPDATE items SET title = ? WHERE id = ?", (title, item)).await
    }

    /// Deletes a row; what belongs to it goes by ON DELETE CASCADE.
    async fn delete(&mut self, table: &'static str) -> Done {
        let Some(id) = self.some(table).await? else { return Ok(()) };
        let conn = match table {
            "users" => open(&mut self.users, &self.shop.users).await?,
            "items" => open(&mut self.items, &self.shop.items).await?,
            _ => open(&mut self.orders, &self.shop.orders).await?,
        };
        let mut work = conn.start_transaction(TxOpts::default()).await?;
        if table == "users" {
            let heir: Option<Option<u64>> =
                work.exec_first("SELECT MIN(id) FROM users WHERE id <> ?", (id,)).await?;
            // The last user stays: the money would go with them.
            let Some(heir) = heir.flatten() else { return work.rollback().await };
            let left: Option<String> =
                work.exec_first("SELECT balance FROM users WHERE id = ? FOR UPDATE", (id,)).await?;
            work.exec_drop("UPDATE users SET balance = balance + ? WHERE id = ?", (left, heir)).await?;
        }
        work.exec_drop(format!("DELETE FROM {table} WHERE id = ?"), (id,)).await?;
        work.commit().await
    }

    async fn register_user(&mut self) -> Done {
        let login = format!("w{:x}", self.random.bits());
        let name = user_name(&mut self.random);
        let conn = open(&mut self.users, &self.shop.users).await?;
        let mut work = conn.start_transaction(TxOpts::default()).await?;
        let insert = "INSERT INTO users (loginName, displayName, preferences, createdAt) VALUES (?, ?, '{}', UTC_TIMESTAMP(6))";
        work.exec_drop(insert, (login, name)).await?;
        let user = work.last_insert_id().unwrap_or_default();
        let insert = "INSERT INTO addresses (user_id, kind, street, city, country) VALUES (?, 'home', 'Hauptstraße 1', 'Köln', 'DE')";
        work.exec_drop(insert, (user,)).await?;
        work.commit().await
    }

    async fn register_item(&mut self) -> Done {
        let Some(seller) = self.some("users").await? else { return Ok(()) };
        let sku = format!("w-{:08x}", self.random.bits() as u32);
        let price = decimal(self.random.between(100, 20_000), 2);
        let conn = open(&mut self.items, &self.shop.items).await?;
        let mut work = conn.start_transaction(TxOpts::default()).await?;
        let insert = "INSERT INTO items (sku, seller_id, category_id, title, price, registeredAt) VALUES (?, ?, 1, 'New book 📖', ?, UTC_TIMESTAMP(6))";
        work.exec_drop(insert, (sku, seller, price)).await?;
        let item = work.last_insert_id().unwrap_or_default();
        work.exec_drop("INSERT INTO stock (item_id, warehouse, quantity) VALUES (?, 'North', 10)", (item,))
            .await?;
        work.commit().await
    }

    /// Changes a part of a key: the stock of an item goes to another warehouse, where there was none of it.
    async fn move_stock(&mut self) -> Done {
        let Some(item) = self.some("items").await? else { return Ok(()) };
        let to = *self.random.pick(&["West", "Öst", "North"]);
        let conn = open(&mut self.items, &self.shop.items).await?;
        let params = Params::Positional(vec![Value::from(to), Value::from(item)]);
        conn.exec_drop("UPDATE IGNORE stock SET warehouse = ? WHERE item_id = ? LIMIT 1", params).await
    }
}
