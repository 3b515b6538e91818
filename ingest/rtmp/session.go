package rtmp

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/bluenviron/gortmplib/pkg/amf0"

	"pushcart/ingest"
	"pushcart/ingest/feed"
)

// streamID is the message stream that createStream hands out: one, since a connection publishes one stream.
const streamID = 1

// defaultInstance is what some programs put behind an application's name for Wowza's sake; it means nothing.
const defaultInstance = "_definst_"

// longestName is the length in bytes above which a stream key cannot be one.
const longestName = 256

// session is what a client does on its connection: connect, publish, leave.
type session struct {
	*conn
	connected bool
	app       string // after connect: what follows the application's name, "" as a rule
	query     string // that came with the application's name or URL
	agent     string
	log       *slog.Logger // with the stream's name, once that is known
	canReturn bool         // the client reconnects when it is asked to
	published bool         // something was, at some time
	told      bool         // the client knows why it must go
	logged    bool         // the door has logged why
	statusOn  uint32       // message stream of publish
	pub       ingest.Publication
	name      string
	tracks
}

// end lets the stream go; cause is for the log.
func (s *session) end(cause error) {
	if s.pub == nil {
		return
	}
	s.pub.Close(cause)
	s.pub = nil
	s.tracks = tracks{}
}

// command acts on a command message (RTMP 1.0 7.2).
func (s *session) command(m message) error {
	if m.typ == typeCommandAMF3 {
		// AMF3 commands begin with a zero that says that AMF0 follows.
		if len(m.body) == 0 || m.body[0] != 0 {
			s.ignore(ignoredCommand)
			return nil
		}
		m.body = m.body[1:]
	}
	args, err := decodeAMF(m.body)
	name := str(args, 0)
	if name == "" {
		s.ignore(ignoredCommand)
		return nil
	}
	if err != nil {
		s.ignore(ignoredData)
	}
	id := num(args, 1)
	switch name {
	case "connect":
		return s.connect(id, obj(args, 2))
	case "createStream":
		if err := s.out.command(0, "_result", id, nil, float64(streamID)); err != nil {
			return err
		}
		return s.out.event(eventStreamBegin, streamID)
	case "releaseStream", "_checkbw":
		return s.out.command(0, "_result", id, nil, amf0.Undefined{})
	case "getStreamLength":
		return s.out.command(0, "_result", id, nil, float64(0))
	case "FCPublish":
		return s.fcPublish(id)
	case "publish":
		return s.publish(m.streamID, str(args, 3))
	case "FCUnpublish", "deleteStream", "closeStream":
		return s.unpublish(name, id)
	case "play", "play2":
		return s.play(m.streamID, str(args, 3))
	}
	s.ignore(ignoredCommand)
	return nil
}

// fcPublish answers a command of Flash Media encoders.
func (s *session) fcPublish(id float64) error {
	if err := s.out.command(0, "_result", id, nil, amf0.Undefined{}); err != nil {
		return err
	}
	return s.out.command(0, "onFCPublish", 0, nil, amf0.Object{
		{Key: "code", Value: "NetStream.Publish.Start"},
		{Key: "description", Value: "Publishing may begin."},
	})
}

// connect checks the application's name and tells what the server takes.
func (s *session) connect(id float64, args amf0.Object) error {
	app, _ := args.GetString("app")
	tcURL, _ := args.GetString("tcUrl")
	agent, _ := args.GetString("flashVer")
	caps, _ := args.GetFloat64("capsEx")
	s.canReturn = caps >= 0 && caps < 1<<32 && uint32(caps)&capReconnect != 0
	s.agent = ingest.Clip(ingest.PlainText(agent))
	app, s.query, _ = strings.Cut(strings.TrimSpace(app), "?")
	if s.query == "" {
		_, s.query, _ = strings.Cut(tcURL, "?")
	}
	first, rest, _ := strings.Cut(strings.Trim(app, "/"), "/")
	if first != s.server.opt.App {
		return s.wrongApp(id, app)
	}
	if instance, below, _ := strings.Cut(rest, "/"); instance == defaultInstance {
		rest = below
	}
	s.connected, s.app = true, rest
	if err := s.out.control(typeWindowAckSize, defaultWindow); err != nil {
		return err
	}
	if err := s.out.control(typeSetPeerBandwidth, defaultWindow, limitDynamic); err != nil {
		return err
	}
	if err := s.out.setChunkSize(sendChunkSize); err != nil {
		return err
	}
	return s.out.command(0, "_result", id, serverProperties(), connectInfo())
}

// wrongApp refuses a client that asks for another application. What it asked for is not for the log: people who forget
// the application have their stream key in its place.
func (s *session) wrongApp(id float64, app string) error {
	s.told = true
	err := s.out.command(0, "_error", id, nil, amf0.Object{
		{Key: "level", Value: "error"},
		{Key: "code", Value: "NetConnection.Connect.Rejected"},
		{Key: "description", Value: fmt.Sprintf("There is no application %q here: set the server to rtmp://HOST/%s and put the rest into the stream key.",
			ingest.Clip(app), s.server.opt.App)},
	})
	return errors.Join(ingest.Refuse(ingest.ReasonBadName, "The client asked for another application than %q.", s.server.opt.App), err)
}

