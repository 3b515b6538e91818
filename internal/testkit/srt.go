package testkit

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	srt "github.com/datarhei/gosrt"
)

// SRT is a publisher over SRT.
type SRT struct {
	ledger
	mux  *tsMuxer
	conn srt.Conn
	show *Show
	gone chan struct{}
	left bool
}

func openSRT(t testing.TB, n Target, s Show) (Source, error) {
	address := n.Address("srt").String()
	if s.Line != nil {
		address = NewRelay(t, address, *s.Line).Addr().String()
	}
	return DialSRT(t, address, StreamID(s.Name, s.Key), s, nil)
}

// StreamID is a show's name and key in the standard form (SRT Access Control).
func StreamID(name, key string) string {
	id := "#!::r=live/" + name + ",m=publish"
	if key != "" {
		id += ",s=" + key
	}
	return id
}

// DialSRT connects to an address with a stream identifier. change, if not nil, adapts the settings.
func DialSRT(t testing.TB, address, streamID string, s Show, change func(*srt.Config)) (*SRT, error) {
	t.Helper()
	c := srt.DefaultConfig()
	c.StreamId = streamID
	if change != nil {
		change(&c)
	}
	conn, err := srt.Dial("srt", address, c)
	if err != nil {
		if strings.Contains(err.Error(), "reject") {
			return nil, &Refused{Words: err.Error()}
		}
		return nil, fmt.Errorf("connect to %s: %w", address, err)
	}
	p := &SRT{conn: conn, show: &s, gone: make(chan struct{})}
	p.mux = newTSMuxer(p.show, conn.Write)
	go func() {
		defer close(p.gone)
		b := make([]byte, 2000)
		for {
			if _, err := conn.Read(b); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { conn.Close(); <-p.gone })
	return p, nil
}

// SRTURL is what ffmpeg publishes to. It takes the stream identifier as it is, not escaped.
func (n *Node) SRTURL(name, key string) string {
	return "srt://" + n.Address("srt").String() + "?mode=caller&streamid=" + StreamID(name, key)
}

// Write implements Source.
func (p *SRT) Write(track int, s *Sample) error {
	if err := p.mux.write(track, s); err != nil {
		return fmt.Errorf("SRT: %w", err)
	}
	p.note(track, p.show.Tracks[track], s)
	return nil
}

// ID3 sends a command as a timed ID3 tag for a time.
func (p *SRT) ID3(at time.Duration, description, text string) error {
	return p.mux.ID3(at, description, text)
}

// TimeSignal sends a SCTE-35 cue for a time.
func (p *SRT) TimeSignal(at time.Duration, descriptors []byte) error {
	return p.mux.TimeSignal(at, descriptors)
}

// Raw sends bytes as they are, garbage for example.
func (p *SRT) Raw(b []byte) error {
	_, err := p.conn.Write(b)
	return err
}

// Cut moves the clock by a time from the next sample on, and sets the discontinuity flag with it.
func (p *SRT) Cut(by time.Duration) {
	p.mux.breakNext = true
	p.show.Origin += uint64(by.Milliseconds()) * 90
}

// Stats are the connection's counters.
func (p *SRT) Stats() (s srt.Statistics) {
	p.conn.Stats(&s)
	return s
}

// Leave implements Source: SRT's shutdown message.
func (p *SRT) Leave() {
	if !p.left {
		p.left = true
		pause(context.Background(), time.Now().Add(100*time.Millisecond)) // what is on its way is thrown away with the shutdown otherwise
		p.conn.Close()
		<-p.gone
	}
}

// Drop implements Source. The library cannot close without a word: to vanish, pull the cable of a relay.
func (p *SRT) Drop() { p.Leave() }

// Gone implements Source.
func (p *SRT) Gone() <-chan struct{} { return p.gone }
