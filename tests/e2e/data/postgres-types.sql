-- Every type of the server's list that has an input, names as long as they may be, many rows, and what refers to what in an
-- order that a dump has to find out.
CREATE EXTENSION postgres_fdw;
CREATE TYPE colour AS ENUM ('red', 'gr''een');
CREATE DOMAIN even AS integer CHECK (VALUE % 2 = 0);
CREATE DOMAIN small_even AS even CHECK (VALUE < 100);
CREATE TYPE span AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE TYPE inner_pair AS (a integer, b text);
CREATE TYPE outer_pair AS (p inner_pair, list inner_pair[], c colour);

CREATE TABLE every_type AS SELECT
  (-9223372036854775808)::bigint, 32767::smallint, (-2147483648)::integer, 4294967295::oid,
  1e37::real, '-Infinity'::double precision, 'NaN'::numeric AS a_numeric_nan, '0.00000000000000000001'::numeric(40, 20),
  '$-92,233,720,368,547,758.08'::money, true::boolean, B'10101'::bit(5), B''::bit varying,
  '\x00'::bytea, 'padded '::char(10), 'v'::varchar(3), E'\u0001\t'::text, 'n'::name, '\377'::"char",
  'infinity'::date, '4713-01-01 BC'::date AS a_date_bc, '24:00:00'::time, '23:59:59.999999-15:59'::timetz,
  '294276-12-31 23:59:59.999999'::timestamp, '-infinity'::timestamptz, '-178000000 years 3 days -0.000001 seconds'::interval,
  '550e8400-e29b-41d4-a716-446655440000'::uuid, '{"a": 1, "a": 2}'::json, '{"n": 1e400}'::jsonb, '$.a[*] ? (@ > 1)'::jsonpath,
  '<a b="&lt;">x<!-- y --></a>'::xml, '::1/64'::inet, '10.0.0.0/8'::cidr, '08:00:2b:01:02:03'::macaddr, '08:00:2b:01:02:03:04:05'::macaddr8,
  '(1e-300,-0)'::point, '{1,-2,3}'::line, '[(0,0),(1,1)]'::lseg, '(2,2),(0,0)'::box, '[(0,0),(1,1),(2,0)]'::path, '((0,0),(1,0),(0,1))'::polygon,
  '<(0,0),5>'::circle, '''a b'':1A c:2'::tsvector, '''a b'':*A & !c <-> d'::tsquery,
  '16/B374D848'::pg_lsn, '10:20:10,14,15'::pg_snapshot, '10:20:10,14,15'::txid_snapshot, '7'::xid, '7'::xid8, '7'::cid, '(1,2)'::tid, '1 2 3'::int2vector, '1 2'::oidvector,
  'pg_class'::regclass, 'pg_catalog'::regnamespace, 'integer'::regtype, 'simple'::regconfig, 'simple'::regdictionary,
  'now'::regproc, 'now()'::regprocedure, '||/'::regoper, '"C"'::regcollation, '+(integer,integer)'::regoperator, 'postgres'::regrole, 'postgres=r/postgres'::aclitem, 'a cursor'::refcursor,
  '[1,5)'::int4range, 'empty'::int8range, '(,3.5]'::numrange, '[2024-01-01,infinity)'::daterange,
  '["2024-01-01 00:00:00","2024-01-02 00:00:00")'::tsrange, '(,)'::tstzrange,
  '{[1,2),[5,9)}'::int4multirange, '{}'::int8multirange, '{(,3.5]}'::nummultirange, '{[2024-01-01,2024-02-01)}'::datemultirange,
  '{(,)}'::tsmultirange, '{["2024-01-01 00:00:00+00",)}'::tstzmultirange,
  'gr''een'::colour, 98::small_even, '[0.1,0.2)'::span, '("(1,""x,y"")","{""(2,)"",NULL}",red)'::outer_pair,
  '[-1:1][2:3]={{1,2},{3,NULL},{5,6}}'::integer[] AS an_array, '{}'::text[] AS an_empty_array, '{"(1,a)"}'::inner_pair[] AS of_pairs;
