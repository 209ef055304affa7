-- Queries that once differed, made small. See case.rs for the form.

-- IS DISTINCT FROM took all conditions after it for its right side.
-- columns: int
SELECT t1.line AS c3 FROM right.orders AS t1 WHERE (t1.big IS DISTINCT FROM 9223372036854775807 AND t1.amount IN (99999.9999));
SELECT t1.line AS c3 FROM orders AS t1 WHERE (NOT (t1.big <=> 9223372036854775807) AND t1.amount IN (99999.9999));
-- columns: dec
SELECT sum(DISTINCT t1.num) AS c3 FROM far.loose AS t1 WHERE (t1.num IS DISTINCT FROM -1 OR EXISTS (SELECT 1 AS c1 FROM far.loose AS t3));
SELECT sum(DISTINCT t1.num) AS c3 FROM loose AS t1 WHERE (NOT (t1.num <=> -1) OR EXISTS (SELECT 1 AS c1 FROM loose AS t3));

-- Parts of a UNION that come of columns of different types, and a moment's digits in it.
-- columns: int
(SELECT t2.n AS c2 FROM right.words AS t2) UNION (SELECT t3.ok AS c2 FROM left.people AS t3);
(SELECT t2.n AS c2 FROM words AS t2) UNION (SELECT t3.ok AS c2 FROM people AS t3);
-- columns: dec
(SELECT t1.price AS c2 FROM far.items AS t1) UNION (SELECT t2.price AS c2 FROM left.tags AS t2);
(SELECT t1.price AS c2 FROM items AS t1) UNION (SELECT t2.price AS c2 FROM tags AS t2);
-- columns: moment
SELECT t1.at AS c1 FROM left.people AS t1 UNION ALL SELECT t2.made FROM far.items AS t2;
SELECT t1.at AS c1 FROM people AS t1 UNION ALL SELECT t2.made FROM items AS t2;

-- Windows over a TIME.
-- columns: int
SELECT rank() OVER (ORDER BY t1.pause) AS c5 FROM right.orders AS t1;
SELECT rank() OVER (ORDER BY t1.pause IS NULL, t1.pause) AS c5 FROM orders AS t1;

-- The greatest UUID was a text.
-- columns: uuid
-- rows: ordered
SELECT max(q2.c3) AS c3 FROM (SELECT t1.uu AS c3 FROM far.items AS t1) AS q2 GROUP BY q2.c3 ORDER BY c3;
SELECT * FROM (SELECT max(q2.c3) AS c3 FROM (SELECT t1.uu AS c3 FROM items AS t1) AS q2 GROUP BY q2.c3) AS o ORDER BY c3 IS NULL, c3;

-- What is planned as never NULL, and operators take for what may be.
-- columns: int
SELECT count(q5.c1) AS c2 FROM (SELECT (q2.c1 BETWEEN DATE '2024-02-29' AND DATE '2024-01-01' IS TRUE) AS c1 FROM (SELECT t1.day AS c1 FROM far.loose AS t1) AS q2) AS q5;
SELECT count(q5.c1) AS c2 FROM (SELECT (q2.c1 BETWEEN DATE '2024-02-29' AND DATE '2024-01-01' IS TRUE) AS c1 FROM (SELECT t1.day AS c1 FROM loose AS t1) AS q2) AS q5;
-- columns: utf8mb4_general_ci loose
SELECT DISTINCT CASE WHEN t1.g COLLATE utf8mb4_unicode_ci <> t2.u THEN t1.g ELSE 'ab' END AS c2 FROM right.orders AS t1 JOIN right.words AS t2 ON t1.b = t2.k;
SELECT DISTINCT CASE WHEN t1.g COLLATE utf8mb4_unicode_ci <> t2.u THEN t1.g ELSE 'ab' END AS c2 FROM orders AS t1 JOIN words AS t2 ON t1.b = t2.k;

-- A decimal that was rounded to some places was compared as if it had all of them.
-- columns: int
SELECT t1.line AS c1 FROM right.orders AS t1 WHERE round(t1.amount, 1) <= t1.amount;
SELECT t1.line AS c1 FROM orders AS t1 WHERE round(t1.amount, 1) <= t1.amount;
-- columns: dec
(SELECT t3.price AS c1 FROM left.tags AS t3) INTERSECT (SELECT round(t5.amount, 1) AS c1 FROM far.loose AS t5);
(SELECT t3.price AS c1 FROM tags AS t3) INTERSECT (SELECT round(t5.amount, 1) AS c1 FROM loose AS t5);

-- EXCEPT ALL took away all equal rows, INTERSECT ALL left all.
-- columns: int
(SELECT t1.num AS c1 FROM far.loose AS t1) EXCEPT ALL (SELECT t2.num AS c1 FROM far.items AS t2);
(SELECT t1.num AS c1 FROM loose AS t1) EXCEPT ALL (SELECT t2.num AS c1 FROM items AS t2);
-- columns: utf8mb4_general_ci loose
(SELECT t1.g AS c1 FROM far.loose AS t1) INTERSECT ALL (SELECT t2.g AS c1 FROM left.people AS t2);
(SELECT t1.g AS c1 FROM loose AS t1) INTERSECT ALL (SELECT t2.g AS c1 FROM people AS t2);

-- What EXISTS selects was confused with a column of that name.
-- columns: utf8mb4_general_ci
SELECT t1.code AS c1 FROM left.tags AS t1 WHERE NOT EXISTS (SELECT 1 AS num FROM far.items AS t2 WHERE t2.num = t1.num);
SELECT t1.code AS c1 FROM tags AS t1 WHERE NOT EXISTS (SELECT 1 AS num FROM items AS t2 WHERE t2.num = t1.num);

-- A subquery took a column of the outer query for what it was before the UNION there had settled its type.
-- columns: int
SELECT count(*) AS c4 FROM ((SELECT t1.n AS c2 FROM right.words AS t1) UNION (SELECT t3.big AS c2 FROM right.orders AS t3)) AS q4 WHERE NOT EXISTS (SELECT 1 AS c1 FROM left.tags AS t5 WHERE t5.num = q4.c2);
SELECT count(*) AS c4 FROM ((SELECT t1.n AS c2 FROM words AS t1) UNION (SELECT t3.big AS c2 FROM orders AS t3)) AS q4 WHERE NOT EXISTS (SELECT 1 AS c1 FROM tags AS t5 WHERE t5.num = q4.c2);

-- NOT IN did not know that what is made of columns without NULLs may be NULL.
-- columns: int
SELECT t1.id AS c1 FROM left.people AS t1 WHERE nullif(t1.id, 60) NOT IN (SELECT t2.person AS c1 FROM right.orders AS t2);
SELECT t1.id AS c1 FROM people AS t1 WHERE nullif(t1.id, 60) NOT IN (SELECT t2.person AS c1 FROM orders AS t2);

-- OFFSET alone left out any rows, where the columns of the order were not selected.
-- columns: int
-- rows: ordered limited
SELECT count(*) AS c1 FROM (SELECT DISTINCT q2.c3 AS c1 FROM (SELECT t1.num AS c2, t1.g AS c3 FROM far.loose AS t1 ORDER BY c2, c3 OFFSET 40) AS q2) AS q3;
SELECT count(*) AS c1 FROM (SELECT DISTINCT q2.c3 AS c1 FROM (SELECT * FROM (SELECT t1.num AS c2, t1.g AS c3 FROM loose AS t1) AS o ORDER BY c2 IS NULL, c2, c3 IS NULL, c3 LIMIT 1000000 OFFSET 40) AS q2) AS q3;

-- A filter that a join makes while it runs went down to the other of two columns of one name.
-- columns: int
-- rows: ordered
SELECT t2.num AS c1 FROM far.loose AS t1 RIGHT JOIN far.items AS t2 ON t2.mu < t1.num JOIN right.words AS t3 ON t3.n = t1.num WHERE EXISTS (SELECT 1 AS c1 FROM left.tags AS t4 WHERE t4.num = t2.num) ORDER BY c1;
SELECT * FROM (SELECT t2.num AS c1 FROM loose AS t1 RIGHT JOIN items AS t2 ON t2.mu < t1.num JOIN words AS t3 ON t3.n = t1.num WHERE EXISTS (SELECT 1 AS c1 FROM tags AS t4 WHERE t4.num = t2.num)) AS o ORDER BY c1 IS NULL, c1;

-- The key of a GROUP BY subquery was compared in HAVING, which finds columns by their names alone.
-- columns: bool
SELECT EXISTS (SELECT 1 AS c1 FROM left.people AS t6 WHERE t6.born = t3.day) AS c4 FROM far.loose AS t3;
SELECT EXISTS (SELECT 1 AS c1 FROM people AS t6 WHERE t6.born = t3.day) AS c4 FROM loose AS t3;

