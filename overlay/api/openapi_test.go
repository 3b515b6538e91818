package api

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pushcart/internal/auth"
	"pushcart/overlay"
	"pushcart/overlay/card"
)

// TestDescriptionHasTheRoutes: what the API answers is described, what is described is answered, and both say the same of
// who may ask, and with what.
func TestDescriptionHasTheRoutes(t *testing.T) {
	t.Parallel()
	d := describedAs(t)
	if d.root["openapi"] != "3.1.1" {
		t.Errorf("it is OpenAPI %v", d.root["openapi"])
	}
	if want := []any{map[string]any{"operator": []any{}}}; !reflect.DeepEqual(d.root["security"], want) {
		t.Errorf("in general it takes %v", d.root["security"])
	}
	if at(d.root, "components", "securitySchemes", "operator", "scheme") != "bearer" {
		t.Error("the operator's token is no bearer token")
	}
	described := map[string]bool{}
	ids := map[string]string{}
	for path, item := range object(d.root["paths"]) {
		for method := range object(item) {
			if method == "parameters" {
				continue
			}
			name := strings.ToUpper(method) + " " + path
			described[name] = true
			id := fmt.Sprint(at(item, method, "operationId"))
			if other, taken := ids[id]; taken || id == "<nil>" {
				t.Errorf("%s and %s have the operationId %s", name, other, id)
			}
			ids[id] = name
			if s, _ := at(item, method, "summary").(string); s == "" {
				t.Errorf("%s has no summary", name)
			}
		}
	}
	h := newHouse(t)
	for i := range h.routes {
		rt := &h.routes[i]
		name := rt.method + " " + rt.path
		if !described[name] {
			t.Errorf("%s is not described", name)
			continue
		}
		delete(described, name)
		d.compare(t, name, rt)
	}
	for name := range described {
		t.Errorf("%s is described, but there is no such route", name)
	}
}

// compare holds the description of a route to the route.
func (d *description) compare(t *testing.T, name string, rt *route) {
	t.Helper()
	item := at(d.root, "paths", rt.path)
	op := at(item, strings.ToLower(rt.method))
	security, stated := object(op)["security"]
	wanted := any([]any{map[string]any{"operator": []any{string(rt.role)}}})
	switch {
	case rt.open():
		wanted = []any{}
	case rt.role == auth.Viewer && !stated:
		security = wanted // what the document says in general, of which every token is
	}
	if !reflect.DeepEqual(security, wanted) {
		t.Errorf("%s is described with the security %v, want %v", name, security, wanted)
	}
	found := map[string][]string{}
	for _, list := range []any{at(item, "parameters"), at(op, "parameters")} {
		parameters, _ := list.([]any)
		for _, p := range parameters {
			p = d.resolve(p)
			in := fmt.Sprint(at(p, "in"))
			found[in] = append(found[in], fmt.Sprint(at(p, "name")))
			if at(p, "schema") == nil || at(p, "description") == nil {
				t.Errorf("%s: the parameter %v has no schema or no description", name, at(p, "name"))
			}
		}
	}
	var inPath, headers []string
	for _, part := range strings.FieldsFunc(rt.path, func(r rune) bool { return r == '/' || r == '.' }) {
		if strings.HasPrefix(part, "{") {
			inPath = append(inPath, strings.Trim(part, "{}"))
		}
	}
	if rt.changes() {
		headers = append(headers, "Idempotency-Key")
	}
	if rt.condition != unconditional {
		headers = append(headers, "If-Match")
	}
	if rt.condition == byRevOrNew {
		headers = append(headers, "If-None-Match")
	}
	if etag := at(d.resolve(at(op, "responses", "304")), "description"); etag != nil {
		headers = append(headers, "If-None-Match")
	}
	for in, want := range map[string][]string{"path": inPath, "query": rt.query, "header": headers} {
		if got := found[in]; !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))) {
			t.Errorf("%s is described with %s parameters %v, and takes %v", name, in, got, want)
		}
	}
	kinds := slices.Sorted(maps.Keys(object(at(op, "requestBody", "content"))))
	if want := slices.Sorted(slices.Values(rt.body.kinds)); !slices.Equal(kinds, want) {
		t.Errorf("%s is described with bodies of %v, and takes %v", name, kinds, want)
	}
	if len(kinds) > 0 && at(op, "requestBody", "required") != true {
		t.Errorf("%s needs a body", name)
	}
}

