package ts

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

const (
	pmtPID   = 0x1000
	videoPID = 0x100
	audioPID = 0x101
	dataPID  = 0x102
)

// begin writes the tables of a stream of H.264 and, with audio, AAC.
func begin(m *muxer, more ...es) {
	m.pat(0, program16{1, pmtPID})
	m.pmt(pmtPID, 1, 0, append([]es{{kind: 0x1B, pid: videoPID}}, more...)...)
}

// pictures writes n access units without lengths, a key frame in every ten, from a time on.
func pictures(m *muxer, n int, from int64, size int) {
	for i := range n {
		at := (from + int64(i)*3600) & (clockPeriod - 1)
		m.pes(videoPID, 0xE0, at, -1, false, picture(i%10 == 0, size, byte(i)))
	}
}

func TestPictureIsHandedOnWithItsLastPacket(t *testing.T) {
	t.Parallel()
	m := newMuxer()
	begin(m)
	r, p := newTest(t)
	for i := range 200 {
		m.pes(videoPID, 0xE0, int64(i)*3600+90000, -1, false, picture(i%10 == 0, 1000, byte(i)))
		feedAll(t, r, m.out)
		m.out = nil
		want := i // one is waited for
		if i >= trustStuffing {
			want = i + 1
		}
		if len(p.frames) != want {
			t.Fatalf("after picture %d: %d handed on, want %d", i, len(p.frames), want)
		}
	}
	if len(p.drops) != 0 {
		t.Errorf("drops %v", p.drops)
	}
}

func TestStuffingInTheMiddleIsNotTheEnd(t *testing.T) {
	t.Parallel()
	m := newMuxer()
	begin(m)
	r, p := newTest(t)
	pictures(m, 40, 90000, 1000)
	feedAll(t, r, m.out)
	m.out = nil
	// A picture that is stuffed in the middle too is not taken for complete there.
	au := picture(false, 1000, 1)
	head := []byte{0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5, 0x21, 0x00, 0xB1, 0x7B, 0xB1}
	m.packet(videoPID, true, 0, append(head, au[:50]...))
	for rest := au[50:]; len(rest) > 0; {
		rest = rest[m.packet(videoPID, false, 0, rest):]
	}
	pictures(m, 21, 90000+50*3600, 1000)
	feedAll(t, r, m.out)
	if len(p.drops) != 0 || len(p.frames) > 40 && len(p.frames[40].Payload) < 1000 {
		t.Errorf("drops %v", p.drops)
	}
	if n := len(p.frames); n != 41+20 {
		t.Errorf("%d pictures, want 61", n)
	}
	if got := r.lines[len(r.lines)-1].pes.trust; got != distrustStuffing {
		t.Errorf("trust %d: the sender is believed again", got)
	}
}

func TestBoundedPictureIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	m := newMuxer()
	begin(m)
	r, p := newTest(t)
	for i := range trustLength + 10 {
		m.pes(videoPID, 0xE0, 90000+int64(i)*3600, -1, true, picture(i == 0, 2000, 1))
		feedAll(t, r, m.out)
		m.out = nil
		want := i // nothing tells yet that a picture is in one PES
		if i >= trustLength {
			want = i + 1
		}
		if len(p.frames) != want {
			t.Errorf("%d pictures, want %d", len(p.frames), want)
		}
	}
}