-- A literal in ORDER BY was taken for the number of a column.
-- columns: int
-- rows: ordered limited
SELECT 42 AS c1 FROM (SELECT CAST(t3.num AS VARCHAR) AS c1 FROM left.tags AS t3) AS q4 ORDER BY c1 LIMIT 10;
SELECT * FROM (SELECT 42 AS c1 FROM (SELECT CAST(t3.num AS CHAR) AS c1 FROM tags AS t3) AS q4) AS o ORDER BY c1 IS NULL, c1 LIMIT 10;

-- A constant column of the side of a join that is read second: the order by it was asked for and not known to be there.
-- columns: dec
WITH w5 AS (SELECT 0 AS c1, nullif(2, 2) AS c3 FROM (SELECT CAST(t2.id AS VARCHAR) AS c1 FROM left.people AS t2) AS q3) SELECT sum(t7.amount) OVER (ORDER BY q6.c3 DESC) AS c3 FROM w5 AS q6 JOIN far.loose AS t7 ON q6.c1 = t7.amount;
WITH w5 AS (SELECT 0 AS c1, nullif(2, 2) AS c3 FROM (SELECT CAST(t2.id AS CHAR) AS c1 FROM people AS t2) AS q3) SELECT sum(t7.amount) OVER (ORDER BY q6.c3 IS NULL DESC, q6.c3 DESC) AS c3 FROM w5 AS q6 JOIN loose AS t7 ON q6.c1 = t7.amount;
-- columns: shown
SELECT string_agg(CAST(q10.c2 AS VARCHAR), ',' ORDER BY q10.c2) AS c2 FROM (SELECT count(*) AS c1 FROM far.loose AS t2) AS q3 JOIN (SELECT t7.num AS c2 FROM (SELECT true AS c1 FROM far.loose AS t5) AS q6 LEFT JOIN left.tags AS t7 ON t7.u IS NULL) AS q10 ON q10.c2 = q3.c1;
SELECT group_concat(q10.c2 ORDER BY q10.c2 SEPARATOR ',') AS c2 FROM (SELECT count(*) AS c1 FROM loose AS t2) AS q3 JOIN (SELECT t7.num AS c2 FROM (SELECT true AS c1 FROM loose AS t5) AS q6 LEFT JOIN tags AS t7 ON t7.u IS NULL) AS q10 ON q10.c2 = q3.c1;

-- A key of one side of a join was taken for one of its groups, whatever else they are made by: for orders, windows, DISTINCT, groups and joins.
-- columns: int, big
-- rows: ordered
SELECT t1.id AS c1, t2.big AS c2 FROM left.people AS t1 JOIN right.orders AS t2 ON t2.person = t1.id GROUP BY t1.id, t2.big ORDER BY c1, c2;
SELECT t1.id AS c1, t2.big AS c2 FROM people AS t1 JOIN orders AS t2 ON t2.person = t1.id GROUP BY t1.id, t2.big ORDER BY c1, c2;
-- columns: int, int
SELECT q3.c1 AS c1, count(*) AS c2 FROM (SELECT t1.id AS c1, t2.big AS c2 FROM left.people AS t1 JOIN right.orders AS t2 ON t2.person = t1.id GROUP BY t1.id, t2.big) AS q3 GROUP BY q3.c1;
SELECT q3.c1 AS c1, count(*) AS c2 FROM (SELECT t1.id AS c1, t2.big AS c2 FROM people AS t1 JOIN orders AS t2 ON t2.person = t1.id GROUP BY t1.id, t2.big) AS q3 GROUP BY q3.c1;
-- columns: int
WITH w3 AS (SELECT t1.id AS c1, t2.big AS c2 FROM left.people AS t1 JOIN right.orders AS t2 ON t2.person = t1.id GROUP BY t1.id, t2.big) SELECT DISTINCT q4.c1 AS c1 FROM w3 AS q4;
WITH w3 AS (SELECT t1.id AS c1, t2.big AS c2 FROM people AS t1 JOIN orders AS t2 ON t2.person = t1.id GROUP BY t1.id, t2.big) SELECT DISTINCT q4.c1 AS c1 FROM w3 AS q4;
-- columns: int, dec
WITH w3 AS (SELECT t1.id AS c1, t2.big AS c2 FROM left.people AS t1 JOIN right.orders AS t2 ON t2.person = t1.id GROUP BY t1.id, t2.big) SELECT q4.c1 AS c1, sum(q4.c2) OVER (ORDER BY q4.c1) AS c2 FROM w3 AS q4;
WITH w3 AS (SELECT t1.id AS c1, t2.big AS c2 FROM people AS t1 JOIN orders AS t2 ON t2.person = t1.id GROUP BY t1.id, t2.big) SELECT q4.c1 AS c1, sum(q4.c2) OVER (ORDER BY q4.c1) AS c2 FROM w3 AS q4;
-- columns: int, int
SELECT q3.c1 AS c1, count(*) AS c2 FROM (SELECT t1.id AS c1, t2.g AS c2 FROM left.people AS t1 JOIN right.orders AS t2 ON t2.person = t1.id GROUP BY t1.id, t2.g) AS q3 GROUP BY q3.c1, q3.c2;
SELECT q3.c1 AS c1, count(*) AS c2 FROM (SELECT t1.id AS c1, t2.g AS c2 FROM people AS t1 JOIN orders AS t2 ON t2.person = t1.id GROUP BY t1.id, t2.g) AS q3 GROUP BY q3.c1, q3.c2;
-- columns: big
SELECT t4.id AS c1 FROM far.items AS t4 LEFT JOIN (SELECT t1.id AS c1, t2.big AS c2 FROM left.people AS t1 JOIN right.orders AS t2 ON t2.person = t1.id GROUP BY t1.id, t2.big) AS q3 ON q3.c1 = t4.num;
SELECT t4.id AS c1 FROM items AS t4 LEFT JOIN (SELECT t1.id AS c1, t2.big AS c2 FROM people AS t1 JOIN orders AS t2 ON t2.person = t1.id GROUP BY t1.id, t2.big) AS q3 ON q3.c1 = t4.num;
-- columns: int, int
WITH w2 AS (SELECT t1.person AS c1, count(*) AS c2 FROM right.orders AS t1 GROUP BY t1.person) SELECT q5.c1 AS c1, count(*) AS c2 FROM (SELECT q3.c1 AS c1, t4.num AS c2 FROM w2 AS q3 JOIN far.items AS t4 ON t4.num >= q3.c2 GROUP BY q3.c1, t4.num) AS q5 GROUP BY q5.c1;
WITH w2 AS (SELECT t1.person AS c1, count(*) AS c2 FROM orders AS t1 GROUP BY t1.person) SELECT q5.c1 AS c1, count(*) AS c2 FROM (SELECT q3.c1 AS c1, t4.num AS c2 FROM w2 AS q3 JOIN items AS t4 ON t4.num >= q3.c2 GROUP BY q3.c1, t4.num) AS q5 GROUP BY q5.c1;

-- NOT of IS TRUE lost the rows with NULL.
-- columns: int
SELECT t1.id AS c1 FROM left.people AS t1 WHERE (NOT (t1.boss IS TRUE));
SELECT t1.id AS c1 FROM people AS t1 WHERE (NOT (t1.boss IS TRUE));
-- columns: int
SELECT t1.id AS c1 FROM left.people AS t1 WHERE (NOT (NOT ((t1.boss > 1) IS NOT TRUE)));
SELECT t1.id AS c1 FROM people AS t1 WHERE (NOT (NOT ((t1.boss > 1) IS NOT TRUE)));

-- A quotient of 9 places was rounded, but MariaDB has no digit to round by.
-- columns: quotient
SELECT (99999.9999 * 0.5) / t3.n AS c2 FROM right.words AS t3;
SELECT (99999.9999 * 0.5) / t3.n AS c2 FROM words AS t3;

-- DISTINCT, and a join, in groups that a key does not determine alone.
-- columns: int
SELECT count(DISTINCT q3.c4) AS c1 FROM (SELECT t1.id AS c2, t2.n AS c4 FROM left.people AS t1 JOIN right.words AS t2 ON t1.b = t2.k) AS q3 JOIN right.orders AS t4 ON q3.c2 = t4.big GROUP BY t4.ratio, q3.c2;
SELECT count(DISTINCT q3.c4) AS c1 FROM (SELECT t1.id AS c2, t2.n AS c4 FROM people AS t1 JOIN words AS t2 ON t1.b = t2.k) AS q3 JOIN orders AS t4 ON q3.c2 = t4.big GROUP BY t4.ratio, q3.c2;

