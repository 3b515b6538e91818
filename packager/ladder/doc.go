// Package ladder turns a stream's frames into further renditions of it: rungs for viewers on slower networks, and what
// browsers can play where the publisher's coding is none of theirs.
//
// ffmpeg does the work, as a supervised child process for each of the publisher's tracks that something is made from. Frames go
// to it in NUT on its standard input and come back in NUT on one pipe for each rendition, with the times that they went with. A
// child that fails, stops or is too slow costs its own renditions only.
package ladder
