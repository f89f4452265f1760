-- A database with one of everything, and values on which careless tools break.
SET sql_mode = 'NO_ENGINE_SUBSTITUTION';
SET time_zone = '+00:00';
CREATE TABLE `cust'omers "x" \ $(POD_UID)` (
  id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  name VARCHAR(250) CHARACTER SET utf8mb4 NOT NULL,
  name_length INT AS (CHAR_LENGTH(name)) STORED,
  upper_name VARCHAR(250) CHARACTER SET utf8mb4 AS (UPPER(name)) VIRTUAL,
  mood ENUM('sad', 'o''k', 'ha"ppy', '☃') CHARACTER SET utf8mb4,
  flags SET('a', 'b'),
  photo LONGBLOB,
  hash BINARY(16),
  bits BIT(11),
  document JSON,
  price DECIMAL(30, 10),
  ratio DOUBLE,
  at DATETIME(6),
  stamp TIMESTAMP NULL,
  KEY (name(20))
) COMMENT='a "comment" with \\ and ''quotes'' and $(id)';
INSERT INTO `cust'omers "x" \ $(POD_UID)` (name, mood, flags, photo, hash, bits, document, price, ratio, at, stamp) VALUES
  ('', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  ('\\N', 'sad', 'a', '', REPEAT('\0', 16), b'0', 'null', 0, 0, '1000-01-01 00:00:00', '1970-01-01 00:00:01'),
  ('tab\there\nnewline\rreturn\0nul\Zsub', 'o''k', 'a,b', 0x00FF5C27220A0D1A, UNHEX(LEFT(SHA2('x', 256), 32)), b'11111111111', '{"k": "\\u0001\\"\\\\"}', -99999999999999999999.0123456789, 1e-300, '9999-12-31 23:59:59.999999', '2038-01-19 03:14:07'),
  ('$(POD_UID) `id` %s ''q'' "d" \\ ; -- ', 'ha"ppy', '', REPEAT(0x00, 100000), NULL, b'1', '[]', 0.0000000001, 0.1, NULL, NULL),
  ('Ünïcödé 世界 😀', '☃', NULL, NULL, NULL, NULL, '{"ä": [1, {"b": null}]}', NULL, -0.5, NULL, NULL);
INSERT INTO `cust'omers "x" \ $(POD_UID)` (name, hash)
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900)
  SELECT CONCAT('customer ', a.i, '-', b.i), UNHEX(LEFT(SHA2(a.i * 1000 + b.i, 256), 32)) FROM n a JOIN (SELECT i FROM n WHERE i <= 5) b;

CREATE TABLE `orders; DROP TABLE x --` (
  id INT AUTO_INCREMENT PRIMARY KEY,
  customer BIGINT UNSIGNED NOT NULL,
  CONSTRAINT `fk 'x'` FOREIGN KEY (customer) REFERENCES `cust'omers "x" \ $(POD_UID)` (id) ON DELETE CASCADE
) AUTO_INCREMENT = 4711;
INSERT INTO `orders; DROP TABLE x --` (customer) SELECT id FROM `cust'omers "x" \ $(POD_UID)`;
CREATE TABLE `empty` (id INT, what TEXT);
CREATE TABLE parts (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 3;
INSERT INTO parts VALUES (1), (2), (3), (4);

CREATE VIEW `who's happy` AS SELECT id, name FROM `cust'omers "x" \ $(POD_UID)` WHERE mood = 'ha"ppy';
DELIMITER //
CREATE TRIGGER `note 'it'` BEFORE UPDATE ON `orders; DROP TABLE x --` FOR EACH ROW
BEGIN
  -- 'quotes' "both" \ $(POD_UID);
  SET NEW.id = OLD.id;
END //
CREATE PROCEDURE `forget "them"`(IN who BIGINT)
BEGIN
  DELETE FROM `empty` WHERE id = who; -- ; 'x' \
END //
CREATE FUNCTION shout(what VARCHAR(100)) RETURNS VARCHAR(101) DETERMINISTIC
BEGIN
  RETURN CONCAT(UPPER(what), '!');
END //
CREATE EVENT `tidy up` ON SCHEDULE EVERY 1 DAY STARTS '2037-01-01 00:00:00' DISABLE DO
BEGIN
  DELETE FROM `empty` WHERE what = 'it''s "old" \\';
END //
DELIMITER ;
