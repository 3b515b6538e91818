package api

import (
	"time"

	"pushcart/overlay"
)

// Slots is what is shown, and what is going to be.
type Slots struct {
	Epoch     int64                   `json:"epoch"`
	Seq       int64                   `json:"seq"`
	Slots     []overlay.SlotView      `json:"slots"`
	Scheduled []overlay.ScheduledView `json:"scheduled"`
}

// ShowRequest puts a card into a slot.
type ShowRequest struct {
	Card string `json:"card"`
	// At is when (RFC 3339), on the stream's clock; nil is now.
	At *string `json:"at,omitempty"`
}

// Timeline is what was shown when, the latest first.
type Timeline struct {
	Timeline []overlay.ShownView `json:"timeline"`
}

// Settings are the stream's own.
type Settings struct {
	// InBand tells whether cards that come with the media are accepted.
	InBand bool `json:"in_band"`
}

// SettingsPatch changes Settings: what is nil stays.
type SettingsPatch struct {
	InBand *bool `json:"in_band,omitempty"`
}

// getSlots leaves If-None-Match aside: the tag is that of the state, for If-Match, and what is scheduled changes without it.
func (c *call) getSlots() error {
	v := c.desk.View()
	c.w.Header().Set("ETag", slotsTag(v.Epoch, v.Seq))
	return c.answer("", Slots{Epoch: v.Epoch, Seq: v.Seq, Slots: orEmpty(v.Slots), Scheduled: orEmpty(v.Scheduled)})
}

// ofSlots is the entity tag after a command on slots.
func ofSlots(r overlay.Result) string { return slotsTag(r.Epoch, r.Seq) }

func (c *call) show() error {
	var s ShowRequest
	if err := decode(c.body, &s); err != nil {
		return err
	}
	if s.Card == "" {
		return problemf(overlay.ReasonInvalid, "card", "It is missing: send the identifier of the card to show.")
	}
	if s.At == nil {
		return c.do(overlay.Command{Op: overlay.OpShow, Slot: c.r.PathValue("slot"), Card: s.Card}, ofSlots)
	}
	at, err := instant(*s.At, "at")
	if err != nil {
		return err
	}
	return c.do(overlay.Command{Op: overlay.OpShow, Slot: c.r.PathValue("slot"), Card: s.Card, At: at}, ofSlots)
}

// hide empties one slot, or all where the path names none.
func (c *call) hide() error {
	var at time.Time
	if q := c.r.URL.Query(); q.Has("at") {
		var err error
		if at, err = instant(q.Get("at"), "at"); err != nil {
			return err
		}
	}
	return c.do(overlay.Command{Op: overlay.OpHide, Slot: c.r.PathValue("slot"), At: at}, ofSlots)
}

func (c *call) cancel() error {
	return c.do(overlay.Command{Op: overlay.OpCancel, Schedule: c.r.PathValue("schedule")}, nil)
}

func (c *call) timeline() error {
	return c.answer("", Timeline{orEmpty(c.desk.View().Timeline)})
}

func (c *call) getSettings() error {
	return c.answer("", Settings{c.desk.View().InBand})
}

// patchSettings answers with what became of the change, as every command does; the settings are as it asked for.
func (c *call) patchSettings() error {
	var s SettingsPatch
	if err := decode(c.body, &s); err != nil {
		return err
	}
	if s.InBand == nil {
		return problemf(overlay.ReasonInvalid, "in_band", "It is missing: it is all that can be set here.")
	}
	return c.do(overlay.Command{Op: overlay.OpConfigure, InBand: s.InBand}, nil)
}
