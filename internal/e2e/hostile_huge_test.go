package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// many is how many lines, tracks, or levels a conversation has that has too many of them.
const many = 100000

// chunk0 is an RTMP chunk of type 0 (RTMP 1.0 5.3.1.2) with the length that it claims.
func chunk0(stream, typ byte, claimed int, body ...byte) []byte {
	b := []byte{stream & 63, 0, 0, 0, byte(claimed >> 16), byte(claimed >> 8), byte(claimed), typ, 0, 0, 0, 0}
	return append(b, body...)
}

// rtmpMessage is an RTMP message in one chunk: the chunk size is raised before.
func rtmpMessage(typ byte, body []byte) []byte {
	size := chunk0(2, 1, 4, 0x00, 0xFF, 0xFF, 0xFF)
	return append(size, chunk0(3, typ, len(body), body...)...)
}

// amfText is an AMF0 string (AMF0 2.4).
func amfText(text string) []byte {
	return append([]byte{2, byte(len(text) >> 8), byte(len(text))}, text...)
}

// connecting is a connect command up to its argument.
func connecting(argument ...byte) []byte {
	return slices.Concat(amfText("connect"), []byte{0, 0x3F, 0xF0, 0, 0, 0, 0, 0, 0}, argument)
}

var huges = struct {
	sync.Mutex
	all map[string][][][]byte
}{all: map[string][][][]byte{}}

// hugeAt is what claims, or is, more than it should, by the door.
func hugeAt(d *door) [][][]byte {
	huges.Lock()
	defer huges.Unlock()
	kind := strings.TrimSuffix(d.name, "s")
	if huges.all[kind] == nil {
		for _, b := range hugeBytes(kind) {
			huges.all[kind] = append(huges.all[kind], [][]byte{b})
		}
		if d.udp { // datagrams go one by one
			for i, one := range huges.all[kind] {
				huges.all[kind][i] = slices.Collect(slices.Chunk(one[0], 65507))
			}
		}
	}
	return huges.all[kind]
}

