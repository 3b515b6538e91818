package main

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"pushcart/internal/load"
)

// dialViewer opens a connection of someone who watches.
func dialViewer(address string) (*load.Conn, error) {
	return load.DialConn(context.Background(), address, nil, "pushcart-bench")
}

// unzipped returns an answer's body, out of gzip if it is in it.
func unzipped(a load.Answer) (string, error) {
	if !a.Zipped {
		return string(a.Body), nil
	}
	z, err := gzip.NewReader(bytes.NewReader(a.Body))
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
