package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"pushcart/internal/config"
	"pushcart/relay/trust"
)

const configs = "../../configs/"

// read returns a file of the repository.
func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// decode reads all documents of a YAML file strictly into values of one type: a key that it does not have is a mistake.
func decode[T any](t *testing.T, file string) []T {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(read(t, file)), yaml.Strict())
	var all []T
	for {
		var v T
		err := decoder.Decode(&v)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		all = append(all, v)
	}
}

// load reads settings from variables, as the program does.
func settingsOf(t *testing.T, who string, env map[string]string) *config.Config {
	t.Helper()
	var list []string
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	c, err := config.Load("", list)
	if err != nil {
		t.Errorf("%s:\n%v", who, err)
		return config.Default()
	}
	return c
}

// dockerfile is what the manifests have to agree with.
type dockerfile struct {
	user, volume string
	ports        map[string]bool // "1935/tcp"
}

func readDockerfile(t *testing.T) dockerfile {
	t.Helper()
	d := dockerfile{ports: map[string]bool{}}
	for line := range strings.Lines(read(t, "../../Dockerfile")) {
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "USER":
			d.user = rest
		case "VOLUME":
			d.volume = rest
		case "EXPOSE":
			for field := range strings.FieldsSeq(rest) {
				ports, protocol, ok := strings.Cut(field, "/")
				if !ok {
					protocol = "tcp"
				}
				first, last, ok := strings.Cut(ports, "-")
				if !ok {
					last = first
				}
				from, err := strconv.Atoi(first)
				to, err2 := strconv.Atoi(last)
				if err != nil || err2 != nil {
					t.Fatalf("EXPOSE %s: %v, %v", field, err, err2)
				}
				for ; from <= to; from++ {
					d.ports[fmt.Sprintf("%d/%s", from, protocol)] = true
				}
			}
		}
	}
	if d.user == "" || d.volume == "" || len(d.ports) == 0 {
		t.Fatalf("the Dockerfile has %+v", d)
	}
	return d
}

// portOf is an address's port.
func portOf(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Errorf("%q: %v", address, err)
	}
	return port
}

// composeFile is as much of Compose as the files use.
type composeFile struct {
	Name     string                    `yaml:"name"`
	Node     map[string]any            `yaml:"x-node"`
	CDN      map[string]any            `yaml:"x-cdn"`
	Settings map[string]string         `yaml:"x-settings"`
	Services map[string]composeService `yaml:"services"`
	Volumes  map[string]any            `yaml:"volumes"`
}

type composeService struct {
	Image string `yaml:"image"`
	Build struct {
		Context string `yaml:"context"`
	} `yaml:"build"`
	DependsOn       any               `yaml:"depends_on"`
	User            string            `yaml:"user"`
	NetworkMode     string            `yaml:"network_mode"`
	ReadOnly        bool              `yaml:"read_only"`
	CapDrop         []string          `yaml:"cap_drop"`
	CapAdd          []string          `yaml:"cap_add"`
	SecurityOpt     []string          `yaml:"security_opt"`
	Restart         string            `yaml:"restart"`
	StopGracePeriod string            `yaml:"stop_grace_period"`
	Entrypoint      []string          `yaml:"entrypoint"`
	Command         []string          `yaml:"command"`
	Environment     map[string]string `yaml:"environment"`
	Tmpfs           []string          `yaml:"tmpfs"`
	Ports           []string          `yaml:"ports"`
	Volumes         []string          `yaml:"volumes"`
}

// leastGrace is how many seconds a node needs to stop: its viewers' time, and some for what follows.
func leastGrace() int {
	return int(time.Duration(config.Default().Drain.Timeout)/time.Second) + 10
}

// wantGrace checks how long a service gets to stop.
func wantGrace(t *testing.T, name, given string) {
	t.Helper()
	if d, err := time.ParseDuration(given); err != nil || d < time.Duration(leastGrace())*time.Second {
		t.Errorf("%s gets %q to stop, but needs %d s", name, given, leastGrace())
	}
}

// TestCompose: the single node has no more rights than it needs, and time to stop.
func TestCompose(t *testing.T) {
	t.Parallel()
	s := decode[composeFile](t, configs+"compose.yaml")[0].Services["pushcart"]
	if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
		t.Error("the node has more rights than it needs")
	}
	wantGrace(t, "pushcart", s.StopGracePeriod)
}

