package testkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"
)

// Media is one track of a show.
type Media struct {
	Clip *Clip
	// Language and Name are sent where the protocol has a place for them; "" is none.
	Language, Name string
	// RID names a layer of WebRTC's simulcast (RFC 8852); "" is a track of its own.
	RID string
}

// Show is what a Source publishes, under which name, and by which credentials.
type Show struct {
	Name, Key string
	// Tracks are numbered by their place, from 0. One video track at least should come first.
	Tracks []Media
	// Captured is the time of capture of what has a presentation time, for protocols that tell it. Nil is the time that has
	// passed since the first sample was sent.
	Captured func(at time.Duration) time.Time
	// Origin is what the timestamps on the wire begin with, in ticks of each track's clock (RTP, MPEG-TS) or in ms (RTMP).
	Origin uint64
	// Line spoils what is sent as datagrams; nil leaves it as it is.
	Line *Impairment
	// Basic has RTSP send user and password, and WHIP a token, where otherwise the key stands in the URL.
	Basic bool
}

// Source is a publisher of any protocol while it publishes. It is for one goroutine at a time; Sent may be called from any.
type Source interface {
	// Write sends an access unit of the track with this number. Its times are the clip's own.
	Write(track int, s *Sample) error
	// Sent returns what went out so far.
	Sent() []Sent
	// Leave says good-bye in the protocol's own way, and closes.
	Leave()
	// Drop vanishes: the sockets are closed without a word as far as the protocol's library lets.
	Drop()
	// Gone is closed when the server has ended the session.
	Gone() <-chan struct{}
}

// Target is what is published to: a Node, or a Server's Target.
type Target interface {
	// Address of a listener by its name, as node.Node has it.
	Address(name string) net.Addr
	// HTTP is the viewers' base URL.
	HTTP() string
}

// Refused is a server's answer to a publisher that it does not let in.
type Refused struct {
	// Code is the status code of RTSP and HTTP, or SRT's rejection reason; 0 where the protocol has none.
	Code int
	// Words are what the server says to it.
	Words string
}

// Error implements error.
func (r *Refused) Error() string { return fmt.Sprintf("refused with %d: %s", r.Code, r.Words) }

// Protocol is a way to publish.
type Protocol struct {
	// Name tells the ways apart, such as "rtsp/udp".
	Name string
	// Label is what the API and metrics call it, such as "rtsp"; Room is the part of metrics' names.
	Label, Room string
	// Sound makes a clip in the coding that the protocol carries.
	Sound func(testing.TB) *Clip
	// Pictures makes a clip of what the protocol carries: with B-frames where it can.
	Pictures func(testing.TB) *Clip
	// Words tells that a refusal reaches the publisher in words.
	Words bool
	// Datagrams tells that Show.Line matters.
	Datagrams bool
	// Open begins to publish. Its error is a *Refused when the server does not let the publisher in.
	Open func(t testing.TB, n Target, s Show) (Source, error)
}

// Protocols are all ways in.
func Protocols() []Protocol {
	ordered := func(t testing.TB) *Clip { return Pictures(t, "-bf", "2", "-tune", "film") }
	direct := func(t testing.TB) *Clip { return Pictures(t) }
	return []Protocol{
		{Name: "rtmp", Label: "rtmp", Room: "rtmp", Sound: Sound, Pictures: ordered, Words: true, Open: openRTMP},
		{Name: "rtsp/tcp", Label: "rtsp", Room: "rtsp", Sound: Sound, Pictures: ordered, Words: true, Open: openRTSP},
		{Name: "rtsp/udp", Label: "rtsp", Room: "rtsp", Sound: Sound, Pictures: ordered, Words: true, Datagrams: true, Open: openRTSPUDP},
		{Name: "rtsps", Label: "rtsps", Room: "rtsp", Sound: Sound, Pictures: ordered, Words: true, Open: openRTSPS},
		{Name: "srt", Label: "srt", Room: "srt", Sound: Sound, Pictures: ordered, Datagrams: true, Open: openSRT},
		{Name: "whip", Label: "whip", Room: "whip", Sound: OpusSound, Pictures: direct, Words: true, Datagrams: true, Open: openWHIP},
	}
}

