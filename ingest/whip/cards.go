package whip

import (
	"encoding/json"

	"github.com/pion/webrtc/v4"

	"pushcart/ingest"
	"pushcart/internal/stream"
)

// cardsLabel is the label of the data channel for card commands. A text message is one command, as package overlay reads
// it; the answer to it is one message, too:
//
//	{"key": "...", "ok": true, "epoch": 1, "seq": 2, "card": "lamp", "rev": 3}
//	{"key": "...", "ok": false, "field": "slot", "error": "a sentence"}
//
// with the command's own key, where it had one.
const cardsLabel = "cards"

const (
	maxCommand   = 8 << 10 // bytes
	maxReplies   = 64      // that wait to be sent
	maxBuffered  = 64 << 10
	commandRate  = 20.0 // a second
	commandBurst = 50.0
	maxChannels  = 16 // opened in a session's life
	maxKey       = 64
)

// cardReply is an answer to be sent on a channel.
type cardReply struct {
	channel *webrtc.DataChannel
	text    string
}

// replyBody is what an answer says.
type replyBody struct {
	Key   string `json:"key,omitempty"`
	OK    bool   `json:"ok"`
	Epoch int64  `json:"epoch,omitempty"`
	Seq   int64  `json:"seq,omitempty"`
	Card  string `json:"card,omitempty"`
	Rev   int64  `json:"rev,omitempty"`
	Field string `json:"field,omitempty"`
	Error string `json:"error,omitempty"`
}

// channel takes a data channel that the publisher opened. The library calls it, and what it sets, on goroutines of its own.
func (c *session) channel(d *webrtc.DataChannel) {
	c.guarded(func() error {
		if c.media.channels++; c.media.channels > maxChannels {
			return ingest.Refuse(ingest.ReasonLimit, "The page opens too many data channels: one with the label %q is enough.", cardsLabel)
		}
		return nil
	})
	if d.Label() != cardsLabel {
		d.OnOpen(func() { d.Close() })
		return
	}
	allowance, at := commandBurst, c.server.opt.Now()
	d.OnMessage(func(m webrtc.DataChannelMessage) {
		now := c.server.opt.Now()
		allowance = min(commandBurst, allowance+now.Sub(at).Seconds()*commandRate) - 1
		at = now
		c.guarded(func() error { return c.media.count(len(m.Data), now) })
		reply := c.answerer(d, m.Data)
		switch {
		case !m.IsString:
			reply(stream.Reply{Refused: "A command is sent as text, not as bytes."})
		case len(m.Data) > maxCommand:
			reply(stream.Reply{Refused: "The command is too long: shorten the card."})
		case allowance < 0:
			allowance = 0
			reply(stream.Reply{Refused: "Too many commands: send fewer of them."})
		default:
			c.guarded(func() error { return c.media.feed.Command(stream.DataChannel, 0, m.Data, reply) })
		}
	})
	c.replying.Do(func() {
		if c.enter() {
			go func() {
				defer c.others.Done()
				c.sendReplies()
			}()
		}
	})
}

// sendReplies sends answers until the session ends.
func (c *session) sendReplies() {
	for {
		select {
		case <-c.done:
			return
		case r := <-c.cards:
			if r.channel.BufferedAmount() < maxBuffered { // a publisher that does not read loses answers only
				_ = r.channel.SendText(r.text) // an error is a channel that was closed
			}
		}
	}
}

// answerer makes the function that answers a command. It does not block: what finds no room is dropped.
func (c *session) answerer(d *webrtc.DataChannel, command []byte) func(stream.Reply) {
	key := keyOf(command)
	return func(r stream.Reply) {
		text, err := json.Marshal(replyBody{Key: key, OK: r.Refused == "", Epoch: r.Epoch, Seq: r.Seq, Card: r.Card, Rev: r.Rev,
			Field: r.Field, Error: r.Refused})
		if err != nil {
			return
		}
		select {
		case c.cards <- cardReply{d, string(text)}:
		default:
		}
	}
}

// keyOf reads the idempotency key of a command; "" when it has none that fits.
func keyOf(command []byte) string {
	var m struct {
		Key string `json:"key"`
	}
	if len(command) > maxCommand || json.Unmarshal(command, &m) != nil || len(m.Key) > maxKey {
		return ""
	}
	return m.Key
}
