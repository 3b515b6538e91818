package ts

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// sliced is a picture of several slices, of which the later ones do not begin one.
func sliced(key bool, n, size int, mark byte) []byte {
	b := picture(key, size, mark)
	for range n - 1 {
		slice := bytes.Repeat([]byte{mark | 1}, size)
		slice[0], slice[1] = 0x41, 0x1A
		if key {
			slice[0] = 0x65
		}
		b = append(append(b, 0, 0, 1), slice...)
	}
	return b
}

// header is that of a PES without a length.
func header(pts int64) []byte {
	if pts < 0 {
		return []byte{0, 0, 1, 0xE0, 0, 0, 0x80, 0, 0}
	}
	return []byte{0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5, byte(pts>>29)&0x0E | 0x21, byte(pts >> 22), byte(pts>>14) | 1, byte(pts >> 7), byte(pts<<1) | 1}
}

// whole tells whether what came are the pictures that were sent, up to what a sample leaves out.
func whole(t *testing.T, p *publication, sent map[int64][]byte) {
	t.Helper()
	base := int64(-1)
	for i, f := range p.frames {
		if base < 0 {
			base = f.PTS - 90000
		}
		au := sent[f.PTS-base]
		units, _ := splitUnits(nil, au)
		n := 0
		for _, u := range units {
			if k := u[0] & 31; k == 1 || k == 5 {
				n += 4 + len(u)
			}
		}
		if len(f.Payload) < n {
			t.Errorf("picture %d at %d has %d bytes of %d", i, f.PTS-base, len(f.Payload), n)
		}
	}
}

// TestSlicesFlushedApart: an encoder that sends each slice as it is ready stuffs its last packet, which is the end of the
// picture only by chance. While pictures are small they fit one packet.
func TestSlicesFlushedApart(t *testing.T) {
	t.Parallel()
	m := newMuxer()
	begin(m)
	sent := map[int64][]byte{}
	r, p := newTest(t)
	for i := range 120 {
		pts := 90000 + int64(i)*3600
		size := 10
		if i > 60 {
			size = 700
		}
		au := sliced(i%10 == 0, 4, size, byte(i))
		sent[pts] = au
		if i <= 60 {
			m.pes(videoPID, 0xE0, pts, -1, false, au)
		} else {
			at := bytes.LastIndex(au, startCode)
			first := append(header(pts), au[:at]...)
			for start := true; len(first) > 0; start = false {
				first = first[m.packet(videoPID, start, 0, first):]
			}
			feedAll(t, r, m.out) // in a datagram of its own
			m.out = nil
			for rest := au[at:]; len(rest) > 0; {
				rest = rest[m.packet(videoPID, false, 0, rest):]
			}
		}
		feedAll(t, r, m.out)
		m.out = nil
	}
	whole(t, p, sent)
	if len(p.frames) != 119 || len(p.drops) != 0 {
		t.Errorf("%d pictures, drops %v", len(p.frames), p.drops)
	}
}

// TestPictureInSeveralPES: a PES with a length has at most 65,535 bytes, and its sender may go on in others without a time.
func TestPictureInSeveralPES(t *testing.T) {
	t.Parallel()
	for _, limit := range []int{2000, 65000} {
		t.Run(fmt.Sprint(limit), func(t *testing.T) {
			t.Parallel()
			m := newMuxer()
			begin(m)
			sent := map[int64][]byte{}
			for i := range 60 {
				pts := 90000 + int64(i)*3600
				size := 300
				if i%10 == 0 {
					size = 90_000
				}
				au := picture(i%10 == 0, size, byte(i))
				sent[pts] = au
				for part := range slices.Chunk(au, limit) {
					m.pes(videoPID, 0xE0, pts, -1, true, part)
					pts = -1
				}
			}
			r, p := newTest(t)
			feedAll(t, r, m.out)
			whole(t, p, sent)
			if len(p.frames) != 59 || len(p.drops) != 0 {
				t.Errorf("%d pictures, drops %v", len(p.frames), p.drops)
			}
		})
	}
}

