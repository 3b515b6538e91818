package ladder

import (
	"io"
	"testing"
	"time"

	"pushcart/internal/stream"
	"pushcart/packager/ladder/child"
	"pushcart/packager/ladder/command"
)

// idleChild takes all that it is given and gives nothing.
type idleChild struct{ done chan struct{} }

func (c *idleChild) Write(p []byte) (int, error) { return len(p), nil }
func (c *idleChild) CloseStdin() error           { return nil }
func (c *idleChild) Outputs() []io.ReadCloser    { return nil }
func (c *idleChild) Progress() child.Progress    { return child.Progress{} }
func (c *idleChild) Stderr() []string            { return nil }
func (c *idleChild) CPU() time.Duration          { return 0 }
func (c *idleChild) Pid() int                    { return 0 }
func (c *idleChild) Done() <-chan struct{}       { return c.done }
func (c *idleChild) Kill()                       {}
func (c *idleChild) Wait() error                 { return nil }
func (c *idleChild) Close() error                { return nil }

// BenchmarkFrame is a frame's way from the stream to the child's pipe: the call of the consumer, and writing it as NUT.
func BenchmarkFrame(b *testing.B) {
	m, err := New(Options{Settings: func() Settings { return Settings{Program: "ffmpeg"} }})
	if err != nil {
		b.Fatal(err)
	}
	var l *Ladder
	hub := stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return 0 },
		Attach:          func(s *stream.Stream) []stream.Consumer { l = newLadder(m, s); return []stream.Consumer{l} },
	})
	x, err := hub.Publish("shop", stream.Publisher{})
	if err != nil {
		b.Fatal(err)
	}
	video := full()
	x.SetTrack(video)
	in := l.inputs[0]
	j := newJob(l, 0, in.feed, true)
	w := &want{track: video, picture: &command.PictureJob{Source: video, Outputs: []command.Output{{}}}}
	r := &run{j: j, want: w, began: time.Now(), proc: &idleChild{}, stopFeed: make(chan struct{}), fedUp: make(chan struct{}), failure: make(chan failure, 1)}
	in.feed.setOpen(true, time.Hour)
	go func() {
		defer close(r.fedUp)
		r.feed()
	}()
	f := &stream.Frame{Track: video, Era: 1, PTS: 1e14, DTS: 1e14, Key: true, Payload: make([]byte, 20<<10)}
	b.ReportAllocs()
	b.SetBytes(int64(len(f.Payload)))
	for b.Loop() {
		f.PTS += 3000
		f.DTS = f.PTS
		x.Write(f)
	}
	close(r.stopFeed)
	<-r.fedUp
}
