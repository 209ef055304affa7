-- The demo's service `users`: who buys and who sells.
-- Text has the server's default collation for utf8mb4; loginName alone tells case, accents and padding apart.

CREATE TABLE users (
  id          BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  loginName   VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  displayName VARCHAR(120) NOT NULL,
  email       VARCHAR(190) NULL,
  tier        ENUM('basic', 'silver', 'gold', 'platinum') NOT NULL DEFAULT 'basic',
  balance     DECIMAL(14,2) NOT NULL DEFAULT 0.00,
  isActive    TINYINT(1) NOT NULL DEFAULT 1,
  birthDate   DATE NULL,
  preferences JSON NULL,
  createdAt   DATETIME(6) NOT NULL,
  updatedAt   TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  PRIMARY KEY (id),
  UNIQUE KEY byLogin (loginName),
  KEY byName (displayName)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;

CREATE TABLE addresses (
  id         INT UNSIGNED NOT NULL AUTO_INCREMENT,
  user_id    BIGINT UNSIGNED NOT NULL,
  kind       ENUM('home', 'work', 'billing') NOT NULL,
  street     VARCHAR(160) NOT NULL,
  city       VARCHAR(80) NOT NULL,
  postalCode VARCHAR(16) NULL,
  country    CHAR(2) NOT NULL,
  latitude   DOUBLE NULL,
  longitude  DOUBLE NULL,
  PRIMARY KEY (id),
  KEY byUser (user_id),
  CONSTRAINT addressOfUser FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4;
