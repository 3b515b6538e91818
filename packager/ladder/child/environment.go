package child

import "strings"

// Environment returns, of the node's environment, what ffmpeg needs: where programs, libraries and the home directory are,
// and what the drivers of GPUs read. All else stays here: the node's own variables hold keys and tokens. Of a variable that
// is there twice, the last counts. The result is never nil.
func Environment(environ []string) []string {
	at := map[string]int{}
	kept := []string{}
	for _, e := range environ {
		name, _, ok := strings.Cut(e, "=")
		if !ok || !forChildren(name) {
			continue
		}
		if i, twice := at[name]; twice {
			kept[i] = e
			continue
		}
		at[name] = len(kept)
		kept = append(kept, e)
	}
	return kept
}

// forChildren tells whether children get a variable.
func forChildren(name string) bool {
	switch name {
	case "PATH", "HOME", "LANG", "LD_LIBRARY_PATH":
		return true
	}
	switch {
	case strings.HasPrefix(name, "PUSHCART_"):
		return false
	case strings.HasPrefix(name, "LIBVA_"), strings.HasPrefix(name, "CUDA_"), strings.HasPrefix(name, "NVIDIA_"):
		return true
	}
	return strings.HasSuffix(name, "_VISIBLE_DEVICES") // CUDA's, ROCm's and others' choice of GPUs
}
