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
