package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Options say how facts are gathered.
type Options struct {
	// Online allows to ask name servers.
	Online bool
	// FFmpeg tries the program; nil leaves that out. It may take some seconds.
	FFmpeg func(ctx context.Context) *FFmpeg
	// Root is where the system's files are looked for, such as /proc; "" is "/". For tests.
	Root string
}

// maxFile bounds what is read of a file, in bytes.
const maxFile = 1 << 20

// Gather finds the facts. It listens on each port for a moment, and makes and deletes a file in the data folder.
func Gather(ctx context.Context, p *Plan, opt Options) *Facts {
	if opt.Root == "" {
		opt.Root = "/"
	}
	f := &Facts{Now: time.Now(), OS: runtime.GOOS, Root: os.Geteuid() == 0}
	var aside sync.WaitGroup
	if opt.FFmpeg != nil && p.FFmpeg != "" {
		aside.Go(func() { f.FFmpeg = opt.FFmpeg(ctx) })
	}
	if opt.Online && len(p.Domains) > 0 {
		aside.Go(func() { f.Unresolved = resolve(ctx, p.Domains) })
	}
	f.Running = running(ctx, p.Admin)
	for _, l := range p.Listeners {
		f.Ports = append(f.Ports, tryPort(l))
	}
	f.host(p, opt)
	f.Data = folder(p.Data)
	if p.TLS && len(p.Domains) == 0 {
		f.Certificate, f.CertificateErr = readCertificate(p.Certificate, p.Key)
	}
	if p.Clustered {
		f.Cluster = folder(p.Certificates)
		for _, name := range []string{"ca.pem", "node.pem", "node.key"} {
			if _, err := os.Stat(filepath.Join(p.Certificates, name)); err != nil {
				f.Cluster.Missing = append(f.Cluster.Missing, name)
			}
		}
		f.ClusterNode, _ = readCertificate(filepath.Join(p.Certificates, "node.pem"), filepath.Join(p.Certificates, "node.key"))
	}
	for _, s := range p.Secrets {
		f.SecretFiles = append(f.SecretFiles, secretFile(s))
	}
	aside.Wait()
	return f
}

// running tells whether a node answers at its admin address.
func running(ctx context.Context, admin string) bool {
	host, port, err := net.SplitHostPort(admin)
	if err != nil {
		return false
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/healthz", nil)
	if err != nil {
		return false
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		return false
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, 16))
	return err == nil && answer.StatusCode == http.StatusOK && string(body) == "ok\n"
}

// tryPort listens for a moment.
func tryPort(l Listener) Port {
	var err error
	var socket io.Closer
	if l.Network == "udp" {
		socket, err = net.ListenPacket("udp", l.Address)
	} else {
		socket, err = net.Listen("tcp", l.Address)
	}
	if err == nil {
		socket.Close()
		return Port{Free: true}
	}
	return Port{
		Err: err, Taken: errors.Is(err, syscall.EADDRINUSE), Denied: errors.Is(err, os.ErrPermission),
		Absent: errors.Is(err, syscall.EADDRNOTAVAIL),
	}
}

// portOf is the port of an address; 0 when it has none.
func portOf(address string) int {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(port)
	return n
}

// resolve asks for the addresses of domains and returns those that have none.
func resolve(ctx context.Context, domains []string) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out := map[string]error{}
	for _, d := range domains {
		if _, err := net.DefaultResolver.LookupHost(ctx, d); err != nil {
			out[d] = err
		}
	}
	return out
}

// folder looks at a folder, or at the one that it would be made in.
func folder(dir string) Folder {
	f := Folder{Free: -1, FreeFiles: -1}
	if dir == "" {
		return f
	}
	at := dir
	for {
		st, err := os.Stat(at)
		if err == nil {
			if !st.IsDir() {
				f.WriteErr = fmt.Errorf("%s is a file", at)
				return f
			}
			if f.Exists = at == dir; f.Exists {
				f.Mode = uint32(st.Mode().Perm())
			}
			break
		}
		above := filepath.Dir(at)
		if !errors.Is(err, os.ErrNotExist) || above == at {
			f.WriteErr = err
			return f
		}
		at = above
	}
	// What is made is deleted at once; the node does the same when it starts.
	probe, err := os.CreateTemp(at, ".writable-*")
	if err != nil {
		var of *os.PathError
		if errors.As(err, &of) {
			err = of.Err // without the name of the probe
		}
		f.WriteErr = err
		return f
	}
	probe.Close()
	os.Remove(probe.Name())
	f.Free, f.FreeFiles = space(at)
	f.Locked = f.Exists && inUse(filepath.Join(dir, "webhooks", "lock"))
	return f
}

func secretFile(name string) SecretFile {
	s := SecretFile{Path: name}
	st, err := os.Stat(name)
	if err != nil {
		var of *os.PathError
		if errors.As(err, &of) {
			err = of.Err
		}
		s.Err = err
		return s
	}
	s.Mode = uint32(st.Mode().Perm())
	return s
}

// readCertificate reads a certificate's file, with what stands behind it, and the key's.
func readCertificate(certificate, key string) (*Certificate, error) {
	chain, err := readFile(certificate)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for rest := chain; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", certificate, err)
		}
		all = append(all, c)
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no certificate in it", certificate)
	}
	leaf := all[0]
	out := &Certificate{Names: leaf.DNSNames, NotBefore: leaf.NotBefore, NotAfter: leaf.NotAfter}
	for _, ip := range leaf.IPAddresses {
		out.Names = append(out.Names, ip.String())
	}
	out.SelfSigned = leaf.Issuer.String() == leaf.Subject.String() && leaf.CheckSignatureFrom(leaf) == nil ||
		len(all) == 1 && leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil
	between := x509.NewCertPool()
	for _, c := range all[1:] {
		between.AddCert(c)
	}
	_, out.ChainErr = leaf.Verify(x509.VerifyOptions{Intermediates: between, CurrentTime: leaf.NotBefore.Add(time.Second)})
	secret, err := readFile(key)
	if err == nil {
		_, err = tls.X509KeyPair(chain, secret)
	}
	out.KeyErr = err
	return out, nil
}

func readFile(name string) ([]byte, error) {
	if name == "" {
		return nil, errors.New("no file is named")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
}
