package child

import (
	"fmt"
	"io"
	"testing"
)

// BenchmarkThrough sends frames through a child that copies them, one after another, as large as key frames of some Mbit/s
// and as others, with pipes of several sizes.
func BenchmarkThrough(b *testing.B) {
	for _, frame := range []int{8 << 10, 300 << 10} {
		for _, pipe := range []int{64 << 10, 256 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("frame=%dK/pipe=%dK", frame>>10, pipe>>10), func(b *testing.B) {
				c := startSpec(b, Spec{Args: []string{"fake", "cat"}, Outputs: 1, Pipe: pipe})
				sent, got := make([]byte, frame), make([]byte, frame)
				b.SetBytes(int64(frame))
				b.ReportAllocs()
				before := c.CPU()
				for b.Loop() {
					ended := make(chan error)
					go func() {
						_, err := c.Write(sent)
						ended <- err
					}()
					if _, err := io.ReadFull(c.Outputs()[0], got); err != nil {
						b.Fatal(err)
					}
					if err := <-ended; err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64((c.CPU()-before).Nanoseconds())/float64(b.N), "child-ns/op")
			})
		}
	}
}

// BenchmarkStart is a child's whole life.
func BenchmarkStart(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		c, err := Start(b.Context(), Spec{Program: "true", Outputs: 3, Nice: 1})
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Stop(0); err != nil {
			failure(b, err)
		}
		c.Close()
	}
}

// BenchmarkStderr is what a child costs that complains of each frame, and one that writes what nobody has said before.
func BenchmarkStderr(b *testing.B) {
	same := []byte("[h264 @ 0x55d0c0] non-existing PPS 0 referenced\n[h264 @ 0x55d0c0] no frame!\n")
	b.Run("same", func(b *testing.B) {
		l := newLastLines()
		b.SetBytes(int64(len(same)))
		b.ReportAllocs()
		for b.Loop() {
			l.write(same)
		}
	})
	b.Run("new", func(b *testing.B) {
		l := newLastLines()
		var text []byte
		n := 0
		b.ReportAllocs()
		for b.Loop() {
			text = fmt.Appendf(text[:0], "error %d of many that are never the same\n", n)
			n++
			l.write(text)
		}
	})
}

// BenchmarkProgress is one report.
func BenchmarkProgress(b *testing.B) {
	report := []byte("frame=50\nfps=29.97\nstream_0_0_q=-1.0\nbitrate= 289.4kbits/s\ntotal_size=68015\nout_time_us=1880020\nout_time_ms=1880020\n" +
		"out_time=00:00:01.880020\ndup_frames=1\ndrop_frames=2\nspeed=15.3x\nprogress=continue\n")
	p := newProgressReader()
	b.ReportAllocs()
	for b.Loop() {
		p.write(report)
	}
}