// TestSeveralPicturesInAPES are not one: they are dropped, and said to be.
func TestSeveralPicturesInAPES(t *testing.T) {
	t.Parallel()
	m := newMuxer()
	begin(m)
	pictures(m, 5, 90000, 300)
	m.pes(videoPID, 0xE0, 90000+5*3600, -1, false, append(picture(false, 300, 5), picture(false, 300, 6)...))
	pictures(m, 3, 90000+7*3600, 300)
	r, p := newTest(t)
	feedAll(t, r, m.out)
	if len(p.frames) != 7 || p.drops[ingest.DropDamaged] != 1 {
		t.Errorf("%d pictures, drops %v", len(p.frames), p.drops)
	}
}

// TestBeginningIsMissing: slices that do not begin a picture are none.
func TestBeginningIsMissing(t *testing.T) {
	t.Parallel()
	m := newMuxer()
	begin(m)
	pictures(m, 5, 90000, 300)
	au := sliced(false, 2, 300, 3)
	m.pes(videoPID, 0xE0, 90000+5*3600, -1, false, au[bytes.LastIndex(au, startCode):])
	pictures(m, 3, 90000+7*3600, 300)
	r, p := newTest(t)
	feedAll(t, r, m.out)
	if len(p.frames) != 7 || p.drops[ingest.DropDamaged] != 1 {
		t.Errorf("%d pictures, drops %v", len(p.frames), p.drops)
	}
}

// TestLostAudioIsNotFoundInTheMiddle: behind a loss the rest of a frame may look like the head of another.
func TestLostAudioIsNotFoundInTheMiddle(t *testing.T) {
	t.Parallel()
	var all []byte
	sent := map[string]bool{}
	for i := range 200 {
		f := adtsFrame(300)
		for at := 10; at+20 < len(f); at += 30 { // 44.1 kHz mono, in the middle of another frame
			copy(f[at:], []byte{0xFF, 0xF1, 0x50, 0x40, 0x02, 0x7F, 0xFC})
		}
		f[len(f)-1] = byte(i)
		sent[string(f[7:])] = true
		all = append(all, f...)
	}
	m := newMuxer()
	begin(m, es{kind: 0x0F, pid: audioPID})
	size := len(all) / 200
	for at := 0; at < len(all); at += 500 {
		first := (at + size - 1) / size
		m.pes(audioPID, 0xC0, 90000+int64(first)*1920, -1, true, all[at:min(at+500, len(all))])
	}
	rng := rand.New(rand.NewPCG(4, 4))
	r, p := newTest(t)
	for at := 0; at < len(m.out); at += packetSize {
		if at > 3*packetSize && rng.IntN(20) == 0 {
			continue
		}
		if err := r.Write(m.out[at : at+packetSize]); err != nil {
			t.Fatal(err)
		}
	}
	frames := p.of(100)
	for i, f := range frames {
		if !sent[string(f.Payload)] {
			t.Errorf("frame %d was never sent: %d bytes", i, len(f.Payload))
		}
		if off := (f.DTS - frames[0].DTS) % 1024; off != 0 {
			t.Errorf("frame %d is %d samples from where it belongs", i, off)
		}
	}
	if len(p.tracks) != 1 || len(frames) < 100 || len(frames) > 195 {
		t.Errorf("%d tracks, %d frames, drops %v", len(p.tracks), len(frames), p.drops)
	}
}

