package rtmp

import (
	"bytes"
	"encoding/binary"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"
	gortmp "github.com/bluenviron/gortmplib/pkg/message"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// encoded reads one of the codec package's samples: the decoder configuration and ten samples of which the first and
// the sixth are key frames.
func encoded(t testing.TB, name string) (record []byte, samples [][]byte) {
	t.Helper()
	b, err := os.ReadFile("../../internal/codec/testdata/" + name + ".samples")
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 0 {
		n := binary.BigEndian.Uint32(b)
		samples = append(samples, b[4:4+n])
		b = b[4+n:]
	}
	return samples[0], samples[1:]
}

func join(parts ...any) []byte {
	var out []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			out = append(out, byte(p))
		case string:
			out = append(out, p...)
		case []byte:
			out = append(out, p...)
		}
	}
	return out
}

// published runs send on a publishing client and returns what the door got, with the connection at its end.
func published(t *testing.T, send func(*client)) *fakePub {
	t.Helper()
	door := newFakeDoor()
	addr, stop := startServer(t, Options{Door: door})
	c := dial(t, addr)
	c.publish("show")
	p := <-door.opened
	send(c)
	c.trySend(typeCommandAMF0, 0, marshal(t, "deleteStream", 9.0, nil, 1.0))
	<-p.closed
	c.nc.Close()
	stop()
	return p
}

var asc = []byte{0x12, 0x10} // AAC LC, 44.1 kHz, stereo

func TestClassicTags(t *testing.T) {
	record, samples := encoded(t, "avc")
	p := published(t, func(c *client) {
		c.send(typeVideo, 0, join(0x17, 0, 0, 0, 0, record))
		c.send(typeAudio, 0, join(0xAF, 0, asc))
		c.send(typeVideo, 0, join(0x17, 1, 0, 0, 80, samples[0]))
		c.send(typeAudio, 10, join(0xAF, 1, "aac"))
		c.send(typeVideo, 40, join(0x27, 1, 0xFF, 0xFF, 0xD8, samples[1])) // 40 ms earlier than it is decoded
		c.send(typeVideo, 41, join(0x17, 0, 0, 0, 0, record))              // repeated
		c.send(typeAudio, 41, join(0xAF, 0, asc))
		c.send(typeVideo, 42, join(0x57, 1))       // a command frame
		c.send(typeVideo, 43, join(0x17, 1, 0, 0)) // empty ones
		c.send(typeVideo, 44, nil)
		c.send(typeAudio, 45, join(0xAF, 1))
		c.send(typeVideo, 46, join(0x17, 2, 0, 0, 0)) // end of sequence
	})
	if len(p.tracks) != 2 || len(p.drops) != 0 {
		t.Fatalf("%d tracks, drops %v", len(p.tracks), p.drops)
	}
	v, a := p.of(videoID), p.of(audioID)
	if len(v) != 2 || len(a) != 1 {
		t.Fatalf("%d video and %d audio frames", len(v), len(a))
	}
	if !v[0].Key || v[0].DTS != 0 || v[0].PTS != 80*90 || !bytes.Equal(v[0].Payload, samples[0]) {
		t.Errorf("frame %+v", v[0])
	}
	if v[1].Key || v[1].DTS != 40*90 || v[1].PTS != 0 {
		t.Errorf("frame %+v", v[1])
	}
	if !a[0].Key || a[0].DTS != 441 || a[0].PTS != 441 || a[0].Duration != 1024 || string(a[0].Payload) != "aac" {
		t.Errorf("frame %+v", a[0])
	}
}

func TestClassicHEVC(t *testing.T) {
	record, samples := encoded(t, "hevc")
	p := published(t, func(c *client) {
		c.send(typeVideo, 0, join(0x1C, 0, 0, 0, 0, record))
		for i, s := range samples {
			c.send(typeVideo, int64(40*i), join(0x2C, 1, 0, 0, 40, s))
		}
	})
	if len(p.tracks) != 1 || p.tracks[0].Codec != stream.HEVC || len(p.frames) != 10 || !p.frames[5].Key || p.frames[6].Key {
		t.Errorf("tracks %v, %d frames", p.tracks, len(p.frames))
	}
}

