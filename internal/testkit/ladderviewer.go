package testkit

// Beside is the URL of a name beside the multivariant playlist.
func (v *Viewer) Beside(ref string) string {
	v.t.Helper()
	return v.at(ref)
}
