package testkit

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
	"pushcart/ingest/rtmp"
	"pushcart/internal/auth"
	"pushcart/internal/auth/authority"
	"pushcart/internal/stream"
)

// recorder is a consumer that keeps video frames and messages. Its fields are read once it is over.
type recorder struct {
	frames []stream.Frame
	data   []stream.Data
	over   chan struct{}
}

func (r *recorder) Tracks([]*stream.Track) {}
func (r *recorder) Away()                  { close(r.over) }
func (r *recorder) End()                   {}
func (r *recorder) Data(d *stream.Data)    { r.data = append(r.data, *d) }
func (r *recorder) Frame(f *stream.Frame) {
	if f.Track.Video() {
		r.frames = append(r.frames, *f)
	}
}

// ingestOnly serves RTMP with one consumer behind it.
func ingestOnly(t *testing.T) (address string, r *recorder) {
	t.Helper()
	r = &recorder{over: make(chan struct{})}
	hub := stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return time.Minute },
		Attach:          func(*stream.Stream) []stream.Consumer { return []stream.Consumer{r} },
	})
	keys, err := auth.NewKeys([]auth.Entry{{Stream: "show", Key: "secret-of-the-show"}})
	if err != nil {
		t.Fatal(err)
	}
	store := &auth.Store{}
	store.Store(keys)
	log := slog.New(slog.DiscardHandler)
	server, err := rtmp.NewServer(rtmp.Options{Log: log, Door: ingest.NewDoor(ingest.Options{
		Hub: hub, Authority: authority.New(authority.Options{Keys: store}), Metrics: ingest.NewMetrics(prometheus.NewRegistry()), Log: log,
		Settings: func() ingest.Settings { return ingest.Settings{} },
	})})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(t.Context(), l) }()
	t.Cleanup(func() {
		if err := <-served; err != nil {
			t.Error(err)
		}
		hub.Close()
	})
	return l.Addr().String(), r
}

// pictures are clips with reordered pictures.
func pictures(t *testing.T, codec FourCC) *Clip {
	if codec == HEVC {
		return Encode(t, HEVC, "testsrc2=size=320x180:rate=25", "-c:v", "libx265", "-preset", "ultrafast",
			"-x265-params", "log-level=none:keyint=25:bframes=2", "-pix_fmt", "yuv420p", "-tag:v", "hvc1")
	}
	return Pictures(t, "-tune", "film", "-bf", "2")
}

// TestMessagesOverTheWire sends a message with each picture by each carrier. All of them come back with the picture's
// presentation time.
func TestMessagesOverTheWire(t *testing.T) {
	t.Parallel()
	for _, codec := range []FourCC{AVC, HEVC} {
		t.Run(string(codec), func(t *testing.T) {
			t.Parallel()
			clip, sound := pictures(t, codec), Sound(t)
			address, r := ingestOnly(t)
			p := Publish(t, address, "show?key=secret-of-the-show")
			p.Configure(0, clip, sound)
			number := -1
			const length = 3 * time.Second // 75 pictures, each with two messages of the 200 that may come at once
			err := p.Play(t.Context(), Script{Video: clip, Audio: sound, To: length, Before: func(c *Clip, s *Sample, at time.Duration) (*Sample, error) {
				if c != clip {
					return s, nil
				}
				number++
				var err error
				switch text := fmt.Sprint(number); number % 3 {
				case 0:
					err = p.Text(at, text)
				case 1:
					err = p.Cue(at, text, map[string]string{"slot": "main"})
				default:
					err = p.Card(at, map[string]any{"n": text, "list": []string{"a"}})
				}
				return clip.WithSEI(s, fmt.Sprint(number, strings.Repeat("\x00", 300), "x")), err
			}})
			if err != nil {
				t.Fatal(err)
			}
			p.Leave()
			<-r.over
			if len(r.frames) != 75 || len(r.data) != 150 {
				t.Fatalf("%d frames, %d messages", len(r.frames), len(r.data))
			}
			reordered := false
			for _, f := range r.frames {
				reordered = reordered || f.PTS != f.DTS
			}
			if !reordered {
				t.Error("the clip has no reordered pictures")
			}
			for i, d := range r.data {
				number, rest, _ := strings.Cut(textOf(d), "\x00")
				n, err := strconv.Atoi(number)
				if want := strings.Repeat("\x00", 299) + "x"; err != nil || d.Name == stream.DataSEI && rest != want {
					t.Fatalf("message %d: %q", i, d.Values)
				}
				if f := r.frames[n]; !d.Trusted || d.PTS != f.PTS || d.Era != f.Era {
					t.Errorf("%s of picture %d is %d ticks off, trusted %v", d.Name, n, d.PTS-f.PTS, d.Trusted)
				}
			}
		})
	}
}

// textOf is what the test has put into a message.
func textOf(d stream.Data) string {
	if m, ok := d.Values[0].(map[string]any); ok {
		for _, key := range []string{"text", "n", "name"} {
			if s, ok := m[key].(string); ok {
				return s
			}
		}
	}
	return fmt.Sprint(d.Values[0])
}

// TestSEIForOthers has ffprobe read a clip's samples with messages: each picture shows its own.
func TestSEIForOthers(t *testing.T) {
	t.Parallel()
	for codec, format := range map[FourCC]string{AVC: "h264", HEVC: "hevc"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			clip := pictures(t, codec)
			raw := annexB(paramSets(t, clip)...)
			for i := range 50 {
				raw = append(raw, annexB(units(clip.WithSEI(&clip.Samples[i], fmt.Sprint("picture ", i), strings.Repeat("x", 600)).Payload)...)...)
			}
			file := filepath.Join(t.TempDir(), "clip")
			if err := os.WriteFile(file, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			out, errs, err := Output(t, "ffprobe", "-hide_banner", "-loglevel", "error", "-f", format, "-show_frames", file)
			if err != nil || errs != "" {
				t.Fatalf("ffprobe: %v: %s", err, errs)
			}
			frames, messages := strings.Count(out, "[FRAME]"), strings.Count(out, "User Data Unregistered SEI message")
			if frames != 50 || messages < 100 {
				t.Errorf("ffprobe sees %d pictures and %d messages", frames, messages)
			}
		})
	}
}

// units takes a sample apart.
func units(sample []byte) (nals [][]byte) {
	for len(sample) > 4 {
		n := binary.BigEndian.Uint32(sample)
		nals = append(nals, sample[4:4+n])
		sample = sample[4+n:]
	}
	return nals
}

// annexB joins NAL units as a byte stream.
func annexB(nals ...[]byte) (out []byte) {
	for _, nal := range nals {
		out = append(append(out, 0, 0, 0, 1), nal...)
	}
	return out
}

// paramSets are the parameter sets of a clip's configuration, in order.
func paramSets(t *testing.T, c *Clip) (nals [][]byte) {
	t.Helper()
	b := c.Config
	take := func(n int) []byte {
		if n > len(b) {
			t.Fatal("the configuration is cut off")
		}
		out := b[:n]
		b = b[n:]
		return out
	}
	nal := func() { nals = append(nals, take(int(binary.BigEndian.Uint16(take(2))))) }
	if c.Codec == AVC {
		take(5)
		for range take(1)[0] & 31 {
			nal()
		}
		for range take(1)[0] {
			nal()
		}
		return nals
	}
	take(22)
	for range take(1)[0] {
		take(1)
		for range binary.BigEndian.Uint16(take(2)) {
			nal()
		}
	}
	return nals
}
