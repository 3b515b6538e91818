package timed

import (
	"bytes"
	"strings"
	"testing"
)

// frame writes one ID3v2.4 frame.
func frame(kind string, flags [2]byte, body string) string {
	return kind + string(appendSyncsafe(nil, len(body))) + string(flags[:]) + body
}

// tag writes an ID3v2.4 tag around frames.
func tag(flags byte, frames string) string {
	return "ID3\x04\x00" + string(flags) + string(appendSyncsafe(nil, len(frames))) + frames
}

const ourBody = "\x03" + Description + "\x00a.b.c"

func TestForeignTags(t *testing.T) {
	t.Parallel()
	no := [2]byte{}
	ours := frame("TXXX", no, ourBody)
	priv := frame("PRIV", [2]byte{0, 0x0c}, "owner\x00\xff\xfe")
	other := frame("TXXX", no, "\x03mood\x00calm")
	good := tag(0, ours)
	for name, c := range map[string]struct {
		tag, want string // want is "" where the token is found
	}{
		"ours":                  {good, ""},
		"other frames":          {tag(0, priv+other+ours+frame("TIT2", no, "\x03x")), ""},
		"UTF-16 frame":          {tag(0, frame("TXXX", no, "\x01\xff\xfea\x00\x00\x00")+ours), ""},
		"TXXX without end":      {tag(0, frame("TXXX", no, "\x03mood")+ours), ""},
		"padding":               {tag(0, ours+strings.Repeat("\x00", 1000)), ""},
		"many frames":           {tag(0, strings.Repeat(other, maxFrames-1)+ours), ""},
		"nothing":               {"", "begin"},
		"another format":        {"TAG" + good[3:], "begin"},
		"short":                 {good[:9], "begin"},
		"too long":              {tag(0, strings.Repeat("\x00", maxTag)), "more than"},
		"ID3v2.3":               {"ID3\x03" + good[4:], "ID3v2.3"},
		"a later 2.4":           {"ID3\x04\x01" + good[5:], "ID3v2.4.1"},
		"unsynchronisation":     {tag(0x80, ours), "flags"},
		"extended header":       {tag(0x40, "\x00\x00\x00\x06\x01\x00"+ours), "flags"},
		"experimental":          {tag(0x20, ours), "flags"},
		"footer":                {tag(0x10, ours) + "3DI\x04\x00\x10\x00\x00\x00\x00", "flags"},
		"undefined flag":        {tag(0x01, ours), "flags"},
		"cut off":               {good[:len(good)-1], "its size"},
		"trailing bytes":        {good + "x", "its size"},
		"size not syncsafe":     {"ID3\x04\x00\x00\x00\x00\x00\x80" + strings.Repeat("\x00", 128), "its size"},
		"no frames":             {tag(0, ""), "no TXXX"},
		"padding only":          {tag(0, strings.Repeat("\x00", 20)), "no TXXX"},
		"other frames only":     {tag(0, priv+other), "no TXXX"},
		"description's case":    {tag(0, frame("TXXX", no, "\x03Live.pushcart.cards\x00a.b.c")), "no TXXX"},
		"description in UTF-16": {tag(0, frame("TXXX", no, "\x02\x00l\x00i")), "no TXXX"},
		"two of ours":           {tag(0, ours+other+ours), "two frames"},
		"too many frames":       {tag(0, strings.Repeat(other, maxFrames)+ours), "more than 64 frames"},
		"padding with bytes":    {tag(0, ours+"\x00\x00\x01"), "padding"},
		"frame in padding":      {tag(0, "\x00"+ours), "padding"},
		"bytes at the end":      {tag(0, ours+"TXX"), "no frame"},
		"identifier":            {tag(0, frame("txxx", no, ourBody)), "identifier"},
		"frame too long":        {tag(0, "TXXX\x00\x00\x00\x7f\x00\x00\x03"), "claims a size"},
		"frame not syncsafe":    {tag(0, "TXXX\x00\x00\x00\x84\x00\x00"+strings.Repeat("x", 132)), "claims a size"},
		"empty frame":           {tag(0, "TXXX\x00\x00\x00\x00\x00\x00"+ours), "claims a size"},
		"huge frame":            {tag(0, "TXXX\x7f\x7f\x7f\x7f\x00\x00\x03"), "claims a size"},
		"compressed":            {tag(0, frame("TXXX", [2]byte{0, 8}, ourBody)), "frame's flags"},
		"frame unsynchronised":  {tag(0, frame("TXXX", [2]byte{0, 2}, ourBody)), "frame's flags"},
		"read-only":             {tag(0, frame("TXXX", [2]byte{0x10, 0}, ourBody)), "frame's flags"},
		"Latin-1":               {tag(0, frame("TXXX", no, "\x00"+ourBody[1:])), "encoding is 0"},
		"unknown encoding":      {tag(0, frame("TXXX", no, "\x04"+ourBody[1:])), "encoding is 4"},
		"empty value":           {tag(0, frame("TXXX", no, "\x03"+Description+"\x00")), "has 0 bytes"},
		"long value":            {tag(0, frame("TXXX", no, ourBody+strings.Repeat("a", MaxToken))), "a token has"},
		"two values":            {tag(0, frame("TXXX", no, ourBody+"\x00d.e.f")), "byte 0x00"},
		"value ends with zero":  {tag(0, frame("TXXX", no, ourBody+"\x00")), "byte 0x00"},
		"value no token":        {tag(0, frame("TXXX", no, "\x03"+Description+"\x00<b>")), "byte 0x3c"},
		"value not ASCII":       {tag(0, frame("TXXX", no, "\x03"+Description+"\x00\u00e9")), "byte 0xc3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			token, err := ParseID3([]byte(c.tag))
			if c.want == "" {
				if err != nil || token != "a.b.c" {
					t.Errorf("%q, %v", token, err)
				}
				return
			}
			if err == nil || token != "" || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q, %v; want an error with %q", token, err, c.want)
			}
		})
	}
}