// TestLossIsNeverSentOn loses packets at random and compares what arrives with what was sent.
func TestLossIsNeverSentOn(t *testing.T) {
	t.Parallel()
	m := newMuxer()
	begin(m)
	pictures(m, 800, 90000, 3000)
	whole, all := newTest(t)
	feedAll(t, whole, m.out)
	sent := map[int64][]byte{}
	for _, f := range all.frames {
		sent[f.PTS] = f.Payload
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, burst := range []int{1, 7, 15, 16, 31, 32} {
		r, p := newTest(t)
		lost, datagrams := 0, 0
		for at := 0; at < len(m.out); at += packetSize {
			if at > 4*packetSize && rng.IntN(700) == 0 {
				at += burst * packetSize
				lost++
				datagrams = (burst + 6) / 7
				r.Lost(datagrams)
			}
			if at < len(m.out) {
				if err := r.Write(m.out[at : at+packetSize]); err != nil {
					t.Fatal(err)
				}
			}
		}
		needsKey := false
		last := int64(-1)
		for i, f := range p.frames {
			if !bytes.Equal(sent[f.PTS], f.Payload) {
				t.Fatalf("burst %d: frame %d at %d is not what was sent", burst, i, f.PTS)
			}
			needsKey = last >= 0 && f.PTS != last+3600
			if needsKey && !f.Key {
				t.Fatalf("burst %d: frame %d at %d comes after a hole and is no key frame", burst, i, f.PTS)
			}
			last = f.PTS
		}
		if lost == 0 || p.drops[ingest.DropLost] == 0 || len(p.frames) < 200 {
			t.Errorf("burst %d: %d losses, %d frames, drops %v", burst, lost, len(p.frames), p.drops)
		}
	}
}

func TestPacketSentTwice(t *testing.T) {
	t.Parallel()
	m := newMuxer()
	begin(m)
	pictures(m, 60, 90000, 1000)
	var twice []byte
	for at := 0; at < len(m.out); at += packetSize {
		twice = append(append(twice, m.out[at:at+packetSize]...), m.out[at:at+packetSize]...)
	}
	r, p := newTest(t)
	feedAll(t, r, twice)
	if len(p.frames) < 59 || len(p.drops) != 0 {
		t.Errorf("%d pictures, drops %v", len(p.frames), p.drops)
	}
}

func TestBrokenPackets(t *testing.T) {
	t.Parallel()
	for name, harm := range map[string]func([]byte){
		"error indicator":        func(b []byte) { b[1] |= 0x80 },
		"adaptation too long":    func(b []byte) { b[3] |= 0x20; b[4] = 200 },
		"sync byte":              func(b []byte) { b[0] = 0 },
		"another PID":            func(b []byte) { b[1] ^= 0x08 },
		"continuity":             func(b []byte) { b[3] ^= 0x04 },
		"marker in a PES's head": func(b []byte) { b[4+9] &^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMuxer()
			begin(m)
			pictures(m, 5, 90000, 1000)
			at := len(m.out)
			pictures(m, 25, 90000+5*3600, 1000) // begins with a key frame
			harm(m.out[at : at+packetSize])
			r, p := newTest(t)
			feedAll(t, r, m.out)
			if p.drops[ingest.DropLost]+p.drops[ingest.DropDamaged] == 0 || len(p.frames) < 18 {
				t.Errorf("nothing was dropped: %v, %+v", p.drops, r.Stats())
			}
			for i, f := range p.frames[1:] {
				if f.PTS != p.frames[i].PTS+3600 && !f.Key {
					t.Errorf("the first one after the damage is no key frame")
				}
			}
		})
	}
}

func TestClockWraps(t *testing.T) {
	t.Parallel()
	m := newMuxer()
	begin(m, es{kind: 0x0F, pid: audioPID})
	from := clockPeriod - 20*3600
	for i := range 40 {
		at := (from + int64(i)*3600) & (clockPeriod - 1)
		m.pes(videoPID, 0xE0, (at+7200)&(clockPeriod-1), at, false, picture(i%10 == 0, 500, byte(i)))
		m.pes(audioPID, 0xC0, (at+1000)&(clockPeriod-1), -1, true, adtsFrame(100))
	}
	r, p := newTest(t)
	feedAll(t, r, m.out)
	for _, id := range []int{0, 100} {
		frames := p.of(id)
		if len(frames) < 39 {
			t.Fatalf("%d frames of track %d", len(frames), id)
		}
		step := stream.Rescale(3600, 90000, frames[0].Track.ClockRate)
		for i, f := range frames[1:] {
			if f.DTS-frames[i].DTS != step {
				t.Errorf("track %d: frame %d is %d ticks behind the one before, want %d", id, i+1, f.DTS-frames[i].DTS, step)
			}
		}
	}
	if v := p.of(0); v[0].PTS-v[0].DTS != 7200 || v[19].PTS-v[19].DTS != 7200 {
		t.Error("PTS and DTS wrapped apart")
	}
}

// adtsFrame is a frame of 48 kHz stereo.
func adtsFrame(size int) []byte {
	n := size + 7
	b := []byte{0xFF, 0xF1, 0x4C, 0x80 | byte(n>>11), byte(n >> 3), byte(n<<5) | 0x1F, 0xFC}
	return append(b, bytes.Repeat([]byte{0x21}, size)...)
}

func TestADTSAcrossPES(t *testing.T) {
	t.Parallel()
	m := newMuxer()
	begin(m, es{kind: 0x0F, pid: audioPID})
	var all []byte
	for range 50 {
		all = append(all, adtsFrame(300)...)
	}
	// 1024 samples take 1920 ticks. A PES has the time of the first frame that begins in it.
	size := 307
	for at := 0; at < len(all); at += 500 {
		first := (at + size - 1) / size
		m.pes(audioPID, 0xC0, 90000+int64(first)*1920, -1, true, all[at:min(at+500, len(all))])
	}
	r, p := newTest(t)
	feedAll(t, r, m.out)
	frames := p.of(100)
	if len(frames) != 50 || len(p.drops) != 0 {
		t.Fatalf("%d frames, drops %v", len(frames), p.drops)
	}
	for i, f := range frames {
		if len(f.Payload) != 300 || f.DTS-frames[0].DTS != int64(i)*1024 {
			t.Errorf("frame %d: %d bytes at %d", i, len(f.Payload), f.DTS-frames[0].DTS)
		}
	}
}

