package e2e

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// visitor is who publishes over one protocol, again and again.
type visitor struct {
	*soak
	protocol testkit.Protocol
	name     string
	rand     *rand.Rand
	// shapes are what is sent: the second has pictures of another size.
	shapes [2][]testkit.Media
}

// protocols are all of the test kit, and RTMPS.
func (k *soak) protocols() []testkit.Protocol {
	all := testkit.Protocols()
	secured := testkit.ByName(k.t, "rtmp")
	secured.Name, secured.Label = "rtmps", "rtmps"
	secured.Open = func(t testing.TB, n testkit.Target, s testkit.Show) (testkit.Source, error) {
		return testkit.OpenRTMPS(t, n.Address("rtmps").String(), s, &tls.Config{InsecureSkipVerify: true})
	}
	return append(all, secured)
}

// shapesOf makes what a protocol's visitor sends. It is for the test's goroutine: clips are made here.
func (k *soak) shapesOf(p testkit.Protocol) [2][]testkit.Media {
	other := testkit.Encode(k.t, testkit.AVC, "testsrc2=size=256x144:rate=25", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency",
		"-g", "25", "-pix_fmt", "yuv420p")
	direct := testkit.Pictures(k.t)
	sound := p.Sound(k.t)
	return [2][]testkit.Media{{{Clip: direct}, {Clip: sound}}, {{Clip: other}, {Clip: sound}}}
}

func (v *visitor) between(from, to time.Duration) time.Duration {
	return from + time.Duration(v.rand.Int64N(int64(to-from)))
}

// run comes and goes until the soak is over.
func (v *visitor) run() {
	for v.on() {
		err := testkit.Act(v.ctx, v.t, v.visit)
		if err != nil && v.on() {
			v.fault("%s: %v", v.name, err)
		}
		v.wait(v.between(50*time.Millisecond, 2*time.Second))
	}
}

func (v *visitor) open(t testing.TB, shape int, key string) (testkit.Source, error) {
	s, err := v.protocol.Open(t, v.to, testkit.Show{Name: v.name, Key: key, Tracks: v.shapes[shape]})
	if err == nil {
		v.publishers.Add(1)
	}
	return s, err
}

// visit is one show: once or more on the air, in one of the ways that hosts have.
func (v *visitor) visit(t testing.TB) {
	if v.rand.IntN(5) == 0 {
		v.intrude(t)
		return
	}
	shape := 0
	for more := true; more && v.on(); {
		src, err := v.open(t, shape, publishKey)
		if err != nil {
			if v.on() {
				v.fault("%s: not let in: %v", v.name, err)
			}
			return
		}
		if !v.air(src, shape, v.between(time.Second, 7*time.Second)) {
			return
		}
		more = false
		switch v.rand.IntN(5) {
		case 0:
			src.Leave()
			v.ways.note("left")
		case 1:
			src.Drop()
			v.ways.note("dropped for good")
		case 2:
			src.Drop()
			v.ways.note("dropped and came back")
			more = true
			v.wait(v.between(10*time.Millisecond, soakWindow/2))
		case 3:
			src.Drop()
			v.ways.note("came back with another size")
			more, shape = true, 1-shape
			v.wait(v.between(10*time.Millisecond, soakWindow/2))
		default:
			v.takeOver(t, src, shape)
		}
	}
}

// takeOver has a second publisher with the same key replace the first, who is then sent away.
func (v *visitor) takeOver(t testing.TB, old testkit.Source, shape int) {
	src, err := v.open(t, shape, publishKey)
	if err != nil {
		if v.on() {
			v.fault("%s: not let take over: %v", v.name, err)
		}
		return
	}
	v.ways.note("taken over")
	v.air(src, shape, v.between(500*time.Millisecond, 3*time.Second))
	select {
	case <-old.Gone():
	case <-time.After(10 * time.Second):
		v.fault("%s: the publisher who was replaced is still there", v.name)
	}
	old.Drop()
	src.Leave()
}

// air sends for a while; false is that the server ended it, which it must not.
func (v *visitor) air(src testkit.Source, shape int, d time.Duration) bool {
	err := testkit.Send(v.ctx, src, v.shapes[shape], testkit.Stretch{To: d, Speed: 1})
	if err != nil && v.on() {
		v.fault("%s: sent away: %v", v.name, err)
		return false
	}
	return true
}

