package srt

import (
	"strings"
	"testing"
	"unicode/utf8"

	gosrt "github.com/datarhei/gosrt"
)

func TestReadIdentifier(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]identifier{
		"#!::r=live/show,m=publish":                              {name: "show"},
		"#!::r=/live/show,m=publish,u=ann,s=se+cret":             {name: "show", key: "se+cret"},
		"#!::m=publish,r=show,t=stream,h=example.com":            {name: "show"},
		"#!::r=live/show?key=a%20b,m=publish":                    {name: "show", key: "a b"},
		"#!::r=live/show,m=publish,s=a=b,x=y":                    {name: "show", key: "a=b"},
		"#!::m=publish,s=secret":                                 {key: "secret"},
		"#!::r=live/show":                                        {name: "show", play: true},
		"#!::r=live/show,m=request":                              {name: "show", play: true},
		"publish:live/show":                                      {name: "show"},
		"publish:/live/show?key=secret":                          {name: "show", key: "secret"},
		"publish:live/show:ann:secret":                           {name: "show", key: "secret"},
		"publish:live/show:secret":                               {name: "show", key: "secret"},
		"publish:live/show:ann:se:cret":                          {name: "show", key: "se:cret"},
		"%23%21%3A%3Ar%3Dlive%2Fshow%2Cm%3Dpublish%2Cs%3Da%252b": {name: "show", key: "a%2b"},
		"live/show":                  {name: "show"},
		"live/show?key=secret":       {name: "show", key: "secret"},
		"/live/show?x=1&key=se+cret": {name: "show", key: "se+cret"},
		"read:live/show":             {name: "show", play: true},
	} {
		got, no := readIdentifier(id)
		if no != nil || got != want {
			t.Errorf("%s: %+v %v, want %+v", id, got, no, want)
		}
	}
	for id, code := range map[string]gosrt.RejectionReason{
		"":                                 gosrt.REJX_BAD_REQUEST,
		"show":                             gosrt.REJX_BAD_REQUEST,
		"studio/show":                      gosrt.REJX_BAD_REQUEST,
		"live/":                            gosrt.REJX_BAD_REQUEST,
		"publish:show":                     gosrt.REJX_BAD_REQUEST,
		"#!::r=studio/show,m=publish":      gosrt.REJX_BAD_REQUEST,
		"#!::m=publish":                    gosrt.REJX_BAD_REQUEST,
		"#!::r=live/show,m=bidirectional":  gosrt.REJX_BAD_MODE,
		"#!::r=live/show,m=publish,t=file": gosrt.REJX_NOTSUP_MEDIA,
		"#!::r=live/a,r=live/b,m=publish":  gosrt.REJX_BAD_REQUEST,
		"#!::nonsense":                     gosrt.REJX_BAD_REQUEST,
		"#!:{r=live/show}":                 gosrt.REJX_BAD_REQUEST,
		"#!r=live/show,m=publish":          gosrt.REJX_BAD_REQUEST,
		"live/sh\x00ow":                    gosrt.REJX_BAD_REQUEST,
		"live/sh\nlevel=ERROR":             gosrt.REJX_BAD_REQUEST,
		"live/\xff":                        gosrt.REJX_BAD_REQUEST,
		"live/" + strings.Repeat("x", longestName+1): gosrt.REJX_BAD_REQUEST,
	} {
		got, no := readIdentifier(id)
		if no == nil || no.code != code {
			t.Errorf("%q: %+v %+v, want %d", id, got, no, code)
		} else if strings.Contains(no.sentence, "studio") || !strings.Contains(no.sentence, "#!::") {
			t.Errorf("%q: %s", id, no.sentence)
		}
	}
}

func FuzzIdentifier(f *testing.F) {
	f.Add("#!::r=live/show,m=publish,u=ann,s=secret")
	f.Add("publish:live/show:ann:secret?key=x")
	f.Fuzz(func(t *testing.T, id string) {
		i, no := readIdentifier(id)
		if no != nil {
			if no.code < 1000 || no.sentence == "" {
				t.Fatalf("%+v", no)
			}
			return
		}
		if !i.play && i.name == "" && i.key == "" || len(i.name) > longestName || !utf8.ValidString(i.name) {
			t.Fatalf("%+v", i)
		}
	})
}
