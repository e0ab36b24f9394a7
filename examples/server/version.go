package main

import (
	"cmp"
	"runtime/debug"
	"sync"
)

// A build is the version of this program.
type build struct{ Version, Revision, Go string }

// thisBuild returns what the Go command wrote into the program. Version is that of
// the module, "(devel)" in a checkout. Revision is the commit, with "+dirty" if files
// had changed, and empty if it was built without version control.
var thisBuild = sync.OnceValue(func() build {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return build{Version: "unknown"}
	}
	b := build{Version: cmp.Or(info.Main.Version, "(devel)"), Go: info.GoVersion}
	dirty := false
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Revision = s.Value
		case "vcs.modified":
			dirty = s.Value == "true"
		}
	}
	if dirty && b.Revision != "" {
		b.Revision += "+dirty"
	}
	return b
})
