package ts

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/asticode/go-astits"

	"pushcart/ingest"
	"pushcart/ingest/feed"
	"pushcart/internal/stream"
)

// Bounds on what the tables may ask for.
const (
	mostPrograms = 16 // whose maps are looked at
	mostStreams  = 48 // in use, of one program
	mostTracks   = 16 // of video, and of audio
	firstAudio   = 100
)

// Types of stream (ISO/IEC 13818-1 table 2-34, ANSI/SCTE 35 8.1).
const (
	typePrivate  = 0x06
	typeMetadata = 0x15
)

// Tags of descriptors that are looked at by themselves.
const (
	tagMetadata  = 0x26 // metadata_descriptor (ISO/IEC 13818-1 2.6.60)
	tagOpus      = 0x80 // in an extension descriptor
	formatOpus   = 'O'<<24 | 'p'<<16 | 'u'<<8 | 's'
	formatAV1    = 'A'<<24 | 'V'<<16 | '0'<<8 | '1'
	formatID3    = 'I'<<24 | 'D'<<16 | '3'<<8 | ' '
	languageNone = "und"
)

// program is the one that is read: the first whose map has something to take. Its streams share a clock.
type program struct {
	pat     []byte // the section in force
	version uint8
	maps    map[uint16]uint16 // numbers of the programs by the PID of their map
	pid     uint16            // of the map that is read; 0 is none yet
	pmt     []byte            // the section in force
	streams []*elementary
}

// elementary is a stream of the program that is in use.
type elementary struct {
	pid    uint16
	kind   string // what it must be to stay the same
	number int    // of the track; -1 is none
	line   *line
}

// pat takes a program association section.
func (r *Reader) pat(section []byte) error {
	t, ok := tableOf(section)
	if !ok || t.id != tablePAT || !t.current || bytes.Equal(section, r.program.pat) {
		return nil
	}
	d, err := readPAT(section)
	if err != nil {
		r.say("A program association table cannot be read.")
		return nil
	}
	if r.program.maps == nil || t.version != r.program.version || section[6] == 0 {
		r.program.maps = map[uint16]uint16{}
	}
	r.program.pat, r.program.version = append(r.program.pat[:0], section...), t.version
	for _, p := range d.Programs {
		if p.ProgramNumber != 0 && p.ProgramMapID != pidPAT && p.ProgramMapID != pidNull && len(r.program.maps) < mostPrograms {
			r.program.maps[p.ProgramMapID] = p.ProgramNumber
		}
	}
	if _, still := r.program.maps[r.program.pid]; !still && r.program.pid != 0 {
		r.leave()
	}
	r.watch()
	return nil
}

// leave gives the program up.
func (r *Reader) leave() {
	r.program.pid, r.program.pmt, r.program.streams = 0, nil, nil
	r.forget(func(l *line) bool { return l.sections == nil || l.pid != pidPAT })
}

// watch listens to the maps: to that of the program that is read, or else to all.
func (r *Reader) watch() {
	wanted := func(pid uint16) bool {
		_, there := r.program.maps[pid]
		return there && (r.program.pid == 0 || r.program.pid == pid)
	}
	heard := map[uint16]bool{}
	r.forget(func(l *line) bool {
		if l.sections == nil || l.pid == pidPAT || slices.ContainsFunc(r.program.streams, func(e *elementary) bool { return e.line == l }) {
			return false
		}
		heard[l.pid] = wanted(l.pid)
		return !wanted(l.pid)
	})
	for _, pid := range slices.Sorted(maps.Keys(r.program.maps)) {
		if wanted(pid) && !heard[pid] && r.index[pid] == 0 {
			r.listen(&line{pid: pid, sections: &sections{}, section: func(section []byte) error { return r.pmt(pid, section) }})
		}
	}
}

// pmt takes a program map section.
func (r *Reader) pmt(pid uint16, section []byte) error {
	t, ok := tableOf(section)
	if !ok || t.id != tablePMT || !t.current || r.program.pid != 0 && r.program.pid != pid || bytes.Equal(section, r.program.pmt) {
		return nil
	}
	if number := uint16(section[3])<<8 | uint16(section[4]); number != r.program.maps[pid] {
		return nil
	}
	d, err := readPMT(pid, section)
	if err != nil {
		r.say("A program map table cannot be read: " + err.Error() + ".")
		return nil
	}
	wanted, left := r.plan(d)
	if r.program.pid == 0 {
		if !slices.ContainsFunc(wanted, func(w wish) bool { return w.video || w.audio }) {
			return r.nothing(left)
		}
		r.program.pid = pid
		if len(r.program.maps) > 1 {
			r.say(fmt.Sprintf("The transport stream has %d programs: the first with video or audio is taken.", len(r.program.maps)))
		}
	}
	for _, what := range left {
		r.say("A stream is left out: " + what + ".")
	}
	r.program.pmt = append(r.program.pmt[:0], section...)
	return r.apply(wanted)
}

