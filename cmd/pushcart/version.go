package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Set when linking: -ldflags "-X main.version=1.2.3 -X main.commit=0a1b2c3". Empty, they come from the build information.
var version, commit string

// versionCommand is pushcart version.
type versionCommand struct{}

// Run implements the command.
func (versionCommand) Run(s surroundings) error {
	v, c := versionOf(version, commit, debug.ReadBuildInfo)
	_, err := fmt.Fprintf(s.stdout, "pushcart %s (commit %s, %s, %s/%s)\n", v, c, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// versionOf fills what the linker left empty from what the Go tool recorded.
func versionOf(version, commit string, read func() (*debug.BuildInfo, bool)) (v, c string) {
	var revision, dirty string
	if info, ok := read(); ok {
		if version == "" && info.Main.Version != "(devel)" {
			version = info.Main.Version
		}
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				revision = s.Value[:min(12, len(s.Value))]
			case "vcs.modified":
				if s.Value == "true" {
					dirty = "-dirty"
				}
			}
		}
	}
	if commit == "" && revision != "" {
		commit = revision + dirty
	}
	if version == "" {
		version = "dev"
	}
	if commit == "" {
		commit = "unknown"
	}
	return version, commit
}
