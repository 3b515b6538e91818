package feed_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"pushcart/ingest"
	"pushcart/ingest/feed"
	"pushcart/internal/codec"
	"pushcart/internal/stream"
	"pushcart/internal/testkit"
)

// publication keeps what comes.
type publication struct {
	tracks []*stream.Track
	frames []stream.Frame
	data   []stream.Data
	drops  map[ingest.DropReason]int
	refuse *ingest.Refusal
}

func (p *publication) Name() string { return "show" }
func (p *publication) SetTrack(t *stream.Track) error {
	p.tracks = append(p.tracks, t)
	if p.refuse != nil {
		return p.refuse
	}
	return nil
}
func (p *publication) Write(f *stream.Frame) error {
	g := *f
	g.Payload = bytes.Clone(f.Payload)
	p.frames = append(p.frames, g)
	return nil
}
func (p *publication) WriteData(d *stream.Data) error { p.data = append(p.data, *d); return nil }
func (p *publication) Drop(r ingest.DropReason)       { p.drops[r]++ }
func (p *publication) Close(error)                    {}

// of returns the frames of a track.
func (p *publication) of(id int) (out []stream.Frame) {
	for _, f := range p.frames {
		if f.Track.ID == id {
			out = append(out, f)
		}
	}
	return out
}

// bench is a feed with a clock.
type bench struct {
	*feed.Feed
	*publication
	now time.Time
	log bytes.Buffer
}

func newBench() *bench {
	b := &bench{publication: &publication{drops: map[ingest.DropReason]int{}}, now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	b.Feed = feed.New(feed.Options{
		Publication: b.publication, Log: slog.New(slog.NewTextHandler(&b.log, nil)), Now: func() time.Time { return b.now },
	})
	return b
}

// at is a time in ms.
func at(ms int) feed.Time { return feed.Time{PTS: int64(ms) * 90, Rate: 90000} }

// clips of every coding and order of pictures.
func clips(t testing.TB) map[string]*testkit.Clip {
	const source = "testsrc2=size=128x72:rate=25:duration=4"
	x264 := func(args ...string) *testkit.Clip {
		return testkit.Encode(t, testkit.AVC, source, append([]string{"-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-pix_fmt", "yuv420p"}, args...)...)
	}
	x265 := func(args ...string) *testkit.Clip {
		return testkit.Encode(t, testkit.HEVC, source, append([]string{"-c:v", "libx265", "-preset", "ultrafast", "-g", "50", "-pix_fmt", "yuv420p"}, args...)...)
	}
	return map[string]*testkit.Clip{
		"avc without B-frames": x264("-bf", "0"),
		"avc baseline":         x264("-profile:v", "baseline"),
		"avc B-frames":         x264("-bf", "3", "-x264-params", "b-pyramid=none"),
		"avc pyramid":          x264("-bf", "5"),
		"avc open GOP":         x264("-bf", "3", "-x264-params", "open-gop=1"),
		"avc slices":           x264("-bf", "2", "-slices", "4"),
		"hevc":                 x265("-x265-params", "log-level=none"),
		"hevc closed GOP":      x265("-x265-params", "log-level=none:open-gop=0:bframes=4"),
		"hevc no B-frames":     x265("-x265-params", "log-level=none:bframes=0"),
	}
}

// plain is H.264 without B-frames with a key frame each second; vp8 likewise.
func plain(t testing.TB) *testkit.Clip {
	return testkit.Encode(t, testkit.AVC, "testsrc2=size=128x72:rate=25:duration=3", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25", "-pix_fmt", "yuv420p")
}

func vp8(t testing.TB) *testkit.Clip {
	return testkit.Encode(t, testkit.VP8, "testsrc2=size=128x72:rate=25:duration=3", "-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-g", "25",
		"-keyint_min", "25", "-b:v", "500k", "-pix_fmt", "yuv420p")
}

var codecs = map[testkit.FourCC]stream.Codec{testkit.AVC: stream.H264, testkit.HEVC: stream.HEVC, testkit.VP8: stream.VP8}

// pictures returns a sample's units, in memory of its own.
func pictures(c *testkit.Clip, i int, sets bool) (units [][]byte) {
	if sets {
		units = append(units, c.ParameterSets()...)
	}
	if c.Codec == testkit.VP8 {
		return [][]byte{bytes.Clone(c.Samples[i].Payload)}
	}
	return append(units, testkit.NALUnits(bytes.Clone(c.Samples[i].Payload))...)
}

func ticks(d time.Duration) int64 { return int64(d * 90000 / time.Second) }

// TestDecodingTimes: with presentation times only, frames get the decoding times that their encoder gave them.
func TestDecodingTimes(t *testing.T) {
	t.Parallel()
	for name, c := range clips(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench()
			v := b.Video(0, codecs[c.Codec], feed.Label{})
			for i, s := range c.Samples {
				if err := v.Write(pictures(c, i, i == 0), feed.Time{PTS: 1e6 + ticks(s.DTS+s.Offset), Rate: 90000}); err != nil {
					t.Fatal(err)
				}
			}
			if len(b.frames) != len(c.Samples) || len(b.drops) != 0 || len(b.tracks) != 1 {
				t.Fatalf("%d frames of %d, drops %v, %d tracks", len(b.frames), len(c.Samples), b.drops, len(b.tracks))
			}
			apart := b.frames[0].DTS - ticks(c.Samples[0].DTS)
			for i, f := range b.frames {
				s := c.Samples[i]
				if f.PTS != 1e6+ticks(s.DTS+s.Offset) || f.DTS > f.PTS || i > 0 && f.DTS <= b.frames[i-1].DTS {
					t.Fatalf("frame %d: DTS %d, PTS %d", i, f.DTS, f.PTS)
				}
				if off := f.DTS - ticks(s.DTS) - apart; off < -2 || off > 2 {
					t.Errorf("frame %d: decoded %d ticks from where the encoder meant it", i, off)
				}
				// The file marks open groups' recovery points, too.
				if f.Key != s.Key && name != "avc open GOP" || !bytes.Equal(testkit.Slices(c.Codec, f.Payload), testkit.Slices(c.Codec, s.Payload)) {
					t.Errorf("frame %d: key %v, want %v", i, f.Key, s.Key)
				}
			}
		})
	}
}

