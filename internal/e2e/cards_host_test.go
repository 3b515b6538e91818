package e2e

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// Secrets of the stream "show" in these tests.
const (
	publishKey    = "publisher-of-the-show"
	operatorToken = "operator-of-the-show"
)

// withCards is a node with a publisher whose cards count and with an operator.
func withCards(t *testing.T) func(*config.Config) {
	dir := inMemory(t)
	return func(c *config.Config) {
		quick(c)
		c.Data.Directory = dir
		c.Publish.Keys = []config.Key{{Stream: "show", Key: publishKey}}
		c.Studio.Tokens = []config.Token{{Stream: "show", Token: operatorToken}}
	}
}

// withCardsAndDoors is withCards with RTSPS too.
func withCardsAndDoors(t *testing.T) func(*config.Config) {
	cards := withCards(t)
	return func(c *config.Config) { cards(c); testkit.WithTLS(t, c) }
}

// inMemory is a folder that is gone after the test, in memory where the system has that: journals are flushed to the disk
// for each command, and a disk that others keep busy for longer than a part makes what comes in band late.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "pushcart-test-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func decimal(v int64) string { return strconv.FormatInt(v, 10) }

// host is the operator of the stream "show", by the API.
type host struct {
	t    *testing.T
	base string // of the viewers' side
	name string // of the stream
	http http.Client
}

func newHost(t *testing.T, base string) *host {
	return &host{t: t, base: base, name: "show", http: http.Client{Timeout: 20 * time.Second}}
}

// answer is what the API said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// result of a command, as far as tests look at it.
type result struct {
	Epoch, Seq, Rev int64
	Schedule        string
}

// ask sends one request; it may be called from any goroutine.
func (h *host) ask(method, path string, body any, header ...string) (answer, error) {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return answer{}, err
		}
	}
	req, err := http.NewRequest(method, h.base+"/api/v1/streams/"+h.name+path, bytes.NewReader(data))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Authorization", "Bearer "+operatorToken)
	switch {
	case method == http.MethodPatch:
		req.Header.Set("Content-Type", "application/merge-patch+json")
	case body != nil:
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := h.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode, header: res.Header}
	a.body, err = io.ReadAll(res.Body)
	return a, err
}

// do sends a request that must be granted, and returns what became of it. It ends the test when it is refused.
func (h *host) do(method, path string, body any, header ...string) (r result) {
	h.t.Helper()
	a, err := h.ask(method, path, body, header...)
	if err != nil || a.status/100 != 2 {
		h.t.Fatalf("%s %s: status %d, %v: %s", method, path, a.status, err, a.body)
	}
	if len(a.body) > 0 {
		if err := json.Unmarshal(a.body, &r); err != nil {
			h.t.Fatalf("%s %s: %v: %s", method, path, err, a.body)
		}
	}
	return r
}

// show puts a card into a slot; at, where not zero, is when.
func (h *host) show(slot, card string, at time.Time) result {
	h.t.Helper()
	body := map[string]any{"card": card}
	if !at.IsZero() {
		body["at"] = at.Format(time.RFC3339Nano)
	}
	return h.do(http.MethodPut, "/slots/"+slot, body)
}

// product is a card document.
func product(id string, price string) map[string]any {
	return map[string]any{"id": id, "name": "Product " + id, "offers": []any{map[string]any{"price": price, "priceCurrency": "EUR"}}}
}

// products fills the list with cards of a name and a number: c0, c1.
func (h *host) products(count int) {
	h.t.Helper()
	var list []any
	for i := range count {
		list = append(list, product(fmt.Sprint("c", i), fmt.Sprintf("%d.50", i+1)))
	}
	h.do(http.MethodPut, "/cards", list)
}

// A way is how a command travels with the media: it sends whatever goes in front of the sample's message, and returns the
// sample to send.
type way func(t *testing.T, p *testkit.Publisher, codec testkit.FourCC, s testkit.Sample, command map[string]any) testkit.Sample

// stamp is the presentation time that a sample has by its message's milliseconds.
func stamp(s testkit.Sample) time.Duration {
	return s.DTS.Round(time.Millisecond) + s.Offset.Round(time.Millisecond)
}

