package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"pushcart/internal/front"
	"pushcart/internal/webhooks"
)

// Callback is an HTTP service of the operator's that says who may publish.
type Callback struct {
	// URL that is asked; "" asks nobody.
	URL string `yaml:"url" reload:"live"`
	// Secret by which it knows that the node asks.
	Secret Secret `yaml:"secret" reload:"live"`
	// Timeout of an answer.
	Timeout Duration `yaml:"timeout" reload:"live" range:"100ms 30s"`
	// Cache is how long an answer holds that does not say so itself.
	Cache Duration `yaml:"cache" reload:"live" range:"0| 1s 24h"`
	// WhenDown says who is let in while nobody answers.
	WhenDown Word `yaml:"when_down" reload:"live" oneof:"deny known"`
	// Grace is how long a publisher that was let in is known.
	Grace Duration `yaml:"grace" reload:"live" range:"1m 720h"`
}

// JWT is whose tokens let publishers in.
type JWT struct {
	// JWKS is the URL or the file of the public keys; "" is off.
	JWKS string `yaml:"jwks" reload:"live"`
	// Issuer that tokens must have; "" is any.
	Issuer string `yaml:"issuer" reload:"live"`
	// Audience that tokens must have; "" is any.
	Audience string `yaml:"audience" reload:"live"`
	// Refresh is how often the keys are fetched again.
	Refresh Duration `yaml:"refresh" reload:"live" range:"10s 24h"`
	// Leeway for clocks that differ.
	Leeway Duration `yaml:"leeway" reload:"live" range:"0| 1s 5m"`
}

// Playback is which streams are played by signed addresses only.
type Playback struct {
	// Keys sign addresses. The first signs, all are good. With none, playback is open to everybody.
	Keys []PlaybackKey `yaml:"keys" reload:"live"`
	// Open are patterns of the streams that need no signed address nevertheless.
	Open []string `yaml:"open" reload:"live"`
}

// PlaybackKey signs addresses.
type PlaybackKey struct {
	// ID names the key in what it signed.
	ID string `yaml:"id"`
	// Secret of the key.
	Secret Secret `yaml:"secret"`
}

// ACME has certificates made by an authority on the net (RFC 8555).
type ACME struct {
	// Domains to get certificates for; none is off.
	Domains []string `yaml:"domains" reload:"restart"`
	// Email that the authority may write to; "" is none.
	Email string `yaml:"email" reload:"restart"`
	// Agree to the authority's terms.
	Agree bool `yaml:"agree" reload:"restart"`
	// Directory is the URL of the authority; "" is Let's Encrypt.
	Directory string `yaml:"directory" reload:"restart"`
	// Root is a PEM file with the certificate that the authority's own server is verified by; "" is the system's.
	Root string `yaml:"root" reload:"restart"`
	// HTTPAddress is where the authority may look for the proof that a domain is this host's; "" is off.
	HTTPAddress Address `yaml:"http_address" reload:"restart"`
}

// Drain is how the node stops.
type Drain struct {
	// Timeout is how long viewers are served on.
	Timeout Duration `yaml:"timeout" reload:"live" range:"0| 1s 1h"`
}

// Upgrade is how another process takes the node over.
type Upgrade struct {
	// Socket is the file by which it does; "" is upgrade.sock in the data folder.
	Socket string `yaml:"socket" reload:"restart"`
}

// Webhooks tell other services what happens.
type Webhooks struct {
	// Targets that are told.
	Targets []WebhookTarget `yaml:"targets" reload:"live"`
	// Queue is how much may wait on the disk.
	Queue Size `yaml:"queue" reload:"restart" range:"1MiB 16GiB"`
	// RetryFor is how long one is tried again.
	RetryFor Duration `yaml:"retry_for" reload:"live" range:"1m 720h"`
}

// WebhookTarget is a service that is told.
type WebhookTarget struct {
	// URL may have a password.
	URL Secret `yaml:"url"`
	// Secret that messages are signed with; several, with spaces between them, while it is changed.
	Secret Secret `yaml:"secret"`
	// Events that it is told; none is all.
	Events []string `yaml:"events" optional:"yes"`
	// Streams are patterns of those that it is told of; none is all.
	Streams []string `yaml:"streams" optional:"yes"`
}

// Tracing is where traces go.
type Tracing struct {
	// Endpoint takes OTLP over HTTP; "" is off.
	Endpoint string `yaml:"endpoint" reload:"restart"`
	// Headers go with it, NAME=VALUE.
	Headers []Secret `yaml:"headers" reload:"restart"`
	// Sample is how many in a hundred joins and commands are traced.
	Sample int `yaml:"sample" reload:"restart" range:"1 100"`
}

// leastSecret is the length of the shortest secret that signs something.
const leastSecret = 16

