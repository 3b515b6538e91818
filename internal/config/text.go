package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"pushcart/overlay/card"
)

// Address is an address to listen on: "host:port", ":port" for all of the host's addresses, or "" for none at all.
// Port 0 is any free port.
type Address string

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *Address) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "" {
		*a = ""
		return nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		switch {
		case bareNumber(s):
			return fmt.Errorf(`%s has no host: write ":%s" for all addresses of this host, or "127.0.0.1:%s"`, s, s, s)
		case !strings.Contains(s, ":"):
			return fmt.Errorf(`%q has no port: write "host:port" or ":port"; "" is off`, clip(s))
		}
		return fmt.Errorf(`%q is not an address: write "host:port", "[IPv6]:port" or ":port"; "" is off`, clip(s))
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || strconv.FormatUint(n, 10) != port {
		return fmt.Errorf("%q has the port %q: a port is a number from 0 to 65535", clip(s), clip(port))
	}
	if !validHost(host) {
		return fmt.Errorf("%q has the host %q, which is neither an IP address nor a host name", clip(s), clip(host))
	}
	*a = Address(s)
	return nil
}

func validHost(host string) bool {
	if host == "" {
		return true
	}
	if strings.ContainsAny(host, ":%") {
		_, err := netip.ParseAddr(host)
		return err == nil
	}
	for _, r := range host {
		if !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '.' || r == '-' || r == '_') {
			return false
		}
	}
	return len(host) <= 253
}

// Word is one of the few words that its field's oneof tag lists.
type Word string

// Region is a country, as two capital letters (ISO 3166-1 alpha-2), or "" for none.
type Region string

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *Region) UnmarshalText(text []byte) error {
	s := string(text)
	if s != "" {
		if err := card.ValidRegion(s); err != nil {
			return fmt.Errorf(`%q cannot be used: %w; "" is none`, clip(s), err)
		}
	}
	*r = Region(s)
	return nil
}

// Secret is a stream key, an operator token or the hash of one, a passphrase, or a URL with a password. It shows itself to
// nobody who does not ask for string(s).
type Secret string

// masked is what is shown of a secret.
const masked = "(secret)"

// String hides the secret, but not that there is none.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return masked
}

// GoString hides the secret.
func (s Secret) GoString() string { return s.String() }

// LogValue hides the secret.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
