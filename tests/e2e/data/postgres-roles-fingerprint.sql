-- What belongs to the server: roles and who is in which, and how they are set. Passwords stay where they are.
SELECT 'role', rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit, rolvaliduntil
  FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_' ORDER BY 2;
SELECT 'member', roleid::pg_catalog.regrole::text, to_jsonb(m) - '{oid,roleid,member,grantor}'::text[], member::pg_catalog.regrole::text, grantor::pg_catalog.regrole::text
  FROM pg_catalog.pg_auth_members m WHERE member >= 16384 ORDER BY 2, 4;
SELECT 'setting', setrole::pg_catalog.regrole::text, setconfig FROM pg_catalog.pg_db_role_setting WHERE setdatabase = 0 ORDER BY 2;
SELECT 'about role', rolname, pg_catalog.shobj_description(oid, 'pg_authid') FROM pg_catalog.pg_roles WHERE oid >= 16384 ORDER BY 2;