func hugeBytes(kind string) [][]byte {
	switch kind {
	case "rtmp":
		var unfinished []byte // of 64 chunk streams, each with a message of 16 MB that never ends
		for i := range 62 {
			unfinished = append(unfinished, chunk0(byte(i+2), 9, 0xFFFFFF, bytes.Repeat([]byte{1}, 128)...)...)
		}
		var streams []byte // as many chunk streams as there can be (5.3.1.1)
		for i := range 65536 {
			streams = append(streams, 1, byte(i), byte(i>>8), 0, 0, 0, 0, 0, 1, 9, 0, 0, 0, 0, 7)
		}
		return [][]byte{
			chunk0(3, 20, 0xFFFFFF), slices.Concat(chunk0(2, 1, 4, 0x7F, 0xFF, 0xFF, 0xFF), chunk0(3, 20, 0xFFFFFF, make([]byte, 1<<20)...)),
			chunk0(2, 1, 4, 0, 0, 0, 0), chunk0(2, 1, 4, 0, 0, 0, 1), unfinished, streams,
			rtmpMessage(20, connecting(0x0A, 0xFF, 0xFF, 0xFF, 0xFF)), rtmpMessage(20, connecting(0x08, 0xFF, 0xFF, 0xFF, 0xFF)),
			rtmpMessage(20, connecting(0x0C, 0xFF, 0xFF, 0xFF, 0xFF)), rtmpMessage(20, connecting(0x0F, 0x7F, 0xFF, 0xFF, 0xFF)),
			rtmpMessage(20, append(connecting(0x0A, 0, 0x0F, 0x42, 0x40), bytes.Repeat([]byte{5}, 1000000)...)),
			rtmpMessage(20, append(connecting(0x03), bytes.Repeat([]byte{0, 1, 'a', 5}, 500000)...)),
			bytes.Repeat(chunk0(2, 3, 4, 0, 0, 0, 1), many), bytes.Repeat(chunk0(2, 4, 6, 0, 6, 0, 0, 0, 1), many/4),
			bytes.Repeat(chunk0(3, 20, 0), many), bytes.Repeat(rtmpMessage(20, connecting(5)), 5000),
		}
	case "rtsp":
		announce := "ANNOUNCE rtsp://x/live/mallory?key=" + malloryKey + " RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n"
		sdp := func(lines string) []byte {
			text := "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n" + lines
			return []byte(fmt.Sprintf(announce, len(text)) + text)
		}
		return [][]byte{
			[]byte(strings.Replace(announce, "%d", "2147483648", 1)), []byte(strings.Replace(announce, "%d", "99999999999999999999", 1)),
			[]byte(strings.Replace(announce, "%d", "-1", 1)), []byte(strings.Replace(announce, "%d", "+0x10", 1)),
			sdp(strings.Repeat("m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n", many/4)),
			sdp("m=video 0 RTP/AVP 96\r\n" + strings.Repeat("a=fmtp:96 x=1\r\n", many)),
			sdp("m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 sprop-parameter-sets=" + strings.Repeat("Z0LAHtkDxWhAAAADAEAAAAwDxYuS,", 20000) + "\r\n"),
			[]byte("OPTIONS * RTSP/1.0\r\n" + strings.Repeat("X: y\r\n", many)), []byte("OPTIONS " + strings.Repeat("/", 1<<20)),
			[]byte(strings.Repeat("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n", many/10)),
			bytes.Repeat(append([]byte{'$', 255, 0xFF, 0xFF}, make([]byte, 65535)...), 40), []byte(strings.Repeat("$\x00\x00\x00", many)),
		}
	case "http", "admin", "relay":
		post := "POST /whip/mallory HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + malloryKey + "\r\nContent-Type: application/sdp\r\n"
		put := "PUT /api/v1/streams/mallory/cards/lamp HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + operatorToken + "\r\nContent-Type: application/json\r\n"
		get := func(path, header string) []byte {
			return []byte("GET " + path + " HTTP/1.1\r\nHost: x\r\n" + header + "\r\n")
		}
		body := func(head, text string) []byte {
			return []byte(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(text), text))
		}
		offer := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
		return [][]byte{
			get("/", strings.Repeat("a: b\r\n", many)), get("/", "X: "+strings.Repeat("y", 1<<20)+"\r\n"), get("/"+strings.Repeat("x/", 1<<19), ""),
			get("/live/evening/video.m3u8?_HLS_msn=9223372036854775807&_HLS_part=4294967296", ""),
			get("/live/evening/video.m3u8?"+strings.Repeat("_HLS_msn=1&", 1000), ""), get("/live/"+strings.Repeat("..%2f", 1000), ""),
			get("/live/evening/index.m3u8", "Range: bytes="+strings.Repeat("0-1,", 3000)+"\r\n"),
			get("/live/evening/index.m3u8", "Accept-Encoding: "+strings.Repeat("gzip;q=0.1,", 1200)+"\r\n"),
			get("/live/evening/index.m3u8", "If-None-Match: "+strings.Repeat(`"x",`, 3500)+"\r\n"),
			get("/p/"+strings.Repeat("1.k1.", 2500)+"/live/hidden/index.m3u8", ""), get("/p/1.k1.hidden.99999999999999999999.x/live/hidden/index.m3u8", ""),
			get("/", "Cookie: "+strings.Repeat("a=b;", 3000)+"\r\n"), get("/", "X-Forwarded-For: "+strings.Repeat("1.1.1.1,", 1500)+"\r\n"),
			[]byte(post + "Content-Length: 2147483648\r\n\r\n"), []byte(post + "Content-Length: 99999999999999999999\r\n\r\n"),
			[]byte(post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
			[]byte(post + "Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n"), []byte(put + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("1\r\na\r\n", many*2)),
			[]byte(post + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("x", 1<<20)),
			body(post, offer+strings.Repeat("m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:1\r\na=rtpmap:96 H264/90000\r\n", 8000)),
			body(post, offer+strings.Repeat("a=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n", 15000)),
			body(put, `{"title":{`+strings.Repeat(`"en":"x",`, 50000)+`"de":"y"}}`), body(put, `{"price":{"amount":"`+strings.Repeat("9", 500000)+`","currency":"EUR"}}`),
			[]byte(strings.Repeat("GET /live/evening/index.m3u8 HTTP/1.1\r\nHost: x\r\n\r\n", 3000)),
			get("/relay/1/evening", "Authorization: "+strings.Repeat("z", 15000)+"\r\n"), []byte("POST /relay/1/reverse HTTP/1.1\r\nHost: x\r\nContent-Length: 2147483648\r\n\r\n"),
			get("/debug/pprof/profile?seconds=999999999", ""), get("/metrics", "Accept: "+strings.Repeat("a/b,", 1500)+"\r\n"),
		}
	case "leaf":
		return [][]byte{
			[]byte("CONNECT {" + strings.Repeat(`"a":"b",`, many) + "\r\n"), []byte("SUB " + strings.Repeat("a.", many) + " 1\r\n"), []byte("PUB a 2147483647\r\n"),
			[]byte(strings.Repeat("PING\r\n", many)), []byte("LMSG a 99999999999999999999\r\n"), []byte("HMSG a 1 2147483647 2147483647\r\n"),
		}
	case "whip-tcp":
		return [][]byte{{0xFF, 0xFF}, append([]byte{0xFF, 0xFF}, stunHuge()...), bytes.Repeat([]byte{0, 0}, many), bytes.Repeat(append([]byte{0, 20}, stunHuge()[:20]...), 3000)}
	case "whip-udp":
		hello := append([]byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 1, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF}, make([]byte, 1000)...)
		return [][]byte{make([]byte, 65507), stunHuge(), hello, append([]byte{0x80 | 15, 96}, make([]byte, 1400)...)}
	case "srt":
		control := func(typ byte, body ...byte) []byte {
			return append([]byte{0x80, typ, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, body...)
		}
		shake := append(make([]byte, 48), 0, 5, 0xFF, 0xFF, 0, 1, 0xFF, 0xFF)
		binary.BigEndian.PutUint32(shake, 5)
		binary.BigEndian.PutUint32(shake[20:], 0xFFFFFFFF) // a conclusion
		return [][]byte{
			make([]byte, 65507), control(0, shake...), control(0, append(shake, make([]byte, 60000)...)...),
			control(3, 0x80, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF), control(3, bytes.Repeat([]byte{0x80, 0, 0, 0, 0x7F, 0xFF, 0xFF, 0xFF}, 8000)...),
			control(2, bytes.Repeat([]byte{0xFF}, 60000)...), control(7, bytes.Repeat([]byte{0xFF}, 8)...), control(5),
		}
	case "rtsp-udp":
		return [][]byte{
			make([]byte, 65507), append([]byte{0x80 | 15, 96}, make([]byte, 20)...), append([]byte{0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xBE, 0xDE, 0xFF, 0xFF}, make([]byte, 1000)...),
			append([]byte{0xA0, 96}, bytes.Repeat([]byte{0xFF}, 1300)...), bytes.Repeat([]byte{0x81, 200, 0xFF, 0xFF}, 300),
		}
	}
	panic("nothing huge for " + kind)
}

