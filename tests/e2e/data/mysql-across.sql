-- Databases that read one another, in an order that a restore one after the other cannot have: the first two need a later one, and the
-- first also the second, the last an earlier one. `types` is there already.
CREATE DATABASE `!a`;
CREATE DATABASE `!b`;
CREATE DATABASE `zz`;
CREATE VIEW `!b`.of_later AS SELECT id, types.shout('x') AS loud FROM types.z_first;
CREATE VIEW `!a`.of_both AS SELECT l.id, l.loud, s.other FROM `!b`.of_later l JOIN types.a_second s ON s.other = l.id;
CREATE TABLE `!a`.refers (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES types.z_first (id));
INSERT INTO `!a`.refers VALUES (2);
CREATE VIEW zz.of_earlier AS SELECT id FROM `!a`.of_both;
