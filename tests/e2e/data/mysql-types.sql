SET sql_mode = 'NO_ENGINE_SUBSTITUTION';
SET time_zone = '+00:00';
-- Every type that both servers have, names as long as they may be, many rows, and what refers to what in an awkward order.
CREATE TABLE every_type (
  a TINYINT, b TINYINT UNSIGNED, c SMALLINT, d MEDIUMINT, e INT UNSIGNED, f BIGINT, g BIGINT UNSIGNED ZEROFILL, h BOOLEAN,
  i DECIMAL(65, 30), j FLOAT, k DOUBLE, l BIT(64), m DATE, n TIME(6), o DATETIME(6), p TIMESTAMP(6) NULL, q YEAR,
  r CHAR(255) CHARACTER SET utf8mb4, s VARCHAR(20) CHARACTER SET latin1, t BINARY(3), u VARBINARY(9),
  v TINYBLOB, w BLOB, x MEDIUMBLOB, y LONGBLOB, z TINYTEXT, aa TEXT CHARACTER SET utf16, ab MEDIUMTEXT, ac LONGTEXT CHARACTER SET utf8mb4,
  ad ENUM('', 'x,y', 'it''s'), ae SET('1', '2', '64'), af JSON,
  ag GEOMETRY, ah POINT, ai LINESTRING, aj POLYGON, ak MULTIPOINT, al MULTILINESTRING, am MULTIPOLYGON, an GEOMETRYCOLLECTION
);
INSERT INTO every_type VALUES (
  -128, 255, -32768, 8388607, 4294967295, -9223372036854775808, 18446744073709551615, TRUE,
  -99999999999999999999999999999999999.999999999999999999999999999999, 1.17549e-38, 1.7976931348623157e308, x'FFFFFFFFFFFFFFFF',
  '1000-01-01', '-838:59:59', '9999-12-31 23:59:59.999999', '1970-01-01 00:00:01.000001', 1901,
  '☃ x', 'caf\u00e9', 'a\0', x'00FF5C27220A0D1A00', '', x'00', 'x', REPEAT(x'00FF', 500), 'tiny', '世', 'm', '😀\\\0\Z',
  'x,y', '1,64', '{"a": [1.5, "\\u0000", null]}',
  ST_GeomFromText('POINT(1 2)'), ST_GeomFromText('POINT(-0.5 1e300)'), ST_GeomFromText('LINESTRING(0 0, 1 1)'),
  ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))'), ST_GeomFromText('MULTIPOINT(0 0, 1 1)'),
  ST_GeomFromText('MULTILINESTRING((0 0, 1 1), (2 2, 3 3))'), ST_GeomFromText('MULTIPOLYGON(((0 0, 1 0, 1 1, 0 0)))'),
  ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1), LINESTRING(0 0, 1 1))')
);
INSERT INTO every_type () VALUES ();
CREATE TABLE many (id INT PRIMARY KEY, hash BINARY(32) NOT NULL, KEY (hash(8)));
INSERT INTO many
  WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 499)
  SELECT a.i * 200 + b.i, UNHEX(SHA2(a.i * 200 + b.i, 256)) FROM n a JOIN n b WHERE b.i < 200;
-- 64 characters, the most there is.
CREATE TABLE `t.dot ää☃ '"\ $(x) xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` (
  `cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc` INT PRIMARY KEY, `a.b "c" ``d``` TEXT
);
INSERT INTO `t.dot ää☃ '"\ $(x) xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` VALUES (1, 'x');
-- A circle of foreign keys, and one to itself.
CREATE TABLE z_first (id INT PRIMARY KEY, other INT, parent INT, FOREIGN KEY (parent) REFERENCES z_first (id));
CREATE TABLE a_second (id INT PRIMARY KEY, other INT, FOREIGN KEY (other) REFERENCES z_first (id));
INSERT INTO z_first VALUES (2, 1, 2), (1, 1, 2);
INSERT INTO a_second VALUES (1, 2);
ALTER TABLE z_first ADD CONSTRAINT back FOREIGN KEY (other) REFERENCES a_second (id);
DELIMITER //
CREATE FUNCTION shout(what VARCHAR(100)) RETURNS VARCHAR(101) DETERMINISTIC
BEGIN
  RETURN CONCAT(UPPER(what), '!');