-- A condition without columns went below a total, and let its row through.
-- columns: int
SELECT 5 AS c1 FROM (SELECT max(t1.num) AS c1 FROM left.tags AS t1) AS q2 WHERE (SELECT count(*) AS c1 FROM right.orders AS t4) < 1;
SELECT 5 AS c1 FROM (SELECT max(t1.num) AS c1 FROM tags AS t1) AS q2 WHERE (SELECT count(*) AS c1 FROM orders AS t4) < 1;

-- What a window takes of an ENUM is its text.
-- columns: utf8mb4_general_ci
-- rows: ordered
SELECT lead(t1.e, 2) OVER (ORDER BY t1.id) AS c3 FROM left.people AS t1 ORDER BY c3;
SELECT * FROM (SELECT lead(t1.e, 2) OVER (ORDER BY t1.id IS NULL, t1.id) AS c3 FROM people AS t1) AS o ORDER BY c3 IS NULL, c3;

-- The greatest ENUM was ordered as a text.
-- columns: int, enum
-- rows: ordered
SELECT t1.ok AS c1, max(t1.e) AS c2 FROM left.people AS t1 GROUP BY t1.ok ORDER BY c2, c1;
SELECT * FROM (SELECT t1.ok AS c1, max(t1.e) AS c2 FROM people AS t1 GROUP BY t1.ok) AS o ORDER BY c2 IS NULL, c2, c1 IS NULL, c1;
-- columns: int, set
-- rows: ordered
SELECT q2.c1 AS c1, q2.c2 AS c2 FROM (SELECT t1.ok AS c1, min(t1.s) AS c2 FROM left.people AS t1 GROUP BY t1.ok) AS q2 ORDER BY c2 DESC, c1;
SELECT q2.c1 AS c1, q2.c2 AS c2 FROM (SELECT t1.ok AS c1, min(t1.s) AS c2 FROM people AS t1 GROUP BY t1.ok) AS q2 ORDER BY c2 IS NULL DESC, c2 DESC, c1 IS NULL, c1;

-- A filter over a join went down to the other of two columns of one name.
-- columns: bool
SELECT t2.u = t2.u AS c2 FROM right.words AS t2 RIGHT JOIN far.items AS t3 ON t2.l = t3.u WHERE (nullif(t2.u, t3.u) NOT IN ('b') AND t3.huge NOT IN (0.0000000001));
SELECT t2.u = t2.u AS c2 FROM words AS t2 RIGHT JOIN items AS t3 ON t2.l = t3.u WHERE (nullif(t2.u, t3.u) NOT IN ('b') AND t3.huge NOT IN (0.0000000001));

-- A column made by a cast that loses digits was compared without the cast.
-- columns: dec
SELECT q2.c1 AS c3 FROM (SELECT CAST(t1.amount AS DECIMAL(20, 3)) AS c1 FROM far.loose AS t1) AS q2 WHERE CAST(0.0001 AS DECIMAL(20, 3)) IS DISTINCT FROM q2.c1;
SELECT q2.c1 AS c3 FROM (SELECT CAST(t1.amount AS DECIMAL(20, 3)) AS c1 FROM loose AS t1) AS q2 WHERE NOT (CAST(0.0001 AS DECIMAL(20, 3)) <=> q2.c1);
-- columns: int
WITH w2 AS (SELECT CAST(t1.amount AS DECIMAL(20, 0)) AS c1, t1.line AS c2 FROM right.orders AS t1) SELECT q3.c2 AS c1 FROM w2 AS q3 WHERE q3.c1 IN (2, 7);
WITH w2 AS (SELECT CAST(t1.amount AS DECIMAL(20, 0)) AS c1, t1.line AS c2 FROM orders AS t1) SELECT q3.c2 AS c1 FROM w2 AS q3 WHERE q3.c1 IN (2, 7);

-- Rows that are looked for in a subquery were refused.
-- columns: int
SELECT t1.person AS c1 FROM right.orders AS t1 WHERE (t1.person, t1.day) IN (SELECT t2.id AS c1, t2.born AS c2 FROM left.people AS t2 WHERE t2.big = t1.big);
SELECT t1.person AS c1 FROM orders AS t1 WHERE (t1.person, t1.day) IN (SELECT t2.id AS c1, t2.born AS c2 FROM people AS t2 WHERE t2.big = t1.big);
-- columns: int
SELECT t1.line AS c1 FROM right.orders AS t1 WHERE (t1.person, t1.g) IN (SELECT t2.id AS c1, t2.g AS c2 FROM left.people AS t2);
SELECT t1.line AS c1 FROM orders AS t1 WHERE (t1.person, t1.g) IN (SELECT t2.id AS c1, t2.g AS c2 FROM people AS t2);
-- columns: int
SELECT t1.line AS c1 FROM right.orders AS t1 WHERE (t1.person, t1.yr) NOT IN (SELECT t2.num AS c1, t2.mu AS c2 FROM far.items AS t2);
SELECT t1.line AS c1 FROM orders AS t1 WHERE (t1.person, t1.yr) NOT IN (SELECT t2.num AS c1, t2.mu AS c2 FROM items AS t2);
-- columns: int
SELECT t1.line AS c1 FROM right.orders AS t1 WHERE NOT ((t1.person, t1.bits) NOT IN (SELECT t2.num AS c1, t2.mu AS c2 FROM far.items AS t2)) OR t1.line = 3;
SELECT t1.line AS c1 FROM orders AS t1 WHERE NOT ((t1.person, t1.bits) NOT IN (SELECT t2.num AS c1, t2.mu AS c2 FROM items AS t2)) OR t1.line = 3;

-- A relation of the query around was taken for a column of the one within.
-- columns: big
SELECT num.id AS c1 FROM far.items AS num WHERE EXISTS (SELECT 1 AS c1 FROM left.tags AS t2 WHERE t2.num = num.id);
SELECT num.id AS c1 FROM items AS num WHERE EXISTS (SELECT 1 AS c1 FROM tags AS t2 WHERE t2.num = num.id);
-- columns: int
SELECT b.id AS c1 FROM left.people AS b WHERE b.id IN (SELECT t2.person AS c1 FROM right.orders AS t2 WHERE t2.b = b.b) ORDER BY b.id;
SELECT b.id AS c1 FROM people AS b WHERE b.id IN (SELECT t2.person AS c1 FROM orders AS t2 WHERE t2.b = b.b) ORDER BY b.id;

-- A key and something else that is grouped by.
-- columns: int, utf8mb4_general_ci, int
SELECT t1.id AS c1, lower(t1.g) AS c2, count(*) AS c3 FROM left.people AS t1 JOIN right.orders AS t2 ON t2.person = t1.id GROUP BY t1.id, lower(t1.g);
SELECT t1.id AS c1, lower(t1.g) AS c2, count(*) AS c3 FROM people AS t1 JOIN orders AS t2 ON t2.person = t1.id GROUP BY t1.id, lower(t1.g);
-- columns: int, date, int
SELECT t1.id AS c1, t1.born AS c2, extract(year FROM t1.at) AS c3 FROM left.people AS t1 GROUP BY t1.id, extract(year FROM t1.at);
SELECT t1.id AS c1, t1.born AS c2, year(t1.at) AS c3 FROM people AS t1;

-- A TIME had all its minutes for the minute, and all its seconds for the second.
-- columns: int, int
SELECT extract(minute FROM t1.pause) AS c1, extract(second FROM t1.pause) AS c2 FROM right.orders AS t1;
SELECT extract(minute FROM t1.pause) AS c1, extract(second FROM t1.pause) AS c2 FROM orders AS t1;

-- A double of a UNION was compared within a subquery as the decimal that it was taken for.
-- columns: int
SELECT count(*) AS c1 FROM (SELECT t1.price AS c2 FROM far.items AS t1 UNION ALL SELECT t2.ratio FROM right.orders AS t2) AS q3 WHERE EXISTS (SELECT 1 AS c1 FROM far.items AS t4 WHERE t4.ratio = q3.c2);
SELECT count(*) AS c1 FROM (SELECT t1.price AS c2 FROM items AS t1 UNION ALL SELECT t2.ratio FROM orders AS t2) AS q3 WHERE EXISTS (SELECT 1 AS c1 FROM items AS t4 WHERE t4.ratio = q3.c2);

-- A text that stands in for a moment was read as nanoseconds, which end in the year 2262.
-- columns: int
SELECT count(*) AS c1 FROM far.items AS t1 WHERE CASE WHEN t1.price > 0 THEN t1.made ELSE '9999-12-31' END > TIMESTAMP '2024-02-01 00:00:00';
SELECT count(*) AS c1 FROM items AS t1 WHERE CASE WHEN t1.price > 0 THEN t1.made ELSE CAST('9999-12-31' AS DATETIME(6)) END > TIMESTAMP '2024-02-01 00:00:00';

