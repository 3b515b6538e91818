package codec

import (
	"fmt"

	"pushcart/internal/stream"
)

// Bounds on what codec data may claim.
const (
	maxRecord     = 64 << 10 // bytes of a decoder configuration; real ones have some hundred
	maxSetSize    = 4 << 10  // bytes of one parameter set
	maxPictureDim = 16384    // pixels
	maxFrameRate  = 1000     // a faster claim is taken for none
)

// Sample is one access unit as ISO-BMFF stores it.
type Sample struct {
	// Payload of the sample. It may alias the bytes that were read and is valid until the next Read of this or of another
	// inspector with the same Buffer. Empty when the
	// access unit carried no picture, only parameter sets or delimiters: there is nothing to store then.
	Payload []byte
	// Key tells that decoding can start here.
	Key bool
	// Leading tells that the picture cannot be decoded when decoding starts at the key frame before it: RASL pictures of HEVC
	// refer to what came before that.
	Leading bool
	// Changed tells that the codec data that came with this sample replaced the former: Track has a new answer.
	Changed bool
}

// Video inspects one video track. It is made from the track's decoder configuration, or for a stream that brings all of it
// in band, and follows changes that come in band. It is for one goroutine.
type Video struct {
	codec   stream.Codec
	lenSize int    // bytes of a NAL unit's length in what Read takes
	inBand  bool   // made without a record: what comes in band is all there is
	given   []byte // configuration as it was given
	config  []byte // configuration as stored
	props   properties
	sets    paramSets
	extra   []byte  // HEVC: the record's other arrays
	extras  int     // their number
	pending bool    // sets hold what config does not say yet; AV1: config says what no sample has told
	scratch *Buffer // where samples are rebuilt that do not fit in place; nil until one is
	seqOBU  []byte  // AV1: payload of the sequence header in force
	reduced bool    // AV1: reduced_still_picture_header of it
	user    userData
}

// properties are what codec data says of a track.
type properties struct {
	codecString   string
	width, height int
	frameRate     float64
	reorder       int // pictures that may precede another in decoding order and follow it in output order
	color         stream.Color
	pixelAspect   [2]int // width of a sample to its height; zero where it is square
}

// NewVideo reads a decoder configuration: AVCDecoderConfigurationRecord, HEVCDecoderConfigurationRecord,
// AV1CodecConfigurationRecord or VPCodecConfigurationRecord (VP9). The record is kept as it came, but for the length size, which becomes 4, and fields that
// contradict the parameter sets beside them.
func NewVideo(c stream.Codec, record []byte) (*Video, error) {
	if len(record) > maxRecord {
		return nil, fmt.Errorf("%s codec data of %d bytes: the limit is %d", c, len(record), maxRecord)
	}
	v := &Video{codec: c, given: append([]byte(nil), record...)}
	var err error
	switch c {
	case stream.H264:
		err = v.readAVCC(record)
	case stream.HEVC:
		err = v.readHVCC(record)
	case stream.AV1:
		err = v.readAV1C(record)
	case stream.VP9:
		err = v.readVPCC(record)
	default:
		return nil, &UnsupportedError{What: c.String() + " video"}
	}
	if err != nil {
		return nil, fmt.Errorf("%s codec data: %w", c, err)
	}
	return v, nil
}

// Codec of the track.
func (v *Video) Codec() stream.Codec { return v.codec }

// LengthSize is the number of bytes of each NAL unit's length in the access units that Read takes; 0 for others than H.264
// and HEVC.
func (v *Video) LengthSize() int { return v.lenSize }

// Given tells whether record is the very one that the inspector was made from.
func (v *Video) Given(record []byte) bool { return string(v.given) == string(record) }

// Same tells whether both describe the same coding, so that a decoder need not be set up anew.
func (v *Video) Same(o *Video) bool {
	return v.codec == o.codec && v.lenSize == o.lenSize && string(v.config) == string(o.config)
}

// Track makes the description of the track.
func (v *Video) Track(id int) *stream.Track {
	return &stream.Track{
		ID: id, Codec: v.codec, ClockRate: 90000, Config: v.config, CodecString: v.props.codecString,
		Width: v.props.width, Height: v.props.height, PixelAspect: v.props.pixelAspect, FrameRate: v.props.frameRate,
		Color: v.props.color,
	}
}

// Read inspects one access unit and makes a sample of it. It may overwrite au. Its error wraps ErrDamaged: what the
// access unit holds cannot be trusted, and neither can what follows, up to the next key frame.
func (v *Video) Read(au []byte) (Sample, error) {
	switch v.codec {
	case stream.AV1:
		return v.readOBUs(au)
	case stream.VP8:
		return v.readVP8(au)
	case stream.VP9:
		return v.readVP9(au)
	}
	return v.readNALs(au)
}

// UserData returns the texts of the SEI messages with our UUID in the access unit that was read last, in their order: see
// userDataUUID. They are valid until the next Read, may have come without a picture, and are of no use after an error. The
// sample keeps the messages, too. lost counts those that were cut off, or beyond what an access unit may have.
func (v *Video) UserData() (texts [][]byte, lost int) { return v.user.messages, v.user.lost }

// checkPicture takes over a picture size if it is one.
func (p *properties) checkPicture(width, height int) error {
	if width < 1 || height < 1 || width > maxPictureDim || height > maxPictureDim {
		return fmt.Errorf("a picture of %dx%d pixels", width, height)
	}
	p.width, p.height = width, height
	return nil
}

// claimRate takes over a frame rate of units per tick, if it makes sense.
func (p *properties) claimRate(timeScale, unitsPerFrame uint64) {
	p.frameRate = 0
	if unitsPerFrame == 0 {
		return
	}
	if r := float64(timeScale) / float64(unitsPerFrame); r > 0 && r <= maxFrameRate {
		p.frameRate = r
	}
}