func TestEnhancedTags(t *testing.T) {
	for _, test := range []struct {
		fourCC, file string
		codec        stream.Codec
	}{{"avc1", "avc", stream.H264}, {"hvc1", "hevc", stream.HEVC}, {"av01", "av1", stream.AV1}} {
		t.Run(test.fourCC, func(t *testing.T) {
			record, samples := encoded(t, test.file)
			composition := []byte{0, 0, 40}
			if test.codec == stream.AV1 {
				composition = nil
			}
			p := published(t, func(c *client) {
				c.send(typeVideo, 0, join(0x90, test.fourCC, record))
				c.send(typeVideo, 0, join(0x91, test.fourCC, composition, samples[0]))
				c.send(typeVideo, 40, join(0xA3, test.fourCC, samples[1]))
				// 1,000,000 ns later than 80 ms.
				c.send(typeVideo, 80, join(0xA7, 2, 0x0F, 0x42, 0x40, 0x03, test.fourCC, samples[2]))
				// One track of many, and a second one without codec data.
				c.send(typeVideo, 120, join(0xA6, 0x03, test.fourCC, 0, samples[3]))
				c.send(typeVideo, 120, join(0xA6, 0x03, test.fourCC, 1, samples[3]))
				// Two tracks in one message.
				c.send(typeVideo, 160, join(0xA6, 0x13, test.fourCC, 1, 0, 0, 2, 7, 7, 0, 0, len(samples[4])>>8, len(samples[4]), samples[4]))
				// Two tracks of two codecs.
				c.send(typeVideo, 200, join(0xA6, 0x23, test.fourCC, 0, 0, len(samples[5])>>8, len(samples[5]), samples[5], "vp09", 1, 0, 0, 1, 7))
				c.send(typeVideo, 240, join(0x94, test.fourCC)) // metadata
				c.send(typeVideo, 240, join(0xD1, 0))           // a command
				c.send(typeVideo, 240, join(0x92, test.fourCC)) // end
				c.send(typeVideo, 240, join(0xA7, 200, 1))      // cut off
			})
			if len(p.tracks) != 1 || p.tracks[0].Codec != test.codec || p.tracks[0].Width != 96 {
				t.Fatalf("tracks %+v", p.tracks)
			}
			if len(p.frames) != 6 || len(p.drops) != 1 || p.drops[ingest.DropBeforeConfig] != 3 { // track 1 has no codec data
				t.Fatalf("%d frames, drops %v", len(p.frames), p.drops)
			}
			for i, f := range p.frames {
				dts, cts := int64(40*90*i), int64(0)
				if i == 0 && composition != nil {
					cts = 40 * 90
				}
				if i == 2 {
					dts += 90
				}
				if f.DTS != dts || f.PTS != dts+cts || f.Key != (i%5 == 0) || !bytes.Equal(f.Payload, samples[i]) {
					t.Errorf("frame %d: DTS %d PTS %d key %v", i, f.DTS, f.PTS, f.Key)
				}
			}
		})
	}
}

// TestEnhancedByAnotherImplementation has gortmplib build the messages.
func TestEnhancedByAnotherImplementation(t *testing.T) {
	_, samples := encoded(t, "hevc")
	door := newFakeDoor()
	addr, _ := startServer(t, Options{Door: door})
	c := dial(t, addr)
	c.publish("show")
	w := gortmp.NewWriter(c.nc, nil, false)
	record, _ := encoded(t, "hevc")
	c.send(typeVideo, 0, join(0x90, "hvc1", record))
	for i, s := range samples {
		at := time.Duration(i) * 40 * time.Millisecond
		if err := w.Write(&gortmp.VideoExCodedFrames{ChunkStreamID: 6, MessageStreamID: 1, DTS: at, FourCC: gortmp.FourCCHEVC,
			PTSDelta: 80 * time.Millisecond, Payload: s}); err != nil {
			t.Fatal(err)
		}
	}
	c.command("deleteStream", 9, nil, 1.0)
	p := <-door.opened
	<-p.closed
	if len(p.frames) != 10 || p.frames[9].DTS != 360*90 || p.frames[9].PTS != 440*90 {
		t.Errorf("%d frames", len(p.frames))
	}
}