// message is the way of RTMP data messages, of which args makes the values. They have the time of the picture's message.
func message(args func(command map[string]any) amf0.Data) way {
	return func(t *testing.T, p *testkit.Publisher, _ testkit.FourCC, s testkit.Sample, command map[string]any) testkit.Sample {
		t.Helper()
		body, err := args(command).Marshal()
		if err == nil {
			const dataAMF0 = 18
			err = p.Send(dataAMF0, s.DTS, body)
		}
		if err != nil {
			t.Fatalf("data message: %v", err)
		}
		return s
	}
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// object writes a command as AMF, what is within it as objects too.
func object(command map[string]any) (o amf0.Object) {
	for k, v := range command {
		if m, ok := v.(map[string]any); ok {
			v = object(m)
		}
		o = append(o, amf0.ObjectEntry{Key: k, Value: v})
	}
	return o
}

// ways are all that a publisher has.
var ways = []struct {
	name string
	way  way
}{
	{"onTextData", message(func(c map[string]any) amf0.Data {
		return amf0.Data{"onTextData", amf0.Object{{Key: "text", Value: text(c)}}}
	})},
	{"onCuePoint", message(func(c map[string]any) amf0.Data {
		var parameters amf0.Object
		for k, v := range c {
			if s, ok := v.(string); k != "pushcart" && ok {
				parameters = append(parameters, amf0.ObjectEntry{Key: k, Value: s})
			} else if k != "pushcart" {
				parameters = append(parameters, amf0.ObjectEntry{Key: k, Value: text(v)})
			}
		}
		return amf0.Data{"onCuePoint", amf0.Object{{Key: "name", Value: fmt.Sprint("pushcart.", c["pushcart"])},
			{Key: "time", Value: 0.0}, {Key: "type", Value: "event"}, {Key: "parameters", Value: parameters}}}
	})},
	{"onPushcartCard as text", message(func(c map[string]any) amf0.Data { return amf0.Data{"onPushcartCard", text(c)} })},
	{"onPushcartCard as an object", message(func(c map[string]any) amf0.Data { return amf0.Data{"onPushcartCard", object(c)} })},
	{"SEI", func(_ *testing.T, _ *testkit.Publisher, codec testkit.FourCC, s testkit.Sample, command map[string]any) testkit.Sample {
		s.Payload = append(seiUnit(codec, text(command)), s.Payload...)
		return s
	}},
}

// seiUnit is a NAL unit, with its length in front, with user data of ours (H.264 D.1.7, H.265 D.2.7). There are no zero
// bytes in it that would need emulation prevention.
func seiUnit(codec testkit.FourCC, json string) []byte {
	payload := "\x9f\x3c\x1b\x52\x6e\x0d\x4a\x57\x8c\x1e\x70\x75\x73\x68\xca\xfe" + json
	unit := []byte{6}
	if codec == testkit.HEVC {
		unit = []byte{39 << 1, 1}
	}
	unit = append(unit, 5)
	unit = append(unit, bytes.Repeat([]byte{255}, len(payload)/255)...)
	unit = append(unit, byte(len(payload)%255))
	unit = append(append(unit, payload...), 0x80)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(unit))), unit...)
}

// broadcast sends a clip of pictures and one of sound in real time, with commands in band, from the test's goroutine.
type broadcast struct {
	t            *testing.T
	p            *testkit.Publisher
	video, audio *testkit.Clip
	// plan says what goes with which picture, by its number in the order of decoding.
	plan map[int]func(testkit.Sample) testkit.Sample
	// pictures were sent, as they were.
	pictures []testkit.Sample

	begun  time.Time
	sounds int
}

func broadcasting(t *testing.T, address string, video, audio *testkit.Clip) *broadcast {
	t.Helper()
	b := &broadcast{t: t, p: testkit.Publish(t, address, "show?key="+publishKey), video: video, audio: audio,
		plan: map[int]func(testkit.Sample) testkit.Sample{}}
	b.p.Configure(0, video, audio)
	return b
}

// carry has a command travel with a picture.
func (b *broadcast) carry(picture int, w way, command map[string]any) {
	b.plan[picture] = func(s testkit.Sample) testkit.Sample { return w(b.t, b.p, b.video.Codec, s, command) }
}

// until sends up to a picture, that one left out, and the sound that belongs to it.
func (b *broadcast) until(picture int) {
	b.t.Helper()
	if b.begun.IsZero() {
		b.begun = time.Now()
	}
	for len(b.pictures) < picture {
		i := len(b.pictures)
		if i == len(b.video.Samples) {
			b.t.Fatal("the clip is too short")
		}
		s := b.video.Samples[i]
		for b.sounds < len(b.audio.Samples) && b.audio.Samples[b.sounds].DTS < s.DTS {
			b.frame(b.audio, b.audio.Samples[b.sounds])
			b.sounds++
		}
		if change := b.plan[i]; change != nil {
			s = change(s)
		}
		b.frame(b.video, s)
		b.pictures = append(b.pictures, s)
	}
}

// frame sends a sample when it is due.
func (b *broadcast) frame(c *testkit.Clip, s testkit.Sample) {
	b.t.Helper()
	if wait := time.Until(b.begun.Add(s.DTS)); wait > 0 {
		select {
		case <-time.After(wait):
		case <-b.t.Context().Done():
			b.t.Fatal("the test ended")
		}
	}
	if err := b.p.Frame(c, &s, s.DTS); err != nil {
		b.t.Fatal(err)
	}
}

// taken waits until the node has all pictures that were sent, and not the next one.
func (b *broadcast) taken(base string) {
	b.t.Helper()
	testkit.Eventually(b.t, "the node has what was sent", func() bool {
		var s streamInfo
		getJSON(b.t, base+"/api/v1/streams/show", &s)
		return len(s.Tracks) > 0 && s.Tracks[0].Frames == uint64(len(b.pictures))
	})
}
