//! Columns of every type, and rows of hard values for them: the columns beside the key, then each row as literals.

pub(super) const NUMBERS: (&str, &[&str]) = (
    "a TINYINT, b TINYINT UNSIGNED, c SMALLINT, d SMALLINT UNSIGNED, e MEDIUMINT, f MEDIUMINT UNSIGNED, g INT, \
     h INT UNSIGNED, i BIGINT, j BIGINT UNSIGNED, k FLOAT, l DOUBLE, m BIT(1), n BIT(7), o BIT(8), p BIT(9), \
     q BIT(64), r YEAR, s TINYINT(1), u INT INVISIBLE",
    &[
        "-128, 0, -32768, 0, -8388608, 0, -2147483648, 0, -9223372036854775808, 0, -3.4e38, -1.7e308, b'0', b'0', \
         b'0', b'0', 0, 0, 0",
        "127, 255, 32767, 65535, 8388607, 16777215, 2147483647, 4294967295, 9223372036854775806, \
         18446744073709551615, 1.17549e-38, 2.2250738585072014e-308, b'1', b'1111111', b'11111111', b'111111111', \
         18446744073709551615, 2155, 1",
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        "-1, 1, -1, 256, -1, 65536, -1, 16777216, -1, 9223372036854775808, 0.1, 0.1, b'1', b'1000000', \
         b'10000000', b'100000000', 1, 1901, -7",
    ],
);

pub(super) const DECIMALS: (&str, &[&str]) = (
    "a DECIMAL(1,0), b DECIMAL(10,2), c DECIMAL(9,9), d DECIMAL(18,9), e DECIMAL(38,0), f DECIMAL(38,38), \
     g DECIMAL(39,1), h DECIMAL(65,30), i DECIMAL(65,0), j DECIMAL(20,11) UNSIGNED, k DECIMAL(65,38)",
    &[
        "9, 12345678.90, 0.123456789, 123456789.987654321, 99999999999999999999999999999999999999, \
         0.99999999999999999999999999999999999999, 99999999999999999999999999999999999999.9, \
         99999999999999999999999999999999999.999999999999999999999999999999, \
         99999999999999999999999999999999999999999999999999999999999999999, 123456789.12345678901, \
         123456789012345678901234567.89012345678901234567890123456789012345",
        "-9, -0.01, -0.000000001, -0.000000001, -99999999999999999999999999999999999999, \
         -0.00000000000000000000000000000000000001, -0.1, -0.000000000000000000000000000001, \
         -99999999999999999999999999999999999999999999999999999999999999999, 0, -1",
        "0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0",
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        "1, 1000000, 0.1, 1000000000 - 1, -1000000000, 0.5, 1e37, -1e34, 1e64, 1e8, 1e26",
    ],
);

pub(super) const TIMES: (&str, &[&str]) = (
    "a DATE, b DATETIME, c DATETIME(1), d DATETIME(2), e DATETIME(3), f DATETIME(6), g TIMESTAMP NULL, \
     h TIMESTAMP(3) NULL, i TIMESTAMP(6) NULL, j TIME, k TIME(1), l TIME(2), m TIME(3), n TIME(4), o TIME(6)",
    &[
        "'1000-01-01', '1000-01-01 00:00:00', '1970-01-01 00:00:00.1', '2024-02-29 23:59:59.99', \
         '2024-02-29 23:59:59.999', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01', \
         '2038-01-19 03:14:07.999', '2001-09-09 01:46:40.000001', '-838:59:59', '-838:59:59.9', '-00:00:00.01', \
         '-00:00:00.001', '-10:11:12.0001', '-838:59:59.999999'",
        "'9999-12-31', '9999-12-31 23:59:59', '0001-01-01 00:00:00.0', '1969-12-31 23:59:59.01', \
         '1000-01-01 01:02:03.004', '1969-12-31 23:59:59.999999', '2038-01-19 03:14:07', \
         '1970-01-01 00:00:00.001', '1970-01-01 00:00:00.000001', '838:59:59', '838:59:59.9', '00:00:00.99', \
         '01:00:00.100', '00:00:00.0001', '-00:00:00.000001'",
        "'0000-00-00', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00', '0000-00-00', '0000-00-00', \
         '0000-00-00 00:00:00', '0000-00-00 00:00:00', '0000-00-00', '0', '0', '0', '0', '0', '0'",
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        "'2018-02-00', '2018-02-00 01:02:03', '2018-00-00 00:00:00.5', '2018-02-31 01:02:03.44', '0000-01-01', \
         '2018-02-31 01:02:03.123456', '1970-01-01 00:00:01', '1970-01-01 00:00:01', '1970-01-01 00:00:01', \
         '-00:00:01', '-00:00:01.0', '-23:59:59.01', '-23:59:59.000', '23:59:59.9999', '-00:00:01.000000'",
    ],
);