func TestEnhancedAudio(t *testing.T) {
	head := join("OpusHead", 1, 2, 0x38, 1, 0x80, 0xBB, 0, 0, 0, 0, 0)
	mp3 := join(0xFF, 0xF3, 0x84, 0x64, make([]byte, 188)) // MPEG-2, 24 kHz
	t.Run("Opus", func(t *testing.T) {
		p := published(t, func(c *client) {
			c.send(typeAudio, 0, join(0x90, "Opus", head))
			c.send(typeAudio, 20, join(0x91, "Opus", 0xFC, 1, 2))
			c.send(typeAudio, 40, join(0x91, "Opus", 0x03)) // damaged
			c.send(typeAudio, 40, join(0x95, 0x01, "Opus", 0, 0xFC, 3))
			c.send(typeAudio, 60, join(0x97, 2, 0x0F, 0x42, 0x40, 0x01, "Opus", 0xFC, 4))
			c.send(typeAudio, 60, join(0x94, "Opus", 1, 2)) // channel layout
		})
		if len(p.tracks) != 1 || p.tracks[0].ClockRate != 48000 || p.drops[ingest.DropDamaged] != 1 {
			t.Fatalf("tracks %+v, drops %v", p.tracks, p.drops)
		}
		for i, want := range []int64{960, 1920, 2928} {
			if f := p.frames[i]; f.DTS != want || f.Duration != 960 {
				t.Errorf("frame %d at %d for %d", i, f.DTS, f.Duration)
			}
		}
	})
	t.Run("AAC", func(t *testing.T) {
		p := published(t, func(c *client) {
			c.send(typeAudio, 0, join(0x91, "mp4a", "early"))
			c.send(typeAudio, 0, join(0x90, "mp4a", asc))
			c.send(typeAudio, 1000, join(0x91, "mp4a", "aac"))
		})
		if len(p.frames) != 1 || p.frames[0].DTS != 44100 || p.drops[ingest.DropBeforeConfig] != 1 {
			t.Errorf("%+v, drops %v", p.frames, p.drops)
		}
	})
	for _, form := range []string{"enhanced", "classic"} {
		t.Run("MP3 "+form, func(t *testing.T) {
			lead := join(0x91, ".mp3")
			if form == "classic" {
				lead = join(0x2F)
			}
			other := bytes.Clone(mp3)
			other[3] = 0xC4 // mono
			p := published(t, func(c *client) {
				c.send(typeAudio, 1000, join(lead, mp3, mp3))
				c.send(typeAudio, 1048, join(lead, other))
				c.send(typeAudio, 1072, join(lead, mp3[:50]))
			})
			if len(p.tracks) != 2 || p.tracks[0].SampleRate != 24000 || p.tracks[1].Channels != 1 || p.drops[ingest.DropDamaged] != 1 {
				t.Fatalf("tracks %+v, drops %v", p.tracks, p.drops)
			}
			if len(p.frames) != 3 || p.frames[1].DTS != 24000+576 || p.frames[2].Track != p.tracks[1] {
				t.Errorf("frames %+v", p.frames)
			}
		})
	}
}

func TestCodecDataChanges(t *testing.T) {
	record, samples := encoded(t, "avc")
	other := bytes.Clone(record)
	other[len(other)-5] ^= 0x06 // in the PPS
	hevc, hsamples := encoded(t, "hevc")
	p := published(t, func(c *client) {
		at := int64(0)
		video := func(head int, s []byte) {
			c.send(typeVideo, at, join(head, 1, 0, 0, 0, s))
			at += 40
		}
		c.send(typeVideo, at, join(0x17, 0, 0, 0, 0, record))
		video(0x17, samples[0])
		video(0x27, samples[1])
		c.send(typeVideo, at, join(0x17, 0, 0, 0, 0, other))
		video(0x27, samples[2]) // cannot be decoded with the new data
		video(0x17, samples[5])
		c.send(typeVideo, at, join(0x1C, 0, 0, 0, 0, hevc))
		video(0x27, samples[6]) // of a codec that is over
		video(0x1C, hsamples[0])
	})
	if len(p.tracks) != 3 || p.tracks[2].Codec != stream.HEVC {
		t.Fatalf("tracks %+v", p.tracks)
	}
	var by [3]int
	for _, f := range p.frames {
		for i, track := range p.tracks {
			if f.Track == track {
				by[i]++
				if by[i] == 1 && !f.Key {
					t.Errorf("track %d does not begin with a key frame", i)
				}
			}
		}
	}
	if by != [3]int{2, 1, 1} || p.drops[ingest.DropBeforeKeyframe] != 1 || p.drops[ingest.DropBeforeConfig] != 1 {
		t.Errorf("frames by track %v, drops %v", by, p.drops)
	}
}

