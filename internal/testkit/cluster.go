package testkit

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Ports of a cluster's nodes: each has an address of its own.
const (
	clusterRTMP  = 1935
	clusterHTTP  = 8080
	clusterAdmin = 9090
	clusterRelay = 8444
	clusterNATS  = 6222
	clusterLeaf  = 7422
)

// Cluster is several nodes that know each other: real programs, each with an IP address, data and certificate of its own.
type Cluster struct {
	// Nodes in the order in which they were asked for.
	Nodes []*ClusterNode
	// Lab is the network between them; nil where they are on loopback addresses.
	Lab *Netlab

	t   testing.TB
	dir string
}

// ClusterOptions say what cluster is wanted.
type ClusterOptions struct {
	// Nodes by name and region; the first ones are core nodes.
	Nodes []ClusterMember
	// Cores is how many core nodes there are; 0 is one, or three where there are as many nodes.
	Cores int
	// Settings is what all configuration files have besides addresses, data and the section cluster.
	Settings string
	// Lab asks for a network whose wires can be slow, lossy and cut. Where the machine lets nobody make one, the cluster's Lab is
	// nil and its nodes are on loopback addresses.
	Lab bool
	// NATS are the servers of an operator's own NATS, nats://HOST:PORT, which the nodes are to use; none is that they run their own.
	NATS []string
	// Before, if not nil, is called before the nodes start, when the lab's ports are there.
	Before func(*Cluster)
	// Program is what runs; "" is what Build makes.
	Program string
}

// ClusterMember is a node that is wanted.
type ClusterMember struct {
	Name, Region string
	// Country is what it localises cards for, such as DE; "" is none.
	Country string
	// Settings are for its configuration file alone, sections that the cluster's do not have.
	Settings string
	// Push names the nodes that cannot reach it, and to which it keeps connections.
	Push []string
	// Advertise is where the others reach its relay; "" is where it listens.
	Advertise string
	// Env is added to its environment, as NAME=VALUE.
	Env []string
}

// ClusterNode is one of a cluster.
type ClusterNode struct {
	ClusterMember
	// Process is the program, since it was last started.
	*Process
	// IP is its address for the other nodes, Port its place in the lab, nil on loopback addresses.
	IP   string
	Port *LabPort
	// HTTP and Admin are base URLs for the test, RTMP is host:port.
	HTTP, Admin, RTMP string

	cluster *Cluster
	core    bool
	file    string
	program string
	args    []string
	older   []*Log // of the programs before
}

// NewCluster makes a cluster and starts its nodes. They are there, and know each other, when it returns.
func NewCluster(t testing.TB, opt ClusterOptions) *Cluster {
	t.Helper()
	c := &Cluster{t: t, dir: memoryFolder(t)}
	if opt.Lab {
		var err error
		if c.Lab, err = NewNetlab(t); err != nil {
			t.Logf("this machine has no network lab, so the nodes are on loopback addresses: %v", err)
		}
	}
	if opt.Cores == 0 {
		opt.Cores = 1
		if len(opt.Nodes) >= 3 {
			opt.Cores = 3
		}
	}
	if opt.Program == "" {
		opt.Program = Build(t)
	}
	block := loopbackBlock(t)
	for i, m := range opt.Nodes {
		n := &ClusterNode{ClusterMember: m, cluster: c, core: i < opt.Cores, file: filepath.Join(c.dir, m.Name+".yaml")}
		if c.Lab != nil {
			n.Port = c.Lab.Port(t)
			n.IP = n.Port.IP
			n.HTTP, n.Admin = "http://"+n.Port.Forward(t, local(clusterHTTP)), "http://"+n.Port.Forward(t, local(clusterAdmin))
			n.RTMP = n.Port.Forward(t, local(clusterRTMP))
		} else {
			n.IP = fmt.Sprintf("%s.%d", block, i+1)
			n.HTTP, n.Admin, n.RTMP = "http://"+at(n.IP, clusterHTTP), "http://"+at(n.IP, clusterAdmin), at(n.IP, clusterRTMP)
		}
		c.Nodes = append(c.Nodes, n)
	}
	for _, n := range c.Nodes {
		n.write(opt)
	}
	if opt.Before != nil {
		opt.Before(c)
	}
	t.Cleanup(c.tell)
	for _, n := range c.Nodes {
		n.launch(opt.Program)
	}
	c.Whole()
	return c
}

