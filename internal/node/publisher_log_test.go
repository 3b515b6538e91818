package node_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"

	"pushcart/internal/config"
	"pushcart/internal/testkit"
)

// TestPublishersLog: wherever publishers put their keys, right or wrong, by whatever protocol, the log does not have them; and all that
// it says of a publisher's connection has the connection's identifier.
func TestPublishersLog(t *testing.T) {
	t.Parallel()
	const right, wrong = "r1ght-5ecret-of-the-show", "wr0ng-5ecret-of-nobody"
	n := testkit.Start(t, func(c *config.Config) {
		c.Publish.Keys = []config.Key{{Stream: "*", Key: config.Secret(right)}}
		c.Pull.Sources = []config.Source{
			{Stream: "camera", URL: config.Secret("rtsp://user:" + right + "@127.0.0.1:1/live?token=" + wrong)},
			{Stream: "feed", URL: config.Secret("srt://127.0.0.1:1?streamid=" + right + "&passphrase=" + wrong)},
		}
	})
	tries := 0
	for _, protocol := range testkit.Protocols() {
		if protocol.Name == "rtsps" {
			continue // the same as rtsp/tcp, and it wants a certificate
		}
		for _, key := range []string{right, wrong} {
			for _, basic := range []bool{false, true} {
				tries++
				tracks := protocol.Media(t)
				src, err := protocol.Open(t, n, testkit.Show{Name: "show", Key: key, Basic: basic, Tracks: tracks})
				if (err == nil) != (key == right) {
					t.Errorf("%s, basic %t: %v", protocol.Name, basic, err)
				}
				if err != nil {
					continue
				}
				if err := testkit.Send(t.Context(), src, tracks, testkit.Stretch{To: 200 * time.Millisecond}); err != nil {
					t.Errorf("%s: %v", protocol.Name, err)
				}
				src.Leave()
			}
		}
	}
	for _, key := range []string{right, wrong} {
		for _, target := range [][2]string{{"live?key=" + key, "show"}, {"live", key}, {"live/" + key, "show"}, {key, "show"}, {"live", "show/" + key}} {
			p := testkit.Dial(t, n.RTMP(), nil)
			p.Command("connect", 1, amf0.Object{{Key: "app", Value: target[0]}, {Key: "tcUrl", Value: "rtmp://user:" + key + "@h/" + target[0]}})
			p.Send(20, 0, command(t, "createStream", 2.0, nil))                      //nolint:errcheck // the server may have closed
			p.Send(20, 0, command(t, "FCPublish", 3.0, nil, target[1]))              //nolint:errcheck
			p.Send(20, 0, command(t, "publish", 4.0, nil, target[1], "live"))        //nolint:errcheck
			p.Send(20, 0, command(t, "play", 5.0, nil, target[1]+"?key="+key))       //nolint:errcheck
			p.Send(20, 0, command(t, "publish", 6.0, nil, "again?key="+key, "live")) //nolint:errcheck
			p.Drop()
		}
		for _, id := range []string{"live/show?key=" + key, "publish:live/show:user:" + key, "#!::r=live/show,m=request,s=" + key, "#!::r=" + key + ",m=publish",
			"play:live/show?key=" + key, "#!::r=live/show,u=" + key + ",m=publish", key} {
			if src, err := testkit.DialSRT(t, n.Address("srt").String(), id, testkit.Show{}, nil); err == nil {
				src.Leave()
			}
		}
		for _, path := range []string{"/whip/show?key=" + key, "/whip/" + key, "/whip/show/" + key, "/whip/live/" + key} {
			for _, method := range []string{"POST", "PATCH", "DELETE"} {
				r, err := http.NewRequestWithContext(t.Context(), method, n.HTTP()+path, strings.NewReader("v=0\r\n"+key))
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("Content-Type", "application/sdp")
				r.Header.Set("Authorization", "Bearer "+key)
				if answer, err := http.DefaultClient.Do(r); err == nil {
					answer.Body.Close()
				}
			}
		}
		if _, err := testkit.DialRTSP(t, n.Address("rtsp").String(), testkit.Show{Name: key, Key: key}, nil); err != nil {
			t.Error(err)
		}
	}
	n.Stop()
	text := n.Log.String()
	for _, secret := range []string{right, wrong} {
		for line := range strings.Lines(text) {
			if strings.Contains(line, secret) {
				t.Errorf("the log has a secret: %s", line)
			}
		}
	}
	ended := 0
	for line := range strings.Lines(text) {
		if strings.Contains(line, "connection ended") {
			ended++
		}
		if (strings.Contains(line, "connection ended") || strings.Contains(line, "protocol=")) && !strings.Contains(line, "conn=") {
			t.Errorf("a line without the connection: %s", line)
		}
	}
	if ended < 20 {
		t.Errorf("%d connections in the log", ended)
	}
}

func command(t *testing.T, values ...any) []byte {
	t.Helper()
	b, err := amf0.Data(values).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
