package whip

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"pushcart/internal/stream"
)

func all(stream.Codec) bool { return true }

func hls(c stream.Codec) bool { return c != stream.VP8 && c != stream.PCMA && c != stream.PCMU }

// offerOf writes an offer of sections, each given as "kind" and lines.
func offerText(sections ...string) string {
	var b strings.Builder
	b.WriteString("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n")
	for _, s := range sections {
		b.WriteString(strings.ReplaceAll(s, "\n", "\r\n") + "\r\n")
	}
	return b.String()
}

const (
	manyVideo = "m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100 101 102 103 104\na=mid:0\na=sendonly\na=rtpmap:96 VP8/90000\na=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n" +
		"a=rtpmap:98 VP9/90000\na=fmtp:98 profile-id=0\na=rtpmap:99 H264/90000\na=fmtp:99 packetization-mode=0;profile-level-id=42e01f\n" +
		"a=rtpmap:100 H264/90000\na=fmtp:100 packetization-mode=1;profile-level-id=42e01f\na=rtpmap:101 rtx/90000\na=fmtp:101 apt=100\n" +
		"a=rtpmap:102 H264/90000\na=fmtp:102 packetization-mode=1;profile-level-id=f4001f\na=rtpmap:103 AV1/90000\na=rtpmap:104 red/90000"
	vp8Video  = "m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:0\na=rtpmap:96 VP8/90000"
	someSound = "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8 13\na=mid:1\na=rtpmap:111 opus/48000/2\na=fmtp:111 minptime=10;useinbandfec=1\na=rtpmap:13 CN/8000"
	oldSound  = "m=audio 9 UDP/TLS/RTP/SAVPF 0 8\na=mid:1"
)

// TestOffer: of what is offered the codec is taken that can be delivered best.
func TestOffer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text     string
		with     func(stream.Codec) bool
		payloads []uint8
		codecs   []stream.Codec
		refused  string // part of the sentence
		bad      bool   // malformed rather than unsupported
	}{
		"a browser's":         {offerText(manyVideo, someSound), hls, []uint8{100, 101, 111}, []stream.Codec{stream.H264, stream.Opus}, "", false},
		"without H.264":       {offerText(manyVideo, someSound), func(c stream.Codec) bool { return c == stream.VP9 || c == stream.Opus }, []uint8{98, 111}, []stream.Codec{stream.VP9, stream.Opus}, "", false},
		"VP8":                 {offerText(vp8Video, someSound), all, []uint8{96, 111}, []stream.Codec{stream.VP8, stream.Opus}, "", false},
		"VP8, undeliverable":  {offerText(vp8Video, someSound), hls, nil, nil, "VP8", false},
		"old sound":           {offerText(strings.Replace(oldSound, "mid:1", "mid:0", 1)), hls, []uint8{8}, []stream.Codec{stream.PCMA}, "", false},
		"nothing known":       {offerText("m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:0\na=rtpmap:96 theora/90000"), all, nil, nil, "no video codec", false},
		"video as audio":      {offerText("m=audio 9 UDP/TLS/RTP/SAVPF 96\na=mid:0\na=rtpmap:96 H264/90000"), all, nil, nil, "no audio codec", false},
		"for receiving":       {offerText(vp8Video + "\na=recvonly"), all, nil, nil, "recvonly", false},
		"no sections":         {offerText(), all, nil, nil, "neither sound nor pictures", false},
		"a data channel only": {offerText("m=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:0"), all, nil, nil, "neither sound nor pictures", false},
		"no mid":              {offerText("m=video 9 UDP/TLS/RTP/SAVPF 96\na=rtpmap:96 VP8/90000"), all, nil, nil, "mid", true},
		"the same mid twice":  {offerText(vp8Video, vp8Video), all, nil, nil, "mid", true},
		"another kind":        {offerText("m=text 9 UDP/TLS/RTP/SAVPF 96\na=mid:0"), all, nil, nil, "text", false},
		"nine sections":       {offerText(slices.Repeat([]string{vp8Video}, 9)...), all, nil, nil, "9 media sections", false},
		"no bundle":           {strings.Replace(offerText(vp8Video, someSound), "a=group:BUNDLE 0 1\r\n", "", 1), all, nil, nil, "bundle", false},
		"five layers":         {offerText(vp8Video + "\na=rid:1 send\na=rid:2 send\na=rid:3 send\na=rid:4 send\na=rid:5 send"), all, nil, nil, "5 simulcast", false},
		"payload type 200":    {offerText("m=video 9 UDP/TLS/RTP/SAVPF 200\na=mid:0"), all, nil, nil, "payload type", true},
		"too many lines":      {offerText(vp8Video) + strings.Repeat("a=x\r\n", maxLines), all, nil, nil, "lines", true},
		"too many candidates": {offerText(vp8Video) + strings.Repeat("a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n", maxCandidates+1), all, nil, nil, "candidates", true},
		"no description":      {"hello", all, nil, nil, "no session description", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := readOffer(c.text, c.with)
			var bad *offerError
			if c.refused != "" {
				if !errors.As(err, &bad) || bad.unsupported == c.bad || !strings.Contains(bad.sentence, c.refused) {
					t.Fatalf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range o.sections {
				if s.codec != c.codecs[i] {
					t.Errorf("section %d: %s", i, s.codec)
				}
			}
			var got []uint8
			for _, p := range o.payloads {
				got = append(got, p.number)
			}
			if !slices.Equal(got, c.payloads) {
				t.Errorf("payload types %v, not %v", got, c.payloads)
			}
		})
	}
}

