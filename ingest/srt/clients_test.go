package srt

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

func srtURL(addr, id string, more ...string) string {
	return "srt://" + addr + "?mode=caller&streamid=" + url.QueryEscape(id) + strings.Join(more, "")
}

// camera are ffmpeg's arguments for a camera and two microphones, in real time: SRT's packets carry the time of sending.
func camera(url string, coding ...string) []string {
	args := []string{"-hide_banner", "-nostdin", "-loglevel", "error", "-re", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25",
		"-re", "-f", "lavfi", "-i", "sine=sample_rate=48000", "-map", "0:v", "-map", "1:a", "-map", "1:a", "-t", "2",
		"-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=deu"}
	return append(append(args, coding...), "-f", "mpegts", url)
}

func TestFFmpegPublishes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		codec  stream.Codec
		coding []string
		id     string
	}{
		"H.264 with B-frames, standard form": {stream.H264, []string{"-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-c:a", "aac"}, "#!::r=live/show,m=publish,s=secret"},
		"HEVC, plain, encrypted":             {stream.HEVC, []string{"-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=none:bframes=2:keyint=25", "-c:a", "aac"}, "publish:live/show?key=secret"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			door := newFakeDoor()
			opt := Options{Door: door}
			more := ""
			if strings.Contains(name, "encrypted") {
				opt.Passphrase, more = "correct-horse", "&passphrase=correct-horse&pbkeylen=32"
			}
			addr, _, _ := startServer(t, opt)
			run(t, "ffmpeg", camera(srtURL(addr, c.id, more), c.coding...)...)
			p := opened(t, door)
			if err := ended(t, p); err != nil {
				t.Errorf("ended with %v", err)
			}
			if p.request.Stream != "show" || p.request.Key != "secret" {
				t.Errorf("%+v", p.request)
			}
			languages := map[int]string{}
			for _, track := range p.tracks {
				languages[track.ID] = fmt.Sprint(track.Codec, track.Language)
			}
			if languages[0] != c.codec.String() || languages[100] != "AACen" || languages[101] != "AACde" {
				t.Errorf("tracks %v", languages)
			}
			// Nothing tells that the very last one is complete, if it fills its last packet; and what has not been sent when
			// ffmpeg closes is not sent any more.
			if n := len(p.of(0)); n < 35 || len(p.drops) != 0 {
				t.Errorf("%d pictures, drops %v", n, p.drops)
			}
			reordered := false
			for i, f := range p.of(0)[1:] {
				reordered = reordered || f.PTS != f.DTS
				if d := f.DTS - p.of(0)[i].DTS; d != 3600 {
					t.Errorf("picture %d comes %d ticks after the one before", i+1, d)
				}
			}
			if !reordered {
				t.Error("no B-frames")
			}
		})
	}
}

func TestSRTLiveTransmit(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	addr, log, _ := startServer(t, Options{Door: door, Passphrase: "correct-horse"})
	file := filepath.Join(t.TempDir(), "show.ts")
	if err := os.WriteFile(file, clip(t, secondsOf("3", x264...)...), 0o600); err != nil {
		t.Fatal(err)
	}
	source := "file://con"
	target := srtURL(addr, "#!::r=live/show,m=publish,u=ann,s=secret", "&passphrase=correct-horse&latency=300")
	run(t, "sh", "-c", fmt.Sprintf("ffmpeg -loglevel error -re -i %s -c copy -f mpegts - | timeout -s INT 4 srt-live-transmit -q -a:no -chunk:1316 %s '%s'", file, source, target))
	p := opened(t, door)
	ended(t, p)
	if n := len(p.of(0)); n < 45 || p.request.Key != "secret" {
		t.Errorf("%d pictures, %+v, drops %v", n, p.request, p.drops)
	}
	out := run(t, "sh", "-c", fmt.Sprintf("dd if=%s bs=1316 status=none | timeout -s INT 2 srt-live-transmit -chunk:1316 -a:no %s '%s'", file, source,
		srtURL(addr, "#!::r=live/show,m=publish", "&passphrase=incorrect-horse")))
	if !strings.Contains(log.String(), "passphrase is wrong") {
		t.Errorf("log:\n%s\n%s", log, out)
	}
}

