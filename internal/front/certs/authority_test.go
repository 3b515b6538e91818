package certs

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// authority is an ACME server (RFC 8555) that really validates, at the addresses that stand for ports 443 and 80 of all domains.
type authority struct {
	t      testing.TB
	server *httptest.Server
	root   string // PEM file with its server's certificate
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate

	down     atomic.Bool  // connections are cut
	failures atomic.Int32 // how many orders are refused from now on
	orders   atomic.Int32 // that came
	// Fixed before the first request.
	offered []string      // types of challenges
	age     time.Duration // of new certificates
	life    time.Duration // that is left to new certificates

	mu       sync.Mutex // guards what follows
	secure   string     // where tls-alpn-01 is validated
	clear    string     // where http-01 is
	serial   int64
	nonces   map[string]bool
	accounts map[string]*jose.JSONWebKey
	contacts map[string][]string
	all      []*order
	problems []string
}

// order is for one domain, with one authorization of the same number.
type order struct {
	domain, token, account string
	status                 string
	certificate            []byte
}

func newAuthority(t testing.TB, offered ...string) *authority {
	t.Helper()
	a := &authority{
		t: t, offered: offered, life: time.Hour, serial: 100, nonces: map[string]bool{}, accounts: map[string]*jose.JSONWebKey{}, contacts: map[string][]string{},
	}
	a.key = newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "issuer"}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	a.cert, _ = x509.ParseCertificate(der)
	a.server = httptest.NewTLSServer(http.HandlerFunc(a.serve))
	t.Cleanup(func() {
		a.server.CloseClientConnections()
		a.server.Close()
	})
	a.root = filepath.Join(t.TempDir(), "root.pem")
	if err := os.WriteFile(a.root, pemOf("CERTIFICATE", a.server.Certificate().Raw), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// directory is the authority's URL.
func (a *authority) directory() string { return a.server.URL + "/directory" }

// pool trusts the certificates that it gives.
func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func (a *authority) serve(w http.ResponseWriter, r *http.Request) {
	if a.down.Load() {
		panic(http.ErrAbortHandler)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	nonce := rand.Text()
	a.nonces[nonce] = true
	w.Header().Set("Replay-Nonce", nonce)
	w.Header().Set("Cache-Control", "no-store")
	switch {
	case r.URL.Path == "/directory":
		reply(w, http.StatusOK, map[string]any{
			"newNonce": a.server.URL + "/nonce", "newAccount": a.server.URL + "/account", "newOrder": a.server.URL + "/order",
			"meta": map[string]any{"termsOfService": "https://authority.example/terms"},
		})
	case r.URL.Path == "/nonce":
	case r.Method == http.MethodPost:
		a.postLocked(w, r)
	default:
		a.refuseLocked(w, http.StatusMethodNotAllowed, "malformed", r.Method+" "+r.URL.Path)
	}
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

func (a *authority) refuseLocked(w http.ResponseWriter, status int, kind, detail string) {
	a.problems = append(a.problems, kind+": "+detail)
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"type": "urn:ietf:params:acme:error:" + kind, "detail": detail, "status": status})
}

// postLocked checks a request's signature, address and nonce (RFC 8555 6) and carries it out.
func (a *authority) postLocked(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	signed, err := jose.ParseSigned(string(body), []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil || len(signed.Signatures) != 1 || r.Header.Get("Content-Type") != "application/jose+json" {
		a.refuseLocked(w, http.StatusBadRequest, "malformed", fmt.Sprint(err))
		return
	}
	head := signed.Signatures[0].Protected
	if !a.nonces[head.Nonce] {
		a.refuseLocked(w, http.StatusBadRequest, "badNonce", head.Nonce)
		return
	}
	delete(a.nonces, head.Nonce)
	if head.ExtraHeaders["url"] != a.server.URL+r.URL.Path {
		a.refuseLocked(w, http.StatusUnauthorized, "unauthorized", fmt.Sprint(head.ExtraHeaders["url"]))
		return
	}
	key, account := head.JSONWebKey, head.KeyID
	if r.URL.Path != "/account" {
		key = a.accounts[account]
	}
	if key == nil {
		a.refuseLocked(w, http.StatusBadRequest, "accountDoesNotExist", account)
		return
	}
	payload, err := signed.Verify(key)
	if err != nil {
		a.refuseLocked(w, http.StatusUnauthorized, "unauthorized", err.Error())
		return
	}
	part := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	number := 0
	if len(part) > 1 {
		number, _ = strconv.Atoi(part[1])
	}
	switch {
	case part[0] == "account":
		a.accountLocked(w, key, payload)
	case part[0] == "order" && len(part) == 1:
		a.newOrderLocked(w, account, payload)
	case number < 1 || number > len(a.all):
		a.refuseLocked(w, http.StatusNotFound, "malformed", r.URL.Path)
	case part[0] == "order":
		reply(w, http.StatusOK, a.order(number))
	case part[0] == "authorization":
		reply(w, http.StatusOK, a.authorization(number))
	case part[0] == "challenge":
		a.validateLocked(number, part[2], key)
		reply(w, http.StatusOK, a.challenge(number, part[2]))
	case part[0] == "finalize":
		a.finalizeLocked(w, number, payload)
	case part[0] == "certificate":
		w.Header().Set("Content-Type", "application/pem-certificate-chain")
		w.Write(a.all[number-1].certificate)
	}
}

func (a *authority) accountLocked(w http.ResponseWriter, key *jose.JSONWebKey, payload []byte) {
	var asked struct {
		Contact              []string
		TermsOfServiceAgreed bool
	}
	json.Unmarshal(payload, &asked)
	if !asked.TermsOfServiceAgreed {
		a.refuseLocked(w, http.StatusForbidden, "userActionRequired", "terms")
		return
	}
	at := a.server.URL + "/account/" + strconv.Itoa(len(a.accounts)+1)
	a.accounts[at], a.contacts[at] = key, asked.Contact
	w.Header().Set("Location", at)
	reply(w, http.StatusCreated, map[string]any{"status": "valid", "contact": asked.Contact})
}

func (a *authority) newOrderLocked(w http.ResponseWriter, account string, payload []byte) {
	a.orders.Add(1)
	if a.failures.Add(-1) >= 0 {
		a.refuseLocked(w, http.StatusForbidden, "rejectedIdentifier", "not today")
		return
	}
	var asked struct {
		Identifiers []struct{ Type, Value string }
	}
	json.Unmarshal(payload, &asked)
	if len(asked.Identifiers) != 1 || asked.Identifiers[0].Type != "dns" {
		a.refuseLocked(w, http.StatusBadRequest, "malformed", string(payload))
		return
	}
	a.all = append(a.all, &order{domain: asked.Identifiers[0].Value, token: rand.Text(), account: account, status: "pending"})
	n := len(a.all)
	w.Header().Set("Location", a.url("order", n))
	reply(w, http.StatusCreated, a.order(n))
}

func (a *authority) url(kind string, n int) string {
	return a.server.URL + "/" + kind + "/" + strconv.Itoa(n)
}

func (a *authority) order(n int) map[string]any {
	o := a.all[n-1]
	m := map[string]any{
		"status": o.status, "identifiers": []any{map[string]string{"type": "dns", "value": o.domain}},
		"authorizations": []string{a.url("authorization", n)}, "finalize": a.url("finalize", n),
	}
	if o.certificate != nil {
		m["certificate"] = a.url("certificate", n)
	}
	return m
}

func (a *authority) authorization(n int) map[string]any {
	o := a.all[n-1]
	status := o.status
	if status == "ready" {
		status = "valid"
	}
	var challenges []any
	for _, kind := range a.offered {
		challenges = append(challenges, a.challenge(n, kind))
	}
	return map[string]any{"status": status, "identifier": map[string]string{"type": "dns", "value": o.domain}, "challenges": challenges}
}

func (a *authority) challenge(n int, kind string) map[string]any {
	o := a.all[n-1]
	status := o.status
	if status == "ready" {
		status = "valid"
	}
	m := map[string]any{"type": kind, "url": a.url("challenge", n) + "/" + kind, "token": o.token, "status": status}
	if status == "invalid" {
		m["error"] = map[string]any{"type": "urn:ietf:params:acme:error:connection", "detail": "no proof"}
	}
	return m
}

// validateLocked looks for the proof.
func (a *authority) validateLocked(n int, kind string, key *jose.JSONWebKey) {
	o := a.all[n-1]
	thumb, err := key.Thumbprint(crypto.SHA256)
	if err != nil {
		a.t.Error(err)
	}
	want := o.token + "." + base64.RawURLEncoding.EncodeToString(thumb)
	if kind == "tls-alpn-01" {
		err = proofInTLS(a.secure, o.domain, want)
	} else {
		err = proofInHTTP(a.clear, o.domain, o.token, want)
	}
	o.status = "ready"
	if err != nil {
		o.status = "invalid"
		a.problems = append(a.problems, kind+": "+err.Error())
	}
}

// proofInTLS is RFC 8737 3.
func proofInTLS(address, domain, want string) error {
	d := &net.Dialer{Timeout: 5 * time.Second}
	c, err := tls.DialWithDialer(d, "tcp", address, &tls.Config{ServerName: domain, NextProtos: []string{ChallengeProtocol}, InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	defer c.Close()
	state := c.ConnectionState()
	if state.NegotiatedProtocol != ChallengeProtocol || !slices.Equal(state.PeerCertificates[0].DNSNames, []string{domain}) {
		return fmt.Errorf("protocol %q, names %v", state.NegotiatedProtocol, state.PeerCertificates[0].DNSNames)
	}
	sum := sha256.Sum256([]byte(want))
	value, _ := asn1.Marshal(sum[:])
	for _, e := range state.PeerCertificates[0].Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 1, 31}) && e.Critical && slices.Equal(e.Value, value) {
			return nil
		}
	}
	return fmt.Errorf("no acmeIdentifier")
}

// proofInHTTP is RFC 8555 8.3.
func proofInHTTP(address, domain, token, want string) error {
	r, err := http.NewRequest("GET", "http://"+address+"/.well-known/acme-challenge/"+token, nil)
	if err != nil {
		return err
	}
	r.Host = domain
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); string(body) != want {
		return fmt.Errorf("%d %q", res.StatusCode, body)
	}
	return nil
}

func (a *authority) finalizeLocked(w http.ResponseWriter, n int, payload []byte) {
	o := a.all[n-1]
	var asked struct{ CSR string }
	json.Unmarshal(payload, &asked)
	der, _ := base64.RawURLEncoding.DecodeString(asked.CSR)
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil || csr.CheckSignature() != nil || !slices.Equal(csr.DNSNames, []string{o.domain}) || o.status != "ready" {
		a.refuseLocked(w, http.StatusForbidden, "badCSR", o.status)
		return
	}
	a.serial++
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), DNSNames: csr.DNSNames, NotBefore: time.Now().Add(-a.age), NotAfter: time.Now().Add(a.life),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.cert, csr.PublicKey, a.key)
	if err != nil {
		a.t.Error(err)
	}
	o.certificate = append(pemOf("CERTIFICATE", cert), pemOf("CERTIFICATE", a.cert.Raw)...)
	o.status = "valid"
	reply(w, http.StatusOK, a.order(n))
}

// said are the problems so far.
func (a *authority) said() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.problems, "; ")
}
