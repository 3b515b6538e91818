package fmp4

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/fmp4/seekablebuffer"
	"github.com/bluenviron/mediacommon/v2/pkg/formats/mp4/codecs"

	"pushcart/internal/stream"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares bytes with a file of hexadecimal lines.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name+".hex")
	text := []byte(hex.Dump(got))
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, want) {
		t.Errorf("%s differs; got:\n%s", file, text)
	}
}

// Parameter sets of a 1280x720 stream as x264 writes them.
var (
	sps = unhex("6764001facd9405005bb016a02020280000003008000001e478c18cb")
	pps = unhex("68ebe3cb22c0")
)

func unhex(s string) []byte {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return b
}

// avcConfig makes an AVCDecoderConfigurationRecord with the given number of picture parameter sets.
func avcConfig(pictures int) []byte {
	b := []byte{1, sps[1], sps[2], sps[3], 0xff, 0xe1, 0, byte(len(sps))}
	b = append(b, sps...)
	b = append(b, byte(pictures))
	for range pictures {
		b = append(b, 0, byte(len(pps)))
		b = append(b, pps...)
	}
	return b
}

func h264() *stream.Track {
	return &stream.Track{Codec: stream.H264, ClockRate: 90000, Config: avcConfig(1), Width: 1280, Height: 720}
}

func aac() *stream.Track {
	return &stream.Track{ID: 100, Codec: stream.AAC, ClockRate: 48000, Config: []byte{0x11, 0x90}, SampleRate: 48000, Channels: 2, FrameSamples: 1024}
}

func opusTrack(head string) *stream.Track {
	return &stream.Track{ID: 100, Codec: stream.Opus, ClockRate: 48000, Config: unhex(head), SampleRate: 48000, Channels: 2}
}

// vp9 is 1280x720 in profile 0, level 3.1, 8 bits, 4:2:0 with chroma where the luma is, BT.709, limited range.
func vp9() *stream.Track {
	return &stream.Track{Codec: stream.VP9, ClockRate: 90000, Config: []byte{0, 31, 0x82, 1, 1, 1, 0, 0}, Width: 1280, Height: 720}
}

func TestInitGoldens(t *testing.T) {
	t.Parallel()
	for name, track := range map[string]*stream.Track{
		"init-avc": h264(), "init-aac": aac(), "init-vp9": vp9(),
		"init-opus": opusTrack("4f707573486561640102380180bb0000000000"),
		"init-mp3":  {ID: 100, Codec: stream.MP3, ClockRate: 44100, SampleRate: 44100, Channels: 2, FrameSamples: 1152},
	} {
		got, err := Init(track)
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name, got)
	}
}

// TestInitReadsBack holds what we write against a second opinion.
func TestInitReadsBack(t *testing.T) {
	t.Parallel()
	read := func(track *stream.Track) codecs.Codec {
		t.Helper()
		b, err := Init(track)
		if err != nil {
			t.Fatal(err)
		}
		var in fmp4.Init
		if err := in.Unmarshal(bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		if len(in.Tracks) != 1 || in.Tracks[0].ID != TrackID || int(in.Tracks[0].TimeScale) != track.ClockRate {
			t.Fatalf("read %+v", in.Tracks)
		}
		return in.Tracks[0].Codec
	}
	if c := read(h264()).(*codecs.H264); !bytes.Equal(c.SPS, sps) || !bytes.Equal(c.PPS, pps) {
		t.Errorf("parameter sets came back as %x %x", c.SPS, c.PPS)
	}
	if c := read(vp9()).(*codecs.VP9); c.Width != 1280 || c.Height != 720 || c.Profile != 0 || c.BitDepth != 8 || c.ChromaSubsampling != 1 || c.ColorRange {
		t.Errorf("VP9 came back as %+v", c)
	}
	if c := read(aac()).(*codecs.MPEG4Audio); c.Config.SampleRate != 48000 || c.Config.ChannelConfig != 2 {
		t.Errorf("AAC came back as %+v", c.Config)
	}
	if c := read(opusTrack("4f707573486561640102380180bb0000000000")).(*codecs.Opus); c.ChannelCount != 2 {
		t.Errorf("Opus came back as %+v", c)
	}
	if c, ok := read(&stream.Track{Codec: stream.MP3, ClockRate: 44100, Channels: 2}).(*codecs.MPEG1Audio); !ok || c.SampleRate != 44100 {
		t.Errorf("MP3 came back as %+v", c)
	}
}

// TestStorable: Init knows what it is said to know, and nothing else.
func TestStorable(t *testing.T) {
	t.Parallel()
	for c := range stream.Codec(64) {
		known := false
		for _, track := range []*stream.Track{h264(), vp9(), aac(), opusTrack("4f707573486561640102380180bb0000000000")} {
			track.Codec = c
			if _, err := Init(track); err == nil {
				known = true
			}
		}
		if known != Storable(c) {
			t.Errorf("%v: can be stored %v, is said to be %v", c, known, Storable(c))
		}
	}
}

func TestInitKeepsAllParameterSets(t *testing.T) {
	t.Parallel()
	track := h264()
	track.Config = avcConfig(3)
	b, err := Init(track)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, pps); n != 3 {
		t.Errorf("%d of 3 picture parameter sets are in the avcC", n)
	}
}

