package config

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"pushcart/internal/auth"
)

// rule is what holds between settings.
type rule struct {
	// keys that the rule speaks of; a breach is reported at the first of them that was set.
	keys []string
	// check returns the complaint, "" when the rule holds.
	check func(*Config) string
}

// rules are all of them, besides the ranges in the tags and the stream keys.
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
	l.validateKeys(c)
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

// validateKeys has package auth look at the stream keys.
func (l *loader) validateKeys(c *Config) {
	_, err := auth.NewKeys(c.AuthEntries())
	var wrong auth.EntryErrors
	if !errors.As(err, &wrong) {
		return
	}
	for _, e := range wrong {
		entry := fmt.Sprintf("publish.keys[%d]", e.Index+1)
		key := entry + "." + e.Field
		if !l.wrong[entry] && !l.wrong[key] {
			l.mistake(l.places[key], key, "cannot be used: %v", e.Err)
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
