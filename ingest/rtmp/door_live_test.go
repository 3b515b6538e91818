package rtmp

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	gortmp "github.com/bluenviron/gortmplib/pkg/message"
	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
	"pushcart/internal/auth/authority"
	"pushcart/internal/stream"
)

// viewer is a consumer that counts.
type viewer struct {
	mu     sync.Mutex
	frames map[int]int // by era
	away   int
}

func (v *viewer) Tracks([]*stream.Track) {}
func (v *viewer) Data(*stream.Data)      {}
func (v *viewer) End()                   {}

func (v *viewer) Frame(f *stream.Frame) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.frames[f.Era]++
}

func (v *viewer) Away() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.away++
}

// TestThroughTheDoor publishes by way of the real door and hub, with a takeover by the same credential in between.
func TestThroughTheDoor(t *testing.T) {
	watching := &viewer{frames: map[int]int{}}
	hub := stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return time.Minute },
		Attach:          func(*stream.Stream) []stream.Consumer { return []stream.Consumer{watching} },
	})
	defer hub.Close()
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	door := ingest.NewDoor(ingest.Options{
		Hub: hub, Authority: authority.New(authority.Options{}), Metrics: ingest.NewMetrics(prometheus.NewRegistry()), Log: log,
		Settings: func() ingest.Settings { return ingest.Settings{KeyframeTimeout: 10 * time.Second} },
	})
	addr, stop := startServer(t, Options{Door: door, Log: log})

	first := dial(t, addr)
	first.publish("show")
	record, samples := encoded(t, "avc")
	first.send(typeVideo, 0, join(0x17, 0, 0, 0, 0, record))
	first.send(typeVideo, 0, join(0x17, 1, 0, 0, 0, samples[0]))
	first.send(typeUserControl, 0, []byte{0, 6, 0, 0, 0, 1})
	for pong := false; !pong; { // says that the frame has been taken
		_, pong = (<-first.in).(*gortmp.UserControlPingResponse)
	}

	second := dial(t, addr)
	second.publish("show")
	first.wantStatus("NetStream.Publish.Failed", "took this stream over")
	first.closed()
	second.send(typeVideo, 0, join(0x17, 0, 0, 0, 0, record))
	for i, s := range samples {
		second.send(typeVideo, int64(40*i), join(0x27, 1, 0, 0, 40, s))
	}
	second.command("deleteStream", 9, nil, 1.0)
	second.wantStatus("NetStream.Unpublish.Success", "show")
	second.nc.Close()
	stop()

	watching.mu.Lock()
	defer watching.mu.Unlock()
	if watching.frames[1] != 1 || watching.frames[2] != 10 || watching.away != 2 {
		t.Errorf("frames by era %v, away %d times", watching.frames, watching.away)
	}
}
