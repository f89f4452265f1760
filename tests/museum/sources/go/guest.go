// Package guest makes a plan with a value in every place of contract 0.1.
package guest

import (
	types "go.bytecodealliance.org/pkg/wit/types"

	. "wit_component/db_backup_plugin_types"
)

func text(text string) Fragment { return MakeFragmentText(text) }

func argument(pieces ...string) Argument {
	argument := Argument{}
	for _, piece := range pieces {
		argument.Pieces = append(argument.Pieces, MakeArgumentPieceText(piece))
	}
	return argument
}

func process(argv ...string) Process {
	process := Process{}
	for _, word := range argv {
		process.Argv = append(process.Argv, argument(word))
	}
	return process
}

func secret(encoding Encoding) Fragment {
	return MakeFragmentSecret(Secret{Binding: "password", Encoding: encoding})
}

func asked(name string, expectation Expectation) Check {
	return Check{name, process("check", name), expectation, "GrantMissing", "grant it"}
}

// Faults of any request.
func Faults(_ Request) []Issue { return []Issue{{"/settings/jobs", "TooMany", "ask for fewer"}} }

func Plan(request Request) types.Result[BackupPlan, Refusal] {
	if request.Connection.IsNone() {
		issues := []Issue{{"/connection", "ConnectionMissing", "say where it is"}}
		return types.Err[BackupPlan](Refusal{issues})
	}
	connection := request.Connection.Some()
	dump := process("dump", connection.Database.Some(), request.Settings, request.Server.Some().Version, request.ScratchDir,
		connection.Tls.CaFile.Some())
	dump.Argv = append(dump.Argv, argument("--host=", connection.Host))
	dump.Env = []EnvVar{
		{"RAW", []Fragment{text("p:"), secret(MakeEncodingRaw())}},
		{"PERCENT", []Fragment{secret(MakeEncodingPercent())}},
		{"BASE64", []Fragment{secret(MakeEncodingBase64())}},
		{"JSON", []Fragment{secret(MakeEncodingJsonString())}},
	}
	escape := Escape{[]Substitution{{'\u00e9', "e'"}}, "\n", types.Some[uint32](64)}
	dump.Files = []ConfigFile{{"client.cnf", []Fragment{text("password="), secret(MakeEncodingEscaped(escape))}}}
	one := Part{
		Name:      "one",
		Extension: "dump",
		MediaType: "application/octet-stream",
		Process:   dump,
		Output:    MakeOutputFile("out/dump"),
		Completion: Completion{
			ExitCodes:      []int32{0, 3},
			Header:         types.Some([]uint8{255, 0}),
			Tail:           types.Some(Tail{[]uint8("end"), 64}),
			Verifier:       types.Some(process("verify")),
			StderrRequired: types.Some("done"),
			MinimumBytes:   2,
		},
		RestoreCommand: types.Some(`restore -d "$TARGET_DATABASE"`),
	}
	each := process("dump", "--")
	each.Argv = append(each.Argv, Argument{[]ArgumentPiece{MakeArgumentPieceItem()}})
	each.Env = []EnvVar{{"ITEM", []Fragment{MakeFragmentItem()}}}
	many := PerItem{process("list"), SeparatorBackslashNewline, Part{
		Name:           "many",
		Extension:      "tar",
		MediaType:      "application/x-tar",
		Process:        each,
		Output:         MakeOutputDirectory("all"),
		Completion:     Completion{ExitCodes: []int32{0}, MinimumBytes: 1},
		RestoreCommand: types.None[string](),
	}}
	many.Each.Completion.Header = types.None[[]uint8]()
	many.Each.Completion.Tail = types.None[Tail]()
	many.Each.Completion.Verifier = types.None[Process]()
	many.Each.Completion.StderrRequired = types.None[string]()
	return types.Ok[BackupPlan, Refusal](BackupPlan{
		Image: types.Some("client"),
		Checks: []Check{
			asked("zero", MakeExpectationExitZero()),
			asked("equal", MakeExpectationStdoutEquals("1")),
			asked("least", MakeExpectationStdoutAtLeast(2)),
		},
		Parts:            []PartSource{MakePartSourceOne(one), MakePartSourcePerItem(many)},
		ScratchMebibytes: types.Some[uint32](64),
	})
}
