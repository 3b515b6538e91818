package doctor

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// files writes a tree.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range content {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// TestSystem reads another system's files.
func TestSystem(t *testing.T) {
	t.Parallel()
	root := files(t, map[string]string{
		"proc/self/limits":                                       "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 524288               files     \n",
		"proc/7/limits":                                          "Max open files            1024                 unlimited               files\n",
		"proc/sys/net/core/rmem_max":                             "212992\n",
		"proc/sys/net/core/somaxconn":                            "4096\n",
		"proc/sys/net/ipv4/ip_local_port_range":                  "32768\t60999\n",
		"proc/sys/net/ipv4/tcp_available_congestion_control":     "reno cubic bbr\n",
		"proc/meminfo":                                           "MemTotal:       16303428 kB\nMemAvailable:    8151714 kB\n",
		"proc/self/cgroup":                                       "0::/system.slice/pushcart.service\n",
		"sys/fs/cgroup/system.slice/memory.max":                  "4294967296\n",
		"sys/fs/cgroup/system.slice/pushcart.service/memory.max": "max\n",
		"sys/fs/cgroup/system.slice/pushcart.service/cpu.max":    "50000 100000\n",
		".dockerenv":                                             "",
	})
	var f Facts
	f.host(&Plan{}, Options{Root: root})
	if f.Files != 524288 || system(root).files(7) < 1<<40 || f.RmemMax != 212992 || f.Somaxconn != 4096 || f.PortRange != [2]int{32768, 60999} ||
		!slices.Contains(f.Congestion, "bbr") || f.Memory != 4<<30 || !f.MemoryOfCgroup || f.CPUs != 0.5 || !f.Container {
		t.Errorf("%+v", f)
	}
	old := files(t, map[string]string{
		"proc/meminfo": "MemTotal: 1000 kB\nodd\n:\n", "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n", "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
	})
	f = Facts{}
	f.host(&Plan{}, Options{Root: old})
	if f.Memory != 1000<<10 || f.MemoryOfCgroup || f.Container || f.CPUs < 1 {
		t.Errorf("%+v", f)
	}
	f = Facts{}
	f.host(&Plan{}, Options{Root: t.TempDir()})
	if f.Files != 0 || f.Memory != 0 || f.Congestion != nil {
		t.Errorf("%+v", f)
	}
}

// TestPorts finds free ports, and who has those that are taken: here, this process.
func TestPorts(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	u, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer u.Close()
	p := &Plan{Listeners: []Listener{
		{"a", "a.address", "tcp", l.Addr().String()}, {"b", "b.address", "udp", u.LocalAddr().String()},
		{"c", "c.address", "tcp", "127.0.0.1:0"}, {"d", "d.address", "tcp", "192.0.2.1:1"}, {"e", "e.address", "udp", "127.0.0.1:0"},
	}, Data: t.TempDir()}
	f := Gather(context.Background(), p, Options{})
	for i := range 2 {
		if got := f.Ports[i]; !got.Taken || got.PID != os.Getpid() || got.Program == "" {
			t.Errorf("%d: %+v", i, got)
		}
	}
	if !f.Ports[2].Free || !f.Ports[3].Absent || !f.Ports[4].Free || f.Running {
		t.Errorf("%+v", f.Ports)
	}
	if f.Data.WriteErr != nil || f.Data.Free <= 0 || !f.Data.Exists {
		t.Errorf("%+v", f.Data)
	}
	if left, _ := os.ReadDir(p.Data); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestRunning asks a node, and other things.
func TestRunning(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{"ok\n": true, "<html>ok": false, "": false} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, answer) }))
		if got := running(context.Background(), strings.TrimPrefix(s.URL, "http://")); got != want {
			t.Errorf("%q: %v", answer, got)
		}
		s.Close()
	}
	if running(context.Background(), "127.0.0.1:1") || running(context.Background(), "") {
		t.Error("nobody is there")
	}
}

// TestFolder looks at folders that can be used, and at those that cannot.
func TestFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := folder(filepath.Join(dir, "a", "b")); f.WriteErr != nil || f.Exists {
		t.Errorf("%+v", f)
	}
	if f := folder(file); f.WriteErr == nil {
		t.Errorf("%+v", f)
	}
	if f := folder(filepath.Join(file, "below")); f.WriteErr == nil {
		t.Errorf("%+v", f)
	}
	locked := filepath.Join(dir, "webhooks", "lock")
	if err := os.Mkdir(filepath.Dir(locked), 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := os.Create(locked)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if folder(dir).Locked {
		t.Error("nobody has locked it")
	}
	if err := syscall.Flock(int(l.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if !folder(dir).Locked {
		t.Error("it is locked")
	}
	if s := secretFile(file); s.Err != nil || s.Mode != 0o600 {
		t.Errorf("%+v", s)
	}
	if s := secretFile(file + "x"); !errors.Is(s.Err, os.ErrNotExist) {
		t.Errorf("%+v", s)
	}
}

// pair makes a certificate, signed by itself or by another, and its key.
func pair(t *testing.T, dir, name string, ca *x509.Certificate, caKey *ecdsa.PrivateKey, isCA bool) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: isCA, BasicConstraintsValid: true,
	}
	if !isCA {
		template.DNSNames = []string{name}
	}
	if ca == nil {
		ca, caKey = template, k
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca, &k.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{".pem": {Type: "CERTIFICATE", Bytes: der}, ".key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name+file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c, k
}

// TestCertificates reads certificates of all kinds.
func TestCertificates(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca, caKey := pair(t, dir, "ca.example", nil, nil, true)
	pair(t, dir, "leaf.example", ca, caKey, false)
	pair(t, dir, "self.example", nil, nil, false)
	at := func(name string) string { return filepath.Join(dir, name) }
	c, err := readCertificate(at("leaf.example.pem"), at("leaf.example.key"))
	if err != nil || c.KeyErr != nil || c.SelfSigned || c.ChainErr == nil || !slices.Equal(c.Names, []string{"leaf.example"}) {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = readCertificate(at("leaf.example.pem"), at("self.example.key")); err != nil || c.KeyErr == nil {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err = readCertificate(at("self.example.pem"), at("self.example.key")); err != nil || !c.SelfSigned {
		t.Errorf("%+v, %v", c, err)
	}
	for _, bad := range []string{"", at("none.pem"), at("self.example.key")} {
		if _, err := readCertificate(bad, at("self.example.key")); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

// FuzzSockets reads tables of the kernel.
func FuzzSockets(f *testing.F) {
	f.Add("  sl  local_address rem_address   st\n   0: 0100007F:078F 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1234 1 0000000000000000 100 0 0 10 0\n")
	f.Add("0: 00000000000000000000000001000000:078F 0:0 0A a b c d 77")
	f.Fuzz(func(t *testing.T, table string) {
		for _, inode := range sockets(table, 1935, true) {
			if inode == 0 || !strings.Contains(table, fmt.Sprint(inode)) {
				t.Errorf("%d is not in %q", inode, table)
			}
		}
	})
}
