-- For databases whose name is what bites.
CREATE TABLE "t 'a' ""b"" \ $(c) `d`" ("k 'e' ""y""" text PRIMARY KEY, value bytea);
INSERT INTO "t 'a' ""b"" \ $(c) `d`" VALUES (current_database(), NULL), (E'\\', '\x00'), ('c', '\x5c');
CREATE SCHEMA "only $(me)";
CREATE TABLE "only $(me)".this (what text);
