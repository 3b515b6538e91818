package rtmp

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	gortmp "github.com/bluenviron/gortmplib/pkg/message"
	"github.com/prometheus/client_golang/prometheus"

	"pushcart/ingest"
	"pushcart/ingest/feed"
	"pushcart/internal/auth/authority"
	"pushcart/internal/stream"
)

// userDataUUID as senders know it: see codec.
var userDataUUID = []byte("\x9f\x3c\x1b\x52\x6e\x0d\x4a\x57\x8c\x1epush\xca\xfe")

// seiUnit is an SEI NAL unit of H.264 with its length, one message for each text. Texts are shorter than 239 bytes.
func seiUnit(texts ...string) []byte {
	nal := []byte{6}
	for _, text := range texts {
		nal = append(append(append(nal, 5, byte(16+len(text))), userDataUUID...), text...)
	}
	nal = append(nal, 0x80)
	return append([]byte{0, 0, byte(len(nal) >> 8), byte(len(nal))}, nal...)
}

// flvTag is one message of an aggregate.
func flvTag(typ, at int, body []byte) []byte {
	n := len(body)
	out := join(typ, n>>16, n>>8, n, at>>16, at>>8, at, at>>24, 0, 0, 0, body)
	n = len(out)
	return join(out, n>>24, n>>16, n>>8, n)
}

func TestCardMessages(t *testing.T) {
	t.Parallel()
	card := amf0.Object{{Key: "pushcart", Value: "put"}, {Key: "card", Value: amf0.ECMAArray{
		{Key: "id", Value: "lamp"}, {Key: "offers", Value: amf0.StrictArray{amf0.Object{{Key: "inventoryLevel", Value: 12.0}}}}}}}
	text := `{"pushcart":"show","card":"lamp"}`
	p := published(t, func(c *client) {
		c.send(typeAudio, 0, join(0xAF, 0, asc))
		c.send(typeDataAMF0, 100, marshal(t, "onPushcartCard", text))
		c.send(typeDataAMF3, 200, join(0, marshal(t, "onPushcartCard", card)))
		c.send(typeDataAMF0, 300, marshal(t, "@setDataFrame", "onPushcartCard", text))
		c.send(typeDataAMF3, 400, join(0, marshal(t, "@setDataFrame", "onTextData", amf0.Object{{Key: "text", Value: text}})))
		c.send(typeAggregate, 500, join(
			flvTag(typeDataAMF0, 0, marshal(t, "onPushcartCard", text)),
			flvTag(typeDataAMF3, 100, join(0, marshal(t, "onCuePoint", amf0.Object{{Key: "name", Value: "pushcart.hide"}})))))
		c.send(typeDataAMF0, 700, marshal(t, "onPushcartCards", text))
		c.send(typeDataAMF0, 700, marshal(t, "pushcart.sei", text)) // is no name on the wire
	})
	object := map[string]any{"pushcart": "put", "card": map[string]any{
		"id": "lamp", "offers": []any{map[string]any{"inventoryLevel": 12.0}}}}
	want := []stream.Data{
		{Name: stream.DataCard, Values: []any{text}},
		{Name: stream.DataCard, Values: []any{object}},
		{Name: stream.DataCard, Values: []any{text}},
		{Name: stream.DataText, Values: []any{map[string]any{"text": text}}},
		{Name: stream.DataCard, Values: []any{text}},
		{Name: stream.DataCue, Values: []any{map[string]any{"name": "pushcart.hide"}}},
	}
	for i := range want {
		want[i].PTS = int64(i+1) * 100 * 90
	}
	if !reflect.DeepEqual(p.data, want) || len(p.drops) != 0 {
		t.Errorf("data\n%+v, want\n%+v; drops %v", p.data, want, p.drops)
	}
}

func TestLargeData(t *testing.T) {
	t.Parallel()
	text := func(size int) []byte {
		return marshal(t, "onTextData", strings.Repeat("x", size-len(marshal(t, "onTextData", ""))))
	}
	p := published(t, func(c *client) {
		c.send(typeDataAMF0, 0, text(feed.LargestMessage))
		c.send(typeDataAMF0, 0, text(feed.LargestMessage+1))
		c.send(typeAggregate, 0, flvTag(typeDataAMF0, 0, text(feed.LargestMessage+1)))
		c.send(typeDataAMF0, 0, bytes.Repeat([]byte{amfNull}, 1<<20))
	})
	if len(p.data) != 1 || p.drops[ingest.DropLargeMessage] != 3 {
		t.Errorf("%d messages, drops %v", len(p.data), p.drops)
	}
}