-- LIKE of a grouped text was asked of all the texts of the group.
-- columns: utf8mb4_general_ci
SELECT t1.g AS c1 FROM right.orders AS t1 GROUP BY t1.g HAVING t1.g NOT LIKE '% ';
-

-- A calculated number in GROUP BY was taken for the place of a column.
-- columns: int
SELECT count(*) AS c1 FROM (SELECT CAST(t1.price AS VARCHAR) AS c1 FROM left.tags AS t1) AS q2 GROUP BY 1 + 0;
SELECT count(*) AS c1 FROM (SELECT CAST(t1.price AS CHAR) AS c1 FROM tags AS t1) AS q2 GROUP BY 1 + 0;

-- A LIMIT went below windows.
-- columns: dec, int, int
-- rows: ordered limited
SELECT t1.amount AS c1, count(*) OVER (PARTITION BY t1.amount ORDER BY t1.bt DESC) AS c2, count(*) OVER () AS c3 FROM far.loose AS t1 ORDER BY c1, c2, c3 LIMIT 5;
SELECT * FROM (SELECT t1.amount AS c1, count(*) OVER (PARTITION BY t1.amount ORDER BY (t1.bt + 0) IS NULL DESC, (t1.bt + 0) DESC) AS c2, count(*) OVER () AS c3 FROM loose AS t1) AS o ORDER BY c1 IS NULL, c1, c2 IS NULL, c2, c3 IS NULL, c3 LIMIT 5;
-- columns: moment, int, int
-- rows: ordered limited
SELECT q6.c1 AS c1, count(*) OVER (PARTITION BY q6.c1 ) AS c2, count(*) OVER (ORDER BY q6.c1) AS c3 FROM (SELECT t1.at AS c1 FROM right.words AS t1 JOIN right.words AS t2 ON t1.l = t2.l) AS q6 ORDER BY c1, c3, c2 LIMIT 20;
SELECT * FROM (SELECT q6.c1 AS c1, count(*) OVER (PARTITION BY q6.c1 ) AS c2, count(*) OVER (ORDER BY q6.c1 IS NULL, q6.c1) AS c3 FROM (SELECT t1.at AS c1 FROM words AS t1 JOIN words AS t2 ON t1.l = t2.l) AS q6) AS o ORDER BY c1 IS NULL, c1, c3 IS NULL, c3, c2 IS NULL, c2 LIMIT 20;

-- Two comparisons with one constant were taken for a contradiction, or the weaker one was kept.
-- columns: utf8mb4_general_ci
SELECT t1.note AS c1 FROM left.tags AS t1 JOIN (SELECT t3.pause AS c1 FROM right.orders AS t3) AS q4 ON '838:59:59' = q4.c1 WHERE q4.c1 BETWEEN '838:59:59' AND '838:59:59';
SELECT t1.note AS c1 FROM tags AS t1 JOIN (SELECT t3.pause AS c1 FROM orders AS t3) AS q4 ON '838:59:59' = q4.c1 WHERE q4.c1 BETWEEN '838:59:59' AND '838:59:59';
-- columns: int
SELECT count(*) AS c1 FROM far.items AS t1 WHERE t1.ratio = 0e0 AND t1.ratio = -0e0;
SELECT count(*) AS c1 FROM items AS t1 WHERE t1.ratio = 0e0 AND t1.ratio = -0e0;
-- columns: int
SELECT count(*) AS c1 FROM left.tags AS t1 JOIN right.orders AS t2 ON -1.5 = t2.amount WHERE t2.amount = -1.50;
SELECT count(*) AS c1 FROM tags AS t1 JOIN orders AS t2 ON -1.5 = t2.amount WHERE t2.amount = -1.50;
-- columns: int
SELECT count(*) AS c1 FROM left.tags AS t1 JOIN right.orders AS t2 ON 2e0 < t2.ratio WHERE t2.ratio >= 2e0;
SELECT count(*) AS c1 FROM tags AS t1 JOIN orders AS t2 ON 2e0 < t2.ratio WHERE t2.ratio >= 2e0;

-- A TIME could not be written as one.
-- columns: int
SELECT count(*) AS c1 FROM right.orders AS t1 WHERE t1.pause BETWEEN TIME '-10:00:00' AND TIME '838:59:58';
SELECT count(*) AS c1 FROM orders AS t1 WHERE t1.pause BETWEEN TIME '-10:00:00' AND TIME '838:59:58';
-- columns: time
SELECT CAST(t1.at AS TIME) AS c1 FROM right.words AS t1;
SELECT CAST(t1.at AS TIME(6)) AS c1 FROM words AS t1;

-- A sum was compared within a subquery as the type that it had before the parts of its CASE were one.
-- columns: utf8mb4_bin
SELECT t1.b AS c1 FROM far.loose AS t1 RIGHT JOIN (SELECT sum(CASE WHEN t2.un <> 'A' THEN t2.n ELSE 7 END) FILTER (WHERE t3.big < 18446744073709551615) AS c1 FROM right.words AS t2 JOIN right.orders AS t3 ON t2.n = t3.person) AS q4 ON q4.c1 < t1.num WHERE NOT EXISTS (SELECT 1 AS c1 FROM far.items AS t6 WHERE t6.mu = q4.c1);
SELECT t1.b AS c1 FROM loose AS t1 RIGHT JOIN (SELECT sum(CASE WHEN t3.big < 18446744073709551615 THEN CASE WHEN t2.un <> 'A' THEN t2.n ELSE 7 END END) AS c1 FROM words AS t2 JOIN orders AS t3 ON t2.n = t3.person) AS q4 ON q4.c1 < t1.num WHERE NOT EXISTS (SELECT 1 AS c1 FROM items AS t6 WHERE t6.mu = q4.c1);

-- An OFFSET alone was lost over a join that gives more rows than its sides, and over a union.
-- columns: int
SELECT count(*) AS c1 FROM (SELECT t1.id FROM far.items AS t1 UNION ALL SELECT t2.id FROM far.items AS t2 OFFSET 5) AS q1;
SELECT count(*) AS c1 FROM (SELECT * FROM (SELECT t1.id FROM items AS t1 UNION ALL SELECT t2.id FROM items AS t2) AS o LIMIT 1000000 OFFSET 5) AS q1;
-- columns: big
-- rows: ordered limited
SELECT t1.id AS c1 FROM far.items AS t1 UNION ALL SELECT t2.id AS c1 FROM far.items AS t2 WHERE t2.id > 7 ORDER BY c1 OFFSET 5;
SELECT * FROM (SELECT t1.id AS c1 FROM items AS t1 UNION ALL SELECT t2.id AS c1 FROM items AS t2 WHERE t2.id > 7) AS o ORDER BY c1 IS NULL, c1 LIMIT 1000000 OFFSET 5;
-- columns: int
SELECT count(*) AS c1 FROM (SELECT t1.id FROM far.items AS t1 JOIN far.loose AS t2 ON t1.num = t2.num OFFSET 3) AS q1;
SELECT count(*) AS c1 FROM (SELECT t1.id FROM items AS t1 JOIN loose AS t2 ON t1.num = t2.num LIMIT 1000000 OFFSET 3) AS q1;

-- A condition went below a total when HAVING was between.
-- columns: int
SELECT q1.m AS c1 FROM (SELECT max(t1.id) AS m FROM far.items AS t1 HAVING count(*) >= 0) AS q1 WHERE (SELECT count(*) AS c1 FROM far.loose AS t2) < 1;
SELECT q1.m AS c1 FROM (SELECT max(t1.id) AS m FROM items AS t1 HAVING count(*) >= 0) AS q1 WHERE (SELECT count(*) AS c1 FROM loose AS t2) < 1;

-- Texts in GROUP BY were taken for numbers.
-- columns: int
SELECT count(*) AS c1 FROM far.items AS t1 GROUP BY 'a' || 'b';
SELECT count(*) AS c1 FROM items AS t1 GROUP BY concat('a', 'b');

-- Keys of a join told a source which moments to give, of which it was asked for the days.
-- columns: int
SELECT count(*) AS c1 FROM (SELECT CAST(t1.at AS DATE) AS d FROM right.words AS t1) AS q1 JOIN left.people AS t2 ON q1.d = t2.at;
SELECT count(*) AS c1 FROM (SELECT CAST(t1.at AS DATE) AS d FROM words AS t1) AS q1 JOIN people AS t2 ON q1.d = t2.at;
-- columns: int
SELECT count(*) AS c1 FROM (SELECT CAST(t1.at AS DATE) AS d FROM right.words AS t1) AS q1 JOIN (SELECT CAST(CAST(t2.at AS DATE) AS TIMESTAMP) AS m FROM left.people AS t2) AS q2 ON q1.d = q2.m;
SELECT count(*) AS c1 FROM (SELECT CAST(t1.at AS DATE) AS d FROM words AS t1) AS q1 JOIN (SELECT CAST(CAST(t2.at AS DATE) AS DATETIME(6)) AS m FROM people AS t2) AS q2 ON q1.d = q2.m;

