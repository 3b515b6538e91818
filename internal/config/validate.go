package config

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"pushcart/internal/auth"
	"pushcart/overlay/card"
)

// rule is what holds between settings.
type rule struct {
	// keys that the rule speaks of; a breach is reported at the first of them that was set.
	keys []string
	// check returns the complaint, "" when the rule holds.
	check func(*Config) string
}

// rules are all of them, besides the ranges in the tags, the lists and the addresses.
var rules = []rule{
	{[]string{"hls.max_segment_duration"}, func(c *Config) string {
		m := c.HLS.MaxSegmentDuration
		return unless(time.Duration(m)%time.Second == 0,
			"%v is not a whole number of seconds, as players need it (EXT-X-TARGETDURATION)", m)
	}},
	{[]string{"hls.max_segment_duration", "hls.segment_duration"}, func(c *Config) string {
		return unless(c.HLS.MaxSegmentDuration >= c.HLS.SegmentDuration,
			"hls.max_segment_duration (%v) must be at least hls.segment_duration (%v)", c.HLS.MaxSegmentDuration, c.HLS.SegmentDuration)
	}},
	{[]string{"hls.part_duration", "hls.segment_duration"}, func(c *Config) string {
		return unless(c.HLS.PartDuration < c.HLS.SegmentDuration,
			"hls.part_duration (%v) must be less than hls.segment_duration (%v)", c.HLS.PartDuration, c.HLS.SegmentDuration)
	}},
	{[]string{"hls.dvr", "hls.max_segment_duration"}, func(c *Config) string {
		least := 3 * c.HLS.MaxSegmentDuration
		return unless(c.HLS.DVR >= least,
			"hls.dvr (%v) must be at least three times hls.max_segment_duration (%v): %v", c.HLS.DVR, c.HLS.MaxSegmentDuration, least)
	}},
	{[]string{"tls.certificate", "tls.key"}, func(c *Config) string {
		return unless((c.TLS.Certificate == "") == (c.TLS.Key == ""), "tls.certificate and tls.key come together, or not at all")
	}},
	{[]string{"rtmp.tls_address", "tls.certificate", "tls.key"}, func(c *Config) string {
		return needCertificate(c, "rtmp.tls_address", c.RTMP.TLSAddress)
	}},
	{[]string{"http.tls_address", "tls.certificate", "tls.key"}, func(c *Config) string {
		return needCertificate(c, "http.tls_address", c.HTTP.TLSAddress)
	}},
	{[]string{"data.directory"}, func(c *Config) string {
		return unless(c.Data.Directory != "", "is empty, but must be a folder for what the node keeps, such as /var/lib/pushcart")
	}},
}

// unless words a complaint for when ok is false.
func unless(ok bool, format string, args ...any) string {
	if ok {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

func needCertificate(c *Config, key string, a Address) string {
	return unless(a == "" || c.TLS.Certificate != "" || c.TLS.Key != "", "%s needs a certificate: set tls.certificate and tls.key", key)
}

// validate checks the rules on what was loaded.
func (l *loader) validate(c *Config) {
	for _, r := range rules {
		l.hold(r, c)
	}
	l.validateSecrets("publish.keys", "key", c.AuthEntries())
	l.validateTokens(c)
	l.validateSecrets("studio.tokens", "token", c.TokenEntries())
	l.validateHosts(c)
	l.validateAddresses(c)
}

// hold checks one rule, unless one of its keys is known to be wrong.
func (l *loader) hold(r rule, c *Config) {
	blamed, found := r.keys[0], false
	for _, key := range r.keys {
		if l.wrong[key] {
			return
		}
		if _, set := l.places[key]; set && !found {
			blamed, found = key, true
		}
	}
	if complaint := r.check(c); complaint != "" {
		l.mistake(l.places[blamed], blamed, "%s", complaint)
	}
}

// validateSecrets has package auth look at a list of keys or tokens, whose secret stands under the given key.
func (l *loader) validateSecrets(list, secret string, entries []auth.Entry) {
	_, err := auth.NewKeys(entries)
	var wrong auth.EntryErrors
	if !errors.As(err, &wrong) {
		return
	}
	for _, e := range wrong {
		entry := fmt.Sprintf("%s[%d]", list, e.Index+1)
		key := entry + "." + e.Field
		if e.Field == "key" {
			key = entry + "." + secret
		}
		if !l.wrong[entry] && !l.wrong[key] {
			l.mistake(l.places[key], key, "cannot be used: %v", e.Err)
		}
	}
}

// leastToken is the length of the shortest operator token: one that nobody guesses, however often he may try.
const leastToken = 16

// validateTokens wants operator tokens long.
func (l *loader) validateTokens(c *Config) {
	for i, t := range c.Studio.Tokens {
		key := fmt.Sprintf("studio.tokens[%d].token", i+1)
		if n := len(t.Token); n > 0 && n < leastToken && !l.wrong[key] {
			l.mistake(l.places[key], key, "cannot be used: it is shorter than %d characters; a good one: openssl rand -hex 16", leastToken)
		}
	}
}

// validateHosts has package card look at the allow-list.
func (l *loader) validateHosts(c *Config) {
	for i, pattern := range c.Cards.Hosts {
		key := fmt.Sprintf("cards.hosts[%d]", i+1)
		if err := card.ValidHostPattern(pattern); err != nil && !l.wrong[key] {
			l.mistake(l.places[key], key, "%q cannot be used: %v", clip(pattern), err)
		}
	}
}

// validateAddresses finds listeners that would be in each other's way.
func (l *loader) validateAddresses(c *Config) {
	keys := []string{"rtmp.address", "rtmp.tls_address", "http.address", "http.tls_address", "admin.address"}
	addresses := []Address{c.RTMP.Address, c.RTMP.TLSAddress, c.HTTP.Address, c.HTTP.TLSAddress, c.Admin.Address}
	for i := range keys {
		for j := range i {
			l.hold(rule{[]string{keys[i], keys[j]}, func(*Config) string {
				return unless(!overlap(addresses[i], addresses[j]),
					"%s (%q) and %s (%q) would listen on the same port", keys[j], addresses[j], keys[i], addresses[i])
			}}, c)
		}
	}
}

// overlap tells whether two listeners cannot be open at the same time.
func overlap(a, b Address) bool {
	hostA, portA, _ := net.SplitHostPort(string(a))
	hostB, portB, _ := net.SplitHostPort(string(b))
	if portA != portB || portA == "" || portA == "0" {
		return false
	}
	every := func(host string) bool { return host == "" || host == "0.0.0.0" || strings.Trim(host, ":0") == "" }
	return hostA == hostB || every(hostA) || every(hostB)
}