pub(super) const TEXTS: (&str, &[&str]) = (
    "a CHAR(10), b CHAR(255), c VARCHAR(10), d VARCHAR(300), e TINYTEXT, f TEXT, g MEDIUMTEXT, h LONGTEXT, \
     i CHAR(5) CHARACTER SET latin1, j VARCHAR(40) CHARACTER SET latin1, k TEXT CHARACTER SET utf8mb3, \
     l VARCHAR(9) CHARACTER SET ascii, m VARCHAR(9) CHARACTER SET ucs2, n CHAR(9) CHARACTER SET utf16, \
     o TEXT CHARACTER SET utf16le, p CHAR(4) CHARACTER SET utf32, q VARCHAR(200) COMPRESSED, r TEXT COMPRESSED, \
     s JSON",
    &[
        "'a b', REPEAT('é😀', 127), 'tail  ', REPEAT('ü', 300), 'x', REPEAT('y', 60000), REPEAT('z', 70000), \
         'long', 'é', 'Ünïcödé €™', 'ßπ✓', 'plain', 'ü€', '😀a', '😀', '😀', REPEAT('abc', 60), \
         REPEAT('xyz', 9000), '{\"a\": [1, \"ü\"]}'",
        "'', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', 'null'",
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, \
         NULL, NULL",
        "'trail   ', ' lead', '   ', CHAR(0), '\\\\\\'\"`', '\\n', CONCAT('n', CHAR(0), 'l'), 't  ', 'x  ', \
         CONVERT(UNHEX('808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0ff') USING latin1), \
         '  ', ' ', ' ', 'x   ', ' ', '  ', 'short', 's', '\"\"'",
    ],
);

pub(super) const OTHERS: (&str, &[&str]) = (
    "a ENUM('new','paid','','x'), b SET('p','q','r'), c BINARY(4), d VARBINARY(9), e BLOB, f LONGBLOB, g UUID, \
     h INET4, i INET6, j GEOMETRY, k POINT, l BINARY(255), m VARBINARY(400), n BLOB COMPRESSED",
    &[
        "'new', 'p,r', x'01020304', x'00', x'0000', REPEAT('b', 70000), '00112233-4455-1677-8899-aabbccddeeff', \
         '1.2.3.4', '2001:db8::ff00:42:8329', ST_GeomFromText('POINT(1 2)', 4326), POINT(3, -4.5), \
         REPEAT(x'ff', 255), REPEAT('m', 400), REPEAT('n', 3000)",
        "'', '', '', '', '', '', '00000000-0000-0000-0000-000000000000', '0.0.0.0', '::', \
         ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'), POINT(0, 0), '', '', ''",
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        "3, 7, x'00000000', x'ff00', x'ff', '', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '255.255.255.255', \
         '::ffff:1.2.3.4', ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))'), NULL, x'01', \
         x'00ff00', x'00'",
        "4, 'q', x'01000000', x'0100', x'00', x'00', '017f22e2-79b0-7cc3-98c4-000000000000', '1.0.0.0', '1::', \
         POINT(1, 1), NULL, x'0001', x'00', 'short'",
        "'x', 'p,q,r', x'00000001', NULL, NULL, NULL, '12345678-1234-4234-8234-100000000000', '0.0.0.1', \
         '::1.2.3.4', NULL, NULL, NULL, NULL, NULL",
        "1, 0, NULL, NULL, NULL, NULL, '00112233-4455-6677-c899-aabbccddee00', '10.0.0.0', '1:0:2:3:4:5:6:7', \
         NULL, NULL, NULL, NULL, NULL",
    ],
);

