package config

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/language"

	"pushcart/ingest/pull"
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
	{[]string{"rtmp.tls_address", "tls.certificate", "tls.key", "acme.domains"}, func(c *Config) string {
		return needCertificate(c, "rtmp.tls_address", c.RTMP.TLSAddress)
	}},
	{[]string{"http.tls_address", "tls.certificate", "tls.key", "acme.domains"}, func(c *Config) string {
		return needCertificate(c, "http.tls_address", c.HTTP.TLSAddress)
	}},
	{[]string{"rtsp.tls_address", "tls.certificate", "tls.key", "acme.domains"}, func(c *Config) string {
		return needCertificate(c, "rtsp.tls_address", c.RTSP.TLSAddress)
	}},
	{[]string{"rtsp.udp_address"}, func(c *Config) string {
		_, port, _ := net.SplitHostPort(string(c.RTSP.UDPAddress))
		n, _ := strconv.Atoi(port)
		return unless(n%2 == 0 && n < 65535, "has the odd port %d: RTP wants an even one, and RTCP takes the next", n)
	}},
	{[]string{"srt.passphrase"}, func(c *Config) string {
		n := len(c.SRT.Passphrase)
		return unless(n == 0 || n >= 10 && n <= 79, "has %d characters: SRT takes 10 to 79", n)
	}},
	{[]string{"cluster.core", "cluster.leaf_of", "cluster.nats"}, func(c *Config) string {
		n := 0
		for _, list := range [][]string{c.Cluster.Core, c.Cluster.LeafOf, c.Cluster.NATS} {
			if len(list) > 0 {
				n++
			}
		}
		return unless(n < 2, "cluster.core, cluster.leaf_of and cluster.nats are three ways to the directory: give one of them")
	}},
	{[]string{"cluster.address", "cluster.core", "cluster.leaf_of", "cluster.nats"}, func(c *Config) string {
		return unless(!c.Clustered() || len(c.Cluster.Core)+len(c.Cluster.LeafOf)+len(c.Cluster.NATS) > 0,
			"a node of a cluster needs a way to its directory: set cluster.core on core nodes, of which there should be one or three, "+
				"cluster.leaf_of on others, or cluster.nats where you run NATS yourself")
	}},
	{[]string{"cluster.core", "cluster.listen_nats"}, func(c *Config) string {
		return unless(len(c.Cluster.Core) < 2 || c.Cluster.ListenNATS != "", "core nodes listen for one another: set cluster.listen_nats")
	}},
	{[]string{"cluster.core"}, func(c *Config) string {
		return unless(len(c.Cluster.Core) != 2 || c.Cluster.Core[0] == c.Cluster.Core[1], "two core nodes stop when either does: take one, three or five")
	}},
	{[]string{"cluster.directory"}, func(c *Config) string {
		return unless(!c.Clustered() || c.Cluster.Directory != "", "is empty, but must be the folder with ca.pem, node.pem and node.key")
	}},
	{[]string{"cluster.address", "cluster.core", "cluster.leaf_of", "cluster.nats", "relay.push"}, func(c *Config) string {
		return unless(c.Clustered() || len(c.Cluster.Core)+len(c.Cluster.LeafOf)+len(c.Cluster.NATS)+len(c.Relay.Push) == 0,
			"the node is by itself as long as cluster.address is empty: set it, for instance to \":8444\"")
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
	return unless(a == "" || c.TLS.Certificate != "" || c.TLS.Key != "" || len(c.ACME.Domains) > 0,
		"%s needs a certificate: set tls.certificate and tls.key, or acme.domains", key)
}

// validate checks the rules on what was loaded.
func (l *loader) validate(c *Config) {
	for _, r := range slices.Concat(rules, operatorRules) {
		l.hold(r, c)
	}
	l.validateSecrets("publish.keys", "key", c.AuthEntries())
	l.validateTokens(c)
	l.validateSecrets("studio.tokens", "token", c.TokenEntries())
	l.validateHosts(c)
	l.validateAddresses(c)
	l.validateLanguages(c)
	l.validateWebRTC(c)
	l.validateSources(c)
	l.validateLadders(c)
	l.validateCluster(c)
	l.validateOperator(c)
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
	type listener struct {
		key     string
		address Address
	}
	tcp := []listener{
		{"rtmp.address", c.RTMP.Address}, {"rtmp.tls_address", c.RTMP.TLSAddress},
		{"rtsp.address", c.RTSP.Address}, {"rtsp.tls_address", c.RTSP.TLSAddress}, {"whip.tcp_address", c.WHIP.TCPAddress},
		{"http.address", c.HTTP.Address}, {"http.tls_address", c.HTTP.TLSAddress}, {"admin.address", c.Admin.Address},
	}
	if len(c.ACME.Domains) > 0 {
		tcp = append(tcp, listener{"acme.http_address", c.ACME.HTTPAddress})
	}
	if c.Clustered() {
		tcp = append(tcp, listener{"cluster.address", c.Cluster.Address})
		if len(c.Cluster.Core) > 0 {
			tcp = append(tcp, listener{"cluster.listen_nats", c.Cluster.ListenNATS}, listener{"cluster.listen_leaf", c.Cluster.ListenLeaf})
		}
	}
	udp := []listener{
		{"rtsp.udp_address", c.RTSP.UDPAddress}, {"rtsp.udp_address", following(c.RTSP.UDPAddress)},
		{"srt.address", c.SRT.Address}, {"whip.udp_address", c.WHIP.UDPAddress},
	}
	for _, all := range [][]listener{tcp, udp} {
		for i, a := range all {
			for _, b := range all[:i] {
				l.hold(rule{[]string{a.key, b.key}, func(*Config) string {
					return unless(!overlap(a.address, b.address),
						"%s (%q) and %s (%q) would listen on the same port", b.key, b.address, a.key, a.address)
				}}, c)
			}
		}
	}
}

// following is the address of the next port; "" when there is none.
func following(a Address) Address {
	host, port, _ := net.SplitHostPort(string(a))
	n, err := strconv.Atoi(port)
	if err != nil || n == 0 {
		return ""
	}
	return Address(net.JoinHostPort(host, strconv.Itoa(n+1)))
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

// validateLanguages checks what is said of audio tracks.
func (l *loader) validateLanguages(c *Config) {
	for i, e := range c.Publish.Languages {
		item := fmt.Sprintf("publish.languages[%d]", i+1)
		if err := auth.ValidName(e.Stream); err != nil && e.Stream != "*" {
			l.complain(item+".stream", "%q cannot be used: %v", clip(e.Stream), err)
		}
		if _, err := language.Parse(e.Language); err != nil || e.Language == "" {
			l.complain(item+".language", "%q is not a language: write a BCP 47 tag such as es, pt-BR or zh-Hant", clip(e.Language))
		}
		if len(e.Name) > longestLabel || strings.ContainsFunc(e.Name, func(r rune) bool { return !unicode.IsPrint(r) || r == '"' }) {
			l.complain(item+".name", "%q cannot be used: at most %d bytes, no quotation marks and no control characters", clip(e.Name), longestLabel)
		}
	}
}

// longestLabel is the length of the longest name of an audio track, in bytes.
const longestLabel = 64

// complain reports a mistake in a key of a list's item, unless the one or the other is known to be wrong.
func (l *loader) complain(key, format string, args ...any) {
	item, _, _ := strings.Cut(key, "].")
	if !l.wrong[key] && !l.wrong[item+"]"] {
		l.mistake(l.places[key], key, format, args...)
	}
}

// validateWebRTC checks the addresses that publishers are told.
func (l *loader) validateWebRTC(c *Config) {
	for i, a := range c.WHIP.PublicAddresses {
		if a == "" || !validHost(a) {
			l.complain(fmt.Sprintf("whip.public_addresses[%d]", i+1), "%q is neither an IP address nor a host name: write it without a port", clip(a))
		}
	}
	for i, s := range c.WHIP.ICEServers {
		item := fmt.Sprintf("whip.ice_servers[%d]", i+1)
		scheme, rest, _ := strings.Cut(s.URL, ":")
		turn := scheme == "turn" || scheme == "turns"
		switch {
		case !turn && scheme != "stun" && scheme != "stuns" || rest == "" || strings.HasPrefix(rest, "/") || !printable(s.URL):
			l.complain(item+".url", "%q is not a STUN or TURN server: write stun:HOST:PORT or turn:HOST:PORT", clip(s.URL))
		case turn && (s.Username == "" || s.Credential == ""):
			l.complain(item+".url", "%q needs a username and a credential", clip(s.URL))
		case !printable(s.Username) || !printable(string(s.Credential)):
			l.complain(item+".username", "and the credential must be printable ASCII characters without quotation marks")
		}
	}
}

// printable tells whether a text can stand in quotation marks in a Link header (RFC 8288).
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' || r == '<' || r == '>' })
}

// validateSources has package pull look at the sources.
func (l *loader) validateSources(c *Config) {
	first := map[string]int{}
	for i, s := range c.Sources() {
		item := fmt.Sprintf("pull.sources[%d]", i+1)
		if before, twice := first[s.Stream]; twice {
			l.complain(item+".stream", "%q has a source already, number %d of the list", clip(s.Stream), before+1)
		}
		first[s.Stream] = i
		if err := pull.Validate(s); err != nil && !l.wrong[item] && !l.wrong[item+".url"] {
			l.mistake(l.places[item], item, "cannot be used: %v", err)
		}
	}
}