// TestDescriptionHasTheTypes: the schemas have the members that our types have.
func TestDescriptionHasTheTypes(t *testing.T) {
	t.Parallel()
	d := describedAs(t)
	types := map[string]reflect.Type{
		"Stream": reflect.TypeFor[Stream](), "Track": reflect.TypeFor[Track](), "StreamList": reflect.TypeFor[StreamList](), "Access": reflect.TypeFor[Access](),
		"CardList": reflect.TypeFor[CardList](), "CardView": reflect.TypeFor[overlay.CardView](), "OrderRequest": reflect.TypeFor[OrderRequest](),
		"Slots": reflect.TypeFor[Slots](), "SlotView": reflect.TypeFor[overlay.SlotView](), "ScheduledView": reflect.TypeFor[overlay.ScheduledView](),
		"ShowRequest": reflect.TypeFor[ShowRequest](), "Timeline": reflect.TypeFor[Timeline](), "ShownView": reflect.TypeFor[overlay.ShownView](),
		"Settings": reflect.TypeFor[Settings](), "SettingsPatch": reflect.TypeFor[SettingsPatch](), "Result": reflect.TypeFor[overlay.Result](),
		"View": reflect.TypeFor[overlay.View](), "InBandRefusal": reflect.TypeFor[overlay.InBandRefusal](), "Problem": reflect.TypeFor[Problem](),
		"Source": reflect.TypeFor[Source](), "SourceList": reflect.TypeFor[SourceList](), "SourceRequest": reflect.TypeFor[SourceRequest](),
		"Ladder": reflect.TypeFor[Ladder](), "LadderRung": reflect.TypeFor[LadderRung](), "LadderDetail": reflect.TypeFor[LadderDetail](),
		"LadderChild": reflect.TypeFor[LadderChild](), "LadderNode": reflect.TypeFor[LadderNode](), "LadderEngine": reflect.TypeFor[LadderEngine](),
		"LadderStream": reflect.TypeFor[LadderStream](), "LadderCommand": reflect.TypeFor[LadderCommand](),
	}
	// Of these, package card decides: see TestDescriptionHasTheCard.
	others := strings.Fields("StreamName CardID SlotName Country Instant Text WebAddress Price Card Offer Promotion Coupon Giveaway CardDocument KeySet SourceURL Transport " +
		"LadderState LadderMode LadderBackend")
	for name, schema := range object(at(d.root, "components", "schemas")) {
		typ, ours := types[name]
		if !ours {
			if !slices.Contains(others, name) {
				t.Errorf("the schema %s belongs to no type", name)
			}
			continue
		}
		delete(types, name)
		var members, required []string
		for _, f := range reflect.VisibleFields(typ) {
			tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			if tag == "" || tag == "-" {
				continue
			}
			members = append(members, tag)
			if options == "" {
				required = append(required, tag)
			}
		}
		slices.Sort(members)
		slices.Sort(required)
		if got := slices.Sorted(maps.Keys(object(at(schema, "properties")))); !slices.Equal(got, members) {
			t.Errorf("%s is described with %v, and has %v", name, got, members)
		}
		if got := required2(schema); !slices.Equal(got, required) {
			t.Errorf("of %s, %v are described as required, and %v are", name, got, required)
		}
		if at(schema, "additionalProperties") != false {
			t.Errorf("%s is described with further members", name)
		}
	}
	for name := range types {
		t.Errorf("there is no schema %s", name)
	}
	reasons := at(d.root, "components", "schemas", "Problem", "properties", "reason", "enum").([]any)
	if len(reasons) != len(statusOf) {
		t.Errorf("%d reasons are described, there are %d", len(reasons), len(statusOf))
	}
	for _, r := range reasons {
		if statusOf[overlay.Reason(r.(string))] == 0 {
			t.Errorf("the reason %v is described, but there is none", r)
		}
	}
}

// required2 lists what a schema requires.
func required2(schema any) []string {
	list, _ := at(schema, "required").([]any)
	names := make([]string, len(list))
	for i, n := range list {
		names[i] = n.(string)
	}
	slices.Sort(names)
	return names
}

