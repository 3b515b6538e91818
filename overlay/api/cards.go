package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"

	"pushcart/overlay"
	"pushcart/overlay/card"
)

// CardList is the list of a stream's cards.
type CardList struct {
	// List counts the changes of the list, its order included.
	List  int64              `json:"list"`
	Cards []overlay.CardView `json:"cards"`
}

// OrderRequest is the list's new order: all identifiers, each once.
type OrderRequest struct {
	Order []string `json:"order"`
}

func (c *call) listCards() error {
	v := c.desk.View()
	return c.answer(listTag(v.List), CardList{List: v.List, Cards: orEmpty(v.Cards)})
}

// orEmpty makes of no list an empty one, for JSON.
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

func (c *call) getCard() error {
	id := c.r.PathValue("id")
	cards := c.desk.View().Cards
	i := slices.IndexFunc(cards, func(v overlay.CardView) bool { return v.ID == id })
	if i < 0 {
		return noCard(id)
	}
	return c.answer(revTag(cards[i].Rev), cards[i])
}

func noCard(id string) error {
	return problemf(overlay.ReasonNotFound, "id", "There is no card %q on the list.", clip(id))
}

// ofCard is the entity tag after a command on a card.
func ofCard(r overlay.Result) string { return revTag(r.Rev) }

func (c *call) putCard() error {
	return c.do(overlay.Command{Op: overlay.OpPut, Card: c.r.PathValue("id"), Body: c.body}, ofCard)
}

func (c *call) patchCard() error {
	return c.do(overlay.Command{Op: overlay.OpPatch, Card: c.r.PathValue("id"), Body: c.body}, ofCard)
}

func (c *call) deleteCard() error {
	return c.do(overlay.Command{Op: overlay.OpDelete, Card: c.r.PathValue("id")}, nil)
}

func (c *call) previewCard() error {
	id, region := c.r.PathValue("id"), c.r.URL.Query().Get("region")
	if region != "" {
		if err := card.ValidRegion(region); err != nil {
			return problemf(overlay.ReasonInvalid, "region", "The region %q cannot be used: %v.", clip(region), err)
		}
	}
	doc, ok := c.desk.Preview(id, region)
	if !ok {
		return noCard(id)
	}
	return c.answer("", json.RawMessage(doc))
}

func (c *call) orderCards() error {
	var o OrderRequest
	if err := decode(c.body, &o); err != nil {
		return err
	}
	if o.Order == nil {
		return problemf(overlay.ReasonInvalid, "order", "It is missing: send the identifiers of all cards in their new order.")
	}
	return c.do(overlay.Command{Op: overlay.OpOrder, Order: o.Order}, nil)
}

// importCards replaces the list. The body is an array of card documents, or what GET answers with; its elements may be
// card documents or what GET makes of them.
func (c *call) importCards() error {
	docs, err := documentsOf(c.body)
	if err != nil {
		return err
	}
	return c.do(overlay.Command{Op: overlay.OpImport, Body: docs}, nil)
}

// documentsOf takes the card documents out of what is imported and returns a JSON array of them.
func documentsOf(body []byte) ([]byte, error) {
	body = bytes.TrimSpace(body)
	if len(body) > 0 && body[0] == '{' {
		var list struct {
			List  json.Number     `json:"list"`
			Cards json.RawMessage `json:"cards"`
		}
		if err := decode(body, &list); err != nil {
			return nil, err
		}
		body = list.Cards
	}
	var items []json.RawMessage
	if err := json.Unmarshal(body, &items); err != nil || items == nil {
		return nil, problemf(overlay.ReasonInvalid, "cards", "It has to be an array of card documents, or an object with one under \"cards\".")
	}
	var docs bytes.Buffer
	docs.WriteByte('[')
	for i, item := range items {
		doc, err := documentOf(item)
		if err != nil {
			err.Field = fmt.Sprintf("cards[%d].%s", i, err.Field)
			return nil, err
		}
		if i > 0 {
			docs.WriteByte(',')
		}
		_ = json.Compact(&docs, doc) // which is JSON, as part of the body
	}
	docs.WriteByte(']')
	return docs.Bytes(), nil
}

// documentOf returns a card's document. One within a CardView stands under "card", which no document has.
func documentOf(item json.RawMessage) (json.RawMessage, *Problem) {
	var members map[string]json.RawMessage
	if json.Unmarshal(item, &members) != nil || members["card"] == nil {
		return item, nil // whether it is a document is for the desk to say
	}
	var view overlay.CardView
	if err := decode(item, &view); err != nil {
		return nil, problemOf(err)
	}
	return view.Card, nil
}