// nothing refuses a stream in whose only program nothing can be taken.
func (r *Reader) nothing(left []string) error {
	if len(left) == 0 || len(r.program.maps) > 1 {
		return nil
	}
	return ingest.Refuse(ingest.ReasonUnsupportedCodec,
		"There is no video or audio in the transport stream that can be taken (%s): set the encoder to H.264 or HEVC, and AAC.", strings.Join(left[:min(len(left), 4)], "; "))
}

// wish is a stream of a map that can be taken.
type wish struct {
	pid          uint16
	kind         string
	video, audio bool
	label        feed.Label
	make         func(number int, label feed.Label) (consumer, error)
	cues         bool
}

// plan finds the streams to take, and says what the others are.
func (r *Reader) plan(d *astits.PMTData) (wanted []wish, left []string) {
	seen := map[uint16]bool{}
	for _, es := range d.ElementaryStreams {
		pid := es.ElementaryPID
		if pid == pidPAT || pid == pidNull || seen[pid] || len(wanted) == mostStreams || r.program.maps[pid] != 0 {
			continue
		}
		seen[pid] = true
		w, what := r.wish(es)
		if what != "" {
			left = append(left, what)
			continue
		}
		w.pid = pid
		w.label = labelOf(es.ElementaryStreamDescriptors)
		w.kind = fmt.Sprint(byte(es.StreamType), w.kind, w.label)
		wanted = append(wanted, w)
	}
	return wanted, left
}

// wish tells how to take a stream, or what it is when it cannot be taken.
func (r *Reader) wish(es *astits.PMTElementaryStream) (w wish, what string) {
	switch es.StreamType {
	case astits.StreamTypeH264Video:
		return r.video(stream.H264), ""
	case astits.StreamTypeHEVCVideo:
		return r.video(stream.HEVC), ""
	case astits.StreamTypeADTS:
		return r.audio(func(a *audio, id int, l feed.Label) error { a.frames = &adts{a: a, id: id, label: l}; return nil }), ""
	case astits.StreamTypeAACLATMAudio:
		return r.audio(func(a *audio, id int, l feed.Label) error { a.frames = &loas{a: a, id: id, label: l}; return nil }), ""
	case astits.StreamTypeMPEG1Audio, astits.StreamTypeMPEG2Audio:
		return r.audio(func(a *audio, id int, l feed.Label) error {
			a.frames, a.out = &mpegAudio{a}, r.opt.Feed.MP3(id, l)
			return nil
		}), ""
	case astits.StreamTypeSCTE35:
		return wish{cues: true}, ""
	case typeMetadata:
		return wish{make: func(int, feed.Label) (consumer, error) { return metadata{r}, nil }}, ""
	case typePrivate:
		return r.private(es.ElementaryStreamDescriptors)
	case astits.StreamTypeMPEG1Video, 0x02:
		return w, "MPEG-2 video, which browsers cannot play"
	case astits.StreamTypeAC3Audio, astits.StreamTypeEAC3Audio:
		return w, "Dolby audio, which is not taken: set the encoder to AAC"
	}
	return w, fmt.Sprintf("its type 0x%02x is not known here", byte(es.StreamType))
}

func (r *Reader) video(c stream.Codec) wish {
	return wish{video: true, make: func(id int, l feed.Label) (consumer, error) {
		return &video{r: r, codec: c, out: r.opt.Feed.Video(id, c, l)}, nil
	}}
}

func (r *Reader) audio(set func(*audio, int, feed.Label) error) wish {
	return wish{audio: true, make: func(id int, l feed.Label) (consumer, error) {
		a := &audio{r: r}
		return a, set(a, id, l)
	}}
}

