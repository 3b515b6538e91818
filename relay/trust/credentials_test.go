package trust

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// TestReload: a certificate is renewed while connections go on, also from a new authority, and a broken one changes nothing.
func TestReload(t *testing.T) {
	t.Parallel()
	a, b := authority(t), authority(t)
	now := time.Now()
	var log buffer
	dir := issue(t, a, "eu-1", "eu")
	eu := open(t, dir, Options{Log: logTo(&log), Now: func() time.Time { return now }})
	us := open(t, issue(t, b, "us-1", "us"), Options{})
	dial := func() error {
		now = now.Add(recheck)
		_, _, err := shake(t, eu.ServerTLS(), trusting(us, a).ClientTLS("eu-1"))
		return err
	}
	if dial() == nil {
		t.Fatal("a node of another authority was let in")
	}

	// The new authority is added to the old one: nodes of both are let in.
	both := append(a.Certificate(), b.Certificate()...)
	if err := replaceFile(filepath.Join(dir, AuthorityFile), both); err != nil {
		t.Fatal(err)
	}
	if err := dial(); err != nil {
		t.Fatal(err)
	}

	// A key of another certificate: what was there goes on.
	before := eu.current().leaf
	pair, err := b.Issue("eu-1", "eu", nil, 0, now)
	if err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(filepath.Join(dir, KeyFile), pair.Key); err != nil {
		t.Fatal(err)
	}
	if err := dial(); err != nil || !eu.current().leaf.Equal(before) {
		t.Errorf("with half of a pair: %v", err)
	}
	now = now.Add(recheck)
	eu.current()
	if n := strings.Count(log.String(), "cannot be used"); n != 1 {
		t.Errorf("the broken pair is told %d times:\n%s", n, &log)
	}
	// The other half.
	if err := replaceFile(filepath.Join(dir, CertificateFile), pair.Certificate); err != nil {
		t.Fatal(err)
	}
	now = now.Add(recheck)
	if eu.current().leaf.Equal(before) || !eu.current().root.Equal(b.cert) {
		t.Error("the new certificate is not taken")
	}
	// Another node's certificate is not taken, whatever the authority.
	before = eu.current().leaf
	save(t, dir, b, "eu-2", "eu", NodeValidity)
	now = now.Add(recheck)
	if !eu.current().leaf.Equal(before) || eu.Identity().Name != "eu-1" {
		t.Errorf("the node became %v", eu.Identity())
	}
	// Nor is a folder that is gone the end.
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	now = now.Add(recheck)
	if !eu.current().leaf.Equal(before) {
		t.Error("the certificate is gone with its files")
	}
}

// TestShared: all nodes of a cluster have the same bytes, other clusters and purposes others, and a new authority beside the old
// one changes nothing.
func TestShared(t *testing.T) {
	t.Parallel()
	a, b := authority(t), authority(t)
	first, second := open(t, issue(t, a, "eu-1", "eu"), Options{}), open(t, issue(t, a, "us-1", "us"), Options{})
	other := open(t, issue(t, b, "eu-1", "eu"), Options{})
	shared := first.Shared("one")
	if len(shared) != 32 || !bytes.Equal(shared, second.Shared("one")) || bytes.Equal(shared, first.Shared("two")) || bytes.Equal(shared, other.Shared("one")) {
		t.Errorf("%x %x %x %x", shared, second.Shared("one"), first.Shared("two"), other.Shared("one"))
	}
	young, err := NewAuthority(time.Now().Add(time.Minute), AuthorityValidity)
	if err != nil {
		t.Fatal(err)
	}
	for _, both := range [][]byte{append(a.Certificate(), young.Certificate()...), append(young.Certificate(), a.Certificate()...)} {
		dir := issue(t, a, "eu-2", "eu")
		if err := replaceFile(filepath.Join(dir, AuthorityFile), both); err != nil {
			t.Fatal(err)
		}
		if got := open(t, dir, Options{}).Shared("one"); !bytes.Equal(shared, got) {
			t.Errorf("with a younger authority beside: %x, want %x", got, shared)
		}
	}
}

