-- Everything that a restore has to bring back, one line each, the database first; long texts by their hash.
SET time_zone = '+00:00';
SET SESSION group_concat_max_len = 1000000;
SELECT schema_name, 'database', default_character_set_name, default_collation_name FROM information_schema.schemata
  WHERE schema_name NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY 1;
SELECT table_schema, 'table', table_name, table_type, engine, table_collation, create_options, table_comment
  FROM information_schema.tables
  WHERE table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY 1, 3;
SELECT table_schema, 'column', table_name, ordinal_position, column_name, column_default, is_nullable, column_type,
  character_set_name, collation_name, column_key, extra, generation_expression FROM information_schema.columns
  WHERE table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY 1, 3, 4;
SELECT constraint_schema, 'constraint', table_name, constraint_name, constraint_type FROM information_schema.table_constraints
  WHERE constraint_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY 1, 3, 4;
SELECT table_schema, 'view', table_name, SHA2(view_definition, 256), security_type, definer FROM information_schema.views
  WHERE table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY 1, 3;
SELECT trigger_schema, 'trigger', trigger_name, event_object_table, action_timing, SHA2(action_statement, 256), definer, sql_mode
  FROM information_schema.triggers
  WHERE trigger_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY 1, 3;
SELECT routine_schema, 'routine', routine_name, routine_type, dtd_identifier, SHA2(routine_definition, 256), definer, sql_mode
  FROM information_schema.routines
  WHERE routine_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY 1, 3;
SELECT event_schema, 'event', event_name, SHA2(event_definition, 256), status, starts, interval_value, interval_field
  FROM information_schema.events ORDER BY 1, 3;
-- Every table's content, whatever they are called.
SELECT CONCAT('CHECKSUM TABLE ', GROUP_CONCAT(
    CONCAT('`', REPLACE(table_schema, '`', '``'), '`.`', REPLACE(table_name, '`', '``'), '`') ORDER BY table_schema, table_name))
  INTO @checksums FROM information_schema.tables
  WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys')
  -- MySQL's checksum of a table with a multi-valued index is not one of its content.
  AND table_name <> 'multi_valued';
PREPARE checksums FROM @checksums;
EXECUTE checksums;
