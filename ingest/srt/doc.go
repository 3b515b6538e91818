// Package srt takes streams over SRT (draft-sharabayko-srt-01) that carry an MPEG transport stream: as listener, to whom
// publishers connect, and as caller, who fetches a stream.
package srt
