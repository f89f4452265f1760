package export_db_backup_plugin_descriptor

import (
	types "go.bytecodealliance.org/pkg/wit/types"

	. "wit_component/db_backup_plugin_descriptor"
)

func Describe() Description {
	return Description{
		Id:             "museum.example.com",
		Version:        "0.1.0",
		Summary:        "An exhibit",
		DatabaseTypes:  []string{"museum"},
		DefaultPort:    types.Some[uint16](4711),
		Bindings:       []Binding{{"password", true, "a secret"}},
		Images:         []Image{{"client", "docker.io/library/client:1", types.Some(">=9, <19")}},
		SettingsSchema: `{"type":"object","properties":{"jobs":{"type":"integer","description":"How many."}}}`,
		Labels:         []Fact{{"made", "2026"}},
	}
}
