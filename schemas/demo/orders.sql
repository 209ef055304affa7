-- The demo's service `orders`: who bought what, and when.
-- orders.user_id names a user of `users`, order_items.item_id an item of `items`.

CREATE TABLE orders (
  id         BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  user_id    BIGINT UNSIGNED NOT NULL,
  status     ENUM('new', 'paid', 'shipped', 'delivered', 'returned', 'cancelled') NOT NULL DEFAULT 'new',
  total      DECIMAL(12,2) NOT NULL,
  coupon     VARCHAR(12) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
  note       TEXT NULL,
  placedAt   DATETIME(6) NOT NULL,
  shippedAt  TIMESTAMP NULL DEFAULT NULL,
  PRIMARY KEY (id),
  KEY byUser (user_id),
  KEY byTime (placedAt)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE order_items (
  order_id  BIGINT UNSIGNED NOT NULL,
  lineNo    SMALLINT UNSIGNED NOT NULL,
  item_id   BIGINT UNSIGNED NOT NULL,
  quantity  INT UNSIGNED NOT NULL,
  unitPrice DECIMAL(10,2) NOT NULL,
  discount  DECIMAL(5,4) NULL,
  PRIMARY KEY (order_id, lineNo),
  KEY byItem (item_id),
  CONSTRAINT orderOfLine FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