END //
DELIMITER ;
-- Views whose names sort before what they are made of, and which call a function.
CREATE VIEW zz_base AS SELECT id, shout('x') AS loud FROM z_first;
CREATE VIEW aa_top AS SELECT b.id, b.loud FROM zz_base b JOIN a_second s ON s.other = b.id;
CREATE TABLE ranged (id INT NOT NULL, at DATE NOT NULL, PRIMARY KEY (id, at))
  PARTITION BY RANGE (YEAR(at)) SUBPARTITION BY HASH (id) SUBPARTITIONS 2
  (PARTITION early VALUES LESS THAN (2000), PARTITION late VALUES LESS THAN MAXVALUE);
INSERT INTO ranged VALUES (1, '1999-12-31'), (2, '2024-02-29');
CREATE TABLE texts (what TEXT, FULLTEXT KEY (what));
INSERT INTO texts VALUES ('some words'), (NULL);
CREATE TABLE places (at POINT NOT NULL, SPATIAL KEY (at));
INSERT INTO places VALUES (ST_GeomFromText('POINT(3 4)'));

CREATE TABLE nothing (id INT AUTO_INCREMENT PRIMARY KEY, what TEXT) AUTO_INCREMENT = 4711;
CREATE TABLE computed (a INT, `b 'x'` INT AS (a * 2) STORED, c INT AS (a + 1) VIRTUAL, d DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  e INT DEFAULT 7 CHECK (e > 0), KEY (c), UNIQUE KEY `k "q"` (a DESC));
INSERT INTO computed (a, d) VALUES (1, '2024-02-29 01:02:03.456'), (NULL, NULL);
CREATE TRIGGER first_one BEFORE INSERT ON computed FOR EACH ROW SET NEW.a = COALESCE(NEW.a, 5);
CREATE TRIGGER `second ☃` BEFORE INSERT ON computed FOR EACH ROW FOLLOWS first_one SET NEW.a = NEW.a + 1;
CREATE PROCEDURE `pro'c "x"` (IN a INT, INOUT b TEXT CHARACTER SET utf8mb4, OUT c JSON) READS SQL DATA SQL SECURITY INVOKER COMMENT 'a "comment"' SET c = '[]';
CREATE EVENT once ON SCHEDULE AT '2037-12-31 23:59:59' ON COMPLETION PRESERVE DISABLE COMMENT 'it''s' DO DELETE FROM nothing;
CREATE SQL SECURITY INVOKER VIEW checked AS SELECT id FROM z_first WHERE id > 0 WITH CASCADED CHECK OPTION;
-- What only one of the two has.
/*!80000 CREATE TABLE of_mysql (v VECTOR(3), p POINT NOT NULL SRID 4326, hidden INT INVISIBLE, e INT DEFAULT (1 + 1),
  KEY ((e + 1)), KEY (e) INVISIBLE, SPATIAL KEY (p)) */;
/*!80000 INSERT INTO of_mysql (v, p, hidden) VALUES (STRING_TO_VECTOR('[1.5,-2,3e-9]'), ST_GeomFromText('POINT(1 2)', 4326), 3) */;
/*!80000 CREATE TABLE multi_valued (j JSON, KEY ((CAST(j->'$[*]' AS UNSIGNED ARRAY)))) */;
/*!80000 INSERT INTO multi_valued VALUES ('[1, 2]'), (NULL) */;
/*M! CREATE TABLE of_mariadb (u UUID, six INET6, four INET4, long_text TEXT COMPRESSED, hidden INT INVISIBLE, PERIOD FOR valid (since, till),
  since DATE NOT NULL, till DATE NOT NULL) */;
/*M! INSERT INTO of_mariadb (u, six, four, long_text, hidden, since, till) VALUES
  ('550e8400-e29b-41d4-a716-446655440000', '2001:db8::1', '192.0.2.1', REPEAT('x', 5000), 3, '2024-01-01', '2024-02-01') */;
/*M! CREATE SEQUENCE counter START WITH 42 INCREMENT BY 7 MINVALUE 1 MAXVALUE 100 CYCLE NOCACHE */;
/*M! SELECT NEXTVAL(counter), NEXTVAL(counter) */;