// private tells by its descriptors what a stream of private data is.
func (r *Reader) private(descriptors []*astits.Descriptor) (w wish, what string) {
	switch formatOf(descriptors) {
	case formatOpus:
		configuration := opusConfiguration(descriptors)
		head := opusHead(configuration)
		if head == nil {
			return w, fmt.Sprintf("Opus of channel configuration %d", configuration)
		}
		w = r.audio(func(a *audio, id int, l feed.Label) (err error) {
			a.frames = opus{}
			a.out, err = r.opt.Feed.Opus(id, int(configuration), head, l)
			return err
		})
		w.kind = fmt.Sprint("opus", configuration)
		return w, ""
	case formatAV1:
		return w, "AV1, whose carriage in MPEG-TS is a draft: send it over RTMP, RTSP or WebRTC"
	case formatID3:
		return wish{make: func(int, feed.Label) (consumer, error) { return metadata{r}, nil }}, ""
	}
	return w, "private data"
}

// formatOf is the registered format of a stream, 0 when there is none.
func formatOf(descriptors []*astits.Descriptor) uint32 {
	for _, d := range descriptors {
		if d.Registration != nil {
			return d.Registration.FormatIdentifier
		}
		if d.Tag == tagMetadata && d.Unknown != nil && bytes.Contains(d.Unknown.Content, []byte("ID3 ")) {
			return formatID3
		}
	}
	return 0
}

// opusConfiguration is the channel configuration code (ETSI TS Opus 0.1.3-draft 4); stereo when there is none.
func opusConfiguration(descriptors []*astits.Descriptor) byte {
	for _, d := range descriptors {
		if d.Extension != nil && d.Extension.Tag == tagOpus && d.Extension.Unknown != nil && len(*d.Extension.Unknown) > 0 {
			return (*d.Extension.Unknown)[0]
		}
	}
	return 2
}

// audioNames are the names of types of audio (ISO/IEC 13818-1 table 2-60).
var audioNames = map[uint8]string{1: "Clean effects", 2: "Hearing impaired", 3: "Audio description"}

// labelOf reads the language descriptor.
func labelOf(descriptors []*astits.Descriptor) (l feed.Label) {
	for _, d := range descriptors {
		if v := d.ISO639LanguageAndAudioType; v != nil {
			if language := strings.ToLower(string(v.Language)); language != languageNone {
				l.Language = language
			}
			l.Name = audioNames[v.Type]
			break
		}
	}
	return l
}

// apply takes up what a map asks for: streams that were there go on, those that are gone leave their number to the next.
func (r *Reader) apply(wanted []wish) error {
	before := r.program.streams
	stays := func(e *elementary) bool {
		return slices.ContainsFunc(wanted, func(w wish) bool { return w.pid == e.pid && w.kind == e.kind })
	}
	var streams []*elementary
	used := map[int]bool{}
	for _, e := range before {
		if stays(e) {
			streams = append(streams, e)
			used[e.number] = true
		}
	}
	r.forget(func(l *line) bool {
		was := slices.ContainsFunc(before, func(e *elementary) bool { return e.line == l })
		return was && !slices.ContainsFunc(streams, func(e *elementary) bool { return e.line == l })
	})
	for _, w := range wanted {
		if slices.ContainsFunc(streams, func(e *elementary) bool { return e.pid == w.pid }) || r.index[w.pid] != 0 {
			continue
		}
		e := &elementary{pid: w.pid, kind: w.kind, number: -1}
		if w.video || w.audio {
			if e.number = freeNumber(used, w.audio); e.number < 0 {
				r.opt.Publication.Drop(ingest.DropExcessTrack)
				r.say(fmt.Sprintf("The transport stream has more than %d tracks of video or of audio: the first ones are taken.", mostTracks))
				continue
			}
			used[e.number] = true
		}
		l, err := r.line(w, e.number)
		if err != nil {
			return err
		}
		e.line = l
		streams = append(streams, e)
	}
	r.program.streams = streams
	r.watch()
	return nil
}

// line begins to listen to a stream.
func (r *Reader) line(w wish, number int) (*line, error) {
	l := &line{pid: w.pid}
	if w.cues {
		l.sections, l.section = &sections{}, r.cue
	} else {
		out, err := w.make(number, w.label)
		if err != nil {
			return nil, err
		}
		l.out = out
		l.video, _ = out.(*video)
	}
	r.listen(l)
	return l, nil
}

// freeNumber is the lowest number of a track that is free; -1 when none is.
func freeNumber(used map[int]bool, audio bool) int {
	first := 0
	if audio {
		first = firstAudio
	}
	for n := first; n < first+mostTracks; n++ {
		if !used[n] {
			return n
		}
	}
	return -1
}