// playbackID is how a key is named.
var playbackID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,16}$`)

// domain is a host name with a dot in it.
var domain = regexp.MustCompile(`^(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])$`)

// operatorRules hold between the settings of this file.
var operatorRules = []rule{
	{[]string{"callback.url"}, func(c *Config) string { return webURL(c.Callback.URL, "https://auth.example.com/publish") }},
	{[]string{"callback.secret", "callback.url"}, func(c *Config) string {
		return unless(c.Callback.URL == "" || len(c.Callback.Secret) >= leastSecret,
			"callback.secret needs %d characters or more, so that the service can tell who asks; a good one: openssl rand -hex 32", leastSecret)
	}},
	{[]string{"jwt.jwks"}, func(c *Config) string {
		if !strings.Contains(c.JWT.JWKS, "://") {
			return "" // a file
		}
		return webURL(c.JWT.JWKS, "https://auth.example.com/jwks.json")
	}},
	{[]string{"acme.domains", "acme.agree"}, func(c *Config) string {
		return unless(len(c.ACME.Domains) == 0 || c.ACME.Agree,
			"acme.domains needs acme.agree: true, which says that you accept the terms of the certificate authority")
	}},
	{[]string{"acme.directory"}, func(c *Config) string { return webURL(c.ACME.Directory, "https://ca.example.com/acme/directory") }},
	{[]string{"acme.domains", "tls.certificate"}, func(c *Config) string {
		return unless(len(c.ACME.Domains) == 0 || c.TLS.Certificate == "",
			"acme.domains and tls.certificate are two ways to a certificate: give one of them")
	}},
	{[]string{"tracing.endpoint"}, func(c *Config) string { return webURL(c.Tracing.Endpoint, "http://127.0.0.1:4318/v1/traces") }},
}

// targetExample is how an address that webhooks are sent to may look.
const targetExample = "https://shop.example.com/pushcart"

// webURL complains about what is neither empty nor an address on the web, such as the example.
func webURL(s, example string) string {
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	return unless(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.Fragment == "",
		"is not an address such as %s", example)
}

// validateOperator checks the lists of this file.
func (l *loader) validateOperator(c *Config) {
	each := func(key string, texts []string, check func(string) string) {
		for i, t := range texts {
			if complaint := check(t); complaint != "" {
				l.complain(fmt.Sprintf("%s[%d]", key, i+1), "%s", complaint)
			}
		}
	}
	pattern := func(s string) string { return said(streamPattern(s)) }
	each("playback.open", c.Playback.Open, pattern)
	each("http.trusted_proxies", c.HTTP.TrustedProxies, func(s string) string {
		_, err := ParseNetwork(s)
		return said(err)
	})
	each("http.allowed_origins", c.HTTP.AllowedOrigins, func(s string) string { return said(front.ValidOrigin(s)) })
	each("acme.domains", c.ACME.Domains, func(s string) string {
		return unless(domain.MatchString(s) && !strings.HasPrefix(s, "*."), "%q is not a domain that a certificate can be had for, such as live.example.com", clip(s))
	})
	for i, s := range c.HTTP.CDNSecrets {
		key := fmt.Sprintf("http.cdn_secrets[%d]", i+1)
		if n := len(s); n < leastSecret || !printable(string(s)) {
			l.complain(key, "cannot be used: it takes %d printable characters or more; a good one: openssl rand -hex 32", leastSecret)
		}
	}
	for i, k := range c.Playback.Keys {
		item := fmt.Sprintf("playback.keys[%d]", i+1)
		if !playbackID.MatchString(k.ID) {
			l.complain(item+".id", "%q cannot be used: 1 to 16 letters, digits, - and _", clip(k.ID))
		}
		for j, other := range c.Playback.Keys[:i] {
			if other.ID == k.ID {
				l.complain(item+".id", "%q is the id of entry %d already", clip(k.ID), j+1)
			}
		}
		if len(k.Secret) < leastSecret {
			l.complain(item+".secret", "is shorter than %d characters; a good one: openssl rand -hex 32", leastSecret)
		}
	}
	if n := len(c.Webhooks.Targets); n > webhooks.MaxTargets {
		l.complain("webhooks.targets", "has %d entries, and %d is the most", n, webhooks.MaxTargets)
	}
	for i, t := range c.Webhooks.Targets {
		item := fmt.Sprintf("webhooks.targets[%d]", i+1)
		for j, other := range c.Webhooks.Targets[:i] {
			if other.URL == t.URL {
				l.complain(item+".url", "is that of entry %d: give one entry all events and streams", j+1)
				break
			}
		}
		if complaint := webURL(string(t.URL), targetExample); complaint != "" || t.URL == "" {
			l.complain(item+".url", "is not an address such as %s", targetExample)
		}
		for s := range strings.FieldsSeq(string(t.Secret)) {
			if len(s) < leastSecret {
				l.complain(item+".secret", "is shorter than %d characters; a good one: openssl rand -hex 32", leastSecret)
				break
			}
		}
		if strings.TrimSpace(string(t.Secret)) == "" {
			l.complain(item+".secret", "is empty: messages are signed; a good one: openssl rand -hex 32")
		}
		each(item+".events", t.Events, func(s string) string {
			return unless(slices.Contains(webhooks.Types, s), "%q is not one of %s", clip(s), strings.Join(webhooks.Types, ", "))
		})
		each(item+".streams", t.Streams, pattern)
	}
	for i, h := range c.Tracing.Headers {
		name, value, ok := strings.Cut(string(h), "=")
		if !ok || !headerName.MatchString(strings.TrimSpace(name)) || !printable(value) {
			l.complain(fmt.Sprintf("tracing.headers[%d]", i+1), "is not of the form NAME=VALUE")
		}
	}
}

// said is an error's text; "" for none.
func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// ParseNetwork reads an IP address, or a network such as 10.0.0.0/8.
func ParseNetwork(s string) (netip.Prefix, error) {
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked(), nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, fmt.Errorf("%q is neither an IP address nor a network such as 10.0.0.0/8", clip(s))
	}
	return netip.PrefixFrom(a, a.BitLen()), nil
}
