package rules

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// root of the repository, from this package's folder.
const root = "../.."

// arrows lists what each room may import of the others. Rooms meet at internal/stream and packager/window; internal/node
// wires them. A package of internal that is not named here may be imported by none of the rooms.
var arrows = map[string][]string{
	// The command line's client speaks the API's types.
	"cmd/pushcart": {
		"internal/auth/playback", "internal/config", "internal/doctor", "internal/load", "internal/node", "internal/stream", "internal/top",
		"overlay", "overlay/api", "packager/ladder/child", "packager/ladder/command", "relay/trust",
	},

	"ingest":      {"internal/auth", "internal/stream"},
	"ingest/feed": {"ingest", "internal/codec", "internal/stream"},
	"ingest/pull": {"ingest", "internal/auth", "internal/stream"},
	"ingest/rtmp": {"ingest", "ingest/feed", "internal/codec", "internal/stream"},
	"ingest/rtsp": {"ingest", "ingest/feed", "internal/codec", "internal/stream"},
	"ingest/srt":  {"ingest", "ingest/feed", "ingest/ts", "internal/codec", "internal/stream"},
	"ingest/ts":   {"ingest", "ingest/feed", "internal/codec", "internal/stream"},
	"ingest/whip": {"ingest", "ingest/feed", "internal/codec", "internal/stream"},

	"packager":          {"internal/stream", "packager/fmp4", "packager/window"},
	"packager/fmp4":     {"internal/stream"},
	"packager/window":   {},
	"packager/playlist": {"packager/window"},
	"packager/hls":      {"packager/playlist", "packager/window"},

	"packager/ladder":         {"internal/codec", "internal/stream", "packager/ladder/child", "packager/ladder/command", "packager/ladder/nut"},
	"packager/ladder/child":   {"internal/stream", "packager/ladder/command"},
	"packager/ladder/command": {"internal/stream"},
	"packager/ladder/nut":     {},

	"relay":           {"packager/window", "relay/wire"},
	"relay/wire":      {},
	"relay/trust":     {},
	"relay/directory": {"relay"},
	"relay/route":     {"relay"},

	"overlay":                     {"internal/stream", "overlay/card", "overlay/journal", "overlay/timed"},
	"overlay/api":                 {"internal/auth", "overlay", "overlay/card"},
	"overlay/card":                {},
	"overlay/journal":             {},
	"overlay/journal/journaltest": {"overlay/journal"},
	"overlay/timed":               {},
	"overlay/web":                 {},

	"internal/auth":           {},
	"internal/auth/authority": {"internal/auth"},
	"internal/auth/playback":  {"internal/auth"},
	"internal/front":          {"internal/front/certs"},
	"internal/front/certs":    {},
	"internal/sockets":        {},
	"internal/handover":       {"internal/sockets"},
	"internal/tracing":        {},
	"internal/webhooks":       {"internal/auth"},
	"internal/doctor":         {},
	"internal/top":            {},
	"internal/load":           {},
	"internal/sbom":           {},
	"internal/codec":          {"internal/stream"},
	"internal/config":         {"ingest/pull", "internal/auth", "internal/front", "internal/webhooks", "overlay/card", "packager/ladder/command", "relay/route"},
	"internal/stream":         {},
	"internal/node": {
		"ingest", "ingest/pull", "ingest/rtmp", "ingest/rtsp", "ingest/srt", "ingest/whip",
		"internal/auth", "internal/auth/authority", "internal/auth/playback", "internal/config", "internal/front", "internal/front/certs",
		"internal/handover", "internal/sockets", "internal/stream", "internal/tracing", "internal/webhooks",
		"overlay", "overlay/api", "overlay/card", "overlay/journal", "overlay/timed", "overlay/web", "packager", "packager/hls", "packager/ladder", "packager/ladder/child", "packager/ladder/command", "packager/window",
		"relay", "relay/directory", "relay/route", "relay/trust", "relay/wire",
	},

	"internal/rules":       {},
	"internal/conformance": {},
	// Tools and tests may look at everything.
	"internal/testkit": {"*"},
	"internal/e2e":     {"*"},
	"internal/bench":   {"*"},
}

// forTests are packages that only tests may import, besides what arrows allow.
var forTests = []string{
	"internal/auth", "internal/auth/authority", "internal/config", "internal/conformance", "internal/stream", "internal/testkit", "overlay/journal/journaltest", "overlay/timed", "packager/playlist", "relay/trust",
}

func TestImports(t *testing.T) {
	t.Parallel()
	found := map[string]bool{}
	goFiles(t, func(path string) {
		dir := filepath.ToSlash(filepath.Dir(path))
		found[dir] = true
		allowed, known := arrows[dir]
		if !known {
			t.Errorf("%s: package %s is not in the list of rooms; add it there and to ARCHITECTURE.md", path, dir)
			return
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, im := range file.Imports {
			name, _ := strconv.Unquote(im.Path.Value)
			target, ours := strings.CutPrefix(name, "pushcart/")
			if !ours || target == dir || slices.Contains(allowed, "*") || slices.Contains(allowed, target) {
				continue
			}
			if strings.HasSuffix(path, "_test.go") && slices.Contains(forTests, target) {
				continue
			}
			t.Errorf("%s imports %s, which %s may not", path, target, dir)
		}
	})
	for dir := range arrows {
		if !found[dir] {
			t.Errorf("the list of rooms has %s, which is not there", dir)
		}
	}
}

// TestPackageDocs: every package says what it is for.
func TestPackageDocs(t *testing.T) {
	t.Parallel()
	documented := map[string]bool{}
	goFiles(t, func(path string) {
		if strings.HasSuffix(path, "_test.go") {
			return
		}
		dir := filepath.Dir(path)
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, path), nil, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		documented[dir] = documented[dir] || file.Doc != nil
	})
	for dir, ok := range documented {
		if !ok {
			t.Errorf("package %s has no documentation", dir)
		}
	}
}

// goFiles calls f with each Go file's path below the repository's root.
func goFiles(t *testing.T, f func(path string)) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "node_modules" || len(d.Name()) > 1 && d.Name()[0] == '.') {
			return fs.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			f(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
