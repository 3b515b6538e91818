package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
)

const lockFile = "../../overlay/web/package-lock.json"

const status = `Package: libx264-164
Status: install ok installed
Architecture: amd64
Version: 2:0.164.3095+gitbaee400-3
Description: video coding library
 of x264: text

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

`

// TestDocument describes this test's own program, with the pages' packages and a Debian package.
func TestDocument(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dpkg := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(dpkg, []byte(status), 0o600); err != nil {
		t.Fatal(err)
	}
	var first, second bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := run(w, self, lockFile, dpkg); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("the same inputs gave two documents")
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(&first, cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		t.Fatal(err)
	}
	found := map[string]cyclonedx.Component{}
	for _, c := range *bom.Components {
		kind, _, _ := strings.Cut(c.PackageURL, "@")
		found[kind] = c
		if c.BOMRef == "" || c.Version == "" {
			t.Errorf("%q has no reference or no version", c.Name)
		}
	}
	for _, kind := range []string{"pkg:golang/std", "pkg:golang/github.com/CycloneDX/cyclonedx-go", "pkg:npm/hls.js", "pkg:deb/debian/libx264-164"} {
		if _, ok := found[kind]; !ok {
			t.Errorf("the document lacks %s", kind)
		}
	}
	for _, kind := range []string{"pkg:npm/vite", "pkg:deb/debian/gone"} {
		if _, ok := found[kind]; ok {
			t.Errorf("the document has %s, which is not in the program", kind)
		}
	}
	if h := found["pkg:npm/hls.js"].Hashes; h == nil || len((*h)[0].Value) != 128 {
		t.Errorf("hls.js has the hashes %v", h)
	}
	if want := "pkg:deb/debian/libx264-164@2%3A0.164.3095%2Bgitbaee400-3?arch=amd64"; found["pkg:deb/debian/libx264-164"].PackageURL != want {
		t.Errorf("got %s, want %s", found["pkg:deb/debian/libx264-164"].PackageURL, want)
	}
}

// TestUnreadable: what cannot be read is an error, and never a document that lacks something.
func TestUnreadable(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for name, args := range map[string][3]string{
		"no program":        {file("text", "text"), "", ""},
		"no such program":   {filepath.Join(dir, "none"), "", ""},
		"no JSON":           {self, file("lock", "{"), ""},
		"old lock":          {self, file("old", `{"lockfileVersion": 1}`), ""},
		"bad integrity":     {self, file("bad", `{"lockfileVersion": 3, "packages": {"node_modules/a": {"version": "1", "integrity": "sha512-*"}}}`), ""},
		"no package":        {self, "", file("empty", "\n")},
		"package unversion": {self, "", file("unversion", "Package: a\nStatus: install ok installed\n\n")},
	} {
		if err := run(&bytes.Buffer{}, args[0], args[1], args[2]); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
