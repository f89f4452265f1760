-- For databases whose name is what bites.
CREATE TABLE `t 'a' "b" \ $(c) ``d``` (`k 'e' "y"` VARCHAR(100) PRIMARY KEY, value BLOB);
INSERT INTO `t 'a' "b" \ $(c) ``d``` VALUES ('a', NULL), ('\\', 0x00), ('--help', 0x5c);
