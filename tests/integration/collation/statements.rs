//! The rows, and what is asked of them, there and here.

/// Texts that a collation may hold equal to others, or not.
pub(super) const TEXTS: &[&str] = &[
    "", " ", "   ", "a", "A", "a ", "A  ", "á", "Á", "ä", "a\u{301}", "b", "B", "ß", "ss", "SS", "s", "S ",
    "a\tb", "a\t", "ab", "AB ", "a b", "a  b", "a   B", "😀", "😁", "e\u{301}", "é", "É", "e", "ñ", "N", "Я",
    "я", "日本", "日", "%", "_", "a%b", "a_b", "axb", "\\", "a\\b", "Straße", "STRASSE", "straße ", "a\u{1}b",
    "æ", "AE", "İ", "I", "i", "ı", "!", "~", "10", "9", "Å", "\u{212B}", "ﬁ", "fi", "\u{a0}", "x\u{a0}y",
    "x y", "中", "ｆ", "f",
];

/// The same columns under each form of collation.
pub(super) const COLUMNS: &[&str] = &["g", "u", "b", "gn", "un", "bn", "u5"];

pub(super) const DDL: &str = "
CREATE TABLE texts (
  id INT PRIMARY KEY, n INT,
  g VARCHAR(40) COLLATE utf8mb4_general_ci, u VARCHAR(40) COLLATE utf8mb4_unicode_ci,
  b VARCHAR(40) COLLATE utf8mb4_bin, gn VARCHAR(40) COLLATE utf8mb4_general_nopad_ci,
  un VARCHAR(40) COLLATE utf8mb4_unicode_nopad_ci, bn VARCHAR(40) COLLATE utf8mb4_nopad_bin,
  u5 VARCHAR(40) COLLATE utf8mb4_unicode_520_ci
);
CREATE TABLE others LIKE texts;
CREATE TABLE latin (
  id INT PRIMARY KEY, l VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_general_ci,
  s VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_swedish_ci,
  b VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_bin, n VARCHAR(20) CHARACTER SET latin1 COLLATE latin1_nopad_bin
);
INSERT INTO latin (id, l) VALUES
  (1, 'a'), (2, 'A '), (3, 'á'), (4, 'ß'), (5, '€'), (6, NULL), (7, 'b'), (8, 'Ä'), (9, 'å'), (10, 'z'), (11, 'ü');
UPDATE latin SET s = l, b = l, n = l;
CREATE TABLE cyrillic (id INT PRIMARY KEY, b VARCHAR(20) CHARACTER SET cp1251 COLLATE cp1251_bin);
INSERT INTO cyrillic VALUES
  (1, 'б'), (2, 'Б'), (3, 'б '), (4, 'ё'), (5, 'Я'), (6, NULL), (7, 'a'), (8, '№'), (9, 'a\t'), (10, 'є'), (11, 'я');
CREATE TABLE kinds (
  id INT PRIMARY KEY, e ENUM('b','a','C','é','Z'), s SET('x','a','m'), uu UUID, i4 INET4, i6 INET6,
  t TIME(6), ok TINYINT(1), bit BIT(1), d DATE, dt DATETIME(6), ts TIMESTAMP(6), n VARCHAR(20), cz VARCHAR(20)
  COLLATE utf8mb4_czech_ci
) DEFAULT COLLATE utf8mb4_general_ci;
SET time_zone = '+00:00';
INSERT INTO kinds VALUES
 (1,'b','x','6ccd780c-baba-1026-9564-5b8c656024db','10.0.0.1','::1','10:00:00',1,1,'2024-01-01','2024-01-01 00:00:00','2024-01-01 00:00:00','5','a'),
 (2,'a','x,a','00000000-0000-4000-8000-0000000000ff','9.0.0.1','2001:db8::1','-00:30:00',0,0,'2024-02-29','2024-02-29 12:00:00.5','2024-02-29 12:00:00.5','5abc','b'),
 (3,'C','m','ffffffff-0000-4000-8000-000000000001','192.168.1.1','::ffff:1.2.3.4','838:59:59',2,1,'1999-12-31','1999-12-31 23:59:59','1999-12-31 23:59:59','abc','ch'),
 (4,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL),
 (5,'é','a,m','018f0000-0000-7000-8000-000000000001','9.0.0.10','fe80::1','00:00:00.000001',-1,0,'2024-01-01','2024-01-01 00:00:00.000001','2024-01-01 00:00:00.000001',' 7.5e0x','h'),
 (6,'Z','','00000000-0000-0000-0000-000000000000','0.0.0.0','::','00:00:00',0,NULL,'2038-01-01','2038-01-01 00:00:00','2038-01-01 00:00:00','','c')