/// Numbers that are shown otherwise than others, and the ends of what floats can be.
pub(super) const SHOWN_NUMBERS: (&str, &[&str]) = (
    "a FLOAT(7,3), b DOUBLE(10,2), c INT(5) UNSIGNED ZEROFILL, d DECIMAL(10,2) ZEROFILL, e FLOAT UNSIGNED ZEROFILL, \
     f DOUBLE ZEROFILL, g FLOAT, h DOUBLE, i BIT(1) NOT NULL DEFAULT b'1', j YEAR(4), k DECIMAL(5,0) UNSIGNED ZEROFILL, \
     l BIGINT(20) UNSIGNED ZEROFILL",
    &[
        "1234.567, 12345678.99, 7, 1.5, 0.25, 0.5, 1e-45, 5e-324, b'0', 1901, 42, 18446744073709551615",
        "-1234.5678, -0.005, 4294967295, 99999999.99, 3.4028234e38, 1.7976931348623157e308, -1e-45, -5e-324, b'1', 0, 0, 0",
        "0.0005, 0.1 + 0.2, 0, 0, 0, 0, -0e0, -0e0, DEFAULT, 70, 99999, 9223372036854775808",
        "NULL, NULL, NULL, NULL, NULL, NULL, 3.4028234e38, -1.7976931348623157e308, b'1', '69', NULL, NULL",
        "16777217, 0.07, 1, 1, 16777217, 9007199254740993, 16777217, 9007199254740993, b'1', 2155, 1, 1",
        "0.1, 0.1, 1, 0.1, 0.1, 0.1, 0.1, 0.1 + 0.2, b'1', 1999, 1, 1",
    ],
);

/// Lists of values with quotes, backslashes, characters beyond the basic plane, of other character sets, and the
/// error value.
pub(super) const LISTS: (&str, &[&str]) = (
    r#"a ENUM('it''s', 'b\\s', '"', '`', 'a b', 'x,y', '(z)', '?', '😀', '😁', 'l\nf') COLLATE utf8mb4_bin, b SET('it''s', 'b\\s', '"', '?', '😀'),
       c ENUM('ä', 'ö') CHARACTER SET latin1, d ENUM('한', '국') CHARACTER SET euckr, e SET('한', '국') CHARACTER SET ucs2,
       f ENUM('a', 'A', 'á') COLLATE utf8mb4_bin, g ENUM('1', '2', '0'), h SET('😀', 'b') CHARACTER SET utf16,
       i ENUM('Ω', '😀') CHARACTER SET utf32, j ENUM('x') CHARACTER SET binary, k ENUM('yes', 'no', '?'), l ENUM('a', '', 'c')"#,
    &[
        "1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1",
        "2, 31, 'ö', '국', '국,한', 'A', '1', '😀,b', '😀', 'x', '?', 2",
        "'😁', '😀,?', 0, 0, 0, 'á', '0', 0, 0, 0, 0, 0",
        "NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL",
        "'`', '\"', 'none', 'none', '', 3, 3, '', 'Ω', NULL, 'no', ''",
        "'l\nf', 'b\\\\s,it''s', 1, 2, 3, 'a', 2, 'b', 2, 1, 2, 'c'",
        "'?', '?', 1, 2, 3, 'a', 2, 'b', 2, 1, 2, 3",
    ],
);
