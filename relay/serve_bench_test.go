package relay

import (
	"crypto/tls"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"pushcart/packager/window"
	"pushcart/relay/trust"
)

// benchPart is a part of 200 ms at 3 Mbit/s, and lead is how many parts the sender is ahead at most.
const (
	benchPart = 75_000
	lead      = 4
)

// cpu is the processor time that this process took so far.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// perGB reports the processor time of both ends.
func perGB(b *testing.B, began time.Duration) {
	b.ReportMetric((cpu()-began).Seconds()/(float64(b.N)*benchPart)*1e9, "cpu-s/GB")
}

// BenchmarkRelay is what it takes to relay parts from an origin to a copy, both ends, checksums and all.
func BenchmarkRelay(b *testing.B) { benchRelay(b, 1) }

// BenchmarkRelayTen is the same for ten copies; bytes are counted once.
func BenchmarkRelayTen(b *testing.B) { benchRelay(b, 10) }

func benchRelay(b *testing.B, peers int) {
	origin := newShow(benchPart)
	origin.write(1)
	s := serve(b, "origin", "", origin.Presentation, nil)
	ready, done := make(chan struct{}, peers), make(chan struct{})
	var rooms []chan struct{}
	for i := range peers {
		room := make(chan struct{}, lead+1)
		rooms = append(rooms, room)
		f := follow(b, s.ask(request{node: "peer" + string(rune('a'+i)), rendition: "video"}).Body)
		f.until("all media", f.complete)
		go func() {
			defer func() { done <- struct{}{} }()
			ready <- struct{}{}
			for before := 0; f.steps < b.N && f.next(); before = f.steps {
				if f.steps > before {
					room <- struct{}{}
				}
			}
		}()
	}
	for range peers {
		<-ready
	}
	media := randomBytes(benchPart)
	part := window.Part{Data: media, Size: len(media), Duration: tickPart, Independent: true}
	b.SetBytes(benchPart)
	b.ResetTimer()
	began := cpu()
	for i := range b.N {
		if i >= lead {
			for _, room := range rooms {
				<-room
			}
		}
		var begin *window.Segment
		if i%segmentParts == 0 {
			begin = &window.Segment{Init: origin.init, Wall: time.UnixMilli(1_700_000_000_000 + int64(i)*200).UTC()}
		}
		origin.Append(origin.video, part, begin)
	}
	for range peers {
		<-done
	}
	perGB(b, began)
}

// BenchmarkLatency is how long a part takes from the origin's append to the copy's, over loopback, when nothing else goes on.
func BenchmarkLatency(b *testing.B) {
	origin := newShow(benchPart)
	origin.write(1)
	s := serve(b, "origin", "", origin.Presentation, nil)
	f := follow(b, s.ask(request{rendition: "video"}).Body)
	f.until("all media", f.complete)
	var took []time.Duration
	for b.Loop() {
		steps, began := f.steps, time.Now()
		origin.write(1)
		f.until("the step", func() bool { return f.steps > steps })
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1e3, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1e3, "p99-ms")
}

// BenchmarkPlainTLS is what the same parts take that are just written to a TLS connection and read from it.
func BenchmarkPlainTLS(b *testing.B) {
	dir := b.TempDir()
	server, err := trust.Development(dir, "origin", "eu", trust.Options{})
	if err != nil {
		b.Fatal(err)
	}
	client, err := trust.Development(dir, "peer", "us", trust.Options{})
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	room, done := make(chan struct{}, lead+1), make(chan struct{})
	go func() {
		defer close(done)
		conn, err := tls.Dial("tcp", l.Addr().String(), client.ClientTLS("origin"))
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		for range b.N {
			if _, err := io.ReadFull(conn, make([]byte, benchPart)); err != nil {
				b.Error(err)
				return
			}
			room <- struct{}{}
		}
	}()
	raw, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	conn := tls.Server(raw, server.ServerTLS())
	defer conn.Close()
	if err := conn.HandshakeContext(b.Context()); err != nil {
		b.Fatal(err)
	}
	media := randomBytes(benchPart)
	b.SetBytes(benchPart)
	b.ResetTimer()
	began := cpu()
	for i := range b.N {
		if i >= lead {
			<-room
		}
		if _, err := conn.Write(media); err != nil {
			b.Fatal(err)
		}
	}
	for range min(b.N, lead) {
		<-room
	}
	<-done
	perGB(b, began)
}
