//! The demo's data: the same rows on every machine, for a given seed and size.
//!
//! Each row is drawn from the seed, its table and its key alone. So a line of an order knows the price of its
//! item without asking the database, and a smaller set is the beginning of a larger one.

use std::future::Future;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Params, Value};

use super::error::{DemoError, Result};
use super::random::Random;
use super::words::{ADJECTIVES, CATEGORIES, CITIES, COUPONS, NAMES, NOTES, STREETS, THINGS, WAREHOUSES};

/// How many rows there are; lines, addresses and stock follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Rows of `users.users`.
    pub users: u64,
    /// Rows of `items.items`.
    pub items: u64,
    /// Rows of `orders.orders`.
    pub orders: u64,
}

impl Size {
    /// The demo's size, with about 15,000 lines.
    pub const FULL: Self = Self { users: 1_000, items: 500, orders: 5_000 };
    /// For tests that need some of everything.
    pub const SMALL: Self = Self { users: 100, items: 50, orders: 300 };
}

/// The demo's data for one seed and size.
#[derive(Clone, Copy, Debug)]
pub struct Seed {
    /// Decides every value.
    pub seed: u64,
    /// Decides how many rows.
    pub size: Size,
}

/// A row in the order of the table's columns.
type Row = Vec<Value>;

impl Seed {
    /// The demo's own data.
    pub const DEMO: Self = Self { seed: 2026, size: Size::FULL };
    /// The same at the small size.
    pub const SMALL: Self = Self { seed: 2026, size: Size::SMALL };

    /// Creates the tables of the service `users` in the connection's database and fills them.
    ///
    /// # Errors
    /// MariaDB's.
    pub async fn fill_users(self, conn: &mut Conn) -> Result<()> {
        create(conn, "users", include_str!("../../schemas/demo/users.sql")).await?;
        insert(conn, "users", USERS, (1..=self.size.users).map(|id| self.user(id))).await?;
        insert(conn, "addresses", ADDRESSES, (1..=self.size.users).flat_map(|id| self.addresses(id))).await
    }

    /// Creates the tables of the service `items` in the connection's database and fills them.
    ///
    /// # Errors
    /// MariaDB's.
    pub async fn fill_items(self, conn: &mut Conn) -> Result<()> {
        create(conn, "items", include_str!("../../schemas/demo/items.sql")).await?;
        let categories =
            CATEGORIES.iter().map(|(id, name, parent)| vec![(*id).into(), (*name).into(), (*parent).into()]);
        insert(conn, "categories", &["id", "name", "parent_id"], categories).await?;
        insert(conn, "items", ITEMS, (1..=self.size.items).map(|id| self.item(id))).await?;
        insert(conn, "stock", STOCK, (1..=self.size.items).flat_map(|id| self.stock(id))).await
    }

    /// Creates the tables of the service `orders` in the connection's database and fills them.
    ///
    /// # Errors
    /// MariaDB's.
    pub async fn fill_orders(self, conn: &mut Conn) -> Result<()> {
        create(conn, "orders", include_str!("../../schemas/demo/orders.sql")).await?;
        insert(conn, "orders", ORDERS, (1..=self.size.orders).map(|id| self.order(id))).await?;
        let lines = (1..=self.size.orders).flat_map(|id| {
            self.lines(id).into_iter().map(move |line| {
                let discount = line.discount.map(|d| decimal(d, 4));
                vec![
                    id.into(),
                    line.number.into(),
                    line.item.into(),
                    line.quantity.into(),
                    decimal(line.unit_price, 2),
                    discount.unwrap_or(Value::NULL),
                ]
            })
        });
        insert(conn, "order_items", ORDER_ITEMS, lines).await
    }

