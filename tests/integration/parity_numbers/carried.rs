//! Quotients that go on with all their digits, through what MariaDB merges, and with those that are shown, through what it puts
//! into a table.

/// The tables that are asked, beside the others.
pub(super) const TABLES: &str = r"
CREATE TABLE ratios (id INT NOT NULL PRIMARY KEY, g INT NOT NULL, a DECIMAL(10,2) NOT NULL, b DECIMAL(10,2), KEY (g));
INSERT INTO ratios VALUES
  (1, 1, 10, 3), (2, 1, 7, 6), (3, 2, 1, 7), (4, 2, 22, 7), (5, 1, -5, 9), (6, 2, 5, 0), (7, 3, 0.01, NULL), (8, 3, 99999999.99, 0.07);
CREATE TABLE pairs (id INT NOT NULL PRIMARY KEY, a INT NOT NULL, b INT NOT NULL, y YEAR);
INSERT INTO pairs VALUES (1, 1, 3, 2024), (2, 3333, 10000, 1999), (3, 1, 3, NULL), (4, 3334, 10000, 2024);
CREATE VIEW thirds AS SELECT id, a / b AS r FROM pairs;
CREATE VIEW shares AS SELECT id, g, a / b AS r FROM ratios;
";

pub(super) const STATEMENTS: &[&str] = &[
    "SELECT id, r * 3, r * 100, r / 3, r + 1, round(r, 2), round(r * 1000, 1) FROM (SELECT id, a / b AS r FROM left.ratios) s",
    "SELECT r, r * 3 FROM (SELECT r FROM (SELECT a / b AS r FROM left.ratios) x) s",
    "WITH c AS (SELECT id, a / b AS r FROM left.ratios) SELECT x.id, x.r * 3, y.r * 100 FROM c x JOIN c y ON x.id = y.id",
    "SELECT l.id, s.r * 3 FROM left.ratios l LEFT JOIN (SELECT id, a / b AS r FROM left.ratios WHERE id < 4) s ON l.id = s.id",
    "SELECT l.id, s.r * l.a FROM left.ratios l JOIN (SELECT id, a / b AS r FROM right.ratios) s ON l.id = s.id",
    "SELECT id, 1 / (1 / a), a / (1 / a), (a / 5) / (5 / a), b / (a / b), 1 / (1 / a) * 2 FROM left.ratios",
    "SELECT count(*), max(1 / (1 / a)), sum(1 / (1 / a)) FROM left.ratios WHERE 1 / (1 / a) > 200000",
    "SELECT t / (0.5 / t), 1 / (1 / t) FROM (SELECT max(a) AS t FROM left.ratios) s",
    "SELECT id, nullif(a / b, 0), nullif(a / b, 0) * 7, nullif(a / b, 3.333333) * 7, coalesce(nullif(a / b, 2.5), 1) * 3 FROM left.ratios",
    "SELECT sum(nullif(a / b, 0)), avg(nullif(a / b, 0)) * 1000, max(nullif(a / b, 0)) FROM left.ratios WHERE id < 8",
    "SELECT r, nullif(r, 0) * 3 FROM (SELECT a / b AS r FROM left.ratios) s WHERE nullif(r, 0) * 3 > 3",
    "SELECT CASE WHEN r > 1 THEN r ELSE 0 END * 3, coalesce(r, 1) * 3, abs(r) * 3, -r * 3 FROM (SELECT a / b AS r FROM left.ratios) s",
    "SELECT id FROM (SELECT id, a / b AS r FROM left.ratios) s WHERE r = 3.333333 OR r * 3 = 3.5",
    "SELECT id FROM (SELECT id, a / b AS r FROM left.ratios) s WHERE r > 0.142857 AND r <= 3.142857",
    "SELECT sum(a / 3), sum(a / b), sum(a / b) * 100, avg(a / b), avg(a / b) * 1000, max(a / b) * 3, min(a / b) * 3 FROM left.ratios",
    "SELECT sum(r), sum(r) * 100, avg(r) * 1000, sum(r * 3), max(r) FROM (SELECT a / b AS r FROM left.ratios WHERE id < 8) s",
    "SELECT sum(a / b) * 3 FROM left.ratios HAVING sum(a / b) > 0",
    "SELECT (SELECT a / b FROM left.ratios WHERE id = 1) * 3, (SELECT avg(a) FROM left.ratios WHERE id < 4) * 1000000",
    "SELECT id, (SELECT a / b FROM left.ratios x WHERE x.id = o.id) * 3 FROM right.ratios o",
    "SELECT id, a / (SELECT avg(a) FROM left.ratios WHERE id < 4) FROM right.ratios",
    "SELECT id, 100 * a / (SELECT sum(a) FROM left.ratios) FROM left.ratios",
    "SELECT avg(x), sum(x) * 3 FROM (SELECT o.id, (SELECT avg(i.a / i.b) FROM left.ratios i WHERE i.g = o.g) AS x FROM left.ratios o) q",
    "SELECT id, a / 3 BETWEEN a / 3 AND a / 3, a NOT BETWEEN a / 3 * 3 AND a, a BETWEEN a / b * b AND a, a / b IN (a / b, 7), \
     a / b NOT IN (b / 7, a / b), a / b IN (a / b), a / b = a / b FROM left.ratios",
    "SELECT id, CASE a / 3 WHEN a / 3 THEN 1 ELSE 2 END, CASE a WHEN a / 3 * 3 THEN 1 ELSE 2 END, CASE a / b WHEN 1.166667 THEN 1 \
     WHEN a / b THEN 2 ELSE 3 END FROM left.ratios",
    "SELECT CASE sum(a) / 3 WHEN sum(a) / 3 THEN 1 ELSE 2 END, avg(a) BETWEEN sum(a) / count(*) AND sum(a) / count(*) FROM left.ratios",
    "SELECT count(*) FROM left.ratios x JOIN left.ratios y ON x.a / 3 BETWEEN y.a / 3 AND y.a / 3",
    "SELECT id, round(power(a / 3, 2), 9), round(sqrt(abs(a / b)), 9), round(exp(a / 1000000 / 3), 9) FROM left.ratios WHERE a < 100",
    "SELECT id FROM (SELECT id, a, a / b AS r FROM left.ratios) s WHERE r BETWEEN r AND r OR a IN (r * 3, 7)",
    // Rounded there as here: DISTINCT, LIMIT, UNION, groups, windows, and what has no table.
    "SELECT r * 3 FROM (SELECT DISTINCT a / b AS r FROM left.ratios) s",
    "SELECT r * 3 FROM (SELECT a / b AS r FROM left.ratios ORDER BY id LIMIT 2) s",
    "SELECT r * 3 FROM (SELECT a / b AS r FROM left.ratios WHERE id = 1 UNION ALL SELECT a / b FROM right.ratios WHERE id = 2) s",
    "SELECT r * 3 FROM (SELECT sum(a) / sum(b) AS r FROM left.ratios) s",
    "SELECT g, r * 3 FROM (SELECT g, sum(a) / sum(b) AS r FROM left.ratios GROUP BY g) s",
    "WITH c AS (SELECT avg(a) AS m FROM left.ratios WHERE id < 4) SELECT m * 1000000 FROM c",
    "SELECT r * 3, n FROM (SELECT a / b AS r, row_number() OVER (ORDER BY id) AS n FROM left.ratios) s",
    "SELECT x * 3 FROM (SELECT 1 / 3.0 AS x) s",
    "SELECT id, sum(r) OVER (ORDER BY id) FROM (SELECT id, a / b AS r FROM left.ratios) s",
    "SELECT sum(DISTINCT a / b) * 3 FROM left.ratios",
    // Of views, as they are shown.
    "SELECT id, r FROM left.shares WHERE r > 0.142857",
    "SELECT g, max(r), count(r) FROM left.shares GROUP BY g",
];

