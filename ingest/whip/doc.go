// Package whip takes streams over WebRTC, by the WebRTC-HTTP Ingestion Protocol (RFC 9725).
//
// A session's way: the HTTP handlers (http.go) read the offer (offer.go), ask the door, and make a peer connection whose
// answer (answer.go) names the one UDP and the one TCP port that all sessions share (sockets.go). Each remote track is read by
// a goroutine of its own; under the session's lock its packets pass the jitter buffer (jitter.go), are put together to
// access units (h264.go and its like) and get their time (clock.go) before they go to package feed. The session's
// goroutine (session.go) asks for what is missing and for key frames, and ends the session.
//
// The server is an ICE lite agent (RFC 8445 2.5): it has public addresses or ports forwarded to it, so checks from its side
// find no path that the publisher's do not, and it never sends a packet to an address only because an offer named it. What
// candidates a publisher has, among them multicast DNS names, does not matter then.
package whip