// memoryFolder is a folder that is gone after the test, in memory where the system has that: what is measured is not the disk.
func memoryFolder(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "pushcart-cluster-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func at(ip string, port int) string { return fmt.Sprint(ip, ":", port) }

func local(port int) string { return at("127.0.0.1", port) }

// blocks are the loopback networks that clusters of this process have.
var blocks = struct {
	mu   sync.Mutex // guards used
	used map[string]bool
}{used: map[string]bool{}}

// loopbackBlock finds 256 loopback addresses that no other cluster has.
func loopbackBlock(t testing.TB) string {
	t.Helper()
	blocks.mu.Lock()
	defer blocks.mu.Unlock()
	for range 100 {
		block := fmt.Sprintf("127.%d.%d", 16+rand.IntN(230), rand.IntN(256))
		if blocks.used[block] {
			continue
		}
		if l, err := net.Listen("tcp", at(block+".1", clusterRelay)); err == nil {
			l.Close()
			blocks.used[block] = true
			return block
		}
	}
	t.Fatal("there are no free loopback addresses")
	return ""
}

// write makes the node's configuration file.
func (n *ClusterNode) write(opt ClusterOptions) {
	n.cluster.t.Helper()
	listen := func(port int) string {
		if n.Port != nil {
			return fmt.Sprint(":", port)
		}
		return at(n.IP, port)
	}
	quoted := func(port int) string {
		var all []string
		for _, o := range n.cluster.Nodes {
			if o.core {
				all = append(all, fmt.Sprintf("%q", at(o.IP, port)))
			}
		}
		return strings.Join(all, ", ")
	}
	role := fmt.Sprintf("leaf_of: [%s]", quoted(clusterLeaf))
	switch {
	case len(opt.NATS) > 0:
		role = fmt.Sprintf("nats: [%s]", strings.Join(opt.NATS, ", "))
	case n.core:
		role = fmt.Sprintf("core: [%s]\n  listen_nats: %q\n  listen_leaf: %q", quoted(clusterNATS), listen(clusterNATS), listen(clusterLeaf))
	}
	var push []string
	for _, name := range n.Push {
		push = append(push, fmt.Sprintf("%q", at(n.cluster.Node(name).IP, clusterRelay)))
	}
	if len(push) > 0 {
		opt.Settings += fmt.Sprintf("relay: {push: [%s]}\n", strings.Join(push, ", "))
	}
	advertise := n.Advertise
	if advertise == "" {
		advertise = at(n.IP, clusterRelay)
	}
	text := fmt.Sprintf(`
log: {level: debug}
node: {name: %s, region: %q}
rtmp: {address: %q, max_connections_per_address: 1000}
rtsp: {address: "", udp_address: ""}
srt: {address: ""}
whip: {udp_address: "", tcp_address: ""}
http: {address: %q}
admin: {address: %q}
data: {directory: %q}
drain: {timeout: 0s}
cluster:
  address: %q
  advertise: %q
  public_url: %q
  region: %s
  directory: %q
  development: true
  %s
%s
%s
`, n.Name, n.Country, listen(clusterRTMP), listen(clusterHTTP), listen(clusterAdmin), filepath.Join(n.cluster.dir, n.Name), listen(clusterRelay),
		advertise, "http://"+at(n.IP, clusterHTTP), n.Region, filepath.Join(n.cluster.dir, "authority"), role, opt.Settings, n.Settings)
	Overwrite(n.cluster.t, n.file, text)
}

// launch runs the program.
func (n *ClusterNode) launch(program string) {
	args := []string{"serve", "--config", n.file}
	if n.Port != nil {
		program, args = n.Port.Command(program, args...)
	}
	n.program, n.args = program, args
	n.Process = Run(n.cluster.t, n.Env, program, args...)
}

// Node finds a node by its name.
func (c *Cluster) Node(name string) *ClusterNode {
	c.t.Helper()
	for _, n := range c.Nodes {
		if n.Name == name {
			return n
		}
	}
	c.t.Fatalf("no node %q", name)
	return nil
}

// Others are all nodes but some.
func (c *Cluster) Others(but ...*ClusterNode) (all []*ClusterNode) {
	for _, n := range c.Nodes {
		out := false
		for _, b := range but {
			out = out || b == n
		}
		if !out {
			all = append(all, n)
		}
	}
	return all
}

// Up tells whether the node's program runs.
func (n *ClusterNode) Up() bool {
	if n.Process == nil {
		return false
	}
	select {
	case <-n.Ended():
		return false
	default:
		return true
	}
}

// startTime is how long a cluster may take to be whole, on a machine that is busy.
const startTime = 40 * time.Second

// Whole waits until all nodes that run answer, have a directory that takes claims, and know all others that run.
func (c *Cluster) Whole() {
	c.t.Helper()
	var up []*ClusterNode
	for _, n := range c.Nodes {
		if n.Up() {
			up = append(up, n)
		}
	}
	for _, n := range up {
		n.Healthy(len(up) - 1)
	}
}

// Healthy waits until the node answers, its directory takes claims, and it knows so many others.
func (n *ClusterNode) Healthy(others int) {
	n.cluster.t.Helper()
	EventuallyWithin(n.cluster.t, startTime, fmt.Sprintf("%s has a directory, and knows %d others", n.Name, others), func() bool {
		if !n.Up() {
			n.cluster.t.Fatalf("%s has ended", n.Name)
		}
		m, ok := n.TryScrape()
		return ok && m.Value("pushcart_directory_healthy") == 1 && m.Value("pushcart_directory_peers") == float64(others)
	})
}

// TryScrape gets the node's metrics; false when it does not answer within a second.
func (n *ClusterNode) TryScrape() (Metrics, bool) {
	ctx, cancel := context.WithTimeout(n.cluster.t.Context(), time.Second)
	defer cancel()
	status, _, body, err := Get(ctx, http.DefaultClient, n.Admin+"/metrics")
	if err != nil || status != http.StatusOK {
		return nil, false
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	m, err := parser.TextToMetricFamilies(bytes.NewReader(body))
	return m, err == nil
}

// Metric adds up what a node's metrics of a name have with labels. It ends the test when the node does not answer.
func (n *ClusterNode) Metric(name string, labels ...string) float64 {
	n.cluster.t.Helper()
	return Scrape(n.cluster.t, n.Admin).Value(name, labels...)
}

// Restart starts a node that has ended again, with its data and addresses.
func (n *ClusterNode) Restart() {
	n.cluster.t.Helper()
	select {
	case <-n.Ended():
	default:
		n.cluster.t.Fatalf("%s is still there", n.Name)
	}
	n.older = append(n.older, n.Process.Log)
	n.Process = Run(n.cluster.t, n.Env, n.program, n.args...)
}

// Stop ends the node as an operator does, and wants it to end well.
func (n *ClusterNode) Stop() {
	n.cluster.t.Helper()
	n.Signal(syscall.SIGTERM)
	if code := n.Wait(n.cluster.t); code != 0 {
		n.cluster.t.Errorf("%s: exit code %d:\n%s", n.Name, code, tail(n.Log.String(), 40))
	}
}

// Freeze stops the program without ending it: it answers nobody, and its connections stay. Thaw has it go on, with no idea of the
// time that passed.
func (n *ClusterNode) Freeze() { n.Signal(syscall.SIGSTOP) }

// Thaw has a program that was frozen go on.
func (n *ClusterNode) Thaw() { n.Signal(syscall.SIGCONT) }

// Master is a stream's multivariant playlist on the node.
func (n *ClusterNode) Master(stream string) string { return n.HTTP + "/live/" + stream + "/index.m3u8" }

// PublishURL is for ffmpeg.
func (n *ClusterNode) PublishURL(key string) string { return "rtmp://" + n.RTMP + "/live/" + key }

// Logs is all that the node's programs wrote, the oldest first.
func (n *ClusterNode) Logs() string {
	var all strings.Builder
	for _, l := range n.older {
		all.WriteString(l.String())
		all.WriteString("---- started again\n")
	}
	if n.Process != nil {
		all.WriteString(n.Process.Log.String())
	}
	return all.String()
}

// Data is the node's data folder.
func (n *ClusterNode) Data() string { return filepath.Join(n.cluster.dir, n.Name) }

// Authority is the folder with the certificates of all nodes, each in a folder with its name, and the authority's own.
func (c *Cluster) Authority() string { return filepath.Join(c.dir, "authority") }

// tell shows what the nodes said, when the test has failed. TEST_LOGS names a folder to keep all of it in.
func (c *Cluster) tell() {
	dir := os.Getenv("TEST_LOGS")
	for _, n := range c.Nodes {
		if dir != "" {
			os.WriteFile(filepath.Join(dir, strings.ReplaceAll(c.t.Name(), "/", "-")+"-"+n.Name+".log"), []byte(n.Logs()), 0o600)
		}
		if c.t.Failed() {
			c.t.Logf("log of %s:\n%s", n.Name, tail(withoutDebug(n.Logs()), 30))
		}
	}
}

// withoutDebug leaves the lines out that are of use in the whole log only.
func withoutDebug(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "level=DEBUG") {
			b.WriteString(line)
		}
	}
	return b.String()
}