func TestInitRefuses(t *testing.T) {
	t.Parallel()
	for name, track := range map[string]*stream.Track{
		"no codec data":     {Codec: stream.H264, ClockRate: 90000},
		"short OpusHead":    {Codec: stream.Opus, ClockRate: 48000, Config: []byte("OpusHead")},
		"no channel table":  opusTrack("4f707573486561640106380180bb0000000001"),
		"VP9, whole box":    {Codec: stream.VP9, ClockRate: 90000, Config: make([]byte, 12)},
		"VP8":               {Codec: stream.VP8, ClockRate: 90000, Config: make([]byte, 8)},
		"G.711":             {Codec: stream.PCMA, ClockRate: 8000, Config: make([]byte, 8)},
		"codec of no sense": {Codec: 99, ClockRate: 1, Config: []byte{1}},
	} {
		if _, err := Init(track); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestChunk(t *testing.T) {
	t.Parallel()
	samples := []Sample{
		{Duration: 3000, Offset: 6000, Size: 5, Key: true},
		{Duration: 3060, Offset: 12000, Size: 3},
		{Duration: 2970, Offset: -90, Size: 4},
	}
	payload := []byte("key..ab.abcd")
	size := ChunkSize(len(samples), len(payload))
	b := AppendChunk(make([]byte, 0, size), 9, 1<<33, samples, payload)
	golden(t, "chunk", b)
	if len(b) != size {
		t.Errorf("a chunk of %d bytes was to have %d", len(b), size)
	}
	var parts fmp4.Parts
	if err := parts.Unmarshal(b); err != nil {
		t.Fatal(err)
	}
	track := parts[0].Tracks[0]
	if parts[0].SequenceNumber != 9 || track.BaseTime != 1<<33 || len(track.Samples) != len(samples) {
		t.Fatalf("read %+v", track)
	}
	var joined []byte
	for i, s := range track.Samples {
		if s.Duration != samples[i].Duration || s.PTSOffset != samples[i].Offset || s.IsNonSyncSample == samples[i].Key {
			t.Errorf("sample %d came back as %+v", i, s)
		}
		joined = append(joined, s.Payload...)
	}
	if !bytes.Equal(joined, payload) {
		t.Errorf("payload came back as %q", joined)
	}
}

// part is 200 ms of a 1.5 Mbit/s stream.
func part() (samples []Sample, payload []byte) {
	for i := range 6 {
		samples = append(samples, Sample{Duration: 3000, Offset: 3000, Size: 6250, Key: i == 0})
	}
	return samples, make([]byte, 6*6250)
}

func BenchmarkChunk(b *testing.B) {
	samples, payload := part()
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	slab := make([]byte, 0, ChunkSize(len(samples), len(payload)))
	for b.Loop() {
		AppendChunk(slab, 1, 90000, samples, payload)
	}
}

// BenchmarkChunkMediacommon is the yardstick: the same part by the library's writer.
func BenchmarkChunkMediacommon(b *testing.B) {
	samples, payload := part()
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		var list []*fmp4.Sample
		at := uint32(0)
		for _, s := range samples {
			list = append(list, &fmp4.Sample{Duration: s.Duration, PTSOffset: s.Offset, IsNonSyncSample: !s.Key, Payload: payload[at : at+s.Size]})
			at += s.Size
		}
		var out seekablebuffer.Buffer
		p := fmp4.Part{SequenceNumber: 1, Tracks: []*fmp4.PartTrack{{ID: 1, BaseTime: 90000, Samples: list}}}
		if err := p.Marshal(&out); err != nil {
			b.Fatal(err)
		}
		_ = slices.Clone(out.Bytes())
	}
}