-- nullif had the places of what it compared with.
-- columns: quotient
SELECT nullif(t1.price, 99999.9999) / t1.num AS c1 FROM left.tags AS t1;
SELECT nullif(t1.price, 99999.9999) / t1.num AS c1 FROM tags AS t1;

-- Moments and doubles as texts were those of neither database.
-- columns: shown, shown, shown
SELECT CAST(t1.at AS VARCHAR) AS c1, t1.at || '!' AS c2, CAST(t1.at AS DATE) || '' AS c3 FROM right.words AS t1;
SELECT CAST(t1.at AS CHAR) AS c1, concat(t1.at, '!') AS c2, CAST(CAST(t1.at AS DATE) AS CHAR) AS c3 FROM words AS t1;
-- columns: shown
SELECT CAST(t1.ratio AS VARCHAR) AS c1 FROM far.items AS t1;
SELECT CAST(t1.ratio AS CHAR) AS c1 FROM items AS t1;
-- columns: int
SELECT count(*) AS c1 FROM right.words AS t1 WHERE CAST(t1.at AS VARCHAR) LIKE '2023-03-15 08%';
SELECT count(*) AS c1 FROM words AS t1 WHERE CAST(t1.at AS CHAR) LIKE '2023-03-15 08%';

-- A join that is computed here was left without the columns that are passed on of it.
-- columns: int
SELECT t3.line AS c1 FROM right.words AS t1 JOIN right.words AS t2 ON t1.u = t2.u JOIN right.orders AS t3 ON t1.n = t3.line WHERE t3.amount NOT IN (SELECT t4.amount AS c1 FROM right.orders AS t4);
SELECT t3.line AS c1 FROM words AS t1 JOIN words AS t2 ON t1.u = t2.u JOIN orders AS t3 ON t1.n = t3.line WHERE t3.amount NOT IN (SELECT t4.amount AS c1 FROM orders AS t4);

-- What is constant on a side of an outer join was taken for constant above it, where rows miss that side.
-- columns: utf8mb4_general_ci, int
-- rows: ordered
WITH w3 AS (SELECT min(t2.num) AS c1 FROM right.words AS t1 JOIN far.items AS t2 ON t1.n = t2.id) SELECT t4.code AS c1, q5.c1 AS c2 FROM left.tags AS t4 LEFT JOIN w3 AS q5 ON t4.price = q5.c1 ORDER BY c2, c1;
WITH w3 AS (SELECT min(t2.num) AS c1 FROM words AS t1 JOIN items AS t2 ON t1.n = t2.id) SELECT * FROM (SELECT t4.code AS c1, q5.c1 AS c2 FROM tags AS t4 LEFT JOIN w3 AS q5 ON t4.price = q5.c1) AS o ORDER BY c2 IS NULL, c2, c1 IS NULL, c1;
-- columns: int, int
-- rows: ordered
SELECT t1.id AS c1, q2.person AS c2 FROM left.people AS t1 LEFT JOIN (SELECT * FROM right.orders WHERE person = 3 LIMIT 100) AS q2 ON q2.line % 5 = t1.id % 5 ORDER BY c2, c1;
SELECT t1.id AS c1, q2.person AS c2 FROM people AS t1 LEFT JOIN (SELECT * FROM orders WHERE person = 3 LIMIT 100) AS q2 ON q2.line % 5 = t1.id % 5 ORDER BY c2 IS NULL, c2, c1;
-- What is constant below ROLLUP was taken for constant above it.
-- columns: int, int, int
-- rows: ordered
SELECT t1.person AS c1, t1.line AS c2, count(*) AS c3 FROM (SELECT * FROM right.orders WHERE person = 3 LIMIT 100) AS t1 GROUP BY ROLLUP(t1.person, t1.line) ORDER BY c2, c1, c3;
SELECT * FROM (SELECT t1.person AS c1, t1.line AS c2, count(*) AS c3 FROM (SELECT * FROM orders WHERE person = 3 LIMIT 100) AS t1 GROUP BY t1.person, t1.line WITH ROLLUP) AS o ORDER BY c2 IS NULL, c2, c1 IS NULL, c1, c3;

-- A projection went below a filter that hands on some columns, and took its columns for those of all.
-- columns: int, wide
SELECT t2.num AS c1, CASE t2.price WHEN -1.5 THEN t2.wide ELSE t2.wide END AS c2 FROM left.tags AS t1 FULL JOIN far.items AS t2 ON t2.id = t1.price WHERE abs(t1.num) NOT IN (0);
SELECT t2.num AS c1, CASE t2.price WHEN -1.5 THEN t2.wide ELSE t2.wide END AS c2 FROM tags AS t1 LEFT JOIN items AS t2 ON t2.id = t1.price WHERE abs(t1.num) NOT IN (0);
-- A function of ours was asked what becomes of NULL, with NULLs of no type, and panicked.
-- columns: utf8mb4_bin
SELECT t2.b AS c1 FROM far.items AS t1 LEFT JOIN right.orders AS t2 ON t2.ratio = t1.ratio WHERE (t2.ratio + t1.ratio) IN (0.1e0);
SELECT t2.b AS c1 FROM items AS t1 LEFT JOIN orders AS t2 ON t2.ratio = t1.ratio WHERE (t2.ratio + t1.ratio) IN (0.1e0);

-- An aggregate without groups has a row though it finds none: EXISTS of it lost that where it depends on what is around.
-- columns: int
SELECT count(*) AS c1 FROM left.people AS t1 WHERE EXISTS (SELECT count(*) FROM right.orders AS t2 WHERE t2.person = t1.id);
SELECT count(*) AS c1 FROM people AS t1 WHERE EXISTS (SELECT count(*) FROM orders AS t2 WHERE t2.person = t1.id);
-- columns: int
SELECT count(*) AS c1 FROM left.people AS t1 WHERE NOT EXISTS (SELECT max(t2.line) FROM right.orders AS t2 WHERE t2.person = t1.id);
SELECT count(*) AS c1 FROM people AS t1 WHERE NOT EXISTS (SELECT max(t2.line) FROM orders AS t2 WHERE t2.person = t1.id);
-- EXISTS lost an OFFSET, and was refused with an order and a LIMIT.
-- columns: int
SELECT count(*) AS c1 FROM left.people AS t1 WHERE EXISTS (SELECT 1 FROM right.orders AS t2 WHERE t2.person = t1.id LIMIT 1 OFFSET 1);
SELECT count(*) AS c1 FROM people AS t1 WHERE EXISTS (SELECT 1 FROM orders AS t2 WHERE t2.person = t1.id LIMIT 1 OFFSET 1);
-- columns: int
SELECT count(*) AS c1 FROM left.people AS t1 WHERE NOT EXISTS (SELECT 1 FROM right.orders AS t2 WHERE t2.person = t1.id LIMIT 1 OFFSET 2);
SELECT count(*) AS c1 FROM people AS t1 WHERE NOT EXISTS (SELECT 1 FROM orders AS t2 WHERE t2.person = t1.id LIMIT 1 OFFSET 2);
-- columns: int
SELECT count(*) AS c1 FROM left.people AS t1 WHERE EXISTS (SELECT 1 FROM right.orders AS t2 WHERE t2.person = t1.id ORDER BY t2.line LIMIT 3);
SELECT count(*) AS c1 FROM people AS t1 WHERE EXISTS (SELECT 1 FROM orders AS t2 WHERE t2.person = t1.id ORDER BY t2.line LIMIT 3);

-- -0 was another value than 0 for IN, CASE, nullif, and the orders and parts of windows.
-- columns: int, int, int
SELECT count(*) AS c1, sum(CASE (t1.ratio - t1.ratio) * -1 WHEN 0 THEN 1 ELSE 0 END) AS c2, count(nullif((t1.ratio - t1.ratio) * -1, 0)) AS c3 FROM far.items AS t1 WHERE (t1.ratio - t1.ratio) * -1 IN (0, 7, 8, 9);
SELECT count(*) AS c1, sum(CASE (t1.ratio - t1.ratio) * -1 WHEN 0 THEN 1 ELSE 0 END) AS c2, count(nullif((t1.ratio - t1.ratio) * -1, 0)) AS c3 FROM items AS t1 WHERE (t1.ratio - t1.ratio) * -1 IN (0, 7, 8, 9);
-- columns: int, int
SELECT max(q.c1) AS c1, min(q.c2) AS c2 FROM (SELECT rank() OVER (ORDER BY CASE WHEN t1.id % 2 = 0 THEN (t1.ratio - t1.ratio) * -1 ELSE 0e0 END) AS c1, count(*) OVER (PARTITION BY CASE WHEN t1.id % 2 = 0 THEN (t1.ratio - t1.ratio) * -1 ELSE 0e0 END) AS c2 FROM far.items AS t1 WHERE t1.ratio IS NOT NULL) AS q;
SELECT max(q.c1) AS c1, min(q.c2) AS c2 FROM (SELECT rank() OVER (ORDER BY CASE WHEN t1.id % 2 = 0 THEN (t1.ratio - t1.ratio) * -1 ELSE 0e0 END) AS c1, count(*) OVER (PARTITION BY CASE WHEN t1.id % 2 = 0 THEN (t1.ratio - t1.ratio) * -1 ELSE 0e0 END) AS c2 FROM items AS t1 WHERE t1.ratio IS NOT NULL) AS q;

