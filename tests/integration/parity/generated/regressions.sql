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
