package node_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/internal/auth"
	"pushcart/internal/auth/playback"
	"pushcart/overlay/api"
)

// reached are routes of the viewers' ports that stand in no mux.
var reached = []string{"/live/"}

// apart are registrations that have nothing to do with these ports, or whose routes stand in the table one by one; by the folder and
// the words in the source.
var apart = map[string]string{
	"overlay/api: rt.method + \" \" + rt.path":            "each route of API.Routes, which is in the table",
	"overlay/api: path":                                   "answers 405 for their other methods",
	"relay: \"GET /relay/1/{stream}\"":                    "between nodes, by mutual TLS",
	"relay: \"GET /relay/1/{stream}/{rendition}\"":        "between nodes, by mutual TLS",
	"relay: \"POST /relay/1/reverse\"":                    "between nodes, by mutual TLS",
	"internal/node: \"/\"":                                "between nodes, by mutual TLS",
	"internal/node: \"GET \" + deskPath + \"{name}\"":     "between nodes, over the directory",
	"internal/node: \"GET /relay/1/{stream}/poster.jpg\"": "between nodes, by mutual TLS",
	"internal/node: \"GET \" + playback.VerifyPath":       "in the table under what it comes to",
}

// TestEveryRouteIsInTheTable finds what is registered in the source: a route that is not in the table, and so never asked for by those
// who must not have it, fails.
func TestEveryRouteIsInTheTable(t *testing.T) {
	t.Parallel()
	there := map[string]bool{}
	for _, e := range table() {
		there[e.route] = true
	}
	missing := maps.Clone(there)
	for _, route := range reached {
		delete(missing, route)
	}
	delete(missing, "GET "+playback.VerifyPath)
	for _, rt := range api.New(api.Options{Tokens: &auth.Store{}, Registerer: prometheus.NewRegistry()}).Routes() {
		route := rt.Method + " " + rt.Path
		if !there[route] {
			t.Errorf("the API has %s, and the table does not", route)
		}
		delete(missing, route)
		for _, e := range table() {
			if wanted := map[auth.Role][]need{"": {everybody, media, about}, auth.Viewer: {reads, known}, auth.Producer: {runs}, auth.Admin: {admin}}[rt.Role]; e.route == route && !slices.Contains(wanted, e.need) {
				t.Errorf("%s needs the role %q, and the table says otherwise", route, rt.Role)
			}
		}
	}
	unused := maps.Clone(apart)
	for where, patterns := range registered(t) {
		for _, text := range patterns {
			pattern, err := strconv.Unquote(text)
			if err != nil {
				pattern = text
			}
			key := where + ": " + text
			_, elsewhere := apart[key]
			if !there[pattern] && !elsewhere {
				t.Errorf("%s registers %s, which is neither in the table nor known to be apart", where, text)
			}
			delete(missing, pattern)
			delete(unused, key)
		}
	}
	for route := range missing {
		t.Errorf("the table has %s, and nothing registers it", route)
	}
	for key := range unused {
		t.Errorf("nothing registers %s any more", key)
	}
}

// registered are the patterns of all calls of Handle and HandleFunc in the product's source, as they are written, by folder.
func registered(t *testing.T) map[string][]string {
	t.Helper()
	const root = "../.."
	found := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		folder := filepath.ToSlash(strings.TrimPrefix(path, root+"/"))
		if d.IsDir() {
			// Nothing in these is part of a node that runs.
			if name := d.Name(); name == "node_modules" || name == "testdata" || name == "dist" || strings.HasPrefix(name, ".") && name != ".." ||
				slices.Contains([]string{"internal/testkit", "internal/e2e", "internal/bench", "internal/load", "internal/conformance", "internal/doctor", "internal/top", "cmd"}, folder) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		source, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, source, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) != 2 {
				return true
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); !ok || f.Sel.Name != "Handle" && f.Sel.Name != "HandleFunc" || isLogger(f) {
				return true
			}
			var text bytes.Buffer
			if err := printer.Fprint(&text, set, call.Args[0]); err != nil {
				t.Fatal(err)
			}
			where := filepath.ToSlash(filepath.Dir(folder))
			found[where] = append(found[where], text.String())
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) < 4 {
		t.Errorf("routes are registered in %d folders only: %v", len(found), found)
	}
	return found
}

// isLogger tells a handler of log records, whose first argument is a context, from a mux.
func isLogger(f *ast.SelectorExpr) bool {
	field, ok := f.X.(*ast.SelectorExpr)
	return ok && field.Sel.Name == "Handler"
}
