package load

import (
	"bytes"
	"errors"
	"testing"
)

func TestParseFLV(t *testing.T) {
	t.Parallel()
	want := []Tag{
		{Kind: TagScript, Data: []byte("meta")},
		{Kind: TagVideo, Data: []byte{0x17, 0, 0, 0, 0, 1}},
		{Kind: TagAudio, Data: []byte{0xAF, 0, 0x11, 0x90}},
		{Kind: TagVideo, At: 1<<24 + 5, Data: []byte{0x17, 1, 0, 0, 0, 9}},
		{Kind: TagVideo, At: 1<<24 + 38, Data: []byte{0x27, 1, 0, 0, 0, 9}},
		{Kind: TagAudio, At: 1<<24 + 40},
	}
	got, err := ParseFLV(flvFile(want...))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(want) {
		t.Fatalf("%d tags, want %d", len(got), len(want))
	}
	keys, configs := "", ""
	for i := range got {
		if got[i].Kind != want[i].Kind || got[i].At != want[i].At || !bytes.Equal(got[i].Data, want[i].Data) {
			t.Errorf("tag %d: %+v, want %+v", i, got[i], want[i])
		}
		if got[i].Key() {
			keys += string(rune('0' + i))
		}
		if got[i].Config() {
			configs += string(rune('0' + i))
		}
	}
	if keys != "3" || configs != "12" {
		t.Errorf("key frames %s and codec data %s, want 3 and 12", keys, configs)
	}
}

func TestParseFLVRefuses(t *testing.T) {
	t.Parallel()
	whole := flvFile(Tag{Kind: TagVideo, Data: []byte{0x17, 1, 0, 0, 0, 9}})
	for name, b := range map[string][]byte{
		"nothing":        {},
		"another format": []byte("RIFF....WAVEfmt "),
		"a long header":  append([]byte("FLV\x01\x05\xff\xff\xff\xff"), 0, 0, 0, 0),
		"cut in a tag":   whole[:len(whole)-6],
		"cut in a head":  whole[:20],
	} {
		if _, err := ParseFLV(b); !errors.Is(err, ErrFLV) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseFLV(f *testing.F) {
	f.Add(flvFile())
	f.Add(flvFile(Tag{Kind: TagVideo, At: 7, Data: []byte{0x17, 1, 0, 0, 0, 9}}, Tag{Kind: TagAudio, At: 9, Data: []byte{0xAF, 1, 3}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		tags, err := ParseFLV(b)
		if err != nil {
			return
		}
		size := 0
		for _, tag := range tags {
			size += flvTag + len(tag.Data) + flvTrailer
			tag.Key()
			NewPacket(tag)
		}
		if size > len(b) {
			t.Errorf("%d bytes of tags out of %d", size, len(b))
		}
		LoopOf(tags, 0)
		LoopOf(tags, 8000)
	})
}

func TestLoopOf(t *testing.T) {
	t.Parallel()
	const loopMillis = 8000
	tags := []Tag{{Kind: TagVideo, Data: []byte{0x17, 0}}}
	for at := uint32(0); at <= 100+loopMillis+40; at += 20 {
		head := byte(0x27)
		if at%100 == 0 && at > 0 {
			head = 0x17
		}
		tags = append(tags, Tag{Kind: TagVideo, At: at, Data: []byte{head, 1}})
	}
	r, err := LoopOf(tags, loopMillis)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Configs) != 1 || len(r.Frames) != loopMillis/20 || r.Frames[0].At != 0 || !r.Frames[0].Key() {
		t.Errorf("%d configs, %d frames, the first %+v", len(r.Configs), len(r.Frames), r.Frames[0])
	}
	if _, err := LoopOf(tags[:100], loopMillis); !errors.Is(err, ErrFLV) {
		t.Errorf("a short file: %v", err)
	}
	if _, err := LoopOf(tags[:3], loopMillis); !errors.Is(err, ErrFLV) {
		t.Errorf("a file without a key frame: %v", err)
	}
}
