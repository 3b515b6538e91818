package card

import (
	"strings"
	"testing"
)

// TestLanguages: the canonical form of a tag is its own canonical form, and short enough, for every language there is.
func TestLanguages(t *testing.T) {
	t.Parallel()
	var tags []string
	for a := 'a'; a <= 'z'; a++ {
		for b := 'a'; b <= 'z'; b++ {
			two := string(a) + string(b)
			tags = append(tags, two, two+"-Latn", two+"-UK", two+"-BU", two+"-SU", two+"-YU", two+"-1996", two+"-hant-hk", "zh-"+two+"a", "ar-a"+two)
			for c := 'a'; c <= 'z'; c++ {
				tags = append(tags, two+string(c), two+string(c)+"-cyrl-RS")
			}
		}
	}
	tags = append(tags, strings.Fields(`en-gb-oed zh-min-nan no-bok no-nyn i-klingon i-hak art-lojban sgn-be-fr zh-guoyu zh-xiang
		de-ch-1901 ca-valencia hy-arevela sl-rozaj-biske-1994 en-US-posix cel-gaulish sr-YU-ekavsk mo sh tl en-Latn-US-fonipa-scouse`)...)
	known := 0
	for _, s := range tags {
		var d decoder
		tag := d.language(s, place{"name", "name"})
		if d.err != nil {
			sentence(t, d.err)
			continue
		}
		known++
		var e decoder
		if again := e.language(tag, place{"name", "name"}); e.err != nil || again != tag || len(tag) > maxTag {
			t.Errorf("%s is %s, and that is %q, %v", s, tag, again, e.err)
		}
	}
	if known < 5000 {
		t.Errorf("only %d of %d tags are known", known, len(tags))
	}
}

// TestEveryCharacter tries each one by itself, between letters.
func TestEveryCharacter(t *testing.T) {
	t.Parallel()
	refused := func(r rune) bool {
		switch {
		case r < 0x20, 0x7f <= r && r < 0xa0: // C0, DEL, C1
		case 0xe0001 <= r && r <= 0xe007f, 0xfff9 <= r && r <= 0xfffb, 0x206a <= r && r <= 0x206f: // seen by nobody
		case r == 0x2028, r == 0x2029, r == 0xfeff, r == 0xfffd:
		case 0x202a <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069:
		case r&0xfffe == 0xfffe, 0xfdd0 <= r && r <= 0xfdef: // noncharacters
		case 0xe000 <= r && r <= 0xf8ff, r >= 0xf0000: // private use
		default:
			return false
		}
		return true
	}
	for r := rune(0); r <= 0x10ffff; r++ {
		if 0xd800 <= r && r <= 0xdfff {
			continue
		}
		fault := characterFault("a" + string(r) + "b")
		if (fault != "") != refused(r) {
			t.Errorf("%U: %q", r, fault)
		}
	}
}

// TestMarksPileUpOverWhatIsNotSeen: characters that show nothing do not hide a pile of marks.
func TestMarksPileUpOverWhatIsNotSeen(t *testing.T) {
	t.Parallel()
	for _, between := range []string{"", "\u200c", "\u200d", "\u200e", "\u2060"} {
		pile := strings.Repeat(strings.Repeat("\u0301", maxMarks)+between, 2)
		if characterFault("a"+pile) == "" {
			t.Errorf("%d marks with %+q between them pass", 2*maxMarks, between)
		}
	}
	if fault := characterFault("\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"); fault != "" {
		t.Errorf("the flag of England: %s", fault)
	}
}

// TestLanguagesWithoutACanonicalForm would make cards that cannot be read again.
func TestLanguagesWithoutACanonicalForm(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"en-1996-1901-de", "no-biske-1901-sgn"} {
		var d decoder
		if tag := d.language(s, place{"name", "name"}); d.err == nil {
			t.Errorf("%s is taken for %s", s, tag)
		}
	}
}
