//! One answer for numbers, days and times at their bounds: on every route what MariaDB gives, and where it says
//! that a value is out of range, an error.

mod carried;

use mysql_async::prelude::Queryable;
use serde_json::json;

use super::parity::{ask, plain_row, rows};
use super::support::{self, TestResult};

const TABLES: &str = r"
CREATE TABLE arithmetic (
  id INT NOT NULL PRIMARY KEY,
  t TINYINT, tu TINYINT UNSIGNED, s SMALLINT, su SMALLINT UNSIGNED, m MEDIUMINT, mu MEDIUMINT UNSIGNED,
  i INT, iu INT UNSIGNED, b BIGINT, bu BIGINT UNSIGNED,
  f FLOAT, d DOUBLE, amount DECIMAL(30,6),
  dt DATE, dtm DATETIME(6), ts TIMESTAMP(6) NULL, tm TIME, tmf TIME(3)
);
INSERT INTO arithmetic VALUES
  (1, 127, 255, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 9223372036854775807, 18446744073709551615,
   1.1, 1.1, 1.1, '9999-12-31', '9999-12-31 23:59:59.999999', '2037-12-31 23:59:59.999999', '838:59:59', '10:00:00.5'),
  (2, -128, 0, -32768, 0, -8388608, 0, -2147483648, 0, -9223372036854775808, 0,
   16777216, 1e300, 123456789012345678901234.567891, '1000-01-01', '1000-01-01 00:00:00', '1970-01-01 00:00:01',
   '-838:59:59', '-00:00:00.001'),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (4, 7, 7, 7, 7, 7, 7, 50000, 50000, 7, 7, 0.5, 5e-324, 0.5, '2024-01-01', '2024-01-01 00:00:00.000001',
   '2024-02-29 12:00:00', '00:00:00', '00:00:00'),
  (5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 9223372036854775808, -3.4028e38, -1.7976931348623157e308, -1.1,
   '2024-02-29', '2024-02-29 00:00:00', '2024-02-29 00:00:00', '34:00:00', '34:00:00.25');
