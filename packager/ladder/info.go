package ladder

import "time"

// State of a job: what is made of one of the publisher's tracks.
type State string

// The states of a job.
const (
	// Starting: ffmpeg runs, and nothing has come back yet.
	Starting State = "starting"
	// Running: renditions come back.
	Running State = "running"
	// Waiting: for the publisher, for the encoders' trial, or for the next attempt after a failure.
	Waiting State = "waiting"
	// Failed: the last attempts failed; the next one follows.
	Failed State = "failed"
	// Overloaded: there is no room on this host.
	Overloaded State = "overloaded"
	// Off: nothing is to be made.
	Off State = "off"
)

// Info is how a stream's ladder does at one moment, for people and programs.
type Info struct {
	// Stream is the stream's name.
	Stream string
	// Ladder is the ladder's name; "" when only conversions are made.
	Ladder string
	// Mode is "latency" or "quality"; "" without a ladder.
	Mode string
	// State is the picture job's, or the first sound job's where there is no picture job; Off where there is none.
	State State
	// Jobs are the ffmpeg children that there are or should be: the picture's first.
	Jobs []JobInfo
	// Rungs are the renditions that the plan has, in the order of their numbers.
	Rungs []RungInfo
	// Notes say what was left out of the plan, and why.
	Notes []string
	// PosterAt is when the newest poster came; zero when there is none.
	PosterAt time.Time
}

// JobInfo is one child.
type JobInfo struct {
	// Track is the number of the publisher's track that it works on; Picture tells that this is video.
	Track   int
	Picture bool
	// Engine is the back-end that encodes, such as "nvenc"; "" for sound and while nothing runs.
	Engine string
	// Args is how the child, or the last one, was called, with the program first.
	Args  []string
	State State
	// PID of the child; 0 while nothing runs.
	PID int
	// Since is when the child was started; zero while nothing runs.
	Since time.Time
	// Restarts counts the children that failed, over the stream's life; LastError says in a sentence how the last one did.
	Restarts  int
	LastError string
	// Stderr is what the child, or the last one, wrote last, a line each.
	Stderr []string
	// Speed is media time per real time over the last seconds, and FPS the pictures a second that ffmpeg reports; 0 when not
	// known.
	Speed, FPS float64
	// CPU is what the child takes of one processor, in percent, over the last seconds.
	CPU float64
	// Queued is how much media wait for the child; QueuedFrames and QueuedBytes are their number and size.
	Queued                    time.Duration
	QueuedFrames, QueuedBytes int
	// Fed counts the frames that the job's children got, Dropped those that were thrown away before, by reason.
	Fed     uint64
	Dropped map[string]uint64
}

// RungInfo is one rendition.
type RungInfo struct {
	// Track is its number, and Name its name in URIs.
	Track int
	Name  string
	// Source is the number of the publisher's track that it is made from.
	Source int
	// Codec for people, such as "H.264", and CodecString of RFC 6381, "" until the first frame.
	Codec, CodecString string
	// Width and Height in pixels; 0 for sound.
	Width, Height int
	// FrameRate is the highest to be expected, in frames a second; 0 when it is not known, and for sound.
	FrameRate float64
	// Converts tells that the rung stands in for a source that viewers cannot play.
	Converts bool
	// State is the job's, or Off for a rung that was taken off.
	State State
	// Target is the bit rate asked for, and Bitrate the measured one over the last seconds, in bit/s.
	Target  int
	Bitrate float64
	// Frames counts what came back and was passed on, Dropped what came back and was not, by reason.
	Frames  uint64
	Dropped map[string]uint64
	// Lag is how far the rung is behind its source in media time; Delay is the time from feeding a frame to its return.
	Lag, Delay time.Duration
	// Off says in a sentence why the rung was taken off; "" when it was not.
	Off string
}

// NodeInfo is how the room does.
type NodeInfo struct {
	// Program is what is called; Version is the first line that it says of itself.
	Program, Version string
	// Problem says in a sentence why nothing can be made; "" when all is well or nothing is asked for.
	Problem string
	// Ready tells that the trial of the engines is over.
	Ready bool
	// Engines that were tried, in the order of preference.
	Engines []EngineInfo
	// Children counts the ffmpeg processes, Transcodes those that work on pictures, and MaxTranscodes is their limit (0 none).
	Children, Transcodes, MaxTranscodes int
	// Budget and Used count processors: what children may take by the settings, and what they take by measurement (estimated
	// while they are new). Idle is what the host leaves unused; negative when it is not known.
	Budget, Used, Idle float64
	// Slowest is the speed of the slowest child that works on pictures, as in JobInfo, and FPS what all of them report together; 0
	// while none runs.
	Slowest, FPS float64
	// Wanted, Running and Off count rungs: those of all plans, those that are made, those that were taken off.
	Wanted, Running, Off int
}

// EngineInfo is a back-end that was tried.
type EngineInfo struct {
	// Backend is its name, and Device its GPU; "" is the first.
	Backend, Device string
	// Works tells that the trial went well; Problem says what went wrong otherwise, or in mid-stream since.
	Works   bool
	Problem string
	// Filters tells that decoding and scaling go on the GPU, too.
	Filters bool
	// Codecs that it encodes, for people.
	Codecs []string
	// Failures counts the children that failed on it; AsideUntil is until when it is not used
	// for any stream because of them.
	Failures   int
	AsideUntil time.Time
}

// Commands is what would be called for a stream, for people to read or try.
type Commands struct {
	// Ladder is the ladder's name.
	Ladder string
	// Engine is the back-end that the lines are for.
	Engine string
	// Lines are the programs with their arguments, one list for each child.
	Lines [][]string
	// Notes say what was left out, and why.
	Notes []string
}