// TestDataFlood: nobody makes the node work without end, by data messages or within pictures, and who stops is served again.
func TestDataFlood(t *testing.T) {
	t.Parallel()
	var passed atomic.Int64 // ns
	begin := time.Now()
	door := newFakeDoor()
	addr, stop := startServer(t, Options{Door: door, Now: func() time.Time { return begin.Add(time.Duration(passed.Load())) }})
	c := dial(t, addr)
	c.publish("show")
	p := <-door.opened
	record, samples := encoded(t, "avc")
	c.send(typeVideo, 0, join(0x17, 0, 0, 0, 0, record))
	flood := func() {
		for range 150 {
			c.send(typeDataAMF0, 0, marshal(t, "onTextData", "x"))
		}
		for range 30 {
			c.send(typeVideo, 0, join(0x17, 1, 0, 0, 0, seiUnit("1", "2", "3", "4", "5"), samples[0]))
		}
		c.send(typeUserControl, 0, []byte{0, 6, 0, 0, 0, 1})
		for pong := false; !pong; { // says that all has been taken
			_, pong = (<-c.in).(*gortmp.UserControlPingResponse)
		}
	}
	counts := func() string {
		p.mu.Lock()
		defer p.mu.Unlock()
		return fmt.Sprint(len(p.data), " messages, ", p.drops[ingest.DropExcessMessage], " dropped, ", len(p.frames), " frames")
	}
	flood()
	if got, want := counts(), "200 messages, 100 dropped, 30 frames"; got != want {
		t.Errorf("at once: %s, want %s", got, want)
	}
	passed.Add(int64(time.Second / 2))
	flood()
	if got, want := counts(), "300 messages, 300 dropped, 60 frames"; got != want {
		t.Errorf("half a second later: %s, want %s", got, want)
	}
	c.nc.Close()
	<-p.closed
	stop()
}

// TestMessagesWithinPictures come behind their picture, or without it when it is dropped.
func TestMessagesWithinPictures(t *testing.T) {
	t.Parallel()
	record, samples := encoded(t, "avc")
	lying := seiUnit("cut off")
	lying = lying[:len(lying)-4]
	lying[3] -= 4
	p := published(t, func(c *client) {
		c.send(typeVideo, 0, join(0x17, 0, 0, 0, 0, record))
		c.send(typeVideo, 40, join(0x17, 1, 0, 0, 80, seiUnit("one", "two"), samples[0], seiUnit("three")))
		c.send(typeVideo, 80, join(0x27, 1, 0, 0, 80, seiUnit("damaged"), samples[1][:8]))
		c.send(typeVideo, 120, join(0x27, 1, 0, 0, 80, seiUnit("of a picture without its reference"), samples[2]))
		c.send(typeVideo, 160, join(0x17, 1, 0, 0, 80, seiUnit("alone")))
		c.send(typeVideo, 200, join(0x17, 1, 0, 0, 80, lying, samples[5]))
		// 500,000 ns later than 240 ms.
		c.send(typeVideo, 240, join(0xA7, 2, 0x07, 0xA1, 0x20, 0x03, "avc1", seiUnit("fine"), samples[6]))
	})
	var got []string
	for _, d := range p.data {
		if d.Name != stream.DataSEI || len(d.Values) != 1 {
			t.Errorf("%+v", d)
		}
		got = append(got, fmt.Sprint(d.Values[0], " at ", d.PTS))
	}
	if want := "[one at 3600 two at 3600 three at 3600 of a picture without its reference at 10800 alone at 14400 fine at 21645]"; fmt.Sprint(got) != want {
		t.Errorf("messages %v, want %s", got, want)
	}
	if v := p.of(videoID); len(v) != 3 || !bytes.Equal(v[0].Payload, join(seiUnit("one", "two"), samples[0], seiUnit("three"))) ||
		!bytes.Equal(v[1].Payload, join(lying, samples[5])) {
		t.Errorf("%d frames, or their payload was altered", len(v))
	}
	if p.drops[ingest.DropDamaged] != 1 || p.drops[ingest.DropBeforeKeyframe] != 1 || p.drops[ingest.DropUnknownMessage] != 1 {
		t.Errorf("drops %v", p.drops)
	}
}

// witness keeps what a stream's consumers get. It is read once the publisher is away.
type witness struct {
	frames []stream.Frame
	data   []stream.Data
	ended  chan struct{}
}

func (w *witness) Tracks([]*stream.Track) {}
func (w *witness) Away()                  { close(w.ended) }
func (w *witness) End()                   {}

func (w *witness) Frame(f *stream.Frame) {
	if f.Track.Video() {
		w.frames = append(w.frames, *f)
	}
}

func (w *witness) Data(d *stream.Data) { w.data = append(w.data, *d) }

