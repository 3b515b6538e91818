// Package command turns what is asked of a bitrate ladder into ffmpeg's arguments. It is pure: it starts nothing, reads nothing
// and knows no stream but its tracks, so that the lines for a GPU can be read and tested where there is none.
//
// A Ladder is what the operator asks for, a Plan what is to be made of a publisher's tracks, a job what one ffmpeg child does:
// PictureJob decodes once and encodes all pictures, SoundJob one track of sound. Nothing goes into an argument but numbers,
// fixed words and the device that the operator names, whose form ParseDevice checks.
//
// All children are wired alike: NUT on standard input; what -progress prints on descriptor 3; from descriptor 4 on one NUT
// file for each output, in their order; and behind them that of the poster, of mjpeg, where there is one.
package command