// TestWarns: the log tells of a certificate that expires soon, by name and once a day, and the metric of the days.
func TestWarns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := authority(t)
		dir := t.TempDir()
		save(t, dir, a, "eu-1", "eu", 31*24*time.Hour)
		var log buffer
		reg := prometheus.NewPedanticRegistry()
		c := open(t, dir, Options{Log: logTo(&log), Registerer: reg})
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { c.Run(ctx) })

		time.Sleep(23 * time.Hour)
		synctest.Wait()
		if log.String() == "" || strings.Contains(log.String(), "expires") {
			t.Errorf("too early:\n%s", &log)
		}
		if left := metric(t, reg, "pushcart_relay_certificate_expiry_seconds", "") / 86400; math.Abs(left-(31-23.0/24)) > 0.01 {
			t.Errorf("%v days are left", left)
		}
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		if n := strings.Count(log.String(), "expires soon"); n != 2 {
			t.Errorf("told %d times in two days:\n%s", n, &log)
		}
		for _, want := range []string{"name=eu-1", date(c.NotAfter()), "days_left=29", "pushcart ca issue eu-1 --region eu --renew"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log has no %q:\n%s", want, &log)
			}
		}
		// Renewed: no more of it.
		log.b.Reset()
		save(t, dir, a, "eu-1", "eu", NodeValidity)
		time.Sleep(48 * time.Hour)
		synctest.Wait()
		if strings.Contains(log.String(), "expires") || !strings.Contains(log.String(), "reloaded") {
			t.Errorf("after the renewal:\n%s", &log)
		}
		stop()
		wg.Wait()
	})
}

// TestTellsExpired: a node whose certificate runs out while it runs says so at that time, for all that others say is that it is bad.
func TestTellsExpired(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := authority(t)
		dir := t.TempDir()
		save(t, dir, a, "eu-1", "eu", 2*time.Hour)
		var log buffer
		c := open(t, dir, Options{Log: logTo(&log)})
		ctx, stop := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { c.Run(ctx) })
		time.Sleep(2*time.Hour - time.Second)
		synctest.Wait()
		if strings.Contains(log.String(), "has expired") {
			t.Errorf("too early:\n%s", &log)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := strings.Count(log.String(), `level=ERROR msg="the node's cluster certificate has expired`); n != 1 {
			t.Errorf("told %d times:\n%s", n, &log)
		}
		stop()
		wg.Wait()
	})
}

// TestAuthorityExpires: where the authority ends before the certificate's year does, that day counts.
func TestAuthorityExpires(t *testing.T) {
	t.Parallel()
	a, err := NewAuthority(time.Now(), 10*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	var log buffer
	c := open(t, issue(t, a, "eu-1", "eu"), Options{Log: logTo(&log)})
	if !c.NotAfter().Equal(a.NotAfter()) {
		t.Errorf("good until %v, the authority until %v", c.NotAfter(), a.NotAfter())
	}
	if !strings.Contains(log.String(), "authority expires soon") || !strings.Contains(log.String(), a.Name()) {
		t.Errorf("the log says\n%s", &log)
	}
}

// TestOpenMistakes: what is wrong with a folder is told with what to do.
func TestOpenMistakes(t *testing.T) {
	t.Parallel()
	a, other := authority(t), authority(t)
	put := func(name string, text []byte) func(string) {
		return func(dir string) {
			if err := replaceFile(filepath.Join(dir, name), text); err != nil {
				t.Error(err)
			}
		}
	}
	for _, tt := range []struct {
		name   string
		spoil  func(dir string)
		opt    Options
		expect string
	}{
		{"no folder", func(dir string) { os.RemoveAll(dir) }, Options{}, `copy the folder that "pushcart ca issue" made`},
		{"no key", func(dir string) { os.Remove(filepath.Join(dir, KeyFile)) }, Options{}, `copy the folder that "pushcart ca issue" made`},
		{"not PEM", put(CertificateFile, []byte("hello")), Options{}, "failed to find any PEM data"},
		{"no authority in it", put(AuthorityFile, []byte("hello")), Options{}, "there is no certificate in it"},
		{"too large", put(AuthorityFile, make([]byte, maxFile+1)), Options{}, "is larger than 256 KiB"},
		{"other authority", put(AuthorityFile, other.Certificate()), Options{}, "has to be issued by the authority in ca.pem"},
		{"node as authority", func(dir string) {
			text, err := os.ReadFile(filepath.Join(dir, CertificateFile))
			if err != nil {
				t.Error(err)
			}
			put(AuthorityFile, text)(dir)
		}, Options{}, "is no authority's"},
		{"other name", nil, Options{Name: "eu-2", Region: "eu"}, "is for node eu-1 in eu, and this is eu-2 in eu: check node.name and cluster.region"},
		{"other region", nil, Options{Name: "eu-1", Region: "us"}, "is for node eu-1 in eu, and this is eu-1 in us"},
		{"other name, whatever region", nil, Options{Name: "eu-2"}, "is for node eu-1 in eu, and this is eu-2: check"},
		{"other region, whatever name", nil, Options{Region: "us"}, "and this is eu-1 in us: check"},
		{"expired", nil, Options{Now: func() time.Time { return time.Now().Add(2 * NodeValidity) }}, "pushcart ca issue eu-1 --region eu --renew"},
		{"not yet valid", nil, Options{Now: func() time.Time { return time.Now().Add(-2 * backdate) }}, "not yet valid"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := issue(t, a, "eu-1", "eu")
			if tt.spoil != nil {
				tt.spoil(dir)
			}
			if _, err := Open(dir, tt.opt); err == nil || !strings.Contains(err.Error(), tt.expect) {
				t.Errorf("the error is %v", err)
			}
		})
	}
	// A key that others can read is told of.
	dir := issue(t, a, "eu-1", "eu")
	if err := os.Chmod(filepath.Join(dir, KeyFile), 0o644); err != nil {
		t.Fatal(err)
	}
	var log buffer
	open(t, dir, Options{Log: logTo(&log)})
	if !strings.Contains(log.String(), "private key") || strings.Contains(log.String(), "any node") {
		t.Errorf("the log says\n%s", &log)
	}
	// And so is the authority's own, which nodes do without.
	put(AuthorityKeyFile, []byte("key"))(dir)
	open(t, dir, Options{Log: logTo(&log)})
	if !strings.Contains(log.String(), "the authority's key lies in this node's folder") {
		t.Errorf("the log says\n%s", &log)
	}
}