// TestGivenDecodingTimes are kept.
func TestGivenDecodingTimes(t *testing.T) {
	t.Parallel()
	c := clips(t)["avc B-frames"]
	b := newBench()
	v := b.Video(0, stream.H264, feed.Label{})
	for i, s := range c.Samples {
		tm := feed.Time{PTS: ticks(s.DTS+s.Offset) + 1, DTS: ticks(s.DTS) - 1, HasDTS: true, Rate: 90000, Wall: b.now}
		if err := v.Write(pictures(c, i, s.Key), tm); err != nil {
			t.Fatal(err)
		}
	}
	for i, f := range b.frames {
		if s := c.Samples[i]; f.DTS != ticks(s.DTS)-1 || f.PTS != ticks(s.DTS+s.Offset)+1 || !f.Wall.Equal(b.now) {
			t.Fatalf("frame %d: %+v", i, f)
		}
	}
}

// TestLostIsDroppedToTheNextKeyFrame, on its own track only, and a key frame is asked for once.
func TestLostIsDroppedToTheNextKeyFrame(t *testing.T) {
	t.Parallel()
	c := plain(t)
	b := newBench()
	asked := 0
	v := b.Video(0, stream.H264, feed.Label{})
	v.NeedKey = func() { asked++ }
	o := b.Video(1, stream.H264, feed.Label{})
	for i := range 60 {
		tm := at(40 * i)
		if i == 10 || i == 12 { // instead of the damaged picture
			v.Lost(ingest.DropLost)
		} else if err := v.Write(pictures(c, i, i == 0), tm); err != nil {
			t.Fatal(err)
		}
		if err := o.Write(pictures(c, i, i == 0), tm); err != nil {
			t.Fatal(err)
		}
		if (i%25 == 0) != v.Keyframe().Equal(b.now) {
			t.Errorf("picture %d: the last key frame came at %v", i, v.Keyframe())
		}
		b.now = b.now.Add(40 * time.Millisecond)
	}
	if n, m := len(b.of(0)), len(b.of(1)); n != 10+35 || m != 60 {
		t.Errorf("%d and %d frames", n, m)
	}
	if !b.of(0)[10].Key || b.drops[ingest.DropLost] != 2 || b.drops[ingest.DropBeforeKeyframe] != 13 || asked != 1 {
		t.Errorf("drops %v, asked %d times", b.drops, asked)
	}
}