INSERT INTO every_type DEFAULT VALUES;

CREATE TABLE many (id integer PRIMARY KEY, hash text NOT NULL, half boolean);
INSERT INTO many SELECT n, md5(n::text), n % 2 = 0 FROM generate_series(1, 100000) n;
CREATE INDEX ON many (upper(hash)) WHERE half;
CREATE STATISTICS together ON hash, half FROM many;

-- 63 bytes, the most there is: of one byte and of two.
CREATE SCHEMA "s.dot and space................................................";
CREATE TABLE "s.dot and space................................................"."äääääääääääääääääääääääääääääää-" (
  "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc'" integer PRIMARY KEY, "a.b ""c"" 'd' ☃" text
);
INSERT INTO "s.dot and space................................................"."äääääääääääääääääääääääääääääää-" VALUES (1, 'x');

-- A circle of foreign keys, and one to itself.
CREATE TABLE z_first (id integer PRIMARY KEY, other integer, parent integer REFERENCES z_first);
CREATE TABLE a_second (id integer PRIMARY KEY, other integer REFERENCES z_first DEFERRABLE);
INSERT INTO z_first VALUES (2, 1, 2), (1, 1, 2);
INSERT INTO a_second VALUES (1, 2);
ALTER TABLE z_first ADD CONSTRAINT back FOREIGN KEY (other) REFERENCES a_second;
-- A view on a function on a view; a default, a check and a generated column that call functions.
CREATE VIEW zz_base AS SELECT id FROM z_first;
CREATE FUNCTION middle() RETURNS SETOF integer LANGUAGE sql STABLE AS 'SELECT id FROM public.zz_base';
CREATE VIEW aa_top AS SELECT m FROM middle() m;
CREATE FUNCTION next_even() RETURNS integer LANGUAGE sql AS 'SELECT 2 * count(*)::integer FROM public.many';
CREATE FUNCTION doubled(n integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 2 * n';
CREATE TABLE aa_calls (n integer DEFAULT next_even() CHECK (doubled(n) > 0), twice integer GENERATED ALWAYS AS (doubled(n)) STORED);
INSERT INTO aa_calls DEFAULT VALUES;
-- A view that groups by a key depends on the constraint, which comes last.
CREATE VIEW grouped AS SELECT id, hash, count(*) AS number FROM many GROUP BY id;
CREATE TABLE child (extra text) INHERITS (many);
INSERT INTO child VALUES (-1, 'inherited', NULL, 'more');
CREATE TABLE leaves (a integer, b text) PARTITION BY LIST (b);
CREATE TABLE leaves_x PARTITION OF leaves FOR VALUES IN ('x', NULL) PARTITION BY HASH (a);
CREATE TABLE leaves_x0 PARTITION OF leaves_x FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE leaves_x1 PARTITION OF leaves_x FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO leaves SELECT n, CASE WHEN n % 2 = 0 THEN 'x' END FROM generate_series(1, 50) n;
CREATE TABLE booked (during tsrange, EXCLUDE USING gist (during WITH &&));
CREATE RULE quietly AS ON DELETE TO booked DO INSTEAD NOTHING;
CREATE COLLATION german (provider = libc, locale = 'C');
CREATE TABLE collated (what text COLLATE german, UNIQUE NULLS NOT DISTINCT (what));
CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq);
CREATE SERVER elsewhere FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'nowhere.example', dbname 'it''s');
CREATE FOREIGN TABLE far (id integer OPTIONS (column_name 'i d')) SERVER elsewhere;
CREATE PUBLICATION news FOR TABLE many;

