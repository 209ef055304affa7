//! The demo's three services as one: their databases, their data, and the config that describes them.

use super::database::ServiceDatabase;
use super::error::Result;
use super::mariadb::MariaDb;
use super::seed::Seed;

/// The services' names, in the order in which [`Shop`] holds them.
pub const SERVICES: [&str; 3] = ["users", "items", "orders"];

/// What the demo's config declares: from, to, the field on the many side, the field on the one side.
const RELATIONSHIPS: [(&str, &str, &str, &str); 7] = [
    ("users.addresses.user_id", "users.users.id", "user", "addresses"),
    ("items.items.seller_id", "users.users.id", "seller", "items"),
    ("items.items.category_id", "items.categories.id", "category", "items"),
    ("items.stock.item_id", "items.items.id", "item", "stock"),
    ("orders.orders.user_id", "users.users.id", "user", "orders"),
    ("orders.order_items.order_id", "orders.orders.id", "order", "lines"),
    ("orders.order_items.item_id", "items.items.id", "item", "lines"),
];

/// The databases of the three services.
#[derive(Clone, Debug)]
pub struct Shop {
    /// Who buys and sells.
    pub users: ServiceDatabase,
    /// What is sold.
    pub items: ServiceDatabase,
    /// What was bought.
    pub orders: ServiceDatabase,
}

impl Shop {
    /// Creates the three databases, named after the services with `suffix`, and fills them at the same time.
    /// `servers` are those of [`SERVICES`]; they may be one and the same.
    ///
    /// # Errors
    /// MariaDB's.
    pub async fn create(servers: [&MariaDb; 3], suffix: &str, seed: Seed) -> Result<Self> {
        let create = |at: usize| async move {
            let service = SERVICES[at];
            let database = ServiceDatabase::create(servers[at], service, &format!("{service}{suffix}")).await?;
            let mut conn = database.connect().await?;
            match at {
                0 => seed.fill_users(&mut conn).await?,
                1 => seed.fill_items(&mut conn).await?,
                _ => seed.fill_orders(&mut conn).await?,
            }
            Ok(database)
        };
        let (users, items, orders) = tokio::try_join!(create(0), create(1), create(2))?;
        Ok(Self { users, items, orders })
    }

    /// The databases in the order of [`SERVICES`].
    #[must_use]
    pub fn databases(&self) -> [&ServiceDatabase; 3] {
        [&self.users, &self.items, &self.orders]
    }

    /// The services' part of a config file, all with one mode, and the relationships.
    #[must_use]
    pub fn config(&self, mode: &str) -> String {
        let services: String = self.databases().iter().map(|database| database.config(mode)).collect();
        services + &relationships()
    }

    /// The environment variables that the config refers to.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let one = |database: &ServiceDatabase| (database.password_variable(), database.reader_password.clone());
        self.databases().map(one).into()
    }
}

/// The relationships' part of a config file.
#[must_use]
pub fn relationships() -> String {
    let mut text = String::new();
    for (from, to, field, inverse) in RELATIONSHIPS {
        text.push_str(&format!(
            "[[relationships]]\nfrom = \"{from}\"\nto = \"{to}\"\nfield = \"{field}\"\ninverse = \"{inverse}\"\n\n"
        ));
    }
    text
}