    fn user(self, id: u64) -> Row {
        let mut r = Random::keyed(self.seed, "users", id);
        let name = user_name(&mut r);
        let plain = format!("user{id}");
        // Login names that differ by case alone are different under the column's binary collation.
        let login = if id.is_multiple_of(50) { format!("USER{}", id - 1) } else { plain.clone() };
        let balance = match r.below(20) {
            0 => 0,
            1 => -r.between(1, 50_000),
            2 => r.between(1_000_000_000, 99_999_999_999),
            _ => r.between(1, 500_000),
        };
        let birth = (!r.chance(15)).then(|| date(r.between(1945, 2007), r.between(1, 12), r.between(1, 28)));
        let preferences = match r.below(5) {
            0 => Value::NULL,
            1 => "{}".into(),
            2 => format!(r#"{{"language":"de","news":{},"tags":["a","ü"]}}"#, r.chance(50)).into(),
            _ => format!(r#"{{"language":"en","size":{}}}"#, r.below(100)).into(),
        };
        vec![
            id.into(),
            login.into(),
            name.into(),
            if r.chance(8) { Value::NULL } else { format!("{plain}@example.org").into() },
            (*r.pick(&["basic", "basic", "basic", "silver", "gold", "platinum"])).into(),
            decimal(balance, 2),
            (!r.chance(7)).into(),
            birth.unwrap_or(Value::NULL),
            preferences,
            moment(&mut r, 2022, 2024, true),
            moment(&mut r, 2025, 2025, false),
        ]
    }

    fn addresses(self, user: u64) -> Vec<Row> {
        let mut r = Random::keyed(self.seed, "addresses", user);
        let count = [0, 1, 1, 1, 2, 3][r.below(6) as usize];
        (0..count)
            .map(|place| {
                let (city, country) = *r.pick(CITIES);
                let located = r.chance(60);
                let mut degrees =
                    |limit: i64| if located { degrees(r.between(-limit, limit)) } else { Value::NULL };
                let (latitude, longitude) = (degrees(850_000), degrees(1_800_000));
                vec![
                    (user * 4 + place).into(),
                    user.into(),
                    ["home", "work", "billing"][place as usize].into(),
                    format!("{} {}", r.pick(STREETS), r.between(1, 250)).into(),
                    city.into(),
                    if r.chance(20) { Value::NULL } else { format!("{:05}", r.below(100_000)).into() },
                    country.into(),
                    latitude,
                    longitude,
                ]
            })
            .collect()
    }

    /// In hundredths. Items at 0.00 exist.
    fn price(self, item: u64) -> i64 {
        let mut r = Random::keyed(self.seed, "price", item);
        if r.chance(2) { 0 } else { r.between(99, 49_999) }
    }

    fn item(self, id: u64) -> Row {
        let mut r = Random::keyed(self.seed, "items", id);
        let title = format!("{} {} {}", r.pick(ADJECTIVES), r.pick(THINGS), id % 37);
        // The last category stays empty.
        let category = CATEGORIES[r.below(CATEGORIES.len() as u64 - 1) as usize].0;
        let attributes = match r.below(3) {
            0 => Value::NULL,
            1 => format!(r#"{{"color":"blau","weight":{}}}"#, r.below(5_000)).into(),
            _ => r#"["new","ü","🎈"]"#.into(),
        };
        vec![
            id.into(),
            format!("{}-{id:06}", r.pick(&["ab", "AB", "Cd"])).into(),
            self.seller(&mut r).into(),
            category.into(),
            title.into(),
            if r.chance(25) { Value::NULL } else { format!("Made with care.\nPart {id} of \"many\"").into() },
            decimal(self.price(id), 2),
            if r.chance(30) { Value::NULL } else { (f64::from(r.below(40_000) as u32) / 1000.0).into() },
            attributes,
            moment(&mut r, 2023, 2024, true),
        ]
    }

    /// One user in ten sells, the first among them.
    fn seller(self, r: &mut Random) -> u64 {
        1 + 10 * r.below(self.size.users.div_ceil(10))
    }

    fn stock(self, item: u64) -> Vec<Row> {
        let mut r = Random::keyed(self.seed, "stock", item);
        let count = r.below(WAREHOUSES.len() as u64 + 1) as usize;
        WAREHOUSES[..count]
            .iter()
            .map(|warehouse| {
                let quantity = if r.chance(10) { 0 } else { r.between(1, 2_000) };
                vec![item.into(), (*warehouse).into(), quantity.into(), moment(&mut r, 2025, 2025, false)]
            })
            .collect()
    }

    fn order(self, id: u64) -> Row {
        let mut r = Random::keyed(self.seed, "orders", id);
        let total: i64 = self.lines(id).iter().map(Line::amount).sum();
        let status =
            *r.pick(&["new", "paid", "paid", "shipped", "delivered", "delivered", "returned", "cancelled"]);
        let placed = moment(&mut r, 2024, 2024, true);
        let shipped = matches!(status, "shipped" | "delivered" | "returned");
        vec![
            id.into(),
            self.buyer(&mut r).into(),
            status.into(),
            decimal(total, 2),
            if r.chance(85) { Value::NULL } else { (*r.pick(COUPONS)).into() },
            if r.chance(70) { Value::NULL } else { (*r.pick(NOTES)).into() },
            placed,
            if shipped { moment(&mut r, 2025, 2025, false) } else { Value::NULL },
        ]
    }

    /// Low numbers buy more often, and the last user of every twenty has never bought.
    fn buyer(self, r: &mut Random) -> u64 {
        let users = self.size.users;
        let user = 1 + r.below(users).min(r.below(users));
        if user.is_multiple_of(20) { user - 1 } else { user }
    }

    fn lines(self, order: u64) -> Vec<Line> {
        let mut r = Random::keyed(self.seed, "order_items", order);
        let count = r.between(1, 5);
        (1..=count)
            .map(|number| {
                let item = 1 + r.below(self.size.items);
                let discount = r.chance(20).then(|| *r.pick(&[0, 500, 1_000, 1_250, 3_333]));
                Line { number, item, quantity: r.between(1, 4), unit_price: self.price(item), discount }
            })
            .collect()
    }
}

/// A line of an order; money in hundredths, the discount in ten-thousandths.
struct Line {
    number: i64,
    item: u64,
    quantity: i64,
    unit_price: i64,
    discount: Option<i64>,
}

impl Line {
    fn amount(&self) -> i64 {
        let full = self.quantity * self.unit_price;
        (full * (10_000 - self.discount.unwrap_or(0)) + 5_000) / 10_000
    }
}

const USERS: &[&str] = &[
    "id",
    "loginName",
    "displayName",
    "email",
    "tier",
    "balance",
    "isActive",
    "birthDate",
    "preferences",
    "createdAt",
    "updatedAt",
];
const ADDRESSES: &[&str] =
    &["id", "user_id", "kind", "street", "city", "postalCode", "country", "latitude", "longitude"];
const ITEMS: &[&str] = &[
    "id",
    "sku",
    "seller_id",
    "category_id",
    "title",
    "description",
    "price",
    "weightKg",
    "attributes",
    "registeredAt",
];
const STOCK: &[&str] = &["item_id", "warehouse", "quantity", "countedAt"];
const ORDERS: &[&str] = &["id", "user_id", "status", "total", "coupon", "note", "placedAt", "shippedAt"];
const ORDER_ITEMS: &[&str] = &["order_id", "lineNo", "item_id", "quantity", "unitPrice", "discount"];

/// A person's name. Some end in a space, which PAD SPACE collations ignore.
pub(super) fn user_name(r: &mut Random) -> String {
    // Every second name is of the first script, or the Latin variants would hardly ever meet.
    let names = if r.chance(50) { &NAMES[0] } else { r.pick(NAMES) };
    let (given, family) = (r.pick(names.given), r.pick(names.family));
    let name = if names.joined { format!("{family}{given}") } else { format!("{given} {family}") };
    if r.chance(3) { name + " " } else { name }
}

/// `units` hundredths for a scale of 2, and so on, as the text that MariaDB takes for a DECIMAL.
pub(super) fn decimal(units: i64, scale: usize) -> Value {
    let sign = if units < 0 { "-" } else { "" };
    let digits = format!("{:0width$}", units.unsigned_abs(), width = scale + 1);
    let (whole, part) = digits.split_at(digits.len() - scale);
    format!("{sign}{whole}.{part}").into()
}

fn degrees(ten_thousandths: i64) -> Value {
    (ten_thousandths as f64 / 10_000.0).into()
}

fn date(year: i64, month: i64, day: i64) -> Value {
    Value::Date(year as u16, month as u8, day as u8, 0, 0, 0, 0)
}

fn moment(r: &mut Random, first_year: i64, last_year: i64, micros: bool) -> Value {
    let year = r.between(first_year, last_year) as u16;
    let (month, day) = (r.between(1, 12) as u8, r.between(1, 28) as u8);
    let (hour, minute, second) = (r.below(24) as u8, r.below(60) as u8, r.below(60) as u8);
    let micros = if micros { r.below(1_000_000) as u32 } else { 0 };
    Value::Date(year, month, day, hour, minute, second, micros)
}

async fn create(conn: &mut Conn, service: &str, ddl: &str) -> Result<()> {
    // Days and times are given in UTC, also for TIMESTAMP.
    let creating = |e| DemoError::sql(format!("create the tables of {service}"), e);
    conn.query_drop("SET time_zone = '+00:00'").await.map_err(creating)?;
    conn.query_drop(ddl).await.map_err(creating)
}

/// Inserts rows in batches, all in one transaction.
fn insert<'a>(
    conn: &'a mut Conn,
    table: &'static str,
    columns: &'static [&'static str],
    rows: impl Iterator<Item = Row> + Send + 'a,
) -> impl Future<Output = Result<()>> + Send + 'a {
    const BATCH: usize = 500;
    let failed = move |e| DemoError::sql(format!("fill the table {table}"), e);
    async move {
        let mut rows = rows.peekable();
        conn.query_drop("START TRANSACTION").await.map_err(failed)?;
        while rows.peek().is_some() {
            let batch: Vec<Row> = rows.by_ref().take(BATCH).collect();
            let one = format!("({})", vec!["?"; columns.len()].join(","));
            let all = vec![one; batch.len()].join(",");
            let statement = format!("INSERT INTO {table} ({}) VALUES {all}", columns.join(","));
            let params = Params::Positional(batch.into_iter().flatten().collect());
            conn.exec_drop(statement, params).await.map_err(failed)?;
        }
        conn.query_drop("COMMIT").await.map_err(failed)
    }
}