// stunHuge is a binding request (RFC 8489) whose attributes claim more than there is, with user names that never end.
func stunHuge() []byte {
	b := []byte{0, 1, 0xFF, 0xFC, 0x21, 0x12, 0xA4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	for range 1000 {
		b = append(b, 0, 6, 0, 40)
		b = append(b, bytes.Repeat([]byte{'u'}, 40)...)
	}
	return append(b, 0, 8, 0xFF, 0xFF)
}

// nestedAt is what is deep, by the door.
func nestedAt(d *door) [][][]byte {
	var all [][]byte
	switch strings.TrimSuffix(d.name, "s") {
	case "rtmp":
		strict := bytes.Repeat([]byte{0x0A, 0, 0, 0, 1}, many)
		object := bytes.Repeat([]byte{0x03, 0, 1, 'a'}, many)
		all = [][]byte{
			rtmpMessage(20, connecting(strict...)), rtmpMessage(20, connecting(object...)), rtmpMessage(18, slices.Concat(amfText("onMetaData"), strict)),
			rtmpMessage(22, bytes.Repeat([]byte{22, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 10000)), rtmpMessage(17, append([]byte{0}, connecting(bytes.Repeat([]byte{0x11}, many)...)...)),
		}
	case "http", "admin", "relay":
		head := "PUT /api/v1/streams/mallory/cards/lamp HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + operatorToken + "\r\nContent-Type: application/json\r\n"
		for _, text := range []string{
			strings.Repeat("[", many), strings.Repeat(`{"title":`, many), `{"title":{"en":` + strings.Repeat(`{"a":[`, many) + "}}", strings.Repeat(`[{"a":`, many/2) + "1" + strings.Repeat("}]", many/2),
		} {
			all = append(all, []byte(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(text), text)))
		}
		offer := "POST /whip/mallory HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + malloryKey + "\r\nContent-Type: application/sdp\r\n"
		text := "v=0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE " + strings.Repeat("0 ", many) + "\r\nm=video 9 UDP/TLS/RTP/SAVPF " + strings.Repeat("96 ", many) + "\r\n"
		all = append(all, []byte(fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", offer, len(text), text)))
	case "rtsp":
		text := "v=0\r\ns=-\r\n" + strings.Repeat("t=0 0\r\nr=1 1 1\r\nz=1 1\r\n", many/5) + strings.Repeat("a=group:X 0\r\n", many/5)
		all = [][]byte{[]byte(fmt.Sprintf("ANNOUNCE rtsp://x/live/mallory?key=%s RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", malloryKey, len(text), text))}
	case "leaf":
		all = [][]byte{[]byte("CONNECT " + strings.Repeat(`{"a":`, many) + "\r\n"), []byte("CONNECT " + strings.Repeat("[", many) + "\r\n")}
	case "whip-tcp": // frames in frames
		all = [][]byte{bytes.Repeat([]byte{0, 22, 0, 20}, many/10)}
	default: // datagrams: RTCP and STUN have lists of lists in one packet; what claims to hold the rest of itself
		all = [][]byte{bytes.Repeat([]byte{0x80, 201, 0, 0}, 350), bytes.Repeat([]byte{0, 1, 0, 4, 0x21, 0x12, 0xA4, 0x42}, 160), bytes.Repeat([]byte{0, 5, 0, 1}, 350)}
	}
	var out [][][]byte
	for _, b := range all {
		out = append(out, [][]byte{b})
	}
	return out
}