// TestDescriptionHasTheCard: the example that has everything is a card, with each member that the schemas have; what they
// require has to be there, and what they do not may be missing.
func TestDescriptionHasTheCard(t *testing.T) {
	t.Parallel()
	d := describedAs(t)
	policy := card.Policy{Hosts: []string{"shop.example.com"}}
	example := at(d.root, "paths", "/api/v1/streams/{name}/cards/{id}", "put", "requestBody", "content", kindJSON, "examples", "whole", "value")
	text, err := json.Marshal(example)
	if err != nil {
		t.Fatal(err)
	}
	c, err := card.Parse(text, policy)
	if err != nil {
		t.Fatal(err)
	}
	var whole map[string]any
	if err := decodeJSON(c.JSON(), &whole); err != nil {
		t.Fatal(err)
	}
	schema := func(name string) any { return at(d.root, "components", "schemas", name) }
	for _, complaint := range d.validate(schema("Card"), any(whole), "canonical form") {
		t.Error(complaint)
	}
	offers := whole["offers"].([]any)
	merged := map[string]any{}
	for _, o := range offers {
		maps.Copy(merged, object(o))
	}
	for name, part := range map[string]any{
		"Card": whole, "Offer": merged, "Promotion": whole["pushcart:promotion"], "Coupon": whole["pushcart:coupon"], "Giveaway": whole["pushcart:giveaway"],
	} {
		got, want := slices.Sorted(maps.Keys(object(part))), slices.Sorted(maps.Keys(object(at(schema(name), "properties"))))
		if !slices.Equal(got, want) {
			t.Errorf("%s is described with %v, and has %v", name, want, got)
		}
	}
	// Both offers are tried, since each has what the other has not.
	for name, parts := range map[string][]map[string]any{
		"Card": {whole}, "Offer": {object(offers[0]), object(offers[1])}, "Promotion": {object(whole["pushcart:promotion"])},
		"Coupon": {object(whole["pushcart:coupon"])}, "Giveaway": {object(whole["pushcart:giveaway"])},
	} {
		required := required2(schema(name))
		for _, part := range parts {
			for key, value := range maps.Clone(part) {
				delete(part, key)
				text, err := json.Marshal(whole)
				if err != nil {
					t.Fatal(err)
				}
				_, err = card.Parse(text, policy)
				if needed := slices.Contains(required, key); needed != (err != nil) {
					t.Errorf("%s without %s: described as required: %v, parsed: %v", name, key, needed, err)
				}
				part[key] = value
			}
		}
	}
}

// TestDescriptionExamples: the examples are what the schemas say.
func TestDescriptionExamples(t *testing.T) {
	t.Parallel()
	d := describedAs(t)
	n := 0
	var walk func(node any, path string)
	walk = func(node any, path string) {
		if list, ok := node.([]any); ok {
			for i, e := range list {
				walk(e, fmt.Sprintf("%s[%d]", path, i))
			}
		}
		m := object(node)
		schema := m["schema"]
		if schema == nil && m["type"] != nil {
			schema = m
		}
		if example, ok := m["example"]; ok {
			n++
			for _, complaint := range d.validate(schema, example, path) {
				t.Error(complaint)
			}
		}
		if examples := object(m["examples"]); m["schema"] != nil {
			for name, e := range examples {
				n++
				for _, complaint := range d.validate(schema, at(e, "value"), path+"/"+name) {
					t.Error(complaint)
				}
			}
		}
		for key, child := range m {
			if key != "example" && key != "examples" {
				walk(child, path+"/"+key)
			}
		}
	}
	walk(d.root, "")
	if n < 20 {
		t.Errorf("only %d examples", n)
	}
}

// TestDescriptionIsServed: the document is there for everybody.
func TestDescriptionIsServed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	a := h.do("GET", "/api/openapi.yaml", "")
	if a.status != http.StatusOK || string(a.body) != string(openAPI) || a.header.Get("Content-Type") != "application/yaml" ||
		a.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("%d %v", a.status, a.header)
	}
	if a := h.do("GET", "/api/openapi.yaml", "", "If-None-Match", a.header.Get("ETag")); a.status != http.StatusNotModified || len(a.body) != 0 {
		t.Errorf("again: %d", a.status)
	}
}
