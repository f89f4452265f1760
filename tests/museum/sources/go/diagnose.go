package export_db_backup_plugin_diagnose

import (
	types "go.bytecodealliance.org/pkg/wit/types"

	. "wit_component/db_backup_plugin_diagnose"
)

func Explain(failure Failure) types.Option[Diagnosis] {
	signal := failure.Signal.Some()
	return types.Some(Diagnosis{"Killed", failure.Stderr, failure.Part.SomeOr(""), signal == 9})
}