-- Names of everything else, and what belongs to whom.
CREATE DOMAIN "a 'domain'" AS text DEFAULT 'x' NOT NULL CONSTRAINT "not 'this'" CHECK (VALUE <> 'this');
CREATE TABLE in_domain (what "a 'domain'");
INSERT INTO in_domain VALUES (DEFAULT);
CREATE SEQUENCE "seq 'x'" AS smallint START 7 INCREMENT 5 MINVALUE 2 MAXVALUE 32 CACHE 3 CYCLE OWNED BY in_domain.what;
SELECT setval('"seq ''x''"', 27, false);
CREATE TABLE nothing (id bigint GENERATED BY DEFAULT AS IDENTITY, what text);
CREATE MATERIALIZED VIEW unfilled AS SELECT count(*) FROM many WITH NO DATA;
CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN NULL; END $$;
CREATE EVENT TRIGGER "watch 'it'" ON ddl_command_end WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION watch();
CREATE FUNCTION log_change() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER after_all AFTER INSERT ON z_first REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION log_change();
CREATE CONSTRAINT TRIGGER at_the_end AFTER UPDATE ON a_second DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION log_change();
ALTER TABLE z_first DISABLE TRIGGER after_all;
CREATE RULE instead AS ON INSERT TO grouped DO INSTEAD INSERT INTO in_domain VALUES (NEW.hash);
CREATE FUNCTION number_of(colour) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 7';
CREATE CAST (colour AS integer) WITH FUNCTION number_of(colour);
CREATE TEXT SEARCH CONFIGURATION own (COPY = simple);
CREATE VIEW careful WITH (security_barrier, security_invoker) AS SELECT id FROM many WHERE half WITH CASCADED CHECK OPTION;
ALTER TABLE many ALTER hash SET STATISTICS 500, ALTER hash SET STORAGE EXTERNAL, SET (fillfactor = 70);
ALTER TABLE many CLUSTER ON many_pkey;
ALTER TABLE a_second REPLICA IDENTITY FULL;
CREATE USER MAPPING FOR postgres SERVER elsewhere OPTIONS (user 'me');
COMMENT ON INDEX many_upper_idx IS 'an index''s';
COMMENT ON CONSTRAINT back ON z_first IS $$the way "back"$$;
GRANT USAGE ON SCHEMA public TO reader WITH GRANT OPTION;
GRANT EXECUTE ON FUNCTION doubled(integer) TO reader;
REVOKE ALL ON FUNCTION next_even() FROM PUBLIC;
GRANT USAGE ON TYPE colour TO "own'er ""of"" $(POD_UID) ä\";
GRANT UPDATE (half), REFERENCES (id) ON many TO reader, powerless;
GRANT SELECT ON many TO reader WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE "own'er ""of"" $(POD_UID) ä\" IN SCHEMA public GRANT SELECT ON TABLES TO reader;
-- What only newer servers have.
SELECT :SERVER_VERSION_NUM >= 180000 AS newest \gset
\if :newest
  CREATE TABLE of_18 (a integer, b integer GENERATED ALWAYS AS (a * 2) VIRTUAL, c int4range, d daterange,
    CONSTRAINT positive CHECK (a > 0) NOT ENFORCED, CONSTRAINT apart PRIMARY KEY (c, d WITHOUT OVERLAPS));
  INSERT INTO of_18 (a, c, d) VALUES (-1, '[1,2)', '(,)'), (3, '[2,9)', '[2024-01-01,2024-02-01)');
\endif
-- In a folder of this machine's, which no other server has.
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE "spa'ce" LOCATION '';
GRANT CREATE ON TABLESPACE "spa'ce" TO reader;
CREATE TABLE in_space (id integer PRIMARY KEY USING INDEX TABLESPACE "spa'ce") TABLESPACE "spa'ce";
INSERT INTO in_space VALUES (1);
-- Of the server.
ALTER ROLE reader CONNECTION LIMIT 3 VALID UNTIL '2037-01-01';
ALTER ROLE reader SET work_mem = '8MB';
GRANT reader TO powerless WITH ADMIN OPTION;
COMMENT ON ROLE reader IS 'reads "everything"';
COMMENT ON ROLE powerless IS E'a "comment''\n-- of several lines;\r\nCREATE ROLE "reader";\n';
ALTER ROLE powerless SET application_name = E'it''s\n"\\"; ';