// TestFiles: what is written is for its owner only, and nothing is written over unless asked for.
func TestFiles(t *testing.T) {
	t.Parallel()
	a, dir := authority(t), filepath.Join(t.TempDir(), "new", "folder")
	if err := a.Save(dir); err != nil {
		t.Fatal(err)
	}
	pair, err := a.Issue("eu-1", "eu", nil, 0, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := SaveNode(dir, a.Certificate(), pair); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over the authority's certificate: %v", err)
	}
	if err := authority(t).Save(dir); !errors.Is(err, fs.ErrExist) {
		t.Errorf("over an authority: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("there are %v, %v", entries, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", e.Name(), info.Mode(), err)
		}
	}
	again, err := LoadAuthority(dir)
	if err != nil || !again.cert.Equal(a.cert) {
		t.Errorf("loaded: %v", err)
	}
	// Another cluster's key beside the certificate.
	key, err := encodeKey(authority(t).key)
	if err != nil {
		t.Fatal(err)
	}
	if err := replaceFile(filepath.Join(dir, AuthorityKeyFile), key); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadAuthority(dir); err == nil || !strings.Contains(err.Error(), "another cluster's") {
		t.Errorf("a key of another cluster: %v", err)
	}
}

// TestDevelopment: nodes that start at once on one host make one authority and know each other.
func TestDevelopment(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "cluster")
	names := []string{"a", "b", "c", "d", "e", "f"}
	nodes := make([]*Credentials, len(names))
	var log buffer
	var wg sync.WaitGroup
	for i, name := range names {
		wg.Go(func() {
			var err error
			if nodes[i], err = Development(dir, name, "here", Options{Log: logTo(&log)}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for i := 1; i < len(nodes); i++ {
		if _, serverErr, clientErr := shake(t, nodes[0].ServerTLS(), nodes[i].ClientTLS("a")); serverErr != nil || clientErr != nil {
			t.Errorf("%s: %v, %v", names[i], serverErr, clientErr)
		}
	}
	if n := strings.Count(log.String(), "level=WARN msg=\"DEVELOPMENT MODE"); n != len(names) {
		t.Errorf("%d nodes say that it is not for production:\n%s", n, &log)
	}
	left, err := filepath.Glob(filepath.Join(dir, ".authority*"))
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	// A restart keeps the certificate, another region gets a new one.
	again, err := Development(dir, "a", "here", Options{})
	if err != nil || !again.current().leaf.Equal(nodes[0].current().leaf) {
		t.Errorf("after a restart: %v", err)
	}
	again, err = Development(dir, "a", "there", Options{})
	if err != nil || again.Identity() != (Identity{Name: "a", Region: "there"}) {
		t.Errorf("in another region: %v", err)
	}
	if _, err := Development(dir, "A", "here", Options{}); err == nil || !strings.Contains(err.Error(), "node.name") {
		t.Errorf("a name that cannot be used: %v", err)
	}
}
