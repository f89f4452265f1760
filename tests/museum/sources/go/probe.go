package export_db_backup_plugin_probe

import (
	"strings"

	types "go.bytecodealliance.org/pkg/wit/types"

	. "wit_component/db_backup_plugin_probe"
	contract "wit_component/db_backup_plugin_types"
)

func ask(name string) Query {
	argument := func(word string) contract.Argument {
		return contract.Argument{Pieces: []contract.ArgumentPiece{contract.MakeArgumentPieceText(word)}}
	}
	return Query{name, Process{Argv: []contract.Argument{argument("ask"), argument(name)}}}
}

func Plan(_ Request) types.Result[ProbePlan, Refusal] {
	return types.Ok[ProbePlan, Refusal](ProbePlan{types.Some("client"), []Query{ask("version"), ask("size")}})
}

func Read(_ Request, answers []Answer) Findings {
	return Findings{
		Server:        types.Some(Server{Version: strings.TrimSpace(answers[0].Stdout)}),
		SizeMebibytes: types.Some[uint32](7),
		Problems:      []Problem{{"GrantMissing", answers[1].Stderr, "grant it", answers[0].Truncated}},
	}
}
