package export_db_backup_plugin_backup

import (
	types "go.bytecodealliance.org/pkg/wit/types"

	. "wit_component/db_backup_plugin_backup"
	"wit_component/db_backup_plugin_types"
	"wit_component/guest"
)

func Check(request Request) []Issue { return guest.Faults(request) }

func Plan(request Request) types.Result[db_backup_plugin_types.BackupPlan, Refusal] {
	return guest.Plan(request)
}