func TestGStreamerPublishes(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	addr, _, _ := startServer(t, Options{Door: door})
	run(t, "gst-launch-1.0", "-q", "mpegtsmux", "name=mux", "alignment=7", "!", "srtsink", "uri="+srtURL(addr, "publish:live/show"),
		"videotestsrc", "is-live=true", "num-buffers=50", "!", "video/x-raw,width=320,height=180,framerate=25/1", "!",
		"x264enc", "speed-preset=ultrafast", "key-int-max=25", "bframes=2", "!", "h264parse", "!", "mux.",
		"audiotestsrc", "is-live=true", "num-buffers=94", "!", "audio/x-raw,rate=48000,channels=2", "!", "avenc_aac", "!", "aacparse", "!", "mux.")
	p := opened(t, door)
	if err := ended(t, p); err != nil {
		t.Errorf("ended with %v", err)
	}
	if v, a := len(p.of(0)), len(p.of(100)); v < 30 || a < 45 || len(p.drops) != 0 {
		t.Errorf("%d pictures, %d audio frames, drops %v", v, a, p.drops)
	}
}

// TestBadLine: 2 % loss and reordering both ways do not show, since what is lost is sent again.
func TestBadLine(t *testing.T) {
	t.Parallel()
	door := newFakeDoor()
	addr, _, _ := startServer(t, Options{Door: door})
	_, front := newHole(t, addr, badLine(1), badLine(2))
	run(t, "ffmpeg", camera(srtURL(front, "live/show", "&latency=4000000"), "-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-g", "25", "-b:v", "3M", "-c:a", "aac", "-t", "3")...)
	p := opened(t, door)
	ended(t, p)
	unbroken(t, p, 50)
}

// unbroken checks that the first n pictures came one after the other. What is lost at the end is not sent again: ffmpeg closes.
func unbroken(t testing.TB, p *fakePub, n int) {
	t.Helper()
	frames := p.of(0)
	if len(frames) < n {
		t.Fatalf("%d pictures, drops %v", len(frames), p.drops)
	}
	for i, f := range frames[1:n] {
		if f.DTS-frames[i].DTS != 3600 {
			t.Fatalf("picture %d comes %d ticks after the one before, drops %v", i+1, f.DTS-frames[i].DTS, p.drops)
		}
	}
}

// badLine loses 2 % and swaps 2 % of the datagrams.
func badLine(seed uint64) func([]byte) [][]byte {
	rng := rand.New(rand.NewPCG(seed, 7))
	var held []byte
	return func(b []byte) [][]byte {
		var out [][]byte
		switch n := rng.IntN(100); {
		case n < 2:
			return nil
		case n < 4 && held == nil:
			held = b
			return nil
		}
		if out = append(out, b); held != nil {
			out = append(out, held)
			held = nil
		}
		return out
	}
}

// TestLossThatIsNotMended: what is lost for good is dropped up to the next key frame, and never sent on.
func TestLossThatIsNotMended(t *testing.T) {
	t.Parallel()
	whole := clip(t, secondsOf("4", x264...)...)
	sent := map[string]bool{}
	{
		door := newFakeDoor()
		addr, _, _ := startServer(t, Options{Door: door})
		c, err := dial(addr, "live/show", nil)
		if err != nil {
			t.Fatal(err)
		}
		send(c, whole)
		p := opened(t, door)
		eventually(t, "99 pictures", func() bool { return len(p.of(0)) >= 99 })
		c.Close()
		ended(t, p)
		for _, f := range p.of(0) {
			sent[fmt.Sprint(f.PTS, f.Payload)] = true
		}
	}
	door := newFakeDoor()
	addr, _, _ := startServer(t, Options{Door: door})
	rng := rand.New(rand.NewPCG(5, 6))
	lost := map[string]bool{}
	_, front := newHole(t, addr, func(b []byte) [][]byte {
		if len(b) < 16 || b[0]&0x80 != 0 {
			return [][]byte{b}
		}
		number := string(b[:4])
		if lost[number] || rng.IntN(100) < 2 {
			lost[number] = true // each time that it is sent
			return nil
		}
		return [][]byte{b}
	}, nil)
	c, err := dial(front, "live/show", nil)
	if err != nil {
		t.Fatal(err)
	}
	send(c, whole)
	p := opened(t, door)
	eventually(t, "the last pictures", func() bool {
		f := p.of(100)
		return len(f) > 0 && f[len(f)-1].PTS-f[0].PTS > 35*4800
	})
	c.Close()
	ended(t, p)
	last := int64(-1)
	for i, f := range p.of(0) {
		if !sent[fmt.Sprint(f.PTS, f.Payload)] {
			t.Errorf("picture %d is not what was sent", i)
		}
		if last >= 0 && f.DTS != last+3600 && !f.Key {
			t.Errorf("picture %d comes after a hole and is no key frame", i)
		}
		last = f.DTS
	}
	if p.drops[ingest.DropLost] == 0 || p.drops[ingest.DropBeforeKeyframe] == 0 || len(p.of(0)) < 10 {
		t.Errorf("%d pictures, drops %v, %d datagrams lost", len(p.of(0)), p.drops, len(lost))
	}
}