func TestDiscontinuityFlag(t *testing.T) {
	t.Parallel()
	m := newMuxer()
	begin(m)
	pictures(m, 5, 90000, 500)
	m.counters[videoPID] += 5
	// The clock is another one, and the sender says so.
	au := append([]byte{0, 0, 1, 0xE0, 0, 0, 0x80, 0x80, 5, 0x21, 0x00, 0xB1, 0x7B, 0xB1}, picture(true, 60, 1)...)
	m.packet(videoPID, true, 0x80, au)
	pictures(m, 2, 1<<32, 500)
	r, p := newTest(t)
	feedAll(t, r, m.out)
	if len(p.frames) != 7 {
		t.Errorf("%d pictures, want the 5 before it and 2 behind", len(p.frames))
	}
	if !p.frames[5].Key || p.drops[ingest.DropBeforeKeyframe] != 0 {
		t.Errorf("drops %v", p.drops)
	}
}

func TestProgramChanges(t *testing.T) {
	t.Parallel()
	m := newMuxer()
	r, p := newTest(t)
	step := func() {
		feedAll(t, r, m.out)
		m.out = nil
	}
	m.pat(0, program16{0, 0x10}, program16{1, pmtPID}, program16{2, pmtPID + 1})
	m.pmt(pmtPID, 1, 0, es{kind: 0x81, pid: 0x180}) // nothing to take
	m.pmt(pmtPID+1, 2, 0, es{kind: 0x1B, pid: videoPID}, es{kind: 0x0F, pid: audioPID, descriptors: language("fra", 0)})
	pictures(m, 3, 90000, 500)
	m.pes(audioPID, 0xC0, 90000, -1, true, adtsFrame(10))
	step()
	if p.track(0) == nil || p.track(100) == nil || p.track(100).Language != "fr" {
		t.Fatalf("tracks %v", p.tracks)
	}
	// A second audio appears.
	m.pmt(pmtPID+1, 2, 1, es{kind: 0x1B, pid: videoPID}, es{kind: 0x0F, pid: audioPID, descriptors: language("fra", 0)}, es{kind: 0x0F, pid: 0x150, descriptors: language("deu", 3)})
	m.pes(0x150, 0xC0, 90000, -1, true, adtsFrame(10))
	m.pes(audioPID, 0xC0, 93000, -1, true, adtsFrame(10))
	step()
	if a := p.track(101); a == nil || a.Language != "de" || a.Name != "Audio description" || len(p.of(100)) != 2 {
		t.Fatalf("track %+v, %d frames of the first", a, len(p.of(100)))
	}
	// The first one goes, and comes back under another PID and in another coding: it has the free number.
	m.pmt(pmtPID+1, 2, 2, es{kind: 0x1B, pid: videoPID}, es{kind: 0x0F, pid: 0x150, descriptors: language("deu", 3)})
	m.pes(audioPID, 0xC0, 96000, -1, true, adtsFrame(10))
	step()
	if len(p.of(100)) != 2 {
		t.Error("a stream that is no longer in the map was taken")
	}
	m.pmt(pmtPID+1, 2, 3, es{kind: 0x1B, pid: videoPID}, es{kind: 0x0F, pid: 0x150, descriptors: language("deu", 3)},
		es{kind: 0x06, pid: 0x160, descriptors: []byte{0x05, 4, 'O', 'p', 'u', 's', 0x7F, 2, 0x80, 2}})
	opus := []byte{0xFC, 1, 2, 3}
	m.pes(0x160, 0xBD, 99000, -1, true, append([]byte{0x7F, 0xE0, byte(len(opus))}, opus...))
	step()
	if a := p.track(100); a.Codec != stream.Opus || len(p.of(100)) != 3 {
		t.Fatalf("track %+v", a)
	}
	if len(p.of(101)) != 1 {
		t.Error("the second audio lost its number")
	}
	// The program goes, the other one has video now.
	m.pat(1, program16{1, pmtPID})
	m.pmt(pmtPID, 1, 1, es{kind: 0x1B, pid: 0x1A0})
	m.pes(0x1A0, 0xE0, 102000, -1, true, picture(true, 400, 1))
	m.pes(0x1A0, 0xE0, 105600, -1, true, picture(false, 400, 1))
	m.pes(videoPID, 0xE0, 102000, -1, true, picture(true, 400, 1))
	before := len(p.of(0))
	step()
	if n := len(p.of(0)) - before; n != 1 {
		t.Errorf("%d pictures of the other program, want 1", n)
	}
	if len(p.drops) != 0 {
		t.Errorf("drops %v", p.drops)
	}
}

