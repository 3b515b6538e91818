package card

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
)

// Bounds on texts.
const (
	maxLanguages = 12
	maxTag       = 35 // bytes of a BCP 47 tag (RFC 5646, 4.4.1)
	maxMarks     = 8  // combining marks in a row
)

// words reads a text, or an object of texts by language, each of at most so many characters.
func (d *decoder) words(most int) func(value, place) text {
	return func(v value, p place) text {
		if v.kind != kindObject {
			return text{plain: d.plain(most)(v, p)}
		}
		if n := len(v.members); n == 0 || n > maxLanguages {
			d.fail(p.at, "The %s has %d languages: give it 1 to %d, or one text for everybody.", p.noun, n, maxLanguages)
			return text{}
		}
		t := text{by: make(map[string]string, len(v.members))}
		for _, m := range v.members {
			q := p.within(m.key, p.noun)
			tag := d.language(m.key, q)
			if _, twice := t.by[tag]; twice {
				d.fail(q.at, "The language %q is there twice: keep one of them.", tag)
			}
			if d.err != nil {
				return text{}
			}
			t.by[tag] = d.plain(most)(m.value, q)
		}
		return t
	}
}

// language reads a BCP 47 tag without extensions and private use, and returns its canonical form.
func (d *decoder) language(s string, p place) string {
	const example = `write a BCP 47 tag, like "en", "pt-BR" or "zh-Hant"`
	if len(s) > maxTag || strings.Trim(s, lower+strings.ToUpper(lower)+digits+"-") != "" {
		d.fail(p.at, "The language %s cannot be used: %s.", quote(s), example)
		return ""
	}
	tag, err := language.Parse(s)
	if base, _, _ := tag.Raw(); err != nil || base.String() == "und" {
		d.fail(p.at, "The language %s is not known: %s.", quote(s), example)
		return ""
	}
	if len(tag.Extensions()) > 0 {
		d.fail(p.at, "The language %s has an extension: leave that out, and %s.", quote(s), example)
	}
	canonical := tag.String()
	// Some tags have a canonical form that is none: a card that has one could not be read again.
	if again, err := language.Parse(canonical); err != nil || again.String() != canonical {
		d.fail(p.at, "The language %s is not known: %s.", quote(s), example)
	}
	return canonical
}

// plain reads a text of at most so many characters.
func (d *decoder) plain(most int) func(value, place) string {
	return func(v value, p place) string {
		if !d.is(v, p, kindText) {
			return ""
		}
		if n := utf8.RuneCountInString(v.text); n > most {
			d.fail(p.at, "The %s has %d characters, and %d is the most: shorten it.", p.noun, n, most)
		} else if fault := textFault(v.text); fault != "" {
			d.fail(p.at, "The %s %s.", p.noun, fault)
		}
		return v.text
	}
}

// tagLike is what begins a tag, a comment or a declaration in HTML (13.2.5.6) and XML.
var tagLike = regexp.MustCompile(`<[\p{L}/!?]`)

// textFault completes the sentence "The name ...": what makes a text unfit to be shown to people, and what to do. "" is
// nothing.
func textFault(s string) string {
	if fault := characterFault(s); fault != "" {
		return fault
	}
	switch {
	case s != strings.TrimSpace(s):
		return "begins or ends with a space: take it away"
	case !strings.ContainsFunc(s, visible):
		return "is empty: write something, or leave it out"
	case tagLike.MatchString(s):
		return fmt.Sprintf("has markup in it (%s): write plain text, and a space behind each \"<\"", quote(tagLike.FindString(s)))
	case html.UnescapeString(s) != s:
		return "has a character reference such as \"&lt;\" in it: write the character itself, and a space behind a \"&\" that is one"
	}
	return ""
}

// blackFlag begins the flags of England, Scotland and Wales, which are spelt in tag characters behind it.
const blackFlag = '\U0001f3f4'

// characterFault is textFault for the characters by themselves.
func characterFault(s string) string {
	marks, flag := 0, false
	for _, r := range s {
		if unicode.Is(unicode.M, r) {
			marks++
		} else if !unicode.Is(unicode.Cf, r) { // what is not seen does not end a pile of marks
			marks = 0
		}
		tag := '\U000e0001' <= r && r <= '\U000e007f'
		flag = r == blackFlag || flag && tag
		switch {
		case tag && !flag, '\ufff9' <= r && r <= '\ufffb', '\u206a' <= r && r <= '\u206f':
			return fmt.Sprintf("has the invisible character %U in it: take it away", r)
		case marks > maxMarks:
			return fmt.Sprintf("has more than %d combining marks in a row: take some away", maxMarks)
		case unicode.Is(unicode.Cc, r), r == '\u2028', r == '\u2029':
			return fmt.Sprintf("has the control character %U in it: take it away, and write a line break as a space", r)
		case '\u202a' <= r && r <= '\u202e', '\u2066' <= r && r <= '\u2069':
			return fmt.Sprintf("has the character %U in it, which turns the direction of writing: take it away; right-to-left scripts need none", r)
		case r == '\ufffd':
			return "has the character U+FFFD in it, which stands for one that was lost: write the text anew, as UTF-8"
		case r == '\ufeff', unicode.Is(unicode.Noncharacter_Code_Point, r), unicode.Is(unicode.Co, r):
			return fmt.Sprintf("has %U in it, which is no character for people: take it away", r)
		}
	}
	return ""
}

// visible tells whether a character leaves something to see by itself. Some letters, such as the Hangul fillers, do not.
func visible(r rune) bool {
	return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) && !unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) && r != '\u2800'
}

var couponCode = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

func (d *decoder) code(v value, p place) string {
	if d.is(v, p, kindText) && !couponCode.MatchString(v.text) {
		d.fail(p.at, "The code %s cannot be used: make it of up to 32 letters A to Z, digits, \"-\" and \"_\", like \"SAVE10\".", quote(v.text))
	}
	return v.text
}

// gtin reads a GTIN-8, -12, -13 or -14 (GS1 General Specifications, 7.9).
func (d *decoder) gtin(v value, p place) string {
	if !d.is(v, p, kindText) {
		return ""
	}
	n := len(v.text)
	if strings.Trim(v.text, digits) != "" || n != 8 && (n < 12 || n > 14) {
		d.fail(p.at, "The GTIN %s is not a number of 8, 12, 13 or 14 digits: write it as it stands under the bar code, without spaces.", quote(v.text))
		return ""
	}
	sum := 0
	for i, weight := n-2, 3; i >= 0; i, weight = i-1, 4-weight {
		sum += weight * int(v.text[i]-'0')
	}
	if want := (10 - sum%10) % 10; int(v.text[n-1]-'0') != want {
		d.fail(p.at, "The GTIN %s has a wrong check digit: it would have to end in %d. Look at the bar code again.", quote(v.text), want)
	}
	return v.text
}
