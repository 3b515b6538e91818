package srt

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	gosrt "github.com/datarhei/gosrt"

	"pushcart/ingest"
)

// Stream identifiers. The standard form (SRT Access Control Guidelines; draft-sharabayko-srt-01 appendix B) is
//
//	#!::r=live/NAME,m=publish,u=USER,s=KEY
//
// r resource, m mode (request, which is the default, publish, bidirectional), u user, s session, in which we take the key,
// t type (stream, which is the default, file, auth), h host. Plain ones, as encoders with one field want them:
//
//	publish:live/NAME  publish:live/NAME:USER:KEY  live/NAME  each also with ?key=KEY behind the name
const (
	standardPrefix = "#!::"
	nestedPrefix   = "#!:{"
	application    = "live"
	longestName    = 256
)

// identifier is what a stream identifier says.
type identifier struct {
	name, key string
	// play tells that the peer wants to be sent the stream.
	play bool
}

// rejection is a connection that is not taken. SRT carries the code to the peer; the sentence is for the log.
type rejection struct {
	code     gosrt.RejectionReason
	reason   ingest.Reason
	sentence string
}

// codeConflict is SRT_REJX_CONFLICT of the SRT Access Control Guidelines.
const codeConflict gosrt.RejectionReason = 1409

const howTo = `Set the stream identifier to "#!::r=live/NAME,m=publish,s=KEY" or "publish:live/NAME?key=KEY".`

func badRequest(sentence string) *rejection {
	return &rejection{gosrt.REJX_BAD_REQUEST, ingest.ReasonBadName, sentence + " " + howTo}
}

// readIdentifier takes a stream identifier apart. Who escapes it for a URL may have it sent with the escapes: ffmpeg hands a
// parameter on as it stands there. They are looked at where it makes no sense as it is.
func readIdentifier(id string) (i identifier, no *rejection) {
	i, no = readUnescaped(id)
	if no == nil && !strings.Contains(i.name, "%") {
		return i, nil
	}
	if plain, err := url.PathUnescape(id); err == nil && plain != id {
		if j, not := readUnescaped(plain); not == nil {
			return j, nil
		}
	}
	return i, no
}

func readUnescaped(id string) (i identifier, no *rejection) {
	switch {
	case id == "":
		return i, badRequest("There is no stream identifier.")
	case !utf8.ValidString(id) || strings.ContainsFunc(id, unicode.IsControl):
		return i, badRequest("The stream identifier is no text.")
	case strings.HasPrefix(id, nestedPrefix):
		return i, badRequest("The stream identifier is of the nested form, which is not taken.")
	case strings.HasPrefix(id, "#!"):
		i, no = readStandard(id)
	default:
		i, no = readPlain(id)
	}
	if no != nil || i.play {
		return i, no
	}
	switch {
	case len(i.name) > longestName:
		return i, badRequest("The stream's name is too long.")
	case i.name == "" && i.key == "":
		return i, badRequest("The stream identifier names no stream.")
	}
	return i, nil
}

// readStandard reads the standard form. Keys that it does not know are passed over, as the guidelines ask.
func readStandard(id string) (i identifier, no *rejection) {
	rest, ok := strings.CutPrefix(id, standardPrefix)
	if !ok {
		return i, badRequest("The stream identifier begins like the standard form, but is not one.")
	}
	mode, kind, resource := "request", "stream", ""
	seen := map[string]bool{}
	for pair := range strings.SplitSeq(rest, ",") {
		k, v, ok := strings.Cut(pair, "=")
		if !ok || seen[k] {
			if pair == "" {
				continue
			}
			return i, badRequest("The stream identifier is not made of different keys with a value each.")
		}
		seen[k] = true
		switch k {
		case "r":
			resource = v
		case "m":
			mode = v
		case "s":
			i.key = v
		case "t":
			kind = v
		}
	}
	if kind != "stream" {
		return i, &rejection{gosrt.REJX_NOTSUP_MEDIA, ingest.ReasonProtocol, "The stream identifier asks for another type than a stream. " + howTo}
	}
	name, key, no := readResource(resource, true)
	if no != nil {
		return i, no
	}
	i.name = name
	if i.key == "" {
		i.key = key
	}
	switch mode {
	case "publish":
	case "request":
		i.play = true
	default:
		return i, &rejection{gosrt.REJX_BAD_MODE, ingest.ReasonProtocol, "The stream identifier's mode is neither publish nor request. " + howTo}
	}
	return i, nil
}

// readPlain reads the forms for encoders with one field.
func readPlain(id string) (i identifier, no *rejection) {
	for _, word := range []string{"read:", "request:", "play:"} {
		if rest, ok := strings.CutPrefix(id, word); ok {
			i.name, _, _ = readResource(rest, true)
			i.play = true
			return i, nil
		}
	}
	rest, publish := strings.CutPrefix(id, "publish:")
	path, query, asked := strings.Cut(rest, "?")
	if parts := strings.SplitN(path, ":", 3); publish && len(parts) > 1 {
		path = parts[0]
		i.key = parts[len(parts)-1]
	}
	if asked {
		path += "?" + query
	}
	name, key, no := readResource(path, false)
	if no != nil {
		return i, no
	}
	i.name = name
	if key != "" {
		i.key = key
	}
	return i, nil
}

// readResource reads live/NAME?key=KEY, with or without a slash in front. bare permits a name without live/.
func readResource(resource string, bare bool) (name, key string, no *rejection) {
	path, query, _ := strings.Cut(resource, "?")
	path = strings.Trim(path, "/")
	first, name, below := strings.Cut(path, "/")
	switch {
	case below && first == application:
		name = strings.Trim(name, "/")
	case !below && bare:
		name = path
	default:
		return "", "", badRequest("The stream identifier's path is not live/NAME.")
	}
	return name, ingest.QueryValue(query, "key"), nil
}

// codeOf is the rejection code for a refusal of the door.
func codeOf(r ingest.Reason) gosrt.RejectionReason {
	switch r {
	case ingest.ReasonBadKey:
		return gosrt.REJX_UNAUTHORIZED
	case ingest.ReasonNoKeys:
		return gosrt.REJX_FORBIDDEN
	case ingest.ReasonBadName:
		return gosrt.REJX_BAD_REQUEST
	case ingest.ReasonNameTaken, ingest.ReasonStandby, ingest.ReasonElsewhere:
		return codeConflict
	case ingest.ReasonLimit:
		return gosrt.REJX_OVERLOAD
	case ingest.ReasonShutdown, ingest.ReasonCluster, ingest.ReasonAuthority:
		return gosrt.REJX_DOWN
	}
	return gosrt.REJX_FORBIDDEN
}