func TestAudioCodecDataChanges(t *testing.T) {
	p := published(t, func(c *client) {
		c.send(typeAudio, 0, join(0xAF, 0, asc))
		c.send(typeAudio, 1000, join(0xAF, 1, "a"))
		c.send(typeAudio, 1000, join(0xAF, 0, 0x11, 0x90)) // 48 kHz
		c.send(typeAudio, 2000, join(0xAF, 1, "b"))
	})
	if len(p.tracks) != 2 || len(p.frames) != 2 || p.frames[0].DTS != 44100 || p.frames[1].DTS != 96000 {
		t.Errorf("tracks %+v, frames %+v", p.tracks, p.frames)
	}
}

func TestDamagedFramesAreDroppedToTheNextKeyFrame(t *testing.T) {
	record, samples := encoded(t, "avc")
	p := published(t, func(c *client) {
		c.send(typeVideo, 0, join(0x17, 0, 0, 0, 0, record[:9])) // damaged codec data is passed over
		c.send(typeVideo, 0, join(0x17, 0, 0, 0, 0, record))
		for i, s := range samples {
			if i == 2 {
				s = s[:len(s)-1]
			}
			c.send(typeVideo, int64(40*i), join(0x27, 1, 0, 0, 0, s))
		}
	})
	if len(p.frames) != 7 || !p.frames[2].Key || p.drops[ingest.DropDamaged] != 2 || p.drops[ingest.DropBeforeKeyframe] != 2 {
		t.Errorf("%d frames, drops %v", len(p.frames), p.drops)
	}
}

// TestNonKeyFramesAreHandedOn: whether to wait for a first key frame is for the door to say.
func TestNonKeyFramesAreHandedOn(t *testing.T) {
	record, samples := encoded(t, "avc")
	p := published(t, func(c *client) {
		c.send(typeVideo, 0, join(0x17, 0, 0, 0, 0, record))
		c.send(typeVideo, 0, join(0x27, 1, 0, 0, 0, samples[1][:8])) // damaged
		c.send(typeVideo, 0, join(0x27, 1, 0, 0, 0, samples[1]))
	})
	if len(p.frames) != 1 || p.frames[0].Key {
		t.Errorf("frames %+v", p.frames)
	}
}

func TestUnsupportedCodecs(t *testing.T) {
	for words, m := range map[string]struct {
		typ  byte
		body []byte
	}{
		"Sorenson H.263 video": {typeVideo, join(0x22, 1)},
		"VP6 video":            {typeVideo, join(0x14, 1)},
		"FLV codec 13":         {typeVideo, join(0x1D, 1, 2, 3, 4, 5)},
		"VVC video":            {typeVideo, join(0x90, "vvc1", 1)},
		`"abcd" video`:         {typeVideo, join(0x91, "abcd", 1)},
		"Speex audio":          {typeAudio, join(0xB2, 1)},
		"G.711 audio":          {typeAudio, join(0x72, 1)},
		"Nellymoser audio":     {typeAudio, join(0x62, 1)},
		"PCM audio":            {typeAudio, join(0x32, 1)},
		"FLAC audio":           {typeAudio, join(0x90, "fLaC", 1)},
		"AC-3 audio":           {typeAudio, join(0x90, "ac-3", 1)},
		"AAC of object type 1": {typeAudio, join(0xAF, 0, 0x0A, 0x10)},
		"layer III":            {typeAudio, join(0x2F, 0xFF, 0xFD, 0x90, 0x64)},
	} {
		t.Run(words, func(t *testing.T) {
			door := newFakeDoor()
			addr, _ := startServer(t, Options{Door: door})
			c := dial(t, addr)
			c.publish("show")
			c.send(m.typ, 0, m.body)
			_, code, description := c.status()
			if code != "NetStream.Publish.Failed" || !strings.Contains(description, words) || !strings.Contains(description, "set the encoder to") {
				t.Errorf("%s %q", code, description)
			}
			p := <-door.opened
			<-p.closed
			if p.reason() != ingest.ReasonUnsupportedCodec {
				t.Errorf("cause %v", p.cause)
			}
		})
	}
}

func TestNoCodecDataByMediaTime(t *testing.T) {
	p := published(t, func(c *client) {
		for i := range 126 {
			c.send(typeVideo, int64(40*i), join(0x27, 1, 0, 0, 0, 0, 0, 0, 1, 0x41))
		}
		c.wantStatus("NetStream.Publish.Failed", "codec data")
	})
	if p.reason() != ingest.ReasonNoCodecData || p.drops[ingest.DropBeforeConfig] != 126 {
		t.Errorf("cause %v, drops %v", p.cause, p.drops)
	}
}

