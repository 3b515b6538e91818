package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"pushcart/relay/trust"
)

// ca runs "pushcart ca" with arguments.
func ca(t *testing.T, args ...string) (stdout string, err error) {
	t.Helper()
	var out bytes.Buffer
	parser, err := kong.New(&struct {
		Ca caCommand `cmd:""`
	}{}, kong.Writers(&out, &out), kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	context, err := parser.Parse(append([]string{"ca"}, args...))
	if err != nil {
		return "", err
	}
	err = context.Run(surroundings{stdout: &out, stderr: &out})
	return out.String(), err
}

// TestCA makes an authority and nodes as an operator does; what comes out is what nodes open.
func TestCA(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "our cluster")
	out, err := ca(t, "init", "--dir", dir, "--years", "2")
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^Made the authority "Pushcart cluster [0-9a-f]{8}", valid until \d+ \w+ \d{4}:\n`).MatchString(out) ||
		!strings.Contains(out, filepath.Join(dir, "ca.key")) || !strings.Contains(out, "pushcart ca issue NAME --region REGION --dir "+dir) {
		t.Errorf("init says\n%s", out)
	}
	out, err = ca(t, "issue", "eu-1", "--region", "eu", "--dir", dir, "--host", "192.0.2.1", "--host", "relay.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"node eu-1 in region eu", filepath.Join(dir, "eu-1", "node.key"), "cluster.region: eu\n", "10001"} {
		if !strings.Contains(out, want) {
			t.Errorf("issue does not say %q:\n%s", want, out)
		}
	}
	c, err := trust.Open(filepath.Join(dir, "eu-1"), trust.Options{Name: "eu-1", Region: "eu"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "eu-1", "ca.key")); err == nil {
		t.Error("the authority's key is in the node's folder")
	}

	// Nothing is written over.
	for _, args := range [][]string{{"init", "--dir", dir}, {"issue", "eu-1", "--region", "eu", "--dir", dir}} {
		_, err := ca(t, args...)
		if err == nil || !strings.Contains(err.Error(), "already, and nothing was changed") {
			t.Errorf("%v again: %v", args, err)
		}
	}
	if out, err = ca(t, "issue", "eu-1", "--region", "eu", "--dir", dir, "--renew", "--days", "3650"); err != nil || !strings.Contains(out, "It ends with the authority") {
		t.Errorf("renewed: %v\n%s", err, out)
	}
	renewed, err := trust.Open(filepath.Join(dir, "eu-1"), trust.Options{Name: "eu-1", Region: "eu"})
	if err != nil || !renewed.NotAfter().After(c.NotAfter()) {
		t.Errorf("renewed until %v, %v", renewed, err)
	}

	for file, want := range map[string]string{
		filepath.Join(dir, "ca.pem"):           `^authority "Pushcart cluster [0-9a-f]{8}", until .* \(7\d\d days left\)\n$`,
		filepath.Join(dir, "eu-1", "node.pem"): `^node eu-1, region eu, until .* \(7\d\d days left\), issued by "Pushcart cluster [0-9a-f]{8}"\n$`,
		filepath.Join(dir, "eu-1"):             `^node eu-1, region eu, until `,
		dir:                                    `^authority `,
	} {
		if out, err := ca(t, "show", file); err != nil || !regexp.MustCompile(want).MatchString(out) {
			t.Errorf("show %s says %q, %v", file, out, err)
		}
	}
}

func TestCAMistakes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := ca(t, "init", "--dir", dir); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args, want string
	}{
		{"init --years 0", "--years: 0 is out of range: allowed is 1 to 50"},
		{"issue eu-1 --region eu --dir /nowhere", `make one with "pushcart ca init --dir /nowhere"`},
		{"issue eu-1 --dir " + dir, "missing flags: --region"},
		{"issue EU --region eu --dir " + dir, `the node's name "EU" cannot be used`},
		{"issue eu-1 --region e.u --dir " + dir, `the region "e.u" cannot be used`},
		{"issue eu-1 --region eu --host http://a --dir " + dir, "without port and scheme"},
		{"issue eu-1 --region eu --days 0 --dir " + dir, "--days: 0 is out of range"},
		{"show /nowhere.pem", "no such file"},
		{"show " + t.TempDir(), "has neither node.pem nor ca.pem"},
		{"show " + filepath.Join(dir, "ca.key"), "there is no certificate in it"},
	} {
		if _, err := ca(t, strings.Fields(tt.args)...); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.args, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
