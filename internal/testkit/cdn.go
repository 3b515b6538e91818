package testkit

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// CDN is a cache in front of a cluster's nodes: a real program, with the configuration that is delivered for it.
type CDN struct {
	*Process
	// URL is where viewers reach it.
	URL string
}

// Nginx runs nginx in front of a cluster on loopback addresses until the test ends. configs is the folder with nginx.conf and
// origins-eu.conf; the nodes that those name must be in the cluster. Each pair of edit, what is there and what is to be there
// instead, changes nginx.conf: it ends the test where it changes nothing.
func Nginx(t testing.TB, configs string, c *Cluster, edit ...string) *CDN {
	t.Helper()
	dir, address := memoryFolder(t), freeAddress(t)
	edit = append([]string{"listen 8080;", "listen " + address + ";", "/tmp/nginx", filepath.Join(dir, "nginx")}, edit...)
	Overwrite(t, filepath.Join(dir, "nginx.conf"), edited(t, filepath.Join(configs, "nginx.conf"), edit))
	var nodes []string
	for _, n := range c.Nodes {
		nodes = append(nodes, n.Name+":8080", at(n.IP, clusterHTTP))
	}
	Overwrite(t, filepath.Join(dir, "origins.conf"), edited(t, filepath.Join(configs, "origins-eu.conf"), nodes))
	// The user is for those who run the tests as root: the workers would have no right to the folder.
	args := []string{"-e", "stderr", "-c", filepath.Join(dir, "nginx.conf"), "-g", "daemon off;"}
	if os.Getuid() == 0 {
		args[len(args)-1] += " user root;"
	}
	return runCDN(t, address, program(t, "nginx"), args...)
}

// Varnish is like Nginx, for varnish.vcl.
func Varnish(t testing.TB, configs string, c *Cluster) *CDN {
	t.Helper()
	dir, address := memoryFolder(t), freeAddress(t)
	var nodes []string
	for _, n := range c.Nodes {
		nodes = append(nodes, fmt.Sprintf(".host = %q", n.Name), fmt.Sprintf(".host = %q", n.IP))
	}
	file := filepath.Join(dir, "varnish.vcl")
	Overwrite(t, file, edited(t, filepath.Join(configs, "varnish.vcl"), nodes))
	return runCDN(t, address, program(t, "varnishd"), "-F", "-n", filepath.Join(dir, "work"), "-f", file, "-a", address,
		"-s", "malloc,256m", "-j", "none")
}

// runCDN starts a cache and waits until it listens. It is asked to end at the test's end, since killed it would leave its workers.
// TEST_LOGS names a folder to keep its log in.
func runCDN(t testing.TB, address, name string, args ...string) *CDN {
	t.Helper()
	c := &CDN{Process: Run(t, nil, name, args...), URL: "http://" + address}
	t.Cleanup(func() {
		c.Signal(syscall.SIGTERM)
		select {
		case <-c.Ended():
		case <-time.After(patience):
			t.Errorf("%s does not end", name)
		}
		if folder := os.Getenv("TEST_LOGS"); folder != "" {
			os.WriteFile(filepath.Join(folder, t.Name()+"-cache.log"), []byte(c.Log.String()), 0o600)
		}
	})
	Eventually(t, filepath.Base(name)+" listens", func() bool {
		select {
		case <-c.Ended():
			t.Fatalf("%s has ended:\n%s", name, c.Log)
		default:
		}
		nc, err := net.Dial("tcp", address)
		if err == nil {
			nc.Close()
		}
		return err == nil
	})
	return c
}

// program finds a program that is of the system's, perhaps not in the PATH of people.
func program(t testing.TB, name string) string {
	t.Helper()
	for _, file := range []string{name, "/usr/sbin/" + name, "/usr/local/sbin/" + name} {
		if found, err := exec.LookPath(file); err == nil {
			return found
		}
	}
	t.Fatalf("there is no %s: make deps-test installs it", name)
	return ""
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// edited is a file's text with replacements, each of which must change something.
func edited(t testing.TB, file string, pairs []string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(string(b), pairs[i]) {
			t.Fatalf("%s has no %q", file, pairs[i])
		}
	}
	return strings.NewReplacer(pairs...).Replace(string(b))
}
