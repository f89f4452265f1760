-- One line for each table: name, rows, SHA-256 of all rows whatever their order; then the large objects, byte by byte.
\set ON_ERROR_STOP on
select format(
  $$select %L, count(*), encode(sha256(convert_to(coalesce(string_agg(row, '' order by row), ''), 'UTF8')), 'hex')
    from (select md5(t::text) as row from %I.%I t) rows$$,
  schemaname || '.' || tablename, schemaname, tablename)
from pg_tables where schemaname not in ('pg_catalog', 'information_schema') order by schemaname, tablename \gexec
select 'large objects', count(distinct loid),
  encode(sha256(convert_to(coalesce(string_agg(md5(loid || ':' || pageno || ':' || encode(data, 'hex')), '' order by loid, pageno), ''), 'UTF8')), 'hex')
from pg_largeobject;