// TestStartAtOpenGroup: where decoding starts at a CRA picture, those that refer to pictures before it are left out.
func TestStartAtOpenGroup(t *testing.T) {
	t.Parallel()
	c := clips(t)["hevc"]
	cra := 0
	for i := range c.Samples {
		if i > 0 && c.Samples[i].Key {
			cra = i
			break
		}
	}
	leading := 0
	for _, s := range c.Samples[cra:] {
		if typ := testkit.Slices(c.Codec, s.Payload)[0] >> 1; typ == 8 || typ == 9 {
			leading++
		}
	}
	if cra == 0 || leading == 0 {
		t.Fatal("the clip has no open group")
	}
	for _, lost := range []bool{false, true} {
		b := newBench()
		v := b.Video(0, stream.HEVC, feed.Label{})
		from := cra
		if lost {
			from = 0
		}
		for i := from; i < len(c.Samples); i++ {
			s := c.Samples[i]
			if lost && i == cra-5 {
				v.Lost(ingest.DropLost)
				continue
			}
			if err := v.Write(pictures(c, i, i == from), feed.Time{PTS: ticks(s.DTS + s.Offset), Rate: 90000}); err != nil {
				t.Fatal(err)
			}
		}
		want, drops := len(c.Samples)-from-leading, leading
		if lost {
			want, drops = want-5, drops+4
		}
		if len(b.frames) != want || b.drops[ingest.DropBeforeKeyframe] != drops {
			t.Errorf("lost %v: %d frames of %d, drops %v", lost, len(b.frames), want, b.drops)
		}
		for i, f := range b.frames {
			if f.DTS > f.PTS || i > 0 && f.DTS <= b.frames[i-1].DTS {
				t.Errorf("frame %d: DTS %d PTS %d", i, f.DTS, f.PTS)
			}
		}
	}
}

// TestNoKeyFrameForTooLong ends the session, unless another track can be seen.
func TestNoKeyFrameForTooLong(t *testing.T) {
	t.Parallel()
	c := plain(t)
	for _, other := range []bool{false, true} {
		b := newBench()
		v := b.Video(0, stream.H264, feed.Label{})
		if other {
			if err := b.Video(1, stream.H264, feed.Label{}).Write(pictures(c, 0, true), at(0)); err != nil {
				t.Fatal(err)
			}
		}
		if err := v.Write(pictures(c, 0, true), at(0)); err != nil {
			t.Fatal(err)
		}
		v.Lost(ingest.DropLost)
		var err error
		n := 1
		for ; n < 2000 && err == nil; n++ {
			err = v.Write(pictures(c, 1, false), at(40*n))
		}
		var r *ingest.Refusal
		if got := errors.As(err, &r) && r.Reason == ingest.ReasonNoKeyframe; got == other || got && (n < 745 || n > 755) {
			t.Errorf("other track %v: after %d pictures %v", other, n, err)
		}
	}
}

// TestNoParameterSets ends the session too.
func TestNoParameterSets(t *testing.T) {
	t.Parallel()
	c := plain(t)
	b := newBench()
	v := b.Video(0, stream.H264, feed.Label{})
	var err error
	for n := 0; n < 2000 && err == nil; n++ {
		err = v.Write(testkit.NALUnits([]byte(testkit.Slices("", c.Samples[1].Payload))), at(40*n))
	}
	var r *ingest.Refusal
	if !errors.As(err, &r) || r.Reason != ingest.ReasonNoCodecData || len(b.frames) != 0 {
		t.Errorf("%v, %d frames", err, len(b.frames))
	}
}

