package card

import (
	"net/url"
	"strings"
	"testing"
)

func TestURLs(t *testing.T) {
	t.Parallel()
	long := "https://shop.example.com/" + strings.Repeat("x", maxURL-25)
	for _, test := range []struct{ url, want, message string }{ // message is "" for what is accepted
		{"https://shop.example.com", "https://shop.example.com", ""},
		{"https://shop.example.com/", "https://shop.example.com/", ""},
		{"https://SHOP.Example.COM:443/Path?A=b%20c#Part", "https://shop.example.com/Path?A=b%20c#Part", ""},
		{"https://shop.example.com?a=1&b[]=2", "https://shop.example.com?a=1&b[]=2", ""},
		{"https://shop.example.com/#/product/12", "https://shop.example.com/#/product/12", ""},
		{"https://shop.example.com/a@b;c=(d)!*'$,+~", "https://shop.example.com/a@b;c=(d)!*'$,+~", ""},
		{"https://a.cdn.example.net/x", "https://a.cdn.example.net/x", ""},
		{"https://a.b.cdn.example.net/x", "https://a.b.cdn.example.net/x", ""},
		{long, long, ""},

		{long + "x", "", "an address of 513 bytes, and 512 is the most"},
		{"", "", "is not an https address"},
		{"http://shop.example.com/", "", "is not an https address"},
		{"//shop.example.com/", "", "is not an https address"},
		{"/lamp", "", "is not an https address"},
		{"shop.example.com", "", "is not an https address"},
		{"https:shop.example.com", "", "is not an https address"},
		{"https:/shop.example.com", "", "is not an https address"},
		{`https:\\shop.example.com`, "", "is not an https address"},
		{"javascript:alert(1)", "", "is not an https address"},
		{"JaVaScRiPt://shop.example.com/%0aalert(1)", "", "is not an https address"},
		{"java\nscript:alert(1)", "", "is not an https address"},
		{"data:text/html,<script>", "", "is not an https address"},
		{"blob:https://shop.example.com/x", "", "is not an https address"},
		{"ftp://shop.example.com/", "", "is not an https address"},
		{" https://shop.example.com/", "", "is not an https address"},
		{"\u200bhttps://shop.example.com/", "", "is not an https address"},

		{"https://evil.com/", "", `points to the host "evil.com"`},
		{"https://example.com/", "", "not among the hosts"},
		{"https://shop.example.com.evil.com/", "", "not among the hosts"},
		{"https://evilshop.example.com/", "", "not among the hosts"},
		{"https://cdn.example.net/", "", "not among the hosts"},
		{"https://evilcdn.example.net/", "", "not among the hosts"},
		{"https://a.cdn.example.net.evil.com/", "", "not among the hosts"},
		{"https://xn--shop-8cd.example.com/", "", "not among the hosts"},
		{"https://evil.com/https://shop.example.com/", "", "not among the hosts"},
		{"https://evil.com?.shop.example.com/", "", "not among the hosts"},

		{"https://user@shop.example.com/", "", "has a user name in front of its host"},
		{"https://user:password@shop.example.com/", "", "has a user name"},
		{"https://@shop.example.com/", "", "has a user name"},
		{"https://shop.example.com@evil.com/", "", "has a user name"},
		{"https://shop.example.com:443@evil.com/", "", "has a user name"},
		{"https://shop.example.com%40evil.com/", "", "cannot be used"},
		{"https://evil.com%2fshop.example.com/", "", "cannot be used"},
		{`https://evil.com\@shop.example.com/`, "", `has "\\" in it: write it as "%5C"`},
		{`https://shop.example.com\.evil.com/`, "", `has "\\" in it`},
		{`https://shop.example.com/\evil`, "", `has "\\" in it`},
		{"https://evil.com#@shop.example.com/", "", `has a "#" directly behind its host`},
		{"https://shop.example.com#x", "", `has a "#" directly behind its host`},
		{"https://shop.example.com/#a#b", "", "or a second one"},
		{"https://shop.example.com/#:~:text=buy", "", "has a text directive"},
		{"https://shop.example.com/#x:~:text=buy", "", "has a text directive"},

		{"https://shop.example.com:8443/", "", "names a port"},
		{"https://shop.example.com:80/", "", "names a port"},
		{"https://shop.example.com:/", "", "names a port"},
		{"https://shop.example.com:0443/", "", "names a port"},
		{"https://shop.example.com:443:443/", "", "names a port"},
		{"https://shop.example.com./", "", "it ends with a point"},
		{"https://.shop.example.com/", "", "cannot be used"},
		{"https://shop..example.com/", "", "cannot be used"},
		{"https:///shop.example.com/", "", "it is empty"},
		{"https://", "", "it is empty"},
		{"https://[::1]/", "", "has an IP address for its host"},
		{"https://[::ffff:127.0.0.1%25lo]/", "", "has an IP address"},
		{"https://127.0.0.1/", "", "it is an IP address"},
		{"https://2130706433/", "", "it is an IP address"},
		{"https://0x7f.0x1/", "", "it is an IP address"},
		{"https://shop.example.com.1/", "", "it is an IP address"},
		{"https://localhost/", "", "it has one part only"},
		{"https://shop_1.example.com/", "", "cannot be used"},

		{"https://shop.exаmple.com/", "", "it has letters that are not ASCII"}, // a Cyrillic letter
		{"https://möbel.example/", "", "Punycode"},
		{"https://shop\u212a.example.com/", "", "it has letters that are not ASCII"}, // the Kelvin sign
		{"https://shop。example.com/", "", "it has letters that are not ASCII"},
		{"https://shop.example.com\u2044evil.com/", "", "it has letters that are not ASCII"},
		{"https://shop.example\u00ad.com/", "", "it has letters that are not ASCII"},

		{"https://shop.example.com/a b", "", "has a space or a control character"},
		{"https://shop.example.com/\t", "", "has a space or a control character"},
		{"https://shop.exam\nple.com/", "", "has a space or a control character"},
		{"https://shop.example.com/\x00", "", "has a space or a control character"},
		{"https://shop.example.com/\x7f", "", "has a space or a control character"},
		{"https://shop.example.com/ü", "", `has "ü" in it, which is not ASCII: write it percent-encoded, as "%C3%BC"`},
		{"https://shop.example.com/\u202e", "", "which is not ASCII"},
		{`https://shop.example.com/"onload="x`, "", `has "\"" in it: write it as "%22"`},
		{"https://shop.example.com/<script>", "", `has "<" in it: write it as "%3C"`},
		{"https://shop.example.com/{x}", "", `has "{" in it`},
		{"https://shop.example.com/a|b^c`d", "", `has "|" in it`},
		{"https://shop.example.com/%", "", `has a "%" without two hexadecimal digits`},
		{"https://shop.example.com/%4", "", `has a "%" without`},
		{"https://shop.example.com/?x=%zz", "", `has a "%" without`},
		{"https://shop.example.com/#%2", "", `has a "%" without`},
	} {
		doc := string(encode(map[string]string{"id": "a", "name": "x", "url": test.url}))
		c, err := Parse([]byte(doc), shop)
		switch {
		case err == nil && test.message != "":
			t.Errorf("%q was accepted: %s", test.url, c.JSON())
		case err == nil && c.product.URL != test.want:
			t.Errorf("%q has become %q, want %q", test.url, c.product.URL, test.want)
		case err != nil:
			f := sentence(t, err)
			if test.message == "" || f.Field != "url" || !strings.Contains(f.Message, test.message) {
				t.Errorf("%q is refused with %q: %q, want %q", test.url, f.Field, f.Message, test.message)
			}
		}
	}
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		hosts string
		host  string
		want  bool
	}{
		{"", "shop.example.com", false},
		{"*", "shop.example.com", true},
		{"shop.example.com", "shop.example.com", true},
		{"Shop.EXAMPLE.com", "shop.example.com", true},
		{"shop.example.com", "a.shop.example.com", false},
		{"shop.example.com", "example.com", false},
		{"*.example.com", "a.b.example.com", true},
		{"*.Example.com", "a.example.com", true},
		{"*.example.com", "example.com", false},
		{"*.example.com", "evilexample.com", false},
		{"*.example.com", "a.example.com.evil.com", false},
		{"*.", "a.example.com", false},
		{"*.*", "a.example.com", false},
		{"a.example b.example", "b.example", true},
	} {
		p := Policy{Hosts: strings.Fields(test.hosts)}
		_, err := Parse([]byte(with(`"url":"https://`+test.host+`/"`)), p)
		if got := err == nil; got != test.want {
			t.Errorf("%q allows %s: %v", test.hosts, test.host, got)
		}
	}
}

