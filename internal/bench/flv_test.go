package main

import (
	"bytes"
	"errors"
	"testing"
)

// flvFile writes tags as a file has them.
func flvFile(tags ...tag) []byte {
	b := []byte("FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00")
	for _, t := range tags {
		n := len(t.data)
		b = append(b, t.kind, byte(n>>16), byte(n>>8), byte(n), byte(t.at>>16), byte(t.at>>8), byte(t.at), byte(t.at>>24), 0, 0, 0)
		b = append(b, t.data...)
		n += flvTag
		b = append(b, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return b
}

func TestParseFLV(t *testing.T) {
	t.Parallel()
	want := []tag{
		{kind: tagScript, data: []byte("meta")},
		{kind: tagVideo, data: []byte{0x17, 0, 0, 0, 0, 1}},
		{kind: tagAudio, data: []byte{0xAF, 0, 0x11, 0x90}},
		{kind: tagVideo, at: 1<<24 + 5, data: []byte{0x17, 1, 0, 0, 0, 9}},
		{kind: tagVideo, at: 1<<24 + 38, data: []byte{0x27, 1, 0, 0, 0, 9}},
		{kind: tagAudio, at: 1<<24 + 40},
	}
	got, err := parseFLV(flvFile(want...))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d tags, want %d", len(got), len(want))
	}
	keys, configs := "", ""
	for i := range got {
		if got[i].kind != want[i].kind || got[i].at != want[i].at || !bytes.Equal(got[i].data, want[i].data) {
			t.Errorf("tag %d: %+v, want %+v", i, got[i], want[i])
		}
		if got[i].key() {
			keys += string(rune('0' + i))
		}
		if got[i].config() {
			configs += string(rune('0' + i))
		}
	}
	if keys != "3" || configs != "12" {
		t.Errorf("key frames %s and codec data %s, want 3 and 12", keys, configs)
	}
}

func TestParseFLVRefuses(t *testing.T) {
	t.Parallel()
	whole := flvFile(tag{kind: tagVideo, data: []byte{0x17, 1, 0, 0, 0, 9}})
	for name, b := range map[string][]byte{
		"nothing":        {},
		"another format": []byte("RIFF....WAVEfmt "),
		"a long header":  append([]byte("FLV\x01\x05\xff\xff\xff\xff"), 0, 0, 0, 0),
		"cut in a tag":   whole[:len(whole)-6],
		"cut in a head":  whole[:20],
	} {
		if _, err := parseFLV(b); !errors.Is(err, errFLV) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseFLV(f *testing.F) {
	f.Add(flvFile())
	f.Add(flvFile(tag{kind: tagVideo, at: 7, data: []byte{0x17, 1, 0, 0, 0, 9}}, tag{kind: tagAudio, at: 9, data: []byte{0xAF, 1, 3}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		tags, err := parseFLV(b)
		if err != nil {
			return
		}
		size := 0
		for _, tag := range tags {
			size += flvTag + len(tag.data) + flvTrailer
			tag.key()
			newPacket(tag)
		}
		if size > len(b) {
			t.Errorf("%d bytes of tags out of %d", size, len(b))
		}
		newRecording(tags)
	})
}

func TestNewRecording(t *testing.T) {
	t.Parallel()
	tags := []tag{{kind: tagVideo, data: []byte{0x17, 0}}}
	for at := uint32(0); at <= 100+loopMillis+40; at += 20 {
		head := byte(0x27)
		if at%100 == 0 && at > 0 {
			head = 0x17
		}
		tags = append(tags, tag{kind: tagVideo, at: at, data: []byte{head, 1}})
	}
	r, err := newRecording(tags)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.configs) != 1 || len(r.frames) != loopMillis/20 || r.frames[0].at != 0 || !r.frames[0].key() {
		t.Errorf("%d configs, %d frames, the first %+v", len(r.configs), len(r.frames), r.frames[0])
	}
	if _, err := newRecording(tags[:100]); !errors.Is(err, errFLV) {
		t.Errorf("a short file: %v", err)
	}
	if _, err := newRecording(tags[:3]); !errors.Is(err, errFLV) {
		t.Errorf("a file without a key frame: %v", err)
	}
}
