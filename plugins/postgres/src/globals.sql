-- Makes the roles of a backup that the server does not have, and leaves those that it has as they are: what `pg_dumpall` writes
-- would give them the attributes of the server that was backed up, down to the role that restores. One transaction: all or
-- nothing. For servers from 9.2 on.
set standard_conforming_strings = on;
set client_min_messages = warning;
set default_transaction_read_only = off;
set search_path = pg_catalog;
begin;
-- Bytes as they are: COPY takes no carriage return, and only the dump itself knows its encoding.
\lo_import /dev/stdin
select set_config('db_backup.dump', :'LASTOID', true) as large \gset
do $load$
declare
  -- A name, quoted or not.
  id constant text := '((?:"[^"]*")+|[^[:space:]"]+)';
  here constant text[] := array(select rolname::text from pg_roles);
  newer constant boolean := current_setting('server_version_num')::integer >= 160000;
  superuser constant boolean := (select rolsuper from pg_roles where rolname = current_user);
  large constant oid := current_setting('db_backup.dump')::oid;
  fd constant integer := lo_open(large, 262144);
  dump bytea := '';
  piece bytea;
  line text;
  statement text := '';
  bare text;
  pieces text[];
  -- As the dump writes their names.
  made text[] := '{}';
begin
  loop
    piece := loread(fd, 1048576);
    exit when length(piece) = 0;
    dump := dump || piece;
  end loop;
  perform lo_close(fd), lo_unlink(large);
  -- Whoever makes a role without being a superuser has to be its member to give it what it owned.
  if newer then
    perform set_config('createrole_self_grant', 'set, inherit', true);
  end if;

  foreach line in array string_to_array(
    convert_from(dump, coalesce(substring(encode(dump, 'escape') from 'SET client_encoding = ''([[:alnum:]_]+)'''), 'UTF8')),
    chr(10))
  loop
    -- Comments, which may hold quotes, and commands of psql.
    continue when statement = '' and (line = '' or line like '--%' or left(line, 1) = chr(92));
    statement := statement || case when statement = '' then '' else chr(10) end || line;
    -- A line's end may stand between quotes; a quote between quotes is doubled, and so looks like two texts side by side.
    bare := regexp_replace(statement, '''[^'']*''|"[^"]*"', '', 'g');
    continue when bare ~ '[''"]' or right(bare, 1) <> ';';
    statement := left(statement, -1);

    pieces := regexp_matches(statement, '^(CREATE|ALTER|COMMENT ON|SECURITY LABEL FOR ' || id || ' ON) ROLE ' || id || '(.*)$');
    if pieces[1] = 'CREATE' then
      bare := case when pieces[3] like '"%' then replace(substr(pieces[3], 2, length(pieces[3]) - 2), '""', '"') else pieces[3] end;
      if bare <> all (here) then
        execute statement;
        made := made || pieces[3];
        if not newer and not superuser then
          execute 'grant ' || pieces[3] || ' to ' || quote_ident(current_user);
        end if;
      end if;
    elsif pieces is not null then
      -- What is set for one database belongs to that, as what `ALTER DATABASE … SET` sets.
      if pieces[3] = any (made) and pieces[4] not like ' IN DATABASE %' then
        -- What a new role is anyway, and what nobody but a superuser may mention.
        if pieces[4] like ' WITH %' then
          statement := 'ALTER ROLE ' || pieces[3] || regexp_replace(pieces[4], ' (NOSUPERUSER|NOREPLICATION|NOBYPASSRLS)(?= |$)', '', 'g');
        end if;
        execute statement;
      end if;
    else
      pieces := regexp_matches(statement, '^GRANT (' || id || '|[A-Z, ]+ ON PARAMETER ' || id || ') TO ' || id || '(.*)$');
      if pieces[4] = any (made) then
        -- The grantor is whoever restores. Before 16 memberships had one option.
        bare := regexp_replace(pieces[5], ' GRANTED BY .*$', '');
        if pieces[2] is not null and not newer then
          bare := case when bare ~ 'ADMIN (OPTION|TRUE)' then ' WITH ADMIN OPTION' else '' end;
        end if;
        execute 'GRANT ' || pieces[1] || ' TO ' || pieces[4] || bare;
      -- Folders of tablespaces belong to their machine.
      elsif pieces is null and statement !~ '^(SET|RESET|REVOKE) '
        and statement !~ ('^(CREATE|ALTER|COMMENT ON|SECURITY LABEL FOR ' || id || ' ON|GRANT [A-Z, ]+ ON) TABLESPACE ') then
        -- No more of it: it may hold the verifier of a password.
        raise exception 'unknown statement among the roles of the backup: %', substring(statement from '^[A-Z ]+');
      end if;
    end if;
    statement := '';
  end loop;
  if statement <> '' then
    raise exception 'the roles of the backup end within a statement: %', substring(statement from '^[A-Z ]+');
  end if;
end
$load$;
commit;
