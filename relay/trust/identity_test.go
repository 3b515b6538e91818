package trust

import (
	"crypto/x509"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestValidName(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"eu-1": "", "a": "", "0": "", strings.Repeat("a", 63): "",
		"": "empty", strings.Repeat("a", 64): "64 characters", "EU": "'E'", "a.b": "'.'", "a_b": "'_'", "-a": "begins", "a-": "ends", "é": "only the letters", "a b": "' '",
	} {
		err := ValidName(name)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// TestIdentityOf: only one URI, exactly as it would be issued, says who a node is.
func TestIdentityOf(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{
		"pushcart://eu-1?region=eu":                       true,
		"https://other.example pushcart://eu-1?region=eu": true,
		"":                       false,
		"https://eu-1?region=eu": false,
		"pushcart://eu-1?region=eu pushcart://us-1?region=us": false,
		"pushcart://eu-1":                                      false,
		"pushcart://eu-1?region=":                              false,
		"pushcart://?region=eu":                                false,
		"pushcart://eu-1?region=eu&region=us":                  false,
		"pushcart://eu-1/us-1?region=eu":                       false,
		"pushcart://eu-1:8444?region=eu":                       false,
		"pushcart://user@eu-1?region=eu":                       false,
		"pushcart://eu-1?region=eu#us":                         false,
		"pushcart://EU-1?region=eu":                            false,
		"pushcart://eu-1?region=%65u":                          false,
		"pushcart://eu-1?region=" + strings.Repeat("a", 64):    false,
		"pushcart://" + strings.Repeat("a", 64) + "?region=eu": false,
	} {
		var cert x509.Certificate
		for field := range strings.FieldsSeq(text) {
			u, err := url.Parse(field)
			if err != nil {
				t.Fatal(err)
			}
			cert.URIs = append(cert.URIs, u)
		}
		id, err := IdentityOf(&cert)
		if ok && (err != nil || id != Identity{Name: "eu-1", Region: "eu"}) || !ok && !errors.Is(err, ErrIdentity) {
			t.Errorf("%q: %v, %v", text, id, err)
		}
	}
}

func TestIssue(t *testing.T) {
	t.Parallel()
	a, now := authority(t), time.Now()
	pair, err := a.Issue("eu-1", "eu", []string{"192.0.2.1", "2001:db8::1", "Relay.example.com"}, 90*24*time.Hour, now)
	if err != nil {
		t.Fatal(err)
	}
	certs, err := ParseCertificates(pair.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	c := certs[0]
	if !slices.Equal(c.DNSNames, []string{"eu-1", clusterName, "Relay.example.com"}) || len(c.IPAddresses) != 2 || c.URIs[0].String() != "pushcart://eu-1?region=eu" {
		t.Errorf("it is for %v %v %v", c.DNSNames, c.IPAddresses, c.URIs)
	}
	if left := c.NotAfter.Sub(now); left < 90*24*time.Hour-time.Second || left > 90*24*time.Hour || c.IsCA || c.SerialNumber.BitLen() < 60 {
		t.Errorf("%v, authority %v, serial number %v", left, c.IsCA, c.SerialNumber)
	}
	if err := c.CheckSignatureFrom(a.cert); err != nil {
		t.Error(err)
	}
	// A clock of another node that is behind finds it valid.
	if now.Add(-5 * time.Minute).Before(c.NotBefore) {
		t.Errorf("valid from %v on", c.NotBefore)
	}
	short, err := NewAuthority(now, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	many := slices.Repeat([]string{"a.example.com"}, maxHosts+1)
	for _, tt := range []struct {
		a            *Authority
		name, region string
		hosts        []string
		validity     time.Duration
		now          time.Time
		expect       string
	}{
		{a, "EU", "eu", nil, 0, now, "the node's name"},
		{a, "eu-1", "", nil, 0, now, "the region"},
		{a, "eu-1", "e&u", nil, 0, now, "the region"},
		{a, "eu-1", "eu", []string{"https://a.example.com"}, 0, now, "neither an IP address nor a DNS name"},
		{a, "eu-1", "eu", []string{"a:8444"}, 0, now, "without port"},
		{a, "eu-1", "eu", []string{"*.example.com"}, 0, now, "neither"},
		{a, "eu-1", "eu", many, 0, now, "too many"},
		{a, "eu-1", "eu", nil, -1, now, "valid for some time"},
		{short, "eu-1", "eu", nil, 0, now.Add(2 * time.Hour), "the authority expired"},
	} {
		if _, err := tt.a.Issue(tt.name, tt.region, tt.hosts, tt.validity, tt.now); err == nil || !strings.Contains(err.Error(), tt.expect) {
			t.Errorf("%s %s %.40q: %v", tt.name, tt.region, tt.hosts, err)
		}
	}
	if _, err := NewAuthority(now, 0); err == nil {
		t.Error("an authority that is never valid")
	}
}
