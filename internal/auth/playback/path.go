package playback

import "strings"

// kind of what is behind an address.
type kind int

const (
	other       kind = iota // what is not for viewers: nothing of it is below a signed address
	media                   // playlists, parts, posters and card documents of a stream
	whereabouts             // which nodes have a stream
	about                   // what the API tells everybody of a stream, which decides itself: see Gate.Allows
	pages                   // the watch page
	assets                  // what is the same for all streams: what pages load, the SDK, public keys
)

// Beginnings of addresses. What is after one of a stream begins with the stream's name.
const (
	mediaPath  = "/live/"
	wherePath  = "/api/v1/where/"
	streamPath = "/api/v1/streams/"
	watchPath  = "/watch/"
)

// classify tells what is behind a path, as the node's handlers read it, and which stream it is of. A name that is none is one that no
// token opens.
func classify(path string) (k kind, stream string) {
	if rest, ok := strings.CutPrefix(path, mediaPath); ok {
		stream, _, _ = strings.Cut(rest, "/")
		return media, stream
	}
	if rest, ok := strings.CutPrefix(path, wherePath); ok {
		return whereabouts, rest
	}
	if rest, ok := strings.CutPrefix(path, streamPath); ok && !strings.Contains(rest, "/") {
		return about, rest
	}
	if rest, ok := strings.CutPrefix(path, watchPath); ok && !strings.Contains(rest, "/") {
		return pages, rest
	}
	if strings.HasPrefix(path, "/assets/") || strings.HasPrefix(path, "/sdk/") || path == "/.well-known/jwks.json" {
		return assets, ""
	}
	return other, ""
}

// split takes "/p/TOKEN/live/..." apart: the token, and the address behind it with its slash.
func split(path string) (token, rest string, ok bool) {
	token, _, ok = strings.Cut(path[len(Prefix):], "/")
	return token, path[len(Prefix)+len(token):], ok && token != ""
}

// isPlaylist tells whether media are a playlist, on which viewers are counted.
func isPlaylist(path string) bool { return strings.HasSuffix(path, ".m3u8") }
