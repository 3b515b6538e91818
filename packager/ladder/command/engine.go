package command

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"pushcart/internal/stream"
)

// Backend is a family of encoders.
type Backend string

// The back-ends.
const (
	NVENC Backend = "nvenc" // NVIDIA
	QSV   Backend = "qsv"   // Intel Quick Sync Video
	VAAPI Backend = "vaapi" // Intel and AMD on Linux
	AMF   Backend = "amf"   // AMD
	CPU   Backend = "cpu"   // libx264, libx265, libaom
)

// Backends are all there are, in the order in which they are tried where nobody says another.
func Backends() []Backend { return []Backend{NVENC, QSV, VAAPI, AMF, CPU} }

// Engine is one way to encode. The zero value is none.
type Engine struct {
	// Backend of the encoders.
	Backend Backend
	// Filters tells that decoding and scaling are done on the GPU too, where the source allows it. False for CPU and AMF.
	Filters bool
	// Device is the GPU: a path such as "/dev/dri/renderD129", or its number for NVENC; "" is the first one.
	Device string
	// Encoders are the codecs that Backend was found to encode.
	Encoders []stream.Codec
	// Software are the codecs that the CPU was found to encode, for what Backend does not. Empty where it may not step in.
	Software []stream.Codec
}

// Settings are the operator's for all children.
type Settings struct {
	// Threads of each encoder; 0 is ffmpeg's choice.
	Threads int
}

// Forms of a device: a render node of Linux, or a number.
var (
	renderNode = regexp.MustCompile(`^/dev/dri/(renderD|card)[0-9]{1,4}$`)
	gpuNumber  = regexp.MustCompile(`^[0-9]{1,3}$`)
)

// ParseDevice tells whether a device may be named in a command: "", a render node such as "/dev/dri/renderD129", or the
// number of an NVIDIA GPU.
func ParseDevice(device string) error {
	if device == "" || renderNode.MatchString(device) || gpuNumber.MatchString(device) {
		return nil
	}
	return fmt.Errorf("%q is no device that an encoder can be told; write a render node such as /dev/dri/renderD129, "+
		"or the number of an NVIDIA GPU", device)
}

// deviceFor is the device as a back-end takes it; "" where it means another kind of GPU.
func deviceFor(b Backend, device string) string {
	switch {
	case b == NVENC && gpuNumber.MatchString(device), (b == QSV || b == VAAPI) && renderNode.MatchString(device):
		return device
	}
	return ""
}

// Candidates are the engines to try, in this order: each back-end first with the filters on the GPU, then without.
func Candidates(order []Backend, device string) []Engine {
	var all []Engine
	for _, b := range order {
		e := Engine{Backend: b, Device: deviceFor(b, device)}
		switch b {
		case NVENC, QSV, VAAPI:
			filters := e
			filters.Filters = true
			all = append(all, filters, e)
		case AMF, CPU:
			all = append(all, e)
		}
	}
	return all
}

// String is the engine as operators see it, such as "vaapi", "vaapi (encoding only)" or "cpu".
func (e Engine) String() string {
	if e.Filters || e.Backend == CPU || e.Backend == AMF {
		return string(e.Backend)
	}
	return string(e.Backend) + " (encoding only)"
}

// encodes tells whether the back-end itself was found to encode a codec.
func (e Engine) encodes(c stream.Codec) bool { return slices.Contains(e.Encoders, c) }

// On is the job as the engine can do it, without the outputs whose codec neither it nor the CPU in its stead encodes, and
// sentences that say so. The job is nil when nothing is left to do.
func (j *PictureJob) On(e Engine) (*PictureJob, []string) {
	can := func(o Output) bool { return e.encodes(o.Rung.Codec) || slices.Contains(e.Software, o.Rung.Codec) }
	less := *j
	less.Outputs = nil
	var notes []string
	for _, o := range j.Outputs {
		switch {
		case !can(o):
			notes = append(notes, fmt.Sprintf("Rung %s is left out: no encoder for %s works here.", o.Rung.Name, o.Rung.Codec))
			continue
		case !e.encodes(o.Rung.Codec):
			backend := strings.ToUpper(string(e.Backend))
			notes = append(notes, fmt.Sprintf("Rung %s is encoded by the CPU: %s has no encoder for %s.", o.Rung.Name, backend, o.Rung.Codec))
		}
		less.Outputs = append(less.Outputs, o)
	}
	if len(less.Outputs) == 0 && less.Poster == nil {
		return nil, notes
	}
	return &less, notes
}