// intrude comes with a wrong key.
func (v *visitor) intrude(t testing.TB) {
	src, err := v.open(t, 0, "wrong-key-of-a-stranger")
	var refused *testkit.Refused
	switch {
	case err == nil:
		src.Drop()
		v.fault("%s: a wrong key was let in", v.name)
	case !errors.As(err, &refused) && v.on():
		v.fault("%s: with a wrong key: %v", v.name, err)
	default:
		v.ways.note("refused")
	}
}

// steady publishes without a break until the run is over, later than everybody else.
func (k *soak) steady(name string) {
	p := testkit.ByName(k.t, "rtmp")
	tracks := []testkit.Media{{Clip: testkit.Pictures(k.t).Repeat(k.turns())}, {Clip: testkit.Sound(k.t).Repeat(k.turns())}}
	k.all.Go(func() {
		err := testkit.Act(k.air, k.t, func(t testing.TB) {
			src, err := p.Open(t, k.to, testkit.Show{Name: name, Key: publishKey, Tracks: tracks})
			if err != nil {
				t.Fatal(err)
			}
			k.publishers.Add(1)
			if err := testkit.Send(k.air, src, tracks, testkit.Stretch{Speed: 1}); err != nil {
				t.Fatal(err)
			}
			if k.air.Err() == nil {
				t.Fatal("the clip was too short")
			}
			src.Leave()
		})
		if err != nil {
			k.fault("%s: %v", name, err)
		}
	})
}

// turns is how often a clip of 20 s has to be repeated.
func (k *soak) turns() int { return int((k.length+3*time.Minute)/(20*time.Second)) + 1 }

// soakClip is a file for ffmpeg.
func soakClip(t *testing.T) string {
	t.Helper()
	clip := t.TempDir() + "/clip.mp4"
	if _, stderr, err := testkit.Output(t, "ffmpeg", "-hide_banner", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25", "-f", "lavfi", "-i", sound48,
		"-t", "6", "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-pix_fmt", "yuv420p", "-g", "25", "-b:v", "200k", "-c:a", "aac", clip); err != nil {
		t.Fatal(err, stderr)
	}
	return clip
}

// ffmpeg runs it for a while and kills it; it may end before.
func (k *soak) ffmpeg(d time.Duration, clip string, output ...string) {
	ctx, cancel := context.WithTimeout(k.ctx, d)
	defer cancel()
	args := append([]string{"-hide_banner", "-nostdin", "-loglevel", "error", "-re", "-stream_loop", "-1", "-i", clip, "-c", "copy"}, output...)
	cmd := exec.CommandContext(ctx, "ffmpeg", args...)
	cmd.WaitDelay = 5 * time.Second
	_ = cmd.Run() // it is killed as a rule
}

// encoders publishes with ffmpeg, by one protocol after the other, and kills it.
func (k *soak) encoders(clip string, r *rand.Rand) {
	at := func(name string) string { return k.to.Address(name).String() }
	outputs := [][]string{
		{"-f", "flv", "rtmp://" + at("rtmp") + "/live/encoder?key=" + publishKey},
		{"-f", "mpegts", "srt://" + at("srt") + "?streamid=" + testkit.StreamID("encoder", publishKey)},
		{"-f", "rtsp", "-rtsp_transport", "udp", "rtsp://" + at("rtsp") + "/live/encoder?key=" + publishKey},
	}
	for i := 0; k.on(); i++ {
		k.publishers.Add(1)
		k.ways.note("ffmpeg killed")
		k.ffmpeg(2*time.Second+time.Duration(r.Int64N(int64(6*time.Second))), clip, outputs[i%len(outputs)]...)
		k.wait(time.Duration(r.Int64N(int64(4 * time.Second))))
	}
}

// camera is what the node fetches: it goes away and returns.
func (k *soak) camera(clip string, r *rand.Rand) {
	for k.on() {
		k.ffmpeg(6*time.Second+time.Duration(r.Int64N(int64(6*time.Second))), clip, "-f", "mpegts", fmt.Sprintf("srt://127.0.0.1:%d?mode=listener", k.cameraPort))
		k.ways.note("camera gone")
		k.wait(500*time.Millisecond + time.Duration(r.Int64N(int64(3*time.Second))))
	}
}