";

/// Statements for each column `{c}` of [`COLUMNS`]. `IDS` collects the ids of a group, in order. Rows are
/// compared without their order, but where the statement begins with ORDERED.
pub(super) const STATEMENTS: &[&str] = &[
    "SELECT id FROM texts WHERE {c} IN ('a', 'SS ', '')",
    "SELECT id FROM texts WHERE {c} NOT IN ('A', 'b', 'é')",
    "SELECT id FROM texts WHERE {c} NOT IN ('A', NULL)",
    "SELECT id FROM texts WHERE {c} = 'a' AND {c} = 'A'",
    "SELECT id FROM texts WHERE {c} = 'a' OR {c} = 'B' OR {c} = 'ss '",
    "SELECT id FROM texts WHERE {c} IN ('a', 'b') AND {c} IN ('A', 'C')",
    "SELECT id FROM texts WHERE {c} <> 'a' AND {c} <> 'A'",
    "SELECT id FROM texts WHERE NOT ({c} = 'ss')",
    "SELECT id FROM texts WHERE {c} BETWEEN 'A ' AND 'b'",
    "SELECT id FROM texts WHERE {c} NOT BETWEEN 'A ' AND 'b'",
    "SELECT id FROM texts WHERE 'b' > {c}",
    "SELECT x.id, y.id FROM texts x JOIN texts y ON x.{c} = y.{c}",
    "SELECT x.id, y.id FROM texts x LEFT JOIN others y ON x.{c} = y.{c} AND y.id < 20",
    "SELECT x.id, y.id FROM texts x JOIN others y ON x.{c} < y.{c} AND y.id < 6",
    "SELECT texts.id, others.id FROM texts JOIN others USING ({c})",
    "SELECT x.id, z.id FROM texts x JOIN others y ON x.{c} = y.{c} JOIN texts z ON z.{c} = y.{c} WHERE z.id < 30",
    "SELECT IDS, count(*) FROM texts GROUP BY {c}",
    "SELECT IDS, count(*) FROM texts GROUP BY {c}, n",
    "SELECT IDS FROM texts GROUP BY {c} HAVING {c} > 'a'",
    "SELECT IDS FROM texts WHERE id <> 50 GROUP BY lower({c})",
    "SELECT count(*) FROM (SELECT DISTINCT {c} FROM texts) AS d",
    "SELECT count(*) FROM (SELECT DISTINCT {c}, n FROM texts) AS d",
    "SELECT count(DISTINCT {c}), count(DISTINCT n), count({c}) FROM texts",
    "SELECT n, count(DISTINCT {c}) FROM texts GROUP BY n",
    "SELECT id FROM texts WHERE {c} = (SELECT max({c}) FROM texts)",
    "SELECT id FROM texts WHERE {c} = (SELECT min({c}) FROM texts WHERE id > 5)",
    "SELECT n, max({c}) = 'Я', min({c}) < 'a' FROM texts GROUP BY n",
    "SELECT t.id FROM texts t JOIN (SELECT n, max({c}) AS m FROM texts GROUP BY n) x ON x.n = t.n AND x.m = t.{c}",
    "ORDERED SELECT id FROM texts ORDER BY {c} IS NULL, {c}, id",
    "ORDERED SELECT id FROM texts WHERE {c} IS NOT NULL ORDER BY {c} DESC, id LIMIT 9",
    "ORDERED SELECT id FROM texts WHERE {c} IS NOT NULL ORDER BY n, {c}, id LIMIT 9 OFFSET 3",
    "ORDERED SELECT id FROM texts WHERE {c} IS NOT NULL ORDER BY concat({c}, 'x'), id",
    "SELECT count(*) FROM (SELECT {c} FROM texts UNION SELECT {c} FROM others) AS z",
    "SELECT count(*) FROM (SELECT {c} FROM texts UNION SELECT 'ß') AS z",
    "SELECT count(*) FROM (SELECT {c} FROM texts INTERSECT SELECT {c} FROM others WHERE id < 25) AS z",
    "SELECT count(*) FROM (SELECT {c} FROM texts EXCEPT SELECT {c} FROM others WHERE id < 25) AS z",
    "SELECT z, count(*) FROM (SELECT {c} = 'a' AS z FROM texts UNION ALL SELECT {c} = 'a' FROM others) AS z GROUP BY z",
    "SELECT id FROM (SELECT {c} AS z, id FROM texts UNION ALL SELECT 'SS', 999) AS w WHERE z = 'ss'",
    "SELECT id, rank() OVER (ORDER BY {c} IS NULL, {c}), dense_rank() OVER (ORDER BY {c} IS NULL, {c}) FROM texts",
    "SELECT id, rank() OVER (ORDER BY {c}), count(*) OVER (ORDER BY {c}) FROM texts WHERE {c} IS NOT NULL",
    "SELECT id, count(*) OVER (PARTITION BY {c}), min(id) OVER (PARTITION BY {c} ORDER BY id) FROM texts",
    "SELECT id, (max({c}) OVER (ORDER BY id ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)) = 'b' FROM texts",
    "SELECT id, (min({c}) OVER (ORDER BY id)) = '' FROM texts WHERE id > 3",
    "SELECT id, CASE {c} WHEN 'a' THEN 1 WHEN 'SS' THEN 2 ELSE 0 END FROM texts",
    "SELECT id, CASE WHEN {c} = 'É' THEN 1 WHEN {c} LIKE 'st%' THEN 2 END FROM texts",
    "SELECT id FROM texts WHERE CASE WHEN id > 5 THEN {c} ELSE 'ß' END = 'SS'",
    "SELECT id FROM texts WHERE {c} IN (SELECT {c} FROM others WHERE id < 20)",
    "SELECT id FROM texts WHERE {c} NOT IN (SELECT {c} FROM others WHERE id < 20 AND {c} IS NOT NULL)",
    "SELECT id FROM texts WHERE {c} NOT IN (SELECT {c} FROM others)",
    "SELECT id FROM texts WHERE {c} IS NULL OR {c} NOT IN (SELECT {c} FROM others WHERE {c} > 'm')",
    "SELECT t.id FROM texts t WHERE EXISTS (SELECT 1 FROM others o WHERE o.{c} = t.{c} AND o.n = 1)",
    "SELECT t.id FROM texts t WHERE NOT EXISTS (SELECT 1 FROM others o WHERE o.{c} = t.{c})",
    "SELECT t.id, (SELECT count(*) FROM others o WHERE o.{c} = t.{c}) FROM texts t",
    "SELECT t.id, (SELECT max(o.id) FROM others o WHERE o.{c} = t.{c} AND o.n = t.n) FROM texts t",
    "SELECT t.id FROM texts t WHERE t.id = (SELECT min(o.id) FROM texts o WHERE o.{c} = t.{c})",
    "SELECT t.id FROM texts t WHERE t.{c} = (SELECT max(o.{c}) FROM others o WHERE o.n = t.n)",
    "SELECT id FROM texts WHERE {c} = ANY (SELECT {c} FROM others WHERE id BETWEEN 3 AND 9)",
    "SELECT id FROM texts WHERE {c} > ALL (SELECT {c} FROM others WHERE id BETWEEN 5 AND 9 AND {c} IS NOT NULL)",
    "SELECT id FROM texts WHERE NULLIF({c}, 'a') IS NULL",
    "SELECT id FROM texts WHERE {c} IS NOT NULL AND greatest({c}, 'b') = 'B'",
    "SELECT id FROM texts WHERE {c} IS NOT NULL AND least({c}, 'é', 'x') = {c}",
    "SELECT id FROM texts WHERE coalesce({c}, 'SS') = 'ss'",
    "SELECT id FROM texts WHERE lower({c}) = 'ss' OR concat({c}, 'x') = 'AX'",
    "WITH w AS (SELECT {c} AS z, id FROM texts) SELECT x.id, o.id FROM w x JOIN others o ON x.z = o.{c} WHERE x.z <= 'b'",
    "WITH w AS (SELECT lower({c}) AS z, id FROM texts) SELECT id FROM w WHERE z = 'straße' OR z = 'SS'",
    "SELECT id FROM texts WHERE ({c}, n) IN (('A', 0), ('ss', 1), ('b', 2))",
    "SELECT z FROM (SELECT count(*) AS z, {c} AS k FROM texts GROUP BY {c}) AS w WHERE k = 'SS'",
    "SELECT count(*) FROM texts x JOIN texts y ON lower(x.{c}) = y.{c} AND x.id <> 50",
    "SELECT id FROM texts WHERE {c} LIKE 'a%'",
    "SELECT id FROM texts WHERE {c} NOT LIKE 'a%'",
    "SELECT id FROM texts WHERE {c} LIKE 'A'",
    "SELECT id FROM texts WHERE {c} LIKE 'a '",
    "SELECT id FROM texts WHERE {c} LIKE ''",
    "SELECT id FROM texts WHERE {c} LIKE '%ß%' OR {c} LIKE '%SS'",
    "SELECT id FROM texts WHERE {c} LIKE '_'",
    "SELECT id FROM texts WHERE {c} LIKE 's_' OR {c} LIKE '%É%'",
    "SELECT id FROM texts WHERE {c} LIKE 'a!%b' ESCAPE '!' OR {c} LIKE 'A!_%' ESCAPE '!'",
    "SELECT id FROM texts WHERE {c} LIKE '😀' OR {c} LIKE '日_'",
    "SELECT x.id, y.id FROM texts x JOIN others y ON x.{c} LIKE y.{c} WHERE y.id NOT BETWEEN 38 AND 45",
    "SELECT id FROM texts WHERE {c} LIKE 'a' AND {c} LIKE 'A'",
    "SELECT id FROM texts WHERE {c} IS NOT DISTINCT FROM 'A'",
    "SELECT id FROM texts WHERE {c} = 10 OR {c} < 0",
    "SELECT id FROM texts WHERE {c} COLLATE utf8mb4_bin = 'a' OR {c} = 'ß' COLLATE utf8mb4_unicode_ci",
    "ORDERED SELECT id FROM texts WHERE {c} IS NOT NULL ORDER BY {c} COLLATE utf8mb4_unicode_ci, id",
    "SELECT x.id, y.id FROM texts x JOIN texts y ON x.{c} = y.{c} COLLATE utf8mb4_general_ci",
];

