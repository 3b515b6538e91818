package ts

import (
	"bytes"
	"errors"
	"testing"

	"pushcart/ingest"
)

func FuzzReader(f *testing.F) {
	m := newMuxer()
	begin(m, es{kind: 0x0F, pid: audioPID, descriptors: language("eng", 1)}, es{kind: 0x11, pid: 0x110}, es{kind: 0x03, pid: 0x111},
		es{kind: 0x24, pid: 0x112}, es{kind: 0x15, pid: dataPID}, es{kind: 0x86, pid: 0x1F0},
		es{kind: 0x06, pid: 0x113, descriptors: []byte{0x05, 4, 'O', 'p', 'u', 's', 0x7F, 2, 0x80, 6}})
	tables := bytes.Clone(m.out)
	pictures(m, 3, 90000, 200)
	m.pes(audioPID, 0xC0, 90000, -1, true, append(adtsFrame(20), adtsFrame(30)[:12]...))
	m.pes(dataPID, 0xBD, 90000, -1, true, id3Tag(4, 0, id3Frame4("TXXX", "\x03pushcart\x00"+showLamp)))
	m.section(0x1F0, cueSection(0, cueSignal, spliceTime(90000), segmentation(upidMPU, "PUSH{}")))
	f.Add(m.out, 188)
	f.Add(m.out[:1000], 100)
	f.Add(bytes.Repeat([]byte{syncByte}, 1000), 7)
	f.Fuzz(func(t *testing.T, b []byte, chunk int) {
		chunk = min(max(chunk, 1), 2000)
		for _, head := range [][]byte{nil, tables} {
			r, p := newTest(t)
			all := append(bytes.Clone(head), b...)
			for len(all) > 0 {
				n := min(chunk, len(all))
				if err := r.Write(all[:n]); err != nil {
					var refusal *ingest.Refusal
					if !errors.As(err, &refusal) || refusal.Message == "" {
						t.Fatalf("%v is no refusal", err)
					}
					break
				}
				all = all[n:]
			}
			r.Lost(3)
			if r.held > 4*testUnit || len(r.lines) > 1+mostPrograms+mostStreams {
				t.Fatalf("%d bytes held, %d lines", r.held, len(r.lines))
			}
			for i, l := range r.lines {
				if int(r.index[l.pid]) != i+1 {
					t.Fatalf("line %d of PID %d is found as %d", i, l.pid, r.index[l.pid])
				}
			}
			for _, frame := range p.frames {
				if frame.DTS <= 0 || len(frame.Payload) == 0 {
					t.Fatalf("frame %+v", frame)
				}
			}
		}
	})
}

// FuzzStreams gives each coding's PES to its reader.
func FuzzStreams(f *testing.F) {
	f.Add(append(adtsFrame(20), adtsFrame(30)[:12]...), int64(90000))
	f.Add([]byte{0x56, 0xE0, 0x05, 0x20, 0x00, 0x11, 0x90, 0x00}, int64(0))
	f.Add([]byte{0x7F, 0xE0, 4, 0xFC, 1, 2, 3, 0x7F, 0xF4, 255, 0}, int64(1))
	f.Add([]byte{0xFF, 0xFB, 0x90, 0x00, 0}, int64(2))
	f.Fuzz(func(t *testing.T, b []byte, pts int64) {
		r, _ := newTest(t)
		for _, kind := range []func(*audio){
			func(a *audio) { a.frames = &adts{a: a, id: 100} },
			func(a *audio) { a.frames = &loas{a: a, id: 101} },
			func(a *audio) { a.frames, a.out = &mpegAudio{a}, r.opt.Feed.MP3(102, labelOf(nil)) },
			func(a *audio) { a.frames = opus{} },
		} {
			a := &audio{r: r}
			kind(a)
			for range 3 {
				if err := a.unit(b, times{pts: pts & (clockPeriod - 1), hasPTS: true}); err != nil {
					break
				}
				if len(a.carried) > mostCarried {
					t.Fatalf("%d bytes are carried", len(a.carried))
				}
			}
		}
	})
}

func FuzzID3(f *testing.F) {
	f.Add(id3Tag(4, 0, id3Frame4("TXXX", "\x03pushcart\x00"+showLamp)))
	f.Add(id3Tag(3, 0xC0, id3Frame3("TXXX", "\x01"+inUTF16("pushcart")+"\x00\x00"+inUTF16(showLamp))))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, text := range id3Commands(b) {
			if len(text) > 3*longestValue {
				t.Fatalf("a text of %d bytes", len(text))
			}
		}
	})
}

func FuzzSCTE35(f *testing.F) {
	f.Add(cueSection(5, cueSignal, spliceTime(1000), segmentation(upidMPU, "PUSH"+showLamp)))
	f.Add(cueSection(5, cuePrivate, []byte("PUSH{}"), segmentation(upidMID, "\x0c\x06PUSH{}")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 3 {
			return
		}
		if c, ok := readCue(withCRC(b)); ok && (c.at < 0 || c.at >= clockPeriod) {
			t.Fatalf("%+v", c)
		}
	})
}

func BenchmarkReader(b *testing.B) {
	m := newMuxer()
	begin(m, es{kind: 0x0F, pid: audioPID})
	head := bytes.Clone(m.out)
	m.out = nil
	for i := range 250 {
		m.pes(videoPID, 0xE0, 90000+int64(i)*3600, -1, false, picture(i%50 == 0, 20000, byte(i)))
		m.pes(audioPID, 0xC0, 90000+int64(i)*3600, -1, true, append(adtsFrame(300), adtsFrame(300)...))
	}
	r, p := newTest(b)
	p.count = true
	feedAll(b, r, head)
	b.SetBytes(int64(len(m.out)))
	b.ReportAllocs()
	for b.Loop() {
		for at := 0; at < len(m.out); at += 7 * packetSize {
			if err := r.Write(m.out[at:min(at+7*packetSize, len(m.out))]); err != nil {
				b.Fatal(err)
			}
		}
		p.frames = p.frames[:0]
	}
	b.ReportMetric(float64(len(m.out)/packetSize)*float64(b.N)/b.Elapsed().Seconds(), "packets/s")
}
