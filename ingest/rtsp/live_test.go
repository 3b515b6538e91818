package rtsp

import (
	"crypto/sha256"
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
	"pushcart/internal/auth"
	"pushcart/internal/auth/authority"
	"pushcart/internal/stream"
)

// viewer is a consumer that counts.
type viewer struct {
	mu     sync.Mutex
	frames map[int]int // by era
	walls  []time.Time
	away   int
}

func (v *viewer) Tracks([]*stream.Track) {}
func (v *viewer) Data(*stream.Data)      {}
func (v *viewer) End()                   {}

func (v *viewer) Frame(f *stream.Frame) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.frames[f.Era]++
	v.walls = append(v.walls, f.Wall)
}

func (v *viewer) Away() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.away++
}

func (v *viewer) of(era int) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.frames[era]
}

// TestThroughTheDoor publishes by way of the real door and hub with a configured key, with a takeover by the same key in
// between, and refuses another one.
func TestThroughTheDoor(t *testing.T) {
	t.Parallel()
	watching := &viewer{frames: map[int]int{}}
	hub := stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return time.Minute },
		Attach:          func(*stream.Stream) []stream.Consumer { return []stream.Consumer{watching} },
	})
	defer hub.Close()
	sum := sha256.Sum256([]byte("s3cr3t-s3cr3t-s3cr3t"))
	keys, err := auth.NewKeys([]auth.Entry{{Stream: "show", Key: "sha256:" + hex.EncodeToString(sum[:])}})
	if err != nil {
		t.Fatal(err)
	}
	store := new(auth.Store)
	store.Store(keys)
	registry := prometheus.NewRegistry()
	var log logBuffer
	door := ingest.NewDoor(ingest.Options{
		Hub: hub, Authority: authority.New(authority.Options{Keys: store}), Metrics: ingest.NewMetrics(registry), Log: textLog(&log),
		Settings: func() ingest.Settings { return ingest.Settings{KeyframeTimeout: 10 * time.Second} },
	})
	server, stop := startServer(t, Options{Door: door, Log: textLog(&log), Registerer: registry})
	publish := func(transport gortsplib.Transport, address string) *show {
		s := newShow(t)
		s.publish(address, transport)
		s.report(s.video, time.Now(), uint32(videoStart))
		s.report(s.audio, time.Now(), uint32(audioStart))
		return s
	}
	with := "rtsp://me:s3cr3t-s3cr3t-s3cr3t@" + server.Addr().String() + "/live/show"
	first := publish(gortsplib.TransportUDP, with)
	first.send(first.video, first.picture(0, 1)...)
	eventually(t, "the first publisher's frame is there", func() bool { return watching.of(1) == 1 })

	wrong := &gortsplib.Client{}
	if err := wrong.StartRecording(address(server, "/live/show?key=s3cr3t-wr0ng-s3cr3t"), newShow(t).description()); err == nil {
		t.Error("a wrong key was let in")
		wrong.Close()
	}

	second := publish(gortsplib.TransportTCP, address(server, "/live/show?key=s3cr3t-s3cr3t-s3cr3t"))
	for n := range 10 {
		second.send(second.video, second.picture(n, 2)...)
	}
	eventually(t, "the second publisher's frames are there", func() bool { return watching.of(2) == 10 })
	second.client.Close()
	eventually(t, "both have left", func() bool {
		watching.mu.Lock()
		defer watching.mu.Unlock()
		return watching.away == 2
	})
	stop()
	noSecrets(t, &log, "s3cr3t")
}