// Bits of capsEx (Enhanced RTMP v2, "Enhancing NetConnection connect Command").
const (
	capReconnect = 1 << iota
	capMultitrack
	capModEx
	capNanoOffset
)

// serverProperties tells the server's name, and its abilities in Enhanced RTMP v2 ("Enhancing NetConnection connect
// Command").
func serverProperties() amf0.Object {
	const canForward = 4.0
	return amf0.Object{
		{Key: "fmsVer", Value: "FMS/3,0,1,123"},
		{Key: "capabilities", Value: 31.0},
		{Key: "fourCcList", Value: amf0.StrictArray{"avc1", "hvc1", "av01", "mp4a", "Opus", ".mp3"}},
		{Key: "videoFourCcInfoMap", Value: amf0.Object{
			{Key: "avc1", Value: canForward}, {Key: "hvc1", Value: canForward}, {Key: "av01", Value: canForward}}},
		{Key: "audioFourCcInfoMap", Value: amf0.Object{
			{Key: "mp4a", Value: canForward}, {Key: "Opus", Value: canForward}, {Key: ".mp3", Value: canForward}}},
		{Key: "capsEx", Value: float64(capReconnect | capMultitrack | capModEx | capNanoOffset)},
	}
}

// connectInfo answers connect. Whatever the client asked for, it is to speak AMF0.
func connectInfo() amf0.Object {
	return amf0.Object{
		{Key: "level", Value: "status"},
		{Key: "code", Value: "NetConnection.Connect.Success"},
		{Key: "description", Value: "Connection succeeded."},
		{Key: "objectEncoding", Value: 0.0},
	}
}

// publish knocks at the door.
func (s *session) publish(on uint32, target string) error {
	s.statusOn = on
	if !s.connected {
		return ingest.Refuse(ingest.ReasonProtocol, "publish came before connect: the encoder does not keep to RTMP.")
	}
	if s.pub != nil {
		return s.out.status(on, "error", "NetStream.Publish.BadConnection", "This connection publishes already: open another one for another stream.")
	}
	name, key := s.streamKey(target)
	if len(name) > longestName {
		return ingest.Refuse(ingest.ReasonBadName, "The stream key is too long: it has %d characters before the question mark. Copy it again: NAME, or NAME?key=SECRET.", len(name))
	}
	if name == "" && key == "" {
		return ingest.Refuse(ingest.ReasonBadName, "The stream key is empty: set it to NAME, or to NAME?key=SECRET if the server asks for keys.")
	}
	req := ingest.Request{
		Protocol: s.server.protocol(), Remote: s.remote, Stream: name, Key: key, Agent: s.agent, Kick: s.kick, Conn: s.id, Context: s.ctx,
	}
	if s.canReturn {
		req.Reconnect = s.leave
	}
	pub, err := s.server.opt.Door.Open(req)
	if err != nil {
		s.logged = true
		return err
	}
	s.pub, s.name, s.published = pub, pub.Name(), true
	s.log = s.conn.log.With("stream", s.name)
	s.tracks = tracks{feed: feed.New(feed.Options{Publication: pub, Log: s.log, Now: func() time.Time { return s.levelAt }})}
	s.widen()
	return s.out.status(on, "status", "NetStream.Publish.Start", s.name+" is now published.")
}

// streamKey takes publish's argument apart, NAME?key=SECRET. The secret may also sit on the server's address, and the
// name too when the key is empty: some programs have one field for everything. A secret may come without a name.
func (s *session) streamKey(target string) (name, key string) {
	name, query, _ := strings.Cut(strings.TrimSpace(target), "?") // pasted with what stood around it
	name = strings.Trim(name, "/")
	switch {
	case name == "":
		name = s.app
	case s.app != "":
		name = s.app + "/" + name
	}
	if key = ingest.QueryValue(query, "key"); key == "" {
		key = ingest.QueryValue(s.query, "key")
	}
	return name, key
}

// unpublish ends the stream; the client may begin another one.
func (s *session) unpublish(command string, id float64) error {
	if s.pub != nil {
		s.end(nil)
		if err := s.out.status(s.statusOn, "status", "NetStream.Unpublish.Success", s.name+" is no longer published."); err != nil {
			return err
		}
	}
	if command == "FCUnpublish" && id != 0 {
		return s.out.command(0, "_result", id, nil, amf0.Undefined{})
	}
	return nil
}

// play refuses players, who are told where to go. The log is not told what they asked for, which may be a stream key.
func (s *session) play(on uint32, target string) error {
	name, _ := s.streamKey(target)
	s.statusOn, s.told = on, true
	r := ingest.Refuse(ingest.ReasonProtocol, "This server takes streams over RTMP but does not play them.")
	return errors.Join(r, s.out.status(on, "error", "NetStream.Play.Failed", r.Message+" Watch at "+s.server.opt.Watch(ingest.Clip(ingest.PlainText(name)))+"."))
}

// refuse tells the client why it must go.
func (s *session) refuse(r *ingest.Refusal) error {
	if r.Reason == ingest.ReasonShutdown && s.published {
		return s.out.status(0, "error", codeShutdown, r.Message)
	}
	return s.out.status(s.statusOn, "error", statusCode(r.Reason), r.Message)
}
