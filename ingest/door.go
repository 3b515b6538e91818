// Package ingest lets publishers in: it authorises them, claims the stream's name for them and puts their timestamps on
// the stream's timeline. The protocols in its sub-packages bring it decoded access units.
package ingest

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"

	"pushcart/internal/stream"
)

// Request is what a publisher says of itself when it knocks.
type Request struct {
	// Protocol as users know it: "rtmp", "rtmps", "rtsp", "rtsps", "srt", "whip".
	Protocol string
	// Remote is the publisher's address.
	Remote netip.AddrPort
	// Stream is the stream key without its query: the name, or a key that stands for one.
	Stream string
	// Key is the secret, "" when none was sent.
	Key string
	// Agent is the publishing program's own name for itself, "" when it has none.
	Agent string
	// Pulled tells that the node itself went to fetch the stream, because its operator asked for that: no key is needed, and
	// Remote is the source's address.
	Pulled bool
	// Kick is called at most once, from any goroutine, when the session must end because of something that happened
	// elsewhere: a takeover, a shutdown. It must not block and must not call back into the session.
	Kick func(*Refusal)
	// Reconnect is called at most once, from any goroutine, when the publisher should leave and come back, as Drain says. It must not
	// block and must not call back into the session. Nil is a publisher that cannot be asked.
	Reconnect func(Drain)
	// Conn is a short identifier of the connection, the "conn" of all log lines about it; "" is none.
	Conn string
	// Context ends when the client goes; nil never ends. It ends the wait for whoever decides whether the publisher may publish.
	Context context.Context
}

// Refusal is why a publisher is not, or no longer, served.
type Refusal struct {
	// Reason is one of the Reason constants: a metric label.
	Reason Reason
	// Message is a sentence for the host that says what to do.
	Message string

	stream string // that it is about, for the log; "" while that is not known
}

// Error implements error.
func (r *Refusal) Error() string { return r.Message }

// Refuse makes a Refusal; the message says what is wrong and what to do about it.
func Refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Reason labels a refusal in metrics.
type Reason string

// The reasons for which a publisher is refused or sent away.
const (
	ReasonBadKey           Reason = "bad_key"
	ReasonNoKeys           Reason = "no_keys_configured"
	ReasonBadName          Reason = "bad_name"
	ReasonNameTaken        Reason = "name_taken"
	ReasonTakenOver        Reason = "taken_over"
	ReasonUnsupportedCodec Reason = "unsupported_codec"
	ReasonNoKeyframe       Reason = "no_keyframe"
	ReasonNoCodecData      Reason = "no_codec_data"
	ReasonBadMedia         Reason = "bad_media"
	ReasonProtocol         Reason = "protocol_error"
	ReasonLimit            Reason = "limit"
	ReasonIdle             Reason = "idle"
	ReasonShutdown         Reason = "shutdown"
	// ReasonElsewhere: another node of the cluster has the stream now.
	ReasonElsewhere Reason = "taken_over_elsewhere"
	// ReasonStandby: the publisher stands by for another one, which is back.
	ReasonStandby Reason = "standby"
	// ReasonCluster: it cannot be told whether another node has the stream.
	ReasonCluster Reason = "cluster_unreachable"
	// ReasonAuthority: it cannot be told whether the publisher may publish, because whoever decides that does not answer.
	ReasonAuthority Reason = "authority_unreachable"
)

// Entry is what a protocol needs of the door: implemented by *Door.
type Entry interface {
	// Open authorises the request and claims the stream. It may take seconds, and is for the publisher's own goroutine. Its error is a
	// *Refusal.
	Open(Request) (Publication, error)
}

// Publication is one publisher's hold on a stream. Its methods are for the publisher's own goroutine.
type Publication interface {
	// Name of the stream that is published, which may differ from Request.Stream when a key stood for it.
	Name() string
	// SetTrack declares a track, or replaces the one of the same ID after a change of codec data. To be called as soon
	// as the codec data is known, before the first frame. A video track whose codec the node cannot deliver is a *Refusal;
	// an audio track like that is taken, and told of in the stream's advice. The door fills in Language and Name where they
	// are configured.
	SetTrack(*stream.Track) error
	// Write takes one frame with the publisher's own timestamps, unwrapped to 64 bits, in ticks of the track's
	// ClockRate, from any origin, one origin for all tracks. Era is ignored. Wall is the time of capture where the publisher
	// tells it, else zero; the door does without one that cannot be true. The frame and its
	// payload are lent for the call. An error is a *Refusal and ends the session.
	Write(*stream.Frame) error
	// WriteData takes a timed message, for good. PTS is the publisher's time of the message, in 1/90,000 s, by the clock of
	// the frames' DTS: the message belongs to the frame of that DTS, or to the first one behind it, of video where there is
	// video. A message that came within a frame has that frame's DTS and is written after it. The message is passed on after
	// its frame with that frame's place on the timeline; until the frame has come it waits. Era and Trusted are ignored.
	WriteData(*stream.Data) error
	// Drop counts something that was thrown away before it became a frame.
	Drop(DropReason)
	// Close ends the session; the stream waits for the publisher to return. The cause is for the log; nil is a
	// publisher that said good-bye.
	Close(cause error)
}

// DropReason labels in metrics what was thrown away.
type DropReason string

// The reasons for which media is dropped.
const (
	DropBeforeConfig   DropReason = "before_codec_data"
	DropBeforeKeyframe DropReason = "before_keyframe"
	DropDamaged        DropReason = "damaged"
	DropUnknownMessage DropReason = "unknown_message"
	DropOldTime        DropReason = "time_went_back"
	DropLargeMessage   DropReason = "message_too_large"
	DropExcessMessage  DropReason = "too_many_messages"
	DropLost           DropReason = "packets_lost" // an access unit of which packets are missing
	DropExcessTrack    DropReason = "too_many_tracks"
	DropStandby        DropReason = "standby" // of a publisher that stands by
)

// Pull asks for a stream to be fetched from a camera or an encoder.
type Pull struct {
	// Stream is the name under which it is published.
	Stream string
	// URL of the source, with user and password where it wants them: they are not for logs, metrics or errors.
	URL *url.URL
	// Transport is "udp" or "tcp" for RTSP, or "" for the first of them that works.
	Transport string
	// Redirects tells that a redirect to another host may be followed.
	Redirects bool
}

// Puller fetches streams by one protocol.
type Puller interface {
	// Pull fetches the stream and publishes it until the source ends it, it fails, or ctx ends; everything that it started
	// has ended then. Errors are sentences without credentials.
	Pull(context.Context, Pull) error
}
