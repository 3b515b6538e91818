// Package load puts load on a low-latency HLS origin and measures what it does under it: synthetic publishers over RTMP, whose
// frames carry stamps, and viewers that ask as players do. pushcart bench is made of it, and the project's own benchmarks and
// test kit take its clients.
//
// It knows nothing of the node: what it reads are M3U8 playlists (rfc8216bis), what it sends is RTMP 1.0. Everything that an
// origin sends is bounded in size and in time.
package load
