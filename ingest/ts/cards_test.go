package ts

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"pushcart/internal/stream"
)

const showLamp = `{"pushcart":"show","card":"lamp"}`

// id3Tag makes a tag of frames.
func id3Tag(version, flags byte, frames ...[]byte) []byte {
	body := bytes.Join(frames, nil)
	n := len(body)
	return append([]byte{'I', 'D', '3', version, 0, flags, byte(n >> 21 & 127), byte(n >> 14 & 127), byte(n >> 7 & 127), byte(n & 127)}, body...)
}

func id3Frame4(name string, body string) []byte {
	n := len(body)
	return append(append([]byte(name), byte(n>>21&127), byte(n>>14&127), byte(n>>7&127), byte(n&127), 0, 0), body...)
}

func id3Frame3(name string, body string) []byte {
	b := append([]byte(name), 0, 0, 0, 0, 0, 0)
	binary.BigEndian.PutUint32(b[4:], uint32(len(body)))
	return append(b, body...)
}

func inUTF16(s string) string {
	out := "\xff\xfe"
	for _, r := range s {
		out += string([]byte{byte(r), byte(r >> 8)})
	}
	return out
}

func TestID3(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 200)
	for name, c := range map[string]struct {
		tag  []byte
		want []string
	}{
		"UTF-8":              {id3Tag(4, 0, id3Frame4("TXXX", "\x03pushcart\x00"+showLamp)), []string{showLamp}},
		"longer name":        {id3Tag(4, 0, id3Frame4("TXXX", "\x03live.pushcart\x00"+showLamp+"\x00")), []string{showLamp}},
		"Latin-1":            {id3Tag(4, 0, id3Frame4("TXXX", "\x00pushcart\x00{\"k\":\"\xe9\"}")), []string{`{"k":"é"}`}},
		"UTF-16":             {id3Tag(4, 0, id3Frame4("TXXX", "\x01"+inUTF16("pushcart")+"\x00\x00"+inUTF16(showLamp))), []string{showLamp}},
		"version 3":          {id3Tag(3, 0, id3Frame3("TXXX", "\x00pushcart\x00"+showLamp+long)), []string{showLamp + long}},
		"among others":       {id3Tag(4, 0, id3Frame4("TIT2", "\x03song"), id3Frame4("TXXX", "\x03other\x00"+showLamp), id3Frame4("TXXX", "\x03pushcart\x00{}")), []string{"{}"}},
		"unsynchronised":     {id3Tag(4, 0x80, id3Frame4("TXXX", "\x00pushcart\x00\xff\x00\xe0")), []string{"ÿà"}},
		"none of ours":       {id3Tag(4, 0, id3Frame4("PRIV", "com.apple.streaming.transportStreamTimestamp\x00")), nil},
		"cut off":            {id3Tag(4, 0, id3Frame4("TXXX", "\x03pushcart\x00"+showLamp))[:30], nil},
		"frame too long":     {id3Tag(4, 0, []byte("TXXX\x00\x00\x7f\x00\x00\x00\x03pushcart\x00{}")), nil},
		"compressed":         {id3Tag(4, 0, append([]byte("TXXX\x00\x00\x00\x0c\x00\x08"), "\x03pushcart\x00{}"...)), nil},
		"version 2":          {id3Tag(2, 0, id3Frame4("TXXX", "\x03pushcart\x00{}")), nil},
		"no end of the name": {id3Tag(4, 0, id3Frame4("TXXX", "\x03pushcart")), nil},
		"empty":              {nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, text := range id3Commands(c.tag) {
				got = append(got, string(text))
			}
			if strings.Join(got, "|") != strings.Join(c.want, "|") {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// cueSection makes a section of a command and descriptors.
func cueSection(adjustment int64, kind byte, command []byte, descriptors ...[]byte) []byte {
	loop := bytes.Join(descriptors, nil)
	b := []byte{tableSCTE35, 0x30, 0, 0, byte(adjustment >> 32 & 1), byte(adjustment >> 24), byte(adjustment >> 16), byte(adjustment >> 8), byte(adjustment), 0,
		0xFF, 0xF0 | byte(len(command)>>8), byte(len(command)), kind}
	b = append(append(b, command...), byte(len(loop)>>8), byte(len(loop)))
	return append(b, loop...)
}

// spliceTime is a splice_time() with a time.
func spliceTime(v int64) []byte {
	return []byte{0xFE | byte(v>>32&1), byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
}

// segmentation is a descriptor of a whole program with a UPID.
func segmentation(kind byte, upid string) []byte {
	b := append([]byte("CUEI\x00\x00\x00\x01\x7f\xbf"), kind, byte(len(upid)))
	b = append(append(b, upid...), 0x30, 1, 1)
	return append([]byte{tagSegmentation, byte(len(b))}, b...)
}

func TestSCTE35(t *testing.T) {
	t.Parallel()
	insert := append([]byte{0, 0, 0, 1, 0x7F, 0x8F | 0x40}, append(spliceTime(500), 0, 1, 0, 0)...)
	parts := append([]byte{0, 0, 0, 1, 0x7F, 0x0F | 0x20, 2, 1}, append(spliceTime(500), append([]byte{2}, append(spliceTime(600), 0, 0, 0, 0, 0, 0, 1, 0, 0)...)...)...)
	for name, c := range map[string]struct {
		section []byte
		at      int64
		timed   bool
		want    []string
	}{
		"signal, MPU":            {cueSection(0, cueSignal, spliceTime(1000), segmentation(upidMPU, "PUSH"+showLamp)), 1000, true, []string{showLamp}},
		"adjusted over the wrap": {cueSection(clockPeriod-100, cueSignal, spliceTime(1000), segmentation(upidMPU, "PUSH{}")), 900, true, []string{"{}"}},
		"URI":                    {cueSection(0, cueSignal, []byte{0x7F}, segmentation(upidURI, "pushcart:show?card=lamp&slot=main")), 0, false, []string{`{"card":"lamp","pushcart":"show","slot":"main"}`}},
		"URI to hide":            {cueSection(0, cueSignal, []byte{0x7F}, segmentation(upidURI, "pushcart:hide")), 0, false, []string{`{"pushcart":"hide"}`}},
		"insert":                 {cueSection(0, cueInsert, insert, segmentation(upidMPU, "PUSH{}")), 500, true, []string{"{}"}},
		"insert by parts":        {cueSection(0, cueInsert, parts, segmentation(upidMPU, "PUSH{}")), 600, true, []string{"{}"}},
		"MID":                    {cueSection(0, cueSignal, []byte{0x7F}, segmentation(upidMID, "\x0c\x06PUSH{}\x0f\x0dpushcart:hide")), 0, false, []string{"{}", `{"pushcart":"hide"}`}},
		"private":                {cueSection(0, cuePrivate, []byte("PUSH"+showLamp)), 0, false, []string{showLamp}},
		"another's MPU":          {cueSection(0, cueSignal, spliceTime(1000), segmentation(upidMPU, "ABCD{}")), 1000, true, nil},
		"another's private":      {cueSection(0, cuePrivate, []byte("ABCD{}")), 0, false, nil},
		"another's URI":          {cueSection(0, cueSignal, []byte{0x7F}, segmentation(upidURI, "https://example.com/")), 0, false, nil},
		"null":                   {cueSection(0, 0, nil), 0, false, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, ok := readCue(withCRC(c.section))
			var texts []string
			for _, text := range got.commands {
				texts = append(texts, string(text))
			}
			if !ok || got.at != c.at || got.hasTime != c.timed || strings.Join(texts, "|") != strings.Join(c.want, "|") {
				t.Errorf("%v at %d %v: %q; want at %d %v: %q", ok, got.at, got.hasTime, texts, c.at, c.timed, c.want)
			}
		})
	}
	encrypted := cueSection(0, cuePrivate, []byte("PUSH{}"))
	encrypted[4] |= 0x80
	for name, section := range map[string][]byte{
		"encrypted":            encrypted,
		"command too long":     append(cueSection(0, cuePrivate, []byte("PUSH{}"))[:12], 0xFE, 0xFF, 'P', 'U', 'S', 'H', '{', '}', 0, 0),
		"descriptors too long": append(cueSection(0, 0, nil)[:14], 0xFF, 0xFF),
		"short":                {tableSCTE35, 0x30, 0, 0},
	} {
		if c, ok := readCue(withCRC(section)); ok {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

// TestURICommandIsJSON: whatever the URI says, what is handed on is an object of strings.
func TestURICommandIsJSON(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{`pushcart:show?card="},{&pushcart=put`, "pushcart:show?card=%00%ff", "pushcart:?=", "pushcart://show?card=a"} {
		text := uriCommand(uri)
		var v map[string]string
		if err := json.Unmarshal(text, &v); err != nil || v["pushcart"] == "put" {
			t.Errorf("%s: %s: %v", uri, text, err)
		}
	}
	if uriCommand("pushcart:show?card=%zz") != nil {
		t.Error("a broken escape was taken")
	}
}

func TestCardsComeWithTheirTime(t *testing.T) {
	t.Parallel()
	m := newMuxer()
	meta := []byte{0x26, 13, 0xFF, 0xFF, 'I', 'D', '3', ' ', 0xFF, 'I', 'D', '3', ' ', 0, 0x0F}
	begin(m, es{kind: 0x15, pid: dataPID, descriptors: meta}, es{kind: 0x86, pid: 0x1F0})
	pictures(m, 20, 90000, 500)
	m.pes(dataPID, 0xBD, 90000+5*3600, -1, true, id3Tag(4, 0, id3Frame4("TXXX", "\x03pushcart\x00"+showLamp)))
	m.section(0x1F0, cueSection(0, cueSignal, spliceTime(90000+7*3600), segmentation(upidMPU, "PUSH"+`{"pushcart":"hide"}`)))
	m.section(0x1F0, cueSection(0, cuePrivate, []byte("PUSH"+`{"pushcart":"show","card":"cap"}`)))
	broken := withCRC(cueSection(0, cuePrivate, []byte("PUSH{}")))
	broken[20] ^= 1
	m.packet(0x1F0, true, 0, append(append([]byte{0}, broken...), bytes.Repeat([]byte{0xFF}, 183-len(broken))...))
	pictures(m, 20, 90000+20*3600, 500)
	r, p := newTest(t)
	feedAll(t, r, m.out)
	if len(p.data) != 3 {
		t.Fatalf("%d messages: %+v", len(p.data), p.data)
	}
	// The order of the pictures is that of decoding times here.
	first := p.frames[0].DTS
	got := map[string]*stream.Data{}
	for _, d := range p.data {
		got[d.Values[0].(string)] = d
	}
	if d := got[showLamp]; d == nil || d.Name != stream.DataID3 || d.PTS != first+5*3600 {
		t.Errorf("%+v, want it at %d", d, first+5*3600)
	}
	if d := got[`{"pushcart":"hide"}`]; d == nil || d.Name != stream.DataSCTE35 || d.PTS != first+7*3600 {
		t.Errorf("%+v, want it at %d", d, first+7*3600)
	}
	if d := got[`{"pushcart":"show","card":"cap"}`]; d == nil || d.Name != stream.DataSCTE35 || d.PTS <= first+18*3600 || d.PTS > first+21*3600 {
		t.Errorf("%+v, want it at its arrival", d)
	}
	if r.Stats().Damaged != 1 {
		t.Errorf("%+v", r.Stats())
	}
}