func TestValidHostPattern(t *testing.T) {
	t.Parallel()
	for _, p := range []string{"*", "shop.example.com", "*.example.com", "Shop.Example.COM", "xn--mbel-5qa.example", "a-1.b2.example", "1.example"} {
		if err := ValidHostPattern(p); err != nil {
			t.Errorf("%q: %v", p, err)
		}
	}
	for p, want := range map[string]string{
		"":                                     "it is empty",
		"*.":                                   "it is empty",
		"https://shop.example.com":             "it is more than a host",
		"shop.example.com/":                    "it is more than a host",
		"shop.example.com:443":                 "it is more than a host",
		"user@shop.example.com":                "it is more than a host",
		"[::1]":                                "it is more than a host",
		"*example.com":                         `it has a "*" where none can be`,
		"shop.*.com":                           `it has a "*" where none can be`,
		"*.*.example.com":                      `it has a "*" where none can be`,
		"**":                                   `it has a "*" where none can be`,
		"*.com":                                "it has one part only",
		"localhost":                            "it has one part only",
		"127.0.0.1":                            "it is an IP address",
		"*.0x1":                                "it is an IP address",
		"shop.example.com.":                    "it ends with a point",
		".example.com":                         `it has the part ""`,
		"shop example.com":                     `it has the part "shop example"`,
		"-a.example":                           `it has the part "-a"`,
		"a_b.example":                          `it has the part "a_b"`,
		"möbel.example":                        "it has letters that are not ASCII",
		"\u212a.example":                       "it has letters that are not ASCII",
		strings.Repeat("a", 64) + ".example":   "it has the part",
		strings.Repeat("a.", 130) + "example":  "it is longer than 253 characters",
		strings.Repeat("a", 5000) + ".example": "it is longer than 253 characters",
	} {
		if err := ValidHostPattern(p); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.80q: %v, want %q", p, err, want)
		}
	}
}

// FuzzURL: what is accepted has, for net/url, the host that was looked up, and stays as it is when it is read again.
func FuzzURL(f *testing.F) {
	for _, s := range []string{"https://shop.example.com/a?b#c", "HTTPS://SHOP.example.com:443", "https://a@b/", "https://[::1]/", "https://a.b/%41#:~:x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		host, rest, fault := splitURL(s)
		if fault != "" {
			return
		}
		whole := "https://" + host + rest
		u, err := url.Parse(whole)
		if err != nil || u.Host != host || u.Hostname() != host || u.User != nil || u.Scheme != "https" || ValidHostPattern(host) != nil {
			t.Fatalf("%q is split into %q and %q, and net/url sees %+v, %v", s, host, rest, u, err)
		}
		if h, r, fault := splitURL(whole); h != host || r != rest || fault != "" {
			t.Fatalf("%q is read back as %q, %q, %q", whole, h, r, fault)
		}
		if strings.Trim(whole, "!#$%&'()*+,-./:;=?@[]_~"+digits+lower+strings.ToUpper(lower)) != "" {
			t.Fatalf("%q has characters in it that no URL has", whole)
		}
	})
}