func TestData(t *testing.T) {
	meta := amf0.ECMAArray{{Key: "width", Value: 1280.0}, {Key: "list", Value: amf0.StrictArray{1.0, nil, amf0.Undefined{}}},
		{Key: "in", Value: amf0.Object{{Key: "x", Value: true}}}}
	deep := bytes.Repeat([]byte{amfStrictArray, 0, 0, 0, 1}, 2000)
	p := published(t, func(c *client) {
		c.send(typeDataAMF0, 0, marshal(t, "@setDataFrame", "onMetaData", meta))
		c.send(typeAudio, 1000, join(0xAF, 0, asc))
		c.send(typeAudio, 5000, join(0xAF, 1, "a"))
		c.send(typeDataAMF0, 5100, marshal(t, "onTextData", "card", 2.0))
		c.send(typeDataAMF3, 5200, append([]byte{0}, marshal(t, "onCuePoint", amf0.Object{})...))
		c.send(typeDataAMF0, 5300, marshal(t, "onSomething"))
		c.send(typeDataAMF0, 5300, join(marshal(t, "onTextData"), 0x11, 1, 2))
		c.send(typeDataAMF0, 5300, join(marshal(t, "onTextData"), deep))
		c.send(typeDataAMF0, 5300, nil)
		c.send(typeSharedObjectAMF0, 5300, []byte("x"))
		c.send(99, 5300, []byte("x"))
		c.send(typeDataAMF0, 5400, marshal(t, "onTextData", "still here"))
	})
	if len(p.data) != 4 {
		t.Fatalf("data %+v", p.data)
	}
	if p.drops[ingest.DropUnknownMessage] != 2 {
		t.Errorf("drops %v", p.drops)
	}
	m, _ := p.data[0].Values[0].(map[string]any)
	list, _ := m["list"].([]any)
	in, _ := m["in"].(map[string]any)
	if p.data[0].Name != "onMetaData" || m["width"] != 1280.0 || len(list) != 3 || list[0] != 1.0 || list[2] != nil || in["x"] != true {
		t.Errorf("metadata %+v", p.data[0])
	}
	if d := p.data[1]; d.Name != "onTextData" || d.PTS != 5100*90 || len(d.Values) != 2 || d.Values[0] != "card" {
		t.Errorf("%+v", d)
	}
	if p.data[2].Name != "onCuePoint" || p.data[3].Values[0] != "still here" {
		t.Errorf("%+v", p.data[2:])
	}
}

func TestAggregate(t *testing.T) {
	record, samples := encoded(t, "avc")
	one := func(typ, at int, body []byte) []byte {
		n := len(body)
		return join(typ, n>>16, n>>8, n, at>>16, at>>8, at, at>>24, 0, 0, 0, body, 0, 0, 0, n+11)
	}
	p := published(t, func(c *client) {
		c.send(typeAggregate, 1000, join(
			one(typeVideo, 500_000_000, join(0x17, 0, 0, 0, 0, record)),
			one(typeVideo, 500_000_000, join(0x17, 1, 0, 0, 0, samples[0])),
			one(typeVideo, 500_000_040, join(0x27, 1, 0, 0, 0, samples[1])),
			one(typeDataAMF0, 500_000_050, marshal(t, "onTextData", "x")),
			one(typeAudio, 500_000_060, join(0xAF, 0, asc)),
			one(77, 500_000_060, nil)))
		c.send(typeAggregate, 2000, one(typeVideo, 0, join(0x27, 1, 0, 0, 0, samples[2]))[:100])
		c.send(typeVideo, 2040, join(0x27, 1, 0, 0, 0, samples[3]))
	})
	v := p.of(videoID)
	if len(p.tracks) != 2 || len(v) != 2 || v[0].DTS != 1000*90 || v[1].DTS != 1040*90 || p.data[0].PTS != 1050*90 {
		t.Errorf("frames %+v", v)
	}
	if p.drops[ingest.DropDamaged] != 1 || p.drops[ingest.DropBeforeKeyframe] != 1 {
		t.Errorf("drops %v", p.drops)
	}
}

func TestMediaBeforePublishIsIgnored(t *testing.T) {
	door := newFakeDoor()
	addr, _ := startServer(t, Options{Door: door})
	c := dial(t, addr)
	c.connect("live")
	c.answer("_result")
	c.send(typeAudio, 0, join(0xAF, 0, asc))
	c.publish("show")
	if p := <-door.opened; len(p.tracks) != 0 {
		t.Errorf("tracks %v", p.tracks)
	}
}

