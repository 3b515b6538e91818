package testkit

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// free finds a port that nobody listens on.
func free(t *testing.T, network string) string {
	t.Helper()
	if network == "udp" {
		c, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.LocalAddr().String()
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// recorded is a frame as ffprobe finds it in a file.
type recorded struct {
	Kind string `json:"codec_type"`
	PTS  string `json:"pts_time"`
	DTS  string `json:"dts_time"`
	Key  string `json:"flags"`
}

// TestSourcesSpeakToFFmpeg has the kit's own clients publish to ffmpeg: it understands them, and gets every frame in its time.
func TestSourcesSpeakToFFmpeg(t *testing.T) {
	t.Parallel()
	// RTP has no decoding times, which Matroska wants to know where they differ.
	straight, ordered := Pictures(t), Pictures(t, "-bf", "2", "-tune", "film")
	for _, c := range []struct {
		name, network string
		input         func(address string) []string
		open          func(address string, s Show) (Source, error)
		wrap          uint64
		video         *Clip
	}{
		{"rtsp/tcp", "tcp", listenRTSP, func(a string, s Show) (Source, error) { return source(OpenRTSP(t, a, s, false, nil)) }, 1<<32 - 90000, straight},
		{"rtsp/udp", "tcp", listenRTSP, func(a string, s Show) (Source, error) { return source(OpenRTSP(t, a, s, true, nil)) }, 0, straight},
		{"srt", "udp", func(a string) []string { return []string{"-f", "mpegts", "-i", "srt://" + a + "?mode=listener"} },
			func(a string, s Show) (Source, error) { return source(DialSRT(t, a, StreamID("show", ""), s, nil)) }, 1<<33 - 180000, ordered},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tracks := []Media{{Clip: c.video}, {Clip: Sound(t), Language: "deu"}}
			file := filepath.Join(t.TempDir(), "out.mkv")
			address := free(t, c.network)
			p := FFmpeg(t, append(c.input(address), "-map", "0:v", "-map", "0:a", "-c", "copy", file)...)
			var src Source
			Eventually(t, "ffmpeg listens", func() bool {
				var err error
				src, err = c.open(address, Show{Name: "show", Tracks: tracks, Origin: c.wrap})
				return err == nil
			})
			if err := Send(t.Context(), src, tracks, Stretch{To: 3 * time.Second, Speed: 1}); err != nil {
				p.Wait(t)
				t.Log(p.Log)
				t.Fatal(err)
			}
			src.Leave()
			p.Wait(t)
			judgeRecording(t, file, src.Sent(), p.Log.String())
		})
	}
}

func source[S Source](s S, err error) (Source, error) { return s, err }

func listenRTSP(address string) []string {
	return []string{"-rtsp_flags", "listen", "-i", "rtsp://" + address + "/live/show"}
}

// judgeRecording wants nearly all frames in a file, at times that rise as those sent did.
func judgeRecording(t *testing.T, file string, sent []Sent, log string) {
	t.Helper()
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	out, errs, err := Output(t, "ffprobe", "-loglevel", "error", "-show_packets", "-of", "json", file)
	if err != nil {
		t.Fatalf("ffprobe: %v: %s", err, errs)
	}
	var found struct{ Packets []recorded }
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatal(err)
	}
	count, spread := map[bool]int{}, map[bool][2]float64{}
	for _, s := range sent {
		count[s.Video]++
	}
	got := map[bool]int{}
	for _, p := range found.Packets {
		video := p.Kind == "video"
		at, _ := strconv.ParseFloat(p.PTS, 64)
		got[video]++
		if x, ok := spread[video]; !ok {
			spread[video] = [2]float64{at, at}
		} else {
			spread[video] = [2]float64{min(x[0], at), max(x[1], at)}
		}
	}
	for _, video := range []bool{true, false} {
		// What stands in front of the program's tables, and what ffmpeg throws away to find its footing, may be missing.
		if got[video] < count[video]*9/10 || got[video] > count[video] {
			t.Errorf("video %v: %d of %d frames came\n%s", video, got[video], count[video], log)
		}
		if d := spread[video][1] - spread[video][0]; d < 2.5 || d > 3.1 {
			t.Errorf("video %v: they span %.2f s\n%s", video, d, log)
		}
	}
}

// TestLineIsDeterministic spoils the same packets each time.
func TestLineIsDeterministic(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) string {
		got := make(chan string, 2000)
		l := newLine(&Impairment{Seed: seed, Loss: 0.1, Duplicate: 0.05, Spare: 10}, func(b []byte) { got <- string(b) })
		for i := range 1000 {
			l.put(fmt.Appendf(nil, "%d ", i))
		}
		want := 1000 - l.Lost()
		text := ""
		for n := 0; n < want; n++ {
			text += <-got
		}
		l.close()
		return text
	}
	one, again, other := run(1), run(1), run(2)
	if one != again {
		t.Error("the same seed did something else")
	}
	if one == other {
		t.Error("another seed did the same")
	}
}

// TestRelay carries datagrams there and back, until the cable is pulled.
func TestRelay(t *testing.T) {
	t.Parallel()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		b := make([]byte, 100)
		for {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			server.WriteTo(append([]byte("re: "), b[:n]...), from)
		}
	}()
	r := NewRelay(t, server.LocalAddr().String(), Impairment{Delay: 20 * time.Millisecond})
	c, err := net.Dial("udp", r.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	begin := time.Now()
	c.Write([]byte("hello"))
	c.SetReadDeadline(begin.Add(patience))
	b := make([]byte, 100)
	n, err := c.Read(b)
	if err != nil || string(b[:n]) != "re: hello" {
		t.Fatalf("%q, %v", b[:n], err)
	}
	if d := time.Since(begin); d < 40*time.Millisecond {
		t.Errorf("there and back in %v, want 40 ms at least", d)
	}
	r.Pull()
	c.Write([]byte("hello"))
	c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	if n, err := c.Read(b); err == nil {
		t.Errorf("with the cable pulled %q came", b[:n])
	}
}

// TestVP8Clip reads what it made.
func TestVP8Clip(t *testing.T) {
	t.Parallel()
	c := VP8Pictures(t)
	keys := 0
	for _, s := range c.Samples {
		if s.Key {
			keys++
		}
	}
	if len(c.Samples) != clipLength*10 || keys < clipLength || c.Length != clipLength*time.Second || !c.Samples[0].Key {
		t.Errorf("%d frames, %d key frames, %v", len(c.Samples), keys, c.Length)
	}
}
