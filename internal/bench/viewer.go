package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const viewerTimeout = 20 * time.Second

// viewer is one keep-alive connection of someone who watches: as thin as can be, since hundreds share a core.
type viewer struct {
	address string
	nc      *net.TCPConn
	raw     syscall.RawConn // of nc
	r       *bufio.Reader
	body    []byte // of the last answer
}

// answer to a viewer's request.
type answer struct {
	status int
	zipped bool
	size   int
	body   []byte    // lent until the next answer; nil when it was thrown away
	at     time.Time // when its last byte had been read
}

func dialViewer(address string) (*viewer, error) {
	nc, err := net.DialTimeout("tcp", address, viewerTimeout)
	if err != nil {
		return nil, err
	}
	tcp := nc.(*net.TCPConn)
	raw, err := tcp.SyscallConn()
	if err != nil {
		nc.Close()
		return nil, err
	}
	return &viewer{address: address, nc: tcp, raw: raw, r: bufio.NewReaderSize(nc, 4<<10)}, nil
}

func (v *viewer) close() { v.nc.Close() }

// request is what a browser's player sends, in short.
func (v *viewer) request(path string, zipped bool) []byte {
	encoding := ""
	if zipped {
		encoding = "Accept-Encoding: gzip\r\n"
	}
	return []byte("GET " + path + " HTTP/1.1\r\nHost: " + v.address + "\r\nUser-Agent: pushcart-bench\r\n" + encoding + "Accept: */*\r\n\r\n")
}

// get asks for a path and returns the answer with its body.
func (v *viewer) get(path string, zipped bool) (answer, error) {
	if err := v.send(v.request(path, zipped)); err != nil {
		return answer{}, err
	}
	return v.answer(true)
}

func (v *viewer) send(request []byte) error {
	v.nc.SetDeadline(time.Now().Add(viewerTimeout))
	_, err := v.nc.Write(request)
	return err
}

// answer reads a response. Its body is thrown away unless keep is set.
func (v *viewer) answer(keep bool) (answer, error) {
	var a answer
	line, err := v.r.ReadSlice('\n')
	if err != nil {
		return a, err
	}
	if len(line) < 12 || string(line[:9]) != "HTTP/1.1 " {
		return a, fmt.Errorf("the response begins with %q", line)
	}
	if a.status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return a, err
	}
	a.size = -1
	for {
		line, err := v.r.ReadSlice('\n')
		if err != nil {
			return a, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			break
		}
		if n, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if a.size, err = strconv.Atoi(string(n)); err != nil {
				return a, err
			}
		}
		a.zipped = a.zipped || string(line) == "Content-Encoding: gzip"
	}
	if a.size < 0 {
		return a, fmt.Errorf("a response of status %d without Content-Length", a.status)
	}
	if keep {
		v.body = slices.Grow(v.body[:0], a.size)
		a.body = v.body[:a.size]
		_, err = io.ReadFull(v.r, a.body)
	} else {
		err = v.discard(a.size)
	}
	a.at = time.Now()
	return a, err
}

// discard skips bytes of a response. What has not been read yet is thrown away by the kernel without being copied: real
// viewers do not share the server's memory bus.
func (v *viewer) discard(n int) error {
	n, err := n-min(n, v.r.Buffered()), discardBuffered(v.r, n)
	for n > 0 && err == nil {
		var k int
		k, err = discardSome(v.raw, n)
		n -= k
	}
	return err
}

func discardBuffered(r *bufio.Reader, n int) error {
	_, err := r.Discard(min(n, r.Buffered()))
	return err
}

// text unpacks an answer's body.
func (a answer) text() (string, error) {
	if !a.zipped {
		return string(a.body), nil
	}
	z, err := gzip.NewReader(bytes.NewReader(a.body))
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(z)
	return string(b), err
}

// position is a part's place: the segment's number and its own within that.
type position struct {
	msn, part int64
}

// hint finds the URI of the next part in a playlist, and its position.
func hint(playlist string) (uri string, at position, err error) {
	const tag = "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\""
	_, rest, ok := strings.Cut(playlist, tag)
	if !ok {
		return "", at, fmt.Errorf("no preload hint in a playlist of %d bytes", len(playlist))
	}
	uri, _, _ = strings.Cut(rest, "\"")
	name := strings.TrimSuffix(uri[strings.LastIndexByte(uri, '/')+1:], ".m4s")
	_, numbers, _ := strings.Cut(name, "-")
	msn, part, _ := strings.Cut(numbers, ".")
	var err1, err2 error
	at.msn, err1 = strconv.ParseInt(msn, 10, 64)
	at.part, err2 = strconv.ParseInt(part, 10, 64)
	if err1 != nil || err2 != nil {
		return "", at, fmt.Errorf("no position in the hinted name %q", uri)
	}
	return uri, at, nil
}

// reload is a path that waits until the playlist has a part.
func reload(stream string, at position) string {
	return fmt.Sprintf("/live/%s/video.m3u8?_HLS_msn=%d&_HLS_part=%d", stream, at.msn, at.part)
}

// partTable knows which frame each part of a stream ends with. Its zero value knows nothing; it must see the playlist
// from the stream's start on, and often enough for no part to pass unseen.
type partTable struct {
	starts map[int64]float64 // of segments, in seconds from the stream's start
	frames map[position]int  // frames up to and including the part's last
}

// learn takes a whole media playlist.
func (t *partTable) learn(playlist string) error {
	if t.starts == nil {
		t.starts, t.frames = map[int64]float64{}, map[position]int{}
	}
	var msn int64
	var at float64
	part := int64(0)
	for line := range strings.Lines(playlist) {
		line = strings.TrimSpace(line)
		if v, ok := strings.CutPrefix(line, "#EXT-X-MEDIA-SEQUENCE:"); ok {
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return err
			}
			start, known := t.starts[n]
			if !known && len(t.starts) > 0 {
				return fmt.Errorf("segment %d was never seen to begin", n)
			}
			msn, at, part = n, start, 0
			t.starts[msn] = at
		}
		if v, ok := strings.CutPrefix(line, "#EXT-X-PART:DURATION="); ok {
			d, err := leadingNumber(v)
			if err != nil {
				return err
			}
			at += d
			t.frames[position{msn, part}] = int(at*frameRate + 0.5)
			part++
		}
		if v, ok := strings.CutPrefix(line, "#EXTINF:"); ok {
			d, err := leadingNumber(v)
			if err != nil {
				return err
			}
			at = t.starts[msn] + d
			msn, part = msn+1, 0
			t.starts[msn] = at
		}
	}
	return nil
}

// leadingNumber reads the number before a comma.
func leadingNumber(s string) (float64, error) {
	s, _, _ = strings.Cut(s, ",")
	return strconv.ParseFloat(s, 64)
}
