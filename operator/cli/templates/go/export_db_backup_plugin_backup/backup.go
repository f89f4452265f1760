// Package export_db_backup_plugin_backup says how a backup is made.
package export_db_backup_plugin_backup

import (
	"encoding/json"
	"fmt"
	"strings"

	witTypes "go.bytecodealliance.org/pkg/wit/types"
	types "wit_component/db_backup_plugin_types"
)

const port = 5000

// settings is spec.settings; settings.schema.json is the user's side of it.
type settings struct {
	Tables []string `json:"tables"`
	Jobs   int      `json:"jobs"`
}

// Check tells everything that is wrong with the request.
func Check(request types.Request) []types.Issue {
	_, issues := read(request)
	return issues
}

// Plan answers with the plan, or with what is wrong.
func Plan(request types.Request) witTypes.Result[types.BackupPlan, types.Refusal] {
	settings, issues := read(request)
	if len(issues) > 0 {
		return witTypes.Err[types.BackupPlan, types.Refusal](types.Refusal{Issues: issues})
	}
	return witTypes.Ok[types.BackupPlan, types.Refusal](types.BackupPlan{
		// An option that is not set is none.
		Image: witTypes.Some("1"),
		Parts: []types.PartSource{types.MakePartSourceOne(part(request.Connection.Some(), settings))},
	})
}

func read(request types.Request) (settings settings, issues []types.Issue) {
	issue := func(path, reason, message string) {
		issues = append(issues, types.Issue{Path: path, Reason: reason, Message: message})
	}
	if err := json.Unmarshal([]byte(request.Settings), &settings); err != nil {
		issue("/settings", "SettingInvalid", err.Error())
	}
	if request.Connection.IsNone() {
		issue("/connection", "ConnectionMissing", "say where the server is")
		return settings, issues
	}
	// No process can be given a NUL character.
	text := func(path, text string) {
		if strings.ContainsRune(text, 0) {
			issue(path, "SettingInvalid", "must not contain a NUL character")
		}
	}
	connection := request.Connection.Some()
	text("/connection/host", connection.Host)
	text("/connection/database", connection.Database.SomeOr(""))
	for at, table := range settings.Tables {
		text(fmt.Sprintf("/settings/tables/%d", at), table)
	}
	return settings, issues
}

// part is the one object that a backup leaves in storage, and how to know that it is whole.
func part(connection types.Connection, settings settings) types.Part {
	return types.Part{
		Name:      "database",
		Extension: "dump",
		MediaType: "application/octet-stream",
		Process:   dump(connection, settings),
		Output:    types.MakeOutputStdout(),
		Completion: types.Completion{
			ExitCodes: []int32{0},
			// Exit code 0 proves little: name the bytes with which every good dump begins (Header) or ends (Tail), or
			// a program that reads the dump and fails when it is not whole (Verifier).
			MinimumBytes: 1,
		},
		RestoreCommand: witTypes.Some(`__name__-restore --database "$TARGET"`),
	}
}

// dump has no shell: each of the user's strings is one whole argument, or stands behind `--option=`.
func dump(connection types.Connection, settings settings) types.Process {
	words := []string{
		"__name__-dump",
		"--host=" + connection.Host,
		fmt.Sprintf("--port=%d", connection.Port.SomeOr(port)),
		fmt.Sprintf("--jobs=%d", settings.Jobs),
	}
	for _, table := range settings.Tables {
		words = append(words, "--table="+table)
	}
	if connection.Database.IsSome() {
		words = append(words, "--", connection.Database.Some())
	}
	var argv []types.Argument
	for _, word := range words {
		argv = append(argv, types.Argument{Pieces: []types.ArgumentPiece{types.MakeArgumentPieceText(word)}})
	}
	return types.Process{
		Argv: argv,
		// A secret is a name: the operator fills it in inside the pod.
		Env: []types.EnvVar{secret("DB_USER", "username"), secret("DB_PASSWORD", "password")},
	}
}

func secret(name, binding string) types.EnvVar {
	value := types.MakeFragmentSecret(types.Secret{Binding: binding, Encoding: types.MakeEncodingRaw()})
	return types.EnvVar{Name: name, Value: []types.Fragment{value}}
}