// TestParametersApart declares the track before the first picture.
func TestParametersApart(t *testing.T) {
	t.Parallel()
	for name, c := range clips(t) {
		b := newBench()
		v := b.Video(2, codecs[c.Codec], feed.Label{Name: "Main"})
		if err := v.Parameters(c.ParameterSets()); err != nil {
			t.Fatal(err)
		}
		if len(b.tracks) != 1 || b.tracks[0].ID != 2 || b.tracks[0].Width != 128 || b.tracks[0].FrameRate != 25 || b.tracks[0].Name != "Main" {
			t.Errorf("%s: %+v", name, b.tracks)
		}
		if err := v.Write(pictures(c, 0, true), at(0)); err != nil || len(b.tracks) != 1 || len(b.frames) != 1 {
			t.Errorf("%s: %v, %d tracks", name, err, len(b.tracks))
		}
		if _, err := codec.NewVideo(codecs[c.Codec], b.tracks[0].Config); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestChangeInBand makes a new track at the key frame.
func TestChangeInBand(t *testing.T) {
	t.Parallel()
	small, large := plain(t), testkit.Encode(t, testkit.AVC, "testsrc2=size=640x360:rate=25:duration=2", "-c:v", "libx264", "-preset", "ultrafast", "-g", "25", "-pix_fmt", "yuv420p")
	b := newBench()
	v := b.Video(0, stream.H264, feed.Label{})
	for i := range 50 {
		c := small
		if i >= 25 {
			c = large
		}
		if err := v.Write(pictures(c, i, i%25 == 0), at(40*i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.tracks) != 2 || b.tracks[1].Width != 640 || len(b.frames) != 50 || b.frames[24].Track != b.tracks[0] || b.frames[25].Track != b.tracks[1] {
		t.Errorf("%d tracks, %d frames", len(b.tracks), len(b.frames))
	}
	var err error
	n := 0
	for ; n < 100 && err == nil; n++ {
		err = v.Write(pictures([]*testkit.Clip{small, large}[n%2], 0, true), at(3000+40*n))
	}
	var r *ingest.Refusal
	if !errors.As(err, &r) || r.Reason != ingest.ReasonBadMedia || n < 16 || n > 18 {
		t.Errorf("after %d changes: %v", n, err)
	}
}

// TestVP8 needs no codec data.
func TestVP8(t *testing.T) {
	t.Parallel()
	c := vp8(t)
	b := newBench()
	v := b.Video(0, stream.VP8, feed.Label{})
	for i := 3; i < 75; i++ { // not from the first key frame on
		if err := v.Write(pictures(c, i, false), at(40*i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.tracks) != 1 || b.tracks[0].Width != 128 || len(b.frames) != 75-25 || !b.frames[0].Key || b.frames[1].DTS != b.frames[1].PTS || b.drops[ingest.DropBeforeConfig] != 22 {
		t.Errorf("%+v, %d frames, drops %v", b.tracks, len(b.frames), b.drops)
	}
}

// TestRefusedTrack: what the door says goes to the client.
func TestRefusedTrack(t *testing.T) {
	t.Parallel()
	b := newBench()
	b.refuse = ingest.Refuse(ingest.ReasonUnsupportedCodec, "no")
	if err := b.Video(0, stream.VP8, feed.Label{}).Write(pictures(vp8(t), 0, false), at(0)); !errors.Is(err, b.refuse) {
		t.Error(err)
	}
}

func TestTooManyTracks(t *testing.T) {
	t.Parallel()
	c := plain(t)
	b := newBench()
	for id := range 1000 {
		if err := b.Video(id, stream.H264, feed.Label{}).Write(pictures(c, 0, true), at(0)); err != nil {
			t.Fatal(err)
		}
		if a, err := b.AAC(100+id, []byte{0x12, 0x10}, feed.Label{}); err != nil {
			t.Fatal(err)
		} else if err := a.Write([]byte("aac"), at(0)); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.tracks) != 32 || len(b.frames) != 32 || b.drops[ingest.DropExcessTrack] != 2*(1000-16) || strings.Count(b.log.String(), "more tracks") != 1 {
		t.Errorf("%d tracks, %d frames, drops %v\n%s", len(b.tracks), len(b.frames), b.drops, b.log.String())
	}
}

func TestTooLargeAccessUnits(t *testing.T) {
	t.Parallel()
	c := plain(t)
	b := newBench()
	v := b.Video(0, stream.H264, feed.Label{})
	for _, units := range [][][]byte{{make([]byte, 8<<20+1)}, slices.Repeat([][]byte{{0x41}}, 5000), slices.Repeat([][]byte{make([]byte, 1<<20)}, 9)} {
		if err := v.Write(units, at(0)); err != nil {
			t.Fatal(err)
		}
	}
	if b.drops[ingest.DropDamaged] != 3 || len(b.frames) != 0 {
		t.Errorf("drops %v", b.drops)
	}
	if err := v.Write(pictures(c, 0, true), at(0)); err != nil || len(b.frames) != 1 {
		t.Errorf("afterwards: %v, %d frames", err, len(b.frames))
	}
}

func TestAudio(t *testing.T) {
	t.Parallel()
	b := newBench()
	must := func(a *feed.Audio, err error) *feed.Audio {
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	write := func(a *feed.Audio, payload []byte, tm feed.Time) {
		if err := a.Write(payload, tm); err != nil {
			t.Fatal(err)
		}
	}
	aac := must(b.AAC(100, []byte{0x12, 0x10}, feed.Label{Language: "deu", Name: "Ton"}))
	opus := must(b.Opus(101, 2, nil, feed.Label{Language: "fre"}))
	mp3 := b.MP3(102, feed.Label{})
	pcm := b.G711(103, stream.PCMU, 8000, 1, feed.Label{})
	write(aac, []byte("a"), at(1000))
	write(opus, []byte{0xFC, 1, 2}, feed.Time{PTS: 48000, Rate: 48000})
	frame := append([]byte{0xFF, 0xF3, 0x84, 0x64}, make([]byte, 188)...)
	write(mp3, append(bytes.Clone(frame), frame...), at(1000))
	write(pcm, make([]byte, 160), at(1000))
	want := []struct {
		id, duration int
		at           int64
		language     string
	}{{100, 1024, 44100, "de"}, {101, 960, 48000, "fr"}, {102, 576, 24000, ""}, {102, 576, 24576, ""}, {103, 160, 8000, ""}}
	for i, w := range want {
		f := b.frames[i]
		if f.Track.ID != w.id || f.Duration != int64(w.duration) || f.DTS != w.at || f.PTS != w.at || !f.Key || f.Track.Language != w.language {
			t.Errorf("frame %d: %+v of %+v", i, f, f.Track)
		}
	}
	if b.frames[0].Track.Name != "Ton" || len(b.tracks) != 4 || b.tracks[1].Channels != 2 {
		t.Errorf("tracks %+v", b.tracks)
	}
	// What is damaged is counted, and changes nothing.
	write(opus, []byte{3}, at(1020))
	write(mp3, frame[:50], at(1020))
	opus.Lost(ingest.DropLost)
	if b.drops[ingest.DropDamaged] != 2 || b.drops[ingest.DropLost] != 1 || len(b.frames) != 5 {
		t.Errorf("drops %v", b.drops)
	}
	for _, bad := range [][]byte{nil, {0xFF}, {0x0A, 0x10}} {
		var r *ingest.Refusal
		if _, err := b.AAC(100, bad, feed.Label{}); !errors.As(err, &r) || !strings.Contains(r.Message, "AAC") {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

// TestCommands: a command belongs to the picture that is shown at its time, whichever of the two comes first, in whatever
// order pictures come.
func TestCommands(t *testing.T) {
	t.Parallel()
	c := clips(t)["avc pyramid"]
	const n = 100
	shown := func(i int) int64 { return 900000 + ticks(c.Samples[i].DTS+c.Samples[i].Offset) }
	for _, early := range []int{-3, 0, 6} { // by how many pictures the command comes before its picture
		b := newBench()
		v := b.Video(0, stream.H264, feed.Label{})
		for i := range n {
			if j := i + early; j >= 0 && j < n-10 && j%7 == 0 {
				if err := b.Command(stream.DataID3, shown(j), fmt.Append(nil, j), nil); err != nil {
					t.Fatal(err)
				}
			}
			if err := v.Write(pictures(c, i, i == 0), feed.Time{PTS: shown(i), Rate: 90000}); err != nil {
				t.Fatal(err)
			}
			b.now = b.now.Add(40 * time.Millisecond)
		}
		if len(b.data) < (n-10)/7 {
			t.Errorf("%d early: %d commands", early, len(b.data))
		}
		for _, d := range b.data {
			var j int
			fmt.Sscan(d.Values[0].(string), &j)
			if j < early || j == 0 { // there was no picture yet
				continue
			}
			if f := b.frames[j]; d.PTS != f.DTS || f.PTS != shown(j) || d.Name != stream.DataID3 {
				t.Errorf("%d early: the command of picture %d, decoded at %d, is at %d", early, j, f.DTS, d.PTS)
			}
		}
	}
}

// TestCommandNow belongs to the next picture.
func TestCommandNow(t *testing.T) {
	t.Parallel()
	c := plain(t)
	b := newBench()
	v := b.Video(0, stream.H264, feed.Label{})
	for i := range 5 {
		if err := v.Write(pictures(c, i, i == 0), at(40*i)); err != nil {
			t.Fatal(err)
		}
	}
	var told []stream.Reply
	reply := func(r stream.Reply) { told = append(told, r) }
	if err := b.Command(stream.DataChannel, 0, []byte(`{}`), reply); err != nil {
		t.Fatal(err)
	}
	if d := b.data[0]; d.PTS <= 160*90 || d.PTS > 200*90 || d.Values[0] != "{}" || d.Reply == nil {
		t.Errorf("%+v", d)
	}
	if err := b.Command(stream.DataChannel, 0, make([]byte, 16<<10+1), reply); err != nil || len(told) != 1 || told[0].Refused == "" {
		t.Errorf("%v %v", err, told)
	}
	for range 400 {
		if err := b.Command(stream.DataChannel, 0, []byte(`{}`), reply); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.data) != 200 || b.drops[ingest.DropExcessMessage] != 201 || b.drops[ingest.DropLargeMessage] != 1 || len(told) != 202 {
		t.Errorf("%d commands, drops %v, %d told", len(b.data), b.drops, len(told))
	}
	b.now = b.now.Add(time.Second)
	if err := b.Command(stream.DataChannel, 0, nil, nil); err != nil || len(b.data) != 201 {
		t.Errorf("%v, %d commands", err, len(b.data))
	}
}

// TestSEI: commands within pictures come with the picture's time.
func TestSEI(t *testing.T) {
	t.Parallel()
	c := clips(t)["avc B-frames"]
	b := newBench()
	v := b.Video(0, stream.H264, feed.Label{})
	for i := range 10 {
		s := &c.Samples[i]
		if i == 4 {
			s = c.WithSEI(s, `{"op":"hide"}`)
		}
		units := append(c.ParameterSets(), testkit.NALUnits(bytes.Clone(s.Payload))...)
		if err := v.Write(units, feed.Time{PTS: ticks(s.DTS + s.Offset), Rate: 90000}); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.data) != 1 || b.data[0].Name != stream.DataSEI || b.data[0].PTS != b.frames[4].DTS || b.data[0].Values[0] != `{"op":"hide"}` {
		t.Errorf("%+v", b.data)
	}
}

// FuzzWrite: units and times of any kind do no harm, and DTS of what is passed on rises by itself.
func FuzzWrite(f *testing.F) {
	f.Add(byte(0), int64(90000), int64(3600), []byte{0x67, 0x42, 0, 0x1f, 0, 0x68, 0xce, 0, 0x65, 1, 2, 3})
	f.Fuzz(func(t *testing.T, kind byte, pts, step int64, b []byte) {
		p := &publication{drops: map[ingest.DropReason]int{}}
		fd := feed.New(feed.Options{Publication: p, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
		c := []stream.Codec{stream.H264, stream.HEVC, stream.AV1, stream.VP8, stream.VP9}[kind%5]
		v := fd.Video(0, c, feed.Label{Name: string(b), Language: string(b)})
		units := bytes.Split(b, []byte{0, 0})
		for i := range 4 {
			tm := feed.Time{PTS: pts, Rate: int(step)}
			pts += step
			if err := v.Write(units, tm); err != nil {
				return
			}
			if i == 1 {
				v.Lost(ingest.DropLost)
			}
			if err := fd.Command(stream.DataID3, pts, b, nil); err != nil {
				return
			}
		}
		if a, err := fd.AAC(100, b, feed.Label{}); err == nil {
			_ = a.Write(b, feed.Time{PTS: pts, Rate: int(step)})
		}
		_ = fd.MP3(101, feed.Label{}).Write(b, feed.Time{PTS: pts, Rate: int(step)})
	})
}

// sink passes frames on to nobody.
type sink struct{ publication }

func (*sink) Write(*stream.Frame) error { return nil }

// BenchmarkVideoWrite is an access unit's way from its NAL units to the door.
func BenchmarkVideoWrite(b *testing.B) {
	for _, name := range []string{"avc pyramid", "hevc"} {
		b.Run(name, func(b *testing.B) {
			c := clips(b)[name]
			f := feed.New(feed.Options{Publication: &sink{}, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
			v := f.Video(0, codecs[c.Codec], feed.Label{})
			var all [][][]byte
			for i, s := range c.Samples {
				all = append(all, pictures(c, i, s.Key))
			}
			length := ticks(c.Length)
			i := 0
			b.ReportAllocs()
			for b.Loop() {
				s := &c.Samples[i%len(all)]
				if err := v.Write(all[i%len(all)], feed.Time{PTS: ticks(s.DTS+s.Offset) + int64(i/len(all))*length, Rate: 90000}); err != nil {
					b.Fatal(err)
				}
				i++
			}
		})
	}
}
