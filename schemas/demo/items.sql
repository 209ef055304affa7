-- The demo's service `items`: what is sold, and how many of it lie where.
-- items.seller_id names a user of the service `users`; no database can hold that as a foreign key.

CREATE TABLE categories (
  id        SMALLINT UNSIGNED NOT NULL,
  name      VARCHAR(60) NOT NULL,
  parent_id SMALLINT UNSIGNED NULL,
  PRIMARY KEY (id),
  UNIQUE KEY byName (name)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE items (
  id           BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  sku          CHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  seller_id    BIGINT UNSIGNED NOT NULL,
  category_id  SMALLINT UNSIGNED NOT NULL,
  title        VARCHAR(160) NOT NULL,
  description  TEXT NULL,
  price        DECIMAL(10,2) NOT NULL,
  weightKg     DOUBLE NULL,
  attributes   JSON NULL,
  registeredAt DATETIME(6) NOT NULL,
  PRIMARY KEY (id),
  UNIQUE KEY bySku (sku),
  KEY bySeller (seller_id),
  CONSTRAINT categoryOfItem FOREIGN KEY (category_id) REFERENCES categories (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE stock (
  item_id   BIGINT UNSIGNED NOT NULL,
  warehouse VARCHAR(20) NOT NULL,
  quantity  INT NOT NULL,
  countedAt TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (item_id, warehouse),
  CONSTRAINT itemInStock FOREIGN KEY (item_id) REFERENCES items (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
