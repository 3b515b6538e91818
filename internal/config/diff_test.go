package config

import (
	"reflect"
	"testing"
	"time"
)

// TestDiffOfLadders: what nobody has to hide is told as changed, not as a secret.
func TestDiffOfLadders(t *testing.T) {
	t.Parallel()
	a, b := Default(), Default()
	a.Ladder.Ladders = []NamedLadder{{Name: "mobile", Rungs: []string{"480p 900k"}}}
	b.Ladder.Ladders = []NamedLadder{{Name: "mobile", Rungs: []string{"480p 800k"}}}
	want := []Change{{"ladder.ladders", "for mobile", "for mobile (changed)", ReloadNewStream}}
	if got := Diff(a, b); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestDiff(t *testing.T) {
	a, b := Default(), Default()
	b.HLS.PartDuration = Duration(300 * time.Millisecond)
	b.RTMP.Address = ""
	b.HTTP.MaxConnections = 5
	b.Publish.Keys = []Key{{Stream: "show1", Key: "long-secret"}, {Stream: "*", Key: "other-secret"}}
	b.Cards.Hosts = []string{"a.example.com", "*.b.example.com"}
	b.Studio.Tokens = []Token{{Stream: "show1", Token: "long-secret"}}
	b.Webhooks.Targets = []WebhookTarget{{URL: "https://user:password@shop.example.com/", Secret: "long-secret-of-16"}}
	b.HTTP.CDNSecrets = []Secret{"long-secret-of-16"}
	b.Node.Region = "DE"
	want := []Change{
		{"rtmp.address", ":1935", `""`, ReloadRestart},
		{"http.max_connections", "20000", "5", ReloadLive},
		{"http.cdn_secrets", "none", "(secret)", ReloadLive},
		{"publish.keys", "none", "for show1, *", ReloadLive},
		{"hls.part_duration", "200ms", "300ms", ReloadNewStream},
		{"cards.hosts", "none", "a.example.com, *.b.example.com", ReloadLive},
		{"studio.tokens", "none", "for show1", ReloadLive},
		{"node.region", `""`, "DE", ReloadRestart},
		{"webhooks.targets", "none", "for (secret)", ReloadLive},
	}
	if got := Diff(a, b); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	c := *b
	c.Publish.Keys = []Key{{Stream: "show1", Key: "third-secret"}, {Stream: "*", Key: "other-secret"}}
	want = []Change{{"publish.keys", "for show1, *", "for show1, * (changed)", ReloadLive}}
	if got := Diff(b, &c); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	c.Publish.Keys = []Key{}
	if got := Diff(a, Default()); got != nil {
		t.Errorf("equal configurations differ in %v", got)
	}
	a.Publish.Keys = []Key{}
	if got := Diff(a, Default()); got != nil {
		t.Errorf("two empty lists differ in %v", got)
	}
}

// TestDiffSeesEverySetting changes each setting alone.
func TestDiffSeesEverySetting(t *testing.T) {
	for _, s := range settings() {
		c := Default()
		v := s.in(c)
		switch v.Kind() {
		case reflect.String:
			v.SetString(v.String() + "x")
		case reflect.Bool:
			v.SetBool(!v.Bool())
		case reflect.Slice:
			v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		default:
			v.SetInt(v.Int() + 1)
		}
		if got := Diff(Default(), c); len(got) != 1 || got[0].Key != s.key || got[0].Class != s.class {
			t.Errorf("with another %s it finds %v", s.key, got)
		}
	}
}
