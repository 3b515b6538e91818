package authority

import (
	"fmt"
	"strings"
	"time"

	"pushcart/internal/auth"
)

// wrongKey is the sentence for a publisher whose secret is not known, or which has none.
func wrongKey(at auth.Attempt) string {
	if at.Secret == "" {
		return fmt.Sprintf("This stream key is not known. %s, the way the operator gave it to you.", keyPlace(at.Protocol))
	}
	return fmt.Sprintf("The key for this stream is wrong. Copy it again. %s.", keyPlace(at.Protocol))
}

// keyPlace says where a key is put.
func keyPlace(protocol string) string {
	switch protocol {
	case "rtsp", "rtsps":
		return "Give it as the password, with any user, or behind the address: live/NAME?key=SECRET"
	case "srt":
		return "Put it into the stream identifier: #!::r=live/NAME,m=publish,s=SECRET"
	case "whip":
		return "Give it as the bearer token"
	}
	return "Enter it as NAME?key=SECRET"
}

func denyKey(at auth.Attempt) *auth.Denied {
	return &auth.Denied{Why: auth.WhyKey, Message: wrongKey(at)}
}

func badToken(err error) *auth.Denied {
	return &auth.Denied{Why: auth.WhyKey, Message: fmt.Sprintf("The token for this stream cannot be used: %v. Get a new one from where you got it.", err)}
}

func badName(name string, err error) *auth.Denied {
	const longest = 64
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "") + "…"
	}
	return &auth.Denied{Why: auth.WhyName, Message: fmt.Sprintf("The stream name %q cannot be used: %v.", name, err)}
}

func denyDown() *auth.Denied {
	return &auth.Denied{Why: auth.WhyDown, Message: "This server cannot check stream keys at this time. Try again in a moment."}
}

func busy(message string) *auth.Denied {
	return &auth.Denied{Why: auth.WhyBusy, Message: message}
}

func tooManyWrong(wait time.Duration) *auth.Denied {
	return busy(fmt.Sprintf("Too many different wrong stream keys came from your network. Check the key, and try again in %d seconds.",
		max(1, int((wait+time.Second-1)/time.Second))))
}
