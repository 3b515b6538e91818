package main

import (
	"bufio"
	"bytes"
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
)

// versionOf is the version that was linked in, or else the one of the main module.
func versionOf(info *buildinfo.BuildInfo) string {
	for _, s := range info.Settings {
		if s.Key != "-ldflags" {
			continue
		}
		for field := range strings.FieldsSeq(s.Value) {
			if v, ok := strings.CutPrefix(field, "main.version="); ok && v != "" {
				return v
			}
		}
	}
	return info.Main.Version
}

// goModules are what a program was linked of, and the standard library.
func goModules(info *buildinfo.BuildInfo) []cyclonedx.Component {
	std := strings.TrimPrefix(info.GoVersion, "go")
	all := []cyclonedx.Component{{
		Type: cyclonedx.ComponentTypeLibrary, Name: "std", Version: std, PackageURL: "pkg:golang/std@" + std, Licenses: license("BSD-3-Clause"),
	}}
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		all = append(all, cyclonedx.Component{
			Type: cyclonedx.ComponentTypeLibrary, Name: m.Path, Version: m.Version, PackageURL: "pkg:golang/" + m.Path + "@" + m.Version,
			// The sum is of the module's files (golang.org/ref/mod#go-sum-files), and not of one archive.
			Properties: &[]cyclonedx.Property{{Name: "pushcart:go.sum", Value: m.Sum}},
		})
	}
	return all
}

// npmPackages reads package-lock.json, version 3: what is in the pages, without what only builds and tests them.
func npmPackages(data []byte) ([]cyclonedx.Component, error) {
	var lock struct {
		LockfileVersion int
		Packages        map[string]struct {
			Version, License, Integrity string
			Dev                         bool
		}
	}
	if err := json.Unmarshal(data, &lock); err != nil {
		return nil, err
	}
	if lock.LockfileVersion != 3 {
		return nil, fmt.Errorf("has version %d, but 3 is what can be read", lock.LockfileVersion)
	}
	var all []cyclonedx.Component
	for path, p := range lock.Packages {
		at := strings.LastIndex(path, "node_modules/")
		if at < 0 || p.Dev {
			continue
		}
		name := path[at+len("node_modules/"):]
		c := cyclonedx.Component{
			Type: cyclonedx.ComponentTypeLibrary, Name: name, Version: p.Version,
			PackageURL: "pkg:npm/" + strings.ReplaceAll(name, "@", "%40") + "@" + p.Version,
		}
		if p.License != "" {
			c.Licenses = license(p.License)
		}
		if sum, ok := strings.CutPrefix(p.Integrity, "sha512-"); ok {
			raw, err := base64.StdEncoding.DecodeString(sum)
			if err != nil {
				return nil, fmt.Errorf("the integrity of %s: %w", name, err)
			}
			c.Hashes = &[]cyclonedx.Hash{{Algorithm: cyclonedx.HashAlgoSHA512, Value: hex.EncodeToString(raw)}}
		}
		all = append(all, c)
	}
	return all, nil
}

// debianPackages reads dpkg's status file (deb-status(5)).
func debianPackages(data []byte) ([]cyclonedx.Component, error) {
	var all []cyclonedx.Component
	fields := map[string]string{}
	flush := func() error {
		defer clear(fields)
		if len(fields) == 0 || !strings.HasSuffix(fields["Status"], " installed") {
			return nil
		}
		name, version := fields["Package"], fields["Version"]
		if name == "" || version == "" {
			return errors.New("a package has no name or no version")
		}
		all = append(all, cyclonedx.Component{
			Type: cyclonedx.ComponentTypeLibrary, Name: name, Version: version,
			PackageURL: "pkg:deb/debian/" + url.PathEscape(name) + "@" + url.QueryEscape(version) + "?arch=" + fields["Architecture"],
		})
		return nil
	}
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			if err := flush(); err != nil {
				return nil, err
			}
			continue
		}
		// What goes on in the next line begins with a space, and is of no interest here.
		if key, value, ok := strings.Cut(line, ": "); ok && line[0] != ' ' {
			fields[key] = value
		}
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if err := flush(); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("has no package in it")
	}
	return all, nil
}
