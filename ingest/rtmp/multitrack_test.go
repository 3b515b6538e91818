package rtmp

import (
	"bytes"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// share is one track's part of a multitrack message.
type share struct {
	fourCC string
	track  int
	body   []byte
}

// multi builds the body of a multitrack message (Enhanced RTMP v2) of type typeVideo or typeAudio.
func multi(typ byte, kind, packet int, shares ...share) []byte {
	head := 0x90 | exMultitrack
	if typ == typeAudio {
		head = soundEx<<4 | exAudioTracks
	}
	out := join(head, kind<<4|packet)
	if kind != manyTracksCodecs {
		out = join(out, shares[0].fourCC)
	}
	for _, s := range shares {
		if kind == manyTracksCodecs {
			out = join(out, s.fourCC)
		}
		out = join(out, s.track)
		if kind != oneTrack {
			out = join(out, len(s.body)>>16, len(s.body)>>8, len(s.body))
		}
		out = join(out, s.body)
	}
	return out
}

const manyTracks = 1

// TestMultitrack: every track of every form of message becomes a track of its own, beside the classic ones.
func TestMultitrack(t *testing.T) {
	avc, avcSamples := encoded(t, "avc")
	hevc, hevcSamples := encoded(t, "hevc")
	av1, av1Samples := encoded(t, "av1")
	composed := func(b []byte) []byte { return join(0, 0, 40, b) }
	p := published(t, func(c *client) {
		c.send(typeVideo, 0, join(0x17, 0, 0, 0, 0, avc)) // track 0, classic
		c.send(typeVideo, 0, multi(typeVideo, oneTrack, exSequenceStart, share{"avc1", 1, avc}))
		c.send(typeVideo, 0, multi(typeVideo, manyTracks, exSequenceStart, share{"hvc1", 2, hevc}, share{"hvc1", 15, hevc}))
		c.send(typeVideo, 0, multi(typeVideo, manyTracksCodecs, exSequenceStart, share{"av01", 4, av1}, share{"avc1", 5, avc}))
		c.send(typeAudio, 0, join(0xAF, 0, asc))
		c.send(typeAudio, 0, multi(typeAudio, manyTracks, exSequenceStart, share{"mp4a", 1, asc}, share{"mp4a", 15, asc}))
		for i := range avcSamples {
			at := int64(40 * i)
			c.send(typeVideo, at, join(0x27, 1, 0, 0, 40, avcSamples[i]))
			c.send(typeVideo, at, multi(typeVideo, oneTrack, exCodedFrames, share{"avc1", 1, composed(avcSamples[i])}))
			c.send(typeVideo, at, multi(typeVideo, manyTracks, exCodedFramesX, share{"hvc1", 2, hevcSamples[i]}, share{"hvc1", 15, hevcSamples[i]}))
			c.send(typeVideo, at, multi(typeVideo, manyTracksCodecs, exCodedFrames, share{"av01", 4, av1Samples[i]}, share{"avc1", 5, composed(avcSamples[i])}))
			c.send(typeAudio, at, join(0xAF, 1, "zero"))
			c.send(typeAudio, at, multi(typeAudio, manyTracks, exCodedFrames, share{"mp4a", 1, []byte("one")}, share{"mp4a", 15, []byte("fifteen")}))
		}
	})
	if len(p.tracks) != 9 || len(p.drops) != 0 {
		t.Fatalf("%d tracks, drops %v", len(p.tracks), p.drops)
	}
	for id, want := range map[int]struct {
		samples [][]byte
		cts     int64
	}{0: {avcSamples, 40}, 1: {avcSamples, 40}, 2: {hevcSamples, 0}, 15: {hevcSamples, 0}, 4: {av1Samples, 0}, 5: {avcSamples, 40}} {
		got := p.of(id)
		if len(got) != len(want.samples) {
			t.Errorf("track %d: %d frames", id, len(got))
			continue
		}
		for i, f := range got {
			at := int64(90 * 40 * i)
			if f.DTS != at || f.PTS != at+90*want.cts || f.Key != (i%5 == 0) || !bytes.Equal(f.Payload, want.samples[i]) {
				t.Errorf("track %d frame %d: DTS %d PTS %d key %v", id, i, f.DTS, f.PTS, f.Key)
			}
		}
	}
	for id, want := range map[int]string{100: "zero", 101: "one", 115: "fifteen"} {
		if got := p.of(id); len(got) != 10 || string(got[9].Payload) != want || got[9].DTS != 360*441/10 {
			t.Errorf("track %d: %d frames", id, len(got))
		}
	}
}

// TestMultitrackDamage: what is wrong with one track leaves the others alone.
func TestMultitrackDamage(t *testing.T) {
	record, samples := encoded(t, "avc")
	other := bytes.Clone(record)
	other[len(other)-5] ^= 0x06 // in the PPS
	p := published(t, func(c *client) {
		c.send(typeVideo, 0, multi(typeVideo, manyTracks, exSequenceStart, share{"avc1", 0, record}, share{"avc1", 1, record}, share{"avc1", 2, record}))
		for i, s := range samples {
			bad := s
			if i == 2 {
				bad = s[:len(s)-1]
			}
			m := multi(typeVideo, manyTracks, exCodedFramesX, share{"avc1", 0, s}, share{"avc1", 1, bad}, share{"avc1", 2, s})
			if i == 7 {
				m = m[:len(m)-1] // the last one does not fit
			}
			if i == 4 { // codec data that apply from the next key frame on
				c.send(typeVideo, 160, multi(typeVideo, oneTrack, exSequenceStart, share{"avc1", 2, other}))
			}
			c.send(typeVideo, int64(40*i), m)
		}
	})
	if a, b, d := p.of(0), p.of(1), p.of(2); len(a) != 10 || len(b) != 7 || len(d) != 10-1-3 || !b[2].Key {
		t.Errorf("%d, %d and %d frames", len(a), len(b), len(d))
	}
	if p.drops[ingest.DropDamaged] != 2 || p.drops[ingest.DropBeforeKeyframe] != 2+1+2 || len(p.tracks) != 4 {
		t.Errorf("drops %v, %d tracks", p.drops, len(p.tracks))
	}
}

// TestTooManyMultitracks: numbers that are too high are counted, and cost nothing else.
func TestTooManyMultitracks(t *testing.T) {
	record, samples := encoded(t, "avc")
	p := published(t, func(c *client) {
		for _, m := range []struct {
			typ    byte
			packet int
			fourCC string
			body   []byte
		}{{typeVideo, exSequenceStart, "avc1", record}, {typeVideo, exCodedFramesX, "avc1", samples[0]}, {typeAudio, exSequenceStart, "mp4a", asc}, {typeAudio, exCodedFrames, "mp4a", []byte("a")}} {
			var all []share
			for id := range 256 {
				all = append(all, share{m.fourCC, id, m.body})
			}
			c.send(m.typ, 0, multi(m.typ, manyTracks, m.packet, all...))
		}
	})
	if len(p.tracks) != 32 || len(p.frames) != 32 || p.drops[ingest.DropExcessTrack] != 4*240 {
		t.Errorf("%d tracks, %d frames, drops %v", len(p.tracks), len(p.frames), p.drops)
	}
}

// TestLanguages are told by onMetaData.
func TestLanguages(t *testing.T) {
	p := published(t, func(c *client) {
		c.send(typeDataAMF0, 0, marshal(t, "@setDataFrame", "onMetaData", amf0.ECMAArray{{Key: "audioTrackIdInfoMap", Value: amf0.Object{
			{Key: "0", Value: amf0.Object{{Key: "language", Value: "eng"}, {Key: "title", Value: "Original"}}},
			{Key: "1", Value: amf0.ECMAArray{{Key: "language", Value: "pt-BR"}, {Key: "name", Value: "Comen\ntário"}}},
			{Key: "2", Value: amf0.Object{{Key: "language", Value: 7.0}, {Key: "name", Value: true}}},
			{Key: "3", Value: "x"}, {Key: "16", Value: amf0.Object{}}, {Key: "-1", Value: amf0.Object{}}, {Key: "x", Value: amf0.Object{}},
		}}}))
		c.send(typeAudio, 0, join(0xAF, 0, asc))
		c.send(typeAudio, 0, multi(typeAudio, manyTracks, exSequenceStart, share{"mp4a", 1, asc}, share{"mp4a", 2, asc}, share{"mp4a", 3, asc}))
		c.send(typeDataAMF0, 0, marshal(t, "onMetaData", amf0.Object{{Key: "audioTrackIdInfoMap", Value: nil}}))
		c.send(typeDataAMF0, 0, marshal(t, "onMetaData"))
	})
	var got []string
	for _, track := range p.tracks {
		got = append(got, track.Language+"/"+track.Name)
	}
	if !slices.Equal(got, []string{"en/Original", "pt-BR/Comentário", "/", "/"}) {
		t.Errorf("%q", got)
	}
}

// TestVPX: VP8 and VP9 are for the door to refuse.
func TestVPX(t *testing.T) {
	vp8 := join(0x10, 0, 0, 0x9d, 1, 0x2a, 64, 1, 180, 0)
	vp9 := join(0x82, 0x49, 0x83, 0x42, 0x00, 0x77, 0xf0, 0x32, 0x34, 0x30)
	p := published(t, func(c *client) {
		c.send(typeVideo, 0, join(0x90, "vp08", 0, 10, 0x82, 2, 2, 2, 0, 0))
		c.send(typeVideo, 0, join(0x91, "vp08", vp8))
		c.send(typeVideo, 0, multi(typeVideo, oneTrack, exSequenceStart, share{"vp09", 1, join(1, 0, 0, 0, 0, 40, 0x82, 2, 2, 2, 0, 0)}))
		c.send(typeVideo, 0, multi(typeVideo, oneTrack, exCodedFrames, share{"vp09", 1, vp9}))
	})
	if len(p.frames) != 2 || p.frames[0].Track.Codec != stream.VP8 || p.frames[0].Track.Width != 320 || p.frames[1].Track.Codec != stream.VP9 || p.frames[1].Track.Width != 1920 {
		t.Errorf("%+v, drops %v", p.frames, p.drops)
	}
	// What the door says reaches the client.
	door := newFakeDoor()
	door.undeliverable = stream.VP8
	addr, _ := startServer(t, Options{Door: door})
	c := dial(t, addr)
	c.publish("show")
	c.send(typeVideo, 0, join(0x90, "vp08"))
	c.send(typeVideo, 0, join(0x91, "vp08", vp8))
	c.wantStatus("NetStream.Publish.Failed", "cannot be delivered")
}

// FuzzTags: whatever a video, audio, data or aggregate message holds, nothing breaks, and nothing is passed on twice.
func FuzzTags(f *testing.F) {
	record, samples := encoded(f, "avc")
	for _, m := range [][]byte{
		join(0x17, 0, 0, 0, 0, record), join(0x27, 1, 0, 0, 40, samples[0]), multi(typeVideo, oneTrack, exSequenceStart, share{"avc1", 1, record}),
		multi(typeVideo, manyTracks, exCodedFrames, share{"avc1", 1, samples[0]}, share{"avc1", 2, samples[1]}),
		multi(typeVideo, manyTracksCodecs, exCodedFrames, share{"hvc1", 0, samples[0]}, share{"av01", 200, samples[1]}),
		join(0x97, 2, 0x0F, 0x42, 0x40, 0x03, "avc1", samples[2]), join(0x97, 255, 0, 3, 1, 2, 3, 4, 0x06, 0x10, "vp09", 0, 0, 0, 1, 7),
	} {
		f.Add(byte(typeVideo), m)
	}
	f.Add(byte(typeAudio), multi(typeAudio, manyTracks, exSequenceStart, share{"mp4a", 1, asc}, share{"mp4a", 15, asc}))
	f.Add(byte(typeAudio), join(0xAF, 0, asc))
	f.Fuzz(func(t *testing.T, typ byte, body []byte) {
		door := newFakeDoor()
		s, err := NewServer(Options{Door: door, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		if err != nil {
			t.Fatal(err)
		}
		c := publishingConn(t, s, &scripted{in: bytes.NewReader(nil)})
		p := <-door.opened
		c.levelAt = time.Now()
		for range 3 {
			if c.session.part(typ, 0, bytes.Clone(body)) != nil {
				break
			}
		}
		if len(p.tracks) > 3*32 {
			t.Errorf("%d tracks", len(p.tracks))
		}
		for _, f := range p.frames {
			if len(f.Payload) > 2*len(body)+4096 || f.Track.ID < 0 || f.Track.ID > 115 {
				t.Errorf("a frame of %d bytes on track %d from a message of %d", len(f.Payload), f.Track.ID, len(body))
			}
		}
	})
}
