-- What the other fingerprint leaves out. Last the rows of which CHECKSUM TABLE says nothing.
SET SESSION group_concat_max_len = 1000000;
SELECT table_schema, 'index', table_name, index_name, seq_in_index, column_name, collation, sub_part, non_unique, index_type, index_comment
  FROM information_schema.statistics WHERE table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY 1, 3, 4, 5;
SELECT constraint_schema, 'key', table_name, constraint_name, unique_constraint_name, referenced_table_name, update_rule, delete_rule
  FROM information_schema.referential_constraints ORDER BY 1, 3, 4;
SELECT constraint_schema, 'check', constraint_name, check_clause FROM information_schema.check_constraints ORDER BY 1, 3, 4;
SELECT table_schema, 'partition', table_name, partition_name, subpartition_name, partition_method, partition_expression, partition_description, subpartition_expression
  FROM information_schema.partitions WHERE partition_name IS NOT NULL ORDER BY 1, 3, 4, 5;
SELECT table_schema, 'next', table_name, auto_increment FROM information_schema.tables WHERE auto_increment IS NOT NULL
  AND table_schema NOT IN ('mysql', 'information_schema', 'performance_schema', 'sys') ORDER BY 1, 3;
SELECT trigger_schema, 'order', trigger_name, event_manipulation, action_order FROM information_schema.triggers WHERE trigger_schema <> 'sys' ORDER BY 1, 3;
SELECT specific_schema, 'parameter', specific_name, ordinal_position, parameter_mode, parameter_name, dtd_identifier
  FROM information_schema.parameters WHERE specific_schema <> 'sys' ORDER BY 1, 3, 4;
SELECT routine_schema, 'how', routine_name, sql_data_access, security_type, is_deterministic, routine_comment FROM information_schema.routines
  WHERE routine_schema <> 'sys' ORDER BY 1, 3;
SELECT event_schema, 'when', event_name, execute_at, ends, on_completion, event_comment, definer, time_zone FROM information_schema.events ORDER BY 1, 3;
SELECT table_schema, 'checked', table_name, check_option, is_updatable FROM information_schema.views WHERE table_schema <> 'sys' ORDER BY 1, 3;
/*M! SELECT 'types', 'counter', next_not_cached_value, minimum_value, maximum_value, increment, cycle_option FROM types.counter */;
/*!80000 SELECT 'types', 'multi_valued', j FROM types.multi_valued ORDER BY 3 */;