/// Of a view the digits that it shows are all there are, whoever computes.
pub(super) const OF_VIEWS: &[(&str, &str)] = &[
    (
        "SELECT id, r * 3, r * 100, r / 3 FROM left.shares",
        "SELECT id, r * 3, r * 100, r / 3 FROM (SELECT * FROM left.shares LIMIT 100) s",
    ),
    (
        "SELECT sum(r), avg(r), max(r) * 3 FROM left.shares",
        "SELECT sum(r), avg(r), max(r) * 3 FROM (SELECT * FROM left.shares LIMIT 100) s",
    ),
    (
        "SELECT id FROM left.shares WHERE r * 3 > 10 OR r IN (3.333333, 1.166667) OR r BETWEEN 3.142857 AND 3.14285700001",
        "SELECT id FROM (SELECT * FROM left.shares LIMIT 100) s WHERE r * 3 > 10 OR r IN (3.333333, 1.166667) OR r BETWEEN 3.142857 AND 3.14285700001",
    ),
    (
        "SELECT r, count(DISTINCT id), count(DISTINCT r) FROM left.thirds GROUP BY r",
        "SELECT r, count(DISTINCT id), count(DISTINCT r) FROM (SELECT * FROM left.thirds LIMIT 100) s GROUP BY r",
    ),
    (
        "SELECT count(DISTINCT r) FROM left.thirds",
        "SELECT count(DISTINCT r) FROM (SELECT * FROM left.thirds LIMIT 100) s",
    ),
    (
        "SELECT id FROM left.thirds ORDER BY r, id LIMIT 20",
        "SELECT id FROM (SELECT * FROM left.thirds LIMIT 100) s ORDER BY r, id LIMIT 20",
    ),
    (
        "SELECT s.id, CASE WHEN s.r > 1 THEN s.r END * p.a FROM left.shares s JOIN right.ratios p ON s.id = p.id",
        "SELECT s.id, CASE WHEN s.r > 1 THEN s.r END * p.a FROM (SELECT * FROM left.shares LIMIT 100) s JOIN right.ratios p ON s.id = p.id",
    ),
];