func TestClock(t *testing.T) {
	const top24, top31, top32 = 1 << 24, 1 << 31, 1 << 32
	for _, test := range []struct {
		name string
		raw  []int64
		want []int64
	}{
		{"straight", []int64{0, 40, 80}, []int64{0, 40, 80}},
		{"from anywhere", []int64{5_000_000, 5_000_040}, []int64{5_000_000, 5_000_040}},
		{"back a little", []int64{1000, 990, 1040}, []int64{1000, 990, 1040}},
		{"32 bits", []int64{top32 - 40, 0, 40}, []int64{top32 - 40, top32, top32 + 40}},
		{"32 bits, tracks apart", []int64{top32 - 10, 5, top32 - 5, 20}, []int64{top32 - 10, top32 + 5, top32 - 5, top32 + 20}},
		{"24 bits", []int64{top24 - 40, 0, 40}, []int64{top24 - 40, top24, top24 + 40}},
		{"24 bits, tracks apart", []int64{top24 - 10, 5, top24 - 5, 20}, []int64{top24 - 10, top24 + 5, top24 - 5, top24 + 20}},
		{"24 bits twice", []int64{top24 - 10, 5, 8_000_000, top24 - 10, 5}, []int64{top24 - 10, top24 + 5, top24 + 8_000_000, 2*top24 - 10, 2*top24 + 5}},
		{"31 bits", []int64{top31 - 40, 0, 40}, []int64{top31 - 40, top31, top31 + 40}},
		{"31 bits, tracks apart", []int64{top31 - 10, 5, top31 - 5, 20}, []int64{top31 - 10, top31 + 5, top31 - 5, top31 + 20}},
		{"past 31 bits", []int64{top31 - 40, top31, top31 - 5, top31 + 40}, []int64{top31 - 40, top31, top31 - 5, top31 + 40}},
		{"past 24 bits with extended times", []int64{top24 - 40, top24, top24 + 40}, []int64{top24 - 40, top24, top24 + 40}},
		{"a jump back to zero", []int64{3_600_000, 0, 40}, []int64{3_600_000, 0, 40}},
		{"a jump ahead", []int64{0, 3_600_000}, []int64{0, 3_600_000}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var c clock
			for i, raw := range test.raw {
				if got := c.media(uint32(raw)); got != test.want[i] {
					t.Errorf("step %d: %d became %d, want %d", i, raw, got, test.want[i])
				}
			}
		})
	}
}

func TestTimestampsWrapOnTheWire(t *testing.T) {
	record, samples := encoded(t, "avc")
	const top = 1 << 32
	p := published(t, func(c *client) {
		c.send(typeVideo, top-80, join(0x17, 0, 0, 0, 0, record))
		c.send(typeAudio, top-80, join(0xAF, 0, asc))
		for i, s := range samples {
			at := top - 80 + int64(40*i)
			c.send(typeVideo, at, join(0x27, 1, 0, 0, 40, s))
			c.send(typeAudio, at, join(0xAF, 1, "aac"))
		}
	})
	v, a := p.of(videoID), p.of(audioID)
	if len(v) != 10 || len(a) != 10 {
		t.Fatalf("%d video and %d audio frames", len(v), len(a))
	}
	for i := range v {
		at := top - 80 + int64(40*i)
		if v[i].DTS != 90*at || v[i].PTS != 90*(at+40) || a[i].DTS != stream.Rescale(at, 1000, 44100) {
			t.Errorf("frame %d: video %d, audio %d", i, v[i].DTS, a[i].DTS)
		}
	}
}

func TestCodecChangesWithoutCodecData(t *testing.T) {
	record, samples := encoded(t, "avc")
	p := published(t, func(c *client) {
		c.send(typeVideo, 0, join(0x17, 0, 0, 0, 0, record))
		c.send(typeVideo, 0, join(0x17, 1, 0, 0, 0, samples[0]))
		for at := int64(40); at <= 5040; at += 1000 {
			c.send(typeVideo, at, join(0x1C, 1, 0, 0, 0, samples[0]))
		}
		c.wantStatus("NetStream.Publish.Failed", "codec data")
	})
	if p.reason() != ingest.ReasonNoCodecData || len(p.frames) != 1 {
		t.Errorf("cause %v, %d frames", p.cause, len(p.frames))
	}
}
