package overlay

import "time"

// Op is what a command asks for.
type Op string

// The commands. Each names the fields of Command that it takes.
const (
	// OpPut creates a card or replaces its content: Card, Body (a card document), IfRev.
	OpPut Op = "put"
	// OpPatch changes a card by a JSON merge patch (RFC 7396): Card, Body, IfRev. A card that is shown shows the new
	// revision at once.
	OpPatch Op = "patch"
	// OpDelete takes a card off the list: Card, IfRev. A card that is shown, or scheduled, is refused.
	OpDelete Op = "delete"
	// OpImport replaces the whole list: Body (a JSON array of card documents). Cards whose content stays keep their
	// revision; a card that is shown or scheduled must be among them.
	OpImport Op = "import"
	// OpOrder sorts the list: Order, all identifiers.
	OpOrder Op = "order"
	// OpShow puts a card into a slot: Slot, Card, IfSeq, At.
	OpShow Op = "show"
	// OpHide empties a slot: Slot ("" is all of them), IfSeq, At. An empty slot is no error.
	OpHide Op = "hide"
	// OpCancel takes a scheduled command back: Schedule.
	OpCancel Op = "cancel"
	// OpConfigure changes the stream's own settings: InBand.
	OpConfigure Op = "configure"
)

// Command is one change that is asked of a Desk.
type Command struct {
	Op   Op
	Card string // identifier of a card
	Slot string // name of a slot
	// Body is JSON: see the Op.
	Body []byte
	// IfRev is the revision that the card must have; 0 that there must be no such card; nil is any.
	IfRev *int64
	// IfEpoch and IfSeq are what the state of the slots must have; nil is any.
	IfEpoch, IfSeq *int64
	// Order is the list's new order.
	Order []string
	// Schedule is the identifier of a scheduled command.
	Schedule string
	// InBand is the new setting; nil leaves it.
	InBand *bool
	// At is when a show or hide is to happen, on the stream's clock (the time of capture); zero is now. A time that has
	// passed is now, too, and is counted.
	At time.Time
	// Frame is where a command that came with the media belongs; nil for others. With it, At is zero.
	Frame *Frame
	// Key makes the command idempotent: a second command with the same Key and the same Fingerprint changes nothing and
	// gets the first one's Result; with another Fingerprint it is refused. "" is none.
	Key string
	// Fingerprint is a hash of all that the command says.
	Fingerprint [32]byte
	// Source is who asked, for the timeline: "api", or what the command came with: "rtmp", "sei", "datachannel",
	// "id3", "scte35".
	Source string
}

// Frame is a place in the media.
type Frame struct {
	// Era and PTS as in stream.Data; PTS counts 1/90,000 s.
	Era int
	PTS int64
}

// Result tells what became of a command.
type Result struct {
	// Epoch and Seq are those of the slots' state after the command.
	Epoch int64 `json:"epoch"`
	Seq   int64 `json:"seq"`
	// Card and Rev are the card concerned and its revision after the command; "" and 0 when none is.
	Card string `json:"card,omitempty"`
	Rev  int64  `json:"rev,omitempty"`
	// Slot concerned.
	Slot string `json:"slot,omitempty"`
	// Schedule is the identifier under which a command waits for its time; "" when it was carried out.
	Schedule string `json:"schedule,omitempty"`
	// At is the time asked for; nil when none was.
	At *time.Time `json:"at,omitempty"`
	// Created tells that a card is new.
	Created bool `json:"created,omitempty"`
	// Cards is how many an import left in the list.
	Cards int `json:"cards,omitempty"`
	// Replayed tells that the command had been carried out before, under the same idempotency key.
	Replayed bool `json:"-"`
}

// Reason is why a command was refused; a metric label.
type Reason string

// The reasons.
const (
	// ReasonInvalid: something in the command breaks a rule; Field says what.
	ReasonInvalid Reason = "invalid"
	// ReasonNotFound: no such card, slot or scheduled command.
	ReasonNotFound Reason = "not_found"
	// ReasonConflict: the state of things does not permit it, such as deleting a card that is shown.
	ReasonConflict Reason = "conflict"
	// ReasonStale: IfRev, IfEpoch or IfSeq does not hold.
	ReasonStale Reason = "stale"
	// ReasonReused: the idempotency key was used for another command.
	ReasonReused Reason = "key_reused"
	// ReasonTooLarge: a card over 4 KB, a state over 1 KB, a list over its bounds.
	ReasonTooLarge Reason = "too_large"
	// ReasonBusy: more commands wait than the desk takes.
	ReasonBusy Reason = "busy"
	// ReasonStorage: the journal could not be written; nothing was changed.
	ReasonStorage Reason = "storage"
	// ReasonClosed: the node is shutting down.
	ReasonClosed Reason = "closed"
	// ReasonForbidden: the stream does not accept cards in band, or not from this publisher.
	ReasonForbidden Reason = "forbidden"
)

// Refusal is a command that was not carried out. Nothing was changed.
type Refusal struct {
	Reason Reason
	// Field names what is wrong, as a path in the document: "offers[0].price", "slot", "at". "" when it is no single field.
	Field string
	// Message is a whole sentence that says what is wrong and what to do.
	Message string
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Field == "" {
		return r.Message
	}
	return r.Field + ": " + r.Message
}
