package rtsp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/sdp"
)

func TestProbeSDP(t *testing.T) {
	head := "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
	for name, body := range map[string]string{
		"formats": head + "m=video 0 RTP/AVP" + strings.Repeat(" 9", 30000) + "\r\n" + strings.Repeat("a=rtpmap:8 a\r\n", 4600),
		"formats2": head + "m=video 0 RTP/AVP" + strings.Repeat(" 9", 20000) + "\r\n" + strings.Repeat("a=rtpmap:\n", 8800),
		"fmtp": head + "m=video 0 RTP/AVP" + strings.Repeat(" 9", 20000) + "\r\na=fmtp:9 " + strings.Repeat("a=;", 29000)+"\r\n",
		"smart": head + "m=video 0 RTP/AVP" + strings.Repeat(" smart/1/9", 6000) + "\r\n" + strings.Repeat("a=rtpmap:\n", 6600),
		"cr": head + strings.Repeat("\n\rm=a 0 RTP/AVP 9", 7000),
		"fec": head + "a=group:FEC" + strings.Repeat(" a", 40000) + "\r\n" + strings.Repeat("m=a 0 RTP/AVP 9\na=mid:b\n", 1),
	} {
		if len(body) > 128<<10 { t.Error(name, len(body)) ; continue}
		at := time.Now()
		var s sdp.SessionDescription
		err := s.Unmarshal([]byte(body))
		d1 := time.Since(at)
		var d description.Session
		var err2 error
		if err == nil { err2 = d.Unmarshal(&s) }
		e := fmt.Sprint(err, err2); if len(e) > 80 { e = e[:80] }
		t.Log(name, len(body), "count", countMedia([]byte(body)), d1, time.Since(at), e)
	}
}