// TestComposeRegions: the nodes' settings are settings, and agree with each other, with the image and with the step that makes
// their certificates.
func TestComposeRegions(t *testing.T) {
	t.Parallel()
	file := decode[composeFile](t, configs+"compose.regions.yaml")[0]
	image := readDockerfile(t)
	asked := regexp.MustCompile(`^\$\{(PUSHCART_[A-Z_]+):\?.*\}$`)
	hostPorts, nodes := map[string]string{}, 0
	for name, s := range file.Services {
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s has more rights than it needs", name)
		}
		if strings.Contains(s.Image, "pushcart") && name != "ca" {
			wantGrace(t, name, s.StopGracePeriod)
		}
		for _, v := range s.Volumes {
			source, _, _ := strings.Cut(v, ":")
			if _, known := file.Volumes[source]; !known && !strings.HasPrefix(source, "./") {
				t.Errorf("%s: the volume %s is not declared", name, source)
			}
			if path, ok := strings.CutPrefix(source, "./"); ok {
				read(t, configs+path)
			}
		}
		for _, p := range s.Ports {
			i := strings.LastIndex(p, ":")
			host, inside := p[:i], p[i+1:]
			protocol := "tcp"
			if port, udp := strings.CutSuffix(inside, "/udp"); udp {
				inside, protocol = port, "udp"
			}
			key := host[strings.LastIndex(host, ":")+1:] + "/" + protocol
			if other, twice := hostPorts[key]; twice {
				t.Errorf("%s and %s both want the host's port %s", name, other, key)
			}
			hostPorts[key] = name
			if s.Image == "pushcart:latest" && !image.ports[inside+"/"+protocol] && portOf(t, s.Environment["PUSHCART_ADMIN_ADDRESS"]) != inside {
				t.Errorf("%s: nothing in the image listens on %s/%s", name, inside, protocol)
			}
			if s.Image == "pushcart:latest" && inside == "9090" && !strings.HasPrefix(host, "127.0.0.1:") {
				t.Errorf("%s: the operator's port, which asks for no password, is open to everybody", name)
			}
		}
		if s.Environment["PUSHCART_NODE_NAME"] == "" {
			continue
		}
		nodes++
		env := map[string]string{}
		for key, value := range s.Environment {
			if m := asked.FindStringSubmatch(value); m != nil {
				if m[1] != key {
					t.Errorf("%s: %s is taken from %s", name, key, m[1])
				}
				value = "*=a-secret-of-some-length"
			}
			env[key] = value
		}
		settingsOf(t, name, env)
		core := strings.Split(env["PUSHCART_CLUSTER_CORE"], ",")
		if env["PUSHCART_NODE_NAME"] != name || env["PUSHCART_CLUSTER_ADVERTISE"] != name+":"+portOf(t, env["PUSHCART_CLUSTER_ADDRESS"]) ||
			!slices.Contains(core, name+":"+portOf(t, env["PUSHCART_CLUSTER_LISTEN_NATS"])) || len(core) != 3 {
			t.Errorf("%s: name, addresses and core do not agree: %v", name, env)
		}
		if !slices.Contains(s.Volumes, name+"-trust:"+env["PUSHCART_CLUSTER_DIRECTORY"]+":ro") || !slices.Contains(s.Volumes, name+"-data:"+image.volume) {
			t.Errorf("%s: its volumes are %v", name, s.Volumes)
		}
		ca := file.Services["ca"]
		if !strings.Contains(ca.Command[0], "\nissue "+name+" "+env["PUSHCART_CLUSTER_REGION"]+"\n") || !slices.Contains(ca.Volumes, name+"-trust:/nodes/"+name) {
			t.Errorf("%s gets no certificate for its region", name)
		}
		if !strings.Contains(ca.Command[0], "chown "+image.user+" ") {
			t.Errorf("the certificates are not for the image's user %s", image.user)
		}
	}
	if nodes != 3 {
		t.Errorf("there are %d nodes", nodes)
	}
}

