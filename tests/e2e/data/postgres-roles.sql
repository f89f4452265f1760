-- Who owns and who backs up. `backup` is no superuser: what it may read is what a user would grant.
CREATE ROLE "own'er ""of"" $(POD_UID) ä\" NOLOGIN;
CREATE ROLE reader NOLOGIN;
CREATE ROLE "r'ô\le $(POD_UID) ""x""" LOGIN BYPASSRLS PASSWORD :'backup_password' IN ROLE pg_read_all_data;
CREATE ROLE powerless LOGIN PASSWORD :'powerless_password';
-- May read every table, but not past row security, and not every large object.
CREATE ROLE no_bypass LOGIN PASSWORD :'no_bypass_password' IN ROLE pg_read_all_data;
CREATE ROLE no_large LOGIN BYPASSRLS PASSWORD :'no_large_password' IN ROLE pg_read_all_data;