CREATE TABLE days (id INT NOT NULL PRIMARY KEY, dt DATE, dtm DATETIME(6), d DOUBLE, f FLOAT, amount DECIMAL(30,6));
INSERT INTO days VALUES
  (1, '9999-12-31', '2024-01-01 00:00:00', 1.1, 1.1, 1.1), (2, '2024-02-29', '1000-01-01 00:00:00', 0.5, 0.5, 0.5),
  (3, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE decimals (
  id INT NOT NULL PRIMARY KEY, t TINYINT, b BIGINT, bu BIGINT UNSIGNED, a DECIMAL(38,0), g DECIMAL(38,10),
  h DECIMAL(38,38), m DECIMAL(30,20), c DECIMAL(20,10), o DECIMAL(10,4), p DECIMAL(5,2), price DECIMAL(15,2),
  z DECIMAL(65,0), zz DECIMAL(65,30)
);
INSERT INTO decimals VALUES
  (1, 127, 9223372036854775807, 18446744073709551615, 90000000000000000000000000000000000000,
   1234567890123456789012345678.1234567891, 0.5, 1234567890.12345678901234567890, 1234567890.1234567891, 123456.7891,
   999.99, 9999999999999.99, 99999999999999999999999999999999999999999999999999999999999999999,
   12345678901234567890123456789012345.123456789012345678901234567891),
  (2, -128, -9223372036854775808, 0, 20000000000000000000000000000000000000,
   9999999999999999999999999999.9999999999, 0.99999999999999999999999999999999999999, -9999999999.99999999999999999999,
   9999999999.9999999999, 999999.9999, -999.99, -9999999999999.99, 1, 0.000000000000000000000000000001),
  (3, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (4, 7, 7, 7, -1, -0.0000000001, -0.00000000000000000000000000000000000001, 0.00000000000000000001, 3, 7, 99.5, 3.33,
   -7, -1.5);
CREATE TABLE flags (
  id INT NOT NULL PRIMARY KEY, x INT, bt BIT(1), ok TINYINT(1), d DECIMAL(10,3), f DOUBLE,
  yr YEAR, e ENUM('low','1','High') COLLATE utf8mb4_general_ci, s SET('x','y','z') COLLATE utf8mb4_general_ci,
  g VARCHAR(20) COLLATE utf8mb4_general_ci
);
INSERT INTO flags VALUES
  (1, 1, b'1', 1, 1.5, 2.5, 2024, 'low', 'x', '1'), (2, 0, b'0', 2, 1.501, -0.5, 1999, '1', 'x,y', 'abc'), (3, NULL, NULL, NULL, NULL, NULL,
  NULL, NULL, NULL, NULL), (4, 7, b'1', 0, -1.5, 3.5, 2001, 'High', '', '1.5'), (5, 2, b'0', 1, 0, 0.125, 2155, 'low', 'y,z', 'A');
";

/// Each means the same here and in MariaDB.
const STATEMENTS: &[&str] = &[
    // Whole numbers
    "SELECT id, t+t, tu+tu, s+s, su+su, m+m, mu+mu, i+i, iu+iu FROM left.arithmetic",
    "SELECT id, t*t, tu*tu, s*s, su*su, m*m, mu*mu, i*i, t*s*m FROM left.arithmetic",
    "SELECT id, t-1, s-1, m-1, i-1, t-s, m-i FROM left.arithmetic",
    "SELECT id, -t, -tu, -s, -su, -m, -mu, -i, -iu FROM left.arithmetic",
    "SELECT id, abs(t), abs(s), abs(m), abs(i), abs(tu), abs(bu) FROM left.arithmetic",
    "SELECT id FROM left.arithmetic WHERE i*i < 0 OR t*t < 0",
    "SELECT id FROM left.arithmetic WHERE i*i > 2147483647 AND tu+tu > 255",
    "SELECT id FROM left.arithmetic WHERE i>-1 AND t<>-1 AND t>=-1+2",
    "SELECT sum(i*i), sum(t*t), sum(tu+tu) FROM left.arithmetic",
    "SELECT id, b-1, b+1 FROM left.arithmetic WHERE id = 4",
    "SELECT id, bu+bu, bu*2 FROM left.arithmetic WHERE id = 4",
    "SELECT id, bu-1 FROM left.arithmetic WHERE id IN (1, 4)",
    "SELECT id, i % 1000, t % 100 FROM left.arithmetic",
    "SELECT x FROM (SELECT i*i AS x FROM left.arithmetic) AS a WHERE EXISTS (SELECT 1 FROM right.days WHERE id * 2500000000 = a.x)",
    // Sums
    "SELECT sum(id), sum(t), sum(b), sum(bu), sum(t) + sum(b) FROM left.decimals",
    "SELECT t, sum(id) FROM left.decimals GROUP BY t HAVING sum(id) > 1",
    "SELECT id, sum(t) FROM left.decimals GROUP BY id HAVING sum(t) > 5 AND sum(b) > 7",
    "SELECT sum(id) * 2, sum(id) - 1, -sum(t), sum(id) + sum(p), coalesce(sum(id), 0) FROM left.decimals",
    "SELECT coalesce(sum(t), 0) FROM left.decimals WHERE id > 100",
    "SELECT max(s) FROM (SELECT sum(id) AS s FROM left.decimals GROUP BY t) AS q",
    "SELECT id, (SELECT sum(t) FROM right.decimals) FROM left.decimals",
    "SELECT id FROM left.decimals WHERE id + 3 > (SELECT sum(t) FROM right.decimals)",
    "SELECT sum(t) FROM left.decimals UNION ALL SELECT 1",
    "SELECT CASE WHEN sum(id) > 5 THEN sum(id) ELSE 0 END FROM left.decimals",
    "SELECT sum(DISTINCT t), sum(id), sum(DISTINCT p) FROM left.decimals",
    "SELECT id % 2, sum(DISTINCT t), sum(b) FROM left.decimals GROUP BY id % 2",
    "SELECT sum(sum(id)) OVER () FROM left.decimals",
    "SELECT id, sum(t) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM left.decimals",
    "SELECT id, sum(b) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM left.decimals",
    "SELECT a.id, sum(b.id), sum(b.p) FROM left.decimals a JOIN right.decimals b ON a.id >= b.id GROUP BY a.id HAVING sum(b.id) > 1",
    // Decimals of many digits
    "SELECT id, m * o, c * c, m * m, o * o, p * p FROM left.decimals",
    "SELECT id, a + 1, g + 1, a + g, h + h, m - a, m - id, c - 1, z + z FROM left.decimals",
    "SELECT id, a * 2, z * 10, a * 1.5, c * c * p, price * id, price * (1 - p) FROM left.decimals",
    "SELECT id, m % o, g % o, g % 3, p % 7, m % 0.0003 FROM left.decimals",
    "SELECT id, -a, -g, -h, -m, -z FROM left.decimals",
    "SELECT id, m / o, c / c, p / 3, p / 7, h / 3, a / 3, z / 3, price / 7, zz / 3 FROM left.decimals",
    "SELECT id, a / g FROM left.decimals WHERE id < 3",
    // Nine digits at a time: where these are all, a quotient is cut off.
    "SELECT id, CAST(p AS DECIMAL(10,5)) / 7, CAST(p AS DECIMAL(10,5)) / 7.0, CAST(p AS DECIMAL(10,5)) / id FROM left.decimals",
    "SELECT id, c * 1.0000 / 3, c * 1.0000 / t, p * 1.000 / 0.7, -2.00000 / (id + 2) FROM left.decimals",
    "SELECT sum(a), sum(g), sum(h), sum(m), sum(c), sum(p), sum(price), sum(z), sum(zz) FROM left.decimals",
    "SELECT avg(a), avg(g), avg(h), avg(m), avg(c), avg(p), avg(price), avg(z), avg(zz) FROM left.decimals",
    "SELECT id % 2, sum(a), avg(a), sum(g), avg(p), avg(price) FROM left.decimals GROUP BY id % 2",
    // Nine digits at a time are divided: where these are all, an average is cut off.
    "SELECT avg(CASE WHEN id < 3 THEN 1.00000 ELSE 0.00000 END), avg(CASE WHEN id < 3 THEN 1.0000 ELSE 0.0000 END), \
     avg(CASE WHEN id < 3 THEN 1.00000000000000 ELSE 0.00000000000000 END) FROM left.decimals WHERE id < 4",
    "SELECT sum(price * id), avg(price * id), max(c * c), min(m * o), sum(m * m), avg(c * c) FROM left.decimals",
    "SELECT sum(DISTINCT a), avg(DISTINCT a), sum(a) FROM left.decimals",
    "SELECT avg(id), avg(DISTINCT id), avg(t), avg(b), avg(bu), avg(id - 3), avg(b > 0) FROM left.decimals",
    "SELECT id % 2, avg(id), avg(id) + 1 FROM left.decimals GROUP BY id % 2",
    "SELECT id, sum(a) OVER (ORDER BY id ROWS 1 PRECEDING), avg(a) OVER (ORDER BY id ROWS 1 PRECEDING) FROM left.decimals",
    "SELECT sum(z) + sum(z), avg(p) + 1, sum(a) * 2 FROM left.decimals",
    // Of numbers that are never negative a BIGINT UNSIGNED is made.
    "SELECT id, iu * iu, iu * tu, iu * 4000000000, iu * iu * 1.0, 3 * iu * su FROM left.arithmetic",
    "SELECT sum(iu * iu), max(iu * iu), count(*) FROM left.arithmetic WHERE iu * iu > 5",
    "SELECT id FROM left.decimals WHERE c * c > 1 AND m * o < 0",
    "SELECT id FROM left.decimals WHERE price * id > 1",
    "SELECT id FROM left.decimals WHERE a > h AND a <> h",
    "SELECT id FROM left.decimals WHERE a > 0.5",
    "SELECT id FROM left.decimals WHERE h < 12.5 AND g < b",
    "SELECT m * o, count(*) FROM left.decimals GROUP BY m * o HAVING count(*) > 0",
    "SELECT a.id, b.id FROM left.decimals a JOIN right.decimals b ON a.a + 1 = b.a + 1",
    "SELECT a.id, b.id FROM left.decimals a JOIN right.decimals b ON a.a = b.g - 0.9999999999",
    "SELECT coalesce(g, a), coalesce(m, z) FROM left.decimals",
    "SELECT a FROM left.decimals UNION ALL SELECT g FROM right.decimals",
    "SELECT id, floor(p), ceil(p), floor(price), ceil(price), floor(h), ceil(h), floor(g), ceil(g) FROM left.decimals",
    "SELECT floor(-0.5), ceil(99.5), ceil(999.99), floor(-999.99), ceil(-0.5) FROM left.decimals",
    "SELECT id, floor(a), ceil(z), floor(m), ceil(c), floor(zz) FROM left.decimals",
    "SELECT id FROM left.decimals WHERE ceil(p) = 1000 OR floor(price) = 3",
    // By 0
    "SELECT id, p / 0, p % 0, g / 0.0, z % 0, h / (h - h), a % (a - a), zz / 0 FROM left.decimals",
    "SELECT id, o / (bu * 0), m % (b * 0), price / (p - p), c % (c - c) FROM left.decimals WHERE id = 4",
    "SELECT id, t % 0, bu % 0, i % (i - i), bu % (iu - iu), d % 0, d / 0, f / 0e0, d / (d - d) FROM left.arithmetic",
    "SELECT id, 7.0 / tu, 7.5 % tu, 7 % tu, 7e0 / tu, 7 % d, 7e0 % (d - d) FROM left.arithmetic",
    "SELECT id FROM left.arithmetic WHERE tu <> 0 AND 1.0 / tu > 0.1",
    "SELECT id FROM left.arithmetic WHERE mu <> 0 AND 255 % mu = 255",
    "SELECT id FROM left.arithmetic WHERE 7 % tu = 0 OR 7.0 / tu < 5",
    "SELECT id FROM left.arithmetic WHERE NOT 7 % tu = 0",
    "SELECT count(*), count(7.0 / tu), sum(7.0 / tu) FROM left.arithmetic",
    "SELECT a.id, b.id FROM left.arithmetic a JOIN right.decimals b ON a.id = b.id AND 10.0 / (b.id - 2) > 1",
    "SELECT 1.0 / 0, 1 % 0, 1.5 % 0, 1e0 / 0, 0.0 / 0, 7 % 0.0 FROM left.days WHERE id = 1",
    // Floats
    "SELECT id FROM left.arithmetic WHERE f > 1.0",
    "SELECT id FROM left.arithmetic WHERE f > 0.5 AND id < 3",
    "SELECT id FROM left.arithmetic WHERE f = 1.1",
    "SELECT id FROM left.arithmetic WHERE f = 0.5",
    "SELECT id FROM left.arithmetic WHERE f = 16777217",
    "SELECT id FROM left.arithmetic WHERE f = 16777216",
    "SELECT id FROM left.arithmetic WHERE f <> 1.1",
    "SELECT id FROM left.arithmetic WHERE f IN (1.1, 0.5, 16777217)",
    "SELECT id FROM left.arithmetic WHERE f BETWEEN 0.5 AND 1.1",
    "SELECT id FROM left.arithmetic WHERE f < -1e38",
    "SELECT id FROM left.arithmetic WHERE d > 1.5",
    "SELECT id FROM left.arithmetic WHERE d = 1.1",
    "SELECT id FROM left.arithmetic WHERE d = 5e-324",
    "SELECT id FROM left.arithmetic WHERE d > 1e299",
    "SELECT id FROM left.arithmetic WHERE d > 1e308",
    "SELECT id FROM left.arithmetic WHERE d < -1.7976931348623157e308",
    "SELECT id FROM left.arithmetic WHERE d <= -1.7976931348623157e308",
    "SELECT id FROM left.arithmetic WHERE d IN (1.1, 5e-324)",
    "SELECT id FROM left.arithmetic WHERE d = amount",
    "SELECT id FROM left.arithmetic WHERE f = amount",
    "SELECT id FROM left.arithmetic WHERE f = d",
    "SELECT id FROM left.arithmetic WHERE f = i",
    "SELECT id FROM left.arithmetic WHERE f * 1.5 = 25165824",
    "SELECT id FROM left.arithmetic WHERE round(f, 1) = 1.1",
    "SELECT id, CASE d WHEN 1.1 THEN 1 WHEN 0.5 THEN 2 ELSE 3 END FROM left.arithmetic",
    "SELECT id, CASE f WHEN 1.1 THEN 1 WHEN 0.5 THEN 2 ELSE 3 END FROM left.arithmetic",
    "SELECT id FROM left.arithmetic WHERE coalesce(d, 0.5) = 0.5",
    "SELECT a.id, b.id FROM left.arithmetic a JOIN right.days b ON a.d = b.amount",
    "SELECT a.id, b.id FROM left.arithmetic a JOIN right.days b ON a.f = b.d",
    "SELECT a.id, b.id FROM left.arithmetic a JOIN right.days b ON a.f = b.f",
    "SELECT id FROM left.arithmetic WHERE d IN (SELECT amount FROM right.days)",
    "SELECT id, nullif(f, 7) = f, nullif(f, 0.5), nullif(f, d) FROM left.days",
    // Days and moments
    "SELECT id FROM left.arithmetic WHERE dt > now()",
    "SELECT id FROM left.arithmetic WHERE dtm > now()",
    "SELECT id FROM left.arithmetic WHERE dt >= TIMESTAMP '2024-01-01 00:00:00'",
    "SELECT id FROM left.arithmetic WHERE dt > TIMESTAMP '2024-01-01 00:00:00.5'",
    "SELECT id FROM left.arithmetic WHERE dt = TIMESTAMP '9999-12-31 00:00:00'",
    "SELECT id FROM left.arithmetic WHERE dt IN (TIMESTAMP '9999-12-31 00:00:00', TIMESTAMP '2024-01-01 00:00:00.5')",
    "SELECT id FROM left.arithmetic WHERE dtm < DATE '9999-12-31'",
    "SELECT id FROM left.arithmetic WHERE dtm = DATE '1000-01-01'",
    "SELECT id FROM left.arithmetic WHERE dtm BETWEEN DATE '1000-01-01' AND DATE '2024-01-01'",
    "SELECT id FROM left.arithmetic WHERE dt = dtm",
    "SELECT id FROM left.arithmetic WHERE dt < dtm",
    "SELECT id FROM left.arithmetic WHERE dt > ts",
    "SELECT id FROM left.arithmetic WHERE coalesce(dt, dtm) > TIMESTAMP '2024-01-15 00:00:00'",
    "SELECT id FROM left.arithmetic WHERE greatest(dt, dtm) > dt",
    "SELECT id, CASE WHEN dt = dtm THEN 1 ELSE 0 END FROM left.arithmetic",
    "SELECT id FROM left.arithmetic WHERE CASE WHEN id = 1 THEN dt ELSE dtm END > TIMESTAMP '2024-01-15 00:00:00'",
    "SELECT a.id, b.id FROM left.arithmetic a JOIN right.days b ON a.dt = b.dtm",
    "SELECT a.id, b.id FROM left.arithmetic a JOIN right.days b ON a.dtm = b.dt",
    "SELECT id FROM left.arithmetic WHERE dt IN (SELECT dtm FROM right.days)",
    "SELECT count(*) FROM (SELECT dt FROM left.arithmetic UNION SELECT dtm FROM right.days) AS u",
    // Times
    "SELECT id FROM left.arithmetic WHERE tm = '838:59:59'",
    "SELECT id, concat(tm, ''), concat(tmf, '') FROM left.arithmetic WHERE id <> 3",
    "SELECT id FROM left.arithmetic WHERE coalesce(tm, '00:00:00') = '00:00:00'",
    "SELECT id, extract(minute FROM tm), extract(second FROM tm), extract(minute FROM tmf), extract(second FROM tmf) FROM left.arithmetic",
    "SELECT id FROM left.arithmetic WHERE extract(minute FROM tm) = -59 OR extract(second FROM tmf) = 0",
    "SELECT extract(minute FROM tm), count(*) FROM left.arithmetic GROUP BY extract(minute FROM tm)",
    // Late and early moments that stand in for others
    "SELECT id FROM left.arithmetic WHERE CASE WHEN id = 1 THEN dtm ELSE '9999-12-31' END = TIMESTAMP '9999-12-31 00:00:00'",
    "SELECT id FROM left.arithmetic WHERE CASE WHEN id < 4 THEN '1000-01-01 10:00:00.5' ELSE dtm END < TIMESTAMP '2024-01-01 00:00:00.000002'",
    // A column of an outer query that turns out to be a double
    "SELECT q.d FROM (SELECT amount AS d FROM left.arithmetic UNION ALL SELECT d FROM left.arithmetic) AS q \
     WHERE EXISTS (SELECT 1 FROM right.days AS x WHERE CASE q.d WHEN 5e-324 THEN 1 END = x.id)",
    "SELECT q.d FROM (SELECT amount AS d FROM left.arithmetic UNION ALL SELECT d FROM left.arithmetic) AS q \
     WHERE EXISTS (SELECT 1 FROM right.days AS x WHERE q.d = x.d)",
    // BIT(1) among numbers
    "SELECT id, -bt, abs(bt), sign(bt), round(bt), floor(bt), ceil(bt), bt + 1, bt * 1.5, bt % 2 FROM left.flags",
    "SELECT id, coalesce(bt, 7), coalesce(bt, ok), coalesce(ok, true), coalesce(x, bt) FROM left.flags",
    "SELECT id, CASE WHEN id > 2 THEN bt ELSE 9 END, CASE WHEN id > 2 THEN ok ELSE true END FROM left.flags",
    "SELECT id, bt = '1', bt = '0.5', bt IN ('1', 0), bt < x, bt = d, nullif(x, bt), CASE x WHEN bt THEN 1 ELSE 2 END FROM left.flags",
    "SELECT id FROM left.flags WHERE bt IN (SELECT x FROM right.flags)",
    "SELECT id FROM left.flags WHERE bt NOT IN (SELECT x FROM right.flags WHERE x IS NOT NULL AND x <> 0)",
    "SELECT id FROM left.flags WHERE d IN (SELECT bt FROM right.flags) OR bt > ANY (SELECT x FROM right.flags)",
    "SELECT a.id, b.id FROM left.flags a JOIN right.flags b ON a.bt = b.ok AND a.bt = b.x",
    // Numbers among texts, and ENUM and SET among numbers
    "SELECT id, x = '1.5', x < '1.5', x BETWEEN '0.5' AND '7.0', x IN ('1', '2.0'), x = '007', d = '1.5000' FROM left.flags",
    "SELECT id, d = '1.4999', d = '1.5004', d > '1.5009', d IN ('1.5001', '-1.5'), d = '-15e-1', f = '2.5' FROM left.flags",
    "SELECT id FROM left.flags WHERE d >= '1.5001' OR x > '6.99'",
    "SELECT id FROM left.arithmetic WHERE bu > '18446744073709551614.5' OR b = '9223372036854775807'",
    "SELECT id, e = 1, e < 2, e IN (1, 3), e BETWEEN 2 AND 3, e = x, nullif(e, 1), CASE e WHEN 1 THEN 1 WHEN 3 THEN 3 END FROM left.flags",
    "SELECT id, s = 1, s > 2, s IN (0, 6), s = x, CASE s WHEN 1 THEN 1 WHEN 6 THEN 6 END FROM left.flags",
    "SELECT id, e IN (1, 'high'), e NOT IN (2, 'low'), s IN ('x', 0), g IN (1, 'a'), g NOT IN (0, 'x'), g IN (x, 'ABC') FROM left.flags",
    "SELECT id, CASE g WHEN 1 THEN 1 WHEN 'a' THEN 2 WHEN 0 THEN 3 END, CASE e WHEN '1' THEN 1 WHEN 1 THEN 2 END FROM left.flags",
    "SELECT id FROM left.flags WHERE x IN (SELECT e FROM right.flags) AND x IN (SELECT s FROM right.flags)",
    "SELECT id FROM left.flags WHERE x IN (SELECT g FROM right.flags) OR d IN (SELECT g FROM right.flags)",
    "SELECT id FROM left.flags WHERE x NOT IN (SELECT g FROM right.flags WHERE g IS NOT NULL)",
    "SELECT id FROM left.flags WHERE g > ANY (SELECT x FROM right.flags)",
    "SELECT a.id, b.id FROM left.flags a JOIN right.flags b ON a.e = b.x",
    "SELECT id FROM left.flags WHERE e",
    "SELECT id FROM left.flags WHERE NOT s OR e IS NOT TRUE",
    "SELECT id, e IS TRUE, NOT e, CASE WHEN s THEN 'y' ELSE 'n' END, e AND x > 0 FROM left.flags",
    // Numbers among texts become texts
    "SELECT id, coalesce(g, x), coalesce(d, g), coalesce(f, g), coalesce(g, bt), ifnull(e, 7) FROM left.flags",
    "SELECT id, CASE WHEN id > 3 THEN g ELSE f END, CASE WHEN id = 4 THEN 'x' ELSE d END FROM left.flags",
    "SELECT id, f LIKE '2%', f LIKE '2.5', x LIKE '_', d LIKE '%.5%', g LIKE 1, f LIKE '2.50' FROM left.flags",
    "SELECT id, coalesce(d, 'x'), coalesce(f, 'x') FROM left.arithmetic",
    "SELECT id, bt = g, g IN (bt), e = true, bt = e, bt < s, x = bt + 0 FROM left.flags",
    "SELECT id FROM left.flags WHERE bt IN (SELECT g FROM right.flags) OR g IN (SELECT bt FROM right.flags)",
    "SELECT a.id, b.id FROM left.flags a JOIN right.flags b ON a.bt = b.g",
    "SELECT id, g + 1, e + 0, s + 0, e * 2, x - g, d + e FROM left.flags",
    "SELECT id FROM left.flags WHERE e + 0 > 1 AND g + 0 >= 0",
    // Years of two digits
    "SELECT id, yr = 24, yr > 1, yr < '99', yr = 0, yr > '0', yr = 2155, yr <> 99 FROM left.flags",
    "SELECT id, yr = '24', yr IN (99, 1), yr IN (24), yr BETWEEN 1 AND 24 FROM left.flags",
    "SELECT id FROM left.flags WHERE yr >= 24 AND NOT yr = '2155'",
    "SELECT id, CASE yr WHEN 24 THEN 1 WHEN '1999' THEN 2 ELSE 0 END, yr + 1, yr = x + 2000 FROM left.flags",
    // Rounded
    "SELECT id, round(f), round(f, 2), round(-f), round(f, -1), round(f, 400), round(d), round(-d, 1) FROM left.flags",
    "SELECT id, floor(b), ceil(b), ceiling(bu), floor(bu), floor(t), ceil(tu), floor(i) FROM left.arithmetic",
    // Computed of what is known to be a decimal or a double only when all of it was read
    "SELECT id, CASE WHEN t = 7 THEN 0 ELSE p END * 3, CASE WHEN id = 4 THEN 0 ELSE 1.5 END * 3, 2 - CASE WHEN id = 4 THEN 0 ELSE 1.5 END FROM left.decimals",
    "SELECT id, -CASE WHEN id = 4 THEN 0 ELSE 1.5 END, abs(CASE WHEN id = 4 THEN 0 ELSE -1.5 END) * 2, CASE WHEN id = 4 THEN 0 ELSE 1.5 END % 1 FROM left.decimals",
    "SELECT id, CASE WHEN id = 4 THEN 0 ELSE 1.5e0 END * 3, CASE WHEN id = 4 THEN ok ELSE 1.5 END * 2, CASE x WHEN 1 THEN NULL WHEN 0 THEN 1 ELSE d END + 1 FROM left.flags",
    "SELECT id FROM left.decimals WHERE CASE WHEN id = 4 THEN 0 ELSE 1.5 END * 2 > 2.5",
    "SELECT sum(CASE WHEN id = 4 THEN 0 ELSE 1.5 END * 2), max(CASE WHEN id = 4 THEN 0 ELSE 1.5 END) * 3 FROM left.decimals",
    "SELECT CASE WHEN id = 4 THEN 0 ELSE 1.5 END * 2, count(*) FROM left.decimals GROUP BY CASE WHEN id = 4 THEN 0 ELSE 1.5 END * 2",
    "SELECT id, x * 3, x + 1, x > 1, -x, x FROM (SELECT id, CASE WHEN id = 4 THEN 0 ELSE 1.5 END AS x FROM left.decimals) AS q",
    "WITH c AS (SELECT id, CASE WHEN id = 4 THEN 0 ELSE p END AS x FROM left.decimals) SELECT sum(x), sum(x * 2), max(x + 1) FROM c",
    "SELECT x * 3, x + 0.25 FROM (SELECT id AS x FROM left.decimals UNION ALL SELECT p FROM right.decimals) AS q",
    "SELECT x * 3 FROM (SELECT id AS x FROM left.decimals UNION SELECT d FROM right.days) AS q",
    "SELECT q.id FROM (SELECT id, CASE WHEN id = 4 THEN 0 ELSE 1.5 END AS x FROM left.decimals) AS q WHERE q.x * 2 IN (SELECT p + 3 - p FROM right.decimals)",
    "SELECT q.id FROM (SELECT id, CASE WHEN id = 4 THEN 0 ELSE 1.5 END AS x FROM left.decimals) AS q \
     WHERE EXISTS (SELECT 1 FROM right.decimals AS y WHERE y.id = q.id AND q.x * 2 = 3.0)",
    "SELECT q.id FROM (SELECT id, id AS x FROM left.decimals UNION ALL SELECT id, p FROM right.decimals) AS q WHERE EXISTS (SELECT 1 FROM right.decimals AS y WHERE y.id = q.id AND q.x * 2 = y.p + y.p)",
    "SELECT q.id, l.y FROM (SELECT id, CASE WHEN id = 4 THEN 0 ELSE 0.4 END AS x FROM left.decimals) AS q JOIN right.decimals AS l0 ON l0.id = q.id AND l0.p > q.x * 2 JOIN (SELECT id AS y FROM right.decimals) AS l ON l.y = q.id",
    // What is NOT NULL
    "SELECT id, p % 1 IS NULL, coalesce(p, 0.75) % 1, coalesce(price, 1.25) % 1.0, coalesce(g, 0.5) % 1, coalesce(p, 1.5) * 1, coalesce(p, 1.5) * 0, coalesce(p, 1.5) / 1 FROM left.decimals",
    // A quotient is calculated on with more digits than are shown
    "SELECT id, p / 3 * 3, price / 7 * 100, 100 * (p / 3), (p / 3 + price / 7) * 1000 - 1, -(p / 3) * 3, p / 3 / 7 * 21, p / 3 % 0.01 FROM left.decimals",
    "SELECT id, c / 3 * 1.0000000001, o / c * 1000000, c / o * o, price / p * p, g / 3 * 3, m / 7 * 7 FROM left.decimals WHERE id <> 1",
    "SELECT id, round(p / 3, 4), round(p / 3 * 100, 1), floor(p / 3 * 3), ceil(p / 3 * 3), abs(p / -3) * 3, round(p / 7 * 7) FROM left.decimals",
    "SELECT id, CASE WHEN t = 0 THEN 0 ELSE p / t END * 100, coalesce(p / nullif(t, 7), 0) * 100, CAST(p / 3 * 3 AS DECIMAL(10,1)) FROM left.decimals",
    "SELECT id, p / 3 * 1e0, p / 3 = 0.333333, p / 3 * 3 = p, p / 3 > 33.166666, p / 3 IN (33.166667, -333.33), p / 3 BETWEEN 33.166666 AND 33.166667 FROM left.decimals",
    "SELECT id, CASE p / 3 WHEN 33.166667 THEN 1 WHEN 33.166666666 THEN 2 END, nullif(p / 3, 33.166667), p / 3 IN (33.166667), p / 3 <> 33.166667 FROM left.decimals",
    "SELECT id, p % 1 + price % 1, coalesce(p, 1.5) % CAST(1 AS DECIMAL(5,2)), coalesce(p, 1.5) % -1, coalesce(p, 1.5) % id FROM left.decimals",
    "SELECT id % 2 FROM left.decimals GROUP BY id % 2 HAVING avg(p) > 33.33333 AND avg(t) * 3 < 1000",
    "SELECT id FROM left.decimals WHERE p / 3 * 3 < p OR price / 3 > 1.11",
    "SELECT a.id, b.id FROM left.decimals a JOIN right.decimals b ON a.p / 3 = b.p / 3",
    "SELECT sum(p) / sum(price) * 100, sum(p) / count(*) * 3, (sum(price) - sum(p)) / sum(p) * 100, round(sum(p) / 7 * 100, 2) FROM left.decimals",
    "SELECT id % 2, sum(p) / sum(o) * 100, sum(p) / 3.0 * 3 FROM left.decimals GROUP BY id % 2",
    "SELECT avg(p) * 100, avg(p) * 3 - 1, avg(p) / avg(o), avg(id) * 100, avg(b > 0) * 100, avg(DISTINCT t) / 3 * 3, avg(c) * 1000 FROM left.decimals",
    "SELECT id % 2, avg(p) * 100, avg(t) * 3, 100 * avg(id) FROM left.decimals GROUP BY id % 2 HAVING avg(id) * 3 > 1",
    "SELECT p / 3, count(*) FROM left.decimals GROUP BY p / 3",
    // Moments in short
    "SELECT id FROM left.arithmetic WHERE dtm > '2024-1-5'",
    "SELECT id FROM left.arithmetic WHERE dtm > '2024-1-1 0:0' AND ts >= '2024-02-29 00:00'",
    "SELECT id FROM left.arithmetic WHERE dtm BETWEEN '2024-1-1' AND '2024-02-29 00:00'",
    "SELECT id FROM left.arithmetic WHERE ts IN ('2024-2-29', '2024-02-29 12:00') OR dtm = '2024-2-29 0'",
    "SELECT id FROM left.arithmetic WHERE ts >= TIMESTAMP '2024-02-29 12:00'",
    "SELECT id FROM left.arithmetic WHERE dtm <= '1000-1-1 0:0:0.5' OR dt = '2024-2-29'",
    // Lists
    "SELECT id FROM left.arithmetic WHERE bu IN (7, 18446744073709551615)",
];

/// Those that MariaDB words in another way.
const WORDED: &[(&str, &str)] = &[
    // Beyond 100,000,000 MariaDB's ends.
    (
        "SELECT median(p), median(o), median(id), median(p / 7) FROM left.decimals WHERE id IN (1, 4)",
        "SELECT DISTINCT median(p) OVER (), median(o) OVER (), median(id) OVER (), median(p / 7) OVER () \
         FROM left.decimals WHERE id IN (1, 4)",
    ),
    (
        "SELECT id, y IS NOT DISTINCT FROM 24 FROM left.pairs WHERE y IS NOT DISTINCT FROM 24 OR y IS DISTINCT FROM 99",
        "SELECT id, y <=> 24 FROM left.pairs WHERE y <=> 24 OR NOT (y <=> 99)",
    ),
    // Casts
    (
        "SELECT id, CAST(p AS BIGINT), p::int, CAST(c AS BIGINT), CAST(m AS BIGINT), CAST(p / 3 AS INT) FROM left.decimals",
        "SELECT id, CAST(p AS SIGNED), CAST(p AS SIGNED), CAST(c AS SIGNED), CAST(m AS SIGNED), CAST(p / 3 AS SIGNED) FROM left.decimals",
    ),
    (
        "SELECT id, CAST(f AS BIGINT), CAST(f AS DECIMAL(20,15)), CAST(d AS DOUBLE), CAST(g AS VARCHAR(2)), CAST(f AS VARCHAR(2)) FROM left.flags",
        "SELECT id, CAST(f AS SIGNED), CAST(f AS DECIMAL(20,15)), CAST(d AS DOUBLE), CAST(g AS CHAR(2)), CAST(f AS CHAR(2)) FROM left.flags",
    ),
    (
        "SELECT id, CAST(f AS DECIMAL(30,12)), CAST(amount AS DOUBLE), amount::double = amount + 0e0 FROM left.arithmetic WHERE id IN (1, 4)",
        "SELECT id, CAST(f AS DECIMAL(30,12)), CAST(amount AS DOUBLE), CAST(amount AS DOUBLE) = amount + 0e0 FROM left.arithmetic WHERE id IN (1, 4)",
    ),
    (
        "SELECT count(*) FROM left.flags GROUP BY CAST(g AS CHAR(1))",
        "SELECT count(*) FROM left.flags GROUP BY CAST(g AS CHAR(1) CHARACTER SET utf8mb4) COLLATE utf8mb4_general_ci",
    ),
    (
        "SELECT id FROM left.arithmetic WHERE tm > INTERVAL '1 day'",
        "SELECT id FROM left.arithmetic WHERE tm > '24:00:00'",
    ),
    (
        "SELECT id FROM left.arithmetic WHERE tm BETWEEN INTERVAL '0 days' AND INTERVAL '1 day 10 hours'",
        "SELECT id FROM left.arithmetic WHERE tm BETWEEN '00:00:00' AND '34:00:00'",
    ),
    (
        "SELECT id FROM left.arithmetic WHERE tm IN (INTERVAL '1 day 10 hours', INTERVAL '-1 month')",
        "SELECT id FROM left.arithmetic WHERE tm IN ('34:00:00', '-720:00:00')",
    ),
    (
        "SELECT a.id, b.id FROM left.arithmetic a JOIN right.days b ON a.dtm - b.dtm > INTERVAL '1 day'",
        "SELECT a.id, b.id FROM left.arithmetic a JOIN right.days b ON a.dtm > b.dtm + INTERVAL 1 DAY",
    ),
    (
        "SELECT id FROM left.arithmetic WHERE dtm - ts < INTERVAL '-1 day'",
        "SELECT id FROM left.arithmetic WHERE dtm < ts - INTERVAL 1 DAY",
    ),
    (
        "SELECT id, CASE WHEN dtm - lag(dtm) OVER (ORDER BY id) > INTERVAL '30 days' THEN 1 ELSE 0 END FROM left.arithmetic WHERE id <> 3",
        "SELECT id, CASE WHEN dtm > lag(dtm) OVER (ORDER BY id) + INTERVAL 30 DAY THEN 1 ELSE 0 END FROM left.arithmetic WHERE id <> 3",
    ),
    (
        "SELECT CASE WHEN tm > INTERVAL '1 day' THEN 'long' WHEN tm >= INTERVAL '0 days' THEN 'short' ELSE 'none' END AS bucket, count(*) \
         FROM left.arithmetic GROUP BY bucket",
        "SELECT CASE WHEN tm > '24:00:00' THEN 'long' WHEN tm >= '00:00:00' THEN 'short' ELSE 'none' END AS bucket, count(*) \
         FROM left.arithmetic GROUP BY bucket",
    ),
    (
        "SELECT id FROM left.arithmetic WHERE ts > TIMESTAMP '2024-02-20' + 2 * id * INTERVAL '1 day' + INTERVAL '01:30'",
        "SELECT id FROM left.arithmetic WHERE ts > TIMESTAMP('2024-02-20 01:30:00') + INTERVAL 2 * id DAY",
    ),
    (
        "SELECT count(DISTINCT coalesce(tm, INTERVAL '1 day 10 hours')) FROM left.arithmetic",
        "SELECT count(DISTINCT coalesce(tm, CAST('34:00:00' AS TIME))) FROM left.arithmetic",
    ),
    (
        "SELECT id FROM left.arithmetic WHERE id <> 3 ORDER BY coalesce(tm, INTERVAL '1 day') LIMIT 2",
        "SELECT id FROM left.arithmetic WHERE id <> 3 ORDER BY tm LIMIT 2",
    ),
    (
        "SELECT id, concat(date_bin(INTERVAL '1 month', dtm), ''), concat(date_bin(INTERVAL '1 day', dtm), ''), \
         concat(date_bin(INTERVAL '1 year', dt), '') FROM left.arithmetic WHERE id <> 3",
        "SELECT id, DATE_FORMAT(dtm, '%Y-%m-01 00:00:00'), DATE_FORMAT(dtm, '%Y-%m-%d 00:00:00'), \
         DATE_FORMAT(dt, '%Y-01-01 00:00:00') FROM left.arithmetic WHERE id <> 3",
    ),
    (
        "SELECT id, extract(hour FROM tm), date_part('hours', tmf), extract(epoch FROM tm), extract(epoch FROM tmf) FROM left.arithmetic",
        "SELECT id, HOUR(tm) * IF(tm < 0, -1, 1), HOUR(tmf) * IF(tmf < 0, -1, 1), TIME_TO_SEC(tm) + 0e0, TIME_TO_SEC(tmf) + 0e0 \
         FROM left.arithmetic",
    ),
    (
        "SELECT id, extract(epoch FROM dt), extract(epoch FROM dtm), extract(epoch FROM ts) FROM left.arithmetic",
        "SELECT id, TIMESTAMPDIFF(SECOND, '1970-01-01', dt) + 0e0, TIMESTAMPDIFF(MICROSECOND, '1970-01-01', dtm) / 1e6, \
         UNIX_TIMESTAMP(ts) + 0e0 FROM left.arithmetic",
    ),
    (
        "SELECT id, extract(year FROM CASE WHEN id = 4 THEN ts ELSE '9999-12-31 23:59:59' END), extract(year FROM '9999-12-31') \
         FROM left.arithmetic",
        "SELECT id, YEAR(CASE WHEN id = 4 THEN ts ELSE '9999-12-31 23:59:59' END), 9999 FROM left.arithmetic",
    ),
    (
        "SELECT id FROM left.arithmetic WHERE bu = ANY(ARRAY[7, 9223372036854775808])",
        "SELECT id FROM left.arithmetic WHERE bu IN (7, 9223372036854775808)",
    ),
    (
        "SELECT id, i / (i - i), 100 / tu, bu / (iu - iu), 5 / 0 FROM left.arithmetic",
        "SELECT id, i DIV (i - i), 100 DIV tu, bu DIV (iu - iu), 5 DIV 0 FROM left.arithmetic",
    ),
    (
        "SELECT id, CAST(tm AS VARCHAR), tmf::text FROM left.arithmetic",
        "SELECT id, CAST(tm AS CHAR), CAST(tmf AS CHAR) FROM left.arithmetic",
    ),
    (
        "SELECT id, concat(date_trunc('month', dtm), ''), concat(date_trunc('year', dt), '') FROM left.arithmetic WHERE id <> 3",
        "SELECT id, DATE_FORMAT(dtm, '%Y-%m-01 00:00:00'), DATE_FORMAT(dt, '%Y-01-01 00:00:00') FROM left.arithmetic WHERE id <> 3",
    ),
    (
        "SELECT id, CAST(ts AT TIME ZONE '+02:00' AS VARCHAR) FROM left.arithmetic WHERE id = 4",
        "SELECT id, DATE_FORMAT(CONVERT_TZ(ts, '+00:00', '+02:00'), '%Y-%m-%d %H:%i:%s') FROM left.arithmetic WHERE id = 4",
    ),
];

/// Out of range there and here.
const OUT_OF_RANGE: &[&str] = &[
    "SELECT b-1 FROM left.arithmetic",
    "SELECT b+1 FROM left.arithmetic",
    "SELECT b*2 FROM left.arithmetic",
    "SELECT id FROM left.arithmetic WHERE b*b > 5",
    "SELECT -b FROM left.arithmetic",
    "SELECT abs(b) FROM left.arithmetic",
    "SELECT d*2 FROM left.arithmetic WHERE id = 5",
    "SELECT d*d FROM left.arithmetic",
    "SELECT z*z FROM left.decimals",
];

#[tokio::test]
async fn bounds_of_numbers_days_and_times_are_mariadbs() -> TestResult {
    let (left, right) = (support::database("left").await?, support::database("right").await?);
    for database in [&left, &right] {
        database.execute(TABLES).await?;
        database.execute(carried::TABLES).await?;
    }
    let config = left.config("cached") + &right.config("cached");
    let environment =
        [&left, &right].map(|database| (database.password_variable(), database.reader_password.clone()));
    let mut server = support::crossweave(&config, environment.into())?;
    let client = server.start().await?;
    let mut reference = support::mariadb().await?.connect(None).await?;
    reference.query_drop("SET NAMES utf8mb4 COLLATE utf8mb4_general_ci, time_zone = '+00:00'").await?;
    let there = |statement: &str| {
        statement
            .replace("left.", &format!("`{}`.", left.database))
            .replace("right.", &format!("`{}`.", right.database))
    };
    let routes = [
        json!("live"),
        json!("cached"),
        json!({"left": "live", "right": "cached"}),
        json!({"left": "cached", "right": "live"}),
    ];
    let mut wrong = Vec::new();
    let same = STATEMENTS.iter().chain(carried::STATEMENTS).map(|statement| (*statement, *statement));
    for (statement, in_mariadb) in same.chain(WORDED.iter().chain(carried::OF_VIEWS).copied()) {
        let expected: Vec<mysql_async::Row> = match reference.query(there(in_mariadb)).await {
            Ok(expected) => expected,
            Err(error) => {
                wrong.push(format!("{statement} in MariaDB: {error}"));
                continue;
            }
        };
        let expected = rows(statement, expected.into_iter().map(plain_row).collect());
        // Views are read live alone.
        let is_live = |route: &&serde_json::Value| **route == "live" || route["left"] == "live";
        let of_views = ["left.shares", "left.thirds"].iter().any(|view| statement.contains(view));
        for route in routes.iter().filter(|route| !of_views || is_live(route)) {
            match ask(&client, statement, route).await {
                Ok(found) if rows(statement, found.clone()) == expected => {}
                Ok(found) => wrong.push(format!(
                    "{statement} on {route}\n  expected {expected:?}\n  found    {:?}",
                    rows(statement, found)
                )),
                Err(error) => wrong.push(format!("{statement} on {route}\n  {error}")),
            }
        }
    }
    for statement in OUT_OF_RANGE {
        match reference.query::<mysql_async::Row, _>(there(statement)).await {
            Err(error) if error.to_string().contains("out of range") => {}
            other => wrong.push(format!("{statement} in MariaDB: {:?}", other.map(|rows| rows.len()))),
        }
        for route in &routes {
            match ask(&client, statement, route).await {
                Err(error) if error.contains("out of range") => {}
                other => wrong.push(format!("{statement} on {route}: {other:?}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    server.terminate().await?;
    Ok(())
}
