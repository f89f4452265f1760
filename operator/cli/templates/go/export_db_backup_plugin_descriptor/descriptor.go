// Package export_db_backup_plugin_descriptor says who the plugin is.
package export_db_backup_plugin_descriptor

import (
	_ "embed"

	witTypes "go.bytecodealliance.org/pkg/wit/types"
	descriptor "wit_component/db_backup_plugin_descriptor"
)

// What a user may write into spec.settings. The operator refuses what does not fit and fills in the defaults before the
// plugin is asked.
//
//go:embed settings.schema.json
var schema string

// Describe is asked once, when the plugin is loaded.
func Describe() descriptor.Description {
	return descriptor.Description{
		Id:            "__name__.example.com",
		Version:       "0.1.0",
		Summary:       "__name__ by __name__-dump",
		DatabaseTypes: []string{"__name__"},
		DefaultPort:   witTypes.Some[uint16](5000),
		Bindings: []descriptor.Binding{
			{Name: "username", Required: true, Summary: "user that may read everything"},
			{Name: "password", Required: true, Summary: "its password"},
		},
		Images:         []descriptor.Image{{Name: "1", Reference: "docker.io/library/__name__:1"}},
		SettingsSchema: schema,
	}
}
