// Package rtmp takes live streams from publishers over RTMP and RTMPS (Adobe RTMP 1.0; Enhanced RTMP v2 by Veovera).
// It never serves players.
//
// A connection has one goroutine. It reads chunks into messages, answers commands, and hands each access unit on from
// the buffer into which it was read.
package rtmp
