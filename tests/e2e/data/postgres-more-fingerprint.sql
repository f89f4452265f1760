-- What the other fingerprint leaves out: how sequences count, partitions lie, who may do what, and what else a database holds.
SELECT 'counts', schemaname, sequencename, data_type, start_value, min_value, max_value, increment_by, cycle, cache_size
  FROM pg_catalog.pg_sequences ORDER BY 2, 3;
SELECT 'owned by', d.objid::pg_catalog.regclass::text, d.refobjid::pg_catalog.regclass::text, d.refobjsubid, d.deptype FROM pg_catalog.pg_depend d
  JOIN pg_temp.relations r ON r.oid = d.objid AND r.relkind = 'S' WHERE d.deptype IN ('a', 'i') AND d.refobjsubid > 0 ORDER BY 2;
SELECT 'inherits', inhrelid::pg_catalog.regclass::text, inhparent::pg_catalog.regclass::text, inhseqno, pg_catalog.pg_get_expr(r.relpartbound, r.oid)
  FROM pg_catalog.pg_inherits JOIN pg_temp.relations r ON r.oid = inhrelid ORDER BY 2, 3;
SELECT 'partitioned', oid::pg_catalog.regclass::text, pg_catalog.pg_get_partkeydef(oid) FROM pg_temp.relations WHERE relkind = 'p' ORDER BY 2;
SELECT 'stored', r.name, a.attname, a.attstorage, a.attstattarget, a.attcollation::pg_catalog.regcollation::text FROM pg_temp.relations r
  JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid WHERE a.attnum > 0 AND NOT a.attisdropped ORDER BY 2, 3;
SELECT 'identity', name, relreplident, relispopulated FROM pg_temp.relations ORDER BY 2;
SELECT 'clustered', i.indexrelid::pg_catalog.regclass::text FROM pg_catalog.pg_index i WHERE i.indisclustered ORDER BY 2;
SELECT 'fires', t.tgrelid::pg_catalog.regclass::text, t.tgname, t.tgenabled FROM pg_catalog.pg_trigger t WHERE NOT t.tgisinternal ORDER BY 2, 3;
SELECT 'rule', pg_catalog.pg_get_ruledef(w.oid) FROM pg_catalog.pg_rewrite w JOIN pg_temp.relations r ON r.oid = w.ev_class ORDER BY 2;
SELECT 'statistics', pg_catalog.pg_get_statisticsobjdef(oid) FROM pg_catalog.pg_statistic_ext ORDER BY 2;
SELECT 'domain', contypid::pg_catalog.regtype::text, conname, pg_catalog.pg_get_constraintdef(oid) FROM pg_catalog.pg_constraint
  WHERE contypid <> 0 AND oid >= 16384 ORDER BY 2, 3;
SELECT 'default', oid::pg_catalog.regtype::text, typdefault, typnotnull FROM pg_catalog.pg_type WHERE typtype = 'd' AND oid >= 16384 ORDER BY 2;
SELECT 'range', rngtypid::pg_catalog.regtype::text, rngsubtype::pg_catalog.regtype::text, rngsubdiff FROM pg_catalog.pg_range WHERE rngtypid >= 16384 ORDER BY 2;
SELECT 'operator', oid::pg_catalog.regoperator::text, oprcode FROM pg_catalog.pg_operator o WHERE oid >= 16384
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = o.oid AND d.deptype = 'e') ORDER BY 2;
SELECT 'cast', castsource::pg_catalog.regtype::text, casttarget::pg_catalog.regtype::text, castfunc::pg_catalog.regprocedure::text FROM pg_catalog.pg_cast c WHERE oid >= 16384
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') ORDER BY 2, 3;
SELECT 'collation', collname, collprovider, collcollate FROM pg_catalog.pg_collation WHERE oid >= 16384 ORDER BY 2;
SELECT 'text search', oid::pg_catalog.regconfig::text FROM pg_catalog.pg_ts_config WHERE oid >= 16384 ORDER BY 2;
SELECT 'event trigger', evtname, evtevent, evttags, evtfoid::pg_catalog.regprocedure::text FROM pg_catalog.pg_event_trigger ORDER BY 2;
SELECT 'publication', pubname, puballtables, pubinsert, pubtruncate FROM pg_catalog.pg_publication ORDER BY 2;
SELECT 'published', pubname, schemaname, tablename FROM pg_catalog.pg_publication_tables ORDER BY 2, 3, 4;
SELECT 'server', srvname, pg_catalog.unnest(srvoptions) FROM pg_catalog.pg_foreign_server ORDER BY 2, 3;
-- Their options only a superuser's dump has.
SELECT 'mapping', srvname, usename FROM pg_catalog.pg_user_mappings ORDER BY 2, 3;
SELECT 'foreign', ftrelid::pg_catalog.regclass::text, ftoptions FROM pg_catalog.pg_foreign_table ORDER BY 2;
SELECT 'foreign column', attrelid::pg_catalog.regclass::text, attname, attfdwoptions FROM pg_catalog.pg_attribute WHERE attfdwoptions IS NOT NULL ORDER BY 2, 3;
SELECT 'comments', pg_catalog.pg_describe_object(classoid, objoid, objsubid), description FROM pg_catalog.pg_description
  WHERE objoid >= 16384 ORDER BY 2, 3;
\if :owners
  SELECT 'owner of schema', n.nspname, n.nspowner::pg_catalog.regrole::text, n.nspacl FROM pg_catalog.pg_namespace n
    JOIN pg_temp.spaces s ON s.oid = n.oid ORDER BY 2;
  SELECT 'owner of function', p.oid::pg_catalog.regprocedure::text, p.proowner::pg_catalog.regrole::text, p.proacl FROM pg_catalog.pg_proc p
    JOIN pg_temp.spaces s ON s.oid = p.pronamespace ORDER BY 2;
  SELECT 'owner of type', t.oid::pg_catalog.regtype::text, t.typowner::pg_catalog.regrole::text, t.typacl FROM pg_catalog.pg_type t
    JOIN pg_temp.spaces s ON s.oid = t.typnamespace ORDER BY 2;
  SELECT 'later privileges', defaclrole::pg_catalog.regrole::text, defaclnamespace::pg_catalog.regnamespace::text, defaclobjtype, defaclacl
    FROM pg_catalog.pg_default_acl ORDER BY 2, 3, 4;
\endif
