package e2e

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"pushcart/internal/testkit"
)

// What follows reads media by itself, byte by byte, and shares no code with what wrote them.

// cardEvent is one event message, and what it carries.
type cardEvent struct {
	timescale, duration, id uint32
	time                    int64 // presentation time, in ticks of timescale
	token                   string
	state                   cardState
	msn                     int64
}

// cardState is the state of the slots as the token has it.
type cardState struct {
	Stream     string
	Epoch, Seq int64
	Slots      map[string]struct {
		Card  string
		Rev   int64
		Since int64
	}
}

// shows is what a state shows: "main:lamp/3 side:chair/1".
func (s *cardState) shows() string {
	var all []string
	for name, slot := range s.Slots {
		all = append(all, name+":"+slot.Card+"/"+decimal(slot.Rev))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// cardPicture is one sample of video.
type cardPicture struct {
	pts     int64 // ticks
	payload []byte
}

// cardMedia is all that a rendition's playlist lists, taken apart.
type cardMedia struct {
	playlist  *testkit.Playlist
	rendition string
	timescale int64
	events    []cardEvent // in the order of the bytes
	pictures  []cardPicture
}

// readCards downloads a rendition. Where a segment is listed whole and in parts, both must be the same bytes.
func readCards(t *testing.T, v *testkit.Viewer, rendition string, l *testkit.Playlist) *cardMedia {
	t.Helper()
	m := &cardMedia{playlist: l, rendition: rendition}
	for _, g := range l.Segments {
		m.timescale = int64(testkit.ReadInit(t, v.Fetch(g.Map, http.StatusOK)).TimeScale)
		var parts, whole []byte
		for _, p := range g.Parts {
			parts = append(parts, v.Fetch(p.URI, http.StatusOK)...)
		}
		if g.Complete {
			whole = v.Fetch(g.URI, http.StatusOK)
			if len(g.Parts) > 0 && !bytes.Equal(whole, parts) {
				t.Errorf("%s: segment %d is not what its parts are", rendition, g.MSN)
			}
		} else {
			whole = parts
		}
		m.read(t, g.MSN, whole)
	}
	return m
}

// read takes a segment's boxes apart.
func (m *cardMedia) read(t *testing.T, msn int64, data []byte) {
	t.Helper()
	var moof []byte
	for len(data) > 0 {
		typ, body, rest := nextBox(t, data)
		switch typ {
		case "emsg":
			e := readEvent(t, body)
			e.msn = msn
			m.events = append(m.events, e)
			if next, _, _ := nextBox(t, rest); next != "emsg" && next != "moof" {
				t.Errorf("%s: behind an emsg comes %s", m.rendition, next)
			}
		case "moof":
			moof = body
		case "mdat":
			m.pictures = append(m.pictures, readFragment(t, moof, body)...)
		}
		data = rest
	}
}

// nextBox splits a box off (ISO/IEC 14496-12 4.2).
func nextBox(t *testing.T, b []byte) (typ string, body, rest []byte) {
	t.Helper()
	if len(b) < 8 {
		t.Fatalf("a box of %d bytes", len(b))
	}
	size := int(binary.BigEndian.Uint32(b))
	if size < 8 || size > len(b) {
		t.Fatalf("box %q of %d bytes where %d are left", b[4:8], size, len(b))
	}
	return string(b[4:8]), b[8:size], b[size:]
}

// child finds a box within another's body.
func child(t *testing.T, b []byte, want string) []byte {
	t.Helper()
	for len(b) > 0 {
		typ, body, rest := nextBox(t, b)
		if typ == want {
			return body
		}
		b = rest
	}
	t.Fatalf("no box %q", want)
	return nil
}

// readFragment reads the samples of a fragment with one track (8.8.7, 8.8.8, 8.8.12).
func readFragment(t *testing.T, moof, mdat []byte) (list []cardPicture) {
	t.Helper()
	traf := child(t, moof, "traf")
	tfhd, tfdt, trun := child(t, traf, "tfhd"), child(t, traf, "tfdt"), child(t, traf, "trun")
	u32 := func(b []byte, i int) uint32 { return binary.BigEndian.Uint32(b[i:]) }
	var duration, size uint32
	at := 8
	for _, f := range []struct {
		flag  uint32
		bytes int
		into  *uint32
	}{{1, 8, nil}, {2, 4, nil}, {8, 4, &duration}, {0x10, 4, &size}} {
		if u32(tfhd, 0)&f.flag != 0 {
			if f.into != nil {
				*f.into = u32(tfhd, at)
			}
			at += f.bytes
		}
	}
	decode := int64(binary.BigEndian.Uint64(tfdt[4:]))
	if tfdt[0] != 1 {
		t.Fatalf("tfdt of version %d", tfdt[0])
	}
	flags, count := u32(trun, 0), u32(trun, 4)
	at = 8
	for _, flag := range []uint32{1, 4} {
		if flags&flag != 0 {
			at += 4
		}
	}
	for range count {
		d, n, offset := duration, size, int32(0)
		if flags&0x100 != 0 {
			d, at = u32(trun, at), at+4
		}
		if flags&0x200 != 0 {
			n, at = u32(trun, at), at+4
		}
		if flags&0x400 != 0 {
			at += 4
		}
		if flags&0x800 != 0 {
			offset, at = int32(u32(trun, at)), at+4
		}
		if int(n) > len(mdat) {
			t.Fatalf("a sample of %d bytes where %d are left", n, len(mdat))
		}
		list = append(list, cardPicture{pts: decode + int64(offset), payload: mdat[:n]})
		mdat = mdat[n:]
		decode += int64(d)
	}
	if at != len(trun) || len(mdat) != 0 {
		t.Fatalf("a fragment with %d bytes too many in trun, %d in mdat", len(trun)-at, len(mdat))
	}
	return list
}

// readEvent reads an emsg of version 1 (ISO/IEC 23009-1 5.10.3.3).
func readEvent(t *testing.T, b []byte) (e cardEvent) {
	t.Helper()
	if len(b) < 32 || binary.BigEndian.Uint32(b) != 1<<24 {
		t.Fatalf("emsg: %x", b)
	}
	e.timescale = binary.BigEndian.Uint32(b[4:])
	e.time = int64(binary.BigEndian.Uint64(b[8:]))
	e.duration, e.id = binary.BigEndian.Uint32(b[16:]), binary.BigEndian.Uint32(b[20:])
	strings := bytes.SplitN(b[24:], []byte{0}, 3)
	if len(strings) != 3 || string(strings[0]) != "https://aomedia.org/emsg/ID3" || string(strings[1]) != "live.pushcart.cards" {
		t.Fatalf("emsg: %q", b[24:])
	}
	e.token = readID3(t, strings[2])
	payload, err := base64.RawURLEncoding.DecodeString(tokenPart(e.token, 1))
	if err == nil {
		err = json.Unmarshal(payload, &e.state)
	}
	if err != nil {
		t.Fatalf("token %q: %v", e.token, err)
	}
	return e
}

func tokenPart(token string, i int) string {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return ""
	}
	return parts[i]
}

// readID3 reads a tag of ID3v2.4 with one TXXX frame (id3v2.4.0-structure 3.1 and 4, id3v2.4.0-frames 4.2.6).
func readID3(t *testing.T, b []byte) string {
	t.Helper()
	synchsafe := func(b []byte) int { return int(b[0])<<21 | int(b[1])<<14 | int(b[2])<<7 | int(b[3]) }
	const head, text = 10, "\x03live.pushcart.cards\x00"
	if len(b) < 2*head || string(b[:6]) != "ID3\x04\x00\x00" || synchsafe(b[6:]) != len(b)-head {
		t.Fatalf("ID3 tag: %q", b)
	}
	frame := b[head:]
	body := frame[head:]
	if string(frame[:4]) != "TXXX" || synchsafe(frame[4:]) != len(body) || !bytes.HasPrefix(body, []byte(text)) {
		t.Fatalf("ID3 frame: %q", frame)
	}
	return string(body[len(text):])
}

// changes are the messages that begin something, without those that tell a state again: the first of each state, by time.
func (m *cardMedia) changes() []cardEvent {
	type key struct{ epoch, seq int64 }
	seen := map[key]bool{}
	var all []cardEvent
	for _, e := range m.events {
		if k := (key{e.state.Epoch, e.state.Seq}); !seen[k] {
			seen[k] = true
			all = append(all, e)
		}
	}
	slices.SortStableFunc(all, func(a, b cardEvent) int { return cmp.Compare(a.time, b.time) })
	return all
}

// signed verifies the signature of every message with the node's published keys (RFC 7515, RFC 8037).
func (m *cardMedia) signed(t *testing.T, jwks []byte) {
	t.Helper()
	var set struct {
		Keys []struct{ Kty, Crv, X, Kid, Alg string }
	}
	if err := json.Unmarshal(jwks, &set); err != nil || len(set.Keys) == 0 {
		t.Fatalf("keys: %v: %s", err, jwks)
	}
	keys := map[string]ed25519.PublicKey{}
	for _, k := range set.Keys {
		x, err := base64.RawURLEncoding.DecodeString(k.X)
		if err != nil || k.Kty != "OKP" || k.Crv != "Ed25519" || len(x) != ed25519.PublicKeySize {
			t.Fatalf("key: %+v", k)
		}
		keys[k.Kid] = x
	}
	for _, e := range m.events {
		var header struct{ Alg, Kid, Typ string }
		h, err := base64.RawURLEncoding.DecodeString(tokenPart(e.token, 0))
		if err == nil {
			err = json.Unmarshal(h, &header)
		}
		if err != nil || header.Alg != "EdDSA" || header.Typ != "pushcart-state+jwt" || keys[header.Kid] == nil {
			t.Fatalf("header of %q: %+v, %v", e.token, header, err)
		}
		text := e.token[:strings.LastIndexByte(e.token, '.')]
		signature, err := base64.RawURLEncoding.DecodeString(tokenPart(e.token, 2))
		if err != nil || !ed25519.Verify(keys[header.Kid], []byte(text), signature) {
			t.Errorf("the signature of %q does not hold", e.token)
		}
		flipped := strings.Replace(text, ".", ".A", 1)
		if ed25519.Verify(keys[header.Kid], []byte(flipped), signature) {
			t.Errorf("the signature holds for another text than %q", e.token)
		}
	}
}

// cardRange is one EXT-X-DATERANGE of a card.
type cardRange struct{ id, start, end, value string }

// rangesOf lists a playlist's date ranges of cards.
func rangesOf(l *testkit.Playlist) (all []cardRange) {
	for line := range strings.Lines(l.Text) {
		list, ok := strings.CutPrefix(strings.TrimSpace(line), "#EXT-X-DATERANGE:")
		if ok && testkit.Attribute(list, "CLASS") == "live.pushcart.card" {
			all = append(all, cardRange{testkit.Attribute(list, "ID"), testkit.Attribute(list, "START-DATE"),
				testkit.Attribute(list, "END-DATE"), testkit.Attribute(list, "X-PUSHCART-CARD")})
		}
	}
	return all
}

// dateOf is when a presentation time was captured, by the EXT-X-PROGRAM-DATE-TIME of the first segment.
func (m *cardMedia) dateOf(pts int64) time.Time {
	ticks := pts - m.pictures[0].pts
	rest := ticks % m.timescale * int64(time.Second) / m.timescale
	return m.playlist.Segments[0].Wall.Add(time.Duration(ticks/m.timescale)*time.Second + time.Duration(rest))
}