// TestFragment reads what RFC 9725 4.3.2 shows, and refuses what is none.
func TestFragment(t *testing.T) {
	t.Parallel()
	f, err := readFragment("a=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n" +
		"a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw network-id 1\r\na=end-of-candidates\r\n")
	if err != nil || f.ufrag != "EsAw" || f.password != "P2uYro0UCOQ4zxjKXaWCBui1" {
		t.Errorf("%+v, %v", f, err)
	}
	for _, bad := range []string{"v=0\r\n", "hello", "a=ice-ufrag:ab\r\n", "a=ice-ufrag:ab cd\r\n", "a=ice-pwd:short\r\n", "a=ice-pwd:" + strings.Repeat("a", 257),
		strings.Repeat("a=candidate:1\r\n", maxCandidates+1), strings.Repeat("a=x\r\n", maxLines+1)} {
		if _, err := readFragment(bad); err == nil {
			t.Errorf("%.40q is taken", bad)
		}
	}
}

// FuzzOffer: any text is an offer or refused with a sentence, and what is taken stays small.
func FuzzOffer(f *testing.F) {
	f.Add(offerText(manyVideo, someSound))
	f.Add(offerText(vp8Video+"\na=rid:q send\na=rid:h send\na=simulcast:send q;h", oldSound))
	f.Add("v=0\r\nm=video 9 x 96\r\na=mid:0\r\na=rtpmap:96 H264/90000/1\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := readOffer(text, hls)
		if err != nil {
			var bad *offerError
			if !errors.As(err, &bad) || bad.sentence == "" || len(bad.sentence) > 2000 {
				t.Errorf("no sentence: %v", err)
			}
			return
		}
		if len(o.sections) > maxSections || len(o.payloads) > maxSections*maxCodecs {
			t.Errorf("%d sections, %d formats", len(o.sections), len(o.payloads))
		}
		o.restarted(fragment{"abcd", "abcdefghijklmnopqrstuv"})
	})
}

// FuzzFragment: credentials that are taken can stand in a description.
func FuzzFragment(f *testing.F) {
	f.Add("a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\n")
	f.Add("m=audio 9 x 0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host")
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := readFragment(text); err == nil && strings.ContainsAny(got.ufrag+got.password, "\r\n ") {
			t.Errorf("%+v", got)
		}
	})
}
