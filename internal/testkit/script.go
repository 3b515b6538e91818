package testkit

import (
	"context"
	"time"
)

// Script says what a publisher sends, and when.
type Script struct {
	// Video and Audio are sent in the order of their decoding times; either may be nil.
	Video, Audio *Clip
	// From and To bound what is sent, in the clips' time. To 0 is the end of the shorter clip.
	From, To time.Duration
	// Speed of sending against the clips' time; 0 sends as fast as the server takes it.
	Speed float64
	// Absolute has every message carry its whole timestamp.
	Absolute bool
	// Map gives a sample the timestamp to send, from its time in the clip; false leaves it out. Nil is the clip's time.
	Map func(video bool, at time.Duration) (time.Duration, bool)
	// Before, if not nil, is called before each sample is sent, on Play's goroutine: at is the timestamp that it gets. It may
	// send data messages, and returns the sample to send, as a rule the very one: see WithSEI.
	Before func(c *Clip, s *Sample, at time.Duration) (*Sample, error)
}

// Play sends a script's samples, without their codec data. It ends early with ctx, which is no error.
func (p *Publisher) Play(ctx context.Context, s Script) error {
	if s.To == 0 {
		s.To = s.end()
	}
	begin := time.Now()
	v, a := cursor{clip: s.Video}, cursor{clip: s.Audio}
	for {
		next := &v
		if x := a.peek(); x != nil && (v.peek() == nil || x.DTS < v.peek().DTS) {
			next = &a
		}
		sample := next.peek()
		if sample == nil || sample.DTS >= s.To {
			return nil
		}
		next.at++
		if sample.DTS < s.From {
			continue
		}
		if s.Speed > 0 && !pause(ctx, begin.Add(time.Duration(float64(sample.DTS-s.From)/s.Speed))) || ctx.Err() != nil {
			return nil
		}
		at, ok := sample.DTS, true
		if s.Map != nil {
			at, ok = s.Map(next.clip.Codec.Video(), sample.DTS)
		}
		if !ok {
			continue
		}
		if s.Before != nil {
			var err error
			if sample, err = s.Before(next.clip, sample, at); err != nil {
				return err
			}
		}
		if err := p.Frame(next.clip, sample, at); err != nil {
			return err
		}
	}
}

func (s *Script) end() time.Duration {
	switch {
	case s.Video == nil:
		return s.Audio.Length
	case s.Audio == nil:
		return s.Video.Length
	}
	return min(s.Video.Length, s.Audio.Length)
}

// cursor walks through a clip.
type cursor struct {
	clip *Clip
	at   int
}

func (c *cursor) peek() *Sample {
	if c.clip == nil || c.at >= len(c.clip.Samples) {
		return nil
	}
	return &c.clip.Samples[c.at]
}

// pause waits until a time; false means that ctx ended first.
func pause(ctx context.Context, until time.Time) bool {
	wait := time.Until(until)
	if wait <= 0 {
		return ctx.Err() == nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Live plays a script with its codec data in front on a goroutine. The function that it returns stops it, waits for its
// end and reports an unexpected error.
func (p *Publisher) Live(s Script) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	if s.Absolute {
		p.Absolute()
	}
	first := time.Duration(0)
	if s.Map != nil {
		first, _ = s.Map(s.Video != nil, s.From)
	}
	p.Configure(first, s.Video, s.Audio)
	go func() { done <- p.Play(ctx, s) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			p.t.Errorf("publisher: %v", err)
		}
	}
	p.t.Cleanup(stop)
	return stop
}