// TestComposeCertificates runs what the step that makes certificates runs, twice, and opens what comes out.
func TestComposeCertificates(t *testing.T) {
	t.Parallel()
	script := decode[composeFile](t, configs+"compose.regions.yaml")[0].Services["ca"].Command[0]
	dir := t.TempDir()
	commands := regexp.MustCompile(`(?m)^issue ([a-z0-9-]+) ([a-z0-9-]+)$`).FindAllStringSubmatch(script, -1)
	if len(commands) != 3 || !strings.Contains(script, "pushcart ca init --dir /authority\n") ||
		!strings.Contains(script, `pushcart ca issue "$$1" --region "$$2" --dir /authority --out "/nodes/$$1" --renew`) {
		t.Fatalf("the step is\n%s", script)
	}
	if _, err := ca(t, "init", "--dir", dir+"/authority"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, c := range commands {
			out := filepath.Join(dir, "nodes", c[1])
			if _, err := ca(t, "issue", c[1], "--region", c[2], "--dir", dir+"/authority", "--out", out, "--renew"); err != nil {
				t.Fatal(err)
			}
			if _, err := trust.Open(out, trust.Options{Name: c[1], Region: c[2]}); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestCDN: the caches fetch from nodes that are there, and their times fit those of the nodes.
func TestCDN(t *testing.T) {
	t.Parallel()
	services := decode[composeFile](t, configs+"compose.regions.yaml")[0].Services
	server := regexp.MustCompile(`(?m)^\s+server (\S+):(\d+) `)
	for _, region := range []string{"eu", "us"} {
		text := read(t, configs+"cdn/origins-"+region+".conf")
		here, there, ok := strings.Cut(text, "upstream elsewhere {")
		if !ok || !strings.Contains(here, "upstream origins {") {
			t.Fatalf("%s: the upstreams are not origins and elsewhere", region)
		}
		seen := 0
		for part, own := range map[string]bool{here: true, there: false} {
			for _, m := range server.FindAllStringSubmatch(part, -1) {
				seen++
				s, known := services[m[1]]
				if !known || (s.Environment["PUSHCART_CLUSTER_REGION"] == region) != own || ":"+m[2] != string(config.Default().HTTP.Address) {
					t.Errorf("%s: %s:%s is no node of the right region", region, m[1], m[2])
				}
			}
		}
		if seen != 3 {
			t.Errorf("%s: %d nodes", region, seen)
		}
		if keep := timeOf(t, text, "keepalive_timeout"); keep >= time.Duration(config.Default().HTTP.IdleTimeout) {
			t.Errorf("%s: connections are kept for %v, longer than nodes keep them", region, keep)
		}
	}
	vcl := read(t, configs+"cdn/varnish.vcl")
	for _, m := range regexp.MustCompile(`\.host = "([^"]+)"; \.port = "(\d+)"`).FindAllStringSubmatch(vcl, -1) {
		if _, known := services[m[1]]; !known || m[2] != "8080" {
			t.Errorf("Varnish fetches from %s:%s", m[1], m[2])
		}
	}

	nginx := read(t, configs+"cdn/nginx.conf")
	// A node's write timeout is a minute: it holds no request longer.
	for _, name := range []string{"proxy_read_timeout", "proxy_cache_lock_age"} {
		if d := timeOf(t, nginx, name); d <= time.Minute {
			t.Errorf("%s is %v", name, d)
		}
	}
	if d := timeOf(t, nginx, "proxy_cache_lock_timeout"); d <= time.Duration(config.Default().HLS.PartDuration) || d >= 500*time.Millisecond {
		t.Errorf("proxy_cache_lock_timeout is %v", d)
	}
	for text, name := range map[string]string{nginx: "nginx.conf", vcl: "varnish.vcl"} {
		if strings.Count(text, "{") != strings.Count(text, "}") {
			t.Errorf("%s: a brace is missing", name)
		}
	}
	directives := regexp.MustCompile(`(?m)^\s*([a-z_]+) (.*);`).FindAllStringSubmatch(nginx, -1)
	for _, d := range directives {
		switch {
		case d[1] == "proxy_cache_valid", d[1] == "proxy_cache_use_stale" && d[2] != "off":
			t.Errorf("%s %s: keeps what nodes say is out of date", d[1], d[2])
		case d[1] == "proxy_cache_key" && !strings.Contains(d[2], "$request_uri"):
			t.Errorf("the key %s is not the whole address", d[2])
		}
	}
}

// timeOf reads the first time that an nginx directive has.
func timeOf(t *testing.T, text, directive string) time.Duration {
	t.Helper()
	m := regexp.MustCompile(`(?m)^\s*` + directive + ` +(\d+(?:ms|s|m|h));`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("there is no %s", directive)
	}
	d, err := time.ParseDuration(m[1])
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestComposeSuggestions: settings that a file only suggests are settings too.
func TestComposeSuggestions(t *testing.T) {
	t.Parallel()
	var names []string
	for line := range strings.Lines(read(t, configs+"compose.regions.yaml")) {
		if m := regexp.MustCompile(`^  # (PUSHCART_[A-Z_]+): (\S.*)\n$`).FindStringSubmatch(line); m != nil {
			names = append(names, m[1])
			settingsOf(t, m[1], map[string]string{m[1]: strings.Trim(m[2], `"`)})
		}
	}
	if len(names) != 3 {
		t.Errorf("suggested are %v", names)
	}
}