-- -0 that an ORDER BY itself makes of whole numbers came before 0.
-- columns: int
SELECT t1.id AS c1 FROM far.items AS t1 WHERE t1.id > 0 ORDER BY CAST(t1.id % 2 AS DOUBLE) * CASE WHEN t1.id % 3 = 0 THEN -1 ELSE 1 END, t1.id LIMIT 15;
SELECT t1.id AS c1 FROM items AS t1 WHERE t1.id > 0 ORDER BY CAST(t1.id % 2 AS DOUBLE) * CASE WHEN t1.id % 3 = 0 THEN -1 ELSE 1 END, t1.id LIMIT 15;

-- Each pair of rows of < ANY was compared by itself, and the keys of its texts made anew for that: seconds for a hundred rows.
-- columns: int, int
SELECT t2.person AS c2, abs(extract(second FROM t2.ts)) AS c3 FROM left.tags AS t1 LEFT JOIN right.orders AS t2 ON t2.b < t1.code WHERE t1.note < ANY (SELECT t3.g AS c1 FROM right.orders AS t3 WHERE t3.pause <> '838:59:59');
SELECT t2.person AS c2, abs(extract(second FROM CAST(t2.ts AS DATETIME(6)))) AS c3 FROM tags AS t1 LEFT JOIN orders AS t2 ON t2.b < t1.code WHERE t1.note < ANY (SELECT t3.g AS c1 FROM orders AS t3 WHERE t3.pause <> '838:59:59');

-- ANY and ALL of an aggregate without groups that depends on what is around it lost its row where it finds none.
-- columns: int
SELECT count(*) AS c1 FROM left.people AS t1 WHERE t1.boss > ALL (SELECT max(t2.line) FROM right.orders AS t2 WHERE t2.person = t1.id);
SELECT count(*) AS c1 FROM people AS t1 WHERE t1.boss > ALL (SELECT max(t2.line) FROM orders AS t2 WHERE t2.person = t1.id);
-- columns: int
SELECT count(*) AS c1 FROM left.people AS t1 WHERE 0 >= ANY (SELECT count(*) FROM right.orders AS t2 WHERE t2.person = t1.id);
SELECT count(*) AS c1 FROM people AS t1 WHERE 0 >= ANY (SELECT count(*) FROM orders AS t2 WHERE t2.person = t1.id);
-- columns: int, bool
SELECT t1.id AS c1, t1.id <> ALL (SELECT count(*) FROM right.orders AS t2 WHERE t2.person = t1.id) AS c2 FROM left.people AS t1;
SELECT t1.id AS c1, t1.id <> ALL (SELECT count(*) FROM orders AS t2 WHERE t2.person = t1.id) AS c2 FROM people AS t1;

-- -0 was another value than 0 for several DISTINCT aggregates, and for an ORDER BY within one.
-- columns: int, int
SELECT count(DISTINCT CASE WHEN t1.id % 2 = 0 THEN (t1.ratio - t1.ratio) * -1 ELSE 0e0 END) AS c1, count(DISTINCT t1.id) AS c2 FROM far.items AS t1;
SELECT count(DISTINCT CASE WHEN t1.id % 2 = 0 THEN (t1.ratio - t1.ratio) * -1 ELSE 0e0 END) AS c1, count(DISTINCT t1.id) AS c2 FROM items AS t1;

-- EXISTS with an order and OFFSET was refused.
-- columns: int
SELECT count(*) AS c1 FROM left.people AS t1 WHERE EXISTS (SELECT 1 FROM right.orders AS t2 WHERE t2.person = t1.id ORDER BY t2.line LIMIT 1 OFFSET 1);
SELECT count(*) AS c1 FROM people AS t1 WHERE EXISTS (SELECT 1 FROM orders AS t2 WHERE t2.person = t1.id ORDER BY t2.line LIMIT 1 OFFSET 1);

-- A value that does not depend on a count was NULL for a row that finds none.
-- columns: int, bool
SELECT t1.id AS c1, (SELECT count(*) IS NOT NULL FROM right.orders AS t2 WHERE t2.person = t1.id) AS c2 FROM left.people AS t1;
SELECT t1.id AS c1, (SELECT count(*) IS NOT NULL FROM orders AS t2 WHERE t2.person = t1.id) AS c2 FROM people AS t1;

-- Of two columns of one name that a subquery is correlated by, one was compared twice.
-- columns: int
SELECT t1.id AS c1 FROM left.people AS t1 WHERE (t1.born, t1.born) IN (SELECT t4.day AS c1, t3.day AS c2 FROM right.orders AS t3 JOIN right.orders AS t4 ON t4.g = t3.g WHERE t4.line = t1.id);
SELECT t1.id AS c1 FROM people AS t1 WHERE (t1.born, t1.born) IN (SELECT t4.day AS c1, t3.day AS c2 FROM orders AS t3 JOIN orders AS t4 ON t4.g = t3.g WHERE t4.line = t1.id);

-- columns: int
SELECT t1.id AS c1 FROM left.people AS t1 WHERE EXISTS (SELECT 1 AS c1 FROM left.people AS t2 JOIN right.orders AS t3 ON t2.id = t3.person JOIN right.orders AS t4 ON t4.person = t2.boss WHERE t3.g = t1.g AND t4.g <> t1.g);
SELECT t1.id AS c1 FROM people AS t1 WHERE EXISTS (SELECT 1 AS c1 FROM people AS t2 JOIN orders AS t3 ON t2.id = t3.person JOIN orders AS t4 ON t4.person = t2.boss WHERE t3.g = t1.g AND t4.g <> t1.g);

-- A text that stands for a group had another collation where the greatest of some was taken.
-- columns: utf8mb4_general_ci loose
SELECT max(q2.c1) AS c3 FROM (SELECT t1.c AS c1, min(t1.boss) AS c3 FROM left.people AS t1 GROUP BY t1.c, t1.born) AS q2 GROUP BY q2.c3;
SELECT max(q2.c1) AS c3 FROM (SELECT t1.c AS c1, min(t1.boss) AS c3 FROM people AS t1 GROUP BY t1.c, t1.born) AS q2 GROUP BY q2.c3;

-- Ranks were unsigned, and what was added to them decimals; a filtered total of a cached table's total was that total.
-- columns: int
SELECT 3 / (q2.r + q2.r) AS c1 FROM (SELECT dense_rank() OVER (ORDER BY t1.id) AS r FROM left.people AS t1) AS q2;
SELECT 3 DIV (q2.r + q2.r) AS c1 FROM (SELECT dense_rank() OVER (ORDER BY t1.id) AS r FROM people AS t1) AS q2;
-- columns: int
SELECT count(*) FILTER (WHERE q2.c1 > 1000) AS c1 FROM (SELECT count(*) AS c1 FROM far.items AS t1) AS q2;
SELECT count(CASE WHEN q2.c1 > 1000 THEN 1 END) AS c1 FROM (SELECT count(*) AS c1 FROM items AS t1) AS q2;

-- Rows that were looked for in a subquery that depends on what is around it, but not there alone, were looked for in columns that nobody wrote.
-- columns: int
SELECT t1.id AS c1 FROM left.people AS t1 WHERE (born, g) NOT IN (SELECT t2.day, t2.g FROM right.orders AS t2 WHERE t2.person = t1.id);
SELECT t1.id AS c1 FROM people AS t1 WHERE (born, g) NOT IN (SELECT t2.day, t2.g FROM orders AS t2 WHERE t2.person = t1.id);
-- columns: int
SELECT t1.line AS c1 FROM right.orders AS t1 WHERE (t1.person, t1.line) IN (SELECT t2.person, max(t2.line) FROM right.orders AS t2 WHERE t2.day = t1.day GROUP BY t2.person);
SELECT t1.line AS c1 FROM orders AS t1 WHERE (t1.person, t1.line) IN (SELECT t2.person, max(t2.line) FROM orders AS t2 WHERE t2.day = t1.day GROUP BY t2.person);