func TestManyTracks(t *testing.T) {
	t.Parallel()
	m := newMuxer()
	var streams []es
	for i := range uint16(170) {
		streams = append(streams, es{kind: 0x0F, pid: 0x200 + i})
	}
	begin(m, streams...)
	r, p := newTest(t)
	feedAll(t, r, m.out)
	m.out = nil
	for i := range uint16(170) {
		m.pes(0x200+i, 0xC0, 90000, -1, true, adtsFrame(10))
	}
	feedAll(t, r, m.out)
	if len(p.tracks) != mostTracks || p.drops[ingest.DropExcessTrack] == 0 || len(r.lines) > 3+mostStreams {
		t.Errorf("%d tracks, drops %v, %d lines", len(p.tracks), p.drops, len(r.lines))
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		write func(*muxer)
		want  ingest.Reason
		say   string
	}{
		"garbage": {func(m *muxer) { m.out = bytes.Repeat([]byte("not a transport stream "), 20000) }, ingest.ReasonBadMedia, "no MPEG transport stream"},
		"nothing to take": {func(m *muxer) {
			m.pat(0, program16{1, pmtPID})
			m.pmt(pmtPID, 1, 0, es{kind: 0x02, pid: videoPID}, es{kind: 0x81, pid: audioPID})
		}, ingest.ReasonUnsupportedCodec, "MPEG-2 video"},
		"endless picture": {func(m *muxer) {
			begin(m)
			m.pes(videoPID, 0xE0, 90000, -1, false, bytes.Repeat([]byte{0, 0, 1, 0x65, 1}, testUnit/4))
		}, ingest.ReasonLimit, "A picture has more than"},
		"scrambled": {func(m *muxer) {
			begin(m)
			pictures(m, 1, 90000, 500)
			m.out[len(m.out)-packetSize+3] |= 0x80
		}, ingest.ReasonBadMedia, "scrambled"},
		"endless pictures on many streams": {func(m *muxer) {
			m.pat(0, program16{1, pmtPID})
			var streams []es
			for i := range uint16(12) {
				streams = append(streams, es{kind: 0x1B, pid: 0x200 + i})
			}
			m.pmt(pmtPID, 1, 0, streams...)
			for i := range uint16(12) {
				m.pes(0x200+i, 0xE0, 90000, -1, false, make([]byte, 3<<18))
			}
		}, ingest.ReasonLimit, "A picture"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMuxer()
			c.write(m)
			r, _ := newTest(t)
			err := r.Write(m.out)
			var refusal *ingest.Refusal
			if !errors.As(err, &refusal) || refusal.Reason != c.want || !strings.Contains(refusal.Message, c.say) {
				t.Errorf("%v, want %s: %s", err, c.want, c.say)
			}
			if r.held > 4*testUnit {
				t.Errorf("%d bytes are held", r.held)
			}
		})
	}
}

func TestPacketsCutAnyhow(t *testing.T) {
	t.Parallel()
	m := newMuxer()
	begin(m)
	pictures(m, 30, 90000, 1000)
	rng := rand.New(rand.NewPCG(3, 4))
	r, p := newTest(t)
	for b := append([]byte("junk in front"), m.out...); len(b) > 0; {
		n := min(1+rng.IntN(400), len(b))
		if err := r.Write(b[:n]); err != nil {
			t.Fatal(err)
		}
		b = b[n:]
	}
	if len(p.frames) < 29 || len(p.drops) != 0 {
		t.Errorf("%d pictures, drops %v, %+v", len(p.frames), p.drops, r.Stats())
	}
}

func TestAnnexB(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in   string
		want []string
		ok   bool
	}{
		{"\x00\x00\x01a\x00\x00\x00\x01bc\x00\x00\x01d\x00\x00", []string{"a", "bc", "d"}, true},
		{"\x00\x00\x00\x00\x00\x01a", []string{"a"}, true},
		{"\x00\x00\x01\x00\x00\x01a", []string{"a"}, true},
		{"x\x00\x00\x01a", nil, false},
		{"abc", nil, false},
		{"", nil, false},
		{"\x00\x00\x01", nil, false},
		{strings.Repeat("\x00\x00\x01a", mostUnits+1), nil, false},
	} {
		units, ok := splitUnits(nil, []byte(c.in))
		var got []string
		for _, u := range units {
			got = append(got, string(u))
		}
		if ok != c.ok || ok && strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%q: %q %v", c.in[:min(20, len(c.in))], got, ok)
		}
	}
}
