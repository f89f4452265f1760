-- A database with one of everything, and values on which careless tools break.
CREATE EXTENSION hstore;
CREATE SCHEMA "S $(POD_UID) 'q' ""d"" \b `t`" AUTHORIZATION "own'er ""of"" $(POD_UID) ä\";
COMMENT ON SCHEMA "S $(POD_UID) 'q' ""d"" \b `t`" IS E'a comment\nof two lines; -- and $$ more \\.';
SET search_path = "S $(POD_UID) 'q' ""d"" \b `t`", public;

CREATE TYPE mood AS ENUM ('sad', 'o''k', 'ha"ppy', E'new\nline', '☃');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TYPE pair AS (a integer, b text);

CREATE TABLE customers (
  id bigint GENERATED ALWAYS AS IDENTITY (START 1000 INCREMENT 3) PRIMARY KEY,
  name text NOT NULL,
  name_length integer GENERATED ALWAYS AS (length(name)) STORED,
  mood mood,
  quantity positive DEFAULT 7,
  pair pair,
  photo bytea,
  document jsonb,
  tags text[],
  attributes hstore,
  price numeric(30, 10),
  ratio double precision,
  seen timestamptz DEFAULT '2024-02-29 23:59:59.999999+05:45',
  CONSTRAINT "odd 'name'" UNIQUE (name)
);
COMMENT ON COLUMN customers.name IS 'the customer''s "name" with \ and $(id) and `id`';
INSERT INTO customers (name, mood, quantity, pair, photo, document, tags, attributes, price, ratio, seen) VALUES
  ('', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  ('\N', 'sad', 1, '(1,"a,b")', '\x', 'null', '{}', '', 0, 'NaN', 'infinity'),
  ('\.', 'o''k', 2, '(,)', '\x00ff5c27220a0d', '{"k": "\u0001\"\\"}', '{NULL,"",",","\\"}', '"a"=>NULL', 'NaN', '-infinity', '-infinity'),
  (E'tab\there\nnewline\rreturn\bback', E'new\nline', 3, '(3,"""")', decode(repeat('00', 3000), 'hex'), '[]', ARRAY[E'\n', '☃'], '"x y"=>"$(z)"', 12345678901234567890.0123456789, 1e-300, '0044-03-15 12:00:00 BC'),
  ('$(POD_UID) $$ `id` %s ''q'' "d" \\ ; -- ', '☃', 2147483647, NULL, '\xdeadbeef', '{"a": [1, {"b": null}]}', NULL, NULL, -0.0000000001, 0.1, now()),
  ('Ünïcödé 世界 😀 ‮rtl a' || chr(769), 'ha"ppy', 4, NULL, NULL, NULL, NULL, NULL, NULL, -0.0, NULL),
  (repeat('long ', 20000), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO customers (name, photo)
  SELECT 'customer ' || n, decode(md5(n::text), 'hex') FROM generate_series(1, 5000) AS n;

CREATE TABLE "orders; DROP TABLE customers --" (
  id serial PRIMARY KEY,
  customer bigint NOT NULL REFERENCES customers ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  at date NOT NULL
);
INSERT INTO "orders; DROP TABLE customers --" (customer, at)
  SELECT id, date '2020-01-01' + (id % 1000)::int FROM customers;
CREATE INDEX "an index" ON "orders; DROP TABLE customers --" (at DESC) WHERE customer > 1500;

CREATE TABLE events (at timestamptz NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE events_2024 PARTITION OF events FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE events_rest PARTITION OF events DEFAULT;
INSERT INTO events VALUES ('2024-05-05', 'in 2024'), ('1999-12-31', 'the rest');

CREATE TABLE "empty" (id integer, what text);
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;
INSERT INTO no_columns DEFAULT VALUES;

CREATE UNLOGGED TABLE scratch AS SELECT 1 AS one;
CREATE SEQUENCE counter START 42 INCREMENT -7 MINVALUE -1000 MAXVALUE 50 CYCLE;
SELECT nextval('counter'), nextval('counter');
CREATE SEQUENCE untouched;

CREATE FUNCTION shout(what text) RETURNS text LANGUAGE plpgsql STRICT AS $fn$
BEGIN
  -- 'quotes' "both" \ $$ and `ticks` $(POD_UID)
  RETURN upper(what) || E'!\n';
END
$fn$;
CREATE PROCEDURE forget(who bigint) LANGUAGE sql AS $$ DELETE FROM customers WHERE id = who $$;
CREATE AGGREGATE join_all(text) (SFUNC = textcat, STYPE = text, INITCOND = '');
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := NEW.name; RETURN NEW; END $$;
CREATE TRIGGER "note it" BEFORE UPDATE ON customers FOR EACH ROW WHEN (OLD.name IS DISTINCT FROM NEW.name) EXECUTE FUNCTION note();

CREATE VIEW "who's happy" AS SELECT id, shout(name) AS name FROM customers WHERE mood = 'ha"ppy';
CREATE MATERIALIZED VIEW moods AS SELECT mood, count(*) AS number FROM customers GROUP BY mood;
CREATE VIEW loud AS SELECT * FROM moods WHERE number > 1;

ALTER TABLE "empty" ENABLE ROW LEVEL SECURITY;
CREATE POLICY "only mine" ON "empty" FOR SELECT USING (what = current_user);
GRANT SELECT (id, name) ON customers TO reader;
ALTER TABLE customers OWNER TO "own'er ""of"" $(POD_UID) ä\";

-- pg_read_all_data does not cover large objects.
SELECT lo_from_bytea(100001, decode(repeat('5c27', 100000), 'hex'));
SELECT lo_from_bytea(100002, '');
SELECT lo_from_bytea(100003, 'a large "object" with \\0 in it');
GRANT SELECT ON LARGE OBJECT 100001, 100002, 100003 TO "r'ô\le $(POD_UID) ""x""", no_bypass;
GRANT SELECT ON LARGE OBJECT 100001 TO no_large;
