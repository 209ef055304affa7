//! The tables with their hard values, and the statements that are asked of them.

pub(super) const LEFT: &str = r"
CREATE TABLE texts (
  id BIGINT UNSIGNED NOT NULL PRIMARY KEY,
  g VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
  u VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
  b VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  n VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_nopad_ci,
  c CHAR(10) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
  e ENUM('low', 'High', 'mid') CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
  s SET('x', 'y', 'z') CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci
);
CREATE TABLE numbers (
  id INT NOT NULL PRIMARY KEY,
  big BIGINT UNSIGNED NOT NULL,
  small TINYINT NULL,
  amount DECIMAL(30,6) NULL,
  ratio DOUBLE NULL,
  day DATE NULL,
  at DATETIME(6) NULL,
  stamp TIMESTAMP(6) NULL,
  pause TIME(6) NULL,
  ok TINYINT(1) NULL,
  flag BIT(1) NULL,
  camelCase INT NULL
);
INSERT INTO numbers VALUES
  (1, 18446744073709551615, 127, 123456789012345678901234.567890, 1.5, '2024-02-29', '2024-02-29 23:59:59.999999', '2024-01-01 00:00:00.000001', '10:00:00', 1, b'1', 1),
  (2, 9223372036854775808, -128, -0.000001, -0.5, '1000-01-01', '1000-01-01 00:00:00', '1970-01-01 00:00:01', '-838:59:59', 0, b'0', 2),
  (3, 9223372036854775807, 0, 0, 0, '0000-00-00', '0000-00-00 00:00:00', NULL, '838:59:59', 2, b'1', 3),
  (4, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (5, 7, 7, 7.5, 7.25, '2024-12-31', '2024-12-31 12:00:00', '2037-12-31 12:00:00', '00:00:00.000001', 1, b'0', 5),
  (6, 7, 2, 7.5, 7.25, '2018-02-00', '2018-02-00 00:00:00', '2024-06-01 12:00:00', '23:59:59', 0, NULL, 6);
CREATE TABLE parents (id INT NOT NULL PRIMARY KEY, name VARCHAR(20));
CREATE TABLE children (
  id INT NOT NULL PRIMARY KEY, parent_id INT NULL,
  FOREIGN KEY (parent_id) REFERENCES parents (id) ON DELETE CASCADE ON UPDATE CASCADE
);
CREATE TABLE notes (
  id INT NOT NULL PRIMARY KEY, child_id INT NULL,
  FOREIGN KEY (child_id) REFERENCES children (id) ON DELETE SET NULL
);
INSERT INTO parents VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd');
INSERT INTO children VALUES (10, 1), (11, 1), (20, 2), (30, 3), (99, NULL);
INSERT INTO notes VALUES (100, 10), (101, 11), (200, 20), (300, 30);
";

pub(super) const RIGHT: &str = r"
CREATE TABLE words (
  id INT NOT NULL PRIMARY KEY,
  g VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci,
  u VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci,
  b VARCHAR(40) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
  big BIGINT UNSIGNED NULL
);
INSERT INTO words VALUES
  (1, 'a', 'STRASSE', 'a', 18446744073709551615),
  (2, 'A ', 'oeuf', 'A', 9223372036854775808),
  (3, 'É', 'é', 'É', 7),
  (4, '', '', '', 0),
  (5, NULL, NULL, NULL, NULL),
  (6, 'я', 'Я', 'я', 12345),
  (7, '😀', '😁', '😀', 9223372036854775807),
  (8, 'ab', 'AB', 'ab ', 7);
";

/// Changes that the binlog carries only in part: cascades, a key change, a truncation and a refill.
pub(super) const CHANGES: &str = r"
DELETE FROM parents WHERE id = 1;
UPDATE parents SET id = 22 WHERE id = 2;
DELETE FROM children WHERE id = 30;
UPDATE numbers SET id = 60, amount = 8.5 WHERE id = 6;
INSERT INTO numbers (id, big) VALUES (7, 18446744073709551614);
UPDATE texts SET g = UPPER(g) WHERE id % 5 = 0;
";

pub(super) const TEXTS: &[&str] = &[
    "a",
    "A",
    "a ",
    "A  ",
    "ä",
    "Ä",
    "á",
    "ab",
    "AB",
    "aB ",
    "a b",
    "a\tb",
    "a\t",
    "b",
    "é",
    "É",
    "e",
    "ß",
    "ss",
    "SS",
    "s",
    "Straße",
    "STRASSE",
    "œuf",
    "OEUF",
    "æ",
    "ae",
    "",
    " ",
    "  ",
    "%",
    "_",
    "100%",
    "\\",
    "'",
    "\"",
    "Ω",
    "ω",
    "я",
    "Я",
    "ё",
    "е",
    "İ",
    "i",
    "ı",
    "I",
    "😀",
    "😁",
    "日本",
    "にほん",
    "ﬀ",
    "ff",
    "naïve",
    "NAIVE",
    "e\u{301}",
];

/// Each runs on every route and in MariaDB. The order of rows counts only where the statement orders them.
pub(super) const STATEMENTS: &[&str] = &[
    // Equality, under each collation
    "SELECT id FROM left.texts WHERE g = 'a'",
    "SELECT id FROM left.texts WHERE g = 'A  '",
    "SELECT id FROM left.texts WHERE n = 'a'",
    "SELECT id FROM left.texts WHERE n = 'a '",
    "SELECT id FROM left.texts WHERE b = 'a'",
    "SELECT id FROM left.texts WHERE b = 'a  '",
    "SELECT id FROM left.texts WHERE u = 'strasse'",
    "SELECT id FROM left.texts WHERE u = 'ss'",
    "SELECT id FROM left.texts WHERE g = 'ss'",
    "SELECT id FROM left.texts WHERE u = 'é'",
    "SELECT id FROM left.texts WHERE u = 'oeuf'",
    "SELECT id FROM left.texts WHERE g = ''",
    "SELECT id FROM left.texts WHERE n = ''",
    "SELECT id FROM left.texts WHERE g = '😀'",
    "SELECT id FROM left.texts WHERE u = '😀'",
    "SELECT id FROM left.texts WHERE c = 'AB'",
    "SELECT id FROM left.texts WHERE g <> 'a'",
    "SELECT id FROM left.texts WHERE g IN ('A', 'É', 'я')",
    "SELECT id FROM left.texts WHERE g NOT IN ('A', 'É')",
    "SELECT id FROM left.texts WHERE u NOT IN ('a', NULL)",
    "SELECT id FROM left.texts WHERE g = b AND u = 'b'",
    // Order
    "SELECT id FROM left.texts WHERE g < 'b'",
    "SELECT id FROM left.texts WHERE g > 'a'",
    "SELECT id FROM left.texts WHERE u <= 'ab'",
    "SELECT id FROM left.texts WHERE b >= 'a' AND b < 'b'",
    "SELECT id FROM left.texts WHERE g BETWEEN 'A' AND 'B'",
    "SELECT id FROM left.texts WHERE u NOT BETWEEN 'A' AND 'Z'",
    "SELECT id FROM left.texts ORDER BY g IS NULL, g, id",
    "SELECT id FROM left.texts ORDER BY u IS NULL, u DESC, id",
    "SELECT id FROM left.texts ORDER BY b IS NULL, b, id",
    "SELECT id FROM left.texts ORDER BY n IS NULL, n, id LIMIT 20",
    "SELECT id FROM left.texts WHERE e IS NOT NULL ORDER BY e, id",
    "SELECT id FROM left.texts WHERE s IS NOT NULL ORDER BY s DESC, id",
    "SELECT id FROM left.texts WHERE e = 'HIGH'",
    "SELECT id FROM left.texts WHERE s = 'X,y'",
    // Patterns
    "SELECT id FROM left.texts WHERE g LIKE 'a%'",
    "SELECT id FROM left.texts WHERE g LIKE 'A'",
    "SELECT id FROM left.texts WHERE b LIKE 'a%'",
    "SELECT id FROM left.texts WHERE u LIKE 'stra_e'",
    "SELECT id FROM left.texts WHERE u LIKE '%E%'",
    "SELECT id FROM left.texts WHERE g NOT LIKE '%a%'",
    "SELECT id FROM left.texts WHERE g LIKE '100!%' ESCAPE '!'",
    "SELECT id FROM left.texts WHERE g LIKE '_'",
    // Groups
    "SELECT COUNT(*) FROM left.texts GROUP BY g",
    "SELECT COUNT(*), MIN(id) FROM left.texts GROUP BY u",
    "SELECT COUNT(*), MAX(id) FROM left.texts GROUP BY b",
    "SELECT COUNT(DISTINCT g), COUNT(DISTINCT u), COUNT(DISTINCT b), COUNT(DISTINCT n) FROM left.texts",
    "SELECT COUNT(*) FROM (SELECT DISTINCT g FROM left.texts) AS d",
    "SELECT COUNT(*) FROM (SELECT g FROM left.texts UNION SELECT g FROM right.words) AS d",
    "SELECT COUNT(*) FROM (SELECT u FROM left.texts UNION SELECT u FROM left.texts WHERE id > 3) AS d",
    "SELECT day, COUNT(*) FROM (SELECT day FROM left.numbers WHERE id < 3 UNION ALL SELECT day FROM left.numbers WHERE id IN (1, 2, 4, 5)) AS d GROUP BY day",
    "SELECT COUNT(*), COUNT(at), SUM(amount), MIN(day), COUNT(DISTINCT pause) FROM (SELECT day, amount, at, stamp, pause \
     FROM left.numbers WHERE id IN (1, 2, 4) UNION ALL SELECT day, amount, at, stamp, pause FROM left.numbers WHERE id IN (1, 2, 4, 5)) AS d",
    "SELECT id FROM left.numbers WHERE at > '1500-01-01' AND id IN (1, 2, 4, 5) ORDER BY at DESC, id LIMIT 3",
    "SELECT id FROM left.numbers WHERE day <> '2024-02-29' AND id IN (1, 2, 4, 5) ORDER BY day, id LIMIT 10",
    "SELECT id FROM left.numbers WHERE day IS NOT NULL AND id IN (1, 2, 4, 5) ORDER BY day DESC, id LIMIT 10",
    "SELECT id FROM left.numbers WHERE day NOT IN ('2024-02-29') AND id IN (1, 2, 4, 5) ORDER BY day, id LIMIT 10",
    "SELECT id FROM left.numbers WHERE pause BETWEEN '00:00:00' AND '838:59:59' ORDER BY pause DESC, id LIMIT 10",
    "SELECT MIN(b), MAX(b) FROM left.texts",
    "SELECT COUNT(*) FROM left.texts WHERE g = (SELECT MIN(g) FROM left.texts WHERE g > '')",
    "SELECT e, COUNT(*) FROM left.texts GROUP BY e",
    "SELECT id, ROW_NUMBER() OVER (PARTITION BY g ORDER BY id) FROM left.texts",
    "SELECT id, RANK() OVER (ORDER BY g) FROM left.texts WHERE g IS NOT NULL",
    "SELECT id, CASE g WHEN 'A' THEN 1 WHEN 'É' THEN 2 ELSE 3 END FROM left.texts",
    // IN with a subquery, as a value
    "SELECT id, g IN (SELECT g FROM right.words), u NOT IN (SELECT u FROM right.words WHERE id < 5) FROM left.texts",
    "SELECT id, big IN (SELECT big FROM right.words), small IN (SELECT id FROM right.words) FROM left.numbers",
    "SELECT id, e IN (SELECT 'HIGH'), CASE WHEN b IN (SELECT b FROM right.words) THEN 1 END FROM left.texts",
    "SELECT id FROM left.texts WHERE g NOT IN (SELECT g FROM right.words) OR id = 3",
    "SELECT n.id, n.id IN (SELECT w.id FROM right.words w WHERE w.big = n.big) FROM left.numbers n",
    "SELECT id, COALESCE(day, '2000-01-01') FROM left.numbers WHERE id IN (1, 2, 5)",
    // Joins between services
    "SELECT t.id, w.id FROM left.texts t JOIN right.words w ON t.g = w.g",
    "SELECT t.id, w.id FROM left.texts t JOIN right.words w ON t.u = w.u",
    "SELECT t.id, w.id FROM left.texts t JOIN right.words w ON t.b = w.b",
    "SELECT t.id, w.id FROM left.texts t LEFT JOIN right.words w ON t.g = w.g AND w.id < 4",
    "SELECT id FROM left.texts t WHERE EXISTS (SELECT 1 FROM right.words w WHERE w.g = t.g)",
    "SELECT id FROM left.texts t WHERE NOT EXISTS (SELECT 1 FROM right.words w WHERE w.u = t.u)",
    "SELECT id FROM left.texts WHERE g IN (SELECT g FROM right.words WHERE g IS NOT NULL)",
    "SELECT id FROM left.texts WHERE g NOT IN (SELECT g FROM right.words)",
    "SELECT id FROM left.texts t WHERE t.g NOT IN (SELECT w.g FROM right.words w WHERE w.id < t.id)",
    "SELECT id FROM left.texts t WHERE t.u NOT IN (SELECT w.u FROM right.words w WHERE w.id = t.id) OR t.id = 3",
    "SELECT id FROM left.texts t WHERE NOT (t.g IN (SELECT w.g FROM right.words w) AND t.id > 2)",
    "SELECT t.id FROM left.texts t JOIN right.words o ON o.id = t.id AND t.u NOT IN (SELECT w.u FROM right.words w WHERE w.id > t.id)",
    "SELECT n.id, w.id FROM left.numbers n JOIN right.words w ON n.big = w.big",
    "SELECT n.id, w.id, p.id FROM left.numbers n JOIN right.words w ON n.big = w.big JOIN left.parents p ON p.id = w.id",
    // Columns that joins merge
    "SELECT id, n.big, w.big FROM left.numbers n JOIN right.words w USING (id) WHERE id > 1",
    "SELECT big, n.id, w.id FROM left.numbers n JOIN right.words w USING (big) WHERE big >= 7 AND w.id > 1",
    "SELECT big, COUNT(*) FROM left.numbers n JOIN right.words w USING (big) WHERE big = 7 GROUP BY big",
    "SELECT BIG, n.big, w.big, n.id, w.id FROM left.numbers n RIGHT JOIN right.words w USING (Big)",
    "SELECT big, COUNT(*), COUNT(n.id) FROM left.numbers n RIGHT JOIN right.words w USING (big) GROUP BY big HAVING big > 0 ORDER BY big",
    "SELECT DISTINCT big FROM left.numbers RIGHT JOIN right.words w USING (big) WHERE w.id < 7 AND big IS NOT NULL ORDER BY big DESC",
    "SELECT g, t.id, w.id FROM left.texts t JOIN right.words w USING (g)",
    "SELECT g, t.id, w.id FROM left.texts t RIGHT JOIN right.words w USING (g)",
    "SELECT u, t.id, w.id FROM left.texts t LEFT JOIN right.words w USING (u) WHERE u > 'b'",
    "SELECT id, name, parent_id, big FROM left.parents LEFT JOIN left.children USING (id) LEFT JOIN right.words USING (id)",
    "SELECT id, name, w.g FROM left.children RIGHT JOIN right.words w USING (id) LEFT JOIN left.parents USING (id) ORDER BY id",
    "SELECT id, name FROM left.parents RIGHT JOIN (left.children c RIGHT JOIN right.words w USING (id)) USING (id)",
    "SELECT * FROM left.parents p JOIN right.words w USING (id)",
    "SELECT * FROM right.words w LEFT JOIN left.parents p USING (id)",
    "SELECT * FROM left.parents NATURAL JOIN right.words",
    "SELECT * FROM left.parents NATURAL LEFT JOIN right.words NATURAL LEFT JOIN left.children",
    "SELECT id, big, n.id, n.small FROM left.numbers n NATURAL RIGHT JOIN right.words w",
    "SELECT x.id, x.name, x.g FROM (SELECT id, name, w.g FROM left.parents RIGHT JOIN right.words w USING (id)) AS x WHERE x.id > 2",
    "SELECT id, name FROM left.parents p RIGHT JOIN right.words w USING (id) WHERE EXISTS (SELECT 1 FROM left.numbers n WHERE n.small = w.id)",
    // Numbers
    "SELECT id FROM left.numbers WHERE big = 18446744073709551615",
    "SELECT id FROM left.numbers WHERE big > 9223372036854775807",
    "SELECT id FROM left.numbers WHERE big >= 9223372036854775808 AND big < 18446744073709551615",
    "SELECT id FROM left.numbers WHERE big IN (7, 9223372036854775808)",
    "SELECT id, big FROM left.numbers ORDER BY big DESC, id LIMIT 3",
    "SELECT id FROM left.numbers WHERE small = -128 OR small IS NULL",
    "SELECT id FROM left.numbers WHERE small < 5 AND NOT small = 0",
    "SELECT id FROM left.numbers WHERE amount = 7.5",
    "SELECT id, amount FROM left.numbers WHERE amount > 0.5",
    "SELECT SUM(amount), MIN(amount), MAX(amount), COUNT(amount) FROM left.numbers",
    "SELECT SUM(big), SUM(small), COUNT(*) FROM left.numbers",
    "SELECT id FROM left.numbers WHERE ratio = 7.25 OR ratio < 0",
    "SELECT id FROM left.numbers WHERE ok",
    "SELECT id FROM left.numbers WHERE NOT ok",
    "SELECT id FROM left.numbers WHERE ok = 1",
    "SELECT id FROM left.numbers WHERE ok = true",
    "SELECT id FROM left.numbers WHERE flag",
    "SELECT SUM(ok), SUM(flag), COUNT(flag) FROM left.numbers",
    "SELECT id, CAMELCASE FROM left.numbers WHERE camelcase > 1",
    // NULLs
    "SELECT id FROM left.numbers WHERE small IS NULL",
    "SELECT id FROM left.numbers WHERE small NOT IN (7, NULL)",
    "SELECT COUNT(*), COUNT(small), COUNT(DISTINCT small) FROM left.numbers",
    "SELECT COALESCE(small, 99) FROM left.numbers",
    "SELECT id FROM left.numbers WHERE small BETWEEN 0 AND 7",
    "SELECT id FROM left.numbers WHERE (small > 0 OR ok) AND big < 10",
    "SELECT id FROM left.numbers LIMIT 0",
    // Cascades
    "SELECT id, name FROM left.parents",
    "SELECT id, parent_id FROM left.children",
    "SELECT id, child_id FROM left.notes",
    "SELECT p.id, c.id FROM left.parents p LEFT JOIN left.children c ON c.parent_id = p.id",
];

/// Zero dates are NULL here and a date in MariaDB, so the reference has its own wording.
pub(super) const WITH_ZERO_DATES: &[(&str, &str)] = &[
    (
        "SELECT id FROM left.numbers WHERE day IS NULL",
        "SELECT id FROM left.numbers WHERE day IS NULL OR DAYOFMONTH(day) = 0",
    ),
    (
        "SELECT id FROM left.numbers WHERE at IS NOT NULL",
        "SELECT id FROM left.numbers WHERE at IS NOT NULL AND DAYOFMONTH(at) > 0",
    ),
    (
        "SELECT id FROM left.numbers WHERE day < '2020-01-01'",
        "SELECT id FROM left.numbers WHERE day < '2020-01-01' AND DAYOFMONTH(day) > 0",
    ),
    (
        "SELECT id FROM left.numbers WHERE day <> '2024-02-29'",
        "SELECT id FROM left.numbers WHERE day <> '2024-02-29' AND DAYOFMONTH(day) > 0",
    ),
    (
        "SELECT id FROM left.numbers WHERE day NOT IN ('2024-02-29')",
        "SELECT id FROM left.numbers WHERE day <> '2024-02-29' AND DAYOFMONTH(day) > 0",
    ),
    (
        "SELECT id FROM left.numbers WHERE at = '2024-02-29 23:59:59.999999'",
        "SELECT id FROM left.numbers WHERE at = '2024-02-29 23:59:59.999999'",
    ),
    (
        "SELECT id FROM left.numbers WHERE at BETWEEN '1000-01-01' AND '2024-03-01'",
        "SELECT id FROM left.numbers WHERE at BETWEEN '1000-01-01' AND '2024-03-01' AND DAYOFMONTH(at) > 0",
    ),
    (
        "SELECT id FROM left.numbers WHERE stamp >= '2024-01-01 00:00:00.000001'",
        "SELECT id FROM left.numbers WHERE stamp >= '2024-01-01 00:00:00.000001'",
    ),
    (
        "SELECT id FROM left.numbers WHERE stamp < '1971-01-01'",
        "SELECT id FROM left.numbers WHERE stamp < '1971-01-01'",
    ),
    (
        "SELECT COUNT(day), COUNT(at), COUNT(stamp) FROM left.numbers",
        "SELECT SUM(DAYOFMONTH(day) > 0), SUM(DAYOFMONTH(at) > 0), COUNT(stamp) FROM left.numbers",
    ),
    (
        "SELECT id FROM left.numbers WHERE pause > '10:00:00'",
        "SELECT id FROM left.numbers WHERE pause > '10:00:00'",
    ),
    (
        "SELECT id FROM left.numbers WHERE pause = '-838:59:59'",
        "SELECT id FROM left.numbers WHERE pause = '-838:59:59'",
    ),
];
