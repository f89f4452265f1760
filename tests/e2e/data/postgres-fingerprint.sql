-- Everything that a restore has to bring back into one database, as text that depends on content alone.
-- :owners says whether owners and privileges count.
SET search_path = '';
SET timezone = 'UTC';
SET extra_float_digits = 3;
SET bytea_output = 'hex';

CREATE TEMPORARY VIEW spaces AS
  SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname <> 'information_schema';
CREATE TEMPORARY VIEW relations AS
  SELECT c.*, c.oid::pg_catalog.regclass::text AS name FROM pg_catalog.pg_class c JOIN pg_temp.spaces s ON s.oid = c.relnamespace
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e');

SELECT 'schema', nspname FROM pg_temp.spaces ORDER BY nspname;
SELECT 'extension', extname, extversion FROM pg_catalog.pg_extension ORDER BY extname;
SELECT 'relation', name, relkind, relpersistence, relrowsecurity, reloptions FROM pg_temp.relations ORDER BY name;
SELECT 'column', r.name, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
  a.attgenerated, pg_catalog.pg_get_expr(d.adbin, d.adrelid), pg_catalog.col_description(r.oid, a.attnum)
  FROM pg_temp.relations r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid
  LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = r.oid AND d.adnum = a.attnum
  WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY r.name, a.attnum;
SELECT 'constraint', r.name, c.conname, pg_catalog.pg_get_constraintdef(c.oid)
  FROM pg_temp.relations r JOIN pg_catalog.pg_constraint c ON c.conrelid = r.oid ORDER BY r.name, c.conname;
SELECT 'index', pg_catalog.pg_get_indexdef(i.indexrelid)
  FROM pg_temp.relations r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid ORDER BY 2;
SELECT 'view', name, pg_catalog.pg_get_viewdef(oid) FROM pg_temp.relations WHERE relkind IN ('v', 'm') ORDER BY name;
SELECT 'trigger', pg_catalog.pg_get_triggerdef(t.oid)
  FROM pg_temp.relations r JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal ORDER BY 2;
SELECT 'policy', r.name, p.polname, pg_catalog.pg_get_expr(p.polqual, p.polrelid)
  FROM pg_temp.relations r JOIN pg_catalog.pg_policy p ON p.polrelid = r.oid ORDER BY r.name, p.polname;
SELECT 'function', p.oid::pg_catalog.regprocedure, p.prokind, p.proisstrict, p.provolatile, p.prosrc
  FROM pg_catalog.pg_proc p JOIN pg_temp.spaces s ON s.oid = p.pronamespace
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e') ORDER BY p.oid::pg_catalog.regprocedure::text;
SELECT 'enum', e.enumtypid::pg_catalog.regtype, e.enumlabel FROM pg_catalog.pg_enum e ORDER BY e.enumtypid::pg_catalog.regtype::text, e.enumsortorder;
SELECT 'type', t.oid::pg_catalog.regtype, t.typtype FROM pg_catalog.pg_type t JOIN pg_temp.spaces s ON s.oid = t.typnamespace ORDER BY t.oid::pg_catalog.regtype::text;
SELECT 'comment', s.nspname, pg_catalog.obj_description(s.oid, 'pg_namespace') FROM pg_temp.spaces s ORDER BY 2;
SELECT 'large object', oid, pg_catalog.md5(pg_catalog.lo_get(oid)) FROM pg_catalog.pg_largeobject_metadata ORDER BY oid;
\if :owners
  SELECT 'owner', name, relowner::pg_catalog.regrole,
    (SELECT pg_catalog.array_agg(acl::text ORDER BY acl::text) FROM pg_catalog.unnest(relacl) acl)
    FROM pg_temp.relations ORDER BY name;
  SELECT 'column privileges', r.name, a.attname, a.attacl FROM pg_temp.relations r
    JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid WHERE a.attacl IS NOT NULL ORDER BY r.name, a.attname;
  SELECT 'large object owner', oid, lomowner::pg_catalog.regrole, lomacl FROM pg_catalog.pg_largeobject_metadata ORDER BY oid;
\endif
-- Every sequence and every table's content, whatever they are called.
SELECT pg_catalog.format('SELECT ''sequence'', %L, last_value, is_called FROM %s', name, name)
  FROM pg_temp.relations WHERE relkind = 'S' ORDER BY name \gexec
SELECT pg_catalog.format(
    'SELECT ''rows'', %L, count(*), pg_catalog.md5(pg_catalog.string_agg(r::text, E''\n'' ORDER BY r::text)) FROM %s r', name, name)
  FROM pg_temp.relations WHERE relkind IN ('r', 'p', 'm', 'v') AND relispopulated ORDER BY name \gexec
