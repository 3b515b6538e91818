package testkit

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"pushcart/relay/trust"
	"pushcart/relay/wire"
)

// Liar stands in front of a node's relay with that node's own certificate, and passes on what it pleases: it is a node of the
// cluster that has gone bad. It needs the folder of a cluster's authority, in which all nodes' keys are.
type Liar struct {
	t      testing.TB
	front  net.Listener
	node   string // that it takes itself for
	ctx    context.Context
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu        sync.Mutex // guards what follows
	authority string
	target    string
	tell      func(index bool, r Lie) [][]byte
	lies      int
}

// Lie is a record on its way.
type Lie struct {
	wire.Record
	// Raw is the whole record.
	Raw []byte
}

// Forge is the record with another payload, and a checksum that fits.
func (l Lie) Forge(payload []byte) []byte {
	b, err := wire.AppendRecord(nil, l.Type, l.Flags, payload)
	if err != nil {
		panic(err) // it is not longer than the one that was read
	}
	return b
}

// NewLiar makes one for a node, which tells nothing before Stand.
func NewLiar(t testing.TB, node string) *Liar {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	x := &Liar{t: t, front: l, node: node}
	x.ctx, x.cancel = context.WithCancel(context.Background())
	x.group.Go(x.serve)
	t.Cleanup(func() {
		x.cancel()
		l.Close()
		x.group.Wait()
	})
	return x
}

// Addr is what the node has to advertise.
func (x *Liar) Addr() string { return x.front.Addr().String() }

// Stand has the liar stand in front of its node.
func (x *Liar) Stand(c *Cluster) {
	n := c.Node(x.node)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.authority, x.target = c.Authority(), at(n.IP, clusterRelay)
}

// Tell has records be replaced by others from now on: none, one or several. Nil passes all on as they are. index tells that the log
// is the one of the stream, and not of a rendition. It is called for one record at a time.
func (x *Liar) Tell(tell func(index bool, r Lie) [][]byte) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.tell, x.lies = tell, 0
}

// Lies is how many records were not passed on as they were since Tell.
func (x *Liar) Lies() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.lies
}

func (x *Liar) serve() {
	for {
		c, err := x.front.Accept()
		if err != nil {
			return
		}
		x.group.Go(func() {
			defer c.Close()
			defer context.AfterFunc(x.ctx, func() { c.Close() })()
			x.stand(c)
		})
	}
}

// stand is between one peer and the node.
func (x *Liar) stand(raw net.Conn) {
	x.mu.Lock()
	authority, target := x.authority, x.target
	x.mu.Unlock()
	if authority == "" {
		return
	}
	own, err := trust.Open(filepath.Join(authority, x.node), trust.Options{})
	if err != nil {
		x.t.Errorf("liar: %v", err)
		return
	}
	front := tls.Server(raw, own.ServerTLS("http/1.1"))
	if front.HandshakeContext(x.ctx) != nil {
		return
	}
	peer, _, err := trust.Peer(front.ConnectionState().PeerCertificates[0])
	if err != nil {
		return
	}
	theirs, err := trust.Open(filepath.Join(authority, peer), trust.Options{})
	if err != nil {
		x.t.Errorf("liar: %v", err)
		return
	}
	in := bufio.NewReader(front)
	request, err := http.ReadRequest(in)
	if err != nil {
		return
	}
	d := tls.Dialer{Config: theirs.ClientTLS(x.node), NetDialer: &net.Dialer{Timeout: patience}}
	back, err := d.DialContext(x.ctx, "tcp", target)
	if err != nil {
		return
	}
	defer back.Close()
	defer context.AfterFunc(x.ctx, func() { back.Close() })()
	if request.Write(back) != nil {
		return
	}
	// What the peer says ends with its connection.
	x.group.Go(func() {
		io.Copy(io.Discard, in)
		back.Close()
	})
	defer front.Close()
	x.pass(bufio.NewReaderSize(back, 64<<10), front, bytes.Count([]byte(request.URL.Path), []byte("/")) == 3)
}

// pass gives the peer the head of the answer, and then record by record.
func (x *Liar) pass(from *bufio.Reader, to io.Writer, index bool) {
	good := false
	for first := true; ; first = false {
		line, err := from.ReadBytes('\n')
		if err != nil {
			return
		}
		if first {
			good = bytes.Contains(line, []byte(" 200 "))
		}
		to.Write(line)
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
	}
	if !good {
		io.Copy(to, from)
		return
	}
	for {
		head, err := from.Peek(wire.HeadSize)
		if err != nil {
			return
		}
		b := make([]byte, wire.HeadSize+int(binary.BigEndian.Uint32(head))+wire.SumSize)
		if _, err := io.ReadFull(from, b); err != nil {
			return
		}
		for _, r := range x.told(index, b) {
			if _, err := to.Write(r); err != nil {
				return
			}
		}
	}
}

// told is what becomes of a record.
func (x *Liar) told(index bool, raw []byte) [][]byte {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.tell == nil {
		return [][]byte{raw}
	}
	lie := Lie{Raw: raw, Record: wire.Record{Type: wire.Type(raw[4]), Flags: raw[5], Payload: raw[wire.HeadSize : len(raw)-wire.SumSize]}}
	said := x.tell(index, lie)
	if len(said) != 1 || !bytes.Equal(said[0], raw) {
		x.lies++
	}
	return said
}

// TLS is what a node of the cluster speaks to another one's relay with: to one of a name, or with "" to any.
func (n *ClusterNode) TLS(to string) *tls.Config {
	n.cluster.t.Helper()
	c, err := trust.Open(filepath.Join(n.cluster.Authority(), n.Name), trust.Options{})
	if err != nil {
		n.cluster.t.Fatal(err)
	}
	return c.ClientTLS(to)
}

// AskRelay sends a request to a node's relay with a client's TLS configuration, and returns the answer's status and the beginning of
// its body. The error is that of the connection, as when it is refused for its certificate.
func (n *ClusterNode) AskRelay(config *tls.Config, path string, header map[string]string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(n.cluster.t.Context(), patience)
	defer cancel()
	tr := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+at(n.IP, clusterRelay)+path, nil)
	if err != nil {
		return 0, "", err
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	client := &http.Client{Transport: tr, Timeout: 5 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	b := make([]byte, 300)
	got, _ := io.ReadAtLeast(res.Body, b, 1)
	return res.StatusCode, string(b[:got]), nil
}