-- A value that is looked up by a key was refused where the types differ; a total by what is computed was one of each value of the column.
-- columns: int, utf8mb4_general_ci
SELECT t1.line AS c1, (SELECT t2.g FROM left.people AS t2 WHERE t2.id = t1.line) AS c2 FROM right.orders AS t1;
SELECT t1.line AS c1, (SELECT t2.g FROM people AS t2 WHERE t2.id = t1.line) AS c2 FROM orders AS t1;
-- columns: int, int
SELECT t1.line AS c1, (SELECT count(*) FROM left.people AS t2 WHERE CAST(t2.at AS DATE) = t1.day) AS c2 FROM right.orders AS t1;
SELECT t1.line AS c1, (SELECT count(*) FROM people AS t2 WHERE CAST(t2.at AS DATE) = t1.day) AS c2 FROM orders AS t1;

-- A day and hours were a day.
-- columns: moment
SELECT t1.born + INTERVAL '10 hours' AS c1 FROM left.people AS t1;
SELECT t1.born + INTERVAL 10 HOUR AS c1 FROM people AS t1;

-- Groups that are in an order, for a window below them is, were limited as if an order were asked for; texts were put together in one order of two.
-- columns: int
WITH w4 AS ((SELECT t2.amount AS c1 FROM far.loose AS t2) INTERSECT ALL (SELECT t3.amount AS c1 FROM right.orders AS t3)) SELECT count(*) AS c1 FROM (SELECT stddev_pop(-1) AS c3 FROM w4 AS q5 GROUP BY q5.c1 LIMIT 10) AS q6;
WITH w4 AS ((SELECT t2.amount AS c1 FROM loose AS t2) INTERSECT ALL (SELECT t3.amount AS c1 FROM orders AS t3)) SELECT count(*) AS c1 FROM (SELECT * FROM (SELECT stddev_pop(-1 + 0e0) AS c3 FROM w4 AS q5 GROUP BY q5.c1) AS o LIMIT 10) AS q6;
-- columns: shown, shown
SELECT string_agg(CAST(t1.n AS VARCHAR), ',' ORDER BY t1.n) AS c3, string_agg(CAST(t3.num AS VARCHAR), ',' ORDER BY t3.num) AS c4 FROM right.words AS t1 JOIN far.loose AS t3 ON t1.k = t3.b WHERE NOT t3.num;
SELECT group_concat(t1.n ORDER BY t1.n SEPARATOR ',') AS c3, group_concat(t3.num ORDER BY t3.num SEPARATOR ',') AS c4 FROM words AS t1 JOIN loose AS t3 ON t1.k = t3.b WHERE NOT t3.num;
-- columns: shown, shown
SELECT string_agg(CAST(t1.line AS VARCHAR), ',' ORDER BY t1.line) AS c1, string_agg(DISTINCT CAST(t1.line AS VARCHAR), ',' ORDER BY CAST(t1.line AS VARCHAR) DESC) AS c2 FROM right.orders AS t1;
SELECT group_concat(t1.line ORDER BY t1.line SEPARATOR ',') AS c1, group_concat(DISTINCT CAST(t1.line AS CHAR) ORDER BY CAST(t1.line AS CHAR) DESC SEPARATOR ',') AS c2 FROM orders AS t1;

-- What is cast was called as what it is made of, beside which it was refused in an aggregate, a GROUP BY or a window.
-- columns: moment, date, int
SELECT t1.at AS c1, CAST(t1.at AS DATE) AS c2, count(*) AS c3 FROM left.people AS t1 GROUP BY t1.at, CAST(t1.at AS DATE);
SELECT t1.at AS c1, CAST(t1.at AS DATE) AS c2, count(*) AS c3 FROM people AS t1 GROUP BY t1.at, CAST(t1.at AS DATE);
-- columns: dec, dec, int
SELECT max(t1.amount) AS c1, max(CAST(t1.amount AS DECIMAL(20, 3))) AS c2, count(*) + 1 AS c3 FROM right.orders AS t1 HAVING max(CAST(t1.amount AS DECIMAL(20, 3))) > 0;
SELECT max(t1.amount) AS c1, max(CAST(t1.amount AS DECIMAL(20, 3))) AS c2, count(*) + 1 AS c3 FROM orders AS t1 HAVING max(CAST(t1.amount AS DECIMAL(20, 3))) > 0;
-- columns: int, int
SELECT count(DISTINCT t1.g) AS c1, count(DISTINCT t1.g COLLATE utf8mb4_bin) AS c2 FROM right.orders AS t1;
SELECT count(DISTINCT t1.g) AS c1, count(DISTINCT t1.g COLLATE utf8mb4_bin) AS c2 FROM orders AS t1;

-- The value of a subquery that finds no row was not NULL, where its column never is.
-- columns: int, int
SELECT t1.line AS c1, coalesce((SELECT t2.id FROM left.people AS t2 WHERE t2.id = t1.person), -1) AS c2 FROM right.orders AS t1;
SELECT t1.line AS c1, coalesce((SELECT t2.id FROM people AS t2 WHERE t2.id = t1.person), -1) AS c2 FROM orders AS t1;
-- columns: int
SELECT count(*) AS c1 FROM right.orders AS t1 WHERE (SELECT t2.id FROM left.people AS t2 WHERE t2.id = t1.line + 1000) IS NULL;
SELECT count(*) AS c1 FROM orders AS t1 WHERE (SELECT t2.id FROM people AS t2 WHERE t2.id = t1.line + 1000) IS NULL;
-- columns: int
SELECT coalesce((SELECT t1.id FROM left.people AS t1 WHERE t1.id = -77), 5) AS c1 FROM left.people AS t2;
SELECT coalesce((SELECT t1.id FROM people AS t1 WHERE t1.id = -77), 5) AS c1 FROM people AS t2;

-- Rows that are looked for by the one value of a subquery: read whole before, a semi join since.
-- columns: int
SELECT t1.line AS c1 FROM right.orders AS t1 WHERE t1.person = (SELECT min(t2.id) FROM left.people AS t2);
SELECT t1.line AS c1 FROM orders AS t1 WHERE t1.person = (SELECT min(t2.id) FROM people AS t2);
-- columns: int
SELECT t1.line AS c1 FROM right.orders AS t1 WHERE t1.g = (SELECT upper(t2.g) FROM left.people AS t2 WHERE t2.id = 3);
SELECT t1.line AS c1 FROM orders AS t1 WHERE t1.g = (SELECT upper(t2.g) FROM people AS t2 WHERE t2.id = 3);
-- columns: int
SELECT count(*) AS c1 FROM far.items AS t1 JOIN left.tags AS t2 ON t2.code = t1.tag WHERE t2.num = (SELECT max(t3.num) FROM left.tags AS t3) AND t1.num = coalesce((SELECT t4.num FROM far.items AS t4 WHERE t4.id = 0), t2.num);
SELECT count(*) AS c1 FROM items AS t1 JOIN tags AS t2 ON t2.code = t1.tag WHERE t2.num = (SELECT max(t3.num) FROM tags AS t3) AND t1.num = coalesce((SELECT t4.num FROM items AS t4 WHERE t4.id = 0), t2.num);

-- The first row that belongs to each was refused.
-- columns: int, int
SELECT t1.id AS c1, (SELECT t2.line FROM right.orders AS t2 WHERE t2.person = t1.id ORDER BY t2.line DESC LIMIT 1) AS c2 FROM left.people AS t1;
SELECT t1.id AS c1, (SELECT t2.line FROM orders AS t2 WHERE t2.person = t1.id ORDER BY t2.line DESC LIMIT 1) AS c2 FROM people AS t1;
-- columns: int, int
SELECT t1.id AS c1, (SELECT t2.line FROM right.orders AS t2 WHERE t2.person = t1.id ORDER BY t2.g NULLS FIRST, t2.day DESC NULLS LAST, t2.line LIMIT 1) AS c2 FROM left.people AS t1;
SELECT t1.id AS c1, (SELECT t2.line FROM orders AS t2 WHERE t2.person = t1.id ORDER BY t2.g, t2.day DESC, t2.line LIMIT 1) AS c2 FROM people AS t1;
-- columns: dec
SELECT (SELECT t2.amount / 7 FROM right.orders AS t2 WHERE t2.person = t1.id ORDER BY t2.line DESC LIMIT 1) * 7 AS c1 FROM left.people AS t1;
SELECT (SELECT t2.amount / 7 FROM orders AS t2 WHERE t2.person = t1.id ORDER BY t2.line DESC LIMIT 1) * 7 AS c1 FROM people AS t1;
-- columns: utf8mb4_general_ci
SELECT (SELECT t2.code FROM left.tags AS t2 WHERE t2.code = t1.tag) AS c1 FROM far.items AS t1 WHERE (SELECT t3.code FROM left.tags AS t3 WHERE t3.code = t1.tag) = 'A' OR (SELECT t3.code FROM left.tags AS t3 WHERE t3.code = t1.tag) IS NULL;
SELECT (SELECT t2.code FROM tags AS t2 WHERE t2.code = t1.tag) AS c1 FROM items AS t1 WHERE (SELECT t3.code FROM tags AS t3 WHERE t3.code = t1.tag) = 'A' OR (SELECT t3.code FROM tags AS t3 WHERE t3.code = t1.tag) IS NULL;

