package api

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pushcart/overlay"
)

// TestCards goes through a card's life.
func TestCards(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var list CardList
	h.must("GET", "/cards", "").into(&list)
	if list.Cards == nil || len(list.Cards) != 0 {
		t.Errorf("before any: %+v", list)
	}
	var r overlay.Result
	a := h.must("PUT", "/cards/lamp", lamp)
	if a.into(&r); a.status != http.StatusCreated || !r.Created || r.Card != "lamp" || r.Rev != 1 || a.header.Get("ETag") != `"1"` ||
		a.header.Get("Location") != "/api/v1/streams/show/cards/lamp" {
		t.Errorf("a new card: %d %v %+v", a.status, a.header, r)
	}
	a = h.must("PUT", "/cards/lamp", strings.Replace(lamp, "19.99", "17.99", 1))
	if r = (overlay.Result{}); a.status != http.StatusOK || a.header.Get("ETag") != `"2"` || a.header.Get("Location") != "" {
		t.Errorf("written again: %d %v", a.status, a.header)
	}
	var view overlay.CardView
	a = h.must("GET", "/cards/lamp", "")
	if a.into(&view); view.Rev != 2 || view.ID != "lamp" || a.header.Get("ETag") != `"2"` || !strings.Contains(string(view.Card), "17.99") {
		t.Errorf("%v %+v %s", a.header, view, view.Card)
	}
	if a := h.ask("GET", "/cards/lamp", "", "If-None-Match", `"2"`); a.status != http.StatusNotModified || len(a.body) != 0 {
		t.Errorf("not changed: %d", a.status)
	}
	if a := h.ask("GET", "/cards/lamp", "", "If-None-Match", `"1"`); a.status != http.StatusOK {
		t.Errorf("changed: %d", a.status)
	}
	a = h.must("PATCH", "/cards/lamp", `{"brand":"Lumen"}`, "Content-Type", kindMerge)
	if a.into(&r); r.Rev != 3 || a.header.Get("ETag") != `"3"` {
		t.Errorf("patched: %v %+v", a.header, r)
	}
	h.must("PATCH", "/cards/lamp", `{"sku":"L-1"}`) // application/json is taken for a merge patch, too
	h.must("PUT", "/cards/sofa", doc("sofa"))
	h.must("PATCH", "/cards", `{"order":["sofa","lamp"]}`)
	a = h.must("GET", "/cards", "")
	if a.into(&list); len(list.Cards) != 2 || list.Cards[0].ID != "sofa" || a.header.Get("ETag") != fmt.Sprintf(`"list-%d"`, list.List) {
		t.Errorf("sorted: %v %+v", a.header, list)
	}
	if a := h.ask("GET", "/cards", "", "If-None-Match", a.header.Get("ETag")); a.status != http.StatusNotModified {
		t.Errorf("not changed: %d", a.status)
	}
	h.must("DELETE", "/cards/sofa", "")
	h.ask("GET", "/cards/sofa", "").refused(http.StatusNotFound, overlay.ReasonNotFound, "id")
	h.ask("DELETE", "/cards/sofa", "").refused(http.StatusNotFound, overlay.ReasonNotFound, "card")
	if a := h.ask("GET", "/cards", "", "If-None-Match", a.header.Get("ETag")); a.status != http.StatusOK {
		t.Errorf("changed: %d", a.status)
	}
}

// TestImport takes what one would import: documents, an object with documents, and what GET answered with.
func TestImport(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	var r overlay.Result
	h.must("PUT", "/cards", "["+lamp+","+doc("sofa")+"]").into(&r)
	if r.Cards != 2 {
		t.Errorf("%+v", r)
	}
	exported := h.must("GET", "/cards", "")
	h.must("PUT", "/cards", `{"cards":[`+doc("rug")+`]}`)
	h.must("PUT", "/cards", string(exported.body))
	var list CardList
	h.must("GET", "/cards", "").into(&list)
	if len(list.Cards) != 2 || list.Cards[0].ID != "lamp" || list.Cards[1].ID != "sofa" || !strings.Contains(string(list.Cards[0].Card), "19.99") {
		t.Errorf("%+v", list)
	}
	h.must("PUT", "/cards", `[]`)
	for body, want := range map[string]struct {
		reason overlay.Reason
		field  string
	}{
		`{}`:                                {overlay.ReasonInvalid, "cards"},
		`"lamp"`:                            {overlay.ReasonInvalid, "cards"},
		`null`:                              {overlay.ReasonInvalid, "cards"},
		`{"cards":{}}`:                      {overlay.ReasonInvalid, "cards"},
		`{"cards":[],"card":[]}`:            {overlay.ReasonInvalid, "card"},
		`{"cards":[],"cards":[]}`:           {overlay.ReasonInvalid, "cards"},
		`[` + lamp + `,{"id":"x"}]`:         {overlay.ReasonInvalid, "cards[1].name"},
		`[{"card":` + lamp + `,"x":1}]`:     {overlay.ReasonInvalid, "cards[0].x"},
		`[{"card":` + lamp + `,"rev":"1"}]`: {overlay.ReasonInvalid, "cards[0].rev"},
		`[{"card":{"id":"x"}}]`:             {overlay.ReasonInvalid, "cards[0].name"},
		`[` + lamp + `,` + lamp + `]`:       {overlay.ReasonInvalid, "cards[1].id"},
		`[7]`:                               {overlay.ReasonInvalid, "cards[0]"},
	} {
		h.ask("PUT", "/cards", body).refused(statusOf[want.reason], want.reason, want.field)
	}
	many := strings.Repeat(doc("x")+",", 500) + doc("x")
	h.ask("PUT", "/cards", "["+many+"]").refused(http.StatusRequestEntityTooLarge, overlay.ReasonTooLarge, "cards")
	// A document that is written out at length is held to its limit in the compact form, as it is kept.
	var long map[string]any
	if err := json.Unmarshal([]byte(lamp), &long); err != nil {
		t.Fatal(err)
	}
	wide, err := json.MarshalIndent([]any{long}, "", strings.Repeat(" ", 1000))
	if err != nil {
		t.Fatal(err)
	}
	h.must("PUT", "/cards", string(wide))
}

