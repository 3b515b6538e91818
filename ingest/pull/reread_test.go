package pull

import "testing"

// TestReread: what another process has added, changed and removed since this one read the file is in force; the configuration stays.
func TestReread(t *testing.T) {
	t.Parallel()
	name := fileIn(t)
	before := newRig(t, name)
	for _, s := range []Source{onDemand("gone"), onDemand("kept")} {
		if _, _, err := before.Put(s); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, name)
	r.Configure([]Source{always("fixed")})
	if err := before.Remove("gone"); err != nil {
		t.Fatal(err)
	}
	for _, s := range []Source{always("kept"), onDemand("new")} {
		if _, _, err := before.Put(s); err != nil {
			t.Fatal(err)
		}
	}
	r.Reread()
	got := ""
	for _, s := range r.List() {
		got += s.Stream + " "
	}
	if got != "fixed kept new " || r.made["kept"] != always("kept") {
		t.Errorf("there are %s, and %+v", got, r.made["kept"])
	}
	if _, _, err := r.Put(onDemand("later")); err != nil {
		t.Fatal(err)
	}
	if again := newRig(t, name); len(again.List()) != 3 {
		t.Errorf("the file has %+v", again.List())
	}
	newRig(t, "").Reread() // in memory there is nothing to read
}
