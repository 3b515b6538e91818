package auth

import (
	"errors"
	"testing"
)

// TestRoles: a token may do what its entries say, for the streams that they are for, and what says nothing means what it always did.
func TestRoles(t *testing.T) {
	t.Parallel()
	k := mustKeys(t,
		Entry{Stream: "show1", Key: "plain-token"},
		Entry{Stream: "*", Key: "master-token"},
		Entry{Stream: "show1", Key: "reads-one-token", Role: Viewer},
		Entry{Stream: "*", Key: "reads-all-token", Role: Viewer},
		Entry{Stream: "*", Key: "runs-all-token", Role: Producer},
		Entry{Stream: "*", Key: "mixed-token", Role: Viewer}, Entry{Stream: "show1", Key: "mixed-token", Role: Producer},
	)
	for _, tt := range []struct {
		stream, secret string
		role           Role // "" is none
	}{
		{"show1", "plain-token", Producer},
		{"show2", "plain-token", ""},
		{"*", "plain-token", ""},
		{"show1", "master-token", Admin},
		{"*", "master-token", Admin},
		{"show1", "reads-one-token", Viewer},
		{"show2", "reads-one-token", ""},
		{"anything", "reads-all-token", Viewer},
		{"*", "reads-all-token", Viewer},
		{"anything", "runs-all-token", Producer},
		{"show1", "mixed-token", Producer},
		{"show2", "mixed-token", Viewer},
		{"*", "mixed-token", Viewer},
		{"show1", "", ""}, {"", "master-token", ""}, {"show1", "nobodys-token", ""}, {"show1", hashed("plain-token"), ""},
	} {
		role, ok := k.Role(tt.stream, tt.secret)
		if role != tt.role || ok != (tt.role != "") {
			t.Errorf("Role(%q, %q) = %q, %v; want %q", tt.stream, tt.secret, role, ok, tt.role)
		}
	}
	for secret, want := range map[string]Role{"plain-token": Producer, "mixed-token": Producer, "reads-all-token": Viewer, "master-token": Admin, "nobodys-token": "", "": ""} {
		if role, ok := k.KnownRole(secret); role != want || ok != (want != "") {
			t.Errorf("KnownRole(%q) = %q, %v; want %q", secret, role, ok, want)
		}
	}
	if role, ok := (*Keys)(nil).Role("show1", "plain-token"); ok {
		t.Errorf("no keys at all give %q", role)
	}
}

// TestRoleCovers: each role may do what those below it may, and what is no role neither may nor is needed.
func TestRoleCovers(t *testing.T) {
	t.Parallel()
	order := []Role{Viewer, Producer, Admin}
	for i, have := range order {
		for j, need := range order {
			if have.Covers(need) != (i >= j) {
				t.Errorf("%s covers %s: %v", have, need, have.Covers(need))
			}
		}
		for _, odd := range []Role{"", "root", "Admin"} {
			if have.Covers(odd) || odd.Covers(have) {
				t.Errorf("%q and %q cover one another", have, odd)
			}
		}
	}
}

// TestRolesRefused: what is no role, and an admin of one stream, are mistakes that name the field.
func TestRolesRefused(t *testing.T) {
	t.Parallel()
	for _, e := range []Entry{
		{Stream: "show1", Key: "good-token", Role: Admin}, {Stream: "*", Key: "good-token", Role: "root"}, {Stream: "show1", Key: "good-token", Role: "Viewer"},
	} {
		_, err := NewKeys([]Entry{{Stream: "show2", Key: "another-token"}, e})
		var wrong EntryErrors
		if !errors.As(err, &wrong) || len(wrong) != 1 || wrong[0].Field != "role" || wrong[0].Index != 1 {
			t.Errorf("%s as %s: %v", e.Role, e.Stream, err)
		}
	}
}