// TestMuxers: real muxers' streams in datagrams as SRT brings them are handed on as they are without guessing, and so at a
// constant rate and with several slices in a picture.
func TestMuxers(t *testing.T) {
	t.Parallel()
	x264 := []string{"-t", "4", "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-c:a", "aac"}
	gst := func(t *testing.T, mux ...string) []byte {
		args := append(append([]string{"-q", "mpegtsmux", "name=mux", "alignment=7"}, mux...), "!", "fdsink",
			"videotestsrc", "pattern=ball", "num-buffers=100", "!", "video/x-raw,width=320,height=180,framerate=25/1", "!",
			"x264enc", "speed-preset=ultrafast", "key-int-max=25", "bframes=2", "!", "h264parse", "!", "mux.",
			"audiotestsrc", "num-buffers=188", "!", "audio/x-raw,rate=48000,channels=2", "!", "avenc_aac", "!", "aacparse", "!", "mux.")
		out, err := exec.CommandContext(t.Context(), "gst-launch-1.0", args...).Output()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, make := range map[string]func(*testing.T) []byte{
		"ffmpeg":               func(t *testing.T) []byte { return ffmpeg(t, x264...) },
		"ffmpeg, slices":       func(t *testing.T) []byte { return ffmpeg(t, append(x264, "-slices", "4", "-b:v", "2M")...) },
		"ffmpeg, limited size": func(t *testing.T) []byte { return ffmpeg(t, append(x264, "-x264-params", "slice-max-size=700")...) },
		"ffmpeg, CBR": func(t *testing.T) []byte {
			return ffmpeg(t, append(x264, "-b:v", "1M", "-maxrate", "1M", "-bufsize", "500k", "-muxrate", "3M")...)
		},
		"ffmpeg, CBR, PCR": func(t *testing.T) []byte {
			return ffmpeg(t, append(x264, "-b:v", "1M", "-muxrate", "3M", "-pcr_period", "5")...)
		},
		"ffmpeg, lengths": func(t *testing.T) []byte { return ffmpeg(t, append(x264, "-omit_video_pes_length", "0")...) },
		"ffmpeg, large": func(t *testing.T) []byte {
			return ffmpeg(t, append(x264, "-omit_video_pes_length", "0", "-s", "1280x720", "-qp", "4")...)
		},
		"ffmpeg, HEVC, CBR": func(t *testing.T) []byte {
			return ffmpeg(t, "-t", "4", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=2:keyint=25:slices=2", "-c:a", "aac", "-muxrate", "3M")
		},
		"GStreamer":      func(t *testing.T) []byte { return gst(t) },
		"GStreamer, CBR": func(t *testing.T) []byte { return gst(t, "bitrate=4000000") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := make(t)
			careful, want := newTest(t)
			careful.careful = true
			r, p := newTest(t)
			feedAll(t, careful, b)
			feedAll(t, r, b)
			pictures, expected := p.of(0), want.of(0)
			if len(expected) < 97 || len(pictures) < len(expected) || len(pictures) > len(expected)+1 || len(p.drops) != 0 {
				t.Fatalf("%d pictures, %d without guessing, drops %v, %+v", len(pictures), len(expected), p.drops, r.Stats())
			}
			for i, f := range expected {
				if g := pictures[i]; f.DTS != g.DTS || f.PTS != g.PTS || !bytes.Equal(f.Payload, g.Payload) {
					t.Errorf("picture %d has %d bytes, without guessing %d", i, len(g.Payload), len(f.Payload))
				}
			}
			if video := p.track(0); strings.Contains(name, "HEVC") != (video.Codec == stream.HEVC) {
				t.Errorf("%+v", video)
			}
		})
	}
}

// TestTwoFieldsInAPES are one picture of an interlaced stream, each with a delimiter; three are not.
func TestTwoFieldsInAPES(t *testing.T) {
	t.Parallel()
	r, _ := newTest(t)
	v := &video{r: r, codec: stream.H264}
	count := func(n int) contents {
		var units [][]byte
		for range n {
			units = append(units, []byte{9, 0xF0}, []byte{0x41, 0x9A, 1}, []byte{0x41, 0x1A, 1})
		}
		return v.count(units)
	}
	v.remember(testSPS)
	if v.fields || !v.several(count(2)) || v.several(count(1)) {
		t.Error("progressive")
	}
	v.fields = true
	if v.several(count(2)) || !v.several(count(3)) {
		t.Error("interlaced")
	}
	v = &video{r: r, codec: stream.HEVC}
	if c := v.count([][]byte{{0x02, 0x01, 0xD0}, {0x02, 0x09, 0xD0}}); v.several(c) || c.slices != 1 {
		t.Errorf("a second layer counts: %+v", c)
	}
}
