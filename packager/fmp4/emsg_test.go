package fmp4

import (
	"encoding/hex"
	"testing"
)

func TestEventBytes(t *testing.T) {
	t.Parallel()
	e := Event{
		Scheme: "https://aomedia.org/emsg/ID3", Value: "live.pushcart.cards", Timescale: 90000, Time: 158735810880000,
		Duration: UnknownDuration, ID: 7, Message: []byte("ID3"),
	}
	got := AppendEvent([]byte{0xee}, &e)
	const want = "ee" + // what was there
		"00000054" + "656d7367" + "01000000" + // size, emsg, version 1
		"00015f90" + "0000905e8f9ee200" + "ffffffff" + "00000007" + // timescale, presentation_time, event_duration, id
		"68747470733a2f2f616f6d656469612e6f72672f656d73672f49443300" + // scheme_id_uri
		"6c6976652e70757368636172742e636172647300" + // value
		"494433" // message_data
	if hex.EncodeToString(got) != want {
		t.Errorf("got  %x\nwant %s", got, want)
	}
	if n := EventSize(&e); n != len(got)-1 {
		t.Errorf("EventSize is %d, the box has %d bytes", n, len(got)-1)
	}
}

func BenchmarkAppendEvent(b *testing.B) {
	e := Event{Scheme: "https://aomedia.org/emsg/ID3", Value: "live.pushcart.cards", Timescale: 90000, Duration: UnknownDuration, Message: make([]byte, 700)}
	buf := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendEvent(buf[:0], &e)
	}
}
