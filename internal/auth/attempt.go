package auth

import (
	"net/netip"
	"time"
)

// Attempt is what a publisher says of itself to whoever decides whether it may publish.
type Attempt struct {
	// Protocol as users know it: "rtmp", "rtmps", "rtsp", "rtsps", "srt", "whip".
	Protocol string
	// Stream is the stream key without its query: the name, or a secret that stands for one. It is not checked yet.
	Stream string
	// Secret is the key, or the token, that was sent with it; "" when none was.
	Secret string
	// Remote is the publisher's address.
	Remote netip.AddrPort
	// Agent is the publishing program's own name for itself, "" when it has none.
	Agent string
	// Probe tells that a protocol asks before the publisher does, to know whether a secret is to be asked for: the attempt counts as
	// none in metrics.
	Probe bool
}

// Grant is what a publisher may do. The zero value of what limits it is no limit.
type Grant struct {
	// Name of the stream: a ValidName.
	Name string
	// Credential tells publishers apart: equal for the same one when it comes back, and different for others.
	Credential Credential
	// Ladder is the name of the bitrate ladder that the stream gets; "" leaves it to the stream's name.
	Ladder string
	// Standby tells that the publisher stands by: see Entry.
	Standby bool
	// MaxBitrate is the most that it may send, all tracks together, in bit/s; 0 is no limit.
	MaxBitrate int64
	// MaxDuration is how long the show may last; 0 is no limit.
	MaxDuration time.Duration
	// Anonymous tells that it was let in without a secret, because it comes from this host and nothing else is configured.
	Anonymous bool
	// Held is called once the publisher is in, and left once it is gone: whoever is known to be in is let in again while the
	// authority is down. nil is an authority that does not ask.
	Held func() (left func())
}

// Why an attempt was refused: a metric label.
type Why string

// The reasons for which an attempt is refused.
const (
	// WhyKey: the secret, or the token, is not one that lets its publisher in to this stream.
	WhyKey Why = "bad_key"
	// WhyNoKeys: nothing is configured by which the publisher could be told.
	WhyNoKeys Why = "no_keys_configured"
	// WhyName: the stream's name cannot be one.
	WhyName Why = "bad_name"
	// WhyBusy: too many attempts; it may be tried again.
	WhyBusy Why = "limit"
	// WhyDown: whoever decides cannot be asked; it may be tried again.
	WhyDown Why = "authority_unreachable"
)

// Denied is the error of an attempt that was refused.
type Denied struct {
	Why Why
	// Message is a sentence for the host that says what to do. It has no secret in it.
	Message string
}

// Error implements error.
func (d *Denied) Error() string { return d.Message }
