// Command sbom writes what a build of Pushcart is made of as a CycloneDX document (ECMA-424, version 1.6): the Go modules that the
// linker put into the program, the npm packages in its pages, and the Debian packages beside it in an image.
//
//	go run ./internal/sbom -program bin/pushcart -npm overlay/web/package-lock.json [-dpkg /var/lib/dpkg/status] > sbom.cdx.json
//
// The same inputs give the same bytes: there is no time and no random number in it.
package main

import (
	"debug/buildinfo"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
)

func main() {
	program := flag.String("program", "", "the program to describe")
	npm := flag.String("npm", "", "package-lock.json of its pages; empty for none")
	dpkg := flag.String("dpkg", "", "dpkg's status file of the image; empty for none")
	flag.Parse()
	if err := run(os.Stdout, *program, *npm, *dpkg); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// run writes the document.
func run(w io.Writer, program, npm, dpkg string) error {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return fmt.Errorf("read what %s was built of: %w", program, err)
	}
	parts := goModules(info)
	for _, in := range []struct {
		file  string
		parse func([]byte) ([]cyclonedx.Component, error)
	}{{npm, npmPackages}, {dpkg, debianPackages}} {
		if in.file == "" {
			continue
		}
		data, err := os.ReadFile(in.file)
		if err != nil {
			return err
		}
		found, err := in.parse(data)
		if err != nil {
			return fmt.Errorf("%s: %w", in.file, err)
		}
		parts = append(parts, found...)
	}
	slices.SortFunc(parts, func(a, b cyclonedx.Component) int { return strings.Compare(a.PackageURL, b.PackageURL) })

	root := cyclonedx.Component{
		BOMRef: "pushcart", Type: cyclonedx.ComponentTypeApplication, Name: "pushcart", Version: versionOf(info),
		Licenses: license("Apache-2.0"),
	}
	depends := make([]string, len(parts))
	for i := range parts {
		parts[i].BOMRef = parts[i].PackageURL
		depends[i] = parts[i].PackageURL
	}
	bom := cyclonedx.NewBOM()
	bom.Metadata = &cyclonedx.Metadata{Component: &root}
	bom.Components = &parts
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: root.BOMRef, Dependencies: &depends}}
	return cyclonedx.NewBOMEncoder(w, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bom)
}

// license is an SPDX expression.
func license(expression string) *cyclonedx.Licenses {
	return &cyclonedx.Licenses{{Expression: expression}}
}
