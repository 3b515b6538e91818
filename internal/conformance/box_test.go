package conformance

import (
	"slices"
	"testing"
	"time"
)

func TestParseInit(t *testing.T) {
	for _, c := range []struct {
		name     string
		data     []byte
		codec    string
		channels int
	}{
		{"avc", mkInit(90000, "vide", avcEntry(1280, 720), 1280, 720), "avc1.64001f", 0},
		{"hevc", mkInit(90000, "vide", hevcEntry(1280, 720), 1280, 720), "hvc1.1.6.L93.b0", 0},
		{"av1", mkInit(90000, "vide", mkbox("av01", zeros(6), u16(1), zeros(16), u16(1280, 720), zeros(50), mkbox("av1C", []byte{0x81, 0x05, 0x0c, 0})), 1280, 720), "av01.0.05M.08", 0},
		{"aac", mkInit(48000, "soun", aacEntry(2), 0, 0), "mp4a.40.2", 2},
		{"aac mono", mkInit(48000, "soun", aacEntry(1), 0, 0), "mp4a.40.2", 1},
		{"opus", mkInit(48000, "soun", mkbox("Opus", zeros(6), u16(1), zeros(8), u16(2, 16), zeros(4), u32(48000<<16), mkbox("dOps", []byte{0, 2}, zeros(9))), 0, 0), "opus", 2},
	} {
		tr, issues := parseInit(c.data)
		if len(issues) > 0 || tr == nil {
			t.Errorf("%s: issues %v", c.name, issues)
			continue
		}
		if tr.codec != c.codec || tr.channels != c.channels {
			t.Errorf("%s: %s with %d channels, want %s with %d", c.name, tr.codec, tr.channels, c.codec, c.channels)
		}
		if tr.video() && (tr.width != 1280 || tr.shownHeight != 720) {
			t.Errorf("%s: %+v", c.name, tr)
		}
	}
}

func TestParseFragments(t *testing.T) {
	tr, _ := parseInit(mkInit(90000, "vide", hevcEntry(640, 360), 640, 360))
	hevc := func(kind byte, size int) []byte { return nal(kind<<1, size) }
	c := mkChunk{sequence: 3, track: 1, decode: 1 << 40, samples: []mkSample{
		{3000, flagsSync, hevc(20, 50)}, {3003, flagsDelta, hevc(1, 20)}, {3000, flagsDelta, append(hevc(39, 5), hevc(0, 20)...)},
	}}
	one := c.bytes()
	c.sequence, c.decode = 4, c.decode+9003
	message := tellAt(1<<40+9003, 1, "lamp")
	c.front = slices.Concat(mkbox("prft", zeros(16)), message.bytes())
	m, issues := parseFragments(append(one, c.bytes()...), tr)
	issues = append(issues, m.inspect(tr)...)
	if len(issues) > 0 {
		t.Fatalf("issues: %v", issues)
	}
	if len(m.fragments) != 2 || len(m.samples) != 6 || m.duration() != 18006 || m.longest(tr) != 3003*time.Second/90000 {
		t.Errorf("%+v", m.fragments)
	}
	if f := m.fragments[1]; len(f.events) != 1 || f.events[0].id != 1 || f.first != 1<<40+9003 || f.last != f.first+9003 {
		t.Errorf("%+v", f)
	}
	if !m.samples[3].sync || m.samples[5].sync || m.samples[4].decode != 1<<40+9003+3000 {
		t.Errorf("%+v", m.samples)
	}
}

func TestWalkOBU(t *testing.T) {
	sequence, key, inter := []byte{0x0a, 1, 0}, []byte{0x32, 2, 0x10, 0}, []byte{0x32, 2, 0x30, 0}
	for _, c := range []struct {
		data     []byte
		sync, ok bool
	}{
		{append(append([]byte{}, sequence...), key...), true, true},
		{key, false, true},
		{append(append([]byte{}, sequence...), inter...), false, true},
		{sequence, false, false},
		{[]byte{0x32, 9, 0}, false, false},
	} {
		sync, ok := walkOBU(c.data)
		if ok != c.ok || ok && sync != c.sync {
			t.Errorf("%x: sync %v, ok %v", c.data, sync, ok)
		}
	}
}

func FuzzBoxes(f *testing.F) {
	c := mkChunk{sequence: 1, track: 1, samples: []mkSample{{3000, flagsSync, nal(0x65, 20)}}}
	f.Add(mkInit(90000, "vide", avcEntry(64, 48), 64, 48), c.bytes())
	f.Add(mkInit(90000, "vide", hevcEntry(64, 48), 64, 48), c.bytes())
	f.Add(mkInit(48000, "soun", aacEntry(2), 0, 0), c.bytes())
	f.Fuzz(func(t *testing.T, head, data []byte) {
		tr, _ := parseInit(head)
		if tr == nil {
			tr = &track{id: 1, timescale: 90000, handler: "vide", sampleEntry: "avc1", nalLength: 4}
		}
		m, _ := parseFragments(data, tr)
		m.inspect(tr)
		m.start(tr)
		m.longest(tr)
		n := 0
		for _, s := range m.samples {
			n += len(s.data)
		}
		if n > len(data) {
			t.Errorf("samples hold %d of %d bytes", n, len(data))
		}
	})
}
