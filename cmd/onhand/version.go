package main

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"onhand/internal/cliout"
)

// version is for builds without a repository around them, like an image's: -ldflags "-X main.version=v1.2.3".
var version string

type versionCmd struct{}

func (versionCmd) Help() string {
	return `Examples:

  onhand version
  onhand version -o json`
}

type buildInfo struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
}

func (versionCmd) Run(con *console) error {
	b := thisBuild()
	return con.out.Print(b, func(t *cliout.Grid) {
		t.Row("version", b.Version)
		t.Row("commit", b.Commit)
		t.Row("go", b.Go)
	})
}

// thisBuild is what the Go tool stamped into the binary.
func thisBuild() buildInfo {
	b := buildInfo{Version: cmp.Or(version, "(devel)"), Commit: "unknown", Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if version == "" && info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	dirty := ""
	for _, setting := range info.Settings {
		switch {
		case setting.Key == "vcs.revision":
			b.Commit = setting.Value
		case setting.Key == "vcs.modified" && setting.Value == "true":
			dirty = "+changes"
		}
	}
	b.Commit += dirty
	return b
}
