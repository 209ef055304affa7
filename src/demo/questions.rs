//! The questions of the demo. Each has one text for every route, and an order that leaves nothing open.

use serde_json::{Value, json};

/// A question with the forms in which it can be asked.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// What is asked, in words.
    pub title: &'static str,
    /// The same in SQL; `$1` is the user, where there is one.
    pub sql: &'static str,
    /// The user whom the question is about.
    pub user: Option<u64>,
    /// The same in GraphQL, with the user as the variable `user`.
    pub graphql: Option<&'static str>,
    /// The services that have to answer for the live route.
    pub services: &'static [&'static str],
}

/// The user who is asked about: sells, and has bought.
pub const USER: u64 = 11;

/// All questions, in the order in which they are asked.
pub const QUESTIONS: &[Question] = &[
    Question {
        title: "Which items has one user registered?",
        sql: "SELECT u.displayName AS seller, i.id, i.title, i.price, c.name AS category
FROM users.users u
JOIN items.items i ON i.seller_id = u.id
JOIN items.categories c ON c.id = i.category_id
WHERE u.id = $1
ORDER BY i.id",
        user: Some(USER),
        graphql: Some(
            "query ItemsOf($user: bigint!) {
  users_by_pk(id: $user) {
    displayName
    items(order_by: {id: asc}) { id title price category { name } }
  }
}",
        ),
        services: &["users", "items"],
    },
    Question {
        title: "What has one user ordered, with the items? (three services)",
        sql: "SELECT o.id AS order_no, o.placedAt, o.status, l.lineNo, l.quantity, l.unitPrice, i.title
FROM users.users u
JOIN orders.orders o ON o.user_id = u.id
JOIN orders.order_items l ON l.order_id = o.id
JOIN items.items i ON i.id = l.item_id
WHERE u.id = $1
ORDER BY o.placedAt DESC, o.id, l.lineNo",
        user: Some(USER),
        graphql: Some(
            "query HistoryOf($user: bigint!) {
  users_by_pk(id: $user) {
    displayName
    orders(order_by: {placedAt: desc}, limit: 2) {
      id placedAt status total
      lines(order_by: {lineNo: asc}) { lineNo quantity unitPrice item { title } }
    }
  }
}",
        ),
        services: &["users", "items", "orders"],
    },
    Question {
        title: "Which ten customers have brought the highest revenue?",
        sql: "SELECT u.id, u.displayName, u.tier, COUNT(*) AS orders, SUM(o.total) AS revenue
FROM orders.orders o
JOIN users.users u ON u.id = o.user_id
WHERE o.status NOT IN ('cancelled', 'returned')
GROUP BY u.id, u.displayName, u.tier
ORDER BY revenue DESC, u.id
LIMIT 10",
        user: None,
        graphql: None,
        services: &["users", "orders"],
    },
    Question {
        title: "Which users have never ordered?",
        sql: "SELECT u.id, u.displayName, u.createdAt
FROM users.users u
WHERE NOT EXISTS (SELECT 1 FROM orders.orders o WHERE o.user_id = u.id)
ORDER BY u.id",
        user: None,
        graphql: None,
        services: &["users", "orders"],
    },
    Question {
        title: "Which item sells best in each category?",
        sql: "WITH sold AS (
  SELECT i.category_id, i.id, i.title, SUM(l.quantity) AS pieces
  FROM orders.order_items l
  JOIN items.items i ON i.id = l.item_id
  GROUP BY i.category_id, i.id, i.title
), placed AS (
  SELECT s.*, ROW_NUMBER() OVER (PARTITION BY s.category_id ORDER BY s.pieces DESC, s.id) AS place
  FROM sold s
)
SELECT c.name AS category, p.id, p.title, p.pieces
FROM placed p
JOIN items.categories c ON c.id = p.category_id
WHERE p.place = 1
ORDER BY p.pieces DESC, c.id",
        user: None,
        graphql: None,
        services: &["items", "orders"],
    },
];

impl Question {
    /// The values of the SQL text's placeholders.
    #[must_use]
    pub fn params(&self) -> Vec<Value> {
        self.user.map(Value::from).into_iter().collect()
    }

    /// The variables of the GraphQL document.
    #[must_use]
    pub fn variables(&self) -> Value {
        self.user.map_or_else(|| json!({}), |user| json!({ "user": user }))
    }

    /// The SQL text with MariaDB's placeholder, for a server that has all the tables under the same names.
    #[must_use]
    pub fn for_mariadb(&self) -> String {
        self.sql.replace("$1", "?")
    }
}
