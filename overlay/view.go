package overlay

import (
	"encoding/json"
	"time"
)

// View is everything about a desk at one moment: immutable.
type View struct {
	// Stream's name.
	Stream string `json:"stream"`
	// Epoch rises each time that the journal is opened, Seq with each change of the slots within it.
	Epoch int64 `json:"epoch"`
	Seq   int64 `json:"seq"`
	// Slots by name, those that show something.
	Slots []SlotView `json:"slots"`
	// Cards in the order of the list.
	Cards []CardView `json:"cards"`
	// List counts changes of Cards, their order included.
	List int64 `json:"list"`
	// Scheduled commands by time.
	Scheduled []ScheduledView `json:"scheduled"`
	// Timeline is what was shown when, the latest first; bounded.
	Timeline []ShownView `json:"timeline"`
	// InBand tells whether cards that come with the media are accepted.
	InBand bool `json:"in_band"`
	// InBandRefusal is the last command that came in band and was refused; nil when there was none.
	InBandRefusal *InBandRefusal `json:"in_band_refusal,omitempty"`
	// Token is the signed state, as it is in the media (a compact JWS).
	Token string `json:"token"`

	changed chan struct{} // closed when a newer view is there
}

// Changed is closed once a newer view can be had.
func (v *View) Changed() <-chan struct{} { return v.changed }

// SlotView is one slot that shows a card.
type SlotView struct {
	Slot string `json:"slot"`
	Card string `json:"card"`
	Rev  int64  `json:"rev"`
	// Since is when this revision began to be shown.
	Since time.Time `json:"since"`
}

// CardView is one card of the list.
type CardView struct {
	ID        string    `json:"id"`
	Rev       int64     `json:"rev"`
	UpdatedAt time.Time `json:"updated_at"`
	// Card is the document as the host wrote it, in canonical form.
	Card json.RawMessage `json:"card"`
}

// ScheduledView is a command that waits for its time.
type ScheduledView struct {
	ID   string    `json:"id"`
	Op   Op        `json:"op"`
	Slot string    `json:"slot"`
	Card string    `json:"card,omitempty"`
	At   time.Time `json:"at"`
}

// ShownView is one line of the timeline.
type ShownView struct {
	Slot string    `json:"slot"`
	Card string    `json:"card"`
	Rev  int64     `json:"rev"`
	From time.Time `json:"from"`
	// To is nil while it is shown.
	To     *time.Time `json:"to,omitempty"`
	Source string     `json:"source"`
}

// InBandRefusal is a command that came with the media and was not carried out.
type InBandRefusal struct {
	At      time.Time `json:"at"`
	Source  string    `json:"source"`
	Field   string    `json:"field,omitempty"`
	Message string    `json:"message"`
	// Count of all refusals so far.
	Count int64 `json:"count"`
}