// TestSizesOverSevenBits: sizes are written with seven bits a byte, in the tag and in the frame.
func TestSizesOverSevenBits(t *testing.T) {
	t.Parallel()
	for _, size := range []int{1, 95, 96, 97, 106, 107, 127, 128, 129, 512, MaxToken} {
		token := strings.Repeat("a", size)
		b := AppendID3(nil, token)
		if found, err := ParseID3(b); err != nil || found != token {
			t.Errorf("%d bytes: %v", size, err)
		}
		for i := range b[6:10] {
			if b[6+i]&0x80 != 0 || b[tagHeader+4+i]&0x80 != 0 {
				t.Errorf("%d bytes: % x has a high bit", size, b[:tagHeader+frameHeader])
			}
		}
	}
}

// FuzzID3: what is found is written and found again.
func FuzzID3(f *testing.F) {
	no := [2]byte{}
	f.Add(AppendID3(nil, "a.b.c"))
	f.Add([]byte(tag(0, frame("PRIV", no, "a\x00b")+frame("TXXX", no, ourBody)+"\x00\x00")))
	f.Add([]byte(tag(0, frame("TXXX", no, "\x01\xff\xfea\x00\x00\x00"))))
	f.Add([]byte(tag(0x40, "\x00\x00\x00\x06\x01\x00")))
	f.Fuzz(func(t *testing.T, data []byte) {
		token, err := ParseID3(data)
		if err != nil {
			return
		}
		if len(token) > MaxToken || !bytes.Contains(data, []byte(token)) {
			t.Errorf("%q is found in %q", token, data)
		}
		if again, err := ParseID3(AppendID3(nil, token)); err != nil || again != token {
			t.Errorf("%q is found again as %q, %v", token, again, err)
		}
	})
}
