-- Joins over three services. The statements below each are its semi-join minimum: each server is asked once, in the order
-- in which that fetches the least, for the columns that the join needs, of those rows alone that pass its own conditions
-- and have a partner in what was fetched before. The one MariaDB runs them, and counts rows and bytes.

-- query: by key
SELECT c_name, o_orderkey, o_orderdate, l_linenumber, l_quantity, p_name
FROM customers.customer
JOIN orders.orders ON o_custkey = c_custkey
JOIN orders.lineitem ON l_orderkey = o_orderkey
JOIN parts.part ON p_partkey = l_partkey
WHERE c_custkey = 370
ORDER BY o_orderkey, l_linenumber
-- minimum
SELECT c_custkey, c_name FROM customers.customer WHERE c_custkey = 370
-- minimum
SELECT o_orderkey, o_orderdate, l_linenumber, l_quantity, l_partkey
FROM orders.orders JOIN orders.lineitem ON l_orderkey = o_orderkey
WHERE o_custkey = 370
-- minimum
SELECT p_partkey, p_name FROM parts.part WHERE p_partkey IN (
  SELECT l_partkey FROM orders.orders JOIN orders.lineitem ON l_orderkey = o_orderkey WHERE o_custkey = 370)

-- query: by a text
SELECT c_name, o_orderkey, o_orderdate, l_linenumber, l_quantity, p_name
FROM customers.customer
JOIN orders.orders ON o_custkey = c_custkey
JOIN orders.lineitem ON l_orderkey = o_orderkey
JOIN parts.part ON p_partkey = l_partkey
WHERE c_name = 'customer#000000370'
ORDER BY o_orderkey, l_linenumber
-- minimum
SELECT c_custkey, c_name FROM customers.customer WHERE c_name = 'customer#000000370'
-- minimum
SELECT o_custkey, o_orderkey, o_orderdate, l_linenumber, l_quantity, l_partkey
FROM orders.orders JOIN orders.lineitem ON l_orderkey = o_orderkey
WHERE o_custkey IN (SELECT c_custkey FROM customers.customer WHERE c_name = 'customer#000000370')
-- minimum
SELECT p_partkey, p_name FROM parts.part WHERE p_partkey IN (
  SELECT l_partkey FROM orders.orders JOIN orders.lineitem ON l_orderkey = o_orderkey
  WHERE o_custkey IN (SELECT c_custkey FROM customers.customer WHERE c_name = 'customer#000000370'))

-- query: top ten of a week
SELECT c_custkey, c_name, SUM(l_extendedprice * (1 - l_discount)) AS spent
FROM orders.orders
JOIN orders.lineitem ON l_orderkey = o_orderkey
JOIN parts.part ON p_partkey = l_partkey
JOIN customers.customer ON c_custkey = o_custkey
WHERE o_orderdate >= DATE '1995-03-06' AND o_orderdate < DATE '1995-03-13' AND p_brand = 'Brand#23'
GROUP BY c_custkey, c_name
ORDER BY spent DESC, c_custkey
LIMIT 10
-- minimum
SELECT p_partkey FROM parts.part WHERE p_brand = 'Brand#23'
-- minimum
SELECT o_custkey, l_partkey, l_extendedprice, l_discount
FROM orders.orders JOIN orders.lineitem ON l_orderkey = o_orderkey
WHERE o_orderdate >= DATE '1995-03-06' AND o_orderdate < DATE '1995-03-13'
  AND l_partkey IN (SELECT p_partkey FROM parts.part WHERE p_brand = 'Brand#23')
-- minimum
SELECT c_custkey, c_name FROM customers.customer WHERE c_custkey IN (
  SELECT o_custkey FROM orders.orders JOIN orders.lineitem ON l_orderkey = o_orderkey
  WHERE o_orderdate >= DATE '1995-03-06' AND o_orderdate < DATE '1995-03-13'
    AND l_partkey IN (SELECT p_partkey FROM parts.part WHERE p_brand = 'Brand#23'))

-- query: anti-join
SELECT c_custkey, c_name, c_acctbal
FROM customers.customer
JOIN customers.nation ON n_nationkey = c_nationkey
WHERE n_name = 'Saudi Arabia' AND c_acctbal > 9800 AND NOT EXISTS (
  SELECT 1
  FROM orders.orders
  JOIN orders.lineitem ON l_orderkey = o_orderkey
  JOIN parts.part ON p_partkey = l_partkey
  WHERE o_custkey = c_custkey AND p_brand = 'Brand#23')
ORDER BY c_custkey
-- minimum
SELECT c_custkey, c_name, c_acctbal FROM customers.customer JOIN customers.nation ON n_nationkey = c_nationkey
WHERE n_name = 'Saudi Arabia' AND c_acctbal > 9800
-- minimum
SELECT o_custkey, l_partkey FROM orders.orders JOIN orders.lineitem ON l_orderkey = o_orderkey
WHERE o_custkey IN (
  SELECT c_custkey FROM customers.customer JOIN customers.nation ON n_nationkey = c_nationkey
  WHERE n_name = 'Saudi Arabia' AND c_acctbal > 9800)
-- minimum
SELECT p_partkey FROM parts.part WHERE p_brand = 'Brand#23' AND p_partkey IN (
  SELECT l_partkey FROM orders.orders JOIN orders.lineitem ON l_orderkey = o_orderkey
  WHERE o_custkey IN (
    SELECT c_custkey FROM customers.customer JOIN customers.nation ON n_nationkey = c_nationkey
    WHERE n_name = 'Saudi Arabia' AND c_acctbal > 9800))