// ByName finds a protocol. It ends the test when there is none.
func ByName(t testing.TB, name string) Protocol {
	t.Helper()
	for _, p := range Protocols() {
		if p.Name == name {
			return p
		}
	}
	t.Fatalf("no protocol %q", name)
	return Protocol{}
}

// Media is one track of pictures and one of sound, as the protocol carries them.
func (p Protocol) Media(t testing.TB) []Media {
	return []Media{{Clip: p.Pictures(t)}, {Clip: p.Sound(t)}}
}

// Must opens and ends the test when that is refused.
func (p Protocol) Must(t testing.TB, n Target, s Show) Source {
	t.Helper()
	src, err := p.Open(t, n, s)
	if err != nil {
		t.Fatalf("publish %s over %s: %v", s.Name, p.Name, err)
	}
	return src
}

// Refusal opens and wants that refused.
func (p Protocol) Refusal(t testing.TB, n Target, s Show) *Refused {
	t.Helper()
	src, err := p.Open(t, n, s)
	var refused *Refused
	switch {
	case err == nil:
		src.Drop()
		t.Fatalf("%s: publishing %q was let in", p.Name, s.Name)
	case !errors.As(err, &refused):
		t.Fatalf("%s: publishing %q: %v", p.Name, s.Name, err)
	}
	return refused
}

// Stretch is a part of a show to be sent.
type Stretch struct {
	// From and To bound what is sent, in the clips' time. To 0 is the end of the shortest clip.
	From, To time.Duration
	// Speed of sending against the clips' time; 0 sends as fast as the server takes it.
	Speed float64
	// Before, if not nil, is called before each sample is sent, on Send's goroutine, and returns the sample to send; nil
	// leaves it out.
	Before func(track int, s *Sample) *Sample
}

// Send sends a stretch of a show in the order of decoding times. It ends early with ctx, which is no error.
func Send(ctx context.Context, src Source, tracks []Media, s Stretch) error {
	cursors := make([]cursor, len(tracks))
	for i, m := range tracks {
		cursors[i].clip = m.Clip
		if s.To == 0 || m.Clip.Length < s.To {
			s.To = m.Clip.Length
		}
	}
	begin := time.Now()
	for {
		track := -1
		for i := range cursors {
			if x := cursors[i].peek(); x != nil && (track < 0 || x.DTS < cursors[track].peek().DTS) {
				track = i
			}
		}
		if track < 0 {
			return nil
		}
		sample := cursors[track].peek()
		if sample.DTS >= s.To {
			return nil
		}
		cursors[track].at++
		if sample.DTS < s.From {
			continue
		}
		if s.Speed > 0 && !pause(ctx, begin.Add(time.Duration(float64(sample.DTS-s.From)/s.Speed))) || ctx.Err() != nil {
			return nil
		}
		if s.Before != nil {
			if sample = s.Before(track, sample); sample == nil {
				continue
			}
		}
		if err := src.Write(track, sample); err != nil {
			return fmt.Errorf("send track %d at %v: %w", track, sample.DTS, err)
		}
	}
}

// OnAir sends a stretch on a goroutine. The function that it returns stops that, waits for its end and reports an
// unexpected error.
func OnAir(t testing.TB, src Source, tracks []Media, s Stretch) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Send(ctx, src, tracks, s) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("publisher: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// ledger keeps what a source sent.
type ledger struct {
	mu  sync.Mutex // guards log
	log []Sent
}

func (l *ledger) note(track int, m Media, s *Sample) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log = append(l.log, Sent{Track: track, Video: m.Clip.Codec.Video(), DTS: s.DTS, PTS: s.DTS + s.Offset, Key: s.Key, Payload: s.Payload})
}

// Sent implements Source.
func (l *ledger) Sent() []Sent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Sent(nil), l.log...)
}

// captureClock is a show's time of capture.
type captureClock struct {
	once  sync.Once
	begin time.Time
	first time.Duration
}

func (c *captureClock) at(s *Show, at time.Duration) time.Time {
	if s.Captured != nil {
		return s.Captured(at)
	}
	c.once.Do(func() { c.begin, c.first = time.Now(), at })
	return c.begin.Add(at - c.first)
}