// TestPreview asks what viewers elsewhere get.
func TestPreview(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.must("PUT", "/cards/lamp", `{"id":"lamp","name":"Lamp","offers":[{"price":"1.00","priceCurrency":"EUR","eligibleRegion":["DE"]},{"price":"2.00","priceCurrency":"USD","ineligibleRegion":["DE"]}]}`)
	for query, want := range map[string]string{"?region=DE": `"1.00"`, "?region=US": `"2.00"`} {
		text := string(h.must("GET", "/cards/lamp/preview"+query, "").body)
		if !strings.Contains(text, want) || strings.Contains(text, "Region") || strings.Count(text, "price\"") != 1 {
			t.Errorf("%s: %s", query, text)
		}
	}
	if text := string(h.must("GET", "/cards/lamp/preview", "").body); !strings.Contains(text, "eligibleRegion") {
		t.Errorf("for nobody in particular: %s", text)
	}
	h.ask("GET", "/cards/lamp/preview?region=de", "").refused(http.StatusUnprocessableEntity, overlay.ReasonInvalid, "region")
	h.ask("GET", "/cards/none/preview?region=DE", "").refused(http.StatusNotFound, overlay.ReasonNotFound, "id")
	h.ask("GET", "/cards/lamp/preview?regoin=DE", "").refused(http.StatusBadRequest, reasonMalformed, "regoin")
}

// TestHostileCards: each is refused with a sentence and the field.
func TestHostileCards(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	for body, field := range map[string]string{
		`{"id":"lamp","name":"<b>Lamp</b>"}`:                                             "name",
		`{"id":"lamp","name":"<script>alert(1)</script>"}`:                               "name",
		`{"id":"lamp","name":"Lamp\u202egnp.exe"}`:                                       "name",
		`{"id":"lamp","name":"Lamp\u0007"}`:                                              "name",
		`{"id":"lamp","name":"Lamp","offers":[{"price":"1e999","priceCurrency":"EUR"}]}`: "offers[0].price",
		`{"id":"lamp","name":"Lamp","offers":[{"price":"1","priceCurrency":"XXX1"}]}`:    "offers[0].priceCurrency",
		`{"id":"lamp","name":"Lamp","offers":[{"price":1.99,"priceCurrency":"EUR"}]}`:    "offers[0].price",
		`{"id":"lamp","name":"Lamp","url":"http://shop.example.com/"}`:                   "url",
		`{"id":"lamp","name":"Lamp","url":"https://evil.example.com/"}`:                  "url",
		`{"id":"lamp","name":"Lamp","url":"javascript:alert(1)"}`:                        "url",
		`{"id":"lamp","name":"Lamp","onclick":"alert(1)"}`:                               "onclick",
		`{"id":"lamp","name":"Lamp","name":"Sofa"}`:                                      "name",
		`{"id":"sofa","name":"Lamp"}`:                                                    "id",
		`{"id":"lamp"}`:                                                                  "name",
		`[]`:                                                                             "",
	} {
		h.ask("PUT", "/cards/lamp", body).refused(http.StatusUnprocessableEntity, overlay.ReasonInvalid, field)
	}
	h.ask("PUT", "/cards/lamp", `{"id":"lamp","name":"`+strings.Repeat("L", 5000)+`"}`).refused(http.StatusRequestEntityTooLarge, overlay.ReasonTooLarge, "")
	h.ask("PUT", "/cards/lamp", `{"id":"lamp","name":"`+strings.Repeat("L", 50_000)+`"}`).refused(http.StatusRequestEntityTooLarge, overlay.ReasonTooLarge, "")
	h.ask("PUT", "/cards/La%20mp", lamp).refused(http.StatusUnprocessableEntity, overlay.ReasonInvalid, "id")
	if n := len(h.must("GET", "/cards", "").body); n > 100 {
		t.Errorf("something was taken: %d bytes", n)
	}
}