-- A recursion that begins with a column of a table, and goes on with what is computed or another column, was refused.
-- columns: int
WITH RECURSIVE r (n) AS (SELECT t1.id AS c1 FROM left.people AS t1 WHERE t1.id = 3 UNION ALL SELECT q.n + 1 AS c1 FROM r AS q WHERE q.n < 9) SELECT q2.n AS c1 FROM r AS q2;
WITH RECURSIVE r (n) AS (SELECT t1.id AS c1 FROM people AS t1 WHERE t1.id = 3 UNION ALL SELECT q.n + 1 AS c1 FROM r AS q WHERE q.n < 9) SELECT q2.n AS c1 FROM r AS q2;
-- columns: int, int
WITH RECURSIVE r (n, d) AS (SELECT t1.id AS c1, 0 AS c2 FROM left.people AS t1 WHERE t1.id < 5 UNION ALL SELECT t2.boss AS c1, q.d + 1 AS c2 FROM left.people AS t2 JOIN r AS q ON t2.id = q.n WHERE q.d < 4) SELECT q2.n AS c1, q2.d AS c2 FROM r AS q2;
WITH RECURSIVE r (n, d) AS (SELECT t1.id AS c1, 0 AS c2 FROM people AS t1 WHERE t1.id < 5 UNION ALL SELECT t2.boss AS c1, q.d + 1 AS c2 FROM people AS t2 JOIN r AS q ON t2.id = q.n WHERE q.d < 4) SELECT q2.n AS c1, q2.d AS c2 FROM r AS q2;
-- columns: date, int
WITH RECURSIVE r (d, n) AS (SELECT t1.day AS c1, 0 AS c2 FROM right.orders AS t1 WHERE t1.day BETWEEN DATE '2000-01-01' AND DATE '9000-01-01' UNION ALL SELECT CAST(q.d + INTERVAL '1' DAY AS DATE) AS c1, q.n + 1 AS c2 FROM r AS q WHERE q.n < 2) SELECT q2.d AS c1, q2.n AS c2 FROM r AS q2;
WITH RECURSIVE r (d, n) AS (SELECT t1.day AS c1, 0 AS c2 FROM orders AS t1 WHERE t1.day BETWEEN DATE '2000-01-01' AND DATE '9000-01-01' UNION ALL SELECT CAST(q.d + INTERVAL 1 DAY AS DATE) AS c1, q.n + 1 AS c2 FROM r AS q WHERE q.n < 2) SELECT q2.d AS c1, q2.n AS c2 FROM r AS q2;

-- A key that the column of a view cannot have was asked for: MariaDB computes the view's condition with it, out of range.
-- columns: big
SELECT t3.big AS c2 FROM far.seen AS t2 JOIN left.people AS t3 ON t3.boss = t2.id AND t3.g IS NULL WHERE -1 >= t3.boss;
SELECT t3.big AS c2 FROM seen AS t2 JOIN people AS t3 ON t3.boss = t2.id AND t3.g IS NULL WHERE -1 >= t3.boss;
-- columns: utf8mb4_unicode_ci
SELECT t1.u AS c1 FROM left.tags AS t1 JOIN (SELECT t2.id AS c1 FROM far.seen AS t2) AS q4 ON t1.price = q4.c1 WHERE t1.u = 'e';
SELECT t1.u AS c1 FROM tags AS t1 JOIN (SELECT t2.id AS c1 FROM seen AS t2) AS q4 ON t1.price = q4.c1 WHERE t1.u = 'e';

-- Rows of a view that have no partner were joined with each other row there.
-- columns: int
SELECT count(*) AS c1 FROM far.items AS t1 JOIN far.seen AS t2 ON t2.ratio = t1.ratio WHERE NOT EXISTS (SELECT 1 AS c1 FROM far.items AS t3 WHERE t3.ratio = t2.ratio AND t3.made = t1.made);
SELECT count(*) AS c1 FROM items AS t1 JOIN seen AS t2 ON t2.ratio = t1.ratio WHERE NOT EXISTS (SELECT 1 AS c1 FROM items AS t3 WHERE t3.ratio = t2.ratio AND t3.made = t1.made);
-- columns: int
SELECT count(*) AS c1 FROM far.items AS t1 JOIN far.seen AS t2 ON t2.price = t1.price WHERE NOT EXISTS (SELECT 1 AS c1 FROM far.items AS t3 WHERE t3.price = t2.price AND t3.num = t1.num);
SELECT count(*) AS c1 FROM items AS t1 JOIN seen AS t2 ON t2.price = t1.price WHERE NOT EXISTS (SELECT 1 AS c1 FROM items AS t3 WHERE t3.price = t2.price AND t3.num = t1.num);

-- EXCEPT and INTERSECT had the places of their first part alone, and what is computed of them fewer digits.
-- columns: quotient
SELECT coalesce(q5.c1 / nullif(t1.num, 0), 0) * 3 AS c1 FROM far.seen AS t1 JOIN ((SELECT t2.price AS c1 FROM left.tags AS t2) EXCEPT (SELECT t4.price AS c1 FROM far.items AS t4)) AS q5 ON t1.price < q5.c1;
SELECT coalesce(q5.c1 / nullif(t1.num, 0), 0) * 3 AS c1 FROM seen AS t1 JOIN ((SELECT t2.price AS c1 FROM tags AS t2) EXCEPT (SELECT t4.price AS c1 FROM items AS t4)) AS q5 ON t1.price < q5.c1;
-- columns: quotient
SELECT q.c1 / 7 AS c1 FROM ((SELECT t1.num AS c1 FROM far.items AS t1) INTERSECT (SELECT t2.price AS c1 FROM left.tags AS t2)) AS q;
SELECT q.c1 / 7 AS c1 FROM ((SELECT t1.num AS c1 FROM items AS t1) INTERSECT (SELECT t2.price AS c1 FROM tags AS t2)) AS q;
-- columns: dec
SELECT t1.price AS c1 FROM left.tags AS t1 EXCEPT SELECT t2.num AS c1 FROM far.items AS t2;
SELECT t1.price AS c1 FROM tags AS t1 EXCEPT SELECT t2.num AS c1 FROM items AS t2;

-- First groups were looked for by the least of another column, which had the name that their own was renamed from.
-- columns: int, dec
-- rows: ordered limited
SELECT q.c2 AS c1, min(q.c3) AS c2 FROM (SELECT t.num AS c2, t.price AS c3 FROM far.items AS t) AS q GROUP BY q.c2 ORDER BY c1, c2 LIMIT 3;
SELECT * FROM (SELECT q.c2 AS c1, min(q.c3) AS c2 FROM (SELECT t.num AS c2, t.price AS c3 FROM items AS t) AS q GROUP BY q.c2) AS o ORDER BY c1 IS NULL, c1, c2 IS NULL, c2 LIMIT 3;
-- columns: int, int
-- rows: ordered limited
SELECT q9.c2 AS c1, min((q9.c2 % q9.c2)) AS c2 FROM (SELECT t3.price / 7 AS c2 FROM left.tags AS t3) AS q9 GROUP BY q9.c2 ORDER BY c1, c2 LIMIT 3;
SELECT * FROM (SELECT q9.c2 AS c1, min((q9.c2 % q9.c2)) AS c2 FROM (SELECT t3.price / 7 AS c2 FROM tags AS t3) AS q9 GROUP BY q9.c2) AS o ORDER BY c1 IS NULL, c1, c2 IS NULL, c2 LIMIT 3;

-- A number that the column of a view cannot have: as above, of the user's own.
-- columns: int
SELECT dense_rank() OVER (ORDER BY t1.num) AS c3 FROM far.seen AS t1 WHERE t1.id = -1;
SELECT 1 AS c3 FROM seen AS t1 WHERE t1.id < 0;
-- columns: int
SELECT t1.num AS c1 FROM far.seen AS t1 WHERE t1.id IN (-1, -2) OR t1.id NOT IN (-1, 7);
SELECT t1.num AS c1 FROM seen AS t1 WHERE t1.id NOT IN (7);
-- columns: int
SELECT t1.num AS c1 FROM far.seen AS t1 WHERE t1.id <> -1 AND (t1.num = 9000000) IS NOT TRUE AND (NOT (t1.num = -9000000) OR t1.num IS NULL);
SELECT t1.num AS c1 FROM seen AS t1;