// throughTheDoor publishes by way of the real door and returns what consumers get.
func throughTheDoor(t *testing.T, send func(addr string)) *witness {
	t.Helper()
	seen := &witness{ended: make(chan struct{})}
	hub := stream.NewHub(stream.Options{
		ReconnectWindow: func() time.Duration { return time.Minute },
		Attach:          func(*stream.Stream) []stream.Consumer { return []stream.Consumer{seen} },
	})
	t.Cleanup(hub.Close)
	log := slog.New(slog.NewTextHandler(io.Discard, nil))
	door := ingest.NewDoor(ingest.Options{
		Hub: hub, Authority: authority.New(authority.Options{}), Metrics: ingest.NewMetrics(prometheus.NewRegistry()), Log: log,
		Settings: func() ingest.Settings { return ingest.Settings{KeyframeTimeout: time.Minute} },
	})
	addr, _ := startServer(t, Options{Door: door, Log: log})
	send(addr)
	<-seen.ended
	return seen
}

// TestDataMeetsItsFrame sends messages by every carrier, of which each names the frame that it belongs to, with the
// timestamps of encoders in the field.
func TestDataMeetsItsFrame(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		first int64         // timestamp of the first frame, ms
		jumps map[int]int64 // by frame: what the clock jumps
		eras  int           // that make
		wrap  int64         // period of the timestamps on the wire
	}{
		"from zero":               {eras: 1, wrap: 1 << 32},
		"24 bits wrap":            {first: 1<<24 - 800, eras: 1, wrap: 1 << 24},
		"31 bits wrap":            {first: 1<<31 - 800, eras: 1, wrap: 1 << 31},
		"32 bits wrap":            {first: 1<<32 - 800, eras: 1, wrap: 1 << 32},
		"an hour ahead and back":  {first: 5_000_000, jumps: map[int]int64{15: 3_600_000, 40: -3_600_000}, eras: 3, wrap: 1 << 32},
		"a little more than fits": {first: 5_000_000, jumps: map[int]int64{15: 3100, 40: -600}, eras: 3, wrap: 1 << 32},
		"to zero":                 {first: 5_000_000, jumps: map[int]int64{20: -5_000_800}, eras: 2, wrap: 1 << 32},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			record, samples := encoded(t, "avc")
			const frames = 60
			seen := throughTheDoor(t, func(addr string) {
				c := dial(t, addr)
				c.publish("show")
				at := test.first
				wire := func() int64 { return (at + test.wrap) % test.wrap }
				c.send(typeDataAMF0, 0, marshal(t, "onTextData", 0.0)) // before all, and without a time
				c.send(typeAudio, wire(), join(0xAF, 0, asc))
				c.send(typeVideo, wire(), join(0x17, 0, 0, 0, 0, record))
				for i := range frames {
					at += 40 + test.jumps[i]
					number := float64(i)
					c.send(typeDataAMF0, wire(), marshal(t, "onTextData", number))
					c.send(typeAudio, wire(), join(0xAF, 1, "aac"))
					offset := []int{80, 160, 40, 0}[i%4]
					c.send(typeVideo, wire(), join(0x27, 1, 0, 0, offset, seiUnit(fmt.Sprint(i)), samples[i%10]))
					c.send(typeDataAMF3, wire(), join(0, marshal(t, "onPushcartCard", number)))
				}
				c.send(typeCommandAMF0, 0, marshal(t, "deleteStream", 9.0, nil, 1.0))
				c.wantStatus("NetStream.Unpublish.Success", "")
			})
			if len(seen.frames) != frames || len(seen.data) != 3*frames+1 || seen.frames[frames-1].Era != test.eras {
				t.Fatalf("%d frames, %d messages, %d eras", len(seen.frames), len(seen.data), seen.frames[len(seen.frames)-1].Era)
			}
			for _, d := range seen.data {
				var number int
				if _, err := fmt.Sscan(fmt.Sprint(d.Values[0]), &number); err != nil {
					t.Fatal(err)
				}
				if f := seen.frames[number]; d.Era != f.Era || d.PTS != f.PTS {
					t.Errorf("%s of frame %d: era %d, %d ticks off", d.Name, number, d.Era, d.PTS-f.PTS)
				}
			}
		})
	}
}

// TestFFmpegSendsSEI has ffmpeg write the messages, which ends them with a zero byte.
func TestFFmpegSendsSEI(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	addr, stop := startServer(t, Options{Door: door})
	filter := `h264_metadata=sei_user_data=9f3c1b52-6e0d-4a57-8c1e-70757368cafe+{"pushcart"\\:"show"\,"card"\\:"lamp"}`
	out := ffmpeg(t, "rtmp://"+addr+"/live/show", append(slices.Clone(x264), "-bsf:v", filter)...)
	stop()
	if len(door.pubs) != 1 {
		t.Fatalf("ffmpeg did not publish: %s", out)
	}
	p := door.pubs[0]
	var at []int64
	for _, d := range p.data {
		if d.Name == stream.DataSEI && d.Values[0] == `{"pushcart":"show","card":"lamp"}` {
			at = append(at, d.PTS)
		}
	}
	v := p.of(videoID)
	if len(v) != 75 || len(at) == 0 || at[0] != v[0].DTS {
		t.Errorf("%d frames, messages at %v", len(v), at)
	}
}