/// With each of these, `{c} op 'literal'` is asked for each comparison.
pub(super) const LITERALS: &[&str] = &[
    "a", "A", "a ", "á", "", "  ", "ß", "ss", "s", "😀", "b", "STRASSE ", "a\tb", "a\t", "E", "\u{1}", "i",
    "日", "~",
];

/// Statements over other types, and over columns of different collations.
pub(super) const OTHER_STATEMENTS: &[&str] = &[
    "SELECT id FROM texts WHERE g = b",
    "SELECT id FROM texts WHERE b = lower(g) OR bn = gn",
    "SELECT x.id, y.id FROM texts x JOIN others y ON x.g = y.b",
    "SELECT id FROM texts WHERE g IN ('a', b)",
    "SELECT id FROM texts WHERE concat(g, b) = 'aa'",
    "SELECT id, nullif(g, b) IS NULL, CASE b WHEN g THEN 1 ELSE 0 END FROM texts",
    "SELECT latin.id, texts.id FROM latin JOIN texts ON s = g",
    "SELECT id FROM latin WHERE s = 'A' OR s = 'y' OR s IN ('Å', 'SS')",
    "ORDERED SELECT id FROM latin WHERE s IS NOT NULL ORDER BY s, id",
    "SELECT IDS FROM latin GROUP BY s",
    "SELECT id FROM latin WHERE s LIKE 'á%' OR s LIKE 'Å' OR s > 'ß'",
    "SELECT id FROM latin WHERE b = 'A' OR b = 'Å' OR b IN ('€', 'Z', 'É')",
    "SELECT id FROM latin WHERE n = 'A' OR n = 'A ' OR n < 'b'",
    "ORDERED SELECT id FROM latin WHERE b IS NOT NULL ORDER BY b, id",
    "ORDERED SELECT id FROM latin WHERE n IS NOT NULL ORDER BY n DESC, id",
    "SELECT IDS FROM latin GROUP BY b",
    "SELECT id FROM latin WHERE b LIKE 'Ä%' OR b LIKE 'A_' OR b > 'ß'",
    "SELECT x.id, y.id FROM latin x JOIN latin y ON x.b = y.s",
    "SELECT latin.id, texts.id FROM latin JOIN texts ON latin.b = texts.b",
    "SELECT id FROM cyrillic WHERE b = 'Б' OR b = 'б' OR b IN ('Ё', 'є ')",
    "SELECT id FROM cyrillic WHERE b > 'Я' OR b < 'a'",
    "ORDERED SELECT id FROM cyrillic WHERE b IS NOT NULL ORDER BY b, id",
    "SELECT IDS FROM cyrillic GROUP BY b",
    "SELECT id FROM cyrillic WHERE b LIKE 'б%'",
    "SELECT min(b) = 'a', max(b) = 'я' FROM cyrillic",
    "SELECT latin.id, texts.id FROM latin JOIN texts ON l = g",
    "SELECT id FROM latin WHERE l = 'A' OR l = 'SS'",
    "ORDERED SELECT id FROM latin WHERE l IS NOT NULL ORDER BY l, id",
    "SELECT IDS FROM latin GROUP BY l",
    "SELECT id FROM latin WHERE l LIKE 'á%' OR l > 'ß'",
    "SELECT id FROM kinds WHERE e = 'B ' OR e = 'E'",
    "SELECT id FROM kinds WHERE e < 'b'",
    "SELECT id FROM kinds WHERE e BETWEEN 'A' AND 'c'",
    "SELECT id FROM kinds WHERE e IN ('c', 'A') OR e LIKE 'Z%'",
    "SELECT e, count(*) FROM kinds GROUP BY e",
    "SELECT count(DISTINCT e), min(e), max(e), min(s), max(s) FROM kinds",
    "ORDERED SELECT id FROM kinds WHERE e IS NOT NULL ORDER BY e",
    "ORDERED SELECT id FROM kinds WHERE e IS NOT NULL ORDER BY e DESC LIMIT 2",
    "ORDERED SELECT id FROM kinds WHERE s IS NOT NULL ORDER BY s",
    "SELECT id, rank() OVER (ORDER BY e), count(*) OVER (PARTITION BY e) FROM kinds WHERE e IS NOT NULL",
    "SELECT kinds.id, texts.id FROM kinds JOIN texts ON e = g",
    "SELECT id FROM kinds WHERE s = 'X,A' OR s = 'a,x' OR s = 'M'",
    "SELECT id FROM kinds WHERE s < 'm'",
    "SELECT id FROM kinds WHERE concat(e, '') = 'B' OR upper(e) = 'a'",
    "SELECT id FROM kinds WHERE uu = '6CCD780C-BABA-1026-9564-5B8C656024DB'",
    "SELECT id FROM kinds WHERE uu = '6CCD780CBABA102695645B8C656024DB' OR uu = 'garbage'",
    "SELECT id FROM kinds WHERE uu < '6CCD780C-BABA-1026-9564-5B8C656024DC'",
    "SELECT id FROM kinds WHERE uu <> 'garbage'",
    "SELECT id FROM kinds WHERE uu LIKE '6CCD%'",
    "ORDERED SELECT id FROM kinds WHERE uu IS NOT NULL ORDER BY uu",
    "SELECT min(uu), max(uu), min(i4), max(i4), max(i6) FROM kinds",
    "SELECT id FROM kinds WHERE i4 < '10.0.0.2'",
    "SELECT id FROM kinds WHERE i4 IN ('10.0.0.1', 'x') OR i6 = '2001:0DB8:0:0:0:0:0:1'",
    "SELECT id FROM kinds WHERE i6 BETWEEN '::1' AND '::ffff:2.0.0.0'",
    "ORDERED SELECT id FROM kinds WHERE i4 IS NOT NULL ORDER BY i4",
    "ORDERED SELECT id FROM kinds WHERE i6 IS NOT NULL ORDER BY i6 DESC",
    "SELECT count(*) FROM kinds x JOIN kinds y ON x.uu = y.uu AND x.i4 = y.i4",
    "SELECT count(*) FROM (SELECT DISTINCT uu, i6 FROM kinds) AS z",
    "SELECT id FROM kinds WHERE t > '10:00:00' OR t = '-00:30:00'",
    "SELECT id FROM kinds WHERE t IN ('10:00', '0:0:0') OR t BETWEEN '-1:00:00' AND '-00:10:00'",
    "SELECT t FROM kinds WHERE t < '00:00:01'",
    "ORDERED SELECT id FROM kinds WHERE t IS NOT NULL ORDER BY t",
    "SELECT max(t), min(t) FROM kinds",
    "SELECT id FROM kinds WHERE ok",
    "SELECT id FROM kinds WHERE NOT ok",
    "SELECT id FROM kinds WHERE ok AND bit",
    "SELECT id FROM kinds WHERE ok = true OR bit = 0",
    "SELECT id FROM kinds WHERE bit = 1 AND ok <> 0",
    "SELECT id FROM kinds WHERE bit IN (1) OR ok IN (true, false)",
    "SELECT id, CASE WHEN ok THEN 'y' WHEN bit THEN 'b' ELSE 'n' END FROM kinds",
    "SELECT sum(ok), sum(bit) + 0, count(*) FROM kinds HAVING sum(bit)",
    "SELECT x.id, y.id FROM kinds x JOIN kinds y ON x.id = y.id AND x.bit",
    "SELECT x.id, y.id FROM kinds x JOIN kinds y ON x.ok = y.bit",
    "SELECT id, ok = true, bit = 1, bit + 1, NOT ok FROM kinds",
    "SELECT id FROM kinds WHERE ok IS TRUE OR bit IS NOT TRUE",
    "SELECT id FROM kinds WHERE n AND n < 6",
    "SELECT id FROM kinds WHERE n = 5 OR n = 7.5",
    "SELECT id FROM kinds WHERE n BETWEEN 5 AND 7",
    "SELECT id FROM kinds WHERE d = '2024-01-01'",
    "SELECT id FROM kinds WHERE dt = '2024-01-01' OR dt > '2024-02-29 11:00:00'",
    "SELECT id FROM kinds WHERE ts = '2024-01-01 00:00:00' OR ts BETWEEN '2024-02-01' AND '2024-03-01'",
    "SELECT id FROM kinds WHERE d IN ('2024-02-29', '1999-12-31') OR dt = '2024-01-01 00:00:00.000001'",
];

/// Statements that MariaDB refuses too, with a word of our refusal.
pub(super) const REFUSED: &[(&str, &str)] = &[
    ("SELECT id FROM texts WHERE g = u", "utf8mb4_general_ci and utf8mb4_unicode_ci"),
    ("SELECT id FROM texts WHERE b = bn", "neither wins"),
    ("SELECT id FROM texts WHERE concat(g, u) = 'x'", "COLLATE"),
    ("SELECT x.id FROM texts x JOIN others y ON x.g = y.u", "neither wins"),
    ("SELECT g FROM texts UNION SELECT u FROM others", "neither wins"),
];
