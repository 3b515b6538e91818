package config

import (
	"slices"
	"strings"
	"testing"

	"pushcart/packager/ladder/command"
)

func TestLadders(t *testing.T) {
	t.Parallel()
	c, err := parse("f", []byte(`
publish:
  keys: [{stream: show1, key: long-secret, ladder: studio}]
ladder:
  encoders: [vaapi, cpu]
  ladders:
    - name: mobile
      rungs: [720p 1.8M, 480p 900k, 240p 350k, audio 64k]
    - {name: studio, mode: quality, rungs: [1080p 4.5M high]}
  streams:
    - {stream: "*", ladder: mobile}
    - {stream: radio, ladder: none}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	l := c.LadderNamed("mobile")
	if l == nil || l.Mode != command.Latency || len(l.Rungs) != 4 || l.Rungs[0].Lines != 720 || !l.Rungs[3].Audio {
		t.Errorf("mobile is %+v", l)
	}
	if l := c.LadderNamed("studio"); l == nil || l.Mode != command.Quality {
		t.Errorf("studio is %+v", l)
	}
	if c.LadderNamed("none") != nil || c.LadderNamed("other") != nil {
		t.Error("there are ladders that nobody has configured")
	}
	if a, b := c.LadderOf("show9"), c.LadderOf("radio"); a != "mobile" || b != NoLadder {
		t.Errorf("show9 gets %q, radio %q", a, b)
	}
	if e := c.AuthEntries(); len(e) != 1 || e[0].Ladder != "studio" {
		t.Errorf("keys are %+v", e)
	}
	c, err = parse("f", nil, []string{"PUSHCART_LADDER_STREAMS=radio=none,*=none", "PUSHCART_LADDER_ENCODERS=cpu",
		"PUSHCART_LADDER_LADDERS=[{name: a, rungs: [240p 300k]}]"})
	if err != nil || c.LadderOf("show") != NoLadder || !slices.Equal(c.Ladder.Encoders, []string{"cpu"}) || c.LadderNamed("a") == nil {
		t.Errorf("the environment gives %+v, %v", c, err)
	}
}

func TestLadderMistakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, file, want string }{
		{"encoder", "ladder: {encoders: [cuda]}\n", `f:1:21: ladder.encoders[1]: "cuda" is not one of nvenc, qsv, vaapi, amf, cpu`},
		{"encoder twice", "ladder: {encoders: [cpu, cpu]}\n", `f:1:26: ladder.encoders[2]: "cpu" is given twice`},
		{"ladder's name", "ladder: {ladders: [{name: none, rungs: [240p 300k]}]}\n", `f:1:27: ladder.ladders[1].name: "none" is taken`},
		{"no such ladder", "ladder: {streams: [{stream: a, ladder: b}]}\n", `f:1:40: ladder.streams[1].ladder: "b" is not a ladder: write "none", or add it to ladder.ladders`},
		{"no such ladder of some", "ladder: {ladders: [{name: a, rungs: [240p 300k]}, {name: c, rungs: [240p 300k]}], streams: [{stream: a, ladder: b}]}\n", `"b" is not a ladder: write a, c or "none"`},
		{"stream twice", "ladder: {streams: [{stream: a, ladder: none}, {stream: a, ladder: none}]}\n", `f:1:56: ladder.streams[2].stream: "a" has an entry before this one`},
		{"no encoders", "ladder: {encoders: []}\n", `f:1:20: ladder.encoders: has nothing in it: write at least [cpu]`},
		{"key's ladder", "publish: {keys: [{stream: a, key: long-secret, ladder: b}]}\n", `publish.keys[1].ladder: "b" is not a ladder`},
		{"rung", "ladder: {ladders: [{name: a, rungs: [240p 300k, 480q 1M]}]}\n", "ladder.ladders[1].rungs[2]: "},
		{"same rung twice", "ladder: {ladders: [{name: a, rungs: [240p 300k, 240p 400k]}]}\n", "ladder.ladders[1].rungs: cannot be used: "},
		{"no rungs", "ladder: {ladders: [{name: a, rungs: []}]}\n", "ladder.ladders[1].rungs: cannot be used: "},
		{"mode", "ladder: {ladders: [{name: a, mode: fast, rungs: [240p 300k]}]}\n", `"fast" is not one of latency, quality`},
		{"device", "ladder: {device: \"x; rm\"}\n", "ladder.device: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, err := parse("f", []byte(tt.file), nil); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}
